package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// AddEvent stores an event with its job, or counts a further delivery of one that is stored.
func (s *Fulfillment) AddEvent(ctx context.Context, e fulfillment.ReceivedEvent) (bool, error) {
	var fresh bool
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `INSERT INTO events (mode, id, type, api_version, object_id, payment_status, reference, created, received_at,
				body, signature_header, outcome, takes_back)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
			ON CONFLICT (mode, id) DO UPDATE SET deliveries = events.deliveries + 1
			RETURNING deliveries = 1`,
			e.Mode, e.ID, e.Type, e.APIVersion, e.ObjectID, e.PaymentStatus, e.Reference, e.Created, e.ReceivedAt,
			e.Body, e.SignatureHeader, e.Outcome, e.Payment).Scan(&fresh)
		if err != nil || !fresh || e.Outcome != "" {
			return err
		}
		if e.TakesBack() {
			return s.queue.EnqueueRevoke(ctx, tx, e.Mode, e.ID)
		}
		return s.queue.EnqueueEvaluate(ctx, tx, e.Mode, e.ID)
	})
	if err != nil {
		return false, fmt.Errorf("add event: %w", err)
	}
	if fresh {
		s.wakeSoon()
	}
	return fresh, nil
}

// Event finds a stored event, without its body.
func (s *Fulfillment) Event(ctx context.Context, mode, eventID string) (fulfillment.ReceivedEvent, error) {
	e := fulfillment.ReceivedEvent{Mode: mode, ID: eventID}
	err := s.QueryRow(ctx, `SELECT type, api_version, object_id, payment_status, reference, created, received_at, outcome
		FROM events WHERE mode = $1 AND id = $2`, mode, eventID).
		Scan(&e.Type, &e.APIVersion, &e.ObjectID, &e.PaymentStatus, &e.Reference, moment{&e.Created}, moment{&e.ReceivedAt}, &e.Outcome)
	return e, notFound(err)
}

// OrderOfObject finds the order of a checkout session, invoice, quote or subscription. Their IDs differ in their prefixes.
func (s *Fulfillment) OrderOfObject(ctx context.Context, objectID string) (string, error) {
	var orderID string
	err := s.QueryRow(ctx, `SELECT order_id FROM checkout_sessions WHERE id = $1 UNION ALL SELECT order_id FROM invoices WHERE id = $1
		UNION ALL SELECT order_id FROM quotes WHERE id = $1 UNION ALL SELECT order_id FROM subscriptions WHERE id = $1`, objectID).Scan(&orderID)
	return orderID, notFound(err)
}

// SetOutcome notes what became of an event, and of which order it was.
func (s *Fulfillment) SetOutcome(ctx context.Context, mode, eventID, orderID, outcome string) error {
	_, err := s.Exec(ctx, "UPDATE events SET order_id = $3, outcome = $4 WHERE mode = $1 AND id = $2",
		mode, eventID, optionalText(orderID), outcome)
	return err
}

// provesPayment narrows events to those that can authorize a license; the signer reads them for itself.
const provesPayment = `(e.type IN ('checkout.session.async_payment_succeeded', 'invoice.paid')
	OR (e.type = 'checkout.session.completed' AND e.payment_status IN ('paid', 'no_payment_required')))
	AND e.outcome NOT LIKE 'parked:%'`

// Evidence finds the earliest event that can authorize an order's license, of these sessions and invoices.
func (s *Fulfillment) Evidence(ctx context.Context, orderID string, payments []string) (fulfillment.ReceivedEvent, error) {
	var e fulfillment.ReceivedEvent
	err := s.QueryRow(ctx, `SELECT e.mode, e.id, e.type, e.object_id, e.created, e.body, e.signature_header
		FROM order_payments c JOIN events e ON e.object_id = c.id
		WHERE c.order_id = $1 AND c.id = ANY($2) AND `+provesPayment+` ORDER BY e.created, e.id LIMIT 1`, orderID, payments).
		Scan(&e.Mode, &e.ID, &e.Type, &e.ObjectID, moment{&e.Created}, &e.Body, &e.SignatureHeader)
	return e, notFound(err)
}

// authorized lists the sessions and invoices of an order for which such an event is stored.
func authorized(ctx context.Context, tx pgx.Tx, orderID string) ([]string, error) {
	rows, err := tx.Query(ctx, `SELECT DISTINCT c.id FROM order_payments c JOIN events e ON e.object_id = c.id
		WHERE c.order_id = $1 AND `+provesPayment, orderID)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
