package stripesim_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"
)

// draft makes an invoice that is sent, with one item of amount.
func (h *harness) draft(customer string, amount int64, currency string) *stripe.Invoice {
	h.t.Helper()
	inv, err := h.sdk.Invoices.New(&stripe.InvoiceParams{
		Customer: &customer, Currency: &currency, CollectionMethod: stripe.String("send_invoice"), DaysUntilDue: stripe.Int64(30),
		AutoAdvance: stripe.Bool(false),
	})
	h.must(err)
	_, err = h.sdk.InvoiceItems.New(&stripe.InvoiceItemParams{
		Customer: &customer, Invoice: &inv.ID, Amount: &amount, Currency: &currency, Description: stripe.String("Annual license"),
	})
	h.must(err)
	return h.invoice(inv.ID)
}

func (h *harness) invoice(id string) *stripe.Invoice {
	h.t.Helper()
	p := &stripe.InvoiceParams{}
	p.AddExpand("payment_intent.latest_charge")
	p.AddExpand("charge")
	inv, err := h.sdk.Invoices.Get(id, p)
	h.must(err)
	return inv
}

func (h *harness) finalize(id string) *stripe.Invoice {
	h.t.Helper()
	_, err := h.sdk.Invoices.FinalizeInvoice(id, nil)
	h.must(err)
	return h.invoice(id)
}

func TestInvoiceGoesFromDraftToPaid(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	customer := h.customer()
	inv := h.draft(customer.ID, 125000, "usd")
	if inv.Status != "draft" || inv.AmountDue != 125000 || inv.Number != "" || inv.HostedInvoiceURL != "" || inv.BillingReason != "manual" || inv.PaymentIntent != nil {
		t.Errorf("draft: %+v", inv)
	}
	up := &stripe.InvoiceParams{}
	up.AddMetadata("order_id", "order_7")
	_, err := h.sdk.Invoices.Update(inv.ID, up)
	h.must(err)
	mark := len(h.events())
	inv = h.finalize(inv.ID)
	want(t, "finalizing", h.story(mark), "payment_intent.created invoice.finalized")
	if inv.Status != "open" || inv.Number == "" || inv.PaymentIntent.Status != "requires_payment_method" || inv.PaymentIntent.Amount != 125000 ||
		inv.HostedInvoiceURL != h.url+"/i/"+inv.ID || inv.InvoicePDF != inv.HostedInvoiceURL+"/pdf" || inv.Metadata["order_id"] != "order_7" ||
		inv.DueDate-inv.StatusTransitions.FinalizedAt != 30*24*3600 {
		t.Errorf("open: %+v", inv)
	}
	_, err = h.sdk.Invoices.FinalizeInvoice(inv.ID, nil)
	stripeError(t, err, 400, "", "")
	_, err = h.sdk.Invoices.Update(inv.ID, &stripe.InvoiceParams{Description: stripe.String("later")})
	stripeError(t, err, 400, "invoice_not_editable", "")
	up.AddMetadata("seen", "yes") // metadata may always change
	_, err = h.sdk.Invoices.Update(inv.ID, up)
	h.must(err)
	_, err = h.sdk.Invoices.SendInvoice(inv.ID, nil)
	h.must(err)
	h.sink.wait(1, "invoice.sent")

	mark = len(h.events())
	h.act(inv.ID, "pay", nil)
	want(t, "paying", h.story(mark), "payment_method.attached charge.succeeded payment_intent.succeeded invoice.updated invoice.paid invoice.payment_succeeded")
	inv = h.invoice(inv.ID)
	if inv.Status != "paid" || !inv.Paid || inv.PaidOutOfBand || inv.AmountPaid != 125000 || inv.AmountRemaining != 0 || inv.Charge.Invoice.ID != inv.ID ||
		inv.PaymentIntent.LatestCharge.ID != inv.Charge.ID || inv.StatusTransitions.PaidAt == 0 || inv.Metadata["seen"] != "yes" {
		t.Errorf("paid: %+v", inv)
	}
	_, err = h.sdk.Invoices.Pay(inv.ID, nil)
	stripeError(t, err, 400, "", "")
	_, err = h.sdk.Invoices.VoidInvoice(inv.ID, nil)
	stripeError(t, err, 400, "", "")
	h.sameAsTold()
}

