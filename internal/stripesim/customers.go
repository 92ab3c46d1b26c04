package stripesim

import (
	"net/http"
	"strings"
)

func customerRoutes() []route {
	address := hash(schema{
		"city": unsettable(200), "country": unsettable(2), "line1": unsettable(200),
		"line2": unsettable(200), "postal_code": unsettable(40), "state": unsettable(200),
	})
	fields := schema{
		"email": unsettable(512), "name": unsettable(256), "description": unsettable(5000), "phone": unsettable(20),
		"metadata": metadata(), "address": address, "preferred_locales": listOf(20, text(20)),
		"tax_exempt": oneOf("none", "exempt", "reverse"), "invoice_prefix": text(12), "next_invoice_sequence": integer(1, 1<<31),
		"balance": integer(-maxUnitAmount, maxUnitAmount),
		"invoice_settings": hash(schema{
			"default_payment_method": unsettable(255), "footer": unsettable(5000), "custom_fields": notHere(), "rendering_options": notHere(),
		}),
		"cash_balance": notHere(), "coupon": notHere(), "promotion_code": notHere(),
		"payment_method": notHere(), "shipping": notHere(), "source": notHere(),
		"tax": notHere(), "tax_id_data": notHere(), "test_clock": notHere(),
	}
	list := with(pageParams(), schema{"email": text(512), "created": createdRange(), "test_clock": notHere()})
	return []route{
		{"POST", "/v1/customers", fields, createCustomer},
		{"GET", "/v1/customers", list, listCustomers},
		{"GET", "/v1/customers/{id}", nil, retrieve(kindCustomer, "customer", "id")},
		{"POST", "/v1/customers/{id}", fields, updateCustomer},
		{"DELETE", "/v1/customers/{id}", nil, deleteCustomer},
		{"GET", "/v1/customers/{id}/balance_transactions", pageParams(), listBalance},
		{"GET", "/v1/customers/{id}/balance_transactions/{txn}", nil, func(x *tx, c *call) (object, error) {
			r, err := x.mustFind(kindBalance, "customer_balance_transaction", c.path("txn"), "transaction")
			if err != nil {
				return nil, err
			}
			return r.shown(), nil
		}},
	}
}

func checkEmail(p object, param string) error {
	if e := p.str(param); e != "" && !plausibleEmail(e) {
		return invalid("email_invalid", param, "Invalid email address: %s", e)
	}
	return nil
}

// plausibleEmail is as strict as a form field: something, @, something with a dot.
func plausibleEmail(e string) bool {
	local, domain, ok := strings.Cut(e, "@")
	return ok && local != "" && strings.Contains(strings.Trim(domain, "."), ".") && !strings.ContainsAny(e, " \t\r\n<>")
}

func createCustomer(x *tx, c *call) (object, error) {
	if err := checkEmail(c.params, "email"); err != nil {
		return nil, err
	}
	r, err := x.newCustomer(c.params)
	if err != nil {
		return nil, err
	}
	return r.shown(), nil
}

func (x *tx) newCustomer(p object) (*record, error) {
	id, err := x.objectID(kindCustomer, "cus_", 14)
	if err != nil {
		return nil, err
	}
	r := &record{Private: object{}, Body: object{
		"id": id, "object": kindCustomer, "address": nil, "balance": int64(0), "created": x.now.Unix(), "currency": nil,
		"default_source": nil, "delinquent": false, "description": nil, "discount": nil, "email": nil,
		"invoice_prefix":   strings.ToUpper(id[len(id)-8:]),
		"invoice_settings": object{"custom_fields": nil, "default_payment_method": nil, "footer": nil, "rendering_options": nil},
		"livemode":         false, "metadata": object{}, "name": nil, "next_invoice_sequence": int64(1), "phone": nil,
		"preferred_locales": []any{}, "shipping": nil, "tax_exempt": "none", "test_clock": nil,
	}}
	p = p.clone()
	if s := p.sub("invoice_settings"); s != nil {
		p["invoice_settings"] = merge(r.Body.sub("invoice_settings"), s)
	}
	_, err = x.createObject(r, p, "customer.created")
	return r, err
}

// customer finds a customer who was not deleted. param is the parameter that
// names them.
func (x *tx) customer(id, param string) (*record, error) {
	if r := x.find(kindCustomer, id); r != nil && !r.Private.flag("deleted") {
		return r, nil
	}
	return nil, missing(http.StatusBadRequest, "customer", id, param)
}

func updateCustomer(x *tx, c *call) (object, error) {
	p := c.params
	if err := checkEmail(p, "email"); err != nil {
		return nil, err
	}
	r, err := x.mustFind(kindCustomer, "customer", c.path("id"), "id")
	if err != nil {
		return nil, err
	}
	if s := p.sub("invoice_settings"); s != nil {
		method := s.str("default_payment_method")
		if m := x.find(kindMethod, method); method != "" && (m == nil || m.Body["customer"] != r.Body["id"]) {
			return nil, missing(http.StatusBadRequest, "PaymentMethod", method, "invoice_settings[default_payment_method]")
		}
		p["invoice_settings"] = merge(r.Body.sub("invoice_settings"), s)
	}
	return x.updateObject(r, p, "customer.updated")
}

// deleteCustomer keeps a customer's objects, ends their subscriptions, and
// shows of the customer nothing but that they are gone.
func deleteCustomer(x *tx, c *call) (object, error) {
	r, err := x.mustFind(kindCustomer, "customer", c.path("id"), "id")
	if err != nil || r.Private.flag("deleted") {
		return nil, missing(http.StatusNotFound, "customer", c.path("id"), "id")
	}
	for _, id := range append([]string(nil), x.st.objects[kindSubscription].ids...) {
		sub := x.find(kindSubscription, id)
		if sub.Body.str("customer") == c.path("id") && sub.Body["ended_at"] == nil {
			if err := x.endSubscription(sub, "cancellation_requested"); err != nil {
				return nil, err
			}
		}
	}
	r = x.find(kindCustomer, c.path("id"))
	if err := x.emit("customer.deleted", r, nil); err != nil {
		return nil, err
	}
	r.Private["deleted"] = true
	x.save(r)
	return r.shown(), nil
}

func listBalance(x *tx, c *call) (object, error) {
	url := "/v1/customers/" + c.path("id") + "/balance_transactions"
	return x.listObjects(kindBalance, url, c.params, func(r *record) bool { return r.Body.str("customer") == c.path("id") })
}

func listCustomers(x *tx, c *call) (object, error) {
	return x.listObjects(kindCustomer, "/v1/customers", c.params, func(r *record) bool {
		return !r.Private.flag("deleted") && matches(r.Body, c.params, "email")
	})
}
