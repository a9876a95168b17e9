package axprocess

import "fmt"

// This file is about the invariants of pid namespaces.

// held is a number of the table's own and what it is in the namespace of what goes
// by it.
type held struct {
	space *Namespace
	nr, n PID
}

// eachHeld calls do for all that goes by a number, in each of its roles.
func (s *state) eachHeld(do func(held) error) error {
	for _, p := range s.procs.All() {
		r := s.rows.At(p.at)
		if err := do(held{s.nested(r), r.number, p.pid}); err != nil {
			return err
		}
		for h := r.firstThread; h != nil; h = h.next {
			if err := do(held{s.nested(r), h.number, h.TID()}); err != nil {
				return err
			}
		}
	}
	for _, g := range s.groups.All() {
		if err := do(held{g.space, g.number, g.pgid}); err != nil {
			return err
		}
	}
	for _, v := range s.sessions.All() {
		if err := do(held{v.space, v.number, v.sid}); err != nil {
			return err
		}
	}
	return nil
}

func (s *state) checkLevels() error {
	numbers := map[*Namespace]map[PID]PID{} // number to the one in the table's own
	homes := map[PID]held{}
	err := s.eachHeld(func(h held) error {
		if other, seen := homes[h.n]; seen && other != h {
			return fmt.Errorf("%d is number %d at level %d, and %d at level %d", h.n, h.nr, levelOf(h.space), other.nr, levelOf(other.space))
		}
		homes[h.n] = h
		if h.space == nil {
			return nil
		}
		if got := h.space.outermost(h.nr); got != h.n {
			return fmt.Errorf("number %d at level %d leads to %d, and is that of %d", h.nr, h.space.level, got, h.n)
		}
		for i, nr := range h.space.chain(h.nr) {
			ns := h.space
			for ns.level != i+1 {
				ns = ns.parent
			}
			if numbers[ns] == nil {
				numbers[ns] = map[PID]PID{}
			}
			if other, seen := numbers[ns][nr]; seen && other != h.n {
				return fmt.Errorf("number %d at level %d is that of %d and of %d", nr, i+1, h.n, other)
			}
			numbers[ns][nr] = h.n
		}
		return nil
	})
	if err != nil {
		return err
	}
	for ns, known := range numbers {
		if err := ns.levels.check(len(known)); err != nil {
			return fmt.Errorf("namespace %d: %w", ns.id, err)
		}
	}
	return nil
}

func levelOf(ns *Namespace) int {
	if ns == nil {
		return 0
	}
	return ns.level
}

// check counts what is in use.
func (l *levels) check(known int) error {
	n := 0
	for i, p := range l.pages.all {
		if p == nil {
			continue
		}
		used := 0
		for _, above := range p.above {
			if above != 0 {
				used++
			}
		}
		if used != p.used || (used == 0) != (l.pages.idle == i+1) {
			return fmt.Errorf("of numbers %d… %d are in use, and %d are counted", i<<levelBits, used, p.used)
		}
		n += used
	}
	if n != l.n || n != known {
		return fmt.Errorf("%d numbers are in use, %d are counted, and something goes by %d", n, l.n, known)
	}
	return nil
}

func (s *state) checkSpaces() error {
	people := map[*Namespace]int{}
	for _, p := range s.procs.All() {
		r := s.rows.At(p.at)
		ns := s.nested(r)
		if r.parent != 0 && !s.spaceOf(r).isIn(s.spaceOf(s.rows.At(r.parent))) {
			return fmt.Errorf("process %d is not in its parent's namespace or below", p.pid)
		}
		if ns == nil {
			if r.flags&(flagInit|flagLast) != 0 {
				return fmt.Errorf("process %d is an init in the table's own namespace", p.pid)
			}
			continue
		}
		people[ns]++
		if ns.init == nil || s.row(ns.init) == nil {
			return fmt.Errorf("process %d is in namespace %d, which has no init", p.pid, ns.id)
		}
		if (ns.init == p) != (r.flags&flagInit != 0) || (r.number == 1) != (ns.init == p) {
			return fmt.Errorf("process %d is number %d of its namespace, and its init is another", p.pid, r.number)
		}
		if ns.init == p {
			if err := s.checkInit(ns, r); err != nil {
				return err
			}
		}
	}
	free := 0
	for i, ns := range s.spaces {
		if ns == nil {
			free++
		} else if int(ns.at) != i || people[ns] != ns.people || ns.people == 0 {
			return fmt.Errorf("namespace %d has %d processes and counts %d", ns.id, people[ns], ns.people)
		}
	}
	if len(s.spaces) > 0 && free != len(s.freeSpaces)+1 || len(s.spaces)-free != len(people) && len(s.spaces) > 0 {
		return fmt.Errorf("%d places of namespaces are free, and %d are kept as such", free, len(s.freeSpaces))
	}
	return nil
}

// checkInit: it is closed exactly when its init has begun to exit, and that waits
// only while it is not alone.
func (s *state) checkInit(ns *Namespace, r *row) error {
	p := r.process
	waits := r.flags&flagLast != 0
	switch {
	case ns.closed != (waits || p.State() == Zombie):
		return fmt.Errorf("namespace %d is closed: %t, and its init %d is %s", ns.id, ns.closed, p.pid, p.State())
	case waits && (p.State() != Exiting || r.nthreads > 0 || r.brood.zombies != 0):
		return fmt.Errorf("init %d waits, is %s, and has %d threads", p.pid, p.State(), r.nthreads)
	case waits && ns.levels.n == 1:
		return fmt.Errorf("init %d waits, and is alone in its namespace", p.pid)
	}
	return nil
}
