package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

const selectOrder = `
SELECT o.id, o.organization_id, o.created_by, o.buyer_email, o.mail_domain, o.deployment_id, o.deployment_name, o.state,
       o.snapshot, o.form_key, o.reasons, o.released, o.refusal, o.failure, o.close_note, coalesce(o.license_id, ''),
       o.revision, o.attempt, o.attempt_at, o.attempt_customer, o.closed_by_staff,
       coalesce(o.subscription_id, ''), o.created_at, o.submitted_at, o.paid_at, o.issued_at, m.first_downloaded_at, o.closed_at, o.updated_at
FROM orders o LEFT JOIN license_marks m ON m.license_id = o.license_id `

func scanOrder(row pgx.Row) (fulfillment.Record, error) {
	var r fulfillment.Record
	err := row.Scan(&r.ID, &r.OrganizationID, &r.CreatedBy, &r.BuyerEmail, &r.MailDomain, &r.DeploymentID, &r.DeploymentName, &r.State,
		&r.Snapshot, &r.FormKey, &r.Reasons, &r.Released, &r.Refusal, &r.Failure, &r.CloseNote, &r.LicenseID,
		&r.Revision, &r.Attempt, moment{&r.AttemptAt}, &r.StripeCustomer, &r.ClosedByStaff, &r.SubscriptionID,
		moment{&r.CreatedAt}, moment{&r.SubmittedAt}, moment{&r.PaidAt}, moment{&r.IssuedAt}, moment{&r.DownloadedAt}, moment{&r.ClosedAt}, moment{&r.UpdatedAt})
	return r, notFound(err)
}

// withSeen adds what Stripe last said of an order.
func withSeen(ctx context.Context, q querier, r fulfillment.Record) (fulfillment.Record, error) {
	r, err := withSessions(ctx, q, r)
	if err != nil || r.Snapshot.Channel == fulfillment.ByCheckout {
		return r, err
	}
	err = q.QueryRow(ctx, `SELECT (SELECT facts FROM quotes WHERE order_id = $1), (SELECT facts FROM subscriptions WHERE order_id = $1)`, r.ID).
		Scan(&r.Seen.Quote, &r.Seen.Subscription)
	if err != nil {
		return r, err
	}
	rows, err := q.Query(ctx, "SELECT facts FROM invoices WHERE order_id = $1 ORDER BY created_at, id", r.ID)
	if err != nil {
		return r, err
	}
	r.Seen.Invoices, err = pgx.CollectRows(rows, pgx.RowTo[fulfillment.Invoice])
	return r, err
}

// withSessions adds an order's checkout sessions, oldest first.
func withSessions(ctx context.Context, q querier, r fulfillment.Record) (fulfillment.Record, error) {
	rows, err := q.Query(ctx, "SELECT id, attempt, url, expires_at, facts FROM checkout_sessions WHERE order_id = $1 ORDER BY attempt", r.ID)
	if err != nil {
		return r, err
	}
	r.Sessions, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (fulfillment.StoredSession, error) {
		var s fulfillment.StoredSession
		err := row.Scan(&s.ID, &s.Attempt, &s.URL, moment{&s.ExpiresAt}, &s.Facts)
		return s, err
	})
	return r, err
}

// Customer finds what an order needs to know of an organization.
func (s *Fulfillment) Customer(ctx context.Context, organizationID string) (fulfillment.Customer, error) {
	var c fulfillment.Customer
	err := s.QueryRow(ctx, "SELECT id, name, coalesce(stripe_customer_id, '') FROM organizations WHERE id = $1", organizationID).
		Scan(&c.ID, &c.Name, &c.StripeCustomer)
	return c, notFound(err)
}

// Record finds an order of an organization.
func (s *Fulfillment) Record(ctx context.Context, organizationID, orderID string) (fulfillment.Record, error) {
	r, err := scanOrder(s.QueryRow(ctx, selectOrder+"WHERE o.id = $1 AND o.organization_id = $2", orderID, organizationID))
	if err != nil {
		return r, err
	}
	if r.Refunds, err = refunds(ctx, s, orderID); err != nil {
		return r, err
	}
	return withSeen(ctx, s, r)
}

// OrderRecord finds an order of any organization; for jobs and staff.
func (s *Fulfillment) OrderRecord(ctx context.Context, orderID string) (fulfillment.Record, error) {
	r, err := scanOrder(s.QueryRow(ctx, selectOrder+"WHERE o.id = $1", orderID))
	if err != nil {
		return r, err
	}
	return withSeen(ctx, s, r)
}

