package fulfillment

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
)

// How long a checkout session can be paid, and how much of that must be left to send a customer there again.
const (
	SessionLife   = 2 * time.Hour // Stripe allows 30 minutes to 24 hours
	sessionMargin = time.Minute

	// stripeWait is how long a customer at a page waits for Stripe; what was asked is asked again under the same key.
	stripeWait = 12 * time.Second
)

// Checkout makes (or finds) the order's open checkout session and answers where to send the browser. The first call freezes
// the order. Errors: ErrNotFound, ErrNotPayable, ErrTemplateGone, ErrPriceChanged, ErrOpenRenewal, ErrSubscribed, ErrFrozen (the
// base was replaced or withdrawn meanwhile), *ValidationError (the deployment's name was taken meanwhile), ErrUnavailable.
func (s *Orders) Checkout(ctx context.Context, organizationID, orderID string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, stripeWait)
	defer cancel()
	r, err := s.c.Store.Record(ctx, organizationID, orderID)
	if err != nil {
		return "", err
	}
	for range 3 { // the order may move under us: a second click, an event
		var url string
		if url, err = s.checkout(ctx, r); !errors.Is(err, ErrMoved) {
			return url, err
		}
		if r, err = s.c.Store.Record(ctx, organizationID, orderID); err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("%w: the order keeps changing", ErrUnavailable)
}

// invoiced reports whether an invoice asks for the order's payment, so that no session may. A quote is declined, or its invoice
// voided by staff; a subscription is canceled at Stripe.
func (r Record) invoiced() bool {
	return r.Snapshot.Channel == ByQuote || r.Snapshot.Channel == ByCycle || (r.Snapshot.Channel == BySubscription && r.Seen.Subscription != nil)
}

func (s *Orders) checkout(ctx context.Context, r Record) (string, error) {
	if r.invoiced() {
		return "", ErrNotPayable
	}
	var err error
	switch r.State {
	case StateDraft:
		r, err = s.freeze(ctx, r)
	case StateAwaitingPayment, StateFailed:
		var url string
		if url, r, err = s.again(ctx, r); err == nil && url != "" {
			return url, nil
		}
	default:
		return "", ErrNotPayable
	}
	if err != nil {
		return "", err
	}
	return s.open(ctx, r)
}

// freeze fixes what is bought, after a last look at whether it is still on offer.
func (s *Orders) freeze(ctx context.Context, r Record) (Record, error) {
	customer, err := s.c.Store.Customer(ctx, r.OrganizationID)
	if err != nil {
		return Record{}, err
	}
	if err := s.onOffer(ctx, r); err != nil {
		return Record{}, err
	}
	r.Snapshot.Intent.CustomerName = customer.Name // the draft may be older than the organization's name
	frozen, err := s.c.Store.Freeze(ctx, r, s.c.Now())
	if errors.Is(err, ErrNameTaken) {
		return Record{}, &ValidationError{[]FieldError{{"deployment_name", "You have a deployment of this name; choose it from the list, or take another name."}}}
	}
	return frozen, err
}

// onOffer checks that the package is still sold as it was drafted and that its base was not replaced.
func (s *Orders) onOffer(ctx context.Context, r Record) error {
	bundle, err := s.c.Catalog.Bundle(ctx)
	if err != nil {
		return err
	}
	now, ordered := s.c.Now(), r.Snapshot.Template
	t, ok := bundle.Newest(ordered.SKU)
	switch {
	case !ok || !t.SelfService() || !t.Open(now):
		return ErrTemplateGone
	case t.Ref() != ordered.Ref() || t.Price != ordered.Price:
		return ErrPriceChanged
	case r.Snapshot.Intent.Kind == catalog.IssueNew:
		return nil
	}
	base, err := s.c.Licenses.License(ctx, r.OrganizationID, r.Snapshot.Intent.BaseID)
	if err != nil {
		return err
	}
	if !base.Extendable() || (r.Snapshot.Intent.Kind == catalog.IssueTopUp && !now.Before(base.Payload.ExpiresAt)) {
		return fmt.Errorf("%w: the license it builds on was replaced or withdrawn, or has expired", ErrFrozen)
	}
	return nil
}

