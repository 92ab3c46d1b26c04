package main

import (
	"strings"
	"testing"
)

func TestStaffSeeWhatHappenedToAnOrder(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	conn := p.oneLicense()
	_, err := conn.Exec(t.Context(), `UPDATE orders SET license_id = 'lic_1', state = 'issued' WHERE id = 'ord_1';
		INSERT INTO order_log (order_id, at, what, detail, actor) VALUES
			('ord_1', '2026-11-24 21:40:01Z', 'issued', '', 'signer'),
			('ord_1', '2026-11-24 21:41:02Z', 'flagged', 'refund-partial: 50.00 USD of 250.00 USD is refunded (ch_1); the license stays.', 'portal'),
			('ord_1', '2026-11-24 21:42:03Z', 'suspended', 'lic_1: payment_disputed', 'signer')`)
	if err != nil {
		t.Fatal(err)
	}
	out := p.mustRun("staff", "order", "ord_1")
	at := 0
	for _, want := range []string{
		"order    ord_1\nstate    issued\n", "customer cust_1\n", "license  lic_1\n", "2026-11-24 21:40:01  issued     signer",
		"2026-11-24 21:41:02  flagged    portal  refund-partial: 50.00 USD of 250.00 USD is refunded (ch_1); the license stays.\n",
		"2026-11-24 21:42:03  suspended  signer  lic_1: payment_disputed\n",
	} {
		n := strings.Index(out[at:], want)
		if n < 0 {
			t.Fatalf("%q is missing, or not in its place, in\n%s", want, out)
		}
		at += n
	}
	if _, err := p.run("staff", "order", "ord_2"); err == nil || err.Error() != "there is no such order" {
		t.Errorf("another order: %v", err)
	}
}
