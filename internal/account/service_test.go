package account_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/metrum-ai/licensing-portal/internal/account"
	"github.com/metrum-ai/licensing-portal/internal/postgres"
	"github.com/metrum-ai/licensing-portal/internal/postgres/pgtest"
)

const (
	email   = "erin@lumen.example"
	browser = "browser-secret-of-erin"
	ip      = "192.0.2.7"
	secret  = "portal-secret-of-at-least-32-bytes"
)

// fixture is a Service on a database of its own, with a clock that the test moves.
type fixture struct {
	*account.Service
	t    *testing.T
	pool *pgxpool.Pool
	log  bytes.Buffer
	now  time.Time
}

type noQueue struct{}

func (noQueue) EnqueueSignInMail(context.Context, pgx.Tx, string) error { return nil }

func newFixture(t *testing.T, limits account.Limits) *fixture {
	t.Helper()
	f := &fixture{t: t, pool: pgtest.New(t, postgres.Migrate), now: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)}
	accounts := postgres.NewAccounts(f.pool, noQueue{})
	s, err := account.New(account.Config{
		SignIns: accounts, Organizations: accounts, Limiter: postgres.NewRateLimits(f.pool), Secret: []byte(secret),
		Rand: rand.Reader, Now: func() time.Time { return f.now }, Limits: limits, Logger: slog.New(slog.NewTextHandler(&f.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	f.Service = s
	return f
}

// request asks for a sign-in and answers it with the mail that goes out.
func (f *fixture) request() (account.SignIn, account.Mail) {
	f.t.Helper()
	in, err := f.RequestSignIn(f.t.Context(), email, browser, ip, "/orders")
	if err != nil {
		f.t.Fatal(err)
	}
	m, err := f.SignInMail(f.t.Context(), in.ID)
	if err != nil {
		f.t.Fatal(err)
	}
	return in, m
}

// wrong answers a code that is not the mail's.
func wrong(m account.Mail) string {
	if m.Code == "000000" {
		return "000001"
	}
	return "000000"
}

func (f *fixture) users() (n int) {
	f.t.Helper()
	if err := f.pool.QueryRow(f.t.Context(), `SELECT count(*) FROM users`).Scan(&n); err != nil {
		f.t.Fatal(err)
	}
	return n
}

func TestALinkSignsInOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t, account.Limits{})
	asked, m := f.request()
	if m.Email != email || !m.ExpiresAt.Equal(f.now.Add(15*time.Minute)) || m.SignInID != asked.ID {
		t.Errorf("mail %+v", m)
	}
	for range 3 { // a mail scanner, twice, and the person
		if in, err := f.PeekLink(t.Context(), m.Token, browser); err != nil || in != asked {
			t.Fatalf("peek: %+v, %v; want %+v", in, err, asked)
		}
	}
	if f.users() != 0 {
		t.Error("looking at a link made a user")
	}
	user, in, err := f.ConfirmLink(t.Context(), m.Token, browser)
	if err != nil || user.Email != email || !strings.HasPrefix(user.ID, "usr_") || in.ReturnTo != "/orders" {
		t.Fatalf("confirm: %+v, %+v, %v", user, in, err)
	}
	if _, _, err := f.ConfirmLink(t.Context(), m.Token, browser); !errors.Is(err, account.ErrLinkUsed) {
		t.Errorf("a second time: %v", err)
	}
	if _, _, err := f.ConfirmCode(t.Context(), asked.ID, browser, m.Code); !errors.Is(err, account.ErrLinkUsed) {
		t.Errorf("the code after the link: %v", err)
	}
	if used, err := f.PeekLink(t.Context(), m.Token, browser); !errors.Is(err, account.ErrLinkUsed) || !used.UsedAt.Equal(f.now) || used.Email != email {
		t.Errorf("peek at a used link: %+v, %v", used, err)
	}
	if _, err := f.SignInMail(t.Context(), asked.ID); !errors.Is(err, account.ErrLinkUsed) {
		t.Errorf("mail of a used sign-in: %v", err)
	}
	_, m = f.request()
	if again, _, err := f.ConfirmLink(t.Context(), m.Token, browser); err != nil || again != user {
		t.Errorf("the second sign-in is another user: %+v, %v", again, err)
	}
}

func TestALinkIsOfOneBrowserAndOneQuarterOfAnHour(t *testing.T) {
	t.Parallel()
	f := newFixture(t, account.Limits{})
	asked, m := f.request()
	for _, other := range []string{"", "another browser"} {
		if in, err := f.PeekLink(t.Context(), m.Token, other); !errors.Is(err, account.ErrLinkOtherBrowser) || in.Email != email {
			t.Errorf("peek in %q: %v", other, err)
		}
		if _, _, err := f.ConfirmLink(t.Context(), m.Token, other); !errors.Is(err, account.ErrLinkOtherBrowser) {
			t.Errorf("link in %q: %v", other, err)
		}
		if _, _, err := f.ConfirmCode(t.Context(), asked.ID, other, m.Code); !errors.Is(err, account.ErrLinkOtherBrowser) {
			t.Errorf("code in %q: %v", other, err)
		}
	}
	for _, token := range []string{"", asked.ID, asked.ID + ".x", m.Token + "x"} {
		if _, _, err := f.ConfirmLink(t.Context(), token, browser); !errors.Is(err, account.ErrLinkUnknown) {
			t.Errorf("token %q: %v", token, err)
		}
	}
	if _, _, err := f.ConfirmCode(t.Context(), "sgn_00000000000000000000", browser, m.Code); !errors.Is(err, account.ErrLinkUnknown) {
		t.Errorf("unknown sign-in: %v", err)
	}
	f.now = f.now.Add(15*time.Minute - time.Second)
	if _, err := f.PeekLink(t.Context(), m.Token, browser); err != nil {
		t.Errorf("a second before the end: %v", err)
	}
	f.now = f.now.Add(time.Second)
	if _, _, err := f.ConfirmLink(t.Context(), m.Token, browser); !errors.Is(err, account.ErrLinkExpired) {
		t.Errorf("link at the end: %v", err)
	}
	if _, _, err := f.ConfirmCode(t.Context(), asked.ID, browser, m.Code); !errors.Is(err, account.ErrLinkExpired) {
		t.Errorf("code at the end: %v", err)
	}
	if _, err := f.SignInMail(t.Context(), asked.ID); !errors.Is(err, account.ErrLinkExpired) {
		t.Errorf("mail at the end: %v", err)
	}
	if f.users() != 0 {
		t.Error("somebody was signed in")
	}
}

func TestACodeMayBeWrongFourTimes(t *testing.T) {
	t.Parallel()
	f := newFixture(t, account.Limits{})
	asked, m := f.request()
	for i := range account.MaxCodeTries - 1 {
		if _, _, err := f.ConfirmCode(t.Context(), asked.ID, browser, wrong(m)); !errors.Is(err, account.ErrCodeWrong) {
			t.Fatalf("try %d: %v", i, err)
		}
		if _, _, err := f.ConfirmCode(t.Context(), asked.ID, "another browser", wrong(m)); !errors.Is(err, account.ErrLinkOtherBrowser) {
			t.Fatalf("another browser: %v", err) // and takes no try
		}
	}
	user, in, err := f.ConfirmCode(t.Context(), asked.ID, browser, m.Code[:3]+" "+m.Code[3:])
	if err != nil || user.Email != email || in != asked {
		t.Errorf("the right code at the fifth try: %+v, %v", user, err)
	}
}

func TestAfterFiveWrongCodesTheRightOneIsTooLateAndTheLinkStillWorks(t *testing.T) {
	t.Parallel()
	f := newFixture(t, account.Limits{})
	asked, m := f.request()
	var last error
	for range account.MaxCodeTries {
		_, _, last = f.ConfirmCode(t.Context(), asked.ID, browser, wrong(m))
	}
	if !errors.Is(last, account.ErrCodeTries) {
		t.Errorf("the fifth wrong code: %v", last)
	}
	if _, _, err := f.ConfirmCode(t.Context(), asked.ID, browser, m.Code); !errors.Is(err, account.ErrCodeTries) {
		t.Errorf("the right code afterwards: %v", err)
	}
	if _, _, err := f.ConfirmLink(t.Context(), m.Token, browser); err != nil {
		t.Errorf("the link afterwards: %v", err)
	}
}

func TestOfManyConfirmationsAtOnceOneSignsIn(t *testing.T) {
	t.Parallel()
	f := newFixture(t, account.Limits{})
	asked, m := f.request()
	errs := make([]error, 10)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			if i%2 == 0 {
				_, _, errs[i] = f.ConfirmLink(t.Context(), m.Token, browser)
			} else {
				_, _, errs[i] = f.ConfirmCode(t.Context(), asked.ID, browser, m.Code)
			}
		})
	}
	wg.Wait()
	signedIn := 0
	for _, err := range errs {
		if err == nil {
			signedIn++
		} else if !errors.Is(err, account.ErrLinkUsed) && !errors.Is(err, account.ErrCodeTries) {
			t.Errorf("error %v", err)
		}
	}
	if signedIn != 1 {
		t.Errorf("signed in %d times", signedIn)
	}
}

