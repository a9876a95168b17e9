package axprocess

import (
	"fmt"
	"math/bits"
	"syscall"

	"axprocess/internal/slab"
)

// This file is about signals: whom kill reaches, and what a signal does.
//
// The default actions are carried out in the model at once: what a signal
// terminates is a zombie, what it stops is stopped, when the operation that sent
// it returns. A signal with a handler stays pending until the embedder takes it
// and runs the handler.
//
// An operation that sends signals posts them, and delivers them one after the
// other as its last step (settle): the end of one process may send signals to
// others.
//
// Invariant: outside of an operation nothing is posted and undelivered.

// Signal is a signal's number, as Linux numbers them on x86-64 and arm64.
type Signal int32

// The standard signals.
const (
	SIGHUP Signal = iota + 1
	SIGINT
	SIGQUIT
	SIGILL
	SIGTRAP
	SIGABRT
	SIGBUS
	SIGFPE
	SIGKILL
	SIGUSR1
	SIGSEGV
	SIGUSR2
	SIGPIPE
	SIGALRM
	SIGTERM
	SIGSTKFLT
	SIGCHLD
	SIGCONT
	SIGSTOP
	SIGTSTP
	SIGTTIN
	SIGTTOU
	SIGURG
	SIGXCPU
	SIGXFSZ
	SIGVTALRM
	SIGPROF
	SIGWINCH
	SIGIO
	SIGPWR
	SIGSYS
	SIGRTMIN        // the kernel's first real-time signal; C libraries keep one or two for themselves
	SIGRTMAX Signal = 64
)

var signalNames = [...]string{"0", "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS",
	"SIGFPE", "SIGKILL", "SIGUSR1", "SIGSEGV", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT",
	"SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG", "SIGXCPU", "SIGXFSZ",
	"SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO", "SIGPWR", "SIGSYS"}

// String returns the signal's name, "SIGRTMIN+n" for a real-time one.
func (sig Signal) String() string {
	switch {
	case sig >= 0 && int(sig) < len(signalNames):
		return signalNames[sig]
	case sig == SIGRTMIN:
		return "SIGRTMIN"
	case sig > SIGRTMIN && sig <= SIGRTMAX:
		return fmt.Sprintf("SIGRTMIN+%d", sig-SIGRTMIN)
	}
	return fmt.Sprintf("signal %d", int32(sig))
}

// sigset is a set of signals.
type sigset uint64

func (sig Signal) set() sigset { return 1 << (sig - 1) }

const (
	defaultStop   = sigset(1<<(SIGSTOP-1) | 1<<(SIGTSTP-1) | 1<<(SIGTTIN-1) | 1<<(SIGTTOU-1))
	defaultIgnore = sigset(1<<(SIGCHLD-1) | 1<<(SIGCONT-1) | 1<<(SIGURG-1) | 1<<(SIGWINCH-1))
	defaultCore   = sigset(1<<(SIGQUIT-1) | 1<<(SIGILL-1) | 1<<(SIGTRAP-1) | 1<<(SIGABRT-1) | 1<<(SIGBUS-1) |
		1<<(SIGFPE-1) | 1<<(SIGSEGV-1) | 1<<(SIGXCPU-1) | 1<<(SIGXFSZ-1) | 1<<(SIGSYS-1))
	unblockable = sigset(1<<(SIGKILL-1) | 1<<(SIGSTOP-1))
)

// signals is what a process has of signals once it has changed something.
type signals struct {
	ignored, caught sigset
	pending         sigset // sent to the process and not yet taken
	mask            sigset // of a process without threads
	parentDeath     Signal // likewise
}

// threadSignals is what a thread has of its own.
type threadSignals struct{ mask sigset }

func (g *signals) exec() {
	if g != nil {
		g.caught = 0
	}
}

func (r *row) sigs() *signals {
	x := r.ext()
	if x.signals == nil {
		x.signals = new(signals)
	}
	return x.signals
}

// inherit gives a child its parent's dispositions and the forking thread's mask;
// nothing pending, no parent-death signal (fork(2)).
func (s *state) inherit(child, parent *row, h, forker *Thread) {
	mask := parent.maskOf(forker)
	if parent.extra != nil && parent.extra.signals != nil {
		child.sigs().ignored = parent.extra.signals.ignored
		child.sigs().caught = parent.extra.signals.caught
	}
	switch {
	case mask == 0:
	case h != nil:
		h.ext().signals.mask = mask
	default:
		child.sigs().mask = mask
	}
}

