package catalog

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/metrum-ai/licensing-portal/license"
)

func contractSource(t testing.TB, sku string) Source {
	t.Helper()
	tp, i := template(t, sku), newIntent()
	i.Template = tp.Ref()
	return Source{Intent: i, Template: tp, FulfillmentKey: "ord_1", IssuedAt: date(t, "2026-11-01T00:00:00Z"), KeyID: "k"}
}

func TestAContractThatAgreesNothingIsTheTemplates(t *testing.T) {
	t.Parallel()
	s := contractSource(t, "enterprise-annual")
	want := mustRender(t, s)
	got, reach, err := RenderContract(s, Contract{}, testBounds)
	if err != nil || reach != ReachTemplate || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, reach %d\ngot  %+v\nwant %+v", err, reach, got, want)
	}
}

func TestAContractsTermsAreMeasuredAgainstTheTemplate(t *testing.T) {
	t.Parallel()
	const nobody = Reach(0)
	until := func(text string) Contract { return Contract{ExpiresAt: date(t, text)} }
	cases := map[string]struct {
		sku  string
		c    Contract
		want Reach
	}{
		"a month more":              {"enterprise-annual", until("2027-12-01T00:00:00Z"), ReachTemplate},
		"two years":                 {"enterprise-annual", until("2028-11-01T00:00:00Z"), ReachBounds},
		"more":                      {"enterprise-annual", until("2028-11-01T00:00:01Z"), nobody},
		"a year by contract":        {"marketplace-seat", until("2027-11-01T00:00:00Z"), ReachBounds},
		"30 days by contract":       {"marketplace-seat", until("2026-12-01T00:00:00Z"), ReachTemplate},
		"more by contract":          {"marketplace-seat", until("2027-11-01T00:00:01Z"), nobody},
		"an end before the start":   {"enterprise-annual", until("2026-11-01T00:00:00Z"), nobody},
		"fewer callers":             {"enterprise-annual", Contract{Limits: []Limit{{"max_callers", 20}}}, ReachTemplate},
		"more callers":              {"enterprise-annual", Contract{Limits: []Limit{{"max_callers", 1_000}}}, ReachBounds},
		"too many callers":          {"enterprise-annual", Contract{Limits: []Limit{{"max_callers", 1_001}}}, nobody},
		"no limit":                  {"enterprise-annual", Contract{Limits: []Limit{{"max_callers", 0}}}, nobody},
		"an add-on":                 {"enterprise-annual", Contract{AddFeatures: []string{"content_capture"}}, ReachBounds},
		"the template's own":        {"enterprise-annual", Contract{AddFeatures: []string{"routing"}}, nobody},
		"another template's add-on": {"credit-pack-25m", Contract{AddFeatures: []string{"content_capture"}}, nobody},
		"an unknown feature":        {"enterprise-annual", Contract{AddFeatures: []string{"teleport"}}, nobody},
		"notes":                     {"enterprise-annual", Contract{Notes: "Contract 17"}, ReachTemplate},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, reach, err := RenderContract(contractSource(t, c.sku), c.c, testBounds)
			if reach != c.want || (err == nil) != (c.want != nobody) {
				t.Fatalf("reach %d, %v; want %d", reach, err, c.want)
			}
			if c.want == nobody {
				return
			}
			if at := c.c.ExpiresAt; !at.IsZero() && (!p.ExpiresAt.Equal(at) || p.GraceUntil.Sub(at).Hours() != 30*24) {
				t.Errorf("expires %s, grace until %s", p.ExpiresAt, p.GraceUntil)
			}
			if _, err := p.Canonical(); err != nil || p.Notes != c.c.Notes {
				t.Errorf("%v, notes %q", err, p.Notes)
			}
		})
	}
}

func TestAnOrderNamesAsManyInstancesAsItsContractAllows(t *testing.T) {
	t.Parallel()
	s := contractSource(t, "enterprise-annual")
	s.Intent.Fingerprints = []string{"fp:a", "fp:b", "fp:c"}
	if _, _, err := RenderContract(s, Contract{}, testBounds); !errors.Is(err, ErrRefused) {
		t.Errorf("three instances of one: %v", err)
	}
	c := Contract{Limits: []Limit{{"max_instances", 3}}}
	p, reach, err := RenderContract(s, c, testBounds)
	if err != nil || reach != ReachBounds || p.Limits.MaxInstances != 3 || !slices.Equal(p.Deployment.AllowedInstances, s.Intent.Fingerprints) {
		t.Errorf("%v, reach %d, %+v", err, reach, p)
	}
	c.Limits[0].Value = 2
	if _, _, err := RenderContract(s, c, testBounds); !errors.Is(err, ErrRefused) {
		t.Errorf("three instances of two: %v", err)
	}
}

