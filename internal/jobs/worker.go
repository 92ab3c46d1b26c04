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

// Fulfiller does the work of orders.
type Fulfiller interface {
	EvaluateEvent(ctx context.Context, mode, eventID string) error
	EvaluateOrder(ctx context.Context, orderID string) error
	Issue(ctx context.Context, orderID string) error
	SendReadyMail(ctx context.Context, orderID string) error
	Reconcile(ctx context.Context) (fulfillment.Reconciliation, error)
}

// SignInMailer mails the link and code of a sign-in.
type SignInMailer interface {
	SendSignInMail(ctx context.Context, signInID string) error
}

// Defaults of a Config.
const (
	DefaultPoll      = 25 * time.Millisecond
	DefaultWorkers   = 16
	DefaultReconcile = time.Minute

	jobTimeout = 45 * time.Second // above the time limits of Stripe's and the signer's clients
)

// Config is what a Runner needs. Poll, Workers and Reconcile have defaults; the rest is required.
type Config struct {
	Pool      *pgxpool.Pool
	Schema    string
	Fulfiller Fulfiller
	SignIns   SignInMailer
	Poll      time.Duration // how often to look for jobs that did not announce themselves; 1 ms at least
	Workers   int           // jobs at once in this process
	Reconcile time.Duration // between two reconciliations, of all processes together
	Log       *slog.Logger
}

// Runner works jobs in this process.
type Runner struct{ client *river.Client[pgx.Tx] }

// NewRunner returns a runner that has not started, or says what is missing.
func NewRunner(c Config) (*Runner, error) {
	if c.Pool == nil || c.Schema == "" || c.Fulfiller == nil || c.SignIns == nil || c.Log == nil {
		return nil, errors.New("jobs: a pool, schema, fulfiller, sign-in mailer and log are needed")
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
		Schema: c.Schema, Logger: c.Log, Workers: workers(c.Fulfiller, c.SignIns, c.Log), MaxAttempts: attempts, RetryPolicy: retryPolicy{},
		Queues:        map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: c.Workers}},
		FetchCooldown: river.FetchCooldownMin, FetchPollInterval: c.Poll, JobTimeout: jobTimeout,
		RescueStuckJobsAfter: 2 * jobTimeout, // a worker that was killed keeps its jobs no longer
		PeriodicJobs: []*river.PeriodicJob{river.NewPeriodicJob(river.PeriodicInterval(c.Reconcile),
			func() (river.JobArgs, *river.InsertOpts) { return ReconcileArgs{}, nil }, &river.PeriodicJobOpts{RunOnStart: true})},
	})
	if err != nil {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	return &Runner{client}, nil
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

func workers(f Fulfiller, signIns SignInMailer, log *slog.Logger) *river.Workers {
	w := river.NewWorkers()
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
		return outcome(f.SendReadyMail(ctx, j.Args.OrderID))
	}))
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, j *river.Job[SignInMailArgs]) error {
		return outcome(signIns.SendSignInMail(ctx, j.Args.SignInID))
	}))
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, _ *river.Job[ReconcileArgs]) error {
		done, err := f.Reconcile(ctx)
		log.InfoContext(ctx, "reconciled", "checked", done.Checked, "asked", done.Asked, "failed", done.Failed,
			"paid_without_license", done.PaidWithoutLicense, "license_without_payment", done.LicenseWithoutPayment)
		return err
	}))
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