func (r *row) maskOf(h *Thread) sigset {
	switch {
	case h != nil && h.extra != nil:
		return h.extra.signals.mask
	case h == nil && r.extra != nil && r.extra.signals != nil:
		return r.extra.signals.mask
	}
	return 0
}

// blocked returns what no live thread lets through.
func (r *row) blocked() sigset {
	if r.firstThread == nil {
		return r.maskOf(nil)
	}
	all := ^sigset(0)
	for h := r.firstThread; h != nil && all != 0; h = h.next {
		all &= r.maskOf(h)
	}
	return all
}

// Disposition is what a process does on a signal.
type Disposition uint8

// The dispositions of sigaction(2).
const (
	Default Disposition = iota // what signal(7) says
	Ignore
	Handle // it stays pending until TakeSignal
)

// ChildFlags are the flags of sigaction(2) that matter for SIGCHLD.
type ChildFlags uint8

// The flags.
const (
	NoChildStop ChildFlags = 1 << iota // SA_NOCLDSTOP: no SIGCHLD for stops and continues
	NoChildWait                        // SA_NOCLDWAIT: children end without a wait
)

// SetDisposition sets what p does on sig; child applies to SIGCHLD. What is
// ignored from now on is taken from the pending signals. EINVAL if sig is out of
// range, or SIGKILL or SIGSTOP; ESRCH once p has exited. (sigaction(2).)
func (p *Process) SetDisposition(sig Signal, d Disposition, child ChildFlags) error {
	const op = "set disposition"
	if sig <= 0 || sig > SIGRTMAX || sig.set()&unblockable != 0 || d > Handle {
		return refuse(op, p.pid, syscall.EINVAL, "disposition %d of %s", d, sig)
	}
	s := p.table().enter()
	defer s.leave()
	if err := s.mayCall(op, p); err != nil {
		return err
	}
	r := s.row(p)
	g := r.sigs()
	g.ignored &^= sig.set()
	g.caught &^= sig.set()
	switch d {
	case Ignore:
		g.ignored |= sig.set()
	case Handle:
		g.caught |= sig.set()
	}
	if g.ignores(sig) {
		g.pending &^= sig.set()
	}
	if sig == SIGCHLD {
		r.flags &^= flagIgnoresChild | flagNoChildWait | flagNoChildStop
		if d == Ignore {
			r.flags |= flagIgnoresChild
		}
		if child&NoChildWait != 0 {
			r.flags |= flagNoChildWait
		}
		if child&NoChildStop != 0 {
			r.flags |= flagNoChildStop
		}
	}
	return nil
}

func (g *signals) ignores(sig Signal) bool {
	return g.ignored&sig.set() != 0 || g.caught&sig.set() == 0 && defaultIgnore&sig.set() != 0
}

// SetSignalMask sets the signals that h does not let through: bit n-1 is signal
// n; SIGKILL and SIGSTOP can't be among them. What becomes deliverable is
// delivered. ESRCH once h has exited. (pthread_sigmask(3).)
func (h *Thread) SetSignalMask(mask uint64) error { return h.process.setMask(h, sigset(mask)) }

// SetSignalMask is Thread.SetSignalMask for the leader or first live thread, or
// for a process without threads itself.
func (p *Process) SetSignalMask(mask uint64) error { return p.setMask(nil, sigset(mask)) }

func (p *Process) setMask(h *Thread, mask sigset) error {
	const op = "set signal mask"
	s := p.table().enter()
	defer s.leave()
	if err := s.mayWait(op, p, h); err != nil {
		return err
	}
	r := s.row(p)
	if h == nil {
		h = r.firstThread
	}
	mask &^= unblockable
	if h != nil {
		h.ext().signals.mask = mask
	} else {
		r.sigs().mask = mask
	}
	s.drain(p.at)
	s.settle()
	return nil
}

// PendingSignals returns what waits to be taken or let through: bit n-1 is signal
// n. (sigpending(2).)
func (p *Process) PendingSignals() uint64 {
	s := p.table().enter()
	defer s.leave()
	if r := s.row(p); r != nil && r.extra != nil && r.extra.signals != nil {
		return uint64(r.extra.signals.pending)
	}
	return 0
}

