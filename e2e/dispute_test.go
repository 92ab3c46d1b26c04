package e2e

import (
	"bytes"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

// charge finds the charge by which an order was paid.
func (d *demo) charge(t *testing.T, orderID string) string {
	t.Helper()
	payment := d.query(t, "SELECT payment_intent FROM order_payments WHERE order_id = $1", orderID)
	return d.stripeAPI(t, http.MethodGet, "/v1/payment_intents/"+payment, nil)["latest_charge"].(string)
}

// revocations reads the public revocation bundle as a router would.
func (d *demo) revocations(t *testing.T) *license.RevocationBundle {
	t.Helper()
	status, data, _ := request(t, http.MethodGet, d.info.PortalURL+"/revocations.json", nil, nil)
	if status != http.StatusOK {
		t.Fatalf("/revocations.json: %d %s", status, data)
	}
	ring, err := license.ReadKeyRing(d.info.KeysFile)
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := license.ReadRevocationBundle(data, ring, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return bundle
}

// named is what a bundle says of a license; "" if nothing.
func named(b *license.RevocationBundle, licenseID string) (status, reason string) {
	for _, e := range b.Payload().Entries {
		if e.LicenseID == licenseID {
			return e.Status, e.Reason
		}
	}
	return "", ""
}

// bundleSays waits for a bundle of a higher epoch that says so of a license, and answers it.
func (d *demo) bundleSays(t *testing.T, above int64, licenseID, status, reason string) *license.RevocationBundle {
	t.Helper()
	var b *license.RevocationBundle
	eventually(t, waitLong, "a bundle that has "+licenseID+" as "+status, func() bool {
		b = d.revocations(t)
		s, why := named(b, licenseID)
		return b.Epoch() > above && s == status && why == reason
	})
	return b
}

// mailsAbout counts the mails of a subject that name a license.
func (p *person) mailsAbout(subject, licenseID string) (n int) {
	p.t.Helper()
	for _, m := range p.mails() {
		if m.Subject == subject && strings.Contains(m.Text, licenseID) {
			n++
		}
	}
	return n
}

// mailedOnce waits for the one mail of a subject about a license.
func (p *person) mailedOnce(subject, licenseID string) {
	p.t.Helper()
	eventually(p.t, waitLong, "mail: "+subject, func() bool { return p.mailsAbout(subject, licenseID) > 0 })
	if n := p.mailsAbout(subject, licenseID); n != 1 {
		p.t.Errorf("%d mails: %s", n, subject)
	}
}

// staffRead looks for words in what staff see of an order.
func (d *demo) staffRead(t *testing.T, orderID string, words ...string) {
	t.Helper()
	shown := d.portal(t, "staff", "order", orderID)
	for _, w := range words {
		if !strings.Contains(shown, w) {
			t.Errorf("staff do not read %q in\n%s", w, shown)
		}
	}
}

// offersNothing looks whether anything can be bought on a license.
func (p *person) offersNothing(licenseID, why string) {
	p.t.Helper()
	p.open("/licenses/" + licenseID)
	if p.has(`main a[href^="/renew/"], main a[href^="/top-up/"]`) {
		p.t.Error("the license's page offers to renew it or to add volume")
	}
	for _, path := range []string{"/renew/", "/top-up/"} {
		p.open(path + licenseID)
		p.sees(why)
		if p.has(`main a[href^="/checkout/"], main form[action^="/checkout/"]`) {
			p.t.Errorf("%s goes on to the checkout", path)
		}
	}
}

// suspended opens a dispute on the stand-in's page of an order's charge and follows it to the customer's pages, the mail, the
// staff, the bundle and the router. It answers the bundle.
func (a *audit) suspended(orderID, licenseID string) *license.RevocationBundle {
	a.t.Helper()
	d := a.d
	before := d.revocations(a.t).Epoch()
	a.open(d.info.StripeURL + "/o/" + d.charge(a.t, orderID))
	a.press(`button[value="dispute"]`)
	b := d.bundleSays(a.t, before, licenseID, license.StatusSuspended, "payment-disputed")

	a.comesBackUntil("/orders/"+orderID, "Your license is suspended")
	a.sees("the payment is disputed with the bank")
	a.sees("Your router answers license-suspended once it is given the current revocation bundle, and notices nothing before that.")
	a.look("order of a disputed payment")
	a.comesBackUntil("/licenses/"+licenseID, "Suspended since")
	a.sees("the payment is disputed with the bank")
	a.sees("notices nothing before that")
	a.sees("The file stays the same")
	a.look("license of a disputed payment")
	a.offersNothing(licenseID, "Settle that first")
	a.mailedOnce("Your license is suspended", licenseID)
	d.staffRead(a.t, orderID, "suspended", licenseID+": payment-disputed")
	eventually(a.t, waitLong, "the router refuses the suspended license", func() bool { return d.routerRefuses(a.t, "license-suspended") })
	return b
}

func TestADisputeThatIsWonLetsTheSameFileWorkAgain(t *testing.T) {
	t.Parallel()
	d := ownDemo(t)
	a := newAudit(customer(t, d))
	order := a.buy(pack5, "router", "card_ok")
	id, file := a.licenseID(), a.download("Download license.json")
	d.install(t, file)
	d.routerServes(t, id)
	suspending := a.suspended(order, id)

	a.presses(d.info.StripeURL+"/o/"+d.dispute(t, order), `button[value="answer"]`, `button[value="win"]`)
	d.bundleSays(t, suspending.Epoch(), id, "", "")
	a.titles = map[string]string{} // states of one page share its title
	a.comesBackUntil("/licenses/"+id, "In force again since")
	a.sees("there is nothing to install")
	a.look("license of a dispute that was won")
	if again := a.download("Download license.json"); !bytes.Equal(readDownload(t, again), readDownload(t, file)) {
		t.Error("the reinstated license has other bytes")
	}
	a.comesBackUntil("/orders/"+order, ready)
	a.sees("there is nothing to install")
	a.look("order of a dispute that was won")
	a.mailedOnce("Your license is in force again", id)
	d.staffRead(t, order, "suspended", "reinstated", id)
	d.routerServes(t, id) // with the file that it has
	if installed, err := os.ReadFile(d.info.RouterLicensePath); err != nil || !bytes.Equal(installed, readDownload(t, file)) {
		t.Errorf("the router's file is another, %v", err)
	}
	if list := a.licenses(); len(list) != 1 || list[0] != id || d.logSize(t) != 1 {
		t.Errorf("licenses %v, and %d leaves", list, d.logSize(t))
	}
	for _, subject := range []string{"Your license is ready", "Your license is suspended", "Your license is in force again"} {
		if n := a.mailsAbout(subject, id); n != 1 {
			t.Errorf("%d mails: %s", n, subject)
		}
	}
}

func TestADisputeThatIsLostRevokesForGood(t *testing.T) {
	t.Parallel()
	d := ownDemo(t)
	a := newAudit(customer(t, d))
	order := a.buy(pack5, "router", "card_ok")
	id := a.licenseID()
	d.install(t, a.download("Download license.json"))
	d.routerServes(t, id)
	suspending := a.suspended(order, id)

	a.presses(d.info.StripeURL+"/o/"+d.dispute(t, order), `button[value="answer"]`, `button[value="lose"]`)
	d.bundleSays(t, suspending.Epoch(), id, license.StatusRevoked, "dispute-lost")
	a.titles = map[string]string{} // states of one page share its title
	a.comesBackUntil("/orders/"+order, "Your license was revoked")
	a.sees("the payment was charged back")
	a.sees("Your router answers license-revoked once it is given the current revocation bundle, and notices nothing before that.")
	a.look("order of a dispute that was lost")
	revoked := func() {
		t.Helper()
		a.comesBackUntil("/licenses/"+id, "Revoked on")
		a.sees("the payment was charged back")
		a.sees("Its file is not handed out any more.")
		if status := a.fetch("/licenses/" + id + "/license.json"); status != http.StatusGone {
			t.Errorf("the file is answered %d", status)
		}
		a.offersNothing(id, "Nothing can be bought on it.")
		if s, why := named(d.revocations(t), id); s != license.StatusRevoked || why != "dispute-lost" {
			t.Errorf("the bundle says %q %q", s, why)
		}
	}
	revoked()
	a.open("/licenses/" + id)
	a.look("license of a dispute that was lost")
	a.mailedOnce("Your license was revoked", id)
	d.staffRead(t, order, "suspended", "revoked", id+": dispute-lost")
	eventually(t, waitLong, "the router refuses the revoked license", func() bool { return d.routerRefuses(t, "license-revoked") })

	// The payment's event comes again, and another one tells of it anew.
	session := d.session(t, order)
	d.paidAgain(t, session)
	d.tool(t, d.portalEnv(t), "portal", "reconcile")
	revoked()
	if !d.routerRefuses(t, "license-revoked") || d.logSize(t) != 1 || len(a.licenses()) != 1 {
		t.Errorf("after the payment was told again there are %d leaves and %d licenses", d.logSize(t), len(a.licenses()))
	}
	if state := d.query(t, "SELECT state FROM orders WHERE id = $1", order); state != "issued" {
		t.Errorf("the order is %s", state)
	}
	for _, subject := range []string{"Your license is ready", "Your license is suspended", "Your license was revoked"} {
		if n := a.mailsAbout(subject, id); n != 1 {
			t.Errorf("%d mails: %s", n, subject)
		}
	}
	if n := a.mailsAbout("Your license is in force again", id); n != 0 {
		t.Errorf("%d mails tell that the license is in force again", n)
	}
}

// presses opens a page of the stand-in and presses one button after another.
func (p *person) presses(page string, buttons ...string) {
	p.t.Helper()
	p.open(page)
	for _, b := range buttons {
		p.press(b)
	}
}

// dispute finds the dispute of an order's payment.
func (d *demo) dispute(t *testing.T, orderID string) string {
	t.Helper()
	list := d.stripeAPI(t, http.MethodGet, "/v1/disputes?charge="+d.charge(t, orderID), nil)["data"].([]any)
	if len(list) != 1 {
		t.Fatalf("%d disputes", len(list))
	}
	return list[0].(map[string]any)["id"].(string)
}

// paidAgain has the stand-in deliver the event of a payment again, and delivers one with an ID of its own that says the same.
// Both are looked at when it returns.
func (d *demo) paidAgain(t *testing.T, session string) {
	t.Helper()
	body := d.raw(t, session)
	id := d.query(t, "SELECT id FROM events WHERE object_id = $1 AND type = 'checkout.session.completed'", session)
	before := d.query(t, "SELECT deliveries::text FROM events WHERE id = $1", id)
	d.control(t, http.MethodPost, "/_sim/events/"+id+"/deliver", map[string]any{}, nil)
	eventually(t, waitLong, "the event comes again", func() bool {
		return d.query(t, "SELECT deliveries::text FROM events WHERE id = $1", id) != before
	})
	another := bytes.Replace(body, []byte(id), []byte(id+"Anew"), 1)
	if status, answer := d.webhook(t, d.info.PortalURL, another, d.signed(another, time.Now())); status != http.StatusOK {
		t.Fatalf("the event told anew is answered %d %s", status, answer)
	}
	eventually(t, waitLong, "the event told anew is looked at", func() bool {
		return d.query(t, "SELECT coalesce(max(outcome), '') FROM events WHERE id = $1", id+"Anew") != ""
	})
}

func TestARefundInPartAndAnInquiryAreToldAndTakeNothing(t *testing.T) {
	t.Parallel()
	d := shared
	a := newAudit(customer(t, d))
	order := a.buy(pack5, "router", "card_ok")
	id := a.licenseID()
	charge := d.stripeAPI(t, http.MethodGet, "/v1/charges/"+d.charge(t, order), nil)
	if charge["amount"] != 25000.0 {
		t.Fatalf("the charge is of %v", charge["amount"])
	}
	a.open(d.info.StripeURL + "/o/" + charge["id"].(string))
	a.fill("amount", "5000") // minor units
	a.press(`button[value="refund"]`)
	a.comesBackUntil("/orders/"+order, "of the US$\u00a0250.00 that you paid was refunded.")
	a.sees("US$\u00a050.00 of the US$\u00a0250.00 that you paid was refunded. The license stays in force")
	a.sees(ready)
	a.look("order refunded in part")
	d.staffRead(t, order, "refund-partial: 50.00 USD of 250.00 USD is refunded")

	a.open(d.info.StripeURL + "/o/" + charge["id"].(string))
	a.press(`button[value="inquiry"]`)
	eventually(t, waitLong, "staff are told of the inquiry", func() bool {
		return strings.Contains(d.portal(t, "staff", "order", order), `dispute-status: Stripe calls the dispute`)
	})
	d.staffRead(t, order, `"warning_needs_response"; that changes no license.`)
	a.open("/licenses/" + id)
	a.doesNotSee("uspended")
	a.doesNotSee("evoked")
	a.open("/licenses/" + id)
	a.download("Download license.json")
	if s, _ := named(d.revocations(t), id); s != "" {
		t.Errorf("the bundle has the license as %s", s)
	}
	for _, m := range a.mails() {
		if strings.Contains(m.Subject, "suspended") || strings.Contains(m.Subject, "revoked") {
			t.Errorf("mail: %s", m.Subject)
		}
	}
}
