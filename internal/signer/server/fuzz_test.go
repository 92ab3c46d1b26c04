package server

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/metrum-ai/licensing-portal/internal/signer"
)

// FuzzDecodeIssue: what the request reader accepts means the same to the standard decoder, except that it is stricter.
func FuzzDecodeIssue(f *testing.F) {
	for _, seed := range []string{
		`{"event":{"body_base64":"e30=","signature_header":"t=1,v1=00"},"base_envelope":"{}"}`, `{"approval":{"a":[1]}}`, `{}`,
		`{"event":null,"approval":null}`, `{"event":{"body_base64":"e30=","signature_header":"x"},"Event":{}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decodeIssue(data)
		if err == nil && r.Event == nil && r.Approval == nil && bytes.Contains(data, []byte("body_base64")) &&
			!bytes.Contains(data, []byte("base_envelope")) {
			t.Fatalf("lost an event: %s", data)
		}
	})
}

// FuzzHandler: whatever is sent, nothing is signed.
func FuzzHandler(f *testing.F) {
	w := newWorld(f)
	if err := w.assemble(); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = w.store.Close() })
	handler := w.issuer.Handler()
	f.Add("POST", "/v1/issue", []byte(`{"event":{"body_base64":"e30=","signature_header":"t=1,v1=00"}}`))
	f.Add("POST", "/v1/check", []byte(`{"body_base64":"e30=","signature_header":"t=1,v1=00"}`))
	f.Add("GET", "/v1/log/entries?from=1", []byte{})
	f.Fuzz(func(t *testing.T, method, path string, body []byte) {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://s"+path, bytes.NewReader(body))
		if err != nil {
			return
		}
		handler.ServeHTTP(httptest.NewRecorder(), r)
		if w.store.Size() != 0 {
			t.Fatal("signed something")
		}
	})
}

// BenchmarkIssue measures issuing over the socket with a synced log, alone and with eight callers.
func BenchmarkIssue(b *testing.B) {
	for _, callers := range []int{1, 8} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			w := newWorld(b)
			w.bundle.Caps.PerDay = 1 << 30
			w.serve()
			requests := make([]signer.IssueRequest, b.N)
			for n := range requests {
				requests[n].Event = paid(pack(fmt.Sprintf("ord_%d", n)), 25000).event()
			}
			next := make(chan signer.IssueRequest, b.N)
			for _, r := range requests {
				next <- r
			}
			close(next)
			done := make(chan error, callers)
			b.ResetTimer()
			for range callers {
				go func() {
					var failed error
					for r := range next {
						if _, err := w.client.Issue(b.Context(), r); err != nil {
							failed = err
						}
					}
					done <- failed
				}()
			}
			for range callers {
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "licenses/s")
		})
	}
}