// TakeSignal takes the lowest pending signal that h lets through and p handles,
// or returns 0: what the embedder runs a handler for.
func (h *Thread) TakeSignal() Signal { return h.process.takeSignal(h) }

// TakeSignal is Thread.TakeSignal for the leader or first live thread, or for a
// process without threads itself.
func (p *Process) TakeSignal() Signal { return p.takeSignal(nil) }

func (p *Process) takeSignal(h *Thread) Signal {
	s := p.table().enter()
	defer s.leave()
	r := s.row(p)
	if r == nil || r.extra == nil || r.extra.signals == nil || r.stopped() {
		return 0
	}
	if h == nil {
		h = r.firstThread
	}
	g := r.extra.signals
	ready := g.pending & g.caught &^ r.maskOf(h)
	if ready == 0 {
		return 0
	}
	sig := Signal(bits.TrailingZeros64(uint64(ready)) + 1)
	g.pending &^= sig.set()
	return sig
}

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
	if err := s.mayWait(op, p, h); err != nil {
		return err
	}
	r := s.row(p)
	if h == nil {
		h = r.firstThread
	}
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
	if h.extra == nil {
		return 0
	}
	return h.extra.parentDeath
}

// parentDied posts the parent-death signals of a child that has just been passed
// on (kernel: forget_original_parent).
func (s *state) parentDied(child *row) {
	const why = "its parent thread has ended"
	if child.firstThread == nil && child.extra != nil && child.extra.signals != nil {
		if sig := child.extra.signals.parentDeath; sig != 0 {
			s.post(child.process, sig, why)
		}
	}
	for h := child.firstThread; h != nil; h = h.next {
		if h.extra != nil && h.extra.parentDeath != 0 {
			s.post(child.process, h.extra.parentDeath, why)
		}
	}
}

// Action is what a signal did to a process.
type Action uint8

// The actions.
const (
	Dropped    Action = iota + 1 // ignored, or the process is past caring
	Pending                      // waits for a handler, a mask, or a continue
	Ended                        // the process is a zombie, or gone if nobody waits for it
	Suspended                    // the process is stopped
	ResumedRun                   // the process was stopped and runs again
)

// String returns the action's name in lower case.
func (a Action) String() string {
	return [...]string{"nothing", "dropped", "pending", "ended", "stopped", "continued"}[min(a, 5)]
}

// Effect is one signal that reached one process.
type Effect struct {
	Process *Process
	Signal  Signal
	Action  Action
	Reason  string // why it was sent
}

// KillResult says whom a kill reached and what it did.
type KillResult struct {
	Reached []*Process // in the order of the kernel's lists, zombies included
	Effects []Effect   // what was done, in order, to others as a consequence too
}

// Kill sends sig: to process pid, by its number or that of one of its threads; 0:
// to the caller's group; -1: to all but the caller and the init; below: to group
// -pid. Signal 0 only asks. A zombie is reached and nothing happens. ESRCH if
// there is no target, else EINVAL for no such signal; ESRCH when the caller has
// exited. O(targets). (kill(2); semantics 6.1.)
func (p *Process) Kill(pid PID, sig Signal) (KillResult, error) {
	const op = "kill"
	s := p.table().enter()
	defer s.leave()
	if err := s.mayCall(op, p); err != nil {
		return KillResult{}, err
	}
	reached := s.killTargets(p, pid)
	if len(reached) == 0 {
		return KillResult{}, refuse(op, p.pid, syscall.ESRCH, "there is nobody for %d", pid)
	}
	if sig < 0 || sig > SIGRTMAX {
		return KillResult{}, refuse(op, p.pid, syscall.EINVAL, "signal %d is not in 0…%d", sig, SIGRTMAX)
	}
	if sig == 0 {
		return KillResult{Reached: reached}, nil
	}
	for _, q := range reached {
		s.todo = append(s.todo, posted{q, sig, "kill"})
	}
	s.record = true
	s.settle()
	s.record = false
	effects := s.effects
	s.effects = nil
	return KillResult{reached, effects}, nil
}

