package fulfillment_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

func TestAPaidOrderBecomesALicenseOfWhichEveryCopyIsTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	r := c.request("credit-pack-5m")
	r.Fingerprints = []string{" machine-1 ", ""}
	o := c.draft(r)
	preview, err := c.orders.Preview(t.Context(), o)
	w.must(err)
	changed := c.orders.Watch(t.Context(), o.ID)
	c.payBy(c.checkout(o), "card_ok")
	o = c.becomes(o, fulfillment.StateIssued)
	select {
	case <-changed:
	case <-time.After(patience):
		t.Error("the waiting page was not told")
	}
	l := c.license(o)
	if l.Payload.SKU != preview.Payload.SKU || l.Payload.Deployment.AllowedInstances[0] != "machine-1" || l.Payload.CustomerName != "Lumen & Söhne" {
		t.Errorf("not what was previewed: %+v", l.Payload)
	}
	page, err := w.signer.Entries(t.Context(), 0)
	w.must(err)
	if len(page.Entries) != 1 || page.Entries[0].Envelope != string(l.Envelope) {
		t.Error("the signer's log has other bytes")
	}
	w.idle()
	for drained := false; !drained; {
		select {
		case <-changed:
		case <-time.After(300 * time.Millisecond):
			drained = true
		}
	}
	downloaded, err := c.library.Download(t.Context(), c.organization, l.ID, c.user)
	w.must(err)
	select {
	case <-changed:
	case <-time.After(patience):
		t.Error("the order's page was not told of the first download")
	}
	link, token, err := c.library.CreateLink(t.Context(), c.organization, l.ID, c.user)
	w.must(err)
	again, err := c.library.DownloadByLink(t.Context(), token)
	w.must(err)
	if !bytes.Equal(downloaded.Envelope, l.Envelope) || !bytes.Equal(again.Envelope, l.Envelope) || downloaded.SHA256 != again.SHA256 {
		t.Error("a download has other bytes")
	}
	if c.order(o).DownloadedAt.IsZero() || link.Downloads != 0 {
		t.Error("the download is not noted")
	}
	if n := w.count(`SELECT count(*) FROM downloads d JOIN license_marks m ON m.license_id = d.license_id AND m.downloads = 2
			WHERE d.license_id = $1 AND (d.user_id = $2 OR d.link_id = $3)`, l.ID, c.user, link.ID); n != 2 {
		t.Errorf("%d of two downloads are noted with who had them", n)
	}
	w.idle()
	if mails := w.mailed(); len(mails) != 1 || mails[0].To != buyer || mails[0].LicenseID != l.ID || mails[0].OrderID != o.ID {
		t.Errorf("mails: %+v", mails)
	}
}

func TestFiveDeliveriesAtOnceAndTwoWorkersMakeOneLicense(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	w.work()
	c := w.customer()
	o := c.draft(c.request("credit-pack-5m"))
	w.sim("/_sim/delivery", map[string]any{"duplicates": 4, "hold": true}, nil)
	session := c.checkout(o)
	c.payBy(session, "bank_ok")
	w.sim("/_sim/sessions/"+session+"/settle", map[string]any{"succeed": true}, nil)
	w.sim("/_sim/release", map[string]any{"order": "reverse"}, nil)
	c.becomes(o, fulfillment.StateIssued)
	for _, event := range w.events(session) {
		w.sim("/_sim/events/"+event+"/deliver", map[string]any{"copies": 5}, nil)
	}
	w.idle()
	if n := w.count("SELECT count(*) FROM issuances"); n != 1 {
		t.Errorf("%d licenses", n)
	}
	if n := len(w.mailed()); n != 1 {
		t.Errorf("%d mails", n)
	}
	if n := w.count("SELECT count(*) FROM events WHERE deliveries > 1"); n == 0 {
		t.Error("the test delivered nothing twice")
	}
	status, err := w.signer.Status(t.Context())
	w.must(err)
	if status.LogSize != 1 {
		t.Errorf("the signer signed %d times", status.LogSize)
	}
}

func TestWorkersAreWokenAndNeedNotPoll(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.workPolling(time.Hour)
	c := w.customer()
	for range 3 { // River announces the first insert of a process by itself
		c.buy(c.request("credit-pack-5m")) // waits two minutes at most
	}
}

func TestABankDebitIsWaitedForAndCanBePaidAgainWhenItFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	o := c.draft(c.request("credit-pack-5m"))
	first := c.checkout(o)
	c.payBy(first, "bank_fails")
	o = c.becomes(o, fulfillment.StateProcessing)
	if _, err := c.orders.Checkout(t.Context(), c.organization, o.ID); !errors.Is(err, fulfillment.ErrNotPayable) {
		t.Errorf("paying twice: %v", err)
	}
	if err := c.orders.Cancel(t.Context(), c.organization, o.ID); !errors.Is(err, fulfillment.ErrNotPayable) {
		t.Errorf("canceling under way: %v", err)
	}
	w.sim("/_sim/sessions/"+first+"/settle", map[string]any{"succeed": false}, nil)
	o = c.becomes(o, fulfillment.StateFailed)
	if o.Failure == "" {
		t.Error("no word on the failure")
	}
	second := c.checkout(o)
	if second == first {
		t.Fatal("the dead session is offered again")
	}
	c.payBy(second, "card_ok")
	c.becomes(o, fulfillment.StateIssued)
}

