package catalog

import "fmt"

// Reach is how far something goes beyond what anyone may buy: the number of different people who must approve it.
type Reach int

// The reaches.
const (
	ReachTemplate Reach = 1 // within the template's limits and 30 more days
	ReachBounds   Reach = 2 // beyond, up to the bundle's outer bounds
)

// ErrBeyond refuses what nobody may approve. It wraps ErrRefused.
var ErrBeyond = fmt.Errorf("%w: beyond what anyone may approve", ErrRefused)

// Bounds are how far two approvers may go beyond a template; nobody may go further.
type Bounds struct {
	ExtraMonths int   `json:"extra_months"` // after the expiry that the license would have, or has
	LimitFactor int64 `json:"limit_factor"` // times a limit of the template
}
