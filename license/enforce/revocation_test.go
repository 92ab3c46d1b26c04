package enforce

import (
	"crypto/ed25519"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

// withBundle turns revocation on, the bundle beside the license; edit may insist on more.
func withBundle(edit func(*Revocation)) func(*Config) {
	return func(c *Config) {
		withState(c)
		c.Revocation = Revocation{Mode: RevocationFile, Path: filepath.Join(filepath.Dir(c.Path), "revocations.json")}
		if edit != nil {
			edit(&c.Revocation)
		}
	}
}

// revoke installs a bundle.
func (r *router) revoke(epoch int64, entries ...license.RevocationEntry) {
	r.t.Helper()
	r.writeBundle(r.bundle(epoch, entries...))
}

// bundle signs a bundle that is valid for 35 days from start.
func (r *router) bundle(epoch int64, entries ...license.RevocationEntry) []byte {
	r.t.Helper()
	p := license.RevocationPayload{SchemaVersion: 1, RevocationSetID: "public", RevocationEpoch: epoch, Product: license.Product,
		Issuer: license.Issuer, IssuedAt: start, NotBefore: start, ExpiresAt: start.Add(35 * day), KeyID: "k1", Entries: entries}
	canonical, err := p.Canonical()
	if err != nil {
		r.t.Fatal(err)
	}
	file, err := license.EncodeRevocationBundle(p, ed25519.Sign(r.signer, canonical))
	if err != nil {
		r.t.Fatal(err)
	}
	return file
}

func (r *router) writeBundle(file []byte) {
	r.t.Helper()
	path := r.config.Revocation.Path
	if err := os.WriteFile(path+".new", file, 0o600); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		r.t.Fatal(err)
	}
	r.Recheck()
}

func (r *router) removeBundle() {
	r.t.Helper()
	if err := os.Remove(r.config.Revocation.Path); err != nil {
		r.t.Fatal(err)
	}
	r.Recheck()
}

func entry(id, status string, at time.Time) license.RevocationEntry {
	return license.RevocationEntry{LicenseID: id, Status: status, Reason: "secret reason", EffectiveAt: at}
}

func TestBundleWithdrawsALicense(t *testing.T) {
	t.Parallel()
	for status, want := range map[string]license.Code{license.StatusRevoked: license.CodeRevoked,
		license.StatusSuspended: license.CodeSuspended, license.StatusSuperseded: license.CodeSuperseded} {
		r := newRouter(t, withBundle(nil))
		file := r.issue("lic_1", nil)
		r.install(file)
		r.want(license.CodeValid, "no revocation bundle")
		r.revoke(1)
		r.want(license.CodeValid, "")
		r.revoke(2, entry("lic_2", status, start), entry("lic_1", status, start))
		r.want(want, "the license was "+status)
		r.install(file)
		r.want(want, "")
		r.restart(true)
		r.want(want, "")
		r.install(r.issue("lic_3", nil)) // another license serves
		r.want(license.CodeValid, "")
		r.wantID("lic_3")
		r.install(file) // and the withdrawn one does not come back for it
		r.want(license.CodeValid, string(want))
		r.wantID("lic_3")
		r.revoke(3) // reinstated
		r.want(license.CodeValid, "")
		r.wantID("lic_1")
		if strings.Contains(r.log.String(), "secret reason") {
			t.Errorf("the log shows the entry's reason:\n%s", r.log)
		}
	}
}

func TestPendingRevocationTakesEffectAtItsSecond(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withBundle(nil))
	r.install(r.issue("lic_1", nil))
	r.revoke(1, entry("lic_1", license.StatusSuperseded, start.Add(7*day)))
	r.want(license.CodeValid, "the license is to be superseded at 2026-12-08T00:00:00Z")
	for _, c := range []struct {
		at   time.Duration
		want license.Code
	}{
		{7*day - time.Second, license.CodeValid}, {7*day - 1, license.CodeValid},
		{7 * day, license.CodeSuperseded}, {7*day + time.Second, license.CodeSuperseded},
	} {
		r.at(c.at) // no recheck in between
		r.want(c.want, "")
	}
	r.Recheck()
	r.want(license.CodeSuperseded, "")
}

