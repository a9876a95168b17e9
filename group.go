package axprocess

import (
	"syscall"

	"axprocess/internal/slab"
)

// This file is about process groups: how they begin, who is in them, how a
// process moves, when they end.
//
// Invariants:
//   - a group has a member or has ended; zombies are members (I7);
//   - a group that has ended is in no list, has no member, and holds nothing but
//     its session;
//   - a group's session never changes, and its members are all of that session.

// ProcessGroup is a process group: from the operation that makes it until its
// last member leaves.
type ProcessGroup struct {
	session     *Session
	id          uint64
	founder     uint64 // unique id of the process whose number it took
	pgid        PID
	first, last slab.Index // members in the order of joining
	n           int32
	stopped     int32         // members that are stopped
	number      PID           // in space
	space       *Namespace    // of the process whose number it took; nil: the table's own
	prev, next  *ProcessGroup // in the session's list
	live        bool
}

// PGID returns its number. No lock.
func (g *ProcessGroup) PGID() PID { return g.pgid }

// ID returns its unique id: never reused in the table's life. No lock.
func (g *ProcessGroup) ID() uint64 { return g.id }

// Session returns its session, also when both have ended. No lock.
func (g *ProcessGroup) Session() *Session { return g.session }

// Processes returns its members, zombies included, in the order in which they
// joined; none once it has ended. O(members) under the lock.
func (g *ProcessGroup) Processes() []*Process {
	return listed(g.session.table, func(*state) int { return int(g.n) }, func(s *state, to []*Process) []*Process {
		s.members(g, func(_ slab.Index, r *row) bool {
			to = append(to, r.process)
			return true
		})
		return to
	})
}

// Leader returns the member that the group is named after, or nil if it has
// ended or left. One lock pair.
func (g *ProcessGroup) Leader() *Process {
	s := g.session.table.enter()
	defer s.leave()
	if p := s.procs.Get(uint32(g.pgid)); p != nil && p.group.Load() == g {
		return p
	}
	return nil
}

// IsOrphaned says whether no member has a parent in another group of the same
// session (POSIX XBD 3.243; kernel: will_become_orphaned_pgrp: exited members
// and children of the init don't count). False once it has ended. O(members).
func (g *ProcessGroup) IsOrphaned() bool {
	s := g.session.table.enter()
	defer s.leave()
	return g.live && s.orphaned(g, 0)
}

// orphaned is IsOrphaned as it will be without the member ignored.
func (s *state) orphaned(g *ProcessGroup, ignored slab.Index) bool {
	return s.members(g, func(at slab.Index, r *row) bool {
		if at == ignored || r.process.State() == Zombie || r.parent == 0 {
			return true
		}
		return !s.anchors(g, s.rows.At(r.parent).process)
	})
}

// anchors says whether a member's parent keeps the group from being orphaned.
func (s *state) anchors(g *ProcessGroup, parent *Process) bool {
	pg := parent.group.Load()
	return parent != s.init && pg != g && pg.session == g.session
}

// members calls do for each member until it says false, and says whether it
// never did.
func (s *state) members(g *ProcessGroup, do func(slab.Index, *row) bool) bool {
	for at := g.first; at != 0; {
		r := s.rows.At(at)
		next := r.nextMember
		if !do(at, r) {
			return false
		}
		at = next
	}
	return true
}

// openGroup enters a new group, still without a member, into its session.
func (s *state) openGroup(g *ProcessGroup, n PID, founder uint64) {
	g.id, g.pgid, g.founder = s.newID(), n, founder
	s.revive(g)
}

// revive enters a group, new or once ended, into its session and the table.
func (s *state) revive(g *ProcessGroup) {
	s.enterGroup(g)
	s.logGroup(EventGroupMade, g, "")
}

