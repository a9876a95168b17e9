package axprocess

import (
	"fmt"

	"axprocess/internal/slab"
)

// This file is about the invariants of what happens to processes: stops, blocked
// waits, vfork holds. check.go has those of the structure, and the list.

func (s *state) checkStops() error {
	stopped := map[*ProcessGroup]int{}
	telling := map[slab.Index]slab.Index{} // child with something to report to its parent
	for _, p := range s.procs.All() {
		r := s.rows.At(p.at)
		if r.stopped() {
			if p.State() != Running {
				return fmt.Errorf("process %d is %s and stopped", p.pid, p.State())
			}
			stopped[p.group.Load()]++
		}
		if r.extra != nil && r.extra.stop.unreported != 0 && r.parent != 0 {
			telling[p.at] = r.parent
		}
	}
	for _, g := range s.groups.All() {
		if int(g.stopped) != stopped[g] {
			return fmt.Errorf("group %d has %d stopped members and counts %d", g.pgid, stopped[g], g.stopped)
		}
	}
	for _, p := range s.procs.All() {
		var err error
		s.changed(p.at, func(at slab.Index, r *row) {
			if telling[at] != p.at && err == nil {
				err = fmt.Errorf("process %d expects a report from %d, which has none for it", p.pid, r.process.pid)
			}
			delete(telling, at)
		})
		if err != nil {
			return err
		}
	}
	if len(telling) > 0 {
		return fmt.Errorf("%d children have a report that their parent can't find", len(telling))
	}
	return nil
}

func (s *state) checkWaits() error {
	for _, p := range s.procs.All() {
		r := s.rows.At(p.at)
		if r.extra == nil {
			continue
		}
		if r.extra.waits.all.first != nil && p.State() == Zombie {
			return fmt.Errorf("zombie %d waits", p.pid)
		}
		for w := r.extra.waits.all.first; w != nil; w = w.next(ofProcess) {
			if w.process != p || w.list == nil || w.completed {
				return fmt.Errorf("process %d lists a wait that is not its own, or is over", p.pid)
			}
			if r.stopped() {
				continue // it looks again when it continues
			}
			look := w.want
			look.opts |= WNOWAIT
			var found WaitResult
			if s.poll(p.at, w.thread, &look, &found); found.Cause != 0 &&
				!r.extra.waits.missed {
				return fmt.Errorf("process %d is blocked in a wait for %s, and %d has %s", p.pid, w.target(), found.PID, found.Cause)
			}
		}
	}
	return nil
}

func (s *state) checkHolds() error {
	for _, p := range s.procs.All() {
		r := s.rows.At(p.at)
		if r.extra == nil || r.extra.vforker == nil {
			continue
		}
		hold := r.extra.vforker
		if hold.child != p || p.State() == Zombie {
			return fmt.Errorf("process %d holds its vfork parent and is another, or has exited", p.pid)
		}
		if held := s.row(hold.process); held == nil || held.holdOf(hold.thread) != hold {
			return fmt.Errorf("process %d holds %d, which does not know it", p.pid, hold.process.pid)
		}
	}
	for _, h := range s.threads.All() {
		if h.extra == nil || h.extra.hold == nil {
			continue
		}
		child := h.extra.hold.child
		if r := s.row(child); r == nil || r.extra == nil || r.extra.vforker != h.extra.hold {
			return fmt.Errorf("thread %d is held by %d, which does not know it", h.TID(), child.pid)
		}
	}
	return nil
}

func (s *state) checkTerminals() error {
	for _, v := range s.sessions.All() {
		if term := v.terminal; term != nil && term.session != v {
			return fmt.Errorf("session %d has a terminal that another has", v.sid)
		}
	}
	for _, p := range s.procs.All() {
		if r := s.rows.At(p.at); r.flags&flagTerminal != 0 && p.group.Load().session.terminal == nil {
			return fmt.Errorf("process %d has a terminal, and its session none", p.pid)
		}
	}
	for n, u := range s.uses {
		if u.n != n || u.over || !s.numbers.inUse(n) {
			return fmt.Errorf("number %d is a foreground, and nothing goes by it", n)
		}
	}
	return nil
}
