package stripesim

import "net/http"

func invoiceItemRoutes() []route {
	fields := schema{
		"amount": integer(-maxUnitAmount, maxUnitAmount), "description": unsettable(5000), "discountable": boolean(), "metadata": metadata(),
		"period": hash(schema{"start": integer(0, 1<<40).must(), "end": integer(0, 1<<40).must()}),
		"price":  text(255), "price_data": priceData(), "quantity": integer(0, 999_999), "unit_amount": integer(-maxUnitAmount, maxUnitAmount),
		"tax_behavior": oneOf("exclusive", "inclusive", "unspecified"), "discounts": listOf(0, text(1)), "tax_code": notHere(), "tax_rates": notHere(),
		"unit_amount_decimal": notHere(),
	}
	create := with(fields, schema{"customer": text(255).must(), "currency": currencyCode(), "invoice": text(255), "subscription": notHere()})
	list := with(pageParams(), schema{"customer": text(255), "invoice": text(255), "pending": boolean(), "created": createdRange()})
	return []route{
		{"POST", "/v1/invoiceitems", create, createInvoiceItem},
		{"GET", "/v1/invoiceitems", list, listInvoiceItems},
		{"GET", "/v1/invoiceitems/{id}", nil, retrieve(kindInvoiceItem, "invoiceitem", "invoiceitem")},
		{"DELETE", "/v1/invoiceitems/{id}", nil, deleteInvoiceItem},
	}
}

func listInvoiceItems(x *tx, c *call) (object, error) {
	p := c.params
	return x.listObjects(kindInvoiceItem, "/v1/invoiceitems", p, func(r *record) bool {
		return matches(r.Body, p, "customer", "invoice") && (!p.has("pending") || p.flag("pending") == (r.Body["invoice"] == nil))
	})
}

func createInvoiceItem(x *tx, c *call) (object, error) {
	p := c.params
	customer, err := x.customer(p.str("customer"), "customer")
	if err != nil {
		return nil, err
	}
	inv := x.find(kindInvoice, p.str("invoice"))
	switch {
	case p.has("invoice") && inv == nil:
		return nil, missing(http.StatusBadRequest, "invoice", p.str("invoice"), "invoice")
	case inv != nil && inv.Body.str("status") != "draft":
		return nil, invalid("invoice_not_editable", "invoice", "The specified invoice is no longer editable, so no items can be added to it.")
	case inv != nil && inv.Body["customer"] != customer.Body["id"]:
		return nil, invalid("", "invoice", "The specified invoice belongs to another customer.")
	}
	price, amount, err := x.itemPrice(p)
	if err != nil {
		return nil, err
	}
	if inv != nil && inv.Body["currency"] != price.Body["currency"] {
		return nil, invalid("", "currency", "The currency of the item must be the invoice's, %s.", inv.Body.str("currency"))
	}
	item, err := x.newItem(customer, price.shown(), p.int("quantity"), amount, p)
	if err != nil {
		return nil, err
	}
	if inv != nil {
		item.Body["invoice"] = inv.Body["id"]
		x.save(item)
	}
	if err := x.emit("invoiceitem.created", item, nil); err != nil {
		return nil, err
	}
	if inv == nil {
		return item.shown(), nil
	}
	return item.shown(), x.addItems(inv, []*record{item})
}

// itemPrice is the price of an invoice item: a stored one, or one made for it.
func (x *tx) itemPrice(p object) (price *record, amount int64, err error) {
	if !p.has("quantity") {
		p["quantity"] = int64(1)
	}
	switch {
	case p.has("price") || p.has("price_data"):
		price, err = x.priceOf(p, "", "one_time")
	case p.has("amount"):
		p["quantity"] = int64(1)
		price, err = x.priceForAmount(p, p.int("amount"))
	case p.has("unit_amount"):
		price, err = x.priceForAmount(p, p.int("unit_amount"))
	default:
		err = invalid("parameter_missing", "amount", "You must provide one of `amount`, `unit_amount`, `price` or `price_data`.")
	}
	if err != nil {
		return nil, 0, err
	}
	return price, price.Body.int("unit_amount") * p.int("quantity"), nil
}

// priceForAmount makes the inactive price that stands for a bare amount.
func (x *tx) priceForAmount(p object, amount int64) (*record, error) {
	if !p.has("currency") {
		return nil, invalid("parameter_missing", "currency", "Missing required param: currency.")
	}
	name := p.str("description")
	if name == "" {
		name = "Invoice item"
	}
	product, err := createProduct(x, &call{params: object{"name": name, "active": false}})
	if err != nil {
		return nil, err
	}
	behavior := p.str("tax_behavior")
	if behavior == "" {
		behavior = "unspecified"
	}
	return x.inlinePrice(object{"currency": p["currency"], "product": product["id"], "unit_amount": amount, "tax_behavior": behavior})
}

