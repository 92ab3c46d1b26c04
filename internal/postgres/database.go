package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// Patience is how long a statement, and the wait for a connection before it, may take each: a database that hangs is told
// from a slow one by nobody, so whoever asked is answered instead of kept waiting.
type Patience time.Duration

// For pages, which people and Stripe wait for, and for jobs, which nobody does.
const (
	PagePatience = Patience(1500 * time.Millisecond)
	JobPatience  = Patience(15 * time.Second)
)

// connectTimeout ends attempts that a database which hangs would keep open, each a place in the pool.
const connectTimeout = 5 * time.Second

// Open makes a pool of connections to the database at url. It connects when it is first used, so that a program may start
// before its database.
func Open(ctx context.Context, url string, patience Patience) (*pgxpool.Pool, error) {
	c, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errors.New("the database's address cannot be read as a PostgreSQL URL") // pgx quotes it, password and all
	}
	c.ConnConfig.ConnectTimeout = min(c.ConnConfig.ConnectTimeout, connectTimeout)
	c.ConnConfig.Tracer = patience // the pool looks there for its own tracer too
	return pgxpool.NewWithConfig(ctx, c)
}

type patienceKey struct{}

// limited bounds a call. Tracing is where pgx lets a call's context be replaced.
func (p Patience) limited(ctx context.Context) context.Context {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(p))
	return context.WithValue(ctx, patienceKey{}, cancel)
}

func release(ctx context.Context) {
	if cancel, ok := ctx.Value(patienceKey{}).(context.CancelFunc); ok {
		cancel()
	}
}

// TraceQueryStart implements pgx.QueryTracer.
func (p Patience) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return p.limited(ctx)
}

// TraceQueryEnd implements pgx.QueryTracer.
func (p Patience) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryEndData) {
	release(ctx)
}

// TraceAcquireStart implements pgxpool.AcquireTracer.
func (p Patience) TraceAcquireStart(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireStartData) context.Context {
	return p.limited(ctx)
}

// TraceAcquireEnd implements pgxpool.AcquireTracer.
func (p Patience) TraceAcquireEnd(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireEndData) {
	release(ctx)
}

// database is a pool whose errors tell a database that is down, as fulfillment.ErrUnavailable, from everything else.
type database struct{ pool *pgxpool.Pool }

func (d database) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	rows, err := d.pool.Query(ctx, sql, args...)
	return tellingRows{rows}, telling(err)
}

func (d database) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return tellingRow{d.pool.QueryRow(ctx, sql, args...)}
}

func (d database) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	tag, err := d.pool.Exec(ctx, sql, args...)
	return tag, telling(err)
}

// inTx runs do in a transaction that commits when do succeeds.
func (d database) inTx(ctx context.Context, do func(pgx.Tx) error) error {
	return telling(pgx.BeginFunc(ctx, d.pool, do))
}

type tellingRow struct{ pgx.Row }

func (r tellingRow) Scan(to ...any) error { return telling(r.Row.Scan(to...)) }

type tellingRows struct{ pgx.Rows }

func (r tellingRows) Err() error { return telling(r.Rows.Err()) }

// telling marks an error that another try may mend: no connection, one that broke or was cut off, no answer in time, a
// server that stops, starts, is full or only reads, and a transaction that lost to another.
func telling(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, fulfillment.ErrUnavailable) || !passing(err) {
		return err
	}
	return fmt.Errorf("%w: database: %w", fulfillment.ErrUnavailable, err)
}

func passing(err error) bool {
	if answer, ok := errors.AsType[*pgconn.PgError](err); ok {
		// https://www.postgresql.org/docs/15/errcodes-appendix.html
		switch answer.Code[:min(2, len(answer.Code))] {
		case "08", "40", "53", "57", "58":
			return true
		}
		return answer.Code == "25006" || answer.Code == "55P03" // a standby that only reads; a lock not got
	}
	if errors.Is(err, context.DeadlineExceeded) || pgconn.Timeout(err) || pgconn.SafeToRetry(err) {
		return true
	}
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	_, network := errors.AsType[net.Error](err)
	return connecting || network || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.Is(err, pgconn.ErrConnClosed)
}
