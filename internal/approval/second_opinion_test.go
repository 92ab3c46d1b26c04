package approval_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"testing"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/trust"
)

// secondOpinion is what go-webauthn makes of an assertion by the approver.
func secondOpinion(t testing.TB, a approval.Assertion, by trust.Approver, w trust.WebAuthn, digest [sha256.Size]byte) error {
	t.Helper()
	type response struct {
		ClientDataJSON    string `json:"clientDataJSON"`
		AuthenticatorData string `json:"authenticatorData"`
		Signature         string `json:"signature"`
	}
	text := base64.RawURLEncoding.EncodeToString
	body, err := json.Marshal(struct {
		ID       string   `json:"id"`
		RawID    string   `json:"rawId"`
		Type     string   `json:"type"`
		Response response `json:"response"`
	}{by.CredentialID, by.CredentialID, "public-key", response{text(a.ClientDataJSON), text(a.AuthenticatorData), text(a.Signature)}})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(body)
	if err != nil {
		return err
	}
	return parsed.Verify(text(digest[:]), w.RPID, "", w.Origins, nil, nil, protocol.TopOriginExplicitVerificationMode,
		false, true, true, coseKey(t, by), protocol.SignaturePolicy{})
}

// coseKey is a public key in the form in which authenticators register it (RFC 9053), written by hand.
func coseKey(t testing.TB, a trust.Approver) []byte {
	t.Helper()
	public, err := a.Public()
	if err != nil {
		t.Fatal(err)
	}
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		point, err := k.Bytes() // 4, then x and y
		if err != nil {
			t.Fatal(err)
		}
		// {kty: EC2, alg: ES256, crv: P-256, x, y}
		return slices.Concat([]byte{0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20}, point[1:33], []byte{0x22, 0x58, 0x20}, point[33:])
	case ed25519.PublicKey:
		// {kty: OKP, alg: EdDSA, crv: Ed25519, x}
		return slices.Concat([]byte{0xa4, 0x01, 0x01, 0x03, 0x27, 0x20, 0x06, 0x21, 0x58, 0x20}, k)
	}
	t.Fatalf("no COSE key for %T", public)
	return nil
}
