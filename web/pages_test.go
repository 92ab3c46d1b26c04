package web_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/web"
	"github.com/metrum-ai/licensing-portal/web/internal/fake"
)

func TestSignInByLinkNeedsTheSameBrowserAndAButton(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.browser()
	email := "owner@halden.example"
	b.post("/sign-in", url.Values{"email": {email}, "return_to": {"/orders"}}).goes(303, "/sign-in/sent")
	b.get("/sign-in/sent").has(".lead", "If o…@halden.example may sign in here")
	link := "/sign-in/confirm?t=" + fake.Token(email)

	s.browser().get(link).has("h1", "Open the link in the browser where you asked for it")
	for range 2 { // a mail scanner and a person
		b.get(link).has("h1", "Sign in as o…@halden.example?")
	}
	before := b.cookie("session")
	b.post("/sign-in/confirm", url.Values{"t": {fake.Token(email)}}).goes(303, "/orders")
	if b.cookie("session") == before {
		t.Error("the session kept its token at sign-in")
	}
	b.get("/orders").has(".who", "Halden Robotics")
	again := b.get(link)
	again.has("h1", "This link was already used")
	if again.status != 410 {
		t.Errorf("used link: %d", again.status)
	}
	if strings.Contains(s.log.String(), email) || strings.Contains(s.log.String(), fake.Token(email)) {
		t.Error("the log holds an address or a token")
	}
}

