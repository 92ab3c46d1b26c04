package license

import (
	"crypto/ed25519"
	"time"
)

// Contract between packages; the implementation replaces this file.

type Code string

type Error struct {
	Code   Code
	Reason string
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Reason }

// Key is one public key of a key ring.
type Key struct {
	ID        string
	Role      string // "license", "revocation" or "" for both
	Public    ed25519.PublicKey
	NotBefore time.Time // zero: no bound
	NotAfter  time.Time // zero: no bound
}

type KeyRing struct{}

func NewKeyRing(keys ...Key) (*KeyRing, error)   { panic("contract") }
func ParseKeyRing(data []byte) (*KeyRing, error) { panic("contract") }
func (r *KeyRing) MarshalJSON() ([]byte, error)  { panic("contract") }

// License is a file whose signature verified.
type License struct{}

// Read parses an envelope strictly, verifies its signature with the key ring as of now (a key is trusted in
// [NotBefore, NotAfter]) and checks schema, product, issuer and features. It does not look at the license's own dates.
func Read(data []byte, ring *KeyRing, now time.Time) (*License, error) { panic("contract") }

// Check reports whether the license may serve at now on the instance with the given raw fingerprint ("" for none).
func (l *License) Check(now time.Time, fingerprint string) error { panic("contract") }

// Payload returns a copy of the claims.
func (l *License) Payload() Payload { panic("contract") }

// Bytes returns the file as it was read.
func (l *License) Bytes() []byte { panic("contract") }

// Canonical returns the bytes that are signed; it errors when the payload breaks a rule of the format.
func (p Payload) Canonical() ([]byte, error) { panic("contract") }

// Encode builds the envelope file (two-space indent as in vectors, trailing newline) around p and the 64-byte signature.
func Encode(p Payload, signature []byte) ([]byte, error) { panic("contract") }
