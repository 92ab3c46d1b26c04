package fulfillment_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// secondSession opens another session of an order whose first is still open, as no portal does that could expire the first.
func (s *scene) secondSession() string {
	s.t.Helper()
	ctx, now := s.t.Context(), s.now()
	r, err := s.store.OrderRecord(ctx, s.order.ID)
	s.must(err)
	r, err = s.store.ReserveAttempt(ctx, r, now)
	s.must(err)
	made, err := s.stripe.CreateCheckout(ctx, fulfillment.CheckoutRequest{
		OrderID: r.ID, Attempt: r.Attempt, IdempotencyKey: "second", Snapshot: r.Snapshot, CustomerEmail: r.BuyerEmail,
		SuccessURL: "http://localhost/ok", CancelURL: "http://localhost/no", ExpiresAt: now.Add(fulfillment.SessionLife),
	})
	s.must(err)
	s.must(s.store.AddSession(ctx, r.ID, fulfillment.StoredSession{ID: made.ID, Attempt: r.Attempt, URL: made.URL, ExpiresAt: made.ExpiresAt}, now))
	return made.ID
}

// provedBy is the session whose event the order's license was issued by, as staff find it in the order's log.
func (s *scene) provedBy() string {
	s.t.Helper()
	log, err := s.store.OrderLog(s.t.Context(), s.order.ID)
	s.must(err)
	for _, line := range log {
		if _, event, ok := strings.Cut(line.Detail, " by "); ok && line.What == "issued" {
			var session string
			s.must(s.pool.QueryRow(s.t.Context(), "SELECT object_id FROM events WHERE id = $1", event).Scan(&session))
			return session
		}
	}
	s.t.Fatalf("the log does not say: %+v", log)
	return ""
}

func TestAnOrderPaidTwiceHasOneLicenseAndTheOtherPaymentIsGivenBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	s := c.opened(c.request("credit-pack-5m"))
	first, second := s.object, s.secondSession()
	w.sim("/_sim/delivery", fields{"hold": true, "duplicates": 2}, nil)
	s.payBy(first, "card_ok")
	s.payBy(second, "card_ok")
	w.sim("/_sim/delivery", fields{}, nil)
	w.sim("/_sim/release", fields{"order": "reverse"}, nil)
	l := s.license(s.becomes(s.order, issued))
	w.eventually("both events are looked at", func() bool {
		return w.count("SELECT count(*) FROM events WHERE type = 'checkout.session.completed' AND outcome = 'evaluated'") == 2
	})
	w.idle()
	if n := w.count("SELECT count(*) FROM issuances"); n != 1 || len(w.logFiles()) != 1 || len(w.mailed()) != 1 {
		t.Errorf("%d licenses, %d in the log, %d mails", n, len(w.logFiles()), len(w.mailed()))
	}
	read := w.staffRead(s.order)
	if got := w.flags(s.order.ID); !slices.Equal(got, []string{"paid-twice"}) || !strings.Contains(read, first) || !strings.Contains(read, second) {
		t.Errorf("flags %q, staff read %s", got, read)
	}
	keep, back := s.provedBy(), second
	if keep == second {
		back = first
	}
	w.act(back, "refund", nil)
	w.eventually("the refund is looked at", func() bool { return len(w.outcomes("charge.refunded")) == 1 && w.outcomes("charge.refunded")[0] != "" })
	w.idle()
	s.stands(l, valid)
	if n, err := w.reconcilerAt(time.Hour).Payments(t.Context(), false, nil); err != nil || n != 0 {
		t.Errorf("%d differ: %v", n, err)
	}
	s.stands(l, valid)
	w.act(keep, "refund", nil)
	s.stands(l, revoked)
}

// Staff may look at the payment that differs for as long as they like: the other is what was ordered, and its event proves it.
func TestAPaymentThatDiffersDoesNotStandInTheWayOfOneThatDoesNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	s := c.opened(c.request("credit-pack-5m"))
	first, second := s.object, s.secondSession()
	w.patch(first, "both", aCent)
	s.payBy(first, "card_ok")
	s.becomes(s.order, inReview)
	s.payBy(second, "card_ok")
	l := s.license(s.becomes(s.order, issued))
	w.idle()
	if got := w.flags(s.order.ID); s.provedBy() != second || !slices.Equal(got, []string{"paid-twice"}) {
		t.Errorf("issued by %s, flags %q", s.provedBy(), got)
	}
	w.act(first, "refund", nil)
	w.eventually("the refund is looked at", func() bool { return len(w.outcomes("charge.refunded")) == 1 && w.outcomes("charge.refunded")[0] != "" })
	s.stands(l, valid)
}
