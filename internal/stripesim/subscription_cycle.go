package stripesim

import (
	"fmt"
	"time"
)

// incompleteLife is how long a subscription waits for its first payment.
const incompleteLife = 23 * 3600

// subscriptionDue is when the clock changes a subscription; see dueAt.
func subscriptionDue(b object) int64 {
	switch b.str("status") {
	case "incomplete":
		return b.int("created") + incompleteLife
	case "active", "past_due", "unpaid":
		due := b.int("current_period_end")
		for _, at := range []int64{b.int("cancel_at"), b.sub("pause_collection").int("resumes_at")} {
			if at != 0 {
				due = min(due, at)
			}
		}
		return due
	}
	return 0
}

// advanceSubscription is what the clock does to a subscription.
func (x *tx) advanceSubscription(sub *record) error {
	b, now := sub.Body, x.now.Unix()
	switch resumes, end := b.sub("pause_collection").int("resumes_at"), b.int("cancel_at"); {
	case b.str("status") == "incomplete":
		return x.expireSubscription(sub)
	case end != 0 && end <= now:
		return x.endSubscription(sub, b.sub("cancellation_details").str("reason"))
	case resumes != 0 && resumes <= now:
		return x.change(sub, "customer.subscription.updated", func(b object) { b["pause_collection"] = nil })
	}
	_, err := x.cycle(sub)
	return err
}

// cycle begins a subscription's next period and drafts its invoice, which the
// clock finalizes an hour later.
func (x *tx) cycle(sub *record) (*record, error) {
	before := sub.Body.clone()
	start := sub.Body.int("current_period_end")
	end := periodEnd(sub.Body.int("billing_cycle_anchor"), start, rhythm(sub))
	inv, err := x.subscriptionInvoice(sub, "subscription_cycle", start, end)
	if err != nil {
		return nil, err
	}
	b := sub.Body
	b["current_period_start"], b["current_period_end"], b["latest_invoice"] = start, end, inv.Body["id"]
	if err := x.tellSubscription(sub, before); err != nil {
		return nil, err
	}
	if err := x.emit("invoice.created", inv, nil); err != nil {
		return nil, err
	}
	return inv, x.takePending(inv)
}

// tellSubscription stores a subscription and tells what changed since before.
func (x *tx) tellSubscription(sub *record, before object) error {
	x.save(sub)
	if changed := previous(before, sub.Body); len(changed) > 0 {
		return x.emit("customer.subscription.updated", sub, changed)
	}
	return nil
}

// subscriptionPaid makes a subscription active whose invoice was paid.
func (x *tx) subscriptionPaid(inv *record) error {
	sub := x.find(kindSubscription, inv.Body.str("subscription"))
	if sub == nil || sub.Body["latest_invoice"] != inv.Body["id"] {
		return nil
	}
	switch sub.Body.str("status") {
	case "incomplete", "past_due", "unpaid":
		if err := x.change(sub, "customer.subscription.updated", func(b object) { b["status"] = "active" }); err != nil {
			return err
		}
		return x.setDelinquent(sub, false)
	}
	return nil
}

// subscriptionUnpaid records that an invoice could not be collected. The last
// time ends the subscription.
func (x *tx) subscriptionUnpaid(inv *record, last bool) error {
	sub := x.find(kindSubscription, inv.Body.str("subscription"))
	if sub == nil || sub.Body["latest_invoice"] != inv.Body["id"] || sub.Body["ended_at"] != nil {
		return nil
	}
	if sub.Body.str("status") == "incomplete" {
		return nil
	}
	if err := x.change(sub, "customer.subscription.updated", func(b object) { b["status"] = "past_due" }); err != nil {
		return err
	}
	if err := x.setDelinquent(sub, true); err != nil {
		return err
	}
	if last && inv.Body.str("collection_method") == "charge_automatically" {
		return x.endSubscription(x.find(kindSubscription, sub.Body.str("id")), "payment_failed")
	}
	return nil
}

func (x *tx) setDelinquent(sub *record, is bool) error {
	customer := x.find(kindCustomer, sub.Body.str("customer"))
	return x.change(customer, "customer.updated", func(b object) { b["delinquent"] = is })
}

