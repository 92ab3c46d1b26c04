package server

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/signer"
)

// Bounds of what is served.
const (
	maxRequest     = 1 << 20 // JSON around an event of 512 KiB in base64 and a base of 64 KiB
	maxAtOnce      = 16      // others wait their turn within requestTimeout
	requestTimeout = 2 * time.Second
	pageRecords    = 100
	pageBytes      = 2 << 20
)

// Handler returns the verbs of a signer that never reloads.
func (i *Issuer) Handler() http.Handler { return NewCurrent(i).Handler() }

// mux lists the verbs.
func (i *Issuer) mux() http.Handler {
	mux := http.NewServeMux()
	verb := func(path, method string, h func(http.ResponseWriter, *http.Request) error) {
		mux.Handle(path, i.adapt(method, h))
	}
	verb("/v1/check", http.MethodPost, i.serveCheck)
	verb("/v1/issue", http.MethodPost, i.serveIssue)
	verb("/v1/revoke", http.MethodPost, i.serveRevoke)
	verb("/v1/trust", http.MethodGet, i.serveTrust)
	verb("/v1/status", http.MethodGet, i.serveStatus)
	verb("/v1/log/checkpoint", http.MethodGet, i.serveCheckpoint)
	verb("/v1/log/entries", http.MethodGet, i.serveEntries)
	verb("/v1/log/license", http.MethodGet, i.serveLicense)
	verb("/v1/log/proof/inclusion", http.MethodGet, i.serveInclusion)
	verb("/v1/log/proof/consistency", http.MethodGet, i.serveConsistency)
	mux.Handle("/", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusNotFound, &signer.Error{Code: signer.CodeBadRequest, Message: "no such verb"})
	}))
	return mux
}

// limit lets maxAtOnce requests in and gives each requestTimeout, its wait included.
func limit(next http.Handler) http.Handler {
	slots := make(chan struct{}, maxAtOnce)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
		defer cancel()
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
			next.ServeHTTP(w, r.WithContext(ctx))
		case <-ctx.Done():
			writeJSON(w, http.StatusServiceUnavailable, &signer.Error{Code: signer.CodeOverloaded, Message: "too many requests at once"})
		}
	})
}

// adapt checks method and peer, bounds the body, and writes refusals.
func (i *Issuer) adapt(method string, h func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != method {
			w.Header().Set("Allow", method)
			writeJSON(w, http.StatusMethodNotAllowed, &signer.Error{Code: signer.CodeBadRequest, Message: "this verb takes " + method})
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxRequest)
		err := h(w, r)
		if err == nil {
			return
		}
		var refusal *signer.Error
		if !errors.As(err, &refusal) {
			refusal = &signer.Error{Code: signer.CodeInternal, Message: "internal error"}
		}
		i.config.Logger.Warn("refused", "path", r.URL.Path, "code", refusal.Code)
		writeJSON(w, httpStatus(refusal.Code), refusal)
	})
}

// httpStatus says whether asking again helps (5xx) or not (4xx).
func httpStatus(code signer.Code) int {
	switch code {
	case signer.CodeBadRequest, signer.CodeSignatureInvalid, signer.CodeTimestampOutside, signer.CodeEventMalformed:
		return http.StatusBadRequest
	case signer.CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	case signer.CodeConflict:
		return http.StatusConflict
	case signer.CodeLicenseUnknown:
		return http.StatusNotFound
	case signer.CodeCapExceeded:
		return http.StatusTooManyRequests
	case signer.CodeOverloaded, signer.CodeUnavailable, signer.CodeClock, signer.CodeLog:
		return http.StatusServiceUnavailable
	case signer.CodeInternal:
		return http.StatusInternalServerError
	}
	return http.StatusUnprocessableEntity
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"code":"internal","message":"internal error"}`)
	}
	write(w, status, "application/json", append(text, '\n'))
}

func write(w http.ResponseWriter, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a caller that went away asks again
}

func readBody(r *http.Request) ([]byte, error) {
	size := max(min(r.ContentLength, maxRequest), 0)
	body := make([]byte, 0, size+1) // one more, so that the end is met without growing
	for {
		n, err := r.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		var tooLarge *http.MaxBytesError
		switch {
		case errors.Is(err, io.EOF):
			return body, nil
		case errors.As(err, &tooLarge):
			return nil, refuse(signer.CodeTooLarge, "the request is larger than 1 MiB")
		case err != nil:
			return nil, refuse(signer.CodeBadRequest, "the request was torn")
		}
		if len(body) == cap(body) {
			body = append(body, 0)[:len(body)]
		}
	}
}

// serveCheck answers a refusal of the event itself with valid false beside its code.
func (i *Issuer) serveCheck(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(r)
	if err != nil {
		return err
	}
	event, err := decodeEvent(body)
	if err != nil {
		return refuse(signer.CodeBadRequest, "the request is not {body_base64, signature_header}")
	}
	checked, err := i.Check(event)
	var refusal *signer.Error
	if errors.As(err, &refusal) && httpStatus(refusal.Code) < http.StatusInternalServerError {
		i.config.Logger.Warn("refused", "path", r.URL.Path, "code", refusal.Code)
		writeJSON(w, httpStatus(refusal.Code), struct {
			Valid bool `json:"valid"`
			*signer.Error
		}{false, refusal})
		return nil
	}
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, checked)
	return nil
}

func (i *Issuer) serveIssue(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(r)
	if err != nil {
		return err
	}
	request, err := decodeIssue(body)
	if err != nil {
		return refuse(signer.CodeBadRequest, "the request is not {event, approval, base_envelope}")
	}
	issued, err := i.Issue(r.Context(), request)
	if err != nil {
		return err
	}
	w.Header().Set("Log-Index", strconv.FormatUint(issued.Index, 10))
	w.Header().Set("Fulfillment-Key", issued.FulfillmentKey)
	write(w, http.StatusOK, "application/json", issued.Envelope)
	return nil
}

func (i *Issuer) serveRevoke(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(r)
	if err != nil {
		return err
	}
	request, err := decodeRevoke(body)
	if err != nil {
		return refuse(signer.CodeBadRequest, "the request is not {event, approval}")
	}
	revoked, err := i.Revoke(r.Context(), request)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, revoked)
	return nil
}

func (i *Issuer) serveTrust(w http.ResponseWriter, _ *http.Request) error {
	write(w, http.StatusOK, "application/json", i.config.BundleBytes)
	return nil
}

func (i *Issuer) serveStatus(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, i.Status())
	return nil
}