func TestInvoicePaidPastStripeSaysSo(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	inv := h.finalize(h.draft(h.customer().ID, 125000, "usd").ID)
	mark := len(h.events())
	got, err := h.sdk.Invoices.Pay(inv.ID, &stripe.InvoicePayParams{PaidOutOfBand: stripe.Bool(true)})
	h.must(err)
	if !got.Paid || !got.PaidOutOfBand || got.Charge != nil || got.AmountPaid != 125000 {
		t.Errorf("%+v", got)
	}
	want(t, "story", h.story(mark), "payment_intent.canceled invoice.updated invoice.paid")
	h.sameAsTold()
}

func TestDeclinedInvoicePaymentLeavesTracesAndIsReplayed(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	inv := h.finalize(h.draft(h.customer().ID, 125000, "usd").ID)
	pay := func() error {
		p := &stripe.InvoicePayParams{PaymentMethod: stripe.String("pm_card_chargeDeclined")}
		p.SetIdempotencyKey("pay-1")
		_, err := h.sdk.Invoices.Pay(inv.ID, p)
		return err
	}
	err := pay()
	stripeError(t, err, 402, "card_declined", "")
	if e := err.(*stripe.Error); e.Type != stripe.ErrorTypeCard || e.DeclineCode != "generic_decline" || e.ChargeID == "" {
		t.Errorf("%+v", e)
	}
	inv = h.invoice(inv.ID)
	if inv.Status != "open" || inv.AttemptCount != 1 || !inv.Attempted || inv.PaymentIntent.LastPaymentError.Code != "card_declined" {
		t.Errorf("the decline left no trace: %+v", inv)
	}
	h.sink.wait(1, "invoice.payment_failed")
	stripeError(t, pay(), 402, "card_declined", "")
	want(t, "attempts after a replay", h.invoice(inv.ID).AttemptCount, 1)
	h.sameAsTold()
}

func TestInvoiceIsVoidedGivenUpOrDeleted(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	customer := h.customer()
	void := h.finalize(h.draft(customer.ID, 900, "usd").ID)
	got, err := h.sdk.Invoices.VoidInvoice(void.ID, nil)
	h.must(err)
	if got.Status != "void" || got.StatusTransitions.VoidedAt == 0 || h.invoice(void.ID).PaymentIntent.Status != "canceled" {
		t.Errorf("void: %s", got.Status)
	}
	_, err = h.sdk.Invoices.Pay(void.ID, &stripe.InvoicePayParams{PaymentMethod: stripe.String("pm_card_visa")})
	stripeError(t, err, 400, "", "")

	lost := h.finalize(h.draft(customer.ID, 900, "usd").ID)
	got, err = h.sdk.Invoices.MarkUncollectible(lost.ID, nil)
	h.must(err)
	want(t, "given up", got.Status, "uncollectible")
	h.act(lost.ID, "transfer", nil)
	want(t, "paid after all", h.invoice(lost.ID).Status, "paid")

	gone := h.draft(customer.ID, 900, "usd")
	deleted, err := h.sdk.Invoices.Del(gone.ID, nil)
	h.must(err)
	if !deleted.Deleted {
		t.Error("not deleted")
	}
	_, err = h.sdk.Invoices.Get(gone.ID, nil)
	stripeError(t, err, 404, "resource_missing", "invoice")
	_, err = h.sdk.Invoices.Del(void.ID, nil)
	stripeError(t, err, 400, "", "")
	h.sink.wait(1, "invoice.voided")
	h.sink.wait(1, "invoice.marked_uncollectible")
	h.sink.wait(1, "invoice.deleted")
	h.sameAsTold()
}

// revision revises an invoice.
func (h *harness) revision(of string) (*stripe.Invoice, error) {
	return h.sdk.Invoices.New(&stripe.InvoiceParams{FromInvoice: &stripe.InvoiceFromInvoiceParams{Action: stripe.String("revision"), Invoice: &of}})
}

