package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// ordersPerSecond is how fast paid webhooks come in, whether or not the ones before are done.
const ordersPerSecond = 20

// issueWait bounds the wait for one license.
const issueWait = 15 * time.Second

// paid measures the time from the webhook of a payment to the license that it pays for, downloadable by its customer.
func paid(ctx context.Context, l *lab) ([]result, error) {
	s, err := openShop(ctx, l, "paid")
	if err != nil {
		return nil, err
	}
	if _, err := s.pool.Exec(ctx, singleRow); err != nil {
		return nil, err
	}
	if err := s.work(ctx, l); err != nil {
		return nil, err
	}
	if _, err := s.sellAtPace(ctx, ordersPerSecond); err != nil { // a second that is not counted
		return nil, err
	}
	var took, commit []time.Duration
	for range l.rounds {
		latencies, err := s.sellAtPace(ctx, int(ordersPerSecond*l.span.Seconds()))
		if err != nil {
			return nil, err
		}
		bare, err := commits(ctx, s.databaseURL, 200)
		if err != nil {
			return nil, err
		}
		took, commit = append(took, latencies...), append(commit, bare...)
	}
	limit := "one commit " + milliseconds(median(commit))
	name := fmt.Sprintf("paid webhook to license downloadable, at %d/s, ", ordersPerSecond)
	return []result{
		within(name+"p50", median(took), 20*time.Millisecond, limit), within(name+"p99", p99(took), 80*time.Millisecond, ""),
	}, nil
}

// sellAtPace takes n orders up to the payment page, then delivers their webhooks at the pace, and answers how long each
// license took from the moment that its webhook was due.
func (s *shop) sellAtPace(ctx context.Context, n int) ([]time.Duration, error) {
	orders := make([]fulfillment.Order, n)
	for i := range orders {
		organization, user, err := s.customer(ctx)
		if err != nil {
			return nil, err
		}
		if orders[i], err = s.order(ctx, organization, user); err != nil {
			return nil, err
		}
	}
	took, errs := make([]time.Duration, n), make(chan error, n)
	var wg sync.WaitGroup
	start := time.Now()
	for i, o := range orders {
		due := start.Add(time.Duration(i) * time.Second / ordersPerSecond)
		time.Sleep(time.Until(due))
		wg.Go(func() {
			if err := s.pay(ctx, o); err != nil {
				errs <- err
			}
			took[i] = time.Since(due)
		})
	}
	wg.Wait()
	close(errs)
	return took, <-errs // nil when there is none
}

// customer makes an organization with its owner.
func (s *shop) customer(ctx context.Context) (organization, user string, err error) {
	if organization, err = fulfillment.NewID("cust_", time.Now(), rand.Reader); err != nil {
		return "", "", err
	}
	if user, err = fulfillment.NewID("usr_", time.Now(), rand.Reader); err != nil {
		return "", "", err
	}
	_, err = s.pool.Exec(ctx, `WITH o AS (INSERT INTO organizations (id, name, created_at) VALUES ($1, 'Lumen & Söhne', now()))
		INSERT INTO users (id, email, created_at) VALUES ($2, lower($2) || '@bench.example', now())`, organization, user)
	if err != nil {
		return "", "", err
	}
	_, err = s.pool.Exec(ctx, `INSERT INTO memberships (organization_id, user_id, role, created_at)
		VALUES ($1, $2, 'owner', now())`, organization, user)
	return organization, user, err
}

// order takes an order up to the payment page.
func (s *shop) order(ctx context.Context, organization, user string) (fulfillment.Order, error) {
	key, err := fulfillment.NewID("", time.Now(), rand.Reader)
	if err != nil {
		return fulfillment.Order{}, err
	}
	o, err := s.orders.Draft(ctx, fulfillment.DraftRequest{
		FormKey: key, OrganizationID: organization, UserID: user, BuyerEmail: "buyer@bench.example", Kind: catalog.IssueNew, SKU: packSKU,
		DeploymentName: "router " + key, Environments: []string{"production"},
	})
	if err != nil {
		return o, fmt.Errorf("draft: %w", err)
	}
	_, err = s.orders.Checkout(ctx, organization, o.ID)
	return o, err
}

// pay delivers the webhook of an order's payment and waits, as its page does, until the license is there.
func (s *shop) pay(ctx context.Context, o fulfillment.Order) error {
	ctx, cancel := context.WithTimeout(ctx, issueWait)
	defer cancel()
	changed := s.orders.Watch(ctx, o.ID)
	body, header, err := s.stripe.event(o.ID)
	if err != nil {
		return err
	}
	if err := s.deliver(ctx, body, header); err != nil {
		return err
	}
	for {
		now, err := s.orders.Order(ctx, o.OrganizationID, o.ID)
		switch {
		case err != nil:
			return err
		case now.State == fulfillment.StateIssued:
			return nil
		case now.State == fulfillment.StateInReview || now.State == fulfillment.StateFailed:
			return fmt.Errorf("order is %s: %v", now.State, now.Reasons)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("no license after %s; the order is %s", issueWait, now.State)
		}
	}
}
