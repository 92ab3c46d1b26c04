package server

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/trust"
	"github.com/metrum-ai/licensing-portal/license"
)

func TestAPaidSessionGetsALicenseThatARouterAccepts(t *testing.T) {
	t.Parallel()
	w := newWorld(t).serve()
	p := w.payload(w.mustIssue(paid(pack("ord_1"), 25000)))
	if p.SKU != "credit-pack-5m" || p.CustomerID != "cust_1" || !p.IssuedAt.Equal(start) || !p.ExpiresAt.Equal(start.AddDate(1, 0, 0)) ||
		p.LicenseID != catalog.LicenseID("credit-pack-5m", start, "ord_1") || p.Deployment.AllowedInstances[0] != "fp:a" {
		t.Errorf("got %+v", p)
	}
}

func TestNothingIsSignedWithoutEvidenceForIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	closed := w.bundle.Templates[2]
	closed.Version, closed.Price.LookupKey = 2, "credit-pack-5m.v2"
	at := start.Add(-time.Hour)
	closed.ClosedAt = &at
	w.bundle.Templates = append(w.bundle.Templates, closed)
	w.serve()
	cases := []struct {
		name   string
		change func(*session)
		want   signer.Code
	}{
		{"live event", func(s *session) { s.livemode, s.sessionLivemode = true, true }, signer.CodeMode},
		{"live session in a test event", func(s *session) { s.sessionLivemode = true }, signer.CodeMode},
		{"another account", func(s *session) { s.account = "acct_2" }, signer.CodeAccount},
		{"another API version", func(s *session) { s.apiVersion = "2024-06-20" }, signer.CodeAPIVersion},
		{"no API version", func(s *session) { s.apiVersion = "" }, signer.CodeAPIVersion},
		{"another type", func(s *session) { s.eventType = "checkout.session.expired" }, signer.CodeEventType},
		{"invoice.paid", func(s *session) { s.eventType = "invoice.paid" }, signer.CodeEventMalformed},
		{"another object", func(s *session) { s.object = "payment_intent" }, signer.CodeEventMalformed},
		{"a subscription", func(s *session) { s.mode = "subscription" }, signer.CodeEventType},
		{"a set-up", func(s *session) { s.mode = "setup" }, signer.CodeEventType},
		{"open session", func(s *session) { s.status = "open" }, signer.CodeUnpaid},
		{"unpaid", func(s *session) { s.payment = "unpaid" }, signer.CodeUnpaid},
		{"nothing to pay for a priced template", func(s *session) { s.payment = "no_payment_required" }, signer.CodeUnpaid},
		{"nothing to pay, told late", func(s *session) { s.payment, s.eventType = "no_payment_required", typeAsyncPaid }, signer.CodeUnpaid},
		{"amount less one", func(s *session) { s.subtotal--; s.total-- }, signer.CodeAmount},
		{"total less one", func(s *session) { s.total-- }, signer.CodeAmount},
		{"subtotal less one", func(s *session) { s.subtotal-- }, signer.CodeAmount},
		{"discounted", func(s *session) { s.discount = 1 }, signer.CodeAmount},
		{"negative discount", func(s *session) { s.subtotal--; s.discount = -1 }, signer.CodeAmount},
		{"absurd discount", func(s *session) { s.discount = -1 << 63 }, signer.CodeAmount},
		{"absurd subtotal", func(s *session) { s.subtotal, s.discount = -1<<63, 1 }, signer.CodeAmount},
		{"another currency", func(s *session) { s.currency = "jpy" }, signer.CodeCurrency},
		{"upper-case currency", func(s *session) { s.currency = "USD" }, signer.CodeCurrency},
		{"unknown template", func(s *session) { s.metadata["template"] = "gold-card@1" }, signer.CodeTemplateUnknown},
		{"unknown version", func(s *session) { s.metadata["template"] = "credit-pack-5m@9" }, signer.CodeTemplateUnknown},
		{"closed version", func(s *session) { s.metadata["template"] = "credit-pack-5m@2" }, signer.CodeTemplateClosed},
		{"invoice-only template", func(s *session) { s.metadata["template"] = "enterprise-annual@1" }, signer.CodeChannel},
		{"template by contract", func(s *session) { s.metadata["template"] = "marketplace-seat@1" }, signer.CodeChannel},
		{"subscription's template", func(s *session) { s.metadata["template"] = "hosted-instance-monthly@1" }, signer.CodeChannel},
		{"dearer template", func(s *session) { s.metadata["template"] = "credit-pack-25m@1" }, signer.CodeAmount},
		{"quantity over the limit, paid", func(s *session) { s.metadata["quantity"] = "2"; s.subtotal *= 2; s.total *= 2 }, signer.CodeQuantity},
		{"quantity over the limit, unpaid", func(s *session) { s.metadata["quantity"] = "2" }, signer.CodeAmount},
		{"environment outside", func(s *session) { s.metadata["environments"] = "evaluation" }, signer.CodeIntentRefused},
		{"two fingerprints", func(s *session) { s.metadata["fp_2"] = "fp:b" }, signer.CodeIntentRefused},
		{"unknown metadata", func(s *session) { s.metadata["max_tokens"] = "1" }, signer.CodeIntentMalformed},
		{"no metadata", func(s *session) { s.metadata = nil }, signer.CodeIntentMalformed},
		{"event from the future", func(s *session) { s.created = start.Add(6 * time.Minute) }, signer.CodeTimestampOutside},
		{"event before any key", func(s *session) { s.created = start.AddDate(-1, 0, 0) }, signer.CodeNoSigningKey},
		{"renewal without base", func(s *session) {
			s.metadata["kind"], s.metadata["base_id"], s.metadata["base_sha256"] = "renewal", "lic_x", strings.Repeat("0", 64)
		}, signer.CodeBaseMissing},
	}
	for _, c := range cases {
		s := paid(pack("ord_1"), 25000)
		c.change(s)
		if envelope, err := w.issue(s); code(err) != c.want || envelope != nil {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
	if w.store.Size() != 0 {
		t.Errorf("%d records", w.store.Size())
	}
}

func TestOnlyTheWebhookSecretProves(t *testing.T) {
	t.Parallel()
	w := newWorld(t).serve()
	body := paid(pack("ord_1"), 25000).body()
	good := signed(body, start, webhookSecret)
	folded := bytes.Replace(body, []byte(`"currency":"usd"`), []byte(`"currency":"usd","Currency":"eur"`), 1)
	cases := map[string]struct {
		event *signer.Event
		want  signer.Code
	}{
		"wrong secret":    {signed(body, start, "whsec_another_secret_00"), signer.CodeSignatureInvalid},
		"blank secret":    {signed(body, start, ""), signer.CodeSignatureInvalid},
		"changed body":    {&signer.Event{Body: bytes.Replace(body, []byte("25000"), []byte("25001"), 1), SignatureHeader: good.SignatureHeader}, signer.CodeSignatureInvalid},
		"no header":       {&signer.Event{Body: body}, signer.CodeSignatureInvalid},
		"empty":           {&signer.Event{Body: []byte{}}, signer.CodeSignatureInvalid},
		"duplicate names": {signed(folded, start, webhookSecret), signer.CodeEventMalformed},
		"too large":       {signed(bytes.Repeat([]byte(" "), 512<<10+1), start, webhookSecret), signer.CodeTooLarge},
	}
	for name, c := range cases {
		if _, err := w.client.Issue(t.Context(), signer.IssueRequest{Event: c.event}); code(err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := w.client.Check(t.Context(), *c.event); code(err) != c.want {
			t.Errorf("check: %s: %v", name, err)
		}
	}
	if w.store.Size() != 0 {
		t.Errorf("%d records", w.store.Size())
	}
}

func TestTheSameEvidenceAlwaysGetsTheSameBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t).serve()
	first := w.mustIssue(paid(pack("ord_1"), 25000))
	w.pass(40 * 24 * time.Hour)
	if again := w.mustIssue(paid(pack("ord_1"), 25000)); !bytes.Equal(first, again) {
		t.Error("replay differs")
	}
	other := paid(pack("ord_1"), 25000)
	other.eventID, other.eventType, other.created = "evt_2", typeAsyncPaid, start.Add(time.Hour)
	if again := w.mustIssue(other); !bytes.Equal(first, again) {
		t.Error("another event of the payment gets another license")
	}
	if w.store.Size() != 1 {
		t.Errorf("%d records", w.store.Size())
	}
}

func TestAnotherIntentUnderTheKeyIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t).serve()
	w.mustIssue(paid(pack("ord_1"), 25000))
	for name, change := range map[string]func(*catalog.Intent){
		"customer":    func(i *catalog.Intent) { i.CustomerID = "cust_2" },
		"fingerprint": func(i *catalog.Intent) { i.Fingerprints = []string{"fp:b"} },
		"name":        func(i *catalog.Intent) { i.CustomerName = "Renamed" },
		"environment": func(i *catalog.Intent) { i.Environments = []string{"staging"} },
	} {
		i := pack("ord_1")
		change(&i)
		s := paid(i, 25000)
		s.eventID = "evt_2"
		if _, err := w.issue(s); code(err) != signer.CodeConflict {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAHundredAtOnceGetOneEntryAndOneAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t).serve()
	var answers sync.Map
	var parallel sync.WaitGroup
	for n := range 100 {
		parallel.Go(func() {
			s := paid(pack("ord_1"), 25000)
			if n%2 == 1 { // half of them prove the payment by another event
				s.eventID, s.eventType, s.created = "evt_2", typeAsyncPaid, start.Add(time.Second)
			}
			envelope, err := w.issue(s)
			for code(err) == signer.CodeOverloaded || code(err) == signer.CodeUnavailable { // a slow machine's answer: ask again
				envelope, err = w.issue(s)
			}
			if err != nil {
				t.Error(err)
			}
			answers.Store(string(envelope), true)
		})
	}
	parallel.Wait()
	count := 0
	answers.Range(func(any, any) bool { count++; return true })
	if paidToday, err := w.store.Count("paid/2026-11-23"); count != 1 || w.store.Size() != 1 || paidToday != 1 || err != nil {
		t.Errorf("%d answers, %d records, cap counted %d times", count, w.store.Size(), paidToday)
	}
}

