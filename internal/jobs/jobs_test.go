package jobs

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/metrum-ai/licensing-portal/internal/account"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/internal/mail"
)

func TestRetriesStartAtASecondAndNeverWaitMoreThanAMinute(t *testing.T) {
	t.Parallel()
	for tried, want := range map[int]time.Duration{0: time.Second, 1: 2 * time.Second, 5: 32 * time.Second, 6: time.Minute, 1000: time.Minute} {
		before := time.Now()
		got := retryPolicy{}.NextRetry(&rivertype.JobRow{Errors: make([]rivertype.AttemptError, tried)}).Sub(before)
		if got < want || got > want+time.Second {
			t.Errorf("after %d tries: %s, want %s", tried, got, want)
		}
	}
}

func TestWhatBecomesOfAJob(t *testing.T) {
	t.Parallel()
	if err := outcome(nil); err != nil {
		t.Error(err)
	}
	failed := errors.New("no answer")
	if err := outcome(failed); err != failed {
		t.Errorf("a failure is not tried again: %v", err)
	}
	if _, ok := errors.AsType[*river.JobSnoozeError](outcome(fmt.Errorf("x: %w", &fulfillment.LaterError{After: time.Second}))); !ok {
		t.Error("a job that came early does not wait")
	}
	if _, ok := errors.AsType[*river.JobCancelError](outcome(fmt.Errorf("x: %w", fulfillment.ErrNotFound))); !ok {
		t.Error("a job about nothing is tried again")
	}
}

// signIn answers err for every sign-in and fails to send with sent.
type signIn struct{ err, sent error }

func (s signIn) SignInMail(context.Context, string) (account.Mail, error) {
	return account.Mail{}, s.err
}
func (s signIn) SendSignIn(context.Context, account.Mail) error { return s.sent }

func TestSignInMailsAreSentOnceTheyCanBeAndDroppedWhenTheyNeverWill(t *testing.T) {
	t.Parallel()
	send := func(s signIn) error { return sendSignIn(t.Context(), s, s, "sgn_1") }
	for _, gone := range []error{account.ErrLinkUnknown, account.ErrLinkUsed, account.ErrLinkExpired} {
		if err := send(signIn{err: gone, sent: errors.New("sent")}); err != nil {
			t.Errorf("%v: %v", gone, err)
		}
	}
	if err := send(signIn{}); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct {
		sent  error
		again bool
	}{
		"refused for good": {&mail.DeliveryError{Permanent: true, Code: 550}, false},
		"no such address":  {mail.ErrAddress, false},
		"refused for now":  {&mail.DeliveryError{Code: 451}, true},
		"server is away":   {&mail.DeliveryError{}, true},
		"something else":   {errors.New("x"), true},
	} {
		_, canceled := errors.AsType[*river.JobCancelError](send(signIn{sent: c.sent}))
		if canceled == c.again {
			t.Errorf("%s: canceled %v", name, canceled)
		}
	}
}

func TestARunnerSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	if _, err := NewRunner(Config{}); err == nil {
		t.Error("it was made of nothing")
	}
}
