package enforce

import (
	"sync"
	"sync/atomic"
)

// unlimited stands for "no limit" where credits are counted: more than any request count, far from overflowing.
const unlimited = 1 << 50

// gate bounds how many requests are under way, over all licenses that come into force: swapping files gives nobody
// more. A place is a credit; a request returns it to the shard it took it from.
type gate struct {
	shards []shard // their requests field
	debt   atomic.Int64

	mu   sync.Mutex
	most int64
	pool int64 // places in no shard
}

func newGate(shards int) *gate {
	return &gate{shards: make([]shard, shards), most: unlimited, pool: unlimited}
}

// enter takes a place.
func (g *gate) enter(i uint32) bool {
	return take(&g.shards[i].requests, 1) || g.enterSlow(i)
}

// enterSlow looks for a place in the pool, and where it has none in the other shards.
func (g *gate) enterSlow(i uint32) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pool == 0 {
		g.collect()
	}
	if g.pool == 0 {
		return false
	}
	g.pool--
	more := share(g.pool, len(g.shards))
	g.pool -= more
	g.shards[i].requests.Add(more)
	return true
}

// leave gives the place back.
func (g *gate) leave(i uint32) {
	g.shards[i].requests.Add(1)
	if g.debt.Load() > 0 {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.collect()
	}
}

// resize sets how many may be under way; 0 is no limit. When more are, nobody enters until enough have left.
func (g *gate) resize(most int64) {
	if most == 0 {
		most = unlimited
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	change := most - g.most
	g.most = most
	if change < 0 {
		g.debt.Add(-change)
	} else {
		g.pool += change
	}
	g.collect()
}

// collect brings all free places into the pool and pays the debt of a smaller limit with them.
func (g *gate) collect() {
	for i := range g.shards {
		g.pool += drain(&g.shards[i].requests, 0)
	}
	if debt := g.debt.Load(); debt > 0 {
		paid := min(debt, g.pool)
		g.pool -= paid
		g.debt.Add(-paid)
	}
}

// inside returns how many requests are under way.
func (g *gate) inside() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	free := g.pool - g.debt.Load()
	for i := range g.shards {
		free += g.shards[i].requests.Load()
	}
	return max(g.most-free, 0)
}
