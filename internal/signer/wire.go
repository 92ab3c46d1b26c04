// Package signer is the portal's side of the signer: the wire types and a client over its Unix socket. The signer itself
// is below it and is never linked into the portal.
package signer

import (
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/trust"
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
	Event        *Event           `json:"event,omitempty"`
	Approval     *approval.Signed `json:"approval,omitempty"`
	BaseEnvelope string           `json:"base_envelope,omitempty"`
}

// RevokeRequest carries what suspends, revokes or reinstates licenses: one of the two, or neither to ask for the bundle in
// force, which is signed anew once it is a week old.
type RevokeRequest struct {
	Event    *Event           `json:"event,omitempty"`
	Approval *approval.Signed `json:"approval,omitempty"`
}

// Revoked is the revocation bundle in force after a request.
type Revoked struct {
	Bundle  string             `json:"bundle"` // the file's exact text
	Epoch   int64              `json:"epoch"`
	Changes []RevocationChange `json:"changes"` // what the request changed; none where everything was said already
	Review  []string           `json:"review"`  // renewals built on what was revoked, which only staff may judge
}

// RevocationChange is what a revocation bundle says of one license from then on. Status is that of the bundle's entry, or
// StatusReinstated for an entry that is left out again.
type RevocationChange struct {
	LicenseID    string    `json:"license_id"`
	Status       string    `json:"status"`
	Reason       string    `json:"reason,omitempty"`
	EffectiveAt  time.Time `json:"effective_at"`
	SupersededBy string    `json:"superseded_by,omitempty"`
	Cause        string    `json:"cause"`     // the charge or dispute at Stripe, or the staff request
	CausedAt     time.Time `json:"caused_at"` // the event's created, or the request's own time
}

// StatusReinstated takes a license out of the revocation bundle.
const StatusReinstated = approval.StatusReinstated

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
	CodeBadRequest        Code = "bad-request"
	CodeTooLarge          Code = "too-large"
	CodeSignatureInvalid  Code = "signature-invalid"
	CodeTimestampOutside  Code = "timestamp-outside"
	CodeEventMalformed    Code = "event-malformed"
	CodeEventType         Code = "event-type"
	CodeAPIVersion        Code = "api-version"
	CodeMode              Code = "mode-mismatch"
	CodeAccount           Code = "account-mismatch"
	CodeUnpaid            Code = "unpaid"
	CodeIntentMalformed   Code = "intent-malformed"
	CodeTemplateUnknown   Code = "template-unknown"
	CodeTemplateClosed    Code = "template-closed"
	CodeChannel           Code = "channel-mismatch"
	CodeCurrency          Code = "currency-mismatch"
	CodeAmount            Code = "amount-mismatch"
	CodeQuantity          Code = "quantity-exceeded"
	CodeIntentRefused     Code = "intent-refused" // outside the template: environments, fingerprints, base rules
	CodeBaseMissing       Code = "base-missing"
	CodeBaseInvalid       Code = "base-invalid"
	CodeBaseMismatch      Code = "base-mismatch"
	CodeBaseExpired       Code = "base-expired"
	CodeCapExceeded       Code = "cap-exceeded"
	CodeConflict          Code = "fulfillment-conflict" // another intent under the same fulfillment key
	CodeNoSigningKey      Code = "no-signing-key"
	CodeApprovalMalformed Code = "approval-malformed" // the request's text, or an assertion's form
	CodeApprovalInvalid   Code = "approval-invalid"   // an assertion that proves nothing
	CodeApprovalMissing   Code = "approval-missing"   // more or other people must approve
	CodeApprovalExpired   Code = "approval-expired"   // older than 24 hours
	CodeApprovalOutside   Code = "approval-outside"   // beyond what anyone may approve
	CodeRevoked           Code = "revoked"            // the base, or what a request would reinstate
	CodeLicenseUnknown    Code = "license-unknown"    // not in the log
	CodeClock             Code = "clock"
	CodeLog               Code = "log-failed"
	CodeOverloaded        Code = "overloaded"
	CodeUnavailable       Code = "unavailable" // the client's own: no answer from the socket
	CodeInternal          Code = "internal"
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
	Landlock     string    `json:"landlock,omitempty"` // whether the kernel confines the process: "enforced, ABI 7"
	Keys         []KeyUse  `json:"keys"`
}

// KeyUse says where a key stands and what was signed with it. Keys stand in the trust bundle's order; one that signed and is
// no longer in the bundle follows, without role and times: what is live under it verifies nowhere.
type KeyUse struct {
	KeyID       string          `json:"key_id"`
	Role        string          `json:"role,omitempty"`
	Status      trust.KeyStatus `json:"status,omitempty"`
	SignFrom    time.Time       `json:"sign_from,omitzero"`
	SignUntil   time.Time       `json:"sign_until,omitzero"`
	VerifyUntil time.Time       `json:"verify_until,omitzero"`
	PrivateKey  bool            `json:"private_key"` // its private half is at hand
	SignsNow    bool            `json:"signs_now"`   // what is issued at this moment
	Signed      uint64          `json:"signed"`      // licenses or revocation bundles
	// Live is how many of them are unexpired, by UTC day: each counts through the day on which it expires.
	Live       uint64 `json:"live"`
	LastExpiry string `json:"last_expiry,omitempty"` // the latest day on which any expires: 2027-11-24
}

// Entry is one leaf of the issuance log with everything beside it, so that a lost database can be refilled from here.
type Entry struct {
	Index          uint64             `json:"index"`
	Kind           string             `json:"kind"` // "issuance" or "revocation"
	FulfillmentKey string             `json:"fulfillment_key"`
	LicenseID      string             `json:"license_id"` // of a revocation bundle, its revocation_set_id
	IntentSHA256   string             `json:"intent_sha256"`
	Issuance       string             `json:"issuance,omitempty"` // new, renewal, top_up or replacement
	BaseID         string             `json:"base_id,omitempty"`
	Payment        string             `json:"payment,omitempty"`  // the payment intent at Stripe that paid for it
	Counters       []string           `json:"counters,omitempty"` // the caps that it counts against
	Event          *Event             `json:"event,omitempty"`    // the evidence, raw
	Approval       string             `json:"approval,omitempty"` // the evidence, an approval.Signed as JSON
	BaseEnvelope   string             `json:"base_envelope,omitempty"`
	Changes        []RevocationChange `json:"changes,omitempty"` // of a revocation
	Envelope       string             `json:"envelope"`          // the license or revocation bundle file's exact text
	IssuedAt       time.Time          `json:"issued_at"`
	LoggedAt       time.Time          `json:"logged_at"`
	LeafHash       string             `json:"leaf_hash"` // base64
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
