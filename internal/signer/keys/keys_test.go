package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/metrum-ai/licensing-portal/internal/trust"
)

func TestAGeneratedKeyLoadsAndIsNeverOverwritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key.pem")
	public, err := Generate(path, nil, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private, err := Load(path, nil)
	if err != nil || !public.Equal(private.Public()) {
		t.Fatalf("%v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := Generate(path, nil, rand.Reader); !errors.Is(err, os.ErrExist) {
		t.Errorf("overwritten: %v", err)
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	good := filepath.Join(t.TempDir(), "good.pem")
	if _, err := Generate(good, nil, rand.Reader); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]func(path string) error{
		"readable by the group": func(p string) error { return errors.Join(os.WriteFile(p, text, 0o600), os.Chmod(p, 0o640)) },
		"readable by all":       func(p string) error { return errors.Join(os.WriteFile(p, text, 0o600), os.Chmod(p, 0o604)) },
		"executable":            func(p string) error { return errors.Join(os.WriteFile(p, text, 0o600), os.Chmod(p, 0o700)) },
		"absent":                func(string) error { return nil },
		"a folder":              func(p string) error { return os.Mkdir(p, 0o700) },
		"a pipe":                func(p string) error { return syscall.Mkfifo(p, 0o600) },
		"not PEM":               func(p string) error { return os.WriteFile(p, []byte("hello"), 0o600) },
		"two keys":              func(p string) error { return os.WriteFile(p, append(text, text...), 0o600) },
		"a public key's type": func(p string) error {
			return os.WriteFile(p, []byte(strings.ReplaceAll(string(text), "PRIVATE", "PUBLIC")), 0o600)
		},
		"garbage in the right box": func(p string) error {
			return os.WriteFile(p, []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), 0o600)
		},
	}
	for name, make := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "key.pem")
			if err := make(path); err != nil {
				t.Fatal(err)
			}
			if _, err := Load(path, nil); err == nil {
				t.Error("loaded")
			}
		})
	}
}

func TestAnotherUsersKeyIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key.pem")
	if _, err := Generate(path, nil, rand.Reader); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, 12345, -1); errors.Is(err, os.ErrPermission) {
		// Only root can give a file away; whoever runs this as another user cannot read root's files either way.
		path = "/etc/passwd"
	} else if err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path, nil); err == nil || !strings.Contains(err.Error(), "owned by user") {
		t.Errorf("got %v", err)
	}
}

func TestAKeyThatOpenSSLWroteLoads(t *testing.T) {
	t.Parallel()
	const fromOpenSSL = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n" // RFC 8032, test 1
	path := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(path, []byte(fromOpenSSL), 0o400); err != nil {
		t.Fatal(err)
	}
	private, err := Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := base64.StdEncoding.EncodeToString(private.Public().(ed25519.PublicKey)); got != "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=" {
		t.Errorf("public key %s", got)
	}
	made := filepath.Join(t.TempDir(), "made.pem")
	openssl(t, "genpkey", "-algorithm", "ed25519", "-out", made)
	if _, err := Load(made, nil); err != nil {
		t.Error(err)
	}
}

func TestNewSetMatchesTheBundle(t *testing.T) {
	t.Parallel()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, other, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	bundle := func(status trust.KeyStatus) *trust.Bundle {
		return &trust.Bundle{Keys: []trust.Key{{ID: "a", PublicKeyBase64: base64.StdEncoding.EncodeToString(public), Status: status}}}
	}
	set, err := NewSet(map[string]ed25519.PrivateKey{"a": private}, bundle(trust.KeySigning))
	if err != nil {
		t.Fatal(err)
	}
	signature, err := set.Sign("a", []byte("m"))
	if err != nil || !ed25519.Verify(public, []byte("m"), signature) || !set.Has("a") {
		t.Errorf("%v", err)
	}
	if _, err := set.Sign("b", nil); !errors.Is(err, ErrNoKey) || set.Has("b") {
		t.Errorf("%v", err)
	}
	for name, c := range map[string]struct {
		private map[string]ed25519.PrivateKey
		bundle  *trust.Bundle
	}{
		"another key":  {map[string]ed25519.PrivateKey{"a": other}, bundle(trust.KeySigning)},
		"unknown ID":   {map[string]ed25519.PrivateKey{"b": private}, bundle(trust.KeySigning)},
		"revoked":      {map[string]ed25519.PrivateKey{"a": private}, bundle(trust.KeyRevoked)},
		"retired":      {map[string]ed25519.PrivateKey{"a": private}, bundle(trust.KeyRetired)},
		"empty bundle": {map[string]ed25519.PrivateKey{"a": private}, &trust.Bundle{}},
	} {
		if _, err := NewSet(c.private, c.bundle); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestAKeySignsNothingBeforeItsStatusLetsIt(t *testing.T) {
	t.Parallel()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for status, want := range map[trust.KeyStatus]error{
		trust.KeyPlanned: ErrNotActive, trust.KeyPublished: ErrNotActive, trust.KeySigning: nil, trust.KeyVerifyOnly: nil,
	} {
		set, err := NewSet(map[string]ed25519.PrivateKey{"a": private}, &trust.Bundle{Keys: []trust.Key{
			{ID: "a", PublicKeyBase64: base64.StdEncoding.EncodeToString(public), Status: status},
		}})
		if err != nil || !set.Has("a") {
			t.Fatalf("%s: not kept: %v", status, err)
		}
		if signature, err := set.Sign("a", []byte("m")); !errors.Is(err, want) || (err == nil) != (len(signature) > 0) {
			t.Errorf("%s: %v", status, err)
		}
	}
}

func TestOnlyEd25519KeysAreTaken(t *testing.T) {
	t.Parallel()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewSet(map[string]crypto.Signer{"a": other}, &trust.Bundle{Keys: []trust.Key{
		{ID: "a", PublicKeyBase64: base64.StdEncoding.EncodeToString(public), Status: trust.KeySigning},
	}}); err == nil {
		t.Error("an ECDSA key was taken into the set")
	}
	path := filepath.Join(t.TempDir(), "key.pem")
	openssl(t, "genpkey", "-algorithm", "X25519", "-out", path)
	if _, err := Load(path, nil); err == nil || !strings.Contains(err.Error(), "Ed25519") {
		t.Errorf("an X25519 key: %v", err)
	}
}
