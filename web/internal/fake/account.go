package fake

import (
	"context"
	"strings"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/account"
)

// Accounts is the part of the services that signs people in.
type Accounts struct{ *Services }

// Token is the link's token for an address; Code is every sign-in's code.
func Token(email string) string { return "token-" + email }

// Code signs in whoever asked.
const Code = "123456"

// RequestSignIn implements web.Accounts.
func (s Accounts) RequestSignIn(_ context.Context, email, browser, _, returnTo string) (account.SignIn, error) {
	if !strings.Contains(email, "@") {
		return account.SignIn{}, account.ErrEmailInvalid
	}
	if email == "limited@halden.example" {
		return account.SignIn{}, &account.RateLimitError{RetryAt: s.now().Add(80 * time.Minute)}
	}
	defer s.change()()
	in := account.SignIn{ID: "sgn_" + email, Email: email, ReturnTo: returnTo, ExpiresAt: s.now().Add(15 * time.Minute)}
	s.Used[Token(email)] = false
	s.SignIns[Token(email)] = in
	s.SignIns[Token(email)+browser] = in
	return in, nil
}

// PeekLink implements web.Accounts.
func (s Accounts) PeekLink(_ context.Context, token, browser string) (account.SignIn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in, ok := s.SignIns[token]
	_, same := s.SignIns[token+browser]
	switch {
	case token == "expired":
		return in, account.ErrLinkExpired
	case !ok:
		return in, account.ErrLinkUnknown
	case s.Used[token]:
		return in, account.ErrLinkUsed
	case browser == "" || !same:
		return in, account.ErrLinkOtherBrowser
	}
	return in, nil
}

// ConfirmLink implements web.Accounts.
func (s Accounts) ConfirmLink(ctx context.Context, token, browser string) (account.User, account.SignIn, error) {
	in, err := s.PeekLink(ctx, token, browser)
	if err != nil {
		return account.User{}, in, err
	}
	defer s.change()()
	s.Used[token] = true
	return s.user(in.Email), in, nil
}

// ConfirmCode implements web.Accounts.
func (s Accounts) ConfirmCode(ctx context.Context, id, browser, code string) (account.User, account.SignIn, error) {
	if code != Code {
		return account.User{}, account.SignIn{}, account.ErrCodeWrong
	}
	return s.ConfirmLink(ctx, Token(strings.TrimPrefix(id, "sgn_")), browser)
}

func (s Accounts) user(email string) account.User {
	for _, u := range s.Users {
		if u.Email == email {
			return u
		}
	}
	u := account.User{ID: "usr_" + email, Email: email}
	s.Users[u.ID] = u
	return u
}

// Memberships implements web.Accounts.
func (s Accounts) Memberships(_ context.Context, userID string) (account.User, []account.Membership, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Users[userID], s.Members[userID], s.MembershipsError
}

// CreateOrganization implements web.Accounts.
func (s Accounts) CreateOrganization(_ context.Context, userID, name string) (account.Organization, error) {
	if name == "" || len(name) > 200 {
		return account.Organization{}, account.ErrNameInvalid
	}
	defer s.change()()
	o := account.Organization{ID: "cust_" + userID, Name: name, CreatedAt: s.now()}
	s.Members[userID] = []account.Membership{{Organization: o, Role: account.RoleOwner}}
	return o, nil
}
