package enforce

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

// newest returns the path of the copy that was written last, and of the other.
func (r *router) copies() (newest, other string) {
	s := r.ledger.store
	return s.slot(s.generation), s.slot(s.generation + 1)
}

func (r *router) readState(path string) []byte {
	r.t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		r.t.Fatal(err)
	}
	return data
}

func (r *router) writeState(path string, data []byte) {
	r.t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// Every fault of the state while the router is down, and what comes of it. Each starts from a license of 1000
// requests, of which 123 were used in blocks of 10 before the process was killed.
func TestFaultsOfTheStateBringNoFreshBudget(t *testing.T) {
	t.Parallel()
	flip := func(data []byte) []byte {
		return []byte(strings.Replace(string(data), `"requests":130`, `"requests":100`, 1))
	}
	cases := []struct {
		name    string
		fault   func(r *router)
		least   int64 // requests counted after the restart
		most    int64
		code    license.Code // the standing after it
		repairs int64
		told    string // in the log
	}{
		{name: "none", fault: func(*router) {}, least: 123, most: 130, code: license.CodeValid},
		{name: "newest copy edited", fault: func(r *router) {
			newest, _ := r.copies()
			edited := flip(r.readState(newest))
			if string(edited) == string(r.readState(newest)) {
				r.t.Fatal("nothing to edit")
			}
			r.writeState(newest, edited)
		}, least: 123, most: 140, code: license.CodeValid, repairs: 1, told: "state repaired"},
		{name: "newest copy truncated", fault: func(r *router) {
			newest, _ := r.copies()
			r.writeState(newest, r.readState(newest)[:40])
		}, least: 123, most: 140, code: license.CodeValid, repairs: 1, told: "state repaired"},
		{name: "newest copy empty", fault: func(r *router) {
			newest, _ := r.copies()
			r.writeState(newest, nil)
		}, least: 123, most: 140, code: license.CodeValid, repairs: 1, told: "state repaired"},
		{name: "newest copy removed", fault: func(r *router) {
			newest, _ := r.copies()
			_ = os.Remove(newest)
		}, least: 123, most: 140, code: license.CodeValid, repairs: 1, told: "state repaired"},
		{name: "older copy removed", fault: func(r *router) {
			_, other := r.copies()
			_ = os.Remove(other)
		}, least: 123, most: 140, code: license.CodeValid, repairs: 1, told: "state repaired"},
		{name: "newest copy replaced by the other", fault: func(r *router) {
			newest, other := r.copies()
			r.writeState(newest, r.readState(other))
		}, least: 123, most: 140, code: license.CodeValid, repairs: 1, told: "state repaired"},
		{name: "both copies edited", fault: func(r *router) {
			newest, other := r.copies()
			r.writeState(newest, flip(r.readState(newest)))
			r.writeState(other, append(r.readState(other), ' '))
		}, code: license.CodeStateError},
		{name: "both copies truncated", fault: func(r *router) {
			newest, other := r.copies()
			r.writeState(newest, nil)
			r.writeState(other, []byte("{"))
		}, code: license.CodeStateError},
		{name: "one edited, the other removed", fault: func(r *router) {
			newest, other := r.copies()
			r.writeState(newest, []byte("x"))
			_ = os.Remove(other)
		}, code: license.CodeStateError},
		{name: "a folder in place of a copy and the other removed", fault: func(r *router) {
			newest, other := r.copies()
			_ = os.Remove(newest)
			_ = os.Remove(other)
			_ = os.Mkdir(newest, 0o700)
		}, code: license.CodeStateError},
		{name: "both copies removed", fault: func(r *router) {
			newest, other := r.copies()
			_ = os.Remove(newest)
			_ = os.Remove(other)
		}, code: license.CodeValid, told: "license state created"},
		{name: "both copies removed where they must exist", fault: func(r *router) {
			newest, other := r.copies()
			_ = os.Remove(newest)
			_ = os.Remove(other)
			r.settings.State.MustExist = true
		}, code: license.CodeStateError},
		{name: "another instance's state", fault: func(r *router) { r.settings.Fingerprint = "fp:b" }, code: license.CodeStateError},
		{name: "another secret", fault: func(r *router) { r.settings.State.Secret = []byte("x") }, code: license.CodeStateError},
	}
	for _, c := range cases {
		r := newRouter(t, withState)
		r.install(r.metered("lic_1", 1_000, 0))
		r.use(123)
		store := r.ledger.store
		c.fault(r)
		r.restart(false)
		if r.ledger.store == store {
			t.Fatal("not restarted")
		}
		if got := r.Standing(); got.Code != c.code {
			t.Errorf("%s: %+v, want %s", c.name, got, c.code)
			continue
		}
		r.want(c.code, "")
		if strings.Contains(r.log.String()+r.Standing().Reason, filepath.Dir(r.path)) {
			t.Errorf("%s: a path is shown", c.name)
		}
		if c.told != "" && !strings.Contains(r.log.String(), c.told) {
			t.Errorf("%s: the log does not tell:\n%s", c.name, r.log)
		}
		if c.code != license.CodeValid {
			r.wantRefused(0, license.CodeStateError)
			continue
		}
		if got := r.Counters().RequestsUsed; got < c.least || got > c.most {
			t.Errorf("%s: %d requests counted, want %d to %d", c.name, got, c.least, c.most)
		}
		if got := r.Receipt().State; got.Repairs != c.repairs || !got.Kept || got.CreatedAt.IsZero() {
			t.Errorf("%s: %+v", c.name, got)
		}
		r.use(3)
		before := r.Counters().RequestsUsed
		r.restart(true) // the repair is whole: nothing more is charged
		if got := r.Counters().RequestsUsed; got != before {
			t.Errorf("%s: %d requests after a clean restart, want %d", c.name, got, before)
		}
	}
}

// Rolling both copies back together leaves nothing on the host that could tell. It is a row of the README's table of
// what an administrator can do; this test keeps that row true, and shows what a running router does about it.
func TestBothCopiesRolledBack(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withState)
	r.install(r.metered("lic_1", 1_000, 0))
	newest, other := r.copies()
	old := map[string][]byte{newest: r.readState(newest), other: r.readState(other)}
	rollBack := func() {
		for path, data := range old {
			r.writeState(path, data)
		}
	}
	r.use(123)
	rollBack()
	r.use(10) // a running router counts in memory, and writes over them
	r.restart(true)
	r.wantUsed(133, 133)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	rollBack()
	r.start()
	r.wantUsed(0, 0)
	if repairs := r.Receipt().State.Repairs; repairs != 0 {
		t.Errorf("%d repairs", repairs)
	}
}

