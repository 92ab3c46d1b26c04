package stripesim

import (
	"fmt"
	"net/http"
	"strconv"
)

func invoiceRoutes() []route {
	list := with(pageParams(), schema{
		"customer": text(255), "subscription": text(255), "status": oneOf("draft", "open", "paid", "uncollectible", "void"),
		"collection_method": oneOf("charge_automatically", "send_invoice"), "created": createdRange(), "due_date": notHere(),
	})
	pay := schema{
		"paid_out_of_band": boolean(), "payment_method": text(255), "off_session": boolean(), "forgive": notHere(), "mandate": notHere(), "source": notHere(),
	}
	return []route{
		{"POST", "/v1/invoices", with(invoiceParams(), schema{
			"customer": text(255), "currency": currencyCode(), "subscription": notHere(),
			"from_invoice":                   hash(schema{"action": oneOf("revision").must(), "invoice": text(255).must()}),
			"pending_invoice_items_behavior": oneOf("include", "exclude"),
		}), createInvoice},
		{"GET", "/v1/invoices", list, listBy(kindInvoice, "/v1/invoices", "customer", "subscription", "status", "collection_method")},
		{"GET", "/v1/invoices/{id}", nil, retrieve(kindInvoice, "invoice", "invoice")},
		{"POST", "/v1/invoices/{id}", invoiceParams(), updateInvoice},
		{"DELETE", "/v1/invoices/{id}", nil, deleteInvoice},
		{"GET", "/v1/invoices/{id}/lines", pageParams(), listInvoiceLines},
		{"POST", "/v1/invoices/{id}/finalize", schema{"auto_advance": boolean()}, finalizeInvoice},
		{"POST", "/v1/invoices/{id}/send", nil, sendInvoice},
		{"POST", "/v1/invoices/{id}/pay", pay, payInvoice},
		{"POST", "/v1/invoices/{id}/void", nil, onInvoice((*tx).voidInvoice)},
		{"POST", "/v1/invoices/{id}/mark_uncollectible", nil, onInvoice((*tx).giveInvoiceUp)},
	}
}

func invoiceParams() schema {
	return schema{
		"auto_advance": boolean(), "automatic_tax": switchable(nil), "collection_method": oneOf("charge_automatically", "send_invoice"),
		"days_until_due": integer(0, 3650), "due_date": integer(0, 1<<40), "default_payment_method": text(255), "description": unsettable(1500),
		"footer": unsettable(5000), "metadata": metadata(), "statement_descriptor": text(22),
		"payment_settings": hash(schema{
			"payment_method_types": listOf(20, oneOf("card", "us_bank_account", "sepa_debit", "customer_balance", "link")),
			"default_mandate":      notHere(), "payment_method_options": notHere(),
		}),
		"custom_fields": listOf(4, hash(schema{"name": text(40).must(), "value": text(140).must()})),
		"number":        text(26), "account_tax_ids": notHere(), "application_fee_amount": notHere(), "default_source": notHere(), "default_tax_rates": notHere(),
		"discounts": listOf(0, text(1)), "effective_at": notHere(), "issuer": notHere(), "on_behalf_of": notHere(), "rendering": notHere(),
		"shipping_cost": notHere(), "shipping_details": notHere(), "transfer_data": notHere(),
	}
}

// newInvoice makes a draft and tells of it. fields set what differs from a
// manual invoice.
func (x *tx) newInvoice(customer *record, fields object, lines []any) (*record, error) {
	inv, err := x.draftInvoice(customer, fields, lines)
	if err != nil {
		return nil, err
	}
	return inv, x.emit("invoice.created", inv, nil)
}

