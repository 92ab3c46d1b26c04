package fulfillment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// look asks Stripe what it says now of everything that an order has there: its sessions, its quote, and the invoices that
// those made. With finalize it finalizes the draft that an accepted quote made, since Stripe leaves it a draft.
func (s *Fulfiller) look(ctx context.Context, r Record, finalize bool) (Seen, error) {
	var seen Seen
	var err error
	if seen.Sessions, err = s.lookAtSessions(ctx, r); err != nil {
		return seen, err
	}
	if r.Seen.Quote != nil {
		quote, err := s.c.Invoices.FetchQuote(ctx, r.Seen.Quote.ID)
		if err != nil {
			return seen, fmt.Errorf("fetch quote: %w", err)
		}
		seen.Quote = &quote
	}
	if r.Snapshot.Channel == BySubscription {
		if seen.Subscription, err = s.lookAtSubscription(ctx, r, seen.Sessions); err != nil {
			return seen, err
		}
	}
	seen.Invoices, err = s.lookAtInvoices(ctx, r, seen, finalize)
	return seen, err
}

func (s *Fulfiller) lookAtSessions(ctx context.Context, r Record) ([]Session, error) {
	sessions := make([]Session, 0, len(r.Sessions))
	for _, stored := range r.Sessions {
		if stored.Facts != nil && stored.Facts.Status == "expired" { // for good
			sessions = append(sessions, *stored.Facts)
			continue
		}
		facts, err := s.c.Stripe.FetchSession(ctx, stored.ID)
		if err != nil {
			return nil, fmt.Errorf("fetch session: %w", err)
		}
		sessions = append(sessions, facts)
	}
	return s.expireReplaced(ctx, r, sessions)
}

// lookAtSubscription fetches the subscription that the order began: the one that is stored, or that its session names now.
func (s *Fulfiller) lookAtSubscription(ctx context.Context, r Record, sessions []Session) (*Subscription, error) {
	var id string
	if r.Seen.Subscription != nil {
		id = r.Seen.Subscription.ID
	}
	for _, c := range sessions {
		id = cmp.Or(id, c.SubscriptionID)
	}
	if id == "" {
		return nil, nil
	}
	subscription, err := s.c.Invoices.FetchSubscription(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("fetch subscription: %w", err)
	}
	return &subscription, nil
}

// lookAtInvoices fetches the invoices that are stored, that session and quote name, and that replaced one of those.
func (s *Fulfiller) lookAtInvoices(ctx context.Context, r Record, seen Seen, finalize bool) ([]Invoice, error) {
	var ids []string
	want := func(id string) {
		if id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	for _, i := range r.Seen.Invoices {
		want(i.ID)
	}
	if seen.Quote != nil {
		want(seen.Quote.InvoiceID)
	}
	if r.Snapshot.Channel == BySubscription {
		for _, c := range seen.Sessions {
			want(c.InvoiceID)
		}
	}
	var invoices []Invoice
	for n := 0; n < len(ids); n++ { // grows
		invoice, err := s.c.Invoices.FetchInvoice(ctx, ids[n])
		if err != nil {
			return nil, fmt.Errorf("fetch invoice: %w", err)
		}
		if finalize && r.Snapshot.Channel == ByQuote && invoice.Status == "draft" {
			if invoice, err = s.c.Invoices.FinalizeInvoice(ctx, invoice.ID, r.Snapshot.Intent.Metadata()); err != nil {
				return nil, fmt.Errorf("finalize invoice: %w", err)
			}
		}
		invoices = append(invoices, invoice)
		want(invoice.ReplacedBy)
	}
	return distinctInvoices(invoices), nil
}

// orderOf finds the order that an event is about, by stored IDs. An invoice that is not stored is fetched: it may be of a
// quote or subscription that is, or of an order that it names and whose own look at Stripe then finds it. ErrNotFound.
func (s *Fulfiller) orderOf(ctx context.Context, e ReceivedEvent) (string, error) {
	orderID, err := s.c.Evaluations.OrderOfObject(ctx, e.ObjectID)
	if !errors.Is(err, ErrNotFound) || !strings.HasPrefix(e.Type, "invoice.") {
		return orderID, err
	}
	invoice, err := s.c.Invoices.FetchInvoice(ctx, e.ObjectID)
	if err != nil {
		return "", fmt.Errorf("fetch invoice: %w", err)
	}
	if invoice.QuoteID != "" {
		return s.c.Evaluations.OrderOfObject(ctx, invoice.QuoteID)
	}
	if invoice.SubscriptionID != "" && invoice.BillingReason != "subscription_create" {
		return s.cycle(ctx, invoice)
	}
	return s.candidate(ctx, invoice)
}

// candidate looks at the order that an invoice names. Only if that order's own session or invoice leads to this one is it
// the order's.
func (s *Fulfiller) candidate(ctx context.Context, i Invoice) (string, error) {
	named := cmp.Or(i.SubscriptionMetadata["order_id"], i.Metadata["order_id"])
	if named == "" {
		return "", ErrNotFound
	}
	if err := s.EvaluateOrder(ctx, named); err != nil {
		return "", err
	}
	return s.c.Evaluations.OrderOfObject(ctx, i.ID)
}

// cycle opens the order of a subscription's further invoice. Its subscription must be stored.
func (s *Fulfiller) cycle(ctx context.Context, i Invoice) (string, error) {
	if _, err := s.c.Evaluations.OrderOfObject(ctx, i.SubscriptionID); err != nil {
		return "", err
	}
	orderID, err := cycleOrderID(i)
	if err != nil {
		return "", err
	}
	if err := s.c.Evaluations.OpenCycle(ctx, orderID, i.SubscriptionID, i, s.c.Now()); err != nil {
		return "", fmt.Errorf("open cycle: %w", err)
	}
	return orderID, nil
}

// expireReplaced ends the open sessions of an order whose base was renewed by another: what is paid for now would expire
// before what is there. Top-ups on one base do not end each other.
func (s *Fulfiller) expireReplaced(ctx context.Context, r Record, sessions []Session) ([]Session, error) {
	isOpen := func(c Session) bool { return c.Status == "open" }
	if r.Snapshot.Intent.BaseID == "" || !slices.ContainsFunc(sessions, isOpen) {
		return sessions, nil
	}
	by, err := s.c.Evaluations.BaseRenewed(ctx, r)
	if err != nil || by == "" {
		return sessions, err
	}
	for i, c := range sessions {
		if !isOpen(c) {
			continue
		}
		if err := s.c.Stripe.ExpireSession(ctx, c.ID); err != nil && !errors.Is(err, ErrSessionNotOpen) {
			return nil, fmt.Errorf("expire session: %w", err)
		}
		if sessions[i], err = s.c.Stripe.FetchSession(ctx, c.ID); err != nil {
			return nil, fmt.Errorf("fetch session: %w", err)
		}
	}
	return sessions, nil
}
