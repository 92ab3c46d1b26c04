// Package fulfillment takes an order from payment to license. It owns the decision: Decide is a pure function over the
// snapshot of what was ordered and the facts that Stripe tells now, so that the order, number and age of events stop
// mattering. It knows neither SQL nor Stripe nor the job queue; it declares what it needs of them.
package fulfillment

import (
	"errors"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
)

// State is where an order stands.
type State string

// The states of an order.
const (
	StateDraft           State = "draft"
	StateAwaitingPayment State = "awaiting_payment"
	StateProcessing      State = "processing" // a bank debit under way
	StateInReview        State = "in_review"
	StatePaid            State = "paid"
	StateIssued          State = "issued"
	StateFailed          State = "failed" // no payment was taken; it can be paid again
	StateCanceled        State = "canceled"
)

// Snapshot is what was ordered, frozen at the first checkout session.
type Snapshot struct {
	Template catalog.Template `json:"template"`
	Intent   catalog.Intent   `json:"intent"`
	Currency string           `json:"currency"` // upper case
	Total    int64            `json:"total"`    // net, minor units
	Channel  Channel          `json:"channel,omitempty"`
	Contract catalog.Contract `json:"contract,omitzero"` // of a quote: what was agreed beyond the template
	Offer    Offer            `json:"offer,omitzero"`    // of a quote
}

// Reason says why an order is in review: a code and words for staff.
type Reason struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// Order is one purchase.
type Order struct {
	ID             string // "ord_…"
	OrganizationID string
	DeploymentID   string
	DeploymentName string
	BuyerEmail     string
	State          State
	Snapshot       Snapshot
	Reasons        []Reason  // in review: why; afterwards: why it had been
	Failure        string    // failed: what the customer is told, e.g. "The bank refused the payment."
	CloseNote      string    // canceled by staff: why, for staff alone; "" otherwise
	LicenseID      string    // issued
	Quoted         QuoteStep // by quote and not paid: how far its quote is; "" otherwise
	ReceiptURL     string    // Stripe's page of its payment at checkout; "" before, for invoices, and in lists
	Refunds        []Charge  // its charges that Stripe gave money back of, without the single refunds; not in lists
	Revision       int64     // grows with each change
	Attempt        int       // checkout sessions made so far
	CreatedAt      time.Time
	SubmittedAt    time.Time // first checkout session; zero before
	PaidAt         time.Time // zero before
	IssuedAt       time.Time // when the license was stored; zero before
	DownloadedAt   time.Time // first download of its license; zero before
	ClosedAt       time.Time // canceled; zero otherwise
	UpdatedAt      time.Time
}

// QuoteStep is how far an order by quote is on the way to its payment.
type QuoteStep string

// The steps.
const (
	QuoteOffered  QuoteStep = "offered"  // to be accepted or declined
	QuoteAccepted QuoteStep = "accepted" // its invoice is not here yet
	QuoteInvoiced QuoteStep = "invoiced" // to be paid
)

// OrderFilter narrows a list of orders.
type OrderFilter string

// The filters.
const (
	OrdersAll  OrderFilter = "all"
	OrdersOpen OrderFilter = "open" // neither issued nor canceled: what somebody still waits for
)

// Open reports whether the order still moves by itself or by staff, so that its page should keep watching.
func (o Order) Open() bool {
	switch o.State {
	case StateAwaitingPayment, StateProcessing, StateInReview, StatePaid:
		return true
	}
	return false
}

// DraftRequest is what a customer picked. OrderID names an existing draft to change; empty makes a new one.
// FormKey is the form's idempotency key: a second request with the same key answers the same order.
type DraftRequest struct {
	OrderID        string
	FormKey        string
	OrganizationID string
	UserID         string
	BuyerEmail     string
	Kind           catalog.IssuanceKind
	SKU            string
	DeploymentID   string   // existing; or
	DeploymentName string   // a new one's name
	Environments   []string // of the template's
	Fingerprints   []string
	BaseLicenseID  string // renewal and top-up
}

// FieldError is a mistake in one field of a form; Field is its name there.
type FieldError struct{ Field, Message string }

// ValidationError is everything wrong with a request at once.
type ValidationError struct{ Fields []FieldError }

// Error implements error.
func (e *ValidationError) Error() string { return "the request has mistakes" }

// What can be wrong with a request.
var (
	ErrNotFound         = errors.New("not found") // also for what belongs to another organization
	ErrFrozen           = errors.New("order can no longer be changed")
	ErrNotPayable       = errors.New("order cannot be paid in its state")
	ErrTemplateGone     = errors.New("package is not on sale")
	ErrPriceChanged     = errors.New("price changed since the order was drafted")
	ErrSubscribed       = errors.New("deployment has a subscription")
	ErrOpenRenewal      = errors.New("another renewal of this license is open")
	ErrUnavailable      = errors.New("a part of the portal does not answer") // wrapped; the customer may try again
	ErrNotInReview      = errors.New("order is not in review")
	ErrSessionNotOpen   = errors.New("checkout session is not open")
	ErrSignatureInvalid = errors.New("webhook signature is not valid")
	ErrTooLarge         = errors.New("webhook body is too large")
)