// again answers the open session's URL, or reserves a further attempt once the last session can no longer be paid.
func (s *Orders) again(ctx context.Context, r Record) (string, Record, error) {
	now := s.c.Now()
	last, stored := r.session(r.Attempt)
	switch {
	case !stored && now.Sub(r.AttemptAt) < SessionLife/2:
		return "", r, nil // reserved and lost on the way: ask for the very same again
	case stored && r.State == StateAwaitingPayment && now.Add(sessionMargin).Before(last.ExpiresAt):
		return last.URL, r, nil
	}
	if err := s.onOffer(ctx, r); err != nil {
		return "", r, err
	}
	if stored {
		if err := s.kill(ctx, last.ID); err != nil {
			return "", r, err
		}
	}
	r, err := s.c.Store.ReserveAttempt(ctx, r, now)
	return "", r, err
}

// kill makes sure that a session takes no money any more. ErrNotPayable if it has, or is about to.
func (s *Orders) kill(ctx context.Context, sessionID string) error {
	err := s.c.Stripe.ExpireSession(ctx, sessionID)
	if err == nil || !errors.Is(err, ErrSessionNotOpen) {
		return err
	}
	facts, err := s.c.Stripe.FetchSession(ctx, sessionID)
	if err != nil {
		return err
	}
	if settled(facts) || underWay(facts) || facts.Status == "open" {
		return ErrNotPayable
	}
	return nil
}

// open asks Stripe for the session of the attempt that r reserved, outside any transaction, and stores it.
func (s *Orders) open(ctx context.Context, r Record) (string, error) {
	page := s.c.PublicURL + "/orders/" + r.ID
	made, err := s.c.Stripe.CreateCheckout(ctx, CheckoutRequest{
		OrderID: r.ID, Attempt: r.Attempt, IdempotencyKey: fmt.Sprintf("checkout:%s:%d", r.ID, r.Attempt),
		Snapshot: r.Snapshot, CustomerEmail: r.BuyerEmail, StripeCustomer: r.StripeCustomer,
		SuccessURL: page, CancelURL: page, ExpiresAt: r.AttemptAt.Add(SessionLife),
	})
	if err != nil {
		return "", fmt.Errorf("make checkout session: %w", err)
	}
	session := StoredSession{ID: made.ID, Attempt: r.Attempt, URL: made.URL, ExpiresAt: made.ExpiresAt}
	if err := s.c.Store.AddSession(ctx, r.ID, session, s.c.Now()); err != nil {
		return "", err
	}
	s.c.Log.InfoContext(ctx, "checkout session made", "order", r.ID, "attempt", r.Attempt)
	return made.URL, nil
}

// Cancel gives up an order that is not paid; its open session is expired first. ErrNotPayable if money is under way.
func (s *Orders) Cancel(ctx context.Context, organizationID, orderID string) error {
	ctx, cancel := context.WithTimeout(ctx, stripeWait)
	defer cancel()
	var err error
	for range 3 { // expiring the session makes an event, whose evaluation may move the order first
		if err = s.cancel(ctx, organizationID, orderID); !errors.Is(err, ErrMoved) {
			return err
		}
	}
	return fmt.Errorf("%w: the order keeps changing", ErrUnavailable)
}

func (s *Orders) cancel(ctx context.Context, organizationID, orderID string) error {
	r, err := s.c.Store.Record(ctx, organizationID, orderID)
	if err != nil {
		return err
	}
	if r.invoiced() {
		return ErrNotPayable
	}
	switch r.State {
	case StateCanceled:
		return nil
	case StateDraft, StateAwaitingPayment, StateFailed:
	default:
		return ErrNotPayable
	}
	if last, ok := r.session(r.Attempt); ok && r.State == StateAwaitingPayment {
		if err := s.kill(ctx, last.ID); err != nil {
			return err
		}
	}
	return s.c.Store.CancelByCustomer(ctx, r, s.c.Now())
}
