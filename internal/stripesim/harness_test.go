package stripesim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/client"

	"github.com/metrum-ai/licensing-portal/internal/stripesim"
)

const (
	testKey    = "sk_test_harness"
	testSecret = "whsec_harness_0123456789abcdef"
)

// harness is a running stand-in, the real SDK pointed at it, and an endpoint.
type harness struct {
	t    *testing.T
	url  string
	sim  *stripesim.Server
	sdk  *client.API
	sink *receiver
	stop func() // ends Run, the listener and the state
}

// start runs a stand-in. change may alter its configuration.
func start(t *testing.T, change func(*stripesim.Config)) *harness {
	t.Helper()
	h := &harness{t: t, sink: newReceiver(t)}
	srv := httptest.NewUnstartedServer(nil)
	h.url = "http://" + srv.Listener.Addr().String()
	cfg := stripesim.Config{
		PublicURL: h.url, APIKey: testKey, SettleAfter: time.Hour,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Endpoints: []stripesim.EndpointConfig{{
			URL: h.sink.srv.URL, Secret: testSecret, EnabledEvents: []string{"*"},
		}},
	}
	if change != nil {
		change(&cfg)
	}
	sim, err := stripesim.New(cfg)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	h.sim = sim
	srv.Config.Handler = sim.Handler()
	srv.Start()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- sim.Run(ctx) }()
	var once sync.Once
	h.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Run: %v", err)
			}
			srv.Close()
			if err := sim.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
	t.Cleanup(h.stop)
	h.sdk = sdkFor(h.url, testKey)
	return h
}

func sdkFor(url, key string) *client.API {
	backend := backendFor(url)
	return client.New(key, &stripe.Backends{API: backend, Connect: backend, Uploads: backend})
}

func backendFor(url string) stripe.Backend {
	return stripe.GetBackendWithConfig(stripe.APIBackend, &stripe.BackendConfig{
		URL: stripe.String(url), MaxNetworkRetries: stripe.Int64(0), EnableTelemetry: stripe.Bool(false),
		LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull}, HTTPClient: &http.Client{Timeout: 10 * time.Second},
	})
}

// product makes a product and a price and returns the price's ID.
func (h *harness) price(amount int64, lookupKey string) *stripe.Price {
	h.t.Helper()
	product, err := h.sdk.Products.New(&stripe.ProductParams{Name: stripe.String("Credit pack, 5M tokens")})
	h.must(err)
	price, err := h.sdk.Prices.New(&stripe.PriceParams{
		Product: &product.ID, Currency: stripe.String("usd"), UnitAmount: stripe.Int64(amount), LookupKey: stripe.String(lookupKey),
	})
	h.must(err)
	return price
}

// monthly makes a price of amount cents a month.
func (h *harness) monthly(amount int64) *stripe.Price { return h.recurring(amount, "month") }

func (h *harness) recurring(amount int64, interval string) *stripe.Price {
	h.t.Helper()
	product, err := h.sdk.Products.New(&stripe.ProductParams{Name: stripe.String("Hosted pool")})
	h.must(err)
	price, err := h.sdk.Prices.New(&stripe.PriceParams{
		Product: &product.ID, Currency: stripe.String("usd"), UnitAmount: stripe.Int64(amount), Recurring: &stripe.PriceRecurringParams{Interval: &interval},
	})
	h.must(err)
	return price
}

// customer makes a customer without an address.
func (h *harness) customer() *stripe.Customer {
	h.t.Helper()
	c, err := h.sdk.Customers.New(&stripe.CustomerParams{Email: stripe.String("ap@halden.test"), Name: stripe.String("Halden Robotics")})
	h.must(err)
	return c
}

// advance moves the stand-in's clock.
func (h *harness) advance(d time.Duration) {
	h.t.Helper()
	h.control("POST", "/_sim/clock", map[string]any{"advance_seconds": int64(d / time.Second)})
}

