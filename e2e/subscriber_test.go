package e2e

import (
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

const hostedMonthly = "hosted-instance-monthly"

// subscriber is a person with a hosted package by the month, in a demo whose clock the test moves.
type subscriber struct {
	*audit
	clock  *movedClock
	began  time.Time // the billing anchor: when the first month began
	order  string    // that began it
	months []month   // that are licensed, oldest first
}

// month is a paid month of a subscription.
type month struct {
	license string
	file    string // as it was downloaded
}

// end is when month n, counted from 1, is over: the day of the month on which the first began, or the month's last.
func (s *subscriber) end(n int) time.Time {
	y, m, day := s.began.Date()
	last := time.Date(y, m+time.Month(n)+1, 0, 0, 0, 0, 0, time.UTC).Day()
	midnight := time.Date(y, m+time.Month(n), min(day, last), 0, 0, 0, 0, time.UTC)
	return midnight.Add(s.began.Sub(time.Date(y, m, day, 0, 0, 0, 0, time.UTC)))
}

// present is the number of the newest month that is licensed.
func (s *subscriber) present() int { return len(s.months) }

// comeTo turns the machine off and on again at a later time. A process that runs through the jump would not do: the signer
// stops when its clock parts from the steady one.
func (s *subscriber) comeTo(at time.Time) {
	s.t.Helper()
	if !at.After(s.clock.now()) {
		s.t.Fatalf("%s is over: it is %s", at, s.clock.now())
	}
	portal, err := url.Parse(s.d.info.PortalURL)
	if err != nil {
		s.t.Fatal(err)
	}
	port, err := strconv.Atoi(portal.Port())
	if err != nil {
		s.t.Fatal(err)
	}
	s.d.stop()
	s.clock.set(s.t, at)
	if err := s.d.startAt(port); err != nil {
		s.t.Fatalf("demo: %v", err)
	}
}

// endMonth comes to when the present month is over and Stripe has charged for the next, an hour after its end.
func (s *subscriber) endMonth() {
	s.t.Helper()
	s.comeTo(s.end(s.present()).Add(90 * time.Minute))
}

// aYearAgo is the newest 31st of a month that lies a year and some weeks back. A subscription that begins there ends its
// months on the 28th, 30th and 31st, and is over before now.
func aYearAgo() time.Time {
	day := time.Now().UTC().AddDate(-1, 0, -25).Truncate(24 * time.Hour)
	for day.Day() != 31 {
		day = day.AddDate(0, 0, -1)
	}
	return day.Add(14*time.Hour + 7*time.Minute)
}

// subscribe buys the package, in a demo of its own, and takes the first month's license.
func subscribe(t *testing.T) *subscriber {
	t.Helper()
	clock := newMovedClock(t)
	dir, err := os.MkdirTemp("", "e2e-own-")
	if err != nil {
		t.Fatal(err)
	}
	d := &demo{dir: dir, bin: clock.build(t)}
	t.Cleanup(d.remove)
	clock.set(t, aYearAgo())
	if err := d.start(); err != nil {
		t.Fatalf("demo: %v", err)
	}
	t.Cleanup(func() { d.stop() }) // of the last start
	s := &subscriber{audit: newAudit(customer(t, d)), clock: clock}
	s.order = s.buy(hostedMonthly, "pool", "card_ok")
	subs := d.stripeAPI(t, "GET", "/v1/subscriptions", nil)["data"].([]any)
	if len(subs) != 1 {
		t.Fatalf("%d subscriptions", len(subs))
	}
	s.began = time.Unix(int64(subs[0].(map[string]any)["billing_cycle_anchor"].(float64)), 0).UTC()
	s.take()
	return s
}

// looks examines the page that is open, which may be one that was looked at in another month.
func (s *subscriber) looks(name string) {
	s.t.Helper()
	s.titles = map[string]string{}
	s.look(name)
}

// take downloads the license of the order page that is open, as that of the next month.
func (s *subscriber) take() {
	s.t.Helper()
	s.sees(ready)
	id := s.licenseID()
	for _, m := range s.months {
		if m.license == id {
			s.t.Fatalf("month %d has the license of an earlier one, %s", s.present()+1, id)
		}
	}
	s.months = append(s.months, month{id, s.download("Download license.json")})
	s.verifies()
}

// verifies wants every file to be signed until its month's end, and of all only the newest to be good now.
func (s *subscriber) verifies() {
	s.t.Helper()
	keys, err := os.ReadFile(s.d.info.KeysFile)
	if err != nil {
		s.t.Fatal(err)
	}
	ring, err := license.ParseKeyRing(keys)
	if err != nil {
		s.t.Fatal(err)
	}
	now := s.clock.now()
	for n, m := range s.months {
		l, err := license.Read(readDownload(s.t, m.file), ring, now)
		if err != nil {
			s.t.Fatalf("the file of month %d: %v", n+1, err)
		}
		if p, end := l.Payload(), s.end(n+1); p.LicenseID != m.license || p.SKU != hostedMonthly || !p.ExpiresAt.Equal(end) {
			s.t.Errorf("month %d: %s for %s until %s, want %s until %s", n+1, p.LicenseID, p.SKU, p.ExpiresAt, m.license, end)
		}
		want := license.CodeExpired
		if n == s.present()-1 {
			want = license.CodeValid
		}
		if got := license.CodeOf(l.CheckDates(now)); got != want {
			s.t.Errorf("in month %d the file of month %d is %s", s.present(), n+1, got)
		}
	}
	newest := s.months[s.present()-1]
	out, errs, code := s.d.tool(s.t, nil, "licensectl", "verify", "-keys", s.d.info.KeysFile, newest.file)
	if code != 0 || !strings.Contains(out, newest.license) {
		s.t.Errorf("licensectl verify: exit %d\n%s%s", code, out, errs)
	}
}

// mailed waits until so many mails of a subject came, and answers the newest one's text.
func (s *subscriber) mailed(n int, subject string) string {
	s.t.Helper()
	var texts []string
	eventually(s.t, waitLong, fmt.Sprintf("mail %d: %s", n, subject), func() bool {
		texts = nil
		for _, m := range s.mails() {
			if m.Subject == subject {
				texts = append(texts, m.Text)
			}
		}
		return len(texts) >= n
	})
	if len(texts) != n {
		s.t.Fatalf("%d mails of %q, want %d", len(texts), subject, n)
	}
	return texts[n-1]
}

var orderLink = regexp.MustCompile(`https?://\S+/orders/ord_\w+`)

// openMailed opens the order that a mail leads to.
func (s *subscriber) openMailed(text string) {
	s.t.Helper()
	link := orderLink.FindString(text)
	if link == "" {
		s.t.Fatalf("no order in the mail:\n%s", text)
	}
	s.openSignedIn(link)
}

// openSignedIn opens a page of the portal, past the sign-in where that is asked for: a session does not last a month.
func (s *subscriber) openSignedIn(link string) {
	s.t.Helper()
	s.open(link)
	if s.has(`form[action="/sign-in"]`) {
		s.fill("email", s.email)
		asked := s.count(signInSubject)
		s.follow("Send me a link")
		s.open(linkPattern.FindString(s.mailed(asked+1, signInSubject)))
		s.press(`form[action="/sign-in/confirm"] button`)
	}
	if !strings.HasSuffix(s.location(), link) {
		s.t.Fatalf("on %s, not on %s", s.location(), link)
	}
}

const (
	signInSubject = "Sign in to the license portal"
	paymentFailed = "Your payment failed"
)

func (s *subscriber) count(subject string) (n int) {
	s.t.Helper()
	for _, m := range s.mails() {
		if m.Subject == subject {
			n++
		}
	}
	return n
}

// manage opens Stripe's page of the subscription with everything on it, from the order's page.
func (s *subscriber) manage() {
	s.t.Helper()
	s.follow("Manage billing")
	if !strings.HasPrefix(s.location(), s.d.info.StripeURL) {
		s.t.Fatalf("not on Stripe's page but on %s", s.location())
	}
	eval[int](s.person, `document.querySelectorAll("details").forEach(d => d.open = true); 0`)
}

// useCard changes how the subscription is paid, on Stripe's page, and comes back.
func (s *subscriber) useCard(method string) {
	s.t.Helper()
	s.manage()
	s.pay(method)
	s.sees("The payment method was changed.")
	s.press("#return")
}

// listed wants the list of licenses to say of each month what is true of it.
func (s *subscriber) listed(newest string) {
	s.t.Helper()
	if ids := s.licenses(); len(ids) != s.present() {
		s.t.Fatalf("%d licenses are listed in month %d", len(ids), s.present())
	}
	for n, m := range s.months {
		want := "Expired"
		if n == s.present()-1 {
			want = newest
		}
		row := eval[string](s.person, fmt.Sprintf(`document.querySelector('a[href^="/licenses/%s"]').closest("tr").innerText`, m.license))
		if !strings.Contains(row, want) {
			s.t.Errorf("month %d of %d is not listed as %s but as %q", n+1, s.present(), want, row)
		}
	}
}
