package axprocess

import "syscall"

// This file is about sessions: how they begin and end.
//
// Invariant: a session has a group or has ended; one that has ended is in no list
// and holds nothing but the table (I8).

// Session is a session: from the operation that makes it until its last group
// ends.
type Session struct {
	table       *Table
	id          uint64
	sid         PID
	number      PID           // in space
	first, last *ProcessGroup // oldest first
	n           int32
	live        bool
	space       *Namespace // of the process whose number it took; nil: the table's own
	terminal    *Terminal
	hungUp      *numberUse // the foreground of the terminal that it lost by a hang-up, for its leader's exit
}

// SID returns its number. No lock.
func (v *Session) SID() PID { return v.sid }

// ID returns its unique id: never reused in the table's life. No lock.
func (v *Session) ID() uint64 { return v.id }

// ProcessGroups returns its groups, oldest first; none once it has ended.
// O(groups) under the lock.
func (v *Session) ProcessGroups() []*ProcessGroup {
	return listed(v.table, func(*state) int { return int(v.n) }, func(_ *state, to []*ProcessGroup) []*ProcessGroup {
		for g := v.first; g != nil; g = g.next {
			to = append(to, g)
		}
		return to
	})
}

// Leader returns the process that the session is named after, zombie or not, or
// nil when it is gone. One lock pair.
func (v *Session) Leader() *Process {
	s := v.table.enter()
	defer s.leave()
	if p := s.procs.Get(uint32(v.sid)); p != nil && p.group.Load().session == v {
		return p
	}
	return nil
}

func (s *state) openSession(v *Session, n PID) {
	v.id, v.sid = s.newID(), n
	v.live = true
	s.sessions.Set(uint32(n), v)
	s.reserveName(n)
	s.logSession(EventSessionMade, v)
}

func (s *state) closeSession(v *Session) {
	v.live = false
	s.sessions.Set(uint32(v.sid), nil)
	s.vacate(v.sid, v.space, v.number)
	s.logSession(EventSessionEnded, v)
}

// CreateSession makes a session and in it a group, both of p's number, and moves
// p there. EPERM if p leads a session or any group goes by its number, also one
// that it has left; ESRCH if p has exited. Two allocations; O(1). (setsid(2);
// kernel: ksys_setsid.)
func (p *Process) CreateSession() (*Session, *ProcessGroup, error) {
	const op = "create session"
	v := &Session{}
	g := &ProcessGroup{session: v}
	s := p.table().enter()
	err := s.createSession(op, p, v, g)
	s.leave()
	if err != nil {
		return nil, nil, err
	}
	return v, g, nil
}

func (s *state) createSession(op string, p *Process, v *Session, g *ProcessGroup) *Error {
	r, err := s.caller(op, p)
	if err != nil {
		return err
	}
	if p.group.Load().session.sid == p.pid {
		return refuse(op, p.pid, syscall.EPERM, "it leads session %d", p.pid)
	}
	if s.groups.Get(uint32(p.pid)) != nil {
		return refuse(op, p.pid, syscall.EPERM, "group %d exists", p.pid)
	}
	v.table = s.table
	r.flags &^= flagTerminal // setsid: proc_clear_tty
	s.touched(p, "it has a session of its own")
	v.space, v.number = s.nested(r), r.number
	g.space, g.number = v.space, v.number
	s.openSession(v, p.pid)
	s.openGroup(g, p.pid, p.id)
	s.move(p.at, g)
	return nil
}

// Setsid is CreateSession in POSIX's words: it returns the session's number, the
// caller's pid, as the caller sees it. EPERM and ESRCH as there. (setsid(2); semantics 4.1.)
func (p *Process) Setsid() (PID, error) {
	v, _, err := p.CreateSession()
	if err != nil {
		return 0, err
	}
	if v.space != nil {
		return v.number, nil // p's own
	}
	return v.sid, nil
}
