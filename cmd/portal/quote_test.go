package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func TestStaffPrepareShowAndCancelAQuote(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.mustRun("migrate")
	p.mustRun("catalog", "push")
	conn, err := pgx.Connect(t.Context(), p.env["DATABASE_URL"])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	_, err = conn.Exec(t.Context(), `INSERT INTO organizations (id, name, created_at) VALUES ('cust_1', 'Lumen', now());
		INSERT INTO users (id, email, created_at) VALUES ('usr_1', 'a@lumen.example', now());
		INSERT INTO memberships (organization_id, user_id, role, created_at) VALUES ('cust_1', 'usr_1', 'owner', now())`)
	if err != nil {
		t.Fatal(err)
	}
	prepare := []string{"quote", "prepare", "marketplace-seat", "-org", "cust_1", "-by", "Ada", "-deployment", "Frankfurt", "-environments", "production",
		"-amount", "42000.00", "-currency", "USD", "-expires", time.Now().AddDate(0, 7, 0).UTC().Format(time.RFC3339), "-limit", "max_admins=12", "-limit", "max_callers=120",
		"-add-features", "typescript_routing,pii_filtering"}
	out := p.mustRun(prepare...)
	for _, want := range []string{"(qt_", ", open, stands until", "Lumen (cust_1)", "marketplace-seat@1, new for Frankfurt", "42000.00 USD net, due 30 days",
		"portal staff propose issue ord_", "-reason contract -by '…' -why '…'\n", "/orders/ord_"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	if again := p.mustRun(prepare...); again != out {
		t.Errorf("the same command again says\n%s", again)
	}
	order := strings.TrimSuffix(strings.Fields(out)[1], ",")
	if shown := p.mustRun("quote", "show", order); shown != out {
		t.Errorf("quote show:\n%s", shown)
	}
	if list := p.mustRun("quote", "list", "-org", "cust_1"); strings.Count(list, "\n") != 1 || !strings.Contains(list, order+"  awaiting payment  quote open  42000.00 USD") {
		t.Errorf("quote list:\n%s", list)
	}
	if _, err := p.run("quote", "prepare", "enterprise-annual", "-org", "cust_1", "-by", "Ada", "-deployment", "Paris", "-environments", "evaluation", "-due", "0"); err == nil ||
		!strings.Contains(err.Error(), "environment:") || !strings.Contains(err.Error(), "due:") {
		t.Errorf("mistakes: %v", err)
	}
	p.mustRun("quote", "cancel", order)
	if shown := p.mustRun("quote", "show", order); !strings.Contains(shown, ", canceled, stands until") {
		t.Errorf("after canceling:\n%s", shown)
	}
}