func (s *state) enterGroup(g *ProcessGroup) {
	v := g.session
	g.prev, g.next = v.last, nil
	if v.last == nil {
		v.first = g
	} else {
		v.last.next = g
	}
	v.last = g
	v.n++
	g.live = true
	s.groups.Set(uint32(g.pgid), g)
	s.reserveName(g.pgid)
}

// join makes a process the last member of a group.
func (s *state) join(at slab.Index, r *row, g *ProcessGroup) {
	r.prevMember, r.nextMember = g.last, 0
	if g.last == 0 {
		g.first = at
	} else {
		s.rows.At(g.last).nextMember = at
	}
	g.last = at
	g.n++
	if r.stopped() {
		g.stopped++
	}
	r.process.group.Store(g)
}

// quit takes a process out of its group; the group ends with its last member, the
// session with its last group (semantics 3.10).
func (s *state) quit(r *row) {
	g := r.process.group.Load()
	if r.prevMember == 0 {
		g.first = r.nextMember
	} else {
		s.rows.At(r.prevMember).nextMember = r.nextMember
	}
	if r.nextMember == 0 {
		g.last = r.prevMember
	} else {
		s.rows.At(r.nextMember).prevMember = r.prevMember
	}
	r.prevMember, r.nextMember = 0, 0
	g.n--
	if r.stopped() {
		g.stopped--
	}
	if g.n == 0 {
		s.closeGroup(g)
	}
}

func (s *state) closeGroup(g *ProcessGroup) {
	v := g.session
	if g.prev == nil {
		v.first = g.next
	} else {
		g.prev.next = g.next
	}
	if g.next == nil {
		v.last = g.prev
	} else {
		g.next.prev = g.prev
	}
	g.prev, g.next = nil, nil
	g.live = false
	s.groups.Set(uint32(g.pgid), nil)
	s.logGroup(EventGroupEnded, g, "")
	v.n--
	if v.n == 0 {
		s.closeSession(v)
	}
	s.vacate(g.pgid, g.space, g.number)
}

// move takes a process from its group to another.
func (s *state) move(at slab.Index, g *ProcessGroup) {
	r := s.rows.At(at)
	p := r.process
	s.logMoved(p, p.group.Load(), g)
	s.quit(r)
	s.join(at, r, g)
	s.missZombie(r, g)
}

// CreateGroup makes a group of p's own number in p's session and moves p there.
// EPERM if p leads its session or its group, or a group that it has left still
// goes by its number; ESRCH once p is freed. A zombie can be moved, as by
// setpgid(2). One allocation; O(1).
func (p *Process) CreateGroup() (*ProcessGroup, error) {
	const op = "create group"
	g := &ProcessGroup{}
	s := p.table().enter()
	err := s.createGroup(op, p, g)
	s.leave()
	if err != nil {
		return nil, err
	}
	return g, nil
}

func (s *state) createGroup(op string, p *Process, g *ProcessGroup) *Error {
	r := s.row(p)
	if r == nil {
		return refuse(op, p.pid, syscall.ESRCH, reasonFreed)
	}
	old := p.group.Load()
	if old.session.sid == p.pid {
		return refuse(op, p.pid, syscall.EPERM, "it leads session %d", p.pid)
	}
	if s.groups.Get(uint32(p.pid)) != nil {
		return refuse(op, p.pid, syscall.EPERM, "group %d exists", p.pid)
	}
	g.session = old.session
	g.space, g.number = s.nested(r), r.number
	s.openGroup(g, p.pid, p.id)
	s.move(p.at, g)
	return nil
}

// MoveToGroup moves p into g. Into the group that p is in: nothing happens. Into
// a group that has ended: it begins again, if nobody has taken its number since.
// EPERM if p leads its session, g is of another session or table, or its number
// is claimed; ESRCH once p is freed; EINVAL if g is nil. No allocation; O(1).
func (p *Process) MoveToGroup(g *ProcessGroup) error {
	const op = "move to group"
	if g == nil {
		return refuse(op, p.pid, syscall.EINVAL, "no group is given")
	}
	s := p.table().enter()
	err := s.moveToGroup(op, p, g)
	s.leave()
	return err.orNil()
}

