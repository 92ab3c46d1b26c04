package fulfillment

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/license"
)

// Issue gets the license of a paid order from the signer, verifies it as the router would, and stores it. It does nothing
// for an order that is not paid (any more). An error is worth another try; a definite refusal sends the order to review.
func (s *Fulfiller) Issue(ctx context.Context, orderID string) error {
	r, err := s.c.Issuances.OrderRecord(ctx, orderID)
	if err != nil {
		return fmt.Errorf("issue: order: %w", err)
	}
	if r.State != StatePaid {
		return nil
	}
	bundle, err := s.c.Catalog.Bundle(ctx)
	if err != nil {
		return err
	}
	event, err := s.c.Issuances.Evidence(ctx, orderID, matchingPayments(r, bundle.Stripe.Livemode))
	if errors.Is(err, ErrNotFound) {
		return nil // the event that brings the evidence enqueues this again
	}
	if err != nil {
		return fmt.Errorf("issue: evidence: %w", err)
	}
	var base []byte
	if id := r.Snapshot.Intent.BaseID; id != "" {
		if base, err = s.c.Issuances.LicenseBytes(ctx, id); err != nil {
			return fmt.Errorf("issue: base: %w", err)
		}
	}
	envelope, err := s.c.Signer.Issue(ctx, signer.IssueRequest{
		Event:        &signer.Event{Body: event.Body, SignatureHeader: event.SignatureHeader},
		BaseEnvelope: string(base),
	})
	if err != nil {
		return s.refused(ctx, r, err)
	}
	why := causeOf(r, event)
	l, err := s.verify(ctx, r, why, base, envelope)
	var mismatch *mismatchError
	if errors.As(err, &mismatch) {
		s.c.Log.ErrorContext(ctx, "license does not match its order", "order", r.ID)
		return moved(s.c.Issuances.Refuse(ctx, r, Reason{"license-mismatch", mismatch.Error()}, s.c.Now()))
	}
	if err != nil {
		return fmt.Errorf("issue: verify: %w", err)
	}
	if err := s.c.Issuances.StoreIssuance(ctx, r, Issuance{License: l, Key: why.key, EventID: event.ID, At: s.c.Now()}); err != nil {
		return fmt.Errorf("issue: store: %w", err)
	}
	s.c.Log.InfoContext(ctx, "license stored", "order", r.ID, "license", l.ID)
	return nil
}

// causeOf is the fulfillment key that the signer derives from the evidence: the order, or for a subscription the paid line of
// its invoice, which also says until when it is paid.
func causeOf(r Record, evidence ReceivedEvent) cause {
	if r.Snapshot.Channel == BySubscription || r.Snapshot.Channel == ByCycle {
		for _, i := range r.Seen.Invoices {
			if i.ID == evidence.ObjectID {
				return cause{key: i.ID + "/" + i.LineID, periodEnd: i.PeriodEnd}
			}
		}
	}
	return cause{key: r.Snapshot.Intent.OrderID}
}

// refused sends an order to review for what the signer says of its evidence; anything else is tried again.
func (s *Fulfiller) refused(ctx context.Context, r Record, err error) error {
	var refusal *signer.Error
	if !errors.As(err, &refusal) || passing(refusal.Code) {
		return fmt.Errorf("issue: %w", err)
	}
	s.c.Log.ErrorContext(ctx, "signer refused", "order", r.ID, "code", string(refusal.Code))
	return moved(s.c.Issuances.Refuse(ctx, r, refusalWords(refusal), s.c.Now()))
}

// moved drops ErrMoved: whoever moved the order has enqueued what must follow.
func moved(err error) error {
	if errors.Is(err, ErrMoved) {
		return nil
	}
	return err
}

// mismatchError says that the signer's license is not the order's.
type mismatchError struct{ what string }

func (e *mismatchError) Error() string {
	return "The license that came back is not the order's: " + e.what + "."
}

