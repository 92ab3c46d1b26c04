package web

import (
	"bytes"
	"encoding/json"
	"net/http"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/web/view"
)

// keys shows the public keys that a router trusts, and the revocation bundle that they sign.
func (s *server) keys(w http.ResponseWriter, r *http.Request) error {
	b, err := s.Catalog.Bundle(r.Context())
	if err != nil {
		return err
	}
	p := view.KeysPage{
		Chrome: s.chrome(r, "Public keys", "keys"), Keys: b.Keys, Version: b.Version,
		BundleURL: s.absolute("/revocations.json"),
	}
	if p.Bundle, err = s.Revocations.Current(r.Context()); err != nil { // the keys are of use without it
		s.Logger.WarnContext(r.Context(), "page without the revocation bundle", "request_id", requestID(r.Context()), "error", err)
		p.Bundle = fulfillment.RevocationBundle{}
	}
	p.Chrome.Copies = true
	return s.render(w, r, http.StatusOK, view.Keys(p))
}

// keyRing is the key ring file that a router and licensectl read.
func (s *server) keyRing(w http.ResponseWriter, r *http.Request) error {
	b, err := s.Catalog.Bundle(r.Context())
	if err != nil {
		return err
	}
	ring, err := b.KeyRing()
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(ring, "", "  ")
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Disposition", `attachment; filename="keyring.json"`)
	return serveBytes(w, r, append(data, '\n'))
}

// revocations is the revocation bundle in force, the exact bytes that were signed. It is public: routers fetch it again and
// again, and are told with 304 that they have it.
func (s *server) revocations(w http.ResponseWriter, r *http.Request) error {
	b, err := s.Revocations.Current(r.Context())
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Disposition", `attachment; filename="revocations.json"`)
	h.Set("Cache-Control", "public, max-age=60")
	h.Set("ETag", `"`+b.SHA256+`"`)
	if err := setDigest(h, b.SHA256); err != nil {
		return err
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b.Envelope))
	return nil
}
