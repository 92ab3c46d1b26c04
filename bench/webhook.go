package main

import (
	"context"
	"fmt"
	"math"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/metrum-ai/licensing-portal/internal/localpg"
)

// connections is how many webhooks, and how many of pgbench's transactions, are under way at once.
const connections = 8

const singleRow = "CREATE TABLE single_row (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL, what text NOT NULL)"
const insertRow = "INSERT INTO single_row (at, what) VALUES (now(), 'checkout.session.completed')"

// webhook compares webhooks that the portal stored, each with its job in one durable transaction after the signer's check,
// with pgbench inserting a single row a transaction into the same cluster. No worker runs meanwhile.
func webhook(ctx context.Context, l *lab) ([]result, error) {
	s, err := openShop(ctx, l, "webhook")
	if err != nil {
		return nil, err
	}
	if _, err := s.pool.Exec(ctx, singleRow); err != nil {
		return nil, err
	}
	template, err := packTemplate()
	if err != nil {
		return nil, err
	}
	accept := func(ctx context.Context, n int64) error {
		body, header, err := packSession(template, n).event(time.Now())
		if err != nil {
			return err
		}
		return s.deliver(ctx, body, header)
	}
	plain, err := openBareWebhook(ctx, l, s.pool)
	if err != nil {
		return nil, err
	}
	acceptBare := func(ctx context.Context, n int64) error {
		body, header, err := packSession(template, n).event(time.Now())
		if err != nil {
			return err
		}
		return s.post(ctx, plain, body, header)
	}
	sides, limit, err := l.raceWithPgbench(ctx, s.databaseURL, accept, acceptBare)
	if err != nil {
		return nil, err
	}
	ours, bare, worst := sides[0], sides[1], p99(sides[0].latencies)
	return []result{
		atLeast(fmt.Sprintf("webhook accepted, at %d connections, against pgbench inserting a row", connections), ours, limit, 0.35),
		atLeast("  the same, against a bare handler: signature, event and job in one statement", ours, bare, 0),
		within("webhook accepted, p99", worst, 15*time.Millisecond, ""),
	}, nil
}

// raceWithPgbench is race with pgbench, a program of its own, as the limit.
func (l *lab) raceWithPgbench(ctx context.Context, databaseURL string, sides ...operation) (all []measured, limit measured, err error) {
	var n atomic.Int64
	for _, side := range sides {
		if _, _, err := drive(ctx, connections, l.span/4, &n, side); err != nil {
			return nil, limit, err
		}
	}
	all, rates := make([]measured, len(sides)), make([][]float64, len(sides)+1)
	for range l.rounds {
		for i, side := range sides {
			rate, latencies, err := drive(ctx, connections, l.span, &n, side)
			if err != nil {
				return nil, limit, err
			}
			rates[i], all[i].latencies = append(rates[i], rate), append(all[i].latencies, latencies...)
		}
		tps, err := l.pgbench(ctx, databaseURL)
		if err != nil {
			return nil, limit, err
		}
		rates[len(sides)] = append(rates[len(sides)], tps)
	}
	for i := range all {
		all[i].rate = median(rates[i])
	}
	limit.rate = median(rates[len(sides)])
	return all, limit, nil
}

var tps = regexp.MustCompile(`(?m)^tps = ([0-9.]+)`)

// pgbench answers transactions a second, each one row and synced.
func (l *lab) pgbench(ctx context.Context, databaseURL string) (float64, error) {
	bin, err := localpg.FindBinaries()
	if err != nil {
		return 0, err
	}
	script := filepath.Join(l.dir, "insert.sql")
	if err := os.WriteFile(script, []byte(insertRow+";\n"), 0o600); err != nil {
		return 0, err
	}
	u, err := url.Parse(databaseURL)
	if err != nil {
		return 0, err
	}
	password, _ := u.User.Password()
	clients := strconv.Itoa(connections)
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "pgbench"), "-n", "-M", "prepared", "-c", clients, "-j", "2",
		"-T", strconv.Itoa(int(math.Ceil(l.span.Seconds()))), "-f", script)
	// By the environment, so that no command line shows the password.
	cmd.Env = append(os.Environ(), "PGHOST="+u.Query().Get("host"), "PGUSER="+u.User.Username(), "PGPASSWORD="+password,
		"PGDATABASE="+u.Path[1:])
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("pgbench: %w: %s", err, out)
	}
	found := tps.FindSubmatch(out)
	if found == nil {
		return 0, fmt.Errorf("pgbench does not say its tps: %s", out)
	}
	return strconv.ParseFloat(string(found[1]), 64)
}

// commits times so many single-row transactions, one after the other.
func commits(ctx context.Context, databaseURL string, n int) ([]time.Duration, error) {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var latencies []time.Duration
	for range n {
		start := time.Now()
		if _, err := conn.Exec(ctx, insertRow); err != nil {
			return nil, err
		}
		latencies = append(latencies, time.Since(start))
	}
	return latencies, nil
}
