package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// Restore stores what is missing of a leaf of the signer's log and leaves alone what is there.
func (s *Fulfillment) Restore(ctx context.Context, r fulfillment.Restored) (bool, error) {
	var fresh bool
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		owner, err := restoreOwner(ctx, tx, r)
		if err != nil {
			return fmt.Errorf("owner: %w", err)
		}
		if err := restoreOrder(ctx, tx, r, owner); err != nil {
			return fmt.Errorf("order: %w", err)
		}
		if err := restoreEvidence(ctx, tx, r); err != nil {
			return fmt.Errorf("evidence: %w", err)
		}
		locked, err := lockOrder(ctx, tx, r.Order.ID, 0)
		if err != nil {
			return err
		}
		if locked.LicenseID == r.Issuance.License.ID {
			return nil
		}
		fresh = true
		if err := insertIssuance(ctx, tx, r.Issuance); err != nil {
			return err
		}
		if err := setIssued(ctx, tx, r.Order.ID, r.Issuance, "restore"); err != nil {
			return err
		}
		// The mail went out, or the customer knows by now: a restore writes to nobody.
		_, err = tx.Exec(ctx, "INSERT INTO mails (kind, ref, created_at, sent_at) VALUES ('ready', $1, $2, $2) ON CONFLICT DO NOTHING", r.Order.ID, r.Issuance.At)
		return err
	})
	return fresh, err
}

// restoreOwner makes the organization and, where it has no owner, the buyer its owner; it answers the buyer's user ID.
func restoreOwner(ctx context.Context, tx pgx.Tx, r fulfillment.Restored) (string, error) {
	o := r.Order
	_, err := tx.Exec(ctx, "INSERT INTO organizations (id, name, created_at) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING",
		o.OrganizationID, o.Snapshot.Intent.CustomerName, o.CreatedAt)
	if err != nil {
		return "", err
	}
	if _, err := tx.Exec(ctx, `UPDATE organizations SET stripe_customer_id = $2 WHERE id = $1 AND $2 <> '' AND stripe_customer_id IS NULL
		AND NOT EXISTS (SELECT 1 FROM organizations WHERE stripe_customer_id = $2)`, o.OrganizationID, r.StripeCustomer); err != nil {
		return "", err
	}
	if _, err := tx.Exec(ctx, "INSERT INTO users (id, email, created_at) VALUES ($1, $2, $3) ON CONFLICT (email) DO NOTHING", r.OwnerID, o.BuyerEmail, o.CreatedAt); err != nil {
		return "", err
	}
	var userID string
	if err := tx.QueryRow(ctx, "SELECT id FROM users WHERE email = $1", o.BuyerEmail).Scan(&userID); err != nil {
		return "", err
	}
	_, err = tx.Exec(ctx, `INSERT INTO memberships (organization_id, user_id, role, created_at) SELECT $1, $2, 'owner', $3
		WHERE NOT EXISTS (SELECT 1 FROM memberships WHERE organization_id = $1 AND role = 'owner') ON CONFLICT DO NOTHING`,
		o.OrganizationID, userID, o.CreatedAt)
	return userID, err
}

func restoreOrder(ctx context.Context, tx pgx.Tx, r fulfillment.Restored, userID string) error {
	o := r.Order
	if err := restoreDeployment(ctx, tx, r); err != nil {
		return err
	}
	var subscription *string
	if o.Snapshot.Channel == fulfillment.ByCycle {
		subscription = &r.Invoice.SubscriptionID
	}
	_, err := tx.Exec(ctx, `INSERT INTO orders (id, organization_id, created_by, buyer_email, mail_domain, deployment_id, deployment_name,
			state, kind, sku, template_ref, evaluation, snapshot, currency, total, base_license_id, form_key, attempt, attempt_at,
			created_at, submitted_at, paid_at, updated_at, checked_at, channel, subscription_id)
		VALUES ($1, $2, $3, $4, split_part($4, '@', 2), $5, (SELECT name FROM deployments WHERE id = $5),
			'paid', $6, $7, $8, $9, $10, $11, $12, $13, 'restored ' || $1, 1, $14, $14, $14, $15, $16, $16, $17, $18)
		ON CONFLICT (id) DO NOTHING`,
		o.ID, o.OrganizationID, userID, o.BuyerEmail, o.DeploymentID, o.Snapshot.Intent.Kind, o.Snapshot.Template.SKU, o.Snapshot.Intent.Template,
		o.Snapshot.Template.OnePerCustomer, o.Snapshot, o.Snapshot.Currency, o.Snapshot.Total, optionalText(o.Snapshot.Intent.BaseID),
		o.CreatedAt, optionalTime(o.PaidAt), o.UpdatedAt, channelName(o.Snapshot.Channel), subscription)
	return err
}

