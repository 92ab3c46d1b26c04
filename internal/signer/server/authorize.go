package server

import (
	"errors"
	"strings"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/signer/evidence"
)

// grant is what evidence authorizes.
type grant struct {
	intent         catalog.Intent
	template       catalog.Template
	fulfillmentKey string
	issuedAt       time.Time // the event's created
	purchasedAt    time.Time // the session's created
}

// Check tells whether Stripe signed an event, and freshly. It authorizes nothing.
func (i *Issuer) Check(e signer.Event) (signer.Checked, error) {
	now := i.config.Clock.Now()
	if err := i.clockError(now); err != nil {
		return signer.Checked{}, err
	}
	event, signedAt, err := i.read(e)
	if err != nil {
		return signer.Checked{}, err
	}
	if evidence.Fresh(signedAt, now) != nil {
		return signer.Checked{}, refuse(signer.CodeTimestampOutside, "the event was signed too far from now")
	}
	mode := "test"
	if event.Livemode {
		mode = "live"
	}
	return signer.Checked{
		Valid: true, EventID: event.ID, Type: event.Type, Created: event.Created, Mode: mode, APIVersion: event.APIVersion,
		Account: event.Account, ObjectID: event.Session.ID,
	}, nil
}

// read verifies the signature over the raw bytes first, and only then looks inside.
func (i *Issuer) read(e signer.Event) (*evidence.Event, time.Time, error) {
	if len(e.Body) > evidence.MaxBytes {
		return nil, time.Time{}, refuse(signer.CodeTooLarge, "the event is larger than 512 KiB")
	}
	signedAt, err := i.config.Verifier.Verify(e.Body, e.SignatureHeader)
	if err != nil {
		return nil, time.Time{}, refuse(signer.CodeSignatureInvalid, "the event is not signed with a webhook secret in use")
	}
	event, err := evidence.Parse(e.Body)
	if err != nil {
		return nil, time.Time{}, refuse(signer.CodeEventMalformed, "the event is not strict JSON, or lacks what every event has")
	}
	return event, signedAt, nil
}

// authorize decides what a Checkout event proves. Nothing in it depends on the clock but the bound on the future: the same
// evidence is good for the same license next year.
func (i *Issuer) authorize(e signer.Event) (grant, error) {
	event, signedAt, err := i.read(e)
	if err != nil {
		return grant{}, err
	}
	ahead := i.config.Clock.Now().Add(evidence.MaxAhead)
	if signedAt.After(ahead) || event.Created.After(ahead) {
		return grant{}, refuse(signer.CodeTimestampOutside, "the event is from the future")
	}
	if err := i.checkOrigin(event); err != nil {
		return grant{}, err
	}
	if err := checkSession(event); err != nil {
		return grant{}, err
	}
	s := event.Session
	intent, err := catalog.ParseIntent(s.Metadata)
	if err != nil {
		return grant{}, refuse(signer.CodeIntentMalformed, "the metadata is not an issuance intent")
	}
	template, ok := i.config.Bundle.Template(intent.Template)
	switch {
	case !ok:
		return grant{}, refuse(signer.CodeTemplateUnknown, "the template is not in the trust bundle")
	case !template.SelfService() || template.Price.ByContract:
		return grant{}, refuse(signer.CodeChannel, "the template is not sold by a one-time checkout")
	case !template.Open(s.Created):
		return grant{}, refuse(signer.CodeTemplateClosed, "the template's version was closed before the session was made")
	}
	if err := checkPayment(event, intent, template); err != nil {
		return grant{}, err
	}
	if err := intent.Validate(template); err != nil {
		return grant{}, catalogRefusal(err)
	}
	return grant{
		intent: intent, template: template, fulfillmentKey: intent.OrderID, issuedAt: event.Created, purchasedAt: s.Created,
	}, nil
}

// checkOrigin pins API version, account and mode.
func (i *Issuer) checkOrigin(e *evidence.Event) error {
	pinned := i.config.Bundle.Stripe
	switch {
	case e.APIVersion != evidence.APIVersion:
		return refuse(signer.CodeAPIVersion, "the event is not of API version "+evidence.APIVersion)
	case e.Account != "" && e.Account != pinned.Account:
		return refuse(signer.CodeAccount, "the event is of another Stripe account")
	case e.Livemode != pinned.Livemode:
		return refuse(signer.CodeMode, "the event is of the other mode, live or test")
	}
	return nil
}

// The types of event that prove a payment by Checkout.
const (
	typeCompleted = "checkout.session.completed"
	typeAsyncPaid = "checkout.session.async_payment_succeeded"
)

// checkSession checks that the event carries a completed one-time Checkout session.
func checkSession(e *evidence.Event) error {
	s := e.Session
	switch {
	case e.Type != typeCompleted && e.Type != typeAsyncPaid:
		return refuse(signer.CodeEventType, "this type of event proves no payment")
	case s.Object != "checkout.session" || s.ID == "":
		return refuse(signer.CodeEventMalformed, "the event carries no Checkout session")
	case s.Mode != "payment":
		return refuse(signer.CodeEventType, "the session is not for a one-time payment")
	case !e.Has("data.object.livemode") || s.Livemode != e.Livemode:
		return refuse(signer.CodeMode, "event and session are of different modes, live and test")
	case !e.Has("data.object.created"):
		return refuse(signer.CodeEventMalformed, "the session does not say when it was made")
	case s.Status != "complete":
		return refuse(signer.CodeUnpaid, "the session is not complete")
	}
	return nil
}

// checkPayment compares what was paid with the pinned price: the amount after discount, and the amount charged, both at
// least the price.
func checkPayment(e *evidence.Event, intent catalog.Intent, t catalog.Template) error {
	s := e.Session
	free := e.Type == typeCompleted && s.PaymentStatus == "no_payment_required" && t.Free()
	if s.PaymentStatus != "paid" && !free {
		return refuse(signer.CodeUnpaid, "the session is not paid")
	}
	if s.Currency != strings.ToLower(t.Price.Currency) {
		return refuse(signer.CodeCurrency, "the currency is not the template's")
	}
	if !e.Has("data.object.amount_subtotal") || !e.Has("data.object.amount_total") {
		return refuse(signer.CodeAmount, "the session has no amounts")
	}
	price := t.Price.UnitAmount * int64(intent.Quantity) // at most 2^40 times six digits
	if s.AmountSubtotal < 0 || s.AmountDiscount < 0 || s.AmountSubtotal-s.AmountDiscount < price || s.AmountTotal < price {
		return refuse(signer.CodeAmount, "less was paid than the template's price")
	}
	return nil
}

// catalogRefusal gives an error of the catalog its code. The catalog's reasons hold nothing of the request.
func catalogRefusal(err error) error {
	for target, code := range map[error]signer.Code{
		catalog.ErrMalformed: signer.CodeIntentMalformed, catalog.ErrQuantity: signer.CodeQuantity,
		catalog.ErrRefused: signer.CodeIntentRefused, catalog.ErrBaseMismatch: signer.CodeBaseMismatch,
		catalog.ErrBaseExpired: signer.CodeBaseExpired,
	} {
		if errors.Is(err, target) {
			return refuse(code, err.Error())
		}
	}
	return refuse(signer.CodeInternal, "the license could not be made")
}
