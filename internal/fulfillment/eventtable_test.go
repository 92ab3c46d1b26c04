package fulfillment_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/metrum-ai/licensing-portal/internal/billing"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

const (
	awaiting   = fulfillment.StateAwaitingPayment
	processing = fulfillment.StateProcessing
	paid       = fulfillment.StatePaid
	failed     = fulfillment.StateFailed
	inReview   = fulfillment.StateInReview
	issued     = fulfillment.StateIssued

	valid     = fulfillment.StandingValid
	suspended = fulfillment.StandingSuspended
	revoked   = fulfillment.StandingRevoked

	looked = "evaluated" // outcome of an event about an order
)

var (
	wonOver = fields{"status": "won"}
	inFull  = fields{"refunded": true, "amount": 250_00, "amount_refunded": 250_00}
	nobodys = fields{"name": "Mallory", "email": "mallory@other.example", "metadata": fields{"organization_id": "cust_other"}}
	aCent   = fields{"amount_subtotal": 249_99, "amount_total": 249_99}
	noFinal = fields{"last_finalization_error": fields{"message": "Set a valid address.", "type": "invalid_request_error", "code": "x"}}
)

// eventTable has every event that the portal subscribes to, in the order in which they are decided on. Where money is said to
// have come, an event alone makes no license; where it came, an event that does not say so makes none either.
var eventTable = []row{
	{"checkout.session.completed", "says paid, the debit is under way", "an open session",
		[]func(*scene){pays("bank_ok")}, nil, fields{"payment_status": "paid"}, come{state: processing, outcome: looked}},
	{"checkout.session.completed", "says unpaid, the card was charged", "an open session",
		[]func(*scene){pays("card_ok")}, nil, fields{"payment_status": "unpaid"}, come{state: paid, outcome: looked}},
	{"checkout.session.completed", "says what was ordered, a cent less was paid", "an open session",
		[]func(*scene){pays("card_ok")}, aCent, nil, come{state: inReview, reasons: "amount-mismatch", words: "249.99 USD", outcome: looked}},
	{"checkout.session.completed", "says a cent less, what was ordered was paid", "an open session",
		[]func(*scene){pays("card_ok")}, nil, aCent, come{state: inReview, reasons: "signer-amount-mismatch", outcome: looked}},
	{"checkout.session.completed", "says a payment, a subscription began", "an open session of a subscription",
		[]func(*scene){pays("card_ok")}, nil, fields{"mode": "payment"}, come{state: paid, outcome: looked}}, // its invoice's event issues
	{"checkout.session.async_payment_succeeded", "says paid, the debit is under way", "an open session",
		[]func(*scene){pays("bank_ok")}, nil, fields{"payment_status": "paid"}, come{state: processing, outcome: looked}},
	{"checkout.session.async_payment_succeeded", "says unpaid, the debit settled", "an open session",
		[]func(*scene){pays("bank_ok"), settles(true)}, nil, fields{"payment_status": "unpaid"}, come{state: inReview, reasons: "signer-unpaid", outcome: looked}},
	{"checkout.session.async_payment_failed", "says unpaid, the debit settled", "an open session",
		[]func(*scene){pays("bank_ok"), settles(true)}, nil, fields{"payment_status": "unpaid"}, come{state: paid, outcome: looked}},
	{"checkout.session.async_payment_failed", "says paid, the debit failed", "an open session",
		[]func(*scene){pays("bank_fails"), settles(false)}, nil, fields{"payment_status": "paid"}, come{state: failed, outcome: looked}},
	{"checkout.session.expired", "says expired, it is open", "an open session",
		nil, nil, fields{"status": "expired"}, come{state: awaiting, outcome: looked}},
	{"checkout.session.expired", "says expired, it was paid", "an open session",
		[]func(*scene){pays("card_ok")}, nil, fields{"status": "expired", "payment_status": "unpaid"}, come{state: paid, outcome: looked}},
	{"checkout.session.expired", "says paid, it has expired", "an open session",
		[]func(*scene){calls(http.MethodPost, "/v1/checkout/sessions/ID/expire", "")}, nil, fields{"status": "complete", "payment_status": "paid"}, come{state: failed, outcome: looked}},

	{"invoice.paid", "says paid, it is open", "an open invoice",
		nil, nil, fields{"status": "paid", "paid": true, "amount_paid": 15_000_00}, come{state: awaiting, outcome: looked}},
	{"invoice.paid", "says open, it was paid", "an open invoice",
		[]func(*scene){acts("pay", nil)}, nil, fields{"status": "open", "paid": false}, come{state: inReview, reasons: "signer-unpaid", outcome: looked}},
	{"invoice.paid", "says through Stripe, it was out of band", "an open invoice",
		[]func(*scene){acts("out_of_band", nil)}, nil, fields{"paid_out_of_band": false}, come{state: inReview, reasons: "paid-out-of-band", words: "portal staff propose issue", outcome: looked}},
	{"invoice.paid", "says a quote's, it was for a changed plan", "an open invoice",
		[]func(*scene){acts("pay", nil)}, fields{"billing_reason": "subscription_update"}, nil, come{state: inReview, reasons: "billing-reason", words: "a changed plan", outcome: looked}},
	{"invoice.paid", "says what was owed, nothing was", "an open invoice",
		[]func(*scene){acts("pay", nil)}, fields{"total": 0, "subtotal": 0, "amount_due": 0, "amount_paid": 0}, nil, come{state: inReview, reasons: "amount-mismatch", outcome: looked}},
	{"invoice.paid", "says a changed plan, it was a cycle", "a subscription",
		[]func(*scene){acts("bill", nil), invoiced}, nil, fields{"billing_reason": "subscription_update"}, come{state: inReview, reasons: "signer-event-type", outcome: looked}},
	{"invoice.paid", "says a cycle, it was for a changed plan", "a subscription",
		[]func(*scene){acts("bill", nil), invoiced}, fields{"billing_reason": "subscription_update"}, nil, come{state: inReview, reasons: "billing-reason", words: "a changed plan", outcome: looked}},
	{"invoice.payment_failed", "says failed, it was paid", "a subscription",
		[]func(*scene){acts("bill", nil), invoiced}, nil, fields{"status": "open", "paid": false}, come{state: paid, outcome: looked}},
	{"invoice.payment_failed", "says paid, it failed", "a subscription whose card will fail",
		[]func(*scene){acts("bill", nil), invoiced}, nil, fields{"status": "paid", "paid": true}, come{state: awaiting, mails: "owed", outcome: looked}},
	{"invoice.payment_action_required", "says open, it was paid", "a subscription",
		[]func(*scene){acts("bill", nil), invoiced}, nil, fields{"status": "open", "paid": false}, come{state: paid, outcome: looked}},
	{"invoice.payment_action_required", "says paid, the bank asks the customer", "a subscription whose bank will ask",
		[]func(*scene){acts("bill", nil), invoiced}, nil, fields{"status": "paid", "paid": true}, come{state: awaiting, mails: "confirm", outcome: looked}},
	{"invoice.finalized", "says open, it is void", "an open invoice",
		[]func(*scene){acts("void", nil)}, nil, fields{"status": "open"}, come{state: failed, outcome: looked}},
	{"invoice.finalization_failed", "says why, it is open", "an open invoice",
		nil, nil, noFinal, come{state: awaiting, outcome: looked}},
	{"invoice.finalization_failed", "says open, it cannot be finalized", "an open invoice",
		nil, fields{"status": "draft", "last_finalization_error": noFinal["last_finalization_error"]}, nil, come{state: awaiting, flags: "finalization-failed", words: "Set a valid address.", outcome: looked}},
	{"invoice.voided", "says void, it was paid", "an open invoice",
		[]func(*scene){acts("pay", nil)}, nil, fields{"status": "void"}, come{state: paid, outcome: looked}},
	{"invoice.voided", "says paid, it is void", "an open invoice",
		[]func(*scene){acts("void", nil)}, nil, fields{"status": "paid", "paid": true}, come{state: failed, outcome: looked}},
	{"invoice.deleted", "says gone, it is open", "an open invoice",
		nil, nil, fields{"status": "draft"}, come{state: awaiting, outcome: looked}},
	{"invoice.deleted", "says paid, it is gone", "a draft invoice",
		[]func(*scene){calls(http.MethodDelete, "/v1/invoices/ID", "")}, nil, fields{"status": "paid", "paid": true}, come{state: failed, flags: "finalization-failed", outcome: looked}},
	{"invoice.marked_uncollectible", "says given up, it is open", "an open invoice",
		nil, nil, fields{"status": "uncollectible"}, come{state: awaiting, outcome: looked}},
	{"invoice.marked_uncollectible", "says paid, it is given up", "an open invoice",
		[]func(*scene){acts("mark_uncollectible", nil)}, nil, fields{"status": "paid", "paid": true}, come{state: awaiting, flags: "uncollectible", outcome: looked}},

	{"quote.finalized", "says open, it is canceled", "a quote",
		[]func(*scene){calls(http.MethodPost, "/v1/quotes/ID/cancel", "")}, nil, fields{"status": "open"}, come{state: failed, outcome: looked}},
	{"quote.accepted", "says accepted, it is open", "a quote",
		nil, nil, fields{"status": "accepted"}, come{state: awaiting, outcome: looked, also: func(s *scene) { s.invoices(0) }}},
	{"quote.accepted", "says open, it was accepted", "a quote",
		[]func(*scene){calls(http.MethodPost, "/v1/quotes/ID/accept", "")}, nil, fields{"status": "open"}, come{state: awaiting, outcome: looked, also: func(s *scene) { s.invoices(1) }}},
	{"quote.canceled", "says canceled, it is open", "a quote",
		nil, nil, fields{"status": "canceled"}, come{state: awaiting, outcome: looked}},
	{"quote.canceled", "says accepted, it is canceled", "a quote",
		[]func(*scene){calls(http.MethodPost, "/v1/quotes/ID/cancel", "")}, nil, fields{"status": "accepted"}, come{state: failed, outcome: looked}},

	{"charge.refunded", "says in full, it was in part", "a license",
		[]func(*scene){does("refund", fields{"amount": 100}), charged}, nil, inFull, come{state: issued, license: valid, flags: "refund-differs refund-partial", words: "1.00 USD of 250.00 USD", outcome: "kept: refund-differs"}},
	{"charge.refunded", "says in full, nothing was refunded", "a license",
		[]func(*scene){charged}, nil, inFull, come{state: issued, license: valid, flags: "refund-differs", outcome: "kept: refund-differs"}},
	{"charge.refunded", "says in part, it was in full", "a license", // the event that proves it may be under way
		[]func(*scene){does("refund", nil), charged}, nil, fields{"refunded": false, "amount_refunded": 100}, come{state: issued, license: valid}},
	{"charge.refunded", "says in full, and it is disputed since", "a license",
		[]func(*scene){does("refund", nil), charged}, fields{"disputed": true}, nil, come{state: issued, license: revoked, mails: "standing", outcome: "revoked 1"}},
	{"charge.refunded", "says in full, by a refund of an unknown status", "a license",
		[]func(*scene){refundsAs("teleported")}, fields{"disputed": true}, nil, come{state: issued, license: valid, flags: "refund-differs refund-partial refund-status", words: "teleported", outcome: "kept: refund-differs"}},
	{"charge.refunded", "says in full, by a refund that failed", "a license",
		[]func(*scene){refundsAs("failed")}, fields{"disputed": true}, nil, come{state: issued, license: valid, flags: "refund-differs refund-failed refund-partial", outcome: "kept: refund-differs"}},
	{"charge.refunded", "says in full, in the other mode", "a license",
		[]func(*scene){does("refund", nil), charged}, fields{"livemode": true}, nil, come{state: issued, license: valid, flags: "takeback-mode", outcome: "kept: takeback-mode"}},
	{"refund.created", "says succeeded, it failed", "a license",
		[]func(*scene){acts("refund", nil), acts("fail", nil)}, nil, fields{"status": "succeeded"}, come{state: issued, license: valid, flags: "refund-failed", outcome: "kept: refund-failed"}},
	{"refund.created", "says all, it was a part", "a license",
		[]func(*scene){acts("refund", fields{"amount": 100})}, nil, fields{"amount": 250_00}, come{state: issued, license: valid, flags: "refund-partial", words: "1.00 USD of 250.00 USD", outcome: "kept: refund-partial"}},
	{"refund.updated", "says failed, it succeeded", "a license",
		[]func(*scene){acts("refund", nil)}, nil, fields{"status": "failed"}, come{state: issued, license: valid}},
	{"refund.updated", "says succeeded, it is an unknown status", "a license",
		[]func(*scene){acts("refund", nil)}, fields{"status": "teleported"}, nil, come{state: issued, license: valid, flags: "refund-partial refund-status", words: "teleported", outcome: "kept: refund-partial"}},
	{"charge.refund.updated", "says succeeded, it failed after the license was revoked", "a revoked license",
		[]func(*scene){acts("fail", nil)}, nil, fields{"status": "succeeded"}, come{state: issued, license: revoked, flags: "refund-failed", outcome: "kept: refund-failed"}},

	{"charge.dispute.created", "says open, it is won", "a license",
		[]func(*scene){acts("dispute", nil)}, wonOver, nil, come{state: issued, license: valid, outcome: "kept: overtaken, now won"}},
	{"charge.dispute.created", "says lost, it is open", "a license",
		[]func(*scene){acts("dispute", nil)}, nil, fields{"status": "lost"}, come{state: issued, license: valid}},
	{"charge.dispute.created", "says lost, it is an inquiry", "a license",
		[]func(*scene){acts("inquiry", nil)}, nil, fields{"status": "lost"}, come{state: issued, license: valid, flags: "dispute-status", words: "warning_needs_response", outcome: "kept: dispute-status"}},
	{"charge.dispute.updated", "says under review, it is lost", "a license", // suspended until the event that revokes comes
		[]func(*scene){acts("dispute", nil), acts("answer", nil)}, fields{"status": "lost"}, nil, come{state: issued, license: suspended, mails: "standing", outcome: "suspended 1"}},
	{"charge.dispute.updated", "says lost, it is an unknown status", "a license",
		[]func(*scene){acts("dispute", nil)}, fields{"status": "arbitration"}, fields{"status": "lost"}, come{state: issued, license: valid, flags: "dispute-status", words: "arbitration", outcome: "kept: dispute-status"}},
	{"charge.dispute.funds_withdrawn", "says open, it is won", "a license",
		[]func(*scene){acts("dispute", nil)}, wonOver, nil, come{state: issued, license: valid, outcome: "kept: overtaken, now won"}},
	{"charge.dispute.funds_reinstated", "says won, it is lost", "a suspended license",
		[]func(*scene){acts("lose", nil)}, nil, wonOver, come{state: issued, license: suspended}},
	{"charge.dispute.closed", "says won, it is open", "a suspended license", // the event that suspended proves it
		nil, nil, wonOver, come{state: issued, license: suspended, flags: "dispute-differs", words: "needs_response", outcome: "kept: dispute-differs"}},
	{"charge.dispute.closed", "says lost, it is won", "a suspended license",
		[]func(*scene){acts("win", nil)}, nil, fields{"status": "lost"}, come{state: issued, license: suspended}},
	{"charge.dispute.closed", "says won, and it is won for less", "a suspended license",
		[]func(*scene){acts("win", nil)}, fields{"amount": 100}, nil, come{state: issued, license: valid, mails: "standing", outcome: "reinstated 1"}},

	{"credit_note.created", "says issued, it is void", "a license by invoice",
		[]func(*scene){credits("amount=50000&credit_amount=50000")}, fields{"status": "void"}, nil, come{state: issued, license: valid, flags: "credit-note", words: "is void", outcome: "kept: credit-note"}},
	{"credit_note.created", "says out of band, it was refunded in part", "a license by invoice",
		[]func(*scene){credits("amount=50000&refund_amount=50000")}, nil, fields{"refund": nil, "out_of_band_amount": 500_00}, come{state: issued, license: valid, flags: "refund-partial", words: "500.00 USD of 15000.00 USD", outcome: "kept: refund-partial"}},
	{"credit_note.created", "says to the balance, it was refunded in full", "a license by invoice", // charge.refunded may be under way
		[]func(*scene){credits("amount=1500000&refund_amount=1500000")}, nil, fields{"refund": nil}, come{state: issued, license: valid}},
	{"credit_note.voided", "says void, it stands", "a license by invoice",
		[]func(*scene){credits("amount=50000&out_of_band_amount=50000")}, nil, fields{"status": "void"}, come{state: issued, license: valid, flags: "credit-note", words: "is issued", outcome: "kept: credit-note"}},

	{"customer.subscription.updated", "says canceled, it goes on", "a subscription",
		nil, nil, fields{"status": "canceled", "ended_at": 1}, come{state: issued, license: valid, renewing: fulfillment.RenewingActive, outcome: looked}},
	{"customer.subscription.updated", "says active, it was canceled", "a subscription",
		[]func(*scene){acts("cancel", nil)}, nil, fields{"status": "active", "ended_at": nil}, come{state: issued, license: valid, renewing: fulfillment.RenewingEnded, outcome: looked}},
	{"customer.subscription.deleted", "says canceled, it goes on", "a subscription",
		nil, nil, fields{"status": "canceled", "ended_at": 1}, come{state: issued, license: valid, renewing: fulfillment.RenewingActive, outcome: looked}},
	{"customer.subscription.deleted", "says for now, it has ended", "a subscription",
		[]func(*scene){acts("cancel", nil)}, nil, fields{"status": "past_due", "ended_at": nil}, come{state: issued, license: valid, renewing: fulfillment.RenewingEnded, outcome: looked}},
	{"customer.subscription.paused", "says paused, it goes on", "a subscription",
		nil, nil, fields{"status": "paused"}, come{state: issued, license: valid, renewing: fulfillment.RenewingActive, outcome: looked}},
	{"customer.subscription.resumed", "says active, it is paused", "a subscription",
		[]func(*scene){acts("pause", nil)}, nil, fields{"status": "active"}, come{state: issued, license: valid, renewing: fulfillment.RenewingPaused, outcome: looked}},

	{"customer.updated", "says another person's, it is as it was", "a customer at Stripe",
		nil, nil, nobodys, come{state: issued, license: valid, outcome: "kept: contact details only", also: func(s *scene) { s.owned(s.object) }}},
	{"customer.updated", "says as it was, it is another person's", "a customer at Stripe",
		nil, nobodys, nil, come{state: issued, license: valid, outcome: "kept: contact details only", also: func(s *scene) { s.owned(s.object) }}},
	{"customer.deleted", "says deleted, it is there", "a customer at Stripe",
		nil, nil, fields{"deleted": true}, come{state: issued, license: valid, outcome: "kept: contact details only", also: func(s *scene) { s.owned(s.object) }}},
	{"customer.deleted", "says there, it was deleted", "a customer at Stripe",
		[]func(*scene){calls(http.MethodDelete, "/v1/customers/ID", "")}, nil, fields{"name": "Mallory"}, come{state: issued, license: valid, outcome: "kept: contact details only", also: func(s *scene) { s.owned("") }}},

	{"radar.early_fraud_warning.created", "says harmless, it is an unknown kind", "a license",
		[]func(*scene){acts("fraud_warning", nil)}, fields{"fraud_type": "teleported"}, nil, come{state: issued, license: valid, flags: "fraud-warning", words: "teleported", outcome: "kept: fraud-warning"}},
	{"review.opened", "says open, it was closed as fraud", "a license",
		[]func(*scene){acts("review", nil)}, fields{"open": false, "closed_reason": "refunded_as_fraud"}, nil, come{state: issued, license: valid, flags: "payment-review", words: "refunded_as_fraud", outcome: "kept: payment-review"}},
	{"review.closed", "says approved, it is open", "a license",
		[]func(*scene){acts("review", nil)}, nil, fields{"open": false, "closed_reason": "approved"}, come{state: issued, license: valid, flags: "payment-review", words: "holds payment", outcome: "kept: payment-review"}},
}

func TestEveryEventIsDecidedByItsObjectAndNotByWhatItSays(t *testing.T) {
	t.Parallel()
	playAll(t, eventTable)
}

// playAll plays rows, those with one beginning in one world after another.
func playAll(t *testing.T, rows []row) {
	froms := map[string][]row{}
	for _, r := range rows {
		froms[r.from] = append(froms[r.from], r)
	}
	for from, rows := range froms {
		t.Run(from, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.work()
			for n, r := range rows {
				t.Run(r.event+" "+r.name, func(t *testing.T) { w.plays(t, n, r) })
			}
		})
	}
}

func TestTheTableHasEveryEventThatIsSubscribedToAndNoOther(t *testing.T) {
	t.Parallel()
	var types []string
	for _, r := range eventTable {
		types = append(types, r.event)
	}
	slices.Sort(types)
	if types = slices.Compact(types); !slices.Equal(types, slices.Sorted(slices.Values(billing.Events))) {
		t.Errorf("the table has %q, the endpoint is sent %q", types, billing.Events)
	}
}
