package enforce

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

const (
	saveFloorEvery = 30                // seconds that the clock's floor on disk may lag
	keepBooksFor   = 90 * 24 * 60 * 60 // seconds after expiry, for support
)

// ledger keeps the books of all licenses that were ever in force here, the clock's floor and the revocation epoch.
// Its lock is not taken on the request path but where a shard is empty.
type ledger struct {
	config Config
	clock  *clock
	store  *store      // nil: nothing is kept
	wake   chan *meter // asks for the next block
	shards int         // as many as the gate has: a request uses one number for both

	mu      sync.Mutex
	renewed *sync.Cond
	meters  map[string]*meter // of this process, by license ID
	books   map[string]*book  // of the file, where there is no meter
	facts   stateFacts
	broken  *license.Error // the state cannot be used
	failure error          // why the last write failed; nil when it did not
	dirty   bool
	closed  bool
	saved   int64 // the clock's floor on disk
}

// stateFacts are shown to operators.
type stateFacts struct {
	createdAt time.Time
	repairs   int64
	epoch     int64
}

func newLedger(config Config, clock *clock, shards int) *ledger {
	l := &ledger{config: config, clock: clock, shards: shards, wake: make(chan *meter, 1),
		meters: make(map[string]*meter), books: make(map[string]*book)}
	l.renewed = sync.NewCond(&l.mu)
	if config.State.Path != "" {
		l.store = newStore(config)
		l.open()
	}
	return l
}

// open reads the state, and writes it at once so that a state that cannot be written is noticed before volume is
// needed.
func (l *ledger) open() {
	c, fault, err := l.store.open()
	l.mu.Lock()
	switch {
	case err != nil:
		l.broken = stateError("the license state cannot be used: " + err.Error())
	case c == nil && l.config.State.MustExist:
		l.broken = stateError("there is no license state at the configured path, and it must be there")
	case c == nil:
		l.broken, l.facts.createdAt = nil, l.config.Clock().UTC().Truncate(time.Second)
		l.tell("license state created: counters start anew", "")
	default:
		l.broken = nil
		l.load(c, fault)
	}
	fresh, usable := c == nil, l.broken == nil
	l.mu.Unlock()
	if !usable {
		return
	}
	if err := l.save(); err == nil && fresh {
		_ = l.save() // the other copy; a failure is kept in l.failure
	}
}

func (l *ledger) load(c *content, fault string) {
	l.books = make(map[string]*book, len(c.Licenses))
	for id, b := range c.Licenses {
		next := *b // the store keeps what it read
		l.books[id] = &next
	}
	l.facts = stateFacts{createdAt: c.CreatedAt, repairs: c.Repairs, epoch: max(c.Epoch, l.facts.epoch)}
	l.clock.raise(c.ClockFloor)
	if fault != "" {
		l.facts.repairs++
		for _, b := range l.books {
			b.chargeLostWrite()
		}
		l.tell("license state repaired: every license was charged a block", fault)
	}
	for id, b := range l.books { // meters that waited for a state that could be used
		if m := l.meters[id]; m != nil {
			m.shut()
			m.book = *b
			delete(l.books, id)
		}
	}
}

func (l *ledger) tell(message, fault string) {
	l.config.Logger.Log(context.Background(), slog.LevelWarn, message, "fault", fault)
}

func stateError(reason string) *license.Error {
	return &license.Error{Code: license.CodeStateError, Reason: reason}
}

// save writes the state. The caller does not hold the lock.
func (l *ledger) save() *license.Error {
	if l.store == nil {
		return stateError("the license limits volume, and no state path is configured to count it")
	}
	l.mu.Lock()
	unusable := l.broken
	if l.closed {
		unusable = stateError("the router is stopping")
	}
	l.mu.Unlock()
	if unusable != nil {
		return unusable
	}
	var floor int64
	err := l.store.write(func() *content {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.dirty = false
		c := l.content()
		floor = c.ClockFloor
		return c
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		if l.failure == nil {
			l.tell("license state cannot be written", err.Error())
		}
		l.dirty, l.failure = true, err
		return stateError("the license state cannot be written: " + err.Error())
	}
	l.failure, l.saved = nil, floor
	return nil
}

// content is what goes to disk. Books of licenses whose time is over are left out: with the clock's floor beyond
// it, they are never in force again.
func (l *ledger) content() *content {
	floor := l.clock.floor.Load()
	c := &content{CreatedAt: l.facts.createdAt, Repairs: l.facts.repairs, Epoch: l.facts.epoch, ClockFloor: floor}
	c.Licenses = maps.Clone(l.books)
	for id, m := range l.meters {
		c.Licenses[id] = m.durable()
	}
	maps.DeleteFunc(c.Licenses, func(_ string, b *book) bool { return b.ExpiresAt < floor-keepBooksFor })
	return c
}

// keep saves what changed, and tries again what failed; it is called now and then.
func (l *ledger) keep() {
	if l.store == nil {
		return
	}
	l.mu.Lock()
	for _, m := range l.meters {
		m.trim()
	}
	broken, closed := l.broken != nil, l.closed
	due := l.dirty || l.clock.floor.Load() >= l.saved+saveFloorEvery
	l.mu.Unlock()
	switch {
	case closed:
	case broken:
		l.open()
	case due:
		_ = l.save() // kept in l.failure, which the standing tells
	}
}

// needsCare reports whether something failed that may work again by now.
func (l *ledger) needsCare() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.broken != nil || l.failure != nil
}

