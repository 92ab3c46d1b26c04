package stripesim_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"

	"github.com/metrum-ai/licensing-portal/internal/stripesim"
)

func TestGoodCardPaysTheSession(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	open := h.session(25000)
	if open.Status != "open" || open.PaymentStatus != "unpaid" || open.PaymentIntent != nil || open.URL != h.url+"/c/pay/"+open.ID ||
		open.CustomerDetails.Email != "buyer@shop.test" || open.AmountSubtotal != 25000 || open.ExpiresAt-open.Created != 24*3600 {
		t.Fatalf("new session: %+v", open)
	}
	h.pay(open.ID, "card_ok")
	s := h.fetch(open.ID)
	if s.Status != "complete" || s.PaymentStatus != "paid" || s.AmountTotal != 25000 || s.Currency != "usd" || s.URL != "" ||
		s.ClientReferenceID != "order_1" || s.Metadata["order_id"] != "order_1" || s.Livemode ||
		s.TotalDetails == nil || s.TotalDetails.AmountDiscount != 0 {
		t.Errorf("session: %+v", s)
	}
	pi := s.PaymentIntent
	if pi.Status != "succeeded" || pi.AmountReceived != 25000 || pi.Metadata["order_id"] != "order_1" || pi.LatestCharge.PaymentMethodDetails.Card.Last4 != "4242" {
		t.Errorf("payment intent: %+v", pi)
	}
	item := s.LineItems.Data[0]
	if len(s.LineItems.Data) != 1 || item.Quantity != 1 || item.AmountSubtotal != 25000 || item.Price.Product.Name != "Credit pack, 5M tokens" {
		t.Errorf("line item: %+v", item)
	}
	event := h.sink.wait(1, "checkout.session.completed")[0]
	if got := sessionOf(t, event); got.PaymentStatus != "paid" || got.PaymentIntent.ID != pi.ID || got.Metadata["order_id"] != "order_1" {
		t.Errorf("event's session: %+v", got)
	}
	it := h.sdk.CheckoutSessions.ListLineItems(&stripe.CheckoutSessionListLineItemsParams{Session: &s.ID})
	if !it.Next() || it.LineItem().ID != item.ID || it.Next() {
		t.Error("the line items' own list differs")
	}
	byIntent := h.sdk.CheckoutSessions.List(&stripe.CheckoutSessionListParams{PaymentIntent: &pi.ID})
	if !byIntent.Next() || byIntent.CheckoutSession().ID != s.ID || byIntent.Next() {
		t.Error("the session is not found by its payment intent")
	}
	if status, out := h.tryControl("POST", "/_sim/sessions/"+s.ID+"/pay", map[string]any{"method": "card_ok"}); status != 400 {
		t.Errorf("paid twice: %v", out)
	}
	charge, err := h.sdk.Charges.Get(pi.LatestCharge.ID, nil)
	h.must(err)
	if !charge.Paid || charge.Amount != 25000 || charge.PaymentIntent.ID != pi.ID {
		t.Errorf("charge: %+v", charge)
	}
}

func TestDeclinedCardLeavesTheSessionOpen(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	s := h.session(25000)
	out := h.control("POST", "/_sim/sessions/"+s.ID+"/pay", map[string]any{"method": "card_declined"})
	if out["last_error"] != "Your card was declined." {
		t.Errorf("answer: %v", out)
	}
	got := h.fetch(s.ID)
	e := got.PaymentIntent.LastPaymentError
	if got.Status != "open" || got.PaymentStatus != "unpaid" || got.PaymentIntent.Status != "requires_payment_method" || e.Code != "card_declined" || e.DeclineCode != "generic_decline" {
		t.Errorf("session %s %s, intent %+v", got.Status, got.PaymentStatus, got.PaymentIntent)
	}
	h.sink.wait(1, "payment_intent.payment_failed")
	h.pay(s.ID, "card_ok")
	paid := h.fetch(s.ID)
	if paid.PaymentStatus != "paid" || paid.PaymentIntent.ID != got.PaymentIntent.ID || paid.PaymentIntent.LastPaymentError != nil {
		t.Errorf("second try: %+v", paid.PaymentIntent)
	}
	h.sink.wait(1, "checkout.session.completed")
}

