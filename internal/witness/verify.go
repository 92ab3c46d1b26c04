package witness

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/metrum-ai/licensing-portal/internal/signer"
)

// Copy is a witness's copy as of its last verified checkpoint, read without the log. A witness may follow meanwhile.
type Copy struct {
	Signed     []byte // the checkpoint
	Checkpoint signer.Checkpoint

	dir   string
	bytes int64 // of the entries file that belong to it
}

// Read opens a copy. Nothing of it is verified but the checkpoint's signature; Entries verifies the rest.
func Read(dir string, verifier note.Verifier) (*Copy, error) {
	v, checkpoint, err := readVerified(dir, verifier)
	if err != nil {
		return nil, err
	}
	if v == nil {
		return nil, fmt.Errorf("%s: no checkpoint was verified yet", dir)
	}
	return &Copy{Signed: []byte(v.Checkpoint), Checkpoint: checkpoint, dir: dir, bytes: v.EntriesBytes}, nil
}

// Verify reads a whole copy and returns how many entries it holds.
func Verify(dir string, verifier note.Verifier) (size int64, err error) {
	c, err := Read(dir, verifier)
	if err != nil {
		return 0, err
	}
	for _, err := range c.Entries() {
		if err != nil {
			return 0, err
		}
	}
	return c.Checkpoint.N, nil
}

// Entries reads the copy in the log's order: each entry's leaf is made again from its bytes, each stored hash from those
// before it, and the root must be the checkpoint's. An error comes last; only after the end without one are the entries
// known to be the log's.
func (c *Copy) Entries() iter.Seq2[signer.Entry, error] {
	return func(yield func(signer.Entry, error) bool) {
		if err := c.each(func(e signer.Entry) bool { return yield(e, nil) }); err != nil {
			yield(signer.Entry{}, err)
		}
	}
}

// each calls visit for every entry until it returns false, which is no error.
func (c *Copy) each(visit func(signer.Entry) bool) error {
	entries, err := os.Open(filepath.Join(c.dir, entriesFile))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCopy, err)
	}
	defer entries.Close()
	hashes, err := os.Open(filepath.Join(c.dir, hashesFile))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCopy, err)
	}
	defer hashes.Close()
	lines := bufio.NewReaderSize(io.LimitReader(entries, c.bytes), 1<<16)
	read := int64(0)
	for index := range c.Checkpoint.N {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return fmt.Errorf("%w: entry %d is missing", ErrCopy, index)
		}
		read += int64(len(line))
		e, err := verifyEntry(line, index, hashReader{hashes})
		if err != nil {
			return err
		}
		if !visit(e) {
			return nil
		}
	}
	if read != c.bytes {
		return fmt.Errorf("%w: its entries have %d bytes, %s says %d", ErrCopy, read, verifiedFile, c.bytes)
	}
	root, err := tlog.TreeHash(c.Checkpoint.N, hashReader{hashes})
	if err == nil && root != c.Checkpoint.Hash {
		err = fmt.Errorf("%w: the root is not the checkpoint's", ErrCopy)
	}
	return err
}

func verifyEntry(line []byte, index int64, stored hashReader) (signer.Entry, error) {
	e, leaf, err := readEntry(line, index)
	if err != nil {
		return e, fmt.Errorf("%w: entry %d: %w", ErrCopy, index, err)
	}
	want, err := tlog.StoredHashesForRecordHash(index, leaf, stored)
	if err != nil {
		return e, err
	}
	indexes := make([]int64, len(want))
	for n := range want {
		indexes[n] = tlog.StoredHashIndex(0, index) + int64(n)
	}
	have, err := stored.ReadHashes(indexes)
	if err != nil {
		return e, err
	}
	for n := range want {
		if have[n] != want[n] {
			return e, fmt.Errorf("%w: entry %d is not the one that was verified", ErrCopy, index)
		}
	}
	return e, nil
}
