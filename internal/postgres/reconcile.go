package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// DueOrders lists open orders last compared with Stripe before the time, the longest ago first.
func (s *Fulfillment) DueOrders(ctx context.Context, before time.Time, limit int) ([]fulfillment.Due, error) {
	rows, err := s.Query(ctx, `SELECT o.id, o.state, o.paid_at, o.submitted_at,
			EXISTS (SELECT 1 FROM order_payments c JOIN events e ON e.object_id = c.id WHERE c.order_id = o.id AND `+provesPayment+`),
			ARRAY(SELECT c.id FROM order_payments c WHERE c.order_id = o.id ORDER BY c.created_at, c.id)
		FROM orders o WHERE o.state IN ('awaiting_payment', 'processing', 'paid') AND o.checked_at < $1
		ORDER BY o.checked_at LIMIT $2`, before, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (fulfillment.Due, error) {
		var d fulfillment.Due
		err := row.Scan(&d.OrderID, &d.State, moment{&d.PaidAt}, moment{&d.SubmittedAt}, &d.HasEvidence, &d.ObjectIDs)
		return d, err
	})
}

// Gaps counts paid orders without a license since before the time, and licenses of orders that are neither paid nor
// issued because staff asked for it.
func (s *Fulfillment) Gaps(ctx context.Context, before time.Time) (paidWithoutLicense, licenseWithoutPayment int, err error) {
	err = s.QueryRow(ctx, `SELECT
		(SELECT count(*) FROM orders WHERE state = 'paid' AND paid_at < $1),
		(SELECT count(*) FROM orders WHERE license_id IS NOT NULL AND paid_at IS NULL AND request_id IS NULL)`, before).Scan(&paidWithoutLicense, &licenseWithoutPayment)
	return paidWithoutLicense, licenseWithoutPayment, err
}
