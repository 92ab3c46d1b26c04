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
// refuses with its code. The same fulfillment key and intent get the logged bytes, whichever event proves them.
func (i *Issuer) Issue(ctx context.Context, r signer.IssueRequest) (Issued, error) {
	if r.Approval != nil {
		return Issued{}, refuse(signer.CodeApprovalMissing, "this signer takes no approvals yet")
	}
	if r.Event == nil {
		return Issued{}, refuse(signer.CodeBadRequest, "no evidence")
	}
	if err := i.clockError(i.config.Clock.Now()); err != nil {
		return Issued{}, err
	}
	g, err := i.authorize(*r.Event)
	if err != nil {
		return Issued{}, err
	}
	record := log.Record{
		Kind: log.KindIssuance, FulfillmentKey: g.fulfillmentKey, IntentSHA256: intentDigest(g.intent), Event: r.Event.Body,
		SignatureHeader: r.Event.SignatureHeader, Base: []byte(r.BaseEnvelope), IssuedAt: g.issuedAt,
		Issuance: string(g.intent.Kind), BaseID: g.intent.BaseID, Payment: g.payment,
	}
	logged, found, err := i.config.Log.Find(g.fulfillmentKey)
	if err != nil {
		return Issued{}, i.logRefusal(err, g.fulfillmentKey)
	}
	if found {
		return i.answerLogged(logged, record)
	}
	base, baseTemplate, err := i.base(g, r.BaseEnvelope)
	if err != nil {
		return Issued{}, err
	}
	payload, envelope, err := i.sign(g, base, baseTemplate)
	if err != nil {
		return Issued{}, err
	}
	record.LicenseID, record.Envelope = payload.LicenseID, envelope
	if logged, err = i.config.Log.Append(ctx, record, append(i.counters(g), keyCounters(payload.KeyID, payload.ExpiresAt)...)); err != nil {
		return Issued{}, i.logRefusal(err, g.fulfillmentKey)
	}
	i.config.Logger.Info("license issued", "license_id", logged.LicenseID, "log_index", logged.Index)
	return Issued{Envelope: logged.Envelope, Index: logged.Index, FulfillmentKey: logged.FulfillmentKey}, nil
}

// answerLogged answers the logged bytes to the same intent and refuses another one.
func (i *Issuer) answerLogged(logged, asked log.Record) (Issued, error) {
	if logged.IntentSHA256 != asked.IntentSHA256 {
		return Issued{}, i.conflict(asked.FulfillmentKey)
	}
	return Issued{Envelope: logged.Envelope, Index: logged.Index, FulfillmentKey: logged.FulfillmentKey}, nil
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

// counters names the caps that an issuance counts against, by UTC day of issued_at.
func (i *Issuer) counters(g grant) []log.Counter {
	caps, day := i.config.Bundle.Caps, g.issuedAt.UTC().Format(time.DateOnly)
	if g.template.Free() {
		return []log.Counter{
			{Name: "free/" + day, Limit: caps.FreePerDay},
			{Name: "free-customer/" + g.intent.CustomerID, Limit: caps.FreePerCustomer},
		}
	}
	return []log.Counter{{Name: "paid/" + day, Limit: caps.PerDay}}
}

// base verifies the base of a renewal or top-up: a license of ours or from before the portal, the one the intent names.
// Its key is trusted as of the event, so that the same evidence finds the same base good later.
func (i *Issuer) base(g grant, envelope string) (*license.Payload, *catalog.Template, error) {
	if g.intent.Kind == catalog.IssueNew {
		if envelope != "" {
			return nil, nil, refuse(signer.CodeBaseMismatch, "a new license has no base")
		}
		return nil, nil, nil
	}
	if envelope == "" {
		return nil, nil, refuse(signer.CodeBaseMissing, "a renewal or top-up needs its base envelope")
	}
	if digest([]byte(envelope)) != g.intent.BaseSHA256 {
		return nil, nil, refuse(signer.CodeBaseMismatch, "the base is not the file that the intent names")
	}
	read, err := license.Read([]byte(envelope), i.bases, g.issuedAt)
	if err != nil {
		return nil, nil, refuse(signer.CodeBaseInvalid, "the base does not verify")
	}
	payload := read.Payload()
	causes, err := i.config.Log.Causes(payload.LicenseID)
	if err != nil {
		return nil, nil, i.logRefusal(err, g.fulfillmentKey)
	}
	if revoked(causes) {
		return nil, nil, refuse(signer.CodeRevoked, "the base was revoked")
	}
	var baseTemplate *catalog.Template
	if newest, ok := i.config.Bundle.Newest(payload.SKU); ok {
		baseTemplate = &newest
	}
	if g.intent.Kind == catalog.IssueTopUp {
		var known catalog.Template
		if baseTemplate != nil {
			known = *baseTemplate
		}
		if err := catalog.CanTopUp(payload, known, g.template, g.purchasedAt); err != nil {
			return nil, nil, catalogRefusal(err)
		}
	}
	return &payload, baseTemplate, nil
}

// sign renders and signs the license, and then reads it as a router would: a fault in between must not leave.
func (i *Issuer) sign(g grant, base *license.Payload, baseTemplate *catalog.Template) (license.Payload, []byte, error) {
	key, ok := i.config.Bundle.SigningKey(trust.RoleLicense, g.issuedAt, i.config.Clock.Now())
	if !ok || !i.config.Keys.Has(key.ID) {
		return license.Payload{}, nil, refuse(signer.CodeNoSigningKey, "no key of the trust bundle may sign for the event's time")
	}
	payload, err := catalog.Render(catalog.Source{
		Intent: g.intent, Template: g.template, Base: base, BaseTemplate: baseTemplate, FulfillmentKey: g.fulfillmentKey,
		IssuedAt: g.issuedAt, KeyID: key.ID,
	})
	if err != nil {
		return license.Payload{}, nil, catalogRefusal(err)
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
