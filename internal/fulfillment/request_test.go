package fulfillment_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/license"
)

func TestAnApprovedCorrectionIsALicenseInThePlaceOfTheOldOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	w.exec(`WITH u AS (INSERT INTO users (id, email, created_at) VALUES ('usr_operator', 'operator@lumen.example', now()) RETURNING id)
		INSERT INTO memberships (organization_id, user_id, role, created_at) SELECT $1, id, 'operator', now() FROM u`, c.organization)
	old := c.buy(c.request("pilot-30d"))

	ask := correction(old, "Lumen & Söhne KG")
	ask.Replace.SupersedeAt = time.Now().UTC().Truncate(time.Second).AddDate(0, 0, 8)
	request := w.proposed(ask)
	if request.Needed != 1 || request.Missing() != 1 || request.Standing(time.Now()) != fulfillment.RequestWaiting {
		t.Errorf("request %+v", request)
	}
	for _, line := range []string{"old_customer_name Lumen & Söhne\n", "new_customer_name Lumen & Söhne KG\n", "base_sha256 " + old.SHA256 + "\n", "ticket T-17\n"} {
		if !strings.Contains(request.Text, line) {
			t.Errorf("the text lacks %q:\n%s", line, request.Text)
		}
	}
	request = w.done(w.stood(request, ben))
	w.idle()

	corrected, err := w.library.License(t.Context(), c.organization, request.LicenseID)
	w.must(err)
	if corrected.Kind != catalog.IssueReplacement || corrected.BaseLicenseID != old.ID || corrected.OrderID != "" || corrected.Payload.CustomerName != "Lumen & Söhne KG" ||
		corrected.DeploymentID != old.DeploymentID || corrected.TemplateName != old.TemplateName || !corrected.Newest ||
		!corrected.Payload.IssuedAt.Equal(request.CreatedAt) || !corrected.Payload.ExpiresAt.Equal(old.Payload.ExpiresAt) {
		t.Errorf("corrected %+v", corrected)
	}
	ring, err := w.bundle.KeyRing()
	w.must(err)
	if _, err := license.Read(corrected.Envelope, ring, time.Now()); err != nil {
		t.Errorf("a router would refuse it: %v", err)
	}
	before := c.again(old)
	if before.SupersededBy != corrected.ID || !bytes.Equal(before.Envelope, old.Envelope) || before.Withdrawn == nil ||
		before.Withdrawn.Status != license.StatusSuperseded || before.Withdrawn.SupersededBy != corrected.ID {
		t.Errorf("the old one: superseded by %q, withdrawn %+v", before.SupersededBy, before.Withdrawn)
	}
	if got := w.stored().Epoch(); request.Epoch != got {
		t.Errorf("epoch %d, stored %d", request.Epoch, got)
	}
	told := map[string]bool{}
	for _, m := range w.replacementMails() {
		told[m.To] = true
		if m.LicenseID != corrected.ID || m.Replaces != old.ID || m.Reason != approval.ReasonCorrection || !m.SupersededAt.Equal(ask.Replace.SupersedeAt) {
			t.Errorf("mail %+v", m)
		}
	}
	if len(told) != 2 || !told[buyer] || !told["operator@lumen.example"] || len(w.replacementMails()) != 2 {
		t.Errorf("told %v by %d mails", told, len(w.replacementMails()))
	}
	page, err := w.signer.Entries(t.Context(), 0)
	w.must(err)
	if last := page.Entries[1]; last.Issuance != "replacement" || last.BaseID != old.ID || last.Envelope != string(corrected.Envelope) {
		t.Errorf("log entry %+v", last)
	}
}

