package stripesim

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// keyLife is how long Stripe keeps an idempotency key.
const keyLife = 24 * time.Hour

// savedAnswer is the first answer given under an idempotency key.
type savedAnswer struct {
	Path      string    `json:"path"`
	Digest    string    `json:"digest"` // of the parameters, in any order
	RequestID string    `json:"request_id"`
	Status    int       `json:"status"`
	Body      []byte    `json:"body"`
	At        time.Time `json:"at"`
}

// notExecuted marks an error found before the call ran: its answer is not kept
// under the idempotency key.
type notExecuted struct{ err *apiError }

func (e *notExecuted) Error() string { return e.err.Error() }
func (e *notExecuted) Unwrap() error { return e.err }

// once runs do in a transaction, or answers what was answered before under the
// same idempotency key. Stripe keeps refusals too, once a call has run.
func (s *Server) once(c cause, path, digest string, do func(*tx) (*answer, error)) (*answer, error) {
	var a *answer
	var refusal *apiError
	err := s.update(c, func(x *tx) error {
		var err error
		if saved := x.savedAnswer(); saved != nil {
			a, err = saved.replay(c.idempotencyKey, path, digest)
			return err
		}
		if a, err = do(x); err == nil {
			x.saveAnswer(path, digest, a)
		}
		return err
	})
	var early *notExecuted
	if err == nil || c.idempotencyKey == "" || errors.As(err, &early) || !errors.As(err, &refusal) || refusal.kind == "idempotency_error" {
		return a, err
	}
	// What the call changed is undone; only its refusal is kept.
	if a, err = newAnswer(refusal.status, refusal.body()); err != nil {
		return nil, err
	}
	return a, s.update(c, func(x *tx) error {
		if x.savedAnswer() == nil {
			x.saveAnswer(path, digest, a)
		}
		return nil
	})
}

// savedAnswer finds the answer kept for the transaction's key, if it is young.
func (x *tx) savedAnswer() *savedAnswer {
	if x.cause.idempotencyKey == "" {
		return nil
	}
	saved := x.st.keys.get(x.cause.idempotencyKey)
	if saved == nil || x.now.Sub(saved.At) >= keyLife {
		return nil
	}
	return saved
}

func (x *tx) saveAnswer(path, digest string, a *answer) {
	if x.cause.idempotencyKey == "" {
		return
	}
	// Make room: the oldest keys come first.
	for len(x.st.keys.ids) > 0 {
		oldest := x.st.keys.ids[0]
		if x.now.Sub(x.st.keys.get(oldest).At) < keyLife {
			break
		}
		put(x, x.st.keys, oldest, nil)
	}
	put(x, x.st.keys, x.cause.idempotencyKey, &savedAnswer{
		Path: path, Digest: digest, RequestID: x.cause.requestID,
		Status: a.status, Body: a.body, At: x.now,
	})
}

func (saved *savedAnswer) replay(key, path, digest string) (*answer, error) {
	refuse := func(format string, args ...any) error {
		return &apiError{status: http.StatusBadRequest, kind: "idempotency_error", message: fmt.Sprintf(format, args...)}
	}
	if saved.Path != path {
		return nil, refuse("Keys for idempotent requests can only be used for the same endpoint they were first used for ('%s' vs '%s'). Try using a key other than '%s' if you meant to execute a different request.", path, saved.Path, key)
	}
	if saved.Digest != digest {
		return nil, refuse("Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than '%s' if you meant to execute a different request.", key)
	}
	return &answer{status: saved.Status, body: saved.Body, replayOf: saved.RequestID}, nil
}
