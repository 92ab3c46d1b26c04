package approval

import (
	"crypto/sha256"
	"errors"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/trust"
)

// What refuses a signed request. Every error of this package wraps exactly one of these.
var (
	ErrMalformed = errors.New("malformed staff request")
	ErrInvalid   = errors.New("an assertion proves nothing")
	ErrMissing   = errors.New("others must approve")
	ErrExpired   = errors.New("the request is not of the last 24 hours")
)

// How long a request may be approved and used, and how far its time may be ahead of the reader's clock.
const (
	ValidFor = 24 * time.Hour
	MaxAhead = 5 * time.Minute
)

// Approved is a request whose every assertion verified.
type Approved struct {
	Request   Request
	Digest    [sha256.Size]byte
	Approvers []string // the different people who approved, sorted; none of them proposed it
}

// Verify checks a signed request against the trust bundle: the text, the proposer's assertion, and one by a different
// person for each approval, who may approve the action. How many must have approved is the caller's to decide from the
// reach, with at least one. Errors wrap ErrMalformed, ErrInvalid, ErrMissing or ErrExpired.
func Verify(b *trust.Bundle, s Signed, now time.Time) (Approved, error) {
	return Approved{}, ErrInvalid
}