func TestOneCopyRolledBackIsNoticed(t *testing.T) {
	t.Parallel()
	for name, pick := range map[string]func(newest, other string) string{
		"newest": func(newest, _ string) string { return newest },
		"other":  func(_, other string) string { return other },
	} {
		r := newRouter(t, withState)
		r.install(r.metered("lic_1", 1_000, 0))
		first, second := r.copies()
		old := map[string][]byte{first: r.readState(first), second: r.readState(second)}
		r.use(123)
		path := pick(r.copies())
		r.writeState(path, old[path])
		r.restart(false)
		r.want(license.CodeValid, "")
		if got := r.Counters().RequestsUsed; got < 123 || got > 140 {
			t.Errorf("%s copy: %d requests counted, want 123 to 140", name, got)
		}
		if !strings.Contains(r.log.String(), "older than it may be") || r.Receipt().State.Repairs != 1 {
			t.Errorf("%s copy: nobody is told:\n%s", name, r.log)
		}
	}
}

func TestRemovingTheStateWhileRunningLosesNothing(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withState)
	r.install(r.metered("lic_1", 1_000, 0))
	r.use(55)
	newest, other := r.copies()
	for _, path := range []string{newest, other} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	r.use(25)
	r.restart(true)
	if got := r.Counters().RequestsUsed; got < 80 || got > 90 {
		t.Errorf("%d requests counted, want 80 and at most a block more", got)
	}
}

