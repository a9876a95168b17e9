package replay

import (
	"cmp"
	"slices"

	"axprocess/trace/strace"
)

// This file is about whose child a new thread is, where the number that its fork
// returned does not say: the fork has not returned, or it was told another number.

// forkOf finds the fork that made a thread, if that is under way.
func (e *engine) forkOf(ev *event) *call {
	if c := e.in.born[ev.tid]; c != nil && c.thread != nil && c.child == nil && !c.judged && e.isOpen(c) {
		return c
	}
	var silent []*call // forks whose end is not in the window
	for _, c := range e.open {
		if isFork(c.op) && c.child == nil && !c.judged && c.thread != nil && (!c.done || !c.result.Known && !c.result.Restart) {
			silent = append(silent, c)
		}
	}
	if n := len(silent); n > 1 && len(e.expected()) == 0 {
		e.rep.note("line %d: %d forks were under way when %d appeared; the first is taken", ev.line, n, ev.tid)
	}
	if m := e.match(ev.tid); m != nil {
		return m.call
	}
	if len(silent) > 0 && len(e.world.waiting) == 0 {
		return silent[0]
	}
	return nil
}

// birth is a child that a fork in a namespace has told of, by its number there, and
// that has no line yet.
type birth struct {
	number int64
	call   *call   // under way
	thread *thread // or ended, and this is what it made
}

// expected returns all such, by their numbers.
func (e *engine) expected() (all []birth) {
	for _, c := range e.open {
		if isFork(c.op) && c.child == nil && !c.judged && c.thread != nil && c.done && c.result.Known &&
			c.result.Value > 0 && c.thread.proc.ns.up != nil && c.result.Outer == 0 {
			all = append(all, birth{c.result.Value, c, nil})
		}
	}
	for _, h := range e.world.waiting {
		all = append(all, birth{int64(h.proc.ns.number(h.h.TID(), asProcess)), nil, h})
	}
	slices.SortStableFunc(all, func(a, b birth) int { return cmp.Compare(a.number, b.number) })
	return all
}

// match finds which of the expected children a thread is. If it tells its own number
// soon, by that; if not, numbers are given in one order inside and outside, so it is
// compared with those that will appear next.
func (e *engine) match(tid int32) *birth {
	all := e.expected()
	if len(all) <= 1 {
		if len(all) == 1 {
			return &all[0]
		}
		return nil
	}
	take := func(inner int64) *birth {
		for i := range all {
			if inner != 0 && all[i].number == inner {
				return &all[i]
			}
		}
		return nil
	}
	if m := take(e.ownNumber(tid)); m != nil {
		return m
	}
	rank := 0
	for _, other := range e.newcomers(tid, 4*len(all)) {
		inner := e.ownNumber(other)
		if m := take(inner); m != nil {
			at := slices.IndexFunc(all, func(b birth) bool { return b == *m })
			all = slices.Delete(all, at, at+1)
		} else if inner == 0 && other < tid {
			rank++
		}
	}
	if len(all) == 0 {
		return nil
	}
	return &all[min(rank, len(all)-1)]
}

// newcomers looks ahead for the next threads, at most n, that have no line yet.
func (e *engine) newcomers(tid int32, n int) (all []int32) {
	for i := 0; len(all) < n; i++ {
		ev := e.in.peek(i)
		if ev == nil {
			break
		}
		if ev.tid != tid && e.threads[ev.tid] == nil && ev.kind != evNumbered && !slices.Contains(all, ev.tid) && e.in.born[ev.tid] == nil {
			all = append(all, ev.tid)
		}
	}
	return all
}

func (e *engine) isOpen(c *call) bool {
	for _, o := range e.open {
		if o == c {
			return true
		}
	}
	return false
}

// ownNumber looks ahead for what a thread calls itself; 0 if it does not.
func (e *engine) ownNumber(tid int32) int64 {
	for i := range windowSize {
		ev := e.in.peek(i)
		if ev == nil {
			return 0
		}
		if ev.tid != tid {
			continue
		}
		switch ev.kind {
		case evExited, evKilled:
			return 0
		case evBegin, evWhole:
			switch c := ev.call; c.op {
			case strace.Getpid, strace.Gettid, strace.SetTidAddress:
				if c.done && c.result.Known {
					return c.result.Value
				}
			}
		}
	}
	return 0
}
