package fulfillment_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// price finds the ID of a package's price at Stripe.
func (w *world) price(lookupKey string) string {
	w.t.Helper()
	for _, p := range w.stripeObjects("price") {
		if p.str("lookup_key") == lookupKey {
			return p.str("id")
		}
	}
	w.t.Fatalf("no price %s", lookupKey)
	return ""
}

// changesPlan has the customer choose another package on Stripe's page for the subscription.
func (s subscriber) changesPlan(lookupKey string) {
	s.t.Helper()
	_, err := s.stripe.PushPortal(s.t.Context(), s.bundle.Templates, s.now())
	s.must(err)
	service, err := fulfillment.NewSubscriptions(fulfillment.SubscriptionsConfig{Store: s.store, Portal: s.stripe, PublicURL: "http://localhost:8080"})
	s.must(err)
	page, err := service.Manage(s.t.Context(), s.organization, s.order.ID)
	s.must(err)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.PostForm(page, url.Values{"do": {"plan"}, "subscription": {s.id}, "price": {s.price(lookupKey)}})
	s.must(err)
	response.Body.Close()
	if response.StatusCode != http.StatusSeeOther {
		s.t.Fatalf("the page answers %d", response.StatusCode)
	}
}

func TestAPlanChangedOnStripesPageIsForStaffAndEveryCycleOfItAfterwards(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	s := w.customer().subscribe("card_ok")
	first := s.license(s.order)
	w.later()
	s.changesPlan("hosted-instance-annual.v1")
	w.seenEvents("customer.subscription.updated", 1)
	changed := s.seenUntil("changed and billed", func(v fulfillment.Subscribed) bool {
		return v.Renewing() == fulfillment.RenewingChanged && len(v.Cycles) == 2 && v.Cycles[0].State == inReview
	})
	invoice := changed.Cycles[0].Invoice
	if invoice.BillingReason != "subscription_update" || invoice.Status != "paid" || !changed.PlanChanged() {
		t.Errorf("the invoice is %s for %q", invoice.Status, invoice.BillingReason)
	}
	o := s.customer.order(fulfillment.Order{ID: changed.Cycles[0].OrderID})
	read := w.staffRead(o)
	for _, word := range []string{"a changed plan", invoice.ID} {
		if !strings.Contains(read, word) {
			t.Errorf("staff do not read %q but %s", word, read)
		}
	}
	w.idle()
	if l := s.again(first); l.Standing(w.now()) != valid || w.count("SELECT count(*) FROM issuances") != 1 {
		t.Errorf("the license is %s of %d", l.Standing(w.now()), w.count("SELECT count(*) FROM issuances"))
	}

	w.later()
	w.act(s.id, "bill", nil) // the next year, at the price of the other package
	next := s.seenUntil("the next cycle is looked at", func(v fulfillment.Subscribed) bool { return len(v.Cycles) == 3 && v.Cycles[0].State == inReview })
	o = s.customer.order(fulfillment.Order{ID: next.Cycles[0].OrderID})
	if got := codes(o.Reasons); next.Cycles[0].Invoice.BillingReason != "subscription_cycle" || !strings.Contains(got, "package-mismatch") || !strings.Contains(got, "amount-mismatch") {
		t.Errorf("for %q: %s", next.Cycles[0].Invoice.BillingReason, got)
	}
	if read := w.staffRead(o); !strings.Contains(read, `Stripe has the price "hosted-instance-annual.v1", the order is for "hosted-instance-monthly.v1"`) {
		t.Errorf("staff read %s", read)
	}
	w.idle()
	if n := w.count("SELECT count(*) FROM issuances"); n != 1 || len(w.logFiles()) != 1 {
		t.Errorf("%d licenses, %d in the log", n, len(w.logFiles()))
	}
}
