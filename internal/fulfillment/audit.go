package fulfillment

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/license"
)

// DifferenceKind says what signer's log, database and Stripe do not agree on.
type DifferenceKind string

// The kinds of difference.
const (
	LogMismatch           DifferenceKind = "log-mismatch"            // the log's entries are not those of its checkpoint
	LogWithoutLicense     DifferenceKind = "log-without-license"     // logged, not in the database
	LicenseWithoutLog     DifferenceKind = "license-without-log"     // in the database, not logged
	BytesDiffer           DifferenceKind = "bytes-differ"            // in the database with other bytes than logged
	PaidWithoutLicense    DifferenceKind = "paid-without-license"    // an order that is paid, here or at Stripe, and not issued
	LicenseWithoutPayment DifferenceKind = "license-without-payment" // logged for a payment that Stripe does not know as paid
	RefundedNotRevoked    DifferenceKind = "refunded-not-revoked"    // paid back in full, or lost in a dispute, and not revoked
	RevocationDiffers     DifferenceKind = "revocation-differs"      // revoked by the log or in the database, not by the other
	PaymentWithoutOrder   DifferenceKind = "payment-without-order"   // at Stripe for an order that the database lacks
)

// Difference is one of them, with what is known of it.
type Difference struct {
	Kind      DifferenceKind `json:"kind"`
	LicenseID string         `json:"license_id,omitempty"`
	OrderID   string         `json:"order_id,omitempty"`
	Payment   string         `json:"payment,omitempty"` // payment intent at Stripe, or the session where nothing was to be paid
	Detail    string         `json:"detail"`
}

// Payment is money that Stripe took, or a session that it completed without any.
type Payment struct {
	ID       string // "pi_…", or "cs_…" where nothing was to be paid
	OrderID  string // that Stripe was told; "" for what the portal did not sell
	Created  time.Time
	Paid     bool // false for one that is only named by a dispute
	Refunded bool // in full
	Lost     bool // in a dispute
}

// Payments lists everything that Stripe took, page by page. A payment may come again, with what else is known of it.
type Payments interface {
	EachPayment(ctx context.Context, visit func([]Payment) error) error
}

// Ledger holds one audit's view of log and Stripe beside the database, so that no number of them takes memory.
type Ledger interface {
	AddLogged(ctx context.Context, page []Logged) error
	AddRevoked(ctx context.Context, page []LoggedRevocation) error
	AddPayments(ctx context.Context, page []Payment) error
	// Compare tells the differences one by one. What is younger than the time may be under way and is left to the next audit.
	Compare(ctx context.Context, before time.Time, tell func(Difference) error) (AuditCounts, error)
	Close(ctx context.Context) error
}

// AuditStore is what an audit needs of the database.
type AuditStore interface {
	OpenLedger(ctx context.Context) (Ledger, error)
}

// AuditCounts is how much was compared.
type AuditCounts struct {
	LoggedLicenses int `json:"logged_licenses"`
	StoredLicenses int `json:"stored_licenses"`
	Revoked        int `json:"revoked_licenses"` // by the log
	Orders         int `json:"orders"`           // that were ever sent to Stripe
	InReview       int `json:"orders_in_review"`
	Payments       int `json:"payments"`       // at Stripe, for orders
	OtherPayments  int `json:"other_payments"` // at Stripe, of which it was told no order
}

// AuditReport is what an audit compared and found.
type AuditReport struct {
	Before         time.Time      `json:"before"` // what is younger was left out
	LogSize        int64          `json:"log_size"`
	LogRoot        string         `json:"log_root"`        // base64
	SignatureKnown bool           `json:"signature_known"` // the checkpoint's signature was verified, not its tree alone
	TrustVersion   int64          `json:"trust_version"`   // that the checkpoint names
	Counts         AuditCounts    `json:"counts"`
	Found          map[string]int `json:"differences"` // by kind
}

// OK reports whether nothing differs.
func (r AuditReport) OK() bool { return len(r.Found) == 0 }

// AuditLog is where the log and its checkpoint are read.
type AuditLog interface {
	LogSource
	Checkpoint(ctx context.Context) ([]byte, error)
}

