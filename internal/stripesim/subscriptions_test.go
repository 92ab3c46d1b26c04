package stripesim_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"

	"github.com/metrum-ai/licensing-portal/internal/stripesim"
)

// startOn starts a stand-in whose clock stands still at a day of 2027.
func startOn(t *testing.T, month time.Month, day int) *harness {
	t.Helper()
	at := time.Date(2027, month, day, 9, 30, 0, 0, time.UTC)
	return start(t, func(c *stripesim.Config) { c.Clock = func() time.Time { return at } })
}

// subscribe buys a monthly subscription through Checkout.
func (h *harness) subscribe(price, method string) (*stripe.CheckoutSession, *stripe.Subscription) {
	h.t.Helper()
	p := h.sessionParams(price)
	p.Mode, p.PaymentIntentData = stripe.String("subscription"), nil
	p.SubscriptionData = &stripe.CheckoutSessionSubscriptionDataParams{Metadata: map[string]string{"order_id": "order_1"}}
	s, err := h.sdk.CheckoutSessions.New(p)
	h.must(err)
	h.pay(s.ID, method)
	s, err = h.sdk.CheckoutSessions.Get(s.ID, nil)
	h.must(err)
	if s.Subscription == nil {
		h.t.Fatalf("the session has no subscription: %s", s.Status)
	}
	return s, h.subscription(s.Subscription.ID)
}

func (h *harness) subscription(id string) *stripe.Subscription {
	h.t.Helper()
	p := &stripe.SubscriptionParams{}
	p.AddExpand("latest_invoice.payment_intent")
	p.AddExpand("customer")
	sub, err := h.sdk.Subscriptions.Get(id, p)
	h.must(err)
	return sub
}

// invoices lists a subscription's invoices, oldest first.
func (h *harness) invoices(subscription string) []*stripe.Invoice {
	h.t.Helper()
	var out []*stripe.Invoice
	it := h.sdk.Invoices.List(&stripe.InvoiceListParams{Subscription: &subscription})
	for it.Next() {
		out = append(out, it.Invoice())
	}
	h.must(it.Err())
	slices.Reverse(out)
	return out
}

func TestSubscriptionBeginsAtCheckoutInStripesOrder(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	price := h.monthly(2500)
	mark := len(h.events())
	s, sub := h.subscribe(price.ID, "card_ok")
	want(t, "story", h.story(mark), strings.Join([]string{
		"customer.created", "payment_method.attached", "customer.subscription.created", "invoice.created", "payment_intent.created",
		"invoice.finalized", "charge.succeeded", "payment_intent.succeeded", "invoice.updated", "invoice.paid",
		"invoice.payment_succeeded", "customer.subscription.updated", "checkout.session.completed",
	}, " "))
	if s.PaymentStatus != "paid" || s.PaymentIntent != nil || s.Invoice.ID != sub.LatestInvoice.ID || s.Customer.ID != sub.Customer.ID {
		t.Errorf("session: %s, intent %v, invoice %v", s.PaymentStatus, s.PaymentIntent, s.Invoice)
	}
	inv := sub.LatestInvoice
	if sub.Status != "active" || sub.Metadata["order_id"] != "order_1" || inv.SubscriptionDetails.Metadata["order_id"] != "order_1" ||
		inv.BillingReason != "subscription_create" || inv.Status != "paid" || inv.AmountPaid != 2500 || inv.PaymentIntent.Status != "succeeded" ||
		len(inv.Metadata) != 0 {
		t.Errorf("subscription %s %v, invoice %+v", sub.Status, sub.Metadata, inv)
	}
	line := inv.Lines.Data[0]
	if line.Price.ID != price.ID || line.Quantity != 1 || line.Type != "subscription" || line.SubscriptionItem.ID != sub.Items.Data[0].ID ||
		line.Period.Start != sub.CurrentPeriodStart || line.Period.End != sub.CurrentPeriodEnd || line.Metadata["order_id"] != "order_1" {
		t.Errorf("line: %+v", line)
	}
	h.sameAsTold()
}

