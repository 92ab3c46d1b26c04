package server

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/signer/evidence"
	"github.com/metrum-ai/licensing-portal/internal/signer/keys"
	"github.com/metrum-ai/licensing-portal/internal/signer/log"
	"github.com/metrum-ai/licensing-portal/internal/trust"
	"github.com/metrum-ai/licensing-portal/license"
)

const webhookSecret = "whsec_0123456789abcdef0123"

// world is everything around a signer under test. The clock starts at start and moves when told.
type world struct {
	t       testing.TB
	dir     string
	bundle  *trust.Bundle
	private map[string]ed25519.PrivateKey
	logKey  ed25519.PrivateKey
	legacy  []license.Key
	commit  func(*bbolt.Tx) error
	logger  *slog.Logger

	mu     sync.Mutex
	now    time.Time
	steady time.Duration

	tcp      *TCP // nil: the socket alone
	listener *Listener

	store  *log.Log
	issuer *Issuer
	client *signer.Client
	stop   func()
}

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func newWorld(t testing.TB) *world {
	t.Helper()
	// Socket paths are at most 107 bytes, so not t.TempDir, which holds the test's name.
	dir, err := os.MkdirTemp("", "sgn")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	w := &world{t: t, dir: dir, now: start, private: map[string]ed25519.PrivateKey{}, logger: slog.New(slog.DiscardHandler)}
	w.bundle = &trust.Bundle{
		SchemaVersion: 1, Version: 1, IssuedAt: start, Demo: true, Stripe: trust.Stripe{Account: "acct_1"},
		Templates: catalog.Launch(), Caps: trust.Caps{FreePerDay: 20, FreePerCustomer: 1, PerDay: 100000},
		Keys: []trust.Key{w.newKey("license-1", start.AddDate(0, -1, 0), start.AddDate(1, 0, 0))},
	}
	_, w.logKey, err = ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Init(w.logConfig()); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) newKey(id string, from, until time.Time) trust.Key {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	w.private[id] = private
	return trust.Key{
		ID: id, Role: trust.RoleLicense, PublicKeyBase64: base64.StdEncoding.EncodeToString(public), SignFrom: from,
		SignUntil: until, VerifyUntil: until.AddDate(5, 0, 0), Status: trust.KeySigning,
	}
}

func (w *world) logConfig() log.Config {
	return log.Config{Path: filepath.Join(w.dir, "log.db"), Origin: "test/log", Key: w.logKey, Now: w.clock, Commit: w.commit}
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// pass moves both clocks; jump moves the wall clock alone.
func (w *world) pass(d time.Duration) { w.jump(d); w.mu.Lock(); w.steady += d; w.mu.Unlock() }
func (w *world) jump(d time.Duration) { w.mu.Lock(); w.now = w.now.Add(d); w.mu.Unlock() }

func (w *world) steadyClock() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.steady
}

// assemble opens the log and makes an issuer without a socket.
func (w *world) assemble() error {
	raw, err := json.Marshal(w.bundle)
	if err != nil {
		return err
	}
	if _, err := trust.Parse(raw); err != nil {
		return err
	}
	set, err := keys.NewSet(w.private, w.bundle)
	if err != nil {
		return err
	}
	verifier, err := evidence.NewVerifier([]evidence.Secret{{Value: webhookSecret}})
	if err != nil {
		return err
	}
	if w.store, err = log.Open(w.logConfig()); err != nil {
		return err
	}
	if err := errors.Join(w.store.RequireSize(w.bundle.MinimumLog), w.store.RememberTrust(w.bundle.Version, raw)); err != nil {
		return errors.Join(err, w.store.Close())
	}
	w.issuer, err = New(Config{
		Bundle: w.bundle, BundleBytes: raw, Keys: set, LegacyKeys: w.legacy, Verifier: verifier, Log: w.store,
		Clock: NewClock(w.clock, w.steadyClock), Logger: w.logger,
	})
	return err
}

// serve starts the signer on its socket; the client is the hostile portal's: it has the socket and nothing else.
func (w *world) serve() *world {
	w.t.Helper()
	if err := w.assemble(); err != nil {
		w.t.Fatal(err)
	}
	listener, err := Listen(Socket{Path: filepath.Join(w.dir, "s"), GroupID: -1}, w.tcp)
	if err != nil {
		w.t.Fatal(err)
	}
	w.listener = listener
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- listener.Serve(ctx, w.issuer.Handler(), w.logger, func() { close(ready) })
	}()
	select {
	case <-ready:
	case err := <-done:
		w.t.Fatal(err)
	}
	w.client = signer.NewClient(filepath.Join(w.dir, "s"))
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := errors.Join(<-done, w.store.Close()); err != nil {
			w.t.Error(err)
		}
	})
	w.t.Cleanup(w.stop)
	return w
}

