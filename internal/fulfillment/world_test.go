package fulfillment_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/metrum-ai/licensing-portal/internal/account"
	"github.com/metrum-ai/licensing-portal/internal/approval/software"
	"github.com/metrum-ai/licensing-portal/internal/billing"
	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/internal/jobs"
	"github.com/metrum-ai/licensing-portal/internal/postgres"
	"github.com/metrum-ai/licensing-portal/internal/postgres/pgtest"
	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/signer/evidence"
	"github.com/metrum-ai/licensing-portal/internal/signer/keys"
	signerlog "github.com/metrum-ai/licensing-portal/internal/signer/log"
	"github.com/metrum-ai/licensing-portal/internal/signer/server"
	"github.com/metrum-ai/licensing-portal/internal/stripesim"
	"github.com/metrum-ai/licensing-portal/internal/trust"
)

const (
	webhookSecret = "whsec_world_0123456789abcdef"
	stripeKey     = "rk_test_world"
	buyer         = "buyer@lumen.example"
)

// world is the paid path without browser and processes: a real database, the stand-in for Stripe, a signer on its socket.
type world struct {
	t      *testing.T
	dir    string
	simURL string
	stripe *billing.Client
	signer *signer.Client
	bundle *trust.Bundle
	keys   map[string]ed25519.PrivateKey // of the bundle, by ID
	staff  map[string]*software.Key      // by name
	log    *slog.Logger

	signing    server.Config
	logging    signerlog.Config
	issuer     *server.Issuer
	signerDown func()

	slept atomic.Int64 // nanoseconds that every clock is ahead of the machine's

	mu    sync.Mutex
	inbox *fulfillment.Inbox
	mails []fulfillment.ReadyMail
	moved []fulfillment.ReplacementMail
	told  []fulfillment.StandingMail
	bills []string // "quote ORDER" and "invoice NUMBER"
	owed  []fulfillment.PaymentMail

	logged lockedBuffer // of the revokers that revokerWith made

	*portal
}

// portal is what hangs on one database.
type portal struct {
	url       string
	pool      *pgxpool.Pool
	store     *postgres.Fulfillment
	orders    *fulfillment.Orders
	library   *fulfillment.Library
	fulfiller *fulfillment.Fulfiller
	revoker   *fulfillment.Revoker
	review    *fulfillment.Review
	restorer  *fulfillment.Restorer
	requests  *fulfillment.Requests
	executor  *fulfillment.Executor
	quotes    *fulfillment.Quotes
}

func newWorld(t *testing.T) *world { return newWorldSelling(t, catalog.Launch()) }

func newWorldSelling(t *testing.T, templates []catalog.Template) *world {
	t.Helper()
	dir, err := os.MkdirTemp("", "ful") // socket paths must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	w := &world{t: t, dir: dir, log: slog.New(slog.DiscardHandler)}
	w.startSigner(templates)
	w.startStripe()
	w.openPortal()
	return w
}

// now is the clock of the portal, the signer and the stand-in alike.
func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.slept.Load())) }

// sleepUntil lets all of them wake up at a later time, with what the stand-in's clock has made due done.
func (w *world) sleepUntil(at time.Time) {
	w.t.Helper()
	if d := at.Sub(w.now()); d > 0 {
		w.slept.Add(int64(d))
	}
	w.sim("/_sim/clock", nil, nil)
}