func TestARequestTakesAssertionsInTheirTurn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	l := c.buy(c.request("pilot-30d"))
	request, err := w.requests.Propose(t.Context(), correction(l, "Lumen"))
	w.must(err)
	other, err := w.requests.Propose(t.Context(), correction(l, "Other"))
	w.must(err)
	refuses := func(r fulfillment.StaffRequest, name string, over fulfillment.StaffRequest, want error) {
		t.Helper()
		if _, err := w.requests.Stand(t.Context(), r.ID, w.assertion(over, name)); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	if request.Standing(time.Now()) != fulfillment.RequestDrafted {
		t.Errorf("standing %s", request.Standing(time.Now()))
	}
	refuses(request, ben, request, fulfillment.ErrNotProposed)
	refuses(request, ada, other, fulfillment.ErrAssertion)
	request = w.stood(request, ada)
	refuses(request, ada, request, fulfillment.ErrSelfApproval)
	refuses(request, fay, request, fulfillment.ErrMayNotApprove)
	refuses(request, ben, other, fulfillment.ErrAssertion)
	unknown := w.assertion(request, ben)
	unknown.CredentialID = "AAAA"
	if _, err := w.requests.Stand(t.Context(), request.ID, unknown); !errors.Is(err, fulfillment.ErrPasskey) {
		t.Errorf("an unknown passkey: %v", err)
	}
	late := w.requestsAt(func() time.Time { return time.Now().Add(approval.ValidFor) })
	if _, err := late.Stand(t.Context(), request.ID, w.assertion(request, ben)); !errors.Is(err, fulfillment.ErrRequestExpired) {
		t.Errorf("a day later: %v", err)
	}
	if n := w.count("SELECT count(*) FROM staff_assertions"); n != 1 {
		t.Errorf("%d assertions are stored", n)
	}
	request = w.stood(request, ben)
	refuses(request, cat, request, fulfillment.ErrRequestDecided)
	w.done(request)
	if _, err := w.requests.Stand(t.Context(), "req_none", unknown); !errors.Is(err, fulfillment.ErrNotFound) {
		t.Errorf("no request: %v", err)
	}
}

func TestWhatGoesFarTakesTwoPeopleAndTheSameOneTwiceIsOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	l := c.buy(c.request("pilot-30d"))
	ask := approval.Request{
		Action: approval.ActionReplace, Proposer: ada, Reason: approval.ReasonExtension, Explanation: "The trial of the new cluster needs two more months.",
		Replace: &approval.Replace{BaseID: l.ID},
	}
	ask.Replace.Changes.ExpiresAt.New = l.Payload.ExpiresAt.AddDate(0, 2, 0)
	request := w.stood(w.proposed(ask), ben)
	if request.Needed != 2 || request.Missing() != 1 || request.Standing(time.Now()) != fulfillment.RequestWaiting {
		t.Errorf("after one approval: %+v", request)
	}
	if _, err := w.requests.Stand(t.Context(), request.ID, w.assertion(request, ben)); !errors.Is(err, fulfillment.ErrStandsAlready) {
		t.Errorf("the same one again: %v", err)
	}
	w.idle()
	if n := w.count("SELECT count(*) FROM issuances WHERE kind = 'replacement'"); n != 0 {
		t.Errorf("%d replacements after one approval", n)
	}
	request = w.done(w.stood(request, cat))
	extended, err := w.library.License(t.Context(), c.organization, request.LicenseID)
	w.must(err)
	if !extended.Payload.ExpiresAt.Equal(ask.Replace.Changes.ExpiresAt.New) {
		t.Errorf("expires %s", extended.Payload.ExpiresAt)
	}
}

