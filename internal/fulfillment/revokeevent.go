package fulfillment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/license"
)

// RevokeByEvent looks at what a stored event is about as Stripe has it now, and has the signer judge the event where it proves
// that. An error is worth another try, a *LaterError after a while: the event that proves it may still be under way. What the
// signer refuses for good, and what changes no license, is an outcome that is flagged for staff.
func (s *Revoker) RevokeByEvent(ctx context.Context, mode, eventID string) error {
	event, err := s.c.Store.TakenBack(ctx, mode, eventID)
	if err != nil {
		return fmt.Errorf("revoke: event: %w", err)
	}
	bundle, err := s.c.Catalog.Bundle(ctx)
	if err != nil {
		return err
	}
	now, err := fetchTaken(ctx, s.c.Stripe, s.c.Now(), takenObjects[event.Type], event.ObjectID)
	if errors.Is(err, ErrNotFound) {
		return s.keepEvent(ctx, event, Taken{PaymentIntent: event.Payment}, flagged("takeback-unknown", "Stripe does not know %s, which an event of type %s is about.", event.ObjectID, event.Type))
	}
	if err != nil {
		return fmt.Errorf("revoke: fetch %s: %w", takenObjects[event.Type], err)
	}
	now.PaymentIntent = cmp.Or(now.PaymentIntent, event.Payment)
	b := decideTakeback(readClaim(event), now, bundle.Stripe.Livemode)
	if b.ask {
		return s.askSigner(ctx, event, now)
	}
	if b.seek != "" && s.c.Now().Sub(event.ReceivedAt) < evidenceAfter {
		if proof, err := s.proof(ctx, mode, now, b.seek); err != nil {
			return err
		} else if proof.ID == "" {
			return &LaterError{unknownEvery}
		}
	} else if b.seek != "" {
		asked, err := s.settle(ctx, mode, now, b.seek)
		if err != nil {
			return err
		}
		b.flags = append(b.flags, asked.flags...)
	}
	if now.Object == ObjectCustomer && now.Deleted {
		if err := s.c.Taken.ForgetCustomer(ctx, now.ID); err != nil {
			return fmt.Errorf("revoke: forget customer: %w", err)
		}
	}
	return s.keepEvent(ctx, event, now, b)
}

// fetchTaken reads an object afresh and notes when, so that what was seen earlier never takes the place of what was seen later.
func fetchTaken(ctx context.Context, stripe TakenStripe, at time.Time, object, id string) (Taken, error) {
	t, err := stripe.FetchTaken(ctx, object, id)
	if t.Charge != nil {
		t.Charge.SeenAt = at
	}
	return t, err
}

// keepEvent notes what an event came to that the signer is not asked about. A flag waits for its order: Stripe tells of a review
// as soon as of the payment itself, and the payment may be looked at later.
func (s *Revoker) keepEvent(ctx context.Context, event ReceivedEvent, now Taken, b takeback) error {
	orderID, err := s.c.Taken.OrderOfPayment(ctx, now.PaymentIntent, now.Invoice)
	if err != nil {
		return fmt.Errorf("revoke: order: %w", err)
	}
	if orderID == "" && len(b.flags) > 0 && s.c.Now().Sub(event.ReceivedAt) < evidenceAfter {
		return &LaterError{unknownEvery}
	}
	for _, f := range b.flags {
		s.c.Log.WarnContext(ctx, "payment flagged", "event", event.ID, "type", event.Type, "order", orderID, "flag", f.Code)
	}
	came := &TakenBack{Mode: event.Mode, EventID: event.ID, OrderID: orderID, Outcome: b.outcome, Flags: b.flags, Charge: now.Charge}
	return s.c.Store.StoreRevocations(ctx, RevocationAnswer{Event: came, At: s.c.Now()})
}

// askSigner has the signer judge an event that proves what Stripe says now.
func (s *Revoker) askSigner(ctx context.Context, event ReceivedEvent, now Taken) error {
	orderID, err := s.c.Taken.OrderOfPayment(ctx, now.PaymentIntent, now.Invoice)
	if err != nil {
		return fmt.Errorf("revoke: order: %w", err)
	}
	came := &TakenBack{Mode: event.Mode, EventID: event.ID, OrderID: orderID, Charge: now.Charge}
	answer, err := s.c.Signer.Revoke(ctx, signer.RevokeRequest{Event: &signer.Event{Body: event.Body, SignatureHeader: event.SignatureHeader}})
	var refusal *signer.Error
	switch {
	case errors.As(err, &refusal) && !mayRevokeLater(refusal.Code):
		s.c.Log.ErrorContext(ctx, "signer refused to revoke", "event", event.ID, "type", event.Type, "order", orderID, "code", string(refusal.Code))
		came.Outcome = "refused: " + string(refusal.Code)
		words := refusalWords(refusal)
		words.Detail += " (" + event.Type + " " + event.ID + ")"
		came.Flags = append(came.Flags, words)
		return s.c.Store.StoreRevocations(ctx, RevocationAnswer{Event: came, At: s.c.Now()})
	case err != nil:
		return fmt.Errorf("revoke: %w", err)
	}
	came.Outcome, came.Changed, came.Review = changesWords(answer.Changes), len(answer.Changes), answer.Review
	if err := s.store(ctx, answer, came, false); err != nil {
		return err
	}
	s.c.Log.InfoContext(ctx, "refund or dispute judged", "event", event.ID, "type", event.Type, "order", orderID, "outcome", came.Outcome, "review", len(came.Review))
	return nil
}

