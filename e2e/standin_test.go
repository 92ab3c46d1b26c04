package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// stripeAPI makes a call of Stripe's API at the stand-in, as the portal would.
func (d *demo) stripeAPI(t *testing.T, method, path string, form url.Values) map[string]any {
	t.Helper()
	status, answer, _ := request(t, method, d.info.StripeURL+path, strings.NewReader(form.Encode()), func(r *http.Request) {
		r.Header.Set("Authorization", "Bearer "+d.info.StripeAPIKey)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	})
	if status != http.StatusOK {
		t.Fatalf("%s %s: %d %s", method, path, status, answer)
	}
	var v map[string]any
	if err := json.Unmarshal(answer, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// standIn looks at pages of the Stripe stand-in. Its demo is its own: a portal need not know what is bought here.
func standIn(t *testing.T) *audit {
	t.Helper()
	a := newAudit(newPerson(t, ownDemo(t), newAddress(t)))
	a.origin = a.d.info.StripeURL
	return a
}

func (a *audit) made(path string, form url.Values) string {
	a.t.Helper()
	return a.d.stripeAPI(a.t, "POST", path, form)["id"].(string)
}

// hosted makes a monthly price of a hosted package.
func (a *audit) hosted(amount string) string {
	a.t.Helper()
	product := a.made("/v1/products", url.Values{"name": {"Hosted pool"}})
	return a.made("/v1/prices", url.Values{"product": {product}, "currency": {"usd"}, "unit_amount": {amount}, "recurring[interval]": {"month"}})
}

func TestASubscriptionRunsTwelveMonthsAtTheStandIn(t *testing.T) {
	t.Parallel()
	a := standIn(t)
	price, bigger := a.hosted("49900"), a.hosted("99900")
	session := a.d.stripeAPI(t, "POST", "/v1/checkout/sessions", url.Values{
		"mode": {"subscription"}, "line_items[0][price]": {price}, "line_items[0][quantity]": {"1"}, "automatic_tax[enabled]": {"true"},
		"success_url": {a.d.info.StripeURL + "/?bought={CHECKOUT_SESSION_ID}"}, "cancel_url": {a.d.info.StripeURL + "/"},
	})
	a.open(session["url"].(string))
	a.look("subscription")
	eval[int](a.person, `document.querySelector("select[name=country]").value = "DE"; 0`)
	a.press(`form[method=get] button`)
	a.titles = map[string]string{}
	a.look("subscription with its tax")
	a.press(`button[value="card_declined"]`)
	a.sees("Your card was declined.")
	a.open(session["url"].(string) + "?country=DE")
	a.press(`button[value="card_ok"]`)
	a.look("what the stand-in has seen")
	session = a.d.stripeAPI(t, "GET", "/v1/checkout/sessions/"+session["id"].(string), nil)
	sub := session["subscription"].(string)

	a.page(a.d.info.StripeURL + "/o/" + sub)
	a.fill("cycles", "12")
	a.press(`button[value="bill"]`)
	list := a.d.stripeAPI(t, "GET", "/v1/invoices?limit=100&subscription="+sub, nil)["data"].([]any)
	if len(list) != 13 {
		t.Fatalf("%d invoices after a year", len(list))
	}
	for _, v := range list {
		inv := v.(map[string]any)
		if inv["status"] != "paid" || inv["subtotal"] != 49900.0 || inv["tax"] != 9481.0 {
			t.Errorf("%s: %v, %v and %v of tax", inv["billing_reason"], inv["status"], inv["subtotal"], inv["tax"])
		}
	}

	config := a.made("/v1/billing_portal/configurations", url.Values{
		"business_profile[headline]": {"Your hosted pool"}, "features[invoice_history][enabled]": {"true"}, "features[payment_method_update][enabled]": {"true"},
		"features[subscription_cancel][enabled]": {"true"}, "features[subscription_update][enabled]": {"true"},
		"features[subscription_update][default_allowed_updates][0]": {"price"},
		"features[subscription_update][products][0][product]":       {a.d.stripeAPI(t, "GET", "/v1/prices/"+bigger, nil)["product"].(string)},
		"features[subscription_update][products][0][prices][0]":     {bigger},
	})
	billing := a.d.stripeAPI(t, "POST", "/v1/billing_portal/sessions", url.Values{
		"customer": {session["customer"].(string)}, "configuration": {config}, "return_url": {a.d.info.StripeURL + "/"},
	})
	a.open(billing["url"].(string))
	a.look("billing portal")
	eval[int](a.person, `document.querySelectorAll("details").forEach(d => d.open = true); 0`)
	a.titles = map[string]string{}
	a.look("billing portal with everything open")
	a.press(`button[value="plan"]`)
	a.sees("The plan was changed.")
	a.sees("999.00")
	a.titles = map[string]string{}
	a.look("billing portal after a change")
	eval[int](a.person, `document.querySelectorAll("details").forEach(d => d.open = true); 0`)
	a.press(`button[value="cancel"]`)
	a.sees("The subscription was canceled.")
	a.sees("Ends")
	a.press(`button[value="keep"]`)
	a.sees("The subscription goes on.")
}

func TestAQuoteBecomesAPaidInvoiceAtTheStandIn(t *testing.T) {
	t.Parallel()
	a := standIn(t)
	customer := a.made("/v1/customers", url.Values{"email": {a.email}, "name": {wideOrganization}})
	quote := a.made("/v1/quotes", url.Values{
		"customer": {customer}, "collection_method": {"send_invoice"}, "invoice_settings[days_until_due]": {"30"}, "line_items[0][quantity]": {"1"},
		"line_items[0][price_data][currency]": {"usd"}, "line_items[0][price_data][unit_amount]": {"4800000"},
		"line_items[0][price_data][product]": {a.made("/v1/products", url.Values{"name": {wideDeployment}})},
	})
	a.d.stripeAPI(t, "POST", "/v1/quotes/"+quote+"/finalize", nil)
	a.page(a.d.info.StripeURL + "/o/" + quote)
	accepted := a.d.stripeAPI(t, "POST", "/v1/quotes/"+quote+"/accept", nil)
	inv := a.d.stripeAPI(t, "POST", "/v1/invoices/"+accepted["invoice"].(string)+"/finalize", nil)
	a.open(inv["hosted_invoice_url"].(string))
	a.look("invoice")
	a.press(`button[value="card_declined"]`)
	a.titles = map[string]string{}
	a.look("invoice after a declined card")
	a.press(`button[value="transfer_part"]`)
	a.sees("24,000.00")
	a.titles = map[string]string{}
	a.look("invoice with a part paid")
	a.press(`button[value="bank_ok"]`)
	a.titles = map[string]string{}
	a.look("invoice while the bank thinks")
	intent := a.d.stripeAPI(t, "GET", "/v1/invoices/"+inv["id"].(string), nil)["payment_intent"].(string)
	a.page(a.d.info.StripeURL + "/o/" + intent)
	a.press(`button[value="settle"]`)
	a.open(inv["hosted_invoice_url"].(string))
	a.sees("This invoice is paid.")
	a.titles = map[string]string{}
	a.look("invoice that is paid")
	if status, file, header := request(t, "GET", inv["invoice_pdf"].(string), nil, nil); status != 200 || header.Get("Content-Type") != "application/pdf" || !strings.HasPrefix(string(file), "%PDF-") {
		t.Errorf("its PDF: %d %s", status, header.Get("Content-Type"))
	}
}

func TestDisputesAreWonAndLostAtTheStandIn(t *testing.T) {
	t.Parallel()
	a := standIn(t)
	for _, end := range []string{"win", "lose"} {
		price := a.made("/v1/prices", url.Values{
			"product": {a.made("/v1/products", url.Values{"name": {"Pack"}})}, "currency": {"usd"}, "unit_amount": {"25000"},
		})
		session := a.d.stripeAPI(t, "POST", "/v1/checkout/sessions", url.Values{
			"mode": {"payment"}, "line_items[0][price]": {price}, "line_items[0][quantity]": {"1"}, "customer_email": {a.email},
			"success_url": {a.d.info.StripeURL + "/"},
		})
		a.open(session["url"].(string))
		a.press(`button[value="card_ok"]`)
		intent := a.d.stripeAPI(t, "GET", "/v1/checkout/sessions/"+session["id"].(string)+"?expand[0]=payment_intent", nil)["payment_intent"].(map[string]any)
		charge := intent["latest_charge"].(string)
		a.page(a.d.info.StripeURL + "/o/" + charge)
		a.press(`button[value="dispute"]`)
		a.look("dispute to " + end)
		a.press(`button[value="answer"]`)
		a.press(`button[value="` + end + `"]`)
		dispute := a.d.stripeAPI(t, "GET", "/v1/disputes?charge="+charge, nil)["data"].([]any)[0].(map[string]any)
		if want := map[string]string{"win": "won", "lose": "lost"}[end]; dispute["status"] != want {
			t.Errorf("the dispute is %v, not %s", dispute["status"], want)
		}
	}
}
