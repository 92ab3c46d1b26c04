package fulfillment_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// SendQuote and SendInvoice implement fulfillment.BillMailer.
func (w *world) SendQuote(_ context.Context, m fulfillment.QuoteMail) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bills = append(w.bills, fmt.Sprint("quote ", m.OrderID, " ", m.To, " ", m.Total, m.Currency))
	return nil
}

func (w *world) SendInvoice(_ context.Context, m fulfillment.InvoiceMail) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bills = append(w.bills, fmt.Sprint("invoice ", m.OrderID, " ", m.To, " ", m.Due, m.Currency))
	return nil
}

func (w *world) billed() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.bills)
}

// quoteDraft asks for a quote of a package for a new deployment.
func (c *customer) quoteDraft(sku string) fulfillment.QuoteDraft {
	d := fulfillment.QuoteDraft{By: "Ada", DaysUntilDue: 30, ValidDays: 14}
	d.FormKey, d.OrganizationID, d.Kind, d.SKU = "quote 1", c.organization, catalog.IssueNew, sku
	d.DeploymentName, d.Environments = "Frankfurt", []string{"production"}
	return d
}

func (c *customer) prepared(d fulfillment.QuoteDraft) fulfillment.Record {
	c.t.Helper()
	p, err := c.quotes.Prepare(c.t.Context(), d)
	c.must(err)
	return p.Record
}

// accepted accepts a quote and waits for its invoice.
func (c *customer) accepted(r fulfillment.Record) fulfillment.Invoice {
	c.t.Helper()
	c.must(c.quotes.Accept(c.t.Context(), c.organization, r.ID, c.user))
	return c.invoiceOf(r, "open")
}

// invoiceOf waits until an order's invoice is stored in a state.
func (c *customer) invoiceOf(r fulfillment.Record, status string) fulfillment.Invoice {
	c.t.Helper()
	var invoice fulfillment.Invoice
	c.eventually("the invoice is "+status, func() bool {
		found, err := c.quotes.Quote(c.t.Context(), c.organization, r.ID)
		c.must(err)
		for _, i := range found.Seen.Invoices {
			invoice = i
		}
		return invoice.Status == status
	})
	return invoice
}

func (w *world) object(id, action string, in map[string]any) {
	w.t.Helper()
	w.sim("/_sim/objects/"+id+"/"+action, in, nil)
}

// isOpen checks that the customer's open orders are this one, with its quote at a step; none for "".
func (c *customer) isOpen(orderID string, at fulfillment.QuoteStep) {
	c.t.Helper()
	list, _, err := c.orders.Orders(c.t.Context(), c.organization, fulfillment.OrdersOpen, fulfillment.Page{})
	c.must(err)
	if at == "" && len(list) != 0 || at != "" && (len(list) != 1 || list[0].ID != orderID || list[0].Quoted != at) {
		c.t.Errorf("%d open orders: %+v instead of one with its quote %q", len(list), list, at)
	}
}

func TestAnAcceptedQuotesInvoiceIsPaidAndBecomesALicense(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"card", "transfer"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.work()
			c := w.customer()
			r := c.prepared(c.quoteDraft("enterprise-annual"))
			if r.State != fulfillment.StateAwaitingPayment || r.Seen.Quote.Status != "open" || r.Snapshot.Total != 15_000_00 || r.BuyerEmail != buyer {
				t.Errorf("prepared %+v", r)
			}
			if again := c.prepared(c.quoteDraft("enterprise-annual")); again.ID != r.ID || again.Seen.Quote.ID != r.Seen.Quote.ID {
				t.Errorf("the same request made %s after %s", again.ID, r.ID)
			}
			if _, err := c.orders.Checkout(t.Context(), c.organization, r.ID); !errors.Is(err, fulfillment.ErrNotPayable) {
				t.Errorf("checkout of a quote: %v", err)
			}
			if file, err := c.quotes.PDF(t.Context(), c.organization, r.ID); err != nil || len(file) == 0 {
				t.Errorf("PDF: %d bytes, %v", len(file), err)
			}
			w.idle() // a quote that is accepted is no news any more
			c.isOpen(r.ID, fulfillment.QuoteOffered)
			invoice := c.accepted(r)
			c.isOpen(r.ID, fulfillment.QuoteInvoiced)
			c.must(c.quotes.Accept(t.Context(), c.organization, r.ID, c.user)) // a second click
			if invoice.Metadata["order_id"] != r.ID || invoice.LookupKey != "enterprise-annual.v1" || invoice.HostedURL == "" {
				t.Errorf("invoice %+v", invoice)
			}
			if err := c.quotes.Decline(t.Context(), c.organization, r.ID); !errors.Is(err, fulfillment.ErrQuoteClosed) {
				t.Errorf("declining an accepted quote: %v", err)
			}
			action := map[string]string{"card": "pay", "transfer": "transfer"}[method]
			w.object(invoice.ID, action, map[string]any{})
			o := c.becomes(r.Order, fulfillment.StateIssued)
			c.isOpen(r.ID, "")
			if l := c.license(o); l.Payload.SKU != "enterprise-annual" || l.Payload.ExpiresAt.Sub(l.Payload.IssuedAt) < 364*24*time.Hour {
				t.Errorf("license %+v", l.Payload)
			}
			w.idle()
			want := []string{"quote " + r.ID + " " + buyer + " 1500000USD", "invoice " + r.ID + " " + buyer + " 1500000USD"}
			if got := w.billed(); !slices.Equal(got, want) {
				t.Errorf("mails %q instead of %q", got, want)
			}
			if n := w.count("SELECT count(*) FROM quotes WHERE accepted_by = $1", c.user); n != 1 {
				t.Error("it is not noted who accepted")
			}
		})
	}
}

