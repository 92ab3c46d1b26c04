package approval

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/trust"
	"github.com/metrum-ai/licensing-portal/license"
)

// MaxTextBytes bounds a request's text.
const MaxTextBytes = 64 << 10

// Action says what a request asks for.
type Action string

// The actions.
const (
	ActionIssue   Action = "issue"   // an order against its invoice
	ActionReplace Action = "replace" // a license by a corrected or changed one
	ActionRotate  Action = "rotate"  // the licenses of an old key by the same under the key in use
	ActionRevoke  Action = "revoke"  // what the revocation bundle says of licenses
)

// Request is what staff ask the signer to do. Exactly one of Issue, Replace, Rotate and Revoke is set, as Action says.
type Request struct {
	ID          string // "req_…"
	Action      Action
	Proposer    string    // a name of the trust bundle
	CreatedAt   time.Time // whole seconds UTC; the license's issued_at
	Reason      Reason    // of the action's closed list
	Explanation string    // one line of 20 to 500 characters
	Ticket      string    // optional, at most 100 bytes

	Issue   *Issue
	Replace *Replace
	Rotate  *Rotate
	Revoke  []Revocation // sorted by license ID, each once
}

// Issue asks for what an order asks for, although no payment event proves it. The reason says on what ground.
type Issue struct {
	Intent   catalog.Intent
	Invoice  string // "in_…" at Stripe
	Contract catalog.Contract
}

// Replace asks for a new license instead of an issued one.
type Replace struct {
	BaseID       string
	BaseSHA256   string // lower-case hex SHA-256 of the base envelope's exact bytes
	CustomerID   string // the base's, for whoever reads the request
	CustomerName string // the base's; empty where it has none that is plain text
	SKU          string // the base's
	Template     string // sku@version of another package to move to; empty keeps the base's
	Changes      catalog.Changes
	SupersedeAt  time.Time // when the base goes into the revocation bundle as superseded; zero for never
}

// Rotate asks for every license signed with a key to be replaced once, the same but for key, ID and time of issue.
type Rotate struct {
	KeyID  string // the old key
	AtMost int    // so many licenses
}

// Revocation asks for what the revocation bundle shall say of one license; the request's reason goes into it.
type Revocation struct {
	LicenseID    string
	Status       string    // license.StatusRevoked, StatusSuspended or StatusSuperseded, or StatusReinstated
	EffectiveAt  time.Time // not before the request; zero for a reinstatement, which is at once
	SupersededBy string    // a license ID, optional, of what is superseded alone
}

// StatusReinstated takes a license out of the revocation bundle.
const StatusReinstated = "reinstated"

// Text writes the request's canonical text, which is what people read and approve whole. It fails where the request breaks
// a rule; every error wraps ErrMalformed.
func (r Request) Text() (string, error) {
	if err := r.check(); err != nil {
		return "", err
	}
	text := r.text()
	if len(text) > MaxTextBytes {
		return "", errTooLong
	}
	return text, nil
}

// Digest is the challenge that every assertion over the text answers.
func Digest(text string) [sha256.Size]byte { return sha256.Sum256([]byte(text)) }

// FulfillmentKey is the key under which the signer issues for a request: the order ID of an issue, as a payment's; "req:"
// and the hex digest for a replacement; the same with "/" and the base's license ID for a rotation.
func (r Request) FulfillmentKey(baseID string) string {
	sum := Digest(r.text())
	switch key := "req:" + hex.EncodeToString(sum[:]); r.Action {
	case ActionIssue:
		return r.Issue.Intent.OrderID
	case ActionRotate:
		return key + "/" + baseID
	default:
		return key
	}
}

// Replacement is what catalog.Replace renders for a replace request over its verified base. It fails where the base is not
// the request's (wrapping catalog.ErrBaseMismatch), or the bundle does not sell the template it names (catalog.ErrRefused).
// That the base envelope has the request's BaseSHA256 is the caller's check.
func (r Request) Replacement(b *trust.Bundle, base license.Payload, keyID string) (catalog.Replacement, error) {
	ask := r.Replace
	if ask == nil || base.LicenseID != ask.BaseID || base.CustomerID != ask.CustomerID || base.SKU != ask.SKU ||
		ask.CustomerName != "" && base.CustomerName != ask.CustomerName {
		return catalog.Replacement{}, fmt.Errorf("%w: it is not the license that the request replaces", catalog.ErrBaseMismatch)
	}
	replacement := catalog.Replacement{
		Base: base, Changes: ask.Changes, FulfillmentKey: r.FulfillmentKey(base.LicenseID), IssuedAt: r.CreatedAt, KeyID: keyID,
	}
	if newest, ok := b.Newest(base.SKU); ok {
		replacement.BaseTemplate = &newest
	}
	if ask.Template != "" {
		named, ok := b.Template(ask.Template)
		if !ok {
			return catalog.Replacement{}, fmt.Errorf("%w: the template is not in the trust bundle", catalog.ErrRefused)
		}
		replacement.Template = &named
	}
	return replacement, nil
}

// Rotation is what catalog.Rotate renders for a rotate request over a verified base, which must be of the request's old key
// (otherwise the error wraps catalog.ErrBaseMismatch).
func (r Request) Rotation(base license.Payload, keyID string) (catalog.Rotation, error) {
	if r.Rotate == nil || base.KeyID != r.Rotate.KeyID {
		return catalog.Rotation{}, fmt.Errorf("%w: it is not signed with the request's old key", catalog.ErrBaseMismatch)
	}
	return catalog.Rotation{
		Base: base, FulfillmentKey: r.FulfillmentKey(base.LicenseID), IssuedAt: r.CreatedAt, KeyID: keyID,
	}, nil
}
