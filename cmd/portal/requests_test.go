package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/approval/software"
	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/internal/postgres"
	"github.com/metrum-ai/licensing-portal/internal/postgres/pgtest"
	"github.com/metrum-ai/licensing-portal/internal/trust"
	"github.com/metrum-ai/licensing-portal/license"
)

// staffKeys writes the keys of two software approvers, ada.pem and ben.pem.
func staffKeys(t *testing.T, dir string) []trust.Approver {
	t.Helper()
	var list []trust.Approver
	for name, role := range map[string]trust.Role{"ada": trust.RoleIssuer, "ben": trust.RoleApprover} {
		key, file, err := software.Generate(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".pem"), file, 0o600); err != nil {
			t.Fatal(err)
		}
		list = append(list, key.Approver(name, role))
	}
	return list
}

// oneLicense gives the place a database with a license, lic_1.
func (p *place) oneLicense() *pgx.Conn {
	p.t.Helper()
	p.env["DATABASE_URL"] = pgtest.URL(p.t, postgres.Migrate)
	conn, err := pgx.Connect(p.t.Context(), p.env["DATABASE_URL"])
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	now := time.Now().UTC().Truncate(time.Second)
	pilot := catalog.Launch()[slices.IndexFunc(catalog.Launch(), func(t catalog.Template) bool { return t.SKU == "pilot-30d" })]
	envelope, err := license.Encode(license.Payload{
		SchemaVersion: license.SchemaVersion, Product: license.Product, Issuer: license.Issuer, KeyID: "k1", SKU: "pilot-30d", LicenseID: "lic_1",
		CustomerID: "cust_1", CustomerName: "Lumen", IssuedAt: now, NotBefore: now, ExpiresAt: now.AddDate(0, 1, 0), Features: pilot.Features, Limits: pilot.Limits,
		Deployment: license.Deployment{Mode: pilot.DeploymentMode, AllowedEnvironments: pilot.Environments},
	}, make([]byte, 64))
	if err != nil {
		p.t.Fatal(err)
	}
	_, err = conn.Exec(p.t.Context(), `INSERT INTO organizations (id, name, created_at) VALUES ('cust_1', 'Lumen', now());
		INSERT INTO users (id, email, created_at) VALUES ('usr_1', 'a@lumen.example', now());
		INSERT INTO deployments (id, organization_id, name, created_at) VALUES ('dep_1', 'cust_1', 'one', now());
		INSERT INTO orders (id, organization_id, created_by, buyer_email, mail_domain, deployment_id, deployment_name, state, kind, sku, template_ref,
			evaluation, snapshot, currency, total, form_key, attempt, created_at, updated_at)
		VALUES ('ord_1', 'cust_1', 'usr_1', 'a@lumen.example', 'lumen.example', 'dep_1', 'one', 'paid', 'new', 'pilot-30d', 'pilot-30d@1',
			false, '{}', 'USD', 49000, '1', 1, now(), now())`)
	if err != nil {
		p.t.Fatal(err)
	}
	_, err = conn.Exec(p.t.Context(), `INSERT INTO issuances (license_id, order_id, fulfillment_key, organization_id, deployment_id, kind, sku, template_ref,
			template_name, envelope, sha256, key_id, issued_at, not_before, expires_at, stored_at)
		VALUES ('lic_1', 'ord_1', 'ord_1', 'cust_1', 'dep_1', 'new', 'pilot-30d', 'pilot-30d@1', 'Pilot', $1, encode(sha256($1), 'hex'), 'k1', $2, $2, $3, $2)`,
		envelope, now, now.AddDate(0, 1, 0))
	if err != nil {
		p.t.Fatal(err)
	}
	return conn
}

func (p *place) key(name string) string { return filepath.Join(p.dir, name+".pem") }

// propose proposes a correction as ada and answers the request.
func (p *place) propose() requestJSON {
	p.t.Helper()
	p.typed = "yes\n"
	out := p.mustRun("staff", "propose", "replace", "lic_1", "-reason", "correction", "-why", "The name was misspelled in the order.",
		"-customer-name", "Lumen KG", "-key", p.key("ada"))
	for _, want := range []string{"action replace\n", "proposer ada\n", "old_customer_name Lumen\nnew_customer_name Lumen KG\n", "waits for 1 of 1 approvals"} {
		if !strings.Contains(out, want) {
			p.t.Errorf("the answer lacks %q:\n%s", want, out)
		}
	}
	return p.requests()[0]
}

func (p *place) requests() []requestJSON {
	p.t.Helper()
	var list []requestJSON
	if err := json.Unmarshal([]byte(p.mustRun("staff", "requests", "-json")), &list); err != nil {
		p.t.Fatal(err)
	}
	return list
}

