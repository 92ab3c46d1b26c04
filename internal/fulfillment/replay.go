package fulfillment

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/metrum-ai/licensing-portal/internal/signer"
)

// ReplayStore is what replaying needs.
type ReplayStore interface {
	OpenMirror(ctx context.Context) (Mirror, error)
	Request(ctx context.Context, id string) (StaffRequest, error)
}

// ReplaySigner is what replaying needs of the signer.
type ReplaySigner interface {
	LogSource
	Issue(ctx context.Context, r signer.IssueRequest) ([]byte, error)
	Revoke(ctx context.Context, r signer.RevokeRequest) (signer.Revoked, error)
}

// ReplayerConfig is what Replayer needs; every field is required.
type ReplayerConfig struct {
	Store  ReplayStore
	Signer ReplaySigner
	Log    *slog.Logger
}

// Replayer brings back to the signer what its log lost: after the signer's store was rebuilt from a witness's copy, what was
// logged after the witness's last look. A license is a pure function of its evidence, so the signer makes the bytes that
// customers have, and logs them again. Refunds and disputes are judged again after all licenses are back; nobody is written
// to, since the database knows what they came to.
type Replayer struct{ c ReplayerConfig }

// NewReplayer returns the service, or says what is missing.
func NewReplayer(c ReplayerConfig) (*Replayer, error) {
	if c.Store == nil || c.Signer == nil || c.Log == nil {
		return nil, errors.New("fulfillment: the replayer needs a store, signer and log")
	}
	return &Replayer{c}, nil
}

// ReplayReport is what a replay did.
type ReplayReport struct {
	Logged   int // licenses that the log had
	Missing  int // stored licenses that it lacked; each is counted in one of the next four
	Replayed int // logged again with the same bytes
	Lapsed   int // approved by staff more than 24 hours ago, which is evidence no more: only a witness's copy has them
	Refused  int // by the signer for another reason, or without stored evidence
	Differ   int // logged with other bytes than customers have
	Judged   int // refunds and disputes that it lacked and that were judged again
	Unjudged int // those that the signer refused
}

// OK reports whether everything stored is logged as it was.
func (r ReplayReport) OK() bool { return r.Lapsed+r.Refused+r.Differ+r.Unjudged == 0 }

// replayBatch bounds what is read of the database at once: an event has up to MaxEventBytes.
const replayBatch = 20

// Run sends the stored evidence of every license that the log lacks, in the order in which they were stored, and then the
// refunds and disputes that it lacks. It is safe to repeat. It stops with an error when the signer or the database does not answer.
func (s *Replayer) Run(ctx context.Context) (report ReplayReport, err error) {
	mirror, err := s.c.Store.OpenMirror(ctx)
	if err != nil {
		return report, fmt.Errorf("replay: %w", err)
	}
	defer func() { err = errors.Join(err, mirror.Close(context.WithoutCancel(ctx))) }()
	err = readLog(ctx, s.c.Signer, func(page []signer.Entry) error {
		list := logged(page)
		report.Logged += len(list)
		return errors.Join(mirror.AddLogged(ctx, list), mirror.AddJudged(ctx, judged(page)))
	})
	if err == nil {
		err = s.licenses(ctx, mirror, &report)
	}
	if err == nil {
		err = s.revocations(ctx, mirror, &report)
	}
	if err != nil {
		return report, fmt.Errorf("replay: %w", err)
	}
	return report, nil
}

func (s *Replayer) licenses(ctx context.Context, mirror Mirror, report *ReplayReport) error {
	for {
		page, err := mirror.Unlogged(ctx, report.Missing, replayBatch)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, u := range page {
			report.Missing++
			if err := s.replay(ctx, u, report); err != nil {
				return fmt.Errorf("%s: %w", u.LicenseID, err)
			}
		}
	}
}

func (s *Replayer) revocations(ctx context.Context, mirror Mirror, report *ReplayReport) error {
	for {
		page, err := mirror.Unjudged(ctx, report.Judged+report.Unjudged, replayBatch)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, e := range page {
			_, err := s.c.Signer.Revoke(ctx, signer.RevokeRequest{Event: &signer.Event{Body: e.Body, SignatureHeader: e.SignatureHeader}})
			var refusal *signer.Error
			switch {
			case errors.As(err, &refusal) && !passing(refusal.Code):
				report.Unjudged++
				s.c.Log.ErrorContext(ctx, "replay: signer refused to revoke", "event", e.ID, "type", e.Type, "code", string(refusal.Code))
			case err != nil:
				return fmt.Errorf("%s: %w", e.ID, err)
			default:
				report.Judged++
			}
		}
	}
}

// replay has one license logged again. The error is one that stops the run.
func (s *Replayer) replay(ctx context.Context, u Unlogged, report *ReplayReport) error {
	evidence := signer.IssueRequest{BaseEnvelope: string(u.Base)}
	switch {
	case u.RequestID != "":
		r, err := s.c.Store.Request(ctx, u.RequestID)
		if err != nil {
			return err
		}
		evidence.Approval = r.signed()
	case u.Event.ID != "":
		evidence.Event = &signer.Event{Body: u.Event.Body, SignatureHeader: u.Event.SignatureHeader}
	default:
		report.Refused++
		s.c.Log.ErrorContext(ctx, "replay: no evidence is stored", "license", u.LicenseID, "order", u.OrderID)
		return nil
	}
	envelope, err := s.c.Signer.Issue(ctx, evidence)
	var refusal *signer.Error
	switch {
	case errors.As(err, &refusal) && refusal.Code == signer.CodeApprovalExpired:
		report.Lapsed++
		s.c.Log.ErrorContext(ctx, "replay: approved more than 24 hours ago; restore it from a witness's copy", "license", u.LicenseID, "order", u.OrderID, "request", u.RequestID)
		return nil
	case errors.As(err, &refusal) && !passing(refusal.Code):
		report.Refused++
		s.c.Log.ErrorContext(ctx, "replay: signer refused", "license", u.LicenseID, "order", u.OrderID, "code", string(refusal.Code))
		return nil
	case err != nil:
		return err
	case !bytes.Equal(envelope, u.Envelope):
		report.Differ++
		s.c.Log.ErrorContext(ctx, "replay: the signer made another license than customers have", "license", u.LicenseID, "order", u.OrderID)
		return nil
	}
	report.Replayed++
	return nil
}
