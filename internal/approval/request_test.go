package approval_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/license"
)

var now = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

func day(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.DateOnly, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func about(action approval.Action, reason approval.Reason) approval.Request {
	return approval.Request{
		ID: "req_1a2b", Action: action, Proposer: "Ines Issuer", CreatedAt: now, Reason: reason,
		Explanation: "The customer asked for it in writing.", Ticket: "SUP-17",
	}
}

func issueRequest(t testing.TB) approval.Request {
	r := about(approval.ActionIssue, approval.ReasonNetTerms)
	r.Issue = &approval.Issue{
		Intent: catalog.Intent{
			OrderID: "ord_1", Kind: catalog.IssueRenewal, Template: "enterprise-annual@1", Quantity: 1, CustomerID: "cust_7QK2M9",
			CustomerName: "Example Operations", DeploymentID: "dep_4F8", Environments: []string{"staging", "production"},
			Fingerprints: []string{"fp:b", "fp:a"}, BaseID: "lic_old", BaseSHA256: strings.Repeat("0a", 32),
		},
		Invoice: "in_1Q2w3e",
		Contract: catalog.Contract{
			ExpiresAt: day(t, "2028-01-01"), Limits: []catalog.Limit{{Name: "max_callers", Value: 200}, {Name: "max_instances", Value: 3}},
			AddFeatures: []string{"audit_log_export", "content_capture"}, Notes: "Contract 2026-17",
		},
	}
	return r
}

func replaceRequest(t testing.TB) approval.Request {
	r := about(approval.ActionReplace, approval.ReasonScopeChange)
	r.Replace = &approval.Replace{
		BaseID: "lic_credit_pack_5m_20261101_0011223344556677", BaseSHA256: strings.Repeat("0b", 32), CustomerID: "cust_7QK2M9",
		CustomerName: "Exmaple Operations", SKU: "credit-pack-5m", Template: "credit-pack-25m@1",
		Changes: catalog.Changes{
			ExpiresAt:    catalog.TimeChange{Old: day(t, "2027-11-01"), New: day(t, "2027-12-01")},
			CustomerName: catalog.TextChange{Old: "Exmaple Operations", New: "Example Operations"},
			Environments: []string{"production", "staging"}, Fingerprints: &[]string{"fp:a", "fp:b"},
			Features: []string{"routing", "usage_reporting"},
			Limits:   []catalog.LimitChange{{Name: "max_callers", Old: 50, New: 60}, {Name: "max_admins", Old: 5, New: 0}},
			Notes:    catalog.TextChange{New: "Corrected"},
		},
		SupersedeAt: now.AddDate(0, 0, 7),
	}
	return r
}

func rotateRequest(testing.TB) approval.Request {
	r := about(approval.ActionRotate, approval.ReasonKeyCompromise)
	r.Rotate = &approval.Rotate{KeyID: "license-1", AtMost: 40}
	return r
}

func revokeRequest(testing.TB) approval.Request {
	r := about(approval.ActionRevoke, approval.ReasonIssuedInError)
	r.Revoke = []approval.Revocation{
		{LicenseID: "lic_a", Status: license.StatusRevoked, EffectiveAt: now},
		{LicenseID: "lic_b", Status: license.StatusSuperseded, EffectiveAt: now.AddDate(0, 0, 7), SupersededBy: "lic_c"},
		{LicenseID: "lic_d", Status: approval.StatusReinstated},
	}
	return r
}

var requests = map[string]func(testing.TB) approval.Request{
	"issue": issueRequest, "replace": replaceRequest, "rotate": rotateRequest, "revoke": revokeRequest,
}

func textOf(t testing.TB, r approval.Request) string {
	t.Helper()
	text, err := r.Text()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestARequestSurvivesItsText(t *testing.T) {
	t.Parallel()
	for name, make := range requests {
		want := make(t)
		got, err := approval.Parse(textOf(t, want))
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, textOf(t, want))
			continue
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", name, got, want)
		}
	}
	if _, err := approval.Parse(""); !errors.Is(err, approval.ErrMalformed) {
		t.Error(err)
	}
}
