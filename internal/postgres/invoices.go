package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// channelName is how the database names a channel.
func channelName(c fulfillment.Channel) string {
	if c == fulfillment.ByCheckout {
		return "checkout"
	}
	return string(c)
}

// recordInvoiced records what Stripe says of an order's quote, subscription and invoices. An invoice or subscription that is
// stored for another order stays there: then this one is none of the order's.
func recordInvoiced(ctx context.Context, tx pgx.Tx, r fulfillment.Record, seen fulfillment.Seen, at time.Time) error {
	if q := seen.Quote; q != nil {
		if _, err := tx.Exec(ctx, "UPDATE quotes SET status = $3, facts = $4, fetched_at = $5 WHERE id = $1 AND order_id = $2", q.ID, r.ID, q.Status, q, at); err != nil {
			return err
		}
	}
	if s := seen.Subscription; s != nil {
		_, err := tx.Exec(ctx, `INSERT INTO subscriptions AS s (id, order_id, status, facts, created_at, fetched_at) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (id) DO UPDATE SET status = excluded.status, facts = excluded.facts, fetched_at = excluded.fetched_at
			WHERE s.order_id = excluded.order_id`, s.ID, r.ID, s.Status, s, s.CreatedAt, at)
		if err != nil {
			return err
		}
		if err := recordCustomer(ctx, tx, r.OrganizationID, s.StripeCustomer); err != nil {
			return err
		}
	}
	for _, i := range seen.Invoices {
		if err := recordInvoice(ctx, tx, r.ID, i, at); err != nil {
			return err
		}
		if err := recordCustomer(ctx, tx, r.OrganizationID, i.StripeCustomer); err != nil {
			return err
		}
	}
	return nil
}

// recordInvoice stores an invoice, with its subscription where that is stored.
func recordInvoice(ctx context.Context, tx pgx.Tx, orderID string, i fulfillment.Invoice, at time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO invoices AS i (id, order_id, subscription_id, status, payment_intent, facts, created_at, fetched_at)
		VALUES ($1, $2, (SELECT id FROM subscriptions WHERE id = $3), $4, $5, $6, $7, $8)
		ON CONFLICT (id) DO UPDATE SET status = excluded.status, payment_intent = excluded.payment_intent, facts = excluded.facts,
			fetched_at = excluded.fetched_at
		WHERE i.order_id = excluded.order_id`,
		i.ID, orderID, optionalText(i.SubscriptionID), i.Status, optionalText(i.PaymentIntentID), i, i.CreatedAt, at)
	return err
}

// OpenCycle stores the order of a subscription's further invoice, a copy of the order that began it, with the invoice.
func (s *Fulfillment) OpenCycle(ctx context.Context, orderID, subscriptionID string, i fulfillment.Invoice, at time.Time) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `INSERT INTO orders (id, organization_id, created_by, buyer_email, mail_domain, deployment_id, deployment_name,
				state, kind, sku, template_ref, evaluation, snapshot, currency, total, form_key, attempt, attempt_at, attempt_customer,
				created_at, submitted_at, updated_at, checked_at, channel, subscription_id)
			SELECT $1, o.organization_id, o.created_by, o.buyer_email, o.mail_domain, o.deployment_id, o.deployment_name,
				'awaiting_payment', o.kind, o.sku, o.template_ref, o.evaluation, jsonb_set(o.snapshot, '{channel}', '"cycle"'), o.currency, o.total,
				'invoice ' || $3, 1, $4, o.attempt_customer, $4, $4, $4, '-infinity', 'cycle', s.id
			FROM subscriptions s JOIN orders o ON o.id = s.order_id WHERE s.id = $2
			ON CONFLICT DO NOTHING`, orderID, subscriptionID, i.ID, at)
		if err != nil {
			return fmt.Errorf("insert cycle: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return nil // stored already
		}
		if err := recordInvoice(ctx, tx, orderID, i, at); err != nil {
			return err
		}
		return logOrder(ctx, tx, orderID, at, "drafted", "invoice "+i.ID, "stripe")
	})
}
