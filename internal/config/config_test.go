package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const canary = "canary4f1c9d"

// environment is one that Load accepts, in files of the test's own.
func environment(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{
		"DATABASE_URL": "postgres://portal:" + canary + "@db.example/portal", "PORTAL_PUBLIC_URL": "https://licenses.example/",
		"PORTAL_CONTACT": "help@licenses.example", "SIGNER_SOCKET": "/run/signer/signer.sock",
		"PORTAL_SECRET_FILE":  file(t, strings.Repeat(canary, 3)+"\n", 0o600),
		"STRIPE_API_KEY_FILE": file(t, "rk_test_"+canary+"\n", 0o640),
		"SMTP_URL":            "smtps://user:" + canary + "@mx.example", "MAIL_FROM": "Licenses <licenses@licenses.example>",
	}
}

func file(t *testing.T, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(env map[string]string, parts Part) (Config, error) {
	return Load(func(name string) string { return env[name] }, parts)
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	c, err := load(environment(t), All)
	if err != nil {
		t.Fatal(err)
	}
	if c.PublicURL != "https://licenses.example" || c.Listen != "127.0.0.1:8080" || c.StripeAPIURL != "https://api.stripe.com" ||
		c.StripeCheckoutOrigin != "https://checkout.stripe.com" || c.SignInsPerIP != 20 || c.SignInsPerAddress != 5 ||
		c.JobPollInterval != 100*time.Millisecond || c.JobConcurrency != 8 || c.ReconcileInterval != 3*time.Minute ||
		c.ShutdownTimeout != 20*time.Second {
		t.Errorf("defaults: %+v", c)
	}
	if c.Secret.Reveal() != strings.Repeat(canary, 3) || c.StripeAPIKey.Reveal() != "rk_test_"+canary {
		t.Error("a secret was not read without its line break")
	}
}

func TestEveryProblemIsToldByNameAndNoSecret(t *testing.T) {
	t.Parallel()
	_, err := load(nil, All)
	for _, name := range []string{"DATABASE_URL", "PORTAL_PUBLIC_URL", "PORTAL_CONTACT", "PORTAL_SECRET_FILE", "SIGNER_SOCKET",
		"STRIPE_API_KEY_FILE", "SMTP_URL", "MAIL_FROM"} {
		if err == nil || strings.Count(err.Error(), name+" is missing") != 1 {
			t.Errorf("missing %s is not told once: %v", name, err)
		}
	}
	if _, err := load(map[string]string{"DATABASE_URL": "postgres:///x"}, Database); err != nil {
		t.Errorf("a part that is not needed was asked for: %v", err)
	}
}

func TestBadValues(t *testing.T) {
	t.Parallel()
	long := "/" + strings.Repeat("s", 107)
	tests := map[string]struct{ name, value, want string }{
		"database by another scheme":    {"DATABASE_URL", "mysql://u:" + canary + "@h/d", "postgres://"},
		"database not a URL":            {"DATABASE_URL", "postgres://u:" + canary + "@h:port/d", "postgres://"},
		"public over http":              {"PORTAL_PUBLIC_URL", "http://licenses.example", "https://host"},
		"public with a path":            {"PORTAL_PUBLIC_URL", "https://licenses.example/portal", "without a path"},
		"public with user":              {"PORTAL_PUBLIC_URL", "https://u:" + canary + "@licenses.example", "https://host"},
		"public with query":             {"PORTAL_PUBLIC_URL", "https://licenses.example?x=1", "https://host"},
		"listen without port":           {"PORTAL_LISTEN", "127.0.0.1", "host:port"},
		"metrics for all to see":        {"PORTAL_METRICS_LISTEN", "0.0.0.0:9464", "loopback"},
		"metrics by a name":             {"PORTAL_METRICS_LISTEN", "localhost:9464", "loopback"},
		"metrics on port 0":             {"PORTAL_METRICS_LISTEN", "127.0.0.1:0", "loopback"},
		"webhook that is no URL":        {"STRIPE_WEBHOOK_URL", "/webhooks/stripe", "http(s) URL"},
		"listen on port 0":              {"PORTAL_LISTEN", "127.0.0.1:0", "host:port"},
		"contact with a name":           {"PORTAL_CONTACT", "Help <help@x.example>", "e-mail"},
		"sender":                        {"MAIL_FROM", "licenses", "is not like"},
		"socket too long":               {"SIGNER_SOCKET", long, "107 bytes"},
		"Stripe address":                {"STRIPE_API_URL", "api.stripe.com", "http(s)://host"},
		"Stripe address with a path":    {"STRIPE_API_URL", "https://api.stripe.com/v1", "http(s)://host"},
		"checkout origin breaks policy": {"STRIPE_CHECKOUT_ORIGIN", "https://x.example;script-src", "http(s)://host"},
		"billing origin breaks policy":  {"STRIPE_BILLING_ORIGIN", "https://x.example;script-src", "http(s)://host"},
		"mail by another scheme":        {"SMTP_URL", "http://u:" + canary + "@mx.example", "smtps://"},
		"poll too often":                {"JOB_POLL_INTERVAL", "1us", "1ms to 1m"},
		"poll without unit":             {"JOB_POLL_INTERVAL", "100", "duration"},
		"no jobs at once":               {"JOB_CONCURRENCY", "0", "1 to 100"},
		"limit not a number":            {"SIGN_INS_PER_IP", "many", "number"},
		"proxy":                         {"PORTAL_TRUSTED_PROXIES", "10.0.0.0/8, proxy", "networks"},
		"secret file missing":           {"PORTAL_SECRET_FILE", "/nowhere/secret", "no such file"},
		"secret file a directory":       {"PORTAL_SECRET_FILE", "/", "is not a file"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := environment(t)
			env[tt.name] = tt.value
			wantProblem(t, env, tt.name, tt.want)
		})
	}
}

