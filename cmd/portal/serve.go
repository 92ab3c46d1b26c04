package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/config"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/internal/jobs"
	"github.com/metrum-ai/licensing-portal/internal/postgres"
	"github.com/metrum-ai/licensing-portal/web"
)

// Limits of a connection. There is no limit on writing, since order pages are followed for minutes; a client that takes
// nothing is cut off by the handler of that stream.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 30 * time.Second
	idleTimeout   = 60 * time.Second
	maxHeader     = 32 << 10
)

func (p program) serve(ctx context.Context, args []string) error {
	if err := noArguments(args); err != nil {
		return err
	}
	a, err := p.open(ctx, config.Serve)
	if err != nil {
		return err
	}
	defer a.Close()
	// Streams and the listener for announcements end with this context, the requests under way a little later.
	watching, stopWatching := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWatching()
	watcher := postgres.NewWatcher(a.config.DatabaseURL.Reveal(), p.log)
	go watcher.Run(watching)
	go a.store.WakeWorkers(watching, p.log)

	handler, err := a.handler(ctx, watcher)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", a.config.Listen)
	if err != nil {
		return err
	}
	requests, stopRequests := context.WithCancel(context.WithoutCancel(ctx))
	defer stopRequests()
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader, BaseContext: func(net.Listener) context.Context { return requests },
	}
	p.log.InfoContext(ctx, "portal serves", "address", listener.Addr().String())
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	stopWatching()
	return shutDown(server, stopRequests, a.config.ShutdownTimeout)
}

// shutDown lets requests end, then cuts off what is left, such as followed order pages.
func shutDown(server *http.Server, stopRequests func(), patience time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cutOff := time.AfterFunc(patience/2, stopRequests)
	defer cutOff.Stop()
	if err := server.Shutdown(ctx); errors.Is(err, context.DeadlineExceeded) {
		return server.Close()
	} else if err != nil {
		return fmt.Errorf("shut down: %w", err)
	}
	return nil
}

func (a *parts) handler(ctx context.Context, watcher *postgres.Watcher) (http.Handler, error) {
	livemode, err := a.checkMode(ctx)
	if err != nil {
		return nil, err
	}
	accounts, err := a.accounts()
	if err != nil {
		return nil, err
	}
	orders, err := a.orders(watcher)
	if err != nil {
		return nil, err
	}
	subscriptions, err := fulfillment.NewSubscriptions(fulfillment.SubscriptionsConfig{Store: a.store, Portal: a.stripe, PublicURL: a.config.PublicURL})
	if err != nil {
		return nil, err
	}
	quotes, err := a.quotes(orders)
	if err != nil {
		return nil, err
	}
	library, err := fulfillment.NewLibrary(fulfillment.LibraryConfig{
		Licenses: a.store, Links: a.store, Secret: []byte(a.config.Secret.Reveal()), Now: time.Now, Random: rand.Reader,
	})
	if err != nil {
		return nil, err
	}
	inbox, err := fulfillment.NewInbox(fulfillment.InboxConfig{Store: a.store, Signer: a.signer, Catalog: a.catalog, Now: time.Now, Log: a.log})
	if err != nil {
		return nil, err
	}
	enrollment, err := a.enrollment()
	if err != nil {
		return nil, err
	}
	requests, err := a.requests()
	if err != nil {
		return nil, err
	}
	public, err := url.Parse(a.config.PublicURL)
	if err != nil {
		return nil, err
	}
	return web.New(web.Config{
		PublicURL: public, Accounts: accounts, Catalog: a.catalog, Orders: orders, Quotes: quotes, Previewer: orders, Subscriptions: subscriptions, Licenses: library, Links: library,
		Inbox: inbox, Revocations: fulfillment.NewRevocationFile(a.store, time.Now), Health: health{a.store, a.signer}, Enrollment: enrollment, Requests: requests, SessionStore: postgres.NewSessions(a.pool, time.Now),
		BillingOrigin: a.config.StripeBillingOrigin, CheckoutOrigin: a.config.StripeCheckoutOrigin, Contact: a.config.Contact, Clock: time.Now, Rand: rand.Reader,
		Logger: a.log, TestMode: !livemode, ClientIP: a.config.ClientIP(),
	})
}

func (p program) worker(ctx context.Context, args []string) error {
	if err := noArguments(args); err != nil {
		return err
	}
	a, err := p.open(ctx, config.Worker)
	if err != nil {
		return err
	}
	defer a.Close()
	if _, err := a.checkMode(ctx); err != nil {
		return err
	}
	runner, fulfiller, err := a.runner()
	if err != nil {
		return err
	}
	if err := a.awaitDatabase(ctx); err != nil {
		return nil // told to stop meanwhile
	}
	stopMetrics, err := a.serveMetrics(ctx)
	if err != nil {
		return err
	}
	defer stopMetrics()
	if err := runner.Start(ctx); err != nil {
		return err
	}
	p.log.InfoContext(ctx, "worker works")
	go func() {
		// What fails here is the jobs' to do.
		resumed, err := fulfiller.Resume(ctx)
		if resumed > 0 || err != nil {
			p.log.InfoContext(ctx, "orders resumed", "orders", resumed, "error", err)
		}
	}()
	<-ctx.Done()
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.config.ShutdownTimeout)
	defer cancel()
	return runner.Stop(patience)
}

func (a *parts) runner() (*jobs.Runner, *fulfillment.Fulfiller, error) {
	accounts, err := a.accounts()
	if err != nil {
		return nil, nil, err
	}
	mailer, err := a.mailer()
	if err != nil {
		return nil, nil, err
	}
	fulfiller, err := a.fulfiller(mailer)
	if err != nil {
		return nil, nil, err
	}
	revoker, err := a.revoker(a.stripe, mailer)
	if err != nil {
		return nil, nil, err
	}
	executor, err := a.executor(revoker, mailer)
	if err != nil {
		return nil, nil, err
	}
	reconciler, err := a.reconciler(revoker)
	if err != nil {
		return nil, nil, err
	}
	runner, err := jobs.NewRunner(jobs.Config{
		Pool: a.pool, Schema: postgres.JobSchema, Fulfiller: fulfiller, Revoker: revoker, Executor: executor, Reconciler: reconciler, BillMails: fulfillment.NewBillMails(a.store, mailer, time.Now), SignIns: accounts, Sender: mailer,
		Tidier: housekeeping{postgres.NewSessions(a.pool, time.Now), postgres.NewAccounts(a.pool, a.queue), postgres.NewRateLimits(a.pool), time.Now},
		Poll:   a.config.JobPollInterval, Workers: a.config.JobConcurrency, Reconcile: a.config.ReconcileInterval, Log: a.log,
	})
	return runner, fulfiller, err
}
