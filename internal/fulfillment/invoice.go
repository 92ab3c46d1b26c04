package fulfillment

import (
	"context"
	"time"
)

// Channel says how an order is paid for.
type Channel string

// The channels of an order.
const (
	ByCheckout     Channel = ""             // a checkout session in payment mode
	ByQuote        Channel = "quote"        // a quote that staff prepared, and its invoice
	BySubscription Channel = "subscription" // a checkout session that began a subscription, and its first invoice
	ByCycle        Channel = "cycle"        // a later invoice of a subscription
)

// Invoices is what evaluating an order needs of Stripe beside checkout sessions. Each call is a network call and never
// happens inside a transaction; errors are as for Stripe.
type Invoices interface {
	// FetchInvoice reads an invoice afresh, with its payment intent expanded. One that was deleted has the status "deleted".
	FetchInvoice(ctx context.Context, invoiceID string) (Invoice, error)
	// FetchQuote reads a quote afresh. ErrNotFound if there is none.
	FetchQuote(ctx context.Context, quoteID string) (Quote, error)
	// FetchSubscription reads a subscription afresh. ErrNotFound if there is none.
	FetchSubscription(ctx context.Context, subscriptionID string) (Subscription, error)
	// FinalizeInvoice writes an order's intent into the metadata of a quote's draft invoice, and then finalizes it. Repeating
	// it does nothing more. The answer is the invoice afterwards.
	FinalizeInvoice(ctx context.Context, invoiceID string, metadata map[string]string) (Invoice, error)
}

// Invoice is what Stripe says now about an invoice. Amounts are minor units; enumerations are Stripe's own words.
type Invoice struct {
	ID            string    `json:"id"`
	Livemode      bool      `json:"livemode"`
	Status        string    `json:"status"`            // "draft", "open", "paid", "void", "uncollectible", "deleted"
	BillingReason string    `json:"billing_reason"`    // "manual", "quote_accept", "subscription_create", "subscription_cycle", "subscription_update", …
	Collection    string    `json:"collection_method"` // "charge_automatically", "send_invoice"
	PaidOutOfBand bool      `json:"paid_out_of_band"`
	Currency      string    `json:"currency"` // upper case
	Total         int64     `json:"total"`
	Tax           int64     `json:"tax"`
	Discount      int64     `json:"discount"`
	AmountDue     int64     `json:"amount_due"`
	AmountPaid    int64     `json:"amount_paid"`
	AmountLeft    int64     `json:"amount_remaining"`
	StartBalance  int64     `json:"starting_balance"`
	CreditNotes   int64     `json:"credit_notes"` // all that was taken off by credit notes
	Lines         int       `json:"lines"`        // how many; 2 stands for any more than one
	LineID        string    `json:"line_id"`      // of the only line, as what follows; empty and zero otherwise
	LookupKey     string    `json:"lookup_key"`   // of its price
	Quantity      int64     `json:"quantity"`     //
	LineAmount    int64     `json:"line_amount"`  // before tax and discount
	Proration     bool      `json:"proration"`    //
	PeriodStart   time.Time `json:"period_start"`
	PeriodEnd     time.Time `json:"period_end"`

	Metadata             map[string]string `json:"metadata"`
	SubscriptionMetadata map[string]string `json:"subscription_metadata,omitempty"` // of subscription_details
	SubscriptionID       string            `json:"subscription_id,omitempty"`
	QuoteID              string            `json:"quote_id,omitempty"`
	PaymentIntentID      string            `json:"payment_intent_id,omitempty"`
	PaymentIntent        string            `json:"payment_intent,omitempty"` // its status, as a session's
	PaymentFailure       string            `json:"payment_failure,omitempty"`
	StripeCustomer       string            `json:"stripe_customer,omitempty"`
	Number               string            `json:"number,omitempty"`     // "ABC-0001"
	HostedURL            string            `json:"hosted_url,omitempty"` // where it can be read and paid
	PDFURL               string            `json:"pdf_url,omitempty"`
	ReplacedBy           string            `json:"replaced_by,omitempty"`        // the invoice that is its latest revision; "" for itself
	FinalizationError    string            `json:"finalization_error,omitempty"` // why it could not be finalized
	CreatedAt            time.Time         `json:"created_at"`
	DueAt                time.Time         `json:"due_at"`          // zero where it is charged at once
	NextAttemptAt        time.Time         `json:"next_attempt_at"` // when Stripe charges again; zero for never
}

// Owing reports whether an invoice that Stripe charges by itself was refused, or waits for the customer to confirm it.
func (i Invoice) Owing() bool {
	return i.Status == "open" && i.Collection == "charge_automatically" && (i.PaymentFailure != "" || i.confirm())
}

// confirm reports whether the customer's bank asks them to confirm the payment.
func (i Invoice) confirm() bool { return i.PaymentIntent == "requires_action" }

// Quote is what Stripe says now about a quote.
type Quote struct {
	ID             string            `json:"id"`
	Livemode       bool              `json:"livemode"`
	Status         string            `json:"status"` // "draft", "open", "accepted", "canceled"
	Number         string            `json:"number,omitempty"`
	Currency       string            `json:"currency"`
	Subtotal       int64             `json:"subtotal"`
	Total          int64             `json:"total"`
	InvoiceID      string            `json:"invoice_id,omitempty"`
	Metadata       map[string]string `json:"metadata"`
	StripeCustomer string            `json:"stripe_customer,omitempty"`
	ExpiresAt      time.Time         `json:"expires_at"`
	CreatedAt      time.Time         `json:"created_at"`
}

// Subscription is what Stripe says now about a subscription.
type Subscription struct {
	ID               string            `json:"id"`
	Livemode         bool              `json:"livemode"`
	Status           string            `json:"status"`     // "incomplete", "incomplete_expired", "active", "past_due", "unpaid", "canceled", "paused", "trialing"
	LookupKey        string            `json:"lookup_key"` // of its only item's price; "" when there is not exactly one
	Quantity         int64             `json:"quantity"`
	Metadata         map[string]string `json:"metadata"`
	StripeCustomer   string            `json:"stripe_customer,omitempty"`
	LatestInvoiceID  string            `json:"latest_invoice_id,omitempty"`
	CancelAtEnd      bool              `json:"cancel_at_period_end"`
	EndsAt           time.Time         `json:"ends_at"`           // when it was asked to end; zero while it goes on
	CollectionPaused bool              `json:"collection_paused"` // nothing is charged until it is resumed, though it is called active
	CanceledAt       time.Time         `json:"canceled_at"`       // when it was asked to end; zero otherwise
	EndedAt          time.Time         `json:"ended_at"`
	CurrentPeriodEnd time.Time         `json:"current_period_end"`
	CreatedAt        time.Time         `json:"created_at"`
}
