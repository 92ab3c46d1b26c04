package trust

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/license"
)

// Bounds of what a bundle may list. A credential ID is at most 1023 bytes long
// (https://www.w3.org/TR/webauthn-3/#credential-id).
const (
	maxApproverName = 100 // bytes
	maxCredentialID = 1023
	maxExtraMonths  = 120
	maxLimitFactor  = 100
)

var approverRoles = []Role{RoleIssuer, RoleApprover, RoleFinance}

// Approver finds whose passkey a credential ID names.
func (b *Bundle) Approver(credentialID string) (Approver, bool) {
	i := slices.IndexFunc(b.Approvers, func(a Approver) bool { return a.CredentialID == credentialID })
	if i < 0 {
		return Approver{}, false
	}
	return b.Approvers[i], true
}

// Public decodes the key: an *ecdsa.PublicKey on P-256 or an ed25519.PublicKey.
func (a Approver) Public() (crypto.PublicKey, error) {
	der, err := base64.StdEncoding.Strict().DecodeString(a.PublicKeyBase64)
	if err != nil {
		return nil, errors.New("public_key_base64 is not standard base64")
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, errors.New("public_key_base64 is not an SPKI public key")
	}
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return nil, errors.New("public_key_base64 is on another curve than P-256")
		}
	case ed25519.PublicKey:
		// A key ring refuses what anyone could sign for.
		if _, err := license.NewKeyRing(license.Key{ID: "approver", Public: k}); err != nil {
			return nil, fmt.Errorf("public_key_base64: %w", err)
		}
	default:
		return nil, errors.New("public_key_base64 is neither ECDSA P-256 nor Ed25519")
	}
	if again, err := x509.MarshalPKIXPublicKey(key); err != nil || !bytes.Equal(again, der) {
		return nil, errors.New("public_key_base64 is not the one spelling of its key")
	}
	return key, nil
}

// CheckPerson validates who an entry is for, as a bundle that lists it does.
func (a Approver) CheckPerson() error {
	switch {
	case !catalog.PlainText(a.Name, maxApproverName):
		return fmt.Errorf("name is not plain text of 1 to %d bytes", maxApproverName)
	case !slices.Contains(approverRoles, a.Role):
		return errors.New("role is not issuer, approver or finance")
	}
	return nil
}

// Check validates an entry as a bundle that lists it does; demo says whether that is a demo's.
func (a Approver) Check(demo bool) error {
	id, err := base64.RawURLEncoding.Strict().DecodeString(a.CredentialID)
	_, keyErr := a.Public()
	personErr := a.CheckPerson()
	switch {
	case personErr != nil:
		return personErr
	case err != nil || len(id) == 0 || len(id) > maxCredentialID || strings.ContainsAny(a.CredentialID, "\r\n"):
		return errors.New("credential_id is not base64url without padding")
	case keyErr != nil:
		return keyErr
	case a.Software && !demo:
		return errors.New("a software approver is for a demo only")
	}
	return nil
}

// approverProblems also keeps people apart: one that could pass for two would approve alone.
func (b *Bundle) approverProblems() []error {
	var list []error
	bad := func(i int, format string, args ...any) {
		list = append(list, fmt.Errorf("approver %d: "+format, append([]any{i}, args...)...))
	}
	for i, a := range b.Approvers {
		if err := a.Check(b.Demo); err != nil {
			bad(i, "%w", err)
		}
		for _, other := range b.Approvers[:i] {
			switch {
			case a.CredentialID == other.CredentialID || a.PublicKeyBase64 == other.PublicKeyBase64:
				bad(i, "credential ID or public key repeats")
			case a.Name != other.Name && strings.EqualFold(a.Name, other.Name):
				bad(i, "the name differs from another only by case")
			case a.Name == other.Name && a.Role != other.Role:
				bad(i, "a person has one role")
			}
		}
	}
	if err := b.WebAuthn.check(); err != nil && (len(b.Approvers) > 0 || b.WebAuthn.RPID != "" || len(b.WebAuthn.Origins) > 0) {
		list = append(list, fmt.Errorf("webauthn: %w", err))
	}
	return list
}

var hostName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$`)

// check validates the relying party, and that its origins are those of pages that browsers let assert for it
// (https://www.w3.org/TR/webauthn-3/#relying-party-identifier).
func (w WebAuthn) check() error {
	if !hostName.MatchString(w.RPID) || len(w.RPID) > 253 {
		return errors.New("rp_id is not a host name in lower case")
	}
	if len(w.Origins) == 0 || len(w.Origins) > 16 {
		return errors.New("origins are missing or more than 16")
	}
	for _, origin := range w.Origins {
		u, err := url.Parse(origin)
		switch {
		case err != nil || u.Scheme+"://"+u.Host != origin || !hostName.MatchString(u.Hostname()):
			return errors.New("an origin is not scheme://host or scheme://host:port")
		case u.Scheme != "https" && (u.Scheme != "http" || u.Hostname() != "localhost"):
			return errors.New("an origin is neither https nor http://localhost")
		case u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80" || strings.HasSuffix(u.Host, ":"):
			return errors.New("an origin names its scheme's own port, as no browser does")
		case u.Hostname() != w.RPID && !strings.HasSuffix(u.Hostname(), "."+w.RPID):
			return errors.New("an origin is not of the rp_id's host")
		}
	}
	return nil
}
