package log

import (
	"time"

	"github.com/metrum-ai/licensing-portal/internal/signer"
)

// The kinds of record.
const (
	KindIssuance   = "issuance"   // an issued license
	KindRevocation = "revocation" // a revocation bundle
)

// Record is what the log keeps of an issuance or a revocation: the evidence, the base and the envelope, byte for byte, so
// that a lost database can be refilled and the decision checked again.
type Record struct {
	Kind            string                    `json:"kind"`
	FulfillmentKey  string                    `json:"fulfillment_key"`
	LicenseID       string                    `json:"license_id"`         // of a revocation bundle, its revocation_set_id
	IntentSHA256    string                    `json:"intent_sha256"`      // lower-case hex; of a revocation, of its evidence
	Issuance        string                    `json:"issuance,omitempty"` // new, renewal, top_up or replacement
	BaseID          string                    `json:"base_id,omitempty"`
	Payment         string                    `json:"payment,omitempty"`  // payment intent at Stripe
	Counters        []string                  `json:"counters,omitempty"` // what it counts against; set by Append
	Event           []byte                    `json:"event,omitempty"`
	SignatureHeader string                    `json:"signature_header,omitempty"`
	Approval        []byte                    `json:"approval,omitempty"` // an approval.Signed as JSON
	Base            []byte                    `json:"base,omitempty"`
	Changes         []signer.RevocationChange `json:"changes,omitempty"`
	Envelope        []byte                    `json:"envelope"`
	IssuedAt        time.Time                 `json:"issued_at"`
	LoggedAt        time.Time                 `json:"logged_at"` // whole seconds, never before the record before it
	Index           uint64                    `json:"-"`
	Follows         int64                     `json:"-"` // of a revocation to be logged: the epoch that it was decided on, 0 for none
}

// Leaf is the bytes that the Merkle tree holds for the record.
func (r Record) Leaf() []byte { return r.entry().Leaf() }

// Entry is the record as it is served.
func (r Record) Entry() signer.Entry {
	e := r.entry()
	e.LeafHash = e.HashLeaf().String()
	return e
}

func (r Record) entry() signer.Entry {
	e := signer.Entry{
		Index: r.Index, Kind: r.Kind, FulfillmentKey: r.FulfillmentKey, LicenseID: r.LicenseID, IntentSHA256: r.IntentSHA256,
		Issuance: r.Issuance, BaseID: r.BaseID, Payment: r.Payment, Counters: r.Counters, Approval: string(r.Approval),
		BaseEnvelope: string(r.Base), Changes: r.Changes, Envelope: string(r.Envelope), IssuedAt: r.IssuedAt,
		LoggedAt: r.LoggedAt,
	}
	if len(r.Event) > 0 {
		e.Event = &signer.Event{Body: r.Event, SignatureHeader: r.SignatureHeader}
	}
	return e
}

// RecordOf makes the record of an entry again. Its leaf must be compared with a tree that was verified.
func RecordOf(e signer.Entry) Record {
	r := Record{
		Kind: e.Kind, FulfillmentKey: e.FulfillmentKey, LicenseID: e.LicenseID, IntentSHA256: e.IntentSHA256,
		Issuance: e.Issuance, BaseID: e.BaseID, Payment: e.Payment, Counters: e.Counters, Base: []byte(e.BaseEnvelope),
		Changes: e.Changes, Envelope: []byte(e.Envelope), IssuedAt: e.IssuedAt, LoggedAt: e.LoggedAt, Index: e.Index,
		Approval: []byte(e.Approval),
	}
	if e.Event != nil {
		r.Event, r.SignatureHeader = e.Event.Body, e.Event.SignatureHeader
	}
	return r
}
