package fulfillment_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

var (
	invoiceEvents = []string{
		"invoice.paid", "invoice.payment_failed", "invoice.payment_action_required", "invoice.finalized", "invoice.finalization_failed",
		"invoice.voided", "invoice.deleted", "invoice.marked_uncollectible",
	}
	quoteEvents        = []string{"quote.finalized", "quote.accepted", "quote.canceled"}
	subscriptionEvents = []string{
		"customer.subscription.updated", "customer.subscription.deleted", "customer.subscription.paused", "customer.subscription.resumed",
	}
)

// hears delivers an event of a type about an object that is there, which it describes as says, and waits until it was looked at.
func (w *world) hears(eventType, id, says string) {
	w.t.Helper()
	object, event := w.stripeObject(id), "evt_"+strings.ReplaceAll(eventType+id, ".", "")
	object["status"], object["paid"] = says, says == "paid"
	body, header := w.about(eventType, event, object)
	w.must(w.inbox.Receive(w.t.Context(), body, header))
	w.eventually(eventType+" is evaluated", func() bool {
		return w.count("SELECT count(*) FROM events WHERE id = $1 AND outcome = 'evaluated'", event) == 1
	})
}

func TestAnEventThatClaimsMoreThanItsObjectChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	r := c.prepared(c.quoteDraft("enterprise-annual"))
	quote := r.Seen.Quote.ID
	for _, eventType := range quoteEvents {
		w.hears(eventType, quote, "accepted")
	}
	if o := c.order(r.Order); o.State != fulfillment.StateAwaitingPayment || w.count("SELECT count(*) FROM invoices") != 0 {
		t.Fatalf("an open quote: %s", o.State)
	}
	invoice := c.accepted(r)
	for _, eventType := range invoiceEvents {
		w.hears(eventType, invoice.ID, "paid")
		if o := c.order(r.Order); o.State != fulfillment.StateAwaitingPayment {
			t.Fatalf("%s made the order of an open invoice %s", eventType, o.State)
		}
	}
	if n := w.count("SELECT count(*) FROM issuances"); n != 0 {
		t.Errorf("%d licenses", n)
	}
}

func TestAnEventThatClaimsLessThanItsObjectIsNotBelieved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	for n, eventType := range append(invoiceEvents[1:], quoteEvents...) {
		draft := c.quoteDraft("enterprise-annual")
		draft.FormKey, draft.DeploymentName = fmt.Sprintf("quote %d", n), fmt.Sprintf("router %d", n)
		r := c.prepared(draft)
		invoice := c.accepted(r)
		w.idle()
		w.sim("/_sim/delivery", map[string]any{"drop": 1}, nil)
		w.object(invoice.ID, "pay", map[string]any{})
		about, says := invoice.ID, "open"
		if strings.HasPrefix(eventType, "quote.") {
			about, says = r.Seen.Quote.ID, "canceled"
		}
		w.hears(eventType, about, says)
		if o := c.order(r.Order); o.State != fulfillment.StatePaid {
			t.Errorf("%s: the order of a paid invoice is %s", eventType, o.State)
		}
		w.sim("/_sim/delivery", map[string]any{}, nil)
	}
	if n := w.count("SELECT count(*) FROM issuances"); n != 0 {
		t.Errorf("%d licenses without the event that proves a payment", n)
	}
}

func TestNoEventOfASubscriptionTakesItsLicenseBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	s := w.customer().subscribe("card_ok")
	before := s.seen()
	for _, eventType := range subscriptionEvents {
		w.hears(eventType, before.ID, "canceled")
	}
	for _, eventType := range invoiceEvents[1:] {
		w.hears(eventType, before.Cycles[0].Invoice.ID, "void")
	}
	if after := s.seen(); after.Status != "active" || after.Cycles[0].Invoice.Status != "paid" || s.customer.order(s.order).State != fulfillment.StateIssued {
		t.Errorf("the subscription is %s, its invoice %s", after.Status, after.Cycles[0].Invoice.Status)
	}
	if n := w.count("SELECT count(*) FROM license_revocations"); n != 0 {
		t.Errorf("%d licenses are withdrawn", n)
	}
}
