package fulfillment_test

import (
	"math/rand"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

func invoicedBy(sku string, c fulfillment.Channel) fulfillment.Snapshot {
	s := snapshotOf(sku)
	s.Channel = c
	return s
}

// paidInvoice is an invoice that matches the snapshot and is paid for.
func paidInvoice(s fulfillment.Snapshot) fulfillment.Invoice {
	i := fulfillment.Invoice{
		ID: "in_1", Status: "paid", Currency: s.Currency, Total: s.Total, AmountDue: s.Total, AmountPaid: s.Total, Lines: 1, LineID: "il_1",
		LookupKey: s.Template.LookupKey(), Quantity: 1, LineAmount: s.Total, CreatedAt: day,
	}
	switch s.Channel {
	case fulfillment.ByQuote:
		i.BillingReason, i.Metadata = "quote_accept", s.Intent.Metadata()
	case fulfillment.BySubscription:
		i.BillingReason, i.SubscriptionMetadata = "subscription_create", s.Intent.Metadata()
	case fulfillment.ByCycle:
		i.BillingReason, i.SubscriptionMetadata = "subscription_cycle", s.Intent.Metadata()
	}
	return i
}

func TestDecideByInvoice(t *testing.T) {
	t.Parallel()
	quoted := invoicedBy("enterprise-annual", fulfillment.ByQuote)
	began := invoicedBy("hosted-instance-monthly", fulfillment.BySubscription)
	cycle := invoicedBy("hosted-instance-monthly", fulfillment.ByCycle)
	agreed := quoted
	agreed.Contract.AddFeatures = []string{"audit_log_export"}
	cheaper := quoted
	cheaper.Total -= 100
	of := func(s fulfillment.Snapshot, change func(*fulfillment.Invoice)) []fulfillment.Invoice {
		i := paidInvoice(s)
		if change != nil {
			change(&i)
		}
		return []fulfillment.Invoice{i}
	}
	is := func(status string) func(*fulfillment.Invoice) {
		return func(i *fulfillment.Invoice) { i.Status, i.AmountPaid, i.AmountLeft = status, 0, i.Total }
	}
	linked := paidSession(began)
	linked.Mode, linked.SubscriptionID, linked.InvoiceID = "subscription", "sub_1", "in_1"
	other := linked
	other.Mode = "payment"
	quote := func(status string) *fulfillment.Quote { return &fulfillment.Quote{ID: "qt_1", Status: status} }
	proved := []string{"in_1"}
	cases := []struct {
		name     string
		snapshot fulfillment.Snapshot
		facts    fulfillment.Facts
		want     fulfillment.State
		reasons  string
		ready    bool
	}{
		{"a quote being prepared", quoted, fulfillment.Facts{}, "draft", "", false},
		{"an open quote", quoted, fulfillment.Facts{Attempt: 1, Quote: quote("open")}, "awaiting_payment", "", false},
		{"an accepted quote whose invoice is not there yet", quoted, fulfillment.Facts{Attempt: 1, Quote: quote("accepted")}, "awaiting_payment", "", false},
		{"a quote's word of tomorrow", quoted, fulfillment.Facts{Attempt: 1, Quote: quote("archived")}, "in_review", "status-unknown", false},
		{"a canceled quote", quoted, fulfillment.Facts{Attempt: 1, Quote: quote("canceled")}, "failed", "", false},
		{"an open invoice", quoted, fulfillment.Facts{Attempt: 1, Invoices: of(quoted, is("open"))}, "awaiting_payment", "", false},
		{"an uncollectible invoice", quoted, fulfillment.Facts{Attempt: 1, Invoices: of(quoted, is("uncollectible"))}, "awaiting_payment", "", false},
		{"a voided invoice", quoted, fulfillment.Facts{Attempt: 1, Invoices: of(quoted, is("void"))}, "failed", "", false},
		{"a deleted draft", quoted, fulfillment.Facts{Attempt: 1, Invoices: of(quoted, is("deleted"))}, "failed", "", false},
		{"a voided invoice and its replacement", quoted, fulfillment.Facts{Attempt: 1, Invoices: append(of(quoted, is("void")),
			of(quoted, func(i *fulfillment.Invoice) { is("open")(i); i.ID = "in_2" })...)}, "awaiting_payment", "", false},
		{"a bank transfer under way", quoted, fulfillment.Facts{Attempt: 1, Invoices: of(quoted, func(i *fulfillment.Invoice) { is("open")(i); i.PaymentIntent = "processing" })}, "processing", "", false},
		{"a paid invoice", quoted, fulfillment.Facts{Attempt: 1, Invoices: of(quoted, nil)}, "paid", "", false},
		{"a paid invoice with its event", quoted, fulfillment.Facts{Attempt: 1, Invoices: of(quoted, nil), Authorized: proved}, "paid", "", true},
		{"an invoice with tax", quoted, fulfillment.Facts{Invoices: of(quoted, func(i *fulfillment.Invoice) { i.Tax, i.AmountPaid = 1900, i.AmountPaid+1900 })}, "paid", "", false},
		{"tax in the price", quoted, fulfillment.Facts{Invoices: of(quoted, func(i *fulfillment.Invoice) { i.Tax = 1900 })}, "in_review", "amount-mismatch", false},
		{"paid in part", quoted, fulfillment.Facts{Invoices: of(quoted, func(i *fulfillment.Invoice) { is("open")(i); i.AmountPaid = 1 })}, "in_review", "partly-paid", false},
		{"paid out of band", quoted, fulfillment.Facts{Invoices: of(quoted, func(i *fulfillment.Invoice) { i.PaidOutOfBand = true })}, "in_review", "paid-out-of-band", false},
		{"a balance", quoted, fulfillment.Facts{Invoices: of(quoted, func(i *fulfillment.Invoice) { i.StartBalance = -500; i.AmountPaid -= 500 })}, "in_review", "balance-used amount-mismatch", false},
		{"a credit note", quoted, fulfillment.Facts{Invoices: of(quoted, func(i *fulfillment.Invoice) { i.CreditNotes = 500 })}, "in_review", "credit-note", false},
		{"a discount", quoted, fulfillment.Facts{Invoices: of(quoted, func(i *fulfillment.Invoice) { i.Discount = 500; i.AmountPaid -= 500 })}, "in_review", "discounted amount-mismatch", false},
		{"nothing to pay", quoted, fulfillment.Facts{Invoices: of(quoted, func(i *fulfillment.Invoice) { i.Total, i.AmountPaid, i.LineAmount = 0, 0, 0 })}, "in_review", "amount-mismatch", false},
		{"two lines", quoted, fulfillment.Facts{Invoices: of(quoted, func(i *fulfillment.Invoice) { i.Lines = 2 })}, "in_review", "invoice-lines", false},
		{"another price", quoted, fulfillment.Facts{Invoices: of(quoted, func(i *fulfillment.Invoice) { i.LookupKey = "pilot-30d.v1" })}, "in_review", "package-mismatch", false},
		{"another quantity", quoted, fulfillment.Facts{Invoices: of(quoted, func(i *fulfillment.Invoice) { i.Quantity = 2 })}, "in_review", "quantity-mismatch", false},
		{"another currency", quoted, fulfillment.Facts{Invoices: of(quoted, func(i *fulfillment.Invoice) { i.Currency = "JPY" })}, "in_review", "currency-mismatch", false},
		{"the other mode", quoted, fulfillment.Facts{Invoices: of(quoted, func(i *fulfillment.Invoice) { i.Livemode = true })}, "in_review", "mode-mismatch", false},
		{"another intent", quoted, fulfillment.Facts{Invoices: of(quoted, func(i *fulfillment.Invoice) { i.Metadata = map[string]string{"order_id": "ord_2"} })}, "in_review", "intent-mismatch", false},
		{"another reason", quoted, fulfillment.Facts{Invoices: of(quoted, func(i *fulfillment.Invoice) { i.BillingReason = "subscription_cycle" })}, "in_review", "billing-reason", false},
		{"a word that is new", quoted, fulfillment.Facts{Attempt: 1, Invoices: of(quoted, is("pledged"))}, "in_review", "status-unknown", false},
		{"a contract", agreed, fulfillment.Facts{Invoices: of(agreed, nil), Authorized: proved}, "in_review", "by-contract", false},
		{"a price by contract", cheaper, fulfillment.Facts{Invoices: of(cheaper, nil), Authorized: proved}, "in_review", "by-contract", false},
		{"paid after the customer declined", quoted, fulfillment.Facts{Canceled: true, Invoices: of(quoted, nil)}, "in_review", "paid-after-cancel", false},
		{"declined", quoted, fulfillment.Facts{Canceled: true, Attempt: 1, Invoices: of(quoted, is("open"))}, "canceled", "", false},

		{"a subscription begun whose invoice is not there yet", began, fulfillment.Facts{Attempt: 1, Sessions: []fulfillment.Session{linked}, Authorized: []string{"cs_1"}}, "processing", "", false},
		{"its first invoice is paid", began, fulfillment.Facts{Attempt: 1, Sessions: []fulfillment.Session{linked}, Invoices: of(began, nil), Authorized: proved}, "paid", "", true},
		{"only the session's event is stored", began, fulfillment.Facts{Attempt: 1, Sessions: []fulfillment.Session{linked}, Invoices: of(began, nil), Authorized: []string{"cs_1"}}, "paid", "", false},
		{"a session that began no subscription", began, fulfillment.Facts{Attempt: 1, Sessions: []fulfillment.Session{other}}, "in_review", "session-mode", false},
		{"its first debit is under way", began, fulfillment.Facts{Attempt: 1, Sessions: []fulfillment.Session{linked}, Invoices: of(began, func(i *fulfillment.Invoice) { is("open")(i); i.PaymentIntent = "processing" })}, "processing", "", false},

		{"a cycle that is owed", cycle, fulfillment.Facts{Attempt: 1, Invoices: of(cycle, is("open"))}, "awaiting_payment", "", false},
		{"a cycle that is paid", cycle, fulfillment.Facts{Attempt: 1, Invoices: of(cycle, nil), Authorized: proved}, "paid", "", true},
		{"a cycle that was given up", cycle, fulfillment.Facts{Attempt: 1, Invoices: of(cycle, is("void"))}, "failed", "", false},
		{"a changed plan", cycle, fulfillment.Facts{Attempt: 1, Invoices: of(cycle, func(i *fulfillment.Invoice) { i.BillingReason = "subscription_update"; i.Proration = true })}, "in_review", "billing-reason invoice-lines", false},
		{"issued, whatever becomes of its invoice", cycle, fulfillment.Facts{Attempt: 1, Issued: true, Invoices: of(cycle, is("void"))}, "issued", "", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := fulfillment.Decide(c.snapshot, c.facts)
			if got.State != c.want || codes(got.Reasons) != c.reasons || got.Ready != c.ready {
				t.Errorf("%s %q ready %v, want %s %q ready %v", got.State, codes(got.Reasons), got.Ready, c.want, c.reasons, c.ready)
			}
		})
	}
}

