package enforce

import (
	"errors"
	"math"
	"strings"
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

	finding finding
	meter   *meter // nil: no license
	grants  grants
	from    int64 // requests are admitted in the seconds [from, until); standing says why not outside
	until   int64
}

// finding is what a recheck found beside the license file.
type finding struct {
	entry         *license.RevocationEntry // what the revocation bundle says about the license
	bundleFailure *license.Error           // the bundle is missing or refused, and the router insists on it
	bundleFrom    int64                    // the bundle is the current one in [bundleFrom, bundleUntil), and the
	bundleUntil   int64                    // router insists on that

	bundleExpiresAt time.Time      // of the bundle in hand; zero: none
	stateFailure    *license.Error // the state cannot be used
	notices         []string       // what an operator should look at
}

// standing is decided by the dates at every call, so that expiry needs no recheck. Now is in Unix seconds. That the
// clock was set back comes first, since no date means anything then; see clock.setBack.
func (s *state) standing(now int64) Standing {
	if s.failure != nil && now >= s.graceUntil.Unix() {
		return standingOf(s.failure)
	}
	f := &s.finding
	switch {
	case s.license == nil:
		return Standing{license.CodeMissing, "no license has been loaded"}
	case now < s.notBefore.Unix():
		return Standing{license.CodeNotYetValid, "valid from " + s.notBefore.Format(time.RFC3339)}
	case now >= s.expiresAt.Unix():
		return Standing{license.CodeExpired, "expired at " + s.expiresAt.Format(time.RFC3339)}
	case f.entry != nil && now >= f.entry.EffectiveAt.Unix():
		return standingOf(revoked(f.entry))
	case f.bundleFailure != nil:
		return standingOf(f.bundleFailure)
	case now < f.bundleFrom || now >= f.bundleUntil:
		return Standing{license.CodeRevocationMissing, "the revocation bundle is not the current one: fetch it"}
	case f.stateFailure != nil:
		return standingOf(f.stateFailure)
	case s.failure != nil:
		return Standing{license.CodeGrace, "grace until " + s.graceUntil.UTC().Format(time.RFC3339) + ": " + s.failure.Error()}
	}
	return Standing{license.CodeValid, s.notices()}
}

func standingOf(failure *license.Error) Standing { return Standing{failure.Code, failure.Reason} }

func (s *state) notices() string {
	all := s.finding.notices
	if s.notice != "" {
		all = append([]string{s.notice}, all...)
	}
	return strings.Join(all, "; ")
}

// complete works out what the request path reads. From and until enclose exactly the seconds in which standing says
// that the router serves: a test holds them against each other.
func (s *state) complete(f finding, meter *meter) {
	s.finding, s.meter = f, meter
	s.from, s.until = math.MaxInt64, math.MinInt64 // closed
	if s.license == nil || f.bundleFailure != nil || f.stateFailure != nil {
		return
	}
	s.grants = grantsOf(s.license)
	s.from = max(s.notBefore.Unix(), f.bundleFrom)
	s.until = min(s.expiresAt.Unix(), f.bundleUntil)
	if s.failure != nil {
		s.until = min(s.until, s.graceUntil.Unix())
	}
	if f.entry != nil {
		s.until = min(s.until, f.entry.EffectiveAt.Unix())
	}
}

// candidate is what a look at the path found.
type candidate struct {
	data    []byte           // nil: the file could not be read
	license *license.License // nil: the file did not verify
	failure *license.Error   // nil: it may serve now
}

// verdict says whether a license was withdrawn; nil is no.
type verdict func(licenseID string) *license.Error

func (m *Manager) look(now time.Time, withdrawn verdict) candidate {
	data, err := license.ReadFile(m.config.Path)
	if err != nil {
		return candidate{failure: failureOf(err)}
	}
	return examine(data, m.config, now, withdrawn)
}

// examine verifies a file whole, as of now and on this instance.
func examine(data []byte, config Config, now time.Time, withdrawn verdict) candidate {
	l, err := license.Read(data, config.Ring, now)
	if err != nil {
		return candidate{data: data, failure: failureOf(err)}
	}
	failure := failureOf(l.Check(now, config.Fingerprint))
	if failure == nil {
		failure = withdrawn(l.SafeStatus().LicenseID)
	}
	return candidate{data: data, license: l, failure: failure}
}

func failureOf(err error) *license.Error {
	var failure *license.Error
	if err == nil || errors.As(err, &failure) {
		return failure
	}
	return &license.Error{Code: license.CodeInvalid, Reason: "the license cannot be checked"}
}

// after returns the state that follows old once the candidate was found at the path.
func (c candidate) after(old *state, config Config, now time.Time, withdrawn verdict) *state {
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
	case same && byItself(c.failure):
		return old.verified()
	case old.failure != nil && byItself(c.failure):
		return c.newState(time.Time{}) // verified, and no grace covers its dates
	case same || old.failure != nil:
		return old.failed(c.failure, config)
	}
	again := examine(old.license.Bytes(), config, now, withdrawn)
	switch {
	case again.failure == nil:
		next := old.succeeded(now)
		next.notice = "another file at the path was refused, the license before it stays in force: " + c.failure.Error()
		return next
	case byItself(again.failure):
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
	if !byItself(c.failure) {
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

// verified keeps a license that verifies and may not serve now: standing tells why by itself.
func (s *state) verified() *state {
	next := *s
	next.failure, next.notice = nil, ""
	return &next
}

func (s *state) succeeded(now time.Time) *state {
	next := *s
	next.lastSuccess, next.failure, next.notice = now, nil, ""
	return &next
}

// byItself reports whether standing tells the failure by itself, second by second: the license's dates, and what a
// revocation bundle says. No grace covers those.
func byItself(failure *license.Error) bool {
	if failure == nil {
		return false
	}
	switch failure.Code {
	case license.CodeExpired, license.CodeNotYetValid, license.CodeRevoked, license.CodeSuspended, license.CodeSuperseded:
		return true
	}
	return false
}
