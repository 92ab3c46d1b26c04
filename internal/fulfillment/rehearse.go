package fulfillment

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/trust"
	"github.com/metrum-ai/licensing-portal/license"
)

// Rehearsal is what the signer would make of a request, rendered with the same functions.
type Rehearsal struct {
	Needed   int             // people other than the proposer who must approve
	Before   license.Payload // the license that is replaced, or what the template alone would give; zero where there is none
	After    license.Payload // what would be issued; zero for a rotation or a revocation
	Order    Order           // of an issue
	Licenses []License       // what is replaced, or what the revocation bundle shall speak of, in the request's order
	Live     int             // of a rotation: licenses now live under the old key that nothing replaced
	NewKeyID string          // of a rotation
}

// renderRequested renders what the signer signs for an issue, a replacement, or one license of a rotation, with the measure
// of how far it goes. at and keyID are what the license itself says.
func renderRequested(b *trust.Bundle, r approval.Request, base *License, at time.Time, keyID string) (license.Payload, catalog.Reach, error) {
	switch r.Action {
	case approval.ActionIssue:
		source, err := orderSource(b, r.Issue.Intent, base, at, keyID)
		if err != nil {
			return license.Payload{}, 0, err
		}
		return catalog.RenderContract(source, r.Issue.Contract, b.Bounds)
	case approval.ActionReplace:
		replacement, err := r.Replacement(b, base.Payload, keyID)
		if err != nil {
			return license.Payload{}, 0, err
		}
		return catalog.Replace(replacement, b.Bounds)
	default:
		rotation, err := r.Rotation(base.Payload, keyID)
		if err != nil {
			return license.Payload{}, 0, err
		}
		payload, err := catalog.Rotate(rotation)
		return payload, catalog.ReachBounds, err
	}
}

func orderSource(b *trust.Bundle, i catalog.Intent, base *License, at time.Time, keyID string) (catalog.Source, error) {
	template, ok := b.Template(i.Template)
	if !ok {
		return catalog.Source{}, fmt.Errorf("%w: the template is not in the trust bundle", catalog.ErrRefused)
	}
	source := catalog.Source{Intent: i, Template: template, FulfillmentKey: i.OrderID, IssuedAt: at, KeyID: keyID}
	if base != nil {
		source.Base = &base.Payload
		if t, ok := b.Newest(base.Payload.SKU); ok {
			source.BaseTemplate = &t
		}
	}
	return source, nil
}

// rehearse checks a request as the signer will, with words for whoever proposes or approves it. Errors: *RefusedError, and
// what keeps the bundle or the database away.
func (s *Requests) rehearse(ctx context.Context, b *trust.Bundle, r approval.Request) (Rehearsal, error) {
	var h Rehearsal
	var err error
	switch r.Action {
	case approval.ActionIssue:
		h, err = s.rehearseIssue(ctx, b, r)
	case approval.ActionReplace:
		h, err = s.rehearseReplace(ctx, b, r)
	case approval.ActionRotate:
		h, err = s.rehearseRotate(ctx, b, r)
	default:
		h, err = s.rehearseRevoke(ctx, r)
	}
	if err != nil {
		return h, refusedWords(err)
	}
	return h, enough(b, r, h.Needed)
}

// refusedWords makes words for staff of a refusal of the catalog's; other errors stay what they are.
func refusedWords(err error) error {
	switch {
	case errors.Is(err, catalog.ErrBeyond):
		return &RefusedError{"Nobody may approve that: it goes " + afterSentinel(err) + " beyond the trust bundle's bounds."}
	case errors.Is(err, catalog.ErrRefused), errors.Is(err, catalog.ErrMalformed), errors.Is(err, catalog.ErrQuantity),
		errors.Is(err, catalog.ErrBaseMismatch), errors.Is(err, catalog.ErrBaseExpired), errors.Is(err, approval.ErrMalformed):
		return &RefusedError{"The signer would refuse it: " + afterSentinel(err) + "."}
	}
	return err
}

// afterSentinel is what an error says after the sentinels that it wraps.
func afterSentinel(err error) string {
	text := err.Error()
	if cut := strings.LastIndex(text, ": "); cut >= 0 {
		return text[cut+2:]
	}
	return text
}

// enough refuses a request that the bundle's people cannot approve.
func enough(b *trust.Bundle, r approval.Request, needed int) error {
	if !slices.ContainsFunc(b.Approvers, func(a trust.Approver) bool { return a.Name == r.Proposer }) {
		return &RefusedError{fmt.Sprintf("%s is not in the trust bundle, so the signer takes no proposal by that name.", r.Proposer)}
	}
	others := map[string]bool{}
	for _, a := range b.Approvers {
		if a.Name != r.Proposer && approval.MayApprove(a.Role, r.Action) {
			others[a.Name] = true
		}
	}
	if len(others) < needed {
		return &RefusedError{fmt.Sprintf("It needs %d %s other than %s, and the trust bundle names %d who may approve it.",
			needed, plural(needed, "approver", "approvers"), r.Proposer, len(others))}
	}
	return nil
}

