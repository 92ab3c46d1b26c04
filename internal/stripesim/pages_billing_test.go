package stripesim_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"
	"github.com/stripe/stripe-go/v76"
)

// buttons lists the values of a page's buttons of a name.
func (p page) buttons(name string) string {
	return strings.Join(p.Find("button[name="+name+"]").Map(func(_ int, b *goquery.Selection) string { return b.AttrOr("value", "") }), " ")
}

func TestSubscriptionPageSaysWhatIsBilledAndWhen(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	p := h.sessionParams(h.monthly(2500).ID)
	p.Mode, p.PaymentIntentData = stripe.String("subscription"), nil
	s, err := h.sdk.CheckoutSessions.New(p)
	h.must(err)
	got := h.browse("GET", "/c/pay/"+s.ID, nil)
	if text := got.Find(".sum").Text(); !strings.Contains(text, "per month") || !strings.Contains(text, "billed each month, until canceled") || !strings.Contains(text, "Due today") {
		t.Errorf("%q", text)
	}
	want(t, "buttons", got.buttons("method"), "card_ok card_declined card_fails_later card_needs_confirmation bank_ok bank_fails")
	done := h.browse("POST", "/c/pay/"+s.ID, url.Values{"method": {"card_ok"}, "email": {"buyer@shop.test"}})
	want(t, "leads back", done.location, "http://shop.test/orders/o1?session="+s.ID)
}

func TestTaxIsShownOnceTheCountryIsKnown(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	p := h.sessionParams(h.price(10000, "").ID)
	p.AutomaticTax = &stripe.CheckoutSessionAutomaticTaxParams{Enabled: stripe.Bool(true)}
	p.InvoiceCreation = &stripe.CheckoutSessionInvoiceCreationParams{Enabled: stripe.Bool(true), InvoiceData: &stripe.CheckoutSessionInvoiceCreationInvoiceDataParams{
		Metadata: map[string]string{"order_id": "order_1"},
	}}
	s, err := h.sdk.CheckoutSessions.New(p)
	h.must(err)
	if s.AutomaticTax.Status != "requires_location_inputs" || s.AmountTotal != 10000 {
		t.Errorf("new: %s %d", s.AutomaticTax.Status, s.AmountTotal)
	}
	got := h.browse("GET", "/c/pay/"+s.ID, nil)
	if got.Find("select[name=country]").Length() != 1 || got.Find("input[name=country]").Length() != 0 {
		t.Error("the page does not ask for the country")
	}
	refused := h.browse("POST", "/c/pay/"+s.ID, url.Values{"method": {"card_ok"}, "email": {"buyer@shop.test"}})
	if refused.status != 422 || !strings.Contains(refused.Find("[role=alert]").Text(), "country") {
		t.Errorf("without a country: %d %q", refused.status, refused.Find("[role=alert]").Text())
	}
	got = h.browse("GET", "/c/pay/"+s.ID+"?country=DE", nil)
	if text := got.Find(".items").Text(); !strings.Contains(text, "US$\u00a019.00") || !strings.Contains(text, "US$\u00a0119.00") {
		t.Errorf("%q", text)
	}
	want(t, "the form's country", got.Find("input[name=country]").AttrOr("value", ""), "DE")
	h.browse("POST", "/c/pay/"+s.ID, url.Values{"method": {"card_ok"}, "email": {"buyer@shop.test"}, "country": {"DE"}})
	paid := h.fetch(s.ID)
	if paid.AmountSubtotal != 10000 || paid.AmountTotal != 11900 || paid.TotalDetails.AmountTax != 1900 || paid.PaymentIntent.Amount != 11900 ||
		paid.CustomerDetails.Address.Country != "DE" || paid.AutomaticTax.Status != "complete" || paid.PaymentStatus != "paid" {
		t.Errorf("%d + %d = %d, %+v", paid.AmountSubtotal, paid.TotalDetails.AmountTax, paid.AmountTotal, paid.AutomaticTax)
	}
	inv := h.invoice(paid.Invoice.ID)
	if inv.Status != "paid" || inv.Tax != 1900 || inv.AmountPaid != 11900 || inv.BillingReason != "manual" || inv.Metadata["order_id"] != "order_1" || inv.PaymentIntent.ID != paid.PaymentIntent.ID {
		t.Errorf("%+v", inv)
	}
	h.sameAsTold()
}

