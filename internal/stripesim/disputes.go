package stripesim

import "slices"

// evidenceLife is how long one has to answer a dispute, in seconds.
const evidenceLife = 9 * daySeconds

// evidenceNames are the members of a dispute's evidence.
var evidenceNames = []string{
	"access_activity_log", "billing_address", "cancellation_policy", "cancellation_policy_disclosure", "cancellation_rebuttal",
	"customer_communication", "customer_email_address", "customer_name", "customer_purchase_ip", "customer_signature",
	"duplicate_charge_documentation", "duplicate_charge_explanation", "duplicate_charge_id", "product_description", "receipt",
	"refund_policy", "refund_policy_disclosure", "refund_refusal_explanation", "service_date", "service_documentation",
	"shipping_address", "shipping_carrier", "shipping_date", "shipping_documentation", "shipping_tracking_number",
	"uncategorized_file", "uncategorized_text",
}

func disputeRoutes() []route {
	list := with(pageParams(), schema{"charge": text(255), "payment_intent": text(255), "created": createdRange()})
	evidence := schema{}
	for _, name := range evidenceNames {
		evidence[name] = unsettable(20000)
	}
	update := schema{"evidence": hash(evidence), "metadata": metadata(), "submit": boolean()}
	return []route{
		{"GET", "/v1/disputes", list, listBy(kindDispute, "/v1/disputes", "charge", "payment_intent")},
		{"GET", "/v1/disputes/{id}", nil, retrieve(kindDispute, "dispute", "dispute")},
		{"POST", "/v1/disputes/{id}", update, updateDispute},
		{"POST", "/v1/disputes/{id}/close", nil, func(x *tx, c *call) (object, error) {
			d, err := x.mustFind(kindDispute, "dispute", c.path("id"), "dispute")
			if err != nil {
				return nil, err
			}
			if err := x.loseDispute(d); err != nil {
				return nil, err
			}
			return d.shown(), nil
		}},
	}
}

// openDispute is a customer who asks their bank for the money back. An inquiry
// takes no money yet; a chargeback takes it at once.
func (x *tx) openDispute(charge *record, inquiry bool, reason string) (*record, error) {
	b := charge.Body
	switch {
	case b.str("status") != "succeeded":
		return nil, invalid("charge_not_paid", "", "Charge %s has not succeeded, so nobody disputes it.", b.str("id"))
	case x.openDisputeOf(b.str("id")) != nil:
		return nil, invalid("charge_disputed", "", "Charge %s is disputed already.", b.str("id"))
	}
	id, err := x.objectID(kindDispute, "du_1", 23)
	if err != nil {
		return nil, err
	}
	evidence := object{}
	for _, name := range evidenceNames {
		evidence[name] = nil
	}
	status := "needs_response"
	if inquiry {
		status = "warning_needs_response"
	}
	d := &record{Body: object{
		"id": id, "object": kindDispute, "amount": b.int("amount") - b.int("amount_refunded"), "balance_transactions": []any{}, "charge": b["id"],
		"created": x.now.Unix(), "currency": b["currency"], "evidence": evidence,
		"evidence_details":     object{"due_by": x.now.Unix() + evidenceLife, "has_evidence": false, "past_due": false, "submission_count": int64(0)},
		"is_charge_refundable": inquiry, "livemode": false, "metadata": object{}, "payment_intent": b["payment_intent"],
		"payment_method_details": object{"card": object{"brand": "visa", "network_reason_code": "10.4"}, "type": "card"},
		"reason":                 reason, "status": status,
	}}
	if err := x.change(charge, "charge.updated", func(b object) { b["disputed"] = true }); err != nil {
		return nil, err
	}
	if inquiry {
		return d, x.emitSaved("charge.dispute.created", d)
	}
	return d, x.chargeBack(d, "charge.dispute.created")
}

// chargeBack takes the disputed money: event tells of the dispute, another one
// of the money.
func (x *tx) chargeBack(d *record, event string) error {
	if err := x.bookDispute(d, -d.Body.int("amount"), 1500); err != nil {
		return err
	}
	if err := x.emit(event, d, nil); err != nil {
		return err
	}
	return x.emit("charge.dispute.funds_withdrawn", d, nil)
}

// bookDispute adds the balance transaction of money that goes or comes back.
func (x *tx) bookDispute(d *record, amount, fee int64) error {
	id, err := x.newID("txn_1", 23, nil)
	if err != nil {
		return err
	}
	what := "Chargeback withdrawal for " + d.Body.str("charge")
	category := "dispute"
	if amount > 0 {
		what, category = "Chargeback reversal for "+d.Body.str("charge"), "dispute_reversal"
	}
	fees := []any{}
	if fee > 0 {
		fees = append(fees, object{"amount": fee, "application": nil, "currency": d.Body["currency"], "description": "Dispute fee", "type": "stripe_fee"})
	}
	d.Body["balance_transactions"] = append(d.Body.list("balance_transactions"), any(object{
		"id": id, "object": "balance_transaction", "amount": amount, "available_on": x.now.Unix(), "created": x.now.Unix(),
		"currency": d.Body["currency"], "description": what, "exchange_rate": nil, "fee": fee, "fee_details": fees, "net": amount - fee,
		"reporting_category": category, "source": d.Body["id"], "status": "available", "type": "adjustment",
	}))
	x.save(d)
	return nil
}

