package account

import (
	"bytes"
	"context"
	"fmt"
	"time"
)

// obstacle says why a browser cannot use a sign-in at now, or nil. Another browser is told so first: whether the link was
// used or expired meanwhile is not its business, and asking anew helps it in every case.
func (r Record) obstacle(browser string, now time.Time) error {
	switch {
	case browser == "" || !bytes.Equal(r.BrowserHash, browserHash(browser)):
		return ErrLinkOtherBrowser
	case !r.UsedAt.IsZero():
		return ErrLinkUsed
	case !now.Before(r.ExpiresAt):
		return ErrLinkExpired
	}
	return nil
}

// Mail is what the mail of a sign-in says. It is secret: never stored, never logged.
type Mail struct {
	SignInID  string
	Email     string
	Token     string // of the link
	Code      string // six digits
	ExpiresAt time.Time
}

// SignInMail answers the mail of a sign-in for the job that sends it. ErrLinkUnknown, ErrLinkExpired and ErrLinkUsed mean
// that there is nothing left to send.
func (s *Service) SignInMail(ctx context.Context, signInID string) (Mail, error) {
	r, err := s.signIns.SignIn(ctx, signInID)
	if err != nil {
		return Mail{}, fmt.Errorf("find sign-in: %w", err)
	}
	switch {
	case !r.UsedAt.IsZero():
		return Mail{}, ErrLinkUsed
	case !s.now().Before(r.ExpiresAt):
		return Mail{}, ErrLinkExpired
	}
	return Mail{
		SignInID: r.ID, Email: r.Email, Token: s.secrets.token(r.ID), Code: s.secrets.code(r.ID), ExpiresAt: r.ExpiresAt,
	}, nil
}