// A state that can no longer be written (full disk, read-only mount) serves what is on disk already, and no more.
func TestStateThatCannotBeWrittenServesItsBlockAlone(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withState)
	r.install(r.metered("lic_1", 1_000, 0))
	r.use(12) // 8 of the second block are on hand
	newest, other := r.copies()
	r.block(newest, other)
	r.use(8)
	r.wantRefused(0, license.CodeStateError)
	r.Recheck()
	r.want(license.CodeStateError, "cannot be written")
	if trouble := r.Receipt().State.Trouble; trouble == "" {
		t.Error("the receipt does not tell")
	}
	r.unblock(newest, other)
	r.Recheck()
	r.want(license.CodeValid, "")
	r.use(5)
	r.wantUsed(25, 25)
	r.restart(true)
	r.wantUsed(25, 25)
}

// What an empty hand means depends on what the license limits: the other kind may be at its end.
func TestStateThatCannotBeWrittenStopsALicenseWithNothingOnHand(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limits license.Limits
		use    int
		tokens int64
		code   license.Code
	}{
		"requests left":           {license.Limits{MaxTotalRequests: 1_000}, 9, 0, license.CodeValid},
		"no requests left":        {license.Limits{MaxTotalRequests: 1_000}, 10, 0, license.CodeStateError},
		"tokens left":             {license.Limits{MaxTotalTokens: 10_000}, 1, 99, license.CodeValid},
		"no tokens left":          {license.Limits{MaxTotalTokens: 10_000}, 1, 100, license.CodeStateError},
		"requests, and no tokens": {license.Limits{MaxTotalRequests: 1_000, MaxTotalTokens: 10_000}, 1, 100, license.CodeStateError},
		"nothing taken yet":       {license.Limits{MaxTotalTokens: 10_000}, 0, 0, license.CodeStateError},
	} {
		r := newRouter(t, withState)
		r.install(r.issue("lic_1", func(p *license.Payload) { p.Limits = c.limits }))
		for range c.use {
			r.begin(c.tokens).End()
		}
		newest, other := r.copies()
		r.block(newest, other)
		r.at(time.Minute) // the clock's floor is due
		r.Recheck()
		r.Recheck()
		if got := r.Standing(); got.Code != c.code || !strings.Contains(got.Reason, "cannot be written") {
			t.Errorf("%s: %+v, want %s", name, got, c.code)
		}
	}
}

func TestLicenseWithoutVolumeOutlivesAStateThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withState)
	r.install(r.issue("lic_1", nil))
	newest, other := r.copies()
	r.block(newest, other)
	r.at(time.Minute)
	r.Recheck()
	r.Recheck()
	r.want(license.CodeValid, "cannot be written")
	r.use(2_000)
}

// block makes writing fail for root too, whom no permission stops: a folder stands where the temporary file goes.
func (r *router) block(paths ...string) {
	r.t.Helper()
	for _, path := range paths {
		if err := os.MkdirAll(filepath.Join(path+".tmp", "full"), 0o700); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *router) unblock(paths ...string) {
	r.t.Helper()
	for _, path := range paths {
		if err := os.RemoveAll(path + ".tmp"); err != nil {
			r.t.Fatal(err)
		}
	}
}

func TestVolumeNeedsAStatePath(t *testing.T) {
	t.Parallel()
	r := newRouter(t, nil)
	r.install(r.metered("lic_1", 1_000, 0))
	r.want(license.CodeStateError, "no state path is configured")
	r.install(r.issue("lic_2", nil))
	r.want(license.CodeValid, "")
	r.use(2_500) // counted in memory
	r.wantUsed(2_500, 2_500)
}

func TestStateThatIsMadeGoodIsTakenUp(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withState)
	r.install(r.metered("lic_1", 1_000, 0))
	r.use(40)
	newest, other := r.copies()
	kept := r.readState(newest)
	r.writeState(newest, []byte("x"))
	r.writeState(other, []byte("y"))
	r.restart(false)
	r.want(license.CodeStateError, "both copies are unusable")
	r.writeState(newest, kept)
	r.Recheck()
	r.want(license.CodeValid, "")
	if got := r.Counters().RequestsUsed; got < 40 || got > 50 {
		t.Errorf("%d requests counted", got)
	}
}
