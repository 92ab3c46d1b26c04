package founding_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/metrum-ai/licensing-portal/cmd/demo/founding"
	"github.com/metrum-ai/licensing-portal/cmd/demo/place"
	"github.com/metrum-ai/licensing-portal/internal/approval/software"
	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/trust"
	"github.com/metrum-ai/licensing-portal/license"
)

var now = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func newPlace(t *testing.T) *place.Place {
	t.Helper()
	p, err := place.Open(filepath.Join(t.TempDir(), ".demo"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Remove(founding.RootKeysDir); err != nil {
			t.Error(err)
		}
	})
	return p
}

func found(t *testing.T, p *place.Place) *founding.Vendor {
	t.Helper()
	v, err := founding.Make(p, founding.Config{
		Account: "acct_demo", Origin: "http://localhost:8080", Now: func() time.Time { return now }, Random: rand.Reader,
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func roots(t *testing.T, v *founding.Vendor) []ssh.PublicKey {
	t.Helper()
	var list []ssh.PublicKey
	for _, line := range v.Roots {
		root, err := trust.ParseRoot(line)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, root)
	}
	return list
}

func TestTheBundleIsWhatTheSignerAccepts(t *testing.T) {
	t.Parallel()
	v := found(t, newPlace(t))
	b, _, err := trust.Load(v.Bundle, roots(t, v), founding.Threshold)
	if err != nil {
		t.Fatal(err)
	}
	if !b.Demo || b.Stripe.Livemode || b.Stripe.Account != "acct_demo" {
		t.Errorf("the bundle is for %+v, demo %v", b.Stripe, b.Demo)
	}
	if want := (trust.Caps{FreePerDay: 20, FreePerCustomer: 1, PerDay: 100}); b.Caps != want {
		t.Errorf("caps %+v, want %+v", b.Caps, want)
	}
	if got, want := len(b.OnSale(now)), len(catalog.Launch()); got != want {
		t.Errorf("%d templates on sale, want %d", got, want)
	}
	for role, id := range map[string]string{trust.RoleLicense: founding.LicenseKeyID, trust.RoleRevocation: founding.RevocationKeyID} {
		if k, ok := b.SigningKey(role, now, now); !ok || k.ID != id {
			t.Errorf("%s: signing key %q, want %q", role, k.ID, id)
		}
	}
	if _, err := license.ReadKeyRing(v.KeyRing); err != nil {
		t.Error(err)
	}
}

func TestTheStaffsKeysAreTheBundlesAndForThePortalsUser(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	v := found(t, p)
	b, _, err := trust.Load(v.Bundle, roots(t, v), founding.Threshold)
	if err != nil {
		t.Fatal(err)
	}
	if b.Bounds != (trust.Bounds{ExtraMonths: 12, LimitFactor: 10}) || b.WebAuthn.RPID != "localhost" || b.WebAuthn.Origins[0] != "http://localhost:8080" {
		t.Errorf("bounds %+v, passkeys at %+v", b.Bounds, b.WebAuthn)
	}
	owner, roles := uint32(os.Geteuid()), map[trust.Role]int{}
	if p.App != nil {
		owner = p.App.UID
	}
	for _, m := range v.Staff {
		key, err := software.Read(m.KeyFile)
		if err != nil {
			t.Fatal(err)
		}
		entry, ok := b.Approver(key.CredentialID())
		if !ok || entry != key.Approver(m.Name, m.Role) {
			t.Errorf("%s: the bundle has %+v", m.Name, entry)
		}
		info, err := os.Lstat(m.KeyFile)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Sys().(*syscall.Stat_t).Uid; got != owner || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v of user %d, want 0600 of %d", m.KeyFile, info.Mode(), got, owner)
		}
		roles[m.Role]++
	}
	if len(b.Approvers) != len(v.Staff) || roles[trust.RoleIssuer] != 1 || roles[trust.RoleApprover] != 2 {
		t.Errorf("%d approvers, staff %v", len(b.Approvers), roles)
	}
}

func TestADemoFromBeforeApproversStillLoads(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	v := found(t, p)
	text, err := os.ReadFile(v.Bundle)
	if err != nil {
		t.Fatal(err)
	}
	var earlier map[string]any
	if err := json.Unmarshal(text, &earlier); err != nil {
		t.Fatal(err)
	}
	delete(earlier, "webauthn")
	delete(earlier, "bounds")
	earlier["approvers"] = []any{}
	if text, err = json.Marshal(earlier); err != nil {
		t.Fatal(err)
	}
	if _, err := p.PutTrust("trust.json", text); err != nil {
		t.Fatal(err)
	}
	again, err := founding.Load(p)
	if err != nil || len(again.Staff) != 0 || again.Origin != "" {
		t.Errorf("staff %v, %v", again, err)
	}
}

func TestOneRootHolderIsNotEnough(t *testing.T) {
	t.Parallel()
	v := found(t, newPlace(t))
	if err := os.Remove(v.Bundle + ".root-b.sig"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := trust.Load(v.Bundle, roots(t, v), founding.Threshold); err == nil {
		t.Error("a bundle with one signature was accepted")
	}
}

func TestSSHKeygenAcceptsKeysAndSignatures(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	v := found(t, p)
	allowed := filepath.Join(t.TempDir(), "allowed")
	if err := os.WriteFile(allowed, []byte("root "+v.Roots[0]+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	bundle, err := os.ReadFile(v.Bundle)
	if err != nil {
		t.Fatal(err)
	}
	verify := exec.Command("ssh-keygen", "-Y", "verify", "-f", allowed, "-I", "root", "-n", trust.Namespace, "-s", v.Bundle+".root-a.sig")
	verify.Stdin = bytes.NewReader(bundle)
	if out, err := verify.CombinedOutput(); err != nil {
		t.Errorf("ssh-keygen refuses the signature: %v: %s", err, out)
	}
	out, err := exec.Command("ssh-keygen", "-y", "-f", filepath.Join(p.Dir, founding.RootKeysDir, "root-a")).CombinedOutput()
	if err != nil || !bytes.HasPrefix(out, []byte(v.Roots[0])) {
		t.Errorf("ssh-keygen reads the private key as %q, %v; want %q", out, err, v.Roots[0])
	}
}

func TestPrivateKeysAreTheSignersAlone(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	v := found(t, p)
	owner := uint32(os.Geteuid())
	if p.Signer != nil {
		owner = p.Signer.UID
	}
	for _, path := range []string{v.LicenseKey, v.RevocationKey, v.LogKey} {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Sys().(*syscall.Stat_t).Uid; got != owner || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v of user %d, want 0600 of %d", path, info.Mode(), got, owner)
		}
	}
	left, err := filepath.Glob(filepath.Join(p.Dir, ".new-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("copies left: %v, %v", left, err)
	}
}

func TestLoadGivesWhatWasMadeAndMakeBeginsAnew(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	if _, err := founding.Load(p); err == nil {
		t.Error("something was loaded before it was made")
	}
	first := found(t, p)
	again, err := founding.Load(p)
	if err != nil {
		t.Fatal(err)
	}
	if len(again.Staff) != 3 || again.Staff[0] != first.Staff[0] || again.Origin != first.Origin {
		t.Errorf("loaded staff %v at %s", again.Staff, again.Origin)
	}
	if len(again.Roots) != 2 || again.Roots[0] != first.Roots[0] || again.Roots[1] != first.Roots[1] || again.Bundle != first.Bundle {
		t.Errorf("loaded %+v, made %+v", again, first)
	}
	second := found(t, p) // an interrupted first start ends like this
	if _, _, err := trust.Load(second.Bundle, roots(t, second), founding.Threshold); err != nil {
		t.Errorf("made over an earlier one: %v", err)
	}
}
