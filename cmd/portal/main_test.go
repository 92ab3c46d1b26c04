package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/postgres"
	"github.com/metrum-ai/licensing-portal/internal/postgres/pgtest"
	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/stripesim"
	"github.com/metrum-ai/licensing-portal/internal/trust"
)

// place is an environment that the portal can run in: a database, the stand-in for Stripe, and a signer that shows its
// trust bundle and signs nothing.
type place struct {
	t     *testing.T
	dir   string // with the keys of staff
	env   map[string]string
	typed string // what somebody types
}

func newPlace(t *testing.T) *place {
	t.Helper()
	dir, err := os.MkdirTemp("", "prt") // socket paths must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	p := &place{t: t, dir: dir, env: map[string]string{
		"DATABASE_URL": pgtest.URL(t, nil), "PORTAL_PUBLIC_URL": "http://localhost:8080", "PORTAL_LISTEN": freeAddress(t),
		"PORTAL_CONTACT": "help@portal.example", "PORTAL_SECRET_FILE": write("secret", strings.Repeat("s3cret", 8)),
		"SIGNER_SOCKET": serveSigner(t, dir, staffKeys(t, dir)), "STRIPE_API_KEY_FILE": write("key", "rk_test_portal_0123456789"), "STRIPE_API_URL": serveStripe(t),
		"SMTP_URL": "smtp://127.0.0.1:1", "MAIL_FROM": "portal@portal.example", "SHUTDOWN_TIMEOUT": "20s",
	}}
	p.env["STRIPE_CHECKOUT_ORIGIN"], p.env["STRIPE_BILLING_ORIGIN"] = p.env["STRIPE_API_URL"], p.env["STRIPE_API_URL"]
	return p
}

// nextPort is where freeAddress looks next. The range lies below the one that the kernel takes ports of outgoing connections
// from, which would else take a port before the portal does.
var nextPort = func() *atomic.Int64 {
	var n atomic.Int64
	n.Store(int64(os.Getpid() % 1000 * 12))
	return &n
}()

// freeAddress is an address of this machine where nothing listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 1000 {
		l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", 12000+nextPort.Add(1)%18000))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no free port")
	return ""
}

// rfc8032Key is the public key of RFC 8032, section 7.1, test 1.
const rfc8032Key = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

func serveSigner(t *testing.T, dir string, approvers []trust.Approver) string {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Second)
	bundle := trust.Bundle{
		SchemaVersion: 1, Version: 1, IssuedAt: now, Demo: true, Stripe: trust.Stripe{Account: "acct_1"}, Templates: catalog.Launch(),
		Caps: trust.Caps{FreePerDay: 20, FreePerCustomer: 1, PerDay: 100},
		Keys: []trust.Key{{
			ID: "k1", Role: trust.RoleLicense, PublicKeyBase64: rfc8032Key, Status: trust.KeySigning,
			SignFrom: now.AddDate(0, -1, 0), SignUntil: now.AddDate(1, 0, 0), VerifyUntil: now.AddDate(6, 0, 0),
		}},
		Approvers: approvers, WebAuthn: trust.WebAuthn{RPID: "localhost", Origins: []string{"http://localhost:8080"}},
		Bounds: trust.Bounds{ExtraMonths: 12, LimitFactor: 10},
	}
	mux := http.NewServeMux()
	answer := func(path string, body any) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(body) })
	}
	answer("/v1/trust", bundle)
	answer("/v1/status", signer.Status{Ready: true, TrustVersion: 1, Mode: "test"})
	answer("/v1/log/entries", signer.Entries{})
	mux.HandleFunc("POST /v1/revoke", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnprocessableEntity)
		_ = json.NewEncoder(w).Encode(&signer.Error{Code: signer.CodeNoSigningKey, Message: "the bundle has no revocation key"})
	})
	mux.HandleFunc("GET /v1/log/checkpoint", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "test/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n\u2014 test/log AAAA\n")
	})
	path := filepath.Join(dir, "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: mux}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return path
}

func serveStripe(t *testing.T) string {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	url := "http://" + server.Listener.Addr().String()
	sim, err := stripesim.New(stripesim.Config{PublicURL: url, APIKey: "rk_test_portal_0123456789"})
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = sim.Handler()
	server.Start()
	t.Cleanup(func() { server.Close(); _ = sim.Close() })
	return url
}

