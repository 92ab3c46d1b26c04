package catalog

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

// base is a license of a launch template, issued on 1 November 2026.
func base(t testing.TB, sku string) license.Payload {
	t.Helper()
	tp := template(t, sku)
	i := newIntent()
	i.Template, i.Environments = tp.Ref(), tp.Environments
	if !tp.FingerprintRequired {
		i.Fingerprints = nil
	}
	p, err := Render(Source{Intent: i, Template: tp, FulfillmentKey: "ord_base", IssuedAt: date(t, "2026-11-01T00:00:00Z"), KeyID: "k"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func based(t testing.TB, kind IssuanceKind, b license.Payload, sku, at string) Source {
	t.Helper()
	tp := template(t, sku)
	s := Source{
		Intent: Intent{
			OrderID: "ord_2", Kind: kind, Template: tp.Ref(), Quantity: 1, CustomerID: b.CustomerID, DeploymentID: "dep_4F8",
			BaseID: b.LicenseID, BaseSHA256: strings.Repeat("0", 64),
		},
		Template: tp, Base: &b, FulfillmentKey: "ord_2", IssuedAt: date(t, at), KeyID: "k2",
	}
	for _, known := range Launch() {
		if known.SKU == b.SKU {
			s.BaseTemplate = &known
		}
	}
	return s
}

func mustRender(t testing.TB, s Source) license.Payload {
	t.Helper()
	p, err := Render(s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Canonical(); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestRenewingEarlyLosesNothing(t *testing.T) {
	t.Parallel()
	b := base(t, "pilot-30d") // expires on 1 December
	cases := map[string]string{
		"2026-11-20T00:00:00Z": "2026-12-31T00:00:00Z",
		"2026-12-01T00:00:00Z": "2026-12-31T00:00:00Z",
		"2026-12-10T08:00:00Z": "2027-01-09T08:00:00Z",
	}
	for at, expires := range cases {
		p := mustRender(t, based(t, IssueRenewal, b, "pilot-30d", at))
		if !p.ExpiresAt.Equal(date(t, expires)) || !p.GraceUntil.Equal(p.ExpiresAt.Add(72*time.Hour)) {
			t.Errorf("at %s: expires %s, grace %s", at, p.ExpiresAt, p.GraceUntil)
		}
		if p.LicenseID == b.LicenseID || !p.NotBefore.Equal(date(t, at)) || p.Deployment.AllowedInstances[0] != "fp:prod-a" {
			t.Errorf("at %s: %+v", at, p)
		}
	}
}

func TestTopUpOfAPackTakesThePackAndTheLaterExpiry(t *testing.T) {
	t.Parallel()
	b := base(t, "credit-pack-5m")
	p := mustRender(t, based(t, IssueTopUp, b, "credit-pack-25m", "2027-01-15T00:00:00Z"))
	if p.SKU != "credit-pack-25m" || p.Limits.MaxTotalTokens != 25_000_000 || !p.ExpiresAt.Equal(date(t, "2028-01-15T00:00:00Z")) {
		t.Errorf("got %+v", p)
	}
	b.ExpiresAt = date(t, "2030-01-01T00:00:00Z")
	if p = mustRender(t, based(t, IssueTopUp, b, "credit-pack-5m", "2027-01-15T00:00:00Z")); !p.ExpiresAt.Equal(b.ExpiresAt) {
		t.Errorf("lost time: %s", p.ExpiresAt)
	}
}

func TestTopUpOfATimeLicenseBuysVolumeAlone(t *testing.T) {
	t.Parallel()
	b := base(t, "eval-72h")
	p := mustRender(t, based(t, IssueTopUp, b, "credit-pack-25m", "2026-11-02T00:00:00Z"))
	if p.SKU != "eval-72h" || !p.ExpiresAt.Equal(b.ExpiresAt) || !slices.Equal(p.Features, b.Features) {
		t.Errorf("more than volume: %+v", p)
	}
	want := b.Limits
	want.MaxTotalTokens, want.MaxTotalRequests = 25_000_000, 500_000
	if p.Limits.MaxTotalTokens != want.MaxTotalTokens || p.Limits.MaxTotalRequests != want.MaxTotalRequests || p.Limits.MaxCallers != 3 {
		t.Errorf("limits %+v, want %+v", p.Limits, want)
	}
	if !strings.Contains(p.Notes, "Credit pack, 25M tokens") || p.LicenseID == b.LicenseID {
		t.Errorf("notes %q, ID %s", p.Notes, p.LicenseID)
	}
}

func TestTwoTopUpsOnOneBaseAreSiblings(t *testing.T) {
	t.Parallel()
	b := base(t, "credit-pack-5m")
	s := based(t, IssueTopUp, b, "credit-pack-5m", "2027-01-15T00:00:00Z")
	one := mustRender(t, s)
	s.Intent.OrderID, s.FulfillmentKey = "ord_3", "ord_3"
	if two := mustRender(t, s); one.LicenseID == two.LicenseID {
		t.Error("same license ID")
	}
}

func TestRenderRefusesWhatTheRulesForbid(t *testing.T) {
	t.Parallel()
	at := "2026-11-02T00:00:00Z"
	cases := []struct {
		name   string
		kind   IssuanceKind
		base   string
		sku    string
		change func(*Source)
		want   error
	}{
		{"an evaluation does not renew", IssueRenewal, "eval-72h", "pilot-30d", nil, ErrRefused},
		{"an evaluation renews nothing", IssueRenewal, "pilot-30d", "eval-72h", nil, ErrRefused},
		{"no volume to top up", IssueTopUp, "pilot-30d", "credit-pack-5m", nil, ErrRefused},
		{"a term is no top-up", IssueTopUp, "credit-pack-5m", "pilot-30d", nil, ErrRefused},
		{"production under a pilot", IssueRenewal, "credit-pack-5m", "pilot-30d", nil, ErrRefused},
		{"another customer", IssueTopUp, "credit-pack-5m", "credit-pack-5m", func(s *Source) { s.Intent.CustomerID = "cust_2" }, ErrBaseMismatch},
		{"another base", IssueTopUp, "credit-pack-5m", "credit-pack-5m", func(s *Source) { s.Intent.BaseID = "lic_2" }, ErrBaseMismatch},
		{"another deployment", IssueTopUp, "credit-pack-5m", "credit-pack-5m", func(s *Source) { s.Intent.DeploymentID = "dep_2" }, ErrBaseMismatch},
		{"other fingerprints", IssueTopUp, "credit-pack-5m", "credit-pack-5m", func(s *Source) { s.Intent.Fingerprints = []string{"x"} }, ErrBaseMismatch},
		{"other environments", IssueTopUp, "credit-pack-5m", "credit-pack-5m", func(s *Source) { s.Intent.Environments = []string{"staging"} }, ErrBaseMismatch},
		{"no base", IssueTopUp, "credit-pack-5m", "credit-pack-5m", func(s *Source) { s.Base = nil }, ErrBaseMismatch},
		{"time base ran out", IssueTopUp, "eval-72h", "credit-pack-5m", func(s *Source) { s.IssuedAt = s.Base.ExpiresAt }, ErrBaseExpired},
		{"two instances under one", IssueRenewal, "pilot-30d", "pilot-30d", func(s *Source) { s.Base.Deployment.AllowedInstances = []string{"a", "b"} }, ErrRefused},
		{"no key", IssueRenewal, "pilot-30d", "pilot-30d", func(s *Source) { s.KeyID = "" }, ErrMalformed},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := based(t, c.kind, base(t, c.base), c.sku, at)
			if c.change != nil {
				c.change(&s)
			}
			if p, err := Render(s); !errors.Is(err, c.want) || p.LicenseID != "" {
				t.Fatalf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestHashedFingerprintsOfALegacyBaseAreNamedAgain(t *testing.T) {
	t.Parallel()
	b := base(t, "credit-pack-5m")
	b.Deployment.AllowedInstances = nil
	b.Deployment.BindingVersion = 1
	b.Deployment.AllowedInstanceFingerprints = []string{hashFingerprint(b, "fp:old")}
	s := based(t, IssueTopUp, b, "credit-pack-5m", "2026-12-01T00:00:00Z")
	if _, err := Render(s); !errors.Is(err, ErrBaseMismatch) {
		t.Errorf("unnamed: %v", err)
	}
	s.Intent.Fingerprints = []string{"fp:new"}
	if _, err := Render(s); !errors.Is(err, ErrBaseMismatch) {
		t.Errorf("another: %v", err)
	}
	s.Intent.Fingerprints = []string{"fp:old"}
	if p := mustRender(t, s); !slices.Equal(p.Deployment.AllowedInstances, []string{"fp:old"}) || p.Deployment.AllowedInstanceFingerprints != nil {
		t.Errorf("got %+v", p.Deployment)
	}
}

func TestCanTopUpOnlyWhileUnexpired(t *testing.T) {
	t.Parallel()
	b, pack := base(t, "credit-pack-5m"), template(t, "credit-pack-5m")
	if err := CanTopUp(b, pack, pack, b.ExpiresAt.Add(-time.Second)); err != nil {
		t.Error(err)
	}
	if err := CanTopUp(b, pack, pack, b.ExpiresAt); !errors.Is(err, ErrBaseExpired) {
		t.Errorf("at expiry: %v", err)
	}
}

func TestABaseOfAnUnknownPackageSellsTime(t *testing.T) {
	t.Parallel()
	b := base(t, "credit-pack-5m")
	b.SKU = "legacy-pack"
	s := based(t, IssueTopUp, b, "credit-pack-5m", "2026-12-01T00:00:00Z")
	if p := mustRender(t, s); p.SKU != "legacy-pack" || !p.ExpiresAt.Equal(b.ExpiresAt) {
		t.Errorf("got %s until %s", p.SKU, p.ExpiresAt)
	}
}
