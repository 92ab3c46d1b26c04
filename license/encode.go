package license

import (
	"crypto/ed25519"
	"encoding/base64"
	"strconv"
)

// Encode builds the envelope file around p and the 64-byte Ed25519 signature over p.Canonical(): two spaces a level,
// names in the format's order, a trailing newline. It errors when p breaks a rule of the format, when the
// signature has another length, or when the file would be larger than MaxFileSize; it does not verify.
func Encode(p Payload, signature []byte) ([]byte, error) {
	if _, err := p.Canonical(); err != nil {
		return nil, err
	}
	if len(signature) != ed25519.SignatureSize {
		return nil, invalid("an Ed25519 signature has 64 bytes, this one " + strconv.Itoa(len(signature)))
	}
	w := &writer{indent: true}
	w.open('{')
	w.member("payload")
	p.encode(w)
	w.member("signature").open('{')
	w.member("algorithm").string(Algorithm)
	w.member("key_id").string(p.KeyID)
	w.member("value_base64").string(base64.StdEncoding.EncodeToString(signature))
	w.close('}')
	w.close('}')
	w.buf = append(w.buf, '\n')
	if len(w.buf) > MaxFileSize {
		return nil, invalid("the file would be larger than " + strconv.Itoa(MaxFileSize) + " bytes")
	}
	return w.buf, nil
}

// encode writes the payload for people: in the order of the format's tables instead of the alphabet's.
func (p *Payload) encode(w *writer) {
	w.open('{')
	w.member("schema_version").integer(p.SchemaVersion)
	w.member("license_id").string(p.LicenseID)
	w.member("customer_id").string(p.CustomerID)
	w.optionalString("customer_name", p.CustomerName)
	w.member("product").string(p.Product)
	w.member("sku").string(p.SKU)
	w.member("features").strings(p.Features)
	w.member("limits")
	p.Limits.encode(w)
	w.member("deployment")
	p.Deployment.encode(w)
	w.member("issued_at").time(p.IssuedAt)
	w.member("not_before").time(p.NotBefore)
	w.member("expires_at").time(p.ExpiresAt)
	w.member("grace_until").time(p.GraceUntil)
	w.member("key_id").string(p.KeyID)
	w.member("issuer").string(p.Issuer)
	w.optionalString("notes", p.Notes)
	w.close('}')
}

func (l *Limits) encode(w *writer) {
	w.open('{')
	w.optionalInteger("max_model_groups", l.MaxModelGroups)
	w.optionalInteger("max_callers", l.MaxCallers)
	w.optionalInteger("max_monthly_requests", l.MaxMonthlyRequests)
	w.optionalInteger("max_total_tokens", l.MaxTotalTokens)
	w.optionalInteger("max_total_requests", l.MaxTotalRequests)
	w.optionalInteger("window_tokens", l.WindowTokens)
	w.optionalInteger("window_requests", l.WindowRequests)
	w.optionalInteger("window_duration_seconds", l.WindowDurationSeconds)
	w.optionalInteger("max_concurrent", l.MaxConcurrent)
	w.optionalInteger("max_admins", l.MaxAdmins)
	w.optionalInteger("max_retention_days", l.MaxRetentionDays)
	w.optionalInteger("max_instances", l.MaxInstances)
	w.optionalStrings("allowed_skins", l.AllowedSkins)
	w.close('}')
}

func (d *Deployment) encode(w *writer) {
	w.open('{')
	w.optionalString("mode", d.Mode)
	w.optionalString("deployment_id", d.DeploymentID)
	w.optionalStrings("allowed_environments", d.AllowedEnvironments)
	w.optionalTrue("instance_fingerprint_required", d.InstanceFingerprintRequired)
	w.optionalString("instance_fingerprint", d.InstanceFingerprint)
	w.optionalStrings("allowed_instances", d.AllowedInstances)
	w.optionalInteger("binding_version", d.BindingVersion)
	w.optionalStrings("allowed_instance_fingerprints", d.AllowedInstanceFingerprints)
	w.optionalInteger("max_offline_instances", d.MaxOfflineInstances)
	w.close('}')
}
