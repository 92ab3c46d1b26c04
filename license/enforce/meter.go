package enforce

import (
	"sync/atomic"

	"github.com/metrum-ai/licensing-portal/license"
)

// meter takes the volume of one license: from shards on the request path, and from the book when they are empty. A
// block is on disk as taken before any of it is in a shard.
type meter struct {
	ledger  *ledger
	current atomic.Pointer[allowance] // nil: closed

	// The rest is the ledger's, under its lock.
	id        string
	limits    license.Limits
	notBefore int64
	book      book
	renewing  bool // a block is being written
	pending   volume
}

// volume is an amount of both kinds.
type volume struct{ requests, tokens int64 }

// allowance is volume that was taken from the budgets and is on hand, in the shards and in the pool.
type allowance struct {
	shards []shard
	until  int64 // the first second at which it is void: the end of its window or month

	pool   volume // under the ledger's lock
	closed bool
}

// take takes a request and tokens from the shard. It fails where the slow way is needed.
func (m *meter) take(a *allowance, i uint32, tokens int64) bool {
	s := &a.shards[i]
	if !take(&s.requests, 1) {
		return false
	}
	if tokens == 0 || take(&s.tokens, tokens) {
		return true
	}
	if !put(&s.requests, 1) {
		m.refund(a, volume{requests: 1})
	}
	return false
}

// acquire is the slow way to volume: from the pool, from the other shards, or from the book. It returns the
// allowance that the volume is of.
func (m *meter) acquire(i uint32, need volume, now int64) (*allowance, *license.Error) {
	l := m.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		a := m.enter(now)
		if a.draw(i, need) {
			m.callForMore(a)
			return a, nil
		}
		if m.renewing {
			l.renewed.Wait()
			continue
		}
		if err := m.renew(a, need); err != nil {
			return nil, err
		}
	}
}

// draw takes from the pool, and gives the shard a share for the requests to come.
func (a *allowance) draw(i uint32, need volume) bool {
	if a.pool.requests < need.requests || a.pool.tokens < need.tokens {
		a.collect(0)
	}
	if a.pool.requests < need.requests || a.pool.tokens < need.tokens {
		return false
	}
	requests := share(a.pool.requests-need.requests, len(a.shards))
	tokens := share(a.pool.tokens-need.tokens, len(a.shards))
	a.pool.requests -= need.requests + requests
	a.pool.tokens -= need.tokens + tokens
	a.shards[i].requests.Add(requests)
	a.shards[i].tokens.Add(tokens)
	return true
}

// collect brings what the shards hold into the pool and leaves them at rest: 0, or closedShard.
func (a *allowance) collect(rest int64) {
	for i := range a.shards {
		a.pool.requests += drain(&a.shards[i].requests, rest)
		a.pool.tokens += drain(&a.shards[i].tokens, rest)
	}
}

func (a *allowance) onHand() volume {
	v := a.pool
	for i := range a.shards {
		v.requests += max(a.shards[i].requests.Load(), 0)
		v.tokens += max(a.shards[i].tokens.Load(), 0)
	}
	return v
}

// enter returns the allowance of the window and month that now is in.
func (m *meter) enter(now int64) *allowance {
	if a := m.current.Load(); a != nil {
		if now < a.until {
			return a
		}
		m.shut()
	}
	m.book.enter(now, m.notBefore, &m.limits)
	a := &allowance{shards: make([]shard, m.ledger.shards), until: m.book.until(&m.limits)}
	m.current.Store(a)
	return a
}

// shut gives what is on hand back to the book.
func (m *meter) shut() {
	a := m.current.Load()
	if a == nil {
		return
	}
	a.closed = true
	a.collect(closedShard)
	m.book.charge(volume{-a.pool.requests, -a.pool.tokens})
	a.pool = volume{}
	m.current.Store(nil)
	m.ledger.dirty = true
}

// trim gives back what settled requests have brought on hand beyond a block, so that a crash costs no more than one.
func (m *meter) trim() {
	a := m.current.Load()
	if a == nil || !limitsTokens(&m.limits) || m.renewing {
		return
	}
	if excess := a.onHand().tokens - m.tokenBlock(); excess > 0 {
		a.collect(0)
		excess = min(excess, a.pool.tokens)
		a.pool.tokens -= excess
		m.book.charge(volume{tokens: -excess})
		m.ledger.dirty = true
	}
}

// renew takes a block from the budgets, on disk first. It unlocks the ledger while it writes.
func (m *meter) renew(a *allowance, need volume) *license.Error {
	l, have := m.ledger, a.onHand()
	var block volume
	var err *license.Error
	requests, tokens := m.book.requestRoom(&m.limits), m.book.tokenRoom(&m.limits)
	if block.requests, err = requests.block(m.requestBlock(), need.requests, have.requests); err != nil {
		return err
	}
	if block.tokens, err = tokens.block(m.tokenBlock(), need.tokens, have.tokens); err != nil {
		return err
	}
	if block == (volume{}) {
		return nil // another request gave back what was missing
	}
	m.book.charge(block)
	if m.limited() {
		m.book.RequestBlock, m.book.TokenBlock = m.limitedOnly(volume{m.requestBlock(), m.tokenBlock()})
		m.renewing, m.pending = true, block
		l.mu.Unlock()
		err = l.save()
		l.mu.Lock()
		m.renewing, m.pending = false, volume{}
		l.renewed.Broadcast()
	}
	switch {
	case err != nil:
		m.undo(a, block)
	case a.closed:
		m.undo(a, block)
		l.dirty = true
	default:
		a.pool.requests += block.requests
		a.pool.tokens += block.tokens
	}
	return err
}

