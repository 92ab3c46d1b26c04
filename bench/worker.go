package main

import (
	"context"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/account"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/internal/jobs"
	"github.com/metrum-ai/licensing-portal/internal/postgres"
)

// work starts a worker as a production host runs it: connections of its own, the defaults of the configuration, and woken
// through the database alone. Its mails go nowhere.
func (s *shop) work(ctx context.Context, l *lab) error {
	pool, err := postgres.Open(ctx, s.databaseURL, postgres.JobPatience)
	if err != nil {
		return err
	}
	l.atEnd(func() error { pool.Close(); return nil })
	queue, err := jobs.NewInserter(pool, postgres.JobSchema, l.log)
	if err != nil {
		return err
	}
	store := postgres.NewFulfillment(pool, queue)
	fulfiller, err := fulfillment.NewFulfiller(fulfillment.FulfillerConfig{
		Evaluations: store, Issuances: store, Mails: store, Reconciles: store, Stripe: s.stripe, Invoices: s.stripe, Signer: s.signer,
		Catalog: fulfillment.NewCatalog(s.signer, time.Now), Mailer: nowhere{}, Now: time.Now, Log: l.log,
	})
	if err != nil {
		return err
	}
	revoker, err := fulfillment.NewRevoker(fulfillment.RevokerConfig{
		Store: store, Taken: store, Mails: store, Stripe: s.stripe, Signer: s.signer, Catalog: fulfillment.NewCatalog(s.signer, time.Now), Mailer: nowhere{}, Now: time.Now, Log: l.log,
	})
	if err != nil {
		return err
	}
	executor, err := fulfillment.NewExecutor(fulfillment.ExecutorConfig{
		Store: store, Rotation: store, Subjects: store, Mails: store, Signer: s.signer, Bundles: revoker,
		Catalog: fulfillment.NewCatalog(s.signer, time.Now), Mailer: nowhere{}, Now: time.Now, Log: l.log,
	})
	if err != nil {
		return err
	}
	runner, err := jobs.NewRunner(jobs.Config{
		Pool: pool, Schema: postgres.JobSchema, Fulfiller: fulfiller, Revoker: revoker, Executor: executor, Reconciler: nowhere{}, BillMails: nowhere{}, SignIns: s.accounts, Sender: nowhere{}, Tidier: nowhere{},
		Poll: 100 * time.Millisecond, Workers: 8, Reconcile: 3 * time.Minute, Log: l.log,
	})
	if err != nil {
		return err
	}
	if err := runner.Start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	l.atEnd(func() error {
		patience, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		return runner.Stop(patience)
	})
	return nil
}

// nowhere takes mails and chores.
type nowhere struct{}

func (nowhere) SendReplacement(context.Context, fulfillment.ReplacementMail) error { return nil }
func (nowhere) SendReady(context.Context, fulfillment.ReadyMail) error             { return nil }
func (nowhere) SendPayment(context.Context, fulfillment.PaymentMail) error         { return nil }
func (nowhere) SendStanding(context.Context, fulfillment.StandingMail) error       { return nil }
func (nowhere) SendQuoteMail(context.Context, string) error                        { return nil }
func (nowhere) SendInvoiceMail(context.Context, string) error                      { return nil }
func (nowhere) SendSignIn(context.Context, account.Mail) error                     { return nil }
func (nowhere) Hourly(context.Context) error                                       { return nil }
func (nowhere) Daily(context.Context) error                                        { return nil }
func (nowhere) Tidy(context.Context) error                                         { return nil }
