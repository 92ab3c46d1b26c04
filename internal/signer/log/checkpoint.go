package log

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/note"

	"github.com/metrum-ai/licensing-portal/internal/signer"
)

// noteSigner signs checkpoints in the form of golang.org/x/mod/sumdb/note with a key that came as PKCS#8.
type noteSigner struct {
	note.Verifier
	private crypto.Signer
}

func (s noteSigner) Sign(msg []byte) ([]byte, error) {
	return s.private.Sign(rand.Reader, msg, crypto.Hash(0))
}

func newNoteSigner(origin string, private crypto.Signer) (noteSigner, error) {
	public, ok := private.Public().(ed25519.PublicKey)
	if !ok {
		return noteSigner{}, errors.New("log key: not an Ed25519 key")
	}
	verifier, err := signer.NewLogVerifier(origin, public)
	if err != nil {
		return noteSigner{}, err
	}
	return noteSigner{Verifier: verifier, private: private}, nil
}

// putCheckpoint signs a checkpoint into the store.
func putCheckpoint(tx *bbolt.Tx, s noteSigner, c signer.Checkpoint) (signed []byte, err error) {
	if signed, err = note.Sign(&note.Note{Text: c.Text(s.Name())}, s); err != nil {
		return nil, err
	}
	return signed, tx.Bucket(bucketMeta).Put(metaCheckpoint, signed)
}

// RememberTrust notes the newest trust bundle seen, in the signed checkpoint, so that a witness remembers it too. An older
// version, or other bytes under the same version, is refused: a bundle that once was in force cannot be taken back.
func (l *Log) RememberTrust(version int64, bundle []byte) error {
	sum := sha256.Sum256(bundle)
	trust := signer.TrustSeen{Version: version, SHA256: hex.EncodeToString(sum[:])}
	l.writing.Lock()
	defer l.writing.Unlock()
	next := *l.state.Load()
	switch seen := next.Trust; {
	case version < seen.Version:
		return fmt.Errorf("%w: trust bundle version %d after version %d", ErrRollback, version, seen.Version)
	case version == seen.Version && trust != seen:
		return fmt.Errorf("%w: trust bundle version %d with other bytes than before", ErrRollback, version)
	case version == seen.Version:
		return nil
	}
	next.Trust = trust
	tx, err := l.db.Begin(true)
	if err != nil {
		return l.fail(err)
	}
	defer tx.Rollback() // after a commit it does nothing
	if next.signed, err = putCheckpoint(tx, l.signer, next.Checkpoint); err != nil {
		return l.fail(err)
	}
	if err := l.config.Commit(tx); err != nil {
		return l.fail(err) // as with a record, what the disk holds is unknown now
	}
	l.state.Store(&next)
	return nil
}
