package stripesim_test

import (
	"context"
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"

	"github.com/metrum-ai/licensing-portal/internal/billing"
	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// shop is the portal's own client on a stand-in, and what it called.
type shop struct {
	*harness
	ctx  context.Context
	c    *billing.Client
	rec  *recorder
	when time.Time // before anything happened
}

// TestThePortalsOwnCallsKeepStripesContract makes every call of the portal's client: stripe-mock must take the same bytes,
// parameters, expansions and all, and answer in the shape that the stand-in has.
func TestThePortalsOwnCallsKeepStripesContract(t *testing.T) {
	t.Parallel()
	m, err := startMock()
	if err != nil {
		t.Fatalf("stripe-mock: %v", err)
	}
	for method := range reflect.TypeFor[*billing.Client]().Methods() {
		calls, ok := portalCalls[method.Name]
		if !ok {
			t.Errorf("no contract covers billing's %s", method.Name)
			continue
		}
		t.Run(method.Name, func(t *testing.T) {
			t.Parallel()
			s := openShop(t)
			calls(s)
			if len(s.rec.calls) == 0 {
				t.Error("nothing was called")
			}
			for _, call := range s.rec.calls {
				if outsideContract[callPattern(call)] {
					continue
				}
				if looked := call.method == http.MethodGet && call.status == http.StatusNotFound; call.status >= 400 && !looked {
					t.Errorf("the stand-in does not take %s: %s", call, call.answer)
				}
				compare(t, m, call)
			}
		})
	}
}

func openShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{harness: start(t, nil), ctx: t.Context(), rec: &recorder{}, when: time.Now().Add(-time.Minute)}
	var err error
	s.c, err = billing.New(billing.Config{Key: testKey, URL: s.url, Timeout: 10 * time.Second, Transport: s.rec})
	s.must(err)
	return s
}

// stocked pushes the catalog and forgets the calls of that.
func (s *shop) stocked() {
	s.t.Helper()
	_, err := s.c.PushCatalog(s.ctx, catalog.Launch(), time.Now())
	s.must(err)
	s.rec.calls = nil
}

