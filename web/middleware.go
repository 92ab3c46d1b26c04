package web

import (
	"context"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
)

type contextKey int

const (
	keyRequestID contextKey = iota
	keyActor
)

// requestID names the request in its header, on its page and in the log.
func requestID(ctx context.Context) string {
	id, _ := ctx.Value(keyRequestID).(string)
	return id
}

// identify gives every request an ID of its own; one sent by a client is not believed.
func (s *server) identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := s.randomName(10)
		if err != nil {
			s.Logger.ErrorContext(r.Context(), "no randomness", "error", err)
			s.plain(w, r, http.StatusInternalServerError)
			return
		}
		id = "req_" + id
		w.Header().Set("X-Request-Id", id)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), keyRequestID, id)))
	})
}

// randomName writes n random bytes as lower-case letters and digits.
func (s *server) randomName(n int) (string, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(s.Rand, b); err != nil {
		return "", fmt.Errorf("randomness: %w", err)
	}
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b)), nil
}

// headers sets what every answer carries. No inline script or style runs on any page.
func (s *server) headers(next http.Handler) http.Handler {
	policy := strings.Join([]string{
		"default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "font-src 'self'", "connect-src 'self'",
		"form-action 'self' " + s.CheckoutOrigin + " " + s.BillingOrigin, "base-uri 'none'", "frame-ancestors 'none'",
	}, "; ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
		if s.secure() {
			h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
		}
		next.ServeHTTP(w, r)
	})
}

// access writes one line for each request: the pattern of its route, never its path, query or address, which may hold
// tokens or people's data.
func (s *server) access(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		counted := &countingWriter{ResponseWriter: w}
		next.ServeHTTP(counted, r)
		pattern := chi.RouteContext(r.Context()).RoutePattern()
		s.Logger.InfoContext(r.Context(), "request",
			"request_id", requestID(r.Context()), "method", r.Method, "route", pattern, "status", counted.statusOrOK(),
			"bytes", counted.bytes, "duration_ms", time.Since(start).Milliseconds())
	})
}

// countingWriter remembers the status and size of an answer.
type countingWriter struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *countingWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *countingWriter) Write(b []byte) (int, error) {
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *countingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *countingWriter) statusOrOK() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}

// recoverPanic turns a panic into the page of last resort.
func (s *server) recoverPanic(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p == http.ErrAbortHandler {
				panic(p)
			}
			s.Logger.ErrorContext(r.Context(), "panic", "request_id", requestID(r.Context()), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			if c, ok := w.(*countingWriter); !ok || c.status == 0 {
				s.plain(w, r, http.StatusInternalServerError)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// readable refuses an address that is not text, which would be a database's error further on.
func (s *server) readable(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if query, err := url.ParseQuery(r.URL.RawQuery); err != nil || !isText(r.URL.Path) || !allText(query) {
			s.fail(w, r, badForm{errors.New("the address is not text")})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// limitBody bounds what a form may carry.
func (s *server) limitBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		next.ServeHTTP(w, r)
	})
}

// newCrossOrigin refuses forms of other sites.
func newCrossOrigin(public *url.URL, refused http.HandlerFunc) (*http.CrossOriginProtection, error) {
	p := http.NewCrossOriginProtection()
	if err := p.AddTrustedOrigin(public.Scheme + "://" + public.Host); err != nil {
		return nil, fmt.Errorf("web: PublicURL: %w", err)
	}
	p.SetDenyHandler(refused)
	return p, nil
}

func (s *server) crossOriginRefused(w http.ResponseWriter, r *http.Request) { s.fail(w, r, errOrigin) }

// connectionIP is the address of the connection.
func connectionIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
