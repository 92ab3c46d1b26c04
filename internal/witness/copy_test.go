package witness

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/metrum-ai/licensing-portal/internal/signer"
)

func TestARestartedWitnessGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill("a", 0, 3)
	watch := w.witness()
	w.must(watch.Look(t.Context()))
	if _, err := w.tryWitness(); err == nil {
		t.Error("two witnesses share a copy")
	}
	w.must(watch.Close())
	w.fill("a", 3, 9)
	watch = w.witness()
	if watch.Size() != 3 {
		t.Errorf("remembers %d", watch.Size())
	}
	w.must(watch.Look(t.Context()))
	w.intact(9)
}

func TestARestartedWitnessRemembersWhatWasSigned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill("a", 0, 3)
	w.save()
	w.fill("a", 3, 5)
	watch := w.witness()
	w.must(watch.Look(t.Context()))
	w.must(watch.Close())
	w.restore()
	w.fill("b", 3, 6)
	watch = w.witness()
	w.wantAlarm(watch.Look(t.Context()), Fork)
	w.must(watch.Close())
	var alarm *Alarm
	if _, err := w.tryWitness(); !errors.As(err, &alarm) || alarm.Kind != Fork {
		t.Errorf("starts over a standing alarm: %v", err)
	}
	w.must(os.Remove(statePath(w.dir)))
	w.wantAlarm(w.witness().Look(t.Context()), Fork) // the log is as bad as before
	w.intact(5)
}

// TestAKilledWitnessLeavesAUsableCopy ends a witness after each file that it writes, and within them.
func TestAKilledWitnessLeavesAUsableCopy(t *testing.T) {
	t.Parallel()
	for name, kill := range map[string]func(t *testing.T, w *world){
		"nothing lost":       func(*testing.T, *world) {},
		"entry torn":         func(t *testing.T, w *world) { cut(t, filepath.Join(w.dir, entriesFile), 10) },
		"hash torn":          func(t *testing.T, w *world) { cut(t, filepath.Join(w.dir, hashesFile), 10) },
		"hashes behind":      func(t *testing.T, w *world) { cut(t, filepath.Join(w.dir, hashesFile), 3*tlog.HashSize) },
		"entries behind":     func(t *testing.T, w *world) { cut(t, filepath.Join(w.dir, entriesFile), 1000) },
		"checkpoint torn":    func(t *testing.T, w *world) { put(t, filepath.Join(w.dir, verifiedFile+".new"), `{"checkp`) },
		"state torn":         func(t *testing.T, w *world) { put(t, statePath(w.dir)+".new", `{`) },
		"state not written":  func(t *testing.T, w *world) { w.must(os.Remove(statePath(w.dir))) },
		"garbage at the end": func(t *testing.T, w *world) { grow(t, filepath.Join(w.dir, entriesFile), "\x00\x00\x00") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.fill("a", 0, 3)
			watch := w.witness()
			w.must(watch.Look(t.Context()))
			w.fill("a", 3, 9)
			signed := w.log.Checkpoint()
			tree, err := signer.OpenCheckpoint(signed, w.verifier)
			w.must(err)
			w.must(watch.extend(t.Context(), signed, tree.Tree)) // and killed before it was committed
			w.must(watch.Close())
			kill(t, w)
			w.intact(3)
			watch = w.witness()
			w.intact(3)
			w.must(watch.Look(t.Context()))
			w.intact(9)
		})
	}
}

func TestAWitnessKilledBeforeItsFirstCheckpointStartsOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill("a", 0, 3)
	watch := w.witness()
	signed := w.log.Checkpoint()
	tree, err := signer.OpenCheckpoint(signed, w.verifier)
	w.must(err)
	w.must(watch.extend(t.Context(), signed, tree.Tree))
	w.must(watch.Close())
	if _, err := Verify(w.dir, w.verifier); err == nil {
		t.Error("verifies without a checkpoint")
	}
	watch = w.witness()
	w.must(watch.Look(t.Context()))
	w.intact(3)
}

func TestADamagedCopyIsToldAndNotDropped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill("a", 0, 5)
	watch := w.witness()
	w.must(watch.Look(t.Context()))
	w.must(watch.Close())
	for _, name := range []string{entriesFile, hashesFile, verifiedFile} {
		path := filepath.Join(w.dir, name)
		whole, err := os.ReadFile(path)
		w.must(err)
		step := 7
		if name == verifiedFile {
			step = 1
		}
		for at := 0; at < len(whole); at += step {
			if at+1 < len(whole) && name == verifiedFile && whole[at+1] == '=' {
				continue // the last bits of the signature's base64 mean nothing
			}
			damaged := append([]byte(nil), whole...)
			damaged[at] ^= 1
			put(t, path, string(damaged))
			if _, err := Verify(w.dir, w.verifier); err == nil {
				t.Errorf("%s: byte %d altered, and the copy verifies", name, at)
			}
		}
		put(t, path, string(whole[:len(whole)-10]))
		if _, err := Verify(w.dir, w.verifier); err == nil {
			t.Errorf("%s cut, and the copy verifies", name)
		}
		w.must(os.Remove(path))
		if _, err := Verify(w.dir, w.verifier); err == nil {
			t.Errorf("%s gone, and the copy verifies", name)
		}
		if opened, err := w.tryWitness(); !errors.Is(err, ErrCopy) {
			t.Errorf("%s gone: %v, %v", name, opened, err)
		}
		put(t, path, string(whole))
		w.intact(5) // the other files are as they were
	}
}

func TestACopyOfAnotherHistoryIsRefused(t *testing.T) {
	t.Parallel()
	w, other := newWorld(t), newWorld(t)
	for branch, one := range map[string]*world{"a": w, "b": other} {
		one.fill(branch, 0, 5) // entries of the same length
		watch := one.witness()
		one.must(watch.Look(t.Context()))
		one.must(watch.Close())
	}
	for _, name := range []string{entriesFile, hashesFile} {
		copyFile(t, filepath.Join(other.dir, name), filepath.Join(w.dir, name))
	}
	other.intact(5)
	if _, err := Verify(w.dir, w.verifier); !errors.Is(err, ErrCopy) {
		t.Errorf("another history verifies under the checkpoint: %v", err)
	}
	if opened, err := w.tryWitness(); !errors.Is(err, ErrCopy) {
		t.Errorf("another history is gone on with: %v, %v", opened, err)
	}
}

func TestTheCopyIsForItsOwnerAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(w.witness().Look(t.Context()))
	for name, want := range map[string]string{".": "-rwx------", entriesFile: "-rw-------", hashesFile: "-rw-------", verifiedFile: "-rw-------"} {
		info, err := os.Stat(filepath.Join(w.dir, name))
		w.must(err)
		if got := fmt.Sprint(info.Mode().Perm()); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func cut(t *testing.T, path string, bytes int64) {
	t.Helper()
	info, err := os.Stat(path)
	if err == nil {
		err = os.Truncate(path, info.Size()-bytes)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func grow(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err == nil {
		_, err = f.WriteString(text)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}
