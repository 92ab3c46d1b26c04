package supervise_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/cmd/demo/supervise"
)

const patience = time.Minute

// buffer takes log lines from several goroutines.
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

type fixture struct {
	*supervise.Supervisor
	dir string
	log *buffer
}

func newFixture(t *testing.T, stopLimit time.Duration) *fixture {
	t.Helper()
	dir, log := t.TempDir(), &buffer{}
	s, err := supervise.New(supervise.Config{
		PIDDir: filepath.Join(dir, "pids"), LogDir: filepath.Join(dir, "logs"),
		StopLimit: stopLimit, Logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop(context.Background()) })
	return &fixture{Supervisor: s, dir: dir, log: log}
}

// child is this test binary in one of the roles of TestMain.
func child(name, role string, env ...string) supervise.Child {
	return supervise.Child{
		Name: name, Path: os.Args[0],
		Env: append([]string{"SUPERVISE_TEST_ROLE=" + role, "NAME=" + name}, env...),
	}
}

func (f *fixture) pid(t *testing.T, name string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(f.dir, "pids", name))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func (f *fixture) output(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(f.dir, "logs", name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("still not: %s", what)
}

func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	// A process that ended and that nobody waited for does not run either.
	state, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || !strings.Contains(string(state), ") Z ")
}

var ending = regexp.MustCompile(`msg="child ended" .*again_in=(\S+)`)

// delays are how long after each end of a child the supervisor meant to start it again.
func (f *fixture) delays(t *testing.T) (delays []time.Duration) {
	t.Helper()
	for _, found := range ending.FindAllStringSubmatch(f.log.String(), -1) {
		delay, err := time.ParseDuration(found[1])
		if err != nil {
			t.Fatal(err)
		}
		delays = append(delays, delay)
	}
	return delays
}

// hears is a readiness probe: the child wrote the word.
func (f *fixture) hears(t *testing.T, name, word string) func(context.Context) error {
	return func(context.Context) error {
		if strings.Contains(f.output(t, name), word) {
			return nil
		}
		return errors.New("no " + word + " yet")
	}
}

func TestStartWaitsUntilTheChildIsReady(t *testing.T) {
	t.Parallel()
	f := newFixture(t, time.Second)
	c := child("slow", "slow")
	c.Ready = f.hears(t, "slow", "ready now")
	if err := f.Start(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(f.output(t, "slow"), "ready now") {
		t.Error("Start returned before the child was ready")
	}
	if !alive(f.pid(t, "slow")) {
		t.Error("the PID file names no running process")
	}
}

func TestAChildMayBeReadyOnceItSaysSo(t *testing.T) {
	t.Parallel()
	f := newFixture(t, time.Second)
	c := child("slow", "slow")
	c.ReadyOutput = "ready now"
	for range 2 { // the output of an earlier run does not count
		began := time.Now()
		if err := f.Start(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 200*time.Millisecond {
			t.Errorf("ready after %v, before it said so", took)
		}
	}
}

func TestStartTellsWhatAChildSaidThatEndedEarly(t *testing.T) {
	t.Parallel()
	f := newFixture(t, time.Second)
	for _, probe := range map[string]func(context.Context) error{
		"never ready": func(context.Context) error { return errors.New("not yet") },
		"another answers there": func(context.Context) error {
			pid := f.pid(t, "broken")
			eventually(t, "the child ended", func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) })
			time.Sleep(300 * time.Millisecond) // for the supervisor to take note
			return nil
		},
	} {
		c := child("broken", "broken")
		c.Ready = probe
		err := f.Start(t.Context(), c)
		if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "the reason why") {
			t.Errorf("Start = %v, want the exit status and the output", err)
		}
	}
	time.Sleep(200 * time.Millisecond)
	if n := strings.Count(f.output(t, "broken"), "the reason why"); n != 2 {
		t.Errorf("a child that never got ready was started %d times, want 2", n)
	}
}

func TestStartGivesUpWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	f := newFixture(t, time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	c := child("dull", "wait")
	c.Ready = func(context.Context) error { return errors.New("refused to answer") }
	err := f.Start(ctx, c)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "refused to answer") {
		t.Errorf("Start = %v, want the deadline and the last probe's error", err)
	}
	if pid := f.pid(t, "dull"); alive(pid) {
		t.Errorf("process %d runs on", pid)
	}
}

func TestAKilledChildComesBackWithinASecond(t *testing.T) {
	t.Parallel()
	f := newFixture(t, time.Second)
	if err := f.Start(t.Context(), child("victim", "wait")); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		old := f.pid(t, "victim")
		if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		eventually(t, "another process", func() bool { return f.pid(t, "victim") != old && alive(f.pid(t, "victim")) })
	}
	if delays := f.delays(t); len(delays) != 3 || slices.Max(delays) > time.Second {
		t.Errorf("it was to come back after %v, want three delays of a second at most", delays)
	}
	if log := f.log.String(); strings.Count(log, "killed (kill -9)") != 3 {
		t.Errorf("the log does not tell of three kills:\n%s", log)
	}
}

func TestAChildThatKeepsFailingIsStartedEverMoreSlowly(t *testing.T) {
	t.Parallel()
	f := newFixture(t, time.Second)
	c, began := child("broken", "broken"), time.Now()
	if err := f.Start(t.Context(), c); err != nil {
		t.Fatal(err) // it has no probe, so it counts as ready at once
	}
	eventually(t, "five ends", func() bool { return len(f.delays(t)) >= 5 })
	took := time.Since(began)
	if got := fmt.Sprint(f.delays(t)[:5]); got != "[50ms 100ms 200ms 400ms 800ms]" {
		t.Errorf("started again after %s", got)
	}
	if took < 750*time.Millisecond { // the first four delays
		t.Errorf("five ends in %v: it did not wait between them", took)
	}
	if n := strings.Count(f.output(t, "broken"), "the reason why"); n < 5 {
		t.Errorf("started %d times, want 5", n)
	}
}