// mayRevokeLater reports whether the same event may be judged differently once the signer is in another condition.
func mayRevokeLater(code signer.Code) bool { return passing(code) || code == signer.CodeNoSigningKey }

// proof finds the stored event that proves to the signer what Stripe says now; its ID is "" where none does. Of several it is
// the one that the signer judged already, else the earliest.
func (s *Revoker) proof(ctx context.Context, mode string, now Taken, standing string) (ReceivedEvent, error) {
	id, _ := provenBy(now)
	events, err := s.c.Taken.EventsAbout(ctx, mode, id)
	if err != nil {
		return ReceivedEvent{}, fmt.Errorf("revoke: events about %s: %w", id, err)
	}
	var found ReceivedEvent
	for _, e := range events {
		if !proves(e, now, standing) {
			continue
		}
		if e.judged() {
			return e, nil
		}
		if found.ID == "" {
			found = e
		}
	}
	return found, nil
}

// provenBy names the object whose events prove what an object stands for, and the beginning of their types.
func provenBy(now Taken) (id, eventTypes string) {
	if now.Object == ObjectDispute {
		return now.ID, "charge.dispute."
	}
	if now.Charge != nil {
		return now.Charge.ID, "charge.refunded"
	}
	return "", ""
}

// proves reports whether the signer would take an event for what Stripe says now.
func proves(e ReceivedEvent, now Taken, standing string) bool {
	_, types := provenBy(now)
	if types == "" || !strings.HasPrefix(e.Type, types) {
		return false
	}
	c := readClaim(e)
	if now.Object == ObjectDispute {
		return disputeMeans(c.Status) == standing
	}
	return standing == license.StatusRevoked && c.Refunded && c.Amount > 0 && c.AmountRefunded >= c.Amount
}

// judged reports whether the signer answered about the event.
func (e ReceivedEvent) judged() bool {
	return e.Outcome != "" && !strings.HasPrefix(e.Outcome, "kept: ") && !strings.HasPrefix(e.Outcome, "refused: ")
}

// settled is what was done about something that Stripe says and the signer was not shown.
type settlement struct {
	event string   // a stored event that the signer is to judge; "" if none proves it
	asked []string // events that Stripe was asked to deliver again
	flags []Reason
}

// settle brings what Stripe says now before the signer: by the stored event that proves it, or else by asking Stripe to
// deliver one again. Where Stripe keeps none, staff must act. It does nothing where the signer judged a proof already.
func (s *Revoker) settle(ctx context.Context, mode string, now Taken, standing string) (settlement, error) {
	done, err := s.wanting(ctx, mode, now, standing)
	if err != nil {
		return done, err
	}
	if done.event != "" {
		return done, s.RevokeByEvent(ctx, mode, done.event)
	}
	for _, id := range done.asked {
		if err := s.c.Stripe.RetryEvent(ctx, id); err != nil {
			return done, fmt.Errorf("revoke: ask for %s: %w", id, err)
		}
		s.c.Log.InfoContext(ctx, "stripe asked to deliver an event again", "event", id, "object", now.ID)
	}
	return done, nil
}

// wanting finds what settle would do, and does nothing.
func (s *Revoker) wanting(ctx context.Context, mode string, now Taken, standing string) (settlement, error) {
	proof, err := s.proof(ctx, mode, now, standing)
	if err != nil || proof.judged() {
		return settlement{}, err
	}
	if proof.ID != "" {
		return settlement{event: proof.ID}, nil
	}
	missing, err := s.undelivered(ctx, mode, now)
	if err != nil || len(missing) > 0 {
		return settlement{asked: missing}, err
	}
	return settlement{flags: []Reason{{"takeback-without-event", fmt.Sprintf(
		"Stripe says that the licenses of payment %s are to be %s (%s), and no longer keeps the event that would prove it to the signer; propose it by a request.", now.PaymentIntent, standing, now.ID)}}}, nil
}

// undelivered lists the events that Stripe keeps and may prove what it says now, and that are not stored.
func (s *Revoker) undelivered(ctx context.Context, mode string, now Taken) ([]string, error) {
	id, types := provenBy(now)
	since := s.c.Now().Add(-eventsKept)
	if now.Created.After(since) {
		since = now.Created
	}
	var ids []string
	err := s.c.Stripe.EachEvent(ctx, since.Truncate(time.Second), func(page []EventRef) error {
		for _, e := range page {
			if e.ObjectID == id && strings.HasPrefix(e.Type, types) {
				ids = append(ids, e.ID)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("revoke: list events: %w", err)
	}
	missing, err := s.c.Taken.MissingEvents(ctx, mode, ids)
	if err != nil {
		return nil, fmt.Errorf("revoke: missing events: %w", err)
	}
	return missing, nil
}
