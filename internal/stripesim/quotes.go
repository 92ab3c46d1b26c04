package stripesim

import (
	"fmt"
	"strconv"
	"strings"
)

// quoteLife is how long a quote stands where nobody says otherwise, in seconds.
const quoteLife = 30 * daySeconds

func quoteRoutes() []route {
	item := hash(schema{"id": text(255), "price": text(255), "price_data": priceData(), "quantity": integer(1, 999_999), "tax_rates": notHere()})
	fields := schema{
		"line_items": listOf(250, item), "customer": text(255), "metadata": metadata(), "description": unsettable(500), "header": unsettable(50),
		"footer": unsettable(500), "expires_at": integer(0, 1<<40), "automatic_tax": switchable(nil),
		"collection_method": oneOf("charge_automatically", "send_invoice"),
		"invoice_settings":  hash(schema{"days_until_due": integer(0, 3650), "issuer": notHere()}),
		"subscription_data": hash(schema{
			"description": unsettable(500), "metadata": metadata(), "effective_date": notHere(), "trial_period_days": notHere(),
		}),
		"discounts": listOf(0, text(1)), "application_fee_amount": notHere(), "application_fee_percent": notHere(), "default_tax_rates": notHere(),
		"on_behalf_of": notHere(), "transfer_data": notHere(),
	}
	create := with(fields, schema{"from_quote": notHere(), "test_clock": notHere()})
	list := with(pageParams(), schema{"customer": text(255), "status": oneOf("draft", "open", "accepted", "canceled"), "test_clock": notHere()})
	return []route{
		{"POST", "/v1/quotes", create, createQuote},
		{"GET", "/v1/quotes", list, listBy(kindQuote, "/v1/quotes", "customer", "status")},
		{"GET", "/v1/quotes/{id}", nil, retrieve(kindQuote, "quote", "quote")},
		{"POST", "/v1/quotes/{id}", fields, updateQuote},
		{"POST", "/v1/quotes/{id}/finalize", schema{"expires_at": integer(0, 1<<40)}, finalizeQuote},
		{"POST", "/v1/quotes/{id}/accept", nil, acceptQuote},
		{"POST", "/v1/quotes/{id}/cancel", nil, func(x *tx, c *call) (object, error) {
			q, err := x.quote(c, "cancel", "draft", "open")
			if err != nil {
				return nil, err
			}
			if err := x.cancelQuote(q); err != nil {
				return nil, err
			}
			return q.shown(), nil
		}},
		{"GET", "/v1/quotes/{id}/line_items", pageParams(), listQuoteLines},
		{"GET", "/v1/quotes/{id}/computed_upfront_line_items", pageParams(), listQuoteUpfront},
	}
}

// quote finds the quote that a call is about, in one of the states in which it
// can be done.
func (x *tx) quote(c *call, what string, from ...string) (*record, error) {
	q, err := x.mustFind(kindQuote, "quote", c.path("id"), "quote")
	if err != nil {
		return nil, err
	}
	if s := q.Body.str("status"); !contains(from, s) {
		return nil, invalid("", "", "You can't %s a quote with a status of `%s`. It must be: %s.", what, s, strings.Join(from, ", "))
	}
	return q, nil
}

func createQuote(x *tx, c *call) (object, error) {
	id, err := x.objectID(kindQuote, "qt_1", 23)
	if err != nil {
		return nil, err
	}
	now := x.now.Unix()
	q := &record{Private: object{}, Body: object{
		"id": id, "object": kindQuote, "amount_subtotal": int64(0), "amount_total": int64(0), "application": nil, "application_fee_amount": nil,
		"application_fee_percent": nil, "automatic_tax": automaticTax(false, nil), "collection_method": "charge_automatically",
		"computed": nil, "created": now, "currency": nil, "customer": nil, "default_tax_rates": []any{}, "description": nil, "discounts": []any{},
		"expires_at": now + quoteLife, "footer": nil, "from_quote": nil, "header": nil, "invoice": nil,
		"invoice_settings": object{"days_until_due": nil, "issuer": object{"type": "self"}}, "livemode": false, "metadata": object{},
		"number": nil, "on_behalf_of": nil, "status": "draft",
		"status_transitions": object{"accepted_at": nil, "canceled_at": nil, "finalized_at": nil}, "subscription": nil,
		"subscription_data":     object{"description": nil, "effective_date": nil, "metadata": object{}, "trial_period_days": nil},
		"subscription_schedule": nil, "test_clock": nil, "total_details": noDetails(), "transfer_data": nil,
	}}
	if err := x.setQuote(q, c.params); err != nil {
		return nil, err
	}
	return q.shown(), x.emitSaved("quote.created", q)
}

