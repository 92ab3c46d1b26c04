package fulfillment_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

type fields = map[string]any

// scene is an order, and the object at Stripe that the next event is about.
type scene struct {
	customer
	order  fulfillment.Order
	object string
}

// row is an event that arrives while its object at Stripe is another than it says, and what comes of it.
type row struct {
	event string
	name  string           // what the event says and what is true
	from  string           // of scenes
	does  []func(s *scene) // what happens at Stripe, and no event of it arrives
	is    fields           // laid over the object at Stripe afterwards
	says  fields           // in what the event differs from the object as it was before
	want  come
}

// come is where things stand after an event.
type come struct {
	state    fulfillment.State
	reasons  string // codes of the review's reasons
	flags    string // codes of the flags, sorted
	words    string // that one of the reasons and flags has: what Stripe says, and not the event
	license  fulfillment.Standing
	outcome  string // of the event; "" while it waits for one that proves what Stripe says
	renewing fulfillment.Renewing
	mails    string // to the customer
	also     func(s *scene)
}

// scenes are what a row begins with; everything that happened there has arrived.
var scenes = map[string]func(c customer) scene{
	"an open session":                   func(c customer) scene { return c.opened(c.request("credit-pack-5m")) },
	"an open session of a free package": func(c customer) scene { return c.opened(c.request("eval-72h")) },
	"an open session of a subscription": func(c customer) scene {
		return c.opened(c.hosted("hosted-instance-monthly"))
	},
	"a license":           func(c customer) scene { return c.bought() },
	"a suspended license": func(c customer) scene { return c.taken("dispute", suspended) },
	"a revoked license":   func(c customer) scene { return c.taken("refund", revoked) },
	"a quote": func(c customer) scene {
		r := c.prepared(c.quoteDraft("enterprise-annual"))
		return scene{c, r.Order, r.Seen.Quote.ID}
	},
	"an open invoice": func(c customer) scene {
		r := c.prepared(c.quoteDraft("enterprise-annual"))
		return scene{c, r.Order, c.accepted(r).ID}
	},
	"an open invoice in yen": func(c customer) scene {
		d := c.quoteDraft("marketplace-seat")
		d.Total, d.Currency, d.Contract.ExpiresAt = 4_200_000, "JPY", c.now().AddDate(0, 9, 0).UTC().Truncate(time.Second)
		r := c.prepared(d)
		return scene{c, r.Order, c.accepted(r).ID}
	},
	"a draft invoice": func(c customer) scene {
		c.sim("/_sim/delivery", fields{"drop": 1}, nil) // before the quote's own event, which would finalize the invoice
		r := c.prepared(c.quoteDraft("enterprise-annual"))
		c.api(http.MethodPost, "/v1/quotes/"+r.Seen.Quote.ID+"/accept", "")
		quote, err := c.stripe.FetchQuote(c.t.Context(), r.Seen.Quote.ID)
		c.must(err)
		c.api(http.MethodPost, "/v1/invoices/"+quote.InvoiceID, "automatic_tax[enabled]=true") // of a customer without an address
		c.sim("/_sim/delivery", fields{}, nil)
		c.must(c.fulfiller.EvaluateOrder(c.t.Context(), r.ID))
		return scene{c, r.Order, c.invoiceOf(r, "draft").ID}
	},
	"a license by invoice": func(c customer) scene {
		r := c.prepared(c.quoteDraft("enterprise-annual"))
		invoice := c.accepted(r)
		c.object(invoice.ID, "pay", fields{})
		return scene{c, c.becomes(r.Order, fulfillment.StateIssued), invoice.ID}
	},
	"a subscription":                      func(c customer) scene { return c.subscribed("card_ok") },
	"a subscription whose card will fail": func(c customer) scene { return c.subscribed("card_fails_later") },
	"a subscription whose bank will ask":  func(c customer) scene { return c.subscribed("card_needs_confirmation") },
	"a customer at Stripe":                func(c customer) scene { return c.known() },
}

func (c customer) opened(r fulfillment.DraftRequest) scene {
	o := c.draft(r)
	return scene{c, o, c.checkout(o)}
}

func (c customer) bought() scene {
	s := c.opened(c.request("credit-pack-5m"))
	c.payBy(s.object, "card_ok")
	s.order = c.becomes(s.order, fulfillment.StateIssued)
	return s
}

// taken is a license whose payment was taken back by a dispute or refund, which is the scene's object.
func (c customer) taken(action string, standing fulfillment.Standing) scene {
	s := c.bought()
	s.object = c.act(s.object, action, nil)
	c.stands(c.license(s.order), standing)
	c.later()
	return s
}

