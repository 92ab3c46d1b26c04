// Package evidence reads what authorizes a signature: a Stripe event in its raw bytes and the header that Stripe signed
// it with, or the passkey assertions of staff.
//
// The bytes are read once, strictly, and never re-encoded. Unknown members are allowed, since Stripe adds some all the
// time; a name that appears twice, in whatever spelling, is not.
package evidence

import (
	"errors"
	"fmt"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/strictjson"
)

// MaxBytes bounds an event's body.
const MaxBytes = signer.MaxEventBytes

// APIVersion is the only version of Stripe's API whose events are evidence: another version's fields may mean other
// things.
const APIVersion = "2023-10-16"

// ErrMalformed is wrapped by every error about an event's text.
var ErrMalformed = errors.New("malformed event")

// Event is what the signer reads out of a Stripe event. A member that is absent, null, or an object or array where a
// plain value belongs is left zero, and Has tells. Amounts are in minor units.
type Event struct {
	ID         string
	Object     string // "event"
	APIVersion string
	Type       string
	Account    string // set for events of connected accounts only
	Created    time.Time
	Livemode   bool
	Data       Data // data.object, whatever it is

	seen map[string]bool
}

// Data is data.object: what every object of Stripe has, and what the kinds that are evidence have besides.
type Data struct {
	ID            string
	Object        string // "checkout.session", "invoice", "charge" or "dispute"
	Status        string
	Currency      string // lower case, as Stripe writes it
	PaymentIntent string
	Created       time.Time
	Livemode      bool
	Metadata      map[string]string

	Checkout Checkout
	Invoice  Invoice
	Charge   Charge
	Dispute  Dispute
}

// Checkout is what a Checkout session has (https://docs.stripe.com/api/checkout/sessions/object).
type Checkout struct {
	Mode           string
	PaymentStatus  string
	AmountSubtotal int64
	AmountTotal    int64
	AmountDiscount int64
}

// Invoice is what an invoice has (https://docs.stripe.com/api/invoices/object).
type Invoice struct {
	BillingReason        string
	AmountPaid           int64
	Tax                  int64
	Paid                 bool
	PaidOutOfBand        bool
	HasMore              bool              // lines that the event does not carry
	SeveralLines         bool              // more than one in the event
	Line                 Line              // the first
	SubscriptionMetadata map[string]string // subscription_details.metadata
}

// Line is an invoice's line.
type Line struct {
	ID        string
	Quantity  int64
	Amount    int64
	Proration bool
	LookupKey string // of its price
	Start     time.Time
	End       time.Time
}

// Charge is what a charge has (https://docs.stripe.com/api/charges/object).
type Charge struct {
	Amount         int64
	AmountRefunded int64
	Refunded       bool // in full
}

// Dispute is what a dispute has (https://docs.stripe.com/api/disputes/object).
type Dispute struct{ Charge string }

// Has reports whether the event carries a member, named as in "data.object.amount_total".
func (e *Event) Has(path string) bool { return e.seen[path] }

// HasAll reports whether the event carries every one of these members of data.object.
func (e *Event) HasAll(names ...string) bool {
	for _, name := range names {
		if !e.seen["data.object."+name] {
			return false
		}
	}
	return true
}

// Parse reads an event. It requires what every event has: id, object, type, created and livemode.
func Parse(body []byte) (*Event, error) {
	if len(body) > MaxBytes {
		return nil, fmt.Errorf("%w: larger than %d bytes", ErrMalformed, MaxBytes)
	}
	e := &Event{
		seen: make(map[string]bool, 32),
		Data: Data{Metadata: map[string]string{}, Invoice: Invoice{SubscriptionMetadata: map[string]string{}}},
	}
	if err := strictjson.Walk(body, e.visit); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	for _, name := range []string{"id", "object", "type", "created", "livemode"} {
		if !e.seen[name] {
			return nil, fmt.Errorf("%w: no %s", ErrMalformed, name)
		}
	}
	if e.Object != "event" || e.ID == "" || e.Type == "" {
		return nil, fmt.Errorf("%w: not an event", ErrMalformed)
	}
	return e, nil
}

// visit takes the members that matter by their exact path.
func (e *Event) visit(path [][]byte, raw []byte) error {
	switch {
	case len(path) == 1:
		return e.take(string(path[0]), raw)
	case len(path) < 3 || string(path[0]) != "data" || string(path[1]) != "object":
		return nil
	case len(path) == 3:
		return e.take("data.object."+string(path[2]), raw)
	case len(path) == 4 && string(path[2]) == "metadata":
		return e.meta(e.Data.Metadata, string(path[3]), raw)
	case len(path) == 5 && string(path[2]) == "subscription_details" && string(path[3]) == "metadata":
		return e.meta(e.Data.Invoice.SubscriptionMetadata, string(path[4]), raw)
	case len(path) == 4:
		return e.take(join("data.object", path[2:]), raw)
	case len(path) >= 6 && string(path[2]) == "lines" && string(path[3]) == "data":
		return e.line(path, raw)
	}
	return nil
}

// line takes a member of an invoice's line. A second value of one path can only be another line's.
func (e *Event) line(path [][]byte, raw []byte) error {
	full := join("data.object", path[2:])
	if e.seen[full] {
		e.Data.Invoice.SeveralLines = true
		return nil
	}
	return e.take(full, raw)
}

// join writes a path with dots. An element of an array is "[]"; a name that holds a dot itself is no name of ours and is
// written so that it meets none.
func join(prefix string, path [][]byte) string {
	text := []byte(prefix)
	for _, element := range path {
		text = append(text, '.')
		if element == nil {
			text = append(text, "[]"...)
			continue
		}
		for _, c := range element {
			if c == '.' {
				c = 0
			}
			text = append(text, c)
		}
	}
	return string(text)
}