func TestGraceNeverCoversWhatABundleSays(t *testing.T) {
	t.Parallel()
	r := newRouter(t, func(c *Config) { withBundle(nil)(c); c.GracePeriod = 10 * day })
	r.install(r.issue("lic_1", nil))
	r.revoke(1, entry("lic_1", license.StatusRevoked, start.Add(time.Hour)))
	r.remove()
	r.at(time.Hour - time.Second)
	r.want(license.CodeGrace, "")
	r.at(time.Hour)
	r.want(license.CodeRevoked, "")
	r.Recheck()
	r.want(license.CodeRevoked, "")
}

func TestEpochNeverGoesBack(t *testing.T) {
	t.Parallel()
	for name, between := range map[string]func(*router){
		"while running":   func(*router) {},
		"after a stop":    func(r *router) { r.restart(true) },
		"after kill -9":   func(r *router) { r.restart(false) },
		"after a removal": func(r *router) { r.removeBundle(); r.restart(false) },
	} {
		r := newRouter(t, withBundle(nil))
		r.install(r.issue("lic_1", nil))
		r.revoke(5, entry("lic_1", license.StatusRevoked, start))
		between(r)
		r.want(license.CodeRevoked, "")
		r.revoke(4) // an older bundle that does not name it
		r.want(license.CodeRevoked, "")
		if got := r.ledger.epoch(); got != 5 {
			t.Errorf("%s: epoch %d", name, got)
		}
		r.revoke(5) // the same epoch is no lower one
		r.want(license.CodeValid, "")
	}
}

func TestBundleThatIsRemovedOrBrokenLiftsNothing(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withBundle(nil))
	r.install(r.issue("lic_1", nil))
	r.revoke(1, entry("lic_1", license.StatusRevoked, start))
	r.writeBundle([]byte("garbage"))
	r.want(license.CodeRevoked, "")
	r.removeBundle()
	r.want(license.CodeRevoked, "")
	r.restart(false)
	r.want(license.CodeRevoked, "")
}

func TestInsistingOnABundle(t *testing.T) {
	t.Parallel()
	current := func(v *Revocation) { v.RequireCurrent = true }
	closed := func(v *Revocation) { v.FailClosed = true }
	both := func(v *Revocation) { v.RequireCurrent, v.FailClosed = true, true }
	good := func(r *router) { r.revoke(2) }
	expired := func(r *router) { r.revoke(2); r.at(35 * day); r.Recheck() }
	missing := func(*router) {}
	removed := func(r *router) { r.revoke(2); r.removeBundle() }
	garbage := func(r *router) { r.writeBundle([]byte("garbage")) }
	older := func(r *router) { r.revoke(2); r.revoke(1) }
	for _, c := range []struct {
		name    string
		insists func(*Revocation)
		bundle  func(*router)
		want    license.Code
	}{
		{"good, nothing insisted on", nil, good, license.CodeValid},
		{"expired, nothing insisted on", nil, expired, license.CodeValid},
		{"missing, nothing insisted on", nil, missing, license.CodeValid},
		{"garbage, nothing insisted on", nil, garbage, license.CodeValid},
		{"older, nothing insisted on", nil, older, license.CodeValid},
		{"good, current required", current, good, license.CodeValid},
		{"expired, current required", current, expired, license.CodeRevocationMissing},
		{"missing, current required", current, missing, license.CodeRevocationMissing},
		{"removed, current required", current, removed, license.CodeValid},
		{"garbage, current required", current, garbage, license.CodeRevocationMissing},
		{"older, current required", current, older, license.CodeValid},
		{"good, fail closed", closed, good, license.CodeValid},
		{"expired, fail closed", closed, expired, license.CodeValid},
		{"missing, fail closed", closed, missing, license.CodeRevocationFailed},
		{"removed, fail closed", closed, removed, license.CodeRevocationFailed},
		{"garbage, fail closed", closed, garbage, license.CodeRevocationFailed},
		{"older, fail closed", closed, older, license.CodeRevocationFailed},
		{"good, both", both, good, license.CodeValid},
		{"missing, both", both, missing, license.CodeRevocationMissing},
		{"removed, both", both, removed, license.CodeRevocationFailed},
		{"garbage, both", both, garbage, license.CodeRevocationFailed},
	} {
		r := newRouter(t, withBundle(c.insists))
		r.install(r.issue("lic_1", func(p *license.Payload) { p.ExpiresAt = start.Add(100 * day) }))
		c.bundle(r)
		if got := r.Standing(); got.Code != c.want {
			t.Errorf("%s: %+v, want %s", c.name, got, c.want)
		}
		r.want(c.want, "")
	}
}

