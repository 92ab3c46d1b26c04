package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

const selectSubscription = `SELECT s.id, s.facts, o.id, o.organization_id, o.deployment_id, o.deployment_name, o.snapshot
	FROM subscriptions s JOIN orders o ON o.id = s.order_id `

// SubscriptionOfOrder finds the subscription that an order of the organization began or is a cycle of.
func (s *Fulfillment) SubscriptionOfOrder(ctx context.Context, organizationID, orderID string) (fulfillment.Subscribed, error) {
	return s.subscription(ctx, `WHERE o.organization_id = $1 AND (s.order_id = $2 OR s.id = (SELECT subscription_id FROM orders WHERE id = $2))`, organizationID, orderID)
}

// SubscriptionOfDeployment finds the subscription of the organization's deployment: the one that goes on, else the newest.
func (s *Fulfillment) SubscriptionOfDeployment(ctx context.Context, organizationID, deploymentID string) (fulfillment.Subscribed, error) {
	return s.subscription(ctx, `WHERE o.organization_id = $1 AND o.deployment_id = $2
		ORDER BY s.status IN ('canceled', 'incomplete_expired'), s.created_at DESC, s.id DESC LIMIT 1`, organizationID, deploymentID)
}

func (s *Fulfillment) subscription(ctx context.Context, where string, args ...any) (fulfillment.Subscribed, error) {
	var out fulfillment.Subscribed
	var id string
	var snapshot fulfillment.Snapshot
	err := s.QueryRow(ctx, selectSubscription+where, args...).
		Scan(&id, &out.Subscription, &out.OrderID, &out.OrganizationID, &out.DeploymentID, &out.DeploymentName, &snapshot)
	if err != nil {
		return out, notFound(err)
	}
	out.Template, out.Currency, out.Total = snapshot.Template, snapshot.Currency, snapshot.Total
	out.Cycles, err = s.cycles(ctx, id)
	return out, err
}

// cycleRows bounds a subscription's history as that of a deployment.
const cycleRows = lineageRows

func (s *Fulfillment) cycles(ctx context.Context, subscriptionID string) ([]fulfillment.Cycle, error) {
	rows, err := s.Query(ctx, `SELECT o.id, o.state, i.facts, coalesce(l.license_id, ''), l.expires_at
		FROM invoices i JOIN orders o ON o.id = i.order_id LEFT JOIN issuances l ON l.license_id = o.license_id
		WHERE i.subscription_id = $1 ORDER BY i.created_at DESC, i.id DESC LIMIT $2`, subscriptionID, cycleRows)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (fulfillment.Cycle, error) {
		var c fulfillment.Cycle
		err := row.Scan(&c.OrderID, &c.State, &c.Invoice, &c.LicenseID, moment{&c.ExpiresAt})
		return c, err
	})
}

// subscribed asks whether another order than $2 began a subscription of deployment $1 that has not ended, or is being paid to.
const subscribed = `SELECT EXISTS (SELECT 1 FROM orders o LEFT JOIN subscriptions s ON s.order_id = o.id
	WHERE o.deployment_id = $1 AND o.id <> $2 AND o.channel = 'subscription'
	  AND CASE WHEN s.id IS NULL THEN o.state IN ('awaiting_payment', 'processing', 'in_review', 'paid')
	           ELSE s.status NOT IN ('canceled', 'incomplete_expired') END)`

// Subscribed reports whether another order began, or is being paid to begin, a subscription of the organization's deployment.
func (s *Fulfillment) Subscribed(ctx context.Context, organizationID, deploymentID, orderID string) (bool, error) {
	var is bool
	err := s.QueryRow(ctx, subscribed+" AND EXISTS (SELECT 1 FROM deployments WHERE id = $1 AND organization_id = $3)",
		deploymentID, orderID, organizationID).Scan(&is)
	if err != nil {
		return false, fmt.Errorf("subscribed: %w", err)
	}
	return is, nil
}

// oneSubscription refuses to begin a second subscription of a deployment. It locks the deployment, so that of two orders at
// once one sees the other.
func oneSubscription(ctx context.Context, tx pgx.Tx, orderID string) error {
	var deployment string
	err := tx.QueryRow(ctx, `SELECT d.id FROM deployments d JOIN orders o ON o.deployment_id = d.id
		WHERE o.id = $1 AND o.channel = 'subscription' FOR UPDATE OF d`, orderID).Scan(&deployment)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("lock deployment: %w", err)
	}
	var second bool
	if err := tx.QueryRow(ctx, subscribed, deployment, orderID).Scan(&second); err != nil {
		return fmt.Errorf("subscribed: %w", err)
	}
	if second {
		return fulfillment.ErrSubscribed
	}
	return nil
}

// tellOwing enqueues the mail about each invoice of a subscription that could not be charged, once for each.
func (s *Fulfillment) tellOwing(ctx context.Context, tx pgx.Tx, r fulfillment.Record, invoices []fulfillment.Invoice, at time.Time) error {
	if r.Snapshot.Channel != fulfillment.BySubscription && r.Snapshot.Channel != fulfillment.ByCycle {
		return nil
	}
	for _, i := range invoices {
		if !i.Owing() {
			continue
		}
		tag, err := tx.Exec(ctx, "INSERT INTO mails (kind, ref, created_at) VALUES ('payment', $1, $2) ON CONFLICT DO NOTHING", i.ID, at)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			continue // told already
		}
		if err := s.queue.EnqueuePaymentMail(ctx, tx, i.ID); err != nil {
			return err
		}
	}
	return nil
}

// OwedCycle finds an invoice of a subscription whose mail is due, with the subscription, and whether the mail went out
// already. It goes to the buyer, or to the oldest owner where the buyer has left the organization.
func (s *Fulfillment) OwedCycle(ctx context.Context, invoiceID string) (fulfillment.OwedCycle, bool, error) {
	var c fulfillment.OwedCycle
	var sent bool
	var organization string
	err := s.QueryRow(ctx, `SELECT i.facts, o.id, o.organization_id, u.email, m.sent_at IS NOT NULL
		FROM invoices i JOIN orders o ON o.id = i.order_id JOIN mails m ON m.kind = 'payment' AND m.ref = i.id
		JOIN LATERAL (SELECT u.email FROM memberships b JOIN users u ON u.id = b.user_id WHERE b.organization_id = o.organization_id
			ORDER BY u.email = o.buyer_email DESC, b.role = 'owner' DESC, b.created_at, u.id LIMIT 1) u ON true
		WHERE i.id = $1`, invoiceID).Scan(&c.Invoice, &c.CycleID, &organization, &c.To, &sent)
	if err != nil || sent {
		return c, sent, notFound(err)
	}
	c.Subscribed, err = s.SubscriptionOfOrder(ctx, organization, c.CycleID)
	return c, false, err
}

// MarkPaymentMailed notes that the mail about an invoice went out.
func (s *Fulfillment) MarkPaymentMailed(ctx context.Context, invoiceID string, at time.Time) error {
	_, err := s.Exec(ctx, "UPDATE mails SET sent_at = coalesce(sent_at, $2) WHERE kind = 'payment' AND ref = $1", invoiceID, at)
	return err
}
