package stripesim

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
)

// apiError is an error as Stripe's API shapes it.
type apiError struct {
	status  int
	kind    string // invalid_request_error, card_error, idempotency_error, api_error
	code    string
	message string
	param   string
	more    object // further members, such as decline_code
	// stands says that what the call changed is kept, though it is refused: a
	// card that was declined leaves a charge behind.
	stands bool
}

func (e *apiError) Error() string { return e.message }

func (e *apiError) body() object {
	inner := object{"type": e.kind, "message": e.message}
	if e.code != "" {
		inner["code"] = e.code
		inner["doc_url"] = "https://stripe.com/docs/error-codes/" + strings.ReplaceAll(e.code, "_", "-")
	}
	if e.param != "" {
		inner["param"] = e.param
	}
	maps.Copy(inner, e.more)
	return object{"error": inner}
}

// invalid is a 400 about a parameter.
func invalid(code, param, format string, args ...any) *apiError {
	return &apiError{
		status: http.StatusBadRequest, kind: "invalid_request_error",
		code: code, param: param, message: fmt.Sprintf(format, args...),
	}
}

// unsupported is what Stripe can do and the stand-in cannot.
func unsupported(param, format string, args ...any) *apiError {
	return invalid("stripesim_unsupported", param, "The Stripe stand-in does not do this: "+format, args...)
}

// missing is a 404 for an object in the address, a 400 for one in a parameter.
func missing(status int, kind, id, param string) *apiError {
	return &apiError{
		status: status, kind: "invalid_request_error", code: "resource_missing", param: param,
		message: fmt.Sprintf("No such %s: '%s'", kind, id),
	}
}

// asAPIError hides what went wrong inside; the cause is for the log.
func asAPIError(err error) *apiError {
	var e *apiError
	if errors.As(err, &e) {
		return e
	}
	return &apiError{
		status: http.StatusInternalServerError, kind: "api_error",
		message: "An error occurred inside the Stripe stand-in.",
	}
}
