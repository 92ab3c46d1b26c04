package log

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/metrum-ai/licensing-portal/internal/signer"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func newConfig(t testing.TB) Config {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Path: filepath.Join(t.TempDir(), "log.db"), Origin: "test/log", Key: private, Now: func() time.Time { return noon }}
	if err := Init(c); err != nil {
		t.Fatal(err)
	}
	return c
}

func mustOpen(t testing.TB, c Config) *Log {
	t.Helper()
	l, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func record(n int) Record {
	return Record{
		Kind: KindIssuance, FulfillmentKey: fmt.Sprintf("ord_%d", n), LicenseID: fmt.Sprintf("lic_%d", n), IntentSHA256: "aa",
		Event: fmt.Appendf(nil, `{"id":"evt_%d"}`, n), SignatureHeader: "t=1,v1=00", Envelope: fmt.Appendf(nil, "license %d\n", n), IssuedAt: noon,
	}
}

func fill(t testing.TB, l *Log, from, to int) {
	t.Helper()
	var all sync.WaitGroup
	for n := from; n < to; n++ {
		all.Go(func() {
			if _, err := l.Append(context.Background(), record(n), []Counter{{"all", 1 << 30}}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func closeLog(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestRecordsSurviveARestartAndProve(t *testing.T) {
	t.Parallel()
	c := newConfig(t)
	l := mustOpen(t, c)
	fill(t, l, 0, 300)
	closeLog(t, l)
	l = mustOpen(t, c)
	if err := l.VerifyAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	page, size, err := l.Page(0, 1000, 1<<20)
	if err != nil || size != 300 || len(page) != 300 {
		t.Fatalf("%d of %d, %v", len(page), size, err)
	}
	tree, err := signer.OpenCheckpoint(l.Checkpoint(), l.signer)
	if err != nil || tree.N != 300 {
		t.Fatal(err)
	}
	// Somebody who knows RFC 6962 and the leaf's text alone finds every record in the tree.
	err = l.db.View(func(tx *bbolt.Tx) error {
		for _, r := range page {
			proof, err := tlog.ProveRecord(tree.N, int64(r.Index), hashReader{tx})
			if err == nil {
				err = tlog.CheckRecord(proof, tree.N, tree.Hash, int64(r.Index), tlog.RecordHash(r.Leaf()))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := l.Count("all"); n != 300 || err != nil {
		t.Errorf("counted %d", n)
	}
}

func TestPagesAreBounded(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, newConfig(t))
	fill(t, l, 0, 10)
	for _, c := range []struct{ from, records, bytes, want int }{{0, 4, 1 << 20, 4}, {8, 4, 1 << 20, 2}, {10, 4, 1 << 20, 0}, {99, 4, 1 << 20, 0}, {0, 10, 30, 2}} {
		page, size, err := l.Page(uint64(c.from), c.records, c.bytes)
		if err != nil || size != 10 || len(page) != c.want {
			t.Errorf("%+v: %d records, %v", c, len(page), err)
		}
	}
}

func TestAKeyIsLoggedOnce(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, newConfig(t))
	first, err := l.Append(t.Context(), record(1), nil)
	if err != nil {
		t.Fatal(err)
	}
	again := record(1)
	again.Envelope, again.Event = []byte("other"), []byte("other")
	if got, err := l.Append(t.Context(), again, []Counter{{"full", 0}}); err != nil || !bytes.Equal(got.Envelope, first.Envelope) {
		t.Errorf("same intent: %s, %v", got.Envelope, err)
	}
	again.IntentSHA256 = "bb"
	if _, err := l.Append(t.Context(), again, nil); !errors.Is(err, ErrConflict) {
		t.Errorf("another intent: %v", err)
	}
	taken := record(2)
	taken.LicenseID = "lic_1"
	if _, err := l.Append(t.Context(), taken, nil); !errors.Is(err, ErrConflict) {
		t.Errorf("a license ID twice: %v", err)
	}
	broken := record(3)
	broken.FulfillmentKey = "ord_3\nlicense_id x"
	if _, err := l.Append(t.Context(), broken, nil); err == nil {
		t.Error("a newline reached the leaf")
	}
	if l.Size() != 1 {
		t.Errorf("%d records", l.Size())
	}
}

func TestACapCountsWithinAGroup(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, newConfig(t))
	var all sync.WaitGroup
	for n := range 60 {
		all.Go(func() {
			if _, err := l.Append(t.Context(), record(n), []Counter{{"free", 7}}); err != nil && !errors.Is(err, ErrCap) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n, _ := l.Count("free"); n != 7 || l.Size() != 7 {
		t.Errorf("counted %d, %d records", n, l.Size())
	}
}

func TestTheClockCannotCreepBackwards(t *testing.T) {
	t.Parallel()
	c := newConfig(t)
	now := noon
	c.Now = func() time.Time { return now }
	l := mustOpen(t, c)
	for n, back := range []time.Duration{0, 4 * time.Minute, 5 * time.Minute} {
		now = noon.Add(-back)
		r, err := l.Append(t.Context(), record(n), nil)
		if err != nil || !r.LoggedAt.Equal(noon) {
			t.Errorf("%s behind: %s, %v", back, r.LoggedAt, err)
		}
	}
	now = noon.Add(-5*time.Minute - time.Second)
	if _, err := l.Append(t.Context(), record(9), nil); !errors.Is(err, ErrClock) {
		t.Errorf("got %v", err)
	}
}

// TestOpenRefuses damages a closed log of 500 records in every way that must be noticed.
func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	copyFile := func(t *testing.T, from, to string) {
		data, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	inStore := func(t *testing.T, c Config, change func(*bbolt.Tx) error) {
		db, err := bbolt.Open(c.Path, 0o600, nil)
		if err == nil {
			err = errors.Join(db.Update(change), db.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	cases := []struct {
		name   string
		damage func(t *testing.T, c *Config)
		want   error
	}{
		{"the store is gone", func(t *testing.T, c *Config) { _ = os.Remove(c.Path) }, ErrMissing},
		{"store and size are gone", func(t *testing.T, c *Config) { _ = os.Remove(c.Path); _ = os.Remove(sizePath(c.Path)) }, ErrMissing},
		{"the size is gone", func(t *testing.T, c *Config) { _ = os.Remove(sizePath(c.Path)) }, ErrRollback},
		{"the size does not read", func(t *testing.T, c *Config) { _ = os.WriteFile(sizePath(c.Path), []byte("size 1"), 0o600) }, ErrBroken},
		{"an older copy", func(t *testing.T, c *Config) { copyFile(t, c.Path+".old", c.Path) }, ErrRollback},
		{"truncated to half", func(t *testing.T, c *Config) { truncate(t, c.Path, 2) }, ErrBroken},
		{"truncated to nothing", func(t *testing.T, c *Config) { _ = os.Truncate(c.Path, 0) }, ErrBroken},
		{"not a store", func(t *testing.T, c *Config) { _ = os.WriteFile(c.Path, bytes.Repeat([]byte("x"), 1<<16), 0o600) }, ErrBroken},
		{"another key", func(t *testing.T, c *Config) { _, c.Key, _ = ed25519.GenerateKey(rand.Reader) }, ErrBroken},
		{"another origin", func(t *testing.T, c *Config) { c.Origin = "other/log" }, ErrBroken},
		{"the last record is gone", func(t *testing.T, c *Config) {
			inStore(t, *c, func(tx *bbolt.Tx) error { return tx.Bucket(bucketRecords).Delete(number(499)) })
		}, ErrBroken},
		{"a hash of the root's path changed", func(t *testing.T, c *Config) {
			inStore(t, *c, func(tx *bbolt.Tx) error {
				return tx.Bucket(bucketHashes).Put(number(uint64(tlog.StoredHashIndex(8, 0))), make([]byte, 32))
			})
		}, ErrBroken},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := newConfig(t)
			l := mustOpen(t, c)
			fill(t, l, 0, 400)
			closeLog(t, l)
			copyFile(t, c.Path, c.Path+".old")
			l = mustOpen(t, c)
			fill(t, l, 400, 500)
			closeLog(t, l)
			tc.damage(t, &c)
			l, err := Open(c)
			if err == nil {
				_ = l.Close()
			}
			if !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
		})
	}
}

func truncate(t *testing.T, path string, divisor int64) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	// bbolt grows the file ahead of need; cut into what is in use.
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, _ := readBoltMeta(f, 0)
	if err := os.Truncate(path, min(info.Size(), int64(m.highWater)*int64(m.pageSize))/divisor); err != nil {
		t.Fatal(err)
	}
}

func TestVerifyAllFindsAChangedRecordAndStopsTheLog(t *testing.T) {
	t.Parallel()
	changes := map[string]func(*bbolt.Tx, Record) error{
		"a member changed": func(tx *bbolt.Tx, r Record) error {
			records := tx.Bucket(bucketRecords)
			return records.Put(number(r.Index), bytes.Replace(records.Get(number(r.Index)), []byte(`"lic_7"`), []byte(`"lic_8"`), 1))
		},
		"the record is gone": func(tx *bbolt.Tx, r Record) error { return tx.Bucket(bucketRecords).Delete(number(r.Index)) },
		"its index is gone":  func(tx *bbolt.Tx, r Record) error { return tx.Bucket(bucketKeys).Delete([]byte(r.FulfillmentKey)) },
		"its index is another's": func(tx *bbolt.Tx, r Record) error {
			return tx.Bucket(bucketLicenses).Put([]byte(r.LicenseID), number(19-r.Index))
		},
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := mustOpen(t, newConfig(t))
			fill(t, l, 0, 20)
			r, _, err := l.Find("ord_7")
			if err == nil {
				err = l.db.Update(func(tx *bbolt.Tx) error { return change(tx, r) })
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := l.VerifyAll(t.Context()); !errors.Is(err, ErrBroken) {
				t.Fatalf("got %v", err)
			}
			if _, err := l.Append(t.Context(), record(99), nil); !errors.Is(err, ErrFailed) {
				t.Errorf("appended: %v", err)
			}
		})
	}
}

func TestInitNeverStartsAnewBesideAHistory(t *testing.T) {
	t.Parallel()
	c := newConfig(t)
	l := mustOpen(t, c)
	fill(t, l, 0, 3)
	closeLog(t, l)
	if err := Init(c); err == nil {
		t.Error("overwrote a log")
	}
	if err := os.Remove(sizePath(c.Path)); err != nil {
		t.Fatal(err)
	}
	if err := Init(c); err != nil { // notes the size again after checking everything
		t.Error(err)
	}
	if l := mustOpen(t, c); l.Size() != 3 {
		t.Errorf("%d records", l.Size())
	} else {
		closeLog(t, l)
	}
	if size, err := VerifyOffline(c); size != 3 || err != nil {
		t.Errorf("offline: %d, %v", size, err)
	}
	if err := os.Remove(c.Path); err != nil {
		t.Fatal(err)
	}
	if err := Init(c); !errors.Is(err, ErrMissing) {
		t.Errorf("started anew beside a noted size: %v", err)
	}
}

func TestATrustBundleIsNeverTakenBack(t *testing.T) {
	t.Parallel()
	c := newConfig(t)
	l := mustOpen(t, c)
	steps := []struct {
		version int64
		bytes   string
		want    error
	}{{3, "a", nil}, {3, "a", nil}, {3, "b", ErrRollback}, {2, "a", ErrRollback}, {4, "c", nil}, {3, "a", ErrRollback}}
	for _, s := range steps {
		if err := l.RememberTrust(s.version, []byte(s.bytes)); !errors.Is(err, s.want) {
			t.Errorf("version %d %s: %v", s.version, s.bytes, err)
		}
	}
	fill(t, l, 0, 2)
	closeLog(t, l)
	l = mustOpen(t, c)
	if err := l.RememberTrust(3, []byte("a")); !errors.Is(err, ErrRollback) {
		t.Errorf("after a restart: %v", err)
	}
	if c, err := signer.OpenCheckpoint(l.Checkpoint(), l.signer); err != nil || c.N != 2 || c.Trust.Version != 4 {
		t.Errorf("the checkpoint says %+v, %v", c, err)
	}
}

// TestATrustBundleIsRememberedBesideAppends wants neither to lose the other: both sign a checkpoint.
func TestATrustBundleIsRememberedBesideAppends(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, newConfig(t))
	var all sync.WaitGroup
	all.Go(func() { fill(t, l, 0, 200) })
	for version := range int64(20) {
		if err := l.RememberTrust(version+1, fmt.Append(nil, version)); err != nil {
			t.Error(err)
		}
	}
	all.Wait()
	if c, err := signer.OpenCheckpoint(l.Checkpoint(), l.signer); err != nil || c.N != 200 || c.Trust.Version != 20 {
		t.Errorf("the checkpoint says %+v, %v", c, err)
	}
	if err := l.VerifyAll(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestALogShorterThanTheBundleAsksForIsRefused(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, newConfig(t))
	fill(t, l, 0, 3)
	if err := l.RequireSize(3); err != nil {
		t.Error(err)
	}
	if err := l.RequireSize(4); !errors.Is(err, ErrRollback) {
		t.Errorf("got %v", err)
	}
}

func TestTheLeafIsTextThatAnyoneCanMake(t *testing.T) {
	t.Parallel()
	r := record(1)
	r.LoggedAt = noon
	lines := strings.Split(string(r.Leaf()), "\n")
	if len(lines) != 17 || lines[0] != "licensing-portal leaf v1" || lines[15] != "times 2026-11-23T12:00:00Z 2026-11-23T12:00:00Z" {
		t.Errorf("%q", lines)
	}
}

func BenchmarkAppend(b *testing.B) {
	l := mustOpen(b, newConfig(b))
	var n int64
	var mu sync.Mutex
	b.SetParallelism(4)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			mu.Lock()
			n++
			r := record(int(n))
			mu.Unlock()
			if _, err := l.Append(context.Background(), r, nil); err != nil {
				b.Error(err)
			}
		}
	})
}