// TestNobodyIsAskedWhatTheSignerWouldRefuse proposes what cannot be, and looks for words that say why.
func TestNobodyIsAskedWhatTheSignerWouldRefuse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	l := c.buy(c.request("pilot-30d"))
	order := c.draft(c.request("credit-pack-5m"))
	for name, k := range map[string]struct {
		bend func(*approval.Request)
		want string
	}{
		"an unknown license": {func(r *approval.Request) { r.Replace.BaseID = "lic_none" }, "There is no license lic_none here"},
		"a short reason":     {func(r *approval.Request) { r.Explanation = "typo" }, "the explanation is not one line of plain text of 20 to 500 characters"},
		"another reason":     {func(r *approval.Request) { r.Reason = approval.ReasonNetTerms }, "the reason is not one of its"},
		"no change of a name": {func(r *approval.Request) { r.Replace.Changes.CustomerName.New = l.Payload.CustomerName },
			"a value is the same before and after"},
		"a stranger proposes": {func(r *approval.Request) { r.Proposer = "Mallory" }, "Mallory is not in the trust bundle"},
		"two years more": {func(r *approval.Request) { r.Replace.Changes.ExpiresAt.New = l.Payload.ExpiresAt.AddDate(2, 0, 0) },
			"Nobody may approve that: it goes expires_at beyond"},
		"superseded tomorrow": {func(r *approval.Request) {
			r.Replace.SupersedeAt = time.Now().UTC().Truncate(time.Second).AddDate(0, 0, 1)
		},
			"supersede_at is not 7 days to a year ahead"},
		"an unknown template": {func(r *approval.Request) { r.Replace.Template = "nothing@1" }, "the template is not in the trust bundle"},
		"two needed of one": {func(r *approval.Request) {
			r.Proposer = ben
			r.Replace.Changes.ExpiresAt.New = l.Payload.ExpiresAt.AddDate(0, 2, 0)
		}, "It needs 2 approvers other than Ben Noether, and the trust bundle names 1"},
		"an order that is a draft": {func(r *approval.Request) {
			*r = approval.Request{Action: approval.ActionIssue, Proposer: ada, Reason: approval.ReasonNetTerms, Explanation: why,
				Issue: &approval.Issue{Intent: catalog.Intent{OrderID: order.ID}, Invoice: "in_1"}}
		}, "The order is draft"},
		"a key that signs": {func(r *approval.Request) {
			*r = approval.Request{Action: approval.ActionRotate, Proposer: ada, Reason: approval.ReasonKeyRotation, Explanation: why,
				Rotate: &approval.Rotate{KeyID: "license-1"}}
		}, "license-1 still signs"},
		"a reinstatement of nothing": {func(r *approval.Request) {
			*r = approval.Request{Action: approval.ActionRevoke, Proposer: ada, Reason: approval.ReasonResolved, Explanation: why,
				Revoke: []approval.Revocation{{LicenseID: l.ID, Status: approval.StatusReinstated}}}
		}, "is in no revocation bundle"},
	} {
		r := correction(l, "Lumen KG")
		k.bend(&r)
		_, err := w.requests.Propose(t.Context(), r)
		var refused *fulfillment.RefusedError
		if !errors.As(err, &refused) || !strings.Contains(refused.Words, k.want) {
			t.Errorf("%s: %v, want %q", name, err, k.want)
		}
	}
	if n := w.count("SELECT count(*) FROM staff_requests"); n != 0 {
		t.Errorf("%d requests were stored", n)
	}
}

func TestAnOrderInReviewIsIssuedAgainstItsInvoice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	o := c.draft(c.request("credit-pack-5m"))
	c.checkout(o)
	w.exec("UPDATE orders SET state = 'in_review', reasons = '[{\"code\": \"by-invoice\", \"detail\": \"They pay by invoice.\"}]' WHERE id = $1", o.ID)
	request := w.proposed(approval.Request{
		Action: approval.ActionIssue, Proposer: ada, Reason: approval.ReasonNetTerms, Explanation: "Due in 30 days as their frame contract says.",
		Issue: &approval.Issue{Intent: catalog.Intent{OrderID: o.ID}, Invoice: "in_1Abc", Contract: catalog.Contract{Notes: "PO 4711"}},
	})
	request = w.done(w.stood(request, fay))
	w.idle()
	o = c.becomes(o, fulfillment.StateIssued)
	l := c.license(o)
	if l.ID != request.LicenseID || l.Kind != catalog.IssueNew || l.OrderID != o.ID || l.Payload.Notes != "PO 4711" || !o.PaidAt.IsZero() {
		t.Errorf("license %+v of %+v", l, o)
	}
	if mails := w.mailed(); len(mails) != 1 || mails[0].LicenseID != l.ID {
		t.Errorf("mails %+v", mails)
	}
	done, err := w.fulfiller.Reconcile(t.Context())
	w.must(err)
	if done.PaidWithoutLicense+done.LicenseWithoutPayment != 0 {
		t.Errorf("the gauges read %+v", done)
	}
	if n := w.count("SELECT count(*) FROM order_log WHERE order_id = $1 AND detail = $2", o.ID, l.ID+" by "+request.ID); n != 1 {
		t.Error("the order's log does not name the request")
	}
}

func TestAnApprovedRevocationIsInTheNextBundleAndAReinstatementOutOfIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	l := c.buy(c.request("pilot-30d"))
	ask := func(reason approval.Reason, status string) approval.Request {
		return approval.Request{
			Action: approval.ActionRevoke, Proposer: ada, Reason: reason, Explanation: "Invoice 2026-0412 is overdue since 3 November.",
			Revoke: []approval.Revocation{{LicenseID: l.ID, Status: status}},
		}
	}
	first := w.done(w.stood(w.proposed(ask(approval.ReasonTermsBroken, license.StatusSuspended)), ben))
	suspended := c.stands(l, fulfillment.StandingSuspended)
	if suspended.Withdrawn.Reason != string(approval.ReasonTermsBroken) || w.stored().Epoch() != first.Epoch {
		t.Errorf("withdrawn %+v, epoch %d", suspended.Withdrawn, first.Epoch)
	}
	if _, err := w.requests.Propose(t.Context(), correction(l, "Lumen KG")); err == nil || !strings.Contains(err.Error(), "is suspended") {
		t.Errorf("a replacement of a suspended license: %v", err)
	}
	w.eventually("the signer's second has passed", func() bool { return time.Now().Unix() > first.CreatedAt.Unix() })
	second := w.done(w.stood(w.proposed(ask(approval.ReasonResolved, approval.StatusReinstated)), cat))
	c.stands(l, fulfillment.StandingValid)
	if second.Epoch <= first.Epoch {
		t.Errorf("epoch %d after %d", second.Epoch, first.Epoch)
	}
}

