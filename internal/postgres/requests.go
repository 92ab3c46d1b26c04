package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// AddRequest stores a staff request that nobody stands by yet.
func (s *Fulfillment) AddRequest(ctx context.Context, r fulfillment.StaffRequest) error {
	_, err := s.Exec(ctx, `INSERT INTO staff_requests (id, body, digest, action, proposer, subjects, created_at, expires_at, needed)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		r.ID, r.Text, r.Digest, r.Action, r.Proposer, r.Subjects(), r.CreatedAt, r.ExpiresAt(), r.Needed)
	return err
}

// selectRequest counts what a rotation's licenses came to beside the request.
const selectRequest = `SELECT q.id, q.body, q.digest, q.needed, q.approved_at, q.ended_at, q.refusal, coalesce(q.license_id, ''), coalesce(q.epoch, 0),
	n.total, n.replaced, n.passed, n.refused
FROM staff_requests q LEFT JOIN LATERAL (
	SELECT count(*) AS total, count(replaced_by) AS replaced, count(*) FILTER (WHERE note LIKE 'passed:%') AS passed,
		count(*) FILTER (WHERE note <> '' AND note NOT LIKE 'passed:%') AS refused
	FROM staff_rotations WHERE request_id = q.id) n ON true `

func scanRequest(row pgx.Row) (fulfillment.StaffRequest, error) {
	var r fulfillment.StaffRequest
	var id string
	err := row.Scan(&id, &r.Text, &r.Digest, &r.Needed, moment{&r.ApprovedAt}, moment{&r.EndedAt}, &r.Refusal, &r.LicenseID, &r.Epoch,
		&r.Rotation.Total, &r.Rotation.Replaced, &r.Rotation.Passed, &r.Rotation.Refused)
	if err != nil {
		return r, notFound(err)
	}
	if r.Request, err = approval.Parse(r.Text); err != nil {
		return r, fmt.Errorf("stored request %s: %w", id, err)
	}
	return r, nil
}

// withStands adds who stands by requests, proposals first.
func withStands(ctx context.Context, q querier, list []fulfillment.StaffRequest) error {
	at, ids := map[string]int{}, make([]string, len(list))
	for i, r := range list {
		at[r.ID], ids[i] = i, r.ID
	}
	rows, err := q.Query(ctx, `SELECT request_id, name, approves, credential_id, authenticator_data, client_data, signature, at
		FROM staff_assertions WHERE request_id = ANY($1) ORDER BY approves, at, name`, ids)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var d fulfillment.Stand
		a := &d.Assertion
		if err := rows.Scan(&id, &d.Name, &d.Approves, &a.CredentialID, &a.AuthenticatorData, &a.ClientDataJSON, &a.Signature, moment{&d.At}); err != nil {
			return err
		}
		r := &list[at[id]]
		r.Stands = append(r.Stands, d)
	}
	return rows.Err()
}

// Request finds a staff request with all that hangs on it.
func (s *Fulfillment) Request(ctx context.Context, id string) (fulfillment.StaffRequest, error) {
	return request(ctx, s, id, "")
}

func request(ctx context.Context, q querier, id, lock string) (fulfillment.StaffRequest, error) {
	r, err := scanRequest(q.QueryRow(ctx, selectRequest+"WHERE q.id = $1 "+lock, id))
	if err != nil {
		return r, err
	}
	list := []fulfillment.StaffRequest{r}
	err = withStands(ctx, q, list)
	return list[0], err
}

// lockRequest reads a request and keeps others from changing it until the transaction ends.
func lockRequest(ctx context.Context, tx pgx.Tx, id string) (fulfillment.StaffRequest, error) {
	return request(ctx, tx, id, "FOR UPDATE OF q")
}

// RequestList lists the newest requests.
func (s *Fulfillment) RequestList(ctx context.Context, limit int) ([]fulfillment.StaffRequest, error) {
	rows, err := s.Query(ctx, selectRequest+"ORDER BY q.created_at DESC, q.id DESC LIMIT $1", limit)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (fulfillment.StaffRequest, error) { return scanRequest(row) })
	if err != nil {
		return nil, err
	}
	return list, withStands(ctx, s, list)
}

// AddStand adds an assertion to a request, and with the last approval that is needed the job that carries it out.
func (s *Fulfillment) AddStand(ctx context.Context, id string, d fulfillment.Stand, needed int) (fulfillment.StaffRequest, error) {
	var r fulfillment.StaffRequest
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		var err error
		if r, err = lockRequest(ctx, tx, id); err != nil {
			return err
		}
		switch r.Standing(d.At) {
		case fulfillment.RequestExpired:
			return fulfillment.ErrRequestExpired
		case fulfillment.RequestApproved, fulfillment.RequestDone, fulfillment.RequestRefused:
			return fulfillment.ErrRequestDecided
		}
		if err := insertStand(ctx, tx, id, d); err != nil {
			return err
		}
		r.Stands, r.Needed = append(r.Stands, d), needed
		if d.Approves && r.Missing() == 0 {
			r.ApprovedAt = d.At
			if err := s.queue.EnqueueRequest(ctx, tx, id); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, "UPDATE staff_requests SET needed = $2, approved_at = $3 WHERE id = $1", id, needed, optionalTime(r.ApprovedAt))
		return err
	})
	return r, err
}

func insertStand(ctx context.Context, tx pgx.Tx, id string, d fulfillment.Stand) error {
	a := d.Assertion
	_, err := tx.Exec(ctx, `INSERT INTO staff_assertions (request_id, name, approves, credential_id, authenticator_data, client_data, signature, at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, id, d.Name, d.Approves, a.CredentialID, a.AuthenticatorData, a.ClientDataJSON, a.Signature, d.At)
	if violates(err, "staff_assertions_pkey") || violates(err, "staff_assertions_one_proposal") {
		return fulfillment.ErrStandsAlready
	}
	return err
}

// EndRequest ends an approved request.
func (s *Fulfillment) EndRequest(ctx context.Context, id string, o fulfillment.RequestOutcome) error {
	return endRequest(ctx, s, id, o)
}

func endRequest(ctx context.Context, q querier, id string, o fulfillment.RequestOutcome) error {
	var epoch *int64
	if o.Epoch > 0 {
		epoch = &o.Epoch
	}
	_, err := q.Exec(ctx, `UPDATE staff_requests SET ended_at = $2, refusal = $3, epoch = coalesce($4, epoch)
		WHERE id = $1 AND approved_at IS NOT NULL AND ended_at IS NULL`, id, o.At, o.Refusal, epoch)
	if err != nil {
		return fmt.Errorf("end request: %w", err)
	}
	return nil
}

// StoreApproved stores the license of an order that a request asked for.
func (s *Fulfillment) StoreApproved(ctx context.Context, i fulfillment.Issuance) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		if err := holdBundles(ctx, tx); err != nil {
			return err
		}
		r, err := lockRequest(ctx, tx, i.RequestID)
		if err != nil || !r.EndedAt.IsZero() {
			return err
		}
		order, err := lockOrder(ctx, tx, i.License.OrderID, 0)
		if err != nil {
			return err
		}
		if order.LicenseID != i.License.ID {
			if err := s.storeApproved(ctx, tx, r, i); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, "UPDATE staff_requests SET license_id = $2 WHERE id = $1", r.ID, i.License.ID); err != nil {
			return err
		}
		return endRequest(ctx, tx, r.ID, fulfillment.RequestOutcome{At: i.At})
	})
}

