// Package witness follows the signer's issuance log from another host and keeps a copy of it.
//
// A witness holds no secret and signs nothing. It knows the log's public key. Each look asks for the newest signed
// checkpoint, has it proven that the log still begins with what was verified before, makes every new entry's leaf again
// from the entry's own bytes, and only then calls the checkpoint verified. What cannot be so is an Alarm: a fork, a gap, a
// log that shrank or a trust bundle that was taken back stands until a person has looked into it; silence ends with the
// next verified checkpoint.
package witness

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/strictjson"
)

// Source is where the log is read; *signer.Client is one.
type Source interface {
	Checkpoint(ctx context.Context) ([]byte, error)
	EntriesBytes(ctx context.Context, from uint64) ([]byte, error)
	ConsistencyProof(ctx context.Context, from, to uint64) (signer.ConsistencyProof, error)
}

// Config is what a witness needs; all of it is required.
type Config struct {
	Source   Source
	Verifier note.Verifier // of the log's checkpoints
	Dir      string        // the copy; made when it is missing
	Poll     time.Duration // between two looks
	Silence  time.Duration // without a verified checkpoint, until it is an alarm
	Now      func() time.Time
}

// Witness follows one log; not safe for concurrent use.
type Witness struct {
	config Config
	copy   *logCopy
	state  State
}

// Open opens the copy, or starts an empty one. What was written but not verified when a witness was killed is dropped.
// It refuses while an alarm stands that only a person can lift, or while another witness has the copy open.
func Open(c Config) (*Witness, error) {
	if c.Source == nil || c.Verifier == nil || c.Dir == "" || c.Poll <= 0 || c.Silence <= 0 || c.Now == nil {
		return nil, errors.New("witness: source, verifier, directory, poll, silence and clock are required")
	}
	copied, err := openCopy(c.Dir, c.Verifier)
	if err != nil {
		return nil, err
	}
	w := &Witness{config: c, copy: copied}
	if err := w.start(); err != nil {
		return nil, errors.Join(err, copied.close())
	}
	return w, nil
}

func (w *Witness) start() (err error) {
	if w.state, err = ReadState(w.config.Dir); err != nil {
		return err
	}
	if w.state.Alarm != nil && w.state.Alarm.Kind != Silence {
		return fmt.Errorf("%w; when it is cleared up, move %s away and start again", w.state.Alarm, statePath(w.config.Dir))
	}
	if w.state.Size > w.copy.verified.N {
		// Without this a lost checkpoint would make the witness forget, and drop, all that it verified.
		return fmt.Errorf("%w: %d entries were verified, its checkpoint has %d", ErrCopy, w.state.Size, w.copy.verified.N)
	}
	w.state.Since = w.config.Now().UTC()
	return errors.Join(w.copy.rewind(), w.writeState())
}

// Close closes the copy.
func (w *Witness) Close() error { return w.copy.close() }

// Size is how many entries the copy holds, all verified.
func (w *Witness) Size() int64 { return w.copy.verified.N }

// Look takes one look at the log. Nil means that a checkpoint was verified, or that there was no good answer and silence
// is not reached yet. An *Alarm has been written to the state file when it is returned; any other error is the copy's.
func (w *Witness) Look(ctx context.Context) error {
	err := w.look(ctx)
	var alarm *Alarm
	var unanswered *unanswered
	now := w.config.Now().UTC()
	switch {
	case err == nil:
		w.state.VerifiedAt, w.state.Size, w.state.Alarm = now, w.copy.verified.N, nil
		return w.writeState()
	case ctx.Err() != nil:
		return nil // the witness is being stopped
	case errors.As(err, &alarm):
		alarm.At, w.state.Alarm = now, alarm
		return errors.Join(alarm, w.writeState())
	case !errors.As(err, &unanswered):
		return err
	}
	if alarm = w.state.silence(now, w.config.Silence); alarm == nil {
		return nil
	}
	alarm.Message += ": " + unanswered.Error()
	if w.state.Alarm != nil {
		alarm.At = w.state.Alarm.At // it is the same silence
	}
	w.state.Alarm = alarm
	return errors.Join(alarm, w.writeState())
}

// unanswered is a look without a good answer. It proves nothing against the log, since anyone on the way can cause it.
type unanswered struct{ err error }

func (u *unanswered) Error() string { return u.err.Error() }
func (u *unanswered) Unwrap() error { return u.err }

