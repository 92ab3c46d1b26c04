package stripesim

// due splits an invoice's total into what is to be paid now and what the
// customer's balance becomes. A negative balance is the customer's credit. What
// is below the least that Stripe charges goes onto the balance, and the invoice
// counts as paid: https://docs.stripe.com/api/invoices
func due(total, balance int64, currency string) (amount, ending int64) {
	after := total + balance
	if after < minimumCharge(currency) {
		return 0, after
	}
	return after, 0
}

// reckon works out a draft's amounts from its lines.
func (x *tx) reckon(inv *record) error {
	customer := x.find(kindCustomer, inv.Body.str("customer"))
	who := taxableCustomer(customer.Body)
	taxed := inv.Body.sub("automatic_tax").flag("enabled")
	if taxed {
		inv.Body["automatic_tax"] = automaticTax(true, taxStatus(who))
	}
	var subtotal, onTop, within int64
	var taxes []any
	lines := inv.Private.list("lines")
	for _, v := range lines {
		line := v.(object)
		amount := line.int("amount")
		subtotal += amount
		line["tax_amounts"], line["amount_excluding_tax"] = []any{}, amount
		line["invoice"] = inv.Body.str("id")
		if !taxed || who.country == "" {
			continue
		}
		t, err := x.taxOn(amount, line.sub("price").str("tax_behavior"), who)
		if err != nil {
			return err
		}
		line["tax_amounts"] = []any{t}
		taxes = append(taxes, t)
		if t.flag("inclusive") {
			within += t.int("amount")
			line["amount_excluding_tax"] = amount - t.int("amount")
		} else {
			onTop += t.int("amount")
		}
	}
	b := inv.Body
	b["subtotal"], b["subtotal_excluding_tax"] = subtotal, subtotal-within
	b["total"], b["total_excluding_tax"] = subtotal+onTop, subtotal-within
	b["total_tax_amounts"], b["tax"] = sumTaxes(taxes), nil
	if taxed {
		b["tax"] = onTop + within
	}
	if b["starting_balance"] = customer.Body.int("balance"); inv.Private.flag("prepaid") {
		b["starting_balance"] = int64(0) // nothing is left to be set off
	}
	amount, _ := due(b.int("total"), b.int("starting_balance"), b.str("currency"))
	b["amount_due"], b["amount_remaining"] = amount, amount
	b["lines"] = firstTen(lines, "/v1/invoices/"+b.str("id")+"/lines")
	return nil
}

// applyBalance takes what a finalized invoice's total does to the customer's
// balance: credit is used up, or a sum too small to charge is put there.
func (x *tx) applyBalance(inv *record) error {
	b := inv.Body
	starting := b.int("starting_balance")
	_, ending := due(b.int("total"), starting, b.str("currency"))
	b["ending_balance"] = ending
	kind := "applied_to_invoice"
	if ending > 0 {
		kind = "invoice_too_small"
	}
	customer := x.find(kindCustomer, b.str("customer"))
	_, err := x.moveBalance(customer, ending-starting, kind, object{"invoice": b["id"], "currency": b["currency"]})
	return err
}

// moveBalance changes a customer's balance, and answers the transaction that
// tells of it; nil where nothing changes.
func (x *tx) moveBalance(customer *record, amount int64, kind string, about object) (*record, error) {
	if amount == 0 {
		return nil, nil
	}
	id, err := x.objectID(kindBalance, "cbtxn_1", 23)
	if err != nil {
		return nil, err
	}
	ending := customer.Body.int("balance") + amount
	r := &record{Body: merge(object{
		"id": id, "object": kindBalance, "amount": amount, "created": x.now.Unix(), "credit_note": nil, "currency": nil,
		"customer": customer.Body["id"], "description": nil, "ending_balance": ending, "invoice": nil, "livemode": false,
		"metadata": object{}, "type": kind,
	}, about)}
	x.save(r)
	return r, x.change(customer, "customer.updated", func(b object) {
		b["balance"] = ending
		if b["currency"] == nil {
			b["currency"] = r.Body["currency"]
		}
	})
}

// newLine is one line of an invoice. fields set what differs from a line of one
// thing at one time.
func (x *tx) newLine(price object, quantity, amount int64, fields object) (object, error) {
	id, err := x.newID("il_1", 23, nil)
	if err != nil {
		return nil, err
	}
	now := x.now.Unix()
	line := object{
		"id": id, "object": "line_item", "amount": amount, "amount_excluding_tax": amount, "currency": price["currency"],
		"description": nil, "discount_amounts": []any{}, "discountable": true, "discounts": []any{}, "invoice": nil, "livemode": false,
		"metadata": object{}, "period": object{"start": now, "end": now}, "price": price, "proration": false,
		"proration_details": object{"credited_items": nil}, "quantity": quantity, "subscription": nil, "tax_amounts": []any{},
		"tax_rates": []any{}, "type": "invoiceitem", "unit_amount_excluding_tax": price["unit_amount_decimal"],
	}
	for k, v := range fields {
		line[k] = cloneValue(v)
	}
	return line, nil
}
