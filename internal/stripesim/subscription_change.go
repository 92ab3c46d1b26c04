package stripesim

import (
	"net/http"
	"slices"
	"strconv"
)

// updateSubscription is POST /v1/subscriptions/{id}.
func updateSubscription(x *tx, c *call) (object, error) {
	p := c.params
	sub, err := x.mustFind(kindSubscription, "subscription", c.path("id"), "id")
	if err != nil {
		return nil, err
	}
	if sub.Body["ended_at"] != nil && !onlyMetadata(p) {
		return nil, invalid("", "", "A canceled subscription can only update its cancellation_details and metadata.")
	}
	if id := p.str("default_payment_method"); id != "" && x.find(kindMethod, id) == nil {
		return nil, missing(http.StatusBadRequest, "PaymentMethod", id, "default_payment_method")
	}
	if p.has("items") {
		if err := x.changePlan(sub, p.list("items"), p.str("proration_behavior")); err != nil {
			return nil, err
		}
		sub = x.find(kindSubscription, c.path("id"))
	}
	before := sub.Body.clone()
	rest := p.clone()
	for _, handled := range []string{"items", "cancel_at_period_end", "cancel_at", "automatic_tax", "cancellation_details"} {
		delete(rest, handled)
	}
	setFields(sub.Body, rest)
	if tax := p.sub("automatic_tax"); tax != nil {
		sub.Body["automatic_tax"] = subscriptionTax(tax.flag("enabled"))
	}
	if d := p.sub("cancellation_details"); d != nil {
		sub.Body["cancellation_details"] = merge(sub.Body.sub("cancellation_details"), d)
	}
	if p.has("cancel_at_period_end") || p.has("cancel_at") {
		if err := x.planCancellation(sub, p); err != nil {
			return nil, err
		}
	}
	return sub.shown(), x.tellSubscription(sub, before)
}

func subscriptionTax(enabled bool) object {
	if !enabled {
		return object{"enabled": false, "liability": nil}
	}
	return object{"enabled": true, "liability": object{"type": "self"}}
}

func onlyMetadata(p object) bool {
	for name := range p {
		if name != "metadata" && name != "cancellation_details" && name != "expand" {
			return false
		}
	}
	return true
}

// planCancellation sets or takes back when a subscription ends.
func (x *tx) planCancellation(sub *record, p object) error {
	b := sub.Body
	if p.has("cancel_at_period_end") && p.has("cancel_at") {
		return invalid("", "cancel_at", "You may only specify one of these parameters: cancel_at, cancel_at_period_end.")
	}
	at := p["cancel_at"]
	if p.flag("cancel_at_period_end") {
		at = b["current_period_end"]
	}
	if unix, ok := at.(int64); ok && unix <= x.now.Unix() {
		return invalid("", "cancel_at", "`cancel_at` must be a timestamp in the future.")
	}
	b["cancel_at"], b["cancel_at_period_end"] = at, p.flag("cancel_at_period_end")
	if at == nil {
		b["canceled_at"] = nil
		b["cancellation_details"] = object{"comment": nil, "feedback": nil, "reason": nil}
		return nil
	}
	b["canceled_at"] = x.now.Unix()
	b["cancellation_details"] = merge(b.sub("cancellation_details"), object{"reason": "cancellation_requested"})
	return nil
}

// cancelSubscription is DELETE /v1/subscriptions/{id}: it ends now, without
// giving money back.
func cancelSubscription(x *tx, c *call) (object, error) {
	sub, err := x.mustFind(kindSubscription, "subscription", c.path("id"), "id")
	if err != nil {
		return nil, err
	}
	if sub.Body["ended_at"] != nil {
		return nil, missing(http.StatusNotFound, "subscription", c.path("id"), "id")
	}
	if d := c.params.sub("cancellation_details"); d != nil {
		sub.Body["cancellation_details"] = merge(sub.Body.sub("cancellation_details"), d)
	}
	if err := x.endSubscription(sub, "cancellation_requested"); err != nil {
		return nil, err
	}
	return sub.shown(), nil
}

// resumeSubscription is POST /v1/subscriptions/{id}/resume: a paused one begins
// a new period and is billed for it.
func resumeSubscription(x *tx, c *call) (object, error) {
	sub, err := x.mustFind(kindSubscription, "subscription", c.path("id"), "id")
	if err != nil {
		return nil, err
	}
	if s := sub.Body.str("status"); s != "paused" {
		return nil, invalid("", "", "You can't resume a subscription with a status of `%s`; only paused ones resume.", s)
	}
	if err := x.resume(sub, c.params.str("billing_cycle_anchor") != "unchanged"); err != nil {
		return nil, err
	}
	return x.find(kindSubscription, c.path("id")).shown(), nil
}

