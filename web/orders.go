package web

import (
	"errors"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/web/view"
)

// refreshSeconds is how often an open order's page reloads where JavaScript is off.
const refreshSeconds = 5

func (s *server) orders(w http.ResponseWriter, r *http.Request) error {
	cursor := r.URL.Query().Get("cursor")
	list, next, err := s.Orders.Orders(r.Context(), member(r).organization.ID, fulfillment.OrdersAll, fulfillment.Page{Cursor: cursor})
	if err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, view.Orders(view.OrdersPage{
		Chrome: s.chrome(r, "Orders", "orders"), Orders: list, Next: next, First: cursor == "",
	}))
}

// order is the return page, the progress page and the receipt, at one address for ever.
func (s *server) order(w http.ResponseWriter, r *http.Request) error {
	o, err := s.Orders.Order(r.Context(), member(r).organization.ID, chi.URLParam(r, "order"))
	if err != nil {
		return err
	}
	if o.State == fulfillment.StateDraft {
		return see(w, r, withQuery("/checkout/review", map[string][]string{"order": {o.ID}}))
	}
	p := view.OrderPage{Chrome: s.chrome(r, "Order "+o.ID, "orders"), Order: o, Live: r.URL.Query().Get("live") != "off"}
	p.Phase = view.PhaseOf(o, s.now())
	if err := s.quoted(r, &p); err != nil {
		return err
	}
	if p.Phase == view.PhaseInvoice { // perhaps back from paying it
		if err := s.Quotes.LookAgain(r.Context(), o.OrganizationID, o.ID); err != nil {
			return err
		}
	}
	if p.License, err = s.licenseOf(r, o); err != nil {
		return err
	}
	if p.Subscribed, err = s.subscribed(s.Subscriptions.OfOrder(r.Context(), o.OrganizationID, o.ID)); err != nil {
		return err
	}
	p.Chrome.Title = p.Title()
	if p.Phase.Moves() && p.Live {
		p.Chrome.Scripts, p.Chrome.RefreshSeconds = true, refreshSeconds
	}
	return s.render(w, r, http.StatusOK, view.OrderReceipt(p))
}

// subscribed is what a subscription's box shows; nil where there is none.
func (s *server) subscribed(found fulfillment.Subscribed, err error) (*fulfillment.Subscribed, error) {
	if errors.Is(err, fulfillment.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &found, nil
}

// manageBilling sends the browser to Stripe's page for an order's subscription.
func (s *server) manageBilling(w http.ResponseWriter, r *http.Request) error {
	if err := form(r); err != nil {
		return formError(err)
	}
	target, err := s.Subscriptions.Manage(r.Context(), member(r).organization.ID, chi.URLParam(r, "order"))
	if err != nil {
		return err
	}
	return see(w, r, target)
}

// licenseOf finds the license of an issued order; nil while there is none.
func (s *server) licenseOf(r *http.Request, o fulfillment.Order) (*fulfillment.License, error) {
	if o.LicenseID == "" {
		return nil, nil
	}
	l, err := s.Licenses.License(r.Context(), o.OrganizationID, o.LicenseID)
	if err != nil {
		return nil, err
	}
	return &l, nil
}

func (s *server) cancelOrder(w http.ResponseWriter, r *http.Request) error {
	if err := form(r); err != nil {
		return formError(err)
	}
	id := chi.URLParam(r, "order")
	err := s.Orders.Cancel(r.Context(), member(r).organization.ID, id)
	if err != nil && !errors.Is(err, fulfillment.ErrNotPayable) && !errors.Is(err, fulfillment.ErrFrozen) {
		return err
	}
	return see(w, r, "/orders/"+id) // which says where it stands, canceled or paid in the meantime
}