func TestRequiredBundleExpiresAtItsSecond(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withBundle(func(v *Revocation) { v.RequireCurrent = true }))
	r.install(r.issue("lic_1", func(p *license.Payload) { p.ExpiresAt = start.Add(100 * day) }))
	r.revoke(1)
	r.at(35*day - time.Second)
	r.want(license.CodeValid, "")
	r.at(35 * day)
	r.want(license.CodeRevocationMissing, "not the current one")
	r.at(35*day + time.Second)
	r.want(license.CodeRevocationMissing, "")
}

// A bundle that was fetched ahead of its time is not the current one before its first second.
func TestRequiredBundleIsCurrentFromItsSecond(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withBundle(func(v *Revocation) { v.RequireCurrent = true }))
	r.install(r.issue("lic_1", func(p *license.Payload) {
		p.IssuedAt, p.NotBefore = start.Add(-day), start.Add(-day)
	}))
	r.revoke(1)
	r.want(license.CodeValid, "")
	r.at(-time.Second) // within the tolerance of a clock that is set back
	r.want(license.CodeRevocationMissing, "not the current one")
	r.Recheck()
	r.want(license.CodeRevocationMissing, "not the current one")
}

// What a bundle says about a license that was in force here is kept, though another one is in force when it comes.
func TestBundleIsRememberedForLicensesThatAreNotInForce(t *testing.T) {
	t.Parallel()
	for name, restart := range map[string]func(*router){
		"the meter of this process": func(*router) {},
		"the book of the file":      func(r *router) { r.restart(true) },
	} {
		r := newRouter(t, withBundle(nil))
		first, second := r.issue("lic_1", nil), r.issue("lic_2", nil)
		r.install(first)
		r.install(second)
		restart(r)
		r.revoke(1, entry("lic_1", license.StatusSuspended, start), entry("lic_3", license.StatusRevoked, start))
		r.revoke(2, entry("lic_1", license.StatusRevoked, start.Add(-day)))
		r.want(license.CodeValid, "")
		r.removeBundle()
		r.restart(false)
		r.remove()
		r.install(first)
		r.wantRefused(0, license.CodeRevoked)
		kept := r.ledger.recall("lic_1")
		if kept == nil || *kept != entry("lic_1", license.StatusRevoked, start.Add(-day)) {
			t.Errorf("%s: %+v is kept", name, kept)
		}
		r.revoke(3) // reinstated
		r.removeBundle()
		r.restart(false)
		r.want(license.CodeValid, "no revocation bundle")
		if kept := r.ledger.recall("lic_1"); kept != nil {
			t.Errorf("%s: %+v is kept of a license that was reinstated", name, kept)
		}
	}
}

func TestEntryWithoutATimeIsInEffectAtOnce(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withBundle(nil))
	r.revoke(1, entry("lic_1", license.StatusRevoked, time.Time{})) // before there is any license
	r.install(r.issue("lic_1", nil))
	if got := r.Standing(); got != (Standing{license.CodeRevoked, "the license was revoked"}) {
		t.Errorf("%+v", got)
	}
}

func TestBundleThatDidNotChangeIsNotReadAgain(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withBundle(nil))
	r.install(r.issue("lic_1", nil))
	r.revoke(1)
	before := r.revocations.bundle
	r.Recheck()
	if r.revocations.bundle != before {
		t.Error("an unchanged bundle is read again")
	}
	r.revoke(1)
	if r.revocations.bundle == before {
		t.Error("a bundle that was replaced is not read")
	}
}