func (s *Requests) rehearseIssue(ctx context.Context, b *trust.Bundle, r approval.Request) (Rehearsal, error) {
	record, err := s.order(ctx, r.Issue.Intent.OrderID)
	if err != nil {
		return Rehearsal{}, err
	}
	h := Rehearsal{Order: record.Order}
	t := record.Snapshot.Template
	switch {
	case record.State != StateInReview && record.State != StateAwaitingPayment:
		return h, &RefusedError{fmt.Sprintf("The order is %s; only one that waits for its payment or is in review is issued by request.", stateWords(record.State))}
	case t.Free() || t.Subscription():
		return h, &RefusedError{"A free package or a subscription is not issued against an invoice."}
	}
	if current, ok := b.Template(t.Ref()); ok && !current.Open(r.CreatedAt) {
		return h, &RefusedError{"This version of the package is closed."}
	}
	var base *License
	if id := r.Issue.Intent.BaseID; id != "" {
		if base, err = s.stands(ctx, id); err != nil {
			return h, err
		}
		h.Licenses, h.Before = []License{*base}, base.Payload
	}
	key, err := s.signingKey(b, r)
	if err != nil {
		return h, err
	}
	payload, reach, err := renderRequested(b, r, base, r.CreatedAt, key.ID)
	if err != nil {
		return h, err
	}
	if base == nil && !r.Issue.Contract.Empty() {
		bare := r
		bare.Issue = &approval.Issue{Intent: r.Issue.Intent}
		if plain, _, err := renderRequested(b, bare, nil, r.CreatedAt, key.ID); err == nil {
			h.Before = plain
		}
	}
	h.After, h.Needed = payload, int(reach)
	return h, nil
}

func (s *Requests) order(ctx context.Context, id string) (Record, error) {
	r, err := s.c.Subjects.OrderRecord(ctx, id)
	return r, missing(err, "order", id)
}

func (s *Requests) license(ctx context.Context, id string) (License, error) {
	l, err := s.c.Subjects.AnyLicense(ctx, id)
	return l, missing(err, "license", id)
}

func missing(err error, what, id string) error {
	if errors.Is(err, ErrNotFound) {
		return &RefusedError{"There is no " + what + " " + id + " here."}
	}
	return err
}

func stateWords(s State) string { return strings.ReplaceAll(string(s), "_", " ") }

func (s *Requests) rehearseReplace(ctx context.Context, b *trust.Bundle, r approval.Request) (Rehearsal, error) {
	base, err := s.stands(ctx, r.Replace.BaseID)
	if err != nil {
		return Rehearsal{}, err
	}
	h := Rehearsal{Before: base.Payload, Licenses: []License{*base}}
	if base.SHA256 != r.Replace.BaseSHA256 {
		return h, &RefusedError{"The license's file is not the one that the request names."}
	}
	key, err := s.signingKey(b, r)
	if err != nil {
		return h, err
	}
	payload, reach, err := renderRequested(b, r, base, r.CreatedAt, key.ID)
	h.After, h.Needed = payload, int(reach)
	return h, err
}

// stands finds a base that is neither revoked nor suspended: what is built on it would be neither.
func (s *Requests) stands(ctx context.Context, licenseID string) (*License, error) {
	l, err := s.license(ctx, licenseID)
	if err != nil {
		return nil, err
	}
	if w := l.Withdrawn; w != nil && w.Status != license.StatusSuperseded {
		return nil, &RefusedError{fmt.Sprintf("%s is %s, so nothing may be issued in its place.", licenseID, w.Status)}
	}
	return &l, nil
}

func (s *Requests) signingKey(b *trust.Bundle, r approval.Request) (trust.Key, error) {
	key, ok := b.SigningKey(trust.RoleLicense, r.CreatedAt, s.c.Now())
	if !ok {
		return key, &RefusedError{"No license key of the trust bundle signs now."}
	}
	return key, nil
}

func (s *Requests) rehearseRotate(ctx context.Context, b *trust.Bundle, r approval.Request) (Rehearsal, error) {
	h := Rehearsal{Needed: int(catalog.ReachBounds)}
	old := r.Rotate.KeyID
	if !slices.ContainsFunc(b.Keys, func(k trust.Key) bool { return k.ID == old && k.Role == trust.RoleLicense }) {
		return h, &RefusedError{"The trust bundle has no license key " + old + "."}
	}
	key, err := s.signingKey(b, r)
	if err != nil {
		return h, err
	}
	if h.NewKeyID = key.ID; key.ID == old {
		return h, &RefusedError{old + " still signs. Let another key sign first, by a trust bundle."}
	}
	if h.Live, err = s.c.Subjects.LiveUnder(ctx, old, s.c.Now()); err != nil {
		return h, err
	}
	return h, nil
}

func (s *Requests) rehearseRevoke(ctx context.Context, r approval.Request) (Rehearsal, error) {
	h := Rehearsal{Needed: int(catalog.ReachTemplate)}
	for _, entry := range r.Revoke {
		l, err := s.license(ctx, entry.LicenseID)
		if err != nil {
			return h, err
		}
		switch {
		case l.Withdrawn != nil && l.Withdrawn.Status == license.StatusRevoked:
			return h, &RefusedError{entry.LicenseID + " is revoked, and that is for good."}
		case l.Withdrawn == nil && entry.Status == approval.StatusReinstated:
			return h, &RefusedError{entry.LicenseID + " is in no revocation bundle, so there is nothing to take out."}
		}
		if entry.SupersededBy != "" {
			if _, err := s.license(ctx, entry.SupersededBy); err != nil {
				return h, err
			}
		}
		h.Licenses = append(h.Licenses, l)
	}
	return h, nil
}

func sha256Hex(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
