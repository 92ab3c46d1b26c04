package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/metrum-ai/licensing-portal/internal/config"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// audit compares the signer's log, the database and Stripe. It prints a line for each difference and a summary; with -json
// each of them is an object on a line of its own.
func (p program) audit(ctx context.Context, args []string) error {
	flags := newFlags("audit [-json] [-log-key VERIFIER_KEY]")
	asJSON := flags.Bool("json", false, "an object for each line, for programs")
	logKey := flags.String("log-key", "", "`verifier_key` of the log, as signer keygen printed it, to check its signature too")
	if err := parse(flags, args); err != nil {
		return err
	}
	var verifier note.Verifier
	if *logKey != "" {
		var err error
		if verifier, err = note.NewVerifier(*logKey); err != nil {
			return fmt.Errorf("%w: -log-key is not the verifier_key of the signer's log", errUsage)
		}
	}
	a, err := p.open(ctx, config.Database|config.Signer|config.Stripe)
	if err != nil {
		return err
	}
	defer a.Close()
	if _, err := a.checkMode(ctx); err != nil {
		return err
	}
	auditor, err := fulfillment.NewAuditor(fulfillment.AuditorConfig{
		Store: a.store, Log: a.signer, Payments: a.stripe, LogKey: verifier, Now: time.Now,
	})
	if err != nil {
		return err
	}
	tell := tellDifference
	if *asJSON {
		tell = func(w io.Writer, d fulfillment.Difference) error { return json.NewEncoder(w).Encode(d) }
	}
	report, err := auditor.Run(ctx, func(d fulfillment.Difference) error { return tell(p.stdout, d) })
	if err != nil {
		return err
	}
	if *asJSON {
		err = json.NewEncoder(p.stdout).Encode(report)
	} else {
		err = tellReport(p.stdout, report)
	}
	if err == nil && !report.OK() {
		err = errors.New("log, database and Stripe do not agree")
	}
	return err
}

func tellDifference(w io.Writer, d fulfillment.Difference) error {
	line := string(d.Kind)
	for _, id := range []string{d.LicenseID, d.OrderID, d.Payment} {
		if id != "" {
			line += " " + id
		}
	}
	_, err := fmt.Fprintf(w, "%s: %s\n", line, d.Detail)
	return err
}

func tellReport(w io.Writer, r fulfillment.AuditReport) error {
	signature := "signature not checked, see -log-key"
	if r.SignatureKnown {
		signature = "signature verified"
	}
	_, err := fmt.Fprintf(w, "log: checkpoint of %d entries, root %s (%s), trust bundle version %d\n"+
		"licenses: %d logged, %d stored, %d revoked\norders: %d that reached Stripe, %d in review\npayments: %d for orders, %d others\n"+
		"what is younger than %s was left out\n", r.LogSize, r.LogRoot, signature, r.TrustVersion,
		r.Counts.LoggedLicenses, r.Counts.StoredLicenses, r.Counts.Revoked, r.Counts.Orders, r.Counts.InReview,
		r.Counts.Payments, r.Counts.OtherPayments, r.Before.Format(time.RFC3339))
	if err != nil {
		return err
	}
	for _, kind := range slices.Sorted(maps.Keys(r.Found)) {
		if _, err := fmt.Fprintf(w, "%s: %d\n", kind, r.Found[kind]); err != nil {
			return err
		}
	}
	if r.OK() {
		_, err = fmt.Fprintln(w, "no differences")
	}
	return err
}
