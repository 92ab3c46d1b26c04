package fulfillment

import (
	"context"
	"time"
)

// Gauges are what pages people: the first two must read zero.
type Gauges struct {
	PaidWithoutLicense    int // for more than two minutes
	LicenseWithoutPayment int
	OrdersInReview        int
	LastEventAt           time.Time            // zero if none is stored
	Passes                map[string]PassState // of reconciliation, by name; those that ran
}

// GaugeStore counts them, with few and small queries.
type GaugeStore interface {
	Gauges(ctx context.Context, now time.Time) (Gauges, error)
}

// Endpoint is how the webhook endpoint stood when it was last looked at.
func (g Gauges) Endpoint() EndpointState {
	if p, ok := g.Passes[PassEndpoint]; ok {
		return p.Endpoint
	}
	return EndpointUnknown
}
