package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// staff runs `portal staff review` as staff does on the portal's host.
func (d *demo) staff(t *testing.T, args ...string) string {
	t.Helper()
	out, errs, code := d.runStaff(t, args...)
	if code != 0 {
		t.Fatalf("portal staff review %v: exit %d\n%s%s", args, code, out, errs)
	}
	return out
}

func (d *demo) runStaff(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return d.tool(t, []string{"DATABASE_URL=" + d.info.DatabaseURL}, "portal", append([]string{"staff", "review"}, args...)...)
}

func TestStaffReleaseOneOrderInReviewAndCloseAnother(t *testing.T) {
	t.Parallel()
	d := shared
	// Addresses at public mail providers go to review.
	orders := map[string]*person{}
	var ids []string
	for n := range 2 {
		p := newPerson(t, d, fmt.Sprintf("buyer-%d-%d@gmail.com", n, time.Now().UnixNano()))
		p.signUp("Org of a public address")
		id := p.order(evaluation, "router")
		p.checkout()
		p.pay("confirm")
		p.sees("We are checking your order")
		orders[id], ids = p, append(ids, id)
	}
	list := d.staff(t)
	for _, id := range ids {
		if !strings.Contains(list, id) {
			t.Fatalf("%s is in review and staff do not see it:\n%s", id, list)
		}
	}
	if !strings.Contains(list, "public mail") {
		t.Fatalf("staff do not see why:\n%s", list)
	}
	d.staff(t, "release", ids[0], "-by", "Ada", "-note", "known customer")
	orders[ids[0]].sees(ready) // without a reload
	d.staff(t, "close", ids[1], "-by", "Ada", "-note", "asked twice")
	orders[ids[1]].sees("This order was canceled")
	if left := d.staff(t); strings.Contains(left, ids[0]) || strings.Contains(left, ids[1]) {
		t.Fatalf("still in review:\n%s", left)
	}
}

func TestAnOrderWhoseEventDiffersIsInReviewWithTheSignersReason(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		patch  map[string]any
		reason string
	}{
		"one cent less":      {map[string]any{"amount_subtotal": 24999, "amount_total": 24999}, "amount-mismatch"},
		"another currency":   {map[string]any{"currency": "eur"}, "currency-mismatch"},
		"unknown template":   {map[string]any{"metadata": map[string]any{"template": "credit-pack-5m@9"}}, "template-unknown"},
		"quantity over one":  {map[string]any{"metadata": map[string]any{"quantity": "2"}}, "quantity"},
		"a lower total only": {map[string]any{"amount_total": 24999}, "amount-mismatch"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := ownDemo(t)
			p := customer(t, d)
			id := p.order(pack5, "router")
			p.checkout()
			d.control(t, http.MethodPost, "/_sim/delivery", map[string]any{"hold": true}, nil)
			p.pay("card_ok")
			d.control(t, http.MethodPost, "/_sim/sessions/"+d.session(t, id), map[string]any{"target": "event", "patch": c.patch}, nil)
			d.control(t, http.MethodPost, "/_sim/delivery", map[string]any{}, nil)
			d.control(t, http.MethodPost, "/_sim/release", map[string]any{}, nil)
			p.sees("We are checking your order")
			if n := d.logSize(t); n != 0 {
				t.Fatalf("%d leaves in the signer's log", n)
			}
			if list := d.staff(t); !strings.Contains(list, id) || !strings.Contains(list, c.reason) {
				t.Fatalf("staff do not see %s:\n%s", c.reason, list)
			}
			// A release asks the signer again, which refuses again; the way out is to close and refund.
			d.staff(t, "release", id, "-by", "Ada", "-note", "try")
			eventually(t, waitLong, "refused again, and closed", func() bool {
				_, _, code := d.runStaff(t, "close", id, "-by", "Ada", "-note", "refunded")
				return code == 0
			})
			if n := d.logSize(t); n != 0 {
				t.Fatalf("a release got something signed: %d leaves", n)
			}
			p.sees("This order was canceled")
		})
	}
}
