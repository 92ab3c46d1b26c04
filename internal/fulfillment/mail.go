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
