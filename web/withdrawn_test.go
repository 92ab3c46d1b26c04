package web_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/license"
	"github.com/metrum-ai/licensing-portal/web/internal/fake"
)

// licenseOf is the license of an order, to be changed by a test.
func (s *site) licenseOf(order string) *fulfillment.License {
	for n := range s.services.LicenseList {
		if l := &s.services.LicenseList[n]; l.OrderID == order {
			return l
		}
	}
	s.t.Fatalf("no license of %s", order)
	return nil
}

func TestARevokedLicenseSaysSoAndIsNotHandedOut(t *testing.T) {
	t.Parallel()
	s := open(t)
	l, current := s.licenseOf(fake.OrderRevoked), s.licenseOf(fake.OrderTopped)
	b := s.as(fake.OwnerID)
	page := b.get("/licenses/" + l.ID)
	page.has(".note.bad", "Revoked on 22 Nov 2026: the payment was refunded")
	page.has(".note", "Stop using this file.")
	page.has(".note", "license-revoked")
	page.has(".hero .tag", "Revoked")
	page.has("#install", "it was revoked")
	page.has("#safe", "revoked")
	doc := page.doc()
	if doc.Find(".note").Length() != 1 || doc.Find(`.note a[href="/licenses/`+current.ID+`"]`).Length() != 1 || doc.Find(`.note a[href="/keys#revocations"]`).Length() != 1 {
		t.Error("not one notice that leads to the current license and the bundle")
	}
	for _, gone := range []string{`a[download]`, `a[href^="/renew/"]`, `a[href^="/top-up/"]`, `form[action$="/links"]`, `form[action$="/installed"]`} {
		if doc.Find(gone).Length() != 0 {
			t.Errorf("the page still has %s", gone)
		}
	}
	for _, path := range []string{"/license.json", "/license.json.sha256"} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			r := b.do(method, "/licenses/"+l.ID+path, nil)
			if r.status != http.StatusGone || !strings.HasPrefix(r.header.Get("Content-Type"), "text/html") || r.header.Get("Content-Disposition") != "" {
				t.Errorf("%s %s: %d %s", method, path, r.status, r.header.Get("Content-Type"))
			}
		}
	}
	b.get("/licenses/"+l.ID+"/license.json").has("main", "Revoked on 22 Nov 2026: the payment was refunded. Its file is not handed out any more.")
	if r := b.post("/licenses/"+l.ID+"/links", nil); r.status != http.StatusGone {
		t.Errorf("a new link: %d", r.status)
	}
	for _, path := range []string{"/renew/", "/top-up/"} {
		b.get(path+l.ID).has(".note", "Revoked on 22 Nov 2026: the payment was refunded. Nothing can be bought on it.")
	}
	order := b.get("/orders/" + fake.OrderRevoked)
	order.has("h1", "Your license was revoked")
	order.has("title", "Your license was revoked")
	order.has("#state", "Revoked on 22 Nov 2026: the payment was refunded.")
	order.has("#state", "Your router answers license-revoked once it is given the current revocation bundle, and notices nothing before that.")
	if order.doc().Find("a[download]").Length() != 0 {
		t.Error("the order's page still offers the file")
	}
}

