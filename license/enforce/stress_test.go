package enforce

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

// Requests take and settle on many goroutines while licenses are swapped, windows end and blocks are written: at the
// end the books hold exactly what was served, to the token.
func TestBooksBalanceWhileLicensesAreSwappedAndWindowsEnd(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withState)
	metered := func(id string) []byte {
		return r.issue(id, func(p *license.Payload) {
			p.Limits = license.Limits{MaxTotalRequests: 1 << 40, MaxTotalTokens: 1 << 40, MaxConcurrent: 6,
				WindowRequests: 5_000, WindowTokens: 40_000, WindowDurationSeconds: 2}
		})
	}
	files := [][]byte{metered("lic_1"), metered("lic_2")}
	r.install(files[0])
	r.run()
	stop := make(chan struct{})
	served := make([]map[string]volume, 4)
	var requesters sync.WaitGroup
	for i := range served {
		served[i] = make(map[string]volume)
		requesters.Add(1)
		go func() {
			defer requesters.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				r.serveOne(t, served[i])
			}
		}()
	}
	for i := range 60 {
		r.install(files[i%2])
		r.at(time.Duration(i) * time.Second)
		time.Sleep(5 * time.Millisecond)
	}
	close(stop)
	requesters.Wait()
	for _, id := range []string{"lic_1", "lic_2"} {
		var want volume
		for _, counts := range served {
			want.requests += counts[id].requests
			want.tokens += counts[id].tokens
		}
		r.ledger.mu.Lock()
		got := r.ledger.meters[id].used()
		r.ledger.mu.Unlock()
		if got.Requests != want.requests || got.Tokens != want.tokens || want.requests == 0 {
			t.Errorf("%s: the book says %d requests and %d tokens, served were %+v", id, got.Requests, got.Tokens, want)
		}
		if got.WindowRequests < 0 || got.WindowRequests > 5_000 || got.WindowTokens < 0 || got.WindowTokens > 40_000 {
			t.Errorf("%s: %+v in the window", id, got)
		}
	}
	if n := r.gate.inside(); n != 0 {
		t.Errorf("%d requests under way", n)
	}
}

// serveOne serves one request and adds it to the license that it began under.
func (r *router) serveOne(t *testing.T, served map[string]volume) {
	reserved := rand.Int64N(20)
	ticket, err := r.Begin(Request{Feature: license.FeatureRouting, Tokens: reserved})
	switch license.CodeOf(err) {
	case license.CodeValid:
	case license.CodeWindowExceeded, license.CodeConcurrency:
		return
	default:
		t.Error(err)
		return
	}
	count, used := served[ticket.meter.id], rand.Int64N(reserved+1)
	ticket.Settle(used)
	count.requests++
	count.tokens += used
	served[ticket.meter.id] = count
	ticket.End()
}

// While Run runs, the next block is fetched before a request needs it.
func TestNextBlockIsFetchedAhead(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withState)
	r.install(r.metered("lic_1", 1_000, 0))
	r.use(6) // the first block of 10 is more than half used
	r.wantOnHand(4)
	r.run()
	for deadline := time.Now().Add(10 * time.Second); r.onHand() < 9; time.Sleep(time.Millisecond) {
		r.ledger.mu.Lock()
		m := r.ledger.meters["lic_1"]
		m.callForMore(m.current.Load())
		r.ledger.mu.Unlock()
		if time.Now().After(deadline) {
			t.Fatal("no block is fetched")
		}
	}
	r.wantOnHand(10) // and never more than one
	r.wantUsed(6, 6)
}

// Requests call for the next block while there is enough left to serve from until it is on disk.
func TestNextBlockIsCalledForInTime(t *testing.T) {
	t.Parallel()
	r := newRouter(t, func(c *Config) { withState(c); c.State.RequestBlock = 1_000 })
	r.install(r.metered("lic_1", 1_000_000, 0))
	for len(r.ledger.wake) == 0 {
		r.use(1)
		if left := r.onHand(); left < 200 {
			t.Fatalf("%d requests of a block of 1000 are left, and nobody has called for the next", left)
		}
	}
	if left := r.onHand(); left > 500 {
		t.Errorf("called for with %d of 1000 requests left", left)
	}
}

// The next block is for the allowance in use, where none is being written and something is missing.
func TestBlockIsTakenOnlyWhereItIsMissing(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withState)
	r.install(r.metered("lic_1", 1_000, 0))
	for range 6 {
		r.begin(0).End()
	}
	r.wantOnHand(4)
	l := r.ledger
	m := l.meters["lic_1"]
	select {
	case <-l.wake: // a request has called already
	default:
	}
	during := func(renewing bool, do func()) {
		l.mu.Lock()
		m.renewing = renewing
		l.mu.Unlock()
		do()
		l.mu.Lock()
		m.renewing = false
		l.mu.Unlock()
	}
	call := func() {
		l.mu.Lock()
		m.callForMore(m.current.Load())
		l.mu.Unlock()
	}
	during(true, call)
	if len(l.wake) != 0 {
		t.Error("a second block is called for while one is written")
	}
	during(true, func() { l.fill(m) })
	r.wantOnHand(4)
	call()
	call() // called already
	if len(l.wake) != 1 {
		t.Error("no block is called for")
	}
	l.fill(m)
	r.wantOnHand(10)
	wantNoWrite := func(why string) {
		t.Helper()
		before := l.store.generation
		if l.fill(m); l.store.generation != before {
			t.Errorf("the state is written, though %s", why)
		}
	}
	wantNoWrite("nothing is missing")
	r.wantOnHand(10)
	r.install(r.metered("lic_2", 1_000, 0))
	wantNoWrite("the license is no longer in use")
	r.wantUsed(0, 0)
}

func (r *router) onHand() int64 {
	r.ledger.mu.Lock()
	defer r.ledger.mu.Unlock()
	return r.ledger.meters["lic_1"].idle().requests
}

func (r *router) wantOnHand(n int64) {
	r.t.Helper()
	if got := r.onHand(); got != n {
		r.t.Fatalf("%d requests on hand, want %d", got, n)
	}
}

// A request that took its place in an allowance, finds too few tokens, and gives the place back just when the
// allowance is closed, gives it back to the book.
func TestNothingIsLostInAnAllowanceThatCloses(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withState)
	for round := range 300 {
		m := &meter{ledger: r.ledger, book: book{Requests: 5}}
		a := &allowance{shards: make([]shard, r.ledger.shards)}
		a.shards[0].requests.Store(5)
		m.current.Store(a)
		var stop atomic.Bool
		var tries atomic.Int64
		done := make(chan struct{})
		go func() {
			defer close(done)
			for !stop.Load() {
				if m.take(a, 0, 1) {
					t.Error("tokens from nowhere")
				}
				tries.Add(1)
			}
		}()
		for tries.Load() < int64(round%50) {
			runtime.Gosched()
		}
		r.ledger.mu.Lock()
		m.shut()
		r.ledger.mu.Unlock()
		stop.Store(true)
		<-done
		if m.book.Requests != 0 {
			t.Fatalf("round %d: %d requests are still charged", round, m.book.Requests)
		}
	}
}
