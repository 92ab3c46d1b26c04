package stripesim

import (
	"fmt"
	"net/http"
	"strconv"
)

func creditNoteRoutes() []route {
	line := hash(schema{
		"type": oneOf("invoice_line_item", "custom_line_item").must(), "invoice_line_item": text(255), "quantity": integer(1, 999_999),
		"amount": integer(1, maxUnitAmount), "unit_amount": integer(0, maxUnitAmount), "description": text(5000),
		"tax_amounts": notHere(), "tax_rates": notHere(), "unit_amount_decimal": notHere(),
	})
	create := schema{
		"invoice": text(255).must(), "amount": integer(1, maxUnitAmount), "lines": listOf(100, line), "credit_amount": integer(0, maxUnitAmount),
		"refund_amount": integer(0, maxUnitAmount), "out_of_band_amount": integer(0, maxUnitAmount), "memo": text(5000), "metadata": metadata(),
		"reason":       oneOf("duplicate", "fraudulent", "order_change", "product_unsatisfactory"),
		"effective_at": notHere(), "refund": notHere(), "shipping_cost": notHere(),
	}
	list := with(pageParams(), schema{"invoice": text(255), "customer": text(255), "created": createdRange()})
	return []route{
		{"POST", "/v1/credit_notes", create, createCreditNote},
		{"GET", "/v1/credit_notes", list, listBy(kindCreditNote, "/v1/credit_notes", "invoice", "customer")},
		{"GET", "/v1/credit_notes/{id}", nil, retrieve(kindCreditNote, "credit note", "id")},
		{"POST", "/v1/credit_notes/{id}", schema{"metadata": metadata(), "memo": text(5000)}, updateCreditNote},
		{"POST", "/v1/credit_notes/{id}/void", nil, voidCreditNote},
		{"GET", "/v1/credit_notes/{id}/lines", pageParams(), func(x *tx, c *call) (object, error) {
			n, err := x.mustFind(kindCreditNote, "credit note", c.path("id"), "id")
			if err != nil {
				return nil, err
			}
			return pageOf(n.Private.list("lines"), c.params, "/v1/credit_notes/"+c.path("id")+"/lines"), nil
		}},
	}
}

// createCreditNote takes back a part of an invoice. Before payment less is due;
// after it the money goes back as a refund, onto the customer's balance, or
// outside of Stripe.
func createCreditNote(x *tx, c *call) (object, error) {
	p := c.params
	inv := x.find(kindInvoice, p.str("invoice"))
	if inv == nil {
		return nil, missing(http.StatusBadRequest, "invoice", p.str("invoice"), "invoice")
	}
	if err := mayChange(inv, "issue a credit note for", "open", "paid"); err != nil {
		return nil, err
	}
	note, err := x.newCreditNote(inv, p)
	if err != nil {
		return nil, err
	}
	if inv.Body.str("status") == "open" {
		err = x.creditBefore(inv, note)
	} else {
		err = x.creditAfter(inv, note, p)
	}
	if err != nil {
		return nil, err
	}
	return x.find(kindCreditNote, note.Body.str("id")).shown(), nil
}

func (x *tx) newCreditNote(inv *record, p object) (*record, error) {
	id, err := x.objectID(kindCreditNote, "cn_1", 23)
	if err != nil {
		return nil, err
	}
	lines, taxes, err := x.creditLines(inv, p)
	if err != nil {
		return nil, err
	}
	var subtotal, tax int64
	for _, v := range lines {
		subtotal += v.(object).int("amount")
	}
	for _, v := range taxes {
		tax += v.(object).int("amount")
	}
	kind := "post_payment"
	if inv.Body.str("status") == "open" {
		kind = "pre_payment"
	}
	total := subtotal + tax
	return &record{Private: object{"lines": lines}, Body: object{
		"id": id, "object": kindCreditNote, "amount": total, "amount_shipping": int64(0), "created": x.now.Unix(), "currency": inv.Body["currency"],
		"customer": inv.Body["customer"], "customer_balance_transaction": nil, "discount_amount": int64(0), "discount_amounts": []any{},
		"effective_at": x.now.Unix(), "invoice": inv.Body["id"], "lines": firstTen(lines, "/v1/credit_notes/"+id+"/lines"), "livemode": false,
		"memo": p.orNull("memo"), "metadata": mergeMetadata(nil, p.sub("metadata")),
		"number": fmt.Sprintf("%s-CN-%02d", inv.Body.str("number"), x.countNotes(inv)+1), "out_of_band_amount": nil,
		"pdf": x.s.cfg.PublicURL + "/credit_notes/" + id + "/pdf", "reason": p.orNull("reason"), "refund": nil, "shipping_cost": nil,
		"status": "issued", "subtotal": subtotal, "subtotal_excluding_tax": subtotal, "tax_amounts": taxes, "total": total,
		"total_excluding_tax": subtotal, "type": kind, "voided_at": nil,
	}}, nil
}

