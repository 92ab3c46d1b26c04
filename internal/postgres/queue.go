package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Queue enqueues jobs inside the transaction of the fact that caused them; jobs.Inserter is the one. The job is seen by a
// worker once the transaction commits, and never if it does not.
type Queue interface {
	// EnqueueEvaluate looks at an order again because of an event, or of another cause named by eventID.
	EnqueueEvaluate(ctx context.Context, tx pgx.Tx, eventKey string) error
	// EnqueueIssue asks for the license of a paid order.
	EnqueueIssue(ctx context.Context, tx pgx.Tx, orderID string, revision int64) error
	// EnqueueReadyMail sends "your license is ready" of an order.
	EnqueueReadyMail(ctx context.Context, tx pgx.Tx, orderID string) error
	// EnqueueSignInMail sends the mail of a sign-in; the job carries its ID only.
	EnqueueSignInMail(ctx context.Context, tx pgx.Tx, signInID string) error
}