func TestBadSecretFiles(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		name, content string
		mode          os.FileMode
		want          string
	}{
		"readable by all":  {"PORTAL_SECRET_FILE", strings.Repeat(canary, 3), 0o644, "chmod"},
		"writable by all":  {"STRIPE_API_KEY_FILE", "rk_test_" + canary, 0o602, "chmod"},
		"empty":            {"PORTAL_SECRET_FILE", "", 0o600, "is empty"},
		"only line breaks": {"STRIPE_API_KEY_FILE", "\r\n\n", 0o600, "is empty"},
		"too short":        {"PORTAL_SECRET_FILE", canary + "\n", 0o600, "less than 32 bytes"},
		"too large":        {"PORTAL_SECRET_FILE", strings.Repeat(canary, 10_000), 0o600, "larger"},
		"publishable key":  {"STRIPE_API_KEY_FILE", "pk_test_" + canary, 0o600, "rk_test_"},
		"two keys":         {"STRIPE_API_KEY_FILE", "rk_test_" + canary + "\nrk_test_2", 0o600, "rk_test_"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := environment(t)
			env[tt.name] = file(t, tt.content, tt.mode)
			wantProblem(t, env, tt.name, tt.want)
		})
	}
}

func wantProblem(t *testing.T, env map[string]string, name, want string) {
	t.Helper()
	_, err := load(env, All)
	if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), want) {
		t.Fatalf("error %v, want %s and %q", err, name, want)
	}
	if strings.Contains(err.Error(), canary) {
		t.Errorf("the error tells a secret: %v", err)
	}
}

func TestALocalPortalMayUseHTTP(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"http://localhost:8080", "http://127.0.0.1:8080", "http://[::1]:8080"} {
		env := environment(t)
		env["PORTAL_PUBLIC_URL"] = url
		if c, err := load(env, All); err != nil || c.PublicURL != url {
			t.Errorf("%s: %q, %v", url, c.PublicURL, err)
		}
	}
}

func TestModeOfTheKeyMustBeTheBundles(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]Mode{"sk_test_1": ModeTest, "rk_test_1": ModeTest, "sk_live_1": ModeLive, "rk_live_1": ModeLive} {
		c := Config{StripeAPIKey: NewSecret(key)}
		if c.Mode() != want {
			t.Errorf("%s: mode %q, want %q", key, c.Mode(), want)
		}
		if err := c.CheckMode(want == ModeLive); err != nil {
			t.Errorf("%s: %v", key, err)
		}
		if err := c.CheckMode(want != ModeLive); err == nil {
			t.Errorf("%s: the other mode was accepted", key)
		}
	}
	if err := (Config{}).CheckMode(false); err == nil {
		t.Error("no key was accepted for test mode")
	}
}

func TestALiveKeyNeedsTLS(t *testing.T) {
	t.Parallel()
	env := environment(t)
	env["STRIPE_API_KEY_FILE"] = file(t, "rk_live_"+canary, 0o600)
	if _, err := load(env, All); err != nil {
		t.Fatal(err)
	}
	env["STRIPE_API_URL"] = "http://localhost:8082"
	wantProblem(t, env, "STRIPE_API_URL", "https with a live key")
}

func TestSecretsNeverPrint(t *testing.T) {
	t.Parallel()
	c, err := load(environment(t), All)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("loaded", "config", c, "secret", c.Secret)
	slog.New(slog.NewTextHandler(&log, nil)).Info("loaded", "config", c, "secret", c.Secret)
	encoded, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	shown := log.String() + string(encoded)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		shown += fmt.Sprintf(verb, c) + fmt.Sprintf(verb, c.Secret) + fmt.Sprintf(verb, &c)
	}
	if strings.Contains(shown, canary) || strings.Contains(shown, fmt.Sprintf("%x", canary)) {
		t.Errorf("a secret was printed:\n%s", shown)
	}
	if !strings.Contains(shown, hidden) {
		t.Error("nothing was printed where secrets stand, so the test shows nothing")
	}
}

func TestClientIPBehindTrustedProxies(t *testing.T) {
	t.Parallel()
	if (Config{}).ClientIP() != nil {
		t.Error("without proxies the connection should tell")
	}
	env := maps.Clone(environment(t))
	env["PORTAL_TRUSTED_PROXIES"] = "10.0.0.0/8, 2001:db8::1"
	c, err := load(env, All)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		remote    string
		forwarded []string
		want      string
	}{
		"straight":                     {"192.0.2.7:999", nil, "192.0.2.7"},
		"straight with a claim":        {"192.0.2.7:999", []string{"1.1.1.1"}, "192.0.2.7"},
		"one proxy":                    {"10.1.2.3:999", []string{"192.0.2.7"}, "192.0.2.7"},
		"a claim through a proxy":      {"10.1.2.3:999", []string{"1.1.1.1, 192.0.2.7"}, "192.0.2.7"},
		"two proxies, two headers":     {"[2001:db8::1]:999", []string{"1.1.1.1, 192.0.2.7", "10.0.0.1"}, "192.0.2.7"},
		"nothing forwarded":            {"10.1.2.3:999", nil, "10.1.2.3"},
		"not an address":               {"10.1.2.3:999", []string{"192.0.2.7, unknown"}, "10.1.2.3"},
		"IPv4 written as IPv6":         {"[::ffff:10.1.2.3]:999", []string{"::ffff:192.0.2.7"}, "192.0.2.7"},
		"connection without a address": {"@", []string{"192.0.2.7"}, "@"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr = tt.remote
			for _, f := range tt.forwarded {
				r.Header.Add("X-Forwarded-For", f)
			}
			if got := c.ClientIP()(r); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
