package view

import (
	"fmt"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// The phases of an order by quote, before it is paid.
const (
	PhaseQuote     Phase = "quote"     // to be accepted or declined
	PhaseAccepting Phase = "accepting" // accepted, its invoice is not here yet
	PhaseInvoice   Phase = "invoice"   // to be paid
)

// quotePhases are what an order by quote says while it awaits its payment.
var quotePhases = map[fulfillment.QuoteStep]Phase{
	fulfillment.QuoteOffered: PhaseQuote, fulfillment.QuoteAccepted: PhaseAccepting, fulfillment.QuoteInvoiced: PhaseInvoice,
}

// quoteText says what a phase of an order by quote means; "" for those that mean the same as elsewhere.
func quoteText(p OrderPage) string {
	switch p.Phase {
	case PhaseQuote:
		return "Read it, then accept or decline. Nothing is owed until you accept."
	case PhaseAccepting:
		return "You accepted the quote. Its invoice is here within a few seconds, and comes by e-mail as well."
	case PhaseInvoice:
		return "Pay by card or bank transfer, on Stripe's page. The license is issued when the payment has arrived."
	case PhaseReview:
		return "A person confirms what was agreed beyond the package, or how it was paid, before the license is issued. There is nothing for you to do."
	case PhaseFailed:
		return p.Order.Failure
	case PhaseCanceled:
		if p.Order.PaidAt.IsZero() && p.Order.CloseNote == "" {
			return "The quote was declined. Nothing is owed."
		}
	}
	return ""
}

// orderedWords says what accepting a quote comes to.
func orderedWords(p OrderPage) string {
	o := p.Order
	return fmt.Sprintf("You order %s for %s at %s net. The invoice is due %d days from now.",
		o.Snapshot.Template.Name, o.DeploymentName, Money(p.Quote.Subtotal, p.Quote.Currency), o.Snapshot.Offer.DaysUntilDue)
}
