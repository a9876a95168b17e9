package axprocess

import "axprocess/internal/slab"

// This file is about what a signal does.
//
// The default actions are carried out in the model at once: what a signal
// terminates is a zombie, what it stops is stopped, when the operation that sent
// it returns. A signal with a handler stays pending until the embedder takes it
// (take.go).
//
// An operation that sends signals posts them, and delivers them one after the
// other as its last step (settle): the end of one process may send signals to
// others.
//
// Invariant (I17): outside of an operation nothing is posted and undelivered.

// Action is what a signal did to a process.
type Action uint8

// The actions.
const (
	Dropped    Action = iota + 1 // ignored, or the process is past caring
	Pending                      // waits for a handler, a mask, or a continue
	Ended                        // the process is a zombie, or gone if nobody waits for it
	Suspended                    // the process is stopped
	ResumedRun                   // the process was stopped and runs again
	Merged                       // one is pending already: nothing happened
	Accepted                     // a blocked AwaitSignal got it
	Overflowed                   // its queue is full: EAGAIN
)

// String returns the action's name in lower case.
func (a Action) String() string {
	return [...]string{"nothing", "dropped", "pending", "ended", "stopped", "continued", "merged", "accepted",
		"overflowed", "unknown"}[min(a, 9)]
}

// Effect is one signal that reached one process.
type Effect struct {
	Process *Process
	Thread  *Thread // chosen to take it; nil: nobody yet, or the process has no threads
	Signal  Signal
	Action  Action
	Reason  string // why it was sent
}

// posted is a signal on its way.
type posted struct {
	to     *Process
	thread *Thread // who is asked first whether it wants it; nil: the leader
	direct bool    // for that thread alone
	force  bool    // from where an init's immunity does not count
	info   SigInfo
	reason string
}

// post sends a signal as the kernel when the operation comes to its last step.
func (s *state) post(to *Process, sig Signal, reason string) {
	s.todo = append(s.todo, posted{to: to, force: true, info: SigInfo{Signal: sig, Code: SI_KERNEL}, reason: reason})
}

// postChild tells a parent what became of a child (kernel: do_notify_parent,
// do_notify_parent_cldstop). Nearly nobody cares: what would be dropped is not
// posted.
func (s *state) postChild(parent, child *row, info SigInfo, reason string) {
	h := parent.hearer(child)
	if !parent.hears(h, info.Signal) {
		return
	}
	info.PID, info.UID = child.process.pid, child.uid()
	if parent.space != 0 {
		info.PID = s.pidIn(child.process, s.spaceOf(parent))
	}
	s.todo = append(s.todo, posted{to: parent.process, thread: h, info: info, reason: reason})
}

// hearer returns the thread that is told of a child; nil: the process itself.
func (r *row) hearer(child *row) *Thread {
	if child.owner != nil {
		return child.owner
	}
	return r.leader()
}

// hears says whether a signal is more than dropped.
func (r *row) hears(h *Thread, sig Signal) bool {
	return !r.does().ignores(sig) || r.maskOf(h)&sig.set() != 0
}

// leader returns the live thread of the process's number, or nil.
func (r *row) leader() *Thread {
	if h := r.firstThread; h != nil && h.IsLeader() {
		return h
	}
	return nil
}

// settle delivers what is posted, also by the deliveries.
func (s *state) settle() {
	if len(s.todo) > 0 {
		s.deliverAll()
	}
}

func (s *state) deliverAll() {
	for i := 0; i < len(s.todo); i++ {
		m := s.todo[i]
		s.deliver(&m)
	}
	clear(s.todo)
	if s.todo = s.todo[:0]; cap(s.todo) > 64 {
		s.todo = nil
	}
}

func (s *state) effect(m *posted, h *Thread, a Action) {
	if s.record {
		s.effects = append(s.effects, Effect{m.to, h, m.info.Signal, a, m.reason})
	}
	s.announce(m, h, a)
}

// announce tells whoever follows the table what a signal did.
func (s *state) announce(m *posted, h *Thread, a Action) {
	if s.noticing || s.log != nil {
		s.tellOf(m, h, a)
	}
}

func (s *state) tellOf(m *posted, h *Thread, a Action) {
	s.notice(m, h, a)
	s.logSignal(m, h, a)
}

// deliver does what the kernel does between send_signal and get_signal.
func (s *state) deliver(m *posted) {
	a, h := s.hit(m)
	s.effect(m, h, a)
	s.goOn(m, a)
}

// goOn: what a process that is continued was kept from.
func (s *state) goOn(m *posted, a Action) {
	if a == ResumedRun {
		s.makeUp(m.to)
	}
}

func (s *state) makeUp(p *Process) {
	s.actOnAll(p.at)
	if p.State() == Running {
		s.lookAgain(p.at, everyWait)
	}
}

