package approval_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"slices"
	"testing"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/trust"
)

// authenticator signs whatever a test gives it, so that one thing can be wrong under a good signature.
type authenticator struct {
	key   crypto.Signer
	entry trust.Approver
}

func newAuthenticator(t testing.TB, key crypto.Signer, name string, role trust.Role) authenticator {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	return authenticator{key, trust.Approver{
		Name: name, Role: role, CredentialID: base64.RawURLEncoding.EncodeToString(sum[:16]),
		PublicKeyBase64: base64.StdEncoding.EncodeToString(der),
	}}
}

func passkey(t testing.TB, name string, role trust.Role) authenticator {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return newAuthenticator(t, key, name, role)
}

func edPasskey(t testing.TB, name string, role trust.Role) authenticator {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return newAuthenticator(t, key, name, role)
}

// sign makes an assertion of any client data and authenticator data.
func (a authenticator) sign(t testing.TB, client, data []byte) approval.Assertion {
	t.Helper()
	sum := sha256.Sum256(client)
	message, hash := slices.Concat(data, sum[:]), crypto.Hash(0)
	if _, ok := a.key.(*ecdsa.PrivateKey); ok {
		sum = sha256.Sum256(message)
		message, hash = sum[:], crypto.SHA256
	}
	signature, err := a.key.Sign(rand.Reader, message, hash)
	if err != nil {
		t.Fatal(err)
	}
	return approval.Assertion{CredentialID: a.entry.CredentialID, AuthenticatorData: data, ClientDataJSON: client, Signature: signature}
}

// over makes the assertion that a browser would bring.
func (a authenticator) over(t testing.TB, text string) approval.Assertion {
	t.Helper()
	return a.sign(t, goodClient(approval.Digest(text)), goodData(0x05))
}

const origin = "https://portal.example.com"

var relyingParty = trust.WebAuthn{RPID: "example.com", Origins: []string{"https://other.example.com", origin}}

func goodClient(digest [sha256.Size]byte) []byte {
	return fmt.Appendf(nil, `{"type":"webauthn.get","challenge":"%s","origin":"%s","crossOrigin":false}`,
		base64.RawURLEncoding.EncodeToString(digest[:]), origin)
}

func goodData(flags byte) []byte {
	party := sha256.Sum256([]byte(relyingParty.RPID))
	return append(party[:], flags, 0, 0, 0, 7)
}

func bundleOf(people ...authenticator) *trust.Bundle {
	b := &trust.Bundle{WebAuthn: relyingParty}
	for _, p := range people {
		b.Approvers = append(b.Approvers, p.entry)
	}
	return b
}