func (w *world) startSigner(templates []catalog.Template) {
	_, logKey, err := ed25519.GenerateKey(rand.Reader)
	w.must(err)
	now := time.Now()
	w.bundle = &trust.Bundle{
		SchemaVersion: 1, Version: 1, IssuedAt: now.UTC().Truncate(time.Second), Demo: true, Stripe: trust.Stripe{Account: "acct_stripesim"},
		Templates: templates, Caps: trust.Caps{FreePerDay: 20, FreePerCustomer: 1, PerDay: 100},
		WebAuthn: trust.WebAuthn{RPID: "localhost", Origins: []string{"http://localhost:8080"}}, Bounds: trust.Bounds{ExtraMonths: 12, LimitFactor: 10},
	}
	w.hireStaff()
	private := map[string]ed25519.PrivateKey{}
	w.keys = private
	for id, role := range map[string]string{"license-1": trust.RoleLicense, "revocation-1": trust.RoleRevocation} {
		var public ed25519.PublicKey
		public, private[id], err = ed25519.GenerateKey(rand.Reader)
		w.must(err)
		w.bundle.Keys = append(w.bundle.Keys, trust.Key{
			ID: id, Role: role, PublicKeyBase64: base64.StdEncoding.EncodeToString(public), Status: trust.KeySigning,
			SignFrom: now.AddDate(0, -1, 0).UTC().Truncate(time.Second), SignUntil: now.AddDate(1, 0, 0).UTC().Truncate(time.Second),
			VerifyUntil: now.AddDate(6, 0, 0).UTC().Truncate(time.Second),
		})
	}
	w.takeBundle()
	w.logging = signerlog.Config{Path: filepath.Join(w.dir, "log.db"), Origin: "test/log", Key: logKey}
	w.must(signerlog.Init(w.logging))
	w.openLog()
	w.signerUp()
	w.t.Cleanup(func() { w.signerDown() })
}

// takeBundle lets the signer obey the bundle as it stands.
func (w *world) takeBundle() {
	w.t.Helper()
	raw, err := json.Marshal(w.bundle)
	w.must(err)
	w.bundle, err = trust.Parse(raw)
	w.must(err)
	set, err := keys.NewSet(w.keys, w.bundle)
	w.must(err)
	verifier, err := evidence.NewVerifier([]evidence.Secret{{Value: webhookSecret}})
	w.must(err)
	w.signing.Bundle, w.signing.BundleBytes, w.signing.Keys, w.signing.Verifier = w.bundle, raw, set, verifier
}

// openLog opens the log and makes the issuer that signs on it.
func (w *world) openLog() *signerlog.Log {
	w.t.Helper()
	store, err := signerlog.Open(w.logging)
	w.must(err)
	w.t.Cleanup(func() { _ = store.Close() })
	w.must(store.RememberTrust(w.bundle.Version, w.signing.BundleBytes))
	w.signing.Log = store
	w.signing.Clock = server.NewClock(w.now, func() time.Duration { return w.now().Sub(time.Unix(0, 0)) }) // the machine sleeps when w sleeps
	w.issuer, err = server.New(w.signing)
	w.must(err)
	return store
}

func (w *world) signerUp() {
	w.t.Helper()
	path := filepath.Join(w.dir, "s")
	listener, err := server.Listen(server.Socket{Path: path, GroupID: -1}, nil)
	w.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- listener.Serve(ctx, w.issuer.Handler(), w.log, func() { close(ready) })
	}()
	select {
	case <-ready:
	case err := <-done:
		w.t.Fatal(err)
	}
	w.signer = signer.NewClient(path)
	w.signerDown = sync.OnceFunc(func() { cancel(); <-done })
}

// startStripe runs the stand-in; its webhooks go to whichever portal is open.
func (w *world) startStripe() {
	hooks := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.mu.Lock()
		inbox := w.inbox
		w.mu.Unlock()
		if inbox == nil { // the catalog's own events
			return
		}
		switch err := inbox.Receive(r.Context(), body, r.Header.Get("Stripe-Signature")); {
		case errors.Is(err, fulfillment.ErrSignatureInvalid):
			rw.WriteHeader(http.StatusBadRequest)
		case err != nil:
			rw.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	simServer := httptest.NewUnstartedServer(nil)
	w.simURL = "http://" + simServer.Listener.Addr().String()
	sim, err := stripesim.New(stripesim.Config{
		PublicURL: w.simURL, APIKey: stripeKey, SettleAfter: time.Hour, Clock: w.now,
		Endpoints: []stripesim.EndpointConfig{{URL: hooks.URL, Secret: webhookSecret, EnabledEvents: []string{"*"}}},
	})
	w.must(err)
	simServer.Config.Handler = sim.Handler()
	simServer.Start()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- sim.Run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		<-done
		simServer.Close()
		hooks.Close()
		_ = sim.Close()
	})
	w.stripe, err = billing.New(billing.Config{Key: stripeKey, URL: w.simURL, Timeout: time.Minute})
	w.must(err)
	_, err = w.stripe.PushCatalog(w.t.Context(), w.bundle.Templates, time.Now())
	w.must(err)
}

