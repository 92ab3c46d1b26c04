package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/signer/log"
	"github.com/metrum-ai/licensing-portal/internal/trust"
	"github.com/metrum-ai/licensing-portal/license"
)

// How long a revocation bundle is the current one, and from when on it is signed anew though nothing changed.
const (
	bundleValid   = 35 * 24 * time.Hour
	bundleRenewed = 7 * 24 * time.Hour
)

// Revoke answers the revocation bundle in force after what the evidence changes; a bundle is signed only where something
// changes, or the last one is a week old. Requests follow one another: each decides on what the one before left.
func (i *Issuer) Revoke(ctx context.Context, r signer.RevokeRequest) (signer.Revoked, error) {
	i.revoking.Lock()
	defer i.revoking.Unlock()
	now := i.config.Clock.Now().Truncate(time.Second)
	if err := i.clockError(now); err != nil {
		return signer.Revoked{}, err
	}
	asked, err := i.askedToRevoke(r)
	if err != nil {
		return signer.Revoked{}, err
	}
	standing, err := i.config.Log.Standing()
	if err != nil {
		return signer.Revoked{}, i.logRefusal(err, "")
	}
	answer := signer.Revoked{
		Bundle: string(standing.Bundle.Envelope), Epoch: standing.Epoch, Changes: apply(&standing, asked.changes), Review: asked.review,
	}
	if len(answer.Changes) == 0 && standing.Epoch > 0 && now.Before(standing.Bundle.IssuedAt.Add(bundleRenewed)) {
		return answer, nil
	}
	record, counters, err := i.revocation(standing, answer.Changes, now)
	if err != nil {
		return signer.Revoked{}, err
	}
	if record.IntentSHA256 = digest(nil); r.Event != nil {
		record.Event, record.SignatureHeader, record.IntentSHA256 = r.Event.Body, r.Event.SignatureHeader, digest(r.Event.Body)
	} else if r.Approval != nil {
		record.Approval, _ = json.Marshal(r.Approval) // plain values cannot fail
		record.IntentSHA256 = digest([]byte(r.Approval.Request))
	}
	logged, err := i.config.Log.Append(ctx, record, counters)
	if err != nil {
		return signer.Revoked{}, i.logRefusal(err, record.FulfillmentKey)
	}
	i.config.Logger.Info("revocation bundle signed", "revocation_set_id", logged.LicenseID, "changes", len(logged.Changes), "log_index", logged.Index)
	answer.Bundle, answer.Epoch = string(logged.Envelope), log.EpochOf(logged.LicenseID)
	return answer, nil
}

// revocationAsked is what evidence asks to be changed, and the renewals that it leaves to staff.
type revocationAsked struct {
	changes []signer.RevocationChange
	review  []string
}

func (i *Issuer) askedToRevoke(r signer.RevokeRequest) (revocationAsked, error) {
	switch {
	case r.Event != nil && r.Approval != nil:
		return revocationAsked{}, refuse(signer.CodeBadRequest, "an event and an approval at once")
	case r.Event != nil:
		return i.eventRevokes(*r.Event)
	case r.Approval != nil:
		return i.approvalRevokes(*r.Approval)
	}
	return revocationAsked{}, nil
}

// apply lets changes take effect on a standing and answers those that did. A revoked license stays revoked; of one cause,
// a later change stands.
func apply(s *log.Standing, changes []signer.RevocationChange) []signer.RevocationChange {
	applied := []signer.RevocationChange{}
	for _, c := range changes {
		causes := s.Licenses[c.LicenseID]
		last, known := causes[c.Cause]
		switch {
		case revoked(causes):
		case known && !supplants(c, last):
		case !known && c.Status == signer.StatusReinstated:
		default:
			if causes == nil {
				causes = log.Causes{}
				s.Licenses[c.LicenseID] = causes
			}
			causes[c.Cause] = c
			applied = append(applied, c)
		}
	}
	return applied
}