func TestSetupKeepsAPaymentMethod(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	customer := h.customer()
	p := h.sessionParams("")
	p.Mode, p.PaymentIntentData, p.LineItems = stripe.String("setup"), nil, nil
	p.Customer, p.CustomerEmail = &customer.ID, nil
	p.SetupIntentData = &stripe.CheckoutSessionSetupIntentDataParams{Metadata: map[string]string{"order_id": "order_1"}}
	s, err := h.sdk.CheckoutSessions.New(p)
	h.must(err)
	if s.PaymentStatus != "no_payment_required" || s.Mode != "setup" {
		t.Errorf("%s %s", s.PaymentStatus, s.Mode)
	}
	h.browse("POST", "/c/pay/"+s.ID, url.Values{"method": {"card_declined"}})
	if got := h.browse("GET", "/c/pay/"+s.ID, nil); !strings.Contains(got.Find("[role=alert]").Text(), "declined") {
		t.Error("the page does not say that the card was declined")
	}
	mark := len(h.events())
	h.browse("POST", "/c/pay/"+s.ID, url.Values{"method": {"card_ok"}})
	want(t, "story", h.story(mark), "payment_method.attached setup_intent.succeeded checkout.session.completed")
	s, err = h.sdk.CheckoutSessions.Get(s.ID, nil)
	h.must(err)
	intent, err := h.sdk.SetupIntents.Get(s.SetupIntent.ID, nil)
	h.must(err)
	if s.Status != "complete" || s.PaymentStatus != "no_payment_required" || intent.Status != "succeeded" || intent.Metadata["order_id"] != "order_1" {
		t.Errorf("%s, %+v", s.Status, intent)
	}
	method, err := h.sdk.PaymentMethods.Get(intent.PaymentMethod.ID, nil)
	h.must(err)
	want(t, "owner", method.Customer.ID, customer.ID)
	h.sameAsTold()
}

func TestInvoicePageTakesPaymentsOnce(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	draft := h.draft(h.customer().ID, 150000, "jpy")
	if got := h.browse("GET", "/i/"+draft.ID, nil); got.status != 404 {
		t.Errorf("a draft has a page: %d", got.status)
	}
	_, err := h.sdk.Invoices.Update(draft.ID, &stripe.InvoiceParams{CustomFields: []*stripe.InvoiceCustomFieldParams{
		{Name: stripe.String("Licensed to"), Value: stripe.String("Halden <Robotics> AB")},
	}})
	h.must(err)
	inv := h.finalize(draft.ID)
	path := "/i/" + inv.ID
	got := h.browse("GET", path, nil)
	want(t, "buttons", got.buttons("method"), "card_ok card_declined bank_ok bank_fails transfer transfer_part")
	if text := got.Find("main").Text(); !strings.Contains(text, "¥\u00a0150,000") || strings.Contains(text, "1,500.00") || !strings.Contains(text, "Halden Robotics") ||
		!strings.Contains(text, "Halden <Robotics> AB") {
		t.Errorf("%q", text)
	}
	press := func(method string) page { return h.browse("POST", path, url.Values{"method": {method}}) }
	if got := press("cash"); got.status != 422 || got.Find("[role=alert]").Length() != 1 {
		t.Errorf("an unknown method: %d", got.status)
	}
	press("card_declined")
	if got := h.browse("GET", path, nil); !strings.Contains(got.Find("[role=alert]").Text(), "Your card was declined.") {
		t.Error("the decline is not shown")
	}
	press("transfer_part")
	if got := h.browse("GET", path, nil); !strings.Contains(got.Find(".total").Text(), "¥\u00a075,000") || !strings.Contains(got.Find(".items").Text(), "−¥\u00a075,000") {
		t.Errorf("after half: %q", got.Find(".sum").Text())
	}
	press("bank_ok")
	if got := h.browse("GET", path, nil); got.buttons("method") != "" || !strings.Contains(got.Find("[role=status]").Text(), "The bank answers") {
		t.Errorf("while the bank thinks: %q", got.Find(".pay").Text())
	}
	if got := press("card_ok"); got.status != 422 {
		t.Errorf("paid while a debit is under way: %d", got.status)
	}
	h.act(h.invoice(inv.ID).PaymentIntent.ID, "settle", nil)
	for range 2 {
		if got := press("card_ok"); got.status != 303 {
			t.Errorf("a click too late: %d", got.status)
		}
	}
	paid := h.invoice(inv.ID)
	if paid.Status != "paid" || paid.AmountPaid != 150000 || paid.Charge.Amount != 75000 {
		t.Errorf("%s, %d, charge %d", paid.Status, paid.AmountPaid, paid.Charge.Amount)
	}
	if got := h.browse("GET", path, nil); !strings.Contains(got.Find(".pay").Text(), "This invoice is paid.") || got.buttons("method") != "" {
		t.Error("the page of a paid invoice")
	}
	h.sameAsTold()
}

