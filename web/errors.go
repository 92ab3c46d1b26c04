package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/account"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/web/view"
)

// Errors of the pages themselves.
var (
	errNotFound    = errors.New("no such page")
	errMethod      = errors.New("method not allowed")
	errContentType = errors.New("not a form")
	errForbidden   = errors.New("not allowed for the role")
	errOrigin      = errors.New("form came from another site")
)

// problem is what an error page says: what happened, and what to do about it.
type problem struct {
	status     int
	title      string
	text, todo string
	retryAfter time.Time
}

// goneError is a package that is no longer sold.
type goneError struct{ title, todo string }

func (e *goneError) Error() string { return "no longer sold" }

// explain turns an error into words. What went wrong inside never reaches the page.
func (s *server) explain(err error) problem {
	var tooLarge *http.MaxBytesError
	var limited *account.RateLimitError
	var gone *goneError
	var revoked *fulfillment.RevokedError
	switch {
	case errors.As(err, &revoked):
		return problem{
			status: http.StatusGone, title: "This license was revoked", text: view.WithdrawnWords(revoked.License) + " Its file is not handed out any more.",
			todo: "Stop using the copies that you have. The license's page says what to do instead.",
		}
	case errors.As(err, &gone):
		return problem{status: http.StatusGone, title: gone.title, text: "Nothing was ordered or charged.", todo: gone.todo}
	case errors.As(err, &limited):
		return problem{
			status: http.StatusTooManyRequests, title: "Too many tries", text: "There were more tries than we allow in a short time.",
			todo: "Try again at " + view.Stamp(limited.RetryAt) + ".", retryAfter: limited.RetryAt,
		}
	case errors.As(err, &tooLarge):
		return problem{status: http.StatusRequestEntityTooLarge, title: "That is too much at once",
			text: "The form was larger than this page takes, so we did not read it.", todo: "Go back and shorten what you entered."}
	case errors.Is(err, errNotFound), errors.Is(err, fulfillment.ErrNotFound):
		return problem{status: http.StatusNotFound, title: "Page not found",
			text: "There is nothing at this address, or it belongs to another organization.",
			todo: "Check the address. If you work for several organizations, you may have to switch."}
	case errors.Is(err, errMethod):
		return problem{status: http.StatusMethodNotAllowed, title: "That does not work here",
			text: "This address does not take that kind of request. Nothing was changed.", todo: "Go back and use the button on the page."}
	case errors.Is(err, errOrigin):
		return problem{status: http.StatusForbidden, title: "That form came from another site",
			text: "We only take forms from our own pages. Nothing was changed.", todo: "Open the page here and use its button."}
	case errors.Is(err, errForbidden):
		return problem{status: http.StatusForbidden, title: "Your role does not allow this",
			text: "Nothing was changed.", todo: "Ask an owner of your organization to do it or to change your role."}
	case errors.Is(err, fulfillment.ErrOpenRenewal):
		return problem{status: http.StatusConflict, title: "Another renewal of this license is open",
			text: "Nothing was charged.", todo: "Pay or cancel the other order under Orders first."}
	case errors.Is(err, fulfillment.ErrFrozen):
		return problem{status: http.StatusConflict, title: "This order can no longer be paid as it stands",
			text: "Its price, its package or the license it builds on changed since. Nothing was charged.", todo: "Cancel it under Orders and order again."}
	case errors.Is(err, errContentType):
		return problem{status: http.StatusUnsupportedMediaType, title: "We could not read that",
			text: "The request was not a form that this page sends.", todo: "Open the page here and use its button."}
	case errors.Is(err, fulfillment.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return problem{status: http.StatusServiceUnavailable, title: "A part of the portal does not answer",
			text: "Nothing was changed and nothing was charged twice. Payments that Stripe reports are kept and handled once it answers.",
			todo: "Try again in a minute.", retryAfter: s.now().Add(30 * time.Second)}
	case isBadForm(err):
		return problem{status: http.StatusBadRequest, title: "We could not read that",
			text: "The request was damaged on the way. Nothing was changed.", todo: "Go back and try again."}
	}
	return problem{status: http.StatusInternalServerError, title: "We could not do that",
		text: "Something failed on our side. Nothing was changed.", todo: "Try again; if it happens twice, send us the request below."}
}

// badForm marks a request whose form cannot be read.
type badForm struct{ error }

func isBadForm(err error) bool {
	var bad badForm
	return errors.As(err, &bad)
}

// fail answers an error with its page, and logs what the page does not say.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		return // the client went away
	}
	p := s.explain(err)
	if p.status >= 500 {
		s.Logger.ErrorContext(r.Context(), "request failed", "request_id", requestID(r.Context()), "error", err)
	}
	if !p.retryAfter.IsZero() {
		wait := max(1, int(p.retryAfter.Sub(s.now()).Seconds()))
		w.Header().Set("Retry-After", fmt.Sprint(wait))
	}
	page := view.ErrorPage{
		Chrome: s.chrome(r, p.title, ""), Status: p.status, Heading: p.title, Text: p.text, Todo: p.todo,
	}
	if err := s.render(w, r, p.status, view.Problem(page)); err != nil {
		s.Logger.ErrorContext(r.Context(), "error page failed", "request_id", requestID(r.Context()), "error", err)
		s.plain(w, r, p.status)
	}
}

// plain is the page of last resort: it needs no service, no session and no template.
func (s *server) plain(w http.ResponseWriter, r *http.Request, status int) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(s.static.fallback)
	}
}
