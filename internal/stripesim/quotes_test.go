package stripesim_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"
)

// quote makes a quote of a contract price for a customer.
func (h *harness) quote(customer string, recurring string) *stripe.Quote {
	h.t.Helper()
	product, err := h.sdk.Products.New(&stripe.ProductParams{Name: stripe.String("Enterprise license (on premises)")})
	h.must(err)
	data := &stripe.QuoteLineItemPriceDataParams{Product: &product.ID, Currency: stripe.String("usd"), UnitAmount: stripe.Int64(4800000)}
	if recurring != "" {
		data.Recurring = &stripe.QuoteLineItemPriceDataRecurringParams{Interval: &recurring}
	}
	p := &stripe.QuoteParams{
		Customer: &customer, CollectionMethod: stripe.String("send_invoice"), Description: stripe.String("One year, two regions"),
		InvoiceSettings:  &stripe.QuoteInvoiceSettingsParams{DaysUntilDue: stripe.Int64(30)},
		LineItems:        []*stripe.QuoteLineItemParams{{PriceData: data, Quantity: stripe.Int64(1)}},
		SubscriptionData: &stripe.QuoteSubscriptionDataParams{Metadata: map[string]string{"order_id": "order_9"}},
	}
	if recurring == "" {
		p.SubscriptionData = nil
	}
	p.AddMetadata("order_id", "order_9")
	q, err := h.sdk.Quotes.New(p)
	h.must(err)
	return q
}

func TestQuoteBecomesAPaidInvoice(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	customer := h.customer()
	q := h.quote(customer.ID, "")
	if q.Status != "draft" || q.AmountTotal != 4800000 || q.Number != "" || q.Currency != "usd" || q.Computed.Upfront.AmountTotal != 4800000 || q.Computed.Recurring != nil {
		t.Errorf("draft: %+v", q)
	}
	_, err := h.sdk.Quotes.Accept(q.ID, nil)
	stripeError(t, err, 400, "", "")
	_, err = h.sdk.Quotes.Update(q.ID, &stripe.QuoteParams{Footer: stripe.String("Net 30")})
	h.must(err)
	q, err = h.sdk.Quotes.FinalizeQuote(q.ID, &stripe.QuoteFinalizeQuoteParams{ExpiresAt: stripe.Int64(time.Now().Add(48 * time.Hour).Unix())})
	h.must(err)
	if q.Status != "open" || q.Number == "" || q.StatusTransitions.FinalizedAt == 0 {
		t.Errorf("open: %+v", q)
	}
	get := &stripe.QuoteParams{}
	get.AddExpand("line_items")
	full, err := h.sdk.Quotes.Get(q.ID, get)
	h.must(err)
	if len(full.LineItems.Data) != 1 || full.LineItems.Data[0].AmountTotal != 4800000 || full.LineItems.Data[0].Price.Active {
		t.Errorf("lines: %+v", full.LineItems)
	}
	q, err = h.sdk.Quotes.Accept(q.ID, nil)
	h.must(err)
	inv := h.invoice(q.Invoice.ID)
	if q.Status != "accepted" || inv.Status != "draft" || inv.BillingReason != "quote_accept" || inv.Quote.ID != q.ID || len(inv.Metadata) != 0 ||
		inv.CollectionMethod != "send_invoice" || inv.Total != 4800000 || inv.AutoAdvance {
		t.Errorf("accepted: %s, invoice %+v", q.Status, inv)
	}
	up := &stripe.InvoiceParams{}
	up.AddMetadata("order_id", "order_9")
	_, err = h.sdk.Invoices.Update(inv.ID, up)
	h.must(err)
	h.finalize(inv.ID)
	h.act(inv.ID, "transfer", nil)
	paid := h.sink.wait(1, "invoice.paid")[0]
	if paid.event.Data.Object["metadata"].(map[string]any)["order_id"] != "order_9" || paid.event.Data.Object["billing_reason"] != "quote_accept" {
		t.Errorf("event: %v", paid.event.Data.Object)
	}
	for _, name := range []string{"quote.created", "quote.finalized", "quote.accepted", "invoice.finalized"} {
		h.sink.wait(1, name)
	}
	h.sameAsTold()
}

