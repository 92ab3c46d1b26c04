package approval

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/trust"
)

// What refuses a signed request. Every error of this package about one wraps exactly one of these.
var (
	ErrMalformed = errors.New("malformed staff request")
	ErrInvalid   = errors.New("an assertion proves nothing")
	ErrMissing   = errors.New("others must approve")
	ErrExpired   = errors.New("the request is not of the last 24 hours")
)

// How long a request may be approved and used, how far its time may be ahead of the reader's clock, and how many may
// approve it.
const (
	ValidFor     = 24 * time.Hour
	MaxAhead     = 5 * time.Minute
	MaxApprovals = 8
)

// Approved is a request whose every assertion verified.
type Approved struct {
	Request   Request
	Digest    [sha256.Size]byte
	Approvers []string // the different people who approved, sorted, at least one; none of them proposed it
}

// Verify checks a signed request against the trust bundle: the text, its time against now, the proposer's assertion, and
// each approval, by someone else who may approve the action. Whether as many people approved as its reach needs is the
// caller's to decide. Errors wrap ErrMalformed, ErrInvalid, ErrMissing or ErrExpired.
func Verify(b *trust.Bundle, s Signed, now time.Time) (Approved, error) {
	if len(s.Approvals) > MaxApprovals {
		return Approved{}, malformed("it has too many approvals")
	}
	r, err := Parse(s.Request)
	if err != nil {
		return Approved{}, err
	}
	if r.CreatedAt.After(now.Add(MaxAhead)) || !now.Before(r.CreatedAt.Add(ValidFor)) {
		return Approved{}, ErrExpired
	}
	a := Approved{Request: r, Digest: Digest(s.Request)}
	proposer, err := Who(b, s.Proposal, a.Digest)
	if err != nil {
		return Approved{}, err
	}
	if proposer.Name != r.Proposer {
		return Approved{}, invalid("the proposal is not by the person whom the text names")
	}
	for _, approval := range s.Approvals {
		approver, err := Who(b, approval, a.Digest)
		switch {
		case err != nil:
			return Approved{}, err
		case approver.Name == r.Proposer:
			return Approved{}, fmt.Errorf("%w: nobody approves what they propose", ErrMissing)
		case !MayApprove(approver.Role, r.Action):
			return Approved{}, fmt.Errorf("%w: the role of one may not approve this action", ErrMissing)
		}
		a.Approvers = append(a.Approvers, approver.Name)
	}
	slices.Sort(a.Approvers)
	if a.Approvers = slices.Compact(a.Approvers); len(a.Approvers) == 0 {
		return Approved{}, ErrMissing
	}
	return a, nil
}

// Who tells who made an assertion over the digest of a request, as the portal asks for each that comes in. Errors wrap
// ErrMalformed or ErrInvalid.
func Who(b *trust.Bundle, a Assertion, digest [sha256.Size]byte) (trust.Approver, error) {
	approver, ok := b.Approver(a.CredentialID)
	if !ok {
		return trust.Approver{}, invalid("its passkey is not in the trust bundle")
	}
	key, err := approver.Public()
	if err != nil {
		return trust.Approver{}, invalid("its key does not parse")
	}
	if err := a.verify(key, digest, b.WebAuthn); err != nil {
		return trust.Approver{}, err
	}
	return approver, nil
}

// MayApprove tells what a role is for: an approver approves everything, finance only that an order is issued against its
// invoice, and an issuer nothing.
func MayApprove(role trust.Role, action Action) bool {
	return role == trust.RoleApprover || role == trust.RoleFinance && action == ActionIssue
}
