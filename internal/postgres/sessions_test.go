package postgres_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/metrum-ai/licensing-portal/internal/postgres"
	"github.com/metrum-ai/licensing-portal/internal/postgres/pgtest"
)

var _ scs.CtxStore = (*postgres.Sessions)(nil)

func TestSessionsAreKeptUntilTheyExpire(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, postgres.Migrate)
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	s := postgres.NewSessions(pool, func() time.Time { return now })
	expect := func(token, want string) {
		t.Helper()
		data, found, err := s.FindCtx(t.Context(), token)
		if err != nil || found != (want != "") || string(data) != want {
			t.Errorf("%s: %q, %v, %v; want %q", token, data, found, err, want)
		}
	}
	commit := func(token, data string, expiry time.Time) {
		t.Helper()
		if err := s.CommitCtx(t.Context(), token, []byte(data), expiry); err != nil {
			t.Fatal(err)
		}
	}
	expect("a", "")
	commit("a", "one", now.Add(time.Hour))
	commit("b", "two", now.Add(time.Minute))
	commit("a", "three", now.Add(2*time.Hour))
	expect("a", "three")
	expect("b", "two")
	now = now.Add(time.Minute)
	expect("b", "")
	if n, err := s.DeleteExpired(t.Context()); n != 1 || err != nil {
		t.Errorf("%d forgotten, %v; want 1", n, err)
	}
	expect("a", "three")
	for range 2 { // what is not there is no error
		if err := s.DeleteCtx(t.Context(), "a"); err != nil {
			t.Error(err)
		}
	}
	expect("a", "")
}

func TestNoTokenStandsInTheDatabase(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, postgres.Migrate)
	m := scs.New()
	m.Store = postgres.NewSessions(pool, time.Now)
	handler := m.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m.GetString(r.Context(), "user") == "" {
			m.Put(r.Context(), "user", "usr_1")
			return
		}
		_, _ = w.Write([]byte(m.GetString(r.Context(), "user")))
	}))
	first := httptest.NewRecorder()
	handler.ServeHTTP(first, httptest.NewRequestWithContext(t.Context(), "GET", "/", nil))
	cookies := first.Result().Cookies()
	if len(cookies) != 1 {
		t.Fatalf("cookies %v", cookies)
	}
	again := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
	again.AddCookie(cookies[0])
	second := httptest.NewRecorder()
	handler.ServeHTTP(second, again)
	if second.Body.String() != "usr_1" {
		t.Errorf("the session was not found again: %q", second.Body)
	}
	if n := count(t, pool, `SELECT count(*) FROM sessions`); n != 1 {
		t.Errorf("%d sessions", n)
	}
	token := cookies[0].Value
	if n := count(t, pool, `SELECT count(*) FROM sessions WHERE position($1::bytea in token_hash) > 0 OR position($1::bytea in data) > 0`, []byte(token)); n != 0 {
		t.Error("the token stands in the database")
	}
}

func TestASessionStoreWithoutDatabaseErrs(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, postgres.Migrate)
	s := postgres.NewSessions(pool, time.Now)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, found, err := s.FindCtx(ctx, "a"); err == nil || found {
		t.Errorf("found %v, %v: a database that is down must not look like no session", found, err)
	}
}
