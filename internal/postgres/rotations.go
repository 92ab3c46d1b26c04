package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// liveUnder picks the licenses i that are signed with key $1 and live at $2, that no other license builds on, but one that
// was revoked, and that no revocation bundle speaks of.
const liveUnder = `i.key_id = $1 AND i.expires_at > $2
	AND NOT EXISTS (SELECT 1 FROM license_revocations v WHERE v.license_id = i.license_id)
	AND NOT EXISTS (SELECT 1 FROM issuances n WHERE n.base_license_id = i.license_id
		AND NOT EXISTS (SELECT 1 FROM license_revocations v WHERE v.license_id = n.license_id AND v.status = 'revoked'))`

// LiveUnder counts the live licenses under a key.
func (s *Fulfillment) LiveUnder(ctx context.Context, keyID string, now time.Time) (int, error) {
	var n int
	err := s.QueryRow(ctx, "SELECT count(*) FROM issuances i WHERE "+liveUnder, keyID, now).Scan(&n)
	return n, err
}

// BeginRotation lists a rotation's licenses and enqueues a job for each, once.
func (s *Fulfillment) BeginRotation(ctx context.Context, id string, at time.Time) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		r, err := lockRequest(ctx, tx, id)
		if err != nil {
			return err
		}
		var begun bool
		err = tx.QueryRow(ctx, "SELECT begun_at IS NOT NULL FROM staff_requests WHERE id = $1", id).Scan(&begun)
		if err != nil || begun || !r.EndedAt.IsZero() {
			return err
		}
		rows, err := tx.Query(ctx, `INSERT INTO staff_rotations (request_id, license_id) SELECT $4, i.license_id FROM issuances i
			WHERE `+liveUnder+` ORDER BY i.expires_at, i.license_id LIMIT $3 RETURNING license_id`, r.Rotate.KeyID, at, r.Rotate.AtMost, id)
		if err != nil {
			return err
		}
		listed, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return fmt.Errorf("list rotation: %w", err)
		}
		if _, err := tx.Exec(ctx, "UPDATE staff_requests SET begun_at = $2 WHERE id = $1", id, at); err != nil {
			return err
		}
		if len(listed) == 0 {
			return endRequest(ctx, tx, id, fulfillment.RequestOutcome{At: at})
		}
		return s.queue.EnqueueRotate(ctx, tx, id, listed)
	})
}

// Rotating reports whether a license of a rotation is still to be looked at.
func (s *Fulfillment) Rotating(ctx context.Context, id, licenseID string) (bool, error) {
	var open bool
	err := s.QueryRow(ctx, "SELECT ended_at IS NULL FROM staff_rotations WHERE request_id = $1 AND license_id = $2", id, licenseID).Scan(&open)
	return open, notFound(err)
}

// EndRotated notes what came of one license of a rotation, and ends the request with the last one.
func (s *Fulfillment) EndRotated(ctx context.Context, id, licenseID string, e fulfillment.RotationEnd) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		// The last two at a time must not each take the other for open.
		if _, err := tx.Exec(ctx, "SELECT 1 FROM staff_requests WHERE id = $1 FOR UPDATE", id); err != nil {
			return err
		}
		var ended bool
		err := tx.QueryRow(ctx, "SELECT ended_at IS NOT NULL FROM staff_rotations WHERE request_id = $1 AND license_id = $2", id, licenseID).Scan(&ended)
		if err != nil || ended {
			return notFound(err)
		}
		var replacedBy *string
		if e.Replacement != nil {
			if err := s.storeReplacement(ctx, tx, *e.Replacement); err != nil {
				return err
			}
			replacedBy = &e.Replacement.License.ID
		}
		_, err = tx.Exec(ctx, "UPDATE staff_rotations SET ended_at = $3, replaced_by = $4, note = $5 WHERE request_id = $1 AND license_id = $2",
			id, licenseID, e.At, replacedBy, e.Note)
		if err != nil {
			return fmt.Errorf("end rotated: %w", err)
		}
		_, err = tx.Exec(ctx, `UPDATE staff_requests SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL
			AND (SELECT license_id FROM staff_rotations WHERE request_id = $1 AND ended_at IS NULL ORDER BY license_id LIMIT 1) IS NULL`, id, e.At)
		return err
	})
}
