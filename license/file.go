package license

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/metrum-ai/licensing-portal/license/internal/regular"
)

// ReadFile returns the bytes of the license file at path, for Read. The file is opened once and judged by its
// descriptor: a symbolic link is followed (Kubernetes mounts secrets so), but a folder, device, socket or FIFO is
// refused without waiting for it, and so is a file larger than MaxFileSize. A file that is not there is
// license-missing, everything else license-invalid; every error is an *Error, without the path.
func ReadFile(path string) ([]byte, error) {
	text, err := regular.Read(path, MaxFileSize)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, refuse(CodeMissing, "there is no license file at the configured path")
	}
	if err != nil {
		return nil, invalid("the license file cannot be read: " + err.Error())
	}
	return []byte(text), nil
}

// ReadKeyRing reads the key ring file at path, opened as ReadFile opens a license file.
func ReadKeyRing(path string) (*KeyRing, error) {
	text, err := regular.Read(path, MaxKeyRingSize)
	if err != nil {
		return nil, fmt.Errorf("key ring: %s: %w", path, err)
	}
	return ParseKeyRing([]byte(text))
}

// LoadRevocationBundle reads the revocation bundle at path, opened as ReadFile opens a license file, and verifies it
// as ReadRevocationBundle does, with one copy of the file less in memory. A file that is not there is
// CodeRevocationMissing; every error is an *Error, without the path.
func LoadRevocationBundle(path string, ring *KeyRing, now time.Time) (*RevocationBundle, error) {
	text, err := regular.Read(path, MaxRevocationFileSize)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, refuse(CodeRevocationMissing, "there is no revocation bundle at the configured path")
	}
	if err != nil {
		return nil, failedRevocation(invalid("it cannot be read: " + err.Error()))
	}
	return readRevocations(text, ring, now)
}
