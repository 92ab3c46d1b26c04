package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"github.com/metrum-ai/licensing-portal/internal/signer"
)

// withPasskey gives the person's window an authenticator that verifies its user.
func (p *person) withPasskey() {
	p.t.Helper()
	if _, err := chromedp.Call(p.ctx, webauthn.Enable, webauthn.EnableParams{}); err != nil {
		p.t.Fatal(err)
	}
	_, err := chromedp.Call(p.ctx, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{
		Options: &webauthn.VirtualAuthenticatorOptions{
			Protocol: "ctap2", Transport: "internal", HasResidentKey: true, HasUserVerification: true, IsUserVerified: true,
			AutomaticPresenceSimulation: true,
		},
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

// portal runs a command of the portal's as its host does, and fails the test unless it succeeds.
func (d *demo) portal(t *testing.T, args ...string) string {
	t.Helper()
	out, errs, code := d.tool(t, d.portalEnv(t), "portal", args...)
	if code != 0 {
		t.Fatalf("portal %v: %d\n%s%s", args, code, out, errs)
	}
	return out
}

var (
	staffLink = regexp.MustCompile(`http://localhost:\d+/staff/\S+`)
	requestID = regexp.MustCompile(`req_[0-9a-z]+`)
)

func linkIn(t *testing.T, out string) string {
	t.Helper()
	link := staffLink.FindString(out)
	if link == "" {
		t.Fatalf("no link in:\n%s", out)
	}
	return link
}

// enroll makes the person's passkey and answers the file with its record.
func (p *person) enroll(name, role string) string {
	p.t.Helper()
	p.open(linkIn(p.t, p.d.portal(p.t, "staff", "enroll", "-name", name, "-role", role)))
	p.sees(name)
	p.follow("Make a passkey")
	p.sees("Nothing is approved by it yet")
	path := filepath.Join(p.t.TempDir(), "approver.json")
	if err := os.WriteFile(path, []byte(eval[string](p, `document.getElementById("record").textContent`)), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return path
}

// nextBundle lets the root holders sign a bundle that names more approvers, and the signer read it.
func (d *demo) nextBundle(t *testing.T, approvers ...string) {
	t.Helper()
	next := filepath.Join(t.TempDir(), "trust.json")
	args := []string{"trust", "next", "-from", d.info.TrustFile, "-out", next}
	for _, file := range approvers {
		args = append(args, "-approver", file)
	}
	if out, errs, code := d.tool(t, nil, "signer", args...); code != 0 {
		t.Fatalf("trust next: %s%s", out, errs)
	}
	for _, root := range []string{"root-a", "root-b"} {
		if out, errs, code := d.tool(t, nil, "signer", "trust", "sign", "-key", filepath.Join(d.dir, "root-keys", root), next); code != 0 {
			t.Fatalf("trust sign: %s%s", out, errs)
		}
	}
	old, err := filepath.Glob(d.info.TrustFile + ".*.sig")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	signatures, err := filepath.Glob(next + ".*.sig")
	if err != nil || len(signatures) != 2 {
		t.Fatalf("signatures %q, %v", signatures, err)
	}
	for _, path := range append(signatures, next) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(filepath.Dir(d.info.TrustFile), filepath.Base(path)), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	d.signal(t, "signer", syscall.SIGHUP)
	eventually(t, waitLong, "the signer takes the bundle", func() bool {
		_, answer := d.ask(t, http.MethodGet, "/v1/status", nil)
		var status signer.Status
		return json.Unmarshal(answer, &status) == nil && status.TrustVersion == 2
	})
}

// TestStaffCorrectALicenseWithTheirPasskeys goes from two enrollments to the corrected license on the customer's pages.
func TestStaffCorrectALicenseWithTheirPasskeys(t *testing.T) {
	t.Parallel()
	d := ownDemo(t)
	buyer := customer(t, d)
	buyer.buy(pilot, "router one", "card_ok")
	old := buyer.licenseID()

	grace, ida := newPerson(t, d, "grace@staff.example"), newPerson(t, d, "ida@staff.example")
	grace.withPasskey()
	ida.withPasskey()
	records := []string{grace.enroll("Grace Hopper", "issuer"), ida.enroll("Ida Rhodes", "approver")}
	d.nextBundle(t, records...)

	var out string
	eventually(t, waitLong, "the portal knows the bundle", func() bool { // it remembers one for some seconds
		var code int
		out, _, code = d.tool(t, d.portalEnv(t), "portal", "staff", "propose", "replace", old, "-by", "Grace Hopper", "-reason", "correction",
			"-why", "The company's name was misspelled in the order.", "-customer-name", "Lumen Health KG")
		return code == 0
	})
	id := requestID.FindString(out)
	eventually(t, waitLong, "the page knows the bundle", func() bool {
		grace.open(linkIn(t, out))
		return grace.has("form[data-passkey]")
	})
	grace.sees("It waits for its proposer")
	grace.sees("Lumen Health KG")
	grace.follow("Propose this with your passkey")
	grace.sees("Anybody but Grace Hopper who may approve it can")

	// Her passkey is not asked for, and if it were, the portal would not take it.
	eval[int](grace, `(() => { const f = document.querySelector("form[data-passkey]");
		const o = JSON.parse(f.dataset.options); o.allowCredentials = []; f.dataset.options = JSON.stringify(o); return 1; })()`)
	grace.follow("Approve this with your passkey")
	grace.sees("Someone else must approve this. You proposed it at")

	ida.open(linkIn(t, d.portal(t, "staff", "request-link", id)))
	ida.sees("by Grace Hopper")
	ida.follow("Approve this with your passkey")
	eventually(t, waitLong, "the request is done", func() bool {
		ida.open(ida.location())
		return strings.Contains(ida.text(), "It is done")
	})
	corrected := ""
	for _, found := range licensePattern.FindAllString(ida.text(), -1) {
		if found != old {
			corrected = found
		}
	}
	if shown := d.portal(t, "staff", "requests", id); !strings.Contains(shown, "approved by Ida Rhodes") || !strings.Contains(shown, "license "+corrected) {
		t.Errorf("staff requests: %s", shown)
	}
	buyer.open("/licenses/" + corrected)
	buyer.sees("Lumen Health KG")
	if mail := buyer.mailWith("Your corrected license is ready"); !strings.Contains(mail, corrected) || !strings.Contains(mail, old) {
		t.Errorf("mail: %s", mail)
	}
	if entries := d.logEntries(t); entries[len(entries)-1].LicenseID != corrected || entries[len(entries)-1].Issuance != "replacement" {
		t.Errorf("the log ends with %+v", entries[len(entries)-1])
	}
}
