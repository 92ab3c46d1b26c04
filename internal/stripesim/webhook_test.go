package stripesim_test

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/form"
	"github.com/stripe/stripe-go/v76/webhook"

	"github.com/metrum-ai/licensing-portal/internal/stripesim"
)

func TestWebhooksAreSignedWithTheEndpointsSecret(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	other := newReceiver(t)
	made, err := h.sdk.WebhookEndpoints.New(&stripe.WebhookEndpointParams{
		URL: &other.srv.URL, APIVersion: stripe.String("2023-10-16"),
		EnabledEvents: stripe.StringSlice([]string{"checkout.session.completed"}),
	})
	h.must(err)
	if !strings.HasPrefix(made.Secret, "whsec_") || made.Secret == testSecret || made.APIVersion != "2023-10-16" || made.Status != "enabled" {
		t.Fatalf("endpoint: %+v", made)
	}
	s := h.session(25000)
	h.pay(s.ID, "card_ok")

	own := h.sink.wait(1, "checkout.session.completed")[0]
	theirs := other.wait(1)[0]
	for name, c := range map[string]struct {
		got           received
		secret, wrong string
	}{
		"configured endpoint": {own, testSecret, made.Secret},
		"created endpoint":    {theirs, made.Secret, testSecret},
	} {
		e, err := webhook.ConstructEvent(c.got.body, c.got.signature, c.secret)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if e.ID != own.event.ID || e.Type != "checkout.session.completed" {
			t.Errorf("%s: got %s %s", name, e.ID, e.Type)
		}
		if _, err := webhook.ConstructEvent(c.got.body, c.got.signature, c.wrong); err == nil {
			t.Errorf("%s: the other secret verifies too", name)
		}
		if _, err := webhook.ConstructEvent(bytes.Replace(c.got.body, []byte("25000"), []byte("25001"), 1), c.got.signature, c.secret); err == nil {
			t.Errorf("%s: a changed body verifies", name)
		}
	}
	h.sink.wait(5) // product, price, three of the payment at least
	if n := len(other.all()); n != 1 {
		t.Errorf("an endpoint got %d events of types it did not subscribe to", n-1)
	}

	off, err := h.sdk.WebhookEndpoints.Update(made.ID, &stripe.WebhookEndpointParams{Disabled: stripe.Bool(true)})
	h.must(err)
	if off.Status != "disabled" || off.Secret != "" {
		t.Errorf("disabled endpoint: %+v", off)
	}
	gone, err := h.sdk.WebhookEndpoints.Del(made.ID, nil)
	h.must(err)
	if !gone.Deleted {
		t.Error("not deleted")
	}
	var left int
	for it := h.sdk.WebhookEndpoints.List(nil); it.Next(); left++ {
		if it.WebhookEndpoint().Secret != "" {
			t.Error("a list shows a secret")
		}
	}
	if left != 1 {
		t.Errorf("%d endpoints left, want 1", left)
	}
	_, err = h.sdk.WebhookEndpoints.New(&stripe.WebhookEndpointParams{URL: stripe.String("nowhere"), EnabledEvents: stripe.StringSlice([]string{"*"})})
	stripeError(t, err, 400, "url_invalid", "url")
}

func TestFailedWebhooksAreSentAgainWithBackoff(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	h.sink.answer(func(n int) int {
		if n <= 2 {
			return http.StatusServiceUnavailable
		}
		return http.StatusOK
	})
	_, err := h.sdk.Products.New(&stripe.ProductParams{Name: stripe.String("Pack")})
	h.must(err)
	got := h.sink.wait(3)
	if got[0].event.ID != got[2].event.ID {
		t.Error("another event came")
	}
	if first, second := got[1].at.Sub(got[0].at), got[2].at.Sub(got[1].at); first < 900*time.Millisecond || second < 1900*time.Millisecond {
		t.Errorf("pauses %v and %v, want 1 s and 2 s", first, second)
	}
	d := h.waitDelivered(got[0].event.ID)
	if d["attempts"] != 3.0 || len(d["log"].([]any)) != 3 || d["log"].([]any)[0].(map[string]any)["status"] != 503.0 {
		t.Errorf("delivery: %v", d)
	}
}

