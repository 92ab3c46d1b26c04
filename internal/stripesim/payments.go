package stripesim

import "net/http"

func paymentRoutes() []route {
	list := with(pageParams(), schema{"customer": text(255), "created": createdRange()})
	charges := with(list, schema{"payment_intent": text(255)})
	intents := schema{"client_secret": text(255)}
	return []route{
		{"GET", "/v1/payment_intents/{id}", intents, retrieve(kindIntent, "payment_intent", "intent")},
		{"GET", "/v1/payment_intents", list, listBy(kindIntent, "/v1/payment_intents", "customer")},
		{"GET", "/v1/charges/{id}", nil, retrieve(kindCharge, "charge", "id")},
		{"GET", "/v1/charges", charges, listBy(kindCharge, "/v1/charges", "customer", "payment_intent")},
	}
}

// newIntent makes a payment intent; fields say for how much, of whom and why.
func (x *tx) newIntent(fields, private object) (*record, error) {
	id, err := x.objectID(kindIntent, "pi_3", 23)
	if err != nil {
		return nil, err
	}
	secret, err := x.newID(id+"_secret_", 25, nil)
	if err != nil {
		return nil, err
	}
	r := &record{Private: private, Body: object{
		"id": id, "object": kindIntent, "amount": int64(0), "amount_capturable": int64(0),
		"amount_details": object{"tip": object{}}, "amount_received": int64(0), "application": nil, "application_fee_amount": nil,
		"automatic_payment_methods": nil, "canceled_at": nil, "cancellation_reason": nil, "capture_method": "automatic",
		"client_secret": secret, "confirmation_method": "automatic", "created": x.now.Unix(), "currency": nil,
		"customer": nil, "description": nil, "invoice": nil, "last_payment_error": nil, "latest_charge": nil,
		"livemode": false, "metadata": object{}, "next_action": nil, "on_behalf_of": nil, "payment_method": nil,
		"payment_method_configuration_details": nil, "payment_method_options": object{},
		"payment_method_types": []any{"card"}, "processing": nil, "receipt_email": nil, "review": nil,
		"setup_future_usage": nil, "shipping": nil, "statement_descriptor": nil, "statement_descriptor_suffix": nil,
		"status": "requires_payment_method", "transfer_data": nil, "transfer_group": nil,
	}}
	setFields(r.Body, fields)
	x.save(r)
	return r, x.emit("payment_intent.created", r, nil)
}

// attempt tries to take what an intent asks for with a payment method. present
// says that the customer is at a page, where they can answer their bank.
func (x *tx) attempt(intent, method *record, present bool) (outcome, error) {
	what := behavior(method, present)
	switch what {
	case outcomeAction:
		return what, x.askToConfirm(intent, method)
	case outcomeSettles, outcomeBounces:
		return what, x.debit(intent, method, what == outcomeSettles)
	case outcomeDeclined:
		charge, err := x.newCharge(intent, method, "failed")
		if err != nil {
			return what, err
		}
		return what, x.fail(intent, charge, "card_declined", "generic_decline", "Your card was declined.")
	}
	charge, err := x.newCharge(intent, method, "succeeded")
	if err != nil {
		return what, err
	}
	return what, x.succeed(intent, charge)
}

// newCharge is one attempt to take an intent's money.
func (x *tx) newCharge(intent, method *record, status string) (*record, error) {
	id, err := x.objectID(kindCharge, "ch_3", 23)
	if err != nil {
		return nil, err
	}
	amount := intent.Body.int("amount")
	captured := amount
	if status == "failed" {
		captured = 0
	}
	r := &record{Body: object{
		"id": id, "object": kindCharge, "amount": amount, "amount_captured": captured, "amount_refunded": int64(0), "application": nil,
		"application_fee": nil, "application_fee_amount": nil, "balance_transaction": nil,
		"billing_details":                 method.Body.sub("billing_details").clone(),
		"calculated_statement_descriptor": "STAND-IN", "captured": status != "failed", "created": x.now.Unix(),
		"currency": intent.Body.str("currency"), "customer": intent.Body.orNull("customer"), "description": intent.Body.orNull("description"),
		"disputed": false, "failure_balance_transaction": nil, "failure_code": nil,
		"failure_message": nil, "fraud_details": object{}, "invoice": intent.Body.orNull("invoice"), "livemode": false,
		"metadata": intent.Body.sub("metadata").clone(), "on_behalf_of": nil, "outcome": nil, "paid": status == "succeeded",
		"payment_intent": intent.Body.str("id"), "payment_method": method.Body.str("id"), "payment_method_details": usedDetails(method),
		"receipt_email": nil, "receipt_number": nil, "receipt_url": x.s.cfg.PublicURL + "/receipts/" + id, "refunded": false, "review": nil,
		"shipping": nil, "source_transfer": nil, "statement_descriptor": nil, "statement_descriptor_suffix": nil, "status": status,
		"transfer_data": nil, "transfer_group": nil,
	}}
	x.save(r)
	return r, nil
}

