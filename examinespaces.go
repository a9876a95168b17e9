package axprocess

import "slices"

// This file is about whether the namespaces of a snapshot can be: each is below
// one that is listed before, and each number in it means one thing.

// spaces looks at the namespaces, and at all that is numbered in them.
func (x *inspection) spaces() {
	known := map[uint64]*NamespaceImage{}
	level := map[uint64]int{0: 0}
	for i := range x.from.Namespaces {
		m := &x.from.Namespaces[i]
		above, listed := level[m.Parent]
		switch {
		case !listed:
			x.say("namespace", i, PID(i), "namespace %d is below one that is not listed before it", m.ID)
		case above == maxLevel:
			x.say("namespace", i, PID(i), "namespace %d is at level %d", m.ID, above+1)
		case m.Cursor < 0 || m.Cursor >= x.max:
			x.say("namespace", i, PID(i), "namespace %d: the number chosen last, %d, is not in 0…%d", m.ID, m.Cursor, x.max-1)
		}
		x.unique("namespace", i, PID(i), m.ID)
		known[m.ID], level[m.ID] = m, above+1
	}
	if x.err != nil {
		return
	}
	in := homes{x, known, level, map[levelNumber]PID{}, map[PID]Home{}}
	for i := range x.from.Processes {
		m := &x.from.Processes[i]
		in.look("process", i, m.PID, m.Home)
		in.below("process", i, m.PID, m.Namespace, m.Self.Below)
		if m.Waits && (m.State != Exiting || len(m.Numbers) == 0 || m.Numbers[len(m.Numbers)-1] != 1) {
			x.say("process", i, m.PID, "it waits for its namespace, and is no init that exits")
		}
		for _, h := range m.Threads {
			in.look("process", i, h.TID, Home{m.Namespace, h.Numbers})
			in.below("process", i, m.PID, m.Namespace, h.Below)
		}
	}
	for i := range x.from.Groups {
		in.look("group", i, x.from.Groups[i].PGID, x.from.Groups[i].Home)
	}
	for i := range x.from.Sessions {
		in.look("session", i, x.from.Sessions[i].SID, x.from.Sessions[i].Home)
	}
}

// homes is what the numbers of namespaces were found to mean.
type homes struct {
	*inspection
	known map[uint64]*NamespaceImage
	level map[uint64]int
	taken map[levelNumber]PID // to the number in the table's own
	home  map[PID]Home
}

type levelNumber struct {
	namespace uint64
	n         PID
}

// look: what goes by n has one home, and there and above numbers that are nobody
// else's.
func (x *homes) look(part string, i int, n PID, h Home) {
	if first, seen := x.home[n]; seen && (first.Namespace != h.Namespace || !slices.Equal(first.Numbers, h.Numbers)) {
		x.say(part, i, n, "%d has numbers %v in namespace %d, and %v in %d", n, h.Numbers, h.Namespace, first.Numbers, first.Namespace)
	}
	x.home[n] = h
	depth, known := x.level[h.Namespace]
	if !known || depth != len(h.Numbers) {
		x.say(part, i, n, "%d has %d numbers in namespace %d, which is not listed or at another level", n, len(h.Numbers), h.Namespace)
		return
	}
	for id := h.Namespace; id != 0; id = x.known[id].Parent {
		at := levelNumber{id, h.Numbers[x.level[id]-1]}
		if at.n <= 0 || at.n >= x.max {
			x.say(part, i, n, "number %d in namespace %d is not in 1…%d", at.n, id, x.max-1)
		}
		if other, seen := x.taken[at]; seen && other != n {
			x.say(part, i, n, "number %d in namespace %d is that of %d and of %d", at.n, id, n, other)
		}
		x.taken[at] = n
	}
}

// below: children to come are born below their parent's namespace.
func (x *homes) below(part string, i int, n PID, own, below uint64) {
	if below == 0 {
		return
	}
	if x.known[below] == nil {
		x.say(part, i, n, "its children are born into namespace %d, which is not listed", below)
		return
	}
	for id := x.known[below].Parent; id != own; id = x.known[id].Parent {
		if id == 0 {
			x.say(part, i, n, "its children are born into namespace %d, which is not below its own", below)
			return
		}
	}
}
