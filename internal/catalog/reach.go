package catalog

import (
	"fmt"
	"slices"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

// Reach is how far something goes beyond what anyone may buy: the number of different people who must approve it.
type Reach int

// The reaches.
const (
	ReachTemplate Reach = 1 // within the template's limits and 30 more days
	ReachBounds   Reach = 2 // beyond, up to the bundle's outer bounds
	reachNobody   Reach = 3
)

// ErrBeyond refuses what nobody may approve. It wraps ErrRefused.
var ErrBeyond = fmt.Errorf("%w: beyond what anyone may approve", ErrRefused)

// Bounds are how far two approvers may go beyond a template; nobody may go further.
type Bounds struct {
	ExtraMonths int   `json:"extra_months"` // calendar months after the expiry that the license would have, or has
	LimitFactor int64 `json:"limit_factor"` // times a limit of the template; 0 and 1 raise none
}

// moreTime is how much later than it would a license may expire with one approver.
const moreTime = 30 * 24 * time.Hour

// measure tells how far a license goes from what it would be without what people approve. Only what differs counts, so that
// what a base holds already is not asked about again.
func measure(before, after license.Payload, t Template, b Bounds) (Reach, error) {
	reach := ReachTemplate
	far := func(what string, r Reach) error {
		if r == reachNobody {
			return fmt.Errorf("%w: %s", ErrBeyond, what)
		}
		reach = max(reach, r)
		return nil
	}
	if err := far("expires_at", b.expiry(before.ExpiresAt, after.ExpiresAt)); err != nil {
		return 0, err
	}
	if err := far("a feature", featureReach(before.Features, after.Features, t)); err != nil {
		return 0, err
	}
	if err := far("an environment", environmentReach(before.Deployment, after.Deployment, t)); err != nil {
		return 0, err
	}
	for _, f := range limitFields {
		contract := int64(maxLimit)
		if t.ContractLimits != nil {
			contract = *f.of(t.ContractLimits)
		}
		old, now, sold := *f.of(&before.Limits), *f.of(&after.Limits), *f.of(&t.Limits)
		r := b.limit(old, now, sold, contract)
		if f.name == limitWindow {
			r = windowReach(old, now, sold)
		}
		if err := far(f.name, r); err != nil {
			return 0, err
		}
	}
	return reach, nil
}

func (b Bounds) expiry(before, after time.Time) Reach {
	switch {
	case !after.After(before.Add(moreTime)):
		return ReachTemplate
	case !after.After(Term{Months: b.ExtraMonths}.After(before)):
		return ReachBounds
	}
	return reachNobody
}

// limit measures a limit against the one that the template sells, where 0 is no limit. Whoever raises a limit may go to the
// bundle's factor, and a contract no further than its template's bound for it; no factor reaches no limit at all.
func (b Bounds) limit(old, now, sold, contract int64) Reach {
	lowered := now > 0 && (old == 0 || now <= old)
	switch {
	case now == old, lowered, sold == 0, now > 0 && now <= sold:
		return ReachTemplate
	case now > 0 && now <= min(sold*max(b.LimitFactor, 1), contract):
		return ReachBounds
	}
	return reachNobody
}

// windowReach measures the length of the window that caps are counted in: the same cap in a shorter one lets more through.
// Nobody may make it shorter than the template's, since the caps alone are what a factor is for.
func windowReach(old, now, sold int64) Reach {
	longer := now > 0 && (old == 0 || now >= old)
	if now == old || longer || sold == 0 || now >= sold {
		return ReachTemplate
	}
	return reachNobody
}

func featureReach(before, after []string, t Template) Reach {
	reach := ReachTemplate
	for _, feature := range after {
		switch {
		case slices.Contains(before, feature), slices.Contains(before, license.FeatureAll), slices.Contains(t.Features, feature):
		case slices.Contains(t.AddOnFeatures, feature):
			reach = ReachBounds
		default:
			return reachNobody
		}
	}
	return reach
}

// environmentReach lets a license that names no environment be narrowed to any.
func environmentReach(before, after license.Deployment, t Template) Reach {
	for _, e := range after.AllowedEnvironments {
		if len(before.AllowedEnvironments) > 0 && !slices.Contains(before.AllowedEnvironments, e) && !slices.Contains(t.Environments, e) {
			return reachNobody
		}
	}
	return ReachTemplate
}
