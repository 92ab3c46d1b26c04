package fulfillment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/passkey"
	"github.com/metrum-ai/licensing-portal/internal/token"
	"github.com/metrum-ai/licensing-portal/internal/trust"
)

// RequestLinkLife is how long a link to a request works.
const RequestLinkLife = time.Hour

// maxRequestList bounds a list of requests.
const maxRequestList = 100

// RequestsConfig is what Requests needs; every field is required.
type RequestsConfig struct {
	Store     RequestStore
	Subjects  SubjectStore
	Catalog   Bundles
	PublicURL string // without a slash at the end
	Secret    []byte // the portal's, at least 32 bytes; the tokens of links are derived from it
	Now       func() time.Time
	Random    io.Reader
	Log       *slog.Logger
}

// Requests lets staff propose and approve what the signer shall do. It decides nothing that the signer does not decide again;
// it is there so that nobody is asked to approve what the signer would refuse.
type Requests struct {
	c      RequestsConfig
	tokens *token.Maker
}

// NewRequests returns the service, or says what is missing.
func NewRequests(c RequestsConfig) (*Requests, error) {
	if c.Store == nil || c.Subjects == nil || c.Catalog == nil || c.PublicURL == "" || c.Now == nil || c.Random == nil || c.Log == nil {
		return nil, errors.New("fulfillment: requests need their stores, catalog, public URL, clock, randomness and log")
	}
	tokens, err := token.NewMaker("staff-request", c.Secret)
	if err != nil {
		return nil, fmt.Errorf("fulfillment: %w", err)
	}
	return &Requests{c: c, tokens: tokens}, nil
}

// Propose writes a request down and stores it; its proposer does not stand by it yet. It fills in the ID and the time, and
// what it takes from the subject: of an issue the order's intent, whose order ID is given; of a replacement all of the base
// but its ID, and the old values of what changes; of a revocation the time where it is at once; of a rotation the number of
// licenses where none is given. Errors: *RefusedError, ErrUnavailable.
func (s *Requests) Propose(ctx context.Context, r approval.Request) (StaffRequest, error) {
	bundle, err := s.c.Catalog.Bundle(ctx)
	if err != nil {
		return StaffRequest{}, err
	}
	r.CreatedAt = s.c.Now().UTC().Truncate(time.Second)
	if r.ID, err = NewID("req_", r.CreatedAt, s.c.Random); err != nil {
		return StaffRequest{}, err
	}
	if err := s.fill(ctx, &r); err != nil {
		return StaffRequest{}, err
	}
	text, err := r.Text()
	if err != nil {
		return StaffRequest{}, refusedWords(err)
	}
	h, err := s.rehearse(ctx, bundle, r)
	if err != nil {
		return StaffRequest{}, err
	}
	if r.Action == approval.ActionRotate && (h.Live == 0 || h.Live > r.Rotate.AtMost) {
		return StaffRequest{}, &RefusedError{fmt.Sprintf("%d live licenses are signed with %s and nothing replaced them yet.", h.Live, r.Rotate.KeyID)}
	}
	// Nobody approves what the signer could not read back.
	if r, err = approval.Parse(text); err != nil {
		return StaffRequest{}, refusedWords(err)
	}
	request := StaffRequest{Request: r, Text: text, Digest: sha256Hex([]byte(text)), Needed: h.Needed}
	if err := s.c.Store.AddRequest(ctx, request); err != nil {
		return StaffRequest{}, fmt.Errorf("propose: %w", err)
	}
	s.c.Log.InfoContext(ctx, "staff request written down", "request", r.ID, "action", string(r.Action))
	return request, nil
}

// Rehearse tells what the signer would make of a request. With a *RefusedError, which says why it would make nothing of it,
// comes what is known of the subject.
func (s *Requests) Rehearse(ctx context.Context, r StaffRequest) (Rehearsal, error) {
	bundle, err := s.c.Catalog.Bundle(ctx)
	if err != nil {
		return Rehearsal{}, err
	}
	return s.rehearse(ctx, bundle, r.Request)
}

// Request finds a request.
func (s *Requests) Request(ctx context.Context, id string) (StaffRequest, error) {
	return s.c.Store.Request(ctx, id)
}

// Requests lists the newest requests, the newest first, a hundred at most.
func (s *Requests) Requests(ctx context.Context) ([]StaffRequest, error) {
	return s.c.Store.RequestList(ctx, maxRequestList)
}

// Link makes the address at which a request is read and stood by, for an hour.
func (s *Requests) Link(id string) (address string, until time.Time) {
	until = s.c.Now().Add(RequestLinkLife).UTC().Truncate(time.Second)
	return s.c.PublicURL + "/staff/requests/" + s.tokens.Seal(id, until), until
}

// Opened is a request as whoever has its link sees it.
type Opened struct {
	StaffRequest
	Rehearsal Rehearsal
	Refused   string         // why the signer would refuse it; "" if it would not
	Passkeys  trust.WebAuthn // where passkeys assert
	IDs       []string       // of the passkeys whose owners may stand by it now
}

