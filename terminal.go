package axprocess

import (
	"syscall"

	"axprocess/internal/slab"
)

// This file is about terminals: which session has one, who is in its foreground,
// who may read and write. The embedder moves the bytes.
//
// A session has a terminal, but not each of its processes: one that was forked
// before the leader took the terminal has none, and TIOCNOTTY gives it up for the
// caller alone. So a process has a flag (kernel: signal_struct.tty).
//
// Invariants (I14):
//   - a session has one terminal at most, a terminal one session, and each refers
//     to the other;
//   - a process that has a terminal has its session's;
//   - the foreground means what its number meant when it was set: when the number
//     is given back, it means nobody, whoever goes by the number later.

// Terminal is a terminal that a session can have: from NewTerminal until nobody
// refers to it. All that a terminal does to processes comes from a call here.
type Terminal struct {
	table      *Table
	id         uint64
	data       any
	session    *Session
	foreground *numberUse
}

// numberUse is a number as one struct pid of the kernel's: it stays what it was
// when the number is given again.
type numberUse struct {
	n    PID
	over bool // nothing goes by it any more

	space *Namespace // of what went by it, nil for the table's own; and its numbers from level 1 down to there
	below []PID
}

// NewTerminal makes a terminal that no session has yet, to carry data of the
// caller's. One allocation; O(1).
func (t *Table) NewTerminal(data any) *Terminal {
	term := &Terminal{table: t, data: data}
	s := t.enter()
	defer s.leave()
	term.id = s.newID()
	s.logTerminalMade(term)
	return term
}

// ID returns its unique id: never reused in the table's life. No lock.
func (term *Terminal) ID() uint64 { return term.id }

// Data returns what NewTerminal was given. No lock.
func (term *Terminal) Data() any { return term.data }

// Session returns the session that has it, or nil. One lock pair.
func (term *Terminal) Session() *Session {
	s := term.table.enter()
	defer s.leave()
	return term.session
}

// Foreground returns the number of its foreground group, as the terminal's other
// end sees it (TIOCGPGRP on a pty's master); 0 if it has none. One lock pair.
func (term *Terminal) Foreground() PID {
	s := term.table.enter()
	defer s.leave()
	return term.foreground.number()
}

// in returns the number as ns sees it, 0 if it has none there.
func (u *numberUse) in(ns *Namespace) PID {
	switch {
	case u == nil || ns.level == 0:
		return u.number()
	case u.space == nil || !u.space.isIn(ns):
		return 0
	}
	return u.below[ns.level-1]
}

func (u *numberUse) number() PID {
	if u == nil {
		return 0
	}
	return u.n
}

// Terminal returns the session's terminal, or nil. One lock pair.
func (v *Session) Terminal() *Terminal {
	s := v.table.enter()
	defer s.leave()
	return v.terminal
}

// Terminal returns p's controlling terminal, or nil. One lock pair.
func (p *Process) Terminal() *Terminal {
	s := p.table().enter()
	defer s.leave()
	if r := s.row(p); r != nil {
		return r.terminal()
	}
	return nil
}

func (r *row) terminal() *Terminal {
	if r.flags&flagTerminal == 0 {
		return nil
	}
	return r.process.group.Load().session.terminal
}

// leads says whether a process leads its session.
func (p *Process) leads() bool { return p.group.Load().session.sid == p.pid }

