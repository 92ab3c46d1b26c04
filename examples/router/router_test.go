package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

const (
	testToken    = "tok-3f9"
	testPassword = "pass-7c1"
)

// startedRouter is a router that runs in the test, on a port of its own.
type startedRouter struct {
	t      *testing.T
	dir    string
	url    string
	signer ed25519.PrivateKey
	stop   context.CancelFunc
	done   chan error
}

func (r *startedRouter) path(name string) string { return filepath.Join(r.dir, name) }

func (r *startedRouter) write(name string, data []byte) {
	r.t.Helper()
	if err := os.WriteFile(r.path(name)+".new", data, 0o600); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(r.path(name)+".new", r.path(name)); err != nil {
		r.t.Fatal(err)
	}
}

func start(t *testing.T, more ...string) *startedRouter {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := &startedRouter{t: t, dir: t.TempDir(), signer: private, done: make(chan error, 1)}
	ring, err := license.NewKeyRing(license.Key{ID: "k1", Public: public})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := ring.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	r.write("keys.json", keys)
	r.write("password", []byte(testPassword+"\n"))
	r.write("token", []byte(testToken+"\n"))
	args := append([]string{"-license", r.path("license.json"), "-keys", r.path("keys.json"), "-listen", "127.0.0.1:0",
		"-recheck-interval", "5ms", "-fingerprint", "fp:a", "-admin-user", "operator",
		"-admin-password-file", r.path("password"), "-token-file", r.path("token")}, more...)

	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	logReader, logWriter := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err := run(ctx, args, logWriter)
		_ = logWriter.Close()
		r.done <- err
	}()
	t.Cleanup(func() { // and wait, since a router that stops still saves its counters
		cancel()
		<-ended
	})
	address := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(logReader)
		for lines.Scan() {
			if found := regexp.MustCompile(`msg=listening address=(\S+)`).FindStringSubmatch(lines.Text()); found != nil {
				address <- found[1]
			}
			for _, secret := range []string{testToken, testPassword, "Secret Name"} {
				if strings.Contains(lines.Text(), secret) {
					t.Errorf("the log shows a secret: %s", lines.Text())
				}
			}
		}
	}()
	select {
	case a := <-address:
		r.url = "http://" + a
	case err := <-r.done:
		t.Fatalf("did not start: %v", err)
	case <-time.After(time.Minute):
		t.Fatal("did not start in a minute")
	}
	return r
}

func (r *startedRouter) issue(edit func(*license.Payload)) []byte {
	r.t.Helper()
	now := time.Now().UTC().Truncate(time.Second)
	p := license.Payload{SchemaVersion: 1, LicenseID: "lic_1", CustomerID: "cust_1", CustomerName: "Secret Name",
		Product: license.Product, SKU: "pilot-30d", Features: []string{"routing"}, Limits: license.Limits{MaxCallers: 10},
		IssuedAt: now.Add(-time.Hour), NotBefore: now.Add(-time.Hour), ExpiresAt: now.Add(time.Hour), KeyID: "k1", Issuer: license.Issuer}
	if edit != nil {
		edit(&p)
	}
	canonical, err := p.Canonical()
	if err != nil {
		r.t.Fatal(err)
	}
	file, err := license.Encode(p, ed25519.Sign(r.signer, canonical))
	if err != nil {
		r.t.Fatal(err)
	}
	return file
}

type answer struct {
	status int
	header http.Header
	body   map[string]any
}

func (a answer) errorCode() any {
	failure, _ := a.body["error"].(map[string]any)
	return failure["code"]
}

func (r *startedRouter) ask(method, path, body string, authorize func(*http.Request)) answer {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if authorize != nil {
		authorize(request)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	a := answer{status: response.StatusCode, header: response.Header}
	if err := json.NewDecoder(response.Body).Decode(&a.body); err != nil {
		r.t.Fatalf("%s %s: %d: %v", method, path, a.status, err)
	}
	return a
}

func bearer(token string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

func basic(user, password string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(user, password) }
}

func (r *startedRouter) waitForStatus(want string) answer {
	r.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		a := r.ask(http.MethodGet, "/readyz", "", nil)
		if a.body["status"] == want {
			return a
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("still %v, want %s", a.body, want)
		}
	}
}