// run runs a command to its end and answers what it wrote.
func (p *place) run(args ...string) (stdout string, err error) {
	p.t.Helper()
	var out, log bytes.Buffer
	err = run(p.t.Context(), args, func(name string) string { return p.env[name] }, strings.NewReader(p.typed), &out, &log)
	return out.String(), err
}

func (p *place) mustRun(args ...string) string {
	p.t.Helper()
	out, err := p.run(args...)
	if err != nil {
		p.t.Fatalf("portal %v: %v", args, err)
	}
	return out
}

// start runs a command until stopped; stop answers how it ended.
func (p *place) start(args ...string) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, args, func(name string) string { return p.env[name] }, strings.NewReader(""), io.Discard, io.Discard)
	}()
	stop = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(time.Minute):
			return errors.New("it does not stop")
		}
	})
	p.t.Cleanup(func() { _ = stop() })
	return stop
}

func TestWrongUseSaysWhatIsRight(t *testing.T) {
	t.Parallel()
	p := &place{t: t, env: map[string]string{}}
	for _, args := range [][]string{
		{}, {"sell"}, {"serve", "now"}, {"audit", "now"}, {"audit", "-log-key", "x"}, {"audit", "-xml"}, {"catalog"}, {"catalog", "pull"}, {"catalog", "push", "now"},
		{"catalog", "push", "-webhook", "https://portal.example/webhooks/stripe"}, {"catalog", "push", "-secret-file", "s"},
		{"catalog", "plan", "-webhook", "http://portal.example/webhooks/stripe"}, {"staff"}, {"staff", "hire"}, {"staff", "review", "forget"},
		{"staff", "enroll"}, {"staff", "enroll", "-name", "Ada"}, {"staff", "enroll", "-name", "Ada", "-role", "issuer", "more"},
		{"staff", "review", "release"}, {"staff", "review", "release", "-by", "Ada"}, {"staff", "review", "close", "ord_1", "-why", "x"},
		{"staff", "review", "close", "ord_1", "-by", "Ada", "-note", "x", "more"}, {"staff", "order"}, {"staff", "order", "-json"}, {"staff", "order", "ord_1", "ord_2"},
	} {
		if _, err := p.run(args...); !errors.Is(err, errUsage) {
			t.Errorf("portal %v: %v", args, err)
		}
	}
	for asked, says := range map[string]string{
		"help": "staff review release ORDER", "-h": "usage: portal COMMAND", "staff -h": "usage: portal COMMAND",
		"quote show -h": "usage: portal COMMAND", "restore -help": "usage: portal COMMAND", "staff request-link -h": "usage: portal COMMAND",
		"staff propose revoke -h": "revoked, suspended, superseded", "staff propose replace lic_1 -h": "-supersede", "quote prepare -h": "-due days",
		"staff approve -h": "-digest", "staff review close -h": "ORDER -by NAME", "reconcile -h": "change nothing", "audit --help": "-log-key verifier_key",
	} {
		if out, err := p.run(strings.Fields(asked)...); err != nil || !strings.Contains(out, says) {
			t.Errorf("%s: %v\n%s", asked, err, out)
		}
	}
}

func TestACommandNamesWhatIsMissingAndNoSecret(t *testing.T) {
	t.Parallel()
	p := &place{t: t, env: map[string]string{"DATABASE_URL": "postgres://portal:hunter2@localhost:1/%zz"}}
	for _, args := range [][]string{{"serve"}, {"worker"}, {"migrate"}, {"restore"}, {"replay"}, {"audit"}, {"reconcile"}, {"staff", "review"}} {
		_, err := p.run(args...)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("portal %v: %v", args, err)
		}
	}
	if _, err := p.run("serve"); !strings.Contains(err.Error(), "SIGNER_SOCKET") || !strings.Contains(err.Error(), "PORTAL_SECRET_FILE") {
		t.Errorf("serve: %v", err)
	}
}

