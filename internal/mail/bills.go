package mail

import (
	"context"
	"net/url"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

type quoteData struct{ Link, Package, Deployment, OrderID, Amount, Expires, ExpiresRFC3339 string }

// SendQuote tells a buyer that a quote can be read and accepted; it implements fulfillment.BillMailer. Errors as in SendSignIn.
func (s *Sender) SendQuote(ctx context.Context, m fulfillment.QuoteMail) error {
	return s.send(ctx, s.quote(m))
}

func (s *Sender) quote(m fulfillment.QuoteMail) message {
	return message{
		to: m.To, kind: "quote", ref: m.OrderID, subject: "Your quote is ready",
		data: quoteData{
			Link: s.publicURL + "/orders/" + url.PathEscape(m.OrderID), Package: oneLine(m.PackageName), Deployment: oneLine(m.DeploymentName),
			OrderID: m.OrderID, Amount: fulfillment.Money(m.Total, m.Currency),
			Expires: moment(m.ExpiresAt), ExpiresRFC3339: m.ExpiresAt.UTC().Format(time.RFC3339),
		},
	}
}

type invoiceData struct{ Link, Package, OrderID, Number, Amount, Due, DueRFC3339 string }

// SendInvoice tells a buyer that an invoice is due; it implements fulfillment.BillMailer. Errors as in SendSignIn.
func (s *Sender) SendInvoice(ctx context.Context, m fulfillment.InvoiceMail) error {
	return s.send(ctx, s.invoice(m))
}

func (s *Sender) invoice(m fulfillment.InvoiceMail) message {
	return message{
		to: m.To, kind: "invoice", ref: m.InvoiceID, subject: "Invoice " + oneLine(m.Number) + " is due",
		data: invoiceData{
			Link: s.publicURL + "/orders/" + url.PathEscape(m.OrderID), Package: oneLine(m.PackageName), OrderID: m.OrderID,
			Number: oneLine(m.Number), Amount: fulfillment.Money(m.Due, m.Currency),
			Due: moment(m.DueAt), DueRFC3339: m.DueAt.UTC().Format(time.RFC3339),
		},
	}
}
