package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// quoteRows is how many orders by quote are listed.
const quoteRows = 200

// Buyer finds the member of an organization with an address, or its first owner for "", if that member may buy.
func (s *Fulfillment) Buyer(ctx context.Context, organizationID, email string) (userID, address string, err error) {
	err = s.QueryRow(ctx, `SELECT u.id, u.email FROM memberships m JOIN users u ON u.id = m.user_id
		WHERE m.organization_id = $1 AND ((m.role IN ('owner', 'billing') AND u.email = lower($2)) OR (m.role = 'owner' AND $2 = ''))
		ORDER BY m.created_at, u.id LIMIT 1`, organizationID, email).Scan(&userID, &address)
	return userID, address, notFound(err)
}

// OrderByForm finds an organization's order by its form key.
func (s *Fulfillment) OrderByForm(ctx context.Context, organizationID, formKey string) (fulfillment.Record, error) {
	r, err := scanOrder(s.QueryRow(ctx, selectOrder+"WHERE o.organization_id = $1 AND o.form_key = $2", organizationID, formKey))
	if err != nil {
		return r, err
	}
	return withSeen(ctx, s, r)
}

// QuoteRows lists orders by quote, newest first; of one organization, or of all for "".
func (s *Fulfillment) QuoteRows(ctx context.Context, organizationID string) ([]fulfillment.Record, error) {
	rows, err := s.Query(ctx, selectOrder+`WHERE o.channel = 'quote' AND ($1 = '' OR o.organization_id = $1)
		ORDER BY o.created_at DESC, o.id DESC LIMIT $2`, organizationID, quoteRows)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (fulfillment.Record, error) { return scanOrder(row) })
	if err != nil {
		return nil, err
	}
	for i := range list {
		if list[i], err = withSeen(ctx, s, list[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// AddQuote stores an order's open quote, and enqueues the mail to the buyer; once.
func (s *Fulfillment) AddQuote(ctx context.Context, r fulfillment.Record, q fulfillment.Quote, at time.Time) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := lockOrder(ctx, tx, r.ID, 0); err != nil {
			return err
		}
		by := r.Snapshot.Offer.PreparedBy
		tag, err := tx.Exec(ctx, `INSERT INTO quotes (id, order_id, status, facts, prepared_by, created_at, fetched_at)
			VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT (id) DO NOTHING`, q.ID, r.ID, q.Status, q, by, at)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		if err := recordCustomer(ctx, tx, r.OrganizationID, q.StripeCustomer); err != nil {
			return err
		}
		if err := logOrder(ctx, tx, r.ID, at, "quoted", q.ID, by); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "INSERT INTO mails (kind, ref, created_at) VALUES ('quote', $1, $2)", r.ID, at); err != nil {
			return err
		}
		if err := s.queue.EnqueueQuoteMail(ctx, tx, r.ID); err != nil {
			return err
		}
		return touch(ctx, tx, r.ID)
	})
}

// touch has whoever read the order start over, and whoever watches it look again.
func touch(ctx context.Context, tx pgx.Tx, orderID string) error {
	if _, err := tx.Exec(ctx, "UPDATE orders SET revision = revision + 1 WHERE id = $1", orderID); err != nil {
		return err
	}
	return announce(ctx, tx, orderID)
}

// MarkAccepted notes which member accepted a quote; the first one stays.
func (s *Fulfillment) MarkAccepted(ctx context.Context, orderID, userID string, at time.Time) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := lockOrder(ctx, tx, orderID, 0); err != nil { // before its quote, as everywhere
			return err
		}
		tag, err := tx.Exec(ctx, `UPDATE quotes SET accepted_by = $2, accepted_at = $3
			WHERE order_id = $1 AND accepted_by IS NULL AND status = 'open'`, orderID, userID, at)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return logOrder(ctx, tx, orderID, at, "accepted", "", userID)
	})
}