func (c customer) subscribed(method string) scene {
	s := c.subscribe(method)
	return scene{c, s.order, s.id}
}

// known is a customer of whom Stripe has one too.
func (c customer) known() scene {
	s := c.subscribed("card_ok")
	s.object = c.stripeCustomer()
	return s
}

// owned looks whether the organization is as it was, with a customer at Stripe.
func (s *scene) owned(stripeCustomer string) {
	s.t.Helper()
	if got := s.stripeCustomer(); got != stripeCustomer {
		s.t.Errorf("its customer at Stripe is %q, not %q", got, stripeCustomer)
	}
	if s.count(`SELECT count(*) FROM memberships m JOIN users u ON u.id = m.user_id JOIN orders o ON o.organization_id = m.organization_id
		WHERE o.id = $1 AND u.email = $2`, s.order.ID, s.email) != 1 {
		s.t.Error("another owns the order")
	}
}

// invoices looks how many invoices the order has.
func (s *scene) invoices(n int) {
	s.t.Helper()
	if got := s.count("SELECT count(*) FROM invoices WHERE order_id = $1", s.order.ID); got != n {
		s.t.Errorf("%d invoices, not %d", got, n)
	}
}

// stripeCustomer is the organization's customer at Stripe, "" for none.
func (c customer) stripeCustomer() (id string) {
	c.t.Helper()
	c.must(c.pool.QueryRow(c.t.Context(), "SELECT coalesce(stripe_customer_id, '') FROM organizations WHERE id = $1", c.organization).Scan(&id))
	return id
}

// What happens at Stripe.

func pays(method string) func(s *scene) {
	return func(s *scene) { s.payBy(s.object, method) }
}

// acts does an action of the stand-in's, and the event will be about what came of it.
func acts(action string, in fields) func(s *scene) {
	return func(s *scene) { s.object = s.act(s.object, action, in) }
}

// does does one to what the event is about all the same.
func does(action string, in fields) func(s *scene) {
	return func(s *scene) { s.act(s.object, action, in) }
}

// refundsAs refunds in full, by a refund of a status; the event is about the charge.
func refundsAs(status string) func(s *scene) {
	return func(s *scene) {
		s.patch(s.act(s.object, "refund", nil), "object", fields{"status": status})
		charged(s)
	}
}

// calls calls Stripe's API about the object, as staff with another client do.
func calls(method, path, form string) func(s *scene) {
	return func(s *scene) { s.api(method, strings.ReplaceAll(path, "ID", s.object), form) }
}

func settles(well bool) func(s *scene) {
	return func(s *scene) { s.sim("/_sim/sessions/"+s.object+"/settle", fields{"succeed": well}, nil) }
}

// charged has the event be about the charge of what was paid.
func charged(s *scene) {
	s.object = s.stripeObject(s.stripeObject(s.object).str("payment_intent")).str("latest_charge")
}

// invoiced has the event be about the newest invoice of a subscription.
func invoiced(s *scene) { s.object = s.stripeObject(s.object).str("latest_invoice") }

// credits makes a credit note on an invoice.
func credits(form string) func(s *scene) {
	return func(s *scene) {
		s.object = s.api(http.MethodPost, "/v1/credit_notes", "invoice="+s.object+"&"+form)
	}
}

// api calls the stand-in as another client of the account would, and answers the ID of what it answers.
func (w *world) api(method, path, form string) string {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.simURL+path, strings.NewReader(form))
	w.must(err)
	r.Header.Set("Authorization", "Bearer "+stripeKey)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := http.DefaultClient.Do(r)
	w.must(err)
	defer response.Body.Close()
	var answer struct {
		ID    string `json:"id"`
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	w.must(json.NewDecoder(response.Body).Decode(&answer))
	if response.StatusCode != http.StatusOK {
		w.t.Fatalf("%s: %d %s", path, response.StatusCode, answer.Error.Message)
	}
	return answer.ID
}

type stripeObject fields

// str is a member that is a text, else "".
func (o stripeObject) str(member string) string {
	s, _ := o[member].(string)
	return s
}

// stripeObject reads an object as Stripe shows it; nil where it is gone.
func (w *world) stripeObject(id string) stripeObject {
	w.t.Helper()
	response, err := http.Get(w.simURL + "/_sim/objects/" + id)
	w.must(err)
	defer response.Body.Close()
	if response.StatusCode == http.StatusNotFound {
		return nil
	}
	var answer struct {
		Object stripeObject `json:"object"`
	}
	w.must(json.NewDecoder(response.Body).Decode(&answer))
	return answer.Object
}

