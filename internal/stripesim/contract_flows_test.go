package stripesim_test

import (
	"net/url"

	"github.com/stripe/stripe-go/v76"
)

// contractFlows make every call that the stand-in answers, with the real SDK,
// in the order in which a shop would.
var contractFlows = map[string]func(*harness){
	"catalog":      catalogFlow,
	"customers":    customerFlow,
	"checkout":     checkoutFlow,
	"subscription": subscriptionFlow,
	"plan change":  planFlow,
	"invoice":      invoiceFlow,
	"invoice ends": invoiceEndsFlow,
	"credit notes": creditNoteFlow,
	"quote":        quoteFlow,
	"refunds":      refundFlow,
	"disputes":     disputeFlow,
	"radar":        radarFlow,
	"portal":       portalFlow,
	"endpoints":    endpointFlow,
	"refusals":     refusalFlow,
}

func catalogFlow(h *harness) {
	p := &stripe.ProductParams{ID: stripe.String("prod_pack"), Name: stripe.String("Pack"), Description: stripe.String("Five million")}
	p.AddMetadata("sku", "pack")
	product, err := h.sdk.Products.New(p)
	h.must(err)
	_, err = h.sdk.Products.Get(product.ID, nil)
	h.must(err)
	_, err = h.sdk.Products.Update(product.ID, &stripe.ProductParams{Name: stripe.String("Pack of five")})
	h.must(err)
	price, err := h.sdk.Prices.New(&stripe.PriceParams{
		Product: &product.ID, Currency: stripe.String("usd"), UnitAmount: stripe.Int64(25000), LookupKey: stripe.String("pack.v1"),
		TaxBehavior: stripe.String("exclusive"), Metadata: map[string]string{"template": "pack@1"},
	})
	h.must(err)
	_, err = h.sdk.Prices.New(&stripe.PriceParams{
		Product: &product.ID, Currency: stripe.String("jpy"), UnitAmount: stripe.Int64(3000),
		Recurring: &stripe.PriceRecurringParams{Interval: stripe.String("year"), IntervalCount: stripe.Int64(1)},
	})
	h.must(err)
	get := &stripe.PriceParams{}
	get.AddExpand("product")
	_, err = h.sdk.Prices.Get(price.ID, get)
	h.must(err)
	_, err = h.sdk.Prices.Update(price.ID, &stripe.PriceParams{Active: stripe.Bool(false)})
	h.must(err)
	list := &stripe.PriceListParams{LookupKeys: stripe.StringSlice([]string{"pack.v1"})}
	list.AddExpand("data.product")
	prices := h.sdk.Prices.List(list)
	for prices.Next() {
	}
	h.must(prices.Err())
	products := h.sdk.Products.List(&stripe.ProductListParams{Active: stripe.Bool(true)})
	for products.Next() {
	}
	h.must(products.Err())
	_, err = h.sdk.Accounts.Get()
	h.must(err)
}