// block is how much to take so that block is on hand, or the need where that is more.
func (r *room) block(block, need, have int64) (int64, *license.Error) {
	if missing := need - have; r.amount < missing {
		return 0, &license.Error{Code: r.code, Reason: "the license's " + r.name + " is used up, or has less left than the request needs"}
	}
	return min(r.amount, max(block, need)-min(have, max(block, need))), nil
}

// undo gives back volume of the allowance's window and month. What was taken for an earlier one no longer counts
// in the one that is now.
func (m *meter) undo(a *allowance, v volume) {
	if a.until == m.book.until(&m.limits) {
		m.book.charge(volume{-v.requests, -v.tokens})
		return
	}
	m.book.Requests -= v.requests
	m.book.Tokens -= v.tokens
}

// refund gives back to an allowance that is closed.
func (m *meter) refund(a *allowance, v volume) {
	m.ledger.mu.Lock()
	defer m.ledger.mu.Unlock()
	m.undo(a, v)
	m.ledger.dirty = true
}

// chargeMore takes tokens that a request used beyond what it reserved: they are gone, whatever the budgets say, but
// no budget sinks below nothing.
func (m *meter) chargeMore(i uint32, tokens, now int64) {
	if _, err := m.acquire(i, volume{tokens: tokens}, now); err == nil {
		return
	}
	if m.chargeRest(tokens, now) > 0 {
		_ = m.ledger.save() // a failure is kept; what is charged stays charged
	}
}

// chargeRest takes what is left, and returns how much of it was not on disk as taken yet.
func (m *meter) chargeRest(tokens, now int64) int64 {
	l := m.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	a := m.enter(now)
	a.collect(0)
	paid := min(a.pool.tokens, tokens)
	a.pool.tokens -= paid
	room := m.book.tokenRoom(&m.limits)
	rest := min(room.amount, tokens-paid)
	m.book.charge(volume{tokens: rest})
	m.book.TokensOver += tokens - paid - rest
	l.dirty = true
	return rest
}

// callForMore asks for the next block before this one is used up.
func (m *meter) callForMore(a *allowance) {
	have := a.onHand()
	low := limitsRequests(&m.limits) && have.requests < m.requestBlock()/2 ||
		limitsTokens(&m.limits) && have.tokens < m.tokenBlock()/2
	if low && !m.renewing {
		select {
		case m.ledger.wake <- m:
		default: // called already
		}
	}
}

// limited reports whether volume must be on disk before it is used.
func (m *meter) limited() bool { return limitsRequests(&m.limits) || limitsTokens(&m.limits) }

// limitedOnly is the volume without the kinds that no limit bounds.
func (m *meter) limitedOnly(v volume) (requests, tokens int64) {
	if limitsRequests(&m.limits) {
		requests = v.requests
	}
	if limitsTokens(&m.limits) {
		tokens = v.tokens
	}
	return requests, tokens
}

func (m *meter) requestBlock() int64 {
	l := &m.limits
	if !limitsRequests(l) {
		return unlimited
	}
	limit := smallest(l.MaxTotalRequests, l.MaxMonthlyRequests, l.WindowRequests)
	return block(m.ledger.config.State.RequestBlock, limit)
}

func (m *meter) tokenBlock() int64 {
	if !limitsTokens(&m.limits) {
		return unlimited
	}
	limit := smallest(m.limits.MaxTotalTokens, m.limits.WindowTokens)
	return block(m.ledger.config.State.TokenBlock, limit)
}

// empty reports whether a limited kind has nothing left on hand.
func (m *meter) empty() bool {
	var have volume
	if a := m.current.Load(); a != nil {
		have = a.onHand()
	}
	return limitsRequests(&m.limits) && have.requests == 0 || limitsTokens(&m.limits) && have.tokens == 0
}

// durable is the book as it goes to disk: volume that no limit bounds need not be there before it is used.
func (m *meter) durable() *book {
	b, idle := m.book, m.idle()
	requests, tokens := m.limitedOnly(idle)
	b.charge(volume{requests - idle.requests, tokens - idle.tokens})
	return &b
}

// used is the book without what is on hand.
func (m *meter) used() book {
	b, idle := m.book, m.idle()
	b.charge(volume{-idle.requests, -idle.tokens})
	return b
}

// idle is what was taken from the budgets and not used: on hand, or being written.
func (m *meter) idle() volume {
	v := m.pending
	if a := m.current.Load(); a != nil {
		have := a.onHand()
		v.requests += have.requests
		v.tokens += have.tokens
	}
	return v
}
