package stripesim

import (
	"math/rand/v2"
	"slices"
	"time"
)

// settings are the stand-in's own state beside Stripe's objects.
type settings struct {
	Delivery deliverySettings `json:"delivery"`
	// Draws counts what was drawn from the seed, so that a restart goes on.
	Draws uint64 `json:"draws"`
	// Advanced is how far the clock was moved, in nanoseconds.
	Advanced time.Duration `json:"advanced"`
}

// deliverySettings say how new events are delivered. The zero value is normal:
// once, at once, in order.
type deliverySettings struct {
	// Duplicates is how many copies are sent at once; 0 and 1 are one. At most 100.
	Duplicates int `json:"duplicates"`
	// Duplicate is the share of events, 0 to 1, that come twice or three times,
	// by the seed.
	Duplicate float64 `json:"duplicate"`
	// Hold keeps events until POST /_sim/release.
	Hold bool `json:"hold"`
	// Drop is the share of events, 0 to 1, that an endpoint never gets.
	Drop float64 `json:"drop"`
	// Reorder gives each copy of an event a delay of its own, up to 2 s, by the
	// seed.
	Reorder bool `json:"reorder"`
	// Seed decides what is dropped, doubled and delayed.
	Seed uint64 `json:"seed"`
	// DelayMS is how long an event waits first, in milliseconds of the
	// stand-in's clock. At most a day.
	DelayMS int64 `json:"delay_ms"`
}

func (d deliverySettings) check() error {
	switch {
	case d.Duplicates < 0 || d.Duplicates > 100:
		return invalid("out_of_range", "duplicates", "duplicates must be between 0 and 100.")
	case !(d.Drop >= 0 && d.Drop <= 1):
		return invalid("out_of_range", "drop", "drop must be between 0 and 1.")
	case !(d.Duplicate >= 0 && d.Duplicate <= 1):
		return invalid("out_of_range", "duplicate", "duplicate must be between 0 and 1.")
	case d.DelayMS < 0 || d.DelayMS > (24*time.Hour).Milliseconds():
		return invalid("out_of_range", "delay_ms", "delay_ms must be between 0 and a day.")
	}
	return nil
}

// chaos is the delivery that a seed alone stands for: a quarter of the events
// come more than once, all come out of order, and one in eight never comes.
func chaos(seed uint64) deliverySettings {
	return deliverySettings{Duplicate: 0.25, Drop: 0.125, Reorder: true, Seed: seed}
}

// fate is what the settings have in store for one event at one endpoint: a
// state, and a delay for each copy.
type fate struct {
	state  string
	delays []time.Duration
}

// draw decides an event's fate. The same seed and the same sequence of events
// give the same fates, also across a restart.
func (x *tx) draw(how deliverySettings) fate {
	base := time.Duration(how.DelayMS) * time.Millisecond
	f := fate{state: statePending, delays: slices.Repeat([]time.Duration{base}, max(1, how.Duplicates))}
	if how.Hold {
		f.state = stateHeld
	}
	if how.Drop == 0 && how.Duplicate == 0 && !how.Reorder {
		return f
	}
	s := x.settings()
	r := rand.New(rand.NewPCG(how.Seed, s.Draws))
	s.Draws++
	x.saveSettings(s)
	if r.Float64() < how.Drop {
		f.state = stateDropped
	}
	if r.Float64() < how.Duplicate {
		f.delays = append(f.delays, slices.Repeat([]time.Duration{base}, 1+r.IntN(2))...)
	}
	if how.Reorder {
		for i := range f.delays {
			f.delays[i] += time.Duration(r.Int64N(int64(reorderWindow)))
		}
	}
	return f
}

// The orders in which held events are let go.
const (
	orderCreated = "created"
	orderReverse = "reverse"
	orderShuffle = "shuffle"
)

// release lets held deliveries go, one event after another: the next is sent
// when the one before has had an answer. Copies of one event go together.
func (x *tx) release(order string, seed uint64) ([]*delivery, error) {
	var events []string // in order of creation
	held := map[string][]*delivery{}
	for _, id := range x.st.deliveries.liveIDs(func(d *delivery) bool { return d.State == stateHeld }) {
		d := x.st.deliveries.get(id)
		key := d.Endpoint + " " + d.Event
		if held[key] == nil {
			events = append(events, key)
		}
		held[key] = append(held[key], d)
	}
	switch order {
	case orderCreated, "":
	case orderReverse:
		for i, j := 0, len(events)-1; i < j; i, j = i+1, j-1 {
			events[i], events[j] = events[j], events[i]
		}
	case orderShuffle:
		r := rand.New(rand.NewPCG(seed, 0))
		r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	default:
		return nil, invalid("unknown_order", "order", "order must be created, reverse or shuffle.")
	}
	var out []*delivery
	after := ""
	for _, key := range events {
		for _, old := range held[key] {
			d := *old
			d.State, d.Next, d.After = statePending, x.now, after
			put(x, x.st.deliveries, d.ID, &d)
			out = append(out, &d)
		}
		after = held[key][len(held[key])-1].ID
	}
	return out, nil
}