func customerFlow(h *harness) {
	p := &stripe.CustomerParams{
		Email: stripe.String("ap@halden.test"), Name: stripe.String("Halden Robotics"), Balance: stripe.Int64(-500),
		Address: &stripe.AddressParams{Country: stripe.String("DE"), Line1: stripe.String("Hafenstr. 1"), City: stripe.String("Kiel")},
	}
	p.AddMetadata("organization_id", "org_1")
	c, err := h.sdk.Customers.New(p)
	h.must(err)
	card, err := h.sdk.PaymentMethods.Attach("pm_card_visa", &stripe.PaymentMethodAttachParams{Customer: &c.ID})
	h.must(err)
	_, err = h.sdk.Customers.Update(c.ID, &stripe.CustomerParams{InvoiceSettings: &stripe.CustomerInvoiceSettingsParams{DefaultPaymentMethod: &card.ID}})
	h.must(err)
	get := &stripe.CustomerParams{}
	get.AddExpand("invoice_settings.default_payment_method")
	_, err = h.sdk.Customers.Get(c.ID, get)
	h.must(err)
	_, err = h.sdk.PaymentMethods.Get(card.ID, nil)
	h.must(err)
	methods := h.sdk.PaymentMethods.List(&stripe.PaymentMethodListParams{Customer: &c.ID, Type: stripe.String("card")})
	for methods.Next() {
	}
	h.must(methods.Err())
	own := h.sdk.Customers.ListPaymentMethods(&stripe.CustomerListPaymentMethodsParams{Customer: &c.ID})
	for own.Next() {
	}
	h.must(own.Err())
	h.finalize(h.draft(c.ID, 300, "usd").ID) // uses the credit
	moves := h.sdk.CustomerBalanceTransactions.List(&stripe.CustomerBalanceTransactionListParams{Customer: &c.ID})
	var move string
	for moves.Next() {
		move = moves.CustomerBalanceTransaction().ID
	}
	h.must(moves.Err())
	_, err = h.sdk.CustomerBalanceTransactions.Get(move, &stripe.CustomerBalanceTransactionParams{Customer: &c.ID})
	h.must(err)
	_, err = h.sdk.PaymentMethods.Detach(card.ID, nil)
	h.must(err)
	all := h.sdk.Customers.List(&stripe.CustomerListParams{Email: stripe.String("ap@halden.test")})
	for all.Next() {
	}
	h.must(all.Err())
	_, err = h.sdk.Customers.Del(c.ID, nil)
	h.must(err)
	_, err = h.sdk.Customers.Get(c.ID, nil)
	h.must(err)
}

func checkoutFlow(h *harness) {
	s := h.session(25000)
	h.pay(s.ID, "card_declined")
	h.pay(s.ID, "card_ok")
	h.fetch(s.ID)
	bank := h.session(25000)
	h.pay(bank.ID, "bank_ok")
	h.control("POST", "/_sim/sessions/"+bank.ID+"/settle", map[string]any{})
	euro := h.sessionParams(h.price(25000, "").ID)
	euro.PaymentMethodTypes = stripe.StringSlice([]string{"card", "sepa_debit"})
	debit, err := h.sdk.CheckoutSessions.New(euro)
	h.must(err)
	h.pay(debit.ID, "bank_fails")
	h.control("POST", "/_sim/sessions/"+debit.ID+"/settle", map[string]any{})
	gone := h.session(900)
	_, err = h.sdk.CheckoutSessions.Expire(gone.ID, nil)
	h.must(err)
	lines := h.sdk.CheckoutSessions.ListLineItems(&stripe.CheckoutSessionListLineItemsParams{Session: &s.ID})
	for lines.Next() {
	}
	h.must(lines.Err())
	sessions := h.sdk.CheckoutSessions.List(&stripe.CheckoutSessionListParams{})
	for sessions.Next() {
	}
	h.must(sessions.Err())

	taxed := h.sessionParams(h.price(10000, "").ID)
	taxed.AutomaticTax = &stripe.CheckoutSessionAutomaticTaxParams{Enabled: stripe.Bool(true)}
	taxed.InvoiceCreation = &stripe.CheckoutSessionInvoiceCreationParams{
		Enabled: stripe.Bool(true), InvoiceData: &stripe.CheckoutSessionInvoiceCreationInvoiceDataParams{Metadata: map[string]string{"order_id": "order_1"}},
	}
	withTax, err := h.sdk.CheckoutSessions.New(taxed)
	h.must(err)
	h.control("POST", "/_sim/sessions/"+withTax.ID+"/pay", map[string]any{"method": "card_ok", "country": "DE"})
	paid := h.fetch(withTax.ID)
	inv := h.invoice(paid.Invoice.ID)
	_, err = h.sdk.TaxRates.Get(inv.TotalTaxAmounts[0].TaxRate.ID, nil)
	h.must(err)

	keep := h.sessionParams("")
	keep.Mode, keep.PaymentIntentData, keep.LineItems = stripe.String("setup"), nil, nil
	keep.SetupIntentData = &stripe.CheckoutSessionSetupIntentDataParams{Metadata: map[string]string{"order_id": "order_1"}}
	setup, err := h.sdk.CheckoutSessions.New(keep)
	h.must(err)
	h.pay(setup.ID, "card_declined")
	h.pay(setup.ID, "card_ok")
	setup, err = h.sdk.CheckoutSessions.Get(setup.ID, nil)
	h.must(err)
	_, err = h.sdk.SetupIntents.Get(setup.SetupIntent.ID, nil)
	h.must(err)
	setups := h.sdk.SetupIntents.List(&stripe.SetupIntentListParams{})
	for setups.Next() {
	}
	h.must(setups.Err())
}

