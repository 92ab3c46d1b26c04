package stripesim

import "net/http"

// revise makes the draft that is to take another invoice's place
// (https://docs.stripe.com/invoicing/invoice-edits): with its lines and what is
// written on it, but without its credit notes, and without what waits for the
// customer's next invoice. p is laid over that.
func (x *tx) revise(p object) (object, error) {
	from := x.find(kindInvoice, p.sub("from_invoice").str("invoice"))
	switch {
	case from == nil:
		return nil, missing(http.StatusBadRequest, "invoice", p.sub("from_invoice").str("invoice"), "from_invoice[invoice]")
	case from.Body.str("subscription") != "":
		return nil, invalid("", "from_invoice[invoice]", "You can't revise an invoice of a subscription.")
	case p.has("customer") && p["customer"] != from.Body["customer"]:
		return nil, invalid("", "customer", "A revision is for the customer of the invoice that it revises.")
	}
	if err := mayChange(from, "revise", "open", "uncollectible"); err != nil {
		return nil, err
	}
	fields := object{}
	for _, name := range []string{
		"collection_method", "currency", "custom_fields", "default_payment_method", "description", "footer", "metadata", "payment_settings", "statement_descriptor",
	} {
		fields[name] = from.Body[name]
	}
	switch {
	case from.Body.str("collection_method") != "send_invoice":
	case from.Private.has("days_until_due"):
		fields["days_until_due"] = from.Private["days_until_due"]
	default:
		fields["due_date"] = from.Body["due_date"]
	}
	fields["automatic_tax"] = object{"enabled": from.Body.sub("automatic_tax").flag("enabled")}
	lines, err := x.copiedLines(from)
	if err != nil {
		return nil, err
	}
	inv, err := x.newInvoice(x.find(kindCustomer, from.Body.str("customer")), merge(fields, p), lines)
	if err != nil {
		return nil, err
	}
	return inv.shown(), nil
}

func (x *tx) copiedLines(from *record) ([]any, error) {
	var out []any
	for _, v := range from.Private.list("lines") {
		old := v.(object)
		line, err := x.newLine(old.sub("price").clone(), old.int("quantity"), old.int("amount"), object{
			"description": old["description"], "discountable": old["discountable"], "metadata": old["metadata"], "period": old["period"],
		})
		if err != nil {
			return nil, err
		}
		out = append(out, line)
	}
	return out, nil
}

// mayReplace refuses a revision of an invoice that was paid or voided since.
func (x *tx) mayReplace(inv *record) error {
	if from := x.revised(inv); from != nil {
		return mayChange(from, "finalize a revision of", "open", "uncollectible")
	}
	return nil
}

// replace voids the invoice that a finalized revision is of, and has it and
// those that it revised itself name the revision as their latest.
func (x *tx) replace(inv *record) error {
	from := x.revised(inv)
	if from == nil {
		return nil
	}
	for old := from; old != nil; old = x.revised(old) {
		if err := x.change(old, "invoice.updated", func(b object) { b["latest_revision"] = inv.Body["id"] }); err != nil {
			return err
		}
	}
	return x.voidInvoice(from)
}

// revised is the invoice that another is a revision of, nil for none.
func (x *tx) revised(inv *record) *record {
	return x.find(kindInvoice, inv.Body.sub("from_invoice").str("invoice"))
}