// hit is deliver without telling of it, and without what may be due after it.
func (s *state) hit(m *posted) (Action, *Thread) {
	r := s.row(m.to)
	if r == nil || m.to.State() != Running || !r.alive() {
		return Dropped, nil
	}
	at := m.to.at
	if s.log != nil {
		s.touchedAll(m.to, "a signal")
	}
	if m.info.Signal.set()&(defaultStop|SIGCONT.set()) == 0 || !s.prepare(at, r, m.info.Signal) {
		return s.send(at, r, m)
	}
	_, h := s.send(at, r, m)
	return ResumedRun, h
}

// prepare: a stop signal takes away a pending SIGCONT, and the reverse; SIGCONT
// resumes whatever becomes of it (kernel: prepare_signal).
func (s *state) prepare(at slab.Index, r *row, sig Signal) (continued bool) {
	if sig != SIGCONT {
		r.flush(SIGCONT.set())
		return false
	}
	r.flush(defaultStop)
	return s.proceed(at)
}

// send finds the thread that takes a signal and, if nobody has to be asked, does
// what it does; else it makes it pending (kernel: __send_signal_locked,
// complete_signal).
func (s *state) send(at slab.Index, r *row, m *posted) (Action, *Thread) {
	sig, bit, first := m.info.Signal, m.info.Signal.set(), m.thread
	switch {
	case m.direct && (first == nil && r.flags&flagHadThreads != 0 || first != nil && first.exited.Load()):
		return Dropped, nil // a leader that has exited is found, and does nothing
	case first == nil || first.exited.Load():
		first = r.leader()
	}
	does := r.does()
	if r.maskOf(first)&bit == 0 && s.discards(r, does, sig, m.force) {
		return Dropped, nil
	}
	if sig == SIGKILL {
		s.killNow(at, sig, false)
		return Ended, nil
	}
	there := r.sharedBits()
	if m.direct {
		there = r.reads(first).pending.bits
	}
	if bit&standard&there != 0 {
		return Merged, nil
	}
	h, wanted := r.choose(does, first, m.direct, bit)
	if wanted {
		own := r.reads(h)
		if w := own.wait; w != nil && w.set&bit != 0 && (own.mask&bit != 0 || !does.fatal(sig)) {
			s.accept(own, m.info)
			return Accepted, h
		}
		if does.caught&bit == 0 {
			return s.act(at, r, sig), h
		}
	}
	if !s.enqueue(r, first, m) {
		return Overflowed, nil
	}
	if wanted {
		s.wake(r, h)
		if !m.direct {
			r.sigs().target = h
		}
	}
	return Pending, h
}

// discards says whether an unblocked signal has no effect (kernel:
// sig_task_ignored): an init has none but those it has a handler for; SIGKILL and
// SIGSTOP count when they come from outside its namespace.
func (s *state) discards(r *row, does *actions, sig Signal, force bool) bool {
	bit := sig.set()
	if s.immune(r) && (does.caught|does.ignored)&bit == 0 && (r.process == s.init || !force || bit&unblockable == 0) {
		return true
	}
	return does.ignores(sig)
}

// immune says whether a process is an init, which default actions don't end
// (kernel: SIGNAL_UNKILLABLE).
func (s *state) immune(r *row) bool { return r.flags&flagInit != 0 || r.process == s.init }

// choose finds the thread that takes a signal: first is asked first, then from the
// one that was chosen last on. A thread that was woken and has not taken what for
// is passed over where a handler is to run (kernel: complete_signal,
// wants_signal; whether a thread is on a processor is not known here).
func (r *row) choose(does *actions, first *Thread, direct bool, bit SignalSet) (*Thread, bool) {
	if r.stopped() {
		return nil, false
	}
	handled := does.caught&bit != 0
	if (first != nil || r.firstThread == nil) && r.wants(first, bit, handled) {
		return first, true
	}
	if direct || r.firstThread == nil {
		return nil, false
	}
	var start *Thread
	if r.extra != nil && r.extra.signals != nil {
		start = r.extra.signals.target
	}
	if start == nil {
		start = r.firstThread
	}
	for h := start; ; {
		if r.wants(h, bit, handled) {
			return h, true
		}
		if h = h.next; h == nil {
			h = r.firstThread
		}
		if h == start {
			return nil, false
		}
	}
}

func (r *row) wants(h *Thread, bit SignalSet, handled bool) bool {
	own := r.reads(h)
	mask := own.mask
	if own.wait != nil {
		mask &^= own.wait.set
	}
	return mask&bit == 0 && !(handled && own.woken && r.hasToTake(own))
}

// hasToTake says whether a handler is to run in a thread.
func (r *row) hasToTake(own *threadSignals) bool {
	return (own.pending.bits|r.sharedBits())&r.does().caught&^own.mask != 0
}

// wake notes that a thread has something to take, and interrupts its wait.
func (s *state) wake(r *row, h *Thread) {
	own := r.own(h)
	own.woken = true
	if own.wait != nil {
		s.interrupt(own)
	}
}

// enqueue makes a signal pending, or says that there are too many.
func (s *state) enqueue(r *row, first *Thread, m *posted) bool {
	g := r.sigs()
	set := &g.shared
	if m.direct {
		set = &r.own(first).pending
	}
	sig := m.info.Signal
	if g.queued < s.pendingLimit || sig < SIGRTMIN && m.info.Code >= 0 {
		set.queue = append(set.queue, m.info)
		g.queued++
	} else if sig >= SIGRTMIN && m.info.Code != SI_USER {
		return false
	}
	set.bits |= sig.set()
	return true
}

