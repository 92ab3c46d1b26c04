package stripesim

import (
	"slices"
	"strings"
)

// choice is what a customer does on the Checkout page.
type choice struct {
	method  string
	email   string
	country string // two letters, asked for where tax is reckoned
}

// pay is a customer's choice. A session that is not open, and a method that it
// does not offer, are errors; a declined card is not: the session stays open and
// keeps the reason for the page.
func (x *tx) pay(r *record, c choice) error {
	if s := r.Body.str("status"); s != "open" {
		return invalid("session_not_open", "", "This Checkout Session has a status of `%s`; only an open one can be paid.", s)
	}
	if !contains(offered(r.Body), c.method) {
		return invalid("method_not_offered", "method", "This Checkout Session does not offer %s; it offers %s.", c.method, strings.Join(offered(r.Body), ", "))
	}
	if known := x.knownEmail(r.Body); known != "" {
		c.email = known
	}
	if !plausibleEmail(c.email) {
		return invalid("email_invalid", "email", "Your email is incomplete.")
	}
	r.Body["customer_details"] = customerDetails(c.email)
	delete(r.Private, "last_error")
	if err := x.taxAtCheckout(r, &c); err != nil {
		return err
	}
	switch r.Body.str("mode") {
	case "setup":
		return x.setUpAtCheckout(r, c)
	case "subscription":
		return x.subscribeAtCheckout(r, c)
	}
	return x.payOnce(r, c)
}

// taxAtCheckout reckons the tax when the customer says where they are.
func (x *tx) taxAtCheckout(r *record, c *choice) error {
	if !r.Body.sub("automatic_tax").flag("enabled") {
		return nil
	}
	if known := x.knownCountry(r.Body); known != "" {
		c.country = known
	}
	if len(c.country) != 2 {
		return invalid("country_missing", "country", "Choose the country of your billing address.")
	}
	details := r.Body.sub("customer_details")
	details["address"] = addressIn(c.country)
	return x.reckonSession(r, c.country)
}

func addressIn(country string) object {
	return object{"city": nil, "country": country, "line1": nil, "line2": nil, "postal_code": nil, "state": nil}
}

// offered lists the methods that a session's page has buttons for.
func offered(session object) []string {
	if session.str("payment_status") == "no_payment_required" && session.str("mode") == "payment" {
		return []string{methodConfirm}
	}
	var out []string
	if contains(session.strings("payment_method_types"), "card") {
		if out = []string{methodCardOK, methodCardDeclined}; session.str("mode") != "payment" {
			out = append(out, methodCardLater, methodCardConfirm)
		}
	}
	if bankType(session) != "" {
		out = append(out, methodBankOK, methodBankFails)
	}
	return out
}

// bankType is the bank debit that a session offers, or nothing.
func bankType(session object) string {
	for _, t := range session.strings("payment_method_types") {
		if t == "us_bank_account" || t == "sepa_debit" {
			return t
		}
	}
	return ""
}

// payOnce pays a session in payment mode.
func (x *tx) payOnce(r *record, c choice) error {
	if testMethods[c.method].present != outcomeDeclined && r.Body.str("customer_creation") == "always" {
		if _, err := x.buyer(r, c); err != nil {
			return err
		}
	}
	if c.method == methodConfirm {
		return x.complete(r)
	}
	intent, err := x.intentOf(r)
	if err != nil {
		return err
	}
	method, err := x.newMethod(c.method, bankType(r.Body), c.email)
	if err != nil {
		return err
	}
	what, err := x.attempt(intent, method, true)
	if err != nil {
		return err
	}
	switch what {
	case outcomeDeclined:
		return x.declined(r)
	case outcomePaid:
		r.Body["payment_status"] = "paid"
		if err := x.receiptInvoice(r, intent); err != nil {
			return err
		}
	}
	return x.complete(r)
}

// declined keeps a session open, with the reason for the page.
func (x *tx) declined(r *record) error {
	r.Private["last_error"] = "Your card was declined."
	x.save(r)
	return nil
}

// intentOf is a session's payment intent, made at the first attempt to pay as
// Stripe does since API version 2022-08-01.
func (x *tx) intentOf(session *record) (*record, error) {
	b := session.Body
	if r := x.find(kindIntent, b.str("payment_intent")); r != nil {
		r.Body["amount"] = b["amount_total"]
		return r, nil
	}
	fields := object{
		"amount": b["amount_total"], "currency": b["currency"], "customer": b["customer"],
		"payment_method_types": b["payment_method_types"],
	}
	r, err := x.newIntent(merge(fields, session.Private.sub("intent")), object{"session": b["id"]})
	if err != nil {
		return nil, err
	}
	b["payment_intent"] = r.Body["id"]
	return r, nil
}

