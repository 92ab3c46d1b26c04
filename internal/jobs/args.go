// Package jobs runs the portal's background work on River: evaluate, issue, revoke, mail and reconcile. A job carries IDs only and
// is safe to run twice; what it does is the services' matter. Jobs are inserted in the transaction of their cause.
package jobs

import (
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// attempts is how often a job is tried before reconciliation or staff take over: with waits of at most a minute, a day.
const attempts = 1500

// EvaluateArgs looks at an order again: the one behind an event, or the one named.
type EvaluateArgs struct {
	Mode    string `json:"mode,omitempty"`
	EventID string `json:"event_id,omitempty"`
	OrderID string `json:"order_id,omitempty"`
}

// Kind implements river.JobArgs.
func (EvaluateArgs) Kind() string { return "evaluate" }

// RevokeArgs has the signer judge a stored refund or dispute.
type RevokeArgs struct {
	Mode    string `json:"mode"`
	EventID string `json:"event_id"`
}

// Kind implements river.JobArgs.
func (RevokeArgs) Kind() string { return "revoke" }

// IssueArgs asks for the license of an order that was paid at a revision.
type IssueArgs struct {
	OrderID  string `json:"order_id" river:"unique"`
	Revision int64  `json:"revision" river:"unique"`
}

// Kind implements river.JobArgs.
func (IssueArgs) Kind() string { return "issue" }

// InsertOpts keeps one issue job alive for each revision of an order; one that has ended does not stop the next.
func (IssueArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: []rivertype.JobState{
		rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable, rivertype.JobStateRunning, rivertype.JobStateScheduled,
	}}}
}

// ReadyMailArgs tells a buyer that the license is ready.
type ReadyMailArgs struct {
	OrderID string `json:"order_id"`
}

// Kind implements river.JobArgs.
func (ReadyMailArgs) Kind() string { return "ready_mail" }

// PaymentMailArgs tells the buyer of a subscription that an invoice was not paid.
type PaymentMailArgs struct {
	InvoiceID string `json:"invoice_id"`
}

// Kind implements river.JobArgs.
func (PaymentMailArgs) Kind() string { return "payment_mail" }

// StandingMailArgs tells a customer what a revocation bundle changed about a license.
type StandingMailArgs struct {
	LicenseID string `json:"license_id"`
	Epoch     int64  `json:"epoch"`
}

// Kind implements river.JobArgs.
func (StandingMailArgs) Kind() string { return "standing_mail" }

// RequestArgs carries out an approved staff request.
type RequestArgs struct {
	RequestID string `json:"request_id"`
}

// Kind implements river.JobArgs.
func (RequestArgs) Kind() string { return "staff_request" }

// RotateArgs replaces one license of a rotation.
type RotateArgs struct {
	RequestID string `json:"request_id"`
	LicenseID string `json:"license_id"`
}

// Kind implements river.JobArgs.
func (RotateArgs) Kind() string { return "rotate" }

// ReplacementMailArgs tells a member that another license is ready.
type ReplacementMailArgs struct {
	LicenseID string `json:"license_id"`
	UserID    string `json:"user_id"`
}

// Kind implements river.JobArgs.
func (ReplacementMailArgs) Kind() string { return "replacement_mail" }

// QuoteMailArgs tells a buyer that the quote of an order is ready.
type QuoteMailArgs struct {
	OrderID string `json:"order_id"`
}

// Kind implements river.JobArgs.
func (QuoteMailArgs) Kind() string { return "quote_mail" }

// InvoiceMailArgs tells a buyer that an invoice is due.
type InvoiceMailArgs struct {
	InvoiceID string `json:"invoice_id"`
}

// Kind implements river.JobArgs.
func (InvoiceMailArgs) Kind() string { return "invoice_mail" }

// SignInMailArgs mails the link and code of a sign-in.
type SignInMailArgs struct {
	SignInID string `json:"sign_in_id"`
}

// Kind implements river.JobArgs.
func (SignInMailArgs) Kind() string { return "sign_in_mail" }

// ReconcileArgs compares open orders with Stripe.
type ReconcileArgs struct{}

// Kind implements river.JobArgs.
func (ReconcileArgs) Kind() string { return "reconcile" }

// InsertOpts tries a pass once: the next one is soon.
func (ReconcileArgs) InsertOpts() river.InsertOpts { return river.InsertOpts{MaxAttempts: 1} }

// ReconcileHourlyArgs compares the events and the webhook endpoint with Stripe.
type ReconcileHourlyArgs struct{}

// Kind implements river.JobArgs.
func (ReconcileHourlyArgs) Kind() string { return "reconcile_hourly" }

// InsertOpts tries a pass a few times: the next one is in an hour.
func (ReconcileHourlyArgs) InsertOpts() river.InsertOpts { return river.InsertOpts{MaxAttempts: 5} }

// ReconcileDailyArgs compares refunds and disputes with Stripe.
type ReconcileDailyArgs struct{}

// Kind implements river.JobArgs.
func (ReconcileDailyArgs) Kind() string { return "reconcile_daily" }

// InsertOpts tries a pass a few times: the next one is tomorrow.
func (ReconcileDailyArgs) InsertOpts() river.InsertOpts { return river.InsertOpts{MaxAttempts: 20} }

// RevocationsArgs fetches the revocation bundle in force.
type RevocationsArgs struct{}

// Kind implements river.JobArgs.
func (RevocationsArgs) Kind() string { return "revocations" }

// InsertOpts tries until the next one comes, about an hour.
func (RevocationsArgs) InsertOpts() river.InsertOpts { return river.InsertOpts{MaxAttempts: 60} }

// TidyArgs forgets what is of no more use.
type TidyArgs struct{}

// Kind implements river.JobArgs.
func (TidyArgs) Kind() string { return "tidy" }

// InsertOpts tries once: the next one is soon.
func (TidyArgs) InsertOpts() river.InsertOpts { return river.InsertOpts{MaxAttempts: 1} }

// retryPolicy waits 1, 2, 4 … seconds between tries, a minute at most.
type retryPolicy struct{}

// NextRetry implements river.ClientRetryPolicy.
func (retryPolicy) NextRetry(job *rivertype.JobRow) time.Time {
	wait := time.Minute
	if tried := len(job.Errors); tried < 6 {
		wait = time.Second << tried
	}
	return time.Now().Add(wait)
}
