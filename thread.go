package axprocess

import (
	"sync/atomic"
	"syscall"

	"axprocess/internal/slab"
)

// This file is about threads: how they start, exit, and what exec does to them.
//
// Invariants:
//   - a live thread is in its process's list once, and goes by its tid (I4);
//   - an exited thread is in no list and refers to its process only, so a handle
//     that is kept pins no sibling;
//   - a process that had threads and has none left can only exit.

// Thread is a thread of a process, from Build until it exits.
type Thread struct {
	process    *Process
	data       any
	id         uint64
	tid        atomic.Int32 // changes once at most: exec gives the leader's number
	exited     atomic.Bool
	number     PID     // in its process's namespace, unless that is the table's own; guarded
	prev, next *Thread // in the process's list
	brood      *brood  // children, if it is not the leader and has forked
	extra      *threadExtra
}

// threadExtra is what a thread has only after something unusual happened to it.
type threadExtra struct {
	parentDeath Signal // PR_SET_PDEATHSIG
	hold        *vforkHold
	signals     threadSignals
	below       *Namespace        // of children to come; nil: its process's own
	told        *ThreadAttributes // what the last event said of them
}

func (h *Thread) ext() *threadExtra {
	if h.extra == nil {
		h.extra = new(threadExtra)
	}
	return h.extra
}

// ThreadBuilder describes a thread to be; a value like ProcessBuilder.
type ThreadBuilder struct {
	process *Process
	creator *Thread // nil: the leader or first live thread
	tid     PID
	data    any
}

// NewThread begins a thread of p. Build refuses with ESRCH if p is exiting, has
// exited, or has lost its last thread; EINVAL, EEXIST, EAGAIN for the number;
// EINVAL if the children of the thread that acts go to another pid namespace.
// (clone(2): CLONE_THREAD.)
func (p *Process) NewThread(tid PID) ThreadBuilder { return ThreadBuilder{process: p, tid: tid} }

// NewThread begins a thread of h's process that has h's signal mask; otherwise as
// Process.NewThread, which takes that of the leader or first live thread. Build
// also refuses with ESRCH if h has exited.
func (h *Thread) NewThread(tid PID) ThreadBuilder {
	return ThreadBuilder{process: h.process, creator: h, tid: tid}
}

// Data gives the thread something of the caller's to carry.
func (b ThreadBuilder) Data(v any) ThreadBuilder {
	b.data = v
	return b
}

// Build starts the thread, or says why not and changes nothing. One allocation,
// made outside of the lock; O(1).
func (b ThreadBuilder) Build() (*Thread, error) {
	h := &Thread{process: b.process, data: b.data}
	s := b.process.table().enter()
	err := b.build(s, h)
	s.leave()
	if err != nil {
		return nil, err
	}
	return h, nil
}

func (b *ThreadBuilder) build(s *state, h *Thread) *Error {
	const op = "new thread"
	r := s.row(b.process)
	if r == nil {
		return refuse(op, b.process.pid, syscall.ESRCH, reasonFreed)
	}
	if err := r.mayAct(op); err != nil {
		return err
	}
	if b.creator != nil && b.creator.exited.Load() {
		return refuse(op, b.creator.TID(), syscall.ESRCH, "the thread has exited")
	}
	creator := b.creator
	if creator == nil {
		creator = r.firstThread // nil: the first thread of a process that had none
	}
	n, err := s.claimThread(op, b.tid, r, creator, h)
	if err != nil {
		return err
	}
	h.tid.Store(int32(n))
	s.startThread(r, h)
	if mask := r.maskOf(creator); mask != 0 {
		h.ext().signals.mask = mask
	}
	s.logThread(EventThreadStarted, h, b.tid == NextPID)
	return nil
}

// claimThread takes a thread's numbers. A thread whose children go to another
// namespace makes no other: that would be in two (kernel: copy_process).
func (s *state) claimThread(op string, want PID, r *row, creator, h *Thread) (PID, *Error) {
	if r.below(creator) != nil {
		return 0, refuse(op, want, syscall.EINVAL, "its maker's children are born into another pid namespace")
	}
	ns := s.nested(r)
	if ns == nil {
		n, err := s.claim(op, want)
		if err == nil {
			s.occupy(want, n)
		}
		return n, err
	}
	n, err := s.claimIn(op, ns, want, nil, &s.chosen)
	if err != nil {
		return 0, err
	}
	s.occupy(want, n)
	h.number = ns.occupyBelow(nil, &s.chosen, n)
	return n, nil
}

