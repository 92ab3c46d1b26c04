// Package log is the signer's memory: an append-only Merkle log of every issuance, in one durable file.
//
// No log, no signature: Append returns only after the record, its hashes, its counters and a signed checkpoint were synced
// in one transaction. One goroutine decides and writes, a group of requests a transaction, so that two requests with one
// fulfillment key give one record, and a cap counts each record once. The log refuses to open when its file is missing,
// truncated, older than the size noted beside it, or does not match its own signed checkpoint. After a failed commit it
// refuses everything until the process is started again, since what the disk holds is then unknown.
package log

import (
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/metrum-ai/licensing-portal/internal/signer"
)

// Why the log refuses.
var (
	ErrMissing   = errors.New("issuance log is missing")
	ErrInUse     = errors.New("issuance log is in use by another signer")
	ErrBroken    = errors.New("issuance log is broken")
	ErrRollback  = errors.New("issuance log is older than what was signed before")
	ErrFailed    = errors.New("issuance log failed")
	ErrClosed    = errors.New("issuance log is closed")
	ErrConflict  = errors.New("another intent is logged under this fulfillment key")
	ErrOvertaken = errors.New("another revocation was logged meanwhile")
	ErrCap       = errors.New("cap reached")
	ErrClock     = errors.New("clock is behind the issuance log")
)

// MaxClockBehind is how far the clock may be behind the last record.
const MaxClockBehind = 5 * time.Minute

// Config says where the log is and who it is.
type Config struct {
	Path   string           // the store; its size is noted in PATH.size
	Origin string           // the log's name in checkpoints
	Key    crypto.Signer    // signs checkpoints; Ed25519
	Now    func() time.Time // nil: the system's clock
	Logger *slog.Logger     // nil: none
	// Commit ends a write transaction. Nil is bbolt's own; a test puts a failing disk here.
	Commit func(*bbolt.Tx) error
}

// Log is an open log; safe for concurrent use.
type Log struct {
	config Config
	db     *bbolt.DB
	signer noteSigner
	noted  *sizeFile

	requests chan *request
	stop     chan struct{}
	stopped  sync.WaitGroup
	once     sync.Once
	broken   atomic.Pointer[error]

	writing sync.Mutex            // held by whoever changes the store and the state
	state   atomic.Pointer[state] // after the last commit
}

type state struct {
	signer.Checkpoint
	signed     []byte // the checkpoint
	lastLogged time.Time
}

// Init makes an empty log. Where the store exists but the note of its size is gone, it verifies the store whole and notes
// its size again: the one way back after that note was lost, taken by a person on the signer's host.
func Init(c Config) error {
	c = c.withDefaults()
	_, storeErr := os.Lstat(c.Path)
	_, sizeErr := os.Lstat(sizePath(c.Path))
	switch {
	case sizeErr == nil && storeErr == nil:
		return fmt.Errorf("%s: the log exists already", c.Path)
	case sizeErr == nil:
		return fmt.Errorf("%s: %w, but a size is noted beside it; restore the store instead of starting anew", c.Path, ErrMissing)
	case storeErr == nil:
		return renote(c)
	}
	noter, err := newNoteSigner(c.Origin, c.Key)
	if err != nil {
		return err
	}
	db, err := openStore(c.Path, false)
	if err != nil {
		return err
	}
	tree := tlog.Tree{}
	if tree.Hash, err = tlog.TreeHash(0, nil); err != nil {
		return errors.Join(err, db.Close())
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		if err := createBuckets(tx); err != nil {
			return err
		}
		_, err := putCheckpoint(tx, noter, signer.Checkpoint{Tree: tree})
		return err
	})
	return errors.Join(err, db.Close(), createSizeFile(c.Path, tree))
}

