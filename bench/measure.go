package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"
)

// result is a line of the table. Ours and limit carry their units; a ratio of 0 is not printed.
type result struct {
	name, ours, limit string
	ratio             float64
	goal              string // "" where the line is for orientation
	met               bool
}

// atLeast compares rates: the higher ours, the better.
func atLeast(name string, ours, limit measured, goal float64) result {
	ratio := ours.rate / limit.rate
	r := result{name: name, ours: perSecond(ours.rate), limit: perSecond(limit.rate), ratio: ratio}
	if goal > 0 {
		r.goal, r.met = fmt.Sprintf("≥ %.2f", goal), ratio >= goal
	}
	return r
}

// within compares a time with a bound in absolute figures.
func within(name string, ours, bound time.Duration, limit string) result {
	return result{name: name, ours: milliseconds(ours), limit: limit, goal: "≤ " + milliseconds(bound), met: ours <= bound}
}

func perSecond(rate float64) string               { return fmt.Sprintf("%.0f/s", rate) }
func milliseconds(d time.Duration) string         { return fmt.Sprintf("%.1f ms", d.Seconds()*1000) }
func nanoseconds(ns float64) string               { return fmt.Sprintf("%.1f ns", ns) }
func microseconds(d time.Duration) string         { return fmt.Sprintf("%.1f µs", d.Seconds()*1e6) }
func median[T cmp.Ordered](values []T) T          { return quantile(values, 0.5) }
func p99(latencies []time.Duration) time.Duration { return quantile(latencies, 0.99) }

// quantile sorts the values, of which there must be one at least.
func quantile[T cmp.Ordered](values []T, q float64) T {
	slices.Sort(values)
	return values[min(int(float64(len(values))*q), len(values)-1)]
}

func printTable(w io.Writer, results []result) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "what\tours\tlimit or peer\tratio\tgoal\t")
	for _, r := range results {
		ratio, verdict := "", ""
		if r.ratio > 0 {
			ratio = fmt.Sprintf("%.2f", r.ratio)
		}
		if r.goal != "" && r.met {
			verdict = "met"
		} else if r.goal != "" {
			verdict = "missed"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", r.name, r.ours, r.limit, ratio, r.goal, verdict)
	}
	return t.Flush()
}

// operation does one unit of work; n counts from 0 and is never given twice in a race.
type operation func(ctx context.Context, n int64) error

// measured is the median rate of the rounds, per second, and every latency.
type measured struct {
	rate      float64
	latencies []time.Duration
}

// race runs the operations in turns, each by so many callers at once that wait for each other's answers. What comes first
// is a short turn of each that is not counted.
func (l *lab) race(ctx context.Context, callers int, sides ...operation) ([]measured, error) {
	var n atomic.Int64
	for _, side := range sides {
		if _, _, err := drive(ctx, callers, l.span/4, &n, side); err != nil {
			return nil, err
		}
	}
	all, rates := make([]measured, len(sides)), make([][]float64, len(sides))
	for range l.rounds {
		for i, side := range sides {
			rate, latencies, err := drive(ctx, callers, l.span, &n, side)
			if err != nil {
				return nil, err
			}
			rates[i] = append(rates[i], rate)
			all[i].latencies = append(all[i].latencies, latencies...)
		}
	}
	for i := range all {
		all[i].rate = median(rates[i])
	}
	return all, nil
}

// drive runs do by callers at once for span, each as fast as it is answered. The first error ends it.
func drive(ctx context.Context, callers int, span time.Duration, n *atomic.Int64, do operation) (float64, []time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	start, each := time.Now(), make([][]time.Duration, callers)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for ctx.Err() == nil {
				began := time.Now()
				if began.Sub(start) >= span {
					return
				}
				if err := do(ctx, n.Add(1)); err != nil {
					cancel(err)
					return
				}
				each[i] = append(each[i], time.Since(began))
			}
		})
	}
	wg.Wait()
	latencies := slices.Concat(each...)
	if err := context.Cause(ctx); err != nil {
		return 0, nil, err
	}
	return float64(len(latencies)) / time.Since(start).Seconds(), latencies, nil
}