func TestAContractQuoteWaitsForApproval(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	d := c.quoteDraft("marketplace-seat")
	d.Total, d.Currency = 42_000_00, "USD"
	d.Contract.ExpiresAt = time.Now().AddDate(0, 9, 0).UTC().Truncate(time.Second)
	d.Contract.AddFeatures = []string{"pii_filtering"}
	p, err := c.quotes.Prepare(t.Context(), d)
	w.must(err)
	r := p.Record
	preview, err := c.orders.Preview(t.Context(), r.Order)
	w.must(err)
	if p.Needed < 1 || !preview.Payload.ExpiresAt.Equal(d.Contract.ExpiresAt) || !slices.Contains(preview.Payload.Features, "pii_filtering") {
		t.Errorf("needs %d, previews %+v", p.Needed, preview.Payload)
	}
	invoice := c.accepted(r)
	w.object(invoice.ID, "pay", map[string]any{})
	o := c.becomes(r.Order, fulfillment.StateInReview)
	if len(o.Reasons) != 1 || !strings.HasSuffix(o.Reasons[0].Detail, "license: portal staff propose issue "+r.ID+" -invoice "+invoice.ID+" -reason contract -by '…' -why '…'") {
		t.Errorf("reasons %+v", o.Reasons)
	}
	ask := approval.Request{
		Action: approval.ActionIssue, Proposer: ada, Reason: approval.ReasonContract, Explanation: "The contract was signed and its invoice is paid.",
		Ticket: "T-18", Issue: &approval.Issue{Intent: catalog.Intent{OrderID: r.ID}, Invoice: invoice.ID},
	}
	w.approvedByAnother(w.proposed(ask))
	o = c.becomes(o, fulfillment.StateIssued)
	l := c.license(o)
	if !l.Payload.ExpiresAt.Equal(d.Contract.ExpiresAt) || !slices.Contains(l.Payload.Features, "pii_filtering") {
		t.Errorf("license %+v", l.Payload)
	}
}

