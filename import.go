package axprocess

import (
	"fmt"
	"strings"
	"syscall"
)

// This file is about processes that exist already, a host's or a snapshot's: they
// are entered all at once, and checked as a whole first.
//
// Invariant: an import that contradicts itself or the table changes nothing, and
// says all that contradicts.

// ProcessRecord is a process as it is found.
type ProcessRecord struct {
	PID  PID
	PPID PID // 0: it has no parent in sight
	PGID PID // 0, with SID 0: a group that is outside of the pid namespace, as Linux shows it
	SID  PID // 0: likewise
	Data any

	Threads []ThreadRecord // the live ones, oldest first; none: a zombie, or a process without threads

	Zombie bool
	Cause  WaitCause // how a zombie ended; Exited if it isn't set
	Code   int32     // its exit code or signal

	LeaderExited   bool   // no thread has the process's number, and that is meant
	Stopped        Signal // what stopped it, or 0
	Subreaper      bool
	Forked         bool // has not exec'd since its fork
	IgnoresSIGCHLD bool
	NoChildWait    bool // SA_NOCLDWAIT

	Terminal   *Terminal // its controlling terminal, of NewTerminal; of those of a session the same, or nil
	Foreground PID       // the group in that terminal's foreground, the same in all records; 0: none
}

// ThreadRecord is a thread as it is found.
type ThreadRecord struct {
	TID  PID
	Data any
}

// Contradiction is one thing about a process that can't be.
type Contradiction struct {
	PID    PID
	Reason string
}

// ImportError lists what contradicts. errors.Is(err, syscall.EINVAL) holds.
type ImportError struct {
	Contradictions []Contradiction
}

// Error names the first five contradictions and counts the rest.
func (e *ImportError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "import: %d contradictions", len(e.Contradictions))
	for i, c := range e.Contradictions {
		if i == 5 {
			fmt.Fprintf(&b, "; and %d more", len(e.Contradictions)-i)
			break
		}
		fmt.Fprintf(&b, "; process %d: %s", c.PID, c.Reason)
	}
	return b.String()
}

// Unwrap returns EINVAL.
func (e *ImportError) Unwrap() error { return syscall.EINVAL }

// Import enters processes that exist, in any order. Parents, groups and sessions
// may be among the records or in the table. Children join their parent in the
// order of the records. init is the number of the record that becomes the
// table's init, or 0 if the table has one. On contradictions (*ImportError) or
// wrong options nothing is changed. O(records + what they name).
func (t *Table) Import(init PID, records []ProcessRecord) error {
	fresh := make([]*Process, len(records))
	for i, rec := range records {
		fresh[i] = &Process{data: rec.Data, pid: rec.PID}
	}
	s := t.enter()
	defer s.leave()
	if s.misuse != nil {
		return s.misuse
	}
	c := s.examine(init, records)
	if len(c.found) > 0 {
		return &ImportError{Contradictions: c.found}
	}
	s.enterRecords(init, records, fresh)
	return nil
}

// examination collects what contradicts among records and table.
type examination struct {
	s       *state
	byPID   map[PID]*ProcessRecord
	threads map[PID]PID // tid to pid, of threads that don't lead
	groups  map[PID]PID // pgid to sid
	ttys    foundTerminals
	found   []Contradiction
}

func (x *examination) say(pid PID, reason string, args ...any) {
	x.found = append(x.found, Contradiction{pid, fmt.Sprintf(reason, args...)})
}

func (s *state) examine(init PID, records []ProcessRecord) *examination {
	x := &examination{s: s, byPID: map[PID]*ProcessRecord{}, threads: map[PID]PID{}, groups: map[PID]PID{}}
	for i := range records {
		x.number(&records[i])
	}
	switch rec := x.byPID[init]; {
	case init == 0 && s.init == nil && len(records) > 0:
		x.say(0, "no record is the init, and the table has none")
	case init != 0 && s.init != nil:
		x.say(init, "the table has an init, %d", s.init.pid)
	case init != 0 && rec == nil:
		x.say(init, "the init is not among the records")
	case init != 0 && (rec.PPID != 0 || rec.Zombie):
		x.say(init, "the init has a parent or is a zombie")
	}
	for i := range records {
		x.family(&records[i])
		x.group(&records[i])
		x.ending(&records[i])
		x.terminal(&records[i])
	}
	for pgid, sid := range x.groups {
		x.groupNumber(pgid, sid)
	}
	x.cycles(records)
	return x
}

