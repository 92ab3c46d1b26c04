package catalog

import (
	"fmt"
	"slices"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

// Contract is what an approved issue agrees beyond the template. The zero Contract agrees nothing.
type Contract struct {
	ExpiresAt   time.Time // instead of the template's term; needed where the term is by contract, zero otherwise keeps it
	Limits      []Limit   // in the order of LimitNames, each once
	AddFeatures []string  // sorted
	Notes       string    // at most MaxNotesBytes; empty leaves them
}

// Limit is an absolute value for one limit, by its JSON name; 0 is no limit.
type Limit struct {
	Name  string
	Value int64
}

// Check validates what can be said of a contract alone; errors wrap ErrMalformed.
func (c Contract) Check() error {
	last := -1
	for _, l := range c.Limits {
		if err := checkLimit(&last, l.Name, l.Value); err != nil {
			return err
		}
	}
	if !wholeSecond(c.ExpiresAt) {
		return errSeconds
	}
	if c.Notes != "" && !PlainText(c.Notes, MaxNotesBytes) {
		return errNotes
	}
	return checkWords(c.AddFeatures, "a contract's features")
}

// Empty reports whether nothing is agreed beyond the template.
func (c Contract) Empty() bool {
	return c.ExpiresAt.IsZero() && len(c.Limits) == 0 && len(c.AddFeatures) == 0 && c.Notes == ""
}

// RenderContract is Render for what staff approved: with the contract's terms, and with the measure of how far they go.
// Its errors are Render's; ErrBeyond is among them.
//
// A term by contract has no length of its own, so that its end date is measured from its start.
func RenderContract(s Source, c Contract, b Bounds) (license.Payload, Reach, error) {
	if err := c.Check(); err != nil {
		return license.Payload{}, 0, err
	}
	switch {
	case s.Template.Term.ByContract && c.ExpiresAt.IsZero():
		return license.Payload{}, 0, fmt.Errorf("%w: the term is agreed by contract, so its end must be named", ErrRefused)
	case s.Intent.Kind == IssueTopUp && !c.Empty():
		return license.Payload{}, 0, fmt.Errorf("%w: a top-up sells its pack, without terms of a contract", ErrRefused)
	}
	agreed := s.Template
	c.setLimits(&agreed.Limits) // so that an order may name as many instances as its contract allows
	before, err := s.render(agreed)
	if err != nil {
		return license.Payload{}, 0, err
	}
	p := clone(before)
	c.setLimits(&p.Limits)
	for _, feature := range c.AddFeatures {
		if slices.Contains(p.Features, feature) {
			return license.Payload{}, 0, fmt.Errorf("%w: a feature to add is the template's already", ErrRefused)
		}
		p.Features = append(p.Features, feature)
	}
	slices.Sort(p.Features)
	if !c.ExpiresAt.IsZero() {
		moveExpiry(&p, c.ExpiresAt)
	}
	if c.Notes != "" {
		p.Notes = c.Notes
	}
	return approved(before, p, s.Template, b, s.FulfillmentKey)
}

func (c Contract) setLimits(to *license.Limits) {
	for _, l := range c.Limits {
		*LimitOf(to, l.Name) = l.Value
	}
}

// moveExpiry sets another expiry and keeps the length of the grace.
func moveExpiry(p *license.Payload, expires time.Time) {
	if !p.GraceUntil.IsZero() {
		p.GraceUntil = expires.Add(p.GraceUntil.Sub(p.ExpiresAt))
	}
	p.ExpiresAt = expires
}

// approved finishes a license that people approve: it measures what they change and checks that the result keeps the rules
// of the format, since it is no longer a template's, which Check tried.
func approved(before, p license.Payload, t Template, b Bounds, fulfillmentKey string) (license.Payload, Reach, error) {
	reach, err := measure(before, p, t, b)
	if err != nil {
		return license.Payload{}, 0, err
	}
	if p, err = identify(p, fulfillmentKey); err != nil {
		return license.Payload{}, 0, err
	}
	if _, err := p.Canonical(); err != nil {
		return license.Payload{}, 0, fmt.Errorf("%w: the license would break the format's rules", ErrRefused)
	}
	return p, reach, nil
}

// clone copies a payload with its lists.
func clone(p license.Payload) license.Payload {
	p.Features = slices.Clone(p.Features)
	p.Limits = cloneLimits(p.Limits)
	d := &p.Deployment
	d.AllowedEnvironments = slices.Clone(d.AllowedEnvironments)
	d.AllowedInstances = slices.Clone(d.AllowedInstances)
	d.AllowedInstanceFingerprints = slices.Clone(d.AllowedInstanceFingerprints)
	return p
}

// OrderContract puts a contract's lists, with more limits, into the order that Check wants. A name that is no limit's stays
// for Check to refuse.
func OrderContract(c Contract, limits []Limit) Contract {
	names := LimitNames()
	c.Limits = slices.Concat(c.Limits, limits)
	slices.SortStableFunc(c.Limits, func(a, b Limit) int { return slices.Index(names, a.Name) - slices.Index(names, b.Name) })
	c.AddFeatures = slices.Sorted(slices.Values(c.AddFeatures))
	return c
}
