package fulfillment

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"
)

// The passes of reconciliation, each with a memory of its own.
const (
	PassOrders   = "orders"   // every few minutes: see Fulfiller.Reconcile
	PassEvents   = "events"   // hourly
	PassEndpoint = "endpoint" // hourly
	PassPayments = "payments" // daily
)

const (
	// An event may be under way for eventPatience; each pass looks eventOverlap further back than where the last one ended.
	eventPatience = 10 * time.Minute
	eventOverlap  = time.Hour
	// eventsAtMost bounds how many events a pass asks for, and takenAtMost how many charges it fetches; the next goes on.
	eventsAtMost = 500
	takenAtMost  = 1000
	// eventAge is how long no event may arrive before staff are called.
	eventAge = 72 * time.Hour
)

// PassState is what is kept of a pass.
type PassState struct {
	Since       time.Time     // of events: all that Stripe made before are stored; zero if it never ran
	SucceededAt time.Time     // zero if never
	Endpoint    EndpointState // of the endpoint
	Open        int           // what the pass found and could not close by itself
}

// LivePayment is the payment of a license that is in force.
type LivePayment struct {
	OrderID string
	Status  string // "suspended" where the newest revocation bundle says so; else ""
}

// ReconcilerStore keeps what the passes are at, and finds the licenses in force.
type ReconcilerStore interface {
	Pass(ctx context.Context, name string) (PassState, error)
	SetPass(ctx context.Context, name string, state PassState) error
	// LivePayments finds which payment intents paid for licenses that neither expired by the time nor are revoked.
	LivePayments(ctx context.Context, at time.Time, intents []string) (map[string]LivePayment, error)
	// OldestLivePayment tells when the first of the orders of such licenses went to Stripe; zero if there is none.
	OldestLivePayment(ctx context.Context, at time.Time) (time.Time, error)
	// NotePayment tells staff once, in the order's log, and keeps for the order's page what Stripe says of a charge, nil if
	// nothing was asked.
	NotePayment(ctx context.Context, orderID string, flags []Reason, c *Charge, at time.Time) error
}

// ReconcilerStripe is what reconciliation needs of Stripe.
type ReconcilerStripe interface {
	TakenStripe
	// EachTaken lists the refunds and disputes made since a time, in pages. Refunds come without their charge.
	EachTaken(ctx context.Context, since time.Time, visit func([]Taken) error) error
	// Endpoint tells how the webhook endpoint at a URL stands.
	Endpoint(ctx context.Context, url string) (EndpointState, error)
}

// ReconcilerConfig is what Reconciler needs; every field is required.
type ReconcilerConfig struct {
	Store      ReconcilerStore
	Events     TakenStore
	Gauges     GaugeStore
	Stripe     ReconcilerStripe
	Revoker    *Revoker // settles what differs
	Catalog    Bundles
	WebhookURL string // where Stripe sends events
	Now        func() time.Time
	Log        *slog.Logger
}

// Reconciler finds what Stripe told and did not arrive. It holds no evidence and makes none: it asks Stripe to deliver events
// again, shows the signer the ones that are stored, and else calls staff. Each pass is safe to repeat.
type Reconciler struct{ c ReconcilerConfig }

// NewReconciler returns the service, or says what is missing.
func NewReconciler(c ReconcilerConfig) (*Reconciler, error) {
	if c.Store == nil || c.Events == nil || c.Gauges == nil || c.Stripe == nil || c.Revoker == nil || c.Catalog == nil || c.WebhookURL == "" || c.Now == nil || c.Log == nil {
		return nil, errors.New("fulfillment: the reconciler needs its stores, stripe, revoker, catalog, webhook URL, clock and log")
	}
	return &Reconciler{c}, nil
}

// Finding is something that a pass mended, or would.
type Finding struct {
	Pass     string
	ObjectID string // the event, refund, dispute or endpoint
	OrderID  string // "" if unknown
	Detail   string
}

// Tell is told each finding; nil tells nobody.
type Tell func(Finding)

func (t Tell) tell(f Finding) {
	if t != nil {
		t(f)
	}
}

// Hourly compares the events and the endpoint with Stripe, and raises the alarms.
func (s *Reconciler) Hourly(ctx context.Context) error {
	_, eventsErr := s.Events(ctx, false, nil)
	_, endpointErr := s.Endpoint(ctx, false, nil)
	return errors.Join(eventsErr, endpointErr, s.age(ctx))
}

// Daily compares the refunds and disputes of the licenses in force with Stripe.
func (s *Reconciler) Daily(ctx context.Context) error {
	_, err := s.Payments(ctx, false, nil)
	return err
}

