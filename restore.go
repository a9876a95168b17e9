package axprocess

import (
	"cmp"
	"fmt"
	"slices"

	"axprocess/internal/slab"
)

// This file is about making a table from a snapshot. examine.go decides whether
// a snapshot can be one; here it is built.
//
// Invariant: the table's own snapshot is then the one that it was made from, but
// for data that the snapshot does not have.

// ContradictionError says which part of a snapshot can't be, given the rest.
type ContradictionError struct {
	What   string // "process 812", "group 7", "session 3" or "table"
	Reason string
	part   string // where it is in a file: the list, and the place there
	place  int
}

// Error names what can't be and why.
func (e *ContradictionError) Error() string {
	return fmt.Sprintf("snapshot: %s: %s", e.What, e.Reason)
}

// Table makes a table that is as the snapshot says, and goes on from there: event
// numbers too. The options are NewTable's; the snapshot's own are the default for
// WithMaxPID, WithPendingLimit and WithLineage. *ContradictionError if the snapshot can't be, or
// breaks an invariant; *Error for wrong options. O(all of it).
func (s *Snapshot) Table(opts ...Option) (*Table, error) {
	t, err := s.build(opts, false)
	if err != nil {
		return nil, err
	}
	if err := t.Check(); err != nil {
		return nil, &ContradictionError{What: "table", Reason: err.Error()}
	}
	return t, nil
}

// Clone makes a table that is as t is now, and shares nothing with it but the data
// that its processes, threads and terminals carry. Blocked calls stay with t, and
// so do notices that nobody has taken. The options are NewTable's; t's own but for
// WithMaxPID, WithPendingLimit and WithLineage are not taken over. The lock is held as for
// Snapshot.
func (t *Table) Clone(opts ...Option) (*Table, error) { return t.Snapshot().build(opts, true) }

// build makes the table, if the snapshot is sound enough to be built; a table's own
// is, where the numbers are those of the table.
func (s *Snapshot) build(opts []Option, sound bool) (*Table, error) {
	t := NewTable(append([]Option{WithMaxPID(s.MaxPID), WithPendingLimit(s.PendingLimit), WithLineage(s.LineageDepth)}, opts...)...)
	lines := t.guarded.lineage.restore(s)
	to := t.enter()
	defer to.leave()
	if to.misuse != nil {
		return nil, to.misuse
	}
	if !sound || to.numbers.max < s.MaxPID {
		if err := s.examine(to.numbers.max); err != nil {
			return nil, err
		}
	}
	b := builder{state: to, from: s, held: map[uint64]*vforkHold{}, lines: lines, known: map[uint64]*Namespace{}}
	b.namespaces()
	b.sessions()
	b.processes()
	b.children()
	b.holds()
	b.terminals()
	to.numbers.cursor = min(s.Cursor, to.numbers.max-1)
	to.nextID, to.births = s.LastID, s.Births
	if s.Init != 0 {
		to.init = to.procs.Get(uint32(s.Init))
	}
	if l := to.log; l != nil {
		l.last, l.base, l.lastAt, l.now = s.Seq, s.Seq, s.At, s.At
		l.published.Store(s.Seq)
	}
	return t, nil
}

// builder fills an empty table from a snapshot that has been examined.
type builder struct {
	*state
	from  *Snapshot
	held  map[uint64]*vforkHold  // by the child's unique id
	lines map[uint64][]*Ancestor // by unique id
	known map[uint64]*Namespace  // by unique id
}

func (b *builder) namespaces() {
	for _, m := range b.from.Namespaces {
		parent := &b.space
		if m.Parent != 0 {
			parent = b.known[m.Parent]
		}
		ns := &Namespace{table: b.table, parent: parent, level: parent.level + 1, id: m.ID, closed: m.Closed}
		ns.levels.cursor = m.Cursor
		b.known[m.ID] = ns
	}
}

// settle gives what has number n in the table's own namespace its others, and
// returns where it is at home and its number there.
func (b *builder) settle(h Home, n PID) (*Namespace, PID) {
	ns := b.known[h.Namespace]
	if ns == nil {
		return nil, 0
	}
	for at := ns; at.level > 0; at = at.parent {
		above := n
		if at.level > 1 {
			above = h.Numbers[at.level-2]
		}
		if nr := h.Numbers[at.level-1]; at.levels.at(nr) == 0 { // another may go by it too
			at.levels.set(nr, above)
		}
	}
	return ns, h.Numbers[len(h.Numbers)-1]
}

