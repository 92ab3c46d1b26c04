package enforce

import (
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

func TestWindowsFollowOneAnother(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withState)
	r.install(r.issue("lic_1", func(p *license.Payload) {
		p.Limits = license.Limits{WindowRequests: 40, WindowTokens: 100, WindowDurationSeconds: 3600, MaxTotalRequests: 70}
	}))
	r.use(40)
	r.wantRefused(0, license.CodeWindowExceeded)
	r.at(time.Hour - time.Second)
	r.wantRefused(0, license.CodeWindowExceeded)
	r.at(time.Hour)
	late := r.begin(100)
	r.wantRefused(1, license.CodeWindowExceeded)
	if c := r.Counters(); c.WindowRequestsUsed != 1 || c.WindowTokensUsed != 100 || !c.WindowStart.Equal(start.Add(time.Hour)) {
		t.Errorf("%+v", c)
	}
	r.at(2 * time.Hour)
	ticket := r.begin(90)
	late.Settle(10) // what an earlier window gives back is not for this one
	late.End()
	if c := r.Counters(); c.WindowTokensUsed != 90 || c.TokensUsed != 40+10+90 {
		t.Errorf("%+v", c)
	}
	r.wantRefused(11, license.CodeWindowExceeded)
	ticket.End()
	r.use(10)
	r.restart(true) // the window goes on
	r.wantRefused(1, license.CodeWindowExceeded)
	r.at(2*time.Hour - 4*time.Minute) // the clock is set back within its tolerance
	r.wantRefused(1, license.CodeWindowExceeded)
	r.restart(true)
	r.wantRefused(1, license.CodeWindowExceeded)
	r.at(3 * time.Hour)
	r.use(18)
	r.wantRefused(0, license.CodeVolumeExceeded) // 70 in all
}

func TestMonthsAreThoseOfTheCalendar(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withState)
	r.install(r.issue("lic_1", func(p *license.Payload) {
		p.ExpiresAt = start.Add(100 * day)
		p.Limits = license.Limits{MaxMonthlyRequests: 25}
	}))
	r.at(31*day - time.Second)
	r.use(25)
	r.wantRefused(0, license.CodeVolumeExceeded)
	r.restart(false)
	r.wantRefused(0, license.CodeVolumeExceeded)
	r.at(31 * day) // the first second of January
	r.use(25)
	r.wantRefused(0, license.CodeVolumeExceeded)
	if c := r.Counters(); c.RequestsUsed != 50 || c.MonthRequestsUsed != 25 || !c.MonthStart.Equal(start.Add(31*day)) {
		t.Errorf("%+v", c)
	}
}

// Two files swapped back and forth go on from their own counts.
func TestSwappingLicensesBringsNoFreshBudget(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withState)
	first, second := r.metered("lic_1", 100, 0), r.metered("lic_2", 100, 0)
	for range 10 {
		r.install(first)
		r.use(6)
		r.install(second)
		r.use(7)
	}
	r.wantUsed(70, 70)
	r.install(first)
	r.wantUsed(60, 60)
	r.use(40)
	r.wantRefused(0, license.CodeVolumeExceeded)
	r.restart(true)
	r.wantRefused(0, license.CodeVolumeExceeded)
	r.install(second)
	r.wantUsed(70, 70)
}

// A license that is swapped out has nothing on hand that a crash could cost.
func TestSwappedOutLicenseGivesItsBlockBackAtOnce(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withState)
	first := r.metered("lic_1", 1_000, 1_000)
	r.install(first)
	r.use(5)
	r.install(r.metered("lic_2", 1_000, 1_000))
	r.restart(false)
	r.install(first)
	r.wantUsed(5, 5)
}

// A request that began under one license settles with it, whatever is in force by then.
func TestRequestsSettleWithTheLicenseTheyBeganUnder(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withState)
	first := r.metered("lic_1", 100, 1_000)
	r.install(first)
	saves, spends := r.begin(500), r.begin(100)
	r.install(r.metered("lic_2", 100, 1_000))
	saves.Settle(50)
	spends.Settle(200)
	saves.End()
	spends.End()
	r.wantUsed(0, 0)
	r.install(first)
	r.wantUsed(2, 250)
}
