package billing

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/stripe/stripe-go/v76"
)

const pageSize = 100

// provesPayment are the types of events that can prove a session or an invoice paid.
var provesPayment = []stripe.EventType{
	stripe.EventTypeCheckoutSessionCompleted, stripe.EventTypeCheckoutSessionAsyncPaymentSucceeded, stripe.EventTypeInvoicePaid,
}

// PaidEventIDs lists the events that may prove a session or an invoice paid, oldest first; see fulfillment.Stripe. Listed events are
// rendered in the account's API version, so nothing but type and object ID is taken from them.
func (c *Client) PaidEventIDs(ctx context.Context, objectID string, since time.Time) ([]string, error) {
	p := &stripe.EventListParams{CreatedRange: &stripe.RangeQueryParams{GreaterThanOrEqual: since.Unix()}}
	p.Context = ctx
	p.Limit = stripe.Int64(pageSize)
	for _, t := range provesPayment {
		p.Types = append(p.Types, stripe.String(string(t)))
	}
	type found struct {
		id      string
		created int64
	}
	var list []found
	events := c.events.List(p)
	for events.Next() {
		e := events.Event()
		if e.Data == nil || !slices.Contains(provesPayment, e.Type) || e.Data.Object["id"] != objectID {
			continue
		}
		list = append(list, found{e.ID, e.Created})
	}
	if err := events.Err(); err != nil {
		return nil, c.fail(ctx, "list events", err)
	}
	slices.SortFunc(list, func(a, b found) int {
		return cmp.Or(cmp.Compare(a.created, b.created), cmp.Compare(a.id, b.id))
	})
	ids := make([]string, len(list))
	for i, e := range list {
		ids[i] = e.id
	}
	return ids, nil
}

// RetryEvent asks Stripe to deliver an event to the webhook endpoint again, as Stripe's own command line does; the SDK has
// no method for it. It works for 30 days. Each call asks anew.
func (c *Client) RetryEvent(ctx context.Context, eventID string) error {
	path := stripe.FormatURLPath("/v1/events/%s/retry", eventID)
	if err := c.backend.Call("POST", path, c.key, &stripe.EventParams{Params: stripe.Params{Context: ctx}}, &stripe.APIResource{}); err != nil {
		return c.fail(ctx, "retry event", err)
	}
	return nil
}
