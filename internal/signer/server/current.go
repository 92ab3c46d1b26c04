package server

import (
	"net/http"
	"sync/atomic"
)

// Current is the issuer in force. A reload puts another in its place at once; a request is served whole by the issuer that
// it found, so that none is authorized under one trust bundle and signed under another.
type Current struct{ in atomic.Pointer[Issuer] }

// NewCurrent starts with an issuer.
func NewCurrent(i *Issuer) *Current {
	c := new(Current)
	c.in.Store(i)
	return c
}

// Issuer returns the issuer in force.
func (c *Current) Issuer() *Issuer { return c.in.Load() }

// Replace puts another issuer in force, which must have the same log and clock and serve nothing yet.
func (c *Current) Replace(next *Issuer) {
	next.process = c.Issuer().process
	c.in.Store(next)
}

// Confined says what Confine made of this process, before anything is served.
func (c *Current) Confined(landlock string) { c.Issuer().landlock = landlock }

// Handler returns the signer's verbs. Callers are told apart by the connection (see Serve), not here.
func (c *Current) Handler() http.Handler {
	return limit(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.Issuer().verbs.ServeHTTP(w, r) }))
}
