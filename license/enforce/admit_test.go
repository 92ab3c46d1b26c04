package enforce

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/metrum-ai/licensing-portal/license"
)

func TestVolumeIsServedToTheLastRequest(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withState)
	r.install(r.metered("lic_1", 437, 0))
	r.use(437)
	r.wantRefused(0, license.CodeVolumeExceeded)
	r.wantUsed(437, 437)
	r.want(license.CodeValid, "") // the license stands; its volume is used
}

// Whatever the order in which requests on many goroutines take, reserve and settle, the budget is served in full and
// never exceeded.
func TestManyRequestersGetTheBudgetAndNoMore(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withState)
	r.install(r.metered("lic_1", 4_000, 0))
	var admitted atomic.Int64
	var requesters sync.WaitGroup
	for range 8 {
		requesters.Add(1)
		go func() {
			defer requesters.Done()
			for {
				ticket, err := r.Begin(Request{Feature: license.FeatureRouting, Tokens: 3})
				if err != nil {
					if license.CodeOf(err) != license.CodeVolumeExceeded {
						t.Error(err)
					}
					return
				}
				ticket.Settle(2)
				ticket.End()
				admitted.Add(1)
			}
		}()
	}
	requesters.Wait()
	if admitted.Load() != 4_000 {
		t.Errorf("%d requests admitted, want 4000", admitted.Load())
	}
	r.wantUsed(4_000, 8_000)
	if n := r.Counters().InFlight; n != 0 {
		t.Errorf("%d requests are said to be under way", n)
	}
}

func TestTokensAreReservedAndThenSettled(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withState)
	r.install(r.metered("lic_1", 0, 1_000))
	first := r.begin(600)
	r.wantUsed(1, 600)
	r.wantRefused(401, license.CodeVolumeExceeded)
	second := r.begin(400)
	r.wantRefused(1, license.CodeVolumeExceeded)
	r.begin(0).End() // a request that needs no tokens is still served
	first.Settle(100)
	first.Settle(0) // the first call counts
	first.End()
	first.End()
	r.wantUsed(3, 500)
	second.Settle(450) // more than it reserved
	second.End()
	r.wantUsed(3, 550)
	last := r.begin(450)
	last.Settle(2_000) // more than there is: the budget ends at nothing
	last.End()
	r.wantUsed(4, 1_000)
	if over := r.Counters().TokensOver; over != 1_550 {
		t.Errorf("%d tokens over, want 1550", over)
	}
	r.wantRefused(1, license.CodeVolumeExceeded)
	r.restart(true)
	r.wantUsed(4, 1_000)
	if over := r.Counters().TokensOver; over != 1_550 {
		t.Errorf("after a restart %d tokens over, want 1550", over)
	}
}

// Requests that reserved much and used little leave no more than a block on hand once the ledger was looked after.
func TestRefundsBeyondABlockGoBackToTheBudget(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withState)
	r.install(r.metered("lic_1", 0, 100_000))
	var tickets []*Ticket
	for range 50 {
		tickets = append(tickets, r.begin(90))
	}
	for _, ticket := range tickets {
		ticket.Settle(1)
		ticket.End()
	}
	r.wantUsed(50, 50)
	r.Recheck()
	r.wantUsed(50, 50)
	r.restart(false)
	if used := r.Counters().TokensUsed; used < 50 || used > 150 {
		t.Errorf("%d tokens counted after kill -9, want 50 and a block of 100 more at most", used)
	}
}

func TestNegativeTokensGiveNothingBack(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withState)
	r.install(r.metered("lic_1", 0, 1_000))
	ticket := r.begin(-5)
	ticket.Settle(-7)
	ticket.End()
	r.wantUsed(1, 0)
}

func TestPanickingRequestKeepsItsReservationAndFreesItsPlace(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withState)
	r.install(r.issue("lic_1", func(p *license.Payload) {
		p.Limits = license.Limits{MaxTotalTokens: 1_000, MaxConcurrent: 1}
	}))
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		ticket := r.begin(300)
		defer ticket.End()
		panic("the model broke")
	}()
	r.wantUsed(1, 300)
	r.begin(1).End()
}