func (s *state) moveToGroup(op string, p *Process, g *ProcessGroup) *Error {
	if p.at == 0 {
		return refuse(op, p.pid, syscall.ESRCH, reasonFreed)
	}
	old := p.group.Load()
	if old == g {
		return nil
	}
	if old.session.sid == p.pid {
		return refuse(op, p.pid, syscall.EPERM, "it leads session %d", p.pid)
	}
	if old.session != g.session {
		return refuse(op, p.pid, syscall.EPERM, "group %d is of session %d, the process of session %d",
			g.pgid, g.session.sid, old.session.sid)
	}
	if !g.live {
		if err := s.mayRevive(op, p, g); err != nil {
			return err
		}
		s.revive(g)
	}
	s.move(p.at, g)
	return nil
}

// mayRevive: nothing but the process that founded the group may have its number,
// since a number means one thing at a time (semantics 1.1).
func (s *state) mayRevive(op string, p *Process, g *ProcessGroup) *Error {
	n := uint32(g.pgid)
	if g.space != nil && !s.numbers.inUse(g.pgid) {
		return refuse(op, p.pid, syscall.EPERM, "group %d has ended, and its numbers in its namespaces are free", g.pgid)
	}
	if q := s.procs.Get(n); s.groups.Get(n) != nil || s.sessions.Get(n) != nil ||
		(q == nil && s.threads.Get(n) != nil) || (q != nil && q.id != g.founder) {
		return refuse(op, p.pid, syscall.EPERM, "group %d has ended and its number is claimed by %s", g.pgid, s.roles(g.pgid))
	}
	return nil
}

// Setpgid moves the process pid (0: the caller; or a child of the caller that has
// not exec'd) to group pgid (0: of pid's own number), making the group if the
// numbers are equal. In this order: EINVAL for pgid < 0 (or 0, if pid is), ESRCH for
// no such process, EINVAL for a thread that is no leader, EPERM for a child in another
// session, EACCES for one that has exec'd, ESRCH for any other process, EPERM for
// a session leader, EPERM for a group that is not in the caller's session. O(1).
// (setpgid(2); semantics 4.2.)
func (p *Process) Setpgid(pid, pgid PID) error {
	const op = "setpgid"
	fresh := &ProcessGroup{}
	s := p.table().enter()
	defer s.leave()
	if _, err := s.caller(op, p); err != nil {
		return err
	}
	if pgid < 0 || pgid == 0 && pid < 0 {
		return refuse(op, p.pid, syscall.EINVAL, "pgid %d is below 0", min(pid, pgid))
	}
	pid, pgid = s.setpgidNumbers(p, pid, pgid)
	q, err := s.setpgidTarget(op, p, pid)
	if err != nil {
		return err
	}
	session := p.group.Load().session
	var g *ProcessGroup
	if pgid > 0 {
		g = s.groups.Get(uint32(pgid))
	}
	switch {
	case g != nil && g.session == session:
	case pgid != pid, g != nil:
		return refuse(op, p.pid, syscall.EPERM, "session %d has no group %d", session.sid, pgid)
	default:
		g = fresh
		g.session = session
		g.space, g.number = s.nested(s.row(q)), s.row(q).number
		s.openGroup(g, pgid, q.id)
	}
	if q.group.Load() != g {
		s.move(q.at, g)
	}
	return nil
}

// setpgidNumbers says what the numbers that were given to a setpgid mean in the
// table's own namespace.
func (s *state) setpgidNumbers(p *Process, pid, pgid PID) (PID, PID) {
	r := s.row(p)
	if pid == 0 {
		pid = p.pid
	} else {
		pid = s.given(r, pid)
	}
	if pgid == 0 {
		return pid, pid
	}
	if pgid = s.given(r, pgid); pgid == 0 {
		pgid = -1 // nothing goes by it
	}
	return pid, pgid
}

