package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// OrderOfPayment finds the order that a payment was for, by what is stored of sessions and invoices alone.
func (s *Fulfillment) OrderOfPayment(ctx context.Context, paymentIntent, invoice string) (orderID string, err error) {
	err = s.QueryRow(ctx, `SELECT coalesce(
		(SELECT order_id FROM order_payments WHERE payment_intent = nullif($1, '') LIMIT 1),
		(SELECT order_id FROM invoices WHERE id = $2), '')`, paymentIntent, invoice).Scan(&orderID)
	return orderID, err
}

// EventsAbout lists the stored events about an object that are not parked, the oldest first.
func (s *Fulfillment) EventsAbout(ctx context.Context, mode, objectID string) ([]fulfillment.ReceivedEvent, error) {
	rows, err := s.Query(ctx, `SELECT id, type, object_id, takes_back, created, received_at, outcome, body, signature_header
		FROM events WHERE mode = $1 AND object_id = $2 AND outcome NOT LIKE 'parked:%' ORDER BY created, id`, mode, objectID)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (fulfillment.ReceivedEvent, error) {
		e := fulfillment.ReceivedEvent{Mode: mode}
		err := row.Scan(&e.ID, &e.Type, &e.ObjectID, &e.Payment, moment{&e.Created}, moment{&e.ReceivedAt}, &e.Outcome, &e.Body, &e.SignatureHeader)
		return e, err
	})
}

// MissingEvents answers those of the IDs of which no event is stored, in their order.
func (s *Fulfillment) MissingEvents(ctx context.Context, mode string, ids []string) ([]string, error) {
	rows, err := s.Query(ctx, `SELECT u.id FROM unnest($2::text[]) WITH ORDINALITY AS u (id, n)
		WHERE NOT EXISTS (SELECT FROM events e WHERE e.mode = $1 AND e.id = u.id) ORDER BY u.n`, mode, ids)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// ForgetCustomer lets an organization be given a new customer at Stripe.
func (s *Fulfillment) ForgetCustomer(ctx context.Context, stripeCustomer string) error {
	_, err := s.Exec(ctx, "UPDATE organizations SET stripe_customer_id = NULL WHERE stripe_customer_id = $1", stripeCustomer)
	return err
}

// keepCharge keeps what Stripe says of a charge, unless it was asked again since. A charge that nothing was ever refunded of is
// not kept.
func keepCharge(ctx context.Context, tx pgx.Tx, orderID string, c *fulfillment.Charge) error {
	if c == nil {
		return nil
	}
	_, err := tx.Exec(ctx, `INSERT INTO refunded_charges AS r (order_id, charge_id, currency, amount, refunded, seen_at)
		SELECT $1, $2, $3, $4::bigint, $5::bigint, $6::timestamptz WHERE $5::bigint > 0 OR EXISTS (SELECT FROM refunded_charges WHERE order_id = $1 AND charge_id = $2)
		ON CONFLICT (order_id, charge_id) DO UPDATE SET refunded = excluded.refunded, seen_at = excluded.seen_at
		WHERE r.seen_at <= excluded.seen_at`, orderID, c.ID, c.Currency, c.Amount, c.AmountRefunded, c.SeenAt)
	if err != nil {
		return fmt.Errorf("keep charge: %w", err)
	}
	return nil
}

// refunds lists the charges of an order that Stripe gave money back of, the first that was seen first.
func refunds(ctx context.Context, q querier, orderID string) ([]fulfillment.Charge, error) {
	rows, err := q.Query(ctx, `SELECT charge_id, currency, amount, refunded, seen_at FROM refunded_charges
		WHERE order_id = $1 AND refunded > 0 ORDER BY seen_at, charge_id`, orderID)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (fulfillment.Charge, error) {
		var c fulfillment.Charge
		err := row.Scan(&c.ID, &c.Currency, &c.Amount, &c.AmountRefunded, moment{&c.SeenAt})
		c.Refunded = c.AmountRefunded == c.Amount
		return c, err
	})
}
