package view

import (
	"strings"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/license"
)

// Field is one fact of a license in the words that every page uses for it.
type Field struct {
	Label string
	Value string
	Mono  bool
}

// noLimit is how a limit of zero reads.
const noLimit = "no limit"

// LimitFields lists every limit by the same names on package pages, license pages and diffs.
func LimitFields(l license.Limits) []Field {
	fields := []Field{
		{Label: "Total tokens", Value: limit(l.MaxTotalTokens)},
		{Label: "Total requests", Value: limit(l.MaxTotalRequests)},
		{Label: "Monthly requests", Value: limit(l.MaxMonthlyRequests)},
		{Label: "Tokens per window", Value: window(l.WindowTokens, l)},
		{Label: "Requests per window", Value: window(l.WindowRequests, l)},
		{Label: "Concurrent requests", Value: limit(l.MaxConcurrent)},
		{Label: "Instances", Value: limit(l.MaxInstances)},
		{Label: "Callers", Value: limit(l.MaxCallers)},
		{Label: "Model groups", Value: limit(l.MaxModelGroups)},
		{Label: "Admins", Value: limit(l.MaxAdmins)},
		{Label: "Retention", Value: retention(l.MaxRetentionDays)},
	}
	if len(l.AllowedSkins) > 0 {
		fields = append(fields, Field{Label: "API styles", Value: Words(l.AllowedSkins)})
	}
	return fields
}

func limit(n int64) string {
	if n == 0 {
		return noLimit
	}
	return Number(n)
}

func retention(days int64) string {
	if days == 0 {
		return noLimit
	}
	return Count(days, "day")
}

// windowTokens writes how many tokens a license serves in its window, in words.
func windowTokens(l license.Limits) string {
	if l.WindowDurationSeconds == 3600 {
		return Volume(l.WindowTokens) + " tokens an hour"
	}
	return Volume(l.WindowTokens) + " tokens in " + Count(l.WindowDurationSeconds, "second")
}

func window(n int64, l license.Limits) string {
	switch {
	case n == 0:
		return noLimit
	case l.WindowDurationSeconds == 3600:
		return Number(n) + " an hour"
	}
	return Number(n) + " in " + Count(l.WindowDurationSeconds, "second")
}

// TemplateFields lists what a license of a template will contain.
func TemplateFields(t catalog.Template) []Field {
	fields := []Field{
		{Label: "SKU", Value: t.SKU, Mono: true},
		{Label: "Runs for", Value: Term(t.Term)},
		{Label: "Grace for renewal", Value: grace(t.GraceHours)},
	}
	fields = append(fields, LimitFields(t.Limits)...)
	return append(fields,
		Field{Label: "Features", Value: strings.Join(t.Features, ", "), Mono: true},
		Field{Label: "Deployment mode", Value: t.DeploymentMode, Mono: true},
		Field{Label: "Environments", Value: Words(t.Environments)},
		Field{Label: "Fingerprint", Value: fingerprint(t.FingerprintRequired)},
	)
}

func grace(hours int) string {
	if hours == 0 {
		return "none"
	}
	return Hours(hours)
}

func fingerprint(required bool) string {
	if required {
		return "required"
	}
	return "not required"
}

// PayloadFields lists every claim of a license.
func PayloadFields(p license.Payload) []Field {
	fields := []Field{
		{Label: "SKU", Value: p.SKU, Mono: true},
		{Label: "Expires", Value: Stamp(p.ExpiresAt)},
		{Label: "Grace for renewal", Value: "none"},
	}
	if !p.GraceUntil.IsZero() {
		fields[2].Value = "until " + Stamp(p.GraceUntil)
	}
	fields = append(fields, LimitFields(p.Limits)...)
	fields = append(fields,
		Field{Label: "Features", Value: strings.Join(p.Features, ", "), Mono: true},
		Field{Label: "Deployment mode", Value: p.Deployment.Mode, Mono: true},
		Field{Label: "Environments", Value: Words(p.Deployment.AllowedEnvironments)},
		Field{Label: "Fingerprint", Value: fingerprint(p.Deployment.InstanceFingerprintRequired)},
		Field{Label: "Fingerprints", Value: fingerprintList(p.Deployment), Mono: true},
		Field{Label: "Issued to", Value: p.CustomerName},
		Field{Label: "Signing key", Value: p.KeyID, Mono: true},
	)
	if p.Notes != "" {
		fields = append(fields, Field{Label: "Notes", Value: p.Notes})
	}
	return fields
}

// Fingerprints lists the instances that a license names, raw or hashed.
func Fingerprints(d license.Deployment) []string {
	var list []string
	if d.InstanceFingerprint != "" {
		list = append(list, d.InstanceFingerprint)
	}
	list = append(list, d.AllowedInstances...)
	return append(list, d.AllowedInstanceFingerprints...)
}

func fingerprintList(d license.Deployment) string {
	list := Fingerprints(d)
	if len(list) == 0 {
		return "none named"
	}
	return strings.Join(list, ", ")
}
