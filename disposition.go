package axprocess

import "syscall"

// This file is about dispositions: what a process does on a signal.
//
// A fork shares its parent's dispositions until one of the two changes one, so it
// costs nothing to inherit them.
//
// Invariants:
//   - a value of type actions that a process refers to is never written again;
//   - SIGKILL and SIGSTOP have no disposition but the default;
//   - flagIgnoresChild says whether SIGCHLD is ignored (I15).

// Disposition is what a process does on a signal.
type Disposition uint8

// The dispositions of sigaction(2).
const (
	Default Disposition = iota // what signal(7) says
	Ignore
	Handle // it stays pending until it is taken; see take.go
)

// String returns the disposition in lower case.
func (d Disposition) String() string {
	return [...]string{"default", "ignore", "handle", "unknown"}[min(d, 3)]
}

// ActionFlags change what a signal does. Linux's values.
type ActionFlags uint32

// The flags of sigaction(2) that matter to a process table; the first two with
// SIGCHLD only.
const (
	NoChildStop  ActionFlags = 0x00000001 // SA_NOCLDSTOP: no SIGCHLD for stops and continues
	NoChildWait  ActionFlags = 0x00000002 // SA_NOCLDWAIT: children end without a wait
	NoDefer      ActionFlags = 0x40000000 // SA_NODEFER: its handler does not block the signal itself
	ResetHandler ActionFlags = 0x80000000 // SA_RESETHAND: the default again once the handler begins
	allActions               = NoChildStop | NoChildWait | NoDefer | ResetHandler
)

// SignalAction is a process's whole disposition of one signal (struct sigaction).
type SignalAction struct {
	Disposition Disposition
	Flags       ActionFlags
	Mask        SignalSet // also blocked while the handler runs (sa_mask)
}

// actions is what a process does on signals, but for the default of all.
type actions struct {
	ignored, caught SignalSet
	resets, defers  SignalSet            // ResetHandler; caught without NoDefer
	masks           *[SIGRTMAX]SignalSet // sa_mask of signal n at n-1; nil: all empty; never written
}

var defaultActions actions

// does returns a process's dispositions, to be read only. A snapshot needs them.
func (r *row) does() *actions {
	if r.extra == nil || r.extra.actions == nil {
		return &defaultActions
	}
	return r.extra.actions
}

// ignores says whether an unblocked sig does nothing.
func (a *actions) ignores(sig Signal) bool {
	bit := sig.set()
	return a.ignored&bit != 0 || a.caught&bit == 0 && defaultIgnore&bit != 0
}

// fatal says whether an unblocked sig ends the process (kernel: sig_fatal).
func (a *actions) fatal(sig Signal) bool {
	return (a.ignored|a.caught|defaultIgnore|defaultStop)&sig.set() == 0
}

// with returns a copy in which sig has another action.
func (a *actions) with(sig Signal, action SignalAction) *actions {
	c, bit := *a, sig.set()
	c.ignored, c.caught, c.resets, c.defers = c.ignored&^bit, c.caught&^bit, c.resets&^bit, c.defers&^bit
	switch action.Disposition {
	case Ignore:
		c.ignored |= bit
	case Handle:
		c.caught |= bit
		if action.Flags&NoDefer == 0 {
			c.defers |= bit
		}
	}
	if action.Flags&ResetHandler != 0 {
		c.resets |= bit
	}
	if mask := action.Mask &^ unblockable; mask != c.handlerMask(sig) {
		masks := new([SIGRTMAX]SignalSet)
		if c.masks != nil {
			*masks = *c.masks
		}
		masks[sig-1] = mask
		c.masks = masks
	}
	return &c
}

func (a *actions) handlerMask(sig Signal) SignalSet {
	if a.masks == nil {
		return 0
	}
	return a.masks[sig-1]
}

// whileHandling returns what the handler of sig blocks.
func (a *actions) whileHandling(sig Signal) SignalSet { return a.handlerMask(sig) | a.defers&sig.set() }

