package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// clear fails unless an answer is a page that says what happened, names the request, and is guarded as every page is.
func (c *client) clear(what string, r reply, status int, words string) {
	c.t.Helper()
	text := regexp.MustCompile(`\s+`).ReplaceAllString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(r.body, " "), " ")
	id := r.header.Get("X-Request-Id")
	switch {
	case r.status != status:
		c.t.Errorf("%s: status %d, want %d", what, r.status, status)
	case !strings.Contains(text, words):
		c.t.Errorf("%s: does not say %q:\n%s", what, words, text)
	case id == "" || (status >= 400 && strings.Contains(r.body, "Request") && !strings.Contains(r.body, id)):
		c.t.Errorf("%s: does not name its request", what)
	}
	for name, want := range map[string]string{
		"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
	} {
		if got := r.header.Get(name); got != want {
			c.t.Errorf("%s: %s is %q", what, name, got)
		}
	}
	if csp := r.header.Get("Content-Security-Policy"); !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") {
		c.t.Errorf("%s: Content-Security-Policy is %q", what, csp)
	}
	if inside := internals.FindString(r.body); inside != "" {
		c.t.Errorf("%s: shows %q", what, inside)
	}
}

// panicked is what Go says of a panic; a random ID may hold the letters.
var panicked = regexp.MustCompile(`\bpanic\b`)

// internals are words of the program's own, looked for as whole words: a page holds many random IDs, whose letters may
// spell a short one.
var internals = regexp.MustCompile(`\b(SQLSTATE|goroutine|pgx|pgxpool|dial tcp)\b|\.go:`)

func TestTheWebhookRefusesWhatStripeDidNotSign(t *testing.T) {
	t.Parallel()
	d := shared
	now := time.Now()
	event := fmt.Appendf(nil, `{"id":"evt_bad%d","object":"event","api_version":"2023-10-16","created":%d,"livemode":false,
		"type":"checkout.session.completed","data":{"object":{"id":"cs_test_unknown","object":"checkout.session"}}}`, now.UnixNano(), now.Unix())
	id := regexp.MustCompile(`evt_bad\d+`).FindString(string(event))
	large := fmt.Appendf(nil, `{"id":"evt_large","pad":%q}`, strings.Repeat("x", 512<<10))
	for name, c := range map[string]struct {
		body                   []byte
		contentType, signature string
		status                 int
		code                   string
	}{
		"too large":            {large, "application/json", d.signed(large, now), 413, "too_large"},
		"a form":               {event, "application/x-www-form-urlencoded", d.signed(event, now), 415, "content_type"},
		"no content type":      {event, "", d.signed(event, now), 415, "content_type"},
		"no signature":         {event, "application/json", "", 400, "signature_invalid"},
		"nonsense signature":   {event, "application/json", "t=now,v1=zz", 400, "signature_invalid"},
		"another's signature":  {event, "application/json", d.signed([]byte("{}"), now), 400, "signature_invalid"},
		"eight days old":       {event, "application/json", d.signed(event, now.Add(-8*24*time.Hour)), 400, "signature_invalid"},
		"from the future":      {event, "application/json", d.signed(event, now.Add(24*time.Hour)), 400, "signature_invalid"},
		"signed, no JSON":      {[]byte("{"), "application/json", d.signed([]byte("{"), now), 400, "signature_invalid"},
		"signed, no event":     {[]byte("[]"), "application/json", d.signed([]byte("[]"), now), 400, "signature_invalid"},
		"signed, empty":        {nil, "application/json", d.signed(nil, now), 400, "signature_invalid"},
		"signed, doubled name": {[]byte(`{"id":"evt_1","id":"evt_2"}`), "application/json", d.signed([]byte(`{"id":"evt_1","id":"evt_2"}`), now), 400, "signature_invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, answer, header := request(t, http.MethodPost, d.info.PortalURL+"/webhooks/stripe", strings.NewReader(string(c.body)), func(r *http.Request) {
				if c.contentType != "" {
					r.Header.Set("Content-Type", c.contentType)
				}
				r.Header.Set("Stripe-Signature", c.signature)
			})
			var e struct {
				Error struct{ Code, Message string }
			}
			if err := json.Unmarshal(answer, &e); err != nil {
				t.Fatalf("%d %s", status, answer)
			}
			if status != c.status || e.Error.Code != c.code || e.Error.Message == "" || header.Get("X-Request-Id") == "" {
				t.Errorf("%d %s, want %d %s", status, answer, c.status, c.code)
			}
		})
	}
	t.Cleanup(func() {
		if n := d.query(t, `SELECT count(*)::text FROM events WHERE id IN ($1, 'evt_large', 'evt_1', 'evt_2')`, id); n != "0" {
			t.Errorf("%s of the refused events are stored", n)
		}
	})
}

