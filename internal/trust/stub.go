package trust

import (
	"time"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/license"
)

// Parse reads a bundle strictly and validates it whole, telling all problems at once. It does not look at signatures.
func Parse(data []byte) (*Bundle, error) { panic("contract") }

// Template finds a template by its reference sku@version.
func (b *Bundle) Template(ref string) (catalog.Template, bool) { panic("contract") }

// Newest finds the newest version of a SKU.
func (b *Bundle) Newest(sku string) (catalog.Template, bool) { panic("contract") }

// OnSale returns the newest open version of every SKU, in the bundle's order.
func (b *Bundle) OnSale(at time.Time) []catalog.Template { panic("contract") }

// KeyRing is the ring that a router trusts: role license and revocation keys that may verify.
func (b *Bundle) KeyRing() (*license.KeyRing, error) { panic("contract") }
