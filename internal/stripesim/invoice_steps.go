package stripesim

import (
	"slices"
	"time"
)

// finalizeInvoice is POST /v1/invoices/{id}/finalize.
func finalizeInvoice(x *tx, c *call) (object, error) {
	inv, err := x.invoice(c)
	if err != nil {
		return nil, err
	}
	if inv.Body.str("status") != "draft" {
		return nil, invalid("", "", "This invoice is already finalized, you can't re-finalize a non-draft invoice.")
	}
	if c.params.has("auto_advance") {
		inv.Body["auto_advance"] = c.params.flag("auto_advance")
	}
	if err := x.finalize(inv); err != nil {
		return nil, err
	}
	return x.find(kindInvoice, c.path("id")).shown(), nil
}

// finalize opens a draft: its amounts are fixed, it has a number, a page and a
// payment intent. One with nothing to pay is paid at once. A revision takes the
// place of what it revises.
func (x *tx) finalize(inv *record) error {
	if err := x.mayReplace(inv); err != nil {
		return err
	}
	if err := x.reckon(inv); err != nil {
		return err
	}
	if inv.Body.sub("automatic_tax").str("status") == "requires_location_inputs" {
		return x.finalizationFailed(inv)
	}
	if err := x.applyBalance(inv); err != nil {
		return err
	}
	b, now := inv.Body, x.now.Unix()
	if b["number"] == nil {
		b["number"] = x.nextNumber(x.find(kindCustomer, b.str("customer")))
	}
	b["status"], b["effective_at"], b["last_finalization_error"] = "open", now, nil
	b["status_transitions"] = merge(b.sub("status_transitions"), object{"finalized_at": now})
	page := x.s.cfg.PublicURL + "/i/" + b.str("id")
	b["hosted_invoice_url"], b["invoice_pdf"] = page, page+"/pdf"
	if b.str("collection_method") == "send_invoice" && b["due_date"] == nil {
		b["due_date"] = time.Unix(now, 0).AddDate(0, 0, int(inv.Private.int("days_until_due"))).Unix()
	}
	delete(inv.Private, "due_at")
	b["next_payment_attempt"] = nil
	if b.int("amount_due") > 0 && b["payment_intent"] == nil {
		if err := x.openIntent(inv); err != nil {
			return err
		}
	}
	sent := b.str("collection_method") == "send_invoice"
	if b.flag("auto_advance") && !sent && b.int("amount_due") > 0 {
		inv.Private["due_at"], b["next_payment_attempt"] = now+draftLife, now+draftLife
	}
	if err := x.emitSaved("invoice.finalized", inv); err != nil {
		return err
	}
	if err := x.replace(inv); err != nil {
		return err
	}
	switch {
	case b.int("amount_due") == 0:
		return x.markPaid(inv)
	case b.flag("auto_advance") && sent:
		return x.emit("invoice.sent", inv, nil)
	}
	return nil
}

// openIntent makes the payment intent of an invoice that is to be paid.
func (x *tx) openIntent(inv *record) error {
	b := inv.Body
	types := []any{"card"}
	for _, t := range b.sub("payment_settings").list("payment_method_types") {
		if t != "card" {
			types = append(types, t)
		}
	}
	description := "Payment for Invoice"
	if b["subscription"] != nil {
		description = "Subscription update"
		if b.str("billing_reason") == "subscription_create" {
			description = "Subscription creation"
		}
	}
	intent, err := x.newIntent(object{
		"amount": b["amount_due"], "currency": b["currency"], "customer": b["customer"], "invoice": b["id"],
		"description": description, "payment_method_types": types,
	}, object{})
	if err != nil {
		return err
	}
	b["payment_intent"] = intent.Body["id"]
	x.save(inv)
	return nil
}

