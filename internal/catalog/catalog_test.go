package catalog

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/metrum-ai/licensing-portal/license"
)

func template(t testing.TB, sku string) Template {
	t.Helper()
	for _, template := range Launch() {
		if template.SKU == sku {
			return template
		}
	}
	t.Fatalf("no template %s", sku)
	return Template{}
}

func date(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestLaunchTemplatesAreValidAndComplete(t *testing.T) {
	t.Parallel()
	prices := map[string]int64{
		"eval-72h": 0, "pilot-30d": 99900, "credit-pack-5m": 25000, "credit-pack-25m": 100000, "hosted-instance-monthly": 49900,
		"hosted-instance-annual": 499000, "enterprise-annual": 1500000, "marketplace-seat": 0,
	}
	selfService := map[string]bool{"eval-72h": true, "pilot-30d": true, "credit-pack-5m": true, "credit-pack-25m": true, "hosted-instance-monthly": true, "hosted-instance-annual": true}
	for _, template := range Launch() {
		if err := template.Check(); err != nil {
			t.Errorf("%s: %v", template.SKU, err)
		}
		want, ok := prices[template.SKU]
		if !ok || template.Price.UnitAmount != want || template.Price.Currency != "USD" {
			t.Errorf("%s: price %+v", template.SKU, template.Price)
		}
		if template.SelfService() != selfService[template.SKU] {
			t.Errorf("%s: self-service %v", template.SKU, template.SelfService())
		}
		delete(prices, template.SKU)
	}
	if len(prices) != 0 {
		t.Errorf("missing: %v", prices)
	}
}

func TestTemplateCheckRefuses(t *testing.T) {
	t.Parallel()
	cases := map[string]func(*Template){
		"quantity above one":        func(p *Template) { p.MaxQuantity = 2 },
		"unknown feature":           func(p *Template) { p.Features = []string{"routing", "teleport"} },
		"unknown add-on":            func(p *Template) { p.AddOnFeatures = []string{"teleport"} },
		"no routing":                func(p *Template) { p.Features = []string{"usage_reporting"} },
		"unsorted features":         func(p *Template) { p.Features = []string{"usage_reporting", "routing"} },
		"negative limit":            func(p *Template) { p.Limits.MaxCallers = -1 },
		"window without duration":   func(p *Template) { p.Limits.WindowTokens = 5 },
		"other lookup key":          func(p *Template) { p.Price.LookupKey = "cheap" },
		"two terms":                 func(p *Template) { p.Term = Term{Months: 1, Hours: 1} },
		"no term":                   func(p *Template) { p.Term = Term{} },
		"contract term by checkout": func(p *Template) { p.Term = Term{ByContract: true} },
		"paid evaluation":           func(p *Template) { p.Evaluation, p.OnePerCustomer = true, true },
		"lower-case currency":       func(p *Template) { p.Price.Currency = "usd" },
		"negative price":            func(p *Template) { p.Price.UnitAmount = -1 },
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := template(t, "credit-pack-5m")
			change(&p)
			if p.Check() == nil {
				t.Fatal("accepted")
			}
		})
	}
}

func TestMonthsAreCalendarMonthsClampedToTheLastDay(t *testing.T) {
	t.Parallel()
	cases := []struct {
		months   int
		from, to string
	}{
		{1, "2026-01-31T10:20:30Z", "2026-02-28T10:20:30Z"},
		{1, "2028-01-31T10:20:30Z", "2028-02-29T10:20:30Z"},
		{12, "2028-02-29T00:00:00Z", "2029-02-28T00:00:00Z"},
		{12, "2026-11-23T23:59:59Z", "2027-11-23T23:59:59Z"},
		{1, "2026-12-31T00:00:00Z", "2027-01-31T00:00:00Z"},
		{1, "2026-03-31T00:00:00Z", "2026-04-30T00:00:00Z"},
		{120, "2037-12-31T00:00:00Z", "2047-12-31T00:00:00Z"},
		{12, "2026-06-30T22:00:00-04:00", "2027-07-01T02:00:00Z"},
	}
	for _, c := range cases {
		if got := (Term{Months: c.months}).After(date(t, c.from)); !got.Equal(date(t, c.to)) || got.Location() != time.UTC {
			t.Errorf("%s + %d months = %s, want %s", c.from, c.months, got, c.to)
		}
	}
}

