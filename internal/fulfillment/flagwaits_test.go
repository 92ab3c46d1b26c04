package fulfillment_test

import (
	"errors"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// reviewed pays a session and has Stripe open a review of the payment at once; nobody works yet. It answers the review's event.
func reviewed(c customer, session string) (eventID string) {
	c.payBy(session, "card_ok")
	c.act(session, "review", nil)
	return c.arrived("review.opened")
}

// lookedAt looks at an event as of so much later.
func (w *world) lookedAt(eventID string, later time.Duration) error {
	return w.revokerWith(w.signer, func() time.Time { return time.Now().Add(later) }).RevokeByEvent(w.t.Context(), "test", eventID)
}

// Stripe opens a review as soon as the payment is made, and tells of it before anybody looked at the payment.
func TestAReviewThatIsToldBeforeItsPaymentIsFlagged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.customer()
	o := c.draft(c.request("credit-pack-5m"))
	event := reviewed(c, c.checkout(o))
	if _, waits := errors.AsType[*fulfillment.LaterError](w.lookedAt(event, 0)); !waits || len(w.flags(o.ID)) != 0 {
		t.Errorf("the flag does not wait for its order, whose flags are %v", w.flags(o.ID))
	}
	w.work()
	c.becomes(o, fulfillment.StateIssued)
	w.must(w.lookedAt(event, 0))
	if flags := w.flags(o.ID); len(flags) != 1 || flags[0] != "payment-review" {
		t.Errorf("flags: %v", flags)
	}
}

func TestAReviewOfNoOrderOfThePortalIsNotWaitedForLong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.customer()
	event := reviewed(c, c.checkout(c.draft(c.request("credit-pack-5m"))))
	w.must(w.lookedAt(event, 2*time.Minute+time.Second))
	if outcomes := w.outcomes("review.opened"); len(outcomes) != 1 || outcomes[0] != "kept: payment-review" {
		t.Errorf("outcomes: %v", outcomes)
	}
}
