package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// Pass tells where a pass of reconciliation is; it is empty for one that never ran.
func (s *Fulfillment) Pass(ctx context.Context, name string) (fulfillment.PassState, error) {
	passes, err := s.passes(ctx)
	return passes[name], err
}

func (s *Fulfillment) passes(ctx context.Context) (map[string]fulfillment.PassState, error) {
	rows, err := s.Query(ctx, "SELECT pass, since, succeeded_at, state, open FROM reconciliations")
	if err != nil {
		return nil, err
	}
	passes, name, p := map[string]fulfillment.PassState{}, "", fulfillment.PassState{}
	_, err = pgx.ForEachRow(rows, []any{&name, moment{&p.Since}, moment{&p.SucceededAt}, &p.Endpoint, &p.Open}, func() error {
		passes[name] = p
		return nil
	})
	return passes, err
}

// SetPass notes that a pass went well. Of two at once the later one stands.
func (s *Fulfillment) SetPass(ctx context.Context, name string, p fulfillment.PassState) error {
	_, err := s.Exec(ctx, `INSERT INTO reconciliations AS r (pass, since, succeeded_at, state, open) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (pass) DO UPDATE SET since = excluded.since, succeeded_at = excluded.succeeded_at, state = excluded.state, open = excluded.open
		WHERE r.succeeded_at <= excluded.succeeded_at`, name, optionalTime(p.Since), p.SucceededAt, p.Endpoint, p.Open)
	return err
}

// inForce narrows issuances i to those that neither expired by $1 nor are revoked.
const inForce = `i.expires_at > $1 AND NOT EXISTS (SELECT FROM license_revocations v WHERE v.license_id = i.license_id AND v.status = 'revoked')`

// LivePayments finds which payment intents paid for licenses in force.
func (s *Fulfillment) LivePayments(ctx context.Context, at time.Time, intents []string) (map[string]fulfillment.LivePayment, error) {
	rows, err := s.Query(ctx, `SELECT p.payment_intent, p.order_id, coalesce((SELECT v.status FROM license_revocations v WHERE v.license_id = i.license_id), '')
		FROM order_payments p JOIN issuances i ON i.order_id = p.order_id WHERE p.payment_intent = ANY($2) AND `+inForce, at, intents)
	if err != nil {
		return nil, err
	}
	live, intent, p := map[string]fulfillment.LivePayment{}, "", fulfillment.LivePayment{}
	_, err = pgx.ForEachRow(rows, []any{&intent, &p.OrderID, &p.Status}, func() error {
		live[intent] = p
		return nil
	})
	return live, err
}

// OldestLivePayment tells when the first order of a license in force went to Stripe.
func (s *Fulfillment) OldestLivePayment(ctx context.Context, at time.Time) (oldest time.Time, err error) {
	err = s.QueryRow(ctx, `SELECT min(coalesce(o.submitted_at, o.created_at)) FROM orders o JOIN issuances i ON i.order_id = o.id WHERE `+inForce, at).
		Scan(moment{&oldest})
	return oldest, err
}

// NotePayment tells staff once, in the order's log, and keeps what Stripe says of a charge.
func (s *Fulfillment) NotePayment(ctx context.Context, orderID string, flags []fulfillment.Reason, c *fulfillment.Charge, at time.Time) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		if err := flag(ctx, tx, orderID, flags, at); err != nil {
			return err
		}
		return keepCharge(ctx, tx, orderID, c)
	})
}

// gapAge is how long an order may be paid without a license.
const gapAge = 2 * time.Minute

// Gauges counts what pages people.
func (s *Fulfillment) Gauges(ctx context.Context, now time.Time) (g fulfillment.Gauges, err error) {
	if g.PaidWithoutLicense, g.LicenseWithoutPayment, err = s.Gaps(ctx, now.Add(-gapAge)); err != nil {
		return g, err
	}
	err = s.QueryRow(ctx, `SELECT (SELECT count(*) FROM orders WHERE state = 'in_review'), (SELECT max(received_at) FROM events)`).
		Scan(&g.OrdersInReview, moment{&g.LastEventAt})
	if err != nil {
		return g, err
	}
	g.Passes, err = s.passes(ctx)
	return g, err
}