func (s *state) killTargets(p *Process, pid PID) []*Process {
	var to []*Process
	switch {
	case pid > 0:
		if q := s.find(pid); q != nil {
			to = append(to, q)
		}
	case pid == -1:
		for _, q := range s.procs.All() {
			if q != p && q != s.init {
				to = append(to, q)
			}
		}
	default:
		g := p.group.Load()
		if pid < 0 && pid != -1<<31 {
			g = s.groups.Get(uint32(-pid))
		} else if pid < 0 {
			g = nil
		}
		if g != nil {
			s.members(g, func(_ slab.Index, r *row) bool {
				to = append(to, r.process)
				return true
			})
		}
	}
	return to
}

// posted is a signal on its way.
type posted struct {
	to     *Process
	sig    Signal
	reason string
}

// post sends a signal when the operation comes to its last step.
func (s *state) post(to *Process, sig Signal, reason string) {
	if sig == SIGCHLD {
		// Nearly nobody handles it: what would be dropped is not posted.
		x := s.rows.At(to.at).extra
		if x == nil || x.signals == nil || x.signals.ignores(sig) {
			return
		}
	}
	s.todo = append(s.todo, posted{to, sig, reason})
}

// settle delivers what is posted, also by the deliveries.
func (s *state) settle() {
	for i := 0; i < len(s.todo); i++ {
		m := s.todo[i]
		if r := s.row(m.to); r != nil {
			s.deliver(m.to.at, r, m)
		} else {
			s.effect(m, Dropped)
		}
	}
	if len(s.todo) > 0 {
		clear(s.todo)
		if s.todo = s.todo[:0]; cap(s.todo) > 64 {
			s.todo = nil
		}
	}
}

func (s *state) effect(m posted, a Action) {
	if s.record {
		s.effects = append(s.effects, Effect{m.to, m.sig, a, m.reason})
	}
	s.notice(m, a)
}

// deliver does what the kernel does between send_signal and get_signal.
func (s *state) deliver(at slab.Index, r *row, m posted) {
	p, sig := r.process, m.sig
	if p.State() != Running || !r.alive() {
		s.effect(m, Dropped)
		return
	}
	g := &signals{}
	if r.extra != nil && r.extra.signals != nil {
		g = r.extra.signals
	}
	if sig.set()&defaultStop != 0 {
		g.pending &^= SIGCONT.set()
	}
	continued := false
	if sig == SIGCONT {
		g.pending &^= defaultStop
		continued = s.proceed(at)
	}
	action := Pending
	switch blocked := r.blocked()&sig.set() != 0; {
	case p == s.init && g.caught&sig.set() == 0 && (!blocked || sig.set()&unblockable != 0):
		action = Dropped
	case sig == SIGKILL:
		s.killNow(at, sig, false)
		action = Ended
	case !blocked && g.ignores(sig):
		action = Dropped
	default:
		r.sigs().pending |= sig.set()
	}
	if continued {
		s.effect(m, ResumedRun)
	} else if action != Pending {
		s.effect(m, action)
	}
	if action == Ended {
		return
	}
	done := s.drain(at)
	if action == Pending && !continued {
		if done[sig] == 0 {
			done[sig] = Pending
		}
	}
	for sig, a := range done {
		if a != 0 {
			s.effect(posted{p, Signal(sig), m.reason}, a)
		}
	}
}

// drain carries out the default actions of what is pending and let through,
// lowest number first (kernel: get_signal), and says what it did.
func (s *state) drain(at slab.Index) (done [SIGRTMAX + 1]Action) {
	r := s.rows.At(at)
	if r.extra == nil || r.extra.signals == nil || r.process.State() != Running {
		return done
	}
	g := r.extra.signals
	for !r.stopped() {
		ready := g.pending &^ g.caught &^ (r.blocked() &^ unblockable)
		if ready == 0 {
			return done
		}
		sig := Signal(bits.TrailingZeros64(uint64(ready)) + 1)
		g.pending &^= sig.set()
		switch bit := sig.set(); {
		case g.ignores(sig) || r.process == s.init:
			done[sig] = Dropped
		case bit&defaultStop != 0:
			if sig != SIGSTOP && s.orphaned(r.process.group.Load(), 0) {
				done[sig] = Dropped
				continue
			}
			s.stop(at, sig)
			done[sig] = Suspended
		default:
			s.killNow(at, sig, bit&defaultCore != 0)
			done[sig] = Ended
			return done
		}
	}
	return done
}