// setpgidTarget finds whom a setpgid is about, and whether the caller may.
func (s *state) setpgidTarget(op string, p *Process, pid PID) (*Process, *Error) {
	var q *Process
	if pid > 0 {
		q = s.procs.Get(uint32(pid))
	}
	if q == nil {
		if pid > 0 && s.threads.Get(uint32(pid)) != nil {
			return nil, refuse(op, p.pid, syscall.EINVAL, "%d is a thread that leads no process", pid)
		}
		return nil, refuse(op, p.pid, syscall.ESRCH, "there is no process %d", pid)
	}
	r := s.row(q)
	switch {
	case r.parent == p.at:
		if q.group.Load().session != p.group.Load().session {
			return nil, refuse(op, p.pid, syscall.EPERM, "child %d is in another session", pid)
		}
		if r.flags&flagForked == 0 {
			return nil, refuse(op, p.pid, syscall.EACCES, "child %d has called exec", pid)
		}
	case q != p:
		return nil, refuse(op, p.pid, syscall.ESRCH, "%d is neither the caller nor a child of it", pid)
	}
	if q.group.Load().session.sid == pid {
		return nil, refuse(op, p.pid, syscall.EPERM, "%d leads a session", pid)
	}
	return q, nil
}

// caller returns the row of a process that can still make a system call.
func (s *state) caller(op string, p *Process) (*row, *Error) {
	if p.at != 0 {
		if r := s.rows.At(p.at); r.alive() {
			return r, nil
		}
	}
	return nil, noCaller(op, p)
}

// noCaller says why a process can make no system call.
func noCaller(op string, p *Process) *Error {
	switch p.State() {
	case Freed:
		return refuse(op, p.pid, syscall.ESRCH, reasonFreed)
	case Zombie:
		return refuse(op, p.pid, syscall.ESRCH, reasonZombie)
	}
	return refuse(op, p.pid, syscall.ESRCH, "its last thread has exited")
}

// Getpgid returns the group of the process or thread pid, 0 meaning the caller;
// a zombie answers. 0 if the group can't be seen from the caller's pid namespace.
// ESRCH if there is no such process. O(1). (getpgid(2).)
func (p *Process) Getpgid(pid PID) (PID, error) {
	return p.named("getpgid", pid, func(s *state, q *Process, ns *Namespace) PID { return s.pgidIn(q.group.Load(), ns) })
}

// Getsid returns the session of the process or thread pid, 0 meaning the caller;
// a zombie answers. 0 if the session can't be seen from the caller's pid namespace.
// ESRCH if there is no such process. O(1). (getsid(2).)
func (p *Process) Getsid(pid PID) (PID, error) {
	return p.named("getsid", pid, func(s *state, q *Process, ns *Namespace) PID { return s.sidIn(q.group.Load().session, ns) })
}

// named asks about a process by its number as the caller sees it.
func (p *Process) named(op string, pid PID, ask func(*state, *Process, *Namespace) PID) (PID, error) {
	s := p.table().enter()
	defer s.leave()
	r, err := s.caller(op, p)
	if err != nil {
		return 0, err
	}
	q := p
	if pid != 0 {
		q = s.find(s.given(r, pid))
	}
	if q == nil {
		return 0, refuse(op, p.pid, syscall.ESRCH, "there is no process %d", pid)
	}
	return ask(s, q, s.spaceOf(r)), nil
}

// find returns the process that has a thread of this number, or goes by it.
func (s *state) find(pid PID) *Process {
	if pid <= 0 {
		return nil
	}
	if q := s.procs.Get(uint32(pid)); q != nil {
		return q
	}
	if h := s.threads.Get(uint32(pid)); h != nil {
		return h.process
	}
	return nil
}
