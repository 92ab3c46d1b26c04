package enforce

import (
	"net/http"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

// Counters is how much of a license's volume was used, by its ID, also by earlier processes. Tokens that requests
// under way have reserved count as used.
type Counters struct {
	RequestsUsed       int64     `json:"requests_used"`
	TokensUsed         int64     `json:"tokens_used"`
	TokensOver         int64     `json:"tokens_over"` // used past a limit by requests that reserved too little
	MonthStart         time.Time `json:"month_start,omitzero"`
	MonthRequestsUsed  int64     `json:"month_requests_used"`
	WindowStart        time.Time `json:"window_start,omitzero"` // zero: the license has no window
	WindowRequestsUsed int64     `json:"window_requests_used"`
	WindowTokensUsed   int64     `json:"window_tokens_used"`
	InFlight           int64     `json:"in_flight"` // requests under way, over all licenses
}

// RevocationFacts is what the router knows from revocation bundles.
type RevocationFacts struct {
	Mode      string     `json:"mode"`
	Epoch     int64      `json:"epoch"`               // the highest one seen, 0 for none
	ExpiresAt time.Time  `json:"expires_at,omitzero"` // of the bundle in hand
	Pending   *time.Time `json:"pending,omitempty"`   // when the license is to be withdrawn
}

// StateFacts tells how far the counters can be relied on.
type StateFacts struct {
	Kept      bool      `json:"kept"`                // there is a state file
	CreatedAt time.Time `json:"created_at,omitzero"` // counters start here
	Repairs   int64     `json:"repairs"`             // copies that were lost, changed or rolled back and made good
	Trouble   string    `json:"trouble,omitempty"`   // why it cannot be read or written
}

// Facts is what an operator may see beside the safe fields.
type Facts struct {
	Counters   Counters        `json:"counters"`
	Revocation RevocationFacts `json:"revocation"`
	ClockFloor time.Time       `json:"clock_floor"` // the latest second seen here
	State      StateFacts      `json:"state"`
}

// Receipt is what an operator exports for support: safe fields, counters, revocation epoch, clock floor.
type Receipt struct {
	license.SafeStatus
	MadeAt time.Time `json:"made_at"`
	Facts
}

// Receipt returns the receipt as of now.
func (m *Manager) Receipt() Receipt {
	s := m.current.Load()
	return Receipt{SafeStatus: m.safeStatus(s), MadeAt: utc(m.clock.now()), Facts: m.facts(s)}
}

// Export answers with the receipt as a JSON file to download. It must stand behind authentication.
func (m *Manager) Export() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Disposition", `attachment; filename="license-receipt.json"`)
		writeJSON(w, http.StatusOK, m.Receipt())
	})
}

// Counters returns the counters of the license in force, all zero where there is none.
func (m *Manager) Counters() Counters { return m.facts(m.current.Load()).Counters }

func (m *Manager) facts(s *state) Facts {
	f := m.ledger.report(s.meter)
	f.Counters.InFlight = m.gate.inside()
	f.Revocation.Mode = RevocationOff
	if m.config.Revocation.Mode == RevocationFile {
		f.Revocation.Mode = RevocationFile
	}
	if e := s.finding.entry; e != nil && e.EffectiveAt.Unix() > m.clock.now() {
		f.Revocation.Pending = &e.EffectiveAt
	}
	f.Revocation.ExpiresAt = s.finding.bundleExpiresAt
	f.ClockFloor = utc(m.clock.floor.Load())
	return f
}

// report gives the facts that the ledger knows.
func (l *ledger) report(m *meter) Facts {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := Facts{
		Revocation: RevocationFacts{Epoch: l.facts.epoch},
		State:      StateFacts{Kept: l.store != nil, CreatedAt: l.facts.createdAt, Repairs: l.facts.repairs},
	}
	switch {
	case l.broken != nil:
		f.State.Trouble = l.broken.Reason
	case l.failure != nil:
		f.State.Trouble = l.failure.Error()
	}
	if m == nil {
		return f
	}
	b := m.used()
	f.Counters = Counters{RequestsUsed: b.Requests, TokensUsed: b.Tokens, TokensOver: b.TokensOver,
		MonthRequestsUsed: b.MonthRequests}
	if b.Month != 0 {
		f.Counters.MonthStart = utc(b.Month)
	}
	if b.Window != 0 {
		f.Counters.WindowStart = utc(b.Window)
		f.Counters.WindowRequestsUsed, f.Counters.WindowTokensUsed = b.WindowRequests, b.WindowTokens
	}
	return f
}

func utc(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }
