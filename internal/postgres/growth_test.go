package postgres_test

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/internal/postgres"
	"github.com/metrum-ai/licensing-portal/internal/postgres/pgtest"
	"github.com/metrum-ai/licensing-portal/license"
)

// noQueue takes jobs and forgets them.
type noQueue struct{}

func (noQueue) EnqueueEvaluate(context.Context, pgx.Tx, string, string) error        { return nil }
func (noQueue) EnqueueEvaluateOrder(context.Context, pgx.Tx, string) error           { return nil }
func (noQueue) EnqueueLook(context.Context, pgx.Tx, string) error                    { return nil }
func (noQueue) EnqueueRevoke(context.Context, pgx.Tx, string, string) error          { return nil }
func (noQueue) EnqueueStandingMail(context.Context, pgx.Tx, string, int64) error     { return nil }
func (noQueue) EnqueueIssue(context.Context, pgx.Tx, string, int64) error            { return nil }
func (noQueue) EnqueueReadyMail(context.Context, pgx.Tx, string) error               { return nil }
func (noQueue) EnqueueQuoteMail(context.Context, pgx.Tx, string) error               { return nil }
func (noQueue) EnqueueInvoiceMail(context.Context, pgx.Tx, string) error             { return nil }
func (noQueue) EnqueuePaymentMail(context.Context, pgx.Tx, string) error             { return nil }
func (noQueue) EnqueueSignInMail(context.Context, pgx.Tx, string) error              { return nil }
func (noQueue) EnqueueRequest(context.Context, pgx.Tx, string) error                 { return nil }
func (noQueue) EnqueueRotate(context.Context, pgx.Tx, string, []string) error        { return nil }
func (noQueue) EnqueueReplacementMail(context.Context, pgx.Tx, string, string) error { return nil }

// manyRows fills every table that grows: 6,000 issued orders of 600 organizations, each with session, event and license.
const manyRows = `
INSERT INTO organizations (id, name, created_at) SELECT 'cust_' || n, 'Customer ' || n, now() FROM generate_series(1, 600) n;
INSERT INTO users (id, email, created_at) SELECT 'usr_' || n, n || '@c' || n || '.example', now() FROM generate_series(1, 600) n;
INSERT INTO deployments (id, organization_id, name, created_at) SELECT 'dep_' || n, 'cust_' || n % 600 + 1, 'router ' || n, now() FROM generate_series(1, 6000) n;
INSERT INTO orders (id, organization_id, created_by, buyer_email, mail_domain, deployment_id, deployment_name, state, kind, sku, template_ref,
	evaluation, snapshot, currency, total, form_key, attempt, license_id, created_at, submitted_at, paid_at, issued_at, updated_at, checked_at)
SELECT 'ord_' || n, 'cust_' || n % 600 + 1, 'usr_' || n % 600 + 1, 'x@x.example', 'c' || n % 600 + 1 || '.example', 'dep_' || n, 'router ' || n, 'issued',
	'new', 'eval-72h', 'eval-72h@1', n % 3 = 0, '{"template": {"one_per_customer": true}}', 'USD', 0, n::text, 1, 'lic_' || n,
	now() - n * interval '1 s', now(), now(), now(), now(), now() - interval '1 day' FROM generate_series(1, 6000) n;
INSERT INTO checkout_sessions (id, order_id, attempt, url, status, payment_status, facts, created_at, expires_at)
SELECT 'cs_' || n, 'ord_' || n, 1, '', 'complete', 'paid', '{}', now(), now() FROM generate_series(1, 6000) n;
INSERT INTO events (mode, id, type, api_version, object_id, payment_status, reference, created, received_at, body, signature_header, outcome)
SELECT 'test', 'evt_' || n, 'checkout.session.completed', '2023-10-16', 'cs_' || n, 'paid', '', now(), now(), '{}', '', 'evaluated' FROM generate_series(1, 6000) n;
INSERT INTO issuances (license_id, order_id, fulfillment_key, organization_id, deployment_id, kind, sku, template_ref, template_name, envelope, sha256,
	key_id, issued_at, not_before, expires_at, stored_at)
SELECT 'lic_' || n, 'ord_' || n, 'ord_' || n, 'cust_' || n % 600 + 1, 'dep_' || n, 'new', 'eval-72h', 'eval-72h@1', 'Evaluation', '{"payload": {}}',
	encode(sha256('{"payload": {}}'), 'hex'), 'k', now(), now(), now() + interval '1 day', now() - n * interval '1 s' FROM generate_series(1, 6000) n;
INSERT INTO events (mode, id, type, api_version, object_id, payment_status, reference, created, received_at, body, signature_header, outcome, takes_back)
SELECT 'test', 'evt_back_' || n, 'charge.refunded', '2023-10-16', 'ch_' || n, '', '', now(), now(), '{}', '', 'revoked 1', 'pi_' || n FROM generate_series(1, 6000) n;
INSERT INTO revocation_bundles (epoch, envelope, sha256, entries, issued_at, expires_at, stored_at)
SELECT n, '{}', encode(sha256('{}'), 'hex'), 1, now(), now() + interval '35 days', now() FROM generate_series(1, 6000) n;
INSERT INTO revocation_changes (license_id, epoch, was, status, reason, superseded_by) SELECT 'lic_' || n + 3000, n, '', 'suspended', '', '' FROM generate_series(1, 6000) n;
INSERT INTO license_revocations (license_id, epoch, status, reason, superseded_by) SELECT 'lic_' || n + 3000, n, 'suspended', '', '' FROM generate_series(1, 6000) n;
INSERT INTO staff_requests (id, body, digest, action, proposer, subjects, created_at, expires_at, needed)
SELECT id, body, encode(sha256(convert_to(body, 'UTF8')), 'hex'), 'revoke', 'Ada', ARRAY['lic_6'], at, at + interval '24 hours', 1 FROM (
	SELECT 'req_' || n AS id, at, E'licensing-portal staff request v1\nrequest req_' || n || E'\naction revoke\nproposer Ada\ncreated_at ' ||
		to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') || E'\nreason resolved\nexplanation Nobody needs to know more.\nlicense_id lic_6\nstatus reinstated\n' AS body
	FROM (SELECT n, date_trunc('second', now()) - n * interval '1 s' AS at FROM generate_series(1, 6000) n) t) r;
INSERT INTO staff_assertions (request_id, name, approves, credential_id, authenticator_data, client_data, signature, at)
SELECT 'req_' || n, 'Ada', false, 'AAAA', '', '', '', now() FROM generate_series(1, 6000) n;
INSERT INTO staff_rotations (request_id, license_id) SELECT 'req_' || n % 6 + 1, 'lic_' || n FROM generate_series(1, 6000) n;
INSERT INTO mails (kind, ref, created_at) SELECT 'standing', 'lic_' || n + 3000 || '.' || n, now() FROM generate_series(1, 3000) n;
INSERT INTO memberships (organization_id, user_id, role, created_at) SELECT 'cust_' || n, 'usr_' || n, 'owner', now() FROM generate_series(1, 600) n;
INSERT INTO order_log (order_id, at, what, actor) SELECT 'ord_' || n, now(), 'issued', 'signer' FROM generate_series(1, 6000) n;
INSERT INTO refunded_charges (order_id, charge_id, currency, amount, refunded, seen_at) SELECT 'ord_' || n, 'ch_' || n, 'USD', 100, 50, now() FROM generate_series(1, 6000) n;
ANALYZE;`