func TestCaps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.bundle.Caps = trust.Caps{FreePerDay: 2, FreePerCustomer: 1, PerDay: 1}
	w.serve()
	w.mustIssue(free(eval("ord_1", "cust_1")))
	w.mustIssue(free(eval("ord_1", "cust_1"))) // a replay counts nothing
	if _, err := w.issue(free(eval("ord_2", "cust_1"))); code(err) != signer.CodeCapExceeded {
		t.Errorf("second evaluation of a customer: %v", err)
	}
	w.mustIssue(free(eval("ord_3", "cust_3")))
	if _, err := w.issue(free(eval("ord_4", "cust_4"))); code(err) != signer.CodeCapExceeded {
		t.Errorf("third evaluation of the day: %v", err)
	}
	w.mustIssue(paid(pack("ord_5"), 25000))
	if _, err := w.issue(paid(pack("ord_6"), 25000)); code(err) != signer.CodeCapExceeded {
		t.Errorf("second purchase of the day: %v", err)
	}
	w.pass(24 * time.Hour)
	next := free(eval("ord_4", "cust_4"))
	next.created = start.Add(24 * time.Hour)
	w.mustIssue(next)
	again := free(eval("ord_7", "cust_1"))
	again.created = next.created
	if _, err := w.issue(again); code(err) != signer.CodeCapExceeded {
		t.Errorf("second evaluation of a customer on another day: %v", err)
	}
}

func TestTopUpsAndRenewals(t *testing.T) {
	t.Parallel()
	w := newWorld(t).serve()
	base := w.mustIssue(paid(pack("ord_1"), 25000))
	one := w.payload(w.mustIssue(paid(based("ord_2", catalog.IssueTopUp, "credit-pack-25m@1", base), 100000), base...))
	two := w.payload(w.mustIssue(paid(based("ord_3", catalog.IssueTopUp, "credit-pack-5m@1", base), 25000), base...))
	if one.Limits.MaxTotalTokens != 25_000_000 || two.Limits.MaxTotalTokens != 5_000_000 || one.LicenseID == two.LicenseID {
		t.Errorf("siblings: %+v, %+v", one, two)
	}
	renewal := w.payload(w.mustIssue(paid(based("ord_4", catalog.IssueRenewal, "credit-pack-5m@1", base), 25000), base...))
	if !renewal.ExpiresAt.Equal(start.AddDate(2, 0, 0)) || renewal.Deployment.AllowedInstances[0] != "fp:a" {
		t.Errorf("renewal: %+v", renewal)
	}
	trial := w.mustIssue(free(eval("ord_5", "cust_1")))
	if _, err := w.issue(paid(based("ord_6", catalog.IssueRenewal, "pilot-30d@1", trial), 99900), trial...); code(err) != signer.CodeIntentRefused {
		t.Errorf("an evaluation renewed: %v", err)
	}
}

