package passkey

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/token"
	"github.com/metrum-ai/licensing-portal/internal/trust"
)

// InvitationLife is how long a link to enrollment works.
const InvitationLife = time.Hour

// ErrOrigin says that the trust bundle lets no passkey assert at the portal's address, so that one made here would be for
// nothing.
var ErrOrigin = errors.New("the trust bundle does not name this portal's address for passkeys")

// Bundles answers the trust bundle that the signer obeys.
type Bundles interface {
	Bundle(ctx context.Context) (*trust.Bundle, error)
}

// EnrollmentConfig is what Enrollment needs; every field is required.
type EnrollmentConfig struct {
	Catalog   Bundles
	PublicURL string // the portal's, an origin: https://licenses.example.com
	Secret    []byte // the portal's, at least 32 bytes
	Now       func() time.Time
}

// Enrollment lets staff make passkeys and writes the records of them that the root holders put into a trust bundle. It keeps
// nothing: an invitation is in its link, and a record that is in no bundle means nothing to the signer.
type Enrollment struct {
	c      EnrollmentConfig
	tokens *token.Maker
}

// NewEnrollment returns the service, or says what is missing.
func NewEnrollment(c EnrollmentConfig) (*Enrollment, error) {
	if c.Catalog == nil || c.PublicURL == "" || c.Now == nil {
		return nil, errors.New("passkey: enrollment needs a catalog, public URL and clock")
	}
	tokens, err := token.NewMaker("enroll", c.Secret)
	if err != nil {
		return nil, err
	}
	return &Enrollment{c: c, tokens: tokens}, nil
}

// Invitation is what a link to enrollment is for, and what a browser needs to make the passkey.
type Invitation struct {
	Name      string
	Role      trust.Role
	Until     time.Time
	RPID      string
	Challenge [sha256.Size]byte // bound to the link
	User      [sha256.Size]byte // names the passkey to the authenticator; another invitation never writes over it
	Known     []string          // credential IDs that the bundle has under this name: the device of one is not enrolled twice
}

// person is the subject of an invitation's token.
type person struct {
	Name string     `json:"n"`
	Role trust.Role `json:"r"`
}

// Invite makes the address at which a member of staff enrolls, for an hour.
func (e *Enrollment) Invite(name string, role trust.Role) (address string, until time.Time, err error) {
	if err := (trust.Approver{Name: name, Role: role}).CheckPerson(); err != nil {
		return "", time.Time{}, err
	}
	subject, err := json.Marshal(person{name, role})
	if err != nil {
		return "", time.Time{}, fmt.Errorf("invite: %w", err)
	}
	until = e.c.Now().Add(InvitationLife).UTC().Truncate(time.Second)
	return e.c.PublicURL + "/staff/enroll/" + e.tokens.Seal(string(subject), until), until, nil
}

// Open tells what an invitation is for and changes nothing. Errors: token.ErrUnknown, token.ErrExpired (with name, role and
// time), ErrOrigin, and what keeps the bundle away.
func (e *Enrollment) Open(ctx context.Context, link string) (Invitation, error) {
	i, _, err := e.open(ctx, link)
	return i, err
}

func (e *Enrollment) open(ctx context.Context, link string) (Invitation, trust.WebAuthn, error) {
	subject, until, err := e.tokens.Open(link, e.c.Now())
	if errors.Is(err, token.ErrUnknown) {
		return Invitation{}, trust.WebAuthn{}, err
	}
	var who person
	if readErr := json.Unmarshal([]byte(subject), &who); readErr != nil {
		return Invitation{}, trust.WebAuthn{}, token.ErrUnknown
	}
	i := Invitation{Name: who.Name, Role: who.Role, Until: until}
	if err != nil {
		return i, trust.WebAuthn{}, err
	}
	bundle, err := e.c.Catalog.Bundle(ctx)
	if err != nil {
		return i, trust.WebAuthn{}, err
	}
	w, err := e.party(bundle)
	if err != nil {
		return i, w, err
	}
	i.RPID, i.Challenge, i.User = w.RPID, e.tokens.Derive("challenge", link), e.tokens.Derive("user", link)
	for _, a := range bundle.Approvers {
		if a.Name == who.Name && !a.Software {
			i.Known = append(i.Known, a.CredentialID)
		}
	}
	return i, w, nil
}

// party is the relying party that the bundle pins, or before it pins one the portal's own host.
func (e *Enrollment) party(b *trust.Bundle) (trust.WebAuthn, error) {
	u, err := url.Parse(e.c.PublicURL)
	if err != nil {
		return trust.WebAuthn{}, fmt.Errorf("enroll: %w", err)
	}
	own := trust.WebAuthn{RPID: u.Hostname(), Origins: []string{e.c.PublicURL}}
	if b.WebAuthn.RPID == "" {
		return own, nil
	}
	if !slices.Contains(b.WebAuthn.Origins, own.Origins[0]) {
		return trust.WebAuthn{}, ErrOrigin
	}
	return trust.WebAuthn{RPID: b.WebAuthn.RPID, Origins: own.Origins}, nil
}

// Enroll verifies the registration of a passkey and answers its record, the entry of the next bundle. Nothing is stored, and
// nothing is approved by the passkey before a bundle lists it. Errors are Open's, and ErrRefused.
func (e *Enrollment) Enroll(ctx context.Context, link string, response []byte) (trust.Approver, error) {
	i, w, err := e.open(ctx, link)
	if err != nil {
		return trust.Approver{}, err
	}
	c, err := Register(w, i.Challenge, response)
	if err != nil {
		return trust.Approver{}, err
	}
	record := trust.Approver{Name: i.Name, Role: i.Role, CredentialID: c.ID, PublicKeyBase64: c.PublicKeyBase64}
	if err := record.Check(false); err != nil {
		return trust.Approver{}, refused(err)
	}
	return record, nil
}
