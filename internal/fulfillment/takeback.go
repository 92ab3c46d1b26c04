package fulfillment

import (
	"fmt"
	"slices"

	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/license"
)

// takeback is what becomes of an event about money taken back.
type takeback struct {
	ask     bool     // the signer: the event proves what Stripe says now
	seek    string   // the standing that Stripe's word of now calls for, where another event must prove it; "" if none
	flags   []Reason // for staff, on the order
	outcome string   // where the signer is not asked
}

// decideTakeback compares what an event says with what Stripe says now. It is pure. Nothing is taken from a customer unless
// both say so: the event is what the signer goes by, Stripe's word of now what the portal does. What they differ in, and
// whatever is not known here, is flagged and changes nothing.
func decideTakeback(event claim, now Taken, livemode bool) takeback {
	if now.Object != ObjectCustomer && now.Livemode != livemode {
		return flagged("takeback-mode", "The %s %s is of %s mode, the portal works in %s mode.", now.Object, now.ID, modeName(now.Livemode), modeName(livemode))
	}
	switch now.Object {
	case ObjectCharge:
		return decideCharge(event, now)
	case ObjectDispute:
		return decideDispute(event, now)
	case ObjectRefund:
		return lookedAtCharge(now, refundFlags(Refund{now.ID, now.Status, now.Amount}, now.Currency))
	case ObjectCreditNote:
		return decideCreditNote(now)
	case ObjectWarning:
		return flagged("fraud-warning", "The card's issuer warns of fraud (%q) in payment %s (%s).", now.Status, now.PaymentIntent, now.ID)
	case ObjectReview:
		return decideReview(now)
	case ObjectCustomer: // contact details are the portal's own, and nobody comes to own anything by them
		return takeback{outcome: "kept: contact details only"}
	}
	return flagged("takeback-unknown", "Stripe told of %q, which is not known here.", now.Object)
}

func flagged(code, format string, args ...any) takeback {
	return takeback{flags: []Reason{{code, fmt.Sprintf(format, args...)}}, outcome: "kept: " + code}
}

func decideCharge(event claim, now Taken) takeback {
	if now.Charge == nil {
		return flagged("takeback-unknown", "Stripe shows no charge %s.", now.ID)
	}
	claimed := event.Refunded && event.Amount > 0 && event.AmountRefunded >= event.Amount
	switch {
	case claimed && now.Charge.refundedInFull():
		return takeback{ask: true}
	case claimed:
		b := lookedAtCharge(now, nil)
		b.flags = append(b.flags, Reason{"refund-differs", fmt.Sprintf("An event says that %s was refunded in full, and Stripe now says %s of %s; no license is revoked.",
			now.ID, Money(now.Charge.AmountRefunded, now.Charge.Currency), Money(now.Charge.Amount, now.Charge.Currency))})
		b.outcome = "kept: refund-differs"
		return b
	}
	return lookedAtCharge(now, nil)
}

// lookedAtCharge is what a charge calls for where the event at hand cannot prove a refund in full.
func lookedAtCharge(now Taken, flags []Reason) takeback {
	c := now.Charge
	if c == nil {
		flags = append(flags, Reason{"refund-without-charge", fmt.Sprintf("The %s %s is of no charge.", now.Object, now.ID)})
		return takeback{flags: flags, outcome: "kept: refund-without-charge"}
	}
	for _, r := range c.Refunds {
		flags = append(flags, refundFlags(r, c.Currency)...)
	}
	switch {
	case c.refundedInFull():
		return takeback{seek: license.StatusRevoked, flags: unique(flags), outcome: "kept: refunded in full"}
	case c.AmountRefunded > 0:
		flags = append(flags, Reason{"refund-partial", fmt.Sprintf("%s of %s is refunded (%s); the license stays.", Money(c.AmountRefunded, c.Currency), Money(c.Amount, c.Currency), c.ID)})
	}
	b := takeback{flags: unique(flags), outcome: "kept: nothing is refunded"}
	if len(flags) > 0 {
		b.outcome = "kept: " + flags[len(flags)-1].Code
	}
	return b
}

// refundedInFull reports whether Stripe says so in every way that it has: refunds that failed, were canceled or are in a state
// that is not known here do not count.
func (c *Charge) refundedInFull() bool {
	if !c.Refunded || c.Amount <= 0 || c.AmountRefunded < c.Amount {
		return false
	}
	var counted int64
	for _, r := range c.Refunds {
		if refundCounts(r.Status) {
			counted += r.Amount
		}
	}
	return c.MoreRefunds || counted >= c.Amount
}

func refundCounts(status string) bool {
	return slices.Contains([]string{"pending", "requires_action", "succeeded"}, status)
}

// refundFlags are what staff should know of a refund. A license that was revoked for it is not issued again when it fails.
func refundFlags(r Refund, currency string) []Reason {
	switch {
	case r.Status == "failed" || r.Status == "canceled":
		return []Reason{{"refund-failed", fmt.Sprintf("The refund %s of %s is %s: the money is with us. A license that was revoked for it stays so; refund again, or correct by a request.", r.ID, Money(r.Amount, currency), r.Status)}}
	case !refundCounts(r.Status):
		return []Reason{{"refund-status", fmt.Sprintf("Stripe calls the refund %s %q; that changes no license.", r.ID, r.Status)}}
	}
	return nil
}

// disputeMeans is what a dispute's status makes of the licenses that the payment bought; "" for one that changes nothing.
func disputeMeans(status string) string {
	switch status {
	case "needs_response", "under_review":
		return license.StatusSuspended
	case "won":
		return signer.StatusReinstated
	case "lost":
		return license.StatusRevoked
	}
	return ""
}

// decideDispute asks the signer where the event says what Stripe says now, or less than that. An event that Stripe's word has
// gone beyond in the customer's favor is passed over.
func decideDispute(event claim, now Taken) takeback {
	said, is := disputeMeans(event.Status), disputeMeans(now.Status)
	switch {
	case is == "":
		return flagged("dispute-status", "Stripe calls the dispute %s %q; that changes no license.", now.ID, now.Status)
	case said == is:
		return takeback{ask: true}
	case said == license.StatusSuspended && is == license.StatusRevoked:
		return takeback{ask: true} // it waits suspended for the event that revokes
	case said == license.StatusRevoked, said == signer.StatusReinstated:
		b := flagged("dispute-differs", "An event calls the dispute %s %q, and Stripe now calls it %q; the event changes no license.", now.ID, event.Status, now.Status)
		b.seek = is
		return b
	}
	return takeback{outcome: "kept: overtaken, now " + now.Status}
}

func decideCreditNote(now Taken) takeback {
	note := Reason{"credit-note", fmt.Sprintf("The credit note %s of %s on invoice %s is %s; ", now.ID, Money(now.Amount, now.Currency), now.Invoice, now.Status)}
	switch {
	case now.Status != "issued" && now.Status != "void":
		note.Detail += "that is not a known state, and changes no license."
	case now.Charge != nil:
		return lookedAtCharge(now, nil)
	case now.Status == "void":
		note.Detail += "what it took back is owed again. No license changes."
	default:
		note.Detail += "nothing was refunded through Stripe, so no license changes. Decide whether one should."
	}
	return takeback{flags: []Reason{note}, outcome: "kept: credit-note"}
}

func decideReview(now Taken) takeback {
	if now.Status == "open" {
		return flagged("payment-review", "Stripe holds payment %s for a review by a person (%s); the license stays.", now.PaymentIntent, now.ID)
	}
	return flagged("payment-review", "Stripe's review of payment %s ended as %q (%s); the license stays.", now.PaymentIntent, now.Status, now.ID)
}