func TestTheBaseMustBeTheOneTheIntentNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t).serve()
	base := w.mustIssue(paid(pack("ord_1"), 25000))
	others := w.mustIssue(paid(pack("ord_2"), 25000))
	forged := bytes.Replace(base, []byte("5000000"), []byte("9000000"), 1)
	topUp := func(change func(*catalog.Intent)) *session {
		i := based("ord_3", catalog.IssueTopUp, "credit-pack-5m@1", base)
		change(&i)
		return paid(i, 25000)
	}
	same := func(*catalog.Intent) {}
	late := topUp(same)
	late.sessionCreated = start.AddDate(1, 0, 0)
	cases := []struct {
		name string
		s    *session
		base []byte
		want signer.Code
	}{
		{"missing", topUp(same), nil, signer.CodeBaseMissing},
		{"another file", topUp(same), others, signer.CodeBaseMismatch},
		{"one space more", topUp(same), append(bytes.Clone(base), ' '), signer.CodeBaseMismatch},
		{"forged, with its own hash", topUp(func(i *catalog.Intent) { i.BaseSHA256 = digest(forged) }), forged, signer.CodeBaseInvalid},
		{"another ID", topUp(func(i *catalog.Intent) { i.BaseID = "lic_other" }), base, signer.CodeBaseMismatch},
		{"another customer", topUp(func(i *catalog.Intent) { i.CustomerID = "cust_2" }), base, signer.CodeBaseMismatch},
		{"another deployment", topUp(func(i *catalog.Intent) { i.DeploymentID = "dep_2" }), base, signer.CodeBaseMismatch},
		{"expired when the session was made", late, base, signer.CodeBaseExpired},
		{"base beside a new license", paid(pack("ord_4"), 25000), base, signer.CodeBaseMismatch},
		{"not a license", topUp(func(i *catalog.Intent) { i.BaseSHA256 = digest([]byte("{}")) }), []byte("{}"), signer.CodeBaseInvalid},
	}
	for _, c := range cases {
		if _, err := w.issue(c.s, c.base...); code(err) != c.want {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
	if w.store.Size() != 2 {
		t.Errorf("%d records", w.store.Size())
	}
}

func TestALegacyBaseIsVerifiedByItsOldKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p, err := catalog.Render(catalog.Source{
		Intent: pack("ord_0"), Template: w.bundle.Templates[2], FulfillmentKey: "by-hand", IssuedAt: start.AddDate(0, -2, 0), KeyID: "old-1",
	})
	if err != nil {
		t.Fatal(err)
	}
	p.Deployment.DeploymentID, p.CustomerID = "", "cust_7QK2M9"
	message, err := p.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	base, err := license.Encode(p, ed25519.Sign(private, message))
	if err != nil {
		t.Fatal(err)
	}
	topUp := paid(based("ord_1", catalog.IssueTopUp, "credit-pack-5m@1", base), 25000)
	w.serve()
	if _, err := w.issue(topUp, base...); code(err) != signer.CodeBaseInvalid {
		t.Errorf("unknown key: %v", err)
	}
	w.stop()
	w.legacy = []license.Key{{ID: "old-1", Role: license.RoleLicense, Public: public}}
	w.serve()
	if got := w.payload(w.mustIssue(topUp, base...)); got.CustomerID != "cust_7QK2M9" || got.Deployment.DeploymentID != "dep_1" {
		t.Errorf("got %+v", got)
	}
}

