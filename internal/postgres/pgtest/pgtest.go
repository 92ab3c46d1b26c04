// Package pgtest gives every test a real PostgreSQL database of its own, so
// that tests run in parallel and leave nothing behind.
//
// A database is a clone of a template that was migrated once for each test
// binary, which makes it cost tens of milliseconds. The server is the one that
// package server finds. Where there is none the test fails; it never skips.
package pgtest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/metrum-ai/licensing-portal/internal/postgres/pgtest/server"
)

// Migrate brings an empty database to the current schema. It must be a plain
// function, not a closure: templates are told apart by its name and the binary.
type Migrate func(ctx context.Context, databaseURL string) error

const (
	// setupLimit bounds all that happens before a test's own first line.
	setupLimit = 2 * time.Minute
	// poolSize keeps dozens of parallel tests inside the server's connections.
	poolSize = 8
	// closeLimit is how long connections may take to come back.
	closeLimit = 15 * time.Second
	// keepFor is how long a database that nobody dropped is left alone.
	keepFor = 2 * time.Hour
	// advisoryKey guards templates against being made twice at once.
	advisoryKey = 0x70677465 // "pgte"

	databasePrefix = "pgtest_db_"
	templatePrefix = "pgtest_tpl_"
)

// New returns a pool on a fresh database, migrated unless migrate is nil. Both
// end with the test.
func New(t testing.TB, migrate func(ctx context.Context, databaseURL string) error) *pgxpool.Pool {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(URL(t, migrate))
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	cfg.MaxConns = poolSize
	pool, err := pgxpool.NewWithConfig(context.Background(), cfg)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(func() { closePool(t, pool) })
	return pool
}

// closePool reports a connection that the test never released, for which Close
// alone would wait until the whole run times out.
func closePool(t testing.TB, pool *pgxpool.Pool) {
	closed := make(chan struct{})
	go func() {
		pool.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(closeLimit):
		t.Errorf("pgtest: %d connections were not released by the test", pool.Stat().AcquiredConns())
	}
}

// URL returns the address of a fresh database, migrated unless migrate is nil.
// The database is dropped after the test, also under open connections.
func URL(t testing.TB, migrate func(ctx context.Context, databaseURL string) error) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), setupLimit)
	defer cancel()
	m, err := shared()
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	name, err := m.create(ctx, migrate)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), setupLimit)
		defer cancel()
		if _, err := m.admin.Exec(ctx, `DROP DATABASE `+quote(name)+` WITH (FORCE)`); err != nil {
			t.Errorf("pgtest: drop database: %v", err)
		}
	})
	return m.urlOf(name)
}

// maker makes databases on one server.
type maker struct {
	admin  *pgxpool.Pool
	base   *url.URL
	binary string // digest of this test binary

	mu        sync.Mutex
	templates map[string]string // by the name of the migrate function
}

// shared is the maker of this process. A server that it starts ends with the
// process.
var shared = sync.OnceValues(func() (*maker, error) {
	ctx, cancel := context.WithTimeout(context.Background(), setupLimit)
	defer cancel()
	s, err := server.Start(ctx, nil)
	if err != nil {
		return nil, err
	}
	base, err := url.Parse(s.URL)
	if err != nil {
		return nil, errors.New(server.EnvURL + " is not a URL like postgres://user:password@host/database")
	}
	cfg, err := pgxpool.ParseConfig(s.URL)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", server.EnvURL, err)
	}
	cfg.MaxConns = 4
	admin, err := pgxpool.NewWithConfig(context.Background(), cfg)
	if err != nil {
		return nil, err
	}
	binary, err := digestOfExecutable()
	if err != nil {
		return nil, err
	}
	m := &maker{admin: admin, base: base, binary: binary, templates: make(map[string]string)}
	return m, m.sweep(ctx)
})

func (m *maker) urlOf(database string) string {
	u := *m.base
	u.Path = "/" + database
	return u.String()
}

// create makes a database, from the template of migrate if there is one.
func (m *maker) create(ctx context.Context, migrate Migrate) (string, error) {
	source := "template0"
	if migrate != nil {
		var err error
		if source, err = m.template(ctx, migrate); err != nil {
			return "", err
		}
	}
	name := stamped(databasePrefix) + strings.ToLower(rand.Text()[:10])
	if _, err := m.admin.Exec(ctx, `CREATE DATABASE `+quote(name)+` TEMPLATE `+quote(source)); err != nil {
		return "", fmt.Errorf("create database: %w", err)
	}
	return name, nil
}

