package web_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/web/internal/fake"
)

// subscribed is the subscription that goes on, to be changed.
func (s *site) subscribed() *fulfillment.Subscribed { return &s.services.SubscriptionList[0] }

func TestASubscriptionsPagesSayWhatIsChargedWhenAndWhatItLicenses(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.as(fake.OwnerID)
	newest := s.subscribed().Cycles[0]
	for _, page := range []string{"/licenses/" + newest.LicenseID, "/orders/" + fake.OrderSubscribed, "/orders/" + fake.OrderCycle} {
		r := b.get(page)
		for _, want := range []string{"Renews", "US$ 499.00, and tax where it is due, after", "18 Dec 2026", "2 invoices and their licenses", "HALDEN-0001", "HALDEN-0002", "PDF", "Manage billing"} {
			r.has("#subscription", want)
		}
		if r.doc().Find(`#subscription a[href="/licenses/`+newest.LicenseID+`"]`).Length() == 0 {
			t.Errorf("%s does not lead to the newest license", page)
		}
	}
	if r := b.get("/licenses/" + newest.LicenseID); r.doc().Find(`a[href^="/renew/"]`).Length() != 0 {
		t.Error("a subscription's license is offered to be renewed by hand")
	}
	b.get("/renew/"+newest.LicenseID).has("main", "renews by itself")
	b.post("/orders/"+fake.OrderCycle+"/billing", url.Values{}).goes(303, fake.BillingURL)
}

func TestAReaderSeesTheSubscriptionWithoutTheWayToPayOrChangeIt(t *testing.T) {
	t.Parallel()
	s := open(t)
	reader := s.as(fake.ReaderID)
	for _, order := range []string{fake.OrderSubscribed, fake.OrderOwed} {
		r := reader.get("/orders/" + order)
		r.has("#subscription", "An owner of Halden Robotics can cancel it")
		r.has("#subscription", "HALDEN-0002")
		links := r.doc().Find(`a[href*="invoice.stripe.example"]`)
		if links.Length() == 0 || links.Length() != links.Filter(`[href$="/pdf"]`).Length() {
			t.Errorf("%d links to invoices, %d of them to read", links.Length(), links.Filter(`[href$="/pdf"]`).Length())
		}
		if strings.Contains(r.body, "/billing\"") || strings.Contains(r.body, "Pay invoice") {
			t.Error("a reader gets to pay or to change")
		}
	}
}

func TestAFailedPaymentSaysWhatHappenedWhatToDoAndWhenTheLicenseLapses(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.as(fake.OwnerID)
	order := b.get("/orders/" + fake.OrderOwed)
	for _, want := range []string{"The next payment is not in yet", "The payment of US$ 499.00 failed", "Stripe tries again on 26 Nov 2026", "The last license stopped working on 23 Nov 2026", "Pay invoice HALDEN-0002"} {
		order.has("#state", want)
	}
	if order.doc().Find(`form[action$="/pay"], form[action$="/cancel"]`).Length() != 0 {
		t.Error("a cycle can be paid or canceled here")
	}
	if n := order.doc().Find(".btn.pri").Length(); n != 1 {
		t.Errorf("%d primary buttons", n)
	}
	for _, path := range []string{"/orders/" + fake.OrderOwed, "/orders/" + fake.OrderLapsing, "/licenses/" + s.services.SubscriptionList[1].Cycles[1].LicenseID} {
		if n := strings.Count(b.get(path).body, "Pay invoice HALDEN-0002"); n != 1 {
			t.Errorf("%s leads to the payment %d times", path, n)
		}
	}
	b.get("/").has("main", "The next payment is not in yet: Hosted instance, monthly")
	license := b.get("/licenses/" + s.services.SubscriptionList[1].Cycles[1].LicenseID)
	license.has("main", "Payment failed")
	if n := license.doc().Find(".note").Length(); n > 1 {
		t.Errorf("%d notices", n)
	}
}

func TestEachStandingOfASubscriptionIsSaid(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change    func(*fulfillment.Subscription)
		tag, want string
	}{
		"canceled":        {func(s *fulfillment.Subscription) { s.CancelAtEnd, s.EndsAt = true, s.CurrentPeriodEnd }, "Canceled, works until its end", "The present license works until 18 Dec 2026"},
		"ended":           {func(s *fulfillment.Subscription) { s.Status, s.EndedAt = "canceled", fake.Now().Add(-time.Hour) }, "Ended", "Nothing more is charged. The present license works until 18 Dec 2026"},
		"paused":          {func(s *fulfillment.Subscription) { s.CollectionPaused = true }, "Paused", "until the subscription is resumed. The present license works until 18 Dec 2026"},
		"another package": {func(s *fulfillment.Subscription) { s.LookupKey = "hosted-instance-annual.v1" }, "Package changed", "A person looks at the next payment"},
		"a new word":      {func(s *fulfillment.Subscription) { s.Status = "pondering" }, "Payment failed", "The last payment failed"},
		"not begun":       {func(s *fulfillment.Subscription) { s.Status = "incomplete" }, "Starting", "The first payment is not in yet"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			c.change(&s.subscribed().Subscription)
			r := s.as(fake.OwnerID).get("/orders/" + fake.OrderSubscribed)
			r.has("#subscription .tag", c.tag)
			r.has("#subscription", c.want)
		})
	}
}

func TestAnotherOrganizationsSubscriptionIsNotThere(t *testing.T) {
	t.Parallel()
	b := open(t).as(fake.StrangerID)
	if r := b.post("/orders/"+fake.OrderCycle+"/billing", url.Values{}); r.status != 404 {
		t.Errorf("status %d", r.status)
	}
}

func TestBetweenAMonthsEndAndTheChargeTheNextChargeIsNotAMonthAway(t *testing.T) {
	t.Parallel()
	s := open(t)
	ended := fake.Now().Add(-30 * time.Minute)
	cycles := s.subscribed().Cycles
	cycles[0].Invoice.PeriodEnd, cycles[0].ExpiresAt = ended, ended
	s.subscribed().CurrentPeriodEnd = ended.AddDate(0, 1, 0) // Stripe began the next period and has not charged for it
	r := s.as(fake.OwnerID).get("/orders/" + fake.OrderCycle)
	for _, want := range []string{"The month ended on 23 Nov 2026, 12:15 UTC, and Stripe charges for the next", "The last license stopped working on 23 Nov 2026", "and tax where it is due, after"} {
		r.has("#subscription", want)
	}
	if r.doc().Find(`#subscription dl time[datetime="2026-11-23T12:15:00Z"]`).Length() != 2 || r.doc().Find(`#subscription dl time[datetime^="2026-12"]`).Length() != 0 {
		t.Error("the next charge is said to be a month away")
	}
}

func TestTheOverviewSaysOfALicenseThatIsOverThatItExpired(t *testing.T) {
	t.Parallel()
	r := open(t).as(fake.OwnerID).get("/")
	r.has(".lics", "expired 5 hours ago")
	if strings.Contains(r.doc().Find(".lics").Text(), "expires 5") {
		t.Error("it is said to expire in the past")
	}
}
