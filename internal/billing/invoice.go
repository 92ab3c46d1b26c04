package billing

import (
	"context"
	"errors"
	"strings"

	"github.com/stripe/stripe-go/v76"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// deleted is the status of an invoice that was a draft and is gone. Stripe answers then that there is no such invoice.
const deleted = "deleted"

// FetchInvoice reads an invoice afresh; see fulfillment.Invoices.
func (c *Client) FetchInvoice(ctx context.Context, invoiceID string) (fulfillment.Invoice, error) {
	p := &stripe.InvoiceParams{Params: stripe.Params{Context: ctx}}
	p.AddExpand("payment_intent")
	found, err := c.invoices.Get(invoiceID, p)
	if err != nil {
		failure := c.fail(ctx, "fetch invoice", err)
		if errors.Is(failure, fulfillment.ErrNotFound) {
			return fulfillment.Invoice{ID: invoiceID, Status: deleted}, nil
		}
		return fulfillment.Invoice{}, failure
	}
	return toInvoice(found), nil
}

// toInvoice copies what decides, in Stripe's own words.
func toInvoice(i *stripe.Invoice) fulfillment.Invoice {
	out := fulfillment.Invoice{
		ID: i.ID, Livemode: i.Livemode, Status: string(i.Status), BillingReason: string(i.BillingReason),
		Collection: string(i.CollectionMethod), PaidOutOfBand: i.PaidOutOfBand, Currency: strings.ToUpper(string(i.Currency)),
		Total: i.Total, Tax: i.Tax, AmountDue: i.AmountDue, AmountPaid: i.AmountPaid, AmountLeft: i.AmountRemaining,
		StartBalance: i.StartingBalance, CreditNotes: i.PrePaymentCreditNotesAmount + i.PostPaymentCreditNotesAmount,
		Metadata: i.Metadata, Number: i.Number, HostedURL: i.HostedInvoiceURL, PDFURL: i.InvoicePDF,
		CreatedAt: unix(i.Created), DueAt: unix(i.DueDate), NextAttemptAt: unix(i.NextPaymentAttempt),
	}
	if i.Deleted {
		out.Status = deleted
	}
	for _, d := range i.TotalDiscountAmounts {
		out.Discount += d.Amount
	}
	copyLine(&out, i.Lines)
	copyLinks(&out, i)
	return out
}

// copyLine takes the only line. Of several nothing is taken, since none of them is what was ordered.
func copyLine(out *fulfillment.Invoice, lines *stripe.InvoiceLineItemList) {
	if lines == nil {
		return
	}
	out.Lines = min(len(lines.Data), 2)
	if lines.HasMore {
		out.Lines = 2
	}
	if out.Lines != 1 {
		return
	}
	line := lines.Data[0]
	out.LineID, out.Quantity, out.LineAmount, out.Proration = line.ID, line.Quantity, line.Amount, line.Proration
	if line.Price != nil {
		out.LookupKey = line.Price.LookupKey
	}
	if line.Period != nil {
		out.PeriodStart, out.PeriodEnd = unix(line.Period.Start), unix(line.Period.End)
	}
}

// copyLinks takes what an invoice belongs to and what became of it.
func copyLinks(out *fulfillment.Invoice, i *stripe.Invoice) {
	if pi := i.PaymentIntent; pi != nil {
		out.PaymentIntentID, out.PaymentIntent = pi.ID, string(pi.Status)
		if pi.LastPaymentError != nil {
			out.PaymentFailure = pi.LastPaymentError.Msg
		}
	}
	if i.SubscriptionDetails != nil {
		out.SubscriptionMetadata = i.SubscriptionDetails.Metadata
	}
	if i.Subscription != nil {
		out.SubscriptionID = i.Subscription.ID
	}
	if i.Quote != nil {
		out.QuoteID = i.Quote.ID
	}
	if i.Customer != nil {
		out.StripeCustomer = i.Customer.ID
	}
	if r := i.LatestRevision; r != nil && r.ID != i.ID {
		out.ReplacedBy = r.ID
	}
	if e := i.LastFinalizationError; e != nil {
		out.FinalizationError = e.Msg
	}
}