func TestTheKeyIsTheOneWhoseWindowHoldsTheEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.bundle.Keys[0].SignUntil = start.Add(time.Hour)
	w.bundle.Keys = append(w.bundle.Keys, w.newKey("license-2", start.Add(time.Hour), start.AddDate(1, 0, 0)))
	w.serve()
	w.pass(2 * time.Hour)
	late, next := paid(pack("ord_1"), 25000), paid(pack("ord_2"), 25000)
	next.created = start.Add(time.Hour)
	if id := w.payload(w.mustIssue(late)).KeyID; id != "license-1" {
		t.Errorf("late event: %s", id)
	}
	if id := w.payload(w.mustIssue(next)).KeyID; id != "license-2" {
		t.Errorf("next event: %s", id)
	}
	w.pass(8 * 24 * time.Hour)
	if _, err := w.issue(paid(pack("ord_3"), 25000)); code(err) != signer.CodeNoSigningKey {
		t.Errorf("too late: %v", err)
	}
}

func TestARequestWithoutEvidenceIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t).serve()
	if _, err := w.client.Issue(t.Context(), signer.IssueRequest{}); code(err) != signer.CodeBadRequest {
		t.Errorf("no evidence: %v", err)
	}
}

func TestAClockThatJumpedStopsTheSigner(t *testing.T) {
	t.Parallel()
	w := newWorld(t).serve()
	w.pass(time.Hour) // both clocks go on
	w.mustIssue(paid(pack("ord_1"), 25000))
	w.jump(6 * time.Minute)
	if _, err := w.issue(paid(pack("ord_2"), 25000)); code(err) != signer.CodeClock {
		t.Errorf("ahead: %v", err)
	}
	w.jump(-6 * time.Minute)
	if _, err := w.issue(paid(pack("ord_2"), 25000)); code(err) != signer.CodeClock {
		t.Errorf("set right again without a restart: %v", err)
	}
	w.stop()
	w.jump(-10 * time.Minute)
	w.serve()
	if _, err := w.issue(paid(pack("ord_2"), 25000)); code(err) != signer.CodeClock {
		t.Errorf("behind the log after a restart: %v", err)
	}
	if status, err := w.client.Status(t.Context()); err != nil || status.Ready || status.Problem == "" {
		t.Errorf("status %+v, %v", status, err)
	}
}

func TestNoLogNoSignature(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{syscall.ENOSPC, syscall.EIO} {
		w := newWorld(t)
		var failing atomic.Bool
		w.commit = func(tx *bbolt.Tx) error {
			if failing.Load() {
				return errors.Join(cause, tx.Rollback())
			}
			return tx.Commit()
		}
		w.serve()
		first := w.mustIssue(paid(pack("ord_1"), 25000))
		failing.Store(true)
		if envelope, err := w.issue(paid(pack("ord_2"), 25000)); code(err) != signer.CodeLog || envelope != nil {
			t.Errorf("%v: %v", cause, err)
		}
		failing.Store(false)
		if _, err := w.issue(paid(pack("ord_2"), 25000)); code(err) != signer.CodeLog {
			t.Errorf("%v: went on after a failed commit: %v", cause, err)
		}
		if status, err := w.client.Status(t.Context()); err != nil || status.Ready {
			t.Errorf("%v: status %+v, %v", cause, status, err)
		}
		w.stop()
		w.serve()
		if again := w.mustIssue(paid(pack("ord_1"), 25000)); !bytes.Equal(first, again) {
			t.Errorf("%v: restart changed the answer", cause)
		}
		w.mustIssue(paid(pack("ord_2"), 25000))
	}
}

func TestAWipedStoreAndReplayedEvidenceGiveTheSameBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t).serve()
	base := w.mustIssue(paid(pack("ord_1"), 25000))
	topUp := w.mustIssue(paid(based("ord_2", catalog.IssueTopUp, "credit-pack-5m@1", base), 25000), base...)
	page, err := w.client.Entries(t.Context(), 0)
	if err != nil || len(page.Entries) != 2 || page.Next != 2 || page.Size != 2 {
		t.Fatalf("%+v, %v", page, err)
	}
	other := newWorld(t)
	other.bundle, other.private = w.bundle, w.private
	other.pass(time.Hour)
	other.serve()
	for n, want := range [][]byte{base, topUp} {
		e := page.Entries[n]
		got, err := other.client.Issue(t.Context(), signer.IssueRequest{Event: e.Event, BaseEnvelope: e.BaseEnvelope})
		if err != nil || !bytes.Equal(got, want) || e.Envelope != string(want) {
			t.Errorf("entry %d differs: %v", n, err)
		}
	}
}