// supplants reports whether a change is news about a cause: it says something else, and later. Of two that happened in one
// second the graver one stands.
func supplants(c, last signer.RevocationChange) bool {
	if c.Status == last.Status {
		return false
	}
	if c.CausedAt.Equal(last.CausedAt) {
		return gravity(c.Status) > gravity(last.Status)
	}
	return c.CausedAt.After(last.CausedAt)
}

func revoked(causes log.Causes) bool {
	for _, c := range causes {
		if c.Status == license.StatusRevoked {
			return true
		}
	}
	return false
}

// gravity orders what can be said of a license; of several causes the gravest is told.
func gravity(status string) int {
	return slices.Index([]string{signer.StatusReinstated, license.StatusSuperseded, license.StatusSuspended, license.StatusRevoked}, status)
}

// entries lists what the bundle says, by license ID.
func entries(s log.Standing) []license.RevocationEntry {
	list := make([]license.RevocationEntry, 0, len(s.Licenses))
	for _, causes := range s.Licenses {
		var told signer.RevocationChange
		for _, c := range causes {
			order := cmp.Or(cmp.Compare(gravity(told.Status), gravity(c.Status)), c.CausedAt.Compare(told.CausedAt), cmp.Compare(c.Cause, told.Cause))
			if told.Status == "" || order < 0 {
				told = c
			}
		}
		if told.Status == signer.StatusReinstated {
			continue
		}
		list = append(list, license.RevocationEntry{
			LicenseID: told.LicenseID, Status: told.Status, Reason: told.Reason, EffectiveAt: told.EffectiveAt, SupersededBy: told.SupersededBy,
		})
	}
	slices.SortFunc(list, func(a, b license.RevocationEntry) int { return cmp.Compare(a.LicenseID, b.LicenseID) })
	return list
}

// revocation signs the bundle of a standing, and then reads it as a router would.
func (i *Issuer) revocation(s log.Standing, changes []signer.RevocationChange, now time.Time) (log.Record, []log.Counter, error) {
	key, ok := i.config.Bundle.SigningKey(trust.RoleRevocation, now, now)
	if !ok || !i.config.Keys.Has(key.ID) {
		return log.Record{}, nil, refuse(signer.CodeNoSigningKey, "no revocation key of the trust bundle may sign now")
	}
	epoch := max(s.Epoch+1, now.Unix())
	payload := license.RevocationPayload{
		SchemaVersion: license.SchemaVersion, RevocationSetID: log.RevocationSetID(epoch), RevocationEpoch: epoch, Product: license.Product,
		Issuer: license.Issuer, IssuedAt: now, NotBefore: now, ExpiresAt: now.Add(bundleValid), KeyID: key.ID, Entries: entries(s),
	}
	envelope, err := i.sealRevocation(payload)
	if err != nil {
		i.config.Logger.Error("a revocation bundle failed its own check", "revocation_set_id", payload.RevocationSetID)
		return log.Record{}, nil, refuse(signer.CodeInternal, "the revocation bundle failed its own check")
	}
	return log.Record{
		Kind: log.KindRevocation, FulfillmentKey: payload.RevocationSetID, LicenseID: payload.RevocationSetID, Changes: changes,
		Envelope: envelope, IssuedAt: now, Follows: s.Epoch,
	}, keyCounters(key.ID, payload.ExpiresAt), nil
}

func (i *Issuer) sealRevocation(p license.RevocationPayload) ([]byte, error) {
	message, err := p.Canonical()
	if err != nil {
		return nil, err
	}
	signature, err := i.config.Keys.Sign(p.KeyID, message)
	if err != nil {
		return nil, err
	}
	envelope, err := license.EncodeRevocationBundle(p, signature)
	if err != nil {
		return nil, err
	}
	read, err := license.ReadRevocationBundle(envelope, i.own[p.KeyID], p.IssuedAt)
	if err != nil {
		return nil, err
	}
	if read.Epoch() != p.RevocationEpoch || read.Len() != len(p.Entries) {
		return nil, errors.New("the file reads as another payload")
	}
	return envelope, read.CheckDates(p.IssuedAt)
}
