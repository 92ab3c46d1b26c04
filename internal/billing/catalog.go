package billing

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v76"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// Action is what is to be done about a product, price or webhook endpoint, or was done.
type Action string

// The actions.
const (
	Created   Action = "created"
	Updated   Action = "updated"
	Archived  Action = "archived" // a price that no session or subscription may use any more
	Unchanged Action = "unchanged"
	Skipped   Action = "skipped"
)

// Change is what is to be done about one object, or was done.
type Change struct {
	Object string // "product", "price" or "webhook endpoint"
	Name   string // the product's ID, the price's lookup key, the template where the price is by contract, or the endpoint's URL
	Action Action
}

// DriftError says that an object at Stripe is not what it should be and cannot be made so: a price cannot be changed and
// its lookup key is never transferred, so that the template needs a new version, or someone took the key for something else.
type DriftError struct {
	Name       string // the lookup key, or the endpoint's URL
	Difference string // e.g. "amount is 24900, not 25000"
}

// Error implements error.
func (e *DriftError) Error() string { return fmt.Sprintf("stripe: %s: %s", e.Name, e.Difference) }

// step is a change with what makes it.
type step struct {
	Change
	do func(ctx context.Context) error // nil where there is nothing to do
}

// PlanCatalog answers what PushCatalog would do, and does nothing.
func (c *Client) PlanCatalog(ctx context.Context, templates []catalog.Template, now time.Time) ([]Change, error) {
	steps, err := c.catalogSteps(ctx, templates, now)
	return changesOf(steps), err
}

// PushCatalog makes the products and prices of templates at Stripe, as far as they are not there, archives the prices of
// versions that are over, and answers what it did. A second run changes nothing. What has its price by contract has a product alone,
// for quotes; a closed template without a price is skipped too. It goes through all templates; the error joins a *DriftError for every price
// that differs, or ends at a call that failed.
func (c *Client) PushCatalog(ctx context.Context, templates []catalog.Template, now time.Time) ([]Change, error) {
	steps, drifts := c.catalogSteps(ctx, templates, now)
	for i, s := range steps {
		if s.do == nil {
			continue
		}
		if err := s.do(ctx); err != nil {
			return changesOf(steps[:i]), err
		}
	}
	return changesOf(steps), drifts
}

func changesOf(steps []step) []Change {
	changes := make([]Change, len(steps))
	for i, s := range steps {
		changes[i] = s.Change
	}
	return changes
}

// catalogSteps compares Stripe with the templates. Its error joins drifts, or is that of a call, and then there are no steps.
func (c *Client) catalogSteps(ctx context.Context, templates []catalog.Template, now time.Time) ([]step, error) {
	var steps []step
	var drifts []error
	for _, t := range newest(templates) {
		s, err := c.productStep(ctx, t)
		if err != nil {
			return nil, err
		}
		steps = append(steps, s)
	}
	for _, t := range templates {
		s, err := c.priceStep(ctx, t, now)
		if _, isDrift := errors.AsType[*DriftError](err); isDrift {
			drifts = append(drifts, err)
			continue
		}
		if err != nil {
			return nil, err
		}
		steps = append(steps, s)
	}
	return steps, errors.Join(drifts...)
}

// newest answers the highest version of each SKU, in the order in which the SKUs come.
func newest(templates []catalog.Template) []catalog.Template {
	var list []catalog.Template
	for _, t := range templates {
		i := slices.IndexFunc(list, func(other catalog.Template) bool { return other.SKU == t.SKU })
		switch {
		case i < 0:
			list = append(list, t)
		case t.Version > list[i].Version:
			list[i] = t
		}
	}
	return list
}

func productID(sku string) string { return "prod_" + sku }

// productStep makes the product of a SKU, or gives it the name of the newest template.
func (c *Client) productStep(ctx context.Context, t catalog.Template) (step, error) {
	s := step{Change: Change{Object: "product", Name: productID(t.SKU), Action: Unchanged}}
	p := &stripe.ProductParams{Name: stripe.String(t.Name), Description: stripe.String(t.Summary)}
	found, err := c.products.Get(s.Name, &stripe.ProductParams{Params: stripe.Params{Context: ctx}})
	switch {
	case err != nil && !errors.Is(failure(ctx, "find product", err), fulfillment.ErrNotFound): // which is how a new one begins
		return step{}, c.fail(ctx, "find product", err)
	case err != nil:
		p.ID = stripe.String(s.Name)
		p.Metadata = map[string]string{"sku": t.SKU}
		s.Action = Created
		s.do = func(ctx context.Context) error {
			p.Context = ctx
			_, err := c.products.New(p)
			return c.failed(ctx, "create product", err)
		}
	case found.Name != t.Name || found.Description != t.Summary:
		s.Action = Updated
		s.do = func(ctx context.Context) error {
			p.Context = ctx
			_, err := c.products.Update(s.Name, p)
			return c.failed(ctx, "update product", err)
		}
	}
	return s, nil
}

