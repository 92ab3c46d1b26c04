package catalog

import (
	"fmt"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

// After returns the end of one term that starts at t. Months are calendar months, clamped to the month's last day: one
// month after 31 January is 28 or 29 February. A term by contract has no end of its own and returns t.
func (term Term) After(t time.Time) time.Time {
	t = t.UTC()
	if term.Months == 0 {
		return t.Add(time.Duration(term.Hours) * time.Hour)
	}
	year, month, day := t.Date()
	first := time.Date(year, month+time.Month(term.Months), 1, t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(day, last)-1)
}

// CanRenew says whether template t may be bought as a renewal of base; the error, which wraps ErrRefused, says why not
// in words for a customer. baseTemplate is the newest version of the base's SKU, zero where the bundle has none.
func CanRenew(base license.Payload, baseTemplate, t Template) error {
	switch {
	case baseTemplate.Evaluation:
		return fmt.Errorf("%w: an evaluation does not renew; buy a package instead", ErrRefused)
	case t.Evaluation:
		return fmt.Errorf("%w: an evaluation cannot renew another license", ErrRefused)
	case t.Subscription(): // whose licenses have no base
		return fmt.Errorf("%w: a subscription renews by itself; start one for the deployment instead", ErrRefused)
	}
	return sameUse(base, t)
}

// CanTopUp says whether template t may be bought as a top-up of base at the given time; the error wraps ErrRefused or
// ErrBaseExpired and says why not in words for a customer.
func CanTopUp(base license.Payload, baseTemplate, t Template, now time.Time) error {
	if err := topUpRules(base, baseTemplate, t); err != nil {
		return err
	}
	if !now.Before(base.ExpiresAt) {
		return fmt.Errorf("%w: an expired license takes no top-up; renew it instead", ErrBaseExpired)
	}
	return nil
}

func topUpRules(base license.Payload, baseTemplate, t Template) error {
	switch {
	case t.Kind != KindVolume || t.Limits.MaxTotalTokens == 0:
		return fmt.Errorf("%w: only a volume pack tops up a license", ErrRefused)
	case base.Limits.MaxTotalTokens == 0:
		return fmt.Errorf("%w: the license has no volume to top up", ErrRefused)
	case baseTemplate.Kind == KindVolume:
		return sameUse(base, t)
	}
	return nil
}

// sameUse refuses to carry a deployment into another package that would not sell it: a renewal takes the deployment from
// the base, and must not put production under a package that is sold for evaluation.
func sameUse(base license.Payload, t Template) error {
	if base.SKU == t.SKU {
		return nil
	}
	if base.Deployment.Mode != t.DeploymentMode || !subset(base.Deployment.AllowedEnvironments, t.Environments) {
		return fmt.Errorf("%w: this package is not sold for the license's deployment", ErrRefused)
	}
	return nil
}
