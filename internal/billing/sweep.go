package billing

import (
	"context"
	"slices"
	"time"

	"github.com/stripe/stripe-go/v76"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// typesAtOnce is how many types of event Stripe lists at once (https://docs.stripe.com/api/events/list).
const typesAtOnce = 20

// EachEvent lists the events of the types in Events since a time, in pages; see fulfillment.TakenStripe.
func (c *Client) EachEvent(ctx context.Context, since time.Time, visit func([]fulfillment.EventRef) error) error {
	for types := range slices.Chunk(Events, typesAtOnce) {
		p := &stripe.EventListParams{CreatedRange: &stripe.RangeQueryParams{GreaterThanOrEqual: since.Unix()}, Types: stripe.StringSlice(types)}
		p.Context, p.Limit = ctx, stripe.Int64(pageSize)
		pages := paged[fulfillment.EventRef]{visit: visit}
		list := c.events.List(p)
		for list.Next() {
			e := list.Event()
			if e.Data == nil {
				continue
			}
			id, _ := e.Data.Object["id"].(string)
			if err := pages.add(fulfillment.EventRef{ID: e.ID, Type: string(e.Type), ObjectID: id, Created: unix(e.Created)}); err != nil {
				return err
			}
		}
		if err := listed(ctx, c, "list events", list.Err(), &pages); err != nil {
			return err
		}
	}
	return nil
}

// EachTaken lists the refunds and disputes made since a time, in pages; see fulfillment.ReconcilerStripe.
func (c *Client) EachTaken(ctx context.Context, since time.Time, visit func([]fulfillment.Taken) error) error {
	created := &stripe.RangeQueryParams{GreaterThanOrEqual: since.Unix()}
	refunds := &stripe.RefundListParams{CreatedRange: created}
	refunds.Context, refunds.Limit = ctx, stripe.Int64(pageSize)
	pages := paged[fulfillment.Taken]{visit: visit}
	list := c.refunds.List(refunds)
	for list.Next() {
		r := list.Refund()
		err := pages.add(fulfillment.Taken{
			Object: fulfillment.ObjectRefund, ID: r.ID, Status: string(r.Status), Amount: r.Amount, Currency: upper(r.Currency),
			PaymentIntent: intentID(r.PaymentIntent), Created: unix(r.Created),
		})
		if err != nil {
			return err
		}
	}
	if err := listed(ctx, c, "list refunds", list.Err(), &pages); err != nil {
		return err
	}
	disputes := &stripe.DisputeListParams{CreatedRange: created}
	disputes.Context, disputes.Limit = ctx, stripe.Int64(pageSize)
	disputed := c.disputes.List(disputes)
	for disputed.Next() {
		if err := pages.add(takenOf(disputed.Dispute())); err != nil {
			return err
		}
	}
	return listed(ctx, c, "list disputes", disputed.Err(), &pages)
}

// Endpoint tells how the webhook endpoint at a URL stands; see fulfillment.ReconcilerStripe.
func (c *Client) Endpoint(ctx context.Context, url string) (fulfillment.EndpointState, error) {
	found, err := c.endpointAt(ctx, url)
	switch {
	case err != nil:
		return "", err
	case found == nil:
		return fulfillment.EndpointMissing, nil
	case found.Status != "enabled":
		return fulfillment.EndpointDisabled, nil
	case found.APIVersion != fulfillment.APIVersion:
		return fulfillment.EndpointVersion, nil
	case !slices.Contains(found.EnabledEvents, "*") && slices.ContainsFunc(Events, func(t string) bool { return !slices.Contains(found.EnabledEvents, t) }):
		return fulfillment.EndpointEvents, nil
	}
	return fulfillment.EndpointEnabled, nil
}
