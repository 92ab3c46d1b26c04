package fulfillment_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// reconcilerAt makes a reconciler that lives so much later; what it logs is in w.logged.
func (w *world) reconcilerAt(later time.Duration) *fulfillment.Reconciler {
	w.t.Helper()
	return w.reconcilerWith(w.stripe, later)
}

func (w *world) reconcilerWith(stripe fulfillment.ReconcilerStripe, later time.Duration) *fulfillment.Reconciler {
	w.t.Helper()
	now := func() time.Time { return time.Now().Add(later) }
	r, err := fulfillment.NewReconciler(fulfillment.ReconcilerConfig{
		Store: w.store, Events: w.store, Gauges: w.store, Stripe: stripe, Revoker: w.revokerWith(w.signer, now),
		Catalog: fulfillment.NewCatalog(w.signer, time.Now), WebhookURL: "http://localhost/webhooks/stripe", Now: now,
		Log: slog.New(slog.NewTextHandler(&w.logged, nil)),
	})
	w.must(err)
	return r
}

func TestEventsThatWereLostAreAskedForAndTheCursorWaitsForThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	before := c.buy(c.request("credit-pack-5m"))
	w.idle()
	o := c.draft(c.request("credit-pack-5m"))
	w.sim("/_sim/delivery", map[string]any{"drop": 1}, nil)
	c.payBy(c.checkout(o), "card_ok")
	w.sim("/_sim/delivery", map[string]any{}, nil)
	if n, err := w.reconcilerAt(0).Events(t.Context(), false, nil); err != nil || n != 0 {
		t.Fatalf("%d missing while it may be under way: %v", n, err)
	}
	late := w.reconcilerAt(11 * time.Minute)
	var told []fulfillment.Finding
	n, err := late.Events(t.Context(), true, func(f fulfillment.Finding) { told = append(told, f) })
	w.must(err)
	if n != 1 || len(told) != 1 || !strings.HasPrefix(told[0].Detail, "checkout.session.completed of cs_") || w.count("SELECT count(*) FROM events WHERE outcome = 'evaluated'") == 0 {
		t.Fatalf("%d, %+v", n, told)
	}
	w.idle()
	if s := c.order(o).State; s == fulfillment.StateIssued {
		t.Fatal("a dry run asked Stripe")
	}
	n, err = late.Events(t.Context(), false, nil)
	w.must(err)
	pass, err := w.store.Pass(t.Context(), fulfillment.PassEvents)
	w.must(err)
	if n != 1 || pass.Open != 1 || time.Since(pass.Since) > time.Minute || !strings.Contains(w.logged.String(), "reconcile: events missing") {
		t.Fatalf("%d, %+v, logged %s", n, pass, &w.logged)
	}
	c.becomes(o, fulfillment.StateIssued)
	if n, err = late.Events(t.Context(), false, nil); n != 0 || err != nil {
		t.Errorf("%d still missing: %v", n, err)
	}
	if before = c.again(before); w.count("SELECT count(*) FROM issuances") != 2 {
		t.Errorf("%s was issued again", before.ID)
	}
}

// More is missing than a pass may ask for, and what it may not ask for is the oldest: longer ago than a pass looks back by
// itself.
func TestMoreLostEventsThanAPassAsksForAreAllFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	s := w.customer().known()
	w.idle()
	w.sim("/_sim/delivery", fields{"drop": 1}, nil)
	const old, asked = 10, 500
	for n := range old + asked {
		if n == old {
			w.sim("/_sim/clock", fields{"advance_seconds": 3 * 3600}, nil)
		}
		w.api(http.MethodPost, "/v1/customers/"+s.object, fmt.Sprintf("metadata[n]=%d", n))
	}
	w.sim("/_sim/delivery", fields{}, nil)
	pass := func(later time.Duration, want int) {
		t.Helper()
		if n, err := w.reconcilerAt(later).Events(t.Context(), false, nil); err != nil || n != want {
			t.Fatalf("%d missing after %s, not %d: %v", n, later, want, err)
		}
		w.idle()
	}
	arrived := func(n int) {
		t.Helper()
		w.eventually(fmt.Sprint(n, " arrived"), func() bool { return w.count("SELECT count(*) FROM events WHERE type = 'customer.updated'") == n })
	}
	pass(4*time.Hour, old+asked)
	arrived(asked)
	pass(5*time.Hour, old)
	arrived(old + asked)
	pass(6*time.Hour, 0)
	if n := w.count("SELECT count(*) FROM events WHERE type = 'customer.updated' AND outcome <> ''"); n != old+asked {
		t.Errorf("%d events are looked at", n)
	}
}

// undelivering is a Stripe that keeps events and delivers none of them again.
type undelivering struct {
	fulfillment.ReconcilerStripe
	events []fulfillment.EventRef
	asked  map[string]int
	answer error
}

