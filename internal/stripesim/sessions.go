package stripesim

import (
	"maps"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	minSessionLife = 30 * time.Minute
	maxSessionLife = 24 * time.Hour
)

func sessionRoutes() []route {
	list := with(pageParams(), schema{
		"customer": text(255), "payment_intent": text(255), "subscription": text(255), "created": createdRange(),
		"status": oneOf("open", "complete", "expired"), "customer_details": hash(schema{"email": text(512)}), "payment_link": notHere(),
	})
	return []route{
		{"POST", "/v1/checkout/sessions", sessionParams(), createSession},
		{"GET", "/v1/checkout/sessions", list, listSessions},
		{"GET", "/v1/checkout/sessions/{id}", nil, retrieve(kindSession, "checkout.session", "session")},
		{"POST", "/v1/checkout/sessions/{id}/expire", nil, expireSession},
		{"GET", "/v1/checkout/sessions/{id}/line_items", pageParams(), listLineItems},
	}
}

// sessionParams are the parameters of a new session. Those that need something
// the stand-in does not have are refused by name.
func sessionParams() schema {
	item := hash(schema{
		"price": text(255), "quantity": integer(1, 999_999), "price_data": priceData(), "adjustable_quantity": off(), "dynamic_tax_rates": notHere(), "tax_rates": notHere(),
	})
	intent := hash(schema{
		"description": text(1000), "metadata": metadata(), "receipt_email": text(512),
		"statement_descriptor": text(22), "statement_descriptor_suffix": text(22),
		"capture_method": oneOf("automatic", "automatic_async"), "setup_future_usage": notHere(), "shipping": notHere(),
		"application_fee_amount": notHere(), "on_behalf_of": notHere(), "transfer_data": notHere(), "transfer_group": notHere(),
	})
	invoiceData := hash(schema{
		"description": text(1500), "footer": text(5000), "metadata": metadata(), "account_tax_ids": notHere(), "custom_fields": notHere(),
		"issuer": notHere(), "rendering_options": notHere(),
	})
	subscription := hash(schema{
		"description": text(500), "metadata": metadata(), "application_fee_percent": notHere(), "billing_cycle_anchor": notHere(),
		"default_tax_rates": notHere(), "invoice_settings": notHere(), "on_behalf_of": notHere(), "proration_behavior": notHere(),
		"transfer_data": notHere(), "trial_end": notHere(), "trial_period_days": notHere(), "trial_settings": notHere(),
	})
	setup := hash(schema{"description": text(1000), "metadata": metadata(), "on_behalf_of": notHere()})
	return schema{
		"mode": oneOf("payment", "subscription", "setup").must(), "line_items": listOf(100, item), "currency": currencyCode(),
		"success_url": text(5000), "cancel_url": text(5000), "expires_at": integer(0, 1<<40),
		"client_reference_id": text(200), "customer": text(255), "customer_email": text(800),
		"customer_creation": oneOf("if_required", "always"), "customer_update": hash(schema{
			"address": oneOf("auto", "never"), "name": oneOf("auto", "never"), "shipping": oneOf("auto", "never"),
		}),
		"metadata": metadata(), "payment_intent_data": intent, "locale": text(10), "ui_mode": oneOf("hosted", "embedded"),
		"payment_method_types":  listOf(20, oneOf("card", "us_bank_account", "sepa_debit", "link")),
		"submit_type":           oneOf("auto", "pay", "book", "donate"),
		"allow_promotion_codes": falseOnly(), "automatic_tax": switchable(nil), "invoice_creation": switchable(schema{"invoice_data": invoiceData}),
		"tax_id_collection": off(), "phone_number_collection": off(),
		"billing_address_collection": oneOf("auto", "required"),
		"payment_method_options":     notHere(), "payment_method_configuration": notHere(), "payment_method_collection": oneOf("always", "if_required"),
		"subscription_data": subscription, "setup_intent_data": setup, "discounts": notHere(), "after_expiration": notHere(),
		"consent_collection": notHere(), "custom_fields": notHere(), "custom_text": notHere(), "redirect_on_completion": notHere(),
		"return_url": notHere(), "shipping_address_collection": notHere(), "shipping_options": notHere(),
	}
}

