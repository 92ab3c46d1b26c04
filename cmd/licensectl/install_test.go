//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/metrum-ai/licensing-portal/license"
)

func makeFIFO(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(syscall.Mkfifo(ts.MkAbs(args[0]), 0o600))
}

// site is a folder that a router looks into, and two licenses to put there.
type site struct {
	t        *testing.T
	dir      string // holds keys.json, one.json, two.json
	target   string
	one, two []byte
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir()}
	issuer := newIssuer()
	s.one, s.two = issuer.issue(t, "lic_one", nil), issuer.issue(t, "lic_two", nil)
	writeFile(t, filepath.Join(s.dir, "keys.json"), issuer.keys(t))
	writeFile(t, filepath.Join(s.dir, "one.json"), s.one)
	writeFile(t, filepath.Join(s.dir, "two.json"), s.two)
	if err := os.Mkdir(filepath.Join(s.dir, "router"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.target = filepath.Join(s.dir, "router", "license.json")
	return s
}

func (s *site) args(file string) []string {
	return []string{"install", "-keys", filepath.Join(s.dir, "keys.json"), filepath.Join(s.dir, file), "-to", s.target}
}

func (s *site) install(file string) {
	s.t.Helper()
	if err := run(s.t.Context(), s.args(file), noEnvironment, nil, io.Discard, io.Discard); err != nil {
		s.t.Fatal(err)
	}
}

// wantWhole checks that every file of the router's folder is one of the two licenses, byte for byte, and returns the
// names of temporary files.
func (s *site) wantWhole() (temporary []string) {
	s.t.Helper()
	entries, err := os.ReadDir(filepath.Dir(s.target))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), temporarySuffix) {
			temporary = append(temporary, entry.Name())
			continue
		}
		data := readFile(s.t, filepath.Join(filepath.Dir(s.target), entry.Name()))
		if !bytes.Equal(data, s.one) && !bytes.Equal(data, s.two) {
			s.t.Fatalf("%s is neither license: %d bytes", entry.Name(), len(data))
		}
	}
	return temporary
}

func TestInstallKeepsModeAndOwner(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.install("one.json")
	if err := os.Chmod(s.target, 0o604); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := os.Chown(s.target, 65534, 65533); err != nil {
			t.Fatal(err)
		}
	}
	before, err := readAttributes(s.target)
	if err != nil {
		t.Fatal(err)
	}
	s.install("two.json")
	for _, path := range []string{s.target, s.target + ".lic_one.bak"} {
		if after, err := readAttributes(path); err != nil || after != before {
			t.Errorf("%s: %+v %v, want %+v", path, after, err, before)
		}
	}
}

func TestFirstInstallGoesToTheOwnerOfTheFolder(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	want := attributes{mode: 0o640, owned: true, uid: os.Getuid(), gid: os.Getgid()}
	if os.Getuid() == 0 {
		want.uid, want.gid = 65534, 65533
		if err := os.Chown(filepath.Dir(s.target), want.uid, want.gid); err != nil {
			t.Fatal(err)
		}
	}
	s.install("one.json")
	if got, err := readAttributes(s.target); err != nil || got != want {
		t.Errorf("%+v %v, want %+v", got, err, want)
	}
}

