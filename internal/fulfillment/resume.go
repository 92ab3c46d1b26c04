package fulfillment

import (
	"context"
	"errors"
	"fmt"
)

// Resume goes on at once with the orders whose evidence is stored and whose license is not. The queue gives the jobs of a
// worker that was killed to another one only after minutes, since it cannot know that they are dead; every step is safe to
// repeat, so a worker that starts need not wait for that. The error tells that the pass is incomplete.
func (s *Fulfiller) Resume(ctx context.Context) (resumed int, err error) {
	due, err := s.c.Reconciles.DueOrders(ctx, s.c.Now(), reconcileBatch)
	if err != nil {
		return 0, fmt.Errorf("resume: %w", err)
	}
	var failed []error
	for _, d := range due {
		if !d.HasEvidence {
			continue
		}
		if err := errors.Join(s.EvaluateOrder(ctx, d.OrderID), s.Issue(ctx, d.OrderID)); err != nil {
			failed = append(failed, fmt.Errorf("resume %s: %w", d.OrderID, err))
			continue
		}
		resumed++
	}
	return resumed, errors.Join(failed...)
}
