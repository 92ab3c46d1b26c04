package billing_test

import (
	"errors"
	"maps"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// customer makes a customer of the account, as a person would.
func (h *harness) customer() string {
	h.t.Helper()
	h.api("/v1/customers", url.Values{"email": {"buyer@lumen.example"}, "name": {"Lumen"}})
	return h.firstID("/v1/customers")
}

// draft makes a draft invoice by hand, of one line for each amount in cents.
func (h *harness) draft(customer string, amounts ...int64) string {
	h.t.Helper()
	h.api("/v1/invoices", url.Values{
		"customer": {customer}, "metadata[order_id]": {"ord_1"}, "collection_method": {"send_invoice"}, "days_until_due": {"30"},
	})
	id := h.firstID("/v1/invoices")
	for _, amount := range amounts {
		h.api("/v1/invoiceitems", url.Values{"customer": {customer}, "invoice": {id}, "amount": {strconv.FormatInt(amount, 10)}, "currency": {"usd"}})
	}
	return id
}

func (h *harness) finalized(amounts ...int64) string {
	h.t.Helper()
	id := h.draft(h.customer(), amounts...)
	h.api("/v1/invoices/"+id+"/finalize", nil)
	return id
}

func (h *harness) fetchInvoice(id string) fulfillment.Invoice {
	h.t.Helper()
	i, err := h.client.FetchInvoice(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return i
}

func TestAnInvoiceIsReadWithWhatDecides(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	customer := h.customer()
	id := h.draft(customer, 15_000_00)
	if got := h.fetchInvoice(id); got.Status != "draft" || got.Number != "" || got.HostedURL != "" || got.PaymentIntentID != "" {
		t.Errorf("draft %+v", got)
	}
	h.api("/v1/invoices/"+id+"/finalize", nil)
	got := h.fetchInvoice(id)
	if got.ID != id || got.Livemode || got.Status != "open" || got.BillingReason != "manual" || got.Collection != "send_invoice" || got.PaidOutOfBand ||
		got.Currency != "USD" || got.Total != 15_000_00 || got.AmountDue != 15_000_00 || got.AmountPaid != 0 || got.AmountLeft != 15_000_00 ||
		got.Lines != 1 || got.LineID == "" || got.Quantity != 1 || got.LineAmount != 15_000_00 || got.StripeCustomer != customer ||
		got.Number == "" || got.HostedURL == "" || got.PDFURL == "" || got.PaymentIntentID == "" || got.PaymentIntent != "requires_payment_method" ||
		!maps.Equal(got.Metadata, map[string]string{"order_id": "ord_1"}) || got.SubscriptionID != "" || got.QuoteID != "" || got.ReplacedBy != "" {
		t.Errorf("open %+v", got)
	}
	if days := got.DueAt.Sub(got.CreatedAt).Hours() / 24; days < 29 || days > 31 || time.Since(got.CreatedAt) > time.Minute {
		t.Errorf("created %s, due %s", got.CreatedAt, got.DueAt)
	}
	h.act(id, "pay", map[string]any{"method": "card_declined"})
	if got := h.fetchInvoice(id); got.Status != "open" || got.PaymentFailure == "" {
		t.Errorf("declined %+v", got)
	}
	h.act(id, "pay", map[string]any{})
	if got := h.fetchInvoice(id); got.Status != "paid" || got.AmountPaid != 15_000_00 || got.AmountLeft != 0 || got.PaymentIntent != "succeeded" {
		t.Errorf("paid %+v", got)
	}
}

func TestWhatBecameOfAnInvoiceIsRead(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		become func(h *harness) string
		is     func(fulfillment.Invoice) bool
	}{
		"void": {func(h *harness) string {
			id := h.finalized(900_00)
			h.act(id, "void", nil)
			return id
		}, func(i fulfillment.Invoice) bool { return i.Status == "void" }},
		"uncollectible": {func(h *harness) string {
			id := h.finalized(900_00)
			h.act(id, "mark_uncollectible", nil)
			return id
		}, func(i fulfillment.Invoice) bool { return i.Status == "uncollectible" }},
		"out of band": {func(h *harness) string {
			id := h.finalized(900_00)
			h.act(id, "out_of_band", nil)
			return id
		}, func(i fulfillment.Invoice) bool { return i.Status == "paid" && i.PaidOutOfBand }},
		"paid in part": {func(h *harness) string {
			id := h.finalized(900_00)
			h.act(id, "transfer", map[string]any{"amount": 400_00})
			return id
		}, func(i fulfillment.Invoice) bool {
			return i.Status == "open" && i.AmountPaid == 400_00 && i.AmountLeft == 500_00
		}},
		"credit note": {func(h *harness) string {
			id := h.finalized(900_00)
			h.api("/v1/credit_notes", url.Values{"invoice": {id}, "amount": {"10000"}})
			return id
		}, func(i fulfillment.Invoice) bool { return i.Status == "open" && i.CreditNotes == 100_00 }},
		"several lines": {func(h *harness) string { return h.finalized(900_00, 100_00, 1_00) },
			func(i fulfillment.Invoice) bool {
				return i.Lines == 2 && i.LineID == "" && i.Quantity == 0 && i.LineAmount == 0
			}},
		"no line": {func(h *harness) string { return h.draft(h.customer()) },
			func(i fulfillment.Invoice) bool { return i.Lines == 0 && i.LineID == "" }},
		"deleted": {func(*harness) string { return "in_gone" },
			func(i fulfillment.Invoice) bool { return i.ID == "in_gone" && i.Status == "deleted" }},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t)
			if got := h.fetchInvoice(tt.become(h)); !tt.is(got) {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestAnInvoiceThatCannotBeReadIsNotDeleted(t *testing.T) {
	t.Parallel()
	_, err := newClient(t, "http://127.0.0.1:1").FetchInvoice(t.Context(), "in_1")
	if !errors.Is(err, fulfillment.ErrUnavailable) {
		t.Error(err)
	}
}