func TestFiveWorkersAtOnceCarryOutARequestOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	runner := w.work()
	c := w.customer()
	l := c.buy(c.request("pilot-30d"))
	w.idle()
	w.must(runner.Stop(t.Context()))
	ask := correction(l, "Lumen KG")
	ask.Replace.SupersedeAt = time.Now().UTC().Truncate(time.Second).AddDate(0, 0, 8)
	request := w.stood(w.proposed(ask), ben)
	errs := make(chan error)
	for range 5 {
		go func() { errs <- w.executor.Execute(t.Context(), request.ID) }()
	}
	for range 5 {
		w.must(<-errs)
	}
	request = w.done(request)
	w.must(w.executor.Execute(t.Context(), request.ID))
	page, err := w.signer.Entries(t.Context(), 0)
	w.must(err)
	if n := w.count("SELECT count(*) FROM issuances WHERE kind = 'replacement'"); n != 1 || len(page.Entries) != 3 {
		t.Errorf("%d replacements, %d log entries", n, len(page.Entries))
	}
	if n := w.count("SELECT count(*) FROM river.river_job WHERE kind = 'replacement_mail'"); n != 1 {
		t.Errorf("%d mails", n)
	}
}

func TestTheSignersRefusalEndsARequestWithItsCode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	runner := w.work()
	c := w.customer()
	l := c.buy(c.request("pilot-30d"))
	w.idle()
	w.must(runner.Stop(t.Context()))
	request := w.stood(w.proposed(correction(l, "Lumen KG")), ben)
	revoke := w.stood(w.proposed(approval.Request{
		Action: approval.ActionRevoke, Proposer: ada, Reason: approval.ReasonIssuedInError, Explanation: why,
		Revoke: []approval.Revocation{{LicenseID: l.ID, Status: license.StatusRevoked}},
	}), ben)
	w.must(w.executor.Execute(t.Context(), revoke.ID))
	w.must(w.executor.Execute(t.Context(), request.ID))
	if request = w.ended(request); request.Refusal == nil || request.Refusal.Code != "signer-revoked" || request.Standing(time.Now()) != fulfillment.RequestRefused {
		t.Errorf("ended %+v", request)
	}
}

// liar answers another license than was asked for.
type liar struct {
	fulfillment.RequestSigner
	answer []byte
}

func (s liar) Issue(ctx context.Context, r signer.IssueRequest) ([]byte, error) { return s.answer, nil }

func TestALicenseThatNobodyApprovedIsNotStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	runner := w.work()
	c := w.customer()
	l := c.buy(c.request("pilot-30d"))
	w.idle()
	w.must(runner.Stop(t.Context()))
	for name, answer := range map[string][]byte{"the old one": l.Envelope, "no license": []byte("{}")} {
		request := w.stood(w.proposed(correction(l, "Lumen "+name)), ben)
		config := w.executing()
		config.Signer = liar{w.signer, answer}
		executor, err := fulfillment.NewExecutor(config)
		w.must(err)
		w.must(executor.Execute(t.Context(), request.ID))
		if request = w.ended(request); request.Refusal == nil || request.Refusal.Code != "license-mismatch" {
			t.Errorf("%s: %+v", name, request.Refusal)
		}
	}
	if n := w.count("SELECT count(*) FROM issuances"); n != 1 {
		t.Errorf("%d licenses are stored", n)
	}
}

func TestASignerThatDoesNotAnswerIsAskedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	l := c.buy(c.request("pilot-30d"))
	request := w.stood(w.proposed(correction(l, "Lumen KG")))
	w.signerDown()
	request = w.stood(request, ben)
	time.Sleep(100 * time.Millisecond)
	if again, err := w.requests.Request(t.Context(), request.ID); err != nil || !again.EndedAt.IsZero() {
		t.Fatalf("ended without a signer: %+v, %v", again, err)
	}
	w.signerUp()
	w.done(request)
}
