package axprocess

import (
	"context"
	"syscall"

	"axprocess/internal/slab"
)

// This file is about waits that block: where they stand, who completes them.
//
// An end is handed over: the operation that brings it about finds, under the
// lock, the wait that takes it, stores the result there and consumes the end. So
// a wait whose context is cancelled at that moment has either been given its
// result, and returns it, or has not, and consumed nothing; and nobody wakes in
// vain. Waits that only look (WNOWAIT) are all given it, before the one that
// consumes. A stopped process's waits take nothing: they look again when it
// continues (kernel: the stop interrupts the wait, which is restarted after it).
//
// Invariants (I12): a blocked wait is in one list; there is nothing ready that it
// could return, unless its process is stopped, or it missed the stop or continue of
// a child that was adopted, or what was moved into its group.

// waiter is a blocked wait. It is in two lists: of all that its process has, in the
// order of blocking, and where what it waits for will find it.
type waiter struct {
	want
	process   *Process
	thread    *Thread
	list      *waitList // where it stands
	links     [2]waitLink
	done      chan struct{} // closed after the lock's release, once result or err is set
	completed bool          // guarded
	woken     bool          // guarded: it is to look again before the operation ends
	result    WaitResult
	err       error
}

type waitLink struct{ prev, next *waiter }

// Which of a waiter's links a list is made of.
const (
	ofProcess = iota
	standing
)

// waits is where a process's blocked waits stand. Those for one child stand with
// that child (extra.watchers), so that what happens to a child costs no more than
// the waits that it can matter to.
type waits struct {
	all    waitList
	any    waitList          // for the end of any ordinary child
	odd    waitList          // for any child, with other options
	groups map[PID]*waitList // for a group
	missed bool              // a child with something to report was adopted meanwhile
}

type waitList struct{ first, last *waiter }

func (l *waitList) add(by int, w *waiter) {
	w.links[by] = waitLink{prev: l.last}
	if l.last == nil {
		l.first = w
	} else {
		l.last.links[by].next = w
	}
	l.last = w
}

func (l *waitList) remove(by int, w *waiter) {
	link := w.links[by]
	if link.prev == nil {
		l.first = link.next
	} else {
		link.prev.links[by].next = link.next
	}
	if link.next == nil {
		l.last = link.prev
	} else {
		link.next.links[by].prev = link.prev
	}
	w.links[by] = waitLink{}
}

func (w *waiter) next(by int) *waiter { return w.links[by].next }

// waiter returns an empty waiter.
func (s *state) waiter() *waiter {
	if w := s.idle.Swap(nil); w != nil {
		return w
	}
	return new(waiter)
}

// retire keeps a waiter that is over for the next wait.
func (s *state) retire(w *waiter) {
	*w = waiter{}
	s.idle.Store(w)
}

// block puts a wait where it will be found.
func (s *state) block(w *waiter) {
	x := s.row(w.process).ext()
	x.waits.all.add(ofProcess, w)
	w.list = s.standsIn(x, w)
	w.list.add(standing, w)
}

// standsIn returns the list that a wait is to stand in.
func (s *state) standsIn(x *extra, w *waiter) *waitList {
	switch {
	case w.byNumber():
		child := w.child
		if child == nil {
			child = s.procs.Get(uint32(w.pid))
			w.child = child
		}
		return &s.row(child).ext().watchers
	case w.pid != WaitAny || w.anyGroup:
		if x.waits.groups == nil {
			x.waits.groups = map[PID]*waitList{}
		}
		l := x.waits.groups[w.group()]
		if l == nil {
			l = new(waitList)
			x.waits.groups[w.group()] = l
		}
		return l
	case w.opts&(WALL|WCLONE|WNOTHREAD|WNOWAIT) == 0 && w.opts&WEXITED != 0:
		return &x.waits.any
	}
	return &x.waits.odd
}

// unblock takes a wait out of its list.
func (s *state) unblock(w *waiter) {
	l := w.list
	l.remove(standing, w)
	w.list = nil
	if r := s.row(w.process); r != nil && r.extra != nil {
		r.extra.waits.all.remove(ofProcess, w)
		r.extra.waits.missed = r.extra.waits.missed && r.extra.waits.all.first != nil
		if l.first == nil && !w.byNumber() {
			if r.extra.waits.groups[w.group()] == l {
				delete(r.extra.waits.groups, w.group())
			}
		}
	}
}

func (s *state) complete(w *waiter, err error) {
	s.unblock(w)
	w.completed, w.err = true, err
	s.owe(w.done)
}