func TestAnIssuedOrderIsCalledReadyForAsLongAsItsLicenseIsTheOneToUse(t *testing.T) {
	t.Parallel()
	said := func(status string, ago time.Duration) func(*fulfillment.License) {
		return func(l *fulfillment.License) {
			l.Withdrawn = &license.RevocationEntry{LicenseID: l.ID, Status: status, Reason: "key_rotation", EffectiveAt: fake.Now().Add(-ago)}
		}
	}
	expired := func(l *fulfillment.License) { l.Payload.ExpiresAt = fake.Now().Add(-time.Hour) }
	for name, c := range map[string]struct {
		change                      func(*fulfillment.License)
		heading, words, primary, to string
		file                        bool
	}{
		"valid":                  {func(*fulfillment.License) {}, "Your license is ready", "five install steps", "Download license.json", "/license.json", true},
		"not valid yet":          {func(l *fulfillment.License) { l.Payload.NotBefore = fake.Now().Add(time.Hour) }, "Your license is ready", "five install steps", "Download license.json", "/license.json", true},
		"expired":                {expired, "Your license has expired", "It stopped working on 23 Nov 2026", "Open the license", "", true},
		"expired, a newer one":   {func(l *fulfillment.License) { expired(l); l.SupersededBy = "lic_newer" }, "This license has expired", "The newer one took its place", "Open the newer license", "/licenses/lic_newer", true},
		"superseded":             {func(l *fulfillment.License) { l.SupersededBy = "lic_newer" }, "Your license was superseded", "It works until", "Open the newer license", "/licenses/lic_newer", true},
		"superseded by bundle":   {said(license.StatusSuperseded, time.Hour), "Your license was superseded", "Superseded on 23 Nov 2026", "Open the license", "", false},
		"to be superseded":       {said(license.StatusSuperseded, -time.Hour), "Your license is ready", "five install steps", "Download license.json", "/license.json", true},
		"suspended":              {said(license.StatusSuspended, time.Hour), "Your license is suspended", "Suspended since 23 Nov 2026", "Open the license", "", false},
		"revoked":                {said(license.StatusRevoked, time.Hour), "Your license was revoked", "Revoked on 23 Nov 2026", "Open the license", "", false},
		"expired, revoked since": {func(l *fulfillment.License) { expired(l); said(license.StatusRevoked, time.Minute)(l) }, "Your license was revoked", "Revoked on 23 Nov 2026", "Open the license", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			l := s.licenseOf(fake.OrderReady)
			c.change(l)
			r := s.as(fake.OwnerID).get("/orders/" + fake.OrderReady)
			r.has("h1", c.heading)
			r.has("title", c.heading)
			r.has("p.lead", c.words)
			r.has("#state a.btn.pri", c.primary)
			primary := r.doc().Find("#state a.btn.pri")
			if to := primary.AttrOr("href", ""); primary.Length() != 1 || (to != c.to && to != "/licenses/"+l.ID+c.to) {
				t.Errorf("%d primary buttons, the first to %q", primary.Length(), to)
			}
			if file := r.doc().Find("a[download]").Length() == 1; file != c.file {
				t.Errorf("the file is offered: %t", file)
			}
		})
	}
}

func TestALinkToARevokedLicenseSaysWhy(t *testing.T) {
	t.Parallel()
	s := open(t)
	l := s.licenseOf(fake.OrderReady)
	l.Withdrawn = &license.RevocationEntry{LicenseID: l.ID, Status: license.StatusRevoked, Reason: "leaked_file", EffectiveAt: fake.Now().Add(-time.Hour)}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		r := s.browser().do(method, "/d/"+fake.LiveToken, nil)
		if r.status != http.StatusGone || strings.Contains(r.header.Get("Content-Type"), "json") {
			t.Errorf("%s: %d %s", method, r.status, r.header.Get("Content-Type"))
		}
		r.has("h1", "This license was revoked")
		r.has("main", "Revoked on 23 Nov 2026: its file leaked.")
		if r.doc().Find("form[action^='/d/']").Length() != 0 {
			t.Error("the page still has the button")
		}
	}
	l.Withdrawn.Status = license.StatusSuspended
	page := s.browser().get("/d/" + fake.LiveToken)
	page.has(".note.warn", "Suspended since 23 Nov 2026: its file leaked")
	if r := s.browser().post("/d/"+fake.LiveToken, nil); r.status != http.StatusOK || r.body != string(l.Envelope) {
		t.Errorf("a suspended license: %d", r.status)
	}
}

func TestASuspendedLicenseSaysSoAndCanBeDownloaded(t *testing.T) {
	t.Parallel()
	s := open(t)
	l := s.licenseOf(fake.OrderSuspended)
	b := s.as(fake.OwnerID)
	page := b.get("/licenses/" + l.ID)
	page.has(".note.bad", "Suspended since 21 Nov 2026: the payment is disputed with the bank")
	page.has(".note", "license-suspended")
	page.has(".hero .tag", "Suspended")
	page.has("#install", "Not while it is suspended")
	if page.doc().Find(".note").Length() != 1 || page.doc().Find(`.hero a[download]`).Length() != 1 || page.doc().Find(`a[href^="/renew/"],a[href^="/top-up/"]`).Length() != 0 {
		t.Error("not one notice, a download and nothing for sale")
	}
	if r := b.get("/licenses/" + l.ID + "/license.json"); r.status != http.StatusOK || r.body != string(l.Envelope) {
		t.Errorf("download: %d", r.status)
	}
	b.get("/renew/"+l.ID).has(".note", "Settle that first")
	order := b.get("/orders/" + fake.OrderSuspended)
	order.has("h1", "Your license is suspended")
	order.has("#state", "Your router answers license-suspended once it is given the current revocation bundle, and notices nothing before that.")
}

