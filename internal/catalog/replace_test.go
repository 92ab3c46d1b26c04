package catalog

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

var testBounds = Bounds{ExtraMonths: 12, LimitFactor: 10}

func replacement(t testing.TB, sku string) Replacement {
	t.Helper()
	tp := template(t, sku)
	return Replacement{
		Base: base(t, sku), BaseTemplate: &tp, FulfillmentKey: "req:1", IssuedAt: date(t, "2026-11-10T00:00:00Z"), KeyID: "k2",
	}
}

func TestAReplacementWithoutChangesIsTheBaseUnderAnotherID(t *testing.T) {
	t.Parallel()
	r := replacement(t, "enterprise-annual")
	got, reach, err := Replace(r, testBounds)
	if err != nil || reach != ReachTemplate {
		t.Fatalf("%v, reach %d", err, reach)
	}
	want := r.Base
	want.LicenseID, want.KeyID, want.IssuedAt, want.NotBefore = LicenseID(want.SKU, r.IssuedAt, "req:1"), "k2", r.IssuedAt, r.IssuedAt
	if !reflect.DeepEqual(got, want) || got.LicenseID == r.Base.LicenseID {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestAReplacementStartsNoSoonerThanItsBase(t *testing.T) {
	t.Parallel()
	r := replacement(t, "enterprise-annual")
	r.Base.NotBefore = date(t, "2026-12-24T00:00:00Z")
	if got, _, err := Replace(r, testBounds); err != nil || !got.NotBefore.Equal(r.Base.NotBefore) {
		t.Errorf("%v, starts %s", err, got.NotBefore)
	}
}

// TestHowFarAChangeReaches goes to the edge of each bound and one beyond. The base of an enterprise-annual expires on 1
// November 2027 and has 100 callers, which its contract bounds at 1,000.
func TestHowFarAChangeReaches(t *testing.T) {
	t.Parallel()
	const nobody = Reach(0)
	expires := func(text string) Changes {
		return Changes{ExpiresAt: TimeChange{date(t, "2027-11-01T00:00:00Z"), date(t, text)}}
	}
	limit := func(name string, old, now int64) Changes { return Changes{Limits: []LimitChange{{name, old, now}}} }
	features := func(add ...string) Changes {
		list := append(add, template(t, "enterprise-annual").Features...)
		slices.Sort(list)
		return Changes{Features: list}
	}
	cases := map[string]struct {
		changes Changes
		want    Reach
	}{
		"shorter":                    {expires("2027-01-01T00:00:00Z"), ReachTemplate},
		"30 days longer":             {expires("2027-12-01T00:00:00Z"), ReachTemplate},
		"and a second":               {expires("2027-12-01T00:00:01Z"), ReachBounds},
		"12 months longer":           {expires("2028-11-01T00:00:00Z"), ReachBounds},
		"12 months and a second":     {expires("2028-11-01T00:00:01Z"), nobody},
		"another name":               {Changes{CustomerName: TextChange{"Example Operations", "Example"}}, ReachTemplate},
		"notes":                      {Changes{Notes: TextChange{New: "corrected"}}, ReachTemplate},
		"one environment":            {Changes{Environments: []string{"staging"}}, ReachTemplate},
		"an environment not sold":    {Changes{Environments: []string{"evaluation"}}, nobody},
		"another fingerprint":        {Changes{Fingerprints: &[]string{"fp:b"}}, ReachTemplate},
		"no fingerprint":             {Changes{Fingerprints: &[]string{}}, ReachTemplate},
		"fewer callers":              {limit("max_callers", 100, 1), ReachTemplate},
		"ten times the callers":      {limit("max_callers", 100, 1_000), ReachBounds},
		"and one":                    {limit("max_callers", 100, 1_001), nobody},
		"callers without limit":      {limit("max_callers", 100, 0), nobody},
		"groups up to the contract":  {limit("max_model_groups", 50, 200), ReachBounds},
		"groups beyond the contract": {limit("max_model_groups", 50, 201), nobody},
		"a limit where none is":      {limit("max_total_tokens", 0, 5), ReachTemplate},
		"an add-on":                  {features("content_capture"), ReachBounds},
		"fewer features":             {Changes{Features: []string{"routing"}}, ReachTemplate},
		"every feature":              {features("admin_security_reports", "audit_log_export", "content_capture", "external_policy_http"), ReachBounds},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := replacement(t, "enterprise-annual")
			r.Changes = c.changes
			p, reach, err := Replace(r, testBounds)
			if reach != c.want || (err == nil) != (c.want != nobody) {
				t.Fatalf("reach %d, %v; want %d", reach, err, c.want)
			}
			if c.want == nobody && (!errors.Is(err, ErrBeyond) || !errors.Is(err, ErrRefused) || p.LicenseID != "") {
				t.Errorf("got %v and %+v", err, p)
			}
			if _, err := p.Canonical(); c.want != nobody && err != nil {
				t.Error(err)
			}
		})
	}
}