func TestStopEndsChildrenInReverseOrder(t *testing.T) {
	t.Parallel()
	f := newFixture(t, patience)
	order := filepath.Join(t.TempDir(), "order")
	for _, name := range []string{"first", "second", "third"} {
		c := child(name, "orderly", "ORDER="+order)
		c.Ready = f.hears(t, name, "listening")
		if err := f.Start(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	f.Stop(t.Context())
	got, err := os.ReadFile(order)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != "third\nsecond\nfirst\n" {
		t.Errorf("ended in the order %q", got)
	}
	if left, err := os.ReadDir(filepath.Join(f.dir, "pids")); err != nil || len(left) != 0 {
		t.Errorf("PID files left: %v, %v", left, err)
	}
	if err := f.Start(t.Context(), child("late", "wait")); !errors.Is(err, supervise.ErrStopped) {
		t.Errorf("Start after Stop = %v", err)
	}
}

func TestStopKillsAChildThatDoesNotListen(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 200*time.Millisecond)
	c := child("deaf", "deaf")
	c.Ready = f.hears(t, "deaf", "grandchild")
	if err := f.Start(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	_, number, _ := strings.Cut(strings.TrimSpace(f.output(t, "deaf")), "grandchild ")
	grandchild, err := strconv.Atoi(number)
	if err != nil {
		t.Fatal(err)
	}
	pid, began := f.pid(t, "deaf"), time.Now()
	f.Stop(t.Context())
	if took := time.Since(began); took < 200*time.Millisecond || took > 5*time.Second {
		t.Errorf("Stop took %v", took)
	}
	eventually(t, "child and grandchild gone", func() bool { return !alive(pid) && !alive(grandchild) })
}

func TestNoChildOutlivesAKilledSupervisor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "SUPERVISE_TEST_ROLE=supervisor", "DIR="+dir)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	f := &fixture{dir: dir}
	var pids []int
	for _, name := range []string{"own", "other"} {
		if name == "other" && os.Geteuid() != 0 {
			continue // only root can start one as another user; TestOnlyRootMay… covers the rest
		}
		eventually(t, name+" is up", func() bool {
			text, err := os.ReadFile(filepath.Join(dir, "pids", name))
			return err == nil && len(text) > 0
		})
		pids = append(pids, f.pid(t, name))
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	for _, pid := range pids {
		eventually(t, "child gone", func() bool { return !alive(pid) })
	}
}

func TestANewSupervisorWaitsForTheChildrenOfAKilledOne(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pids := filepath.Join(dir, "pids")
	if err := os.Mkdir(pids, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/sleep", "0.3") // an orphan on its way out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = cmd.Wait() }()
	for name, text := range map[string]string{"orphan": strconv.Itoa(cmd.Process.Pid), "damaged": "?", "ended": "4194000"} {
		if err := os.WriteFile(filepath.Join(pids, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err := supervise.New(supervise.Config{
		PIDDir: pids, LogDir: dir, StopLimit: time.Second, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	if alive(cmd.Process.Pid) {
		t.Error("New returned before the orphan was gone")
	}
	if left, err := os.ReadDir(pids); err != nil || len(left) != 0 {
		t.Errorf("PID files left: %v, %v", left, err)
	}
}

func TestOnlyRootMayStartAChildAsAnotherUserWithoutNetwork(t *testing.T) {
	t.Parallel()
	f := newFixture(t, time.Second)
	c := child("boxed", "describe")
	c.Path = sharedCopy(t)
	c.As = &supervise.Identity{UID: 61001, GID: 61002, Groups: []uint32{61003}}
	c.NoNetwork = true
	err := f.Run(t.Context(), c)
	if os.Geteuid() != 0 {
		if !errors.Is(err, syscall.EPERM) {
			t.Errorf("Run = %v, want EPERM", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if got, want := f.output(t, "boxed"), "uid 61001 gid 61002 groups [61003] interfaces up 0\n"; got != want {
		t.Errorf("the child sees %q, want %q", got, want)
	}
}

func TestAChildGetsOnlyTheEnvironmentItIsGiven(t *testing.T) {
	f := newFixture(t, time.Second)
	t.Setenv("SOMEBODYS_SECRET", "hush")
	c := child("env", "environment")
	if err := f.Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if got, want := f.output(t, "env"), "NAME=env\nSUPERVISE_TEST_ROLE=environment\n"; got != want {
		t.Errorf("environment %q, want %q", got, want)
	}
}

func TestRunTellsWhyACommandFailed(t *testing.T) {
	t.Parallel()
	f := newFixture(t, time.Second)
	err := f.Run(t.Context(), child("once", "broken"))
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "the reason why") {
		t.Errorf("Run = %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := f.Run(ctx, child("long", "wait")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Run = %v, want the deadline", err)
	}
}

func TestHTTPProbeTakesAnyAnswerBelowServerError(t *testing.T) {
	t.Parallel()
	for status, ready := range map[int]bool{200: true, 404: true, 503: false} {
		url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		if err := supervise.HTTP(url)(t.Context()); (err == nil) != ready {
			t.Errorf("status %d: %v", status, err)
		}
	}
	if err := supervise.HTTP("http://127.0.0.1:1/")(t.Context()); err == nil {
		t.Error("nobody listens and the probe is content")
	}
}
