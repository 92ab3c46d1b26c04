package billing

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v76"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// ErrNotConfigured says that nobody told Stripe yet what its billing portal offers. It wraps fulfillment.ErrUnavailable.
var ErrNotConfigured = fmt.Errorf("billing portal is not configured at Stripe, push the catalog: %w", fulfillment.ErrUnavailable)

// A configuration of Stripe's billing portal is known by its metadata: an account may have others.
const (
	purposeKey = "purpose"
	purpose    = "licensing-portal"
	offerKey   = "offer" // digest of what the configuration offers
)

// ManageBilling opens Stripe's billing portal for one customer, who comes back to returnURL: the page where a subscription is
// canceled or resumed, its payment method replaced, and invoices are read. The answer is where the browser goes; it works for
// a short time and for this customer alone. See fulfillment.BillingPortal.
func (c *Client) ManageBilling(ctx context.Context, stripeCustomer, returnURL string) (string, error) {
	found, err := c.portalConfiguration(ctx)
	if err != nil {
		return "", err
	}
	if found == nil {
		return "", fmt.Errorf("stripe: %w", ErrNotConfigured)
	}
	const op = "create billing portal session"
	made, err := c.portalSessions.New(&stripe.BillingPortalSessionParams{
		Params:   stripe.Params{Context: ctx},
		Customer: stripe.String(stripeCustomer), Configuration: stripe.String(found.ID), ReturnURL: stripe.String(returnURL),
	})
	if err != nil {
		return "", c.fail(ctx, op, err)
	}
	if u, err := url.Parse(made.URL); err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return "", fmt.Errorf("stripe: %s: answer has no page to go to: %w", op, fulfillment.ErrUnavailable)
	}
	return made.URL, nil
}

// PlanPortal answers what PushPortal would do, and does nothing.
func (c *Client) PlanPortal(ctx context.Context, templates []catalog.Template, now time.Time) (Change, error) {
	s, err := c.portalStep(ctx, templates, now)
	return s.Change, err
}

// PushPortal tells Stripe's billing portal what it offers: to cancel at the end of the period, to replace the payment method,
// to read invoices, and to change between the packages of templates that are sold by subscription and are open. The prices
// must be at Stripe; ErrPriceMissing.
func (c *Client) PushPortal(ctx context.Context, templates []catalog.Template, now time.Time) (Change, error) {
	s, err := c.portalStep(ctx, templates, now)
	if err != nil || s.do == nil {
		return s.Change, err
	}
	return s.Change, s.do(ctx)
}

func (c *Client) portalStep(ctx context.Context, templates []catalog.Template, now time.Time) (step, error) {
	s := step{Change: Change{Object: "billing portal", Name: purpose, Action: Unchanged}}
	found, err := c.portalConfiguration(ctx)
	if err != nil {
		return step{}, err
	}
	offer := offered(templates, now)
	digest, err := offerDigest(offer)
	if err != nil {
		return step{}, err
	}
	switch {
	case found == nil:
		s.Action = Created
	case found.Metadata[offerKey] != digest || !offersAll(found.Features, len(offer) > 1):
		s.Action = Updated
	default:
		return s, nil
	}
	s.do = func(ctx context.Context) error {
		p, err := c.portalParams(ctx, offer, digest)
		if err != nil {
			return err
		}
		if found != nil {
			if p.Features.SubscriptionUpdate == nil { // which only an update may switch off without naming plans
				p.Features.SubscriptionUpdate = &stripe.BillingPortalConfigurationFeaturesSubscriptionUpdateParams{Enabled: stripe.Bool(false)}
			}
			_, err = c.portalConfigurations.Update(found.ID, p)
			return c.failed(ctx, "update billing portal configuration", err)
		}
		_, err = c.portalConfigurations.New(p)
		return c.failed(ctx, "create billing portal configuration", err)
	}
	return s, nil
}

// offered are the templates that a subscription may change to, by lookup key.
func offered(templates []catalog.Template, now time.Time) []catalog.Template {
	var list []catalog.Template
	for _, t := range newest(templates) { // Stripe takes a product once
		if t.Subscription() && t.Open(now) {
			list = append(list, t)
		}
	}
	slices.SortFunc(list, func(a, b catalog.Template) int { return strings.Compare(a.LookupKey(), b.LookupKey()) })
	return list
}

