package axprocess

import "axprocess/internal/slab"

// This file is about the lists of children.
//
// Children belong to a thread of their parent (getppid doesn't show it, but wait
// does): those of the leader, and of a process without threads, are in the
// process's row, those of another thread in the thread. A list is in the order
// of joining, which is birth for those forked and the moment of adoption for
// those inherited.
//
// Invariant: a child's owner and parent name the one list that it is in (I5).

// owns returns the thread as the owner of children: nil for a leader, whose list
// is the process's own.
func (h *Thread) owns() *Thread {
	if h == nil || h.TID() == h.process.pid {
		return nil
	}
	return h
}

// broodOf returns the list of the children of parent that owner has.
func (s *state) broodOf(parent slab.Index, owner *Thread) *brood {
	if owner != nil {
		if owner.brood == nil {
			owner.brood = new(brood)
		}
		return owner.brood
	}
	return &s.rows.At(parent).brood
}

// adopt puts a process at the end of a list of children; a zombie can then be
// waited for there.
func (s *state) adopt(parent slab.Index, owner *Thread, at slab.Index, r *row) {
	b := s.broodOf(parent, owner)
	r.prevSibling, r.nextSibling = b.last, 0
	if b.last == 0 {
		b.first = at
	} else {
		s.rows.At(b.last).nextSibling = at
	}
	b.last = at
	s.belong(parent, owner, b, at, r)
}

// belong notes in the row of a process whose child it is, once it is on that list.
func (s *state) belong(parent slab.Index, owner *Thread, b *brood, at slab.Index, r *row) {
	s.births++
	r.parent, r.owner, r.birth = parent, owner, s.births
	if r.process.State() == Zombie {
		s.pushZombie(&b.zombies, at)
	}
	if r.extra != nil {
		s.announceStop(at, r)
		s.missStop(parent, r)
	}
}

// abandon takes a process off its parent's list.
func (s *state) abandon(at slab.Index, r *row) {
	if r.parent == 0 {
		return
	}
	b := s.broodOf(r.parent, r.owner)
	if r.process.State() == Zombie {
		s.dropZombie(&b.zombies, at)
	}
	if r.extra != nil {
		s.withdrawStop(at, r)
	}
	if r.prevSibling == 0 {
		b.first = r.nextSibling
	} else {
		s.rows.At(r.prevSibling).nextSibling = r.nextSibling
	}
	if r.nextSibling == 0 {
		b.last = r.prevSibling
	} else {
		s.rows.At(r.nextSibling).prevSibling = r.prevSibling
	}
	r.parent, r.owner, r.prevSibling, r.nextSibling = 0, nil, 0, 0
}

// passOn moves all children of one thread of a process to another of the same
// process, at the end of its list, and sends their parent-death signals
// (kernel: find_new_reaper's first choice; getppid doesn't change).
func (s *state) passOn(parent slab.Index, from, to *Thread) {
	if from == to || from != nil && from.brood == nil {
		return
	}
	b := s.broodOf(parent, from)
	for b.first != 0 {
		at := b.first
		r := s.rows.At(at)
		s.abandon(at, r)
		s.adopt(parent, to, at, r)
		s.logAdopted(EventPassedOn, r, nil, "its parent thread exited")
		s.parentDied(r, s.rows.At(parent).process)
	}
	if from != nil {
		from.brood = nil
	}
}

// merge joins two lists of children into one, by birth. The first is empty but in
// a process that forked before it had a thread.
func (s *state) merge(a, b brood) brood {
	all := brood{zombies: s.meld(a.zombies, b.zombies)}
	for a.first != 0 || b.first != 0 {
		from := &a
		if a.first == 0 || b.first != 0 && s.rows.At(b.first).birth < s.rows.At(a.first).birth {
			from = &b
		}
		at := from.first
		r := s.rows.At(at)
		from.first = r.nextSibling
		r.prevSibling, r.nextSibling = all.last, 0
		if all.last == 0 {
			all.first = at
		} else {
			s.rows.At(all.last).nextSibling = at
		}
		all.last = at
	}
	return all
}

// broods calls do for each list of children of a process, starting with that of
// thread from and then in the order in which wait looks: the next threads round
// the ring. It stops when do says false.
func (s *state) broods(r *row, from *Thread, do func(*brood) bool) {
	main := &r.brood
	if r.firstThread == nil {
		do(main)
		return
	}
	if from == nil {
		from = r.firstThread
	}
	visitedMain := false
	visit := func(h *Thread) bool {
		if h.owns() == nil {
			visitedMain = true
			return do(main)
		}
		if h.brood == nil {
			return do(&s.noChildren) // so that who looks at one thread only stops here
		}
		return do(h.brood)
	}
	for h := from; h != nil; h = h.next {
		if !visit(h) {
			return
		}
	}
	for h := r.firstThread; h != from; h = h.next {
		if !visit(h) {
			return
		}
	}
	if !visitedMain {
		do(main)
	}
}

// children yields the children of one list, oldest first.
func (s *state) children(b *brood, do func(slab.Index, *row) bool) bool {
	for at := b.first; at != 0; {
		r := s.rows.At(at)
		next := r.nextSibling
		if !do(at, r) {
			return false
		}
		at = next
	}
	return true
}

func (s *state) countChildren(p *Process) int {
	r := s.row(p)
	if r == nil || p.State() == Zombie {
		return 0
	}
	n := 0
	s.broods(r, nil, func(b *brood) bool {
		for last, at := slab.Index(0), b.first; at != 0; n++ {
			last, at = at, s.rows.After(last, at).nextSibling
		}
		return true
	})
	return n
}

// appendChildren merges the lists of the process's threads by birth, as far as
// there is room.
func (s *state) appendChildren(to []*Process, p *Process) []*Process {
	r := s.row(p)
	if r == nil || p.State() == Zombie {
		return to
	}
	heads := make([]slab.Index, 0, 4) // more than one only where threads fork
	s.broods(r, nil, func(b *brood) bool {
		if b.first != 0 {
			heads = append(heads, b.first)
		}
		return true
	})
	for len(heads) > 1 && len(to) < cap(to) {
		oldest := 0
		for i, at := range heads {
			if s.rows.At(at).birth < s.rows.At(heads[oldest]).birth {
				oldest = i
			}
		}
		child := s.rows.At(heads[oldest])
		to = append(to, child.process)
		if heads[oldest] = child.nextSibling; child.nextSibling == 0 {
			heads = append(heads[:oldest], heads[oldest+1:]...)
		}
	}
	if len(heads) == 1 {
		n, last, at := len(to), slab.Index(0), heads[0]
		for to = to[:cap(to)]; at != 0 && n < len(to); n++ {
			child := s.rows.After(last, at)
			to[n] = child.process
			last, at = at, child.nextSibling
		}
		to = to[:n]
	}
	return to
}