func TestBoundsOfNothingLeaveThirtyDays(t *testing.T) {
	t.Parallel()
	r := replacement(t, "enterprise-annual")
	r.Changes.ExpiresAt = TimeChange{r.Base.ExpiresAt, r.Base.ExpiresAt.AddDate(0, 0, 30)}
	if p, reach, err := Replace(r, Bounds{}); err != nil || reach != ReachTemplate || p.GraceUntil.Sub(p.ExpiresAt) != 30*24*time.Hour {
		t.Errorf("%v, reach %d, grace until %s", err, reach, p.GraceUntil)
	}
	r.Changes = Changes{Limits: []LimitChange{{"max_callers", 100, 101}}}
	if _, _, err := Replace(r, Bounds{}); !errors.Is(err, ErrBeyond) {
		t.Errorf("got %v", err)
	}
}

func TestNobodyMakesAWindowShorter(t *testing.T) {
	t.Parallel()
	for now, want := range map[int64]error{1800: ErrBeyond, 3599: ErrBeyond, 7200: nil} {
		r := replacement(t, "pilot-30d")
		r.Changes = Changes{Limits: []LimitChange{{limitWindow, 3600, now}}}
		if _, _, err := Replace(r, testBounds); !errors.Is(err, want) {
			t.Errorf("%d seconds: %v, want %v", now, err, want)
		}
	}
}

func TestABaseFromBeforeThePortalIsItsOwnMeasure(t *testing.T) {
	t.Parallel()
	legacy := func(c Changes) (Reach, error) {
		r := replacement(t, "credit-pack-5m")
		r.Base.SKU, r.BaseTemplate, r.Changes = "legacy", nil, c
		_, reach, err := Replace(r, testBounds)
		return reach, err
	}
	if reach, err := legacy(Changes{Limits: []LimitChange{{"max_callers", 50, 500}}}); reach != ReachBounds {
		t.Errorf("%d, %v", reach, err)
	}
	if _, err := legacy(Changes{Features: []string{"admin_reports", "routing", "usage_reporting"}}); !errors.Is(err, ErrBeyond) {
		t.Errorf("a feature it never had: %v", err)
	}
}

