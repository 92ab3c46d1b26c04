package server

import (
	"strings"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/signer/evidence"
)

// The types of event that prove a payment by Checkout.
const (
	typeCompleted = "checkout.session.completed"
	typeAsyncPaid = "checkout.session.async_payment_succeeded"
)

// boughtByCheckout decides what a completed Checkout session proves.
func (i *Issuer) boughtByCheckout(e *evidence.Event) (purchase, error) {
	if err := checkSession(e); err != nil {
		return purchase{}, err
	}
	intent, template, err := i.intent(e.Data.Metadata)
	switch {
	case err != nil:
		return purchase{}, err
	case !template.SelfService() || template.Subscription() || template.Price.ByContract:
		return purchase{}, refuse(signer.CodeChannel, "the template is not sold by a one-time checkout")
	case !template.Open(e.Data.Created):
		return purchase{}, refuse(signer.CodeTemplateClosed, "the template's version was closed before the session was made")
	}
	return purchase{intent: intent, template: template, fulfillmentKey: intent.OrderID}, checkPayment(e, intent, template)
}

// checkSession checks that the event carries a completed one-time Checkout session.
func checkSession(e *evidence.Event) error {
	s := e.Data
	switch {
	case s.Object != "checkout.session" || s.ID == "":
		return refuse(signer.CodeEventMalformed, "the event carries no Checkout session")
	case s.Checkout.Mode != "payment":
		return refuse(signer.CodeEventType, "the session is not for a one-time payment")
	case !e.HasAll("livemode") || s.Livemode != e.Livemode:
		return refuse(signer.CodeMode, "event and session are of different modes, live and test")
	case !e.HasAll("created"):
		return refuse(signer.CodeEventMalformed, "the session does not say when it was made")
	case s.Status != "complete":
		return refuse(signer.CodeUnpaid, "the session is not complete")
	}
	return nil
}

// checkPayment compares what was paid with the pinned price: the amount after discount, and the amount charged, both at
// least the price.
func checkPayment(e *evidence.Event, intent catalog.Intent, t catalog.Template) error {
	s := e.Data.Checkout
	free := e.Type == typeCompleted && s.PaymentStatus == "no_payment_required" && t.Free()
	if s.PaymentStatus != "paid" && !free {
		return refuse(signer.CodeUnpaid, "the session is not paid")
	}
	if e.Data.Currency != strings.ToLower(t.Price.Currency) {
		return refuse(signer.CodeCurrency, "the currency is not the template's")
	}
	if !e.HasAll("amount_subtotal", "amount_total") {
		return refuse(signer.CodeAmount, "the session has no amounts")
	}
	price := t.Price.UnitAmount * int64(intent.Quantity) // at most 2^40 times six digits
	if s.AmountSubtotal < 0 || s.AmountDiscount < 0 || s.AmountSubtotal-s.AmountDiscount < price || s.AmountTotal < price {
		return refuse(signer.CodeAmount, "less was paid than the template's price")
	}
	return nil
}
