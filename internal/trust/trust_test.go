package trust

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
)

var day = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

func testKey(t testing.TB, id, role string) Key {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return Key{
		ID: id, Role: role, PublicKeyBase64: base64.StdEncoding.EncodeToString(public), Status: KeySigning,
		SignFrom: day, SignUntil: day.AddDate(1, 0, 0), VerifyUntil: day.AddDate(5, 0, 0),
	}
}

func testBundle(t testing.TB) Bundle {
	t.Helper()
	return Bundle{
		SchemaVersion: 1, Version: 3, IssuedAt: day, Demo: true, Stripe: Stripe{Account: "acct_1"},
		Keys: []Key{testKey(t, "license-1", RoleLicense), testKey(t, "revocation-1", RoleRevocation)}, Templates: catalog.Launch(),
		Approvers: []Approver{}, Caps: Caps{FreePerDay: 20, FreePerCustomer: 1, PerDay: 100},
	}
}

func encode(t testing.TB, b Bundle) []byte {
	t.Helper()
	data, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestParseReadsWhatWasWritten(t *testing.T) {
	t.Parallel()
	b, err := Parse(encode(t, testBundle(t)))
	if err != nil {
		t.Fatal(err)
	}
	if got := b.OnSale(day); len(got) != 8 || got[0].SKU != "eval-72h" {
		t.Errorf("on sale: %d", len(got))
	}
	if _, ok := b.Template("eval-72h@2"); ok {
		t.Error("found a version that is not there")
	}
	ring, err := b.KeyRing()
	if err != nil || len(ring.Keys()) != 2 {
		t.Fatalf("ring: %v", err)
	}
}

func TestParseTellsAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	b := testBundle(t)
	b.Version, b.Stripe.Livemode, b.Keys[0].Role, b.Caps.PerDay = 0, true, "root", -1
	b.Templates[1].Price.LookupKey = "other"
	_, err := Parse(encode(t, b))
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"version", "demo", "role", "cap", "pilot-30d@1"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	cases := map[string]func(*Bundle){
		"template twice":       func(b *Bundle) { b.Templates = append(b.Templates, b.Templates[0]) },
		"key ID twice":         func(b *Bundle) { b.Keys[1].ID = b.Keys[0].ID },
		"public key twice":     func(b *Bundle) { b.Keys[1].PublicKeyBase64 = b.Keys[0].PublicKeyBase64 },
		"two keys at one time": func(b *Bundle) { b.Keys[1].Role = RoleLicense },
		"short public key":     func(b *Bundle) { b.Keys[0].PublicKeyBase64 = "AAAA" },
		"unknown status":       func(b *Bundle) { b.Keys[0].Status = "live" },
		"window backwards":     func(b *Bundle) { b.Keys[0].SignUntil = b.Keys[0].SignFrom },
		"verifies too shortly": func(b *Bundle) { b.Keys[0].VerifyUntil = b.Keys[0].SignFrom },
		"no template":          func(b *Bundle) { b.Templates = nil },
		"no key":               func(b *Bundle) { b.Keys = nil },
		"another schema":       func(b *Bundle) { b.SchemaVersion = 2 },
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := testBundle(t)
			change(&b)
			if _, err := Parse(encode(t, b)); err == nil {
				t.Fatal("accepted")
			}
		})
	}
	text := string(encode(t, testBundle(t)))
	for name, changed := range map[string]string{
		"unknown name":     strings.Replace(text, `"version": 3`, `"version": 3, "extra": 1`, 1),
		"repeated name":    strings.Replace(text, `"version": 3`, `"version": 3, "version": 3`, 1),
		"case-folded name": strings.Replace(text, `"version": 3`, `"Version": 3`, 1),
		"data after it":    text + "{}",
	} {
		if _, err := Parse([]byte(changed)); err == nil || changed == text {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestOnSaleIsTheNewestOpenVersion(t *testing.T) {
	t.Parallel()
	b := testBundle(t)
	second := b.Templates[2]
	second.Version = 2
	b.Templates = append(b.Templates, second)
	b.Templates[0].ClosedAt = &day
	got := b.OnSale(day)
	if len(got) != 7 || got[1].Ref() != "credit-pack-5m@2" {
		t.Errorf("got %d, %s", len(got), got[1].Ref())
	}
	if newest, _ := b.Newest("credit-pack-5m"); newest.Version != 2 {
		t.Errorf("newest %d", newest.Version)
	}
}

func TestSigningKeyIsTheOneWhoseWindowHoldsTheTime(t *testing.T) {
	t.Parallel()
	b := testBundle(t)
	until := b.Keys[0].SignUntil
	cases := []struct {
		name        string
		issued, now time.Time
		status      KeyStatus
		want        bool
	}{
		{"inside", day.AddDate(0, 1, 0), day.AddDate(0, 1, 0), KeySigning, true},
		{"first second", day, day, KeySigning, true},
		{"before", day.Add(-time.Second), day, KeySigning, false},
		{"at the end", until, until, KeySigning, false},
		{"a late event", until.Add(-time.Second), until.Add(6 * 24 * time.Hour), KeyVerifyOnly, true},
		{"too late", until.Add(-time.Second), until.Add(7 * 24 * time.Hour), KeyVerifyOnly, false},
		{"published only", day, day, KeyPublished, false},
		{"planned", day, day, KeyPlanned, false},
		{"revoked", day, day, KeyRevoked, false},
		{"retired", day, day, KeyRetired, false},
	}
	for _, c := range cases {
		b.Keys[0].Status = c.status
		if _, ok := b.SigningKey(RoleLicense, c.issued, c.now); ok != c.want {
			t.Errorf("%s: %v", c.name, ok)
		}
	}
}

func TestKeyRingLeavesOutWithdrawnKeys(t *testing.T) {
	t.Parallel()
	for status, want := range map[KeyStatus]int{
		KeyPlanned: 1, KeyPublished: 2, KeySigning: 2, KeyVerifyOnly: 2, KeyRetired: 1, KeyRevoked: 1,
	} {
		b := testBundle(t)
		b.Keys[0].Status = status
		ring, err := b.KeyRing()
		if err != nil || len(ring.Keys()) != want {
			t.Errorf("%s: %v", status, err)
		}
	}
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func roots(t testing.TB, names ...string) []ssh.PublicKey {
	t.Helper()
	var list []ssh.PublicKey
	for _, name := range names {
		key, err := ParseRoot(string(read(t, name+".pub")))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, key)
	}
	return list
}

func TestVerifyCountsDistinctRootKeys(t *testing.T) {
	t.Parallel()
	message := read(t, "message.json")
	alice, bob, mallory := read(t, "message.alice.sig"), read(t, "message.bob.sig"), read(t, "message.mallory.sig")
	before := append([]byte("hello\n"), bob...)
	after := append(bytes.Clone(bob), "hello\n"...)
	broken := bytes.Replace(bob, []byte("BEGIN SSH"), []byte("BEGIN XSH"), 1)
	twice := append(bytes.Clone(bob), bob...)
	cases := []struct {
		name       string
		signatures [][]byte
		roots      []ssh.PublicKey
		threshold  int
		want       bool
	}{
		{"both", [][]byte{alice, bob}, roots(t, "alice", "bob"), 2, true},
		{"one of one", [][]byte{bob}, roots(t, "alice", "bob"), 1, true},
		{"one of two", [][]byte{alice}, roots(t, "alice", "bob"), 2, false},
		{"one key twice", [][]byte{alice, alice}, roots(t, "alice", "bob"), 2, false},
		{"root listed twice", [][]byte{alice, alice}, roots(t, "alice", "alice"), 2, false},
		{"a stranger", [][]byte{alice, mallory}, roots(t, "alice", "bob"), 2, false},
		{"a stranger beside both", [][]byte{alice, mallory, bob}, roots(t, "alice", "bob"), 2, true},
		{"threshold zero", nil, roots(t, "alice", "bob"), 0, false},
		{"no signature", nil, roots(t, "alice"), 1, false},
		{"text before", [][]byte{before}, roots(t, "bob"), 1, false},
		{"text after", [][]byte{after}, roots(t, "bob"), 1, false},
		{"two in one file", [][]byte{twice}, roots(t, "bob"), 1, false},
		{"other armor", [][]byte{broken}, roots(t, "bob"), 1, false},
		{"other namespace", [][]byte{read(t, "message.alice-other-namespace.sig")}, roots(t, "alice"), 1, false},
		{"other hash", [][]byte{read(t, "message.alice-sha256.sig")}, roots(t, "alice"), 1, false},
		{"RSA", [][]byte{read(t, "message.rsa.sig")}, roots(t, "alice"), 1, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			by, err := Verify(message, c.signatures, c.roots, c.threshold)
			if (err == nil) != c.want {
				t.Fatalf("got %d keys, %v", len(by), err)
			}
		})
	}
	if _, err := Verify(append(message, ' '), [][]byte{alice}, roots(t, "alice"), 1); err == nil {
		t.Error("other bytes verified")
	}
}

func newRoot(t testing.TB) (ssh.Signer, *pem.Block) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	return signer, block
}