func TestAQuoteThatTheSignerWouldRefuseIsRefusedInWords(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.customer()
	tests := map[string]struct {
		change func(*fulfillment.QuoteDraft)
		field  string
	}{
		"not by quote":     {func(d *fulfillment.QuoteDraft) { d.SKU = "pilot-30d" }, "sku"},
		"no price":         {func(d *fulfillment.QuoteDraft) { d.SKU = "marketplace-seat" }, "amount"},
		"no end":           {func(d *fulfillment.QuoteDraft) { d.SKU, d.Total, d.Currency = "marketplace-seat", 1_00, "USD" }, "contract"},
		"another currency": {func(d *fulfillment.QuoteDraft) { d.Currency = "EUR" }, "currency"},
		"beyond the bounds": {func(d *fulfillment.QuoteDraft) {
			d.Contract.ExpiresAt = time.Now().AddDate(9, 0, 0).UTC().Truncate(time.Second)
		}, "contract"},
		"a feature that is not listed": {func(d *fulfillment.QuoteDraft) { d.Contract.AddFeatures = []string{"time_travel"} }, "contract"},
		"an environment":               {func(d *fulfillment.QuoteDraft) { d.Environments = []string{"evaluation"} }, "environment"},
		"nobody's address":             {func(d *fulfillment.QuoteDraft) { d.BuyerEmail = "mallory@lumen.example" }, "to"},
		"a top-up":                     {func(d *fulfillment.QuoteDraft) { d.Kind = catalog.IssueTopUp }, "kind"},
		"due never":                    {func(d *fulfillment.QuoteDraft) { d.DaysUntilDue = 91 }, "due"},
		"valid never":                  {func(d *fulfillment.QuoteDraft) { d.ValidDays = 0 }, "valid"},
		"by nobody":                    {func(d *fulfillment.QuoteDraft) { d.By = "" }, "by"},
	}
	for name, tt := range tests {
		d := c.quoteDraft("enterprise-annual")
		d.FormKey = name
		tt.change(&d)
		_, err := c.quotes.Prepare(t.Context(), d)
		var mistakes *fulfillment.ValidationError
		if !errors.As(err, &mistakes) || mistakes.Fields[0].Field != tt.field {
			t.Errorf("%s: %v %+v", name, err, mistakes)
		}
	}
	if n := w.count("SELECT count(*) FROM orders"); n != 0 {
		t.Errorf("%d orders were made", n)
	}
}

// TestWhatBecameOfAnInvoiceDecides has each event arrive as a signed POST while the object at the stand-in has gone on.
func TestWhatBecameOfAnInvoiceDecides(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		then  func(w *world, id string)
		state fulfillment.State
		code  string // of the review's reason
	}{
		"voided":        {func(w *world, id string) { w.object(id, "void", nil) }, fulfillment.StateFailed, ""},
		"uncollectible": {func(w *world, id string) { w.object(id, "mark_uncollectible", nil) }, fulfillment.StateAwaitingPayment, ""},
		"uncollectible, and paid all the same": {func(w *world, id string) {
			w.object(id, "mark_uncollectible", nil)
			w.object(id, "pay", map[string]any{})
		}, fulfillment.StateIssued, ""},
		"declined": {func(w *world, id string) { w.object(id, "pay", map[string]any{"method": "card_declined"}) }, fulfillment.StateAwaitingPayment, ""},
		"declined, then paid": {func(w *world, id string) {
			w.object(id, "pay", map[string]any{"method": "card_declined"})
			w.object(id, "pay", map[string]any{})
		}, fulfillment.StateIssued, ""},
		"a bank debit under way": {func(w *world, id string) {
			w.object(id, "pay", map[string]any{"method": "bank_ok"})
			w.nudge(id) // nor for this
		}, fulfillment.StateProcessing, ""},
		"out of band": {func(w *world, id string) { w.object(id, "out_of_band", nil) }, fulfillment.StateInReview, "paid-out-of-band"},
		"paid in part": {func(w *world, id string) {
			w.object(id, "transfer", map[string]any{"amount": 5_000_00})
			w.nudge(id) // Stripe sends no event of the list for it
		}, fulfillment.StateInReview, "partly-paid"},
		"paid in two parts": {func(w *world, id string) {
			w.object(id, "transfer", map[string]any{"amount": 5_000_00})
			w.object(id, "transfer", map[string]any{"amount": 10_000_00})
		}, fulfillment.StateIssued, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.work()
			c := w.customer()
			r := c.prepared(c.quoteDraft("enterprise-annual"))
			invoice := c.accepted(r)
			w.idle()
			tt.then(w, invoice.ID)
			o := c.becomes(r.Order, tt.state)
			if tt.code != "" && (len(o.Reasons) == 0 || o.Reasons[0].Code != tt.code) {
				t.Errorf("reasons %+v", o.Reasons)
			}
		})
	}
}

