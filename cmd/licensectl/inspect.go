package main

import (
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

const inspectHelp = `
Usage: licensectl inspect [-keys FILE] [-now TIME] [-fingerprint TEXT] [-revocations FILE] [-json] FILE

Shows the safe fields of a license file whose signature verifies, also when it is expired or not yet valid: license
ID, SKU, key ID, expiry, status and reason. These are the only fields that belong into a ticket or a log.

Exit status 0 says that the signature verifies, not that a router would serve: that is "licensectl verify".
`

func inspect(args []string, getenv func(string) string, out *output) error {
	flags := flag.NewFlagSet("inspect", flag.ContinueOnError)
	var t trust
	t.register(flags)
	now := time.Now()
	nowFlag(flags, &now)
	files, err := parse(flags, args, inspectHelp, oneLicense, out)
	if err != nil {
		return err
	}
	if err := t.load(getenv, now); err != nil {
		return err
	}
	data, err := readNamed(files[0])
	if err != nil {
		return err
	}
	l, err := license.Read(data, t.ring, now)
	if err != nil {
		return err
	}
	code, reason := license.CodeValid, ""
	var refusal *license.Error
	if errors.As(t.standing(l, now), &refusal) {
		code, reason = refusal.Code, refusal.Reason
	}
	shown := describe(l, code, reason, t.instance)
	shown.Notice = t.notice(l, now)
	if code == license.CodeInstanceLimit {
		shown.Instance = "this one is not allowed"
	}
	out.field("license_id", shown.LicenseID)
	out.field("sku", shown.SKU)
	out.field("key_id", shown.KeyID)
	out.field("expires_at", shown.ExpiresAt.Format(time.RFC3339)+" ("+distance(shown.ExpiresAt.Sub(now))+")")
	out.field("status", string(shown.Status))
	if reason != "" {
		out.field("reason", reason)
	}
	out.field("instance", shown.Instance)
	if shown.Notice != "" {
		out.field("notice", shown.Notice)
	}
	return out.object(shown)
}

// distance says how far away a moment is, in whole days rounded down, and below 48 hours in hours.
func distance(d time.Duration) string {
	if d < 0 {
		return span(-d) + " ago"
	}
	return "in " + span(d)
}

// span is a duration in words, rounded down.
func span(d time.Duration) string {
	count := func(n int64, unit string) string {
		if n == 1 {
			return "1 " + unit
		}
		return fmt.Sprintf("%d %ss", n, unit)
	}
	switch {
	case d >= 48*time.Hour:
		return count(int64(d/(24*time.Hour)), "day")
	case d >= time.Hour:
		return count(int64(d/time.Hour), "hour")
	case d >= time.Minute:
		return count(int64(d/time.Minute), "minute")
	}
	return count(int64(d/time.Second), "second")
}
