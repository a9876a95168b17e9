package axprocess

import "fmt"

// This file is about the invariants of signals: what a process does on them, what
// is pending, who waits for one.

func (s *state) checkDispositions() error {
	for _, p := range s.procs.All() {
		r := s.rows.At(p.at)
		does := r.does()
		if (does.ignored&does.caught|(does.ignored|does.caught)&unblockable)|does.defers&^does.caught != 0 {
			return fmt.Errorf("process %d ignores %#x and catches %#x", p.pid, does.ignored, does.caught)
		}
		if (does.ignored&SIGCHLD.set() != 0) != (r.flags&flagIgnoresChild != 0) {
			return fmt.Errorf("process %d ignores SIGCHLD, or its children are not told", p.pid)
		}
	}
	if defaultActions != (actions{}) {
		return fmt.Errorf("the default of all signals was changed")
	}
	return nil
}

func (s *state) checkPending() error {
	for _, p := range s.procs.All() {
		r := s.rows.At(p.at)
		total := 0
		for _, set := range r.pendingSets() {
			total += len(set.queue)
			if err := set.check(); err != nil {
				return fmt.Errorf("process %d: %w", p.pid, err)
			}
		}
		if r.extra == nil || r.extra.signals == nil {
			if total > 0 {
				return fmt.Errorf("process %d has signals pending, and counts none", p.pid)
			}
			continue
		}
		g := r.extra.signals
		if g.queued != total || total > 0 && p.State() == Zombie {
			return fmt.Errorf("process %d has %d signals queued and counts %d", p.pid, total, g.queued)
		}
		if g.target != nil && (g.target.exited.Load() || g.target.process != p) {
			return fmt.Errorf("process %d chose a thread that is not its own, or has exited", p.pid)
		}
	}
	return nil
}

// pendingSets lists all sets of a process.
func (r *row) pendingSets() []*pendingSet {
	var sets []*pendingSet
	if r.extra != nil && r.extra.signals != nil {
		sets = append(sets, &r.extra.signals.shared, &r.extra.signals.self.pending)
	}
	for h := r.firstThread; h != nil; h = h.next {
		if h.extra != nil {
			sets = append(sets, &h.extra.signals.pending)
		}
	}
	return sets
}

func (set *pendingSet) check() error {
	var seen SignalSet
	for _, info := range set.queue {
		bit := info.Signal.set()
		if bit&standard&seen != 0 {
			return fmt.Errorf("%s is pending twice", info.Signal)
		}
		seen |= bit
	}
	if seen&^set.bits != 0 {
		return fmt.Errorf("signals %#x are queued, and %#x pending", seen, set.bits)
	}
	return nil
}

func (s *state) checkCarriedOut() error {
	if len(s.todo)+len(s.aimed)+len(s.effects) > 0 || s.record {
		return fmt.Errorf("%d signals are posted and not delivered", len(s.todo))
	}
	for _, p := range s.procs.All() {
		r := s.rows.At(p.at)
		if p.State() != Running || r.stopped() || !r.alive() {
			continue
		}
		err := r.eachActor(func(h *Thread) error {
			own := r.reads(h)
			if through := (own.pending.bits | r.sharedBits()) &^ own.mask &^ r.does().caught; through != 0 {
				return fmt.Errorf("process %d lets %#x through, which has a default action", p.pid, through)
			}
			if own.mask&unblockable != 0 {
				return fmt.Errorf("process %d blocks SIGKILL or SIGSTOP", p.pid)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// eachActor calls do for each live thread, or with nil for a process that is its
// own, until it returns an error.
func (r *row) eachActor(do func(*Thread) error) error {
	if r.firstThread == nil {
		return do(nil)
	}
	for h := r.firstThread; h != nil; h = h.next {
		if err := do(h); err != nil {
			return err
		}
	}
	return nil
}

func (s *state) checkSignalWaits() error {
	for _, p := range s.procs.All() {
		r := s.rows.At(p.at)
		err := r.eachActor(func(h *Thread) error {
			own := r.reads(h)
			switch w := own.wait; {
			case w == nil:
			case w.over || p.State() == Zombie:
				return fmt.Errorf("process %d awaits signals in a wait that is over", p.pid)
			case p.State() == Running && !r.stopped() && w.set&(own.pending.bits|r.sharedBits()&^r.forOthers(h)) != 0:
				return fmt.Errorf("process %d awaits %#x, and has %#x", p.pid, w.set, own.pending.bits|r.sharedBits())
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// forOthers returns the signals whose handler another thread than h may run.
func (r *row) forOthers(h *Thread) SignalSet {
	var through SignalSet
	for other := r.firstThread; other != nil; other = other.next {
		if other != h {
			through |= ^r.maskOf(other)
		}
	}
	return through & r.does().caught
}