// inhabit puts a process into its namespace.
func (b *builder) inhabit(r *row, m *ProcessImage) {
	ns, nr := b.settle(m.Home, m.PID)
	if ns == nil {
		return
	}
	if ns.people == 0 {
		b.giveIndex(ns)
	}
	ns.people++
	r.space, r.number = ns.at, nr
	if nr == 1 {
		ns.init = r.process
		r.flags |= flagInit
	}
}

func (b *builder) sessions() {
	images := make(map[PID]*GroupImage, len(b.from.Groups))
	for i := range b.from.Groups {
		images[b.from.Groups[i].PGID] = &b.from.Groups[i]
	}
	for i := range b.from.Sessions {
		m := &b.from.Sessions[i]
		v := &Session{table: b.table, id: m.ID, sid: m.SID}
		v.live = true
		v.space, v.number = b.settle(m.Home, m.SID)
		b.state.sessions.Set(uint32(m.SID), v)
		b.reserveName(m.SID)
		for _, pgid := range m.Groups {
			g := &ProcessGroup{session: v, id: images[pgid].ID, pgid: pgid, founder: images[pgid].Founder}
			g.space, g.number = b.settle(images[pgid].Home, pgid)
			b.enterGroup(g)
		}
	}
}

func (b *builder) processes() {
	for i := range b.from.Processes {
		m := &b.from.Processes[i]
		at, r := b.rows.Alloc()
		p := &Process{id: m.ID, data: m.data, pid: m.PID, at: at, code: m.Code}
		p.setState(m.State, m.Cause)
		r.process = p
		b.inhabit(r, m)
		for j := range m.Threads {
			b.thread(r, &m.Threads[j], m.Namespace)
		}
		b.attributes(r, m)
		if line := b.lines[m.ID]; line != nil {
			r.ext().lineage = line
		}
		b.procs.Set(uint32(m.PID), p)
		b.reserve(m.PID)
	}
	for i := range b.from.Groups {
		m := &b.from.Groups[i]
		g := b.groups.Get(uint32(m.PGID))
		for _, pid := range m.Members {
			at := b.procs.Get(uint32(pid)).at
			b.join(at, b.rows.At(at), g)
		}
	}
}

func (b *builder) thread(r *row, m *ThreadImage, namespace uint64) {
	h := &Thread{process: r.process, data: m.data}
	h.tid.Store(int32(m.TID))
	b.startThread(r, h)
	h.id = m.ID
	b.reserve(m.TID)
	_, h.number = b.settle(Home{namespace, m.Numbers}, m.TID)
	if a := &m.ThreadAttributes; !a.isPlain() {
		x := h.ext()
		x.parentDeath, x.below = a.ParentDeath, b.known[a.Below]
		x.signals = a.signals()
		if a.Pending != 0 || a.Woken {
			r.sigs().queued += len(a.Queue)
		}
	}
}

func (a *ThreadAttributes) signals() threadSignals {
	return threadSignals{mask: a.Mask, woken: a.Woken, pending: pendingSet{a.Pending, slices.Clone(a.Queue)}}
}

// attributes gives a process what is its own.
func (b *builder) attributes(r *row, m *ProcessImage) {
	r.flags |= m.Attributes.flags()
	if m.Subreaper {
		b.subreapers++
	}
	if m.Stopped != 0 || m.Unreported != 0 {
		r.ext().stop.signal, r.ext().stop.unreported = m.Stopped, m.Unreported
	}
	if m.ExitSignal != SIGCHLD {
		r.ext().exitSignal = m.ExitSignal
	}
	own, waited := Usage{m.User, m.System}, Usage{m.WaitedUser, m.WaitedSystem}
	if own != (Usage{}) || waited != (Usage{}) {
		r.ext().usage, r.ext().waited = own, waited
	}
	if m.Credentials != (Credentials{}) {
		r.ext().creds = m.Credentials
	}
	if m.Self.Below != 0 {
		r.ext().below = b.known[m.Self.Below]
	}
	if does := m.Attributes.actions(); does != (actions{}) {
		r.ext().actions = &does
	}
	b.signals(r, m)
}

