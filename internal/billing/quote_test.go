package billing_test

import (
	"bytes"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/billing"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

var _ fulfillment.Quoting = (*billing.Client)(nil)

// quoteFor is a request for a quote of one unit of a template.
func quoteFor(t *testing.T, sku string, total int64) fulfillment.QuoteRequest {
	t.Helper()
	s := checkout(t, sku).Snapshot
	s.Channel, s.Total = fulfillment.ByQuote, total
	s.Offer = fulfillment.Offer{DaysUntilDue: 30, ExpiresAt: time.Now().Add(14 * 24 * time.Hour).Truncate(time.Second).UTC(), PreparedBy: "ada"}
	return fulfillment.QuoteRequest{OrderID: "ord_1", Snapshot: s, CustomerEmail: "buyer@lumen.example"}
}

func (h *harness) openQuote(r fulfillment.QuoteRequest) fulfillment.Quote {
	h.t.Helper()
	q, err := h.client.OpenQuote(h.t.Context(), r)
	if err != nil {
		h.t.Fatal(err)
	}
	return q
}

// form is the only POST to a path.
func (h *harness) form(path string) url.Values {
	h.t.Helper()
	posts := h.posts(path)
	if len(posts) != 1 {
		h.t.Fatalf("%d requests of %s, want 1", len(posts), path)
	}
	if posts[0].key == "" {
		h.t.Errorf("%s without an idempotency key", path)
	}
	form, err := url.ParseQuery(posts[0].body)
	if err != nil {
		h.t.Fatal(err)
	}
	return form
}

func TestAQuoteIsForExactlyWhatWasOrdered(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.push()
	r := quoteFor(t, "enterprise-annual", 15_000_00)
	made := h.openQuote(r)
	got, err := h.client.FetchQuote(t.Context(), made.ID)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(got.ID, "qt_") || got.Status != "open" || got.Number == "" || got.Livemode || got.Currency != "USD" || got.Subtotal != 15_000_00 ||
		got.Total != 15_000_00 || got.InvoiceID != "" || got.StripeCustomer == "" || !got.ExpiresAt.Equal(r.Snapshot.Offer.ExpiresAt) ||
		!maps.Equal(got.Metadata, r.Snapshot.Intent.Metadata()) {
		t.Errorf("quote %+v", got)
	}
	form := h.form("/v1/quotes")
	if form.Get("line_items[0][price]") == "" || form.Has("line_items[0][price_data][unit_amount]") || form.Get("invoice_settings[days_until_due]") != "30" ||
		form.Get("collection_method") != "send_invoice" {
		t.Errorf("sent %v", form)
	}
	if form := h.form("/v1/customers"); form.Get("metadata[organization_id]") != "cust_1" || form.Get("name") != "Lumen & Söhne" || form.Get("email") != "buyer@lumen.example" {
		t.Errorf("customer %v", form)
	}
}

func TestAnAgreedPriceIsQuotedInsteadOfTheTemplates(t *testing.T) {
	t.Parallel()
	for sku, total := range map[string]int64{"marketplace-seat": 42_000_00, "enterprise-annual": 13_500_00} {
		t.Run(sku, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t)
			h.push()
			r := quoteFor(t, sku, total)
			r.Snapshot.Currency = "USD"
			if got := h.openQuote(r); got.Total != total || got.Currency != "USD" {
				t.Errorf("quote %+v", got)
			}
			form := h.form("/v1/quotes")
			if form.Has("line_items[0][price]") || form.Get("line_items[0][price_data][product]") != "prod_"+sku || form.Get("line_items[0][price_data][tax_behavior]") != "exclusive" {
				t.Errorf("sent %v", form)
			}
		})
	}
}

func TestARepeatedQuoteIsTheSameQuote(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.push()
	r := quoteFor(t, "enterprise-annual", 15_000_00)
	first := h.openQuote(r)
	if second := h.openQuote(r); second.ID != first.ID || second.Status != "open" {
		t.Errorf("%+v after %+v", second, first)
	}
	h.form("/v1/quotes") // made once, found again by the order that it names
	other := quoteFor(t, "enterprise-annual", 15_000_00)
	other.OrderID, other.Snapshot.Intent.OrderID = "ord_2", "ord_2"
	if next := h.openQuote(other); next.ID == first.ID || next.StripeCustomer != first.StripeCustomer {
		t.Errorf("another order's quote %+v", next)
	}
	foreign := quoteFor(t, "enterprise-annual", 15_000_00)
	foreign.OrderID, foreign.Snapshot.Intent.OrderID, foreign.Snapshot.Intent.CustomerID = "ord_3", "ord_3", "cust_2"
	if next := h.openQuote(foreign); next.StripeCustomer == first.StripeCustomer {
		t.Error("an organization is another's customer, since a buyer has the same address")
	}
}

