package enforce

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

func TestRouterTurnsReadyWhenTheLicenseAppears(t *testing.T) {
	t.Parallel()
	r := newRouter(t, nil)
	r.want(license.CodeMissing, "no license file")
	r.install(r.issue("lic_1", nil))
	r.want(license.CodeValid, "")
	r.wantID("lic_1")
	r.remove()
	r.want(license.CodeMissing, "no license file")
	r.install(r.issue("lic_1", nil))
	r.want(license.CodeValid, "")
}

func TestBadFirstFileIsNamed(t *testing.T) {
	t.Parallel()
	good := func(r *router) []byte { return r.issue("lic_1", nil) }
	cases := map[license.Code]func(*router) []byte{
		license.CodeInvalid: func(r *router) []byte { return bytes.Replace(good(r), []byte("pilot-30d"), []byte("pilot-99d"), 1) },
		license.CodeExpired: func(r *router) []byte {
			return r.issue("lic_1", func(p *license.Payload) {
				p.IssuedAt, p.NotBefore, p.ExpiresAt = start.Add(-2*day), start.Add(-2*day), start
			})
		},
		license.CodeNotYetValid: func(r *router) []byte {
			return r.issue("lic_1", func(p *license.Payload) { p.NotBefore = start.Add(time.Second) })
		},
		license.CodeInstanceLimit: func(r *router) []byte {
			return r.issue("lic_1", func(p *license.Payload) { p.Deployment.AllowedInstances = []string{"fp:b"} })
		},
	}
	for code, file := range cases {
		r := newRouter(t, nil)
		r.install(file(r))
		r.want(code, "")
		r.install(good(r))
		r.want(license.CodeValid, "")
	}
}

func TestLicenseInForceStaysUntilTheNextHasVerified(t *testing.T) {
	t.Parallel()
	r := newRouter(t, nil)
	first := r.issue("lic_1", nil)
	second := r.issue("lic_2", nil)
	bad := map[string][]byte{
		"half a file":   second[:len(second)/2],
		"empty file":    {},
		"tampered file": bytes.Replace(second, []byte("lic_2"), []byte("lic_3"), 1),
		"other instance": r.issue("lic_2", func(p *license.Payload) {
			p.Deployment.AllowedInstances = []string{"fp:b"}
		}),
		"later start": r.issue("lic_2", func(p *license.Payload) { p.NotBefore = start.Add(day) }),
		"expired file": r.issue("lic_2", func(p *license.Payload) {
			p.IssuedAt, p.NotBefore, p.ExpiresAt = start.Add(-2*day), start.Add(-2*day), start
		}),
	}
	for name, file := range bad {
		r.install(first)
		r.want(license.CodeValid, "")
		r.install(file)
		standing := r.Standing()
		if standing.Code != license.CodeValid || !strings.Contains(standing.Reason, "another file at the path was refused") {
			t.Errorf("%s: %+v", name, standing)
		}
		r.wantID("lic_1")
	}
	r.install(second)
	r.want(license.CodeValid, "")
	r.wantID("lic_2")
	if got := r.Standing().Reason; got != "" {
		t.Errorf("the notice stays: %q", got)
	}
}

