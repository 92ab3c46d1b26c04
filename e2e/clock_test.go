package e2e

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// movedClock is the time of day that all programs of a demo go by: the machine's, moved by the seconds in a file.
//
// What the product ships cannot be told another time than the machine's, and the signer refuses evidence that its own clock
// calls of the future. So the same sources are built once more with another time.Now, which go build's -overlay puts into
// the standard library for them alone. Timers and deadlines go by the steady clock, which stays. PostgreSQL keeps the
// machine's time: keep the clock behind it, or jobs wait for that time to come.
type movedClock struct {
	dir string // open to the users that the demo's parts run as
	by  time.Duration
}

func newMovedClock(t *testing.T) *movedClock {
	t.Helper()
	dir, err := os.MkdirTemp("", "e2e-clock-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return &movedClock{dir: dir}
}

func (c *movedClock) file() string { return filepath.Join(c.dir, "moved-by") }

// set moves the clock, to the second. Before the first time, and while it moves, no program may run by it.
func (c *movedClock) set(t *testing.T, at time.Time) {
	t.Helper()
	c.by = time.Until(at).Truncate(time.Second)
	seconds := binary.NativeEndian.AppendUint64(nil, uint64(int64(c.by/time.Second)))
	if err := os.WriteFile(c.file(), seconds, 0o644); err != nil {
		t.Fatal(err)
	}
}

func (c *movedClock) now() time.Time { return time.Now().Add(c.by).Round(0) }

// build builds the demo's programs with the clock in them, and answers their directory. Only the linker knows the file's
// path, so that Go's cache keeps the rest: the first time takes a minute or two, which the tests beside it do not wait for.
func (c *movedClock) build(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(c.dir, "bin")
	cmd := exec.Command("nice", "go", "build", "-overlay", c.overlay(t), "-ldflags", "-X time.movedBy="+c.file(), "-o", bin+"/",
		"./cmd/demo", "./cmd/portal", "./cmd/signer", "./cmd/licensectl", "./examples/router")
	cmd.Dir, cmd.Env = "..", append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build with a moved clock: %v\n%s", err, out)
	}
	return bin
}

// overlay writes what go build reads instead of the toolchain's own files.
func (c *movedClock) overlay(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("go", "env", "GOROOT")
	cmd.Dir = ".."
	root, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	std := filepath.Join(strings.TrimSpace(string(root)), "src", "time")
	source, err := os.ReadFile(filepath.Join(std, "time.go"))
	if err != nil {
		t.Fatal(err)
	}
	const reads = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	if n := strings.Count(string(source), reads); n != 1 {
		t.Fatalf("time.Now of this Go reads the clock otherwise than this test knows: %d matches", n)
	}
	now := filepath.Join(c.dir, "time.go")
	if err := os.WriteFile(now, []byte(strings.Replace(string(source), reads, reads+"\tsec += movedSeconds()\n", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	added, err := filepath.Abs("testdata/movedclock/moved.go")
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]any{"Replace": map[string]string{
		filepath.Join(std, "time.go"): now, filepath.Join(std, "moved.go"): added,
	}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(c.dir, "overlay.json")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
