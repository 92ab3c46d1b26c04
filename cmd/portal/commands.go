package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/config"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/internal/postgres"
)

func (p program) migrate(ctx context.Context, args []string) error {
	if err := noArguments(args); err != nil {
		return err
	}
	c, err := config.Load(p.getenv, config.Database)
	if err != nil {
		return err
	}
	return postgres.Migrate(ctx, c.DatabaseURL.Reveal())
}

// noMail stands where a command must not send any.
type noMail struct{}

func (noMail) SendReady(context.Context, fulfillment.ReadyMail) error       { return errNoMail }
func (noMail) SendPayment(context.Context, fulfillment.PaymentMail) error   { return errNoMail }
func (noMail) SendStanding(context.Context, fulfillment.StandingMail) error { return errNoMail }

var errNoMail = errors.New("this command sends no mail")

// noStripe stands where a command looks at no payment.
type noStripe struct{}

func (noStripe) FetchTaken(context.Context, string, string) (fulfillment.Taken, error) {
	return fulfillment.Taken{}, errNoStripe
}
func (noStripe) EachEvent(context.Context, time.Time, func([]fulfillment.EventRef) error) error {
	return errNoStripe
}
func (noStripe) RetryEvent(context.Context, string) error { return errNoStripe }

var errNoStripe = errors.New("this command does not ask Stripe")

func (p program) restore(ctx context.Context, args []string) error {
	if err := noArguments(args); err != nil {
		return err
	}
	a, err := p.open(ctx, config.Database|config.Signer)
	if err != nil {
		return err
	}
	defer a.Close()
	revoker, err := a.revoker(noStripe{}, noMail{})
	if err != nil {
		return err
	}
	restorer, err := fulfillment.NewRestorer(fulfillment.RestorerConfig{
		Store: a.store, Signer: a.signer, Revoker: revoker, Catalog: a.catalog, Now: time.Now, Random: rand.Reader, Log: p.log,
	})
	if err != nil {
		return err
	}
	report, err := restorer.Run(ctx)
	fmt.Fprintf(p.stdout, "read %d licenses from the signer's log: %d restored, %d were there\n", report.Read, report.Restored, report.Present)
	return err
}

func (p program) replay(ctx context.Context, args []string) error {
	if err := noArguments(args); err != nil {
		return err
	}
	a, err := p.open(ctx, config.Database|config.Signer)
	if err != nil {
		return err
	}
	defer a.Close()
	replayer, err := fulfillment.NewReplayer(fulfillment.ReplayerConfig{Store: a.store, Signer: a.signer, Log: p.log})
	if err != nil {
		return err
	}
	report, err := replayer.Run(ctx)
	fmt.Fprintf(p.stdout, "read %d licenses from the signer's log, which lacked %d: %d logged again, %d approved too long ago, %d refused, %d logged with other bytes\n"+
		"refunds and disputes that it lacked: %d judged again, %d refused\n",
		report.Logged, report.Missing, report.Replayed, report.Lapsed, report.Refused, report.Differ, report.Judged, report.Unjudged)
	switch {
	case err != nil || report.OK():
	case report.Refused+report.Differ+report.Unjudged == 0:
		err = errors.New("the signer takes no approval that is older than 24 hours: what the log names comes back from a witness's copy alone (signer log restore)")
	default:
		err = errors.New("the signer's log lacks what customers have, or has it otherwise; see the log")
	}
	return err
}