func TestTwelveMonthsAreTwelveInvoicesAMonthApart(t *testing.T) {
	t.Parallel()
	h := startOn(t, time.January, 31)
	_, sub := h.subscribe(h.monthly(2500).ID, "card_ok")
	h.advance(365*aDay + 2*time.Hour)
	got := h.invoices(sub.ID)
	if len(got) != 13 {
		t.Fatalf("%d invoices, want the first and twelve renewals", len(got))
	}
	days := []string{"01-31", "02-28", "03-31", "04-30", "05-31", "06-30", "07-31", "08-31", "09-30", "10-31", "11-30", "12-31", "01-31"}
	for i, inv := range got {
		period := inv.Lines.Data[0].Period
		want(t, "start", time.Unix(period.Start, 0).UTC().Format("01-02"), days[i])
		if i > 0 {
			want(t, "reason", inv.BillingReason, "subscription_cycle")
			want(t, "created", inv.Created, period.Start)
			want(t, "paid an hour later", inv.StatusTransitions.PaidAt, period.Start+3600)
			want(t, "follows", period.Start, got[i-1].Lines.Data[0].Period.End)
			want(t, "order", inv.SubscriptionDetails.Metadata["order_id"], "order_1")
		}
		if inv.Status != "paid" || inv.AmountPaid != 2500 {
			t.Errorf("invoice %d: %s %d", i, inv.Status, inv.AmountPaid)
		}
	}
	now := h.subscription(sub.ID)
	want(t, "status", now.Status, "active")
	want(t, "period", time.Unix(now.CurrentPeriodEnd, 0).UTC().Format(time.DateOnly), "2028-02-29")
	last := int64(0)
	for _, e := range h.events() {
		if e.created < last {
			t.Fatalf("%s was made at %d, after an event of %d", e.kind, e.created, last)
		}
		last = e.created
	}
	h.sameAsTold()
}

func TestBillingOnRequestLeavesTheClockAlone(t *testing.T) {
	t.Parallel()
	h := startOn(t, time.March, 15)
	_, sub := h.subscribe(h.monthly(2500).ID, "card_ok")
	before := h.sim.Now()
	h.act(sub.ID, "bill", map[string]any{"cycles": 12})
	got := h.invoices(sub.ID)
	if len(got) != 13 || !h.sim.Now().Equal(before) {
		t.Fatalf("%d invoices at %v", len(got), h.sim.Now())
	}
	for i, inv := range got[1:] {
		if inv.Status != "paid" || inv.Created != before.Unix() || inv.Lines.Data[0].Period.Start != got[i].Lines.Data[0].Period.End {
			t.Errorf("renewal %d: %s, created %d, %+v", i, inv.Status, inv.Created, inv.Lines.Data[0].Period)
		}
	}
	want(t, "end", time.Unix(h.subscription(sub.ID).CurrentPeriodEnd, 0).UTC().Format(time.DateOnly), "2028-04-15")
}

func TestFailedRenewalIsTriedAgainUntilACardWorks(t *testing.T) {
	t.Parallel()
	h := startOn(t, time.May, 1)
	_, sub := h.subscribe(h.monthly(2500).ID, "card_fails_later")
	mark := len(h.events())
	h.advance(31*aDay + time.Hour)
	now := h.subscription(sub.ID)
	inv := now.LatestInvoice
	if now.Status != "past_due" || inv.Status != "open" || inv.Paid || inv.AttemptCount != 1 || !now.Customer.Delinquent ||
		inv.NextPaymentAttempt != h.sim.Now().Add(3*aDay).Unix() || inv.PaymentIntent.LastPaymentError.Code != "card_declined" {
		t.Errorf("%s, invoice %s after %d, next %d, %+v", now.Status, inv.Status, inv.AttemptCount, inv.NextPaymentAttempt, inv.PaymentIntent)
	}
	if story := h.story(mark); !strings.Contains(story, "charge.failed payment_intent.payment_failed invoice.updated invoice.payment_failed customer.subscription.updated") {
		t.Errorf("story: %s", story)
	}
	h.advance(3 * aDay)
	want(t, "attempts", h.subscription(sub.ID).LatestInvoice.AttemptCount, 2)
	h.act(sub.ID, "use", map[string]any{"method": "card_ok"})
	h.advance(5 * aDay)
	now = h.subscription(sub.ID)
	if now.Status != "active" || now.LatestInvoice.Status != "paid" || now.LatestInvoice.AttemptCount != 3 || now.Customer.Delinquent {
		t.Errorf("after the new card: %s, invoice %s, delinquent %v", now.Status, now.LatestInvoice.Status, now.Customer.Delinquent)
	}
	h.sameAsTold()
}

