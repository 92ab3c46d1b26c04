package fulfillment

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// charged is a charge of 100.00 USD of which so much is refunded, by refunds of the statuses that share it.
func charged(refunded int64, statuses ...string) *Charge {
	c := &Charge{ID: "ch_1", Currency: "USD", Amount: 10000, AmountRefunded: refunded, Refunded: refunded == 10000}
	for n, status := range statuses {
		c.Refunds = append(c.Refunds, Refund{fmt.Sprintf("re_%d", n+1), status, refunded / int64(len(statuses))})
	}
	return c
}

func codes(b takeback) []string {
	list := []string{}
	for _, f := range b.flags {
		list = append(list, f.Code)
	}
	return list
}

func TestWhatAnEventAboutMoneyTakenBackComesTo(t *testing.T) {
	t.Parallel()
	full, part := claim{Refunded: true, Amount: 10000, AmountRefunded: 10000}, claim{Amount: 10000, AmountRefunded: 2500}
	charge := func(c *Charge) Taken { return Taken{Object: ObjectCharge, ID: "ch_1", Charge: c} }
	refund := func(status string, c *Charge) Taken {
		return Taken{Object: ObjectRefund, ID: "re_1", Status: status, Amount: 2500, Currency: "USD", Charge: c}
	}
	note := func(status string, c *Charge) Taken {
		return Taken{Object: ObjectCreditNote, ID: "cn_1", Status: status, Invoice: "in_1", Charge: c}
	}
	dispute := func(status string) Taken { return Taken{Object: ObjectDispute, ID: "dp_1", Status: status} }
	said := func(status string) claim { return claim{Status: status} }
	for _, c := range []struct {
		name  string
		event claim
		now   Taken
		ask   bool
		seek  string
		flags []string
	}{
		{"charge.refunded in full, and so it is", full, charge(charged(10000, "succeeded")), true, "", nil},
		{"in full by two refunds", full, charge(charged(10000, "succeeded", "pending")), true, "", nil},
		{"in full, and Stripe shows none", full, charge(charged(0)), false, "", []string{"refund-differs"}},
		{"in full, and Stripe shows part", full, charge(charged(2500, "succeeded")), false, "", []string{"refund-partial", "refund-differs"}},
		{"in full, and the refund failed since", full, charge(charged(10000, "failed")), false, "", []string{"refund-failed", "refund-partial", "refund-differs"}},
		{"in full, by a refund of an unknown status", full, charge(charged(10000, "teleported")), false, "", []string{"refund-status", "refund-partial", "refund-differs"}},
		{"in full, and Stripe's sum says less", full, charge(&Charge{ID: "ch_1", Currency: "USD", Amount: 10000, AmountRefunded: 9999, Refunded: true, Refunds: []Refund{{"re_1", "succeeded", 10000}}}), false, "", []string{"refund-partial", "refund-differs"}},
		{"in part, and so it is", part, charge(charged(2500, "succeeded")), false, "", []string{"refund-partial"}},
		{"in part, and in full since", part, charge(charged(10000, "succeeded")), false, "revoked", nil},
		{"an event that says nothing", claim{}, charge(charged(10000, "succeeded")), false, "revoked", nil},
		{"a refund of nothing is not in full", claim{Refunded: true}, charge(&Charge{ID: "ch_1", Currency: "USD", Refunded: true}), false, "", nil},
		{"refund.* of a part", part, refund("succeeded", charged(2500, "succeeded")), false, "", []string{"refund-partial"}},
		{"refund.* leads to a charge refunded in full", full, refund("succeeded", charged(10000, "succeeded")), false, "revoked", nil},
		{"refund.* that failed", full, refund("failed", charged(0)), false, "", []string{"refund-failed"}},
		{"refund.* that was canceled", full, refund("canceled", charged(0)), false, "", []string{"refund-failed"}},
		{"refund.* of an unknown status", full, refund("teleported", charged(0)), false, "", []string{"refund-status"}},
		{"refund.* of no charge", full, refund("succeeded", nil), false, "", []string{"refund-without-charge"}},
		{"a dispute opened", said("needs_response"), dispute("needs_response"), true, "", nil},
		{"a dispute opened, answered since", said("needs_response"), dispute("under_review"), true, "", nil},
		{"a dispute opened, lost since", said("needs_response"), dispute("lost"), true, "", nil},
		{"a dispute opened, won since", said("needs_response"), dispute("won"), false, "", nil},
		{"a dispute won", said("won"), dispute("won"), true, "", nil},
		{"a dispute won, and Stripe says lost", said("won"), dispute("lost"), false, "revoked", []string{"dispute-differs"}},
		{"a dispute won, and Stripe says open", said("won"), dispute("under_review"), false, "suspended", []string{"dispute-differs"}},
		{"a dispute lost", said("lost"), dispute("lost"), true, "", nil},
		{"a dispute lost, and Stripe says open", said("lost"), dispute("needs_response"), false, "suspended", []string{"dispute-differs"}},
		{"a dispute lost, and Stripe says won", said("lost"), dispute("won"), false, "reinstated", []string{"dispute-differs"}},
		{"a dispute lost, and Stripe says something unknown", said("lost"), dispute("arbitration"), false, "", []string{"dispute-status"}},
		{"an inquiry", said("warning_needs_response"), dispute("warning_needs_response"), false, "", []string{"dispute-status"}},
		{"an inquiry under review", said("warning_under_review"), dispute("warning_under_review"), false, "", []string{"dispute-status"}},
		{"an inquiry closed", said("warning_closed"), dispute("warning_closed"), false, "", []string{"dispute-status"}},
		{"an inquiry, a dispute since", said("warning_needs_response"), dispute("needs_response"), false, "", nil},
		{"an unknown word, open since", said("arbitration"), dispute("needs_response"), false, "", nil},
		{"a credit note that refunded a part", claim{}, note("issued", charged(2500, "succeeded")), false, "", []string{"refund-partial"}},
		{"a credit note that refunded all", claim{}, note("issued", charged(10000, "succeeded")), false, "revoked", nil},
		{"a credit note to the balance", claim{}, note("issued", nil), false, "", []string{"credit-note"}},
		{"a credit note that was voided", claim{}, note("void", nil), false, "", []string{"credit-note"}},
		{"a credit note of an unknown status", claim{}, note("shredded", charged(10000, "succeeded")), false, "", []string{"credit-note"}},
		{"a fraud warning", claim{}, Taken{Object: ObjectWarning, Status: "misc"}, false, "", []string{"fraud-warning"}},
		{"a review opened", claim{}, Taken{Object: ObjectReview, Status: "open"}, false, "", []string{"payment-review"}},
		{"a review closed", claim{}, Taken{Object: ObjectReview, Status: "refunded_as_fraud"}, false, "", []string{"payment-review"}},
		{"a customer changed", claim{}, Taken{Object: ObjectCustomer}, false, "", nil},
		{"something else", full, Taken{Object: "payout"}, false, "", []string{"takeback-unknown"}},
		{"a live charge", full, Taken{Object: ObjectCharge, Livemode: true, Charge: charged(10000, "succeeded")}, false, "", []string{"takeback-mode"}},
		{"a live dispute", said("lost"), Taken{Object: ObjectDispute, Livemode: true, Status: "lost"}, false, "", []string{"takeback-mode"}},
	} {
		got := decideTakeback(c.event, c.now, false)
		if c.flags == nil {
			c.flags = []string{}
		}
		if got.ask != c.ask || got.seek != c.seek || !slices.Equal(codes(got), c.flags) {
			t.Errorf("%s: ask %v, seek %q, flags %q, not %v %q %q", c.name, got.ask, got.seek, codes(got), c.ask, c.seek, c.flags)
		}
		if (got.outcome == "") != got.ask {
			t.Errorf("%s: outcome %q", c.name, got.outcome)
		}
	}
}