func (s *Fulfillment) storeApproved(ctx context.Context, tx pgx.Tx, r fulfillment.StaffRequest, i fulfillment.Issuance) error {
	orderID := i.License.OrderID
	if err := insertIssuance(ctx, tx, i); err != nil {
		return err
	}
	if err := setIssuedByRequest(ctx, tx, orderID, i); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "INSERT INTO mails (kind, ref, created_at) VALUES ('ready', $1, $2)", orderID, i.At); err != nil {
		return err
	}
	if err := s.queue.EnqueueReadyMail(ctx, tx, orderID); err != nil {
		return err
	}
	return s.stored(ctx, tx, i)
}

// setIssuedByRequest sets an order issued that nobody saw paid.
func setIssuedByRequest(ctx context.Context, tx pgx.Tx, orderID string, i fulfillment.Issuance) error {
	_, err := tx.Exec(ctx, `UPDATE orders SET state = 'issued', license_id = $2, issued_at = $3, updated_at = $3, request_id = $4, refusal = NULL, failure = '',
		closed_at = NULL, closed_by_staff = false, revision = revision + 1 WHERE id = $1`, orderID, i.License.ID, i.At, i.RequestID)
	if err != nil {
		return fmt.Errorf("set issued: %w", err)
	}
	return logOrder(ctx, tx, orderID, i.At, "issued", i.License.ID+" by "+i.RequestID, "signer")
}