func TestUnpaidSubscriptionEndsAfterTheLastTry(t *testing.T) {
	t.Parallel()
	h := startOn(t, time.May, 1)
	_, sub := h.subscribe(h.monthly(2500).ID, "card_fails_later")
	h.advance(31*aDay + time.Hour)
	h.advance((3 + 5 + 7) * aDay)
	now := h.subscription(sub.ID)
	if now.Status != "canceled" || now.CancellationDetails.Reason != "payment_failed" || now.LatestInvoice.Status != "open" || now.LatestInvoice.AttemptCount != 4 {
		t.Errorf("%s (%s), invoice %s after %d", now.Status, now.CancellationDetails.Reason, now.LatestInvoice.Status, now.LatestInvoice.AttemptCount)
	}
	if now.LatestInvoice.AutoAdvance || now.LatestInvoice.NextPaymentAttempt != 0 {
		t.Error("the invoice of a subscription that ended is still collected")
	}
	made := len(h.invoices(sub.ID))
	h.advance(90 * aDay)
	want(t, "invoices", len(h.invoices(sub.ID)), made)
	h.sink.wait(1, "customer.subscription.deleted")
	h.sameAsTold()
}

func TestRenewalMayNeedTheCustomersConfirmation(t *testing.T) {
	t.Parallel()
	h := startOn(t, time.May, 1)
	_, sub := h.subscribe(h.monthly(2500).ID, "card_needs_confirmation")
	h.advance(31*aDay + time.Hour)
	h.sink.wait(1, "invoice.payment_action_required")
	now := h.subscription(sub.ID)
	want(t, "intent", now.LatestInvoice.PaymentIntent.Status, "requires_action")
	h.act(now.LatestInvoice.ID, "pay", map[string]any{"method": "card_needs_confirmation"})
	now = h.subscription(sub.ID)
	if now.Status != "active" || now.LatestInvoice.Status != "paid" {
		t.Errorf("%s %s", now.Status, now.LatestInvoice.Status)
	}
	h.sameAsTold()
}

func TestBankDebitStartsASubscriptionThatMayFail(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ method, status, invoice, payment, event string }{
		{"bank_ok", "active", "paid", "paid", "checkout.session.async_payment_succeeded"},
		{"bank_fails", "past_due", "open", "unpaid", "checkout.session.async_payment_failed"},
	} {
		t.Run(c.method, func(t *testing.T) {
			t.Parallel()
			h := start(t, nil)
			s, sub := h.subscribe(h.monthly(2500).ID, c.method)
			if s.Status != "complete" || s.PaymentStatus != "unpaid" || sub.Status != "active" || sub.LatestInvoice.Status != "open" ||
				sub.LatestInvoice.PaymentIntent.Status != "processing" {
				t.Errorf("at first: %s %s, %s, invoice %s", s.Status, s.PaymentStatus, sub.Status, sub.LatestInvoice.Status)
			}
			h.advance(time.Hour + time.Minute)
			h.sink.wait(1, c.event)
			sub = h.subscription(sub.ID)
			s, err := h.sdk.CheckoutSessions.Get(s.ID, nil)
			h.must(err)
			if string(sub.Status) != c.status || string(sub.LatestInvoice.Status) != c.invoice || string(s.PaymentStatus) != c.payment {
				t.Errorf("then: %s, invoice %s, session %s", sub.Status, sub.LatestInvoice.Status, s.PaymentStatus)
			}
			h.sameAsTold()
		})
	}
}

