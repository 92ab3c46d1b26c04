package enforce

import (
	"math"
	"sync"
	"sync/atomic"
)

// shard holds credits that requests take without meeting one another: each processor has a shard of its own, and the
// padding keeps two shards off one cache line (and the next, which processors fetch along).
type shard struct {
	requests atomic.Int64
	tokens   atomic.Int64
	_        [112]byte
}

// closedShard is far below zero, so that nothing can be taken, and far from overflowing.
const closedShard = math.MinInt64 / 2

// shardsEach is how many shards there are for a processor, so that two seldom pick the same one.
const shardsEach = 4

// shardCount is a power of two, a few for each processor.
func shardCount(processors int) int {
	n := shardsEach
	for n < shardsEach*processors && n < 64 {
		n *= 2
	}
	return n
}

// share is how much of the credits in a pool a shard gets at once. It is half of what would fall to each processor, so
// that requests come back for more, and call for the next block, well before this one is used up.
func share(pool int64, shards int) int64 { return pool / int64(2*shards/shardsEach) }

// picker tells requests which shard to use: the one that this processor used last, whose cache line it still has. A
// shard picked at random was last used by another processor as often as not, and with two of them busy admission
// waited for cache lines for two thirds of its time.
type picker struct {
	numbers []uint32
	next    atomic.Uint32
	pool    sync.Pool // keeps what was put for the processor that put it
}

func newPicker(shards int) *picker {
	p := &picker{numbers: make([]uint32, shards)}
	for i := range p.numbers {
		p.numbers[i] = uint32(i)
	}
	p.pool.New = func() any { return &p.numbers[int(p.next.Add(1))%shards] }
	return p
}

func (p *picker) pick() uint32 {
	number := p.pool.Get().(*uint32)
	p.pool.Put(number)
	return *number
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
