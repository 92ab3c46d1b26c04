package web

import (
	"net/http"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/web/view"
)

// home tells a member what needs them and how every deployment stands; to others it shows the way in.
func (s *server) home(w http.ResponseWriter, r *http.Request) error {
	p := view.HomePage{Chrome: s.chrome(r, "Licenses for your router", "home")}
	a, ok := actorOf(r.Context())
	if !ok {
		return s.render(w, r, http.StatusOK, view.Home(p))
	}
	if a.organization.ID == "" {
		if len(a.memberships) == 0 {
			return see(w, r, "/welcome")
		}
		return see(w, r, "/sign-in/choose")
	}
	p.Chrome.Title = "Overview"
	orders, _, err := s.Orders.Orders(r.Context(), a.organization.ID, fulfillment.OrdersOpen, fulfillment.Page{})
	if err != nil {
		return err
	}
	list, next, err := s.Licenses.Licenses(r.Context(), a.organization.ID, fulfillment.FilterAll, fulfillment.Page{})
	if err != nil {
		return err
	}
	p.Lines, p.More = view.Lines(list), next != ""
	p.Needs = view.NeedsYou(orders, list, s.now(), p.Chrome.MayBuy)
	p.Empty = len(orders) == 0 && len(list) == 0
	return s.render(w, r, http.StatusOK, view.Home(p))
}

func (s *server) help(w http.ResponseWriter, r *http.Request) error {
	return s.render(w, r, http.StatusOK, view.Help(view.HelpPage{Chrome: s.chrome(r, "Help", "help")}))
}
