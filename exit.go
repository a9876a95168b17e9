package axprocess

import (
	"syscall"

	"axprocess/internal/slab"
)

// This file is about the end: exit, who gets the orphans, and when a zombie's
// numbers are free again.
//
// An exit is one step under the lock, in this order:
//  0. the session of an exiting leader gives up its terminal (terminal.go), and a
//     namespace's init ends all that is in its namespace (nslife.go): the next
//     steps come when it is alone there;
//  1. children go to the reaper, the zombies among them too, so that the reaper
//     can be told of those it has to wait for;
//  2. each child's group, then the process's own, may have become orphaned: this
//     looks at parents as they are after step 1;
//  3. the process is a zombie, and its parent's waits see it; or, where nobody
//     has to wait, it ends at once. The reaper is told of its zombies before that.
//
// Invariant: no process has a parent that is a zombie (I5).

// GroupExit begins the exit of the whole process: every thread must go, and no
// thread or child comes after it. The first caller's code stands; later calls
// change nothing. EPERM for the table's init, since it could not end; ESRCH when
// it has exited. O(1). (exit_group(2).)
func (p *Process) GroupExit(code int32) error {
	const op = "group exit"
	s := p.table().enter()
	defer s.leave()
	if err := s.mayEnd(op, p); err != nil {
		return err
	}
	if p.State() == Running {
		p.code = code
		p.setState(Exiting, 0)
		s.logEnd(EventExiting, p, 0)
		s.resume(p.at, s.row(p))
	}
	return nil
}

// mayEnd refuses the end of an init, and of what has ended.
func (s *state) mayEnd(op string, p *Process) *Error {
	switch {
	case p.at == 0:
		return refuse(op, p.pid, syscall.ESRCH, reasonFreed)
	case p.State() == Zombie:
		return refuse(op, p.pid, syscall.ESRCH, reasonZombie)
	case s.row(p).flags&flagLast != 0:
		return refuse(op, p.pid, syscall.ESRCH, "it has exited, and waits until its namespace is empty")
	case p == s.init:
		return refuse(op, p.pid, syscall.EPERM, "it is the table's init")
	}
	return nil
}

// Exit makes p a zombie: its children go to the nearest live subreaper above it,
// else to the init. If nobody has to wait for it, it is freed at once. The init of
// a namespace ends all that is in it, and is a zombie only when it is alone there:
// till then it is Exiting. EPERM for the table's init, EBUSY while threads live,
// ESRCH when it has exited. O(children). (_exit(2); kernel: exit_notify.)
func (p *Process) Exit() error {
	const op = "exit"
	s := p.table().enter()
	err := s.mayEnd(op, p)
	if err == nil {
		if r := s.row(p); r.nthreads == 0 {
			s.exit(p.at, r, Exited)
			s.settle()
		} else {
			err = refuse(op, p.pid, syscall.EBUSY, "%d threads live", r.nthreads)
		}
	}
	s.leave()
	return err.orNil()
}

// GroupKill ends all threads and the process at once, as by a signal: it is then
// a zombie whose status is Killed, or Dumped if core is true, with the signal's
// number; if GroupExit was called before, that code stands. EINVAL for no such
// signal, EPERM for the table's init, ESRCH when it has exited.
// O(threads + children). (Kernel: do_group_exit.)
func (p *Process) GroupKill(sig Signal, core bool) error {
	const op = "group kill"
	if sig <= 0 || sig > SIGRTMAX {
		return refuse(op, p.pid, syscall.EINVAL, "signal %d is not in 1…%d", sig, SIGRTMAX)
	}
	s := p.table().enter()
	defer s.leave()
	if err := s.mayEnd(op, p); err != nil {
		return err
	}
	s.killNow(p.at, sig, core)
	s.settle()
	return nil
}

// killNow is GroupKill for what may end.
func (s *state) killNow(at slab.Index, sig Signal, core bool) {
	r := s.rows.At(at)
	p := r.process
	cause := Exited
	if p.State() == Running {
		p.code, cause = int32(sig), Killed
		if core {
			cause = Dumped
		}
		p.setState(Exiting, 0)
	}
	for r.lastThread != nil {
		s.stopThread(at, r, r.lastThread)
	}
	s.exit(at, r, cause)
}

// exit is the step described above, for a process without live threads.
func (s *state) exit(at slab.Index, r *row, cause WaitCause) {
	p := r.process
	if s.log != nil {
		s.logEnd(r.endEvent(), p, cause)
	}
	if r.extra != nil {
		s.endExtra(at, r)
	}
	if v := p.group.Load().session; v.sid == p.pid && (v.terminal != nil || v.hungUp != nil) {
		s.leaderExits(v)
	}
	if r.flags&flagInit == 0 || s.closeSpace(at, r, cause) {
		s.finishExit(at, cause)
	}
}