func TestARevisionTakesTheInvoicesPlaceOnceItIsFinalized(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	first := h.draft(h.customer().ID, 900, "usd")
	_, err := h.sdk.Invoices.Update(first.ID, &stripe.InvoiceParams{Metadata: map[string]string{"order_id": "order_1"}})
	h.must(err)
	_, err = h.revision(first.ID)
	stripeError(t, err, 400, "", "") // a draft is changed itself
	first = h.finalize(first.ID)
	second, err := h.revision(first.ID)
	h.must(err)
	if second.Status != "draft" || second.FromInvoice.Invoice.ID != first.ID || second.FromInvoice.Action != "revision" || second.Total != 900 ||
		second.Metadata["order_id"] != "order_1" || second.Lines.Data[0].ID == first.Lines.Data[0].ID || second.Customer.ID != first.Customer.ID {
		t.Errorf("revision: %+v", second)
	}
	if got := h.invoice(first.ID); got.Status != "open" || got.LatestRevision != nil {
		t.Errorf("before the revision is final: %s %+v", got.Status, got.LatestRevision)
	}
	_, err = h.sdk.InvoiceItems.New(&stripe.InvoiceItemParams{Customer: &second.Customer.ID, Invoice: &second.ID, Amount: stripe.Int64(100), Currency: stripe.String("usd")})
	h.must(err)
	second = h.finalize(second.ID)
	if got := h.invoice(first.ID); got.Status != "void" || got.LatestRevision.ID != second.ID || got.PaymentIntent.Status != "canceled" || second.Total != 1000 || second.Number == first.Number {
		t.Errorf("replaced: %s %+v by %d %s", got.Status, got.LatestRevision, second.Total, second.Number)
	}
	third, err := h.revision(second.ID)
	h.must(err)
	late, err := h.revision(second.ID)
	h.must(err)
	h.finalize(third.ID)
	if got := h.invoice(first.ID); got.LatestRevision.ID != third.ID || h.invoice(second.ID).LatestRevision.ID != third.ID {
		t.Errorf("the first is replaced by %s", got.LatestRevision.ID)
	}
	_, err = h.sdk.Invoices.FinalizeInvoice(late.ID, nil)
	stripeError(t, err, 400, "", "") // what it revises is void
	h.act(third.ID, "pay", nil)
	_, err = h.revision(third.ID)
	stripeError(t, err, 400, "", "")
	_, err = h.sdk.Invoices.New(&stripe.InvoiceParams{})
	stripeError(t, err, 400, "parameter_missing", "customer")
	h.sink.wait(2, "invoice.voided")
	h.sameAsTold()
}

func TestInvoiceShowsTenLinesAndHasMore(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	customer := h.customer()
	for i := range 13 {
		_, err := h.sdk.InvoiceItems.New(&stripe.InvoiceItemParams{
			Customer: &customer.ID, Currency: stripe.String("usd"), UnitAmount: stripe.Int64(100), Quantity: stripe.Int64(int64(i + 1)),
			Description: stripe.String(fmt.Sprint("line ", i)),
		})
		h.must(err)
	}
	empty, err := h.sdk.Invoices.New(&stripe.InvoiceParams{Customer: &customer.ID})
	h.must(err)
	want(t, "pending items are left alone", empty.Total, 0)
	inv, err := h.sdk.Invoices.New(&stripe.InvoiceParams{Customer: &customer.ID, PendingInvoiceItemsBehavior: stripe.String("include")})
	h.must(err)
	if len(inv.Lines.Data) != 10 || !inv.Lines.HasMore || inv.Total != 100*(13*14/2) {
		t.Errorf("%d lines, more %v, total %d", len(inv.Lines.Data), inv.Lines.HasMore, inv.Total)
	}
	seen := map[string]bool{}
	p := &stripe.InvoiceListLinesParams{Invoice: &inv.ID}
	p.Limit = stripe.Int64(5)
	it := h.sdk.Invoices.ListLines(p)
	for it.Next() {
		seen[it.InvoiceLineItem().Description] = true
	}
	h.must(it.Err())
	want(t, "lines by pages", len(seen), 13)
	item := h.sdk.InvoiceItems.List(&stripe.InvoiceItemListParams{Invoice: &inv.ID})
	if !item.Next() {
		t.Fatal("no item")
	}
	_, err = h.sdk.InvoiceItems.Del(item.InvoiceItem().ID, nil)
	h.must(err)
	want(t, "total without an item", h.invoice(inv.ID).Total, inv.Total-item.InvoiceItem().Amount)
	h.sameAsTold()
}

