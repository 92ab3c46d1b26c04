package witness

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/signer/evidence"
	"github.com/metrum-ai/licensing-portal/internal/signer/log"
	"github.com/metrum-ai/licensing-portal/internal/signer/server"
	"github.com/metrum-ai/licensing-portal/internal/trust"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// world is a signer with its log, a relay before it that can lie, and a clock.
type world struct {
	t        *testing.T
	store    log.Config
	verifier note.Verifier
	log      *log.Log
	relay    *httptest.Server
	dir      string // the witness's copy

	mu      sync.Mutex
	handler http.Handler
	tamper  func(path string, body []byte) []byte // nil: none
	now     time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, now: noon, dir: filepath.Join(t.TempDir(), "copy")}
	w.store = log.Config{Path: filepath.Join(t.TempDir(), "log.db"), Origin: "test/log", Key: private, Now: func() time.Time { return noon }}
	if w.verifier, err = signer.NewLogVerifier("test/log", public); err != nil {
		t.Fatal(err)
	}
	w.init()
	w.relay = httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(w.relay.Close)
	t.Cleanup(func() { _ = w.log.Close() })
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// init starts a log anew, as a thief of its key would.
func (w *world) init() {
	w.t.Helper()
	w.must(errors.Join(os.RemoveAll(w.store.Path), os.RemoveAll(w.store.Path+".size"), log.Init(w.store)))
	w.open()
}

// open serves the store with the signer's real verbs.
func (w *world) open() {
	w.t.Helper()
	opened, err := log.Open(w.store)
	w.must(err)
	verifier, err := evidence.NewVerifier([]evidence.Secret{{Value: "whsec_0123456789abcdef0123"}})
	w.must(err)
	key := trust.Key{
		ID: "license-1", Role: trust.RoleLicense, PublicKeyBase64: base64.StdEncoding.EncodeToString(w.store.Key.Public().(ed25519.PublicKey)),
		SignFrom: noon, SignUntil: noon.AddDate(1, 0, 0), VerifyUntil: noon.AddDate(5, 0, 0), Status: trust.KeySigning,
	}
	issuer, err := server.New(server.Config{
		Bundle: &trust.Bundle{SchemaVersion: 1, Version: 1, Templates: catalog.Launch(), Keys: []trust.Key{key}}, BundleBytes: []byte("{}"),
		Keys: noKeys{}, Verifier: verifier, Log: opened,
	})
	w.must(err)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log, w.handler = opened, issuer.Handler()
}

// noKeys signs nothing: the tests write records to the log themselves.
type noKeys struct{}

func (noKeys) Has(string) bool                     { return false }
func (noKeys) Sign(string, []byte) ([]byte, error) { return nil, errors.New("no key") }

func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	handler, tamper := w.handler, w.tamper
	w.mu.Unlock()
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, r)
	body := answer.Body.Bytes()
	if tamper != nil && answer.Code == http.StatusOK {
		if body = tamper(r.URL.Path, body); body == nil {
			http.Error(rw, "down", http.StatusBadGateway)
			return
		}
	}
	rw.WriteHeader(answer.Code)
	_, _ = rw.Write(body)
}

// lie sets what the relay does to good answers; nil from it is no answer.
func (w *world) lie(tamper func(path string, body []byte) []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tamper = tamper
}

func down(string, []byte) []byte { return nil }

func (w *world) clock() time.Time     { w.mu.Lock(); defer w.mu.Unlock(); return w.now }
func (w *world) pass(d time.Duration) { w.mu.Lock(); defer w.mu.Unlock(); w.now = w.now.Add(d) }

// fill logs records; another branch gives others under the same indexes.
func (w *world) fill(branch string, from, to int) {
	w.t.Helper()
	for n := from; n < to; n++ {
		_, err := w.log.Append(w.t.Context(), log.Record{
			Kind: log.KindIssuance, FulfillmentKey: fmt.Sprintf("%s_%d", branch, n), LicenseID: fmt.Sprintf("lic_%s_%d", branch, n), IntentSHA256: "aa",
			Event: fmt.Appendf(nil, `{"id":"evt_%d"}`, n), SignatureHeader: "t=1,v1=00", Envelope: fmt.Appendf(nil, "license %s <%d>\n", branch, n),
			IssuedAt: noon,
		}, nil)
		w.must(err)
	}
}

// save stops the log and keeps its store; restore puts that store back. Both serve the log again.
func (w *world) save() {
	w.t.Helper()
	w.must(w.log.Close())
	copyFile(w.t, w.store.Path, w.store.Path+".saved")
	copyFile(w.t, w.store.Path+".size", w.store.Path+".saved.size")
	w.open()
}

func (w *world) restore() {
	w.t.Helper()
	w.must(w.log.Close())
	copyFile(w.t, w.store.Path+".saved", w.store.Path)
	copyFile(w.t, w.store.Path+".saved.size", w.store.Path+".size")
	w.open()
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) tryWitness() (*Witness, error) {
	client, err := signer.NewLogClient(w.relay.URL)
	w.must(err)
	return Open(Config{Source: client, Verifier: w.verifier, Dir: w.dir, Poll: time.Second, Silence: time.Minute, Now: w.clock})
}

func (w *world) witness() *Witness {
	w.t.Helper()
	opened, err := w.tryWitness()
	w.must(err)
	w.t.Cleanup(func() { _ = opened.Close() })
	return opened
}

// intact wants a copy that verifies offline with so many entries.
func (w *world) intact(size int64) {
	w.t.Helper()
	if got, err := Verify(w.dir, w.verifier); err != nil || got != size {
		w.t.Errorf("the copy has %d entries instead of %d: %v", got, size, err)
	}
}

// wantAlarm wants an error to be an alarm, and the state file to say the same.
func (w *world) wantAlarm(err error, kind Kind) *Alarm {
	w.t.Helper()
	var alarm *Alarm
	if !errors.As(err, &alarm) || alarm.Kind != kind {
		w.t.Fatalf("got %v instead of alarm %s", err, kind)
	}
	state, err := ReadState(w.dir)
	if err != nil || state.Alarm == nil || *state.Alarm != *alarm {
		w.t.Fatalf("the state says %+v, %v", state.Alarm, err)
	}
	return alarm
}

// changeEntries lets a test change the entries of a page.
func changeEntries(change func(list []signer.Entry) []signer.Entry) func(string, []byte) []byte {
	return func(path string, body []byte) []byte {
		var page signer.Entries
		if path != "/v1/log/entries" || json.Unmarshal(body, &page) != nil {
			return body
		}
		page.Entries = change(page.Entries)
		text, err := json.Marshal(page)
		if err != nil {
			panic(err)
		}
		return bytes.TrimSpace(text)
	}
}
