package server

import (
	"errors"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/signer/evidence"
	"github.com/metrum-ai/licensing-portal/internal/signer/log"
	"github.com/metrum-ai/licensing-portal/license"
)

// grant is what evidence authorizes.
type grant struct {
	fulfillmentKey string
	intentSHA256   string
	issuance       catalog.IssuanceKind
	baseID         string
	payment        string    // the payment intent, where there is one
	issuedAt       time.Time // the event's created, or the approved request's own time
	terms          string    // the approved request, where it goes beyond the intent
	counters       []log.Counter
	render         func(keyID string) (license.Payload, error) // its errors are refusals
}

// purchase is what a payment event says was bought.
type purchase struct {
	intent         catalog.Intent
	template       catalog.Template
	fulfillmentKey string
	issuedAt       time.Time // the event's created
	purchasedAt    time.Time // when the session or invoice was made
	periodEnd      time.Time // of a subscription's cycle
	payment        string
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
		Account: event.Account, ObjectID: event.Data.ID,
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

// authorize decides what the evidence of a request proves.
func (i *Issuer) authorize(r signer.IssueRequest) (grant, error) {
	switch {
	case r.Approval != nil:
		return i.authorizeApproval(r)
	case r.Event == nil:
		return grant{}, refuse(signer.CodeBadRequest, "no evidence")
	}
	p, err := i.bought(*r.Event)
	if err != nil {
		return grant{}, err
	}
	return grant{
		fulfillmentKey: p.fulfillmentKey, intentSHA256: intentDigest(p.intent), issuance: p.intent.Kind, baseID: p.intent.BaseID,
		payment: p.payment, issuedAt: p.issuedAt, counters: i.counters(p.template, p.intent.CustomerID, p.issuedAt),
		render: func(keyID string) (license.Payload, error) { return i.renderPurchase(p, r.BaseEnvelope, keyID) },
	}, nil
}

// bought decides what an event proves. Nothing in it depends on the clock but the bound on the future: the same evidence is
// good for the same license next year. Whether the template allows the intent is for Render: staff may have approved and
// logged one that it does not.
func (i *Issuer) bought(e signer.Event) (purchase, error) {
	event, err := i.proven(e)
	if err != nil {
		return purchase{}, err
	}
	var p purchase
	switch event.Type {
	case typeCompleted, typeAsyncPaid:
		p, err = i.boughtByCheckout(event)
	case typeInvoicePaid:
		p, err = i.boughtByInvoice(event)
	default:
		err = refuse(signer.CodeEventType, "this type of event proves no payment")
	}
	if err != nil {
		return purchase{}, err
	}
	p.issuedAt, p.purchasedAt, p.payment = event.Created, event.Data.Created, event.Data.PaymentIntent
	return p, nil
}

func (i *Issuer) renderPurchase(p purchase, baseEnvelope, keyID string) (license.Payload, error) {
	source := catalog.Source{
		Intent: p.intent, Template: p.template, FulfillmentKey: p.fulfillmentKey, IssuedAt: p.issuedAt, PeriodEnd: p.periodEnd, KeyID: keyID,
	}
	var err error
	if source.Base, err = i.base(p.intent, baseEnvelope, p.issuedAt); err != nil {
		return license.Payload{}, err
	}
	if source.Base != nil {
		source.BaseTemplate = i.newest(source.Base.SKU)
	}
	if p.intent.Kind == catalog.IssueTopUp {
		var known catalog.Template
		if source.BaseTemplate != nil {
			known = *source.BaseTemplate
		}
		if err := catalog.CanTopUp(*source.Base, known, p.template, p.purchasedAt); err != nil {
			return license.Payload{}, catalogRefusal(err)
		}
	}
	payload, err := catalog.Render(source)
	if err != nil {
		return license.Payload{}, catalogRefusal(err)
	}
	return payload, nil
}

// proven reads an event that Stripe signed at any time up to now, for this account and mode.
func (i *Issuer) proven(e signer.Event) (*evidence.Event, error) {
	event, signedAt, err := i.read(e)
	if err != nil {
		return nil, err
	}
	ahead := i.config.Clock.Now().Add(evidence.MaxAhead)
	if signedAt.After(ahead) || event.Created.After(ahead) {
		return nil, refuse(signer.CodeTimestampOutside, "the event is from the future")
	}
	return event, i.checkOrigin(event)
}

// intent reads what a purchase asks for and finds its template.
func (i *Issuer) intent(metadata map[string]string) (catalog.Intent, catalog.Template, error) {
	intent, err := catalog.ParseIntent(metadata)
	if err != nil {
		return intent, catalog.Template{}, refuse(signer.CodeIntentMalformed, "the metadata is not an issuance intent")
	}
	template, ok := i.config.Bundle.Template(intent.Template)
	if !ok {
		return intent, template, refuse(signer.CodeTemplateUnknown, "the template is not in the trust bundle")
	}
	return intent, template, nil
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
