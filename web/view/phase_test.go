package view

import (
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

func TestAnOrderThatNobodySawPaidDoesNotSayThatItIs(t *testing.T) {
	t.Parallel()
	issued := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	o := fulfillment.Order{State: fulfillment.StateIssued, Snapshot: fulfillment.Snapshot{Total: 49000}, IssuedAt: issued}
	steps := Steps(o, PhaseOf(o, issued))
	if steps[1].Name != "Agreed by invoice" || !steps[1].At.Equal(issued) || !steps[2].At.Equal(issued) {
		t.Errorf("steps %+v", steps)
	}
	o.PaidAt = issued.Add(-time.Minute)
	if steps = Steps(o, PhaseOf(o, issued)); steps[1].Name != "Payment received" || !steps[1].At.Equal(o.PaidAt) {
		t.Errorf("paid: %+v", steps)
	}
}
