package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/license"
)

// selectLicense reads a license with where it stands in its lineage: the newest of those that build on it, directly or not,
// or that its subscription went on with, and whether its deployment has a newer one at all. A revoked license comes after all
// others of its deployment, and what it was built on goes on as if it had never been. With it goes what the newest revocation
// bundle says. Few licenses have a later one, and to look for it costs as much as the rest: hence the condition before it.
const selectLicense = `
SELECT i.license_id, coalesce(i.order_id, ''), i.organization_id, i.deployment_id, d.name, i.kind, coalesce(i.base_license_id, ''), i.template_name, i.template_ref,
       i.envelope, i.sha256, i.stored_at, m.installed_at, m.first_downloaded_at, coalesce(s.license_id, ''), s.issued_at,
       NOT EXISTS (SELECT 1 FROM issuances n LEFT JOIN license_revocations r ON r.license_id = n.license_id WHERE n.deployment_id = i.deployment_id AND
           (r.status IS DISTINCT FROM 'revoked', n.stored_at, n.license_id) > (v.status IS DISTINCT FROM 'revoked', i.stored_at, i.license_id)),
       coalesce(v.status, ''), coalesce(v.reason, ''), v.effective_at, coalesce(v.superseded_by, ''),
       CASE WHEN v.license_id IS NULL THEN (SELECT c.effective_at FROM revocation_changes c WHERE c.license_id = i.license_id ORDER BY c.epoch DESC LIMIT 1) END
FROM issuances i
LEFT JOIN license_revocations v ON v.license_id = i.license_id
JOIN deployments d ON d.id = i.deployment_id
LEFT JOIN license_marks m ON m.license_id = i.license_id
LEFT JOIN orders o ON o.id = i.order_id
LEFT JOIN subscriptions u ON u.order_id = i.order_id
LEFT JOIN LATERAL (
    WITH RECURSIVE later AS (
        SELECT license_id, issued_at, stored_at FROM issuances WHERE base_license_id = i.license_id
        UNION
        SELECT n.license_id, n.issued_at, n.stored_at FROM orders c JOIN issuances n ON n.order_id = c.id AND n.expires_at > i.expires_at
        WHERE c.subscription_id = coalesce(u.id, o.subscription_id)
        UNION
        SELECT n.license_id, n.issued_at, n.stored_at FROM issuances n JOIN later ON n.base_license_id = later.license_id)
    SELECT license_id, issued_at FROM later
    WHERE (coalesce(u.id, o.subscription_id) IS NOT NULL OR EXISTS (SELECT 1 FROM issuances n WHERE n.base_license_id = i.license_id))
        AND NOT EXISTS (SELECT 1 FROM license_revocations r WHERE r.license_id = later.license_id AND r.status = 'revoked')
    ORDER BY stored_at DESC, license_id DESC LIMIT 1) s ON true `

func scanLicense(row pgx.Row) (fulfillment.License, error) {
	var l fulfillment.License
	var w license.RevocationEntry
	err := row.Scan(&l.ID, &l.OrderID, &l.OrganizationID, &l.DeploymentID, &l.DeploymentName, &l.Kind, &l.BaseLicenseID, &l.TemplateName, &l.TemplateRef,
		&l.Envelope, &l.SHA256, moment{&l.StoredAt}, moment{&l.InstalledAt}, moment{&l.DownloadedAt}, &l.SupersededBy, moment{&l.SupersededAt}, &l.Newest,
		&w.Status, &w.Reason, moment{&w.EffectiveAt}, &w.SupersededBy, moment{&l.ReinstatedAt})
	if err != nil {
		return l, notFound(err)
	}
	if w.LicenseID = l.ID; w.Status != "" {
		l.Withdrawn = &w
	}
	// The file was verified before it was stored; here its claims are only shown.
	var file struct {
		Payload license.Payload `json:"payload"`
	}
	if err := json.Unmarshal(l.Envelope, &file); err != nil {
		return l, fmt.Errorf("stored license %s: %w", l.ID, err)
	}
	l.Payload = file.Payload
	return l, nil
}

func (s *Fulfillment) licenses(ctx context.Context, sql string, args ...any) ([]fulfillment.License, error) {
	rows, err := s.Query(ctx, selectLicense+sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (fulfillment.License, error) { return scanLicense(row) })
}

// License finds a license of an organization.
func (s *Fulfillment) License(ctx context.Context, organizationID, licenseID string) (fulfillment.License, error) {
	return scanLicense(s.QueryRow(ctx, selectLicense+"WHERE i.license_id = $1 AND i.organization_id = $2", licenseID, organizationID))
}