// AuditorConfig is what Auditor needs; every field but LogKey is required.
type AuditorConfig struct {
	Store    AuditStore
	Log      AuditLog
	Payments Payments
	LogKey   note.Verifier // of the log's checkpoints; nil: their signature is not checked
	Now      func() time.Time
}

// Auditor compares the signer's log, the database and Stripe, both ways. It changes nothing.
type Auditor struct{ c AuditorConfig }

// NewAuditor returns the service, or says what is missing.
func NewAuditor(c AuditorConfig) (*Auditor, error) {
	if c.Store == nil || c.Log == nil || c.Payments == nil || c.Now == nil {
		return nil, errors.New("fulfillment: the auditor needs a store, log, payments and clock")
	}
	return &Auditor{c}, nil
}

// Run reads all three, compares them, and tells each difference as it is found.
func (s *Auditor) Run(ctx context.Context, tell func(Difference) error) (report AuditReport, err error) {
	report = AuditReport{Before: s.c.Now().Add(-evidenceAfter).UTC().Truncate(time.Second), Found: map[string]int{}}
	counted := func(d Difference) error {
		report.Found[string(d.Kind)]++
		return tell(d)
	}
	ledger, err := s.c.Store.OpenLedger(ctx)
	if err != nil {
		return report, fmt.Errorf("audit: %w", err)
	}
	defer func() { err = errors.Join(err, ledger.Close(context.WithoutCancel(ctx))) }()
	if err := s.readLog(ctx, ledger, &report, counted); err != nil {
		return report, fmt.Errorf("audit: %w", err)
	}
	if err := s.c.Payments.EachPayment(ctx, func(page []Payment) error { return ledger.AddPayments(ctx, page) }); err != nil {
		return report, fmt.Errorf("audit: payments: %w", err)
	}
	if report.Counts, err = ledger.Compare(ctx, report.Before, counted); err != nil {
		return report, fmt.Errorf("audit: %w", err)
	}
	return report, nil
}

// readLog reads the log into the ledger and holds it against its checkpoint: the leaves are made again from what the entries
// say, and the root from the leaves, so that it speaks for every byte that is compared.
func (s *Auditor) readLog(ctx context.Context, ledger Ledger, report *AuditReport, tell func(Difference) error) error {
	checkpoint, err := s.checkpoint(ctx)
	if err != nil {
		return err
	}
	report.LogSize, report.LogRoot, report.TrustVersion = checkpoint.N, checkpoint.Hash.String(), checkpoint.Trust.Version
	report.SignatureKnown = s.c.LogKey != nil
	var tree signer.Tree
	err = readLog(ctx, s.c.Log, func(page []signer.Entry) error {
		for _, e := range page {
			if tree.Size() < checkpoint.N { // the rest was logged after the checkpoint
				tree.Add(e.HashLeaf())
			}
		}
		return errors.Join(ledger.AddLogged(ctx, logged(page)), ledger.AddRevoked(ctx, revoked(page)))
	})
	if err != nil {
		return err
	}
	if got := tree.Tree(); got != checkpoint.Tree {
		return tell(Difference{Kind: LogMismatch, Detail: fmt.Sprintf("the %d entries that were read have the root %s, the checkpoint of %d says %s",
			got.N, got.Hash, checkpoint.N, checkpoint.Hash)})
	}
	return nil
}

// checkpoint reads the log's checkpoint, and verifies its signature where the log's key is known.
func (s *Auditor) checkpoint(ctx context.Context) (signer.Checkpoint, error) {
	signed, err := s.c.Log.Checkpoint(ctx)
	if err != nil {
		return signer.Checkpoint{}, fmt.Errorf("checkpoint: %w", err)
	}
	if s.c.LogKey == nil {
		return signer.ReadCheckpoint(signed)
	}
	return signer.OpenCheckpoint(signed, s.c.LogKey)
}

// LoggedRevocation is a license that the log revokes; nothing lifts a revocation.
type LoggedRevocation struct {
	LicenseID string
	LoggedAt  time.Time
}

// revoked picks them of a page.
func revoked(page []signer.Entry) []LoggedRevocation {
	var list []LoggedRevocation
	for _, e := range page {
		for _, change := range e.Changes {
			if change.Status == license.StatusRevoked {
				list = append(list, LoggedRevocation{change.LicenseID, e.LoggedAt})
			}
		}
	}
	return list
}
