package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/metrum-ai/licensing-portal/internal/billing"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/internal/postgres"
	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/license"
)

// settleLimit is for what a killed worker left half done: its jobs are taken up again by a pass every half minute.
const settleLimit = 5 * time.Minute

// settle reconciles by hand, as time goes by, until every order stands where it must, every mail is out and nothing is under
// way that could change it.
func (x *chaos) settle(deals []deal) {
	x.t.Helper()
	ids, want := make([]string, len(deals)), map[string]string{}
	for n, o := range deals {
		ids[n], want[o.order] = o.order, strings.TrimSpace(o.state+" "+o.status)
	}
	for end := time.Now().Add(settleLimit); ; time.Sleep(300 * time.Millisecond) {
		x.exec(x.t,
			`UPDATE orders SET checked_at = checked_at - interval '2 minutes'`,
			`UPDATE orders SET paid_at = paid_at - interval '3 minutes' WHERE state = 'paid'`,
			`UPDATE river.river_job SET attempted_at = attempted_at - interval '10 minutes' WHERE state = 'running' AND attempted_at < now() - interval '10 seconds'`)
		out, errs, code := x.tool(x.t, x.portalEnv(x.t), "portal", "reconcile")
		var got map[string]string
		if err := json.Unmarshal([]byte(x.query(x.t, `SELECT json_object_agg(o.id, trim(o.state || ' ' || coalesce(v.status, '')))::text
			FROM orders o LEFT JOIN license_revocations v USING (license_id) WHERE o.id = ANY($1)`, ids)), &got); err != nil {
			x.t.Fatal(err)
		}
		left := x.underWay()
		if code == 0 && maps.Equal(got, want) && left == nothingLeft {
			return
		}
		if time.Now().After(end) {
			for _, o := range deals {
				if got[o.order] != want[o.order] {
					x.t.Errorf("%s is %q, want %q\n%s", o, got[o.order], want[o.order], x.portal(x.t, "staff", "order", o.order))
				}
			}
			x.t.Logf("mails: %s\njobs: %s", x.query(x.t, "SELECT coalesce(string_agg(kind || ' ' || ref, ', '), '') FROM mails WHERE sent_at IS NULL"),
				x.query(x.t, "SELECT coalesce(string_agg(concat_ws(' ', kind, state, attempt, scheduled_at::text, args::text, errors[array_upper(errors, 1)]->>'error'), E'\n'), '') FROM river.river_job WHERE state NOT IN ('completed', 'cancelled') OR attempt > 1"))
			x.t.Fatalf("%s; reconcile ends with %d\n%s%s", left, code, out, errs)
		}
	}
}

const nothingLeft = "0 mails, 0 jobs, 0 webhooks"

// underWay counts what is not done yet. Jobs that wait for a time, such as the next reconciliation, are not meant.
func (x *chaos) underWay() string {
	x.t.Helper()
	var seen struct {
		Events []struct {
			Pending int `json:"pending_webhooks"`
		} `json:"events"`
	}
	x.control(x.t, http.MethodGet, "/_sim/events", nil, &seen)
	webhooks := 0
	for _, e := range seen.Events {
		webhooks += e.Pending
	}
	return x.query(x.t, `SELECT (SELECT count(*) FROM mails m WHERE sent_at IS NULL AND NOT (kind = 'ready' AND EXISTS (
			SELECT FROM orders o JOIN license_revocations v USING (license_id) WHERE o.id = m.ref AND v.status = 'revoked'))) || ' mails, ' ||
		(SELECT count(*) FROM river.river_job WHERE state IN ('available', 'running')) || ' jobs, ' || $1::int || ' webhooks'`, webhooks)
}