// Stripe tells of each failure to finalize by an event, and the event of one is no reason to try again.
func TestAnInvoiceThatCannotBeFinalizedIsTriedAgainByReconciliationAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	s := scenes["a draft invoice"](w.customer())
	made := func() int { // by Stripe, so many tries that failed
		var list struct{ Events []stripeObject }
		w.sim("/_sim/events?type=invoice.finalization_failed", nil, &list)
		return len(list.Events)
	}
	heard := func() bool {
		return made() == w.count("SELECT count(*) FROM events WHERE type = 'invoice.finalization_failed' AND outcome = 'evaluated'")
	}
	w.eventually("told of the failure", heard)
	w.idle()
	for range 2 {
		before := made()
		w.nudge(s.object)
		w.eventually("told of the failure", heard)
		w.idle()
		if n := made() - before; n != 1 {
			t.Errorf("tried %d times", n)
		}
	}
	if got := w.flags(s.order.ID); !slices.Equal(got, []string{"finalization-failed"}) {
		t.Errorf("flags %q", got)
	}
	w.api(http.MethodPost, "/v1/customers/"+s.stripeCustomer(), "address[country]=DE") // staff mend it
	w.nudge(s.object)
	if i := s.invoiceOf(fulfillment.Record{Order: s.order}, "open"); i.Metadata["order_id"] != s.order.ID {
		t.Errorf("finalized without the order's intent: %v", i.Metadata)
	}
}

// nudge has the order of an invoice evaluated, as reconciliation does.
func (w *world) nudge(invoice string) {
	w.t.Helper()
	id, err := w.store.OrderOfObject(w.t.Context(), invoice)
	w.must(err)
	w.must(w.fulfiller.EvaluateOrder(w.t.Context(), id))
}

func TestAWithdrawnOrDeclinedQuoteEndsItsOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	r := c.prepared(c.quoteDraft("enterprise-annual"))
	for range 2 {
		w.must(c.quotes.Cancel(t.Context(), r.ID))
	}
	c.becomes(r.Order, fulfillment.StateFailed)
	if err := c.quotes.Accept(t.Context(), c.organization, r.ID, c.user); !errors.Is(err, fulfillment.ErrQuoteClosed) {
		t.Errorf("accepting a withdrawn quote: %v", err)
	}
	d := c.quoteDraft("enterprise-annual")
	d.DeploymentName = "Paris"
	next := c.prepared(d) // the same form key, after the first has ended
	if next.ID == r.ID {
		t.Fatal("an ended order was quoted again")
	}
	for range 2 {
		w.must(c.quotes.Decline(t.Context(), c.organization, next.ID))
	}
	c.becomes(next.Order, fulfillment.StateCanceled)
	if _, err := c.quotes.Quote(t.Context(), "cust_other", next.ID); !errors.Is(err, fulfillment.ErrNotFound) {
		t.Errorf("another organization: %v", err)
	}
}

func TestAQuoteThatWasLostOnTheWayIsFoundAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.customer()
	r := c.prepared(c.quoteDraft("enterprise-annual"))
	w.exec("DELETE FROM quotes WHERE order_id = $1", r.ID) // as if the portal had died before it stored the quote
	w.exec("DELETE FROM mails WHERE ref = $1", r.ID)
	if again := c.prepared(c.quoteDraft("enterprise-annual")); again.ID != r.ID || again.Seen.Quote.ID != r.Seen.Quote.ID {
		t.Errorf("%s %s after %s %s", again.ID, again.Seen.Quote.ID, r.ID, r.Seen.Quote.ID)
	}
}

func TestADebitOfAnInvoiceShowsToWhoComesBackFromIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	r := c.prepared(c.quoteDraft("enterprise-annual"))
	invoice := c.accepted(r)
	w.idle()
	w.object(invoice.ID, "pay", map[string]any{"method": "bank_ok"})
	w.idle()
	if o := c.order(r.Order); o.State != fulfillment.StateAwaitingPayment {
		t.Fatalf("an event told that the debit began: %s", o.State)
	}
	if err := c.quotes.LookAgain(t.Context(), "cust_other", r.ID); !errors.Is(err, fulfillment.ErrNotFound) {
		t.Errorf("another organization's order: %v", err)
	}
	looks := func() int {
		return w.count("SELECT count(*) FROM river.river_job WHERE kind = 'evaluate' AND args ->> 'order_id' = $1", r.ID)
	}
	before, began := looks(), time.Now()
	for range 20 {
		w.must(c.quotes.LookAgain(t.Context(), c.organization, r.ID))
	}
	if n := looks() - before; n < 1 || n > 2+int(time.Since(began)/(10*time.Second)) { // two where ten seconds have just passed
		t.Errorf("%d looks", n)
	}
	c.becomes(r.Order, fulfillment.StateProcessing)
}
