package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/license"
)

// TakenBack finds a stored event about money taken back.
func (s *Fulfillment) TakenBack(ctx context.Context, mode, eventID string) (fulfillment.ReceivedEvent, error) {
	e := fulfillment.ReceivedEvent{Mode: mode, ID: eventID}
	err := s.QueryRow(ctx, `SELECT type, object_id, takes_back, created, received_at, outcome, body, signature_header
		FROM events WHERE mode = $1 AND id = $2 AND type = ANY($3) AND outcome NOT LIKE 'parked:%'`, mode, eventID, fulfillment.TakesBackTypes()).
		Scan(&e.Type, &e.ObjectID, &e.Payment, moment{&e.Created}, moment{&e.ReceivedAt}, &e.Outcome, &e.Body, &e.SignatureHeader)
	return e, notFound(err)
}

// TakenBackLeft lists the events about money taken back that nothing was made of, without their bodies.
func (s *Fulfillment) TakenBackLeft(ctx context.Context, before time.Time, limit int) ([]fulfillment.ReceivedEvent, error) {
	rows, err := s.Query(ctx, `SELECT mode, id, type, received_at FROM events
		WHERE outcome = '' AND type = ANY($1) AND received_at < $2 ORDER BY received_at LIMIT $3`, fulfillment.TakesBackTypes(), before, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (fulfillment.ReceivedEvent, error) {
		var e fulfillment.ReceivedEvent
		err := row.Scan(&e.Mode, &e.ID, &e.Type, moment{&e.ReceivedAt})
		return e, err
	})
}

// takenBackAgain has the refunds and disputes judged again that name a payment of the order.
func (s *Fulfillment) takenBackAgain(ctx context.Context, tx pgx.Tx, orderID string) error {
	rows, err := tx.Query(ctx, `SELECT e.mode, e.id FROM order_payments c JOIN events e ON e.takes_back = c.payment_intent
		WHERE c.order_id = $1 AND e.takes_back <> '' AND e.type LIKE 'charge.%' AND e.outcome NOT LIKE 'parked:%' ORDER BY e.created, e.id`, orderID)
	if err != nil {
		return err
	}
	type key struct{ mode, id string }
	events, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (k key, err error) {
		err = row.Scan(&k.mode, &k.id)
		return k, err
	})
	if err != nil {
		return err
	}
	for _, e := range events {
		if err := s.queue.EnqueueRevoke(ctx, tx, e.mode, e.id); err != nil {
			return err
		}
	}
	return nil
}

const selectBundle = "SELECT epoch, issued_at, expires_at, entries, sha256 FROM revocation_bundles "

func scanBundle(row pgx.Row) (b fulfillment.RevocationBundle, err error) {
	err = row.Scan(&b.Epoch, moment{&b.IssuedAt}, moment{&b.ExpiresAt}, &b.Entries, &b.SHA256)
	return b, notFound(err)
}

// NewestRevocations answers the bundle of the highest epoch, without its bytes.
func (s *Fulfillment) NewestRevocations(ctx context.Context) (fulfillment.RevocationBundle, error) {
	return scanBundle(s.QueryRow(ctx, selectBundle+"ORDER BY epoch DESC LIMIT 1"))
}

// RevocationBytes answers the exact bytes of a bundle.
func (s *Fulfillment) RevocationBytes(ctx context.Context, epoch int64) ([]byte, error) {
	var envelope []byte
	err := s.QueryRow(ctx, "SELECT envelope FROM revocation_bundles WHERE epoch = $1", epoch).Scan(&envelope)
	return envelope, notFound(err)
}

// ForgottenRevocations counts the revoked licenses that a bundle does not revoke, unless a newer one is stored.
func (s *Fulfillment) ForgottenRevocations(ctx context.Context, epoch int64, entries []license.RevocationEntry) (n int, err error) {
	ids, statuses, _, _, _ := columns(entries)
	err = s.QueryRow(ctx, `SELECT count(*) FROM license_revocations r WHERE r.status = 'revoked'
		AND NOT EXISTS (SELECT FROM revocation_bundles WHERE epoch >= $1)
		AND NOT EXISTS (SELECT FROM unnest($2::text[], $3::text[]) AS n (license_id, status) WHERE n.license_id = r.license_id AND n.status = 'revoked')`,
		epoch, ids, statuses).Scan(&n)
	return n, err
}