func TestConcurrencyIsBounded(t *testing.T) {
	t.Parallel()
	r := newRouter(t, nil)
	limited := func(id string, most int64) []byte {
		return r.issue(id, func(p *license.Payload) { p.Limits = license.Limits{MaxConcurrent: most} })
	}
	r.install(limited("lic_1", 3))
	tickets := []*Ticket{r.begin(0), r.begin(0), r.begin(0)}
	r.wantRefused(0, license.CodeConcurrency)
	tickets[0].End()
	tickets[0] = r.begin(0)
	r.wantRefused(0, license.CodeConcurrency)

	r.install(limited("lic_2", 1)) // a smaller limit waits for those that are under way under the license before
	r.wantRefused(0, license.CodeConcurrency)
	tickets[0].End()
	tickets[1].End()
	r.wantRefused(0, license.CodeConcurrency)
	tickets[2].End()
	ticket := r.begin(0)
	r.wantRefused(0, license.CodeConcurrency)
	r.install(limited("lic_3", 0)) // no limit
	for range 100 {
		r.begin(0)
	}
	if n := r.Counters().InFlight; n != 101 {
		t.Errorf("%d requests under way, want 101", n)
	}
	ticket.End()
	if n := r.Counters().RequestsUsed; n != 100 {
		t.Errorf("%d requests of this license, want 100", n)
	}
}

func TestNeverMoreUnderWayThanAllowed(t *testing.T) {
	t.Parallel()
	r := newRouter(t, nil)
	r.install(r.issue("lic_1", func(p *license.Payload) { p.Limits = license.Limits{MaxConcurrent: 5} }))
	var inside, served atomic.Int64
	var requesters sync.WaitGroup
	for range 12 {
		requesters.Add(1)
		go func() {
			defer requesters.Done()
			for range 3_000 {
				ticket, err := r.Begin(Request{Feature: license.FeatureRouting})
				if err != nil {
					continue
				}
				if n := inside.Add(1); n > 5 {
					t.Errorf("%d under way", n)
				}
				served.Add(1)
				inside.Add(-1)
				ticket.End()
			}
		}()
	}
	requesters.Wait()
	if served.Load() == 0 {
		t.Error("nobody was served")
	}
	for range 5 {
		r.begin(0)
	}
	r.wantRefused(0, license.CodeConcurrency)
}

func TestSkinsAndFeaturesAreBounded(t *testing.T) {
	t.Parallel()
	r := newRouter(t, nil)
	ask := func(feature, skin string) license.Code {
		ticket, err := r.Begin(Request{Feature: feature, Skin: skin})
		ticket.End()
		return license.CodeOf(err)
	}
	r.install(r.issue("lic_1", func(p *license.Payload) {
		p.Features = []string{"pii_filtering", "routing"}
		p.Limits.AllowedSkins = []string{"openai-chat", "anthropic-messages"}
	}))
	for _, c := range []struct {
		feature, skin string
		want          license.Code
	}{
		{"routing", "", license.CodeValid},
		{"routing", "openai-chat", license.CodeValid},
		{"pii_filtering", "anthropic-messages", license.CodeValid},
		{"routing", "openai-responses", license.CodeSkinForbidden},
		{"routing", "gopher", license.CodeSkinForbidden},
		{"dynamic_score", "openai-chat", license.CodeFeatureForbidden},
		{"gold", "", license.CodeFeatureForbidden},
		{"", "", license.CodeFeatureForbidden},
	} {
		if got := ask(c.feature, c.skin); got != c.want {
			t.Errorf("%q in %q: %s, want %s", c.feature, c.skin, got, c.want)
		}
	}
	r.install(r.issue("lic_2", func(p *license.Payload) { p.Features = []string{"*"} }))
	for _, feature := range []string{"routing", "dynamic_score", "gold"} {
		if got := ask(feature, "gopher"); got != license.CodeValid {
			t.Errorf("%s without limits: %s", feature, got)
		}
	}
}

