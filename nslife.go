package axprocess

import (
	"syscall"

	"axprocess/internal/slab"
)

// This file is about how pid namespaces begin and end.
//
// A namespace begins with unshare or with a birth that asks for one, and its first
// process is its init. When the init exits it takes no more births, all in it are
// killed, and the init becomes a zombie only when every number but its own is free
// again: children of parents outside, and groups that such are in, keep it waiting
// (kernel: zap_pid_ns_processes). An init whose own group goes by another number of
// its namespace waits for itself for ever, as on Linux.
//
// Invariants (I20):
//   - a namespace is closed exactly when its init has begun to exit;
//   - an init that waits is in state Exiting, has no threads and no zombie among
//     its children, and is not alone in its namespace.

// NewNamespace makes the process the init of a new pid namespace below the
// forker's. Build refuses with ENOSPC if that would be level 33, EINVAL for an init
// or if the forking thread's children go to another namespace already. (clone(2):
// CLONE_NEWPID; kernel: copy_pid_ns.)
func (b ProcessBuilder) NewNamespace() ProcessBuilder {
	b.asks |= birthNewSpace
	return b
}

// Number asks for the process's number in ns, the namespace that it is born into or
// one between that and the table's own, whose number Fork takes. Build refuses with
// EINVAL if it is not born in or below ns, the number is out of range, or ns has no
// init yet and it is not 1; EEXIST if it is in use. ns nil: the namespace that
// NewNamespace makes. (clone3(2): set_tid.)
func (b ProcessBuilder) Number(ns *Namespace, pid PID) ProcessBuilder {
	rare := b.own()
	rare.asked = append(rare.asked, setNumber{ns, pid})
	return b
}

// Unshare makes a new pid namespace for the children that h forks from now on; the
// first becomes its init, with number 1. h stays where it is, and its process can
// start no thread from it any more. EINVAL if h's children go to another namespace
// than its own already, ENOSPC if there would be more than 32 levels below the
// table's own, ESRCH once h has exited. One allocation. (unshare(2): CLONE_NEWPID.)
func (h *Thread) Unshare() (*Namespace, error) { return h.process.unshare(h) }

// Unshare is Thread.Unshare for the leader or first live thread, or for a process
// without threads itself.
func (p *Process) Unshare() (*Namespace, error) { return p.unshare(nil) }

func (p *Process) unshare(h *Thread) (*Namespace, error) {
	const op = "unshare"
	fresh := &Namespace{}
	s := p.table().enter()
	defer s.leave()
	r, err := s.callerThread(op, p, h)
	if err != nil {
		return nil, err
	}
	if h == nil {
		h = r.firstThread
	}
	if err := s.mayNest(op, r, h); err != nil {
		return nil, err
	}
	s.openSpace(fresh, s.spaceOf(r))
	s.touchedAll(p, "unshare")
	r.setBelow(h, fresh)
	return fresh, nil
}

// Setns makes the children that h forks from now on be born into ns; h stays where
// it is. Its process's own namespace undoes it. EINVAL if ns is nil, or neither h's
// namespace nor below it, or of another table; ESRCH once h has exited. One lock
// pair. (setns(2); kernel: pidns_install.)
func (h *Thread) Setns(ns *Namespace) error { return h.process.setns(h, ns) }

// Setns is Thread.Setns for the leader or first live thread, or for a process
// without threads itself.
func (p *Process) Setns(ns *Namespace) error { return p.setns(nil, ns) }

func (p *Process) setns(h *Thread, ns *Namespace) error {
	const op = "setns"
	s := p.table().enter()
	defer s.leave()
	r, err := s.callerThread(op, p, h)
	if err != nil {
		return err
	}
	if h == nil {
		h = r.firstThread
	}
	own := s.spaceOf(r)
	if ns == nil || ns.table != s.table || !ns.isIn(own) {
		return refuse(op, p.pid, syscall.EINVAL, "the namespace is not the caller's, and not below it")
	}
	if ns == own {
		ns = nil
	}
	s.touchedAll(p, "setns")
	r.setBelow(h, ns)
	return nil
}

// isIn says whether a namespace is another or below it.
func (ns *Namespace) isIn(above *Namespace) bool {
	for ns.level > above.level {
		ns = ns.parent
	}
	return ns == above
}

// mayNest says whether a thread may make a namespace below its own.
func (s *state) mayNest(op string, r *row, h *Thread) *Error {
	switch own := s.spaceOf(r); {
	case r.below(h) != nil:
		return refuse(op, r.process.pid, syscall.EINVAL, "its children are born into another namespace already")
	case own.level == maxLevel:
		return refuse(op, r.process.pid, syscall.ENOSPC, "its namespace is at level %d, the last one", maxLevel)
	}
	return nil
}

// below returns the namespace of a thread's children to come, nil for its own.
func (r *row) below(h *Thread) *Namespace {
	switch {
	case h != nil && h.extra != nil:
		return h.extra.below
	case h == nil && r.extra != nil:
		return r.extra.below
	}
	return nil
}

func (r *row) setBelow(h *Thread, ns *Namespace) {
	switch {
	case ns == r.below(h):
	case h != nil:
		h.ext().below = ns
	default:
		r.ext().below = ns
	}
}

func (s *state) openSpace(ns, parent *Namespace) {
	ns.table, ns.parent, ns.level, ns.id = s.table, parent, parent.level+1, s.newID()
	s.logSpaceMade(ns)
}

