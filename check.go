package axprocess

import (
	"fmt"

	"axprocess/internal/slab"
)

// This file is about what must always hold. Each invariant has a number, which
// comments elsewhere refer to, one line of text, and a function.

type invariant struct {
	name, text string
	holds      func(*state) error
}

var invariants = [...]invariant{
	{"I1", "each process that isn't freed has one row, and the row its one handle", (*state).checkRows},
	{"I2", "a look-up by number finds what goes by that number, and each once", (*state).checkLookups},
	{"I3", "a number is in use exactly while something goes by it", (*state).checkNumbers},
	{"I4", "live threads are listed by their process, exited ones by nobody, and a zombie has none", (*state).checkThreads},
	{"I5", "each child is in its parent's list once, in the order of joining, and its parent lives", (*state).checkChildren},
	{"I6", "the zombies that can be waited for are exactly the zombies of the list, the oldest first", (*state).checkZombies},
	{"I7", "each process is a member of its group, and each group has a member", (*state).checkGroups},
	{"I8", "each group is in its session's list, and each session has a group", (*state).checkSessions},
	{"I9", "parents lead to a process without parent, and the init is one", (*state).checkAncestry},
	{"I10", "subreapers are counted, and what is below one is marked", (*state).checkSubreapers},
	{"I11", "a group counts its stopped members, and only what lives is stopped", (*state).checkStops},
	{"I12", "a blocked wait has something to wait for, and nothing that it could return", (*state).checkWaits},
	{"I13", "a held vfork parent and its child refer to each other", (*state).checkHolds},
	{"I14", "a terminal and its session refer to each other, and a process has its session's or none", (*state).checkTerminals},
	{"I15", "a signal has one disposition, and SIGKILL and SIGSTOP the default", (*state).checkDispositions},
	{"I16", "a standard signal is pending once at most, and what is queued is counted", (*state).checkPending},
	{"I17", "what is posted is delivered, and what is let through and has no handler carried out", (*state).checkCarriedOut},
	{"I18", "a thread awaits no signal that is pending for it", (*state).checkSignalWaits},
	{"I19", "a number in a namespace leads to one thing, in each namespace above too", (*state).checkLevels},
	{"I20", "a namespace is closed when its init exits, which waits until it is alone", (*state).checkSpaces},
}

// Check returns nil, or the first invariant that does not hold, by its number. A
// table that fails it has a bug of ours. O(everything), under the lock.
func (t *Table) Check() error {
	s := t.enter()
	defer s.leave()
	for _, v := range invariants {
		if err := v.holds(s); err != nil {
			return fmt.Errorf("%s broken (%s): %w", v.name, v.text, err)
		}
	}
	return nil
}

func (s *state) checkRows() error {
	for n, p := range s.procs.All() {
		if p.at == 0 {
			return fmt.Errorf("process %d is in the table without a row", n)
		}
		if r := s.rows.At(p.at); r.process != p {
			return fmt.Errorf("the row of process %d belongs to another", n)
		}
		if st := p.State(); st < Running || st > Zombie {
			return fmt.Errorf("process %d is in the table in state %q", n, st)
		}
	}
	if s.rows.Len() != s.procs.Len() {
		return fmt.Errorf("%d rows for %d processes", s.rows.Len(), s.procs.Len())
	}
	return nil
}

func (s *state) checkLookups() error {
	ids := map[uint64]PID{}
	unique := func(id uint64, n PID) error {
		if other, taken := ids[id]; taken || id == 0 || id > s.nextID {
			return fmt.Errorf("unique id %d of %d is also that of %d, or was never given", id, n, other)
		}
		ids[id] = n
		return nil
	}
	for n, p := range s.procs.All() {
		if p.pid != PID(n) {
			return fmt.Errorf("number %d finds process %d", n, p.pid)
		}
		if err := unique(p.id, p.pid); err != nil {
			return err
		}
	}
	for n, h := range s.threads.All() {
		if h.TID() != PID(n) {
			return fmt.Errorf("number %d finds thread %d", n, h.TID())
		}
		if err := unique(h.id, h.TID()); err != nil {
			return err
		}
	}
	for n, g := range s.groups.All() {
		if g.pgid != PID(n) {
			return fmt.Errorf("number %d finds group %d", n, g.pgid)
		}
		if err := unique(g.id, g.pgid); err != nil {
			return err
		}
	}
	for n, v := range s.sessions.All() {
		if v.sid != PID(n) {
			return fmt.Errorf("number %d finds session %d", n, v.sid)
		}
		if err := unique(v.id, v.sid); err != nil {
			return err
		}
	}
	return nil
}