// StoreRevocations stores an answer of the signer's: the bundle with what it changes, and what an event came to.
func (s *Fulfillment) StoreRevocations(ctx context.Context, a fulfillment.RevocationAnswer) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		if a.Bundle.Epoch > 0 {
			fresh, err := insertBundle(ctx, tx, a)
			if err != nil {
				return err
			}
			if fresh {
				if err := s.changeStanding(ctx, tx, a); err != nil {
					return err
				}
			}
		}
		if a.Event == nil {
			return nil
		}
		return noteTakenBack(ctx, tx, *a.Event, a.At)
	})
}

// insertBundle stores a bundle unless one of its epoch or a higher one is there, whatever order answers arrive in. Others
// wait for it and then see what it stored.
func insertBundle(ctx context.Context, tx pgx.Tx, a fulfillment.RevocationAnswer) (fresh bool, err error) {
	if _, err := tx.Exec(ctx, "LOCK TABLE revocation_bundles IN EXCLUSIVE MODE"); err != nil {
		return false, err
	}
	b := a.Bundle
	last, err := scanBundle(tx.QueryRow(ctx, selectBundle+"WHERE epoch >= $1 ORDER BY epoch LIMIT 1", b.Epoch))
	switch {
	case err == nil && last.Epoch == b.Epoch && last.SHA256 != b.SHA256:
		return false, fulfillment.ErrBundleForked
	case err == nil:
		return false, nil
	case !errors.Is(err, fulfillment.ErrNotFound):
		return false, err
	}
	_, err = tx.Exec(ctx, `INSERT INTO revocation_bundles (epoch, envelope, sha256, entries, issued_at, expires_at, stored_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`, b.Epoch, b.Envelope, b.SHA256, b.Entries, b.IssuedAt, b.ExpiresAt, a.At)
	if err != nil {
		return false, fmt.Errorf("insert revocation bundle: %w", err)
	}
	return true, nil
}

// changeStanding writes down what a new bundle changes, and lets it be in force.
func (s *Fulfillment) changeStanding(ctx context.Context, tx pgx.Tx, a fulfillment.RevocationAnswer) error {
	ids, statuses, reasons, times, successors := columns(a.Entries)
	_, err := tx.Exec(ctx, `INSERT INTO revocation_changes (license_id, epoch, was, status, reason, effective_at, superseded_by)
		SELECT license_id, $1, coalesce(r.status, ''), coalesce(n.status, 'reinstated'), coalesce(n.reason, ''),
			CASE WHEN n.status IS NULL THEN $2::timestamptz ELSE n.effective_at END, coalesce(n.superseded_by, '')
		FROM unnest($3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::text[]) AS n (license_id, status, reason, effective_at, superseded_by)
		FULL JOIN license_revocations r USING (license_id)
		WHERE (n.status, n.reason, n.effective_at, n.superseded_by) IS DISTINCT FROM (r.status, r.reason, r.effective_at, r.superseded_by)`,
		a.Bundle.Epoch, a.Bundle.IssuedAt, ids, statuses, reasons, times, successors)
	if err != nil {
		return fmt.Errorf("revocation changes: %w", err)
	}
	_, err = tx.Exec(ctx, `DELETE FROM license_revocations r USING revocation_changes c
		WHERE c.epoch = $1 AND c.status = 'reinstated' AND r.license_id = c.license_id`, a.Bundle.Epoch)
	if err != nil {
		return fmt.Errorf("reinstate: %w", err)
	}
	_, err = tx.Exec(ctx, `INSERT INTO license_revocations AS r (license_id, epoch, status, reason, effective_at, superseded_by)
		SELECT license_id, epoch, status, reason, effective_at, superseded_by FROM revocation_changes WHERE epoch = $1 AND status <> 'reinstated'
		ON CONFLICT (license_id) DO UPDATE SET epoch = excluded.epoch, status = excluded.status, reason = excluded.reason,
			effective_at = excluded.effective_at, superseded_by = excluded.superseded_by`, a.Bundle.Epoch)
	if err != nil {
		return fmt.Errorf("revoke: %w", err)
	}
	if err := logStanding(ctx, tx, "c.epoch = $2", a.At, a.Bundle.Epoch); err != nil {
		return err
	}
	if a.Silent {
		return nil
	}
	return s.tellStanding(ctx, tx, "c.epoch = $2", a.At, a.Bundle.Epoch)
}

// holdBundles keeps bundles from being stored until the transaction ends, and waits for one that is. A license and a bundle
// that names it would otherwise be stored side by side without seeing each other, and nobody would be told. It is taken before
// any other lock, since who stores a bundle waits for orders.
func holdBundles(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, "LOCK TABLE revocation_bundles IN SHARE MODE"); err != nil {
		return fmt.Errorf("hold bundles: %w", err)
	}
	return nil
}

