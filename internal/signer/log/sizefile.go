package log

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"
)

// sizeFile notes size and root of the last signed tree beside the store, so that a store that was deleted or restored from
// an older copy is noticed. It is one line of fixed length, written in place after each commit and synced when the signer
// stops: it may lag behind the store after a power cut, and is never ahead of it.
type sizeFile struct{ f *os.File }

const sizeLine = "size %020d root %s\n"

func sizePath(store string) string { return store + ".size" }

func createSizeFile(store string, tree tlog.Tree) error {
	f, err := os.OpenFile(sizePath(store), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	noted := &sizeFile{f}
	return errors.Join(noted.write(tree), noted.close(), syncDir(store))
}

func openSizeFile(store string) (*sizeFile, tlog.Tree, error) {
	f, err := os.OpenFile(sizePath(store), os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, tlog.Tree{}, fmt.Errorf("%w: the note of its size, %s, is gone; compare the log with a witness, then run signer log init",
			ErrRollback, filepath.Base(sizePath(store)))
	}
	if err != nil {
		return nil, tlog.Tree{}, err
	}
	line := make([]byte, 128)
	n, _ := f.ReadAt(line, 0)
	var tree tlog.Tree
	var root string
	if _, err := fmt.Sscanf(string(line[:n]), sizeLine, &tree.N, &root); err == nil && tree.N >= 0 {
		if hash, err := base64.StdEncoding.Strict().DecodeString(root); err == nil && len(hash) == tlog.HashSize {
			tree.Hash = tlog.Hash(hash)
			return &sizeFile{f}, tree, nil
		}
	}
	return nil, tlog.Tree{}, errors.Join(fmt.Errorf("%w: the note of its size does not read", ErrBroken), f.Close())
}

func (s *sizeFile) write(tree tlog.Tree) error {
	_, err := s.f.WriteAt(fmt.Appendf(nil, sizeLine, tree.N, tree.Hash), 0)
	return err
}

func (s *sizeFile) close() error { return errors.Join(s.f.Sync(), s.f.Close()) }
