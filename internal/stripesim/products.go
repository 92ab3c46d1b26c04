package stripesim

import "net/http"

func accountRoutes() []route {
	return []route{
		{"GET", "/v1/account", nil, func(x *tx, _ *call) (object, error) {
			return object{
				"id": x.s.cfg.AccountID, "object": "account", "country": "US", "default_currency": "usd",
				"email": "stand-in@stripesim.test", "type": "standard",
				"charges_enabled": true, "payouts_enabled": false, "details_submitted": true,
				"metadata": object{},
			}, nil
		}},
	}
}

func productRoutes() []route {
	fields := schema{
		"name": text(250), "active": boolean(), "description": unsettable(40000), "metadata": metadata(),
		"images": listOf(8, text(2048)), "shippable": boolean(), "statement_descriptor": text(22),
		"tax_code": unsettable(40), "unit_label": unsettable(12), "url": unsettable(2048),
		"features":           listOf(15, hash(schema{"name": text(80).must()})),
		"package_dimensions": notHere(),
	}
	create := with(fields, schema{"id": text(255), "name": text(250).must(), "type": oneOf("good", "service"), "default_price_data": notHere()})
	update := with(fields, schema{"default_price": text(255)})
	list := with(pageParams(), schema{
		"active": boolean(), "created": createdRange(), "ids": listOf(100, text(255)),
		"shippable": boolean(), "url": text(2048), "type": notHere(),
	})
	return []route{
		{"POST", "/v1/products", create, createProduct},
		{"GET", "/v1/products", list, listProducts},
		{"GET", "/v1/products/{id}", nil, retrieve(kindProduct, "product", "id")},
		{"POST", "/v1/products/{id}", update, updateProduct},
	}
}

// retrieve answers one object of a kind. word and param are how Stripe names
// the kind and the ID when there is none.
func retrieve(kind, word, param string) func(*tx, *call) (object, error) {
	return func(x *tx, c *call) (object, error) {
		r, err := x.mustFind(kind, word, c.path("id"), param)
		if err != nil {
			return nil, err
		}
		return r.shown(), nil
	}
}

// mustFind is find with Stripe's 404.
func (x *tx) mustFind(kind, word, id, param string) (*record, error) {
	if r := x.find(kind, id); r != nil {
		return r, nil
	}
	return nil, missing(http.StatusNotFound, word, id, param)
}

func createProduct(x *tx, c *call) (object, error) {
	p := c.params
	id := p.str("id")
	if id == "" {
		var err error
		if id, err = x.objectID(kindProduct, "prod_", 14); err != nil {
			return nil, err
		}
	} else if x.find(kindProduct, id) != nil {
		return nil, invalid("resource_already_exists", "id", "Product already exists.")
	}
	body := object{
		"id": id, "object": kindProduct, "active": true, "created": x.now.Unix(), "default_price": nil,
		"description": nil, "features": []any{}, "images": []any{}, "livemode": false, "metadata": object{},
		"name": nil, "package_dimensions": nil, "shippable": nil, "statement_descriptor": nil, "tax_code": nil,
		"unit_label": nil, "updated": x.now.Unix(), "url": nil,
	}
	return x.createObject(&record{Body: body}, p, "product.created")
}

// createObject lays the parameters over a new object's defaults, stores it and
// tells of it.
func (x *tx) createObject(r *record, params object, event string) (object, error) {
	setFields(r.Body, params)
	x.save(r)
	return r.shown(), x.emit(event, r, nil)
}

// updateObject lays the parameters over an object, stores it and tells of it.
func (x *tx) updateObject(r *record, params object, event string) (object, error) {
	err := x.change(r, event, func(body object) { setFields(body, params) })
	return r.shown(), err
}

// change alters an object, stores it, and tells of what changed, if anything
// did.
func (x *tx) change(r *record, event string, alter func(body object)) error {
	before := r.Body.clone()
	alter(r.Body)
	x.save(r)
	if changed := previous(before, r.Body); len(changed) > 0 {
		return x.emit(event, r, changed)
	}
	return nil
}

// setFields copies parameters of the same name as a field; metadata merges.
func setFields(body, params object) {
	for k, v := range params {
		switch {
		case k == "expand" || !body.has(k):
		case k == "metadata":
			body[k] = mergeMetadata(body.sub(k), v)
		default:
			body[k] = cloneValue(v)
		}
	}
}

func updateProduct(x *tx, c *call) (object, error) {
	r, err := x.mustFind(kindProduct, "product", c.path("id"), "id")
	if err != nil {
		return nil, err
	}
	if id := c.params.str("default_price"); id != "" && x.find(kindPrice, id) == nil {
		return nil, missing(http.StatusBadRequest, "price", id, "default_price")
	}
	r.Body["updated"] = x.now.Unix()
	return x.updateObject(r, c.params, "product.updated")
}

func listProducts(x *tx, c *call) (object, error) {
	p := c.params
	ids := setOf(p.strings("ids"))
	return x.listObjects(kindProduct, "/v1/products", p, func(r *record) bool {
		return matches(r.Body, p, "active", "shippable", "url") && (!p.has("ids") || ids[r.Body.str("id")])
	})
}

// matches says whether o equals the parameters given of the same names.
func matches(o, params object, names ...string) bool {
	for _, name := range names {
		if params.has(name) && params[name] != o[name] {
			return false
		}
	}
	return true
}

func setOf(in []string) map[string]bool {
	out := make(map[string]bool, len(in))
	for _, s := range in {
		out[s] = true
	}
	return out
}
