package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/internal/postgres"
	"github.com/metrum-ai/licensing-portal/internal/postgres/pgtest"
)

func TestAnAuditTellsDifferencesToPeopleAndPrograms(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.env["DATABASE_URL"] = pgtest.URL(t, postgres.Migrate)
	conn, err := pgx.Connect(t.Context(), p.env["DATABASE_URL"])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	_, err = conn.Exec(t.Context(), `INSERT INTO organizations (id, name, created_at) VALUES ('cust_1', 'Lumen', now());
		INSERT INTO users (id, email, created_at) VALUES ('usr_1', 'a@lumen.example', now());
		INSERT INTO orders (id, organization_id, created_by, buyer_email, mail_domain, deployment_id, deployment_name, state, kind, sku, template_ref,
			evaluation, snapshot, currency, total, form_key, attempt, created_at, updated_at, paid_at)
		SELECT 'ord_' || n, 'cust_1', 'usr_1', 'a@lumen.example', 'lumen.example', 'dep_' || n, 'one', 'paid', 'new', 'credit-pack-5m', 'credit-pack-5m@1',
			false, '{}', 'USD', 25000, n::text, 1, now(), now(), '2026-11-01T09:00:00Z' FROM generate_series(1, 2) n`)
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.run("audit")
	if err == nil || !strings.HasPrefix(out, "paid-without-license ord_1: the order is paid since 2026-11-01T09:00:00Z\npaid-without-license ord_2: ") ||
		!strings.HasSuffix(out, "paid-without-license: 2\n") || strings.Contains(out, "lumen.example") {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = p.run("audit", "-json")
	if err == nil {
		t.Error("differences, and no error")
	}
	lines := slices.Collect(strings.Lines(out))
	var found fulfillment.Difference
	var report fulfillment.AuditReport
	if len(lines) != 3 || json.Unmarshal([]byte(lines[1]), &found) != nil || json.Unmarshal([]byte(lines[2]), &report) != nil ||
		found.Kind != fulfillment.PaidWithoutLicense || found.OrderID != "ord_2" || report.Found["paid-without-license"] != 2 || report.Counts.Orders != 2 {
		t.Errorf("%s", out)
	}
}
