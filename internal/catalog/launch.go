package catalog

import (
	"strings"

	"github.com/metrum-ai/licensing-portal/license"
)

// Deployment modes of the launch templates.
const (
	modeManagedEval = "metrum_managed_eval"
	modeHosted      = "metrum_managed_hosted"
	modeSelf        = "self_hosted"
	modeSelfPrivate = "self_hosted_or_private_managed"
)

// Launch returns the approved templates at launch, version 1, in the order of the package list. Prices are in US cents.
// It serves the demo bundle and tests; what is sold in production is what the trust bundle carries.
func Launch() []Template {
	templates := append(selfServiceTemplates(), hostedTemplates()...)
	templates = append(templates, invoiceTemplates()...)
	for i := range templates {
		t := &templates[i]
		t.Version = 1
		t.MaxQuantity = 1
		t.Price.Currency = "USD"
		if !t.Price.ByContract {
			t.Price.LookupKey = t.LookupKey()
		}
	}
	return templates
}

// words splits a list written in one line.
func words(s string) []string { return strings.Fields(s) }

func selfServiceTemplates() []Template {
	return []Template{
		{
			SKU: "eval-72h", Name: "Evaluation, 72 hours",
			Summary: "For a team that wants to see the router work on its own traffic before buying anything.",
			Kind:    KindTime, Channel: ChannelCheckout, Term: Term{Hours: 72},
			Features: words("routing usage_reporting"),
			Limits: license.Limits{
				MaxTotalTokens: 5_000_000, MaxTotalRequests: 5_000, MaxCallers: 3, MaxModelGroups: 5, MaxAdmins: 1,
				MaxRetentionDays: 7, MaxInstances: 1,
			},
			DeploymentMode: modeManagedEval, Environments: words("evaluation"),
			OnePerCustomer: true, Evaluation: true,
		},
		{
			SKU: "pilot-30d", Name: "Paid pilot, 30 days",
			Summary: "For a team that proves the router in one staging setup before it decides on a longer term.",
			Kind:    KindTime, Channel: ChannelCheckout, Price: Price{UnitAmount: 999_00},
			Term: Term{Hours: 30 * 24}, GraceHours: 72,
			Features:      words("dynamic_score routing usage_reporting"),
			AddOnFeatures: words("admin_reports external_policy external_policy_http pii_filtering private_upstreams typescript_routing"),
			Limits: license.Limits{
				WindowTokens: 1_000_000, WindowRequests: 1_000, WindowDurationSeconds: 3_600, MaxCallers: 10,
				MaxModelGroups: 10, MaxAdmins: 3, MaxRetentionDays: 30, MaxInstances: 1, MaxConcurrent: 25,
			},
			DeploymentMode: modeSelfPrivate, Environments: words("evaluation staging"), FingerprintRequired: true,
		},
		{
			SKU: "credit-pack-5m", Name: "Credit pack, 5M tokens",
			Summary: "For steady small production use that pays for volume instead of time.",
			Kind:    KindVolume, Channel: ChannelCheckout, Price: Price{UnitAmount: 250_00}, Term: Term{Months: 12},
			Features: words("routing usage_reporting"),
			Limits: license.Limits{
				MaxTotalTokens: 5_000_000, MaxTotalRequests: 100_000, MaxCallers: 50, MaxModelGroups: 20, MaxAdmins: 5,
				MaxInstances: 1,
			},
			DeploymentMode: modeSelfPrivate, Environments: words("production staging"), FingerprintRequired: true,
		},
		{
			SKU: "credit-pack-25m", Name: "Credit pack, 25M tokens",
			Summary: "For larger production use that pays for volume and needs reports and exports.",
			Kind:    KindVolume, Channel: ChannelCheckout, Price: Price{UnitAmount: 1_000_00}, Term: Term{Months: 12},
			Features:      words("admin_reports routing usage_baseline_export usage_csv_export usage_reporting"),
			AddOnFeatures: words("dynamic_score pii_filtering private_upstreams"),
			Limits: license.Limits{
				MaxTotalTokens: 25_000_000, MaxTotalRequests: 500_000, MaxCallers: 100, MaxModelGroups: 30, MaxAdmins: 8,
				MaxInstances: 1, MaxConcurrent: 100,
			},
			DeploymentMode: modeSelfPrivate, Environments: words("production staging"), FingerprintRequired: true,
		},
	}
}