func (b *builder) signals(r *row, m *ProcessImage) {
	if m.Pending == 0 && m.ChosenThread == 0 && m.Self.isPlain() {
		return
	}
	g := r.sigs()
	g.shared = pendingSet{m.Pending, slices.Clone(m.Queue)}
	g.self, g.parentDeath = m.Self.signals(), m.Self.ParentDeath
	g.queued += len(m.Queue) + len(m.Self.Queue)
	for h := r.firstThread; h != nil; h = h.next {
		if h.id == m.ChosenThread {
			g.target = h
		}
	}
}

// flags is the reverse of flags.attributes.
func (a *Attributes) flags() (f flags) {
	for _, one := range [...]struct {
		is   bool
		flag flags
	}{
		{a.HadThreads, flagHadThreads}, {a.LeaderExited, flagLeaderGone}, {a.Subreaper, flagSubreaper},
		{a.BelowSubreaper, flagBelowSubreaper}, {a.Forked, flagForked}, {a.NoChildWait, flagNoChildWait},
		{a.NoChildStop, flagNoChildStop}, {a.Terminal, flagTerminal}, {a.ParentExeced, flagParentExeced},
		{a.Waits, flagLast}, {a.ExitSignal != SIGCHLD, flagOtherExit}, {a.Ignored.Has(SIGCHLD), flagIgnoresChild},
	} {
		if one.is {
			f |= one.flag
		}
	}
	return f
}

func (a *Attributes) actions() actions {
	does := actions{ignored: a.Ignored, caught: a.Caught, resets: a.Resets, defers: a.Defers}
	if len(a.HandlerMasks) > 0 {
		does.masks = new([SIGRTMAX]SignalSet)
		for _, one := range a.HandlerMasks {
			does.masks[one.Signal-1] = one.Mask
		}
	}
	return does
}

// children links all families, in the order of joining.
func (b *builder) children() {
	order := make([]int, 0, len(b.from.Processes))
	for i := range b.from.Processes {
		if b.from.Processes[i].Parent != 0 {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(i, j int) int {
		return cmp.Compare(b.from.Processes[i].Birth, b.from.Processes[j].Birth)
	})
	for _, i := range order {
		m := &b.from.Processes[i]
		b.births = m.Birth - 1 // adopt gives the next one
		at := b.at(m.PID)
		b.adopt(b.at(m.Parent), b.threads.Get(uint32(m.Owner)), at, b.rows.At(at))
	}
}

func (b *builder) at(pid PID) slab.Index { return b.procs.Get(uint32(pid)).at }

// holds links vfork children with whom they hold.
func (b *builder) holds() {
	for i := range b.from.Processes {
		m := &b.from.Processes[i]
		if m.VforkOf == 0 {
			continue
		}
		child, held := b.procs.Get(uint32(m.PID)), b.procs.Get(uint32(m.VforkOf))
		hold := &vforkHold{process: held, child: child, done: make(chan struct{})}
		b.row(child).ext().vforker = hold
		for h := b.row(held).firstThread; h != nil && m.VforkThreadID != 0; h = h.next {
			if h.id == m.VforkThreadID {
				hold.thread = h
			}
		}
		b.held[m.ID] = hold
	}
	for i := range b.from.Processes {
		m := &b.from.Processes[i]
		r := b.row(b.procs.Get(uint32(m.PID)))
		if m.Self.HeldBy != 0 {
			r.ext().hold = b.held[m.Self.HeldBy]
		}
		for j := range m.Threads {
			if by := m.Threads[j].HeldBy; by != 0 {
				b.threads.Get(uint32(m.Threads[j].TID)).ext().hold = b.held[by]
			}
		}
	}
}

func (b *builder) terminals() {
	number := func(n PID, vacant bool) *numberUse {
		switch {
		case n == 0:
			return nil
		case vacant:
			return &numberUse{n: n, over: true}
		}
		return b.use(n)
	}
	for i := range b.from.Sessions {
		m := &b.from.Sessions[i]
		v := b.state.sessions.Get(uint32(m.SID))
		v.hungUp = number(m.HungUp, m.HungVacant)
		if m.Terminal != 0 {
			v.terminal = &Terminal{table: b.table, id: m.Terminal, data: m.data, session: v, foreground: number(m.Foreground, m.Vacant)}
		}
	}
}