func subscriptionFlow(h *harness) {
	price := h.monthly(2500)
	s, sub := h.subscribe(price.ID, "card_fails_later")
	get := &stripe.CheckoutSessionParams{}
	get.AddExpand("subscription")
	get.AddExpand("invoice")
	_, err := h.sdk.CheckoutSessions.Get(s.ID, get)
	h.must(err)
	h.act(sub.ID, "bill", nil)
	h.subscription(sub.ID)
	h.act(sub.ID, "use", nil)
	h.act(sub.LatestInvoice.ID, "review", nil)
	p := &stripe.SubscriptionParams{CancelAtPeriodEnd: stripe.Bool(true)}
	p.AddMetadata("seen", "yes")
	_, err = h.sdk.Subscriptions.Update(sub.ID, p)
	h.must(err)
	_, err = h.sdk.Subscriptions.Update(sub.ID, &stripe.SubscriptionParams{CancelAtPeriodEnd: stripe.Bool(false)})
	h.must(err)
	_, err = h.sdk.Subscriptions.Update(sub.ID, &stripe.SubscriptionParams{PauseCollection: &stripe.SubscriptionPauseCollectionParams{Behavior: stripe.String("void")}})
	h.must(err)
	h.act(sub.ID, "pause", nil)
	_, err = h.sdk.Subscriptions.Resume(sub.ID, &stripe.SubscriptionResumeParams{BillingCycleAnchor: stripe.String("now")})
	h.must(err)
	list := &stripe.SubscriptionListParams{Customer: &sub.Customer.ID, Status: stripe.String("all")}
	list.AddExpand("data.latest_invoice")
	all := h.sdk.Subscriptions.List(list)
	for all.Next() {
	}
	h.must(all.Err())
	items := h.sdk.SubscriptionItems.List(&stripe.SubscriptionItemListParams{Subscription: &sub.ID})
	for items.Next() {
	}
	h.must(items.Err())
	_, err = h.sdk.Subscriptions.Cancel(sub.ID, &stripe.SubscriptionCancelParams{
		CancellationDetails: &stripe.SubscriptionCancelCancellationDetailsParams{Comment: stripe.String("moved")},
	})
	h.must(err)
	_, confirm := h.subscribe(price.ID, "card_needs_confirmation")
	h.act(confirm.ID, "bill", nil)
	_, err = h.sdk.PaymentIntents.Get(h.subscription(confirm.ID).LatestInvoice.PaymentIntent.ID, nil)
	h.must(err)
}

func planFlow(h *harness) {
	_, sub := h.subscribe(h.monthly(3000).ID, "card_ok")
	h.advance(10 * aDay)
	for _, price := range []string{h.monthly(6000).ID, h.recurring(60000, "year").ID} {
		_, err := h.sdk.Subscriptions.Update(sub.ID, &stripe.SubscriptionParams{
			Items:             []*stripe.SubscriptionItemsParams{{ID: &sub.Items.Data[0].ID, Price: &price}},
			ProrationBehavior: stripe.String("always_invoice"),
		})
		h.must(err)
	}
	h.invoices(sub.ID)
}

