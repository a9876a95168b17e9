package axprocess

import "syscall"

// This file is about the numbers of a namespace below the table's own.
//
// Each number of a namespace leads to the number that the same process, thread,
// group or session has in the namespace above: one sparse array says both which
// numbers are in use and what they mean. Who has a number keeps that of its own
// namespace; those of the levels between are found by climbing.
//
// Invariants (I19):
//   - each namespace's number leads to the number in the table's own of something
//     that is in it or below it, and that something leads back;
//   - what has a number here has one in each namespace above.

const (
	levelBits = 10
	levelLen  = 1 << levelBits
	maxLevel  = 32 // MAX_PID_NS_LEVEL
)

// levels is what a namespace's numbers lead to.
type levels struct {
	cursor PID // the last number that was chosen
	pages  pages[levelPage]
	n      int
}

type levelPage struct {
	above [levelLen]PID // the number in the namespace above; 0: not in use
	used  int
}

// at returns the number above, 0 if nr is not in use.
func (l *levels) at(nr PID) PID {
	i := int(uint32(nr) >> levelBits)
	if nr <= 0 {
		return 0
	}
	if p := l.pages.at(i); p != nil {
		return p.above[nr%levelLen]
	}
	return 0
}

func (l *levels) set(nr, above PID) {
	p := l.pages.need(int(nr >> levelBits))
	p.above[nr%levelLen] = above
	p.used++
	l.n++
}

// clear gives a number back, and returns what it led to.
func (l *levels) clear(nr PID) PID {
	i := int(nr >> levelBits)
	p := l.pages.all[i]
	above := p.above[nr%levelLen]
	p.above[nr%levelLen] = 0
	l.n--
	if p.used--; p.used == 0 {
		l.pages.emptied(i)
	}
	return above
}

// firstFree returns the lowest number in [from, to) that is not in use, or 0.
func (l *levels) firstFree(from, to PID) PID {
	for n := from; n < to; {
		i := int(n >> levelBits)
		switch p := l.pages.at(i); {
		case p == nil:
			return n
		case p.used == levelLen:
			n = PID(i+1) << levelBits
			continue
		case p.above[n%levelLen] == 0:
			return n
		}
		n++
	}
	return 0
}

// after returns the lowest number above nr that is in use, or 0.
func (l *levels) after(nr PID) PID {
	for n := nr + 1; int(n>>levelBits) < len(l.pages.all); n++ {
		p := l.pages.all[n>>levelBits]
		if p == nil {
			n |= levelLen - 1
		} else if p.above[n%levelLen] != 0 {
			return n
		}
	}
	return 0
}

// next chooses a number as numbers.next does.
func (l *levels) next(maxPID PID) PID {
	if n := l.cursor + 1; n < maxPID && l.at(n) == 0 {
		return n
	}
	n := l.firstFree(l.cursor+1, maxPID)
	if n == 0 {
		n = l.firstFree(wrapsTo(l.cursor, maxPID), min(l.cursor+1, maxPID))
	}
	return n
}

// setNumber is a number that a builder asks for in one namespace.
type setNumber struct {
	space *Namespace
	nr    PID
}

// claimBelow finds the numbers that a birth in ns will go by, from ns outwards,
// without taking them: EINVAL and EEXIST for one that was asked for, EAGAIN. A
// namespace's first number is 1, its init's (kernel: alloc_pid).
func (s *state) claimBelow(op string, ns *Namespace, asked []setNumber, nrs *[maxLevel]PID) *Error {
	for ; ns.level > 0; ns = ns.parent {
		want := ns.wanted(asked)
		nr := want
		switch {
		case want == NextPID:
			if nr = ns.levels.next(s.numbers.max); nr == 0 {
				return refuse(op, want, syscall.EAGAIN, "no number below %d is free at level %d", s.numbers.max, ns.level)
			}
		case want < 0 || want >= s.numbers.max:
			return refuse(op, want, syscall.EINVAL, "the number is not in 1…%d", s.numbers.max-1)
		case want != 1 && ns.init == nil:
			return refuse(op, want, syscall.EINVAL, "the first number of a namespace is 1")
		case ns.levels.at(want) != 0:
			return refuse(op, want, syscall.EEXIST, "the number is in use at level %d", ns.level)
		}
		nrs[ns.level-1] = nr
	}
	return nil
}

