package billing_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/billing"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

var _ fulfillment.Payments = (*billing.Client)(nil)

// buy pays for an order and answers its payment intent and charge.
func (h *harness) buy(order, sku, method string) (session fulfillment.Session, chargeID string) {
	h.t.Helper()
	r := checkout(h.t, sku)
	r.OrderID, r.IdempotencyKey, r.Snapshot.Intent.OrderID = order, "checkout:"+order+":1", order
	opened := h.open(r)
	h.pay(opened.ID, method)
	session = h.fetch(opened.ID)
	if session.PaymentIntentID == "" {
		return session, ""
	}
	return session, h.firstID("/v1/charges?payment_intent=" + session.PaymentIntentID)
}

// firstID reads a list of Stripe's API.
func (h *harness) firstID(path string) string {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, h.url+path, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+testKey)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		Data []struct{ ID string }
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || len(answer.Data) == 0 {
		h.t.Fatalf("%s: %d, %v", path, response.StatusCode, err)
	}
	return answer.Data[0].ID
}

func (h *harness) act(object, action string, in map[string]any) {
	h.t.Helper()
	h.control("/_sim/objects/"+object+"/"+action, in)
}

func TestEveryPaymentIsListedWithWhatBecameOfIt(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.push()
	want := map[string]fulfillment.Payment{}
	sold := func(order, sku, method string) (string, string) {
		session, charge := h.buy(order, sku, method)
		id := session.PaymentIntentID
		if id == "" {
			id = session.ID
		}
		want[id] = fulfillment.Payment{ID: id, OrderID: order, Paid: true}
		return id, charge
	}
	change := func(id string, f func(*fulfillment.Payment)) {
		p := want[id]
		f(&p)
		want[id] = p
	}
	for n := range 103 { // more than a page
		sold(fmt.Sprint("ord_many", n), "credit-pack-5m", "card_ok")
	}
	sold("ord_free", "eval-72h", "confirm")
	whole, charge := sold("ord_refunded", "credit-pack-5m", "card_ok")
	h.act(charge, "refund", map[string]any{})
	change(whole, func(p *fulfillment.Payment) { p.Refunded = true })
	_, charge = sold("ord_partly", "credit-pack-5m", "card_ok")
	h.act(charge, "refund", map[string]any{"amount": 100})
	lost, charge := sold("ord_lost", "credit-pack-5m", "card_ok")
	h.dispute(charge, "lose")
	change(lost, func(p *fulfillment.Payment) { p.Lost = true })
	_, charge = sold("ord_won", "credit-pack-5m", "card_ok")
	h.dispute(charge, "win")
	delete(want, first(h.buy("ord_bank", "credit-pack-5m", "bank_ok")).PaymentIntentID) // under way
	h.open(checkout(t, "pilot-30d"))                                                    // never paid

	got, pages := map[string]fulfillment.Payment{}, 0
	err := h.client.EachPayment(t.Context(), func(page []fulfillment.Payment) error {
		pages++
		for _, p := range page {
			if p.Created.Before(time.Now().Add(-time.Hour)) {
				t.Errorf("%s is of %s", p.ID, p.Created)
			}
			seen := got[p.ID]
			got[p.ID] = fulfillment.Payment{
				ID: p.ID, OrderID: seen.OrderID + p.OrderID, Paid: seen.Paid || p.Paid, Refunded: seen.Refunded || p.Refunded, Lost: seen.Lost || p.Lost,
			}
		}
		return nil
	})
	if err != nil || len(got) != len(want) || pages < 4 {
		t.Errorf("%d payments in %d pages instead of %d: %v", len(got), pages, len(want), err)
	}
	for id, p := range want {
		if got[id] != p {
			t.Errorf("%+v instead of %+v", got[id], p)
		}
	}
	enough := errors.New("enough")
	if err := h.client.EachPayment(t.Context(), func([]fulfillment.Payment) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("went on after %v", err)
	}
}

func first(s fulfillment.Session, _ string) fulfillment.Session { return s }

// dispute opens a dispute of a charge and ends it.
func (h *harness) dispute(charge, end string) {
	h.t.Helper()
	h.act(charge, "dispute", map[string]any{})
	h.act(h.firstID("/v1/disputes?charge="+charge), end, map[string]any{})
}

func TestAnInvoicesPaymentNamesItsOrder(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.api("/v1/customers", url.Values{"email": {"buyer@lumen.example"}})
	customer := h.firstID("/v1/customers")
	h.api("/v1/invoices", url.Values{"customer": {customer}, "metadata[order_id]": {"ord_invoice"}, "collection_method": {"send_invoice"}, "days_until_due": {"30"}})
	invoice := h.firstID("/v1/invoices")
	h.api("/v1/invoiceitems", url.Values{"customer": {customer}, "invoice": {invoice}, "amount": {"25000"}, "currency": {"usd"}})
	h.api("/v1/invoices/"+invoice+"/finalize", nil)
	h.act(invoice, "pay", map[string]any{})
	var got []fulfillment.Payment
	err := h.client.EachPayment(t.Context(), func(page []fulfillment.Payment) error {
		got = append(got, page...)
		return nil
	})
	if err != nil || len(got) != 1 || got[0].OrderID != "ord_invoice" || !got[0].Paid || !strings.HasPrefix(got[0].ID, "pi_") {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestAListThatBreaksOffIsAnError(t *testing.T) {
	t.Parallel()
	client := newClient(t, "http://127.0.0.1:1")
	err := client.EachPayment(t.Context(), func([]fulfillment.Payment) error { return errors.New("called") })
	if !errors.Is(err, fulfillment.ErrUnavailable) {
		t.Error(err)
	}
}
