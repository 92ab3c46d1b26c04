package signer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// Leaf is the bytes that the log's Merkle tree holds for the entry. They are text, so that anyone can make them again with
// a hash tool: lines of a name, a space and a value, which may be empty.
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
// What is not there is hashed as nothing. The leaf's hash is RFC 6962's: SHA-256 of a zero byte and these bytes. No value
// holds a newline: the log refuses such a record, so two entries never share a leaf.
func (e Entry) Leaf() []byte {
	var event Event
	if e.Event != nil {
		event = *e.Event
	}
	return fmt.Appendf(nil, "licensing-portal leaf v1\nkind %s\nfulfillment_key %s\nlicense_id %s\nintent_sha256 %s\nissuance %s\n"+
		"base_id %s\npayment %s\ncounters %s\nevent_sha256 %s\nheader_sha256 %s\napproval_sha256 %s\nbase_sha256 %s\n"+
		"changes_sha256 %s\nenvelope_sha256 %s\ntimes %s %s\n",
		e.Kind, e.FulfillmentKey, e.LicenseID, e.IntentSHA256, e.Issuance, e.BaseID, e.Payment, strings.Join(e.Counters, " "),
		digest(event.Body), digest([]byte(event.SignatureHeader)), digest([]byte(e.Approval)), digest([]byte(e.BaseEnvelope)),
		digest(changesText(e.Changes)), digest([]byte(e.Envelope)), stamp(e.IssuedAt), stamp(e.LoggedAt))
}

// HashLeaf makes the entry's leaf hash again, whatever LeafHash says.
func (e Entry) HashLeaf() tlog.Hash { return tlog.RecordHash(e.Leaf()) }

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func changesText(changes []RevocationChange) []byte {
	if len(changes) == 0 {
		return nil
	}
	text, _ := json.Marshal(changes) // plain values cannot fail
	return text
}