func TestCustomersBalancePaysInvoices(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	cases := []struct {
		name           string
		balance, total int64
		due, ending    int64
		after          int64
		status         string
	}{
		{"credit pays all", -2000, 1500, 0, -500, -500, "paid"},
		{"credit pays a part", -500, 1500, 1000, 0, 0, "open"},
		{"debt is added", 300, 1500, 1800, 0, 0, "open"},
		{"too little to charge", 0, 30, 0, 30, 30, "paid"},
		{"nothing", 0, 0, 0, 0, 0, "paid"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			customer, err := h.sdk.Customers.New(&stripe.CustomerParams{Email: stripe.String("a@b.test"), Balance: &c.balance})
			h.must(err)
			inv := h.finalize(h.draft(customer.ID, c.total, "usd").ID)
			if inv.Total != c.total || inv.AmountDue != c.due || inv.StartingBalance != c.balance || inv.EndingBalance != c.ending || string(inv.Status) != c.status {
				t.Errorf("total %d, due %d, balance %d to %d, %s", inv.Total, inv.AmountDue, inv.StartingBalance, inv.EndingBalance, inv.Status)
			}
			if (inv.PaymentIntent == nil) != (c.due == 0) {
				t.Errorf("payment intent: %v", inv.PaymentIntent)
			}
			customer, err = h.sdk.Customers.Get(customer.ID, nil)
			h.must(err)
			want(t, "balance", customer.Balance, c.after)
			if c.status == "open" && c.balance != 0 {
				_, err := h.sdk.Invoices.VoidInvoice(inv.ID, nil)
				h.must(err)
				customer, err = h.sdk.Customers.Get(customer.ID, nil)
				h.must(err)
				want(t, "balance given back", customer.Balance, c.balance)
			}
		})
	}
	h.sameAsTold()
}

func TestYenHaveNoCents(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	inv := h.finalize(h.draft(h.customer().ID, 1500, "jpy").ID)
	want(t, "due", inv.AmountDue, 1500)
	h.act(inv.ID, "pay", nil)
	got := h.invoice(inv.ID)
	if got.AmountPaid != 1500 || got.Charge.Amount != 1500 || got.Currency != "jpy" {
		t.Errorf("paid %d %s", got.AmountPaid, got.Currency)
	}
	small := h.finalize(h.draft(h.customer().ID, 49, "jpy").ID)
	want(t, "49 yen", small.Status, "paid")
}

func TestTransferMayPayAPart(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	inv := h.finalize(h.draft(h.customer().ID, 125000, "usd").ID)
	h.act(inv.ID, "transfer", map[string]any{"amount": 50000})
	got := h.invoice(inv.ID)
	if got.Status != "open" || got.AmountPaid != 50000 || got.AmountRemaining != 75000 || got.Paid || got.Charge != nil {
		t.Errorf("a part: %s, paid %d, left %d", got.Status, got.AmountPaid, got.AmountRemaining)
	}
	h.sink.wait(1, "payment_intent.partially_funded")
	if status, _ := h.tryControl("POST", "/_sim/objects/"+inv.ID+"/transfer", map[string]any{"amount": 80000}); status != 400 {
		t.Error("more than what is due was taken")
	}
	h.act(inv.ID, "transfer", nil)
	got = h.invoice(inv.ID)
	if got.Status != "paid" || got.AmountPaid != 125000 || got.Charge.PaymentMethodDetails.Type != "customer_balance" {
		t.Errorf("the rest: %s, paid %d", got.Status, got.AmountPaid)
	}
	h.sameAsTold()
}

