package fake

import (
	"context"
	"slices"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// CheckoutURL is where a browser is sent to pay.
const CheckoutURL = "https://checkout.stripe.example/pay/cs_1"

// Draft implements web.Orders.
func (s *Services) Draft(_ context.Context, r fulfillment.DraftRequest) (fulfillment.Order, error) {
	if slices.Contains(r.Fingerprints, "refused") {
		return fulfillment.Order{}, &fulfillment.ValidationError{Fields: []fulfillment.FieldError{{Field: "fingerprint_1", Message: "That fingerprint is not plain text."}}}
	}
	defer s.change()()
	t := s.template(r.SKU)
	o := fulfillment.Order{
		ID: "ord_new" + r.FormKey, OrganizationID: r.OrganizationID, DeploymentID: r.DeploymentID, DeploymentName: r.DeploymentName,
		BuyerEmail: r.BuyerEmail, State: fulfillment.StateDraft, Revision: 1, CreatedAt: s.now(),
		Snapshot: fulfillment.Snapshot{Template: t, Currency: t.Price.Currency, Total: t.Price.UnitAmount},
	}
	if o.DeploymentID == "" {
		o.DeploymentID = "dep_new"
	}
	for _, d := range s.DeploymentSet {
		if d.ID == o.DeploymentID {
			o.DeploymentName = d.Name
		}
	}
	if r.OrderID != "" {
		o.ID = r.OrderID
	}
	o.Snapshot.Intent = catalog.Intent{
		OrderID: "ord_new", Kind: r.Kind, Template: t.Ref(), Quantity: 1, CustomerID: r.OrganizationID, CustomerName: "Halden Robotics",
		DeploymentID: o.DeploymentID, Environments: r.Environments, Fingerprints: r.Fingerprints,
	}
	for _, l := range s.LicenseList {
		if l.ID == r.BaseLicenseID {
			o.Snapshot.Intent.BaseID, o.Snapshot.Intent.BaseSHA256 = l.ID, l.SHA256
		}
	}
	s.OrderList = slices.DeleteFunc(s.OrderList, func(old fulfillment.Order) bool { return old.ID == o.ID })
	s.OrderList = append(s.OrderList, o)
	return o, nil
}

// Order implements web.Orders.
func (s *Services) Order(_ context.Context, organizationID, id string) (fulfillment.Order, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.OrderList {
		if o.ID == id && o.OrganizationID == organizationID {
			return o, nil
		}
	}
	return fulfillment.Order{}, fulfillment.ErrNotFound
}

// Orders implements web.Orders.
func (s *Services) Orders(_ context.Context, organizationID string, f fulfillment.OrderFilter, _ fulfillment.Page) ([]fulfillment.Order, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []fulfillment.Order
	for _, o := range s.OrderList {
		if o.OrganizationID != organizationID || f == fulfillment.OrdersOpen && (o.State == fulfillment.StateIssued || o.State == fulfillment.StateCanceled) {
			continue
		}
		if o.State == fulfillment.StateAwaitingPayment {
			o.Quoted = s.QuoteSeen[o.ID].QuoteStep()
		}
		list = append(list, o)
	}
	return list, "", nil
}

// Checkout implements web.Orders.
func (s *Services) Checkout(context.Context, string, string) (string, error) {
	if s.CheckoutError != nil {
		return "", s.CheckoutError
	}
	defer s.change()()
	return CheckoutURL, nil
}

// Cancel implements web.Orders.
func (s *Services) Cancel(ctx context.Context, organizationID, id string) error {
	o, err := s.Order(ctx, organizationID, id)
	if err != nil {
		return err
	}
	s.change()()
	o.State = fulfillment.StateCanceled
	s.SetOrder(o)
	return nil
}

// Watch implements web.Orders.
func (s *Services) Watch(ctx context.Context, _ string) <-chan struct{} {
	c := make(chan struct{}, 1)
	s.mu.Lock()
	s.watchers[c] = true
	s.mu.Unlock()
	context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watchers, c)
	})
	return c
}

// Preview implements web.Previewer.
func (s *Services) Preview(_ context.Context, o fulfillment.Order) (fulfillment.License, error) {
	source := catalog.Source{
		Intent: o.Snapshot.Intent, Template: o.Snapshot.Template, FulfillmentKey: o.ID, IssuedAt: s.now(), KeyID: "k-2026-b",
	}
	for _, l := range s.LicenseList {
		if l.ID == o.Snapshot.Intent.BaseID {
			base := s.template(l.Payload.SKU)
			source.Base, source.BaseTemplate = &l.Payload, &base
		}
	}
	p, err := catalog.Render(source)
	return s.wrap(p), err
}
