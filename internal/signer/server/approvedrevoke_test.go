package server

import (
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/license"
)

func TestStaffRevokeSuspendAndReinstateButNeverLiftARevocation(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.serve()
	envelope := o.mustIssue(payWith(paid(pack("ord_1"), 25000), "pi_1"))
	id := o.payload(envelope).LicenseID
	revocation := func(status string, reason approval.Reason) *signer.RevokeRequest {
		r := o.request(approval.ActionRevoke, reason)
		r.Revoke = []approval.Revocation{{LicenseID: id, Status: status}}
		if status != signer.StatusReinstated {
			r.Revoke[0].EffectiveAt = r.CreatedAt
		}
		return &signer.RevokeRequest{Approval: o.signed(r, "Bob")}
	}
	suspend := revocation(license.StatusSuspended, approval.ReasonTermsBroken)
	if _, bundle := o.revoke(*suspend); o.said(bundle, envelope) != license.StatusSuspended {
		t.Error("not suspended")
	}
	o.pass(time.Minute)
	if _, bundle := o.revoke(*revocation(signer.StatusReinstated, approval.ReasonResolved)); o.said(bundle, envelope) != "" {
		t.Error("not reinstated")
	}
	if _, bundle := o.revoke(*suspend); o.said(bundle, envelope) != "" {
		t.Error("a spent request suspended again")
	}
	o.pass(time.Minute)
	o.revoke(*revocation(license.StatusRevoked, approval.ReasonIssuedInError))
	o.pass(time.Minute)
	if _, err := o.client.Revoke(t.Context(), *revocation(signer.StatusReinstated, approval.ReasonResolved)); code(err) != signer.CodeRevoked {
		t.Errorf("lifting a revocation: %v", err)
	}
	alone := o.request(approval.ActionRevoke, approval.ReasonTermsBroken)
	alone.Revoke = []approval.Revocation{{LicenseID: "lic_other", Status: license.StatusRevoked, EffectiveAt: alone.CreatedAt}}
	if _, err := o.client.Revoke(t.Context(), signer.RevokeRequest{Approval: o.signed(alone)}); code(err) != signer.CodeApprovalMissing {
		t.Errorf("by the proposer alone: %v", err)
	}
	if _, err := o.issueApproved(o.signed(alone, "Bob"), nil); code(err) != signer.CodeApprovalMalformed {
		t.Errorf("a revocation asked to issue: %v", err)
	}
}

func TestARevocationAskedAgainIsAnsweredAfterItsApprovalExpired(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.serve()
	envelope := o.mustIssue(payWith(paid(pack("ord_1"), 25000), "pi_1"))
	suspension := func() signer.RevokeRequest {
		r := o.request(approval.ActionRevoke, approval.ReasonTermsBroken)
		r.Revoke = []approval.Revocation{{LicenseID: o.payload(envelope).LicenseID, Status: license.StatusSuspended, EffectiveAt: r.CreatedAt}}
		return signer.RevokeRequest{Approval: o.signed(r, "Bob")}
	}
	done := suspension()
	o.revoke(done)
	late := suspension()
	late.Approval.Request = strings.Replace(late.Approval.Request, o.payload(envelope).LicenseID, "lic_other", 1)
	o.pass(25 * time.Hour)
	if _, err := o.client.Revoke(t.Context(), late); code(err) != signer.CodeApprovalExpired {
		t.Errorf("what was not done in time: %v", err)
	}
	if _, bundle := o.revoke(done); o.said(bundle, envelope) != license.StatusSuspended {
		t.Error("what was done in time is not told again")
	}
}

func TestAReplacementSupersedesItsBaseWhenItSaysSo(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.serve()
	base := o.mustIssue(paid(pack("ord_1"), 25000))
	r := o.replace(base, newName(o.payload(base), "Example GmbH"))
	r.Replace.SupersedeAt = r.CreatedAt.AddDate(0, 0, 7)
	s := o.signed(r, "Bob")
	if _, err := o.client.Revoke(t.Context(), signer.RevokeRequest{Approval: s}); code(err) != signer.CodeLicenseUnknown {
		t.Errorf("before it is issued: %v", err)
	}
	envelope, err := o.issueApproved(s, base)
	if err != nil {
		t.Fatal(err)
	}
	o.pass(48 * time.Hour)
	_, bundle := o.revoke(signer.RevokeRequest{Approval: s})
	entry, found := bundle.Lookup(o.payload(base).LicenseID)
	if !found || entry.Status != license.StatusSuperseded || entry.SupersededBy != o.payload(envelope).LicenseID ||
		!entry.EffectiveAt.Equal(start.AddDate(0, 0, 7)) || !entry.Pending(o.clock()) {
		t.Errorf("%+v", entry)
	}
}
