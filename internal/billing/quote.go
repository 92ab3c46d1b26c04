package billing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/stripe/stripe-go/v76"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// organizationKey is where a customer's metadata names the organization, since an e-mail address names none for sure.
const organizationKey = "organization_id"

// maxHeader is how many characters a quote's header may have.
const maxHeader = 50

// OpenQuote makes the quote of an order and opens it; see fulfillment.Quoting. Stripe forgets an idempotency key after a
// day, so what is there is looked for first.
func (c *Client) OpenQuote(ctx context.Context, r fulfillment.QuoteRequest) (fulfillment.Quote, error) {
	customerID, err := c.customerOf(ctx, r)
	if err != nil {
		return fulfillment.Quote{}, err
	}
	found, err := c.quoteOfOrder(ctx, customerID, r.OrderID)
	if err != nil {
		return fulfillment.Quote{}, err
	}
	if found == nil {
		if found, err = c.createQuote(ctx, customerID, r); err != nil {
			return fulfillment.Quote{}, err
		}
	}
	if found.Status == stripe.QuoteStatusDraft {
		p := &stripe.QuoteFinalizeQuoteParams{ExpiresAt: stripe.Int64(r.Snapshot.Offer.ExpiresAt.Unix())}
		p.Context, p.IdempotencyKey = ctx, stripe.String("quote-open:"+r.OrderID)
		if found, err = c.quotes.FinalizeQuote(found.ID, p); err != nil {
			return fulfillment.Quote{}, c.fail(ctx, "finalize quote", err)
		}
	}
	return toQuote(found), nil
}

// customerOf answers the organization's customer: the stored one, or one that names the organization, or a new one.
func (c *Client) customerOf(ctx context.Context, r fulfillment.QuoteRequest) (string, error) {
	if r.StripeCustomer != "" {
		return r.StripeCustomer, nil
	}
	organization := r.Snapshot.Intent.CustomerID
	p := &stripe.CustomerListParams{Email: stripe.String(r.CustomerEmail)}
	p.Context, p.Limit = ctx, stripe.Int64(pageSize)
	list := c.customers.List(p)
	for list.Next() {
		if list.Customer().Metadata[organizationKey] == organization {
			return list.Customer().ID, nil
		}
	}
	if err := list.Err(); err != nil {
		return "", c.fail(ctx, "list customers", err)
	}
	create := &stripe.CustomerParams{
		Params: stripe.Params{Context: ctx, IdempotencyKey: stripe.String("customer:" + r.OrderID)},
		Email:  stripe.String(r.CustomerEmail), Name: stripe.String(r.Snapshot.Intent.CustomerName),
		Metadata: map[string]string{organizationKey: organization},
	}
	made, err := c.customers.New(create)
	if err != nil {
		return "", c.fail(ctx, "create customer", err)
	}
	return made.ID, nil
}

// quoteOfOrder finds the quote that names an order, nil where none does.
func (c *Client) quoteOfOrder(ctx context.Context, customerID, orderID string) (*stripe.Quote, error) {
	p := &stripe.QuoteListParams{Customer: stripe.String(customerID)}
	p.Context, p.Limit = ctx, stripe.Int64(pageSize)
	list := c.quotes.List(p)
	for list.Next() {
		if list.Quote().Metadata[orderKey] == orderID {
			return list.Quote(), nil
		}
	}
	return nil, c.failed(ctx, "list quotes", list.Err())
}

func (c *Client) createQuote(ctx context.Context, customerID string, r fulfillment.QuoteRequest) (*stripe.Quote, error) {
	line, err := c.quoteLine(ctx, r.Snapshot)
	if err != nil {
		return nil, err
	}
	p := &stripe.QuoteParams{
		Params:   stripe.Params{Context: ctx, IdempotencyKey: stripe.String("quote:" + r.OrderID)},
		Customer: stripe.String(customerID), LineItems: []*stripe.QuoteLineItemParams{line},
		Metadata:         r.Snapshot.Intent.Metadata(),
		CollectionMethod: stripe.String(string(stripe.QuoteCollectionMethodSendInvoice)), // card or transfer, as the customer likes
		InvoiceSettings:  &stripe.QuoteInvoiceSettingsParams{DaysUntilDue: stripe.Int64(int64(r.Snapshot.Offer.DaysUntilDue))},
		Header:           stripe.String(firstRunes("License: "+r.Snapshot.Template.Name, maxHeader)),
		ExpiresAt:        stripe.Int64(r.Snapshot.Offer.ExpiresAt.Unix()),
	}
	made, err := c.quotes.New(p)
	if err == nil {
		return made, nil
	}
	failure := c.fail(ctx, "create quote", err)
	if e, ok := errors.AsType[*Error](failure); ok && e.Code == string(stripe.ErrorCodeResourceMissing) && strings.Contains(e.Param, "product") {
		return nil, fmt.Errorf("stripe: %w", ErrPriceMissing)
	}
	return nil, failure
}

// quoteLine is the template's own price, or an amount that was agreed for its product.
func (c *Client) quoteLine(ctx context.Context, s fulfillment.Snapshot) (*stripe.QuoteLineItemParams, error) {
	quantity := int64(s.Intent.Quantity)
	line := &stripe.QuoteLineItemParams{Quantity: stripe.Int64(quantity)}
	if !s.Template.Price.ByContract && s.Total == s.Template.Price.UnitAmount*quantity {
		id, err := c.pinnedPrice(ctx, s)
		line.Price = stripe.String(id)
		return line, err
	}
	if s.Total <= 0 || s.Total%quantity != 0 {
		return nil, fmt.Errorf("stripe: create quote: a total of %d for %d units", s.Total, quantity)
	}
	line.PriceData = &stripe.QuoteLineItemPriceDataParams{
		Product: stripe.String(productID(s.Template.SKU)), Currency: stripe.String(strings.ToLower(s.Currency)),
		UnitAmount: stripe.Int64(s.Total / quantity), TaxBehavior: stripe.String(string(stripe.PriceTaxBehaviorExclusive)),
	}
	return line, nil
}

