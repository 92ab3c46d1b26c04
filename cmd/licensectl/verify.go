package main

import (
	"flag"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

const verifyHelp = `
Usage: licensectl verify [-keys FILE] [-now TIME] [-fingerprint TEXT] [-json] FILE

Verifies a license file offline, as a router does: form, signature, product, features, dates, and with
-fingerprint also the instance. Prints license ID, SKU, key ID and expiry.
`

func verify(args []string, getenv func(string) string, out *output) error {
	flags := flag.NewFlagSet("verify", flag.ContinueOnError)
	keys := flags.String("keys", "", "the key ring `FILE`")
	now := time.Now()
	nowFlag(flags, &now)
	var instance fingerprint
	flags.Var(&instance, "fingerprint", "also check that the license runs on the instance with this raw fingerprint (`TEXT`)")
	files, err := parse(flags, args, verifyHelp, oneLicense, out)
	if err != nil {
		return err
	}
	ring, err := readKeys(*keys, getenv, defaultKeys)
	if err != nil {
		return err
	}
	l, err := readLicense(files[0], ring, now, instance)
	if err != nil {
		return err
	}
	printLicense(out, l, instance)
	return out.object(describe(l, license.CodeValid, "", instance))
}

// nowFlag is the flag that judges dates as of another time.
func nowFlag(flags *flag.FlagSet, now *time.Time) {
	flags.Func("now", "judge the dates as of this `TIME`, like 2026-11-01T00:00:00Z, instead of now", func(text string) (err error) {
		*now, err = time.Parse(time.RFC3339, text)
		return err
	})
}

// fingerprint is a flag that tells "not given" from "given and empty", which a router without a fingerprint is.
type fingerprint struct {
	raw   string
	given bool
}

func (f *fingerprint) String() string { return f.raw }

func (f *fingerprint) Set(raw string) error {
	*f = fingerprint{raw: raw, given: true}
	return nil
}

// readLicense reads and verifies a file. Without a fingerprint the instance is not judged: the file may be for
// another host than this one.
func readLicense(file string, ring *license.KeyRing, now time.Time, instance fingerprint) (*license.License, error) {
	data, err := readNamed(file)
	if err != nil {
		return nil, err
	}
	return judge(data, ring, now, instance)
}

// judge verifies the bytes of a file as readLicense does.
func judge(data []byte, ring *license.KeyRing, now time.Time, instance fingerprint) (*license.License, error) {
	l, err := license.Read(data, ring, now)
	if err != nil {
		return nil, err
	}
	if err := l.CheckDates(now); err != nil {
		return nil, err
	}
	if instance.given {
		return l, l.CheckInstance(instance.raw)
	}
	return l, nil
}

// readNamed reads a license file, and names it where it is not there.
func readNamed(file string) ([]byte, error) {
	data, err := license.ReadFile(file)
	if license.CodeOf(err) == license.CodeMissing {
		return nil, &license.Error{Code: license.CodeMissing, Reason: "there is no file " + file}
	}
	return data, err
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
}

func describe(l *license.License, code license.Code, reason string, instance fingerprint) described {
	s := l.SafeStatus()
	return described{s.LicenseID, s.SKU, s.KeyID, s.ExpiresAt, code, reason, describeInstance(l, instance)}
}

func printLicense(out *output, l *license.License, instance fingerprint) {
	status := l.SafeStatus()
	out.field("license_id", status.LicenseID)
	out.field("sku", status.SKU)
	out.field("key_id", status.KeyID)
	out.field("expires_at", status.ExpiresAt.Format(time.RFC3339))
	out.field("instance", describeInstance(l, instance))
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
