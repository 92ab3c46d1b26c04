package enforce

import (
	"os"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

// Whatever was written last, the loss of either copy forgets nothing that was used: not the first block of a license,
// of a window or of a month, nor a reservation that is larger than a block, nor what a bundle said.
func TestLossOfOneCopyForgetsNothing(t *testing.T) {
	t.Parallel()
	limited := func(limits license.Limits) func(*router) {
		return func(r *router) {
			r.install(r.issue("lic_1", func(p *license.Payload) { p.Limits, p.ExpiresAt = limits, start.Add(100*day) }))
		}
	}
	cases := []struct {
		name    string
		install func(*router)
		use     func(*router)
		check   func(*testing.T, *router)
	}{
		{"first block of a license", limited(license.Limits{MaxTotalRequests: 1_000}), func(r *router) { r.use(5) },
			func(t *testing.T, r *router) {
				if got := r.Counters().RequestsUsed; got < 5 || got > 20 {
					t.Errorf("%d requests counted, want 5 to 20", got)
				}
			}},
		{"first block of another license", limited(license.Limits{MaxTotalRequests: 1_000}), func(r *router) {
			r.use(5)
			r.install(r.metered("lic_2", 1_000, 0))
			r.use(7)
		}, func(t *testing.T, r *router) {
			if got := r.Counters().RequestsUsed; got < 7 || got > 30 {
				t.Errorf("%d requests counted, want 7 to 30", got)
			}
		}},
		{"reservation larger than a block", limited(license.Limits{MaxTotalTokens: 1_000}), func(r *router) {
			r.begin(1).End()
			r.begin(400).End()
		}, func(t *testing.T, r *router) {
			if got := r.Counters().TokensUsed; got < 401 || got > 501 {
				t.Errorf("%d tokens counted, want 401 to 501", got)
			}
		}},
		{"first block of a window", limited(license.Limits{WindowRequests: 400, WindowTokens: 4_000, WindowDurationSeconds: 3600}), func(r *router) {
			r.use(5)
			r.at(time.Hour)
			r.use(6)
		}, func(t *testing.T, r *router) {
			r.use(1)
			if got := r.Counters(); got.WindowRequestsUsed < 7 || got.WindowRequestsUsed > 30 || got.WindowTokensUsed < 7 || got.WindowTokensUsed > 300 {
				t.Errorf("%+v in the window, want 7 to 30 requests and 7 to 300 tokens", got)
			}
		}},
		{"first block of a month", limited(license.Limits{MaxMonthlyRequests: 400}), func(r *router) {
			r.use(5)
			r.at(31 * day)
			r.use(6)
		}, func(t *testing.T, r *router) {
			r.use(1)
			if got := r.Counters().MonthRequestsUsed; got < 7 || got > 30 {
				t.Errorf("%d requests in the month, want 7 to 30", got)
			}
		}},
		{"what a bundle said", limited(license.Limits{MaxTotalRequests: 1_000}), func(r *router) {
			r.revoke(7, entry("lic_1", license.StatusRevoked, start))
			r.removeBundle()
		}, func(t *testing.T, r *router) {
			r.want(license.CodeRevoked, "")
			if got := r.ledger.epoch(); got != 7 {
				t.Errorf("epoch %d, want 7", got)
			}
		}},
		{"a bundle that says otherwise", limited(license.Limits{MaxTotalRequests: 1_000}), func(r *router) {
			r.revoke(6, entry("lic_1", license.StatusSuspended, start))
			r.revoke(7, entry("lic_1", license.StatusRevoked, start))
			r.removeBundle()
		}, func(t *testing.T, r *router) { r.want(license.CodeRevoked, "") }},
		{"a bundle and volume of another license", limited(license.Limits{MaxTotalRequests: 1_000}), func(r *router) {
			r.revoke(6, entry("lic_1", license.StatusSuspended, start))
			r.install(r.metered("lic_2", 1_000, 0))
			r.use(35)
			r.removeBundle()
		}, func(t *testing.T, r *router) {
			if got := r.Counters().RequestsUsed; got < 35 || got > 50 {
				t.Errorf("%d requests counted, want 35 to 50", got)
			}
			if got := r.ledger.recall("lic_1"); got == nil || got.Status != license.StatusSuspended {
				t.Errorf("%+v is known of lic_1", got)
			}
		}},
	}
	for _, c := range cases {
		for name, pick := range map[string]func(newest, other string) string{
			"newest": func(newest, _ string) string { return newest },
			"older":  func(_, other string) string { return other },
		} {
			t.Run(c.name+", "+name+" copy", func(t *testing.T) {
				t.Parallel()
				r := newRouter(t, withBundle(nil))
				c.install(r)
				c.use(r)
				if err := os.Remove(pick(r.copies())); err != nil {
					t.Fatal(err)
				}
				r.restart(false)
				c.check(t, r)
				if got := r.Receipt().State.Repairs; got != 1 {
					t.Errorf("%d repairs, want 1", got)
				}
			})
		}
	}
}

// A request that uses more than is left takes the rest for good, also when the process is killed right after it.
func TestLastTokensStayUsedAfterAKill(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withState)
	r.install(r.metered("lic_1", 0, 1_000))
	ticket := r.begin(10)
	ticket.Settle(5_000)
	ticket.End()
	r.wantUsed(1, 1_000)
	r.restart(false)
	r.wantUsed(1, 1_000)
	r.wantRefused(1, license.CodeVolumeExceeded)
}

// A block that the other copy makes good is written once.
func TestBlockIsWrittenOnce(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withState)
	r.install(r.metered("lic_1", 10_000, 0))
	r.use(10)
	before := r.ledger.store.generation
	r.use(100)
	if writes := r.ledger.store.generation - before; writes != 10 {
		t.Errorf("%d writes for 10 blocks", writes)
	}
}
