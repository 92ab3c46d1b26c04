package main

import (
	"errors"
	"flag"
	"os"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

// trust is what a license is judged by: the keys, what was revoked, and the instance it is for.
type trust struct {
	keys, revocations string // flags
	instance          fingerprint
	ring              *license.KeyRing
	bundle            *license.RevocationBundle // nil where none is given: nothing is known to be revoked
}

// registerFiles adds the flags that name files.
func (t *trust) registerFiles(flags *flag.FlagSet) {
	flags.StringVar(&t.keys, "keys", "", "the key ring `FILE`")
	flags.StringVar(&t.revocations, "revocations", "", "also refuse what the revocation bundle in `FILE` says is revoked, suspended or superseded")
}

func (t *trust) register(flags *flag.FlagSet) {
	t.registerFiles(flags)
	flags.Var(&t.instance, "fingerprint", "also check that the license runs on the instance with this raw fingerprint (`TEXT`)")
}

// load reads the files that the flags name.
func (t *trust) load(getenv func(string) string, now time.Time) (err error) {
	if t.ring, err = readKeys(t.keys, getenv, defaultKeys); err != nil || t.revocations == "" {
		return err
	}
	t.bundle, err = license.LoadRevocationBundle(t.revocations, t.ring, now)
	return err
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

// read reads and judges a file.
func (t *trust) read(file string, now time.Time) (*license.License, error) {
	data, err := readNamed(file)
	if err != nil {
		return nil, err
	}
	return t.judge(data, now)
}

// judge verifies the bytes of a file and says whether a router could serve with it now. Without a fingerprint the
// instance is not judged: the file may be for another host than this one.
func (t *trust) judge(data []byte, now time.Time) (*license.License, error) {
	l, err := license.Read(data, t.ring, now)
	if err != nil {
		return nil, err
	}
	return l, t.standing(l, now)
}

// standing says whether a router could serve with a license that verifies.
func (t *trust) standing(l *license.License, now time.Time) error {
	if err := l.CheckDates(now); err != nil {
		return err
	}
	if entry, found := t.entry(l); found && !entry.Pending(now) {
		return &license.Error{Code: entry.Code(), Reason: "the revocation bundle says so since " + moment(entry.EffectiveAt)}
	}
	if t.instance.given {
		return l.CheckInstance(t.instance.raw)
	}
	return nil
}

func (t *trust) entry(l *license.License) (license.RevocationEntry, bool) {
	if t.bundle == nil {
		return license.RevocationEntry{}, false
	}
	return t.bundle.Lookup(l.SafeStatus().LicenseID)
}

// notice tells of what the revocation bundle announces.
func (t *trust) notice(l *license.License, now time.Time) string {
	if entry, found := t.entry(l); found && entry.Pending(now) {
		return string(entry.Code()) + " from " + moment(entry.EffectiveAt)
	}
	return ""
}

// readNamed reads a license file, and names it where it is not there.
func readNamed(file string) ([]byte, error) {
	data, err := license.ReadFile(file)
	if license.CodeOf(err) == license.CodeMissing {
		return nil, &license.Error{Code: license.CodeMissing, Reason: "there is no file " + file}
	}
	return data, err
}

// readKeys reads the key ring from the flag, the environment or the default path, in this order.
func readKeys(flagged string, getenv func(string) string, fallback string) (*license.KeyRing, error) {
	path := flagged
	if path == "" {
		path = getenv("LICENSECTL_KEYS")
	}
	if path == "" {
		if _, err := os.Stat(fallback); errors.Is(err, os.ErrNotExist) {
			return nil, usagef("no key ring: give -keys FILE, set LICENSECTL_KEYS, or put the key ring file "+
				"that your portal's keys page offers at %s", fallback)
		}
		path = fallback
	}
	ring, err := license.ReadKeyRing(path)
	if err != nil {
		return nil, usageError{err}
	}
	return ring, nil
}
