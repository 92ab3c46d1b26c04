package web

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// webhook takes Stripe's events: the raw body and its signature header go to the inbox as they came. Whatever cannot be
// stored is answered 503, so that Stripe sends it again.
func (s *server) webhook(w http.ResponseWriter, r *http.Request) {
	if contentType(r) != "application/json" {
		answer(w, http.StatusUnsupportedMediaType, "content_type", "send application/json")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxWebhook))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			answer(w, http.StatusRequestEntityTooLarge, "too_large", "the body is over 512 KiB")
			return
		}
		answer(w, http.StatusBadRequest, "unreadable", "the body ended early")
		return
	}
	err = s.Inbox.Receive(r.Context(), body, r.Header.Get("Stripe-Signature"))
	switch {
	case err == nil:
		answer(w, http.StatusOK, "", "")
	case errors.Is(err, fulfillment.ErrSignatureInvalid):
		answer(w, http.StatusBadRequest, "signature_invalid", "the Stripe-Signature header does not match the body")
	case errors.Is(err, fulfillment.ErrTooLarge):
		answer(w, http.StatusRequestEntityTooLarge, "too_large", "the event is too large")
	default:
		s.Logger.ErrorContext(r.Context(), "webhook not stored", "request_id", requestID(r.Context()), "error", err)
		w.Header().Set("Retry-After", "30")
		answer(w, http.StatusServiceUnavailable, "unavailable", "the event was not stored; send it again")
	}
}

// health tells whether the parts behind the portal answer, by name and without saying why not.
func (s *server) health(w http.ResponseWriter, r *http.Request) {
	parts, status := map[string]string{}, http.StatusOK
	for name, err := range s.Health.Check(r.Context()) {
		parts[name] = "ok"
		if err != nil {
			parts[name], status = "down", http.StatusServiceUnavailable
			s.Logger.WarnContext(r.Context(), "part is down", "part", name, "error", err)
		}
	}
	word := "ok"
	if status != http.StatusOK {
		word = "down"
	}
	writeJSON(w, status, map[string]any{"status": word, "parts": parts})
}

// answer writes what machines read: {"received":true} or an error with its code.
func answer(w http.ResponseWriter, status int, code, message string) {
	if code == "" {
		writeJSON(w, status, map[string]bool{"received": true})
		return
	}
	writeJSON(w, status, map[string]any{"error": map[string]string{"code": code, "message": message}})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client went away
}
