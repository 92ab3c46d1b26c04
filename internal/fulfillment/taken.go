package fulfillment

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// The objects that events about money taken back are about, in Stripe's words.
const (
	ObjectCharge     = "charge"
	ObjectDispute    = "dispute"
	ObjectRefund     = "refund"
	ObjectCreditNote = "credit_note"
	ObjectReview     = "review"
	ObjectWarning    = "radar.early_fraud_warning"
	ObjectCustomer   = "customer"
)

// Taken is what Stripe says now of an object that may take a payment back, or that warns of it. Enumerations are Stripe's own
// words, also unknown ones.
type Taken struct {
	Object        string // one of the above
	ID            string
	Livemode      bool
	Status        string // of a dispute, refund or credit note; "open" or why it was closed of a review; a warning's kind of fraud
	Amount        int64  // of a refund or credit note, in minor units
	Currency      string // upper case; "" where there is no amount
	PaymentIntent string // behind it; "" if there is none
	Invoice       string // that a credit note, or the charge, is for; "" if none
	Charge        *Charge
	Deleted       bool // of a customer
	Created       time.Time
}

// Charge is what Stripe says now of a charge, with its refunds.
type Charge struct {
	ID             string
	Currency       string // upper case
	Amount         int64  // in minor units
	AmountRefunded int64
	Refunded       bool
	Refunds        []Refund
	MoreRefunds    bool      // Stripe keeps more than it showed
	SeenAt         time.Time // when Stripe was asked; zero where nobody needs to know
}

// Refund is a refund of a charge.
type Refund struct {
	ID     string
	Status string // "pending", "requires_action", "succeeded", "failed", "canceled"
	Amount int64  // in minor units
}

// EventRef names an event of Stripe's list. Listed events are rendered in the account's API version, so nothing else of
// them is used.
type EventRef struct {
	ID, Type, ObjectID string
	Created            time.Time
}

// TakenStripe is what looking at taken payments needs of Stripe. Errors are as of the Stripe interface.
type TakenStripe interface {
	// FetchTaken reads an object afresh, and with a charge, refund or refunding credit note the charge with its refunds.
	// ErrNotFound if there is none.
	FetchTaken(ctx context.Context, object, id string) (Taken, error)
	// EachEvent lists the events that the webhook endpoint is sent and that were created at since or later, in pages, the
	// newest of a page first. Stripe keeps events for 30 days.
	EachEvent(ctx context.Context, since time.Time, visit func([]EventRef) error) error
	// RetryEvent asks Stripe to deliver an event again.
	RetryEvent(ctx context.Context, eventID string) error
}

// TakenStore finds what a taken payment was for, and the events that prove it.
type TakenStore interface {
	// OrderOfPayment finds the order whose stored session or invoice has the payment intent, or whose stored invoice it is;
	// "" if none does.
	OrderOfPayment(ctx context.Context, paymentIntent, invoice string) (orderID string, err error)
	// EventsAbout lists the stored events about an object, with their bodies and without the parked ones, the oldest first.
	EventsAbout(ctx context.Context, mode, objectID string) ([]ReceivedEvent, error)
	// MissingEvents answers those of the IDs of which no event is stored.
	MissingEvents(ctx context.Context, mode string, ids []string) ([]string, error)
	// ForgetCustomer lets the organization of a customer that Stripe deleted be given a new one; its orders stay its own.
	ForgetCustomer(ctx context.Context, stripeCustomer string) error
}

// takenObjects names the object that events of a type are about, for all types about money taken back.
var takenObjects = map[string]string{
	"charge.refunded":                   ObjectCharge,
	"charge.dispute.created":            ObjectDispute,
	"charge.dispute.updated":            ObjectDispute,
	"charge.dispute.funds_withdrawn":    ObjectDispute,
	"charge.dispute.funds_reinstated":   ObjectDispute,
	"charge.dispute.closed":             ObjectDispute,
	"refund.created":                    ObjectRefund,
	"refund.updated":                    ObjectRefund,
	"charge.refund.updated":             ObjectRefund,
	"credit_note.created":               ObjectCreditNote,
	"credit_note.voided":                ObjectCreditNote,
	"radar.early_fraud_warning.created": ObjectWarning,
	"review.opened":                     ObjectReview,
	"review.closed":                     ObjectReview,
	"customer.updated":                  ObjectCustomer,
	"customer.deleted":                  ObjectCustomer,
}

// TakesBackTypes lists the types of event that TakesBack, sorted.
func TakesBackTypes() []string { return slices.Sorted(maps.Keys(takenObjects)) }

// claim is what an event says of its charge or dispute.
type claim struct {
	Type           string
	Status         string `json:"status"`
	Amount         int64  `json:"amount"`
	AmountRefunded int64  `json:"amount_refunded"`
	Refunded       bool   `json:"refunded"`
}

// readClaim reads what an event says, as far as it can be read.
func readClaim(e ReceivedEvent) claim {
	var body struct {
		Data struct {
			Object claim `json:"object"`
		} `json:"data"`
	}
	_ = json.Unmarshal(e.Body, &body) // what it cannot read stays empty and proves nothing
	c := body.Data.Object
	c.Type = e.Type
	return c
}
