package axprocess

import "fmt"

// This file is about whether a snapshot can be: what a table is made from must
// not contradict itself, wherever it comes from. What is checked here is what
// building relies on; Check decides about the rest afterwards.

// inspection looks through a snapshot. The first contradiction stands.
type inspection struct {
	from      *Snapshot
	max       PID
	processes map[PID]*ProcessImage
	threads   map[PID]PID // tid to pid
	groups    map[PID]*GroupImage
	sessions  map[PID]*SessionImage
	ids       map[uint64]bool
	births    map[uint64]PID
	err       *ContradictionError
}

// examine returns nil, or a *ContradictionError.
func (s *Snapshot) examine(max PID) error {
	x := &inspection{
		from: s, max: max,
		processes: make(map[PID]*ProcessImage, len(s.Processes)), threads: map[PID]PID{},
		groups: make(map[PID]*GroupImage, len(s.Groups)), sessions: make(map[PID]*SessionImage, len(s.Sessions)),
		ids: make(map[uint64]bool, 2*len(s.Processes)), births: make(map[uint64]PID, len(s.Processes)),
	}
	for _, look := range [...]func(*inspection){
		(*inspection).numbers, (*inspection).spaces, (*inspection).lists, (*inspection).memberships,
		(*inspection).families, (*inspection).vforks, (*inspection).head,
	} {
		if look(x); x.err != nil {
			return x.err
		}
	}
	return nil
}

// say notes a contradiction about the i-th of a list.
func (x *inspection) say(part string, i int, n PID, reason string, args ...any) {
	if x.err == nil {
		x.err = &ContradictionError{What: fmt.Sprintf("%s %d", part, n), Reason: fmt.Sprintf(reason, args...), part: part, place: i}
	}
}

func (x *inspection) head() {
	s := x.from
	say := func(reason string, args ...any) {
		if x.err == nil {
			x.err = &ContradictionError{What: "table", Reason: fmt.Sprintf(reason, args...), part: "head"}
		}
	}
	if s.Cursor < 0 || s.Cursor >= x.max {
		say("the number chosen last, %d, is not in 0…%d", s.Cursor, x.max-1)
	}
	if s.LastID > 1<<62 || s.Births > 1<<62 || s.Seq > 1<<62 {
		say("a count is above 2^62")
	}
	m := x.processes[s.Init]
	switch {
	case s.Init == 0 && len(s.Processes) > 0:
		say("there are processes and no init")
	case s.Init != 0 && m == nil:
		say("the init %d does not exist", s.Init)
	case s.Init != 0 && (m.Parent != 0 || m.State == Zombie):
		say("the init %d has a parent or is a zombie", s.Init)
	}
}

// unique: unique ids are.
func (x *inspection) unique(part string, i int, n PID, id uint64) {
	if id == 0 || id > x.from.LastID {
		x.say(part, i, n, "unique id %d is not in 1…%d", id, x.from.LastID)
	} else if x.ids[id] {
		x.say(part, i, n, "unique id %d is given twice", id)
	}
	x.ids[id] = true
}

// inRange: a number is one that can be given; 0 for a group or session outside.
func (x *inspection) inRange(part string, i int, n, low PID) {
	if n < low || n >= x.max {
		x.say(part, i, n, "its number is not in %d…%d", low, x.max-1)
	}
}

// numbers: each number means one thing of a kind.
func (x *inspection) numbers() {
	for i := range x.from.Sessions {
		m := &x.from.Sessions[i]
		x.inRange("session", i, m.SID, 0)
		x.unique("session", i, m.SID, m.ID)
		if m.Terminal != 0 {
			x.unique("session", i, m.SID, m.Terminal)
		}
		if x.sessions[m.SID] != nil {
			x.say("session", i, m.SID, "it is listed twice")
		}
		x.sessions[m.SID] = m
	}
	for i := range x.from.Groups {
		m := &x.from.Groups[i]
		x.inRange("group", i, m.PGID, 0)
		x.unique("group", i, m.PGID, m.ID)
		if x.groups[m.PGID] != nil {
			x.say("group", i, m.PGID, "it is listed twice")
		}
		x.groups[m.PGID] = m
	}
	for i := range x.from.Processes {
		m := &x.from.Processes[i]
		x.inRange("process", i, m.PID, 1)
		x.unique("process", i, m.PID, m.ID)
		if x.processes[m.PID] != nil {
			x.say("process", i, m.PID, "it is listed twice")
		}
		x.processes[m.PID] = m
		x.life(i, m)
		x.signals(i, m)
	}
	for i := range x.from.Processes {
		x.threadNumbers(i, &x.from.Processes[i])
	}
}