// template returns the migrated database to clone, and makes it at first use.
func (m *maker) template(ctx context.Context, migrate Migrate) (string, error) {
	function := runtime.FuncForPC(reflect.ValueOf(migrate).Pointer()).Name()
	m.mu.Lock()
	defer m.mu.Unlock()
	if name, ok := m.templates[function]; ok {
		return name, nil
	}
	sum := sha256.Sum256([]byte(m.binary + " " + function))
	name, err := m.makeTemplate(ctx, hex.EncodeToString(sum[:8]), migrate)
	if err != nil {
		return "", err
	}
	m.templates[function] = name
	return name, nil
}

// makeTemplate migrates under a name that says "unfinished" and renames at the
// end, so that a killed migration is never cloned. The lock is per server:
// another process with the same binary waits and finds the template.
func (m *maker) makeTemplate(ctx context.Context, digest string, migrate Migrate) (string, error) {
	conn, err := m.admin.Acquire(ctx)
	if err != nil {
		return "", fmt.Errorf("connect: %w", err)
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, advisoryKey); err != nil {
		return "", fmt.Errorf("lock: %w", err)
	}
	defer func() { _, _ = conn.Exec(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock($1)`, advisoryKey) }()

	var name string
	err = conn.QueryRow(ctx, `SELECT datname FROM pg_database WHERE datname LIKE $1 LIMIT 1`,
		likePrefix(templatePrefix)+"%\\_"+digest).Scan(&name)
	if err == nil || !errors.Is(err, pgx.ErrNoRows) {
		return name, err
	}
	name = stamped(templatePrefix) + digest
	unfinished := stamped(databasePrefix) + strings.ToLower(rand.Text()[:10])
	if _, err := conn.Exec(ctx, `CREATE DATABASE `+quote(unfinished)+` TEMPLATE template0`); err != nil {
		return "", fmt.Errorf("create template: %w", err)
	}
	if err := migrate(ctx, m.urlOf(unfinished)); err != nil {
		return "", fmt.Errorf("migrate: %w", err)
	}
	return name, renameWhenIdle(ctx, conn, unfinished, name)
}

// renameWhenIdle waits for connections that the migration closed and the
// server has not yet.
func renameWhenIdle(ctx context.Context, conn *pgxpool.Conn, from, to string) error {
	for {
		var used int
		if err := conn.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity WHERE datname = $1`, from).Scan(&used); err != nil {
			return fmt.Errorf("look for connections: %w", err)
		}
		if used == 0 {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the migration left connections open: %w", ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
	if _, err := conn.Exec(ctx, `ALTER DATABASE `+quote(from)+` RENAME TO `+quote(to)); err != nil {
		return fmt.Errorf("rename template: %w", err)
	}
	return nil
}

// sweep drops what killed runs left on a server that outlives them. A database
// that is in use, or that another process drops first, is no error.
func (m *maker) sweep(ctx context.Context) error {
	rows, err := m.admin.Query(ctx, `SELECT datname FROM pg_database WHERE datname LIKE $1 OR datname LIKE $2`,
		likePrefix(databasePrefix)+"%", likePrefix(templatePrefix)+"%")
	if err != nil {
		return fmt.Errorf("look for old databases: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("look for old databases: %w", err)
	}
	for _, name := range names {
		if time.Since(stampOf(name)) > keepFor {
			_, _ = m.admin.Exec(ctx, `DROP DATABASE `+quote(name))
		}
	}
	return nil
}

// stamped appends the Unix time, by which sweep knows what is old.
func stamped(prefix string) string {
	return prefix + strconv.FormatInt(time.Now().Unix(), 10) + "_"
}

// stampOf reads it back; a name without one counts as new.
func stampOf(name string) time.Time {
	rest := strings.TrimPrefix(strings.TrimPrefix(name, databasePrefix), templatePrefix)
	stamp, _, _ := strings.Cut(rest, "_")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return time.Now()
	}
	return time.Unix(seconds, 0)
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// likePrefix escapes what LIKE would take for a wildcard.
func likePrefix(prefix string) string { return strings.ReplaceAll(prefix, "_", `\_`) }

// digestOfExecutable tells test binaries apart, and with them the migrations
// that are embedded in them.
func digestOfExecutable() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", err
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
