package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/billing"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// standIn is Stripe for orders that are all paid: it answers at once. What is timed, reading a session, goes through the
// real client and a connection; making a session, which is not, is done in memory.
type standIn struct {
	*billing.Client
	mu       sync.Mutex
	sessions map[string]ordered
}

// ordered is a session with what was asked for.
type ordered struct {
	session session
	request fulfillment.CheckoutRequest
}

// newStandIn serves the stand-in until the lab closes.
func newStandIn(l *lab) (*standIn, error) {
	s := &standIn{sessions: map[string]ordered{}}
	url, err := l.serve(s)
	if err != nil {
		return nil, err
	}
	s.Client, err = billing.New(billing.Config{Key: "rk_test_bench", URL: url})
	return s, err
}

// CreateCheckout implements fulfillment.Stripe.
func (s *standIn) CreateCheckout(_ context.Context, r fulfillment.CheckoutRequest) (fulfillment.OpenSession, error) {
	id := fmt.Sprintf("cs_test_%s_%d", r.OrderID, r.Attempt)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[r.OrderID] = ordered{sessionOf(r.Snapshot.Intent, id, r.Snapshot.Total), r}
	return fulfillment.OpenSession{ID: id, URL: "https://checkout.stripe.com/c/pay/" + id, ExpiresAt: r.ExpiresAt}, nil
}

// ofOrder finds the session that was made for an order.
func (s *standIn) ofOrder(orderID string) (ordered, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.sessions[orderID]
	return o, ok
}

// ServeHTTP answers GET /v1/checkout/sessions/cs_test_ORDER_ATTEMPT, and knows nothing else.
func (s *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := strings.TrimPrefix(r.URL.Path, "/v1/checkout/sessions/cs_test_")
	o, ok := s.ofOrder(id[:max(strings.LastIndex(id, "_"), 0)])
	w.Header().Set("Content-Type", "application/json")
	if !ok || r.Method != http.MethodGet {
		http.Error(w, `{"error": {"type": "invalid_request_error", "code": "resource_missing"}}`, http.StatusNotFound)
		return
	}
	snapshot := o.request.Snapshot
	_ = json.NewEncoder(w).Encode(o.session.expanded(snapshot.Template.LookupKey(), snapshot.Intent.Quantity)) // the client went away
}

// event is the webhook that says that an order was paid just now.
func (s *standIn) event(orderID string) (body []byte, header string, err error) {
	o, ok := s.ofOrder(orderID)
	if !ok {
		return nil, "", fmt.Errorf("order %s has no session", orderID)
	}
	return o.session.event(time.Now())
}
