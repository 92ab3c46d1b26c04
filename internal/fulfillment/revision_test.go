package fulfillment_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// revise revises an open invoice at Stripe, as staff do there, and answers the draft of the revision.
func (w *world) revise(invoice string) string {
	w.t.Helper()
	return w.api(http.MethodPost, "/v1/invoices", "from_invoice[action]=revision&from_invoice[invoice]="+invoice)
}

// replaced waits until the order has a revision, and answers the order's invoices by their status.
func (s *scene) replaced(revision string) map[string]fulfillment.Invoice {
	s.t.Helper()
	byStatus := map[string]fulfillment.Invoice{}
	s.eventually("the revision is the order's", func() bool {
		found, err := s.quotes.Quote(s.t.Context(), s.organization, s.order.ID)
		s.must(err)
		clear(byStatus)
		for _, i := range found.Seen.Invoices {
			byStatus[i.Status] = i
		}
		return byStatus["void"].ReplacedBy == revision && byStatus["open"].ID == revision
	})
	return byStatus
}

// orderInvoiced is an order with an open invoice, in a world of its own.
func orderInvoiced(t *testing.T) scene {
	w := newWorld(t)
	w.work()
	s := scenes["an open invoice"](w.customer())
	w.idle()
	return s
}

func TestARevisedInvoiceIsPaidInsteadOfTheOneThatItReplaces(t *testing.T) {
	t.Parallel()
	s := orderInvoiced(t)
	w := s.world
	revision := w.revise(s.object)
	w.must(w.fulfiller.EvaluateOrder(t.Context(), s.order.ID))
	if w.stripeObject(revision).str("status") != "draft" {
		t.Error("the portal finalized what staff are still changing")
	}
	w.api(http.MethodPost, "/v1/invoices/"+revision, "description=Purchase+order+4711")
	w.api(http.MethodPost, "/v1/invoices/"+revision+"/finalize", "")
	open := s.replaced(revision)["open"]
	if o := s.customer.order(s.order); o.State != awaiting || open.QuoteID != "" || open.BillingReason != "manual" {
		t.Errorf("replaced, the order is %s, its invoice %+v", o.State, open)
	}
	w.idle()
	bills := slices.DeleteFunc(w.billed(), func(mail string) bool { return strings.HasPrefix(mail, "quote ") })
	if len(bills) != 2 || bills[0] != bills[1] { // the invoice's and the revision's
		t.Errorf("mails %q", bills)
	}
	w.object(revision, "pay", fields{})
	l := s.license(s.becomes(s.order, issued))
	w.idle()
	for _, e := range slices.Concat(w.events(s.object), w.events(revision)) {
		w.sim("/_sim/events/"+e+"/deliver", fields{"copies": 2}, nil)
	}
	w.idle()
	if n := w.count("SELECT count(*) FROM issuances"); n != 1 || len(w.logFiles()) != 1 || s.again(l).Standing(w.now()) != valid {
		t.Errorf("%d licenses, %d in the log", n, len(w.logFiles()))
	}
	if got := w.flags(s.order.ID); len(got) != 0 {
		t.Errorf("flags %q", got)
	}
}

// The events of the original and of the revision are lost: the order is found by its stored invoice, which names its revision.
func TestARevisionIsFoundFromTheInvoiceThatItReplaces(t *testing.T) {
	t.Parallel()
	s := orderInvoiced(t)
	w := s.world
	w.sim("/_sim/delivery", fields{"drop": 1}, nil)
	first := w.revise(s.object)
	w.api(http.MethodPost, "/v1/invoices/"+first, "metadata[order_id]=") // it does not lead to the order by itself
	w.api(http.MethodPost, "/v1/invoices/"+first+"/finalize", "")
	second := w.revise(first)
	w.api(http.MethodPost, "/v1/invoices/"+second+"/finalize", "")
	w.object(second, "pay", fields{})
	w.must(w.fulfiller.EvaluateOrder(t.Context(), s.order.ID))
	if o := s.customer.order(s.order); o.State != inReview || codes(o.Reasons) != "intent-mismatch" {
		t.Errorf("%s, %+v", o.State, o.Reasons)
	}
}

func TestARevisionOfAnotherAmountIsForStaff(t *testing.T) {
	t.Parallel()
	s := orderInvoiced(t)
	w := s.world
	revision := w.revise(s.object)
	customer := s.stripeCustomer()
	w.api(http.MethodPost, "/v1/invoiceitems", "customer="+customer+"&invoice="+revision+"&currency=usd&amount=-100000&description=Goodwill")
	w.api(http.MethodPost, "/v1/invoices/"+revision+"/finalize", "")
	s.replaced(revision)
	w.object(revision, "pay", fields{})
	o := s.becomes(s.order, inReview)
	if got := codes(o.Reasons); got != "amount-mismatch invoice-lines" || !strings.Contains(o.Reasons[0].Detail, "14000.00 USD paid") {
		t.Errorf("reasons %+v", o.Reasons)
	}
	w.idle()
	if n := w.count("SELECT count(*) FROM issuances"); n != 0 {
		t.Errorf("%d licenses", n)
	}
}