// AnyLicense finds a license of any organization; for staff and jobs.
func (s *Fulfillment) AnyLicense(ctx context.Context, licenseID string) (fulfillment.License, error) {
	return scanLicense(s.QueryRow(ctx, selectLicense+"WHERE i.license_id = $1", licenseID))
}

// LicensePage lists an organization's licenses, newest first.
func (s *Fulfillment) LicensePage(ctx context.Context, organizationID string, f fulfillment.LicenseFilter, p fulfillment.Page, now time.Time) ([]fulfillment.License, string, error) {
	c, err := decodeCursor(p)
	if err != nil {
		return nil, "", err
	}
	where := map[fulfillment.LicenseFilter]string{
		fulfillment.FilterCurrent: "AND i.expires_at > $5 AND s.license_id IS NULL AND (v.status IS NULL OR v.status = 'suspended' OR v.effective_at > $5)",
		fulfillment.FilterExpired: "AND i.expires_at <= $5",
	}[f]
	if where == "" {
		where = "AND $5::timestamptz IS NOT NULL"
	}
	list, err := s.licenses(ctx, `WHERE i.organization_id = $1 AND (i.stored_at, i.license_id) < ($2, $3) `+where+`
		ORDER BY i.stored_at DESC, i.license_id DESC LIMIT $4`, organizationID, c.at, c.id, pageRows+1, now)
	if err != nil || len(list) <= pageRows {
		return list, "", err
	}
	last := list[pageRows-1]
	return list[:pageRows], encodeCursor(last.StoredAt, last.ID), nil
}

// lineageRows bounds a deployment's history; a customer who renews monthly fills it in eight years.
const lineageRows = 100

// Lineage lists the licenses of a deployment, newest first, the newest hundred.
func (s *Fulfillment) Lineage(ctx context.Context, organizationID, deploymentID string) ([]fulfillment.License, error) {
	return s.licenses(ctx, "WHERE i.deployment_id = $1 AND i.organization_id = $2 ORDER BY i.stored_at DESC, i.license_id DESC LIMIT $3",
		deploymentID, organizationID, lineageRows)
}

// Deployments lists an organization's deployments by name, at most a thousand.
func (s *Fulfillment) Deployments(ctx context.Context, organizationID string) ([]fulfillment.Deployment, error) {
	rows, err := s.Query(ctx, "SELECT id, name, created_at FROM deployments WHERE organization_id = $1 ORDER BY lower(name), id LIMIT 1000", organizationID)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (fulfillment.Deployment, error) {
		var d fulfillment.Deployment
		err := row.Scan(&d.ID, &d.Name, moment{&d.CreatedAt})
		return d, err
	})
}

// NoteDownload counts a download by a member.
func (s *Fulfillment) NoteDownload(ctx context.Context, organizationID, licenseID, userID string, at time.Time) error {
	return noteDownload(ctx, s, organizationID, licenseID, userID, "", at)
}

// noteDownload counts a download by a user or a link, and tells the order's page of the first one.
func noteDownload(ctx context.Context, q querier, organizationID, licenseID, userID, linkID string, at time.Time) error {
	tag, err := q.Exec(ctx, `WITH mine AS (SELECT license_id, order_id FROM issuances WHERE license_id = $1 AND organization_id = $2),
		noted AS (INSERT INTO downloads (license_id, at, user_id, link_id) SELECT license_id, $3, $4, $5 FROM mine),
		marked AS (INSERT INTO license_marks AS m (license_id, first_downloaded_at, downloads) SELECT license_id, $3, 1 FROM mine
			ON CONFLICT (license_id) DO UPDATE SET first_downloaded_at = coalesce(m.first_downloaded_at, $3), downloads = m.downloads + 1
			RETURNING downloads)
		SELECT CASE WHEN marked.downloads = 1 AND mine.order_id IS NOT NULL THEN pg_notify($6, mine.order_id) END FROM mine, marked`,
		licenseID, organizationID, at, optionalText(userID), optionalText(linkID), orderChanged)
	if err == nil && tag.RowsAffected() == 0 {
		return fulfillment.ErrNotFound
	}
	return err
}

// NoteInstalled marks a license installed at a time; the zero time takes the mark away.
func (s *Fulfillment) NoteInstalled(ctx context.Context, organizationID, licenseID string, at time.Time) error {
	tag, err := s.Exec(ctx, `INSERT INTO license_marks (license_id, installed_at)
		SELECT license_id, $3 FROM issuances WHERE license_id = $1 AND organization_id = $2
		ON CONFLICT (license_id) DO UPDATE SET installed_at = excluded.installed_at`, licenseID, organizationID, optionalTime(at))
	if err != nil {
		return err
	}
	if tag.RowsAffected() == 0 {
		return fulfillment.ErrNotFound
	}
	return nil
}
