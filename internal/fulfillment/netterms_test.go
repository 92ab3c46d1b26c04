package fulfillment_test

import (
	"testing"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// approvedByAnother has a proposed request approved by somebody else, and done.
func (w *world) approvedByAnother(request fulfillment.StaffRequest) {
	w.t.Helper()
	for name := range w.staff {
		if name == ada || !request.ApprovedAt.IsZero() {
			continue
		}
		if next, err := w.requests.Stand(w.t.Context(), request.ID, w.assertion(request, name)); err == nil {
			request = next
		}
	}
	w.done(request)
}

func TestNetTermsIssueBeforeThePaymentAndThePaymentIssuesNothingMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	r := c.prepared(c.quoteDraft("enterprise-annual"))
	invoice := c.accepted(r)
	w.idle()
	w.approvedByAnother(w.proposed(approval.Request{
		Action: approval.ActionIssue, Proposer: ada, Reason: approval.ReasonNetTerms, Explanation: "Thirty days were agreed with their purchasing.",
		Ticket: "T-19", Issue: &approval.Issue{Intent: catalog.Intent{OrderID: r.ID}, Invoice: invoice.ID},
	}))
	issued := c.becomes(r.Order, fulfillment.StateIssued)
	w.object(invoice.ID, "pay", map[string]any{})
	c.invoiceOf(r, "paid")
	w.idle()
	if o := c.order(r.Order); o.State != fulfillment.StateIssued || o.LicenseID != issued.LicenseID {
		t.Errorf("after the payment the order is %s with %s", o.State, o.LicenseID)
	}
	if n, logged := w.count("SELECT count(*) FROM issuances"), len(w.logFiles()); n != 1 || logged != 1 {
		t.Errorf("%d licenses, %d in the log", n, logged)
	}
	if paid, unpaid, err := w.store.Gaps(t.Context(), w.now()); err != nil || paid+unpaid != 0 {
		t.Errorf("gaps: %d, %d, %v", paid, unpaid, err)
	}
}

func TestAQuoteRenewsALicense(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	first := c.prepared(c.quoteDraft("enterprise-annual"))
	w.object(c.accepted(first).ID, "pay", map[string]any{})
	base := c.license(c.becomes(first.Order, fulfillment.StateIssued))
	draft := c.quoteDraft("enterprise-annual")
	draft.FormKey, draft.Kind, draft.BaseLicenseID, draft.DeploymentName, draft.Environments = "quote 2", catalog.IssueRenewal, base.ID, "", nil
	second := c.prepared(draft)
	w.object(c.accepted(second).ID, "pay", map[string]any{})
	renewed := c.license(c.becomes(second.Order, fulfillment.StateIssued))
	if want := base.Payload.ExpiresAt.AddDate(1, 0, 0); renewed.ID == base.ID || renewed.DeploymentID != base.DeploymentID || !renewed.Payload.ExpiresAt.Equal(want) {
		t.Errorf("%s for %s until %s, want until %s", renewed.ID, renewed.DeploymentID, renewed.Payload.ExpiresAt, want)
	}
}
