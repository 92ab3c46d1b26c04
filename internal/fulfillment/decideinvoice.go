package fulfillment

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/metrum-ai/licensing-portal/internal/approval"
)

// invoiceStates are Stripe's words for where an invoice stands, and "deleted" for a draft that is gone.
var invoiceStates = []string{"draft", "open", "paid", "void", "uncollectible", "deleted"}

// sessionMode is the mode of a channel's checkout sessions.
func (c Channel) sessionMode() string {
	if c == BySubscription {
		return "subscription"
	}
	return "payment"
}

// billingReasons are the reasons for which an invoice of a channel is made.
func (c Channel) billingReasons() []string {
	switch c {
	case ByQuote:
		return []string{"manual", "quote_accept"}
	case BySubscription:
		return []string{"subscription_create"}
	case ByCycle:
		return []string{"subscription_cycle"}
	}
	return nil
}

// decideInvoiced looks at an order of which no invoice is paid (yet). An invoice that is uncollectible can still be paid.
func decideInvoiced(snapshot Snapshot, f Facts, sessions []Session, invoices []Invoice) Verdict {
	live := filter(invoices, func(i Invoice) bool { return slices.Contains([]string{"draft", "open", "uncollectible"}, i.Status) })
	under := slices.ContainsFunc(live, func(i Invoice) bool { return i.PaymentIntent == "processing" || i.PaymentIntent == "requires_capture" })
	switch {
	case under:
		return Verdict{State: StateProcessing}
	case f.Canceled:
		return Verdict{State: StateCanceled}
	case snapshot.Channel == BySubscription && len(invoices) == 0 && slices.ContainsFunc(sessions, settled):
		return Verdict{State: StateProcessing} // the invoice follows
	case len(live) > 0:
		return Verdict{State: StateAwaitingPayment}
	case len(invoices) > 0:
		return Verdict{State: StateFailed, Failure: "The invoice was voided. Nothing is owed for it."}
	case snapshot.Channel == BySubscription:
		return decideUnpaid(f, sessions)
	case f.Quote != nil && f.Quote.Status == "canceled":
		return Verdict{State: StateFailed, Failure: "The quote was withdrawn or has expired. Nothing is owed for it."}
	case f.Attempt == 0:
		return Verdict{State: StateDraft}
	}
	return Verdict{State: StateAwaitingPayment}
}

// quoteOddities names what a quote is called in a word that this code does not know.
func quoteOddities(q *Quote) []Reason {
	if q == nil || slices.Contains([]string{"draft", "open", "accepted", "canceled"}, q.Status) {
		return nil
	}
	return []Reason{{"status-unknown", fmt.Sprintf("Stripe calls quote %s %q; that is not a known state.", q.ID, q.Status)}}
}

// invoiceOddities names what needs staff's eyes although no invoice is paid.
func invoiceOddities(invoices []Invoice) []Reason {
	var reasons []Reason
	for _, i := range invoices {
		switch {
		case !slices.Contains(invoiceStates, i.Status):
			reasons = append(reasons, Reason{"status-unknown", fmt.Sprintf("Stripe calls invoice %s %q; that is not a known state.", i.ID, i.Status)})
		case i.Status == "open" && i.AmountPaid > 0:
			reasons = append(reasons, Reason{"partly-paid", fmt.Sprintf("Of invoice %s %s is paid, and %s is left.", i.ID, Money(i.AmountPaid, i.Currency), Money(i.AmountLeft, i.Currency))})
		}
	}
	return reasons
}

// invoiceFlags names what staff should know of unpaid invoices, blocking nothing.
func invoiceFlags(invoices []Invoice) []Reason {
	var flags []Reason
	for _, i := range invoices {
		if i.FinalizationError != "" {
			flags = append(flags, Reason{"finalization-failed", fmt.Sprintf("Stripe cannot finalize invoice %s: %s", i.ID, i.FinalizationError)})
		}
		if i.Status == "uncollectible" {
			flags = append(flags, Reason{"uncollectible", fmt.Sprintf("Invoice %s was marked uncollectible; it can still be paid.", i.ID)})
		}
	}
	return flags
}