func TestDeliveryIsGivenUpAfterThreeDays(t *testing.T) {
	t.Parallel()
	h := startOn(t, time.November, 24) // where time passes only when it is told to
	h.sink.answer(func(int) int { return http.StatusInternalServerError })
	_, err := h.sdk.Products.New(&stripe.ProductParams{Name: stripe.String("Pack")})
	h.must(err)
	event := h.sink.wait(1)[0].event.ID
	h.waitFor(event, "attempts", 1.0)
	h.control("POST", "/_sim/clock", map[string]any{"advance_seconds": 3*24*3600 - 60})
	h.waitFor(event, "attempts", 2.0)
	h.control("POST", "/_sim/clock", map[string]any{"advance_seconds": 61})
	h.waitFor(event, "state", "failed")
	h.control("POST", "/_sim/clock", map[string]any{"advance_seconds": 3600})
	time.Sleep(300 * time.Millisecond)
	if n := len(h.sink.all()); n != 3 {
		t.Errorf("%d attempts, want 3", n)
	}
}

func TestDuplicatesComeAtOnce(t *testing.T) {
	t.Parallel()
	h := startOn(t, time.November, 24) // where what is due later never comes
	s := h.session(25000)
	h.control("POST", "/_sim/delivery", map[string]any{"duplicates": 5})
	h.pay(s.ID, "card_ok")
	got := h.sink.wait(5, "checkout.session.completed")
	for _, g := range got {
		if g.event.ID != got[0].event.ID {
			t.Error("the copies are different events")
		}
	}
	h.control("POST", "/_sim/delivery", map[string]any{})
	h.control("POST", "/_sim/events/"+got[0].event.ID+"/deliver", map[string]any{"copies": 3})
	h.sink.wait(8, "checkout.session.completed")
	time.Sleep(200 * time.Millisecond)
	if n := len(h.sink.all("checkout.session.completed")); n != 8 {
		t.Errorf("%d copies, want 8", n)
	}
}

