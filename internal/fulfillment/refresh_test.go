package fulfillment_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/license"
)

// revokerWith makes a revoker on the portal's database that asks another signer or lives at another time; what it logs is in
// w.logged.
func (w *world) revokerWith(s fulfillment.RevokingSigner, now func() time.Time) *fulfillment.Revoker {
	w.t.Helper()
	r, err := fulfillment.NewRevoker(fulfillment.RevokerConfig{
		Store: w.store, Taken: w.store, Mails: w.store, Stripe: w.stripe, Signer: s, Catalog: fulfillment.NewCatalog(w.signer, time.Now), Mailer: w, Now: now,
		Log: slog.New(slog.NewTextHandler(&w.logged, nil)),
	})
	w.must(err)
	return r
}

// lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

// saying is a signer that always says the same.
type saying signer.Revoked

func (s saying) Revoke(context.Context, signer.RevokeRequest) (signer.Revoked, error) {
	return signer.Revoked(s), nil
}

func TestTheWorkerFetchesTheBundleWhenItStarts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.workWith(5*time.Millisecond, w.revoker)
	w.eventually("fetched", func() bool { return w.count("SELECT count(*) FROM revocation_bundles") == 1 })
	if n := w.stored().Len(); n != 0 {
		t.Errorf("%d entries", n)
	}
}

func TestARefreshKeepsTheBundleAndAlarmsWhereItIsNotRenewed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(w.revokerWith(w.signer, time.Now).Refresh(t.Context()))
	first := w.stored()
	w.must(w.revokerWith(w.signer, time.Now).Refresh(t.Context()))
	if got := w.stored(); got.Epoch() != first.Epoch() || w.logged.Len() != 0 {
		t.Errorf("epoch %d, then %d, logged %s", first.Epoch(), got.Epoch(), &w.logged)
	}
	w.signerDown() // for three weeks
	late := func() time.Time { return time.Now().Add(22 * 24 * time.Hour) }
	if err := w.revokerWith(w.signer, late).Refresh(t.Context()); err == nil {
		t.Error("no error without a signer")
	}
	if got := w.logged.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "revocation bundle is not renewed") || !strings.Contains(got, "hours_left=311") {
		t.Errorf("logged %s", got)
	}
}

func TestAnOlderBundleNeverTakesThePlaceOfANewerOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	worker := w.work()
	c := w.customer()
	l := c.buy(c.request("credit-pack-5m"))
	w.must(w.revoker.Refresh(t.Context()))
	old, err := w.signer.Revoke(t.Context(), signer.RevokeRequest{})
	w.must(err)
	w.act(w.session(fulfillment.Order{ID: l.OrderID}), "refund", nil)
	c.stands(l, fulfillment.StandingRevoked)
	w.idle()
	w.must(worker.Stop(t.Context()))
	newest := w.stored().Epoch()

	// A signer whose log was rolled back.
	if err := w.revokerWith(saying(old), time.Now).Refresh(t.Context()); err == nil || !strings.Contains(w.logged.String(), "older than the stored one") {
		t.Errorf("%v, logged %s", err, &w.logged)
	}
	// An answer that was long on its way.
	late := answer(old.Epoch, time.Now())
	late.Bundle.Envelope, late.Bundle.SHA256 = []byte(old.Bundle), sha256Hex([]byte(old.Bundle))
	w.must(w.store.StoreRevocations(t.Context(), late))
	if got := w.stored().Epoch(); got != newest || c.again(l).Withdrawn == nil || w.toldOf(l.ID) != "revoked" {
		t.Errorf("epoch %d over %d, told %q", got, newest, w.toldOf(l.ID))
	}
	for _, sql := range []string{
		"UPDATE revocation_bundles SET envelope = 'x'", "DELETE FROM revocation_bundles", "UPDATE revocation_changes SET status = 'suspended'", "DELETE FROM revocation_changes",
		"INSERT INTO revocation_bundles SELECT epoch - 1, envelope, sha256, entries, issued_at, expires_at, stored_at FROM revocation_bundles ORDER BY epoch DESC LIMIT 1",
		"UPDATE events SET takes_back = 'pi_other'",
	} {
		if _, err := w.pool.Exec(t.Context(), sql); err == nil {
			t.Errorf("the database took: %s", sql)
		}
	}
}

func TestABundleThatDoesNotVerifyIsNotStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good, err := w.signer.Revoke(t.Context(), signer.RevokeRequest{})
	w.must(err)
	tampered, other := saying(good), saying(good)
	tampered.Bundle = strings.Replace(good.Bundle, `"entries"`, `"Entries"`, 1)
	other.Epoch++
	for name, s := range map[string]saying{"tampered": tampered, "of another epoch": other} {
		if err := w.revokerWith(s, time.Now).Refresh(t.Context()); err == nil || !strings.Contains(w.logged.String(), "not what the signer says") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := w.count("SELECT count(*) FROM revocation_bundles"); n != 0 {
		t.Errorf("%d are stored", n)
	}
}

// answer is an answer of the signer's, unsigned: the store keeps what the service verified.
func answer(epoch int64, at time.Time, entries ...license.RevocationEntry) fulfillment.RevocationAnswer {
	text, _ := json.Marshal(entries)
	a := fulfillment.RevocationAnswer{Entries: entries, At: at}
	a.Bundle = fulfillment.RevocationBundle{
		Epoch: epoch, IssuedAt: at.UTC().Truncate(time.Second), ExpiresAt: at.Add(time.Hour), Entries: len(entries), Envelope: text, SHA256: sha256Hex(text),
	}
	return a
}

