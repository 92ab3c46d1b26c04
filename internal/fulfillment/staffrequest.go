package fulfillment

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/approval"
)

// StaffRequest is a request of staff's to the signer, with who stands by it and what came of it.
type StaffRequest struct {
	approval.Request
	Text       string  // canonical; what people approve
	Digest     string  // lower-case hex SHA-256 of Text
	Needed     int     // so many people other than the proposer
	Stands     []Stand // the proposal first, then the approvals in their order
	ApprovedAt time.Time
	EndedAt    time.Time
	Refusal    *Reason // why it ended undone, or not whole; nil otherwise

	LicenseID string // that was issued
	Epoch     int64  // of the revocation bundle that says it
	Rotation  RotationProgress
}

// Stand is a person's assertion over a request.
type Stand struct {
	Name      string
	Approves  bool // otherwise proposes
	Assertion approval.Assertion
	At        time.Time
}

// RotationProgress counts a rotation's licenses.
type RotationProgress struct {
	Total    int // listed so far
	Replaced int
	Passed   int // replaced, expired or withdrawn in another way meanwhile
	Refused  int // by the signer, or with another license than was approved
}

// Open is how many are still to be looked at.
func (p RotationProgress) Open() int { return p.Total - p.Replaced - p.Passed - p.Refused }

// RequestStanding is where a request stands at a time.
type RequestStanding string

// The standings.
const (
	RequestDrafted  RequestStanding = "drafted"  // its proposer does not stand by it yet
	RequestWaiting  RequestStanding = "waiting"  // for approval
	RequestApproved RequestStanding = "approved" // being carried out
	RequestDone     RequestStanding = "done"
	RequestRefused  RequestStanding = "refused" // by the signer
	RequestExpired  RequestStanding = "expired" // not approved in time
)

// ExpiresAt is until when a request may be approved and carried out.
func (r StaffRequest) ExpiresAt() time.Time { return r.CreatedAt.Add(approval.ValidFor) }

// Standing derives where the request stands at now.
func (r StaffRequest) Standing(now time.Time) RequestStanding {
	switch {
	case r.Refusal != nil:
		return RequestRefused
	case !r.EndedAt.IsZero():
		return RequestDone
	case !r.ApprovedAt.IsZero():
		return RequestApproved
	case !now.Before(r.ExpiresAt()):
		return RequestExpired
	case len(r.Stands) == 0:
		return RequestDrafted
	}
	return RequestWaiting
}

// Approvers lists who approved, in their order.
func (r StaffRequest) Approvers() []string {
	var names []string
	for _, s := range r.Stands {
		if s.Approves {
			names = append(names, s.Name)
		}
	}
	return names
}

// Missing is how many approvals it waits for.
func (r StaffRequest) Missing() int { return max(0, r.Needed-len(r.Approvers())) }

// stand finds what a person said.
func (r StaffRequest) stand(name string) (Stand, bool) {
	i := slices.IndexFunc(r.Stands, func(s Stand) bool { return s.Name == name })
	if i < 0 {
		return Stand{}, false
	}
	return r.Stands[i], true
}

// signed is what the signer is sent.
func (r StaffRequest) signed() *approval.Signed {
	s := approval.Signed{Request: r.Text}
	for _, stand := range r.Stands {
		if stand.Approves {
			s.Approvals = append(s.Approvals, stand.Assertion)
		} else {
			s.Proposal = stand.Assertion
		}
	}
	return &s
}

// Subjects are what a request is about: the order, the licenses, or the old key.
func (r StaffRequest) Subjects() []string {
	switch r.Action {
	case approval.ActionIssue:
		return []string{r.Issue.Intent.OrderID}
	case approval.ActionReplace:
		return []string{r.Replace.BaseID}
	case approval.ActionRotate:
		return []string{r.Rotate.KeyID}
	}
	ids := make([]string, len(r.Revoke))
	for i, entry := range r.Revoke {
		ids[i] = entry.LicenseID
	}
	return ids
}

// What stands in the way of standing by a request.
var (
	ErrRequestExpired = errors.New("the request was not approved within 24 hours; propose it again")
	ErrRequestDecided = errors.New("the request is decided already")
	ErrNotProposed    = errors.New("its proposer must stand by it first")
	ErrSelfApproval   = errors.New("someone else must approve this")
	ErrStandsAlready  = errors.New("this person approved it already")
	ErrMayNotApprove  = errors.New("this role may not approve the request")
	ErrPasskey        = errors.New("the passkey is not one of the trust bundle's")
	ErrAssertion      = errors.New("the assertion does not prove that its owner stands by the request")
)

// RefusedError says, in words for staff, why the signer would refuse a request, or why it cannot be written down.
type RefusedError struct{ Words string }

// Error implements error.
func (e *RefusedError) Error() string { return e.Words }

// RequestStore keeps staff requests. A text and an assertion never change.
type RequestStore interface {
	AddRequest(ctx context.Context, r StaffRequest) error
	// Request finds a request with all that hangs on it. ErrNotFound.
	Request(ctx context.Context, id string) (StaffRequest, error)
	// RequestList lists the newest requests, at most so many, the newest first.
	RequestList(ctx context.Context, limit int) ([]StaffRequest, error)
	// AddStand adds an assertion to a request that is neither decided nor expired at its time. When as many approve as are
	// needed now, the request is approved and its job enqueued, in the same transaction. ErrStandsAlready, ErrRequestDecided,
	// ErrRequestExpired.
	AddStand(ctx context.Context, id string, s Stand, needed int) (StaffRequest, error)
}

// SubjectStore finds what requests are about, of any organization.
type SubjectStore interface {
	OrderRecord(ctx context.Context, orderID string) (Record, error)
	AnyLicense(ctx context.Context, licenseID string) (License, error)
	// LiveUnder counts the licenses that were signed with a key, are unexpired at now, and that nothing replaced or withdrew.
	LiveUnder(ctx context.Context, keyID string, now time.Time) (int, error)
}

// ReplacementMail is what "another license is ready" says to a member of the organization. The same license and person make
// the same Message-ID.
type ReplacementMail struct {
	To             string
	UserID         string
	LicenseID      string
	Replaces       string // the license ID of the base
	Reason         approval.Reason
	PackageName    string
	DeploymentName string
	ExpiresAt      time.Time
	SupersededAt   time.Time // when the old one goes into the revocation bundle; zero for never
}

// ReplacementMailer sends it. An error is worth another try.
type ReplacementMailer interface {
	SendReplacement(ctx context.Context, m ReplacementMail) error
}
