package billing

import (
	"context"

	"github.com/stripe/stripe-go/v76"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// FetchSubscription reads a subscription afresh; see fulfillment.Invoices.
func (c *Client) FetchSubscription(ctx context.Context, subscriptionID string) (fulfillment.Subscription, error) {
	found, err := c.subscriptions.Get(subscriptionID, &stripe.SubscriptionParams{Params: stripe.Params{Context: ctx}})
	if err != nil {
		return fulfillment.Subscription{}, c.fail(ctx, "fetch subscription", err)
	}
	return toSubscription(found), nil
}

// toSubscription copies what decides and what is shown, in Stripe's own words.
func toSubscription(s *stripe.Subscription) fulfillment.Subscription {
	out := fulfillment.Subscription{
		ID: s.ID, Livemode: s.Livemode, Status: string(s.Status), Metadata: s.Metadata,
		CancelAtEnd: s.CancelAtPeriodEnd, EndsAt: unix(s.CancelAt), CollectionPaused: s.PauseCollection != nil,
		CanceledAt: unix(s.CanceledAt), EndedAt: unix(s.EndedAt), CurrentPeriodEnd: unix(s.CurrentPeriodEnd), CreatedAt: unix(s.Created),
	}
	if i := s.Items; i != nil && len(i.Data) == 1 && !i.HasMore && i.Data[0].Price != nil {
		out.LookupKey, out.Quantity = i.Data[0].Price.LookupKey, i.Data[0].Quantity
	}
	if s.Customer != nil {
		out.StripeCustomer = s.Customer.ID
	}
	if s.LatestInvoice != nil {
		out.LatestInvoiceID = s.LatestInvoice.ID
	}
	return out
}