func TestBankDebitSettlesOrFailsLater(t *testing.T) {
	t.Parallel()
	no, yes := false, true
	cases := []struct {
		name, method string
		succeed      *bool // by the control API; nil: by the clock
		paid         bool
	}{
		{"settles by the clock", "bank_ok", nil, true},
		{"fails by the clock", "bank_fails", nil, false},
		{"settles on request", "bank_fails", &yes, true},
		{"fails on request", "bank_ok", &no, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := start(t, nil)
			s := h.session(25000)
			h.pay(s.ID, c.method)
			completed := sessionOf(t, h.sink.wait(1, "checkout.session.completed")[0])
			if completed.PaymentStatus != "unpaid" || completed.Status != "complete" {
				t.Errorf("completed: %s %s", completed.Status, completed.PaymentStatus)
			}
			if pi := h.fetch(s.ID).PaymentIntent; pi.Status != "processing" {
				t.Errorf("intent: %s", pi.Status)
			}
			if c.succeed == nil {
				h.control("POST", "/_sim/clock", map[string]any{"advance_seconds": 3590})
				if got := h.fetch(s.ID); got.PaymentIntent.Status != "processing" {
					t.Errorf("settled too early")
				}
				h.control("POST", "/_sim/clock", map[string]any{"advance_seconds": 20})
			} else {
				h.control("POST", "/_sim/sessions/"+s.ID+"/settle", map[string]any{"succeed": *c.succeed})
			}
			got := h.fetch(s.ID)
			if c.paid {
				h.sink.wait(1, "checkout.session.async_payment_succeeded")
				if got.PaymentStatus != "paid" || got.PaymentIntent.Status != "succeeded" || !got.PaymentIntent.LatestCharge.Paid {
					t.Errorf("%s %+v", got.PaymentStatus, got.PaymentIntent)
				}
			} else {
				h.sink.wait(1, "checkout.session.async_payment_failed")
				if got.PaymentStatus != "unpaid" || got.PaymentIntent.Status != "requires_payment_method" || got.PaymentIntent.LatestCharge.Paid {
					t.Errorf("%s %+v", got.PaymentStatus, got.PaymentIntent)
				}
			}
			if status, _ := h.tryControl("POST", "/_sim/sessions/"+s.ID+"/settle", map[string]any{"succeed": true}); status != 400 {
				t.Error("a debit settled twice")
			}
		})
	}
}

func TestShortDebitSettlesByItself(t *testing.T) {
	t.Parallel()
	h := start(t, func(c *stripesim.Config) { c.SettleAfter = time.Second })
	s := h.session(25000)
	h.pay(s.ID, "bank_ok")
	h.sink.wait(1, "checkout.session.async_payment_succeeded")
}

func TestZeroTotalNeedsNoPayment(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	s := h.session(0)
	if s.PaymentStatus != "no_payment_required" || s.Status != "open" {
		t.Fatalf("new: %s %s", s.PaymentStatus, s.Status)
	}
	if status, _ := h.tryControl("POST", "/_sim/sessions/"+s.ID+"/pay", map[string]any{"method": "card_ok"}); status != 400 {
		t.Error("a card was taken for nothing")
	}
	h.pay(s.ID, "confirm")
	got := h.fetch(s.ID)
	if got.Status != "complete" || got.PaymentStatus != "no_payment_required" || got.PaymentIntent != nil {
		t.Errorf("got %s %s %v", got.Status, got.PaymentStatus, got.PaymentIntent)
	}
	h.sink.wait(1, "checkout.session.completed")
	if n := len(h.sink.all("payment_intent.created", "payment_intent.succeeded")); n != 0 {
		t.Errorf("%d payment intent events", n)
	}
}