func TestQuoteOfARecurringPriceBeginsASubscription(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	q := h.quote(h.customer().ID, "year")
	if q.Computed.Recurring == nil || q.Computed.Recurring.Interval != "year" || q.Computed.Recurring.AmountTotal != 4800000 {
		t.Errorf("computed: %+v", q.Computed)
	}
	_, err := h.sdk.Quotes.FinalizeQuote(q.ID, nil)
	h.must(err)
	q, err = h.sdk.Quotes.Accept(q.ID, nil)
	h.must(err)
	sub := h.subscription(q.Subscription.ID)
	if sub.Status != "active" || sub.Metadata["order_id"] != "order_9" || sub.LatestInvoice.Status != "open" || sub.LatestInvoice.BillingReason != "subscription_create" ||
		sub.LatestInvoice.SubscriptionDetails.Metadata["order_id"] != "order_9" || sub.DaysUntilDue != 30 {
		t.Errorf("%s, invoice %+v", sub.Status, sub.LatestInvoice)
	}
	h.sameAsTold()
}

func TestQuoteIsCanceledOrExpires(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	customer := h.customer()
	q, err := h.sdk.Quotes.Cancel(h.quote(customer.ID, "").ID, nil)
	h.must(err)
	want(t, "canceled", q.Status, "canceled")
	other := h.quote(customer.ID, "")
	_, err = h.sdk.Quotes.FinalizeQuote(other.ID, nil)
	h.must(err)
	h.advance(31 * aDay)
	other, err = h.sdk.Quotes.Get(other.ID, nil)
	h.must(err)
	want(t, "expired", other.Status, "canceled")
	h.sink.wait(2, "quote.canceled")
	_, err = h.sdk.Quotes.Accept(other.ID, nil)
	stripeError(t, err, 400, "", "")
	h.sameAsTold()
}

func TestDocumentsArePDFs(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	customer := h.customer()
	q := h.quote(customer.ID, "")
	_, err := h.sdk.Quotes.PDF(q.ID, nil)
	stripeError(t, err, 400, "", "")
	_, err = h.sdk.Quotes.FinalizeQuote(q.ID, nil)
	h.must(err)
	stream, err := h.sdk.Quotes.PDF(q.ID, nil)
	h.must(err)
	file, err := io.ReadAll(stream.LastResponse.Body)
	h.must(err)
	checkPDF(t, file, "(Quote)", "(Enterprise license \\(on premises\\))", "(US$ 48,000.00)")

	for i := range 60 { // more than a page
		_, err := h.sdk.InvoiceItems.New(&stripe.InvoiceItemParams{Customer: &customer.ID, Amount: stripe.Int64(100), Currency: stripe.String("usd"), Description: stripe.String(fmt.Sprint("Line ", i, " – Zürich"))})
		h.must(err)
	}
	inv, err := h.sdk.Invoices.New(&stripe.InvoiceParams{Customer: &customer.ID, PendingInvoiceItemsBehavior: stripe.String("include")})
	h.must(err)
	resp, err := http.Get(h.finalize(inv.ID).InvoicePDF)
	h.must(err)
	defer resp.Body.Close()
	file, err = io.ReadAll(resp.Body)
	h.must(err)
	if resp.Header.Get("Content-Type") != "application/pdf" {
		t.Error(resp.Header)
	}
	checkPDF(t, file, "(Invoice)", "(Line 59 \\226 Z\\374rich)", "(US$ 60.00)", "/Count 3")
}

// checkPDF follows the cross-reference table: every entry must lead to its
// object, and every stream must be as long as it says.
func checkPDF(t *testing.T, file []byte, texts ...string) {
	t.Helper()
	if !bytes.HasPrefix(file, []byte("%PDF-1.4\n")) || !bytes.HasSuffix(file, []byte("%%EOF\n")) {
		t.Fatalf("no PDF: %.40q", file)
	}
	start := regexp.MustCompile(`startxref\n(\d+)\n`).FindSubmatch(file)
	at, err := strconv.Atoi(string(start[1]))
	if err != nil || !bytes.HasPrefix(file[at:], []byte("xref\n0 ")) {
		t.Fatalf("startxref leads to %.20q", file[at:])
	}
	entries := regexp.MustCompile(`(\d{10}) 00000 n `).FindAllSubmatch(file[at:], -1)
	for i, e := range entries {
		offset, err := strconv.Atoi(string(e[1]))
		if err != nil || !bytes.HasPrefix(file[offset:], []byte(fmt.Sprintf("%d 0 obj\n", i+1))) {
			t.Errorf("entry %d leads to %.20q", i+1, file[offset:])
		}
	}
	for _, m := range regexp.MustCompile(`(?s)<< /Length (\d+) >>\nstream\n(.*?)endstream`).FindAllSubmatch(file, -1) {
		if strconv.Itoa(len(m[2])) != string(m[1]) {
			t.Errorf("a stream of %d bytes says %s", len(m[2]), m[1])
		}
	}
	for _, text := range texts {
		if !bytes.Contains(file, []byte(text)) {
			t.Errorf("the file does not say %s", text)
		}
	}
}