func (x *tx) resume(sub *record, restart bool) error {
	var inv *record
	before := sub.Body.clone()
	b, now := sub.Body, x.now.Unix()
	b["status"] = "active"
	if restart || b.int("current_period_end") <= now {
		b["billing_cycle_anchor"] = now
		b["current_period_start"], b["current_period_end"] = now, periodEnd(now, now, rhythm(sub))
		var err error
		if inv, err = x.subscriptionInvoice(sub, "subscription_update", now, b.int("current_period_end")); err != nil {
			return err
		}
		b["latest_invoice"] = inv.Body["id"]
	}
	if err := x.emitSaved("customer.subscription.resumed", sub); err != nil {
		return err
	}
	if err := x.tellSubscription(sub, before); err != nil || inv == nil {
		return err
	}
	if err := x.emit("invoice.created", inv, nil); err != nil {
		return err
	}
	return x.advanceInvoice(x.find(kindInvoice, inv.Body.str("id")))
}

// pause is what Stripe does where a trial ends without a payment method.
func (x *tx) pause(sub *record) error {
	if s := sub.Body.str("status"); s != "active" && s != "past_due" {
		return invalid("not_active", "", "A subscription with a status of `%s` cannot be paused.", s)
	}
	before := sub.Body.clone()
	sub.Body["status"] = "paused"
	if err := x.emitSaved("customer.subscription.paused", sub); err != nil {
		return err
	}
	return x.tellSubscription(sub, before)
}

// changePlan gives a subscription other items. What is left of the old ones is
// credited and the new ones are charged for the rest of the period, on the next
// invoice or at once; another interval begins a new period and is billed at once.
func (x *tx) changePlan(sub *record, changes []any, proration string) error {
	old := items(sub)
	oldRhythm := rhythm(sub)
	changed, err := x.changedItems(sub, changes)
	if err != nil {
		return err
	}
	before := sub.Body.clone()
	b := sub.Body
	b["items"] = merge(b.sub("items"), object{"data": changed})
	recurring := rhythm(sub)
	restart := recurring.str("interval") != oldRhythm.str("interval") || recurring.int("interval_count") != oldRhythm.int("interval_count")

	var lines []any
	if proration != "none" {
		if lines, err = x.prorations(sub, before, old, !restart); err != nil {
			return err
		}
	}
	if restart {
		return x.restart(sub, before, lines)
	}
	x.save(sub)
	if err := x.pendingProrations(sub, lines); err != nil {
		return err
	}
	if err := x.tellSubscription(sub, before); err != nil || proration != "always_invoice" || len(lines) == 0 {
		return err
	}
	return x.invoiceChange(sub)
}

// changedItems lays the changes of an update over the items.
func (x *tx) changedItems(sub *record, changes []any) ([]any, error) {
	list := cloneValue(sub.Body.sub("items").list("data")).([]any)
	for i, v := range changes {
		in, param := v.(object), "items["+strconv.Itoa(i)+"]"
		at := slices.IndexFunc(list, func(it any) bool { return it.(object).str("id") == in.str("id") })
		switch {
		case in.has("id") && at < 0:
			return nil, missing(http.StatusBadRequest, "subscription item", in.str("id"), param+"[id]")
		case at >= 0 && in.flag("deleted"):
			list = slices.Delete(list, at, at+1)
			continue
		case at < 0:
			made, err := x.newSubscriptionItem(sub.Body.str("id"), nil, 1)
			if err != nil {
				return nil, err
			}
			list = append(list, made)
			at = len(list) - 1
		}
		if err := x.changeItem(sub, list[at].(object), in, param); err != nil {
			return nil, err
		}
	}
	if len(list) == 0 {
		return nil, invalid("", "items", "A subscription must have at least one active plan.")
	}
	return list, nil
}

// changeItem lays one change over an item; a new one needs a price.
func (x *tx) changeItem(sub *record, it, in object, param string) error {
	if it.sub("price") == nil || in.has("price") || in.has("price_data") {
		price, err := x.priceOf(in, param, "recurring")
		if err != nil {
			return err
		}
		if price.Body["currency"] != sub.Body["currency"] {
			return invalid("", param+"[price]", "The price specified supports currencies of `%s`, but the subscription's is `%s`.", price.Body.str("currency"), sub.Body.str("currency"))
		}
		it["price"] = price.shown()
	}
	if in.has("quantity") {
		it["quantity"] = in.int("quantity")
	}
	if in.has("metadata") {
		it["metadata"] = mergeMetadata(it.sub("metadata"), in["metadata"])
	}
	return nil
}
