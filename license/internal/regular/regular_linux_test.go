package regular

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// ReadFile's tests, in the package license, cover what a path may lead to. These are for files that are not what
// they say.

// A file may say that it is empty and be larger than the limit: here one of the kernel's, which all say so.
func TestSizeIsCountedAndNotBelieved(t *testing.T) {
	t.Parallel()
	const path = "/proc/self/status"
	info, err := os.Stat(path)
	if err != nil || info.Size() != 0 || !info.Mode().IsRegular() {
		t.Fatalf("%v %v: no regular file that says it is empty", info, err)
	}
	if text, err := Read(path, 100); err == nil || !strings.Contains(err.Error(), "larger than 100 bytes") || text != "" {
		t.Errorf("%q %v, want a refusal", text, err)
	}
	if text, err := Read(path, 1<<20); err != nil || len(text) <= 100 {
		t.Errorf("%d bytes, %v", len(text), err)
	}
}

// The kernel's file of this process's memory is a regular one that opens, and whose first byte cannot be read.
func TestFileThatFailsWhileItIsReadIsRefused(t *testing.T) {
	t.Parallel()
	const path = "/proc/self/mem"
	if text, err := Read(path, 100); !errors.Is(err, syscall.EIO) || strings.Contains(err.Error(), path) || text != "" {
		t.Errorf("%q %v, want an input/output error without the path", text, err)
	}
}

func TestErrorsDoNotNameThePath(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "none")
	if _, err := Read(path, 1); !errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), path) {
		t.Errorf("%v", err)
	}
	plain := errors.New("plain")
	if err := withoutPath(plain); err != plain {
		t.Errorf("%v, want the error as it was", err)
	}
}
