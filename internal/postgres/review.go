package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// InReview lists every order in review, the longest waiting first.
func (s *Fulfillment) InReview(ctx context.Context) ([]fulfillment.ReviewRow, error) {
	rows, err := s.Query(ctx, `SELECT o.id, g.name, o.sku, o.currency, o.total, o.reasons, o.updated_at
		FROM orders o JOIN organizations g ON g.id = o.organization_id WHERE o.state = 'in_review' ORDER BY o.updated_at, o.id`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (fulfillment.ReviewRow, error) {
		var r fulfillment.ReviewRow
		err := row.Scan(&r.OrderID, &r.Organization, &r.SKU, &r.Currency, &r.Total, &r.Reasons, moment{&r.Since})
		return r, err
	})
}

// OrderLog answers an order's log, the oldest line first.
func (s *Fulfillment) OrderLog(ctx context.Context, orderID string) ([]fulfillment.LogLine, error) {
	rows, err := s.Query(ctx, "SELECT at, what, detail, actor FROM order_log WHERE order_id = $1 ORDER BY id", orderID)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (fulfillment.LogLine, error) {
		var l fulfillment.LogLine
		err := row.Scan(moment{&l.At}, &l.What, &l.Detail, &l.Actor)
		return l, err
	})
}

// ReleaseReview marks the present reasons of an order in review as released and has it evaluated again. A refusal of the
// signer's is lifted, so that the signer decides again.
func (s *Fulfillment) ReleaseReview(ctx context.Context, orderID string, d fulfillment.StaffDecision) error {
	return s.decided(ctx, orderID, d, "released", func(tx pgx.Tx, r fulfillment.Record) error {
		_, err := tx.Exec(ctx, `UPDATE orders SET released = released || reasons, refusal = NULL, revision = revision + 1 WHERE id = $1`, orderID)
		if err != nil {
			return err
		}
		return s.queue.EnqueueEvaluateOrder(ctx, tx, orderID)
	})
}

// CloseReview cancels an order in review.
func (s *Fulfillment) CloseReview(ctx context.Context, orderID string, d fulfillment.StaffDecision) error {
	return s.decided(ctx, orderID, d, "closed", func(tx pgx.Tx, r fulfillment.Record) error {
		_, err := tx.Exec(ctx, `UPDATE orders SET state = 'canceled', closed_by_staff = true, close_note = $2, closed_at = $3, updated_at = $3,
			revision = revision + 1 WHERE id = $1`, orderID, d.Note, d.At)
		return err
	})
}

// decided runs a staff decision on a locked order in review, with its line in the order's log.
func (s *Fulfillment) decided(ctx context.Context, orderID string, d fulfillment.StaffDecision, what string, do func(pgx.Tx, fulfillment.Record) error) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		r, err := lockOrder(ctx, tx, orderID, 0)
		if err != nil {
			return err
		}
		if r.State != fulfillment.StateInReview {
			return fulfillment.ErrNotInReview
		}
		if err := do(tx, r); err != nil {
			return err
		}
		if err := logOrder(ctx, tx, orderID, d.At, what, d.Note, "staff: "+d.By); err != nil {
			return err
		}
		return announce(ctx, tx, orderID)
	})
}