// birthplace returns the namespace that a child of a thread is born into, nil for
// the table's own.
func (s *state) birthplace(b *ProcessBuilder, op string, r *row, h *Thread) (*Namespace, *Error) {
	if b.asks&birthNewSpace != 0 {
		fresh := b.rare.fresh
		if err := s.mayNest(op, r, h); err != nil {
			return nil, err
		}
		fresh.parent, fresh.level = s.spaceOf(r), s.spaceOf(r).level+1
		return fresh, nil
	}
	if ns := r.below(h); ns != nil {
		return ns, nil
	}
	return s.nested(r), nil
}

// claimIn is claim for a birth in a namespace below the table's own (ENOMEM: the
// namespace is closed).
func (s *state) claimIn(op string, ns *Namespace, want PID, asked []setNumber, nrs *[maxLevel]PID) (PID, *Error) {
	for i := range asked {
		if asked[i].space == nil {
			asked[i].space = ns
		}
		if a := asked[i].space; a.level == 0 || a.table != s.table && a != ns || !ns.isIn(a) {
			return 0, refuse(op, want, syscall.EINVAL, "a number is asked for in a namespace that it is not born into")
		}
	}
	if err := s.claimBelow(op, ns, asked, nrs); err != nil {
		return 0, err
	}
	n, err := s.claim(op, want)
	if err != nil {
		return 0, err
	}
	if ns.closed {
		ns.spend(asked, nrs)
		if want == NextPID {
			s.numbers.cursor = n
		}
		s.logSpent(ns, want, n, asked, nrs)
		return 0, refuse(op, want, syscall.ENOMEM, "the init of its namespace has exited")
	}
	return n, nil
}

// admitIn is admit for a birth in a namespace below the table's own that is not plain.
func (s *state) admitIn(ns *Namespace, b *ProcessBuilder, op string, p *Process) (slab.Index, *row, *Error) {
	asked := b.asked() // a copy, in which claimIn says which namespace nil means
	nrs := &s.chosen
	n, err := s.claimIn(op, ns, b.pid, asked, nrs)
	if err != nil {
		return 0, nil, err
	}
	if b.asks&birthNewSpace != 0 {
		s.openSpace(ns, ns.parent)
	}
	s.occupy(b.pid, n)
	at, child := s.enroll(p, n)
	s.settleIn(child, ns, ns.occupyBelow(asked, nrs, n))
	return at, child, nil
}

// settleIn puts a process that has its numbers into its namespace.
func (s *state) settleIn(r *row, ns *Namespace, nr PID) {
	r.number = nr
	if ns.people == 0 {
		s.giveIndex(ns)
	}
	ns.people++
	r.space = ns.at
	if r.number == 1 {
		ns.init = r.process
		r.flags |= flagInit
	}
}

func (s *state) giveIndex(ns *Namespace) {
	if n := len(s.freeSpaces); n > 0 {
		ns.at = s.freeSpaces[n-1]
		s.freeSpaces = s.freeSpaces[:n-1]
		s.spaces[ns.at] = ns
		return
	}
	if len(s.spaces) == 0 {
		s.spaces = append(s.spaces, nil) // 0 is the table's own
	}
	ns.at = spaceIndex(len(s.spaces))
	s.spaces = append(s.spaces, ns)
}

// leaveSpace is a freed process's last step out of its namespace.
func (s *state) leaveSpace(ns *Namespace) {
	if ns.people--; ns.people > 0 {
		return
	}
	s.spaces[ns.at] = nil
	s.freeSpaces = append(s.freeSpaces, ns.at)
	ns.at = 0
	if len(s.freeSpaces) == len(s.spaces)-1 {
		s.spaces, s.freeSpaces = nil, nil
	}
}

// closeSpace is the exit of a namespace's init: it kills what is in the namespace
// and says whether the init is alone now. If it isn't, finishInits ends it later.
func (s *state) closeSpace(at slab.Index, r *row, cause WaitCause) bool {
	ns := s.spaces[r.space]
	ns.closed = true
	s.logSpaceClosed(ns)
	s.touched(r.process, "its namespace is closed")
	r.process.setState(Exiting, cause)
	r.flags |= flagLast | flagIgnoresChild
	r.ext().actions = r.does().with(SIGCHLD, SignalAction{Disposition: Ignore})
	for nr := ns.levels.after(1); nr != 0; nr = ns.levels.after(nr) {
		p := s.procs.Get(uint32(ns.outermost(nr)))
		if p == nil || p.State() > Exiting || s.row(p).flags&flagLast != 0 {
			continue
		}
		m := posted{to: p, info: SigInfo{Signal: SIGKILL, Code: SI_KERNEL}, reason: "the init of its namespace has exited"}
		s.killNow(p.at, SIGKILL, false)
		s.effect(&m, nil, Ended)
	}
	s.broods(r, nil, func(b *brood) bool {
		return s.children(b, func(child slab.Index, c *row) bool {
			if c.process.State() == Zombie {
				var nobody WaitResult
				s.take(child, Exited, WEXITED, &nobody)
			}
			return true
		})
	})
	return ns.levels.n == 1
}

// finishInits ends the inits that have waited and are alone now.
func (s *state) finishInits() {
	for len(s.emptied) > 0 {
		ns := s.emptied[0]
		s.emptied = s.emptied[1:]
		if ns.init == nil {
			continue // of a restored table: the init is gone
		}
		if r := s.row(ns.init); r != nil && r.flags&flagLast != 0 && ns.levels.n == 1 {
			s.finishExit(ns.init.at, ns.init.cause())
			s.settle()
		}
	}
	s.emptied = nil
}
