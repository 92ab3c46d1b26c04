package fulfillment_test

import (
	"bytes"
	"testing"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

func TestARestoreBringsBackWhatInvoicesPaidAndTheSubscriptionGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	worker := w.work()
	s := w.customer().subscribe("card_ok")
	quoted := s.prepared(s.quoteDraft("enterprise-annual"))
	w.object(s.accepted(quoted).ID, "pay", map[string]any{})
	var licenses []string
	licenses = append(licenses, s.becomes(quoted.Order, fulfillment.StateIssued).LicenseID)
	s.nextCycle()
	for _, cycle := range s.licensed(2).Cycles {
		licenses = append(licenses, cycle.LicenseID)
	}
	before := map[string]fulfillment.License{}
	for _, id := range licenses {
		l, err := s.library.License(t.Context(), s.organization, id)
		w.must(err)
		before[id] = l
	}
	w.idle()
	w.must(worker.Stop(t.Context()))
	mails := len(w.mailed())

	w.openPortal() // on an empty database
	for _, want := range []fulfillment.RestoreReport{{Read: 3, Restored: 3}, {Read: 3, Present: 3}} {
		if report, err := w.restorer.Run(t.Context()); err != nil || report != want {
			t.Fatalf("%+v, %v; want %+v", report, err, want)
		}
	}
	for id, l := range before {
		restored, err := s.library.License(t.Context(), s.organization, id)
		w.must(err)
		if !bytes.Equal(restored.Envelope, l.Envelope) || restored.OrderID != l.OrderID || restored.DeploymentID != l.DeploymentID {
			t.Errorf("%s was restored as something else", id)
		}
	}
	w.work()
	w.must(w.fulfiller.EvaluateOrder(t.Context(), s.order.ID)) // asks Stripe for what the log does not tell
	s.nextCycle()
	if v := s.licensed(3); v.Status != "active" {
		t.Errorf("the subscription is %q", v.Status)
	}
	w.idle()
	if n := w.count("SELECT count(*) FROM issuances"); n != 4 || len(w.mailed()) != mails+1 {
		t.Errorf("%d licenses, %d mails after %d", n, len(w.mailed()), mails)
	}
}
