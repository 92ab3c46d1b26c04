package web

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/internal/trust"
	"github.com/metrum-ai/licensing-portal/web/view"
)

// forSale lists what this portal sells by itself, and what it can quote: exactly the signer's open templates.
func (s *server) forSale(b *trust.Bundle) (selfService, quoted []catalog.Template) {
	for _, t := range b.OnSale(s.now()) {
		switch {
		case t.SelfService():
			selfService = append(selfService, t)
		case t.Channel == catalog.ChannelInvoice:
			quoted = append(quoted, t)
		}
	}
	return selfService, quoted
}

func (s *server) packages(w http.ResponseWriter, r *http.Request) error {
	bundle, err := s.Catalog.Bundle(r.Context())
	if err != nil {
		return err
	}
	selfService, quoted := s.forSale(bundle)
	p := view.PackagesPage{Chrome: s.chrome(r, "Packages", "packages"), Quoted: quoted, Compared: append(selfService, quoted...)}
	for _, t := range selfService {
		switch {
		case t.Evaluation:
			p.Try = append(p.Try, t)
		case t.Kind == catalog.KindVolume:
			p.Volume = append(p.Volume, t)
		default:
			p.Run = append(p.Run, t)
		}
	}
	return s.render(w, r, http.StatusOK, view.Packages(p))
}

// template finds what is on sale under a SKU; a closed one answers what to take instead.
func (s *server) template(r *http.Request, b *trust.Bundle, sku string) (catalog.Template, error) {
	t, ok := b.Newest(sku)
	if !ok || (!t.SelfService() && t.Channel != catalog.ChannelInvoice) {
		return catalog.Template{}, errNotFound
	}
	if !t.Open(s.now()) {
		return catalog.Template{}, &goneError{
			title: t.Name + " is no longer sold",
			todo:  "Look at the packages that are sold now. Licenses already issued keep working until they expire.",
		}
	}
	return t, nil
}

func (s *server) packagePage(w http.ResponseWriter, r *http.Request) error {
	bundle, err := s.Catalog.Bundle(r.Context())
	if err != nil {
		return err
	}
	t, err := s.template(r, bundle, chi.URLParam(r, "sku"))
	if err != nil {
		return err
	}
	selfService, quoted := s.forSale(bundle)
	p := view.PackagePage{Chrome: s.chrome(r, t.Name, "packages"), Template: t, Compared: append(selfService, quoted...)}
	if a, ok := actorOf(r.Context()); ok && a.organization.ID != "" && t.SelfService() {
		current, _, err := s.Licenses.Licenses(r.Context(), a.organization.ID, fulfillment.FilterCurrent, fulfillment.Page{})
		if err != nil {
			return err
		}
		p.Running = s.runningOffers(bundle, t, current)
		if t.OnePerCustomer {
			all, _, err := s.Licenses.Licenses(r.Context(), a.organization.ID, fulfillment.FilterAll, fulfillment.Page{})
			if err != nil {
				return err
			}
			p.Evaluated = ofPackage(all, t.SKU)
		}
	}
	return s.render(w, r, http.StatusOK, view.Package(p))
}

// ofPackage is the first license of a package, nil where there is none.
func ofPackage(list []fulfillment.License, sku string) *fulfillment.License {
	for n := range list {
		if list[n].Payload.SKU == sku {
			return &list[n]
		}
	}
	return nil
}

// runningOffers finds the licenses that package t could renew or top up instead of starting a new one.
func (s *server) runningOffers(b *trust.Bundle, t catalog.Template, current []fulfillment.License) []view.Offer {
	var offers []view.Offer
	for _, l := range current {
		base, _ := b.Newest(l.Payload.SKU)
		o := view.Offer{License: l}
		o.Renew = l.Extendable() && catalog.CanRenew(l.Payload, base, t) == nil
		o.TopUp = l.Extendable() && catalog.CanTopUp(l.Payload, base, t, s.now()) == nil
		if o.Renew || o.TopUp {
			offers = append(offers, o)
		}
	}
	return offers
}

// offersOf lists the packages on sale that renew a license, and those that top it up.
func (s *server) offersOf(b *trust.Bundle, l fulfillment.License) (renewals, topUps []catalog.Template) {
	if !l.Extendable() {
		return nil, nil
	}
	base, _ := b.Newest(l.Payload.SKU)
	selfService, _ := s.forSale(b)
	for _, t := range selfService {
		if catalog.CanRenew(l.Payload, base, t) == nil {
			renewals = append(renewals, t)
		}
		if catalog.CanTopUp(l.Payload, base, t, s.now()) == nil {
			topUps = append(topUps, t)
		}
	}
	return renewals, topUps
}
