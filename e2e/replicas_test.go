package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// raw is an event as Stripe sends it.
func (d *demo) raw(t *testing.T, session string) []byte {
	t.Helper()
	var events struct {
		Events []struct {
			ID string `json:"id"`
		} `json:"events"`
	}
	d.control(t, http.MethodGet, "/_sim/events?type=checkout.session.completed&object="+session, nil, &events)
	if len(events.Events) != 1 {
		t.Fatalf("%d events of %s", len(events.Events), session)
	}
	var shown struct {
		Event json.RawMessage `json:"event"`
	}
	d.control(t, http.MethodGet, "/_sim/events/"+events.Events[0].ID, nil, &shown)
	return shown.Event
}

func TestTwoPortalsAndTwoWorkersMakeOneLicenseEach(t *testing.T) {
	t.Parallel()
	d := ownDemo(t)
	second, said := d.secondPortal(t)
	_, worked := d.process(t, "worker")
	portals := []string{d.info.PortalURL, second}
	c := newClient(t, d).signIn()
	d.control(t, http.MethodPost, "/_sim/delivery", map[string]any{"hold": true}, nil)
	const orders = 12
	var ids []string
	var sends sync.WaitGroup
	for n := range orders {
		c.base = portals[n%2]
		order, session := c.order(pack5, fmt.Sprintf("router-%d", n))
		d.payAt(t, session, "card_ok")
		body := d.raw(t, session)
		for copy := range 6 {
			sends.Go(func() {
				if status, answer := d.webhook(t, portals[copy%2], body, d.signed(body, time.Now())); status != http.StatusOK {
					t.Errorf("answered %d %s", status, answer)
				}
			})
		}
		ids = append(ids, order)
	}
	sends.Wait()
	licenses := map[string]bool{}
	for _, id := range ids {
		licenses[d.issued(t, id)] = true
	}
	if len(licenses) != orders || d.logSize(t) != orders {
		t.Errorf("%d licenses and %d leaves for %d orders", len(licenses), d.logSize(t), orders)
	}
	if got := d.query(t, `SELECT count(*) || ' ' || min(deliveries) || ' ' || max(deliveries) FROM events`); got != fmt.Sprintf("%d 6 6", orders) {
		t.Errorf("events and their deliveries: %s", got)
	}
	eventually(t, waitLong, "a mail for each", func() bool {
		ready := 0
		for _, m := range (&person{t: t, d: d, email: c.email}).mails() {
			if strings.Contains(m.Subject, "license is ready") {
				ready++
			}
		}
		if ready > orders {
			t.Fatalf("%d mails for %d licenses", ready, orders)
		}
		return ready == orders
	})
	// A session of one portal is a session of the other.
	for _, portal := range portals {
		c.base = portal
		if r := c.get("/orders/" + ids[0]); r.status != http.StatusOK || !strings.Contains(r.body, ready) {
			t.Errorf("%s answers %d", portal, r.status)
		}
	}
	if log := said.String() + worked.String(); strings.Contains(log, `"ERROR"`) || panicked.MatchString(log) {
		t.Errorf("the second portal and worker say\n%s", log)
	}
}

func TestAPersonFollowsAtMostTwentyOrdersAtOnceAndNoneAfterLeaving(t *testing.T) {
	t.Parallel()
	d := shared
	c := newClient(t, d).signIn()
	order, _ := c.order(pack5, "router")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var open []*http.Response
	for range 20 {
		res := c.stream(ctx, order)
		if res.StatusCode != http.StatusOK {
			t.Fatalf("stream %d: %d", len(open)+1, res.StatusCode)
		}
		open = append(open, res)
	}
	if res := c.stream(ctx, order); res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") == "" {
		t.Errorf("one stream too many: %d", res.StatusCode)
	}
	if r := c.get("/orders/" + order); r.status != http.StatusOK {
		t.Errorf("meanwhile the page answers %d", r.status)
	}
	other := newClient(t, d).signIn()
	theirs, _ := other.order(pack5, "router")
	if res := other.stream(ctx, theirs); res.StatusCode != http.StatusOK {
		t.Errorf("another person's stream: %d", res.StatusCode)
	}
	d.exec(t, fmt.Sprintf(`DELETE FROM memberships WHERE user_id = (SELECT id FROM users WHERE email = '%s')`, c.email))
	start := time.Now()
	for _, res := range open {
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			buffer := make([]byte, 4096)
			for {
				if _, err := res.Body.Read(buffer); err != nil {
					return
				}
			}
		}()
		select {
		case <-ended:
		case <-time.After(15*time.Second - time.Since(start)):
			t.Fatal("a stream goes on after its member left")
		}
	}
	if r := c.post("/orders/"+order+"/cancel", url.Values{}); r.status != http.StatusSeeOther || r.header.Get("Location") != "/welcome" {
		t.Errorf("who left cancels: %d", r.status)
	}
}

// stream follows an order until ctx ends.
func (c *client) stream(ctx context.Context, order string) *http.Response {
	c.t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/orders/"+order+"/events", nil)
	if err != nil {
		c.t.Fatal(err)
	}
	res, err := (&http.Client{Jar: c.http.Jar}).Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	return res
}
