package catalog

import (
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

// Metadata writes the intent as Stripe metadata: order_id, kind, template, quantity, customer_id, customer_name,
// deployment_id, environments (comma-separated), fp_1 … fp_20, base_id, base_sha256; empty values are left out.
func (i Intent) Metadata() map[string]string { panic("contract") }

// ParseIntent reads an intent back and validates it strictly: unknown names, gaps in fp_n, bad IDs, wrong kinds of base are errors.
func ParseIntent(metadata map[string]string) (Intent, error) { panic("contract") }

// Validate checks an intent against the template it names: environments ⊂ template's, fingerprints ≤ max_instances, quantity ≤ max, base iff renewal or top-up.
func (i Intent) Validate(t Template) error { panic("contract") }

// Source is what Render renders: evidence reduced to what a license depends on.
type Source struct {
	Intent         Intent
	Template       Template
	Base           *license.Payload // verified; nil for a new license
	BaseTemplate   *Template        // the newest version of the base's SKU; nil where the bundle has none (issued before the portal)
	FulfillmentKey string           // e.g. the order ID
	IssuedAt       time.Time        // the event's created
	KeyID          string
}

// Render builds the payload. It is a pure function; it errors when the rules of DESIGN.md refuse (evaluation renewal, top-up of
// a base without max_total_tokens, customer mismatch, ...).
func Render(s Source) (license.Payload, error) { panic("contract") }

// LicenseID derives the license ID from the SKU, the day of issue and the fulfillment key.
func LicenseID(sku string, issuedAt time.Time, fulfillmentKey string) string { panic("contract") }

// CanRenew and CanTopUp say whether template t may be bought as a renewal or top-up of base; the error says why not in words for a customer.
func CanRenew(base license.Payload, baseTemplate, t Template) error                { panic("contract") }
func CanTopUp(base license.Payload, baseTemplate, t Template, now time.Time) error { panic("contract") }

// Launch returns the approved templates of CATALOG.md, version 1, for the demo bundle and tests.
func Launch() []Template { panic("contract") }
