package stripesim

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
)

const maxRequestBody = 1 << 20

// call is one API request, checked against its route's schema.
type call struct {
	path   func(name string) string // a wildcard of the route
	params object
}

// route is one API call.
type route struct {
	method, path string
	params       schema
	do           func(*tx, *call) (object, error)
}

// routes lists every call the stand-in answers.
func (s *Server) routes() []route {
	var all []route
	for _, part := range [][]route{
		accountRoutes(), productRoutes(), priceRoutes(), taxRoutes(), customerRoutes(), methodRoutes(), sessionRoutes(), setupRoutes(),
		paymentRoutes(), refundRoutes(), disputeRoutes(), radarRoutes(), invoiceRoutes(), invoiceItemRoutes(), creditNoteRoutes(),
		quoteRoutes(), subscriptionRoutes(), portalRoutes(), eventRoutes(), endpointRoutes(),
	} {
		all = append(all, part...)
	}
	return all
}

func (s *Server) apiHandler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range s.routes() {
		params := with(r.params, schema{"expand": listOf(20, text(200))})
		mux.Handle(r.method+" "+r.path, s.serveRoute(r, params))
	}
	mux.HandleFunc("GET /v1/quotes/{id}/pdf", s.quotePDF)
	mux.HandleFunc("/v1/", func(w http.ResponseWriter, r *http.Request) {
		s.serveAPI(w, r, func(string, string) (*answer, error) {
			return nil, &apiError{
				status: http.StatusNotFound, kind: "invalid_request_error",
				message: "Unrecognized request URL (" + r.Method + ": " + r.URL.Path + "). The Stripe stand-in answers a part of Stripe's API only; see its package comment.",
			}
		})
	})
	return mux
}

// answer is what an API call answers, before it is written.
type answer struct {
	status      int
	contentType string // application/json when empty
	body        []byte
	replayOf    string // the first request's ID when this is a replay
}

func newAnswer(status int, body object) (*answer, error) {
	data, err := json.MarshalIndent(body, "", "  ")
	if err != nil {
		return nil, err
	}
	return &answer{status: status, body: append(data, '\n')}, nil
}

// serveAPI does what every API call has in common: the request's ID, the key,
// the version, and the shape of errors.
func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request, do func(requestID, idempotencyKey string) (*answer, error)) {
	requestID, err := randomID(s.cfg.Rand, "req_", 14)
	if err == nil {
		err = s.checkHeaders(r)
	}
	var a *answer
	key := r.Header.Get("Idempotency-Key")
	if err == nil {
		a, err = do(requestID, key)
	}
	if err != nil {
		e := asAPIError(err)
		if e.status >= 500 {
			s.cfg.Logger.Error("stripe stand-in failed", "path", r.URL.Path, "request_id", requestID, "error", err)
		}
		if a, err = newAnswer(e.status, e.body()); err != nil {
			http.Error(w, "encode error", http.StatusInternalServerError)
			return
		}
	}
	h := w.Header()
	h.Set("Content-Type", orElse(a.contentType, "application/json"))
	h.Set("Cache-Control", "no-cache, no-store")
	h.Set("Request-Id", requestID)
	h.Set("Stripe-Version", APIVersion)
	if key != "" && r.Method == http.MethodPost {
		h.Set("Idempotency-Key", key)
		h.Set("Original-Request", requestID)
	}
	if a.replayOf != "" {
		h.Set("Original-Request", a.replayOf)
		h.Set("Idempotent-Replayed", "true")
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // the caller is gone when this fails
}

// checkHeaders checks the key (bearer or basic), account and version.
func (s *Server) checkHeaders(r *http.Request) error {
	key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if user, password, basic := r.BasicAuth(); basic && password == "" {
		key, ok = user, true
	}
	denied := &apiError{status: http.StatusUnauthorized, kind: "invalid_request_error"}
	if !ok || key == "" {
		denied.message = "You did not provide an API key. Provide it in the Authorization header, using Bearer auth (Authorization: Bearer YOUR_SECRET_KEY) or as the user name of basic auth."
		return denied
	}
	if subtle.ConstantTimeCompare([]byte(key), []byte(s.cfg.APIKey)) != 1 {
		denied.message = "Invalid API Key provided."
		return denied
	}
	if a := r.Header.Get("Stripe-Account"); a != "" && a != s.cfg.AccountID {
		return &apiError{
			status: http.StatusForbidden, kind: "invalid_request_error", code: "account_invalid",
			message: "The provided key does not have access to account '" + a + "' (or that account does not exist).",
		}
	}
	if v := r.Header.Get("Stripe-Version"); v != "" && v != APIVersion {
		return invalid("", "", "The Stripe stand-in speaks API version %s only, not %s.", APIVersion, v)
	}
	return nil
}

// serveRoute answers one route: parameters are checked first, then the call
// runs in a transaction together with the answer kept for its idempotency key.
func (s *Server) serveRoute(r route, params schema) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		s.serveAPI(w, req, func(requestID, key string) (*answer, error) {
			raw, err := rawParams(w, req)
			if err != nil {
				return nil, err
			}
			form, apiErr := parseForm(raw)
			if apiErr != nil {
				return nil, apiErr
			}
			if req.Method != http.MethodPost {
				key = ""
			}
			if len(key) > 255 {
				return nil, invalid("", "", "Idempotency keys can be up to 255 characters long.")
			}
			digest := sha256.Sum256([]byte(form.canonical()))
			c := cause{requestID: requestID, idempotencyKey: key}
			return s.once(c, req.URL.Path, hex.EncodeToString(digest[:]), func(x *tx) (*answer, error) {
				values, apiErr := params.decode("", form)
				if apiErr != nil {
					return nil, &notExecuted{apiErr}
				}
				body, err := r.do(x, &call{path: req.PathValue, params: values})
				if e := (*apiError)(nil); errors.As(err, &e) && e.stands {
					return newAnswer(e.status, e.body())
				}
				if err != nil {
					return nil, err
				}
				if body, err = x.expand(body, values.strings("expand")); err != nil {
					return nil, err
				}
				return newAnswer(http.StatusOK, body)
			})
		})
	}
}

// rawParams is the query of a GET, the form of a POST or DELETE.
func rawParams(w http.ResponseWriter, r *http.Request) (string, error) {
	if r.Method == http.MethodGet {
		return r.URL.RawQuery, nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequestBody))
	if err != nil {
		return "", &apiError{
			status: http.StatusRequestEntityTooLarge, kind: "invalid_request_error",
			message: "Request body too large or broken off.",
		}
	}
	if t := r.Header.Get("Content-Type"); len(body) > 0 && !strings.HasPrefix(t, "application/x-www-form-urlencoded") {
		return "", invalid("", "", "Invalid content type: send application/x-www-form-urlencoded.")
	}
	if len(body) > 0 && r.URL.RawQuery != "" {
		return r.URL.RawQuery + "&" + string(body), nil
	}
	return r.URL.RawQuery + string(body), nil
}
