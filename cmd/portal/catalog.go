package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/billing"
	"github.com/metrum-ai/licensing-portal/internal/config"
)

const catalogUse = "catalog plan|push|status [-webhook URL] [-secret-file FILE]"

// catalogFlags are what the catalog's verbs take.
type catalogFlags struct{ webhook, secretFile string }

// catalog compares products, prices, the billing portal's offer and the webhook endpoint at Stripe with the trust bundle: plan says what push would do,
// and status fails where that is anything. The key is an administrator's, who runs this apart from the portal.
func (p program) catalog(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("%w: the command is %s", errUsage, catalogUse)
	}
	verb := args[0]
	if verb != "plan" && verb != "push" && verb != "status" {
		return fmt.Errorf("%w: the command is %s", errUsage, catalogUse)
	}
	f, err := parseCatalog(verb, args[1:])
	if err != nil {
		return err
	}
	a, err := p.open(ctx, config.Signer|config.Stripe)
	if err != nil {
		return err
	}
	bundle, err := a.catalog.Bundle(ctx)
	if err != nil {
		return err
	}
	if err := a.config.CheckMode(bundle.Stripe.Livemode); err != nil {
		return err
	}
	pushed := verb == "push"
	compare, manage, endpoint := a.stripe.PlanCatalog, a.stripe.PlanPortal, func() (billing.Change, error) {
		return a.stripe.PlanEndpoint(ctx, f.webhook, bundle.Stripe.Livemode)
	}
	if pushed {
		compare, manage = a.stripe.PushCatalog, a.stripe.PushPortal
		endpoint = func() (billing.Change, error) {
			return a.stripe.PushEndpoint(ctx, f.webhook, bundle.Stripe.Livemode, func(secret string) error { return keepSecret(f.secretFile, secret) })
		}
	}
	now := time.Now()
	changes, err := compare(ctx, bundle.Templates, now)
	change, portalErr := manage(ctx, bundle.Templates, now)
	if portalErr == nil {
		changes = append(changes, change)
	}
	err = errors.Join(err, portalErr)
	if f.webhook != "" {
		change, endpointErr := endpoint()
		if endpointErr == nil {
			changes = append(changes, change)
		}
		err = errors.Join(err, endpointErr)
	}
	pending := 0
	for _, c := range changes {
		fmt.Fprintf(p.stdout, "%-9s %-16s %s\n", c.Action, c.Object, c.Name)
		if c.Action != billing.Unchanged && c.Action != billing.Skipped {
			pending++
		}
	}
	if err == nil && verb == "status" && pending > 0 {
		return fmt.Errorf("%d things at Stripe are not what the trust bundle says; portal catalog push mends them", pending)
	}
	return err
}

func parseCatalog(verb string, args []string) (catalogFlags, error) {
	var f catalogFlags
	flags := newFlags("catalog " + verb + " [-webhook URL] [-secret-file FILE]")
	flags.StringVar(&f.webhook, "webhook", "", "the endpoint's `URL`")
	flags.StringVar(&f.secretFile, "secret-file", "", "`file` where a new endpoint's secret goes")
	if err := parse(flags, args); err != nil {
		return f, err
	}
	if u, err := url.Parse(f.webhook); f.webhook != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Hostname() != "localhost") {
		return f, fmt.Errorf("%w: -webhook is https://HOST/webhooks/stripe", errUsage)
	}
	if verb == "push" && (f.webhook == "") != (f.secretFile == "") {
		return f, fmt.Errorf("%w: push takes -webhook and -secret-file together: Stripe tells the secret of a new endpoint once", errUsage)
	}
	return f, nil
}

// keepSecret writes the endpoint's secret for the signer, durably, and never over another.
func keepSecret(path, secret string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("-secret-file: %w", err)
	}
	_, err = io.WriteString(file, secret+"\n")
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("-secret-file: %w", err)
	}
	return nil
}
