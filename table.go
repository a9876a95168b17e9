package axprocess

import (
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"axprocess/internal/radix"
	"axprocess/internal/slab"
)

// This file is about the table: its one lock, its look-ups, its options.
//
// The lock's rule, whole: only this file touches the mutex; what it guards is
// the type state, and a *state is to be had from enter alone. While it is held
// no callback, no I/O, no channel, no second lock. Wake-ups that an operation
// owes are collected in state.wakes and sent by leave, after the unlock.
//
// Process and Thread look-ups, handles' numbers and a process's State take no
// lock.

// Table holds the processes of one world: an init, what descends from it, their
// groups, sessions and threads. All methods of a table, and of everything in it,
// may be called from any goroutine.
type Table struct {
	guarded state
}

// state is all that the table's lock guards.
type state struct {
	mutex  sync.Mutex
	plain  bool        // no custom lock, no events; fixed by NewTable
	owes   bool        // leave has more to do than to release the lock
	custom sync.Locker // replaces mutex when not nil

	table   *Table
	misuse  *Error // what NewTable's options got wrong; told by NewInit
	init    *Process
	numbers numbers

	space      Namespace    // the table's own
	spaces     []*Namespace // those below that somebody is in, by spaceIndex
	freeSpaces []spaceIndex
	emptied    []*Namespace  // closed, and nobody but the init has a number
	chosen     [maxLevel]PID // the numbers of the present birth, from level 1 on

	procs    radix.Table[Process] // read without the lock
	threads  radix.Table[Thread]  // read without the lock
	groups   radix.Table[ProcessGroup]
	sessions radix.Table[Session]
	rows     slab.Slab[row]
	uses     map[PID]*numberUse // numbers that a terminal's foreground means (terminal.go)

	noChildren brood    // of a thread that has none
	nextID     uint64   // the last unique id given
	births     uint64   // the last place in the order in which children joined a parent
	subreapers int      // processes that are subreapers
	todo       []posted // signals on their way; settle delivers them
	record     bool     // the effects of the present kill are kept
	effects    []Effect // but the first
	aimed      []target // whom the present kill is for

	permit       Permission // asked outside of the lock; nil: all may
	pendingLimit int

	wakes    wakes                  // of what sleeps and is over
	idle     atomic.Pointer[waiter] // of a wait that is over, for the next one to use; empty
	noticing bool
	notices  []Effect
	noticed  chan struct{} // closed by leave when there are notices; nil if nobody waits

	log   *eventLog        // nil: no events are kept; fixed by NewTable, and so is clock
	clock func() time.Time // nil: events have no time

	lineage *lineage // nil: none is kept; fixed by NewTable
}

// Option changes how a table works. See WithLock and WithMaxPID.
type Option func(*state)

// WithLock makes the table use l instead of a sync.Mutex: for instance a
// spin.Lock where the program runs on bare metal and interrupts must be masked.
func WithLock(l sync.Locker) Option {
	return func(s *state) {
		if l == nil {
			s.misuse = refuse("new table", 0, syscall.EINVAL, "WithLock(nil)")
		}
		s.custom = l
	}
}

// WithMaxPID makes n-1 the highest number that is given or accepted; 4,194,304
// unless it is set (proc(5): pid_max). If n is below 2, NewInit says EINVAL.
func WithMaxPID(n PID) Option {
	return func(s *state) {
		if n < 2 {
			s.misuse = refuse("new table", n, syscall.EINVAL, "WithMaxPID(%d) leaves no number to give", n)
		}
		s.numbers.max = n
	}
}

// NewTable returns an empty table. Wrong options are reported by NewInit's Build
// and by Import.
func NewTable(opts ...Option) *Table {
	t := &Table{}
	t.guarded.table, t.guarded.space.table = t, t
	t.guarded.numbers.max = defaultMaxPID
	t.guarded.pendingLimit = defaultPendingLimit
	for _, opt := range opts {
		opt(&t.guarded)
	}
	t.guarded.plain = t.guarded.custom == nil && t.guarded.log == nil
	return t
}

// enter takes the lock and gives access to what it guards.
func (t *Table) enter() *state {
	s := &t.guarded
	if !s.plain {
		t.enterSlowly()
		return s
	}
	s.mutex.Lock()
	return s
}

func (t *Table) enterSlowly() {
	if t.guarded.log != nil {
		t.enterLogged()
	} else {
		t.guarded.lock()
	}
}

func (s *state) lock() {
	if s.custom != nil {
		s.custom.Lock()
	} else {
		s.mutex.Lock()
	}
}