// newItem makes an invoice item, pending until an invoice takes it.
func (x *tx) newItem(customer *record, price object, quantity, amount int64, fields object) (*record, error) {
	id, err := x.objectID(kindInvoiceItem, "ii_1", 23)
	if err != nil {
		return nil, err
	}
	now := x.now.Unix()
	item := &record{Body: object{
		"id": id, "object": kindInvoiceItem, "amount": amount, "currency": price["currency"], "customer": customer.Body["id"], "date": now,
		"description": nil, "discountable": true, "discounts": []any{}, "invoice": nil, "livemode": false, "metadata": object{},
		"period": object{"start": now, "end": now}, "price": price, "proration": false, "quantity": quantity, "subscription": nil,
		"tax_rates": []any{}, "test_clock": nil, "unit_amount": price["unit_amount"], "unit_amount_decimal": price["unit_amount_decimal"],
	}}
	keep := fields.clone()
	for _, computed := range []string{"amount", "price", "quantity", "unit_amount", "invoice", "customer", "currency"} {
		delete(keep, computed)
	}
	setFields(item.Body, keep)
	if item.Body["description"] == nil {
		if product := x.find(kindProduct, price.str("product")); product != nil {
			item.Body["description"] = product.Body["name"]
		}
	}
	x.save(item)
	return item, nil
}

// addItems puts items onto a draft, one line each.
func (x *tx) addItems(inv *record, items []*record) error {
	before := inv.Body.clone()
	for _, item := range items {
		b := item.Body
		line, err := x.newLine(b.sub("price").clone(), b.int("quantity"), b.int("amount"), object{
			"description": b["description"], "discountable": b["discountable"], "invoice_item": b["id"], "metadata": b["metadata"],
			"period": b["period"], "proration": b["proration"], "subscription": b["subscription"],
		})
		if err != nil {
			return err
		}
		inv.Private["lines"] = append(inv.Private.list("lines"), any(line))
		if b["invoice"] == nil {
			if err := x.change(item, "invoiceitem.updated", func(b object) { b["invoice"] = inv.Body["id"] }); err != nil {
				return err
			}
		}
	}
	if err := x.reckon(inv); err != nil {
		return err
	}
	return x.tellInvoice(inv, before)
}

// itemize makes the invoice items behind a new invoice's own lines.
func (x *tx) itemize(customer, inv *record) error {
	for _, v := range inv.Private.list("lines") {
		line := v.(object)
		if line.str("type") != "invoiceitem" {
			continue
		}
		item, err := x.newItem(customer, line.sub("price").clone(), line.int("quantity"), line.int("amount"), object{
			"description": line["description"], "period": line["period"], "proration": line["proration"], "subscription": line["subscription"],
		})
		if err != nil {
			return err
		}
		line["invoice_item"], item.Body["invoice"] = item.Body["id"], inv.Body["id"]
		if err := x.emitSaved("invoiceitem.created", item); err != nil {
			return err
		}
	}
	return nil
}

// takePending puts all that waits for the customer's next invoice onto a draft.
func (x *tx) takePending(inv *record) error {
	items := x.pendingItems(inv.Body.str("customer"), inv.Body.str("currency"))
	if len(items) == 0 {
		return nil
	}
	return x.addItems(inv, items)
}

func (x *tx) pendingItems(customer, currency string) []*record {
	var out []*record
	for _, id := range x.st.objects[kindInvoiceItem].ids {
		b := x.st.objects[kindInvoiceItem].get(id).Body
		if b["invoice"] == nil && b.str("customer") == customer && b.str("currency") == currency {
			out = append(out, x.find(kindInvoiceItem, id))
		}
	}
	return out
}

func deleteInvoiceItem(x *tx, c *call) (object, error) {
	item, err := x.mustFind(kindInvoiceItem, "invoiceitem", c.path("id"), "invoiceitem")
	if err != nil {
		return nil, err
	}
	id := item.Body.str("id")
	inv := x.find(kindInvoice, item.Body.str("invoice"))
	if inv != nil && inv.Body.str("status") != "draft" {
		return nil, invalid("invoice_not_editable", "", "The invoice of this item is no longer editable.")
	}
	put(x, x.st.objects[kindInvoiceItem], id, nil)
	if err := x.emit("invoiceitem.deleted", item, nil); err != nil {
		return nil, err
	}
	if inv != nil {
		before := inv.Body.clone()
		var kept []any
		for _, line := range inv.Private.list("lines") {
			if line.(object).str("invoice_item") != id {
				kept = append(kept, line)
			}
		}
		inv.Private["lines"] = kept
		if err := x.reckon(inv); err != nil {
			return nil, err
		}
		if err := x.tellInvoice(inv, before); err != nil {
			return nil, err
		}
	}
	return object{"id": id, "object": kindInvoiceItem, "deleted": true}, nil
}
