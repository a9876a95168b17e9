package axprocess

import (
	"syscall"

	"axprocess/internal/slab"
)

// This file is about what waits: a set of pending signals a thread, one that the
// process shares, and masks.
//
// A process without threads is its own one thread: what a thread has of signals is
// then in signals.self. When the leader exits before others its mask stays there,
// since kill goes on asking it whether a signal is blocked.
//
// Invariants:
//   - a standard signal is pending at most once in a set, a real-time one as often
//     as it was sent; a set's bits say which are in its queue, or were too many for
//     it (I16);
//   - while a process runs, nothing that is pending is let through by a live thread
//     and has a default action: it would have been carried out (I17).

// defaultPendingLimit is how many signals may be queued for a process unless
// WithPendingLimit says otherwise.
const defaultPendingLimit = 1 << 15

// WithPendingLimit sets how many signals may be queued for each process (Linux
// counts them by user: RLIMIT_SIGPENDING). A real-time signal above it is refused
// with EAGAIN when it comes from Sigqueue, and one from Kill merges like a standard
// signal; standard ones are never refused. 32,768 unless set; EINVAL, told by
// NewInit, if n is below 0.
func WithPendingLimit(n int) Option {
	return func(s *state) {
		if n < 0 {
			s.misuse = refuse("new table", 0, syscall.EINVAL, "WithPendingLimit(%d)", n)
		}
		s.pendingLimit = n
	}
}

// signals is what waits for a process. A snapshot needs all of it.
type signals struct {
	shared      pendingSet
	self        threadSignals // of a process without threads; or the mask of a leader that has exited
	target      *Thread       // who was chosen last (kernel: curr_target)
	parentDeath Signal        // of a process without threads; or that of a leader that has exited
	queued      int           // in all of its sets
}

// threadSignals is what a thread has of its own. A snapshot needs all but wait.
type threadSignals struct {
	mask    SignalSet
	pending pendingSet
	woken   bool        // was chosen for a signal that it has not taken (kernel: TIF_SIGPENDING)
	wait    *signalWait // blocked in AwaitSignal
}

// pendingSet is a set of signals in the order in which they came.
type pendingSet struct {
	bits  SignalSet
	queue []SigInfo
}

// take removes and returns the signal that is acted on first of those in ready,
// which the set has.
func (set *pendingSet) take(ready SignalSet) SigInfo {
	sig := ready.first()
	info := SigInfo{Signal: sig} // of one that was too many for the queue nothing is known
	found, more := -1, false
	for i := range set.queue {
		if set.queue[i].Signal != sig {
			continue
		}
		if found >= 0 {
			more = true
			break
		}
		found, info = i, set.queue[i]
		if sig < SIGRTMIN {
			break
		}
	}
	if found >= 0 {
		set.queue = append(set.queue[:found], set.queue[found+1:]...)
		set.shrink()
	}
	if !more {
		set.bits &^= sig.set()
	}
	return info
}

// drop removes signals, and says how many were queued.
func (set *pendingSet) drop(sigs SignalSet) int {
	if set.bits&sigs == 0 {
		return 0
	}
	set.bits &^= sigs
	kept := set.queue[:0]
	for _, info := range set.queue {
		if sigs&info.Signal.set() == 0 {
			kept = append(kept, info)
		}
	}
	n := len(set.queue) - len(kept)
	set.queue = kept
	set.shrink()
	return n
}

// shrink keeps a small queue for the next signal, and no large one.
func (set *pendingSet) shrink() {
	if len(set.queue) == 0 && cap(set.queue) > 16 {
		set.queue = nil
	}
}

func (r *row) sigs() *signals {
	x := r.ext()
	if x.signals == nil {
		x.signals = new(signals)
	}
	return x.signals
}

// own returns what a thread has of signals, to be written; nil means the process
// itself.
func (r *row) own(h *Thread) *threadSignals {
	if h != nil {
		return &h.ext().signals
	}
	return &r.sigs().self
}

var noSignals threadSignals

// reads is own, to be read only.
func (r *row) reads(h *Thread) *threadSignals {
	switch {
	case h != nil && h.extra != nil:
		return &h.extra.signals
	case h == nil && r.extra != nil && r.extra.signals != nil:
		return &r.extra.signals.self
	}
	return &noSignals
}

