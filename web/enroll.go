package web

import (
	"errors"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/metrum-ai/licensing-portal/internal/passkey"
	"github.com/metrum-ai/licensing-portal/internal/token"
	"github.com/metrum-ai/licensing-portal/web/view"
)

// enroll shows what an invitation is for. Opening it changes nothing.
func (s *server) enroll(w http.ResponseWriter, r *http.Request) error {
	link := chi.URLParam(r, "token")
	invitation, err := s.Enrollment.Open(r.Context(), link)
	if err != nil {
		return s.noEnrollment(w, r, invitation, err)
	}
	return s.render(w, r, http.StatusOK, view.Enroll(s.enrollPage(r, link, invitation)))
}

func (s *server) enrollPage(r *http.Request, link string, i passkey.Invitation) view.EnrollPage {
	p := view.EnrollPage{Chrome: s.chrome(r, "Make your staff passkey", ""), Token: link, Invitation: i}
	p.Chrome.Passkeys = true
	return p
}

// enrolled shows the record of the passkey that the browser made. It stores nothing: reloading the page shows it again.
func (s *server) enrolled(w http.ResponseWriter, r *http.Request) error {
	if err := form(r); err != nil {
		return formError(err)
	}
	link := chi.URLParam(r, "token")
	record, err := s.Enrollment.Enroll(r.Context(), link, []byte(r.PostForm.Get("credential")))
	switch {
	case errors.Is(err, passkey.ErrRefused):
		return s.enrollAgain(w, r, link, err)
	case err != nil:
		invitation, openErr := s.Enrollment.Open(r.Context(), link)
		if openErr != nil {
			err = openErr
		}
		return s.noEnrollment(w, r, invitation, err)
	}
	p := view.EnrollPage{Chrome: s.chrome(r, "Your passkey's record", ""), Record: &record}
	p.Chrome.Copies = true
	return s.render(w, r, http.StatusOK, view.Enroll(p))
}

// enrollAgain offers the button once more after an answer that proves nothing.
func (s *server) enrollAgain(w http.ResponseWriter, r *http.Request, link string, refused error) error {
	invitation, err := s.Enrollment.Open(r.Context(), link)
	if err != nil {
		return s.noEnrollment(w, r, invitation, err)
	}
	s.Logger.WarnContext(r.Context(), "passkey not enrolled", "request_id", requestID(r.Context()), "error", refused)
	p := s.enrollPage(r, link, invitation)
	p.Errors = view.Errors{{Field: "form", Message: "The browser's answer does not prove a passkey that verified you. Nothing was enrolled; make it again, or on another device"}}
	return s.render(w, r, http.StatusBadRequest, view.Enroll(p))
}

// noEnrollment says why a link leads nowhere.
func (s *server) noEnrollment(w http.ResponseWriter, r *http.Request, i passkey.Invitation, err error) error {
	p := view.EnrollPage{}
	title, status := "", http.StatusNotFound
	switch {
	case errors.Is(err, token.ErrUnknown):
		title, p.Gone = "We do not know this link", "It may have been cut off on the way. Copy the whole address, or have another one made with `portal staff enroll`."
	case errors.Is(err, token.ErrExpired):
		title, status = "This link expired", http.StatusGone
		p.Gone = "It worked until " + view.Stamp(i.Until) + ", for an hour. Have another one made with `portal staff enroll`."
	case errors.Is(err, passkey.ErrOrigin):
		title, status = "No passkey can be made at this address", http.StatusConflict
		p.Gone = "The trust bundle lets passkeys assert elsewhere, not at " + s.PublicURL.Scheme + "://" + s.PublicURL.Host +
			". Open the portal at the address that the bundle names, or have the root holders add this one."
	default:
		return err
	}
	p.Chrome = s.chrome(r, title, "")
	return s.render(w, r, status, view.Enroll(p))
}