// sleep waits for the completion, or for the context.
func (w *waiter) sleep(ctx context.Context, found *WaitResult) error {
	if ctx.Done() == nil {
		<-w.done
		*found = w.result
		return w.err
	}
	select {
	case <-w.done:
		*found = w.result
		return w.err
	case <-ctx.Done():
	}
	s := w.process.table().enter()
	defer s.leave()
	if w.completed {
		*found = w.result
		return w.err
	}
	s.unblock(w)
	return ctx.Err()
}

// blocks says whether a process has a wait that blocks.
func (s *state) blocks(at slab.Index) bool {
	x := s.rows.At(at).extra
	return x != nil && x.waits.all.first != nil
}

// offer shows the blocked waits of its parent that a child has something to
// report, and says whether one of them has consumed it.
func (s *state) offer(at slab.Index) bool {
	r := s.rows.At(at)
	if r.parent == 0 || s.rows.At(r.parent).stopped() {
		return false
	}
	p, parent, owner := r.process, r.parent, r.owner
	if x := s.rows.At(r.parent).extra; x != nil && x.waits.missed {
		s.wakeWaits(parent, r)
		s.lookAgain(parent, (*waiter).wakes)
		return s.consumed(p, parent, owner)
	}
	var taker *waiter
	if r.extra != nil {
		taker = s.show(at, r, &r.extra.watchers, taker)
	}
	if x := s.rows.At(r.parent).extra; x != nil {
		// Those that wait for any child take what one of them takes, and none only looks.
		if w := x.waits.any.first; taker == nil && w != nil && w.ready(r) != 0 && w.accepts(r, w.thread) {
			taker = w
		}
		taker = s.show(at, r, &x.waits.odd, taker)
		if len(x.waits.groups) > 0 {
			taker = s.show(at, r, x.waits.groups[r.process.group.Load().pgid], taker)
		}
	}
	if taker == nil {
		return false
	}
	cause := taker.ready(r)
	opts := taker.opts
	s.complete(taker, nil)
	s.take(at, cause, opts, &taker.result)
	s.consumed(p, parent, owner)
	return true
}

// consumed says whether the end of a child was, and lets the other waits that it has
// woken see that it is gone.
func (s *state) consumed(p *Process, parent slab.Index, owner *Thread) bool {
	if p.State() != Freed {
		return false
	}
	s.childGone(parent, p.group.Load().pgid, owner)
	return true
}

// show shows a child to a list of waits: those that only look are given it, the
// first that would consume it is returned if there is no taker yet.
func (s *state) show(at slab.Index, r *row, l *waitList, taker *waiter) *waiter {
	if l == nil {
		return taker
	}
	for w := l.first; w != nil; {
		next := w.next(standing)
		if cause := w.ready(r); cause != 0 && w.accepts(r, w.thread) {
			if w.opts&WNOWAIT != 0 {
				s.complete(w, nil)
				s.take(at, cause, w.opts, &w.result)
			} else if taker == nil {
				taker = w
			}
		}
		w = next
	}
	return taker
}

// missStop: nobody is woken for a stop or continue that an adopted child has not
// reported; a wait finds it when it is woken for something else (kernel:
// reparent_leader).
func (s *state) missStop(parent slab.Index, child *row) {
	if x := s.rows.At(parent).extra; child.extra.stop.unreported != 0 && x.waits.all.first != nil {
		x.waits.missed = true
	}
}

// lookAgain lets the blocked waits of a process that are woken look at all
// children, the oldest wait first: after a step that has changed several at once,
// or when they may have missed something. O(waits × children).
func (s *state) lookAgain(at slab.Index, woken func(*waiter) bool) {
	x := s.rows.At(at).extra
	if x == nil || x.waits.all.first == nil || s.rows.At(at).stopped() {
		return
	}
	var woke []*waiter
	for w := x.waits.all.first; w != nil; w = w.next(ofProcess) {
		if woken(w) {
			woke = append(woke, w)
		}
	}
	for _, w := range woke {
		if w.completed {
			continue // what it waited for was taken by one before it
		}
		look := w.want
		look.opts |= WNOWAIT
		if some := s.poll(at, w.thread, &look, &w.result); w.result.Cause != 0 {
			s.complete(w, nil)
			if w.opts&WNOWAIT == 0 {
				s.poll(at, w.thread, &w.want, &w.result)
			}
		} else if !some {
			s.complete(w, w.noChild())
		}
	}
}