func TestTheCommandsWorkOnAFreshPlace(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.mustRun("migrate")
	p.mustRun("migrate")
	if out, err := p.run("catalog", "status"); err == nil || errors.Is(err, errUsage) || !strings.Contains(out, "created   price            credit-pack-5m.v1") {
		t.Errorf("catalog status before the push: %v, %s", err, out)
	}
	if out := p.mustRun("catalog", "plan"); !strings.Contains(out, "created   price            credit-pack-5m.v1") {
		t.Errorf("catalog plan: %s", out)
	}
	if out := p.mustRun("catalog", "push"); !strings.Contains(out, "credit-pack-5m.v1") || !strings.Contains(out, "created") {
		t.Errorf("catalog push: %s", out)
	}
	if out := p.mustRun("catalog", "push"); strings.Contains(out, "created") {
		t.Errorf("a second push: %s", out)
	}
	secret := filepath.Join(t.TempDir(), "webhook.secret")
	webhook := []string{"-webhook", "https://portal.example/webhooks/stripe"}
	if out, err := p.run(append([]string{"catalog", "status"}, webhook...)...); err == nil || !strings.Contains(out, "created   webhook endpoint") {
		t.Errorf("catalog status without an endpoint: %v, %s", err, out)
	}
	p.mustRun(append([]string{"catalog", "push", "-secret-file", secret}, webhook...)...)
	if text, err := os.ReadFile(secret); err != nil || !strings.HasPrefix(string(text), "whsec_") {
		t.Errorf("the endpoint's secret: %v", err)
	}
	p.mustRun(append([]string{"catalog", "status"}, webhook...)...)
	if out := p.mustRun("restore"); !strings.Contains(out, "read 0 licenses") {
		t.Errorf("restore: %s", out)
	}
	if out := p.mustRun("audit"); !strings.Contains(out, "no differences") || !strings.Contains(out, "signature not checked") {
		t.Errorf("audit: %s", out)
	}
	if out := p.mustRun("replay"); !strings.Contains(out, "which lacked 0") {
		t.Errorf("replay: %s", out)
	}
	if out, err := p.run("reconcile", "-dry-run"); err == nil || !strings.Contains(out, "endpoint: http://localhost:8080/webhooks/stripe: the webhook endpoint is missing") {
		t.Errorf("reconcile without the portal's endpoint: %v, %s", err, out)
	}
	p.env["STRIPE_WEBHOOK_URL"] = webhook[1]
	for _, args := range [][]string{{"reconcile", "-dry-run"}, {"reconcile"}} {
		if out := p.mustRun(args...); !strings.Contains(out, "paid without license 0") || !strings.Contains(out, "events missing 0") || !strings.Contains(out, "webhook endpoint enabled") {
			t.Errorf("%v: %s", args, out)
		}
	}
	p.env["PORTAL_METRICS_LISTEN"] = freeAddress(t)
	if out := p.mustRun("staff", "review"); !strings.Contains(out, "no order is in review") {
		t.Errorf("staff review: %s", out)
	}
	if out := p.mustRun("quote", "list"); !strings.Contains(out, "there are no quotes") {
		t.Errorf("quote list: %s", out)
	}
	if _, err := p.run("quote", "prepare", "enterprise-annual", "-org", "cust_none", "-by", "Ada"); err == nil || !strings.Contains(err.Error(), "no such customer") {
		t.Errorf("a quote for nobody: %v", err)
	}
	for _, wrong := range [][]string{{"quote"}, {"quote", "sell"}, {"quote", "show"}, {"quote", "prepare", "-org", "cust_1"}, {"quote", "prepare", "marketplace-seat", "-amount", "1.005"}} {
		if _, err := p.run(wrong...); !errors.Is(err, errUsage) {
			t.Errorf("%v: %v", wrong, err)
		}
	}
	worker, serve := p.start("worker"), p.start("serve")
	url := "http://" + p.env["PORTAL_LISTEN"]
	for _, address := range []string{url + "/healthz", "http://" + p.env["PORTAL_METRICS_LISTEN"] + "/metrics"} { // one of each process
		var status int
		for end := time.Now().Add(time.Minute); status != http.StatusOK && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			status = get(address)
		}
		if status != http.StatusOK {
			t.Fatalf("%s answers %d", address, status)
		}
	}
	if status := get(url + "/packages"); status != http.StatusOK {
		t.Errorf("/packages answers %d", status)
	}
	if err := errors.Join(serve(), worker()); err != nil {
		t.Errorf("stopping: %v", err)
	}
}