// buyer is the customer of a session, made at Checkout where there is none.
func (x *tx) buyer(r *record, c choice) (*record, error) {
	if customer := x.find(kindCustomer, r.Body.str("customer")); customer != nil {
		if c.country == "" || customer.Body.sub("address").str("country") != "" {
			return customer, nil
		}
		return customer, x.change(customer, "customer.updated", func(b object) { b["address"] = addressIn(c.country) })
	}
	fields := object{"email": c.email}
	if c.country != "" {
		fields["address"] = addressIn(c.country)
	}
	customer, err := x.newCustomer(fields)
	if err != nil {
		return nil, err
	}
	r.Body["customer"] = customer.Body["id"]
	return customer, nil
}

// complete ends the customer's part of a session.
func (x *tx) complete(r *record) error {
	r.Body["status"], r.Body["url"] = "complete", nil
	return x.emitSaved("checkout.session.completed", r)
}

// expire ends a session that was not paid in time.
func (x *tx) expire(r *record) error {
	r.Body["status"], r.Body["url"] = "expired", nil
	x.save(r)
	if err := x.cancelIntent(r.Body.str("payment_intent"), "automatic"); err != nil {
		return err
	}
	return x.emit("checkout.session.expired", r, nil)
}

// sessionSettled is the bank's answer to the debit of a session.
func (x *tx) sessionSettled(r *record, ok bool) error {
	if !ok {
		return x.emitSaved("checkout.session.async_payment_failed", r)
	}
	r.Body["payment_status"] = "paid"
	if r.Body.str("mode") == "payment" {
		if err := x.receiptInvoice(r, x.find(kindIntent, r.Body.str("payment_intent"))); err != nil {
			return err
		}
	}
	return x.emitSaved("checkout.session.async_payment_succeeded", r)
}

// receiptInvoice makes the paid invoice that a session asked for.
func (x *tx) receiptInvoice(r *record, intent *record) error {
	creation := r.Body.sub("invoice_creation")
	if !creation.flag("enabled") {
		return nil
	}
	lines, err := x.invoiceLines(r.Private.list("line_items"))
	if err != nil {
		return err
	}
	customer, data := x.find(kindCustomer, r.Body.str("customer")), creation.sub("invoice_data")
	fields := object{
		"currency": r.Body["currency"], "automatic_tax": object{"enabled": r.Body.sub("automatic_tax").flag("enabled")},
		"payment_intent": intent.Body["id"], "charge": intent.Body["latest_charge"],
		"description": data["description"], "footer": data["footer"], "metadata": data.sub("metadata").clone(),
	}
	inv, err := x.draftInvoice(customer, fields, lines)
	if err != nil {
		return err
	}
	inv.Private["prepaid"] = true
	if err := x.emitSaved("invoice.created", inv); err != nil {
		return err
	}
	if err := x.finalize(inv); err != nil {
		return err
	}
	r.Body["invoice"] = inv.Body["id"]
	return x.markPaid(inv)
}

// subscribeAtCheckout begins a subscription and takes its first payment. A
// declined card leaves nothing behind.
func (x *tx) subscribeAtCheckout(r *record, c choice) error {
	if testMethods[c.method].present == outcomeDeclined {
		return x.declined(r)
	}
	customer, err := x.buyer(r, c)
	if err != nil {
		return err
	}
	method, err := x.newMethod(c.method, bankType(r.Body), c.email)
	if err != nil {
		return err
	}
	if err := x.attach(method, customer.Body.str("id")); err != nil {
		return err
	}
	fields := merge(object{
		"default_payment_method": method.Body["id"], "automatic_tax": subscriptionTax(r.Body.sub("automatic_tax").flag("enabled")),
	}, r.Private.sub("subscription"))
	sub, inv, err := x.subscribe(customer, r.Private.list("line_items"), fields, nil)
	if err != nil {
		return err
	}
	r.Body["subscription"], r.Body["invoice"] = sub.Body["id"], inv.Body["id"]
	if err := x.finalize(inv); err != nil {
		return err
	}
	if inv = x.find(kindInvoice, inv.Body.str("id")); !inv.Body.flag("paid") {
		intent := x.find(kindIntent, inv.Body.str("payment_intent"))
		intent.Private["session"] = r.Body["id"]
		x.save(intent)
		if err := x.firstPayment(sub, inv, method, true); err != nil {
			return err
		}
	}
	if x.find(kindInvoice, inv.Body.str("id")).Body.flag("paid") && r.Body.int("amount_total") > 0 {
		r.Body["payment_status"] = "paid"
	}
	return x.complete(r)
}

func contains(list []string, want string) bool { return slices.Contains(list, want) }
