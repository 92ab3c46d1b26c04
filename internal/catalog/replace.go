package catalog

import (
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

// Replace renders the replacement of a license and measures how far it goes.
func Replace(r Replacement, b Bounds) (license.Payload, Reach, error) {
	return license.Payload{}, 0, ErrRefused
}

// Rotation is what Rotate renders.
type Rotation struct {
	Base           license.Payload // verified, with the old key
	FulfillmentKey string
	IssuedAt       time.Time // the request's own time
	KeyID          string    // the new key
}

// Rotate renders a license that differs from its base in key, ID and time of issue alone.
func Rotate(r Rotation) (license.Payload, error) { return license.Payload{}, ErrRefused }

// RenderContract is Render for what staff approved: with the contract's terms, and with the measure of how far they go.
func RenderContract(s Source, c Contract, b Bounds) (license.Payload, Reach, error) {
	return license.Payload{}, 0, ErrRefused
}
