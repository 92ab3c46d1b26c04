package fake

import (
	"context"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// Orders by quote: one to be answered, one whose invoice is being made, and one whose invoice is to be paid.
const (
	OrderQuoted, OrderAccepted, OrderInvoiced = "ord_01jdquoted3f8k", "ord_01jdaccept5r1t", "ord_01jdinvoice7p2"
)

// Quotes implements web.Quotes.
type Quotes struct{ *Services }

// addQuotes adds the orders by quote.
func (s *Services) addQuotes() {
	s.QuoteSeen = map[string]fulfillment.Seen{}
	now := s.now()
	for id, status := range map[string]string{OrderQuoted: "open", OrderAccepted: "accepted", OrderInvoiced: "accepted"} {
		t := s.template("enterprise-annual")
		d := s.DeploymentSet[0]
		o := fulfillment.Order{
			ID: id, OrganizationID: OrganizationID, DeploymentID: d.ID, DeploymentName: d.Name, BuyerEmail: "owner@halden.example",
			State: fulfillment.StateAwaitingPayment, Revision: 1, Attempt: 1, CreatedAt: now.AddDate(0, 0, -2), SubmittedAt: now.AddDate(0, 0, -2),
			Snapshot: fulfillment.Snapshot{
				Template: t, Channel: fulfillment.ByQuote, Currency: t.Price.Currency, Total: t.Price.UnitAmount,
				Offer: fulfillment.Offer{DaysUntilDue: 30, ExpiresAt: now.AddDate(0, 0, 12), PreparedBy: "Ada"},
				Intent: catalog.Intent{
					OrderID: id, Kind: catalog.IssueNew, Template: t.Ref(), Quantity: 1, CustomerID: OrganizationID, CustomerName: "Halden Robotics",
					DeploymentID: d.ID, Environments: []string{"production"},
				},
			},
		}
		s.OrderList = append(s.OrderList, o)
		seen := fulfillment.Seen{Quote: &fulfillment.Quote{
			ID: "qt_" + id, Status: status, Number: "QT-HALDEN-0001-1", Currency: o.Snapshot.Currency, Subtotal: o.Snapshot.Total,
			Total: o.Snapshot.Total, ExpiresAt: o.Snapshot.Offer.ExpiresAt, CreatedAt: o.CreatedAt,
		}}
		if id == OrderInvoiced {
			seen.Invoices = []fulfillment.Invoice{{
				ID: "in_" + id, Status: "open", Number: "HALDEN-0001", Currency: o.Snapshot.Currency, Total: o.Snapshot.Total, AmountDue: o.Snapshot.Total,
				AmountLeft: o.Snapshot.Total, HostedURL: "https://invoice.stripe.example/i/1", PDFURL: "https://invoice.stripe.example/i/1/pdf",
				CreatedAt: now, DueAt: now.AddDate(0, 0, 30),
			}}
		}
		s.QuoteSeen[id] = seen
	}
}

// Quote implements web.Quotes.
func (q Quotes) Quote(ctx context.Context, organizationID, orderID string) (fulfillment.Record, error) {
	o, err := q.Services.Order(ctx, organizationID, orderID)
	if err != nil {
		return fulfillment.Record{}, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	seen, ok := q.QuoteSeen[orderID]
	if !ok {
		return fulfillment.Record{}, fulfillment.ErrNotFound
	}
	return fulfillment.Record{Order: o, Seen: seen}, nil
}

// Accept implements web.Quotes.
func (q Quotes) Accept(ctx context.Context, organizationID, orderID, _ string) error {
	return q.settle(ctx, organizationID, orderID, "accepted")
}

// Decline implements web.Quotes.
func (q Quotes) Decline(ctx context.Context, organizationID, orderID string) error {
	return q.settle(ctx, organizationID, orderID, "canceled")
}

func (q Quotes) settle(ctx context.Context, organizationID, orderID, status string) error {
	r, err := q.Quote(ctx, organizationID, orderID)
	if err != nil {
		return err
	}
	if r.Seen.Quote.Status != "open" {
		return fulfillment.ErrQuoteClosed
	}
	defer q.change()()
	quote := *r.Seen.Quote
	quote.Status = status
	q.QuoteSeen[orderID] = fulfillment.Seen{Quote: &quote}
	return nil
}

// LookAgain implements web.Quotes.
func (q Quotes) LookAgain(ctx context.Context, organizationID, orderID string) error {
	if _, err := q.Quote(ctx, organizationID, orderID); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.Looks = append(q.Looks, orderID)
	return nil
}

// PDF implements web.Quotes.
func (q Quotes) PDF(ctx context.Context, organizationID, orderID string) ([]byte, error) {
	if _, err := q.Quote(ctx, organizationID, orderID); err != nil {
		return nil, err
	}
	return []byte("%PDF-1.4\n"), nil
}
