// Package localpg starts a private PostgreSQL cluster from the server binaries
// that are installed on this machine, for the demo and for tests.
//
// A cluster belongs to one directory. It listens on a Unix socket only, so two
// clusters never meet; every connection needs a random password; and it ends
// when the process that started it ends, also when that process is killed.
// A second start on the same directory goes on with the data of the first.
//
// PostgreSQL refuses to run as root. Started by root, the cluster runs as the
// user "postgres" or, where there is none, "nobody", in a directory under
// /var/tmp which that user may enter and which is recorded in the owner's.
//
// It is not meant for production, where PostgreSQL has a host of its own.
package localpg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// superuser is the role that initdb creates and every URL names.
	superuser = "portal"
	// startLimit bounds one start of the server, recovery after a crash
	// included.
	startLimit = 60 * time.Second
	// orphanLimit is how long a server whose owner was killed may take to end
	// by itself before it is told to.
	orphanLimit = 15 * time.Second
	pollEvery   = 10 * time.Millisecond
)

// Config says which cluster to start, and how.
type Config struct {
	// Dir holds the cluster, or says where it is. It is created with mode
	// 0700 when missing. Required.
	Dir string
	// Unsafe turns durability off: faster, and a crash of the machine may
	// lose everything. For tests.
	Unsafe bool
	// Logger may be nil. It never gets the password.
	Logger *slog.Logger
}

// Cluster is a running server.
type Cluster struct {
	dir      string
	place    place
	password string
	lock     *os.File
	cmd      *exec.Cmd
	done     chan struct{}
	exitErr  error // set before done is closed
	log      *slog.Logger
}

// Start starts the cluster in cfg.Dir, makes it first where there is none, and
// returns once it takes connections. It fails when the server binaries are
// missing (ErrNoBinaries) or another process has the cluster running (ErrInUse).
func Start(ctx context.Context, cfg Config) (*Cluster, error) {
	return start(ctx, cfg, false)
}

// start is Start; a temporary cluster is removed when its owner dies.
func start(ctx context.Context, cfg Config, temporary bool) (_ *Cluster, err error) {
	if cfg.Dir == "" {
		return nil, errors.New("localpg: Dir is required")
	}
	log := cfg.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	bin, err := FindBinaries()
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("localpg: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("localpg: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			unlock(lock)
		}
	}()
	who, err := serverUser()
	if err != nil {
		return nil, err
	}
	pl, err := findPlace(dir, who)
	if err != nil {
		return nil, err
	}
	password, err := ensurePassword(dir)
	if err != nil {
		return nil, err
	}
	c := &Cluster{dir: dir, place: pl, password: password, lock: lock, log: log}
	if err := c.ensureData(ctx, bin, who, cfg.Unsafe); err != nil {
		return nil, err
	}
	stale, err := clearStale(ctx, pl)
	if err != nil {
		return nil, err
	}
	if err := c.run(ctx, bin, who, cfg.Unsafe, temporary, stale); err != nil {
		return nil, err
	}
	log.Info("postgres started", "dir", dir, "pid", c.cmd.Process.Pid)
	return c, nil
}

// DatabaseURL is the address of a database of this cluster, password included,
// as pgx and psql read it.
func (c *Cluster) DatabaseURL(db string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, c.password),
		Path:     "/" + db,
		RawQuery: url.Values{"host": {c.place.sockets()}}.Encode(),
	}
	return u.String()
}

// EnsureDatabase creates the database when it is missing.
func (c *Cluster) EnsureDatabase(ctx context.Context, db string) error {
	conn, err := pgx.Connect(ctx, c.DatabaseURL("postgres"))
	if err != nil {
		return fmt.Errorf("localpg: connect: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var exists bool
	err = conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, db).Scan(&exists)
	if err != nil {
		return fmt.Errorf("localpg: look for database: %w", err)
	}
	if exists {
		return nil
	}
	if _, err := conn.Exec(ctx, `CREATE DATABASE `+pgx.Identifier{db}.Sanitize()); err != nil {
		return fmt.Errorf("localpg: create database: %w", err)
	}
	return nil
}

// Done is closed when the server has ended, by Stop or by itself.
func (c *Cluster) Done() <-chan struct{} { return c.done }

// Stop ends the server: connections are cut, what was committed is on disk.
// When ctx ends first the server is stopped at once and recovers on its next
// start. Stop returns when the process is gone; it may be called twice.
func (c *Cluster) Stop(ctx context.Context) error {
	c.signal(syscall.SIGINT)
	select {
	case <-c.done:
	case <-ctx.Done():
		c.signal(syscall.SIGQUIT)
		select {
		case <-c.done:
		case <-time.After(5 * time.Second):
			c.signal(syscall.SIGKILL)
			<-c.done
		}
	}
	unlock(c.lock)
	c.log.Info("postgres stopped", "dir", c.dir)
	return nil
}

// signal reaches the server while it runs, and nobody else afterwards.
func (c *Cluster) signal(sig syscall.Signal) {
	select {
	case <-c.done:
	default:
		_ = c.cmd.Process.Signal(sig)
	}
}

// Remove deletes a stopped cluster and its directory. It fails with ErrInUse
// while the cluster runs; a directory that does not exist is no error.
func Remove(dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	lock, err := lockDir(dir)
	if err != nil {
		return err
	}
	defer unlock(lock)
	if pl, ok := recordedPlace(dir); ok {
		if err := os.RemoveAll(pl.root); err != nil {
			return fmt.Errorf("localpg: %w", err)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("localpg: %w", err)
	}
	return nil
}