func (w *Witness) look(ctx context.Context) error {
	signed, err := w.config.Source.Checkpoint(ctx)
	if err != nil {
		return &unanswered{err}
	}
	now, err := signer.OpenCheckpoint(signed, w.config.Verifier)
	if err != nil {
		return &unanswered{err}
	}
	have := w.copy.verified
	switch {
	case now.N < have.N:
		return alarmed(Shrunk, signed, "the log signed %d records, the copy has %d", now.N, have.N)
	case now.N == have.N && now.Hash != have.Hash:
		return alarmed(Fork, signed, "the log signed two histories of %d records", now.N)
	case now.Trust.Version < have.Trust.Version || now.Trust.Version == have.Trust.Version && now.Trust != have.Trust:
		return alarmed(Trust, signed, "the log was under version %d of the trust bundle and is under another or older one, version %d",
			have.Trust.Version, now.Trust.Version)
	case now == have && w.copy.committed:
		return nil
	case now.N > have.N:
		if err := w.extend(ctx, signed, now.Tree); err != nil {
			return errors.Join(err, w.copy.rewind())
		}
	}
	return w.copy.commit(signed, now)
}

// extend copies and verifies the entries between the copy and a larger tree.
func (w *Witness) extend(ctx context.Context, signed []byte, tree tlog.Tree) error {
	begins, err := w.beginsWith(ctx, tree, w.copy.verified.Tree)
	if err != nil {
		return err
	}
	if !begins {
		return alarmed(Fork, signed, "the log's %d records do not begin with the %d that it signed before", tree.N, w.copy.verified.N)
	}
	for at := w.copy.verified.N; at < tree.N; {
		next, err := w.appendPage(ctx, signed, at, tree.N)
		if err != nil {
			return err
		}
		now, err := w.copy.treeAt(next)
		if err != nil {
			return err
		}
		// Page by page, so that a wrong one is named, and no more than one is ever kept.
		if begins, err = w.beginsWith(ctx, tree, now); err != nil {
			return err
		}
		if !begins {
			return alarmed(Gap, signed, "the entries from %d to %d are not those of the checkpoint of %d records", at, next-1, tree.N)
		}
		at = next
	}
	return nil
}

// beginsWith has it proven that a tree begins with a smaller one.
func (w *Witness) beginsWith(ctx context.Context, tree, smaller tlog.Tree) (bool, error) {
	switch smaller.N {
	case 0:
		return true, nil
	case tree.N:
		return smaller.Hash == tree.Hash, nil
	}
	proof, err := w.config.Source.ConsistencyProof(ctx, uint64(smaller.N), uint64(tree.N))
	if err != nil {
		return false, &unanswered{err}
	}
	return tlog.CheckTree(proof.Hashes, tree.N, tree.Hash, smaller.N, smaller.Hash) == nil, nil
}

// appendPage copies one page's entries, up to an index, and returns the index after its last.
func (w *Witness) appendPage(ctx context.Context, signed []byte, from, to int64) (int64, error) {
	raw, err := w.config.Source.EntriesBytes(ctx, uint64(from))
	if err != nil {
		return 0, &unanswered{err}
	}
	var page struct {
		Entries []json.RawMessage `json:"entries"`
	}
	if err := json.Unmarshal(raw, &page); err != nil {
		return 0, &unanswered{errors.New("a page of entries does not read")}
	}
	if len(page.Entries) == 0 {
		return 0, alarmed(Gap, signed, "entry %d is missing, although the log signed %d records", from, to)
	}
	at := from
	for _, text := range page.Entries {
		if at == to {
			break // logged after the checkpoint
		}
		_, leaf, err := readEntry(text, at)
		if err != nil {
			return 0, alarmed(Gap, signed, "entry %d: %s", at, err)
		}
		if err := w.copy.append(text, at, leaf); err != nil {
			return 0, err
		}
		at++
	}
	return at, nil
}

// readEntry reads an entry and makes its leaf hash from its bytes. They must be exactly those that the signer writes for what
// they say, so that the leaf speaks for every byte that is kept.
func readEntry(text []byte, index int64) (e signer.Entry, leaf tlog.Hash, err error) {
	if err := strictjson.Decode(text, &e); err != nil {
		return e, leaf, errors.New("does not read")
	}
	if again, err := json.Marshal(e); err != nil || !bytes.Equal(again, bytes.TrimSuffix(text, []byte("\n"))) {
		return e, leaf, errors.New("is not written as the signer writes it")
	}
	if e.Index != uint64(index) {
		return e, leaf, fmt.Errorf("has index %d", e.Index)
	}
	if leaf = e.HashLeaf(); leaf.String() != e.LeafHash {
		return e, leaf, errors.New("does not match its leaf hash")
	}
	if e.IssuedAt.Nanosecond() != 0 || e.LoggedAt.Nanosecond() != 0 {
		return e, leaf, errors.New("has times that are not whole seconds")
	}
	return e, leaf, nil
}
