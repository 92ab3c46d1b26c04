package web

import (
	"errors"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/internal/token"
	"github.com/metrum-ai/licensing-portal/web/view"
)

// staffRequest shows the request behind a link. Opening it changes nothing.
func (s *server) staffRequest(w http.ResponseWriter, r *http.Request) error {
	return s.showRequest(w, r, http.StatusOK, nil)
}

func (s *server) showRequest(w http.ResponseWriter, r *http.Request, status int, mistakes view.Errors) error {
	link := chi.URLParam(r, "token")
	opened, err := s.Requests.Open(r.Context(), link)
	switch {
	case errors.Is(err, token.ErrExpired):
		return s.noRequest(w, r, http.StatusGone, "This link expired", "It worked for an hour. Have another one made with `portal staff request-link`.")
	case errors.Is(err, token.ErrUnknown), errors.Is(err, fulfillment.ErrNotFound):
		return s.noRequest(w, r, http.StatusNotFound, "We do not know this link",
			"It may have been cut off on the way. Copy the whole address, or have another one made with `portal staff request-link`.")
	case err != nil:
		return err
	}
	title := view.RequestTitle(opened.StaffRequest)
	p := view.RequestPage{Chrome: s.chrome(r, title, ""), Errors: mistakes, Token: link, Heading: title, Opened: opened}
	p.Chrome.Passkeys = true
	return s.render(w, r, status, view.StaffRequest(p))
}

func (s *server) noRequest(w http.ResponseWriter, r *http.Request, status int, title, why string) error {
	return s.render(w, r, status, view.StaffRequest(view.RequestPage{Chrome: s.chrome(r, title, ""), Heading: title, Gone: why}))
}

// standByRequest takes a passkey's assertion.
func (s *server) standByRequest(w http.ResponseWriter, r *http.Request) error {
	if err := form(r); err != nil {
		return formError(err)
	}
	link := chi.URLParam(r, "token")
	request, err := s.Requests.StandByLink(r.Context(), link, []byte(r.PostForm.Get("credential")))
	if err == nil {
		return see(w, r, "/staff/requests/"+link)
	}
	status, message := notStood(request, err)
	if message == "" && !errors.Is(err, token.ErrExpired) && !errors.Is(err, token.ErrUnknown) && !errors.Is(err, fulfillment.ErrNotFound) {
		return err
	}
	var mistakes view.Errors
	if message != "" {
		mistakes = view.Errors{{Field: "form", Message: message}}
	}
	return s.showRequest(w, r, status, mistakes)
}

// notStood says in words why an assertion was not taken; "" where the page itself says it, or it is nobody's mistake.
func notStood(r fulfillment.StaffRequest, err error) (status int, message string) {
	var refused *fulfillment.RefusedError
	switch {
	case errors.Is(err, fulfillment.ErrSelfApproval):
		return http.StatusForbidden, view.SelfApproval(r)
	case errors.Is(err, fulfillment.ErrMayNotApprove):
		return http.StatusForbidden, "Your role may not approve this request. Nothing was stored"
	case errors.Is(err, fulfillment.ErrPasskey):
		return http.StatusForbidden, "That passkey is not in the trust bundle. Use the one that the root holders signed in"
	case errors.Is(err, fulfillment.ErrAssertion):
		return http.StatusBadRequest, "The passkey's answer does not prove that you stand by this text. Nothing was stored; try again"
	case errors.Is(err, fulfillment.ErrNotProposed):
		return http.StatusConflict, r.Proposer + " must stand by it first. Nothing was stored"
	case errors.Is(err, fulfillment.ErrStandsAlready):
		return http.StatusConflict, "You approved it already; another person must"
	case errors.Is(err, fulfillment.ErrRequestDecided):
		return http.StatusConflict, "It is decided already. Nothing was changed"
	case errors.Is(err, fulfillment.ErrRequestExpired):
		return http.StatusConflict, "It expired before you approved it. Propose it again"
	case errors.As(err, &refused):
		return http.StatusConflict, "Nobody can approve this as it stands"
	}
	return http.StatusOK, ""
}