func TestWhatIsNotThereOrNotTextIsAClearPage(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared).signIn()
	for path, status := range map[string]int{
		"/nothing":                                        404,
		"/orders/ord_0000000000000000000000":              404,
		"/orders/%00":                                     400,
		"/orders/%ff":                                     400,
		"/orders/%ff/events":                              400,
		"/orders/" + strings.Repeat("x", 5000):            404,
		"/orders/'%20OR%201=1--":                          404,
		"/orders?cursor=zzzz":                             404,
		"/orders?cursor=%00":                              400,
		"/orders?cursor=OTk5OTk5OTk5OTk5OTk5OTk5OSBh":     404, // a time beyond all
		"/orders?cursor=OTIyMzM3MjAzNjg1NDc3NTgwNyBh":     404, // the largest int64
		"/orders?cursor=LTkyMjMzNzIwMzY4NTQ3NzU4MDggYQ":   404, // the smallest
		"/orders?cursor=MSD_":                             404, // an ID that is not text
		"/orders?a;b":                                     400,
		"/licenses/lic_x":                                 404,
		"/licenses/lic_x/license.json":                    404,
		"/licenses?show=nonsense":                         200,
		"/licenses?cursor=LTkyMjMzNzIwMzY4NTQ3NzU4MDggYQ": 404,
		"/packages/nothing":                               404,
		"/packages/%00":                                   400,
		"/checkout/nothing":                               404,
		"/checkout/" + pack5 + "?top_up=lic_x":            404,
		"/checkout/" + pack5 + "?order=ord_x":             404,
		"/checkout/" + pack5 + "?renew=%00":               400,
		"/checkout/review":                                404,
		"/checkout/review?order=%ff":                      400,
		"/renew/lic_x":                                    404,
		"/d/nonsense":                                     404,
		"/d/lnk_x.AAAA":                                   404,
		"/sign-in/confirm?t=nonsense":                     404,
		"/sign-in/confirm":                                404,
	} {
		r := c.get(path)
		c.clear(path, r, status, "")
	}
	for _, path := range []string{"/orders", "/packages", "/sign-in/confirm", "/webhooks/stripe", "/healthz"} {
		if r := c.send(http.MethodDelete, path, "", nil, nil); r.status != http.StatusMethodNotAllowed {
			t.Errorf("DELETE %s: %d", path, r.status)
		}
	}
}

