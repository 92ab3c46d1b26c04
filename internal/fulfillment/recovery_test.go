package fulfillment_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

func TestASignerThatIsDownDelaysAndLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.customer()
	o := c.draft(c.request("credit-pack-5m"))
	session := c.checkout(o)
	w.signerDown()
	if err := w.inbox.Receive(t.Context(), []byte("{}"), "t=1,v1=00"); !errors.Is(err, fulfillment.ErrUnavailable) {
		t.Fatalf("an event while the signer is down: %v", err)
	}
	w.signerUp()
	c.payBy(session, "card_ok")
	for end := time.Now().Add(patience); w.count("SELECT count(*) FROM events") == 0 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	w.signerDown() // between payment and issue
	w.work()
	c.becomes(o, fulfillment.StatePaid)
	w.signerUp()
	c.becomes(o, fulfillment.StateIssued)
}

func TestReconciliationFindsAPaymentWhoseWebhooksWereLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.customer()
	o := c.draft(c.request("credit-pack-5m"))
	w.sim("/_sim/delivery", map[string]any{"drop": 1}, nil)
	session := c.checkout(o)
	c.payBy(session, "card_ok")
	time.Sleep(200 * time.Millisecond)
	if n := w.count("SELECT count(*) FROM events"); n != 0 {
		t.Fatal("the webhook was not dropped")
	}
	w.sim("/_sim/delivery", map[string]any{}, nil)
	w.ago("orders", "checked_at", 2*time.Minute)
	done, err := w.fulfiller.Reconcile(t.Context())
	w.must(err)
	if o = c.order(o); done.Checked != 1 || o.State != fulfillment.StatePaid {
		t.Fatalf("%+v, order is %s", done, o.State)
	}
	w.ago("orders", "checked_at", 2*time.Minute)
	w.ago("orders", "paid_at", 3*time.Minute)
	done, err = w.fulfiller.Reconcile(t.Context())
	w.must(err)
	if done.Asked != 1 || done.PaidWithoutLicense != 1 || done.LicenseWithoutPayment != 0 {
		t.Fatalf("%+v", done)
	}
	w.work()
	c.becomes(o, fulfillment.StateIssued)
}

// ago moves a time of every row into the past.
func (w *world) ago(table, column string, by time.Duration) {
	w.t.Helper()
	_, err := w.pool.Exec(w.t.Context(), "UPDATE "+table+" SET "+column+" = "+column+" - $1::interval", by)
	w.must(err)
}

func TestRestoreRefillsALostDatabaseWithTheSameBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	worker := w.work()
	c := w.customer()
	base := c.buy(c.request("credit-pack-5m"))
	r := c.request("credit-pack-25m")
	r.Kind, r.BaseLicenseID, r.DeploymentName, r.Environments = catalog.IssueTopUp, base.ID, "", nil
	pack := c.buy(r)
	w.idle()
	w.must(worker.Stop(t.Context()))
	mails := len(w.mailed())

	w.openPortal() // on an empty database
	report, err := w.restorer.Run(t.Context())
	w.must(err)
	if report != (fulfillment.RestoreReport{Read: 2, Restored: 2}) {
		t.Fatalf("%+v", report)
	}
	report, err = w.restorer.Run(t.Context())
	w.must(err)
	if report != (fulfillment.RestoreReport{Read: 2, Present: 2}) {
		t.Fatalf("a second time: %+v", report)
	}
	w.work()
	c = customer{w, c.organization, "", buyer}
	for _, l := range []fulfillment.License{base, pack} {
		restored, err := c.library.License(t.Context(), c.organization, l.ID)
		w.must(err)
		if !bytes.Equal(restored.Envelope, l.Envelope) || restored.OrderID != l.OrderID || restored.DeploymentID != l.DeploymentID {
			t.Errorf("%s was restored as something else", l.ID)
		}
		for _, event := range w.events(w.session(fulfillment.Order{ID: l.OrderID})) {
			w.sim("/_sim/events/"+event+"/deliver", map[string]any{"copies": 2}, nil)
		}
	}
	time.Sleep(200 * time.Millisecond)
	w.idle()
	if n, files := w.count("SELECT count(*) FROM issuances"), len(w.logFiles()); n != 2 || files != 2 || len(w.mailed()) != mails {
		t.Errorf("delivering the events again made something new: %d licenses, log %d, mails %d to %d", n, files, mails, len(w.mailed()))
	}
	if n := w.count("SELECT count(*) FROM memberships m JOIN users u ON u.id = m.user_id WHERE u.email = $1 AND m.role = 'owner'", buyer); n != 1 {
		t.Errorf("%d owners", n)
	}
	newest, err := c.library.License(t.Context(), c.organization, pack.ID)
	w.must(err)
	if !newest.Newest || newest.BaseLicenseID != base.ID {
		t.Error("the lineage was lost")
	}
}
