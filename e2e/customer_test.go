package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// fingerprint is what the demo's router runs with.
const fingerprint = "fp:demo-router"

// The packages that the tests buy.
const (
	evaluation = "eval-72h"
	pack5      = "credit-pack-5m"
	pack25     = "credit-pack-25m"
	pilot      = "pilot-30d"
)

// customer signs a new person up with a new organization. Every test has a mail domain of its own, so that evaluations do
// not meet.
func customer(t *testing.T, d *demo) *person {
	t.Helper()
	p := newPerson(t, d, newAddress(t))
	p.signUp("Org of " + t.Name())
	return p
}

func newAddress(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("buyer@%s-%d.example", strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name())), time.Now().UnixNano())
}

// signUp signs in by the mailed link and names the organization.
func (p *person) signUp(organization string) {
	p.t.Helper()
	p.askToSignIn()
	p.open(p.signInLink())
	p.press(`form[action="/sign-in/confirm"] button`)
	p.sees("Name your organization")
	p.fill("name", organization)
	p.follow("Continue")
	p.sees("Packages")
}

func (p *person) askToSignIn() {
	p.t.Helper()
	before := len(p.mails())
	p.open("/sign-in")
	p.fill("email", p.email)
	p.follow("Send me a link")
	p.sees("Check your e-mail")
	eventually(p.t, waitLong, "a new mail", func() bool { return len(p.mails()) > before })
}

func (p *person) signInLink() string {
	p.t.Helper()
	link := linkPattern.FindString(p.mailWith("/sign-in/confirm?t="))
	if link == "" {
		p.t.Fatal("no link in the sign-in mail")
	}
	return link
}

// order fills in what a package is for and goes on to the review page; it answers the order's ID.
func (p *person) order(sku, deployment string) string {
	p.t.Helper()
	p.open("/packages/" + sku)
	p.follow("Continue")
	if p.has(`input[type=radio][name="deployment"][value="new"]`) {
		p.choose("deployment", "new")
	}
	p.fill("deployment_name", deployment)
	if p.has(`input[type=checkbox][name="environment"][value="staging"]`) {
		if !eval[bool](p, `document.querySelector('input[name="environment"][value="staging"]').checked`) {
			p.choose("environment", "staging")
		}
	}
	if p.has(`[name="fingerprint"]`) {
		p.fill("fingerprint", fingerprint)
	}
	p.follow("Continue to review")
	p.sees("Check your order")
	return p.orderOnReview()
}

var orderPattern = regexp.MustCompile(`ord_[0-9A-Za-z]+`)

func (p *person) orderOnReview() string {
	p.t.Helper()
	id := orderPattern.FindString(p.text())
	if id == "" {
		p.t.Fatalf("no order on the review page:\n%s", p.text())
	}
	return id
}

// checkout goes on to Stripe's page.
func (p *person) checkout() {
	p.t.Helper()
	p.press(`form[action$="/pay"] button`)
	if !strings.HasPrefix(p.location(), p.d.info.StripeURL) {
		p.t.Fatalf("not on Stripe's page but on %s:\n%s", p.location(), p.text())
	}
}

// pay presses one of the stand-in's buttons: card_ok, card_declined, bank_ok, bank_fails, confirm.
func (p *person) pay(method string) {
	p.t.Helper()
	p.press(fmt.Sprintf(`button[name="method"][value=%q]`, method))
}

const ready = "Your license is ready"

// buy buys a package and waits until its license is ready; it answers the order's ID.
func (p *person) buy(sku, deployment, method string) string {
	p.t.Helper()
	id := p.order(sku, deployment)
	p.checkout()
	p.pay(method)
	p.sees(ready)
	return id
}

var licensePattern = regexp.MustCompile(`lic_[0-9a-z_]+_\d{8}_[0-9a-f]{16}`)

// licenseID reads the license ID off the order page.
func (p *person) licenseID() string {
	p.t.Helper()
	id := licensePattern.FindString(p.text())
	if id == "" {
		p.t.Fatalf("no license ID on %s:\n%s", p.location(), p.text())
	}
	return id
}

// licenses lists the IDs of every license that the person's organization has, from the list pages.
func (p *person) licenses() []string {
	p.t.Helper()
	p.open("/licenses?show=all")
	hrefs := eval[[]string](p, `Array.from(document.querySelectorAll('a[href^="/licenses/lic_"]'), a => a.getAttribute("href"))`)
	seen := map[string]bool{}
	var ids []string
	for _, href := range hrefs {
		id := licensePattern.FindString(href)
		if id != "" && !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids
}

// install installs a downloaded file where the demo's router looks, as the operator would.
func (d *demo) install(t *testing.T, file string) {
	t.Helper()
	out, errs, code := d.tool(t, nil, "licensectl", "install", "-keys", d.info.KeysFile, "-fingerprint", fingerprint, file, "-to", d.info.RouterLicensePath)
	if code != 0 {
		t.Fatalf("licensectl install: exit %d\n%s%s", code, out, errs)
	}
}

// routerStatus is the part of /admin/license/status that the tests read.
type routerStatus struct {
	LicenseID string `json:"license_id"`
	Status    string `json:"status"`
	SKU       string `json:"sku"`
	Limits    struct {
		MaxTotalTokens int64 `json:"max_total_tokens"`
	} `json:"limits"`
}

func (d *demo) routerStatus(t *testing.T) routerStatus {
	t.Helper()
	var s routerStatus
	getJSON(t, d.info.RouterURL+"/admin/license/status", &s, func(r *http.Request) {
		r.SetBasicAuth(d.info.RouterAdminUser, d.info.RouterAdminPassword)
	})
	return s
}

// routerServes waits until the router is ready with this license.
func (d *demo) routerServes(t *testing.T, licenseID string) {
	t.Helper()
	eventually(t, waitLong, "router ready with "+licenseID, func() bool {
		status, _, _ := request(t, http.MethodGet, d.info.RouterURL+"/readyz", nil, nil)
		return status == http.StatusOK && d.routerStatus(t).LicenseID == licenseID
	})
	status, body, _ := request(t, http.MethodGet, d.info.RouterURL+"/v1/models", nil, func(r *http.Request) {
		r.Header.Set("Authorization", "Bearer "+d.info.RouterToken)
	})
	if status != http.StatusOK {
		t.Fatalf("/v1/models: %d %s", status, body)
	}
}

// readFile reads a downloaded file and checks its name.
func readDownload(t *testing.T, path string) []byte {
	t.Helper()
	if name := filepath.Base(path); name != "license.json" {
		t.Fatalf("the downloaded file is called %s", name)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
