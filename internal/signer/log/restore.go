package log

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/note"

	"github.com/metrum-ai/licensing-portal/internal/signer"
)

// Restore rebuilds a store that is gone from a witness's copy: its checkpoint, which the verifier knows, and its entries. The
// verifier is the log's own, but where the log's key was lost and the log goes on under another. Records, indexes and counters are written as Append writes them; every leaf is made again and the tree compared with the
// checkpoint. Then admit has the last word, and only then the store is put in its place and its size noted. Where the lost
// store's size is still noted, the copy must reach it. It refuses beside a store; on an error nothing is in place.
func Restore(c Config, verifier note.Verifier, signed []byte, entries iter.Seq2[signer.Entry, error], admit func(*Log) error) error {
	c = c.withDefaults()
	if _, err := os.Lstat(c.Path); !errors.Is(err, os.ErrNotExist) {
		return errors.Join(err, fmt.Errorf("%s: the log exists; nothing is restored over it", c.Path))
	}
	building := c
	building.Path += ".restoring"
	if err := os.RemoveAll(building.Path); err != nil {
		return err
	}
	err := build(building, verifier, signed, entries)
	if err == nil {
		err = accept(building, c.Path, admit)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(building.Path))
	}
	if err := os.Rename(building.Path, c.Path); err != nil {
		return err
	}
	return syncDir(c.Path)
}

// build writes the records to a new store, many in a transaction, and the checkpoint with the last of them.
func build(c Config, verifier note.Verifier, signed []byte, entries iter.Seq2[signer.Entry, error]) error {
	noter, err := newNoteSigner(c.Origin, c.Key)
	if err != nil {
		return err
	}
	checkpoint, err := signer.OpenCheckpoint(signed, verifier)
	if err != nil {
		return err
	}
	db, err := openStore(c.Path, false)
	if err != nil {
		return err
	}
	next, stop := iter.Pull2(entries)
	defer stop()
	err = db.Update(createBuckets)
	for more := true; more && err == nil; {
		err = db.Update(func(tx *bbolt.Tx) (err error) {
			more, err = putNext(tx, next)
			if err == nil && !more {
				_, err = putCheckpoint(tx, noter, checkpoint)
			}
			return err
		})
	}
	return errors.Join(err, db.Close())
}

// putNext writes up to verifyStep entries and tells whether there may be more.
func putNext(tx *bbolt.Tx, next func() (signer.Entry, error, bool)) (more bool, err error) {
	for range verifyStep {
		e, err, ok := next()
		if err != nil || !ok {
			return false, err
		}
		r := RecordOf(e)
		if err := errors.Join(checkRecord(r), put(tx, r)); err != nil {
			return false, fmt.Errorf("entry %d: %w", e.Index, err)
		}
	}
	return true, nil
}

// accept verifies what was built, has it admitted, and notes its size beside the path where it will be.
func accept(building Config, path string, admit func(*Log) error) error {
	l, err := open(building, false)
	if err != nil {
		return err
	}
	defer l.db.Close()
	if err := l.verifyAll(nil); err != nil {
		return err
	}
	if err := admit(l); err != nil {
		return err
	}
	l.config.Path = path
	if _, err := os.Lstat(sizePath(path)); errors.Is(err, os.ErrNotExist) {
		return createSizeFile(path, l.state.Load().Tree)
	}
	if err := l.checkNoted(); err != nil {
		return fmt.Errorf("%w, as %s says; restore from a longer copy, or move that note away and let the portal replay the rest",
			err, filepath.Base(sizePath(path)))
	}
	return errors.Join(l.noted.write(l.state.Load().Tree), l.noted.close())
}

func syncDir(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
