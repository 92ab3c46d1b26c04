package main

import (
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/metrum-ai/licensing-portal/license"
)

const verifyHelp = `
Usage: licensectl verify [-keys FILE] [-now TIME] [-fingerprint TEXT] FILE

Verifies a license file offline, as a router does: form, signature, product, features, dates, and with
-fingerprint also the instance. Prints license ID, SKU, key ID and expiry.
`

func verify(args []string, getenv func(string) string, stdout io.Writer) error {
	flags := flag.NewFlagSet("verify", flag.ContinueOnError)
	keys := flags.String("keys", "", "the key ring `FILE`")
	now := time.Now()
	flags.Func("now", "judge the dates as of this `TIME`, like 2026-11-01T00:00:00Z, instead of now", func(text string) (err error) {
		now, err = time.Parse(time.RFC3339, text)
		return err
	})
	var instance fingerprint
	flags.Var(&instance, "fingerprint", "also check that the license runs on the instance with this raw fingerprint (`TEXT`)")
	file, err := parse(flags, args, verifyHelp, stdout)
	if err != nil {
		return err
	}
	ring, err := readKeys(*keys, getenv, defaultKeys)
	if err != nil {
		return err
	}
	l, err := readLicense(file, ring, now, instance)
	if err != nil {
		return err
	}
	printLicense(stdout, l, instance)
	return nil
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
	data, err := license.ReadFile(file)
	if err != nil {
		if license.CodeOf(err) == license.CodeMissing {
			return nil, &license.Error{Code: license.CodeMissing, Reason: "there is no file " + file}
		}
		return nil, err
	}
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

func printLicense(w io.Writer, l *license.License, instance fingerprint) {
	status := l.SafeStatus()
	for _, line := range [][2]string{
		{"license_id", status.LicenseID},
		{"sku", status.SKU},
		{"key_id", status.KeyID},
		{"expires_at", status.ExpiresAt.Format(time.RFC3339)},
		{"instance", describeInstance(l, instance)},
	} {
		fmt.Fprintf(w, "%-11s %s\n", line[0]+":", printable(line[1]))
	}
}

func describeInstance(l *license.License, instance fingerprint) string {
	d := l.Payload().Deployment
	bound := d.InstanceFingerprintRequired || d.InstanceFingerprint != "" ||
		len(d.AllowedInstances)+len(d.AllowedInstanceFingerprints) > 0
	switch {
	case !bound:
		return "any"
	case instance.given:
		return "this one is allowed"
	default:
		return "needs a fingerprint, not checked (give -fingerprint)"
	}
}

// printable keeps a signed but odd text from steering a terminal.
func printable(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}
