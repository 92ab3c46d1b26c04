package stripesim_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/webhook"

	"github.com/metrum-ai/licensing-portal/internal/stripesim"
)

func TestPatchMakesObjectAndEventDiffer(t *testing.T) {
	t.Parallel()
	cases := []struct {
		target        string
		object, event int64
	}{
		{"object", 1, 25000},
		{"event", 25000, 1},
		{"both", 1, 1},
		{"", 1, 1},
	}
	for _, before := range []bool{true, false} {
		for _, c := range cases {
			name := c.target + map[bool]string{true: " before payment", false: " after payment"}[before]
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				h := start(t, nil)
				s := h.session(25000)
				h.control("POST", "/_sim/delivery", map[string]any{"hold": true})
				patch := func() {
					h.control("POST", "/_sim/sessions/"+s.ID, map[string]any{"target": c.target, "patch": map[string]any{
						"amount_subtotal": 1, "metadata": map[string]any{"extra": "yes"},
					}})
				}
				if before {
					patch()
				}
				h.pay(s.ID, "card_ok")
				if !before {
					patch()
				}
				h.control("POST", "/_sim/release", nil)
				got := h.sink.wait(1, "checkout.session.completed")[0]
				if _, err := webhook.ConstructEvent(got.body, got.signature, testSecret); err != nil {
					t.Error(err)
				}
				object, told := h.fetch(s.ID), sessionOf(t, got)
				if object.AmountSubtotal != c.object || told.AmountSubtotal != c.event {
					t.Errorf("object %d, event %d", object.AmountSubtotal, told.AmountSubtotal)
				}
				if object.Metadata["order_id"] != "order_1" || (object.Metadata["extra"] == "yes") != (c.object == 1) || (told.Metadata["extra"] == "yes") != (c.event == 1) {
					t.Errorf("metadata: object %v, event %v", object.Metadata, told.Metadata)
				}
				if object.AmountTotal != 25000 || object.PaymentIntent.Amount != 25000 {
					t.Error("more than the patched field changed")
				}
			})
		}
	}
}

func TestPatchReachesModeLinesAndEnvelope(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	s := h.session(25000)
	h.control("POST", "/_sim/sessions/"+s.ID, map[string]any{"target": "both", "patch": map[string]any{"livemode": true, "currency": "eur"}})
	h.control("POST", "/_sim/sessions/"+s.ID, map[string]any{"target": "object", "patch": map[string]any{
		"line_items": map[string]any{"data": []any{map[string]any{"id": "li_x", "object": "item", "quantity": 3}}},
	}})
	h.pay(s.ID, "card_ok")
	got := h.sink.wait(1, "checkout.session.completed")[0]
	if !got.event.Livemode || sessionOf(t, got).Currency != "eur" {
		t.Errorf("event: livemode %v", got.event.Livemode)
	}
	if o := h.fetch(s.ID); !o.Livemode || o.LineItems.Data[0].Quantity != 3 {
		t.Errorf("object: livemode %v, lines %+v", o.Livemode, o.LineItems.Data)
	}
	plain, err := h.sdk.CheckoutSessions.Get(s.ID, nil)
	h.must(err)
	if plain.LineItems != nil {
		t.Error("line items are shown though nobody expanded them")
	}

	h.control("POST", "/_sim/events/"+got.event.ID, map[string]any{"patch": map[string]any{"api_version": "2020-08-27", "account": "acct_other"}})
	h.control("POST", "/_sim/events/"+got.event.ID+"/deliver", nil)
	again := h.sink.wait(2, "checkout.session.completed")[1]
	if again.event.APIVersion != "2020-08-27" || again.event.Account != "acct_other" {
		t.Errorf("envelope: %s %s", again.event.APIVersion, again.event.Account)
	}
}

func TestControlAPIRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	s := h.session(900)
	cases := []struct {
		method, path string
		in           any
		status       int
	}{
		{"POST", "/_sim/delivery", map[string]any{"duplicate": 2}, 400},
		{"POST", "/_sim/delivery", map[string]any{"duplicates": 101}, 400},
		{"POST", "/_sim/delivery", map[string]any{"drop": 1.5}, 400},
		{"POST", "/_sim/delivery", map[string]any{"delay_ms": -1}, 400},
		{"POST", "/_sim/sessions/cs_none/pay", map[string]any{"method": "card_ok"}, 404},
		{"POST", "/_sim/sessions/" + s.ID + "/pay", map[string]any{"method": "cash"}, 400},
		{"POST", "/_sim/sessions/" + s.ID + "/settle", map[string]any{"succeed": true}, 400},
		{"POST", "/_sim/sessions/" + s.ID, map[string]any{"patch": map[string]any{"amount_total": 1}, "target": "all"}, 400},
		{"POST", "/_sim/sessions/" + s.ID, map[string]any{}, 400},
		{"POST", "/_sim/sessions/" + s.ID, map[string]any{"patch": map[string]any{"id": "cs_other"}}, 400},
		{"POST", "/_sim/events/evt_none/deliver", map[string]any{}, 404},
		{"GET", "/_sim/events/evt_none", nil, 404},
		{"POST", "/_sim/clock", map[string]any{"advance_seconds": -5}, 400},
		{"POST", "/_sim/clock", map[string]any{"advance_seconds": 1 << 60}, 400},
		{"GET", "/_sim/nothing", nil, 404},
	}
	for _, c := range cases {
		status, out := h.tryControl(c.method, c.path, c.in)
		e, _ := out["error"].(map[string]any)
		if status != c.status || e["message"] == "" || e["code"] == "" || e == nil {
			t.Errorf("%s %s %v: %d %v, want %d", c.method, c.path, c.in, status, out, c.status)
		}
	}
}

func TestConfigTellsAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	_, err := stripesim.New(stripesim.Config{
		PublicURL: "here", APIKey: "sk_live_x", AccountID: "x", SettleAfter: -1,
		Endpoints: []stripesim.EndpointConfig{{URL: "x", Secret: "short"}},
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"PublicURL", "APIKey", "AccountID", "SettleAfter", "Endpoints[0].URL", "Endpoints[0].Secret", "Endpoints[0].EnabledEvents"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %s", err, want)
		}
	}
}

func TestStateSurvivesARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sink := newReceiver(t)
	sink.answer(func(int) int { return http.StatusServiceUnavailable })
	keep := func(c *stripesim.Config) {
		c.Dir = dir
		c.Endpoints[0].URL = sink.srv.URL
	}
	h := start(t, keep)
	price := h.price(25000, "pack.v1")
	s, err := h.sdk.CheckoutSessions.New(h.sessionParams(price.ID))
	h.must(err)
	p := &stripe.CustomerParams{}
	p.SetIdempotencyKey("customer")
	customer, err := h.sdk.Customers.New(p)
	h.must(err)
	h.control("POST", "/_sim/clock", map[string]any{"advance_seconds": 600})
	h.pay(s.ID, "bank_ok")
	sink.wait(1, "checkout.session.completed")
	if _, err := stripesim.New(stripesim.Config{PublicURL: "http://localhost", APIKey: testKey, Dir: dir}); err == nil || !strings.Contains(err.Error(), "another stand-in") {
		t.Errorf("a second stand-in on one directory: %v", err)
	}
	h.stop()

	sink.answer(func(int) int { return http.StatusOK })
	seen := len(sink.all("checkout.session.completed"))
	h = start(t, keep)
	got := h.fetch(s.ID)
	if got.Status != "complete" || got.PaymentStatus != "unpaid" || got.PaymentIntent.Status != "processing" || got.LineItems.Data[0].Price.ID != price.ID {
		t.Errorf("session after the restart: %+v", got)
	}
	again, err := h.sdk.Customers.New(p)
	h.must(err)
	if again.ID != customer.ID {
		t.Error("the idempotency key was forgotten")
	}
	var found int
	for it := h.sdk.WebhookEndpoints.List(nil); it.Next(); found++ {
	}
	if found != 1 {
		t.Errorf("%d endpoints, want the configured one once", found)
	}
	// A second copy of a delivered event would be a new event ID: there is none.
	events := sink.wait(seen+1, "checkout.session.completed")
	if events[0].event.ID != events[len(events)-1].event.ID {
		t.Error("the event was made anew")
	}
	if now := h.sim.Now(); time.Until(now) < 9*time.Minute {
		t.Errorf("the clock went back to %v", now)
	}
	h.control("POST", "/_sim/clock", map[string]any{"advance_seconds": 3600})
	sink.wait(1, "checkout.session.async_payment_succeeded")
	if h.fetch(s.ID).PaymentStatus != "paid" {
		t.Error("the debit did not settle")
	}
}

func TestManyBuyersAtOnce(t *testing.T) {
	t.Parallel()
	h := start(t, func(c *stripesim.Config) { c.Dir = t.TempDir() })
	price := h.price(25000, "").ID
	h.control("POST", "/_sim/delivery", map[string]any{"duplicates": 2, "reorder": true, "seed": 3})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			s, err := h.sdk.CheckoutSessions.New(h.sessionParams(price))
			if err != nil {
				t.Error(err)
				return
			}
			// A double click: exactly one of the two pays.
			var inner sync.WaitGroup
			paid := make(chan bool, 2)
			for range 2 {
				inner.Go(func() {
					resp, err := http.Post(h.url+"/_sim/sessions/"+s.ID+"/pay", "application/json", strings.NewReader(`{"method":"card_ok"}`))
					if err != nil {
						t.Error(err)
						return
					}
					resp.Body.Close()
					paid <- resp.StatusCode == http.StatusOK
				})
			}
			inner.Wait()
			if a, b := <-paid, <-paid; a == b {
				t.Errorf("double click: %v and %v", a, b)
			}
		})
	}
	wg.Wait()
	got := h.sink.wait(40, "checkout.session.completed")
	sessions := map[string]int{}
	for _, g := range got {
		var s struct {
			ID string `json:"id"`
		}
		h.must(json.Unmarshal(g.event.Data.Raw, &s))
		sessions[s.ID]++
	}
	if len(sessions) != 20 {
		t.Errorf("%d sessions told of, want 20", len(sessions))
	}
	for id, n := range sessions {
		if n != 2 {
			t.Errorf("%s came %d times, want 2", id, n)
		}
	}
}
