package fulfillment

import (
	"context"
	"time"
)

// QuoteMail is what "your quote is ready" says. The same order makes the same Message-ID.
type QuoteMail struct {
	To             string
	OrderID        string
	PackageName    string
	DeploymentName string
	Total          int64 // net, minor units
	Currency       string
	ExpiresAt      time.Time // of the quote
}

// InvoiceMail is what "an invoice is due" says. The same invoice makes the same Message-ID.
type InvoiceMail struct {
	To          string
	OrderID     string
	InvoiceID   string
	Number      string // "ABC-0001"
	PackageName string
	Due         int64 // minor units, with tax
	Currency    string
	DueAt       time.Time
}

// BillMailer sends the mails about quotes and invoices. An error is worth another try.
type BillMailer interface {
	SendQuote(ctx context.Context, m QuoteMail) error
	SendInvoice(ctx context.Context, m InvoiceMail) error
}

// BillMailStore keeps what was mailed of quotes and invoices.
type BillMailStore interface {
	// QuoteMail and InvoiceMail find what to say; over tells that it went out already, or is not true any more.
	QuoteMail(ctx context.Context, orderID string) (m QuoteMail, over bool, err error)
	InvoiceMail(ctx context.Context, invoiceID string) (m InvoiceMail, over bool, err error)
	// MarkBillMailed notes that a mail of a kind, "quote" or "invoice", went out.
	MarkBillMailed(ctx context.Context, kind, ref string, at time.Time) error
}

// BillMails tells buyers of quotes and invoices, each once. Each of its steps is a job and safe to repeat.
type BillMails struct {
	store  BillMailStore
	mailer BillMailer
	now    func() time.Time
}

// NewBillMails returns the service.
func NewBillMails(store BillMailStore, mailer BillMailer, now func() time.Time) *BillMails {
	return &BillMails{store, mailer, now}
}

// SendQuoteMail tells the buyer that a quote is ready.
func (s *BillMails) SendQuoteMail(ctx context.Context, orderID string) error {
	m, over, err := s.store.QuoteMail(ctx, orderID)
	if err != nil || over {
		return err
	}
	if err := s.mailer.SendQuote(ctx, m); err != nil {
		return err
	}
	return s.store.MarkBillMailed(ctx, "quote", orderID, s.now())
}

// SendInvoiceMail tells the buyer that an invoice is due.
func (s *BillMails) SendInvoiceMail(ctx context.Context, invoiceID string) error {
	m, over, err := s.store.InvoiceMail(ctx, invoiceID)
	if err != nil || over {
		return err
	}
	if err := s.mailer.SendInvoice(ctx, m); err != nil {
		return err
	}
	return s.store.MarkBillMailed(ctx, "invoice", invoiceID, s.now())
}
