package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/internal/postgres"
)

// manyBilled adds what is sold by invoice: 3,000 orders by quote, 3,000 that began a subscription and 3,000 cycles of those,
// each with its invoice, and the mails and staff requests of as many licenses.
const manyBilled = `
INSERT INTO deployments (id, organization_id, name, created_at)
SELECT 'dep_' || k || n, 'cust_' || n % 600 + 1, k || ' router ' || n, now() FROM generate_series(1, 3000) n, unnest(ARRAY['q', 's']) k;
INSERT INTO orders (id, organization_id, created_by, buyer_email, mail_domain, deployment_id, deployment_name, state, kind, sku, template_ref,
	evaluation, snapshot, currency, total, form_key, attempt, created_at, submitted_at, closed_at, updated_at, checked_at, channel)
SELECT 'ord_' || k || n, 'cust_' || n % 600 + 1, 'usr_' || n % 600 + 1, 'x@x.example', 'c' || n % 600 + 1 || '.example', 'dep_' || k || n, 'router', 'canceled',
	'new', 'hosted', 'hosted@1', false, jsonb_build_object('channel', c, 'template', '{"name": "Hosted"}'::jsonb), 'USD', 100, k || n, 1, now() - n * interval '1 s', now(), now(), now(), now(), c
FROM generate_series(1, 3000) n, (VALUES ('q', 'quote'), ('s', 'subscription')) kinds (k, c);
INSERT INTO quotes (id, order_id, status, facts, prepared_by, created_at, fetched_at)
SELECT 'qt_' || n, 'ord_q' || n, 'open', '{"expires_at": "2030-01-01T00:00:00Z"}', 'Ada', now(), now() FROM generate_series(1, 3000) n;
INSERT INTO subscriptions (id, order_id, status, facts, created_at, fetched_at)
SELECT 'sub_' || n, 'ord_s' || n, 'active', '{}', now(), now() FROM generate_series(1, 3000) n;
INSERT INTO orders (id, organization_id, created_by, buyer_email, mail_domain, deployment_id, deployment_name, state, kind, sku, template_ref,
	evaluation, snapshot, currency, total, form_key, attempt, created_at, submitted_at, closed_at, updated_at, checked_at, channel, subscription_id)
SELECT 'ord_c' || n, 'cust_' || n % 600 + 1, 'usr_' || n % 600 + 1, 'x@x.example', 'c' || n % 600 + 1 || '.example', 'dep_s' || n, 'router', 'canceled',
	'new', 'hosted', 'hosted@1', false, '{"channel": "cycle"}', 'USD', 100, 'c' || n, 1, now(), now(), now(), now(), now(), 'cycle', 'sub_' || n
FROM generate_series(1, 3000) n;
INSERT INTO invoices (id, order_id, subscription_id, status, payment_intent, facts, created_at, fetched_at)
SELECT 'in_' || k || n, 'ord_' || k || n, CASE WHEN k <> 'q' THEN 'sub_' || n END, 'open', 'pi_' || k || n,
	'{"number": "A-1", "amount_remaining": 100, "currency": "USD"}', now(), now() FROM generate_series(1, 3000) n, unnest(ARRAY['q', 's', 'c']) k;
INSERT INTO mails (kind, ref, created_at)
SELECT kind, before || n, now() FROM generate_series(1, 3000) n, (VALUES ('quote', 'ord_q'), ('invoice', 'in_q'), ('payment', 'in_c')) kinds (kind, before);
INSERT INTO issuances (license_id, fulfillment_key, organization_id, deployment_id, kind, sku, template_ref, template_name, base_license_id, envelope, sha256,
	key_id, issued_at, not_before, expires_at, stored_at, request_id)
SELECT 'lic_r' || n, 'req_' || n, 'cust_' || n % 600 + 1, 'dep_' || n, 'replacement', 'eval-72h', 'eval-72h@1', 'Evaluation', 'lic_' || n, '{"payload": {}}',
	encode(sha256('{"payload": {}}'), 'hex'), 'k', now(), now(), now() + interval '1 day', now(), 'req_' || n FROM generate_series(1, 3000) n;
INSERT INTO mails (kind, ref, created_at) SELECT 'replacement', 'lic_r' || n || '.usr_' || n % 600 + 1, now() FROM generate_series(1, 3000) n;
UPDATE organizations SET stripe_customer_id = 'cus_' || substr(id, 6);
ANALYZE;`

