package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// StoreIssuance stores the license of a paid order and enqueues its mail. An order that has it already is left alone.
func (s *Fulfillment) StoreIssuance(ctx context.Context, r fulfillment.Record, i fulfillment.Issuance) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		if err := holdBundles(ctx, tx); err != nil {
			return err
		}
		locked, err := lockOrder(ctx, tx, r.ID, 0)
		if err != nil {
			return err
		}
		switch {
		case locked.LicenseID == i.License.ID:
			return nil
		case locked.State != fulfillment.StatePaid:
			return fulfillment.ErrMoved
		}
		if err := insertIssuance(ctx, tx, i); err != nil {
			return err
		}
		if err := setIssued(ctx, tx, r.ID, i, "signer"); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "INSERT INTO mails (kind, ref, created_at) VALUES ('ready', $1, $2)", r.ID, i.At); err != nil {
			return err
		}
		if err := s.queue.EnqueueReadyMail(ctx, tx, r.ID); err != nil {
			return err
		}
		return s.stored(ctx, tx, i)
	})
}

// stored does what follows from every license that is stored.
func (s *Fulfillment) stored(ctx context.Context, tx pgx.Tx, i fulfillment.Issuance) error {
	if i.License.Kind == catalog.IssueRenewal {
		if err := s.enqueueSiblings(ctx, tx, i.License); err != nil {
			return err
		}
	}
	// What a bundle said of the license before it was stored was told to nobody.
	if err := logStanding(ctx, tx, stillSaid, i.At, i.License.ID); err != nil {
		return err
	}
	if err := s.tellStanding(ctx, tx, stillSaid, i.At, i.License.ID); err != nil {
		return err
	}
	orderID := i.License.OrderID
	if orderID == "" {
		return nil
	}
	if err := s.takenBackAgain(ctx, tx, orderID); err != nil {
		return err
	}
	return announce(ctx, tx, orderID)
}

// enqueueSiblings has the orders looked at again that are open on the base of a renewal.
func (s *Fulfillment) enqueueSiblings(ctx context.Context, tx pgx.Tx, renewal fulfillment.License) error {
	rows, err := tx.Query(ctx, "SELECT id FROM orders WHERE base_license_id = $1 AND id <> $2 AND state IN ('awaiting_payment', 'processing')",
		renewal.BaseLicenseID, renewal.OrderID)
	if err != nil {
		return err
	}
	open, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, id := range open {
		if err := s.queue.EnqueueEvaluateOrder(ctx, tx, id); err != nil {
			return err
		}
	}
	return nil
}

func insertIssuance(ctx context.Context, tx pgx.Tx, i fulfillment.Issuance) error {
	l := i.License
	_, err := tx.Exec(ctx, `INSERT INTO issuances (license_id, order_id, fulfillment_key, organization_id, deployment_id, kind, sku,
			template_ref, template_name, base_license_id, envelope, sha256, key_id, issued_at, not_before, expires_at, stored_at, request_id)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)`,
		l.ID, optionalText(l.OrderID), i.Key, l.OrganizationID, l.DeploymentID, l.Kind, l.Payload.SKU, l.TemplateRef, l.TemplateName,
		optionalText(l.BaseLicenseID), l.Envelope, l.SHA256, l.Payload.KeyID, l.Payload.IssuedAt, l.Payload.NotBefore, l.Payload.ExpiresAt,
		i.At, optionalText(i.RequestID))
	if err != nil {
		return fmt.Errorf("insert issuance: %w", err)
	}
	return nil
}

func setIssued(ctx context.Context, tx pgx.Tx, orderID string, i fulfillment.Issuance, actor string) error {
	_, err := tx.Exec(ctx, `UPDATE orders SET state = 'issued', license_id = $2, issued_at = $3, updated_at = $3, refusal = NULL, failure = '',
		paid_at = coalesce(paid_at, $3), closed_at = NULL, closed_by_staff = false, revision = revision + 1 WHERE id = $1`, orderID, i.License.ID, i.At)
	if err != nil {
		return fmt.Errorf("set issued: %w", err)
	}
	return logOrder(ctx, tx, orderID, i.At, "issued", i.License.ID+" by "+i.EventID, actor)
}

// LicenseBytes answers a license's exact bytes, of any organization; for the signer.
func (s *Fulfillment) LicenseBytes(ctx context.Context, licenseID string) ([]byte, error) {
	var envelope []byte
	err := s.QueryRow(ctx, "SELECT envelope FROM issuances WHERE license_id = $1", licenseID).Scan(&envelope)
	return envelope, notFound(err)
}

// ReadyMail finds what the mail of an issued order says, and whether it went out already, or is not true any more.
func (s *Fulfillment) ReadyMail(ctx context.Context, orderID string) (fulfillment.ReadyMail, bool, error) {
	m := fulfillment.ReadyMail{OrderID: orderID}
	var sent bool
	err := s.QueryRow(ctx, `SELECT o.buyer_email, i.license_id, i.template_name, o.deployment_name, i.expires_at, m.sent_at IS NOT NULL
			OR EXISTS (SELECT 1 FROM license_revocations v WHERE v.license_id = i.license_id AND v.status = 'revoked')
		FROM mails m JOIN orders o ON o.id = m.ref JOIN issuances i ON i.order_id = o.id WHERE m.kind = 'ready' AND m.ref = $1`, orderID).
		Scan(&m.To, &m.LicenseID, &m.PackageName, &m.DeploymentName, moment{&m.ExpiresAt}, &sent)
	return m, sent, notFound(err)
}

// MarkMailed notes that an order's mail went out.
func (s *Fulfillment) MarkMailed(ctx context.Context, orderID string, at time.Time) error {
	_, err := s.Exec(ctx, "UPDATE mails SET sent_at = coalesce(sent_at, $2) WHERE kind = 'ready' AND ref = $1", orderID, at)
	return err
}