// portalCalls are the contracts of the portal's client, by method. Some call others first.
var portalCalls = map[string]func(*shop){
	"PlanCatalog": func(s *shop) { _, err := s.c.PlanCatalog(s.ctx, catalog.Launch(), time.Now()); s.must(err) },
	"PushCatalog": func(s *shop) {
		_, err := s.c.PushCatalog(s.ctx, catalog.Launch(), time.Now())
		s.must(err)
		_, err = s.c.PushCatalog(s.ctx, append(catalog.Launch(), later(s.t, "enterprise-annual")), time.Now())
		s.must(err)
	},
	"PlanPortal": func(s *shop) {
		s.pushPortal()
		_, err := s.c.PlanPortal(s.ctx, catalog.Launch(), time.Now())
		s.must(err)
	},
	"PushPortal": (*shop).pushPortal,
	"ManageBilling": func(s *shop) {
		s.pushPortal()
		_, err := s.c.ManageBilling(s.ctx, s.customer().ID, "http://localhost:8080/orders/ord_1")
		s.must(err)
	},
	"PlanEndpoint": func(s *shop) { _, err := s.c.PlanEndpoint(s.ctx, s.sink.srv.URL, false); s.must(err) },
	"PushEndpoint": (*shop).pushEndpoint,
	"Endpoint": func(s *shop) {
		s.pushEndpoint()
		state, err := s.c.Endpoint(s.ctx, "https://portal.example/webhooks/stripe")
		s.must(err)
		want(s.t, "endpoint", state, fulfillment.EndpointEnabled)
	},
	"CreateCheckout": func(s *shop) {
		s.ordered("enterprise-annual")
		s.ordered("hosted-instance-monthly")
		s.ordered("eval-72h")
	},
	"FetchSession": func(s *shop) {
		s.fetched("enterprise-annual", "card_ok")
		s.fetched("hosted-instance-monthly", "card_ok")
	},
	"ExpireSession": func(s *shop) { s.must(s.c.ExpireSession(s.ctx, s.ordered("enterprise-annual"))) },
	"PaidEventIDs": func(s *shop) {
		paid := s.fetched("enterprise-annual", "card_ok")
		ids, err := s.c.PaidEventIDs(s.ctx, paid.ID, s.when)
		s.must(err)
		want(s.t, "events", len(ids), 1)
	},
	"RetryEvent": func(s *shop) {
		paid := s.fetched("enterprise-annual", "card_ok")
		ids, err := s.c.PaidEventIDs(s.ctx, paid.ID, s.when)
		s.must(err)
		s.must(s.c.RetryEvent(s.ctx, ids[0]))
	},
	"EachEvent": func(s *shop) {
		s.paidCharge(25000, "card_ok")
		s.must(s.c.EachEvent(s.ctx, s.when, seen[fulfillment.EventRef](s.t, 1)))
	},
	"EachPayment": func(s *shop) {
		s.fetched("enterprise-annual", "card_ok")
		s.fetched("eval-72h", "confirm")
		s.act(s.act(s.paidCharge(900, "card_ok").ID, "dispute", nil)["id"].(string), "lose", nil)
		s.must(s.c.EachPayment(s.ctx, seen[fulfillment.Payment](s.t, 3)))
	},
	"EachTaken": func(s *shop) {
		s.act(s.paidCharge(25000, "card_ok").ID, "dispute", nil)
		s.refunded()
		s.must(s.c.EachTaken(s.ctx, s.when, seen[fulfillment.Taken](s.t, 2)))
	},
	"FetchTaken": func(s *shop) {
		for object, id := range s.takenBack() {
			taken, err := s.c.FetchTaken(s.ctx, object, id)
			s.must(err)
			want(s.t, object, taken.ID, id)
		}
	},
	"FetchSubscription": func(s *shop) {
		id := s.fetched("hosted-instance-monthly", "card_ok").SubscriptionID
		for _, change := range []*stripe.SubscriptionParams{
			{CancelAtPeriodEnd: stripe.Bool(true)}, {CancelAtPeriodEnd: stripe.Bool(false)},
			{PauseCollection: &stripe.SubscriptionPauseCollectionParams{Behavior: stripe.String("void")}},
		} {
			_, err := s.sdk.Subscriptions.Update(id, change)
			s.must(err)
			found, err := s.c.FetchSubscription(s.ctx, id)
			s.must(err)
			want(s.t, "subscription", found.ID, id)
		}
	},
	"OpenQuote":   func(s *shop) { s.quoted() },
	"FetchQuote":  func(s *shop) { _, err := s.c.FetchQuote(s.ctx, s.quoted()); s.must(err) },
	"AcceptQuote": func(s *shop) { _, err := s.c.AcceptQuote(s.ctx, s.quoted()); s.must(err) },
	"CancelQuote": func(s *shop) { _, err := s.c.CancelQuote(s.ctx, s.quoted()); s.must(err) },
	"QuotePDF":    func(s *shop) { _, err := s.c.QuotePDF(s.ctx, s.quoted()); s.must(err) },
	"FinalizeInvoice": func(s *shop) {
		accepted, err := s.c.AcceptQuote(s.ctx, s.quoted())
		s.must(err)
		i, err := s.c.FinalizeInvoice(s.ctx, accepted.InvoiceID, intentOf("enterprise-annual").Metadata())
		s.must(err)
		want(s.t, "invoice", i.Status, "open")
	},
	"FetchInvoice": func(s *shop) {
		open := s.finalize(s.draft(s.customer().ID, 10000, "usd").ID)
		s.act(open.ID, "pay", nil)
		_, err := s.c.FetchInvoice(s.ctx, open.ID)
		s.must(err)
	},
}

// pushPortal makes the configuration of the billing portal and changes it.
func (s *shop) pushPortal() {
	s.t.Helper()
	s.stocked()
	for _, templates := range [][]catalog.Template{catalog.Launch(), {sold(s.t, "hosted-instance-monthly")}} {
		_, err := s.c.PushPortal(s.ctx, templates, time.Now())
		s.must(err)
	}
}

func (s *shop) pushEndpoint() {
	s.t.Helper()
	_, err := s.c.PushEndpoint(s.ctx, "https://portal.example/webhooks/stripe", false, func(string) error { return nil })
	s.must(err)
}

func sold(t *testing.T, sku string) catalog.Template {
	t.Helper()
	for _, template := range catalog.Launch() {
		if template.SKU == sku {
			return template
		}
	}
	t.Fatalf("no template %s", sku)
	return catalog.Template{}
}

