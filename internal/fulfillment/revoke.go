package fulfillment

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/license"
)

const (
	// bundleAlarm is how much time a revocation bundle must have left; the signer signs a new one four weeks before its end.
	bundleAlarm = 14 * 24 * time.Hour

	// An event whose job was lost is taken up again after leftAfter, so many at a time.
	leftAfter = 10 * time.Minute
	leftBatch = 100
)

// RevokingSigner is what revoking needs of the signer. A refusal is a *signer.Error.
type RevokingSigner interface {
	Revoke(ctx context.Context, r signer.RevokeRequest) (signer.Revoked, error)
}

// RevocationStore keeps revocation bundles and what the newest says of each license.
type RevocationStore interface {
	// TakenBack finds a stored event that TakesBack, with its body.
	TakenBack(ctx context.Context, mode, eventID string) (ReceivedEvent, error)
	// TakenBackLeft lists the events that TakesBack, were received before the time and had nothing made of them, the oldest
	// first, without their bodies.
	TakenBackLeft(ctx context.Context, before time.Time, limit int) ([]ReceivedEvent, error)
	// NewestRevocations answers the bundle of the highest epoch, without its bytes. ErrNotFound if none is stored.
	NewestRevocations(ctx context.Context) (RevocationBundle, error)
	// StoreRevocations stores an answer of the signer's in one transaction: the bundle with what it changes, unless one of
	// the same or a higher epoch is stored; what the event came to, if one was asked about; and, unless the answer is silent,
	// the mails to customers whose license is revoked, suspended or reinstated by it. ErrBundleForked.
	StoreRevocations(ctx context.Context, a RevocationAnswer) error
	// ForgottenRevocations counts the licenses that are stored as revoked and that a bundle does not revoke, unless one of the
	// same or a higher epoch is stored.
	ForgottenRevocations(ctx context.Context, epoch int64, entries []license.RevocationEntry) (int, error)
}

// StandingMailStore keeps what was mailed of what changed.
type StandingMailStore interface {
	// StandingMail finds what to say of a license that a bundle changed; sent tells that it went out already.
	StandingMail(ctx context.Context, licenseID string, epoch int64) (m StandingMail, sent bool, err error)
	MarkStandingMailed(ctx context.Context, licenseID string, epoch int64, at time.Time) error
}

// ErrBundleForked says that the signer made two revocation bundles of one epoch.
var ErrBundleForked = errors.New("two revocation bundles have one epoch")

// ErrRevocationLost says that a bundle does not revoke what a stored one revokes. Nothing lifts a revocation, so the signer's
// log lost it: "portal replay" brings it back.
var ErrRevocationLost = errors.New("the bundle lacks a revocation that is stored")

// RevocationBundle is a verified revocation bundle.
type RevocationBundle struct {
	Epoch     int64
	IssuedAt  time.Time
	ExpiresAt time.Time
	Entries   int
	Envelope  []byte // the file's exact bytes; nil where they were not asked for
	SHA256    string // lower-case hex of them
}

// RevocationAnswer is what the signer said, verified.
type RevocationAnswer struct {
	Bundle  RevocationBundle
	Entries []license.RevocationEntry
	Event   *TakenBack // what was asked about; nil for the bundle in force
	Silent  bool       // writes to nobody
	At      time.Time
}

// TakenBack is what a refund or dispute came to.
type TakenBack struct {
	Mode, EventID string
	OrderID       string   // whose payment it takes back; "" if unknown
	Outcome       string   // replaces the one that is stored, unless Changed is 0 and there is one
	Changed       int      // licenses
	Flags         []Reason // for staff, on the order
	Review        []string // licenses that only staff may judge
	Charge        *Charge  // what was looked at, for the order's page; nil if it was no charge
}

// RevokerConfig is what Revoker needs; every field is required.
type RevokerConfig struct {
	Store   RevocationStore
	Taken   TakenStore
	Mails   StandingMailStore
	Stripe  TakenStripe
	Signer  RevokingSigner
	Catalog Bundles
	Mailer  StandingMailer
	Now     func() time.Time
	Log     *slog.Logger
}

// Revoker brings refunds and disputes to the signer, and the signer's revocation bundle to the database. What it brings is what
// Stripe says now; whether anything is revoked is decided by the signer alone, on the event that Stripe signed.
type Revoker struct{ c RevokerConfig }

// NewRevoker returns the service, or says what is missing.
func NewRevoker(c RevokerConfig) (*Revoker, error) {
	if c.Store == nil || c.Taken == nil || c.Mails == nil || c.Stripe == nil || c.Signer == nil || c.Catalog == nil || c.Mailer == nil || c.Now == nil || c.Log == nil {
		return nil, errors.New("fulfillment: the revoker needs its stores, stripe, signer, catalog, mailer, clock and log")
	}
	return &Revoker{c}, nil
}

// changesWords says what an event came to: "revoked 1, suspended 2".
func changesWords(changes []signer.RevocationChange) string {
	var words []string
	for _, status := range []string{license.StatusRevoked, license.StatusSuspended, license.StatusSuperseded, signer.StatusReinstated} {
		n := len(filter(changes, func(c signer.RevocationChange) bool { return c.Status == status }))
		if n > 0 {
			words = append(words, fmt.Sprintf("%s %d", status, n))
		}
	}
	if len(words) == 0 {
		return "nothing new to revoke"
	}
	return strings.Join(words, ", ")
}

// Keep stores a revocation bundle that the signer answered to something else than a refund or dispute.
func (s *Revoker) Keep(ctx context.Context, answer signer.Revoked) error {
	return s.store(ctx, answer, nil, false)
}