func TestSubscriptionIsCanceledAndTakenBack(t *testing.T) {
	t.Parallel()
	h := startOn(t, time.May, 1)
	_, sub := h.subscribe(h.monthly(2500).ID, "card_ok")
	set := func(p *stripe.SubscriptionParams) *stripe.Subscription {
		t.Helper()
		got, err := h.sdk.Subscriptions.Update(sub.ID, p)
		h.must(err)
		return got
	}
	got := set(&stripe.SubscriptionParams{CancelAtPeriodEnd: stripe.Bool(true)})
	if !got.CancelAtPeriodEnd || got.CancelAt != sub.CurrentPeriodEnd || got.Status != "active" || got.CanceledAt == 0 || got.CancellationDetails.Reason != "cancellation_requested" {
		t.Errorf("cancel at the period's end: %+v", got)
	}
	got = set(&stripe.SubscriptionParams{CancelAtPeriodEnd: stripe.Bool(false)})
	if got.CancelAtPeriodEnd || got.CancelAt != 0 || got.CanceledAt != 0 || got.CancellationDetails.Reason != "" {
		t.Errorf("taken back: %+v", got)
	}
	set(&stripe.SubscriptionParams{CancelAtPeriodEnd: stripe.Bool(true)})
	h.advance(32 * aDay)
	now := h.subscription(sub.ID)
	if now.Status != "canceled" || now.EndedAt != sub.CurrentPeriodEnd || len(h.invoices(sub.ID)) != 1 {
		t.Errorf("after the end: %s at %d, %d invoices", now.Status, now.EndedAt, len(h.invoices(sub.ID)))
	}
	if _, err := h.sdk.Subscriptions.Cancel(sub.ID, nil); err == nil {
		t.Error("a canceled subscription was canceled again")
	}
	active := h.sdk.Subscriptions.List(&stripe.SubscriptionListParams{})
	if active.Next() {
		t.Error("a canceled subscription is listed without asking")
	}
	all := h.sdk.Subscriptions.List(&stripe.SubscriptionListParams{Status: stripe.String("all")})
	if !all.Next() || all.Subscription().ID != sub.ID {
		t.Error("it is not listed with status=all")
	}

	_, second := h.subscribe(h.monthly(900).ID, "card_ok")
	ended, err := h.sdk.Subscriptions.Cancel(second.ID, &stripe.SubscriptionCancelParams{
		CancellationDetails: &stripe.SubscriptionCancelCancellationDetailsParams{Comment: stripe.String("moved"), Feedback: stripe.String("unused")},
	})
	h.must(err)
	if ended.Status != "canceled" || ended.CancellationDetails.Feedback != "unused" || ended.CancellationDetails.Reason != "cancellation_requested" {
		t.Errorf("canceled now: %s, %+v", ended.Status, ended.CancellationDetails)
	}
	h.sameAsTold()
}

func TestPausedCollectionBillsNobody(t *testing.T) {
	t.Parallel()
	for behavior, status := range map[string]stripe.InvoiceStatus{"void": "void", "keep_as_draft": "draft", "mark_uncollectible": "uncollectible"} {
		t.Run(behavior, func(t *testing.T) {
			t.Parallel()
			h := startOn(t, time.May, 1)
			_, sub := h.subscribe(h.monthly(2500).ID, "card_ok")
			resumes := sub.CurrentPeriodEnd + 10*24*3600
			_, err := h.sdk.Subscriptions.Update(sub.ID, &stripe.SubscriptionParams{PauseCollection: &stripe.SubscriptionPauseCollectionParams{
				Behavior: &behavior, ResumesAt: &resumes,
			}})
			h.must(err)
			h.advance(32 * aDay)
			now := h.subscription(sub.ID)
			if now.LatestInvoice.Status != status || now.Status != "active" || now.PauseCollection == nil {
				t.Errorf("paused: invoice %s, %s", now.LatestInvoice.Status, now.Status)
			}
			h.advance(31 * aDay)
			now = h.subscription(sub.ID)
			if now.LatestInvoice.Status != "paid" || now.PauseCollection != nil {
				t.Errorf("resumed: invoice %s, pause %v", now.LatestInvoice.Status, now.PauseCollection)
			}
			h.sameAsTold()
		})
	}
}

func TestPausedSubscriptionResumesWithANewPeriod(t *testing.T) {
	t.Parallel()
	h := startOn(t, time.May, 1)
	_, sub := h.subscribe(h.monthly(2500).ID, "card_ok")
	h.act(sub.ID, "pause", nil)
	h.sink.wait(1, "customer.subscription.paused")
	h.advance(60 * aDay)
	now := h.subscription(sub.ID)
	if now.Status != "paused" || len(h.invoices(sub.ID)) != 1 {
		t.Errorf("%s with %d invoices", now.Status, len(h.invoices(sub.ID)))
	}
	got, err := h.sdk.Subscriptions.Resume(sub.ID, &stripe.SubscriptionResumeParams{BillingCycleAnchor: stripe.String("now")})
	h.must(err)
	h.sink.wait(1, "customer.subscription.resumed")
	list := h.invoices(sub.ID)
	if got.Status != "active" || got.CurrentPeriodStart != h.sim.Now().Unix() || len(list) != 2 || list[1].Status != "paid" {
		t.Errorf("resumed: %s from %d, %d invoices", got.Status, got.CurrentPeriodStart, len(list))
	}
	h.sameAsTold()
}

