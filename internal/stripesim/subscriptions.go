package stripesim

import (
	"net/http"
	"slices"
)

func subscriptionRoutes() []route {
	item := hash(schema{
		"id": text(255), "price": text(255), "price_data": priceData(), "quantity": integer(0, 999_999), "deleted": boolean(), "metadata": metadata(),
		"billing_thresholds": notHere(), "clear_usage": notHere(), "tax_rates": notHere(),
	})
	feedback := hash(schema{
		"comment": unsettable(5000),
		"feedback": oneOf("customer_service", "low_quality", "missing_features", "other", "switched_service", "too_complex",
			"too_expensive", "unused"),
	})
	update := schema{
		"items": listOf(20, item), "metadata": metadata(), "description": unsettable(500), "default_payment_method": unsettable(255),
		"cancel_at_period_end": boolean(), "cancel_at": timeOrUnset(), "cancellation_details": feedback,
		"pause_collection": hash(schema{
			"behavior": oneOf("keep_as_draft", "mark_uncollectible", "void").must(), "resumes_at": integer(0, 1<<40),
		}),
		"proration_behavior": oneOf("create_prorations", "always_invoice", "none"), "proration_date": notHere(),
		"billing_cycle_anchor": notHere(), "payment_behavior": oneOf("allow_incomplete"), "collection_method": oneOf("charge_automatically", "send_invoice"),
		"days_until_due": integer(0, 3650), "automatic_tax": switchable(nil), "off_session": boolean(),
		"add_invoice_items": notHere(), "application_fee_percent": notHere(), "billing_thresholds": notHere(), "coupon": notHere(),
		"default_source": notHere(), "default_tax_rates": notHere(), "invoice_settings": notHere(), "on_behalf_of": notHere(),
		"payment_settings": notHere(), "pending_invoice_item_interval": notHere(), "promotion_code": notHere(), "transfer_data": notHere(),
		"trial_end": notHere(), "trial_from_plan": notHere(), "trial_settings": notHere(),
	}
	list := with(pageParams(), schema{
		"customer": text(255), "price": text(255), "created": createdRange(), "collection_method": oneOf("charge_automatically", "send_invoice"),
		"status": oneOf("active", "all", "canceled", "ended", "incomplete", "incomplete_expired", "past_due", "paused", "trialing", "unpaid"),
	})
	cancel := schema{"invoice_now": notHere(), "prorate": notHere(), "cancellation_details": feedback}
	return []route{
		{"GET", "/v1/subscriptions", list, listSubscriptions},
		{"GET", "/v1/subscriptions/{id}", nil, retrieve(kindSubscription, "subscription", "id")},
		{"POST", "/v1/subscriptions/{id}", update, updateSubscription},
		{"DELETE", "/v1/subscriptions/{id}", cancel, cancelSubscription},
		{"POST", "/v1/subscriptions/{id}/resume", schema{
			"billing_cycle_anchor": oneOf("now", "unchanged"), "proration_behavior": oneOf("create_prorations", "always_invoice", "none"), "proration_date": notHere(),
		}, resumeSubscription},
		{"GET", "/v1/subscription_items", with(pageParams(), schema{"subscription": text(255).must()}), listSubscriptionItems},
	}
}

// timeOrUnset is a time in Unix seconds; empty unsets it.
func timeOrUnset() field {
	at := integer(0, 1<<40)
	return field{read: func(name string, n *node) (any, *apiError) {
		if n.text != nil && *n.text == "" {
			return nil, nil
		}
		return at.read(name, n)
	}}
}

func listSubscriptions(x *tx, c *call) (object, error) {
	p := c.params
	ended := []string{"canceled", "incomplete_expired"}
	return x.listObjects(kindSubscription, "/v1/subscriptions", p, func(r *record) bool {
		status := r.Body.str("status")
		switch want := p.str("status"); want {
		case "": // Stripe leaves out what is canceled, unless it is asked for
			if status == "canceled" {
				return false
			}
		case "all":
		case "ended":
			if !slices.Contains(ended, status) {
				return false
			}
		default:
			if status != want {
				return false
			}
		}
		return matches(r.Body, p, "customer", "collection_method") && (!p.has("price") || hasPrice(r, p.str("price")))
	})
}

func hasPrice(sub *record, price string) bool {
	return slices.ContainsFunc(items(sub), func(it object) bool { return it.sub("price").str("id") == price })
}

// items are a subscription's items.
func items(sub *record) []object {
	var out []object
	for _, v := range sub.Body.sub("items").list("data") {
		out = append(out, v.(object))
	}
	return out
}

func listSubscriptionItems(x *tx, c *call) (object, error) {
	sub := x.find(kindSubscription, c.params.str("subscription"))
	if sub == nil {
		return nil, missing(http.StatusBadRequest, "subscription", c.params.str("subscription"), "subscription")
	}
	return pageOf(sub.Body.sub("items").list("data"), c.params, "/v1/subscription_items"), nil
}

