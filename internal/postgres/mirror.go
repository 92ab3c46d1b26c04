package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// mirror is tables that one connection alone sees and that end with it.
type mirror struct {
	conn *pgx.Conn
	made map[string]bool // the tables of what is missing
}

// comparePatience is for statements that read all licenses there are.
const comparePatience = Patience(10 * time.Minute)

// OpenMirror makes a connection of its own; Close ends it.
func (s *Fulfillment) OpenMirror(ctx context.Context) (fulfillment.Mirror, error) {
	return s.openMirror(ctx)
}

func (s *Fulfillment) openMirror(ctx context.Context) (*mirror, error) {
	config := s.pool.Config().ConnConfig
	config.Tracer = comparePatience
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("mirror: %w", telling(err))
	}
	m := &mirror{conn: conn, made: map[string]bool{}}
	// What of Stripe and of revocations an audit compares stands beside the log; a replay leaves it empty.
	_, err = m.conn.Exec(ctx, `CREATE TEMPORARY TABLE logged (
			license_id text PRIMARY KEY, log_index bigint NOT NULL, sha256 text NOT NULL, payment text NOT NULL, logged_at timestamptz NOT NULL);
		CREATE TEMPORARY TABLE judged (event_id text PRIMARY KEY);
		CREATE TEMPORARY TABLE revoked (license_id text PRIMARY KEY, logged_at timestamptz NOT NULL);
		CREATE TEMPORARY TABLE paid (id text PRIMARY KEY, order_id text NOT NULL, created timestamptz NOT NULL, paid boolean NOT NULL,
			refunded boolean NOT NULL, lost boolean NOT NULL)`)
	if err != nil {
		return nil, fmt.Errorf("mirror: %w", telling(errors.Join(err, m.Close(ctx))))
	}
	return m, nil
}

// Close ends the connection, and the tables with it.
func (m *mirror) Close(ctx context.Context) error { return m.conn.Close(ctx) }

// AddLogged adds a page of the log.
func (m *mirror) AddLogged(ctx context.Context, page []fulfillment.Logged) error {
	_, err := m.conn.CopyFrom(ctx, pgx.Identifier{"logged"}, []string{"license_id", "log_index", "sha256", "payment", "logged_at"},
		pgx.CopyFromSlice(len(page), func(i int) ([]any, error) {
			l := page[i]
			return []any{l.LicenseID, int64(l.Index), l.SHA256, l.Payment, l.LoggedAt}, nil
		}))
	if err != nil {
		return fmt.Errorf("mirror: %w", telling(err))
	}
	return nil
}

// Unlogged lists stored licenses that are not in the mirror. Of several events that prove one payment it takes the one that
// was logged: the license's time of issue is the event's.
func (m *mirror) Unlogged(ctx context.Context, from, limit int) ([]fulfillment.Unlogged, error) {
	err := m.make(ctx, "unlogged", `SELECT license_id, row_number() OVER (ORDER BY stored_at, license_id) - 1 AS n
		FROM issuances i WHERE NOT EXISTS (SELECT FROM logged l WHERE l.license_id = i.license_id)`)
	if err != nil {
		return nil, err
	}
	rows, err := m.conn.Query(ctx, `SELECT i.license_id, coalesce(i.order_id, ''), coalesce(i.request_id, ''), i.envelope, b.envelope, coalesce(e.id, ''), e.body, coalesce(e.signature_header, '')
		FROM unlogged u JOIN issuances i USING (license_id)
		LEFT JOIN issuances b ON b.license_id = i.base_license_id
		LEFT JOIN LATERAL (SELECT e.id, e.body, e.signature_header FROM order_payments c JOIN events e ON e.object_id = c.id
			WHERE c.order_id = i.order_id AND `+provesPayment+` ORDER BY e.created <> i.issued_at, e.created, e.id LIMIT 1) e ON true
		WHERE u.n >= $1 ORDER BY u.n LIMIT $2`, from, limit)
	if err != nil {
		return nil, fmt.Errorf("mirror: %w", telling(err))
	}
	page, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (fulfillment.Unlogged, error) {
		var u fulfillment.Unlogged
		err := row.Scan(&u.LicenseID, &u.OrderID, &u.RequestID, &u.Envelope, &u.Base, &u.Event.ID, &u.Event.Body, &u.Event.SignatureHeader)
		return u, err
	})
	return page, telling(err)
}

// make makes a table of what is missing, once, so that it can be read in pages.
func (m *mirror) make(ctx context.Context, name, query string) error {
	if m.made[name] {
		return nil
	}
	if _, err := m.conn.Exec(ctx, "CREATE TEMPORARY TABLE "+pgx.Identifier{name}.Sanitize()+" AS "+query); err != nil {
		return fmt.Errorf("mirror: %w", telling(err))
	}
	m.made[name] = true
	return nil
}

// AddJudged adds the events behind revocations of the log.
func (m *mirror) AddJudged(ctx context.Context, eventIDs []string) error {
	if len(eventIDs) == 0 {
		return nil
	}
	_, err := m.conn.Exec(ctx, "INSERT INTO judged SELECT DISTINCT unnest($1::text[]) ON CONFLICT DO NOTHING", eventIDs)
	return telling(err)
}

// Unjudged lists the refunds and disputes that changed a license once, as their outcome says, and are not in the mirror.
func (m *mirror) Unjudged(ctx context.Context, from, limit int) ([]fulfillment.ReceivedEvent, error) {
	err := m.make(ctx, "unjudged", `SELECT mode, id, row_number() OVER (ORDER BY received_at, id) - 1 AS n FROM events e
		WHERE e.takes_back <> '' AND e.outcome ~ '^(revoked|suspended|superseded|reinstated) [0-9]' AND NOT EXISTS (SELECT FROM judged j WHERE j.event_id = e.id)`)
	if err != nil {
		return nil, err
	}
	rows, err := m.conn.Query(ctx, `SELECT e.mode, e.id, e.type, e.body, e.signature_header FROM unjudged u JOIN events e USING (mode, id)
		WHERE u.n >= $1 ORDER BY u.n LIMIT $2`, from, limit)
	if err != nil {
		return nil, fmt.Errorf("mirror: %w", telling(err))
	}
	page, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (fulfillment.ReceivedEvent, error) {
		var e fulfillment.ReceivedEvent
		err := row.Scan(&e.Mode, &e.ID, &e.Type, &e.Body, &e.SignatureHeader)
		return e, err
	})
	return page, telling(err)
}
