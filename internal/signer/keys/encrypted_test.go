package keys

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const phrase = "0123456789abcdef0123456789abcdef"

// openssl runs the real one: keys are brought along from it and may go back to it.
func openssl(t *testing.T, args ...string) []byte {
	t.Helper()
	program, err := exec.LookPath("openssl")
	if err != nil {
		t.Fatal("openssl is missing; install the package openssl")
	}
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("openssl %s: %v: %s", args, err, out)
	}
	return out
}

func put(t *testing.T, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestKeysThatOpenSSLEncryptedLoad(t *testing.T) {
	t.Parallel()
	secret := put(t, "passphrase", phrase+"\n", 0o600)
	plain := filepath.Join(t.TempDir(), "plain.pem")
	openssl(t, "genpkey", "-algorithm", "ed25519", "-out", plain)
	want, err := Load(plain, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"its defaults":         nil,
		"scrypt":               {"-scrypt"},
		"scrypt, dearer":       {"-scrypt", "-scrypt_N", "1024", "-scrypt_r", "16", "-scrypt_p", "2"},
		"SHA-512":              {"-v2", "aes-192-cbc", "-v2prf", "hmacWithSHA512"},
		"AES-128, many rounds": {"-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA256", "-iter", "100000"},
	} {
		path := filepath.Join(t.TempDir(), "key.pem")
		openssl(t, slices.Concat([]string{"pkcs8", "-topk8", "-in", plain, "-out", path, "-passout", "file:" + secret}, args)...)
		passphrase, err := ReadPassphrase(secret)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Load(path, passphrase)
		if err != nil || !want.Public().(ed25519.PublicKey).Equal(got.Public()) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := Load(path, []byte("another passphrase")); !errors.Is(err, errPassphrase) {
			t.Errorf("%s: opened with another passphrase", name)
		}
	}
}

func TestOpenSSLReadsWhatIsWritten(t *testing.T) {
	t.Parallel()
	secret := put(t, "passphrase", phrase+"\n", 0o600)
	path := filepath.Join(t.TempDir(), "key.pem")
	public, err := Generate(path, []byte(phrase), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || !bytes.HasPrefix(text, []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\n")) {
		t.Fatalf("%v: %s", err, text)
	}
	block, _ := pem.Decode(openssl(t, "pkey", "-in", path, "-passin", "file:"+secret, "-pubout"))
	if block == nil {
		t.Fatal("openssl prints no public key")
	}
	if read, err := x509.ParsePKIXPublicKey(block.Bytes); err != nil || !public.Equal(read.(ed25519.PublicKey)) {
		t.Errorf("openssl reads another key: %v", err)
	}
	if private, err := Load(path, []byte(phrase)); err != nil || !public.Equal(private.Public()) {
		t.Errorf("%v", err)
	}
}

func TestAKeyIsAsEncryptedAsTheConfigurationSays(t *testing.T) {
	t.Parallel()
	plain, encrypted := filepath.Join(t.TempDir(), "plain.pem"), filepath.Join(t.TempDir(), "encrypted.pem")
	_, plainErr := Generate(plain, nil, rand.Reader)
	_, err := Generate(encrypted, []byte(phrase), rand.Reader)
	if err := errors.Join(plainErr, err); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(plain, []byte(phrase)); err == nil || !strings.Contains(err.Error(), "not encrypted") {
		t.Errorf("a plain key with a passphrase: %v", err)
	}
	if _, err := Load(encrypted, nil); err == nil || !strings.Contains(err.Error(), "no passphrase") {
		t.Errorf("an encrypted key without one: %v", err)
	}
	if _, err := Load(encrypted, []byte(phrase+"x")); !errors.Is(err, errPassphrase) || strings.Contains(err.Error(), phrase) {
		t.Errorf("another passphrase: %v", err)
	}
	short := filepath.Join(t.TempDir(), "short.pem")
	if _, err := Generate(short, []byte(phrase[1:]), rand.Reader); err == nil {
		t.Error("written with a short passphrase")
	}
	if _, err := os.Stat(short); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left behind: %v", err)
	}
}

// TestEveryByteOfAnEncryptedKeyMatters alters and cuts a key file: nothing of it opens, and nothing panics.
func TestEveryByteOfAnEncryptedKeyMatters(t *testing.T) {
	t.Parallel()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	der, err := encrypt(pkcs8, []byte(phrase), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := decrypt(der, []byte(phrase)); err != nil || !bytes.Equal(got, pkcs8) {
		t.Fatalf("%v", err)
	}
	for at := range der {
		for _, flip := range []byte{0x01, 0x80} {
			altered := bytes.Clone(der)
			altered[at] ^= flip
			if got, err := decrypt(altered, []byte(phrase)); err == nil && bytes.Equal(got, pkcs8) {
				t.Errorf("byte %d does not matter", at)
			}
		}
		if _, err := decrypt(der[:at], []byte(phrase)); err == nil {
			t.Errorf("opened when cut after %d bytes", at)
		}
	}
	if _, err := decrypt(append(der, 0), []byte(phrase)); err == nil {
		t.Error("trailing data is taken")
	}
}

// TestDerivationIsBounded: what a file asks for in memory and time is refused before it is spent.
func TestDerivationIsBounded(t *testing.T) {
	t.Parallel()
	cheap := pbkdf2Params{Salt: []byte("salt"), Iterations: 1}
	cheap.PRF.Algorithm, cheap.PRF.Parameters = oidSHA256, asn1.NullRawValue
	cases := map[string]struct {
		kdf    asn1.ObjectIdentifier
		params any
	}{
		"rounds":             {oidPBKDF2, pbkdf2Params{[]byte("salt"), maxIterations + 1, 0, cheap.PRF}},
		"no rounds":          {oidPBKDF2, pbkdf2Params{[]byte("salt"), 0, 0, cheap.PRF}},
		"negative rounds":    {oidPBKDF2, pbkdf2Params{[]byte("salt"), -1, 0, cheap.PRF}},
		"another key length": {oidPBKDF2, pbkdf2Params{[]byte("salt"), 1, 16, cheap.PRF}},
		"SHA-1 by default":   {oidPBKDF2, pbkdf2Params{Salt: []byte("salt"), Iterations: 1}},
		"memory":             {oidScrypt, scryptParams{[]byte("salt"), 1 << 20, 8, 1, 0}},
		"memory by r":        {oidScrypt, scryptParams{[]byte("salt"), 1 << 14, 64, 1, 0}},
		"overflow":           {oidScrypt, scryptParams{[]byte("salt"), 1 << 62, 1, 1, 0}},
		"p":                  {oidScrypt, scryptParams{[]byte("salt"), 2, 1, 1 << 20, 0}},
		"N no power of two":  {oidScrypt, scryptParams{[]byte("salt"), 3, 1, 1, 0}},
		"N of one":           {oidScrypt, scryptParams{[]byte("salt"), 1, 1, 1, 0}},
		"r of zero":          {oidScrypt, scryptParams{[]byte("salt"), 2, 0, 1, 0}},
		"another derivation": {oidAES128, cheap},
	}
	for name, c := range cases {
		kdf, err := algorithm(c.kdf, c.params)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := derive(kdf, []byte(phrase), 32); !errors.Is(err, errEncryption) {
			t.Errorf("%s: %v", name, err)
		}
	}
	kdf, err := algorithm(oidPBKDF2, cheap)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := derive(kdf, []byte(phrase), 32); err != nil {
		t.Errorf("the cheap one: %v", err)
	}
}

func TestPassphraseFiles(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		phrase: phrase, phrase + "\n": phrase, phrase + "\r\n": phrase, " spaces stay \n": " spaces stay ",
		"": "", "\n": "", "two\nlines\n": "", "\r\n": "", "nul\x00": "", "two ends\n\n": "",
	} {
		got, err := ReadPassphrase(put(t, "passphrase", text, 0o600))
		if string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	if _, err := ReadPassphrase(put(t, "passphrase", phrase, 0o640)); err == nil || !strings.Contains(err.Error(), "lets others in") {
		t.Errorf("a passphrase that the group reads: %v", err)
	}
}

// TestCredentialsOfTheServiceManager is not parallel: it sets the environment.
func TestCredentialsOfTheServiceManager(t *testing.T) {
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	if _, err := ReadPrivate("credential:passphrase"); err == nil {
		t.Error("read without a folder of credentials")
	}
	path := put(t, "passphrase", phrase, 0o400)
	t.Setenv("CREDENTIALS_DIRECTORY", filepath.Dir(path))
	if got, err := ReadPassphrase("credential:passphrase"); err != nil || string(got) != phrase {
		t.Errorf("%q, %v", got, err)
	}
	for _, name := range []string{"", ".", "..", "../passphrase", "/etc/passwd", "absent"} {
		if _, err := ReadPrivate("credential:" + name); err == nil {
			t.Errorf("read %q", name)
		}
	}
	// systemd leaves a credential root's and lets the service's user in by an access list, which shows in the group's bits.
	root := os.Geteuid() == 0
	for mode, want := range map[os.FileMode]bool{0o400: true, 0o440: root, 0o404: false, 0o460: false, 0o640: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadPrivate("credential:passphrase"); (err == nil) != want {
			t.Errorf("mode %04o: %v", mode, err)
		}
		if _, err := ReadPrivate(path); (err == nil) != (mode == 0o400) {
			t.Errorf("mode %04o as a file: %v", mode, err)
		}
	}
}

// FuzzDecrypt: no file makes the signer panic.
func FuzzDecrypt(f *testing.F) {
	der, err := encrypt([]byte("not a key"), []byte(phrase), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Fuzz(func(_ *testing.T, der []byte) { _, _ = decrypt(der, []byte(phrase)) })
}
