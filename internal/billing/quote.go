package billing

import (
	"context"
	"strings"

	"github.com/stripe/stripe-go/v76"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// FetchQuote reads a quote afresh; see fulfillment.Invoices.
func (c *Client) FetchQuote(ctx context.Context, quoteID string) (fulfillment.Quote, error) {
	found, err := c.quotes.Get(quoteID, &stripe.QuoteParams{Params: stripe.Params{Context: ctx}})
	if err != nil {
		return fulfillment.Quote{}, c.fail(ctx, "fetch quote", err)
	}
	return toQuote(found), nil
}

// toQuote copies what decides and what is shown, in Stripe's own words.
func toQuote(q *stripe.Quote) fulfillment.Quote {
	out := fulfillment.Quote{
		ID: q.ID, Livemode: q.Livemode, Status: string(q.Status), Number: q.Number, Currency: strings.ToUpper(string(q.Currency)),
		Subtotal: q.AmountSubtotal, Total: q.AmountTotal, Metadata: q.Metadata, ExpiresAt: unix(q.ExpiresAt), CreatedAt: unix(q.Created),
	}
	if q.Invoice != nil {
		out.InvoiceID = q.Invoice.ID
	}
	return out
}

// FinalizeInvoice writes an order's intent onto a quote's draft invoice and finalizes it; see fulfillment.Invoices. The
// intent comes first, since it must be inside what Stripe signs; Stripe finalizes a draft once.
func (c *Client) FinalizeInvoice(ctx context.Context, invoiceID string, metadata map[string]string) (fulfillment.Invoice, error) {
	_, err := c.invoices.Update(invoiceID, &stripe.InvoiceParams{
		Params: stripe.Params{Context: ctx, IdempotencyKey: stripe.String("intent:" + invoiceID)}, Metadata: metadata,
	})
	if err != nil {
		return fulfillment.Invoice{}, c.fail(ctx, "write intent onto invoice", err)
	}
	_, err = c.invoices.FinalizeInvoice(invoiceID, &stripe.InvoiceFinalizeInvoiceParams{
		Params: stripe.Params{Context: ctx, IdempotencyKey: stripe.String("finalize:" + invoiceID)},
	})
	if err != nil {
		return fulfillment.Invoice{}, c.fail(ctx, "finalize invoice", err)
	}
	return c.FetchInvoice(ctx, invoiceID)
}
