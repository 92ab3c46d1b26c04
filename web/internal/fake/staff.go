package fake

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/passkey"
	"github.com/metrum-ai/licensing-portal/internal/token"
	"github.com/metrum-ai/licensing-portal/internal/trust"
)

// Tokens of invitations, and what a browser answers whose passkey verified its user.
const (
	EnrollToken, EnrollExpired, EnrollElsewhere = "enroll-live", "enroll-old", "enroll-elsewhere"
	GoodPasskey                                 = "good"
)

// Enrollment is the part of the services that invites staff.
type Enrollment struct{ *Services }

// Open implements web.Enrollment.
func (s Enrollment) Open(_ context.Context, link string) (passkey.Invitation, error) {
	i := passkey.Invitation{Name: "Ada Lovelace", Role: trust.RoleApprover, Until: s.now().Add(50 * time.Minute), RPID: "localhost"}
	switch link {
	case EnrollToken:
		i.Challenge, i.User, i.Known = sha256.Sum256([]byte("challenge")), sha256.Sum256([]byte("user")), []string{"AAAA"}
		return i, nil
	case EnrollExpired:
		i.Until = s.now().Add(-time.Minute)
		return i, token.ErrExpired
	case EnrollElsewhere:
		return i, passkey.ErrOrigin
	}
	return passkey.Invitation{}, token.ErrUnknown
}

// Enroll implements web.Enrollment.
func (s Enrollment) Enroll(ctx context.Context, link string, response []byte) (trust.Approver, error) {
	i, err := s.Open(ctx, link)
	if err != nil {
		return trust.Approver{}, err
	}
	if string(response) != GoodPasskey {
		return trust.Approver{}, passkey.ErrRefused
	}
	return trust.Approver{
		Name: i.Name, Role: i.Role, CredentialID: "c3RhZmYtcGFzc2tleS0wMDE", PublicKeyBase64: base64.StdEncoding.EncodeToString(make([]byte, 91)),
	}, nil
}
