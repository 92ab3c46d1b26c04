package server

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/approval/software"
	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/trust"
	"github.com/metrum-ai/licensing-portal/license"
)

// office is a world with staff: Ann proposes, Bob and Cleo approve, Fay is finance, Eve is in no bundle.
type office struct {
	*world
	keys     map[string]*software.Key
	requests int
}

func newOffice(t testing.TB) *office {
	o := &office{world: newRevokingWorld(t), keys: map[string]*software.Key{}}
	o.bundle.WebAuthn = trust.WebAuthn{RPID: "localhost", Origins: []string{"http://localhost:8080"}}
	o.bundle.Bounds = trust.Bounds{ExtraMonths: 12, LimitFactor: 10}
	for name, role := range map[string]trust.Role{
		"Ann": trust.RoleIssuer, "Bob": trust.RoleApprover, "Cleo": trust.RoleApprover, "Fay": trust.RoleFinance, "Eve": trust.RoleApprover,
	} {
		key, _, err := software.Generate(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		o.keys[name] = key
		if name == "Eve" {
			continue
		}
		o.bundle.Approvers = append(o.bundle.Approvers, key.Approver(name, role))
	}
	slices.SortFunc(o.bundle.Approvers, func(a, b trust.Approver) int { return strings.Compare(a.Name, b.Name) })
	return o
}

// signed lets the proposer and the approvers stand by a request.
func (o *office) signed(r approval.Request, approvers ...string) *approval.Signed {
	o.t.Helper()
	text, err := r.Text()
	if err != nil {
		o.t.Fatal(err)
	}
	assert := func(name string) approval.Assertion {
		a, err := o.keys[name].Assert(o.bundle.WebAuthn, approval.Digest(text))
		if err != nil {
			o.t.Fatal(err)
		}
		return a
	}
	s := &approval.Signed{Request: text, Proposal: assert(r.Proposer)}
	for _, name := range approvers {
		s.Approvals = append(s.Approvals, assert(name))
	}
	return s
}

func (o *office) request(action approval.Action, reason approval.Reason) approval.Request {
	o.requests++
	return approval.Request{
		ID: fmt.Sprintf("req_%022d", o.requests), Action: action, Proposer: "Ann", CreatedAt: o.clock().UTC().Truncate(time.Second), Reason: reason,
		Explanation: "The customer asked for it by telephone.",
	}
}

// replace proposes to replace a license with changes.
func (o *office) replace(base []byte, changes catalog.Changes) approval.Request {
	p := o.payload(base)
	r := o.request(approval.ActionReplace, approval.ReasonCorrection)
	r.Replace = &approval.Replace{BaseID: p.LicenseID, BaseSHA256: digest(base), CustomerID: p.CustomerID, SKU: p.SKU, Changes: changes}
	return r
}

func (o *office) issueApproved(s *approval.Signed, base []byte) ([]byte, error) {
	return o.client.Issue(o.t.Context(), signer.IssueRequest{Approval: s, BaseEnvelope: string(base)})
}

func newName(p license.Payload, name string) catalog.Changes {
	return catalog.Changes{CustomerName: catalog.TextChange{Old: p.CustomerName, New: name}}
}

func TestAnApprovedCorrectionIsIssuedOnceAndAnswersForEver(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.serve()
	base := o.mustIssue(paid(pack("ord_1"), 25000))
	before := o.payload(base)
	s := o.signed(o.replace(base, newName(before, "Example GmbH")), "Bob")
	envelope, err := o.issueApproved(s, base)
	if err != nil {
		t.Fatal(err)
	}
	p := o.payload(envelope)
	if p.CustomerName != "Example GmbH" || p.LicenseID == before.LicenseID || !p.ExpiresAt.Equal(before.ExpiresAt) || p.SKU != before.SKU {
		t.Errorf("got %+v", p)
	}
	o.pass(48 * time.Hour)
	again, err := o.issueApproved(s, base)
	if err != nil || string(again) != string(envelope) || o.store.Size() != 2 {
		t.Errorf("after it expired: %v, %d records", err, o.store.Size())
	}
	record, _, err := o.store.License(p.LicenseID)
	if err != nil || record.Issuance != "replacement" || record.BaseID != before.LicenseID || requestOf(record) != s.Request {
		t.Errorf("logged %+v, %v", record, err)
	}
}

func TestHowManyMustApproveIsKnownFromWhatIsAsked(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.serve()
	base := o.mustIssue(paid(pack("ord_1"), 25000))
	p := o.payload(base)
	expiry := func(to time.Time) catalog.Changes {
		return catalog.Changes{ExpiresAt: catalog.TimeChange{Old: p.ExpiresAt, New: to}}
	}
	limit := func(name string, old, to int64) catalog.Changes {
		return catalog.Changes{Limits: []catalog.LimitChange{{Name: name, Old: old, New: to}}}
	}
	for name, c := range map[string]struct {
		changes catalog.Changes
		one     signer.Code
		two     signer.Code
	}{
		"30 days more":             {expiry(p.ExpiresAt.AddDate(0, 0, 30)), "", ""},
		"31 days more":             {expiry(p.ExpiresAt.AddDate(0, 0, 31)), signer.CodeApprovalMissing, ""},
		"a year more":              {expiry(p.ExpiresAt.AddDate(0, 12, 0)), signer.CodeApprovalMissing, ""},
		"a year and a second more": {expiry(p.ExpiresAt.AddDate(0, 12, 0).Add(time.Second)), signer.CodeApprovalOutside, signer.CodeApprovalOutside},
		"fewer callers":            {limit("max_callers", 50, 10), "", ""},
		"one caller more":          {limit("max_callers", 50, 51), signer.CodeApprovalMissing, ""},
		"ten times the callers":    {limit("max_callers", 50, 500), signer.CodeApprovalMissing, ""},
		"one more than ten times":  {limit("max_callers", 50, 501), signer.CodeApprovalOutside, signer.CodeApprovalOutside},
		"no limit at all":          {limit("max_callers", 50, 0), signer.CodeApprovalOutside, signer.CodeApprovalOutside},
		"a feature of no add-on":   {catalog.Changes{Features: []string{"pii_filtering", "routing", "usage_reporting"}}, signer.CodeApprovalOutside, signer.CodeApprovalOutside},
		"a stale old value":        {limit("max_callers", 49, 40), signer.CodeBaseMismatch, signer.CodeBaseMismatch},
	} {
		r := o.replace(base, c.changes)
		if _, err := o.issueApproved(o.signed(r, "Bob"), base); code(err) != c.one {
			t.Errorf("%s, by one: %v, want %q", name, err, c.one)
		}
		if _, err := o.issueApproved(o.signed(r, "Bob", "Cleo"), base); code(err) != c.two {
			t.Errorf("%s, by two: %v, want %q", name, err, c.two)
		}
	}
}

func TestNobodyApprovesAloneOrForOthers(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.serve()
	base := o.mustIssue(paid(pack("ord_1"), 25000))
	p := o.payload(base)
	fresh := func() approval.Request { return o.replace(base, newName(p, "Example GmbH")) }
	by := func(proposer string, approvers ...string) *approval.Signed {
		r := fresh()
		r.Proposer = proposer
		return o.signed(r, approvers...)
	}
	other := o.signed(fresh(), "Bob")
	swapped := *o.signed(fresh(), "Bob")
	swapped.Approvals = other.Approvals
	edited := *o.signed(fresh(), "Bob")
	edited.Request = strings.Replace(edited.Request, "Example GmbH", "Example GmbX", 1)
	spaced := *o.signed(fresh(), "Bob")
	spaced.Request += "\n"
	old := fresh()
	old.CreatedAt = old.CreatedAt.Add(-24*time.Hour - time.Second)
	ahead := fresh()
	ahead.CreatedAt = ahead.CreatedAt.Add(6 * time.Minute)
	for name, c := range map[string]struct {
		signed *approval.Signed
		want   []signer.Code
	}{
		"nobody":                       {o.signed(fresh()), []signer.Code{signer.CodeApprovalMissing}},
		"the proposer":                 {by("Bob", "Bob"), []signer.Code{signer.CodeApprovalMissing}},
		"an issuer":                    {by("Bob", "Ann"), []signer.Code{signer.CodeApprovalMissing}},
		"finance":                      {o.signed(fresh(), "Fay"), []signer.Code{signer.CodeApprovalMissing}},
		"a stranger":                   {o.signed(fresh(), "Eve"), []signer.Code{signer.CodeApprovalInvalid}},
		"a strange proposer":           {by("Eve", "Bob"), []signer.Code{signer.CodeApprovalInvalid}},
		"an approval of another":       {&swapped, []signer.Code{signer.CodeApprovalInvalid}},
		"another text":                 {&edited, []signer.Code{signer.CodeApprovalInvalid}},
		"a text that is not canonical": {&spaced, []signer.Code{signer.CodeApprovalMalformed}},
		"too late":                     {o.signed(old, "Bob"), []signer.Code{signer.CodeApprovalExpired}},
		"from the future":              {o.signed(ahead, "Bob"), []signer.Code{signer.CodeApprovalExpired}},
		"no text":                      {&approval.Signed{}, []signer.Code{signer.CodeApprovalMalformed}},
	} {
		if envelope, err := o.issueApproved(c.signed, base); !slices.Contains(c.want, code(err)) || envelope != nil {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	// The same person twice is one person.
	r := o.replace(base, catalog.Changes{ExpiresAt: catalog.TimeChange{Old: p.ExpiresAt, New: p.ExpiresAt.AddDate(0, 2, 0)}})
	if _, err := o.issueApproved(o.signed(r, "Bob", "Bob"), base); code(err) != signer.CodeApprovalMissing {
		t.Errorf("one twice: %v", err)
	}
	if o.store.Size() != 1 {
		t.Errorf("%d records", o.store.Size())
	}
}

func TestAReplacementIsOfTheBaseThatItNames(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.serve()
	base := o.mustIssue(payWith(paid(pack("ord_1"), 25000), "pi_1"))
	other := o.mustIssue(paid(pack("ord_2"), 25000))
	s := o.signed(o.replace(base, newName(o.payload(base), "Example GmbH")), "Bob")
	for name, envelope := range map[string][]byte{"none": nil, "another": other, "a changed one": append(slices.Clone(base), ' ')} {
		if _, err := o.issueApproved(s, envelope); code(err) != signer.CodeBaseMismatch {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := o.client.Issue(t.Context(), signer.IssueRequest{Approval: s, BaseEnvelope: string(base), Event: paid(pack("ord_3"), 25000).event()}); code(err) != signer.CodeBadRequest {
		t.Errorf("with an event: %v", err)
	}
	o.revoke(signer.RevokeRequest{Event: dispute("pi_1", "needs_response", start)})
	if _, err := o.issueApproved(s, base); code(err) != signer.CodeRevoked {
		t.Errorf("of a suspended license: %v", err)
	}
}

// netTerms asks for an order's license against an invoice that is not paid yet.
func (o *office) netTerms(order string) approval.Request {
	r := o.request(approval.ActionIssue, approval.ReasonNetTerms)
	r.Issue = &approval.Issue{Intent: enterprise(order), Invoice: invoiceID(order)}
	return r
}

func TestAnOrderOnNetTermsIsIssuedAndItsPaymentLaterAnswersTheSame(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.serve()
	envelope, err := o.issueApproved(o.signed(o.netTerms("ord_1"), "Fay"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if p := o.payload(envelope); p.SKU != "enterprise-annual" || !p.ExpiresAt.Equal(start.AddDate(1, 0, 0)) {
		t.Errorf("got %+v", p)
	}
	o.pass(time.Hour)
	later := paidInvoice(enterprise("ord_1"), 15_000_00)
	later.created = start.Add(time.Hour)
	if again, err := o.issueInvoice(later); err != nil || string(again) != string(envelope) || o.store.Size() != 1 {
		t.Errorf("the payment: %v", err)
	}
	changed := enterprise("ord_1")
	changed.CustomerID = "cust_2"
	if _, err := o.issueInvoice(paidInvoice(changed, 15_000_00)); code(err) != signer.CodeConflict {
		t.Errorf("another intent: %v", err)
	}
}

func TestTermsOfAContractAreApprovedAndNeverSwapped(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.serve()
	seat := enterprise("ord_1")
	seat.Template = "marketplace-seat@1"
	contract := func(until time.Time) approval.Request {
		r := o.request(approval.ActionIssue, approval.ReasonContract)
		r.Issue = &approval.Issue{Intent: seat, Invoice: "in_1", Contract: catalog.Contract{ExpiresAt: until}}
		return r
	}
	first := o.signed(contract(start.AddDate(0, 6, 0)), "Bob", "Cleo")
	envelope, err := o.issueApproved(first, nil)
	if err != nil {
		t.Fatal(err)
	}
	if p := o.payload(envelope); !p.ExpiresAt.Equal(start.AddDate(0, 6, 0)) {
		t.Errorf("expires %s", p.ExpiresAt)
	}
	if _, err := o.issueApproved(o.signed(contract(start.AddDate(0, 7, 0)), "Bob", "Cleo"), nil); code(err) != signer.CodeConflict {
		t.Errorf("other terms under the same order: %v", err)
	}
	if again, err := o.issueApproved(first, nil); err != nil || string(again) != string(envelope) {
		t.Errorf("the same again: %v", err)
	}
}

func TestAContractLetsAnOrderNameMoreInstances(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.serve()
	r := o.netTerms("ord_1")
	r.Issue.Intent.Fingerprints = []string{"fp:a", "fp:b", "fp:c"}
	if _, err := o.issueApproved(o.signed(r, "Bob", "Cleo"), nil); code(err) != signer.CodeIntentRefused {
		t.Errorf("three instances where the template sells one: %v", err)
	}
	r.Issue.Contract.Limits = []catalog.Limit{{Name: "max_instances", Value: 3}}
	if _, err := o.issueApproved(o.signed(r, "Bob"), nil); code(err) != signer.CodeApprovalMissing {
		t.Errorf("one approver: %v", err)
	}
	envelope, err := o.issueApproved(o.signed(r, "Bob", "Cleo"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if p := o.payload(envelope); p.Limits.MaxInstances != 3 || len(p.Deployment.AllowedInstances) != 3 {
		t.Errorf("got %+v", p)
	}
	if again, err := o.issueInvoice(paidInvoice(r.Issue.Intent, 15_000_00)); err != nil || string(again) != string(envelope) || o.store.Size() != 1 {
		t.Errorf("the payment of what was approved: %v", err)
	}
	r.Issue.Intent.OrderID = "ord_2"
	if _, err := o.issueInvoice(paidInvoice(r.Issue.Intent, 15_000_00)); code(err) != signer.CodeIntentRefused || o.store.Size() != 1 {
		t.Errorf("the payment of what nobody approved: %v", err)
	}
}

func TestAnInvoicesPaymentComesAlongWithItsApproval(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.serve()
	i := paidInvoice(enterprise("ord_1"), 15_000_00)
	i.object["amount_paid"] = 1 // most of it came from a balance
	ask := func(r approval.Request, e *signer.Event) ([]byte, error) {
		return o.client.Issue(t.Context(), signer.IssueRequest{Approval: o.signed(r, "Fay"), Event: e})
	}
	other := o.netTerms("ord_1")
	other.Issue.Invoice = "in_1"
	if _, err := ask(other, i.event()); code(err) != signer.CodeIntentRefused {
		t.Errorf("another invoice: %v", err)
	}
	if _, err := ask(o.netTerms("ord_1"), paid(pack("ord_1"), 25000).event()); code(err) != signer.CodeEventType {
		t.Errorf("another event: %v", err)
	}
	envelope, err := ask(o.netTerms("ord_1"), i.event())
	if err != nil {
		t.Fatal(err)
	}
	_, bundle := o.revoke(signer.RevokeRequest{Event: refund("pi_ord_1", start)})
	if o.said(bundle, envelope) != license.StatusRevoked {
		t.Error("its refund did not revoke it")
	}
}

func TestWhatNoInvoiceIsForIsNotIssuedAgainstOne(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.serve()
	for name, c := range map[string]struct {
		intent catalog.Intent
		want   signer.Code
	}{
		"an evaluation":     {eval("ord_1", "cust_1"), signer.CodeChannel},
		"a subscription":    {hosted("ord_1"), signer.CodeChannel},
		"no such template":  {func() catalog.Intent { i := enterprise("ord_1"); i.Template = "gold@1"; return i }(), signer.CodeTemplateUnknown},
		"a contract's term": {func() catalog.Intent { i := enterprise("ord_1"); i.Template = "marketplace-seat@1"; return i }(), signer.CodeIntentRefused},
	} {
		r := o.request(approval.ActionIssue, approval.ReasonNetTerms)
		r.Issue = &approval.Issue{Intent: c.intent, Invoice: "in_1"}
		if _, err := o.issueApproved(o.signed(r, "Bob", "Cleo"), nil); code(err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

func TestApprovalsCountAgainstACapOfTheirOwn(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.bundle.Caps.PerDay = 1
	o.serve()
	base := o.mustIssue(paid(pack("ord_1"), 25000))
	p := o.payload(base)
	if _, err := o.issueApproved(o.signed(o.replace(base, newName(p, "One")), "Bob"), base); err != nil {
		t.Fatal(err)
	}
	if _, err := o.issueApproved(o.signed(o.replace(base, newName(p, "Two")), "Bob"), base); code(err) != signer.CodeCapExceeded {
		t.Errorf("the second of a day: %v", err)
	}
}

func TestAnApprovalIsReadStrictly(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.serve()
	base := o.mustIssue(paid(pack("ord_1"), 25000))
	text, err := json.Marshal(signer.IssueRequest{Approval: o.signed(o.replace(base, newName(o.payload(base), "One")), "Bob"), BaseEnvelope: string(base)})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := decodeIssue(text); err != nil || len(r.Approval.Approvals) != 1 || r.BaseEnvelope != string(base) {
		t.Fatalf("%+v, %v", r, err)
	}
	for name, change := range map[string][2]string{
		"unknown member": {`"proposal":`, `"more":1,"proposal":`},
		"twice":          {`"proposal":`, `"proposal":{},"proposal":`},
		"other case":     {`"proposal":`, `"Proposal":`},
		"no object":      {`"approval":{`, `"approval":[{}],"x":{`},
	} {
		if _, err := decodeIssue([]byte(strings.Replace(string(text), change[0], change[1], 1))); err == nil {
			t.Errorf("%s was read", name)
		}
	}
}
