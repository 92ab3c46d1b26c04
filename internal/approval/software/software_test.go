package software_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/approval/software"
	"github.com/metrum-ai/licensing-portal/internal/trust"
)

var party = trust.WebAuthn{RPID: "localhost", Origins: []string{"http://localhost:8080"}}

func pkcs8(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func ed25519File(t testing.TB) []byte {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return pkcs8(t, key)
}

func TestItsAssertionsAreThoseOfAPasskey(t *testing.T) {
	t.Parallel()
	_, p256, err := software.Generate(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string][]byte{"P-256": p256, "Ed25519": ed25519File(t)} {
		path := filepath.Join(t.TempDir(), "key.pem")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		key, err := software.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		digest := approval.Digest("text")
		a, err := key.Assert(party, digest)
		if err != nil {
			t.Fatal(err)
		}
		entry := key.Approver("Demo Approver", trust.RoleApprover)
		b := &trust.Bundle{WebAuthn: party, Approvers: []trust.Approver{entry}}
		if who, err := approval.Who(b, a, digest); err != nil || who != entry || !who.Software {
			t.Errorf("%s: %+v, %v", name, who, err)
		}
		if _, err := approval.Who(b, a, approval.Digest("another")); err == nil {
			t.Errorf("%s: it stands for another text", name)
		}
	}
}

func TestOnlyAKeyOfAPasskeysKindIsRead(t *testing.T) {
	t.Parallel()
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := ed25519File(t)
	block, _ := pem.Decode(good)
	for name, file := range map[string][]byte{
		"another curve":     pkcs8(t, p384),
		"nothing":           nil,
		"text":              []byte("secret"),
		"two keys":          append(bytes.Clone(good), good...),
		"another PEM block": pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: block.Bytes}),
		"a cut key":         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: block.Bytes[:20]}),
	} {
		if key, err := software.Parse(file); err == nil || key != nil {
			t.Errorf("%s: read", name)
		}
	}
	if _, err := software.Read(filepath.Join(t.TempDir(), "none.pem")); err == nil {
		t.Error("a file that is not there was read")
	}
	key, err := software.Parse(good)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := key.Assert(trust.WebAuthn{RPID: "localhost"}, approval.Digest("text")); err == nil {
		t.Error("asserted without an origin")
	}
}