func falseOnly() field {
	return scalar(func(name, v string) (any, *apiError) {
		if v != "false" {
			return nil, unsupported(name, "%s", name)
		}
		return false, nil
	})
}

func createSession(x *tx, c *call) (object, error) {
	p := c.params
	if err := x.checkSession(p); err != nil {
		return nil, err
	}
	items, currency, err := x.priceItems(p)
	if err != nil {
		return nil, err
	}
	id, err := x.objectID(kindSession, "cs_test_a1", 56)
	if err != nil {
		return nil, err
	}
	r := &record{Body: sessionDefaults(id, x.now), Private: object{
		"line_items": items, "intent": p.orNull("payment_intent_data"), "subscription": p.orNull("subscription_data"), "setup": p.orNull("setup_intent_data"),
	}}
	setSession(r.Body, p, currency)
	body := r.Body
	body["url"] = x.s.cfg.PublicURL + "/c/pay/" + id
	if p.str("mode") == "setup" {
		body["payment_status"], body["total_details"] = "no_payment_required", nil
	} else if err := x.reckonSession(r, x.knownCountry(body)); err != nil {
		return nil, err
	}
	total := body.int("amount_total")
	if total != 0 && total < minimumCharge(currency) {
		return nil, invalid("amount_too_small", "", "The Checkout Session's total amount due must add up to at least %s %s", formatMoney(minimumCharge(currency), currency), currency)
	}
	if total == 0 {
		body["payment_status"] = "no_payment_required"
	}
	if !p.has("payment_method_types") {
		body["payment_method_types"] = defaultMethods(body.str("mode"), currency, total)
	}
	if email := x.knownEmail(body); email != "" {
		body["customer_details"] = customerDetails(email)
	}
	x.save(r)
	return r.shown(), nil // Stripe has no event for this
}

// setSession lays the parameters over a session's defaults.
func setSession(body, p object, currency string) {
	p = p.clone()
	if t := p.sub("automatic_tax"); t != nil {
		p["automatic_tax"] = automaticTax(t.flag("enabled"), nil)
	}
	if c := p.sub("invoice_creation"); c != nil {
		p["invoice_creation"] = merge(body.sub("invoice_creation"), c)
	}
	setFields(body, p)
	body["currency"] = nullable(currency)
	mode := p.str("mode")
	switch {
	case p.has("customer"):
		body["customer_creation"] = nil
	case mode == "subscription" || body.sub("invoice_creation").flag("enabled"):
		body["customer_creation"] = "always"
	}
	if mode != "payment" {
		body["invoice_creation"] = nil
	}
	if mode == "subscription" && !p.has("payment_method_collection") {
		body["payment_method_collection"] = "always"
	}
}

// reckonSession works out a session's amounts; country is where the customer
// is, empty while nobody knows.
func (x *tx) reckonSession(r *record, country string) error {
	lines, b := r.Private.list("line_items"), r.Body
	taxed := b.sub("automatic_tax").flag("enabled")
	who := taxable{country: country, exempt: "none"}
	if customer := x.find(kindCustomer, b.str("customer")); customer != nil {
		who.exempt = customer.Body.str("tax_exempt")
	}
	if taxed {
		b["automatic_tax"] = automaticTax(true, taxStatus(who))
	}
	if err := x.taxItems(lines, taxed, who); err != nil {
		return err
	}
	maps.Copy(b, itemTotals(lines))
	return nil
}

// knownCountry is where the customer of a session is, if they said so before.
func (x *tx) knownCountry(session object) string {
	if customer := x.find(kindCustomer, session.str("customer")); customer != nil {
		return customer.Body.sub("address").str("country")
	}
	return ""
}

