package web

import (
	"encoding/json"
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
	orders, _, err := s.Orders.Orders(r.Context(), a.organization.ID, fulfillment.Page{})
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

// keys shows the public keys that a router trusts.
func (s *server) keys(w http.ResponseWriter, r *http.Request) error {
	b, err := s.Catalog.Bundle(r.Context())
	if err != nil {
		return err
	}
	p := view.KeysPage{Chrome: s.chrome(r, "Public keys", "keys"), Keys: b.Keys, Version: b.Version}
	p.Chrome.Copies = true
	return s.render(w, r, http.StatusOK, view.Keys(p))
}

// keyRing is the key ring file that a router and licensectl read.
func (s *server) keyRing(w http.ResponseWriter, r *http.Request) error {
	b, err := s.Catalog.Bundle(r.Context())
	if err != nil {
		return err
	}
	ring, err := b.KeyRing()
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(ring, "", "  ")
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Disposition", `attachment; filename="keyring.json"`)
	return serveBytes(w, r, append(data, '\n'))
}

func (s *server) help(w http.ResponseWriter, r *http.Request) error {
	return s.render(w, r, http.StatusOK, view.Help(view.HelpPage{Chrome: s.chrome(r, "Help", "help")}))
}
