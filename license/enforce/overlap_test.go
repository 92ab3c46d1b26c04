package enforce

import (
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

// batch is a run of operations on one core, in nanoseconds since the start.
type batch struct{ from, to int64 }

// reportOverlap runs operate on two threads at once and reports what an operation takes while the other thread runs
// too (both-ns/op) and while it does not (alone-ns/op): medians over batches of a few microseconds. Where the two
// disturb each other the first is larger. A batch during which a thread was stopped for other programs counts for
// neither, so the figures hold on a busy machine too, as long as the two threads meet at all (batches-both).
func reportOverlap(b *testing.B, operate func()) {
	const size = 200
	start := time.Now()
	var threads [2][]batch
	var running sync.WaitGroup
	for i := range threads {
		running.Add(1)
		go func() {
			defer running.Done()
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			batches := make([]batch, 0, b.N/size+1)
			for range cap(batches) {
				from := time.Since(start).Nanoseconds()
				for range size {
					operate()
				}
				batches = append(batches, batch{from, time.Since(start).Nanoseconds()})
			}
			threads[i] = batches
		}()
	}
	running.Wait()
	var both, alone []float64
	for i, mine := range threads {
		for _, one := range mine {
			each := float64(one.to-one.from) / size
			switch throughout, never := accompanied(one, threads[1-i]); {
			case throughout:
				both = append(both, each)
			case never:
				alone = append(alone, each)
			}
		}
	}
	for name, values := range map[string][]float64{"both-ns/op": both, "alone-ns/op": alone} {
		if slices.Sort(values); len(values) > 0 {
			b.ReportMetric(values[len(values)/2], name)
		}
	}
	b.ReportMetric(float64(len(both)), "batches-both")
	b.ReportMetric(0, "ns/op") // over threads that were stopped now and then it says nothing
}

// accompanied tells whether the other thread ran throughout a batch, or never during it.
func accompanied(one batch, others []batch) (throughout, never bool) {
	const (
		stopped = 50_000 // nanoseconds: a batch takes a fifth of that at most
		between = 1_000  // nanoseconds from a batch to the next, which begins at once
	)
	first, _ := slices.BinarySearchFunc(others, one.from, func(o batch, at int64) int { return int(o.to - at) })
	if first == len(others) || others[first].from >= one.to {
		return false, true
	}
	at := one.from
	for _, o := range others[first:] {
		if o.to-o.from > stopped || o.from-at > between {
			return false, false
		}
		if at = o.to; at >= one.to {
			return true, false
		}
	}
	return false, false
}

func BenchmarkAdmissionOnBothCores(b *testing.B) {
	r := busyRouter(b)
	b.ResetTimer()
	reportOverlap(b, func() {
		ticket, err := r.Begin(benchRequest)
		if err != nil {
			panic(err)
		}
		ticket.End()
	})
}

func BenchmarkRequestOnBothCores(b *testing.B) {
	r := busyRouter(b)
	b.ResetTimer()
	reportOverlap(b, func() {
		ticket, err := r.Begin(benchRequest)
		if err != nil {
			panic(err)
		}
		ticket.Settle(900)
		ticket.End()
	})
}
