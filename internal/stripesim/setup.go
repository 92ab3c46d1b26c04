package stripesim

func setupRoutes() []route {
	list := with(pageParams(), schema{"customer": text(255), "payment_method": text(255), "created": createdRange()})
	return []route{
		{"GET", "/v1/setup_intents/{id}", schema{"client_secret": text(255)}, retrieve(kindSetup, "setupintent", "intent")},
		{"GET", "/v1/setup_intents", list, listBy(kindSetup, "/v1/setup_intents", "customer", "payment_method")},
	}
}

// setUpAtCheckout keeps a payment method for later; nothing is paid.
func (x *tx) setUpAtCheckout(r *record, c choice) error {
	intent := x.find(kindSetup, r.Body.str("setup_intent"))
	if intent == nil {
		var err error
		if intent, err = x.newSetup(r); err != nil {
			return err
		}
	}
	method, err := x.newMethod(c.method, bankType(r.Body), c.email)
	if err != nil {
		return err
	}
	if behavior(method, true) == outcomeDeclined {
		intent.Body["last_setup_error"] = object{
			"code": "card_declined", "decline_code": "generic_decline", "doc_url": "https://stripe.com/docs/error-codes/card-declined",
			"message": "Your card was declined.", "type": "card_error",
		}
		if err := x.emitSaved("setup_intent.setup_failed", intent); err != nil {
			return err
		}
		return x.declined(r)
	}
	if customer := r.Body.str("customer"); customer != "" {
		if err := x.attach(method, customer); err != nil {
			return err
		}
	}
	intent.Body["status"], intent.Body["payment_method"], intent.Body["last_setup_error"] = "succeeded", method.Body["id"], nil
	if err := x.emitSaved("setup_intent.succeeded", intent); err != nil {
		return err
	}
	return x.complete(r)
}

func (x *tx) newSetup(session *record) (*record, error) {
	id, err := x.objectID(kindSetup, "seti_1", 23)
	if err != nil {
		return nil, err
	}
	secret, err := x.newID(id+"_secret_", 25, nil)
	if err != nil {
		return nil, err
	}
	b := session.Body
	r := &record{Private: object{}, Body: object{
		"id": id, "object": kindSetup, "application": nil, "automatic_payment_methods": nil, "cancellation_reason": nil,
		"client_secret": secret, "created": x.now.Unix(), "customer": b["customer"], "description": nil, "flow_directions": nil,
		"last_setup_error": nil, "latest_attempt": nil, "livemode": false, "mandate": nil, "metadata": object{}, "next_action": nil,
		"on_behalf_of": nil, "payment_method": nil, "payment_method_configuration_details": nil, "payment_method_options": object{},
		"payment_method_types": cloneValue(b["payment_method_types"]), "single_use_mandate": nil, "status": "requires_payment_method",
		"usage": "off_session",
	}}
	setFields(r.Body, session.Private.sub("setup"))
	b["setup_intent"] = id
	return r, x.emitSaved("setup_intent.created", r)
}
