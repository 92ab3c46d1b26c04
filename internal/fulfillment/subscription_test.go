package fulfillment_test

import (
	"bytes"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/license"
)

// subscriber is a customer with a subscription.
type subscriber struct {
	customer
	order fulfillment.Order // that began it
	id    string
}

// hosted is a request for a hosted package.
func (c customer) hosted(sku string) fulfillment.DraftRequest {
	r := c.request(sku)
	r.Environments = []string{"staging"}
	return r
}

// subscribe buys the monthly package by a payment method, to its first license.
func (c customer) subscribe(method string) subscriber {
	c.t.Helper()
	o := c.draft(c.hosted("hosted-instance-monthly"))
	c.payBy(c.checkout(o), method)
	s := subscriber{customer: c, order: c.becomes(o, fulfillment.StateIssued)}
	s.id = s.seen().ID
	return s
}

// seen is the subscription as its customer sees it.
func (s subscriber) seen() fulfillment.Subscribed {
	s.t.Helper()
	found, err := s.store.SubscriptionOfOrder(s.t.Context(), s.organization, s.order.ID)
	s.must(err)
	return found
}

func (s subscriber) seenUntil(what string, is func(fulfillment.Subscribed) bool) fulfillment.Subscribed {
	s.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		seen := s.seen()
		if is(seen) {
			return seen
		}
		if time.Now().After(end) {
			s.t.Fatalf("not %s: %s, %d cycles, the newest %s %s", what, seen.Renewing(), len(seen.Cycles), seen.Cycles[0].State, seen.Cycles[0].Invoice.Status)
		}
	}
}

// nextCycle lets the present period end and Stripe charge for the next.
func (s subscriber) nextCycle() {
	s.t.Helper()
	s.sleepUntil(s.seen().CurrentPeriodEnd.Add(2 * time.Hour)) // Stripe drafts at the period's end, and charges an hour later
}

func (s subscriber) licensed(n int) fulfillment.Subscribed {
	s.t.Helper()
	return s.seenUntil("licensed so often", func(v fulfillment.Subscribed) bool {
		return len(v.Cycles) == n && v.Cycles[0].LicenseID != "" && v.CurrentPeriodEnd.Equal(v.Cycles[0].Invoice.PeriodEnd)
	})
}

// ring is the keys that verify the world's licenses.
func (w *world) ring() *license.KeyRing {
	w.t.Helper()
	ring, err := w.bundle.KeyRing()
	w.must(err)
	return ring
}

func TestASubscriptionRunsTwelveMonthsWithALicenseEach(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	s := w.customer().subscribe("card_ok")
	if first := s.seen(); first.Renewing() != fulfillment.RenewingActive || len(first.Cycles) != 1 || first.DeploymentID != s.order.DeploymentID {
		t.Errorf("after the purchase: %s, %+v", first.Renewing(), first.Cycles)
	}
	for month := 2; month <= 12; month++ {
		s.nextCycle()
		s.licensed(month)
	}
	year := s.seen()
	ring, seenIDs, until := w.ring(), map[string]bool{}, time.Time{}
	for n := len(year.Cycles) - 1; n >= 0; n-- { // oldest first
		cycle := year.Cycles[n]
		l, err := s.library.License(t.Context(), s.organization, cycle.LicenseID)
		w.must(err)
		verified, err := license.Read(l.Envelope, ring, w.now())
		w.must(err)
		p := verified.Payload()
		if seenIDs[p.LicenseID] || !p.ExpiresAt.After(until) || !p.ExpiresAt.Equal(cycle.Invoice.PeriodEnd) || p.Deployment.DeploymentID != s.order.DeploymentID || p.SKU != "hosted-instance-monthly" {
			t.Errorf("cycle %d: %+v", len(year.Cycles)-n, p)
		}
		if cycle.Invoice.Number == "" || cycle.Invoice.HostedURL == "" || cycle.Invoice.PDFURL == "" || cycle.State != fulfillment.StateIssued {
			t.Errorf("cycle %d: %+v", len(year.Cycles)-n, cycle)
		}
		seenIDs[p.LicenseID], until = true, p.ExpiresAt
		if newest := n == 0; l.Newest != newest || (l.SupersededBy == "") != newest || (!newest && l.SupersededBy != year.Cycles[0].LicenseID) {
			t.Errorf("cycle %d: newest %v, superseded by %q", len(year.Cycles)-n, l.Newest, l.SupersededBy)
		}
	}
	w.idle()
	if n := len(w.mailed()); n != 12 || len(seenIDs) != 12 {
		t.Errorf("%d licenses, %d mails", len(seenIDs), n)
	}
	status, err := w.signer.Status(t.Context())
	w.must(err)
	if status.LogSize != 12 {
		t.Errorf("the signer signed %d times", status.LogSize)
	}
}

