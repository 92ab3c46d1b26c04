package server

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/signer/evidence"
	"github.com/metrum-ai/licensing-portal/internal/trust"
	"github.com/metrum-ai/licensing-portal/license"
)

// newRevokingWorld is a world whose bundle has a revocation key too.
func newRevokingWorld(t testing.TB) *world {
	w := newWorld(t)
	k := w.newKey("revocation-1", start.AddDate(0, -1, 0), start.AddDate(2, 0, 0))
	k.Role = trust.RoleRevocation
	w.bundle.Keys = append(w.bundle.Keys, k)
	return w
}

// payback is an event about a charge or dispute in the making.
func payback(eventType string, at time.Time, object map[string]any) *signer.Event {
	object = maps.Clone(object)
	if _, ok := object["livemode"]; !ok {
		object["livemode"] = false
	}
	text, err := json.Marshal(map[string]any{
		"id": "evt_" + eventType, "object": "event", "api_version": evidence.APIVersion, "created": at.Unix(), "livemode": false,
		"type": eventType, "data": map[string]any{"object": object},
	})
	if err != nil {
		panic(err)
	}
	return signed(text, at, webhookSecret)
}

func refund(payment string, at time.Time) *signer.Event {
	return payback("charge.refunded", at, map[string]any{
		"id": "ch_" + payment, "object": "charge", "payment_intent": payment, "amount": 250_00, "amount_refunded": 250_00, "refunded": true,
	})
}

func dispute(payment, status string, at time.Time) *signer.Event {
	return payback("charge.dispute.updated", at, map[string]any{
		"id": "dp_" + payment, "object": "dispute", "charge": "ch_" + payment, "payment_intent": payment, "status": status,
	})
}

// revoke asks and reads the answer as a router with the bundle's key ring would.
func (w *world) revoke(r signer.RevokeRequest) (signer.Revoked, *license.RevocationBundle) {
	w.t.Helper()
	answer, err := w.client.Revoke(w.t.Context(), r)
	if err != nil {
		w.t.Fatal(err)
	}
	ring, err := w.bundle.KeyRing()
	if err != nil {
		w.t.Fatal(err)
	}
	bundle, err := license.ReadRevocationBundle([]byte(answer.Bundle), ring, w.clock())
	if err != nil {
		w.t.Fatal(err)
	}
	if err := bundle.CheckDates(w.clock()); err != nil || bundle.Epoch() != answer.Epoch {
		w.t.Fatalf("epoch %d of %d, %v", bundle.Epoch(), answer.Epoch, err)
	}
	return answer, bundle
}

func (w *world) said(b *license.RevocationBundle, envelope []byte) string {
	entry, found := b.Lookup(w.payload(envelope).LicenseID)
	if !found {
		return ""
	}
	return entry.Status
}

// payWith gives a session its payment.
func payWith(s *session, payment string) *session { s.paymentIntent = payment; return s }

func TestAFullRefundRevokesWhatItsPaymentProved(t *testing.T) {
	t.Parallel()
	w := newRevokingWorld(t).serve()
	mine := w.mustIssue(payWith(paid(pack("ord_1"), 25000), "pi_1"))
	other := w.mustIssue(payWith(paid(pack("ord_2"), 25000), "pi_2"))
	answer, bundle := w.revoke(signer.RevokeRequest{Event: refund("pi_1", start)})
	if w.said(bundle, mine) != license.StatusRevoked || w.said(bundle, other) != "" || len(answer.Changes) != 1 || answer.Changes[0].Reason != "refunded" {
		t.Errorf("%+v", answer.Changes)
	}
	again, _ := w.revoke(signer.RevokeRequest{Event: refund("pi_1", start.Add(time.Second))})
	if again.Bundle != answer.Bundle || len(again.Changes) != 0 {
		t.Error("the same refund, told again, signed another bundle")
	}
	if late, _ := w.revoke(signer.RevokeRequest{Event: dispute("pi_1", "won", start.Add(time.Minute))}); late.Epoch != answer.Epoch {
		t.Error("a won dispute lifted a refund")
	}
}

