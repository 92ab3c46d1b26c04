package billing

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/stripe/stripe-go/v76"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// Error is a call that failed. It holds Stripe's codes and none of its messages, which quote what was sent. It wraps
// fulfillment.ErrUnavailable where another try may work, and fulfillment.ErrNotFound where the object does not exist.
type Error struct {
	Op        string // e.g. "create checkout session"
	Status    int    // HTTP status; 0 when no answer came
	Type      string // Stripe's error type, "" when no answer came
	Code      string // Stripe's error code, often ""
	Param     string // the parameter at fault, often ""
	RequestID string // for Stripe's support
	Retryable bool

	cause error // of a call without an answer: the transport's words, or the context's end
}

// Error implements error.
func (e *Error) Error() string {
	switch {
	case e.Status == 0 && e.cause != nil:
		return fmt.Sprintf("stripe: %s: no answer: %v", e.Op, e.cause)
	case e.Status == 0:
		return fmt.Sprintf("stripe: %s: answer is not readable", e.Op)
	}
	return fmt.Sprintf("stripe: %s: status %d, type %q, code %q, parameter %q, request %s",
		e.Op, e.Status, e.Type, e.Code, e.Param, e.RequestID)
}

// Unwrap answers what the error means to fulfillment, and the transport's error.
func (e *Error) Unwrap() []error {
	var wrapped []error
	if e.Retryable {
		wrapped = append(wrapped, fulfillment.ErrUnavailable)
	}
	if e.Status == http.StatusNotFound {
		wrapped = append(wrapped, fulfillment.ErrNotFound)
	}
	if e.cause != nil {
		wrapped = append(wrapped, e.cause)
	}
	return wrapped
}

// fail turns an error of the SDK into an *Error, and logs it.
func (c *Client) fail(ctx context.Context, op string, err error) error {
	e := failure(ctx, op, err)
	c.log.WarnContext(ctx, "stripe call failed", "op", e.Op, "status", e.Status, "type", e.Type, "code", e.Code,
		"request", e.RequestID, "retryable", e.Retryable)
	return e
}

// failure turns an error of the SDK into an *Error.
func failure(ctx context.Context, op string, err error) *Error {
	e := &Error{Op: op}
	if answer, ok := errors.AsType[*stripe.Error](err); ok {
		e.Status, e.Type, e.Code = answer.HTTPStatusCode, string(answer.Type), string(answer.Code)
		e.Param, e.RequestID = answer.Param, answer.RequestID
		e.Retryable = retryable(e.Status, answer.Code)
	} else {
		e.Retryable = true
		e.cause = transportError(ctx, err)
	}
	return e
}

// retryable tells what time or staff may mend without another order. A key that is refused is the portal's trouble, not
// the order's.
func retryable(status int, code stripe.ErrorCode) bool {
	switch status {
	case http.StatusConflict, http.StatusTooManyRequests, http.StatusUnauthorized, http.StatusForbidden:
		return true
	}
	return status >= 500 || code == stripe.ErrorCodeLockTimeout || code == stripe.ErrorCodeIdempotencyKeyInUse ||
		code == stripe.ErrorCodeRateLimit
}

// transportError keeps of an error without an answer what holds no payload: the context's end, or what the transport said
// without the address asked for. Nil when an answer came and could not be read; the SDK's error would quote it.
func transportError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if urlErr, ok := errors.AsType[*url.Error](err); ok {
		return urlErr.Err
	}
	return nil
}
