package main

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

// Licenses are swapped ten times under load: no request is refused, no answer mixes two licenses, and each license's
// counter holds what was served under it.
func TestSwappingLicensesUnderLoadRefusesNobody(t *testing.T) {
	t.Parallel()
	r := start(t)
	files := make([][]byte, 2)
	for i, id := range []string{"lic_1", "lic_2"} {
		files[i] = r.issue(func(p *license.Payload) {
			p.LicenseID, p.CustomerID = id, "cust_"+id
			p.Limits = license.Limits{MaxTotalRequests: 1_000_000 + int64(i)}
		})
	}
	r.write("license.json", files[0])
	r.waitForStatus("license-valid")
	stop := make(chan struct{})
	var served atomic.Int64
	var callers sync.WaitGroup
	for range 4 {
		callers.Add(1)
		go func() {
			defer callers.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				request, err := http.NewRequest(http.MethodPost, r.url+"/v1/echo", strings.NewReader(`{}`))
				if err != nil {
					t.Error(err)
					return
				}
				bearer(testToken)(request)
				response, err := http.DefaultClient.Do(request)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
				if response.StatusCode != http.StatusOK {
					t.Errorf("refused: %d", response.StatusCode)
					return
				}
				served.Add(1)
			}
		}()
	}
	total := 0.0
	for i := 1; i <= 10; i++ {
		r.write("license.json", files[i%2])
		want := []string{"lic_1", "lic_2"}[i%2]
		for deadline := time.Now().Add(time.Minute); ; {
			a := r.ask(http.MethodGet, "/admin/license/status", "", basic("operator", testPassword))
			id, _ := a.body["license_id"].(string)
			limits, _ := a.body["limits"].(map[string]any)
			if limit := map[string]float64{"lic_1": 1_000_000, "lic_2": 1_000_001}[id]; a.body["customer_id"] != "cust_"+id || limits["max_total_requests"] != limit {
				t.Fatalf("a mixed answer: %v", a.body)
			}
			if id == want {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s is not in force", want)
			}
		}
	}
	close(stop)
	callers.Wait()
	total += r.counter("requests_used") // lic_1 is in force
	r.write("license.json", files[1])
	for r.waitForStatus("license-valid").body["license_id"] != "lic_2" {
		time.Sleep(time.Millisecond)
	}
	total += r.counter("requests_used")
	if total != float64(served.Load()) || total == 0 {
		t.Errorf("%v requests counted, %d served", total, served.Load())
	}
}
