package fulfillment

import (
	"context"
	"fmt"
	"time"
)

// RotationStore keeps which licenses a rotation replaces, and how far it got.
type RotationStore interface {
	// BeginRotation lists the licenses that are live under the request's old key and that nothing replaced or withdrew, as
	// many as the request allows, and enqueues a job for each, all in one transaction; once. A rotation of none ends.
	BeginRotation(ctx context.Context, id string, at time.Time) error
	// Rotating reports whether a license of a rotation is still to be looked at.
	Rotating(ctx context.Context, id, licenseID string) (bool, error)
	// EndRotated notes what came of one license, with its replacement and the mails about it where there is one. The last one
	// ends the request. It changes nothing where that is noted already.
	EndRotated(ctx context.Context, id, licenseID string, e RotationEnd) error
}

// RotationEnd is what came of one license of a rotation.
type RotationEnd struct {
	Replacement *Issuance // nil: passed over or refused
	Note        string    // why it was passed over or refused
	At          time.Time
}

// Notes of licenses that a rotation passes over. Any other note is a refusal.
const (
	notePassedReplaced  = "passed: replaced meanwhile"
	notePassedExpired   = "passed: expired meanwhile"
	notePassedWithdrawn = "passed: withdrawn meanwhile"
)

// Rotate replaces one license of an approved rotation. An error is worth another try; a definite refusal is noted.
func (s *Executor) Rotate(ctx context.Context, id, licenseID string) error {
	open, err := s.c.Rotation.Rotating(ctx, id, licenseID)
	if err != nil || !open {
		return err
	}
	r, err := s.c.Store.Request(ctx, id)
	if err != nil {
		return fmt.Errorf("rotate: %w", err)
	}
	base, err := s.c.Subjects.AnyLicense(ctx, licenseID)
	if err != nil {
		return fmt.Errorf("rotate: %w", err)
	}
	end := RotationEnd{Note: passedOver(base, s.c.Now())}
	if end.Note == "" {
		l, err := s.replacement(ctx, r, base)
		reason, final := final(err)
		switch {
		case final:
			s.c.Log.ErrorContext(ctx, "license not rotated", "request", id, "license", licenseID, "code", reason.Code)
			end.Note = reason.Code
		case err != nil:
			return fmt.Errorf("rotate %s: %w", licenseID, err)
		default:
			end.Replacement = &Issuance{License: l, Key: r.FulfillmentKey(licenseID), RequestID: id}
		}
	}
	end.At = s.c.Now()
	if end.Replacement != nil {
		end.Replacement.At = end.At
	}
	return s.c.Rotation.EndRotated(ctx, id, licenseID, end)
}

// passedOver says why a license that was listed needs no replacement any more; "" if it does.
func passedOver(l License, now time.Time) string {
	switch {
	case l.SupersededBy != "":
		return notePassedReplaced
	case !now.Before(l.Payload.ExpiresAt):
		return notePassedExpired
	case l.Withdrawn != nil:
		return notePassedWithdrawn
	}
	return ""
}