// age alarms where no event arrived for long.
func (s *Reconciler) age(ctx context.Context) error {
	now := s.c.Now()
	g, err := s.c.Gauges.Gauges(ctx, now)
	if err != nil {
		return fmt.Errorf("reconcile: gauges: %w", err)
	}
	if age := now.Sub(g.LastEventAt); !g.LastEventAt.IsZero() && age > eventAge {
		s.c.Log.ErrorContext(ctx, "reconcile: no event for long", "hours", int(age.Hours()))
	}
	return nil
}

// Events asks Stripe to deliver the events again that are handled and not stored, and answers how many those are. With dry it
// only tells them.
func (s *Reconciler) Events(ctx context.Context, dry bool, tell Tell) (open int, err error) {
	bundle, err := s.c.Catalog.Bundle(ctx)
	if err != nil {
		return 0, err
	}
	last, err := s.c.Store.Pass(ctx, PassEvents)
	if err != nil {
		return 0, fmt.Errorf("reconcile: pass: %w", err)
	}
	now := s.c.Now()
	since := now.Add(-eventsKept)
	if from := last.Since.Add(-eventOverlap); from.After(since) {
		since = from
	}
	next := now.Add(-eventPatience)
	var missing []EventRef
	err = s.c.Stripe.EachEvent(ctx, since, func(page []EventRef) error {
		absent, err := s.missing(ctx, modeName(bundle.Stripe.Livemode), page, now.Add(-eventPatience))
		missing = append(missing, absent...)
		return err
	})
	if err != nil {
		return len(missing), fmt.Errorf("reconcile: events: %w", err)
	}
	for _, e := range missing {
		if e.Created.Before(next) {
			next = e.Created
		}
		tell.tell(Finding{Pass: PassEvents, ObjectID: e.ID, Detail: e.Type + " of " + e.ObjectID + " is not stored; ask Stripe to deliver it again"})
	}
	open = len(missing)
	if dry {
		return open, nil
	}
	if open > 0 {
		s.c.Log.ErrorContext(ctx, "reconcile: events missing", "events", open)
	}
	if err := s.askFor(ctx, missing); err != nil {
		return open, fmt.Errorf("reconcile: events: %w", err)
	}
	return open, s.c.Store.SetPass(ctx, PassEvents, PassState{Since: next, SucceededAt: now, Open: open})
}

// askFor asks Stripe to deliver events again. Where they are too many it picks at random, so that those which never arrive
// keep no other from its turn; one that Stripe refuses to deliver stays open.
func (s *Reconciler) askFor(ctx context.Context, missing []EventRef) error {
	rand.Shuffle(len(missing), func(i, j int) { missing[i], missing[j] = missing[j], missing[i] })
	for _, e := range missing[:min(len(missing), eventsAtMost)] {
		err := s.c.Stripe.RetryEvent(ctx, e.ID)
		if err == nil {
			continue
		}
		if errors.Is(err, ErrUnavailable) || ctx.Err() != nil {
			return err
		}
		s.c.Log.WarnContext(ctx, "reconcile: event not delivered again", "event", e.ID, "type", e.Type, "error", err)
	}
	return nil
}

// missing picks the events of a page that are handled, older than the time and not stored.
func (s *Reconciler) missing(ctx context.Context, mode string, page []EventRef, before time.Time) ([]EventRef, error) {
	page = filter(page, func(e EventRef) bool { return handled(e.Type) && e.Created.Before(before) })
	ids, byID := make([]string, len(page)), map[string]EventRef{}
	for i, e := range page {
		ids[i], byID[e.ID] = e.ID, e
	}
	absent, err := s.c.Events.MissingEvents(ctx, mode, ids)
	missing := make([]EventRef, len(absent))
	for i, id := range absent {
		missing[i] = byID[id]
	}
	return missing, err
}

// Endpoint looks how the webhook endpoint stands. An error of Stripe's, such as for a key that may not look, is a state.
func (s *Reconciler) Endpoint(ctx context.Context, dry bool, tell Tell) (EndpointState, error) {
	state, err := s.c.Stripe.Endpoint(ctx, s.c.WebhookURL)
	if err != nil {
		s.c.Log.WarnContext(ctx, "reconcile: webhook endpoint not seen", "error", err)
		state = EndpointUnknown
	}
	if state != EndpointEnabled {
		tell.tell(Finding{Pass: PassEndpoint, ObjectID: s.c.WebhookURL, Detail: "the webhook endpoint is " + string(state)})
	}
	if dry {
		return state, nil
	}
	open := 0
	if state != EndpointEnabled {
		open = 1
		s.c.Log.ErrorContext(ctx, "reconcile: webhook endpoint", "state", string(state))
	}
	return state, s.c.Store.SetPass(ctx, PassEndpoint, PassState{SucceededAt: s.c.Now(), Endpoint: state, Open: open})
}
