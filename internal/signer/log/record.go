package log

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

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

// Leaf is the bytes that the Merkle tree holds for the record. They are text, so that anyone can make them again from an
// entry with a hash tool: lines of a name, a space and a value, which may be empty.
//
//	licensing-portal leaf v1
//	kind <issuance or revocation>
//	fulfillment_key <text>
//	license_id <text>
//	intent_sha256 <hex>
//	issuance <text>
//	base_id <text>
//	payment <text>
//	counters <names with a space between>
//	event_sha256 <hex SHA-256 of the event's raw body>
//	header_sha256 <hex SHA-256 of the Stripe-Signature header>
//	approval_sha256 <hex SHA-256 of the approval>
//	base_sha256 <hex SHA-256 of the base envelope>
//	changes_sha256 <hex SHA-256 of a revocation's changes as JSON>
//	envelope_sha256 <hex SHA-256 of the license or revocation bundle file>
//	times <issued_at> <logged_at, both RFC 3339 UTC whole seconds>
//
// What is not there is hashed as nothing. The leaf's hash is RFC 6962's:
// SHA-256 of a zero byte and these bytes. No value holds a newline: Append refuses such a record, so two records never
// share a leaf.
func (r Record) Leaf() []byte {
	return fmt.Appendf(nil, "licensing-portal leaf v1\nkind %s\nfulfillment_key %s\nlicense_id %s\nintent_sha256 %s\nissuance %s\n"+
		"base_id %s\npayment %s\ncounters %s\nevent_sha256 %s\nheader_sha256 %s\napproval_sha256 %s\nbase_sha256 %s\n"+
		"changes_sha256 %s\nenvelope_sha256 %s\ntimes %s %s\n",
		r.Kind, r.FulfillmentKey, r.LicenseID, r.IntentSHA256, r.Issuance, r.BaseID, r.Payment, strings.Join(r.Counters, " "),
		digest(r.Event), digest([]byte(r.SignatureHeader)), digest(r.Approval), digest(r.Base), digest(changesText(r.Changes)), digest(r.Envelope),
		stamp(r.IssuedAt), stamp(r.LoggedAt))
}

// LeafHash is the leaf's hash in base64.
func (r Record) LeafHash() string { return tlog.RecordHash(r.Leaf()).String() }

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func changesText(changes []signer.RevocationChange) []byte {
	if len(changes) == 0 {
		return nil
	}
	text, _ := json.Marshal(changes) // plain values cannot fail
	return text
}

// Entry is the record as it is served.
func (r Record) Entry() signer.Entry {
	e := signer.Entry{
		Index: r.Index, Kind: r.Kind, FulfillmentKey: r.FulfillmentKey, LicenseID: r.LicenseID, IntentSHA256: r.IntentSHA256,
		Issuance: r.Issuance, BaseID: r.BaseID, Payment: r.Payment, Counters: r.Counters, Approval: string(r.Approval),
		BaseEnvelope: string(r.Base), Changes: r.Changes, Envelope: string(r.Envelope), IssuedAt: r.IssuedAt,
		LoggedAt: r.LoggedAt, LeafHash: r.LeafHash(),
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