// draftInvoice makes a draft, of which the caller tells.
func (x *tx) draftInvoice(customer *record, fields object, lines []any) (*record, error) {
	id, err := x.objectID(kindInvoice, "in_1", 23)
	if err != nil {
		return nil, err
	}
	c, now := customer.Body, x.now.Unix()
	inv := &record{Private: object{"lines": lines}, Body: object{
		"id": id, "object": kindInvoice, "account_country": "US", "account_name": "Stripe stand-in", "account_tax_ids": nil,
		"amount_due": int64(0), "amount_paid": int64(0), "amount_remaining": int64(0), "amount_shipping": int64(0), "application": nil,
		"application_fee_amount": nil, "attempt_count": int64(0), "attempted": false, "auto_advance": false,
		"automatic_tax": automaticTax(false, nil), "billing_reason": "manual", "charge": nil, "collection_method": "charge_automatically",
		"created": now, "currency": nil, "custom_fields": nil, "customer": c["id"], "customer_address": cloneValue(c["address"]),
		"customer_email": c["email"], "customer_name": c["name"], "customer_phone": c["phone"], "customer_shipping": nil,
		"customer_tax_exempt": c["tax_exempt"], "customer_tax_ids": []any{}, "default_payment_method": nil, "default_source": nil,
		"default_tax_rates": []any{}, "description": nil, "discount": nil, "discounts": []any{}, "due_date": nil, "effective_at": nil,
		"ending_balance": nil, "footer": nil, "from_invoice": nil, "hosted_invoice_url": nil, "invoice_pdf": nil,
		"issuer": object{"type": "self"}, "last_finalization_error": nil, "latest_revision": nil, "lines": nil, "livemode": false,
		"metadata": object{}, "next_payment_attempt": nil, "number": nil, "on_behalf_of": nil, "paid": false, "paid_out_of_band": false,
		"payment_intent":   nil,
		"payment_settings": object{"default_mandate": nil, "payment_method_options": nil, "payment_method_types": nil},
		"period_end":       now, "period_start": now, "post_payment_credit_notes_amount": int64(0), "pre_payment_credit_notes_amount": int64(0),
		"quote": nil, "receipt_number": nil, "rendering": nil, "shipping_cost": nil, "shipping_details": nil, "starting_balance": int64(0),
		"statement_descriptor": nil, "status": "draft",
		"status_transitions": object{"finalized_at": nil, "marked_uncollectible_at": nil, "paid_at": nil, "voided_at": nil},
		"subscription":       nil, "subscription_details": object{"metadata": nil}, "subtotal": int64(0), "subtotal_excluding_tax": int64(0),
		"tax": nil, "test_clock": nil, "total": int64(0), "total_discount_amounts": []any{}, "total_excluding_tax": int64(0),
		"total_tax_amounts": []any{}, "transfer_data": nil, "webhooks_delivered_at": nil,
	}}
	if err := x.setInvoice(inv, fields); err != nil {
		return nil, err
	}
	if err := x.itemize(customer, inv); err != nil {
		return nil, err
	}
	if err := x.reckon(inv); err != nil {
		return nil, err
	}
	x.save(inv)
	return inv, nil
}

// setInvoice lays parameters over a draft: some are kept in other members than
// they are named after.
func (x *tx) setInvoice(inv *record, p object) error {
	if id := p.str("default_payment_method"); id != "" && x.find(kindMethod, id) == nil {
		return missing(http.StatusBadRequest, "PaymentMethod", id, "default_payment_method")
	}
	p = p.clone()
	if tax := p.sub("automatic_tax"); tax != nil {
		p["automatic_tax"] = automaticTax(tax.flag("enabled"), nil)
	}
	if s := p.sub("payment_settings"); s != nil {
		p["payment_settings"] = merge(inv.Body.sub("payment_settings"), s)
	}
	setFields(inv.Body, p)
	if p.has("days_until_due") {
		inv.Private["days_until_due"] = p.int("days_until_due")
	}
	sent := inv.Body.str("collection_method") == "send_invoice"
	switch {
	case !sent && (p.has("days_until_due") || p.has("due_date")):
		return invalid("", "due_date", "You can only specify `due_date` or `days_until_due` if `collection_method` is set to `send_invoice`.")
	case sent && !inv.Private.has("days_until_due") && inv.Body["due_date"] == nil:
		return invalid("parameter_missing", "", "If invoices are set to `send_invoice`, either `days_until_due` or `due_date` must be set.")
	}
	delete(inv.Private, "due_at")
	inv.Body["next_payment_attempt"] = nil
	if inv.Body.flag("auto_advance") { // an hour for whoever wants to change the draft
		at := inv.Body.int("created") + draftLife
		inv.Private["due_at"] = at
		if !sent {
			inv.Body["next_payment_attempt"] = at
		}
	}
	return nil
}

// draftLife is how long Stripe leaves a draft to be changed, in seconds.
const draftLife = 3600

