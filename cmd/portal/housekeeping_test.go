package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/postgres"
	"github.com/metrum-ai/licensing-portal/internal/postgres/pgtest"
)

func TestHousekeepingForgetsWhatIsOfNoMoreUse(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, postgres.Migrate)
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	for id, expired := range map[string]time.Duration{"sgn_old": 8 * 24 * time.Hour, "sgn_kept": 6 * 24 * time.Hour, "sgn_open": -time.Minute} {
		at := now.Add(-expired)
		_, err := pool.Exec(t.Context(), `INSERT INTO sign_ins (id, email, browser_hash, return_to, created_at, expires_at)
			VALUES ($1, 'a@b.example', decode(repeat('07', 32), 'hex'), '/', $2, $3)`, id, at.Add(-15*time.Minute), at)
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, days := range []int{0, 2} {
		_, err := pool.Exec(t.Context(), "INSERT INTO rate_limits (key, window_start, count) VALUES ('k', $1, 1)", now.AddDate(0, 0, -days))
		if err != nil {
			t.Fatal(err)
		}
		_, err = pool.Exec(t.Context(), "INSERT INTO sessions (token_hash, data, expires_at) VALUES (decode(repeat($1, 32), 'hex'), '', $2)",
			fmt.Sprintf("0%d", days), now.Add(time.Hour).AddDate(0, 0, -days))
		if err != nil {
			t.Fatal(err)
		}
	}
	h := housekeeping{postgres.NewSessions(pool, clock), postgres.NewAccounts(pool, nil), postgres.NewRateLimits(pool), clock}
	if err := h.Tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	var left string
	err := pool.QueryRow(t.Context(), `SELECT (SELECT string_agg(id, ' ' ORDER BY id) FROM sign_ins) || ', ' ||
		(SELECT count(*) FROM rate_limits) || ' count, ' || (SELECT count(*) FROM sessions) || ' session'`).Scan(&left)
	if err != nil || left != "sgn_kept sgn_open, 1 count, 1 session" {
		t.Errorf("left are %s (%v)", left, err)
	}
}

func TestACustomerMayTryTheCodesOfTheSignInsTheyMayAskFor(t *testing.T) {
	t.Parallel()
	for signIns, codes := range map[int]int{1: 3, 20: 50, 500: 1250} {
		if got := codesPerSignIns(signIns); got != codes {
			t.Errorf("%d sign-ins, %d codes, want %d", signIns, got, codes)
		}
	}
}

func TestTheWorkerWaitsForItsDatabaseUntilItIsTold(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.env["DATABASE_URL"] = "postgres://portal@" + freeAddress(t) + "/portal"
	stop := p.start("worker")
	time.Sleep(1500 * time.Millisecond) // a start that fails does so at once
	if err := stop(); err != nil {
		t.Errorf("the worker ended with %v", err)
	}
}
