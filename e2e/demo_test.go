// Package e2e drives the real binaries with a real browser: what a customer, an operator and a member of staff do, and
// what happens to them when a process is killed meanwhile.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// demo is a running `make demo` without make: the supervisor and everything it starts.
type demo struct {
	dir  string
	bin  string
	cmd  *exec.Cmd
	done chan struct{} // closed when the supervisor ended
	info demoInfo
}

// demoInfo is demo.json.
type demoInfo struct {
	PortalURL           string `json:"portal_url"`
	RouterURL           string `json:"router_url"`
	StripeURL           string `json:"stripe_url"`
	MailURL             string `json:"mail_url"`
	DatabaseURL         string `json:"database_url"`
	WebhookSecret       string `json:"webhook_secret"`
	StripeAPIKey        string `json:"stripe_api_key"`
	SignerSocket        string `json:"signer_socket"`
	TrustFile           string `json:"trust_file"`
	KeysFile            string `json:"keys_file"`
	RouterLicensePath   string `json:"router_license_path"`
	RouterAdminUser     string `json:"router_admin_user"`
	RouterAdminPassword string `json:"router_admin_password"`
	RouterToken         string `json:"router_token"`
}

// shared is the demo that most tests share: each works in an organization of its own.
var shared *demo

func TestMain(m *testing.M) {
	os.Exit(runMain(m))
}

func runMain(m *testing.M) int {
	bin, err := os.MkdirTemp("", "e2e-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	defer os.RemoveAll(bin)
	// Other users run these binaries when the tests run as root.
	if err := os.Chmod(bin, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	if err := build(bin); err != nil {
		fmt.Fprintln(os.Stderr, "e2e: build:", err)
		return 1
	}
	dir, err := os.MkdirTemp("", "e2e-demo-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	shared = &demo{dir: dir, bin: bin}
	defer shared.remove()
	if err := shared.start(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e: demo:", err)
		return 1
	}
	defer shared.stop()
	defer func() { closeBrowser() }()
	return m.Run()
}

func build(bin string) error {
	for name, pkg := range map[string]string{
		"portal": "./cmd/portal", "signer": "./cmd/signer", "licensectl": "./cmd/licensectl",
		"demo": "./cmd/demo", "router": "./examples/router",
	} {
		cmd := exec.Command("go", "build", "-o", filepath.Join(bin, name), pkg)
		cmd.Dir = ".."
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", pkg, err, out)
		}
	}
	return nil
}

// nextPort is where freePorts looks next, so that demos that start at the same time do not find the same ports. The range
// lies below the one that the kernel takes ports of outgoing connections from.
var nextPort = func() *atomic.Int64 {
	var n atomic.Int64
	n.Store(int64(12000 + os.Getpid()%1000*12))
	return &n
}()

// freePorts finds four ports in a row that nothing listens on.
func freePorts() (int, error) {
	for range 1000 {
		base := int(12000 + (nextPort.Add(4)-12000)%18000)
		free := true
		for i := range 4 {
			l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(base+i))
			if err != nil {
				free = false
				break
			}
			l.Close()
		}
		if free {
			return base, nil
		}
	}
	return 0, errors.New("no four free ports in a row")
}

// freeAddress is one that nothing listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	port, err := freePorts()
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

// start starts the demo, or starts it again, and waits until it says that it is ready.
func (d *demo) start() error {
	port, err := freePorts()
	if err != nil {
		return err
	}
	return d.startAt(port)
}

// startAt starts the demo where the portal's port is the given one.
func (d *demo) startAt(port int) error {
	d.cmd = exec.Command(filepath.Join(d.bin, "demo"))
	d.cmd.Env = append(os.Environ(), "DEMO_DIR="+d.dir, "DEMO_PORT="+strconv.Itoa(port))
	d.cmd.Env = append(d.cmd.Env, "DATABASE_URL=")
	var log bytes.Buffer
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	d.cmd.Stderr = &log
	if err := d.cmd.Start(); err != nil {
		return err
	}
	d.done = make(chan struct{})
	ready := make(chan struct{})
	var said strings.Builder
	go func() {
		lines := bufio.NewScanner(out)
		told := false
		for lines.Scan() {
			if !told {
				fmt.Fprintln(&said, lines.Text())
				if strings.Contains(lines.Text(), "ready") {
					told = true
					close(ready)
				}
			}
		}
		d.cmd.Wait()
		close(d.done)
	}()
	select {
	case <-ready:
	case <-d.done:
		return fmt.Errorf("it ended before it was ready:\n%s\n%s", said.String(), log.String())
	case <-time.After(3 * time.Minute):
		d.cmd.Process.Kill()
		return errors.New("it was not ready within three minutes")
	}
	data, err := os.ReadFile(filepath.Join(d.dir, "demo.json"))
	if err != nil {
		return err
	}
	return json.Unmarshal(data, &d.info)
}

func (d *demo) stop() {
	d.cmd.Process.Signal(syscall.SIGINT)
	select {
	case <-d.done:
	case <-time.After(time.Minute):
		d.cmd.Process.Kill()
		<-d.done
	}
}

// remove deletes what the demo left, also outside its directory.
func (d *demo) remove() {
	cmd := exec.Command(filepath.Join(d.bin, "demo"), "-remove")
	cmd.Env = append(os.Environ(), "DEMO_DIR="+d.dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "e2e: demo -remove: %v\n%s", err, out)
	}
	os.RemoveAll(d.dir)
}

