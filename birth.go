package axprocess

import (
	"slices"
	"syscall"

	"axprocess/internal/slab"
)

// This file is about births: a builder collects what the new process is to be,
// Build makes it in one step under the lock.
//
// Invariants: memory is allocated before the lock is taken; all is checked
// before anything is changed; a fork is ordered with its parent's exit by the
// lock, so a child is either reparented by that exit or refused (semantics 2.2).

// ProcessBuilder describes a process to be. It is a value: its methods return
// changed copies, and it may be built again, which asks for the number again.
//
// It is nine words and not more, so that it travels in registers.
type ProcessBuilder struct {
	parent *Process // nil: an init
	thread *Thread  // the forking thread; nil: the parent's leader or first live one
	pid    PID
	asks   birthFlags
	data   any
	leader any
	rare   *rareBirth // what few births ask for; never written once a builder has it
}

type birthFlags uint32

const (
	birthLeader birthFlags = 1 << iota
	birthSibling
	birthVfork
	birthOtherExit
	birthNewSpace
)

type rareBirth struct {
	table      *Table // of an init
	exitSignal Signal // with birthOtherExit
	asked      []setNumber

	// Of one Build.
	fresh *Namespace
	line  []*Ancestor
}

// own gives a builder what few births ask for, to be written.
func (b *ProcessBuilder) own() *rareBirth {
	var rare rareBirth
	if b.rare != nil {
		rare = *b.rare
	}
	rare.asked = slices.Clone(rare.asked)
	b.rare = &rare
	return b.rare
}

func (b *ProcessBuilder) asked() []setNumber {
	if b.rare == nil {
		return nil
	}
	return b.rare.asked
}

// NewInit begins the table's init: a process without parent that leads a new
// group and a new session of its own number. Build refuses with EEXIST if the
// table has an init, or the number is in use; EINVAL if the number is out of
// range or the table's options are.
func (t *Table) NewInit(pid PID) ProcessBuilder {
	return ProcessBuilder{pid: pid, rare: &rareBirth{table: t}}
}

// Fork begins a child of p. It joins p's group and session. If p has threads,
// its leader forks, or the first live thread when the leader has exited. Build
// refuses with ESRCH if p is exiting or has exited, EINVAL, EEXIST or EAGAIN for
// the number; nothing is reserved before. (fork(2); kernel: copy_process.)
func (p *Process) Fork(pid PID) ProcessBuilder {
	return ProcessBuilder{parent: p, pid: pid}
}

// Fork begins a child of h's process that h waits for first; otherwise as
// Process.Fork. Build also refuses with ESRCH if h has exited.
func (h *Thread) Fork(pid PID) ProcessBuilder {
	return ProcessBuilder{parent: h.process, thread: h, pid: pid}
}

// Data gives the process something of the caller's to carry.
func (b ProcessBuilder) Data(v any) ProcessBuilder {
	b.data = v
	return b
}

// Leader gives it a first thread with the process's number and this data.
func (b ProcessBuilder) Leader(v any) ProcessBuilder {
	b.leader, b.asks = v, b.asks|birthLeader
	return b
}

// CloneParent makes it a sibling of the forking process instead of a child
// (clone(2): CLONE_PARENT). Build refuses with EINVAL if the forker is an init.
func (b ProcessBuilder) CloneParent() ProcessBuilder {
	b.asks |= birthSibling
	return b
}

// Vfork holds the forking thread until the child execs or exits (vfork(2)); see
// Process.AwaitVfork. Build refuses with EBUSY for a thread that is held already.
func (b ProcessBuilder) Vfork() ProcessBuilder {
	b.asks |= birthVfork
	return b
}

// ExitSignal sets what the parent is sent when the child ends: SIGCHLD unless
// set, 0 for nothing. A child with another one is a clone child to wait(2)
// (__WCLONE) and never ends without a wait. EINVAL if it is out of range.
func (b ProcessBuilder) ExitSignal(sig Signal) ProcessBuilder {
	if b.asks &^= birthOtherExit; sig != SIGCHLD {
		b.asks |= birthOtherExit
		b.own().exitSignal = sig
	}
	return b
}

