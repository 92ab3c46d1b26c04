// Package signer is the portal's side of the signer: the wire types and a client over its Unix socket. The signer itself
// is below it and is never linked into the portal.
package signer

import (
	"encoding/json"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// Event is a Stripe webhook as it arrived: the raw body and the Stripe-Signature header.
type Event struct {
	Body            []byte `json:"body_base64"`
	SignatureHeader string `json:"signature_header"`
}

// MaxEventBytes bounds an event's body; the signer answers CodeTooLarge to a larger one.
const MaxEventBytes = 512 << 10

// Checked says whose event a webhook is. Mode is "live" or "test"; APIVersion is the version the body was rendered in.
type Checked struct {
	Valid      bool      `json:"valid"`
	EventID    string    `json:"event_id"`
	Type       string    `json:"type"`
	Created    time.Time `json:"created"`
	Mode       string    `json:"mode"`
	APIVersion string    `json:"api_version"`
	Account    string    `json:"account,omitempty"`
	ObjectID   string    `json:"object_id,omitempty"` // data.object.id
}

// IssueRequest carries evidence and nothing else. BaseEnvelope is the base license file's exact text.
type IssueRequest struct {
	Event        *Event          `json:"event,omitempty"`
	Approval     json.RawMessage `json:"approval,omitempty"`
	BaseEnvelope string          `json:"base_envelope,omitempty"`
}

// Error is the signer's refusal: a code of the closed list below and plain words that echo nothing of the request.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
}

// Error implements error.
func (e *Error) Error() string { return "signer: " + string(e.Code) + ": " + e.Message }

// Code says why the signer refused.
type Code string

// The codes. Unavailable and Overloaded are worth another try; every other refusal stands until the evidence, the bundle
// or the signer's state changes.
const (
	CodeBadRequest          Code = "bad-request"
	CodeTooLarge            Code = "too-large"
	CodeSignatureInvalid    Code = "signature-invalid"
	CodeTimestampOutside    Code = "timestamp-outside"
	CodeEventMalformed      Code = "event-malformed"
	CodeEventType           Code = "event-type"
	CodeAPIVersion          Code = "api-version"
	CodeMode                Code = "mode-mismatch"
	CodeAccount             Code = "account-mismatch"
	CodeUnpaid              Code = "unpaid"
	CodeIntentMalformed     Code = "intent-malformed"
	CodeTemplateUnknown     Code = "template-unknown"
	CodeTemplateClosed      Code = "template-closed"
	CodeChannel             Code = "channel-mismatch"
	CodeCurrency            Code = "currency-mismatch"
	CodeAmount              Code = "amount-mismatch"
	CodeQuantity            Code = "quantity-exceeded"
	CodeIntentRefused       Code = "intent-refused" // outside the template: environments, fingerprints, base rules
	CodeBaseMissing         Code = "base-missing"
	CodeBaseInvalid         Code = "base-invalid"
	CodeBaseMismatch        Code = "base-mismatch"
	CodeBaseExpired         Code = "base-expired"
	CodeCapExceeded         Code = "cap-exceeded"
	CodeConflict            Code = "fulfillment-conflict" // another intent under the same fulfillment key
	CodeNoSigningKey        Code = "no-signing-key"
	CodeApprovalUnsupported Code = "approval-unsupported"
	CodeClock               Code = "clock"
	CodeLog                 Code = "log-failed"
	CodeOverloaded          Code = "overloaded"
	CodeUnavailable         Code = "unavailable" // the client's own: no answer from the socket
	CodeInternal            Code = "internal"
)

// Status is what GET /v1/status answers.
type Status struct {
	Ready        bool      `json:"ready"`
	TrustVersion int64     `json:"trust_version"`
	LogSize      uint64    `json:"log_size"`
	Mode         string    `json:"mode"`
	UID          int       `json:"uid"`
	SigningKeyID string    `json:"signing_key_id"`
	StartedAt    time.Time `json:"started_at"`
	Problem      string    `json:"problem,omitempty"`
}

// Entry is one leaf of the issuance log with everything beside it, so that a lost database can be refilled from here.
type Entry struct {
	Index          uint64    `json:"index"`
	Kind           string    `json:"kind"` // "issuance"; revocation bundles come later
	FulfillmentKey string    `json:"fulfillment_key"`
	LicenseID      string    `json:"license_id"`
	IntentSHA256   string    `json:"intent_sha256"`
	Event          *Event    `json:"event,omitempty"` // the evidence, raw
	BaseEnvelope   string    `json:"base_envelope,omitempty"`
	Envelope       string    `json:"envelope"` // the license file's exact text
	IssuedAt       time.Time `json:"issued_at"`
	LoggedAt       time.Time `json:"logged_at"`
	LeafHash       string    `json:"leaf_hash"` // base64
}

// Entries is a page of the log; Next is where to go on, equal to Size at the end.
type Entries struct {
	Entries []Entry `json:"entries"`
	Next    uint64  `json:"next"`
	Size    uint64  `json:"size"`
}

// InclusionProof proves that the tree of the first Size records holds the record at Index. The hashes are in base64;
// tlog.CheckRecord checks them.
type InclusionProof struct {
	Index  uint64           `json:"index"`
	Size   uint64           `json:"size"`
	Hashes tlog.RecordProof `json:"hashes"`
}

// ConsistencyProof proves that the tree of the first To records begins with the tree of the first From records. The
// hashes are in base64; tlog.CheckTree checks them.
type ConsistencyProof struct {
	From   uint64         `json:"from"`
	To     uint64         `json:"to"`
	Hashes tlog.TreeProof `json:"hashes"`
}
