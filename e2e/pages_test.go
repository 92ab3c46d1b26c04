package e2e

import (
	"bytes"
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Names as long as the forms take them, and without a place to break.
var (
	wideOrganization = strings.Repeat("Wellington ", 9) + "W"
	wideDeployment   = strings.Repeat("W", 60)
	wideFingerprint  = "fp:" + strings.Repeat("0123456789abcdef", 12)
)

// Most a visit may weigh, in bytes over the wire.
const (
	firstVisit = 150 << 10
	nextPage   = 30 << 10
)

func TestEveryPageOfAVisitorIsFitToBeSeen(t *testing.T) {
	t.Parallel()
	a := newAudit(newPerson(t, shared, newAddress(t)))
	a.open("/packages")
	if n := a.weight(); n > firstVisit {
		t.Errorf("the first visit weighs %d bytes", n)
	}
	a.open("/keys")
	if n := a.weight(); n > nextPage {
		t.Errorf("the next page weighs %d bytes", n)
	}
	for _, path := range []string{
		"/", "/packages", "/packages/" + evaluation, "/packages/" + pilot, "/packages/" + pack5, "/packages/enterprise-annual",
		"/keys", "/help", "/preferences", "/sign-in", "/d/unknown-token-0123456789", "/no-such-page",
	} {
		a.page(path)
	}
	a.open("/sign-in")
	a.fill("email", "nobody")
	a.press(`main form button`)
	a.look("sign-in with a wrong address")
	a.askToSignIn()
	a.look("sign-in mail sent")
	a.press(`form[action="/sign-in/resend"] button`)
	a.titles = map[string]string{} // the same page with a notice
	a.look("sign-in mail asked for twice")
	a.fill("code", "000000")
	a.press(`form[action="/sign-in/code"] button`)
	a.look("sign-in with a wrong code")
	a.open(a.signInLink())
	a.look("sign-in link")
	a.press(`form[action="/sign-in/confirm"] button`)
	a.look("welcome")
	a.press(`main form button`)
	a.look("welcome without a name")
	a.open(a.signInLink())
	a.look("sign-in link that was used")
	a.open("/welcome")
	a.fill("name", wideOrganization)
	a.follow("Continue")
	a.titles = map[string]string{}
	for _, path := range []string{"/", "/orders", "/licenses", "/licenses?show=all", "/licenses?show=expired"} {
		a.page(path)
	}
}

func TestEveryPageOfABuyerIsFitToBeSeen(t *testing.T) {
	t.Parallel()
	a := newAudit(newPerson(t, shared, newAddress(t)))
	a.signUp(wideOrganization)
	a.page("/checkout/" + pack5)
	a.press(`main form button.pri`)
	a.look("a form with mistakes")
	if !eval[bool](a.person, `document.title.startsWith("Error:") && document.querySelectorAll(".errors a").length > 0 &&
		Array.from(document.querySelectorAll(".errors a")).every(e => document.querySelector(e.getAttribute("href")))`) {
		t.Error("mistakes are not listed first, each leading to its field")
	}
	a.buyWide()
	first := a.licenseID()
	order := "/orders/" + orderPattern.FindString(a.location())
	a.look("order that is ready")
	a.open("/licenses/" + first)
	a.follow("Add volume")
	a.look("top-up")
	a.follow("Continue to review")
	a.look("review of a top-up")
	a.checkout()
	a.pay("card_ok")
	a.sees(ready)
	second := a.licenseID()
	for _, path := range []string{
		"/", "/orders", order, "/licenses", "/licenses?show=all", "/licenses/" + first, "/packages/" + pack5,
		"/licenses/" + second, "/licenses/" + second + "?platform=kubernetes", "/licenses/" + second + "?platform=binary", "/renew/" + second,
	} {
		a.titles = map[string]string{} // states of one page share its title
		a.page(path)
	}
	a.open("/licenses/" + second)
	a.keyboard()
	a.press(`form[action$="/links"] button`)
	a.look("a link made")
	link := eval[string](a.person, `document.getElementById("made-link").textContent`)
	a.open(link)
	a.look("a link handed out")
	a.open("/licenses/" + second)
	a.press(`form[action$="/revoke"] button`)
	a.open(link)
	a.look("a revoked link")
}

// buyWide buys a pack under names as wide as they get, looking at each page on the way.
func (a *audit) buyWide() {
	a.t.Helper()
	a.open("/checkout/" + pack5)
	a.fill("deployment_name", wideDeployment)
	if !eval[bool](a.person, `document.querySelector('input[name="environment"][value="staging"]').checked`) {
		a.choose("environment", "staging")
	}
	a.fill("fingerprint", wideFingerprint)
	a.follow("Continue to review")
	a.look("review")
	order := a.orderOnReview()
	a.checkout()
	stripe := a.origin
	a.origin = a.d.info.StripeURL
	a.look("Stripe's page")
	a.pay("card_declined")
	a.titles = map[string]string{}
	a.look("Stripe's page after a declined card")
	a.origin = stripe
	at := a.location()
	a.page("/orders/" + order)
	a.open(at)
	a.pay("card_ok")
	a.sees(ready)
}

// keyboard walks through the page with the tab key: first the way past the navigation, then everything else in its order,
// and always so that one sees where one is.
func (a *audit) keyboard() {
	a.t.Helper()
	a.mark()
	stops := eval[int](a.person, `document.querySelectorAll("a[href], button, input:not([type=hidden]), summary, [tabindex='0'], clipboard-copy").length`)
	seen := 0
	for n := range stops {
		a.do("tab", chromedp.KeyEvent(kb.Tab))
		at := eval[struct {
			Order   int
			Name    string
			Outline float64
			Shown   bool
		}](a.person, `(() => {
			const e = document.activeElement, all = Array.from(document.querySelectorAll("*"));
			const ring = e.closest(".rcard") ?? e, style = getComputedStyle(ring), box = e.getBoundingClientRect();
			return {Order: all.indexOf(e), Name: e.tagName + " " + e.textContent.trim().slice(0, 40), Shown: box.width > 1 && box.bottom > 0 && box.top < innerHeight,
				Outline: style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth)};
		})()`)
		switch {
		case n == 0 && !strings.Contains(at.Name, "Skip to content"):
			a.t.Errorf("the first stop of the keyboard is %s", at.Name)
		case strings.HasPrefix(at.Name, "BODY"): // past the last one
			if n < stops-2 {
				a.t.Errorf("the keyboard has %d stops of %d", n, stops)
			}
			return
		case at.Order <= seen:
			a.t.Errorf("the keyboard goes back to %s", at.Name)
		case at.Outline < 2:
			a.t.Errorf("the ring around %s is %v px wide", at.Name, at.Outline)
		case !at.Shown:
			a.t.Errorf("%s has the focus out of sight", at.Name)
		}
		seen = at.Order
	}
}

func TestWhoEvaluatedIsToldSoAndNoButtonIsDeadWithoutJavaScript(t *testing.T) {
	t.Parallel()
	p := customer(t, shared)
	p.buy(evaluation, "router", "confirm")
	id := p.licenseID()
	newAudit(p).page("/packages/" + evaluation)
	p.sees("already had an evaluation")
	if p.has(`main a[href^="/checkout/"]`) {
		t.Error("a second evaluation can be ordered")
	}
	p.withoutJavaScript()
	p.open("/licenses/" + id)
	if shown := eval[int](p, `Array.from(document.querySelectorAll("clipboard-copy")).filter(e => e.getClientRects().length > 0).length`); shown > 0 {
		t.Errorf("%d copy buttons do nothing", shown)
	}
	if outside := eval[string](p, `Array.from(document.querySelectorAll("button")).filter(e => !e.form || !e.form.action).map(e => e.textContent).join(", ")`); outside != "" {
		t.Errorf("these buttons do nothing: %s", outside)
	}
}

// TestTheLicensePageSaysWhatTheRouterAnswers installs a license with the commands of the page, as they are printed, and
// compares the router's answer with the one the page lets the operator expect, byte for byte.
func TestTheLicensePageSaysWhatTheRouterAnswers(t *testing.T) {
	t.Parallel()
	d := ownDemo(t)
	p := customer(t, d)
	p.buy(pilot, "router", "card_ok")
	id := p.licenseID()
	file := p.download("Download license.json")
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, "Downloads"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "Downloads", "license.json"), readDownload(t, file), 0o600); err != nil {
		t.Fatal(err)
	}
	before := []byte("the license before")
	if err := os.WriteFile(d.info.RouterLicensePath, before, 0o644); err != nil {
		t.Fatal(err)
	}

	router, err := url.Parse(d.info.RouterURL)
	if err != nil {
		t.Fatal(err)
	}
	p.open("/licenses/" + id)
	p.fill("path", d.info.RouterLicensePath)
	p.fill("port", router.Port())
	p.follow("Write the commands")
	expected := eval[string](p, `document.getElementById("expected").textContent`)
	run := func(step string) string {
		code := eval[string](p, `document.getElementById("`+step+`").textContent`)
		shell := exec.Command("sh", "-euc", code)
		shell.Dir = home
		shell.Env = append(os.Environ(), "HOME="+home, "PATH="+d.bin+":"+os.Getenv("PATH"), "LICENSECTL_KEYS="+d.info.KeysFile,
			"ADMIN_USER="+d.info.RouterAdminUser, "ADMIN_PASSWORD="+d.info.RouterAdminPassword, "ROUTER_TOKEN="+d.info.RouterToken)
		out, err := shell.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s\n%s", step, err, code, out)
		}
		return string(out)
	}
	run("cmd-check")
	run("cmd-keep")
	run("cmd-replace")
	if err := os.Chmod(d.info.RouterLicensePath, 0o644); err != nil { // the router runs as another user
		t.Fatal(err)
	}
	if backup, err := os.ReadFile(d.info.RouterLicensePath + ".before-" + id + ".bak"); err != nil || !bytes.Equal(backup, before) {
		t.Errorf("the copy of the license before is %q, %v", backup, err)
	}
	d.routerServes(t, id)

	answer, rest, _ := strings.Cut(run("cmd-see"), "\n")
	var reply struct {
		Version string `json:"router_version"`
	}
	if err := json.Unmarshal([]byte(answer), &reply); err != nil {
		t.Fatal(err)
	}
	if want := strings.Replace(expected, `"router_version":"…"`, `"router_version":"`+reply.Version+`"`, 1); answer != want {
		t.Errorf("the page says\n%s\nand the router\n%s", want, answer)
	}
	for _, part := range []string{`"customer_id"`, `"limits"`, `"data"`} {
		if !strings.Contains(rest, part) {
			t.Errorf("the other answers lack %s:\n%s", part, rest)
		}
	}
}