func invoiceFlow(h *harness) {
	c := h.customer()
	inv := h.draft(c.ID, 125000, "usd")
	item := h.sdk.InvoiceItems.List(&stripe.InvoiceItemListParams{Invoice: &inv.ID})
	for item.Next() {
	}
	h.must(item.Err())
	spare, err := h.sdk.InvoiceItems.New(&stripe.InvoiceItemParams{
		Customer: &c.ID, Invoice: &inv.ID, Quantity: stripe.Int64(2),
		PriceData: &stripe.InvoiceItemPriceDataParams{Currency: stripe.String("usd"), Product: stripe.String(h.price(1, "").Product.ID), UnitAmount: stripe.Int64(500)},
	})
	h.must(err)
	_, err = h.sdk.InvoiceItems.Get(spare.ID, nil)
	h.must(err)
	_, err = h.sdk.InvoiceItems.Del(spare.ID, nil)
	h.must(err)
	up := &stripe.InvoiceParams{Description: stripe.String("One year"), Footer: stripe.String("Net 30"), DueDate: stripe.Int64(h.sim.Now().Add(30 * aDay).Unix())}
	up.AddMetadata("order_id", "order_1")
	_, err = h.sdk.Invoices.Update(inv.ID, up)
	h.must(err)
	_, err = h.sdk.Invoices.FinalizeInvoice(inv.ID, &stripe.InvoiceFinalizeInvoiceParams{AutoAdvance: stripe.Bool(false)})
	h.must(err)
	_, err = h.sdk.Invoices.SendInvoice(inv.ID, nil)
	h.must(err)
	lines := h.sdk.Invoices.ListLines(&stripe.InvoiceListLinesParams{Invoice: &inv.ID})
	for lines.Next() {
	}
	h.must(lines.Err())
	_, err = h.sdk.Invoices.Pay(inv.ID, &stripe.InvoicePayParams{PaymentMethod: stripe.String("pm_card_visa")})
	h.must(err)
	paid := h.invoice(inv.ID)
	intents := h.sdk.PaymentIntents.List(&stripe.PaymentIntentListParams{Customer: &c.ID})
	for intents.Next() {
	}
	h.must(intents.Err())
	charges := &stripe.ChargeListParams{PaymentIntent: &paid.PaymentIntent.ID}
	charges.AddExpand("data.invoice")
	all := h.sdk.Charges.List(charges)
	for all.Next() {
	}
	h.must(all.Err())
}

func invoiceEndsFlow(h *harness) {
	c := h.customer()
	_, err := h.sdk.Invoices.Del(h.draft(c.ID, 900, "usd").ID, nil)
	h.must(err)
	void := h.finalize(h.draft(c.ID, 900, "usd").ID)
	_, err = h.sdk.Invoices.VoidInvoice(void.ID, nil)
	h.must(err)
	lost := h.finalize(h.draft(c.ID, 900, "usd").ID)
	_, err = h.sdk.Invoices.MarkUncollectible(lost.ID, nil)
	h.must(err)
	h.act(lost.ID, "transfer", map[string]any{"amount": 400})
	h.act(lost.ID, "transfer", nil)
	outside := h.finalize(h.draft(c.ID, 900, "usd").ID)
	_, err = h.sdk.Invoices.Pay(outside.ID, &stripe.InvoicePayParams{PaidOutOfBand: stripe.Bool(true)})
	h.must(err)
	revision, err := h.revision(h.finalize(h.draft(c.ID, 900, "usd").ID).ID)
	h.must(err)
	h.finalize(revision.ID)
	taxless := h.draft(c.ID, 900, "usd")
	_, err = h.sdk.Invoices.Update(taxless.ID, &stripe.InvoiceParams{AutomaticTax: &stripe.InvoiceAutomaticTaxParams{Enabled: stripe.Bool(true)}})
	h.must(err)
	_, err = h.sdk.Invoices.FinalizeInvoice(taxless.ID, nil)
	stripeError(h.t, err, 400, "customer_tax_location_invalid", "")
	all := h.sdk.Invoices.List(&stripe.InvoiceListParams{Customer: &c.ID, Status: stripe.String("paid")})
	for all.Next() {
	}
	h.must(all.Err())
}

