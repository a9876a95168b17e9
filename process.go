package axprocess

import (
	"iter"
	"slices"
	"sync/atomic"
	"syscall"

	"axprocess/internal/slab"
)

// This file is about processes: what one is, how it is born, what it says.
//
// A *Process is a thin handle. All links to other processes are indices in rows
// that the table owns (type row), so a handle that somebody keeps can pin
// nothing but itself, its data, its group, its session and the table. Free gives
// the row back and the handle says what it still may.
//
// Invariants:
//   - a process that isn't freed has one row, and the row its one handle (I1);
//   - a child is in the list of its parent's thread, or of the parent itself,
//     exactly once, in the order of joining (I5);
//   - State moves along the edges of State only.

// Process is a process of a table, from Build until Free. Two handles of one
// process are the same pointer.
type Process struct {
	group atomic.Pointer[ProcessGroup] // never nil; also the way to the table
	id    uint64
	data  any
	pid   PID
	at    slab.Index // the row; 0 once freed; guarded
	state atomic.Uint32
	code  int32 // guarded until Zombie, then constant
}

// State is where a process is in its life.
type State uint8

// The states, each with what it newly forbids. Edges: Running to Exiting
// (GroupExit), Running or Exiting to Zombie (Exit, GroupKill), Zombie to Freed
// (Free, a consuming wait, or at once where nobody has to wait).
const (
	Running State = iota + 1 // all is allowed
	Exiting                  // no fork, no new thread: the group exit has begun; or a namespace's init has exited and is not alone there
	Zombie                   // no action of its own; waits for its parent
	Freed                    // in no list; its numbers may be given again
)

// String returns the state's name in lower case.
func (s State) String() string {
	switch s {
	case Running:
		return "running"
	case Exiting:
		return "exiting"
	case Zombie:
		return "zombie"
	case Freed:
		return "freed"
	}
	return "no state"
}

// Packed in Process.state: the State, counted from Running so that a new process
// needs no store, then how it ended (zombies and freed).
const causeShift = 8

// row is what the lock guards of a process.
type row struct {
	process *Process

	// In its parent's list of children.
	parent                   slab.Index // 0: none
	prevSibling, nextSibling slab.Index
	space                    spaceIndex // its pid namespace; 0: the table's own
	birth                    uint64     // ascending in each list of children
	owner                    *Thread    // whose child it is; nil: the parent's leader's, or its own if it has no leader

	brood brood // own children; of a zombie: its place in the parent's heap (ready.go)

	// In its group's list of members.
	prevMember, nextMember slab.Index
	number                 PID // in its namespace, unless that is the table's own

	// Its live threads, oldest first.
	firstThread, lastThread *Thread
	nthreads                int32

	flags flags
	extra *extra // what most processes never need; nil till then
}

// brood is a list of children, oldest first, with those that are ready to be
// waited for as zombies.
type brood struct {
	first, last slab.Index
	zombies     slab.Index // the root of a heap by birth
}

type flags uint32

const (
	flagHadThreads     flags = 1 << iota // had a thread once: without a live one it can only exit
	flagSubreaper                        // PR_SET_CHILD_SUBREAPER
	flagBelowSubreaper                   // an ancestor was a subreaper (has_child_subreaper)
	flagForked                           // has not exec'd since fork (PF_FORKNOEXEC)
	flagIgnoresChild                     // SIGCHLD is ignored: children end without a wait
	flagNoChildWait                      // SA_NOCLDWAIT: likewise
	flagNoChildStop                      // SA_NOCLDSTOP
	flagOtherExit                        // its exit signal is not SIGCHLD (extra.exitSignal is)
	flagLeaderGone                       // the thread of the process's own number has exited
	flagParentExeced                     // its parent has called exec since the fork: it is told SIGCHLD, whatever the exit signal
	flagTerminal                         // its session's terminal is its controlling terminal
	flagInit                             // the init of a namespace below the table's own
	flagLast                             // that has exited, and waits until its namespace is empty
)

const flagsInherited = flagTerminal | flagBelowSubreaper | flagIgnoresChild | flagNoChildWait | flagNoChildStop

// extra is what a process has only after something unusual happened to it.
type extra struct {
	stop          stopState
	exitSignal    Signal     // counts with flagOtherExit
	vforker       *vforkHold // whom this process holds
	hold          *vforkHold // who holds this process, if it has no thread
	waits         waits      // by this process
	watchers      waitList   // by its parent, for this process alone
	usage, waited Usage      // its own, and that of children it waited for
	signals       *signals
	actions       *actions // shared with whom it forked and was forked by; nil: the default of all
	creds         Credentials
	below         *Namespace  // of children to come, of a process without threads; nil: its own
	told          *Attributes // what the last event said of them
	lineage       []*Ancestor // who forked it, who forked that one, …; never written
}

