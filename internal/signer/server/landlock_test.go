package server

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAConfinedSignerReachesNothingElse runs a program that confines itself and tries. It is built as the signer is,
// without C, since a process that links C cannot be confined in all its threads.
func TestAConfinedSignerReachesNothingElse(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "confined")
	build := exec.Command("go", "build", "-o", program, "./testdata/confined")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	dir := t.TempDir()
	for _, name := range []string{"conf", "trust", "store", "run"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"conf/signer.json", "conf/other.json", "trust/trust.json", "store/log.db", "run/s", "elsewhere"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("text"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(dir, "trust"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	got := tryAll(t, exec.Command(program, dir))
	if got["report"] == "not in this kernel" {
		t.Log("this kernel has no Landlock, so nothing was confined")
		return
	}
	if !strings.HasPrefix(got["report"], "enforced, ABI ") {
		t.Fatalf("report %q, %s", got["report"], got["failed:"])
	}
	for _, name := range []string{
		"read-configuration", "read-beside-it", "read-through-link", "list-trust-folder", "write-open-store", "remove-socket", "accept",
	} {
		if got[name] != "ok" {
			t.Errorf("%s: %q", name, got[name])
		}
	}
	for _, name := range []string{
		"read-passwd", "read-store-by-path", "read-elsewhere", "list-root", "write-configuration", "truncate-configuration", "create-in-run",
		"rename-store", "remove-store", "make-folder", "run-program", "listen-tcp", "connect-tcp", "read-passwd-on-any-thread",
	} {
		if !strings.HasSuffix(got[name], "permission denied") {
			t.Errorf("%s: %q", name, got[name])
		}
	}
}

// tryAll runs the program, connects to the address that it prints, and returns its lines by their first word.
func tryAll(t *testing.T, program *exec.Cmd) map[string]string {
	t.Helper()
	out, err := program.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		name, rest, _ := strings.Cut(lines.Text(), " ")
		got[name] = rest
		if name == "address" {
			if conn, err := net.Dial("tcp", rest); err != nil {
				t.Error(err)
			} else if err := conn.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if err := program.Wait(); err != nil {
		t.Error(err)
	}
	return got
}