func TestAFailedPaymentIsToldOnceLapsesAtTheExpiryAndRecovers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	s := w.customer().subscribe("card_fails_later")
	first := s.license(s.order)
	s.nextCycle()
	owed := s.seenUntil("past due", func(v fulfillment.Subscribed) bool {
		return v.Renewing() == fulfillment.RenewingPastDue && len(v.Cycles) == 2
	})
	w.idle()
	if i := owed.Owed(); i == nil || !i.Owing() || i.NextAttemptAt.IsZero() || owed.Cycles[0].State != fulfillment.StateAwaitingPayment {
		t.Fatalf("owed %+v", owed.Cycles[0])
	}
	if until, by := owed.CoveredUntil(); by != first.ID || !until.Equal(first.Payload.ExpiresAt) {
		t.Errorf("covered until %s by %s", until, by)
	}
	w.sleepUntil(owed.Owed().NextAttemptAt.Add(time.Minute)) // it fails again
	w.seenEvents("invoice.payment_failed", 2)
	w.idle()
	w.mu.Lock()
	told := w.owed
	w.mu.Unlock()
	if len(told) != 1 || told[0].To != buyer || told[0].OrderID != owed.Cycles[0].OrderID || told[0].Confirm || told[0].Amount != 499_00 || !told[0].WorksUntil.Equal(first.Payload.ExpiresAt) || told[0].NextAttemptAt.IsZero() {
		t.Errorf("told %+v", told)
	}
	l := s.license(s.order)
	if l.Withdrawn != nil || l.Standing(w.now()) != fulfillment.StandingExpired {
		t.Errorf("the license is %s, %+v", l.Standing(w.now()), l.Withdrawn)
	}
	if n := w.count("SELECT count(*) FROM license_revocations"); n != 0 {
		t.Errorf("%d licenses revoked", n)
	}
	if _, err := s.orders.Checkout(t.Context(), s.organization, owed.Cycles[0].OrderID); !errors.Is(err, fulfillment.ErrNotPayable) {
		t.Errorf("a session for a cycle: %v", err)
	}
	if err := s.orders.Cancel(t.Context(), s.organization, owed.Cycles[0].OrderID); !errors.Is(err, fulfillment.ErrNotPayable) {
		t.Errorf("a cycle was canceled: %v", err)
	}

	w.sim("/_sim/objects/"+s.id+"/use", map[string]any{"method": "card_ok"}, nil)
	w.sim("/_sim/objects/"+owed.Owed().ID+"/collect", map[string]any{}, nil)
	recovered := s.licensed(2)
	if recovered.Renewing() != fulfillment.RenewingActive {
		recovered = s.seenUntil("active again", func(v fulfillment.Subscribed) bool { return v.Renewing() == fulfillment.RenewingActive })
	}
	if until, _ := recovered.CoveredUntil(); !until.Equal(recovered.CurrentPeriodEnd) {
		t.Errorf("covered until %s, paid until %s", until, recovered.CurrentPeriodEnd)
	}
}

// seenEvents waits until so many events of a type are in the inbox.
func (w *world) seenEvents(eventType string, n int) {
	w.t.Helper()
	for end := time.Now().Add(patience); w.count("SELECT count(*) FROM events WHERE type = $1", eventType) < n; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("not %d events of %s", n, eventType)
		}
	}
}

