// Package supervise starts the processes of the demo, keeps them running and
// ends them all.
//
// A child that ends by itself, or is killed, is started again with back-off. No
// child outlives the supervisor, also not one that is killed with -9 (on
// Linux, where the kernel tells a child that its parent died). Output goes to a
// file for each child, and the process number to another.
//
// It is for the demo: a production host has systemd or an orchestrator.
package supervise

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

const (
	firstDelay = 50 * time.Millisecond
	longest    = 5 * time.Second
	// steady is how long a child must run for its failures to be forgotten.
	steady = 10 * time.Second
	// probeEvery is how often a starting child is asked whether it is ready.
	probeEvery = 10 * time.Millisecond
	// groupLimit is how long a killed child may take to be gone.
	groupLimit = 5 * time.Second
)

// ErrStopped is what starting a child gives once Stop was called.
var ErrStopped = errors.New("supervise: stopped")

// Config says where the supervisor keeps its files. All are required.
type Config struct {
	PIDDir    string        // <name> holds the process number of a running child
	LogDir    string        // <name>.log takes what a child writes
	StopLimit time.Duration // how long a child may take to end before it is killed
	Logger    *slog.Logger
}

// Identity is the user and groups that a child runs as.
type Identity struct {
	UID, GID uint32
	Groups   []uint32 // supplementary groups; none when empty
}

// Child is a process to start.
type Child struct {
	Name string   // unique; names its files
	Path string   // of the program
	Args []string // without the program's name; never secrets, since all may read them
	Env  []string // the whole environment, nothing is inherited
	// As is the user it runs as; nil means the supervisor's. Another than the
	// supervisor's needs root.
	As *Identity
	// NoNetwork puts it into an empty network namespace. It needs root and
	// Linux.
	NoNetwork bool
	// Ready returns nil once the child can serve; it is asked again and again
	// and must return when its context ends. Nil means ready at once.
	Ready func(context.Context) error
	// ReadyOutput is for a child that serves no requests: it is ready once it
	// has written this text.
	ReadyOutput string
}

// Supervisor keeps children running until Stop.
type Supervisor struct {
	cfg    Config
	forker *forker

	mu       sync.Mutex
	stopped  bool
	children []*watched
}

// New returns a supervisor without children. Where an earlier one with the same
// PIDDir was killed, it first waits for that one's children to be gone.
func New(cfg Config) (*Supervisor, error) {
	if cfg.PIDDir == "" || cfg.LogDir == "" || cfg.StopLimit <= 0 || cfg.Logger == nil {
		return nil, errors.New("supervise: PIDDir, LogDir, StopLimit and Logger are required")
	}
	for _, dir := range []string{cfg.PIDDir, cfg.LogDir} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("supervise: %w", err)
		}
	}
	if err := waitForLeftovers(cfg.PIDDir); err != nil {
		return nil, err
	}
	return &Supervisor{cfg: cfg, forker: newForker()}, nil
}

// Start starts a child and waits until it is ready. It fails, with the end of
// the child's output, when the child ends or the context does before that.
// Afterwards the child is started again whenever it ends.
func (s *Supervisor) Start(ctx context.Context, c Child) error {
	w := &watched{s: s, child: c, stop: make(chan struct{}), ended: make(chan struct{})}
	s.mu.Lock()
	if s.stopped {
		s.mu.Unlock()
		return ErrStopped
	}
	s.children = append(s.children, w)
	s.mu.Unlock()

	p, err := w.launch()
	if err != nil {
		close(w.ended)
		return err
	}
	if err := w.waitReady(ctx, p); err != nil {
		p.kill()
		<-p.done
		close(w.ended)
		return err
	}
	s.cfg.Logger.Info("child is ready", "name", c.Name, "pid", p.pid())
	go w.keep(p)
	return nil
}

// Run runs a command to its end. An error carries the end of its output. The
// command is killed when the context ends.
func (s *Supervisor) Run(ctx context.Context, c Child) error {
	p, err := s.fork(c)
	if err != nil {
		return err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		p.kill()
		<-p.done
		return fmt.Errorf("supervise: %s: %w", c.Name, ctx.Err())
	}
	if p.err != nil {
		return fmt.Errorf("%s failed: %s\n%s", c.Name, p.ending(), p.tail())
	}
	return nil
}

// Stop ends the children in the reverse order of their start: SIGTERM, and
// SIGKILL after the limit or when the context ends. It returns when all are
// gone.
func (s *Supervisor) Stop(ctx context.Context) {
	s.mu.Lock()
	already := s.stopped
	s.stopped = true
	children := s.children
	s.mu.Unlock()
	if already {
		return
	}
	for i := len(children) - 1; i >= 0; i-- {
		children[i].end(ctx)
	}
}

func (s *Supervisor) writePID(name string, pid int) error {
	path := filepath.Join(s.cfg.PIDDir, name)
	next := path + ".new"
	if err := os.WriteFile(next, []byte(strconv.Itoa(pid)+"\n"), 0o600); err != nil {
		return fmt.Errorf("supervise: %w", err)
	}
	if err := os.Rename(next, path); err != nil {
		return fmt.Errorf("supervise: %w", err)
	}
	return nil
}

func (s *Supervisor) removePID(name string) {
	if err := os.Remove(filepath.Join(s.cfg.PIDDir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		s.cfg.Logger.Warn("PID file stays", "name", name, "error", err)
	}
}
