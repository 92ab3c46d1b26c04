package approval_test

import (
	"errors"
	"testing"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/trust"
	"github.com/metrum-ai/licensing-portal/license"
)

// baseOf is a license as replaceRequest says that it is.
func baseOf(t testing.TB, r approval.Request) license.Payload {
	return license.Payload{
		LicenseID: r.Replace.BaseID, CustomerID: r.Replace.CustomerID, CustomerName: r.Replace.CustomerName, SKU: r.Replace.SKU,
		KeyID: "license-1", ExpiresAt: day(t, "2027-11-01"),
	}
}

func TestAReplacementIsOfTheBaseThatPeopleWereShown(t *testing.T) {
	t.Parallel()
	r, b := replaceRequest(t), &trust.Bundle{Templates: catalog.Launch()}
	got, err := r.Replacement(b, baseOf(t, r), "license-2")
	if err != nil {
		t.Fatal(err)
	}
	if got.KeyID != "license-2" || !got.IssuedAt.Equal(now) || got.FulfillmentKey != r.FulfillmentKey("") ||
		got.BaseTemplate == nil || got.BaseTemplate.SKU != "credit-pack-5m" || got.Template == nil || got.Template.Ref() != "credit-pack-25m@1" {
		t.Errorf("got %+v", got)
	}
	for name, change := range map[string]func(*license.Payload){
		"another license":  func(p *license.Payload) { p.LicenseID = "lic_x" },
		"another customer": func(p *license.Payload) { p.CustomerID = "cust_x" },
		"another name":     func(p *license.Payload) { p.CustomerName = "Somebody" },
		"another package":  func(p *license.Payload) { p.SKU = "pilot-30d" },
	} {
		base := baseOf(t, r)
		change(&base)
		if _, err := r.Replacement(b, base, "license-2"); !errors.Is(err, catalog.ErrBaseMismatch) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := rotateRequest(t).Replacement(b, baseOf(t, r), "license-2"); !errors.Is(err, catalog.ErrBaseMismatch) {
		t.Errorf("a rotation replaced: %v", err)
	}
	unknown := replaceRequest(t)
	unknown.Replace.Template = "credit-pack-25m@2"
	if _, err := unknown.Replacement(b, baseOf(t, r), "license-2"); !errors.Is(err, catalog.ErrRefused) {
		t.Errorf("a template that is not there: %v", err)
	}
	kept := replaceRequest(t)
	kept.Replace.Template, kept.Replace.CustomerName = "", ""
	if got, err := kept.Replacement(&trust.Bundle{}, baseOf(t, r), "license-2"); err != nil || got.Template != nil || got.BaseTemplate != nil {
		t.Errorf("from before the portal: %v, %+v", err, got)
	}
}

func TestARotationIsOfTheOldKeysLicenses(t *testing.T) {
	t.Parallel()
	r, base := rotateRequest(t), baseOf(t, replaceRequest(t))
	got, err := r.Rotation(base, "license-2")
	if err != nil || got.KeyID != "license-2" || !got.IssuedAt.Equal(now) || got.FulfillmentKey != r.FulfillmentKey(base.LicenseID) {
		t.Errorf("%v, %+v", err, got)
	}
	base.KeyID = "license-0"
	if _, err := r.Rotation(base, "license-2"); !errors.Is(err, catalog.ErrBaseMismatch) {
		t.Errorf("another key's: %v", err)
	}
	if _, err := replaceRequest(t).Rotation(base, "license-2"); !errors.Is(err, catalog.ErrBaseMismatch) {
		t.Errorf("a replacement rotated: %v", err)
	}
}
