package stripesim

import "net/http"

func refundRoutes() []route {
	create := schema{
		"charge": text(255), "payment_intent": text(255), "amount": integer(1, maxUnitAmount), "metadata": metadata(),
		"reason": oneOf("duplicate", "fraudulent", "requested_by_customer"), "instructions_email": notHere(), "currency": notHere(),
		"customer": notHere(), "origin": notHere(), "refund_application_fee": notHere(), "reverse_transfer": notHere(),
	}
	list := with(pageParams(), schema{"charge": text(255), "payment_intent": text(255), "created": createdRange()})
	return []route{
		{"POST", "/v1/refunds", create, createRefund},
		{"GET", "/v1/refunds", list, listBy(kindRefund, "/v1/refunds", "charge", "payment_intent")},
		{"GET", "/v1/refunds/{id}", nil, retrieve(kindRefund, "refund", "refund")},
		{"POST", "/v1/refunds/{id}", schema{"metadata": metadata()}, updateRefund},
	}
}

func createRefund(x *tx, c *call) (object, error) {
	p := c.params
	charge := x.find(kindCharge, p.str("charge"))
	if id := p.str("payment_intent"); id != "" {
		intent := x.find(kindIntent, id)
		if intent == nil {
			return nil, missing(http.StatusBadRequest, "payment_intent", id, "payment_intent")
		}
		if charge = x.find(kindCharge, intent.Body.str("latest_charge")); charge == nil {
			return nil, invalid("", "payment_intent", "This PaymentIntent (%s) does not have a successful charge to refund.", id)
		}
	}
	switch {
	case p.has("charge") == p.has("payment_intent"):
		return nil, invalid("parameter_missing", "charge", "One of the following params should be provided for this request: payment_intent or charge.")
	case charge == nil:
		return nil, missing(http.StatusBadRequest, "charge", p.str("charge"), "charge")
	}
	r, err := x.refund(charge, p.int("amount"), p.str("reason"), p.sub("metadata"))
	if err != nil {
		return nil, err
	}
	return r.shown(), nil
}

// refund gives money of a charge back; amount 0 is all that is left. A bank
// takes its time, a card does not.
func (x *tx) refund(charge *record, amount int64, reason string, meta object) (*record, error) {
	b := charge.Body
	left := b.int("amount") - b.int("amount_refunded")
	if amount == 0 {
		amount = left
	}
	switch {
	case b.str("status") != "succeeded":
		return nil, invalid("", "", "Charge %s has not succeeded, so it cannot be refunded.", b.str("id"))
	case left == 0:
		return nil, invalid("charge_already_refunded", "", "Charge %s has already been refunded.", b.str("id"))
	case amount > left:
		return nil, invalid("", "amount", "Refund amount (%s) is greater than unrefunded amount on charge (%s)", formatMoney(amount, b.str("currency")), formatMoney(left, b.str("currency")))
	case b.flag("disputed") && !x.refundableDespiteDispute(charge):
		return nil, invalid("charge_disputed", "", "Charge %s has been charged back; cannot issue a refund.", b.str("id"))
	}
	id, err := x.objectID(kindRefund, "re_3", 23)
	if err != nil {
		return nil, err
	}
	kind := b.sub("payment_method_details").str("type")
	r := &record{Private: object{}, Body: object{
		"id": id, "object": kindRefund, "amount": amount, "balance_transaction": nil, "charge": b["id"], "created": x.now.Unix(),
		"currency": b["currency"], "destination_details": refundDestination(kind), "metadata": object{},
		"payment_intent": b["payment_intent"], "reason": nullable(reason), "receipt_number": nil, "source_transfer_reversal": nil,
		"status": "succeeded", "transfer_reversal": nil,
	}}
	if meta != nil {
		r.Body["metadata"] = meta
	}
	if kind != "card" {
		r.Body["status"], r.Private["due_at"] = "pending", x.soon()
	}
	x.save(r)
	return r, x.tellRefund(charge, r)
}

// refundDestination is where the money of a payment goes back to.
func refundDestination(kind string) object {
	switch kind {
	case "card":
		return object{"type": kind, kind: object{
			"reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund",
		}}
	case "customer_balance":
		return object{"type": "customer_cash_balance", "customer_cash_balance": object{}}
	}
	to := map[string]string{"us_bank_account": "us_bank_transfer", "sepa_debit": "eu_bank_transfer"}[kind]
	return object{"type": to, to: object{"reference": nil, "reference_status": "pending"}}
}

func (x *tx) tellRefund(charge, refund *record) error {
	if err := x.emit("refund.created", refund, nil); err != nil {
		return err
	}
	return x.countRefunds(charge, "charge.refunded")
}

// countRefunds brings a charge in line with its refunds.
func (x *tx) countRefunds(charge *record, event string) error {
	var sum int64
	for _, v := range x.refundsOf(charge.Body.str("id")) {
		if r := v.(object); r.str("status") != "failed" && r.str("status") != "canceled" {
			sum += r.int("amount")
		}
	}
	return x.change(charge, event, func(b object) {
		b["amount_refunded"], b["refunded"] = sum, sum == b.int("amount")
	})
}

// refundsOf lists a charge's refunds, newest first.
func (x *tx) refundsOf(charge string) []any {
	out := []any{}
	t := x.st.objects[kindRefund]
	for i := len(t.ids) - 1; i >= 0; i-- {
		if r := t.get(t.ids[i]); r.Body.str("charge") == charge {
			out = append(out, r.shown())
		}
	}
	return out
}

// endRefund is the bank's answer to a refund: succeeded or failed. What failed
// comes back, and the charge counts as not refunded.
func (x *tx) endRefund(r *record, status, why string) error {
	if s := r.Body.str("status"); s == "failed" || s == status {
		return invalid("refund_ended", "", "This refund has a status of `%s` already.", s)
	}
	delete(r.Private, "due_at")
	before := r.Body.clone()
	r.Body["status"] = status
	if status == "failed" {
		r.Body["failure_reason"] = why
	}
	x.save(r)
	for _, t := range []string{"refund.updated", "charge.refund.updated"} {
		if err := x.emit(t, r, previous(before, r.Body)); err != nil {
			return err
		}
	}
	if status != "failed" {
		return nil
	}
	return x.countRefunds(x.find(kindCharge, r.Body.str("charge")), "charge.updated")
}

func updateRefund(x *tx, c *call) (object, error) {
	r, err := x.mustFind(kindRefund, "refund", c.path("id"), "refund")
	if err != nil {
		return nil, err
	}
	shown, err := x.updateObject(r, c.params, "refund.updated")
	if err != nil {
		return nil, err
	}
	return shown, x.emit("charge.refund.updated", r, nil)
}
