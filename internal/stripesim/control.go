package stripesim

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"
)

// control is one call of the control API: in is the decoded body.
type control[T any] func(x *tx, r *http.Request, in T) (any, error)

func (s *Server) controlHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /_sim/delivery", controlCall(s, showDelivery))
	mux.Handle("POST /_sim/delivery", controlCall(s, setDelivery))
	mux.Handle("POST /_sim/chaos", controlCall(s, setChaos))
	mux.Handle("POST /_sim/release", controlCall(s, releaseHeld))
	mux.Handle("GET /_sim/events", controlCall(s, controlEvents))
	mux.Handle("GET /_sim/events/{id}", controlCall(s, controlEvent))
	mux.Handle("POST /_sim/events/{id}", controlCall(s, patchEvent))
	mux.Handle("POST /_sim/events/{id}/deliver", controlCall(s, deliverAgain))
	mux.Handle("GET /_sim/sessions", controlCall(s, controlSessions))
	mux.Handle("GET /_sim/sessions/{id}", controlCall(s, controlSession))
	mux.Handle("POST /_sim/sessions/{id}", controlCall(s, patchObject))
	mux.Handle("POST /_sim/sessions/{id}/pay", controlCall(s, controlPay))
	mux.Handle("POST /_sim/sessions/{id}/settle", controlCall(s, controlSettle))
	mux.Handle("GET /_sim/objects", controlCall(s, controlObjects))
	mux.Handle("GET /_sim/objects/{id}", controlCall(s, controlObject))
	mux.Handle("POST /_sim/objects/{id}", controlCall(s, patchObject))
	mux.Handle("POST /_sim/objects/{id}/{action}", controlCall(s, controlAct))
	mux.Handle("GET /_sim/clock", controlCall(s, showClock))
	mux.Handle("POST /_sim/clock", controlCall(s, advanceClock))
	mux.HandleFunc("/_sim/", func(w http.ResponseWriter, r *http.Request) {
		writeControl(w, nil, &apiError{status: http.StatusNotFound, code: "unknown_call",
			message: "The stand-in has no control call " + r.Method + " " + r.URL.Path + "; GET / lists them."})
	})
	return mux
}

// nothing is the body of calls that take none.
type nothing struct{}

// controlCall decodes the body strictly, runs the call in a transaction and
// writes its answer.
func controlCall[T any](s *Server, do control[T]) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in T
		if err := decodeBody(w, r, &in); err != nil {
			writeControl(w, nil, err)
			return
		}
		var out any
		err := s.update(cause{}, func(x *tx) error {
			var err error
			out, err = do(x, r, in)
			return err
		})
		if err != nil && asAPIError(err).status >= 500 {
			s.cfg.Logger.Error("control call failed", "path", r.URL.Path, "error", err)
		}
		writeControl(w, out, err)
	})
}

func decodeBody(w http.ResponseWriter, r *http.Request, in any) error {
	if r.Method != http.MethodPost {
		return nil
	}
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequestBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(in); err != nil && !errors.Is(err, io.EOF) { // no body is {}
		return invalid("bad_body", "", "The body is not the JSON object that this call takes: %v", err)
	}
	return nil
}

