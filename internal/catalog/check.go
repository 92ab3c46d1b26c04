package catalog

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

var (
	skuForm      = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	currencyForm = regexp.MustCompile(`^[A-Z]{3}$`)
)

// Check validates a template whole, telling all problems at once. Last it tries whether a license made from it keeps the
// rules of the license format, so that no order can be paid for that the signer could not fulfill.
func (t Template) Check() error {
	var list []error
	bad := func(wrong bool, what string) {
		if wrong {
			list = append(list, errors.New(what))
		}
	}
	bad(!skuForm.MatchString(t.SKU) || len(t.SKU) > 64, "sku is not lower-case words joined by dashes")
	bad(t.Version < 1, "version is not positive")
	bad(t.Name == "" || t.Summary == "", "name or summary is missing")
	bad(t.Kind != KindTime && t.Kind != KindVolume, "unknown kind")
	bad(t.Channel != ChannelCheckout && t.Channel != ChannelInvoice, "unknown channel")
	bad(t.DeploymentMode == "", "deployment_mode is missing")
	bad(t.MaxQuantity != 1, "max_quantity is not 1, the only quantity that a license can hold")
	bad(t.GraceHours < 0, "grace_hours is negative")
	bad(t.Kind == KindVolume && t.Limits.MaxTotalTokens == 0, "a volume template has no max_total_tokens")
	bad(t.Evaluation != t.OnePerCustomer, "an evaluation is one per customer, and nothing else is")
	bad(t.Evaluation && !t.Free(), "an evaluation is free")
	bad(t.ClosedAt != nil && t.RenewalsUntil != nil && t.RenewalsUntil.Before(*t.ClosedAt), "renewals_until is before closed_at")
	bad(len(t.Environments) == 0 || repeats(t.Environments), "environments are missing or repeat")
	bad(slices.ContainsFunc(t.Environments, func(e string) bool { return !environment.MatchString(e) }),
		"an environment is not a lower-case word")
	bad(!slices.IsSorted(t.Features) || repeats(t.Features), "features are not sorted or repeat")
	bad(!slices.IsSorted(t.AddOnFeatures) || repeats(append(slices.Clone(t.Features), t.AddOnFeatures...)),
		"add-on features are not sorted or repeat")
	list = append(list, t.Price.check(t), t.Term.check(t.Channel), t.checkContract(), t.tryPayload(t.Features),
		t.tryPayload(append(slices.Clone(t.Features), t.AddOnFeatures...)))
	return errors.Join(list...)
}

func (p Price) check(t Template) error {
	switch {
	case !currencyForm.MatchString(p.Currency):
		return errors.New("price: currency is not an upper-case ISO 4217 code")
	case p.Interval != OneTime && p.Interval != Monthly && p.Interval != Yearly:
		return errors.New("price: unknown interval")
	case p.UnitAmount < 0 || p.UnitAmount > 1<<40:
		return errors.New("price: unit_amount is negative or absurd")
	case p.ByContract && (p.UnitAmount != 0 || p.LookupKey != "" || t.Channel != ChannelInvoice):
		return errors.New("price: by contract, so it has no amount or lookup key and is sold by invoice")
	case !p.ByContract && p.LookupKey != t.LookupKey():
		return fmt.Errorf("price: lookup_key is not %s", t.LookupKey())
	}
	return nil
}

func (term Term) check(channel Channel) error {
	kinds := 0
	for _, set := range []bool{term.Months != 0, term.Hours != 0, term.ByContract} {
		if set {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		return errors.New("term: exactly one of months, hours and by_contract")
	case term.Months < 0 || term.Months > 120 || term.Hours < 0 || term.Hours > 24*3660:
		return errors.New("term: negative or longer than ten years")
	case term.ByContract && channel != ChannelInvoice:
		return errors.New("term: by contract, so it is sold by invoice")
	}
	return nil
}

// checkContract refuses bounds below what the template sells, or for what it does not limit. The window is none of them:
// nobody may make it shorter.
func (t Template) checkContract() error {
	if t.ContractLimits == nil {
		return nil
	}
	for _, f := range limitFields {
		most, sold := *f.of(t.ContractLimits), *f.of(&t.Limits)
		if most != 0 && (most < sold || most > maxLimit || sold == 0 || f.name == limitWindow) {
			return fmt.Errorf("contract_limits: %s is no bound above the template's own limit", f.name)
		}
	}
	if len(t.ContractLimits.AllowedSkins) > 0 {
		return errors.New("contract_limits: allowed_skins is no number")
	}
	return nil
}

// tryPayload writes the canonical form of a license with the template's limits and the given features.
func (t Template) tryPayload(features []string) error {
	issued := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	p := license.Payload{
		SchemaVersion: license.SchemaVersion, Product: license.Product, Issuer: license.Issuer, KeyID: "k", SKU: t.SKU,
		LicenseID: LicenseID(t.SKU, issued, "trial"), CustomerID: "cust_1", IssuedAt: issued, NotBefore: issued,
		ExpiresAt: issued.Add(time.Hour), Features: slices.Sorted(slices.Values(features)), Limits: t.Limits,
		Deployment: license.Deployment{Mode: t.DeploymentMode, AllowedEnvironments: t.Environments},
	}
	if _, err := p.Canonical(); err != nil {
		return fmt.Errorf("a license made from it breaks the format: %s", strings.TrimSpace(err.Error()))
	}
	return nil
}