// endExtra ends what an exiting process has that most have not.
func (s *state) endExtra(at slab.Index, r *row) {
	s.resume(at, r)
	s.failWaits(r, nil)
	s.endSignals(r)
	s.release(r.extra.vforker)
	s.release(r.extra.hold)
}

// endEvent: an init of a namespace is a zombie only when it is alone there.
func (r *row) endEvent() EventKind {
	if r.flags&flagInit != 0 {
		return EventExiting
	}
	return EventExited
}

// finishExit is exit from its first step on.
func (s *state) finishExit(at slab.Index, cause WaitCause) {
	r := s.rows.At(at)
	p := r.process
	if r.flags&flagInit != 0 {
		r.flags &^= flagLast
		s.touched(p, "it is alone in its namespace")
		s.logEnd(EventExited, p, cause)
	}
	var zombies []slab.Index // among the children
	if r.brood.first != 0 {
		zombies = s.orphanChildren(at, r)
	}
	g := p.group.Load()
	if g.stopped > 0 && r.parent != 0 && s.anchors(g, s.rows.At(r.parent).process) {
		s.dealWithOrphaned(g, at)
	}
	if r.flags&flagSubreaper != 0 {
		r.flags &^= flagSubreaper
		s.subreapers--
	}
	p.setState(Zombie, cause)
	parent := r.parent
	if len(zombies) > 0 {
		s.passZombies(at, r, zombies)
	} else if parent != 0 && s.misses(parent) {
		s.wakeWaits(parent, r)
		s.notifyEnd(at, r, false)
		s.lookAgain(parent, (*waiter).wakes)
	} else if waits := s.notifyEnd(at, r, false); waits && s.blocks(parent) && !s.offer(at) {
		s.childEnded(at)
	}
}

// passZombies tells the reaper of the zombies that it has got, then the parent of
// the end itself. The waits that either wakes see the whole exit at once, and choose
// among all that is ready then (kernel: exit_notify holds tasklist_lock all the
// while).
func (s *state) passZombies(at slab.Index, r *row, zombies []slab.Index) {
	parent, reaper := r.parent, s.rows.At(zombies[0]).parent
	for _, zombie := range zombies {
		s.wakeWaits(reaper, s.rows.At(zombie))
	}
	s.wakeWaits(parent, r)
	for _, zombie := range zombies {
		s.notifyEnd(zombie, s.rows.At(zombie), true)
	}
	s.notifyEnd(at, r, false)
	if parent != 0 && parent != reaper {
		s.lookAgain(parent, (*waiter).wakes)
	}
	s.lookAgain(reaper, (*waiter).wakes)
}

// notifyEnd tells the parent of a zombie that it can wait for it, or ends the
// zombie at once where the parent never will: it ignores SIGCHLD or has
// SA_NOCLDWAIT, and SIGCHLD is what the child would send. It says whether the
// parent's waits are to be shown it (semantics 3.8; kernel: do_notify_parent).
func (s *state) notifyEnd(at slab.Index, r *row, adopted bool) (waits bool) {
	if r.parent == 0 {
		return false // whoever is outside waits for it
	}
	p, parent := r.process, s.rows.At(r.parent)
	sig := SIGCHLD
	if r.flags&(flagOtherExit|flagParentExeced) == flagOtherExit {
		sig = r.extra.exitSignal
	}
	if sig == SIGCHLD && parent.flags&(flagIgnoresChild|flagNoChildWait) != 0 || parent.flags&flagLast != 0 {
		if parent.flags&flagIgnoresChild == 0 {
			s.postChild(parent, r, p.endInfo(sig), "a child has ended")
		}
		if !adopted {
			p.setState(Freed, p.cause())
		}
		above, pgid, owner := r.parent, p.group.Load().pgid, r.owner
		s.free(at, "its parent waits for no child")
		s.childGone(above, pgid, owner)
		return false
	}
	if !adopted {
		s.pushZombie(&s.broodOf(r.parent, r.owner).zombies, at)
	}
	if sig != 0 && parent.hears(parent.hearer(r), sig) {
		s.postChild(parent, r, p.endInfo(sig), "a child has ended")
	}
	return true
}

// endInfo is what comes with the signal that tells of a zombie's end.
func (p *Process) endInfo(sig Signal) SigInfo {
	info := SigInfo{Signal: sig, Code: CLD_EXITED, Status: p.code}
	switch p.cause() {
	case Killed:
		info.Code = CLD_KILLED
	case Dumped:
		info.Code = CLD_DUMPED
	default:
		info.Status &= 0xff
	}
	return info
}

