package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// The measurements themselves take minutes and a quiet machine, so no test runs them; make bench does.

func TestQuantileTakesTheValueAtThatShare(t *testing.T) {
	t.Parallel()
	for q, want := range map[float64]int{0: 1, 0.5: 3, 0.99: 5, 1: 5} {
		if got := quantile([]int{5, 3, 1, 4, 2}, q); got != want {
			t.Errorf("%v: %d, want %d", q, got, want)
		}
	}
}

func TestTheTableSaysWhichGoalsAreMet(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := printTable(&out, []result{
		atLeast("fast", measured{rate: 80}, measured{rate: 100}, 0.7), atLeast("slow", measured{rate: 60}, measured{rate: 100}, 0.7),
		atLeast("other", measured{rate: 60}, measured{rate: 100}, 0), within("late", 3*time.Millisecond, 2*time.Millisecond, ""),
	})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	for i, want := range [][]string{{"fast", "0.80", "met"}, {"slow", "0.60", "missed"}, {"other", "0.60"}, {"late", "missed"}} {
		for _, word := range want {
			if !strings.Contains(lines[i+1], word) {
				t.Errorf("no %s in %q", word, lines[i+1])
			}
		}
	}
	if strings.Contains(lines[3], "met") || strings.Contains(lines[3], "missed") {
		t.Errorf("a line without a goal has a verdict: %q", lines[3])
	}
}

func TestADriveEndsWithTheFirstErrorAndGivesNoNumberTwice(t *testing.T) {
	t.Parallel()
	var n, calls atomic.Int64
	broken := errors.New("broken")
	_, _, err := drive(t.Context(), 4, time.Minute, &n, func(_ context.Context, n int64) error {
		calls.Add(1)
		if n == 100 {
			return broken
		}
		return nil
	})
	if !errors.Is(err, broken) || calls.Load() != n.Load() {
		t.Errorf("%v after %d calls of %d", err, calls.Load(), n.Load())
	}
}

func TestWrongFlagsMeasureNothing(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"-run (", "-rounds 0", "-span 1ms", "extra", "-unknown"} {
		if err := run(t.Context(), strings.Fields(args), strings.NewReader(""), io.Discard, io.Discard); err == nil {
			t.Errorf("%s is taken", args)
		}
	}
}

func TestABareAdmissionAdmits(t *testing.T) {
	t.Parallel()
	ns, _, err := spin(2, time.Millisecond, bareAdmission())
	if err != nil || ns <= 0 {
		t.Errorf("%v ns: %v", ns, err)
	}
}
