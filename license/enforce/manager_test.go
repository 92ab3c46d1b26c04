package enforce

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

var start = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)

// router is a Manager under test with its file, clock and log.
type router struct {
	*Manager
	t      *testing.T
	path   string
	now    *atomic.Int64 // Unix nanoseconds
	log    *bytes.Buffer
	signer ed25519.PrivateKey
}

// newRouter starts a Manager on an empty folder; edit may change its configuration.
func newRouter(t *testing.T, edit func(*Config)) *router {
	t.Helper()
	r := &router{t: t, path: filepath.Join(t.TempDir(), "license.json"), now: new(atomic.Int64), log: new(bytes.Buffer)}
	r.signer = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	r.now.Store(start.UnixNano())
	config := Config{
		Path:          r.path,
		Ring:          r.ring(time.Time{}),
		Fingerprint:   "fp:a",
		RouterVersion: "1.15.0",
		Clock:         func() time.Time { return time.Unix(0, r.now.Load()).UTC() },
		Logger:        slog.New(slog.NewTextHandler(r.log, nil)),
	}
	if edit != nil {
		edit(&config)
	}
	var err error
	if r.Manager, err = New(config); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *router) ring(notAfter time.Time) *license.KeyRing {
	ring, err := license.NewKeyRing(license.Key{ID: "k1", Public: r.signer.Public().(ed25519.PublicKey), NotAfter: notAfter})
	if err != nil {
		r.t.Fatal(err)
	}
	return ring
}

// issue signs a license that is valid for 30 days from start, changed by edit.
func (r *router) issue(id string, edit func(*license.Payload)) []byte {
	r.t.Helper()
	p := license.Payload{SchemaVersion: 1, LicenseID: id, CustomerID: "cust_1", CustomerName: "Secret Name",
		Product: license.Product, SKU: "pilot-30d", Features: []string{"routing"}, Limits: license.Limits{MaxCallers: 10},
		IssuedAt: start, NotBefore: start, ExpiresAt: start.Add(30 * 24 * time.Hour), KeyID: "k1", Issuer: license.Issuer}
	if edit != nil {
		edit(&p)
	}
	canonical, err := p.Canonical()
	if err != nil {
		r.t.Fatal(err)
	}
	file, err := license.Encode(p, ed25519.Sign(r.signer, canonical))
	if err != nil {
		r.t.Fatal(err)
	}
	return file
}

// install replaces the file as an installer does, and rechecks.
func (r *router) install(file []byte) {
	r.t.Helper()
	next := r.path + ".new"
	if err := os.WriteFile(next, file, 0o600); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(next, r.path); err != nil {
		r.t.Fatal(err)
	}
	r.Recheck()
}

func (r *router) remove() {
	r.t.Helper()
	if err := os.Remove(r.path); err != nil {
		r.t.Fatal(err)
	}
	r.Recheck()
}

func (r *router) at(offset time.Duration) { r.now.Store(start.Add(offset).UnixNano()) }

func (r *router) want(code license.Code, words string) {
	r.t.Helper()
	standing := r.Standing()
	if standing.Code != code || !strings.Contains(standing.Reason, words) {
		r.t.Fatalf("standing is %s (%s), want %s (%s)", standing.Code, standing.Reason, code, words)
	}
	err := r.Admit(license.FeatureRouting)
	if standing.Serving() != (err == nil) || err != nil && license.CodeOf(err) != code {
		r.t.Fatalf("standing is %s, but a request gets %v", standing.Code, err)
	}
}

func (r *router) wantID(id string) {
	r.t.Helper()
	if got := r.SafeStatus().LicenseID; got != id {
		r.t.Fatalf("license %q is in force, want %q", got, id)
	}
}

const day = 24 * time.Hour

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

func TestGraceRunsFromTheLastSuccess(t *testing.T) {
	t.Parallel()
	r := newRouter(t, func(c *Config) { c.GracePeriod = time.Hour })
	file := r.issue("lic_1", nil)
	r.install(file)
	r.at(10 * time.Minute)
	r.Recheck() // the last success
	r.at(20 * time.Minute)
	r.remove()
	r.want(license.CodeGrace, "grace until 2026-12-01T01:10:00Z: license-missing")
	if !r.SafeStatus().GraceActive {
		t.Error("grace is not shown")
	}
	r.at(70*time.Minute - 1)
	r.Recheck()
	r.want(license.CodeGrace, "")
	r.at(70 * time.Minute)
	r.want(license.CodeMissing, "")
	r.install([]byte("garbage"))
	r.want(license.CodeInvalid, "") // a file that does not verify brings nothing back
	r.install(file)
	r.want(license.CodeValid, "")
}

func TestGraceCoversAKeyThatIsNoLongerTrusted(t *testing.T) {
	t.Parallel()
	r := newRouter(t, nil)
	retired := start.Add(time.Hour)
	g := newRouter(t, func(c *Config) { c.Ring, c.GracePeriod = r.ring(retired), 2*time.Hour })
	g.install(g.issue("lic_1", nil))
	g.at(time.Hour)
	g.Recheck()
	g.want(license.CodeValid, "")
	g.at(time.Hour + time.Second)
	g.Recheck()
	g.want(license.CodeGrace, "not trusted after")
	g.at(3 * time.Hour)
	g.want(license.CodeInvalid, "not trusted after")
}

func TestGraceNeverCoversExpiry(t *testing.T) {
	t.Parallel()
	r := newRouter(t, func(c *Config) { c.GracePeriod = 100 * day })
	file := r.issue("lic_1", nil)
	r.install(file)
	r.remove()
	r.at(30*day - 1)
	r.want(license.CodeGrace, "")
	r.at(30 * day)
	r.want(license.CodeExpired, "")
	r.install(file)
	r.want(license.CodeExpired, "")
}

func TestGraceIsNotForAFileThatWasNeverValid(t *testing.T) {
	t.Parallel()
	r := newRouter(t, func(c *Config) { c.GracePeriod = day })
	r.install([]byte("garbage"))
	r.want(license.CodeInvalid, "")
	r.install(r.issue("lic_1", func(p *license.Payload) { p.Deployment.AllowedInstances = []string{"fp:b"} }))
	r.want(license.CodeInstanceLimit, "")
}

func TestExpiredFileInGraceEndsIt(t *testing.T) {
	t.Parallel()
	r := newRouter(t, func(c *Config) { c.GracePeriod = day })
	r.install(r.issue("lic_1", nil))
	r.remove()
	r.want(license.CodeGrace, "")
	r.install(r.issue("lic_0", func(p *license.Payload) {
		p.IssuedAt, p.NotBefore, p.ExpiresAt = start.Add(-2*day), start.Add(-2*day), start
	}))
	r.want(license.CodeExpired, "")
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
