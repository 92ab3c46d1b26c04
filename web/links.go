package web

import (
	"errors"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/web/view"
)

// createLink makes a re-download link. Its address is shown once, in the answer to the form: nothing keeps the token.
func (s *server) createLink(w http.ResponseWriter, r *http.Request) error {
	if err := form(r); err != nil {
		return formError(err)
	}
	a := member(r)
	l, err := s.handedOut(r)
	if err != nil {
		return err
	}
	link, token, err := s.Links.CreateLink(r.Context(), a.organization.ID, l.ID, a.user.ID)
	if err != nil {
		return err
	}
	p := view.LinkMadePage{Chrome: s.chrome(r, "Your re-download link", "licenses"), License: l, Link: link, URL: s.absolute("/d/" + token)}
	p.Chrome.Copies = true
	return s.render(w, r, http.StatusCreated, view.LinkMade(p))
}

func (s *server) revokeLink(w http.ResponseWriter, r *http.Request) error {
	if err := form(r); err != nil {
		return formError(err)
	}
	if err := s.Links.RevokeLink(r.Context(), member(r).organization.ID, chi.URLParam(r, "link")); err != nil {
		return err
	}
	return see(w, r, "/licenses/"+chi.URLParam(r, "license")+"#links")
}

// handOut shows what a re-download link hands out. Opening it, by a person or a mail scanner, changes nothing.
func (s *server) handOut(w http.ResponseWriter, r *http.Request) error {
	token := chi.URLParam(r, "token")
	link, l, err := s.Links.PeekLink(r.Context(), token)
	if errors.Is(err, fulfillment.ErrNotFound) {
		p := view.HandOutPage{Chrome: s.chrome(r, "We do not know this link", ""), Unknown: true}
		return s.render(w, r, http.StatusNotFound, view.HandOut(p))
	}
	if err != nil {
		return err
	}
	p := view.HandOutPage{Chrome: s.chrome(r, "Download a license", ""), Token: token, Link: link, License: l}
	status := http.StatusOK
	switch {
	case !link.Live(s.now()):
		p.Chrome.Title, status = view.DeadLink(link), http.StatusGone
	case l.Standing(s.now()) == fulfillment.StandingRevoked:
		p.Chrome.Title, status = "This license was revoked", http.StatusGone
	}
	return s.render(w, r, status, view.HandOut(p))
}

// handOutFile hands out the file to whoever pressed the button.
func (s *server) handOutFile(w http.ResponseWriter, r *http.Request) error {
	token := chi.URLParam(r, "token")
	l, err := s.Links.DownloadByLink(r.Context(), token)
	if err == nil {
		return serveLicense(w, r, l)
	}
	link, _, peekErr := s.Links.PeekLink(r.Context(), token)
	_, revoked := errors.AsType[*fulfillment.RevokedError](err)
	if revoked || errors.Is(peekErr, fulfillment.ErrNotFound) || (peekErr == nil && !link.Live(s.now())) {
		return s.handOut(w, r) // says why
	}
	return err
}
