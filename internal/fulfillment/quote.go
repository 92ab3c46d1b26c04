package fulfillment

import (
	"context"
	"errors"
	"time"
)

// ErrQuoteClosed says that a quote can no longer be accepted or withdrawn: it was, or it has expired.
var ErrQuoteClosed = errors.New("quote is no longer open")

// Quoting is what preparing and settling quotes needs of Stripe. Each call is one or more network calls and never happens
// inside a transaction; errors are as for Stripe.
type Quoting interface {
	// OpenQuote makes the quote of an order for its organization's customer, whom it finds or makes, and opens it. One line:
	// the template's price, or the order's total where that was agreed. Snapshot.Intent.Metadata() is the quote's metadata and
	// nothing else is. An order's quote that is there is answered as it stands, so that repeating the call makes no second one.
	OpenQuote(ctx context.Context, r QuoteRequest) (Quote, error)
	// FetchQuote reads a quote afresh. ErrNotFound if there is none.
	FetchQuote(ctx context.Context, quoteID string) (Quote, error)
	// AcceptQuote accepts an open quote; repeating it does nothing more. ErrQuoteClosed if it is canceled.
	AcceptQuote(ctx context.Context, quoteID string) (Quote, error)
	// CancelQuote cancels a quote that is not accepted; repeating it does nothing more. ErrQuoteClosed if it is accepted.
	CancelQuote(ctx context.Context, quoteID string) (Quote, error)
	// QuotePDF answers an opened quote as a PDF file of at most MaxQuotePDF bytes.
	QuotePDF(ctx context.Context, quoteID string) ([]byte, error)
}

// MaxQuotePDF bounds a quote's PDF file, in bytes.
const MaxQuotePDF = 4 << 20

// QuoteRequest asks for a quote. Every field is frozen with the order, so that the request can be repeated word for word.
type QuoteRequest struct {
	OrderID        string
	Snapshot       Snapshot // with an Offer
	CustomerEmail  string   // of whom a customer is made where there is none
	StripeCustomer string   // "cus_…" of the organization when the order was made; "" for none
}

// Offer is what a quote says beside what is licensed.
type Offer struct {
	DaysUntilDue int       `json:"days_until_due"` // after acceptance, 1 to 90
	ExpiresAt    time.Time `json:"expires_at"`     // of the quote, a whole second
	PreparedBy   string    `json:"prepared_by"`    // a name of staff
}
