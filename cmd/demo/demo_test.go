package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/signer"
)

const patience = 3 * time.Minute

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("still not: %s", what)
}

// programs is a directory where this test binary has the programs' names.
func programs(t *testing.T) string {
	t.Helper()
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"portal", "signer", "router", "licensectl"} {
		if err := os.Symlink(self, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// nextPort is where freePorts looks next, so that tests that run side by side do not choose the same ports. The range lies
// below the one that the kernel takes ports of outgoing connections from, and begins elsewhere than that of e2e.
var nextPort = func() *atomic.Int64 {
	var n atomic.Int64
	n.Store(int64(os.Getpid() % 1000 * 12))
	return &n
}()

// freePorts finds four free ports in a row.
func freePorts(t *testing.T) int {
	t.Helper()
	for range 1000 {
		port := 12000 + int((nextPort.Add(4)+9000)%18000)
		free := true
		for offset := range 4 {
			free = free && checkFree(port+offset) == nil
		}
		if free {
			return port
		}
	}
	t.Fatal("no four free ports in a row")
	return 0
}

func newOptions(t *testing.T) options {
	t.Helper()
	o := options{dir: filepath.Join(t.TempDir(), ".demo"), programs: programs(t), port: freePorts(t)}
	t.Cleanup(func() {
		if err := remove(o, &buffer{}); err != nil {
			t.Error(err)
		}
	})
	return o
}

// running is a demo in this process.
type running struct {
	o        options
	out, err *buffer
	cancel   context.CancelFunc
	done     chan error
}

func begin(t *testing.T, o options) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{o: o, out: &buffer{}, err: &buffer{}, cancel: cancel, done: make(chan error, 1)}
	go func() { r.done <- serve(ctx, o, r.out, r.err) }()
	eventually(t, "ready", func() bool {
		select {
		case err := <-r.done:
			t.Fatalf("the demo ended while starting: %v\n%s", err, r.err)
		default:
		}
		return strings.Contains(r.out.String(), "\nready\n")
	})
	return r
}

func (r *running) end(t *testing.T) {
	t.Helper()
	r.cancel()
	if err := <-r.done; err != nil {
		t.Errorf("the demo ended with %v", err)
	}
}

func (r *running) result(t *testing.T) map[string]any {
	t.Helper()
	path := filepath.Join(r.o.dir, resultFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: mode %v, %v", path, info.Mode(), err)
	}
	var result map[string]any
	if err := json.Unmarshal(text, &result); err != nil {
		t.Fatal(err)
	}
	return result
}

func pidOf(t *testing.T, dir, name string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, pidDir, name))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(state), ") Z ")
}

var children = []string{"signer", "portal", "worker", "router", "revocations"}

func TestADemoRunsSurvivesAndGoesOn(t *testing.T) {
	t.Parallel()
	o := newOptions(t)
	r := begin(t, o)
	first := r.result(t)
	for _, key := range []string{
		"portal_url", "router_url", "stripe_url", "mail_url", "database_url", "webhook_secret", "stripe_api_key",
		"signer_socket", "trust_file", "keys_file", "router_license_path", "router_admin_user", "router_admin_password", "router_token",
	} {
		if text, _ := first[key].(string); text == "" {
			t.Errorf("demo.json lacks %s", key)
		}
	}
	for _, key := range []string{"portal_url", "router_url", "mail_url"} {
		resp, err := http.Get(first[key].(string))
		if err != nil {
			t.Errorf("%s: %v", key, err)
			continue
		}
		resp.Body.Close()
	}
	checkIsolation(t, r, first)

	if err := serve(t.Context(), o, &buffer{}, &buffer{}); err == nil || !strings.Contains(err.Error(), "already runs in this directory") {
		t.Errorf("a second start in the same directory: %v", err)
	}
	other := newOptions(t)
	other.port = o.port - 1
	if err := serve(t.Context(), other, &buffer{}, &buffer{}); err == nil || !strings.Contains(err.Error(), "choose another DEMO_PORT") {
		t.Errorf("a second start on the same ports: %v", err)
	}
	_ = r.result(t) // neither took it away

	var pids []int
	for _, name := range children {
		old := pidOf(t, o.dir, name)
		if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		eventually(t, name+" is back", func() bool { return pidOf(t, o.dir, name) != old })
		pids = append(pids, pidOf(t, o.dir, name))
	}
	if got := strings.Count(r.err.String(), "killed (kill -9)"); got != len(children) {
		t.Errorf("%d kills were told, want %d:\n%s", got, len(children), r.err)
	}
	r.end(t)
	for _, pid := range pids {
		if alive(pid) {
			t.Errorf("process %d runs on", pid)
		}
	}
	if _, err := os.Stat(filepath.Join(o.dir, resultFile)); !os.IsNotExist(err) {
		t.Errorf("demo.json tells of a demo that was stopped: %v", err)
	}

	again := o
	again.port = freePorts(t)
	r = begin(t, again)
	defer r.end(t)
	second := r.result(t)
	for key, want := range first {
		moved := strings.HasSuffix(key, "_url") && key != "database_url"
		if got := second[key]; reflect.DeepEqual(got, want) == moved && again.port != o.port {
			t.Errorf("after a restart on other ports %s is %v, before %v", key, got, want)
		}
	}
}

