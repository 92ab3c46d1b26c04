package server

import (
	"maps"
	"slices"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/signer/log"
)

// The counters of what a key signed: all of it, and by the UTC day on which it expires. They are counted in the record's own
// transaction, so that they are right however many records there are.
const (
	signedCounter  = "signed/"  // and the key ID
	expiresCounter = "expires/" // key ID, slash, day
)

// keyCounters counts something that a key signs. They are no caps.
func keyCounters(keyID string, expires time.Time) []log.Counter {
	return []log.Counter{
		{Name: signedCounter + keyID, Limit: log.NoLimit},
		{Name: expiresCounter + keyID + "/" + expires.UTC().Format(time.DateOnly), Limit: log.NoLimit},
	}
}

// keyUse lists the keys of the bundle, and those that signed and are no longer in it.
func (i *Issuer) keyUse(now time.Time) ([]signer.KeyUse, error) {
	signed, err := i.config.Log.Counts(signedCounter)
	if err != nil {
		return nil, err
	}
	var list []signer.KeyUse
	for _, k := range i.config.Bundle.Keys {
		signing, ok := i.config.Bundle.SigningKey(k.Role, now, now)
		list = append(list, signer.KeyUse{
			KeyID: k.ID, Role: k.Role, Status: k.Status, SignFrom: k.SignFrom, SignUntil: k.SignUntil, VerifyUntil: k.VerifyUntil,
			PrivateKey: i.config.Keys.Has(k.ID), SignsNow: ok && signing.ID == k.ID && i.config.Keys.Has(k.ID), Signed: signed[k.ID],
		})
		delete(signed, k.ID)
	}
	for _, id := range slices.Sorted(maps.Keys(signed)) {
		list = append(list, signer.KeyUse{KeyID: id, Signed: signed[id]})
	}
	today := now.UTC().Format(time.DateOnly)
	for n := range list {
		days, err := i.config.Log.Counts(expiresCounter + list[n].KeyID + "/")
		if err != nil {
			return nil, err
		}
		for day, count := range days {
			if day >= today {
				list[n].Live += count
			}
			list[n].LastExpiry = max(list[n].LastExpiry, day)
		}
	}
	return list, nil
}
