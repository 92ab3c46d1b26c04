package stripesim

import "net/http"

func portalRoutes() []route {
	fields := schema{
		"business_profile":   hash(schema{"headline": unsettable(60), "privacy_policy_url": text(2048), "terms_of_service_url": text(2048)}),
		"default_return_url": unsettable(2048), "metadata": metadata(), "features": portalFeatures(), "login_page": off(),
	}
	create := with(fields, schema{"features": portalFeatures().must()})
	update := with(fields, schema{"active": boolean()})
	list := with(pageParams(), schema{"active": boolean(), "is_default": boolean()})
	session := schema{
		"customer": text(255).must(), "configuration": text(255), "return_url": text(2048), "locale": text(10),
		"flow_data": notHere(), "on_behalf_of": notHere(),
	}
	return []route{
		{"POST", "/v1/billing_portal/configurations", create, createPortalConfig},
		{"GET", "/v1/billing_portal/configurations", list, listBy(kindPortalConfig, "/v1/billing_portal/configurations", "active", "is_default")},
		{"GET", "/v1/billing_portal/configurations/{id}", nil, retrieve(kindPortalConfig, "configuration", "configuration")},
		{"POST", "/v1/billing_portal/configurations/{id}", update, updatePortalConfig},
		{"POST", "/v1/billing_portal/sessions", session, createPortalSession},
	}
}

func portalFeatures() field {
	proration := oneOf("create_prorations", "always_invoice", "none")
	return hash(schema{
		"customer_update": hash(schema{
			"enabled": boolean(), "allowed_updates": listOf(10, oneOf("address", "email", "name", "phone", "shipping", "tax_id")),
		}),
		"invoice_history":       hash(schema{"enabled": boolean().must()}),
		"payment_method_update": hash(schema{"enabled": boolean().must()}),
		"subscription_cancel": hash(schema{
			"enabled": boolean(), "mode": oneOf("at_period_end", "immediately"), "proration_behavior": proration,
			"cancellation_reason": hash(schema{"enabled": boolean().must(), "options": listOf(10, text(40))}),
		}),
		"subscription_pause": off(),
		"subscription_update": hash(schema{
			"enabled": boolean(), "default_allowed_updates": listOf(3, oneOf("price", "promotion_code", "quantity")),
			"proration_behavior": proration,
			"products":           listOf(20, hash(schema{"product": text(255).must(), "prices": listOf(20, text(255)).must()})),
		}),
	})
}

// noFeatures are the features of a configuration that asks for none.
func noFeatures() object {
	return object{
		"customer_update":       object{"allowed_updates": []any{}, "enabled": false},
		"invoice_history":       object{"enabled": false},
		"payment_method_update": object{"enabled": false},
		"subscription_cancel": object{
			"cancellation_reason": object{"enabled": false, "options": []any{}}, "enabled": false, "mode": "at_period_end", "proration_behavior": "none",
		},
		"subscription_pause":  object{"enabled": false},
		"subscription_update": object{"default_allowed_updates": []any{}, "enabled": false, "proration_behavior": "none"},
	}
}

func createPortalConfig(x *tx, c *call) (object, error) {
	return x.newPortalConfig(c.params, false)
}

func (x *tx) newPortalConfig(p object, isDefault bool) (object, error) {
	id, err := x.objectID(kindPortalConfig, "bpc_1", 23)
	if err != nil {
		return nil, err
	}
	now := x.now.Unix()
	r := &record{Private: object{}, Body: object{
		"id": id, "object": kindPortalConfig, "active": true, "application": nil,
		"business_profile": object{"headline": nil, "privacy_policy_url": nil, "terms_of_service_url": nil}, "created": now,
		"default_return_url": nil, "features": noFeatures(), "is_default": isDefault, "livemode": false,
		"login_page": object{"enabled": false, "url": nil}, "metadata": object{}, "updated": now,
	}}
	if err := x.setPortalConfig(r, p); err != nil {
		return nil, err
	}
	return r.shown(), x.emitSaved("billing_portal.configuration.created", r)
}

func (x *tx) setPortalConfig(r *record, p object) error {
	p = p.clone()
	for _, name := range []string{"business_profile", "features"} {
		if s := p.sub(name); s != nil {
			p[name] = merge(r.Body.sub(name), s)
		}
	}
	delete(p, "login_page")
	for _, v := range p.sub("features").sub("subscription_update").list("products") {
		for _, id := range v.(object).strings("prices") {
			if x.find(kindPrice, id) == nil {
				return missing(http.StatusBadRequest, "price", id, "features[subscription_update][products]")
			}
		}
	}
	setFields(r.Body, p)
	return nil
}

func updatePortalConfig(x *tx, c *call) (object, error) {
	r, err := x.mustFind(kindPortalConfig, "configuration", c.path("id"), "configuration")
	if err != nil {
		return nil, err
	}
	before := r.Body.clone()
	if err := x.setPortalConfig(r, c.params); err != nil {
		return nil, err
	}
	r.Body["updated"] = x.now.Unix()
	x.save(r)
	return r.shown(), x.emit("billing_portal.configuration.updated", r, previous(before, r.Body))
}

// defaultPortalConfig finds the account's own configuration, which exists as
// soon as somebody needs it: everything but a change of plan.
func (x *tx) defaultPortalConfig() (string, error) {
	for _, id := range x.st.objects[kindPortalConfig].ids {
		if x.st.objects[kindPortalConfig].get(id).Body.flag("is_default") {
			return id, nil
		}
	}
	made, err := x.newPortalConfig(object{"features": object{
		"invoice_history": object{"enabled": true}, "payment_method_update": object{"enabled": true}, "subscription_cancel": object{"enabled": true},
	}}, true)
	return made.str("id"), err
}

func createPortalSession(x *tx, c *call) (object, error) {
	p := c.params
	customer, err := x.customer(p.str("customer"), "customer")
	if err != nil {
		return nil, err
	}
	config := p.str("configuration")
	if config == "" {
		if config, err = x.defaultPortalConfig(); err != nil {
			return nil, err
		}
	}
	found := x.find(kindPortalConfig, config)
	switch {
	case found == nil:
		return nil, missing(http.StatusBadRequest, "configuration", config, "configuration")
	case !found.Body.flag("active"):
		return nil, invalid("", "configuration", "This portal configuration is inactive.")
	}
	id, err := x.objectID(kindPortal, "bps_1", 23)
	if err != nil {
		return nil, err
	}
	back := p.orNull("return_url")
	if back == nil {
		back = found.Body["default_return_url"]
	}
	r := &record{Body: object{
		"id": id, "object": kindPortal, "configuration": config, "created": x.now.Unix(), "customer": customer.Body["id"], "flow": nil,
		"livemode": false, "locale": p.orNull("locale"), "on_behalf_of": nil, "return_url": back,
		"url": x.s.cfg.PublicURL + "/p/session/" + id,
	}}
	return r.shown(), x.emitSaved("billing_portal.session.created", r)
}
