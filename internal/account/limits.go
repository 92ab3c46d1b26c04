package account

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Limit is how many attempts are taken in a window. Windows are fixed: at most twice the count passes in one window's
// length across a boundary.
type Limit struct {
	Count  int
	Window time.Duration
}

// Limits bound what one asker can do. They are counted in the database, for all portal processes together.
type Limits struct {
	SignInsPerAddress    Limit // mails to one address
	SignInsPerIP         Limit // mails asked for from one network
	CodesPerAddress      Limit // codes tried for one address; the link still works beyond it
	CodesPerIP           Limit // codes tried from one network
	OrganizationsPerUser Limit
}

// DefaultLimits holds guessing a code to a chance below 1 in 10,000 a day and address.
func DefaultLimits() Limits {
	const quarter, day = 15 * time.Minute, 24 * time.Hour
	return Limits{
		SignInsPerAddress:    Limit{5, quarter},
		SignInsPerIP:         Limit{20, quarter},
		CodesPerAddress:      Limit{50, day},
		CodesPerIP:           Limit{50, quarter},
		OrganizationsPerUser: Limit{10, day},
	}
}

func (l *Limits) all() []*Limit {
	return []*Limit{&l.SignInsPerAddress, &l.SignInsPerIP, &l.CodesPerAddress, &l.CodesPerIP, &l.OrganizationsPerUser}
}

func (l Limits) validate() error {
	for _, one := range l.all() {
		if one.Count < 0 || one.Window < 0 || (one.Count == 0) != (one.Window == 0) {
			return errors.New("config: Limits must each have a count and a window, or neither")
		}
	}
	return nil
}

func (l Limits) withDefaults() Limits {
	defaults := DefaultLimits()
	for i, one := range l.all() {
		if one.Count == 0 {
			*one = *defaults.all()[i]
		}
	}
	return l
}

// take counts an attempt, or errors with a *RateLimitError.
func (s *Service) take(ctx context.Context, kind, subject string, limit Limit, now time.Time) error {
	ok, retryAt, err := s.limiter.Take(ctx, s.secrets.limitKey(kind, subject), limit.Count, limit.Window, now)
	if err != nil {
		return fmt.Errorf("count attempt: %w", err)
	}
	if !ok {
		s.log.WarnContext(ctx, "rate limit reached", "limit", kind)
		return &RateLimitError{RetryAt: retryAt}
	}
	return nil
}

type remoteIPKey struct{}

// WithRemoteIP notes where a request comes from, so that ConfirmCode counts tries by it too.
func WithRemoteIP(ctx context.Context, ip string) context.Context {
	return context.WithValue(ctx, remoteIPKey{}, ip)
}

func remoteIP(ctx context.Context) string {
	ip, _ := ctx.Value(remoteIPKey{}).(string)
	return ip
}
