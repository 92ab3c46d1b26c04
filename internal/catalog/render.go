package catalog

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

// Source is what Render renders: evidence reduced to what a license depends on.
type Source struct {
	Intent         Intent
	Template       Template
	Base           *license.Payload // verified; nil for a new license
	BaseTemplate   *Template        // newest version of the base's SKU; nil where the bundle has none (issued before the portal)
	FulfillmentKey string           // e.g. the order ID
	IssuedAt       time.Time        // the event's created
	PeriodEnd      time.Time        // of a subscription's cycle: it expires then, not after a term; zero otherwise
	KeyID          string
}

// Render builds the payload of a license from evidence, template and base alone: the same source always gives the same
// payload. Its errors wrap ErrMalformed, ErrQuantity, ErrRefused, ErrBaseMismatch or ErrBaseExpired. That the base of a
// top-up was unexpired at the start of the purchase is the caller's check (CanTopUp).
func Render(s Source) (license.Payload, error) {
	p, err := s.render(s.Template)
	if err != nil {
		return license.Payload{}, err
	}
	if s.Template.Term.ByContract {
		return license.Payload{}, fmt.Errorf("%w: the term is agreed by contract", ErrRefused)
	}
	return identify(p, s.FulfillmentKey)
}

// render makes all but the license ID of an intent that is valid for t.
func (s Source) render(t Template) (license.Payload, error) {
	if err := s.Intent.Validate(t); err != nil {
		return license.Payload{}, err
	}
	if s.FulfillmentKey == "" || s.KeyID == "" || s.IssuedAt.IsZero() {
		return license.Payload{}, errIncomplete
	}
	if err := s.checkBase(); err != nil {
		return license.Payload{}, err
	}
	if err := s.checkPeriod(); err != nil {
		return license.Payload{}, err
	}
	issued := s.IssuedAt.UTC().Truncate(time.Second)
	p := license.Payload{
		SchemaVersion: license.SchemaVersion, Product: license.Product, Issuer: license.Issuer, KeyID: s.KeyID,
		CustomerID: s.Intent.CustomerID, IssuedAt: issued, NotBefore: issued,
	}
	var err error
	switch s.Intent.Kind {
	case IssueNew:
		s.renderNew(&p)
	case IssueRenewal:
		err = s.renderRenewal(&p)
	case IssueTopUp:
		err = s.renderTopUp(&p)
	}
	return p, err
}

var errIncomplete = fmt.Errorf("%w: fulfillment key, key ID and time of issue are needed", ErrMalformed)

// identify checks what every license must keep, and gives it its ID.
func identify(p license.Payload, fulfillmentKey string) (license.Payload, error) {
	if !p.ExpiresAt.After(p.NotBefore) {
		return license.Payload{}, fmt.Errorf("%w: nothing of its time is left", ErrBaseExpired)
	}
	if n := boundInstances(p.Deployment); p.Limits.MaxInstances > 0 && n > p.Limits.MaxInstances {
		return license.Payload{}, fmt.Errorf("%w: more fingerprints than max_instances", ErrRefused)
	}
	p.LicenseID = LicenseID(p.SKU, p.IssuedAt, fulfillmentKey)
	return p, nil
}

// checkBase checks that the base is the one that the intent names and the customer's own.
func (s Source) checkBase() error {
	switch {
	case s.Intent.Kind == IssueNew && s.Base != nil:
		return fmt.Errorf("%w: a new license has no base", ErrBaseMismatch)
	case s.Intent.Kind == IssueNew:
		return nil
	case s.Base == nil:
		return fmt.Errorf("%w: the base is missing", ErrBaseMismatch)
	case s.Base.LicenseID != s.Intent.BaseID:
		return fmt.Errorf("%w: another license ID", ErrBaseMismatch)
	case s.Base.CustomerID != s.Intent.CustomerID:
		return fmt.Errorf("%w: another customer", ErrBaseMismatch)
	case s.Base.Deployment.DeploymentID != "" && s.Base.Deployment.DeploymentID != s.Intent.DeploymentID:
		return fmt.Errorf("%w: another deployment", ErrBaseMismatch)
	case len(s.Intent.Environments) > 0 && !sameSet(s.Intent.Environments, s.Base.Deployment.AllowedEnvironments):
		return fmt.Errorf("%w: other environments", ErrBaseMismatch)
	}
	return nil
}

// periodSlack is how much longer than a term from its payment a subscription's cycle may last: one that is billed on the
// 31st is three days longer than a month from 28 February.
const periodSlack = 7 * 24 * time.Hour

// checkPeriod bounds a subscription's cycle by the template's term.
func (s Source) checkPeriod() error {
	switch {
	case s.PeriodEnd.IsZero():
		return nil
	case !s.Template.Subscription() || s.Intent.Kind != IssueNew:
		return fmt.Errorf("%w: only a subscription's cycle has a period, and it has no base", ErrRefused)
	case s.PeriodEnd.After(s.Template.Term.After(s.IssuedAt).Add(periodSlack)):
		return fmt.Errorf("%w: the period is longer than the template's term", ErrRefused)
	}
	return nil
}

func (s Source) renderNew(p *license.Payload) {
	s.Template.apply(p)
	p.CustomerName = s.Intent.CustomerName
	p.Deployment = license.Deployment{
		Mode: s.Template.DeploymentMode, DeploymentID: s.Intent.DeploymentID,
		AllowedEnvironments:         slices.Sorted(slices.Values(s.Intent.Environments)),
		InstanceFingerprintRequired: s.Template.FingerprintRequired,
		AllowedInstances:            slices.Clone(s.Intent.Fingerprints),
	}
	if s.PeriodEnd.IsZero() {
		s.setExpiry(p, s.Template.Term.After(p.IssuedAt))
	} else {
		s.setExpiry(p, s.PeriodEnd.UTC().Truncate(time.Second))
	}
}

