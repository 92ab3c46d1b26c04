package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"net/http"

	"github.com/metrum-ai/licensing-portal/license"
	"github.com/metrum-ai/licensing-portal/license/enforce"
)

const (
	requestIDHeader = "X-Request-Id"
	maxBody         = 1 << 20 // bytes
	modelName       = "echo"
)

// newHandler returns the router's routes. Authentication comes before the license: a stranger learns no status.
func newHandler(manager *enforce.Manager, access credentials, logger *slog.Logger) http.Handler {
	called := func(next http.Handler) http.Handler {
		return authenticated(access.caller, `Bearer realm="router"`, next)
	}
	admin := func(next http.Handler) http.Handler {
		return authenticated(access.admin, `Basic realm="router admin"`, next)
	}
	// What asks a model is counted; what only looks is not.
	metered := func(skin string, next http.HandlerFunc) http.Handler {
		return called(manager.Meter(enforce.Route{Feature: license.FeatureRouting, Skin: skin, Reserve: reserve}, requestID, next))
	}
	mux := http.NewServeMux()
	mux.Handle("GET /readyz", manager.Ready())
	mux.Handle("GET /metrics", admin(manager.Metrics()))
	mux.Handle("GET /admin/license/status", admin(manager.Status()))
	mux.Handle("GET /admin/license/receipt", admin(manager.Export()))
	mux.Handle("GET /admin/usage.csv", admin(manager.Require("usage_csv_export", requestID, usageCSV(manager))))
	mux.Handle("GET /v1/models", called(manager.Require(license.FeatureRouting, requestID, http.HandlerFunc(models))))
	mux.Handle("POST /v1/echo", metered("", echo))
	mux.Handle("POST /v1/chat/completions", metered("openai-chat", chat))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, r, http.StatusNotFound, "not-found", "there is nothing at this path")
	})
	return withRequestID(logger, mux)
}

// withRequestID gives every request an ID of our own, which answers and the log name.
func withRequestID(logger *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var random [8]byte
		_, _ = rand.Read(random[:]) // never fails
		id := "req_" + hex.EncodeToString(random[:])
		r.Header.Set(requestIDHeader, id)
		w.Header().Set(requestIDHeader, id)
		logger.Debug("request", "request_id", id, "method", r.Method, "path", r.URL.Path)
		next.ServeHTTP(w, r)
	})
}

func requestID(r *http.Request) string { return r.Header.Get(requestIDHeader) }

func authenticated(allowed func(*http.Request) bool, challenge string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !allowed(r) {
			w.Header().Set("WWW-Authenticate", challenge)
			writeError(w, r, http.StatusUnauthorized, "unauthorized", "credentials are missing or wrong")
			return
		}
		next.ServeHTTP(w, r)
	})
}

type model struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	OwnedBy string `json:"owned_by"`
}

func models(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, struct {
		Object string  `json:"object"`
		Data   []model `json:"data"`
	}{"list", []model{{ID: modelName, Object: "model", OwnedBy: "example-router"}}})
}

// writeError answers in the shape of enforce.WriteError, for what is not about the license.
func writeError(w http.ResponseWriter, r *http.Request, status int, code, message string) {
	writeJSON(w, status, map[string]any{
		"error": map[string]string{"code": code, "message": message, "request_id": requestID(r)},
	})
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
