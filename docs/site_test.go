package docs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A runbook's blocks of "sh" are run as they stand, in the folder of the host that they are for ("sh on=HOST"), with the
// product's own programs. Blocks of "console" show what is typed elsewhere and are not run.

// block is one such block.
type block struct {
	line   int
	on     string // host; "" where the runbook has one host only
	script string
}

// blocks finds the sh blocks of a document.
func blocks(t *testing.T, path string) []block {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var list []block
	inside, other := false, false
	for n, line := range strings.Split(string(text), "\n") {
		info, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && (inside || other):
			inside, other = false, false
		case fence:
			words := strings.Fields(info)
			if inside = len(words) > 0 && words[0] == "sh"; !inside {
				other = true
				continue
			}
			b := block{line: n + 1}
			if len(words) > 1 {
				on, ok := strings.CutPrefix(words[1], "on=")
				if !ok {
					t.Fatalf("%s:%d: %q is not on=HOST", path, n+1, words[1])
				}
				b.on = on
			}
			list = append(list, b)
		case inside:
			list[len(list)-1].script += line + "\n"
		}
	}
	if inside || other || len(list) == 0 {
		t.Fatalf("%s: %d blocks of sh, and the last fence is open: %t", path, len(list), inside || other)
	}
	return list
}

// site is the hosts of an installation, a folder each.
type site struct {
	t    *testing.T
	root string
	env  map[string][]string // more of the environment, by host
}