func TestNothingReadsAWholeTableThatGrows(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	config, err := pgxpool.ParseConfig(pgtest.URL(t, postgres.Migrate))
	if err != nil {
		t.Fatal(err)
	}
	config.MaxConns = 1 // statistics are flushed by the connection that made them
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	for _, sql := range []string{manyRows, manyBilled} {
		if _, err := pool.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	var suspended []license.RevocationEntry
	for n := 3001; n < 9000; n++ { // all but the last
		suspended = append(suspended, license.RevocationEntry{LicenseID: fmt.Sprint("lic_", n), Status: license.StatusSuspended})
	}
	s, now := postgres.NewFulfillment(pool, noQueue{}), time.Now()
	only := func(_ any, err error) error { return err }
	page := func(_ any, _ string, err error) error { return err }
	calls := map[string]func() error{
		"orders": func() error {
			return page(s.OrderPage(ctx, "cust_7", fulfillment.OrdersAll, fulfillment.Page{}))
		},
		"open orders": func() error {
			return page(s.OrderPage(ctx, "cust_7", fulfillment.OrdersOpen, fulfillment.Page{}))
		},
		"order": func() error { return only(s.Record(ctx, "cust_7", "ord_6")) },
		"all": func() error {
			return page(s.LicensePage(ctx, "cust_7", fulfillment.FilterAll, fulfillment.Page{}, now))
		},
		"current": func() error {
			return page(s.LicensePage(ctx, "cust_7", fulfillment.FilterCurrent, fulfillment.Page{}, now))
		},
		"expired": func() error {
			return page(s.LicensePage(ctx, "cust_7", fulfillment.FilterExpired, fulfillment.Page{}, now))
		},
		"lineage":     func() error { return only(s.Lineage(ctx, "cust_7", "dep_6")) },
		"deployments": func() error { return only(s.Deployments(ctx, "cust_7")) },
		"download":    func() error { return s.NoteDownload(ctx, "cust_7", "lic_6", "usr_7", now) },
		"installed":   func() error { return s.NoteInstalled(ctx, "cust_7", "lic_6", now) },
		"evidence":    func() error { return only(s.Evidence(ctx, "ord_6", []string{"cs_6"})) },
		"order log":   func() error { return only(s.OrderLog(ctx, "ord_6")) },
		"session":     func() error { return only(s.OrderOfObject(ctx, "cs_6")) },
		"review":      func() error { return only(s.InReview(ctx)) },
		"due":         func() error { return only(s.DueOrders(ctx, now, 100)) },
		"gaps":        func() error { _, _, err := s.Gaps(ctx, now); return err },
		"refund": func() error {
			return only(s.AddEvent(ctx, fulfillment.ReceivedEvent{Mode: "test", ID: "evt_back", Type: "charge.refunded", Payment: "pi_6", Created: now, ReceivedAt: now, Body: []byte("{}")}))
		},
		"event": func() error {
			return only(s.AddEvent(ctx, fulfillment.ReceivedEvent{Mode: "test", ID: "evt_new", Created: now, ReceivedAt: now, Body: []byte("{}")}))
		},
		"taken back":      func() error { _, err := s.TakenBack(ctx, "test", "evt_back_6"); return err },
		"taken back left": func() error { return only(s.TakenBackLeft(ctx, now, 100)) },
		"standing mail":   func() error { _, _, err := s.StandingMail(ctx, "lic_3006", 6); return err },
		"revocations":     func() error { return only(s.NewestRevocations(ctx)) },
		"any license":     func() error { return only(s.AnyLicense(ctx, "lic_6")) },
		"requests": func() error {
			list, err := s.RequestList(ctx, 25)
			if len(list) != 25 || list[0].ID != "req_1" || len(list[24].Stands) != 1 {
				t.Errorf("%d requests", len(list))
			}
			return err
		},
		"stand": func() error {
			return only(s.AddStand(ctx, "req_6", stand("Ben", true, now), 1))
		},
		"bundle": func() error {
			return s.StoreRevocations(ctx, fulfillment.RevocationAnswer{At: now, Entries: suspended, Bundle: fulfillment.RevocationBundle{
				Epoch: 7000, IssuedAt: now, ExpiresAt: now.Add(time.Hour), Envelope: []byte("{}"), SHA256: "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
			}, Event: &fulfillment.TakenBack{Mode: "test", EventID: "evt_back_6", OrderID: "ord_6", Outcome: "x", Review: []string{"lic_6"},
				Charge: &fulfillment.Charge{ID: "ch_6", Currency: "USD", Amount: 100, AmountRefunded: 60, SeenAt: now}}})
		},
		"evaluate": func() error {
			r, err := s.OrderRecord(ctx, "ord_6")
			if err != nil {
				return err
			}
			return s.Evaluate(ctx, r, fulfillment.Seen{Sessions: []fulfillment.Session{{ID: "cs_6", Status: "complete", PaymentStatus: "paid"}}}, now,
				func(r fulfillment.Record, f fulfillment.Facts) fulfillment.Verdict {
					if f.TakenByOrganization == "" || len(f.Authorized) != 1 {
						t.Errorf("facts: %+v", f)
					}
					return fulfillment.Verdict{State: r.State, Paid: true, Flags: []fulfillment.Reason{{Code: "x", Detail: "y"}}}
				})
		},
	}
	maps.Copy(calls, billedCalls(ctx, t, s, now))
	// scans counts the whole reads of each table that grows.
	scans := func() map[string]int64 {
		rows, err := pool.Query(ctx, `SELECT relname, coalesce(seq_scan, 0) FROM pg_stat_user_tables
			WHERE relname IN ('orders', 'issuances', 'events', 'checkout_sessions', 'order_log', 'deployments', 'downloads', 'revocation_bundles', 'revocation_changes',
			'staff_requests', 'staff_assertions', 'staff_rotations', 'refunded_charges', 'invoices', 'quotes', 'subscriptions', 'mails', 'memberships', 'organizations',
			'license_revocations')`)
		if err != nil {
			t.Fatal(err)
		}
		counted, name, n := map[string]int64{}, "", int64(0)
		if _, err := pgx.ForEachRow(rows, []any{&name, &n}, func() error { counted[name] = n; return nil }); err != nil {
			t.Fatal(err)
		}
		return counted
	}
	flush := func() {
		if _, err := pool.Exec(ctx, "SELECT pg_stat_force_next_flush()"); err != nil {
			t.Fatal(err)
		}
	}
	for name, call := range calls {
		flush()
		before := scans()
		if err := call(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		flush()
		for table, n := range scans() {
			if n != before[table] && (name != "bundle" || table != "license_revocations") { // a bundle is all that stands there
				t.Errorf("%s reads all of %s", name, table)
			}
		}
	}
	flush()
	before := scans()
	if _, err := pool.Exec(ctx, "SELECT count(*) FROM order_log WHERE detail = 'x'"); err != nil {
		t.Fatal(err)
	}
	flush()
	if maps.Equal(scans(), before) {
		t.Error("the test would not notice a whole table being read")
	}
}
