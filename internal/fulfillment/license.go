package fulfillment

import (
	"time"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/license"
)

// License is one issuance as its customer sees it. Where it stands is derived from dates and lineage when asked.
type License struct {
	ID             string
	OrderID        string
	OrganizationID string
	DeploymentID   string
	DeploymentName string
	Kind           catalog.IssuanceKind
	BaseLicenseID  string
	TemplateName   string
	Payload        license.Payload
	Envelope       []byte // the exact bytes of license.json
	SHA256         string // lower-case hex of Envelope
	StoredAt       time.Time
	InstalledAt    time.Time // marked by the customer; zero if not
	DownloadedAt   time.Time // first; zero if never
	SupersededBy   string    // the newest license of the deployment that has this one as base, directly or not; "" if none
	SupersededAt   time.Time // when that one was issued
	RunsOutSoon    bool      // expires within 14 days, not superseded, not expired
	Newest         bool      // renewals and top-ups are offered on it
}

// Standing is where a license stands at a time.
type Standing string

// The standings the portal can derive; suspended and revoked come with revocation bundles.
const (
	StandingValid       Standing = "valid"
	StandingNotYetValid Standing = "not_yet_valid"
	StandingExpired     Standing = "expired"
	StandingSuperseded  Standing = "superseded" // replaced, and still valid until its expiry
)

// Standing derives where l stands at now.
func (l License) Standing(now time.Time) Standing {
	switch {
	case !now.Before(l.Payload.ExpiresAt):
		return StandingExpired
	case l.SupersededBy != "":
		return StandingSuperseded
	case now.Before(l.Payload.NotBefore):
		return StandingNotYetValid
	}
	return StandingValid
}

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

// LicenseFilter narrows a list of licenses to those in force (not superseded, not expired), the expired, or all.
type LicenseFilter string

// The filters.
const (
	FilterCurrent LicenseFilter = "current"
	FilterAll     LicenseFilter = "all"
	FilterExpired LicenseFilter = "expired"
)
