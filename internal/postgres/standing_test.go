package postgres_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/internal/postgres"
	"github.com/metrum-ai/licensing-portal/internal/postgres/pgtest"
	"github.com/metrum-ai/licensing-portal/license"
)

// pausing lets something else happen when a license is all but stored: a refund of its payment is enqueued at the very end.
type pausing struct {
	noQueue
	meanwhile func()
	told      *int
}

func (q pausing) EnqueueRevoke(context.Context, pgx.Tx, string, string) error {
	q.meanwhile()
	return nil
}

func (q pausing) EnqueueStandingMail(context.Context, pgx.Tx, string, int64) error {
	*q.told++
	return nil
}

const paidAndRefunded = `
INSERT INTO organizations (id, name, created_at) VALUES ('cust_1', 'Lumen', now());
INSERT INTO users (id, email, created_at) VALUES ('usr_1', 'a@lumen.example', now());
INSERT INTO deployments (id, organization_id, name, created_at) VALUES ('dep_1', 'cust_1', 'one', now());
INSERT INTO orders (id, organization_id, created_by, buyer_email, mail_domain, deployment_id, deployment_name, state, kind, sku, template_ref,
	evaluation, snapshot, currency, total, form_key, attempt, created_at, updated_at)
VALUES ('ord_1', 'cust_1', 'usr_1', 'a@lumen.example', 'lumen.example', 'dep_1', 'one', 'paid', 'new', 'pilot-30d', 'pilot-30d@1', false, '{}', 'USD', 49000, '1', 1, now(), now());
INSERT INTO checkout_sessions (id, order_id, attempt, url, status, payment_status, payment_intent, facts, created_at, expires_at)
VALUES ('cs_1', 'ord_1', 1, '', 'complete', 'paid', 'pi_1', '{}', now(), now());
INSERT INTO events (mode, id, type, api_version, object_id, payment_status, reference, created, received_at, body, signature_header, takes_back)
VALUES ('test', 'evt_1', 'charge.refunded', '2023-10-16', 'ch_1', '', '', now(), now(), '{}', '', 'pi_1');`

var noFile = sha256.Sum256([]byte("{}"))

// issued is the order's license, and revoking the bundle that revokes it for a refund.
func issued(now time.Time) fulfillment.Issuance {
	return fulfillment.Issuance{Key: "ord_1", EventID: "evt_0", At: now, License: fulfillment.License{
		ID: "lic_1", OrderID: "ord_1", OrganizationID: "cust_1", DeploymentID: "dep_1", Kind: "new", TemplateName: "Pilot", TemplateRef: "pilot-30d@1",
		Envelope: []byte("{}"), SHA256: hex.EncodeToString(noFile[:]),
		Payload: license.Payload{SKU: "pilot-30d", KeyID: "k1", IssuedAt: now, NotBefore: now, ExpiresAt: now.Add(time.Hour)},
	}}
}

func revoking(now time.Time) fulfillment.RevocationAnswer {
	return fulfillment.RevocationAnswer{
		Bundle:  fulfillment.RevocationBundle{Epoch: 7, IssuedAt: now, ExpiresAt: now.Add(time.Hour), Entries: 1, Envelope: []byte("{}"), SHA256: hex.EncodeToString(noFile[:])},
		Entries: []license.RevocationEntry{{LicenseID: "lic_1", Status: license.StatusRevoked, Reason: "refunded", EffectiveAt: now}},
		Event:   &fulfillment.TakenBack{Mode: "test", EventID: "evt_1", OrderID: "ord_1", Outcome: "revoked 1", Changed: 1, Flags: []fulfillment.Reason{{Code: "x", Detail: "y"}}},
		At:      now,
	}
}

// A license and the bundle that revokes it are stored side by side; one of them comes to tell, and tells once.
func TestALicenseAndTheBundleThatRevokesItSeeEachOther(t *testing.T) {
	t.Parallel()
	ctx, now := t.Context(), time.Now()
	pool := pgtest.New(t, postgres.Migrate)
	if _, err := pool.Exec(ctx, paidAndRefunded); err != nil {
		t.Fatal(err)
	}
	told := 0
	stored := make(chan error, 1)
	q := pausing{told: &told}
	q.meanwhile = func() {
		go func() { stored <- postgres.NewFulfillment(pool, q).StoreRevocations(ctx, revoking(now)) }()
		waitsOrEnds(t, pool, stored)
	}
	record, err := postgres.NewFulfillment(pool, q).OrderRecord(ctx, "ord_1")
	if err != nil {
		t.Fatal(err)
	}
	err = postgres.NewFulfillment(pool, q).StoreIssuance(ctx, record, issued(now))
	if err != nil {
		t.Fatal(err)
	}
	if err := <-stored; err != nil {
		t.Fatal(err)
	}
	var mails, lines int
	err = pool.QueryRow(ctx, `SELECT (SELECT count(*) FROM mails WHERE kind = 'standing' AND ref = 'lic_1.7'),
		(SELECT count(*) FROM order_log WHERE order_id = 'ord_1' AND what = 'revoked' AND detail = 'lic_1: refunded')`).Scan(&mails, &lines)
	if err != nil || mails != 1 || told != 1 || lines != 1 {
		t.Errorf("%d mails, of them %d enqueued, and %d lines in the order's log tell of it; %v", mails, told, lines, err)
	}
}

// waitsOrEnds returns when the bundle waits for another transaction, or is stored.
func waitsOrEnds(t *testing.T, pool *pgxpool.Pool, stored chan error) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		var waits bool
		err := pool.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
			OR EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')`).Scan(&waits)
		switch {
		case err != nil:
			t.Error(err)
			return
		case waits, len(stored) > 0:
			return
		case time.Now().After(end):
			t.Error("the bundle is neither stored nor waits")
			return
		}
	}
}

// What a bundle said of a license before it was stored is told when it is.
func TestWhatABundleSaidBeforeTheLicenseWasStoredIsTold(t *testing.T) {
	t.Parallel()
	ctx, now := t.Context(), time.Now()
	pool := pgtest.New(t, postgres.Migrate)
	if _, err := pool.Exec(ctx, paidAndRefunded); err != nil {
		t.Fatal(err)
	}
	told := 0
	s := postgres.NewFulfillment(pool, pausing{told: &told, meanwhile: func() {}})
	if err := s.StoreRevocations(ctx, revoking(now)); err != nil {
		t.Fatal(err)
	}
	record, err := s.OrderRecord(ctx, "ord_1")
	if err != nil {
		t.Fatal(err)
	}
	err = s.StoreIssuance(ctx, record, issued(now))
	if err != nil {
		t.Fatal(err)
	}
	lines, err := s.OrderLog(ctx, "ord_1")
	if err != nil || told != 1 || len(lines) != 3 || lines[1].What != "issued" || lines[2].What != "revoked" || lines[2].Detail != "lic_1: refunded" {
		t.Errorf("told %d times, and the order's log says %+v, %v", told, lines, err)
	}
}
