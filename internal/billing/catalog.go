package billing

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stripe/stripe-go/v76"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// Action is what PushCatalog did.
type Action string

// The actions.
const (
	Created   Action = "created"
	Updated   Action = "updated"
	Unchanged Action = "unchanged"
	Skipped   Action = "skipped"
)

// Change is what PushCatalog did about one product or price.
type Change struct {
	Object string // "product" or "price"
	Name   string // the product's ID, the price's lookup key, or the template where the price is by contract
	Action Action
}

// DriftError says that a price at Stripe is not what its template says. A price cannot be changed and its lookup key is
// never transferred: the template needs a new version, or someone took the key for something else.
type DriftError struct {
	LookupKey  string
	Difference string // e.g. "amount is 24900, not 25000"
}

// Error implements error.
func (e *DriftError) Error() string {
	return fmt.Sprintf("stripe: price %s: %s", e.LookupKey, e.Difference)
}

// PushCatalog makes the products and prices of templates at Stripe, as far as they are not there, and answers what it did.
// A second run changes nothing. What has its price by contract is skipped, and so is a closed template without a price. It
// goes through all templates; the error joins a *DriftError for every price that differs, or ends at a call that failed.
func (c *Client) PushCatalog(ctx context.Context, templates []catalog.Template) ([]Change, error) {
	var changes []Change
	var drifts []error
	for _, t := range newest(templates) {
		change, err := c.pushProduct(ctx, t)
		if err != nil {
			return changes, err
		}
		changes = append(changes, change)
	}
	for _, t := range templates {
		change, err := c.pushPrice(ctx, t)
		if _, isDrift := errors.AsType[*DriftError](err); isDrift {
			drifts = append(drifts, err)
			continue
		}
		if err != nil {
			return changes, err
		}
		changes = append(changes, change)
	}
	return changes, errors.Join(drifts...)
}

// newest answers the highest version of each SKU, in the order in which the SKUs come.
func newest(templates []catalog.Template) []catalog.Template {
	var list []catalog.Template
	for _, t := range templates {
		if t.Price.ByContract {
			continue
		}
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

// pushProduct makes the product of a SKU, or gives it the name of the newest template.
func (c *Client) pushProduct(ctx context.Context, t catalog.Template) (Change, error) {
	change := Change{Object: "product", Name: productID(t.SKU), Action: Unchanged}
	p := &stripe.ProductParams{Name: stripe.String(t.Name), Description: stripe.String(t.Summary)}
	p.Context = ctx
	found, err := c.products.Get(change.Name, &stripe.ProductParams{Params: stripe.Params{Context: ctx}})
	if err != nil {
		if !errors.Is(failure(ctx, "find product", err), fulfillment.ErrNotFound) { // which is how a new one begins
			return Change{}, c.fail(ctx, "find product", err)
		}
		p.ID = stripe.String(change.Name)
		p.Metadata = map[string]string{"sku": t.SKU}
		change.Action = Created
		_, err = c.products.New(p)
	} else if found.Name != t.Name || found.Description != t.Summary {
		change.Action = Updated
		_, err = c.products.Update(change.Name, p)
	}
	if err != nil {
		return Change{}, c.fail(ctx, "push product", err)
	}
	return change, nil
}

// pushPrice makes the price of a template, or makes sure that the one there is right.
func (c *Client) pushPrice(ctx context.Context, t catalog.Template) (Change, error) {
	change := Change{Object: "price", Name: t.LookupKey(), Action: Unchanged}
	if t.Price.ByContract {
		change.Action = Skipped
		return change, nil
	}
	found, err := c.priceByLookupKey(ctx, t.LookupKey())
	switch {
	case err != nil:
		return Change{}, err
	case found == nil && t.ClosedAt != nil:
		change.Action = Skipped
		return change, nil
	case found == nil:
		change.Action = Created
		return change, c.createPrice(ctx, t)
	case !found.Active && t.ClosedAt == nil:
		return Change{}, &DriftError{LookupKey: t.LookupKey(), Difference: "it was made inactive"}
	}
	if difference := drift(found, t); difference != "" {
		return Change{}, &DriftError{LookupKey: t.LookupKey(), Difference: difference}
	}
	return change, nil
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
	if _, err := c.prices.New(p); err != nil {
		return c.fail(ctx, "create price", err)
	}
	return nil
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
