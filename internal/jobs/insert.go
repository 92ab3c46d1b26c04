package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
)

// Inserter inserts jobs inside the transaction of their cause. It is safe for concurrent use.
//
// A job of the webhook is inserted without NOTIFY, whose lock would serialize every webhook's commit; workers are
// woken beside it (postgres.Fulfillment.WakeWorkers) or find it by polling. The others announce themselves.
type Inserter struct {
	loud  *river.Client[pgx.Tx]
	quiet *river.Client[pgx.Tx]
}

// neverNotify is longer than any process lives: River announces at most one insert in so long.
const neverNotify = 100 * 365 * 24 * time.Hour

// NewInserter returns an inserter for the job tables in schema of pool's database.
func NewInserter(pool *pgxpool.Pool, schema string, log *slog.Logger) (*Inserter, error) {
	client := func(cooldown time.Duration) (*river.Client[pgx.Tx], error) {
		return river.NewClient(riverpgxv5.New(pool), &river.Config{
			Schema: schema, Logger: quieter(log), MaxAttempts: attempts, FetchCooldown: cooldown, FetchPollInterval: cooldown,
		})
	}
	loud, err := client(river.FetchCooldownMin)
	if err != nil {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	quiet, err := client(neverNotify)
	if err != nil {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	return &Inserter{loud: loud, quiet: quiet}, nil
}

// EnqueueEvaluate looks at the order behind a stored event.
func (i *Inserter) EnqueueEvaluate(ctx context.Context, tx pgx.Tx, mode, eventID string) error {
	return insert(ctx, i.quiet, tx, EvaluateArgs{Mode: mode, EventID: eventID})
}

// EnqueueRevoke has the signer judge a stored refund or dispute.
func (i *Inserter) EnqueueRevoke(ctx context.Context, tx pgx.Tx, mode, eventID string) error {
	return insert(ctx, i.quiet, tx, RevokeArgs{Mode: mode, EventID: eventID})
}

// EnqueueEvaluateOrder looks at an order again.
func (i *Inserter) EnqueueEvaluateOrder(ctx context.Context, tx pgx.Tx, orderID string) error {
	return insert(ctx, i.loud, tx, EvaluateArgs{OrderID: orderID})
}

// lookEvery is how often an order is looked at for those who wait for it.
const lookEvery = 10 * time.Second

// EnqueueLook looks at an order again, once in ten seconds at most.
func (i *Inserter) EnqueueLook(ctx context.Context, tx pgx.Tx, orderID string) error {
	once := &river.InsertOpts{UniqueOpts: river.UniqueOpts{ByArgs: true, ByPeriod: lookEvery}}
	if _, err := i.loud.InsertTx(ctx, tx, EvaluateArgs{OrderID: orderID}, once); err != nil {
		return fmt.Errorf("enqueue look: %w", err)
	}
	return nil
}

// EnqueueIssue asks for the license of a paid order.
func (i *Inserter) EnqueueIssue(ctx context.Context, tx pgx.Tx, orderID string, revision int64) error {
	return insert(ctx, i.loud, tx, IssueArgs{OrderID: orderID, Revision: revision})
}

// EnqueueReadyMail tells the buyer of an order that the license is ready.
func (i *Inserter) EnqueueReadyMail(ctx context.Context, tx pgx.Tx, orderID string) error {
	return insert(ctx, i.loud, tx, ReadyMailArgs{OrderID: orderID})
}

// EnqueuePaymentMail tells the buyer of a subscription that an invoice was not paid.
func (i *Inserter) EnqueuePaymentMail(ctx context.Context, tx pgx.Tx, invoiceID string) error {
	return insert(ctx, i.loud, tx, PaymentMailArgs{InvoiceID: invoiceID})
}

// EnqueueStandingMail tells the customer what a revocation bundle changed about a license.
func (i *Inserter) EnqueueStandingMail(ctx context.Context, tx pgx.Tx, licenseID string, epoch int64) error {
	return insert(ctx, i.loud, tx, StandingMailArgs{LicenseID: licenseID, Epoch: epoch})
}

// EnqueueRequest carries out an approved staff request.
func (i *Inserter) EnqueueRequest(ctx context.Context, tx pgx.Tx, requestID string) error {
	return insert(ctx, i.loud, tx, RequestArgs{RequestID: requestID})
}

// rotateBatch is how many jobs go into one statement.
const rotateBatch = 1000

// EnqueueRotate replaces the licenses of a rotation, a job each. What people buy meanwhile goes first.
func (i *Inserter) EnqueueRotate(ctx context.Context, tx pgx.Tx, requestID string, licenseIDs []string) error {
	for batch := range slices.Chunk(licenseIDs, rotateBatch) {
		params := make([]river.InsertManyParams, len(batch))
		for n, id := range batch {
			params[n] = river.InsertManyParams{Args: RotateArgs{RequestID: requestID, LicenseID: id}, InsertOpts: &river.InsertOpts{Priority: 2}}
		}
		if _, err := i.loud.InsertManyFastTx(ctx, tx, params); err != nil {
			return fmt.Errorf("enqueue rotate: %w", err)
		}
	}
	return nil
}

// EnqueueReplacementMail tells a member that another license is ready.
func (i *Inserter) EnqueueReplacementMail(ctx context.Context, tx pgx.Tx, licenseID, userID string) error {
	return insert(ctx, i.loud, tx, ReplacementMailArgs{LicenseID: licenseID, UserID: userID})
}

// EnqueueQuoteMail tells the buyer that the quote of an order is ready.
func (i *Inserter) EnqueueQuoteMail(ctx context.Context, tx pgx.Tx, orderID string) error {
	return insert(ctx, i.loud, tx, QuoteMailArgs{OrderID: orderID})
}

// EnqueueInvoiceMail tells the buyer that an invoice is due.
func (i *Inserter) EnqueueInvoiceMail(ctx context.Context, tx pgx.Tx, invoiceID string) error {
	return insert(ctx, i.loud, tx, InvoiceMailArgs{InvoiceID: invoiceID})
}

// EnqueueSignInMail mails the link and code of a sign-in.
func (i *Inserter) EnqueueSignInMail(ctx context.Context, tx pgx.Tx, signInID string) error {
	return insert(ctx, i.loud, tx, SignInMailArgs{SignInID: signInID})
}

func insert(ctx context.Context, c *river.Client[pgx.Tx], tx pgx.Tx, args river.JobArgs) error {
	if _, err := c.InsertTx(ctx, tx, args, nil); err != nil {
		return fmt.Errorf("enqueue %s: %w", args.Kind(), err)
	}
	return nil
}