// Open reads the request behind a link and changes nothing. Errors: token.ErrUnknown, token.ErrExpired, ErrNotFound,
// ErrUnavailable.
func (s *Requests) Open(ctx context.Context, link string) (Opened, error) {
	id, _, err := s.tokens.Open(link, s.c.Now())
	if err != nil {
		return Opened{}, err
	}
	r, err := s.c.Store.Request(ctx, id)
	if err != nil {
		return Opened{}, err
	}
	bundle, err := s.c.Catalog.Bundle(ctx)
	if err != nil {
		return Opened{}, err
	}
	o := Opened{StaffRequest: r, Passkeys: bundle.WebAuthn}
	o.Rehearsal, err = s.rehearse(ctx, bundle, r.Request)
	var refused *RefusedError
	if errors.As(err, &refused) {
		o.Refused, err = refused.Words, nil
	}
	for _, a := range bundle.Approvers {
		if !a.Software && r.mayStand(a) {
			o.IDs = append(o.IDs, a.CredentialID)
		}
	}
	return o, err
}

// mayStand reports whether it is somebody's turn: first the proposer's, then that of others who may approve.
func (r StaffRequest) mayStand(a trust.Approver) bool {
	if len(r.Stands) == 0 {
		return a.Name == r.Proposer
	}
	_, stood := r.stand(a.Name)
	return !stood && approval.MayApprove(a.Role, r.Action)
}

// StandByLink takes what a browser answers for the request behind a link. Errors are those of Open and Stand.
func (s *Requests) StandByLink(ctx context.Context, link string, response []byte) (StaffRequest, error) {
	id, _, err := s.tokens.Open(link, s.c.Now())
	if err != nil {
		return StaffRequest{}, err
	}
	a, err := passkey.Read(response)
	if err != nil {
		s.c.Log.WarnContext(ctx, "assertion not read", "request", id, "error", err)
		return StaffRequest{}, ErrAssertion
	}
	return s.Stand(ctx, id, a)
}

// Stand takes an assertion over a request: its proposer's first, then the approvals. With the last approval that it needs a
// request is approved, and a job carries it out. Errors: ErrNotFound, ErrRequestDecided, ErrRequestExpired, ErrPasskey,
// ErrAssertion, ErrNotProposed, ErrSelfApproval, ErrStandsAlready, ErrMayNotApprove, *RefusedError, ErrUnavailable.
func (s *Requests) Stand(ctx context.Context, id string, a approval.Assertion) (StaffRequest, error) {
	r, err := s.c.Store.Request(ctx, id)
	if err != nil {
		return r, err
	}
	now := s.c.Now()
	switch r.Standing(now) {
	case RequestExpired:
		return r, ErrRequestExpired
	case RequestApproved, RequestDone, RequestRefused:
		return r, ErrRequestDecided
	}
	bundle, err := s.c.Catalog.Bundle(ctx)
	if err != nil {
		return r, err
	}
	by, err := s.who(ctx, bundle, r, a)
	if err != nil {
		return r, err
	}
	stand := Stand{Name: by.Name, Approves: len(r.Stands) > 0, Assertion: a, At: now}
	if err := r.takes(by); err != nil {
		return r, err
	}
	h, err := s.rehearse(ctx, bundle, r.Request)
	if err != nil {
		return r, err
	}
	if r, err = s.c.Store.AddStand(ctx, id, stand, h.Needed); err != nil {
		return r, err
	}
	s.c.Log.InfoContext(ctx, "staff request stood by", "request", id, "action", string(r.Action), "approves", stand.Approves, "missing", r.Missing())
	return r, nil
}

// who asks go-webauthn first and then what the signer will ask.
func (s *Requests) who(ctx context.Context, b *trust.Bundle, r StaffRequest, a approval.Assertion) (trust.Approver, error) {
	by, ok := b.Approver(a.CredentialID)
	if !ok {
		return by, ErrPasskey
	}
	digest := approval.Digest(r.Text)
	err := passkey.Check(b.WebAuthn, by, digest, a)
	if err == nil {
		by, err = approval.Who(b, a, digest)
	}
	if err != nil {
		s.c.Log.WarnContext(ctx, "assertion refused", "request", r.ID, "error", err)
		return by, ErrAssertion
	}
	return by, nil
}

// takes says why a request does not take somebody's assertion now.
func (r StaffRequest) takes(by trust.Approver) error {
	_, stood := r.stand(by.Name)
	switch {
	case len(r.Stands) == 0 && by.Name != r.Proposer:
		return ErrNotProposed
	case len(r.Stands) == 0:
		return nil
	case by.Name == r.Proposer:
		return ErrSelfApproval
	case stood:
		return ErrStandsAlready
	case !approval.MayApprove(by.Role, r.Action):
		return ErrMayNotApprove
	}
	return nil
}
