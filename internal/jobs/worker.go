package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// OrderMails tells buyers what became of their orders.
type OrderMails interface {
	SendReadyMail(ctx context.Context, orderID string) error
	SendPaymentMail(ctx context.Context, invoiceID string) error
}

// Fulfiller does the work of orders.
type Fulfiller interface {
	OrderMails
	EvaluateEvent(ctx context.Context, mode, eventID string) error
	EvaluateOrder(ctx context.Context, orderID string) error
	Issue(ctx context.Context, orderID string) error
	Reconcile(ctx context.Context) (fulfillment.Reconciliation, error)
}

// Revoker brings refunds and disputes to the signer, and its revocation bundles back.
type Revoker interface {
	RevokeByEvent(ctx context.Context, mode, eventID string) error
	Refresh(ctx context.Context) error
	SendStandingMail(ctx context.Context, licenseID string, epoch int64) error
}

// Executor carries out what staff approved.
type Executor interface {
	Execute(ctx context.Context, requestID string) error
	Rotate(ctx context.Context, requestID, licenseID string) error
	SendReplacementMail(ctx context.Context, licenseID, userID string) error
}

// BillMails tells buyers of quotes and invoices.
type BillMails interface {
	SendQuoteMail(ctx context.Context, orderID string) error
	SendInvoiceMail(ctx context.Context, invoiceID string) error
}

// Reconciler finds what Stripe told and did not arrive.
type Reconciler interface {
	Hourly(ctx context.Context) error
	Daily(ctx context.Context) error
}

// Tidier forgets what is of no more use: expired sessions, old counts of attempts.
type Tidier interface {
	Tidy(ctx context.Context) error
}

// Defaults of a Config.
const (
	DefaultPoll      = 25 * time.Millisecond
	DefaultWorkers   = 16
	DefaultReconcile = time.Minute

	tidyEvery        = time.Hour
	passTimeout      = 10 * time.Minute // of a pass over lists of Stripe's
	revocationsEvery = time.Hour
	jobTimeout       = 45 * time.Second // above the time limits of Stripe's and the signer's clients
)

// Config is what a Runner needs. Poll, Workers and Reconcile have defaults; the rest is required.
type Config struct {
	Pool       *pgxpool.Pool
	Schema     string
	Fulfiller  Fulfiller
	Revoker    Revoker
	Executor   Executor
	BillMails  BillMails
	Reconciler Reconciler
	SignIns    SignIns
	Sender     SignInSender
	Tidier     Tidier
	Poll       time.Duration // how often to look for jobs that did not announce themselves; 1 ms at least
	Workers    int           // jobs at once in this process
	Reconcile  time.Duration // between two reconciliations, of all processes together
	Log        *slog.Logger
}

// Runner works jobs in this process.
type Runner struct{ client *river.Client[pgx.Tx] }

// NewRunner returns a runner that has not started, or says what is missing.
func NewRunner(c Config) (*Runner, error) {
	if c.Pool == nil || c.Schema == "" || c.Fulfiller == nil || c.Revoker == nil || c.Executor == nil || c.BillMails == nil || c.Reconciler == nil || c.SignIns == nil || c.Sender == nil || c.Tidier == nil || c.Log == nil {
		return nil, errors.New("jobs: a pool, schema, fulfiller, revoker, executor, bill mails, reconciler, sign-ins, sender, tidier and log are needed")
	}
	if c.Poll == 0 {
		c.Poll = DefaultPoll
	}
	if c.Workers == 0 {
		c.Workers = DefaultWorkers
	}
	if c.Reconcile == 0 {
		c.Reconcile = DefaultReconcile
	}
	client, err := river.NewClient(riverpgxv5.New(c.Pool), &river.Config{
		Schema: c.Schema, Logger: quieter(c.Log), Workers: workers(c), MaxAttempts: attempts, RetryPolicy: retryPolicy{},
		Queues:        map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: c.Workers}},
		FetchCooldown: river.FetchCooldownMin, FetchPollInterval: c.Poll, JobTimeout: jobTimeout,
		RescueStuckJobsAfter: 2 * jobTimeout, // a worker that was killed keeps its jobs no longer
		PeriodicJobs: []*river.PeriodicJob{
			every(c.Reconcile, ReconcileArgs{}), every(revocationsEvery, RevocationsArgs{}), every(tidyEvery, TidyArgs{}),
			every(time.Hour, ReconcileHourlyArgs{}), every(24*time.Hour, ReconcileDailyArgs{}),
		},
	})
	if err != nil {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	return &Runner{client}, nil
}

