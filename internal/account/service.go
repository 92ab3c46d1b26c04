package account

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"
)

const (
	// SignInLife is how long a link and its code work.
	SignInLife = 15 * time.Minute
	// MaxCodeTries is how often a code may be typed wrong.
	MaxCodeTries = 5

	minSecretBytes = 32
)

// Config is what a Service needs. Everything without a default is required.
type Config struct {
	SignIns       SignIns
	Organizations Organizations
	Limiter       Limiter
	Secret        []byte // the portal's, at least 32 bytes; the same in every process
	Rand          io.Reader
	Now           func() time.Time
	Limits        Limits // zero fields take DefaultLimits
	Logger        *slog.Logger
}

// Service signs people in and keeps their organizations. It is safe for concurrent use and holds no state.
type Service struct {
	signIns       SignIns
	organizations Organizations
	limiter       Limiter
	secrets       secrets
	rand          io.Reader
	now           func() time.Time
	limits        Limits
	log           *slog.Logger
}

// New makes a Service. It errors with everything that is missing at once.
func New(c Config) (*Service, error) {
	var problems []error
	need := func(ok bool, what string) {
		if !ok {
			problems = append(problems, errors.New("config: "+what))
		}
	}
	need(c.SignIns != nil, "SignIns is required")
	need(c.Organizations != nil, "Organizations is required")
	need(c.Limiter != nil, "Limiter is required")
	need(len(c.Secret) >= minSecretBytes, "Secret must be at least 32 bytes")
	need(c.Rand != nil, "Rand is required")
	need(c.Now != nil, "Now is required")
	need(c.Logger != nil, "Logger is required")
	if err := c.Limits.validate(); err != nil {
		problems = append(problems, err)
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("account: %w", errors.Join(problems...))
	}
	return &Service{
		signIns: c.SignIns, organizations: c.Organizations, limiter: c.Limiter,
		secrets: secrets{key: append([]byte(nil), c.Secret...)},
		rand:    c.Rand, now: c.Now, limits: c.Limits.withDefaults(), log: c.Logger,
	}, nil
}

// RequestSignIn mails a link and a code to an address, alike whether or not it is known. browser is the secret in a cookie
// of the browser that asks; remoteIP is where it asks from; returnTo is where to go afterwards and becomes "/" unless it is
// a local path. Errors: ErrEmailInvalid, *RateLimitError.
func (s *Service) RequestSignIn(ctx context.Context, email, browser, remoteIP, returnTo string) (SignIn, error) {
	now := s.now().UTC()
	email, err := normalEmail(email)
	if err != nil {
		return SignIn{}, err
	}
	if err := s.take(ctx, "sign-in-ip", network(remoteIP), s.limits.SignInsPerIP, now); err != nil {
		return SignIn{}, err
	}
	if err := s.take(ctx, "sign-in-address", email, s.limits.SignInsPerAddress, now); err != nil {
		return SignIn{}, err
	}
	id, err := newID(s.rand, "sgn_")
	if err != nil {
		return SignIn{}, err
	}
	in := SignIn{ID: id, Email: email, ReturnTo: localPath(returnTo), ExpiresAt: now.Add(SignInLife)}
	record := Record{SignIn: in, BrowserHash: browserHash(browser), CreatedAt: now}
	if err := s.signIns.CreateSignIn(ctx, record); err != nil {
		return SignIn{}, fmt.Errorf("store sign-in: %w", err)
	}
	s.log.InfoContext(ctx, "sign-in requested", "sign_in", id)
	return in, nil
}

// PeekLink tells what a link is for, and changes nothing. With ErrLinkExpired, ErrLinkUsed and ErrLinkOtherBrowser it
// answers the sign-in as well, so that the page can say when and offer a new link: who has the token has read the mail.
func (s *Service) PeekLink(ctx context.Context, token, browser string) (SignIn, error) {
	id, ok := s.secrets.open(token)
	if !ok {
		return SignIn{}, ErrLinkUnknown
	}
	return s.peek(ctx, id, browser)
}

// ConfirmLink spends a link and answers the user, who is made at the first sign-in. Errors are those of PeekLink.
func (s *Service) ConfirmLink(ctx context.Context, token, browser string) (User, SignIn, error) {
	id, ok := s.secrets.open(token)
	if !ok {
		return User{}, SignIn{}, ErrLinkUnknown
	}
	return s.spend(ctx, id, browser)
}

// ConfirmCode spends a code. Every call takes a try before it looks at the code, so that guesses at the same time cannot
// share one. Errors: ErrCodeWrong, ErrCodeTries once the last try is gone (a new sign-in is needed), *RateLimitError, and
// those of PeekLink.
func (s *Service) ConfirmCode(ctx context.Context, signInID, browser, code string) (User, SignIn, error) {
	in, err := s.peek(ctx, signInID, browser)
	if err != nil {
		return User{}, in, err
	}
	now := s.now().UTC()
	if ip := remoteIP(ctx); ip != "" {
		if err := s.take(ctx, "code-ip", network(ip), s.limits.CodesPerIP, now); err != nil {
			return User{}, in, err
		}
	}
	if err := s.take(ctx, "code-address", in.Email, s.limits.CodesPerAddress, now); err != nil {
		return User{}, in, err
	}
	taken, err := s.signIns.CountTry(ctx, signInID, browserHash(browser), now)
	if err != nil {
		return User{}, in, fmt.Errorf("count try: %w", err)
	}
	switch right := s.secrets.codeMatches(signInID, code); {
	case taken == 0:
		return User{}, in, s.whyNot(ctx, signInID, browser, ErrCodeTries)
	case right:
		return s.spend(ctx, signInID, browser)
	case taken >= MaxCodeTries:
		s.log.WarnContext(ctx, "sign-in code tries used up", "sign_in", signInID)
		return User{}, in, ErrCodeTries
	}
	return User{}, in, ErrCodeWrong
}

// peek answers a sign-in and what stands in its way.
func (s *Service) peek(ctx context.Context, id, browser string) (SignIn, error) {
	record, err := s.signIns.SignIn(ctx, id)
	if err != nil {
		return SignIn{}, fmt.Errorf("find sign-in: %w", err)
	}
	return record.SignIn, record.obstacle(browser, s.now())
}

// spend uses up a sign-in. Where another request was faster, it says what happened meanwhile.
func (s *Service) spend(ctx context.Context, id, browser string) (User, SignIn, error) {
	in, err := s.peek(ctx, id, browser)
	if err != nil {
		return User{}, in, err
	}
	userID, err := newID(s.rand, "usr_")
	if err != nil {
		return User{}, in, err
	}
	user, ok, err := s.signIns.SpendSignIn(ctx, id, browserHash(browser), s.now(), userID)
	if err != nil {
		return User{}, in, fmt.Errorf("spend sign-in: %w", err)
	}
	if !ok {
		return User{}, in, s.whyNot(ctx, id, browser, ErrLinkUsed)
	}
	s.log.InfoContext(ctx, "signed in", "sign_in", id, "user", user.ID)
	return user, in, nil
}

// whyNot looks again at a sign-in that the database would not change, and answers otherwise where nothing else explains it.
func (s *Service) whyNot(ctx context.Context, id, browser string, otherwise error) error {
	if _, err := s.peek(ctx, id, browser); err != nil {
		return err
	}
	return otherwise
}