// store verifies an answer of the signer's as a router would, and stores it.
func (s *Revoker) store(ctx context.Context, answer signer.Revoked, came *TakenBack, silent bool) error {
	bundle, err := s.c.Catalog.Bundle(ctx)
	if err != nil {
		return err
	}
	ring, err := bundle.KeyRing()
	if err != nil {
		return fmt.Errorf("revoke: key ring: %w", err)
	}
	now := s.c.Now()
	read, err := license.ReadRevocationBundle([]byte(answer.Bundle), ring, now)
	if err == nil && read.Epoch() != answer.Epoch {
		err = fmt.Errorf("it has the epoch %d", read.Epoch())
	}
	if err != nil {
		s.c.Log.ErrorContext(ctx, "revocation bundle is not what the signer says", "epoch", answer.Epoch, "error", err)
		return fmt.Errorf("revoke: bundle of epoch %d: %w", answer.Epoch, err)
	}
	claims, sum := read.Payload(), sha256.Sum256([]byte(answer.Bundle))
	if forgotten, err := s.c.Store.ForgottenRevocations(ctx, read.Epoch(), claims.Entries); err != nil {
		return fmt.Errorf("revoke: stored revocations: %w", err)
	} else if forgotten > 0 {
		s.c.Log.ErrorContext(ctx, "signer forgot revocations; run portal replay", "epoch", answer.Epoch, "licenses", forgotten)
		return fmt.Errorf("revoke: bundle of epoch %d: %w", answer.Epoch, ErrRevocationLost)
	}
	err = s.c.Store.StoreRevocations(ctx, RevocationAnswer{
		Bundle: RevocationBundle{
			Epoch: read.Epoch(), IssuedAt: claims.IssuedAt, ExpiresAt: claims.ExpiresAt, Entries: read.Len(),
			Envelope: []byte(answer.Bundle), SHA256: hex.EncodeToString(sum[:]),
		},
		Entries: claims.Entries, Event: came, Silent: silent, At: now,
	})
	if errors.Is(err, ErrBundleForked) {
		s.c.Log.ErrorContext(ctx, "signer made two revocation bundles of one epoch", "epoch", answer.Epoch)
	}
	if err != nil {
		return fmt.Errorf("revoke: store: %w", err)
	}
	return nil
}

// Refresh asks for the bundle in force, which the signer signs anew once it is a week old, and takes up the refunds and
// disputes whose jobs were lost. It alarms where the bundle that is stored will soon be over.
func (s *Revoker) Refresh(ctx context.Context) error {
	before, err := s.c.Store.NewestRevocations(ctx)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("revoke: newest bundle: %w", err)
	}
	err = s.refresh(ctx, before, false)
	newest, readErr := s.c.Store.NewestRevocations(ctx)
	if left := newest.ExpiresAt.Sub(s.c.Now()); readErr == nil && left < bundleAlarm {
		s.c.Log.ErrorContext(ctx, "revocation bundle is not renewed", "epoch", newest.Epoch, "expires_at", newest.ExpiresAt, "hours_left", int(left.Hours()))
	}
	return errors.Join(err, s.takeUp(ctx))
}

func (s *Revoker) refresh(ctx context.Context, before RevocationBundle, silent bool) error {
	answer, err := s.c.Signer.Revoke(ctx, signer.RevokeRequest{})
	if err != nil {
		return fmt.Errorf("revoke: bundle in force: %w", err)
	}
	if answer.Epoch < before.Epoch { // asked after that one was stored, so the signer forgot it
		s.c.Log.ErrorContext(ctx, "signer's revocation bundle is older than the stored one", "epoch", answer.Epoch, "stored", before.Epoch)
		return fmt.Errorf("revoke: the signer's bundle has the epoch %d, below %d", answer.Epoch, before.Epoch)
	}
	return s.store(ctx, answer, nil, silent)
}

// takeUp judges the refunds and disputes that were left behind.
func (s *Revoker) takeUp(ctx context.Context) error {
	left, err := s.c.Store.TakenBackLeft(ctx, s.c.Now().Add(-leftAfter), leftBatch)
	if err != nil {
		return fmt.Errorf("revoke: events left: %w", err)
	}
	var failed []error
	for _, e := range left {
		err := s.RevokeByEvent(ctx, e.Mode, e.ID)
		if _, later := errors.AsType[*LaterError](err); err != nil && !later {
			failed = append(failed, fmt.Errorf("event %s: %w", e.ID, err))
		}
	}
	return errors.Join(failed...)
}

// Restore fetches the bundle in force and writes to nobody: what it says was told before the database was lost. A signer
// that cannot sign one now is no reason not to restore the licenses.
func (s *Revoker) Restore(ctx context.Context) error {
	err := s.refresh(ctx, RevocationBundle{}, true)
	var refusal *signer.Error
	if errors.As(err, &refusal) && !passing(refusal.Code) {
		s.c.Log.ErrorContext(ctx, "revocations not restored", "code", string(refusal.Code))
		return nil
	}
	return err
}

// SendStandingMail tells a customer of a change once.
func (s *Revoker) SendStandingMail(ctx context.Context, licenseID string, epoch int64) error {
	m, sent, err := s.c.Mails.StandingMail(ctx, licenseID, epoch)
	if err != nil || sent {
		return err
	}
	if err := s.c.Mailer.SendStanding(ctx, m); err != nil {
		return fmt.Errorf("standing mail: %w", err)
	}
	return s.c.Mails.MarkStandingMailed(ctx, licenseID, epoch, s.c.Now())
}
