package catalog

import "time"

// Contract is what an approved issue agrees beyond the template. The zero Contract agrees nothing.
type Contract struct {
	ExpiresAt   time.Time // instead of the template's term; needed where the term is by contract, zero otherwise keeps it
	Limits      []Limit   // in the order of LimitNames, each once
	AddFeatures []string  // sorted
	Notes       string    // at most MaxNotesBytes; empty leaves them
}

// Empty reports whether nothing is agreed beyond the template.
func (c Contract) Empty() bool {
	return c.ExpiresAt.IsZero() && len(c.Limits) == 0 && len(c.AddFeatures) == 0 && c.Notes == ""
}

// Limit is an absolute value for one limit, by its JSON name; 0 is no limit.
type Limit struct {
	Name  string
	Value int64
}

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

// Bounds of what a staff request may hold.
const (
	MaxNotesBytes           = 500
	MaxReplacedFingerprints = 100
)
