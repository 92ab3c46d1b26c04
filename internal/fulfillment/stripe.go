package fulfillment

import (
	"context"
	"time"
)

// Stripe is what fulfillment needs of the payment service. Each call is one or more network calls and never happens inside
// a database transaction. An error that wraps ErrUnavailable is worth another try; any other stands.
type Stripe interface {
	// CreateCheckout makes a hosted checkout session for exactly what was ordered, in subscription mode for a template with an
	// interval and in payment mode otherwise: one line with the price behind LookupKey, Snapshot.Intent.Quantity times;
	// client_reference_id is the order ID; Snapshot.Intent.Metadata() is the metadata of the session, and of the subscription
	// that it begins, and nothing else is. The price found at Stripe must have the snapshot's currency, amount and
	// interval, or the error wraps ErrPriceChanged. Repeating a call with the same IdempotencyKey answers the same session.
	CreateCheckout(ctx context.Context, r CheckoutRequest) (OpenSession, error)
	// FetchSession reads a session afresh, with its line items, payment intent and charge expanded. ErrNotFound if there is none.
	FetchSession(ctx context.Context, sessionID string) (Session, error)
	// ExpireSession ends an open session. ErrSessionNotOpen if it is complete or expired already.
	ExpireSession(ctx context.Context, sessionID string) error
	// PaidEventIDs lists the events of type checkout.session.completed, checkout.session.async_payment_succeeded and
	// invoice.paid whose object is objectID and that were created at since or later (Stripe keeps events for 30 days), oldest
	// first.
	PaidEventIDs(ctx context.Context, objectID string, since time.Time) ([]string, error)
	// RetryEvent asks Stripe to deliver an event to the webhook endpoint again.
	RetryEvent(ctx context.Context, eventID string) error
}

// CheckoutRequest asks for a checkout session. Every field is frozen with the order and attempt, so that the request can be
// repeated word for word.
type CheckoutRequest struct {
	OrderID        string
	Attempt        int      // from 1
	IdempotencyKey string   // of order and attempt, survives retries
	Snapshot       Snapshot // template (LookupKey, name), intent (metadata, quantity), currency and total
	CustomerEmail  string   // passed when StripeCustomer is empty: what Stripe signs then names the buyer; it makes a customer only where it needs one
	StripeCustomer string   // "cus_…" of the organization, "" until its first payment
	SuccessURL     string
	CancelURL      string
	ExpiresAt      time.Time // Stripe allows 30 minutes to 24 hours ahead
}

// OpenSession is a checkout session just made.
type OpenSession struct {
	ID        string // "cs_…"
	URL       string // where the browser goes
	ExpiresAt time.Time
}

// Session is what Stripe says now about a checkout session. Enumerations are Stripe's own words, also unknown ones.
type Session struct {
	ID                string            `json:"id"`
	Livemode          bool              `json:"livemode"`
	Mode              string            `json:"mode"`           // "payment", "subscription", "setup"
	Status            string            `json:"status"`         // "open", "complete", "expired"
	PaymentStatus     string            `json:"payment_status"` // "paid", "unpaid", "no_payment_required"
	Currency          string            `json:"currency"`       // upper case
	AmountSubtotal    int64             `json:"amount_subtotal"`
	AmountDiscount    int64             `json:"amount_discount"`
	AmountTotal       int64             `json:"amount_total"`
	LookupKey         string            `json:"lookup_key"` // of its only line's price; "" when there is not exactly one line
	Quantity          int64             `json:"quantity"`   // of its only line; 0 when there is not exactly one line
	ClientReferenceID string            `json:"client_reference_id"`
	Metadata          map[string]string `json:"metadata"`
	PaymentIntentID   string            `json:"payment_intent_id,omitempty"`
	PaymentIntent     string            `json:"payment_intent,omitempty"`  // its status: "processing", "requires_payment_method", "succeeded", …; "" when there is none
	ReceiptURL        string            `json:"receipt_url,omitempty"`     // Stripe's page of the payment; "" until it succeeded
	PaymentFailure    string            `json:"payment_failure,omitempty"` // the last payment error's message for the customer; "" if none
	StripeCustomer    string            `json:"stripe_customer,omitempty"` // "cus_…" or ""
	SubscriptionID    string            `json:"subscription_id,omitempty"` // that it began; "" before, and in other modes
	InvoiceID         string            `json:"invoice_id,omitempty"`      // the subscription's first; "" as above
	CreatedAt         time.Time         `json:"created_at"`
	ExpiresAt         time.Time         `json:"expires_at"`
}
