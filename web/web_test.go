package web_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/PuerkitoBio/goquery"
	"github.com/alexedwards/scs/v2/memstore"

	"github.com/metrum-ai/licensing-portal/web"
	"github.com/metrum-ai/licensing-portal/web/internal/fake"
)

// site is the handler behind a test server, and the services behind it.
type site struct {
	t        *testing.T
	services *fake.Services
	handler  http.Handler
	url      string
	log      *safeBuffer
}

// safeBuffer is a log that handlers of several connections write.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func config(s *fake.Services, public string) web.Config {
	u, _ := url.Parse(public)
	return web.Config{
		PublicURL: u, Accounts: fake.Accounts{Services: s}, Catalog: s, Orders: s, Quotes: fake.Quotes{Services: s}, Previewer: s, Subscriptions: fake.Subscriptions{Services: s}, Licenses: fake.Licenses{Services: s},
		Links: fake.Links{Services: s}, Inbox: s, Revocations: fake.Revocations{Services: s}, Health: s, Enrollment: fake.Enrollment{Services: s}, Requests: fake.Requests{Services: s}, SessionStore: memstore.NewWithCleanupInterval(0),
		BillingOrigin: "https://billing.stripe.example", CheckoutOrigin: "https://checkout.stripe.example", Contact: "licensing@metrum.example", Clock: fake.Now,
	}
}

func open(t *testing.T, change ...func(*web.Config)) *site {
	t.Helper()
	s := &site{t: t, services: fake.New(fake.Now), log: &safeBuffer{}}
	c := config(s.services, "http://localhost")
	c.Logger = slog.New(slog.NewJSONHandler(s.log, nil))
	for _, f := range change {
		f(&c)
	}
	h, err := web.New(c)
	if err != nil {
		t.Fatal(err)
	}
	s.handler = h
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// browser is one person's browser; it does not follow redirects.
type browser struct {
	*site
	client *http.Client
}

func (s *site) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return &browser{site: s, client: &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// as signs in one of the fake's users by the code.
func (s *site) as(userID string) *browser {
	b := s.browser()
	b.post("/sign-in", url.Values{"email": {s.services.Users[userID].Email}})
	if r := b.post("/sign-in/code", url.Values{"code": {fake.Code}}); r.status != http.StatusSeeOther {
		s.t.Fatalf("sign-in of %s: %d", userID, r.status)
	}
	return b
}

// reply is an answer, read whole.
type reply struct {
	t      *testing.T
	status int
	header http.Header
	body   string
}

func (b *browser) do(method, path string, form url.Values, headers ...string) reply {
	b.t.Helper()
	r, err := http.NewRequest(method, b.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	if form != nil || method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for n := 0; n < len(headers); n += 2 {
		r.Header.Set(headers[n], headers[n+1])
	}
	res, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return reply{t: b.t, status: res.StatusCode, header: res.Header, body: string(body)}
}

func (b *browser) get(path string) reply { b.t.Helper(); return b.do(http.MethodGet, path, nil) }
func (b *browser) post(path string, form url.Values) reply {
	b.t.Helper()
	return b.do(http.MethodPost, path, form)
}

func (r reply) doc() *goquery.Document {
	r.t.Helper()
	d, err := goquery.NewDocumentFromReader(strings.NewReader(r.body))
	if err != nil {
		r.t.Fatal(err)
	}
	return d
}

// text is the words of the first match, with plain single spaces.
func (r reply) text(selector string) string {
	r.t.Helper()
	return strings.Join(strings.Fields(strings.ReplaceAll(r.doc().Find(selector).First().Text(), "\u00a0", " ")), " ")
}

func (r reply) has(selector, words string) {
	r.t.Helper()
	if got := r.text(selector); !strings.Contains(got, words) {
		r.t.Errorf("%s is %q, want %q in it", selector, got, words)
	}
}

func (r reply) goes(status int, location string) {
	r.t.Helper()
	if r.status != status || r.header.Get("Location") != location {
		r.t.Errorf("answer %d to %q, want %d to %q", r.status, r.header.Get("Location"), status, location)
	}
}

func (s *site) newest() string { return s.services.LicenseList[0].ID }

func TestNewTellsEverythingThatIsMissing(t *testing.T) {
	t.Parallel()
	_, err := web.New(web.Config{})
	if err == nil {
		t.Fatal("an empty configuration was taken")
	}
	for _, want := range []string{"Accounts", "Catalog", "Orders", "Quotes", "Previewer", "Licenses", "Links", "Inbox", "Health", "Enrollment", "Requests", "SessionStore", "CheckoutOrigin", "Contact", "PublicURL"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %s", err, want)
		}
	}
}

func TestWebhookLimits(t *testing.T) {
	t.Parallel()
	down := errors.New("no database")
	for _, c := range []struct {
		name, contentType, signature string
		size                         int
		err                          error
		want                         int
	}{
		{"a signed event", "application/json", "good", 10, nil, 200},
		{"with a charset", "application/json; charset=utf-8", "good", 10, nil, 200},
		{"at the limit", "application/json", "good", 512 << 10, nil, 200},
		{"over the limit", "application/json", "good", 512<<10 + 1, nil, 413},
		{"a bad signature", "application/json", "bad", 10, nil, 400},
		{"no signature", "application/json", "", 10, nil, 400},
		{"a form", "application/x-www-form-urlencoded", "good", 10, nil, 415},
		{"no content type", "", "good", 10, nil, 415},
		{"database down", "application/json", "good", 10, down, 503},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			s.services.WebhookError = c.err
			r := httptest.NewRequest(http.MethodPost, "/webhooks/stripe", strings.NewReader(strings.Repeat("x", c.size)))
			r.Header.Set("Content-Type", c.contentType)
			r.Header.Set("Stripe-Signature", c.signature)
			w := httptest.NewRecorder()
			s.handler.ServeHTTP(w, r)
			if w.Code != c.want {
				t.Errorf("status %d, want %d: %s", w.Code, c.want, w.Body)
			}
			if stored := len(s.services.Webhooks); (stored == 1) != (c.want == 200) {
				t.Errorf("%d events stored", stored)
			}
			if strings.Contains(w.Body.String(), "no database") {
				t.Error("the answer tells what went wrong inside")
			}
			if w.Result().Header.Get("Set-Cookie") != "" {
				t.Error("a webhook got a session")
			}
		})
	}
}

func TestHealthNamesWhatIsDownAndNotWhy(t *testing.T) {
	t.Parallel()
	s := open(t)
	if r := s.browser().get("/healthz"); r.status != 200 {
		t.Errorf("well: %d", r.status)
	}
	s.services.HealthError = errors.New("secret path")
	r := s.browser().get("/healthz")
	var answer struct {
		Status string
		Parts  map[string]string
	}
	if err := json.Unmarshal([]byte(r.body), &answer); err != nil {
		t.Fatal(err)
	}
	if r.status != 503 || answer.Parts["signer"] != "down" || answer.Parts["database"] != "ok" || strings.Contains(r.body, "secret") {
		t.Errorf("%d %s", r.status, r.body)
	}
}
