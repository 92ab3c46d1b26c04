package e2e

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// A hosted package by the month, bought and kept for a year: every paid month brings one new license, a month that is not
// paid brings none until it is, and the subscription that is canceled lapses when the last license expires.
func TestASubscriptionRunsTwelveMonthsInTheBrowser(t *testing.T) {
	t.Parallel()
	s := subscribe(t)
	s.sees("Renews")
	s.waitsForTheSecondMonth()
	for s.present() < 12 {
		s.endMonth()
		switch next := s.present() + 1; next {
		case 6:
			s.paysTheFailedInvoice()
		case 7:
			s.replacesTheFailingCard()
		default:
			s.openMailed(s.mailed(next, ready))
			s.take()
		}
		s.goesOn()
		if s.present() == 5 {
			s.open("/orders/" + s.order)
			s.useCard("card_fails_later")
		}
	}
	s.cancels()
	s.lapses()
	s.exact()
}

// goesOn wants the pages to say that the newest month is licensed, the one before is over, and another follows.
func (s *subscriber) goesOn() {
	s.t.Helper()
	s.sees("Renews")
	s.listed("Valid")
	s.open("/licenses/" + s.months[s.present()-2].license)
	s.sees("Expired and superseded")
	s.follow("Open the newer license")
	s.sees(s.months[s.present()-1].license)
}

// waitsForTheSecondMonth looks at the hour between the first month's end and the charge, and stays until Stripe charges.
func (s *subscriber) waitsForTheSecondMonth() {
	s.t.Helper()
	s.comeTo(s.end(1).Add(30 * time.Minute))
	s.openSignedIn("/orders/" + s.order)
	s.sees("Your license has expired")
	s.sees("and Stripe charges for the next")
	s.looks("the hour before the charge")
	s.listed("Expired")
	s.comeTo(s.end(1).Add(time.Hour - 5*time.Second))
	s.openMailed(s.mailed(2, ready))
	s.take()
	s.goesOn()
}

// paysTheFailedInvoice is a month whose charge fails: the customer is told once, however often Stripe tries, and pays the
// invoice by hand.
func (s *subscriber) paysTheFailedInvoice() {
	s.t.Helper()
	told := s.mailed(1, paymentFailed)
	for _, words := range []string{"499.00", "Stripe tries again on"} {
		if !strings.Contains(told, words) {
			s.t.Errorf("the mail does not say %q:\n%s", words, told)
		}
	}
	s.openMailed(told)
	s.sees("Payment failed")
	s.sees("The last license stopped working on")
	s.looks("a month whose payment failed")
	s.listed("Expired")
	order := orderLink.FindString(told)
	s.comeTo(s.end(s.present()).Add(3*24*time.Hour + 90*time.Minute)) // Stripe has tried again
	attempts := func() bool {
		return s.d.query(s.t, `SELECT count(*)::text FROM events WHERE type = 'invoice.payment_failed' AND outcome <> ''`) == "2"
	}
	eventually(s.t, waitLong, "a second attempt", attempts)
	s.openSignedIn(order)
	s.sees("Payment failed")
	s.press("#state .btn.pri")
	s.pay("card_ok")
	s.openMailed(s.mailed(s.present()+1, ready))
	s.mailed(1, paymentFailed)
	s.take()
}

// replacesTheFailingCard is a month whose charge fails again, since the invoice before was paid without changing the card on
// file. Another card pays what is open at once.
func (s *subscriber) replacesTheFailingCard() {
	s.t.Helper()
	s.openMailed(s.mailed(2, paymentFailed))
	s.sees("Payment failed")
	s.useCard("card_ok")
	s.openMailed(s.mailed(s.present()+1, ready))
	s.take()
}

// cancels ends the subscription at Stripe. What is paid stays, and the router that has its file serves.
func (s *subscriber) cancels() {
	s.t.Helper()
	s.open("/orders/" + s.order)
	s.sees("12\u00a0invoices and their licenses")
	s.manage()
	s.press(`button[value="cancel"]`)
	s.sees("The subscription was canceled.")
	s.press("#return")
	s.comesBackUntil("/orders/"+s.order, "Canceled, works until its end")
	s.looks("a canceled subscription")
	s.listed("Valid")
	last := s.months[s.present()-1]
	s.d.install(s.t, last.file)
	s.d.routerServes(s.t, last.license)
}

// lapses wants the canceled subscription to end with its last license, which nothing takes back before or after.
func (s *subscriber) lapses() {
	s.t.Helper()
	last := s.months[s.present()-1]
	s.comeTo(s.end(s.present()).Add(-10 * time.Minute))
	s.d.routerServes(s.t, last.license)
	s.endMonth()
	s.openSignedIn("/orders/" + s.order)
	s.comesBackUntil("/orders/"+s.order, "Ended")
	s.sees("The last license stopped working on")
	s.looks("a subscription that ended")
	s.listed("Expired")
	s.open("/licenses/" + last.license)
	s.doesNotSee("Revoked")
	s.looks("the license that lapsed")
	status, body, _ := request(s.t, http.MethodGet, s.d.info.RouterURL+"/v1/models", nil, func(r *http.Request) {
		r.Header.Set("Authorization", "Bearer "+s.d.info.RouterToken)
	})
	if status != http.StatusForbidden || !strings.Contains(string(body), "license-expired") {
		s.t.Errorf("the router answers %d %s", status, body)
	}
	first := s.months[0]
	s.open("/licenses/" + first.license)
	if got, want := readDownload(s.t, s.download("Download license.json")), readDownload(s.t, first.file); !bytes.Equal(got, want) {
		s.t.Error("the first month's file is another one a year later")
	}
}

// exact counts what a year made.
func (s *subscriber) exact() {
	s.t.Helper()
	d, t := s.d, s.t
	entries := d.logEntries(t)
	logged := map[string]bool{}
	for _, e := range entries {
		logged[e.LicenseID] = true
	}
	for _, m := range s.months {
		if !logged[m.license] {
			t.Errorf("%s is not in the log", m.license)
		}
	}
	if len(s.months) != 12 || len(entries) != 12 || len(logged) != 12 {
		t.Errorf("%d licenses, %d entries in the log with %d IDs", len(s.months), len(entries), len(logged))
	}
	paid := 0
	for _, v := range d.stripeAPI(t, "GET", "/v1/invoices?limit=100", nil)["data"].([]any) {
		if v.(map[string]any)["status"] == "paid" {
			paid++
		}
	}
	if paid != 12 {
		t.Errorf("%d invoices are paid", paid)
	}
	for what, sql := range map[string]string{
		"orders that are not issued": `SELECT count(*)::text FROM orders WHERE state <> 'issued'`,
		"withdrawals":                `SELECT count(*)::text FROM license_revocations`,
	} {
		if n := d.query(t, sql); n != "0" {
			t.Errorf("%s: %s", what, n)
		}
	}
	var subjects []string
	for _, m := range s.mails() {
		if m.Subject != signInSubject {
			subjects = append(subjects, m.Subject)
		}
	}
	slices.Sort(subjects)
	if want := append(slices.Repeat([]string{ready}, 12), paymentFailed, paymentFailed); !slices.Equal(subjects, want) {
		t.Errorf("mailed %q", subjects)
	}
	if out := d.portal(t, "audit"); !strings.Contains(out, "no differences") || !strings.Contains(out, "licenses: 12 logged, 12 stored, 0 revoked") {
		t.Errorf("audit:\n%s", out)
	}
}
