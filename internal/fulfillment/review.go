package fulfillment

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode/utf8"
)

// ReviewRow is an order in review as staff see it.
type ReviewRow struct {
	OrderID      string
	Organization string
	SKU          string
	Currency     string
	Total        int64
	Reasons      []Reason
	Since        time.Time
}

// LogLine is one line of an order's log.
type LogLine struct {
	At     time.Time
	What   string // "issued", "flagged", …
	Detail string // of a flag: its code, and words for staff; "" if there is nothing to add
	Actor  string
}

// ReviewStore keeps what staff decide, each with a line in the order's log.
type ReviewStore interface {
	// OrderRecord finds an order of any organization, and OrderLog its log, the oldest line first.
	OrderRecord(ctx context.Context, orderID string) (Record, error)
	OrderLog(ctx context.Context, orderID string) ([]LogLine, error)
	// InReview lists every order in review, the longest waiting first.
	InReview(ctx context.Context) ([]ReviewRow, error)
	// ReleaseReview marks the order's present reasons as released and enqueues its evaluation. ErrNotInReview.
	ReleaseReview(ctx context.Context, orderID string, d StaffDecision) error
	// CloseReview cancels the order. ErrNotInReview.
	CloseReview(ctx context.Context, orderID string, d StaffDecision) error
}

// StaffDecision says who decided what about an order, and why.
type StaffDecision struct {
	By, Note string
	At       time.Time
}

// What is wrong with a staff decision.
var (
	ErrNoName = errors.New("say who decides: a name of 1 to 100 characters")
	ErrNoNote = errors.New("say why: a note of 1 to 500 characters")
)

// Review lets staff end a review. It cannot issue: a released order is evaluated again, and the signer decides for itself.
type Review struct {
	store ReviewStore
	now   func() time.Time
}

// NewReview returns the service.
func NewReview(store ReviewStore, now func() time.Time) *Review { return &Review{store, now} }

// List lists every order in review, the longest waiting first.
func (s *Review) List(ctx context.Context) ([]ReviewRow, error) { return s.store.InReview(ctx) }

// Show answers an order with everything that happened to it. ErrNotFound.
func (s *Review) Show(ctx context.Context, orderID string) (Record, []LogLine, error) {
	r, err := s.store.OrderRecord(ctx, orderID)
	if err != nil {
		return r, nil, err
	}
	lines, err := s.store.OrderLog(ctx, orderID)
	return r, lines, err
}

// Release says that the reasons an order is in review for do not block it. Errors: ErrNotFound, ErrNotInReview, ErrNoName, ErrNoNote.
func (s *Review) Release(ctx context.Context, orderID, by, note string) error {
	d, err := s.decision(by, note)
	if err != nil {
		return err
	}
	return s.store.ReleaseReview(ctx, orderID, d)
}

// Close cancels an order in review; what was paid must be refunded at Stripe. Errors as Release.
func (s *Review) Close(ctx context.Context, orderID, by, note string) error {
	d, err := s.decision(by, note)
	if err != nil {
		return err
	}
	return s.store.CloseReview(ctx, orderID, d)
}

func (s *Review) decision(by, note string) (StaffDecision, error) {
	by, note = strings.TrimSpace(by), strings.TrimSpace(note)
	if n := utf8.RuneCountInString(by); n < 1 || n > 100 {
		return StaffDecision{}, ErrNoName
	}
	if n := utf8.RuneCountInString(note); n < 1 || n > 500 {
		return StaffDecision{}, ErrNoNote
	}
	return StaffDecision{by, note, s.now()}, nil
}
