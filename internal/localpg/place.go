package localpg

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// ErrInUse says that another process runs the cluster of this directory.
var ErrInUse = errors.New("this PostgreSQL directory is in use by another process")

const (
	lockFile     = "lock"
	placeFile    = "place"
	passwordFile = "password"
	logFile      = "postgres.log"

	outside       = "/var/tmp"
	outsidePrefix = "licensing-portal-"
	// longestDir leaves room for the socket's name in the 107 bytes that
	// Linux allows for the path of a socket (103 on macOS).
	longestDir = 70
)

// place is where the cluster itself lives: in its owner's directory, or outside
// when the server could not enter that one or its socket's path got too long.
type place struct{ root string }

func (p place) data() string    { return filepath.Join(p.root, "data") }
func (p place) sockets() string { return filepath.Join(p.root, "run") }

// findPlace returns the recorded place of dir, or makes one and records it. The
// name is random, so a directory that was deleted and made anew starts afresh.
func findPlace(dir string, who *account) (place, error) {
	pl, ok := recordedPlace(dir)
	if !ok {
		pl = place{root: dir}
		if who != nil || len(dir) > longestDir {
			root, err := os.MkdirTemp(outside, outsidePrefix)
			if err != nil {
				return place{}, fmt.Errorf("localpg: %w", err)
			}
			pl.root = root
		}
		if err := writeFile(filepath.Join(dir, placeFile), pl.root+"\n"); err != nil {
			return place{}, err
		}
	}
	if pl.root != dir {
		// Others may pass through to the socket; data stays closed to them.
		if err := os.Chmod(pl.root, 0o711); err != nil {
			return place{}, fmt.Errorf("localpg: %w", err)
		}
	}
	if err := os.MkdirAll(pl.sockets(), 0o755); err != nil {
		return place{}, fmt.Errorf("localpg: %w", err)
	}
	if err := who.own(pl.sockets()); err != nil {
		return place{}, fmt.Errorf("localpg: %w", err)
	}
	return pl, nil
}

// recordedPlace is the place that an earlier start wrote down. A place outside
// counts only while it is a directory of this user: a cleaner may have removed
// it, and someone else may have made one of that name.
func recordedPlace(dir string) (place, bool) {
	text, err := os.ReadFile(filepath.Join(dir, placeFile))
	if err != nil {
		return place{}, false
	}
	root := strings.TrimSuffix(string(text), "\n")
	if filepath.Dir(root) != outside || !strings.HasPrefix(filepath.Base(root), outsidePrefix) {
		// Recorded as the directory itself, which may have moved since.
		abs, err := filepath.Abs(dir)
		return place{root: abs}, err == nil && len(abs) <= longestDir && os.Geteuid() != 0
	}
	info, err := os.Lstat(root)
	if err != nil || !info.IsDir() {
		return place{}, false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) != os.Geteuid() {
		return place{}, false
	}
	return place{root: root}, true
}

// lockDir holds the directory for this process; the kernel lets go of it when
// the process ends, however it ends.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("localpg: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("localpg: %s: %w", dir, ErrInUse)
	}
	return f, nil
}

// unlock gives the directory up at once. Closing alone would leave it locked for as long as a process that was just forked
// elsewhere still has the file open, before it becomes another program.
func unlock(f *os.File) {
	_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
	f.Close()
}

// ensurePassword returns the cluster's password, and makes one at first.
func ensurePassword(dir string) (string, error) {
	path := filepath.Join(dir, passwordFile)
	text, err := os.ReadFile(path)
	if err == nil {
		if password := strings.TrimSuffix(string(text), "\n"); password != "" {
			return password, nil
		}
		return "", fmt.Errorf("localpg: %s is empty: remove the directory and start again", path)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("localpg: %w", err)
	}
	password := rand.Text()
	return password, writeFile(path, password+"\n")
}

// writeFile replaces a small private file in one step.
func writeFile(path, text string) error {
	next := path + ".new"
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		return fmt.Errorf("localpg: %w", err)
	}
	if err := os.Rename(next, path); err != nil {
		return fmt.Errorf("localpg: %w", err)
	}
	return nil
}
