package witness

import (
	"testing"
	"time"
)

func TestALookThatBreaksOffLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill("a", 0, 150) // the first page is copied, then no proof arrives
	watch := w.witness()
	w.lie(func(path string, body []byte) []byte {
		if path == "/v1/log/proof/consistency" {
			return nil
		}
		return body
	})
	w.must(watch.Look(t.Context()))
	if watch.Size() != 0 {
		t.Errorf("verified %d entries without a proof", watch.Size())
	}
	w.lie(nil)
	w.must(watch.Look(t.Context()))
	w.intact(150)
}

func TestEntriesLoggedAfterTheCheckpointWaitForTheNext(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill("a", 0, 2)
	earlier := w.log.Checkpoint()
	w.fill("a", 2, 4)
	watch := w.witness()
	w.lie(func(path string, body []byte) []byte {
		if path == "/v1/log/checkpoint" {
			return earlier
		}
		return body
	})
	w.must(watch.Look(t.Context()))
	w.intact(2)
	w.lie(nil)
	w.must(watch.Look(t.Context()))
	w.intact(4)
}

func TestAWitnessThatWasDownLooksBeforeItAlarms(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	watch := w.witness()
	w.must(watch.Look(t.Context()))
	w.must(watch.Close())
	w.pass(time.Hour)
	watch = w.witness()
	w.lie(down)
	w.must(watch.Look(t.Context()))
	w.pass(time.Minute + 1)
	w.wantAlarm(watch.Look(t.Context()), Silence)
}
