package fulfillment

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/signer"
)

// How long an event waits for its object to be stored, and the least and most time between two of its looks.
const (
	unknownFor   = time.Hour
	unknownEvery = 10 * time.Second
	unknownMost  = 5 * time.Minute
)

// LaterError says that there is nothing wrong and that the job should be run again after a while.
type LaterError struct{ After time.Duration }

// Error implements error.
func (e *LaterError) Error() string { return "try again in " + e.After.String() }

// FulfillerConfig is what Fulfiller needs; every field is required.
type FulfillerConfig struct {
	Evaluations EvaluationStore
	Issuances   IssueStore
	Mails       MailStore
	Reconciles  ReconcileStore
	Stripe      Stripe
	Invoices    Invoices
	Signer      Signer
	Catalog     Bundles
	Mailer      Mailer
	Now         func() time.Time
	Log         *slog.Logger
}

// Fulfiller takes orders from payment to license. Each of its steps is a job and safe to repeat.
type Fulfiller struct{ c FulfillerConfig }

// NewFulfiller returns the service, or says what is missing.
func NewFulfiller(c FulfillerConfig) (*Fulfiller, error) {
	if c.Evaluations == nil || c.Issuances == nil || c.Mails == nil || c.Reconciles == nil || c.Stripe == nil || c.Invoices == nil || c.Signer == nil ||
		c.Catalog == nil || c.Mailer == nil || c.Now == nil || c.Log == nil {
		return nil, errors.New("fulfillment: the fulfiller needs its stores, stripe, invoices, signer, catalog, mailer, clock and log")
	}
	return &Fulfiller{c}, nil
}

// EvaluateEvent looks at the order behind an event again. A *LaterError asks for another run: its object is not stored yet.
func (s *Fulfiller) EvaluateEvent(ctx context.Context, mode, eventID string) error {
	event, err := s.c.Evaluations.Event(ctx, mode, eventID)
	if err != nil {
		return fmt.Errorf("evaluate: event: %w", err)
	}
	orderID, err := s.orderOf(ctx, event)
	if errors.Is(err, ErrNotFound) {
		return s.unknownObject(ctx, event)
	}
	if err != nil {
		return fmt.Errorf("evaluate: order: %w", err)
	}
	// Stripe tells of every try to finalize that fails: to try again for that would never end.
	if err := s.evaluateOrder(ctx, orderID, event.Type != "invoice.finalization_failed"); err != nil {
		return err
	}
	return s.c.Evaluations.SetOutcome(ctx, mode, eventID, orderID, "evaluated")
}

// unknownObject waits for an event's object to be stored, since the event can overtake the answer that made the object, and
// gives up after an hour. What the event's own reference says decides nothing. It waits as long again as it has waited, since
// the account's invoices that are none of the portal's end here too and each look at one is a call to Stripe.
func (s *Fulfiller) unknownObject(ctx context.Context, e ReceivedEvent) error {
	if setup, err := s.onlySetup(ctx, e); err != nil {
		return err
	} else if setup {
		return s.c.Evaluations.SetOutcome(ctx, e.Mode, e.ID, "", outcomeSetup)
	}
	if waited := s.c.Now().Sub(e.ReceivedAt); waited < unknownFor {
		return &LaterError{min(max(waited, unknownEvery), unknownMost, unknownFor-waited)}
	}
	s.c.Log.ErrorContext(ctx, "event parked", "event", e.ID, "type", e.Type, "outcome", outcomeUnknown)
	return s.c.Evaluations.SetOutcome(ctx, e.Mode, e.ID, "", outcomeUnknown)
}

// onlySetup reports whether an event is about a session in which a card was kept and nothing was to be paid, as the portal
// makes none and staff may.
func (s *Fulfiller) onlySetup(ctx context.Context, e ReceivedEvent) (bool, error) {
	if !strings.HasPrefix(e.Type, "checkout.session.") || e.PaymentStatus != "no_payment_required" {
		return false, nil
	}
	session, err := s.c.Stripe.FetchSession(ctx, e.ObjectID)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("evaluate: fetch session: %w", err)
	}
	return session.Mode == "setup", nil
}

// EvaluateOrder compares an order with what Stripe says now and writes where it stands.
func (s *Fulfiller) EvaluateOrder(ctx context.Context, orderID string) error {
	return s.evaluateOrder(ctx, orderID, true)
}

func (s *Fulfiller) evaluateOrder(ctx context.Context, orderID string, finalize bool) error {
	bundle, err := s.c.Catalog.Bundle(ctx)
	if err != nil {
		return err
	}
	for range 8 {
		err = s.evaluate(ctx, orderID, bundle.Stripe.Livemode, finalize)
		if !errors.Is(err, ErrMoved) {
			return err
		}
	}
	return err
}

// evaluate notes the revision, asks Stripe, and only then locks the order; it starts over if the order moved meanwhile.
func (s *Fulfiller) evaluate(ctx context.Context, orderID string, livemode, finalize bool) error {
	r, err := s.c.Evaluations.OrderRecord(ctx, orderID)
	if err != nil {
		return fmt.Errorf("evaluate: order: %w", err)
	}
	seen, err := s.look(ctx, r, finalize)
	if err != nil {
		return fmt.Errorf("evaluate: %w", err)
	}
	now := s.c.Now()
	return s.c.Evaluations.Evaluate(ctx, r, seen, now, func(locked Record, f Facts) Verdict {
		f.Livemode, f.Sessions, f.Invoices, f.Quote = livemode, seen.Sessions, seen.Invoices, seen.Quote
		f.Attempt, f.Abandoned = locked.Attempt, now.Sub(locked.AttemptAt) > SessionLife
		f.PublicMailDomain = PublicMailDomain(locked.MailDomain)
		f.Released, f.Refusal = locked.Released, locked.Refusal
		f.Issued = locked.LicenseID != ""
		f.Closed = locked.ClosedByStaff
		f.Canceled = !locked.ClosedAt.IsZero() && !locked.ClosedByStaff
		return Decide(locked.Snapshot, f)
	})
}

// refusalWords are what staff read about a refusal of the signer's.
func refusalWords(e *signer.Error) Reason {
	return Reason{Code: "signer-" + string(e.Code), Detail: "The signer refused: " + e.Message}
}