// leave releases the lock, then wakes whom the operation completed a wait for.
func (s *state) leave() {
	if !s.plain || s.owes {
		s.leaveOwing()
		return
	}
	s.mutex.Unlock() // as nearly always
}

// owe has leave wake who sleeps on done.
func (s *state) owe(done chan struct{}) {
	if s.owes = true; s.wakes.first == nil {
		s.wakes.first = done
	} else {
		s.wakes.more = append(s.wakes.more, done)
	}
}

// wakes are channels that leave closes; most operations that wake anybody wake one.
type wakes struct {
	first chan struct{}
	more  []chan struct{}
}

func (s *state) leaveOwing() {
	if s.emptied != nil {
		s.finishInits()
	}
	owed := s.wakes
	s.wakes = wakes{}
	var noticed chan struct{}
	if s.noticed != nil && len(s.notices) > 0 {
		noticed, s.noticed = s.noticed, nil
	}
	var read chan struct{}
	if s.log != nil {
		read = s.endLogged()
	}
	s.owes = false
	if s.custom != nil {
		s.custom.Unlock()
	} else {
		s.mutex.Unlock()
	}
	if owed.first != nil {
		close(owed.first)
	}
	for _, done := range owed.more {
		close(done)
	}
	if noticed != nil {
		close(noticed)
	}
	if read != nil {
		close(read)
	}
}

// Init returns the table's init, or nil before NewInit. One lock pair.
func (t *Table) Init() *Process {
	s := t.enter()
	defer s.leave()
	return s.init
}

// Process returns the process that goes by pid, zombies included, or nil. The
// same pointer comes back for as long as it lives. No lock; O(1).
func (t *Table) Process(pid PID) *Process {
	if pid <= 0 {
		return nil
	}
	return t.guarded.procs.Get(uint32(pid))
}

// Thread returns the live thread that goes by tid, or nil. No lock; O(1).
func (t *Table) Thread(tid PID) *Thread {
	if tid <= 0 {
		return nil
	}
	return t.guarded.threads.Get(uint32(tid))
}

// Group returns the process group that goes by pgid, or nil. No lock; O(1).
// Number 0 is the group of imported processes whose group is outside of what
// their /proc shows.
func (t *Table) Group(pgid PID) *ProcessGroup {
	if pgid < 0 {
		return nil
	}
	return t.guarded.groups.Get(uint32(pgid))
}

// Session returns the session that goes by sid, or nil. No lock; O(1). Number 0
// is as in Group.
func (t *Table) Session(sid PID) *Session {
	if sid < 0 {
		return nil
	}
	return t.guarded.sessions.Get(uint32(sid))
}

// Len returns how many processes there are, zombies included. One lock pair.
func (t *Table) Len() int {
	s := t.enter()
	defer s.leave()
	return s.procs.Len()
}

// MaxPID returns the number above the highest that can be given.
func (t *Table) MaxPID() PID { return t.guarded.numbers.max }

// Processes returns all processes, zombies included, ascending by pid: a
// consistent cut. O(processes) under the lock, the result allocated outside.
func (t *Table) Processes() []*Process {
	return listed(t, func(s *state) int { return s.procs.Len() }, func(s *state, to []*Process) []*Process {
		for _, p := range s.procs.All() {
			to = append(to, p)
		}
		return to
	})
}

// Sessions returns all sessions, ascending by sid: a consistent cut.
// O(sessions) under the lock, the result allocated outside.
func (t *Table) Sessions() []*Session {
	return listed(t, func(s *state) int { return s.sessions.Len() }, func(s *state, to []*Session) []*Session {
		for _, v := range s.sessions.All() {
			to = append(to, v)
		}
		return to
	})
}

// listed copies a list whose length is known only under the lock into memory
// that is allocated outside of it: measure, allocate, try again if it has grown.
func listed[T any](t *Table, count func(*state) int, fill func(*state, []*T) []*T) []*T {
	var to []*T
	for {
		s := t.enter()
		n := count(s)
		if n <= cap(to) {
			to = fill(s, to[:0])
			s.leave()
			return slices.Clip(to)
		}
		s.leave()
		to = make([]*T, 0, n)
	}
}

// row returns what the lock guards of a process, or nil once it is freed.
func (s *state) row(p *Process) *row {
	if p.at == 0 {
		return nil
	}
	return s.rows.At(p.at)
}

func (s *state) newID() uint64 {
	s.nextID++
	return s.nextID
}
