package billing_test

import (
	"errors"
	"maps"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/billing"
	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

func TestACheckoutIsForExactlyWhatWasOrdered(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.push()
	r := checkout(t, "credit-pack-5m")
	made := h.open(r)
	if !strings.HasPrefix(made.ID, "cs_") || !strings.HasPrefix(made.URL, h.url+"/") || !made.ExpiresAt.Equal(r.ExpiresAt) {
		t.Errorf("made %+v", made)
	}
	got := h.fetch(made.ID)
	if got.Mode != "payment" || got.Status != "open" || got.PaymentStatus != "unpaid" || got.Livemode || got.Currency != "USD" ||
		got.AmountSubtotal != 250_00 || got.AmountTotal != 250_00 || got.AmountDiscount != 0 ||
		got.LookupKey != "credit-pack-5m.v1" || got.Quantity != 1 || got.ClientReferenceID != "ord_1" ||
		!got.ExpiresAt.Equal(r.ExpiresAt) || time.Since(got.CreatedAt) > time.Minute {
		t.Errorf("fetched %+v", got)
	}
	if !maps.Equal(got.Metadata, r.Snapshot.Intent.Metadata()) {
		t.Errorf("metadata %v, want the intent's alone", got.Metadata)
	}
	form := sent(t, h)
	for name, value := range r.Snapshot.Intent.Metadata() {
		if form.Get("payment_intent_data[metadata]["+name+"]") != value {
			t.Errorf("payment intent lacks %s", name)
		}
	}
	if form.Get("customer_email") != r.CustomerEmail || form.Has("customer") {
		t.Errorf("customer of the form: %v", form)
	}
}

// sent is the form of the only session that was asked for.
func sent(t *testing.T, h *harness) url.Values {
	t.Helper()
	posts := h.posts("/v1/checkout/sessions")
	if len(posts) != 1 {
		t.Fatalf("%d requests for a session, want 1", len(posts))
	}
	form, err := url.ParseQuery(posts[0].body)
	if err != nil {
		t.Fatal(err)
	}
	return form
}

func TestAFreeCheckoutHasNoPaymentIntent(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.push()
	made := h.open(checkout(t, "eval-72h"))
	for name := range sent(t, h) {
		if strings.HasPrefix(name, "payment_intent_data") {
			t.Errorf("sent %s", name)
		}
	}
	h.pay(made.ID, "confirm")
	if got := h.fetch(made.ID); got.Status != "complete" || got.PaymentStatus != "no_payment_required" || got.AmountTotal != 0 || got.PaymentIntentID != "" {
		t.Errorf("fetched %+v", got)
	}
}

func TestARepeatedCheckoutIsTheSameSession(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.push()
	r := checkout(t, "credit-pack-5m")
	first, second := h.open(r), h.open(r)
	if first != second {
		t.Errorf("%+v and %+v", first, second)
	}
	for _, p := range h.posts("/v1/checkout/sessions") {
		if p.key != r.IdempotencyKey {
			t.Errorf("idempotency key %q", p.key)
		}
	}
	r.CancelURL += "?changed"
	_, err := h.client.CreateCheckout(t.Context(), r)
	failure, ok := errors.AsType[*billing.Error](err)
	if !ok || failure.Type != "idempotency_error" || failure.Retryable {
		t.Errorf("other parameters under the key: %v", err)
	}
}

func TestAKnownCustomerIsPassedInsteadOfAnAddress(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.push()
	r := checkout(t, "credit-pack-5m")
	r.StripeCustomer = "cus_unknown"
	_, err := h.client.CreateCheckout(t.Context(), r)
	failure, ok := errors.AsType[*billing.Error](err)
	if !ok || failure.Status != 400 || failure.Param != "customer" || failure.Retryable {
		t.Errorf("error %v, want a definite one about the customer", err)
	}
	if form := sent(t, h); form.Get("customer") != "cus_unknown" || form.Has("customer_email") {
		t.Errorf("customer of the form: %v", form)
	}
}

func TestAPriceThatIsNotTheOrderedOneMakesNoSession(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*fulfillment.CheckoutRequest)
		want   error
	}{
		"amount of the template": {func(r *fulfillment.CheckoutRequest) {
			r.Snapshot.Template.Price.UnitAmount, r.Snapshot.Total = 249_99, 249_99
		}, fulfillment.ErrPriceChanged},
		"total":       {func(r *fulfillment.CheckoutRequest) { r.Snapshot.Total-- }, fulfillment.ErrPriceChanged},
		"quantity":    {func(r *fulfillment.CheckoutRequest) { r.Snapshot.Intent.Quantity = 2 }, fulfillment.ErrPriceChanged},
		"currency":    {func(r *fulfillment.CheckoutRequest) { r.Snapshot.Currency = "EUR" }, fulfillment.ErrPriceChanged},
		"not pushed":  {func(r *fulfillment.CheckoutRequest) { r.Snapshot.Template.Version = 2 }, billing.ErrPriceMissing},
		"try it anew": {func(r *fulfillment.CheckoutRequest) { r.Snapshot.Template.Version = 2 }, fulfillment.ErrUnavailable},
		"recurring":   {func(r *fulfillment.CheckoutRequest) { r.Snapshot.Template.Price.Interval = catalog.Monthly }, fulfillment.ErrPriceChanged},
	}
	h := newHarness(t)
	h.push()
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { // one after another: they share the record of requests
			r := checkout(t, "credit-pack-5m")
			tt.change(&r)
			if _, err := h.client.CreateCheckout(t.Context(), r); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if n := len(h.posts("/v1/checkout/sessions")); n != 0 {
				t.Errorf("%d sessions asked for", n)
			}
		})
	}
}

