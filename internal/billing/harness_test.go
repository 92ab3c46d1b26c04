package billing_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/billing"
	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/internal/stripesim"
)

var _ fulfillment.Stripe = (*billing.Client)(nil)

const testKey = "rk_test_billing"

// harness is a Client on a running stand-in, and a record of what it asked.
type harness struct {
	t      *testing.T
	url    string
	client *billing.Client

	mu       sync.Mutex
	requests []request
	webhooks int
}

type request struct{ method, path, body, key string }

func newHarness(t *testing.T) *harness {
	t.Helper()
	h := &harness{t: t}
	hooks := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		h.mu.Lock()
		h.webhooks++
		h.mu.Unlock()
	}))
	t.Cleanup(hooks.Close)
	server := httptest.NewUnstartedServer(nil)
	h.url = "http://" + server.Listener.Addr().String()
	sim, err := stripesim.New(stripesim.Config{
		PublicURL: h.url, APIKey: testKey, SettleAfter: time.Hour,
		Endpoints: []stripesim.EndpointConfig{{URL: hooks.URL, Secret: "whsec_billing_0123456789abcdef", EnabledEvents: []string{"*"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = h.record(sim.Handler())
	server.Start()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- sim.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("stand-in: %v", err)
		}
		server.Close()
		if err := sim.Close(); err != nil {
			t.Errorf("stand-in: %v", err)
		}
	})
	h.client = newClient(t, h.url)
	return h
}

func newClient(t *testing.T, url string) *billing.Client {
	t.Helper()
	c, err := billing.New(billing.Config{Key: testKey, URL: url, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (h *harness) record(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		h.mu.Lock()
		h.requests = append(h.requests, request{r.Method, r.URL.Path, string(body), r.Header.Get("Idempotency-Key")})
		h.mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

// posts lists the POSTs to a path.
func (h *harness) posts(path string) []request {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []request
	for _, r := range h.requests {
		if r.method == "POST" && r.path == path {
			list = append(list, r)
		}
	}
	return list
}

func (h *harness) webhookCount() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.webhooks
}

// control calls the stand-in's own API.
func (h *harness) control(path string, in any) {
	h.t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		h.t.Fatal(err)
	}
	response, err := http.Post(h.url+path, "application/json", bytes.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode >= 300 {
		answer, _ := io.ReadAll(response.Body)
		h.t.Fatalf("%s: %d %s", path, response.StatusCode, answer)
	}
}

// api calls the stand-in as another client of the account would.
func (h *harness) api(path string, form url.Values) {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost, h.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		h.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+testKey)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		answer, _ := io.ReadAll(response.Body)
		h.t.Fatalf("%s: %d %s", path, response.StatusCode, answer)
	}
}

func (h *harness) pay(sessionID, method string) {
	h.t.Helper()
	h.control("/_sim/sessions/"+sessionID+"/pay", map[string]any{"method": method, "email": "buyer@lumen.example"})
}

func (h *harness) push() {
	h.t.Helper()
	if _, err := h.client.PushCatalog(h.t.Context(), catalog.Launch(), time.Now()); err != nil {
		h.t.Fatal(err)
	}
}

func template(t *testing.T, sku string) catalog.Template {
	t.Helper()
	all := catalog.Launch()
	i := slices.IndexFunc(all, func(t catalog.Template) bool { return t.SKU == sku })
	if i < 0 {
		t.Fatalf("no template %s", sku)
	}
	return all[i]
}

// checkout is a request for one unit of a template.
func checkout(t *testing.T, sku string) fulfillment.CheckoutRequest {
	t.Helper()
	tpl := template(t, sku)
	return fulfillment.CheckoutRequest{
		OrderID: "ord_1", Attempt: 1, IdempotencyKey: "checkout:ord_1:1",
		Snapshot: fulfillment.Snapshot{
			Template: tpl, Currency: "USD", Total: tpl.Price.UnitAmount,
			Intent: catalog.Intent{
				OrderID: "ord_1", Kind: catalog.IssueNew, Template: tpl.Ref(), Quantity: 1, CustomerID: "cust_1", CustomerName: "Lumen & Söhne",
				DeploymentID: "dep_1", Environments: []string{"production"}, Fingerprints: []string{"aa:bb"},
			},
		},
		CustomerEmail: "buyer@lumen.example", SuccessURL: "http://localhost:8080/orders/ord_1", CancelURL: "http://localhost:8080/orders/ord_1",
		ExpiresAt: time.Now().Add(time.Hour).Truncate(time.Second),
	}
}

func (h *harness) open(r fulfillment.CheckoutRequest) fulfillment.OpenSession {
	h.t.Helper()
	s, err := h.client.CreateCheckout(h.t.Context(), r)
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

func (h *harness) fetch(id string) fulfillment.Session {
	h.t.Helper()
	s, err := h.client.FetchSession(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}
