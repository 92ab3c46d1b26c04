package enforce

import "github.com/metrum-ai/licensing-portal/license"

// Request is what a request needs of the license.
type Request struct {
	Feature string // required: license.FeatureRouting or another
	Skin    string // the API's dialect, as in allowed_skins; "" for none
	Tokens  int64  // reserved until Settle says how many were used; negative is 0. With 0 no limit of tokens refuses it
}

// Ticket is a request that was admitted. End it, deferred, whatever happens; do not copy it. Its methods are not
// safe for concurrent use.
type Ticket struct {
	manager   *Manager
	meter     *meter
	allowance *allowance
	shard     uint32
	reserved  int64
	settled   bool
}

// Begin admits a request and takes it, and the tokens it reserves, from the license's volume; or returns a
// *license.Error with the code to answer with, and takes nothing. The good case allocates nothing, locks nothing that
// other requests lock, and touches no file; the one request in a block that finds its shards empty goes to the disk,
// unless Run was there first.
//
//	ticket, err := manager.Begin(enforce.Request{Feature: license.FeatureRouting, Tokens: 4_000})
//	if err != nil {
//		enforce.WriteError(w, id, err)
//		return
//	}
//	defer ticket.End()
//	… ask the model …
//	ticket.Settle(usage.TotalTokens)
func (m *Manager) Begin(r Request) (Ticket, error) {
	s, now := m.current.Load(), m.clock.now()
	if !m.open(s, now) || !s.grants.feature(r.Feature) || !s.grants.skin(r.Skin) {
		return Ticket{}, m.refusal(s, r)
	}
	tokens := max(r.Tokens, 0)
	i := m.picker.pick()
	if !m.gate.enter(i) {
		return Ticket{}, m.refuse(&license.Error{Code: license.CodeConcurrency,
			Reason: "as many requests are under way as the license's max_concurrent allows"})
	}
	a := s.meter.current.Load()
	if a == nil || now >= a.until || !s.meter.take(a, i, tokens) {
		var err *license.Error
		if a, err = s.meter.acquire(i, volume{1, tokens}, now); err != nil {
			m.gate.leave(i)
			return Ticket{}, m.refuse(err)
		}
	}
	return Ticket{manager: m, meter: s.meter, allowance: a, shard: i, reserved: tokens}, nil
}

// Settle replaces the reserved tokens with those that were used: what is left over goes back, what is missing is
// taken, though no budget sinks below nothing. Without it, as after a panic, the reservation counts as used. Only
// the first call counts.
func (t *Ticket) Settle(tokens int64) {
	if t.settled || t.manager == nil {
		return
	}
	t.settled = true
	over := max(tokens, 0) - t.reserved
	switch {
	case over < 0:
		if !put(&t.allowance.shards[t.shard].tokens, -over) {
			t.meter.refund(t.allowance, volume{tokens: -over})
		}
	case over > 0:
		if !take(&t.allowance.shards[t.shard].tokens, over) {
			t.meter.chargeMore(t.shard, over, t.manager.clock.now())
		}
	}
}

// End ends the request and lets another one in where the license bounds how many are under way.
func (t *Ticket) End() {
	if t.manager == nil {
		return
	}
	t.manager.gate.leave(t.shard)
	t.manager = nil // ended: nothing more happens
}

// Admit reports whether a request that needs the feature may be served now, without counting it: nil, or a
// *license.Error with the code to answer with. The good case allocates nothing, locks nothing and touches no file.
func (m *Manager) Admit(feature string) error {
	s := m.current.Load()
	if m.open(s, m.clock.now()) && s.grants.feature(feature) {
		return nil
	}
	return m.refusal(s, Request{Feature: feature})
}

// open reports whether requests are admitted at now.
func (m *Manager) open(s *state, now int64) bool {
	return now >= s.from && now < s.until && !m.clock.setBack(now)
}

// refusal finds out why a request is refused.
func (m *Manager) refusal(s *state, r Request) error {
	standing := m.standing(s)
	switch {
	case !standing.Serving():
		return m.refuse(&license.Error{Code: standing.Code, Reason: standing.Reason})
	case !s.grants.feature(r.Feature):
		return m.refuse(&license.Error{Code: license.CodeFeatureForbidden, Reason: "the license does not include the feature " + r.Feature})
	case !s.grants.skin(r.Skin):
		return m.refuse(&license.Error{Code: license.CodeSkinForbidden, Reason: "the license does not include the skin " + r.Skin})
	}
	// The clock passed a bound between two looks at it; the next request is admitted or told why not.
	return m.refuse(&license.Error{Code: license.CodeStateError, Reason: "the license has just changed: try again"})
}

// Count is something that a license bounds by number.
type Count string

// What CheckCount compares.
const (
	ModelGroups   Count = "max_model_groups"
	Callers       Count = "max_callers"
	Admins        Count = "max_admins"
	RetentionDays Count = "max_retention_days"
)

// CheckCount reports whether the license allows n of something: nil, or a *license.Error with the code to answer
// with. It is for configuration changes, not for every request.
func (m *Manager) CheckCount(count Count, n int64) error {
	s := m.current.Load()
	if standing := m.standing(s); !standing.Serving() {
		return m.refuse(&license.Error{Code: standing.Code, Reason: standing.Reason})
	}
	limits := s.license.Payload().Limits
	var limit int64
	code := license.CodeLimitExceeded
	switch count {
	case ModelGroups:
		limit = limits.MaxModelGroups
	case Callers:
		limit = limits.MaxCallers
	case Admins:
		limit, code = limits.MaxAdmins, license.CodeAdminLimit
	case RetentionDays:
		limit, code = limits.MaxRetentionDays, license.CodeRetentionLimit
	default:
		return m.refuse(&license.Error{Code: code, Reason: "no license bounds a count of the name " + string(count)})
	}
	if limit > 0 && n > limit {
		return m.refuse(&license.Error{Code: code, Reason: "more than the license's " + string(count) + " allows"})
	}
	return nil
}