// offerDigest stands for the plans that were pushed: Stripe leaves them out of its answers unless they are expanded.
func offerDigest(offer []catalog.Template) (string, error) {
	keys := make([]string, len(offer))
	for i, t := range offer {
		keys[i] = t.LookupKey()
	}
	told, err := json.Marshal(keys)
	if err != nil {
		return "", fmt.Errorf("stripe: encode what the billing portal offers: %w", err)
	}
	sum := sha256.Sum256(told)
	return hex.EncodeToString(sum[:8]), nil
}

// offersAll reports whether a configuration still has what was pushed: someone may have changed it at Stripe.
func offersAll(f *stripe.BillingPortalConfigurationFeatures, plans bool) bool {
	return f != nil && f.InvoiceHistory != nil && f.InvoiceHistory.Enabled && f.PaymentMethodUpdate != nil && f.PaymentMethodUpdate.Enabled &&
		f.SubscriptionCancel != nil && f.SubscriptionCancel.Enabled &&
		f.SubscriptionCancel.Mode == stripe.BillingPortalConfigurationFeaturesSubscriptionCancelModeAtPeriodEnd &&
		f.SubscriptionUpdate != nil && f.SubscriptionUpdate.Enabled == plans
}

func (c *Client) portalParams(ctx context.Context, offer []catalog.Template, digest string) (*stripe.BillingPortalConfigurationParams, error) {
	on := func() *bool { return stripe.Bool(true) }
	features := &stripe.BillingPortalConfigurationFeaturesParams{
		InvoiceHistory:      &stripe.BillingPortalConfigurationFeaturesInvoiceHistoryParams{Enabled: on()},
		PaymentMethodUpdate: &stripe.BillingPortalConfigurationFeaturesPaymentMethodUpdateParams{Enabled: on()},
		SubscriptionCancel: &stripe.BillingPortalConfigurationFeaturesSubscriptionCancelParams{
			Enabled: on(), Mode: stripe.String(string(stripe.BillingPortalConfigurationFeaturesSubscriptionCancelModeAtPeriodEnd)),
		},
	}
	if len(offer) > 1 { // a change is billed at once, so that staff see it at once
		update := &stripe.BillingPortalConfigurationFeaturesSubscriptionUpdateParams{
			Enabled: on(), DefaultAllowedUpdates: stripe.StringSlice([]string{"price"}),
		}
		update.ProrationBehavior = stripe.String(string(stripe.BillingPortalConfigurationFeaturesSubscriptionUpdateProrationBehaviorAlwaysInvoice))
		for _, t := range offer {
			price, err := c.priceByLookupKey(ctx, t.LookupKey())
			if err != nil {
				return nil, err
			}
			if price == nil {
				return nil, fmt.Errorf("stripe: %w", ErrPriceMissing)
			}
			update.Products = append(update.Products, &stripe.BillingPortalConfigurationFeaturesSubscriptionUpdateProductParams{
				Product: stripe.String(productID(t.SKU)), Prices: stripe.StringSlice([]string{price.ID}),
			})
		}
		features.SubscriptionUpdate = update
	}
	return &stripe.BillingPortalConfigurationParams{
		Params:          stripe.Params{Context: ctx},
		BusinessProfile: &stripe.BillingPortalConfigurationBusinessProfileParams{Headline: stripe.String("Your license subscription")},
		Features:        features, Metadata: map[string]string{purposeKey: purpose, offerKey: digest},
	}, nil
}

// portalConfiguration answers the active configuration that was pushed, nil where there is none.
func (c *Client) portalConfiguration(ctx context.Context) (*stripe.BillingPortalConfiguration, error) {
	p := &stripe.BillingPortalConfigurationListParams{Active: stripe.Bool(true)}
	p.Context, p.Limit = ctx, stripe.Int64(100)
	list := c.portalConfigurations.List(p)
	for list.Next() {
		if found := list.BillingPortalConfiguration(); found.Metadata[purposeKey] == purpose {
			return found, nil
		}
	}
	if err := list.Err(); err != nil {
		return nil, c.fail(ctx, "find billing portal configuration", err)
	}
	return nil, nil
}
