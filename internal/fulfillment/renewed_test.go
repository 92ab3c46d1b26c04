package fulfillment_test

import (
	"errors"
	"testing"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

func TestARenewalEndsWhatIsOpenOnItsBaseAndSendsWhatIsPaidToReview(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	base := c.buy(c.request("credit-pack-5m"))
	onBase := func(kind catalog.IssuanceKind) fulfillment.Order {
		r := c.request("credit-pack-5m")
		r.Kind, r.BaseLicenseID, r.DeploymentName, r.Environments = kind, base.ID, "", nil
		return c.draft(r)
	}
	open, debit, renewal := onBase(catalog.IssueTopUp), onBase(catalog.IssueTopUp), onBase(catalog.IssueRenewal)
	openSession, debitSession := c.checkout(open), c.checkout(debit)
	c.payBy(debitSession, "bank_ok")
	c.becomes(debit, fulfillment.StateProcessing)
	c.payBy(c.checkout(renewal), "card_ok")
	renewed := c.license(c.becomes(renewal, fulfillment.StateIssued))

	// What is open takes no money any more, and says why.
	open = c.becomes(open, fulfillment.StateFailed)
	if facts, err := w.stripe.FetchSession(t.Context(), openSession); err != nil || facts.Status != "expired" {
		t.Errorf("the open session is %s (%v)", facts.Status, err)
	}
	if open.Failure != "The license that this order builds on was renewed by another order. Nothing was charged here." {
		t.Errorf("the customer reads %q", open.Failure)
	}
	if _, err := c.orders.Checkout(t.Context(), c.organization, open.ID); !errors.Is(err, fulfillment.ErrFrozen) {
		t.Errorf("paying for it again: %v", err)
	}
	w.must(c.orders.Cancel(t.Context(), c.organization, open.ID))

	// Money already under way goes to review; staff may release it.
	w.sim("/_sim/sessions/"+debitSession+"/settle", map[string]any{"succeed": true}, nil)
	debit = c.becomes(debit, fulfillment.StateInReview)
	if codes(debit.Reasons) != "base-renewed" {
		t.Errorf("reasons %v", debit.Reasons)
	}
	w.must(w.review.Release(t.Context(), debit.ID, "Ada", "the customer wants it all the same"))
	c.becomes(debit, fulfillment.StateIssued)
	if renewed.ID == c.license(debit).ID {
		t.Error("two orders have one license")
	}
}