// succeed records that a charge took the intent's money.
func (x *tx) succeed(intent, charge *record) error {
	charge.Body["outcome"] = object{
		"network_status": "approved_by_network", "reason": nil, "risk_level": "normal", "risk_score": int64(12),
		"seller_message": "Payment complete.", "type": "authorized",
	}
	x.save(charge)
	intent.Body["status"], intent.Body["amount_received"] = "succeeded", intent.Body.int("amount")
	intent.Body["latest_charge"], intent.Body["payment_method"] = charge.Body.str("id"), charge.Body.str("payment_method")
	intent.Body["last_payment_error"], intent.Body["next_action"] = nil, nil
	x.save(intent)
	if err := x.emit("charge.succeeded", charge, nil); err != nil {
		return err
	}
	return x.emit("payment_intent.succeeded", intent, nil)
}

// fail records that a charge did not take the intent's money.
func (x *tx) fail(intent, charge *record, code, declineCode, message string) error {
	charge.Body["status"], charge.Body["paid"], charge.Body["captured"] = "failed", false, false
	charge.Body["amount_captured"] = int64(0)
	charge.Body["failure_code"], charge.Body["failure_message"] = code, message
	charge.Body["outcome"] = object{
		"network_status": "declined_by_network", "reason": nullable(declineCode), "risk_level": "normal", "risk_score": int64(12),
		"seller_message": "The bank did not return any further details with this decline.", "type": "issuer_declined",
	}
	x.save(charge)
	problem := object{"charge": charge.Body.str("id"), "code": code, "message": message, "type": "card_error", "doc_url": "https://stripe.com/docs/error-codes"}
	if declineCode != "" {
		problem["decline_code"] = declineCode
	} else {
		problem["type"] = "invalid_request_error"
	}
	intent.Body["status"], intent.Body["last_payment_error"] = "requires_payment_method", problem
	intent.Body["latest_charge"], intent.Body["payment_method"] = charge.Body.str("id"), nil
	intent.Body["next_action"] = nil
	x.save(intent)
	if err := x.emit("charge.failed", charge, nil); err != nil {
		return err
	}
	return x.emit("payment_intent.payment_failed", intent, nil)
}

// askToConfirm leaves an intent to the customer, who must answer their bank.
func (x *tx) askToConfirm(intent, method *record) error {
	intent.Body["status"], intent.Body["payment_method"] = "requires_action", method.Body.str("id")
	intent.Body["next_action"] = object{"type": "use_stripe_sdk", "use_stripe_sdk": object{}}
	x.save(intent)
	return x.emit("payment_intent.requires_action", intent, nil)
}

// debit starts a bank debit: the bank's answer comes by the clock.
func (x *tx) debit(intent, method *record, ok bool) error {
	charge, err := x.newCharge(intent, method, "pending")
	if err != nil {
		return err
	}
	intent.Body["status"], intent.Body["latest_charge"] = "processing", charge.Body.str("id")
	intent.Body["payment_method"] = charge.Body.str("payment_method")
	intent.Private["due_at"], intent.Private["settle_ok"] = x.soon(), ok
	x.save(intent)
	if err := x.emit("charge.pending", charge, nil); err != nil {
		return err
	}
	return x.emit("payment_intent.processing", intent, nil)
}

// settle is the bank's answer to a debit, and what it means for the invoice and
// the Checkout Session that wait for it.
func (x *tx) settle(intent *record, ok bool) error {
	if intent == nil || intent.Private.int("due_at") == 0 {
		return invalid("nothing_to_settle", "", "No bank debit is under way here.")
	}
	delete(intent.Private, "due_at")
	charge := x.find(kindCharge, intent.Body.str("latest_charge"))
	if ok {
		charge.Body["status"], charge.Body["paid"] = "succeeded", true
		if err := x.succeed(intent, charge); err != nil {
			return err
		}
	} else if err := x.fail(intent, charge, "debit_not_authorized", "", "The customer's bank refused the debit: insufficient funds."); err != nil {
		return err
	}
	if invoice := x.find(kindInvoice, intent.Body.str("invoice")); invoice != nil {
		if err := x.invoiceSettled(invoice, intent, ok); err != nil {
			return err
		}
	}
	if session := x.find(kindSession, intent.Private.str("session")); session != nil {
		return x.sessionSettled(session, ok)
	}
	return nil
}

// cancelIntent ends an intent that nobody will pay any more.
func (x *tx) cancelIntent(id, reason string) error {
	intent := x.find(kindIntent, id)
	if intent == nil || intent.Body.str("status") == "succeeded" || intent.Body.str("status") == "canceled" {
		return nil
	}
	intent.Body["status"], intent.Body["canceled_at"], intent.Body["cancellation_reason"] = "canceled", x.now.Unix(), reason
	delete(intent.Private, "due_at")
	x.save(intent)
	return x.emit("payment_intent.canceled", intent, nil)
}

// cardError is how Stripe refuses an API call whose payment was declined. What
// the attempt left behind stands.
func cardError(intent *record) *apiError {
	problem := intent.Body.sub("last_payment_error")
	return &apiError{
		status: http.StatusPaymentRequired, kind: "card_error", code: problem.str("code"), message: problem.str("message"), stands: true,
		more: object{"charge": problem.str("charge"), "decline_code": problem.str("decline_code")},
	}
}
