// Package bench measures the model: each operation beside a mutex pair, the
// machine's yardstick, and beside the original's design (bench/original), in one
// run. cmd/performance writes docs/performance.md.
package bench

import (
	"axprocess"
	"axprocess/bench/original"
)

// This file is about the worlds that operations are measured in.

// Sizes are the numbers of other processes that operations are measured among.
var Sizes = []int{0, 1_000, 100_000, 1_000_000}

// world is a table with others in it, and what operations act on.
type world struct {
	table  *axprocess.Table
	init   *axprocess.Process
	others []*axprocess.Process
}

func newWorld(others int, opts ...axprocess.Option) *world {
	w := &world{table: axprocess.NewTable(opts...)}
	w.init = must(w.table.NewInit(1).Build())
	for range others {
		w.others = append(w.others, must(w.init.Fork(axprocess.NextPID).Build()))
	}
	return w
}

// oldWorld is the same in the original's design.
type oldWorld struct {
	init   *original.Process
	others []*original.Process
	next   int
}

func newOldWorld(others int) *oldWorld {
	w := &oldWorld{init: original.NewInit(1), next: 2}
	for range others {
		w.others = append(w.others, w.init.Fork(w.pid()))
	}
	return w
}

func (w *oldWorld) pid() int {
	w.next++
	return w.next
}

func must[T any](v T, err error) T {
	check(err)
	return v
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