// renderRenewal starts the new term at the base's expiry where that is still ahead, so renewing early loses nothing.
func (s Source) renderRenewal(p *license.Payload) error {
	if err := CanRenew(*s.Base, s.baseTemplate(), s.Template); err != nil {
		return err
	}
	s.Template.apply(p)
	if err := s.inheritDeployment(p); err != nil {
		return err
	}
	s.setExpiry(p, s.Template.Term.After(later(p.IssuedAt, s.Base.ExpiresAt)))
	return nil
}

// renderTopUp gives fresh volume. On a license that sells time all but the totals stays the base's, so that a small pack
// never buys more time or features.
func (s Source) renderTopUp(p *license.Payload) error {
	if err := topUpRules(*s.Base, s.baseTemplate(), s.Template); err != nil {
		return err
	}
	if err := s.inheritDeployment(p); err != nil {
		return err
	}
	if s.baseTemplate().Kind == KindVolume {
		s.Template.apply(p)
		s.setExpiry(p, later(s.Base.ExpiresAt.UTC(), s.Template.Term.After(p.IssuedAt)))
		return nil
	}
	p.SKU = s.Base.SKU
	p.Features = slices.Clone(s.Base.Features)
	p.Limits = cloneLimits(s.Base.Limits)
	p.Limits.MaxTotalTokens = s.Template.Limits.MaxTotalTokens
	p.Limits.MaxTotalRequests = s.Template.Limits.MaxTotalRequests
	p.ExpiresAt = s.Base.ExpiresAt.UTC()
	p.GraceUntil = s.Base.GraceUntil.UTC()
	p.Notes = "Top-up: " + s.Template.Name
	return nil
}

func (s Source) baseTemplate() Template {
	if s.BaseTemplate == nil {
		return Template{}
	}
	return *s.BaseTemplate
}

// apply takes SKU, features and limits from the template.
func (t Template) apply(p *license.Payload) {
	p.SKU, p.Features, p.Limits = t.SKU, slices.Sorted(slices.Values(t.Features)), cloneLimits(t.Limits)
}

func (s Source) setExpiry(p *license.Payload, expires time.Time) {
	p.ExpiresAt = expires
	if s.Template.GraceHours > 0 {
		p.GraceUntil = expires.Add(time.Duration(s.Template.GraceHours) * time.Hour)
	}
}

// inheritDeployment takes customer name, deployment and fingerprints from the base. Hashed fingerprints bind the base's
// own license ID, so they cannot be copied: the intent must name the raw fingerprint behind each of them.
func (s Source) inheritDeployment(p *license.Payload) error {
	p.CustomerName = s.Base.CustomerName
	d := s.Base.Deployment
	hashed := d.AllowedInstanceFingerprints
	d.DeploymentID = s.Intent.DeploymentID // equal to the base's where that has one
	d.AllowedEnvironments = slices.Clone(d.AllowedEnvironments)
	d.AllowedInstances = slices.Clone(d.AllowedInstances)
	d.AllowedInstanceFingerprints = nil
	if len(hashed) > 0 {
		for _, fp := range s.Intent.Fingerprints {
			if !slices.Contains(hashed, hashFingerprint(*s.Base, fp)) {
				return fmt.Errorf("%w: a fingerprint is not the base's", ErrBaseMismatch)
			}
		}
		if len(s.Intent.Fingerprints) != len(hashed) {
			return fmt.Errorf("%w: the base's fingerprints are hashed; name each of them", ErrBaseMismatch)
		}
		d.AllowedInstances = append(d.AllowedInstances, s.Intent.Fingerprints...)
		d.BindingVersion = 0
	} else if len(s.Intent.Fingerprints) > 0 && !sameSet(s.Intent.Fingerprints, rawFingerprints(d)) {
		return fmt.Errorf("%w: other fingerprints", ErrBaseMismatch)
	}
	p.Deployment = d
	return nil
}

func rawFingerprints(d license.Deployment) []string {
	if d.InstanceFingerprint == "" || slices.Contains(d.AllowedInstances, d.InstanceFingerprint) {
		return d.AllowedInstances
	}
	return append([]string{d.InstanceFingerprint}, d.AllowedInstances...)
}

func boundInstances(d license.Deployment) int64 { return int64(len(rawFingerprints(d))) }

// hashFingerprint is an entry of allowed_instance_fingerprints as LICENSE-FORMAT.md defines it.
func hashFingerprint(p license.Payload, raw string) string {
	place := p.Deployment.DeploymentID
	if place == "" {
		place = p.Deployment.Mode
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{p.Product, p.CustomerID, p.LicenseID, place, raw}, "\x00")))
	return "sha256:" + hex.EncodeToString(sum[:])
}

func sameSet(a, b []string) bool { return len(a) == len(b) && subset(a, b) && subset(b, a) }

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b.UTC()
	}
	return a
}

// LicenseID derives the license ID from the SKU, the UTC day of issue and the fulfillment key.
func LicenseID(sku string, issuedAt time.Time, fulfillmentKey string) string {
	sum := sha256.Sum256([]byte(fulfillmentKey))
	return "lic_" + strings.ReplaceAll(sku, "-", "_") + "_" + issuedAt.UTC().Format("20060102") + "_" + hex.EncodeToString(sum[:8])
}
