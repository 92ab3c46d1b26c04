package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

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
