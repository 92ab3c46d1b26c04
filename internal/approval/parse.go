package approval

import (
	"strconv"
	"strings"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
)

// Parse reads a request's canonical text, and nothing that Text would write otherwise: one meaning has one text. Every
// error wraps ErrMalformed.
func Parse(text string) (Request, error) {
	body, ok := strings.CutPrefix(text, header)
	switch {
	case len(text) > MaxTextBytes:
		return Request{}, errTooLong
	case !ok:
		return Request{}, malformed("it does not begin as a request of this form")
	}
	in := &reader{lines: strings.SplitAfter(body, "\n")}
	r := Request{
		ID: in.take("request"), Action: Action(in.take("action")), Proposer: in.take("proposer"), CreatedAt: in.time("created_at"),
		Reason: Reason(in.take("reason")), Explanation: in.take("explanation"), Ticket: in.take("ticket"),
	}
	switch r.Action {
	case ActionIssue:
		r.Issue = in.issue()
	case ActionReplace:
		r.Replace = in.replace()
	case ActionRotate:
		r.Rotate = &Rotate{KeyID: in.take("old_key_id"), AtMost: int(in.number(in.take("at_most")))}
	case ActionRevoke:
		r.Revoke = in.revoke()
	}
	if in.err != nil {
		return Request{}, in.err
	}
	if err := r.check(); err != nil {
		return Request{}, err
	}
	// Whatever the reader was lenient about, or left over, is not what the request writes.
	if r.text() != text {
		return Request{}, malformed("its lines are not those of the canonical text")
	}
	return r, nil
}

// reader takes lines from the front, each by its name.
type reader struct {
	lines []string // with their newlines
	err   error
}

// take takes the next line's value where the line has the name, and else nothing: its value is empty.
func (in *reader) take(name string) string {
	if !in.next(name) {
		return ""
	}
	value := in.lines[0][len(name)+1:]
	in.lines = in.lines[1:]
	return strings.TrimSuffix(value, "\n")
}

func (in *reader) next(name string) bool {
	return len(in.lines) > 0 && strings.HasPrefix(in.lines[0], name+" ")
}

func (in *reader) fail(what string) {
	if in.err == nil {
		in.err = malformed(what)
	}
}

func (in *reader) number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		in.fail("a number is missing or none")
	}
	return n
}

func (in *reader) time(name string) time.Time {
	text := in.take(name)
	if text == "" {
		return time.Time{}
	}
	at, err := time.Parse(timeForm, text)
	if err != nil {
		in.fail(name + " is no time like " + timeForm)
	}
	return at
}

// list takes a list behind its count; nil where there is none.
func (in *reader) list(names, name string) *[]string {
	if !in.next(names) {
		return nil
	}
	count := in.number(in.take(names))
	list := []string{}
	for in.next(name) && int64(len(list)) < count {
		list = append(list, in.take(name))
	}
	return &list // one that is shorter than its count is written otherwise
}

// words takes a list that cannot be empty.
func (in *reader) words(names, name string) []string {
	if list := in.list(names, name); list != nil {
		return *list
	}
	return nil
}

// limit takes the name and the value of a limit.
func (in *reader) limit(name string) (limit string, value int64) {
	limit, text, _ := strings.Cut(in.take(name), " ")
	return limit, in.number(text)
}

func (in *reader) issue() *Issue {
	metadata := map[string]string{}
	set := func(name string) {
		if in.next(name) {
			metadata[name] = in.take(name)
		}
	}
	for _, name := range intentLines {
		set(name)
	}
	for n := 0; in.next(fingerprintLine(n)); n++ {
		set(fingerprintLine(n))
	}
	intent, err := catalog.ParseIntent(metadata)
	if err != nil {
		in.fail(err.Error())
	}
	i := &Issue{Intent: intent, Invoice: in.take("invoice"), Contract: catalog.Contract{ExpiresAt: in.time("expires_at")}}
	for in.next("limit") {
		name, value := in.limit("limit")
		i.Contract.Limits = append(i.Contract.Limits, catalog.Limit{Name: name, Value: value})
	}
	for in.next("add_feature") {
		i.Contract.AddFeatures = append(i.Contract.AddFeatures, in.take("add_feature"))
	}
	i.Contract.Notes = in.take("notes")
	return i
}

func (in *reader) replace() *Replace {
	return &Replace{
		BaseID: in.take("base_id"), BaseSHA256: in.take("base_sha256"), CustomerID: in.take("customer_id"),
		CustomerName: in.take("customer_name"), SKU: in.take("sku"), Template: in.take("new_template"), Changes: in.changes(),
		SupersedeAt: in.time("supersede_at"),
	}
}

func (in *reader) changes() catalog.Changes {
	c := catalog.Changes{
		ExpiresAt:    catalog.TimeChange{Old: in.time("old_expires_at"), New: in.time("new_expires_at")},
		CustomerName: catalog.TextChange{Old: in.take("old_customer_name"), New: in.take("new_customer_name")},
		Environments: in.words("new_environments", "environment"),
		Fingerprints: in.list("new_fingerprints", "fingerprint"),
		Features:     in.words("new_features", "feature"),
	}
	for in.next("old_limit") {
		name, old := in.limit("old_limit")
		again, now := in.limit("new_limit")
		if again != name {
			in.fail("a limit's new value does not follow its old one")
		}
		c.Limits = append(c.Limits, catalog.LimitChange{Name: name, Old: old, New: now})
	}
	c.Notes = catalog.TextChange{Old: in.take("old_notes"), New: in.take("new_notes")}
	return c
}

func (in *reader) revoke() []Revocation {
	var list []Revocation
	for in.next("license_id") {
		list = append(list, Revocation{
			LicenseID: in.take("license_id"), Status: in.take("status"), EffectiveAt: in.time("effective_at"),
			SupersededBy: in.take("superseded_by"),
		})
	}
	return list
}