func TestMonthsKeepTheDayOrClamp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		from := time.Unix(rapid.Int64Range(0, 4_000_000_000).Draw(r, "from"), 0).UTC()
		months := rapid.IntRange(1, 120).Draw(r, "months")
		to := Term{Months: months}.After(from)
		distance := (to.Year()-from.Year())*12 + int(to.Month()) - int(from.Month())
		if distance != months {
			r.Fatalf("%s + %d months = %s", from, months, to)
		}
		if to.Day() != from.Day() && (to.Day() > from.Day() || to.AddDate(0, 0, 1).Day() != 1) {
			r.Fatalf("%s + %d months = %s: neither same day nor last day", from, months, to)
		}
		if to.Format("15:04:05") != from.Format("15:04:05") {
			r.Fatalf("time of day moved: %s, %s", from, to)
		}
	})
}

func drawIntent(r *rapid.T) Intent {
	id := rapid.StringMatching(`[0-9A-Za-z]{1,40}`)
	text := rapid.StringMatching(`[!-~äöü€]([ -~äöü€]{0,60}[!-~äöü€])?`)
	i := Intent{
		OrderID: "ord_" + id.Draw(r, "order"), Kind: rapid.SampledFrom([]IssuanceKind{IssueNew, IssueRenewal, IssueTopUp}).Draw(r, "kind"),
		Template: "credit-pack-5m@1", Quantity: rapid.IntRange(1, 999).Draw(r, "quantity"),
		CustomerID: "cust_" + id.Draw(r, "customer"), DeploymentID: "dep_" + id.Draw(r, "deployment"),
		Environments: rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z][a-z0-9_-]{0,20}`), 0, 8, rapid.ID[string]).Draw(r, "environments"),
		Fingerprints: rapid.SliceOfNDistinct(text, 0, 20, rapid.ID[string]).Draw(r, "fingerprints"),
	}
	if rapid.Bool().Draw(r, "named") {
		i.CustomerName = text.Draw(r, "name")
	}
	if i.Kind != IssueNew {
		i.BaseID, i.BaseSHA256 = "lic_"+id.Draw(r, "base"), strings.Repeat("0a", 32)
	}
	if len(i.Environments) == 0 {
		i.Environments = nil
	}
	if len(i.Fingerprints) == 0 {
		i.Fingerprints = nil
	}
	return i
}

func TestMetadataBringsTheIntentBackWithinStripesLimits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		want := drawIntent(r)
		metadata := want.Metadata()
		if len(metadata) > 50 {
			r.Fatalf("%d names", len(metadata))
		}
		for name, value := range metadata {
			if len(name) > 40 || len(value) > 500 || value == "" {
				r.Fatalf("%s: %d bytes", name, len(value))
			}
		}
		got, err := ParseIntent(metadata)
		if err != nil {
			r.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			r.Fatalf("got %+v, want %+v", got, want)
		}
	})
}

func newIntent() Intent {
	return Intent{
		OrderID: "ord_1", Kind: IssueNew, Template: "credit-pack-5m@1", Quantity: 1, CustomerID: "cust_7QK2M9",
		CustomerName: "Example Operations", DeploymentID: "dep_4F8", Environments: []string{"staging", "production"},
		Fingerprints: []string{"fp:prod-a"},
	}
}

func TestParseIntentRefuses(t *testing.T) {
	t.Parallel()
	cases := map[string]func(map[string]string){
		"unknown name":             func(m map[string]string) { m["discount"] = "100" },
		"case-folded name":         func(m map[string]string) { m["Kind"] = "new" },
		"empty value":              func(m map[string]string) { m["base_id"] = "" },
		"gap in fingerprints":      func(m map[string]string) { m["fp_3"] = "x" },
		"fingerprint zero":         func(m map[string]string) { m["fp_0"] = "x" },
		"twenty-one":               func(m map[string]string) { m["fp_21"] = "x" },
		"repeated fingerprint":     func(m map[string]string) { m["fp_2"] = m["fp_1"] },
		"repeated environment":     func(m map[string]string) { m["environments"] = "staging,staging" },
		"empty environment":        func(m map[string]string) { m["environments"] = "staging," },
		"quantity zero":            func(m map[string]string) { m["quantity"] = "0" },
		"quantity negative":        func(m map[string]string) { m["quantity"] = "-1" },
		"quantity with plus":       func(m map[string]string) { m["quantity"] = "+1" },
		"quantity padded":          func(m map[string]string) { m["quantity"] = "01" },
		"no quantity":              func(m map[string]string) { delete(m, "quantity") },
		"replacement":              func(m map[string]string) { m["kind"] = "replacement" },
		"base on a new license":    func(m map[string]string) { m["base_id"], m["base_sha256"] = "lic_x", strings.Repeat("0", 64) },
		"renewal without base":     func(m map[string]string) { m["kind"] = "renewal" },
		"order ID with newline":    func(m map[string]string) { m["order_id"] = "ord_1\n" },
		"order ID without prefix":  func(m map[string]string) { m["order_id"] = "1" },
		"name too long":            func(m map[string]string) { m["customer_name"] = strings.Repeat("x", 201) },
		"name with control":        func(m map[string]string) { m["customer_name"] = "a\x00b" },
		"name with invalid UTF-8":  func(m map[string]string) { m["customer_name"] = "a\xffb" },
		"template without version": func(m map[string]string) { m["template"] = "credit-pack-5m" },
		"template version zero":    func(m map[string]string) { m["template"] = "credit-pack-5m@0" },
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newIntent().Metadata()
			change(m)
			if _, err := ParseIntent(m); !errors.Is(err, ErrMalformed) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

func TestValidateAgainstTheTemplate(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		change func(*Intent)
		want   error
	}{
		{"as ordered", func(*Intent) {}, nil},
		{"quantity over the limit", func(i *Intent) { i.Quantity = 2 }, ErrQuantity},
		{"environment of another package", func(i *Intent) { i.Environments = []string{"evaluation"} }, ErrRefused},
		{"no environment", func(i *Intent) { i.Environments = nil }, ErrRefused},
		{"two fingerprints", func(i *Intent) { i.Fingerprints = []string{"a", "b"} }, ErrRefused},
		{"no fingerprint", func(i *Intent) { i.Fingerprints = nil }, nil},
		{"another template", func(i *Intent) { i.Template = "eval-72h@1" }, ErrRefused},
		{"another version", func(i *Intent) { i.Template = "credit-pack-5m@2" }, ErrRefused},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			i := newIntent()
			c.change(&i)
			if err := i.Validate(template(t, "credit-pack-5m")); !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestRenderNewIsTheTemplateForTheCustomer(t *testing.T) {
	t.Parallel()
	got, err := Render(Source{
		Intent: newIntent(), Template: template(t, "credit-pack-5m"), FulfillmentKey: "ord_1",
		IssuedAt: date(t, "2026-11-01T00:00:00Z"), KeyID: "test-ed25519-2026-01",
	})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte("ord_1"))
	want := license.Payload{
		SchemaVersion: 1, LicenseID: "lic_credit_pack_5m_20261101_" + hex.EncodeToString(sum[:8]), CustomerID: "cust_7QK2M9",
		CustomerName: "Example Operations", Product: "genai-smart-router", SKU: "credit-pack-5m",
		Features: []string{"routing", "usage_reporting"}, Limits: template(t, "credit-pack-5m").Limits,
		Deployment: license.Deployment{
			Mode: "self_hosted_or_private_managed", DeploymentID: "dep_4F8", AllowedEnvironments: []string{"production", "staging"},
			InstanceFingerprintRequired: true, AllowedInstances: []string{"fp:prod-a"},
		},
		IssuedAt: date(t, "2026-11-01T00:00:00Z"), NotBefore: date(t, "2026-11-01T00:00:00Z"),
		ExpiresAt: date(t, "2027-11-01T00:00:00Z"), KeyID: "test-ed25519-2026-01", Issuer: "metrum-ai",
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %+v\nwant %+v", got, want)
	}
}

func TestRenderTakesNothingFromTheClockOrTheZone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		templates := Launch()[:4]
		tp := templates[rapid.IntRange(0, 3).Draw(r, "template")]
		i := newIntent()
		i.Template, i.Fingerprints = tp.Ref(), nil
		i.Environments = slices.Clone(tp.Environments)
		at := time.Unix(rapid.Int64Range(1, 4_000_000_000).Draw(r, "at"), rapid.Int64Range(0, 999_999_999).Draw(r, "ns"))
		s := Source{Intent: i, Template: tp, FulfillmentKey: i.OrderID, IssuedAt: at, KeyID: "k"}
		one, err := Render(s)
		if err != nil {
			r.Fatal(err)
		}
		slices.Reverse(s.Intent.Environments)
		s.IssuedAt = at.In(time.FixedZone("x", 5*3600))
		two, err := Render(s)
		if err != nil || !reflect.DeepEqual(one, two) {
			r.Fatalf("%+v\n%+v\n%v", one, two, err)
		}
		if _, err := one.Canonical(); err != nil {
			r.Fatal(err)
		}
	})
}