func creditNoteFlow(h *harness) {
	c := h.customer()
	open := h.finalize(h.draft(c.ID, 10000, "usd").ID)
	n, err := h.sdk.CreditNotes.New(&stripe.CreditNoteParams{Invoice: &open.ID, Amount: stripe.Int64(4000), Reason: stripe.String("order_change"), Memo: stripe.String("As agreed")})
	h.must(err)
	_, err = h.sdk.CreditNotes.Get(n.ID, nil)
	h.must(err)
	up := &stripe.CreditNoteParams{}
	up.AddMetadata("ticket", "1")
	_, err = h.sdk.CreditNotes.Update(n.ID, up)
	h.must(err)
	_, err = h.sdk.CreditNotes.VoidCreditNote(n.ID, nil)
	h.must(err)
	h.act(open.ID, "pay", nil)
	after, err := h.sdk.CreditNotes.New(&stripe.CreditNoteParams{
		Invoice: &open.ID, RefundAmount: stripe.Int64(3000), CreditAmount: stripe.Int64(1000),
		Lines: []*stripe.CreditNoteLineParams{{Type: stripe.String("invoice_line_item"), InvoiceLineItem: &open.Lines.Data[0].ID, Amount: stripe.Int64(4000)}},
	})
	h.must(err)
	lines := h.sdk.CreditNotes.ListLines(&stripe.CreditNoteListLinesParams{CreditNote: &after.ID})
	for lines.Next() {
	}
	h.must(lines.Err())
	all := h.sdk.CreditNotes.List(&stripe.CreditNoteListParams{Invoice: &open.ID})
	for all.Next() {
	}
	h.must(all.Err())
}

func quoteFlow(h *harness) {
	c := h.customer()
	mine := h.sdk.Customers.List(&stripe.CustomerListParams{Email: &c.Email})
	for mine.Next() {
	}
	h.must(mine.Err())
	q := h.quote(c.ID, "")
	_, err := h.sdk.Quotes.Update(q.ID, &stripe.QuoteParams{Header: stripe.String("Offer"), Footer: stripe.String("Net 30"), Metadata: map[string]string{"seen": "yes"}})
	h.must(err)
	_, err = h.sdk.Quotes.FinalizeQuote(q.ID, &stripe.QuoteFinalizeQuoteParams{ExpiresAt: stripe.Int64(h.sim.Now().Add(10 * aDay).Unix())})
	h.must(err)
	get := &stripe.QuoteParams{}
	get.AddExpand("line_items")
	get.AddExpand("customer")
	_, err = h.sdk.Quotes.Get(q.ID, get)
	h.must(err)
	lines := h.sdk.Quotes.ListLineItems(&stripe.QuoteListLineItemsParams{Quote: &q.ID})
	for lines.Next() {
	}
	h.must(lines.Err())
	upfront := h.sdk.Quotes.ListComputedUpfrontLineItems(&stripe.QuoteListComputedUpfrontLineItemsParams{Quote: &q.ID})
	for upfront.Next() {
	}
	h.must(upfront.Err())
	stream, err := h.sdk.Quotes.PDF(q.ID, nil)
	h.must(err)
	stream.LastResponse.Body.Close()
	accept := &stripe.QuoteAcceptParams{}
	accept.AddExpand("invoice")
	_, err = h.sdk.Quotes.Accept(q.ID, accept)
	h.must(err)
	pinned := &stripe.QuoteParams{
		Customer: &c.ID, CollectionMethod: stripe.String("send_invoice"), Header: stripe.String("License: Enterprise, annual"),
		InvoiceSettings: &stripe.QuoteInvoiceSettingsParams{DaysUntilDue: stripe.Int64(30)}, ExpiresAt: stripe.Int64(h.sim.Now().Add(10 * aDay).Unix()),
		LineItems: []*stripe.QuoteLineItemParams{{Price: &h.price(1500000, "enterprise.v1").ID, Quantity: stripe.Int64(1)}},
	}
	pinned.AddMetadata("order_id", "order_10")
	priced, err := h.sdk.Quotes.New(pinned)
	h.must(err)
	_, err = h.sdk.Quotes.FinalizeQuote(priced.ID, nil)
	h.must(err)
	priced, err = h.sdk.Quotes.Accept(priced.ID, nil)
	h.must(err)
	intent := &stripe.InvoiceParams{}
	intent.AddMetadata("order_id", "order_10")
	_, err = h.sdk.Invoices.Update(priced.Invoice.ID, intent)
	h.must(err)
	h.finalize(priced.Invoice.ID)
	yearly := h.quote(c.ID, "year")
	_, err = h.sdk.Quotes.FinalizeQuote(yearly.ID, nil)
	h.must(err)
	_, err = h.sdk.Quotes.Accept(yearly.ID, nil)
	h.must(err)
	_, err = h.sdk.Quotes.Cancel(h.quote(c.ID, "").ID, nil)
	h.must(err)
	all := h.sdk.Quotes.List(&stripe.QuoteListParams{Customer: &c.ID, Status: stripe.String("accepted")})
	for all.Next() {
	}
	h.must(all.Err())
}

