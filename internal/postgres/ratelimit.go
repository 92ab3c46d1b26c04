package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// RateLimits counts attempts for all portal processes together. It implements account.Limiter.
type RateLimits struct{ database }

// NewRateLimits counts in the database behind pool.
func NewRateLimits(pool *pgxpool.Pool) *RateLimits { return &RateLimits{database{pool}} }

// Take counts an attempt in the window that holds now and reports whether it is within limit. The count stops one above the
// limit, so that hammering costs no more than a row.
func (r *RateLimits) Take(ctx context.Context, key string, limit int, window time.Duration, now time.Time) (bool, time.Time, error) {
	start := now.UTC().Truncate(window)
	var count int
	err := r.QueryRow(ctx, `
		INSERT INTO rate_limits AS r (key, window_start, count) VALUES ($1, $2, 1)
		ON CONFLICT (key, window_start) DO UPDATE SET count = least(r.count + 1, $3::integer + 1)
		RETURNING count`, key, start, limit).Scan(&count)
	if err != nil {
		return false, time.Time{}, fmt.Errorf("count attempt: %w", err)
	}
	return count <= limit, start.Add(window), nil
}

// DeleteBefore forgets the windows that began before a time and answers how many. Keep the longest window in use.
func (r *RateLimits) DeleteBefore(ctx context.Context, before time.Time) (int64, error) {
	tag, err := r.Exec(ctx, `DELETE FROM rate_limits WHERE window_start < $1`, before)
	if err != nil {
		return 0, fmt.Errorf("delete rate limits: %w", err)
	}
	return tag.RowsAffected(), nil
}
