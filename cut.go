package axprocess

import "axprocess/internal/slab"

// This file is about what a snapshot takes while it holds the lock: what can
// change, and no more. What follows from that is worked out afterwards, from the
// cut alone.
//
// Invariant: of the handles that a cut refers to, only what is constant is read
// after the lock's release.

// cut is one moment of a table.
type cut struct {
	rows     []cutRow // in the order of the slab
	threads  []cutThread
	extras   []cutExtra
	groups   []cutGroup // by session, in the session's order
	sessions []cutSession

	spaces        map[uint64]NamespaceImage
	threadNumbers map[int][]PID // of those below the table's own namespace, by place in threads
}

// cutRow is a process: 72 bytes, as a million of them are written at a time.
type cutRow struct {
	process                *Process
	group                  *ProcessGroup
	birth                  uint64
	at, parent, nextMember slab.Index
	owner                  PID
	state                  uint32
	code                   int32
	flags                  flags
	threads, firstThread   int32 // how many, and where the first is
	extra                  int32 // 1 + where it is; 0: none
}

type cutExtra struct {
	stopped    Signal
	unreported WaitCause
	attributes Attributes
	lineage    []*Ancestor
	home       Home
}

type cutThread struct {
	thread     *Thread
	tid        PID
	attributes ThreadAttributes
}

type cutGroup struct {
	group   *ProcessGroup
	founder uint64
	first   slab.Index
	n       int
	home    Home
}

type cutSession struct {
	session  *Session
	n        int // groups
	terminal TerminalImage
	data     any // the terminal's
	home     Home
}

// room says how much a cut has to hold.
type room struct{ rows, threads, groups, sessions int }

func (s *state) room() room {
	return room{s.rows.Len(), s.threads.Len(), s.groups.Len(), s.sessions.Len()}
}

func (a room) fits(b room) bool {
	return a.rows <= b.rows && a.threads <= b.threads && a.groups <= b.groups && a.sessions <= b.sessions
}

// newCut makes room. What is large is written to, so that the kernel gives the
// memory now and not under the lock.
func newCut(n room) *cut {
	c := &cut{rows: make([]cutRow, n.rows), threads: make([]cutThread, n.threads), groups: make([]cutGroup, n.groups), sessions: make([]cutSession, n.sessions)}
	const stride = 32 // of 72 or 32 bytes: less than a page
	for i := 0; i < n.rows; i += stride {
		c.rows[i].code = 1
	}
	for i := 0; i < n.threads; i += stride {
		c.threads[i].tid = 1
	}
	c.rows, c.threads, c.groups, c.sessions = c.rows[:0], c.threads[:0], c.groups[:0], c.sessions[:0]
	return c
}

// fill takes the whole table.
func (c *cut) fill(s *state) {
	for at, r := range s.rows.Given() {
		if r.process != nil {
			c.add(s, at, r)
		}
	}
	for _, v := range s.sessions.All() {
		one := cutSession{session: v, n: int(v.n), terminal: v.terminalImage(), home: v.space.home(v.number)}
		c.note(v.space)
		if v.terminal != nil {
			one.data = v.terminal.data
		}
		c.sessions = append(c.sessions, one)
		for g := v.first; g != nil; g = g.next {
			c.groups = append(c.groups, cutGroup{g, g.founder, g.first, int(g.n), g.space.home(g.number)})
			c.note(g.space)
		}
	}
}

// add takes one process with its threads.
func (c *cut) add(s *state, at slab.Index, r *row) {
	p := r.process
	one := cutRow{
		process: p, group: p.group.Load(), birth: r.birth, at: at, parent: r.parent, nextMember: r.nextMember,
		state: p.state.Load(), code: p.code, flags: r.flags, threads: r.nthreads, firstThread: int32(len(c.threads)),
	}
	if r.owner != nil {
		one.owner = r.owner.TID()
	}
	ns := s.nested(r)
	if x := r.extra; x != nil || ns != nil {
		e := cutExtra{attributes: r.flags.attributes(), home: ns.home(r.number)}
		c.note(ns)
		if x != nil {
			e.stopped, e.unreported, e.lineage = x.stop.signal, x.stop.unreported, x.lineage
			e.attributes.add(x, r.flags)
			c.note(x.below)
		}
		c.extras = append(c.extras, e)
		one.extra = int32(len(c.extras))
	}
	for h := r.firstThread; h != nil; h = h.next {
		c.threads = append(c.threads, cutThread{h, h.TID(), h.attributes()})
		c.noteThread(ns, h)
	}
	c.rows = append(c.rows, one)
}

// image is what the cut's i-th process was, without data; pid tells the number of
// a parent.
func (c *cut) image(i int, pid func(slab.Index) PID) ProcessImage {
	r := &c.rows[i]
	m := ProcessImage{
		PID: r.process.pid, ID: r.process.id, Owner: r.owner, Birth: r.birth, PGID: r.group.pgid,
		State: stateIn(r.state), Cause: causeIn(r.state), Code: r.code, Attributes: r.flags.attributes(),
	}
	if r.parent != 0 {
		m.Parent = pid(r.parent)
	}
	if r.extra != 0 {
		e := &c.extras[r.extra-1]
		m.Stopped, m.Unreported, m.Attributes = e.stopped, e.unreported, e.attributes
		m.Lineage, m.Home = lineageImage(e.lineage), e.home
	}
	if r.threads > 0 {
		m.Threads = make([]ThreadImage, 0, r.threads)
		for i, h := range c.threads[r.firstThread:][:r.threads] {
			m.Threads = append(m.Threads, ThreadImage{TID: h.tid, ID: h.thread.id, ThreadAttributes: h.attributes,
				Numbers: c.threadNumbers[int(r.firstThread)+i]})
		}
	}
	return m
}
