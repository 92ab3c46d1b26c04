package billing

import (
	"context"
	"fmt"
	"strings"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/creditnote"
	"github.com/stripe/stripe-go/v76/customer"
	"github.com/stripe/stripe-go/v76/radar/earlyfraudwarning"
	"github.com/stripe/stripe-go/v76/refund"
	"github.com/stripe/stripe-go/v76/review"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// taken are the clients of what is read only when money may have been taken back.
type taken struct {
	refunds     refund.Client
	creditNotes creditnote.Client
	reviews     review.Client
	warnings    earlyfraudwarning.Client
	customers   customer.Client
}

func newTaken(b stripe.Backend, key string) taken {
	return taken{
		refunds:     refund.Client{B: b, Key: key},
		creditNotes: creditnote.Client{B: b, Key: key},
		reviews:     review.Client{B: b, Key: key},
		warnings:    earlyfraudwarning.Client{B: b, Key: key},
		customers:   customer.Client{B: b, Key: key},
	}
}

// FetchTaken reads an object that may take a payment back afresh; see fulfillment.TakenStripe.
func (c *Client) FetchTaken(ctx context.Context, object, id string) (fulfillment.Taken, error) {
	read, ok := map[string]func(context.Context, string) (fulfillment.Taken, error){
		fulfillment.ObjectCharge: c.takenCharge, fulfillment.ObjectDispute: c.takenDispute, fulfillment.ObjectRefund: c.takenRefund,
		fulfillment.ObjectCreditNote: c.takenByNote, fulfillment.ObjectReview: c.takenReview,
		fulfillment.ObjectWarning: c.takenWarning, fulfillment.ObjectCustomer: c.takenCustomer,
	}[object]
	if !ok {
		return fulfillment.Taken{}, fmt.Errorf("stripe: %w: object %q", fulfillment.ErrNotFound, object)
	}
	taken, err := read(ctx, id)
	taken.Object, taken.ID = object, id
	return taken, err
}

func (c *Client) takenCharge(ctx context.Context, id string) (fulfillment.Taken, error) {
	p := &stripe.ChargeParams{}
	p.Context = ctx
	p.AddExpand("refunds") // not there otherwise
	charge, err := c.charges.Get(id, p)
	if err != nil {
		return fulfillment.Taken{}, c.fail(ctx, "fetch charge", err)
	}
	t := fulfillment.Taken{
		Livemode: charge.Livemode, Status: string(charge.Status), Amount: charge.Amount, Currency: upper(charge.Currency),
		PaymentIntent: intentID(charge.PaymentIntent), Invoice: invoiceID(charge.Invoice), Created: unix(charge.Created),
	}
	t.Charge = &fulfillment.Charge{
		ID: charge.ID, Currency: t.Currency, Amount: charge.Amount, AmountRefunded: charge.AmountRefunded, Refunded: charge.Refunded,
	}
	if charge.Refunds != nil {
		t.Charge.MoreRefunds = charge.Refunds.HasMore
		for _, r := range charge.Refunds.Data {
			t.Charge.Refunds = append(t.Charge.Refunds, fulfillment.Refund{ID: r.ID, Status: string(r.Status), Amount: r.Amount})
		}
	}
	return t, nil
}

func (c *Client) takenDispute(ctx context.Context, id string) (fulfillment.Taken, error) {
	p := &stripe.DisputeParams{}
	p.Context = ctx
	d, err := c.disputes.Get(id, p)
	if err != nil {
		return fulfillment.Taken{}, c.fail(ctx, "fetch dispute", err)
	}
	return takenOf(d), nil
}

func takenOf(d *stripe.Dispute) fulfillment.Taken {
	return fulfillment.Taken{
		Object: fulfillment.ObjectDispute, ID: d.ID, Livemode: d.Livemode, Status: string(d.Status), Amount: d.Amount,
		Currency: upper(d.Currency), PaymentIntent: intentID(d.PaymentIntent), Created: unix(d.Created),
	}
}

// takenRefund reads a refund and its charge, whose mode it has.
func (c *Client) takenRefund(ctx context.Context, id string) (fulfillment.Taken, error) {
	p := &stripe.RefundParams{}
	p.Context = ctx
	r, err := c.refunds.Get(id, p)
	if err != nil {
		return fulfillment.Taken{}, c.fail(ctx, "fetch refund", err)
	}
	var t fulfillment.Taken
	if r.Charge != nil {
		if t, err = c.takenCharge(ctx, r.Charge.ID); err != nil {
			return t, err
		}
	}
	t.Status, t.Amount, t.Currency, t.Created = string(r.Status), r.Amount, upper(r.Currency), unix(r.Created)
	return t, nil
}

// takenByNote reads a credit note, and the charge that it refunded if it did.
func (c *Client) takenByNote(ctx context.Context, id string) (fulfillment.Taken, error) {
	p := &stripe.CreditNoteParams{}
	p.Context = ctx
	p.AddExpand("invoice")
	p.AddExpand("refund")
	n, err := c.creditNotes.Get(id, p)
	if err != nil {
		return fulfillment.Taken{}, c.fail(ctx, "fetch credit note", err)
	}
	var t fulfillment.Taken
	if n.Refund != nil && n.Refund.Charge != nil {
		if t, err = c.takenCharge(ctx, n.Refund.Charge.ID); err != nil {
			return t, err
		}
	} else if n.Invoice != nil {
		t.PaymentIntent = intentID(n.Invoice.PaymentIntent)
	}
	t.Invoice, t.Livemode, t.Status = invoiceID(n.Invoice), n.Livemode, string(n.Status)
	t.Amount, t.Currency, t.Created = n.Amount, upper(n.Currency), unix(n.Created)
	return t, nil
}

func (c *Client) takenReview(ctx context.Context, id string) (fulfillment.Taken, error) {
	p := &stripe.ReviewParams{}
	p.Context = ctx
	r, err := c.reviews.Get(id, p)
	if err != nil {
		return fulfillment.Taken{}, c.fail(ctx, "fetch review", err)
	}
	t := fulfillment.Taken{Livemode: r.Livemode, Status: "open", PaymentIntent: intentID(r.PaymentIntent), Created: unix(r.Created)}
	if !r.Open {
		t.Status = string(r.ClosedReason)
	}
	return t, nil
}

func (c *Client) takenWarning(ctx context.Context, id string) (fulfillment.Taken, error) {
	p := &stripe.RadarEarlyFraudWarningParams{}
	p.Context = ctx
	w, err := c.warnings.Get(id, p)
	if err != nil {
		return fulfillment.Taken{}, c.fail(ctx, "fetch early fraud warning", err)
	}
	return fulfillment.Taken{Livemode: w.Livemode, Status: string(w.FraudType), PaymentIntent: intentID(w.PaymentIntent), Created: unix(w.Created)}, nil
}

func (c *Client) takenCustomer(ctx context.Context, id string) (fulfillment.Taken, error) {
	p := &stripe.CustomerParams{}
	p.Context = ctx
	customer, err := c.customers.Get(id, p)
	if err != nil {
		return fulfillment.Taken{}, c.fail(ctx, "fetch customer", err)
	}
	return fulfillment.Taken{Livemode: customer.Livemode, Deleted: customer.Deleted, Created: unix(customer.Created)}, nil
}

func upper(c stripe.Currency) string { return strings.ToUpper(string(c)) }

func intentID(i *stripe.PaymentIntent) string {
	if i == nil {
		return ""
	}
	return i.ID
}

func invoiceID(i *stripe.Invoice) string {
	if i == nil {
		return ""
	}
	return i.ID
}
