package e2e

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// client is a customer without a browser: what a script, or somebody with bad intent, sends. It follows no redirects.
type client struct {
	t      *testing.T
	d      *demo
	base   string // the portal that it talks to
	email  string
	http   *http.Client
	header http.Header // sent with every request
}

// reply is an answer, read whole.
type reply struct {
	status int
	header http.Header
	body   string
	took   time.Duration
}

func newClient(t *testing.T, d *demo) *client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.tellTroubles(t) })
	return &client{t: t, d: d, base: d.info.PortalURL, email: newAddress(t), header: http.Header{}, http: &http.Client{
		Jar: jar, Timeout: 40 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (c *client) send(method, path, contentType string, body io.Reader, set func(*http.Request)) reply {
	c.t.Helper()
	req, err := http.NewRequest(method, c.base+path, body)
	if err != nil {
		c.t.Fatal(err)
	}
	for name, values := range c.header {
		req.Header[name] = values
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if set != nil {
		set(req)
	}
	start := time.Now()
	res, err := c.http.Do(req)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	return reply{res.StatusCode, res.Header, string(text), time.Since(start)}
}

func (c *client) get(path string) reply {
	c.t.Helper()
	return c.send(http.MethodGet, path, "", nil, nil)
}

func (c *client) post(path string, form url.Values) reply {
	c.t.Helper()
	return c.send(http.MethodPost, path, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()), nil)
}

// goes fails unless the answer sends the client on to an address that begins so.
func (c *client) goes(r reply, to string) string {
	c.t.Helper()
	if r.status != http.StatusSeeOther || !strings.HasPrefix(r.header.Get("Location"), to) {
		c.t.Fatalf("answer %d to %q, want to be sent to %s\n%s", r.status, r.header.Get("Location"), to, r.body)
	}
	return r.header.Get("Location")
}

// mail waits for the newest mail to the client that has the words.
func (c *client) mail(words string) string {
	c.t.Helper()
	return (&person{t: c.t, d: c.d, email: c.email}).mailWith(words)
}

func (c *client) askToSignIn() {
	c.t.Helper()
	c.goes(c.post("/sign-in", url.Values{"email": {c.email}}), "/sign-in/sent")
}

// signIn signs in by code; a new person names an organization.
func (c *client) signIn() *client {
	c.t.Helper()
	inbox := &person{t: c.t, d: c.d, email: c.email}
	before := len(inbox.mails())
	c.askToSignIn()
	eventually(c.t, waitLong, "a new mail", func() bool { return len(inbox.mails()) > before })
	code := codePattern.FindString(c.mail("/sign-in/confirm?t="))
	if c.post("/sign-in/code", url.Values{"code": {code}}).header.Get("Location") == "/welcome" {
		c.goes(c.post("/welcome", url.Values{"name": {"Org of " + c.t.Name()}}), "/")
	}
	return c
}

func hidden(t *testing.T, page, name string) string {
	t.Helper()
	m := regexp.MustCompile(`name="` + name + `" value="([^"]*)"`).FindStringSubmatch(page)
	if m == nil {
		t.Fatalf("no hidden field %s in\n%s", name, page)
	}
	return m[1]
}

// draft orders a package for a deployment as far as the review page.
func (c *client) draft(sku, deployment string) (orderID string) {
	c.t.Helper()
	form := c.get("/checkout/" + sku)
	to := c.goes(c.post("/checkout/"+sku, url.Values{
		"form_key": {hidden(c.t, form.body, "form_key")}, "deployment": {"new"}, "deployment_name": {deployment},
		"environment": {"staging"}, "fingerprint": {fingerprint},
	}), "/checkout/review?order=")
	return strings.TrimPrefix(to, "/checkout/review?order=")
}

// order goes on to Stripe's page and answers the order and its session.
func (c *client) order(sku, deployment string) (orderID, sessionID string) {
	c.t.Helper()
	orderID = c.draft(sku, deployment)
	total := hidden(c.t, c.get("/checkout/review?order="+orderID).body, "total")
	c.goes(c.post("/orders/"+orderID+"/pay", url.Values{"total": {total}}), c.d.info.StripeURL)
	return orderID, c.d.session(c.t, orderID)
}

// payAt pays at the stand-in.
func (d *demo) payAt(t *testing.T, sessionID, method string) {
	t.Helper()
	d.control(t, http.MethodPost, "/_sim/sessions/"+sessionID+"/pay", map[string]any{"method": method}, nil)
}

// issued waits for an order's license and answers its ID.
func (d *demo) issued(t *testing.T, orderID string) string {
	t.Helper()
	eventually(t, waitLong, "license of "+orderID, func() bool {
		return d.query(t, `SELECT state FROM orders WHERE id = $1`, orderID) == "issued"
	})
	return d.query(t, `SELECT license_id FROM orders WHERE id = $1`, orderID)
}

// buy buys a credit pack and answers order and license.
func (c *client) buy(deployment string) (orderID, licenseID string) {
	c.t.Helper()
	orderID, session := c.order(pack5, deployment)
	c.d.payAt(c.t, session, "card_ok")
	return orderID, c.d.issued(c.t, orderID)
}

// signed is the Stripe-Signature header that the stand-in would send at a time.
func (d *demo) signed(body []byte, at time.Time) string {
	mac := hmac.New(sha256.New, []byte(d.info.WebhookSecret))
	fmt.Fprintf(mac, "%d.", at.Unix())
	mac.Write(body)
	return fmt.Sprintf("t=%d,v1=%s", at.Unix(), hex.EncodeToString(mac.Sum(nil)))
}

// webhook posts an event to a portal as Stripe would.
func (d *demo) webhook(t *testing.T, portal string, body []byte, signature string) (int, []byte) {
	t.Helper()
	status, answer, _ := request(t, http.MethodPost, portal+"/webhooks/stripe", bytes.NewReader(body), func(r *http.Request) {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Stripe-Signature", signature)
	})
	return status, answer
}
