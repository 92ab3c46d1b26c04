package pgtest

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// migrations counts the calls of migrate in this process.
var migrations atomic.Int32

func migrate(ctx context.Context, databaseURL string) error {
	migrations.Add(1)
	return apply(ctx, databaseURL, `CREATE TABLE a (v text)`)
}

func migrateOther(ctx context.Context, databaseURL string) error {
	return apply(ctx, databaseURL, `CREATE TABLE b (v text)`)
}

func apply(ctx context.Context, databaseURL, sql string) error {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	return err
}

func TestEveryTestHasADatabaseOfItsOwn(t *testing.T) {
	t.Parallel()
	for range 12 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			pool := New(t, migrate)
			if _, err := pool.Exec(t.Context(), `INSERT INTO a VALUES ('mine')`); err != nil {
				t.Fatal(err)
			}
			var n int
			if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM a`).Scan(&n); err != nil || n != 1 {
				t.Errorf("%d rows, %v; want the one of this test", n, err)
			}
			if got := migrations.Load(); got > 1 {
				t.Errorf("migrated %d times, want once", got)
			}
		})
	}
}

func TestAnotherMigrationHasAnotherTemplate(t *testing.T) {
	t.Parallel()
	pool := New(t, migrateOther)
	var a, b *string
	err := pool.QueryRow(t.Context(), `SELECT to_regclass('a')::text, to_regclass('b')::text`).Scan(&a, &b)
	if err != nil || a != nil || b == nil {
		t.Errorf("a %v, b %v, %v; want b alone", a, b, err)
	}
}

func TestADatabaseIsDroppedAfterItsTest(t *testing.T) {
	t.Parallel()
	var name string
	t.Run("inner", func(t *testing.T) {
		cfg, err := pgx.ParseConfig(URL(t, nil))
		if err != nil {
			t.Fatal(err)
		}
		name = cfg.Database
		if _, err := pgx.ConnectConfig(t.Context(), cfg); err != nil { // stays open beyond the test
			t.Fatal(err)
		}
	})
	m, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := m.admin.QueryRow(t.Context(), `SELECT count(*) FROM pg_database WHERE datname = $1`, name).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d databases of that name, %v", n, err)
	}
}

func TestSweepDropsOnlyWhatIsOld(t *testing.T) {
	t.Parallel()
	m, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	fresh := New(t, nil).Config().ConnConfig.Database
	const old = databasePrefix + "1000000000_sweep"
	if _, err := m.admin.Exec(t.Context(), `CREATE DATABASE `+quote(old)+` TEMPLATE template0`); err != nil {
		t.Fatal(err)
	}
	if err := m.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	var left []string
	if err := m.admin.QueryRow(t.Context(), `SELECT coalesce(array_agg(datname), '{}') FROM pg_database WHERE datname IN ($1, $2)`,
		fresh, old).Scan(&left); err != nil {
		t.Fatal(err)
	}
	if len(left) != 1 || left[0] != fresh {
		t.Errorf("left: %v, want %s alone", left, fresh)
	}
}

func TestStampOf(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{databasePrefix, templatePrefix} {
		if age := time.Since(stampOf(stamped(prefix) + "x")); age < 0 || age > time.Minute {
			t.Errorf("%s: age %v", prefix, age)
		}
	}
}
