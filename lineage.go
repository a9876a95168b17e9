package axprocess

import (
	"sync"
	"syscall"

	"axprocess/weakmap"
)

// This file is about lineage: who forked whom, also when the one who did has ended
// and the parent is now a reaper.
//
// Each process refers to the records of those that it descends from, the nearest
// first and as many as WithLineage says; the table refers to a record only weakly.
// So a record lives exactly as long as a descendant that is near enough, or a
// holder, refers to it, and a chain of a million forks costs no more than its last
// few.
//
// Invariant: a forker has one record at a time, whoever asks for it.

// Ancestor is what is kept of a process that has forked, once it may have ended.
type Ancestor struct {
	pid  PID
	id   uint64
	data any
}

// PID returns its number, which another may have by now.
func (a *Ancestor) PID() PID { return a.pid }

// ID returns its unique id.
func (a *Ancestor) ID() uint64 { return a.id }

// Data returns what its builder was given.
func (a *Ancestor) Data() any { return a.data }

// AncestorImage is an ancestor in a snapshot.
type AncestorImage struct {
	PID PID    `json:"pid"`
	ID  uint64 `json:"id"`

	data any
}

// lineage is what a table has that was made WithLineage. It has a lock of its own,
// which is never taken under the table's.
type lineage struct {
	depth int
	mu    sync.Mutex
	known weakmap.Map[uint64, Ancestor] // by unique id
}

// WithLineage makes each process know those that it was forked by, their forkers,
// and so on, depth levels up; see Process.Lineage. A process then takes some 250
// bytes more, and a fork O(depth). NewInit says EINVAL unless depth is in 0…1000;
// 0 keeps nothing.
func WithLineage(depth int) Option {
	return func(s *state) {
		if depth < 0 || depth > 1000 {
			s.misuse = refuse("new table", 0, syscall.EINVAL, "WithLineage(%d) is not in 0…1000", depth)
			return
		}
		if s.lineage = nil; depth > 0 {
			s.lineage = &lineage{depth: depth}
		}
	}
}

// Ancestor returns the record of the process with this unique id, or nil: it is
// there from its first fork on, for as long as a descendant within the depth, or
// somebody who holds it, needs it. No lock of the table.
func (t *Table) Ancestor(id uint64) *Ancestor {
	if t.guarded.lineage == nil {
		return nil
	}
	return t.guarded.lineage.known.Upgrade(id)
}

// Lineage returns whom p was forked by, whom that one was forked by, and so on, at
// most as many levels as WithLineage says. It stays as it was at the fork, whoever
// the parent is now. Nil for an init, an imported process, without WithLineage, and
// once p is freed. One lock pair.
func (p *Process) Lineage() []*Ancestor {
	s := p.table().enter()
	defer s.leave()
	if r := s.row(p); r != nil && r.extra != nil {
		return append([]*Ancestor(nil), r.extra.lineage...)
	}
	return nil
}

// begin returns the line of a child of p, so far only p itself.
func (l *lineage) begin(p *Process) []*Ancestor {
	line := make([]*Ancestor, 1, l.depth)
	line[0] = l.record(&Ancestor{p.pid, p.id, p.data})
	return line
}

// record returns the record of a process: the one there is, or else a.
func (l *lineage) record(a *Ancestor) *Ancestor {
	l.mu.Lock()
	defer l.mu.Unlock()
	if there := l.known.Upgrade(a.id); there != nil {
		return there
	}
	l.known.Insert(a.id, a)
	return a
}

// descend gives a child its line: its forker, and as much of the forker's own as
// there is room for.
func (child *row) descend(forker *row, line []*Ancestor) {
	if line == nil {
		return
	}
	if forker.extra != nil {
		above := forker.extra.lineage
		line = append(line, above[:min(len(above), cap(line)-len(line))]...)
	}
	child.ext().lineage = line
}

// lineageImage is the line of a process as a value, without data.
func lineageImage(line []*Ancestor) []AncestorImage {
	if len(line) == 0 {
		return nil
	}
	to := make([]AncestorImage, len(line))
	for i, a := range line {
		to[i].PID, to[i].ID = a.pid, a.id
	}
	return to
}

// restore makes the lines of a snapshot's processes, by their unique ids, as far as
// the depth goes.
func (l *lineage) restore(from *Snapshot) map[uint64][]*Ancestor {
	if l == nil {
		return nil
	}
	lines := map[uint64][]*Ancestor{}
	for i := range from.Processes {
		m := &from.Processes[i]
		var line []*Ancestor
		for _, a := range m.Lineage[:min(len(m.Lineage), l.depth)] {
			line = append(line, l.record(&Ancestor{a.PID, a.ID, a.data}))
		}
		if line != nil {
			lines[m.ID] = line
		}
	}
	return lines
}