func TestStaffProposeAndApproveFromTheCommandLine(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	conn := p.oneLicense()
	if out := p.mustRun("staff", "requests"); !strings.Contains(out, "there are no requests") {
		t.Error(out)
	}
	r := p.propose()
	if r.Standing != "waiting" || r.Proposer != "ada" || len(r.Subjects) != 1 || r.Subjects[0] != "lic_1" || !strings.Contains(r.Text, "Lumen KG") {
		t.Errorf("%+v", r)
	}
	_, err := p.run("staff", "approve", r.ID, "-key", p.key("ada"), "-digest", r.Digest)
	if err == nil || !strings.Contains(err.Error(), "someone else must approve this: you proposed it at "+r.CreatedAt.Format("15:04 UTC")) {
		t.Errorf("self-approval: %v", err)
	}
	if _, err := p.run("staff", "approve", r.ID, "-key", p.key("ben"), "-digest", strings.Repeat("0", 64)); err == nil || !strings.Contains(err.Error(), "another text") {
		t.Errorf("another digest: %v", err)
	}
	p.typed = "no\n"
	if _, err := p.run("staff", "approve", r.ID, "-key", p.key("ben")); err == nil || !strings.Contains(err.Error(), "nothing was asserted") {
		t.Errorf("not agreed: %v", err)
	}
	if left := p.requests()[0]; left.Standing != "waiting" || len(left.Approvers) != 0 {
		t.Errorf("after refusals: %+v", left)
	}
	if out := p.mustRun("staff", "approve", r.ID, "-key", p.key("ben"), "-digest", r.Digest); !strings.Contains(out, r.Text) || !strings.Contains(out, "approved, being carried out") {
		t.Error(out)
	}
	out := p.mustRun("staff", "requests", r.ID)
	for _, want := range []string{r.Text, r.Digest, "proposed by ada at ", "approved by ben at "} {
		if !strings.Contains(out, want) {
			t.Errorf("the request lacks %q:\n%s", want, out)
		}
	}
	if out := p.mustRun("staff", "requests"); !strings.Contains(out, r.ID) || !strings.Contains(out, "lic_1") {
		t.Error(out)
	}
	var jobs int
	err = conn.QueryRow(t.Context(), "SELECT count(*) FROM river.river_job WHERE kind = 'staff_request' AND args->>'request_id' = $1", r.ID).Scan(&jobs)
	if err != nil || jobs != 1 {
		t.Errorf("%d jobs, %v", jobs, err)
	}
}

func TestWithoutAKeyFileALinkLeadsToThePasskey(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.oneLicense()
	out := p.mustRun("staff", "propose", "revoke", "lic_1", "-by", "ada", "-status", "suspended", "-reason", "terms_broken", "-why", "Invoice 2026-0412 is overdue.")
	if !strings.Contains(out, "http://localhost:8080/staff/requests/") || !strings.Contains(out, "status suspended") {
		t.Error(out)
	}
	r := p.requests()[0]
	if r.Standing != "drafted" || r.Needed != 1 {
		t.Errorf("%+v", r)
	}
	if out := p.mustRun("staff", "request-link", r.ID); !strings.Contains(out, "http://localhost:8080/staff/requests/") {
		t.Error(out)
	}
	for _, args := range [][]string{{"request-link", "req_none"}, {"requests", "req_none"}, {"approve", "req_none"}} {
		if _, err := p.run(append([]string{"staff"}, args...)...); err == nil || !strings.Contains(err.Error(), "no such request") {
			t.Errorf("staff %v: %v", args, err)
		}
	}
	if _, err := p.run("staff", "propose", "revoke", "lic_9", "-by", "ada", "-status", "revoked", "-reason", "refunded", "-why", "It was paid back in full today."); err == nil || !strings.Contains(err.Error(), "There is no license lic_9 here") {
		t.Errorf("an unknown license: %v", err)
	}
}

func TestTheCommandThatAReviewNamesNeedsNoMoreThanWhoAndWhy(t *testing.T) {
	t.Parallel()
	for _, why := range approval.Reasons(approval.ActionIssue) {
		line := fulfillment.IssueCommand("ord_1", "in_1", why)
		line = strings.Replace(strings.Replace(line, "'…'", "ada", 1), "'…'", "Agreed_in_contract_2026-041.", 1)
		words := strings.Fields(line)
		asked, err := parseProposal(words[3:])
		if err != nil {
			t.Fatal(err)
		}
		r := asked.request
		if strings.Join(words[:3], " ") != "portal staff propose" || r.Issue == nil || r.Issue.Intent.OrderID != "ord_1" || r.Issue.Invoice != "in_1" ||
			r.Reason != why || r.Proposer != "ada" || r.Explanation != "Agreed_in_contract_2026-041." {
			t.Errorf("%s reads as %+v", line, r)
		}
	}
}

func TestWrongUseOfRequestsSaysWhatIsRight(t *testing.T) {
	t.Parallel()
	p := &place{t: t, env: map[string]string{}}
	for _, args := range [][]string{
		{"propose"}, {"propose", "forget", "lic_1"}, {"propose", "replace"}, {"propose", "replace", "a", "b"}, {"propose", "replace", "a", "-expires", "soon"},
		{"propose", "issue", "ord_1", "-limit", "max_callers"}, {"propose", "rotate", "k", "-at-most", "all"}, {"propose", "revoke", "-status", "revoked"},
		{"approve"}, {"approve", "-key", "x"}, {"approve", "req_1", "more"}, {"requests", "-xml"}, {"requests", "a", "b"}, {"request-link"}, {"request-link", "a", "b"},
	} {
		if _, err := p.run(append([]string{"staff"}, args...)...); !errors.Is(err, errUsage) {
			t.Errorf("staff %v: %v", args, err)
		}
	}
	if out, err := p.run("staff", "propose", "replace", "lic_1", "-h"); err != nil || !strings.Contains(out, "-customer-name") || !strings.Contains(out, "scope_change") {
		t.Errorf("help: %v\n%s", err, out)
	}
}
