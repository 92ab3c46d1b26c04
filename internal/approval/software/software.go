// Package software is an approver in a file instead of an authenticator, so that a demo can be tried without a passkey. Its
// assertions have the exact form of WebAuthn, so that the same code verifies them. A bundle may name one only where it is
// marked as a demo's.
package software

import (
	"crypto"
	"io"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/trust"
)

// Key makes assertions. Its credential ID is the SHA-256 of its public key.
type Key struct{ signer crypto.Signer }

// Generate makes a P-256 key and writes it as PKCS#8 PEM.
func Generate(random io.Reader) (key *Key, pem []byte, err error) {
	return nil, nil, approval.ErrInvalid
}

// Read reads a key file: PKCS#8 PEM, ECDSA P-256 or Ed25519.
func Read(path string) (*Key, error) { return nil, approval.ErrInvalid }

// Approver is the key's entry in a demo's trust bundle.
func (k *Key) Approver(name string, role trust.Role) (trust.Approver, error) {
	return trust.Approver{}, approval.ErrInvalid
}

// Assert makes the assertion over a request's text at the bundle's relying party and its first origin.
func (k *Key) Assert(w trust.WebAuthn, text string) (approval.Assertion, error) {
	return approval.Assertion{}, approval.ErrInvalid
}