func TestLoadReadsTheSignaturesBesideTheBundle(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "trust.json")
	raw := encode(t, testBundle(t))
	write := func(name string, data []byte) {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(path, raw)
	var keys []ssh.PublicKey
	for _, name := range []string{".a.sig", ".sig"} {
		signer, _ := newRoot(t)
		keys = append(keys, signer.PublicKey())
		if _, _, err := Load(path, keys, len(keys)); err == nil {
			t.Error("loaded without the last signature")
		}
		signature, err := Sign(signer, raw, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		write(path+name, signature)
	}
	b, got, err := Load(path, keys, 2)
	if err != nil || b.Version != 3 || !bytes.Equal(got, raw) {
		t.Fatalf("%v", err)
	}
	write(path, append(raw, '\n'))
	if _, _, err := Load(path, keys, 2); err == nil {
		t.Error("loaded other bytes")
	}
}

func TestSSHKeygenUnderstandsOurSignatureAndWeItsOwn(t *testing.T) {
	t.Parallel()
	keygen, err := exec.LookPath("ssh-keygen")
	if err != nil {
		t.Log("no ssh-keygen here: its signatures in testdata stand for it")
		return
	}
	dir := t.TempDir()
	signer, block := newRoot(t)
	message := []byte("{}\n")
	files := map[string][]byte{"key": pem.EncodeToMemory(block), "m": message}
	files["allowed"] = append([]byte("root "), ssh.MarshalAuthorizedKey(signer.PublicKey())...)
	if files["ours.sig"], err = Sign(signer, message, rand.Reader); err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	verify := exec.Command(keygen, "-Y", "verify", "-n", Namespace, "-I", "root", "-f", "allowed", "-s", "ours.sig")
	verify.Dir, verify.Stdin = dir, bytes.NewReader(message)
	if out, err := verify.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	sign := exec.Command(keygen, "-Y", "sign", "-n", Namespace, "-f", "key", "m")
	sign.Dir = dir
	if out, err := sign.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	theirs, err := os.ReadFile(filepath.Join(dir, "m.sig"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(message, [][]byte{theirs}, []ssh.PublicKey{signer.PublicKey()}, 1); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(theirs, files["ours.sig"]) {
		t.Error("the two signatures differ, although Ed25519 is deterministic")
	}
}
