package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/metrum-ai/licensing-portal/internal/account"
	"github.com/metrum-ai/licensing-portal/internal/billing"
	"github.com/metrum-ai/licensing-portal/internal/config"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/internal/jobs"
	"github.com/metrum-ai/licensing-portal/internal/mail"
	"github.com/metrum-ai/licensing-portal/internal/passkey"
	"github.com/metrum-ai/licensing-portal/internal/postgres"
	"github.com/metrum-ai/licensing-portal/internal/signer"
)

// signInWindow is what the configuration counts sign-ins by.
const signInWindow = 15 * time.Minute

// parts are what the commands are made of; which of them are there depends on the parts of the configuration.
type parts struct {
	config  config.Config
	pool    *pgxpool.Pool
	store   *postgres.Fulfillment
	queue   *jobs.Inserter
	signer  *signer.Client
	catalog *fulfillment.Catalog
	stripe  *billing.Client
	log     *slog.Logger
}

// open reads the configuration and connects what of it is asked for. Close it.
func (p program) open(ctx context.Context, what config.Part) (*parts, error) {
	c, err := config.Load(p.getenv, what)
	if err != nil {
		return nil, err
	}
	a := &parts{config: c, log: p.log}
	if what&config.Signer != 0 {
		if a.signer, err = newSigner(c); err != nil {
			return nil, err
		}
		a.catalog = fulfillment.NewCatalog(a.signer, time.Now)
	}
	if what&config.Stripe != 0 {
		if a.stripe, err = billing.New(billing.Config{Key: c.StripeAPIKey.Reveal(), URL: c.StripeAPIURL, Logger: p.log}); err != nil {
			return nil, err
		}
	}
	if what&config.Database == 0 {
		return a, nil
	}
	patience := postgres.JobPatience
	if what&config.Web != 0 {
		patience = postgres.PagePatience
	}
	if a.pool, err = postgres.Open(ctx, c.DatabaseURL.Reveal(), patience); err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	if a.queue, err = jobs.NewInserter(a.pool, postgres.JobSchema, p.log); err != nil {
		a.Close()
		return nil, err
	}
	a.store = postgres.NewFulfillment(a.pool, a.queue)
	return a, nil
}

// newSigner connects to the signer on this host's socket, or on its own host.
func newSigner(c config.Config) (*signer.Client, error) {
	if c.SignerTLS == nil {
		return signer.NewClient(c.SignerSocket), nil
	}
	certificate, cas, err := c.SignerTLS.Load()
	if err != nil {
		return nil, err
	}
	return signer.NewTLSClient(signer.TLSConfig{URL: c.SignerTLS.URL, Certificate: certificate, CAs: cas})
}

// Close gives back the connections.
func (a *parts) Close() {
	if a.pool != nil {
		a.pool.Close()
	}
}

// checkMode refuses to start with a Stripe key of another mode than the trust bundle's. A signer that does not answer yet is
// no reason not to start.
func (a *parts) checkMode(ctx context.Context) (livemode bool, err error) {
	bundle, err := a.catalog.Bundle(ctx)
	if errors.Is(err, fulfillment.ErrUnavailable) {
		a.log.WarnContext(ctx, "signer does not answer yet", "error", err)
		return a.config.Mode() == config.ModeLive, nil
	}
	if err != nil {
		return false, err
	}
	return bundle.Stripe.Livemode, a.config.CheckMode(bundle.Stripe.Livemode)
}

