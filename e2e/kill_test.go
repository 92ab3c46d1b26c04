package e2e

import (
	"syscall"
	"testing"
	"time"
)

// The worker and the signer are killed at six moments around the payment; every order has one license soon after.
func TestKillingAtAnyMomentGivesOneLicense(t *testing.T) {
	t.Parallel()
	d := ownDemo(t)
	p := customer(t, d)
	for n, delay := range []time.Duration{0, 10, 20, 30, 45, 60} {
		id := p.order(pack5, "router-"+string(rune('a'+n)))
		p.checkout()
		victim := []string{"worker", "signer"}[n%2]
		killed := make(chan error, 1)
		pid := d.pid(t, victim)
		time.AfterFunc(delay*time.Millisecond, func() { killed <- syscall.Kill(pid, syscall.SIGKILL) })
		p.pay("card_ok")
		if err := <-killed; err != nil {
			t.Fatalf("kill the %s: %v", victim, err)
		}
		p.open("/orders/" + id)
		p.seesWithin(waitLong, ready)
		d.healthy(t) // the license may have been issued before the kill
	}
	if n := len(p.licenses()); n != 6 {
		t.Fatalf("%d licenses for six orders", n)
	}
	if n := d.logSize(t); n != 6 {
		t.Fatalf("%d leaves in the signer's log for six orders", n)
	}
}