// verify reads the envelope as the router would and compares it with what the order should issue. The time of issue is the
// envelope's own: the signer answers what it logged first, which another event of the same payment may have proved.
func (s *Fulfiller) verify(ctx context.Context, r Record, c cause, base, envelope []byte) (License, error) {
	bundle, err := s.c.Catalog.Bundle(ctx)
	if err != nil {
		return License{}, err
	}
	ring, err := bundle.KeyRing()
	if err != nil {
		return License{}, err
	}
	signed, err := license.Read(envelope, ring, s.c.Now())
	if err != nil {
		return License{}, &mismatchError{"it does not verify"}
	}
	var basePayload *license.Payload
	if base != nil {
		read, err := license.Read(base, ring, s.c.Now())
		if err != nil {
			return License{}, &mismatchError{"its base does not verify"}
		}
		p := read.Payload()
		basePayload = &p
	}
	got := signed.Payload()
	c.at = got.IssuedAt
	want, err := renderWith(bundle, r.Snapshot, basePayload, c, got.KeyID)
	if err != nil {
		return License{}, &mismatchError{"the order cannot be rendered"}
	}
	if !samePayload(got, want) {
		return License{}, &mismatchError{"its claims differ"}
	}
	return newLicense(r.Order, got, envelope), nil
}

func samePayload(a, b license.Payload) bool {
	x, errX := a.Canonical()
	y, errY := b.Canonical()
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

func newLicense(o Order, p license.Payload, envelope []byte) License {
	return License{
		ID: p.LicenseID, OrderID: o.ID, OrganizationID: o.OrganizationID, DeploymentID: o.Snapshot.Intent.DeploymentID,
		DeploymentName: o.DeploymentName, Kind: o.Snapshot.Intent.Kind, BaseLicenseID: o.Snapshot.Intent.BaseID,
		TemplateName: o.Snapshot.Template.Name, TemplateRef: o.Snapshot.Template.Ref(), Payload: p, Envelope: envelope, SHA256: sha256Hex(envelope),
	}
}

// MailStore keeps what was mailed, so that one order sends one mail however often its job runs.
type MailStore interface {
	// ReadyMail finds what to say; sent tells that it went out already, or that the license was revoked meanwhile.
	ReadyMail(ctx context.Context, orderID string) (m ReadyMail, sent bool, err error)
	MarkMailed(ctx context.Context, orderID string, at time.Time) error
	// OwedCycle finds an invoice of a subscription whose mail is due, with the subscription; sent tells that it went out already.
	OwedCycle(ctx context.Context, invoiceID string) (c OwedCycle, sent bool, err error)
	MarkPaymentMailed(ctx context.Context, invoiceID string, at time.Time) error
}

// OwedCycle is an invoice of a subscription that was not paid.
type OwedCycle struct {
	Subscribed
	To      string // the buyer, or the oldest owner where the buyer has left
	Invoice Invoice
	CycleID string // the order of the invoice
}

// SendPaymentMail tells the buyer of a subscription that a payment failed, once for each invoice. One that was paid
// meanwhile needs no mail.
func (s *Fulfiller) SendPaymentMail(ctx context.Context, invoiceID string) error {
	c, sent, err := s.c.Mails.OwedCycle(ctx, invoiceID)
	if err != nil || sent || !c.Invoice.Owing() {
		return err
	}
	until, _ := c.CoveredUntil()
	err = s.c.Mailer.SendPayment(ctx, PaymentMail{
		To: c.To, InvoiceID: invoiceID, OrderID: c.CycleID, Number: c.Invoice.Number, Confirm: c.Invoice.confirm(),
		Amount: c.Invoice.AmountLeft, Currency: c.Invoice.Currency, PackageName: c.Template.Name, DeploymentName: c.DeploymentName,
		NextAttemptAt: c.Invoice.NextAttemptAt, WorksUntil: until,
	})
	if err != nil {
		return fmt.Errorf("payment mail: %w", err)
	}
	return s.c.Mails.MarkPaymentMailed(ctx, invoiceID, s.c.Now())
}

// SendReadyMail tells the buyer that the license is ready, once.
func (s *Fulfiller) SendReadyMail(ctx context.Context, orderID string) error {
	m, sent, err := s.c.Mails.ReadyMail(ctx, orderID)
	if err != nil || sent {
		return err
	}
	if err := s.c.Mailer.SendReady(ctx, m); err != nil {
		return fmt.Errorf("ready mail: %w", err)
	}
	return s.c.Mails.MarkMailed(ctx, orderID, s.c.Now())
}