func TestPlanChangeIsProrated(t *testing.T) {
	t.Parallel()
	change := func(h *harness, sub *stripe.Subscription, price, behavior string) *stripe.Subscription {
		h.t.Helper()
		_, err := h.sdk.Subscriptions.Update(sub.ID, &stripe.SubscriptionParams{
			Items:             []*stripe.SubscriptionItemsParams{{ID: &sub.Items.Data[0].ID, Price: &price}},
			ProrationBehavior: &behavior,
		})
		h.must(err)
		return h.subscription(sub.ID)
	}
	t.Run("on the next invoice", func(t *testing.T) {
		t.Parallel()
		h := startOn(t, time.June, 1) // 30 days
		_, sub := h.subscribe(h.monthly(3000).ID, "card_ok")
		h.advance(15 * aDay)
		change(h, sub, h.monthly(6000).ID, "create_prorations")
		pending := h.sdk.InvoiceItems.List(&stripe.InvoiceItemListParams{Pending: stripe.Bool(true)})
		var sum int64
		for pending.Next() {
			sum += pending.InvoiceItem().Amount
		}
		want(t, "half a month's difference", sum, 1500)
		h.advance(16 * aDay)
		inv := h.subscription(sub.ID).LatestInvoice
		if inv.Total != 6000+1500 || len(inv.Lines.Data) != 3 || inv.BillingReason != "subscription_cycle" || inv.Status != "paid" {
			t.Errorf("next invoice: %d in %d lines, %s %s", inv.Total, len(inv.Lines.Data), inv.BillingReason, inv.Status)
		}
		h.sameAsTold()
	})
	t.Run("at once", func(t *testing.T) {
		t.Parallel()
		h := startOn(t, time.June, 1)
		_, sub := h.subscribe(h.monthly(3000).ID, "card_ok")
		h.advance(15 * aDay)
		inv := change(h, sub, h.monthly(6000).ID, "always_invoice").LatestInvoice
		if inv.Total != 1500 || inv.BillingReason != "subscription_update" || inv.Status != "paid" || !inv.Lines.Data[0].Proration || inv.Lines.Data[0].Amount != -1500 {
			t.Errorf("%d %s %s %+v", inv.Total, inv.BillingReason, inv.Status, inv.Lines.Data[0])
		}
		h.sameAsTold()
	})
	t.Run("with a new interval", func(t *testing.T) {
		t.Parallel()
		h := startOn(t, time.June, 1)
		_, sub := h.subscribe(h.monthly(3000).ID, "card_ok")
		h.advance(15 * aDay)
		now := change(h, sub, h.recurring(30000, "year").ID, "create_prorations")
		inv := now.LatestInvoice
		if inv.Total != 30000-1500 || inv.BillingReason != "subscription_update" || now.BillingCycleAnchor != h.sim.Now().Unix() ||
			time.Unix(now.CurrentPeriodEnd, 0).UTC().Format(time.DateOnly) != "2028-06-16" {
			t.Errorf("%d %s, until %d", inv.Total, inv.BillingReason, now.CurrentPeriodEnd)
		}
		h.sameAsTold()
	})
	t.Run("without", func(t *testing.T) {
		t.Parallel()
		h := startOn(t, time.June, 1)
		_, sub := h.subscribe(h.monthly(3000).ID, "card_ok")
		now := change(h, sub, h.monthly(6000).ID, "none")
		if len(h.invoices(sub.ID)) != 1 || now.Items.Data[0].Price.UnitAmount != 6000 {
			t.Error("a change without proration was billed")
		}
	})
}

func TestDeclinedCardBeginsNoSubscription(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	p := h.sessionParams(h.monthly(2500).ID)
	p.Mode, p.PaymentIntentData = stripe.String("subscription"), nil
	s, err := h.sdk.CheckoutSessions.New(p)
	h.must(err)
	h.pay(s.ID, "card_declined")
	s, err = h.sdk.CheckoutSessions.Get(s.ID, nil)
	h.must(err)
	if s.Status != "open" || s.Subscription != nil || s.Customer != nil {
		t.Errorf("%s, subscription %v", s.Status, s.Subscription)
	}
	h.pay(s.ID, "card_ok")
	s, err = h.sdk.CheckoutSessions.Get(s.ID, nil)
	h.must(err)
	want(t, "second try", s.PaymentStatus, "paid")
}

