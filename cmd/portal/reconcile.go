package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/config"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/internal/metrics"
)

var errGaps = errors.New("the portal and Stripe do not agree; see the log")

// reconcile makes one pass of everything by hand: a line for each thing that is mended, or would be, and the counts.
func (p program) reconcile(ctx context.Context, args []string) error {
	flags := newFlags("reconcile [-dry-run]")
	dry := flags.Bool("dry-run", false, "tell what would be done, and change nothing")
	if err := parse(flags, args); err != nil {
		return err
	}
	a, err := p.open(ctx, config.Database|config.Signer|config.Stripe|config.Reconcile)
	if err != nil {
		return err
	}
	defer a.Close()
	if _, err := a.checkMode(ctx); err != nil {
		return err
	}
	fulfiller, err := a.fulfiller(noMail{})
	if err != nil {
		return err
	}
	revoker, err := a.revoker(a.stripe, noMail{})
	if err != nil {
		return err
	}
	reconciler, err := a.reconciler(revoker)
	if err != nil {
		return err
	}
	left, err := p.reconcileOrders(ctx, a, fulfiller, *dry)
	if err != nil {
		return err
	}
	tell := func(f fulfillment.Finding) {
		fmt.Fprintf(p.stdout, "%s: %s%s: %s\n", f.Pass, f.ObjectID, spaced(f.OrderID), f.Detail)
	}
	events, err := reconciler.Events(ctx, *dry, tell)
	if err != nil {
		return err
	}
	payments, err := reconciler.Payments(ctx, *dry, tell)
	if err != nil {
		return err
	}
	endpoint, err := reconciler.Endpoint(ctx, *dry, tell)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "events missing %d\nrefunds and disputes that differ %d\nwebhook endpoint %s\n", events, payments, endpoint)
	if left+events+payments > 0 || endpoint != fulfillment.EndpointEnabled {
		return errGaps
	}
	return nil
}

func spaced(id string) string {
	if id == "" {
		return ""
	}
	return " " + id
}

// reconcileOrders looks at the open orders, or tells which it would look at, and answers how many gaps are left.
func (p program) reconcileOrders(ctx context.Context, a *parts, fulfiller *fulfillment.Fulfiller, dry bool) (left int, err error) {
	if !dry {
		done, err := fulfiller.Reconcile(ctx)
		if err != nil {
			return 0, err
		}
		fmt.Fprintf(p.stdout, "checked %d orders, asked Stripe for %d events, %d failed\n", done.Checked, done.Asked, done.Failed)
		left += done.Failed
	} else {
		due, err := fulfiller.Due(ctx)
		if err != nil {
			return 0, err
		}
		for _, d := range due {
			fmt.Fprintf(p.stdout, "orders: %s: %s; evaluate it\n", d.OrderID, d.State)
		}
	}
	gauges, err := a.store.Gauges(ctx, time.Now())
	if err != nil {
		return left, err
	}
	fmt.Fprintf(p.stdout, "paid without license %d\nlicense without payment %d\n", gauges.PaidWithoutLicense, gauges.LicenseWithoutPayment)
	return left + gauges.PaidWithoutLicense + gauges.LicenseWithoutPayment, nil
}

// serveMetrics answers /metrics where the configuration says so, until the answered function is called.
func (a *parts) serveMetrics(ctx context.Context) (stop func(), err error) {
	if a.config.MetricsListen == "" {
		return func() {}, nil
	}
	listener, err := net.Listen("tcp", a.config.MetricsListen)
	if err != nil {
		return nil, fmt.Errorf("PORTAL_METRICS_LISTEN: %w", err)
	}
	server := &http.Server{
		Handler: metrics.Handler(a.store, time.Now, a.log), ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout,
		WriteTimeout: readTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
	}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			a.log.ErrorContext(ctx, "metrics are not served any more", "error", err)
		}
	}()
	a.log.InfoContext(ctx, "metrics are served", "address", listener.Addr().String())
	return func() { _ = server.Close() }, nil
}
