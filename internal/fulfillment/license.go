package fulfillment

import (
	"time"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/license"
)

// License is one issuance as its customer sees it. Where it stands is derived from dates and lineage when asked.
type License struct {
	ID             string
	OrderID        string // "" of a replacement, which staff asked for
	OrganizationID string
	DeploymentID   string
	DeploymentName string
	Kind           catalog.IssuanceKind
	BaseLicenseID  string
	TemplateName   string
	TemplateRef    string // sku@version that was bought, or moved to
	Payload        license.Payload
	Envelope       []byte // the exact bytes of license.json
	SHA256         string // lower-case hex of Envelope
	StoredAt       time.Time
	InstalledAt    time.Time // marked by the customer; zero if not
	DownloadedAt   time.Time // first; zero if never
	SupersededBy   string    // the newest license of the deployment that has this one as base, directly or not, and is not revoked; "" if none
	SupersededAt   time.Time // when that one was issued
	RunsOutSoon    bool      // expires within 14 days, not superseded, not expired, not withdrawn
	Newest         bool      // of the deployment, those that are revoked after all others; see Extendable

	// Withdrawn is what the newest revocation bundle says of it, in effect or announced; nil: nothing.
	Withdrawn *license.RevocationEntry
	// ReinstatedAt is when a bundle was issued that stopped naming it; zero where none did, or a later one names it again.
	ReinstatedAt time.Time
}

// Standing is where a license stands at a time.
type Standing string

// The standings. The first three come from a revocation bundle, which routers refuse a license for once they are given it.
const (
	StandingRevoked     Standing = "revoked"
	StandingSuspended   Standing = "suspended"
	StandingReplaced    Standing = "replaced" // superseded in a revocation bundle
	StandingValid       Standing = "valid"
	StandingNotYetValid Standing = "not_yet_valid"
	StandingExpired     Standing = "expired"
	StandingSuperseded  Standing = "superseded" // a newer one exists, and this one is valid until its expiry
)

// Standing derives where l stands at now.
func (l License) Standing(now time.Time) Standing {
	if e := l.Withdrawn; e != nil && !e.Pending(now) {
		switch e.Status {
		case license.StatusRevoked:
			return StandingRevoked
		case license.StatusSuspended:
			return StandingSuspended
		}
	}
	switch {
	case !now.Before(l.Payload.ExpiresAt):
		return StandingExpired
	case l.Withdrawn != nil && !l.Withdrawn.Pending(now):
		return StandingReplaced
	case l.SupersededBy != "":
		return StandingSuperseded
	case now.Before(l.Payload.NotBefore):
		return StandingNotYetValid
	}
	return StandingValid
}

// Stopped reports whether a revocation bundle takes l out of service at now.
func (l License) Stopped(now time.Time) bool {
	switch l.Standing(now) {
	case StandingRevoked, StandingSuspended, StandingReplaced:
		return true
	}
	return false
}

// WorksUntil is when l stops to work: when it expires, or before that when a revocation bundle says so.
func (l License) WorksUntil() time.Time {
	if l.Withdrawn != nil && l.Withdrawn.EffectiveAt.Before(l.Payload.ExpiresAt) {
		return l.Withdrawn.EffectiveAt
	}
	return l.Payload.ExpiresAt
}

// Extendable reports whether renewals and top-ups may be bought on l: on the newest of its deployment, unless a revocation
// bundle names it.
func (l License) Extendable() bool { return l.Newest && l.Withdrawn == nil }

// RevokedError refuses to hand out a license that was revoked.
type RevokedError struct{ License License }

// Error implements error.
func (e *RevokedError) Error() string { return "license " + e.License.ID + " was revoked" }

// Deployment is a place where a router runs: the lineage that licenses follow one another in.
type Deployment struct {
	ID        string // "dep_…"
	Name      string
	CreatedAt time.Time
}

// Link is a re-download link: whoever has its token may download the license until it expires or is revoked.
type Link struct {
	ID        string // "lnk_…"
	LicenseID string
	CreatedAt time.Time
	ExpiresAt time.Time
	RevokedAt time.Time // zero if not
	Downloads int
}

// Live reports whether the link still works at now.
func (l Link) Live(now time.Time) bool { return l.RevokedAt.IsZero() && now.Before(l.ExpiresAt) }

// Page asks for a page of a list; a page holds 25 rows. Cursor is opaque and empty for the first page.
type Page struct{ Cursor string }

// LicenseFilter narrows a list of licenses to those in force (not superseded, revoked or expired, though they may be
// suspended), the expired, or all.
type LicenseFilter string

// The filters.
const (
	FilterCurrent LicenseFilter = "current"
	FilterAll     LicenseFilter = "all"
	FilterExpired LicenseFilter = "expired"
)
