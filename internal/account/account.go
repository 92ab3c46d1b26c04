// Package account knows organizations, their members and how a person signs in: by a link or a code sent by mail, never
// by a password.
//
// No secret is stored. The link's token and the code are derived from the portal's secret and the ID of the sign-in, so
// that a dump of the database signs nobody in, and the job that sends the mail carries the ID alone. A link or code works
// for 15 minutes, once, in the browser that asked; a code may be tried five times. Asking answers alike for known and
// unknown addresses, since nobody is looked up before the mail is proven to have arrived.
package account

import (
	"errors"
	"time"
)

// Organization is a customer. Its ID is the customer_id of every license it buys.
type Organization struct {
	ID        string // "cust_…"
	Name      string // 1 to 200 bytes
	CreatedAt time.Time
}

// User is a person, known by the address that mail reached.
type User struct {
	ID    string // "usr_…"
	Email string // lower case
}

// Role is what a member may do in an organization.
type Role string

// The roles of members.
const (
	RoleOwner    Role = "owner"
	RoleBilling  Role = "billing"
	RoleOperator Role = "operator"
	RoleReadOnly Role = "read_only"
)

// MayBuy reports whether a member with this role may place orders and change what the organization has.
func (r Role) MayBuy() bool { return r == RoleOwner || r == RoleBilling }

// Membership is a user's place in an organization.
type Membership struct {
	Organization Organization
	Role         Role
}

// SignIn is a request to sign in, waiting for its link or code.
type SignIn struct {
	ID        string // "sgn_…", safe in a form, useless without the code or the link
	Email     string
	ReturnTo  string // local path, "/" when none
	ExpiresAt time.Time
	UsedAt    time.Time // zero until the link or the code was used
}

// What can be wrong with a sign-in. Each has its own page.
var (
	ErrLinkUnknown      = errors.New("sign-in link is unknown")
	ErrLinkExpired      = errors.New("sign-in link expired")
	ErrLinkUsed         = errors.New("sign-in link was already used")
	ErrLinkOtherBrowser = errors.New("sign-in link belongs to another browser")
	ErrCodeWrong        = errors.New("code is wrong")
	ErrCodeTries        = errors.New("code was wrong five times")
	ErrEmailInvalid     = errors.New("e-mail address is not valid")
	ErrNameInvalid      = errors.New("organization name is not valid")
	ErrUserUnknown      = errors.New("user is unknown") // a session that outlived its user: sign in again
)

// RateLimitError says when to try again.
type RateLimitError struct{ RetryAt time.Time }

// Error implements error.
func (e *RateLimitError) Error() string { return "too many attempts; try again later" }
