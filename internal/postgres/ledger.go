package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// OpenLedger makes a connection of its own; Close ends it.
func (s *Fulfillment) OpenLedger(ctx context.Context) (fulfillment.Ledger, error) {
	return s.openMirror(ctx)
}

// AddRevoked adds licenses that the log revokes.
func (m *mirror) AddRevoked(ctx context.Context, page []fulfillment.LoggedRevocation) error {
	if len(page) == 0 {
		return nil
	}
	ids, times := make([]string, len(page)), make([]time.Time, len(page))
	for i, r := range page {
		ids[i], times[i] = r.LicenseID, r.LoggedAt
	}
	_, err := m.conn.Exec(ctx, `INSERT INTO revoked SELECT id, min(at) FROM unnest($1::text[], $2::timestamptz[]) AS t (id, at) GROUP BY id
		ON CONFLICT DO NOTHING`, ids, times)
	return telling(err)
}

// AddPayments adds what Stripe says of payments to what it said before.
func (m *mirror) AddPayments(ctx context.Context, page []fulfillment.Payment) error {
	ids, orders, created := make([]string, len(page)), make([]string, len(page)), make([]time.Time, len(page))
	paid, refunded, lost := make([]bool, len(page)), make([]bool, len(page)), make([]bool, len(page))
	for i, p := range page {
		ids[i], orders[i], created[i], paid[i], refunded[i], lost[i] = p.ID, p.OrderID, p.Created, p.Paid, p.Refunded, p.Lost
	}
	_, err := m.conn.Exec(ctx, `INSERT INTO paid AS p
		SELECT id, max(order_id), min(created), bool_or(paid), bool_or(refunded), bool_or(lost)
		FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::boolean[], $5::boolean[], $6::boolean[]) AS t (id, order_id, created, paid, refunded, lost)
		GROUP BY id
		ON CONFLICT (id) DO UPDATE SET order_id = greatest(p.order_id, excluded.order_id), created = least(p.created, excluded.created),
			paid = p.paid OR excluded.paid, refunded = p.refunded OR excluded.refunded, lost = p.lost OR excluded.lost`,
		ids, orders, created, paid, refunded, lost)
	return telling(err)
}

