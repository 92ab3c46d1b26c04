package stripesim

import (
	"net/http"
	"time"
)

// Where a delivery stands.
const (
	statePending   = "pending"   // waits for its time, or is being sent
	stateHeld      = "held"      // waits for release
	stateDelivered = "delivered" // answered with 2xx
	stateDropped   = "dropped"   // never sent, on request
	stateFailed    = "failed"    // given up
)

const (
	firstBackoff   = time.Second
	longestBackoff = time.Minute
	deliveryLife   = 3 * 24 * time.Hour
	keptAttempts   = 20 // the log of a delivery keeps this many
	reorderWindow  = 2 * time.Second
)

// delivery is one event on its way to one endpoint. Times are the stand-in's.
type delivery struct {
	ID       string    `json:"id"`
	Event    string    `json:"event"`
	Type     string    `json:"type"`
	Endpoint string    `json:"endpoint"`
	State    string    `json:"state"`
	Created  time.Time `json:"created"`
	Next     time.Time `json:"next"`
	// After is a delivery that must have been tried before this one is.
	After    string    `json:"after,omitempty"`
	Attempts int       `json:"attempts"`
	Log      []attempt `json:"log"` // the latest ones
}

// attempt is one try to deliver. Status is 0 when there was no answer.
type attempt struct {
	At     time.Time `json:"at"`
	Status int       `json:"status"`
	Error  string    `json:"error,omitempty"`
	Millis int64     `json:"millis"`
}

func (d *delivery) isOpen() bool { return d.State == statePending || d.State == stateHeld }

// backoff is the pause after n attempts: 1 s doubling to 1 min.
func backoff(n int) time.Duration {
	pause := firstBackoff
	for i := 1; i < n && pause < longestBackoff; i++ {
		pause *= 2
	}
	return min(pause, longestBackoff)
}

// newDelivery makes a delivery of event and files it with the event.
func (x *tx) newDelivery(event *record, endpoint, state string, delay time.Duration) (*delivery, error) {
	id, err := x.newID("dlv_", 16, func(id string) bool { return x.st.deliveries.get(id) != nil })
	if err != nil {
		return nil, err
	}
	d := &delivery{
		ID: id, Event: event.Body.str("id"), Type: event.Body.str("type"), Endpoint: endpoint,
		State: state, Created: x.clock, Next: x.clock.Add(delay),
	}
	put(x, x.st.deliveries, id, d)
	if event.Private == nil {
		event.Private = object{}
	}
	event.Private["deliveries"] = append(event.Private.list("deliveries"), any(id))
	x.save(event)
	return d, nil
}

// deliverNew sends a new event to every endpoint that subscribed, as the
// delivery settings say.
func (x *tx) deliverNew(event *record) error {
	how := x.settings().Delivery
	if x.override != nil {
		how = *x.override
	}
	for _, id := range x.st.objects[kindEndpoint].ids {
		endpoint := x.st.objects[kindEndpoint].get(id)
		if !subscribes(endpoint.Body, event.Body.str("type")) {
			continue
		}
		fate := x.draw(how)
		for _, delay := range fate.delays {
			if _, err := x.newDelivery(event, id, fate.state, delay); err != nil {
				return err
			}
		}
	}
	return nil
}

// deliverNow sends an event again at once, whatever the settings. Without an
// endpoint it goes to every one that subscribed.
func (x *tx) deliverNow(event *record, endpoint string, copies int) ([]*delivery, error) {
	targets := []string{endpoint}
	if endpoint == "" {
		targets = nil
		for _, id := range x.st.objects[kindEndpoint].ids {
			if subscribes(x.st.objects[kindEndpoint].get(id).Body, event.Body.str("type")) {
				targets = append(targets, id)
			}
		}
	} else if x.st.objects[kindEndpoint].get(endpoint) == nil {
		return nil, missing(http.StatusBadRequest, "webhook endpoint", endpoint, "webhook_endpoint")
	}
	var out []*delivery
	for _, id := range targets {
		for range copies {
			d, err := x.newDelivery(event, id, statePending, 0)
			if err != nil {
				return nil, err
			}
			out = append(out, d)
		}
	}
	return out, nil
}

// record keeps what came of an attempt and says when the next one is.
func (x *tx) record(id string, a attempt) {
	old := x.st.deliveries.get(id)
	if old == nil || !old.isOpen() {
		return
	}
	d := *old
	d.Attempts++
	d.Log = append(append([]attempt(nil), old.Log...), a)
	if n := len(d.Log); n > keptAttempts {
		d.Log = d.Log[n-keptAttempts:]
	}
	switch {
	case a.Status >= 200 && a.Status < 300:
		d.State = stateDelivered
	case x.now.Sub(d.Created) >= deliveryLife:
		d.State = stateFailed
	default:
		d.Next = x.now.Add(backoff(d.Attempts))
	}
	put(x, x.st.deliveries, id, &d)
}

// giveUp ends a delivery that has nowhere to go any more.
func (x *tx) giveUp(id, why string) {
	d := *x.st.deliveries.get(id)
	d.State = stateFailed
	d.Log = append(append([]attempt(nil), d.Log...), attempt{At: x.now, Error: why})
	put(x, x.st.deliveries, id, &d)
}
