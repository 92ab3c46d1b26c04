package main

import (
	"flag"
	"fmt"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

const diffHelp = `
Usage: licensectl diff [-keys FILE] [-now TIME] [-json] OLD NEW

Says in words what changes for the router when NEW takes the place of OLD: whether there are hours between them in
which neither is valid, and what happens to expiry, volume, features, limits, environments and instances. What is
lost is marked with "!"; "licensectl install" asks for -yes where that matters.

Both files must verify; they need not be in force. Exit status 0 whether they differ or not.
`

// comparison is the answer for programs.
type comparison struct {
	Old string `json:"old"` // license IDs
	New string `json:"new"`
	// GapSeconds lie between OLD's expiry and NEW's start and have no valid license; negative where the two overlap.
	GapSeconds int64    `json:"gap_seconds"`
	Changes    []change `json:"changes"`
}

func diff(args []string, getenv func(string) string, out *output) error {
	flags := flag.NewFlagSet("diff", flag.ContinueOnError)
	keys := flags.String("keys", "", "the key ring `FILE`")
	now := time.Now()
	nowFlag(flags, &now)
	files, err := parse(flags, args, diffHelp, twoLicenses, out)
	if err != nil {
		return err
	}
	ring, err := readKeys(*keys, getenv, defaultKeys)
	if err != nil {
		return err
	}
	var payloads [2]license.Payload
	for i, file := range files {
		data, err := readNamed(file)
		if err != nil {
			return err
		}
		l, err := license.Read(data, ring, now)
		if err != nil {
			return fmt.Errorf("%w (%s)", err, file)
		}
		payloads[i] = l.Payload()
	}
	before, after := payloads[0], payloads[1]
	answer := comparison{
		Old:        before.LicenseID,
		New:        after.LicenseID,
		GapSeconds: int64(after.NotBefore.Sub(before.ExpiresAt) / time.Second),
		Changes:    compare(before, after),
	}
	if answer.Changes == nil {
		answer.Changes = []change{}
	}
	out.printComparison(before, after, answer.Changes)
	return out.object(answer)
}

func (o *output) printComparison(before, after license.Payload, changes []change) {
	o.line("old: %s", printable(before.LicenseID))
	o.line("new: %s", printable(after.LicenseID))
	if before.LicenseID == after.LicenseID && len(changes) == 0 {
		o.line("the same license: nothing changes")
		return
	}
	o.line("%s", gap(before, after))
	for _, c := range changes {
		mark := " "
		if c.Worse {
			mark = "!"
		}
		o.line("%s %s: %s -> %s (%s)", mark, c.Field, shown(c.Before), shown(c.After), c.Effect)
	}
	if len(changes) == 0 {
		o.line("nothing else changes")
	}
}

func shown(value string) string {
	if value == "" {
		return "none"
	}
	return printable(value)
}

// gap says whether the router has a valid license all the way.
func gap(before, after license.Payload) string {
	switch d := after.NotBefore.Sub(before.ExpiresAt); {
	case d > 0:
		return fmt.Sprintf("! gap: %s, from %s to %s, in which neither is valid and the router refuses",
			span(d), moment(before.ExpiresAt), moment(after.NotBefore))
	case d == 0:
		return "no gap: the new one starts in the second in which the old one expires"
	default:
		return fmt.Sprintf("no gap: both are valid for %s, from %s", span(overlap(before, after)), moment(later(before.NotBefore, after.NotBefore)))
	}
}

// overlap is how long both are valid.
func overlap(a, b license.Payload) time.Duration {
	end := a.ExpiresAt
	if b.ExpiresAt.Before(end) {
		end = b.ExpiresAt
	}
	return max(0, end.Sub(later(a.NotBefore, b.NotBefore)))
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
