package billing

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v76"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// ErrPriceMissing says that the catalog was not pushed to Stripe. It wraps fulfillment.ErrUnavailable: once staff have
// pushed it, the same order can be paid.
var ErrPriceMissing = fmt.Errorf("price is not at Stripe, push the catalog: %w", fulfillment.ErrUnavailable)

// CreateCheckout makes the hosted checkout session of an order's attempt; see fulfillment.Stripe. Metadata is the intent's
// alone, on the session and on what the session begins: the subscription, or else the payment intent where something is to
// be paid.
func (c *Client) CreateCheckout(ctx context.Context, r fulfillment.CheckoutRequest) (fulfillment.OpenSession, error) {
	if r.IdempotencyKey == "" {
		return fulfillment.OpenSession{}, errors.New("stripe: create checkout session: no idempotency key")
	}
	priceID, err := c.pinnedPrice(ctx, r.Snapshot)
	if err != nil {
		return fulfillment.OpenSession{}, err
	}
	const op = "create checkout session"
	made, err := c.sessions.New(checkoutParams(ctx, r, priceID))
	if err != nil {
		return fulfillment.OpenSession{}, c.fail(ctx, op, err)
	}
	if u, err := url.Parse(made.URL); made.ID == "" || err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return fulfillment.OpenSession{}, fmt.Errorf("stripe: %s: answer has no page to pay at: %w", op, fulfillment.ErrUnavailable)
	}
	return fulfillment.OpenSession{ID: made.ID, URL: made.URL, ExpiresAt: unix(made.ExpiresAt)}, nil
}

// checkoutParams depends on r and the price alone, so that a repeated call is the same to the letter.
func checkoutParams(ctx context.Context, r fulfillment.CheckoutRequest, priceID string) *stripe.CheckoutSessionParams {
	metadata := r.Snapshot.Intent.Metadata()
	p := &stripe.CheckoutSessionParams{
		Params: stripe.Params{Context: ctx, IdempotencyKey: stripe.String(r.IdempotencyKey)},
		Mode:   stripe.String(string(stripe.CheckoutSessionModePayment)),
		LineItems: []*stripe.CheckoutSessionLineItemParams{
			{Price: stripe.String(priceID), Quantity: stripe.Int64(int64(r.Snapshot.Intent.Quantity))},
		},
		ClientReferenceID: stripe.String(r.OrderID),
		Metadata:          metadata,
		SuccessURL:        stripe.String(r.SuccessURL),
		CancelURL:         stripe.String(r.CancelURL),
		ExpiresAt:         stripe.Int64(r.ExpiresAt.Unix()),
	}
	switch { // Stripe makes a customer where the session needs one
	case r.StripeCustomer != "":
		p.Customer = stripe.String(r.StripeCustomer)
	case r.CustomerEmail != "":
		p.CustomerEmail = stripe.String(r.CustomerEmail)
	}
	switch {
	case r.Snapshot.Template.Subscription(): // whose invoices repeat it, so that each paid cycle says what it is for
		p.Mode = stripe.String(string(stripe.CheckoutSessionModeSubscription))
		p.SubscriptionData = &stripe.CheckoutSessionSubscriptionDataParams{Metadata: metadata}
	case r.Snapshot.Total > 0: // with nothing to pay there is no payment intent
		p.PaymentIntentData = &stripe.CheckoutSessionPaymentIntentDataParams{Metadata: metadata}
	}
	return p
}

// pinnedPrice finds the template's price at Stripe and makes sure that it asks for what was ordered.
func (c *Client) pinnedPrice(ctx context.Context, s fulfillment.Snapshot) (string, error) {
	found, err := c.priceByLookupKey(ctx, s.Template.LookupKey())
	if err != nil {
		return "", err
	}
	if found == nil || !found.Active {
		return "", fmt.Errorf("stripe: %w", ErrPriceMissing)
	}
	unit := s.Template.Price.UnitAmount
	if difference := drift(found, s.Template); difference != "" || // it compares the interval too
		!strings.EqualFold(string(found.Currency), s.Currency) || s.Total != unit*int64(s.Intent.Quantity) {
		return "", fmt.Errorf("stripe: price %s of %s: %w", found.ID, s.Template.Ref(), fulfillment.ErrPriceChanged)
	}
	return found.ID, nil
}

// FetchSession reads a session afresh; see fulfillment.Stripe.
func (c *Client) FetchSession(ctx context.Context, sessionID string) (fulfillment.Session, error) {
	p := &stripe.CheckoutSessionParams{Params: stripe.Params{Context: ctx}}
	p.AddExpand("line_items")
	p.AddExpand("payment_intent.latest_charge")
	found, err := c.sessions.Get(sessionID, p)
	if err != nil {
		return fulfillment.Session{}, c.fail(ctx, "fetch checkout session", err)
	}
	return toSession(found), nil
}

// toSession copies what decides, in Stripe's own words: a word that this version does not know reaches the decision as it
// is, and is flagged there.
func toSession(s *stripe.CheckoutSession) fulfillment.Session {
	out := fulfillment.Session{
		ID: s.ID, Livemode: s.Livemode, Mode: string(s.Mode), Status: string(s.Status), PaymentStatus: string(s.PaymentStatus),
		Currency: strings.ToUpper(string(s.Currency)), AmountSubtotal: s.AmountSubtotal, AmountTotal: s.AmountTotal,
		ClientReferenceID: s.ClientReferenceID, Metadata: s.Metadata,
		CreatedAt: unix(s.Created), ExpiresAt: unix(s.ExpiresAt),
	}
	if s.TotalDetails != nil {
		out.AmountDiscount = s.TotalDetails.AmountDiscount
	}
	if l := s.LineItems; l != nil && len(l.Data) == 1 && !l.HasMore && l.Data[0].Price != nil {
		out.LookupKey, out.Quantity = l.Data[0].Price.LookupKey, l.Data[0].Quantity
	}
	if pi := s.PaymentIntent; pi != nil {
		out.PaymentIntentID, out.PaymentIntent = pi.ID, string(pi.Status)
		if pi.LastPaymentError != nil {
			out.PaymentFailure = pi.LastPaymentError.Msg
		}
		if pi.LatestCharge != nil && pi.Status == stripe.PaymentIntentStatusSucceeded {
			out.ReceiptURL = pi.LatestCharge.ReceiptURL
		}
	}
	if s.Customer != nil {
		out.StripeCustomer = s.Customer.ID
	}
	if s.Subscription != nil {
		out.SubscriptionID = s.Subscription.ID
	}
	if s.Invoice != nil {
		out.InvoiceID = s.Invoice.ID
	}
	return out
}

// ExpireSession ends an open session; see fulfillment.Stripe. Stripe refuses for a session that is not open without a code
// of its own, so a refusal looks at the session instead of at the message.
func (c *Client) ExpireSession(ctx context.Context, sessionID string) error {
	_, err := c.sessions.Expire(sessionID, &stripe.CheckoutSessionExpireParams{Params: stripe.Params{Context: ctx}})
	if err == nil {
		return nil
	}
	failure := c.fail(ctx, "expire checkout session", err)
	if errors.Is(failure, fulfillment.ErrUnavailable) || errors.Is(failure, fulfillment.ErrNotFound) {
		return failure
	}
	found, err := c.FetchSession(ctx, sessionID)
	if err != nil {
		return err
	}
	if found.Status != string(stripe.CheckoutSessionStatusOpen) {
		return fulfillment.ErrSessionNotOpen
	}
	return failure
}

// unix is a time in UTC, zero for 0.
func unix(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}