// openPortal makes the portal's services on a fresh database.
func (w *world) openPortal() {
	p := &portal{url: pgtest.URL(w.t, postgres.Migrate)}
	var err error
	p.pool, err = pgxpool.New(context.Background(), p.url)
	w.must(err)
	w.t.Cleanup(p.pool.Close)
	queue, err := jobs.NewInserter(p.pool, postgres.JobSchema, w.log)
	w.must(err)
	p.store = postgres.NewFulfillment(p.pool, queue)
	bundles := fulfillment.NewCatalog(w.signer, w.now)
	watcher := postgres.NewWatcher(p.url, w.log)
	listening, stop := context.WithCancel(context.Background())
	go watcher.Run(listening)
	go p.store.WakeWorkers(listening, w.log)
	w.t.Cleanup(stop)
	p.orders, err = fulfillment.NewOrders(fulfillment.OrdersConfig{
		Store: p.store, Licenses: p.store, Catalog: bundles, Stripe: w.stripe, Watcher: watcher, PublicURL: "http://localhost:8080",
		Now: w.now, Random: rand.Reader, Log: w.log,
	})
	w.must(err)
	p.library, err = fulfillment.NewLibrary(fulfillment.LibraryConfig{
		Licenses: p.store, Links: p.store, Secret: bytes.Repeat([]byte{7}, 32), Now: w.now, Random: rand.Reader,
	})
	w.must(err)
	p.fulfiller, err = fulfillment.NewFulfiller(fulfillment.FulfillerConfig{
		Evaluations: p.store, Issuances: p.store, Mails: p.store, Reconciles: p.store, Stripe: w.stripe, Invoices: w.stripe, Signer: w.signer, Catalog: bundles,
		Mailer: w, Now: w.now, Log: w.log,
	})
	w.must(err)
	p.revoker, err = fulfillment.NewRevoker(fulfillment.RevokerConfig{
		Store: p.store, Taken: p.store, Mails: p.store, Stripe: w.stripe, Signer: w.signer, Catalog: bundles, Mailer: w, Now: w.now, Log: w.log,
	})
	w.must(err)
	p.quotes, err = fulfillment.NewQuotes(fulfillment.QuotesConfig{Orders: p.orders, Store: p.store, List: p.store, Looks: p.store, Stripe: w.stripe})
	w.must(err)
	p.review = fulfillment.NewReview(p.store, w.now)
	p.restorer, err = fulfillment.NewRestorer(fulfillment.RestorerConfig{
		Store: p.store, Signer: w.signer, Revoker: p.revoker, Catalog: bundles, Now: w.now, Random: rand.Reader, Log: w.log,
	})
	w.must(err)
	w.portal = p
	w.openDesk()
	inbox, err := fulfillment.NewInbox(fulfillment.InboxConfig{Store: p.store, Signer: w.signer, Catalog: bundles, Now: w.now, Log: w.log})
	w.must(err)
	w.mu.Lock()
	w.inbox = inbox
	w.mu.Unlock()
}

// SendReady implements fulfillment.Mailer.
func (w *world) SendReady(_ context.Context, m fulfillment.ReadyMail) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mails = append(w.mails, m)
	return nil
}

// SendPayment implements fulfillment.Mailer.
func (w *world) SendPayment(_ context.Context, m fulfillment.PaymentMail) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.owed = append(w.owed, m)
	return nil
}

// SendStanding implements fulfillment.StandingMailer.
func (w *world) SendStanding(_ context.Context, m fulfillment.StandingMail) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = append(w.told, m)
	return nil
}

func (w *world) standingMails() []fulfillment.StandingMail {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.told)
}

func (w *world) mailed() []fulfillment.ReadyMail {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]fulfillment.ReadyMail(nil), w.mails...)
}

// noSignIns stands for accounts, which these tests have none of.
type noSignIns struct{}

