package stripesim

import "net/http"

// action is something that happens to an object outside of Stripe's API: what a
// bank, a card issuer, the customer or a person in Stripe's dashboard does. The
// control API and the object's page offer the same.
type action struct {
	name  string
	kind  string // of object
	label string // the page's button
	hint  string
	input string            // the parameter that the page asks for: amount, cycles or nothing
	when  func(object) bool // by the object's body
	// do answers the object that came of it, nil where it is r itself.
	do func(x *tx, r *record, in actionIn) (*record, error)
}

// actionIn are the parameters of actions; each takes what it needs.
type actionIn struct {
	Amount   int64             `json:"amount"` // minor units; 0: all
	Reason   string            `json:"reason"`
	Method   string            `json:"method"` // card_ok, bank_ok, …
	Cycles   int               `json:"cycles"` // 1 by default, 120 at most
	Delivery *deliverySettings `json:"delivery"`
}

// actions are all there are, in the order in which a page shows them.
func actions() []action {
	var all []action
	for _, part := range [][]action{chargeActions(), refundActions(), disputeActions(), invoiceActions(), subscriptionActions(), otherActions()} {
		all = append(all, part...)
	}
	return all
}

// is says yes where a member has one of some values.
func is(member string, values ...string) func(object) bool {
	return func(b object) bool { return contains(values, b.str(member)) }
}

func chargeActions() []action {
	isPaid := is("status", "succeeded")
	calm := func(b object) bool { return isPaid(b) && !b.flag("disputed") }
	return []action{
		{"refund", kindCharge, "Refund", "Gives the money back; a bank takes its time.", "amount", func(b object) bool { return isPaid(b) && !b.flag("refunded") },
			func(x *tx, r *record, in actionIn) (*record, error) { return x.refund(r, in.Amount, in.Reason, nil) }},
		{"dispute", kindCharge, "Dispute", "The customer's bank takes the money back and asks for evidence.", "", calm,
			func(x *tx, r *record, in actionIn) (*record, error) {
				return x.openDispute(r, false, orElse(in.Reason, "fraudulent"))
			}},
		{"inquiry", kindCharge, "Inquiry", "The customer's bank asks; the money stays for now.", "", calm,
			func(x *tx, r *record, in actionIn) (*record, error) {
				return x.openDispute(r, true, orElse(in.Reason, "general"))
			}},
		{"fraud_warning", kindCharge, "Early fraud warning", "The card's issuer believes that this payment is fraud.", "", isPaid,
			func(x *tx, r *record, in actionIn) (*record, error) { return x.warn(r, orElse(in.Reason, "misc")) }},
		{"review", kindCharge, "Open a review", "A rule of Radar wants a person to look at this payment.", "", isPaid,
			func(x *tx, r *record, _ actionIn) (*record, error) { return x.openReview(r) }},
	}
}

func refundActions() []action {
	return []action{
		{"succeed", kindRefund, "Arrives", "The bank has taken the refund.", "", is("status", "pending"),
			func(x *tx, r *record, _ actionIn) (*record, error) { return nil, x.endRefund(r, "succeeded", "") }},
		{"fail", kindRefund, "Fails", "The refund comes back, for example from a closed account.", "", is("status", "pending", "succeeded"),
			func(x *tx, r *record, in actionIn) (*record, error) {
				return nil, x.endRefund(r, "failed", orElse(in.Reason, "expired_or_canceled_card"))
			}},
	}
}

func disputeActions() []action {
	asked := is("status", "needs_response", "warning_needs_response")
	warned := is("status", "warning_needs_response", "warning_under_review")
	open := is("status", "needs_response", "under_review")
	return []action{
		{"answer", kindDispute, "Hand evidence in", "The bank looks at it.", "", asked,
			func(x *tx, r *record, _ actionIn) (*record, error) { return nil, x.answerDispute(r) }},
		{"escalate", kindDispute, "Escalate", "The inquiry becomes a dispute, and the money goes.", "", warned,
			func(x *tx, r *record, _ actionIn) (*record, error) { return nil, x.escalate(r) }},
		{"win", kindDispute, "Win", "The money comes back; an inquiry is closed.", "", func(b object) bool { return open(b) || warned(b) },
			func(x *tx, r *record, _ actionIn) (*record, error) { return nil, x.winDispute(r) }},
		{"lose", kindDispute, "Lose", "The customer keeps the money.", "", open,
			func(x *tx, r *record, _ actionIn) (*record, error) { return nil, x.loseDispute(r) }},
	}
}