// childGone: the end of a child that is freed at once leaves behind waits that
// nothing can complete any more. A zombie that is freed later wakes nobody: the waits
// that are left had no hope in it (kernel: release_task wakes no wait; seen: a wait
// for a group goes on when the last child has left the group).
func (s *state) childGone(parent slab.Index, pgid PID, owner *Thread) {
	if x := s.rows.At(parent).extra; x != nil && x.waits.all.first != nil && x.stop.signal == 0 {
		if w := x.waits.any.first; w != nil && !s.hasMatch(parent, w.thread, &w.want) {
			s.failAll(&x.waits.any)
		}
		s.failHopeless(parent, &x.waits.odd, owner)
		s.failHopeless(parent, x.waits.groups[pgid], owner)
	}
}

// failAll completes the waits of a list with ECHILD.
func (s *state) failAll(l *waitList) {
	for w := l.first; w != nil; w = l.first {
		s.complete(w, w.noChild())
	}
}

// failHopeless completes with ECHILD the waits of a list that no child matches, of
// those that the end of a child of owner's wakes.
func (s *state) failHopeless(parent slab.Index, l *waitList, owner *Thread) {
	if l == nil {
		return
	}
	for w := l.first; w != nil; {
		next := w.next(standing)
		if w.hearsOf(owner) && !s.hasMatch(parent, w.thread, &w.want) {
			s.complete(w, w.noChild())
		}
		w = next
	}
}

func (w *waiter) noChild() error {
	return refuse(w.op, w.process.pid, syscall.ECHILD, "no child matches %s any more", w.target())
}

// childEnded: a wait for stops and continues alone has nothing to wait for once
// what it matched are zombies.
func (s *state) childEnded(at slab.Index) {
	r := s.rows.At(at)
	if r.parent == 0 || s.rows.At(r.parent).stopped() {
		return
	}
	if r.extra != nil {
		s.failHopeless(r.parent, &r.extra.watchers, r.owner)
	}
	if x := s.rows.At(r.parent).extra; x != nil && x.waits.all.first != nil {
		s.failHopeless(r.parent, &x.waits.odd, r.owner)
		s.failHopeless(r.parent, x.waits.groups[r.process.group.Load().pgid], r.owner)
	}
}

// missZombie: nobody is woken for a zombie, or what a child has not reported, that is
// moved into a group that a wait blocks for (kernel: setpgid wakes no wait).
func (s *state) missZombie(child *row, g *ProcessGroup) {
	if child.parent == 0 || child.process.State() != Zombie && (child.extra == nil || child.extra.stop.unreported == 0) {
		return
	}
	if x := s.rows.At(child.parent).extra; x != nil && x.waits.groups[g.pgid] != nil {
		x.waits.missed = true
	}
}

// misses says whether a wait of a process may have missed something.
func (s *state) misses(at slab.Index) bool {
	x := s.rows.At(at).extra
	return x != nil && x.waits.missed
}

// wakeWaits marks the blocked waits of a parent that the end, stop or continue of a
// child wakes: by its number or group, whatever it asks for and whatever signal the
// child sends (kernel: pid_child_should_wake).
func (s *state) wakeWaits(parent slab.Index, child *row) {
	if parent == 0 || s.rows.At(parent).stopped() {
		return
	}
	if x := s.rows.At(parent).extra; x != nil {
		for w := x.waits.all.first; w != nil; w = w.next(ofProcess) {
			w.woken = w.woken || w.names(child) && w.hearsOf(child.owner)
		}
	}
}

// hearsOf says whether a child of some thread's can wake a wait.
func (w *waiter) hearsOf(owner *Thread) bool {
	return w.opts&WNOTHREAD == 0 || owner == w.thread.owns()
}

// wakes says whether wakeWaits has marked a wait, and takes the mark away.
func (w *waiter) wakes() bool {
	woken := w.woken
	w.woken = false
	return woken
}

func everyWait(*waiter) bool { return true }

// failWaits completes the waits of an exiting thread, or of all if h is nil.
func (s *state) failWaits(r *row, h *Thread) {
	if r.extra == nil {
		return
	}
	for w := r.extra.waits.all.first; w != nil; {
		next := w.next(ofProcess)
		if h == nil || w.thread == h {
			s.complete(w, refuse(w.op, r.process.pid, syscall.ESRCH, "the caller has exited"))
		}
		w = next
	}
}

// IsWaiting says whether h is blocked in a wait: in a call of Wait, Wait4 or
// Waitid that nothing has completed. O(waits of its process that block).
func (h *Thread) IsWaiting() (waiting bool) {
	s := h.process.table().enter()
	if r := s.row(h.process); r != nil && r.extra != nil {
		for w := r.extra.waits.all.first; w != nil && !waiting; w = w.next(ofProcess) {
			waiting = w.thread == h
		}
	}
	s.leave()
	return waiting
}