// SetTerminal makes term the controlling terminal of the session that p leads,
// with p's group in the foreground; nothing happens if it is already. EPERM if p
// leads no session, has a terminal, or another session has term and force is
// false; with force that session loses it, and none of its processes is told.
// EINVAL if term is nil or of another table; ESRCH once p has exited. O(1);
// O(processes of the other session) with force. (TIOCSCTTY; kernel: tiocsctty.)
func (p *Process) SetTerminal(term *Terminal, force bool) error {
	const op = "set terminal"
	s := p.table().enter()
	defer s.leave()
	r, err := s.mayUse(op, p, nil, term)
	if err != nil {
		return err
	}
	v := p.group.Load().session
	switch {
	case p.leads() && term.session == v:
		return nil
	case !p.leads():
		return refuse(op, p.pid, syscall.EPERM, "it leads no session")
	case r.terminal() != nil:
		return refuse(op, p.pid, syscall.EPERM, "it has a terminal")
	case term.session != nil && !force:
		return refuse(op, p.pid, syscall.EPERM, "session %d has the terminal", term.session.sid)
	case term.session != nil:
		s.clearTerminal(term.session)
	}
	s.giveTerminal(r, term)
	return nil
}

// OpenTerminal does what opening a terminal without O_NOCTTY does: it becomes p's
// controlling terminal if p leads a session without one and no session has it.
// It says whether that happened. Errors as SetTerminal's, but never EPERM.
// (Kernel: tty_open_proc_set_tty.)
func (p *Process) OpenTerminal(term *Terminal) (taken bool, err error) {
	s := p.table().enter()
	defer s.leave()
	r, refused := s.mayUse("open terminal", p, nil, term)
	if refused != nil {
		return false, refused
	}
	if !p.leads() || r.terminal() != nil || term.session != nil {
		return false, nil
	}
	s.giveTerminal(r, term)
	return true, nil
}

// mayUse refuses callers that can't act, and terminals that there can't be.
func (s *state) mayUse(op string, p *Process, h *Thread, term *Terminal) (*row, *Error) {
	r, err := s.callerThread(op, p, h)
	if err != nil {
		return nil, err
	}
	if term == nil || term.table != s.table {
		return nil, refuse(op, p.pid, syscall.EINVAL, "no terminal, or one of another table, is given")
	}
	return r, nil
}

// giveTerminal is the kernel's __proc_set_tty.
func (s *state) giveTerminal(r *row, term *Terminal) {
	g := r.process.group.Load()
	s.setForeground(term, g.pgid)
	term.session, g.session.terminal, g.session.hungUp = g.session, term, nil
	r.flags |= flagTerminal
	s.touched(r.process, "it took a terminal")
	s.logTerminal(g.session, "its leader took the terminal")
}

// clearTerminal takes its terminal from a session and its processes (kernel:
// session_clear_tty).
func (s *state) clearTerminal(v *Session) {
	term := v.terminal
	if term == nil {
		return
	}
	s.sessionMembers(v, func(_ slab.Index, r *row) {
		r.flags &^= flagTerminal
		s.touched(r.process, "its session gave up the terminal")
	})
	s.setForeground(term, 0)
	term.session, v.terminal = nil, nil
	s.logTerminal(v, "it gave up the terminal")
}

func (s *state) sessionMembers(v *Session, do func(slab.Index, *row)) {
	for g := v.first; g != nil; g = g.next {
		s.members(g, func(at slab.Index, r *row) bool {
			do(at, r)
			return true
		})
	}
}

// setForeground names the group in the foreground, 0 for none.
func (s *state) setForeground(term *Terminal, n PID) {
	term.foreground = nil
	if n != 0 {
		term.foreground = s.use(n)
	}
}

// use returns the present use of a number.
func (s *state) use(n PID) *numberUse {
	u := s.uses[n]
	if u == nil {
		if s.uses == nil {
			s.uses = map[PID]*numberUse{}
		}
		u = &numberUse{n: n}
		if ns, nr := s.holder(n); ns != nil {
			u.space, u.below = ns, ns.chain(nr)
		}
		s.uses[n] = u
	}
	return u
}

// useEnds: a number that is given back means something else from now on.
func (s *state) useEnds(n PID) {
	if u := s.uses[n]; u != nil {
		u.over = true
		delete(s.uses, n)
		s.logVacated(n)
	}
}

