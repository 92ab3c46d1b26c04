package postgres

import (
	"context"
	"log/slog"
	"time"
)

// wakeChannel is where River's workers listen for inserted jobs: schema and topic, as its Postgres driver spells them.
const wakeChannel = JobSchema + ".river_insert"

// WakeWorkers tells workers of the jobs that webhooks enqueued, until ctx ends. It does so beside the webhooks' commits,
// since NOTIFY inside them would make each wait for the other; many events at once are one call. A worker that is not told
// finds its jobs by polling.
func (s *Fulfillment) WakeWorkers(ctx context.Context, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.woken:
		}
		if _, err := s.Exec(ctx, "SELECT pg_notify($1, $2)", wakeChannel, `{"queue":"default"}`); err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "workers not woken; they poll", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}
}

// wakeSoon asks for a call of the workers and waits for nothing.
func (s *Fulfillment) wakeSoon() {
	select {
	case s.woken <- struct{}{}:
	default:
	}
}