// SetAction sets what p does on sig, and returns what it did. What is ignored from
// now on is taken from the pending signals, blocked or not. EINVAL if sig is out of
// range, SIGKILL or SIGSTOP, or the action is none; ESRCH once p has exited.
// O(threads). (sigaction(2); kernel: do_sigaction.)
func (p *Process) SetAction(sig Signal, action SignalAction) (SignalAction, error) {
	const op = "set action"
	if sig <= 0 || sig > SIGRTMAX || sig.set()&unblockable != 0 || action.Disposition > Handle || action.Flags&^allActions != 0 {
		return SignalAction{}, refuse(op, p.pid, syscall.EINVAL, "disposition %d with flags %#x of %s", action.Disposition, uint32(action.Flags), sig)
	}
	s := p.table().enter()
	defer s.leave()
	r, err := s.caller(op, p)
	if err != nil {
		return SignalAction{}, err
	}
	old := r.action(sig)
	s.touchedAll(p, "a disposition")
	r.ext().actions = r.does().with(sig, action)
	if sig == SIGCHLD {
		r.flags &^= flagIgnoresChild | flagNoChildWait | flagNoChildStop
		if action.Disposition == Ignore {
			r.flags |= flagIgnoresChild
		}
		if action.Flags&NoChildWait != 0 {
			r.flags |= flagNoChildWait
		}
		if action.Flags&NoChildStop != 0 {
			r.flags |= flagNoChildStop
		}
	}
	if r.does().ignores(sig) {
		r.flush(sig.set())
	}
	s.actOnAll(p.at)
	s.settle()
	return old, nil
}

// SetDisposition is SetAction for those who need neither the mask nor the old
// action.
func (p *Process) SetDisposition(sig Signal, d Disposition, flags ActionFlags) error {
	_, err := p.SetAction(sig, SignalAction{Disposition: d, Flags: flags})
	return err
}

// Action returns what p does on sig. EINVAL if sig is out of range, ESRCH once p
// is freed. One lock pair. (sigaction(2) without a new action.)
func (p *Process) Action(sig Signal) (SignalAction, error) {
	const op = "action"
	if sig <= 0 || sig > SIGRTMAX {
		return SignalAction{}, refuse(op, p.pid, syscall.EINVAL, "signal %d is not in 1…%d", sig, SIGRTMAX)
	}
	s := p.table().enter()
	defer s.leave()
	r := s.row(p)
	if r == nil {
		return SignalAction{}, refuse(op, p.pid, syscall.ESRCH, reasonFreed)
	}
	return r.action(sig), nil
}

func (r *row) action(sig Signal) SignalAction {
	a, bit := r.does(), sig.set()
	out := SignalAction{Mask: a.handlerMask(sig)}
	switch {
	case a.ignored&bit != 0:
		out.Disposition = Ignore
	case a.caught&bit != 0:
		out.Disposition = Handle
		if a.defers&bit == 0 {
			out.Flags |= NoDefer
		}
	}
	if a.resets&bit != 0 {
		out.Flags |= ResetHandler
	}
	if sig == SIGCHLD {
		if r.flags&flagNoChildWait != 0 {
			out.Flags |= NoChildWait
		}
		if r.flags&flagNoChildStop != 0 {
			out.Flags |= NoChildStop
		}
	}
	return out
}

// inherit gives a child its parent's dispositions and credentials and the forking
// thread's mask; nothing pending, no parent-death signal (fork(2)).
func (s *state) inherit(child, parent *row, h, forker *Thread) {
	if x := parent.extra; x != nil {
		if x.actions != nil {
			child.ext().actions = x.actions
		}
		if x.creds != (Credentials{}) {
			child.ext().creds = x.creds
		}
	}
	if mask := parent.maskOf(forker); mask != 0 {
		child.own(h).mask = mask
	}
}

// forgetHandlers is exec: what is caught goes back to its default, what is ignored
// stays, flags and masks are gone (kernel: flush_signal_handlers).
func (r *row) forgetHandlers() {
	if r.extra != nil && r.extra.actions != nil {
		ignored := r.extra.actions.ignored
		if r.extra.actions = nil; ignored != 0 {
			r.extra.actions = &actions{ignored: ignored}
		}
	}
	r.flags &^= flagNoChildWait | flagNoChildStop
}
