package fulfillment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/signer"
)

// APIVersion is the version of Stripe's API that events must be rendered in; another decodes into wrong zeros.
const APIVersion = "2023-10-16"

// MaxEventBytes bounds a webhook's body.
const MaxEventBytes = 512 << 10

// checkWait is how long a webhook waits for the signer: twice what the signer gives a request.
const checkWait = 4 * time.Second

// Outcomes of events that are looked at no further.
const (
	outcomeVersion = "parked: api version"
	outcomeMode    = "parked: mode"
	outcomeAccount = "parked: account"
	outcomeUnknown = "parked: unknown object"
	outcomeSetup   = "ignored: setup mode"
)

// InboxConfig is what Inbox needs; every field is required.
type InboxConfig struct {
	Store   EventStore
	Signer  Signer
	Catalog Bundles
	Now     func() time.Time
	Log     *slog.Logger
}

// Inbox takes Stripe's webhooks: it stores what the signer says Stripe signed, and leaves the rest to jobs.
type Inbox struct{ c InboxConfig }

// NewInbox returns the service, or says what is missing.
func NewInbox(c InboxConfig) (*Inbox, error) {
	if c.Store == nil || c.Signer == nil || c.Catalog == nil || c.Now == nil || c.Log == nil {
		return nil, errors.New("fulfillment: the inbox needs a store, signer, catalog, clock and log")
	}
	return &Inbox{c}, nil
}

// Receive stores an event and enqueues what follows from it, in one transaction: the evaluation of its order, or the
// revocation of what its payment bought. Nil means that it is stored, or is none of ours,
// and may be acknowledged. Errors: ErrTooLarge, ErrSignatureInvalid; ErrUnavailable when Stripe should send it again.
func (s *Inbox) Receive(ctx context.Context, body []byte, signatureHeader string) error {
	if len(body) > MaxEventBytes {
		return ErrTooLarge
	}
	checked, err := s.check(ctx, body, signatureHeader)
	if err != nil {
		return err
	}
	if !handled(checked.Type) {
		return nil
	}
	bundle, err := s.c.Catalog.Bundle(ctx)
	if err != nil {
		return err
	}
	event := ReceivedEvent{
		Mode: checked.Mode, ID: checked.EventID, Type: checked.Type, APIVersion: checked.APIVersion, ObjectID: checked.ObjectID,
		Created: checked.Created, ReceivedAt: s.c.Now(), Body: body, SignatureHeader: signatureHeader,
	}
	object := readObject(body)
	event.PaymentStatus, event.Reference = object.PaymentStatus, object.ClientReferenceID
	if event.TakesBack() {
		event.Payment = object.PaymentIntent
	}
	switch {
	case checked.Mode != modeName(bundle.Stripe.Livemode):
		event.Outcome = outcomeMode
	case checked.Account != "" && checked.Account != bundle.Stripe.Account:
		event.Outcome = outcomeAccount
	case checked.APIVersion != APIVersion:
		event.Outcome = outcomeVersion
	}
	fresh, err := s.c.Store.AddEvent(ctx, event)
	if err != nil {
		return fmt.Errorf("%w: store event: %w", ErrUnavailable, err)
	}
	if event.Outcome != "" {
		s.c.Log.ErrorContext(ctx, "event parked", "event", event.ID, "type", event.Type, "outcome", event.Outcome)
	} else if fresh {
		s.c.Log.InfoContext(ctx, "event stored", "event", event.ID, "type", event.Type)
	}
	return nil
}

// check asks the signer, which alone knows the secret.
func (s *Inbox) check(ctx context.Context, body []byte, header string) (signer.Checked, error) {
	ctx, cancel := context.WithTimeout(ctx, checkWait)
	defer cancel()
	checked, err := s.c.Signer.Check(ctx, signer.Event{Body: body, SignatureHeader: header})
	var refusal *signer.Error
	switch {
	case err == nil && checked.Valid:
		return checked, nil
	case err == nil:
		return checked, ErrSignatureInvalid
	case errors.As(err, &refusal) && !passing(refusal.Code):
		return checked, fmt.Errorf("%w: %s", ErrSignatureInvalid, refusal.Code)
	}
	return checked, fmt.Errorf("%w: check event: %w", ErrUnavailable, err)
}

// passing reports whether a refusal says something of the signer's condition rather than of the evidence.
func passing(code signer.Code) bool {
	switch code {
	case signer.CodeUnavailable, signer.CodeOverloaded, signer.CodeLog, signer.CodeClock, signer.CodeInternal:
		return true
	}
	return false
}

// handled reports whether events of this type are looked at. The others are acknowledged and dropped.
func handled(eventType string) bool {
	switch eventType {
	case "checkout.session.completed", "checkout.session.async_payment_succeeded",
		"checkout.session.async_payment_failed", "checkout.session.expired",
		"invoice.paid", "invoice.payment_failed", "invoice.payment_action_required", "invoice.finalized", "invoice.finalization_failed",
		"invoice.voided", "invoice.deleted", "invoice.marked_uncollectible",
		"quote.finalized", "quote.accepted", "quote.canceled",
		"customer.subscription.updated", "customer.subscription.deleted", "customer.subscription.paused", "customer.subscription.resumed":
		return true
	}
	return takesBack(eventType)
}

// takesBack reports whether events of this type are about money taken back, or warn of it, and not about an order.
func takesBack(eventType string) bool { return takenObjects[eventType] != "" }

// eventObject is what the portal reads of an event's checkout session, charge or dispute. It decides nothing by it: the
// signer reads the evidence for itself, and the portal asks Stripe.
type eventObject struct {
	ID                string            `json:"id"`
	Status            string            `json:"status"`
	PaymentStatus     string            `json:"payment_status"`
	ClientReferenceID string            `json:"client_reference_id"`
	Metadata          map[string]string `json:"metadata"`
	Currency          string            `json:"currency"`
	AmountSubtotal    int64             `json:"amount_subtotal"`
	AmountTotal       int64             `json:"amount_total"`
	PaymentIntent     string            `json:"payment_intent"`
	Customer          string            `json:"customer"`
	CustomerEmail     string            `json:"customer_email"`
	CustomerDetails   struct {
		Email string `json:"email"`
	} `json:"customer_details"`
	Created   int64 `json:"created"`
	ExpiresAt int64 `json:"expires_at"`
}

// readObject reads the object inside an event, as far as it can be read.
func readObject(body []byte) eventObject {
	var e struct {
		Data struct {
			Object eventObject `json:"object"`
		} `json:"data"`
	}
	_ = json.Unmarshal(body, &e) // what it cannot read stays empty and proves nothing
	return e.Data.Object
}
