package stripesim

// Line items, as Checkout Sessions and quotes have them.

// newItemLine is a line item of some units of a price.
func (x *tx) newItemLine(price *record, quantity int64) (object, error) {
	id, err := x.newID("li_1", 23, nil)
	if err != nil {
		return nil, err
	}
	amount := price.Body.int("unit_amount") * quantity
	return object{
		"id": id, "object": "item", "amount_discount": int64(0), "amount_subtotal": amount, "amount_tax": int64(0),
		"amount_total": amount, "currency": price.Body["currency"], "description": x.productName(price.Body), "price": price.shown(), "quantity": quantity,
	}, nil
}

// taxItems sets the taxes of line items, all zero where nothing is taxed or the
// customer's country is not known yet.
func (x *tx) taxItems(lines []any, taxed bool, who taxable) error {
	for _, v := range lines {
		it := v.(object)
		subtotal := it.int("amount_subtotal")
		it["amount_tax"], it["amount_total"] = int64(0), subtotal
		if !taxed || who.country == "" {
			continue
		}
		t, err := x.taxOn(subtotal, it.sub("price").str("tax_behavior"), who)
		if err != nil {
			return err
		}
		it["amount_tax"] = t["amount"]
		if !t.flag("inclusive") {
			it["amount_total"] = subtotal + t.int("amount")
		}
	}
	return nil
}

// itemTotals adds line items up.
func itemTotals(lines []any) object {
	details := noDetails()
	var subtotal, total, tax int64
	for _, v := range lines {
		it := v.(object)
		subtotal += it.int("amount_subtotal")
		total += it.int("amount_total")
		tax += it.int("amount_tax")
	}
	details["amount_tax"] = tax
	return object{"amount_subtotal": subtotal, "amount_total": total, "total_details": details}
}

// noDetails are the parts of a total that are not its price: none.
func noDetails() object {
	return object{"amount_discount": int64(0), "amount_shipping": int64(0), "amount_tax": int64(0)}
}

// shownLines are an object's line items, or those that a test laid over them.
func shownLines(r *record) []any { return shownParts(r, "line_items") }

// shownParts are the parts that an object's list member has, all of them.
func shownParts(r *record, member string) []any {
	if patched, ok := r.ObjectPatch[member].(object); ok && patched.has("data") {
		return patched.list("data")
	}
	return r.Private.list(member)
}

// invoiceLines makes the lines of an invoice from one-time line items.
func (x *tx) invoiceLines(lines []any) ([]any, error) {
	var out []any
	for _, v := range lines {
		it := v.(object)
		if it.sub("price").sub("recurring") != nil {
			continue
		}
		line, err := x.newLine(it.sub("price").clone(), it.int("quantity"), it.int("amount_subtotal"), object{"description": it["description"]})
		if err != nil {
			return nil, err
		}
		out = append(out, line)
	}
	return out, nil
}

// subscribe makes a subscription of the recurring line items, and the draft of
// its first invoice with all of them.
func (x *tx) subscribe(customer *record, lines []any, fields, invoiceFields object) (sub, inv *record, err error) {
	var prices []priced
	for _, v := range lines {
		if it := v.(object); it.sub("price").sub("recurring") != nil {
			prices = append(prices, priced{it.sub("price").clone(), it.int("quantity")})
		}
	}
	if sub, err = x.newSubscription(customer, prices, fields); err != nil {
		return nil, nil, err
	}
	once, err := x.invoiceLines(lines)
	if err != nil {
		return nil, nil, err
	}
	b := sub.Body
	inv, err = x.subscriptionInvoice(sub, "subscription_create", b.int("current_period_start"), b.int("current_period_end"), once...)
	if err != nil {
		return nil, nil, err
	}
	setFields(inv.Body, invoiceFields)
	x.save(inv)
	b["latest_invoice"] = inv.Body["id"]
	if err := x.emitSaved("customer.subscription.created", sub); err != nil {
		return nil, nil, err
	}
	return sub, inv, x.emit("invoice.created", inv, nil)
}

// startSubscription finalizes a subscription's first invoice and collects it
// without the customer. One whose invoices are sent is active at once.
func (x *tx) startSubscription(sub, inv *record) error {
	if err := x.finalize(inv); err != nil {
		return err
	}
	inv = x.find(kindInvoice, inv.Body.str("id"))
	if inv.Body.str("collection_method") == "send_invoice" {
		sub = x.find(kindSubscription, sub.Body.str("id"))
		return x.change(sub, "customer.subscription.updated", func(b object) { b["status"] = "active" })
	}
	if inv.Body.flag("paid") {
		return nil
	}
	method := x.methodOf(inv)
	if method == nil {
		return invalid("resource_missing", "", "This customer has no attached payment source or default payment method. Please consider adding a default payment method.")
	}
	return x.firstPayment(sub, inv, method, false)
}

// firstPayment collects a subscription's first invoice. A bank debit under way
// makes it active, as Stripe trusts that it will settle.
func (x *tx) firstPayment(sub, inv, method *record, present bool) error {
	what, err := x.collect(inv, method, present)
	if err != nil || what != outcomeSettles && what != outcomeBounces {
		return err
	}
	return x.change(x.find(kindSubscription, sub.Body.str("id")), "customer.subscription.updated", func(b object) { b["status"] = "active" })
}
