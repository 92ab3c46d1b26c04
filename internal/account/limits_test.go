package account_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/account"
)

func wantLimit(t *testing.T, err error, retryAt time.Time) {
	t.Helper()
	limit, ok := errors.AsType[*account.RateLimitError](err)
	if !ok || !limit.RetryAt.Equal(retryAt) {
		t.Errorf("error %v, want a limit until %v", err, retryAt)
	}
}

func TestMailsAreLimitedByAddressAndByNetwork(t *testing.T) {
	t.Parallel()
	f := newFixture(t, account.Limits{})
	ask := func(address, from string) error {
		_, err := f.RequestSignIn(t.Context(), address, browser, from, "/")
		return err
	}
	for i := range 5 {
		if err := ask(email, fmt.Sprintf("198.51.100.%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	end := f.now.Add(15 * time.Minute)
	wantLimit(t, ask("ERIN@lumen.example", ip), end)
	for i := range 19 { // the refused request counted as well
		if err := ask(fmt.Sprintf("u%d@lumen.example", i), ip); err != nil {
			t.Fatal(err)
		}
	}
	wantLimit(t, ask("late@lumen.example", ip), end)
	wantLimit(t, ask("late@lumen.example", "::ffff:"+ip), end)
	if err := ask("late@lumen.example", "192.0.2.8"); err != nil {
		t.Errorf("another network: %v", err)
	}
	f.now = end
	if err := ask(email, ip); err != nil {
		t.Errorf("in the next window: %v", err)
	}
}

func TestCodesAreLimitedByAddressAndByNetwork(t *testing.T) {
	t.Parallel()
	quarter := 15 * time.Minute
	f := newFixture(t, account.Limits{CodesPerAddress: account.Limit{Count: 3, Window: quarter}})
	asked, m := f.request()
	for range 3 {
		if _, _, err := f.ConfirmCode(t.Context(), asked.ID, browser, wrong(m)); !errors.Is(err, account.ErrCodeWrong) {
			t.Fatal(err)
		}
	}
	_, _, err := f.ConfirmCode(t.Context(), asked.ID, browser, m.Code)
	wantLimit(t, err, f.now.Add(quarter))
	if _, _, err := f.ConfirmLink(t.Context(), m.Token, browser); err != nil {
		t.Errorf("the link works beyond the limit of codes: %v", err)
	}

	f = newFixture(t, account.Limits{CodesPerIP: account.Limit{Count: 2, Window: quarter}})
	ctx := account.WithRemoteIP(t.Context(), ip)
	asked, m = f.request()
	for range 2 {
		if _, _, err := f.ConfirmCode(ctx, asked.ID, browser, wrong(m)); !errors.Is(err, account.ErrCodeWrong) {
			t.Fatal(err)
		}
	}
	_, _, err = f.ConfirmCode(ctx, asked.ID, browser, m.Code)
	wantLimit(t, err, f.now.Add(quarter))
	if _, _, err := f.ConfirmCode(account.WithRemoteIP(t.Context(), "192.0.2.8"), asked.ID, browser, m.Code); err != nil {
		t.Errorf("another network: %v", err)
	}
}
