package fake

import (
	"context"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// Licenses is the part of the services that keeps licenses.
type Licenses struct{ *Services }

// Licenses implements web.Licenses.
func (s Licenses) Licenses(_ context.Context, organizationID string, f fulfillment.LicenseFilter, _ fulfillment.Page) ([]fulfillment.License, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []fulfillment.License
	for _, l := range s.LicenseList {
		standing := l.Standing(s.now())
		expired := standing == fulfillment.StandingExpired
		current := standing == fulfillment.StandingValid || standing == fulfillment.StandingNotYetValid || standing == fulfillment.StandingSuspended
		if l.OrganizationID != organizationID || (f == fulfillment.FilterExpired && !expired) || (f == fulfillment.FilterCurrent && !current) {
			continue
		}
		list = append(list, l)
	}
	return list, "", nil
}

// License implements web.Licenses.
func (s Licenses) License(_ context.Context, organizationID, id string) (fulfillment.License, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.LicenseList {
		if l.ID == id && l.OrganizationID == organizationID {
			return l, nil
		}
	}
	return fulfillment.License{}, fulfillment.ErrNotFound
}

// Lineage implements web.Licenses.
func (s Licenses) Lineage(_ context.Context, organizationID, deploymentID string) ([]fulfillment.License, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []fulfillment.License
	for _, l := range s.LicenseList {
		if l.DeploymentID == deploymentID && l.OrganizationID == organizationID {
			list = append(list, l)
		}
	}
	return list, nil
}

// Deployments implements web.Licenses.
func (s Licenses) Deployments(_ context.Context, organizationID string) ([]fulfillment.Deployment, error) {
	if organizationID != OrganizationID {
		return nil, nil
	}
	return s.DeploymentSet, nil
}

// Download implements web.Licenses.
func (s Licenses) Download(ctx context.Context, organizationID, id, _ string) (fulfillment.License, error) {
	l, err := s.License(ctx, organizationID, id)
	if err == nil && l.Standing(s.now()) == fulfillment.StandingRevoked {
		err = &fulfillment.RevokedError{License: l}
	}
	return l, err
}

// MarkInstalled implements web.Licenses.
func (s Licenses) MarkInstalled(ctx context.Context, organizationID, id string, installed bool) error {
	if _, err := s.License(ctx, organizationID, id); err != nil {
		return err
	}
	defer s.change()()
	for n := range s.LicenseList {
		if l := &s.LicenseList[n]; l.ID == id {
			l.InstalledAt = s.now()
			if !installed {
				l.InstalledAt = time.Time{}
			}
		}
	}
	return nil
}

// Revocations is the part of the services that hands out the revocation bundle.
type Revocations struct{ *Services }

// Current implements web.Revocations.
func (s Revocations) Current(context.Context) (fulfillment.RevocationBundle, error) {
	return s.RevocationValue, s.RevocationError
}

// Links is the part of the services that keeps re-download links.
type Links struct{ *Services }

// CreateLink implements web.Links.
func (s Links) CreateLink(_ context.Context, _, licenseID, _ string) (fulfillment.Link, string, error) {
	defer s.change()()
	l := fulfillment.Link{ID: "lnk_made", LicenseID: licenseID, CreatedAt: s.now(), ExpiresAt: s.now().AddDate(0, 0, 7)}
	s.LinkList = append(s.LinkList, l)
	s.LinkTokens["made-token-0123456789"] = l.ID
	return l, "made-token-0123456789", nil
}

// Links implements web.Links.
func (s Links) Links(_ context.Context, _, licenseID string) ([]fulfillment.Link, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []fulfillment.Link
	for _, l := range s.LinkList {
		if l.LicenseID == licenseID {
			list = append(list, l)
		}
	}
	return list, nil
}

// RevokeLink implements web.Links.
func (s Links) RevokeLink(_ context.Context, organizationID, id string) error {
	if organizationID != OrganizationID {
		return fulfillment.ErrNotFound
	}
	defer s.change()()
	for n := range s.LinkList {
		if s.LinkList[n].ID == id {
			s.LinkList[n].RevokedAt = s.now()
		}
	}
	return nil
}

// PeekLink implements web.Links.
func (s Links) PeekLink(ctx context.Context, token string) (fulfillment.Link, fulfillment.License, error) {
	s.mu.Lock()
	id, ok := s.LinkTokens[token]
	var link fulfillment.Link
	for _, l := range s.LinkList {
		if l.ID == id {
			link = l
		}
	}
	s.mu.Unlock()
	if !ok {
		return link, fulfillment.License{}, fulfillment.ErrNotFound
	}
	l, err := Licenses(s).License(ctx, OrganizationID, link.LicenseID)
	return link, l, err
}

// DownloadByLink implements web.Links.
func (s Links) DownloadByLink(ctx context.Context, token string) (fulfillment.License, error) {
	link, l, err := s.PeekLink(ctx, token)
	switch {
	case err == nil && !link.Live(s.now()):
		err = fulfillment.ErrNotFound
	case err == nil && l.Standing(s.now()) == fulfillment.StandingRevoked:
		err = &fulfillment.RevokedError{License: l}
	}
	if err != nil {
		return fulfillment.License{}, err
	}
	defer s.change()()
	return l, nil
}