func (x *tx) countNotes(inv *record) int {
	n := 0
	for _, id := range x.st.objects[kindCreditNote].ids {
		if x.st.objects[kindCreditNote].get(id).Body["invoice"] == inv.Body["id"] {
			n++
		}
	}
	return n
}

// creditLines are the lines that a credit note asks for: parts of the invoice's
// lines with their share of the tax, or amounts of their own.
func (x *tx) creditLines(inv *record, p object) (lines, taxes []any, err error) {
	taxes = []any{}
	if p.has("amount") == p.has("lines") {
		return nil, nil, invalid("parameter_missing", "amount", "You must provide one of `amount` or `lines`.")
	}
	if p.has("amount") {
		line, err := x.newCreditLine("custom_line_item", p.int("amount"), object{"description": "Credit"})
		return []any{line}, taxes, err
	}
	for i, v := range p.list("lines") {
		in, param := v.(object), "lines["+strconv.Itoa(i)+"]"
		if in.str("type") == "custom_line_item" {
			line, err := x.newCreditLine("custom_line_item", in.int("unit_amount")*max(1, in.int("quantity")), object{
				"description": in["description"], "quantity": max(1, in.int("quantity")), "unit_amount": in["unit_amount"],
			})
			if err != nil {
				return nil, nil, err
			}
			lines = append(lines, line)
			continue
		}
		credited := findPart(inv.Private.list("lines"), in.str("invoice_line_item"))
		if credited == nil {
			return nil, nil, missing(http.StatusBadRequest, "invoice line item", in.str("invoice_line_item"), param+"[invoice_line_item]")
		}
		amount := in.int("amount")
		if in.has("quantity") && credited.int("quantity") > 0 {
			amount = roundedShare(credited.int("amount"), in.int("quantity"), credited.int("quantity"))
		}
		line, err := x.newCreditLine("invoice_line_item", amount, object{
			"description": credited["description"], "quantity": in["quantity"], "invoice_line_item": credited["id"],
		})
		if err != nil {
			return nil, nil, err
		}
		for _, v := range credited.list("tax_amounts") {
			tax := v.(object).clone()
			tax["amount"] = roundedShare(tax.int("amount"), amount, credited.int("amount"))
			tax["taxable_amount"] = amount
			line["tax_amounts"] = append(line.list("tax_amounts"), any(tax))
			taxes = append(taxes, tax)
		}
		lines = append(lines, line)
	}
	return lines, sumTaxes(taxes), nil
}

func findPart(list []any, id string) object {
	for _, v := range list {
		if part := v.(object); part.str("id") == id {
			return part
		}
	}
	return nil
}

func (x *tx) newCreditLine(kind string, amount int64, fields object) (object, error) {
	id, err := x.newID("cnli_1", 23, nil)
	if err != nil {
		return nil, err
	}
	return merge(object{
		"id": id, "object": "credit_note_line_item", "amount": amount, "amount_excluding_tax": amount, "description": nil,
		"discount_amount": int64(0), "discount_amounts": []any{}, "livemode": false, "quantity": int64(1), "tax_amounts": []any{},
		"tax_rates": []any{}, "type": kind, "unit_amount": nil, "unit_amount_decimal": nil, "unit_amount_excluding_tax": nil,
	}, fields), nil
}

