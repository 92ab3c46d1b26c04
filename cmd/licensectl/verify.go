package main

import (
	"flag"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

const verifyHelp = `
Usage: licensectl verify [-keys FILE] [-now TIME] [-fingerprint TEXT] [-revocations FILE] [-json] FILE

Verifies a license file offline, as a router does: form, signature, product, features, dates, and with
-fingerprint also the instance. Prints license ID, SKU, key ID and expiry.

With -revocations it also looks into the revocation bundle, whose signature must verify. What an old bundle says
stays true, so it need not be the current one.
`

func verify(args []string, getenv func(string) string, out *output) error {
	flags := flag.NewFlagSet("verify", flag.ContinueOnError)
	var t trust
	t.register(flags)
	now := time.Now()
	nowFlag(flags, &now)
	files, err := parse(flags, args, verifyHelp, oneLicense, out)
	if err != nil {
		return err
	}
	if err := t.load(getenv, now); err != nil {
		return err
	}
	l, err := t.read(files[0], now)
	if err != nil {
		return err
	}
	shown := describe(l, license.CodeValid, "", t.instance)
	shown.Notice = t.notice(l, now)
	printLicense(out, shown)
	return out.object(shown)
}

// nowFlag is the flag that judges dates as of another time.
func nowFlag(flags *flag.FlagSet, now *time.Time) {
	flags.Func("now", "judge the dates as of this `TIME`, like 2026-11-01T00:00:00Z, instead of now", func(text string) (err error) {
		*now, err = time.Parse(time.RFC3339, text)
		return err
	})
}

// described is a license as programs get it: the safe fields, and for which instance it is.
type described struct {
	LicenseID string       `json:"license_id"`
	SKU       string       `json:"sku"`
	KeyID     string       `json:"key_id"`
	ExpiresAt time.Time    `json:"expires_at"`
	Status    license.Code `json:"status"`
	Reason    string       `json:"reason"`
	Instance  string       `json:"instance"`
	Notice    string       `json:"notice,omitempty"` // what the revocation bundle announces
}

func describe(l *license.License, code license.Code, reason string, instance fingerprint) described {
	s := l.SafeStatus()
	return described{LicenseID: s.LicenseID, SKU: s.SKU, KeyID: s.KeyID, ExpiresAt: s.ExpiresAt,
		Status: code, Reason: reason, Instance: describeInstance(l, instance)}
}

func printLicense(out *output, d described) {
	out.field("license_id", d.LicenseID)
	out.field("sku", d.SKU)
	out.field("key_id", d.KeyID)
	out.field("expires_at", moment(d.ExpiresAt))
	out.field("instance", d.Instance)
	if d.Notice != "" {
		out.field("notice", d.Notice)
	}
}

func describeInstance(l *license.License, instance fingerprint) string {
	switch {
	case !bound(l.Payload().Deployment):
		return "any"
	case instance.given:
		return "this one is allowed"
	default:
		return "needs a fingerprint, not checked (give -fingerprint)"
	}
}

// bound reports whether a license asks a router for its fingerprint.
func bound(d license.Deployment) bool {
	return d.InstanceFingerprintRequired || d.InstanceFingerprint != "" ||
		len(d.AllowedInstances)+len(d.AllowedInstanceFingerprints) > 0
}
