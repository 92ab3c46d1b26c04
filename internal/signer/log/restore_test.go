package log

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"iter"

	"os"
	"slices"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/note"

	"github.com/metrum-ai/licensing-portal/internal/signer"
)

// everyKind fills a log with issuances that hang together and with revocations.
func everyKind(t *testing.T, l *Log) {
	t.Helper()
	for n := range 2 * verifyStep / 100 {
		fill(t, l, n*100, n*100+97)
		one := record(n*100 + 98)
		one.Issuance, one.BaseID, one.Payment, one.Base = "top_up", "lic_1", fmt.Sprintf("pi_%d", n/2), []byte("base\n")
		one.Event, one.SignatureHeader, one.Approval = nil, "", []byte(`{"request":"<x>"}`)
		if _, err := l.Append(t.Context(), one, []Counter{{fmt.Sprintf("day/%d", n), NoLimit}, {"all", NoLimit}}); err != nil {
			t.Fatal(err)
		}
		epoch := int64(n + 1)
		r := Record{
			Kind: KindRevocation, FulfillmentKey: RevocationSetID(epoch), LicenseID: RevocationSetID(epoch), IntentSHA256: "bb", Follows: epoch - 1,
			Envelope: []byte("bundle\n"), IssuedAt: noon, Event: []byte("{}"), SignatureHeader: "t=1",
			Changes: []signer.RevocationChange{{LicenseID: one.LicenseID, Status: "suspended", Reason: "payment-disputed", EffectiveAt: noon, Cause: "du_1", CausedAt: noon}},
		}
		if _, err := l.Append(t.Context(), r, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// copied is what a witness would hold of a log.
func copied(t *testing.T, l *Log) ([]byte, []signer.Entry) {
	t.Helper()
	page, _, err := l.Page(0, 1<<20, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	var entries []signer.Entry
	for _, r := range page {
		entries = append(entries, r.Entry())
	}
	return l.Checkpoint(), entries
}

func without(err error, entries []signer.Entry) iter.Seq2[signer.Entry, error] {
	return func(yield func(signer.Entry, error) bool) {
		for _, e := range entries {
			if !yield(e, nil) {
				return
			}
		}
		if err != nil {
			yield(signer.Entry{}, err)
		}
	}
}

func verifierOf(t *testing.T, c Config) note.Verifier {
	t.Helper()
	verifier, err := signer.NewLogVerifier(c.Origin, c.Key.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return verifier
}

func admitAll(*Log) error { return nil }

// contents is everything in a store, by bucket and name.
func contents(t *testing.T, path string) map[string]string {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	all := map[string]string{}
	err = db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(bucket []byte, b *bbolt.Bucket) error {
			return b.ForEach(func(name, value []byte) error {
				all[fmt.Sprintf("%s %q", bucket, name)] = string(value)
				return nil
			})
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestARestoredStoreHoldsWhatTheLostOneHeld(t *testing.T) {
	t.Parallel()
	c := newConfig(t)
	l := mustOpen(t, c)
	if err := l.RememberTrust(4, []byte("four")); err != nil {
		t.Fatal(err)
	}
	everyKind(t, l)
	signed, entries := copied(t, l)
	closeLog(t, l)
	before := contents(t, c.Path)
	if len(entries) != 1980 || len(before) < 4*len(entries) {
		t.Fatalf("%d entries, %d things in the store", len(entries), len(before))
	}
	if err := errors.Join(os.Remove(c.Path), os.Remove(sizePath(c.Path))); err != nil {
		t.Fatal(err)
	}
	if err := Restore(c, verifierOf(t, c), signed, without(nil, entries), admitAll); err != nil {
		t.Fatal(err)
	}
	after := contents(t, c.Path)
	for name, value := range before {
		if after[name] != value {
			t.Fatalf("%s is %q and was %q", name, after[name], value)
		}
	}
	if len(after) != len(before) {
		t.Errorf("%d things in the store, %d before", len(after), len(before))
	}
	l = mustOpen(t, c)
	if err := l.VerifyAll(t.Context()); err != nil {
		t.Error(err)
	}
	if err := l.RememberTrust(3, []byte("three")); !errors.Is(err, ErrRollback) {
		t.Errorf("took an older trust bundle: %v", err)
	}
	if _, err := l.Append(t.Context(), record(5000), []Counter{{"all", len(entries)}}); err != nil {
		t.Error(err)
	}
	if _, err := l.Append(t.Context(), record(5001), []Counter{{"day/3", 1}}); !errors.Is(err, ErrCap) {
		t.Errorf("counted anew: %v", err)
	}
	if left, _ := os.ReadDir(c.Path + ".restoring"); left != nil {
		t.Error("something is left behind")
	}
}

func TestARestoreRefuses(t *testing.T) {
	t.Parallel()
	c := newConfig(t)
	l := mustOpen(t, c)
	fill(t, l, 0, 20)
	shorter, _ := copied(t, l)
	fill(t, l, 20, 30)
	signed, entries := copied(t, l)
	other := newConfig(t)
	foreign, _ := copied(t, mustOpen(t, other))
	changed := func(change func(*signer.Entry)) []signer.Entry {
		list := slices.Clone(entries)
		change(&list[7])
		return list
	}
	torn := errors.New("torn")
	for name, try := range map[string]struct {
		signed  []byte
		entries iter.Seq2[signer.Entry, error]
		admit   func(*Log) error
		want    error
	}{
		"another license":        {signed, without(nil, changed(func(e *signer.Entry) { e.Envelope += " " })), admitAll, ErrBroken},
		"another time":           {signed, without(nil, changed(func(e *signer.Entry) { e.LoggedAt = e.LoggedAt.Add(time.Second) })), admitAll, ErrBroken},
		"another counter":        {signed, without(nil, changed(func(e *signer.Entry) { e.Counters = nil })), admitAll, ErrBroken},
		"an entry twice":         {signed, without(nil, changed(func(e *signer.Entry) { *e = entries[6] })), admitAll, ErrBroken},
		"one entry less":         {signed, without(nil, entries[:29]), admitAll, ErrBroken},
		"no entries":             {signed, without(nil, nil), admitAll, ErrBroken},
		"entries, but none said": {shorter, without(nil, entries), admitAll, ErrBroken},
		"the reader's own error": {signed, without(torn, entries), admitAll, torn},
		"a newline":              {signed, without(nil, changed(func(e *signer.Entry) { e.Payment = "\n" })), admitAll, nil},
		"what admit refuses":     {signed, without(nil, entries), func(l *Log) error { return l.RequireSize(31) }, ErrRollback},
		"another log's":          {foreign, without(nil, entries), admitAll, nil},
		"no checkpoint":          {nil, without(nil, entries), admitAll, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := c
			c.Path = t.TempDir() + "/log.db"
			err := Restore(c, verifierOf(t, c), try.signed, try.entries, try.admit)
			if err == nil || try.want != nil && !errors.Is(err, try.want) {
				t.Errorf("got %v, want %v", err, try.want)
			}
			if left, err := os.ReadDir(c.Path[:len(c.Path)-len("/log.db")]); err != nil || len(left) != 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

func TestNothingIsRestoredOverAStoreOrBehindItsNote(t *testing.T) {
	t.Parallel()
	c := newConfig(t)
	l := mustOpen(t, c)
	fill(t, l, 0, 20)
	shorter, few := copied(t, l)
	fill(t, l, 20, 30)
	signed, entries := copied(t, l)
	closeLog(t, l)
	if err := Restore(c, verifierOf(t, c), signed, without(nil, entries), admitAll); err == nil {
		t.Error("over a store")
	}
	if err := os.Remove(c.Path); err != nil {
		t.Fatal(err)
	}
	if err := Restore(c, verifierOf(t, c), shorter, without(nil, few), admitAll); !errors.Is(err, ErrRollback) {
		t.Errorf("behind the note of the lost store's size: %v", err)
	}
	if err := Restore(c, verifierOf(t, c), signed, without(nil, entries), admitAll); err != nil { // as after a kill between note and store
		t.Error(err)
	}
	if l := mustOpen(t, c); l.Size() != 30 {
		t.Errorf("%d records", l.Size())
	}
}

func TestALogGoesOnUnderAnotherKeyWhereItsOwnWasLost(t *testing.T) {
	t.Parallel()
	lost := newConfig(t)
	l := mustOpen(t, lost)
	if err := l.RememberTrust(4, []byte("four")); err != nil {
		t.Fatal(err)
	}
	fill(t, l, 0, 20)
	signed, entries := copied(t, l)
	next := newConfig(t)
	if err := errors.Join(os.Remove(next.Path), os.Remove(sizePath(next.Path))); err != nil {
		t.Fatal(err)
	}
	if err := Restore(next, verifierOf(t, next), signed, without(nil, entries), admitAll); err == nil {
		t.Error("a checkpoint of the lost key passes for one of the new key")
	}
	if err := Restore(next, verifierOf(t, lost), signed, without(nil, entries), admitAll); err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, next)
	if c, err := signer.OpenCheckpoint(l.Checkpoint(), verifierOf(t, next)); err != nil || c.N != 20 || c.Trust.Version != 4 {
		t.Errorf("%+v, %v", c, err)
	}
	if err := l.VerifyAll(t.Context()); err != nil {
		t.Error(err)
	}
}
