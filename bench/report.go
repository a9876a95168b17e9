package bench

import (
	"fmt"
	"strings"
	"time"

	"axprocess"
)

// This file is about the tables of docs/performance.md.

// number prints what fits a column.
func number(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// ModelTable measures the rows among each number of others, and the figures that
// are no rows. It takes about within.
func ModelTable(within time.Duration, sizes []int) string {
	var b strings.Builder
	rows := Rows()
	slot := within / time.Duration(2*len(sizes)*(len(rows)+1))
	b.WriteString("| operation | others | ns | mutex pairs | goal | allocs | the original, mutex pairs | ours : the original |\n|---|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, others := range sizes {
		ours, theirs := newWorld(others), newOldWorld(others)
		for _, row := range rows {
			ops := []Op{Yardstick(), row.Ours(ours), nil}
			if row.Theirs != nil {
				ops[2] = row.Theirs(theirs)
			}
			writeRow(&b, row, others, Compare(slot, ops...))
		}
		ops := []Op{Goroutines(ours, 1), Goroutines(ours, 2)}
		s := Compare(slot, ops...)
		fmt.Fprintf(&b, "| two goroutines that fork under init, against one | %d | %s | | | | | %s (goal 1.5) |\n", others, number(s[1].NS), number(s[1].NS/s[0].NS))
		check(ours.table.Check())
	}
	most := sizes[len(sizes)-1]
	if most > 0 {
		ours, theirs := BytesAProcess(most)
		fmt.Fprintf(&b, "\nBytes a bare process among %d, everything counted: %s (goal 150); the original's: %s.\n", most, number(ours), number(theirs))
	}
	return b.String()
}

func writeRow(b *strings.Builder, row Row, others int, s []Sample) {
	per := float64(max(1, row.Per))
	pairs := s[1].NS / per / s[0].NS
	goal, old, ratio := "", "", ""
	switch {
	case row.Far != 0 && others >= 1_000_000:
		goal = number(row.Far)
	case row.Goal != 0:
		goal = number(row.Goal)
	}
	if row.Theirs != nil {
		old, ratio = number(s[2].NS/per/s[0].NS), number(s[1].NS/s[2].NS)
	}
	fmt.Fprintf(b, "| %s | %d | %s | %s | %s | %s | %s | %s |\n", row.Name, others, number(s[1].NS/per), number(pairs), goal,
		fmt.Sprintf("%.1f", s[1].Allocs/per), old, ratio)
}

// PairTable measures the pairs.
func PairTable(within time.Duration) string {
	var b strings.Builder
	pairs := Pairs()
	b.WriteString("| operation | ns | allocs | against | ns | ratio | goal |\n|---|---:|---:|---|---:|---:|---:|\n")
	for _, p := range pairs {
		s := Compare(within/time.Duration(len(pairs)), p.Ours(), p.Other())
		goal := ""
		if p.Goal != 0 {
			goal = number(p.Goal)
		}
		fmt.Fprintf(&b, "| %s | %s | %.1f | %s | %s | %s | %s |\n", p.Name, number(s[0].NS), s[0].Allocs, p.Against, number(s[1].NS), number(s[0].NS/s[1].NS), goal)
	}
	return b.String()
}

// CutTable measures consistent cuts of a table of n processes while another
// goroutine writes.
func CutTable(n int) string {
	var b strings.Builder
	w := newWorld(n)
	w.others = nil
	stop, longest := make(chan struct{}), make(chan time.Duration)
	go func() {
		var most time.Duration
		for {
			select {
			case <-stop:
				longest <- most
				return
			default:
			}
			start := time.Now()
			p := must(w.init.Fork(1 << 21).Build())
			most = max(most, time.Since(start))
			w.life(p)
		}
	}()
	b.WriteString("| what, of a table of " + fmt.Sprint(n) + " processes while another goroutine forks | ms |\n|---|---:|\n")
	start := time.Now()
	snapshot := w.table.Snapshot()
	took := time.Since(start)
	close(stop)
	fmt.Fprintf(&b, "| Snapshot | %.1f |\n| the longest that a fork beside it took | %.1f |\n", took.Seconds()*1e3, (<-longest).Seconds()*1e3)
	start = time.Now()
	var saved strings.Builder
	check(snapshot.Save(&saved))
	fmt.Fprintf(&b, "| Save, %.0f MB | %.0f |\n", float64(saved.Len())/1e6, time.Since(start).Seconds()*1e3)
	start = time.Now()
	restored := must(axprocess.Restore(strings.NewReader(saved.String())))
	fmt.Fprintf(&b, "| Restore | %.0f |\n", time.Since(start).Seconds()*1e3)
	start = time.Now()
	check(restored.Check())
	fmt.Fprintf(&b, "| Check | %.0f |\n", time.Since(start).Seconds()*1e3)
	start = time.Now()
	must(w.table.Clone())
	fmt.Fprintf(&b, "| Clone | %.0f |\n", time.Since(start).Seconds()*1e3)
	return b.String()
}