func TestAskingAnswersAlikeForKnownAndUnknownAddresses(t *testing.T) {
	t.Parallel()
	f := newFixture(t, account.Limits{})
	_, m := f.request()
	if _, _, err := f.ConfirmLink(t.Context(), m.Token, browser); err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{email, "stranger@lumen.example"} {
		in, err := f.RequestSignIn(t.Context(), " "+strings.ToUpper(address), browser, ip, "//evil.example")
		want := account.SignIn{ID: in.ID, Email: address, ReturnTo: "/", ExpiresAt: f.now.Add(account.SignInLife)}
		if err != nil || in != want {
			t.Errorf("%s: %+v, %v", address, in, err)
		}
	}
	if f.users() != 1 {
		t.Error("asking made a user")
	}
	if _, err := f.RequestSignIn(t.Context(), "not an address", browser, ip, "/"); !errors.Is(err, account.ErrEmailInvalid) {
		t.Errorf("bad address: %v", err)
	}
}

func TestOrganizationsBelongToTheirMaker(t *testing.T) {
	t.Parallel()
	f := newFixture(t, account.Limits{OrganizationsPerUser: account.Limit{Count: 2, Window: 24 * time.Hour}})
	_, m := f.request()
	user, _, err := f.ConfirmLink(t.Context(), m.Token, browser)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.CreateOrganization(t.Context(), user.ID, " \n"); !errors.Is(err, account.ErrNameInvalid) {
		t.Errorf("bad name: %v", err)
	}
	o, err := f.CreateOrganization(t.Context(), user.ID, "  Lumen & Söhne ")
	if err != nil || o.Name != "Lumen & Söhne" || !strings.HasPrefix(o.ID, "cust_") || len(o.ID) != len("cust_")+20 {
		t.Fatalf("%+v, %v", o, err)
	}
	got, memberships, err := f.Memberships(t.Context(), user.ID)
	if err != nil || got != user || len(memberships) != 1 || memberships[0] != (account.Membership{Organization: o, Role: account.RoleOwner}) {
		t.Errorf("%+v, %+v, %v", got, memberships, err)
	}
	if _, err := f.CreateOrganization(t.Context(), "usr_00000000000000000000", "Nobody's"); !errors.Is(err, account.ErrUserUnknown) {
		t.Errorf("unknown user: %v", err)
	}
	if _, err := f.CreateOrganization(t.Context(), user.ID, "Second"); err != nil {
		t.Fatal(err)
	}
	_, err = f.CreateOrganization(t.Context(), user.ID, "Third")
	if _, ok := errors.AsType[*account.RateLimitError](err); !ok {
		t.Errorf("a third in a day: %v", err)
	}
}

