package approval_test

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/trust"
)

// office is a bundle's staff, some with a spare passkey.
type office struct {
	issuer, issuerSpare, ada, adaSpare, bob, finance authenticator
	bundle                                           *trust.Bundle
}

func newOffice(t testing.TB) office {
	o := office{
		issuer: passkey(t, "Ines Issuer", trust.RoleIssuer), issuerSpare: edPasskey(t, "Ines Issuer", trust.RoleIssuer),
		ada: passkey(t, "Ada", trust.RoleApprover), adaSpare: edPasskey(t, "Ada", trust.RoleApprover),
		bob: edPasskey(t, "Bob", trust.RoleApprover), finance: passkey(t, "Fay", trust.RoleFinance),
	}
	o.bundle = bundleOf(o.issuer, o.issuerSpare, o.ada, o.adaSpare, o.bob, o.finance)
	return o
}

// signed is a request proposed and approved by the given passkeys.
func signed(t testing.TB, text string, proposer authenticator, approvers ...authenticator) approval.Signed {
	t.Helper()
	s := approval.Signed{Request: text, Proposal: proposer.over(t, text)}
	for _, a := range approvers {
		s.Approvals = append(s.Approvals, a.over(t, text))
	}
	return s
}

func TestWhoApprovedIsCountedByPerson(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	nine := slices.Repeat([]authenticator{o.ada}, 9)
	cases := map[string]struct {
		action    string
		proposer  authenticator
		approvers []authenticator
		want      []string
		err       error
	}{
		"one":                         {"replace", o.issuer, []authenticator{o.ada}, []string{"Ada"}, nil},
		"two":                         {"replace", o.issuer, []authenticator{o.bob, o.ada}, []string{"Ada", "Bob"}, nil},
		"one with two passkeys":       {"rotate", o.issuer, []authenticator{o.ada, o.adaSpare}, []string{"Ada"}, nil},
		"one twice":                   {"revoke", o.issuer, []authenticator{o.ada, o.ada}, []string{"Ada"}, nil},
		"finance for an invoice":      {"issue", o.issuer, []authenticator{o.finance}, []string{"Fay"}, nil},
		"finance and an approver":     {"issue", o.issuer, []authenticator{o.finance, o.ada}, []string{"Ada", "Fay"}, nil},
		"nobody":                      {"issue", o.issuer, nil, nil, approval.ErrMissing},
		"the proposer":                {"issue", o.issuer, []authenticator{o.issuer}, nil, approval.ErrMissing},
		"the proposer's spare":        {"issue", o.issuer, []authenticator{o.issuerSpare}, nil, approval.ErrMissing},
		"the proposer beside another": {"issue", o.issuer, []authenticator{o.ada, o.issuerSpare}, nil, approval.ErrMissing},
		"finance for a replacement":   {"replace", o.issuer, []authenticator{o.finance}, nil, approval.ErrMissing},
		"finance for a rotation":      {"rotate", o.issuer, []authenticator{o.ada, o.finance}, nil, approval.ErrMissing},
		"finance for a revocation":    {"revoke", o.issuer, []authenticator{o.finance}, nil, approval.ErrMissing},
		"somebody else's proposal":    {"replace", o.bob, []authenticator{o.ada}, nil, approval.ErrInvalid},
		"proposed with a spare":       {"replace", o.issuerSpare, []authenticator{o.ada}, []string{"Ada"}, nil},
		"too many":                    {"replace", o.issuer, nine, nil, approval.ErrMalformed},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request := requests[c.action](t)
			text := textOf(t, request)
			got, err := approval.Verify(o.bundle, signed(t, text, c.proposer, c.approvers...), now)
			if !errors.Is(err, c.err) || !slices.Equal(got.Approvers, c.want) {
				t.Fatalf("got %v, %v; want %v, %v", got.Approvers, err, c.want, c.err)
			}
			if err == nil && (!reflect.DeepEqual(got.Request, request) || got.Digest != approval.Digest(text)) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestAnApproverMayProposeAndAnIssuerMayNotApprove(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := replaceRequest(t)
	r.Proposer = "Ada"
	text := textOf(t, r)
	if _, err := approval.Verify(o.bundle, signed(t, text, o.ada, o.bob), now); err != nil {
		t.Error(err)
	}
	if _, err := approval.Verify(o.bundle, signed(t, text, o.ada, o.issuer), now); !errors.Is(err, approval.ErrMissing) {
		t.Errorf("an issuer approved: %v", err)
	}
	if _, err := approval.Verify(o.bundle, signed(t, text, o.ada, o.adaSpare), now); !errors.Is(err, approval.ErrMissing) {
		t.Errorf("Ada approved what Ada proposed: %v", err)
	}
}

func TestARequestIsGoodForADay(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	s := signed(t, textOf(t, replaceRequest(t)), o.issuer, o.ada)
	for after, want := range map[time.Duration]error{
		0: nil, 24*time.Hour - time.Nanosecond: nil, 24 * time.Hour: approval.ErrExpired, -5 * time.Minute: nil,
		-5*time.Minute - time.Nanosecond: approval.ErrExpired, 1000 * time.Hour: approval.ErrExpired,
	} {
		if _, err := approval.Verify(o.bundle, s, now.Add(after)); !errors.Is(err, want) {
			t.Errorf("%s after: %v, want %v", after, err, want)
		}
	}
}

func TestOneBadAssertionRefusesTheRest(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	text, another := textOf(t, replaceRequest(t)), textOf(t, rotateRequest(t))
	stranger := passkey(t, "Bob", trust.RoleApprover)
	cases := map[string]func(*approval.Signed){
		"a proposal over another text":  func(s *approval.Signed) { s.Proposal = o.issuer.over(t, another) },
		"an approval over another text": func(s *approval.Signed) { s.Approvals[1] = o.bob.over(t, another) },
		"a stranger's approval":         func(s *approval.Signed) { s.Approvals[1] = stranger.over(t, text) },
		"a stranger's proposal":         func(s *approval.Signed) { s.Proposal = stranger.over(t, text) },
		"no proposal":                   func(s *approval.Signed) { s.Proposal = approval.Assertion{} },
		"an empty approval":             func(s *approval.Signed) { s.Approvals[1] = approval.Assertion{} },
		"approvals of another request":  func(s *approval.Signed) { s.Request = another },
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := signed(t, text, o.issuer, o.ada, o.bob)
			change(&s)
			if _, err := approval.Verify(o.bundle, s, now); !errors.Is(err, approval.ErrInvalid) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestEveryByteOfARequestCounts alters each byte of the text once, under assertions that stay as they were.
func TestEveryByteOfARequestCounts(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for name, make := range requests {
		good := signed(t, textOf(t, make(t)), o.issuer, o.ada)
		for i := range good.Request {
			s, text := good, []byte(good.Request)
			text[i] ^= 1
			s.Request = string(text)
			if _, err := approval.Verify(o.bundle, s, now); err == nil {
				t.Errorf("%s: byte %d does not count", name, i)
			}
		}
	}
}

func TestSomebodyWhoLeftTheBundleApprovesNothing(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	s := signed(t, textOf(t, replaceRequest(t)), o.issuer, o.ada)
	if _, err := approval.Verify(bundleOf(o.issuer, o.bob), s, now); !errors.Is(err, approval.ErrInvalid) {
		t.Errorf("got %v", err)
	}
}
