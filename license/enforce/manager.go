package enforce

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

// DefaultRecheckInterval is how often the license file is looked at when Config names no interval.
const DefaultRecheckInterval = time.Minute

// Config says what to enforce. Path and Ring are required.
type Config struct {
	Path            string           // of the license file
	Ring            *license.KeyRing // the keys the router trusts
	Fingerprint     string           // of this instance, raw; "" for none
	RecheckInterval time.Duration    // 0: DefaultRecheckInterval
	GracePeriod     time.Duration    // grace_period_on_validation_error; 0: none
	RouterVersion   string           // shown in the safe status
	Clock           func() time.Time // nil: time.Now
	Logger          *slog.Logger     // nil: no log
}

// Validate reports every problem of the configuration at once.
func (c Config) Validate() error {
	var problems []error
	if c.Path == "" {
		problems = append(problems, errors.New("enforce: Path is required: the license file"))
	}
	if c.Ring == nil {
		problems = append(problems, errors.New("enforce: Ring is required: the keys that licenses are signed with"))
	}
	if c.RecheckInterval < 0 {
		problems = append(problems, errors.New("enforce: RecheckInterval must not be negative"))
	}
	if c.GracePeriod < 0 {
		problems = append(problems, errors.New("enforce: GracePeriod must not be negative"))
	}
	return errors.Join(problems...)
}

// Manager holds the license in force. Its methods are safe for concurrent use.
type Manager struct {
	config  Config
	current atomic.Pointer[state]

	mu     sync.Mutex // one recheck at a time
	logged logged
}

// New makes a Manager and loads the license. It errors for a bad Config alone; a missing or bad license is a
// Standing.
func New(config Config) (*Manager, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	if config.RecheckInterval == 0 {
		config.RecheckInterval = DefaultRecheckInterval
	}
	if config.Clock == nil {
		config.Clock = time.Now
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	m := &Manager{config: config}
	m.current.Store(&state{})
	m.Recheck()
	return m, nil
}

// Run looks at the license file on the interval until ctx is done.
func (m *Manager) Run(ctx context.Context) {
	ticker := time.NewTicker(m.config.RecheckInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			m.Recheck()
		}
	}
}

// Recheck looks at the license file now and returns the standing after it.
func (m *Manager) Recheck() Standing {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.config.Clock()
	next := m.look(now).after(m.current.Load(), m.config, now)
	m.current.Store(next)
	standing := next.standing(now)
	m.log(next, standing)
	return standing
}

// Standing returns whether the router may serve now, and why not.
func (m *Manager) Standing() Standing {
	return m.current.Load().standing(m.config.Clock())
}

// Admit reports whether a request that needs the feature may be served now: nil, or a *license.Error with the code
// to answer with. The good case allocates nothing, locks nothing and touches no file.
func (m *Manager) Admit(feature string) error {
	s := m.current.Load()
	if standing := s.standing(m.config.Clock()); !standing.Serving() {
		return &license.Error{Code: standing.Code, Reason: standing.Reason}
	}
	if !s.license.Allows(feature) {
		return &license.Error{Code: license.CodeFeatureForbidden, Reason: "the license does not include the feature " + feature}
	}
	return nil
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
	standing := s.standing(m.config.Clock())
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