func TestAnOpenSessionIsReusedAndACanceledOrderTakesNoMoney(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.customer()
	o := c.draft(c.request("credit-pack-5m"))
	once := c.checkout(o)
	if twice := c.checkout(o); twice != once {
		t.Error("a second click makes a second session")
	}
	w.must(c.orders.Cancel(t.Context(), c.organization, o.ID))
	w.must(c.orders.Cancel(t.Context(), c.organization, o.ID))
	if o = c.order(o); o.State != fulfillment.StateCanceled || o.ClosedAt.IsZero() {
		t.Errorf("%+v", o)
	}
	if _, err := c.orders.Checkout(t.Context(), c.organization, o.ID); !errors.Is(err, fulfillment.ErrNotPayable) {
		t.Errorf("checkout of a canceled order: %v", err)
	}
	facts, err := w.stripe.FetchSession(t.Context(), w.session(o))
	w.must(err)
	if facts.Status != "expired" {
		t.Errorf("the session is still %s", facts.Status)
	}
}

func (w *world) session(o fulfillment.Order) string {
	w.t.Helper()
	r, err := w.store.OrderRecord(w.t.Context(), o.ID)
	w.must(err)
	return r.Sessions[len(r.Sessions)-1].ID
}

func TestTopUpsAndRenewalsFollowTheirBase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	base := c.buy(c.request("credit-pack-5m"))
	onBase := func(kind catalog.IssuanceKind, sku, id string) fulfillment.DraftRequest {
		r := c.request(sku)
		r.Kind, r.BaseLicenseID, r.DeploymentName, r.Environments = kind, id, "", nil
		return r
	}
	// Two packs bought on one base at once are siblings and both usable.
	one, two := c.draft(onBase(catalog.IssueTopUp, "credit-pack-5m", base.ID)), c.draft(onBase(catalog.IssueTopUp, "credit-pack-25m", base.ID))
	sessions := []string{c.checkout(one), c.checkout(two)}
	c.payBy(sessions[0], "card_ok")
	first := c.license(c.becomes(one, fulfillment.StateIssued))
	c.payBy(sessions[1], "card_ok")
	second := c.license(c.becomes(two, fulfillment.StateIssued))
	base, err := c.library.License(t.Context(), c.organization, base.ID)
	w.must(err)
	now := time.Now()
	if base.SupersededBy != second.ID || base.Newest || base.Standing(now) != fulfillment.StandingSuperseded {
		t.Errorf("base: superseded by %q, newest %v", base.SupersededBy, base.Newest)
	}
	if first.SupersededBy != "" || second.SupersededBy != "" || !second.Newest || second.BaseLicenseID != base.ID || first.ID == base.ID {
		t.Error("siblings supersede each other")
	}
	var wrong *fulfillment.ValidationError
	if _, err := c.orders.Draft(t.Context(), onBase(catalog.IssueTopUp, "credit-pack-5m", first.ID)); !errors.As(err, &wrong) || wrong.Fields[0].Field != "base" {
		t.Errorf("top-up on what is not the newest: %v", err)
	}
	// One renewal of a base is open at a time, and a renewal drafted on a base replaced meanwhile is refused.
	renewal, other := c.draft(onBase(catalog.IssueRenewal, "credit-pack-25m", second.ID)), c.draft(onBase(catalog.IssueRenewal, "credit-pack-25m", second.ID))
	session := c.checkout(renewal)
	if _, err := c.orders.Checkout(t.Context(), c.organization, other.ID); !errors.Is(err, fulfillment.ErrOpenRenewal) {
		t.Errorf("a second open renewal: %v", err)
	}
	c.payBy(session, "card_ok")
	renewed := c.license(c.becomes(renewal, fulfillment.StateIssued))
	if !renewed.Payload.ExpiresAt.After(second.Payload.ExpiresAt) || renewed.DeploymentID != base.DeploymentID {
		t.Error("the renewal does not go on from its base")
	}
	if _, err := c.orders.Checkout(t.Context(), c.organization, other.ID); !errors.Is(err, fulfillment.ErrFrozen) {
		t.Errorf("paying for a renewal of what was replaced: %v", err)
	}
	lineage, err := c.library.Lineage(t.Context(), c.organization, base.DeploymentID)
	w.must(err)
	if len(lineage) != 4 || lineage[0].ID != renewed.ID || lineage[3].ID != base.ID {
		t.Error("the lineage is not newest first")
	}
	current, _, err := c.library.Licenses(t.Context(), c.organization, fulfillment.FilterCurrent, fulfillment.Page{})
	w.must(err)
	if len(current) != 2 { // the sibling and the renewal
		t.Errorf("%d licenses in force", len(current))
	}
}

