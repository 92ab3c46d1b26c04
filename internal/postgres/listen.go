package postgres

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// relisten is how long a lost connection waits before the next try.
const relisten = 250 * time.Millisecond

// Watcher fans the database's announcements of changed orders out to whoever watches one, over a single connection of its
// own. It is safe for concurrent use.
type Watcher struct {
	url string
	log *slog.Logger

	mu       sync.Mutex
	watching map[string]map[chan struct{}]struct{}
}

// NewWatcher returns a watcher on the database at url; it hears nothing until Run.
func NewWatcher(url string, log *slog.Logger) *Watcher {
	return &Watcher{url: url, log: log, watching: map[string]map[chan struct{}]struct{}{}}
}

// Watch answers a channel that receives whenever the order may have changed, until ctx ends. Changes in quick succession
// may be told once.
func (w *Watcher) Watch(ctx context.Context, orderID string) <-chan struct{} {
	c := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.watching[orderID] == nil {
		w.watching[orderID] = map[chan struct{}]struct{}{}
	}
	w.watching[orderID][c] = struct{}{}
	context.AfterFunc(ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if delete(w.watching[orderID], c); len(w.watching[orderID]) == 0 {
			delete(w.watching, orderID)
		}
	})
	return c
}

// Run listens until ctx ends, connecting again whenever the connection is lost. What was missed meanwhile is made up for by
// telling every watcher.
func (w *Watcher) Run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := w.listen(ctx); err != nil && ctx.Err() == nil {
			w.log.WarnContext(ctx, "order announcements lost; connecting again", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(relisten):
		}
	}
}

func (w *Watcher) listen(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, w.url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "LISTEN "+orderChanged); err != nil {
		return err
	}
	w.tell("")
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		w.tell(n.Payload)
	}
}

// tell wakes the watchers of one order, or with "" all of them; it never waits for one.
func (w *Watcher) tell(orderID string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if orderID != "" {
		wake(w.watching[orderID])
		return
	}
	for _, channels := range w.watching {
		wake(channels)
	}
}

func wake(channels map[chan struct{}]struct{}) {
	for c := range channels {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}
