package axprocess

import "syscall"

// This file is about the parent-death signal: what a thread asked to be sent when
// the thread that is its parent ends, and at each later such end.
//
// Invariant: it belongs to the thread; fork clears it, exec keeps it. A leader that
// has exited while others live still counts.

// SetParentDeathSignal sets what h's process is sent when the thread that is its
// parent ends, and at each later such end; 0 for nothing. Cleared by fork, kept by
// exec. EINVAL if sig is out of range, ESRCH once h has exited.
// (PR_SET_PDEATHSIG.)
func (h *Thread) SetParentDeathSignal(sig Signal) error {
	return h.process.setParentDeath(h, sig)
}

// SetParentDeathSignal is Thread.SetParentDeathSignal for the leader or first live
// thread, or for a process without threads itself.
func (p *Process) SetParentDeathSignal(sig Signal) error { return p.setParentDeath(nil, sig) }

func (p *Process) setParentDeath(h *Thread, sig Signal) error {
	const op = "set parent-death signal"
	if sig < 0 || sig > SIGRTMAX {
		return refuse(op, p.pid, syscall.EINVAL, "signal %d is not in 0…%d", sig, SIGRTMAX)
	}
	s := p.table().enter()
	defer s.leave()
	r, err := s.callerThread(op, p, h)
	if err != nil {
		return err
	}
	if h == nil {
		h = r.firstThread
	}
	s.touchedAll(p, "a parent-death signal")
	if h != nil {
		h.ext().parentDeath = sig
	} else {
		r.sigs().parentDeath = sig
	}
	return nil
}

// ParentDeathSignal returns what SetParentDeathSignal set. One lock pair.
func (h *Thread) ParentDeathSignal() Signal {
	s := h.process.table().enter()
	defer s.leave()
	return h.parentDeath()
}

func (h *Thread) parentDeath() Signal {
	if h.extra == nil {
		return 0
	}
	return h.extra.parentDeath
}

// parentDied posts the parent-death signals of a child that has just been passed
// on by an ended thread of from. A leader that has exited is still among its
// process's threads there (kernel: forget_original_parent, for_each_thread).
func (s *state) parentDied(child *row, from *Process) {
	const why = "its parent thread has ended"
	if (child.firstThread == nil || child.leaderExited()) && child.extra != nil && child.extra.signals != nil {
		if sig := child.extra.signals.parentDeath; sig != 0 {
			s.postFrom(from, child, nil, sig, why)
		}
	}
	for h := child.firstThread; h != nil; h = h.next {
		if sig := h.parentDeath(); sig != 0 {
			s.postFrom(from, child, h, sig, why)
		}
	}
}

// postFrom sends a signal in the name of a process (kernel: SEND_SIG_NOINFO).
func (s *state) postFrom(from *Process, to *row, h *Thread, sig Signal, reason string) {
	n, hidden := s.sender(to, from)
	s.todo = append(s.todo, posted{
		to: to.process, thread: h, force: hidden,
		info:   SigInfo{Signal: sig, Code: SI_USER, PID: n, UID: s.rows.At(from.at).uid()},
		reason: reason,
	})
}