// StoreReplacement stores the license that a request put in the place of another.
func (s *Fulfillment) StoreReplacement(ctx context.Context, i fulfillment.Issuance, more bool) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		if err := holdBundles(ctx, tx); err != nil {
			return err
		}
		r, err := lockRequest(ctx, tx, i.RequestID)
		if err != nil || r.LicenseID != "" {
			return err
		}
		if err := s.storeReplacement(ctx, tx, i); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "UPDATE staff_requests SET license_id = $2 WHERE id = $1", r.ID, i.License.ID); err != nil {
			return err
		}
		if more {
			return nil
		}
		return endRequest(ctx, tx, r.ID, fulfillment.RequestOutcome{At: i.At})
	})
}

// storeReplacement stores a replacement and enqueues a mail to each member of its organization.
func (s *Fulfillment) storeReplacement(ctx context.Context, tx pgx.Tx, i fulfillment.Issuance) error {
	if err := insertIssuance(ctx, tx, i); err != nil {
		return err
	}
	rows, err := tx.Query(ctx, `INSERT INTO mails (kind, ref, created_at) SELECT 'replacement', $1 || '.' || user_id, $3
		FROM memberships WHERE organization_id = $2 RETURNING substr(ref, length($1) + 2)`, i.License.ID, i.License.OrganizationID, i.At)
	if err != nil {
		return err
	}
	members, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("replacement mails: %w", err)
	}
	for _, userID := range members {
		if err := s.queue.EnqueueReplacementMail(ctx, tx, i.License.ID, userID); err != nil {
			return err
		}
	}
	return s.stored(ctx, tx, i)
}

// ReplacementMail finds what to say to a member about a replacement. To somebody who left the organization there is nothing
// to say, and neither about a license that was revoked meanwhile.
func (s *Fulfillment) ReplacementMail(ctx context.Context, licenseID, userID string) (fulfillment.ReplacementMail, bool, error) {
	m := fulfillment.ReplacementMail{LicenseID: licenseID, UserID: userID}
	var body string
	var sent bool
	err := s.QueryRow(ctx, `SELECT u.email, i.base_license_id, i.template_name, d.name, i.expires_at, q.body, m.sent_at IS NOT NULL OR b.user_id IS NULL
			OR EXISTS (SELECT 1 FROM license_revocations v WHERE v.license_id = i.license_id AND v.status = 'revoked')
		FROM mails m JOIN issuances i ON i.license_id = $1 JOIN staff_requests q ON q.id = i.request_id JOIN deployments d ON d.id = i.deployment_id
		JOIN users u ON u.id = $2 LEFT JOIN memberships b ON b.user_id = u.id AND b.organization_id = i.organization_id
		WHERE m.kind = 'replacement' AND m.ref = $1 || '.' || $2`, licenseID, userID).
		Scan(&m.To, &m.Replaces, &m.PackageName, &m.DeploymentName, moment{&m.ExpiresAt}, &body, &sent)
	if err != nil {
		return m, false, notFound(err)
	}
	r, err := approval.Parse(body)
	if err != nil {
		return m, false, fmt.Errorf("stored request: %w", err)
	}
	if m.Reason = r.Reason; r.Replace != nil {
		m.SupersededAt = r.Replace.SupersedeAt
	}
	return m, sent, nil
}

// MarkReplacementMailed notes that the mail to a member went out.
func (s *Fulfillment) MarkReplacementMailed(ctx context.Context, licenseID, userID string, at time.Time) error {
	_, err := s.Exec(ctx, "UPDATE mails SET sent_at = coalesce(sent_at, $3) WHERE kind = 'replacement' AND ref = $1 || '.' || $2", licenseID, userID, at)
	return err
}