func createBuckets(tx *bbolt.Tx) error {
	for _, name := range allBuckets {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	return nil
}

func renote(c Config) error {
	l, err := open(c, true)
	if err != nil {
		return err
	}
	defer l.db.Close()
	if err := l.verifyAll(nil); err != nil {
		return err
	}
	return createSizeFile(c.Path, l.state.Load().Tree)
}

// Open opens an existing log for appending. It checks the file's size, the checkpoint's signature, the tree's root against
// the stored hashes, and that nothing rolled back; VerifyAll checks the rest.
func Open(c Config) (*Log, error) {
	l, err := open(c.withDefaults(), false)
	if err != nil {
		return nil, err
	}
	if err := l.checkNoted(); err != nil {
		return nil, errors.Join(err, l.db.Close())
	}
	l.stopped.Add(1)
	go l.write()
	return l, nil
}

// VerifyOffline opens the log that no signer has open, for reading, and checks every record.
func VerifyOffline(c Config) (size uint64, err error) {
	l, err := open(c.withDefaults(), true)
	if err != nil {
		return 0, err
	}
	defer l.db.Close()
	if err := l.checkNoted(); err != nil {
		return 0, err
	}
	defer l.noted.close()
	return uint64(l.state.Load().N), l.verifyAll(nil)
}

func (c Config) withDefaults() Config {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Commit == nil {
		c.Commit = (*bbolt.Tx).Commit
	}
	return c
}

// openStore opens the file with a lock that only one process can hold.
func openStore(path string, readOnly bool) (db *bbolt.DB, err error) {
	defer func() {
		if recover() != nil { // bbolt panics on pages that make no sense
			db, err = nil, fmt.Errorf("%w: the store does not open", ErrBroken)
		}
	}()
	db, err = bbolt.Open(path, 0o600, &bbolt.Options{Timeout: 200 * time.Millisecond, ReadOnly: readOnly, FreelistType: bbolt.FreelistMapType})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, ErrInUse
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return db, nil
}

func open(c Config, readOnly bool) (*Log, error) {
	noter, err := newNoteSigner(c.Origin, c.Key)
	if err != nil {
		return nil, err
	}
	if err := checkFileSize(c.Path); err != nil {
		return nil, fmt.Errorf("%s: %w", c.Path, err)
	}
	db, err := openStore(c.Path, readOnly)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Path, err)
	}
	l := &Log{config: c, db: db, signer: noter, requests: make(chan *request), stop: make(chan struct{})}
	if err := l.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", c.Path, err), db.Close())
	}
	return l, nil
}

// load reads the checkpoint and compares the tree with it.
func (l *Log) load() (err error) {
	defer func() {
		if recover() != nil {
			err = fmt.Errorf("%w: pages make no sense", ErrBroken)
		}
	}()
	return l.db.View(func(tx *bbolt.Tx) error {
		for _, name := range allBuckets {
			if tx.Bucket(name) == nil {
				return fmt.Errorf("%w: not an issuance log", ErrBroken)
			}
		}
		s := state{signed: append([]byte(nil), tx.Bucket(bucketMeta).Get(metaCheckpoint)...)}
		if s.Checkpoint, err = signer.OpenCheckpoint(s.signed, l.signer); err != nil {
			return fmt.Errorf("%w: %w", ErrBroken, err)
		}
		root, err := tlog.TreeHash(s.N, hashReader{tx})
		if err != nil {
			return fmt.Errorf("%w: %w", ErrBroken, err)
		}
		if root != s.Hash {
			return fmt.Errorf("%w: the root differs from the checkpoint", ErrBroken)
		}
		last, _ := tx.Bucket(bucketRecords).Cursor().Last()
		if s.N == 0 && last != nil || s.N > 0 && string(last) != string(number(uint64(s.N-1))) {
			return fmt.Errorf("%w: more or fewer records than the checkpoint", ErrBroken)
		}
		if s.N > 0 {
			r, err := readRecord(tx, uint64(s.N-1))
			if err != nil {
				return err
			}
			s.lastLogged = r.LoggedAt
		}
		l.state.Store(&s)
		return nil
	})
}

// checkNoted compares the tree with the size and root noted beside the store.
func (l *Log) checkNoted() error {
	noted, tree, err := openSizeFile(l.config.Path)
	if err != nil {
		return err
	}
	err = l.db.View(func(tx *bbolt.Tx) error {
		if have := l.state.Load().N; have < tree.N {
			return fmt.Errorf("%w: %d records, %d were signed", ErrRollback, have, tree.N)
		}
		root, err := tlog.TreeHash(tree.N, hashReader{tx})
		if err != nil {
			return err
		}
		if root != tree.Hash {
			return fmt.Errorf("%w: another history than was signed", ErrRollback)
		}
		return nil
	})
	if err != nil {
		return errors.Join(err, noted.close())
	}
	l.noted = noted
	return nil
}

// Close ends the writer after the group it is writing and closes the store.
func (l *Log) Close() error {
	var err error
	l.once.Do(func() {
		close(l.stop)
		l.stopped.Wait()
		err = errors.Join(l.noted.close(), l.db.Close())
	})
	return err
}

// fail makes the log refuse everything from now on.
func (l *Log) fail(err error) error {
	failed := fmt.Errorf("%w: %w", ErrFailed, err)
	if l.broken.CompareAndSwap(nil, &failed) {
		l.config.Logger.Error("issuance log failed; nothing is issued until the signer is started again")
	}
	return *l.broken.Load()
}

// Err returns why the log refuses everything, or nil.
func (l *Log) Err() error {
	if err := l.broken.Load(); err != nil {
		return *err
	}
	return nil
}