func TestSessionExpires(t *testing.T) {
	t.Parallel()
	cases := map[string]func(*harness, string){
		"by the clock": func(h *harness, _ string) {
			h.control("POST", "/_sim/clock", map[string]any{"advance_seconds": 24*3600 + 1})
		},
		"on request": func(h *harness, id string) {
			_, err := h.sdk.CheckoutSessions.Expire(id, nil)
			h.must(err)
		},
	}
	for name, expire := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t, nil)
			s := h.session(25000)
			h.pay(s.ID, "card_declined")
			expire(h, s.ID)
			got := h.fetch(s.ID)
			if got.Status != "expired" || got.PaymentStatus != "unpaid" || got.URL != "" || got.PaymentIntent.Status != "canceled" {
				t.Errorf("got %s %s %q", got.Status, got.PaymentStatus, got.URL)
			}
			h.sink.wait(1, "checkout.session.expired")
			if status, _ := h.tryControl("POST", "/_sim/sessions/"+s.ID+"/pay", map[string]any{"method": "card_ok"}); status != 400 {
				t.Error("an expired session was paid")
			}
			_, err := h.sdk.CheckoutSessions.Expire(s.ID, nil)
			stripeError(t, err, 400, "", "")
		})
	}
}

func TestSessionOfAKnownCustomer(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	c, err := h.sdk.Customers.New(&stripe.CustomerParams{Email: stripe.String("known@shop.test")})
	h.must(err)
	p := h.sessionParams(h.price(900, "").ID)
	p.CustomerEmail, p.Customer = nil, &c.ID
	p.PaymentMethodTypes = stripe.StringSlice([]string{"card"})
	s, err := h.sdk.CheckoutSessions.New(p)
	h.must(err)
	if status, _ := h.tryControl("POST", "/_sim/sessions/"+s.ID+"/pay", map[string]any{"method": "bank_ok"}); status != 400 {
		t.Error("a bank debit was taken though only cards are offered")
	}
	h.pay(s.ID, "card_ok")
	got := h.fetch(s.ID)
	if got.Customer.ID != c.ID || got.Customer.Email != "known@shop.test" || got.CustomerDetails.Email != "known@shop.test" || got.PaymentIntent.Customer.ID != c.ID {
		t.Errorf("got %+v", got)
	}
}

func TestEventsAreListedByTypeAndTime(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	s := h.session(25000)
	h.pay(s.ID, "card_ok")
	var got []string
	it := h.sdk.Events.List(&stripe.EventListParams{
		Types:        stripe.StringSlice([]string{"checkout.session.completed", "charge.succeeded", "payment_intent.succeeded"}),
		CreatedRange: &stripe.RangeQueryParams{GreaterThanOrEqual: time.Now().Add(-time.Minute).Unix()},
	})
	for it.Next() {
		e := it.Event()
		got = append(got, string(e.Type))
		if e.APIVersion != "2023-10-16" || e.Livemode || e.Data.Object["id"] == "" {
			t.Errorf("event: %+v", e)
		}
	}
	want := []string{"checkout.session.completed", "payment_intent.succeeded", "charge.succeeded"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	product := h.sdk.Events.List(&stripe.EventListParams{Type: stripe.String("product.created")})
	if !product.Next() || product.Event().Request.ID == "" || product.Event().Request.IdempotencyKey == "" {
		t.Error("an event does not name the request that caused it")
	}
	id := product.Event().ID
	h.control("POST", "/_sim/clock", map[string]any{"advance_seconds": 31 * 24 * 3600})
	_, err := h.sdk.Events.Get(id, nil)
	stripeError(t, err, 404, "resource_missing", "id")
	if rest := fmt.Sprint(h.sdk.Events.List(&stripe.EventListParams{Type: stripe.String("product.created")}).Next()); rest != "false" {
		t.Error("an event is listed after 30 days")
	}
}
