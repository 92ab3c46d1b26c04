package fulfillment

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/trust"
)

// TrustSource answers the trust bundle; the signer's client is one.
type TrustSource interface {
	Trust(ctx context.Context) (*trust.Bundle, error)
}

// How long a bundle is shown without asking the signer again, and how old it may be while the signer does not answer.
// A page waits no longer than bundleWait for a signer that hangs.
const (
	bundleFresh = 5 * time.Second
	bundleStale = 15 * time.Minute
	bundleWait  = time.Second
)

// Catalog remembers the signer's trust bundle for a few seconds, so that a page costs no round trip and the package list
// outlives a short absence of the signer. It is safe for concurrent use.
type Catalog struct {
	source TrustSource
	now    func() time.Time

	mu    sync.Mutex
	at    time.Time // of the last good answer
	asked time.Time // of the last question
	last  *trust.Bundle
}

// NewCatalog returns a catalog that asks source.
func NewCatalog(source TrustSource, now func() time.Time) *Catalog {
	return &Catalog{source: source, now: now}
}

// Bundle answers the bundle; nobody may change it. Its error wraps ErrUnavailable.
func (c *Catalog) Bundle(ctx context.Context) (*trust.Bundle, error) {
	now := c.now()
	c.mu.Lock()
	if c.last != nil && now.Sub(c.asked) < bundleFresh {
		defer c.mu.Unlock()
		return c.last, nil
	}
	c.asked = now // the others go on with the last one meanwhile
	c.mu.Unlock()

	waiting, cancel := context.WithTimeout(ctx, bundleWait)
	defer cancel()
	bundle, err := c.source.Trust(waiting)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.last, c.at = bundle, now
		return bundle, nil
	}
	if c.last != nil && now.Sub(c.at) < bundleStale {
		return c.last, nil
	}
	c.asked = time.Time{}
	return nil, fmt.Errorf("%w: trust bundle: %w", ErrUnavailable, err)
}
