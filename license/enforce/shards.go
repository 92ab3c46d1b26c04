package enforce

import (
	"math"
	"runtime"
	"sync/atomic"
)

// shard holds credits that requests take without meeting one another: each request picks a shard at random, and the
// padding keeps two shards off one cache line (and the next, which processors fetch along).
type shard struct {
	requests atomic.Int64
	tokens   atomic.Int64
	_        [112]byte
}

// closedShard is far below zero, so that nothing can be taken, and far from overflowing.
const closedShard = math.MinInt64 / 2

// shardCount is a power of two, a few for each processor.
func shardCount() int {
	n := 4
	for n < 4*runtime.GOMAXPROCS(0) && n < 64 {
		n *= 2
	}
	return n
}

// take takes n of the credits, all or none. It fails on a closed shard.
func take(credits *atomic.Int64, n int64) bool {
	for {
		have := credits.Load()
		if have < n {
			return false
		}
		if credits.CompareAndSwap(have, have-n) {
			return true
		}
	}
}

// put adds n credits and reports false on a closed shard, where nobody will ever find them.
func put(credits *atomic.Int64, n int64) bool { return credits.Add(n) >= 0 }

// drain empties credits, leaving them at rest (0 or closedShard), and returns what was there.
func drain(credits *atomic.Int64, rest int64) int64 { return max(credits.Swap(rest), 0) }