func (h *harness) sessionParams(price string) *stripe.CheckoutSessionParams {
	p := &stripe.CheckoutSessionParams{
		Mode:              stripe.String("payment"),
		LineItems:         []*stripe.CheckoutSessionLineItemParams{{Price: stripe.String(price), Quantity: stripe.Int64(1)}},
		SuccessURL:        stripe.String("http://shop.test/orders/o1?session={CHECKOUT_SESSION_ID}"),
		CancelURL:         stripe.String("http://shop.test/orders/o1/cancel"),
		ClientReferenceID: stripe.String("order_1"),
		CustomerEmail:     stripe.String("buyer@shop.test"),
		PaymentIntentData: &stripe.CheckoutSessionPaymentIntentDataParams{Metadata: map[string]string{"order_id": "order_1"}},
	}
	p.AddMetadata("order_id", "order_1")
	return p
}

// session makes an open session over amount cents.
func (h *harness) session(amount int64) *stripe.CheckoutSession {
	h.t.Helper()
	s, err := h.sdk.CheckoutSessions.New(h.sessionParams(h.price(amount, "").ID))
	h.must(err)
	return s
}

func (h *harness) fetch(id string) *stripe.CheckoutSession {
	h.t.Helper()
	p := &stripe.CheckoutSessionParams{}
	p.AddExpand("payment_intent.latest_charge")
	p.AddExpand("line_items.data.price.product")
	p.AddExpand("customer")
	s, err := h.sdk.CheckoutSessions.Get(id, p)
	h.must(err)
	return s
}

func (h *harness) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// control calls the control API and wants a 200.
func (h *harness) control(method, path string, in any) map[string]any {
	h.t.Helper()
	status, out := h.tryControl(method, path, in)
	if status != http.StatusOK {
		h.t.Fatalf("%s %s: %d %v", method, path, status, out)
	}
	return out
}

func (h *harness) tryControl(method, path string, in any) (int, map[string]any) {
	h.t.Helper()
	body, err := json.Marshal(in)
	h.must(err)
	req, err := http.NewRequest(method, h.url+path, bytes.NewReader(body))
	h.must(err)
	resp, err := http.DefaultClient.Do(req)
	h.must(err)
	defer resp.Body.Close()
	var out map[string]any
	h.must(json.NewDecoder(resp.Body).Decode(&out))
	return resp.StatusCode, out
}

func (h *harness) pay(id, method string) {
	h.t.Helper()
	h.control("POST", "/_sim/sessions/"+id+"/pay", map[string]any{"method": method})
}

// receiver is a webhook endpoint that keeps what it got.
type receiver struct {
	t    *testing.T
	srv  *httptest.Server
	mu   sync.Mutex
	got  []received
	code func(n int) int // the answer to the nth request, from 1
}

type received struct {
	body      []byte
	signature string
	event     stripe.Event
	at        time.Time
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{t: t, code: func(int) int { return http.StatusOK }}
	r.srv = httptest.NewServer(r)
	t.Cleanup(r.srv.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil { // the stand-in was stopped while it sent
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	got := received{body: body, signature: req.Header.Get("Stripe-Signature"), at: time.Now()}
	if err := json.Unmarshal(body, &got.event); err != nil {
		r.t.Errorf("webhook is no event: %v", err)
	}
	r.mu.Lock()
	r.got = append(r.got, got)
	code := r.code(len(r.got))
	r.mu.Unlock()
	w.WriteHeader(code)
}

func (r *receiver) answer(code func(n int) int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.code = code
}

// all returns what came of the types asked for, or everything.
func (r *receiver) all(types ...string) []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []received
	for _, g := range r.got {
		if len(types) == 0 || slices.Contains(types, string(g.event.Type)) {
			out = append(out, g)
		}
	}
	return out
}

// wait returns as soon as n requests of the types have come.
func (r *receiver) wait(n int, types ...string) []received {
	r.t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for time.Now().Before(deadline) {
		if got := r.all(types...); len(got) >= n {
			return got
		}
		time.Sleep(5 * time.Millisecond)
	}
	r.t.Fatalf("waited for %d of %v, got %v", n, types, names(r.all()))
	return nil
}

func names(got []received) []string {
	var out []string
	for _, g := range got {
		out = append(out, string(g.event.Type))
	}
	return out
}

// sessionOf decodes the session that an event tells of.
func sessionOf(t *testing.T, g received) *stripe.CheckoutSession {
	t.Helper()
	var s stripe.CheckoutSession
	if err := json.Unmarshal(g.event.Data.Raw, &s); err != nil {
		t.Fatal(err)
	}
	return &s
}
