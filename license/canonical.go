package license

import (
	"strconv"
	"unicode/utf8"
)

// limitNames are the numeric limits, sorted by bytes as the canonical payload wants them; Limits.number has the
// same order.
var limitNames = [...]string{
	"max_admins",
	"max_callers",
	"max_concurrent",
	"max_instances",
	"max_model_groups",
	"max_monthly_requests",
	"max_retention_days",
	"max_total_requests",
	"max_total_tokens",
	"window_duration_seconds",
	"window_requests",
	"window_tokens",
}

// number returns the limit that limitNames[i] names.
func (l *Limits) number(i int) *int64 {
	switch i {
	case 0:
		return &l.MaxAdmins
	case 1:
		return &l.MaxCallers
	case 2:
		return &l.MaxConcurrent
	case 3:
		return &l.MaxInstances
	case 4:
		return &l.MaxModelGroups
	case 5:
		return &l.MaxMonthlyRequests
	case 6:
		return &l.MaxRetentionDays
	case 7:
		return &l.MaxTotalRequests
	case 8:
		return &l.MaxTotalTokens
	case 9:
		return &l.WindowDurationSeconds
	case 10:
		return &l.WindowRequests
	default:
		return &l.WindowTokens
	}
}

// Canonical returns the bytes that are signed. It errors, with the code a router would report, when the payload
// breaks a rule of the format, so that nothing can be signed that no router would accept.
func (p Payload) Canonical() ([]byte, error) {
	if err := p.representable(); err != nil {
		return nil, err
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	return p.appendCanonical(nil), nil
}

// appendCanonical writes every member of the payload, names in the order of their bytes, in the spelling of
// encoding/json.
func (p *Payload) appendCanonical(buf []byte) []byte {
	w := writer{buf: buf}
	w.open('{')
	w.member("customer_id").string(p.CustomerID)
	w.optionalString("customer_name", p.CustomerName)
	w.member("deployment")
	p.Deployment.write(&w)
	w.member("expires_at").time(p.ExpiresAt)
	w.member("features").strings(p.Features)
	w.member("grace_until").time(p.GraceUntil)
	w.member("issued_at").time(p.IssuedAt)
	w.member("issuer").string(p.Issuer)
	w.member("key_id").string(p.KeyID)
	w.member("license_id").string(p.LicenseID)
	w.member("limits")
	p.Limits.write(&w)
	w.member("not_before").time(p.NotBefore)
	w.optionalString("notes", p.Notes)
	w.member("product").string(p.Product)
	w.member("schema_version").integer(p.SchemaVersion)
	w.member("sku").string(p.SKU)
	w.close('}')
	return w.buf
}

func (d *Deployment) write(w *writer) {
	w.open('{')
	w.optionalStrings("allowed_environments", d.AllowedEnvironments)
	w.optionalStrings("allowed_instance_fingerprints", d.AllowedInstanceFingerprints)
	w.optionalStrings("allowed_instances", d.AllowedInstances)
	w.optionalInteger("binding_version", d.BindingVersion)
	w.optionalString("deployment_id", d.DeploymentID)
	w.optionalString("instance_fingerprint", d.InstanceFingerprint)
	w.optionalTrue("instance_fingerprint_required", d.InstanceFingerprintRequired)
	w.optionalInteger("max_offline_instances", d.MaxOfflineInstances)
	w.optionalString("mode", d.Mode)
	w.close('}')
}

func (l *Limits) write(w *writer) {
	w.open('{')
	w.optionalStrings("allowed_skins", l.AllowedSkins)
	for i, name := range limitNames {
		w.optionalInteger(name, *l.number(i))
	}
	w.close('}')
}

// MarshalJSON writes the limits as the canonical payload does: only those that are set, sorted by name.
func (l Limits) MarshalJSON() ([]byte, error) {
	w := writer{}
	l.write(&w)
	return w.buf, nil
}

// appendString writes text as encoding/json does, with <, >, &, U+2028 and U+2029 escaped. The text is valid UTF-8.
func appendString(buf []byte, text string) []byte {
	const hex = "0123456789abcdef"
	buf = append(buf, '"')
	start := 0
	for i := 0; i < len(text); {
		c := text[i]
		if c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&' {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(text[i:])
			if r == '\u2028' || r == '\u2029' {
				buf = append(buf, text[start:i]...)
				buf = append(buf, `\u202`...)
				buf = append(buf, hex[r&0xf])
				start = i + size
			}
			i += size
			continue
		}
		buf = append(buf, text[start:i]...)
		switch c {
		case '"', '\\':
			buf = append(buf, '\\', c)
		case '\b':
			buf = append(buf, '\\', 'b')
		case '\f':
			buf = append(buf, '\\', 'f')
		case '\n':
			buf = append(buf, '\\', 'n')
		case '\r':
			buf = append(buf, '\\', 'r')
		case '\t':
			buf = append(buf, '\\', 't')
		default:
			buf = append(buf, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
		}
		i++
		start = i
	}
	return append(append(buf, text[start:]...), '"')
}

func appendInteger(buf []byte, n int64) []byte { return strconv.AppendInt(buf, n, 10) }
