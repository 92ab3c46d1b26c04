package fulfillment_test

import (
	"fmt"
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

// chargeOf answers the charge behind a session.
func (w *world) chargeOf(session string) (id string) {
	w.t.Helper()
	var list struct {
		Objects []struct {
			Object struct {
				ID            string `json:"id"`
				PaymentIntent string `json:"payment_intent"`
			} `json:"object"`
		} `json:"objects"`
	}
	intent, err := w.stripe.FetchSession(w.t.Context(), session)
	w.must(err)
	w.sim("/_sim/objects?kind=charge", nil, &list)
	for _, o := range list.Objects {
		if o.Object.PaymentIntent == intent.PaymentIntentID {
			return o.Object.ID
		}
	}
	w.t.Fatalf("%s has no charge", session)
	return ""
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

// Each event about money taken back arrives as a signed POST, twice, while Stripe's object says what it says.
func TestEventsAboutMoneyTakenBackAgainstAnObjectThatDiffers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	full := map[string]any{}
	notRefunded := map[string]any{"refunded": false, "amount_refunded": 0}
	for n, c := range []struct {
		name     string
		do       func(session, charge string) (object string) // what is patched
		target   string
		patch    map[string]any
		event    string // its outcome is looked at
		outcome  string // "*": of its two events, either may be the first
		standing fulfillment.Standing
		flags    []string
	}{
		{"refunded in full", func(s, c string) string { w.act(s, "refund", full); return c }, "", nil,
			"charge.refunded", "revoked 1", fulfillment.StandingRevoked, nil},
		{"the event says in full, Stripe does not", func(s, c string) string { w.act(s, "refund", full); return c }, "object", notRefunded,
			"charge.refunded", "kept: refund-differs", fulfillment.StandingValid, []string{"refund-differs"}},
		{"Stripe says in full, the event in part", func(s, c string) string { w.act(s, "refund", full); return c }, "event", map[string]any{"refunded": false, "amount_refunded": 100},
			"charge.refunded", "", fulfillment.StandingValid, nil}, // the event that proves it may be under way
		{"refunded in part", func(s, c string) string { w.act(s, "refund", map[string]any{"amount": 100}); return c }, "", nil,
			"refund.created", "kept: refund-partial", fulfillment.StandingValid, []string{"refund-partial"}},
		{"a refund of an unknown status", func(s, c string) string { return w.act(s, "refund", full) }, "object", map[string]any{"status": "teleported"},
			"charge.refunded", "kept: refund-differs", fulfillment.StandingValid, []string{"refund-status", "refund-partial", "refund-differs"}},
		{"a dispute opened", func(s, c string) string { return w.act(s, "dispute", nil) }, "", nil,
			"charge.dispute.created", "*", fulfillment.StandingSuspended, nil},
		{"a dispute opened that Stripe calls won", func(s, c string) string { return w.act(s, "dispute", nil) }, "object", map[string]any{"status": "won"},
			"charge.dispute.created", "kept: overtaken, now won", fulfillment.StandingValid, nil},
		{"an event that calls a dispute lost, Stripe open", func(s, c string) string { return w.act(s, "dispute", nil) }, "event", map[string]any{"status": "lost"},
			"charge.dispute.created", "", fulfillment.StandingValid, nil},
		{"a dispute of an unknown status", func(s, c string) string { return w.act(s, "dispute", nil) }, "object", map[string]any{"status": "arbitration"},
			"charge.dispute.created", "kept: dispute-status", fulfillment.StandingValid, []string{"dispute-status"}},
		{"an inquiry whose event calls it lost", func(s, c string) string { return w.act(s, "inquiry", nil) }, "event", map[string]any{"status": "lost"},
			"charge.dispute.created", "kept: dispute-status", fulfillment.StandingValid, []string{"dispute-status"}},
		{"a fraud warning", func(s, c string) string { return w.act(s, "fraud_warning", nil) }, "object", map[string]any{"fraud_type": "teleported"},
			"radar.early_fraud_warning.created", "kept: fraud-warning", fulfillment.StandingValid, []string{"fraud-warning"}},
		{"a review", func(s, c string) string { return w.act(s, "review", nil) }, "object", map[string]any{"open": false, "closed_reason": "refunded_as_fraud"},
			"review.opened", "kept: payment-review", fulfillment.StandingValid, []string{"payment-review"}},
		{"a charge of the other mode", func(s, c string) string { w.act(s, "refund", full); return c }, "object", map[string]any{"livemode": true},
			"charge.refunded", "kept: takeback-mode", fulfillment.StandingValid, []string{"takeback-mode", "takeback-mode"}}, // of the charge, and of its refund
	} {
		customer := w.customerAt(c.name, fmt.Sprintf("buyer%d@lumen.example", n))
		l := customer.buy(customer.request("credit-pack-5m"))
		session := w.session(fulfillment.Order{ID: l.OrderID})
		charge := w.chargeOf(session)
		w.sim("/_sim/delivery", map[string]any{"hold": true, "duplicates": 2}, nil)
		object := c.do(session, charge)
		if c.patch != nil {
			w.patch(object, c.target, c.patch)
		}
		w.sim("/_sim/delivery", map[string]any{}, nil)
		w.sim("/_sim/release", map[string]any{}, nil)
		var outcome string
		w.eventually(c.name+": stored", func() bool {
			return w.count("SELECT count(*) FROM events WHERE type = $1 AND takes_back = (SELECT payment_intent FROM checkout_sessions WHERE id = $2)", c.event, session) == 1
		})
		w.eventually(c.name+": looked at", func() bool {
			w.must(w.pool.QueryRow(t.Context(), "SELECT outcome FROM events WHERE type = $1 AND takes_back = (SELECT payment_intent FROM checkout_sessions WHERE id = $2)", c.event, session).Scan(&outcome))
			return outcome == c.outcome || (c.outcome == "*" && outcome != "")
		})
		w.idle()
		customer.stands(l, c.standing)
		got := w.flags(l.OrderID)
		slices.Sort(got)
		slices.Sort(c.flags)
		if len(got)+len(c.flags) > 0 && !slices.Equal(got, c.flags) {
			t.Errorf("%s: flags %q, not %q", c.name, got, c.flags)
		}
	}
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
