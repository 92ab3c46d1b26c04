package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestAnOrganizationEvaluatesBuysInstallsAndTopsUp(t *testing.T) {
	t.Parallel()
	// A demo of its own: it has one router, and the stand-in holds everybody's events.
	d := ownDemo(t)
	p := customer(t, d)

	p.order(evaluation, "router-eu")
	p.checkout()
	p.pay("confirm")
	p.sees(ready)
	first := p.licenseID()
	d.install(t, p.download("Download license.json"))
	d.routerServes(t, first)

	// A pack for the same kind of place; the page turns by itself.
	d.control(t, http.MethodPost, "/_sim/delivery", map[string]any{"hold": true}, nil)
	p.order(pack5, "router-us")
	p.checkout()
	p.pay("card_ok")
	p.sees("Checking your payment")
	p.mark()
	d.control(t, http.MethodPost, "/_sim/delivery", map[string]any{}, nil)
	d.control(t, http.MethodPost, "/_sim/release", map[string]any{}, nil)
	p.sees(ready)
	if p.unmarked() {
		t.Fatal("the order page was reloaded on its way to ready")
	}
	second := p.licenseID()
	order := p.location()
	p.follow("Stripe's receipt")
	p.sees("Receipt")
	p.sees("US$\u00a0250.00")
	p.open(order)
	if second == first {
		t.Fatalf("both purchases have license %s", first)
	}
	p.mailWith(second) // tells that it is ready
	file := p.download("Download license.json")
	out, errs, code := d.tool(t, nil, "licensectl", "verify", "-keys", d.info.KeysFile, "-fingerprint", fingerprint, file)
	if code != 0 || !strings.Contains(out, second) || !strings.Contains(out, pack5) {
		t.Fatalf("licensectl verify: exit %d\n%s%s", code, out, errs)
	}
	d.install(t, file)
	d.routerServes(t, second)
	if got := d.routerStatus(t).Limits.MaxTotalTokens; got != 5_000_000 {
		t.Fatalf("the router has %d tokens", got)
	}

	// Top up with the larger pack.
	p.open("/licenses/" + second)
	p.follow("Add volume")
	p.sees("does not carry over")
	p.open("/top-up/" + second + "?sku=" + pack25)
	p.follow("Continue to review")
	p.sees("25,000,000")
	p.checkout()
	p.pay("card_ok")
	p.sees(ready)
	third := p.licenseID()
	d.install(t, p.download("Download license.json"))
	d.routerServes(t, third)
	if got := d.routerStatus(t); got.Limits.MaxTotalTokens != 25_000_000 || got.SKU != pack25 {
		t.Fatalf("after the top-up the router has %+v", got)
	}
	if n := len(p.licenses()); n != 3 {
		t.Fatalf("%d licenses, 3 were bought", n)
	}
}

func TestADeclinedCardTakesNothingAndASecondTryIsOneOrder(t *testing.T) {
	t.Parallel()
	p := customer(t, shared)
	id := p.order(pack5, "router")
	p.checkout()
	p.pay("card_declined")
	p.sees("declined")
	p.open("/orders/" + id)
	p.doesNotSee(ready)
	p.follow("Go on with the payment")
	p.pay("card_ok")
	p.sees(ready)
	if n := len(p.licenses()); n != 1 {
		t.Fatalf("%d licenses for one order", n)
	}
}

func TestABankDebitIssuesWhenItSettles(t *testing.T) {
	t.Parallel()
	p := customer(t, shared)
	id := p.order(pack5, "router")
	p.checkout()
	p.pay("bank_ok")
	p.sees("Waiting for your bank")
	if n := len(p.licenses()); n != 0 {
		t.Fatalf("%d licenses before the money came", n)
	}
	shared.settle(t, id, true)
	p.comesBackUntil("/orders/"+id, ready)
}

func TestABankDebitThatFailsTakesNothingAndCanBePaidAgain(t *testing.T) {
	t.Parallel()
	p := customer(t, shared)
	id := p.order(pack5, "router")
	p.checkout()
	p.pay("bank_fails")
	p.sees("Waiting for your bank")
	shared.settle(t, id, false)
	p.comesBackUntil("/orders/"+id, "Payment was not taken")
	p.follow("Try again")
	p.pay("card_ok")
	p.sees(ready)
	if n := len(p.licenses()); n != 1 {
		t.Fatalf("%d licenses for one order", n)
	}
}