func newSite(t *testing.T) *site {
	t.Helper()
	root, err := os.MkdirTemp("", "rb") // socket paths must be short
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, root: root, env: map[string][]string{}}
	t.Cleanup(func() {
		s.stopAll()
		_ = os.RemoveAll(root)
	})
	if err := os.Mkdir(filepath.Join(root, "tools"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.write("tools/systemctl", systemctl, 0o700)
	return s
}

// systemctl stands in for systemd: the units signer, witness and worker run in the folder where it is called.
const systemctl = `#!/bin/sh
set -u
verb=$1
for unit; do :; done
case $unit in
signer) set -- signer serve -config config.json ;;
witness) set -- witness follow -config witness.json ;;
worker) set -- portal worker ;;
*) echo "systemctl: no unit $unit" >&2; exit 5 ;;
esac
running() { [ -f $unit.pid ] && kill -0 "$(cat $unit.pid)" 2>/dev/null; }
count() { grep -c '"msg":"reload' $unit.out; }
await() { # await COMMAND...: a minute at most
	for _ in $(seq 1200); do "$@" && return; sleep 0.05; done
	cat $unit.out >&2
	return 1
}
answers() { [ $unit != signer ] || grep -q '"msg":"signer answers"' $unit.out; }
gone() { ! running; }
reloaded() { [ "$(count)" -gt "$before" ]; }
case $verb in
start)
	running && exit 0
	: >$unit.out
	"$@" >>$unit.out 2>&1 </dev/null &
	echo $! >$unit.pid
	until answers; do running || { cat $unit.out >&2; exit 1; }; sleep 0.05; done ;;
stop | disable)
	running && kill "$(cat $unit.pid)" && await gone
	rm -f $unit.pid ;;
reload)
	before=$(count)
	kill -HUP "$(cat $unit.pid)" && await reloaded ;;
*) echo "systemctl: no verb $verb" >&2; exit 1 ;;
esac
`

func (s *site) path(elements ...string) string {
	return filepath.Join(append([]string{s.root}, elements...)...)
}

func (s *site) write(name, text string, mode os.FileMode) {
	s.t.Helper()
	if err := os.WriteFile(s.path(name), []byte(text), mode); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) host(name string) {
	s.t.Helper()
	if err := os.Mkdir(s.path(name), 0o700); err != nil {
		s.t.Fatal(err)
	}
}

// environment is what a host's programs see.
func (s *site) environment(host string) []string {
	return append([]string{"PATH=" + s.path("tools") + ":" + programs + ":" + os.Getenv("PATH"), "TMPDIR=" + s.root, "HOME=" + s.root}, s.env[host]...)
}

// shell runs a script on a host and answers what it wrote.
func (s *site) shell(host, script string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-eu", "-c", script)
	cmd.Dir, cmd.Env = s.path(host), s.environment(host)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (s *site) mustShell(host, script string) string {
	s.t.Helper()
	out, err := s.shell(host, script)
	if err != nil {
		s.t.Fatalf("on %s: %v\n%s\n%s", host, err, script, out)
	}
	return out
}

// terminal is a shell on a host that goes on from block to block, as a person's does: umask and variables stay.
type terminal struct {
	cmd   *exec.Cmd
	input io.WriteCloser
	lines *bufio.Reader
}

func (s *site) terminal(host string) *terminal {
	s.t.Helper()
	cmd := exec.Command("sh", "-eu")
	cmd.Dir, cmd.Env = s.path(host), s.environment(host)
	input, err := cmd.StdinPipe()
	output, errOut := cmd.StdoutPipe()
	cmd.Stderr = cmd.Stdout
	if err := errors.Join(err, errOut); err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	t := &terminal{cmd, input, bufio.NewReader(output)}
	s.t.Cleanup(func() { _ = t.input.Close(); _ = t.cmd.Wait() })
	return t
}

// run runs a block and answers what it wrote. The shell ends at the first command that fails.
func (t *terminal) run(script string) (string, error) {
	const done = "-- the block is done --"
	file := filepath.Join(t.cmd.Dir, ".block")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		return "", err
	}
	defer os.Remove(file)
	watchdog := time.AfterFunc(3*time.Minute, func() { _ = t.cmd.Process.Kill() })
	defer watchdog.Stop()
	if _, err := fmt.Fprintf(t.input, ". ./.block </dev/null; printf '\\n%%s\\n' '%s'\n", done); err != nil {
		return "", err
	}
	var out strings.Builder
	for {
		line, err := t.lines.ReadString('\n')
		if strings.TrimSpace(line) == done {
			return strings.TrimSuffix(out.String(), "\n"), nil
		}
		out.WriteString(line)
		if err != nil {
			return out.String(), fmt.Errorf("a command failed, or took more than three minutes: %w", err)
		}
	}
}

// follow runs a runbook's blocks in their order and answers what each wrote. Place says on which of the site's hosts a block
// is run; it may prepare what the text around the block says.
func (s *site) follow(document string, place func(b block, n int) (host string)) []string {
	s.t.Helper()
	path := filepath.Join("runbooks", document)
	var outputs []string
	terminals := map[string]*terminal{}
	for n, b := range blocks(s.t, path) {
		host := place(b, n)
		if terminals[host] == nil {
			terminals[host] = s.terminal(host)
		}
		out, err := terminals[host].run(b.script)
		if err != nil {
			s.t.Fatalf("%s:%d: %v\n%s\n%s", path, b.line, err, b.script, out)
		}
		outputs = append(outputs, out)
	}
	return outputs
}

// wants fails unless a block's output says so.
func (s *site) wants(outputs []string, n int, texts ...string) {
	s.t.Helper()
	for _, text := range texts {
		if n >= len(outputs) || !strings.Contains(outputs[n], text) {
			s.t.Errorf("block %d does not say %q:\n%s", n, text, outputs[min(n, len(outputs)-1)])
		}
	}
}

// stopAll stops the units of all hosts.
func (s *site) stopAll() {
	files, _ := filepath.Glob(s.path("*", "*.pid"))
	for _, file := range files {
		host, unit := filepath.Base(filepath.Dir(file)), strings.TrimSuffix(filepath.Base(file), ".pid")
		if out, err := s.shell(host, "systemctl stop "+unit); err != nil {
			s.t.Errorf("%s on %s does not stop: %v\n%s", unit, host, err, out)
		}
	}
}

// programs is the folder of the product's programs.
var programs string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "programs")
		if err == nil {
			programs = dir
			defer func() { _ = os.RemoveAll(dir) }()
			build := exec.Command("go", "build", "-o", dir, "../cmd/signer", "../cmd/witness", "../cmd/portal")
			build.Env = append(os.Environ(), "CGO_ENABLED=0") // as make build does, so that the kernel confines the signer
			var out []byte
			if out, err = build.CombinedOutput(); err != nil {
				err = errors.Join(err, errors.New(string(out)))
			}
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "docs:", err)
			return 1
		}
		return m.Run()
	}())
}
