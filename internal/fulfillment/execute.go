package fulfillment

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/trust"
	"github.com/metrum-ai/licensing-portal/license"
)

// RequestSigner is what carrying out requests needs of the signer. A refusal is a *signer.Error.
type RequestSigner interface {
	Issue(ctx context.Context, r signer.IssueRequest) ([]byte, error)
	Revoke(ctx context.Context, r signer.RevokeRequest) (signer.Revoked, error)
}

// BundleKeeper verifies and stores the signer's revocation bundles; Revoker is one.
type BundleKeeper interface {
	Keep(ctx context.Context, answer signer.Revoked) error
}

// ExecutionStore writes down what came of approved requests. Each method is one transaction, and changes nothing when what it
// says is written down already.
type ExecutionStore interface {
	Request(ctx context.Context, id string) (StaffRequest, error)
	// StoreApproved stores the license of an order that a request asked for, sets the order issued, enqueues its mail and ends
	// the request.
	StoreApproved(ctx context.Context, i Issuance) error
	// StoreReplacement stores the license that replaces another, enqueues the mails to the organization's members and, unless
	// more is to come, ends the request.
	StoreReplacement(ctx context.Context, i Issuance, more bool) error
	// EndRequest ends a request that is approved and has not ended.
	EndRequest(ctx context.Context, id string, o RequestOutcome) error
}

// RequestOutcome is how a request ends.
type RequestOutcome struct {
	Refusal *Reason // nil: done
	Epoch   int64   // of the revocation bundle; 0 if none
	At      time.Time
}

// ReplacementMailStore keeps what was mailed of replacements.
type ReplacementMailStore interface {
	// ReplacementMail finds what to say to a member; sent tells that it went out already, or is not true any more.
	ReplacementMail(ctx context.Context, licenseID, userID string) (m ReplacementMail, sent bool, err error)
	MarkReplacementMailed(ctx context.Context, licenseID, userID string, at time.Time) error
}

// ExecutorConfig is what Executor needs; every field is required.
type ExecutorConfig struct {
	Store    ExecutionStore
	Rotation RotationStore
	Subjects SubjectStore
	Mails    ReplacementMailStore
	Signer   RequestSigner
	Bundles  BundleKeeper
	Catalog  Bundles
	Mailer   ReplacementMailer
	Now      func() time.Time
	Log      *slog.Logger
}

// Executor carries out approved requests. The signer verifies every assertion again and decides; what it answers is checked
// against what people approved before it is stored. Each step is a job and safe to repeat.
type Executor struct{ c ExecutorConfig }

// NewExecutor returns the service, or says what is missing.
func NewExecutor(c ExecutorConfig) (*Executor, error) {
	if c.Store == nil || c.Rotation == nil || c.Subjects == nil || c.Mails == nil || c.Signer == nil || c.Bundles == nil ||
		c.Catalog == nil || c.Mailer == nil || c.Now == nil || c.Log == nil {
		return nil, errors.New("fulfillment: the executor needs its stores, signer, bundle keeper, catalog, mailer, clock and log")
	}
	return &Executor{c}, nil
}

// Execute carries out an approved request. An error is worth another try; a definite refusal ends the request.
func (s *Executor) Execute(ctx context.Context, id string) error {
	r, err := s.c.Store.Request(ctx, id)
	if err != nil {
		return fmt.Errorf("execute: %w", err)
	}
	if r.ApprovedAt.IsZero() || !r.EndedAt.IsZero() {
		return nil
	}
	switch r.Action {
	case approval.ActionIssue:
		err = s.issue(ctx, r)
	case approval.ActionReplace:
		err = s.replace(ctx, r)
	case approval.ActionRotate:
		err = s.c.Rotation.BeginRotation(ctx, id, s.c.Now())
	default:
		err = s.revoke(ctx, r)
	}
	return s.ended(ctx, r, err)
}

// ended ends a request for which there is no other try.
func (s *Executor) ended(ctx context.Context, r StaffRequest, err error) error {
	reason, final := final(err)
	if !final {
		if err != nil {
			return fmt.Errorf("execute %s: %w", r.ID, err)
		}
		return nil
	}
	s.c.Log.ErrorContext(ctx, "staff request refused", "request", r.ID, "action", string(r.Action), "code", reason.Code)
	return s.c.Store.EndRequest(ctx, r.ID, RequestOutcome{Refusal: &reason, At: s.c.Now()})
}

// final tells why a request cannot be carried out, where another try would come to the same.
func final(err error) (Reason, bool) {
	var refusal *signer.Error
	var mismatch *mismatchError
	var refused *RefusedError
	switch {
	case errors.As(err, &refusal) && !passing(refusal.Code):
		return refusalWords(refusal), true
	case errors.As(err, &mismatch):
		return Reason{"license-mismatch", "The license that came back is not what was approved: " + mismatch.what + "."}, true
	case errors.As(err, &refused):
		return Reason{"not-possible", refused.Words}, true
	}
	return Reason{}, false
}