// failed is fail for what may have gone well.
func (c *Client) failed(ctx context.Context, what string, err error) error {
	if err == nil {
		return nil
	}
	return c.fail(ctx, what, err)
}

// priceStep makes the price of a template, or makes sure that the one there is right; that of a version which is over is
// archived.
func (c *Client) priceStep(ctx context.Context, t catalog.Template, now time.Time) (step, error) {
	s := step{Change: Change{Object: "price", Name: t.LookupKey(), Action: Unchanged}}
	if t.Price.ByContract {
		s.Action = Skipped
		return s, nil
	}
	found, err := c.priceByLookupKey(ctx, t.LookupKey())
	switch {
	case err != nil:
		return step{}, err
	case found == nil && t.ClosedAt != nil:
		s.Action = Skipped
		return s, nil
	case found == nil:
		s.Action, s.do = Created, func(ctx context.Context) error { return c.createPrice(ctx, t) }
		return s, nil
	case !found.Active && t.ClosedAt == nil:
		return step{}, &DriftError{Name: t.LookupKey(), Difference: "it was made inactive"}
	}
	if difference := drift(found, t); difference != "" {
		return step{}, &DriftError{Name: t.LookupKey(), Difference: difference}
	}
	if found.Active && over(t, now) {
		s.Action, s.do = Archived, func(ctx context.Context) error {
			p := &stripe.PriceParams{Active: stripe.Bool(false)}
			p.Context = ctx
			_, err := c.prices.Update(found.ID, p)
			return c.failed(ctx, "archive price", err)
		}
	}
	return s, nil
}

// over reports whether nothing may be bought or renewed under a template any more, nor paid for: a session lives a day.
func over(t catalog.Template, now time.Time) bool {
	if t.ClosedAt == nil || now.Before(t.ClosedAt.Add(24*time.Hour)) {
		return false
	}
	return t.RenewalsUntil == nil || !now.Before(*t.RenewalsUntil)
}

func (c *Client) createPrice(ctx context.Context, t catalog.Template) error {
	p := &stripe.PriceParams{
		Product:     stripe.String(productID(t.SKU)),
		Currency:    stripe.String(strings.ToLower(t.Price.Currency)),
		UnitAmount:  stripe.Int64(t.Price.UnitAmount),
		LookupKey:   stripe.String(t.LookupKey()),
		TaxBehavior: stripe.String(string(stripe.PriceTaxBehaviorExclusive)), // prices are net
		Metadata:    map[string]string{"template": t.Ref()},
	}
	p.Context = ctx
	if t.Subscription() {
		p.Recurring = &stripe.PriceRecurringParams{Interval: stripe.String(string(t.Price.Interval)), IntervalCount: stripe.Int64(1)}
	}
	_, err := c.prices.New(p)
	return c.failed(ctx, "create price", err)
}

// priceByLookupKey answers the price that has a lookup key, nil where none has.
func (c *Client) priceByLookupKey(ctx context.Context, lookupKey string) (*stripe.Price, error) {
	p := &stripe.PriceListParams{LookupKeys: stripe.StringSlice([]string{lookupKey})}
	p.Context = ctx
	p.Limit = stripe.Int64(2)
	prices := c.prices.List(p)
	var found *stripe.Price
	for prices.Next() {
		if prices.Price().LookupKey == lookupKey {
			found = prices.Price()
		}
	}
	if err := prices.Err(); err != nil {
		return nil, c.fail(ctx, "find price", err)
	}
	return found, nil
}

// drift says how a price differs from its template's, "" where it does not.
func drift(p *stripe.Price, t catalog.Template) string {
	interval, count := "", int64(1)
	if p.Recurring != nil {
		interval, count = string(p.Recurring.Interval), p.Recurring.IntervalCount
	}
	switch {
	case p.UnitAmount != t.Price.UnitAmount:
		return fmt.Sprintf("amount is %d, not %d", p.UnitAmount, t.Price.UnitAmount)
	case !strings.EqualFold(string(p.Currency), t.Price.Currency):
		return fmt.Sprintf("currency is %s, not %s", strings.ToUpper(string(p.Currency)), t.Price.Currency)
	case interval != string(t.Price.Interval) || count != 1:
		return fmt.Sprintf("interval is %d %q, not 1 %q", count, interval, t.Price.Interval)
	case p.BillingScheme != stripe.PriceBillingSchemePerUnit || p.CustomUnitAmount != nil || p.TransformQuantity != nil:
		return "it does not charge a fixed amount for each unit"
	case p.Product == nil || p.Product.ID != productID(t.SKU):
		return "it belongs to another product"
	}
	return ""
}