// sessionDefaults are all the fields of a session of API version 2023-10-16.
func sessionDefaults(id string, now time.Time) object {
	return object{
		"id": id, "object": kindSession, "after_expiration": nil, "allow_promotion_codes": nil, "amount_subtotal": nil,
		"amount_total": nil, "automatic_tax": object{"enabled": false, "liability": nil, "status": nil},
		"billing_address_collection": nil, "cancel_url": nil, "client_reference_id": nil, "client_secret": nil,
		"consent": nil, "consent_collection": nil, "created": now.Unix(), "currency": nil, "currency_conversion": nil,
		"custom_fields": []any{}, "custom_text": object{"after_submit": nil, "shipping_address": nil, "submit": nil, "terms_of_service_acceptance": nil},
		"customer": nil, "customer_creation": "if_required", "customer_details": nil, "customer_email": nil,
		"expires_at": now.Add(maxSessionLife).Unix(), "invoice": nil,
		"invoice_creation": object{"enabled": false, "invoice_data": object{
			"account_tax_ids": nil, "custom_fields": nil, "description": nil, "footer": nil, "issuer": nil, "metadata": object{}, "rendering_options": nil,
		}},
		"livemode": false, "locale": nil, "metadata": object{}, "mode": nil, "payment_intent": nil, "payment_link": nil,
		"payment_method_collection": "if_required", "payment_method_configuration_details": nil, "payment_method_options": object{},
		"payment_method_types": nil, "payment_status": "unpaid", "phone_number_collection": object{"enabled": false},
		"recovered_from": nil, "setup_intent": nil, "shipping_address_collection": nil, "shipping_cost": nil,
		"shipping_details": nil, "shipping_options": []any{}, "status": "open", "submit_type": nil, "subscription": nil,
		"success_url": nil, "total_details": object{"amount_discount": int64(0), "amount_shipping": int64(0), "amount_tax": int64(0)},
		"ui_mode": "hosted", "url": nil,
	}
}

// checkSession checks what the schema alone cannot.
func (x *tx) checkSession(p object) error {
	mode := p.str("mode")
	switch {
	case p.str("ui_mode") == "embedded":
		return unsupported("ui_mode", "embedded Checkout")
	case mode != "setup" && len(p.list("line_items")) == 0:
		return invalid("parameter_missing", "line_items", "Missing required param: line_items.")
	case mode == "setup" && len(p.list("line_items")) > 0:
		return invalid("", "line_items", "`line_items` are not allowed in `setup` mode.")
	case !p.has("success_url"):
		return invalid("parameter_missing", "success_url", "Missing required param: success_url.")
	case mode != "payment" && p.sub("invoice_creation").flag("enabled"):
		return invalid("", "invoice_creation", "You can only enable invoice creation when `mode` is set to `payment`. Invoices are created automatically when `mode` is set to `subscription`, and are unsupported when set to `setup`.")
	case mode != "subscription" && p.has("subscription_data"):
		return invalid("", "subscription_data", "You can only use `subscription_data` in `subscription` mode.")
	case mode != "payment" && p.has("payment_intent_data"):
		return invalid("", "payment_intent_data", "You can not pass `payment_intent_data` in `%s` mode.", mode)
	case mode != "setup" && p.has("setup_intent_data"):
		return invalid("", "setup_intent_data", "You can only use `setup_intent_data` in `setup` mode.")
	}
	if err := x.checkBuyer(p); err != nil {
		return err
	}
	for _, param := range []string{"success_url", "cancel_url"} {
		if !p.has(param) {
			continue
		}
		// The template's braces are not allowed in a strict address.
		u, err := url.Parse(strings.NewReplacer("{", "", "}", "").Replace(p.str(param)))
		if err != nil || !isWebURL(u) {
			return invalid("url_invalid", param, "Not a valid URL")
		}
	}
	if p.has("expires_at") {
		left := time.Unix(p.int("expires_at"), 0).Sub(x.now.Truncate(time.Second))
		if left < minSessionLife || left > maxSessionLife {
			return invalid("", "expires_at", "The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout Session creation.")
		}
	}
	return nil
}

