package stripesim

import (
	"fmt"
	"slices"
)

// prorations are the lines of a plan change: what is left of the old items goes
// back, and the new ones cost their share of the period where charge says so.
func (x *tx) prorations(sub *record, before object, old []object, charge bool) ([]any, error) {
	now, start, end := x.now.Unix(), before.int("current_period_start"), before.int("current_period_end")
	left, whole := max(0, end-now), end-start
	left = min(left, whole)
	var lines []any
	add := func(it object, sign int64, format string) error {
		price, quantity := it.sub("price").clone(), it.int("quantity")
		amount := sign * roundedShare(price.int("unit_amount")*quantity, left, whole)
		name := x.productName(price)
		line, err := x.newLine(price, quantity, amount, object{
			"description": fmt.Sprintf(format, name, day(now)), "period": object{"start": now, "end": end}, "proration": true,
			"subscription": sub.Body["id"], "subscription_item": it["id"],
		})
		lines = append(lines, any(line))
		return err
	}
	for _, it := range old {
		if holds(items(sub), it) {
			continue
		}
		if err := add(it, -1, "Unused time on %s after %s"); err != nil {
			return nil, err
		}
	}
	for _, it := range items(sub) {
		if !charge || holds(old, it) {
			continue
		}
		if err := add(it, 1, "Remaining time on %s after %s"); err != nil {
			return nil, err
		}
	}
	return lines, nil
}

// holds says whether a list has an item that costs the same.
func holds(list []object, it object) bool {
	return slices.ContainsFunc(list, func(other object) bool {
		return other["id"] == it["id"] && other.sub("price")["id"] == it.sub("price")["id"] && other["quantity"] == it["quantity"]
	})
}

// pendingProrations keeps the lines as items for the next invoice.
func (x *tx) pendingProrations(sub *record, lines []any) error {
	customer := x.find(kindCustomer, sub.Body.str("customer"))
	for _, v := range lines {
		line := v.(object)
		item, err := x.newItem(customer, line.sub("price").clone(), line.int("quantity"), line.int("amount"), object{
			"description": line["description"], "period": line["period"], "proration": true, "subscription": sub.Body["id"],
		})
		if err != nil {
			return err
		}
		if err := x.emit("invoiceitem.created", item, nil); err != nil {
			return err
		}
	}
	return nil
}

// invoiceChange bills pending prorations at once.
func (x *tx) invoiceChange(sub *record) error {
	b := sub.Body
	inv, err := x.newInvoice(x.find(kindCustomer, b.str("customer")), object{
		"billing_reason": "subscription_update", "currency": b["currency"], "subscription": b["id"], "auto_advance": true,
		"subscription_details": object{"metadata": b.sub("metadata").clone()},
		"automatic_tax":        object{"enabled": b.sub("automatic_tax").flag("enabled")},
	}, nil)
	if err != nil {
		return err
	}
	if err := x.takePending(inv); err != nil {
		return err
	}
	return x.billNow(sub, inv)
}

// restart begins a new period today, for another interval, and bills it.
func (x *tx) restart(sub *record, before object, credits []any) error {
	b, now := sub.Body, x.now.Unix()
	b["billing_cycle_anchor"] = now
	b["current_period_start"], b["current_period_end"] = now, periodEnd(now, now, rhythm(sub))
	inv, err := x.subscriptionInvoice(sub, "subscription_update", now, b.int("current_period_end"), credits...)
	if err != nil {
		return err
	}
	b["latest_invoice"] = inv.Body["id"]
	if err := x.tellSubscription(sub, before); err != nil {
		return err
	}
	if err := x.emit("invoice.created", inv, nil); err != nil {
		return err
	}
	return x.billNow(sub, inv)
}

// billNow makes inv a subscription's latest invoice and collects it.
func (x *tx) billNow(sub, inv *record) error {
	if err := x.change(sub, "customer.subscription.updated", func(b object) { b["latest_invoice"] = inv.Body["id"] }); err != nil {
		return err
	}
	return x.advanceInvoice(x.find(kindInvoice, inv.Body.str("id")))
}
