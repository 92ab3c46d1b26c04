package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// Evaluate locks the order, records what Stripe says of it, decides, and writes the verdict.
func (s *Fulfillment) Evaluate(ctx context.Context, r fulfillment.Record, seen fulfillment.Seen, at time.Time,
	decide func(fulfillment.Record, fulfillment.Facts) fulfillment.Verdict) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		locked, err := lockOrder(ctx, tx, r.ID, r.Revision)
		if err != nil {
			return err
		}
		if err := recordSessions(ctx, tx, locked, seen.Sessions, at); err != nil {
			return fmt.Errorf("record sessions: %w", err)
		}
		if err := recordInvoiced(ctx, tx, locked, seen, at); err != nil {
			return fmt.Errorf("record invoices: %w", err)
		}
		if err := s.billed(ctx, tx, locked, seen.Invoices, at); err != nil {
			return err
		}
		if err := s.tellOwing(ctx, tx, locked, seen.Invoices, at); err != nil {
			return fmt.Errorf("tell of a payment: %w", err)
		}
		facts, err := storedFacts(ctx, tx, locked)
		if err != nil {
			return fmt.Errorf("stored facts: %w", err)
		}
		return s.apply(ctx, tx, locked, decide(locked, facts), at)
	})
}

func recordSessions(ctx context.Context, tx pgx.Tx, r fulfillment.Record, sessions []fulfillment.Session, at time.Time) error {
	for _, c := range sessions {
		_, err := tx.Exec(ctx, `UPDATE checkout_sessions SET status = $3, payment_status = $4, payment_intent = $5, facts = $6, fetched_at = $7
			WHERE id = $1 AND order_id = $2`, c.ID, r.ID, c.Status, c.PaymentStatus, optionalText(c.PaymentIntentID), c, at)
		if err != nil {
			return err
		}
		if err := recordCustomer(ctx, tx, r.OrganizationID, c.StripeCustomer); err != nil {
			return err
		}
	}
	return nil
}

// recordCustomer keeps an organization's first customer at Stripe.
func recordCustomer(ctx context.Context, tx pgx.Tx, organizationID, customer string) error {
	if customer == "" {
		return nil
	}
	_, err := tx.Exec(ctx, `UPDATE organizations SET stripe_customer_id = $2 WHERE id = $1 AND stripe_customer_id IS NULL
		AND NOT EXISTS (SELECT 1 FROM organizations WHERE stripe_customer_id = $2)`, organizationID, customer)
	return err
}

// BaseRenewed answers the license by which another order renewed the order's base, and that was not revoked; "" if none did.
func (s *Fulfillment) BaseRenewed(ctx context.Context, r fulfillment.Record) (string, error) {
	return baseRenewed(ctx, s, r)
}

func baseRenewed(ctx context.Context, q querier, r fulfillment.Record) (licenseID string, err error) {
	base := r.Snapshot.Intent.BaseID
	if base == "" {
		return "", nil
	}
	err = q.QueryRow(ctx, `SELECT coalesce((SELECT license_id FROM issuances i WHERE base_license_id = $1 AND kind = 'renewal' AND order_id <> $2
		AND NOT EXISTS (SELECT 1 FROM license_revocations v WHERE v.license_id = i.license_id AND v.status = 'revoked')
		ORDER BY stored_at, license_id LIMIT 1), '')`, base, r.ID).Scan(&licenseID)
	return licenseID, err
}

// storedFacts reads the facts that the database keeps. Orders of a template that is sold once wait for each other here, so
// that two at a time do not both find nothing.
func storedFacts(ctx context.Context, tx pgx.Tx, r fulfillment.Record) (fulfillment.Facts, error) {
	var f fulfillment.Facts
	var err error
	if f.BaseRenewed, err = baseRenewed(ctx, tx, r); err != nil {
		return f, err
	}
	if f.Authorized, err = authorized(ctx, tx, r.ID); err != nil || !r.Snapshot.Template.OnePerCustomer {
		return f, err
	}
	_, err = tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended(k, 0)) FROM unnest($1::text[]) k",
		slices.Sorted(slices.Values([]string{"evaluation " + r.OrganizationID, "evaluation " + r.MailDomain})))
	if err != nil {
		return f, err
	}
	const earlier = `SELECT coalesce((SELECT id FROM orders WHERE evaluation AND state IN ('paid', 'issued') AND id <> $1 AND `
	err = tx.QueryRow(ctx, earlier+`organization_id = $2 ORDER BY created_at, id LIMIT 1), '')`, r.ID, r.OrganizationID).Scan(&f.TakenByOrganization)
	if err != nil {
		return f, err
	}
	err = tx.QueryRow(ctx, earlier+`mail_domain = $2 ORDER BY created_at, id LIMIT 1), '')`, r.ID, r.MailDomain).Scan(&f.TakenByDomain)
	return f, err
}

