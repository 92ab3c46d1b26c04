package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
	"github.com/metrum-ai/licensing-portal/license/enforce"
)

// maxAdmission is the goal for one admission, in nanoseconds, without allocating.
const maxAdmission = 50

// admission measures what a router's request waits for: whether the license admits it, and the same with its volume
// counted on disk. The peer is the least that could decide: an atomic pointer, a coarse clock, a bit test, and a counter.
func admission(ctx context.Context, l *lab) ([]result, error) {
	dir, err := os.MkdirTemp(l.dir, "router")
	if err != nil {
		return nil, err
	}
	file, _, _, key, err := sample(time.Now())
	if err != nil {
		return nil, err
	}
	ring, err := license.NewKeyRing(key)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "license.json")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		return nil, err
	}
	manager, err := enforce.New(enforce.Config{Path: path, Ring: ring, RouterVersion: "1.15.0", State: enforce.State{
		Path: filepath.Join(dir, "state"), RequestBlock: 1_000_000, TokenBlock: 1_000_000_000,
	}})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { manager.Run(ctx) })
	defer func() {
		cancel()
		running.Wait()
		_ = manager.Close() // the directory is removed
	}()
	time.Sleep(100 * time.Millisecond) // Run keeps the clock from its first tick on

	admit := func(int) error { return manager.Admit(license.FeatureRouting) }
	request := enforce.Request{Feature: license.FeatureRouting, Skin: "openai-chat", Tokens: 1_000}
	count := func(int) error {
		ticket, err := manager.Begin(request)
		if err != nil {
			return err
		}
		ticket.End()
		return nil
	}
	bare := bareAdmission()
	var results []result
	for _, side := range []struct {
		name string
		do   func(int) error
	}{{"admit", admit}, {"admit, count and end", count}} {
		for _, goroutines := range []int{1, 2} {
			r, err := compareAdmissions(l, goroutines, side.do, bare)
			if err != nil {
				return nil, err
			}
			r.name = fmt.Sprintf("%s a request, on %d of %d cores", side.name, goroutines, runtime.NumCPU())
			results = append(results, r)
		}
	}
	return results, nil
}

func compareAdmissions(l *lab, goroutines int, ours, bare func(int) error) (result, error) {
	var our, limit, allocations []float64
	for range l.rounds {
		ns, allocs, err := spin(goroutines, l.span/2, ours)
		if err != nil {
			return result{}, err
		}
		bareNs, _, err := spin(goroutines, l.span/2, bare)
		if err != nil {
			return result{}, err
		}
		our, limit, allocations = append(our, ns), append(limit, bareNs), append(allocations, allocs)
	}
	ns, allocs := median(our), median(allocations)
	return result{
		ours: fmt.Sprintf("%s, %.2f allocations", nanoseconds(ns), allocs), limit: nanoseconds(median(limit)),
		ratio: ns / median(limit), goal: fmt.Sprintf("≤ %d ns, 0 allocations", maxAdmission), met: ns <= maxAdmission && allocs < 0.005,
	}, nil
}

// spin calls do from so many goroutines for span and answers how long a call took its caller, in nanoseconds, and how many
// allocations it made.
func spin(goroutines int, span time.Duration, do func(goroutine int) error) (ns, allocs float64, err error) {
	const batch = 4096
	var before, after runtime.MemStats
	var calls atomic.Int64
	var failed atomic.Pointer[error]
	runtime.ReadMemStats(&before)
	start := time.Now()
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for time.Since(start) < span {
				for range batch {
					if err := do(g); err != nil {
						reason := err // of its own, or each err would be allocated
						failed.Store(&reason)
						return
					}
				}
				calls.Add(batch)
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(start)
	runtime.ReadMemStats(&after)
	if e := failed.Load(); e != nil {
		return 0, 0, *e
	}
	n := float64(calls.Load())
	return float64(elapsed.Nanoseconds()) * float64(goroutines) / n, float64(after.Mallocs-before.Mallocs) / n, nil
}

var errNotAdmitted = errors.New("not admitted")

func bareAdmission() func(int) error {
	type state struct {
		until    int64
		features uint64
	}
	type counter struct {
		n atomic.Int64
		_ [120]byte // on cache lines of its own
	}
	var current atomic.Pointer[state]
	var clock atomic.Int64
	counters := make([]counter, runtime.NumCPU()+1)
	current.Store(&state{until: time.Now().Add(time.Hour).UnixNano(), features: 1})
	clock.Store(time.Now().UnixNano())
	return func(goroutine int) error {
		s := current.Load()
		if clock.Load() >= s.until || s.features&1 == 0 {
			return errNotAdmitted
		}
		counters[goroutine%len(counters)].n.Add(1)
		return nil
	}
}
