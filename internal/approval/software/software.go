// Package software is an approver in a file instead of an authenticator, so that a demo can be tried without a passkey. Its
// assertions have the exact form of WebAuthn, so that the same code verifies them. A bundle may name one only where it is
// marked as a demo's, and the signer links nothing of it.
package software

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/trust"
)

const (
	pemType      = "PRIVATE KEY"
	maxFileBytes = 8 << 10
)

var errForm = errors.New("not a PKCS#8 PEM file of an ECDSA P-256 or Ed25519 private key")

// Key makes assertions. Its credential ID is the SHA-256 of its public key.
type Key struct {
	signer crypto.Signer
	public []byte // SPKI
}

// Generate makes a P-256 key, the kind that passkeys have, and the text of its file.
func Generate(random io.Reader) (key *Key, file []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), random)
	if err != nil {
		return nil, nil, fmt.Errorf("software approver: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, fmt.Errorf("software approver: %w", err)
	}
	file = pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der})
	key, err = Parse(file)
	return key, file, err
}

// Read reads a key's file: PKCS#8 PEM as OpenSSL writes it, ECDSA P-256 or Ed25519.
func Read(path string) (*Key, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("software approver: %w", err)
	}
	defer f.Close()
	file, err := io.ReadAll(io.LimitReader(f, maxFileBytes))
	if err != nil {
		return nil, fmt.Errorf("software approver: %w", err)
	}
	key, err := Parse(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

// Parse reads the text of a key's file.
func Parse(file []byte) (*Key, error) {
	block, rest := pem.Decode(file)
	if block == nil || block.Type != pemType || len(rest) > 0 {
		return nil, fmt.Errorf("software approver: %w", errForm)
	}
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	signer, ok := private.(crypto.Signer)
	if err != nil || !ok {
		return nil, fmt.Errorf("software approver: %w", errForm)
	}
	public, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		return nil, fmt.Errorf("software approver: %w", errForm)
	}
	key := &Key{signer: signer, public: public}
	if _, err := key.Approver("", "").Public(); err != nil {
		return nil, fmt.Errorf("software approver: %w", errForm)
	}
	return key, nil
}

// Approver is the key's entry in a demo's trust bundle.
func (k *Key) Approver(name string, role trust.Role) trust.Approver {
	return trust.Approver{
		Name: name, Role: role, CredentialID: k.CredentialID(), PublicKeyBase64: base64.StdEncoding.EncodeToString(k.public),
		Software: true,
	}
}

// CredentialID names the key in a trust bundle.
func (k *Key) CredentialID() string {
	sum := sha256.Sum256(k.public)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Assert makes an assertion over the digest of a request, as an authenticator and a browser would at the first of the
// bundle's origins.
func (k *Key) Assert(w trust.WebAuthn, digest [sha256.Size]byte) (approval.Assertion, error) {
	if len(w.Origins) == 0 {
		return approval.Assertion{}, errors.New("software approver: the trust bundle names no origin")
	}
	client, err := json.Marshal(struct {
		Type        string `json:"type"`
		Challenge   string `json:"challenge"`
		Origin      string `json:"origin"`
		CrossOrigin bool   `json:"crossOrigin"`
	}{"webauthn.get", base64.RawURLEncoding.EncodeToString(digest[:]), w.Origins[0], false})
	if err != nil {
		return approval.Assertion{}, fmt.Errorf("software approver: %w", err)
	}
	const userPresent, userVerified = 1 << 0, 1 << 2
	party, clientHash := sha256.Sum256([]byte(w.RPID)), sha256.Sum256(client)
	data := binary.BigEndian.AppendUint32(append(party[:], userPresent|userVerified), 0) // no counter
	signature, err := k.sign(slices.Concat(data, clientHash[:]))
	if err != nil {
		return approval.Assertion{}, fmt.Errorf("software approver: %w", err)
	}
	return approval.Assertion{
		CredentialID: k.CredentialID(), AuthenticatorData: data, ClientDataJSON: client, Signature: signature,
	}, nil
}

func (k *Key) sign(message []byte) ([]byte, error) {
	if _, ok := k.signer.Public().(ed25519.PublicKey); ok {
		return k.signer.Sign(nil, message, crypto.Hash(0))
	}
	sum := sha256.Sum256(message)
	return k.signer.Sign(rand.Reader, sum[:], crypto.SHA256)
}
