package fulfillment

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
)

// Subscribed is a subscription as its customer sees it: what Stripe said last, what was bought, and every paid or owed cycle.
type Subscribed struct {
	Subscription
	OrderID        string // that began it
	OrganizationID string
	DeploymentID   string
	DeploymentName string
	Template       catalog.Template // that was bought
	Currency       string
	Total          int64   // of a cycle, net, minor units
	Cycles         []Cycle // newest first
}

// Cycle is one invoice of a subscription, with the order and the license that it became.
type Cycle struct {
	OrderID   string
	State     State
	Invoice   Invoice
	LicenseID string    // "" while there is none
	ExpiresAt time.Time // of the license; zero while there is none
}

// Renewing is where a subscription stands. What Stripe calls it matters to nobody else.
type Renewing string

// The standings of a subscription.
const (
	RenewingStarts  Renewing = "starts"   // its first payment is not in yet
	RenewingActive  Renewing = "active"   // it goes on
	RenewingChanged Renewing = "changed"  // another package was chosen at Stripe, which staff look at
	RenewingPastDue Renewing = "past_due" // a payment failed
	RenewingPaused  Renewing = "paused"   // nothing is charged until it is resumed
	RenewingEnds    Renewing = "ends"     // canceled, and paid until its period's end
	RenewingEnded   Renewing = "ended"
)

// Renewing derives where the subscription stands. A word that is not known is not said to be fine: it is past due.
func (s Subscribed) Renewing() Renewing {
	switch {
	case !s.EndedAt.IsZero() || s.Status == "canceled" || s.Status == "incomplete_expired":
		return RenewingEnded
	case s.Status == "incomplete":
		return RenewingStarts
	case s.Status == "paused" || s.CollectionPaused:
		return RenewingPaused
	case s.Status != "active" && s.Status != "trialing":
		return RenewingPastDue
	case s.CancelAtEnd || !s.EndsAt.IsZero():
		return RenewingEnds
	case s.PlanChanged():
		return RenewingChanged
	}
	return RenewingActive
}

// PlanChanged reports whether Stripe charges for something else than what was bought.
func (s Subscribed) PlanChanged() bool {
	return s.LookupKey != s.Template.LookupKey() || s.Quantity != 1
}

// CoveredUntil is the latest expiry of its licenses, zero while there is none; and CoveredBy that license's ID.
func (s Subscribed) CoveredUntil() (until time.Time, by string) {
	for _, c := range s.Cycles {
		if c.ExpiresAt.After(until) {
			until, by = c.ExpiresAt, c.LicenseID
		}
	}
	return until, by
}

// Owed is the newest invoice that is open, nil if none is.
func (s Subscribed) Owed() *Invoice {
	for n := range s.Cycles {
		if i := &s.Cycles[n].Invoice; i.Status == "open" || i.Status == "uncollectible" {
			return i
		}
	}
	return nil
}

// SubscriptionStore reads subscriptions. Every call is bound to an organization; ErrNotFound.
type SubscriptionStore interface {
	// SubscriptionOfOrder finds the subscription that an order began or is a cycle of.
	SubscriptionOfOrder(ctx context.Context, organizationID, orderID string) (Subscribed, error)
	// SubscriptionOfDeployment finds a deployment's subscription: the one that goes on, else the newest.
	SubscriptionOfDeployment(ctx context.Context, organizationID, deploymentID string) (Subscribed, error)
}

// BillingPortal opens Stripe's page where a customer manages subscriptions.
type BillingPortal interface {
	// ManageBilling answers where the browser of a Stripe customer goes, and where it comes back to. Errors are as for Stripe.
	ManageBilling(ctx context.Context, stripeCustomer, returnURL string) (string, error)
}

// SubscriptionsConfig is what Subscriptions needs; every field is required.
type SubscriptionsConfig struct {
	Store     SubscriptionStore
	Portal    BillingPortal
	PublicURL string // without a slash at the end
}

// Subscriptions shows subscriptions, and leads to where they are managed. Nothing here changes one: Stripe's page does, and
// its events tell.
type Subscriptions struct{ c SubscriptionsConfig }

// NewSubscriptions returns the service, or says what is missing.
func NewSubscriptions(c SubscriptionsConfig) (*Subscriptions, error) {
	if c.Store == nil || c.Portal == nil || c.PublicURL == "" {
		return nil, errors.New("fulfillment: subscriptions need a store, a billing portal and the public URL")
	}
	return &Subscriptions{c}, nil
}

// OfOrder finds the subscription that an order of the organization began or is a cycle of. ErrNotFound.
func (s *Subscriptions) OfOrder(ctx context.Context, organizationID, orderID string) (Subscribed, error) {
	return s.c.Store.SubscriptionOfOrder(ctx, organizationID, orderID)
}

// OfDeployment finds the subscription of the organization's deployment: the one that goes on, else the newest. ErrNotFound.
func (s *Subscriptions) OfDeployment(ctx context.Context, organizationID, deploymentID string) (Subscribed, error) {
	return s.c.Store.SubscriptionOfDeployment(ctx, organizationID, deploymentID)
}

// Manage answers the page at Stripe where the subscription of an order is managed; it leads back to the order's page.
// ErrNotFound; ErrUnavailable.
func (s *Subscriptions) Manage(ctx context.Context, organizationID, orderID string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, stripeWait)
	defer cancel()
	found, err := s.c.Store.SubscriptionOfOrder(ctx, organizationID, orderID)
	if err != nil {
		return "", err
	}
	if found.StripeCustomer == "" {
		return "", fmt.Errorf("%w: the subscription has no customer at Stripe", ErrUnavailable)
	}
	url, err := s.c.Portal.ManageBilling(ctx, found.StripeCustomer, s.c.PublicURL+"/orders/"+orderID)
	if err != nil {
		return "", fmt.Errorf("manage billing: %w", err)
	}
	return url, nil
}
