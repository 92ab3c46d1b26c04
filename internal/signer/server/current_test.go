package server

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/signer/keys"
	"github.com/metrum-ai/licensing-portal/internal/trust"
	"github.com/metrum-ai/licensing-portal/license"
)

// under returns an issuer like the world's under another bundle, with the keys that it names.
func (w *world) under(b *trust.Bundle) *Issuer {
	w.t.Helper()
	private := map[string]ed25519.PrivateKey{}
	for _, k := range b.Keys {
		private[k.ID] = w.private[k.ID]
	}
	set, setErr := keys.NewSet(private, b)
	raw, rawErr := json.Marshal(b)
	c := w.issuer.config
	c.Bundle, c.BundleBytes, c.Keys = b, raw, set
	i, err := New(c)
	if err := errors.Join(setErr, rawErr, err); err != nil {
		w.t.Fatal(err)
	}
	return i
}

// TestARequestIsServedByOneIssuerWhole swaps two trust bundles, each with a key of its own, while licenses are issued. A
// request that took its bundle from one and its key from the other would be refused.
func TestARequestIsServedByOneIssuerWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := *w.bundle
	if err := w.assemble(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.store.Close() })
	second := first
	second.Version, second.Keys = 2, []trust.Key{w.newKey("license-2", first.Keys[0].SignFrom, first.Keys[0].SignUntil)}
	current := NewCurrent(w.issuer)
	handler := current.Handler()

	var callers sync.WaitGroup
	signers, mu := map[string]int{}, sync.Mutex{}
	for caller := range 4 {
		callers.Go(func() {
			for n := range 50 {
				body, err := json.Marshal(signer.IssueRequest{Event: paid(pack(fmt.Sprintf("ord_%dx%d", caller, n)), 25000).event()})
				if err != nil {
					t.Error(err)
				}
				answer := httptest.NewRecorder()
				handler.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/issue", bytes.NewReader(body)))
				var file struct{ Payload license.Payload }
				if err := json.Unmarshal(answer.Body.Bytes(), &file); err != nil || answer.Code != http.StatusOK {
					t.Errorf("%d %s", answer.Code, answer.Body)
				}
				mu.Lock()
				signers[file.Payload.KeyID]++
				mu.Unlock()
			}
		})
	}
	done := make(chan struct{})
	go func() { callers.Wait(); close(done) }()
	for n := 0; ; n++ {
		select {
		case <-done:
			if signers["license-1"] == 0 || signers["license-2"] == 0 || len(signers) != 2 {
				t.Errorf("the swap was not seen: %v", signers)
			}
			return
		default:
			current.Replace(w.under([]*trust.Bundle{&second, &first}[n%2]))
			time.Sleep(100 * time.Microsecond)
		}
	}
}

func TestAReplacedBundleIsWhatTheVerbsTell(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.assemble(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.store.Close() })
	started := w.issuer.Status().StartedAt
	current := NewCurrent(w.issuer)
	w.pass(time.Hour)
	second := *w.bundle
	second.Version = 2
	current.Replace(w.under(&second))
	if status := current.Issuer().Status(); status.TrustVersion != 2 || !status.StartedAt.Equal(started) {
		t.Errorf("%+v", status)
	}
	answer := httptest.NewRecorder()
	current.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/trust", nil))
	if bundle, err := trust.Parse(answer.Body.Bytes()); err != nil || bundle.Version != 2 {
		t.Errorf("the old bundle is served: %v", err)
	}
}