func refundFlow(h *harness) {
	c := h.paidCharge(25000, "card_ok")
	r, err := h.sdk.Refunds.New(&stripe.RefundParams{PaymentIntent: &c.PaymentIntent.ID, Amount: stripe.Int64(5000), Reason: stripe.String("requested_by_customer")})
	h.must(err)
	up := &stripe.RefundParams{}
	up.AddMetadata("ticket", "1")
	_, err = h.sdk.Refunds.Update(r.ID, up)
	h.must(err)
	get := &stripe.RefundParams{}
	get.AddExpand("charge")
	get.AddExpand("payment_intent")
	_, err = h.sdk.Refunds.Get(r.ID, get)
	h.must(err)
	h.act(r.ID, "fail", nil)
	_, err = h.sdk.Refunds.New(&stripe.RefundParams{Charge: &c.ID})
	h.must(err)
	h.charge(c.ID)
	all := h.sdk.Refunds.List(&stripe.RefundListParams{PaymentIntent: &c.PaymentIntent.ID})
	for all.Next() {
	}
	h.must(all.Err())
	s := h.session(25000)
	h.pay(s.ID, "bank_ok")
	h.control("POST", "/_sim/sessions/"+s.ID+"/settle", map[string]any{})
	bank, err := h.sdk.Refunds.New(&stripe.RefundParams{PaymentIntent: &h.fetch(s.ID).PaymentIntent.ID})
	h.must(err)
	h.act(bank.ID, "succeed", nil)
}

func disputeFlow(h *harness) {
	c := h.paidCharge(25000, "card_ok")
	id := h.act(c.ID, "inquiry", nil)["id"].(string)
	h.act(id, "answer", nil)
	h.act(id, "escalate", nil)
	_, err := h.sdk.Disputes.Update(id, &stripe.DisputeParams{
		Evidence: &stripe.DisputeEvidenceParams{UncategorizedText: stripe.String("It was downloaded.")}, Submit: stripe.Bool(true),
	})
	h.must(err)
	get := &stripe.DisputeParams{}
	get.AddExpand("charge")
	get.AddExpand("payment_intent")
	_, err = h.sdk.Disputes.Get(id, get)
	h.must(err)
	h.act(id, "win", nil)
	all := h.sdk.Disputes.List(&stripe.DisputeListParams{Charge: &c.ID})
	for all.Next() {
	}
	h.must(all.Err())
	second := h.act(h.paidCharge(900, "card_ok").ID, "dispute", nil)["id"].(string)
	_, err = h.sdk.Disputes.Close(second, nil)
	h.must(err)
}

func radarFlow(h *harness) {
	c := h.paidCharge(25000, "card_ok")
	warning := h.act(c.ID, "fraud_warning", nil)["id"].(string)
	get := &stripe.RadarEarlyFraudWarningParams{}
	get.AddExpand("charge")
	_, err := h.sdk.RadarEarlyFraudWarnings.Get(warning, get)
	h.must(err)
	warnings := h.sdk.RadarEarlyFraudWarnings.List(&stripe.RadarEarlyFraudWarningListParams{Charge: &c.ID})
	for warnings.Next() {
	}
	h.must(warnings.Err())
	review := h.act(c.ID, "review", nil)["id"].(string)
	_, err = h.sdk.Reviews.Get(review, nil)
	h.must(err)
	_, err = h.sdk.Reviews.Approve(review, nil)
	h.must(err)
	reviews := h.sdk.Reviews.List(&stripe.ReviewListParams{})
	for reviews.Next() {
	}
	h.must(reviews.Err())
}

