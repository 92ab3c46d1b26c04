package account

import (
	"context"
	"time"
)

// Record is a sign-in as it is stored: with the hash of the browser that asked, and without any secret.
type Record struct {
	SignIn
	BrowserHash []byte // SHA-256 of the browser's secret
	Tries       int    // codes tried, 0 to MaxCodeTries
	CreatedAt   time.Time
}

// SignIns keeps sign-ins. Each method is atomic.
type SignIns interface {
	// CreateSignIn stores r and enqueues the job that mails it: both or neither.
	CreateSignIn(ctx context.Context, r Record) error
	// SignIn errors with ErrLinkUnknown.
	SignIn(ctx context.Context, id string) (Record, error)
	// CountTry takes one of MaxCodeTries tries of a sign-in that this browser asked for and that is neither used nor expired
	// at now. It answers the number of tries taken with this one, or 0 where none could be taken.
	CountTry(ctx context.Context, id string, browserHash []byte, now time.Time) (taken int, err error)
	// SpendSignIn marks such a sign-in used and answers the user of its address, who is made as newUserID if there is none.
	// ok is false, and nothing changed, where the sign-in could not be spent.
	SpendSignIn(ctx context.Context, id string, browserHash []byte, now time.Time, newUserID string) (u User, ok bool, err error)
}

// Organizations keeps organizations and their members.
type Organizations interface {
	// Memberships answers the user and what they belong to, oldest organization first. It errors with ErrUserUnknown.
	Memberships(ctx context.Context, userID string) (User, []Membership, error)
	// CreateOrganization stores o with userID as its owner, both or neither, and answers what is stored: a form sent twice is
	// one organization, so one of the same name and owner made within SameForm before is answered instead. It errors with
	// ErrUserUnknown.
	CreateOrganization(ctx context.Context, o Organization, userID string) (Organization, error)
}

// Limiter counts attempts by key in fixed windows, shared by all portal processes.
type Limiter interface {
	// Take counts an attempt and reports whether it is one of the first limit of its window; if not, again from retryAt.
	Take(ctx context.Context, key string, limit int, window time.Duration, now time.Time) (ok bool, retryAt time.Time, err error)
}
