package enforce

import (
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

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

// Another file that does not verify does not hide that the license in force is no longer trusted either.
func TestRetiredKeyIsNoticedBehindABadFile(t *testing.T) {
	t.Parallel()
	r := newRouter(t, nil)
	g := newRouter(t, func(c *Config) { c.Ring, c.GracePeriod = r.ring(start.Add(time.Hour)), 2*time.Hour })
	g.install(g.issue("lic_1", nil))
	g.install([]byte("garbage"))
	g.want(license.CodeValid, "refused")
	g.at(time.Hour + time.Second)
	g.Recheck()
	g.want(license.CodeGrace, "not trusted after")
	g.at(2 * time.Hour)
	g.want(license.CodeInvalid, "not trusted after")
	if g.License().Payload().LicenseID != "lic_1" {
		t.Error("the last valid license is not shown")
	}
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
