package founding_test

import (
	"bytes"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/metrum-ai/licensing-portal/cmd/demo/founding"
	"github.com/metrum-ai/licensing-portal/cmd/demo/place"
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
	v, err := founding.Make(p, founding.Config{Account: "acct_demo", Now: func() time.Time { return now }, Random: rand.Reader})
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
	if len(again.Roots) != 2 || again.Roots[0] != first.Roots[0] || again.Roots[1] != first.Roots[1] || again.Bundle != first.Bundle {
		t.Errorf("loaded %+v, made %+v", again, first)
	}
	second := found(t, p) // an interrupted first start ends like this
	if _, _, err := trust.Load(second.Bundle, roots(t, second), founding.Threshold); err != nil {
		t.Errorf("made over an earlier one: %v", err)
	}
}
