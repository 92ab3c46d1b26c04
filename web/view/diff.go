package view

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

// Change is a field that differs between two licenses, with what it means.
type Change struct {
	Label, Before, After, Effect string
	Mono                         bool
}

// Diff compares two licenses over every field a license page shows: what changed, and what did not.
func Diff(before, after license.Payload) (changed []Change, same []Field) {
	old := map[string]Field{}
	for _, f := range PayloadFields(before) {
		old[f.Label] = f
	}
	for _, f := range PayloadFields(after) {
		o, had := old[f.Label]
		delete(old, f.Label)
		if had && o.Value == f.Value {
			same = append(same, f)
			continue
		}
		if !had {
			o.Value = "none"
		}
		changed = append(changed, Change{Label: f.Label, Before: o.Value, After: f.Value, Mono: f.Mono, Effect: effect(f.Label, before, after)})
	}
	for _, f := range PayloadFields(before) { // what the newer one does not have at all, in page order
		if _, left := old[f.Label]; left {
			changed = append(changed, Change{Label: f.Label, Before: f.Value, After: "none", Mono: f.Mono})
		}
	}
	// A new license ID gives the router a fresh budget, so equal volume is a change in effect; say so where it applies.
	if after.Limits.MaxTotalTokens > 0 && before.Limits.MaxTotalTokens == after.Limits.MaxTotalTokens && before.LicenseID != after.LicenseID {
		i := slices.IndexFunc(same, func(f Field) bool { return f.Label == "Total tokens" })
		changed = append(changed, Change{
			Label: "Total tokens", Before: same[i].Value, After: same[i].Value, Effect: freshVolume,
		})
		same = slices.Delete(same, i, i+1)
	}
	return changed, same
}

const freshVolume = "A fresh volume from zero; unused volume does not carry over"

// effect says in words what a change means to the router or its owner.
func effect(label string, a, b license.Payload) string {
	switch label {
	case "Expires":
		return longer(b.ExpiresAt.Sub(a.ExpiresAt))
	case "Grace for renewal":
		return "A renewal is on time until then; the router stops at expiry"
	case "Total tokens":
		if b.Limits.MaxTotalTokens == 0 {
			return "The router stops counting a total"
		}
		return freshVolume
	case "Total requests":
		return moreOrFewer(a.Limits.MaxTotalRequests, b.Limits.MaxTotalRequests)
	case "Monthly requests":
		return moreOrFewer(a.Limits.MaxMonthlyRequests, b.Limits.MaxMonthlyRequests)
	case "Tokens per window":
		return windowChange(a.Limits.WindowTokens, b.Limits.WindowTokens, a.Limits, b.Limits)
	case "Requests per window":
		return windowChange(a.Limits.WindowRequests, b.Limits.WindowRequests, a.Limits, b.Limits)
	case "Concurrent requests":
		return moreOrFewer(a.Limits.MaxConcurrent, b.Limits.MaxConcurrent)
	case "Instances":
		return moreOrFewer(a.Limits.MaxInstances, b.Limits.MaxInstances)
	case "Callers":
		return moreOrFewer(a.Limits.MaxCallers, b.Limits.MaxCallers)
	case "Model groups":
		return moreOrFewer(a.Limits.MaxModelGroups, b.Limits.MaxModelGroups)
	case "Admins":
		return moreOrFewer(a.Limits.MaxAdmins, b.Limits.MaxAdmins)
	case "Retention":
		return moreOrFewer(a.Limits.MaxRetentionDays, b.Limits.MaxRetentionDays)
	case "Features":
		return features(a.Features, b.Features)
	case "Signing key":
		return "Your router must know this key"
	case "Fingerprints", "Fingerprint":
		return "Which instances may start"
	}
	return ""
}

func longer(d time.Duration) string {
	switch {
	case d > 0:
		return span(d) + " later"
	case d < 0:
		return span(-d) + " earlier"
	}
	return ""
}

// moreOrFewer compares two limits, where zero is none.
func moreOrFewer(a, b int64) string {
	switch {
	case b == 0:
		return "The limit is lifted"
	case a == 0:
		return "A limit is set"
	case b > a:
		return Number(b-a) + " more"
	}
	return Number(a-b) + " fewer"
}

// windowChange compares two limits of a window; their numbers tell nothing where the windows differ in length.
func windowChange(a, b int64, before, after license.Limits) string {
	if a > 0 && b > 0 && before.WindowDurationSeconds != after.WindowDurationSeconds {
		return "Another window"
	}
	return moreOrFewer(a, b)
}

func features(a, b []string) string {
	var parts []string
	if gained := without(b, a); len(gained) > 0 {
		parts = append(parts, fmt.Sprintf("Adds %s", strings.Join(gained, ", ")))
	}
	if lost := without(a, b); len(lost) > 0 {
		parts = append(parts, fmt.Sprintf("Loses %s", strings.Join(lost, ", ")))
	}
	return strings.Join(parts, ". ")
}

func without(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(other, s) })
}