// later is a template's next version, at another price.
func later(t *testing.T, sku string) catalog.Template {
	t.Helper()
	template := sold(t, sku)
	template.Version++
	template.Price.UnitAmount += 100
	return template
}

func intentOf(sku string) catalog.Intent {
	return catalog.Intent{
		OrderID: "ord_1", Kind: catalog.IssueNew, Template: sku + "@1", Quantity: 1, CustomerID: "cust_1", CustomerName: "Lumen",
		DeploymentID: "dep_1", Environments: []string{"production"},
	}
}

func snapshotOf(t *testing.T, sku string) fulfillment.Snapshot {
	t.Helper()
	template := sold(t, sku)
	return fulfillment.Snapshot{Template: template, Currency: "USD", Total: template.Price.UnitAmount, Intent: intentOf(sku)}
}

// ordered opens a checkout session.
func (s *shop) ordered(sku string) string {
	s.t.Helper()
	s.stocked()
	made, err := s.c.CreateCheckout(s.ctx, fulfillment.CheckoutRequest{
		OrderID: "ord_1", Attempt: 1, IdempotencyKey: "checkout:" + sku, Snapshot: snapshotOf(s.t, sku), CustomerEmail: "buyer@lumen.example",
		SuccessURL: "http://localhost:8080/orders/ord_1", CancelURL: "http://localhost:8080/orders/ord_1", ExpiresAt: time.Now().Add(time.Hour),
	})
	s.must(err)
	return made.ID
}

// fetched pays for a package and reads its session.
func (s *shop) fetched(sku, method string) fulfillment.Session {
	s.t.Helper()
	id := s.ordered(sku)
	s.pay(id, method)
	session, err := s.c.FetchSession(s.ctx, id)
	s.must(err)
	return session
}

func (s *shop) quoted() string {
	s.t.Helper()
	s.stocked()
	snapshot := snapshotOf(s.t, "enterprise-annual")
	snapshot.Channel = fulfillment.ByQuote
	snapshot.Offer = fulfillment.Offer{DaysUntilDue: 30, ExpiresAt: time.Now().Add(14 * 24 * time.Hour).Truncate(time.Second).UTC(), PreparedBy: "ada"}
	quote, err := s.c.OpenQuote(s.ctx, fulfillment.QuoteRequest{OrderID: "ord_1", Snapshot: snapshot, CustomerEmail: "buyer@lumen.example"})
	s.must(err)
	return quote.ID
}

func (s *shop) refunded() (charge, refund string) {
	s.t.Helper()
	c := s.paidCharge(25000, "card_ok")
	made, err := s.sdk.Refunds.New(&stripe.RefundParams{PaymentIntent: &c.PaymentIntent.ID, Amount: stripe.Int64(5000)})
	s.must(err)
	return c.ID, made.ID
}

// takenBack is one object of each kind that may take a payment back, by the kind.
func (s *shop) takenBack() map[string]string {
	s.t.Helper()
	charge, refund := s.refunded()
	open := s.finalize(s.draft(s.customer().ID, 10000, "usd").ID)
	s.act(open.ID, "pay", nil)
	note, err := s.sdk.CreditNotes.New(&stripe.CreditNoteParams{Invoice: &open.ID, Amount: stripe.Int64(3000), RefundAmount: stripe.Int64(3000)})
	s.must(err)
	suspect := s.paidCharge(900, "card_ok").ID
	return map[string]string{
		fulfillment.ObjectCharge: charge, fulfillment.ObjectRefund: refund, fulfillment.ObjectCreditNote: note.ID,
		fulfillment.ObjectCustomer: s.customer().ID,
		fulfillment.ObjectDispute:  s.act(suspect, "dispute", nil)["id"].(string),
		fulfillment.ObjectReview:   s.act(suspect, "review", nil)["id"].(string),
		fulfillment.ObjectWarning:  s.act(suspect, "fraud_warning", nil)["id"].(string),
	}
}

// seen counts what a list shows, of which there must be so many at least.
func seen[T any](t *testing.T, least int) func([]T) error {
	n := 0
	t.Cleanup(func() {
		if n < least {
			t.Errorf("%d are listed, want %d at least", n, least)
		}
	})
	return func(page []T) error { n += len(page); return nil }
}