// openDisputeOf finds the dispute of a charge that nobody has decided yet.
func (x *tx) openDisputeOf(charge string) *record {
	for _, id := range x.st.objects[kindDispute].ids {
		d := x.st.objects[kindDispute].get(id)
		if d.Body.str("charge") == charge && !slices.Contains([]string{"won", "lost", "warning_closed"}, d.Body.str("status")) {
			return d
		}
	}
	return nil
}

// refundableDespiteDispute: while a bank only asks, the money is still there.
func (x *tx) refundableDespiteDispute(charge *record) bool {
	for _, id := range x.st.objects[kindDispute].ids {
		d := x.st.objects[kindDispute].get(id)
		if d.Body.str("charge") == charge.Body.str("id") && !d.Body.flag("is_charge_refundable") {
			return false
		}
	}
	return true
}

func inDispute(d *record, from ...string) error {
	if s := d.Body.str("status"); !slices.Contains(from, s) {
		return invalid("", "", "This dispute has a status of `%s`.", s)
	}
	return nil
}

// updateDispute keeps evidence; submit hands it in.
func updateDispute(x *tx, c *call) (object, error) {
	d, err := x.mustFind(kindDispute, "dispute", c.path("id"), "dispute")
	if err != nil {
		return nil, err
	}
	if c.params.has("evidence") {
		if err := inDispute(d, "needs_response", "warning_needs_response", "under_review", "warning_under_review"); err != nil {
			return nil, err
		}
	}
	err = x.change(d, "charge.dispute.updated", func(b object) {
		if e := c.params.sub("evidence"); e != nil {
			b["evidence"] = merge(b.sub("evidence"), e)
			b["evidence_details"] = merge(b.sub("evidence_details"), object{"has_evidence": true})
		}
		if c.params.has("metadata") {
			b["metadata"] = mergeMetadata(b.sub("metadata"), c.params["metadata"])
		}
		if !c.params.has("submit") || c.params.flag("submit") {
			submitEvidence(b)
		}
	})
	return d.shown(), err
}

// answerDispute hands evidence in: the bank looks at it.
func (x *tx) answerDispute(d *record) error {
	if err := inDispute(d, "needs_response", "warning_needs_response"); err != nil {
		return err
	}
	return x.change(d, "charge.dispute.updated", func(b object) {
		b["evidence_details"] = merge(b.sub("evidence_details"), object{"has_evidence": true})
		submitEvidence(b)
	})
}

func submitEvidence(b object) {
	next := map[string]string{"needs_response": "under_review", "warning_needs_response": "warning_under_review"}[b.str("status")]
	if next == "" || !b.sub("evidence_details").flag("has_evidence") {
		return
	}
	details := b.sub("evidence_details")
	b["status"] = next
	b["evidence_details"] = merge(details, object{"submission_count": details.int("submission_count") + 1})
}

// escalate makes a chargeback of an inquiry.
func (x *tx) escalate(d *record) error {
	if err := inDispute(d, "warning_needs_response", "warning_under_review"); err != nil {
		return err
	}
	d.Body["status"], d.Body["is_charge_refundable"] = "needs_response", false
	return x.chargeBack(d, "charge.dispute.updated")
}

// winDispute brings the money back; an inquiry is closed without more.
func (x *tx) winDispute(d *record) error {
	if err := inDispute(d, "needs_response", "under_review", "warning_needs_response", "warning_under_review"); err != nil {
		return err
	}
	if s := d.Body.str("status"); s == "warning_needs_response" || s == "warning_under_review" {
		d.Body["status"] = "warning_closed"
		return x.emitSaved("charge.dispute.closed", d)
	}
	d.Body["status"] = "won"
	if err := x.bookDispute(d, d.Body.int("amount"), 0); err != nil {
		return err
	}
	if err := x.emit("charge.dispute.closed", d, nil); err != nil {
		return err
	}
	return x.emit("charge.dispute.funds_reinstated", d, nil)
}

// loseDispute leaves the money with the customer.
func (x *tx) loseDispute(d *record) error {
	if err := inDispute(d, "needs_response", "under_review"); err != nil {
		return err
	}
	d.Body["status"] = "lost"
	return x.emitSaved("charge.dispute.closed", d)
}