// Every feature and skin of the format has a bit of its own.
func TestEveryFeatureIsToldFromTheOthers(t *testing.T) {
	t.Parallel()
	features := []string{"routing", "usage_reporting", "admin_reports", "admin_security_reports", "dynamic_score",
		"external_policy", "external_policy_http", "typescript_routing", "model_group_contracts", "retention_rollups",
		"content_capture", "private_upstreams", "audit_log_export", "pii_filtering", "usage_csv_export", "usage_baseline_export"}
	r := newRouter(t, nil)
	for _, included := range features[1:] {
		file := r.issue("lic_"+included, func(p *license.Payload) {
			p.Features = []string{min(included, "routing"), max(included, "routing")}
		})
		r.install(file)
		for _, asked := range features {
			err := r.Admit(asked)
			if want := asked == included || asked == "routing"; (err == nil) != want {
				t.Errorf("license with %s: %s gets %v", included, asked, err)
			}
		}
	}
}

func TestCountsOfConfigurationAreBounded(t *testing.T) {
	t.Parallel()
	r := newRouter(t, nil)
	if err := r.CheckCount(Callers, 1); license.CodeOf(err) != license.CodeMissing {
		t.Errorf("without a license: %v", err)
	}
	r.install(r.issue("lic_1", func(p *license.Payload) {
		p.Limits = license.Limits{MaxModelGroups: 1, MaxCallers: 2, MaxAdmins: 3, MaxRetentionDays: 4}
	}))
	for _, c := range []struct {
		count Count
		most  int64
		code  license.Code
	}{
		{ModelGroups, 1, license.CodeLimitExceeded}, {Callers, 2, license.CodeLimitExceeded},
		{Admins, 3, license.CodeAdminLimit}, {RetentionDays, 4, license.CodeRetentionLimit},
	} {
		if err := r.CheckCount(c.count, c.most); err != nil {
			t.Errorf("%s of %d: %v", c.count, c.most, err)
		}
		if err := r.CheckCount(c.count, c.most+1); license.CodeOf(err) != c.code {
			t.Errorf("%s of %d: %v, want %s", c.count, c.most+1, err, c.code)
		}
	}
	r.install(r.issue("lic_2", func(p *license.Payload) { p.Limits = license.Limits{} }))
	if err := r.CheckCount(Admins, 1_000_000); err != nil {
		t.Errorf("without a limit: %v", err)
	}
	if err := r.CheckCount("max_widgets", 0); license.CodeOf(err) != license.CodeLimitExceeded {
		t.Errorf("a count that no license bounds: %v, want a refusal", err)
	}
}

// A ticket that has ended, or never was one, gives nothing back and takes nothing.
func TestTicketThatHasEndedChangesNothing(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withState)
	r.install(r.metered("lic_1", 0, 1_000))
	ticket := r.begin(100)
	ticket.End()
	ticket.Settle(7)
	ticket.Settle(900)
	r.wantUsed(1, 100)
	none := Ticket{}
	none.Settle(5)
	none.End()
	r.wantUsed(1, 100)
}

// Tokens beyond the reservation come from the shard at hand where it holds them.
func TestTokensBeyondTheReservationAreTaken(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withState)
	r.install(r.metered("lic_1", 0, 10_000))
	ticket := r.begin(10)
	ticket.allowance.shards[ticket.shard].tokens.Store(3) // at hand; the rest of the block is elsewhere
	ticket.allowance.pool.tokens += 87
	ticket.Settle(13)
	if left := ticket.allowance.shards[ticket.shard].tokens.Load(); left != 0 {
		t.Errorf("%d tokens at hand, want none", left)
	}
	ticket.End()
	r.begin(0).End()
}

// What the request path finds closed and the standing finds open a moment later is refused as something that passes.
func TestRequestBetweenTwoStandingsIsAskedToComeAgain(t *testing.T) {
	t.Parallel()
	r := newRouter(t, nil)
	r.install(r.issue("lic_1", nil))
	err := r.refusal(r.current.Load(), Request{Feature: license.FeatureRouting})
	if license.CodeOf(err) != license.CodeStateError || !strings.Contains(err.Error(), "try again") {
		t.Errorf("%v", err)
	}
}

func TestCountedAdmissionAllocatesNothing(t *testing.T) {
	r := busyRouter(t)
	if n := testing.AllocsPerRun(1_000, func() {
		ticket, err := r.Begin(benchRequest)
		if err != nil {
			t.Fatal(err)
		}
		ticket.Settle(900)
		ticket.End()
	}); n != 0 {
		t.Errorf("%v allocations a request", n)
	}
}
