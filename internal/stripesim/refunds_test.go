package stripesim_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"
)

// paidCharge pays a session and answers its charge.
func (h *harness) paidCharge(amount int64, method string) *stripe.Charge {
	h.t.Helper()
	s := h.session(amount)
	h.pay(s.ID, method)
	return h.charge(h.fetch(s.ID).PaymentIntent.LatestCharge.ID)
}

func (h *harness) charge(id string) *stripe.Charge {
	h.t.Helper()
	p := &stripe.ChargeParams{}
	p.AddExpand("refunds")
	c, err := h.sdk.Charges.Get(id, p)
	h.must(err)
	return c
}

func TestRefundsAddUpToAFullOne(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	c := h.paidCharge(25000, "card_ok")
	refund := func(p *stripe.RefundParams) (*stripe.Refund, error) { return h.sdk.Refunds.New(p) }
	mark := len(h.events())
	p := &stripe.RefundParams{PaymentIntent: &c.PaymentIntent.ID, Amount: stripe.Int64(10000), Reason: stripe.String("requested_by_customer")}
	p.AddMetadata("order_id", "order_1")
	p.SetIdempotencyKey("refund-1")
	first, err := refund(p)
	h.must(err)
	if first.Status != "succeeded" || first.Amount != 10000 || first.Charge.ID != c.ID || first.PaymentIntent.ID != c.PaymentIntent.ID || first.Metadata["order_id"] != "order_1" {
		t.Errorf("%+v", first)
	}
	want(t, "story", h.story(mark), "refund.created charge.refunded")
	again, err := refund(p)
	h.must(err)
	want(t, "replay", again.ID, first.ID)
	got := h.charge(c.ID)
	if got.Refunded || got.AmountRefunded != 10000 || len(got.Refunds.Data) != 1 {
		t.Errorf("a part: %v %d", got.Refunded, got.AmountRefunded)
	}
	_, err = refund(&stripe.RefundParams{Charge: &c.ID, Amount: stripe.Int64(15001)})
	stripeError(t, err, 400, "", "amount")
	_, err = refund(&stripe.RefundParams{Charge: &c.ID})
	h.must(err)
	got = h.charge(c.ID)
	if !got.Refunded || got.AmountRefunded != 25000 || len(got.Refunds.Data) != 2 {
		t.Errorf("all: %v %d", got.Refunded, got.AmountRefunded)
	}
	_, err = refund(&stripe.RefundParams{Charge: &c.ID})
	stripeError(t, err, 400, "charge_already_refunded", "")
	plain, err := h.sdk.Charges.Get(c.ID, nil)
	h.must(err)
	if plain.Refunds != nil {
		t.Error("refunds are shown though nobody expanded them")
	}
	n := 0
	for it := h.sdk.Refunds.List(&stripe.RefundListParams{Charge: &c.ID}); it.Next(); n++ {
	}
	want(t, "listed", n, 2)
	h.sameAsTold()
}

func TestRefundToABankIsPendingAndMayFail(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	s := h.session(25000)
	h.pay(s.ID, "bank_ok")
	h.control("POST", "/_sim/sessions/"+s.ID+"/settle", map[string]any{})
	c := h.fetch(s.ID).PaymentIntent.LatestCharge
	r, err := h.sdk.Refunds.New(&stripe.RefundParams{Charge: &c.ID})
	h.must(err)
	if r.Status != "pending" || !h.charge(c.ID).Refunded {
		t.Errorf("%s, refunded %v", r.Status, h.charge(c.ID).Refunded)
	}
	h.advance(time.Hour + time.Minute)
	r, err = h.sdk.Refunds.Get(r.ID, nil)
	h.must(err)
	want(t, "after a while", r.Status, "succeeded")
	mark := len(h.events())
	h.act(r.ID, "fail", nil)
	r, err = h.sdk.Refunds.Get(r.ID, nil)
	h.must(err)
	if got := h.charge(c.ID); r.Status != "failed" || r.FailureReason != "expired_or_canceled_card" || got.Refunded || got.AmountRefunded != 0 {
		t.Errorf("failed: %s %s, refunded %d", r.Status, r.FailureReason, got.AmountRefunded)
	}
	want(t, "story", h.story(mark), "refund.updated charge.refund.updated charge.updated")
	if status, _ := h.tryControl("POST", "/_sim/objects/"+r.ID+"/succeed", map[string]any{}); status != 400 {
		t.Error("a failed refund succeeded")
	}
	h.sameAsTold()
}