// stripeObjects reads the newest objects of a kind.
func (w *world) stripeObjects(kind string) []stripeObject {
	w.t.Helper()
	var answer struct {
		Objects []struct {
			Object stripeObject `json:"object"`
		} `json:"objects"`
	}
	w.sim("/_sim/objects?kind="+kind, nil, &answer)
	list := make([]stripeObject, len(answer.Objects))
	for i, o := range answer.Objects {
		list[i] = o.Object
	}
	return list
}

// stripeNow is Stripe's clock, which later puts ahead of the others.
func (w *world) stripeNow() time.Time {
	w.t.Helper()
	var clock struct {
		Now time.Time `json:"now"`
	}
	w.sim("/_sim/clock", nil, &clock)
	return clock.Now
}

// about is a signed event of a type about an object as it is told.
func (w *world) about(eventType, eventID string, object stripeObject) (body []byte, header string) {
	return event(func(e map[string]any) {
		e["id"], e["type"], e["created"] = eventID, eventType, w.stripeNow().Unix()
		e["data"] = fields{"object": object}
	})
}

// plays lets a row happen, and compares what comes of it.
func (w *world) plays(t *testing.T, n int, r row) {
	scene := scenes[r.from]
	if scene == nil {
		t.Fatalf("there is no scene %q", r.from)
	}
	w.t = t
	s := scene(w.customerAt(fmt.Sprintf("Buyer %d", n), fmt.Sprintf("buyer@firm%d.example", n)))
	w.idle()
	mailed := w.allMails()
	w.sim("/_sim/delivery", fields{"drop": 1}, nil)
	defer w.sim("/_sim/delivery", fields{}, nil)
	told := w.stripeObject(s.object)
	for _, happens := range r.does {
		happens(&s)
		if now := w.stripeObject(s.object); now != nil {
			told = now
		}
	}
	if r.is != nil {
		w.patch(s.object, "object", r.is)
	}
	told = maps.Clone(told)
	maps.Copy(told, r.says)
	if now := w.stripeObject(s.object); now != nil && r.is == nil && reflect.DeepEqual(told, now) {
		t.Fatal("the event says what is true: the row shows nothing")
	}
	id := fmt.Sprintf("evt_row_%d", n)
	body, header := w.about(r.event, id, told)
	for range 2 {
		w.must(w.inbox.Receive(t.Context(), body, header))
	}
	w.idle()
	s.compare(id, r.want, mailed)
}

// compare holds against what is there what should have come of an event.
func (s *scene) compare(event string, want come, mailed map[string]int) {
	s.t.Helper()
	o := s.order
	if id, err := s.store.OrderOfObject(s.t.Context(), s.object); err == nil {
		o.ID = id
	}
	o = s.customer.order(o)
	var outcome string
	s.must(s.pool.QueryRow(s.t.Context(), "SELECT outcome FROM events WHERE id = $1 AND deliveries = 2", event).Scan(&outcome))
	got := come{state: o.State, reasons: codes(o.Reasons), outcome: outcome, words: want.words}
	flags := s.flags(o.ID)
	slices.Sort(flags)
	got.flags = strings.Join(flags, " ")
	if o.LicenseID != "" {
		got.license = s.customer.license(o).Standing(s.now())
	}
	if want.renewing != "" {
		seen, err := s.store.SubscriptionOfOrder(s.t.Context(), s.organization, o.ID)
		s.must(err)
		got.renewing = seen.Renewing()
	}
	got.mails = since(mailed, s.allMails())
	also := want.also
	if want.also = nil; !reflect.DeepEqual(got, want) {
		s.t.Errorf("came to\n%+v, not\n%+v\nreasons %+v", got, want, o.Reasons)
	}
	if read := s.staffRead(o); !strings.Contains(read, want.words) {
		s.t.Errorf("staff do not read %q but %s", want.words, read)
	}
	if also != nil {
		also(s)
	}
}

// staffRead is what staff are told of an order.
func (w *world) staffRead(o fulfillment.Order) (read string) {
	w.t.Helper()
	w.must(w.pool.QueryRow(w.t.Context(), "SELECT coalesce(string_agg(detail, ' '), '') FROM order_log WHERE order_id = $1", o.ID).Scan(&read))
	return fmt.Sprint(read, " ", o.Reasons)
}

// allMails counts what customers were mailed, by kind.
func (w *world) allMails() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := map[string]int{"ready": len(w.mails), "standing": len(w.told)}
	for _, m := range w.owed {
		if m.Confirm {
			n["confirm"]++
		} else {
			n["owed"]++
		}
	}
	return n
}

// since writes what came to the mails.
func since(before, after map[string]int) string {
	var list []string
	for _, kind := range slices.Sorted(maps.Keys(after)) {
		for range after[kind] - before[kind] {
			list = append(list, kind)
		}
	}
	return strings.Join(list, " ")
}
