package witness

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/signer/log"
)

func TestTheCopyHoldsTheEntriesAsReceived(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	watch := w.witness()
	for _, size := range []int{0, 1, 2, 7, 250, 251} { // a page has 100
		w.fill("a", int(watch.Size()), size)
		w.must(watch.Look(t.Context()))
		w.intact(int64(size))
	}
	client, err := signer.NewLogClient(w.relay.URL)
	w.must(err)
	raw, err := client.EntriesBytes(t.Context(), 0)
	w.must(err)
	var page struct {
		Entries []json.RawMessage `json:"entries"`
	}
	w.must(json.Unmarshal(raw, &page))
	text, err := os.ReadFile(filepath.Join(w.dir, entriesFile))
	w.must(err)
	lines := bytes.Split(text, []byte("\n"))
	for n, entry := range page.Entries {
		if !bytes.Equal(lines[n], entry) {
			t.Fatalf("entry %d: %s instead of %s", n, lines[n], entry)
		}
	}
	if len(page.Entries) != 100 || len(lines) != 252 {
		t.Errorf("%d entries in a page, %d lines", len(page.Entries), len(lines))
	}
}

func TestAForkAfterARestoredStoreIsAlarmed(t *testing.T) {
	t.Parallel()
	for _, size := range []int{8, 9, 120} { // as many as were witnessed, more, and more than a page
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.fill("a", 0, 5)
			w.save()
			w.fill("a", 5, 8)
			watch := w.witness()
			w.must(watch.Look(t.Context()))
			w.restore()
			w.fill("b", 5, size)
			alarm := w.wantAlarm(watch.Look(t.Context()), Fork)
			if tree, err := signer.OpenCheckpoint([]byte(alarm.Checkpoint), w.verifier); err != nil || tree.N != int64(size) {
				t.Errorf("the alarm does not hold the signed proof: %v", err)
			}
			w.intact(8) // of the history that was witnessed first
		})
	}
}

func TestAShrunkLogIsAlarmed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill("a", 0, 5)
	w.save()
	w.fill("a", 5, 6)
	watch := w.witness()
	w.must(watch.Look(t.Context()))
	w.restore()
	w.wantAlarm(watch.Look(t.Context()), Shrunk)
	w.intact(6)
}

func TestALogStartedAnewIsAlarmed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill("a", 0, 5)
	watch := w.witness()
	w.must(watch.Look(t.Context()))
	w.must(w.log.Close())
	w.init()
	w.wantAlarm(watch.Look(t.Context()), Shrunk)
}

func TestATrustBundleThatWasTakenBackIsAlarmed(t *testing.T) {
	t.Parallel()
	for name, next := range map[string]struct {
		version int64
		bundle  string
	}{"an older version": {1, "one"}, "another of the version": {2, "not two"}} {
		w := newWorld(t)
		w.fill("a", 0, 3)
		w.must(w.log.RememberTrust(1, []byte("one")))
		w.save()
		w.must(w.log.RememberTrust(2, []byte("two")))
		watch := w.witness()
		w.must(watch.Look(t.Context()))
		if watch.copy.verified.Trust.Version != 2 {
			t.Errorf("%s: the copy remembers %+v", name, watch.copy.verified.Trust)
		}
		w.restore()
		w.must(w.log.RememberTrust(next.version, []byte(next.bundle)))
		w.fill("a", 3, 5)
		w.wantAlarm(watch.Look(t.Context()), Trust)
		w.intact(3)
	}
}

func TestANewTrustBundleIsRememberedWithoutANewRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill("a", 0, 3)
	watch := w.witness()
	w.must(watch.Look(t.Context()))
	w.must(w.log.RememberTrust(2, []byte("two")))
	w.must(watch.Look(t.Context()))
	w.must(watch.Close())
	if watch = w.witness(); watch.copy.verified.N != 3 || watch.copy.verified.Trust.Version != 2 {
		t.Errorf("the copy remembers %+v", watch.copy.verified)
	}
}

func TestEntriesThatAreNotThoseOfTheCheckpointAreAlarmed(t *testing.T) {
	t.Parallel()
	rehash := func(e *signer.Entry) {
		e.LeafHash = e.HashLeaf().String()
	}
	one := func(change func(*signer.Entry)) func([]signer.Entry) []signer.Entry {
		return func(list []signer.Entry) []signer.Entry {
			change(&list[len(list)-2])
			return list
		}
	}
	cases := map[string]struct {
		change func([]signer.Entry) []signer.Entry
		says   string
	}{
		"license altered":        {one(func(e *signer.Entry) { e.Envelope += " " }), "does not match its leaf hash"},
		"evidence altered":       {one(func(e *signer.Entry) { e.Event.Body = []byte("{}") }), "does not match its leaf hash"},
		"evidence gone":          {one(func(e *signer.Entry) { e.Event = nil }), "does not match its leaf hash"},
		"time altered":           {one(func(e *signer.Entry) { e.LoggedAt = e.LoggedAt.Add(time.Second) }), "does not match its leaf hash"},
		"fraction of a second":   {one(func(e *signer.Entry) { e.LoggedAt = e.LoggedAt.Add(time.Millisecond) }), "whole seconds"},
		"leaf hash altered":      {one(func(e *signer.Entry) { e.LeafHash = "x" }), "does not match its leaf hash"},
		"altered and hashed new": {one(func(e *signer.Entry) { e.Envelope += " "; rehash(e) }), "are not those of the checkpoint"},
		"left out":               {func(list []signer.Entry) []signer.Entry { return append(list[:1:1], list[2:]...) }, "has index"},
		"none at all":            {func([]signer.Entry) []signer.Entry { return nil }, "is missing"},
		"left out and renumbered": {func(list []signer.Entry) []signer.Entry {
			list[1].Index, list[2].Index = list[2].Index, list[1].Index
			list[1], list[2] = list[2], list[1]
			return list
		}, "are not those of the checkpoint"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.fill("a", 0, 3)
			watch := w.witness()
			w.must(watch.Look(t.Context()))
			w.fill("a", 3, 7)
			w.lie(changeEntries(c.change))
			if alarm := w.wantAlarm(watch.Look(t.Context()), Gap); !strings.Contains(alarm.Message, c.says) {
				t.Errorf("says %q", alarm.Message)
			}
			w.intact(3)
		})
	}
}

