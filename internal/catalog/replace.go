package catalog

import (
	"fmt"
	"slices"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

// Replacement is what Replace renders: a staff request reduced to what a license depends on.
type Replacement struct {
	Base           license.Payload // verified
	BaseTemplate   *Template       // newest version of the base's SKU; nil where the bundle has none (issued before the portal)
	Template       *Template       // another package to move to, of which SKU, features and limits are taken; nil keeps the base's
	Changes        Changes
	FulfillmentKey string    // "req:" and the request's digest
	IssuedAt       time.Time // the request's own time
	KeyID          string
}

// Replace renders the replacement of a license and measures how far it goes. The measure is the package it moves to, else
// the newest version of the base's own, else, where the bundle does not know that, the base itself. A move to another
// package takes two approvers. Errors wrap ErrMalformed, ErrRefused (ErrBeyond is among them), ErrBaseMismatch or
// ErrBaseExpired.
func Replace(r Replacement, b Bounds) (license.Payload, Reach, error) {
	if err := r.check(); err != nil {
		return license.Payload{}, 0, err
	}
	before := reissue(r.Base, r.IssuedAt, r.KeyID)
	t := r.measure()
	if r.Template != nil {
		t.apply(&before)
	}
	p := clone(before)
	if err := r.change(&p, t); err != nil {
		return license.Payload{}, 0, err
	}
	if r.Template != nil && !subset(p.Deployment.AllowedEnvironments, t.Environments) {
		return license.Payload{}, 0, fmt.Errorf("%w: the package is not sold for an environment of the license", ErrRefused)
	}
	p, reach, err := approved(before, p, t, b, r.FulfillmentKey)
	if err == nil && r.Template != nil {
		reach = ReachBounds
	}
	return p, reach, err
}

// check validates what the request says of the base and of the package to move to.
func (r Replacement) check() error {
	if r.FulfillmentKey == "" || r.KeyID == "" || r.IssuedAt.IsZero() {
		return errIncomplete
	}
	if err := r.Changes.Check(); err != nil {
		return err
	}
	if t := r.Template; t != nil {
		switch {
		case t.SKU == r.Base.SKU:
			return fmt.Errorf("%w: a license of this package keeps it without naming it", ErrRefused)
		case t.Evaluation || !t.Open(r.IssuedAt):
			return fmt.Errorf("%w: no license may move to an evaluation or a closed package", ErrRefused)
		case t.DeploymentMode != r.Base.Deployment.Mode:
			return fmt.Errorf("%w: the package is not sold for the license's deployment", ErrRefused)
		}
	}
	return r.checkOld()
}

// checkOld compares the values that people were shown with the base's.
func (r Replacement) checkOld() error {
	c, base := r.Changes, r.Base
	wrong := c.ExpiresAt.New != time.Time{} && !c.ExpiresAt.Old.Equal(base.ExpiresAt) ||
		c.CustomerName.New != "" && c.CustomerName.Old != base.CustomerName ||
		c.Notes.New != "" && c.Notes.Old != base.Notes ||
		slices.ContainsFunc(c.Limits, func(l LimitChange) bool { return *LimitOf(&base.Limits, l.Name) != l.Old })
	if wrong {
		return fmt.Errorf("%w: a value that the request says it replaces is not the base's", ErrBaseMismatch)
	}
	return nil
}

// measure is the template that the replacement is measured against.
func (r Replacement) measure() Template {
	switch {
	case r.Template != nil:
		return *r.Template
	case r.BaseTemplate != nil:
		return *r.BaseTemplate
	}
	return Template{
		SKU: r.Base.SKU, Features: r.Base.Features, Limits: r.Base.Limits, Environments: r.Base.Deployment.AllowedEnvironments,
		FingerprintRequired: true, // it takes fingerprints
	}
}

func (r Replacement) change(p *license.Payload, t Template) error {
	c := r.Changes
	if !c.ExpiresAt.New.IsZero() {
		moveExpiry(p, c.ExpiresAt.New)
	}
	if c.CustomerName.New != "" {
		p.CustomerName = c.CustomerName.New
	}
	if c.Notes.New != "" {
		p.Notes = c.Notes.New
	}
	if len(c.Environments) > 0 {
		p.Deployment.AllowedEnvironments = slices.Clone(c.Environments)
	}
	if len(c.Features) > 0 {
		p.Features = slices.Clone(c.Features)
	}
	for _, l := range c.Limits {
		*LimitOf(&p.Limits, l.Name) = l.New
	}
	return rebind(&p.Deployment, c.Fingerprints, t)
}

// rebind binds a license to other instances. Hashed fingerprints bind the base's own license ID, so they cannot be kept.
func rebind(d *license.Deployment, fingerprints *[]string, t Template) error {
	switch {
	case fingerprints == nil && len(d.AllowedInstanceFingerprints) > 0:
		return errHashed
	case fingerprints == nil:
		return nil
	case len(*fingerprints) > 0 && !t.FingerprintRequired:
		return fmt.Errorf("%w: the package takes no fingerprints", ErrRefused)
	}
	d.InstanceFingerprint, d.AllowedInstanceFingerprints, d.BindingVersion = "", nil, 0
	d.AllowedInstances = slices.Clone(*fingerprints)
	return nil
}

var errHashed = fmt.Errorf("%w: the base's fingerprints are hashed for its own license ID; name the raw ones", ErrBaseMismatch)

// reissue is a base under another key from another time on. A license that starts later still does.
func reissue(base license.Payload, issuedAt time.Time, keyID string) license.Payload {
	p := clone(base)
	p.KeyID, p.IssuedAt = keyID, issuedAt.UTC().Truncate(time.Second)
	p.NotBefore = later(p.IssuedAt, base.NotBefore)
	return p
}

// Rotation is what Rotate renders.
type Rotation struct {
	Base           license.Payload // verified, with the old key
	FulfillmentKey string
	IssuedAt       time.Time // the request's own time
	KeyID          string    // the new key
}

// Rotate renders a license that differs from its base in key, ID and time of issue alone. Errors wrap ErrMalformed,
// ErrRefused, ErrBaseMismatch or ErrBaseExpired.
func Rotate(r Rotation) (license.Payload, error) {
	switch {
	case r.FulfillmentKey == "" || r.KeyID == "" || r.IssuedAt.IsZero():
		return license.Payload{}, errIncomplete
	case r.KeyID == r.Base.KeyID:
		return license.Payload{}, fmt.Errorf("%w: the base is signed with the key in use already", ErrBaseMismatch)
	case len(r.Base.Deployment.AllowedInstanceFingerprints) > 0:
		return license.Payload{}, errHashed
	}
	before := reissue(r.Base, r.IssuedAt, r.KeyID)
	p, _, err := approved(before, before, Template{}, Bounds{}, r.FulfillmentKey)
	return p, err
}