func TestHeldEventsGoInTheOrderAskedFor(t *testing.T) {
	t.Parallel()
	paid := []string{"checkout.session.completed", "checkout.session.async_payment_succeeded"}
	for _, order := range []string{"created", "reverse"} {
		t.Run(order, func(t *testing.T) {
			t.Parallel()
			h := start(t, nil)
			s := h.session(25000)
			h.sink.wait(2) // the catalog's
			h.control("POST", "/_sim/delivery", map[string]any{"hold": true, "duplicates": 2})
			h.pay(s.ID, "bank_ok")
			h.control("POST", "/_sim/sessions/"+s.ID+"/settle", map[string]any{"succeed": true})
			time.Sleep(200 * time.Millisecond)
			if got := h.sink.all(); len(got) != 2 {
				t.Fatalf("held events came: %v", names(got))
			}
			h.control("POST", "/_sim/release", map[string]any{"order": order})
			got := names(h.sink.wait(4, paid...))
			want := []string{paid[0], paid[0], paid[1], paid[1]}
			if order == "reverse" {
				slices.Reverse(want)
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
	h := start(t, nil)
	if status, _ := h.tryControl("POST", "/_sim/release", map[string]any{"order": "sideways"}); status != 400 {
		t.Error("an unknown order was taken")
	}
}

func TestSeedDecidesWhatIsDroppedAndDelayed(t *testing.T) {
	t.Parallel()
	fates := func(seed int) string {
		h := start(t, nil)
		h.control("POST", "/_sim/delivery", map[string]any{"drop": 0.5, "reorder": true, "seed": seed})
		for range 12 {
			_, err := h.sdk.Products.New(&stripe.ProductParams{Name: stripe.String("Pack")})
			h.must(err)
		}
		var out []string
		dropped := 0
		for _, e := range h.control("GET", "/_sim/events", nil)["events"].([]any) {
			d := e.(map[string]any)["deliveries"].([]any)[0].(map[string]any)
			created, err := time.Parse(time.RFC3339Nano, d["created"].(string))
			h.must(err)
			next, err := time.Parse(time.RFC3339Nano, d["next"].(string))
			h.must(err)
			if d["state"] == "dropped" {
				dropped++
			}
			out = append(out, fmt.Sprint(d["state"] == "dropped", next.Sub(created)))
		}
		h.sink.wait(12 - dropped)
		time.Sleep(100 * time.Millisecond)
		if n := len(h.sink.all()); n != 12-dropped || dropped == 0 || dropped == 12 {
			t.Errorf("%d came of 12 with %d dropped", n, dropped)
		}
		return strings.Join(out, " ")
	}
	first, again, other := fates(7), fates(7), fates(8)
	if first != again {
		t.Errorf("one seed, two fates:\n%s\n%s", first, again)
	}
	if first == other {
		t.Error("two seeds, one fate")
	}
}

func TestDroppedEventComesByRetry(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	s := h.session(25000)
	h.control("POST", "/_sim/sessions/"+s.ID+"/pay", map[string]any{"method": "card_ok", "delivery": map[string]any{"drop": 1}})
	time.Sleep(200 * time.Millisecond)
	if n := len(h.sink.all("checkout.session.completed")); n != 0 {
		t.Fatal("a dropped event came")
	}
	it := h.sdk.Events.List(&stripe.EventListParams{Type: stripe.String("checkout.session.completed"), DeliverySuccess: stripe.Bool(false)})
	if !it.Next() {
		t.Fatal("the event is not listed as undelivered")
	}
	id := it.Event().ID
	// stripe-go has no method for it; Stripe's command line calls it like this.
	var e stripe.Event
	h.must(h.sdk.Events.B.CallRaw("POST", "/v1/events/"+id+"/retry", testKey, &form.Values{}, &stripe.Params{}, &e))
	if got := h.sink.wait(1, "checkout.session.completed")[0]; got.event.ID != id || e.ID != id {
		t.Errorf("got %s and %s, want %s", got.event.ID, e.ID, id)
	}
	err := h.sdk.Events.B.CallRaw("POST", "/v1/events/evt_none/retry", testKey, &form.Values{}, &stripe.Params{}, &e)
	stripeError(t, err, 404, "resource_missing", "id")
}

func TestDelayIsOnTheStandInsClock(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	h.control("POST", "/_sim/delivery", map[string]any{"delay_ms": 600_000})
	_, err := h.sdk.Products.New(&stripe.ProductParams{Name: stripe.String("Pack")})
	h.must(err)
	time.Sleep(200 * time.Millisecond)
	if len(h.sink.all()) != 0 {
		t.Fatal("the event did not wait")
	}
	h.control("POST", "/_sim/clock", map[string]any{"advance_seconds": 601})
	got := h.sink.wait(1)[0]
	// The signature's time is the real one, or an honest receiver would refuse it.
	if _, err := webhook.ConstructEvent(got.body, got.signature, testSecret); err != nil {
		t.Error(err)
	}
	stamp := strings.TrimPrefix(strings.Split(got.signature, ",")[0], "t=")
	if at, err := strconv.ParseInt(stamp, 10, 64); err != nil || time.Since(time.Unix(at, 0)) < -time.Minute {
		t.Errorf("signed at %s", stamp)
	}
}

func TestSlowEndpointTimesOutAndIsTriedAgain(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	h := start(t, func(c *stripesim.Config) {
		c.DeliveryTimeout = 300 * time.Millisecond
		c.Transport = slowOnce(release)
	})
	defer close(release)
	_, err := h.sdk.Products.New(&stripe.ProductParams{Name: stripe.String("Pack")})
	h.must(err)
	event := h.sink.wait(1)[0].event.ID
	log := h.waitDelivered(event)["log"].([]any)
	if first := log[0].(map[string]any); first["error"] != "timed out" || first["status"] != 0.0 {
		t.Errorf("first attempt: %v", first)
	}
}

// slowOnce is a transport whose first request hangs until its context ends.
func slowOnce(release <-chan struct{}) http.RoundTripper {
	first := make(chan struct{}, 1)
	first <- struct{}{}
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		select {
		case <-first:
			select {
			case <-r.Context().Done():
			case <-release:
			}
			return nil, r.Context().Err()
		default:
			return http.DefaultTransport.RoundTrip(r)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (h *harness) waitDelivered(event string) map[string]any {
	h.t.Helper()
	return h.waitFor(event, "state", "delivered")
}

// waitFor waits until a field of the event's first delivery has a value, and
// returns the delivery.
func (h *harness) waitFor(event, field string, want any) map[string]any {
	h.t.Helper()
	var d map[string]any
	for range 12000 {
		d = h.control("GET", "/_sim/events/"+event, nil)["deliveries"].([]any)[0].(map[string]any)
		if d[field] == want {
			return d
		}
		time.Sleep(10 * time.Millisecond)
	}
	h.t.Fatalf("waited for %s %v: %v", field, want, d)
	return nil
}

func TestChaosGoesByItsSeed(t *testing.T) {
	t.Parallel()
	run := func(seed int) (fates string, copies, dropped int) {
		h := start(t, nil)
		h.control("POST", "/_sim/chaos", map[string]any{"seed": seed})
		for range 40 {
			_, err := h.sdk.Products.New(&stripe.ProductParams{Name: stripe.String("Pack")})
			h.must(err)
		}
		sent := 0
		for _, e := range h.control("GET", "/_sim/events", nil)["events"].([]any) {
			list := e.(map[string]any)["deliveries"].([]any)
			fates += fmt.Sprint(len(list))
			for _, v := range list {
				d := v.(map[string]any)
				created, err := time.Parse(time.RFC3339Nano, d["created"].(string))
				h.must(err)
				next, err := time.Parse(time.RFC3339Nano, d["next"].(string))
				h.must(err)
				fates += fmt.Sprint(d["state"] == "dropped", next.Sub(created), " ")
				if d["state"] != "dropped" {
					sent++
				}
			}
			if list[0].(map[string]any)["state"] == "dropped" {
				dropped++
			}
			copies += len(list) - 1
		}
		made := map[string]int{}
		for i, e := range h.events() {
			made[e.id] = i
		}
		if slices.IsSortedFunc(h.sink.wait(sent), func(a, b received) int { return made[a.event.ID] - made[b.event.ID] }) {
			t.Error("all came in the order in which it happened")
		}
		return fates, copies, dropped
	}
	first, copies, dropped := run(7)
	again, _, _ := run(7)
	other, _, _ := run(8)
	if first != again || first == other {
		t.Errorf("fates of seed 7 twice, and of 8:\n%s\n%s\n%s", first, again, other)
	}
	if copies == 0 || dropped == 0 || dropped == 40 {
		t.Errorf("%d copies and %d drops of 40 events", copies, dropped)
	}
}

func TestDisabledEndpointMissesWhatIsNotSentAgain(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	list := h.sdk.WebhookEndpoints.List(nil)
	if !list.Next() {
		t.Fatal("no endpoint")
	}
	id := list.WebhookEndpoint().ID
	h.act(id, "disable", nil)
	off, err := h.sdk.WebhookEndpoints.Get(id, nil)
	h.must(err)
	want(t, "status", off.Status, "disabled")
	inv := h.finalize(h.draft(h.customer().ID, 900, "usd").ID)
	h.act(inv.ID, "pay", nil)
	h.act(id, "enable", nil)
	h.act(h.paidCharge(900, "card_ok").ID, "refund", nil)
	h.sink.wait(1, "charge.refunded")
	if n := len(h.sink.all("invoice.paid")); n != 0 {
		t.Fatalf("a disabled endpoint got %d events", n)
	}
	events := h.sdk.Events.List(&stripe.EventListParams{Type: stripe.String("invoice.paid")})
	if !events.Next() {
		t.Fatal("the event is not listed")
	}
	path := stripe.FormatURLPath("/v1/events/%s/retry", events.Event().ID)
	h.must(backendFor(h.url).Call("POST", path, testKey, &stripe.EventParams{}, &stripe.APIResource{}))
	got := h.sink.wait(1, "invoice.paid")[0]
	want(t, "the same event", got.event.ID, events.Event().ID)
}