// startThread puts a thread that has its number on its process's list.
func (s *state) startThread(r *row, h *Thread) {
	h.id = s.newID()
	h.prev = r.lastThread
	if r.lastThread == nil {
		r.firstThread = h
	} else {
		r.lastThread.next = h
	}
	r.lastThread = h
	r.nthreads++
	r.flags |= flagHadThreads
	s.threads.Set(uint32(h.tid.Load()), h)
}

// TID returns its number; exec changes it to the leader's. No lock.
func (h *Thread) TID() PID { return PID(h.tid.Load()) }

// ID returns its unique id: never reused in the table's life, and shared with no
// process. No lock.
func (h *Thread) ID() uint64 { return h.id }

// Process returns the process it belongs to, also after both have ended. No lock.
func (h *Thread) Process() *Process { return h.process }

// Data returns what the builder was given. No lock.
func (h *Thread) Data() any { return h.data }

// IsExited says whether it has exited. No lock.
func (h *Thread) IsExited() bool { return h.exited.Load() }

// IsLeader says whether it goes by its process's number. No lock.
func (h *Thread) IsLeader() bool { return h.TID() == h.process.pid }

// Threads returns the live threads, oldest first. O(threads) under the lock.
func (p *Process) Threads() []*Thread {
	return listed(p.table(), func(s *state) int {
		if r := s.row(p); r != nil {
			return int(r.nthreads)
		}
		return 0
	}, func(s *state, to []*Thread) []*Thread {
		if r := s.row(p); r != nil {
			for h := r.firstThread; h != nil; h = h.next {
				to = append(to, h)
			}
		}
		return to
	})
}

// Thread returns the thread that acts for the process where none is named: the
// leader, or the first live thread when it has exited; nil if there is none.
func (p *Process) Thread() (first *Thread) {
	s := p.table().enter()
	if r := s.row(p); r != nil {
		first = r.firstThread
	}
	s.leave()
	return first
}

// IsLeaderExited says whether the leader thread has exited while others live: the
// process is then no zombie and can't be waited for (semantics 3.4; kernel:
// delay_group_leader). One lock pair.
func (p *Process) IsLeaderExited() bool {
	s := p.table().enter()
	defer s.leave()
	r := s.row(p)
	return r != nil && r.leaderExited()
}

func (r *row) leaderExited() bool {
	return r.nthreads > 0 && r.flags&flagLeaderGone != 0
}

// Exit takes the thread off its process and says whether it was the last one; the
// process is then to be ended with Process.Exit. The code becomes the process's
// unless the group has exited. Its children pass to the first live thread.
// ESRCH if it has exited; EPERM for the last thread of a table's init, which
// could not end. O(its children). (_exit(2).)
func (h *Thread) Exit(code int32) (last bool, err error) {
	const op = "thread exit"
	s := h.process.table().enter()
	r := s.row(h.process)
	var refused *Error
	switch {
	case h.exited.Load():
		refused = refuse(op, h.TID(), syscall.ESRCH, "the thread has exited")
	case h.process == s.init && r.nthreads == 1:
		refused = refuse(op, h.TID(), syscall.EPERM, "the last thread of the table's init can't exit")
	default:
		if h.process.State() == Running {
			h.process.code = code
		}
		s.stopThread(h.process.at, r, h)
		last = r.nthreads == 0
		s.settle() // which may end the others, and the process
	}
	s.leave()
	return last, refused.orNil()
}

