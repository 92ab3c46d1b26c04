package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

// change is one difference between two licenses, with what it means to the router or its owner. Worse says that
// something is lost.
type change struct {
	Field  string `json:"field"`
	Before string `json:"before"`
	After  string `json:"after"`
	Effect string `json:"effect"`
	Worse  bool   `json:"worse"`
	minor  bool   // worse, and yet part of an ordinary purchase
}

// compare lists what changes for the router where after takes the place of before, most important first.
func compare(before, after license.Payload) []change {
	var found []change
	add := func(c change) {
		if c.Before != c.After {
			found = append(found, c)
		}
	}
	add(change{Field: "customer", Before: before.CustomerID, After: after.CustomerID,
		Effect: "another customer's license", Worse: true})
	add(change{Field: "deployment", Before: before.Deployment.DeploymentID, After: after.Deployment.DeploymentID,
		Effect: "for another deployment", Worse: before.Deployment.DeploymentID != ""})
	add(change{Field: "sku", Before: before.SKU, After: after.SKU, Effect: "another package"})
	if longer := after.ExpiresAt.Sub(before.ExpiresAt); longer != 0 {
		add(change{Field: "expires_at", Before: moment(before.ExpiresAt), After: moment(after.ExpiresAt),
			Effect: laterOrEarlier(longer), Worse: longer < 0})
	}
	found = append(found, compareFeatures(before, after)...)
	found = append(found, compareLimits(before, after)...)
	found = append(found, compareLists(before.Deployment, after.Deployment)...)
	add(change{Field: "deployment mode", Before: before.Deployment.Mode, After: after.Deployment.Mode,
		Effect: "commercial only"})
	add(change{Field: "key_id", Before: before.KeyID, After: after.KeyID, Effect: "the router must know this key"})
	return found
}

func moment(t time.Time) string { return t.Format(time.RFC3339) }

func laterOrEarlier(d time.Duration) string {
	if d < 0 {
		return span(-d) + " earlier"
	}
	return span(d) + " later"
}

func compareFeatures(before, after license.Payload) (found []change) {
	gained, lost := without(after.Features, before.Features), without(before.Features, after.Features)
	if slices.Contains(after.Features, license.FeatureAll) {
		lost = nil // nothing is lost to a license that has them all
	}
	for _, name := range lost {
		effect := "requests that need it are refused"
		if name == license.FeatureAll {
			effect = "only the features that the license names are left"
		}
		found = append(found, change{Field: "feature " + name, Before: "yes", After: "no", Effect: effect, Worse: true})
	}
	for _, name := range gained {
		found = append(found, change{Field: "feature " + name, Before: "no", After: "yes", Effect: "new"})
	}
	return found
}

func without(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(other, s) })
}

// A limit of a license; zero is none.
type limit struct {
	name, unit    string
	before, after int64
	volume        bool // a router gives each license ID its own budget of it
}

func limitsOf(b, a license.Limits) []limit {
	return []limit{
		{"max_total_tokens", "tokens", b.MaxTotalTokens, a.MaxTotalTokens, true},
		{"max_total_requests", "requests", b.MaxTotalRequests, a.MaxTotalRequests, true},
		{"max_monthly_requests", "requests a month", b.MaxMonthlyRequests, a.MaxMonthlyRequests, false},
		{"window_tokens", "tokens a window", b.WindowTokens, a.WindowTokens, false},
		{"window_requests", "requests a window", b.WindowRequests, a.WindowRequests, false},
		{"max_concurrent", "requests at once", b.MaxConcurrent, a.MaxConcurrent, false},
		{"max_callers", "callers", b.MaxCallers, a.MaxCallers, false},
		{"max_model_groups", "model groups", b.MaxModelGroups, a.MaxModelGroups, false},
		{"max_admins", "admins", b.MaxAdmins, a.MaxAdmins, false},
		{"max_retention_days", "days of retention", b.MaxRetentionDays, a.MaxRetentionDays, false},
		{"max_instances", "instances", b.MaxInstances, a.MaxInstances, false},
	}
}

func compareLimits(before, after license.Payload) (found []change) {
	for _, l := range limitsOf(before.Limits, after.Limits) {
		c := change{Field: l.name, Before: number(l.before), After: number(l.after), Worse: lower(l.before, l.after)}
		switch {
		case l.volume && l.after > 0 && before.LicenseID != after.LicenseID:
			c.Effect = "a fresh volume from zero; unused volume does not carry over"
		case l.before == l.after:
			continue
		case l.after == 0:
			c.Effect = "the limit is lifted"
		case l.before == 0:
			c.Effect, c.minor = "a limit is set", true
		case l.after > l.before:
			c.Effect = number(l.after-l.before) + " more " + l.unit
		default:
			c.Effect = number(l.before-l.after) + " fewer " + l.unit
		}
		found = append(found, c)
	}
	if b, a := before.Limits.WindowDurationSeconds, after.Limits.WindowDurationSeconds; b != a {
		found = append(found, change{Field: "window_duration_seconds", Before: number(b), After: number(a),
			Effect: "volume windows of another length", Worse: a > b && b > 0})
	}
	if b, a := before.Limits.AllowedSkins, after.Limits.AllowedSkins; !same(b, a) {
		lost := len(a) > 0 && (len(b) == 0 || len(without(b, a)) > 0)
		found = append(found, change{Field: "allowed_skins", Before: list(b, "all"), After: list(a, "all"),
			Effect: "which API dialects callers may use", Worse: lost})
	}
	return found
}