// creditBefore lowers what is due of an open invoice, to nothing perhaps.
func (x *tx) creditBefore(inv, note *record) error {
	total := note.Body.int("total")
	if left := inv.Body.int("amount_remaining"); total > left {
		return invalid("", "amount", "The credit note's total of %d is more than the invoice's remaining amount of %d.", total, left)
	}
	if err := x.emitSaved("credit_note.created", note); err != nil {
		return err
	}
	return x.shiftDue(inv, total)
}

// shiftDue takes credit off what an open invoice asks for.
func (x *tx) shiftDue(inv *record, credit int64) error {
	before := inv.Body.clone()
	b := inv.Body
	b["pre_payment_credit_notes_amount"] = b.int("pre_payment_credit_notes_amount") + credit
	b["amount_due"] = b.int("amount_due") - credit
	b["amount_remaining"] = b.int("amount_remaining") - credit
	if err := x.tellInvoice(inv, before); err != nil {
		return err
	}
	if b.int("amount_remaining") == 0 {
		if err := x.cancelIntent(b.str("payment_intent"), "automatic"); err != nil {
			return err
		}
		return x.markPaid(inv)
	}
	intent := x.find(kindIntent, b.str("payment_intent"))
	intent.Body["amount"] = b["amount_due"]
	x.save(intent)
	return nil
}

// creditAfter gives money of a paid invoice back, in the ways asked for.
func (x *tx) creditAfter(inv, note *record, p object) error {
	total := note.Body.int("total")
	refund, credit, outside := p.int("refund_amount"), p.int("credit_amount"), p.int("out_of_band_amount")
	if refund+credit+outside != total {
		return invalid("", "", "The sum of credit amount, refund amount, and out of band amount (%d) must equal the credit note amount (%d).", refund+credit+outside, total)
	}
	if left := inv.Body.int("total") - inv.Body.int("pre_payment_credit_notes_amount") - inv.Body.int("post_payment_credit_notes_amount"); total > left {
		return invalid("", "amount", "The credit note's total of %d is more than the %d that is left of the invoice.", total, left)
	}
	if refund > 0 {
		charge := x.find(kindCharge, inv.Body.str("charge"))
		if charge == nil {
			return invalid("", "refund_amount", "This invoice has no charge that could be refunded.")
		}
		r, err := x.refund(charge, refund, "", nil)
		if err != nil {
			return err
		}
		note.Body["refund"] = r.Body["id"]
	}
	if credit > 0 {
		customer := x.find(kindCustomer, inv.Body.str("customer"))
		t, err := x.moveBalance(customer, -credit, "credit_note", object{"invoice": inv.Body["id"], "credit_note": note.Body["id"], "currency": inv.Body["currency"]})
		if err != nil {
			return err
		}
		note.Body["customer_balance_transaction"] = t.Body["id"]
	}
	if outside > 0 {
		note.Body["out_of_band_amount"] = outside
	}
	if err := x.emitSaved("credit_note.created", note); err != nil {
		return err
	}
	return x.change(inv, "invoice.updated", func(b object) {
		b["post_payment_credit_notes_amount"] = b.int("post_payment_credit_notes_amount") + total
	})
}

func updateCreditNote(x *tx, c *call) (object, error) {
	n, err := x.mustFind(kindCreditNote, "credit note", c.path("id"), "id")
	if err != nil {
		return nil, err
	}
	return x.updateObject(n, c.params, "credit_note.updated")
}

// voidCreditNote takes a credit note of an open invoice back.
func voidCreditNote(x *tx, c *call) (object, error) {
	n, err := x.mustFind(kindCreditNote, "credit note", c.path("id"), "id")
	if err != nil {
		return nil, err
	}
	inv := x.find(kindInvoice, n.Body.str("invoice"))
	switch {
	case n.Body.str("status") == "void":
		return nil, invalid("", "", "This credit note is void already.")
	case n.Body.str("type") != "pre_payment" || inv.Body.str("status") != "open":
		return nil, invalid("", "", "Only a credit note of an open invoice can be voided.")
	}
	n.Body["status"], n.Body["voided_at"] = "void", x.now.Unix()
	if err := x.emitSaved("credit_note.voided", n); err != nil {
		return nil, err
	}
	return n.shown(), x.shiftDue(inv, -n.Body.int("total"))
}