func checkIsolation(t *testing.T, r *running, result map[string]any) {
	t.Helper()
	status, err := signer.NewClient(result["signer_socket"].(string)).Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var portal struct{ UID int }
	resp, err := http.Get(result["portal_url"].(string))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&portal); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 {
		if !strings.Contains(r.out.String(), "The signer is not isolated") || status.UID != os.Geteuid() {
			t.Errorf("without root the signer runs as %d, and the demo says\n%s", status.UID, r.out)
		}
		return
	}
	if status.UID == 0 || portal.UID == 0 || status.UID == portal.UID {
		t.Errorf("signer runs as %d, portal as %d", status.UID, portal.UID)
	}
	if !strings.Contains(r.out.String(), "isolated: it runs as user "+strconv.Itoa(status.UID)) {
		t.Errorf("the demo does not say how the signer is isolated:\n%s", r.out)
	}
}

func TestAKilledDemoLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	o := newOptions(t)
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	// A hard copy: the demo looks for the programs beside the file that it is.
	path := filepath.Join(o.programs, "demo")
	// Were it written here, a process that another test starts meanwhile would hold it open: "text file busy".
	if output, err := exec.Command("cp", self, path).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	out := &buffer{}
	cmd := exec.Command(path)
	cmd.Env = append(os.Environ(), "DEMO_DIR="+o.dir, "DEMO_PORT="+strconv.Itoa(o.port), "DATABASE_URL=")
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	killed := false
	defer func() {
		if !killed {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}()
	eventually(t, "ready", func() bool {
		if strings.Contains(out.String(), "demo:") {
			t.Fatal(out.String())
		}
		return strings.Contains(out.String(), "\nready\n")
	})
	var pids []int
	for _, name := range children {
		pids = append(pids, pidOf(t, o.dir, name))
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	killed = true
	for _, pid := range pids {
		eventually(t, "a child is gone", func() bool { return !alive(pid) })
	}
	r := begin(t, o) // and the next start is not in its way
	r.end(t)
}

func TestAPartThatDoesNotStartIsToldWithItsOutput(t *testing.T) {
	t.Parallel()
	o := newOptions(t)
	o.databaseURL = "postgres://broken"
	err := serve(t.Context(), o, &buffer{}, &buffer{})
	if err == nil || !strings.Contains(err.Error(), "migrate failed") || !strings.Contains(err.Error(), "cannot reach the database") {
		t.Errorf("serve = %v", err)
	}
	if left, err := os.ReadDir(filepath.Join(o.dir, pidDir)); err != nil || len(left) != 0 {
		t.Errorf("still running: %v, %v", left, err)
	}
	if err := checkFree(o.port + 2); err != nil {
		t.Error(err)
	}
}

func TestADemoStoppedWhileStartingEndsCleanly(t *testing.T) {
	t.Parallel()
	o := newOptions(t)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := serve(ctx, o, &buffer{}, &buffer{}); err != nil {
		t.Errorf("serve = %v", err)
	}
	r := begin(t, o)
	r.end(t)
}

func TestBothAddressesOfAPortAreTaken(t *testing.T) {
	t.Parallel()
	port := freePorts(t)
	taken, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if err := checkFree(port); err == nil || !strings.Contains(err.Error(), "port "+strconv.Itoa(port)+" is in use") {
		t.Errorf("checkFree = %v", err)
	}
}