// holds compares database, signer's log, revocation bundle, mails and pages with what became of each order.
func (x *chaos) holds(deals []deal) {
	x.t.Helper()
	leaves := x.leaves()
	listed := x.listed()
	paid, withdrawn := 0, 0
	for _, o := range deals {
		x.told(o)
		id := x.query(x.t, `SELECT coalesce(string_agg(license_id, ' '), '') FROM issuances WHERE order_id = $1`, o.order)
		if o.state != "issued" {
			if id != "" {
				x.t.Errorf("%s has the license %s", o, id)
			}
			continue
		}
		paid++
		if strings.Contains(id, " ") || id == "" || leaves[id] != 1 {
			x.t.Errorf("%s has the licenses %q, and %d leaves", o, id, leaves[id])
		}
		if e := listed[id]; e.Status != o.status || e.Reason != o.reason {
			x.t.Errorf("%s is in the bundle as %q %q, want %q %q", o, e.Status, e.Reason, o.status, o.reason)
		}
		if o.status != "" {
			withdrawn++
		}
		x.mailed(o, id)
	}
	if licenses := x.query(x.t, "SELECT count(*)::text FROM issuances"); licenses != fmt.Sprint(paid) || len(leaves) != paid || len(listed) != withdrawn {
		x.t.Errorf("%s licenses, %d leaves and %d entries of the bundle, want %d, %d and %d", licenses, len(leaves), len(listed), paid, paid, withdrawn)
	}
	x.audited(paid)
	x.calm()
}

// listed is what the newest bundle says of licenses; both portals hand it out.
func (x *chaos) listed() map[string]license.RevocationEntry {
	x.t.Helper()
	newest := x.query(x.t, "SELECT max(epoch)::text FROM revocation_bundles")
	found := map[string]license.RevocationEntry{}
	for _, portal := range x.portals {
		at := *x.demo
		at.info.PortalURL = portal
		eventually(x.t, waitLong, portal+" hands out the bundle of epoch "+newest, func() bool { // it remembers one for some seconds
			return fmt.Sprint(at.revocations(x.t).Epoch()) == newest
		})
		for _, e := range at.revocations(x.t).Payload().Entries {
			found[e.LicenseID] = e
		}
	}
	return found
}

// leaves counts the log's entries by license.
func (x *chaos) leaves() map[string]int {
	x.t.Helper()
	found := map[string]int{}
	for from, size := uint64(0), uint64(1); from < size; {
		status, answer := x.ask(x.t, http.MethodGet, fmt.Sprintf("/v1/log/entries?from=%d", from), nil)
		var page signer.Entries
		if err := json.Unmarshal(answer, &page); err != nil || status != http.StatusOK || page.Next <= from {
			x.t.Fatalf("log entries from %d: %d %v", from, status, err)
		}
		for _, e := range page.Entries {
			if e.Kind == "issuance" {
				found[e.LicenseID]++
			}
		}
		from, size = page.Next, page.Size
	}
	return found
}

// mailed wants one mail for each thing that happened to a license. One that a killed worker had sent, and did not live to
// note, comes again word for word.
func (x *chaos) mailed(o deal, licenseID string) {
	x.t.Helper()
	distinct, copies := map[string]int{}, map[string]int{}
	for _, m := range (&person{t: x.t, d: x.demo, email: o.buyer.email}).mails() {
		if !strings.Contains(m.Text, licenseID) {
			continue
		}
		if copies[m.Text]++; copies[m.Text] == 1 {
			distinct[m.Subject]++
		}
	}
	want := map[string]int{ready: 1}
	if o.status == license.StatusRevoked { // what was revoked before that mail went out is not called ready any more
		want[ready], _ = strconv.Atoi(x.query(x.t, "SELECT count(sent_at)::text FROM mails WHERE kind = 'ready' AND ref = $1", o.order))
		if want[ready] == 0 {
			delete(want, ready)
		}
	}
	suspended := distinct["Your license is suspended"] // what was lost before the dispute ended is not told
	switch {
	case o.status == license.StatusSuspended:
		suspended = 1
	case o.status == license.StatusRevoked:
		want["Your license was revoked"] = 1
	case suspended > 0:
		want["Your license is in force again"] = 1
	}
	if disputed := strings.HasPrefix(o.name, "dispute"); suspended > 1 || (suspended > 0 && !disputed) {
		x.t.Errorf("%s is told %d times to be suspended", o, suspended)
	}
	if suspended > 0 {
		want["Your license is suspended"] = suspended
	}
	if !maps.Equal(distinct, want) {
		x.t.Errorf("%s is told by mail %v, want %v", o, distinct, want)
	}
	for text, n := range copies {
		if n > 1 && x.query(x.t, "SELECT count(*)::text FROM river.river_job WHERE kind LIKE '%mail%' AND attempt > 1") == "0" {
			x.t.Errorf("%s is told %d times, and no job was taken up again:\n%s", o, n, text)
		}
	}
}

