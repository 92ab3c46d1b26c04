package fulfillment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/trust"
	"github.com/metrum-ai/licensing-portal/license"
)

// Restored is everything that one leaf of the signer's log tells.
type Restored struct {
	Order          Order // issued, with the snapshot that its evidence and the trust bundle give
	OwnerID        string
	DeploymentName string   // used where the deployment is not known: the log holds no names
	Session        *Session // that was paid; nil where an invoice was
	Invoice        *Invoice
	StripeCustomer string
	Event          ReceivedEvent
	Issuance       Issuance
}

// RestoreStore refills the database.
type RestoreStore interface {
	// Restore stores what is missing of a leaf, in one transaction, and leaves alone what is there. It enqueues nothing.
	// It tells whether anything was missing.
	Restore(ctx context.Context, r Restored) (bool, error)
	// RestoreRequest does the same for a leaf whose evidence is a staff request.
	RestoreRequest(ctx context.Context, r RestoredRequest) (bool, error)
}

// RestorerConfig is what Restorer needs; every field is required.
type RestorerConfig struct {
	Store   RestoreStore
	Signer  Signer
	Revoker *Revoker
	Catalog Bundles
	Now     func() time.Time
	Random  io.Reader
	Log     *slog.Logger
}

// Restorer refills a lost database from the signer's log: organizations, their owners, deployments, orders, events and the
// exact bytes of every license. Drafts, names of deployments, members and links are lost with the database.
type Restorer struct{ c RestorerConfig }

// NewRestorer returns the service, or says what is missing.
func NewRestorer(c RestorerConfig) (*Restorer, error) {
	if c.Store == nil || c.Signer == nil || c.Revoker == nil || c.Catalog == nil || c.Now == nil || c.Random == nil || c.Log == nil {
		return nil, errors.New("fulfillment: the restorer needs a store, signer, revoker, catalog, clock, randomness and log")
	}
	return &Restorer{c}, nil
}

// RestoreReport is what a restore did.
type RestoreReport struct{ Read, Restored, Present int }

// Run restores what is revoked, so that nobody is told of it anew, then reads the whole log and restores what is missing. It
// stops at the first leaf that does not verify. It is safe to repeat.
func (s *Restorer) Run(ctx context.Context) (RestoreReport, error) {
	var report RestoreReport
	bundle, err := s.c.Catalog.Bundle(ctx)
	if err != nil {
		return report, err
	}
	ring, err := bundle.KeyRing()
	if err != nil {
		return report, fmt.Errorf("restore: key ring: %w", err)
	}
	if err := s.c.Revoker.Restore(ctx); err != nil {
		return report, fmt.Errorf("restore: %w", err)
	}
	err = readLog(ctx, s.c.Signer, func(page []signer.Entry) error {
		for _, e := range page {
			if e.Kind != kindIssuance || e.Event == nil && e.Approval == "" {
				continue
			}
			report.Read++
			fresh, err := s.restore(ctx, bundle, ring, e)
			if err != nil {
				return fmt.Errorf("log entry %d: %w", e.Index, err)
			}
			if fresh {
				report.Restored++
			} else {
				report.Present++
			}
		}
		return nil
	})
	if err != nil {
		return report, fmt.Errorf("restore: %w", err)
	}
	return report, nil
}

// restore verifies a leaf by its evidence and stores it.
func (s *Restorer) restore(ctx context.Context, b *trust.Bundle, ring *license.KeyRing, e signer.Entry) (fresh bool, err error) {
	if e.Approval != "" {
		leaf, err := s.readRequest(b, ring, e)
		if err != nil {
			return false, err
		}
		return s.c.Store.RestoreRequest(ctx, leaf)
	}
	leaf, err := s.read(b, ring, e)
	if err != nil {
		return false, err
	}
	return s.c.Store.Restore(ctx, leaf)
}

