package enforce

import (
	"math"
	"sync/atomic"
	"time"
)

const (
	rollbackTolerance = 5 * 60                // seconds
	coarseTick        = 20 * time.Millisecond // while Run runs, how late the request path's clock may be
	notTicking        = math.MinInt64
)

// clock tells the time in whole Unix seconds, which is all that a license needs: its dates have no fractions. While
// Run runs the request path reads a time that is refreshed every coarseTick; otherwise it asks the source.
//
// The floor is the latest second ever seen, also by earlier processes where there is a state file. A clock that is
// more than rollbackTolerance behind it has been set back.
type clock struct {
	source func() time.Time
	coarse atomic.Int64
	floor  atomic.Int64
}

func newClock(source func() time.Time) *clock {
	c := &clock{source: source}
	c.coarse.Store(notTicking)
	c.floor.Store(math.MinInt64 / 2) // far from every time, and from overflowing
	return c
}

func (c *clock) now() int64 {
	now := c.coarse.Load()
	if now == notTicking {
		now = c.source().Unix()
	}
	if now > c.floor.Load() {
		c.raise(now)
	}
	return now
}

// raise lifts the floor; it never sinks.
func (c *clock) raise(to int64) {
	for {
		floor := c.floor.Load()
		if to <= floor || c.floor.CompareAndSwap(floor, to) {
			return
		}
	}
}

func (c *clock) setBack(now int64) bool { return now < c.floor.Load()-rollbackTolerance }

func (c *clock) tick() { c.coarse.Store(c.source().Unix()) }

func (c *clock) stop() { c.coarse.Store(notTicking) }
