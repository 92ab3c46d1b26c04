package fulfillment_test

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/billing"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/internal/postgres"
)

// overtaken is Stripe whose event of an expired session is evaluated before the call that expired it comes back.
type overtaken struct {
	*billing.Client
	evaluate func() error
}

func (s overtaken) ExpireSession(ctx context.Context, id string) error {
	if err := s.Client.ExpireSession(ctx, id); err != nil {
		return err
	}
	return s.evaluate()
}

func TestACancelThatItsOwnEventOvertakesIsACancel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.customer()
	o := c.draft(c.request("credit-pack-5m"))
	c.checkout(o)
	moved := 0
	orders, err := fulfillment.NewOrders(fulfillment.OrdersConfig{
		Store: w.store, Licenses: w.store, Catalog: fulfillment.NewCatalog(w.signer, time.Now), PublicURL: "http://localhost:8080",
		Stripe: overtaken{w.stripe, func() error {
			moved++
			return w.fulfiller.EvaluateOrder(t.Context(), o.ID)
		}},
		Watcher: postgres.NewWatcher(w.url, w.log), Now: time.Now, Random: rand.Reader, Log: w.log,
	})
	w.must(err)
	w.must(orders.Cancel(t.Context(), c.organization, o.ID))
	if moved != 1 {
		t.Fatalf("the event was evaluated %d times in between", moved)
	}
	if got := c.order(o); got.State != fulfillment.StateCanceled || got.ClosedAt.IsZero() {
		t.Errorf("canceled, and the order is %s", got.State)
	}
	w.must(w.fulfiller.EvaluateOrder(t.Context(), o.ID))
	if got := c.order(o); got.State != fulfillment.StateCanceled {
		t.Errorf("evaluated again, the order is %s", got.State)
	}
}
