package server

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/signer/log"
	"github.com/metrum-ai/licensing-portal/license"
)

// authorizeApproval decides what a request that staff approved authorizes. How far it goes, and so how many must have
// approved, is known only when it is rendered.
func (i *Issuer) authorizeApproval(r signer.IssueRequest) (grant, error) {
	approved, err := i.approved(*r.Approval, r.BaseEnvelope)
	if err != nil {
		return grant{}, err
	}
	request := approved.Request
	g := grant{intentSHA256: hex.EncodeToString(approved.Digest[:]), issuance: catalog.IssueReplacement, issuedAt: request.CreatedAt}
	switch request.Action {
	case approval.ActionIssue:
		return i.approvedIssue(approved, r, g)
	case approval.ActionReplace, approval.ActionRotate:
		return i.approvedReplacement(approved, r, g)
	}
	return grant{}, refuse(signer.CodeApprovalMalformed, "this request issues no license")
}

// approved verifies a request. One that is in the log was verified before it got there, and answers for ever, also after it
// expired.
func (i *Issuer) approved(s approval.Signed, baseEnvelope string) (approval.Approved, error) {
	request, err := approval.Parse(s.Request)
	if err != nil {
		return approval.Approved{}, approvalRefusal(err)
	}
	logged, found, err := i.config.Log.Find(request.FulfillmentKey(licenseID(baseEnvelope)))
	if err != nil {
		return approval.Approved{}, i.logRefusal(err, "")
	}
	if found && requestOf(logged) == s.Request {
		return approval.Approved{Request: request, Digest: approval.Digest(s.Request)}, nil
	}
	approved, err := approval.Verify(i.config.Bundle, s, i.config.Clock.Now())
	if err != nil {
		return approval.Approved{}, approvalRefusal(err)
	}
	return approved, nil
}

// requestOf reads the request that a record's approval is for; empty where it has none.
func requestOf(r log.Record) string {
	var s approval.Signed
	if len(r.Approval) == 0 || json.Unmarshal(r.Approval, &s) != nil {
		return ""
	}
	return s.Request
}

// licenseID reads the ID out of an envelope that is yet to be verified.
func licenseID(envelope string) string {
	var e struct {
		Payload struct {
			LicenseID string `json:"license_id"`
		} `json:"payload"`
	}
	_ = json.Unmarshal([]byte(envelope), &e) // what does not read names nothing
	return e.Payload.LicenseID
}

// approvedIssue authorizes what an order asks for, against the invoice that the request names. An event of that invoice may
// come along; then the license is found by its payment.
func (i *Issuer) approvedIssue(a approval.Approved, r signer.IssueRequest, g grant) (grant, error) {
	request := a.Request.Issue
	intent := request.Intent
	template, ok := i.config.Bundle.Template(intent.Template)
	switch {
	case !ok:
		return grant{}, refuse(signer.CodeTemplateUnknown, "the template is not in the trust bundle")
	case template.Free() || template.Subscription():
		return grant{}, refuse(signer.CodeChannel, "a free template or a subscription is not issued against an invoice")
	case !template.Open(a.Request.CreatedAt):
		return grant{}, refuse(signer.CodeTemplateClosed, "the template's version is closed")
	}
	if r.Event != nil {
		payment, err := i.paymentOf(*r.Event, request.Invoice)
		if err != nil {
			return grant{}, err
		}
		g.payment = payment
	}
	g.fulfillmentKey, g.intentSHA256, g.issuance, g.baseID = intent.OrderID, intentDigest(intent), intent.Kind, intent.BaseID
	if !request.Contract.Empty() {
		g.terms = r.Approval.Request
	}
	g.counters = i.approvedCounters(g.issuedAt)
	g.render = func(keyID string) (license.Payload, error) {
		source := catalog.Source{Intent: intent, Template: template, FulfillmentKey: g.fulfillmentKey, IssuedAt: g.issuedAt, KeyID: keyID}
		var err error
		if source.Base, err = i.base(intent, r.BaseEnvelope, g.issuedAt); err != nil {
			return license.Payload{}, err
		}
		if source.Base != nil {
			source.BaseTemplate = i.newest(source.Base.SKU)
		}
		payload, reach, err := catalog.RenderContract(source, request.Contract, i.config.Bundle.Bounds)
		return payload, reached(a, reach, err)
	}
	return g, nil
}

