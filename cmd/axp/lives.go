package main

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"os"
	"slices"
	"strings"

	"axprocess/report"
	"axprocess/trace/replay"
)

// This file is about the tree over time: who started whom, when each began and
// ended, and who waited for it.

// printLives prints the tree of a replay, at most rows lines of it (-1: all).
func printLives(w output, r *replay.Report, rows int) {
	children := map[uint64][]*replay.Life{}
	for _, l := range r.Lives {
		children[l.StartedBy] = append(children[l.StartedBy], l)
	}
	left := len(r.Lives) - rows
	var show func(l *replay.Life, depth int)
	show = func(l *replay.Life, depth int) {
		if rows == 0 {
			return
		}
		rows--
		printLife(w, r, l, depth)
		for _, child := range children[l.ID] {
			show(child, depth+1)
		}
	}
	for _, l := range children[0] {
		show(l, 0)
	}
	if rows == 0 && left > 0 {
		fmt.Fprintf(w, "and %d more: --tree shows all\n", left)
	}
}

func printLife(w output, r *replay.Report, l *replay.Life, depth int) {
	var b strings.Builder
	if r.Timed {
		end := "…"
		if l.Ended {
			end = fmt.Sprintf("%.3f", l.End.Seconds())
		}
		fmt.Fprintf(&b, "%10.3f %10s  ", l.Start.Seconds(), end)
	} else {
		end := "…"
		if l.Ended {
			end = fmt.Sprint(l.EndLine)
		}
		fmt.Fprintf(&b, "%10d %10s  ", l.StartLine, end)
	}
	fmt.Fprintf(&b, "%s%d %s: %s", strings.Repeat("  ", min(depth, 20)), l.PID, l.Comm(), l.Outcome())
	if n := len(l.Threads); n > 0 {
		fmt.Fprintf(&b, ", %d threads", n+1)
	}
	if l.Ended && !l.Reaped && l.StartedBy != 0 {
		b.WriteString(", nobody waited for it")
	}
	text := b.String()
	if w.Width > 0 && len(text) > w.Width {
		text = text[:w.Width-1] + "…"
	}
	fmt.Fprintln(w, text)
}

// sorted yields a map by descending count, then by key.
func sorted(m map[string]int64) iter.Seq2[string, int64] {
	keys := slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		return cmp.Or(cmp.Compare(m[b], m[a]), cmp.Compare(a, b))
	})
	return func(yield func(string, int64) bool) {
		for _, k := range keys {
			if !yield(k, m[k]) {
				return
			}
		}
	}
}

// lifeOf turns a replay into what the timeline draws.
func lifeOf(r *replay.Report) *report.Life {
	life := &report.Life{Command: []string{"replay of", r.File}, Duration: r.Duration,
		Outcome: fmt.Sprintf("%d calls, %d mismatched", r.Calls, r.Mismatched)}
	if n := int(r.Processes) - len(r.Lives); n > 0 {
		life.Lost = n
	}
	for _, l := range r.Lives {
		p := report.LifeProcess{ID: l.ID, PID: l.PID, PPID: l.PPID, PGID: l.PGID, SID: l.SID, StartedBy: l.StartedBy,
			Comm: l.Comm(), Args: l.Args, Start: l.Start, Ended: l.Ended, End: l.End, Signal: l.Signal, Core: l.Core,
			Exit: l.Exit, Reaped: l.Reaped && l.Ended, ReapedAt: l.ReapedAt, ReapedBy: l.ReapedBy, Left: !l.Ended}
		for _, x := range l.Execs {
			p.Execs = append(p.Execs, report.LifeExec(x))
		}
		for _, h := range l.Threads {
			p.Threads = append(p.Threads, report.LifeThread{TID: h.TID, Comm: l.Comm(), Start: h.Start, End: h.End})
		}
		life.Processes = append(life.Processes, p)
	}
	return life
}

// writeTimeline draws a replay into a file.
func writeTimeline(r *replay.Report, name string) error {
	if !r.Timed {
		return fmt.Errorf("--timeline: %s has no time stamps: record with strace -ttt", r.File)
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := report.Timeline(f, lifeOf(r)); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
