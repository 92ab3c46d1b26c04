package stripesim

import (
	"strings"
)

// references are the members that hold an ID which can be expanded, by the kind
// of object that holds it; those under "" are the same wherever they stand.
var references = map[string]map[string]string{
	"": {
		"customer": kindCustomer, "invoice": kindInvoice, "subscription": kindSubscription, "payment_intent": kindIntent, "charge": kindCharge,
		"setup_intent": kindSetup, "payment_method": kindMethod, "default_payment_method": kindMethod, "review": kindReview, "quote": kindQuote,
		"refund": kindRefund, "tax_rate": kindTaxRate, "balance_transaction": "balance_transaction", "payment_link": "payment_link",
	},
	kindIntent:       {"latest_charge": kindCharge},
	kindPrice:        {"product": kindProduct},
	kindProduct:      {"default_price": kindPrice},
	kindSubscription: {"latest_invoice": kindInvoice, "pending_setup_intent": kindSetup, "schedule": "subscription_schedule"},
	"item":           {"price": kindPrice},
	"line_item":      {"price": kindPrice, "invoice_item": kindInvoiceItem},
	kindPortal:       {"configuration": kindPortalConfig},
	kindCreditNote:   {"customer_balance_transaction": kindBalance},
	kindBalance:      {"credit_note": kindCreditNote},
	kindInvoice:      {"latest_revision": kindInvoice},
}

// included are the members that are shown only where they are expanded.
func (x *tx) included(o object, member string) (any, bool) {
	id := o.str("id")
	switch o.str("object") + "." + member {
	case kindSession + ".line_items":
		return x.lineItems(id), true
	case kindQuote + ".line_items":
		return firstTen(shownLines(x.find(kindQuote, id)), "/v1/quotes/"+id+"/line_items"), true
	case kindCharge + ".refunds":
		return firstTen(x.refundsOf(id), "/v1/charges/"+id+"/refunds"), true
	case kindProduct + ".tax_code", kindCustomer + ".tax":
		return nil, true
	}
	return nil, false
}

// expand replaces IDs by the objects they name, along paths such as
// payment_intent.latest_charge or data.product.
func (x *tx) expand(o object, paths []string) (object, error) {
	for _, path := range paths {
		steps := strings.Split(path, ".")
		if len(steps) > 4 && steps[0] != "data" || len(steps) > 5 {
			return nil, invalid("", "expand", "You cannot expand more than 4 levels of a property. You requested expansion of %s.", path)
		}
		if err := x.expandPath(o, steps, path); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// expandPath follows a path through objects, lists and IDs.
func (x *tx) expandPath(o object, steps []string, path string) error {
	step, rest := steps[0], steps[1:]
	if list, ok := o[step].([]any); ok && len(rest) > 0 {
		for _, e := range list {
			if item, ok := e.(object); ok {
				if err := x.expandPath(item, rest, path); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if o[step] == nil {
		if list, ok := x.included(o, step); ok {
			o[step] = list
		}
	}
	target := reference(o.str("object"), step)
	if id, ok := o[step].(string); ok {
		r := x.st.objects[target]
		switch {
		case target == "":
			return cannotExpand(path)
		case r == nil || r.get(id) == nil:
			return nil // Stripe has it; the stand-in only has its ID
		}
		o[step] = r.get(id).shown()
	}
	switch v := o[step].(type) {
	case object:
		if len(rest) > 0 {
			return x.expandPath(v, rest, path)
		}
		if target == "" && v.str("object") == "" {
			return cannotExpand(path)
		}
		return nil
	case nil:
		if target != "" && (o.has(step) || references[o.str("object")][step] != "") {
			return nil // null
		}
	}
	return cannotExpand(path)
}

func reference(kind, member string) string {
	if target := references[kind][member]; target != "" {
		return target
	}
	return references[""][member]
}

func cannotExpand(path string) error {
	return invalid("", "expand", "This property cannot be expanded (%s).", path)
}
