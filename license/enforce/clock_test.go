package enforce

import (
	"os"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

func TestClockThatIsSetBackIsToleratedForFiveMinutes(t *testing.T) {
	t.Parallel()
	for name, restart := range map[string]func(*router){
		"while running":       func(*router) {},
		"after a restart":     func(r *router) { r.restart(true) },
		"after kill and save": func(r *router) { r.Recheck(); r.restart(false) },
	} {
		r := newRouter(t, withState)
		r.install(r.issue("lic_1", nil))
		r.at(day)
		r.want(license.CodeValid, "") // a request has seen this time
		restart(r)
		for _, c := range []struct {
			behind time.Duration
			want   license.Code
		}{
			{0, license.CodeValid}, {5*time.Minute - time.Second, license.CodeValid}, {5 * time.Minute, license.CodeValid},
			{5*time.Minute + time.Second, license.CodeClockRollback}, {20 * time.Hour, license.CodeClockRollback},
			{30 * day, license.CodeClockRollback},
		} {
			r.at(day - c.behind)
			if got := r.Standing().Code; got != c.want {
				t.Errorf("%s, %v behind: %s, want %s", name, c.behind, got, c.want)
			}
			r.Recheck()
			r.want(c.want, "")
		}
		r.at(day - time.Minute) // set right again
		r.want(license.CodeValid, "")
	}
}

func TestNothingCoversAClockThatIsSetBack(t *testing.T) {
	t.Parallel()
	r := newRouter(t, func(c *Config) { c.GracePeriod = 100 * day })
	r.install(r.issue("lic_1", nil))
	r.at(day)
	r.remove()
	r.want(license.CodeGrace, "")
	r.at(day - 6*time.Minute)
	r.want(license.CodeClockRollback, "2026-12-02T00:00:00Z")
	r.Recheck()
	r.want(license.CodeClockRollback, "")
	r.at(31 * day)
	r.want(license.CodeExpired, "")
	r.at(29 * day) // an expired license does not come back with the clock
	r.want(license.CodeClockRollback, "")
}

// A clock that ran ahead leaves its mark on disk. Without the state there is none.
func TestClockThatRanAheadIsOvercomeWithoutItsStateAlone(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withState)
	r.install(r.issue("lic_1", nil))
	r.at(20 * day)
	r.Recheck()
	r.at(day)
	r.want(license.CodeClockRollback, "2026-12-21T00:00:00Z")
	r.restart(true)
	r.want(license.CodeClockRollback, "2026-12-21T00:00:00Z")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	newest, other := r.copies()
	for _, path := range []string{newest, other} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	r.log.Reset()
	r.start()
	r.want(license.CodeValid, "")
	if !containsOnce(r.log.String(), "license state created") {
		t.Errorf("nobody is told:\n%s", r.log)
	}
}

// The floor on disk lags half a minute at most, also where nothing but the time changes.
func TestFloorIsSavedNowAndThen(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withState)
	r.install(r.issue("lic_1", nil))
	r.at(saveFloorEvery * time.Second)
	r.Recheck()
	r.at(0)
	r.restart(false)
	if got := r.clock.floor.Load(); got != start.Add(saveFloorEvery*time.Second).Unix() {
		t.Errorf("the floor is %v", time.Unix(got, 0).UTC())
	}
}

func TestLicenseStandsFromItsFirstSecondToItsLast(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withState)
	r.install(r.issue("lic_1", func(p *license.Payload) { p.NotBefore = start.Add(time.Hour) }))
	for _, c := range []struct {
		at   time.Duration
		want license.Code
	}{
		{time.Hour - time.Second, license.CodeNotYetValid}, {time.Hour - 1, license.CodeNotYetValid}, {time.Hour, license.CodeValid},
		{time.Hour + time.Second, license.CodeValid}, {30*day - time.Second, license.CodeValid}, {30*day - 1, license.CodeValid},
		{30 * day, license.CodeExpired}, {30*day + time.Second, license.CodeExpired},
	} {
		r.at(c.at)
		r.want(c.want, "")
	}
}

func TestRequestPathsClockIsRefreshedWhileRunning(t *testing.T) {
	t.Parallel()
	r := newRouter(t, nil)
	r.install(r.issue("lic_1", nil))
	r.run()
	r.at(30 * day)
	for deadline := time.Now().Add(10 * time.Second); r.Admit(license.FeatureRouting) == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("expiry goes unnoticed")
		}
	}
}