func TestAMoveToAnotherPackageTakesTwo(t *testing.T) {
	t.Parallel()
	to := template(t, "credit-pack-25m")
	move := func(change func(*Replacement)) (license.Payload, Reach, error) {
		r := replacement(t, "credit-pack-5m")
		r.Template = &to
		if change != nil {
			change(&r)
		}
		return Replace(r, testBounds)
	}
	p, reach, err := move(nil)
	if err != nil || reach != ReachBounds || p.SKU != to.SKU || p.Limits.MaxTotalTokens != 25_000_000 || !slices.Equal(p.Features, to.Features) {
		t.Errorf("%v, reach %d, %+v", err, reach, p)
	}
	if old := base(t, "credit-pack-5m"); !p.ExpiresAt.Equal(old.ExpiresAt) || !reflect.DeepEqual(p.Deployment, old.Deployment) {
		t.Errorf("more than the package moved: %+v", p)
	}
	closed := date(t, "2026-11-10T00:00:00Z")
	for name, change := range map[string]func(*Replacement){
		"its own package":    func(r *Replacement) { r.Template = r.BaseTemplate },
		"an evaluation":      func(r *Replacement) { r.Template = new(template(t, "eval-72h")) },
		"another deployment": func(r *Replacement) { r.Template = new(template(t, "enterprise-annual")) },
		"other environments": func(r *Replacement) { r.Template = new(template(t, "pilot-30d")) },
		"a closed package":   func(r *Replacement) { tp := to; tp.ClosedAt = &closed; r.Template = &tp },
	} {
		if _, _, err := move(change); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAReplacementIsRefusedWhere(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		change func(*Replacement)
		want   error
	}{
		"another old expiry": {func(r *Replacement) {
			r.Changes.ExpiresAt = TimeChange{r.Base.ExpiresAt.Add(time.Second), r.Base.ExpiresAt.Add(time.Hour)}
		}, ErrBaseMismatch},
		"another old name":    {func(r *Replacement) { r.Changes.CustomerName = TextChange{"x", "y"} }, ErrBaseMismatch},
		"other old notes":     {func(r *Replacement) { r.Changes.Notes = TextChange{"x", "y"} }, ErrBaseMismatch},
		"another old limit":   {func(r *Replacement) { r.Changes.Limits = []LimitChange{{"max_callers", 99, 100}} }, ErrBaseMismatch},
		"hashed fingerprints": {func(r *Replacement) { r.Base.Deployment.AllowedInstanceFingerprints = []string{"sha256:00"} }, ErrBaseMismatch},
		"too many instances":  {func(r *Replacement) { r.Changes.Fingerprints = &[]string{"a", "b"} }, ErrRefused},
		"features without routing": {func(r *Replacement) {
			r.Changes.Features = []string{"admin_reports"}
		}, ErrRefused},
		"nothing left":      {func(r *Replacement) { r.IssuedAt = r.Base.ExpiresAt }, ErrBaseExpired},
		"no key":            {func(r *Replacement) { r.KeyID = "" }, ErrMalformed},
		"no time":           {func(r *Replacement) { r.IssuedAt = time.Time{} }, ErrMalformed},
		"unsorted features": {func(r *Replacement) { r.Changes.Features = []string{"routing", "admin_reports"} }, ErrMalformed},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := replacement(t, "enterprise-annual")
			c.change(&r)
			if p, reach, err := Replace(r, testBounds); !errors.Is(err, c.want) || reach != 0 || p.LicenseID != "" {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
	r := replacement(t, "eval-72h")
	r.IssuedAt, r.Changes.Fingerprints = date(t, "2026-11-02T00:00:00Z"), &[]string{"fp:a"}
	if _, _, err := Replace(r, testBounds); !errors.Is(err, ErrRefused) {
		t.Errorf("an evaluation was bound to an instance: %v", err)
	}
}

func TestHashedFingerprintsAreReplacedByTheRawOnes(t *testing.T) {
	t.Parallel()
	r := replacement(t, "enterprise-annual")
	d := &r.Base.Deployment
	d.AllowedInstances, d.BindingVersion, d.AllowedInstanceFingerprints = nil, 1, []string{hashFingerprint(r.Base, "fp:old")}
	r.Changes.Fingerprints = &[]string{"fp:old"}
	p, reach, err := Replace(r, testBounds)
	if err != nil || reach != ReachTemplate || !slices.Equal(p.Deployment.AllowedInstances, []string{"fp:old"}) ||
		p.Deployment.AllowedInstanceFingerprints != nil || p.Deployment.BindingVersion != 0 {
		t.Errorf("%v: %+v", err, p.Deployment)
	}
}

func TestARotationChangesKeyIDAndTimeAlone(t *testing.T) {
	t.Parallel()
	b := base(t, "enterprise-annual")
	r := Rotation{Base: b, FulfillmentKey: "req:1/" + b.LicenseID, IssuedAt: date(t, "2026-11-10T00:00:00Z"), KeyID: "k2"}
	got, err := Rotate(r)
	want := b
	want.LicenseID, want.KeyID, want.IssuedAt, want.NotBefore = LicenseID(b.SKU, r.IssuedAt, r.FulfillmentKey), "k2", r.IssuedAt, r.IssuedAt
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\ngot  %+v\nwant %+v", err, got, want)
	}
	for name, c := range map[string]struct {
		change func(*Rotation)
		want   error
	}{
		"the same key":        {func(r *Rotation) { r.KeyID = b.KeyID }, ErrBaseMismatch},
		"hashed fingerprints": {func(r *Rotation) { r.Base.Deployment.AllowedInstanceFingerprints = []string{"sha256:00"} }, ErrBaseMismatch},
		"an expired license":  {func(r *Rotation) { r.IssuedAt = b.ExpiresAt }, ErrBaseExpired},
		"no fulfillment key":  {func(r *Rotation) { r.FulfillmentKey = "" }, ErrMalformed},
	} {
		bad := r
		c.change(&bad)
		if _, err := Rotate(bad); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}