// paymentOf finds the payment in an event of the invoice that a request names.
func (i *Issuer) paymentOf(e signer.Event, invoice string) (string, error) {
	event, err := i.proven(e)
	switch {
	case err != nil:
		return "", err
	case event.Type != typeInvoicePaid && event.Type != typeInvoiceFinalized:
		return "", refuse(signer.CodeEventType, "the event is not of a paid or finalized invoice")
	case event.Data.Object != "invoice" || event.Data.ID != invoice:
		return "", refuse(signer.CodeIntentRefused, "the event is not of the invoice that the request names")
	case !event.HasAll("livemode") || event.Data.Livemode != event.Livemode:
		return "", refuse(signer.CodeMode, "event and invoice are of different modes, live and test")
	}
	return event.Data.PaymentIntent, nil
}

// approvedReplacement authorizes one license instead of another.
func (i *Issuer) approvedReplacement(a approval.Approved, r signer.IssueRequest, g grant) (grant, error) {
	if r.Event != nil {
		return grant{}, refuse(signer.CodeBadRequest, "a replacement takes no event")
	}
	sha256 := digest([]byte(r.BaseEnvelope))
	if a.Request.Action == approval.ActionReplace {
		sha256 = a.Request.Replace.BaseSHA256
	}
	base, err := i.readBase(r.BaseEnvelope, sha256, g.issuedAt)
	if err != nil {
		return grant{}, err
	}
	g.baseID, g.fulfillmentKey = base.LicenseID, a.Request.FulfillmentKey(base.LicenseID)
	g.counters = i.approvedCounters(g.issuedAt)
	if a.Request.Action == approval.ActionRotate {
		g.counters = []log.Counter{{Name: "rotate/" + g.intentSHA256, Limit: a.Request.Rotate.AtMost}}
	}
	g.render = func(keyID string) (license.Payload, error) {
		if err := i.stands(base.LicenseID); err != nil {
			return license.Payload{}, err
		}
		if a.Request.Action == approval.ActionRotate {
			return rotated(a, base, keyID)
		}
		replacement, err := a.Request.Replacement(i.config.Bundle, base, keyID)
		if err != nil {
			return license.Payload{}, catalogRefusal(err)
		}
		payload, reach, err := catalog.Replace(replacement, i.config.Bundle.Bounds)
		return payload, reached(a, reach, err)
	}
	return g, nil
}

func rotated(a approval.Approved, base license.Payload, keyID string) (license.Payload, error) {
	if keyID == a.Request.Rotate.KeyID {
		return license.Payload{}, refuse(signer.CodeNoSigningKey, "the key to be rotated away still signs")
	}
	rotation, err := a.Request.Rotation(base, keyID)
	if err != nil {
		return license.Payload{}, catalogRefusal(err)
	}
	payload, err := catalog.Rotate(rotation)
	return payload, reached(a, catalog.ReachBounds, err)
}

// approvedCounters names the cap of what staff approve, by UTC day of the request.
func (i *Issuer) approvedCounters(at time.Time) []log.Counter {
	return []log.Counter{{Name: "approved/" + at.UTC().Format(time.DateOnly), Limit: i.config.Bundle.Caps.PerDay}}
}

// reached refuses what goes further than its approvers may take it together.
func reached(a approval.Approved, reach catalog.Reach, err error) error {
	switch {
	case errors.Is(err, catalog.ErrBeyond):
		return refuse(signer.CodeApprovalOutside, "beyond what anyone may approve")
	case err != nil:
		return catalogRefusal(err)
	case len(a.Approvers) < int(reach):
		return refuse(signer.CodeApprovalMissing, "two people other than the proposer must approve this")
	}
	return nil
}

func approvalRefusal(err error) error {
	switch {
	case errors.Is(err, approval.ErrMalformed):
		return refuse(signer.CodeApprovalMalformed, "the request is not in its canonical text")
	case errors.Is(err, approval.ErrMissing):
		return refuse(signer.CodeApprovalMissing, "somebody else than the proposer, who may approve this, must approve it")
	case errors.Is(err, approval.ErrExpired):
		return refuse(signer.CodeApprovalExpired, "the request is not of the last 24 hours; propose it again")
	}
	return refuse(signer.CodeApprovalInvalid, "an assertion does not prove that an approver of the trust bundle stands by the request")
}

