package server

import (
	"strings"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/signer/evidence"
)

// The events of an invoice: that it was paid, and that it is owed.
const (
	typeInvoicePaid      = "invoice.paid"
	typeInvoiceFinalized = "invoice.finalized"
)

// boughtByInvoice decides what a paid invoice proves: an order's by quote, or a cycle of a subscription. Balances, credit
// notes, prices by contract and payment out of band leave less than the pinned price paid, or say so; they need an approval.
func (i *Issuer) boughtByInvoice(e *evidence.Event) (purchase, error) {
	if err := checkInvoice(e); err != nil {
		return purchase{}, err
	}
	switch e.Data.Invoice.BillingReason {
	case "manual", "quote_accept":
		return i.boughtByOrder(e)
	case "subscription_create", "subscription_cycle":
		return i.boughtByCycle(e)
	}
	return purchase{}, refuse(signer.CodeEventType, "an invoice for this reason is judged by staff")
}

func (i *Issuer) boughtByOrder(e *evidence.Event) (purchase, error) {
	intent, template, err := i.intent(e.Data.Metadata)
	switch {
	case err != nil:
		return purchase{}, err
	case template.Channel != catalog.ChannelInvoice || template.Price.ByContract || template.Term.ByContract:
		return purchase{}, refuse(signer.CodeChannel, "the template is not sold by invoice at a fixed price")
	case !template.Open(e.Data.Created):
		return purchase{}, refuse(signer.CodeTemplateClosed, "the template's version was closed before the invoice was made")
	}
	return purchase{intent: intent, template: template, fulfillmentKey: intent.OrderID}, checkLine(e, intent, template)
}

// boughtByCycle decides what one paid cycle of a subscription proves: a license to the end of the paid period.
func (i *Issuer) boughtByCycle(e *evidence.Event) (purchase, error) {
	intent, template, err := i.intent(e.Data.Invoice.SubscriptionMetadata)
	switch {
	case err != nil:
		return purchase{}, err
	case !template.Subscription():
		return purchase{}, refuse(signer.CodeChannel, "the template is not sold by subscription")
	case intent.Kind != catalog.IssueNew:
		return purchase{}, refuse(signer.CodeIntentRefused, "a subscription's license has no base")
	case !template.Open(e.Data.Created) && (template.RenewalsUntil == nil || !e.Data.Created.Before(*template.RenewalsUntil)):
		return purchase{}, refuse(signer.CodeTemplateClosed, "the template's version no longer renews")
	}
	if err := checkLine(e, intent, template); err != nil {
		return purchase{}, err
	}
	line := e.Data.Invoice.Line
	return purchase{
		intent: intent, template: template, fulfillmentKey: e.Data.ID + "/" + line.ID, periodEnd: line.End,
	}, checkPeriod(e, template.Term)
}

// checkInvoice checks that the event carries an invoice that was paid through Stripe.
func checkInvoice(e *evidence.Event) error {
	d := e.Data
	switch {
	case d.Object != "invoice" || d.ID == "":
		return refuse(signer.CodeEventMalformed, "the event carries no invoice")
	case !e.HasAll("livemode") || d.Livemode != e.Livemode:
		return refuse(signer.CodeMode, "event and invoice are of different modes, live and test")
	case !e.HasAll("created"):
		return refuse(signer.CodeEventMalformed, "the invoice does not say when it was made")
	case d.Status != "paid" || !d.Invoice.Paid:
		return refuse(signer.CodeUnpaid, "the invoice is not paid")
	case !e.HasAll("paid_out_of_band") || d.Invoice.PaidOutOfBand:
		return refuse(signer.CodeUnpaid, "the invoice was paid out of band, which needs an approval")
	}
	return nil
}

// checkLine checks that the invoice is for the template alone, and that its price was paid, tax apart.
func checkLine(e *evidence.Event, intent catalog.Intent, t catalog.Template) error {
	d, line := e.Data, e.Data.Invoice.Line
	price := t.Price.UnitAmount * int64(intent.Quantity)
	switch {
	case !e.HasAll("lines.has_more", "lines.data.[].id", "lines.data.[].quantity", "lines.data.[].amount", "lines.data.[].proration"):
		return refuse(signer.CodeEventMalformed, "the invoice's line is not all there")
	case d.Invoice.HasMore || d.Invoice.SeveralLines || line.Proration:
		return refuse(signer.CodeIntentRefused, "the invoice has more than the one line of the package")
	case line.LookupKey != t.LookupKey():
		return refuse(signer.CodeTemplateUnknown, "the line's price is not the template's")
	case line.Quantity != int64(intent.Quantity):
		return refuse(signer.CodeQuantity, "the line's quantity is not the intent's")
	case d.Currency != strings.ToLower(t.Price.Currency):
		return refuse(signer.CodeCurrency, "the currency is not the template's")
	case !e.HasAll("amount_paid") || d.Invoice.Tax < 0 || d.Invoice.AmountPaid < 0 || d.Invoice.AmountPaid-d.Invoice.Tax < price ||
		line.Amount < price:
		return refuse(signer.CodeAmount, "less was paid than the template's price")
	}
	return nil
}

// anchorDays is how many days longer than one calendar term a period may be: Stripe keeps the day of the month of the first
// cycle, so the one that starts on 28 February may end on 31 March.
const anchorDays = 3

// checkPeriod bounds the paid period to one term.
func checkPeriod(e *evidence.Event, term catalog.Term) error {
	line := e.Data.Invoice.Line
	if !e.HasAll("lines.data.[].period.start", "lines.data.[].period.end") || !line.End.After(line.Start) ||
		line.End.After(term.After(line.Start).AddDate(0, 0, anchorDays)) || line.Start.After(e.Created.Add(24*time.Hour)) {
		return refuse(signer.CodeIntentRefused, "the paid period is not one term of the template")
	}
	return nil
}
