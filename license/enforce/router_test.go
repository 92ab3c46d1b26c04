package enforce

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

var start = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)

// router is a Manager under test with its file, clock and log.
type router struct {
	*Manager
	t        testing.TB
	settings Config
	path     string
	now      *atomic.Int64 // Unix nanoseconds
	log      *bytes.Buffer
	signer   ed25519.PrivateKey
}

// newRouter starts a Manager on an empty folder; edit may change its configuration.
func newRouter(t testing.TB, edit func(*Config)) *router {
	t.Helper()
	r := &router{t: t, path: filepath.Join(t.TempDir(), "license.json"), now: new(atomic.Int64), log: new(bytes.Buffer)}
	r.signer = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	r.now.Store(start.UnixNano())
	config := Config{
		Path:          r.path,
		Ring:          r.ring(time.Time{}),
		Fingerprint:   "fp:a",
		RouterVersion: "1.15.0",
		Clock:         func() time.Time { return time.Unix(0, r.now.Load()).UTC() },
		Logger:        slog.New(slog.NewTextHandler(r.log, nil)),
	}
	if edit != nil {
		edit(&config)
	}
	r.settings = config
	r.start()
	return r
}

func (r *router) ring(notAfter time.Time) *license.KeyRing {
	ring, err := license.NewKeyRing(license.Key{ID: "k1", Public: r.signer.Public().(ed25519.PublicKey), NotAfter: notAfter})
	if err != nil {
		r.t.Fatal(err)
	}
	return ring
}

// issue signs a license that is valid for 30 days from start, changed by edit.
func (r *router) issue(id string, edit func(*license.Payload)) []byte {
	r.t.Helper()
	p := license.Payload{SchemaVersion: 1, LicenseID: id, CustomerID: "cust_1", CustomerName: "Secret Name",
		Product: license.Product, SKU: "pilot-30d", Features: []string{"routing"}, Limits: license.Limits{MaxCallers: 10},
		IssuedAt: start, NotBefore: start, ExpiresAt: start.Add(30 * 24 * time.Hour), KeyID: "k1", Issuer: license.Issuer}
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

// install replaces the file as an installer does, and rechecks.
func (r *router) install(file []byte) {
	r.t.Helper()
	next := r.path + ".new"
	if err := os.WriteFile(next, file, 0o600); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(next, r.path); err != nil {
		r.t.Fatal(err)
	}
	r.Recheck()
}

func (r *router) remove() {
	r.t.Helper()
	if err := os.Remove(r.path); err != nil {
		r.t.Fatal(err)
	}
	r.Recheck()
}

// run runs the Manager until the test ends.
func (r *router) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Run(ctx)
	}()
	r.t.Cleanup(func() {
		cancel()
		<-done
	})
	for r.clock.coarse.Load() == notTicking {
		time.Sleep(time.Millisecond)
	}
}

// restart ends the Manager as kill -9 would, or cleanly, and starts another on the same files.
func (r *router) restart(clean bool) {
	r.t.Helper()
	if clean {
		if err := r.Close(); err != nil {
			r.t.Fatal(err)
		}
	} else if store := r.ledger.store; store != nil && store.lock != nil {
		_ = unlockFile(store.lock) // the kernel does it for a dead process
	}
	r.start()
}

func (r *router) start() {
	r.t.Helper()
	var err error
	if r.Manager, err = New(r.settings); err != nil {
		r.t.Fatal(err)
	}
	manager := r.Manager
	r.t.Cleanup(func() { _ = manager.Close() })
}

// begin admits a request that reserves tokens, or fails the test.
func (r *router) begin(tokens int64) *Ticket {
	r.t.Helper()
	ticket, err := r.Begin(Request{Feature: license.FeatureRouting, Tokens: tokens})
	if err != nil {
		r.t.Fatal(err)
	}
	return &ticket
}

// use serves n requests of one token each.
func (r *router) use(n int) {
	r.t.Helper()
	for range n {
		r.begin(1).End()
	}
}

// wantRefused asks for a request that must be refused with the code.
func (r *router) wantRefused(tokens int64, code license.Code) {
	r.t.Helper()
	ticket, err := r.Begin(Request{Feature: license.FeatureRouting, Tokens: tokens})
	if err == nil {
		ticket.End()
	}
	if license.CodeOf(err) != code {
		r.t.Fatalf("%v, want %s", err, code)
	}
}

func (r *router) wantUsed(requests, tokens int64) {
	r.t.Helper()
	if c := r.Counters(); c.RequestsUsed != requests || c.TokensUsed != tokens {
		r.t.Fatalf("used %d requests and %d tokens, want %d and %d", c.RequestsUsed, c.TokensUsed, requests, tokens)
	}
}

// metered is a license that limits requests and tokens in all.
func (r *router) metered(id string, requests, tokens int64) []byte {
	return r.issue(id, func(p *license.Payload) {
		p.Limits = license.Limits{MaxTotalRequests: requests, MaxTotalTokens: tokens}
	})
}

// withState keeps the state beside the license, in blocks of 10 requests and 100 tokens.
func withState(c *Config) {
	c.State = State{Path: filepath.Join(filepath.Dir(c.Path), "state"), RequestBlock: 10, TokenBlock: 100}
}

func (r *router) at(offset time.Duration) { r.now.Store(start.Add(offset).UnixNano()) }

func (r *router) want(code license.Code, words string) {
	r.t.Helper()
	standing := r.Standing()
	if standing.Code != code || !strings.Contains(standing.Reason, words) {
		r.t.Fatalf("standing is %s (%s), want %s (%s)", standing.Code, standing.Reason, code, words)
	}
	err := r.Admit(license.FeatureRouting)
	if standing.Serving() != (err == nil) || err != nil && license.CodeOf(err) != code {
		r.t.Fatalf("standing is %s, but a request gets %v", standing.Code, err)
	}
}

func (r *router) wantID(id string) {
	r.t.Helper()
	if got := r.SafeStatus().LicenseID; got != id {
		r.t.Fatalf("license %q is in force, want %q", got, id)
	}
}

const day = 24 * time.Hour
