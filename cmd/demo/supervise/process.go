package supervise

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const (
	// logLimit is the size in bytes from which a log is put aside at the next
	// start of its child.
	logLimit = 8 << 20
	// tailSize is how much of a failed child's output an error repeats.
	tailSize = 2 << 10
)

// process is one run of a child.
type process struct {
	cmd     *exec.Cmd
	started time.Time
	log     string
	logFrom int64 // where its output begins
	done    chan struct{}
	err     error // set before done is closed
}

func (s *Supervisor) fork(c Child) (*process, error) {
	path := filepath.Join(s.cfg.LogDir, c.Name+".log")
	out, from, err := openLog(path)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(c.Path, c.Args...)
	cmd.Dir = "/"
	cmd.Env = c.Env
	if cmd.Env == nil {
		cmd.Env = []string{} // nil would mean ours
	}
	cmd.Stdout, cmd.Stderr = out, out
	if cmd.SysProcAttr, err = attributes(c); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, started: time.Now(), log: path, logFrom: from, done: make(chan struct{})}
	if err := s.forker.start(cmd); err != nil {
		return nil, fmt.Errorf("supervise: start %s: %w", c.Name, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// openLog opens a log for appending and tells where it ends now. A large one is
// put aside first, where it replaces the one before.
func openLog(path string) (*os.File, int64, error) {
	if info, err := os.Stat(path); err == nil && info.Size() > logLimit {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, 0, fmt.Errorf("supervise: %w", err)
		}
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, 0, fmt.Errorf("supervise: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, fmt.Errorf("supervise: %w", err)
	}
	return f, info.Size(), nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop asks the process to end, and makes it after the limit.
func (p *process) stop(ctx context.Context, limit time.Duration) {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it fails when the process is gone, which is fine
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.done:
		return
	case <-timer.C:
	case <-ctx.Done():
	}
	p.kill()
	select {
	case <-p.done:
	case <-time.After(groupLimit): // stuck in the kernel: nothing more can be done
	}
}

// kill ends the process and what it started.
func (p *process) kill() {
	if p.ended() {
		return // its number may belong to another by now
	}
	_ = syscall.Kill(-p.pid(), syscall.SIGKILL)
}

// ending says in words how a process that is done ended.
func (p *process) ending() string {
	var exit *exec.ExitError
	if !errors.As(p.err, &exit) {
		if p.err != nil {
			return p.err.Error()
		}
		return "exit status 0"
	}
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() && ws.Signal() == syscall.SIGKILL {
		return "killed (kill -9)"
	}
	return exit.Error()
}

// wrote reports whether the text is in the first part of the process's output.
func (p *process) wrote(text string) bool {
	f, err := os.Open(p.log)
	if err != nil {
		return false
	}
	defer f.Close()
	output, err := io.ReadAll(io.NewSectionReader(f, p.logFrom, 64<<10))
	return err == nil && bytes.Contains(output, []byte(text))
}

// tail is the end of the process's output, each line indented, and where the
// whole is.
func (p *process) tail() string {
	f, err := os.Open(p.log)
	if err != nil {
		return "  see " + p.log
	}
	defer f.Close()
	from := p.logFrom
	if info, err := f.Stat(); err == nil {
		from = max(from, info.Size()-tailSize)
	}
	text, err := io.ReadAll(io.NewSectionReader(f, from, tailSize))
	if text = bytes.TrimSpace(text); err != nil || len(text) == 0 {
		return "  see " + p.log
	}
	return "  " + strings.ReplaceAll(string(text), "\n", "\n  ") + "\n  (all of it: " + p.log + ")"
}

// forker starts processes from one thread that is never given up: the kernel
// sends the parent-death signal when the thread that forked ends, not when its
// process does.
type forker struct {
	requests chan forkRequest
}

type forkRequest struct {
	cmd    *exec.Cmd
	answer chan error
}

func newForker() *forker {
	f := &forker{requests: make(chan forkRequest)}
	go func() {
		runtime.LockOSThread() // never unlocked
		for r := range f.requests {
			r.answer <- r.cmd.Start()
		}
	}()
	return f
}

func (f *forker) start(cmd *exec.Cmd) error {
	r := forkRequest{cmd: cmd, answer: make(chan error, 1)}
	f.requests <- r
	return <-r.answer
}