// columns turns entries into a bundle's columns.
func columns(entries []license.RevocationEntry) (ids, statuses, reasons []string, times []*time.Time, successors []string) {
	for _, e := range entries {
		ids, statuses, reasons = append(ids, e.LicenseID), append(statuses, e.Status), append(reasons, e.Reason)
		times, successors = append(times, optionalTime(e.EffectiveAt)), append(successors, e.SupersededBy)
	}
	return ids, statuses, reasons, times, successors
}

// logStanding adds a line to the log of each order whose license was changed by a change that the condition on c picks, and
// tells its page.
func logStanding(ctx context.Context, tx pgx.Tx, condition string, at time.Time, arg any) error {
	_, err := tx.Exec(ctx, `WITH logged AS (
			INSERT INTO order_log (order_id, at, what, detail, actor)
			SELECT i.order_id, $1, c.status, c.license_id || CASE WHEN c.reason = '' THEN '' ELSE ': ' || c.reason END, 'signer'
			FROM revocation_changes c JOIN issuances i USING (license_id) WHERE `+condition+` AND i.order_id IS NOT NULL RETURNING order_id)
		SELECT pg_notify($3, order_id) FROM logged`, at, arg, orderChanged)
	if err != nil {
		return fmt.Errorf("log standing: %w", err)
	}
	return nil
}

// tellStanding enqueues a mail for each change that the condition on c picks and that a customer should know of: the license
// was revoked, suspended or reinstated.
func (s *Fulfillment) tellStanding(ctx context.Context, tx pgx.Tx, condition string, at time.Time, arg any) error {
	rows, err := tx.Query(ctx, `WITH told AS (
			INSERT INTO mails (kind, ref, created_at) SELECT 'standing', c.license_id || '.' || c.epoch, $1
			FROM revocation_changes c JOIN issuances i USING (license_id)
			WHERE c.status <> c.was AND c.status <> 'superseded' AND `+condition+` ON CONFLICT DO NOTHING RETURNING ref)
		SELECT c.license_id, c.epoch FROM told JOIN revocation_changes c ON c.license_id || '.' || c.epoch = told.ref AND `+condition, at, arg)
	if err != nil {
		return fmt.Errorf("tell standing: %w", err)
	}
	type change struct {
		licenseID string
		epoch     int64
	}
	changes, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c change, err error) {
		err = row.Scan(&c.licenseID, &c.epoch)
		return c, err
	})
	if err != nil {
		return fmt.Errorf("tell standing: %w", err)
	}
	for _, c := range changes {
		if err := s.queue.EnqueueStandingMail(ctx, tx, c.licenseID, c.epoch); err != nil {
			return err
		}
	}
	return nil
}

// stillSaid picks the change of a license that is in force, if any is.
const stillSaid = "(c.license_id, c.epoch) = (SELECT v.license_id, v.epoch FROM license_revocations v WHERE v.license_id = $2)"

// noteTakenBack notes what an event came to, for staff.
func noteTakenBack(ctx context.Context, tx pgx.Tx, e fulfillment.TakenBack, at time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE events SET order_id = coalesce($3, order_id), outcome = CASE WHEN outcome = '' OR outcome LIKE 'kept: %' OR $5 THEN $4 ELSE outcome END
		WHERE mode = $1 AND id = $2`, e.Mode, e.EventID, optionalText(e.OrderID), e.Outcome, e.Changed > 0)
	if err != nil {
		return fmt.Errorf("note outcome: %w", err)
	}
	if e.OrderID != "" {
		if err := flag(ctx, tx, e.OrderID, e.Flags, at); err != nil {
			return err
		}
		if err := keepCharge(ctx, tx, e.OrderID, e.Charge); err != nil {
			return err
		}
	}
	rows, err := tx.Query(ctx, "SELECT order_id, license_id FROM issuances WHERE license_id = ANY($1) AND order_id IS NOT NULL", e.Review)
	if err != nil {
		return err
	}
	type built struct{ orderID, licenseID string }
	renewals, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (b built, err error) {
		err = row.Scan(&b.orderID, &b.licenseID)
		return b, err
	})
	if err != nil {
		return err
	}
	for _, b := range renewals {
		reason := fulfillment.Reason{Code: "built-on-revoked", Detail: "What " + b.licenseID + " renewed was taken back by " + e.EventID + "; decide what becomes of it."}
		if err := flag(ctx, tx, b.orderID, []fulfillment.Reason{reason}, at); err != nil {
			return err
		}
	}
	return nil
}