// apply writes a verdict on a locked order. Nothing changes, and nobody is told, where the order stands as it did.
func (s *Fulfillment) apply(ctx context.Context, tx pgx.Tx, r fulfillment.Record, v fulfillment.Verdict, at time.Time) error {
	if err := flag(ctx, tx, r.ID, v.Flags, at); err != nil {
		return err
	}
	revision := r.Revision
	moved := v.State != r.State || v.Failure != r.Failure || (v.State == fulfillment.StateInReview && !slices.Equal(v.Reasons, r.Reasons))
	if !moved {
		if _, err := tx.Exec(ctx, "UPDATE orders SET checked_at = $2 WHERE id = $1", r.ID, at); err != nil {
			return err
		}
	} else {
		if v.State != fulfillment.StateInReview {
			v.Reasons = r.Reasons // afterwards: why it had been
		}
		if v.Reasons == nil {
			v.Reasons = []fulfillment.Reason{}
		}
		err := tx.QueryRow(ctx, `UPDATE orders SET state = $2, reasons = $3, failure = $4, checked_at = $5, updated_at = $5,
				paid_at = CASE WHEN $6 THEN coalesce(paid_at, $5) ELSE paid_at END,
				closed_at = CASE WHEN $2 = 'canceled' THEN coalesce(closed_at, $5) END, revision = revision + 1
			WHERE id = $1 RETURNING revision`, r.ID, v.State, v.Reasons, v.Failure, at, v.Paid).Scan(&revision)
		if err != nil {
			return fmt.Errorf("write verdict: %w", err)
		}
		if err := logVerdict(ctx, tx, r, v, at); err != nil {
			return err
		}
		if err := announce(ctx, tx, r.ID); err != nil {
			return err
		}
	}
	if v.State == fulfillment.StatePaid && v.Ready {
		return s.queue.EnqueueIssue(ctx, tx, r.ID, revision)
	}
	return nil
}

func logVerdict(ctx context.Context, tx pgx.Tx, r fulfillment.Record, v fulfillment.Verdict, at time.Time) error {
	if v.State != fulfillment.StateInReview {
		return logOrder(ctx, tx, r.ID, at, string(v.State), v.Failure, "portal")
	}
	for _, reason := range v.Reasons {
		if err := logOrder(ctx, tx, r.ID, at, string(v.State), reason.Code+": "+reason.Detail, "portal"); err != nil {
			return err
		}
	}
	return nil
}

// flag logs what staff should know once, however often it is found.
func flag(ctx context.Context, tx pgx.Tx, orderID string, flags []fulfillment.Reason, at time.Time) error {
	if len(flags) == 0 {
		return nil
	}
	// Two events that tell of one thing are looked at side by side.
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended('flag ' || $1, 0))", orderID); err != nil {
		return err
	}
	for _, f := range flags {
		_, err := tx.Exec(ctx, `INSERT INTO order_log (order_id, at, what, detail, actor)
			SELECT $1, $2, 'flagged', $3, 'portal' WHERE NOT EXISTS
				(SELECT 1 FROM order_log WHERE order_id = $1 AND what = 'flagged' AND detail = $3)`, orderID, at, f.Code+": "+f.Detail)
		if err != nil {
			return err
		}
	}
	return nil
}

// Refuse sends a paid order to review with the signer's refusal.
func (s *Fulfillment) Refuse(ctx context.Context, r fulfillment.Record, refusal fulfillment.Reason, at time.Time) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		locked, err := lockOrder(ctx, tx, r.ID, r.Revision)
		if err != nil {
			return err
		}
		if locked.State != fulfillment.StatePaid {
			return fulfillment.ErrMoved
		}
		_, err = tx.Exec(ctx, `UPDATE orders SET state = 'in_review', reasons = $2, refusal = $3, updated_at = $4, revision = revision + 1
			WHERE id = $1`, r.ID, []fulfillment.Reason{refusal}, refusal, at)
		if err != nil {
			return err
		}
		if err := logOrder(ctx, tx, r.ID, at, string(fulfillment.StateInReview), refusal.Code+": "+refusal.Detail, "signer"); err != nil {
			return err
		}
		return announce(ctx, tx, r.ID)
	})
}