// session is a Checkout session's event in the making.
type session struct {
	eventID, eventType, apiVersion, account string
	created, sessionCreated                 time.Time
	livemode, sessionLivemode               bool
	object, mode, status, payment, currency string
	subtotal, discount, total               int64
	metadata                                map[string]string
	paymentIntent                           string
}

func paid(intent catalog.Intent, amount int64) *session {
	return &session{
		eventID: "evt_" + intent.OrderID, eventType: typeCompleted, apiVersion: evidence.APIVersion, created: start,
		sessionCreated: start.Add(-10 * time.Minute), object: "checkout.session", mode: "payment", status: "complete", payment: "paid",
		currency: "usd", subtotal: amount, total: amount, metadata: intent.Metadata(),
	}
}

func (s *session) body() []byte {
	event := map[string]any{
		"id": s.eventID, "object": "event", "api_version": s.apiVersion, "created": s.created.Unix(), "livemode": s.livemode,
		"type": s.eventType, "pending_webhooks": 1, "data": map[string]any{"object": map[string]any{
			"id": "cs_" + s.eventID, "object": s.object, "mode": s.mode, "status": s.status, "payment_status": s.payment, "currency": s.currency,
			"amount_subtotal": s.subtotal, "amount_total": s.total, "total_details": map[string]any{"amount_discount": s.discount},
			"created": s.sessionCreated.Unix(), "livemode": s.sessionLivemode, "metadata": s.metadata,
			"payment_intent": s.paymentIntent,
		}},
	}
	if s.account != "" {
		event["account"] = s.account
	}
	text, err := json.Marshal(event)
	if err != nil {
		panic(err)
	}
	return text
}

func (s *session) event() *signer.Event { return signed(s.body(), s.created, webhookSecret) }

func signed(body []byte, at time.Time, secret string) *signer.Event {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%d.%s", at.Unix(), body)
	return &signer.Event{Body: body, SignatureHeader: fmt.Sprintf("t=%d,v1=%s", at.Unix(), hex.EncodeToString(mac.Sum(nil)))}
}

func pack(order string) catalog.Intent {
	return catalog.Intent{
		OrderID: order, Kind: catalog.IssueNew, Template: "credit-pack-5m@1", Quantity: 1, CustomerID: "cust_1", CustomerName: "Example & Söhne",
		DeploymentID: "dep_1", Environments: []string{"production"}, Fingerprints: []string{"fp:a"},
	}
}

func eval(order, customer string) catalog.Intent {
	return catalog.Intent{
		OrderID: order, Kind: catalog.IssueNew, Template: "eval-72h@1", Quantity: 1, CustomerID: customer, DeploymentID: "dep_1",
		Environments: []string{"evaluation"},
	}
}

func free(intent catalog.Intent) *session {
	s := paid(intent, 0)
	s.payment = "no_payment_required"
	return s
}

// based names a base in an intent.
func based(order string, kind catalog.IssuanceKind, template string, base []byte) catalog.Intent {
	var file struct{ Payload license.Payload }
	if err := json.Unmarshal(base, &file); err != nil {
		panic(err)
	}
	return catalog.Intent{
		OrderID: order, Kind: kind, Template: template, Quantity: 1, CustomerID: file.Payload.CustomerID, DeploymentID: "dep_1",
		BaseID: file.Payload.LicenseID, BaseSHA256: digest(base),
	}
}

func (w *world) issue(s *session, base ...byte) ([]byte, error) {
	return w.client.Issue(w.t.Context(), signer.IssueRequest{Event: s.event(), BaseEnvelope: string(base)})
}

func (w *world) mustIssue(s *session, base ...byte) []byte {
	w.t.Helper()
	envelope, err := w.issue(s, base...)
	if err != nil {
		w.t.Fatal(err)
	}
	return envelope
}

func code(err error) signer.Code {
	var refusal *signer.Error
	if errors.As(err, &refusal) {
		return refusal.Code
	}
	return ""
}

// payload reads a license as a router with the bundle's key ring would.
func (w *world) payload(envelope []byte) license.Payload {
	w.t.Helper()
	ring, err := w.bundle.KeyRing()
	if err != nil {
		w.t.Fatal(err)
	}
	read, err := license.Read(envelope, ring, w.clock())
	if err != nil {
		w.t.Fatal(err)
	}
	return read.Payload()
}

// forge makes a license that was never issued, with the private half of a key.
func forge(t testing.TB, like []byte, key ed25519.PrivateKey) []byte {
	t.Helper()
	var file struct{ Payload license.Payload }
	if err := json.Unmarshal(like, &file); err != nil {
		t.Fatal(err)
	}
	file.Payload.LicenseID += "0"
	message, err := file.Payload.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	envelope, err := license.Encode(file.Payload, ed25519.Sign(key, message))
	if err != nil {
		t.Fatal(err)
	}
	return envelope
}
