package server

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/signer/evidence"
	"github.com/metrum-ai/licensing-portal/internal/signer/log"
	"github.com/metrum-ai/licensing-portal/license"
)

// The events that prove that a payment was taken back, and what a dispute's status means; any other status changes
// nothing.
const typeRefunded = "charge.refunded"

var (
	disputeTypes = []string{
		"charge.dispute.created", "charge.dispute.updated", "charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated",
		"charge.dispute.closed",
	}
	disputeStatuses = map[string]string{
		"needs_response": license.StatusSuspended, "under_review": license.StatusSuspended, "won": signer.StatusReinstated,
		"lost": license.StatusRevoked,
	}
)

// The reasons that a public bundle gives for them.
const (
	reasonRefunded = "refunded"
	reasonDisputed = "payment-disputed"
	reasonLost     = "dispute-lost"
)

// eventRevokes decides what a refund or dispute changes: the licenses that the payment proved, and what took its time from
// them. Refunding a payment that proved nothing, such as a duplicate, changes nothing.
func (i *Issuer) eventRevokes(e signer.Event) (revocationAsked, error) {
	event, err := i.proven(e)
	if err != nil {
		return revocationAsked{}, err
	}
	d := event.Data
	change := signer.RevocationChange{EffectiveAt: event.Created, CausedAt: event.Created}
	switch {
	case event.Type == typeRefunded:
		if err := checkRefund(event); err != nil {
			return revocationAsked{}, err
		}
		change.Status, change.Reason, change.Cause = license.StatusRevoked, reasonRefunded, d.ID
	case slices.Contains(disputeTypes, event.Type):
		if d.Object != "dispute" || d.ID == "" {
			return revocationAsked{}, refuse(signer.CodeEventMalformed, "the event carries no dispute")
		}
		change.Status, change.Cause = disputeStatuses[d.Status], d.ID
		if change.Reason = reasonDisputed; change.Status == license.StatusRevoked {
			change.Reason = reasonLost
		}
	default:
		return revocationAsked{}, refuse(signer.CodeEventType, "this type of event takes no payment back")
	}
	switch {
	case !event.HasAll("livemode") || d.Livemode != event.Livemode:
		return revocationAsked{}, refuse(signer.CodeMode, "event and object are of different modes, live and test")
	case d.PaymentIntent == "":
		return revocationAsked{}, refuse(signer.CodeEventMalformed, "the event names no payment")
	case change.Status == "":
		return revocationAsked{}, nil
	}
	paid, err := i.config.Log.PaidBy(d.PaymentIntent)
	if err != nil {
		return revocationAsked{}, i.logRefusal(err, "")
	}
	return i.withHeirs(paid, change)
}

// checkRefund checks that a charge was refunded whole; part of it revokes nothing.
func checkRefund(e *evidence.Event) error {
	d := e.Data
	switch {
	case d.Object != "charge" || d.ID == "" || !e.HasAll("amount", "amount_refunded", "refunded"):
		return refuse(signer.CodeEventMalformed, "the event carries no charge")
	case !d.Charge.Refunded || d.Charge.Amount <= 0 || d.Charge.AmountRefunded < d.Charge.Amount:
		return refuse(signer.CodeAmount, "the charge is not refunded in full")
	}
	return nil
}

// withHeirs makes the change of each license and of what inherited its time: its replacements, and the top-ups that expire
// with it. Renewals built on them are paid for by themselves, so staff judge them.
func (i *Issuer) withHeirs(paid []log.Record, change signer.RevocationChange) (revocationAsked, error) {
	var asked revocationAsked
	for next := paid; len(next) > 0; {
		r := next[0]
		next = next[1:]
		change.LicenseID = r.LicenseID
		asked.changes = append(asked.changes, change)
		built, err := i.config.Log.BuiltOn(r.LicenseID)
		if err != nil {
			return asked, i.logRefusal(err, "")
		}
		for _, heir := range built {
			switch {
			case heir.Issuance == string(catalog.IssueReplacement), heir.Issuance == string(catalog.IssueTopUp) && sameExpiry(r, heir):
				next = append(next, heir)
			case heir.Issuance == string(catalog.IssueRenewal):
				asked.review = append(asked.review, heir.LicenseID)
			}
		}
	}
	return asked, nil
}

// sameExpiry compares two licenses of the log, which were verified before they got there.
func sameExpiry(a, b log.Record) bool {
	var x, y struct {
		Payload struct {
			ExpiresAt time.Time `json:"expires_at"`
		} `json:"payload"`
	}
	return json.Unmarshal(a.Envelope, &x) == nil && json.Unmarshal(b.Envelope, &y) == nil && x.Payload.ExpiresAt.Equal(y.Payload.ExpiresAt)
}
