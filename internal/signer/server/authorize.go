package server

import (
	"errors"
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
	issuedAt       time.Time // the event's created, or the approved request's own time
	purchasedAt    time.Time // when the session or invoice was made
	periodEnd      time.Time // of a subscription's cycle
	payment        string    // the payment intent, where there is one
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

// authorize decides what an event proves. Nothing in it depends on the clock but the bound on the future: the same
// evidence is good for the same license next year.
func (i *Issuer) authorize(e signer.Event) (grant, error) {
	event, err := i.proven(e)
	if err != nil {
		return grant{}, err
	}
	switch event.Type {
	case typeCompleted, typeAsyncPaid:
		return i.authorizeCheckout(event)
	case typeInvoicePaid:
		return i.authorizeInvoice(event)
	}
	return grant{}, refuse(signer.CodeEventType, "this type of event proves no payment")
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

// granted checks last whether the template lets an intent be.
func granted(g grant) (grant, error) {
	if err := g.intent.Validate(g.template); err != nil {
		return grant{}, catalogRefusal(err)
	}
	return g, nil
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