func TestTaxIsKeptApart(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	customer, err := h.sdk.Customers.New(&stripe.CustomerParams{Email: stripe.String("a@b.test"), Address: &stripe.AddressParams{Country: stripe.String("DE")}})
	h.must(err)
	inv := h.draft(customer.ID, 10000, "eur")
	got, err := h.sdk.Invoices.Update(inv.ID, &stripe.InvoiceParams{AutomaticTax: &stripe.InvoiceAutomaticTaxParams{Enabled: stripe.Bool(true)}})
	h.must(err)
	if got.Subtotal != 10000 || got.Tax != 1900 || got.Total != 11900 || got.TotalExcludingTax != 10000 || got.TotalTaxAmounts[0].Amount != 1900 ||
		got.AutomaticTax.Status != "complete" || got.Lines.Data[0].TaxAmounts[0].TaxableAmount != 10000 {
		t.Errorf("%d + %d = %d, %+v", got.Subtotal, got.Tax, got.Total, got.AutomaticTax)
	}
	exempt, err := h.sdk.Customers.Update(customer.ID, &stripe.CustomerParams{TaxExempt: stripe.String("reverse")})
	h.must(err)
	want(t, "exempt", exempt.TaxExempt, stripe.CustomerTaxExemptReverse)
	want(t, "reverse charge", h.finalize(inv.ID).Tax, 0)
	h.sameAsTold()
}

func TestInvoiceWithoutAPlaceForItsTaxIsNotFinalized(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	inv := h.draft(h.customer().ID, 10000, "usd")
	_, err := h.sdk.Invoices.Update(inv.ID, &stripe.InvoiceParams{AutomaticTax: &stripe.InvoiceAutomaticTaxParams{Enabled: stripe.Bool(true)}})
	h.must(err)
	_, err = h.sdk.Invoices.FinalizeInvoice(inv.ID, nil)
	stripeError(t, err, 400, "customer_tax_location_invalid", "")
	got := h.invoice(inv.ID)
	if got.Status != "draft" || got.LastFinalizationError.Code != "customer_tax_location_invalid" || got.AutomaticTax.Status != "requires_location_inputs" {
		t.Errorf("%s %+v", got.Status, got.LastFinalizationError)
	}
	h.sink.wait(1, "invoice.finalization_failed")
	h.sameAsTold()
}

func TestDraftAdvancesByItselfAfterAnHour(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	customer := h.customer()
	_, err := h.sdk.PaymentMethods.Attach("pm_card_visa", &stripe.PaymentMethodAttachParams{Customer: &customer.ID})
	h.must(err)
	cards := h.sdk.Customers.ListPaymentMethods(&stripe.CustomerListPaymentMethodsParams{Customer: &customer.ID})
	if !cards.Next() {
		t.Fatal("no card is attached")
	}
	card := cards.PaymentMethod().ID
	_, err = h.sdk.Customers.Update(customer.ID, &stripe.CustomerParams{InvoiceSettings: &stripe.CustomerInvoiceSettingsParams{DefaultPaymentMethod: &card}})
	h.must(err)
	inv, err := h.sdk.Invoices.New(&stripe.InvoiceParams{Customer: &customer.ID, AutoAdvance: stripe.Bool(true)})
	h.must(err)
	_, err = h.sdk.InvoiceItems.New(&stripe.InvoiceItemParams{Customer: &customer.ID, Invoice: &inv.ID, Amount: stripe.Int64(5000), Currency: stripe.String("usd")})
	h.must(err)
	h.advance(59 * time.Minute)
	want(t, "before", h.invoice(inv.ID).Status, "draft")
	h.advance(2 * time.Minute)
	got := h.invoice(inv.ID)
	if got.Status != "paid" || got.AmountPaid != 5000 || got.Charge.PaymentMethod != card {
		t.Errorf("after: %s %d", got.Status, got.AmountPaid)
	}
	h.sameAsTold()
}