func TestAFormThatIsNoFormChangesNothing(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared).signIn()
	draft := c.draft(pack5, "router")
	large := "email=" + strings.Repeat("x", 70<<10)
	form := "application/x-www-form-urlencoded"
	for _, path := range []string{"/sign-in", "/sign-in/code", "/sign-in/confirm", "/sign-in/choose", "/welcome", "/preferences/theme",
		"/checkout/" + pack5, "/orders/" + draft + "/pay", "/orders/" + draft + "/cancel"} {
		c.clear(path+" too large", c.send(http.MethodPost, path, form, strings.NewReader(large), nil), 413, "too much at once")
		c.clear(path+" JSON", c.send(http.MethodPost, path, "application/json", strings.NewReader(`{"a":1}`), nil), 415, "could not read")
		c.clear(path+" nothing", c.send(http.MethodPost, path, "", nil, nil), 415, "could not read")
		c.clear(path+" files", c.send(http.MethodPost, path, "multipart/form-data; boundary=x", strings.NewReader("--x--"), nil), 415, "could not read")
		c.clear(path+" torn escape", c.send(http.MethodPost, path, form, strings.NewReader("a=%zz"), nil), 400, "could not read")
		c.clear(path+" zero byte", c.send(http.MethodPost, path, form, strings.NewReader("form_key=a%00&code=%00&email=%00"), nil), 400, "could not read")
		c.clear(path+" no UTF-8", c.send(http.MethodPost, path, form, strings.NewReader("name=%ff"), nil), 400, "could not read")
	}
	long := url.Values{"form_key": {strings.Repeat("k", 10_000)}, "deployment": {"new"}, "deployment_name": {"x"}, "environment": {"staging"}}
	c.clear("a form key too long", c.post("/checkout/"+pack5, long), 400, "could not read")
	// Answers that the page would not send are told at their fields.
	for name, values := range map[string]url.Values{
		"another's deployment": {"deployment": {"dep_x"}, "environment": {"staging"}, "fingerprint": {fingerprint}},
		"an environment":       {"deployment": {"new"}, "deployment_name": {"b"}, "environment": {"moon"}, "fingerprint": {fingerprint}},
		"no environment":       {"deployment": {"new"}, "deployment_name": {"b"}},
		"a fingerprint's line": {"deployment": {"new"}, "deployment_name": {"b"}, "environment": {"staging"}, "fingerprint": {"a\nb"}},
		"a long name":          {"deployment": {"new"}, "deployment_name": {strings.Repeat("b", 61)}, "environment": {"staging"}, "fingerprint": {fingerprint}},
	} {
		values.Set("form_key", "key-"+name)
		c.clear(name, c.post("/checkout/"+pack5, values), 422, "There is a problem")
	}
	if state := c.d.query(t, `SELECT state FROM orders WHERE id = $1`, draft); state != "draft" {
		t.Errorf("the draft is %s", state)
	}
	if n := c.d.query(t, `SELECT count(*)::text FROM orders o JOIN users u ON u.id = o.created_by WHERE u.email = $1`, c.email); n != "1" {
		t.Errorf("%s orders, one was made", n)
	}
}

func TestExpiredLinksSayThatTheyExpired(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	c.askToSignIn()
	text := c.mail("/sign-in/confirm?t=")
	link, code := linkPattern.FindString(text), codePattern.FindString(text)
	c.d.exec(t, fmt.Sprintf(`UPDATE sign_ins SET created_at = created_at - interval '16 min', expires_at = expires_at - interval '16 min' WHERE email = '%s'`, c.email))
	c.clear("an expired link", c.get(strings.TrimPrefix(link, c.base)), 410, "This link expired")
	_, token, _ := strings.Cut(link, "?t=")
	c.clear("its button", c.post("/sign-in/confirm", url.Values{"t": {token}}), 410, "This link expired")
	c.clear("an expired code", c.post("/sign-in/code", url.Values{"code": {code}}), 400, "The code expired")
	c.goes(c.get("/orders"), "/sign-in")

	c = newClient(t, shared).signIn()
	_, lic := c.buy("router")
	made := c.post("/licenses/"+lic+"/links", url.Values{})
	redownload := regexp.MustCompile(`/d/lnk_[0-9A-Za-z_.-]+`).FindString(made.body)
	if made.status != http.StatusCreated || redownload == "" {
		t.Fatalf("no link: %d", made.status)
	}
	if r := c.post(redownload, url.Values{}); r.status != 200 || !strings.Contains(r.body, `"signature"`) {
		t.Fatalf("a fresh link answers %d", r.status)
	}
	c.d.exec(t, fmt.Sprintf(`UPDATE redownload_links SET created_at = created_at - interval '8 days', expires_at = expires_at - interval '8 days' WHERE license_id = '%s'`, lic))
	for _, r := range []reply{c.get(redownload), c.post(redownload, url.Values{})} {
		c.clear("an expired re-download link", r, http.StatusGone, "This link expired")
		if strings.Contains(r.body, `"signature"`) {
			t.Error("an expired link hands out the license")
		}
	}
	c.clear("a link with one letter changed", c.post(redownload[:len(redownload)-2]+"__", url.Values{}), 404, "do not know this link")
}

