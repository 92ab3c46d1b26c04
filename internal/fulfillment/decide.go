package fulfillment

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bojanz/currency"
)

// Facts are everything that Decide looks at beside the snapshot: what Stripe says now, and what is stored.
type Facts struct {
	Livemode   bool      // the mode that the portal works in
	Sessions   []Session // the order's own, in any order
	Invoices   []Invoice // the order's own, in any order
	Quote      *Quote    // the order's; nil if none
	Authorized []string  // IDs of its sessions and invoices for which an event that can prove payment is stored
	Attempt    int       // sessions asked for so far; the last may not be stored yet
	Abandoned  bool      // the last session asked for was never stored, and it would be over by now

	// Of orders for templates that a customer may have once.
	TakenByOrganization string // the organization's other order of such a template; "" if none
	TakenByDomain       string // another order from the same mail domain; "" if none
	PublicMailDomain    bool

	BaseRenewed string // the license by which another order renewed the base that this one builds on; "" if none

	Released []Reason // reasons that staff looked at and released
	Refusal  *Reason  // the signer's last definite refusal
	Issued   bool     // the license is stored
	Canceled bool     // by the customer
	Closed   bool     // by staff
}

// Verdict is where an order stands and why.
type Verdict struct {
	State   State
	Reasons []Reason // in review: what blocks
	Flags   []Reason // worth a look by staff, blocking nothing
	Failure string   // failed: what the customer is told
	Paid    bool     // money has arrived, or none was due
	Ready   bool     // state paid, and the evidence that the signer needs is stored
}

// Decide says where an order stands. It is pure, and neither the order of the facts nor repeating them matters: an issued
// license and a close by staff are final, money that arrived outweighs everything else, and whatever does not match the
// snapshot goes to review.
func Decide(snapshot Snapshot, f Facts) Verdict {
	sessions, invoices := distinct(f.Sessions), distinctInvoices(f.Invoices)
	paid := payments(snapshot, f, sessions, invoices)
	switch {
	case f.Issued:
		return Verdict{State: StateIssued, Paid: true, Flags: paidTwice(paid)}
	case f.Closed:
		return Verdict{State: StateCanceled}
	case len(paid) > 0:
		return decidePaid(snapshot, f, paid)
	}
	odd := blocking(slices.Concat(oddities(snapshot, f, sessions), quoteOddities(f.Quote), invoiceOddities(invoices)), f.Released)
	flags := invoiceFlags(invoices)
	if len(odd) > 0 {
		return Verdict{State: StateInReview, Reasons: unique(odd), Flags: flags}
	}
	v := decideUnpaid(f, sessions)
	if snapshot.Channel != ByCheckout {
		v = decideInvoiced(snapshot, f, sessions, invoices)
	}
	v.Flags = flags
	return v
}

// payment is a session or an invoice that Stripe calls paid, and everything in which it differs from what was ordered.
type payment struct {
	id         string
	mismatches []Reason
}

// payments lists what was paid. A session that begins a subscription is none: its first invoice is.
func payments(snapshot Snapshot, f Facts, sessions []Session, invoices []Invoice) []payment {
	var paid []payment
	if snapshot.Channel == ByCheckout {
		for _, s := range filter(sessions, settled) {
			paid = append(paid, payment{s.ID, mismatches(snapshot, f, s)})
		}
	}
	for _, i := range invoices {
		if i.Status == "paid" {
			paid = append(paid, payment{i.ID, invoiceMismatches(snapshot, f, i)})
		}
	}
	return paid
}

// matchingPayments lists the sessions and invoices that, by what Stripe last said of them, paid for what was ordered: the signer
// is shown an event of one of these.
func matchingPayments(r Record, livemode bool) []string {
	var sessions []Session
	for _, c := range r.Sessions {
		if c.Facts != nil {
			sessions = append(sessions, *c.Facts)
		}
	}
	ids := []string{}
	for _, p := range payments(r.Snapshot, Facts{Livemode: livemode}, distinct(sessions), distinctInvoices(r.Seen.Invoices)) {
		if p.matches(r.Released) {
			ids = append(ids, p.id)
		}
	}
	return ids
}

// matches reports whether nothing about a payment differs but what staff released.
func (p payment) matches(released []Reason) bool { return len(blocking(p.mismatches, released)) == 0 }

