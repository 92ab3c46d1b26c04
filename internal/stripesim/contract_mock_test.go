package stripesim_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// stripeMock is Stripe's own mock of API version 2023-10-16. It keeps no state,
// but checks every parameter against Stripe's specification, and answers with
// Stripe's own shapes. Its version is named here alone: it is a program of the
// tests, and none of this module's dependencies.
const stripeMock = "github.com/stripe/stripe-mock@v0.183.0"

// mock is a running stripe-mock, with the specification that it goes by.
type mock struct {
	url  string
	spec spec
	stop func()
}

// stopMock ends stripe-mock after the last test.
var stopMock = func() {}

func TestMain(m *testing.M) {
	code := m.Run()
	stopMock()
	os.Exit(code)
}

// startMock builds and starts stripe-mock once for all tests.
var startMock = sync.OnceValues(func() (*mock, error) {
	dir, err := os.MkdirTemp("", "stripe-mock-")
	if err != nil {
		return nil, err
	}
	m := &mock{stop: func() { _ = os.RemoveAll(dir) }}
	stopMock = func() { m.stop() }
	module, err := fetchModule(dir)
	if err != nil {
		return nil, err
	}
	if m.spec, err = readSpec(filepath.Join(module, "embedded", "openapi", "spec3.json")); err != nil {
		return nil, err
	}
	return m, m.start(filepath.Join(dir, "stripe-mock"))
})

// fetchModule installs stripe-mock into dir and answers where its source is.
func fetchModule(dir string) (string, error) {
	run := func(args ...string) ([]byte, error) {
		cmd := exec.Command("go", args...)
		cmd.Dir = dir // outside of this module
		cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=", "GOWORK=off")
		var complaint strings.Builder
		cmd.Stderr = &complaint
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, complaint.String())
		}
		return out, nil
	}
	// The go command asks the proxy for the module's versions even where it has this one, and the network may stumble.
	_, err := run("install", stripeMock)
	for try := 1; err != nil && try < 3; try++ {
		time.Sleep(time.Duration(try) * 2 * time.Second)
		_, err = run("install", stripeMock)
	}
	if err != nil {
		return "", err
	}
	out, err := run("mod", "download", "-json", stripeMock)
	if err != nil {
		return "", err
	}
	var module struct{ Dir string }
	return module.Dir, json.Unmarshal(out, &module)
}

// startWithParent starts a program that a test run does not leave behind, even
// one that ends by a panic or is killed, where the system can see to that.
func startWithParent(cmd *exec.Cmd) error {
	cmd.SysProcAttr = diesWithParent()
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the parent that counts is the thread
		started <- cmd.Start()
		select {}
	}()
	return <-started
}

// start runs the program on ports of its choice, which it tells.
func (m *mock) start(program string) error {
	cmd := exec.Command(program, "-http-addr", "127.0.0.1:0", "-https-addr", "127.0.0.1:0", "-strict-version-check")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := startWithParent(cmd); err != nil {
		return err
	}
	removeDir := m.stop
	m.stop = func() {
		_ = cmd.Process.Kill() // it knows no gentler end
		_ = cmd.Wait()
		removeDir()
	}
	address := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if _, at, ok := strings.Cut(lines.Text(), "Listening for HTTP at address: "); ok {
				address <- at
			}
		}
	}()
	select {
	case at := <-address:
		m.url = "http://" + strings.TrimSpace(at)
		return nil
	case <-time.After(time.Minute):
		return fmt.Errorf("%s does not say where it listens", stripeMock)
	}
}
