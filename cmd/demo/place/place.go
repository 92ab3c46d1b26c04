// Package place is where a demo lives: its directory, held for one process at a
// time, the users its parts run as, and the files that each of them may read.
//
// Started by root, the portal's parts run as one user and the signer as
// another, in a directory under /var/tmp that those users can reach (the home
// of root is closed to them), and which the demo's own directory records.
// Started by anyone else, everything runs as that user in that directory.
package place

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/metrum-ai/licensing-portal/cmd/demo/supervise"
)

var (
	// ErrInUse says that another process runs the demo of this directory.
	ErrInUse = errors.New("a demo already runs in this directory")
	// ErrGone says that the recorded directory is not there any more.
	ErrGone = errors.New("the files of this demo are gone")
)

const (
	lockFile   = "lock"
	recordFile = "place.json"

	outside       = "/var/tmp"
	outsidePrefix = "licensing-demo-"
	// longestDir leaves room for run/signer.sock in the 107 bytes that Linux
	// allows for the path of a socket.
	longestDir = 85
)

// Place is a demo's directories and users.
type Place struct {
	Dir  string // the demo's own directory, absolute
	Root string // where the parts' files are: Dir, or a directory outside
	// App is the user of portal, worker and router, Signer the signer's. Both
	// are nil, which means the caller's own, unless root started the demo.
	App, Signer *supervise.Identity

	lock *os.File
}

// record is what recordFile holds.
type record struct {
	Root     string `json:"root,omitempty"` // empty: the directory itself
	Owner    int    `json:"owner"`          // the user who made the demo
	AppID    uint32 `json:"app_id,omitempty"`
	SignerID uint32 `json:"signer_id,omitempty"`
}

// Open takes the place in dir for this process, and makes it at first. It fails
// with ErrInUse while another process has it.
func Open(dir string) (_ *Place, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("place: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("place: %w", err)
	}
	p := &Place{Dir: dir}
	if p.lock, err = takeLock(dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = unlock(p.lock)
		}
	}()
	r, found, err := readRecord(dir)
	if err != nil {
		return nil, err
	}
	if !found {
		if r, err = makeRecord(dir); err != nil {
			return nil, err
		}
	}
	if r.Owner != os.Geteuid() {
		return nil, fmt.Errorf("place: the demo in %s was made by user %d and you are user %d: start it as that user, or choose another DEMO_DIR",
			dir, r.Owner, os.Geteuid())
	}
	p.Root = dir
	if r.Root != "" {
		p.Root = r.Root
		if err := checkRoot(p.Root); err != nil {
			return nil, fmt.Errorf("%w; remove %s to begin anew", err, dir)
		}
	}
	if r.AppID != 0 {
		p.App = &supervise.Identity{UID: r.AppID, GID: r.AppID}
		// Being in the portal's group lets the signer give its socket to it.
		p.Signer = &supervise.Identity{UID: r.SignerID, GID: r.SignerID, Groups: []uint32{r.AppID}}
	}
	return p, p.makeDirs()
}

// Close lets go of the place.
func (p *Place) Close() error { return unlock(p.lock) }

// Exists reports whether a demo was made in the directory.
func Exists(dir string) bool {
	_, found, err := readRecord(dir)
	return found && err == nil
}

// Remove deletes what the place made, and the named files and directories that
// its user put beside. What else is in the directory stays, and then the
// directory does. The place must be open, and is closed by it.
func (p *Place) Remove(names ...string) error {
	defer func() { _ = unlock(p.lock) }()
	if p.Root != p.Dir {
		if err := os.RemoveAll(p.Root); err != nil {
			return fmt.Errorf("place: %w", err)
		}
	}
	// The record goes last: a removal that was interrupted can be repeated.
	names = append(append(slices.Clone(ownDirs), names...), lockFile, recordFile)
	for _, name := range names {
		if err := os.RemoveAll(filepath.Join(p.Dir, name)); err != nil {
			return fmt.Errorf("place: %w", err)
		}
	}
	if err := os.Remove(p.Dir); err != nil && !errors.Is(err, syscall.ENOTEMPTY) && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("place: %w", err)
	}
	return nil
}

// takeLock holds the directory; the kernel lets go of it when the process ends,
// however it ends.
func takeLock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("place: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("place: %s: %w; stop that one, or choose another DEMO_DIR and DEMO_PORT", dir, ErrInUse)
	}
	return f, nil
}

// unlock gives the directory up at once. Closing alone would leave it locked
// for as long as a process that was just forked elsewhere still has the file
// open, before it becomes another program.
func unlock(f *os.File) error {
	_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
	return f.Close()
}

func readRecord(dir string) (r record, found bool, err error) {
	text, err := os.ReadFile(filepath.Join(dir, recordFile))
	if errors.Is(err, os.ErrNotExist) {
		return r, false, nil
	}
	if err != nil {
		return r, false, fmt.Errorf("place: %w", err)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, false, fmt.Errorf("place: %s: %w", filepath.Join(dir, recordFile), err)
	}
	return r, true, nil
}

func makeRecord(dir string) (record, error) {
	r := record{Owner: os.Geteuid()}
	if r.Owner == 0 {
		var err error
		if r.AppID, r.SignerID, err = chooseIDs(); err != nil {
			return r, err
		}
	}
	if r.Owner == 0 || len(dir) > longestDir {
		root, err := os.MkdirTemp(outside, outsidePrefix)
		if err != nil {
			return r, fmt.Errorf("place: %w", err)
		}
		r.Root = root
	}
	text, err := json.Marshal(r)
	if err != nil {
		return r, fmt.Errorf("place: %w", err)
	}
	return r, replaceFile(filepath.Join(dir, recordFile), append(text, '\n'), 0o600, nil, dir)
}

// checkRoot accepts a directory outside only while it is one of this user's: a
// cleaner may have removed it, and someone else made one of that name.
func checkRoot(root string) error {
	if filepath.Dir(root) != outside || !strings.HasPrefix(filepath.Base(root), outsidePrefix) {
		return fmt.Errorf("place: %s is not a directory of a demo", root)
	}
	info, err := os.Lstat(root)
	if err != nil || !info.IsDir() {
		return fmt.Errorf("place: %s: %w", root, ErrGone)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("place: %s belongs to someone else: %w", root, ErrGone)
	}
	return nil
}
