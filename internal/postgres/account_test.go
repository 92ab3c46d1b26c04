package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/metrum-ai/licensing-portal/internal/account"
	"github.com/metrum-ai/licensing-portal/internal/postgres"
	"github.com/metrum-ai/licensing-portal/internal/postgres/pgtest"
)

var accountsNow = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

// signInQueue writes what it is asked to mail into the transaction, so that a test sees whether both were kept.
type signInQueue struct{ err error }

func (q signInQueue) EnqueueSignInMail(ctx context.Context, tx pgx.Tx, signInID string) error {
	if q.err != nil {
		return q.err
	}
	_, err := tx.Exec(ctx, `INSERT INTO rate_limits (key, window_start, count) VALUES ($1, now(), 1)`, "mailed:"+signInID)
	return err
}

func record(id, email string) account.Record {
	return account.Record{
		SignIn:      account.SignIn{ID: id, Email: email, ReturnTo: "/orders", ExpiresAt: accountsNow.Add(15 * time.Minute)},
		BrowserHash: bytes.Repeat([]byte{7}, 32), CreatedAt: accountsNow,
	}
}

func TestASignInAndItsMailAreStoredTogether(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, postgres.Migrate)
	r := record("sgn_1", "erin@lumen.example")
	failing := postgres.NewAccounts(pool, signInQueue{err: errors.New("queue is down")})
	if err := failing.CreateSignIn(t.Context(), r); err == nil {
		t.Fatal("no error from a queue that is down")
	}
	accounts := postgres.NewAccounts(pool, signInQueue{})
	if _, err := accounts.SignIn(t.Context(), "sgn_1"); !errors.Is(err, account.ErrLinkUnknown) {
		t.Errorf("a sign-in without its mail was kept: %v", err)
	}
	if err := accounts.CreateSignIn(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	got, err := accounts.SignIn(t.Context(), "sgn_1")
	if err != nil || got.SignIn != r.SignIn || !bytes.Equal(got.BrowserHash, r.BrowserHash) || got.Tries != 0 || !got.CreatedAt.Equal(r.CreatedAt) {
		t.Errorf("%+v, %v; want %+v", got, err, r)
	}
	if n := count(t, pool, `SELECT count(*) FROM rate_limits WHERE key = 'mailed:sgn_1'`); n != 1 {
		t.Errorf("%d mails enqueued, want 1", n)
	}
}

