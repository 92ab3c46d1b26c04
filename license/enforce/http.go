package enforce

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/metrum-ai/licensing-portal/license"
)

// Ready answers readiness probes: 200 while the router may serve and 503 while it may not, with the safe fields as
// JSON. It needs no authentication.
func (m *Manager) Ready() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		status := m.SafeStatus()
		code := http.StatusServiceUnavailable
		if (Standing{Code: status.Status}).Serving() {
			code = http.StatusOK
		}
		writeJSON(w, code, status)
	})
}

// statusPage is what an authenticated operator may see beyond the safe fields.
type statusPage struct {
	license.SafeStatus
	CustomerID string          `json:"customer_id"`
	Limits     *license.Limits `json:"limits"`
	Facts
}

// Status answers with the safe fields, the customer ID, the limits, the counters, and what is known about revocation,
// clock and state, as JSON. It must stand behind authentication, which is the router's own.
func (m *Manager) Status() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s := m.current.Load() // one state, so that no answer mixes two licenses
		page := statusPage{SafeStatus: m.safeStatus(s), Facts: m.facts(s)}
		if s.license != nil {
			p := s.license.Payload()
			page.CustomerID, page.Limits = p.CustomerID, &p.Limits
		}
		writeJSON(w, http.StatusOK, page)
	})
}

// Require admits requests to next that the license includes the feature for, and refuses the others with the
// error's HTTP status. requestID may be nil; it names the request in the refusal.
func (m *Manager) Require(feature string, requestID func(*http.Request) string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := m.Admit(feature)
		if err == nil {
			next.ServeHTTP(w, r)
			return
		}
		id := ""
		if requestID != nil {
			id = requestID(r)
		}
		WriteError(w, id, err)
	})
}

// Route is what the requests to a handler need of the license.
type Route struct {
	Feature string                    // required
	Skin    string                    // "" for none
	Reserve func(*http.Request) int64 // tokens to reserve, the most it may use; nil: none, and no limit of tokens refuses it
}

// Meter admits requests to next as Begin does, counts them, and refuses the others as Require does. Next says how many
// tokens were used with Settle; where it does not, or panics, the reservation counts.
func (m *Manager) Meter(route Route, requestID func(*http.Request) string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request := Request{Feature: route.Feature, Skin: route.Skin}
		if route.Reserve != nil {
			request.Tokens = route.Reserve(r)
		}
		ticket, err := m.Begin(request)
		if err != nil {
			id := ""
			if requestID != nil {
				id = requestID(r)
			}
			WriteError(w, id, err)
			return
		}
		defer ticket.End()
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), ticketKey{}, &ticket)))
	})
}

type ticketKey struct{}

// Settle tells Meter how many tokens the request with this context used. Without a metered request it does nothing.
func Settle(ctx context.Context, tokens int64) {
	if ticket, ok := ctx.Value(ticketKey{}).(*Ticket); ok {
		ticket.Settle(tokens)
	}
}

// WriteError answers with err, normally a *license.Error from Admit:
//
//	{"error": {"code": "license-expired", "message": "…", "request_id": "…"}}
func WriteError(w http.ResponseWriter, requestID string, err error) {
	refusal := &license.Error{Code: license.CodeStateError, Reason: "the license cannot be checked"}
	errors.As(err, &refusal)
	var body struct {
		Error struct {
			Code      license.Code `json:"code"`
			Message   string       `json:"message"`
			RequestID string       `json:"request_id"`
		} `json:"error"`
	}
	body.Error.Code, body.Error.Message, body.Error.RequestID = refusal.Code, refusal.Reason, requestID
	writeJSON(w, refusal.Code.HTTPStatus(), body)
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil { // only a value that JSON cannot hold, and there is none above
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // a caller that went away is no error of ours
}
