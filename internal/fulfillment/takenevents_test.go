package fulfillment_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// patch makes an object of Stripe's differ from what its events tell.
func (w *world) patch(id, target string, patch map[string]any) {
	w.t.Helper()
	w.sim("/_sim/objects/"+id, map[string]any{"target": target, "patch": patch}, nil)
}

// flags lists the codes of an order's flags, in the order in which they were found, repeated ones too.
func (w *world) flags(orderID string) []string {
	w.t.Helper()
	rows, err := w.pool.Query(w.t.Context(), "SELECT detail FROM order_log WHERE order_id = $1 AND what = 'flagged' ORDER BY id", orderID)
	w.must(err)
	defer rows.Close()
	list := []string{}
	for rows.Next() {
		var detail string
		w.must(rows.Scan(&detail))
		code, _, _ := strings.Cut(detail, ":")
		list = append(list, code)
	}
	w.must(rows.Err())
	return list
}

func TestARefundThatFailsIsFlaggedAndGivesNoLicenseBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	l := c.buy(c.request("credit-pack-5m"))
	refund := w.act(w.session(fulfillment.Order{ID: l.OrderID}), "refund", nil)
	c.stands(l, fulfillment.StandingRevoked)
	w.later()
	w.act(refund, "fail", nil)
	w.eventually("flagged", func() bool { return slices.Contains(w.flags(l.OrderID), "refund-failed") })
	w.idle()
	c.stands(l, fulfillment.StandingRevoked)
	if n := w.count("SELECT count(*) FROM issuances"); n != 1 || len(w.standingMails()) != 1 {
		t.Errorf("%d licenses, mails %+v", n, w.standingMails())
	}
	flagged := 0
	for _, code := range w.flags(l.OrderID) {
		if code == "refund-failed" {
			flagged++
		}
	}
	if flagged != 1 { // two events tell of it, and each leads to the charge
		t.Errorf("flagged %d times", flagged)
	}
}

// A refund whose charge.refunded was lost is found by the refund's own event, and Stripe is asked for the one that proves it.
func TestARefundWhoseProofWasLostIsAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	l := c.buy(c.request("credit-pack-5m"))
	session := w.session(fulfillment.Order{ID: l.OrderID})
	w.sim("/_sim/delivery", map[string]any{"drop": 1}, nil)
	refund := w.act(session, "refund", nil)
	w.sim("/_sim/delivery", map[string]any{}, nil)
	for _, e := range w.events(refund) {
		w.sim("/_sim/events/"+e+"/deliver", map[string]any{}, nil)
	}
	id := w.arrived("refund.created")
	late := w.revokerWith(w.signer, func() time.Time { return time.Now().Add(3 * time.Minute) })
	w.must(late.RevokeByEvent(t.Context(), "test", id))
	c.stands(l, fulfillment.StandingRevoked)
	if got := w.outcomes("charge.refunded"); !slices.Equal(got, []string{"revoked 1"}) {
		t.Errorf("%q", got)
	}
}

func TestACustomerDeletedAtStripeLosesNothingAndIsGivenANewOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	l := c.buy(c.request("credit-pack-5m"))
	_, err := w.pool.Exec(t.Context(), "UPDATE organizations SET stripe_customer_id = 'cus_gone' WHERE id = $1", c.organization)
	w.must(err)
	w.must(w.store.ForgetCustomer(t.Context(), "cus_other"))
	if w.count("SELECT count(*) FROM organizations WHERE stripe_customer_id = 'cus_gone'") != 1 {
		t.Fatal("another's was forgotten")
	}
	w.must(w.store.ForgetCustomer(t.Context(), "cus_gone"))
	if w.count("SELECT count(*) FROM organizations WHERE stripe_customer_id IS NOT NULL") != 0 || c.again(l).OrderID != l.OrderID {
		t.Error("it was not forgotten, or a license was")
	}
}
