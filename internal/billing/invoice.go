package billing

import (
	"context"
	"errors"
	"maps"
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

// FinalizeInvoice writes the intent into a draft's metadata and finalizes it; see fulfillment.Invoices. The metadata is
// written first, so that every event of the opened invoice carries it.
func (c *Client) FinalizeInvoice(ctx context.Context, invoiceID string, metadata map[string]string) (fulfillment.Invoice, error) {
	found, err := c.FetchInvoice(ctx, invoiceID)
	if err != nil || found.Status != string(stripe.InvoiceStatusDraft) {
		return found, err
	}
	if !maps.Equal(found.Metadata, metadata) {
		p := &stripe.InvoiceParams{Metadata: metadata, CustomFields: licensedTo(metadata)}
		p.Context, p.IdempotencyKey = ctx, stripe.String("invoice-intent:"+invoiceID)
		if _, err := c.invoices.Update(invoiceID, p); err != nil {
			return fulfillment.Invoice{}, c.fail(ctx, "write invoice's metadata", err)
		}
	}
	p := &stripe.InvoiceFinalizeInvoiceParams{AutoAdvance: stripe.Bool(false)} // the portal tells the customer itself
	p.Context = ctx
	if found.FinalizationError == "" { // under a used key Stripe would only repeat a failure that staff have mended
		p.IdempotencyKey = stripe.String("invoice-finalize:" + invoiceID)
	}
	if _, err := c.invoices.FinalizeInvoice(invoiceID, p); err != nil {
		return c.unfinalized(ctx, invoiceID, err)
	}
	return c.FetchInvoice(ctx, invoiceID) // with its payment intent
}

// unfinalized looks at an invoice that Stripe would not finalize: another may have finalized it, or the invoice says itself
// what is wrong, which is for staff to read and no reason to try again.
func (c *Client) unfinalized(ctx context.Context, invoiceID string, cause error) (fulfillment.Invoice, error) {
	failure := c.fail(ctx, "finalize invoice", cause)
	if errors.Is(failure, fulfillment.ErrUnavailable) {
		return fulfillment.Invoice{}, failure
	}
	found, err := c.FetchInvoice(ctx, invoiceID)
	if err == nil && found.Status == string(stripe.InvoiceStatusDraft) && found.FinalizationError == "" {
		return found, failure
	}
	return found, err
}

// licensedTo puts the customer's name on the invoice and its PDF: a customer whom Checkout made has a card holder's name at
// Stripe, or none. The value of a field holds 140 characters.
func licensedTo(metadata map[string]string) []*stripe.InvoiceCustomFieldParams {
	name := metadata["customer_name"]
	if name == "" {
		return nil
	}
	return []*stripe.InvoiceCustomFieldParams{{Name: stripe.String("Licensed to"), Value: stripe.String(firstRunes(name, 140))}}
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