// settle ends the bank debit of an order's newest session.
func (d *demo) settle(t *testing.T, orderID string, succeed bool) {
	t.Helper()
	d.control(t, http.MethodPost, "/_sim/sessions/"+d.session(t, orderID)+"/settle", map[string]any{"succeed": succeed}, nil)
}

// session finds the newest checkout session of an order at the stand-in.
func (d *demo) session(t *testing.T, orderID string) string {
	t.Helper()
	return d.query(t, `SELECT id FROM checkout_sessions WHERE order_id = $1 ORDER BY attempt DESC LIMIT 1`, orderID)
}

func TestAnAbandonedCheckoutCanBeTakenUpOrGivenUp(t *testing.T) {
	t.Parallel()
	p := customer(t, shared)
	id := p.order(pack5, "router")
	p.checkout()
	p.press("a#cancel")
	p.sees("Checking your payment")
	p.follow("Go on with the payment")
	p.press("a#cancel")
	p.follow("Cancel this order")
	p.sees("This order was canceled")
	if n := len(p.licenses()); n != 0 {
		t.Fatalf("%d licenses for an order given up", n)
	}
	status, _, _ := request(t, http.MethodPost, shared.info.StripeURL+"/_sim/sessions/"+shared.session(t, id)+"/pay", strings.NewReader(`{"method":"card_ok"}`),
		func(r *http.Request) { r.Header.Set("Content-Type", "application/json") })
	if status/100 == 2 {
		t.Fatal("the session of a canceled order still takes money")
	}
}

func TestTheSameEventFiveTimesAtOnceAndOutOfOrderGivesOneLicense(t *testing.T) {
	t.Parallel()
	// A demo of its own: the stand-in's delivery settings are for everybody.
	d := ownDemo(t)
	p := customer(t, d)
	p.order(pack5, "router")
	p.checkout()
	d.control(t, http.MethodPost, "/_sim/delivery", map[string]any{"hold": true, "duplicates": 5}, nil)
	p.pay("bank_ok")
	p.sees("Checking your payment")
	id := orderPattern.FindString(p.location())
	d.settle(t, id, true)
	d.control(t, http.MethodPost, "/_sim/delivery", map[string]any{"duplicates": 5}, nil)
	d.control(t, http.MethodPost, "/_sim/release", map[string]any{"order": "reverse"}, nil)
	p.open("/orders/" + id)
	p.sees(ready)
	if n := len(p.licenses()); n != 1 {
		t.Fatalf("%d licenses for one order", n)
	}
	if n := d.logSize(t); n != 1 {
		t.Fatalf("%d leaves in the signer's log for one order", n)
	}
	eventually(t, waitLong, "each of the five delivered", func() bool {
		return d.query(t, `SELECT min(deliveries)::text || max(deliveries)::text FROM events WHERE deliveries > 1`) == "55"
	})
}

func TestKillingProcessesBetweenPaymentAndIssueGivesOneLicense(t *testing.T) {
	t.Parallel()
	for _, victims := range [][]string{{"portal", "worker"}, {"signer"}} {
		t.Run(strings.Join(victims, " and "), func(t *testing.T) {
			t.Parallel()
			d := ownDemo(t)
			p := customer(t, d)
			id := p.order(pack5, "router")
			p.checkout()
			d.signal(t, "worker", syscall.SIGSTOP) // the event arrives, and nobody issues yet
			p.pay("card_ok")
			eventually(t, waitLong, "the event is stored", func() bool { return d.query(t, `SELECT count(*)::text FROM events`) == "1" })
			for _, victim := range victims {
				d.kill(t, victim)
			}
			if victims[0] == "signer" {
				d.signal(t, "worker", syscall.SIGCONT)
			}
			eventually(t, waitLong, "the portal answers", func() bool {
				res, err := http.Get(d.info.PortalURL + "/healthz")
				if err != nil {
					return false
				}
				res.Body.Close()
				return res.StatusCode == http.StatusOK
			})
			p.open("/orders/" + id)
			p.seesWithin(waitLong, ready)
			if n := len(p.licenses()); n != 1 {
				t.Fatalf("%d licenses for one order", n)
			}
			if n := d.logSize(t); n != 1 {
				t.Fatalf("%d leaves in the signer's log for one order", n)
			}
		})
	}
}

