package postgres_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/metrum-ai/licensing-portal/internal/account"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/internal/postgres"
	"github.com/metrum-ai/licensing-portal/internal/postgres/pgtest"
)

func openPool(t *testing.T, url string, patience time.Duration) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Open(t.Context(), url, postgres.Patience(patience))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// hanging accepts connections and never answers, as a stopped server's kernel does.
func hanging(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

func refusing(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	return l.Addr().String()
}

func TestADatabaseThatHangsOrIsGoneIsToldQuickly(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]string{"hanging": hanging(t), "gone": refusing(t)} {
		pool := openPool(t, "postgres://portal:secret-word@"+address+"/portal?sslmode=disable", 300*time.Millisecond)
		store := postgres.NewFulfillment(pool, nil)
		for call, do := range map[string]func(context.Context) error{
			"row": func(ctx context.Context) error { _, err := store.Customer(ctx, "cust_1"); return err },
			"rows": func(ctx context.Context) error {
				_, _, err := store.OrderPage(ctx, "cust_1", fulfillment.OrdersAll, fulfillment.Page{})
				return err
			},
			"statement": func(ctx context.Context) error {
				return postgres.NewSessions(pool, time.Now).DeleteCtx(ctx, "token")
			},
			"transaction": func(ctx context.Context) error {
				_, err := store.AddEvent(ctx, fulfillment.ReceivedEvent{ID: "evt_1", Mode: "test"})
				return err
			},
			"ping": store.Ping,
		} {
			t.Run(name+" "+call, func(t *testing.T) {
				t.Parallel()
				start := time.Now()
				err := do(t.Context())
				if !errors.Is(err, fulfillment.ErrUnavailable) {
					t.Errorf("%v; want it to say that the database is down", err)
				}
				if err != nil && strings.Contains(err.Error(), "secret-word") {
					t.Errorf("the password is in %v", err)
				}
				if took := time.Since(start); took > 5*time.Second {
					t.Errorf("took %v", took)
				}
			})
		}
	}
}

func TestAStatementThatHangsIsCutOffAndTheNextWorks(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, postgres.Migrate)
	bounded := openPool(t, pool.Config().ConnString(), 3*time.Second)
	store := postgres.NewFulfillment(bounded, nil)
	blocker, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := blocker.Exec(t.Context(), "LOCK TABLE organizations IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Customer(t.Context(), "cust_1"); !errors.Is(err, fulfillment.ErrUnavailable) {
		t.Errorf("%v; want it to say that the database does not answer", err)
	}
	if err := blocker.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Customer(t.Context(), "cust_1"); !errors.Is(err, fulfillment.ErrNotFound) {
		t.Errorf("%v; want the answer that there is no such customer", err)
	}
}

func TestAConnectionCutInUseIsTroubleOfTheDatabase(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, postgres.Migrate)
	bounded := openPool(t, pool.Config().ConnString()+"&pool_max_conns=1&application_name=cut-me", 15*time.Second)
	store := postgres.NewFulfillment(bounded, nil)
	if err := store.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cut-me'"); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Customer(t.Context(), "cust_1"); !errors.Is(err, fulfillment.ErrUnavailable) && !errors.Is(err, fulfillment.ErrNotFound) {
		t.Errorf("%v; want trouble of the database, or the answer over a new connection", err)
	}
	if _, err := store.Customer(t.Context(), "cust_1"); !errors.Is(err, fulfillment.ErrNotFound) {
		t.Errorf("%v over a new connection", err)
	}
}

func TestMistakesAreNoTroubleOfTheDatabase(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, postgres.Migrate)
	accounts := postgres.NewAccounts(pool, signInQueue{err: errors.New("queue refuses")})
	err := accounts.CreateSignIn(t.Context(), record("sgn_1", "erin@lumen.example"))
	if err == nil || errors.Is(err, fulfillment.ErrUnavailable) {
		t.Errorf("a refusing queue: %v", err)
	}
	if _, err := pool.Exec(t.Context(), "DROP TABLE sign_ins"); err != nil {
		t.Fatal(err)
	}
	if _, err := accounts.SignIn(t.Context(), "sgn_1"); err == nil || errors.Is(err, account.ErrLinkUnknown) || errors.Is(err, fulfillment.ErrUnavailable) {
		t.Errorf("a table that is missing: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := accounts.SignIn(ended, "sgn_1"); !errors.Is(err, context.Canceled) || errors.Is(err, fulfillment.ErrUnavailable) {
		t.Errorf("a client that went away: %v", err)
	}
}
