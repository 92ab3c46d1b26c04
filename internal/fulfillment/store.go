package fulfillment

import (
	"context"
	"errors"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/trust"
)

// ErrMoved says that an order changed between reading and writing it: start over.
var ErrMoved = errors.New("order changed meanwhile")

// Signer is what fulfillment needs of the signer. A refusal is a *signer.Error.
type Signer interface {
	Check(ctx context.Context, e signer.Event) (signer.Checked, error)
	Issue(ctx context.Context, r signer.IssueRequest) ([]byte, error)
	Entries(ctx context.Context, from uint64) (signer.Entries, error)
}

// Bundles answers the trust bundle that the signer obeys.
type Bundles interface {
	Bundle(ctx context.Context) (*trust.Bundle, error)
}

// Record is an order with what only the services and staff see.
type Record struct {
	Order
	CreatedBy      string // user ID
	MailDomain     string // of the buyer's address, lower case
	FormKey        string
	Released       []Reason  // reasons that staff released
	Refusal        *Reason   // the signer's last definite refusal; nil if none
	ClosedByStaff  bool      // canceled by staff
	AttemptAt      time.Time // when the last attempt was reserved
	StripeCustomer string    // of the organization; "" until its first payment
	SubscriptionID string    // of a cycle: the subscription's
	Sessions       []StoredSession
	Seen           Seen // what Stripe last said of quote, invoices and subscription; without sessions
}

// Seen is what Stripe says of all that an order has there.
type Seen struct {
	Sessions     []Session
	Quote        *Quote        // nil if none
	Invoices     []Invoice     // oldest first
	Subscription *Subscription // that the order began; nil if none
}

// StoredSession is a checkout session that the portal made, and what Stripe last said of it.
type StoredSession struct {
	ID        string
	Attempt   int
	URL       string
	ExpiresAt time.Time
	Facts     *Session // nil until fetched
}

// session finds the session of an attempt.
func (r Record) session(attempt int) (StoredSession, bool) {
	for _, s := range r.Sessions {
		if s.Attempt == attempt {
			return s, true
		}
	}
	return StoredSession{}, false
}

// Customer is what an order needs to know of an organization.
type Customer struct{ ID, Name, StripeCustomer string }

// OrderStore keeps orders. Every method is one transaction; a record written has the revision that was read, or ErrMoved.
type OrderStore interface {
	Customer(ctx context.Context, organizationID string) (Customer, error)
	// Record finds an order of an organization, with its sessions, oldest first.
	Record(ctx context.Context, organizationID, orderID string) (Record, error)
	OrderPage(ctx context.Context, organizationID string, f OrderFilter, p Page) ([]Order, string, error)
	// InsertDraft stores a draft, or answers the order that has the same form key already.
	InsertDraft(ctx context.Context, r Record) (Record, error)
	UpdateDraft(ctx context.Context, r Record) (Record, error)
	// Subscribed reports whether an order other than orderID began, or is being paid to begin, a subscription of the
	// deployment that has not ended.
	Subscribed(ctx context.Context, organizationID, deploymentID, orderID string) (bool, error)
	// Freeze stores a draft's final snapshot and its deployment, and reserves attempt 1. ErrOpenRenewal; ErrNameTaken;
	// ErrSubscribed.
	Freeze(ctx context.Context, r Record, at time.Time) (Record, error)
	// ReserveAttempt counts a further attempt and sets the order awaiting payment. ErrOpenRenewal; ErrSubscribed.
	ReserveAttempt(ctx context.Context, r Record, at time.Time) (Record, error)
	AddSession(ctx context.Context, orderID string, s StoredSession, at time.Time) error
	// CancelByCustomer closes an order that is not paid.
	CancelByCustomer(ctx context.Context, r Record, at time.Time) error
}

// ErrNameTaken says that the organization has another deployment of that name.
var ErrNameTaken = errors.New("deployment name is taken")

// Watcher tells when an order may have changed.
type Watcher interface {
	Watch(ctx context.Context, orderID string) <-chan struct{}
}

// ReceivedEvent is an event of the inbox.
type ReceivedEvent struct {
	Mode            string // "test" or "live"
	ID              string
	Type            string
	APIVersion      string
	ObjectID        string // the checkout session, invoice, charge, dispute, …
	PaymentStatus   string // of the object, as the event tells it
	Reference       string // the order that the event names
	Payment         string // of one that TakesBack: the payment intent that it names; "" if none
	Created         time.Time
	ReceivedAt      time.Time
	Body            []byte
	SignatureHeader string
	Outcome         string // "" until looked at
}

// TakesBack reports whether the event is about money taken back, such as a refund or a dispute, or warns of it; any other is about an
// order.
func (e ReceivedEvent) TakesBack() bool { return takesBack(e.Type) }

// EventStore keeps the inbox.
type EventStore interface {
	// AddEvent stores an event and, unless its outcome says that it is parked, enqueues in the same transaction its
	// evaluation, or for one that TakesBack its revocation. An event that is stored already only counts the delivery; then fresh is false.
	AddEvent(ctx context.Context, e ReceivedEvent) (fresh bool, err error)
}

// EvaluationStore is what evaluating and issuing need.
type EvaluationStore interface {
	// Event finds a stored event, without its body.
	Event(ctx context.Context, mode, eventID string) (ReceivedEvent, error)
	// OrderOfObject finds the order of a checkout session, invoice, quote or subscription, by the stored ID alone. ErrNotFound.
	OrderOfObject(ctx context.Context, objectID string) (orderID string, err error)
	// OpenCycle stores the order of a subscription's further invoice with that invoice, once; the order's ID is the cycle's.
	// It is a copy of the order that began the subscription.
	OpenCycle(ctx context.Context, orderID, subscriptionID string, i Invoice, at time.Time) error
	SetOutcome(ctx context.Context, mode, eventID, orderID, outcome string) error
	// OrderRecord finds an order of any organization.
	OrderRecord(ctx context.Context, orderID string) (Record, error)
	// BaseRenewed answers the license by which another order renewed the order's base, and that was not revoked; "" if none did.
	BaseRenewed(ctx context.Context, r Record) (licenseID string, err error)
	// Evaluate locks the order, records what Stripe says of it, decides, and writes the verdict with whatever job follows from
	// it. ErrMoved if the order's revision is not r.Revision any more.
	Evaluate(ctx context.Context, r Record, seen Seen, at time.Time, decide func(Record, Facts) Verdict) error
}

// IssueStore is what issuing needs.
type IssueStore interface {
	OrderRecord(ctx context.Context, orderID string) (Record, error)
	// Evidence finds the earliest event, by created and then ID, that can authorize the order's license, among those of its
	// sessions and invoices of these IDs. ErrNotFound.
	Evidence(ctx context.Context, orderID string, payments []string) (ReceivedEvent, error)
	LicenseBytes(ctx context.Context, licenseID string) ([]byte, error)
	// StoreIssuance stores the license, sets the order issued, and enqueues its mail; once, however often it is called. After
	// a renewal it has the other open orders on the same base evaluated. Refunds and disputes of the order's payments that
	// were stored before it are enqueued again: the signer found nothing to revoke then.
	StoreIssuance(ctx context.Context, r Record, i Issuance) error
	// Refuse sends a paid order to review with the signer's refusal.
	Refuse(ctx context.Context, r Record, refusal Reason, at time.Time) error
}

// Issuance is one signed envelope to store.
type Issuance struct {
	License   License
	Key       string // the fulfillment key: the order ID, or a staff request's
	EventID   string // that proved the payment; "" where staff asked for it
	RequestID string // of staff; "" where an event proved a payment
	At        time.Time
}