func TestCreditNotes(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	customer := h.customer()
	note := func(p *stripe.CreditNoteParams) (*stripe.CreditNote, error) { return h.sdk.CreditNotes.New(p) }

	t.Run("before payment less is due", func(t *testing.T) {
		inv := h.finalize(h.draft(customer.ID, 10000, "usd").ID)
		n, err := note(&stripe.CreditNoteParams{Invoice: &inv.ID, Amount: stripe.Int64(4000), Reason: stripe.String("order_change")})
		h.must(err)
		got := h.invoice(inv.ID)
		if n.Type != "pre_payment" || n.Number != inv.Number+"-CN-01" || got.AmountDue != 6000 || got.AmountRemaining != 6000 || got.PrePaymentCreditNotesAmount != 4000 ||
			got.PaymentIntent.Amount != 6000 || got.Total != 10000 {
			t.Errorf("%s %s: due %d, intent %d", n.Type, n.Number, got.AmountDue, got.PaymentIntent.Amount)
		}
		_, err = h.sdk.CreditNotes.VoidCreditNote(n.ID, nil)
		h.must(err)
		h.sink.wait(1, "credit_note.voided")
		want(t, "due again", h.invoice(inv.ID).AmountDue, 10000)
		_, err = note(&stripe.CreditNoteParams{Invoice: &inv.ID, Amount: stripe.Int64(10000)})
		h.must(err)
		want(t, "all credited", h.invoice(inv.ID).Status, "paid")
	})
	t.Run("after it the money goes back", func(t *testing.T) {
		inv := h.finalize(h.draft(customer.ID, 10000, "usd").ID)
		h.act(inv.ID, "pay", nil)
		_, err := note(&stripe.CreditNoteParams{Invoice: &inv.ID, Amount: stripe.Int64(6000), RefundAmount: stripe.Int64(1000)})
		stripeError(t, err, 400, "", "")
		n, err := note(&stripe.CreditNoteParams{
			Invoice: &inv.ID, Amount: stripe.Int64(6000), RefundAmount: stripe.Int64(3000), CreditAmount: stripe.Int64(2000), OutOfBandAmount: stripe.Int64(1000),
		})
		h.must(err)
		got := h.invoice(inv.ID)
		if n.Type != "post_payment" || n.OutOfBandAmount != 1000 || n.CustomerBalanceTransaction == nil || got.PostPaymentCreditNotesAmount != 6000 ||
			got.Charge.AmountRefunded != 3000 || got.Charge.Refunded || got.AmountPaid != 10000 {
			t.Errorf("%+v, refunded %d", n, got.Charge.AmountRefunded)
		}
		refund, err := h.sdk.Refunds.Get(n.Refund.ID, nil)
		h.must(err)
		want(t, "refund", refund.Amount, 3000)
		c, err := h.sdk.Customers.Get(customer.ID, nil)
		h.must(err)
		want(t, "balance", c.Balance, -2000)
		_, err = h.sdk.CreditNotes.VoidCreditNote(n.ID, nil)
		stripeError(t, err, 400, "", "")
		_, err = note(&stripe.CreditNoteParams{Invoice: &inv.ID, Amount: stripe.Int64(5000), OutOfBandAmount: stripe.Int64(5000)})
		stripeError(t, err, 400, "", "amount")
	})
	t.Run("by line", func(t *testing.T) {
		inv := h.finalize(h.draft(customer.ID, 10000, "usd").ID)
		h.act(inv.ID, "transfer", nil)
		n, err := note(&stripe.CreditNoteParams{
			Invoice: &inv.ID, OutOfBandAmount: stripe.Int64(2500),
			Lines: []*stripe.CreditNoteLineParams{{Type: stripe.String("invoice_line_item"), InvoiceLineItem: &inv.Lines.Data[0].ID, Amount: stripe.Int64(2500)}},
		})
		h.must(err)
		if n.Total != 2500 || n.Lines.Data[0].InvoiceLineItem != inv.Lines.Data[0].ID {
			t.Errorf("%+v", n)
		}
	})
	h.sameAsTold()
}
