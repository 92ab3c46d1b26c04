package stripesim_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/webhook"
)

// subscribed are the events that the portal's endpoint asks for.
var subscribed = []string{
	"checkout.session.completed", "checkout.session.async_payment_succeeded", "checkout.session.async_payment_failed", "checkout.session.expired",
	"invoice.paid", "invoice.payment_failed", "invoice.payment_action_required", "invoice.finalized", "invoice.finalization_failed",
	"invoice.voided", "invoice.deleted", "invoice.marked_uncollectible", "quote.finalized", "quote.accepted", "quote.canceled",
	"charge.refunded", "refund.created", "refund.updated", "charge.refund.updated", "charge.dispute.created", "charge.dispute.updated",
	"charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated", "charge.dispute.closed", "credit_note.created", "credit_note.voided",
	"customer.subscription.updated", "customer.subscription.deleted", "customer.subscription.paused", "customer.subscription.resumed",
	"customer.updated", "customer.deleted", "radar.early_fraud_warning.created", "review.opened", "review.closed",
}

func TestEveryEventThatThePortalAsksForIsMade(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	for _, flow := range contractFlows {
		flow(h)
	}
	made := map[string]bool{}
	before := ""
	for { // the list's pages, as a reconciler would read them
		page := h.raw("/v1/events?limit=100" + before)
		for _, v := range page["data"].([]any) {
			e := v.(map[string]any)
			made[e["type"].(string)] = true
			before = "&starting_after=" + e["id"].(string)
		}
		if page["has_more"] != true {
			break
		}
	}
	for _, name := range subscribed {
		if !made[name] {
			t.Errorf("nothing makes %s", name)
		}
	}
	h.sameAsTold()
}

// A signed event may say one thing while the object says another.
func TestAnEventAndItsObjectCanDifferInEveryKind(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, event string
		do          func(h *harness) string // answers the object's ID
		patch       map[string]any
	}{
		{"session", "checkout.session.completed", func(h *harness) string {
			s := h.session(900)
			h.pay(s.ID, "card_ok")
			return s.ID
		}, map[string]any{"amount_subtotal": 1.0}},
		{"invoice", "invoice.paid", func(h *harness) string {
			inv := h.finalize(h.draft(h.customer().ID, 900, "usd").ID)
			h.act(inv.ID, "pay", nil)
			return inv.ID
		}, map[string]any{"status": "void"}},
		{"quote", "quote.finalized", func(h *harness) string {
			q := h.quote(h.customer().ID, "")
			_, err := h.sdk.Quotes.FinalizeQuote(q.ID, nil)
			h.must(err)
			return q.ID
		}, map[string]any{"status": "canceled"}},
		{"subscription", "customer.subscription.updated", func(h *harness) string {
			_, sub := h.subscribe(h.monthly(900).ID, "card_ok")
			return sub.ID
		}, map[string]any{"status": "canceled"}},
		{"charge", "charge.refunded", func(h *harness) string {
			c := h.paidCharge(900, "card_ok")
			h.act(c.ID, "refund", nil)
			return c.ID
		}, map[string]any{"refunded": false}},
		{"refund", "refund.created", func(h *harness) string {
			return h.act(h.paidCharge(900, "card_ok").ID, "refund", nil)["id"].(string)
		}, map[string]any{"status": "a_new_status"}},
		{"dispute", "charge.dispute.created", func(h *harness) string {
			return h.act(h.paidCharge(900, "card_ok").ID, "dispute", nil)["id"].(string)
		}, map[string]any{"status": "prevented"}},
		{"credit note", "credit_note.created", func(h *harness) string {
			inv := h.finalize(h.draft(h.customer().ID, 900, "usd").ID)
			n, err := h.sdk.CreditNotes.New(&stripe.CreditNoteParams{Invoice: &inv.ID, Amount: stripe.Int64(400)})
			h.must(err)
			return n.ID
		}, map[string]any{"status": "void"}},
		{"customer", "customer.updated", func(h *harness) string {
			_, sub := h.subscribe(h.monthly(900).ID, "card_fails_later")
			h.act(sub.ID, "bill", nil)
			return sub.Customer.ID
		}, map[string]any{"email": "other@halden.test"}},
		{"fraud warning", "radar.early_fraud_warning.created", func(h *harness) string {
			return h.act(h.paidCharge(900, "card_ok").ID, "fraud_warning", nil)["id"].(string)
		}, map[string]any{"actionable": false}},
		{"review", "review.opened", func(h *harness) string {
			return h.act(h.paidCharge(900, "card_ok").ID, "review", nil)["id"].(string)
		}, map[string]any{"open": false}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := start(t, nil)
			h.control("POST", "/_sim/delivery", map[string]any{"hold": true})
			id := c.do(h)
			h.control("POST", "/_sim/objects/"+id, map[string]any{"patch": c.patch, "target": "object"})
			h.control("POST", "/_sim/release", nil)
			got := h.sink.wait(1, c.event)[0]
			if _, err := webhook.ConstructEvent(got.body, got.signature, testSecret); err != nil {
				t.Error(err)
			}
			var told map[string]any
			h.must(json.Unmarshal(got.event.Data.Raw, &told))
			read := h.raw("/v1/" + addresses[id[:strings.Index(id, "_")+1]] + "/" + id)
			for member, value := range c.patch {
				if read[member] != value || told[member] == value || told["id"] != id {
					t.Errorf("%s: the object says %v, the event %v", member, read[member], told[member])
				}
			}
		})
	}
}
