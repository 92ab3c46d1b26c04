package stripesim

import "strings"

func customerRoutes() []route {
	address := hash(schema{
		"city": unsettable(200), "country": unsettable(2), "line1": unsettable(200),
		"line2": unsettable(200), "postal_code": unsettable(40), "state": unsettable(200),
	})
	fields := schema{
		"email": unsettable(512), "name": unsettable(256), "description": unsettable(5000), "phone": unsettable(20),
		"metadata": metadata(), "address": address, "preferred_locales": listOf(20, text(20)),
		"tax_exempt": oneOf("none", "exempt", "reverse"), "invoice_prefix": text(12), "next_invoice_sequence": integer(1, 1<<31),
		"balance": notHere(), "cash_balance": notHere(), "coupon": notHere(), "promotion_code": notHere(),
		"invoice_settings": notHere(), "payment_method": notHere(), "shipping": notHere(), "source": notHere(),
		"tax": notHere(), "tax_id_data": notHere(), "test_clock": notHere(),
	}
	list := with(pageParams(), schema{"email": text(512), "created": createdRange(), "test_clock": notHere()})
	return []route{
		{"POST", "/v1/customers", fields, createCustomer},
		{"GET", "/v1/customers", list, listCustomers},
		{"GET", "/v1/customers/{id}", nil, retrieve(kindCustomer, "customer", "id")},
		{"POST", "/v1/customers/{id}", fields, updateCustomer},
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
	id, err := x.objectID(kindCustomer, "cus_", 14)
	if err != nil {
		return nil, err
	}
	body := object{
		"id": id, "object": kindCustomer, "address": nil, "balance": int64(0), "created": x.now.Unix(), "currency": nil,
		"default_source": nil, "delinquent": false, "description": nil, "discount": nil, "email": nil,
		"invoice_prefix":   strings.ToUpper(id[len(id)-8:]),
		"invoice_settings": object{"custom_fields": nil, "default_payment_method": nil, "footer": nil, "rendering_options": nil},
		"livemode":         false, "metadata": object{}, "name": nil, "next_invoice_sequence": int64(1), "phone": nil,
		"preferred_locales": []any{}, "shipping": nil, "tax_exempt": "none", "test_clock": nil,
	}
	return x.createObject(&record{Body: body}, c.params, "customer.created")
}

func updateCustomer(x *tx, c *call) (object, error) {
	if err := checkEmail(c.params, "email"); err != nil {
		return nil, err
	}
	r, err := x.mustFind(kindCustomer, "customer", c.path("id"), "id")
	if err != nil {
		return nil, err
	}
	return x.updateObject(r, c.params, "customer.updated")
}

func listCustomers(x *tx, c *call) (object, error) {
	return x.listObjects(kindCustomer, "/v1/customers", c.params, func(r *record) bool {
		return matches(r.Body, c.params, "email")
	})
}
