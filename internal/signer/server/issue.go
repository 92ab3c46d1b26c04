package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/signer/log"
	"github.com/metrum-ai/licensing-portal/internal/trust"
	"github.com/metrum-ai/licensing-portal/license"
)

// Issued is a license that is in the log.
type Issued struct {
	Envelope       []byte
	Index          uint64
	FulfillmentKey string
}

// Issue answers the license that the evidence authorizes. The steps are in the order of DESIGN.md; the first that fails
// refuses with its code. The same fulfillment key and intent get the logged bytes, whichever event or approval proves them.
func (i *Issuer) Issue(ctx context.Context, r signer.IssueRequest) (Issued, error) {
	if err := i.clockError(i.config.Clock.Now()); err != nil {
		return Issued{}, err
	}
	g, err := i.authorize(r)
	if err != nil {
		return Issued{}, err
	}
	logged, found, err := i.config.Log.Find(g.fulfillmentKey)
	if err != nil {
		return Issued{}, i.logRefusal(err, g.fulfillmentKey)
	}
	if found {
		return i.answerLogged(logged, g)
	}
	payload, envelope, err := i.sign(g)
	if err != nil {
		return Issued{}, err
	}
	record := log.Record{
		Kind: log.KindIssuance, FulfillmentKey: g.fulfillmentKey, IntentSHA256: g.intentSHA256, Issuance: string(g.issuance), BaseID: g.baseID,
		Payment: g.payment, Base: []byte(r.BaseEnvelope), IssuedAt: g.issuedAt, LicenseID: payload.LicenseID, Envelope: envelope,
	}
	if r.Event != nil {
		record.Event, record.SignatureHeader = r.Event.Body, r.Event.SignatureHeader
	}
	if r.Approval != nil {
		record.Approval, _ = json.Marshal(r.Approval) // plain values cannot fail
	}
	if logged, err = i.config.Log.Append(ctx, record, append(g.counters, keyCounters(payload.KeyID, payload.ExpiresAt)...)); err != nil {
		return Issued{}, i.logRefusal(err, g.fulfillmentKey)
	}
	i.config.Logger.Info("license issued", "license_id", logged.LicenseID, "log_index", logged.Index)
	return issued(logged), nil
}

func issued(r log.Record) Issued {
	return Issued{Envelope: r.Envelope, Index: r.Index, FulfillmentKey: r.FulfillmentKey}
}

// answerLogged answers the logged bytes to the same intent and refuses another one, or other terms than were approved.
func (i *Issuer) answerLogged(logged log.Record, g grant) (Issued, error) {
	if logged.IntentSHA256 != g.intentSHA256 || g.terms != "" && g.terms != requestOf(logged) {
		return Issued{}, i.conflict(g.fulfillmentKey)
	}
	return issued(logged), nil
}

// conflict alarms: the portal freezes an order's intent, so two intents under one key mean a fault or an attack.
func (i *Issuer) conflict(key string) error {
	i.config.Logger.Error("another intent under a fulfillment key", "fulfillment_key", key)
	return refuse(signer.CodeConflict, "another intent was issued under this fulfillment key")
}

func (i *Issuer) logRefusal(err error, key string) error {
	switch {
	case errors.Is(err, log.ErrConflict):
		return i.conflict(key)
	case errors.Is(err, log.ErrCap):
		return refuse(signer.CodeCapExceeded, "a cap of the trust bundle is reached")
	case errors.Is(err, log.ErrClock):
		return refuse(signer.CodeClock, "the clock is behind the issuance log")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.Is(err, log.ErrOvertaken):
		return refuse(signer.CodeOverloaded, "not logged in time; ask again")
	}
	return refuse(signer.CodeLog, "the issuance log failed, so nothing is issued")
}

func intentDigest(intent catalog.Intent) string {
	text, _ := json.Marshal(intent.Metadata()) // a map of text: its names are sorted and it cannot fail
	return digest(text)
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// counters names the caps that a purchase counts against, by UTC day of issued_at.
func (i *Issuer) counters(t catalog.Template, customerID string, issuedAt time.Time) []log.Counter {
	caps, day := i.config.Bundle.Caps, issuedAt.UTC().Format(time.DateOnly)
	if t.Free() {
		return []log.Counter{
			{Name: "free/" + day, Limit: caps.FreePerDay},
			{Name: "free-customer/" + customerID, Limit: caps.FreePerCustomer},
		}
	}
	return []log.Counter{{Name: "paid/" + day, Limit: caps.PerDay}}
}

// sign renders and signs the license, and then reads it as a router would: a fault in between must not leave.
func (i *Issuer) sign(g grant) (license.Payload, []byte, error) {
	key, ok := i.config.Bundle.SigningKey(trust.RoleLicense, g.issuedAt, i.config.Clock.Now())
	if !ok || !i.config.Keys.Has(key.ID) {
		return license.Payload{}, nil, refuse(signer.CodeNoSigningKey, "no key of the trust bundle may sign for the evidence's time")
	}
	payload, err := g.render(key.ID)
	if err != nil {
		return license.Payload{}, nil, err
	}
	envelope, err := i.seal(payload, key.ID)
	if err != nil {
		i.config.Logger.Error("a rendered license failed its own check", "license_id", payload.LicenseID)
		return license.Payload{}, nil, refuse(signer.CodeInternal, "the license failed its own check")
	}
	return payload, envelope, nil
}

func (i *Issuer) seal(payload license.Payload, keyID string) ([]byte, error) {
	message, err := payload.Canonical()
	if err != nil {
		return nil, err
	}
	signature, err := i.config.Keys.Sign(keyID, message)
	if err != nil {
		return nil, err
	}
	envelope, err := license.Encode(payload, signature)
	if err != nil {
		return nil, err
	}
	read, err := license.Read(envelope, i.own[keyID], payload.IssuedAt)
	if err != nil {
		return nil, err
	}
	again, err := read.Payload().Canonical()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, message) {
		return nil, errors.New("the file reads as another payload")
	}
	return envelope, read.CheckDates(payload.NotBefore)
}
