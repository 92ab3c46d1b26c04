package stripesim

import "net/http"

// maxUnitAmount is the largest price in minor units.
const maxUnitAmount = 99_999_999_999

func priceRoutes() []route {
	fields := schema{
		"active": boolean(), "metadata": metadata(), "nickname": unsettable(5000),
		"lookup_key": unsettable(200), "transfer_lookup_key": boolean(),
		"tax_behavior": oneOf("exclusive", "inclusive", "unspecified"), "currency_options": notHere(),
	}
	create := with(fields, schema{
		"currency": currencyCode().must(), "product": text(255), "unit_amount": integer(0, maxUnitAmount),
		"billing_scheme": oneOf("per_unit"),
		"recurring":      recurringParams(),
		"product_data":   notHere(), "unit_amount_decimal": notHere(), "custom_unit_amount": notHere(),
		"tiers": notHere(), "tiers_mode": notHere(), "transform_quantity": notHere(),
	})
	list := with(pageParams(), schema{
		"active": boolean(), "created": createdRange(), "currency": currencyCode(), "product": text(255),
		"lookup_keys": listOf(10, text(200)), "type": oneOf("one_time", "recurring"), "recurring": notHere(),
	})
	return []route{
		{"POST", "/v1/prices", create, createPrice},
		{"GET", "/v1/prices", list, listPrices},
		{"GET", "/v1/prices/{id}", nil, retrieve(kindPrice, "price", "price")},
		{"POST", "/v1/prices/{id}", fields, updatePrice},
	}
}

func createPrice(x *tx, c *call) (object, error) {
	p := c.params
	switch {
	case !p.has("product"):
		return nil, invalid("parameter_missing", "product", "You must provide one of `product` or `product_data` when creating a price.")
	case !p.has("unit_amount"):
		return nil, invalid("parameter_missing", "unit_amount", "You must provide one of `unit_amount`, `unit_amount_decimal`, or `custom_unit_amount`.")
	}
	return x.newPrice(p)
}

func (x *tx) newPrice(p object) (object, error) {
	if x.find(kindProduct, p.str("product")) == nil {
		return nil, missing(http.StatusBadRequest, "product", p.str("product"), "product")
	}
	id, err := x.objectID(kindPrice, "price_", 24)
	if err != nil {
		return nil, err
	}
	if err := x.claimLookupKey(id, p); err != nil {
		return nil, err
	}
	body := object{
		"id": id, "object": kindPrice, "active": true, "billing_scheme": "per_unit", "created": x.now.Unix(),
		"currency": nil, "custom_unit_amount": nil, "livemode": false, "lookup_key": nil, "metadata": object{},
		"nickname": nil, "product": nil, "recurring": nil, "tax_behavior": "unspecified", "tiers_mode": nil,
		"transform_quantity": nil, "type": "one_time", "unit_amount": nil,
		"unit_amount_decimal": decimal(p.int("unit_amount")),
	}
	if r := p.sub("recurring"); r != nil {
		full := merge(object{"aggregate_usage": nil, "interval_count": int64(1), "usage_type": "licensed"}, r)
		p["recurring"], body["type"] = full, "recurring"
	}
	return x.createObject(&record{Body: body}, p, "price.created")
}

// claimLookupKey makes sure that no other price has the key asked for, or
// takes it away from the one that has where the call says so.
func (x *tx) claimLookupKey(id string, p object) error {
	key := p.str("lookup_key")
	if key == "" {
		return nil
	}
	for _, other := range x.st.objects[kindPrice].ids {
		r := x.find(kindPrice, other)
		if other == id || r.Body.str("lookup_key") != key {
			continue
		}
		if !p.flag("transfer_lookup_key") {
			return invalid("", "lookup_key", "A price (`%s`) already uses that lookup key.", other)
		}
		if _, err := x.updateObject(r, object{"lookup_key": nil}, "price.updated"); err != nil {
			return err
		}
	}
	return nil
}

func updatePrice(x *tx, c *call) (object, error) {
	r, err := x.mustFind(kindPrice, "price", c.path("id"), "price")
	if err != nil {
		return nil, err
	}
	if err := x.claimLookupKey(r.Body.str("id"), c.params); err != nil {
		return nil, err
	}
	return x.updateObject(r, c.params, "price.updated")
}

func listPrices(x *tx, c *call) (object, error) {
	p := c.params
	keys := setOf(p.strings("lookup_keys"))
	return x.listObjects(kindPrice, "/v1/prices", p, func(r *record) bool {
		return matches(r.Body, p, "active", "currency", "product", "type") &&
			(!p.has("lookup_keys") || keys[r.Body.str("lookup_key")])
	})
}