func get(url string) int {
	client := http.Client{Timeout: time.Minute}
	response, err := client.Get(url)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	return response.StatusCode
}

func TestAKeyOfAnotherModeThanTheBundleIsRefused(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.mustRun("migrate")
	if err := os.WriteFile(p.env["STRIPE_API_KEY_FILE"], []byte("rk_live_portal_0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"serve"}, {"worker"}, {"reconcile"}, {"catalog", "push"}} {
		if _, err := p.run(args...); err == nil || !strings.Contains(err.Error(), "live key") {
			t.Errorf("portal %v: %v", args, err)
		}
	}
}

func TestStaffAreInvitedToMakeAPasskey(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	out := p.mustRun("staff", "enroll", "-name", "Ada Lovelace", "-role", "approver")
	address, rest, _ := strings.Cut(out, "\n")
	if !strings.HasPrefix(address, "http://localhost:8080/staff/enroll/") || !strings.Contains(rest, "give it to Ada Lovelace alone") {
		t.Errorf("staff enroll: %s", out)
	}
	if _, err := p.run("staff", "enroll", "-name", "Ada", "-role", "boss"); !errors.Is(err, errUsage) || !strings.Contains(err.Error(), "issuer, approver or finance") {
		t.Errorf("as boss: %v", err)
	}
}

func TestStaffListReleaseAndCloseFromTheCommandLine(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.env["DATABASE_URL"] = pgtest.URL(t, postgres.Migrate)
	conn, err := pgx.Connect(t.Context(), p.env["DATABASE_URL"])
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	_, err = conn.Exec(t.Context(), `INSERT INTO organizations (id, name, created_at) VALUES ('cust_1', 'Lumen', now());
		INSERT INTO users (id, email, created_at) VALUES ('usr_1', 'a@lumen.example', now());
		INSERT INTO orders (id, organization_id, created_by, buyer_email, mail_domain, deployment_id, deployment_name, state, kind, sku, template_ref,
			evaluation, snapshot, currency, total, form_key, reasons, attempt, created_at, updated_at)
		SELECT 'ord_' || n, 'cust_1', 'usr_1', 'a@lumen.example', 'lumen.example', 'dep_' || n, 'one', 'in_review', 'new', 'credit-pack-5m', 'credit-pack-5m@1',
			false, '{}', 'USD', 25000, n::text, '[{"code": "amount-mismatch", "detail": "One cent less."}]', 1, now(), now() - interval '3 days'
		FROM generate_series(1, 2) n`)
	if err != nil {
		t.Fatal(err)
	}
	out := p.mustRun("staff", "review")
	for _, want := range []string{"ord_1", "ord_2", "3 days", "250.00 USD", "Lumen", "amount-mismatch: One cent less."} {
		if !strings.Contains(out, want) {
			t.Errorf("the list lacks %q:\n%s", want, out)
		}
	}
	if out := p.mustRun("staff", "review", "release", "ord_1", "-by", "Ada", "-note", "Rounding."); !strings.Contains(out, "signer decides") {
		t.Error(out)
	}
	if out := p.mustRun("staff", "review", "close", "ord_2", "-by", "Ada", "-note", "Refunded."); !strings.Contains(out, "refund") {
		t.Error(out)
	}
	for _, args := range [][]string{
		{"close", "ord_2", "-by", "Ada", "-note", "Again."}, {"release", "ord_9", "-by", "Ada", "-note", "x"}, {"release", "ord_1", "-by", "Ada"},
	} {
		if _, err := p.run(append([]string{"staff", "review"}, args...)...); err == nil {
			t.Errorf("staff review %v passed", args)
		}
	}
	var lines, jobs int
	err = conn.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM order_log WHERE actor = 'staff: Ada'),
		(SELECT count(*) FROM river.river_job WHERE kind = 'evaluate' AND args->>'order_id' = 'ord_1')`).Scan(&lines, &jobs)
	if err != nil || lines != 2 || jobs != 1 {
		t.Errorf("%d lines in the log, %d jobs, %v", lines, jobs, err)
	}
}
