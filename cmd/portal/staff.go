package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/config"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

func (p program) staff(ctx context.Context, args []string) error {
	commands := map[string]func(context.Context, []string) error{
		"order": p.staffOrder, "review": p.staffReview, "enroll": p.staffEnroll, "propose": p.staffPropose, "approve": p.staffApprove,
		"requests": p.staffRequests, "request-link": p.staffRequestLink,
	}
	if len(args) == 0 || commands[args[0]] == nil {
		return fmt.Errorf("%w: staff is followed by %s", errUsage, strings.Join(slices.Sorted(maps.Keys(commands)), ", "))
	}
	return commands[args[0]](ctx, args[1:])
}

func (p program) staffReview(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] != "release" && args[0] != "close" {
		return fmt.Errorf("%w: staff review knows release and close, not %q", errUsage, args[0])
	}
	var decision reviewDecision
	if len(args) > 0 {
		var err error
		if decision, err = parseDecision(args); err != nil {
			return err
		}
	}
	a, err := p.open(ctx, config.Database)
	if err != nil {
		return err
	}
	defer a.Close()
	review := fulfillment.NewReview(a.store, time.Now)
	switch decision.what {
	case "release":
		if err := decided(review.Release(ctx, decision.orderID, decision.by, decision.note)); err != nil {
			return err
		}
		fmt.Fprintf(p.stdout, "%s is released and will be looked at again; the signer decides for itself\n", decision.orderID)
		return nil
	case "close":
		if err := decided(review.Close(ctx, decision.orderID, decision.by, decision.note)); err != nil {
			return err
		}
		fmt.Fprintf(p.stdout, "%s is canceled; if it was paid, refund the payment at Stripe\n", decision.orderID)
		return nil
	}
	rows, err := review.List(ctx)
	if err != nil {
		return err
	}
	return writeReview(p.stdout, rows, time.Now())
}

// reviewDecision is what staff typed.
type reviewDecision struct{ what, orderID, by, note string }

// parseDecision reads "release ORDER -by NAME -note TEXT".
func parseDecision(args []string) (reviewDecision, error) {
	d := reviewDecision{what: args[0]}
	args = args[1:]
	if !asksForHelp(args) {
		if len(args) == 0 || strings.HasPrefix(args[0], "-") {
			return d, fmt.Errorf("%w: staff review %s ORDER -by NAME -note TEXT", errUsage, d.what)
		}
		d.orderID, args = args[0], args[1:]
	}
	flags := newFlags("staff review " + d.what + " ORDER -by NAME -note TEXT")
	flags.StringVar(&d.by, "by", "", "who decides")
	flags.StringVar(&d.note, "note", "", "why")
	return d, parse(flags, args)
}

// decided says in words for staff what stands in the way of a decision.
func decided(err error) error {
	switch {
	case errors.Is(err, fulfillment.ErrNoName):
		return fmt.Errorf("%w: -by: %w", errUsage, err)
	case errors.Is(err, fulfillment.ErrNoNote):
		return fmt.Errorf("%w: -note: %w", errUsage, err)
	case errors.Is(err, fulfillment.ErrNotFound):
		return errors.New("there is no such order")
	case errors.Is(err, fulfillment.ErrNotInReview):
		return errors.New("the order is not in review (any more)")
	}
	return err
}

func writeReview(w io.Writer, rows []fulfillment.ReviewRow, now time.Time) error {
	if len(rows) == 0 {
		_, err := fmt.Fprintln(w, "no order is in review")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", r.OrderID, age(now.Sub(r.Since)), fulfillment.Money(r.Total, r.Currency), r.SKU, r.Organization)
		for _, reason := range r.Reasons {
			fmt.Fprintf(table, "  %s: %s\n", reason.Code, reason.Detail)
		}
	}
	return table.Flush()
}

// age writes a duration in its largest unit.
func age(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", int(d/(24*time.Hour)))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", int(d/time.Hour))
	}
	return fmt.Sprintf("%d min", max(0, int(d/time.Minute)))
}
