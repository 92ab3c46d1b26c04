//go:build unix

package license

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestReadFileTakesFilesAndNothingElse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	write := func(name string, size int) {
		if err := os.WriteFile(path(name), []byte(strings.Repeat("x", size)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("file", 10)
	write("empty", 0)
	write("largest", MaxFileSize)
	write("too-large", MaxFileSize+1)
	for link, target := range map[string]string{"link": "file", "link-to-link": "link", "dangling": "nowhere", "loop": "loop",
		"device-link": os.DevNull} {
		if err := os.Symlink(target, path(link)); err != nil {
			t.Fatal(err)
		}
	}
	listener, err := net.Listen("unix", path("socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()

	cases := []struct {
		path  string
		size  int
		code  Code
		words string
	}{
		{path("file"), 10, CodeValid, ""},
		{path("empty"), 0, CodeValid, ""},
		{path("largest"), MaxFileSize, CodeValid, ""},
		{path("link"), 10, CodeValid, ""},
		{path("link-to-link"), 10, CodeValid, ""},
		{path("too-large"), 0, CodeInvalid, "larger than 65536 bytes"},
		{path("none"), 0, CodeMissing, "no license file"},
		{path("dangling"), 0, CodeMissing, "no license file"},
		{path("file/below"), 0, CodeInvalid, "cannot be read"},
		{path("loop"), 0, CodeInvalid, "cannot be read"},
		{dir, 0, CodeInvalid, "a folder"},
		{os.DevNull, 0, CodeInvalid, "a device"},
		{"/dev/zero", 0, CodeInvalid, "a device"},
		{path("device-link"), 0, CodeInvalid, "a device"},
		{path("socket"), 0, CodeInvalid, "cannot be read"},
		{"", 0, CodeMissing, "no license file"},
	}
	for _, c := range cases {
		data, err := ReadFile(c.path)
		if CodeOf(err) != c.code || err != nil && !strings.Contains(err.Error(), c.words) || len(data) != c.size {
			t.Errorf("%s: %d bytes, %v; want %d bytes, %s %q", c.path, len(data), err, c.size, c.code, c.words)
		}
		if err != nil && c.path != "" && strings.Contains(err.Error(), dir) {
			t.Errorf("%s: the error shows the path: %v", c.path, err)
		}
	}
}

func TestReadFileDoesNotWaitForAFIFO(t *testing.T) {
	t.Parallel()
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := ReadFile(fifo)
		done <- err
	}()
	select {
	case err := <-done:
		if CodeOf(err) != CodeInvalid || !strings.Contains(err.Error(), "a FIFO") {
			t.Errorf("%v, want a refusal of the FIFO", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("ReadFile waits for the FIFO's writer")
	}
}

func TestKeyRingsAreReadFromFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys.json")
	if _, err := ReadKeyRing(path); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("missing: %v", err)
	}
	data, err := vectorRing(t).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	ring, err := ReadKeyRing(path)
	if err != nil || len(ring.Keys()) != 1 {
		t.Errorf("%v %v", ring, err)
	}
	if err := os.WriteFile(path, append(data, make([]byte, MaxKeyRingSize)...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadKeyRing(path); err == nil {
		t.Error("a key ring file that is too large is accepted")
	}
	if _, err := ReadKeyRing(os.DevNull); err == nil || !strings.Contains(err.Error(), "a device") {
		t.Errorf("a device: %v", err)
	}
}