func TestAnEntryWithAnUnknownFieldIsNotTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill("a", 0, 2)
	w.lie(func(_ string, body []byte) []byte {
		return bytes.Replace(body, []byte(`"kind":`), []byte(`"envelope":"first","kind":`), 1)
	})
	w.wantAlarm(w.witness().Look(t.Context()), Gap)
}

func TestAWrongConsistencyProofIsAFork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill("a", 0, 3)
	watch := w.witness()
	w.must(watch.Look(t.Context()))
	w.fill("a", 3, 7)
	w.lie(func(path string, body []byte) []byte {
		var proof signer.ConsistencyProof
		if path != "/v1/log/proof/consistency" || json.Unmarshal(body, &proof) != nil {
			return body
		}
		proof.Hashes[0] = tlog.Hash{}
		text, _ := json.Marshal(proof)
		return text
	})
	w.wantAlarm(watch.Look(t.Context()), Fork)
}

func TestSilenceIsAlarmedAndEndsByItself(t *testing.T) {
	t.Parallel()
	_, thief, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other := log.Config{Path: filepath.Join(t.TempDir(), "other"), Origin: "test/log", Key: thief}
	if err := log.Init(other); err != nil {
		t.Fatal(err)
	}
	opened, err := log.Open(other)
	if err != nil {
		t.Fatal(err)
	}
	foreign := opened.Checkpoint()
	if err := opened.Close(); err != nil {
		t.Fatal(err)
	}
	only := func(path string, answer []byte) func(string, []byte) []byte {
		return func(asked string, body []byte) []byte {
			if asked == path {
				return answer
			}
			return body
		}
	}
	for name, lie := range map[string]func(string, []byte) []byte{
		"no answer": down, "no checkpoint": only("/v1/log/checkpoint", []byte("<html>")), "another key": only("/v1/log/checkpoint", foreign),
		"no proof": only("/v1/log/proof/consistency", nil), "no entries": only("/v1/log/entries", []byte("{")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.fill("a", 0, 3)
			watch := w.witness()
			w.must(watch.Look(t.Context()))
			w.fill("a", 3, 5)
			w.lie(lie)
			w.pass(time.Minute)
			w.must(watch.Look(t.Context())) // not yet
			w.pass(time.Second)
			began := w.wantAlarm(watch.Look(t.Context()), Silence).At
			w.pass(time.Hour)
			if at := w.wantAlarm(watch.Look(t.Context()), Silence).At; at != began {
				t.Errorf("the same silence began at %s and %s", began, at)
			}
			w.must(watch.Close())
			watch = w.witness() // silence does not keep a witness from starting
			w.lie(nil)
			w.must(watch.Look(t.Context()))
			if state, err := ReadState(w.dir); err != nil || state.Alarm != nil || state.Size != 5 {
				t.Errorf("%+v, %v", state, err)
			}
			w.intact(5)
		})
	}
}

func TestFollowTellsSilenceOnceAndEndsAtAFork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill("a", 0, 2)
	w.save()
	w.fill("a", 2, 3)
	watch := w.witness()
	watch.config.Poll, watch.config.Silence = time.Millisecond, 20*time.Millisecond
	watch.config.Now = time.Now
	told := make(chan *Alarm, 100)
	ended := make(chan error, 1)
	go func() { ended <- watch.Follow(t.Context(), func(a *Alarm) { told <- a }) }()
	w.lie(down)
	if alarm := <-told; alarm == nil || alarm.Kind != Silence {
		t.Errorf("told %v", alarm)
	}
	time.Sleep(50 * time.Millisecond)
	w.lie(nil)
	if alarm := <-told; alarm != nil {
		t.Errorf("told again: %v", alarm)
	}
	w.lie(down)
	w.restore()
	w.fill("b", 2, 4)
	w.lie(nil)
	w.wantAlarm(<-ended, Fork)
}

func TestFollowEndsWithItsContext(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.must(w.witness().Follow(ctx, func(a *Alarm) { t.Errorf("told %v", a) }))
}

func TestStatusKnowsAWitnessThatDoesNotRun(t *testing.T) {
	t.Parallel()
	fork := &Alarm{Kind: Fork}
	cases := map[string]struct {
		state State
		want  Kind
	}{
		"never ran":    {State{}, Silence},
		"just now":     {State{VerifiedAt: noon.Add(-time.Minute)}, ""},
		"too long ago": {State{VerifiedAt: noon.Add(-time.Minute - 1)}, Silence},
		"an alarm":     {State{VerifiedAt: noon, Alarm: fork}, Fork},
	}
	for name, c := range cases {
		err := c.state.Check(noon, time.Minute)
		if alarm, _ := err.(*Alarm); (err == nil) != (c.want == "") || err != nil && alarm.Kind != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
