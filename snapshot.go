package axprocess

import (
	"cmp"
	"slices"
	"time"

	"axprocess/internal/slab"
)

// This file is about snapshots: a whole table at one moment, as values.

// Snapshot is a table at one moment: all that decides how it goes on, but for
// what its embedder keeps (data, blocked calls, notices not yet taken). It is a
// value: the table goes on without it.
type Snapshot struct {
	Seq    uint64    `json:"seq"`         // the last event before it
	At     time.Time `json:"at,omitzero"` // when that was
	MaxPID PID       `json:"max_pid"`     // what WithMaxPID set
	Cursor PID       `json:"cursor"`      // the number that was chosen last
	LastID uint64    `json:"last_id"`     // the last unique id given
	Births uint64    `json:"births"`      // the last place in the order of joining parents
	Init   PID       `json:"init"`        // 0: there is none yet

	PendingLimit int `json:"pending_limit"`          // what WithPendingLimit set
	LineageDepth int `json:"lineage_depth,omitzero"` // what WithLineage set

	Namespaces []NamespaceImage `json:"namespaces,omitempty"` // below the table's own, ascending by unique id

	Sessions  []SessionImage `json:"-"` // ascending by sid
	Groups    []GroupImage   `json:"-"` // ascending by pgid
	Processes []ProcessImage `json:"-"` // ascending by pid
}

// Snapshot takes a consistent cut. The lock is held for 40 to 120 ns a process with
// a thread (BenchmarkSnapshotLock: some 80 ms for a million); what takes longer is
// done outside, and so are the allocations, but for processes with signal state and
// the like. O(all of it).
func (t *Table) Snapshot() *Snapshot {
	snap, c := t.cut()
	c.snapshot(snap)
	return snap
}

// cut takes all under the lock, once there is room for it.
func (t *Table) cut() (*Snapshot, *cut) {
	s := t.enter()
	need := s.room()
	s.leave()
	for {
		have := need
		c := newCut(have)
		s := t.enter()
		if need = s.room(); need.fits(have) {
			snap := s.header()
			c.fill(s)
			s.leave()
			return snap, c
		}
		s.leave()
		need.rows += need.rows / 8 // others are writing
		need.threads += need.threads / 8
	}
}

// header is a snapshot without what it is about.
func (s *state) header() *Snapshot {
	snap := &Snapshot{MaxPID: s.numbers.max, Cursor: s.numbers.cursor, LastID: s.nextID, Births: s.births, PendingLimit: s.pendingLimit}
	if s.log != nil {
		snap.Seq, snap.At = s.log.last, s.log.lastAt
	}
	if s.lineage != nil {
		snap.LineageDepth = s.lineage.depth
	}
	if s.init != nil {
		snap.Init = s.init.pid
	}
	return snap
}

// snapshot works out from a cut what the table was.
func (c *cut) snapshot(to *Snapshot) {
	last := slab.Index(0)
	for i := range c.rows {
		last = max(last, c.rows[i].at)
	}
	place := make([]int32, last+1) // of a row's index in c.rows
	order := make([]int32, len(c.rows))
	for i := range c.rows {
		place[c.rows[i].at], order[i] = int32(i), int32(i)
	}
	pid := func(at slab.Index) PID { return c.rows[place[at]].process.pid }
	slices.SortFunc(order, func(a, b int32) int { return cmp.Compare(c.rows[a].process.pid, c.rows[b].process.pid) })
	to.Processes = make([]ProcessImage, len(c.rows))
	for i, at := range order {
		m := &to.Processes[i]
		*m = c.image(int(at), pid)
		m.data = c.rows[at].process.data
		for j := range m.Lineage {
			m.Lineage[j].data = c.extras[c.rows[at].extra-1].lineage[j].data
		}
		for j, h := range c.threads[c.rows[at].firstThread:][:len(m.Threads)] {
			m.Threads[j].data = h.thread.data
		}
	}
	to.Namespaces = sortedSpaces(c.spaces)
	groups := c.groups
	for _, v := range c.sessions {
		m := SessionImage{SID: v.session.sid, ID: v.session.id, Groups: make([]PID, v.n), Home: v.home, TerminalImage: v.terminal, data: v.data}
		for i := range m.Groups {
			m.Groups[i] = groups[i].group.pgid
		}
		groups = groups[v.n:]
		to.Sessions = append(to.Sessions, m)
	}
	for _, g := range c.groups {
		m := GroupImage{PGID: g.group.pgid, ID: g.group.id, SID: g.group.session.sid, Founder: g.founder, Members: make([]PID, 0, g.n), Home: g.home}
		for at := g.first; at != 0; at = c.rows[place[at]].nextMember {
			m.Members = append(m.Members, pid(at))
		}
		to.Groups = append(to.Groups, m)
	}
	slices.SortFunc(to.Groups, func(a, b GroupImage) int { return cmp.Compare(a.PGID, b.PGID) })
}
