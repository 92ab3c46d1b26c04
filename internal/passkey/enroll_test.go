package passkey_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/passkey"
	"github.com/metrum-ai/licensing-portal/internal/token"
	"github.com/metrum-ai/licensing-portal/internal/trust"
)

// fixed is a catalog of one bundle.
type fixed struct{ bundle *trust.Bundle }

func (f fixed) Bundle(context.Context) (*trust.Bundle, error) { return f.bundle, nil }

// desk is enrollment at a portal, with a clock that the test turns.
type desk struct {
	*passkey.Enrollment
	now    time.Time
	bundle *trust.Bundle
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), bundle: &trust.Bundle{}}
	var err error
	d.Enrollment, err = passkey.NewEnrollment(passkey.EnrollmentConfig{
		Catalog: fixed{d.bundle}, PublicURL: "http://localhost:8080", Secret: bytes.Repeat([]byte{7}, 32), Now: func() time.Time { return d.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *desk) invite(t *testing.T, name string, role trust.Role) (link string) {
	t.Helper()
	address, until, err := d.Invite(name, role)
	if err != nil {
		t.Fatal(err)
	}
	link, ok := strings.CutPrefix(address, "http://localhost:8080/staff/enroll/")
	if !ok || !until.Equal(d.now.Add(time.Hour)) {
		t.Fatalf("%s until %s", address, until)
	}
	return link
}

func TestAnInvitationMakesOnePersonsRecord(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	link := d.invite(t, "Ada Lovelace", trust.RoleApprover)
	i, err := d.Open(t.Context(), link)
	if err != nil || i.Name != "Ada Lovelace" || i.Role != trust.RoleApprover || i.RPID != "localhost" {
		t.Fatalf("%+v, %v", i, err)
	}
	ec, _ := es256(t)
	record, err := d.Enroll(t.Context(), link, newAuthenticator(ec).register(t, i.Challenge))
	if err != nil {
		t.Fatal(err)
	}
	if record.Name != i.Name || record.Role != i.Role || record.Software || record.Check(false) != nil {
		t.Errorf("record %+v", record)
	}
	other, err := d.Open(t.Context(), d.invite(t, "Ben", trust.RoleIssuer))
	if err != nil || other.Challenge == i.Challenge || other.User == i.User {
		t.Errorf("two invitations share a challenge or a user: %v", err)
	}
	if _, err := d.Enroll(t.Context(), link, newAuthenticator(ec).register(t, other.Challenge)); !errors.Is(err, passkey.ErrRefused) {
		t.Errorf("the answer to another invitation: %v", err)
	}
}

func TestAnInvitationIsForItsHourAndWhoItNames(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for name, role := range map[string]trust.Role{"": trust.RoleIssuer, "Ada": "boss", "two\nlines": trust.RoleIssuer} {
		if address, _, err := d.Invite(name, role); err == nil {
			t.Errorf("%q as %q is invited: %s", name, role, address)
		}
	}
	link := d.invite(t, "Ada", trust.RoleFinance)
	i, err := d.Open(t.Context(), link)
	if err != nil {
		t.Fatal(err)
	}
	ec, _ := es256(t)
	d.now = d.now.Add(time.Hour)
	if got, err := d.Open(t.Context(), link); !errors.Is(err, token.ErrExpired) || got.Name != "Ada" || got.Until.IsZero() {
		t.Errorf("an hour later: %+v, %v", got, err)
	}
	if _, err := d.Enroll(t.Context(), link, newAuthenticator(ec).register(t, i.Challenge)); !errors.Is(err, token.ErrExpired) {
		t.Errorf("enrolled an hour later: %v", err)
	}
	if _, err := d.Open(t.Context(), link+"x"); !errors.Is(err, token.ErrUnknown) {
		t.Errorf("another link: %v", err)
	}
}

func TestAPasskeyIsMadeWhereTheBundleLetsItAssert(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	link := d.invite(t, "Ada", trust.RoleApprover)
	d.bundle.WebAuthn = trust.WebAuthn{RPID: "licenses.example", Origins: []string{"https://licenses.example"}}
	if _, err := d.Open(t.Context(), link); !errors.Is(err, passkey.ErrOrigin) {
		t.Errorf("at another address: %v", err)
	}
	d.bundle.WebAuthn = party
	d.bundle.Approvers = []trust.Approver{{Name: "Ada", CredentialID: "AAAA"}, {Name: "Ada", CredentialID: "BBBB", Software: true}, {Name: "Ben", CredentialID: "CCCC"}}
	i, err := d.Open(t.Context(), link)
	if err != nil || len(i.Known) != 1 || i.Known[0] != "AAAA" {
		t.Errorf("known %q, %v", i.Known, err)
	}
}