func decidePaid(snapshot Snapshot, f Facts, paid []payment) Verdict {
	matching := filter(paid, func(p payment) bool { return p.matches(f.Released) })
	var reasons []Reason
	if len(matching) == 0 {
		for _, p := range paid {
			reasons = append(reasons, p.mismatches...)
		}
	}
	if f.Canceled {
		reasons = append(reasons, Reason{"paid-after-cancel", "The customer canceled the order, and a payment arrived all the same."})
	}
	if f.BaseRenewed != "" {
		reasons = append(reasons, Reason{"base-renewed", "The license that the order builds on was renewed before this payment was seen, by " + f.BaseRenewed + "; what is bought here would expire earlier."})
	}
	reasons = append(reasons, evaluationReasons(snapshot, f)...)
	reasons = blocking(reasons, f.Released)
	if f.Refusal != nil {
		reasons = append(reasons, *f.Refusal)
	}
	v := Verdict{State: StatePaid, Paid: true, Flags: paidTwice(paid)}
	if len(reasons) > 0 {
		v.State, v.Reasons = StateInReview, unique(reasons)
		return v
	}
	v.Ready = slices.ContainsFunc(matching, func(p payment) bool { return slices.Contains(f.Authorized, p.id) })
	return v
}

// decideUnpaid looks at sessions that took no money (yet): a debit under way outweighs an open page, which outweighs the
// dead ones.
func decideUnpaid(f Facts, sessions []Session) Verdict {
	if slices.ContainsFunc(sessions, underWay) {
		return Verdict{State: StateProcessing}
	}
	if f.Canceled {
		return Verdict{State: StateCanceled}
	}
	open := slices.ContainsFunc(sessions, func(s Session) bool { return s.Status == "open" })
	switch {
	case f.Attempt == 0:
		return Verdict{State: StateDraft}
	case open || (len(sessions) < f.Attempt && !f.Abandoned): // a session that is not stored may still turn up
		return Verdict{State: StateAwaitingPayment}
	}
	if f.BaseRenewed != "" {
		return Verdict{State: StateFailed, Failure: "The license that this order builds on was renewed by another order. Nothing was charged here."}
	}
	refused := filter(sessions, func(s Session) bool { return s.Status == "complete" })
	if len(refused) == 0 {
		return Verdict{State: StateFailed, Failure: "The payment page was not completed in time."}
	}
	return Verdict{State: StateFailed, Failure: cmp.Or(refused[len(refused)-1].PaymentFailure, "The bank refused the payment.")}
}

// settled reports whether Stripe calls the session paid for. Whether it may be free is a matter of mismatches.
func settled(s Session) bool {
	return s.Status == "complete" && (s.PaymentStatus == "paid" || s.PaymentStatus == "no_payment_required")
}

// underWay reports whether money may still come by a session that nobody can pay at any more: also where the customer's bank
// wants something confirmed first, as it does before a debit from a new account.
func underWay(s Session) bool {
	return s.Status == "complete" && s.PaymentStatus == "unpaid" && !slices.Contains(intentsOver, s.PaymentIntent)
}

// Stripe's words for where a payment intent stands: those of which no money comes, and the others.
var (
	intentsOver = []string{"", "requires_payment_method", "canceled"}
	intentsLive = []string{"processing", "requires_action", "requires_capture", "requires_confirmation", "succeeded"}
)

// oddities names what a session says in words that this code does not know, and in which one that begins a subscription
// differs from what was ordered.
func oddities(snapshot Snapshot, f Facts, sessions []Session) []Reason {
	var reasons []Reason
	for _, s := range sessions {
		known := slices.Contains([]string{"open", "complete", "expired"}, s.Status) &&
			slices.Contains([]string{"paid", "unpaid", "no_payment_required"}, s.PaymentStatus)
		if !known || (s.PaymentStatus == "paid" && s.Status != "complete") {
			reasons = append(reasons, Reason{"status-unknown", fmt.Sprintf("Stripe calls session %s %q and %q; that is not a known state.", s.ID, s.Status, s.PaymentStatus)})
		}
		if underWay(s) && !slices.Contains(intentsLive, s.PaymentIntent) {
			reasons = append(reasons, Reason{"status-unknown", fmt.Sprintf("Stripe calls the payment of session %s %q; that is not a known state.", s.ID, s.PaymentIntent)})
		}
		if snapshot.Channel == BySubscription && settled(s) {
			reasons = append(reasons, mismatches(snapshot, f, s)...)
		}
	}
	return reasons
}