func (x *inspection) threadNumbers(i int, m *ProcessImage) {
	leader := false
	for _, h := range m.Threads {
		x.inRange("process", i, h.TID, 1)
		x.unique("process", i, m.PID, h.ID)
		if other, taken := x.threads[h.TID]; taken {
			x.say("process", i, m.PID, "thread %d is also one of process %d", h.TID, other)
		}
		x.threads[h.TID] = m.PID
		if h.TID == m.PID {
			leader = true
		} else if x.processes[h.TID] != nil || x.groups[h.TID] != nil || x.sessions[h.TID] != nil {
			x.say("process", i, m.PID, "thread %d has the number of another process, a group or a session", h.TID)
		}
	}
	if leader && m.LeaderExited {
		x.say("process", i, m.PID, "its leader has exited and is listed")
	}
	if len(m.Threads) > 0 && !m.HadThreads {
		x.say("process", i, m.PID, "it has threads and never had one")
	}
}

// life: a state, and what belongs to it.
func (x *inspection) life(i int, m *ProcessImage) {
	say := func(reason string, args ...any) { x.say("process", i, m.PID, reason, args...) }
	switch {
	case m.State != Running && m.State != Exiting && m.State != Zombie:
		say("its state %q is none", m.State)
	case m.State == Zombie && (m.Cause < Exited || m.Cause > Dumped):
		say("it is a zombie, and no cause says how it ended")
	case m.State != Zombie && m.Cause != 0 && !m.Waits:
		say("it is %s, and %s", m.State, m.Cause)
	case m.State == Zombie && (len(m.Threads) > 0 || m.Subreaper || m.Unreported != 0):
		say("it is a zombie with threads, a stop to report, or the mark of a subreaper")
	case m.Stopped < 0 || m.Stopped > SIGRTMAX || m.Stopped != 0 && m.State != Running:
		say("it is %s and stopped by signal %d", m.State, m.Stopped)
	case m.Unreported != 0 && m.Unreported != Stopped && m.Unreported != Continued:
		say("%q is no stop or continue", m.Unreported)
	case m.ExitSignal < 0 || m.ExitSignal > SIGRTMAX:
		say("exit signal %d is not in 0…%d", m.ExitSignal, SIGRTMAX)
	case len(m.Lineage) > x.from.LineageDepth:
		say("its lineage is longer than %d", x.from.LineageDepth)
	case m.User < 0 || m.System < 0 || m.WaitedUser < 0 || m.WaitedSystem < 0:
		say("a usage is below 0")
	}
}

// signals: sets, queues and dispositions agree.
func (x *inspection) signals(i int, m *ProcessImage) {
	say := func(reason string, args ...any) { x.say("process", i, m.PID, reason, args...) }
	if m.Ignored&m.Caught != 0 || (m.Ignored|m.Caught|m.Resets)&unblockable != 0 || m.Defers&^m.Caught != 0 {
		say("its dispositions contradict each other")
	}
	last := Signal(0)
	for _, one := range m.HandlerMasks {
		if one.Signal <= last || one.Signal > SIGRTMAX || one.Mask == 0 {
			say("the mask of the handler of signal %d is out of place", one.Signal)
		}
		last = one.Signal
	}
	x.pending(i, m, m.Pending, m.Queue)
	x.own(i, m, &m.Self)
	chosen := m.ChosenThread == 0
	for j := range m.Threads {
		x.own(i, m, &m.Threads[j].ThreadAttributes)
		chosen = chosen || m.Threads[j].ID == m.ChosenThread
	}
	if !chosen {
		say("the thread that was chosen for a signal is none of its own")
	}
}

func (x *inspection) own(i int, m *ProcessImage, a *ThreadAttributes) {
	x.pending(i, m, a.Pending, a.Queue)
	if a.Mask&unblockable != 0 || a.ParentDeath < 0 || a.ParentDeath > SIGRTMAX {
		x.say("process", i, m.PID, "a mask or a parent-death signal can't be")
	}
}

func (x *inspection) pending(i int, m *ProcessImage, bits SignalSet, queue []SigInfo) {
	for _, info := range queue {
		if !bits.Has(info.Signal) {
			x.say("process", i, m.PID, "signal %d is queued and not pending", info.Signal)
		}
	}
}

