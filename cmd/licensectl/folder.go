package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

// folder writes files into one folder so that each is there whole or not at all, also after a loss of power.
type folder struct {
	path string
	sync func(*os.File) error // (*os.File).Sync; a test makes it fail
}

// attributes of a file that its replacement takes over.
type attributes struct {
	mode     fs.FileMode // permission bits
	owned    bool        // uid and gid are known
	uid, gid int
}

const temporarySuffix = ".licensectl-tmp"

func temporaryPrefix(name string) string { return "." + name + "." }

// sweep removes what an installation that was killed left behind. The caller holds the lock.
func (f folder) sweep(name string) error {
	entries, err := os.ReadDir(f.path)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), temporaryPrefix(name)) && strings.HasSuffix(entry.Name(), temporarySuffix) {
			if err := os.Remove(filepath.Join(f.path, entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// backUp keeps old beside target and returns where. A backup that is there with the same bytes is used, one with
// other bytes is left alone.
func (f folder) backUp(ctx context.Context, target string, old []byte, tag string, a attributes) (string, error) {
	for _, suffix := range []string{tag, tag + "." + digestTag(old)} {
		backup := target + "." + suffix + ".bak"
		kept, err := license.ReadFile(backup)
		switch {
		case license.CodeOf(err) == license.CodeMissing:
			if _, err := os.Lstat(backup); errors.Is(err, fs.ErrNotExist) {
				return backup, f.write(ctx, target, backup, old, a)
			}
		case err == nil && string(kept) == string(old):
			// The newest backup is what was replaced last. Only an owner may say so, and only the order suffers.
			now := time.Now()
			_ = os.Chtimes(backup, now, now)
			return backup, nil
		}
	}
	return "", fmt.Errorf("%s.%s.bak is there and holds something else: move it away", target, tag)
}

// replace puts data at target. Where it fails, what was at target is still there, whole.
func (f folder) replace(ctx context.Context, target string, data []byte, a attributes) error {
	return f.write(ctx, target, target, data, a)
}

// write puts data at path by way of a synced temporary file, named after target, and a rename.
func (f folder) write(ctx context.Context, target, path string, data []byte, a attributes) (err error) {
	file, err := os.CreateTemp(f.path, temporaryPrefix(filepath.Base(target))+"*"+temporarySuffix)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name()) // the failure before it is the one to tell
		}
	}()
	if err := f.fill(file, data, a); err != nil {
		return errors.Join(err, file.Close())
	}
	if err := file.Close(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("stopped before anything changed: %w", err)
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	if err := f.syncFolder(); err != nil {
		return fmt.Errorf("%s is in place, but may not survive a loss of power: %w", path, err)
	}
	return nil
}

func (f folder) fill(file *os.File, data []byte, a attributes) error {
	if _, err := file.Write(data); err != nil {
		return err
	}
	if a.owned {
		if err := takeOwner(file, a); err != nil {
			return fmt.Errorf("the owner of the file before it cannot be kept, run as root or as its owner: %w", err)
		}
	}
	if err := file.Chmod(a.mode); err != nil {
		return err
	}
	return f.sync(file)
}

func (f folder) syncFolder() error {
	dir, err := os.Open(f.path)
	if err != nil {
		return err
	}
	return errors.Join(f.sync(dir), dir.Close())
}

func readAttributes(path string) (attributes, error) {
	info, err := os.Stat(path)
	if err != nil {
		return attributes{}, err
	}
	a := attributes{mode: info.Mode().Perm()}
	a.uid, a.gid, a.owned = owner(info)
	return a, nil
}

// newAttributes are those of a file that replaces none. A router runs as the owner of its folder rather than as
// root, and could not read a file that is root's.
func newAttributes(dir string) (attributes, error) {
	a, err := readAttributes(dir)
	a.mode = 0o640
	a.owned = a.owned && os.Geteuid() == 0
	return a, err
}
