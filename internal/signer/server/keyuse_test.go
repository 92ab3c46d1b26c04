package server

import (
	"fmt"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/trust"
)

// uses lists what status says of the keys, by key ID.
func (w *world) uses() map[string]signer.KeyUse {
	w.t.Helper()
	status, err := w.client.Status(w.t.Context())
	if err != nil || status.Keys == nil {
		w.t.Fatal(err)
	}
	uses := map[string]signer.KeyUse{}
	for _, use := range status.Keys {
		uses[use.KeyID] = use
	}
	return uses
}

func TestStatusCountsWhatEachKeySignedAndWhatIsLive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	turn := start.Add(24 * time.Hour)
	w.bundle.Keys[0].SignUntil = turn
	w.bundle.Keys = append(w.bundle.Keys, w.newKey("license-2", turn, turn.AddDate(1, 0, 0)))
	absent := w.newKey("license-3", turn.AddDate(1, 0, 0), turn.AddDate(2, 0, 0))
	delete(w.private, "license-3")
	absent.Status = trust.KeyPublished
	w.bundle.Keys = append(w.bundle.Keys, absent)
	w.serve()
	w.mustIssue(free(eval("ord_1", "cust_1"))) // three days
	for n := range 3 {
		s := paid(pack(fmt.Sprintf("ord_1%d", n)), 25000)
		w.mustIssue(s)
		w.mustIssue(s) // again, which is no signature
	}
	if _, err := w.issue(paid(pack("ord_9"), 1)); err == nil {
		t.Error("issued for too little")
	}
	w.pass(25 * time.Hour)
	late := paid(pack("ord_2"), 25000)
	late.created, late.sessionCreated = w.clock(), w.clock()
	newest := w.payload(w.mustIssue(late))

	uses := w.uses()
	first, second, third := uses["license-1"], uses["license-2"], uses["license-3"]
	if first.Signed != 4 || first.Live != 4 || first.SignsNow || !first.PrivateKey || first.Status != trust.KeySigning {
		t.Errorf("first key: %+v", first)
	}
	if second.Signed != 1 || second.Live != 1 || !second.SignsNow || second.LastExpiry != newest.ExpiresAt.Format(time.DateOnly) {
		t.Errorf("second key: %+v", second)
	}
	if third.Signed != 0 || third.PrivateKey || third.SignsNow || third.LastExpiry != "" || third.Role != trust.RoleLicense {
		t.Errorf("third key: %+v", third)
	}
	w.pass(72*time.Hour - 25*time.Hour) // to the second at which the evaluation expires: its day still counts
	if got := w.uses()["license-1"].Live; got != 4 {
		t.Errorf("%d live on the evaluation's last day", got)
	}
	w.pass(12 * time.Hour)
	if first := w.uses()["license-1"]; first.Live != 3 || first.Signed != 4 {
		t.Errorf("the day after the evaluation: %+v", first)
	}
}

func TestAKeyThatLeftTheBundleIsStillTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t).serve()
	w.mustIssue(paid(pack("ord_1"), 25000))
	w.stop()
	w.bundle.Version = 2
	w.bundle.Keys = []trust.Key{w.newKey("license-2", start.AddDate(0, -1, 0), start.AddDate(1, 0, 0))}
	delete(w.private, "license-1")
	w.serve()
	if left := w.uses()["license-1"]; left.Signed != 1 || left.Live != 1 || left.Role != "" || left.PrivateKey || !left.SignFrom.IsZero() {
		t.Errorf("%+v", left)
	}
}

func TestRevocationBundlesCountUnderTheirKey(t *testing.T) {
	t.Parallel()
	w := newRevokingWorld(t).serve()
	w.revoke(signer.RevokeRequest{})
	w.revoke(signer.RevokeRequest{}) // the same bundle again
	if use := w.uses()["revocation-1"]; use.Signed != 1 || use.Live != 1 || use.LastExpiry != start.Add(bundleValid).Format(time.DateOnly) || !use.SignsNow {
		t.Errorf("%+v", use)
	}
}

func TestNothingIsSignedWithAKeyOutsideItsTime(t *testing.T) {
	t.Parallel()
	until := start.Add(time.Hour)
	for name, c := range map[string]struct {
		status trust.KeyStatus
		from   time.Time
		after  time.Duration // start
		want   signer.Code
	}{
		"signing":                               {trust.KeySigning, start, 0, ""},
		"signing, a second early":               {trust.KeySigning, start.Add(time.Second), 0, signer.CodeNoSigningKey},
		"signing, late":                         {trust.KeySigning, start, time.Hour + trust.LateSigning - time.Second, ""},
		"signing, too late":                     {trust.KeySigning, start, time.Hour + trust.LateSigning, signer.CodeNoSigningKey},
		"verify only, while its window lasts":   {trust.KeyVerifyOnly, start, time.Hour - time.Second, signer.CodeNoSigningKey},
		"verify only, a late event":             {trust.KeyVerifyOnly, start, time.Hour, ""},
		"verify only, a late event comes later": {trust.KeyVerifyOnly, start, time.Hour + trust.LateSigning, signer.CodeNoSigningKey},
		"published":                             {trust.KeyPublished, start, 0, signer.CodeNoSigningKey},
		"planned":                               {trust.KeyPlanned, start, 0, signer.CodeNoSigningKey},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			next := w.newKey("license-2", until, until.AddDate(1, 0, 0)) // a bundle needs a key that verifies
			next.Status = trust.KeyPublished
			w.bundle.Keys = append(w.bundle.Keys, next)
			k := &w.bundle.Keys[0]
			k.Status, k.SignFrom, k.SignUntil = c.status, c.from, until
			w.serve()
			w.pass(c.after)
			_, err := w.issue(paid(pack("ord_1"), 25000))
			if code(err) != c.want {
				t.Errorf("got %v", err)
			}
			if use := w.uses()["license-1"]; !use.PrivateKey || (use.Signed == 1) != (c.want == "") {
				t.Errorf("%+v", use)
			}
		})
	}
}