// lists: sessions list their groups, and groups their members, each once.
func (x *inspection) lists() {
	listed := map[PID]bool{}
	for i := range x.from.Sessions {
		m := &x.from.Sessions[i]
		for _, pgid := range m.Groups {
			if g := x.groups[pgid]; g == nil || g.SID != m.SID || listed[pgid] {
				x.say("session", i, m.SID, "it lists group %d, which is not there, of another session, or listed already", pgid)
			}
			listed[pgid] = true
		}
		if len(m.Groups) == 0 {
			x.say("session", i, m.SID, "it has no group")
		}
	}
	members := map[PID]bool{}
	for i := range x.from.Groups {
		m := &x.from.Groups[i]
		if !listed[m.PGID] {
			x.say("group", i, m.PGID, "session %d does not list it", m.SID)
		}
		for _, pid := range m.Members {
			if p := x.processes[pid]; p == nil || p.PGID != m.PGID || members[pid] {
				x.say("group", i, m.PGID, "it lists process %d, which is not there, of another group, or listed already", pid)
			}
			members[pid] = true
		}
		if len(m.Members) == 0 {
			x.say("group", i, m.PGID, "it has no member")
		}
	}
	for i := range x.from.Processes {
		if m := &x.from.Processes[i]; !members[m.PID] {
			x.say("process", i, m.PID, "group %d does not list it", m.PGID)
		}
	}
}

// memberships: a terminal's foreground, and who has the terminal.
func (x *inspection) memberships() {
	inUse := func(n PID) bool {
		_, thread := x.threads[n]
		return thread || x.processes[n] != nil || x.groups[n] != nil || x.sessions[n] != nil
	}
	for i := range x.from.Sessions {
		m := &x.from.Sessions[i]
		for _, f := range [...]struct {
			n      PID
			vacant bool
		}{{m.Foreground, m.Vacant}, {m.HungUp, m.HungVacant}} {
			if f.n < 0 || f.n >= x.max || f.n != 0 && !f.vacant && !inUse(f.n) || f.n == 0 && f.vacant {
				x.say("session", i, m.SID, "its foreground %d is none", f.n)
			}
		}
		if m.Terminal == 0 && m.Foreground != 0 {
			x.say("session", i, m.SID, "it has a foreground and no terminal")
		}
	}
}

// families: each has a parent that lives, in an order of joining, and no cycle.
func (x *inspection) families() {
	for i := range x.from.Processes {
		m := &x.from.Processes[i]
		say := func(reason string, args ...any) { x.say("process", i, m.PID, reason, args...) }
		if m.Parent == 0 {
			if m.Birth != 0 || m.Owner != 0 {
				say("it has no parent, and a place among its children")
			}
			continue
		}
		parent := x.processes[m.Parent]
		switch other, taken := x.births[m.Birth]; {
		case parent == nil:
			say("its parent %d does not exist", m.Parent)
		case parent.State == Zombie:
			say("its parent %d is a zombie", m.Parent)
		case m.Birth == 0 || m.Birth > x.from.Births:
			say("its place in the order of joining, %d, is not in 1…%d", m.Birth, x.from.Births)
		case taken:
			say("its place in the order of joining, %d, is that of %d", m.Birth, other)
		case m.Owner != 0 && (x.threads[m.Owner] != m.Parent || m.Owner == m.Parent):
			say("thread %d of its parent is none, or the leader", m.Owner)
		}
		x.births[m.Birth] = m.PID
	}
	if x.err == nil {
		x.cycles()
	}
}

// cycles: following parents ends. Each process is passed twice at most.
func (x *inspection) cycles() {
	ends := make(map[PID]bool, len(x.processes))
	for i := range x.from.Processes {
		way := map[PID]bool{}
		n := x.from.Processes[i].PID
		for n != 0 && !ends[n] {
			if way[n] {
				x.say("process", i, n, "it is its own ancestor")
				return
			}
			way[n] = true
			n = x.processes[n].Parent
		}
		for n := range way {
			ends[n] = true
		}
	}
}

// vforks: who is held is there, and knows it.
func (x *inspection) vforks() {
	children := map[uint64]*ProcessImage{}
	for i := range x.from.Processes {
		m := &x.from.Processes[i]
		if m.VforkOf == 0 {
			if m.VforkThreadID != 0 {
				x.say("process", i, m.PID, "it holds a thread of nobody")
			}
			continue
		}
		children[m.ID] = m
		held := x.processes[m.VforkOf]
		found := held != nil && held.State != Zombie && m.VforkThreadID == 0
		for j := 0; held != nil && j < len(held.Threads); j++ {
			found = found || held.Threads[j].ID == m.VforkThreadID
		}
		if !found || m.State == Zombie {
			x.say("process", i, m.PID, "it holds %d by vfork, which can't be", m.VforkOf)
		}
	}
	for i := range x.from.Processes {
		m := &x.from.Processes[i]
		x.heldBy(i, m, 0, m.Self.HeldBy, children)
		for _, h := range m.Threads {
			x.heldBy(i, m, h.ID, h.HeldBy, children)
		}
	}
}

func (x *inspection) heldBy(i int, m *ProcessImage, thread, by uint64, children map[uint64]*ProcessImage) {
	if by == 0 {
		return
	}
	if child := children[by]; child == nil || child.VforkOf != m.PID || child.VforkThreadID != thread {
		x.say("process", i, m.PID, "a child that does not hold it holds it by vfork")
	}
}
