package license

import "errors"

// Code is a status that a router reports about its license. The names are part of the format and never change.
type Code string

// Every status code of the format. HTTPStatus says which HTTP status a caller of the router gets with it.
const (
	CodeValid Code = "license-valid"
	CodeGrace Code = "license-grace"

	CodeExpired           Code = "license-expired"
	CodeFeatureForbidden  Code = "license-feature-forbidden"
	CodeLimitExceeded     Code = "license-limit-exceeded"
	CodeSkinForbidden     Code = "license-skin-forbidden"
	CodeAdminLimit        Code = "license-admin-limit-exceeded"
	CodeRetentionLimit    Code = "license-retention-limit-exceeded"
	CodeRevoked           Code = "license-revoked"
	CodeSuspended         Code = "license-suspended"
	CodeSuperseded        Code = "license-superseded"
	CodeVolumeExceeded    Code = "license-volume-exceeded"
	CodeWindowExceeded    Code = "license-window-exceeded"
	CodeConcurrency       Code = "license-concurrency-exceeded"
	CodeMissing           Code = "license-missing"
	CodeInvalid           Code = "license-invalid"
	CodeNotYetValid       Code = "license-not-yet-valid"
	CodeProductMismatch   Code = "license-product-mismatch"
	CodeInstanceLimit     Code = "license-instance-limit-exceeded"
	CodeClockRollback     Code = "license-clock-rollback"
	CodeRevocationMissing Code = "license-revocation-required"
	CodeRevocationFailed  Code = "license-revocation-check-failed"
	CodeStateError        Code = "license-state-error"
)

// The HTTP statuses of RFC 9110 and RFC 6585 that go with the codes. Importing net/http for their names would link it,
// and TLS with it, into everything that only verifies a file.
const (
	statusOK                 = 200
	statusForbidden          = 403
	statusTooManyRequests    = 429
	statusServiceUnavailable = 503
)

// HTTPStatus returns the HTTP status a caller gets with the code: 200 while the router serves, 403 for what the
// license forbids, 429 for what passes with time or volume, 503 while the router has no usable license. An unknown
// code is 503, so that nothing unknown is ever served.
func (c Code) HTTPStatus() int {
	switch c {
	case CodeValid, CodeGrace:
		return statusOK
	case CodeExpired, CodeFeatureForbidden, CodeLimitExceeded, CodeSkinForbidden, CodeAdminLimit, CodeRetentionLimit,
		CodeRevoked, CodeSuspended, CodeSuperseded:
		return statusForbidden
	case CodeVolumeExceeded, CodeWindowExceeded, CodeConcurrency:
		return statusTooManyRequests
	default:
		return statusServiceUnavailable
	}
}

// Error is a refusal: the status code to report and a reason in plain words. A reason never repeats text of the
// file other than its key ID, so it may be shown and logged.
type Error struct {
	Code   Code
	Reason string
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Reason }

// CodeOf returns the code of the *Error in err's chain, CodeValid for nil and CodeInvalid for any other error.
func CodeOf(err error) Code {
	if err == nil {
		return CodeValid
	}
	var refusal *Error
	if errors.As(err, &refusal) {
		return refusal.Code
	}
	return CodeInvalid
}

func refuse(code Code, reason string) *Error { return &Error{Code: code, Reason: reason} }

func invalid(reason string) *Error { return refuse(CodeInvalid, reason) }