// lockOrder reads an order and keeps others from changing it until the transaction ends. ErrMoved if its revision is
// another than the one that was read before; zero takes any.
func lockOrder(ctx context.Context, tx pgx.Tx, orderID string, revision int64) (fulfillment.Record, error) {
	r, err := scanOrder(tx.QueryRow(ctx, selectOrder+"WHERE o.id = $1 FOR UPDATE OF o", orderID))
	if err != nil {
		return r, err
	}
	if revision != 0 && r.Revision != revision {
		return r, fulfillment.ErrMoved
	}
	return withSeen(ctx, tx, r)
}

// OrderPage lists an organization's orders, newest first.
func (s *Fulfillment) OrderPage(ctx context.Context, organizationID string, f fulfillment.OrderFilter, p fulfillment.Page) ([]fulfillment.Order, string, error) {
	c, err := decodeCursor(p)
	if err != nil {
		return nil, "", err
	}
	where := ""
	if f == fulfillment.OrdersOpen {
		where = "AND o.state NOT IN ('issued', 'canceled')"
	}
	rows, err := s.Query(ctx, selectOrder+`WHERE o.organization_id = $1 AND (o.created_at, o.id) < ($2, $3) `+where+`
		ORDER BY o.created_at DESC, o.id DESC LIMIT $4`, organizationID, c.at, c.id, pageRows+1)
	if err != nil {
		return nil, "", err
	}
	orders, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (fulfillment.Order, error) {
		r, err := scanOrder(row)
		return r.Order, err
	})
	if err != nil {
		return nil, "", err
	}
	for i, o := range orders { // few are by a quote that waits
		if o.State == fulfillment.StateAwaitingPayment && o.Snapshot.Channel == fulfillment.ByQuote {
			r, err := withSeen(ctx, s, fulfillment.Record{Order: o})
			if err != nil {
				return nil, "", err
			}
			orders[i].Quoted = r.Seen.QuoteStep()
		}
	}
	if len(orders) <= pageRows {
		return orders, "", nil
	}
	last := orders[pageRows-1]
	return orders[:pageRows], encodeCursor(last.CreatedAt, last.ID), nil
}

// InsertDraft stores a draft, or answers the order that has its form key already.
func (s *Fulfillment) InsertDraft(ctx context.Context, r fulfillment.Record) (fulfillment.Record, error) {
	i := r.Snapshot.Intent
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `INSERT INTO orders (id, organization_id, created_by, buyer_email, mail_domain, deployment_id, deployment_name,
				state, kind, sku, template_ref, evaluation, snapshot, currency, total, base_license_id, form_key, created_at, updated_at, channel)
			VALUES ($1, $2, $3, $4, $5, $6, $7, 'draft', $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $17, $18)
			ON CONFLICT (organization_id, form_key) DO NOTHING`,
			r.ID, r.OrganizationID, r.CreatedBy, r.BuyerEmail, r.MailDomain, r.DeploymentID, r.DeploymentName,
			i.Kind, r.Snapshot.Template.SKU, i.Template, r.Snapshot.Template.OnePerCustomer, r.Snapshot, r.Snapshot.Currency, r.Snapshot.Total,
			optionalText(i.BaseID), r.FormKey, r.CreatedAt, channelName(r.Snapshot.Channel))
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return logOrder(ctx, tx, r.ID, r.CreatedAt, "drafted", "", r.CreatedBy)
	})
	if err != nil {
		return r, fmt.Errorf("insert draft: %w", err)
	}
	return scanOrder(s.QueryRow(ctx, selectOrder+"WHERE o.organization_id = $1 AND o.form_key = $2", r.OrganizationID, r.FormKey))
}

const updateDraft = `UPDATE orders SET buyer_email = $3, mail_domain = $4, deployment_id = $5, deployment_name = $6, kind = $7, sku = $8,
	template_ref = $9, evaluation = $10, snapshot = $11, currency = $12, total = $13, base_license_id = $14, updated_at = $15, channel = $16, revision = revision + 1
	WHERE id = $1 AND revision = $2 AND state = 'draft'`

// UpdateDraft replaces what a draft asks for. ErrMoved if it changed, or is no draft, meanwhile.
func (s *Fulfillment) UpdateDraft(ctx context.Context, r fulfillment.Record) (fulfillment.Record, error) {
	if err := writeDraft(ctx, s, r); err != nil {
		return r, err
	}
	return s.Record(ctx, r.OrganizationID, r.ID)
}

