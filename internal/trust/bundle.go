// Package trust reads the trust bundle: the versioned file, signed by a quorum of root holders, that says which templates,
// keys, caps and approvers the signer obeys. The portal shows the same bundle, so it lists exactly what the signer would
// sign.
package trust

import (
	"time"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
)

// Bundle is a parsed trust.json. It is trusted only after Verify.
type Bundle struct {
	SchemaVersion int                `json:"schema_version"` // 1
	Version       int64              `json:"version"`        // only ever grows
	IssuedAt      time.Time          `json:"issued_at"`
	Demo          bool               `json:"demo,omitempty"` // test mode only
	Stripe        Stripe             `json:"stripe"`
	Keys          []Key              `json:"keys"`
	Templates     []catalog.Template `json:"templates"`
	Approvers     []Approver         `json:"approvers"`
	WebAuthn      WebAuthn           `json:"webauthn"`
	Bounds        Bounds             `json:"bounds"`
	Caps          Caps               `json:"caps"`
	MinimumLog    uint64             `json:"minimum_log_size"` // the log must hold at least this many leaves
}

// Stripe pins the account and mode whose events authorize issuing.
type Stripe struct {
	Account  string `json:"account"`
	Livemode bool   `json:"livemode"`
}

// KeyStatus is where a key stands in its life.
type KeyStatus string

// The states of a key; the dates narrow them further.
const (
	KeyPlanned    KeyStatus = "planned"
	KeyPublished  KeyStatus = "published"
	KeySigning    KeyStatus = "signing"
	KeyVerifyOnly KeyStatus = "verify_only"
	KeyRetired    KeyStatus = "retired"
	KeyRevoked    KeyStatus = "revoked"
)

// Key is one public key of the vendor. It signs payloads whose issued_at lies in [SignFrom, SignUntil) and verifies until
// VerifyUntil.
type Key struct {
	ID              string    `json:"key_id"`
	Role            string    `json:"role"` // "license" or "revocation"
	PublicKeyBase64 string    `json:"public_key_base64"`
	SignFrom        time.Time `json:"sign_from"`
	SignUntil       time.Time `json:"sign_until"`
	VerifyUntil     time.Time `json:"verify_until"`
	Status          KeyStatus `json:"status"`
}

// Role is what an approver may do.
type Role string

// The roles: each may propose; an approver approves everything, finance only that an order is issued against its invoice.
const (
	RoleIssuer   Role = "issuer"
	RoleApprover Role = "approver"
	RoleFinance  Role = "finance"
)

// Approver is a passkey of a member of staff. A person is a name: one with a spare passkey is listed twice under it.
type Approver struct {
	Name            string `json:"name"`
	Role            Role   `json:"role"`
	CredentialID    string `json:"credential_id"`     // base64url without padding
	PublicKeyBase64 string `json:"public_key_base64"` // SPKI, ECDSA P-256 or Ed25519
	// Software marks a key in a file instead of an authenticator, so that a demo can be tried without a passkey. Only a
	// demo's bundle may list one.
	Software bool `json:"software,omitempty"`
}

// WebAuthn pins where assertions are made: the relying party and the portal's origins.
type WebAuthn struct {
	RPID    string   `json:"rp_id"`
	Origins []string `json:"origins"`
}

// Bounds are how far two approvers may go beyond a template.
type Bounds = catalog.Bounds

// Caps bound what may be issued on one UTC day of issued_at.
type Caps struct {
	FreePerDay      int `json:"free_per_day"`      // zero-priced templates, all customers together
	FreePerCustomer int `json:"free_per_customer"` // ever
	PerDay          int `json:"per_day"`           // everything else
}