func hostedTemplates() []Template {
	addOns := words("external_policy private_upstreams typescript_routing")
	return []Template{
		{
			SKU: "hosted-instance-monthly", Name: "Hosted instance, monthly",
			Summary: "For a team that wants an instance run for it and the freedom to stop after any month.",
			Kind:    KindTime, Channel: ChannelCheckout, Price: Price{UnitAmount: 499_00, Interval: Monthly},
			Term: Term{Months: 1}, GraceHours: 72,
			Features:      words("admin_reports dynamic_score pii_filtering routing usage_reporting"),
			AddOnFeatures: addOns,
			Limits: license.Limits{
				WindowTokens: 2_000_000, WindowRequests: 2_000, WindowDurationSeconds: 3_600, MaxCallers: 20,
				MaxModelGroups: 15, MaxAdmins: 5, MaxRetentionDays: 30, MaxInstances: 1, MaxConcurrent: 50,
			},
			DeploymentMode: modeHosted, Environments: words("evaluation staging"), FingerprintRequired: true,
		},
		{
			SKU: "hosted-instance-annual", Name: "Hosted instance, annual",
			Summary: "For a team that wants an instance run for it through the year, with higher limits and exports.",
			Kind:    KindTime, Channel: ChannelCheckout, Price: Price{UnitAmount: 4_990_00, Interval: Yearly},
			Term: Term{Months: 12}, GraceHours: 7 * 24,
			Features:      words("admin_reports dynamic_score pii_filtering routing usage_csv_export usage_reporting"),
			AddOnFeatures: words("external_policy private_upstreams typescript_routing"),
			Limits: license.Limits{
				WindowTokens: 5_000_000, WindowRequests: 5_000, WindowDurationSeconds: 3_600, MaxCallers: 50,
				MaxModelGroups: 25, MaxAdmins: 8, MaxRetentionDays: 90, MaxInstances: 1, MaxConcurrent: 100,
			},
			DeploymentMode: modeHosted, Environments: words("evaluation staging"), FingerprintRequired: true,
		},
	}
}

func invoiceTemplates() []Template {
	limits := license.Limits{
		MaxCallers: 100, MaxModelGroups: 50, MaxAdmins: 10, MaxRetentionDays: 90, MaxInstances: 1, MaxConcurrent: 200,
	}
	contract := license.Limits{
		MaxCallers: 1_000, MaxModelGroups: 200, MaxAdmins: 50, MaxRetentionDays: 730, MaxInstances: 10, MaxConcurrent: 2_000,
	}
	return []Template{
		{
			SKU: "enterprise-annual", Name: "Enterprise, annual",
			Summary: "For an organization that runs the router itself in production with every standard feature.",
			Kind:    KindTime, Channel: ChannelInvoice, Price: Price{UnitAmount: 15_000_00}, Term: Term{Months: 12},
			GraceHours: 30 * 24,
			Features: words("admin_reports dynamic_score external_policy model_group_contracts pii_filtering " +
				"private_upstreams retention_rollups routing typescript_routing usage_baseline_export usage_csv_export " +
				"usage_reporting"),
			AddOnFeatures:  words("admin_security_reports audit_log_export content_capture external_policy_http"),
			Limits:         limits,
			ContractLimits: new(contract),
			DeploymentMode: modeSelf, Environments: words("production staging"), FingerprintRequired: true,
		},
		{
			SKU: "marketplace-seat", Name: "Marketplace seat",
			Summary: "For a customer whose seat, price and end date are agreed in a marketplace contract.",
			Kind:    KindTime, Channel: ChannelInvoice, Price: Price{ByContract: true}, Term: Term{ByContract: true},
			GraceHours: 30 * 24,
			Features: words("admin_reports dynamic_score model_group_contracts private_upstreams retention_rollups " +
				"routing usage_baseline_export usage_csv_export usage_reporting"),
			AddOnFeatures: words("admin_security_reports audit_log_export content_capture external_policy " +
				"external_policy_http pii_filtering typescript_routing"),
			Limits:         limits,
			ContractLimits: new(contract),
			DeploymentMode: modeSelfPrivate, Environments: words("production staging"), FingerprintRequired: true,
		},
	}
}
