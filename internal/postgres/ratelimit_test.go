package postgres_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/postgres"
	"github.com/metrum-ai/licensing-portal/internal/postgres/pgtest"
)

func TestALimitHoldsAcrossProcessesAndEndsWithItsWindow(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, postgres.Migrate)
	const window = 15 * time.Minute
	now := time.Date(2026, 11, 23, 9, 7, 0, 0, time.UTC)
	end := time.Date(2026, 11, 23, 9, 15, 0, 0, time.UTC)
	var wg sync.WaitGroup
	var granted atomic.Int32
	for range 20 { // each a process of its own
		wg.Go(func() {
			ok, retryAt, err := postgres.NewRateLimits(pool).Take(t.Context(), "k", 5, window, now)
			if err != nil || !retryAt.Equal(end) {
				t.Errorf("retry at %v, %v", retryAt, err)
			}
			if ok {
				granted.Add(1)
			}
		})
	}
	wg.Wait()
	if granted.Load() != 5 {
		t.Errorf("%d granted, want 5", granted.Load())
	}
	limits := postgres.NewRateLimits(pool)
	if ok, _, err := limits.Take(t.Context(), "other", 5, window, now); !ok || err != nil {
		t.Errorf("another key: %v, %v", ok, err)
	}
	if ok, _, err := limits.Take(t.Context(), "k", 5, window, end.Add(-time.Microsecond)); ok || err != nil {
		t.Errorf("end of the window: %v, %v", ok, err)
	}
	if ok, _, err := limits.Take(t.Context(), "k", 5, window, end); !ok || err != nil {
		t.Errorf("next window: %v, %v", ok, err)
	}
	if n := count(t, pool, `SELECT max(count) FROM rate_limits`); n != 6 {
		t.Errorf("counted to %d, want the count to stop at 6", n)
	}
	if n, err := limits.DeleteBefore(t.Context(), end); n != 2 || err != nil {
		t.Errorf("%d windows forgotten, %v; want 2", n, err)
	}
}