// read verifies a leaf and reads it: its envelope must verify and must be what its evidence renders to.
func (s *Restorer) read(bundle *trust.Bundle, ring *license.KeyRing, e signer.Entry) (Restored, error) {
	object := readObject(e.Event.Body)
	event, err := readEvent(e, object)
	if err != nil {
		return Restored{}, err
	}
	proof, err := readProof(event)
	if err != nil {
		return Restored{}, err
	}
	intent, err := catalog.ParseIntent(proof.metadata)
	if err != nil {
		return Restored{}, err
	}
	template, ok := bundle.Template(intent.Template)
	if !ok {
		return Restored{}, fmt.Errorf("template %s is not in the trust bundle", intent.Template)
	}
	orderID, err := proof.orderID(intent.OrderID)
	if err != nil {
		return Restored{}, err
	}
	snapshot := Snapshot{Channel: proof.channel, Template: template, Intent: intent, Currency: template.Price.Currency, Total: template.Price.UnitAmount * int64(intent.Quantity)}
	payload, base, err := s.verified(ring, e)
	if err != nil {
		return Restored{}, err
	}
	want, err := renderWith(bundle, snapshot, base, proof.cause(intent.OrderID, event.Created), payload.KeyID)
	if err != nil {
		return Restored{}, err
	}
	if payload.LicenseID != e.LicenseID || e.FulfillmentKey != proof.cause(intent.OrderID, event.Created).key || !samePayload(payload, want) {
		return Restored{}, errors.New("the license is not what its evidence renders to")
	}
	owner, err := NewID("usr_", s.c.Now(), s.c.Random)
	if err != nil {
		return Restored{}, err
	}
	if proof.session != nil {
		proof.session.LookupKey, proof.session.Quantity = template.LookupKey(), int64(intent.Quantity)
	}
	if proof.email == "" {
		return Restored{}, errors.New("the evidence names no buyer")
	}
	at := logTime(e)
	o := Order{
		ID: orderID, OrganizationID: intent.CustomerID, DeploymentID: intent.DeploymentID, DeploymentName: intent.DeploymentID,
		BuyerEmail: proof.email, State: StateIssued, Snapshot: snapshot, LicenseID: payload.LicenseID, Attempt: 1,
		CreatedAt: proof.created, SubmittedAt: proof.created, PaidAt: event.Created,
		IssuedAt: at, UpdatedAt: at,
	}
	return Restored{
		Order: o, OwnerID: owner, DeploymentName: intent.DeploymentID, Event: event,
		Session: proof.session, Invoice: proof.invoice, StripeCustomer: proof.customer,
		Issuance: Issuance{License: newLicense(o, payload, []byte(e.Envelope)), Key: e.FulfillmentKey, EventID: event.ID, At: at},
	}, nil
}

// logTime is when a leaf was logged, to the second, with the leaf's place in the log as microseconds: licenses logged in one
// second keep their order, which says which of them is the newest of a deployment.
func logTime(e signer.Entry) time.Time {
	return e.LoggedAt.UTC().Truncate(time.Second).Add(time.Duration(e.Index%1e6) * time.Microsecond)
}

func (s *Restorer) verified(ring *license.KeyRing, e signer.Entry) (license.Payload, *license.Payload, error) {
	l, err := license.Read([]byte(e.Envelope), ring, s.c.Now())
	if err != nil {
		return license.Payload{}, nil, err
	}
	if e.BaseEnvelope == "" {
		return l.Payload(), nil, nil
	}
	read, err := license.Read([]byte(e.BaseEnvelope), ring, s.c.Now())
	if err != nil {
		return license.Payload{}, nil, fmt.Errorf("base: %w", err)
	}
	base := read.Payload()
	return l.Payload(), &base, nil
}

// readEvent reads what the inbox keeps of an event that the signer accepted.
func readEvent(e signer.Entry, object eventObject) (ReceivedEvent, error) {
	var head struct {
		ID         string `json:"id"`
		Type       string `json:"type"`
		APIVersion string `json:"api_version"`
		Created    int64  `json:"created"`
		Livemode   bool   `json:"livemode"`
	}
	if err := json.Unmarshal(e.Event.Body, &head); err != nil {
		return ReceivedEvent{}, fmt.Errorf("evidence: %w", err)
	}
	if head.ID == "" || object.ID == "" || head.Created <= 0 {
		return ReceivedEvent{}, errors.New("evidence without event ID, session ID or time")
	}
	return ReceivedEvent{
		Mode: modeName(head.Livemode), ID: head.ID, Type: head.Type, APIVersion: head.APIVersion, ObjectID: object.ID,
		PaymentStatus: object.PaymentStatus, Reference: object.ClientReferenceID, Created: time.Unix(head.Created, 0).UTC(),
		ReceivedAt: e.LoggedAt, Body: e.Event.Body, SignatureHeader: e.Event.SignatureHeader, Outcome: "restored",
	}, nil
}

// restoredSession is the session as the evidence has it; the portal asks Stripe again where it matters.
func restoredSession(o eventObject, e ReceivedEvent) Session {
	return Session{
		ID: o.ID, Livemode: e.Mode == "live", Mode: "payment", Status: "complete", PaymentStatus: o.PaymentStatus,
		Currency: strings.ToUpper(o.Currency), AmountSubtotal: o.AmountSubtotal, AmountTotal: o.AmountTotal,
		ClientReferenceID: o.ClientReferenceID,
		Metadata:          o.Metadata, PaymentIntentID: o.PaymentIntent, StripeCustomer: o.Customer,
		CreatedAt: time.Unix(o.Created, 0).UTC(), ExpiresAt: time.Unix(o.ExpiresAt, 0).UTC(),
	}
}