// everything dumps the tables that sign-in writes, as text.
func (f *fixture) everything() string {
	f.t.Helper()
	var all strings.Builder
	for _, table := range []string{"sign_ins", "users", "rate_limits", "sessions"} {
		rows, err := f.pool.Query(f.t.Context(), `SELECT row_to_json(x)::text FROM `+table+` x`)
		if err != nil {
			f.t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			f.t.Fatal(err)
		}
		all.WriteString(strings.Join(lines, "\n") + "\n")
	}
	return all.String()
}

func TestNoSecretStandsInTheDatabaseOrTheLog(t *testing.T) {
	t.Parallel()
	f := newFixture(t, account.Limits{})
	asked, m := f.request()
	if _, _, err := f.ConfirmCode(t.Context(), asked.ID, browser, wrong(m)); !errors.Is(err, account.ErrCodeWrong) {
		t.Fatal(err)
	}
	if _, _, err := f.ConfirmLink(t.Context(), m.Token, browser); err != nil {
		t.Fatal(err)
	}
	dump := f.everything()
	proof := strings.TrimPrefix(m.Token, asked.ID+".")
	for name, canary := range map[string]string{"link": proof, "browser": browser, "network": ip, "portal secret": secret, "code": `"` + m.Code + `"`} {
		if strings.Contains(dump, canary) || strings.Contains(f.log.String(), canary) {
			t.Errorf("the %s stands in the database or the log", name)
		}
	}
	if strings.Contains(f.log.String(), "lumen") || !strings.Contains(f.log.String(), asked.ID) {
		t.Errorf("log: %s", f.log.String())
	}
	if !strings.Contains(dump, asked.ID) || !strings.Contains(dump, email) {
		t.Error("the dump is empty, so the test shows nothing")
	}
}

func TestAnotherSecretOpensNoLink(t *testing.T) {
	t.Parallel()
	f := newFixture(t, account.Limits{})
	_, m := f.request()
	accounts := postgres.NewAccounts(f.pool, noQueue{})
	other, err := account.New(account.Config{
		SignIns: accounts, Organizations: accounts, Limiter: postgres.NewRateLimits(f.pool), Secret: []byte(secret + "x"),
		Rand: rand.Reader, Now: func() time.Time { return f.now }, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := other.ConfirmLink(t.Context(), m.Token, browser); !errors.Is(err, account.ErrLinkUnknown) {
		t.Errorf("error %v", err)
	}
}

func TestNewTellsEveryProblem(t *testing.T) {
	t.Parallel()
	_, err := account.New(account.Config{Secret: []byte("short"), Limits: account.Limits{CodesPerIP: account.Limit{Count: 3}}})
	for _, want := range []string{"SignIns", "Organizations", "Limiter", "Secret", "Rand", "Now", "Logger", "Limits"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %q", err, want)
		}
	}
}
