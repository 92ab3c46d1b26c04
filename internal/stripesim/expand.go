package stripesim

import (
	"strings"
)

// expandable says, for each kind of object, which fields hold an ID that can
// be expanded and of what kind it is.
func expandable(kind, field string) (string, bool) {
	fields := map[string]map[string]string{
		kindSession: {
			"payment_intent": kindIntent, "customer": kindCustomer,
			"invoice": "invoice", "subscription": "subscription", "setup_intent": "setup_intent", "payment_link": "payment_link",
		},
		kindIntent:  {"latest_charge": kindCharge, "customer": kindCustomer, "invoice": "invoice", "payment_method": "payment_method", "review": "review"},
		kindCharge:  {"payment_intent": kindIntent, "customer": kindCustomer, "invoice": "invoice", "balance_transaction": "balance_transaction", "review": "review"},
		kindPrice:   {"product": kindProduct},
		kindProduct: {"default_price": kindPrice},
	}
	target, ok := fields[kind][field]
	return target, ok
}

// expand replaces IDs by the objects they name, along paths such as
// payment_intent.latest_charge or data.product.
func (x *tx) expand(o object, paths []string) (object, error) {
	for _, path := range paths {
		steps := strings.Split(path, ".")
		if len(steps) > 4 {
			return nil, invalid("", "expand", "You cannot expand more than 4 levels of a property. You requested expansion of %s.", path)
		}
		if err := x.expandPath(o, steps, path); err != nil {
			return nil, err
		}
	}
	return o, nil
}

func (x *tx) expandPath(o object, steps []string, path string) error {
	step, rest := steps[0], steps[1:]
	kind := o.str("object")

	if kind == "list" && step == "data" {
		if len(rest) == 0 {
			return cannotExpand(path)
		}
		for _, e := range o.list("data") {
			item, ok := e.(object)
			if !ok {
				continue
			}
			if err := x.expandPath(item, rest, path); err != nil {
				return err
			}
		}
		return nil
	}
	if kind == kindSession && step == "line_items" && !o.has("line_items") {
		o["line_items"] = x.lineItems(o.str("id"))
	}
	target, isID := expandable(kind, step)
	if id, ok := o[step].(string); ok && isID {
		r := x.st.objects[target]
		if r == nil || r.get(id) == nil {
			return nil // Stripe has it; the stand-in only has its ID
		}
		o[step] = r.get(id).shown()
	}
	sub, isObject := o[step].(object)
	within := isEmbedded(kind, step)
	switch {
	case !isID && !within:
		return cannotExpand(path)
	case !isObject || len(rest) == 0:
		return nil // null, or expanded by now
	}
	return x.expandPath(sub, rest, path)
}

// isEmbedded says whether a field holds an object of its own, so that a path
// may lead through it.
func isEmbedded(kind, field string) bool {
	return kind == kindSession && field == "line_items" || kind == "item" && field == "price"
}

func cannotExpand(path string) error {
	return invalid("", "expand", "This property cannot be expanded (%s).", path)
}