// lower reports whether the limit is tighter than before, where zero is none.
func lower(before, after int64) bool { return after != 0 && (before == 0 || after < before) }

func compareLists(b, a license.Deployment) (found []change) {
	if !same(b.AllowedEnvironments, a.AllowedEnvironments) {
		lost := len(a.AllowedEnvironments) > 0 &&
			(len(b.AllowedEnvironments) == 0 || len(without(b.AllowedEnvironments, a.AllowedEnvironments)) > 0)
		found = append(found, change{Field: "environments", Before: list(b.AllowedEnvironments, "any"),
			After: list(a.AllowedEnvironments, "any"), Effect: "where it may be used", Worse: lost, minor: len(b.AllowedEnvironments) == 0})
	}
	before, after := instances(b), instances(a)
	switch {
	case same(before, after) && bound(b) == bound(a):
		// A hash holds the license ID, so every license hashes one fingerprint to another entry.
		if !same(b.AllowedInstanceFingerprints, a.AllowedInstanceFingerprints) {
			found = append(found, change{Field: "instances", Before: count(b), After: count(a),
				Effect: "bound by hash: check with -fingerprint"})
		}
	case !bound(a):
		found = append(found, change{Field: "instances", Before: boundTo(b), After: boundTo(a), Effect: "runs anywhere"})
	case !bound(b):
		found = append(found, change{Field: "instances", Before: boundTo(b), After: boundTo(a),
			Effect: "routers on other instances stop", Worse: true})
	default:
		lost := len(without(before, after)) > 0 || len(before) == 0
		effect := "other instances may run"
		if lost {
			effect = "routers on the instances left out stop"
		}
		found = append(found, change{Field: "instances", Before: boundTo(b), After: boundTo(a), Effect: effect, Worse: lost})
	}
	return found
}

// instances are the raw fingerprints that a license names.
func instances(d license.Deployment) []string {
	raw := slices.Clone(d.AllowedInstances)
	if d.InstanceFingerprint != "" && !slices.Contains(raw, d.InstanceFingerprint) {
		raw = append(raw, d.InstanceFingerprint)
	}
	return raw
}

func boundTo(d license.Deployment) string {
	switch raw := instances(d); {
	case len(raw) > 0:
		return list(raw, "")
	case len(d.AllowedInstanceFingerprints) > 0:
		return count(d)
	case bound(d):
		return "any with a fingerprint"
	}
	return "any"
}

func count(d license.Deployment) string {
	return strconv.Itoa(len(d.AllowedInstanceFingerprints)) + " by hash"
}

func same(a, b []string) bool { return len(without(a, b)) == 0 && len(without(b, a)) == 0 }

func list(names []string, none string) string {
	if len(names) == 0 {
		return none
	}
	sorted := slices.Sorted(slices.Values(names))
	return strings.Join(sorted, ", ")
}

// number is a limit for people.
func number(n int64) string {
	if n == 0 {
		return "none"
	}
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// worseError is the refusal to replace a license in force by one that takes something away.
type worseError struct{ losses []change }

func (e *worseError) Error() string {
	var lines strings.Builder
	lines.WriteString("the license in force is better, so it stays (-yes replaces it all the same):")
	for _, c := range e.losses {
		fmt.Fprintf(&lines, "\n  %s: %s, now %s: %s", c.Field, shown(c.After), shown(c.Before), c.Effect)
	}
	return lines.String()
}

// losses lists what the operator must agree to before next takes the place of installed. Where it is empty, next is
// an ordinary successor. The rule:
//
//   - Another customer's license is never ordinary.
//   - A license that is not in force now has nothing to lose, so only the customer counts.
//   - An evaluation gives way to any license of its customer that lasts as long and has its features; what an
//     evaluation leaves out (other deployments, environments, instances, limits) is what is being bought.
//   - Otherwise another deployment, an earlier expiry, a feature, environment, instance or dialect less, a limit lower
//     than before, and a total volume where there was none each count. Another limit, or environments, where there were
//     none do not: a larger pack limits what a smaller one leaves open. Instances do not where checked says that this one is allowed.
func losses(installed, next license.Payload, inForce, checked bool) (lost []change) {
	evaluation := same(installed.Deployment.AllowedEnvironments, []string{"evaluation"})
	for _, c := range compare(installed, next) {
		counts := c.Worse && !c.minor
		switch {
		case c.Field == "customer":
		case !inForce:
			counts = false
		case evaluation:
			counts = counts && (c.Field == "expires_at" || strings.HasPrefix(c.Field, "feature "))
		case c.Field == "instances" && checked:
			counts = false
		}
		if counts {
			lost = append(lost, c)
		}
	}
	return lost
}
