package stripesim

import (
	"net/http"
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
// the stand-in does not have yet are refused by name.
func sessionParams() schema {
	item := hash(schema{
		"price": text(255), "quantity": integer(1, 999_999),
		"price_data": notHere(), "adjustable_quantity": off(), "dynamic_tax_rates": notHere(), "tax_rates": notHere(),
	})
	intent := hash(schema{
		"description": text(1000), "metadata": metadata(), "receipt_email": text(512),
		"statement_descriptor": text(22), "statement_descriptor_suffix": text(22),
		"capture_method": oneOf("automatic", "automatic_async"), "setup_future_usage": notHere(), "shipping": notHere(),
		"application_fee_amount": notHere(), "on_behalf_of": notHere(), "transfer_data": notHere(), "transfer_group": notHere(),
	})
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
		"allow_promotion_codes": falseOnly(), "automatic_tax": off(), "invoice_creation": off(), "tax_id_collection": off(),
		"phone_number_collection":    off(),
		"billing_address_collection": oneOf("auto", "required"),
		"payment_method_options":     notHere(), "payment_method_configuration": notHere(), "payment_method_collection": notHere(),
		"discounts": notHere(), "subscription_data": notHere(), "setup_intent_data": notHere(), "after_expiration": notHere(),
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
	var total int64
	for _, it := range items {
		total += it.(object).int("amount_total")
	}
	if total != 0 && total < minimumCharge(currency) {
		return nil, invalid("amount_too_small", "", "The Checkout Session's total amount due must add up to at least %s %s", formatMoney(minimumCharge(currency), currency), currency)
	}
	id, err := x.objectID(kindSession, "cs_test_a1", 56)
	if err != nil {
		return nil, err
	}
	body := sessionDefaults(id, x.now)
	setFields(body, p)
	body["amount_subtotal"], body["amount_total"], body["currency"] = total, total, currency
	body["url"] = x.s.cfg.PublicURL + "/c/pay/" + id
	if p.has("customer") {
		body["customer_creation"] = nil
	}
	if total == 0 {
		body["payment_status"] = "no_payment_required"
	}
	if !p.has("payment_method_types") {
		body["payment_method_types"] = defaultMethods(currency, total)
	}
	if email := x.knownEmail(body); email != "" {
		body["customer_details"] = customerDetails(email)
	}
	r := &record{Body: body, Private: object{"line_items": items, "intent": p.orNull("payment_intent_data")}}
	x.save(r)
	return r.shown(), nil // Stripe has no event for this
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
	switch {
	case p.str("mode") != "payment":
		return unsupported("mode", "Checkout in mode %s", p.str("mode"))
	case p.str("ui_mode") == "embedded":
		return unsupported("ui_mode", "embedded Checkout")
	case len(p.list("line_items")) == 0:
		return invalid("parameter_missing", "line_items", "Missing required param: line_items.")
	case !p.has("success_url"):
		return invalid("parameter_missing", "success_url", "Missing required param: success_url.")
	case p.has("customer") && p.has("customer_email"):
		return invalid("", "customer_email", "You may only specify one of these parameters: customer, customer_email.")
	case p.has("customer") && p.has("customer_creation"):
		return invalid("", "customer_creation", "`customer_creation` can only be used when `customer` is not set.")
	case p.str("customer_creation") == "always":
		return unsupported("customer_creation", "creating customers at Checkout")
	case p.has("customer") && x.find(kindCustomer, p.str("customer")) == nil:
		return missing(http.StatusBadRequest, "customer", p.str("customer"), "customer")
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
	return checkEmail(p, "customer_email")
}

// priceItems resolves the line items to amounts in one currency.
func (x *tx) priceItems(p object) ([]any, string, error) {
	currency := p.str("currency")
	var items []any
	for i, v := range p.list("line_items") {
		in, _ := v.(object)
		param := "line_items[" + strconv.Itoa(i) + "][price]"
		price := x.find(kindPrice, in.str("price"))
		switch {
		case in.str("price") == "":
			return nil, "", invalid("parameter_missing", param, "You must specify either `price` or `price_data` for every line item.")
		case price == nil:
			return nil, "", missing(http.StatusBadRequest, "price", in.str("price"), param)
		case !price.Body.flag("active"):
			return nil, "", invalid("", param, "The price specified is inactive. This field only accepts active prices.")
		case price.Body.str("type") != "one_time":
			return nil, "", invalid("", param, "You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode or use only one-time prices.")
		case !in.has("quantity"):
			return nil, "", invalid("parameter_missing", "line_items", "Quantity is required. Add `quantity` to `line_items[%d]`", i)
		}
		product := x.find(kindProduct, price.Body.str("product"))
		if product == nil || !product.Body.flag("active") {
			return nil, "", invalid("", param, "The product of price %s is not active, so no new purchases may be made.", in.str("price"))
		}
		if currency == "" {
			currency = price.Body.str("currency")
		}
		if price.Body.str("currency") != currency {
			return nil, "", invalid("", "currency", "All line items must be in one currency: price %s is in %s.", in.str("price"), price.Body.str("currency"))
		}
		id, err := x.newID("li_", 24, nil)
		if err != nil {
			return nil, "", err
		}
		amount := price.Body.int("unit_amount") * in.int("quantity")
		items = append(items, object{
			"id": id, "object": "item", "amount_discount": int64(0), "amount_subtotal": amount, "amount_tax": int64(0),
			"amount_total": amount, "currency": currency, "description": product.Body.str("name"),
			"price": price.shown(), "quantity": in.int("quantity"),
		})
	}
	return items, currency, nil
}

// defaultMethods is what Stripe offers where the call does not say.
func defaultMethods(currency string, total int64) []any {
	switch {
	case total == 0:
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
	list, err := x.lineItemPage(sessionID, object{})
	if err != nil {
		return nil
	}
	return list
}

func (x *tx) lineItemPage(sessionID string, p object) (object, error) {
	r := x.find(kindSession, sessionID)
	if r == nil {
		return nil, missing(http.StatusNotFound, "checkout.session", sessionID, "session")
	}
	items := r.Private.list("line_items")
	if patched, ok := r.ObjectPatch["line_items"]; ok {
		items, _ = patched.(object)["data"].([]any)
	}
	limit := int(p.int("limit"))
	if limit == 0 {
		limit = 10
	}
	start := 0
	for i, it := range items {
		if p.has("starting_after") && it.(object).str("id") == p.str("starting_after") {
			start = i + 1
		}
	}
	rest := items[start:]
	var shown []object
	for _, it := range rest[:min(limit, len(rest))] {
		shown = append(shown, it.(object).clone())
	}
	return listObject(shown, len(rest) > limit, "/v1/checkout/sessions/"+sessionID+"/line_items"), nil
}

func listLineItems(x *tx, c *call) (object, error) {
	return x.lineItemPage(c.path("id"), c.params)
}