// anyInvoice draws an invoice of an order, in any of its standings and with any of its faults.
func anyInvoice(s fulfillment.Snapshot) *rapid.Generator[fulfillment.Invoice] {
	return rapid.Custom(func(t *rapid.T) fulfillment.Invoice {
		i := paidInvoice(s)
		i.ID = rapid.SampledFrom([]string{"in_1", "in_2", "in_3"}).Draw(t, "id")
		i.Status = rapid.SampledFrom([]string{"draft", "open", "paid", "void", "uncollectible", "deleted", "new"}).Draw(t, "status")
		i.AmountPaid = rapid.SampledFrom([]int64{0, 1, s.Total}).Draw(t, "paid")
		i.PaymentIntent = rapid.SampledFrom([]string{"", "processing", "succeeded"}).Draw(t, "intent")
		i.PaidOutOfBand = rapid.Bool().Draw(t, "out of band")
		i.CreatedAt = day.Add(time.Duration(i.ID[3]) * time.Hour)
		return i
	})
}

func TestNeitherOrderNorRepetitionOfInvoicesMatters(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		snapshot := invoicedBy("enterprise-annual", fulfillment.ByQuote)
		known := rapid.SliceOfNDistinct(anyInvoice(snapshot), 0, 3, func(i fulfillment.Invoice) string { return i.ID }).Draw(t, "invoices")
		f := fulfillment.Facts{
			Attempt: 1, Invoices: known, Canceled: rapid.Bool().Draw(t, "canceled"), Issued: rapid.Bool().Draw(t, "issued"),
			Authorized: rapid.SliceOf(rapid.SampledFrom([]string{"in_1", "in_2", "in_3"})).Draw(t, "authorized"),
		}
		want := fulfillment.Decide(snapshot, f)
		again := slices.Concat(known, known)
		rand.New(rand.NewSource(rapid.Int64().Draw(t, "seed"))).Shuffle(len(again), func(a, b int) { again[a], again[b] = again[b], again[a] })
		f.Invoices = again
		if got := fulfillment.Decide(snapshot, f); !reflect.DeepEqual(got, want) {
			t.Fatalf("another order or number of the same facts: %+v, want %+v", got, want)
		}
		if want.Ready && !slices.ContainsFunc(known, func(i fulfillment.Invoice) bool {
			return i.Status == "paid" && !i.PaidOutOfBand && i.AmountPaid == snapshot.Total && slices.Contains(f.Authorized, i.ID)
		}) {
			t.Fatal("ready without a matching paid invoice whose event is stored")
		}
		if f.Issued && want.State != fulfillment.StateIssued {
			t.Fatal("an issued order is not issued any more")
		}
	})
}