func invoiceActions() []action {
	open := is("status", "open", "uncollectible")
	return []action{
		{"finalize", kindInvoice, "Finalize", "Fixes the amounts and opens the invoice.", "", is("status", "draft"),
			func(x *tx, r *record, _ actionIn) (*record, error) { return nil, x.finalize(r) }},
		{"pay", kindInvoice, "Pay by card", "The customer pays on the invoice's page.", "", open,
			func(x *tx, r *record, in actionIn) (*record, error) {
				return nil, x.payAtPage(r, orElse(in.Method, methodCardOK))
			}},
		{"transfer", kindInvoice, "Book a bank transfer", "The customer transfers what is due, or a part of it.", "amount", open,
			func(x *tx, r *record, in actionIn) (*record, error) {
				if in.Amount == 0 {
					in.Amount = r.Body.int("amount_remaining")
				}
				return nil, x.transfer(r, in.Amount)
			}},
		{"collect", kindInvoice, "Try to collect now", "Uses the payment method that is on file.", "", is("status", "open"),
			func(x *tx, r *record, _ actionIn) (*record, error) {
				if err := x.mayPay(r); err != nil {
					return nil, err
				}
				return nil, x.collectDefault(r)
			}},
		{"out_of_band", kindInvoice, "Mark as paid elsewhere", "The money came past Stripe.", "", open,
			func(x *tx, r *record, _ actionIn) (*record, error) { return nil, x.paidElsewhere(r) }},
		{"void", kindInvoice, "Void", "Takes the invoice back.", "", open,
			func(x *tx, r *record, _ actionIn) (*record, error) { return nil, x.voidInvoice(r) }},
		{"mark_uncollectible", kindInvoice, "Give up", "Nobody expects this money any more; it can still come.", "", is("status", "open"),
			func(x *tx, r *record, _ actionIn) (*record, error) { return nil, x.giveInvoiceUp(r) }},
	}
}

// maxCycles bounds how far one call bills a subscription.
const maxCycles = 120

func subscriptionActions() []action {
	active := is("status", "active", "past_due")
	return []action{
		{"bill", kindSubscription, "Bill the next period now", "As if this period were over; the clock stays.", "cycles", active,
			func(x *tx, r *record, in actionIn) (*record, error) {
				if in.Cycles = max(in.Cycles, 1); in.Cycles > maxCycles {
					return nil, invalid("out_of_range", "cycles", "cycles must be between 1 and %d.", maxCycles)
				}
				for range in.Cycles {
					if err := x.billNext(x.find(kindSubscription, r.Body.str("id"))); err != nil {
						return nil, err
					}
				}
				return nil, nil
			}},
		{"use", kindSubscription, "Use another card", "The customer gives a card that works.", "", func(b object) bool { return b["ended_at"] == nil },
			func(x *tx, r *record, in actionIn) (*record, error) {
				return nil, x.replaceMethod(r, orElse(in.Method, methodCardOK))
			}},
		{"pause", kindSubscription, "Pause", "What Stripe does where a trial ends without a card.", "", active,
			func(x *tx, r *record, _ actionIn) (*record, error) { return nil, x.pause(r) }},
		{"resume", kindSubscription, "Resume", "A new period begins and is billed.", "", is("status", "paused"),
			func(x *tx, r *record, _ actionIn) (*record, error) { return nil, x.resume(r, true) }},
		{"cancel", kindSubscription, "Cancel now", "It ends at once, without a refund.", "", func(b object) bool { return b["ended_at"] == nil },
			func(x *tx, r *record, _ actionIn) (*record, error) {
				return nil, x.endSubscription(r, "cancellation_requested")
			}},
	}
}