// portal opens a billing portal for a customer with every feature, and one plan
// to change to.
func (h *harness) portal(customer, mode string, plan *stripe.Price) string {
	h.t.Helper()
	on := stripe.Bool(true)
	config, err := h.sdk.BillingPortalConfigurations.New(&stripe.BillingPortalConfigurationParams{
		BusinessProfile: &stripe.BillingPortalConfigurationBusinessProfileParams{Headline: stripe.String("Your hosted pool")},
		Features: &stripe.BillingPortalConfigurationFeaturesParams{
			InvoiceHistory:      &stripe.BillingPortalConfigurationFeaturesInvoiceHistoryParams{Enabled: on},
			PaymentMethodUpdate: &stripe.BillingPortalConfigurationFeaturesPaymentMethodUpdateParams{Enabled: on},
			SubscriptionCancel:  &stripe.BillingPortalConfigurationFeaturesSubscriptionCancelParams{Enabled: on, Mode: &mode},
			SubscriptionUpdate: &stripe.BillingPortalConfigurationFeaturesSubscriptionUpdateParams{
				Enabled: on, DefaultAllowedUpdates: stripe.StringSlice([]string{"price"}), ProrationBehavior: stripe.String("none"),
				Products: []*stripe.BillingPortalConfigurationFeaturesSubscriptionUpdateProductParams{
					{Product: &plan.Product.ID, Prices: []*string{&plan.ID}},
				},
			},
		},
	})
	h.must(err)
	s, err := h.sdk.BillingPortalSessions.New(&stripe.BillingPortalSessionParams{
		Customer: &customer, Configuration: &config.ID, ReturnURL: stripe.String("http://shop.test/account"),
	})
	h.must(err)
	u, err := url.Parse(s.URL)
	h.must(err)
	return u.Path
}

func TestPortalLetsTheCustomerManageTheSubscription(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	_, sub := h.subscribe(h.monthly(2500).ID, "card_fails_later")
	_, other := h.subscribe(h.monthly(900).ID, "card_ok") // another customer's
	bigger := h.monthly(9900)
	path := h.portal(sub.Customer.ID, "at_period_end", bigger)
	press := func(form url.Values) page {
		if !form.Has("subscription") {
			form.Set("subscription", sub.ID)
		}
		return h.browse("POST", path, form)
	}
	got := h.browse("GET", path, nil)
	if text := got.Find("main").Text(); !strings.Contains(text, "US$\u00a025.00") || !strings.Contains(text, "Visa ending in 0341") || !strings.Contains(text, "Your hosted pool") {
		t.Errorf("%q", text)
	}
	want(t, "way back", got.Find("a#return").AttrOr("href", ""), "http://shop.test/account")
	want(t, "subscriptions", got.Find("article").Length(), 1)
	link := got.Find("table a").First().AttrOr("href", "")
	want(t, "invoice", link, sub.LatestInvoice.HostedInvoiceURL)

	want(t, "cancel", press(url.Values{"do": {"cancel"}}).location, path+"?done=cancel")
	if now := h.subscription(sub.ID); !now.CancelAtPeriodEnd || now.Status != "active" {
		t.Errorf("canceled: %v %s", now.CancelAtPeriodEnd, now.Status)
	}
	got = h.browse("GET", path+"?done=cancel", nil)
	if !strings.Contains(got.Find("[role=status]").Text(), "canceled") || !strings.Contains(got.Find("article").Text(), "Ends") {
		t.Error("the page does not say that it ends")
	}
	want(t, "what is left to do", got.buttons("do"), "keep plan")
	press(url.Values{"do": {"keep"}})
	want(t, "kept", h.subscription(sub.ID).CancelAtPeriodEnd, false)

	press(url.Values{"do": {"plan"}, "price": {bigger.ID}})
	want(t, "plan", h.subscription(sub.ID).Items.Data[0].Price.ID, bigger.ID)
	h.act(sub.ID, "bill", nil)
	want(t, "the card fails", string(h.subscription(sub.ID).Status), "past_due")
	press(url.Values{"method": {"card_ok"}})
	if now := h.subscription(sub.ID); now.Status != "active" || now.LatestInvoice.Status != "paid" || now.LatestInvoice.AmountPaid != 9900 {
		t.Errorf("a new card: %s, invoice %s", now.Status, now.LatestInvoice.Status)
	}

	for name, form := range map[string]url.Values{
		"another customer's subscription": {"do": {"cancel"}, "subscription": {other.ID}},
		"a plan that is not offered":      {"do": {"plan"}, "price": {other.Items.Data[0].Price.ID}},
		"an unknown action":               {"do": {"explode"}},
		"an unknown card":                 {"method": {"cash"}},
	} {
		if got := press(form); got.status != 422 || got.Find("[role=alert]").Length() != 1 {
			t.Errorf("%s: %d", name, got.status)
		}
	}
	want(t, "the other one", string(h.subscription(other.ID).Status), "active")
	h.advance(25 * 3600e9)
	want(t, "a day later", h.browse("GET", path, nil).status, http.StatusNotFound)
	h.sameAsTold()
}

