package axprocess

import (
	"context"
	"syscall"
)

// This file is about how the embedder gets the signals that are not the model's to
// carry out: those with a handler, and those that a thread accepts or awaits.
//
// Invariant (I18): a thread awaits signals in one call at most, and none of them is
// pending where it would find it.

// signalWait is a thread blocked in AwaitSignal.
type signalWait struct {
	set  SignalSet
	done chan struct{} // closed after the lock's release, once over
	over bool
	info SigInfo
	err  error
}

// Delivery is a signal whose handler is to run.
type Delivery struct {
	SigInfo
	Restore SignalSet // the mask to set when the handler returns
}

// BeginHandler takes the next signal that h lets through and its process handles,
// and blocks for h what is blocked while the handler runs; the disposition is the
// default again if ResetHandler asks for it. The embedder runs the handler, and
// sets the mask Restore when it returns; the next BeginHandler may come before
// that. False: there is none, or the process is stopped or ends. O(pending).
// (Kernel: get_signal, signal_delivered.)
func (h *Thread) BeginHandler() (Delivery, bool) { return h.process.beginHandler(h, true) }

// BeginHandler is Thread.BeginHandler for the leader or first live thread, or for
// a process without threads itself.
func (p *Process) BeginHandler() (Delivery, bool) { return p.beginHandler(nil, true) }

// TakeSignal is BeginHandler with a handler that returns at once: the mask stays as
// it is. 0: there is none.
func (h *Thread) TakeSignal() Signal {
	d, _ := h.process.beginHandler(h, false)
	return d.Signal
}

// TakeSignal is Thread.TakeSignal for the leader or first live thread, or for a
// process without threads itself.
func (p *Process) TakeSignal() Signal {
	d, _ := p.beginHandler(nil, false)
	return d.Signal
}

func (p *Process) beginHandler(h *Thread, masks bool) (Delivery, bool) {
	s := p.table().enter()
	defer s.leave()
	r := s.row(p)
	if r == nil || p.State() != Running || r.stopped() || h != nil && h.exited.Load() {
		return Delivery{}, false
	}
	if h == nil {
		h = r.firstThread
	}
	does, mask := r.does(), r.maskOf(h)
	info, ok := r.dequeue(h, does.caught&^mask)
	if !ok {
		return Delivery{}, false
	}
	s.touchedAll(p, "a signal was taken")
	sig := info.Signal
	if does.resets&sig.set() != 0 {
		action := r.action(sig)
		action.Disposition = Default
		r.ext().actions = does.with(sig, action)
	}
	if masks {
		s.changeMask(p.at, r, h, mask|does.whileHandling(sig))
	}
	s.actOnAll(p.at)
	s.settle()
	return Delivery{SigInfo: info, Restore: mask}, true
}

// AcceptSignal takes the next pending signal of set, blocked or not, handled or
// not: what sigtimedwait(2) does with no time to wait, and a read of a signalfd.
// False: there is none (EAGAIN), or the process is stopped or ends. O(pending).
// (Kernel: do_sigtimedwait.)
func (h *Thread) AcceptSignal(set SignalSet) (SigInfo, bool) { return h.process.acceptSignal(h, set) }

// AcceptSignal is Thread.AcceptSignal for the leader or first live thread, or for
// a process without threads itself.
func (p *Process) AcceptSignal(set SignalSet) (SigInfo, bool) { return p.acceptSignal(nil, set) }

func (p *Process) acceptSignal(h *Thread, set SignalSet) (SigInfo, bool) {
	s := p.table().enter()
	defer s.leave()
	r := s.row(p)
	if r == nil || p.State() != Running || r.stopped() || h != nil && h.exited.Load() {
		return SigInfo{}, false
	}
	if h == nil {
		h = r.firstThread
	}
	s.touchedAll(p, "a signal was taken")
	return r.dequeue(h, set&^unblockable)
}

// AwaitSignal takes the next signal of set, and blocks while there is none; SIGKILL
// and SIGSTOP are not waited for. While it blocks, h lets the signals of set
// through; one that h's mask does not block and that the process ignores is lost,
// and one whose default is to end the process ends it. EINTR when a signal with a
// handler comes for h, or the process stops; ESRCH when h exits; EBUSY if h is
// in AwaitSignal already; ctx's error, and then nothing has been taken.
// O(pending). (sigwaitinfo(2), sigtimedwait(2); kernel: do_sigtimedwait.)
func (h *Thread) AwaitSignal(ctx context.Context, set SignalSet) (SigInfo, error) {
	return h.process.awaitSignal(ctx, h, set)
}

// AwaitSignal is Thread.AwaitSignal for the leader or first live thread, or for a
// process without threads itself.
func (p *Process) AwaitSignal(ctx context.Context, set SignalSet) (SigInfo, error) {
	return p.awaitSignal(ctx, nil, set)
}

func (p *Process) awaitSignal(ctx context.Context, h *Thread, set SignalSet) (SigInfo, error) {
	const op = "await signal"
	s := p.table().enter()
	r, err := s.callerThread(op, p, h)
	if err != nil {
		s.leave()
		return SigInfo{}, err
	}
	if h == nil {
		h = r.firstThread
	}
	own, w := r.own(h), &signalWait{set: set &^ unblockable, done: make(chan struct{})}
	if own.wait != nil {
		s.leave()
		return SigInfo{}, refuse(op, p.pid, syscall.EBUSY, "the thread is in another wait for signals")
	}
	own.wait, own.woken = w, false
	s.touchedAll(p, "it awaits a signal")
	if p.State() == Running && !r.stopped() {
		s.actOn(p.at, h)
	} else if p.State() == Exiting {
		s.endWait(own, p)
	}
	s.leave()
	select {
	case <-w.done:
		return w.info, w.err
	case <-ctx.Done():
	}
	s = p.table().enter()
	defer s.leave()
	if w.over {
		return w.info, w.err
	}
	own.wait = nil
	return SigInfo{}, ctx.Err()
}

// accept hands a signal to the thread that awaits it.
func (s *state) accept(own *threadSignals, info SigInfo) {
	own.wait.info = info
	s.finish(own)
}

// interrupt ends a wait for signals with EINTR.
func (s *state) interrupt(own *threadSignals) {
	own.wait.err = syscall.EINTR
	s.finish(own)
}

// endWait ends the wait for signals of what exits.
func (s *state) endWait(own *threadSignals, p *Process) {
	own.wait.err = refuse("await signal", p.pid, syscall.ESRCH, "the caller has exited")
	s.finish(own)
}

func (s *state) finish(own *threadSignals) {
	own.wait.over = true
	s.owe(own.wait.done)
	own.wait = nil
}

// interruptAll: a stop interrupts each thread (kernel: do_signal_stop).
func (s *state) interruptAll(r *row) {
	if r.extra != nil && r.extra.signals != nil && r.extra.signals.self.wait != nil {
		s.interrupt(&r.extra.signals.self)
	}
	for h := r.firstThread; h != nil; h = h.next {
		if h.extra != nil && h.extra.signals.wait != nil {
			s.interrupt(&h.extra.signals)
		}
	}
}
