package stripesim

import (
	"errors"
	"net/http"
)

// retryAfter is how long Stripe waits before it tries a renewal's card again,
// in seconds: 3, 5 and 7 days. Then the subscription ends.
var retryAfter = []int64{3 * daySeconds, 5 * daySeconds, 7 * daySeconds}

const daySeconds = 24 * 3600

// advanceInvoice is what the clock does: a draft is finalized and collected, an
// open invoice is tried again.
func (x *tx) advanceInvoice(inv *record) error {
	delete(inv.Private, "due_at")
	if inv.Body.str("status") == "draft" {
		if done, err := x.draftIsPaused(inv); done || err != nil {
			return err
		}
		if err := x.finalize(inv); err != nil {
			return stood(err)
		}
	}
	inv = x.find(kindInvoice, inv.Body.str("id"))
	if inv.Body.str("status") != "open" || inv.Body.str("collection_method") != "charge_automatically" {
		return nil
	}
	return x.collectDefault(inv)
}

// stood drops an error whose changes stand: the clock has nobody to tell.
func stood(err error) error {
	if e := (*apiError)(nil); errors.As(err, &e) && e.stands {
		return nil
	}
	return err
}

// collectDefault tries the method that an invoice takes by itself.
func (x *tx) collectDefault(inv *record) error {
	delete(inv.Private, "due_at")
	method := x.methodOf(inv)
	if method == nil {
		inv.Body["attempted"] = true
		inv.Body["attempt_count"] = inv.Body.int("attempt_count") + 1
		return x.collectFailed(inv, "No payment method is set.", false)
	}
	_, err := x.collect(inv, method, false)
	return err
}

// methodOf finds the payment method that an invoice is collected with.
func (x *tx) methodOf(inv *record) *record {
	ids := []string{inv.Body.str("default_payment_method")}
	if sub := x.find(kindSubscription, inv.Body.str("subscription")); sub != nil {
		ids = append(ids, sub.Body.str("default_payment_method"))
	}
	if customer := x.find(kindCustomer, inv.Body.str("customer")); customer != nil {
		ids = append(ids, customer.Body.sub("invoice_settings").str("default_payment_method"))
	}
	for _, id := range ids {
		if m := x.find(kindMethod, id); m != nil && m.Body["customer"] != nil {
			return m
		}
	}
	return nil
}

// collect tries to take an open invoice's money. present says that the customer
// is at its page.
func (x *tx) collect(inv, method *record, present bool) (outcome, error) {
	intent := x.find(kindIntent, inv.Body.str("payment_intent"))
	intent.Body["amount"] = inv.Body["amount_remaining"] // a transfer may have paid a part
	what, err := x.attempt(intent, method, present)
	if err != nil {
		return what, err
	}
	before := inv.Body.clone()
	b := inv.Body
	b["attempted"], b["attempt_count"] = true, b.int("attempt_count")+1
	b["charge"] = intent.Body["latest_charge"]
	switch what {
	case outcomePaid:
		return what, x.markPaid(inv)
	case outcomeSettles, outcomeBounces:
		b["next_payment_attempt"] = nil
		delete(inv.Private, "due_at")
		return what, x.tellInvoice(inv, before)
	case outcomeAction:
		if err := x.emitSaved("invoice.payment_action_required", inv); err != nil {
			return what, err
		}
		return what, x.collectFailed(inv, "The customer must confirm this payment with their bank.", present)
	}
	return what, x.collectFailed(inv, intent.Body.sub("last_payment_error").str("message"), present)
}

func (x *tx) emitSaved(event string, r *record) error {
	x.save(r)
	return x.emit(event, r, nil)
}

// collectFailed keeps an invoice open. A renewal is tried again, some times;
// what the customer tried at a page does not count among them.
func (x *tx) collectFailed(inv *record, why string, present bool) error {
	before := inv.Body.clone()
	inv.Private["last_error"] = why
	last := false
	if !present {
		last = !x.planRetry(inv)
	}
	if err := x.tellInvoice(inv, before); err != nil {
		return err
	}
	if err := x.emit("invoice.payment_failed", inv, nil); err != nil {
		return err
	}
	return x.subscriptionUnpaid(inv, last)
}

// planRetry says when a renewal is tried again, and whether it is.
func (x *tx) planRetry(inv *record) bool {
	tries := int(inv.Private.int("retries"))
	delete(inv.Private, "due_at")
	inv.Body["next_payment_attempt"] = nil
	if inv.Body["subscription"] == nil || !inv.Body.flag("auto_advance") || tries >= len(retryAfter) {
		return false
	}
	at := x.now.Unix() + retryAfter[tries]
	inv.Private["retries"], inv.Private["due_at"] = int64(tries+1), at
	inv.Body["next_payment_attempt"] = at
	return true
}

// invoiceSettled is the bank's answer to a debit for an invoice.
func (x *tx) invoiceSettled(inv, intent *record, ok bool) error {
	inv.Body["charge"] = intent.Body["latest_charge"]
	if ok {
		return x.markPaid(inv)
	}
	return x.collectFailed(inv, intent.Body.sub("last_payment_error").str("message"), false)
}