func TestRefundingADuplicatePaymentRevokesNothing(t *testing.T) {
	t.Parallel()
	w := newRevokingWorld(t).serve()
	first := payWith(paid(pack("ord_1"), 25000), "pi_1")
	second := payWith(paid(pack("ord_1"), 25000), "pi_2")
	second.eventID = "evt_second"
	envelope := w.mustIssue(first)
	w.mustIssue(second)
	answer, bundle := w.revoke(signer.RevokeRequest{Event: refund("pi_2", start)})
	if len(answer.Changes) != 0 || w.said(bundle, envelope) != "" {
		t.Errorf("%+v", answer.Changes)
	}
}

func TestADisputeSuspendsAndItsEndDecides(t *testing.T) {
	t.Parallel()
	w := newRevokingWorld(t).serve()
	envelope := w.mustIssue(payWith(paid(pack("ord_1"), 25000), "pi_1"))
	for n, step := range []struct {
		status string
		at     time.Duration // the event's created
		want   string
	}{
		{"warning_needs_response", 0, ""},
		{"unheard_of", 0, ""},
		{"won", 0, ""}, // reinstates nothing
		{"needs_response", 10, license.StatusSuspended},
		{"under_review", 20, license.StatusSuspended},
		{"won", 30, ""},
		{"under_review", 20, ""},                        // late
		{"needs_response", 30, license.StatusSuspended}, // of the same second: the graver stands
		{"won", 31, ""},
		{"lost", 40, license.StatusRevoked},
		{"won", 50, license.StatusRevoked},
	} {
		w.pass(time.Minute)
		_, bundle := w.revoke(signer.RevokeRequest{Event: dispute("pi_1", step.status, start.Add(step.at*time.Second))})
		if got := w.said(bundle, envelope); got != step.want {
			t.Errorf("step %d, %s: %q, want %q", n, step.status, got, step.want)
		}
	}
}

func TestALicenseStaysSuspendedUntilItsLastCauseIsGone(t *testing.T) {
	t.Parallel()
	w := newRevokingWorld(t).serve()
	envelope := w.mustIssue(payWith(paid(pack("ord_1"), 25000), "pi_1"))
	at := start
	second := func(status string) *signer.Event {
		return payback("charge.dispute.closed", at, map[string]any{"id": "dp_second", "object": "dispute", "payment_intent": "pi_1", "status": status})
	}
	ask := func(e *signer.Event, want string) {
		t.Helper()
		_, bundle := w.revoke(signer.RevokeRequest{Event: e})
		if got := w.said(bundle, envelope); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		at = at.Add(time.Second)
		w.pass(time.Second)
	}
	ask(dispute("pi_1", "needs_response", at), license.StatusSuspended)
	ask(second("needs_response"), license.StatusSuspended)
	ask(dispute("pi_1", "won", at), license.StatusSuspended)
	ask(second("won"), "")
}

func TestWhatInheritedRevokedTimeIsRevokedToo(t *testing.T) {
	t.Parallel()
	w := newRevokingWorld(t).serve()
	base := w.mustIssue(payWith(paid(pack("ord_1"), 25000), "pi_1"))
	later := func(s *session, d time.Duration) *session {
		s.created, s.sessionCreated = start.Add(d), start.Add(d-time.Minute)
		return s
	}
	w.pass(time.Hour)
	// A pack bought at the base's own second keeps the base's expiry; one bought later has a longer term of its own.
	heir := w.mustIssue(payWith(later(paid(based("ord_2", catalog.IssueTopUp, "credit-pack-5m@1", base), 25000), 0), "pi_2"), base...)
	own := w.mustIssue(payWith(later(paid(based("ord_3", catalog.IssueTopUp, "credit-pack-5m@1", base), 25000), time.Minute), "pi_3"), base...)
	renewal := w.mustIssue(payWith(later(paid(based("ord_4", catalog.IssueRenewal, "credit-pack-5m@1", base), 25000), time.Minute), "pi_4"), base...)
	answer, bundle := w.revoke(signer.RevokeRequest{Event: refund("pi_1", start.Add(time.Hour))})
	if w.said(bundle, base) != license.StatusRevoked || w.said(bundle, heir) != license.StatusRevoked || w.said(bundle, own) != "" || w.said(bundle, renewal) != "" {
		t.Errorf("%+v", answer.Changes)
	}
	if !slices.Equal(answer.Review, []string{w.payload(renewal).LicenseID}) {
		t.Errorf("for staff: %v", answer.Review)
	}
	next := later(paid(based("ord_5", catalog.IssueRenewal, "credit-pack-5m@1", base), 25000), time.Hour)
	if _, err := w.issue(next, base...); code(err) != signer.CodeRevoked {
		t.Errorf("renewal of a revoked license: %v", err)
	}
}