// number: each number is free, in range, and named once.
func (x *examination) number(rec *ProcessRecord) {
	if rec.PID <= 0 || rec.PID >= x.s.numbers.max {
		x.say(rec.PID, "its number is not in 1…%d", x.s.numbers.max-1)
		return
	}
	if x.byPID[rec.PID] != nil {
		x.say(rec.PID, "there are two records of it")
		return
	}
	x.byPID[rec.PID] = rec
	if q := uint32(rec.PID); x.s.procs.Get(q) != nil || x.s.threads.Get(q) != nil {
		x.say(rec.PID, "its number is in use as %s", x.s.roles(rec.PID))
	}
	for _, h := range rec.Threads {
		if h.TID == rec.PID {
			continue
		}
		if h.TID <= 0 || h.TID >= x.s.numbers.max {
			x.say(rec.PID, "thread %d: its number is not in 1…%d", h.TID, x.s.numbers.max-1)
		} else if other, taken := x.threads[h.TID]; taken {
			x.say(rec.PID, "thread %d is also one of process %d", h.TID, other)
		} else if x.s.numbers.inUse(h.TID) {
			x.say(rec.PID, "thread %d: its number is in use as %s", h.TID, x.s.roles(h.TID))
		}
		x.threads[h.TID] = rec.PID
	}
}

// family: the parent exists and lives.
func (x *examination) family(rec *ProcessRecord) {
	if pid, is := x.threads[rec.PID]; is {
		x.say(rec.PID, "its number is also that of a thread of process %d", pid)
	}
	if rec.PPID == 0 {
		return
	}
	if parent := x.byPID[rec.PPID]; parent != nil {
		if parent.Zombie {
			x.say(rec.PID, "its parent %d is a zombie", rec.PPID)
		}
	} else if q := x.s.find(rec.PPID); q == nil || q.pid != rec.PPID {
		x.say(rec.PID, "its parent %d does not exist", rec.PPID)
	} else if x.s.row(q).space != 0 {
		x.say(rec.PID, "its parent %d is in a pid namespace below the table's own", rec.PPID)
	} else if q.State() == Zombie {
		x.say(rec.PID, "its parent %d is a zombie", rec.PPID)
	}
}

// group: a group is of one session, and a leader is in what it leads.
func (x *examination) group(rec *ProcessRecord) {
	if rec.PGID < 0 || rec.SID < 0 || rec.PGID >= x.s.numbers.max || rec.SID >= x.s.numbers.max {
		x.say(rec.PID, "group %d or session %d is not in 0…%d", rec.PGID, rec.SID, x.s.numbers.max-1)
		return
	}
	if g := x.s.groups.Get(uint32(rec.PID)); rec.PID > 0 && g != nil && g.session.sid != rec.SID {
		x.say(rec.PID, "it is in session %d, and group %d of session %d goes by its number", rec.SID, rec.PID, g.session.sid)
	}
	if v := x.s.sessions.Get(uint32(rec.PID)); rec.PID > 0 && v != nil && rec.SID != rec.PID {
		x.say(rec.PID, "it is in session %d, and session %d goes by its number", rec.SID, rec.PID)
	}
	if rec.PGID == 0 && rec.SID != 0 {
		x.say(rec.PID, "its group is outside and its session %d is not", rec.SID)
	}
	sid, seen := x.groups[rec.PGID]
	if g := x.s.groups.Get(uint32(rec.PGID)); g != nil && !seen {
		sid, seen = g.session.sid, true
	}
	if seen && sid != rec.SID {
		x.say(rec.PID, "group %d is of session %d and of session %d", rec.PGID, sid, rec.SID)
	}
	if !seen {
		x.groups[rec.PGID] = rec.SID
	}
	if rec.SID == rec.PID && rec.PGID != rec.PID {
		x.say(rec.PID, "it leads its session and is in group %d", rec.PGID)
	}
}

// groupNumber: what a group or a session is named after is in that session, and
// no mere thread.
func (x *examination) groupNumber(pgid, sid PID) {
	for _, n := range [...]PID{pgid, sid} {
		if n == 0 {
			continue
		}
		if rec := x.byPID[n]; rec != nil && rec.SID != sid {
			x.say(n, "it is in session %d, and group %d of session %d goes by its or its session's number", rec.SID, pgid, sid)
		}
		if pid, is := x.threads[n]; is {
			x.say(pid, "its thread %d has the number of a group or session", n)
		}
		q := x.s.find(n)
		if q != nil && (q.pid != n || q.group.Load().session.sid != sid) {
			x.say(q.pid, "it is in the table, and group %d of session %d claims its number", pgid, sid)
		}
	}
	if g := x.s.groups.Get(uint32(sid)); sid != 0 && g != nil && g.session.sid != sid {
		x.say(sid, "session %d has the number of a group of session %d", sid, g.session.sid)
	}
	if v := x.s.sessions.Get(uint32(pgid)); pgid != 0 && v != nil && v.sid != sid {
		x.say(pgid, "group %d of session %d has the number of another session", pgid, sid)
	}
	if other, is := x.groups[sid]; is && sid != 0 && other != sid {
		x.say(sid, "session %d has the number of a group of session %d", sid, other)
	}
}

