package fulfillment

import (
	"context"
	"time"
)

// Mailer sends the mails of an order. An error is worth another try.
type Mailer interface {
	// SendReady tells the buyer that the license is ready. The mail has one button, to the order's page; no license data
	// beyond what ReadyMail holds.
	SendReady(ctx context.Context, m ReadyMail) error
	// SendPayment tells the buyer of a subscription that a payment failed or waits for them. The mail has one button, to the
	// page of the cycle's order.
	SendPayment(ctx context.Context, m PaymentMail) error
}

// PaymentMail is what "your payment failed" says. The same InvoiceID makes the same Message-ID.
type PaymentMail struct {
	To             string
	InvoiceID      string
	OrderID        string // of the cycle
	Number         string // of the invoice, as it is printed
	Confirm        bool   // the bank asks the customer to confirm; otherwise it said no
	Amount         int64  // left to pay, minor units
	Currency       string // upper case
	PackageName    string
	DeploymentName string
	NextAttemptAt  time.Time // when Stripe charges again; zero for never
	WorksUntil     time.Time // the present license's expiry; zero where there is none
}

// ReadyMail is what "your license is ready" says. The same OrderID makes the same Message-ID, so that a mail sent twice
// after a crash can be recognized.
type ReadyMail struct {
	To             string
	OrderID        string
	LicenseID      string
	PackageName    string
	DeploymentName string
	ExpiresAt      time.Time
}

// StandingMailer tells customers that their license was revoked, suspended or reinstated. An error is worth another try.
type StandingMailer interface {
	SendStanding(ctx context.Context, m StandingMail) error
}

// StandingMail is what such a mail says. The same license and epoch make the same Message-ID.
type StandingMail struct {
	To             string
	LicenseID      string
	Epoch          int64  // of the revocation bundle that says so
	Status         string // "revoked", "suspended" or "reinstated"
	Reason         string // of the closed list; "" for none
	EffectiveAt    time.Time
	PackageName    string
	DeploymentName string
}
