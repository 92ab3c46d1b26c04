package fulfillment

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/trust"
	"github.com/metrum-ai/licensing-portal/license"
)

// RestoredRequest is what a leaf of the log tells of a license that staff asked for.
type RestoredRequest struct {
	Request  StaffRequest // as far as this leaf carried it out
	Issuance Issuance     // of a replacement, organization and deployment are its base's, and the package where none is named
	Order    *Order       // of an issue, without the buyer: the log holds no address; nil for a replacement
	OwnerID  string       // of whoever stands for the buyer where the organization has no owner
}

// readRequest verifies a leaf that an approval is the evidence of. What the license says was approved and signed; here only
// its signature counts, and that the log files it under its request: the bundle's bounds may have changed since.
func (s *Restorer) readRequest(b *trust.Bundle, ring *license.KeyRing, e signer.Entry) (RestoredRequest, error) {
	var signed approval.Signed
	if err := json.Unmarshal([]byte(e.Approval), &signed); err != nil {
		return RestoredRequest{}, fmt.Errorf("approval: %w", err)
	}
	r, err := approval.Parse(signed.Request)
	if err != nil {
		return RestoredRequest{}, err
	}
	read, err := license.Read([]byte(e.Envelope), ring, s.c.Now())
	if err != nil {
		return RestoredRequest{}, err
	}
	p := read.Payload()
	if p.LicenseID != e.LicenseID || e.FulfillmentKey != r.FulfillmentKey(e.BaseID) {
		return RestoredRequest{}, errors.New("the license is not filed under its request")
	}
	at := logTime(e)
	restored := RestoredRequest{Request: restoredRequest(b, r, signed, at)}
	restored.Request.LicenseID = p.LicenseID
	if r.Action == approval.ActionRotate {
		restored.Request.LicenseID = "" // each of its licenses has its own line
	}
	if r.Action != approval.ActionIssue {
		l := newReplacement(b, r, License{ID: e.BaseID}, p, []byte(e.Envelope))
		restored.Issuance = Issuance{License: l, Key: e.FulfillmentKey, RequestID: r.ID, At: at}
		return restored, nil
	}
	return s.restoredIssue(b, restored, p, e)
}

func (s *Restorer) restoredIssue(b *trust.Bundle, restored RestoredRequest, p license.Payload, e signer.Entry) (RestoredRequest, error) {
	r := restored.Request
	template, ok := b.Template(r.Issue.Intent.Template)
	if !ok {
		return RestoredRequest{}, fmt.Errorf("template %s is not in the trust bundle", r.Issue.Intent.Template)
	}
	i, at := r.Issue.Intent, logTime(e)
	o := Order{
		ID: i.OrderID, OrganizationID: i.CustomerID, DeploymentID: i.DeploymentID, DeploymentName: i.DeploymentID, State: StateIssued,
		Snapshot: Snapshot{Template: template, Intent: i, Currency: template.Price.Currency, Total: template.Price.UnitAmount * int64(i.Quantity)},
		Attempt:  1, CreatedAt: r.CreatedAt, SubmittedAt: r.CreatedAt, IssuedAt: at, UpdatedAt: at,
	}
	if template.Channel == catalog.ChannelInvoice {
		o.Snapshot.Channel, o.Snapshot.Contract = ByQuote, r.Issue.Contract
	}
	var err error
	if restored.OwnerID, err = NewID("usr_", s.c.Now(), s.c.Random); err != nil {
		return RestoredRequest{}, err
	}
	restored.Order = &o
	restored.Issuance = Issuance{License: newLicense(o, p, []byte(e.Envelope)), Key: o.ID, RequestID: r.ID, At: at}
	return restored, nil
}

// restoredRequest is a request as the log has it. Who approved is found by the passkey; one that left the bundle since is
// named by it.
func restoredRequest(b *trust.Bundle, r approval.Request, signed approval.Signed, at time.Time) StaffRequest {
	q := StaffRequest{
		Request: r, Text: signed.Request, Digest: sha256Hex([]byte(signed.Request)), Needed: min(max(len(signed.Approvals), 1), 2),
		ApprovedAt: at, EndedAt: at, Stands: []Stand{{Name: r.Proposer, Assertion: signed.Proposal, At: r.CreatedAt}},
	}
	for _, a := range signed.Approvals {
		name := "passkey " + a.CredentialID
		if by, ok := b.Approver(a.CredentialID); ok {
			name = by.Name
		}
		q.Stands = append(q.Stands, Stand{Name: name, Approves: true, Assertion: a, At: at})
	}
	return q
}
