package fulfillment_test

import (
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// A worker was killed in the middle of a job: the queue holds the job for running until it may take it for dead.
func TestAStartingWorkerGoesOnWithWhatAKilledOneHeld(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"evaluate", "issue"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c := w.customer()
			o := c.draft(c.request("credit-pack-5m"))
			c.payBy(c.checkout(o), "card_ok")
			for end := time.Now().Add(patience); w.count("SELECT count(*) FROM events") == 0 && time.Now().Before(end); {
				time.Sleep(10 * time.Millisecond)
			}
			if kind == "issue" {
				w.must(w.fulfiller.EvaluateOrder(t.Context(), o.ID))
			}
			_, err := w.pool.Exec(t.Context(), `UPDATE river.river_job SET state = 'running', attempt = 1, attempted_at = now(), attempted_by = '{dead}'`)
			w.must(err)
			w.work()
			resumed, err := w.fulfiller.Resume(t.Context())
			w.must(err)
			if c.becomes(o, fulfillment.StateIssued); resumed != 1 || w.count("SELECT count(*) FROM issuances") != 1 {
				t.Fatalf("%d orders resumed", resumed)
			}
			if resumed, err = w.fulfiller.Resume(t.Context()); resumed != 0 || err != nil {
				t.Fatalf("again: %d, %v", resumed, err)
			}
		})
	}
}
