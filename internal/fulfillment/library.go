package fulfillment

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

const (
	// LinkLife is how long a re-download link works.
	LinkLife = 7 * 24 * time.Hour

	runsOutSoon     = 14 * 24 * time.Hour
	minSecretLength = 32 // bytes
)

// LicenseStore reads issued licenses and notes what customers do with them. Every call but those by link ID is bound to an
// organization: another's license is ErrNotFound.
type LicenseStore interface {
	License(ctx context.Context, organizationID, licenseID string) (License, error)
	LicensePage(ctx context.Context, organizationID string, f LicenseFilter, p Page, now time.Time) ([]License, string, error)
	Lineage(ctx context.Context, organizationID, deploymentID string) ([]License, error)
	Deployments(ctx context.Context, organizationID string) ([]Deployment, error)
	// NoteDownload counts a download by a member.
	NoteDownload(ctx context.Context, organizationID, licenseID, userID string, at time.Time) error
	// NoteInstalled marks a license installed at a time, or not installed (the zero time).
	NoteInstalled(ctx context.Context, organizationID, licenseID string, at time.Time) error
}

// LinkStore keeps re-download links.
type LinkStore interface {
	InsertLink(ctx context.Context, organizationID, userID string, l Link) error
	LicenseLinks(ctx context.Context, organizationID, licenseID string) ([]Link, error)
	RevokeLink(ctx context.Context, organizationID, linkID string, at time.Time) error
	// Link finds a link and its license by the link's ID alone.
	Link(ctx context.Context, linkID string) (Link, License, error)
	// UseLink counts a download through a link that is live at the time. ErrNotFound if it is not.
	UseLink(ctx context.Context, linkID string, at time.Time) error
}

// LibraryConfig is what Library needs; every field is required.
type LibraryConfig struct {
	Licenses LicenseStore
	Links    LinkStore
	Secret   []byte // the portal's, at least 32 bytes; the tokens of links are derived from it
	Now      func() time.Time
	Random   io.Reader
}

// Library shows and hands out licenses, to members and by re-download link. It never changes a license's bytes.
type Library struct{ c LibraryConfig }

// NewLibrary returns the service, or says what is missing.
func NewLibrary(c LibraryConfig) (*Library, error) {
	if c.Licenses == nil || c.Links == nil || c.Now == nil || c.Random == nil {
		return nil, errors.New("fulfillment: the library needs licenses, links, clock and randomness")
	}
	if len(c.Secret) < minSecretLength {
		return nil, fmt.Errorf("fulfillment: the portal's secret has %d bytes, at least %d are needed", len(c.Secret), minSecretLength)
	}
	return &Library{c}, nil
}

// derived fills in what depends on the time.
func (s *Library) derived(l License) License {
	now := s.c.Now()
	l.RunsOutSoon = l.SupersededBy == "" && l.Withdrawn == nil && now.Before(l.Payload.ExpiresAt) && !now.Add(runsOutSoon).Before(l.Payload.ExpiresAt)
	return l
}

// License finds a license of the organization.
func (s *Library) License(ctx context.Context, organizationID, licenseID string) (License, error) {
	l, err := s.c.Licenses.License(ctx, organizationID, licenseID)
	return s.derived(l), err
}

// Licenses lists the organization's licenses, newest first.
func (s *Library) Licenses(ctx context.Context, organizationID string, f LicenseFilter, p Page) ([]License, string, error) {
	list, next, err := s.c.Licenses.LicensePage(ctx, organizationID, f, p, s.c.Now())
	for i := range list {
		list[i] = s.derived(list[i])
	}
	return list, next, err
}

// Lineage lists the licenses of a deployment, newest first.
func (s *Library) Lineage(ctx context.Context, organizationID, deploymentID string) ([]License, error) {
	list, err := s.c.Licenses.Lineage(ctx, organizationID, deploymentID)
	for i := range list {
		list[i] = s.derived(list[i])
	}
	return list, err
}

// Deployments lists the organization's deployments by name.
func (s *Library) Deployments(ctx context.Context, organizationID string) ([]Deployment, error) {
	return s.c.Licenses.Deployments(ctx, organizationID)
}

// Download answers the license for handing out and notes that userID took it. *RevokedError: it is not handed out.
func (s *Library) Download(ctx context.Context, organizationID, licenseID, userID string) (License, error) {
	l, err := s.License(ctx, organizationID, licenseID)
	if err != nil {
		return License{}, err
	}
	if l.Standing(s.c.Now()) == StandingRevoked {
		return License{}, &RevokedError{l}
	}
	return l, s.c.Licenses.NoteDownload(ctx, organizationID, licenseID, userID, s.c.Now())
}

// MarkInstalled notes that the customer installed the license, or takes that back.
func (s *Library) MarkInstalled(ctx context.Context, organizationID, licenseID string, installed bool) error {
	var at time.Time
	if installed {
		at = s.c.Now()
	}
	return s.c.Licenses.NoteInstalled(ctx, organizationID, licenseID, at)
}

// CreateLink makes a link that hands out the license to whoever has its token, for seven days.
func (s *Library) CreateLink(ctx context.Context, organizationID, licenseID, userID string) (Link, string, error) {
	now := s.c.Now()
	id, err := NewID("lnk_", now, s.c.Random)
	if err != nil {
		return Link{}, "", err
	}
	l := Link{ID: id, LicenseID: licenseID, CreatedAt: now, ExpiresAt: now.Add(LinkLife)}
	if err := s.c.Links.InsertLink(ctx, organizationID, userID, l); err != nil {
		return Link{}, "", err
	}
	return l, s.LinkToken(id), nil
}

// Links lists the links of a license, newest first.
func (s *Library) Links(ctx context.Context, organizationID, licenseID string) ([]Link, error) {
	return s.c.Links.LicenseLinks(ctx, organizationID, licenseID)
}

// RevokeLink ends a link; doing so twice is no error.
func (s *Library) RevokeLink(ctx context.Context, organizationID, linkID string) error {
	return s.c.Links.RevokeLink(ctx, organizationID, linkID, s.c.Now())
}

// PeekLink tells what a token hands out and changes nothing; the link may have expired or been revoked.
func (s *Library) PeekLink(ctx context.Context, token string) (Link, License, error) {
	id, ok := s.linkID(token)
	if !ok {
		return Link{}, License{}, ErrNotFound
	}
	link, l, err := s.c.Links.Link(ctx, id)
	return link, s.derived(l), err
}

// DownloadByLink hands out the license behind a live link and counts it. ErrNotFound for any other; *RevokedError.
func (s *Library) DownloadByLink(ctx context.Context, token string) (License, error) {
	link, l, err := s.PeekLink(ctx, token)
	if err != nil {
		return License{}, err
	}
	if link.Live(s.c.Now()) && l.Standing(s.c.Now()) == StandingRevoked {
		return License{}, &RevokedError{l}
	}
	return l, s.c.Links.UseLink(ctx, link.ID, s.c.Now())
}

// LinkToken derives the token of a link, so that the database holds nothing that opens one.
func (s *Library) LinkToken(linkID string) string {
	mac := hmac.New(sha256.New, s.c.Secret)
	mac.Write([]byte("redownload\x00" + linkID))
	return linkID + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func (s *Library) linkID(token string) (string, bool) {
	id, _, ok := strings.Cut(token, ".")
	return id, ok && strings.HasPrefix(id, "lnk_") && hmac.Equal([]byte(token), []byte(s.LinkToken(id)))
}
