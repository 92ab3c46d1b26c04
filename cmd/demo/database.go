package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/localpg"
)

const databaseName = "portal"

// database is the private PostgreSQL, started again when it dies.
type database struct {
	cfg  localpg.Config
	log  *slog.Logger
	url  string
	stop chan struct{}
	wait sync.WaitGroup

	mu      sync.Mutex
	cluster *localpg.Cluster
}

func startDatabase(ctx context.Context, dir string, log *slog.Logger) (*database, error) {
	d := &database{
		cfg: localpg.Config{Dir: filepath.Join(dir, postgresDir), Logger: log}, log: log, stop: make(chan struct{}),
	}
	cluster, err := localpg.Start(ctx, d.cfg)
	if err != nil {
		return nil, err
	}
	if err := cluster.EnsureDatabase(ctx, databaseName); err != nil {
		_ = cluster.Stop(ctx) // the first error counts
		return nil, err
	}
	d.cluster, d.url = cluster, cluster.DatabaseURL(databaseName)
	d.wait.Go(d.keep)
	return d, nil
}

// keep starts the cluster again whenever it ends. Its address stays the same.
func (d *database) keep() {
	for {
		select {
		case <-d.stop:
			return
		case <-d.current().Done():
		}
		d.log.Warn("postgres ended, starting it again")
		if !d.again() {
			return
		}
	}
}

// again tries until the cluster runs, and reports false when it was told to
// stop meanwhile.
func (d *database) again() bool {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	_ = d.current().Stop(ctx) // lets go of the directory
	for {
		cluster, err := localpg.Start(ctx, d.cfg)
		if err == nil {
			d.mu.Lock()
			d.cluster = cluster
			d.mu.Unlock()
			return true
		}
		d.log.Error("postgres was not started", "error", err)
		select {
		case <-d.stop:
			return false
		case <-time.After(time.Second):
		}
	}
}

func (d *database) current() *localpg.Cluster {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cluster
}

// close stops the cluster for good.
func (d *database) close(ctx context.Context) error {
	close(d.stop)
	d.wait.Wait()
	if err := d.current().Stop(ctx); err != nil {
		return fmt.Errorf("stop postgres: %w", err)
	}
	return nil
}