// restoreDeployment makes the deployment under the only name that the log knows, its ID; the customer can tell it by its licenses.
func restoreDeployment(ctx context.Context, tx pgx.Tx, r fulfillment.Restored) error {
	_, err := tx.Exec(ctx, "INSERT INTO deployments (id, organization_id, name, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING",
		r.Order.DeploymentID, r.Order.OrganizationID, r.DeploymentName, r.Order.CreatedAt)
	return err
}

func restoreEvidence(ctx context.Context, tx pgx.Tx, r fulfillment.Restored) error {
	if r.Session != nil {
		if err := restoreSession(ctx, tx, r); err != nil {
			return err
		}
	}
	if r.Invoice != nil {
		if err := restoreInvoice(ctx, tx, r); err != nil {
			return err
		}
	}
	e := r.Event
	_, err := tx.Exec(ctx, `INSERT INTO events (mode, id, type, api_version, object_id, payment_status, reference, created, received_at,
			body, signature_header, order_id, outcome)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (mode, id) DO NOTHING`,
		e.Mode, e.ID, e.Type, e.APIVersion, e.ObjectID, e.PaymentStatus, e.Reference, e.Created, e.ReceivedAt,
		e.Body, e.SignatureHeader, r.Order.ID, e.Outcome)
	return err
}

func restoreSession(ctx context.Context, tx pgx.Tx, r fulfillment.Restored) error {
	c, e := r.Session, r.Event
	_, err := tx.Exec(ctx, `INSERT INTO checkout_sessions (id, order_id, attempt, url, status, payment_status, payment_intent, facts, created_at, expires_at, fetched_at)
		SELECT $1, $2, coalesce(max(attempt), 0) + 1, '', $3, $4, $5, $6, $7, $8, $9 FROM checkout_sessions WHERE order_id = $2
		ON CONFLICT (id) DO NOTHING`,
		c.ID, r.Order.ID, c.Status, c.PaymentStatus, optionalText(c.PaymentIntentID), c, c.CreatedAt, laterOf(c.ExpiresAt, c.CreatedAt), e.ReceivedAt)
	return err
}

// restoreInvoice stores the invoice and its subscription, of which the log tells no more than its ID: Stripe is asked for the
// rest when the order that began it is looked at. Where that order is not in the log, another of its cycles stands for it.
func restoreInvoice(ctx context.Context, tx pgx.Tx, r fulfillment.Restored) error {
	if r.Invoice.SubscriptionID != "" {
		s := fulfillment.Subscription{ID: r.Invoice.SubscriptionID, StripeCustomer: r.StripeCustomer, CreatedAt: r.Order.CreatedAt}
		_, err := tx.Exec(ctx, `INSERT INTO subscriptions (id, order_id, status, facts, created_at, fetched_at)
			VALUES ($1, coalesce((SELECT id FROM orders WHERE id = $2), $3), '', $4, $5, $6)
			ON CONFLICT DO NOTHING`, s.ID, r.Order.Snapshot.Intent.OrderID, r.Order.ID, s, s.CreatedAt, r.Event.ReceivedAt)
		if err != nil {
			return err
		}
	}
	return recordInvoice(ctx, tx, r.Order.ID, *r.Invoice, r.Event.ReceivedAt)
}

func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
