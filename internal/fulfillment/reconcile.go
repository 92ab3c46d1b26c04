package fulfillment

import (
	"context"
	"errors"
	"time"
)

// What a reconciliation looks at: orders not compared with Stripe for a minute, so many at a time, and payments that have
// waited this long for an event.
const (
	reconcileAfter = time.Minute
	reconcileBatch = 200
	evidenceAfter  = 2 * time.Minute
	eventsKept     = 30 * 24 * time.Hour // by Stripe
)

// Due is an order that reconciliation should look at.
type Due struct {
	OrderID     string
	State       State
	PaidAt      time.Time
	HasEvidence bool
	ObjectIDs   []string // sessions and invoices, oldest first
	SubmittedAt time.Time
}

// ReconcileStore finds orders that may have been left behind.
type ReconcileStore interface {
	// DueOrders lists open orders last compared with Stripe before the time, the longest ago first.
	DueOrders(ctx context.Context, before time.Time, limit int) ([]Due, error)
	// Gaps counts the paid orders without a license that are older than the time, and the licenses without a paid order.
	Gaps(ctx context.Context, before time.Time) (paidWithoutLicense, licenseWithoutPayment int, err error)
	// SetPass notes that a pass went through.
	SetPass(ctx context.Context, name string, state PassState) error
}

// Reconciliation is what one pass found and did.
type Reconciliation struct {
	Checked               int
	Asked                 int // events that Stripe was asked to deliver again
	Failed                int
	PaidWithoutLicense    int // for more than two minutes; must read zero
	LicenseWithoutPayment int // must read zero
}

// Reconcile compares open orders with Stripe. It holds no evidence, so it cannot issue: where an event is missing it asks
// Stripe to deliver it again. The error tells that the pass is incomplete; it is safe to repeat.
func (s *Fulfiller) Reconcile(ctx context.Context) (Reconciliation, error) {
	var done Reconciliation
	now := s.c.Now()
	due, err := s.c.Reconciles.DueOrders(ctx, now.Add(-reconcileAfter), reconcileBatch)
	if err != nil {
		return done, err
	}
	for _, d := range due {
		if ctx.Err() != nil {
			return done, ctx.Err()
		}
		done.Checked++
		if err := s.EvaluateOrder(ctx, d.OrderID); err != nil {
			done.Failed++
			s.c.Log.WarnContext(ctx, "reconcile: order not evaluated", "order", d.OrderID, "error", err)
			continue
		}
		if d.State == StatePaid && !d.HasEvidence && now.Sub(d.PaidAt) > evidenceAfter {
			asked, err := s.askAgain(ctx, d, now)
			done.Asked += asked
			if err != nil {
				done.Failed++
				s.c.Log.ErrorContext(ctx, "reconcile: payment without evidence", "order", d.OrderID, "error", err)
			}
		}
	}
	done.PaidWithoutLicense, done.LicenseWithoutPayment, err = s.c.Reconciles.Gaps(ctx, now.Add(-evidenceAfter))
	if done.PaidWithoutLicense+done.LicenseWithoutPayment > 0 {
		s.c.Log.ErrorContext(ctx, "reconcile: gap", "paid_without_license", done.PaidWithoutLicense, "license_without_payment", done.LicenseWithoutPayment)
	}
	if err != nil {
		return done, err
	}
	return done, s.c.Reconciles.SetPass(ctx, PassOrders, PassState{SucceededAt: now, Open: done.Failed + done.PaidWithoutLicense + done.LicenseWithoutPayment})
}

// Due lists the orders that Reconcile would look at now, those that it looked at a moment ago as well, and changes nothing.
func (s *Fulfiller) Due(ctx context.Context) ([]Due, error) {
	return s.c.Reconciles.DueOrders(ctx, s.c.Now(), reconcileBatch)
}

var errNoEvent = errors.New("stripe keeps no event of the payment; staff must act")

func (s *Fulfiller) askAgain(ctx context.Context, d Due, now time.Time) (asked int, err error) {
	since := d.SubmittedAt
	if oldest := now.Add(-eventsKept); since.Before(oldest) {
		since = oldest
	}
	for _, object := range d.ObjectIDs {
		ids, err := s.c.Stripe.PaidEventIDs(ctx, object, since)
		if err != nil {
			return asked, err
		}
		for _, id := range ids {
			if err := s.c.Stripe.RetryEvent(ctx, id); err != nil {
				return asked, err
			}
			asked++
		}
	}
	if asked == 0 {
		return 0, errNoEvent
	}
	return asked, nil
}
