package enforce

import (
	"math"
	"strconv"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

// revocations is the bundle in hand and what the last look at its path found. It is the Manager's, under its lock.
type revocations struct {
	config  Config
	bundle  *license.RevocationBundle // the last good one; nil: none yet
	failure *license.Error            // why the file at the path was refused; nil: it is the bundle in hand
	seen    identity                  // of the file that is in hand
}

// look reads the bundle if its file changed. A bundle with a lower epoch than any seen before, also by an earlier
// process, is refused.
func (r *revocations) look(l *ledger, now time.Time) {
	if r.config.Revocation.Mode != RevocationFile {
		return
	}
	seen := identify(r.config.Revocation.Path)
	if r.bundle != nil && r.failure == nil && seen.same(r.seen) {
		return // a hundred thousand entries are not read every minute
	}
	bundle, err := license.LoadRevocationBundle(r.config.Revocation.Path, r.config.Ring, now)
	if err != nil {
		r.failure = failureOf(err)
		return
	}
	if floor := l.epoch(); bundle.Epoch() < floor {
		r.failure = &license.Error{Code: license.CodeRevocationFailed, Reason: "the revocation bundle has the epoch " +
			strconv.FormatInt(bundle.Epoch(), 10) + ", and " + strconv.FormatInt(floor, 10) + " has been seen: fetch the current one"}
		return
	}
	l.raiseEpoch(bundle.Epoch())
	r.bundle, r.failure, r.seen = bundle, nil, seen
}

// entry returns what is known about a license: what the bundle in hand says, or without one what the last bundle
// said, so that removing the file lifts nothing.
func (r *revocations) entry(l *ledger, licenseID string) *license.RevocationEntry {
	if r.config.Revocation.Mode != RevocationFile {
		return nil
	}
	if r.bundle == nil {
		return l.recall(licenseID)
	}
	if entry, found := r.bundle.Lookup(licenseID); found {
		return &entry
	}
	return nil
}

// verdict says which licenses are withdrawn at now.
func (r *revocations) verdict(l *ledger, now time.Time) verdict {
	return func(licenseID string) *license.Error {
		if entry := r.entry(l, licenseID); entry != nil && !entry.Pending(now) {
			return revoked(entry)
		}
		return nil
	}
}

// report adds to a finding what the bundle means for the license.
func (r *revocations) report(f *finding, l *ledger, licenseID string, now time.Time) {
	f.bundleFrom, f.bundleUntil = math.MinInt64, math.MaxInt64
	if r.config.Revocation.Mode != RevocationFile {
		return
	}
	if f.entry = r.entry(l, licenseID); f.entry != nil && f.entry.Pending(now) {
		f.notices = append(f.notices, "the license is to be "+f.entry.Status+" at "+f.entry.EffectiveAt.Format(time.RFC3339))
	}
	if r.bundle != nil {
		l.note(r.bundle)
		f.bundleExpiresAt = r.bundle.ExpiresAt()
	}
	f.bundleFailure = r.insist()
	switch {
	case f.bundleFailure != nil:
	case r.config.Revocation.RequireCurrent:
		f.bundleFrom, f.bundleUntil = r.bundle.NotBefore().Unix(), r.bundle.ExpiresAt().Unix()
	case r.bundle != nil:
		if err := r.bundle.CheckDates(now); err != nil {
			f.notices = append(f.notices, failureOf(err).Reason)
		}
	}
	if r.failure != nil && f.bundleFailure == nil {
		f.notices = append(f.notices, r.failure.Reason)
	}
}

// insist returns why the router stops for want of a bundle, or nil.
func (r *revocations) insist() *license.Error {
	insists := r.config.Revocation
	none := r.bundle == nil && insists.RequireCurrent
	refused := r.failure != nil && insists.FailClosed
	switch {
	case none && (!refused || r.failure.Code == license.CodeRevocationMissing):
		return &license.Error{Code: license.CodeRevocationMissing, Reason: r.failure.Reason}
	case refused:
		return &license.Error{Code: license.CodeRevocationFailed, Reason: r.failure.Reason}
	}
	return nil
}

// revoked is the refusal of a license that an entry in effect names. It shows the entry's status alone: its reason
// is the issuer's words, and no safe field.
func revoked(entry *license.RevocationEntry) *license.Error {
	reason := "the license was " + entry.Status
	if !entry.EffectiveAt.IsZero() {
		reason += " at " + entry.EffectiveAt.Format(time.RFC3339)
	}
	return &license.Error{Code: entry.Code(), Reason: reason}
}
