package axprocess

import (
	"math/bits"
	"syscall"
)

// This file is about numbers: which are in use, and which comes next.
//
// Invariants:
//   - a number's bit is set exactly while a thread, a process (zombies
//     included), a group or a session goes by it (I3);
//   - a number that is in use is never given again (semantics 1.1; kernel:
//     struct pid, alloc_pid).

// PID is a process, thread, group or session id: one number space for all.
type PID int32

// NextPID lets the table choose: the next number after the last one chosen,
// wrapping below the maximum to 300, as the kernel's cursor does. Numbers given
// explicitly don't move the cursor (kernel: idr_alloc_cyclic, set_tid).
const NextPID PID = 0

const (
	defaultMaxPID PID = 4_194_304 // PID_MAX_LIMIT
	reservedPIDs  PID = 300       // RESERVED_PIDS: after a wrap numbers below are left to the boot's daemons
)

const (
	leafBits  = 12
	leafLen   = 1 << leafBits
	leafWords = leafLen / 64
)

// numbers is the set of numbers in use.
type numbers struct {
	max    PID
	cursor PID // the last number that next chose
	leaves pages[leaf]
	n      int
}

type leaf struct {
	words [leafWords]uint64 // in use
	named [leafWords]uint64 // in use, and a group or session has gone by it
	used  int
}

// place returns where a number's bit is.
func place(n PID) (leaf, word int, bit uint64) {
	k := uint32(n)
	return int(k >> leafBits), int(k % leafLen / 64), 1 << (k % 64)
}

func (u *numbers) inUse(n PID) bool {
	i, word, bit := place(n)
	l := u.leaves.at(i)
	return l != nil && l.words[word]&bit != 0
}

func (u *numbers) take(n PID) {
	i, word, bit := place(n)
	l := u.leaves.need(i)
	l.words[word] |= bit
	l.used++
	u.n++
}

func (u *numbers) release(n PID) {
	i, word, bit := place(n)
	l := u.leaves.all[i]
	l.words[word] &^= bit
	l.named[word] &^= bit
	l.used--
	u.n--
	if l.used == 0 {
		u.leaves.emptied(i)
	}
}

// name notes that a group or session goes by a number that is in use.
func (u *numbers) name(n PID) {
	i, word, bit := place(n)
	u.leaves.all[i].named[word] |= bit
}

// wasNamed says whether a group or session has gone by a number that is in use.
func (u *numbers) wasNamed(n PID) bool {
	i, word, bit := place(n)
	return u.leaves.all[i].named[word]&bit != 0
}

// firstFree returns the lowest number in [from, to) that is not in use, or 0.
// Full stretches of 4,096 numbers are passed in one step.
func (u *numbers) firstFree(from, to PID) PID {
	for n := from; n < to; {
		i, word, _ := place(n)
		l := u.leaves.at(i)
		if l == nil {
			return n
		}
		if l.used == leafLen {
			n = PID(i+1) << leafBits
			continue
		}
		free := ^l.words[word] >> (uint32(n) % 64)
		if free == 0 {
			n = n&^63 + 64
			continue
		}
		if n += PID(bits.TrailingZeros64(free)); n < to {
			return n
		}
	}
	return 0
}

// next chooses a number: the lowest free one above the cursor, else from 300 on.
// It returns 0 when none is left.
func (u *numbers) next() PID {
	n := u.firstFree(u.cursor+1, u.max)
	if n == 0 {
		n = u.firstFree(wrapsTo(u.cursor, u.max), min(u.cursor+1, u.max))
	}
	return n
}

// wrapsTo returns where the search for a number goes on once the end is reached.
func wrapsTo(cursor, maxPID PID) PID {
	if maxPID > reservedPIDs && cursor >= reservedPIDs {
		return reservedPIDs
	}
	return 1
}

// claim finds the number that a new thread or process will go by, without
// taking it: EINVAL, EEXIST, EAGAIN (semantics 1.1).
func (s *state) claim(op string, want PID) (PID, *Error) {
	if want == NextPID {
		n := s.numbers.next()
		if n == 0 {
			return 0, refuse(op, want, syscall.EAGAIN, "no number below %d is free", s.numbers.max)
		}
		return n, nil
	}
	if want < 0 || want >= s.numbers.max {
		return 0, refuse(op, want, syscall.EINVAL, "the number is not in 1…%d", s.numbers.max-1)
	}
	if s.numbers.inUse(want) {
		return 0, refuse(op, want, syscall.EEXIST, "the number is in use as %s", s.roles(want))
	}
	return want, nil
}

// occupy takes the number that claim found for want.
func (s *state) occupy(want, n PID) {
	if want == NextPID {
		s.numbers.cursor = n
	}
	s.numbers.take(n)
}

// reserve takes a number for a group or a session, whose process may have it.
// Number 0, of what is outside, is nobody's.
func (s *state) reserve(n PID) {
	if n != 0 && !s.numbers.inUse(n) {
		s.numbers.take(n)
	}
}

// reserveName is reserve for a group or a session.
func (s *state) reserveName(n PID) {
	if n != 0 {
		s.reserve(n)
		s.numbers.name(n)
	}
}

// vacate gives the number of a group or session back once nothing goes by it; in
// ns, and those between it and the table's own, what went by it has numbers too:
// nr in ns. nil is the table's own.
func (s *state) vacate(n PID, ns *Namespace, nr PID) {
	if k := uint32(n); n != 0 && s.numbers.inUse(n) && s.procs.Get(k) == nil && s.threads.Get(k) == nil {
		s.surrender(n, ns, nr)
	}
}

// surrender is vacate for a number that no process and no thread goes by: that of
// one which has just ended, since theirs are their own.
func (s *state) surrender(n PID, ns *Namespace, nr PID) {
	if s.numbers.wasNamed(n) && (s.groups.Get(uint32(n)) != nil || s.sessions.Get(uint32(n)) != nil) {
		return
	}
	s.numbers.release(n)
	if len(s.uses) > 0 {
		s.useEnds(n)
	}
	if ns != nil {
		s.vacateBelow(ns, nr)
	}
}

// roles names what goes by a number.
func (s *state) roles(n PID) string {
	switch k := uint32(n); {
	case s.procs.Get(k) != nil:
		return "a process"
	case s.threads.Get(k) != nil:
		return "a thread"
	case s.sessions.Get(k) != nil:
		return "a session"
	default:
		return "a process group"
	}
}
