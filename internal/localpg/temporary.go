package localpg

import (
	"context"
	"fmt"
	"log/slog"
	"os"
)

// Temporary is a cluster for tests: not durable, and gone after Stop or when
// the process that started it ends in any way.
type Temporary struct{ *Cluster }

// StartTemporary starts a cluster in a new directory of its own. The logger
// may be nil.
func StartTemporary(ctx context.Context, logger *slog.Logger) (*Temporary, error) {
	dir, err := os.MkdirTemp("", "licensing-portal-test-")
	if err != nil {
		return nil, fmt.Errorf("localpg: %w", err)
	}
	c, err := start(ctx, Config{Dir: dir, Unsafe: true, Logger: logger}, true)
	if err != nil {
		if rerr := Remove(dir); rerr != nil {
			return nil, fmt.Errorf("%w (and its directory stays: %w)", err, rerr)
		}
		return nil, err
	}
	return &Temporary{c}, nil
}

// Stop ends the server and removes its files.
func (t *Temporary) Stop(ctx context.Context) error {
	if err := t.Cluster.Stop(ctx); err != nil {
		return err
	}
	return Remove(t.dir)
}