// wanted returns the number that is asked for in ns.
func (ns *Namespace) wanted(asked []setNumber) PID {
	for _, a := range asked {
		if a.space == ns {
			return a.nr
		}
	}
	return NextPID
}

// isPlain says whether a birth in a namespace can be refused for no reason of the
// namespace: it is not closed, and it and those above it have a number to choose.
func (ns *Namespace) isPlain(maxPID PID) bool {
	if ns.closed {
		return false
	}
	for ; ns.level > 0; ns = ns.parent {
		if ns.levels.n >= int(maxPID-1-reservedPIDs) {
			return false
		}
	}
	return true
}

// takeNext takes the next numbers for what has number n in the table's own
// namespace, where there is room, and returns the innermost.
func (ns *Namespace) takeNext(n, maxPID PID) PID {
	if ns.level > 1 {
		n = ns.parent.takeNext(n, maxPID)
	}
	return ns.levels.takeNext(n, maxPID)
}

// takeNext is next and set, for what has number above in the namespace above.
func (l *levels) takeNext(above, maxPID PID) PID {
	n := l.cursor + 1
	if n < maxPID {
		p := l.pages.need(int(n >> levelBits))
		if p.above[n%levelLen] == 0 { // as nearly always
			p.above[n%levelLen] = above
			p.used++
			l.n++
			l.cursor = n
			return n
		}
	}
	n = l.next(maxPID)
	l.set(n, above)
	l.cursor = n
	return n
}

// spend advances the cursors past the numbers that were chosen: those of a birth
// that is refused with ENOMEM are used up too (seen; idr_alloc_cyclic).
func (ns *Namespace) spend(asked []setNumber, nrs *[maxLevel]PID) {
	for ; ns.level > 0; ns = ns.parent {
		if ns.wanted(asked) == NextPID {
			ns.levels.cursor = nrs[ns.level-1]
		}
	}
}

// occupyBelow takes the numbers that claimBelow found for what has number n in the
// table's own namespace, and returns the innermost.
func (ns *Namespace) occupyBelow(asked []setNumber, nrs *[maxLevel]PID, n PID) PID {
	own := nrs[ns.level-1]
	for ; ns.level > 0; ns = ns.parent {
		nr, above := nrs[ns.level-1], n
		if ns.level > 1 {
			above = nrs[ns.level-2]
		}
		ns.levels.set(nr, above)
		if ns.wanted(asked) == NextPID {
			ns.levels.cursor = nr
		}
	}
	return own
}

// vacateBelow gives back the numbers of what went by nr in ns, in each namespace,
// and says which of them have nobody left but a waiting init.
func (s *state) vacateBelow(ns *Namespace, nr PID) {
	for ; ns.level > 0; ns = ns.parent {
		nr = ns.levels.clear(nr)
		if ns.closed && ns.levels.n == 1 {
			s.isEmptied(ns)
		}
	}
}

func (s *state) isEmptied(ns *Namespace) { s.emptied, s.owes = append(s.emptied, ns), true }

// chain returns the numbers of what has number nr in ns, from level 1 down to it.
func (ns *Namespace) chain(nr PID) []PID {
	nrs := make([]PID, ns.level)
	for ; ns.level > 0; ns = ns.parent {
		nrs[ns.level-1] = nr
		nr = ns.levels.at(nr)
	}
	return nrs
}

// holder returns the namespace of what goes by a number of the table's own, and
// its number there; nil if that is the table's own.
func (s *state) holder(n PID) (*Namespace, PID) {
	k := uint32(n)
	if p := s.procs.Get(k); p != nil {
		r := s.row(p)
		return s.nested(r), r.number
	}
	if h := s.threads.Get(k); h != nil {
		return s.nested(s.row(h.process)), h.number
	}
	if g := s.groups.Get(k); g != nil {
		return g.space, g.number
	}
	if v := s.sessions.Get(k); v != nil {
		return v.space, v.number
	}
	return nil, 0
}
