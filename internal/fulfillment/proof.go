package fulfillment

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// proof is what the evidence of a leaf says of an order: a session or an invoice that was paid.
type proof struct {
	channel  Channel
	metadata map[string]string // the intent
	email    string            // the buyer's; "" where it names none
	customer string            // "cus_…"
	created  time.Time         // of the session or invoice
	session  *Session
	invoice  *Invoice
}

// cause is the license's cause, of which the intent names the order and the event the time.
func (p proof) cause(orderID string, at time.Time) cause {
	if p.channel == BySubscription || p.channel == ByCycle {
		return cause{key: p.invoice.ID + "/" + p.invoice.LineID, at: at, periodEnd: p.invoice.PeriodEnd}
	}
	return cause{key: orderID, at: at}
}

// orderID is the portal's order: the intent's, but for a further cycle, which has one of its own.
func (p proof) orderID(intended string) (string, error) {
	if p.channel != ByCycle {
		return intended, nil
	}
	return cycleOrderID(*p.invoice)
}

// cycleOrderID follows from the invoice, so that two at a time, or a restore, make the same order of it.
func cycleOrderID(i Invoice) (string, error) {
	sum := sha256.Sum256([]byte("cycle " + i.ID))
	return NewID("ord_", i.CreatedAt, bytes.NewReader(sum[:]))
}

// readProof reads evidence as the event has it; the portal asks Stripe again where it matters.
func readProof(e ReceivedEvent) (proof, error) {
	if e.Type == "invoice.paid" {
		return readInvoiceProof(e)
	}
	o := readObject(e.Body)
	session := restoredSession(o, e)
	return proof{
		metadata: o.Metadata, email: strings.ToLower(cmp.Or(o.CustomerEmail, o.CustomerDetails.Email)), customer: o.Customer,
		created: session.CreatedAt, session: &session,
	}, nil
}

// eventInvoice is what the portal reads of an invoice inside an event.
type eventInvoice struct {
	ID                  string            `json:"id"`
	Status              string            `json:"status"`
	BillingReason       string            `json:"billing_reason"`
	Collection          string            `json:"collection_method"`
	Number              string            `json:"number"`
	HostedURL           string            `json:"hosted_invoice_url"`
	PDFURL              string            `json:"invoice_pdf"`
	Currency            string            `json:"currency"`
	Total               int64             `json:"total"`
	Tax                 int64             `json:"tax"`
	AmountDue           int64             `json:"amount_due"`
	AmountPaid          int64             `json:"amount_paid"`
	Created             int64             `json:"created"`
	Customer            string            `json:"customer"`
	CustomerEmail       string            `json:"customer_email"`
	PaymentIntent       string            `json:"payment_intent"`
	Subscription        string            `json:"subscription"`
	Quote               string            `json:"quote"`
	Metadata            map[string]string `json:"metadata"`
	SubscriptionDetails struct {
		Metadata map[string]string `json:"metadata"`
	} `json:"subscription_details"`
	Lines struct {
		Data []struct {
			ID       string `json:"id"`
			Amount   int64  `json:"amount"`
			Quantity int64  `json:"quantity"`
			Period   struct {
				Start int64 `json:"start"`
				End   int64 `json:"end"`
			} `json:"period"`
			Price struct {
				LookupKey string `json:"lookup_key"`
			} `json:"price"`
		} `json:"data"`
	} `json:"lines"`
}

func readInvoiceProof(e ReceivedEvent) (proof, error) {
	var event struct {
		Data struct {
			Object eventInvoice `json:"object"`
		} `json:"data"`
	}
	if err := json.Unmarshal(e.Body, &event); err != nil {
		return proof{}, fmt.Errorf("evidence: %w", err)
	}
	o := event.Data.Object
	if len(o.Lines.Data) != 1 {
		return proof{}, errors.New("evidence whose invoice has not one line")
	}
	line := o.Lines.Data[0]
	invoice := Invoice{
		ID: o.ID, Livemode: e.Mode == modeName(true), Status: o.Status, BillingReason: o.BillingReason, Collection: o.Collection,
		Currency: strings.ToUpper(o.Currency), Total: o.Total, Tax: o.Tax, AmountDue: o.AmountDue, AmountPaid: o.AmountPaid,
		Lines: 1, LineID: line.ID, LookupKey: line.Price.LookupKey, Quantity: line.Quantity, LineAmount: line.Amount,
		PeriodStart: time.Unix(line.Period.Start, 0).UTC(), PeriodEnd: time.Unix(line.Period.End, 0).UTC(),
		Metadata: o.Metadata, SubscriptionMetadata: o.SubscriptionDetails.Metadata, SubscriptionID: o.Subscription, QuoteID: o.Quote,
		PaymentIntentID: o.PaymentIntent, StripeCustomer: o.Customer, Number: o.Number, HostedURL: o.HostedURL, PDFURL: o.PDFURL,
		CreatedAt: time.Unix(o.Created, 0).UTC(),
	}
	p := proof{
		channel: ByQuote, metadata: o.Metadata, email: strings.ToLower(o.CustomerEmail), customer: o.Customer,
		created: invoice.CreatedAt, invoice: &invoice,
	}
	switch o.BillingReason {
	case "subscription_create":
		p.channel, p.metadata = BySubscription, o.SubscriptionDetails.Metadata
	case "subscription_cycle":
		p.channel, p.metadata = ByCycle, o.SubscriptionDetails.Metadata
	}
	return p, nil
}