func otherActions() []action {
	return []action{
		{"settle", kindIntent, "The debit settles", "The bank has sent the money.", "", is("status", "processing"),
			func(x *tx, r *record, _ actionIn) (*record, error) { return nil, x.settle(r, true) }},
		{"bounce", kindIntent, "The debit fails", "The bank refuses.", "", is("status", "processing"),
			func(x *tx, r *record, _ actionIn) (*record, error) { return nil, x.settle(r, false) }},
		{"close", kindReview, "Close the review", "A person has looked at the payment.", "", func(b object) bool { return b.flag("open") },
			func(x *tx, r *record, in actionIn) (*record, error) {
				return nil, x.closeReview(r, orElse(in.Reason, "approved"))
			}},
		{"disable", kindEndpoint, "Disable", "What Stripe does to an endpoint that keeps failing.", "", is("status", "enabled"),
			func(x *tx, r *record, _ actionIn) (*record, error) { return nil, x.switchEndpoint(r, "disabled") }},
		{"enable", kindEndpoint, "Enable", "Events are sent again.", "", is("status", "disabled"),
			func(x *tx, r *record, _ actionIn) (*record, error) { return nil, x.switchEndpoint(r, "enabled") }},
	}
}

func orElse(given, otherwise string) string {
	if given == "" {
		return otherwise
	}
	return given
}

func (x *tx) switchEndpoint(r *record, status string) error {
	r.Body["status"] = status
	x.save(r)
	return nil
}

// payAtPage is a customer who pays an invoice on its page.
func (x *tx) payAtPage(inv *record, name string) error {
	if err := x.mayPay(inv); err != nil {
		return err
	}
	known, ok := testMethods[name]
	if !ok {
		return invalid("method_not_offered", "method", "The stand-in knows no payment method %s.", name)
	}
	method, err := x.newMethod(name, bankTypeFor(inv.Body.str("currency")), inv.Body.str("customer_email"))
	if err != nil {
		return err
	}
	if known.present != outcomeDeclined {
		if err := x.attach(method, inv.Body.str("customer")); err != nil {
			return err
		}
	}
	_, err = x.collect(inv, method, true)
	return err
}

// bankTypeFor is the bank debit of a currency.
func bankTypeFor(currency string) string {
	if currency == "eur" {
		return "sepa_debit"
	}
	return "us_bank_account"
}

// replaceMethod gives a subscription another payment method.
func (x *tx) replaceMethod(sub *record, name string) error {
	if _, ok := testMethods[name]; !ok {
		return invalid("method_not_offered", "method", "The stand-in knows no payment method %s.", name)
	}
	customer := x.find(kindCustomer, sub.Body.str("customer"))
	method, err := x.newMethod(name, bankTypeFor(sub.Body.str("currency")), customer.Body.str("email"))
	if err != nil {
		return err
	}
	if err := x.attach(method, customer.Body.str("id")); err != nil {
		return err
	}
	return x.change(sub, "customer.subscription.updated", func(b object) { b["default_payment_method"] = method.Body["id"] })
}

// act does an action to an object. A charge's actions are also found under the
// Checkout Session, intent, invoice or subscription that it paid.
func (x *tx) act(id, name string, in actionIn) (*record, error) {
	kind := x.kindOf(id)
	if kind == "" {
		return nil, missing(http.StatusNotFound, "object", id, "id")
	}
	r := x.find(kind, id)
	for _, candidate := range []*record{r, x.chargeOf(r)} {
		for _, a := range actions() {
			if candidate == nil || a.name != name || a.kind != candidate.Body.str("object") {
				continue
			}
			return x.perform(a, candidate, in)
		}
	}
	return nil, &apiError{status: http.StatusNotFound, code: "unknown_action", message: "Nothing called " + name + " can be done to a " + kind + "."}
}

func (x *tx) perform(a action, r *record, in actionIn) (*record, error) {
	if in.Amount < 0 {
		return nil, invalid("out_of_range", "amount", "amount must not be negative.")
	}
	if err := x.setOverride(in.Delivery); err != nil {
		return nil, err
	}
	made, err := a.do(x, r, in)
	if err = stood(err); err != nil {
		return nil, err
	}
	if made == nil {
		made = r
	}
	return x.find(made.Body.str("object"), made.Body.str("id")), nil
}

// chargeOf is the charge that paid an object, or nil.
func (x *tx) chargeOf(r *record) *record {
	switch b := r.Body; b.str("object") {
	case kindSession:
		if intent := x.sessionIntent(r); intent != nil {
			return x.chargeOf(intent)
		}
	case kindIntent:
		return x.find(kindCharge, b.str("latest_charge"))
	case kindInvoice:
		return x.find(kindCharge, b.str("charge"))
	case kindSubscription:
		if inv := x.find(kindInvoice, b.str("latest_invoice")); inv != nil {
			return x.chargeOf(inv)
		}
	}
	return nil
}