// Whatever is claimed and shown, nothing is revoked unless event and Stripe's word of now say the same.
func TestNothingIsRevokedOnOneWordAlone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		status := rapid.SampledFrom([]string{"needs_response", "under_review", "won", "lost", "warning_closed", "new", ""})
		refund := rapid.SampledFrom([]string{"pending", "succeeded", "failed", "canceled", "requires_action", "new"})
		event := claim{
			Status: status.Draw(t, "said"), Refunded: rapid.Bool().Draw(t, "refunded said"), Amount: 100,
			AmountRefunded: rapid.Int64Range(0, 101).Draw(t, "sum said"),
		}
		now := Taken{Object: rapid.SampledFrom(slices.Sorted(maps.Values(takenObjects))).Draw(t, "object"), Status: status.Draw(t, "is"), Livemode: rapid.Bool().Draw(t, "live")}
		if rapid.Bool().Draw(t, "charge") {
			now.Charge = &Charge{Amount: 100, AmountRefunded: rapid.Int64Range(0, 101).Draw(t, "sum"), Refunded: rapid.Bool().Draw(t, "refunded"),
				Refunds: []Refund{{"re_1", refund.Draw(t, "refund"), rapid.Int64Range(0, 101).Draw(t, "amount")}}}
		}
		if !decideTakeback(event, now, false).ask {
			return
		}
		refunded := now.Object == ObjectCharge && event.Refunded && event.AmountRefunded >= 100 && now.Charge.Refunded && now.Charge.AmountRefunded >= 100 &&
			now.Charge.Refunds[0].Amount >= 100 && now.Charge.Refunds[0].Status != "failed" && now.Charge.Refunds[0].Status != "canceled" && now.Charge.Refunds[0].Status != "new"
		lost := event.Status == "lost" && now.Status == "lost"
		won := event.Status == "won" && now.Status == "won"
		open := (event.Status == "needs_response" || event.Status == "under_review") && (now.Status == "needs_response" || now.Status == "under_review" || now.Status == "lost")
		if now.Livemode || (!refunded && (now.Object != ObjectDispute || (!lost && !won && !open))) {
			t.Fatalf("the signer is asked on %+v and %+v", event, now)
		}
	})
}