// pid answers the process ID of one of the demo's children.
func (d *demo) pid(t *testing.T, name string) int {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(d.dir, "pids", name))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func (d *demo) signal(t *testing.T, name string, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(d.pid(t, name), s); err != nil {
		t.Fatalf("signal %s to %s: %v", s, name, err)
	}
}

// kill kills a child with -9 and waits until the supervisor has started another.
func (d *demo) kill(t *testing.T, name string) {
	t.Helper()
	before := d.pid(t, name)
	d.signal(t, name, syscall.SIGKILL)
	eventually(t, waitLong, name+" starts again", func() bool {
		data, err := os.ReadFile(filepath.Join(d.dir, "pids", name))
		return err == nil && strings.TrimSpace(string(data)) != strconv.Itoa(before)
	})
}

// tool runs one of the binaries and answers what it printed and how it ended.
func (d *demo) tool(t *testing.T, env []string, name string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(d.bin, name), args...)
	cmd.Env = append(os.Environ(), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return out.String(), errs.String(), exit.ExitCode()
	case err != nil:
		t.Fatalf("%s: %v", name, err)
	}
	return out.String(), errs.String(), 0
}

// request sends one request outside the browser and answers status and body.
func request(t *testing.T, method, url string, body io.Reader, set func(*http.Request)) (int, []byte, http.Header) {
	t.Helper()
	req, err := http.NewRequest(method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	if set != nil {
		set(req)
	}
	client := &http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, data, res.Header
}

// getJSON reads a JSON answer into v.
func getJSON(t *testing.T, url string, v any, set func(*http.Request)) {
	t.Helper()
	status, body, _ := request(t, http.MethodGet, url, nil, set)
	if status != http.StatusOK {
		t.Fatalf("GET %s: %d %s", url, status, body)
	}
	if err := json.Unmarshal(body, v); err != nil {
		t.Fatalf("GET %s: %v in %s", url, err, body)
	}
}

// control asks the Stripe stand-in's own API for something and reads the answer into v when it is not nil.
func (d *demo) control(t *testing.T, method, path string, in, v any) {
	t.Helper()
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.NewReader(data)
	}
	status, answer, _ := request(t, method, d.info.StripeURL+path, body, func(r *http.Request) { r.Header.Set("Content-Type", "application/json") })
	if status/100 != 2 {
		t.Fatalf("%s %s: %d %s", method, path, status, answer)
	}
	if v != nil {
		if err := json.Unmarshal(answer, v); err != nil {
			t.Fatalf("%s %s: %v in %s", method, path, err, answer)
		}
	}
}

// eventually waits for a condition; it says what for when it never comes.
func eventually(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", within, what)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
