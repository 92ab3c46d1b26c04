package witness

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/strictjson"
)

// The copy's files. Entries and hashes only grow, and are synced before the verified file names what they hold, so a
// witness that is killed anywhere finds its last verified checkpoint and everything under it.
const (
	entriesFile  = "entries.jsonl" // an entry a line, as received
	hashesFile   = "hashes"        // tlog's stored hashes, 32 bytes each, in their order
	verifiedFile = "verified.json"
)

// ErrCopy says that the copy on this host is damaged; it is no statement about the log.
var ErrCopy = errors.New("the witness's copy is damaged")

// verified is the last verified checkpoint and how far the entries file belongs to it.
type verified struct {
	Checkpoint   string `json:"checkpoint"`
	EntriesBytes int64  `json:"entries_bytes"`
}

// logCopy is the copy on disk.
type logCopy struct {
	dir       string
	entries   *os.File
	hashes    *os.File
	committed bool              // there is a verified checkpoint
	verified  signer.Checkpoint // the empty tree until then
	bytes     int64             // of the entries file that belong to it
	at        int64             // where the next entry goes
}

// openCopy opens or starts a copy. What goes beyond its verified checkpoint stays until rewind.
func openCopy(dir string, verifier note.Verifier) (*logCopy, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	v, checkpoint, err := readVerified(dir, verifier)
	if err != nil {
		return nil, err
	}
	c := &logCopy{dir: dir, committed: v != nil, verified: checkpoint}
	if v != nil {
		c.bytes = v.EntriesBytes
	}
	const mode = os.O_RDWR | os.O_CREATE
	if c.entries, err = os.OpenFile(filepath.Join(dir, entriesFile), mode, 0o600); err != nil {
		return nil, err
	}
	if c.hashes, err = os.OpenFile(filepath.Join(dir, hashesFile), mode, 0o600); err != nil {
		return nil, errors.Join(err, c.entries.Close())
	}
	if err := c.check(); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// check locks the copy, and compares it with its checkpoint by size and root; Verify reads all of it.
func (c *logCopy) check() error {
	if err := syscall.Flock(int(c.entries.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("%s: another witness has it open", c.dir)
	}
	for file, want := range map[*os.File]int64{c.entries: c.bytes, c.hashes: hashBytes(c.verified.N)} {
		info, err := file.Stat()
		if err != nil {
			return err
		}
		if info.Size() < want {
			return fmt.Errorf("%w: %s has %d bytes instead of %d", ErrCopy, file.Name(), info.Size(), want)
		}
	}
	have, err := c.treeAt(c.verified.N)
	if err != nil {
		return err
	}
	if have.Hash != c.verified.Hash {
		return fmt.Errorf("%w: %s does not have the checkpoint's root", ErrCopy, c.hashes.Name())
	}
	return nil
}

// rewind drops what is not verified.
func (c *logCopy) rewind() error {
	c.at = c.bytes
	return errors.Join(c.entries.Truncate(c.bytes), c.hashes.Truncate(hashBytes(c.verified.N)))
}

func (c *logCopy) close() error { return errors.Join(c.entries.Close(), c.hashes.Close()) }

func hashBytes(records int64) int64 { return tlog.StoredHashCount(records) * tlog.HashSize }

// append writes an entry and its hashes; commit makes them last.
func (c *logCopy) append(text []byte, index int64, leaf tlog.Hash) error {
	line := append(append([]byte(nil), text...), '\n') // readEntry let no other newline through
	hashes, err := tlog.StoredHashesForRecordHash(index, leaf, hashReader{c.hashes})
	if err != nil {
		return err
	}
	var stored []byte
	for _, h := range hashes {
		stored = append(stored, h[:]...)
	}
	if _, err := c.entries.WriteAt(line, c.at); err != nil {
		return err
	}
	c.at += int64(len(line))
	_, err = c.hashes.WriteAt(stored, hashBytes(index))
	return err
}

// treeAt is the tree of the first entries of the copy.
func (c *logCopy) treeAt(size int64) (tlog.Tree, error) {
	hash, err := tlog.TreeHash(size, hashReader{c.hashes})
	return tlog.Tree{N: size, Hash: hash}, err
}

// commit makes a verified checkpoint the copy's.
func (c *logCopy) commit(signed []byte, checkpoint signer.Checkpoint) error {
	if err := errors.Join(c.entries.Sync(), c.hashes.Sync()); err != nil {
		return err
	}
	text, err := json.MarshalIndent(verified{Checkpoint: string(signed), EntriesBytes: c.at}, "", "  ")
	if err != nil {
		return err
	}
	if err := replaceFile(filepath.Join(c.dir, verifiedFile), append(text, '\n')); err != nil {
		return err
	}
	c.committed, c.verified, c.bytes = true, checkpoint, c.at
	return nil
}

// readVerified reads the last verified checkpoint; nil and that of the empty tree where there is none yet.
func readVerified(dir string, verifier note.Verifier) (*verified, signer.Checkpoint, error) {
	path := filepath.Join(dir, verifiedFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		hash, err := tlog.TreeHash(0, nil)
		return nil, signer.Checkpoint{Tree: tlog.Tree{Hash: hash}}, err
	}
	if err != nil {
		return nil, signer.Checkpoint{}, err
	}
	var v verified
	if err := strictjson.Decode(text, &v); err != nil || v.EntriesBytes < 0 {
		return nil, signer.Checkpoint{}, fmt.Errorf("%w: %s does not read", ErrCopy, path)
	}
	checkpoint, err := signer.OpenCheckpoint([]byte(v.Checkpoint), verifier)
	if err != nil {
		return nil, signer.Checkpoint{}, fmt.Errorf("%w: %s: %w; is log_key the key of this log?", ErrCopy, path, err)
	}
	return &v, checkpoint, nil
}

// replaceFile writes a file that is there whole or not at all, also after a power cut.
func replaceFile(path string, text []byte) error {
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// hashReader reads stored hashes from their file.
type hashReader struct{ f *os.File }

func (r hashReader) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	list := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if _, err := r.f.ReadAt(list[i][:], index*tlog.HashSize); err != nil {
			return nil, fmt.Errorf("%w: hash %d: %w", ErrCopy, index, err)
		}
	}
	return list, nil
}
