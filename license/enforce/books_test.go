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

// Each limit is one on its own.
func TestEachLimitAloneBoundsVolume(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limits license.Limits
		code   license.Code
	}{
		"requests in all":    {license.Limits{MaxTotalRequests: 3}, license.CodeVolumeExceeded},
		"requests a month":   {license.Limits{MaxMonthlyRequests: 3}, license.CodeVolumeExceeded},
		"requests a window":  {license.Limits{WindowRequests: 3, WindowDurationSeconds: 60}, license.CodeWindowExceeded},
		"tokens in all":      {license.Limits{MaxTotalTokens: 3}, license.CodeVolumeExceeded},
		"tokens of a window": {license.Limits{WindowTokens: 3, WindowDurationSeconds: 60}, license.CodeWindowExceeded},
	} {
		r := newRouter(t, withState)
		r.install(r.issue("lic_1", func(p *license.Payload) { p.Limits = c.limits }))
		r.use(3)
		if ticket, err := r.Begin(Request{Feature: license.FeatureRouting, Tokens: 1}); license.CodeOf(err) != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
			ticket.End()
		}
	}
}

// A file of the same license ID with other limits is counted on from where the first left off, within the new ones.
func TestOtherLimitsUnderTheSameIDAreToldFromTheSame(t *testing.T) {
	t.Parallel()
	same := license.Limits{MaxTotalRequests: 1, MaxTotalTokens: 2, MaxMonthlyRequests: 3, WindowRequests: 4, WindowTokens: 5,
		WindowDurationSeconds: 6}
	for name, edit := range map[string]func(*license.Limits){
		"requests":        func(l *license.Limits) { l.MaxTotalRequests++ },
		"tokens":          func(l *license.Limits) { l.MaxTotalTokens++ },
		"month":           func(l *license.Limits) { l.MaxMonthlyRequests++ },
		"window requests": func(l *license.Limits) { l.WindowRequests++ },
		"window tokens":   func(l *license.Limits) { l.WindowTokens++ },
		"window length":   func(l *license.Limits) { l.WindowDurationSeconds++ },
	} {
		other := same
		edit(&other)
		if sameLimits(&same, &other) || !sameLimits(&other, &other) {
			t.Errorf("%s: not told apart", name)
		}
	}
	r := newRouter(t, withState)
	r.install(r.metered("lic_1", 1_000, 0))
	r.use(15)
	r.install(r.metered("lic_1", 20, 0))
	r.use(5)
	r.wantRefused(0, license.CodeVolumeExceeded)
	r.wantUsed(20, 20)
}

// Without a state path a license without volume serves; a request of it that turns out to be under limits by the time
// it settles is settled in memory.
func TestRequestSettlesUnderLimitsThatCameAfterItWithoutAState(t *testing.T) {
	t.Parallel()
	r := newRouter(t, nil)
	r.install(r.issue("lic_1", nil))
	ticket := r.begin(10)
	r.install(r.metered("lic_1", 0, 1_000))
	r.want(license.CodeStateError, "no state path is configured")
	ticket.Settle(700)
	ticket.End()
	r.wantUsed(1, 700)
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
