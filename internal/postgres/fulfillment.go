package postgres

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// pageRows is how many rows a page of a list holds.
const pageRows = 25

// orderChanged is the channel that announces changed orders; the payload is the order ID.
const orderChanged = "order_changed"

// Fulfillment stores orders, events, issuances and what hangs on them. It is safe for concurrent use.
type Fulfillment struct {
	database
	queue Queue
	woken chan struct{}
}

// NewFulfillment returns the store on a migrated database; jobs go to queue.
func NewFulfillment(pool *pgxpool.Pool, queue Queue) *Fulfillment {
	return &Fulfillment{database: database{pool}, queue: queue, woken: make(chan struct{}, 1)}
}

// Ping reports whether the database answers.
func (s *Fulfillment) Ping(ctx context.Context) error { return telling(s.pool.Ping(ctx)) }

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// notFound turns the driver's "no rows" into the services' word for it.
func notFound(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return fulfillment.ErrNotFound
	}
	return err
}

// violates reports whether err is a violation of the named unique index or constraint.
func violates(err error, name string) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == "23505" && e.ConstraintName == name
}

// optionalTime is null for the zero time.
func optionalTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// optionalText is null for the empty string.
func optionalText(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// moment scans a timestamp that may be null; null is the zero time, and the others are in UTC.
type moment struct{ to *time.Time }

func (m moment) ScanTimestamptz(v pgtype.Timestamptz) error {
	*m.to = time.Time{}
	if v.Valid {
		*m.to = v.Time.UTC()
	}
	return nil
}

// cursor marks a row of a list ordered by time and ID, both descending.
type cursor struct {
	at pgtype.Timestamptz
	id string
}

// encodeCursor makes the opaque cursor that goes on after a row.
func encodeCursor(at time.Time, id string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(at.UnixMicro(), 10) + " " + id))
}

// decodeCursor reads a cursor; an empty one is before the first row. One that the portal did not make is ErrNotFound.
func decodeCursor(p fulfillment.Page) (cursor, error) {
	if p.Cursor == "" {
		return cursor{at: pgtype.Timestamptz{InfinityModifier: pgtype.Infinity, Valid: true}}, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(p.Cursor)
	if err != nil {
		return cursor{}, fmt.Errorf("%w: cursor", fulfillment.ErrNotFound)
	}
	micros, id, ok := strings.Cut(string(raw), " ")
	n, err := strconv.ParseInt(micros, 10, 64)
	at := time.UnixMicro(n)
	if !ok || err != nil || at.Year() < 1970 || at.Year() > 9999 || len(id) > 200 || strings.ContainsRune(id, 0) || !utf8.ValidString(id) {
		return cursor{}, fmt.Errorf("%w: cursor", fulfillment.ErrNotFound)
	}
	return cursor{pgtype.Timestamptz{Time: at, Valid: true}, id}, nil
}

// announce tells whoever watches an order, once the transaction commits.
func announce(ctx context.Context, tx pgx.Tx, orderID string) error {
	_, err := tx.Exec(ctx, "SELECT pg_notify($1, $2)", orderChanged, orderID)
	return err
}

// logOrder adds a line to an order's log.
func logOrder(ctx context.Context, tx pgx.Tx, orderID string, at time.Time, what, detail, actor string) error {
	_, err := tx.Exec(ctx, "INSERT INTO order_log (order_id, at, what, detail, actor) VALUES ($1, $2, $3, $4, $5)", orderID, at, what, detail, actor)
	return err
}
