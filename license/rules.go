package license

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// The feature that stands for all of them, and the one without which a license lets nothing through.
const (
	FeatureAll     = "*"
	FeatureRouting = "routing"
)

// check applies the rules of the format to the values of a payload, in the order in which they are reported:
// schema and issuer, product, everything else, and last the feature that a router cannot do without.
func (p *Payload) check() *Error {
	switch {
	case p.SchemaVersion != SchemaVersion:
		return invalid("schema_version must be 1: this reader knows no other")
	case p.Issuer != Issuer:
		return invalid("the issuer is not " + Issuer)
	case p.Product != Product:
		return refuse(CodeProductMismatch, "the license is for another product than "+Product)
	case p.LicenseID == "" || p.CustomerID == "" || p.SKU == "" || p.KeyID == "":
		return invalid("license_id, customer_id, sku and key_id must not be empty")
	case p.NotBefore.Before(p.IssuedAt):
		return invalid("not_before is before issued_at")
	case !p.NotBefore.Before(p.ExpiresAt):
		return invalid("expires_at is not after not_before")
	}
	if err := p.Limits.check(); err != nil {
		return err
	}
	if err := p.Deployment.check(p.Limits.MaxInstances); err != nil {
		return err
	}
	return checkFeatures(p.Features)
}

func checkFeatures(features []string) *Error {
	routing := false
	for i, feature := range features {
		if !knownFeature(feature) {
			return invalid("features holds a name that the format does not list")
		}
		if i > 0 && features[i-1] >= feature {
			return invalid("features must be sorted, each named once")
		}
		routing = routing || feature == FeatureAll || feature == FeatureRouting
	}
	if !routing {
		return refuse(CodeFeatureForbidden, "the license does not include routing")
	}
	return nil
}

func knownFeature(name string) bool {
	switch name {
	case FeatureAll, FeatureRouting, "usage_reporting", "admin_reports", "admin_security_reports", "dynamic_score",
		"external_policy", "external_policy_http", "typescript_routing", "model_group_contracts", "retention_rollups",
		"content_capture", "private_upstreams", "audit_log_export", "pii_filtering", "usage_csv_export",
		"usage_baseline_export":
		return true
	}
	return false
}

func (l *Limits) check() *Error {
	for i, name := range limitNames {
		if n := *l.number(i); n < 0 || n >= maxNumber {
			return invalid(name + " must be a non-negative integer below 2^53")
		}
	}
	for _, skin := range l.AllowedSkins {
		if skin != "openai-chat" && skin != "openai-responses" && skin != "anthropic-messages" {
			return invalid("allowed_skins holds a name that the format does not list")
		}
	}
	window := l.WindowTokens != 0 || l.WindowRequests != 0
	switch {
	case window && l.WindowDurationSeconds == 0:
		return invalid("window_tokens and window_requests need window_duration_seconds")
	case !window && l.WindowDurationSeconds != 0:
		return invalid("window_duration_seconds needs window_tokens or window_requests")
	}
	return nil
}

func (d *Deployment) check(maxInstances int64) *Error {
	if d.BindingVersion != 0 && d.BindingVersion != 1 {
		return invalid("binding_version must be 0 or 1")
	}
	if d.MaxOfflineInstances < 0 || d.MaxOfflineInstances >= maxNumber {
		return invalid("max_offline_instances must be a non-negative integer below 2^53")
	}
	for _, environment := range d.AllowedEnvironments {
		if environment == "" {
			return invalid("allowed_environments holds an empty entry")
		}
	}
	// An empty raw fingerprint would fit a router that has none.
	for _, raw := range d.AllowedInstances {
		if raw == "" {
			return invalid("allowed_instances holds an empty entry")
		}
	}
	for _, hashed := range d.AllowedInstanceFingerprints {
		if !isInstanceHash(hashed) {
			return invalid("an entry of allowed_instance_fingerprints is not sha256: and 64 lower-case hexadecimal digits")
		}
	}
	entries := int64(len(d.AllowedInstances) + len(d.AllowedInstanceFingerprints))
	if maxInstances > 0 && entries > maxInstances {
		return refuse(CodeInstanceLimit, "the license lists "+strconv.FormatInt(entries, 10)+
			" instances and allows "+strconv.FormatInt(maxInstances, 10))
	}
	return nil
}

// representable refuses what a struct can hold and the canonical payload cannot: a file that was read is always
// representable, a payload made by a program need not be.
func (p *Payload) representable() *Error {
	for _, t := range []time.Time{p.IssuedAt, p.NotBefore, p.ExpiresAt, p.GraceUntil} {
		if !writable(t) {
			return invalid("a time of the payload is not in UTC and whole seconds, of the years 1 to 9999")
		}
	}
	texts := []string{p.LicenseID, p.CustomerID, p.CustomerName, p.Product, p.SKU, p.KeyID, p.Issuer, p.Notes,
		p.Deployment.Mode, p.Deployment.DeploymentID, p.Deployment.InstanceFingerprint}
	for _, list := range [][]string{p.Features, p.Limits.AllowedSkins, p.Deployment.AllowedEnvironments,
		p.Deployment.AllowedInstances, p.Deployment.AllowedInstanceFingerprints} {
		texts = append(texts, list...)
	}
	for _, text := range texts {
		if !utf8.ValidString(text) {
			return invalid("a text of the payload is not valid UTF-8")
		}
	}
	return nil
}
