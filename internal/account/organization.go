package account

import (
	"context"
	"fmt"
	"time"
)

// Memberships answers a user and the organizations they belong to, oldest first. It is asked on every request, so that
// who leaves loses access at once. It errors with ErrUserUnknown.
func (s *Service) Memberships(ctx context.Context, userID string) (User, []Membership, error) {
	user, memberships, err := s.organizations.Memberships(ctx, userID)
	if err != nil {
		return User{}, nil, fmt.Errorf("list memberships: %w", err)
	}
	return user, memberships, nil
}

// SameForm is how long a second organization of the same name and owner is taken for a form sent twice.
const SameForm = time.Minute

// CreateOrganization makes an organization owned by the user. The name loses the space around it and must then be 1 to 100
// characters that print, at most 200 bytes. Errors: ErrNameInvalid, ErrUserUnknown, *RateLimitError.
func (s *Service) CreateOrganization(ctx context.Context, userID, name string) (Organization, error) {
	name, err := normalName(name)
	if err != nil {
		return Organization{}, err
	}
	now := s.now().UTC()
	if err := s.take(ctx, "organization-user", userID, s.limits.OrganizationsPerUser, now); err != nil {
		return Organization{}, err
	}
	id, err := newID(s.rand, "cust_")
	if err != nil {
		return Organization{}, err
	}
	o, err := s.organizations.CreateOrganization(ctx, Organization{ID: id, Name: name, CreatedAt: now}, userID)
	if err != nil {
		return Organization{}, fmt.Errorf("store organization: %w", err)
	}
	if o.ID == id {
		s.log.InfoContext(ctx, "organization created", "organization", id, "user", userID)
	}
	return o, nil
}