func (r *row) maskOf(h *Thread) SignalSet { return r.reads(h).mask }

// sharedBits returns what is pending for the process as a whole.
func (r *row) sharedBits() SignalSet {
	if r.extra == nil || r.extra.signals == nil {
		return 0
	}
	return r.extra.signals.shared.bits
}

// flush drops signals that are pending anywhere in a process (kernel:
// flush_sigqueue_mask).
func (r *row) flush(sigs SignalSet) {
	if r.extra == nil || r.extra.signals == nil {
		return // nothing was ever pending, nor for a thread: queued is counted there
	}
	g := r.extra.signals
	g.queued -= g.shared.drop(sigs) + g.self.pending.drop(sigs)
	for h := r.firstThread; h != nil; h = h.next {
		if h.extra != nil {
			g.queued -= h.extra.signals.pending.drop(sigs)
		}
	}
}

// SetSignalMask sets the signals that h does not let through; SIGKILL and SIGSTOP
// can't be among them. What becomes deliverable is delivered; what the process
// shares and h no longer lets through is shown to another thread. ESRCH once h has
// exited. O(threads). (pthread_sigmask(3); kernel: set_current_blocked.)
func (h *Thread) SetSignalMask(mask SignalSet) error { return h.process.setMask(h, mask) }

// SetSignalMask is Thread.SetSignalMask for the leader or first live thread, or
// for a process without threads itself.
func (p *Process) SetSignalMask(mask SignalSet) error { return p.setMask(nil, mask) }

func (p *Process) setMask(h *Thread, mask SignalSet) error {
	s := p.table().enter()
	defer s.leave()
	r, err := s.callerThread("set signal mask", p, h)
	if err != nil {
		return err
	}
	if h == nil {
		h = r.firstThread
	}
	s.changeMask(p.at, r, h, mask)
	s.settle()
	return nil
}

// changeMask is the kernel's __set_task_blocked, and acts on what is let through.
func (s *state) changeMask(at slab.Index, r *row, h *Thread, mask SignalSet) {
	mask &^= unblockable
	old := r.maskOf(h)
	if mask == old {
		return
	}
	r.own(h).mask = mask
	s.touchedAll(r.process, "a signal mask")
	if mask&^old != 0 {
		s.retarget(at, r, h, mask&^old)
	}
	if old&^mask != 0 {
		s.actOn(at, h)
	}
}

// SignalMask returns the signals that h does not let through. One lock pair.
func (h *Thread) SignalMask() SignalSet { return h.process.signalMask(h) }

// SignalMask is Thread.SignalMask for the leader or first live thread, or for a
// process without threads itself.
func (p *Process) SignalMask() SignalSet { return p.signalMask(nil) }

func (p *Process) signalMask(h *Thread) SignalSet {
	s := p.table().enter()
	defer s.leave()
	r := s.row(p)
	if r == nil {
		return 0
	}
	if h == nil {
		h = r.firstThread
	}
	return r.maskOf(h)
}

// PendingSignals returns what waits for h to take it or let it through: its own,
// and what its process shares. One lock pair. (Kernel: do_sigpending, which shows
// the blocked ones only.)
func (h *Thread) PendingSignals() SignalSet { return h.process.pendingSignals(h) }

// PendingSignals is Thread.PendingSignals for the leader or first live thread, or
// for a process without threads itself.
func (p *Process) PendingSignals() SignalSet { return p.pendingSignals(nil) }

func (p *Process) pendingSignals(h *Thread) SignalSet {
	s := p.table().enter()
	defer s.leave()
	r := s.row(p)
	if r == nil || p.State() >= Zombie {
		return 0
	}
	if h == nil {
		h = r.firstThread
	}
	return r.reads(h).pending.bits | r.sharedBits()
}

// QueuedSignals returns how many signals are queued for p: what WithPendingLimit
// limits. One lock pair.
func (p *Process) QueuedSignals() int {
	s := p.table().enter()
	defer s.leave()
	if r := s.row(p); r != nil && r.extra != nil && r.extra.signals != nil {
		return r.extra.signals.queued
	}
	return 0
}