func TestAnOlderBundleWaitsForTheNewerOneThatIsBeingStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tx, err := w.pool.Begin(t.Context())
	w.must(err)
	defer func() { _ = tx.Rollback(context.Background()) }()
	_, err = tx.Exec(t.Context(), `INSERT INTO revocation_bundles (epoch, envelope, sha256, entries, issued_at, expires_at, stored_at)
		VALUES (7, 'x', encode(sha256('x'), 'hex'), 0, now(), now() + interval '1 day', now())`)
	w.must(err)
	stored := make(chan error, 1)
	go func() { stored <- w.store.StoreRevocations(context.Background(), answer(6, time.Now())) }()
	w.eventually("waiting", func() bool {
		return w.count("SELECT count(*) FROM pg_locks WHERE relation = 'revocation_bundles'::regclass AND NOT granted") == 1
	})
	w.must(tx.Commit(t.Context()))
	w.must(<-stored)
	if n := w.count("SELECT count(*) FROM revocation_bundles WHERE epoch = 6"); n != 0 {
		t.Error("the older one was stored after the newer one")
	}
}

func TestAnswersInAnyOrderAndAtOnceLeaveTheNewestInForce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	worker := w.work()
	c := w.customer()
	l := c.buy(c.request("credit-pack-5m"))
	w.idle()
	w.must(worker.Stop(t.Context()))
	const epochs = 20
	entry := func(epoch int64) license.RevocationEntry {
		status := license.StatusSuspended
		if epoch%2 == 0 {
			status = license.StatusRevoked
		}
		return license.RevocationEntry{LicenseID: l.ID, Status: status, Reason: "x"}
	}
	var wg sync.WaitGroup
	for epoch := int64(epochs); epoch > 0; epoch-- {
		wg.Go(func() {
			if err := w.store.StoreRevocations(t.Context(), answer(epoch, time.Now(), entry(epoch))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	newest, err := w.store.NewestRevocations(t.Context())
	w.must(err)
	if l = c.again(l); newest.Epoch != epochs || l.Withdrawn == nil || l.Withdrawn.Status != license.StatusRevoked {
		t.Fatalf("epoch %d, %+v", newest.Epoch, l.Withdrawn)
	}
	if err := w.store.StoreRevocations(t.Context(), answer(epochs, time.Now())); err == nil {
		t.Error("another bundle of one epoch was taken for the same")
	}
	// What is said anew without a change is no change, and what is not said any more is lifted.
	superseded := license.RevocationEntry{LicenseID: "lic_elsewhere", Status: license.StatusSuperseded, EffectiveAt: time.Now().UTC().Truncate(time.Second), SupersededBy: l.ID}
	w.must(w.store.StoreRevocations(t.Context(), answer(epochs+1, time.Now(), entry(epochs), superseded)))
	if n := w.count("SELECT count(*) FROM revocation_changes WHERE epoch = $1", epochs+1); n != 1 {
		t.Errorf("%d changes", n)
	}
	w.must(w.store.StoreRevocations(t.Context(), answer(epochs+2, time.Now(), superseded)))
	if l = c.again(l); l.Withdrawn != nil {
		t.Errorf("%+v", l.Withdrawn)
	}
	if n := w.count("SELECT count(*) FROM license_revocations"); n != 1 {
		t.Errorf("%d licenses are withdrawn", n)
	}
	sent := w.count("SELECT count(*) FROM mails WHERE kind = 'standing'")
	if jobs := w.count("SELECT count(*) FROM river.river_job WHERE kind = 'standing_mail'"); jobs != sent || sent != w.count("SELECT count(*) FROM revocation_changes WHERE license_id = $1 AND status <> was", l.ID) {
		t.Errorf("%d mails, %d jobs", sent, jobs)
	}
}

func TestTheMailGoesToWhoeverIsLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	worker := w.work()
	c := w.customer()
	l := c.buy(c.request("credit-pack-5m"))
	w.idle()
	w.must(worker.Stop(t.Context()))
	_, err := w.pool.Exec(t.Context(), `WITH u AS (INSERT INTO users (id, email, created_at) VALUES ('usr_2', 'operator@lumen.example', now()), ('usr_3', 'owner@lumen.example', now()))
		SELECT 1`)
	w.must(err)
	_, err = w.pool.Exec(t.Context(), `INSERT INTO memberships (organization_id, user_id, role, created_at)
		VALUES ($1, 'usr_2', 'operator', now() - interval '1 day'), ($1, 'usr_3', 'owner', now())`, c.organization)
	w.must(err)
	said := func(epoch int64, status string) {
		w.must(w.store.StoreRevocations(t.Context(), answer(epoch, time.Now(), license.RevocationEntry{LicenseID: l.ID, Status: status})))
		for range 2 {
			w.must(w.revoker.SendStandingMail(t.Context(), l.ID, epoch))
		}
	}
	said(1, license.StatusSuspended)
	_, err = w.pool.Exec(t.Context(), "DELETE FROM memberships WHERE user_id = $1", c.user)
	w.must(err)
	said(2, license.StatusRevoked)
	mails := w.standingMails()
	if len(mails) != 2 || mails[0].To != buyer || mails[1].To != "owner@lumen.example" {
		t.Errorf("%+v", mails)
	}
}