func TestAQuoteNeedsTheCatalogAtStripe(t *testing.T) {
	t.Parallel()
	for sku, total := range map[string]int64{"marketplace-seat": 42_000_00, "enterprise-annual": 15_000_00} {
		h := newHarness(t)
		_, err := h.client.OpenQuote(t.Context(), quoteFor(t, sku, total))
		if !errors.Is(err, billing.ErrPriceMissing) {
			t.Errorf("%s: %v", sku, err)
		}
	}
}

func TestAnAcceptedQuotesInvoiceIsFinalizedWithTheIntent(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.push()
	r := quoteFor(t, "enterprise-annual", 15_000_00)
	made := h.openQuote(r)
	for range 2 {
		q, err := h.client.AcceptQuote(t.Context(), made.ID)
		if err != nil || q.Status != "accepted" || q.InvoiceID == "" {
			t.Fatalf("%+v, %v", q, err)
		}
		made = q
	}
	h.form("/v1/quotes/" + made.ID + "/accept")
	if draft := h.fetchInvoice(made.InvoiceID); draft.Status != "draft" || len(draft.Metadata) != 0 || draft.BillingReason != "quote_accept" {
		t.Errorf("draft %+v", draft)
	}
	intent := r.Snapshot.Intent.Metadata()
	for range 2 {
		got, err := h.client.FinalizeInvoice(t.Context(), made.InvoiceID, intent)
		if err != nil || got.Status != "open" || !maps.Equal(got.Metadata, intent) || got.QuoteID != made.ID || got.LookupKey != "enterprise-annual.v1" ||
			got.LineAmount != 15_000_00 || got.PaymentIntentID == "" || got.HostedURL == "" || got.DueAt.IsZero() {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	if sent := h.form("/v1/invoices/" + made.InvoiceID); sent.Get("custom_fields[0][value]") != r.Snapshot.Intent.CustomerName {
		t.Errorf("the invoice does not say whom it is for: %v", sent)
	}
	h.form("/v1/invoices/" + made.InvoiceID + "/finalize")
	if _, err := h.client.CancelQuote(t.Context(), made.ID); !errors.Is(err, fulfillment.ErrQuoteClosed) {
		t.Errorf("canceling an accepted quote: %v", err)
	}
}

func TestAnInvoiceThatCannotBeFinalizedSaysWhyAndIsTriedAnew(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	customer := h.customer()
	id := h.draft(customer, 900_00)
	h.api("/v1/invoices/"+id, url.Values{"automatic_tax[enabled]": {"true"}}) // of a customer without an address
	metadata := map[string]string{"order_id": "ord_1"}
	for range 2 {
		got, err := h.client.FinalizeInvoice(t.Context(), id, metadata)
		if err != nil || got.Status != "draft" || got.FinalizationError == "" {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	h.api("/v1/customers/"+customer, url.Values{"address[country]": {"DE"}})
	if got, err := h.client.FinalizeInvoice(t.Context(), id, metadata); err != nil || got.Status != "open" {
		t.Errorf("once staff mended it: %+v, %v", got, err)
	}
}

func TestAQuoteIsCanceledOnce(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.push()
	made := h.openQuote(quoteFor(t, "enterprise-annual", 15_000_00))
	for range 2 {
		if q, err := h.client.CancelQuote(t.Context(), made.ID); err != nil || q.Status != "canceled" {
			t.Errorf("%+v, %v", q, err)
		}
	}
	h.form("/v1/quotes/" + made.ID + "/cancel")
	if _, err := h.client.AcceptQuote(t.Context(), made.ID); !errors.Is(err, fulfillment.ErrQuoteClosed) {
		t.Errorf("accepting a canceled quote: %v", err)
	}
	if _, err := h.client.AcceptQuote(t.Context(), "qt_none"); !errors.Is(err, fulfillment.ErrNotFound) {
		t.Errorf("accepting no quote: %v", err)
	}
}

func TestAQuotesPDFIsFetched(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.push()
	made := h.openQuote(quoteFor(t, "enterprise-annual", 15_000_00))
	file, err := h.client.QuotePDF(t.Context(), made.ID)
	if err != nil || !bytes.HasPrefix(file, []byte("%PDF-")) {
		t.Errorf("%d bytes, %v", len(file), err)
	}
	if _, err := h.client.QuotePDF(t.Context(), "qt_none"); !errors.Is(err, fulfillment.ErrNotFound) {
		t.Errorf("of no quote: %v", err)
	}
}

func TestAQuotesPDFThatCannotBeReadIsAnError(t *testing.T) {
	t.Parallel()
	if _, err := newClient(t, "http://127.0.0.1:1").QuotePDF(t.Context(), "qt_1"); !errors.Is(err, fulfillment.ErrUnavailable) {
		t.Errorf("without an answer: %v", err)
	}
	bodies := map[string]string{"too large": "%PDF-1.4" + strings.Repeat(" ", fulfillment.MaxQuotePDF), "another file": "<html>"}
	for name, body := range bodies {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }))
		if file, err := newClient(t, server.URL).QuotePDF(t.Context(), "qt_1"); err == nil {
			t.Errorf("%s: %d bytes", name, len(file))
		}
		server.Close()
	}
}
