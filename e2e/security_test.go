package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func (c *client) cookie(name string) string {
	c.t.Helper()
	u, err := url.Parse(c.base)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, cookie := range c.http.Jar.Cookies(u) {
		if cookie.Name == name {
			return cookie.Value
		}
	}
	return ""
}

// with answers a client without a jar that sends one session.
func (c *client) with(session string) *client {
	other := newClient(c.t, c.d)
	other.http.Jar = nil
	other.header.Set("Cookie", "session="+session)
	return other
}

func TestFormsOfOtherSitesChangeNothing(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared).signIn()
	order := c.draft(pack5, "router")
	for name, header := range map[string]http.Header{
		"another origin":   {"Origin": {"https://evil.example"}},
		"a null origin":    {"Origin": {"null"}},
		"marked by fetch":  {"Sec-Fetch-Site": {"cross-site"}},
		"a sister site":    {"Sec-Fetch-Site": {"same-site"}, "Origin": {"http://evil.localhost"}},
		"another port":     {"Origin": {c.d.info.RouterURL}},
		"a lookalike host": {"Origin": {c.d.info.PortalURL + ".evil.example"}},
	} {
		for _, path := range []string{"/orders/" + order + "/cancel", "/sign-out", "/preferences/theme", "/sign-in", "/d/x"} {
			r := c.send(http.MethodPost, path, "application/x-www-form-urlencoded", strings.NewReader("email=a%40b.example"), func(req *http.Request) {
				for k, v := range header {
					req.Header[k] = v
				}
			})
			c.clear(name+" posts to "+path, r, http.StatusForbidden, "another site")
		}
	}
	if state := c.d.query(t, `SELECT state FROM orders WHERE id = $1`, order); state != "draft" {
		t.Errorf("the order is %s", state)
	}
	if r := c.get("/orders"); r.status != http.StatusOK {
		t.Errorf("signed out: %d", r.status)
	}
}

func TestLinksAreBuiltFromTheConfiguredAddress(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	evil := func(r *http.Request) {
		r.Host = "evil.example"
		r.Header.Set("X-Forwarded-Host", "evil.example")
		r.Header.Set("Forwarded", "host=evil.example")
		r.Header.Set("Cookie", "session="+c.cookie("session")+"; browser="+c.cookie("browser")) // the jar goes by Host
	}
	r := c.send(http.MethodPost, "/sign-in", "application/x-www-form-urlencoded", strings.NewReader(url.Values{"email": {c.email}}.Encode()), evil)
	if to := c.goes(r, "/sign-in/sent"); strings.Contains(to, "evil") {
		t.Errorf("sent to %s", to)
	}
	if text := c.mail("/sign-in/confirm?t="); strings.Contains(text, "evil") || !strings.HasPrefix(linkPattern.FindString(text), c.d.info.PortalURL) {
		t.Errorf("the mail says\n%s", text)
	}
	c.signIn()
	_, lic := c.buy("router")
	if made := c.send(http.MethodPost, "/licenses/"+lic+"/links", "application/x-www-form-urlencoded", strings.NewReader(""), evil); strings.Contains(made.body, "evil") || !strings.Contains(made.body, c.d.info.PortalURL+"/d/lnk_") {
		t.Errorf("the re-download link is not at the portal's address: %d\n%s", made.status, made.body)
	}
}

