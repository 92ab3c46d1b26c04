package witness

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Verify reads a whole copy, without the log: each entry's leaf is made again from its bytes, each stored hash from those
// before it, and the root must be the one of the signed checkpoint. A witness may follow meanwhile. It returns how many
// entries the copy holds.
func Verify(dir string, verifier note.Verifier) (size int64, err error) {
	v, tree, err := readVerified(dir, verifier)
	if err != nil {
		return 0, err
	}
	if v == nil {
		return 0, fmt.Errorf("%s: no checkpoint was verified yet", dir)
	}
	entries, err := os.Open(filepath.Join(dir, entriesFile))
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrCopy, err)
	}
	defer entries.Close()
	hashes, err := os.Open(filepath.Join(dir, hashesFile))
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrCopy, err)
	}
	defer hashes.Close()
	lines := bufio.NewReaderSize(io.LimitReader(entries, v.EntriesBytes), 1<<16)
	read := int64(0)
	for index := range tree.N {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return 0, fmt.Errorf("%w: entry %d is missing", ErrCopy, index)
		}
		read += int64(len(line))
		if err := verifyEntry(line, index, hashReader{hashes}); err != nil {
			return 0, err
		}
	}
	if read != v.EntriesBytes {
		return 0, fmt.Errorf("%w: its entries have %d bytes, %s says %d", ErrCopy, read, verifiedFile, v.EntriesBytes)
	}
	root, err := tlog.TreeHash(tree.N, hashReader{hashes})
	if err == nil && root != tree.Hash {
		err = fmt.Errorf("%w: the root is not the checkpoint's", ErrCopy)
	}
	return tree.N, err
}

func verifyEntry(line []byte, index int64, stored hashReader) error {
	leaf, err := leafOf(line, index)
	if err != nil {
		return fmt.Errorf("%w: entry %d: %w", ErrCopy, index, err)
	}
	want, err := tlog.StoredHashesForRecordHash(index, leaf, stored)
	if err != nil {
		return err
	}
	indexes := make([]int64, len(want))
	for n := range want {
		indexes[n] = tlog.StoredHashIndex(0, index) + int64(n)
	}
	have, err := stored.ReadHashes(indexes)
	if err != nil {
		return err
	}
	for n := range want {
		if have[n] != want[n] {
			return fmt.Errorf("%w: entry %d is not the one that was verified", ErrCopy, index)
		}
	}
	return nil
}