// approvalRevokes decides what an approved request changes in the revocation bundle: what it lists, or the license that its
// replacement supersedes.
func (i *Issuer) approvalRevokes(s approval.Signed) (revocationAsked, error) {
	request, err := approval.Parse(s.Request)
	if err != nil {
		return revocationAsked{}, approvalRefusal(err)
	}
	if request.Action == approval.ActionReplace {
		return i.supersedes(request, s.Request)
	}
	if request.Action != approval.ActionRevoke {
		return revocationAsked{}, refuse(signer.CodeApprovalMalformed, "this request revokes nothing")
	}
	if logged, err := i.revokedBefore(request); err != nil || logged {
		return revocationAsked{}, err // asked again, after its approvals expired perhaps: the bundle in force says it
	}
	if _, err := approval.Verify(i.config.Bundle, s, i.config.Clock.Now()); err != nil {
		return revocationAsked{}, approvalRefusal(err)
	}
	var asked revocationAsked
	for _, r := range request.Revoke {
		changes, err := i.approvedChanges(request, r)
		if err != nil {
			return revocationAsked{}, err
		}
		asked.changes = append(asked.changes, changes...)
	}
	return asked, nil
}

// revokedBefore reports whether the log says all that a request asks for, by that request. Then there is nothing to approve.
func (i *Issuer) revokedBefore(request approval.Request) (bool, error) {
	for _, r := range request.Revoke {
		causes, err := i.config.Log.Causes(r.LicenseID)
		if err != nil {
			return false, i.logRefusal(err, "")
		}
		if said, ok := causes[request.ID]; !ok || said.Status != r.Status || !said.EffectiveAt.Equal(r.EffectiveAt) || said.SupersededBy != r.SupersededBy {
			return false, nil
		}
	}
	return true, nil
}

// approvedChanges are those of one license. A reinstatement answers every cause but a revocation, which is for good.
func (i *Issuer) approvedChanges(request approval.Request, r approval.Revocation) ([]signer.RevocationChange, error) {
	change := signer.RevocationChange{
		LicenseID: r.LicenseID, Status: r.Status, Reason: string(request.Reason), EffectiveAt: r.EffectiveAt, SupersededBy: r.SupersededBy,
		Cause: request.ID, CausedAt: request.CreatedAt,
	}
	if change.EffectiveAt.IsZero() {
		change.EffectiveAt = request.CreatedAt
	}
	if r.Status != signer.StatusReinstated {
		return []signer.RevocationChange{change}, nil
	}
	causes, err := i.config.Log.Causes(r.LicenseID)
	if err != nil {
		return nil, i.logRefusal(err, "")
	}
	if revoked(causes) {
		return nil, refuse(signer.CodeRevoked, "a revoked license is not reinstated; issue another")
	}
	var changes []signer.RevocationChange
	for cause := range causes {
		change.Cause = cause
		changes = append(changes, change)
	}
	return changes, nil
}

// supersedes decides what a replacement that is in the log does to its base.
func (i *Issuer) supersedes(request approval.Request, text string) (revocationAsked, error) {
	logged, found, err := i.config.Log.Find(request.FulfillmentKey(request.Replace.BaseID))
	switch {
	case err != nil:
		return revocationAsked{}, i.logRefusal(err, "")
	case !found || requestOf(logged) != text:
		return revocationAsked{}, refuse(signer.CodeLicenseUnknown, "the replacement was not issued yet")
	case request.Replace.SupersedeAt.IsZero():
		return revocationAsked{}, nil
	}
	return revocationAsked{changes: []signer.RevocationChange{{
		LicenseID: request.Replace.BaseID, Status: license.StatusSuperseded, Reason: string(request.Reason),
		EffectiveAt: request.Replace.SupersedeAt, SupersededBy: logged.LicenseID, Cause: request.ID, CausedAt: request.CreatedAt,
	}}}, nil
}
