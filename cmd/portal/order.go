package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/config"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// staffOrder shows an order with everything that happened to it, flags among it.
func (p program) staffOrder(ctx context.Context, args []string) error {
	if len(args) != 1 || strings.HasPrefix(args[0], "-") {
		return fmt.Errorf("%w: the command is staff order ORDER", errUsage)
	}
	a, err := p.open(ctx, config.Database)
	if err != nil {
		return err
	}
	defer a.Close()
	order, lines, err := fulfillment.NewReview(a.store, time.Now).Show(ctx, args[0])
	if errors.Is(err, fulfillment.ErrNotFound) {
		return errors.New("there is no such order")
	}
	if err != nil {
		return err
	}
	return writeOrder(p.stdout, order, lines)
}

func writeOrder(w io.Writer, o fulfillment.Record, lines []fulfillment.LogLine) error {
	fmt.Fprintf(w, "order    %s\nstate    %s\npackage  %s\ncustomer %s\nprice    %s\n", o.ID, o.State, o.Snapshot.Intent.Template,
		o.OrganizationID, fulfillment.Money(o.Snapshot.Total, o.Snapshot.Currency))
	if o.LicenseID != "" {
		fmt.Fprintf(w, "license  %s\n", o.LicenseID)
	}
	fmt.Fprintln(w)
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, l := range lines {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", l.At.UTC().Format(time.DateTime), l.What, l.Actor, l.Detail)
	}
	return table.Flush()
}
