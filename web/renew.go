package web

import (
	"errors"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/internal/trust"
	"github.com/metrum-ai/licensing-portal/web/view"
)

func (s *server) renew(w http.ResponseWriter, r *http.Request) error {
	return s.extend(w, r, catalog.IssueRenewal)
}

func (s *server) topUp(w http.ResponseWriter, r *http.Request) error {
	return s.extend(w, r, catalog.IssueTopUp)
}

// extend shows a license now and after a renewal or top-up, for each package that offers it.
func (s *server) extend(w http.ResponseWriter, r *http.Request, kind catalog.IssuanceKind) error {
	l, err := s.Licenses.License(r.Context(), member(r).organization.ID, chi.URLParam(r, "license"))
	if err != nil {
		return err
	}
	bundle, err := s.Catalog.Bundle(r.Context())
	if err != nil {
		return err
	}
	p := view.ExtendPage{Chrome: s.chrome(r, "Renew "+view.LicenseTitle(l), "licenses"), Kind: kind, License: l}
	renewals, topUps := s.offersOf(bundle, l)
	p.Offers = renewals
	if kind == catalog.IssueTopUp {
		p.Chrome.Title, p.Offers = "Add volume to "+view.LicenseTitle(l), topUps
	}
	if len(p.Offers) == 0 {
		p.Why = s.whyNot(bundle, l, kind)
		return s.render(w, r, http.StatusOK, view.Extend(p))
	}
	p.Chosen = chosen(p.Offers, r.URL.Query().Get("sku"), l.Payload.SKU)
	after, err := s.renderExtension(bundle, l, p.Chosen, kind)
	switch {
	case err == nil:
		p.After = &after
		p.Changed, p.Same = view.Diff(l.Payload, after.Payload)
	case !errors.Is(err, catalog.ErrBaseMismatch): // hashed fingerprints: the form asks for them first
		return err
	}
	if p.FormKey, err = s.randomName(15); err != nil {
		return err
	}
	p.NeedsForm = len(l.Payload.Deployment.AllowedInstanceFingerprints) > 0
	return s.render(w, r, http.StatusOK, view.Extend(p))
}

// chosen is the offer asked for, else the license's own package, else the first.
func chosen(offers []catalog.Template, asked, own string) catalog.Template {
	pick := offers[0]
	for _, t := range offers {
		if t.SKU == asked {
			return t
		}
		if t.SKU == own {
			pick = t
		}
	}
	return pick
}

// whyNot says why nothing is offered.
func (s *server) whyNot(b *trust.Bundle, l fulfillment.License, kind catalog.IssuanceKind) string {
	base, _ := b.Newest(l.Payload.SKU)
	switch standing := l.Standing(s.now()); {
	case standing == fulfillment.StandingRevoked:
		return view.WithdrawnWords(l) + " Nothing can be bought on it. Order a package for the same deployment instead."
	case standing == fulfillment.StandingSuspended:
		return view.WithdrawnWords(l) + " Settle that first; then it can be renewed and topped up again."
	case !l.Newest:
		return "A newer license of this deployment exists. Renew it or add volume to it there."
	case l.Withdrawn != nil:
		return view.WithdrawnWords(l) + " Nothing can be bought on it."
	case kind == catalog.IssueTopUp && !s.now().Before(l.Payload.ExpiresAt):
		return "Volume can't be added to an expired license. Renew first; a pack can be added afterwards."
	case kind == catalog.IssueTopUp:
		return "This license sells no total volume, so there is nothing to add to."
	case base.Subscription():
		return "This license comes from a subscription, which renews by itself: each payment issues the next license. Change or cancel it under Manage billing on the license's page."
	case base.Evaluation:
		return "An evaluation does not renew. Buy a package for the same deployment instead."
	}
	return "No package that renews this license is sold here. Write to us for an offer."
}

// renderExtension is what would be issued if the purchase happened now: the same pure function that the signer runs.
func (s *server) renderExtension(b *trust.Bundle, l fulfillment.License, t catalog.Template, kind catalog.IssuanceKind) (fulfillment.License, error) {
	source := catalog.Source{
		Intent: catalog.Intent{
			OrderID: previewOrder, Kind: kind, Template: t.Ref(), Quantity: 1, CustomerID: l.Payload.CustomerID,
			CustomerName: l.Payload.CustomerName, DeploymentID: l.DeploymentID, BaseID: l.ID, BaseSHA256: l.SHA256,
		},
		Template: t, Base: &l.Payload, FulfillmentKey: previewOrder, IssuedAt: s.now(), KeyID: s.signingKey(b, l.Payload.KeyID),
	}
	if base, ok := b.Newest(l.Payload.SKU); ok {
		source.BaseTemplate = &base
	}
	p, err := catalog.Render(source)
	return fulfillment.License{Payload: p, DeploymentID: l.DeploymentID, DeploymentName: l.DeploymentName}, err
}

// previewOrder stands for an order that does not exist yet.
const previewOrder = "ord_preview"

// signingKey is the key whose window holds now.
func (s *server) signingKey(b *trust.Bundle, otherwise string) string {
	now := s.now()
	for _, k := range b.Keys {
		if !strings.EqualFold(k.Role, "revocation") && k.Status == trust.KeySigning && !now.Before(k.SignFrom) && now.Before(k.SignUntil) {
			return k.ID
		}
	}
	return otherwise
}
