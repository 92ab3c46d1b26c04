package fulfillment_test

import (
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// What was refunded of an order is told by Stripe's last word of the charge, however the events come.
func TestAnOrderTellsWhatWasRefundedOfIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	l := c.buy(c.request("credit-pack-5m"))
	o := fulfillment.Order{ID: l.OrderID}
	session := w.session(o)
	shows := func(what string, refunded int64) {
		t.Helper()
		w.eventually(what, func() bool {
			list := c.order(o).Refunds
			if refunded == 0 {
				return len(list) == 0
			}
			return len(list) == 1 && list[0].AmountRefunded == refunded && list[0].Amount == 25000 && list[0].Currency == "USD" && list[0].Refunded == (refunded == 25000)
		})
	}
	if list := c.order(o).Refunds; len(list) != 0 {
		t.Fatalf("refunds before there was one: %+v", list)
	}
	w.act(session, "refund", map[string]any{"amount": 5000})
	shows("a part", 5000)
	back := w.act(session, "refund", map[string]any{"amount": 2500})
	shows("another part", 7500)

	// A refund that comes back is none.
	w.act(back, "fail", nil)
	shows("the second part failed", 5000)

	// What was seen earlier and is stored later changes nothing.
	charge := c.order(o).Refunds[0]
	charge.AmountRefunded, charge.SeenAt = 25000, charge.SeenAt.Add(-time.Second)
	w.must(w.store.NotePayment(t.Context(), o.ID, nil, &charge, time.Now()))
	shows("an earlier look", 5000)
	c.stands(l, fulfillment.StandingValid)

	w.act(session, "refund", nil)
	shows("the rest", 25000)
	c.stands(l, fulfillment.StandingRevoked)
}

// Where no event of a refund in part came, the daily comparison keeps it.
func TestTheComparisonWithStripeKeepsWhatWasRefunded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	l := c.buy(c.request("credit-pack-5m"))
	o := fulfillment.Order{ID: l.OrderID}
	w.sim("/_sim/delivery", map[string]any{"drop": 1}, nil)
	w.act(w.session(o), "refund", map[string]any{"amount": 5000})
	w.must(w.reconcilerAt(0).Daily(t.Context()))
	if list := c.order(o).Refunds; len(list) != 1 || list[0].AmountRefunded != 5000 {
		t.Errorf("refunds: %+v", list)
	}
	if flags := w.flags(o.ID); len(flags) != 1 || flags[0] != "refund-partial" {
		t.Errorf("flags: %v", flags)
	}
}

// A license that a won dispute reinstates tells since when, until it is named again.
func TestAReinstatedLicenseTellsSinceWhen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	l := c.buy(c.request("credit-pack-5m"))
	if !c.again(l).ReinstatedAt.IsZero() {
		t.Error("it was never out of force")
	}
	dispute := w.act(w.session(fulfillment.Order{ID: l.OrderID}), "dispute", nil)
	if suspended := c.stands(l, fulfillment.StandingSuspended); !suspended.ReinstatedAt.IsZero() {
		t.Error("a suspended license tells that it is in force again")
	}
	w.later()
	w.act(dispute, "win", nil)
	back := c.stands(l, fulfillment.StandingValid)
	if back.ReinstatedAt.IsZero() || !back.ReinstatedAt.Equal(w.stored().Payload().IssuedAt) {
		t.Errorf("reinstated at %v, the bundle is of %v", back.ReinstatedAt, w.stored().Payload().IssuedAt)
	}
}