func count(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) int {
	t.Helper()
	var n int
	if err := pool.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// newSignIn stores a sign-in for tests that use it.
func newSignIn(t *testing.T, a *postgres.Accounts, id, email string) account.Record {
	t.Helper()
	r := record(id, email)
	if err := a.CreateSignIn(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTriesAtTheSameTimeAreCountedOneByOne(t *testing.T) {
	t.Parallel()
	accounts := postgres.NewAccounts(pgtest.New(t, postgres.Migrate), signInQueue{})
	r := newSignIn(t, accounts, "sgn_1", "erin@lumen.example")
	var wg sync.WaitGroup
	var granted, refused atomic.Int32
	for range 20 {
		wg.Go(func() {
			switch n, err := accounts.CountTry(t.Context(), r.ID, r.BrowserHash, accountsNow); {
			case err != nil:
				t.Error(err)
			case n > 0:
				granted.Add(1)
			default:
				refused.Add(1)
			}
		})
	}
	wg.Wait()
	if granted.Load() != account.MaxCodeTries || refused.Load() != 20-account.MaxCodeTries {
		t.Errorf("%d tries granted, %d refused", granted.Load(), refused.Load())
	}
}

func TestASignInIsSpentOnceByItsBrowserInTime(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, postgres.Migrate)
	accounts := postgres.NewAccounts(pool, signInQueue{})
	r := newSignIn(t, accounts, "sgn_1", "erin@lumen.example")
	other := bytes.Repeat([]byte{8}, 32)
	refusals := map[string]struct {
		id      string
		browser []byte
		at      time.Time
	}{
		"another browser": {r.ID, other, accountsNow},
		"too late":        {r.ID, r.BrowserHash, r.ExpiresAt},
		"unknown":         {"sgn_2", r.BrowserHash, accountsNow},
	}
	for name, tt := range refusals {
		if _, ok, err := accounts.SpendSignIn(t.Context(), tt.id, tt.browser, tt.at, "usr_x"); ok || err != nil {
			t.Errorf("%s: spent %v, %v", name, ok, err)
		}
		if n, err := accounts.CountTry(t.Context(), tt.id, tt.browser, tt.at); n != 0 || err != nil {
			t.Errorf("%s: try %d, %v", name, n, err)
		}
	}
	var wg sync.WaitGroup
	var spent atomic.Int32
	for range 10 {
		wg.Go(func() {
			u, ok, err := accounts.SpendSignIn(t.Context(), r.ID, r.BrowserHash, accountsNow, "usr_a")
			if err != nil {
				t.Error(err)
			}
			if ok {
				spent.Add(1)
				if u != (account.User{ID: "usr_a", Email: "erin@lumen.example"}) {
					t.Errorf("user %+v", u)
				}
			}
		})
	}
	wg.Wait()
	if spent.Load() != 1 {
		t.Errorf("spent %d times", spent.Load())
	}
	if got, err := accounts.SignIn(t.Context(), r.ID); err != nil || !got.UsedAt.Equal(accountsNow) {
		t.Errorf("used at %v, %v", got.UsedAt, err)
	}
	if n, err := accounts.CountTry(t.Context(), r.ID, r.BrowserHash, accountsNow); n != 0 || err != nil {
		t.Errorf("a used sign-in takes tries: %d, %v", n, err)
	}
}

func TestOneAddressIsOneUser(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, postgres.Migrate)
	accounts := postgres.NewAccounts(pool, signInQueue{})
	ids := []string{"sgn_1", "sgn_2", "sgn_3", "sgn_4"}
	for _, id := range ids {
		newSignIn(t, accounts, id, "erin@lumen.example")
	}
	users := make([]account.User, len(ids))
	var wg sync.WaitGroup
	for i, id := range ids {
		wg.Go(func() {
			u, ok, err := accounts.SpendSignIn(t.Context(), id, bytes.Repeat([]byte{7}, 32), accountsNow.Add(time.Minute), strings.Replace(id, "sgn", "usr", 1))
			if err != nil || !ok {
				t.Errorf("spent %v, %v", ok, err)
			}
			users[i] = u
		})
	}
	wg.Wait()
	for _, u := range users {
		if u != users[0] {
			t.Errorf("users %v", users)
		}
	}
	if n := count(t, pool, `SELECT count(*) FROM users WHERE last_sign_in_at = $1`, accountsNow.Add(time.Minute)); n != 1 {
		t.Errorf("%d users", n)
	}
}

func TestMembershipsAreTheUsersOwnOldestFirst(t *testing.T) {
	t.Parallel()
	accounts := postgres.NewAccounts(pgtest.New(t, postgres.Migrate), signInQueue{})
	for _, who := range []string{"erin", "omar"} {
		r := newSignIn(t, accounts, "sgn_"+who, who+"@lumen.example")
		if _, ok, err := accounts.SpendSignIn(t.Context(), r.ID, r.BrowserHash, accountsNow, "usr_"+who); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	if u, list, err := accounts.Memberships(t.Context(), "usr_omar"); err != nil || len(list) != 0 || u.Email != "omar@lumen.example" {
		t.Errorf("before any organization: %+v, %v, %v", u, list, err)
	}
	if _, _, err := accounts.Memberships(t.Context(), "usr_nobody"); !errors.Is(err, account.ErrUserUnknown) {
		t.Errorf("unknown user: %v", err)
	}
	create := func(id, name, user string, at time.Time) error {
		_, err := accounts.CreateOrganization(t.Context(), account.Organization{ID: id, Name: name, CreatedAt: at}, user)
		return err
	}
	if err := create("cust_new", "Lumen", "usr_erin", accountsNow.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := create("cust_old", "Halden", "usr_erin", accountsNow); err != nil {
		t.Fatal(err)
	}
	if err := create("cust_omar", "Omar's", "usr_omar", accountsNow); err != nil {
		t.Fatal(err)
	}
	if err := create("cust_lost", "Nobody's", "usr_nobody", accountsNow); !errors.Is(err, account.ErrUserUnknown) {
		t.Errorf("unknown owner: %v", err)
	}
	_, list, err := accounts.Memberships(t.Context(), "usr_erin")
	if err != nil || len(list) != 2 || list[0].Organization != (account.Organization{ID: "cust_old", Name: "Halden", CreatedAt: accountsNow}) ||
		list[1].Organization.ID != "cust_new" || list[0].Role != account.RoleOwner {
		t.Errorf("memberships %+v, %v", list, err)
	}
}

func TestTheDatabaseRefusesWhatTheServiceWouldNotWrite(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, postgres.Migrate)
	for name, sql := range map[string]string{
		"ID of another kind":      `INSERT INTO organizations (id, name, created_at) VALUES ('ord_1', 'x', now())`,
		"empty name":              `INSERT INTO organizations (id, name, created_at) VALUES ('cust_1', '', now())`,
		"name of 201 bytes":       `INSERT INTO organizations (id, name, created_at) VALUES ('cust_1', repeat('x', 201), now())`,
		"upper-case address":      `INSERT INTO users (id, email, created_at) VALUES ('usr_1', 'Erin@lumen.example', now())`,
		"member of nothing":       `INSERT INTO memberships VALUES ('cust_1', 'usr_1', 'owner', now())`,
		"session by bare token":   `INSERT INTO sessions VALUES ('token', 'data', now())`,
		"sign-in to another site": `INSERT INTO sign_ins VALUES ('sgn_1', 'e@x.example', sha256('x'), 'https://x', 0, now(), now() + '1 min')`,
		"six tries":               `INSERT INTO sign_ins VALUES ('sgn_1', 'e@x.example', sha256('x'), '/', 6, now(), now() + '1 min')`,
	} {
		if _, err := pool.Exec(t.Context(), sql); err == nil || !strings.Contains(err.Error(), "constraint") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOldSignInsAreForgotten(t *testing.T) {
	t.Parallel()
	accounts := postgres.NewAccounts(pgtest.New(t, postgres.Migrate), signInQueue{})
	r := newSignIn(t, accounts, "sgn_1", "erin@lumen.example")
	if n, err := accounts.DeleteSignIns(t.Context(), r.ExpiresAt); n != 0 || err != nil {
		t.Errorf("%d, %v; want none yet", n, err)
	}
	if n, err := accounts.DeleteSignIns(t.Context(), r.ExpiresAt.Add(time.Second)); n != 1 || err != nil {
		t.Errorf("%d, %v; want 1", n, err)
	}
}

func TestAFormSentTwiceAtOnceMakesOneOrganization(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, postgres.Migrate)
	accounts := postgres.NewAccounts(pool, signInQueue{})
	if _, err := pool.Exec(t.Context(), `INSERT INTO users (id, email, created_at) VALUES ('usr_1', 'erin@lumen.example', $1)`, accountsNow); err != nil {
		t.Fatal(err)
	}
	var made sync.Map
	var clicks sync.WaitGroup
	for n := range 6 {
		clicks.Go(func() {
			o, err := accounts.CreateOrganization(t.Context(), account.Organization{
				ID: "cust_" + string(rune('a'+n)), Name: "Lumen", CreatedAt: accountsNow.Add(time.Duration(n) * time.Second),
			}, "usr_1")
			if err != nil {
				t.Error(err)
			}
			made.Store(o.ID, true)
		})
	}
	clicks.Wait()
	different := 0
	made.Range(func(any, any) bool { different++; return true })
	if n := count(t, pool, `SELECT count(*) FROM organizations`); n != 1 || different != 1 {
		t.Errorf("%d organizations stored and %d answered", n, different)
	}
	later := account.Organization{ID: "cust_later", Name: "Lumen", CreatedAt: accountsNow.Add(time.Hour)}
	if o, err := accounts.CreateOrganization(t.Context(), later, "usr_1"); err != nil || o != later {
		t.Errorf("an hour later: %+v, %v", o, err)
	}
}