func (s *state) checkNumbers() error {
	used := map[PID]bool{}
	for n := range s.procs.All() {
		used[PID(n)] = true
	}
	for n := range s.threads.All() {
		used[PID(n)] = true
	}
	for n := range s.groups.All() {
		used[PID(n)] = true
	}
	for n := range s.sessions.All() {
		used[PID(n)] = true
	}
	delete(used, 0)
	for n := range used {
		if !s.numbers.inUse(n) {
			return fmt.Errorf("number %d is not in use, but is %s", n, s.roles(n))
		}
	}
	for n := range s.groups.All() {
		if n != 0 && !s.numbers.wasNamed(PID(n)) {
			return fmt.Errorf("number %d is not known as that of a group", n)
		}
	}
	for n := range s.sessions.All() {
		if n != 0 && !s.numbers.wasNamed(PID(n)) {
			return fmt.Errorf("number %d is not known as that of a session", n)
		}
	}
	if len(used) != s.numbers.n {
		return fmt.Errorf("%d numbers are in use, and something goes by %d", s.numbers.n, len(used))
	}
	for i, l := range s.numbers.leaves.all {
		if l == nil {
			continue
		}
		n := 0
		for at := range PID(leafLen) {
			if s.numbers.inUse(PID(i)<<leafBits + at) {
				n++
			}
		}
		if n != l.used || (n == 0) != (s.numbers.leaves.idle == i+1) {
			return fmt.Errorf("of numbers %d… %d are in use, and %d are counted", i<<leafBits, n, l.used)
		}
	}
	return nil
}

func (s *state) checkThreads() error {
	total := 0
	for _, p := range s.procs.All() {
		r := s.rows.At(p.at)
		var prev *Thread
		n := int32(0)
		for h := r.firstThread; h != nil; prev, h = h, h.next {
			switch {
			case h.prev != prev:
				return fmt.Errorf("thread %d of process %d: its links disagree", h.TID(), p.pid)
			case h.process != p:
				return fmt.Errorf("thread %d is listed by process %d and belongs to %d", h.TID(), p.pid, h.process.pid)
			case h.exited.Load():
				return fmt.Errorf("thread %d of process %d has exited and is listed", h.TID(), p.pid)
			case s.threads.Get(uint32(h.TID())) != h:
				return fmt.Errorf("thread %d of process %d is not found by its number", h.TID(), p.pid)
			}
			n++
		}
		if prev != r.lastThread || n != r.nthreads {
			return fmt.Errorf("process %d lists %d threads and counts %d", p.pid, n, r.nthreads)
		}
		if n > 0 && p.State() == Zombie {
			return fmt.Errorf("zombie %d has %d threads", p.pid, n)
		}
		if n > 0 && r.flags&flagHadThreads == 0 {
			return fmt.Errorf("process %d has threads and never had", p.pid)
		}
		if n > 0 && (r.flags&flagLeaderGone != 0) == (s.threads.Get(uint32(p.pid)) != nil) && r.flags&flagLeaderGone != 0 {
			return fmt.Errorf("process %d has a leader, and its leader has exited", p.pid)
		}
		total += int(n)
	}
	if total != s.threads.Len() {
		return fmt.Errorf("processes list %d threads, the table %d", total, s.threads.Len())
	}
	return nil
}

func (s *state) checkChildren() error {
	listed := 0
	for _, p := range s.procs.All() {
		r := s.rows.At(p.at)
		if p.State() == Zombie {
			continue
		}
		var err error
		s.broods(r, nil, func(b *brood) bool {
			err = s.checkBrood(p, b, &listed)
			return err == nil
		})
		if err != nil {
			return err
		}
	}
	roots := 0
	for _, p := range s.procs.All() {
		if s.rows.At(p.at).parent == 0 {
			roots++
		}
	}
	if listed+roots != s.procs.Len() {
		return fmt.Errorf("%d processes: %d are children of somebody, %d have no parent", s.procs.Len(), listed, roots)
	}
	return nil
}

func (s *state) checkBrood(p *Process, b *brood, listed *int) error {
	var prev slab.Index
	var birth uint64
	for at := b.first; at != 0; {
		child := s.rows.At(at)
		switch {
		case child.parent != p.at:
			return fmt.Errorf("process %d lists %d, whose parent is another", p.pid, child.process.pid)
		case s.broodOf(child.parent, child.owner) != b:
			return fmt.Errorf("child %d of process %d is in another thread's list than its own", child.process.pid, p.pid)
		case child.prevSibling != prev:
			return fmt.Errorf("child %d of process %d: its links disagree", child.process.pid, p.pid)
		case child.birth <= birth || child.birth > s.births:
			return fmt.Errorf("child %d of process %d is listed out of order", child.process.pid, p.pid)
		}
		*listed++
		prev, birth, at = at, child.birth, child.nextSibling
	}
	if b.last != prev {
		return fmt.Errorf("process %d: the list of children has another end", p.pid)
	}
	return nil
}

