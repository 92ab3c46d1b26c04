package fulfillment_test

import (
	"crypto/rand"
	"strings"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// organization makes an organization with its owner.
func (w *world) organization(name, email string) (organizationID, userID string) {
	w.t.Helper()
	organizationID, err := fulfillment.NewID("cust_", time.Now(), rand.Reader)
	w.must(err)
	userID, err = fulfillment.NewID("usr_", time.Now(), rand.Reader)
	w.must(err)
	_, err = w.pool.Exec(w.t.Context(), `WITH o AS (INSERT INTO organizations (id, name, created_at) VALUES ($1, $2, now())),
		u AS (INSERT INTO users (id, email, created_at) VALUES ($3, $4, now())) SELECT 1`, organizationID, name, userID, email)
	w.must(err)
	_, err = w.pool.Exec(w.t.Context(), "INSERT INTO memberships (organization_id, user_id, role, created_at) VALUES ($1, $2, 'owner', now())", organizationID, userID)
	w.must(err)
	return organizationID, userID
}

// customer is an organization that buys.
type customer struct {
	*world
	organization, user, email string
}

func (w *world) customer() customer { return w.customerAt("Lumen & Söhne", buyer) }

func (w *world) customerAt(name, email string) customer {
	w.t.Helper()
	organizationID, userID := w.organization(name, email)
	return customer{w, organizationID, userID, email}
}

// request is a good request for a new license.
func (c customer) request(sku string) fulfillment.DraftRequest {
	environments := map[string]string{"eval-72h": "evaluation", "pilot-30d": "staging"}
	e := environments[sku]
	if e == "" {
		e = "production"
	}
	key, err := fulfillment.NewID("", time.Now(), rand.Reader)
	c.must(err)
	return fulfillment.DraftRequest{
		FormKey: key, OrganizationID: c.organization, UserID: c.user, BuyerEmail: c.email, Kind: catalog.IssueNew, SKU: sku,
		DeploymentName: "router " + key, Environments: []string{e},
	}
}

func (c customer) draft(r fulfillment.DraftRequest) fulfillment.Order {
	c.t.Helper()
	o, err := c.orders.Draft(c.t.Context(), r)
	c.must(err)
	return o
}

// checkout opens an order's session and answers the session's ID.
func (c customer) checkout(o fulfillment.Order) string {
	c.t.Helper()
	url, err := c.orders.Checkout(c.t.Context(), c.organization, o.ID)
	c.must(err)
	return url[strings.LastIndex(url, "/")+1:]
}

// order reads the order again.
func (c customer) order(o fulfillment.Order) fulfillment.Order {
	c.t.Helper()
	again, err := c.orders.Order(c.t.Context(), c.organization, o.ID)
	c.must(err)
	return again
}

// becomes waits for the order to reach a state.
func (c customer) becomes(o fulfillment.Order, state fulfillment.State) fulfillment.Order {
	c.t.Helper()
	return c.until(o, func(o fulfillment.Order) bool { return o.State == state }, string(state))
}

func (c customer) until(o fulfillment.Order, is func(fulfillment.Order) bool, what string) fulfillment.Order {
	c.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if o = c.order(o); is(o) {
			return o
		}
		if time.Now().After(end) {
			c.t.Fatalf("order is %s %v, not %s", o.State, o.Reasons, what)
		}
	}
}

func (c customer) license(o fulfillment.Order) fulfillment.License {
	c.t.Helper()
	l, err := c.library.License(c.t.Context(), c.organization, c.order(o).LicenseID)
	c.must(err)
	return l
}

// buy goes the whole way to the license.
func (c customer) buy(r fulfillment.DraftRequest) fulfillment.License {
	c.t.Helper()
	o := c.draft(r)
	c.pay(c.checkout(o), o.Snapshot.Total)
	return c.license(c.becomes(o, fulfillment.StateIssued))
}