func TestACheckoutWithoutAnIdempotencyKeyIsRefused(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	r := checkout(t, "credit-pack-5m")
	r.IdempotencyKey = ""
	if _, err := h.client.CreateCheckout(t.Context(), r); err == nil || len(h.posts("/v1/checkout/sessions")) != 0 {
		t.Errorf("error %v", err)
	}
}

func TestPaymentsAreFetchedAsTheyStand(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.push()
	order := func(id string) string {
		r := checkout(t, "credit-pack-5m")
		r.OrderID, r.IdempotencyKey = id, "checkout:"+id
		return h.open(r).ID
	}
	paid, declined, debit := order("ord_paid"), order("ord_declined"), order("ord_debit")
	h.pay(paid, "card_ok")
	h.pay(declined, "card_declined")
	h.pay(debit, "bank_fails")

	if got := h.fetch(paid); got.Status != "complete" || got.PaymentStatus != "paid" || got.PaymentIntent != "succeeded" || !strings.HasPrefix(got.PaymentIntentID, "pi_") ||
		!strings.Contains(got.ReceiptURL, "/receipts/ch_") {
		t.Errorf("paid: %+v", got)
	}
	if got := h.fetch(declined); got.Status != "open" || got.ReceiptURL != "" || got.PaymentStatus != "unpaid" || got.PaymentIntent != "requires_payment_method" || got.PaymentFailure == "" {
		t.Errorf("declined: %+v", got)
	}
	if got := h.fetch(debit); got.Status != "complete" || got.PaymentStatus != "unpaid" || got.PaymentIntent != "processing" || got.PaymentFailure != "" {
		t.Errorf("debit under way: %+v", got)
	}
	h.control("/_sim/sessions/"+debit+"/settle", map[string]any{"succeed": false})
	if got := h.fetch(debit); got.PaymentStatus != "unpaid" || got.PaymentIntent == "processing" || got.PaymentFailure == "" {
		t.Errorf("debit failed: %+v", got)
	}
}

func TestWordsThatAreNotKnownReachTheDecision(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.push()
	id := h.open(checkout(t, "credit-pack-5m")).ID
	h.control("/_sim/sessions/"+id, map[string]any{"target": "object", "patch": map[string]any{
		"status": "pondering", "payment_status": "partly_paid", "mode": "barter", "currency": "eur", "livemode": true, "metadata": map[string]any{"order_id": "ord_2"},
	}})
	got := h.fetch(id)
	if got.Status != "pondering" || got.PaymentStatus != "partly_paid" || got.Mode != "barter" || got.Currency != "EUR" || !got.Livemode || got.Metadata["order_id"] != "ord_2" {
		t.Errorf("fetched %+v", got)
	}
}

func TestExpireSession(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.push()
	id := h.open(checkout(t, "credit-pack-5m")).ID
	if err := h.client.ExpireSession(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if got := h.fetch(id); got.Status != "expired" {
		t.Errorf("status %s", got.Status)
	}
	if err := h.client.ExpireSession(t.Context(), id); !errors.Is(err, fulfillment.ErrSessionNotOpen) {
		t.Errorf("a second time: %v", err)
	}
	if err := h.client.ExpireSession(t.Context(), "cs_test_nowhere"); !errors.Is(err, fulfillment.ErrNotFound) || errors.Is(err, fulfillment.ErrUnavailable) {
		t.Errorf("unknown: %v", err)
	}
	if _, err := h.client.FetchSession(t.Context(), "cs_test_nowhere"); !errors.Is(err, fulfillment.ErrNotFound) {
		t.Errorf("unknown: %v", err)
	}
}

func TestPaidEventsAreListedAndDeliveredAgain(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.push()
	start := time.Now().Add(-time.Minute)
	r := checkout(t, "credit-pack-5m")
	mine := h.open(r).ID
	r.OrderID, r.IdempotencyKey = "ord_2", "checkout:ord_2:1"
	other := h.open(r).ID
	h.pay(mine, "bank_ok")
	h.pay(other, "card_ok")
	h.control("/_sim/clock", map[string]any{"advance_seconds": 600})
	h.control("/_sim/sessions/"+mine+"/settle", map[string]any{"succeed": true})

	ids, err := h.client.PaidEventIDs(t.Context(), mine, start)
	if err != nil || len(ids) != 2 {
		t.Fatalf("%v, %v; want completed and succeeded", ids, err)
	}
	late, err := h.client.PaidEventIDs(t.Context(), mine, time.Now().Add(5*time.Minute))
	if err != nil || len(late) != 1 || late[0] != ids[1] {
		t.Errorf("since later: %v, %v; want %s", late, err, ids[1])
	}

	waitFor(t, func() bool { return h.webhookCount() > 0 })
	time.Sleep(300 * time.Millisecond) // what was under way has arrived
	before := h.webhookCount()
	if err := h.client.RetryEvent(t.Context(), ids[0]); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return h.webhookCount() > before })
	if err := h.client.RetryEvent(t.Context(), "evt_nowhere"); !errors.Is(err, fulfillment.ErrNotFound) {
		t.Errorf("unknown event: %v", err)
	}
}