func TestAStrangerSeesNothingOfAnothersOrder(t *testing.T) {
	t.Parallel()
	owner, stranger := customer(t, shared), customer(t, shared)
	order := owner.buy(pack5, "router", "card_ok")
	lic := owner.licenseID()
	for _, path := range []string{
		"/orders/" + order, "/orders/" + order + "/events", "/licenses/" + lic, "/licenses/" + lic + "/license.json",
		"/licenses/" + lic + "/license.json.sha256", "/renew/" + lic, "/top-up/" + lic, "/checkout/review?order=" + order,
		"/checkout/" + pack5 + "?top_up=" + lic,
	} {
		if status := stranger.fetch(path); status != http.StatusNotFound {
			t.Errorf("%s answers a stranger %d", path, status)
		}
		if status := owner.fetch(path); status == http.StatusNotFound && !strings.Contains(path, "review") {
			t.Errorf("%s answers its owner 404", path)
		}
		if status, _, _ := request(t, http.MethodGet, shared.info.PortalURL+path, nil, nil); status != http.StatusSeeOther && status != http.StatusUnauthorized {
			t.Errorf("%s answers somebody who is not signed in %d", path, status)
		}
	}
	stranger.open("/orders/" + order)
	stranger.doesNotSee(order + " ")
	stranger.doesNotSee(lic)
}

func TestASecondTopUpOnTheSameBaseIsASiblingOfTheFirst(t *testing.T) {
	t.Parallel()
	p := customer(t, shared)
	p.buy(pack5, "router", "card_ok")
	base := p.licenseID()

	// Both orders are placed before either is paid.
	p.open("/top-up/" + base + "?sku=" + pack5)
	p.follow("Continue to review")
	one := p.orderOnReview()
	p.checkout()
	p.open("/top-up/" + base + "?sku=" + pack25)
	p.follow("Continue to review")
	two := p.orderOnReview()
	if one == two {
		t.Fatalf("both top-ups are order %s", one)
	}
	p.checkout()
	p.pay("card_ok")
	p.sees(ready)
	second := p.licenseID()
	p.open("/orders/" + one)
	p.follow("Go on with the payment")
	p.pay("card_ok")
	p.sees(ready)
	first := p.licenseID()
	for _, id := range []string{first, second} {
		p.open("/licenses/" + id)
		p.sees(id)
		file := p.download("Download license.json")
		if out, errs, code := shared.tool(t, nil, "licensectl", "verify", "-keys", shared.info.KeysFile, "-fingerprint", fingerprint, file); code != 0 {
			t.Errorf("%s does not verify: %s%s", id, out, errs)
		}
	}
	if n := len(p.licenses()); n != 3 {
		t.Fatalf("%d licenses, one base and two top-ups were bought", n)
	}
}

func TestTheSamePackageIsBoughtThreeTimesAndRenewed(t *testing.T) {
	t.Parallel()
	p := customer(t, shared)
	for _, name := range []string{"router-a", "router-b", "router-c"} {
		p.buy(pilot, name, "card_ok")
	}
	ids := p.licenses()
	if len(ids) != 3 {
		t.Fatalf("%d licenses, 3 were bought", len(ids))
	}
	p.open("/licenses/" + ids[0])
	p.follow("Renew")
	p.follow("Continue to review")
	p.checkout()
	p.pay("card_ok")
	p.sees(ready)
	renewed := p.licenseID()
	for _, id := range ids {
		if id == renewed {
			t.Fatalf("the renewal has the old ID %s", id)
		}
	}
	p.open("/licenses/" + renewed)
	p.sees("What changed")
	p.open("/licenses/" + ids[0])
	p.sees("superseded")
}

func TestEverythingWorksWithoutJavaScript(t *testing.T) {
	t.Parallel()
	p := newPerson(t, shared, newAddress(t))
	p.withoutJavaScript()
	p.signUp("Org without scripts")
	p.order(pack5, "router")
	p.checkout()
	p.pay("card_ok")
	p.seesWithin(waitLong, ready) // the page refreshes itself
	lic := p.licenseID()
	file := p.download("Download license.json")
	if data, err := os.ReadFile(file); err != nil || !strings.Contains(string(data), lic) || filepath.Ext(file) != ".json" {
		t.Fatalf("downloaded %s: %v", file, err)
	}
	p.open("/licenses/" + lic)
	p.follow("Make a link")
	p.sees("Your re-download link")
}