func (noSignIns) SignInMail(context.Context, string) (account.Mail, error) {
	return account.Mail{}, account.ErrLinkUnknown
}
func (noSignIns) SendSignIn(context.Context, account.Mail) error { return nil }
func (noSignIns) Tidy(context.Context) error                     { return nil }
func (noSignIns) Hourly(context.Context) error                   { return nil }
func (noSignIns) Daily(context.Context) error                    { return nil }

// work starts a worker on the portal's database.
func (w *world) work() *jobs.Runner { return w.workPolling(5 * time.Millisecond) }

// unasked is a revoker that fetches no bundle by itself, so that a test's log holds what the test put there.
type unasked struct{ *fulfillment.Revoker }

func (unasked) Refresh(context.Context) error { return nil }

func (w *world) workPolling(poll time.Duration) *jobs.Runner {
	return w.workWith(poll, unasked{w.revoker})
}

func (w *world) workWith(poll time.Duration, revoker jobs.Revoker) *jobs.Runner {
	w.t.Helper()
	runner, err := jobs.NewRunner(jobs.Config{
		Pool: w.pool, Schema: postgres.JobSchema, Fulfiller: w.fulfiller, Revoker: revoker, Executor: w.executor, Reconciler: noSignIns{}, BillMails: fulfillment.NewBillMails(w.store, w, time.Now), SignIns: noSignIns{}, Sender: noSignIns{}, Tidier: noSignIns{},
		Poll: poll, Workers: 4, Reconcile: time.Hour, Log: w.log,
	})
	w.must(err)
	w.must(runner.Start(context.Background()))
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = runner.Stop(ctx)
	})
	return runner
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) pay(session string, total int64) {
	w.t.Helper()
	if total == 0 {
		w.payBy(session, "confirm")
		return
	}
	w.payBy(session, "card_ok")
}

func (w *world) payBy(session, method string) {
	w.t.Helper()
	w.sim("/_sim/sessions/"+session+"/pay", map[string]any{"method": method, "email": buyer}, nil)
}

// sim calls the stand-in's own API.
func (w *world) sim(path string, in, out any) {
	w.t.Helper()
	method, body := http.MethodGet, []byte(nil)
	if in != nil {
		var err error
		body, err = json.Marshal(in)
		w.must(err)
		method = http.MethodPost
	}
	request, err := http.NewRequestWithContext(w.t.Context(), method, w.simURL+path, bytes.NewReader(body))
	w.must(err)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	w.must(err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	w.must(err)
	if response.StatusCode >= 300 {
		w.t.Fatalf("%s: %d %s", path, response.StatusCode, answer)
	}
	if out != nil {
		w.must(json.Unmarshal(answer, out))
	}
}

// events lists the IDs of the stand-in's events about an object, newest first.
func (w *world) events(object string) []string {
	w.t.Helper()
	var answer struct {
		Events []struct {
			ID string `json:"id"`
		} `json:"events"`
	}
	w.sim("/_sim/events?object="+object, nil, &answer)
	var ids []string
	for _, e := range answer.Events {
		ids = append(ids, e.ID)
	}
	if len(ids) == 0 {
		w.t.Fatalf("no events of %s", object)
	}
	return ids
}

func sha256Hex(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func (w *world) count(sql string, args ...any) int {
	w.t.Helper()
	var n int
	w.must(w.pool.QueryRow(w.t.Context(), sql, args...).Scan(&n))
	return n
}

// patience bounds only the wait of a test that fails.
const patience = 2 * time.Minute

// idle waits until nothing is on its way: no webhook, and no job that it would have made.
func (w *world) idle() {
	w.t.Helper()
	w.eventually("rid of webhooks to deliver", func() bool { return w.webhooksPending() == 0 })
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		n := w.count(`SELECT count(*) FROM river.river_job WHERE state IN ('available', 'running', 'pending') AND kind <> 'reconcile'
			AND (state <> 'available' OR scheduled_at <= now())`) // River readies what is to be tried again later some seconds ahead
		if n == 0 {
			return
		}
		if time.Now().After(end) {
			w.t.Fatalf("%d jobs left", n)
		}
	}
}