func writeDraft(ctx context.Context, q querier, r fulfillment.Record) error {
	i := r.Snapshot.Intent
	tag, err := q.Exec(ctx, updateDraft, r.ID, r.Revision, r.BuyerEmail, r.MailDomain, r.DeploymentID, r.DeploymentName, i.Kind,
		r.Snapshot.Template.SKU, i.Template, r.Snapshot.Template.OnePerCustomer, r.Snapshot, r.Snapshot.Currency, r.Snapshot.Total,
		optionalText(i.BaseID), r.UpdatedAt, channelName(r.Snapshot.Channel))
	if err != nil {
		return fmt.Errorf("update draft: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return fulfillment.ErrMoved
	}
	return nil
}

// Freeze stores a draft's final snapshot, makes its deployment, and reserves the first attempt.
func (s *Fulfillment) Freeze(ctx context.Context, r fulfillment.Record, at time.Time) (fulfillment.Record, error) {
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		if err := writeDraft(ctx, tx, r); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "INSERT INTO deployments (id, organization_id, name, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING",
			r.DeploymentID, r.OrganizationID, r.DeploymentName, at)
		if violates(err, "deployments_name") {
			return fulfillment.ErrNameTaken
		}
		if err != nil {
			return err
		}
		return reserve(ctx, tx, r.ID, r.CreatedBy, at)
	})
	if err != nil {
		return r, err
	}
	return s.Record(ctx, r.OrganizationID, r.ID)
}

// ReserveAttempt counts a further attempt.
func (s *Fulfillment) ReserveAttempt(ctx context.Context, r fulfillment.Record, at time.Time) (fulfillment.Record, error) {
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := lockOrder(ctx, tx, r.ID, r.Revision); err != nil {
			return err
		}
		return reserve(ctx, tx, r.ID, r.CreatedBy, at)
	})
	if err != nil {
		return r, err
	}
	return s.Record(ctx, r.OrganizationID, r.ID)
}

// reserve sets a locked order awaiting payment under a new attempt.
func reserve(ctx context.Context, tx pgx.Tx, orderID, actor string, at time.Time) error {
	if err := oneSubscription(ctx, tx, orderID); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `UPDATE orders o SET state = 'awaiting_payment', attempt = attempt + 1, attempt_at = $2, failure = '',
			attempt_customer = coalesce((SELECT stripe_customer_id FROM organizations g WHERE g.id = o.organization_id), ''),
			submitted_at = coalesce(submitted_at, $2), updated_at = $2, checked_at = $2, revision = revision + 1
		WHERE id = $1`, orderID, at)
	if violates(err, "orders_one_open_renewal") {
		return fulfillment.ErrOpenRenewal
	}
	if err != nil {
		return err
	}
	if err := logOrder(ctx, tx, orderID, at, "checkout", "", actor); err != nil {
		return err
	}
	return announce(ctx, tx, orderID)
}

// AddSession stores the session of an attempt; storing it again changes nothing.
func (s *Fulfillment) AddSession(ctx context.Context, orderID string, c fulfillment.StoredSession, at time.Time) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := lockOrder(ctx, tx, orderID, 0); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `INSERT INTO checkout_sessions (id, order_id, attempt, url, status, payment_status, created_at, expires_at)
			VALUES ($1, $2, $3, $4, 'open', 'unpaid', $5, $6) ON CONFLICT (id) DO NOTHING`, c.ID, orderID, c.Attempt, c.URL, at, c.ExpiresAt)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		_, err = tx.Exec(ctx, "UPDATE orders SET revision = revision + 1 WHERE id = $1", orderID)
		return err
	})
}

// CancelByCustomer closes an order that is not paid.
func (s *Fulfillment) CancelByCustomer(ctx context.Context, r fulfillment.Record, at time.Time) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE orders SET state = 'canceled', closed_at = $3, updated_at = $3, revision = revision + 1
			WHERE id = $1 AND revision = $2 AND state IN ('draft', 'awaiting_payment', 'failed')`, r.ID, r.Revision, at)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return fulfillment.ErrMoved
		}
		if err := logOrder(ctx, tx, r.ID, at, "canceled", "", r.CreatedBy); err != nil {
			return err
		}
		return announce(ctx, tx, r.ID)
	})
}
