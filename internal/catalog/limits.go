package catalog

import (
	"slices"

	"github.com/metrum-ai/licensing-portal/license"
)

type limitField struct {
	name string
	of   func(*license.Limits) *int64
}

// limitFields are the numeric limits by their JSON names, in the order of license.Limits.
var limitFields = []limitField{
	{"max_model_groups", func(l *license.Limits) *int64 { return &l.MaxModelGroups }},
	{"max_callers", func(l *license.Limits) *int64 { return &l.MaxCallers }},
	{"max_monthly_requests", func(l *license.Limits) *int64 { return &l.MaxMonthlyRequests }},
	{"max_total_tokens", func(l *license.Limits) *int64 { return &l.MaxTotalTokens }},
	{"max_total_requests", func(l *license.Limits) *int64 { return &l.MaxTotalRequests }},
	{"window_tokens", func(l *license.Limits) *int64 { return &l.WindowTokens }},
	{"window_requests", func(l *license.Limits) *int64 { return &l.WindowRequests }},
	{limitWindow, func(l *license.Limits) *int64 { return &l.WindowDurationSeconds }},
	{"max_concurrent", func(l *license.Limits) *int64 { return &l.MaxConcurrent }},
	{"max_admins", func(l *license.Limits) *int64 { return &l.MaxAdmins }},
	{"max_retention_days", func(l *license.Limits) *int64 { return &l.MaxRetentionDays }},
	{"max_instances", func(l *license.Limits) *int64 { return &l.MaxInstances }},
}

// limitWindow is the only limit that is wider where it is lower.
const limitWindow = "window_duration_seconds"

// LimitNames lists the numeric limits by their JSON names, in the order in which a staff request names them.
func LimitNames() []string {
	names := make([]string, len(limitFields))
	for i, f := range limitFields {
		names[i] = f.name
	}
	return names
}

// LimitOf finds a limit by its JSON name; it is nil where there is none of that name.
func LimitOf(l *license.Limits, name string) *int64 {
	for _, f := range limitFields {
		if f.name == name {
			return f.of(l)
		}
	}
	return nil
}

// cloneLimits copies limits with their list.
func cloneLimits(l license.Limits) license.Limits {
	l.AllowedSkins = slices.Clone(l.AllowedSkins)
	return l
}
