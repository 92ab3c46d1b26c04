package enforce

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

// waitFor waits until the license is in force, with a recheck interval far away.
func (r *router) waitFor(id string) {
	r.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); r.SafeStatus().LicenseID != id; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("%q is in force, want %q", r.SafeStatus().LicenseID, id)
		}
	}
}

func TestRenameOverThePathIsNoticed(t *testing.T) {
	t.Parallel()
	r := newRouter(t, func(c *Config) { c.RecheckInterval = time.Hour })
	r.run()
	for _, id := range []string{"lic_1", "lic_2"} {
		if err := os.WriteFile(r.path+".new", r.issue(id, nil), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(r.path+".new", r.path); err != nil {
			t.Fatal(err)
		}
		r.waitFor(id)
	}
	if err := os.Remove(r.path); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); r.Standing().Code != license.CodeMissing; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the removal goes unnoticed")
		}
	}
}

// Kubernetes mounts license.json -> ..data/license.json, ..data -> ..2026_1, and replaces ..data by a rename.
func TestKubernetesSwapIsNoticed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := newRouter(t, func(c *Config) {
		c.RecheckInterval = time.Hour
		c.Path = filepath.Join(dir, "license.json")
	})
	version := func(name, id string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "license.json"), r.issue(id, nil), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(name, filepath.Join(dir, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join("..data", "license.json"), filepath.Join(dir, "license.json")); err != nil {
		t.Fatal(err)
	}
	r.run()
	version("..2026_1", "lic_1")
	r.waitFor("lic_1")
	version("..2026_2", "lic_2")
	r.waitFor("lic_2")
}

func TestBundleIsTakenUpWithoutWaitingForTheInterval(t *testing.T) {
	t.Parallel()
	r := newRouter(t, func(c *Config) { withBundle(nil)(c); c.RecheckInterval = time.Hour })
	r.install(r.issue("lic_1", nil))
	r.revoke(1)
	r.want(license.CodeValid, "")
	bundle := r.config.Revocation.Path
	next := r.bundle(2, entry("lic_1", license.StatusRevoked, start))
	if err := os.WriteFile(bundle+".new", next, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(bundle+".new", bundle); err != nil {
		t.Fatal(err)
	}
	r.want(license.CodeValid, "") // nobody has looked
	r.watch()
	r.want(license.CodeRevoked, "")
	r.run()
	if err := os.WriteFile(bundle, r.bundle(3), 0o600); err != nil { // written over in place
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); r.Standing().Code != license.CodeValid; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the bundle goes unnoticed")
		}
	}
}

// What cannot be written is tried again every second, not at the next recheck alone.
func TestStateIsTriedAgainWithoutWaitingForTheInterval(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withState)
	r.install(r.metered("lic_1", 1_000, 1_000))
	r.use(2) // the rest of the block is on hand
	newest, other := r.copies()
	r.block(newest, other)
	r.at(time.Minute) // the clock's floor is due
	r.Recheck()
	r.Recheck() // the failure is a moment newer than the standing
	r.want(license.CodeValid, "cannot be written")
	if !r.ledger.needsCare() {
		t.Error("nobody would try again")
	}
	r.unblock(newest, other)
	r.watch()
	r.watch()
	if got := r.Standing(); got != (Standing{Code: license.CodeValid}) || r.ledger.needsCare() {
		t.Errorf("%+v", got)
	}
}

func TestIdentityTellsFilesApart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	none := identify(path)
	if !none.same(identify("")) || !none.same(identify(filepath.Join(dir, "other"))) {
		t.Error("two missing files differ")
	}
	write("a")
	first := identify(path)
	if first.same(none) || none.same(first) || !first.same(identify(path)) {
		t.Error("a file is not itself")
	}
	write("bb")
	if first.same(identify(path)) {
		t.Error("another size is not noticed")
	}
	write("c")
	if err := os.Chtimes(path, time.Time{}, first.info.ModTime().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if first.same(identify(path)) {
		t.Error("another time is not noticed")
	}
}

// Expiry is logged within a second, without a recheck.
func TestStandingThatTimeChangesIsLogged(t *testing.T) {
	t.Parallel()
	r := newRouter(t, nil)
	r.install(r.issue("lic_1", nil))
	r.at(30 * day)
	r.log.Reset()
	r.watch()
	r.watch()
	if want := "status=license-expired"; !containsOnce(r.log.String(), want) {
		t.Errorf("%s is not there once:\n%s", want, r.log)
	}
}