func updateQuote(x *tx, c *call) (object, error) {
	q, err := x.quote(c, "update", "draft", "open")
	if err != nil {
		return nil, err
	}
	if q.Body.str("status") == "open" && !onlyMetadata(c.params) {
		return nil, invalid("", "", "Only the metadata of an open quote can be updated.")
	}
	if err := x.setQuote(q, c.params); err != nil {
		return nil, err
	}
	x.save(q)
	return q.shown(), nil // Stripe has no event for this
}

// setQuote lays parameters over a draft and works out its amounts.
func (x *tx) setQuote(q *record, p object) error {
	if p.has("customer") {
		if _, err := x.customer(p.str("customer"), "customer"); err != nil {
			return err
		}
	}
	p = p.clone()
	for _, name := range []string{"invoice_settings", "subscription_data"} {
		if s := p.sub(name); s != nil {
			p[name] = merge(q.Body.sub(name), s)
		}
	}
	if tax := p.sub("automatic_tax"); tax != nil {
		p["automatic_tax"] = automaticTax(tax.flag("enabled"), nil)
	}
	lines := p.list("line_items")
	setFields(q.Body, p)
	if at := q.Body.int("expires_at"); at <= x.now.Unix() {
		return invalid("", "expires_at", "`expires_at` must be a timestamp in the future.")
	}
	if p.has("line_items") {
		if err := x.quoteLines(q, lines); err != nil {
			return err
		}
	}
	return x.reckonQuote(q)
}

// quoteLines resolves a quote's line items.
func (x *tx) quoteLines(q *record, lines []any) error {
	var out []any
	for i, v := range lines {
		in, param := v.(object), "line_items["+strconv.Itoa(i)+"]"
		price, err := x.priceOf(in, param, "")
		if err != nil {
			return err
		}
		if i == 0 {
			q.Body["currency"] = price.Body["currency"]
		}
		if price.Body["currency"] != q.Body["currency"] {
			return invalid("", param+"[price]", "All line items must be in one currency.")
		}
		it, err := x.newItemLine(price, max(1, in.int("quantity")))
		if err != nil {
			return err
		}
		out = append(out, it)
	}
	q.Private["line_items"] = out
	return nil
}

// reckonQuote works out what a quote asks for at once and each period.
func (x *tx) reckonQuote(q *record) error {
	who := taxable{}
	if customer := x.find(kindCustomer, q.Body.str("customer")); customer != nil {
		who = taxableCustomer(customer.Body)
	}
	taxed := q.Body.sub("automatic_tax").flag("enabled")
	if taxed {
		q.Body["automatic_tax"] = automaticTax(true, taxStatus(who))
	}
	lines := q.Private.list("line_items")
	if err := x.taxItems(lines, taxed, who); err != nil {
		return err
	}
	var recurring []any
	var rhythm object
	for _, it := range lines {
		if r := it.(object).sub("price").sub("recurring"); r != nil {
			recurring, rhythm = append(recurring, it), r
		}
	}
	all := itemTotals(lines)
	q.Body["amount_subtotal"], q.Body["amount_total"], q.Body["total_details"] = all["amount_subtotal"], all["amount_total"], all["total_details"]
	computed := object{"upfront": itemTotals(lines), "recurring": nil}
	if rhythm != nil {
		computed["recurring"] = merge(itemTotals(recurring), object{"interval": rhythm["interval"], "interval_count": rhythm["interval_count"]})
	}
	q.Body["computed"] = computed
	return nil
}

