package e2e

import (
	"regexp"
	"strings"
	"testing"
)

var orderIn = regexp.MustCompile(`ord_[0-9a-z]+`)

// Staff prepare a quote, the customer reads and accepts it, pays its invoice on Stripe's page by a debit that settles later,
// and has the license without anybody else doing anything.
func TestAQuoteIsAcceptedPaidAndLicensed(t *testing.T) {
	t.Parallel()
	d := shared
	p := customer(t, d)
	organization := d.query(t, `SELECT m.organization_id FROM memberships m JOIN users u ON u.id = m.user_id WHERE u.email = $1`, p.email)
	out := d.portal(t, "quote", "prepare", "enterprise-annual", "-org", organization, "-by", "Ada Finch", "-deployment", "Frankfurt", "-environments", "production")
	order := orderIn.FindString(out)
	if order == "" {
		t.Fatalf("no order in:\n%s", out)
	}
	p.open(p.d.info.PortalURL + "/orders/" + order)
	p.sees("Your quote is ready")
	p.sees("Nothing is owed until you accept")
	p.follow("Accept quote")
	p.sees("What the license will contain")
	p.follow("Accept and get the invoice")
	p.sees("Your invoice is ready")
	p.sees("15,000.00")
	invoice := d.query(t, `SELECT id FROM invoices WHERE order_id = $1`, order)
	p.open(p.d.info.PortalURL + "/orders/" + order + "/invoice")
	if !strings.HasPrefix(p.location(), d.info.StripeURL) {
		t.Fatalf("the invoice is not on Stripe's page but on %s", p.location())
	}
	p.press(`button[value="bank_ok"]`)
	p.open(d.info.StripeURL + "/o/" + d.stripeAPI(t, "GET", "/v1/invoices/"+invoice, nil)["payment_intent"].(string))
	p.press(`button[value="settle"]`)
	p.comesBackUntil("/orders/"+order, ready)
	id := p.licenseID()
	if !p.has(`a[href="/orders/` + order + `/invoice.pdf"]`) {
		t.Error("the paid order has no link to its invoice")
	}
	if !strings.HasPrefix(id, "lic_enterprise_annual_") {
		t.Errorf("the license is %s", id)
	}
	p.download("Download license.json")
}

// A subscription is begun at checkout; its first invoice, not the session, brings the license. What becomes of it is
// managed on Stripe's page, and canceling takes no license back.
func TestASubscriptionIsBegunAndCanceled(t *testing.T) {
	t.Parallel()
	d := shared
	p := customer(t, d)
	order := p.buy("hosted-instance-monthly", "pool", "card_ok")
	id := p.licenseID()
	p.sees("Subscription")
	p.sees("Next charge")
	if proof := d.query(t, `SELECT e.type FROM events e JOIN invoices i ON i.id = e.object_id AND e.type = 'invoice.paid' WHERE i.order_id = $1`, order); proof != "invoice.paid" {
		t.Error("the invoice's event is not stored")
	}
	p.follow("Manage billing")
	if !strings.HasPrefix(p.location(), d.info.StripeURL) {
		t.Fatalf("not on Stripe's page but on %s:\n%s", p.location(), p.text())
	}
	eval[int](p, `document.querySelectorAll("details").forEach(d => d.open = true), 1`)
	p.press(`button[value="cancel"]`)
	p.comesBackUntil("/orders/"+order, "Canceled")
	p.open(d.info.PortalURL + "/licenses/" + id)
	p.doesNotSee("Revoked")
}
