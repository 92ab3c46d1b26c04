package trust

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"strings"
	"testing"
)

func spki(t testing.TB, public any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

func ecKey(t testing.TB, curve elliptic.Curve) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return spki(t, key.Public())
}

func staffedBundle(t testing.TB) Bundle {
	t.Helper()
	b := testBundle(t)
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b.Approvers = []Approver{
		{Name: "Ada", Role: RoleApprover, CredentialID: "AAEC", PublicKeyBase64: ecKey(t, elliptic.P256())},
		{Name: "Ada", Role: RoleApprover, CredentialID: "AAED", PublicKeyBase64: spki(t, public)},
		{Name: "Demo", Role: RoleIssuer, CredentialID: "AAEE", PublicKeyBase64: ecKey(t, elliptic.P256()), Software: true},
	}
	b.WebAuthn = WebAuthn{RPID: "example.com", Origins: []string{"https://example.com", "https://portal.example.com:8443"}}
	b.Bounds = Bounds{ExtraMonths: 12, LimitFactor: 10}
	return b
}

func TestApproversAreFoundByTheirPasskey(t *testing.T) {
	t.Parallel()
	b, err := Parse(encode(t, staffedBundle(t)))
	if err != nil {
		t.Fatal(err)
	}
	spare, ok := b.Approver("AAED")
	if !ok || spare.Name != "Ada" {
		t.Errorf("got %+v", spare)
	}
	if key, err := spare.Public(); err != nil {
		t.Error(err)
	} else if _, ok := key.(ed25519.PublicKey); !ok {
		t.Errorf("a key of type %T", key)
	}
	if _, ok := b.Approver("AAEF"); ok {
		t.Error("found a passkey that is not there")
	}
	local := staffedBundle(t)
	local.WebAuthn = WebAuthn{RPID: "localhost", Origins: []string{"http://localhost:8080"}}
	if _, err := Parse(encode(t, local)); err != nil {
		t.Errorf("localhost: %v", err)
	}
}

func TestParseRefusesApproversThatProveNobody(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	smallOrder := ed25519.PublicKey(append([]byte{1}, make([]byte, 31)...))
	first := func(change func(*Approver)) func(*Bundle) { return func(b *Bundle) { change(&b.Approvers[0]) } }
	key := func(text string) func(*Bundle) { return first(func(a *Approver) { a.PublicKeyBase64 = text }) }
	origin := func(text string) func(*Bundle) { return func(b *Bundle) { b.WebAuthn.Origins[0] = text } }
	cases := map[string]func(*Bundle){
		"no name":                     first(func(a *Approver) { a.Name = "" }),
		"a name of two lines":         first(func(a *Approver) { a.Name = "Ada\nBob" }),
		"a long name":                 first(func(a *Approver) { a.Name = strings.Repeat("a", 101) }),
		"no role":                     first(func(a *Approver) { a.Role = "" }),
		"an unknown role":             first(func(a *Approver) { a.Role = "root" }),
		"two roles":                   first(func(a *Approver) { a.Role = RoleFinance }),
		"a name in another case":      first(func(a *Approver) { a.Name = "ada" }),
		"no credential ID":            first(func(a *Approver) { a.CredentialID = "" }),
		"a padded credential ID":      first(func(a *Approver) { a.CredentialID = "AAE=" }),
		"a credential ID in base64":   first(func(a *Approver) { a.CredentialID = "AA+/" }),
		"loose bits of an ID":         first(func(a *Approver) { a.CredentialID = "AAF" }),
		"a newline in an ID":          first(func(a *Approver) { a.CredentialID = "AAE\nC" }),
		"a credential ID twice":       first(func(a *Approver) { a.CredentialID = "AAED" }),
		"a key twice":                 func(b *Bundle) { b.Approvers[0].PublicKeyBase64 = b.Approvers[1].PublicKeyBase64 },
		"no key":                      key(""),
		"a key that is none":          key("AAAA"),
		"a key of another curve":      key(ecKey(t, elliptic.P384())),
		"an RSA key":                  key(spki(t, rsaKey.Public())),
		"a key anyone could sign for": key(spki(t, smallOrder)),
		"a software approver":         func(b *Bundle) { b.Demo = false },
		"no relying party":            func(b *Bundle) { b.WebAuthn.RPID = "" },
		"a party in capitals":         func(b *Bundle) { b.WebAuthn.RPID = "Example.com" },
		"an address as the party":     func(b *Bundle) { b.WebAuthn.RPID = "https://example.com" },
		"no origins":                  func(b *Bundle) { b.WebAuthn.Origins = nil },
		"an origin without TLS":       origin("http://example.com"),
		"an origin of another host":   origin("https://example.org"),
		"a host that ends alike":      origin("https://notexample.com"),
		"an origin with a path":       origin("https://example.com/"),
		"an origin in capitals":       origin("https://EXAMPLE.com"),
		"an origin with a user":       origin("https://a@example.com"),
		"the scheme's own port":       origin("https://example.com:443"),
		"an empty port":               origin("https://example.com:"),
		"an app's origin":             origin("android:apk-key-hash:x"),
		"months backwards":            func(b *Bundle) { b.Bounds.ExtraMonths = -1 },
		"months for ever":             func(b *Bundle) { b.Bounds.ExtraMonths = 121 },
		"a negative factor":           func(b *Bundle) { b.Bounds.LimitFactor = -1 },
		"a factor without sense":      func(b *Bundle) { b.Bounds.LimitFactor = 101 },
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := staffedBundle(t)
			change(&b)
			if _, err := Parse(encode(t, b)); err == nil {
				t.Fatal("accepted")
			}
		})
	}
}
