package billing_test

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/billing"
	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

const returnTo = "http://localhost:8080/orders/ord_1"

// subscribe buys a package that renews, and answers what the session then says.
func (h *harness) subscribe(t *testing.T, sku string) fulfillment.Session {
	t.Helper()
	id := h.open(checkout(t, sku)).ID
	h.pay(id, "card_ok")
	return h.fetch(id)
}

func (h *harness) subscription(id string) fulfillment.Subscription {
	h.t.Helper()
	s, err := h.client.FetchSubscription(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

func TestAPackageThatRenewsIsBoughtInSubscriptionMode(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.push()
	for n, sku := range []string{"hosted-instance-monthly", "hosted-instance-annual"} {
		r := checkout(t, sku)
		r.IdempotencyKey += sku
		made := h.open(r)
		form, err := url.ParseQuery(h.posts("/v1/checkout/sessions")[n].body)
		if err != nil {
			t.Fatal(err)
		}
		want := r.Snapshot.Intent.Metadata()
		for name, value := range want {
			if form.Get("subscription_data[metadata]["+name+"]") != value || form.Get("metadata["+name+"]") != value {
				t.Errorf("%s: subscription or session lacks %s", sku, name)
			}
		}
		for name := range form {
			if strings.HasPrefix(name, "payment_intent_data") {
				t.Errorf("%s: sent %s", sku, name)
			}
		}
		if open := h.fetch(made.ID); open.Mode != "subscription" || open.LookupKey != sku+".v1" || open.AmountSubtotal != r.Snapshot.Total || open.SubscriptionID != "" || open.InvoiceID != "" {
			t.Errorf("%s: open %+v", sku, open)
		}
		h.pay(made.ID, "card_ok")
		paid := h.fetch(made.ID)
		if paid.PaymentStatus != "paid" || !strings.HasPrefix(paid.SubscriptionID, "sub_") || !strings.HasPrefix(paid.InvoiceID, "in_") || !strings.HasPrefix(paid.StripeCustomer, "cus_") {
			t.Errorf("%s: paid %+v", sku, paid)
		}
		sub := h.subscription(paid.SubscriptionID)
		months := map[string]int{"hosted-instance-monthly": 1, "hosted-instance-annual": 12}[sku]
		end := (catalog.Term{Months: months}).After(sub.CreatedAt)
		if sub.ID != paid.SubscriptionID || sub.Status != "active" || sub.LookupKey != sku+".v1" || sub.Quantity != 1 || sub.Livemode || !maps.Equal(sub.Metadata, want) ||
			sub.StripeCustomer != paid.StripeCustomer || sub.LatestInvoiceID != paid.InvoiceID || !sub.CurrentPeriodEnd.Equal(end) ||
			sub.CancelAtEnd || sub.CollectionPaused || !sub.EndsAt.IsZero() || !sub.CanceledAt.IsZero() || !sub.EndedAt.IsZero() {
			t.Errorf("%s: subscription %+v", sku, sub)
		}
	}
}

func TestAPriceOfAnotherIntervalMakesNoSession(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.push()
	for name, change := range map[string]func(*catalog.Template){
		"yearly":   func(t *catalog.Template) { t.Price.Interval = catalog.Yearly },
		"one time": func(t *catalog.Template) { t.Price.Interval = "" },
	} {
		r := checkout(t, "hosted-instance-monthly")
		change(&r.Snapshot.Template)
		if _, err := h.client.CreateCheckout(t.Context(), r); !errors.Is(err, fulfillment.ErrPriceChanged) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if n := len(h.posts("/v1/checkout/sessions")); n != 0 {
		t.Errorf("%d sessions asked for", n)
	}
}

func TestASubscriptionIsFetchedAsItStands(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.push()
	id := h.subscribe(t, "hosted-instance-monthly").SubscriptionID
	first := h.subscription(id)
	path := "/v1/subscriptions/" + id

	h.api(path, url.Values{"cancel_at_period_end": {"true"}})
	if s := h.subscription(id); !s.CancelAtEnd || s.CanceledAt.IsZero() || !s.EndsAt.Equal(first.CurrentPeriodEnd) || s.Status != "active" || !s.EndedAt.IsZero() {
		t.Errorf("to be canceled: %+v", s)
	}
	h.api(path, url.Values{"cancel_at_period_end": {"false"}, "pause_collection[behavior]": {"void"}})
	if s := h.subscription(id); s.CancelAtEnd || !s.CollectionPaused || s.Status != "active" || !s.EndsAt.IsZero() {
		t.Errorf("resumed and paused: %+v", s)
	}
	h.api(path, url.Values{"pause_collection": {""}})
	h.control("/_sim/objects/"+id+"/bill", map[string]any{})
	if s := h.subscription(id); s.CollectionPaused || s.LatestInvoiceID == first.LatestInvoiceID || !s.CurrentPeriodEnd.After(first.CurrentPeriodEnd) {
		t.Errorf("a month on: %+v", s)
	}
	h.control("/_sim/objects/"+id, map[string]any{"target": "object", "patch": map[string]any{"status": "pondering", "livemode": true}})
	if s := h.subscription(id); s.Status != "pondering" || !s.Livemode {
		t.Errorf("words that are not known: %+v", s)
	}
	if _, err := h.client.FetchSubscription(t.Context(), "sub_nowhere"); !errors.Is(err, fulfillment.ErrNotFound) {
		t.Errorf("unknown: %v", err)
	}
}

func TestTheBillingPortalOffersWhatWasPushedAndNoMore(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.push()
	customer := h.subscribe(t, "hosted-instance-monthly").StripeCustomer
	if _, err := h.client.ManageBilling(t.Context(), customer, returnTo); !errors.Is(err, billing.ErrNotConfigured) || !errors.Is(err, fulfillment.ErrUnavailable) {
		t.Errorf("before the push: %v", err)
	}
	if c, err := h.client.PlanPortal(t.Context(), catalog.Launch(), time.Now()); err != nil || c.Action != billing.Created || len(h.posts("/v1/billing_portal/configurations")) != 0 {
		t.Errorf("plan: %v, %v", c, err)
	}
	for n, want := range []billing.Action{billing.Created, billing.Unchanged} {
		if c, err := h.client.PushPortal(t.Context(), catalog.Launch(), time.Now()); err != nil || c.Action != want {
			t.Errorf("push %d: %v, %v", n, c, err)
		}
	}
	page, err := h.client.ManageBilling(t.Context(), customer, returnTo)
	if err != nil || !strings.HasPrefix(page, h.url+"/") {
		t.Fatalf("%s, %v", page, err)
	}
	shown := h.read(page)
	for _, want := range []string{returnTo, `value="cancel"`, `name="method"`, `value="plan"`, "Hosted instance, annual"} {
		if !strings.Contains(shown, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}

// read gets a page of the stand-in.
func (h *harness) read(address string) string {
	h.t.Helper()
	response, err := http.Get(address)
	if err != nil {
		h.t.Fatal(err)
	}
	defer response.Body.Close()
	var page strings.Builder
	if err := response.Write(&page); err != nil || response.StatusCode != http.StatusOK {
		h.t.Fatalf("%s: %d, %v", address, response.StatusCode, err)
	}
	return page.String()
}

func TestTheBillingPortalIsBroughtInLineWhenPlansOrFeaturesChange(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.push()
	push := func(templates []catalog.Template) billing.Change {
		t.Helper()
		c, err := h.client.PushPortal(t.Context(), templates, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	push(catalog.Launch())
	monthly := template(t, "hosted-instance-monthly")
	if c := push([]catalog.Template{monthly}); c.Action != billing.Updated {
		t.Errorf("one plan less: %v", c)
	}
	customer := h.subscribe(t, "hosted-instance-annual").StripeCustomer
	page, err := h.client.ManageBilling(t.Context(), customer, returnTo)
	if err != nil || strings.Contains(h.read(page), `value="plan"`) {
		t.Errorf("a single plan is offered as a change: %v", err)
	}
	posts := h.posts("/v1/billing_portal/configurations")
	if len(posts) != 1 || posts[0].key == "" {
		t.Errorf("%d configurations made", len(posts))
	}
	var id string
	for _, r := range h.requests {
		if rest, ok := strings.CutPrefix(r.path, "/v1/billing_portal/configurations/"); ok && r.method == "POST" {
			id = rest
		}
	}
	h.api("/v1/billing_portal/configurations/"+id, url.Values{"features[subscription_cancel][enabled]": {"false"}})
	if c := push([]catalog.Template{monthly}); c.Action != billing.Updated {
		t.Errorf("someone took the cancel button away: %v", c)
	}
	gone := monthly
	gone.Version = 9
	if _, err := h.client.PushPortal(t.Context(), []catalog.Template{gone, template(t, "hosted-instance-annual")}, time.Now()); !errors.Is(err, billing.ErrPriceMissing) {
		t.Errorf("a price that is not there: %v", err)
	}
}