func TestAContractIsRefused(t *testing.T) {
	t.Parallel()
	if _, _, err := RenderContract(contractSource(t, "marketplace-seat"), Contract{}, testBounds); !errors.Is(err, ErrRefused) {
		t.Errorf("a term by contract without its end: %v", err)
	}
	topUp := based(t, IssueTopUp, base(t, "credit-pack-5m"), "credit-pack-5m", "2026-12-01T00:00:00Z")
	if _, _, err := RenderContract(topUp, Contract{Notes: "x"}, testBounds); !errors.Is(err, ErrRefused) {
		t.Errorf("a top-up with terms: %v", err)
	}
	if _, reach, err := RenderContract(topUp, Contract{}, testBounds); err != nil || reach != ReachTemplate {
		t.Errorf("a top-up without: reach %d, %v", reach, err)
	}
	for name, c := range map[string]Contract{
		"an unknown limit":    {Limits: []Limit{{"max_teapots", 1}}},
		"a limit twice":       {Limits: []Limit{{"max_callers", 1}, {"max_callers", 1}}},
		"a negative limit":    {Limits: []Limit{{"max_callers", -1}}},
		"unsorted features":   {AddFeatures: []string{"content_capture", "audit_log_export"}},
		"notes of two lines":  {Notes: "a\nb"},
		"notes too long":      {Notes: strings.Repeat("x", MaxNotesBytes+1)},
		"parts of the second": {ExpiresAt: date(t, "2027-11-01T00:00:00.5Z")},
	} {
		if _, _, err := RenderContract(contractSource(t, "enterprise-annual"), c, testBounds); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestASubscriptionsCycleEndsWithItsPeriod(t *testing.T) {
	t.Parallel()
	cycle := func(sku, end string) (license.Payload, error) {
		s := contractSource(t, sku)
		s.Intent.Environments, s.PeriodEnd = []string{"staging"}, date(t, end)
		return Render(s)
	}
	p, err := cycle("hosted-instance-monthly", "2026-12-03T08:00:00Z")
	if err != nil || !p.ExpiresAt.Equal(date(t, "2026-12-03T08:00:00Z")) || p.GraceUntil.Sub(p.ExpiresAt).Hours() != 72 {
		t.Errorf("%v: %s, grace until %s", err, p.ExpiresAt, p.GraceUntil)
	}
	for name, c := range map[string]struct {
		sku, end string
		want     error
	}{
		"a week more than a month":  {"hosted-instance-monthly", "2026-12-08T00:00:00Z", nil},
		"and a second":              {"hosted-instance-monthly", "2026-12-08T00:00:01Z", ErrRefused},
		"an end before the payment": {"hosted-instance-monthly", "2026-11-01T00:00:00Z", ErrBaseExpired},
		"no subscription":           {"credit-pack-5m", "2026-12-01T00:00:00Z", ErrRefused},
	} {
		if _, err := cycle(c.sku, c.end); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	s := based(t, IssueRenewal, base(t, "hosted-instance-monthly"), "hosted-instance-monthly", "2026-11-20T00:00:00Z")
	s.PeriodEnd = date(t, "2026-12-20T00:00:00Z")
	if _, err := Render(s); !errors.Is(err, ErrRefused) {
		t.Errorf("a cycle with a base: %v", err)
	}
}

func TestContractLimitsBoundWhatTheTemplateLimits(t *testing.T) {
	t.Parallel()
	for name, limits := range map[string]license.Limits{
		"below the template's":     {MaxCallers: 9},
		"negative":                 {MaxCallers: -1},
		"beyond the format":        {MaxCallers: 1 << 53},
		"of what is not limited":   {MaxTotalTokens: 5},
		"a window":                 {WindowDurationSeconds: 7200},
		"a list that is no number": {AllowedSkins: []string{"openai-chat"}},
	} {
		p := template(t, "pilot-30d")
		p.ContractLimits = &limits
		if p.Check() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	p := template(t, "pilot-30d")
	p.ContractLimits = &license.Limits{MaxCallers: 10, WindowTokens: 2_000_000}
	if err := p.Check(); err != nil {
		t.Error(err)
	}
}

// TestEveryLimitHasItsName keeps a limit that the format gains from being out of a request's reach.
func TestEveryLimitHasItsName(t *testing.T) {
	t.Parallel()
	var names []string
	for i := range reflect.TypeFor[license.Limits]().NumField() {
		field := reflect.TypeFor[license.Limits]().Field(i)
		if field.Type.Kind() != reflect.Int64 {
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		names = append(names, name)
		var l license.Limits
		if to := LimitOf(&l, name); to == nil || to != reflect.ValueOf(&l).Elem().Field(i).Addr().Interface() {
			t.Errorf("%s is another field", name)
		}
	}
	if !slices.Equal(names, LimitNames()) {
		t.Errorf("limits %v, names %v", names, LimitNames())
	}
	if LimitOf(new(license.Limits), "allowed_skins") != nil {
		t.Error("a list is taken for a limit")
	}
}
