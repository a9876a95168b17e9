package axprocess

import (
	"cmp"
	"slices"
)

// This file is about what snapshots and events say of pid namespaces.
//
// Listed is each namespace that something refers to: who is in it or has a number
// of it, whose children will be born into it, and those above such.

// NamespaceImage is a pid namespace below the table's own at one moment.
type NamespaceImage struct {
	ID     uint64 `json:"id"`
	Parent uint64 `json:"parent,omitzero"` // unique id of the one above; 0: the table's own
	Cursor PID    `json:"cursor,omitzero"` // the number that was chosen in it last
	Closed bool   `json:"closed,omitzero"` // its init has begun to exit
}

// Home says where something with a number is at home, if that is below the table's
// own namespace.
type Home struct {
	Namespace uint64 `json:"namespace,omitzero"` // unique id
	Numbers   []PID  `json:"numbers,omitempty"`  // at level 1, 2, … down to there
}

// home is what has number nr in ns; nil is the table's own.
func (ns *Namespace) home(nr PID) Home {
	if ns == nil {
		return Home{}
	}
	return Home{ns.id, ns.chain(nr)}
}

// note takes a namespace into a cut, and those above.
func (c *cut) note(ns *Namespace) {
	for ; ns != nil && ns.level > 0; ns = ns.parent {
		if _, known := c.spaces[ns.id]; known {
			return
		}
		if c.spaces == nil {
			c.spaces = map[uint64]NamespaceImage{}
		}
		c.spaces[ns.id] = NamespaceImage{ID: ns.id, Parent: ns.parent.id, Cursor: ns.levels.cursor, Closed: ns.closed}
	}
}

// noteThread takes a thread's numbers into a cut; it is the last one there.
func (c *cut) noteThread(ns *Namespace, h *Thread) {
	if h.extra != nil {
		c.note(h.extra.below)
	}
	if ns != nil {
		if c.threadNumbers == nil {
			c.threadNumbers = map[int][]PID{}
		}
		c.threadNumbers[len(c.threads)-1] = ns.chain(h.number)
	}
}

func sortedSpaces(known map[uint64]NamespaceImage) []NamespaceImage {
	var list []NamespaceImage
	for _, m := range known {
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b NamespaceImage) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

func idOf(ns *Namespace) uint64 {
	if ns == nil {
		return 0
	}
	return ns.id
}

func (s *state) logSpaceMade(ns *Namespace) {
	if s.log != nil {
		s.log.add(&Event{Kind: EventNamespaceMade, ID: ns.id, ParentID: ns.parent.id})
	}
}

func (s *state) logSpaceClosed(ns *Namespace) {
	if s.log != nil {
		s.log.add(&Event{Kind: EventNamespaceClosed, ID: ns.id, Reason: "its init exits"})
	}
}

// logSpent tells of the numbers that a refused birth used up.
func (s *state) logSpent(ns *Namespace, want, n PID, asked []setNumber, nrs *[maxLevel]PID) {
	if s.log != nil {
		s.log.add(&Event{Kind: EventNumbersSpent, PID: n, Chosen: want == NextPID, Asked: ns.asked(asked),
			Home: Home{ns.id, slices.Clone(nrs[:ns.level])}, Reason: "a birth in a closed namespace"})
	}
}

// asked lists the levels at which a number was asked for.
func (ns *Namespace) asked(asked []setNumber) (levels []int) {
	for ; ns.level > 0; ns = ns.parent {
		for _, a := range asked {
			if a.space == ns && a.nr != NextPID {
				levels = append(levels, ns.level)
			}
		}
	}
	return levels
}

// space is Apply for events about namespaces alone.
func (r *Replica) space(e *Event) string {
	switch e.Kind {
	case EventNamespaceMade:
		if len(r.spaces) > 64+4*len(r.processes) { // most are of no use any more
			r.listSpaces(new(Snapshot))
		}
		r.spaces[e.ID] = NamespaceImage{ID: e.ID, Parent: e.ParentID}
	case EventNamespaceClosed:
		m, known := r.spaces[e.ID]
		if !known {
			return "the namespace is unknown"
		}
		m.Closed = true
		r.spaces[e.ID] = m
	default:
		r.chose(e, e.PID)
	}
	return ""
}

// chose moves the cursors to the numbers that a birth was given.
func (r *Replica) chose(e *Event, n PID) {
	if e.Chosen {
		r.head.Cursor = n
	}
	id := e.Namespace
	for level := len(e.Numbers); level > 0; level-- {
		m := r.spaces[id]
		if !slices.Contains(e.Asked, level) {
			m.Cursor = e.Numbers[level-1]
			r.spaces[id] = m
		}
		id = m.Parent
	}
}

// homeOf is that of the process that a group or a session takes its number from.
func (r *Replica) homeOf(pid PID) Home {
	if p := r.processes[pid]; p != nil {
		return p.Home
	}
	return Home{}
}

// listSpaces lists the namespaces that something refers to, and forgets the others.
func (r *Replica) listSpaces(snap *Snapshot) {
	kept := map[uint64]NamespaceImage{}
	keep := func(id uint64) {
		for ; id != 0; id = r.spaces[id].Parent {
			kept[id] = r.spaces[id]
		}
	}
	for _, p := range r.processes {
		keep(p.Namespace)
		keep(p.Self.Below)
		for _, h := range p.Threads {
			keep(h.Below)
		}
	}
	for _, g := range r.groups {
		keep(g.Namespace)
	}
	for _, v := range r.sessions {
		keep(v.Namespace)
	}
	r.spaces = kept
	snap.Namespaces = sortedSpaces(kept)
}