func (u *undelivering) EachEvent(_ context.Context, _ time.Time, visit func([]fulfillment.EventRef) error) error {
	return visit(u.events)
}

func (u *undelivering) RetryEvent(_ context.Context, id string) error {
	u.asked[id]++
	return u.answer
}

func TestEventsThatStripeCannotDeliverKeepNoOtherFromItsTurn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stripe := &undelivering{ReconcilerStripe: w.stripe, asked: map[string]int{}, answer: errors.New("no endpoint takes it")}
	const events, asked = 600, 500
	for n := range events {
		stripe.events = append(stripe.events, fulfillment.EventRef{
			ID: fmt.Sprint("evt_", n), Type: "invoice.paid", ObjectID: "in_1", Created: time.Now().Add(-time.Hour),
		})
	}
	r := w.reconcilerWith(stripe, 0)
	for pass := range 15 { // that one is never picked happens once in 10⁹ runs
		n, err := r.Events(t.Context(), false, nil)
		w.must(err)
		if n != events {
			t.Fatalf("pass %d found %d missing", pass, n)
		}
		if pass == 0 && len(stripe.asked) != asked {
			t.Fatalf("%d events asked for at once", len(stripe.asked))
		}
	}
	if len(stripe.asked) != events {
		t.Errorf("only %d of %d were ever asked for", len(stripe.asked), events)
	}
	if p, err := w.store.Pass(t.Context(), fulfillment.PassEvents); err != nil || p.Open != events {
		t.Errorf("%+v, %v", p, err)
	}
	if log := w.logged.String(); !strings.Contains(log, "event not delivered again") || !strings.Contains(log, "evt_1 ") {
		t.Error("what is not delivered is not logged")
	}

	stripe.answer, stripe.asked = fulfillment.ErrUnavailable, map[string]int{}
	if _, err := r.Events(t.Context(), false, nil); !errors.Is(err, fulfillment.ErrUnavailable) || len(stripe.asked) != 1 {
		t.Errorf("a Stripe that does not answer was asked %d times: %v", len(stripe.asked), err)
	}
}

func TestRefundsAndDisputesWhoseEventsWereLostAreFoundDaily(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	r := w.reconcilerAt(time.Hour)
	findings := func(dry bool) (list []string) {
		t.Helper()
		n, err := r.Payments(t.Context(), dry, func(f fulfillment.Finding) { list = append(list, f.OrderID+" "+f.Detail) })
		w.must(err)
		if n != len(list) {
			t.Errorf("%d open, told %q", n, list)
		}
		return list
	}
	var licenses [4]fulfillment.License
	var sessions [4]string
	for i := range licenses {
		licenses[i] = c.buy(c.request("credit-pack-5m"))
		sessions[i] = w.session(fulfillment.Order{ID: licenses[i].OrderID})
	}
	refunded, disputed, partly, whole := licenses[0], licenses[1], licenses[2], licenses[3]
	if got := findings(false); len(got) != 0 {
		t.Fatalf("%q", got)
	}
	w.sim("/_sim/delivery", map[string]any{"drop": 1}, nil)
	w.act(sessions[0], "refund", nil)
	dispute := w.act(sessions[1], "dispute", nil)
	w.act(sessions[2], "refund", map[string]any{"amount": 100})
	w.sim("/_sim/delivery", map[string]any{}, nil)
	got := findings(true)
	slices.Sort(got)
	if len(got) != 2 || !strings.Contains(strings.Join(got, "\n"), refunded.OrderID+" the license is to be revoked; ask Stripe to deliver evt_") ||
		!strings.Contains(strings.Join(got, "\n"), disputed.OrderID+" the license is to be suspended; ask Stripe to deliver evt_") {
		t.Fatalf("%q", got)
	}
	w.idle()
	c.stands(refunded, fulfillment.StandingValid)
	if len(w.flags(partly.OrderID)) != 0 {
		t.Fatal("a dry run flagged")
	}
	findings(false)
	c.stands(refunded, fulfillment.StandingRevoked)
	c.stands(disputed, fulfillment.StandingSuspended)
	c.stands(partly, fulfillment.StandingValid)
	c.stands(whole, fulfillment.StandingValid)
	w.idle()
	findings(false)
	if got := w.flags(partly.OrderID); !slices.Equal(got, []string{"refund-partial"}) {
		t.Errorf("flags %q", got)
	}
	// What was lost is lost, and what is judged is left alone.
	w.later()
	w.sim("/_sim/delivery", map[string]any{"drop": 1}, nil)
	w.act(dispute, "lose", nil)
	w.sim("/_sim/delivery", map[string]any{}, nil)
	if got := findings(false); len(got) != 1 {
		t.Errorf("%q", got)
	}
	c.stands(disputed, fulfillment.StandingRevoked)
	w.idle()
	if got := findings(false); len(got) != 0 {
		t.Errorf("%q", got)
	}
}

