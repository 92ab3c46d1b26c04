package postgres

import (
	"context"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// StandingMail finds what the mail about a change says, and whether it went out already. It goes to the buyer, or to the
// oldest owner where the buyer has left the organization.
func (s *Fulfillment) StandingMail(ctx context.Context, licenseID string, epoch int64) (fulfillment.StandingMail, bool, error) {
	m := fulfillment.StandingMail{LicenseID: licenseID, Epoch: epoch}
	var sent bool
	err := s.QueryRow(ctx, `SELECT u.email, c.status, CASE WHEN c.status = 'reinstated' THEN '' ELSE c.reason END, c.effective_at, i.template_name, d.name, m.sent_at IS NOT NULL
		FROM revocation_changes c JOIN mails m ON m.kind = 'standing' AND m.ref = c.license_id || '.' || c.epoch
		JOIN issuances i USING (license_id) JOIN deployments d ON d.id = i.deployment_id LEFT JOIN orders o ON o.id = i.order_id
		JOIN LATERAL (SELECT u.email FROM memberships b JOIN users u ON u.id = b.user_id WHERE b.organization_id = i.organization_id
			ORDER BY u.email = coalesce(o.buyer_email, '') DESC, b.role = 'owner' DESC, b.created_at, u.id LIMIT 1) u ON true
		WHERE c.license_id = $1 AND c.epoch = $2`, licenseID, epoch).
		Scan(&m.To, &m.Status, &m.Reason, moment{&m.EffectiveAt}, &m.PackageName, &m.DeploymentName, &sent)
	return m, sent, notFound(err)
}

// MarkStandingMailed notes that the mail about a change went out.
func (s *Fulfillment) MarkStandingMailed(ctx context.Context, licenseID string, epoch int64, at time.Time) error {
	_, err := s.Exec(ctx, "UPDATE mails SET sent_at = coalesce(sent_at, $3) WHERE kind = 'standing' AND ref = $1 || '.' || $2::bigint", licenseID, epoch, at)
	return err
}
