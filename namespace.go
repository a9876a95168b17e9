package axprocess

import (
	"syscall"

	"axprocess/internal/slab"
)

// This file is about pid namespaces as an embedder sees them: what one is, and
// what goes by which number in it. levels.go has the numbers, nslife.go how a
// namespace begins and ends.
//
// A process has a number in its namespace and in each one above; the table's own
// namespace is above all, and a process's PID is its number there. What a method
// in POSIX's words takes and returns (Kill, Wait, Setpgid, Getppid, …) are numbers
// in the caller's namespace; what takes a handle, or is a method of the table, is
// about the table's own.
//
// Costs: a process in the table's own namespace pays nothing for there being
// others; one that is n levels below has n more numbers.

// Namespace is a pid namespace. It stays readable when it has ended.
type Namespace struct {
	table  *Table
	parent *Namespace // nil: the table's own
	level  int
	id     uint64
	at     spaceIndex // where rows find it; 0 while nobody is in it
	people int        // processes that are in it, and in none below
	init   *Process   // nil until its first process is born
	closed bool       // its init has exited: no birth any more
	levels levels
}

// spaceIndex names a namespace in a row: half of a pointer, and nothing for the
// collector.
type spaceIndex uint32

// Namespace returns the table's own pid namespace. No lock.
func (t *Table) Namespace() *Namespace { return &t.guarded.space }

// Namespace returns the pid namespace that p is in, nil once p is freed. One lock
// pair.
func (p *Process) Namespace() *Namespace {
	s := p.table().enter()
	defer s.leave()
	if r := s.row(p); r != nil {
		return s.spaceOf(r)
	}
	return nil
}

// Parent returns the namespace above, or nil. No lock.
func (ns *Namespace) Parent() *Namespace { return ns.parent }

// Level returns how many are above it. No lock.
func (ns *Namespace) Level() int { return ns.level }

// ID returns its unique id: never reused in the table's life. No lock.
func (ns *Namespace) ID() uint64 { return ns.id }

// Init returns its init, a zombie too; nil before the first process is born in it,
// and when its init is freed. One lock pair.
func (ns *Namespace) Init() *Process {
	s := ns.table.enter()
	defer s.leave()
	init := ns.init
	if ns.level == 0 {
		init = s.init
	}
	if init == nil || init.State() == Freed {
		return nil
	}
	return init
}

// IsClosed says whether its init has exited: forks into it fail with ENOMEM. One
// lock pair.
func (ns *Namespace) IsClosed() bool {
	s := ns.table.enter()
	defer s.leave()
	return ns.closed
}

// Len returns how many numbers are in use in it: of processes, threads, groups and
// sessions of its own and of those below it. One lock pair.
func (ns *Namespace) Len() int {
	s := ns.table.enter()
	defer s.leave()
	if ns.level == 0 {
		return s.numbers.n
	}
	return ns.levels.n
}

// PIDIn returns p's number in ns, as getpid(2) does in p's own; 0 if p can't be seen
// there, or is freed. One lock pair; O(levels between). (Kernel: task_pid_nr_ns.)
func (p *Process) PIDIn(ns *Namespace) PID {
	s := p.table().enter()
	defer s.leave()
	return s.pidIn(p, ns)
}

// TIDIn returns h's number in ns; 0 if h can't be seen there, or has exited. One
// lock pair; O(levels between).
func (h *Thread) TIDIn(ns *Namespace) PID {
	s := h.process.table().enter()
	defer s.leave()
	r := s.row(h.process)
	if r == nil || h.exited.Load() {
		return 0
	}
	return s.seen(s.spaceOf(r), h.number, h.TID(), ns)
}

// PGIDIn returns g's number in ns; 0 if it has none there, or has ended. One lock
// pair; O(levels between).
func (g *ProcessGroup) PGIDIn(ns *Namespace) PID {
	s := g.session.table.enter()
	defer s.leave()
	if !g.live {
		return 0
	}
	return s.pgidIn(g, ns)
}

// SIDIn returns v's number in ns; 0 if it has none there, or has ended. One lock
// pair; O(levels between).
func (v *Session) SIDIn(ns *Namespace) PID {
	s := v.table.enter()
	defer s.leave()
	if !v.live {
		return 0
	}
	return s.sidIn(v, ns)
}

// Process returns the process that goes by pid in ns, zombies included, or nil.
// One lock pair; O(level).
func (ns *Namespace) Process(pid PID) *Process {
	s := ns.table.enter()
	defer s.leave()
	return s.procs.Get(uint32(ns.outermost(pid)))
}

