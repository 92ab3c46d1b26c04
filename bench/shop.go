package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/metrum-ai/licensing-portal/internal/account"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/internal/jobs"
	"github.com/metrum-ai/licensing-portal/internal/postgres"
	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/web"
)

// shop is the portal on a loopback address, wired as cmd/portal wires it, with a database of its own and the signer as a
// process. It has no worker until work is called.
type shop struct {
	databaseURL string
	url         string // of the portal
	pool        *pgxpool.Pool
	store       *postgres.Fulfillment
	queue       *jobs.Inserter
	signer      *signer.Client
	catalog     *fulfillment.Catalog
	stripe      *standIn
	orders      *fulfillment.Orders
	accounts    *account.Service
	sessions    *postgres.Sessions
	client      *http.Client
}

// secret is the portal's; it guards nothing here.
var secret = bytes.Repeat([]byte{7}, 32)

func openShop(ctx context.Context, l *lab, database string) (*shop, error) {
	s := &shop{client: &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 64},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	var err error
	if s.databaseURL, err = l.database(ctx, database); err != nil {
		return nil, err
	}
	if err := postgres.Migrate(ctx, s.databaseURL); err != nil {
		return nil, err
	}
	if s.signer, err = l.child(ctx, "signer"); err != nil {
		return nil, err
	}
	if s.stripe, err = newStandIn(l); err != nil {
		return nil, err
	}
	if s.pool, err = postgres.Open(ctx, s.databaseURL, postgres.PagePatience); err != nil {
		return nil, err
	}
	l.atEnd(func() error { s.pool.Close(); return nil })
	if s.queue, err = jobs.NewInserter(s.pool, postgres.JobSchema, l.log); err != nil {
		return nil, err
	}
	s.store, s.sessions = postgres.NewFulfillment(s.pool, s.queue), postgres.NewSessions(s.pool, time.Now)
	s.catalog = fulfillment.NewCatalog(s.signer, time.Now)
	return s, s.serve(ctx, l)
}

// serve makes the services and the pages.
func (s *shop) serve(ctx context.Context, l *lab) error {
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	l.atEnd(func() error { stop(); return nil })
	watcher := postgres.NewWatcher(s.databaseURL, l.log)
	go watcher.Run(watching)
	go s.store.WakeWorkers(watching, l.log)
	accountStore := postgres.NewAccounts(s.pool, s.queue)
	var errs [4]error
	s.accounts, errs[0] = account.New(account.Config{
		SignIns: accountStore, Organizations: accountStore, Limiter: postgres.NewRateLimits(s.pool), Secret: secret,
		Rand: rand.Reader, Now: time.Now, Logger: l.log, Limits: account.DefaultLimits(),
	})
	s.orders, errs[1] = fulfillment.NewOrders(fulfillment.OrdersConfig{
		Store: s.store, Licenses: s.store, Catalog: s.catalog, Stripe: s.stripe, Watcher: watcher, PublicURL: "http://localhost:8080",
		Now: time.Now, Random: rand.Reader, Log: l.log,
	})
	library, err := fulfillment.NewLibrary(fulfillment.LibraryConfig{
		Licenses: s.store, Links: s.store, Secret: secret, Now: time.Now, Random: rand.Reader,
	})
	errs[2] = err
	inbox, err := fulfillment.NewInbox(fulfillment.InboxConfig{Store: s.store, Signer: s.signer, Catalog: s.catalog, Now: time.Now, Log: l.log})
	errs[3] = err
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	handler, err := web.New(web.Config{
		PublicURL: &url.URL{Scheme: "http", Host: "localhost:8080"}, Accounts: s.accounts, Catalog: s.catalog, Orders: s.orders,
		Previewer: s.orders, Licenses: library, Links: library, Revocations: fulfillment.NewRevocationFile(s.store, time.Now), Inbox: inbox, Health: healthy{},
		SessionStore: s.sessions,
		// No page that is measured asks for these.
		Quotes: struct{ web.Quotes }{}, Enrollment: struct{ web.Enrollment }{}, Requests: struct{ web.Requests }{},
		Subscriptions: noSubscriptions{}, BillingOrigin: "https://billing.stripe.com",
		CheckoutOrigin: "https://checkout.stripe.com", Contact: "bench@bench.example", Logger: l.log, TestMode: true,
	})
	if err != nil {
		return err
	}
	s.url, err = l.serve(handler)
	return err
}

// healthy is a portal that nobody asks how it is.
type healthy struct{}

func (healthy) Check(context.Context) map[string]error { return nil }

// serve serves a handler on a loopback address until the lab closes.
func (l *lab) serve(h http.Handler) (url string, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }()
	l.atEnd(server.Close)
	return "http://" + listener.Addr().String(), nil
}

// deliver posts a webhook and wants it accepted.
func (s *shop) deliver(ctx context.Context, body []byte, header string) error {
	return s.post(ctx, s.url+"/webhooks/stripe", body, header)
}

func (s *shop) post(ctx context.Context, url string, body []byte, header string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Stripe-Signature", header)
	_, err = s.send(r)
	return err
}

// send answers the body of a 200; anything else is an error.
func (s *shop) send(r *http.Request) ([]byte, error) {
	response, err := s.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(response.Body); err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s %s: %s", r.Method, r.URL.Path, response.Status)
	}
	return body.Bytes(), nil
}

// noSubscriptions stands for subscriptions, which the bench sells none of.
type noSubscriptions struct{}

func (noSubscriptions) OfOrder(context.Context, string, string) (fulfillment.Subscribed, error) {
	return fulfillment.Subscribed{}, fulfillment.ErrNotFound
}

func (noSubscriptions) OfDeployment(context.Context, string, string) (fulfillment.Subscribed, error) {
	return fulfillment.Subscribed{}, fulfillment.ErrNotFound
}

func (noSubscriptions) Manage(context.Context, string, string) (string, error) {
	return "", fulfillment.ErrNotFound
}
