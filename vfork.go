package axprocess

import (
	"context"
	"syscall"
)

// This file is about vfork: the forking thread is held until its child execs or
// exits (vfork(2)). The model says so and releases it; it is the embedder that
// doesn't run it meanwhile.
//
// Invariant (I13): a hold is known to both sides, and ends with either.

// vforkHold is one held thread and the child that holds it.
type vforkHold struct {
	process *Process // held; as a whole if thread is nil
	thread  *Thread
	child   *Process
	done    chan struct{}
}

func (s *state) hold(p *Process, h *Thread, child *row) {
	if h != nil && h.extra != nil {
		s.release(h.extra.hold) // who forks is not held any more
	} else if x := s.row(p).extra; h == nil && x != nil {
		s.release(x.hold)
	}
	hold := &vforkHold{process: p, thread: h, child: child.process, done: make(chan struct{})}
	child.ext().vforker = hold
	s.touched(child.process, "vfork")
	s.touchedAll(p, "vfork")
	if h != nil {
		h.ext().hold = hold
	} else {
		s.row(p).ext().hold = hold
	}
}

// holdOf returns what holds a thread, or a process as a whole if h is nil.
func (r *row) holdOf(h *Thread) *vforkHold {
	switch {
	case h != nil && h.extra != nil:
		return h.extra.hold
	case h == nil && r.extra != nil:
		return r.extra.hold
	}
	return nil
}

// release ends a hold, if there is one.
func (s *state) release(hold *vforkHold) {
	if hold == nil {
		return
	}
	if r := s.row(hold.child); r != nil {
		r.extra.vforker = nil
		s.touched(hold.child, "vfork is over")
	}
	s.touchedAll(hold.process, "vfork is over")
	if hold.thread != nil {
		if x := hold.thread.extra; x != nil && x.hold == hold {
			x.hold = nil
		}
	} else if r := s.row(hold.process); r != nil && r.extra.hold == hold {
		r.extra.hold = nil
	}
	s.owe(hold.done)
}

// HoldFor enters that h is held by a child which it has forked already, for those
// who learn late that it was a vfork; otherwise as ProcessBuilder.Vfork. EINVAL if
// p is no child of h's process or has exec'd since its birth, EBUSY if h is held or
// p holds somebody, ESRCH if either has exited or h's process is exiting. O(1).
func (h *Thread) HoldFor(p *Process) error {
	const op = "hold"
	s := h.process.table().enter()
	defer s.leave()
	if h.exited.Load() {
		return refuse(op, h.TID(), syscall.ESRCH, "the thread has exited")
	}
	r := s.row(h.process)
	if err := r.mayAct(op); err != nil {
		return err
	}
	if p == nil || p.table() != h.process.table() {
		return refuse(op, h.process.pid, syscall.EINVAL, "no process, or one of another table, is given")
	}
	child := s.row(p)
	if child == nil {
		return refuse(op, p.pid, syscall.ESRCH, reasonFreed)
	}
	if err := child.mayAct(op); err != nil {
		return err
	}
	switch {
	case child.parent != h.process.at || child.flags&flagForked == 0:
		return refuse(op, p.pid, syscall.EINVAL, "it is no child of %d that has not exec'd", h.process.pid)
	case child.extra != nil && child.extra.vforker != nil, r.holdOf(h) != nil:
		return refuse(op, p.pid, syscall.EBUSY, "it holds somebody, or %d is held", h.TID())
	}
	s.hold(h.process, h, child)
	return nil
}

// VforkChild returns the child that holds h, or nil. One lock pair.
func (h *Thread) VforkChild() *Process {
	s := h.process.table().enter()
	defer s.leave()
	if h.extra != nil && h.extra.hold != nil {
		return h.extra.hold.child
	}
	return nil
}

// AwaitVfork blocks while p is held by a vfork child: by Process.Fork, so of its
// leader or first live thread, or of itself if it has none. It returns ctx's
// error if that comes first, ESRCH once p is freed.
func (p *Process) AwaitVfork(ctx context.Context) error {
	s := p.table().enter()
	r := s.row(p)
	if r == nil {
		s.leave()
		return refuse("await vfork", p.pid, syscall.ESRCH, reasonFreed)
	}
	h := r.firstThread
	var hold *vforkHold
	if h == nil && r.extra != nil {
		hold = r.extra.hold
	}
	s.leave()
	if h != nil {
		return h.AwaitVfork(ctx)
	}
	return hold.wait(ctx)
}

// AwaitVfork blocks while h is held by a vfork child, or until ctx's error.
func (h *Thread) AwaitVfork(ctx context.Context) error {
	s := h.process.table().enter()
	var hold *vforkHold
	if h.extra != nil {
		hold = h.extra.hold
	}
	s.leave()
	return hold.wait(ctx)
}

func (hold *vforkHold) wait(ctx context.Context) error {
	if hold == nil {
		return nil
	}
	select {
	case <-hold.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