func TestTooManySignInsAreToldWhenToTryAgain(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	var last reply
	for n := 0; n < 12 && last.status != http.StatusTooManyRequests; n++ { // windows are fixed: twice five at most
		last = c.post("/sign-in", url.Values{"email": {c.email}})
		if last.status == http.StatusTooManyRequests && n < 5 {
			t.Fatalf("refused at try %d", n+1)
		}
	}
	c.clear("a sign-in too many", last, http.StatusTooManyRequests, "Try again at")
	if !regexp.MustCompile(`\d{2}:\d{2}`).MatchString(last.body) || last.header.Get("Retry-After") == "" {
		t.Errorf("no time to try again: Retry-After %q", last.header.Get("Retry-After"))
	}
	if other := newClient(t, shared); other.post("/sign-in", url.Values{"email": {other.email}}).status != http.StatusSeeOther {
		t.Error("another person is refused too")
	}
}

func TestCodesGuessedForManyAddressesAreCountedByNetwork(t *testing.T) {
	t.Parallel()
	d := ownDemo(t)                                     // everybody's address is the same here
	portal, _ := d.secondPortal(t, "SIGN_INS_PER_IP=2") // five codes
	for n := range 12 {                                 // windows are fixed: twice five at most
		c := newClient(t, d)
		c.askToSignIn()
		code := codePattern.FindString(c.mail("/sign-in/confirm?t="))
		wrong := "000000"
		if code == wrong {
			wrong = "000001"
		}
		c.base = portal
		r := c.post("/sign-in/code", url.Values{"code": {wrong}})
		if n < 5 || r.status == http.StatusBadRequest {
			c.clear("a wrong code", r, http.StatusBadRequest, "not the code")
			continue
		}
		c.clear("the sixth of a network", r, http.StatusTooManyRequests, "Try again at")
		c.base = d.info.PortalURL // the link works beyond the limit
		_, token, _ := strings.Cut(linkPattern.FindString(c.mail("/sign-in/confirm?t=")), "?t=")
		c.goes(c.post("/sign-in/confirm", url.Values{"t": {token}}), "/welcome")
		return
	}
	t.Error("twelve codes of one network were looked at")
}

func TestASlowRequestIsCutOffAndHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	d := shared
	address := strings.TrimPrefix(d.info.PortalURL, "http://")
	for name, head := range map[string]string{
		"header":  "GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow",
		"webhook": "POST /webhooks/stripe HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
		"form":    "POST /sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\ne",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			for range 20 { // the others only take up room
				conn, err := net.Dial("tcp", address)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if _, err := io.WriteString(conn, head); err != nil {
					t.Fatal(err)
				}
				_ = conn.SetReadDeadline(start.Add(45 * time.Second))
				defer func() {
					answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
					if err == nil && answer.StatusCode/100 != 4 {
						t.Errorf("answered %d", answer.StatusCode)
					}
					if took := time.Since(start); took > 40*time.Second {
						t.Errorf("held for %v (%v)", took, err)
					}
				}()
			}
			if status, _, _ := request(t, http.MethodGet, d.info.PortalURL+"/healthz", nil, nil); status != http.StatusOK {
				t.Errorf("meanwhile /healthz answers %d", status)
			}
		})
	}
}