func TestARefundThatStripeKeepsNoEventOfIsLeftToStaff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	l := c.buy(c.request("credit-pack-5m"))
	w.sim("/_sim/delivery", map[string]any{"drop": 1}, nil)
	w.act(w.session(fulfillment.Order{ID: l.OrderID}), "refund", nil)
	w.sim("/_sim/delivery", map[string]any{}, nil)
	late := w.reconcilerAt(31 * 24 * time.Hour) // Stripe keeps events for 30 days
	for range 2 {
		n, err := late.Payments(t.Context(), false, nil)
		w.must(err)
		if n != 1 {
			t.Errorf("%d open", n)
		}
	}
	if got := w.flags(l.OrderID); !slices.Equal(got, []string{"takeback-without-event"}) {
		t.Errorf("flags %q", got)
	}
	c.stands(l, fulfillment.StandingValid)
}

func TestTheEndpointsStateAndTheSilenceOfStripeAreAlarms(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	c.buy(c.request("credit-pack-5m"))
	w.must(w.reconcilerAt(0).Hourly(t.Context()))
	if got := w.logged.String(); !strings.Contains(got, "reconcile: webhook endpoint\" state=missing") || strings.Contains(got, "no event for long") {
		t.Errorf("logged %s", got)
	}
	w.must(w.reconcilerAt(73 * time.Hour).Hourly(t.Context()))
	if got := w.logged.String(); !strings.Contains(got, "reconcile: no event for long") {
		t.Errorf("logged %s", got)
	}
	g, err := w.store.Gauges(t.Context(), time.Now())
	w.must(err)
	if g.Endpoint() != fulfillment.EndpointMissing || g.LastEventAt.IsZero() || g.PaidWithoutLicense+g.LicenseWithoutPayment+g.OrdersInReview != 0 {
		t.Errorf("%+v", g)
	}
}

func TestEveryFaultOfTheWebhookEndpointIsAnAlarm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const url = "http://localhost/webhooks/stripe"
	_, err := w.stripe.PushEndpoint(t.Context(), url, false, func(string) error { return nil })
	w.must(err)
	endpoints := w.stripeObjects("webhook_endpoint")
	id := endpoints[slices.IndexFunc(endpoints, func(o stripeObject) bool { return o.str("url") == url })].str("id")
	for _, c := range []struct {
		happens func()
		want    fulfillment.EndpointState
	}{
		{func() {}, fulfillment.EndpointEnabled},
		{func() { w.act(id, "disable", nil) }, fulfillment.EndpointDisabled}, // as Stripe does to one that keeps failing
		{func() { w.act(id, "enable", nil) }, fulfillment.EndpointEnabled},
		{func() { w.api(http.MethodPost, "/v1/webhook_endpoints/"+id, "enabled_events[]=invoice.paid") }, fulfillment.EndpointEvents},
		{func() { w.patch(id, "object", fields{"api_version": "2024-06-20"}) }, fulfillment.EndpointVersion},
		{func() { w.api(http.MethodDelete, "/v1/webhook_endpoints/"+id, "") }, fulfillment.EndpointMissing},
	} {
		c.happens()
		w.logged.Reset()
		var told []fulfillment.Finding
		got, err := w.reconcilerAt(0).Endpoint(t.Context(), false, func(f fulfillment.Finding) { told = append(told, f) })
		w.must(err)
		g, err := w.store.Gauges(t.Context(), w.now())
		w.must(err)
		alarm := c.want != fulfillment.EndpointEnabled
		if got != c.want || g.Endpoint() != c.want || len(told) == 1 != alarm || strings.Contains(w.logged.String(), "level=ERROR") != alarm {
			t.Errorf("%s, not %s: told %+v, logged %s", got, c.want, told, w.logged.String())
		}
	}
}

func TestALatePaidAfterARefundInFullRevivesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	l := c.buy(c.request("credit-pack-5m"))
	session := w.session(fulfillment.Order{ID: l.OrderID})
	w.act(session, "refund", nil)
	c.stands(l, fulfillment.StandingRevoked)
	for _, e := range w.events(session) {
		w.sim("/_sim/events/"+e+"/deliver", map[string]any{"copies": 2}, nil)
	}
	w.idle()
	w.must(w.fulfiller.EvaluateOrder(t.Context(), l.OrderID))
	w.idle()
	c.stands(l, fulfillment.StandingRevoked)
	if n := w.count("SELECT count(*) FROM issuances"); n != 1 || len(w.logFiles()) != 1 {
		t.Errorf("%d licenses stored, %d logged", n, len(w.logFiles()))
	}
}