// headings are what the order's page says first, by where the order stands.
var headings = map[string]string{
	"issued": ready, "issued suspended": "Your license is suspended", "issued revoked": "Your license was revoked",
	"failed": "Payment was not taken", "canceled": "This order was canceled", "awaiting_payment": "Checking your payment",
}

// told looks at what staff and the customer read of an order, at both portals.
func (x *chaos) told(o deal) {
	x.t.Helper()
	flags := x.query(x.t, `SELECT coalesce(string_agg(split_part(detail, ':', 1), ' '), '') FROM order_log WHERE order_id = $1 AND what = 'flagged'`, o.order)
	if o.flag != flags && !(o.flag == "" && flags == "refund-partial") { // of a refund in two parts the first may be seen alone
		x.t.Errorf("%s is flagged %q, want %q", o, flags, o.flag)
	}
	for _, portal := range x.portals {
		at := *o.buyer
		at.base = portal
		page := at.get("/orders/" + o.order)
		heading := headings[strings.TrimSpace(o.state+" "+o.status)]
		if page.status != http.StatusOK || !strings.Contains(page.body, "<h1>"+heading+"</h1>") {
			x.t.Errorf("%s: %s answers %d without %q", o, portal, page.status, heading)
		}
		words := strings.Join(strings.Fields(page.body), " ")
		if !strings.Contains(words, o.refunded) || (o.refunded == "" && strings.Contains(words, "that you paid was refunded")) {
			x.t.Errorf("%s: the order's page does not tell rightly what was refunded", o)
		}
	}
}

// audited compares log, database and Stripe by the command, and again with a clock that nothing is too young for.
func (x *chaos) audited(paid int) {
	x.t.Helper()
	x.portal(x.t, "audit")
	pool, err := pgxpool.New(x.t.Context(), x.info.DatabaseURL)
	if err != nil {
		x.t.Fatal(err)
	}
	defer pool.Close()
	stripe, err := billing.New(billing.Config{Key: x.info.StripeAPIKey, URL: x.info.StripeURL})
	if err != nil {
		x.t.Fatal(err)
	}
	auditor, err := fulfillment.NewAuditor(fulfillment.AuditorConfig{
		Store: postgres.NewFulfillment(pool, nil), Log: signer.NewClient(x.info.SignerSocket), Payments: stripe,
		Now: func() time.Time { return time.Now().Add(5 * time.Minute) },
	})
	if err != nil {
		x.t.Fatal(err)
	}
	report, err := auditor.Run(x.t.Context(), func(d fulfillment.Difference) error {
		x.t.Errorf("audit: %+v", d)
		return nil
	})
	if err != nil {
		x.t.Fatal(err)
	}
	if c := report.Counts; c.LoggedLicenses != paid || c.StoredLicenses != paid || c.Payments != paid || c.OtherPayments != 0 || c.InReview != 0 {
		x.t.Errorf("the audit counts %+v, want %d of each", c, paid)
	}
}

// calm wants no process to have logged an error or a panic, but for the alarms about what was lost.
func (x *chaos) calm() {
	x.t.Helper()
	all := x.demo.logs(x.t)
	for _, log := range x.logs {
		all += log.String()
	}
	for line := range strings.Lines(all) {
		alarm := slices.ContainsFunc([]string{"reconcile: gap", "reconcile: refunds or disputes differ", "reconcile: payment without evidence"},
			func(msg string) bool { return strings.Contains(line, `"msg":"`+msg+`"`) })
		if (strings.Contains(line, `"ERROR"`) && !alarm) || panicked.MatchString(line) {
			x.t.Errorf("logged: %s", line)
		}
	}
}
