package fake

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/internal/passkey"
	"github.com/metrum-ai/licensing-portal/internal/token"
	"github.com/metrum-ai/licensing-portal/internal/trust"
	"github.com/metrum-ai/licensing-portal/license"
)

// Links to requests, each standing elsewhere, and what a browser answers for whose passkey.
const (
	RequestToken, RequestDrafted, RequestRevoke, RequestRotate = "request-waiting", "request-drafted", "request-revoke", "request-rotate"
	RequestDone, RequestRefused, RequestOver, RequestOldLink   = "request-done", "request-refused", "request-over", "request-old-link"
	PasskeyOfProposer, PasskeyOfStranger, PasskeyOfFinance     = "proposer", "stranger", "finance"
)

// Requests is the part of the services that keeps staff's requests.
type Requests struct{ *Services }

// Open implements web.Requests.
func (s Requests) Open(_ context.Context, link string) (fulfillment.Opened, error) {
	if link == RequestOldLink {
		return fulfillment.Opened{}, token.ErrExpired
	}
	base := s.LicenseList[0]
	created := s.now().Add(-35 * time.Minute)
	r := approval.Request{
		ID: "req_01jdfake0000000000000000", Action: approval.ActionReplace, Proposer: "Ada Lovelace", CreatedAt: created,
		Reason: approval.ReasonCorrection, Explanation: "The company's name was misspelled in the order.", Ticket: "T-1207",
	}
	o := fulfillment.Opened{Passkeys: trust.WebAuthn{RPID: "localhost", Origins: []string{"http://localhost"}}, IDs: []string{"AAAA", "BBBB"}}
	after := base.Payload
	after.CustomerName, after.LicenseID = "Halden Robotics GmbH & Co. KG", "lic_preview"
	o.Rehearsal = fulfillment.Rehearsal{Needed: 1, Before: base.Payload, After: after, Licenses: []fulfillment.License{base}}
	switch link {
	case RequestRevoke:
		r.Action, r.Reason = approval.ActionRevoke, approval.ReasonLeakedFile
		r.Revoke = []approval.Revocation{{LicenseID: base.ID, Status: license.StatusRevoked, EffectiveAt: created}}
	case RequestRotate:
		r.Action, r.Reason, r.Rotate = approval.ActionRotate, approval.ReasonKeyRotation, &approval.Rotate{KeyID: "k-2026-a", AtMost: 12}
		o.Rehearsal = fulfillment.Rehearsal{Needed: 2, Live: 12, NewKeyID: "k-2026-b"}
	case RequestToken, RequestDrafted, RequestDone, RequestRefused, RequestOver:
		if link == RequestOver {
			r.CreatedAt = created.Add(-approval.ValidFor)
		}
		r.Replace = &approval.Replace{
			BaseID: base.ID, BaseSHA256: base.SHA256, CustomerID: base.Payload.CustomerID, SKU: base.Payload.SKU, SupersedeAt: r.CreatedAt.AddDate(0, 0, 8),
			Changes: catalog.Changes{CustomerName: catalog.TextChange{Old: base.Payload.CustomerName, New: after.CustomerName}},
		}
	default:
		return o, token.ErrUnknown
	}
	text, err := r.Text()
	if err != nil {
		return o, fmt.Errorf("fake: %w", err)
	}
	sum := sha256.Sum256([]byte(text))
	o.StaffRequest = fulfillment.StaffRequest{Request: r, Text: text, Digest: hex.EncodeToString(sum[:]), Needed: o.Rehearsal.Needed}
	if link != RequestDrafted {
		o.Stands = []fulfillment.Stand{{Name: "Ada Lovelace", At: r.CreatedAt.Add(2 * time.Minute)}}
	}
	switch link {
	case RequestDone, RequestRefused:
		o.Stands = append(o.Stands, fulfillment.Stand{Name: "Ben Noether", Approves: true, At: r.CreatedAt.Add(5 * time.Minute)})
		o.ApprovedAt, o.EndedAt, o.LicenseID = r.CreatedAt.Add(5*time.Minute), r.CreatedAt.Add(5*time.Minute), "lic_preview"
	}
	if link == RequestRefused {
		o.LicenseID, o.Refusal = "", &fulfillment.Reason{Code: "signer-revoked", Detail: "The signer refused: the base was revoked or is suspended"}
	}
	return o, nil
}

// StandByLink implements web.Requests.
func (s Requests) StandByLink(ctx context.Context, link string, response []byte) (fulfillment.StaffRequest, error) {
	o, err := s.Open(ctx, link)
	if err != nil {
		return o.StaffRequest, err
	}
	switch standing := o.Standing(s.now()); {
	case standing == fulfillment.RequestExpired:
		return o.StaffRequest, fulfillment.ErrRequestExpired
	case standing == fulfillment.RequestDone || standing == fulfillment.RequestRefused:
		return o.StaffRequest, fulfillment.ErrRequestDecided
	}
	switch string(response) {
	case GoodPasskey:
		defer s.change()()
		return o.StaffRequest, nil
	case PasskeyOfProposer:
		return o.StaffRequest, fulfillment.ErrSelfApproval
	case PasskeyOfStranger:
		return o.StaffRequest, fulfillment.ErrPasskey
	case PasskeyOfFinance:
		return o.StaffRequest, fulfillment.ErrMayNotApprove
	}
	return o.StaffRequest, fmt.Errorf("%w: %w", fulfillment.ErrAssertion, passkey.ErrRefused)
}
