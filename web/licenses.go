package web

import (
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"

	"github.com/go-chi/chi/v5"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/web/view"
)

func (s *server) licenses(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	filter := fulfillment.LicenseFilter(q.Get("show"))
	switch filter {
	case fulfillment.FilterAll, fulfillment.FilterExpired:
	default:
		filter = fulfillment.FilterCurrent
	}
	org := member(r).organization.ID
	list, next, err := s.Licenses.Licenses(r.Context(), org, filter, fulfillment.Page{Cursor: q.Get("cursor")})
	if err != nil {
		return err
	}
	p := view.LicensesPage{
		Chrome: s.chrome(r, view.LicensesTitle(filter), "licenses"), Filter: filter, Groups: view.GroupByDeployment(list), Next: next,
		First: q.Get("cursor") == "",
	}
	if p.First && filter != fulfillment.FilterExpired {
		orders, _, err := s.Orders.Orders(r.Context(), org, fulfillment.OrdersOpen, fulfillment.Page{})
		if err != nil {
			return err
		}
		for _, o := range orders {
			if o.State == fulfillment.StatePaid || o.State == fulfillment.StateInReview {
				p.Pending = append(p.Pending, o)
			}
		}
	}
	return s.render(w, r, http.StatusOK, view.Licenses(p))
}

func (s *server) license(w http.ResponseWriter, r *http.Request) error {
	org := member(r).organization.ID
	l, err := s.Licenses.License(r.Context(), org, chi.URLParam(r, "license"))
	if err != nil {
		return err
	}
	lineage, err := s.Licenses.Lineage(r.Context(), org, l.DeploymentID)
	if err != nil {
		return err
	}
	links, err := s.Links.Links(r.Context(), org, l.ID)
	if err != nil {
		return err
	}
	bundle, err := s.Catalog.Bundle(r.Context())
	if err != nil {
		return err
	}
	p := view.LicensePage{
		Chrome: s.chrome(r, view.LicenseTitle(l), "licenses"), License: l, Lineage: lineage, Links: links,
		Install: s.install(r, l, lineage),
	}
	p.Chrome.Copies = true
	if l.Newest || l.OrderID == "" {
		p.Subscribed, err = s.subscribed(s.Subscriptions.OfDeployment(r.Context(), org, l.DeploymentID))
	} else {
		p.Subscribed, err = s.subscribed(s.Subscriptions.OfOrder(r.Context(), org, l.OrderID))
	}
	if err != nil {
		return err
	}
	renewals, topUps := s.offersOf(bundle, l)
	p.MayRenew, p.MayTopUp = len(renewals) > 0, len(topUps) > 0
	p.Previous = view.Previous(l, lineage)
	if p.Previous != nil {
		p.Changed, p.Same = view.Diff(p.Previous.Payload, l.Payload)
	}
	return s.render(w, r, http.StatusOK, view.LicenseDetail(p))
}

// downloadLicense hands out the exact bytes that were signed.
func (s *server) downloadLicense(w http.ResponseWriter, r *http.Request) error {
	if r.Method == http.MethodHead { // spends and notes nothing
		l, err := s.handedOut(r)
		if err != nil {
			return err
		}
		return serveLicense(w, r, l)
	}
	a := member(r)
	l, err := s.Licenses.Download(r.Context(), a.organization.ID, chi.URLParam(r, "license"), a.user.ID)
	if err != nil {
		return err
	}
	return serveLicense(w, r, l)
}

// handedOut finds a license of the member's organization and refuses one that is not handed out any more.
func (s *server) handedOut(r *http.Request) (fulfillment.License, error) {
	l, err := s.Licenses.License(r.Context(), member(r).organization.ID, chi.URLParam(r, "license"))
	if err == nil && l.Standing(s.now()) == fulfillment.StandingRevoked {
		err = &fulfillment.RevokedError{License: l}
	}
	return l, err
}

// serveLicense writes license.json with its digest.
func serveLicense(w http.ResponseWriter, r *http.Request, l fulfillment.License) error {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Disposition", `attachment; filename="license.json"`)
	if err := setDigest(h, l.SHA256); err != nil {
		return err
	}
	return serveBytes(w, r, l.Envelope)
}

// setDigest says what the whole file's SHA-256 is (RFC 9530, and RFC 3230 for older clients).
func setDigest(h http.Header, hexDigest string) error {
	sum, err := hex.DecodeString(hexDigest)
	if err != nil {
		return err
	}
	digest := base64.StdEncoding.EncodeToString(sum)
	h.Set("Repr-Digest", "sha-256=:"+digest+":")
	h.Set("Digest", "sha-256="+digest)
	return nil
}

// downloadChecksum answers what sha256sum -c reads.
func (s *server) downloadChecksum(w http.ResponseWriter, r *http.Request) error {
	l, err := s.handedOut(r)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="license.json.sha256"`)
	return serveBytes(w, r, []byte(l.SHA256+"  license.json\n"))
}

func serveBytes(w http.ResponseWriter, r *http.Request, data []byte) error {
	w.Header().Set("Cache-Control", "private, no-store")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(data) // the client went away
	}
	return nil
}

// markInstalled notes what the customer says; the portal cannot see the router.
func (s *server) markInstalled(w http.ResponseWriter, r *http.Request) error {
	if err := form(r); err != nil {
		return formError(err)
	}
	id := chi.URLParam(r, "license")
	installed := r.PostForm.Get("installed") == "yes"
	if err := s.Licenses.MarkInstalled(r.Context(), member(r).organization.ID, id, installed); err != nil {
		return err
	}
	return see(w, r, "/licenses/"+id+"#install")
}