func TestNobodyIsLedToAnotherSite(t *testing.T) {
	t.Parallel()
	for n, target := range []string{
		"https://evil.example/", "//evil.example", `/\evil.example`, "/%5Cevil.example", "\thttps://evil.example", "/\t/evil.example",
		"javascript:alert(1)", "/.//evil.example", "/orders\r\nSet-Cookie: session=x", "evil.example", "/x/..//evil.example", "///evil.example",
	} {
		c := newClient(t, shared)
		asked := c.post("/sign-in", url.Values{"email": {c.email}, "return_to": {target}})
		c.goes(asked, "/sign-in/sent")
		code := codePattern.FindString(c.mail("/sign-in/confirm?t="))
		c.goes(c.post("/sign-in/code", url.Values{"code": {code}}), "/welcome")
		r := c.post("/welcome", url.Values{"name": {fmt.Sprint("Org ", n)}})
		to, err := url.Parse(c.base + "/")
		if err == nil {
			to, err = to.Parse(r.header.Get("Location")) // as a browser would
		}
		if err != nil || "http://"+to.Host != c.base || strings.Contains(r.header.Get("Location"), `\`) || strings.HasPrefix(r.header.Get("Location"), "//") {
			t.Errorf("%q leads to %q", target, r.header.Get("Location"))
		}
		if len(r.header.Values("Set-Cookie")) > 1 {
			t.Errorf("%q sets cookies %v", target, r.header.Values("Set-Cookie"))
		}
		theme := c.post("/preferences/theme", url.Values{"theme": {"dark"}, "return_to": {target}})
		if at := theme.header.Get("Location"); strings.HasPrefix(at, "//") || strings.Contains(at, ":") {
			t.Errorf("%q leads from the theme to %q", target, at)
		}
	}
}

func TestASessionIsRenewedAtSignInAndEndsAtSignOut(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	c.askToSignIn()
	before := c.cookie("session")
	if before == "" {
		t.Fatal("no session while the sign-in waits")
	}
	code := codePattern.FindString(c.mail("/sign-in/confirm?t="))
	c.goes(c.post("/sign-in/code", url.Values{"code": {code}}), "/welcome")
	signedIn := c.cookie("session")
	if signedIn == before {
		t.Error("the session from before the sign-in is signed in: whoever planted it is too")
	}
	c.goes(c.with(before).get("/welcome"), "/sign-in")
	if r := c.with(signedIn).get("/welcome"); r.status != http.StatusOK {
		t.Fatalf("the session itself: %d", r.status)
	}
	c.goes(c.post("/sign-out", url.Values{}), "/")
	c.goes(c.with(signedIn).get("/welcome"), "/sign-in")
	c.goes(c.with("nonsense").get("/welcome"), "/sign-in")
}

func TestWhoLeavesOrMayOnlyReadIsHeldToItAtOnce(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared).signIn()
	order, lic := c.buy("router")
	draft := c.draft(pack5, "router-2")
	user := c.d.query(t, `SELECT id FROM users WHERE email = $1`, c.email)
	c.d.exec(t, fmt.Sprintf(`UPDATE memberships SET role = 'read_only' WHERE user_id = '%s'`, user))
	for _, path := range []string{"/orders/" + draft + "/pay", "/orders/" + draft + "/cancel", "/checkout/" + pack5,
		"/licenses/" + lic + "/links", "/licenses/" + lic + "/installed", "/licenses/" + lic + "/links/lnk_x/revoke"} {
		c.clear("a reader posts to "+path, c.post(path, url.Values{"total": {"25000"}, "installed": {"yes"}}), http.StatusForbidden, "Your role does not allow this")
	}
	for _, path := range []string{"/orders/" + order, "/licenses/" + lic, "/licenses/" + lic + "/license.json"} {
		if r := c.get(path); r.status != http.StatusOK {
			t.Errorf("a reader gets %s: %d", path, r.status)
		}
	}
	c.d.exec(t, fmt.Sprintf(`DELETE FROM memberships WHERE user_id = '%s'`, user))
	for _, path := range []string{"/orders", "/orders/" + order, "/licenses/" + lic + "/license.json", "/orders/" + order + "/events"} {
		c.goes(c.get(path), "/welcome")
	}
}

func TestASessionThatOutlivedItsUserIsSignedOut(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	c.askToSignIn()
	code := codePattern.FindString(c.mail("/sign-in/confirm?t="))
	c.goes(c.post("/sign-in/code", url.Values{"code": {code}}), "/welcome")
	c.d.exec(t, fmt.Sprintf(`DELETE FROM users WHERE email = '%s'`, c.email)) // as a restore leaves it
	c.goes(c.get("/welcome"), "/sign-in")
	c.goes(c.post("/welcome", url.Values{"name": {"Nobody's"}}), "/sign-in")
	if r := c.get("/packages"); r.status != http.StatusOK || !strings.Contains(r.body, `href="/sign-in`) {
		t.Errorf("the package list answers %d", r.status)
	}
	c.signIn() // in the same browser
	if r := c.get("/orders"); r.status != http.StatusOK {
		t.Errorf("signed in again: %d", r.status)
	}
}

// TestNoSecretIsAnywhereButWhereItBelongs follows the paid path and then looks for every secret in everything that was
// written on the way.
func TestNoSecretIsAnywhereButWhereItBelongs(t *testing.T) {
	t.Parallel()
	d := ownDemo(t)
	c := newClient(t, d)
	var pages []string
	keep := func(r reply) reply { pages = append(pages, r.body); return r }
	c.askToSignIn()
	first := c.mail("/sign-in/confirm?t=")
	_, token, _ := strings.Cut(linkPattern.FindString(first), "?t=")
	waiting := c.cookie("session")
	keep(c.get("/sign-in/sent"))
	c.post("/sign-in/code", url.Values{"code": {"000000"}})
	code := codePattern.FindString(first)
	c.goes(keep(c.post("/sign-in/code", url.Values{"code": {code}})), "/welcome")
	c.goes(keep(c.post("/welcome", url.Values{"name": {"Org of canaries"}})), "/")
	order, lic := c.buy("router")
	made := c.post("/licenses/"+lic+"/links", url.Values{})
	link := regexp.MustCompile(`/d/(lnk_[0-9A-Za-z_.-]+)`).FindStringSubmatch(made.body)
	if link == nil {
		t.Fatal("no re-download link")
	}
	keep(c.get("/d/" + link[1]))
	c.post("/d/"+link[1], url.Values{})
	c.post("/d/"+link[1][:len(link[1])-3]+"AAA", url.Values{})
	c.get("/sign-in/confirm?t=" + token)
	for _, path := range []string{"/", "/orders", "/orders/" + order, "/licenses", "/licenses/" + lic, "/packages", "/packages/" + pack5, "/keys", "/help", "/nothing"} {
		keep(c.get(path))
	}
	body := []byte(`{"id":"evt_x"}`)
	d.webhook(t, d.info.PortalURL, body, d.signed(body, time.Now()))
	d.kill(t, "worker")
	d.staff(t)

	var kept map[string]any
	data, err := os.ReadFile(filepath.Join(d.dir, "secrets.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &kept); err != nil {
		t.Fatal(err)
	}
	portalSecret, _ := kept["portal"].(string)
	password := regexp.MustCompile(`://[^:]+:([^@]+)@`).FindStringSubmatch(d.info.DatabaseURL)
	_, proof, _ := strings.Cut(token, ".")
	_, linkProof, _ := strings.Cut(link[1], ".")
	secrets := map[string]string{
		"webhook secret": d.info.WebhookSecret, "Stripe key": d.info.StripeAPIKey, "portal secret": portalSecret,
		"session": c.cookie("session"), "session before": waiting, "browser secret": c.cookie("browser"),
		"sign-in token": proof, "re-download token": linkProof, "database password": password[1],
		"router password": d.info.RouterAdminPassword, "router token": d.info.RouterToken,
	}
	for name, secret := range secrets {
		if len(secret) < 16 {
			t.Fatalf("the %s is %d bytes; it would be found anywhere", name, len(secret))
		}
	}
	dump := d.dump(t)
	if !strings.Contains(dump, c.email) || !strings.Contains(dump, order) {
		t.Fatal("the dump lacks what it must hold")
	}
	logs := d.logs(t)
	if !strings.Contains(logs, order) {
		t.Fatal("the logs lack what they must hold")
	}
	for where, text := range map[string]string{"logs": logs, "dump": dump, "pages": strings.Join(pages, "\n")} {
		for name, secret := range secrets {
			if strings.Contains(text, secret) && (where != "pages" || name != "re-download token") { // its own page's form posts to it
				t.Errorf("the %s is in the %s", name, where)
			}
		}
	}
	for name, private := range map[string]string{"e-mail address": c.email, "organization": "Org of canaries", "fingerprint": fingerprint} {
		if at := strings.Index(logs, private); at >= 0 {
			t.Errorf("the %s is in the logs: %s", name, logs[max(0, at-200):min(len(logs), at+100)])
		}
	}
	// Six digits are also in the fractions of times, of which there are thousands, and in bytes.
	chance := regexp.MustCompile(`\\\\x[0-9a-f]+|\.\d+`)
	for where, text := range map[string]string{"logs": logs, "dump": dump} {
		if regexp.MustCompile(`\b` + code + `\b`).MatchString(chance.ReplaceAllString(text, "")) {
			t.Errorf("the sign-in code is in the %s", where)
		}
	}
}

// dump is the portal's whole database as pg_dump writes it, and bytes also as text.
func (d *demo) dump(t *testing.T) string {
	t.Helper()
	tool := "pg_dump"
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pg_dump"); len(found) > 0 {
		tool = found[len(found)-1]
	}
	out, err := exec.Command(tool, "--dbname="+d.info.DatabaseURL).Output()
	if err != nil {
		t.Fatalf("pg_dump: %v", err)
	}
	return string(out) +
		d.query(t, `SELECT coalesce(string_agg(convert_from(body, 'UTF8') || signature_header, E'\n'), '') FROM events`) +
		d.query(t, `SELECT coalesce(string_agg(encode(data, 'escape'), E'\n'), '') FROM sessions`) +
		d.query(t, `SELECT coalesce(string_agg(convert_from(envelope, 'UTF8'), E'\n'), '') FROM issuances`)
}