func TestAReinstatedLicenseSaysWhatRoutersDoUntilTheyHaveTheBundle(t *testing.T) {
	t.Parallel()
	s := open(t)
	l := s.licenseOf(fake.OrderSuspended)
	l.Withdrawn, l.ReinstatedAt = nil, fake.Now().Add(-time.Hour)
	b := s.as(fake.OwnerID)
	page := b.get("/licenses/" + l.ID)
	page.has(".note.ok", "In force again since 23 Nov 2026")
	page.has(".note.ok", "A router with an older one refuses it until it is given the current one.")
	if page.doc().Find(".note").Length() != 1 {
		t.Error("not one notice")
	}
	order := b.get("/orders/" + fake.OrderSuspended)
	order.has("h1", "Your license is ready")
	order.has("#state", "It has been in force again since 23 Nov 2026.")
	order.has("#state", "there is nothing to install")
	l.ReinstatedAt = fake.Now().AddDate(0, 0, -36)
	for _, path := range []string{"/licenses/" + l.ID, "/orders/" + fake.OrderSuspended} {
		if strings.Contains(b.get(path).body, "does not name it any more") {
			t.Errorf("%s still tells of it when every older bundle has expired", path)
		}
	}
}

func TestAnOrderSaysWhatWasRefundedOfIt(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.as(fake.OwnerID)
	path, order := "/orders/"+fake.OrderReady, s.orderOf(fake.OrderReady)
	const kept = "The license stays in force"
	if r := b.get(path); strings.Contains(r.body, "refunded") {
		t.Error("the page tells of a refund where there was none")
	}
	order.Refunds = []fulfillment.Charge{{ID: "ch_1", Currency: "USD", Amount: 118881, AmountRefunded: 5000}}
	r := b.get(path)
	r.has("#state", "US$ 50.00 of the US$ 1,188.81 that you paid was refunded. "+kept)
	r.has("#receipt", "US$ 50.00 of US$ 1,188.81")
	order.Refunds = []fulfillment.Charge{{ID: "ch_1", Currency: "USD", Amount: 118881, AmountRefunded: 118881, Refunded: true}}
	r = b.get(path)
	r.has("#state", "A payment of US$ 1,188.81 was refunded in full.")
	if strings.Contains(r.body, kept) {
		t.Error("a refund in full promises the license")
	}
	revoked := s.orderOf(fake.OrderRevoked)
	revoked.Refunds = order.Refunds
	r = b.get("/orders/" + fake.OrderRevoked)
	r.has("#receipt", "US$ 1,188.81 of US$ 1,188.81")
	if strings.Contains(r.body, "A payment of") {
		t.Error("the refund that revoked the license is told twice")
	}
}

// orderOf is an order, to be changed by a test.
func (s *site) orderOf(id string) *fulfillment.Order {
	for n := range s.services.OrderList {
		if o := &s.services.OrderList[n]; o.ID == id {
			return o
		}
	}
	s.t.Fatalf("no order %s", id)
	return nil
}

func TestNoticesComeInTheirOrder(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.as(fake.OwnerID)
	pilot, newest := s.licenseOf("ord_01jcq0"), s.licenseOf(fake.OrderReady)
	for _, c := range []struct {
		status, by  string
		in          time.Duration
		class, want string
	}{
		{license.StatusRevoked, "", -time.Hour, "bad", "Revoked on 23 Nov 2026: it was replaced"},
		{license.StatusSuspended, "", -time.Hour, "bad", "Suspended since 23 Nov 2026: it was replaced"},
		{license.StatusSuperseded, newest.ID, -time.Hour, "bad", "Superseded on 23 Nov 2026 by"},
		{license.StatusSuperseded, newest.ID, 7 * 24 * time.Hour, "warn", "To be superseded on 30 Nov 2026, 12:45 UTC: it was replaced"},
		{license.StatusRevoked, "", time.Hour, "warn", "To be revoked on 23 Nov 2026, 13:45 UTC: it was replaced"},
	} {
		pilot.Withdrawn = &license.RevocationEntry{LicenseID: pilot.ID, Status: c.status, Reason: "replaced", EffectiveAt: fake.Now().Add(c.in), SupersededBy: c.by}
		page := b.get("/licenses/" + pilot.ID)
		page.has(".note."+c.class, c.want)
		if page.doc().Find(".note").Length() != 1 {
			t.Errorf("%s: not one notice", c.want)
		}
		b.get("/renew/"+pilot.ID).has(".note", "")
		b.get("/licenses?show=all").has("table", "it was replaced")
		b.get("/licenses/"+newest.ID).has("main", strings.ToLower(c.status))
	}
	pilot.Withdrawn = nil
	b.get("/licenses/"+pilot.ID).has(".note", "superseded on 20 Nov 2026")
	// The way back is no way where it was revoked.
	pilot.Withdrawn = &license.RevocationEntry{LicenseID: pilot.ID, Status: license.StatusRevoked, EffectiveAt: fake.Now().Add(-time.Hour)}
	r := b.get("/licenses/" + newest.ID)
	r.has("#install", "You can't go back: "+pilot.ID+" was revoked on 23 Nov 2026, 11:45 UTC.")
	if strings.Contains(r.body, "probably still running the previous license") {
		t.Error("the page reckons with a license that was revoked")
	}
}

