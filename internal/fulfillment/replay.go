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
}

// ReplayerConfig is what Replayer needs; every field is required.
type ReplayerConfig struct {
	Store  ReplayStore
	Signer Signer
	Log    *slog.Logger
}

// Replayer brings back to the signer what its log lost: after the signer's store was rebuilt from a witness's copy, the
// licenses that were logged after the witness's last look. A license is a pure function of its evidence, so the signer
// makes the bytes that customers have, and logs them again.
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
	Missing  int // stored licenses that it lacked; the sum of the next three
	Replayed int // logged again with the same bytes
	Refused  int // by the signer, or without stored evidence
	Differ   int // logged with other bytes than customers have
}

// OK reports whether every stored license is logged with its bytes.
func (r ReplayReport) OK() bool { return r.Refused == 0 && r.Differ == 0 }

// replayBatch bounds what is read of the database at once: an event has up to MaxEventBytes.
const replayBatch = 20

// Run sends the stored evidence of every license that the log lacks, in the order in which they were stored. It is safe to
// repeat. It stops with an error when the signer or the database does not answer.
func (s *Replayer) Run(ctx context.Context) (report ReplayReport, err error) {
	mirror, err := s.c.Store.OpenMirror(ctx)
	if err != nil {
		return report, fmt.Errorf("replay: %w", err)
	}
	defer func() { err = errors.Join(err, mirror.Close(context.WithoutCancel(ctx))) }()
	err = readLog(ctx, s.c.Signer, func(page []signer.Entry) error {
		list := logged(page)
		report.Logged += len(list)
		return mirror.AddLogged(ctx, list)
	})
	if err != nil {
		return report, fmt.Errorf("replay: %w", err)
	}
	for {
		page, err := mirror.Unlogged(ctx, report.Missing, replayBatch)
		if err != nil || len(page) == 0 {
			return report, err
		}
		for _, u := range page {
			report.Missing++
			if err := s.replay(ctx, u, &report); err != nil {
				return report, fmt.Errorf("replay: %s: %w", u.LicenseID, err)
			}
		}
	}
}

// replay has one license logged again. The error is one that stops the run.
func (s *Replayer) replay(ctx context.Context, u Unlogged, report *ReplayReport) error {
	if u.Event.ID == "" {
		report.Refused++
		s.c.Log.ErrorContext(ctx, "replay: no evidence is stored", "license", u.LicenseID, "order", u.OrderID)
		return nil
	}
	envelope, err := s.c.Signer.Issue(ctx, signer.IssueRequest{
		Event:        &signer.Event{Body: u.Event.Body, SignatureHeader: u.Event.SignatureHeader},
		BaseEnvelope: string(u.Base),
	})
	var refusal *signer.Error
	switch {
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
