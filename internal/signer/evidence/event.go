// Package evidence reads what authorizes a signature: a Stripe event in its raw bytes and the header that Stripe signed
// it with.
//
// The bytes are read once, strictly, and never re-encoded. Unknown members are allowed, since Stripe adds some all the
// time; a name that appears twice, in whatever spelling, is not.
package evidence

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/strictjson"
)

// MaxBytes bounds an event's body.
const MaxBytes = signer.MaxEventBytes

// APIVersion is the only version of Stripe's API whose events are evidence: another version's fields may mean other
// things.
const APIVersion = "2023-10-16"

// ErrMalformed is wrapped by every error about an event's text.
var ErrMalformed = errors.New("malformed event")

// Event is what the signer reads out of a Stripe event. A member that is absent, null, or an object or array where a
// plain value belongs is left zero, and Has tells.
type Event struct {
	ID         string
	Object     string // "event"
	APIVersion string
	Type       string
	Account    string // set for events of connected accounts only
	Created    time.Time
	Livemode   bool
	Session    Session // data.object, whatever it is

	seen map[string]bool
}

// Session is data.object as far as Checkout goes. Amounts are in minor units.
type Session struct {
	ID             string
	Object         string // "checkout.session"
	Mode           string
	Status         string
	PaymentStatus  string
	Currency       string // lower case, as Stripe writes it
	Created        time.Time
	Livemode       bool
	AmountSubtotal int64
	AmountTotal    int64
	AmountDiscount int64
	Metadata       map[string]string
}

// Has reports whether the event carries a member, named as in "data.object.amount_total".
func (e *Event) Has(path string) bool { return e.seen[path] }

// Parse reads an event. It requires what every event has: id, object, type, created and livemode.
func Parse(body []byte) (*Event, error) {
	if len(body) > MaxBytes {
		return nil, fmt.Errorf("%w: larger than %d bytes", ErrMalformed, MaxBytes)
	}
	e := &Event{seen: make(map[string]bool, 20), Session: Session{Metadata: map[string]string{}}}
	if err := strictjson.Walk(body, e.visit); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	for _, name := range []string{"id", "object", "type", "created", "livemode"} {
		if !e.seen[name] {
			return nil, fmt.Errorf("%w: no %s", ErrMalformed, name)
		}
	}
	if e.Object != "event" || e.ID == "" || e.Type == "" {
		return nil, fmt.Errorf("%w: not an event", ErrMalformed)
	}
	return e, nil
}

// visit takes the members that matter by their exact names. The depth of a path keeps a member called "data.object.id"
// from standing for a nested one.
func (e *Event) visit(path [][]byte, raw []byte) error {
	switch len(path) {
	case 1:
		return e.top(string(path[0]), raw)
	case 3:
		if string(path[0]) == "data" && string(path[1]) == "object" {
			return e.session(string(path[2]), raw)
		}
	case 4:
		if string(path[0]) == "data" && string(path[1]) == "object" {
			return e.nested(string(path[2]), string(path[3]), raw)
		}
	}
	return nil
}

func (e *Event) top(name string, raw []byte) error {
	switch name {
	case "id":
		return e.text(name, raw, &e.ID)
	case "object":
		return e.text(name, raw, &e.Object)
	case "api_version":
		return e.text(name, raw, &e.APIVersion)
	case "type":
		return e.text(name, raw, &e.Type)
	case "account":
		return e.text(name, raw, &e.Account)
	case "created":
		return e.time(name, raw, &e.Created)
	case "livemode":
		return e.truth(name, raw, &e.Livemode)
	}
	return nil
}

func (e *Event) session(name string, raw []byte) error {
	s, full := &e.Session, "data.object."+name
	switch name {
	case "id":
		return e.text(full, raw, &s.ID)
	case "object":
		return e.text(full, raw, &s.Object)
	case "mode":
		return e.optional(full, raw, &s.Mode)
	case "status":
		return e.optional(full, raw, &s.Status)
	case "payment_status":
		return e.optional(full, raw, &s.PaymentStatus)
	case "currency":
		return e.optional(full, raw, &s.Currency)
	}
	// Other kinds of object give these names to other kinds of value; only a session's matter, and Has tells.
	switch name {
	case "created":
		_ = e.time(full, raw, &s.Created)
	case "livemode":
		_ = e.truth(full, raw, &s.Livemode)
	case "amount_subtotal":
		_ = e.number(full, raw, &s.AmountSubtotal)
	case "amount_total":
		_ = e.number(full, raw, &s.AmountTotal)
	}
	return nil
}

func (e *Event) nested(parent, name string, raw []byte) error {
	switch {
	case parent == "total_details" && name == "amount_discount":
		_ = e.number("data.object.total_details.amount_discount", raw, &e.Session.AmountDiscount)
	case parent == "metadata":
		value, ok := strictjson.Unquote(raw)
		if !ok {
			return fmt.Errorf("%w: metadata holds more than text", ErrMalformed)
		}
		e.Session.Metadata[name] = value
	}
	return nil
}

// text takes a string; null leaves it absent.
func (e *Event) text(name string, raw []byte, to *string) error {
	if string(raw) == "null" {
		return nil
	}
	value, ok := strictjson.Unquote(raw)
	if !ok {
		return fmt.Errorf("%w: %s is not text", ErrMalformed, name)
	}
	*to, e.seen[name] = value, true
	return nil
}

// optional takes a string where there is one.
func (e *Event) optional(name string, raw []byte, to *string) error {
	if value, ok := strictjson.Unquote(raw); ok {
		*to, e.seen[name] = value, true
	}
	return nil
}

func (e *Event) truth(name string, raw []byte, to *bool) error {
	switch string(raw) {
	case "true", "false":
		*to, e.seen[name] = string(raw) == "true", true
		return nil
	}
	return fmt.Errorf("%w: %s is neither true nor false", ErrMalformed, name)
}

// number takes a plain integer: no fraction, no exponent.
func (e *Event) number(name string, raw []byte, to *int64) error {
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil || string(raw) == "-0" {
		return fmt.Errorf("%w: %s is not a plain integer", ErrMalformed, name)
	}
	*to, e.seen[name] = n, true
	return nil
}

// latest bounds times to what a license can hold: the year 9999.
const latest = 253402300799

func (e *Event) time(name string, raw []byte, to *time.Time) error {
	var unix int64
	if err := e.number(name, raw, &unix); err != nil {
		return err
	}
	if unix <= 0 || unix > latest {
		delete(e.seen, name)
		return fmt.Errorf("%w: %s is outside the calendar", ErrMalformed, name)
	}
	*to = time.Unix(unix, 0).UTC()
	return nil
}
