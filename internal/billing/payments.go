package billing

import (
	"context"

	"github.com/stripe/stripe-go/v76"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// EachPayment lists everything that Stripe took or completed, in pages; see fulfillment.Payments. Three lists are read from
// their beginnings: charges, sessions in which nothing was to be paid, and disputes that were lost.
func (c *Client) EachPayment(ctx context.Context, visit func([]fulfillment.Payment) error) error {
	if err := c.eachCharge(ctx, visit); err != nil {
		return err
	}
	if err := c.eachFreeSession(ctx, visit); err != nil {
		return err
	}
	return c.eachLostDispute(ctx, visit)
}

// eachCharge lists the charges that took money. The order stands in the metadata of the payment intent, which the charge
// copies, or in the invoice's.
func (c *Client) eachCharge(ctx context.Context, visit func([]fulfillment.Payment) error) error {
	p := &stripe.ChargeListParams{}
	p.Context, p.Limit = ctx, stripe.Int64(pageSize)
	p.AddExpand("data.invoice")
	pages := paged[fulfillment.Payment]{visit: visit}
	for list := c.charges.List(p); ; {
		if !list.Next() {
			return listed(ctx, c, "list charges", list.Err(), &pages)
		}
		charge := list.Charge()
		if !charge.Paid || charge.Status != stripe.ChargeStatusSucceeded {
			continue
		}
		payment := fulfillment.Payment{
			ID: charge.ID, OrderID: orderOfCharge(charge), Created: unix(charge.Created), Paid: true,
			Refunded: charge.Refunded && charge.AmountRefunded >= charge.Amount,
		}
		if charge.PaymentIntent != nil {
			payment.ID = charge.PaymentIntent.ID
		}
		if err := pages.add(payment); err != nil {
			return err
		}
	}
}

// orderKey is where the intent's metadata names the order; see catalog.Intent.
const orderKey = "order_id"

func orderOfCharge(charge *stripe.Charge) string {
	if id := charge.Metadata[orderKey]; id != "" || charge.Invoice == nil {
		return id
	}
	if id := charge.Invoice.Metadata[orderKey]; id != "" || charge.Invoice.SubscriptionDetails == nil {
		return id
	}
	return charge.Invoice.SubscriptionDetails.Metadata[orderKey]
}

// eachFreeSession lists the sessions that were completed without a payment.
func (c *Client) eachFreeSession(ctx context.Context, visit func([]fulfillment.Payment) error) error {
	p := &stripe.CheckoutSessionListParams{}
	p.Context, p.Limit = ctx, stripe.Int64(pageSize)
	p.Status = stripe.String(string(stripe.CheckoutSessionStatusComplete))
	pages := paged[fulfillment.Payment]{visit: visit}
	for list := c.sessions.List(p); ; {
		if !list.Next() {
			return listed(ctx, c, "list checkout sessions", list.Err(), &pages)
		}
		s := list.CheckoutSession()
		if s.Mode != stripe.CheckoutSessionModePayment || s.Status != stripe.CheckoutSessionStatusComplete ||
			s.PaymentStatus != stripe.CheckoutSessionPaymentStatusNoPaymentRequired {
			continue
		}
		if err := pages.add(fulfillment.Payment{ID: s.ID, OrderID: s.Metadata[orderKey], Created: unix(s.Created), Paid: true}); err != nil {
			return err
		}
	}
}

func (c *Client) eachLostDispute(ctx context.Context, visit func([]fulfillment.Payment) error) error {
	p := &stripe.DisputeListParams{}
	p.Context, p.Limit = ctx, stripe.Int64(pageSize)
	pages := paged[fulfillment.Payment]{visit: visit}
	for list := c.disputes.List(p); ; {
		if !list.Next() {
			return listed(ctx, c, "list disputes", list.Err(), &pages)
		}
		d := list.Dispute()
		if d.Status != stripe.DisputeStatusLost || d.PaymentIntent == nil {
			continue
		}
		if err := pages.add(fulfillment.Payment{ID: d.PaymentIntent.ID, Created: unix(d.Created), Lost: true}); err != nil {
			return err
		}
	}
}

// paged hands what is listed over in pages, so that none is kept.
type paged[T any] struct {
	visit func([]T) error
	page  []T
}

func (p *paged[T]) add(item T) error {
	p.page = append(p.page, item)
	if len(p.page) < pageSize {
		return nil
	}
	return p.flush()
}

func (p *paged[T]) flush() error {
	if len(p.page) == 0 {
		return nil
	}
	page := p.page
	p.page = nil
	return p.visit(page)
}

// listed hands over the last page, unless the list broke off.
func listed[T any](ctx context.Context, c *Client, op string, err error, last *paged[T]) error {
	if err != nil {
		return c.fail(ctx, op, err)
	}
	return last.flush()
}
