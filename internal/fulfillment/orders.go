package fulfillment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/trust"
	"github.com/metrum-ai/licensing-portal/license"
)

// OrdersConfig is what Orders needs; every field is required.
type OrdersConfig struct {
	Store     OrderStore
	Licenses  LicenseStore
	Catalog   Bundles
	Stripe    Stripe
	Watcher   Watcher
	PublicURL string // without a slash at the end
	Now       func() time.Time
	Random    io.Reader
	Log       *slog.Logger
}

// Orders places, pays and shows orders.
type Orders struct{ c OrdersConfig }

// NewOrders returns the service, or says what is missing.
func NewOrders(c OrdersConfig) (*Orders, error) {
	if c.Store == nil || c.Licenses == nil || c.Catalog == nil || c.Stripe == nil || c.Watcher == nil || c.PublicURL == "" ||
		c.Now == nil || c.Random == nil || c.Log == nil {
		return nil, errors.New("fulfillment: orders need a store, licenses, catalog, stripe, watcher, public URL, clock, randomness and log")
	}
	return &Orders{c}, nil
}

// Order finds an order of the organization.
func (s *Orders) Order(ctx context.Context, organizationID, orderID string) (Order, error) {
	r, err := s.c.Store.Record(ctx, organizationID, orderID)
	r.Order.ReceiptURL = r.receiptURL()
	return r.Order, err
}

// receiptURL is the page of the first payment that Stripe has a receipt for: the one the license stands on.
func (r Record) receiptURL() string {
	for _, s := range r.Sessions {
		if f := s.Facts; f != nil && f.PaymentStatus == "paid" && f.ReceiptURL != "" {
			return s.Facts.ReceiptURL
		}
	}
	return ""
}

// Orders lists the organization's orders, newest first.
func (s *Orders) Orders(ctx context.Context, organizationID string, f OrderFilter, p Page) ([]Order, string, error) {
	return s.c.Store.OrderPage(ctx, organizationID, f, p)
}

// Watch answers a channel that receives whenever the order may have changed, until ctx ends.
func (s *Orders) Watch(ctx context.Context, orderID string) <-chan struct{} {
	return s.c.Watcher.Watch(ctx, orderID)
}

// Preview renders what an order would issue now. An issued order's license is the real one.
func (s *Orders) Preview(ctx context.Context, o Order) (License, error) {
	if o.LicenseID != "" {
		return s.c.Licenses.License(ctx, o.OrganizationID, o.LicenseID)
	}
	payload, _, err := s.reach(ctx, o)
	if err != nil {
		return License{}, err
	}
	return License{
		ID: payload.LicenseID, OrderID: o.ID, OrganizationID: o.OrganizationID, DeploymentID: o.DeploymentID,
		DeploymentName: o.DeploymentName, Kind: o.Snapshot.Intent.Kind, BaseLicenseID: o.Snapshot.Intent.BaseID,
		TemplateName: o.Snapshot.Template.Name, Payload: payload,
	}, nil
}

// base reads the base that an intent names; nil for a new license.
func (s *Orders) base(ctx context.Context, organizationID string, i catalog.Intent) (*license.Payload, error) {
	if i.BaseID == "" {
		return nil, nil
	}
	l, err := s.c.Licenses.License(ctx, organizationID, i.BaseID)
	if err != nil {
		return nil, fmt.Errorf("base: %w", err)
	}
	return &l.Payload, nil
}

// reach renders what an order would issue now, with the key that would sign then, and how far a contract goes beyond its
// template.
func (s *Orders) reach(ctx context.Context, o Order) (license.Payload, catalog.Reach, error) {
	bundle, err := s.c.Catalog.Bundle(ctx)
	if err != nil {
		return license.Payload{}, 0, err
	}
	base, err := s.base(ctx, o.OrganizationID, o.Snapshot.Intent)
	if err != nil {
		return license.Payload{}, 0, err
	}
	now := s.c.Now()
	key, ok := bundle.SigningKey("license", now, now)
	if !ok {
		return license.Payload{}, 0, fmt.Errorf("%w: no key signs now", ErrUnavailable)
	}
	source := sourceOf(bundle, o.Snapshot, base, cause{key: o.Snapshot.Intent.OrderID, at: now}, key.ID)
	if o.Snapshot.Channel == ByQuote {
		return catalog.RenderContract(source, o.Snapshot.Contract, bundle.Bounds)
	}
	payload, err := catalog.Render(source)
	return payload, 0, err
}

// cause is what a license owes its ID and its times to.
type cause struct {
	key       string    // the fulfillment key
	at        time.Time // of issue
	periodEnd time.Time // of a subscription's cycle, when it expires; zero otherwise
}

func renderWith(bundle *trust.Bundle, snapshot Snapshot, base *license.Payload, c cause, keyID string) (license.Payload, error) {
	return catalog.Render(sourceOf(bundle, snapshot, base, c, keyID))
}

func sourceOf(bundle *trust.Bundle, snapshot Snapshot, base *license.Payload, c cause, keyID string) catalog.Source {
	source := catalog.Source{
		Intent: snapshot.Intent, Template: snapshot.Template, Base: base,
		FulfillmentKey: c.key, IssuedAt: c.at, PeriodEnd: c.periodEnd, KeyID: keyID,
	}
	if base != nil {
		if t, ok := bundle.Newest(base.SKU); ok {
			source.BaseTemplate = &t
		}
	}
	return source
}