func TestOneEvaluationAnOrganizationAndMailDomain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	c.buy(c.request("eval-72h"))
	again := c.draft(c.request("eval-72h"))
	c.pay(c.checkout(again), 0)
	if o := c.becomes(again, fulfillment.StateInReview); codes(o.Reasons) != "evaluation-repeated evaluation-domain" {
		t.Errorf("%v", o.Reasons)
	}
	colleague := w.customerAt("Lumen Labs", "other@lumen.example")
	o := colleague.draft(colleague.request("eval-72h"))
	colleague.pay(colleague.checkout(o), 0)
	if o = colleague.becomes(o, fulfillment.StateInReview); codes(o.Reasons) != "evaluation-domain" {
		t.Errorf("%v", o.Reasons)
	}
	public := w.customerAt("Someone", "someone@gmail.com")
	o = public.draft(public.request("eval-72h"))
	public.pay(public.checkout(o), 0)
	o = public.becomes(o, fulfillment.StateInReview)
	if codes(o.Reasons) != "mail-domain-public" {
		t.Errorf("%v", o.Reasons)
	}
	w.must(w.review.Release(t.Context(), o.ID, "Ada", "Known from the fair."))
	public.becomes(o, fulfillment.StateIssued)
	// A release cannot lift the signer's cap: the organization had its evaluation.
	w.must(w.review.Release(t.Context(), again.ID, "Ada", "They asked nicely."))
	c.until(again, func(o fulfillment.Order) bool { return codes(o.Reasons) == "signer-cap-exceeded" }, "refused by the signer")
}

func TestAMismatchGoesToReviewAndOutOfItByReleaseOrClose(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	for _, c := range []struct {
		name, target string
		reason       string
		released     fulfillment.State
	}{
		{"Stripe's object is one cent lower", "object", "amount-mismatch", fulfillment.StateIssued},
		{"the event is one cent lower", "event", "signer-amount-mismatch", fulfillment.StateInReview},
	} {
		customer := w.customerAt(c.name, c.target+"@lumen.example")
		o := customer.draft(customer.request("credit-pack-5m"))
		w.sim("/_sim/delivery", map[string]any{"hold": true}, nil)
		session := customer.checkout(o)
		customer.payBy(session, "card_ok")
		w.sim("/_sim/sessions/"+session, map[string]any{"target": c.target, "patch": map[string]any{"amount_subtotal": 24999, "amount_total": 24999}}, nil)
		w.sim("/_sim/delivery", map[string]any{}, nil)
		w.sim("/_sim/release", map[string]any{}, nil)
		o = customer.becomes(o, fulfillment.StateInReview)
		if codes(o.Reasons) != c.reason {
			t.Fatalf("%s: %v", c.name, o.Reasons)
		}
		rows, err := w.review.List(t.Context())
		w.must(err)
		if len(rows) != 1 || rows[0].OrderID != o.ID || rows[0].Organization != c.name || codes(rows[0].Reasons) != c.reason {
			t.Errorf("%s: listed as %+v", c.name, rows)
		}
		w.must(w.review.Release(t.Context(), o.ID, "Ada", "Looked at it."))
		w.idle()
		if o = customer.becomes(o, c.released); o.State == fulfillment.StateIssued {
			if err := w.review.Close(t.Context(), o.ID, "Ada", "Too late."); !errors.Is(err, fulfillment.ErrNotInReview) {
				t.Errorf("closing what is issued: %v", err)
			}
			continue
		}
		w.must(w.review.Close(t.Context(), o.ID, "Ada", "Refunded as re_1."))
		for _, event := range w.events(session) {
			w.sim("/_sim/events/"+event+"/deliver", map[string]any{}, nil)
		}
		w.idle()
		if o = customer.order(o); o.State != fulfillment.StateCanceled || o.CloseNote != "Refunded as re_1." {
			t.Errorf("closed, yet %s %q", o.State, o.CloseNote)
		}
		if n := w.count("SELECT count(*) FROM order_log WHERE order_id = $1 AND actor = 'staff: Ada'", o.ID); n != 2 {
			t.Errorf("%d lines of staff in the log", n)
		}
	}
	if err := w.review.Release(t.Context(), "ord_none", "Ada", "x"); !errors.Is(err, fulfillment.ErrNotFound) {
		t.Errorf("unknown order: %v", err)
	}
	o := c.draft(c.request("credit-pack-5m"))
	if err := w.review.Release(t.Context(), o.ID, "Ada", " "); !errors.Is(err, fulfillment.ErrNoNote) {
		t.Errorf("without a note: %v", err)
	}
	if err := w.review.Release(t.Context(), o.ID, "", "x"); !errors.Is(err, fulfillment.ErrNoName) {
		t.Errorf("without a name: %v", err)
	}
}