// checkBuyer checks what a call says about the customer.
func (x *tx) checkBuyer(p object) error {
	if p.has("customer") && p.has("customer_email") {
		return invalid("", "customer_email", "You may only specify one of these parameters: customer, customer_email.")
	}
	if p.has("customer") && p.has("customer_creation") {
		return invalid("", "customer_creation", "`customer_creation` can only be used when `customer` is not set.")
	}
	if p.has("customer") {
		customer, err := x.customer(p.str("customer"), "customer")
		if err != nil {
			return err
		}
		if p.sub("automatic_tax").flag("enabled") && taxStatus(taxableCustomer(customer.Body)) != "complete" && p.sub("customer_update").str("address") != "auto" {
			return invalid("customer_tax_location_invalid", "", "Automatic tax calculation in Checkout requires a valid address on the Customer. Add a valid address to the Customer or set `customer_update[address]` to 'auto' to save the address entered in Checkout to the Customer.")
		}
	}
	return checkEmail(p, "customer_email")
}

// priceItems resolves the line items to amounts in one currency.
func (x *tx) priceItems(p object) ([]any, string, error) {
	currency, want := p.str("currency"), ""
	if p.str("mode") == "payment" {
		want = "one_time"
	}
	var items []any
	recurring := false
	for i, v := range p.list("line_items") {
		in, param := v.(object), "line_items["+strconv.Itoa(i)+"]"
		price, err := x.priceOf(in, param, want)
		if err != nil {
			return nil, "", err
		}
		if !in.has("quantity") {
			return nil, "", invalid("parameter_missing", "line_items", "Quantity is required. Add `quantity` to `line_items[%d]`", i)
		}
		if currency == "" {
			currency = price.Body.str("currency")
		}
		if price.Body.str("currency") != currency {
			return nil, "", invalid("", "currency", "All line items must be in one currency: price %s is in %s.", in.str("price"), price.Body.str("currency"))
		}
		recurring = recurring || price.Body.str("type") == "recurring"
		it, err := x.newItemLine(price, in.int("quantity"))
		if err != nil {
			return nil, "", err
		}
		items = append(items, it)
	}
	if p.str("mode") == "subscription" && !recurring {
		return nil, "", invalid("", "line_items", "You must provide at least one recurring price in `subscription` mode when using prices.")
	}
	return items, currency, nil
}

// defaultMethods is what Stripe offers where the call does not say.
func defaultMethods(mode, currency string, total int64) []any {
	switch {
	case total == 0 && mode == "payment":
		return []any{"card"}
	case currency == "usd":
		return []any{"card", "us_bank_account"}
	case currency == "eur":
		return []any{"card", "sepa_debit"}
	}
	return []any{"card"}
}

// knownEmail is the address that a session starts with, if any.
func (x *tx) knownEmail(session object) string {
	if e := session.str("customer_email"); e != "" {
		return e
	}
	if customer := x.find(kindCustomer, session.str("customer")); customer != nil {
		return customer.Body.str("email")
	}
	return ""
}

func customerDetails(email string) object {
	return object{"address": nil, "email": nullable(email), "name": nil, "phone": nil, "tax_exempt": "none", "tax_ids": nil}
}

func listSessions(x *tx, c *call) (object, error) {
	p := c.params
	return x.listObjects(kindSession, "/v1/checkout/sessions", p, func(r *record) bool {
		return matches(r.Body, p, "customer", "payment_intent", "subscription", "status") &&
			matches(r.Body.sub("customer_details"), p.sub("customer_details"), "email")
	})
}

func expireSession(x *tx, c *call) (object, error) {
	r, err := x.mustFind(kindSession, "checkout.session", c.path("id"), "session")
	if err != nil {
		return nil, err
	}
	if s := r.Body.str("status"); s != "open" {
		return nil, invalid("", "", "Only Checkout Sessions with a status in [\"open\"] can be expired. This Checkout Session has a status of `%s`.", s)
	}
	if err := x.expire(r); err != nil {
		return nil, err
	}
	return r.shown(), nil
}

// lineItems is the list that expanding line_items shows: ten at most.
func (x *tx) lineItems(sessionID string) object {
	r := x.find(kindSession, sessionID)
	return pageOf(shownLines(r), object{}, "/v1/checkout/sessions/"+sessionID+"/line_items")
}

func listLineItems(x *tx, c *call) (object, error) {
	r, err := x.mustFind(kindSession, "checkout.session", c.path("id"), "session")
	if err != nil {
		return nil, err
	}
	return pageOf(shownLines(r), c.params, "/v1/checkout/sessions/"+c.path("id")+"/line_items"), nil
}
