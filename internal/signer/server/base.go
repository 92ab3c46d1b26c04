package server

import (
	"time"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/signer/log"
	"github.com/metrum-ai/licensing-portal/license"
)

// base verifies the base of a purchase: the file that the intent names. New licenses have none.
func (i *Issuer) base(intent catalog.Intent, envelope string, issuedAt time.Time) (*license.Payload, error) {
	if intent.Kind == catalog.IssueNew {
		if envelope != "" {
			return nil, refuse(signer.CodeBaseMismatch, "a new license has no base")
		}
		return nil, nil
	}
	if envelope == "" {
		return nil, refuse(signer.CodeBaseMissing, "a renewal or top-up needs its base envelope")
	}
	payload, err := i.readBase(envelope, intent.BaseSHA256, issuedAt)
	if err != nil {
		return nil, err
	}
	causes, err := i.config.Log.Causes(payload.LicenseID)
	if err != nil {
		return nil, i.logRefusal(err, "")
	}
	if revoked(causes) {
		return nil, refuse(signer.CodeRevoked, "the base was revoked")
	}
	return &payload, nil
}

// readBase reads a license of ours, or from before the portal. Its key is trusted as of the evidence, so that the same
// evidence finds the same base good later. Under a key that was withdrawn since, only what is in the log is good: whoever
// else has that key could have made any other.
func (i *Issuer) readBase(envelope, sha256 string, issuedAt time.Time) (license.Payload, error) {
	if digest([]byte(envelope)) != sha256 {
		return license.Payload{}, refuse(signer.CodeBaseMismatch, "the base is not the file that the evidence names")
	}
	read, err := license.Read([]byte(envelope), i.bases, issuedAt)
	if err == nil {
		return read.Payload(), nil
	}
	refused := refuse(signer.CodeBaseInvalid, "the base does not verify")
	if read, err = license.Read([]byte(envelope), i.everyKey, issuedAt); err != nil {
		return license.Payload{}, refused
	}
	logged, found, err := i.config.Log.License(read.Payload().LicenseID)
	switch {
	case err != nil:
		return license.Payload{}, i.logRefusal(err, "")
	case !found || string(logged.Envelope) != envelope:
		return license.Payload{}, refused
	}
	return read.Payload(), nil
}

// newest finds the template whose rules hold for a base; nil for one from before the portal.
func (i *Issuer) newest(sku string) *catalog.Template {
	if t, ok := i.config.Bundle.Newest(sku); ok {
		return &t
	}
	return nil
}

// stands refuses a base that was revoked or is suspended: what replaces it would be neither.
func (i *Issuer) stands(licenseID string) error {
	causes, err := i.config.Log.Causes(licenseID)
	if err != nil {
		return i.logRefusal(err, "")
	}
	if revoked(causes) || suspended(causes) {
		return refuse(signer.CodeRevoked, "the base was revoked or is suspended")
	}
	return nil
}

func suspended(causes log.Causes) bool {
	for _, c := range causes {
		if c.Status == license.StatusSuspended {
			return true
		}
	}
	return false
}