// differences finds them, each kind in a statement of its own; $1 is the time before which everything must agree. The columns
// are license, order, payment and what to say.
var differences = []struct {
	kind fulfillment.DifferenceKind
	sql  string
}{
	{fulfillment.LogWithoutLicense, `SELECT l.license_id, '', l.payment, 'entry ' || l.log_index || ' of the log is not in the database'
		FROM logged l WHERE l.logged_at < $1 AND NOT EXISTS (SELECT FROM issuances i WHERE i.license_id = l.license_id) ORDER BY l.log_index`},
	{fulfillment.LicenseWithoutLog, `SELECT i.license_id, i.order_id, '', 'the database has a license that the log lacks'
		FROM issuances i WHERE i.stored_at < $1 AND NOT EXISTS (SELECT FROM logged l WHERE l.license_id = i.license_id) ORDER BY i.stored_at, i.license_id`},
	{fulfillment.BytesDiffer, `SELECT i.license_id, i.order_id, '', 'the database has other bytes than entry ' || l.log_index || ' of the log'
		FROM issuances i JOIN logged l USING (license_id) WHERE i.sha256 <> l.sha256 AND i.stored_at < $1 ORDER BY l.log_index`},
	{fulfillment.PaidWithoutLicense, `SELECT '', o.id, '', 'the order is paid since ' || to_char(o.paid_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
		FROM orders o WHERE o.state = 'paid' AND o.paid_at < $1 ORDER BY o.id`},
	{fulfillment.PaidWithoutLicense, `SELECT '', o.id, p.id, 'Stripe took the payment, and the order is ' || o.state
		FROM paid p JOIN orders o ON o.id = p.order_id
		WHERE p.paid AND NOT p.refunded AND NOT p.lost AND p.created < $1 AND o.state NOT IN ('issued', 'in_review', 'paid') ORDER BY o.id, p.id`},
	{fulfillment.LicenseWithoutPayment, `SELECT l.license_id, '', l.payment, 'entry ' || l.log_index || ' of the log is for a payment that Stripe does not know as paid'
		FROM logged l WHERE l.payment <> '' AND l.logged_at < $1 AND NOT EXISTS (SELECT FROM paid p WHERE p.id = l.payment AND p.paid) ORDER BY l.log_index`},
	{fulfillment.LicenseWithoutPayment, `SELECT o.license_id, o.id, '', 'the order is issued and was never paid'
		FROM orders o WHERE o.license_id IS NOT NULL AND o.paid_at IS NULL AND o.issued_at < $1 ORDER BY o.id`},
	{fulfillment.RefundedNotRevoked, `SELECT l.license_id, '', p.id, CASE WHEN p.refunded THEN 'the payment was refunded in full' ELSE 'a dispute of the payment was lost' END
		FROM paid p JOIN logged l ON l.payment = p.id
		WHERE (p.refunded OR p.lost) AND p.created < $1 AND NOT EXISTS (SELECT FROM revoked r WHERE r.license_id = l.license_id) ORDER BY l.log_index`},
	{fulfillment.RevocationDiffers, `SELECT r.license_id, '', '', 'the log revokes it, and the stored revocation bundles do not'
		FROM revoked r WHERE r.logged_at < $1
		AND NOT EXISTS (SELECT FROM license_revocations v WHERE v.license_id = r.license_id AND v.status = 'revoked') ORDER BY r.license_id`},
	{fulfillment.RevocationDiffers, `SELECT v.license_id, '', '', 'the stored revocation bundles revoke it, and the log does not'
		FROM license_revocations v JOIN revocation_bundles b USING (epoch) WHERE v.status = 'revoked' AND b.stored_at < $1
		AND NOT EXISTS (SELECT FROM revoked r WHERE r.license_id = v.license_id) ORDER BY v.license_id`},
	{fulfillment.PaymentWithoutOrder, `SELECT '', p.order_id, p.id, 'Stripe has a payment for an order that is not in the database'
		FROM paid p WHERE p.paid AND p.order_id <> '' AND p.created < $1 AND NOT EXISTS (SELECT FROM orders o WHERE o.id = p.order_id) ORDER BY p.created, p.id`},
}

// Compare tells the differences one by one, and counts what was compared.
func (m *mirror) Compare(ctx context.Context, before time.Time, tell func(fulfillment.Difference) error) (fulfillment.AuditCounts, error) {
	var n fulfillment.AuditCounts
	if _, err := m.conn.Exec(ctx, "ANALYZE logged; ANALYZE revoked; ANALYZE paid"); err != nil {
		return n, telling(err)
	}
	for _, d := range differences {
		rows, err := m.conn.Query(ctx, d.sql, before)
		if err != nil {
			return n, fmt.Errorf("%s: %w", d.kind, telling(err))
		}
		found := fulfillment.Difference{Kind: d.kind}
		_, err = pgx.ForEachRow(rows, []any{&found.LicenseID, &found.OrderID, &found.Payment, &found.Detail}, func() error { return tell(found) })
		if err != nil {
			return n, fmt.Errorf("%s: %w", d.kind, telling(err))
		}
	}
	err := m.conn.QueryRow(ctx, `SELECT (SELECT count(*) FROM logged), (SELECT count(*) FROM issuances), (SELECT count(*) FROM revoked),
		(SELECT count(*) FROM orders WHERE attempt > 0), (SELECT count(*) FROM orders WHERE state = 'in_review'),
		(SELECT count(*) FROM paid WHERE paid AND order_id <> ''), (SELECT count(*) FROM paid WHERE paid AND order_id = '')`).
		Scan(&n.LoggedLicenses, &n.StoredLicenses, &n.Revoked, &n.Orders, &n.InReview, &n.Payments, &n.OtherPayments)
	return n, telling(err)
}
