//go:build unix

package main

import (
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

func basePayload() license.Payload {
	start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	return license.Payload{
		LicenseID: "lic_a", CustomerID: "cust_1", SKU: "enterprise-annual", KeyID: "k1",
		Features:  []string{"pii_filtering", "routing"},
		NotBefore: start, ExpiresAt: start.AddDate(1, 0, 0),
		Limits: license.Limits{MaxCallers: 100, WindowTokens: 1000, WindowDurationSeconds: 3600, AllowedSkins: []string{"openai-chat"}},
		Deployment: license.Deployment{DeploymentID: "eu", Mode: "self_hosted", AllowedEnvironments: []string{"production", "staging"},
			AllowedInstances: []string{"fp:a", "fp:b"}},
	}
}

// Each edit of the installed license's successor, and what the operator must agree to.
func TestOnlyWhatTakesSomethingAwayNeedsConsent(t *testing.T) {
	t.Parallel()
	evaluation := func(p *license.Payload) { p.Deployment.AllowedEnvironments = []string{"evaluation"} }
	for name, c := range map[string]struct {
		installed, next func(*license.Payload)
		expired         bool
		checked         bool
		want            string // fields
	}{
		"the same":               {},
		"a renewal":              {next: func(p *license.Payload) { p.ExpiresAt = p.ExpiresAt.AddDate(1, 0, 0) }},
		"a second earlier":       {next: func(p *license.Payload) { p.ExpiresAt = p.ExpiresAt.Add(-time.Second) }, want: "expires_at"},
		"another key":            {next: func(p *license.Payload) { p.KeyID = "k2" }},
		"another package":        {next: func(p *license.Payload) { p.SKU = "pilot-30d" }},
		"another customer":       {next: func(p *license.Payload) { p.CustomerID = "cust_2" }, want: "customer"},
		"another deployment":     {next: func(p *license.Payload) { p.Deployment.DeploymentID = "us" }, want: "deployment"},
		"a first deployment":     {installed: func(p *license.Payload) { p.Deployment.DeploymentID = "" }},
		"a feature less":         {next: func(p *license.Payload) { p.Features = []string{"routing"} }, want: "feature pii_filtering"},
		"a feature more":         {installed: func(p *license.Payload) { p.Features = []string{"routing"} }},
		"all features instead":   {next: func(p *license.Payload) { p.Features = []string{"*"} }},
		"no longer all features": {installed: func(p *license.Payload) { p.Features = []string{"*"} }, want: "feature *"},
		"a limit lower":          {next: func(p *license.Payload) { p.Limits.MaxCallers = 99 }, want: "max_callers"},
		"a limit lifted":         {next: func(p *license.Payload) { p.Limits.MaxCallers = 0 }},
		"a limit set":            {next: func(p *license.Payload) { p.Limits.MaxConcurrent = 9 }},
		"a total volume set":     {next: func(p *license.Payload) { p.Limits.MaxTotalTokens = 9 }, want: "max_total_tokens"},
		"less volume": {installed: func(p *license.Payload) { p.Limits.MaxTotalRequests = 9 },
			next: func(p *license.Payload) { p.Limits.MaxTotalRequests = 8 }, want: "max_total_requests"},
		"a longer window":    {next: func(p *license.Payload) { p.Limits.WindowDurationSeconds = 7200 }, want: "window_duration_seconds"},
		"a shorter window":   {next: func(p *license.Payload) { p.Limits.WindowDurationSeconds = 60 }},
		"another dialect":    {next: func(p *license.Payload) { p.Limits.AllowedSkins = []string{"anthropic-messages"} }, want: "allowed_skins"},
		"all dialects":       {next: func(p *license.Payload) { p.Limits.AllowedSkins = nil }},
		"dialects set":       {installed: func(p *license.Payload) { p.Limits.AllowedSkins = nil }, want: "allowed_skins"},
		"an environment off": {next: func(p *license.Payload) { p.Deployment.AllowedEnvironments = []string{"staging"} }, want: "environments"},
		"environments set":   {installed: func(p *license.Payload) { p.Deployment.AllowedEnvironments = nil }},
		"any environment":    {next: func(p *license.Payload) { p.Deployment.AllowedEnvironments = nil }},
		"an instance off":    {next: func(p *license.Payload) { p.Deployment.AllowedInstances = []string{"fp:a"} }, want: "instances"},
		"an instance off, this one checked": {
			next: func(p *license.Payload) { p.Deployment.AllowedInstances = []string{"fp:a"} }, checked: true},
		"an instance more": {next: func(p *license.Payload) { p.Deployment.AllowedInstances = []string{"fp:a", "fp:b", "fp:c"} }},
		"any instance":     {next: func(p *license.Payload) { p.Deployment.AllowedInstances = nil }},
		"instances set":    {installed: func(p *license.Payload) { p.Deployment.AllowedInstances = nil }, want: "instances"},
		"another hash of the same": {
			installed: func(p *license.Payload) { p.Deployment.AllowedInstanceFingerprints = []string{"sha256:1"} },
			next:      func(p *license.Payload) { p.Deployment.AllowedInstanceFingerprints = []string{"sha256:2"} }},
		"an evaluation gives way": {installed: evaluation, next: func(p *license.Payload) {
			p.Deployment.DeploymentID, p.Limits.MaxCallers, p.Deployment.AllowedInstances = "us", 1, []string{"fp:z"}
		}},
		"an evaluation that lasts longer": {installed: evaluation, next: func(p *license.Payload) {
			p.ExpiresAt = p.ExpiresAt.Add(-time.Hour)
		}, want: "expires_at"},
		"an evaluation with more features": {installed: evaluation, next: func(p *license.Payload) {
			p.Features = []string{"routing"}
		}, want: "feature pii_filtering"},
		"an evaluation of another customer": {installed: evaluation, next: func(p *license.Payload) { p.CustomerID = "cust_2" }, want: "customer"},
		"the installed one is over": {expired: true, next: func(p *license.Payload) {
			p.Features, p.Deployment.DeploymentID = []string{"routing"}, "us"
		}},
		"the installed one is over, and another customer's": {expired: true, next: func(p *license.Payload) { p.CustomerID = "cust_2" }, want: "customer"},
	} {
		installed, next := basePayload(), basePayload()
		next.LicenseID = "lic_b"
		if c.installed != nil {
			c.installed(&installed)
		}
		if c.next != nil {
			c.next(&next)
		}
		var fields []string
		for _, l := range losses(installed, next, !c.expired, c.checked) {
			fields = append(fields, l.Field)
		}
		if got := strings.Join(fields, " "); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestDurationsAreRoundedDown(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0 seconds", time.Second: "1 second", 119 * time.Second: "1 minute", 2*time.Hour - 1: "1 hour",
		48*time.Hour - 1: "47 hours", 48 * time.Hour: "2 days", 335*24*time.Hour + 23*time.Hour: "335 days",
	} {
		if got := span(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}

func TestLimitsAreGroupedByThousands(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "none", 7: "7", 999: "999", 1000: "1,000", 25_000_000: "25,000,000", 123456: "123,456"} {
		if got := number(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

func TestMetricsNameTheLicense(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]bool{
		"":                                       true,
		"up 1\n":                                 true,
		"license_info{license_id=\"lic_a\"} 1\n": true,
		"license_info{sku=\"x\",license_id=\"lic_a\"} 1\n":                            true,
		"license_info{license_id=\"lic_b\"} 1\n":                                      false,
		"license_info{license_id=\"lic_ab\"} 1\n":                                     false,
		"used{license_id=\"lic_b\"} 5\nused{license_id=\"lic_a\"} 0\n":                true,
		"# HELP license_id is the label of\nlicense_info{old_license_id=\"lic_b\"} 1": true,
	} {
		if got := metricsName([]byte(body), "lic_a"); got != want {
			t.Errorf("%q: %v, want %v", body, got, want)
		}
	}
}

func TestSecretsAreRecognized(t *testing.T) {
	t.Parallel()
	secrets := []string{
		"-----BEGIN PRIVATE KEY-----", "sk_live_1234", "rk_test_1", "whsec_abc", "ghp_abcdefghijklmnopqrst0", "AKIAABCDEFGHIJKLMNOP",
		"eyJhbGciOiJIUzI1NiJ9.e30.x", "Bearer abcdefgh12", "password=hunter2", `"api_key": "x"`, "https://u:p@host/",
		"sk-abcdefghijklmnop1234", "Cookie: a=b",
	}
	for _, s := range secrets {
		if !looksSecret(s) {
			t.Errorf("%q passes", s)
		}
	}
	for _, s := range []string{"expired at 2027-11-01T00:00:00Z", "the key ring does not hold: update the key ring", "req_0a1b2c", "lic_credit_pack_5m_20261101_0a1b2c3d4e5f6071"} {
		if looksSecret(s) {
			t.Errorf("%q does not pass", s)
		}
	}
}