// awaitDatabase waits until the database answers, however long that takes; it errors when ctx ends.
func (a *parts) awaitDatabase(ctx context.Context) error {
	for told := false; ; told = true {
		err := a.store.Ping(ctx)
		if err == nil {
			return nil
		}
		if !told {
			a.log.WarnContext(ctx, "database does not answer yet; waiting for it", "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

func (a *parts) accounts() (*account.Service, error) {
	store := postgres.NewAccounts(a.pool, a.queue)
	return account.New(account.Config{
		SignIns: store, Organizations: store, Limiter: postgres.NewRateLimits(a.pool), Secret: []byte(a.config.Secret.Reveal()),
		Rand: rand.Reader, Now: time.Now, Logger: a.log,
		Limits: account.Limits{
			SignInsPerAddress: account.Limit{Count: a.config.SignInsPerAddress, Window: signInWindow},
			SignInsPerIP:      account.Limit{Count: a.config.SignInsPerIP, Window: signInWindow},
			CodesPerIP:        account.Limit{Count: codesPerSignIns(a.config.SignInsPerIP), Window: signInWindow},
		},
	})
}

// codesPerSignIns is how many codes a network may try that may ask for so many sign-ins: half of the five tries of each.
func codesPerSignIns(signIns int) int { return (signIns*account.MaxCodeTries + 1) / 2 }

func (a *parts) mailer() (*mail.Sender, error) {
	return mail.New(mail.Config{
		SMTPURL: a.config.SMTPURL.Reveal(), From: a.config.MailFrom, PublicURL: a.config.PublicURL, Now: time.Now,
	})
}

func (a *parts) orders(watcher fulfillment.Watcher) (*fulfillment.Orders, error) {
	return fulfillment.NewOrders(fulfillment.OrdersConfig{
		Store: a.store, Licenses: a.store, Catalog: a.catalog, Stripe: a.stripe, Watcher: watcher, PublicURL: a.config.PublicURL,
		Now: time.Now, Random: rand.Reader, Log: a.log,
	})
}

func (a *parts) quotes(orders *fulfillment.Orders) (*fulfillment.Quotes, error) {
	return fulfillment.NewQuotes(fulfillment.QuotesConfig{Orders: orders, Store: a.store, List: a.store, Looks: a.store, Stripe: a.stripe})
}

func (a *parts) fulfiller(m fulfillment.Mailer) (*fulfillment.Fulfiller, error) {
	return fulfillment.NewFulfiller(fulfillment.FulfillerConfig{
		Evaluations: a.store, Issuances: a.store, Mails: a.store, Reconciles: a.store, Stripe: a.stripe, Invoices: a.stripe, Signer: a.signer,
		Catalog: a.catalog, Mailer: m, Now: time.Now, Log: a.log,
	})
}

func (a *parts) enrollment() (*passkey.Enrollment, error) {
	return passkey.NewEnrollment(passkey.EnrollmentConfig{
		Catalog: a.catalog, PublicURL: a.config.PublicURL, Secret: []byte(a.config.Secret.Reveal()), Now: time.Now,
	})
}

func (a *parts) revoker(stripe fulfillment.TakenStripe, m fulfillment.StandingMailer) (*fulfillment.Revoker, error) {
	return fulfillment.NewRevoker(fulfillment.RevokerConfig{
		Store: a.store, Taken: a.store, Mails: a.store, Stripe: stripe, Signer: a.signer, Catalog: a.catalog, Mailer: m, Now: time.Now, Log: a.log,
	})
}

func (a *parts) reconciler(revoker *fulfillment.Revoker) (*fulfillment.Reconciler, error) {
	return fulfillment.NewReconciler(fulfillment.ReconcilerConfig{
		Store: a.store, Events: a.store, Gauges: a.store, Stripe: a.stripe, Revoker: revoker, Catalog: a.catalog,
		WebhookURL: a.config.StripeWebhookURL, Now: time.Now, Log: a.log,
	})
}

func (a *parts) executor(keeper fulfillment.BundleKeeper, m fulfillment.ReplacementMailer) (*fulfillment.Executor, error) {
	return fulfillment.NewExecutor(fulfillment.ExecutorConfig{
		Store: a.store, Rotation: a.store, Subjects: a.store, Mails: a.store, Signer: a.signer, Bundles: keeper, Catalog: a.catalog, Mailer: m,
		Now: time.Now, Log: a.log,
	})
}

func (a *parts) requests() (*fulfillment.Requests, error) {
	return fulfillment.NewRequests(fulfillment.RequestsConfig{
		Store: a.store, Subjects: a.store, Catalog: a.catalog, PublicURL: a.config.PublicURL, Secret: []byte(a.config.Secret.Reveal()),
		Now: time.Now, Random: rand.Reader, Log: a.log,
	})
}

// health tells which parts behind the portal answer.
type health struct {
	store  *postgres.Fulfillment
	signer *signer.Client
}

// Check asks each part and waits two seconds at most.
func (h health) Check(ctx context.Context) map[string]error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	signing := make(chan error, 1)
	go func() {
		status, err := h.signer.Status(ctx)
		if err == nil && !status.Ready {
			err = fmt.Errorf("not ready: %s", status.Problem)
		}
		signing <- err
	}()
	return map[string]error{"database": h.store.Ping(ctx), "signer": <-signing}
}

// How long what has expired is kept: sign-ins, so that an old link is told from an unknown one, and counts of attempts, whose
// longest window is a day.
const (
	keepSignIns = 7 * 24 * time.Hour
	keepCounts  = 24 * time.Hour
)

// housekeeping forgets expired sessions, old sign-ins and old counts of attempts.
type housekeeping struct {
	sessions *postgres.Sessions
	accounts *postgres.Accounts
	limits   *postgres.RateLimits
	now      func() time.Time
}

// Tidy implements jobs.Tidier.
func (h housekeeping) Tidy(ctx context.Context) error {
	_, err := h.sessions.DeleteExpired(ctx)
	_, signInsErr := h.accounts.DeleteSignIns(ctx, h.now().Add(-keepSignIns))
	_, limitsErr := h.limits.DeleteBefore(ctx, h.now().Add(-keepCounts))
	return errors.Join(err, signInsErr, limitsErr)
}
