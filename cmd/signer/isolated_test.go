package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// unitFile is the unit whose filter of system calls the watched signer is held to.
const unitFile = "../../deploy/systemd/signer.service"

// TestTheInstalledSignerIsIsolated runs scripts with the program "installed": the signer as make build makes it, which links
// no C, so that the kernel can confine it.
func TestTheInstalledSignerIsIsolated(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Fatal("strace is missing, which shows what the signer opens; install it with: scripts/setup test")
	}
	unit, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	build := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(bin, "installed"), ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/isolated",
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", bin+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			env.Setenv("SIGNER_UNIT", string(unit))
			return nil
		},
		Condition: func(name string) (bool, error) {
			if name != "landlock" {
				return false, fmt.Errorf("unknown condition %s", name)
			}
			_, _, errno := syscall.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
			return errno == 0, nil
		},
	})
}

// signalTo signals the signer that answers on the socket.
func signalTo(signal syscall.Signal) error {
	pid, err := signerPID()
	if err != nil {
		return err
	}
	return syscall.Kill(pid, signal)
}

// awaitText waits until a file holds a text.
func awaitText(path, want string) error {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(25 * time.Millisecond) {
		if text, err := os.ReadFile(path); err == nil && strings.Contains(string(text), want) {
			return nil
		}
	}
	return fmt.Errorf("%s never held %q", path, want)
}

// traced is a line of strace: process, system call, arguments.
var traced = regexp.MustCompile(`^\d+ +([a-z0-9_]+)\((.*)`)

func readTrace(path string) (calls [][]string, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		if call := traced.FindStringSubmatch(line); call != nil {
			calls = append(calls, call[1:])
		}
	}
	return calls, nil
}

// sockets fails unless the trace opens one socket, of the Unix family, binds it to the signer's path, and connects nowhere.
func sockets(path string) error {
	calls, err := readTrace(path)
	if err != nil {
		return err
	}
	count := map[string]int{}
	for _, call := range calls {
		count[call[0]]++
		switch {
		case call[0] == "socket" && !strings.HasPrefix(call[1], "AF_UNIX, SOCK_STREAM|"),
			call[0] == "bind" && !strings.Contains(call[1], `{sa_family=AF_UNIX, sun_path="`) && !strings.Contains(call[1], `/s"`),
			slices.Contains([]string{"connect", "socketpair", "sendto", "sendmsg", "sendmmsg"}, call[0]):
			return fmt.Errorf("the signer calls %s(%s", call[0], call[1])
		}
	}
	if count["socket"] != 1 || count["bind"] != 1 || count["listen"] != 1 || count["accept4"] == 0 {
		return fmt.Errorf("the trace shows %d sockets, %d bound, %d listening, %d accepts", count["socket"], count["bind"], count["listen"], count["accept4"])
	}
	return nil
}

// allowedCalls fails where the trace makes a system call that the signer's unit refuses. Only systemd knows what its groups
// hold.
func allowedCalls(path string) error {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		fmt.Println("no systemd-analyze here: the system calls are held against nothing")
		return nil
	}
	calls, err := readTrace(path)
	if err != nil {
		return err
	}
	allowed := map[string]bool{}
	for line := range strings.Lines(os.Getenv("SIGNER_UNIT")) {
		filter, ok := strings.CutPrefix(strings.TrimSpace(line), "SystemCallFilter=")
		if !ok {
			continue
		}
		filter, refused := strings.CutPrefix(filter, "~")
		for name := range strings.FieldsSeq(filter) {
			if err := expand(analyze, name, func(call string) { allowed[call] = !refused }); err != nil {
				return err
			}
		}
	}
	if !allowed["read"] || allowed["ptrace"] || allowed["mount"] {
		return errors.New("the filter does not read as it should")
	}
	var refused []string
	for _, call := range calls {
		if name := call[0]; !allowed[name] && !slices.Contains(refused, name) {
			refused = append(refused, name)
		}
	}
	if len(calls) < 100 || len(refused) > 0 {
		return fmt.Errorf("of %d system calls the unit refuses %q", len(calls), refused)
	}
	return nil
}

// expand gives the system calls of a name, which may be a group's.
func expand(analyze, name string, each func(string)) error {
	if !strings.HasPrefix(name, "@") {
		each(name)
		return nil
	}
	out, err := exec.Command(analyze, "syscall-filter", name).Output()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for line := range strings.Lines(string(out)) {
		member, ok := strings.CutPrefix(line, "    ")
		if member = strings.TrimSpace(member); !ok || member == "" || strings.HasPrefix(member, "#") {
			continue
		}
		if err := expand(analyze, member, each); err != nil {
			return err
		}
	}
	return nil
}