// payInvoice is POST /v1/invoices/{id}/pay.
func payInvoice(x *tx, c *call) (object, error) {
	inv, err := x.invoice(c)
	if err != nil {
		return nil, err
	}
	if inv.Body.flag("paid") {
		return nil, invalid("", "", "Invoice is already paid")
	}
	if inv.Body.str("status") == "draft" {
		if err := x.finalize(inv); err != nil {
			return nil, err
		}
		inv = x.find(kindInvoice, c.path("id"))
	}
	if inv.Body.flag("paid") {
		return inv.shown(), nil // finalizing found nothing to pay
	}
	if err := x.mayPay(inv); err != nil {
		return nil, err
	}
	if c.params.flag("paid_out_of_band") {
		if err := x.paidElsewhere(inv); err != nil {
			return nil, err
		}
		return x.find(kindInvoice, c.path("id")).shown(), nil
	}
	method := x.methodOf(inv)
	if id := c.params.str("payment_method"); id != "" {
		if method, err = x.methodByName(id, "payment_method", http.StatusBadRequest); err != nil {
			return nil, err
		}
	}
	if method == nil {
		return nil, invalid("resource_missing", "", "There is no `default_payment_method` set on this Customer or Invoice. Please set one, or pass a `payment_method`.")
	}
	return x.payNow(inv, method)
}

// mayPay says whether an invoice can be paid now: not twice, and not while a
// bank debit is under way.
func (x *tx) mayPay(inv *record) error {
	if err := mayChange(inv, "pay", "open", "uncollectible"); err != nil {
		return err
	}
	if x.isProcessing(inv) {
		return invalid("payment_under_way", "", "A bank debit for this invoice is under way.")
	}
	return nil
}

// isProcessing says whether a bank debit for an invoice is under way.
func (x *tx) isProcessing(inv *record) bool {
	intent := x.find(kindIntent, inv.Body.str("payment_intent"))
	return intent != nil && intent.Body.str("status") == "processing"
}

// payNow pays an invoice by an API call, which is refused when the card is.
func (x *tx) payNow(inv, method *record) (object, error) {
	id := inv.Body.str("id")
	what, err := x.collect(inv, method, false)
	if err != nil {
		return nil, err
	}
	intent := x.find(kindIntent, inv.Body.str("payment_intent"))
	switch what {
	case outcomeDeclined:
		return nil, cardError(intent)
	case outcomeAction:
		return nil, &apiError{
			status: http.StatusPaymentRequired, kind: "card_error", code: "invoice_payment_intent_requires_action",
			message: "This invoice's payment requires additional user action before it can be completed successfully.", stands: true,
		}
	}
	return x.find(kindInvoice, id).shown(), nil
}

// paidElsewhere marks an invoice paid by money that Stripe never saw.
func (x *tx) paidElsewhere(inv *record) error {
	if err := x.mayPay(inv); err != nil {
		return err
	}
	if err := x.cancelIntent(inv.Body.str("payment_intent"), "automatic"); err != nil {
		return err
	}
	inv.Body["paid_out_of_band"] = true
	return x.markPaid(inv)
}

// transfer books a bank transfer on an open invoice. Less than what is due
// leaves it open with the rest.
func (x *tx) transfer(inv *record, amount int64) error {
	if err := x.mayPay(inv); err != nil {
		return err
	}
	left := inv.Body.int("amount_remaining")
	if amount < 1 || amount > left {
		return invalid("out_of_range", "amount", "A transfer must be of 1 to %d.", left)
	}
	intent := x.find(kindIntent, inv.Body.str("payment_intent"))
	if amount < left {
		intent.Body["status"] = "requires_action"
		if err := x.emitSaved("payment_intent.partially_funded", intent); err != nil {
			return err
		}
		before := inv.Body.clone()
		inv.Body["amount_paid"] = inv.Body.int("amount_paid") + amount
		inv.Body["amount_remaining"] = left - amount
		return x.tellInvoice(inv, before)
	}
	method, err := x.transferMethod(inv)
	if err != nil {
		return err
	}
	charge, err := x.newCharge(intent, method, "succeeded")
	if err != nil {
		return err
	}
	if err := x.succeed(intent, charge); err != nil {
		return err
	}
	inv.Body["charge"], inv.Body["attempted"] = charge.Body["id"], true
	return x.markPaid(inv)
}

// transferMethod is the payment method that stands for a customer's cash.
func (x *tx) transferMethod(inv *record) (*record, error) {
	id, err := x.objectID(kindMethod, "pm_1", 23)
	if err != nil {
		return nil, err
	}
	r := &record{Body: object{
		"id": id, "object": kindMethod, "billing_details": billingDetails(inv.Body.str("customer_email")), "created": x.now.Unix(),
		"customer": inv.Body["customer"], "livemode": false, "metadata": object{}, "type": "customer_balance", "customer_balance": object{},
	}}
	x.save(r)
	return r, nil
}