func finalizeQuote(x *tx, c *call) (object, error) {
	q, err := x.quote(c, "finalize", "draft")
	if err != nil {
		return nil, err
	}
	switch {
	case len(q.Private.list("line_items")) == 0:
		return nil, invalid("parameter_missing", "line_items", "A quote must have line items to be finalized.")
	case q.Body["customer"] == nil:
		return nil, invalid("parameter_missing", "customer", "A quote must have a customer to be finalized.")
	case q.Body.str("collection_method") == "send_invoice" && q.Body.sub("invoice_settings")["days_until_due"] == nil:
		return nil, invalid("parameter_missing", "invoice_settings[days_until_due]", "`days_until_due` must be set if `collection_method` is `send_invoice`.")
	}
	setFields(q.Body, c.params)
	q.Body["status"] = "open"
	q.Body["number"] = fmt.Sprintf("QT-%s-%04d-1", x.find(kindCustomer, q.Body.str("customer")).Body.str("invoice_prefix"), x.countQuotes())
	q.Body["status_transitions"] = merge(q.Body.sub("status_transitions"), object{"finalized_at": x.now.Unix()})
	return q.shown(), x.emitSaved("quote.finalized", q)
}

func (x *tx) countQuotes() int {
	n := 1
	for _, id := range x.st.objects[kindQuote].ids {
		if x.st.objects[kindQuote].get(id).Body["number"] != nil {
			n++
		}
	}
	return n
}

// acceptQuote makes what was offered: a draft invoice, which someone finalizes,
// or a subscription with its first invoice. The quote's metadata reaches
// neither; a subscription has subscription_data's.
func acceptQuote(x *tx, c *call) (object, error) {
	q, err := x.quote(c, "accept", "open")
	if err != nil {
		return nil, err
	}
	customer, err := x.customer(q.Body.str("customer"), "customer")
	if err != nil {
		return nil, err
	}
	if q.Body.sub("computed")["recurring"] != nil {
		err = x.quoteSubscription(q, customer)
	} else {
		err = x.quoteInvoice(q, customer)
	}
	if err != nil {
		return nil, err
	}
	q.Body["status"] = "accepted"
	q.Body["status_transitions"] = merge(q.Body.sub("status_transitions"), object{"accepted_at": x.now.Unix()})
	return q.shown(), x.emitSaved("quote.accepted", q)
}

// quoteInvoice drafts the invoice that a quote offered.
func (x *tx) quoteInvoice(q, customer *record) error {
	b := q.Body
	fields := object{
		"billing_reason": "quote_accept", "currency": b["currency"], "quote": b["id"], "collection_method": b["collection_method"],
		"description": b["description"], "footer": b["footer"],
		"automatic_tax": object{"enabled": b.sub("automatic_tax").flag("enabled")},
	}
	if days, ok := b.sub("invoice_settings")["days_until_due"].(int64); ok && b.str("collection_method") == "send_invoice" {
		fields["days_until_due"] = days
	}
	lines, err := x.invoiceLines(q.Private.list("line_items"))
	if err != nil {
		return err
	}
	inv, err := x.newInvoice(customer, fields, lines)
	if err != nil {
		return err
	}
	q.Body["invoice"] = inv.Body["id"]
	return nil
}

// quoteSubscription begins the subscription that a quote offered.
func (x *tx) quoteSubscription(q, customer *record) error {
	data := q.Body.sub("subscription_data")
	fields := object{
		"metadata": data.sub("metadata").clone(), "description": data["description"], "collection_method": q.Body["collection_method"],
		"automatic_tax":  subscriptionTax(q.Body.sub("automatic_tax").flag("enabled")),
		"days_until_due": q.Body.sub("invoice_settings")["days_until_due"],
	}
	sub, inv, err := x.subscribe(customer, q.Private.list("line_items"), fields, object{"quote": q.Body["id"]})
	if err != nil {
		return err
	}
	q.Body["subscription"], q.Body["invoice"] = sub.Body["id"], inv.Body["id"]
	return x.startSubscription(sub, inv)
}

func (x *tx) cancelQuote(q *record) error {
	q.Body["status"] = "canceled"
	q.Body["status_transitions"] = merge(q.Body.sub("status_transitions"), object{"canceled_at": x.now.Unix()})
	return x.emitSaved("quote.canceled", q)
}

func listQuoteLines(x *tx, c *call) (object, error) {
	q, err := x.mustFind(kindQuote, "quote", c.path("id"), "quote")
	if err != nil {
		return nil, err
	}
	return pageOf(shownLines(q), c.params, "/v1/quotes/"+c.path("id")+"/line_items"), nil
}

func listQuoteUpfront(x *tx, c *call) (object, error) {
	q, err := x.mustFind(kindQuote, "quote", c.path("id"), "quote")
	if err != nil {
		return nil, err
	}
	return pageOf(shownLines(q), c.params, "/v1/quotes/"+c.path("id")+"/computed_upfront_line_items"), nil
}
