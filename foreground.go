package axprocess

import (
	"syscall"

	"axprocess/internal/slab"
)

// This file is about a terminal's foreground: who is in it, and what happens to
// those in the background that read, write or take the foreground.
//
// Invariant: a call that is refused, or that is to be tried again, has changed
// nothing but what the signals did.

// Access is what a process that uses its terminal may do.
type Access uint8

// The answers.
const (
	Refused   Access = iota // with an error
	Allowed                 // go on
	Signalled               // its group was sent SIGTTIN or SIGTTOU: try again when the process runs
)

// String returns the answer in lower case.
func (a Access) String() string { return [...]string{"refused", "allowed", "signalled"}[min(a, 2)] }

// background decides about a caller that may be in the background (kernel:
// __tty_check_change). It says Refused where the kernel says EIO.
func (s *state) background(r *row, h *Thread, term *Terminal, sig Signal) Access {
	g := r.process.group.Load()
	u := term.foreground
	if r.terminal() != term || u == nil || !u.over && u.n == g.pgid {
		return Allowed
	}
	if r.ignoresOrBlocks(h, sig) {
		if sig == SIGTTIN {
			return Refused
		}
		return Allowed
	}
	if s.orphaned(g, 0) {
		return Refused
	}
	s.members(g, func(_ slab.Index, member *row) bool {
		s.post(member.process, sig, "a member used the terminal from the background")
		return true
	})
	return Signalled
}

// ignoresOrBlocks is the kernel's is_ignored: the default disposition does not
// count as ignoring, whatever it does.
func (r *row) ignoresOrBlocks(h *Thread, sig Signal) bool {
	if h == nil {
		h = r.firstThread
	}
	if r.maskOf(h)&sig.set() != 0 {
		return true
	}
	return r.does().ignored&sig.set() != 0
}

// ReadTerminal says whether p's leader or first live thread may read from term;
// see Thread.ReadTerminal.
func (p *Process) ReadTerminal(term *Terminal) (Access, error) {
	return p.useTerminal("read terminal", nil, term, SIGTTIN)
}

// ReadTerminal says whether h may read from term. From the background of its own
// terminal its group is sent SIGTTIN, and it is to try again; EIO if h blocks or
// its process ignores SIGTTIN, or the group is orphaned. EINVAL and ESRCH as
// SetTerminal. O(1), O(members) when signalled. (Kernel: job_control.)
func (h *Thread) ReadTerminal(term *Terminal) (Access, error) {
	return h.process.useTerminal("read terminal", h, term, SIGTTIN)
}

// WriteTerminal says whether p's leader or first live thread may write to term;
// see Thread.WriteTerminal.
func (p *Process) WriteTerminal(term *Terminal, tostop bool) (Access, error) {
	return p.writeTerminal(nil, term, tostop)
}

// WriteTerminal says whether h may write to term. Without tostop, the terminal's
// TOSTOP, it always may. With it, from the background of its own terminal, its
// group is sent SIGTTOU, and it is to try again; it may if h blocks or its process
// ignores SIGTTOU; EIO if the group is orphaned. (Kernel: n_tty_write.)
func (h *Thread) WriteTerminal(term *Terminal, tostop bool) (Access, error) {
	return h.process.writeTerminal(h, term, tostop)
}

func (p *Process) writeTerminal(h *Thread, term *Terminal, tostop bool) (Access, error) {
	sig := SIGTTOU
	if !tostop {
		sig = 0
	}
	return p.useTerminal("write terminal", h, term, sig)
}

// useTerminal asks background about sig; 0 asks nothing.
func (p *Process) useTerminal(op string, h *Thread, term *Terminal, sig Signal) (Access, error) {
	s := p.table().enter()
	defer s.leave()
	r, err := s.mayUse(op, p, h, term)
	if err != nil {
		return Refused, err
	}
	if sig == 0 {
		return Allowed, nil
	}
	a := s.background(r, h, term, sig)
	if a == Refused {
		return a, refuse(op, p.pid, syscall.EIO, "group %d is in the background, and %s can't stop it", p.group.Load().pgid, sig)
	}
	s.settle()
	return a, nil
}

