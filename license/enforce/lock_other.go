//go:build !unix

package enforce

import (
	"errors"
	"os"
)

var errInUse = errors.New("another process uses it")

// lockFile only makes the file: the standard library has no lock here.
func lockFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
}

func unlockFile(file *os.File) error { return file.Close() }

// syncFolder does nothing: folders cannot be synced here.
func syncFolder(string) error { return nil }
