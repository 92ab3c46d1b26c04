package fulfillment

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/metrum-ai/licensing-portal/internal/signer"
)

// errTooMany ends a pass that has fetched what it may.
var errTooMany = errors.New("more refunds than one pass compares")

// Payments compares the refunds and disputes that Stripe has of the licenses in force with what the signer judged, and answers
// how many differed. It settles what differs: by the stored event, by asking Stripe for one, or by a flag for staff. With dry
// it only tells.
func (s *Reconciler) Payments(ctx context.Context, dry bool, tell Tell) (open int, err error) {
	bundle, err := s.c.Catalog.Bundle(ctx)
	if err != nil {
		return 0, err
	}
	now := s.c.Now()
	since, err := s.c.Store.OldestLivePayment(ctx, now)
	if err != nil {
		return 0, fmt.Errorf("reconcile: oldest payment: %w", err)
	}
	if !since.IsZero() {
		p := paymentsPass{Reconciler: s, livemode: bundle.Stripe.Livemode, dry: dry, tell: tell, seen: map[string]bool{}}
		err = s.c.Stripe.EachTaken(ctx, since.Add(-eventOverlap), func(page []Taken) error { return p.page(ctx, page) })
		open = p.open
	}
	if err != nil {
		return open, fmt.Errorf("reconcile: payments: %w", err)
	}
	if dry {
		return open, nil
	}
	if open > 0 {
		s.c.Log.ErrorContext(ctx, "reconcile: refunds or disputes differ", "payments", open)
	}
	return open, s.c.Store.SetPass(ctx, PassPayments, PassState{SucceededAt: now, Open: open})
}

// paymentsPass is one pass over refunds and disputes.
type paymentsPass struct {
	*Reconciler
	livemode bool
	dry      bool
	tell     Tell
	seen     map[string]bool // payments whose charge was fetched
	open     int
}

func (p *paymentsPass) page(ctx context.Context, page []Taken) error {
	intents := make([]string, len(page))
	for i, t := range page {
		intents[i] = t.PaymentIntent
	}
	live, err := p.c.Store.LivePayments(ctx, p.c.Now(), intents)
	if err != nil {
		return err
	}
	for _, t := range page {
		if paid, ok := live[t.PaymentIntent]; ok {
			if err := p.compare(ctx, t, paid); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *paymentsPass) compare(ctx context.Context, t Taken, paid LivePayment) error {
	if t.Object == ObjectRefund {
		if p.seen[t.PaymentIntent] {
			return nil
		}
		if len(p.seen) >= takenAtMost {
			return errTooMany
		}
		p.seen[t.PaymentIntent] = true
		fresh, err := fetchTaken(ctx, p.c.Stripe, p.c.Now(), ObjectRefund, t.ID)
		if err != nil {
			return err
		}
		t = fresh
	}
	b := decideTakeback(claim{Status: t.Status}, t, p.livemode)
	standing := b.seek
	if b.ask { // of a dispute whose status is taken for the event's
		standing = disputeMeans(t.Status)
	}
	if standing == signer.StatusReinstated && paid.Status == "" {
		return nil
	}
	flags := b.flags
	if standing != "" {
		more, err := p.settle(ctx, t, paid, standing)
		if err != nil {
			return err
		}
		flags = append(flags, more...)
	}
	if (len(flags) == 0 && t.Charge == nil) || p.dry {
		return nil
	}
	return p.c.Store.NotePayment(ctx, paid.OrderID, flags, t.Charge, p.c.Now())
}

// settle tells what differs and mends it, unless the signer judged it already.
func (p *paymentsPass) settle(ctx context.Context, t Taken, paid LivePayment, standing string) ([]Reason, error) {
	mode := modeName(p.livemode)
	want, err := p.c.Revoker.wanting(ctx, mode, t, standing)
	if err != nil {
		return nil, err
	}
	finding := Finding{Pass: PassPayments, ObjectID: t.ID, OrderID: paid.OrderID}
	switch {
	case want.event != "":
		finding.Detail = "the license is to be " + standing + "; show the signer " + want.event
	case len(want.asked) > 0:
		finding.Detail = "the license is to be " + standing + "; ask Stripe to deliver " + strings.Join(want.asked, ", ") + " again"
	case len(want.flags) > 0:
		finding.Detail = want.flags[0].Detail
	default:
		return nil, nil
	}
	p.open++
	p.tell.tell(finding)
	if p.dry {
		return nil, nil
	}
	_, err = p.c.Revoker.settle(ctx, mode, t, standing)
	return want.flags, err
}