func (b *browser) cookie(name string) string {
	u, _ := url.Parse(b.url)
	for _, c := range b.client.Jar.Cookies(u) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

func TestSignInMistakes(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.browser()
	r := b.post("/sign-in", url.Values{"email": {"nobody"}})
	r.has("title", "Error: Sign in")
	r.has(".errors", "There is a problem")
	if got := r.doc().Find("#f-email").AttrOr("value", ""); got != "nobody" || r.status != 400 {
		t.Errorf("%d, the form forgot %q", r.status, got)
	}
	if r.doc().Find(`.errors a[href="#f-email"]`).Length() != 1 {
		t.Error("the summary does not lead to the field")
	}
	limited := b.post("/sign-in", url.Values{"email": {"limited@halden.example"}})
	limited.has("main", "Try again at 23 Nov 2026, 14:05 UTC")
	if limited.status != 429 || limited.header.Get("Retry-After") == "" {
		t.Errorf("limited: %d", limited.status)
	}
	b.post("/sign-in", url.Values{"email": {"owner@halden.example"}})
	b.post("/sign-in/code", url.Values{"code": {"000000"}}).has(".ferr", "That is not the code")
	if r := b.post("/sign-in/resend", nil); r.status != 429 {
		t.Errorf("a second mail at once: %d", r.status)
	}
	if r := b.do("POST", "/sign-in", nil, "Content-Type", "application/json"); r.status != 415 {
		t.Errorf("JSON: %d", r.status)
	}
	if r := b.post("/sign-in", url.Values{"email": {strings.Repeat("x", 70<<10)}}); r.status != 413 {
		t.Errorf("a large form: %d", r.status)
	}
	b.post("/sign-in", url.Values{"email": {"owner@halden.example"}, "return_to": {"//evil.example"}})
	b.post("/sign-in/code", url.Values{"code": {fake.Code}}).goes(303, "/")
}

func TestNewcomerNamesAnOrganizationAndSeveralChoose(t *testing.T) {
	t.Parallel()
	s := open(t)
	n := s.as(fake.NewcomerID)
	n.get("/orders").goes(303, "/welcome")
	n.post("/welcome", url.Values{"name": {""}}).has(".ferr", "Enter a name")
	n.post("/welcome", url.Values{"name": {"New GmbH"}}).goes(303, "/")
	n.get("/").has("ol.three", "Choose")
	m := s.as(fake.SeveralID)
	m.get("/licenses").goes(303, "/sign-in/choose")
	m.post("/sign-in/choose", url.Values{"organization": {fake.OtherID}}).goes(303, "/")
	m.get("/orders").has(".who", "Lumen Health AB")
	s.services.Members[fake.SeveralID] = s.services.Members[fake.SeveralID][:1]
	m.get("/orders").goes(303, "/sign-in/choose") // left that organization: access is gone at once
}

func TestFormsOfOtherSitesAreRefused(t *testing.T) {
	t.Parallel()
	s := open(t)
	r := s.as(fake.OwnerID).do("POST", "/orders/"+fake.OrderAwaiting+"/cancel", nil, "Sec-Fetch-Site", "cross-site")
	if r.status != 403 {
		t.Errorf("cross-site form: %d", r.status)
	}
	r.has("h1", "That form came from another site")
}

func TestCookiesAreBoundToTheHostUnderHTTPS(t *testing.T) {
	t.Parallel()
	h, err := web.New(config(fake.New(fake.Now), "https://portal.example"))
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("POST", "/sign-in", strings.NewReader("email=owner%40halden.example"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	names := ""
	for _, c := range w.Result().Cookies() {
		names += c.Name + " "
		if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
			t.Errorf("cookie %+v", c)
		}
	}
	if !strings.Contains(names, "__Host-session") || !strings.Contains(names, "__Host-browser") {
		t.Errorf("cookies %s", names)
	}
	if w.Header().Get("Strict-Transport-Security") == "" {
		t.Error("no HSTS")
	}
}

func TestPackagesListWhatIsSoldHereAlone(t *testing.T) {
	t.Parallel()
	b := open(t).browser()
	r := b.get("/packages")
	if n := r.doc().Find(".pkg").Length(); n != 8 {
		t.Errorf("%d packages", n)
	}
	r.has("main", "Unused volume does not carry over")
	b.get("/packages/enterprise-annual").has("main", "How to get a quote")
	pack := b.get("/packages/credit-pack-5m")
	pack.has(".price", "US$ 250.00")
	pack.has("aside", "unused volume does not carry over")
}

func TestASubscriptionIsSoldWithItsPriceItsRhythmAndItsEnd(t *testing.T) {
	t.Parallel()
	b := open(t).browser()
	for sku, want := range map[string][2]string{"hosted-instance-monthly": {"US$ 499.00", "month"}, "hosted-instance-annual": {"US$ 4,990.00", "year"}} {
		p := b.get("/packages/" + sku)
		p.has(".price", want[0]+" a "+want[1])
		p.has(".get", "without tax, each "+want[1]+" until you cancel")
		p.has("aside", "Stripe charges "+want[0])
		p.has("aside", "Cancel at any time under Manage billing")
	}
}

func TestClosedPackageSaysSo(t *testing.T) {
	t.Parallel()
	s := open(t)
	closed := fake.Now().Add(-time.Hour)
	for n := range s.services.BundleValue.Templates {
		s.services.BundleValue.Templates[n].ClosedAt = &closed
	}
	b := s.browser()
	if r := b.get("/packages/pilot-30d"); r.status != 410 {
		t.Errorf("closed package: %d", r.status)
	}
	b.get("/packages").has("main", "No package is open for order")
}

func TestCheckoutKeepsAnswers(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.as(fake.OwnerID)
	r := b.post("/checkout/pilot-30d", url.Values{"deployment": {"new"}, "environment": {"staging"}, "fingerprint": {"box-1"}, "form_key": {"k1"}})
	if r.status != 422 {
		t.Fatalf("no name: %d", r.status)
	}
	r.has(".errors", "Enter a name for the new deployment")
	if r.doc().Find(`input[name=environment][value=staging][checked]`).Length() != 1 || r.doc().Find("#f-fingerprint").AttrOr("value", "") != "box-1" {
		t.Error("the answers are gone")
	}
	b.post("/checkout/pilot-30d", url.Values{"deployment": {"dep_routereu"}, "environment": {"staging"}, "fingerprint": {"refused"}, "form_key": {"k1"}}).has(".errors", "That fingerprint is not plain text")
	b.post("/checkout/eval-72h", url.Values{"deployment": {"dep_routereu"}, "environment": {"staging"}, "fingerprint": {"box-1"}, "form_key": {"k1"}}).
		has(".errors", "Enter no fingerprint: this license will not be bound to an instance")

	answers := url.Values{"deployment": {"dep_routereu"}, "environment": {"staging"}, "fingerprint": {"box-1"}, "form_key": {"k1"}}
	b.post("/checkout/pilot-30d", answers).goes(303, "/checkout/review?order=ord_newk1")
	review := b.get("/checkout/review?order=ord_newk1")
	for _, want := range []string{"router-eu", "staging", "box-1", "US$ 999.00", "23 Dec 2026, 12:45 UTC"} {
		review.has(".answers", want)
	}
	review.has("button.pri", "Pay US$ 999.00 with Stripe")
	change := review.doc().Find(".answers a").Last().AttrOr("href", "")
	if b.get(change).doc().Find(`input[value=dep_routereu][checked]`).Length() != 1 {
		t.Errorf("%s does not keep the answers", change)
	}
	b.post("/orders/ord_newk1/pay", url.Values{"total": {"99900"}}).goes(303, fake.CheckoutURL)
	b.post("/orders/ord_newk1/pay", url.Values{"total": {"89900"}}).goes(303, "/checkout/review?order=ord_newk1&was=89900")
	b.get("/checkout/review?order=ord_newk1&was=89900").has(".note", "From US$ 899.00 to US$ 999.00. Nothing was charged.")
}

func TestPayWhenStripeIsDownOrPaidAlready(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.as(fake.OwnerID)
	s.services.CheckoutError = fulfillment.ErrUnavailable
	if r := b.post("/orders/"+fake.OrderFailed+"/pay", nil); r.status != 503 || r.header.Get("Retry-After") == "" {
		t.Errorf("Stripe down: %d", r.status)
	}
	s.services.CheckoutError = fulfillment.ErrNotPayable
	b.post("/orders/"+fake.OrderReady+"/pay", nil).goes(303, "/orders/"+fake.OrderReady)
	s.services.CheckoutError = fulfillment.ErrFrozen
	if r := b.post("/orders/"+fake.OrderFailed+"/pay", nil); r.status != 409 {
		t.Errorf("a base that was replaced: %d", r.status)
	}
	s.services.CheckoutError = fulfillment.ErrPriceChanged
	b.post("/orders/"+fake.OrderDraft+"/pay", url.Values{"total": {"100000"}}).goes(303, "/checkout/review?order="+fake.OrderDraft+"&was=100000")
	s.services.CheckoutError = &fulfillment.ValidationError{Fields: []fulfillment.FieldError{{Field: "deployment_name", Message: "Taken."}}}
	taken := b.post("/orders/"+fake.OrderDraft+"/pay", url.Values{"total": {"100000"}})
	taken.goes(303, "/checkout/credit-pack-25m?order="+fake.OrderDraft+"&taken=1")
	b.get(taken.header.Get("Location")).has(".ferr", "You have a deployment of this name")
	s.services.CheckoutError = errors.New("inner secret")
	if r := b.post("/orders/"+fake.OrderFailed+"/pay", nil); r.status != 500 || strings.Contains(r.body, "inner secret") || !strings.Contains(r.body, r.header.Get("X-Request-Id")) {
		t.Errorf("a failure: %d", r.status)
	}
}

func TestOrderPageInEveryState(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.as(fake.OwnerID)
	for _, c := range []struct {
		id, heading, words string
		live               bool
	}{
		{fake.OrderAwaiting, "Checking your payment", "US$ 250.00", true},
		{fake.OrderBank, "Waiting for your bank", "1 to 5 working days", false},
		{fake.OrderReview, "We are checking your order", "a person looks at it", true},
		{fake.OrderPaid, "Paid, not yet issued", "Your payment of US$ 250.00 is safe", true},
		{fake.OrderFailed, "Payment was not taken", "insufficient funds", false},
		{fake.OrderReady, "Your license is ready", "Download license.json", false},
		{fake.OrderCanceled, "This order was canceled", "Nothing was charged", false},
	} {
		r := b.get("/orders/" + c.id)
		r.has("h1", c.heading)
		r.has("main", c.words)
		if strings.Contains(r.body, "internal words for staff") {
			t.Errorf("%s shows the reasons for staff", c.id)
		}
		live := r.doc().Find(`[hx-sse\:connect]`).Length() == 1
		refresh := strings.Contains(r.body, `<noscript><meta http-equiv="refresh" content="5"`)
		if live != c.live || refresh != c.live {
			t.Errorf("%s: live %t, refresh %t, want %t", c.id, live, refresh, c.live)
		}
		if off := b.get("/orders/" + c.id + "?live=off"); strings.Contains(off.body, `http-equiv="refresh"`) {
			t.Errorf("%s still refreshes with live=off", c.id)
		}
	}
	b.get("/orders/"+fake.OrderDraft).goes(303, "/checkout/review?order="+fake.OrderDraft)
	if href, _ := b.get("/orders/" + fake.OrderReady).doc().Find(`.receipt dd a`).Attr("href"); href != "https://pay.stripe.example/receipts/1" {
		t.Errorf("the receipt leads to %q", href)
	}
}

// message is one server-sent event.
type message struct{ id, event, data string }

func (b *browser) stream(ctx context.Context, path string) <-chan message {
	b.t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.url+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Last-Event-ID", "3-late") // a reconnect gets the state first all the same
	res, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	if got := res.Header.Get("Content-Type"); got != "text/event-stream" {
		b.t.Fatalf("content type %q", got)
	}
	out := make(chan message)
	go func() {
		defer close(out)
		defer res.Body.Close()
		var m message
		lines := bufio.NewScanner(res.Body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "id":
				m.id = value
			case "event":
				m.event = value
			case "data":
				m.data += value + "\n"
			case "":
				if m != (message{}) {
					out <- m
				}
				m = message{}
			}
		}
	}()
	return out
}

func TestStreamSendsStateFirstThenChangesThenDone(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.as(fake.OwnerID)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	messages := b.stream(ctx, "/orders/"+fake.OrderPaid+"/events")
	first := <-messages
	if first.id != "3-late" || !strings.Contains(first.data, "Paid, not yet issued") {
		t.Fatalf("first message %+v", first)
	}
	o, err := s.services.Order(ctx, fake.OrganizationID, fake.OrderPaid)
	if err != nil {
		t.Fatal(err)
	}
	o.State, o.LicenseID, o.IssuedAt, o.Revision = fulfillment.StateIssued, s.newest(), fake.Now(), 4
	s.services.SetOrder(o)
	changed := <-messages
	if changed.id != "4-ready" || !strings.Contains(changed.data, "Your license is ready") || !strings.Contains(changed.data, "/license.json") {
		t.Fatalf("after the change %+v", changed)
	}
	if last := <-messages; last.event != "done" {
		t.Fatalf("last message %+v", last)
	}
	if _, more := <-messages; more {
		t.Error("the stream goes on after done")
	}
}

func TestStreamOfAFinishedOrderEndsAtOnce(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	messages := s.as(fake.OwnerID).stream(ctx, "/orders/"+fake.OrderReady+"/events")
	if first := <-messages; first.id != "3-ready" {
		t.Errorf("first %+v", first)
	}
	if last := <-messages; last.event != "done" {
		t.Errorf("last %+v", last)
	}
}

func TestDownloadIsTheExactBytes(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.as(fake.OwnerID)
	l := s.services.LicenseList[0]
	r := b.get("/licenses/" + l.ID + "/license.json")
	sum := sha256.Sum256([]byte(r.body))
	for name, want := range map[string]string{
		"Content-Disposition": `attachment; filename="license.json"`, "Cache-Control": "private, no-store", "Content-Type": "application/json",
		"Repr-Digest": "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":", "X-Content-Type-Options": "nosniff",
	} {
		if got := r.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if r.body != string(l.Envelope) {
		t.Error("other bytes")
	}
	digest := hex.EncodeToString(sum[:])
	if got := b.get("/licenses/" + l.ID + "/license.json.sha256").body; got != digest+"  license.json\n" {
		t.Errorf("checksum file %q", got)
	}
	b.get("/licenses/"+l.ID).has("#cmd-check", digest)
}

func TestLicensePage(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.as(fake.OwnerID)
	l := s.services.LicenseList[0]
	r := b.get("/licenses/" + l.ID + "?platform=binary&path=/srv/lic.json&port=9000")
	r.has(".note", "Your router is probably still running the previous license.")
	r.has("#cmd-replace", "sudo mv -f /srv/.license.json.new /srv/lic.json")
	r.has("#cmd-see", "localhost:9000/readyz")
	r.has(".steps .out", `"license_id":"`+l.ID+`"`)
	if n := r.doc().Find(".note").Length(); n != 1 {
		t.Errorf("%d notices", n)
	}
	bad := b.get("/licenses/" + l.ID + "?platform=binary&path=$(reboot)&port=0")
	bad.has("#install", "Use a path of letters")
	if strings.Contains(bad.text("#cmd-replace"), "reboot") {
		t.Error("a command holds what is no path")
	}
	pilot := s.services.LicenseList[1]
	b.get("/licenses/"+pilot.ID).has(".note", "superseded on 20 Nov 2026")
	b.post("/licenses/"+l.ID+"/installed", url.Values{"installed": {"yes"}}).goes(303, "/licenses/"+l.ID+"#install")
	if n := b.get("/licenses/" + l.ID).doc().Find(".note").Length(); n != 0 {
		t.Errorf("%d notices after the mark", n)
	}
}

func TestTopUpSaysWhatIsLost(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.as(fake.OwnerID)
	pack := s.services.LicenseList[3].ID
	r := b.get("/top-up/" + pack + "?sku=credit-pack-5m")
	r.has(".note", "Unused volume does not carry over to the next license. The expiry moves to 23 Nov 2027, 12:45 UTC.")
	r.has("table", "Loses admin_reports, usage_baseline_export, usage_csv_export")
	b.get("/top-up/"+s.newest()).has(".note", "No volume can be added")
	b.post("/checkout/credit-pack-5m", url.Values{"top_up": {pack}, "form_key": {"t1"}}).goes(303, "/checkout/review?order=ord_newt1")
	b.get("/checkout/review?order=ord_newt1").has("main", "Unused volume does not carry over")
	b.get("/renew/"+s.newest()).has("main", "renewing early loses nothing")
	b.get("/renew/"+s.services.LicenseList[2].ID).has(".note", "A newer license of this deployment exists")
}

func TestRedownloadLinks(t *testing.T) {
	t.Parallel()
	s := open(t)
	b, guest := s.as(fake.OwnerID), s.browser()
	made := b.post("/licenses/"+s.newest()+"/links", nil)
	made.has("#made-link", "http://localhost/d/made-token-0123456789")
	if strings.Contains(b.get("/licenses/"+s.newest()).body, "made-token") {
		t.Error("the token is shown again")
	}
	before := s.services.Changes()
	for range 2 {
		guest.get("/d/made-token-0123456789").has("button", "Download license.json")
		guest.do(http.MethodHead, "/d/made-token-0123456789", nil)
	}
	if s.services.Changes() != before {
		t.Error("opening the link changed something")
	}
	if r := guest.post("/d/made-token-0123456789", nil); r.body != string(s.services.LicenseList[0].Envelope) {
		t.Error("other bytes")
	}
	b.post("/licenses/"+s.newest()+"/links/lnk_made/revoke", nil)
	for token, want := range map[string]string{
		"made-token-0123456789": "This link was revoked", fake.RevokedToken: "This link was revoked", fake.ExpiredToken: "This link expired",
	} {
		for _, r := range []reply{guest.get("/d/" + token), guest.post("/d/"+token, nil)} {
			r.has("h1", want)
			if r.status != 410 {
				t.Errorf("%s: %d", token, r.status)
			}
		}
	}
	if r := guest.post("/d/nonsense", nil); r.status != 404 || r.text("h1") != "We do not know this link" {
		t.Errorf("unknown: %d", r.status)
	}
}

func TestErrorPagesNeedNoService(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.as(fake.OwnerID)
	if r := b.get("/nowhere"); r.status != 404 || r.text("h1") != "Page not found" {
		t.Errorf("unknown page: %d", r.status)
	}
	if r := b.do(http.MethodDelete, "/orders", nil); r.status != 405 || r.text("h1") == "" {
		t.Errorf("wrong method: %d %q", r.status, r.body)
	}
	s.services.MembershipsError = fulfillment.ErrUnavailable
	if r := b.get("/orders"); r.status != 503 || r.text("h1") != "A part of the portal does not answer" {
		t.Errorf("database down: %d", r.status)
	}
}

func TestThemeIsAFormAndACookie(t *testing.T) {
	t.Parallel()
	b := open(t).browser()
	b.post("/preferences/theme", url.Values{"theme": {"dark"}, "return_to": {"/packages"}}).goes(303, "/packages")
	if got := b.get("/packages").doc().Find("html").AttrOr("data-theme", ""); got != "dark" {
		t.Errorf("theme %q", got)
	}
	b.post("/preferences/theme", url.Values{"theme": {"x\" onload"}, "return_to": {"https://evil.example"}}).goes(303, "/")
	if got := b.get("/").doc().Find("html").AttrOr("data-theme", "?"); got != "" {
		t.Errorf("theme %q", got)
	}
}

func TestStaticFilesAreNamedByContent(t *testing.T) {
	t.Parallel()
	b := open(t).browser()
	sheet := b.get("/").doc().Find("link[rel=stylesheet]").AttrOr("href", "")
	r := b.get(sheet)
	if !strings.Contains(r.header.Get("Cache-Control"), "immutable") || !strings.HasPrefix(r.header.Get("Content-Type"), "text/css") {
		t.Errorf("%v", r.header)
	}
	if strings.Contains(r.body, `url("inter`) || !strings.Contains(r.body, `url("/static/inter-latin.`) {
		t.Error("fonts are not named by content")
	}
}

// TestFirstVisitIsLight adds up what a browser without a cache loads for the heaviest pages, compressed.
func TestFirstVisitIsLight(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.as(fake.OwnerID)
	for _, page := range []string{"/", "/orders/" + fake.OrderPaid, "/licenses/" + s.newest(), "/packages"} {
		size := func(path string) int { return len(b.do(http.MethodGet, path, nil, "Accept-Encoding", "gzip").body) }
		again := size(page)
		total := again
		for _, n := range b.get(page).doc().Find("link[href], script[src]").EachIter() {
			total += size(n.AttrOr("href", n.AttrOr("src", "")))
		}
		mono := b.get(b.get(page).doc().Find("link[rel=stylesheet]").AttrOr("href", "")).body
		_, mono, _ = strings.Cut(mono, `url("/static/jetbrains`)
		mono, _, _ = strings.Cut(mono, `"`)
		total += size("/static/jetbrains" + mono)
		if total > 150_000 || total < 90_000 || again > 30_000 {
			t.Errorf("%s: %d bytes at the first visit, %d afterwards", page, total, again)
		}
	}
}

// The memory that pages are rendered in is used again: what one organization was shown must reach no other.
func TestPagesAskedForAtOnceShowEachTheirOwn(t *testing.T) {
	t.Parallel()
	s := open(t)
	var wait sync.WaitGroup
	for user, names := range map[string][2]string{
		fake.OwnerID: {"Halden Robotics", "Lumen Health AB"}, fake.StrangerID: {"Lumen Health AB", "Halden Robotics"},
	} {
		b := s.as(user)
		for range 4 {
			wait.Go(func() {
				for range 25 {
					for _, path := range []string{"/", "/licenses", "/no-such-page"} {
						r := b.get(path)
						if !strings.Contains(r.body, names[0]) || strings.Contains(r.body, names[1]) || !strings.HasSuffix(strings.TrimSpace(r.body), "</html>") {
							t.Errorf("%s of %s is not theirs, or not whole", path, names[0])
						}
					}
				}
			})
		}
	}
	wait.Wait()
}