// Thread returns the live thread that goes by tid in ns, or nil. One lock pair;
// O(level).
func (ns *Namespace) Thread(tid PID) *Thread {
	s := ns.table.enter()
	defer s.leave()
	return s.threads.Get(uint32(ns.outermost(tid)))
}

// Group returns the process group that goes by pgid in ns, or nil. One lock pair;
// O(level).
func (ns *Namespace) Group(pgid PID) *ProcessGroup {
	s := ns.table.enter()
	defer s.leave()
	if n := ns.outermost(pgid); n != 0 {
		return s.groups.Get(uint32(n))
	}
	return nil
}

// Session returns the session that goes by sid in ns, or nil. One lock pair;
// O(level).
func (ns *Namespace) Session(sid PID) *Session {
	s := ns.table.enter()
	defer s.leave()
	if n := ns.outermost(sid); n != 0 {
		return s.sessions.Get(uint32(n))
	}
	return nil
}

// Processes returns all processes that have a number in ns, zombies and those of
// namespaces below included, ascending by that number: a consistent cut.
// O(numbers) under the lock, the result allocated outside.
func (ns *Namespace) Processes() []*Process {
	if ns.level == 0 {
		return ns.table.Processes()
	}
	return listed(ns.table, func(*state) int { return ns.levels.n }, func(s *state, to []*Process) []*Process {
		for nr := ns.levels.after(0); nr != 0; nr = ns.levels.after(nr) {
			if p := s.procs.Get(uint32(ns.outermost(nr))); p != nil {
				to = append(to, p)
			}
		}
		return to
	})
}

// Getppid returns the number of p's parent in p's namespace: 0 if the parent is
// outside of it, or there is none. ESRCH once p is freed. (getppid(2).)
func (p *Process) Getppid() (PID, error) {
	s := p.table().enter()
	defer s.leave()
	r := s.row(p)
	if r == nil {
		return 0, refuse("getppid", p.pid, syscall.ESRCH, reasonFreed)
	}
	if r.parent == 0 {
		return 0, nil
	}
	return s.pidIn(s.rows.At(r.parent).process, s.spaceOf(r)), nil
}

// spaceOf returns the namespace that a process is in.
func (s *state) spaceOf(r *row) *Namespace {
	if r.space == 0 {
		return &s.space
	}
	return s.spaces[r.space]
}

// nested returns the namespace that a process is in, nil for the table's own.
func (s *state) nested(r *row) *Namespace {
	if r.space == 0 {
		return nil
	}
	return s.spaces[r.space]
}

// pidIn is Process.PIDIn.
func (s *state) pidIn(p *Process, ns *Namespace) PID {
	r := s.row(p)
	if r == nil {
		return 0
	}
	return s.seen(s.spaceOf(r), r.number, p.pid, ns)
}

func (s *state) pgidIn(g *ProcessGroup, ns *Namespace) PID {
	return s.seen(s.orOwn(g.space), g.number, g.pgid, ns)
}

func (s *state) sidIn(v *Session, ns *Namespace) PID {
	return s.seen(s.orOwn(v.space), v.number, v.sid, ns)
}

func (s *state) orOwn(ns *Namespace) *Namespace {
	if ns == nil {
		return &s.space
	}
	return ns
}

// seen returns the number in ns of what has number nr in from, and n in the
// table's own namespace; 0 if from is not ns and not below it.
func (s *state) seen(from *Namespace, nr, n PID, ns *Namespace) PID {
	if ns.level == 0 {
		if ns.table != s.table {
			return 0
		}
		return n
	}
	for from.level > ns.level {
		nr = from.levels.at(nr)
		from = from.parent
	}
	if from != ns {
		return 0
	}
	return nr
}

// outermost returns the number in the table's own namespace of what has number nr
// in ns; 0 if there is none.
func (ns *Namespace) outermost(nr PID) PID {
	for ; ns.level > 0 && nr != 0; ns = ns.parent {
		nr = ns.levels.at(nr)
	}
	return max(nr, 0)
}

// given translates a number that a caller gave, 0 if nothing goes by it.
func (s *state) given(r *row, nr PID) PID {
	if r.space == 0 {
		return nr
	}
	return s.spaces[r.space].outermost(nr)
}

// told is the number of a process as the process of row r sees it.
func (s *state) told(r *row, at slab.Index) PID {
	other := s.rows.At(at)
	if r.space == 0 {
		return other.process.pid
	}
	return s.seen(s.spaceOf(other), other.number, other.process.pid, s.spaces[r.space])
}
