package mail

import (
	"context"
	"net/url"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

type paymentData struct {
	Heading, Link, Package, Deployment, Amount, Number string
	Confirm                                            bool
	Again, AgainRFC3339, Works, WorksRFC3339           string // "" where there is no such time
}

// SendPayment tells the buyer of a subscription that a payment failed or waits for them; it implements fulfillment.Mailer.
// Errors as in SendSignIn.
func (s *Sender) SendPayment(ctx context.Context, m fulfillment.PaymentMail) error {
	return s.send(ctx, s.payment(m))
}

func (s *Sender) payment(m fulfillment.PaymentMail) message {
	subject := "Your payment failed"
	if m.Confirm {
		subject = "Your bank asks you to confirm a payment"
	}
	d := paymentData{
		Heading: subject, Link: s.publicURL + "/orders/" + url.PathEscape(m.OrderID), Confirm: m.Confirm,
		Package: oneLine(m.PackageName), Deployment: oneLine(m.DeploymentName), Amount: fulfillment.Money(m.Amount, m.Currency), Number: oneLine(m.Number),
	}
	d.Again, d.AgainRFC3339 = optionalMoment(m.NextAttemptAt)
	d.Works, d.WorksRFC3339 = optionalMoment(m.WorksUntil)
	return message{to: m.To, kind: "payment", ref: m.InvoiceID, subject: subject, data: d}
}

// optionalMoment writes a time for people and for machines, and nothing for the zero time.
func optionalMoment(t time.Time) (words, machine string) {
	if t.IsZero() {
		return "", ""
	}
	return moment(t), t.UTC().Format(time.RFC3339)
}