// Exec is execve(2) by h: all other threads end, h becomes the leader and goes by
// the process's number; what is caught goes back to its default, what is ignored
// stays; a vfork parent is released; the process counts as one that has exec'd,
// and its exit signal is SIGCHLD again. ESRCH if h has exited or its process is
// exiting. O(threads + their children). (Kernel: begin_new_exec, de_thread.)
func (h *Thread) Exec() error {
	const op = "exec"
	p := h.process
	s := p.table().enter()
	defer s.leave()
	if h.exited.Load() {
		return refuse(op, h.TID(), syscall.ESRCH, "the thread has exited")
	}
	if err := s.row(p).mayAct(op); err != nil {
		return err
	}
	s.exec(p, h)
	return nil
}

// exec is Exec by a live thread, or by a process without threads if h is nil.
func (s *state) exec(p *Process, h *Thread) {
	r := s.row(p)
	for other := r.firstThread; other != nil; {
		next := other.next
		if other != h {
			s.stopThread(p.at, r, other)
		}
		other = next
	}
	if h != nil && !h.IsLeader() {
		s.promote(p.at, r, h)
	}
	s.execed(p.at, r)
	s.settle()
}

// Exec is Thread.Exec by the leader or first live thread, or by a process without
// threads itself.
func (p *Process) Exec() error {
	s := p.table().enter()
	defer s.leave()
	r := s.row(p)
	if r == nil {
		return refuse("exec", p.pid, syscall.ESRCH, reasonFreed)
	}
	if err := r.mayAct("exec"); err != nil {
		return err
	}
	s.exec(p, r.firstThread)
	return nil
}

// promote gives the only thread of a process the process's number, and its
// children back to the process's own list.
func (s *state) promote(at slab.Index, r *row, h *Thread) {
	old := h.TID()
	s.threads.Set(uint32(old), nil)
	s.surrender(old, s.nested(r), h.number)
	h.number = r.number
	from := h.brood
	h.brood = nil
	h.tid.Store(int32(r.process.pid))
	s.threads.Set(uint32(r.process.pid), h)
	r.flags &^= flagLeaderGone
	if r.extra != nil && r.extra.signals != nil {
		r.extra.signals.parentDeath = 0 // the old leader's
	}
	s.logRenumbered(h, old)
	if from == nil {
		return
	}
	s.children(from, func(_ slab.Index, child *row) bool {
		child.owner = nil
		s.logAdopted(EventOwned, child, nil, "its parent thread became the leader by exec")
		return true
	})
	r.brood = s.merge(r.brood, *from)
}

// markParentExeced: a child whose parent has become another program since the fork
// sends it SIGCHLD and nothing else (kernel: do_notify_parent, parent_exec_id). It
// remains a clone child to wait.
func (s *state) markParentExeced(r *row) {
	s.broods(r, nil, func(b *brood) bool {
		return s.children(b, func(_ slab.Index, child *row) bool {
			if child.flags&(flagOtherExit|flagParentExeced) == flagOtherExit {
				child.flags |= flagParentExeced
				s.touched(child.process, "its parent has called exec")
			}
			return true
		})
	})
}

func (s *state) execed(at slab.Index, r *row) {
	r.flags &^= flagForked | flagOtherExit | flagParentExeced
	s.markParentExeced(r)
	r.forgetHandlers()
	s.logProcess(EventExeced, r.process, "")
	s.touched(r.process, "exec")
	if r.extra == nil {
		return
	}
	s.release(r.extra.vforker)
	s.actOnAll(at)
}

// stopThread takes a thread out of everything.
func (s *state) stopThread(at slab.Index, r *row, h *Thread) {
	s.leaveSignals(at, r, h)
	if h.prev == nil {
		r.firstThread = h.next
	} else {
		h.prev.next = h.next
	}
	if h.next == nil {
		r.lastThread = h.prev
	} else {
		h.next.prev = h.prev
	}
	h.prev, h.next = nil, nil
	r.nthreads--
	h.exited.Store(true)
	if h.IsLeader() {
		r.flags |= flagLeaderGone
	}
	s.logThread(EventThreadExited, h, false)
	s.failWaits(r, h)
	s.passOn(at, h.owns(), r.firstThread.owns())
	s.threads.Set(uint32(h.tid.Load()), nil)
	if !h.IsLeader() {
		s.surrender(h.TID(), s.nested(r), h.number)
	}
	if h.extra != nil {
		s.release(h.extra.hold)
	}
	h.extra = nil
}