// act carries out a default action.
func (s *state) act(at slab.Index, r *row, sig Signal) Action {
	switch bit := sig.set(); {
	case s.discards(r, r.does(), sig, true):
		return Dropped
	case bit&defaultStop != 0:
		if sig != SIGSTOP && s.orphaned(r.process.group.Load(), 0) {
			return Dropped
		}
		s.stop(at, sig)
		return Suspended
	default:
		s.killNow(at, sig, bit&defaultCore != 0)
		return Ended
	}
}

// actOnAll is actOn for each thread of a process.
func (s *state) actOnAll(at slab.Index) {
	r := s.rows.At(at)
	if r.extra == nil || r.extra.signals == nil {
		return
	}
	if r.firstThread == nil {
		s.actOn(at, nil)
	}
	for h := r.firstThread; h != nil; h = h.next { // an end clears next
		s.actOn(at, h)
	}
}

// actOn carries out what is pending, let through by a thread, and has no handler:
// its own first, in the order of first (kernel: get_signal).
func (s *state) actOn(at slab.Index, h *Thread) {
	r := s.rows.At(at)
	p := r.process
	s.touchedAll(p, "a signal")
	for p.State() == Running && !r.stopped() && r.extra != nil && r.extra.signals != nil {
		own, does := r.reads(h), r.does()
		through := (own.pending.bits | r.sharedBits()) &^ own.mask
		if w := own.wait; w != nil {
			if info, ok := r.dequeue(h, w.set); ok {
				s.accept(own, info)
				continue
			}
			if through&does.caught != 0 {
				s.interrupt(own)
			}
		}
		info, ok := r.dequeue(h, through&^does.caught)
		if !ok {
			return
		}
		m := posted{to: p, info: info, reason: "it is no longer held back"}
		s.effect(&m, h, s.act(at, r, info.Signal))
	}
}

// dequeue takes the first of some signals that is pending for a thread: its own
// before those that the process shares (kernel: dequeue_signal).
func (r *row) dequeue(h *Thread, which SignalSet) (SigInfo, bool) {
	if r.extra == nil || r.extra.signals == nil {
		return SigInfo{}, false
	}
	g := r.extra.signals
	set := &g.shared
	if r.reads(h).pending.bits&which != 0 {
		set = &r.own(h).pending
	}
	if set.bits&which == 0 {
		return SigInfo{}, false
	}
	before := len(set.queue)
	info := set.take(set.bits & which)
	g.queued -= before - len(set.queue)
	if own := r.reads(h); own.woken {
		own.woken = r.hasToTake(own)
	}
	return info, true
}

// retarget shows what a process shares to other threads when h lets some signals
// through no more, or has exited (kernel: retarget_shared_pending).
func (s *state) retarget(at slab.Index, r *row, h *Thread, which SignalSet) {
	which &= r.sharedBits()
	for other := r.firstThread; other != nil && which != 0; other = other.next {
		own := r.reads(other)
		mask := own.mask
		if own.wait != nil {
			mask &^= own.wait.set
		}
		could := which &^ mask
		if other == h || could == 0 {
			continue
		}
		which &= mask
		if own.wait != nil {
			s.actOn(at, other)
		} else if !own.woken {
			s.wake(r, other)
			m := posted{to: r.process, info: SigInfo{Signal: could.first()}, reason: "another thread lets it through no more"}
			s.effect(&m, other, Pending)
		}
	}
}

// leaveSignals: what was sent to an exiting thread alone is lost; what the process
// shares is shown to others (kernel: exit_signals).
func (s *state) leaveSignals(at slab.Index, r *row, h *Thread) {
	if h.extra != nil && h.extra.signals.wait != nil {
		s.endWait(&h.extra.signals, r.process)
	}
	mask := r.maskOf(h)
	if death := h.parentDeath(); (mask != 0 || death != 0) && h.IsLeader() && r.nthreads > 1 {
		s.touched(r.process, "its leader exited")
		r.sigs().self.mask, r.sigs().parentDeath = mask, death
	}
	if r.extra == nil || r.extra.signals == nil {
		return
	}
	s.touchedAll(r.process, "a thread exited")
	g := r.extra.signals
	if h.extra != nil {
		g.queued -= len(h.extra.signals.pending.queue)
	}
	if g.target == h {
		g.target = h.next // nil: from the first one on
	}
	if r.process.State() == Running {
		s.retarget(at, r, h, ^mask)
	}
}

// endSignals: nothing is pending for what has exited.
func (s *state) endSignals(r *row) {
	if r.extra == nil || r.extra.signals == nil {
		return
	}
	if r.extra.signals.self.wait != nil {
		s.endWait(&r.extra.signals.self, r.process)
	}
	r.extra.signals = nil
	s.touched(r.process, "nothing is pending for what has exited")
}