func TestDisputeIsWonOrLost(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ end, status, story string }{
		{"win", "won", "charge.dispute.closed charge.dispute.funds_reinstated"},
		{"lose", "lost", "charge.dispute.closed"},
	} {
		t.Run(c.end, func(t *testing.T) {
			t.Parallel()
			h := start(t, nil)
			ch := h.paidCharge(25000, "card_ok")
			mark := len(h.events())
			id := h.act(ch.ID, "dispute", map[string]any{"reason": "product_not_received"})["id"].(string)
			want(t, "opened", h.story(mark), "charge.updated charge.dispute.created charge.dispute.funds_withdrawn")
			d, err := h.sdk.Disputes.Get(id, nil)
			h.must(err)
			if d.Status != "needs_response" || d.Amount != 25000 || d.Charge.ID != ch.ID || d.PaymentIntent.ID != ch.PaymentIntent.ID ||
				d.Reason != "product_not_received" || len(d.BalanceTransactions) != 1 || d.BalanceTransactions[0].Net != -26500 || !h.charge(ch.ID).Disputed {
				t.Errorf("%+v", d)
			}
			_, err = h.sdk.Refunds.New(&stripe.RefundParams{Charge: &ch.ID})
			stripeError(t, err, 400, "charge_disputed", "")
			mark = len(h.events())
			d, err = h.sdk.Disputes.Update(id, &stripe.DisputeParams{
				Evidence: &stripe.DisputeEvidenceParams{UncategorizedText: stripe.String("The license was downloaded.")}, Submit: stripe.Bool(true),
			})
			h.must(err)
			if d.Status != "under_review" || !d.EvidenceDetails.HasEvidence || d.EvidenceDetails.SubmissionCount != 1 {
				t.Errorf("%s %+v", d.Status, d.EvidenceDetails)
			}
			want(t, "answered", h.story(mark), "charge.dispute.updated")
			mark = len(h.events())
			h.act(id, c.end, nil)
			want(t, "ended", h.story(mark), c.story)
			d, err = h.sdk.Disputes.Get(id, nil)
			h.must(err)
			want(t, "status", string(d.Status), c.status)
			if status, _ := h.tryControl("POST", "/_sim/objects/"+id+"/win", map[string]any{}); status != 400 {
				t.Error("it was decided twice")
			}
			list := h.sdk.Disputes.List(&stripe.DisputeListParams{PaymentIntent: &ch.PaymentIntent.ID})
			if !list.Next() || list.Dispute().ID != id {
				t.Error("it is not listed by its payment intent")
			}
			h.sameAsTold()
		})
	}
}

func TestInquiryIsClosedOrBecomesADispute(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	ch := h.paidCharge(25000, "card_ok")
	mark := len(h.events())
	d := h.act(ch.ID, "inquiry", nil)
	if d["status"] != "warning_needs_response" || d["is_charge_refundable"] != true || len(d["balance_transactions"].([]any)) != 0 {
		t.Errorf("%v", d)
	}
	want(t, "no money goes", h.story(mark), "charge.updated charge.dispute.created")
	id := d["id"].(string)
	if status, _ := h.tryControl("POST", "/_sim/objects/"+id+"/lose", map[string]any{}); status != 400 {
		t.Error("an inquiry was lost")
	}
	want(t, "closed", h.act(id, "win", nil)["status"].(string), "warning_closed")

	id = h.act(ch.ID, "inquiry", nil)["id"].(string)
	h.act(id, "answer", nil)
	mark = len(h.events())
	want(t, "escalated", h.act(id, "escalate", nil)["status"].(string), "needs_response")
	want(t, "story", h.story(mark), "charge.dispute.updated charge.dispute.funds_withdrawn")
	closed, err := h.sdk.Disputes.Close(id, nil)
	h.must(err)
	want(t, "accepted", closed.Status, "lost")
	h.sameAsTold()
}

func TestFraudWarningsAndReviews(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	ch := h.paidCharge(25000, "card_ok")
	warning := h.act(ch.PaymentIntent.ID, "fraud_warning", nil) // found by the intent too
	w, err := h.sdk.RadarEarlyFraudWarnings.Get(warning["id"].(string), nil)
	h.must(err)
	if w.Charge.ID != ch.ID || !w.Actionable || w.PaymentIntent.ID != ch.PaymentIntent.ID {
		t.Errorf("%+v", w)
	}
	review := h.act(ch.ID, "review", nil)["id"].(string)
	r, err := h.sdk.Reviews.Get(review, nil)
	h.must(err)
	if !r.Open || r.Charge.ID != ch.ID || h.charge(ch.ID).Review.ID != review {
		t.Errorf("%+v", r)
	}
	r, err = h.sdk.Reviews.Approve(review, nil)
	h.must(err)
	if r.Open || r.ClosedReason != "approved" {
		t.Errorf("%+v", r)
	}
	second := h.act(ch.ID, "review", nil)["id"].(string)
	want(t, "closed as", h.act(second, "close", map[string]any{"reason": "refunded_as_fraud"})["closed_reason"].(string), "refunded_as_fraud")
	h.sink.wait(1, "radar.early_fraud_warning.created")
	h.sink.wait(2, "review.closed")
	if status, out := h.tryControl("POST", "/_sim/objects/"+ch.ID+"/explode", map[string]any{}); status != 404 || !strings.Contains(out["error"].(map[string]any)["message"].(string), "explode") {
		t.Errorf("an unknown action: %d %v", status, out)
	}
	h.sameAsTold()
}