func waitFor(t *testing.T, what func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !what(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited for two minutes")
		}
	}
}

func TestPushingTheCatalogTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	first, err := h.client.PushCatalog(t.Context(), catalog.Launch(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	count := map[billing.Action]int{}
	for _, c := range first {
		count[c.Action]++
	}
	if count[billing.Created] != 15 || count[billing.Skipped] != 1 || len(first) != 16 {
		t.Errorf("first push: %v", first)
	}
	second, err := h.client.PushCatalog(t.Context(), catalog.Launch(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range second {
		if want := map[billing.Action]billing.Action{billing.Created: billing.Unchanged, billing.Skipped: billing.Skipped}[first[i].Action]; c.Action != want || c.Name != first[i].Name {
			t.Errorf("second push: %v after %v", c, first[i])
		}
	}
	if products, prices := h.posts("/v1/products"), h.posts("/v1/prices"); len(products) != 8 || len(prices) != 7 {
		t.Errorf("%d products and %d prices made, want 8 and, since one is priced by contract, 7", len(products), len(prices))
	}
	for _, p := range h.posts("/v1/prices") {
		form, err := url.ParseQuery(p.body)
		if err != nil {
			t.Fatal(err)
		}
		key := form.Get("lookup_key")
		if hosted := strings.HasPrefix(key, "hosted-"); hosted != form.Has("recurring[interval]") {
			t.Errorf("%s: recurring %v", key, !hosted)
		}
		if form.Get("tax_behavior") != "exclusive" || form.Has("transfer_lookup_key") {
			t.Errorf("price asked for with %v", form)
		}
	}
}

func TestANewVersionRenamesTheProductAndKeepsTheOldPrice(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.push()
	v1 := template(t, "credit-pack-5m")
	v2 := v1
	closed := time.Now()
	v1.ClosedAt = &closed
	v2.Version, v2.Name, v2.Price.UnitAmount = 2, "Credit pack, five million", 300_00
	changes, err := h.client.PushCatalog(t.Context(), []catalog.Template{v1, v2}, time.Now())
	want := []billing.Change{{"product", "prod_credit-pack-5m", billing.Updated}, {"price", "credit-pack-5m.v1", billing.Unchanged}, {"price", "credit-pack-5m.v2", billing.Created}}
	if err != nil || len(changes) != 3 || changes[0] != want[0] || changes[1] != want[1] || changes[2] != want[2] {
		t.Errorf("%v, %v; want %v", changes, err, want)
	}
	v0 := v1
	v0.Version = 7
	if changes, err := h.client.PushCatalog(t.Context(), []catalog.Template{v0}, time.Now()); err != nil || changes[1].Action != billing.Skipped {
		t.Errorf("a closed template without a price: %v, %v", changes, err)
	}
}

func TestDriftIsToldForEveryPriceAndNothingIsOverwritten(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.push()
	amount, interval, currency, fine := template(t, "credit-pack-5m"), template(t, "hosted-instance-monthly"), template(t, "pilot-30d"), template(t, "eval-72h")
	amount.Price.UnitAmount++
	interval.Price.Interval = catalog.Yearly
	currency.Price.Currency = "EUR"
	changes, err := h.client.PushCatalog(t.Context(), []catalog.Template{amount, interval, currency, fine}, time.Now())
	for _, want := range []string{"credit-pack-5m.v1: amount is 25000, not 25001", "hosted-instance-monthly.v1: interval", "pilot-30d.v1: currency is USD, not EUR"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %q", err, want)
		}
	}
	if len(changes) != 5 || changes[4] != (billing.Change{Object: "price", Name: "eval-72h.v1", Action: billing.Unchanged}) {
		t.Errorf("changes %v", changes)
	}
	if n := len(h.posts("/v1/prices")); n != 7 {
		t.Errorf("%d prices made, want the 7 of before", n)
	}
}