func TestPortalDoesOnlyWhatItsConfigurationAllows(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	_, sub := h.subscribe(h.monthly(2500).ID, "card_ok")
	path := h.portal(sub.Customer.ID, "immediately", h.monthly(9900))
	h.browse("POST", path, url.Values{"do": {"cancel"}, "subscription": {sub.ID}})
	want(t, "canceled at once", string(h.subscription(sub.ID).Status), "canceled")
	if got := h.browse("GET", path, nil); !strings.Contains(got.Find("article").Text(), "It ended on") || got.buttons("do") != "" {
		t.Errorf("%q", got.Find("article").Text())
	}

	_, second := h.subscribe(h.monthly(2500).ID, "card_ok")
	s, err := h.sdk.BillingPortalSessions.New(&stripe.BillingPortalSessionParams{Customer: &second.Customer.ID})
	h.must(err)
	u, err := url.Parse(s.URL)
	h.must(err)
	plain := h.browse("GET", u.Path, nil)
	want(t, "the account's own configuration", plain.buttons("do"), "cancel")
	if got := h.browse("POST", u.Path, url.Values{"do": {"plan"}, "subscription": {second.ID}, "price": {second.Items.Data[0].Price.ID}}); got.status != 422 {
		t.Errorf("a plan was changed without the feature: %d", got.status)
	}
	_, err = h.sdk.BillingPortalConfigurations.Update(s.Configuration.ID, &stripe.BillingPortalConfigurationParams{
		Features: &stripe.BillingPortalConfigurationFeaturesParams{SubscriptionCancel: &stripe.BillingPortalConfigurationFeaturesSubscriptionCancelParams{Enabled: stripe.Bool(false)}},
	})
	h.must(err)
	want(t, "without canceling", h.browse("GET", u.Path, nil).buttons("do"), "")
	if got := h.browse("POST", u.Path, url.Values{"do": {"cancel"}, "subscription": {second.ID}}); got.status != 422 {
		t.Errorf("canceled without the feature: %d", got.status)
	}
}

func TestObjectPageDoesWhatTheControlAPIDoes(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	c := h.paidCharge(25000, "card_ok")
	got := h.browse("GET", "/o/"+c.ID, nil)
	want(t, "actions", got.buttons("action"), "refund dispute inquiry fraud_warning review")
	if !strings.Contains(got.Find("main").Text(), "charge.succeeded") {
		t.Error("its events are not shown")
	}
	h.browse("POST", "/o/"+c.ID, url.Values{"action": {"refund"}, "amount": {"5000"}})
	want(t, "refunded", h.charge(c.ID).AmountRefunded, 5000)
	dispute := h.browse("POST", "/o/"+c.ID, url.Values{"action": {"dispute"}}).location
	want(t, "leads to what was made", strings.HasPrefix(dispute, "/o/du_1"), true)
	want(t, "dispute's actions", h.browse("GET", dispute, nil).buttons("action"), "answer win lose")
	h.browse("POST", dispute, url.Values{"action": {"win"}})
	d, err := h.sdk.Disputes.Get(strings.TrimPrefix(dispute, "/o/"), nil)
	h.must(err)
	want(t, "won", string(d.Status), "won")
	for name, form := range map[string]url.Values{
		"twice":                 {"action": {"win"}},
		"an amount in dollars":  {"action": {"win"}, "amount": {"5.00"}},
		"an amount below zero":  {"action": {"win"}, "amount": {"-5"}},
		"a page of nothing":     nil,
		"what cannot be done":   {"action": {"explode"}},
		"the clock, by a word":  {"advance_seconds": {"soon"}},
		"the clock, backwards":  {"advance_seconds": {"-1"}},
		"the clock, not at all": {},
	} {
		path, status := dispute, 422
		switch {
		case form == nil:
			path, status = "/o/du_none", 404
		case form.Get("action") == "explode":
			status = 404
		case strings.HasPrefix(name, "the clock"):
			path = "/clock"
		}
		if got := h.browse("POST", path, form); got.status != status {
			t.Errorf("%s: %d, want %d", name, got.status, status)
		}
	}
	before := h.sim.Now()
	want(t, "clock", h.browse("POST", "/clock", url.Values{"advance_seconds": {"86400"}}).location, "/")
	want(t, "a day on", h.sim.Now().Sub(before) >= aDay, true)
	front := h.browse("GET", "/", nil).Find("main").Text()
	for _, shown := range []string{"Payments", "Disputes", "won", c.ID} {
		if !strings.Contains(front, shown) {
			t.Errorf("the front page does not show %s", shown)
		}
	}
	if got := h.browse("GET", "/receipts/"+c.ID, nil); !strings.Contains(got.Find("main").Text(), "US$\u00a0250.00 with Visa ending in 4242") {
		t.Errorf("receipt: %q", got.Find("main").Text())
	}
}
