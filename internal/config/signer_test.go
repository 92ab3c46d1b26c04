package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"
)

// certificate makes a self-signed certificate, as PEM, and its key.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"portal.internal"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return block("CERTIFICATE", der), block("PRIVATE KEY", pkcs8)
}

// remote is an environment whose signer has its own host.
func remote(t *testing.T) map[string]string {
	t.Helper()
	cert, key := certificate(t)
	env := environment(t)
	delete(env, "SIGNER_SOCKET")
	env["SIGNER_URL"], env["SIGNER_CERTIFICATE_FILE"] = "https://signer.internal:8443", file(t, cert, 0o644)
	env["SIGNER_KEY_FILE"], env["SIGNER_CA_FILE"] = file(t, key, 0o640), file(t, cert, 0o644)
	return env
}

func TestASignerOnItsOwnHost(t *testing.T) {
	t.Parallel()
	c, err := load(remote(t), Signer)
	if err != nil || c.SignerSocket != "" || c.SignerTLS == nil || c.SignerTLS.URL != "https://signer.internal:8443" {
		t.Fatalf("%+v, %v", c, err)
	}
	if certificate, pool, err := c.SignerTLS.Load(); err != nil || len(certificate.Certificate) != 1 || pool == nil {
		t.Errorf("%v", err)
	}
	if c, err := load(environment(t), Signer); err != nil || c.SignerTLS != nil || c.SignerSocket == "" {
		t.Errorf("a signer on this host: %+v, %v", c, err)
	}
	_, otherKey := certificate(t)
	for name, change := range map[string]struct{ name, value, want string }{
		"both":                     {"SIGNER_SOCKET", "/run/signer/signer.sock", "beside SIGNER_SOCKET"},
		"plain HTTP":               {"SIGNER_URL", "http://signer.internal", "https://host"},
		"a path":                   {"SIGNER_URL", "https://signer.internal/v1", "https://host"},
		"no certificate":           {"SIGNER_CERTIFICATE_FILE", "", "is missing"},
		"no key":                   {"SIGNER_KEY_FILE", "", "is missing"},
		"no CA":                    {"SIGNER_CA_FILE", "", "is missing"},
		"an absent certificate":    {"SIGNER_CERTIFICATE_FILE", "/nowhere/cert", "no such file"},
		"a key that others read":   {"SIGNER_KEY_FILE", file(t, otherKey, 0o644), "chmod"},
		"the key of another":       {"SIGNER_KEY_FILE", file(t, otherKey, 0o600), "a certificate and its key"},
		"a CA that is not one":     {"SIGNER_CA_FILE", file(t, "hello", 0o644), "no certificate"},
		"a certificate that is no": {"SIGNER_CERTIFICATE_FILE", file(t, "hello", 0o644), "a certificate and its key"},
	} {
		env := remote(t)
		env[change.name] = change.value
		_, err := load(env, Signer)
		if err == nil || !strings.Contains(err.Error(), change.want) || strings.Contains(err.Error(), "PRIVATE KEY") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheKeyForTheSignerNeverPrints(t *testing.T) {
	t.Parallel()
	env := remote(t)
	c, err := load(env, Signer)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(c.SignerTLS)
	if err != nil {
		t.Fatal(err)
	}
	shown := string(encoded) + fmt.Sprintf("%v %+v %#v", *c.SignerTLS, *c.SignerTLS, *c.SignerTLS)
	if key := c.SignerTLS.Key.Reveal(); strings.Contains(shown, "PRIVATE KEY") || strings.Contains(shown, strings.Split(key, "\n")[1]) {
		t.Error("the key was printed")
	}
}
