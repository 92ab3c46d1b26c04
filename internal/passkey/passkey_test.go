package passkey_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/approval/software"
	"github.com/metrum-ai/licensing-portal/internal/passkey"
	"github.com/metrum-ai/licensing-portal/internal/trust"
)

var party = trust.WebAuthn{RPID: "localhost", Origins: []string{"http://localhost:8080"}}

// authenticator makes registrations as a browser with an authenticator does. Its fields are what a test may bend.
type authenticator struct {
	rpID, origin, kind string
	flags              byte
	id, rawID          []byte
	cose               any
	format             string
	statement          map[string]any
}

func (a authenticator) register(t *testing.T, challenge [sha256.Size]byte) []byte {
	t.Helper()
	client, err := json.Marshal(map[string]any{
		"type": a.kind, "challenge": base64.RawURLEncoding.EncodeToString(challenge[:]), "origin": a.origin, "crossOrigin": false,
	})
	if err != nil {
		t.Fatal(err)
	}
	key, err := webauthncbor.Marshal(a.cose)
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256([]byte(a.rpID))
	data := slices.Concat(hash[:], []byte{a.flags, 0, 0, 0, 0}, make([]byte, 16), binary.BigEndian.AppendUint16(nil, uint16(len(a.id))), a.id, key)
	object, err := webauthncbor.Marshal(map[string]any{"fmt": a.format, "attStmt": a.statement, "authData": data})
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	response, err := json.Marshal(map[string]any{
		"id": encode(a.rawID), "rawId": encode(a.rawID), "type": "public-key",
		"response": map[string]any{"clientDataJSON": encode(client), "attestationObject": encode(object)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return response
}

const present, verified, attested = 1 << 0, 1 << 2, 1 << 6

func newAuthenticator(cose any) authenticator {
	id := []byte("a credential of sixteen bytes or more")
	return authenticator{
		rpID: "localhost", origin: "http://localhost:8080", kind: "webauthn.create", flags: present | verified | attested,
		id: id, rawID: id, cose: cose, format: "none", statement: map[string]any{},
	}
}

func es256(t *testing.T) (webauthncose.EC2PublicKeyData, crypto.PublicKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return webauthncose.EC2PublicKeyData{
		PublicKeyData: webauthncose.PublicKeyData{KeyType: 2, Algorithm: -7}, Curve: 1, XCoord: point[1:33], YCoord: point[33:],
	}, key.Public()
}

func TestARegistrationGivesTheEntryOfATrustBundle(t *testing.T) {
	t.Parallel()
	challenge := sha256.Sum256([]byte("challenge"))
	ec, ecPublic := es256(t)
	edPublic, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ed := webauthncose.OKPPublicKeyData{PublicKeyData: webauthncose.PublicKeyData{KeyType: 1, Algorithm: -8}, Curve: 6, XCoord: edPublic}
	for name, c := range map[string]struct {
		cose   any
		public crypto.PublicKey
	}{"ES256": {ec, ecPublic}, "Ed25519": {ed, edPublic}} {
		a := newAuthenticator(c.cose)
		got, err := passkey.Register(party, challenge, a.register(t, challenge))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		der, err := x509.MarshalPKIXPublicKey(c.public)
		if err != nil {
			t.Fatal(err)
		}
		want := passkey.Credential{ID: base64.RawURLEncoding.EncodeToString(a.id), PublicKeyBase64: base64.StdEncoding.EncodeToString(der)}
		if got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
		if err := (trust.Approver{Name: "Ada", Role: trust.RoleIssuer, CredentialID: got.ID, PublicKeyBase64: got.PublicKeyBase64}).Check(false); err != nil {
			t.Errorf("%s: a bundle would refuse it: %v", name, err)
		}
	}
}

func TestARegistrationOfSomethingElseIsRefused(t *testing.T) {
	t.Parallel()
	challenge := sha256.Sum256([]byte("challenge"))
	ec, _ := es256(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, bend := range map[string]func(*authenticator){
		"another relying party": func(a *authenticator) { a.rpID = "evil.example" },
		"another origin":        func(a *authenticator) { a.origin = "http://localhost:8081" },
		"an assertion":          func(a *authenticator) { a.kind = "webauthn.get" },
		"nobody present":        func(a *authenticator) { a.flags &^= present },
		"nobody verified":       func(a *authenticator) { a.flags &^= verified },
		"no credential":         func(a *authenticator) { a.flags &^= attested },
		"another credential":    func(a *authenticator) { a.rawID = []byte("another credential of some length") },
		"a statement with none": func(a *authenticator) { a.statement = map[string]any{"x": 1} },
		"an unknown format":     func(a *authenticator) { a.format = "mine" },
		"an RSA key": func(a *authenticator) {
			a.cose = webauthncose.RSAPublicKeyData{
				PublicKeyData: webauthncose.PublicKeyData{KeyType: 3, Algorithm: -257}, Modulus: key.N.Bytes(), Exponent: []byte{1, 0, 1},
			}
		},
		"a point off the curve": func(a *authenticator) {
			off := ec
			off.XCoord = bytes.Repeat([]byte{7}, 32)
			a.cose = off
		},
	} {
		a := newAuthenticator(ec)
		bend(&a)
		if c, err := passkey.Register(party, challenge, a.register(t, challenge)); !errors.Is(err, passkey.ErrRefused) {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	good := newAuthenticator(ec).register(t, challenge)
	for name, response := range map[string][]byte{
		"nothing": nil, "no object": []byte("[]"), "cut": good[:len(good)/2], "too long": append(bytes.Repeat([]byte(" "), passkey.MaxResponse), good...),
	} {
		if c, err := passkey.Register(party, challenge, response); !errors.Is(err, passkey.ErrRefused) {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	if _, err := passkey.Register(party, sha256.Sum256([]byte("another")), good); !errors.Is(err, passkey.ErrRefused) {
		t.Errorf("another challenge: %v", err)
	}
}

// TestBothOpinionsOfAnAssertionAgree alters what an assertion says, a field at a time: go-webauthn and the signer's own
// code refuse the same, but that the signer's is stricter about extensions.
func TestBothOpinionsOfAnAssertionAgree(t *testing.T) {
	t.Parallel()
	digest := approval.Digest("a request")
	key, _, err := software.Generate(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	by := key.Approver("Ada", trust.RoleApprover)
	bundle := &trust.Bundle{Demo: true, WebAuthn: party, Approvers: []trust.Approver{by}}
	for name, c := range map[string]struct {
		party  trust.WebAuthn
		digest [sha256.Size]byte
		bend   func(*approval.Assertion)
		good   bool
	}{
		"as it is":              {party: party, digest: digest, good: true},
		"another digest":        {party: party, digest: approval.Digest("another")},
		"another relying party": {party: trust.WebAuthn{RPID: "evil.example", Origins: party.Origins}, digest: digest},
		"another origin":        {party: trust.WebAuthn{RPID: "localhost", Origins: []string{"http://localhost:8081"}}, digest: digest},
		"another signature":     {party: party, digest: digest, bend: func(a *approval.Assertion) { a.Signature[len(a.Signature)-1] ^= 1 }},
		"no signature":          {party: party, digest: digest, bend: func(a *approval.Assertion) { a.Signature = nil }},
		"other flags":           {party: party, digest: digest, bend: func(a *approval.Assertion) { a.AuthenticatorData[32] ^= 1 << 3 }},
		"another counter":       {party: party, digest: digest, bend: func(a *approval.Assertion) { a.AuthenticatorData[36]++ }},
		"short data":            {party: party, digest: digest, bend: func(a *approval.Assertion) { a.AuthenticatorData = a.AuthenticatorData[:36] }},
		"client data with a space": {party: party, digest: digest, bend: func(a *approval.Assertion) {
			a.ClientDataJSON = append(a.ClientDataJSON, ' ')
		}},
		"another credential": {party: party, digest: digest, bend: func(a *approval.Assertion) { a.CredentialID = "AAAA" }},
	} {
		a, err := key.Assert(c.party, digest)
		if err != nil {
			t.Fatal(err)
		}
		if c.bend != nil {
			c.bend(&a)
		}
		first := passkey.Check(party, by, c.digest, a)
		_, second := approval.Who(bundle, a, c.digest)
		if (first == nil) != c.good || (second == nil) != c.good {
			t.Errorf("%s: go-webauthn says %v, the signer's code %v", name, first, second)
		}
		if first != nil && !errors.Is(first, passkey.ErrRefused) {
			t.Errorf("%s: %v", name, first)
		}
	}
}

func TestWhatABrowserSendsOfAnAssertionIsReadAsItIs(t *testing.T) {
	t.Parallel()
	key, _, err := software.Generate(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	want, err := key.Assert(party, approval.Digest("a request"))
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	response := `{"id":"` + want.CredentialID + `","rawId":"` + want.CredentialID + `","type":"public-key","response":{"clientDataJSON":"` +
		encode(want.ClientDataJSON) + `","authenticatorData":"` + encode(want.AuthenticatorData) + `","signature":"` + encode(want.Signature) + `","userHandle":null}}`
	got, err := passkey.Read([]byte(response))
	if err != nil {
		t.Fatal(err)
	}
	if got.CredentialID != want.CredentialID || !bytes.Equal(got.AuthenticatorData, want.AuthenticatorData) ||
		!bytes.Equal(got.ClientDataJSON, want.ClientDataJSON) || !bytes.Equal(got.Signature, want.Signature) {
		t.Errorf("read %+v", got)
	}
	for _, bad := range []string{"", "{}", response[:40], strings.Replace(response, "public-key", "password", 1), response + strings.Repeat(" ", passkey.MaxResponse)} {
		if _, err := passkey.Read([]byte(bad)); !errors.Is(err, passkey.ErrRefused) {
			t.Errorf("%.40q: %v", bad, err)
		}
	}
}