// use returns the meter of a license that comes into force, and gives back what others have on hand.
func (l *ledger) use(p *license.Payload) *meter {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.meter(p)
	for _, other := range l.meters {
		if other != m {
			other.shut()
		}
	}
	return m
}

func (l *ledger) meter(p *license.Payload) *meter {
	m := l.meters[p.LicenseID]
	if m == nil {
		m = &meter{ledger: l, id: p.LicenseID}
		l.meters[m.id] = m
		if b := l.books[m.id]; b != nil {
			m.book = *b
			delete(l.books, m.id)
		}
	}
	if !sameLimits(&m.limits, &p.Limits) {
		m.shut()
	}
	m.limits, m.notBefore, m.book.ExpiresAt = p.Limits, p.NotBefore.Unix(), p.ExpiresAt.Unix()
	return m
}

func sameLimits(a, b *license.Limits) bool {
	return a.MaxTotalRequests == b.MaxTotalRequests && a.MaxTotalTokens == b.MaxTotalTokens &&
		a.MaxMonthlyRequests == b.MaxMonthlyRequests && a.WindowRequests == b.WindowRequests &&
		a.WindowTokens == b.WindowTokens && a.WindowDurationSeconds == b.WindowDurationSeconds
}

// trouble returns why a license cannot be served for want of a state (nil when it can), and what an operator should
// look at.
func (l *ledger) trouble(m *meter) (failure *license.Error, notice string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.store == nil && m.limited():
		return stateError("the license limits volume, and no state path is configured to count it"), ""
	case l.broken != nil:
		return l.broken, ""
	case l.failure == nil:
		return nil, ""
	}
	notice = "the license state cannot be written: " + l.failure.Error()
	if m.limited() && m.empty() {
		return stateError(notice), ""
	}
	return nil, notice
}

// fill takes the next block for m, if it is still in use.
func (l *ledger) fill(m *meter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a := m.current.Load(); a != nil && !m.renewing {
		_ = m.renew(a, volume{}) // a failure is kept in l.failure
	}
}

// epoch returns the highest revocation epoch seen.
func (l *ledger) epoch() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.facts.epoch
}

func (l *ledger) raiseEpoch(epoch int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if epoch > l.facts.epoch {
		l.facts.epoch, l.dirty = epoch, true
	}
}

// recall returns what a bundle said about the license when there was one.
func (l *ledger) recall(id string) *license.RevocationEntry {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m := l.meters[id]; m != nil {
		return m.book.Revocation
	}
	if b := l.books[id]; b != nil {
		return b.Revocation
	}
	return nil
}

// note keeps what the bundle says about every license that has a book, so that removing the bundle lifts nothing, also
// from a license that is not in force now. A book of the file is replaced, not changed: one may be on its way to disk.
func (l *ledger) note(bundle *license.RevocationBundle) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, b := range l.books {
		if entry, changed := said(bundle, id, b.Revocation); changed {
			next := *b
			next.Revocation, l.dirty = entry, true
			l.books[id] = &next
		}
	}
	for id, m := range l.meters {
		if entry, changed := said(bundle, id, m.book.Revocation); changed {
			m.book.Revocation, l.dirty = entry, true
		}
	}
}

// said returns what the bundle says about a license, nil for nothing, and whether it is other than before. The texts
// are copies: those of a bundle hold its whole file in memory.
func said(bundle *license.RevocationBundle, id string, before *license.RevocationEntry) (entry *license.RevocationEntry, changed bool) {
	e, found := bundle.Lookup(id)
	if !found {
		return nil, before != nil
	}
	if before != nil && *before == e {
		return before, false
	}
	e.LicenseID, e.Status = strings.Clone(e.LicenseID), strings.Clone(e.Status)
	e.Reason, e.SupersededBy = strings.Clone(e.Reason), strings.Clone(e.SupersededBy)
	return &e, true
}

// close gives back what is on hand and saves.
func (l *ledger) close() error {
	l.mu.Lock()
	for _, m := range l.meters {
		m.shut()
	}
	kept := l.store != nil && l.broken == nil && !l.closed
	l.mu.Unlock()
	var err error
	if kept {
		if failure := l.save(); failure != nil {
			err = failure
		}
	}
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	if l.store != nil {
		err = errors.Join(err, l.store.close())
	}
	return err
}
