package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/metrum-ai/licensing-portal/internal/localpg"
	"github.com/metrum-ai/licensing-portal/internal/signer"
)

// lab is where the rows are measured: a directory, a database cluster and the processes that rows start. Close it.
type lab struct {
	rounds  int
	span    time.Duration
	records int // of the log that a signer is started on
	dir     string
	stderr  io.Writer
	log     *slog.Logger
	cluster *localpg.Cluster // nil until a row needs it
	closers []func() error
}

func openLab(l lab) (*lab, error) {
	dir, err := os.MkdirTemp("", "bench") // socket paths must be short
	if err != nil {
		return nil, err
	}
	l.dir, l.log = dir, slog.New(slog.NewTextHandler(l.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	l.atEnd(func() error { return os.RemoveAll(dir) })
	return &l, nil
}

func (l *lab) atEnd(f func() error) { l.closers = append(l.closers, f) }

// close ends everything in the reverse order of its start.
func (l *lab) close() error {
	var errs []error
	for len(l.closers) > 0 {
		last := len(l.closers) - 1
		errs = append(errs, l.closers[last]())
		l.closers = l.closers[:last]
	}
	return errors.Join(errs...)
}

// database makes a database in a cluster that syncs what it commits, as a production host's does.
func (l *lab) database(ctx context.Context, name string) (string, error) {
	if l.cluster == nil {
		dir := filepath.Join(l.dir, "postgres")
		c, err := localpg.Start(ctx, localpg.Config{Dir: dir})
		if err != nil {
			return "", err
		}
		l.cluster = c
		l.atEnd(func() error {
			patience, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			return errors.Join(c.Stop(patience), localpg.Remove(dir))
		})
	}
	url := l.cluster.DatabaseURL(name)
	if err := l.cluster.EnsureDatabase(ctx, name); err != nil {
		return "", err
	}
	return url, wantDurable(ctx, url)
}

// wantDurable refuses to measure against a server that answers before its disk does.
func wantDurable(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, setting := range []string{"fsync", "synchronous_commit", "full_page_writes"} {
		var value string
		if err := conn.QueryRow(ctx, "SHOW "+setting).Scan(&value); err != nil {
			return err
		}
		if value != "on" {
			return fmt.Errorf("%s is %s: commits are not durable", setting, value)
		}
	}
	return nil
}

// child starts this program again as "signer" or "prototype" on a new directory and answers a client of its socket. The
// child ends when its standard input does, so also when this process is killed.
func (l *lab) child(ctx context.Context, kind string) (*signer.Client, error) {
	dir, err := os.MkdirTemp(l.dir, "c")
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, kind, dir)
	cmd.Stderr = l.stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	l.atEnd(func() error {
		_ = stdin.Close()
		if err := cmd.Wait(); err != nil && ctx.Err() == nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
		return nil
	})
	if _, err := io.ReadFull(stdout, make([]byte, len(ready))); err != nil {
		return nil, fmt.Errorf("%s did not start: %w", kind, err)
	}
	return signer.NewClient(filepath.Join(dir, socketName)), nil
}

// What a child and its parent agree on.
const (
	ready      = "ready\n"
	socketName = "s"
)

// untilEOF answers a context that ends with r, which is how a child learns that its parent is done.
func untilEOF(ctx context.Context, r io.Reader) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, r)
	}()
	return ctx
}