// billedCalls are the queries about quotes, invoices, subscriptions, money taken back and staff requests. What asks about all
// licenses in force, OldestLivePayment once a day and a key's rotation, reads as many and is not among them.
func billedCalls(ctx context.Context, t *testing.T, s *postgres.Fulfillment, now time.Time) map[string]func() error {
	only := func(_ any, err error) error { return err }
	mail := func(_ any, _ bool, err error) error { return err }
	quote := fulfillment.Quote{ID: "qt_6", Status: "open", StripeCustomer: "cus_7"}
	invoice := func(id, subscription string) fulfillment.Invoice {
		return fulfillment.Invoice{ID: id, Status: "open", StripeCustomer: "cus_7", SubscriptionID: subscription, PaymentIntentID: "pi_" + id, CreatedAt: now}
	}
	calls := map[string]func() error{
		"buyer":         func() error { _, _, err := s.Buyer(ctx, "cust_7", ""); return err },
		"form":          func() error { return only(s.OrderByForm(ctx, "cust_7", "q6")) },
		"quotes of one": func() error { return only(s.QuoteRows(ctx, "cust_7")) },
		"quotes of all": func() error {
			list, err := s.QuoteRows(ctx, "")
			if len(list) != 200 || list[0].ID != "ord_q1" || list[199].ID != "ord_q200" {
				t.Errorf("%d quotes", len(list))
			}
			return err
		},
		"quoted": func() error {
			r, err := s.OrderRecord(ctx, "ord_q7")
			if err != nil {
				return err
			}
			other := quote
			other.ID = "qt_7"
			return s.AddQuote(ctx, r, other, now)
		},
		"accepted":            func() error { return s.MarkAccepted(ctx, "ord_q6", "usr_7", now) },
		"settled":             func() error { return s.SettleQuote(ctx, "ord_q6", quote, now) },
		"quote mail":          func() error { return mail(s.QuoteMail(ctx, "ord_q6")) },
		"invoice mail":        func() error { return mail(s.InvoiceMail(ctx, "in_q6")) },
		"payment mail":        func() error { return mail(s.OwedCycle(ctx, "in_c6")) },
		"bill mailed":         func() error { return s.MarkBillMailed(ctx, "invoice", "in_q6", now) },
		"payment mailed":      func() error { return s.MarkPaymentMailed(ctx, "in_c6", now) },
		"object":              func() error { return only(s.OrderOfObject(ctx, "in_c6")) },
		"cycle":               func() error { return s.OpenCycle(ctx, "ord_new", "sub_6", invoice("in_new", "sub_6"), now) },
		"subscription":        func() error { return only(s.SubscriptionOfOrder(ctx, "cust_7", "ord_c6")) },
		"of a deployment":     func() error { return only(s.SubscriptionOfDeployment(ctx, "cust_7", "dep_s6")) },
		"subscribed":          func() error { return only(s.Subscribed(ctx, "cust_7", "dep_s6", "ord_6")) },
		"order of a payment":  func() error { return only(s.OrderOfPayment(ctx, "pi_s6", "")) },
		"order of an invoice": func() error { return only(s.OrderOfPayment(ctx, "", "in_s6")) },
		"events about":        func() error { return only(s.EventsAbout(ctx, "test", "cs_6")) },
		"missing events":      func() error { return only(s.MissingEvents(ctx, "test", []string{"evt_6", "evt_none"})) },
		"forget customer":     func() error { return s.ForgetCustomer(ctx, "cus_9") },
		"live payments":       func() error { return only(s.LivePayments(ctx, now, []string{"pi_q6", "pi_s6"})) },
		"note payment": func() error {
			return s.NotePayment(ctx, "ord_6", []fulfillment.Reason{{Code: "x", Detail: "z"}}, nil, now)
		},
		"gauges":             func() error { return only(s.Gauges(ctx, now)) },
		"request":            func() error { return only(s.Request(ctx, "req_6")) },
		"add request":        func() error { return s.AddRequest(ctx, revocation(t, "req_new", now.AddDate(-1, 0, 0))) },
		"replacement mail":   func() error { return mail(s.ReplacementMail(ctx, "lic_r6", "usr_7")) },
		"replacement mailed": func() error { return s.MarkReplacementMailed(ctx, "lic_r6", "usr_7", now) },
		"rotating":           func() error { return only(s.Rotating(ctx, "req_1", "lic_6")) },
		"end of one": func() error {
			return s.EndRotated(ctx, "req_1", "lic_6", fulfillment.RotationEnd{At: now, Note: "passed: x"})
		},
	}
	for name, order := range map[string]string{"evaluate a quote": "ord_q8", "evaluate a subscription": "ord_s8", "evaluate a cycle": "ord_c8"} {
		calls[name] = func() error {
			r, err := s.OrderRecord(ctx, order)
			if err != nil {
				return err
			}
			seen := fulfillment.Seen{Quote: r.Seen.Quote, Invoices: []fulfillment.Invoice{invoice("in_"+order[4:], "")}}
			if r.Seen.Subscription != nil {
				seen.Subscription = &fulfillment.Subscription{ID: "sub_8", Status: "active", StripeCustomer: "cus_9", CreatedAt: now}
			}
			return s.Evaluate(ctx, r, seen, now, func(r fulfillment.Record, _ fulfillment.Facts) fulfillment.Verdict {
				return fulfillment.Verdict{State: r.State}
			})
		}
	}
	return calls
}
