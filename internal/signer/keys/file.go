package keys

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// maxBytes bounds a file that holds a secret.
const maxBytes = 16 << 10

// CredentialPrefix marks, where a path is asked for, the name of a credential of the service manager: credential:NAME is
// the file NAME in the folder that systemd names in CREDENTIALS_DIRECTORY (systemd.exec(5), LoadCredentialEncrypted=).
const CredentialPrefix = "credential:"

// ReadPrivate reads a file that holds a secret. It refuses a file that is not regular, that another user owns, or that
// anyone but its owner may read. A credential may also be root's: systemd lets the service's user read it by an access
// list, which shows as a mode of 0440.
func ReadPrivate(path string) ([]byte, error) {
	opened, err := PrivatePath(path)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(opened, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat() // of what was opened, so nothing can be swapped in between
	if err != nil {
		return nil, err
	}
	if err := checkAccess(info, opened != path); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxBytes))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return text, nil
}

// PrivatePath is the file that ReadPrivate opens: the path itself, or where the service manager put the credential it names.
func PrivatePath(path string) (string, error) {
	name, ok := strings.CutPrefix(path, CredentialPrefix)
	if !ok {
		return path, nil
	}
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" || name == "" || name != filepath.Base(name) {
		return "", fmt.Errorf("%s: the service manager gives no such credential", path)
	}
	return filepath.Join(dir, name), nil
}

func checkAccess(info os.FileInfo, credential bool) error {
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	others, mine := os.FileMode(0o177), int(owner.Uid) == os.Geteuid()
	if credential && owner.Uid == 0 && owner.Gid == 0 {
		others, mine = 0o337, true
	}
	switch mode := info.Mode().Perm(); {
	case !mine:
		return fmt.Errorf("owned by user %d; it must be owned by the signer's user %d", owner.Uid, os.Geteuid())
	case mode&others != 0:
		return fmt.Errorf("mode %04o lets others in; make it 0600 or 0400", mode)
	case info.Size() > maxBytes:
		return fmt.Errorf("larger than %d bytes", maxBytes)
	}
	return nil
}

// ReadPassphrase reads the passphrase of encrypted keys from a file on the conditions of ReadPrivate: its only line.
func ReadPassphrase(path string) ([]byte, error) {
	text, err := ReadPrivate(path)
	if err != nil {
		return nil, fmt.Errorf("passphrase: %w", err)
	}
	passphrase := bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	if len(passphrase) == 0 || bytes.ContainsAny(passphrase, "\r\n\x00") {
		return nil, fmt.Errorf("passphrase: %s: not one line", path)
	}
	return passphrase, nil
}
