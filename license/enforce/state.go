package enforce

import (
	"errors"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

// Standing says whether the router may serve. Reason is empty while all is well; while the router serves, it says
// what an operator should look at.
type Standing struct {
	Code   license.Code
	Reason string
}

// Serving reports whether requests are admitted: the license is valid, or its grace covers a validation error.
func (s Standing) Serving() bool { return s.Code == license.CodeValid || s.Code == license.CodeGrace }

// state is what the request path reads. It is never changed, only replaced.
type state struct {
	license     *license.License // nil: there is none
	notBefore   time.Time
	expiresAt   time.Time
	lastSuccess time.Time      // when the license was last seen valid in full; zero: never
	failure     *license.Error // why it is not; nil while it is, or while its dates alone decide
	graceUntil  time.Time      // the failure is covered until here
	notice      string         // why the file at the path was refused while this license stays in force
}

// standing is decided by the dates at every call, so that expiry needs no recheck.
func (s *state) standing(now time.Time) Standing {
	if s.failure != nil && !now.Before(s.graceUntil) {
		return Standing{s.failure.Code, s.failure.Reason}
	}
	switch {
	case s.license == nil:
		return Standing{license.CodeMissing, "no license has been loaded"}
	case now.Before(s.notBefore):
		return Standing{license.CodeNotYetValid, "valid from " + s.notBefore.Format(time.RFC3339)}
	case !now.Before(s.expiresAt):
		return Standing{license.CodeExpired, "expired at " + s.expiresAt.Format(time.RFC3339)}
	case s.failure != nil:
		return Standing{license.CodeGrace, "grace until " + s.graceUntil.UTC().Format(time.RFC3339) + ": " + s.failure.Error()}
	}
	return Standing{license.CodeValid, s.notice}
}

// candidate is what a look at the path found.
type candidate struct {
	data    []byte           // nil: the file could not be read
	license *license.License // nil: the file did not verify
	failure *license.Error   // nil: it may serve now
}

func (m *Manager) look(now time.Time) candidate {
	data, err := license.ReadFile(m.config.Path)
	if err != nil {
		return candidate{failure: failureOf(err)}
	}
	return examine(data, m.config, now)
}

// examine verifies a file whole, as of now and on this instance.
func examine(data []byte, config Config, now time.Time) candidate {
	l, err := license.Read(data, config.Ring, now)
	if err != nil {
		return candidate{data: data, failure: failureOf(err)}
	}
	return candidate{data: data, license: l, failure: failureOf(l.Check(now, config.Fingerprint))}
}

func failureOf(err error) *license.Error {
	var failure *license.Error
	if err == nil || errors.As(err, &failure) {
		return failure
	}
	return &license.Error{Code: license.CodeInvalid, Reason: "the license cannot be checked"}
}

// after returns the state that follows old once the candidate was found at the path.
func (c candidate) after(old *state, config Config, now time.Time) *state {
	switch {
	case c.failure == nil:
		return c.newState(now)
	case old.lastSuccess.IsZero():
		return c.newState(time.Time{}) // nothing to lose: show what is wrong with the file that is there
	case c.failure.Code == license.CodeMissing:
		return old.failed(c.failure, config)
	}
	same := c.data != nil && string(c.data) == string(old.license.Bytes())
	switch {
	case same && byDates(c.failure):
		return old.datesOnly()
	case old.failure != nil && byDates(c.failure):
		return c.newState(time.Time{}) // verified, and no grace covers its dates
	case same || old.failure != nil:
		return old.failed(c.failure, config)
	}
	again := examine(old.license.Bytes(), config, now)
	switch {
	case again.failure == nil:
		next := old.succeeded(now)
		next.notice = "another file at the path was refused, the license before it stays in force: " + c.failure.Error()
		return next
	case byDates(again.failure):
		return c.newState(time.Time{}) // the old license has had its time
	}
	return old.failed(again.failure, config)
}

// newState puts the candidate in force; success is when it was seen valid, zero for never.
func (c candidate) newState(success time.Time) *state {
	s := &state{license: c.license, lastSuccess: success}
	if c.license != nil {
		p := c.license.Payload()
		s.notBefore, s.expiresAt = p.NotBefore, p.ExpiresAt
	}
	if !byDates(c.failure) {
		s.failure = c.failure
	}
	return s
}

// failed keeps the license as the last valid one; the grace runs from its last success.
func (s *state) failed(failure *license.Error, config Config) *state {
	next := *s
	next.notice = ""
	next.failure = failure
	next.graceUntil = s.lastSuccess.Add(config.GracePeriod)
	return &next
}

// datesOnly keeps a license that verifies and whose time is over or yet to come: standing looks at dates itself.
func (s *state) datesOnly() *state {
	next := *s
	next.failure, next.notice = nil, ""
	return &next
}

func (s *state) succeeded(now time.Time) *state {
	next := *s
	next.lastSuccess, next.failure, next.notice = now, nil, ""
	return &next
}

func byDates(failure *license.Error) bool {
	return failure != nil && (failure.Code == license.CodeExpired || failure.Code == license.CodeNotYetValid)
}