func (s *state) checkZombies() error {
	for _, p := range s.procs.All() {
		if p.State() == Zombie {
			continue
		}
		var err error
		s.broods(s.rows.At(p.at), nil, func(b *brood) bool {
			err = s.checkHeap(p, b)
			return err == nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *state) checkHeap(p *Process, b *brood) error {
	zombies := map[slab.Index]bool{}
	s.children(b, func(at slab.Index, r *row) bool {
		if r.process.State() == Zombie {
			zombies[at] = true
		}
		return true
	})
	n := 0
	var walk func(at, prev, above slab.Index) error
	walk = func(at, prev, above slab.Index) error {
		for ; at != 0; prev, at = at, *s.rows.At(at).heapNext() {
			r := s.rows.At(at)
			if !zombies[at] {
				return fmt.Errorf("parent %d can wait for %d, which is no zombie child", p.pid, r.process.pid)
			}
			if n++; n > len(zombies) {
				return fmt.Errorf("parent %d can wait for a child twice", p.pid)
			}
			if *r.heapPrev() != prev {
				return fmt.Errorf("zombie %d: its links disagree", r.process.pid)
			}
			if above != 0 && r.birth <= s.rows.At(above).birth {
				return fmt.Errorf("zombie %d is below a younger one", r.process.pid)
			}
			if err := walk(*r.heapChild(), at, at); err != nil {
				return err
			}
		}
		return nil
	}
	if err := walk(b.zombies, 0, 0); err != nil {
		return err
	}
	if n != len(zombies) {
		return fmt.Errorf("parent %d has %d zombies and can wait for %d", p.pid, len(zombies), n)
	}
	return nil
}

func (s *state) checkGroups() error {
	total := 0
	for _, g := range s.groups.All() {
		if !g.live {
			return fmt.Errorf("group %d has ended and is in the table", g.pgid)
		}
		var prev slab.Index
		n := 0
		for at := g.first; at != 0; {
			r := s.rows.At(at)
			if r.process == nil || r.process.group.Load() != g {
				return fmt.Errorf("group %d lists a process that is in another", g.pgid)
			}
			if r.prevMember != prev {
				return fmt.Errorf("member %d of group %d: its links disagree", r.process.pid, g.pgid)
			}
			n++
			prev, at = at, r.nextMember
		}
		if g.last != prev || n != int(g.n) || n == 0 {
			return fmt.Errorf("group %d lists %d members and counts %d", g.pgid, n, g.n)
		}
		total += n
	}
	if total != s.procs.Len() {
		return fmt.Errorf("groups have %d members, the table %d processes", total, s.procs.Len())
	}
	return nil
}

func (s *state) checkSessions() error {
	total := 0
	for _, v := range s.sessions.All() {
		var prev *ProcessGroup
		n := 0
		for g := v.first; g != nil; prev, g = g, g.next {
			if g.session != v || g.prev != prev {
				return fmt.Errorf("session %d and group %d disagree", v.sid, g.pgid)
			}
			if s.groups.Get(uint32(g.pgid)) != g {
				return fmt.Errorf("group %d of session %d is not found by its number", g.pgid, v.sid)
			}
			n++
		}
		if prev != v.last || n != int(v.n) || n == 0 || !v.live {
			return fmt.Errorf("session %d lists %d groups and counts %d", v.sid, n, v.n)
		}
		total += n
	}
	if total != s.groups.Len() {
		return fmt.Errorf("sessions have %d groups, the table %d", total, s.groups.Len())
	}
	return nil
}

func (s *state) checkAncestry() error {
	if s.init == nil {
		if s.procs.Len() > 0 {
			return fmt.Errorf("%d processes and no init", s.procs.Len())
		}
		return nil
	}
	if s.init.State() >= Zombie || s.rows.At(s.init.at).parent != 0 {
		return fmt.Errorf("init %d has a parent or has exited", s.init.pid)
	}
	sound := map[slab.Index]bool{0: true}
	for _, p := range s.procs.All() {
		var path []slab.Index
		for at := p.at; !sound[at]; at = s.rows.At(at).parent {
			if path = append(path, at); len(path) > s.procs.Len() {
				return fmt.Errorf("process %d is its own ancestor", p.pid)
			}
		}
		for _, at := range path {
			if parent := s.rows.At(at).parent; parent != 0 && s.rows.At(parent).process.State() == Zombie {
				return fmt.Errorf("process %d has a zombie for a parent", s.rows.At(at).process.pid)
			}
			sound[at] = true
		}
	}
	return nil
}

func (s *state) checkSubreapers() error {
	n := 0
	for _, p := range s.procs.All() {
		r := s.rows.At(p.at)
		if r.flags&flagSubreaper != 0 {
			n++
			if p.State() == Zombie {
				return fmt.Errorf("zombie %d is a subreaper", p.pid)
			}
		}
		if r.parent == 0 {
			continue
		}
		if above := s.rows.At(r.parent); above.flags&flagSubreaper != 0 && !s.immune(above) && r.flags&flagBelowSubreaper == 0 {
			return fmt.Errorf("process %d is not marked as below subreaper %d", p.pid, above.process.pid)
		}
	}
	if n != s.subreapers {
		return fmt.Errorf("%d subreapers, and %d are counted", n, s.subreapers)
	}
	return nil
}
