package catalog

import (
	"fmt"
	"slices"
	"time"
)

// Bounds of what a staff request may hold.
const (
	MaxNotesBytes           = 500
	MaxReplacedFingerprints = 100
	maxLimit                = 1<<53 - 1
)

// Changes are what a replacement changes of its base; what is left zero stays as it is. Every single value comes with the
// one it replaces, so that people see both, and Replace refuses where the base has another.
type Changes struct {
	ExpiresAt    TimeChange
	CustomerName TextChange    // at most 200 bytes
	Environments []string      // the whole new list, sorted
	Fingerprints *[]string     // the whole new list, raw and sorted; an empty one takes the binding away
	Features     []string      // the whole new list, sorted
	Limits       []LimitChange // in the order of LimitNames, each once
	Notes        TextChange    // at most MaxNotesBytes
}

// TimeChange changes a time, in whole seconds UTC, where New is not zero.
type TimeChange struct{ Old, New time.Time }

// TextChange changes a text where New is not empty; Old may be.
type TextChange struct{ Old, New string }

// LimitChange changes a limit, by its JSON name, to an absolute value; 0 is no limit.
type LimitChange struct {
	Name     string
	Old, New int64
}

var (
	errSeconds = fmt.Errorf("%w: a time is not in whole seconds UTC", ErrMalformed)
	errNotes   = fmt.Errorf("%w: notes are not plain text of at most %d bytes", ErrMalformed, MaxNotesBytes)
	errLimit   = fmt.Errorf("%w: a limit is unknown, out of order, or no number below 2^53", ErrMalformed)
	errSame    = fmt.Errorf("%w: a value is the same before and after, or only one of the two is there", ErrMalformed)
)

// Check validates what can be said of changes alone; errors wrap ErrMalformed.
func (c Changes) Check() error {
	last := -1
	for _, l := range c.Limits {
		if l.Old == l.New {
			return errSame
		}
		if err := checkLimit(&last, l.Name, l.New); err != nil {
			return err
		}
		if l.Old < 0 || l.Old > maxLimit {
			return errLimit
		}
	}
	switch {
	case c.ExpiresAt.Old.IsZero() != c.ExpiresAt.New.IsZero(),
		!c.ExpiresAt.New.IsZero() && c.ExpiresAt.Old.Equal(c.ExpiresAt.New),
		!c.CustomerName.valid(), !c.Notes.valid():
		return errSame
	case !wholeSecond(c.ExpiresAt.Old) || !wholeSecond(c.ExpiresAt.New):
		return errSeconds
	case c.CustomerName.New != "" && !PlainText(c.CustomerName.New, maxNameBytes):
		return fmt.Errorf("%w: the customer's name is not plain text of at most %d bytes", ErrMalformed, maxNameBytes)
	case c.Notes.New != "" && !PlainText(c.Notes.New, MaxNotesBytes):
		return errNotes
	}
	if err := checkWords(c.Environments, "environments"); err != nil {
		return err
	}
	if err := checkWords(c.Features, "features"); err != nil {
		return err
	}
	return c.checkFingerprints()
}

func (c Changes) checkFingerprints() error {
	if c.Fingerprints == nil {
		return nil
	}
	list := *c.Fingerprints
	if len(list) > MaxReplacedFingerprints || !slices.IsSorted(list) || repeats(list) {
		return fmt.Errorf("%w: fingerprints are not sorted, repeat, or are more than %d", ErrMalformed, MaxReplacedFingerprints)
	}
	for _, fp := range list {
		if !PlainText(fp, maxFingerprintBytes) {
			return fmt.Errorf("%w: a fingerprint is not plain text of at most %d bytes", ErrMalformed, maxFingerprintBytes)
		}
	}
	return nil
}

// valid reports whether the change is none, or from one text to another.
func (c TextChange) valid() bool { return c == TextChange{} || c.New != "" && c.Old != c.New }

// checkLimit checks a limit's name, its place after the last one, and its value.
func checkLimit(last *int, name string, value int64) error {
	place := slices.IndexFunc(limitFields, func(f limitField) bool { return f.name == name })
	if place <= *last || value < 0 || value > maxLimit {
		return errLimit
	}
	*last = place
	return nil
}

// checkWords checks a list of environments or features.
func checkWords(list []string, what string) error {
	if !slices.IsSorted(list) || repeats(list) || len(list) > maxWords ||
		slices.ContainsFunc(list, func(w string) bool { return !environment.MatchString(w) }) {
		return fmt.Errorf("%w: %s are not lower-case words, sorted, each once and at most %d", ErrMalformed, what, maxWords)
	}
	return nil
}

const maxWords = 32

func wholeSecond(t time.Time) bool {
	return t.IsZero() || t.Location() == time.UTC && t.Nanosecond() == 0
}