// ending: a zombie has no threads and no stop; a leader is there or has exited.
func (x *examination) ending(rec *ProcessRecord) {
	hasLeader := false
	for _, h := range rec.Threads {
		hasLeader = hasLeader || h.TID == rec.PID
	}
	switch {
	case rec.Zombie && len(rec.Threads) > 0:
		x.say(rec.PID, "it is a zombie with %d threads", len(rec.Threads))
	case rec.Zombie && rec.Stopped != 0:
		x.say(rec.PID, "it is a zombie and stopped")
	case rec.Zombie && rec.Subreaper:
		x.say(rec.PID, "it is a zombie and a subreaper")
	case rec.LeaderExited && (hasLeader || len(rec.Threads) == 0):
		x.say(rec.PID, "its leader has exited, but is listed, or no other thread is")
	case len(rec.Threads) > 0 && !hasLeader && !rec.LeaderExited:
		x.say(rec.PID, "it has threads and no leader")
	}
	if rec.Stopped < 0 || rec.Stopped > SIGRTMAX || rec.Cause > Dumped {
		x.say(rec.PID, "stop signal %d or cause %s makes no sense", rec.Stopped, rec.Cause)
	}
	leaders := 0
	for _, h := range rec.Threads {
		if h.TID == rec.PID {
			leaders++
		}
	}
	if leaders > 1 {
		x.say(rec.PID, "its leader is listed twice")
	}
}

// cycles: following parents ends.
func (x *examination) cycles(records []ProcessRecord) {
	state := map[PID]int{} // 1: on the way, 2: ends
	for i := range records {
		var way []PID
		n := records[i].PID
		for rec := x.byPID[n]; rec != nil && state[n] == 0; rec = x.byPID[n] {
			state[n] = 1
			way = append(way, n)
			n = rec.PPID
		}
		if state[n] == 1 {
			x.say(n, "it is its own ancestor")
		}
		for _, n := range way {
			state[n] = 2
		}
	}
}

// enterRecords makes what examine found sound.
func (s *state) enterRecords(init PID, records []ProcessRecord, fresh []*Process) {
	for i := range records {
		s.enterRecord(&records[i], fresh[i])
	}
	for i := range records {
		if rec := &records[i]; rec.PPID != 0 {
			parent := s.procs.Get(uint32(rec.PPID))
			s.adopt(parent.at, s.rows.At(parent.at).firstThread.owns(), fresh[i].at, s.rows.At(fresh[i].at))
		}
		if records[i].PID == init && init != 0 {
			s.init = fresh[i]
		}
	}
	for _, p := range fresh {
		if g := s.groups.Get(uint32(p.pid)); g != nil && g.founder == 0 {
			g.founder = p.id
		}
	}
	for i := range records {
		at := fresh[i].at
		r := s.rows.At(at)
		switch {
		case r.flags&flagSubreaper != 0:
			s.markBelow(at)
		case r.parent != 0 && s.rows.At(r.parent).flags&(flagSubreaper|flagBelowSubreaper) != 0 && r.flags&flagBelowSubreaper == 0:
			r.flags |= flagBelowSubreaper
			s.markBelow(at)
		}
	}
	s.logImported(fresh)
	s.enterTerminals(records, fresh)
}

// enterRecord enters one process but for its parent.
func (s *state) enterRecord(rec *ProcessRecord, p *Process) {
	s.reserve(rec.PID)
	at, r := s.enroll(p, rec.PID)
	s.join(at, r, s.importedGroup(rec))
	for _, h := range rec.Threads {
		thread := &Thread{process: p, data: h.Data}
		thread.tid.Store(int32(h.TID))
		s.reserve(h.TID)
		s.startThread(r, thread)
	}
	for _, f := range [...]struct {
		is   bool
		flag flags
	}{{rec.LeaderExited, flagLeaderGone}, {rec.Subreaper, flagSubreaper}, {rec.Forked, flagForked},
		{rec.IgnoresSIGCHLD, flagIgnoresChild}, {rec.NoChildWait, flagNoChildWait}, {rec.Terminal != nil, flagTerminal}} {
		if f.is {
			r.flags |= f.flag
		}
	}
	if rec.IgnoresSIGCHLD {
		r.ext().actions = &actions{ignored: SIGCHLD.set()}
	}
	if rec.Subreaper {
		s.subreapers++
	}
	if rec.Stopped != 0 {
		r.ext().stop.signal = rec.Stopped
		p.group.Load().stopped++
	}
	if rec.Zombie {
		p.code = rec.Code
		p.setState(Zombie, max(rec.Cause, Exited))
	}
	s.procs.Set(uint32(rec.PID), p)
}

// importedGroup finds or makes the group of a record, and its session.
func (s *state) importedGroup(rec *ProcessRecord) *ProcessGroup {
	if g := s.groups.Get(uint32(rec.PGID)); g != nil {
		return g
	}
	v := s.sessions.Get(uint32(rec.SID))
	if v == nil {
		v = &Session{table: s.table}
		s.openSession(v, rec.SID)
	}
	g := &ProcessGroup{session: v}
	s.openGroup(g, rec.PGID, 0)
	return g
}