// GiveUpTerminal gives up p's controlling terminal. If p leads its session, the
// whole session loses it, and the foreground group is sent SIGHUP and SIGCONT.
// ENOTTY if term is not p's terminal; EINVAL and ESRCH as SetTerminal. O(1), or
// O(processes of the session). (TIOCNOTTY; kernel: no_tty, disassociate_ctty.)
func (p *Process) GiveUpTerminal(term *Terminal) error {
	const op = "give up terminal"
	s := p.table().enter()
	defer s.leave()
	r, err := s.mayUse(op, p, nil, term)
	if err != nil {
		return err
	}
	if r.terminal() != term {
		return refuse(op, p.pid, syscall.ENOTTY, "it is not the caller's terminal")
	}
	if p.leads() {
		const why = "the session's leader gave up the terminal"
		s.postForeground(term.foreground, p, SIGHUP, why)
		s.postForeground(term.foreground, p, SIGCONT, why)
		s.clearTerminal(p.group.Load().session)
	}
	r.flags &^= flagTerminal
	s.touched(p, "it gave up the terminal")
	s.settle()
	return nil
}

// leaderExits: SIGHUP to the foreground group, and the session's terminal is
// given up; on a pty no SIGCONT comes with it. Where the terminal has hung up
// before, the group that was in its foreground then gets both (kernel:
// disassociate_ctty on exit).
func (s *state) leaderExits(v *Session) {
	const why = "the session's leader has exited"
	switch {
	case v.terminal != nil:
		s.postForeground(v.terminal.foreground, nil, SIGHUP, why)
		s.clearTerminal(v)
	case v.hungUp != nil:
		s.postForeground(v.hungUp, nil, SIGHUP, why)
		s.postForeground(v.hungUp, nil, SIGCONT, why)
	}
	v.hungUp = nil
	s.logTerminal(v, "its leader exited")
}

// postForeground sends a signal to each member of the group that u means, from a
// process or, without one, from the kernel.
func (s *state) postForeground(u *numberUse, from *Process, sig Signal, why string) {
	if u == nil || u.over {
		return
	}
	if g := s.groups.Get(uint32(u.n)); g != nil {
		s.members(g, func(_ slab.Index, r *row) bool {
			if from == nil {
				s.post(r.process, sig, why)
			} else {
				s.postFrom(from, r, nil, sig, why)
			}
			return true
		})
	}
}

// Hangup is the end of the connection: the session loses the terminal, its leader
// is sent SIGHUP and SIGCONT. When that leader exits, the group in the foreground
// now is sent both too. O(processes of the session). (vhangup(2), closing a pty's
// master; kernel: tty_signal_session_leader.)
func (term *Terminal) Hangup() {
	s := term.table.enter()
	defer s.leave()
	v := term.session
	if v == nil {
		return
	}
	const why = "the terminal has hung up"
	foreground := term.foreground
	s.clearTerminal(v)
	if leader := s.procs.Get(uint32(v.sid)); leader != nil && leader.group.Load().session == v {
		s.post(leader, SIGHUP, why)
		s.post(leader, SIGCONT, why)
		v.hungUp = foreground
		s.logTerminal(v, "the terminal hung up")
	}
	s.settle()
}

// Signal sends a signal to the foreground group, as the terminal does for ctrl-C
// (SIGINT), ctrl-\ (SIGQUIT), ctrl-Z (SIGTSTP) and a new window size (SIGWINCH).
// Nobody in the foreground: nothing happens. EINVAL if sig is out of range.
// O(members). (Kernel: isig.)
func (term *Terminal) Signal(sig Signal) error {
	if sig <= 0 || sig > SIGRTMAX {
		return refuse("terminal signal", 0, syscall.EINVAL, "signal %d is not in 1…%d", sig, SIGRTMAX)
	}
	s := term.table.enter()
	defer s.leave()
	s.postForeground(term.foreground, nil, sig, "typed at the terminal")
	s.settle()
	return nil
}