// endSubscription cancels a subscription now, for good.
func (x *tx) endSubscription(sub *record, reason string) error {
	b, now := sub.Body, x.now.Unix()
	b["status"], b["ended_at"] = "canceled", now
	if b["canceled_at"] == nil {
		b["canceled_at"] = now
	}
	b["cancellation_details"] = merge(b.sub("cancellation_details"), object{"reason": nullable(reason)})
	if err := x.emitSaved("customer.subscription.deleted", sub); err != nil {
		return err
	}
	return x.stopCollecting(b.str("id"))
}

// stopCollecting leaves the unpaid invoices of a subscription that ended to
// whoever wants to pay them.
func (x *tx) stopCollecting(subscription string) error {
	for _, id := range x.st.objects[kindInvoice].ids {
		inv := x.find(kindInvoice, id)
		if inv.Body.str("subscription") != subscription || !inv.Body.flag("auto_advance") {
			continue
		}
		before := inv.Body.clone()
		inv.Body["auto_advance"], inv.Body["next_payment_attempt"] = false, nil
		delete(inv.Private, "due_at")
		if err := x.tellInvoice(inv, before); err != nil {
			return err
		}
	}
	return nil
}

// expireSubscription ends a subscription that nobody paid for in time, and
// voids its invoice.
func (x *tx) expireSubscription(sub *record) error {
	if inv := x.find(kindInvoice, sub.Body.str("latest_invoice")); inv != nil && inv.Body.str("status") == "open" {
		if err := x.voidInvoice(inv); err != nil {
			return err
		}
	}
	return x.change(sub, "customer.subscription.updated", func(b object) {
		b["status"], b["ended_at"] = "incomplete_expired", x.now.Unix()
	})
}

// draftIsPaused does with a renewal's draft what the pause of its subscription
// says, and reports whether there is one.
func (x *tx) draftIsPaused(inv *record) (bool, error) {
	sub := x.find(kindSubscription, inv.Body.str("subscription"))
	if sub == nil || sub.Body.sub("pause_collection") == nil {
		return false, nil
	}
	behavior := sub.Body.sub("pause_collection").str("behavior")
	before := inv.Body.clone()
	inv.Body["auto_advance"], inv.Body["next_payment_attempt"] = false, nil
	if err := x.tellInvoice(inv, before); err != nil || behavior == "keep_as_draft" {
		return true, err
	}
	if err := x.finalize(inv); err != nil {
		return true, stood(err)
	}
	inv = x.find(kindInvoice, inv.Body.str("id"))
	if inv.Body.str("status") != "open" {
		return true, nil
	}
	if behavior == "void" {
		return true, x.voidInvoice(inv)
	}
	return true, x.giveInvoiceUp(inv)
}

// billNext bills a subscription's next period now, as if the one that runs were
// over, and tries to collect at once: a year goes by without moving the clock.
func (x *tx) billNext(sub *record) error {
	switch s := sub.Body.str("status"); {
	case s != "active" && s != "past_due":
		return invalid("not_active", "", "A subscription with a status of `%s` is not billed.", s)
	case sub.Body.int("cancel_at") != 0:
		return x.endSubscription(sub, sub.Body.sub("cancellation_details").str("reason"))
	}
	inv, err := x.cycle(sub)
	if err != nil {
		return err
	}
	return x.advanceInvoice(x.find(kindInvoice, inv.Body.str("id")))
}

// periodText describes a line as Stripe does: 2 × Hosted pool (at US$ 15.00 / month).
func (x *tx) periodText(price object, quantity int64) string {
	return fmt.Sprintf("%d × %s (at %s / %s)", quantity, x.productName(price), formatMoney(price.int("unit_amount"), price.str("currency")), every(price.sub("recurring")))
}

// every is a billing interval in words: month, 3 months.
func every(recurring object) string {
	if n := recurring.int("interval_count"); n != 1 {
		return fmt.Sprintf("%d %ss", n, recurring.str("interval"))
	}
	return recurring.str("interval")
}

// day writes a date for people.
func day(unix int64) string { return time.Unix(unix, 0).UTC().Format("2 Jan 2006") }
