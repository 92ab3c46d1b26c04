package fulfillment_test

import (
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// TestAnyChaosOfWebhooksEndsInTheSameLedger buys twenty times at once while events are lost, doubled and shuffled, with two
// workers and a reconciliation that repeats. However that goes, what was paid is licensed once, and nothing else is.
func TestAnyChaosOfWebhooksEndsInTheSameLedger(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.work()
			w.work()
			c := w.customer()
			w.sim("/_sim/delivery", map[string]any{"drop": 0.4, "duplicate": 0.5, "reorder": true, "seed": seed}, nil)
			wanted := buyAtOnce(c, 20)
			w.settle(wanted)
			w.holdsTo(wanted)
		})
	}
}

// buyAtOnce makes orders and ends each in one of four ways; it answers the state in which each must end.
func buyAtOnce(c customer, n int) map[string]fulfillment.State {
	var mu sync.Mutex
	var wait sync.WaitGroup
	wanted := map[string]fulfillment.State{}
	for i := range n {
		request := c.request("credit-pack-5m")
		request.DeploymentName = fmt.Sprintf("router %d", i)
		wait.Go(func() {
			o := c.draft(request)
			session := c.checkout(o)
			end := fulfillment.StateIssued
			switch i % 4 {
			case 0:
				c.payBy(session, "card_ok")
			case 1:
				c.payBy(session, "bank_ok")
				c.sim("/_sim/sessions/"+session+"/settle", map[string]any{"succeed": true}, nil)
			case 2:
				c.payBy(session, "bank_ok")
				c.sim("/_sim/sessions/"+session+"/settle", map[string]any{"succeed": false}, nil)
				end = fulfillment.StateFailed
			default:
				end = fulfillment.StateAwaitingPayment
			}
			mu.Lock()
			defer mu.Unlock()
			wanted[o.ID] = end
		})
	}
	wait.Wait()
	return wanted
}

// settle reconciles, as time goes by, until every order stands where it must.
func (w *world) settle(wanted map[string]fulfillment.State) {
	w.t.Helper()
	for end := time.Now().Add(patience); !maps.Equal(w.states(), wanted); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("orders are %v,\nwant %v", w.states(), wanted)
		}
		w.ago("orders", "checked_at", 2*time.Minute)
		w.ago("orders", "paid_at", 3*time.Minute)
		if _, err := w.fulfiller.Reconcile(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
	}
	w.eventually("done with every event", func() bool { return w.count("SELECT count(*) FROM events WHERE order_id IS NULL") == 0 })
	w.idle()
}

// webhooksPending counts what the stand-in has yet to deliver: orders may stand where they must before that.
func (w *world) webhooksPending() int {
	w.t.Helper()
	var seen struct {
		Events []struct {
			Pending int `json:"pending_webhooks"`
		} `json:"events"`
	}
	w.sim("/_sim/events", nil, &seen)
	pending := 0
	for _, e := range seen.Events {
		pending += e.Pending
	}
	return pending
}

func (w *world) states() map[string]fulfillment.State {
	w.t.Helper()
	rows, err := w.pool.Query(w.t.Context(), "SELECT id, state FROM orders")
	w.must(err)
	defer rows.Close()
	states := map[string]fulfillment.State{}
	for rows.Next() {
		var id string
		var state fulfillment.State
		w.must(rows.Scan(&id, &state))
		states[id] = state
	}
	w.must(rows.Err())
	return states
}

// holdsTo compares database, signer's log, mails and Stripe's payments with what was wanted.
func (w *world) holdsTo(wanted map[string]fulfillment.State) {
	w.t.Helper()
	licensed := 0
	for _, state := range wanted {
		if state == fulfillment.StateIssued {
			licensed++
		}
	}
	status, err := w.signer.Status(w.t.Context())
	w.must(err)
	for what, n := range map[string]int{
		"licenses":             w.count("SELECT count(*) FROM issuances"),
		"licensed orders":      w.count("SELECT count(DISTINCT order_id) FROM issuances JOIN orders ON orders.license_id = issuances.license_id"),
		"fulfillment keys":     w.count("SELECT count(DISTINCT fulfillment_key) FROM issuances"),
		"entries in the log":   int(status.LogSize),
		"mails":                len(w.mailed()),
		"payments at Stripe":   w.count("SELECT count(DISTINCT payment_intent) FROM checkout_sessions WHERE payment_status = 'paid'"),
		"paid orders":          w.count("SELECT count(*) FROM orders WHERE paid_at IS NOT NULL"),
		"events without order": licensed + w.count("SELECT count(*) FROM events WHERE order_id IS NULL"),
	} {
		if n != licensed {
			w.t.Errorf("%s: %d, want %d", what, n, licensed)
		}
	}
	if paid, unpaid, err := w.store.Gaps(w.t.Context(), time.Now()); err != nil || paid+unpaid != 0 {
		w.t.Errorf("gaps: %d paid without license, %d licenses without payment, %v", paid, unpaid, err)
	}
	if n := w.count("SELECT count(*) FROM events WHERE deliveries > 1"); n == 0 {
		w.t.Error("the chaos delivered nothing twice")
	}
}