func TestNothingIsRevokedWithoutEvidenceForIt(t *testing.T) {
	t.Parallel()
	w := newRevokingWorld(t).serve()
	w.mustIssue(payWith(paid(pack("ord_1"), 25000), "pi_1"))
	charge := map[string]any{"id": "ch_1", "object": "charge", "payment_intent": "pi_1", "amount": 250_00, "amount_refunded": 250_00, "refunded": true}
	with := func(name string, value any) map[string]any {
		object := maps.Clone(charge)
		object[name] = value
		return object
	}
	forged := refund("pi_1", start)
	forged.SignatureHeader = strings.Replace(forged.SignatureHeader, "v1=", "v1=00", 1)[:len(forged.SignatureHeader)]
	for name, c := range map[string]struct {
		event *signer.Event
		want  signer.Code
	}{
		"partly refunded":     {payback("charge.refunded", start, with("amount_refunded", 249_99)), signer.CodeAmount},
		"said to be refunded": {payback("charge.refunded", start, with("refunded", false)), signer.CodeAmount},
		"no amounts":          {payback("charge.refunded", start, with("amount_refunded", nil)), signer.CodeEventMalformed},
		"a refund object":     {payback("charge.refunded", start, with("object", "refund")), signer.CodeEventMalformed},
		"another type":        {payback("refund.updated", start, charge), signer.CodeEventType},
		"no payment":          {payback("charge.refunded", start, with("payment_intent", nil)), signer.CodeEventMalformed},
		"live charge":         {payback("charge.refunded", start, with("livemode", true)), signer.CodeMode},
		"a payment event":     {paid(pack("ord_1"), 25000).event(), signer.CodeEventType},
		"forged":              {forged, signer.CodeSignatureInvalid},
		"from the future":     {refund("pi_1", start.Add(6*time.Minute)), signer.CodeTimestampOutside},
	} {
		if _, err := w.client.Revoke(t.Context(), signer.RevokeRequest{Event: c.event}); code(err) != c.want {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
	if w.store.Size() != 1 {
		t.Errorf("%d records", w.store.Size())
	}
}

func TestABundleIsSignedAnewOnceAWeekAndItsEpochOnlyGrows(t *testing.T) {
	t.Parallel()
	w := newRevokingWorld(t).serve()
	first, _ := w.revoke(signer.RevokeRequest{})
	w.pass(bundleRenewed - time.Second)
	if same, _ := w.revoke(signer.RevokeRequest{}); same.Bundle != first.Bundle {
		t.Error("signed anew before its time")
	}
	w.pass(time.Second)
	second, _ := w.revoke(signer.RevokeRequest{})
	if second.Epoch <= first.Epoch || second.Epoch != w.clock().Unix() {
		t.Errorf("epoch %d after %d", second.Epoch, first.Epoch)
	}
	w.jump(-4 * time.Minute) // the clock may be a little behind the log
	w.mustIssue(payWith(paid(pack("ord_1"), 25000), "pi_1"))
	if third, _ := w.revoke(signer.RevokeRequest{Event: refund("pi_1", start)}); third.Epoch != second.Epoch+1 {
		t.Errorf("epoch %d after %d", third.Epoch, second.Epoch)
	}
}

func TestRevocationsAreRememberedAcrossARestart(t *testing.T) {
	t.Parallel()
	w := newRevokingWorld(t).serve()
	envelope := w.mustIssue(payWith(paid(pack("ord_1"), 25000), "pi_1"))
	before, _ := w.revoke(signer.RevokeRequest{Event: refund("pi_1", start)})
	w.stop()
	w.serve()
	after, bundle := w.revoke(signer.RevokeRequest{})
	if after.Bundle != before.Bundle || w.said(bundle, envelope) != license.StatusRevoked {
		t.Error("another bundle after a restart")
	}
}

func TestWithoutARevocationKeyNoBundleIsSigned(t *testing.T) {
	t.Parallel()
	w := newWorld(t).serve()
	if _, err := w.client.Revoke(t.Context(), signer.RevokeRequest{}); code(err) != signer.CodeNoSigningKey || w.store.Size() != 0 {
		t.Errorf("got %v", err)
	}
}