func TestInstallThatCannotSyncLeavesTheOldFile(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.install("one.json")
	full := errors.New("no space left on device")
	for fails := 1; fails <= 3; fails++ { // backup, its folder, the file itself
		syncs := 0
		f := folder{sync: func(*os.File) error {
			if syncs++; syncs == fails {
				return full
			}
			return nil
		}}
		_, err := installFile(t.Context(), f, s.target, s.two, guard{tag: digestTag})
		if !errors.Is(err, full) {
			t.Errorf("sync %d: %v, want the failure", fails, err)
		}
		if got := readFile(t, s.target); !bytes.Equal(got, s.one) {
			t.Errorf("sync %d: the old file is gone", fails)
		}
		if temporary := s.wantWhole(); len(temporary) > 0 {
			t.Errorf("sync %d leaves %v", fails, temporary)
		}
		for _, backup := range backupFiles(t, s.target) {
			if err := os.Remove(backup); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func backupFiles(t *testing.T, target string) []string {
	t.Helper()
	found, err := filepath.Glob(target + ".*.bak")
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestInterruptedInstallChangesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.install("one.json")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := run(ctx, s.args("two.json"), noEnvironment, nil, io.Discard, io.Discard)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want canceled", err)
	}
	if got := readFile(t, s.target); !bytes.Equal(got, s.one) {
		t.Error("the old file is gone")
	}
	if temporary := s.wantWhole(); len(temporary) > 0 {
		t.Errorf("leaves %v", temporary)
	}
}

func TestTwoInstallationsDoNotMeet(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	unlock, err := folder{path: filepath.Dir(s.target)}.lock()
	if err != nil {
		t.Fatal(err)
	}
	err = run(t.Context(), s.args("one.json"), noEnvironment, nil, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "another installation") {
		t.Errorf("%v, want a refusal", err)
	}
	unlock()
	s.install("one.json")
}

func TestBackupsAreNeverOverwritten(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.install("one.json")
	for _, name := range []string{"lic_one", "lic_one." + digestTag(s.one)} {
		mine := s.target + "." + name + ".bak"
		writeFile(t, mine, []byte("mine"))
		err := run(t.Context(), s.args("two.json"), noEnvironment, nil, io.Discard, io.Discard)
		if got := string(readFile(t, mine)); got != "mine" {
			t.Fatalf("%s was overwritten", mine)
		}
		if name == "lic_one" {
			if err != nil || !bytes.Equal(readFile(t, s.target+".lic_one."+digestTag(s.one)+".bak"), s.one) {
				t.Fatalf("no backup under another name: %v", err)
			}
			writeFile(t, s.target, s.one)
		} else if err == nil || !strings.Contains(err.Error(), "move it away") || !bytes.Equal(readFile(t, s.target), s.one) {
			t.Errorf("%v, want a refusal", err)
		}
	}
}

// binary returns a copy of this test binary that acts as licensectl, where every user may run it.
func binary(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "licensectl")
	// Were it written here, a process that another test starts meanwhile would hold it open: "text file busy".
	if output, err := exec.Command("cp", self, path).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// A process that is killed at any moment leaves the old file or the new one; the next installation cleans up.
func TestKilledInstallLeavesOneWholeFile(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	licensectl := binary(t)
	s.install("one.json")
	killed := 0
	for i := range 60 {
		file := []string{"two.json", "one.json"}[i%2]
		command := exec.Command(licensectl, s.args(file)...)
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.IntN(30_000)) * time.Microsecond)
		_ = command.Process.Kill() // it may have ended
		if err := command.Wait(); err != nil {
			killed++
		}
		s.wantWhole()
	}
	writeFile(t, filepath.Join(filepath.Dir(s.target), ".license.json.123.licensectl-tmp"), []byte("half a fi"))
	s.install("one.json")
	s.install("two.json")
	if temporary := s.wantWhole(); len(temporary) > 0 {
		t.Errorf("left behind: %v", temporary)
	}
	if killed == 0 {
		t.Error("no process was killed in time: the test shows nothing")
	}
	if !bytes.Equal(readFile(t, s.target), s.two) {
		t.Error("the last license is not in place")
	}
}

// Root may write anywhere, so as root the installation runs as nobody.
func TestFolderThatMayNotBeWrittenStaysAsItWas(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.install("one.json")
	if err := os.Chmod(s.target, 0o644); err != nil {
		t.Fatal(err)
	}
	licensectl := binary(t)
	if err := os.Chmod(filepath.Dir(s.dir), 0o755); err != nil { // the test's own folder, closed to others
		t.Fatal(err)
	}
	command := exec.Command(licensectl, s.args("two.json")...)
	if os.Getuid() == 0 {
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	if err := os.Chmod(filepath.Dir(s.target), 0o555); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(filepath.Dir(s.target), 0o755) })
	command.Dir = "/"
	output, err := command.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(output), "permission denied") {
		t.Errorf("%v: %s", err, output)
	}
	if got := readFile(t, s.target); !bytes.Equal(got, s.one) {
		t.Error("the old file is gone")
	}
	entries, err := fs.ReadDir(os.DirFS(filepath.Dir(s.target)), ".")
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v %v", entries, err)
	}
}

func TestOldFileThatVerifiesNamesItsBackup(t *testing.T) {
	t.Parallel()
	issuer := newIssuer()
	ring, err := license.ParseKeyRing(issuer.keys(t))
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]string{"lic_1": "lic_1", "a/../b": "", ".": "", "a b": "", strings.Repeat("x", 200): ""} {
		old := issuer.issue(t, id, nil)
		if want == "" {
			want = digestTag(old)
		}
		if got := backupTag(old, ring, time.Now()); got != want {
			t.Errorf("%q: %s, want %s", id, got, want)
		}
	}
}