// SetForeground is Thread.SetForeground by the leader or first live thread.
func (p *Process) SetForeground(term *Terminal, pgid PID) (Access, error) {
	return p.setForeground(nil, term, pgid)
}

// SetForeground puts group pgid in the foreground of term. From the background
// the caller's group is sent SIGTTOU, and it is to try again, unless h blocks or
// its process ignores that. In this order: ENOTTY from an orphaned group in the
// background, EINVAL for pgid < 0, ENOTTY if term is not the caller's terminal,
// ESRCH if nothing goes by pgid, EPERM if that is of another session. The number
// of a process or thread of the session that names no group is accepted. O(1),
// O(members) when signalled. (tcsetpgrp(3); kernel: tiocspgrp, session_of_pgrp.)
func (h *Thread) SetForeground(term *Terminal, pgid PID) (Access, error) {
	return h.process.setForeground(h, term, pgid)
}

func (p *Process) setForeground(h *Thread, term *Terminal, pgid PID) (Access, error) {
	const op = "set foreground"
	s := p.table().enter()
	defer s.leave()
	r, err := s.mayUse(op, p, h, term)
	if err != nil {
		return Refused, err
	}
	switch a := s.background(r, h, term, SIGTTOU); {
	case a == Refused:
		return a, refuse(op, p.pid, syscall.ENOTTY, "its group is orphaned and in the background")
	case a == Signalled:
		s.settle()
		return a, nil
	case pgid < 0:
		return Refused, refuse(op, p.pid, syscall.EINVAL, "pgid %d is below 0", pgid)
	case r.terminal() != term:
		return Refused, refuse(op, p.pid, syscall.ENOTTY, "it is not the caller's terminal")
	}
	if pgid = s.given(r, pgid); pgid == 0 || !s.numbers.inUse(pgid) {
		return Refused, refuse(op, p.pid, syscall.ESRCH, "nothing goes by the number")
	}
	if v := s.sessionOf(pgid); v != p.group.Load().session {
		return Refused, refuse(op, p.pid, syscall.EPERM, "%d is %s, and not of session %d", pgid, s.roles(pgid), p.group.Load().session.sid)
	}
	s.setForeground(term, pgid)
	s.logTerminal(term.session, "the foreground was set")
	return Allowed, nil
}

// sessionOf is the kernel's session_of_pgrp: a group's session, else that of the
// process or thread of this number; nil for what is a session only.
func (s *state) sessionOf(n PID) *Session {
	if g := s.groups.Get(uint32(n)); g != nil {
		return g.session
	}
	if q := s.find(n); q != nil {
		return q.group.Load().session
	}
	return nil
}

// GetForeground returns the number of the group in the foreground of term; 0 if
// there is none, or p can't see it. It may be a number that nobody goes by any more. ENOTTY if term
// is not p's terminal; EINVAL and ESRCH as SetTerminal. O(1). (tcgetpgrp(3).)
func (p *Process) GetForeground(term *Terminal) (PID, error) {
	return p.askTerminal("get foreground", term, func(_ *state, ns *Namespace) PID { return term.foreground.in(ns) })
}

// TerminalSession returns the number of the session that has term. Errors as
// GetForeground. O(1). (tcgetsid(3).)
func (p *Process) TerminalSession(term *Terminal) (PID, error) {
	return p.askTerminal("terminal session", term, func(s *state, ns *Namespace) PID { return s.sidIn(term.session, ns) })
}

func (p *Process) askTerminal(op string, term *Terminal, answer func(*state, *Namespace) PID) (PID, error) {
	s := p.table().enter()
	defer s.leave()
	r, err := s.mayUse(op, p, nil, term)
	if err != nil {
		return 0, err
	}
	if r.terminal() != term {
		return 0, refuse(op, p.pid, syscall.ENOTTY, "it is not the caller's terminal")
	}
	return answer(s, s.spaceOf(r)), nil
}