func firstRunes(s string, n int) string {
	if runes := []rune(s); len(runes) > n {
		return string(runes[:n])
	}
	return s
}

// FetchQuote reads a quote afresh; see fulfillment.Invoices.
func (c *Client) FetchQuote(ctx context.Context, quoteID string) (fulfillment.Quote, error) {
	found, err := c.quotes.Get(quoteID, &stripe.QuoteParams{Params: stripe.Params{Context: ctx}})
	if err != nil {
		return fulfillment.Quote{}, c.fail(ctx, "fetch quote", err)
	}
	return toQuote(found), nil
}

func toQuote(q *stripe.Quote) fulfillment.Quote {
	out := fulfillment.Quote{
		ID: q.ID, Livemode: q.Livemode, Status: string(q.Status), Number: q.Number, Currency: strings.ToUpper(string(q.Currency)),
		Subtotal: q.AmountSubtotal, Total: q.AmountTotal, Metadata: q.Metadata, ExpiresAt: unix(q.ExpiresAt), CreatedAt: unix(q.Created),
	}
	if q.Invoice != nil {
		out.InvoiceID = q.Invoice.ID
	}
	if q.Customer != nil {
		out.StripeCustomer = q.Customer.ID
	}
	return out
}

// AcceptQuote accepts an open quote; see fulfillment.Quoting.
func (c *Client) AcceptQuote(ctx context.Context, quoteID string) (fulfillment.Quote, error) {
	return c.settle(ctx, quoteID, stripe.QuoteStatusAccepted, func() (*stripe.Quote, error) {
		p := &stripe.QuoteAcceptParams{} // nil parameters would take neither context nor key
		p.Context, p.IdempotencyKey = ctx, stripe.String("quote-accept:"+quoteID)
		return c.quotes.Accept(quoteID, p)
	})
}

// CancelQuote cancels a quote that is not accepted; see fulfillment.Quoting.
func (c *Client) CancelQuote(ctx context.Context, quoteID string) (fulfillment.Quote, error) {
	return c.settle(ctx, quoteID, stripe.QuoteStatusCanceled, func() (*stripe.Quote, error) {
		p := &stripe.QuoteCancelParams{}
		p.Context, p.IdempotencyKey = ctx, stripe.String("quote-cancel:"+quoteID)
		return c.quotes.Cancel(quoteID, p)
	})
}

// settle brings a quote into its last state. Stripe refuses for one that is in such a state without a code of its own, so
// the quote is looked at before, and again after a refusal.
func (c *Client) settle(ctx context.Context, quoteID string, to stripe.QuoteStatus, do func() (*stripe.Quote, error)) (fulfillment.Quote, error) {
	found, err := c.FetchQuote(ctx, quoteID)
	if err != nil {
		return found, err
	}
	if ended(found) {
		return settledAs(found, to)
	}
	after, err := do()
	if err == nil {
		return toQuote(after), nil
	}
	failure := c.fail(ctx, "settle quote", err)
	if errors.Is(failure, fulfillment.ErrUnavailable) {
		return fulfillment.Quote{}, failure
	}
	if found, err = c.FetchQuote(ctx, quoteID); err == nil && ended(found) {
		return settledAs(found, to)
	}
	return fulfillment.Quote{}, failure
}

func ended(q fulfillment.Quote) bool {
	return q.Status == string(stripe.QuoteStatusAccepted) || q.Status == string(stripe.QuoteStatusCanceled)
}

func settledAs(q fulfillment.Quote, want stripe.QuoteStatus) (fulfillment.Quote, error) {
	if q.Status != string(want) {
		return q, fulfillment.ErrQuoteClosed
	}
	return q, nil
}

// errNoAnswer stands for whatever kept an answer away where the SDK does not tell.
var errNoAnswer = errors.New("connection failed")

// QuotePDF answers a quote as a PDF file; see fulfillment.Quoting.
func (c *Client) QuotePDF(ctx context.Context, quoteID string) ([]byte, error) {
	const op = "fetch quote's PDF"
	stream, err := c.streamPDF(ctx, quoteID)
	if err != nil {
		return nil, c.fail(ctx, op, err)
	}
	body := stream.LastResponse.Body
	defer body.Close()
	file, err := io.ReadAll(io.LimitReader(body, fulfillment.MaxQuotePDF+1))
	if err != nil {
		return nil, c.fail(ctx, op, err)
	}
	if len(file) > fulfillment.MaxQuotePDF || http.DetectContentType(file) != "application/pdf" {
		return nil, fmt.Errorf("stripe: %s: answer is no PDF file of at most %d bytes", op, fulfillment.MaxQuotePDF)
	}
	return file, nil
}

// streamPDF asks for the file. The SDK panics where no answer came: it takes the body of a response that is nil.
func (c *Client) streamPDF(ctx context.Context, quoteID string) (stream *stripe.APIStream, err error) {
	defer func() {
		if recover() != nil {
			err = errNoAnswer
		}
	}()
	p := &stripe.QuotePDFParams{}
	p.Context = ctx
	return c.quotes.PDF(quoteID, p)
}
