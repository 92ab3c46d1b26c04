package enforce

import (
	"context"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

const watchInterval = time.Second

// Manager holds the license in force. Its methods are safe for concurrent use.
type Manager struct {
	config  Config
	clock   *clock
	ledger  *ledger
	gate    *gate
	picker  *picker
	current atomic.Pointer[state]
	refused refusals

	mu          sync.Mutex // one recheck at a time
	revocations revocations
	watched     [2]identity // of the license file and the revocation bundle
	logged      logged
}

// New makes a Manager and loads the license. It errors for a bad Config alone; a missing or bad license is a
// Standing, and so is a state that cannot be used.
func New(config Config) (*Manager, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	shards := shardCount(runtime.GOMAXPROCS(0))
	m := &Manager{config: config, clock: newClock(config.Clock), gate: newGate(shards), picker: newPicker(shards)}
	m.ledger = newLedger(config, m.clock, shards)
	m.revocations.config = config
	first := &state{}
	first.complete(finding{}, nil)
	m.current.Store(first)
	m.Recheck()
	return m, nil
}

// Run rechecks on the interval, and within a second when the license file or the revocation bundle was replaced,
// until ctx is done. It also fetches volume from the budgets before requests need it and keeps the request path's
// clock, so a router that serves runs it.
func (m *Manager) Run(ctx context.Context) {
	var helpers sync.WaitGroup
	for _, help := range []func(context.Context){m.keepClock, m.keepVolume} {
		helpers.Add(1)
		go func() {
			defer helpers.Done()
			help(ctx)
		}()
	}
	defer helpers.Wait()
	recheck, watch := time.NewTicker(m.config.RecheckInterval), time.NewTicker(watchInterval)
	defer recheck.Stop()
	defer watch.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-recheck.C:
			m.Recheck()
		case <-watch.C:
			m.watch()
		}
	}
}

func (m *Manager) keepClock(ctx context.Context) {
	defer m.clock.stop()
	ticker := time.NewTicker(coarseTick)
	defer ticker.Stop()
	for {
		m.clock.tick()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (m *Manager) keepVolume(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case low := <-m.ledger.wake:
			m.ledger.fill(low)
		}
	}
}

// watch rechecks when a file changed, and otherwise tells a standing that time has changed.
func (m *Manager) watch() {
	m.mu.Lock()
	changed := !identify(m.config.Path).same(m.watched[0]) || !identify(m.config.Revocation.Path).same(m.watched[1])
	if !changed {
		m.log(m.current.Load(), m.Standing())
	}
	m.mu.Unlock()
	if changed || m.ledger.needsCare() {
		m.Recheck()
	}
}

// Recheck looks at the license file and the revocation bundle now and returns the standing after it.
func (m *Manager) Recheck() Standing {
	m.mu.Lock()
	defer m.mu.Unlock()
	// Before they are read: a change in between is then noticed once more.
	m.watched = [2]identity{identify(m.config.Path), identify(m.config.Revocation.Path)}
	m.ledger.keep()
	m.clock.now() // lifts the floor
	now := m.config.Clock()
	m.revocations.look(m.ledger, now)
	withdrawn := m.revocations.verdict(m.ledger, now)
	next := m.look(now, withdrawn).after(m.current.Load(), m.config, now, withdrawn)
	m.find(next, now)
	m.current.Store(next)
	m.ledger.keep()
	standing := m.standing(next)
	m.log(next, standing)
	return standing
}

// find adds to the state what depends on more than the license file.
func (m *Manager) find(next *state, now time.Time) {
	var f finding
	var meter *meter
	id := ""
	if next.license != nil {
		p := next.license.Payload()
		id, meter = p.LicenseID, m.ledger.use(&p)
		m.gate.resize(p.Limits.MaxConcurrent)
		var notice string
		if f.stateFailure, notice = m.ledger.trouble(meter); notice != "" {
			f.notices = append(f.notices, notice)
		}
	}
	m.revocations.report(&f, m.ledger, id, now)
	next.complete(f, meter)
}

// Close gives the volume on hand back to the budgets and saves the state. Call it once no more requests are served,
// after http.Server.Shutdown; without it a stop costs up to one block of each limit, as a crash does. A license that
// limits volume admits nobody afterwards.
func (m *Manager) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clock.now()
	return m.ledger.close()
}

// Standing returns whether the router may serve now, and why not.
func (m *Manager) Standing() Standing { return m.standing(m.current.Load()) }

func (m *Manager) standing(s *state) Standing {
	now := m.clock.now()
	if m.clock.setBack(now) {
		return Standing{license.CodeClockRollback, "the clock is more than 5 minutes behind the latest time seen here, " +
			time.Unix(m.clock.floor.Load(), 0).UTC().Format(time.RFC3339)}
	}
	return s.standing(now)
}

// License returns the license that the standing is about, or nil when there is none.
func (m *Manager) License() *license.License { return m.current.Load().license }

// SafeStatus returns what a log, a metric or a support hand-off may show.
func (m *Manager) SafeStatus() license.SafeStatus {
	return m.safeStatus(m.current.Load())
}

func (m *Manager) safeStatus(s *state) license.SafeStatus {
	var status license.SafeStatus
	if s.license != nil {
		status = s.license.SafeStatus()
	}
	standing := m.standing(s)
	status.Status, status.Reason, status.GraceActive = standing.Code, standing.Reason, standing.Code == license.CodeGrace
	status.RouterVersion = m.config.RouterVersion
	return status
}

// logged is what the log said last.
type logged struct {
	licenseID string
	standing  Standing
}

// log tells a change of standing or license; safe fields only.
func (m *Manager) log(s *state, standing Standing) {
	now := logged{standing: standing}
	var safe license.SafeStatus
	if s.license != nil {
		safe = s.license.SafeStatus()
		now.licenseID = safe.LicenseID
	}
	if now == m.logged {
		return
	}
	m.logged = now
	level := slog.LevelInfo
	if standing.Code != license.CodeValid || standing.Reason != "" {
		level = slog.LevelWarn
	}
	m.config.Logger.Log(context.Background(), level, "license standing changed",
		"status", string(standing.Code), "reason", standing.Reason,
		"license_id", safe.LicenseID, "sku", safe.SKU, "key_id", safe.KeyID, "expires_at", safe.ExpiresAt)
}
