package fulfillment

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/signer"
)

// Mirror holds what a run compares with the database of the signer's log, beside the database, so that a log of any length
// takes no memory. It is this run's alone.
type Mirror interface {
	AddLogged(ctx context.Context, page []Logged) error
	// Unlogged lists the stored licenses that the log lacked when it was read, in the order in which they were stored, from a
	// number on; numbers count from zero.
	Unlogged(ctx context.Context, from, limit int) ([]Unlogged, error)
	// AddJudged adds the events by which the log revokes, suspends or reinstates; Unjudged lists the stored ones that changed
	// something once and are not among them, with their bodies, as they were received.
	AddJudged(ctx context.Context, eventIDs []string) error
	Unjudged(ctx context.Context, from, limit int) ([]ReceivedEvent, error)
	Close(ctx context.Context) error
}

// Logged is an issuance of the signer's log.
type Logged struct {
	Index     uint64
	LicenseID string
	SHA256    string // lower-case hex, of the license file
	Payment   string // at Stripe, as in Payment.ID; "" for what staff approved without one
	LoggedAt  time.Time
}

// Unlogged is a stored license, with what the signer needs to issue it again. Event has no ID where none is stored that
// proves the payment.
type Unlogged struct {
	LicenseID string
	OrderID   string // "" of a replacement
	RequestID string // of staff, which is the evidence then; "" where a payment is
	Envelope  []byte
	Base      []byte // its base's file; nil for a new license
	Event     ReceivedEvent
}

// kindIssuance is a leaf of the log that is a license; the others are revocation bundles.
const kindIssuance = "issuance"

// LogSource is where the signer's log is read.
type LogSource interface {
	Entries(ctx context.Context, from uint64) (signer.Entries, error)
}

// readLog reads the log page by page, to where it ended when the last page was asked for.
func readLog(ctx context.Context, source LogSource, visit func([]signer.Entry) error) error {
	for from := uint64(0); ; {
		page, err := source.Entries(ctx, from)
		if err != nil {
			return fmt.Errorf("read log: %w", err)
		}
		if err := visit(page.Entries); err != nil {
			return err
		}
		if page.Next >= page.Size || page.Next <= from {
			return nil
		}
		from = page.Next
	}
}

// judged picks the events of a page's revocations.
func judged(page []signer.Entry) []string {
	var list []string
	for _, e := range page {
		var event struct {
			ID string `json:"id"`
		}
		if e.Kind != kindIssuance && e.Event != nil && json.Unmarshal(e.Event.Body, &event) == nil {
			list = append(list, event.ID)
		}
	}
	return list
}

// logged picks the issuances of a page.
func logged(page []signer.Entry) []Logged {
	var list []Logged
	for _, e := range page {
		if e.Kind == kindIssuance {
			sum := sha256.Sum256([]byte(e.Envelope))
			l := Logged{Index: e.Index, LicenseID: e.LicenseID, SHA256: hex.EncodeToString(sum[:]), Payment: e.Payment, LoggedAt: e.LoggedAt}
			if e.Payment == "" && e.Approval == "" && e.Event != nil {
				l.Payment = readObject(e.Event.Body).ID // the session of a free package
			}
			list = append(list, l)
		}
	}
	return list
}
