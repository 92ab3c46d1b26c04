package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Queue enqueues jobs inside the transaction of the fact that caused them; jobs.Inserter is the one. The job is seen by a
// worker once the transaction commits, and never if it does not.
type Queue interface {
	// EnqueueEvaluate looks at the order behind a stored event.
	EnqueueEvaluate(ctx context.Context, tx pgx.Tx, mode, eventID string) error
	// EnqueueRevoke has the signer judge a stored refund or dispute.
	EnqueueRevoke(ctx context.Context, tx pgx.Tx, mode, eventID string) error
	// EnqueueEvaluateOrder looks at an order again because of something else, such as a release by staff.
	EnqueueEvaluateOrder(ctx context.Context, tx pgx.Tx, orderID string) error
	// EnqueueLook looks at an order again because somebody waits for it; of several within seconds the first is enough.
	EnqueueLook(ctx context.Context, tx pgx.Tx, orderID string) error
	// EnqueueIssue asks for the license of a paid order.
	EnqueueIssue(ctx context.Context, tx pgx.Tx, orderID string, revision int64) error
	// EnqueueReadyMail sends "your license is ready" of an order.
	EnqueueReadyMail(ctx context.Context, tx pgx.Tx, orderID string) error
	// EnqueuePaymentMail tells the buyer of a subscription that an invoice was not paid.
	EnqueuePaymentMail(ctx context.Context, tx pgx.Tx, invoiceID string) error
	// EnqueueStandingMail tells the customer what a revocation bundle changed about a license.
	EnqueueStandingMail(ctx context.Context, tx pgx.Tx, licenseID string, epoch int64) error
	// EnqueueRequest carries out an approved staff request.
	EnqueueRequest(ctx context.Context, tx pgx.Tx, requestID string) error
	// EnqueueRotate replaces the licenses of a rotation, a job each.
	EnqueueRotate(ctx context.Context, tx pgx.Tx, requestID string, licenseIDs []string) error
	// EnqueueReplacementMail tells a member that another license is ready.
	EnqueueReplacementMail(ctx context.Context, tx pgx.Tx, licenseID, userID string) error
	// EnqueueQuoteMail tells the buyer that the quote of an order is ready.
	EnqueueQuoteMail(ctx context.Context, tx pgx.Tx, orderID string) error
	// EnqueueInvoiceMail tells the buyer that an invoice is due.
	EnqueueInvoiceMail(ctx context.Context, tx pgx.Tx, invoiceID string) error
	// EnqueueSignInMail sends the mail of a sign-in; the job carries its ID only.
	EnqueueSignInMail(ctx context.Context, tx pgx.Tx, signInID string) error
}
