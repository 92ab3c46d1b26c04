package fulfillment_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/internal/jobs"
	signerlog "github.com/metrum-ai/licensing-portal/internal/signer/log"
	"github.com/metrum-ai/licensing-portal/internal/trust"
	"github.com/metrum-ai/licensing-portal/license"
)

// changeKey lets license-2 sign from now on, and license-1 verify alone.
func (w *world) changeKey() {
	w.t.Helper()
	w.signerDown()
	w.must(w.signing.Log.(*signerlog.Log).Close())
	public, private, err := ed25519.GenerateKey(rand.Reader)
	w.must(err)
	w.keys["license-2"] = private
	now := time.Now().UTC().Truncate(time.Second)
	b := *w.bundle
	b.Keys = append([]trust.Key(nil), b.Keys...)
	for i := range b.Keys {
		if k := &b.Keys[i]; k.ID == "license-1" {
			k.SignUntil, k.Status = now, trust.KeyVerifyOnly
		}
	}
	b.Keys = append(b.Keys, trust.Key{
		ID: "license-2", Role: trust.RoleLicense, PublicKeyBase64: base64.StdEncoding.EncodeToString(public), Status: trust.KeySigning,
		SignFrom: now, SignUntil: now.AddDate(1, 0, 0), VerifyUntil: now.AddDate(6, 0, 0),
	})
	b.Version++
	w.bundle = &b
	w.takeBundle()
	w.openLog()
	w.signerUp()
	w.openDesk()
}

func rotation(keyID string, atMost int) approval.Request {
	return approval.Request{
		Action: approval.ActionRotate, Proposer: ada, Reason: approval.ReasonKeyRotation, Explanation: "The yearly change of the license key.",
		Rotate: &approval.Rotate{KeyID: keyID, AtMost: atMost},
	}
}

// stopped stops a worker.
func (w *world) stopped(runner *jobs.Runner) {
	w.t.Helper()
	w.idle()
	w.must(runner.Stop(w.t.Context()))
}

func TestARotationReplacesEveryLiveLicenseOfAKeyOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	runner := w.work()
	c := w.customer()
	var bought []fulfillment.License
	for range 4 {
		bought = append(bought, c.buy(c.request("pilot-30d")))
	}
	corrected := w.done(w.stood(w.proposed(correction(bought[0], "Lumen KG")), ben))
	suspend := approval.Request{
		Action: approval.ActionRevoke, Proposer: ada, Reason: approval.ReasonTermsBroken, Explanation: why,
		Revoke: []approval.Revocation{{LicenseID: bought[1].ID, Status: license.StatusSuspended}},
	}
	w.done(w.stood(w.proposed(suspend), ben))
	w.stopped(runner)
	if _, err := w.requests.Propose(t.Context(), rotation("license-1", 2)); err == nil {
		t.Error("a rotation of the key that signs was written down")
	}
	w.changeKey()
	if _, err := w.requests.Propose(t.Context(), rotation("license-1", 2)); err == nil {
		t.Error("a rotation of fewer licenses than there are was written down")
	}

	request := w.stood(w.proposed(rotation("license-1", 0)), ben)
	if request.Rotate.AtMost != 3 || request.Needed != 2 || request.Standing(time.Now()) != fulfillment.RequestWaiting {
		t.Errorf("request %+v", request)
	}
	request = w.stood(request, cat)
	w.must(w.executor.Execute(t.Context(), request.ID))
	w.must(w.executor.Execute(t.Context(), request.ID)) // as after a crash
	first := bought[2]
	w.must(errors.Join(w.executor.Rotate(t.Context(), request.ID, first.ID), w.executor.Rotate(t.Context(), request.ID, first.ID)))
	request, err := w.requests.Request(t.Context(), request.ID)
	w.must(err)
	if want := (fulfillment.RotationProgress{Total: 3, Replaced: 1}); request.Rotation != want || request.Rotation.Open() != 2 || !request.EndedAt.IsZero() {
		t.Errorf("on the way: %+v", request)
	}
	// One of the others is replaced in another way before its turn.
	meanwhile := w.stood(w.proposed(correction(bought[3], "Lumen AG")), ben)
	w.must(w.executor.Execute(t.Context(), meanwhile.ID))
	w.work()
	request = w.done(request)
	if want := (fulfillment.RotationProgress{Total: 3, Replaced: 2, Passed: 1}); request.Rotation != want {
		t.Errorf("came to %+v", request.Rotation)
	}
	for _, id := range []string{first.ID, corrected.LicenseID} {
		old, err := w.library.License(t.Context(), c.organization, id)
		w.must(err)
		successor, err := w.library.License(t.Context(), c.organization, old.SupersededBy)
		w.must(err)
		want := old.Payload
		want.KeyID, want.LicenseID, want.IssuedAt, want.NotBefore = "license-2", successor.ID, request.CreatedAt, successor.Payload.NotBefore
		got, gotErr := successor.Payload.Canonical()
		expected, wantErr := want.Canonical()
		if gotErr != nil || wantErr != nil || string(got) != string(expected) || successor.Kind != catalog.IssueReplacement || old.Withdrawn != nil {
			t.Errorf("%s became %s, want %s", id, got, expected)
		}
	}
	if left, err := w.store.LiveUnder(t.Context(), "license-1", time.Now()); err != nil || left != 0 {
		t.Errorf("%d are left under the old key, %v", left, err)
	}
	page, err := w.signer.Entries(t.Context(), 0)
	w.must(err)
	if n := len(page.Entries); n != 4+1+1+1+2 {
		t.Errorf("%d log entries", n)
	}
}
