package replay

import (
	"axprocess"
	"axprocess/trace/strace"
)

// This file is about numbers: a log has those that the callers saw, each in its
// pid namespace; the table has one number for each process, thread, group and
// session. In strace's own namespace they are the same, but for those that the
// log has not told yet.
//
// Invariant: a number of the log, in one namespace and one role, stands for one
// number of the table at a time.

// unknownFrom is the first table number given to what the log has not numbered.
const unknownFrom axprocess.PID = 1 << 23

// hidden stands for a number that strace's own namespace has none for: it reads 0.
const hidden int32 = -1

// role is what a number is used as. Outside of the log a group, a session and a
// process can have one number, of which only some is known.
type role uint8

const (
	asProcess role = iota // or a thread
	asGroup
	asSession
)

// namespace is a pid namespace.
type namespace struct {
	up      *namespace // nil: strace's own
	init    *proc
	gone    bool                       // its init has ended
	foreign bool                       // it is older than the log, or was entered by setns: its init is not known
	to      [3]map[int32]axprocess.PID // by role; in strace's own only exceptions
	from    [3]map[axprocess.PID]int32 // likewise
}

func newNamespace(up *namespace) *namespace {
	ns := &namespace{up: up}
	for r := range ns.to {
		ns.to[r], ns.from[r] = map[int32]axprocess.PID{}, map[axprocess.PID]int32{}
	}
	return ns
}

// roleOf: inside of a namespace all is born in sight, so there roles can't differ.
func (ns *namespace) roleOf(r role) role {
	if ns.up != nil {
		return asProcess
	}
	return r
}

// bind notes that n in ns is p.
func (ns *namespace) bind(n int32, p axprocess.PID, r role) {
	r = ns.roleOf(r)
	if old, ok := ns.from[r][p]; ok && ns.to[r][old] == p {
		delete(ns.to[r], old)
	}
	ns.to[r][n], ns.from[r][p] = p, n
}

// table returns the table's number for n.
func (ns *namespace) table(n int32, r role) (axprocess.PID, bool) {
	if p, ok := ns.to[ns.roleOf(r)][n]; ok {
		return p, true
	}
	return axprocess.PID(n), ns.up == nil
}

// number returns what p goes by in ns; 0 if that is not known.
func (ns *namespace) number(p axprocess.PID, r role) int32 {
	if n, ok := ns.from[ns.roleOf(r)][p]; ok {
		return n
	}
	if ns.up == nil && p < unknownFrom {
		return int32(p)
	}
	return 0
}

// within says whether ns is other, or below it.
func (ns *namespace) within(other *namespace) bool {
	for ; ns != nil; ns = ns.up {
		if ns == other {
			return true
		}
	}
	return false
}

// sees says whether p has a number in ns: it was born in it or below.
func (e *engine) sees(ns *namespace, p axprocess.PID) bool {
	home := e.homes[p]
	if home == nil {
		home = e.top
	}
	return home.within(ns)
}

// fresh returns a number for what the log has not numbered.
func (e *engine) fresh() axprocess.PID {
	e.unknown++
	return unknownFrom + e.unknown
}

// verdict is how what was expected and what the log says compare.
type verdict uint8

const (
	differs verdict = iota
	agrees
	learned // it could not be known, and is from now on
)

// same compares a number that the log tells with the one that is expected.
func (e *engine) same(ns *namespace, logged int64, outside int32, want axprocess.PID, r role) verdict {
	if want == 0 {
		return asVerdict(logged == 0)
	}
	if !e.sees(ns, want) {
		return asVerdict(logged == 0)
	}
	if outside != 0 {
		if n := e.top.number(want, r); n != 0 {
			if n != outside {
				return differs
			}
			if inner := ns.number(want, r); inner != 0 {
				return asVerdict(int64(inner) == logged)
			}
			if ns.up != nil {
				ns.bind(int32(logged), want, r)
			}
			return agrees
		}
		e.top.bind(outside, want, r)
		ns.bind(int32(logged), want, r)
		return learned
	}
	if n := ns.number(want, r); n != 0 {
		return asVerdict(int64(n) == logged || n == hidden && logged == 0)
	}
	if logged == 0 && ns.up == nil { // strace's own namespace does not reach that far
		ns.from[ns.roleOf(r)][want] = hidden
		return learned
	}
	if logged <= 0 || logged > 1<<22 {
		return differs
	}
	if p, taken := ns.to[ns.roleOf(r)][int32(logged)]; taken && p != want {
		return differs
	}
	if q := e.byTable[axprocess.PID(logged)]; ns.up == nil && q != nil && q.life != nil && q.life.StartedBy != 0 {
		return differs // what is older than the log has no number of one that was born in it
	}
	ns.bind(int32(logged), want, r)
	return learned
}

func asVerdict(same bool) verdict {
	if same {
		return agrees
	}
	return differs
}

// argument reads a number that a call was given: the table's number for it, or
// ok false if it stands for nothing that the log has told of.
func (e *engine) argument(ns *namespace, text []byte, r role) (n int64, p axprocess.PID, ok bool) {
	n, outside, ok := strace.Pid(text)
	if !ok {
		return 0, 0, false
	}
	if outside != 0 {
		p, _ = e.top.table(outside, r)
		return n, p, true
	}
	if n <= 0 || n > 1<<22 {
		return n, axprocess.PID(n), true
	}
	if p, ok = ns.table(int32(n), r); !ok {
		return n, nobody, true
	}
	return n, p, true
}

// nobody is a number that nothing in the table goes by.
const nobody axprocess.PID = unknownFrom - 1