// Build makes the process, or says why not and changes nothing. Two lock-free
// allocations at most for the process and its leader; O(1).
func (b ProcessBuilder) Build() (*Process, error) {
	p := &Process{data: b.data}
	var h *Thread
	if b.asks&birthLeader != 0 {
		h = &Thread{process: p, data: b.leader}
	}
	var err *Error
	if b.parent == nil {
		table := b.rare.table
		g := &ProcessGroup{session: &Session{table: table}}
		s := table.enter()
		err = b.buildInit(s, p, h, g)
		s.leave()
	} else {
		table := b.parent.table()
		if table.guarded.lineage != nil || b.rare != nil || b.asks&birthNewSpace != 0 {
			b.prepare(table)
		}
		s := table.enter()
		err = b.buildChild(s, p, h)
		s.leave()
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// prepare makes what a birth out of the ordinary needs.
func (b *ProcessBuilder) prepare(t *Table) {
	rare := b.own()
	if l := t.guarded.lineage; l != nil {
		rare.line = l.begin(b.parent)
	}
	if b.asks&birthNewSpace != 0 {
		rare.fresh = &Namespace{table: t}
	}
}

func (b *ProcessBuilder) buildInit(s *state, p *Process, h *Thread, g *ProcessGroup) *Error {
	const op = "new init"
	if s.misuse != nil {
		return s.misuse
	}
	if s.init != nil {
		return refuse(op, b.pid, syscall.EEXIST, "the table has an init, %d", s.init.pid)
	}
	if err := b.checkShape(op); err != nil {
		return err
	}
	n, err := s.claim(op, b.pid)
	if err != nil {
		return err
	}
	s.occupy(b.pid, n)
	at, r := s.enroll(p, n)
	s.openSession(g.session, n)
	s.openGroup(g, n, p.id)
	s.join(at, r, g)
	s.init = p
	s.logBorn(at, b.pid, nil, nil)
	s.lead(r, h)
	return nil
}

// checkShape refuses what no clone(2) call can ask for.
func (b *ProcessBuilder) checkShape(op string) *Error {
	if b.parent == nil && (b.asks&^birthLeader != 0 || len(b.rare.asked) > 0) {
		return refuse(op, b.pid, syscall.EINVAL, "an init has nobody to be a sibling of, to hold or to notify")
	}
	if b.asks&birthOtherExit != 0 && (b.rare.exitSignal < 0 || b.rare.exitSignal > SIGRTMAX) {
		return refuse(op, b.pid, syscall.EINVAL, "exit signal %d is not in 0…%d", b.rare.exitSignal, SIGRTMAX)
	}
	return nil
}

func (b *ProcessBuilder) buildChild(s *state, p *Process, h *Thread) *Error {
	const op = "fork"
	forker := b.parent
	r := s.row(forker)
	if r == nil {
		return refuse(op, forker.pid, syscall.ESRCH, reasonFreed)
	}
	if err := r.mayAct(op); err != nil {
		return err
	}
	thread := b.thread
	if thread == nil {
		thread = r.firstThread
	} else if thread.exited.Load() {
		return refuse(op, thread.TID(), syscall.ESRCH, "the thread has exited")
	}
	if err := b.checkShape(op); err != nil {
		return err
	}
	parentAt, owner := forker.at, thread.owns()
	if b.asks&birthSibling != 0 {
		if parentAt = r.parent; parentAt == 0 || r.flags&flagInit != 0 {
			return refuse(op, forker.pid, syscall.EINVAL, "CLONE_PARENT by an init, or a process without a parent")
		}
		owner = r.owner
	}
	if hold := r.holdOf(thread); b.asks&birthVfork != 0 && hold != nil {
		return refuse(op, forker.pid, syscall.EBUSY, "its vfork child %d holds it", hold.child.pid)
	}
	at, child, err := s.admit(b, op, p, r, thread)
	if err != nil {
		return err
	}
	child.flags |= r.flags&flagsInherited | flagForked
	if r.flags&flagSubreaper != 0 {
		child.flags |= flagBelowSubreaper
	}
	s.inherit(child, r, h, thread)
	if b.rare != nil {
		child.descend(r, b.rare.line)
	}
	if b.asks&birthSibling != 0 {
		b.exitLikeForker(child, r)
	} else if b.asks&birthOtherExit != 0 {
		child.flags |= flagOtherExit
		child.ext().exitSignal = b.rare.exitSignal
	}
	s.adopt(parentAt, owner, at, child)
	s.join(at, child, forker.group.Load())
	s.logBorn(at, b.pid, b.asked(), forker)
	s.lead(child, h)
	if b.asks&birthVfork != 0 {
		s.hold(forker, thread, child)
	}
	return nil
}

// admit finds a child's numbers and gives it its row.
func (s *state) admit(b *ProcessBuilder, op string, p *Process, r *row, h *Thread) (slab.Index, *row, *Error) {
	ns, err := s.birthplace(b, op, r, h)
	switch {
	case err != nil:
		return 0, nil, err
	case ns != nil && !(b.asks&birthNewSpace == 0 && len(b.asked()) == 0 && ns.isPlain(s.numbers.max)):
		return s.admitIn(ns, b, op, p)
	case ns == nil && len(b.asked()) > 0:
		return 0, nil, refuse(op, b.pid, syscall.EINVAL, "a number is asked for in a namespace that it is not born into")
	}
	n, err := s.claim(op, b.pid)
	if err != nil {
		return 0, nil, err
	}
	s.occupy(b.pid, n)
	at, child := s.enroll(p, n)
	if ns != nil {
		s.settleIn(child, ns, ns.takeNext(n, s.numbers.max))
	}
	return at, child, nil
}

// exitLikeForker: with CLONE_PARENT the exit signal is the forker's own
// (kernel: copy_process, "p->exit_signal = current->group_leader->exit_signal").
func (b *ProcessBuilder) exitLikeForker(child, forker *row) {
	if forker.flags&flagOtherExit != 0 {
		child.flags |= forker.flags & (flagOtherExit | flagParentExeced)
		child.ext().exitSignal = forker.extra.exitSignal
	}
}

// enroll gives a new process its number, its id and its row.
func (s *state) enroll(p *Process, n PID) (slab.Index, *row) {
	at, r := s.rows.Alloc()
	p.pid, p.id, p.at = n, s.newID(), at
	r.process = p
	return at, r
}

// lead publishes a process, after its first thread if it has one.
func (s *state) lead(r *row, h *Thread) {
	if h != nil {
		h.tid.Store(int32(r.process.pid))
		h.number = r.number
		s.startThread(r, h)
		s.logThread(EventThreadStarted, h, false)
	}
	s.procs.Set(uint32(r.process.pid), r.process)
}