func writeControl(w http.ResponseWriter, out any, err error) {
	status := http.StatusOK
	if err != nil {
		e := asAPIError(err)
		status, out = e.status, object{"error": object{"code": e.code, "message": e.message}}
	}
	data, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		http.Error(w, "encode error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n')) // the caller is gone when this fails
}

// showDelivery is GET /_sim/delivery.
func showDelivery(x *tx, _ *http.Request, _ nothing) (any, error) { return x.settings().Delivery, nil }

// setDelivery is POST /_sim/delivery: it replaces all settings for events from
// now on. Held events stay held until they are released.
func setDelivery(x *tx, _ *http.Request, in deliverySettings) (any, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	s := x.settings()
	s.Delivery, s.Draws = in, 0
	x.saveSettings(s)
	return in, nil
}

type chaosIn struct {
	Seed uint64 `json:"seed"`
}

// setChaos is POST /_sim/chaos: deliveries go wrong as the seed has it, until
// POST /_sim/delivery says otherwise.
func setChaos(x *tx, r *http.Request, in chaosIn) (any, error) {
	return setDelivery(x, r, chaos(in.Seed))
}

type releaseIn struct {
	Order string `json:"order"`
	Seed  uint64 `json:"seed"`
}

// releaseHeld is POST /_sim/release.
func releaseHeld(x *tx, _ *http.Request, in releaseIn) (any, error) {
	released, err := x.release(in.Order, in.Seed)
	if err != nil {
		return nil, err
	}
	return object{"released": len(released), "deliveries": released}, nil
}

type payIn struct {
	Method   string            `json:"method"`
	Email    string            `json:"email"`
	Country  string            `json:"country"`
	Delivery *deliverySettings `json:"delivery"`
}

// controlPay is POST /_sim/sessions/{id}/pay. A declined card is answered with
// the session, which is still open, and the reason in last_error.
func controlPay(x *tx, r *http.Request, in payIn) (any, error) {
	session, err := x.session(r)
	if err != nil {
		return nil, err
	}
	if err := x.setOverride(in.Delivery); err != nil {
		return nil, err
	}
	if in.Email == "" {
		in.Email = defaultEmail
	}
	if err := x.pay(session, choice{in.Method, in.Email, in.Country}); err != nil {
		return nil, err
	}
	return x.sessionView(r.PathValue("id")), nil
}

type settleIn struct {
	Succeed  *bool             `json:"succeed"`
	Delivery *deliverySettings `json:"delivery"`
}

// controlSettle is POST /_sim/sessions/{id}/settle. Without succeed the debit
// ends as the customer chose.
func controlSettle(x *tx, r *http.Request, in settleIn) (any, error) {
	session, err := x.session(r)
	if err != nil {
		return nil, err
	}
	if err := x.setOverride(in.Delivery); err != nil {
		return nil, err
	}
	intent := x.sessionIntent(session)
	ok := intent != nil && intent.Private.flag("settle_ok")
	if in.Succeed != nil {
		ok = *in.Succeed
	}
	if err := x.settle(intent, ok); err != nil {
		return nil, err
	}
	return x.sessionView(r.PathValue("id")), nil
}

func (x *tx) setOverride(d *deliverySettings) error {
	x.override = d
	if d == nil {
		return nil
	}
	return d.check()
}

// sessionIntent is the payment intent of a session or of its invoice, or nil.
func (x *tx) sessionIntent(session *record) *record {
	if inv := x.find(kindInvoice, session.Body.str("invoice")); inv != nil {
		return x.find(kindIntent, inv.Body.str("payment_intent"))
	}
	return x.find(kindIntent, session.Body.str("payment_intent"))
}

func (x *tx) session(r *http.Request) (*record, error) {
	return x.mustFind(kindSession, "checkout.session", r.PathValue("id"), "session")
}

type clockIn struct {
	AdvanceSeconds int64 `json:"advance_seconds"`
}

const maxAdvance = 10 * 366 * 24 * 3600 // seconds

// showClock is GET /_sim/clock.
func showClock(x *tx, _ *http.Request, _ nothing) (any, error) {
	return object{"now": x.now.UTC().Format(time.RFC3339), "advanced_seconds": int64(x.settings().Advanced / time.Second)}, nil
}

// advanceClock is POST /_sim/clock. What became due has happened when it
// answers, but for webhooks, which are on their way.
func advanceClock(x *tx, r *http.Request, in clockIn) (any, error) {
	s := x.settings()
	if in.AdvanceSeconds < 1 || in.AdvanceSeconds+int64(s.Advanced/time.Second) > maxAdvance {
		return nil, invalid("out_of_range", "advance_seconds", "advance_seconds must be 1 or more, and ten years in all.")
	}
	d := time.Duration(in.AdvanceSeconds) * time.Second
	s.Advanced += d
	x.saveSettings(s)
	x.clock = x.clock.Add(d)
	x.now = x.clock
	if err := x.catchUp(); err != nil {
		return nil, err
	}
	return showClock(x, r, nothing{})
}

// kindOf finds the kind of an object by its ID, or nothing.
func (x *tx) kindOf(id string) string {
	for _, kind := range objectKinds() {
		if x.st.objects[kind].get(id) != nil {
			return kind
		}
	}
	return ""
}