func TestACanceledSubscriptionWorksToItsEndAndRevokesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	s := w.customer().subscribe("card_ok")
	page, err := w.stripe.PushPortal(t.Context(), w.bundle.Templates, w.now())
	w.must(err)
	if page.Name == "" {
		t.Fatal("nothing pushed")
	}
	service, err := fulfillment.NewSubscriptions(fulfillment.SubscriptionsConfig{Store: w.store, Portal: w.stripe, PublicURL: "http://localhost:8080"})
	w.must(err)
	url, err := service.Manage(t.Context(), s.organization, s.order.ID)
	w.must(err)
	if !bytes.Contains([]byte(url), []byte("/p/session/")) {
		t.Errorf("leads to %s", url)
	}
	other, _ := w.organization("Other", "x@other.example")
	if _, err := service.Manage(t.Context(), other, s.order.ID); !errors.Is(err, fulfillment.ErrNotFound) {
		t.Errorf("another organization manages it: %v", err)
	}
	stripe := "/v1/subscriptions/" + s.id
	w.api(http.MethodPost, stripe, "cancel_at_period_end=true")
	ends := s.seenUntil("ending", func(v fulfillment.Subscribed) bool { return v.Renewing() == fulfillment.RenewingEnds })
	w.api(http.MethodPost, stripe, "cancel_at_period_end=false")
	s.seenUntil("resumed", func(v fulfillment.Subscribed) bool { return v.Renewing() == fulfillment.RenewingActive })
	w.api(http.MethodPost, stripe, "cancel_at_period_end=true")
	s.seenUntil("ending again", func(v fulfillment.Subscribed) bool { return v.Renewing() == fulfillment.RenewingEnds })
	if until, _ := ends.CoveredUntil(); !until.Equal(ends.EndsAt) {
		t.Errorf("licensed until %s, paid until %s", until, ends.EndsAt)
	}
	s.nextCycle()
	ended := s.seenUntil("ended", func(v fulfillment.Subscribed) bool { return v.Renewing() == fulfillment.RenewingEnded })
	w.idle()
	if len(ended.Cycles) != 1 || w.count("SELECT count(*) FROM license_revocations") != 0 || s.license(s.order).Withdrawn != nil {
		t.Errorf("ended with %+v", ended.Cycles)
	}
	again := s.hosted("hosted-instance-annual")
	again.DeploymentName, again.DeploymentID = "", s.order.DeploymentID
	if _, err := s.orders.Draft(t.Context(), again); err != nil {
		t.Errorf("a new one after the end: %v", err)
	}
}

func TestADeploymentHasOneSubscription(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	pilot := c.request("credit-pack-5m")
	first := c.draft(pilot)
	c.pay(c.checkout(first), first.Snapshot.Total)
	c.becomes(first, fulfillment.StateIssued)
	hosted := func(sku string) fulfillment.DraftRequest {
		r := c.hosted(sku)
		r.DeploymentName, r.DeploymentID = "", first.DeploymentID
		return r
	}
	one, two := c.draft(hosted("hosted-instance-monthly")), c.draft(hosted("hosted-instance-annual"))
	session := c.checkout(one)
	if _, err := c.orders.Checkout(t.Context(), c.organization, two.ID); !errors.Is(err, fulfillment.ErrSubscribed) {
		t.Errorf("a second while the first is being paid: %v", err)
	}
	wrong := &fulfillment.ValidationError{}
	if _, err := c.orders.Draft(t.Context(), hosted("hosted-instance-annual")); !errors.As(err, &wrong) || wrong.Fields[0].Field != "deployment_id" {
		t.Errorf("a draft for the same deployment: %v", err)
	}
	c.payBy(session, "card_ok")
	c.becomes(one, fulfillment.StateIssued)
	if _, err := c.orders.Checkout(t.Context(), c.organization, two.ID); !errors.Is(err, fulfillment.ErrSubscribed) {
		t.Errorf("a second after it: %v", err)
	}
	if n := w.count("SELECT count(*) FROM checkout_sessions"); n != 2 {
		t.Errorf("%d sessions", n)
	}
}
