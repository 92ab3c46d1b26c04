// Package server is the signer: it turns evidence into signed licenses, and answers on one Unix socket.
//
// It takes evidence and never bytes to sign; it offers no verb that returns a key. The license is catalog.Render over
// what the evidence says and what the trust bundle pins. Nothing leaves that was not verified with the public key and
// synced to the issuance log.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/signer/evidence"
	"github.com/metrum-ai/licensing-portal/internal/signer/log"
	"github.com/metrum-ai/licensing-portal/internal/trust"
	"github.com/metrum-ai/licensing-portal/license"
)

// Keys signs with the private half of a key of the trust bundle.
type Keys interface {
	Has(keyID string) bool
	Sign(keyID string, message []byte) ([]byte, error)
}

// Log is the issuance log. Append is atomic: it decides by fulfillment key, counters and clock, and returns after the
// sync.
type Log interface {
	Find(key string) (log.Record, bool, error)
	License(id string) (log.Record, bool, error)
	PaidBy(payment string) ([]log.Record, error)
	BuiltOn(licenseID string) ([]log.Record, error)
	Standing() (log.Standing, error)
	Causes(licenseID string) (log.Causes, error)
	Append(ctx context.Context, r log.Record, counters []log.Counter) (log.Record, error)
	Page(from uint64, maxRecords, maxBytes int) ([]log.Record, uint64, error)
	ProveInclusion(index, size uint64) (tlog.RecordProof, error)
	ProveConsistency(from, to uint64) (tlog.TreeProof, error)
	LastLogged() time.Time
	Checkpoint() []byte
	Size() uint64
	Counts(prefix string) (map[string]uint64, error)
	Err() error
}

// Config is what an issuer needs; everything but LegacyKeys, Clock and Logger is required.
type Config struct {
	Bundle      *trust.Bundle
	BundleBytes []byte
	Keys        Keys
	LegacyKeys  []license.Key // verify bases that were issued before the portal
	Verifier    *evidence.Verifier
	Log         Log
	Clock       *Clock       // nil: the system's
	Logger      *slog.Logger // nil: none
}

// Issuer decides what is signed under one trust bundle; safe for concurrent use. Another bundle takes another issuer, see
// Current.
type Issuer struct {
	config   Config
	bases    *license.KeyRing            // verifies bases
	everyKey *license.KeyRing            // reads bases under any key that the bundle names, whatever became of it
	own      map[string]*license.KeyRing // verifies what a key of the bundle just signed, by key ID
	verbs    http.Handler
	*process
}

// process is what the issuers of one process share, so that it outlives a reload.
type process struct {
	started  time.Time
	revoking sync.Mutex // a revocation decides on what the one before left
	landlock string     // see Confine
}

// New returns an issuer; it refuses a configuration that lacks something.
func New(c Config) (*Issuer, error) {
	if c.Bundle == nil || len(c.BundleBytes) == 0 || c.Keys == nil || c.Verifier == nil || c.Log == nil {
		return nil, errors.New("signer: bundle, keys, webhook secrets and log are required")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = SystemClock()
	}
	ring, err := c.Bundle.KeyRing()
	if err != nil {
		return nil, fmt.Errorf("signer: %w", err)
	}
	bases, err := license.NewKeyRing(append(ring.Keys(), c.LegacyKeys...)...)
	if err != nil {
		return nil, fmt.Errorf("signer: legacy keys: %w", err)
	}
	i := &Issuer{config: c, bases: bases, own: map[string]*license.KeyRing{}, process: &process{started: c.Clock.Now()}}
	var every []license.Key
	for _, k := range c.Bundle.Keys {
		public, err := k.Public()
		if err != nil {
			return nil, fmt.Errorf("signer: key %s: %w", k.ID, err)
		}
		key := license.Key{ID: k.ID, Role: k.Role, Public: public}
		if i.own[k.ID], err = license.NewKeyRing(key); err != nil {
			return nil, fmt.Errorf("signer: key %s: %w", k.ID, err)
		}
		every = append(every, key)
	}
	if i.everyKey, err = license.NewKeyRing(every...); err != nil {
		return nil, fmt.Errorf("signer: %w", err)
	}
	i.verbs = i.mux()
	return i, nil
}

func (i *Issuer) mode() string {
	if i.config.Bundle.Stripe.Livemode {
		return "live"
	}
	return "test"
}

// Status says how the signer is.
func (i *Issuer) Status() signer.Status {
	now := i.config.Clock.Now()
	s := signer.Status{
		TrustVersion: i.config.Bundle.Version, LogSize: i.config.Log.Size(), Mode: i.mode(), UID: os.Getuid(),
		StartedAt: i.started.UTC().Truncate(time.Second), Landlock: i.landlock,
	}
	var err error
	s.Keys, err = i.keyUse(now)
	key, ok := i.config.Bundle.SigningKey(trust.RoleLicense, now, now)
	switch {
	case errors.Join(err, i.config.Log.Err()) != nil:
		s.Problem = "the issuance log failed; see the signer's log and start it again"
	case i.clockError(now) != nil:
		s.Problem = "the clock moved or is behind the issuance log"
	case !ok || !i.config.Keys.Has(key.ID):
		s.Problem = "no key may sign now"
	default:
		s.Ready = true
	}
	s.SigningKeyID = key.ID
	return s
}

// clockError refuses a clock that cannot be trusted.
func (i *Issuer) clockError(now time.Time) error {
	if err := i.config.Clock.Check(); err != nil {
		return refuse(signer.CodeClock, "the clock jumped while the signer ran; set it right and start the signer again")
	}
	if now.Before(i.config.Log.LastLogged().Add(-log.MaxClockBehind)) {
		return refuse(signer.CodeClock, "the clock is behind the issuance log")
	}
	return nil
}

func refuse(code signer.Code, message string) error {
	return &signer.Error{Code: code, Message: message}
}
