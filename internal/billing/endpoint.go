package billing

import (
	"context"
	"slices"

	"github.com/stripe/stripe-go/v76"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// Events are the types of event that the webhook endpoint is sent, exactly these.
var Events = []string{
	"charge.dispute.closed", "charge.dispute.created", "charge.dispute.funds_reinstated", "charge.dispute.funds_withdrawn",
	"charge.dispute.updated", "charge.refund.updated", "charge.refunded",
	"checkout.session.async_payment_failed", "checkout.session.async_payment_succeeded", "checkout.session.completed",
	"checkout.session.expired",
	"credit_note.created", "credit_note.voided",
	"customer.deleted", "customer.subscription.deleted", "customer.subscription.paused", "customer.subscription.resumed",
	"customer.subscription.updated", "customer.updated",
	"invoice.deleted", "invoice.finalization_failed", "invoice.finalized", "invoice.marked_uncollectible", "invoice.paid",
	"invoice.payment_action_required", "invoice.payment_failed", "invoice.voided",
	"quote.accepted", "quote.canceled", "quote.finalized",
	"radar.early_fraud_warning.created",
	"refund.created", "refund.updated",
	"review.closed", "review.opened",
}

// PlanEndpoint answers what PushEndpoint would do, and does nothing.
func (c *Client) PlanEndpoint(ctx context.Context, url string, livemode bool) (Change, error) {
	s, err := c.endpointStep(ctx, url, livemode, nil)
	return s.Change, err
}

// PushEndpoint makes the webhook endpoint at the portal's URL, pinned to the API version whose events are evidence, or
// brings the events of the one that is there in line and enables it. Stripe tells the secret of a new endpoint this once;
// keep must store it, or the endpoint is deleted again. An endpoint of another API version is a *DriftError: it has to be
// deleted by a person, since events under way are signed with its secret.
func (c *Client) PushEndpoint(ctx context.Context, url string, livemode bool, keep func(secret string) error) (Change, error) {
	s, err := c.endpointStep(ctx, url, livemode, keep)
	if err != nil || s.do == nil {
		return s.Change, err
	}
	return s.Change, s.do(ctx)
}

func (c *Client) endpointStep(ctx context.Context, url string, livemode bool, keep func(string) error) (step, error) {
	s := step{Change: Change{Object: "webhook endpoint", Name: url, Action: Unchanged}}
	found, err := c.endpointAt(ctx, url)
	switch {
	case err != nil:
		return step{}, err
	case found == nil:
		s.Action, s.do = Created, func(ctx context.Context) error { return c.createEndpoint(ctx, url, keep) }
		return s, nil
	case found.Livemode != livemode:
		return step{}, &DriftError{Name: url, Difference: "it is of the other mode, live or test"}
	case found.APIVersion != fulfillment.APIVersion:
		return step{}, &DriftError{Name: url, Difference: "its API version is " + found.APIVersion + ", not " + fulfillment.APIVersion + "; delete it and push again"}
	}
	if slices.Equal(slices.Sorted(slices.Values(found.EnabledEvents)), Events) && found.Status == "enabled" {
		return s, nil
	}
	s.Action = Updated
	s.do = func(ctx context.Context) error {
		p := &stripe.WebhookEndpointParams{EnabledEvents: stripe.StringSlice(Events), Disabled: stripe.Bool(false)}
		p.Context = ctx
		_, err := c.endpoints.Update(found.ID, p)
		return c.failed(ctx, "update webhook endpoint", err)
	}
	return s, nil
}

func (c *Client) createEndpoint(ctx context.Context, url string, keep func(string) error) error {
	p := &stripe.WebhookEndpointParams{
		URL: stripe.String(url), EnabledEvents: stripe.StringSlice(Events), APIVersion: stripe.String(fulfillment.APIVersion),
		Description: stripe.String("Licensing portal"),
	}
	p.Context = ctx
	made, err := c.endpoints.New(p)
	if err != nil {
		return c.fail(ctx, "create webhook endpoint", err)
	}
	if err := keep(made.Secret); err != nil {
		// Without its secret the endpoint is good for nothing, and the next push would take it for done.
		undo := &stripe.WebhookEndpointParams{}
		undo.Context = ctx
		if _, undoErr := c.endpoints.Del(made.ID, undo); undoErr != nil {
			return c.fail(ctx, "delete webhook endpoint whose secret could not be kept", undoErr)
		}
		return err
	}
	return nil
}

// endpointAt answers the endpoint of a URL, nil where there is none.
func (c *Client) endpointAt(ctx context.Context, url string) (*stripe.WebhookEndpoint, error) {
	p := &stripe.WebhookEndpointListParams{}
	p.Context = ctx
	p.Limit = stripe.Int64(100)
	list := c.endpoints.List(p)
	var found *stripe.WebhookEndpoint
	for list.Next() {
		if list.WebhookEndpoint().URL == url {
			found = list.WebhookEndpoint()
		}
	}
	if err := list.Err(); err != nil {
		return nil, c.fail(ctx, "find webhook endpoint", err)
	}
	return found, nil
}
