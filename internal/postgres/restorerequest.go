package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// RestoreRequest stores what is missing of a leaf whose evidence is a staff request, and writes to nobody.
func (s *Fulfillment) RestoreRequest(ctx context.Context, r fulfillment.RestoredRequest) (bool, error) {
	var fresh bool
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		if err := restoreText(ctx, tx, r.Request); err != nil {
			return fmt.Errorf("request: %w", err)
		}
		i := r.Issuance
		var there bool
		err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM issuances WHERE license_id = $1)", i.License.ID).Scan(&there)
		if err != nil {
			return err
		}
		if fresh = !there; fresh {
			if err := restoreRequested(ctx, tx, r); err != nil {
				return err
			}
		}
		if r.Request.Action == approval.ActionRotate {
			_, err = tx.Exec(ctx, `INSERT INTO staff_rotations (request_id, license_id, ended_at, replaced_by) VALUES ($1, $2, $3, $4)
				ON CONFLICT DO NOTHING`, r.Request.ID, i.License.BaseLicenseID, i.At, i.License.ID)
			return err
		}
		_, err = tx.Exec(ctx, "UPDATE staff_requests SET license_id = $2 WHERE id = $1 AND license_id IS NULL", r.Request.ID, i.License.ID)
		return err
	})
	return fresh, err
}

// restoreText stores a request and who stands by it, as ended, unless it is there.
func restoreText(ctx context.Context, tx pgx.Tx, r fulfillment.StaffRequest) error {
	tag, err := tx.Exec(ctx, `INSERT INTO staff_requests (id, body, digest, action, proposer, subjects, created_at, expires_at, needed, approved_at, ended_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (id) DO NOTHING`,
		r.ID, r.Text, r.Digest, r.Action, r.Proposer, r.Subjects(), r.CreatedAt, r.ExpiresAt(), r.Needed, r.ApprovedAt, r.EndedAt)
	if err != nil || tag.RowsAffected() == 0 {
		return err
	}
	for _, stand := range r.Stands {
		if err := insertStand(ctx, tx, r.ID, stand); err != nil {
			return err
		}
	}
	return nil
}

func restoreRequested(ctx context.Context, tx pgx.Tx, r fulfillment.RestoredRequest) error {
	if r.Order != nil {
		return restoreIssued(ctx, tx, r)
	}
	i := r.Issuance
	l := &i.License
	var ref, name string
	err := tx.QueryRow(ctx, "SELECT organization_id, deployment_id, template_ref, template_name FROM issuances WHERE license_id = $1", l.BaseLicenseID).
		Scan(&l.OrganizationID, &l.DeploymentID, &ref, &name)
	if err != nil {
		return fmt.Errorf("the license %s that it replaces: %w", l.BaseLicenseID, notFound(err))
	}
	if l.TemplateRef == "" {
		l.TemplateRef, l.TemplateName = ref, name
	}
	return insertIssuance(ctx, tx, i)
}

// restoreIssued restores an order that was issued by request. The log holds no address, so an owner of the organization
// stands for the buyer, or somebody whom mail does not reach.
func restoreIssued(ctx context.Context, tx pgx.Tx, r fulfillment.RestoredRequest) error {
	o := *r.Order
	err := tx.QueryRow(ctx, `SELECT coalesce((SELECT u.email FROM memberships m JOIN users u ON u.id = m.user_id
		WHERE m.organization_id = $1 AND m.role = 'owner' ORDER BY m.created_at, u.id LIMIT 1), 'unknown+' || lower($1) || '@portal.invalid')`,
		o.OrganizationID).Scan(&o.BuyerEmail)
	if err != nil {
		return err
	}
	restored := fulfillment.Restored{Order: o, OwnerID: r.OwnerID, DeploymentName: o.DeploymentName}
	owner, err := restoreOwner(ctx, tx, restored)
	if err != nil {
		return fmt.Errorf("owner: %w", err)
	}
	if err := restoreOrder(ctx, tx, restored, owner); err != nil {
		return fmt.Errorf("order: %w", err)
	}
	if err := insertIssuance(ctx, tx, r.Issuance); err != nil {
		return err
	}
	if err := setIssuedByRequest(ctx, tx, o.ID, r.Issuance); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, "INSERT INTO mails (kind, ref, created_at, sent_at) VALUES ('ready', $1, $2, $2) ON CONFLICT DO NOTHING", o.ID, r.Issuance.At)
	return err
}
