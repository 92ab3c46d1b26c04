package stripesim

func paymentRoutes() []route {
	list := with(pageParams(), schema{"customer": text(255), "created": createdRange()})
	charges := with(list, schema{"payment_intent": text(255)})
	intents := schema{"client_secret": text(255)}
	return []route{
		{"GET", "/v1/payment_intents/{id}", intents, retrieve(kindIntent, "payment_intent", "intent")},
		{"GET", "/v1/payment_intents", list, func(x *tx, c *call) (object, error) {
			return x.listObjects(kindIntent, "/v1/payment_intents", c.params, func(r *record) bool {
				return matches(r.Body, c.params, "customer")
			})
		}},
		{"GET", "/v1/charges/{id}", nil, retrieve(kindCharge, "charge", "id")},
		{"GET", "/v1/charges", charges, func(x *tx, c *call) (object, error) {
			return x.listObjects(kindCharge, "/v1/charges", c.params, func(r *record) bool {
				return matches(r.Body, c.params, "customer", "payment_intent")
			})
		}},
	}
}

// intentOf is a session's payment intent, made at the first attempt to pay as
// Stripe does since API version 2022-08-01.
func (x *tx) intentOf(session *record) (*record, error) {
	if r := x.find(kindIntent, session.Body.str("payment_intent")); r != nil {
		return r, nil
	}
	id, err := x.objectID(kindIntent, "pi_3", 23)
	if err != nil {
		return nil, err
	}
	secret, err := x.newID(id+"_secret_", 25, nil)
	if err != nil {
		return nil, err
	}
	r := &record{Body: object{
		"id": id, "object": kindIntent, "amount": session.Body.int("amount_total"), "amount_capturable": int64(0),
		"amount_details": object{"tip": object{}}, "amount_received": int64(0), "application": nil, "application_fee_amount": nil,
		"automatic_payment_methods": nil, "canceled_at": nil, "cancellation_reason": nil, "capture_method": "automatic",
		"client_secret": secret, "confirmation_method": "automatic", "created": x.now.Unix(), "currency": session.Body.str("currency"),
		"customer": session.Body.orNull("customer"), "description": nil, "invoice": nil, "last_payment_error": nil, "latest_charge": nil,
		"livemode": false, "metadata": object{}, "next_action": nil, "on_behalf_of": nil, "payment_method": nil,
		"payment_method_configuration_details": nil, "payment_method_options": object{},
		"payment_method_types": cloneValue(session.Body["payment_method_types"]), "processing": nil, "receipt_email": nil, "review": nil,
		"setup_future_usage": nil, "shipping": nil, "source": nil, "statement_descriptor": nil, "statement_descriptor_suffix": nil,
		"status": "requires_payment_method", "transfer_data": nil, "transfer_group": nil,
	}}
	setFields(r.Body, session.Private.sub("intent"))
	x.save(r)
	session.Body["payment_intent"] = id
	return r, x.emit("payment_intent.created", r, nil)
}

// newCharge is one attempt to take an intent's money.
func (x *tx) newCharge(session, intent *record, details object, status string) (*record, error) {
	id, err := x.objectID(kindCharge, "ch_3", 23)
	if err != nil {
		return nil, err
	}
	method, err := x.newID("pm_1", 23, nil)
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
		"billing_details": object{
			"address": object{"city": nil, "country": nil, "line1": nil, "line2": nil, "postal_code": nil, "state": nil},
			"email":   session.Body.sub("customer_details").orNull("email"), "name": nil, "phone": nil,
		},
		"calculated_statement_descriptor": "STAND-IN", "captured": status != "failed", "created": x.now.Unix(),
		"currency": intent.Body.str("currency"), "customer": intent.Body.orNull("customer"), "description": intent.Body.orNull("description"),
		"destination": nil, "dispute": nil, "disputed": false, "failure_balance_transaction": nil, "failure_code": nil,
		"failure_message": nil, "fraud_details": object{}, "invoice": nil, "livemode": false,
		"metadata": intent.Body.sub("metadata").clone(), "on_behalf_of": nil, "outcome": nil, "paid": status == "succeeded",
		"payment_intent": intent.Body.str("id"), "payment_method": method, "payment_method_details": details, "receipt_email": nil,
		"receipt_number": nil, "receipt_url": nil, "refunded": false, "review": nil, "shipping": nil, "source_transfer": nil,
		"statement_descriptor": nil, "statement_descriptor_suffix": nil, "status": status, "transfer_data": nil, "transfer_group": nil,
	}}
	x.save(r)
	return r, nil
}

// succeed records that a charge took the intent's money.
func (x *tx) succeed(intent, charge *record) error {
	charge.Body["outcome"] = object{
		"network_status": "approved_by_network", "reason": nil, "risk_level": "normal",
		"seller_message": "Payment complete.", "type": "authorized",
	}
	x.save(charge)
	intent.Body["status"], intent.Body["amount_received"] = "succeeded", intent.Body.int("amount")
	intent.Body["latest_charge"], intent.Body["payment_method"] = charge.Body.str("id"), charge.Body.str("payment_method")
	intent.Body["last_payment_error"] = nil
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
		"network_status": "declined_by_network", "reason": nullable(declineCode), "risk_level": "normal",
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
	x.save(intent)
	if err := x.emit("charge.failed", charge, nil); err != nil {
		return err
	}
	return x.emit("payment_intent.payment_failed", intent, nil)
}

func cardDetails(last4 string) object {
	return object{"type": "card", "card": object{
		"brand": "visa", "checks": object{"address_line1_check": nil, "address_postal_code_check": nil, "cvc_check": "pass"},
		"country": "US", "exp_month": int64(12), "exp_year": int64(2034), "fingerprint": "stripesim" + last4, "funding": "credit",
		"installments": nil, "last4": last4, "mandate": nil, "network": "visa", "three_d_secure": nil, "wallet": nil,
	}}
}

func bankDetails(kind string) object {
	if kind == "sepa_debit" {
		return object{"type": kind, kind: object{
			"bank_code": "37040044", "branch_code": nil, "country": "DE", "fingerprint": "stripesim3000", "last4": "3000", "mandate": nil,
		}}
	}
	return object{"type": kind, kind: object{
		"account_holder_type": "individual", "account_type": "checking", "bank_name": "STAND-IN TEST BANK",
		"fingerprint": "stripesim6789", "last4": "6789", "mandate": nil, "routing_number": "110000000",
	}}
}