// orphanChildren gives all children to the reaper, and returns the zombies among
// them, of which the reaper is to be told. The list goes over as a whole: only
// whose it is changes in each row.
func (s *state) orphanChildren(at slab.Index, r *row) (zombies []slab.Index) {
	to, owner := s.reaperOf(r)
	first, last := r.brood.first, r.brood.last
	r.brood = brood{}
	b, why := s.broodOf(to, owner), s.reaperReason(to)
	for before, childAt := slab.Index(0), first; childAt != 0; {
		child := s.rows.After(before, childAt)
		p := child.process
		oldGroup := p.group.Load()
		anchored := oldGroup.stopped > 0 && s.anchors(oldGroup, r.process)
		if child.extra != nil {
			s.withdrawStop(childAt, child)
		}
		if child.flags&flagOtherExit != 0 {
			child.flags &^= flagOtherExit | flagParentExeced // kernel: reparent_leader
		}
		s.belong(to, owner, b, childAt, child)
		if p.State() == Zombie {
			zombies = append(zombies, childAt)
		}
		s.logAdopted(EventReparented, child, r.process, why)
		if child.extra != nil || child.firstThread != nil {
			s.parentDied(child, r.process)
		}
		if anchored {
			s.dealWithOrphaned(oldGroup, 0)
		}
		before, childAt = childAt, child.nextSibling
	}
	s.rows.At(first).prevSibling = b.last
	if b.last == 0 {
		b.first = first
	} else {
		s.rows.At(b.last).nextSibling = first
	}
	b.last = last
	return zombies
}

// reaperOf finds who gets the orphans of an exiting process: the nearest ancestor
// at the same level that is a live subreaper, else the init of its namespace
// (kernel: find_new_reaper, which compares levels too).
func (s *state) reaperOf(r *row) (slab.Index, *Thread) {
	to, level := s.init.at, 0
	if ns := s.nested(r); ns != nil {
		to, level = ns.init.at, ns.level
	}
	if r.flags&flagBelowSubreaper != 0 && s.subreapers > 0 {
		for at := r.parent; at != 0; {
			above := s.rows.At(at)
			if above.process == s.init || s.spaceOf(above).level != level {
				break
			}
			if above.flags&flagSubreaper != 0 && above.alive() {
				to = at
				break
			}
			at = above.parent
		}
	}
	return to, s.rows.At(to).firstThread.owns()
}

// SetChildSubreaper makes p the reaper of what is orphaned below it, or no longer
// one. Not inherited by fork. ESRCH once p has exited. O(1) to clear;
// O(descendants) the first time, to mark them. (PR_SET_CHILD_SUBREAPER; kernel:
// propagate_has_child_subreaper.)
func (p *Process) SetChildSubreaper(on bool) error {
	s := p.table().enter()
	defer s.leave()
	r, err := s.caller("set child subreaper", p)
	if err != nil {
		return err
	}
	if on == (r.flags&flagSubreaper != 0) {
		return nil
	}
	s.touched(p, "set child subreaper")
	r.flags ^= flagSubreaper
	if !on {
		s.subreapers--
		return nil
	}
	s.subreapers++
	s.markBelow(p.at)
	return nil
}

// markBelow marks all descendants as having a subreaper above. What is marked
// already has its descendants marked.
func (s *state) markBelow(top slab.Index) {
	todo := []slab.Index{top}
	for len(todo) > 0 {
		r := s.rows.At(todo[len(todo)-1])
		todo = todo[:len(todo)-1]
		if r.process.State() == Zombie {
			continue
		}
		s.broods(r, nil, func(b *brood) bool {
			return s.children(b, func(at slab.Index, child *row) bool {
				if child.flags&flagBelowSubreaper == 0 {
					child.flags |= flagBelowSubreaper
					s.touched(child.process, "a subreaper above")
					todo = append(todo, at)
				}
				return true
			})
		})
	}
}

// Free ends a zombie: it leaves its parent, its group and the table, and its
// number can be given again unless a group or session goes by it. EBUSY unless it
// is a zombie, ESRCH when it has been freed. O(log zombies of its parent).
// (Kernel: release_task.)
func (p *Process) Free() error {
	const op = "free"
	s := p.table().enter()
	var err *Error
	switch p.State() {
	case Zombie:
		s.free(p.at, "")
	case Freed:
		err = refuse(op, p.pid, syscall.ESRCH, reasonFreed)
	default:
		err = refuse(op, p.pid, syscall.EBUSY, "the process has not exited")
	}
	s.leave()
	return err.orNil()
}

// free takes a process that has exited out of everything.
func (s *state) free(at slab.Index, why string) {
	r := s.rows.At(at)
	p := r.process
	s.logProcess(EventFreed, p, why)
	extra := r.extra
	s.abandon(at, r)
	s.quit(r)
	s.procs.Set(uint32(p.pid), nil)
	ns := s.nested(r)
	s.surrender(p.pid, ns, r.number)
	p.setState(Freed, p.cause())
	p.at = 0
	s.rows.Free(at)
	if ns != nil {
		s.leaveSpace(ns)
	}
	if extra != nil {
		s.failAll(&extra.watchers)
	}
}