func TestWhatFellDueWhileTheStandInWasOffHappensAtItsTime(t *testing.T) {
	t.Parallel()
	dir, sink := t.TempDir(), newReceiver(t)
	at := time.Date(2027, time.May, 1, 9, 30, 0, 0, time.UTC)
	run := func(now time.Time) *harness {
		return start(t, func(c *stripesim.Config) {
			c.Dir, c.Clock = dir, func() time.Time { return now }
			c.Endpoints[0].URL = sink.srv.URL
		})
	}
	h := run(at)
	_, sub := h.subscribe(h.monthly(2500).ID, "card_ok")
	waiting := h.finalize(h.draft(h.customer().ID, 30000, "usd").ID)
	h.act(waiting.ID, "pay", map[string]any{"method": "bank_ok"})
	h.stop()

	h = run(at.AddDate(0, 2, 1))
	list := h.invoices(sub.ID)
	if len(list) != 3 || list[2].Status != "paid" || list[1].Created != at.AddDate(0, 1, 0).Unix() {
		t.Fatalf("%d invoices after two months", len(list))
	}
	paid := h.invoice(waiting.ID)
	if paid.Status != "paid" || paid.StatusTransitions.PaidAt != at.Add(time.Hour).Unix() {
		t.Errorf("the debit: %s at %d", paid.Status, paid.StatusTransitions.PaidAt)
	}
	sink.wait(4, "invoice.paid") // late, and all the same
	h.sameAsTold()
}

func TestCanceledSubscriptionIsNotCollectedAnyMore(t *testing.T) {
	t.Parallel()
	h := startOn(t, time.May, 1)
	_, sub := h.subscribe(h.monthly(2500).ID, "card_fails_later")
	h.advance(31*aDay + time.Hour)
	_, err := h.sdk.Subscriptions.Cancel(sub.ID, nil)
	h.must(err)
	h.advance(30 * aDay)
	inv := h.subscription(sub.ID).LatestInvoice
	if inv.AttemptCount != 1 || inv.Status != "open" {
		t.Errorf("%s after %d attempts", inv.Status, inv.AttemptCount)
	}
	h.act(inv.ID, "pay", nil) // the customer may still pay
	now := h.subscription(sub.ID)
	if now.Status != "canceled" || now.LatestInvoice.Status != "paid" {
		t.Errorf("%s, invoice %s", now.Status, now.LatestInvoice.Status)
	}
	h.sameAsTold()
}

func TestSubscriptionThatNobodyPaysForExpires(t *testing.T) {
	t.Parallel()
	h := startOn(t, time.May, 1)
	customer := h.customer()
	card, err := h.sdk.PaymentMethods.Attach("pm_card_authenticationRequired", &stripe.PaymentMethodAttachParams{Customer: &customer.ID})
	h.must(err)
	price := h.monthly(2500).ID
	q, err := h.sdk.Quotes.New(&stripe.QuoteParams{Customer: &customer.ID, LineItems: []*stripe.QuoteLineItemParams{{Price: &price}}})
	h.must(err)
	_, err = h.sdk.Quotes.FinalizeQuote(q.ID, nil)
	h.must(err)
	_, err = h.sdk.Quotes.Accept(q.ID, nil)
	stripeError(t, err, 400, "resource_missing", "") // no card is the customer's default
	_, err = h.sdk.Customers.Update(customer.ID, &stripe.CustomerParams{InvoiceSettings: &stripe.CustomerInvoiceSettingsParams{DefaultPaymentMethod: &card.ID}})
	h.must(err)
	q, err = h.sdk.Quotes.Accept(q.ID, nil)
	h.must(err)
	sub := h.subscription(q.Subscription.ID)
	if q.Status != "accepted" || sub.Status != "incomplete" || sub.LatestInvoice.PaymentIntent.Status != "requires_action" {
		t.Errorf("%s, %s, %s", q.Status, sub.Status, sub.LatestInvoice.PaymentIntent.Status)
	}
	h.advance(24 * time.Hour)
	sub = h.subscription(sub.ID)
	if sub.Status != "incomplete_expired" || sub.LatestInvoice.Status != "void" {
		t.Errorf("a day later: %s, invoice %s", sub.Status, sub.LatestInvoice.Status)
	}
	h.sameAsTold()
}