// issue issues an order against its invoice.
func (s *Executor) issue(ctx context.Context, r StaffRequest) error {
	order, err := s.c.Subjects.OrderRecord(ctx, r.Issue.Intent.OrderID)
	if err != nil {
		return err
	}
	if order.State != StateInReview && order.State != StateAwaitingPayment {
		return &RefusedError{"The order is " + stateWords(order.State) + " meanwhile."}
	}
	var base *License
	if id := r.Issue.Intent.BaseID; id != "" {
		l, err := s.c.Subjects.AnyLicense(ctx, id)
		if err != nil {
			return err
		}
		base = &l
	}
	bundle, err := s.c.Catalog.Bundle(ctx)
	if err != nil {
		return err
	}
	payload, envelope, err := s.signed(ctx, bundle, r, base)
	if err != nil {
		return err
	}
	l := newLicense(order.Order, payload, envelope)
	if err := s.c.Store.StoreApproved(ctx, Issuance{License: l, Key: order.ID, RequestID: r.ID, At: s.c.Now()}); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	s.c.Log.InfoContext(ctx, "license stored", "order", order.ID, "license", l.ID, "request", r.ID)
	return nil
}

// replace issues the replacement and then, where the request says so, lets the revocation bundle say that the base is
// superseded: the new file is there before the old one ends.
func (s *Executor) replace(ctx context.Context, r StaffRequest) error {
	supersedes := !r.Replace.SupersedeAt.IsZero()
	if r.LicenseID == "" {
		base, err := s.c.Subjects.AnyLicense(ctx, r.Replace.BaseID)
		if err != nil {
			return err
		}
		l, err := s.replacement(ctx, r, base)
		if err != nil {
			return err
		}
		if err := s.c.Store.StoreReplacement(ctx, Issuance{License: l, Key: r.FulfillmentKey(base.ID), RequestID: r.ID, At: s.c.Now()}, supersedes); err != nil {
			return fmt.Errorf("store: %w", err)
		}
		s.c.Log.InfoContext(ctx, "replacement stored", "license", l.ID, "replaces", base.ID, "request", r.ID)
	}
	if !supersedes {
		return nil
	}
	return s.revoke(ctx, r)
}

// replacement has the signer sign the license that comes in a base's place.
func (s *Executor) replacement(ctx context.Context, r StaffRequest, base License) (License, error) {
	bundle, err := s.c.Catalog.Bundle(ctx)
	if err != nil {
		return License{}, err
	}
	payload, envelope, err := s.signed(ctx, bundle, r, &base)
	if err != nil {
		return License{}, err
	}
	return newReplacement(bundle, r.Request, base, payload, envelope), nil
}

func (s *Executor) revoke(ctx context.Context, r StaffRequest) error {
	answer, err := s.c.Signer.Revoke(ctx, signer.RevokeRequest{Approval: r.signed()})
	if err != nil {
		return err
	}
	if err := s.c.Bundles.Keep(ctx, answer); err != nil {
		return err
	}
	return s.c.Store.EndRequest(ctx, r.ID, RequestOutcome{Epoch: answer.Epoch, At: s.c.Now()})
}

// signed has the signer sign what a request asks for, reads the file as a router would, and compares it with what people
// approved.
func (s *Executor) signed(ctx context.Context, bundle *trust.Bundle, r StaffRequest, base *License) (license.Payload, []byte, error) {
	ask := signer.IssueRequest{Approval: r.signed()}
	if base != nil {
		ask.BaseEnvelope = string(base.Envelope)
	}
	envelope, err := s.c.Signer.Issue(ctx, ask)
	if err != nil {
		return license.Payload{}, nil, err
	}
	payload, err := asRequested(bundle, r.Request, base, envelope, s.c.Now())
	if err != nil {
		s.c.Log.ErrorContext(ctx, "license does not match its request", "request", r.ID)
	}
	return payload, envelope, err
}

// asRequested verifies an envelope and that it is what a request asks for. Errors are *mismatchError, or the key ring's.
func asRequested(b *trust.Bundle, r approval.Request, base *License, envelope []byte, now time.Time) (license.Payload, error) {
	ring, err := b.KeyRing()
	if err != nil {
		return license.Payload{}, err
	}
	read, err := license.Read(envelope, ring, now)
	if err != nil {
		return license.Payload{}, &mismatchError{"it does not verify"}
	}
	got := read.Payload()
	want, _, err := renderRequested(b, r, base, got.IssuedAt, got.KeyID)
	if err != nil {
		return license.Payload{}, &mismatchError{"the request cannot be rendered"}
	}
	if !samePayload(got, want) {
		return license.Payload{}, &mismatchError{"its claims differ"}
	}
	return got, nil
}

// newReplacement is a replacement in its base's place: of the same organization and deployment, under the package that it was
// moved to, if any.
func newReplacement(b *trust.Bundle, r approval.Request, base License, p license.Payload, envelope []byte) License {
	l := License{
		ID: p.LicenseID, OrganizationID: base.OrganizationID, DeploymentID: base.DeploymentID, DeploymentName: base.DeploymentName,
		Kind: catalog.IssueReplacement, BaseLicenseID: base.ID, TemplateName: base.TemplateName, TemplateRef: base.TemplateRef,
		Payload: p, Envelope: envelope, SHA256: sha256Hex(envelope),
	}
	if r.Replace == nil || r.Replace.Template == "" {
		return l
	}
	if t, ok := b.Template(r.Replace.Template); ok { // it was rendered from it
		l.TemplateName, l.TemplateRef = t.Name, t.Ref()
	}
	return l
}

// SendReplacementMail tells a member, once, that another license is ready.
func (s *Executor) SendReplacementMail(ctx context.Context, licenseID, userID string) error {
	m, sent, err := s.c.Mails.ReplacementMail(ctx, licenseID, userID)
	if err != nil || sent {
		return err
	}
	if err := s.c.Mailer.SendReplacement(ctx, m); err != nil {
		return fmt.Errorf("replacement mail: %w", err)
	}
	return s.c.Mails.MarkReplacementMailed(ctx, licenseID, userID, s.c.Now())
}