func TestUnreadableFileDoesNotUnseatTheLicense(t *testing.T) {
	t.Parallel()
	r := newRouter(t, nil)
	r.install(r.issue("lic_1", nil))
	if err := os.Remove(r.path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(r.path, 0o700); err != nil {
		t.Fatal(err)
	}
	r.Recheck()
	r.want(license.CodeValid, "a folder")
}

func TestExpiryIsNoticedWithoutARecheck(t *testing.T) {
	t.Parallel()
	r := newRouter(t, func(c *Config) { c.GracePeriod = 100 * day })
	r.install(r.issue("lic_1", func(p *license.Payload) { p.GraceUntil = start.Add(60 * day) }))
	r.at(30*day - 1)
	r.want(license.CodeValid, "")
	r.at(30 * day)
	r.want(license.CodeExpired, "expired at 2026-12-31T00:00:00Z")
	r.Recheck()
	r.want(license.CodeExpired, "expired at")
	r.install([]byte("garbage"))
	r.want(license.CodeInvalid, "") // the file that is there now is the one to repair
}

func TestRenewalThatStartsLaterTakesOver(t *testing.T) {
	t.Parallel()
	r := newRouter(t, nil)
	r.install(r.issue("lic_1", nil))
	r.install(r.issue("lic_2", func(p *license.Payload) { p.NotBefore, p.ExpiresAt = start.Add(29*day), start.Add(60*day) }))
	r.want(license.CodeValid, "license-not-yet-valid")
	r.wantID("lic_1")
	r.at(29 * day)
	r.Recheck()
	r.want(license.CodeValid, "")
	r.wantID("lic_2")
}

func TestGapBetweenTwoLicensesIsNotServed(t *testing.T) {
	t.Parallel()
	r := newRouter(t, nil)
	r.install(r.issue("lic_1", nil))
	r.install(r.issue("lic_2", func(p *license.Payload) { p.NotBefore, p.ExpiresAt = start.Add(31*day), start.Add(60*day) }))
	r.at(30 * day)
	r.want(license.CodeExpired, "")
	r.Recheck()
	r.want(license.CodeNotYetValid, "valid from 2027-01-01")
	r.at(31 * day)
	r.want(license.CodeValid, "") // noticed by the request, before the next recheck
	r.wantID("lic_2")
}

func TestStandingWithoutALicenseIsThatThereIsNone(t *testing.T) {
	t.Parallel()
	if got := new(state).standing(start.Unix()); got.Code != license.CodeMissing {
		t.Errorf("%+v", got)
	}
	if got := failureOf(errors.New("of another kind")); got.Code != license.CodeInvalid || got.Reason != "the license cannot be checked" {
		t.Errorf("%+v", got)
	}
}

func TestDefaultsAreTheRealClockAndAMinute(t *testing.T) {
	t.Parallel()
	r := newRouter(t, func(c *Config) { c.Clock, c.Logger = nil, nil })
	if r.config.RecheckInterval != time.Minute {
		t.Errorf("recheck every %v", r.config.RecheckInterval)
	}
	now := time.Now().UTC().Truncate(time.Second)
	r.install(r.issue("lic_1", func(p *license.Payload) {
		p.IssuedAt, p.NotBefore, p.ExpiresAt = now.Add(-time.Hour), now.Add(-time.Hour), now.Add(time.Hour)
	}))
	r.want(license.CodeValid, "")
}

func TestFeatureThatIsNotIncludedIsForbidden(t *testing.T) {
	t.Parallel()
	r := newRouter(t, nil)
	r.install(r.issue("lic_1", nil))
	if err := r.Admit("pii_filtering"); license.CodeOf(err) != license.CodeFeatureForbidden {
		t.Errorf("%v, want license-feature-forbidden", err)
	}
	r.install(r.issue("lic_2", func(p *license.Payload) { p.Features = []string{"*"} }))
	if err := r.Admit("pii_filtering"); err != nil {
		t.Errorf("%v, want it admitted by *", err)
	}
}

func TestRunRechecksOnTheInterval(t *testing.T) {
	t.Parallel()
	r := newRouter(t, func(c *Config) { c.RecheckInterval = time.Millisecond })
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Add(1)
	go func() {
		defer done.Done()
		r.Run(ctx)
	}()
	if err := os.WriteFile(r.path, r.issue("lic_1", nil), 0o600); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); r.Standing().Code != license.CodeValid; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still %+v", r.Standing())
		}
	}
	cancel()
	done.Wait()
}

func TestLogTellsChangesOnceAndOnlySafeFields(t *testing.T) {
	t.Parallel()
	r := newRouter(t, nil)
	r.install(r.issue("lic_1", nil))
	for range 10 {
		r.Recheck()
	}
	r.install([]byte("garbage"))
	r.Recheck()
	r.remove()
	if got := strings.Count(r.log.String(), "license standing changed"); got != 4 {
		t.Errorf("%d lines, want 4:\n%s", got, r.log)
	}
	for _, secret := range []string{"Secret Name", "cust_1", "fp:a", r.path} {
		if strings.Contains(r.log.String(), secret) {
			t.Errorf("the log shows %q:\n%s", secret, r.log)
		}
	}
}

func TestAdmissionAllocatesNothing(t *testing.T) {
	r := newRouter(t, nil)
	r.install(r.issue("lic_1", nil))
	if n := testing.AllocsPerRun(100, func() {
		if err := r.Admit(license.FeatureRouting); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a request", n)
	}
}

func TestConfigurationTellsAllItsProblems(t *testing.T) {
	t.Parallel()
	_, err := New(Config{RecheckInterval: -1, GracePeriod: -1})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, word := range []string{"Path", "Ring", "RecheckInterval", "GracePeriod"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%s is not named: %v", word, err)
		}
	}
}

// Requests run while the file is swapped between two licenses and rubbish: none may be refused or see a third thing.
func TestSwappingFilesRefusesNobody(t *testing.T) {
	t.Parallel()
	r := newRouter(t, nil)
	files := [][]byte{r.issue("lic_1", nil), r.issue("lic_2", nil), []byte("garbage")}
	r.install(files[0])
	stop := make(chan struct{})
	var requests sync.WaitGroup
	for range 2 {
		requests.Add(1)
		go func() {
			defer requests.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := r.Admit(license.FeatureRouting); err != nil {
					t.Errorf("refused: %v", err)
					return
				}
				if id := r.SafeStatus().LicenseID; id != "lic_1" && id != "lic_2" {
					t.Errorf("license %q", id)
					return
				}
			}
		}()
	}
	for i := range 200 {
		r.install(files[i%len(files)])
	}
	close(stop)
	requests.Wait()
}