func TestListsAndOverviewTellWhatWasWithdrawn(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.as(fake.OwnerID)
	all := b.get("/licenses?show=all")
	all.has("main", "since 22 Nov 2026: the payment was refunded")
	all.has("main", "since 21 Nov 2026: the payment is disputed with the bank")
	home := b.get("/")
	revoked, suspended := s.licenseOf(fake.OrderRevoked), s.licenseOf(fake.OrderSuspended)
	home.has("main", "Credit pack, 25M tokens for router-edge was revoked")
	home.has("main", "Credit pack, 5M tokens for router-lab is suspended")
	for _, l := range []*fulfillment.License{revoked, suspended} {
		if home.doc().Find(`ul.rows a[href="/licenses/`+l.ID+`"]`).Length() != 1 {
			t.Errorf("nothing leads to %s", l.ID)
		}
	}
	if first := home.doc().Find("ul.rows li").First().Text(); !strings.Contains(first, "is suspended") && !strings.Contains(first, "was revoked") {
		t.Errorf("first of all is %q", first)
	}
	revoked.Withdrawn.EffectiveAt = fake.Now().AddDate(0, 0, -31)
	if strings.Contains(b.get("/").body, "was revoked") {
		t.Error("after a month it still needs someone")
	}
	if strings.Contains(b.get("/packages/credit-pack-5m").body, suspended.ID) {
		t.Error("a pack is offered on a suspended license")
	}
}

func TestTheRevocationBundleIsPublicAndExact(t *testing.T) {
	t.Parallel()
	s := open(t)
	b, bundle := s.browser(), s.services.RevocationValue
	r := b.get("/revocations.json")
	tag := `"` + bundle.SHA256 + `"`
	for name, want := range map[string]string{
		"Content-Type": "application/json", "Content-Disposition": `attachment; filename="revocations.json"`, "Cache-Control": "public, max-age=60",
		"Etag": tag, "X-Content-Type-Options": "nosniff", "Set-Cookie": "", "Vary": "", "Content-Encoding": "",
	} {
		if got := r.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if r.status != 200 || r.body != string(bundle.Envelope) || r.header.Get("Repr-Digest") == "" {
		t.Errorf("%d, %d bytes", r.status, len(r.body))
	}
	if r := b.do(http.MethodGet, "/revocations.json", nil, "If-None-Match", tag); r.status != http.StatusNotModified || r.body != "" {
		t.Errorf("to who has it: %d", r.status)
	}
	if r := b.do(http.MethodHead, "/revocations.json", nil); r.status != 200 || r.body != "" {
		t.Errorf("HEAD: %d", r.status)
	}
	page := b.get("/keys")
	page.has("main", "1795344300")
	page.has("main", bundle.SHA256)
	page.has("main", "22 Nov 2026, 10:45 UTC")
	page.has("main", "27 Dec 2026, 10:45 UTC")
	page.has("#revocations", "Revocations")
	page.has("main", "licensectl revocations")
	page.has("main", "set the field Revocation")
	page.has("main", "A router learns of a revocation only from a bundle that it is given.")
	page.has("main", "http://localhost/revocations.json")

	s.services.RevocationValue, s.services.RevocationError = fulfillment.RevocationBundle{}, errors.Join(fulfillment.ErrUnavailable)
	if r := b.get("/revocations.json"); r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") == "" || r.header.Get("Etag") != "" {
		t.Errorf("without one: %d", r.status)
	}
	b.get("/keys").has("main", "The bundle cannot be shown at the moment")
}