// invoiceMismatches names everything in which a paid invoice differs from what was ordered, in words for staff. What the
// signer does not take as proof by itself is among them: a contract, a balance, a credit note, payment out of band.
func invoiceMismatches(snapshot Snapshot, f Facts, i Invoice) []Reason {
	var reasons []Reason
	add := func(code, format string, args ...any) {
		reasons = append(reasons, Reason{code, fmt.Sprintf(format, args...) + " (" + i.ID + ")"})
	}
	approve := func(code string, why approval.Reason, format string, args ...any) {
		reasons = append(reasons, Reason{code, fmt.Sprintf(format, args...) + " " + IssueCommand(snapshot.Intent.OrderID, i.ID, why)})
	}
	if i.Livemode != f.Livemode {
		add("mode-mismatch", "The invoice was paid in %s mode, the portal works in %s mode.", modeName(i.Livemode), modeName(f.Livemode))
	}
	if want := snapshot.Channel.billingReasons(); !slices.Contains(want, i.BillingReason) {
		add("billing-reason", "Stripe made the invoice for %q, the order expects %q: a changed plan or an invoice by hand.", i.BillingReason, strings.Join(want, " or "))
	}
	if i.PaidOutOfBand {
		approve("paid-out-of-band", approval.ReasonOutOfBand, "The invoice was marked paid outside of Stripe. Once the money is there, approve the license:")
	}
	if agreed := agreedBeyond(snapshot); agreed != "" {
		approve("by-contract", approval.ReasonContract, "%s was agreed by contract, so staff approve the license:", agreed)
	}
	if i.Currency != snapshot.Currency {
		add("currency-mismatch", "Paid in %s, the order is in %s.", i.Currency, snapshot.Currency)
	} else {
		amounts(snapshot, i, add, approve)
	}
	if i.Lines != 1 || i.Proration {
		add("invoice-lines", "The invoice has more, less or something else than one whole line.")
	} else {
		if key := snapshot.Template.LookupKey(); i.LookupKey != key && !snapshot.Template.Price.ByContract && snapshot.Total == snapshot.Template.Price.UnitAmount*int64(snapshot.Intent.Quantity) {
			add("package-mismatch", "Stripe has the price %q, the order is for %q.", i.LookupKey, key)
		}
		if i.Quantity != int64(snapshot.Intent.Quantity) {
			add("quantity-mismatch", "Stripe has quantity %d, the order has %d.", i.Quantity, snapshot.Intent.Quantity)
		}
	}
	metadata := i.Metadata
	if snapshot.Channel != ByQuote {
		metadata = i.SubscriptionMetadata
	}
	if names := differing(snapshot.Intent.Metadata(), metadata); len(names) > 0 {
		add("intent-mismatch", "The invoice's metadata differs from the order in: %s.", strings.Join(names, ", "))
	}
	return reasons
}

// amounts compares what was paid, tax apart, with the order. What was paid in part by a balance or a credit note does not match.
func amounts(snapshot Snapshot, i Invoice, add func(code, format string, args ...any), approve func(code string, why approval.Reason, format string, args ...any)) {
	if i.Discount != 0 {
		add("discounted", "The invoice has a discount of %s; none is given at launch.", Money(i.Discount, i.Currency))
	}
	if i.StartBalance != 0 {
		approve("balance-used", approval.ReasonBalance, "The customer's balance of %s changed what was due. Where that is right, approve the license:", Money(i.StartBalance, i.Currency))
	}
	if i.CreditNotes != 0 {
		approve("credit-note", approval.ReasonBalance, "Credit notes took %s off the invoice. Where that is right, approve the license:", Money(i.CreditNotes, i.Currency))
	}
	if i.LineAmount != snapshot.Total || i.AmountPaid-i.Tax < snapshot.Total {
		add("amount-mismatch", "Stripe has a line of %s, and %s paid of which %s is tax; the order is %s.",
			Money(i.LineAmount, i.Currency), Money(i.AmountPaid, i.Currency), Money(i.Tax, i.Currency), Money(snapshot.Total, snapshot.Currency))
	}
}

// agreedBeyond says what a quote agrees beyond its template, which only staff may approve; "" for nothing.
func agreedBeyond(s Snapshot) string {
	switch {
	case s.Channel != ByQuote:
		return ""
	case s.Template.Price.ByContract || s.Total != s.Template.Price.UnitAmount*int64(s.Intent.Quantity):
		return "The price of " + Money(s.Total, s.Currency)
	case s.Template.Term.ByContract || !s.Contract.ExpiresAt.IsZero():
		return "The end date"
	case !s.Contract.Empty():
		return "More than the package"
	}
	return ""
}

// distinctInvoices sorts invoices by creation and ID and drops repetitions.
func distinctInvoices(invoices []Invoice) []Invoice {
	sorted := slices.SortedFunc(slices.Values(invoices), func(a, b Invoice) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return slices.CompactFunc(sorted, func(a, b Invoice) bool { return a.ID == b.ID })
}
