package axprocess

import "axprocess/internal/slab"

// This file is about stopping and continuing, which is of whole processes, and
// about the stop that an orphaned group would never wake from.
//
// Invariants (I11): only what lives is stopped; a group knows how many of its
// members are; a child that has a stop or continue to report is in its parent's
// list of such children, and no other is.

// stopState is a process's stop and what its parent has not been told of it.
type stopState struct {
	signal     Signal // 0: not stopped
	unreported WaitCause
	prev, next slab.Index // in the parent's list of those with something to report
	children   slab.Index // the first of its own such children
}

func (r *row) stopped() bool { return r.extra != nil && r.extra.stop.signal != 0 }

// report says what a wait with these options would be told.
func (t *stopState) report(opts WaitOptions) WaitCause {
	if t.unreported == Stopped && opts&WSTOPPED != 0 || t.unreported == Continued && opts&WCONTINUED != 0 {
		return t.unreported
	}
	return 0
}

// Stopped returns the signal that stopped p, or 0. One lock pair.
func (p *Process) Stopped() Signal {
	s := p.table().enter()
	defer s.leave()
	if r := s.row(p); r != nil && r.stopped() {
		return r.extra.stop.signal
	}
	return 0
}

// stop stops a process; one that is stopped, exiting or gone stays as it is
// (kernel: do_signal_stop).
func (s *state) stop(at slab.Index, sig Signal) bool {
	r := s.rows.At(at)
	if r.process.State() != Running || r.stopped() || !r.alive() {
		return false
	}
	r.ext().stop.signal = sig
	r.process.group.Load().stopped++
	s.logStopped(r.process, sig)
	s.interruptAll(r)
	s.tell(at, r, Stopped)
	return true
}

// resume ends a stop without telling anybody: of what exits (kernel:
// SIGNAL_GROUP_EXIT replaces SIGNAL_STOP_STOPPED).
func (s *state) resume(at slab.Index, r *row) {
	if r.extra == nil {
		return
	}
	s.silence(at, r)
	if r.stopped() {
		r.extra.stop.signal = 0
		r.process.group.Load().stopped--
	}
}

// proceed ends a stop and tells the parent (kernel: prepare_signal).
func (s *state) proceed(at slab.Index) bool {
	r := s.rows.At(at)
	if !r.stopped() {
		return false
	}
	s.resume(at, r)
	s.logProcess(EventContinued, r.process, "")
	s.tell(at, r, Continued)
	return true
}

// tell notes what there is to report and shows it to the parent.
func (s *state) tell(at slab.Index, r *row, what WaitCause) {
	s.silence(at, r)
	r.extra.stop.unreported = what
	s.announceStop(at, r)
	if r.parent == 0 {
		return
	}
	if parent := s.rows.At(r.parent); parent.flags&(flagNoChildStop|flagIgnoresChild) == 0 {
		info := SigInfo{Signal: SIGCHLD, Code: CLD_CONTINUED, Status: int32(SIGCONT)}
		reason := "a child has continued"
		if what == Stopped {
			info.Code, info.Status, reason = CLD_STOPPED, int32(r.extra.stop.signal), "a child has stopped"
		}
		s.postChild(parent, r, info, reason)
	}
	s.offer(at)
}

// announceStop puts a child that has something to report on its parent's list.
func (s *state) announceStop(at slab.Index, r *row) {
	if r.extra.stop.unreported == 0 || r.parent == 0 {
		return
	}
	above := &s.rows.At(r.parent).ext().stop
	r.extra.stop.prev, r.extra.stop.next = 0, above.children
	if above.children != 0 {
		s.rows.At(above.children).extra.stop.prev = at
	}
	above.children = at
}

// withdrawStop takes it off again; it still has it to report.
func (s *state) withdrawStop(_ slab.Index, r *row) {
	t := &r.extra.stop
	if t.unreported == 0 || r.parent == 0 {
		return
	}
	if t.prev == 0 {
		s.rows.At(r.parent).extra.stop.children = t.next
	} else {
		s.rows.At(t.prev).extra.stop.next = t.next
	}
	if t.next != 0 {
		s.rows.At(t.next).extra.stop.prev = t.prev
	}
	t.prev, t.next = 0, 0
}

// silence drops what a child has to report.
func (s *state) silence(at slab.Index, r *row) {
	s.withdrawStop(at, r)
	r.extra.stop.unreported = 0
}

// reported is silence after a wait has been told.
func (s *state) reported(at slab.Index, r *row) {
	s.logProcess(EventReported, r.process, "")
	s.silence(at, r)
}

// changed calls do for each child of a process with something to report.
func (s *state) changed(parent slab.Index, do func(slab.Index, *row)) {
	x := s.rows.At(parent).extra
	if x == nil {
		return
	}
	for at := x.stop.children; at != 0; {
		r := s.rows.At(at)
		do(at, r)
		at = r.extra.stop.next
	}
}

// dealWithOrphaned: if a group has become orphaned and has a stopped member,
// every member gets SIGHUP, then SIGCONT. ignored is the exiting member, or 0
// when it is a child's group (semantics 4.5; kernel: kill_orphaned_pgrp).
func (s *state) dealWithOrphaned(g *ProcessGroup, ignored slab.Index) {
	if g.stopped == 0 || !s.orphaned(g, ignored) {
		return
	}
	s.logGroup(EventOrphaned, g, "the last link to its session is gone, and a member is stopped")
	for _, sig := range [...]Signal{SIGHUP, SIGCONT} {
		s.members(g, func(at slab.Index, r *row) bool {
			if at != ignored {
				s.post(r.process, sig, "its group has become orphaned with a stopped member")
			}
			return true
		})
	}
}
