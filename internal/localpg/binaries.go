package localpg

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// ErrNoBinaries says that no PostgreSQL server is installed.
var ErrNoBinaries = errors.New("no PostgreSQL server binaries found (initdb, postgres): " +
	"run scripts/setup, or install the package \"postgresql\"")

// FindBinaries returns the directory that holds initdb and postgres: the newest
// of Debian's and Homebrew's versioned directories, else the one on PATH.
func FindBinaries() (string, error) {
	var dirs []string
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",
		"/opt/homebrew/opt/postgresql@*/bin",
		"/usr/local/opt/postgresql@*/bin",
		"/usr/pgsql-*/bin",
	} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return "", fmt.Errorf("localpg: %w", err)
		}
		dirs = append(dirs, found...)
	}
	slices.SortStableFunc(dirs, func(a, b string) int { return majorOf(b) - majorOf(a) })
	if path, err := exec.LookPath("initdb"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	for _, dir := range dirs {
		if executable(filepath.Join(dir, "initdb")) && executable(filepath.Join(dir, "postgres")) {
			return dir, nil
		}
	}
	return "", ErrNoBinaries
}

// majorOf reads the version from the directory above bin: 15 of
// /usr/lib/postgresql/15/bin.
func majorOf(bin string) int { return firstNumber(filepath.Base(filepath.Dir(bin))) }

// firstNumber is the first run of digits in s, 0 where there is none.
func firstNumber(s string) int {
	digits := func(r rune) bool { return r >= '0' && r <= '9' }
	_, s = splitAt(s, digits)
	s, _ = splitAt(s, func(r rune) bool { return !digits(r) })
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

// splitAt cuts s before the first rune that holds.
func splitAt(s string, holds func(rune) bool) (before, after string) {
	if i := strings.IndexFunc(s, holds); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

// account is the user that the server runs as; nil means this process's own.
type account struct {
	uid, gid uint32
}

// serverUser is nil unless this process is root, whom PostgreSQL refuses; then
// it is another user with an entry in passwd, which initdb insists on.
func serverUser() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uerr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gerr := strconv.ParseUint(u.Gid, 10, 32)
		if uerr == nil && gerr == nil && uid != 0 {
			return &account{uid: uint32(uid), gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("localpg: PostgreSQL does not run as root and there is neither a user postgres nor nobody")
}

// attributes make a child run as the account, in a process group of its own so
// that a Ctrl-C at the terminal does not reach it before its owner stops it.
func (a *account) attributes() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if a != nil {
		attr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
	return attr
}

// own gives the path to the account.
func (a *account) own(path string) error {
	if a == nil {
		return nil
	}
	return os.Chown(path, int(a.uid), int(a.gid))
}
