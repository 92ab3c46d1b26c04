package fake

import (
	"context"
	"fmt"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// IDs of the subscriptions' orders: one that goes on in its second month, and one whose second payment failed.
const (
	OrderSubscribed, OrderCycle = "ord_01jdsubscr6w", "ord_01jdcycle3p"
	OrderLapsing, OrderOwed     = "ord_01jdlapsing2", "ord_01jdowed7d"
	BillingURL                  = "https://billing.stripe.example/p/session/bps_1"
)

// Subscriptions implements web.Subscriptions.
type Subscriptions struct{ *Services }

// OfOrder implements web.Subscriptions.
func (s Subscriptions) OfOrder(_ context.Context, organizationID, orderID string) (fulfillment.Subscribed, error) {
	return s.find(organizationID, func(v fulfillment.Subscribed, c fulfillment.Cycle) bool { return c.OrderID == orderID })
}

// OfDeployment implements web.Subscriptions.
func (s Subscriptions) OfDeployment(_ context.Context, organizationID, deploymentID string) (fulfillment.Subscribed, error) {
	return s.find(organizationID, func(v fulfillment.Subscribed, _ fulfillment.Cycle) bool { return v.DeploymentID == deploymentID })
}

// Manage implements web.Subscriptions.
func (s Subscriptions) Manage(ctx context.Context, organizationID, orderID string) (string, error) {
	if _, err := s.OfOrder(ctx, organizationID, orderID); err != nil {
		return "", err
	}
	defer s.change()()
	return BillingURL, nil
}

func (s Subscriptions) find(organizationID string, is func(fulfillment.Subscribed, fulfillment.Cycle) bool) (fulfillment.Subscribed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.SubscriptionList {
		for _, c := range v.Cycles {
			if v.OrganizationID == organizationID && is(v, c) {
				return v, nil
			}
		}
	}
	return fulfillment.Subscribed{}, fulfillment.ErrNotFound
}

// subscribe adds both subscriptions, with their orders and licenses.
func (s *Services) subscribe() {
	now := s.now()
	hosted := fulfillment.Deployment{ID: "dep_hosted", Name: "router-hosted", CreatedAt: now.AddDate(0, -1, -5)}
	stage := fulfillment.Deployment{ID: "dep_stage", Name: "router-stage", CreatedAt: now.AddDate(0, -1, -1)}
	s.DeploymentSet = append(s.DeploymentSet, hosted, stage)

	begun := now.AddDate(0, -1, -5)
	first := s.cycle(OrderSubscribed, hosted, begun, 1, "paid")
	second := s.cycle(OrderCycle, hosted, begun.AddDate(0, 1, 0), 2, "paid")
	s.SubscriptionList = append(s.SubscriptionList, s.subscription("sub_hosted", "active", hosted, second, first))

	begun = now.AddDate(0, -1, 0).Add(-5 * time.Hour)
	first = s.cycle(OrderLapsing, stage, begun, 1, "paid")
	owed := s.cycle(OrderOwed, stage, begun.AddDate(0, 1, 0), 2, "open")
	s.SubscriptionList = append(s.SubscriptionList, s.subscription("sub_stage", "past_due", stage, owed, first))
}

func (s *Services) subscription(id, status string, d fulfillment.Deployment, cycles ...fulfillment.Cycle) fulfillment.Subscribed {
	t := s.template("hosted-instance-monthly")
	return fulfillment.Subscribed{
		Subscription: fulfillment.Subscription{
			ID: id, Status: status, LookupKey: t.LookupKey(), Quantity: 1, StripeCustomer: "cus_halden", CurrentPeriodEnd: cycles[0].Invoice.PeriodEnd,
		},
		OrderID: cycles[len(cycles)-1].OrderID, OrganizationID: OrganizationID, DeploymentID: d.ID, DeploymentName: d.Name,
		Template: t, Currency: t.Price.Currency, Total: t.Price.UnitAmount, Cycles: cycles,
	}
}

// cycle makes an invoice with its order, and its license where it is paid.
func (s *Services) cycle(order string, d fulfillment.Deployment, at time.Time, n int, status string) fulfillment.Cycle {
	t := s.template("hosted-instance-monthly")
	c := fulfillment.Cycle{OrderID: order, State: fulfillment.StateIssued, Invoice: fulfillment.Invoice{
		ID: "in_" + order, Status: status, Collection: "charge_automatically", Currency: t.Price.Currency, Total: t.Price.UnitAmount, AmountPaid: t.Price.UnitAmount,
		Number: fmt.Sprintf("HALDEN-000%d", n), HostedURL: "https://invoice.stripe.example/i/" + order, PDFURL: "https://invoice.stripe.example/i/" + order + "/pdf",
		PeriodStart: at, PeriodEnd: at.AddDate(0, 1, 0), CreatedAt: at,
	}}
	o := fulfillment.Order{
		ID: order, OrganizationID: OrganizationID, DeploymentID: d.ID, DeploymentName: d.Name, BuyerEmail: "e.lindqvist@halden.example",
		State: fulfillment.StateIssued, Revision: 3, CreatedAt: at, SubmittedAt: at, PaidAt: at, IssuedAt: at, DownloadedAt: at,
		Snapshot: fulfillment.Snapshot{Template: t, Currency: t.Price.Currency, Total: t.Price.UnitAmount, Channel: fulfillment.BySubscription, Intent: catalog.Intent{
			OrderID: order, Kind: catalog.IssueNew, Template: t.Ref(), Quantity: 1, CustomerID: OrganizationID, CustomerName: "Halden Robotics", DeploymentID: d.ID,
		}},
	}
	if n > 1 {
		o.Snapshot.Channel = fulfillment.ByCycle
	}
	if status == "open" {
		c.State, c.Invoice.AmountPaid, c.Invoice.AmountLeft = fulfillment.StateAwaitingPayment, 0, t.Price.UnitAmount
		c.Invoice.PaymentFailure, c.Invoice.NextAttemptAt = "Your card was declined.", at.AddDate(0, 0, 3)
		o.State, o.PaidAt, o.IssuedAt, o.DownloadedAt = c.State, time.Time{}, time.Time{}, time.Time{}
		s.OrderList = append(s.OrderList, o)
		return c
	}
	l := s.issue(order, t.SKU, d, nil, catalog.IssueNew, at, "k-2026-b")
	l.InstalledAt, l.Newest = at, true
	for i := range s.LicenseList {
		if old := &s.LicenseList[i]; old.DeploymentID == d.ID {
			old.SupersededBy, old.SupersededAt, old.Newest = l.ID, at, false
		}
	}
	s.LicenseList = append(s.LicenseList, l)
	c.LicenseID, c.ExpiresAt, o.LicenseID = l.ID, l.Payload.ExpiresAt, l.ID
	s.OrderList = append(s.OrderList, o)
	return c
}