// mismatches names everything in which a paid session differs from what was ordered, in words for staff.
func mismatches(snapshot Snapshot, f Facts, s Session) []Reason {
	var reasons []Reason
	add := func(code, format string, args ...any) {
		reasons = append(reasons, Reason{code, fmt.Sprintf(format, args...) + " (" + s.ID + ")"})
	}
	if s.Livemode != f.Livemode {
		add("mode-mismatch", "The payment was made in %s mode, the portal works in %s mode.", modeName(s.Livemode), modeName(f.Livemode))
	}
	if mode := snapshot.Channel.sessionMode(); s.Mode != mode {
		add("session-mode", "The session is of mode %q, the order asked for %q.", s.Mode, mode)
	}
	if s.PaymentStatus == "no_payment_required" && snapshot.Total != 0 {
		add("unpaid", "Stripe says that no payment was required, the order is %s.", Money(snapshot.Total, snapshot.Currency))
	}
	if s.Currency != snapshot.Currency {
		add("currency-mismatch", "Paid in %s, the order is in %s.", s.Currency, snapshot.Currency)
	} else if net := s.AmountSubtotal - s.AmountDiscount; net != snapshot.Total || s.AmountTotal < snapshot.Total {
		add("amount-mismatch", "Stripe has %s net and %s in total, the order is %s.", Money(net, s.Currency), Money(s.AmountTotal, s.Currency), Money(snapshot.Total, snapshot.Currency))
	}
	if s.Quantity != int64(snapshot.Intent.Quantity) {
		add("quantity-mismatch", "Stripe has quantity %d, the order has %d.", s.Quantity, snapshot.Intent.Quantity)
	}
	if key := snapshot.Template.LookupKey(); s.LookupKey != key {
		add("package-mismatch", "Stripe has the price %q, the order is for %q.", s.LookupKey, key)
	}
	if s.ClientReferenceID != snapshot.Intent.OrderID {
		add("order-mismatch", "The session names the order %q.", s.ClientReferenceID)
	}
	if names := differing(snapshot.Intent.Metadata(), s.Metadata); len(names) > 0 {
		add("intent-mismatch", "The session's metadata differs from the order in: %s.", strings.Join(names, ", "))
	}
	return reasons
}

func evaluationReasons(snapshot Snapshot, f Facts) []Reason {
	if !snapshot.Template.OnePerCustomer {
		return nil
	}
	var reasons []Reason
	if f.TakenByOrganization != "" {
		reasons = append(reasons, Reason{"evaluation-repeated", "The organization had an evaluation before: " + f.TakenByOrganization + "."})
	}
	if f.PublicMailDomain {
		reasons = append(reasons, Reason{"mail-domain-public", "The buyer's address is at a public mail provider."})
	} else if f.TakenByDomain != "" {
		reasons = append(reasons, Reason{"evaluation-domain", "Another order from the same mail domain had an evaluation: " + f.TakenByDomain + "."})
	}
	return reasons
}

func paidTwice(paid []payment) []Reason {
	if len(paid) < 2 {
		return nil
	}
	ids := make([]string, len(paid))
	for i, p := range paid {
		ids[i] = p.id
	}
	return []Reason{{"paid-twice", "The order is paid more than once: " + strings.Join(ids, ", ") +
		". Refund all but the one whose event the license was issued by, as the order's log says; refunding that one revokes the license."}}
}

// blocking leaves out what staff released, word for word: a new mismatch blocks again.
func blocking(reasons, released []Reason) []Reason {
	return filter(reasons, func(r Reason) bool { return !slices.Contains(released, r) })
}

// distinct sorts sessions by creation and ID and drops repetitions.
func distinct(sessions []Session) []Session {
	sorted := slices.SortedFunc(slices.Values(sessions), func(a, b Session) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return slices.CompactFunc(sorted, func(a, b Session) bool { return a.ID == b.ID })
}

func unique(reasons []Reason) []Reason {
	var out []Reason
	for _, r := range reasons {
		if !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return out
}

func filter[T any](list []T, keep func(T) bool) []T {
	var out []T
	for _, v := range list {
		if keep(v) {
			out = append(out, v)
		}
	}
	return out
}

func differing(want, got map[string]string) []string {
	names := map[string]bool{}
	for name, value := range want {
		if got[name] != value {
			names[name] = true
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func modeName(live bool) string {
	if live {
		return "live"
	}
	return "test"
}

// Money writes an amount in minor units for staff, e.g. "250.00 USD".
func Money(minor int64, code string) string {
	digits, ok := currency.GetDigits(code)
	if !ok {
		return fmt.Sprintf("%d minor units of %s", minor, code)
	}
	amount, err := currency.NewAmountFromInt64(minor, code)
	if err != nil {
		return fmt.Sprintf("%d minor units of %s", minor, code)
	}
	return amount.RoundTo(digits, currency.RoundHalfUp).Number() + " " + code
}

// ParseMoney reads an amount such as "15000.00" as minor units of a currency; "" takes USD.
func ParseMoney(text, code string) (int64, error) {
	amount, err := currency.NewAmount(text, cmp.Or(code, "USD"))
	if err != nil {
		return 0, err
	}
	if !amount.Equal(amount.Round()) {
		return 0, fmt.Errorf("%s is finer than the currency's smallest unit", text)
	}
	return amount.Int64()
}
