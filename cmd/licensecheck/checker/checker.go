// Package checker says what a person needs to know about a license file that they hold: whether a router would take
// it, why not, and what to do when the file was mangled on its way, as by a mail program. It verifies with the license
// module and asks nobody. Every repair is judged by the signature, so none can make a file say something else.
package checker

import (
	"errors"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/metrum-ai/licensing-portal/license"
)

// MaxFile is how much of a file is looked at, in bytes. It is more than a license may have, since a mangled one grows.
const MaxFile = 512 << 10

// Verdict is the answer in one word.
type Verdict string

// The verdicts. Only Good is what a router serves with.
const (
	Good       Verdict = "good"
	NotNow     Verdict = "not-now"    // the signature verifies; the license is expired or not yet valid
	Repairable Verdict = "repairable" // the file was mangled and Repaired is what was issued
	Refused    Verdict = "refused"
	Unable     Verdict = "unable" // the question was put wrongly: no usable key ring, or wrong arguments
)

// Result is what a check found. Fields is set where a signature verified, also that of Repaired.
type Result struct {
	Verdict  Verdict
	Code     license.Code // as a router reports it
	Reason   string
	Fields   *Fields
	Problem  string // what is wrong with the file, as an identifier; "" where nothing is
	Hint     string // what to do about it, in words
	Repaired string // the file as it was issued, where it could be repaired
}

// Fields are the safe fields of a license, and whether it is bound to instances.
type Fields struct {
	LicenseID, SKU, KeyID string
	NotBefore, ExpiresAt  time.Time
	Bound                 bool // a router needs a fingerprint that the license allows
}

// WrongUse is the answer to arguments of the wrong kind.
func WrongUse() Result {
	return Result{Verdict: Unable, Code: license.CodeInvalid, Reason: "licenseCheck takes file bytes, key ring bytes and a time in milliseconds"}
}

// Check judges a license file as of now. The instance is not judged: nobody here knows a router's fingerprint.
func Check(file, keyRing []byte, now time.Time) Result {
	ring, err := license.ParseKeyRing(keyRing)
	if err != nil {
		return Result{Verdict: Unable, Code: license.CodeInvalid, Reason: err.Error()}
	}
	l, refusal := license.Read(file, ring, now)
	if refusal == nil {
		return standing(l, now)
	}
	result := Result{Verdict: Refused, Code: license.CodeOf(refusal), Reason: reason(refusal)}
	if result.Code != license.CodeInvalid {
		return result // the signature verified, and another file is needed
	}
	found := diagnose(file, func(data []byte) bool {
		l, err = license.Read(data, ring, now)
		return err == nil
	})
	result.Problem, result.Hint = found.problem, found.hint
	if found.repaired != nil {
		repaired := standing(l, now)
		result.Verdict, result.Fields, result.Repaired = Repairable, repaired.Fields, string(found.repaired)
	}
	return result
}

// standing judges the dates of a license that verifies.
func standing(l *license.License, now time.Time) Result {
	p := l.Payload()
	result := Result{Verdict: Good, Code: license.CodeValid, Fields: &Fields{
		LicenseID: p.LicenseID, SKU: p.SKU, KeyID: p.KeyID, NotBefore: p.NotBefore, ExpiresAt: p.ExpiresAt,
		Bound: p.Deployment.InstanceFingerprintRequired || p.Deployment.InstanceFingerprint != "" ||
			len(p.Deployment.AllowedInstances)+len(p.Deployment.AllowedInstanceFingerprints) > 0,
	}}
	if err := l.CheckDates(now); err != nil {
		result.Verdict, result.Code, result.Reason = NotNow, license.CodeOf(err), reason(err)
	}
	return result
}

func reason(err error) string {
	var refusal *license.Error
	if errors.As(err, &refusal) {
		return refusal.Reason
	}
	return err.Error()
}

// JSON writes the result. It is written by hand because encoding/json would be a tenth of what a phone loads.
func (r Result) JSON() string {
	b := []byte(`{"verdict":`)
	b = appendString(b, string(r.Verdict))
	for _, member := range [][2]string{
		{"code", string(r.Code)}, {"reason", r.Reason}, {"problem", r.Problem}, {"hint", r.Hint}, {"repaired", r.Repaired},
	} {
		b = append(append(append(b, `,"`...), member[0]...), `":`...)
		b = appendString(b, member[1])
	}
	if r.Fields == nil {
		return string(append(b, `,"fields":null}`...))
	}
	f := r.Fields
	b = appendString(append(b, `,"fields":{"license_id":`...), f.LicenseID)
	b = appendString(append(b, `,"sku":`...), f.SKU)
	b = appendString(append(b, `,"key_id":`...), f.KeyID)
	b = appendString(append(b, `,"not_before":`...), f.NotBefore.Format(time.RFC3339))
	b = appendString(append(b, `,"expires_at":`...), f.ExpiresAt.Format(time.RFC3339))
	b = strconv.AppendBool(append(b, `,"bound":`...), f.Bound)
	return string(append(b, "}}"...))
}

// appendString writes a JSON string (RFC 8259, 7). What is not UTF-8 becomes U+FFFD.
func appendString(b []byte, text string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < 0x20:
			b = append(b, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}
