package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

const selectLink = "SELECT k.id, k.license_id, k.created_at, k.expires_at, k.revoked_at, k.downloads, k.organization_id FROM redownload_links k "

func scanLink(row pgx.Row) (l fulfillment.Link, organizationID string, err error) {
	err = row.Scan(&l.ID, &l.LicenseID, moment{&l.CreatedAt}, moment{&l.ExpiresAt}, moment{&l.RevokedAt}, &l.Downloads, &organizationID)
	return l, organizationID, notFound(err)
}

// InsertLink stores a link to a license of the organization.
func (s *Fulfillment) InsertLink(ctx context.Context, organizationID, userID string, l fulfillment.Link) error {
	tag, err := s.Exec(ctx, `INSERT INTO redownload_links (id, license_id, organization_id, created_by, created_at, expires_at)
		SELECT $1, license_id, organization_id, $4, $5, $6 FROM issuances WHERE license_id = $2 AND organization_id = $3`,
		l.ID, l.LicenseID, organizationID, userID, l.CreatedAt, l.ExpiresAt)
	if err != nil {
		return err
	}
	if tag.RowsAffected() == 0 {
		return fulfillment.ErrNotFound
	}
	return nil
}

// LicenseLinks lists the links of a license, newest first, at most a hundred.
func (s *Fulfillment) LicenseLinks(ctx context.Context, organizationID, licenseID string) ([]fulfillment.Link, error) {
	rows, err := s.Query(ctx, selectLink+"WHERE k.license_id = $1 AND k.organization_id = $2 ORDER BY k.created_at DESC, k.id DESC LIMIT 100", licenseID, organizationID)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (fulfillment.Link, error) {
		l, _, err := scanLink(row)
		return l, err
	})
}

// RevokeLink ends a link of the organization; the first time counts.
func (s *Fulfillment) RevokeLink(ctx context.Context, organizationID, linkID string, at time.Time) error {
	tag, err := s.Exec(ctx, "UPDATE redownload_links SET revoked_at = coalesce(revoked_at, $3) WHERE id = $1 AND organization_id = $2", linkID, organizationID, at)
	if err != nil {
		return err
	}
	if tag.RowsAffected() == 0 {
		return fulfillment.ErrNotFound
	}
	return nil
}

// Link finds a link and its license by the link's ID; whoever asks has shown its token.
func (s *Fulfillment) Link(ctx context.Context, linkID string) (fulfillment.Link, fulfillment.License, error) {
	link, organizationID, err := scanLink(s.QueryRow(ctx, selectLink+"WHERE k.id = $1", linkID))
	if err != nil {
		return link, fulfillment.License{}, err
	}
	l, err := s.License(ctx, organizationID, link.LicenseID)
	return link, l, err
}

// UseLink counts a download through a live link.
func (s *Fulfillment) UseLink(ctx context.Context, linkID string, at time.Time) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		var licenseID, organizationID string
		err := tx.QueryRow(ctx, `UPDATE redownload_links SET downloads = downloads + 1
			WHERE id = $1 AND revoked_at IS NULL AND expires_at > $2 RETURNING license_id, organization_id`, linkID, at).Scan(&licenseID, &organizationID)
		if err != nil {
			return notFound(err)
		}
		return noteDownload(ctx, tx, organizationID, licenseID, "", linkID, at)
	})
}