func portalFlow(h *harness) {
	_, sub := h.subscribe(h.monthly(2500).ID, "card_ok")
	path := h.portal(sub.Customer.ID, "at_period_end", h.monthly(9900))
	h.browse("POST", path, url.Values{"do": {"cancel"}, "subscription": {sub.ID}})
	_, err := h.sdk.BillingPortalSessions.New(&stripe.BillingPortalSessionParams{Customer: &sub.Customer.ID})
	h.must(err)
	all := h.sdk.BillingPortalConfigurations.List(&stripe.BillingPortalConfigurationListParams{IsDefault: stripe.Bool(true)})
	for all.Next() {
		config := all.BillingPortalConfiguration()
		_, err := h.sdk.BillingPortalConfigurations.Get(config.ID, nil)
		h.must(err)
		_, err = h.sdk.BillingPortalConfigurations.Update(config.ID, &stripe.BillingPortalConfigurationParams{
			BusinessProfile: &stripe.BillingPortalConfigurationBusinessProfileParams{Headline: stripe.String("Billing")},
		})
		h.must(err)
	}
	h.must(all.Err())
}

func endpointFlow(h *harness) {
	e, err := h.sdk.WebhookEndpoints.New(&stripe.WebhookEndpointParams{
		URL: &h.sink.srv.URL, APIVersion: stripe.String("2023-10-16"), EnabledEvents: stripe.StringSlice([]string{"invoice.paid"}),
		Description: stripe.String("licensing portal"),
	})
	h.must(err)
	_, err = h.sdk.WebhookEndpoints.Get(e.ID, nil)
	h.must(err)
	_, err = h.sdk.WebhookEndpoints.Update(e.ID, &stripe.WebhookEndpointParams{
		Disabled: stripe.Bool(true), EnabledEvents: stripe.StringSlice([]string{"invoice.paid", "invoice.voided"}),
	})
	h.must(err)
	all := h.sdk.WebhookEndpoints.List(&stripe.WebhookEndpointListParams{})
	for all.Next() {
	}
	h.must(all.Err())
	_, err = h.sdk.WebhookEndpoints.Del(e.ID, nil)
	h.must(err)
	h.session(900)
	events := h.sdk.Events.List(&stripe.EventListParams{Types: stripe.StringSlice([]string{"price.created"})})
	for events.Next() {
		_, err := h.sdk.Events.Get(events.Event().ID, nil)
		h.must(err)
	}
	h.must(events.Err())
}

// refusalFlow makes calls that only a Stripe with state refuses.
func refusalFlow(h *harness) {
	inv := h.finalize(h.draft(h.customer().ID, 10000, "usd").ID)
	_, err := h.sdk.Invoices.Pay(inv.ID, &stripe.InvoicePayParams{PaymentMethod: stripe.String("pm_card_chargeDeclined")})
	stripeError(h.t, err, 402, "card_declined", "")
	_, err = h.sdk.Invoices.Get("in_none", nil)
	stripeError(h.t, err, 404, "resource_missing", "invoice")
	_, err = h.sdk.Refunds.New(&stripe.RefundParams{Charge: stripe.String("ch_none")})
	stripeError(h.t, err, 400, "resource_missing", "charge")
	p := &stripe.CustomerParams{}
	p.SetIdempotencyKey("k")
	_, err = h.sdk.Customers.New(p)
	h.must(err)
	p.Name = stripe.String("Other")
	_, err = h.sdk.Customers.New(p)
	if e, ok := err.(*stripe.Error); !ok || e.Type != stripe.ErrorTypeIdempotency {
		h.t.Errorf("got %v", err)
	}
}
