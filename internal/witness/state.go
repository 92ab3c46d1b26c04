package witness

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/strictjson"
)

// Kind says what an alarm is about.
type Kind string

// The kinds of alarm.
const (
	Fork    Kind = "fork"    // two signed histories that do not agree
	Gap     Kind = "gap"     // entries that are missing, or are not those of a signed checkpoint
	Shrunk  Kind = "shrunk"  // fewer records than were signed before
	Trust   Kind = "trust"   // a trust bundle in force that is older than one before it, or another of its version
	Silence Kind = "silence" // no verified checkpoint for too long
)

// Alarm is what a person must look into. Checkpoint is the signed text that raised it: together with the copy's own
// checkpoint it is the proof against the log. Silence has none.
type Alarm struct {
	Kind       Kind      `json:"kind"`
	Message    string    `json:"message"`
	At         time.Time `json:"at"`
	Checkpoint string    `json:"checkpoint,omitempty"`
}

// Error implements error.
func (a *Alarm) Error() string { return "alarm: " + string(a.Kind) + ": " + a.Message }

func alarmed(kind Kind, signed []byte, format string, args ...any) *Alarm {
	return &Alarm{Kind: kind, Message: fmt.Sprintf(format, args...), Checkpoint: string(signed)}
}

// State is what the witness last saw; state.json in the copy's directory holds it.
type State struct {
	Size       int64     `json:"size"`        // entries verified
	VerifiedAt time.Time `json:"verified_at"` // when a checkpoint was last verified; zero for never
	Since      time.Time `json:"since"`       // when the witness was started
	Alarm      *Alarm    `json:"alarm"`
}

func statePath(dir string) string { return filepath.Join(dir, "state.json") }

// ReadState reads the state of a copy; that of a witness that never ran is empty.
func ReadState(dir string) (State, error) {
	text, err := os.ReadFile(statePath(dir))
	if errors.Is(err, os.ErrNotExist) {
		return State{}, nil
	}
	if err != nil {
		return State{}, err
	}
	var s State
	if err := strictjson.Decode(text, &s); err != nil {
		return State{}, fmt.Errorf("%s: %w", statePath(dir), err)
	}
	return s, nil
}

// Check returns the alarm that stands now, or nil. A witness that does not run is as silent as its log.
func (s State) Check(now time.Time, silence time.Duration) error {
	if s.Alarm != nil {
		return s.Alarm
	}
	if s.VerifiedAt.IsZero() {
		return &Alarm{Kind: Silence, Message: "no checkpoint was ever verified", At: now}
	}
	if now.Sub(s.VerifiedAt) > silence {
		return &Alarm{Kind: Silence, Message: "no verified checkpoint since " + s.VerifiedAt.Format(time.RFC3339), At: now}
	}
	return nil
}

// silence counts from the last verified checkpoint, or from the start when that is later: a witness that was down has
// first to look.
func (s State) silence(now time.Time, limit time.Duration) *Alarm {
	last := s.VerifiedAt
	if s.Since.After(last) {
		last = s.Since
	}
	if now.Sub(last) <= limit {
		return nil
	}
	return &Alarm{Kind: Silence, Message: "no verified checkpoint since " + last.Format(time.RFC3339), At: now}
}

func (w *Witness) writeState() error {
	text, err := json.MarshalIndent(w.state, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(statePath(w.config.Dir), append(text, '\n'))
}