func createInvoice(x *tx, c *call) (object, error) {
	p := c.params
	if p.has("from_invoice") {
		return x.revise(p)
	}
	if !p.has("customer") {
		return nil, invalid("parameter_missing", "customer", "You must provide a customer, or an invoice to revise.")
	}
	customer, err := x.customer(p.str("customer"), "customer")
	if err != nil {
		return nil, err
	}
	if !p.has("currency") {
		p["currency"] = "usd"
		if own := customer.Body.str("currency"); own != "" {
			p["currency"] = own
		}
	}
	inv, err := x.newInvoice(customer, p, nil)
	if err != nil {
		return nil, err
	}
	if p.str("pending_invoice_items_behavior") == "include" {
		if err := x.takePending(inv); err != nil {
			return nil, err
		}
	}
	return inv.shown(), nil
}

func (x *tx) invoice(c *call) (*record, error) {
	return x.mustFind(kindInvoice, "invoice", c.path("id"), "invoice")
}

// onInvoice makes an API call of what is done to an invoice.
func onInvoice(do func(*tx, *record) error) func(*tx, *call) (object, error) {
	return func(x *tx, c *call) (object, error) {
		inv, err := x.invoice(c)
		if err != nil {
			return nil, err
		}
		if err := do(x, inv); err != nil {
			return nil, err
		}
		return x.find(kindInvoice, c.path("id")).shown(), nil
	}
}

// updateInvoice changes a draft, or what may be changed of an invoice after it.
func updateInvoice(x *tx, c *call) (object, error) {
	inv, err := x.invoice(c)
	if err != nil {
		return nil, err
	}
	draft := inv.Body.str("status") == "draft"
	for name := range c.params {
		if !draft && !contains([]string{"metadata", "auto_advance", "default_payment_method", "payment_settings", "expand"}, name) {
			return nil, invalid("invoice_not_editable", "", "Finalized invoices can't be updated in this way")
		}
	}
	before := inv.Body.clone()
	if !draft {
		setFields(inv.Body, c.params)
	} else if err := x.setInvoice(inv, c.params); err != nil {
		return nil, err
	} else if err := x.reckon(inv); err != nil {
		return nil, err
	}
	return inv.shown(), x.tellInvoice(inv, before)
}

// tellInvoice stores an invoice and tells what changed since before.
func (x *tx) tellInvoice(inv *record, before object) error {
	x.save(inv)
	if changed := previous(before, inv.Body); len(changed) > 0 {
		return x.emit("invoice.updated", inv, changed)
	}
	return nil
}

// deleteInvoice removes a draft that someone made by hand; its items go too.
func deleteInvoice(x *tx, c *call) (object, error) {
	inv, err := x.invoice(c)
	if err != nil {
		return nil, err
	}
	id := inv.Body.str("id")
	switch {
	case inv.Body.str("status") != "draft":
		return nil, invalid("", "", "You can only delete draft invoices")
	case inv.Body.str("subscription") != "":
		return nil, invalid("", "", "You can't delete invoices created by subscriptions.")
	}
	for _, item := range append([]string(nil), x.st.objects[kindInvoiceItem].ids...) {
		if r := x.find(kindInvoiceItem, item); r.Body.str("invoice") == id {
			put(x, x.st.objects[kindInvoiceItem], item, nil)
			if err := x.emit("invoiceitem.deleted", r, nil); err != nil {
				return nil, err
			}
		}
	}
	if err := x.emit("invoice.deleted", inv, nil); err != nil {
		return nil, err
	}
	put(x, x.st.objects[kindInvoice], id, nil)
	return object{"id": id, "object": kindInvoice, "deleted": true}, nil
}

func listInvoiceLines(x *tx, c *call) (object, error) {
	inv, err := x.invoice(c)
	if err != nil {
		return nil, err
	}
	return pageOf(shownParts(inv, "lines"), c.params, "/v1/invoices/"+c.path("id")+"/lines"), nil
}

// nextNumber counts up the numbers of a customer's invoices.
func (x *tx) nextNumber(customer *record) string {
	n := customer.Body.int("next_invoice_sequence")
	customer.Body["next_invoice_sequence"] = n + 1
	x.save(customer)
	return fmt.Sprintf("%s-%04d", customer.Body.str("invoice_prefix"), n)
}

// decimal writes minor units as Stripe's …_decimal members do.
func decimal(minor int64) string { return strconv.FormatInt(minor, 10) }
