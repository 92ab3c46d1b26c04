package fulfillment_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

func TestARestoreBringsBackWhatStaffAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	runner := w.work()
	c := w.customer()
	l := c.buy(c.request("pilot-30d"))
	o := c.draft(c.request("credit-pack-5m"))
	c.checkout(o)
	w.exec("UPDATE orders SET state = 'in_review', reasons = '[{\"code\": \"x\", \"detail\": \"y\"}]' WHERE id = $1", o.ID)
	corrected := w.done(w.stood(w.proposed(correction(l, "Lumen KG")), ben))
	issued := w.done(w.stood(w.proposed(approval.Request{
		Action: approval.ActionIssue, Proposer: ada, Reason: approval.ReasonNetTerms, Explanation: "Due in 30 days as their frame contract says.",
		Issue: &approval.Issue{Intent: catalog.Intent{OrderID: o.ID}, Invoice: "in_1Abc"},
	}), fay))
	w.stopped(runner)
	w.changeKey()
	rotated := w.stood(w.proposed(rotation("license-1", 0)), ben, cat)
	w.must(w.executor.Execute(t.Context(), rotated.ID))
	for _, id := range []string{corrected.LicenseID, issued.LicenseID} {
		w.must(w.executor.Rotate(t.Context(), rotated.ID, id))
	}
	rotated = w.done(rotated)
	files := w.logFiles()
	mails, moved := len(w.mailed()), len(w.replacementMails())

	w.openPortal() // on an empty database
	for _, want := range []fulfillment.RestoreReport{{Read: 5, Restored: 5}, {Read: 5, Present: 5}} {
		report, err := w.restorer.Run(t.Context())
		w.must(err)
		if report != want {
			t.Fatalf("%+v, want %+v", report, want)
		}
	}
	for id, file := range files {
		restored, err := w.library.License(t.Context(), c.organization, id)
		w.must(err)
		if !bytes.Equal(restored.Envelope, []byte(file)) {
			t.Errorf("%s has other bytes", id)
		}
	}
	for _, before := range []fulfillment.StaffRequest{corrected, issued, rotated} {
		after, err := w.requests.Request(t.Context(), before.ID)
		w.must(err)
		if after.Text != before.Text || after.LicenseID != before.LicenseID || after.Standing(time.Now()) != fulfillment.RequestDone ||
			len(after.Approvers()) != len(before.Approvers()) || after.Approvers()[0] != before.Approvers()[0] || after.Rotation != before.Rotation {
			t.Errorf("%s was restored as %+v", before.ID, after)
		}
	}
	old, err := w.library.License(t.Context(), c.organization, l.ID)
	w.must(err)
	if old.SupersededBy == "" || old.Newest {
		t.Errorf("the lineage was lost: %+v", old)
	}
	again, err := w.orders.Order(t.Context(), c.organization, o.ID)
	w.must(err)
	if again.State != fulfillment.StateIssued || again.LicenseID != issued.LicenseID || !again.PaidAt.IsZero() || again.BuyerEmail != buyer {
		t.Errorf("the order came back as %+v", again)
	}
	w.work()
	w.idle()
	if len(w.mailed()) != mails || len(w.replacementMails()) != moved {
		t.Error("a restore wrote to somebody")
	}
}
