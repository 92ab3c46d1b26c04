package docs

import (
	"crypto/rand"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/approval/software"
	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/trust"
	"github.com/metrum-ai/licensing-portal/license"
)

func onSigner(block, int) string { return "signer" }

// writeJSON puts a file into the signer's folder.
func (s *site) writeJSON(name string, v any) {
	s.t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write("signer/"+name, string(text), 0o600)
}

// obeys fails unless the running signer obeys this version of the bundle.
func (s *site) obeys(version int64) *trust.Bundle {
	s.t.Helper()
	bundle, err := signer.NewClient(s.path("signer", "signer.sock")).Trust(s.t.Context())
	if err != nil || bundle.Version != version {
		s.t.Fatalf("the signer obeys another bundle than version %d: %v", version, err)
	}
	return bundle
}

// verifies reads a license as a router with the ring in a file of the signer's folder.
func (s *site) verifies(ring, envelope string) error {
	s.t.Helper()
	text, err := os.ReadFile(s.path("signer", ring))
	if err != nil {
		s.t.Fatal(err)
	}
	keys, err := license.ParseKeyRing(text)
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = license.Read([]byte(envelope), keys, time.Now())
	return err
}

func TestAnApproverIsAddedByTheRunbook(t *testing.T) {
	t.Parallel()
	s := founded(t)
	key, _, err := software.Generate(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ada := key.Approver("Ada Finch", trust.RoleApprover)
	ada.Software = false
	s.writeJSON("ada.json", ada)
	outputs := s.follow("add-approver.md", onSigner)
	s.wants(outputs, 0, "version 2", "approver Ada Finch: approver")
	s.wants(outputs, 2, "signed by 2 of 2 root keys", "trust bundle version 2")
	if b := s.obeys(2); len(b.Approvers) != 1 || b.Approvers[0].Name != "Ada Finch" {
		t.Errorf("approvers %+v", b.Approvers)
	}
}

func TestATemplateIsChangedByTheRunbook(t *testing.T) {
	t.Parallel()
	s := founded(t)
	pilot := catalog.Launch()[1]
	pilot.Version, pilot.Price.UnitAmount = 2, 1_099_00
	pilot.Price.LookupKey = pilot.LookupKey()
	s.writeJSON("pilot.json", pilot)
	outputs := s.follow("template-change.md", onSigner)
	s.wants(outputs, 0, "template pilot-30d@2: Paid pilot, 30 days, checkout, USD 1099.00", "template pilot-30d@1: Paid pilot, 30 days, checkout, USD 999.00, closed")
	bundle := s.obeys(2)
	if old, _ := bundle.Template("pilot-30d@1"); !old.Open(time.Now()) || old.Open(time.Now().Add(25*time.Hour)) {
		t.Errorf("the old version is closed at %v", old.ClosedAt)
	}
	if newest, _ := bundle.Newest("pilot-30d"); newest.Price.UnitAmount != 1_099_00 {
		t.Errorf("newest %+v", newest.Price)
	}
}

func TestAKeyIsRotatedByTheRunbook(t *testing.T) {
	t.Parallel()
	s := founded(t)
	sold := s.issue("signer", s.paid("ord_1"))
	outputs := s.follow("rotation.md", onSigner)
	s.wants(outputs, 0, "license-2026")
	s.wants(outputs, 2, "signed by 2 of 2 root keys", "license-2027", "trust bundle version 2")
	bundle := s.obeys(2)
	now := time.Now()
	for days, want := range map[int]string{0: "license-2026", 31: "license-2027"} {
		at := now.AddDate(0, 0, days)
		if key, ok := bundle.SigningKey(trust.RoleLicense, at, at); !ok || key.ID != want {
			t.Errorf("in %d days %q signs", days, key.ID)
		}
	}
	if again := s.issue("signer", s.paid("ord_2")); !strings.Contains(again, `"key_id": "license-2026"`) {
		t.Error("the new key signs before the switch")
	}
	s.mustShell("signer", "signer trust ring trust.json > keys.json; signer trust ring trust-retired.json > later.json")
	if err := s.verifies("keys.json", sold); err != nil {
		t.Errorf("the old key's license: %v", err)
	}
	if err := s.verifies("later.json", sold); err == nil {
		t.Error("a retired key still verifies")
	}
}

func TestACompromisedKeyIsRevokedByTheRunbook(t *testing.T) {
	t.Parallel()
	s := founded(t)
	sold := s.issue("signer", s.paid("ord_1"))
	time.Sleep(1100 * time.Millisecond) // the new key's window begins at a whole second, and what is sold next lies in it
	outputs := s.follow("key-compromise.md", onSigner)
	s.wants(outputs, 0, "issuance log verifies: 1 records")
	s.wants(outputs, 2, "signed by 2 of 2 root keys", "license-new", "trust bundle version 2")
	if err := s.verifies("keys.json", sold); err == nil {
		t.Error("a license under the revoked key still verifies")
	}
	if err := s.verifies("keys.json", s.issue("signer", s.paid("ord_2"))); err != nil {
		t.Errorf("what the new key signs: %v", err)
	}
	s.mustShell("signer", "systemctl stop signer")
	s.mustShell("signer", `sed -i 's|"keys": \[|"keys": [{"key_id": "license-2026", "private_key_file": "license-2026.pem"},|' config.json`)
	if out, err := s.shell("signer", "systemctl start signer"); err == nil || !strings.Contains(out, "license-2026") {
		t.Errorf("the signer starts with a revoked key: %v\n%s", err, out)
	}
}

func TestABadIssuanceIsFoundByTheRunbook(t *testing.T) {
	t.Parallel()
	s := founded(t)
	var file struct{ Payload license.Payload }
	if err := json.Unmarshal([]byte(s.issue("signer", s.paid("ord_1"))), &file); err != nil {
		t.Fatal(err)
	}
	s.write("signer/case", "LICENSE="+file.Payload.LicenseID+"\n", 0o600)
	outputs := s.follow("bad-issuance.md", onSigner)
	s.wants(outputs, 0, "issuance     new under ord_1", "payment      pi_ord_1", "evt_ord_1, checkout.session.completed")
}

// Whoever reads the documentation finds every runbook, and none is left untested.
func TestEveryRunbookIsListedAndTested(t *testing.T) {
	t.Parallel()
	index, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile("runbooks_test.go")
	if err != nil {
		t.Fatal(err)
	}
	more, err := os.ReadFile("lost_signer_host_test.go")
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir("runbooks")
	if err != nil || len(entries) < 7 {
		t.Fatalf("%d runbooks, %v", len(entries), err)
	}
	for _, e := range entries {
		if !strings.Contains(string(index), "runbooks/"+e.Name()) {
			t.Errorf("docs/README.md does not name %s", e.Name())
		}
		if !strings.Contains(string(tests)+string(more), `follow("`+e.Name()+`"`) {
			t.Errorf("no test follows %s", e.Name())
		}
	}
}