// newSubscriptionItem is what a subscription charges each period.
func (x *tx) newSubscriptionItem(sub string, price object, quantity int64) (object, error) {
	id, err := x.newID("si_", 14, nil)
	if err != nil {
		return nil, err
	}
	return object{
		"id": id, "object": "subscription_item", "billing_thresholds": nil, "created": x.now.Unix(), "metadata": object{},
		"price": price, "quantity": quantity, "subscription": sub, "tax_rates": []any{},
	}, nil
}

// newSubscription makes a subscription that waits for its first payment; the
// caller tells of it. prices are recurring ones of one interval, each with its quantity.
func (x *tx) newSubscription(customer *record, prices []priced, fields object) (*record, error) {
	id, err := x.objectID(kindSubscription, "sub_1", 23)
	if err != nil {
		return nil, err
	}
	var list []any
	recurring := prices[0].price.sub("recurring")
	for _, p := range prices {
		if r := p.price.sub("recurring"); r.str("interval") != recurring.str("interval") || r.int("interval_count") != recurring.int("interval_count") {
			return nil, invalid("", "line_items", "Checkout does not support multiple prices with different billing intervals.")
		}
		it, err := x.newSubscriptionItem(id, p.price, p.quantity)
		if err != nil {
			return nil, err
		}
		list = append(list, it)
	}
	now := x.now.Unix()
	sub := &record{Private: object{}, Body: object{
		"id": id, "object": kindSubscription, "application": nil, "application_fee_percent": nil,
		"automatic_tax": object{"enabled": false, "liability": nil}, "billing_cycle_anchor": now, "billing_cycle_anchor_config": nil,
		"billing_thresholds": nil, "cancel_at": nil, "cancel_at_period_end": false, "canceled_at": nil,
		"cancellation_details": object{"comment": nil, "feedback": nil, "reason": nil}, "collection_method": "charge_automatically",
		"created": now, "currency": prices[0].price["currency"], "current_period_end": periodEnd(now, now, recurring),
		"current_period_start": now, "customer": customer.Body["id"], "days_until_due": nil, "default_payment_method": nil,
		"default_source": nil, "default_tax_rates": []any{}, "description": nil, "discount": nil, "ended_at": nil,
		"items":          object{"object": "list", "data": list, "has_more": false, "url": "/v1/subscription_items?subscription=" + id},
		"latest_invoice": nil, "livemode": false, "metadata": object{}, "next_pending_invoice_item_invoice": nil, "on_behalf_of": nil,
		"pause_collection": nil, "payment_settings": object{"payment_method_options": nil, "payment_method_types": nil, "save_default_payment_method": "off"},
		"pending_invoice_item_interval": nil, "pending_setup_intent": nil, "pending_update": nil, "schedule": nil, "start_date": now,
		"status": "incomplete", "test_clock": nil, "transfer_data": nil, "trial_end": nil,
		"trial_settings": object{"end_behavior": object{"missing_payment_method": "create_invoice"}}, "trial_start": nil,
	}}
	setFields(sub.Body, fields)
	x.save(sub)
	return sub, nil
}

// priced is a price and how many of it.
type priced struct {
	price    object
	quantity int64
}

// rhythm is how often a subscription is billed.
func rhythm(sub *record) object { return items(sub)[0].sub("price").sub("recurring") }

// subscriptionInvoice makes the draft for a period of a subscription, of which
// the caller tells.
func (x *tx) subscriptionInvoice(sub *record, reason string, start, end int64, extra ...any) (*record, error) {
	b := sub.Body
	var lines []any
	for _, it := range items(sub) {
		line, err := x.periodLine(sub, it, start, end)
		if err != nil {
			return nil, err
		}
		lines = append(lines, line)
	}
	lines = append(lines, extra...)
	periodStart, periodStop := start, start
	if reason == "subscription_cycle" { // the period that ended
		periodStart = b.int("current_period_start")
	}
	fields := object{
		"billing_reason": reason, "currency": b["currency"], "subscription": b["id"], "description": nil,
		"subscription_details": object{"metadata": b.sub("metadata").clone()}, "collection_method": b["collection_method"],
		"auto_advance": true, "automatic_tax": object{"enabled": b.sub("automatic_tax").flag("enabled")},
		"period_start": periodStart, "period_end": periodStop,
	}
	if b.str("collection_method") == "send_invoice" {
		fields["days_until_due"] = b.int("days_until_due")
	}
	return x.draftInvoice(x.find(kindCustomer, b.str("customer")), fields, lines)
}

// periodLine is what one item costs for one period.
func (x *tx) periodLine(sub *record, it object, start, end int64) (object, error) {
	price, quantity := it.sub("price").clone(), it.int("quantity")
	return x.newLine(price, quantity, price.int("unit_amount")*quantity, object{
		"description": x.periodText(price, quantity), "metadata": sub.Body.sub("metadata"), "period": object{"start": start, "end": end},
		"subscription": sub.Body["id"], "subscription_item": it["id"], "type": "subscription",
	})
}