// SettleQuote records what Stripe says of a quote and has its order evaluated.
func (s *Fulfillment) SettleQuote(ctx context.Context, orderID string, q fulfillment.Quote, at time.Time) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := lockOrder(ctx, tx, orderID, 0); err != nil { // before its quote, as everywhere
			return err
		}
		_, err := tx.Exec(ctx, "UPDATE quotes SET status = $3, facts = $4, fetched_at = $5 WHERE id = $1 AND order_id = $2", q.ID, orderID, q.Status, q, at)
		if err != nil {
			return err
		}
		if err := s.queue.EnqueueEvaluateOrder(ctx, tx, orderID); err != nil {
			return err
		}
		return touch(ctx, tx, orderID)
	})
}

// LookAgain enqueues a look at an order, once in a while.
func (s *Fulfillment) LookAgain(ctx context.Context, orderID string) error {
	return s.inTx(ctx, func(tx pgx.Tx) error { return s.queue.EnqueueLook(ctx, tx, orderID) })
}

// billed enqueues the mail about each invoice of a quote that can be paid now, once, and tells whoever watches.
func (s *Fulfillment) billed(ctx context.Context, tx pgx.Tx, r fulfillment.Record, invoices []fulfillment.Invoice, at time.Time) error {
	if r.Snapshot.Channel != fulfillment.ByQuote {
		return nil
	}
	for _, i := range invoices {
		if i.Status != "open" {
			continue
		}
		tag, err := tx.Exec(ctx, "INSERT INTO mails (kind, ref, created_at) VALUES ('invoice', $1, $2) ON CONFLICT DO NOTHING", i.ID, at)
		if err != nil {
			return fmt.Errorf("mail of invoice: %w", err)
		}
		if tag.RowsAffected() == 0 {
			continue
		}
		if err := s.queue.EnqueueInvoiceMail(ctx, tx, i.ID); err != nil {
			return err
		}
		if err := announce(ctx, tx, r.ID); err != nil {
			return err
		}
	}
	return nil
}

// QuoteMail finds what the mail about a quote says, and whether it went out already, or the quote is not open any more.
func (s *Fulfillment) QuoteMail(ctx context.Context, orderID string) (fulfillment.QuoteMail, bool, error) {
	m := fulfillment.QuoteMail{OrderID: orderID}
	var over bool
	err := s.QueryRow(ctx, `SELECT o.buyer_email, o.snapshot #>> '{template,name}', o.deployment_name, o.total, o.currency, (q.facts ->> 'expires_at')::timestamptz,
			m.sent_at IS NOT NULL OR q.status <> 'open'
		FROM orders o JOIN quotes q ON q.order_id = o.id JOIN mails m ON m.kind = 'quote' AND m.ref = o.id WHERE o.id = $1`, orderID).
		Scan(&m.To, &m.PackageName, &m.DeploymentName, &m.Total, &m.Currency, moment{&m.ExpiresAt}, &over)
	return m, over, notFound(err)
}

// InvoiceMail finds what the mail about an invoice says, and whether it went out already, or nothing is due any more.
func (s *Fulfillment) InvoiceMail(ctx context.Context, invoiceID string) (fulfillment.InvoiceMail, bool, error) {
	m := fulfillment.InvoiceMail{InvoiceID: invoiceID}
	var over bool
	err := s.QueryRow(ctx, `SELECT o.id, o.buyer_email, o.snapshot #>> '{template,name}', i.facts ->> 'number', (i.facts ->> 'amount_remaining')::bigint,
			i.facts ->> 'currency', (i.facts ->> 'due_at')::timestamptz, m.sent_at IS NOT NULL OR i.status <> 'open'
		FROM invoices i JOIN orders o ON o.id = i.order_id JOIN mails m ON m.kind = 'invoice' AND m.ref = i.id WHERE i.id = $1`, invoiceID).
		Scan(&m.OrderID, &m.To, &m.PackageName, &m.Number, &m.Due, &m.Currency, moment{&m.DueAt}, &over)
	return m, over, notFound(err)
}

// MarkBillMailed notes that the mail about a quote or an invoice went out.
func (s *Fulfillment) MarkBillMailed(ctx context.Context, kind, ref string, at time.Time) error {
	_, err := s.Exec(ctx, "UPDATE mails SET sent_at = coalesce(sent_at, $3) WHERE kind = $1 AND ref = $2", kind, ref, at)
	return err
}
