package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// mirror is tables that one connection alone sees and that end with it.
type mirror struct {
	conn  *pgx.Conn
	ready bool // unlogged was made
}

// OpenMirror takes a connection out of the pool for good; Close ends it.
func (s *Fulfillment) OpenMirror(ctx context.Context) (fulfillment.Mirror, error) {
	pooled, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("mirror: %w", telling(err))
	}
	m := &mirror{conn: pooled.Hijack()}
	_, err = m.conn.Exec(ctx, `CREATE TEMPORARY TABLE logged (
		license_id text PRIMARY KEY, log_index bigint NOT NULL, sha256 text NOT NULL)`)
	if err != nil {
		return nil, fmt.Errorf("mirror: %w", telling(errors.Join(err, m.Close(ctx))))
	}
	return m, nil
}

// Close ends the connection, and the tables with it.
func (m *mirror) Close(ctx context.Context) error { return m.conn.Close(ctx) }

// AddLogged adds a page of the log.
func (m *mirror) AddLogged(ctx context.Context, page []fulfillment.Logged) error {
	_, err := m.conn.CopyFrom(ctx, pgx.Identifier{"logged"}, []string{"license_id", "log_index", "sha256"},
		pgx.CopyFromSlice(len(page), func(i int) ([]any, error) {
			return []any{page[i].LicenseID, int64(page[i].Index), page[i].SHA256}, nil
		}))
	if err != nil {
		return fmt.Errorf("mirror: %w", telling(err))
	}
	return nil
}

// Unlogged lists stored licenses that are not in the mirror. Of several events that prove one payment it takes the one that
// was logged: the license's time of issue is the event's.
func (m *mirror) Unlogged(ctx context.Context, from, limit int) ([]fulfillment.Unlogged, error) {
	if !m.ready {
		_, err := m.conn.Exec(ctx, `CREATE TEMPORARY TABLE unlogged AS SELECT license_id, row_number() OVER (ORDER BY stored_at, license_id) - 1 AS n
			FROM issuances i WHERE NOT EXISTS (SELECT FROM logged l WHERE l.license_id = i.license_id)`)
		if err != nil {
			return nil, fmt.Errorf("mirror: %w", telling(err))
		}
		m.ready = true
	}
	rows, err := m.conn.Query(ctx, `SELECT i.license_id, i.order_id, i.envelope, b.envelope, coalesce(e.id, ''), e.body, coalesce(e.signature_header, '')
		FROM unlogged u JOIN issuances i USING (license_id)
		LEFT JOIN issuances b ON b.license_id = i.base_license_id
		LEFT JOIN LATERAL (SELECT e.id, e.body, e.signature_header FROM checkout_sessions c JOIN events e ON e.object_id = c.id
			WHERE c.order_id = i.order_id AND `+provesPayment+` ORDER BY e.created <> i.issued_at, e.created, e.id LIMIT 1) e ON true
		WHERE u.n >= $1 ORDER BY u.n LIMIT $2`, from, limit)
	if err != nil {
		return nil, fmt.Errorf("mirror: %w", telling(err))
	}
	page, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (fulfillment.Unlogged, error) {
		var u fulfillment.Unlogged
		err := row.Scan(&u.LicenseID, &u.OrderID, &u.Envelope, &u.Base, &u.Event.ID, &u.Event.Body, &u.Event.SignatureHeader)
		return u, err
	})
	return page, telling(err)
}