// finalizationFailed leaves the draft as it is, with the reason.
func (x *tx) finalizationFailed(inv *record) error {
	const message = "The customer's location isn't recognized. Set a valid customer address in order to automatically calculate tax."
	inv.Body["last_finalization_error"] = object{
		"code": "customer_tax_location_invalid", "doc_url": "https://stripe.com/docs/error-codes/customer-tax-location-invalid",
		"message": message, "type": "invalid_request_error",
	}
	inv.Body["auto_advance"], inv.Body["next_payment_attempt"] = false, nil
	delete(inv.Private, "due_at")
	x.save(inv)
	if err := x.emit("invoice.finalization_failed", inv, nil); err != nil {
		return err
	}
	failed := invalid("customer_tax_location_invalid", "", "%s", message)
	failed.stands = true
	return failed
}

// markPaid ends an invoice whose money is here, or that asks for none.
func (x *tx) markPaid(inv *record) error {
	before := inv.Body.clone()
	b := inv.Body
	b["status"], b["paid"], b["attempted"], b["auto_advance"] = "paid", true, true, false
	b["amount_paid"], b["amount_remaining"], b["next_payment_attempt"] = b["amount_due"], int64(0), nil
	b["status_transitions"] = merge(b.sub("status_transitions"), object{"paid_at": x.now.Unix()})
	delete(inv.Private, "due_at")
	delete(inv.Private, "last_error")
	if err := x.tellInvoice(inv, before); err != nil {
		return err
	}
	types := []string{"invoice.paid", "invoice.payment_succeeded"}
	if b.flag("paid_out_of_band") {
		types = types[:1] // nothing was paid through Stripe
	}
	for _, t := range types {
		if err := x.emit(t, inv, nil); err != nil {
			return err
		}
	}
	return x.subscriptionPaid(inv)
}

// sendInvoice is POST /v1/invoices/{id}/send: a draft is finalized first. No
// e-mail is sent, as in Stripe's test mode.
func sendInvoice(x *tx, c *call) (object, error) {
	inv, err := x.invoice(c)
	if err != nil {
		return nil, err
	}
	if inv.Body.str("collection_method") != "send_invoice" {
		return nil, invalid("", "", "You can only manually send an invoice if its `collection_method` is `send_invoice`.")
	}
	switch inv.Body.str("status") {
	case "draft":
		if err := x.finalize(inv); err != nil {
			return nil, err
		}
	case "void":
		return nil, invalid("", "", "You can't send a void invoice.")
	}
	inv = x.find(kindInvoice, c.path("id"))
	return inv.shown(), x.emit("invoice.sent", inv, nil)
}

// voidInvoice takes an invoice back: it counts as if it had never been sent.
func (x *tx) voidInvoice(inv *record) error {
	if err := mayChange(inv, "void", "open", "uncollectible"); err != nil {
		return err
	}
	if err := x.endInvoice(inv, "void", "voided_at", "void_invoice"); err != nil {
		return err
	}
	b := inv.Body
	customer := x.find(kindCustomer, b.str("customer"))
	returned := b.int("starting_balance") - b.int("ending_balance")
	if _, err := x.moveBalance(customer, returned, "unapplied_from_invoice", object{"invoice": b["id"], "currency": b["currency"]}); err != nil {
		return err
	}
	return x.emit("invoice.voided", inv, nil)
}

// giveInvoiceUp marks an invoice uncollectible; it can still be paid.
func (x *tx) giveInvoiceUp(inv *record) error {
	if err := mayChange(inv, "mark as uncollectible", "open"); err != nil {
		return err
	}
	if err := x.endInvoice(inv, "uncollectible", "marked_uncollectible_at", ""); err != nil {
		return err
	}
	return x.emit("invoice.marked_uncollectible", inv, nil)
}

func mayChange(inv *record, what string, from ...string) error {
	if s := inv.Body.str("status"); !slices.Contains(from, s) {
		return invalid("", "", "You can't %s an invoice with a status of `%s`.", what, s)
	}
	return nil
}

// endInvoice sets a status in which nothing more is tried.
func (x *tx) endInvoice(inv *record, status, transition, cancellation string) error {
	b := inv.Body
	b["status"], b["auto_advance"], b["next_payment_attempt"] = status, false, nil
	b["status_transitions"] = merge(b.sub("status_transitions"), object{transition: x.now.Unix()})
	delete(inv.Private, "due_at")
	x.save(inv)
	if cancellation == "" {
		return nil
	}
	return x.cancelIntent(b.str("payment_intent"), cancellation)
}
