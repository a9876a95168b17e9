package bench

import (
	"runtime"
	"slices"
	"time"
)

// This file is about measuring: competitors take turns in one run, so that what
// else the machine does falls on all of them, and the least time of each counts.

// Sample is what was measured of an operation.
type Sample struct {
	NS     float64 // of one operation, the least of all turns
	Allocs float64
}

// turn is how long one competitor runs before the next has its turn.
const turn = 3 * time.Millisecond

// Compare measures operations in turns, as many as fit into budget and three at
// least. A nil operation has a zero sample.
func Compare(budget time.Duration, ops ...Op) []Sample {
	counts := make([]int, len(ops))
	samples := make([]Sample, len(ops))
	for i, op := range ops {
		if op != nil {
			counts[i] = fitting(op)
			samples[i] = Sample{NS: 1e18, Allocs: allocations(op, counts[i])}
		}
	}
	runtime.GC()
	for end, turns := time.Now().Add(budget), 0; turns < 3 || time.Now().Before(end); turns++ {
		for i, op := range ops {
			if op != nil {
				ns := float64(op(counts[i]).Nanoseconds()) / float64(counts[i])
				samples[i].NS = min(samples[i].NS, ns)
			}
		}
	}
	for i, op := range ops {
		if op == nil {
			samples[i] = Sample{}
		}
	}
	return samples
}

// fitting finds how many operations fit into a turn, with what they need around
// what is timed.
func fitting(op Op) int {
	for n := 1; ; n *= 4 {
		start := time.Now()
		op(n)
		if took := time.Since(start); took > turn/8 {
			return max(1, int(float64(n)*float64(turn)/float64(took)))
		}
	}
}

func allocations(op Op, n int) float64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	op(n)
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / float64(n)
}

// Median returns the middle one.
func Median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	if len(v) == 0 {
		return 0
	}
	return v[len(v)/2]
}

// oldMost is among how many the original's bytes are counted: to make a million takes
// it minutes, since it scans all of them each thousand operations.
const oldMost = 100_000

// BytesAProcess returns what a bare process costs, among n of them, everything
// counted but the handles' slice; ours, then the original's, among oldMost at most.
func BytesAProcess(n int) (ours, theirs float64) {
	measure := func(n int, build func() any) float64 {
		before := live()
		all := build()
		bytes := float64(live()-before) / float64(n)
		runtime.KeepAlive(all)
		return bytes
	}
	ours = measure(n, func() any {
		w := newWorld(n)
		w.others = nil
		return w
	})
	theirs = measure(min(n, oldMost), func() any {
		w := newOldWorld(min(n, oldMost))
		w.others = nil
		return w
	})
	return ours, theirs
}

func live() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