func (r *row) ext() *extra {
	if r.extra == nil {
		r.extra = new(extra)
	}
	return r.extra
}

// mayAct says whether a process may still fork and start threads.
func (r *row) mayAct(op string) *Error {
	p := r.process
	switch p.State() {
	case Zombie:
		return refuse(op, p.pid, syscall.ESRCH, reasonZombie)
	case Exiting:
		return refuse(op, p.pid, syscall.ESRCH, reasonExiting)
	}
	if r.flags&flagHadThreads != 0 && r.nthreads == 0 {
		return refuse(op, p.pid, syscall.ESRCH, "its last thread has exited")
	}
	return nil
}

// alive says whether a thread could still act for the process
// (kernel: find_alive_thread).
func (r *row) alive() bool {
	return r.process.State() <= Exiting && (r.nthreads > 0 || r.flags&flagHadThreads == 0) && r.flags&flagLast == 0
}

func (p *Process) table() *Table { return p.group.Load().session.table }

// PID returns its number. It stays when the process is freed. No lock.
func (p *Process) PID() PID { return p.pid }

// ID returns its unique id: never reused in the table's life. No lock.
func (p *Process) ID() uint64 { return p.id }

// Data returns what the builder was given. No lock.
func (p *Process) Data() any { return p.data }

// State returns where it is in its life. No lock.
func (p *Process) State() State { return stateIn(p.state.Load()) }

func stateIn(packed uint32) State { return Running + State(packed) }

func causeIn(packed uint32) WaitCause { return WaitCause(packed >> causeShift) }

func (p *Process) cause() WaitCause { return causeIn(p.state.Load()) }

func (p *Process) setState(to State, cause WaitCause) {
	p.state.Store(uint32(to-Running) | uint32(cause)<<causeShift)
}

// IsZombie says whether it has exited and waits to be freed. No lock.
func (p *Process) IsZombie() bool { return p.State() == Zombie }

// IsInit says whether it is its table's init. One lock pair.
func (p *Process) IsInit() bool { return p.table().Init() == p }

// IsGroupExited says whether its exit has been begun by GroupExit, or has
// happened. No lock.
func (p *Process) IsGroupExited() bool { return p.State() >= Exiting }

// Group returns its process group, also after Free: then the one it was last in.
// No lock.
func (p *Process) Group() *ProcessGroup { return p.group.Load() }

// Session returns its session, also after Free. No lock.
func (p *Process) Session() *Session { return p.group.Load().session }

// ExitCode returns the group's code if GroupExit was called, else that of the
// thread that exited last; the signal's number if a signal ended it; 0 before.
// One lock pair while it lives, none afterwards.
func (p *Process) ExitCode() int32 {
	if p.State() >= Zombie {
		return p.code
	}
	s := p.table().enter()
	defer s.leave()
	return p.code
}

// Parent returns its parent; nil for an init, for an imported process whose
// parent is outside, and once it is freed. One lock pair.
func (p *Process) Parent() (parent *Process) {
	s := p.table().enter()
	if p.at != 0 {
		if above := s.rows.At(p.at).parent; above != 0 {
			parent = s.rows.At(above).process
		}
	}
	s.leave()
	return parent
}

// Children returns its children, zombies included, in the order in which they
// became its children. O(children) under the lock.
func (p *Process) Children() []*Process {
	t := p.table()
	s := t.enter()
	for {
		n := s.countChildren(p)
		s.leave()
		to := make([]*Process, 0, n+1) // full: there are more by now
		s = t.enter()
		if to = s.appendChildren(to, p); len(to) <= n {
			s.leave()
			return slices.Clip(to)
		}
	}
}

// AllChildren yields what Children returns: a cut taken at the first step.
func (p *Process) AllChildren() iter.Seq[*Process] {
	return func(yield func(*Process) bool) {
		for _, child := range p.Children() {
			if !yield(child) {
				return
			}
		}
	}
}

// IsSubreaper says whether SetChildSubreaper(true) holds. One lock pair.
func (p *Process) IsSubreaper() bool { return p.hasFlag(flagSubreaper) }

// HasExeced says whether it has called exec since its fork; an init counts as
// one that has (kernel: PF_FORKNOEXEC is clear). One lock pair.
func (p *Process) HasExeced() bool { return !p.hasFlag(flagForked) }

func (p *Process) hasFlag(f flags) bool {
	s := p.table().enter()
	defer s.leave()
	r := s.row(p)
	return r != nil && r.flags&f != 0
}

// DataOf returns the data of a process or thread as a T, if it is one.
func DataOf[T any](h interface{ Data() any }) (T, bool) {
	v, ok := h.Data().(T)
	return v, ok
}
