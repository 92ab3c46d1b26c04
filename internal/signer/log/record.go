package log

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// KindIssuance marks the record of an issued license.
const KindIssuance = "issuance"

// Record is what the log keeps of an issuance: the evidence, the base and the envelope, byte for byte, so that a lost
// database can be refilled and the decision checked again.
type Record struct {
	Kind            string    `json:"kind"`
	FulfillmentKey  string    `json:"fulfillment_key"`
	LicenseID       string    `json:"license_id"`
	IntentSHA256    string    `json:"intent_sha256"` // lower-case hex
	Event           []byte    `json:"event,omitempty"`
	SignatureHeader string    `json:"signature_header,omitempty"`
	Base            []byte    `json:"base,omitempty"`
	Envelope        []byte    `json:"envelope"`
	IssuedAt        time.Time `json:"issued_at"`
	LoggedAt        time.Time `json:"logged_at"` // whole seconds, never before the record before it
	Index           uint64    `json:"-"`
}

// Leaf is the bytes that the Merkle tree holds for the record. They are text, so that anyone can make them again from an
// entry with a hash tool: ten lines, each a name, a space and a value.
//
//	licensing-portal leaf v1
//	kind issuance
//	fulfillment_key <text>
//	license_id <text>
//	intent_sha256 <hex>
//	event_sha256 <hex SHA-256 of the event's raw body>
//	header_sha256 <hex SHA-256 of the Stripe-Signature header>
//	base_sha256 <hex SHA-256 of the base envelope, of nothing where there is none>
//	envelope_sha256 <hex SHA-256 of the license file>
//	times <issued_at> <logged_at, both RFC 3339 UTC whole seconds>
//
// The leaf's hash is RFC 6962's: SHA-256 of a zero byte and these bytes. No value holds a newline: keys and IDs are
// checked before they get here, so two records never share a leaf.
func (r Record) Leaf() []byte {
	return fmt.Appendf(nil, "licensing-portal leaf v1\nkind %s\nfulfillment_key %s\nlicense_id %s\nintent_sha256 %s\n"+
		"event_sha256 %s\nheader_sha256 %s\nbase_sha256 %s\nenvelope_sha256 %s\ntimes %s %s\n",
		r.Kind, r.FulfillmentKey, r.LicenseID, r.IntentSHA256, digest(r.Event), digest([]byte(r.SignatureHeader)),
		digest(r.Base), digest(r.Envelope), stamp(r.IssuedAt), stamp(r.LoggedAt))
}

// LeafHash is the leaf's hash in base64.
func (r Record) LeafHash() string { return tlog.RecordHash(r.Leaf()).String() }

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