func TestRouterServesWhileItsLicenseStands(t *testing.T) {
	t.Parallel()
	r := start(t)
	if a := r.ask(http.MethodGet, "/readyz", "", nil); a.status != 503 || a.body["status"] != "license-missing" {
		t.Fatalf("without a license: %d %v", a.status, a.body)
	}
	if a := r.ask(http.MethodGet, "/v1/models", "", bearer(testToken)); a.status != 503 || a.errorCode() != "license-missing" {
		t.Errorf("without a license: %d %v", a.status, a.body)
	}

	r.write("license.json", r.issue(nil))
	if a := r.waitForStatus("license-valid"); a.status != 200 || a.body["license_id"] != "lic_1" || a.body["customer_id"] != nil {
		t.Errorf("with a license: %d %v", a.status, a.body)
	}
	if a := r.ask(http.MethodGet, "/v1/models", "", bearer(testToken)); a.status != 200 || a.body["object"] != "list" {
		t.Errorf("models: %d %v", a.status, a.body)
	}
	a := r.ask(http.MethodPost, "/v1/echo", `{"say": ["hello", 1]}`, bearer(testToken))
	if said, _ := a.body["echo"].(map[string]any); a.status != 200 || said["say"] == nil || a.body["id"] != a.header.Get(requestIDHeader) {
		t.Errorf("echo: %d %v", a.status, a.body)
	}
	a = r.ask(http.MethodGet, "/admin/license/status", "", basic("operator", testPassword))
	if a.status != 200 || a.body["customer_id"] != "cust_1" || a.body["sku"] != "pilot-30d" || a.body["router_version"] != routerVersion {
		t.Errorf("status: %d %v", a.status, a.body)
	}

	r.write("license.json", r.issue(func(p *license.Payload) {
		p.LicenseID = "lic_2"
		p.ExpiresAt = time.Now().UTC().Truncate(time.Second).Add(2 * time.Second)
	}))
	a = r.waitForStatus("license-expired")
	if a.status != 503 || a.body["license_id"] != "lic_2" {
		t.Errorf("expired: %d %v", a.status, a.body)
	}
	a = r.ask(http.MethodPost, "/v1/echo", `{}`, bearer(testToken))
	failure, _ := a.body["error"].(map[string]any)
	if a.status != 403 || a.errorCode() != "license-expired" || failure["request_id"] != a.header.Get(requestIDHeader) {
		t.Errorf("expired: %d %v", a.status, a.body)
	}
}

func TestStrangersLearnNothing(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.write("license.json", r.issue(nil))
	r.waitForStatus("license-valid")
	cases := []struct {
		name, method, path string
		authorize          func(*http.Request)
	}{
		{"models without a token", "GET", "/v1/models", nil},
		{"models with a wrong token", "GET", "/v1/models", bearer("x")},
		{"models with an empty token", "GET", "/v1/models", bearer("")},
		{"models with a longer token", "GET", "/v1/models", bearer(testToken + "x")},
		{"models with the password", "GET", "/v1/models", basic("operator", testPassword)},
		{"echo without a token", "POST", "/v1/echo", nil},
		{"status without a password", "GET", "/admin/license/status", nil},
		{"status with a wrong password", "GET", "/admin/license/status", basic("operator", "x")},
		{"status with a wrong user", "GET", "/admin/license/status", basic("root", testPassword)},
		{"status with the token", "GET", "/admin/license/status", bearer(testToken)},
		{"receipt without a password", "GET", "/admin/license/receipt", nil},
		{"metrics without a password", "GET", "/metrics", nil},
		{"usage with the token", "GET", "/admin/usage.csv", bearer(testToken)},
		{"chat without a token", "POST", "/v1/chat/completions", nil},
	}
	for _, c := range cases {
		a := r.ask(c.method, c.path, "", c.authorize)
		if a.status != 401 || a.errorCode() != "unauthorized" || a.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: %d %v", c.name, a.status, a.body)
		}
	}
}

func TestBadRequestsAreNamed(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.write("license.json", r.issue(nil))
	r.waitForStatus("license-valid")
	for _, c := range []struct {
		path, body string
		status     int
		code       string
	}{
		{"/v1/echo", "", 400, "body-not-json"},
		{"/v1/echo", "{", 400, "body-not-json"},
		{"/v1/echo", `"` + strings.Repeat("x", maxBody) + `"`, 413, "body-too-large"},
		{"/v1/nothing", "{}", 404, "not-found"},
		{"/", "", 404, "not-found"},
	} {
		if a := r.ask(http.MethodPost, c.path, c.body, bearer(testToken)); a.status != c.status || a.errorCode() != c.code {
			t.Errorf("%s %.20s: %d %v, want %d %s", c.path, c.body, a.status, a.body, c.status, c.code)
		}
	}
}

func TestRouterStopsCleanly(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.stop()
	select {
	case err := <-r.done:
		if err != nil {
			t.Errorf("stopped with %v", err)
		}
	case <-time.After(time.Minute):
		t.Error("did not stop")
	}
}

func TestWrongUseIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(dir, "keys.json")
	ring, err := license.NewKeyRing(license.Key{ID: "k", Public: ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey)})
	if err != nil {
		t.Fatal(err)
	}
	data, err := ring.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(keys, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args  []string
		usage bool
		words string
	}{
		{nil, true, "-token-file are required"},
		{[]string{"-nothing"}, true, "-nothing"},
		{[]string{"-recheck-interval", "0s", "-admin-password-file", "p", "-token-file", "t"}, true, "-recheck-interval"},
		{[]string{"-admin-password-file", "p", "-token-file", "t", "extra"}, true, "extra"},
		{[]string{"-keys", filepath.Join(dir, "none"), "-admin-password-file", "p", "-token-file", "t"}, false, "key ring"},
		{[]string{"-keys", keys, "-admin-password-file", empty, "-token-file", empty}, false, "is empty"},
		{[]string{"-keys", keys, "-admin-password-file", keys, "-token-file", filepath.Join(dir, "none")}, false, "token: "},
	} {
		err := run(t.Context(), c.args, io.Discard)
		if err == nil || errors.Is(err, errUsage) != c.usage || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%q: %v, want %q", c.args, err, c.words)
		}
	}
	var help strings.Builder
	if err := run(t.Context(), []string{"-help"}, &help); !errors.Is(err, flag.ErrHelp) || !strings.Contains(help.String(), "-token-file") {
		t.Errorf("help: %v\n%s", err, help.String())
	}
}