func every(interval time.Duration, args river.JobArgs) *river.PeriodicJob {
	return river.NewPeriodicJob(river.PeriodicInterval(interval),
		func() (river.JobArgs, *river.InsertOpts) { return args, nil }, &river.PeriodicJobOpts{RunOnStart: true})
}

// Start begins to work jobs. They go on until Stop, whatever becomes of ctx.
func (r *Runner) Start(ctx context.Context) error { return r.client.Start(context.WithoutCancel(ctx)) }

// Stop takes no further jobs and waits for those under way until ctx ends; then it cancels them. A job cut off is run again.
func (r *Runner) Stop(ctx context.Context) error {
	if err := r.client.Stop(ctx); err == nil || ctx.Err() == nil {
		return err
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return r.client.StopAndCancel(last)
}

// pass works a job that reads lists of Stripe's, which takes longer than the others may.
type pass[T river.JobArgs] struct {
	river.WorkerDefaults[T]
	run func(ctx context.Context) error
}

// Work implements river.Worker.
func (p pass[T]) Work(ctx context.Context, _ *river.Job[T]) error { return p.run(ctx) }

// Timeout implements river.Worker.
func (p pass[T]) Timeout(*river.Job[T]) time.Duration { return passTimeout }

func workers(c Config) *river.Workers {
	w, f := river.NewWorkers(), c.Fulfiller
	river.AddWorker(w, pass[ReconcileHourlyArgs]{run: c.Reconciler.Hourly})
	river.AddWorker(w, pass[ReconcileDailyArgs]{run: c.Reconciler.Daily})
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, j *river.Job[EvaluateArgs]) error {
		if j.Args.OrderID != "" {
			return outcome(f.EvaluateOrder(ctx, j.Args.OrderID))
		}
		return outcome(f.EvaluateEvent(ctx, j.Args.Mode, j.Args.EventID))
	}))
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, j *river.Job[IssueArgs]) error {
		return outcome(f.Issue(ctx, j.Args.OrderID))
	}))
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, j *river.Job[ReadyMailArgs]) error {
		return undeliverable(outcome(f.SendReadyMail(ctx, j.Args.OrderID)))
	}))
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, j *river.Job[PaymentMailArgs]) error {
		return undeliverable(outcome(f.SendPaymentMail(ctx, j.Args.InvoiceID)))
	}))
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, j *river.Job[RevokeArgs]) error {
		return outcome(c.Revoker.RevokeByEvent(ctx, j.Args.Mode, j.Args.EventID))
	}))
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, _ *river.Job[RevocationsArgs]) error { return c.Revoker.Refresh(ctx) }))
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, j *river.Job[StandingMailArgs]) error {
		return undeliverable(outcome(c.Revoker.SendStandingMail(ctx, j.Args.LicenseID, j.Args.Epoch)))
	}))
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, j *river.Job[RequestArgs]) error {
		return outcome(c.Executor.Execute(ctx, j.Args.RequestID))
	}))
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, j *river.Job[RotateArgs]) error {
		return outcome(c.Executor.Rotate(ctx, j.Args.RequestID, j.Args.LicenseID))
	}))
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, j *river.Job[ReplacementMailArgs]) error {
		return undeliverable(outcome(c.Executor.SendReplacementMail(ctx, j.Args.LicenseID, j.Args.UserID)))
	}))
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, j *river.Job[QuoteMailArgs]) error {
		return undeliverable(outcome(c.BillMails.SendQuoteMail(ctx, j.Args.OrderID)))
	}))
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, j *river.Job[InvoiceMailArgs]) error {
		return undeliverable(outcome(c.BillMails.SendInvoiceMail(ctx, j.Args.InvoiceID)))
	}))
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, j *river.Job[SignInMailArgs]) error {
		return sendSignIn(ctx, c.SignIns, c.Sender, j.Args.SignInID)
	}))
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, _ *river.Job[ReconcileArgs]) error {
		done, err := f.Reconcile(ctx)
		c.Log.InfoContext(ctx, "reconciled", "checked", done.Checked, "asked", done.Asked, "failed", done.Failed,
			"paid_without_license", done.PaidWithoutLicense, "license_without_payment", done.LicenseWithoutPayment)
		return err
	}))
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, _ *river.Job[TidyArgs]) error { return c.Tidier.Tidy(ctx) }))
	return w
}

// outcome lets a job that only came early wait without counting a try, and gives up one whose subject is gone.
func outcome(err error) error {
	var later *fulfillment.LaterError
	switch {
	case errors.As(err, &later):
		return river.JobSnooze(later.After)
	case errors.Is(err, fulfillment.ErrNotFound):
		return river.JobCancel(err)
	}
	return err
}
