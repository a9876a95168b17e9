package supervise

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"axprocess"
)

// This file is about the keeper: it is told what happens, holds one record for
// each process and keeps the table in step. It is all that knows both.
//
// Invariants:
//   - the table's init is this very process; what is below it in the table is
//     what descends from the command;
//   - a number in live belongs to one record, of a process that nobody has reaped
//     as far as is known;
//   - what the table refuses is counted, never forced.

type keeper struct {
	mu      sync.Mutex
	table   *axprocess.Table
	self    *axprocess.Process
	live    map[int]*record
	all     []*record // by ID, from 1
	misfits int       // changes that the table refused
	refusal error     // the first of them
	noArgs  bool
	alone   bool // all children of this process are the command's
	now     func() time.Time
	news    chan struct{} // holds one token when something has changed
	onStop  func(sig axprocess.Signal)
	command []string
	warn    func(format string, args ...any)
	toReap  map[*record]bool // have ended, and in the table we are their parent
}

// newKeeper enters this process as the table's init, in its true group and
// session.
func newKeeper(table *axprocess.Table, now func() time.Time) (*keeper, error) {
	pid := os.Getpid()
	st, ok := readStat(pid)
	if !ok {
		return nil, errors.New("/proc is not there, or is of another pid namespace")
	}
	rec := axprocess.ProcessRecord{PID: axprocess.PID(pid), PGID: axprocess.PID(st.pgid), SID: axprocess.PID(st.sid), Subreaper: true}
	if err := table.Import(rec.PID, []axprocess.ProcessRecord{rec}); err != nil {
		return nil, err
	}
	return &keeper{table: table, self: table.Init(), live: map[int]*record{}, toReap: map[*record]bool{}, now: now, news: make(chan struct{}, 1)}, nil
}

// changed wakes Wait, once the command has ended: before, nothing else matters
// to it, and it would be woken by each birth.
func (k *keeper) changed() {
	if len(k.all) == 0 || !k.all[0].isDead() {
		return
	}
	select {
	case k.news <- struct{}{}:
	default:
	}
}

// check counts what the table refused.
func (k *keeper) check(err error) bool {
	if err == nil {
		return true
	}
	k.misfits++
	if k.refusal == nil {
		k.refusal = err
	}
	return false
}

// birth is what a follower knows of a new process.
type birth struct {
	pid    int
	forker int // who forked it; 0: not known
	parent int // its parent; 0: the forker
	vfork  int // the thread that it holds until it execs or ends; 0: none that is known
	at     time.Time
	guess  bool   // whoever is its parent is taken for its forker
	unseen string // why it was not seen being born, or ""
	stat   *stat  // as it is now, if that was read
}

// born enters a new process. What is known already only gains its forker.
func (k *keeper) born(b birth) *record {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.enter(b)
}

func (k *keeper) enter(b birth) *record {
	starter := k.live[b.forker]
	if b.guess && b.stat != nil {
		starter = k.live[b.stat.ppid]
	}
	if old := k.live[b.pid]; old != nil && !old.isDead() && (b.stat == nil || old.start == 0 || b.stat.start == old.start) {
		if (old.starter == nil || old.Guessed) && starter != nil && starter != old && !b.guess {
			k.startedBy(old, starter)
			old.Guessed = false
		}
		if b.vfork != 0 {
			k.hold(old, b.vfork)
		}
		return old
	}
	k.vacate(b.pid, b.at)
	r := &record{starter: starter}
	r.ID, r.PID, r.Start, r.Unseen = uint64(len(k.all)+1), axprocess.PID(b.pid), b.at, b.unseen
	if starter != nil {
		k.startedBy(r, starter)
		r.Guessed = b.guess
		r.Comm, r.Args, r.PGID, r.SID = starter.Comm, starter.Args, starter.PGID, starter.SID
	}
	parent := k.self
	if p := k.live[max(b.parent, 0)]; p != nil {
		parent = p.model
	} else if b.parent == 0 && starter != nil {
		parent = starter.model
	}
	k.all = append(k.all, r)
	k.live[b.pid] = r
	k.fork(r, parent)
	if b.vfork != 0 {
		k.hold(r, b.vfork)
	}
	if b.stat != nil {
		k.apply(r, b.stat)
	}
	k.changed()
	return r
}

func (k *keeper) startedBy(r, starter *record) {
	r.starter, r.StartedBy = starter, starter.ID
}

// fork enters a record into the table, as a child of parent.
func (k *keeper) fork(r *record, parent *axprocess.Process) {
	if parent == nil || parent.State() != axprocess.Running {
		parent = k.self // it has ended meanwhile, and we are the reaper of its orphans
	}
	b := parent.Fork(r.PID).Data(r).Leader(nil)
	p, err := b.Build()
	if errors.Is(err, syscall.EEXIST) {
		k.makeRoom(r.PID)
		p, err = b.Build()
	}
	if k.check(err) {
		r.model, r.PPID = p, parent.PID()
	}
}

// hold enters that a record's process holds the thread that forked it. The forker
// may be told of after the child's exec or end, and may vfork again before they are
// told: the table refuses that, and is right.
func (k *keeper) hold(r *record, tid int) {
	if h := k.table.Thread(axprocess.PID(tid)); h != nil && r.model != nil {
		_ = h.HoldFor(r.model)
	}
}

// vacate ends what still goes by a number that the kernel has given again.
func (k *keeper) vacate(pid int, at time.Time) {
	old := k.live[pid]
	if old == nil {
		return
	}
	if !old.isDead() {
		k.end(old, 0, 0, at)
	}
	k.freed(old, old.PPID, time.Time{}, true)
}

// makeRoom brings threads and groups that go by a number up to date.
func (k *keeper) makeRoom(n axprocess.PID) {
	if h := k.table.Thread(n); h != nil && !h.IsLeader() {
		_, err := h.Exit(0)
		k.check(err)
	}
	var members []*axprocess.Process
	if g := k.table.Group(n); g != nil {
		members = g.Processes()
	}
	if s := k.table.Session(n); s != nil {
		for _, g := range s.ProcessGroups() {
			members = append(members, g.Processes()...)
		}
	}
	for _, p := range members {
		r, _ := axprocess.DataOf[*record](p)
		if r == nil {
			continue
		}
		if st, ok := readStat(int(r.PID)); ok && (r.start == 0 || st.start == r.start) {
			k.apply(r, &st)
		} else if r.isDead() {
			k.freed(r, r.PPID, time.Time{}, true)
		}
	}
}

// apply brings a record and the table up to what a stat line says.
func (k *keeper) apply(r *record, st *stat) {
	if r.start == 0 {
		r.start = st.start
	}
	if r.Comm != st.comm && st.comm != "" {
		r.Comm = st.comm
	}
	k.regroup(r, st.pgid, st.sid)
}

// regroup moves a record to the group and session that the kernel says it is in.
func (k *keeper) regroup(r *record, pgid, sid int) {
	if pgid < 0 || sid < 0 || int(r.PGID) == pgid && int(r.SID) == sid {
		return
	}
	known := r.SID != 0 || r.PGID != 0
	r.GroupInferred = r.GroupInferred || known
	r.PGID, r.SID = axprocess.PID(pgid), axprocess.PID(sid)
	p := r.model
	if p == nil || p.State() == axprocess.Freed {
		return
	}
	if p.Session().SID() != r.SID && r.SID == r.PID && p.State() == axprocess.Running {
		_, err := p.Setsid()
		k.check(err)
	}
	if g := p.Group(); g.PGID() == r.PGID && g.Session().SID() == r.SID {
		return
	}
	if g := k.table.Group(r.PGID); g != nil && g.Session() == p.Session() {
		k.check(p.MoveToGroup(g))
	} else if r.PGID == r.PID {
		_, err := p.CreateGroup()
		k.check(err)
	} else if leader := k.live[pgid]; leader != nil && leader != r && !leader.isDead() {
		if st, ok := readStat(pgid); ok && st.pgid == pgid {
			k.apply(leader, &st)
			if g := k.table.Group(r.PGID); g != nil && g.Session() == p.Session() {
				k.check(p.MoveToGroup(g))
			}
		}
	}
}

// root returns the record of what Start started.
func (k *keeper) root() *record {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.all[0]
}

// first enters the command itself, which has just been executed, and returns what
// it goes by.
func (k *keeper) first(pid int) (comm string, args []string) {
	st, _ := readStat(pid)
	r := k.born(birth{pid: pid, at: k.now(), stat: &st})
	args = readArgs(pid)
	k.execed(pid, pid, args, st.comm, r.Start)
	r.GroupInferred = false
	return st.comm, args
}

// execed notes an exec: of process pid, by what was its thread former.
func (k *keeper) execed(pid, former int, args []string, comm string, at time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r := k.live[pid]
	if r == nil || r.isDead() {
		return
	}
	if k.noArgs && len(args) > 1 {
		args = args[:1]
	}
	r.Args, r.Comm = args, comm
	r.Execs = append(r.Execs, Exec{At: at, Args: args})
	for tid, i := range r.threads {
		r.Threads[i].End = at
		delete(r.threads, tid)
	}
	if r.model == nil {
		return
	}
	if h := k.table.Thread(axprocess.PID(former)); h != nil && h.Process() == r.model {
		k.check(h.Exec())
	} else {
		k.check(r.model.Exec())
	}
}

// threadBorn enters a thread that doesn't lead.
func (k *keeper) threadBorn(pid, tid int, at time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r := k.live[pid]
	if r == nil || r.isDead() {
		return
	}
	if _, known := r.threads[tid]; known {
		return
	}
	k.vacate(tid, at)
	if r.threads == nil {
		r.threads = map[int]int{}
	}
	r.threads[tid] = len(r.Threads)
	r.Threads = append(r.Threads, Thread{TID: axprocess.PID(tid), Start: at})
	if r.model == nil {
		return
	}
	_, err := r.model.NewThread(axprocess.PID(tid)).Build()
	if errors.Is(err, syscall.EEXIST) {
		k.makeRoom(axprocess.PID(tid))
		_, err = r.model.NewThread(axprocess.PID(tid)).Build()
	}
	k.check(err)
}

// threadEnded notes the end of a thread; of the last one the process's end tells.
func (k *keeper) threadEnded(pid, tid int, code int32, at time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r := k.live[pid]
	if r == nil {
		return
	}
	if i, known := r.threads[tid]; known {
		r.Threads[i].End = at
		delete(r.threads, tid)
	}
	h := k.table.Thread(axprocess.PID(tid))
	if r.model == nil || h == nil || h.Process() != r.model || len(r.model.Threads()) == 1 {
		return
	}
	_, err := h.Exit(code)
	k.check(err)
}

// ended notes a process's end.
func (k *keeper) ended(pid int, cause axprocess.WaitCause, code int32, at time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r := k.live[pid]; r != nil && !r.isDead() {
		k.end(r, cause, code, at)
	}
}

func (k *keeper) end(r *record, cause axprocess.WaitCause, code int32, at time.Time) {
	r.Cause, r.Code, r.End, r.stopped = cause, code, at, 0
	r.threads = nil
	k.changed()
	p := r.model
	if p == nil || p.State() >= axprocess.Zombie {
		return
	}
	k.freeReaped(p)
	children := p.Children()
	k.findReaper(p, children)
	if cause == axprocess.Killed || cause == axprocess.Dumped {
		k.check(p.GroupKill(axprocess.Signal(code), cause == axprocess.Dumped))
	} else {
		k.check(p.GroupExit(code))
		for _, h := range p.Threads() {
			_, err := h.Exit(code)
			k.check(err)
		}
		k.check(p.Exit())
	}
	if p.State() == axprocess.Zombie && p.Parent() == k.self {
		k.toReap[r] = true
	}
	for _, c := range children {
		k.reparented(c, p, at)
	}
}

// freeReaped finds out which children of a process that has ended it had waited
// for: of those that are still there it had not.
func (k *keeper) freeReaped(p *axprocess.Process) {
	for c := range p.AllChildren() {
		if r, _ := axprocess.DataOf[*record](c); r != nil && r.isDead() && k.isGone(r) {
			k.freed(r, p.PID(), time.Time{}, true)
		}
	}
}

// findReaper asks the kernel whom the children of a process that has ended went
// to: a subreaper of their own, or the init of a pid namespace, is one in the
// table from then on.
func (k *keeper) findReaper(p *axprocess.Process, children []*axprocess.Process) {
	for _, c := range children {
		r, _ := axprocess.DataOf[*record](c)
		if r == nil || r.isDead() {
			continue
		}
		st, ok := readStat(int(c.PID()))
		if !ok || r.start != 0 && st.start != r.start {
			continue
		}
		to := k.live[st.ppid]
		if to != nil && to.model != nil && to.model != p && to.model.State() == axprocess.Running && !to.model.IsSubreaper() {
			k.check(to.model.SetChildSubreaper(true))
		}
		return
	}
}

// reparented notes that a child has another parent.
func (k *keeper) reparented(c, from *axprocess.Process, at time.Time) {
	r, _ := axprocess.DataOf[*record](c)
	to := c.Parent()
	if r == nil || to == nil {
		return
	}
	r.PPID = to.PID()
	why := "its parent ended; the nearest subreaper above it takes orphans"
	if to == k.self {
		if r.Neglected = r.isDead(); r.Neglected { // tentatively: settle finds out
			k.toReap[r] = true
		}
	} else {
		why = "its parent ended; a descendant that is a subreaper takes orphans"
	}
	r.Reparented = append(r.Reparented, Reparenting{At: at, From: from.PID(), To: to.PID(), Why: why})
}

// gone notes that a process that had this start was reaped by whoever was its
// parent, before at.
func (k *keeper) gone(pid int, start uint64, at time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r := k.live[pid]; r != nil && r.isDead() && r.start == start && !k.toReap[r] {
		k.freed(r, r.PPID, at, true)
	}
}

// freed takes a record whose number is free again out of live and the table.
func (k *keeper) freed(r *record, by axprocess.PID, at time.Time, inferred bool) {
	if k.live[int(r.PID)] == r {
		delete(k.live, int(r.PID))
	}
	delete(k.toReap, r)
	r.ReapedBy, r.Reaped, r.ReapInferred = by, at, inferred
	if r.model != nil && r.model.State() == axprocess.Zombie {
		k.check(r.model.Free())
	}
	k.changed()
}

// settle waits for those that have ended and are our children in the table. Each
// is waited for by its number, so that nobody else's child is taken. What is no
// zombie of ours was reaped by the parent that it had. It returns how many have
// not become zombies yet.
func (k *keeper) settle() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	for r := range k.toReap {
		k.settleOne(r)
	}
	return len(k.toReap)
}

// settleLiving waits for those children that nobody would tell the end of.
func (k *keeper) settleLiving(f follower) {
	for _, r := range k.living() {
		k.mu.Lock()
		if r.model != nil && r.model.Parent() == k.self && !f.follows(int(r.PID)) && !r.isDead() {
			k.settleOne(r)
		}
		k.mu.Unlock()
	}
	k.settle()
}

func (k *keeper) settleOne(r *record) {
	at := k.now()
	if r.consumed {
		k.freed(r, k.self.PID(), r.End, false)
		return
	}
	var ws unix.WaitStatus
	n, err := unix.Wait4(int(r.PID), &ws, unix.WNOHANG|unix.WALL, nil)
	switch {
	case n == int(r.PID) && (ws.Exited() || ws.Signaled()):
		if !r.isDead() {
			cause, code := outcome(ws)
			k.end(r, cause, code, at)
		} else if r.Cause == 0 {
			r.Cause, r.Code = outcome(ws)
		}
		k.freed(r, k.self.PID(), at, false)
	case err == unix.ECHILD && k.isGone(r): // else it will be ours: its parent is on its way out
		if !r.isDead() {
			k.end(r, 0, 0, at)
		}
		if n := len(r.Reparented); n > 0 { // it was gone before its parent's end
			r.PPID = r.Reparented[n-1].From
			r.Reparented = r.Reparented[:n-1]
		}
		r.Neglected = false
		k.freed(r, r.PPID, time.Time{}, true)
	}
}

// isGone says whether a record's process has ended and was waited for.
func (k *keeper) isGone(r *record) bool {
	if _, err := unix.Getpgid(int(r.PID)); err == unix.ESRCH {
		return true
	}
	st, ok := readStat(int(r.PID))
	return !ok || r.start != 0 && st.start != r.start
}

// outcome takes a wait status apart.
func outcome(ws unix.WaitStatus) (axprocess.WaitCause, int32) {
	switch {
	case ws.Signaled() && ws.CoreDump():
		return axprocess.Dumped, int32(ws.Signal())
	case ws.Signaled():
		return axprocess.Killed, int32(ws.Signal())
	}
	return axprocess.Exited, int32(ws.ExitStatus())
}

// stops notes that a process was stopped by sig, or continues if that is 0.
func (k *keeper) stops(pid int, sig axprocess.Signal) {
	k.mu.Lock()
	r := k.live[pid]
	if r == nil || r.isDead() || r.stopped == sig {
		k.mu.Unlock()
		return
	}
	r.stopped = sig
	if r.model != nil {
		raise := sig
		if sig == 0 {
			raise = axprocess.SIGCONT
		} else {
			raise = axprocess.SIGSTOP // whatever it does on sig: it has stopped
		}
		_, err := r.model.Raise(raise)
		k.check(err)
	}
	tell := k.onStop
	k.mu.Unlock()
	if r.ID == 1 && tell != nil {
		tell(sig)
	}
}

// firstStops asks whether the command was stopped or continues. Where a tracer
// follows, that comes as an event, and this is not called.
func (k *keeper) firstStops() {
	k.mu.Lock()
	first := k.all[0]
	over := first.isDead()
	k.mu.Unlock()
	if over {
		return
	}
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, int(first.PID), &info, unix.WSTOPPED|unix.WCONTINUED|unix.WNOHANG, nil)
	if err != nil || info.Signo == 0 {
		return
	}
	if info.Code == cldContinued {
		k.stops(int(first.PID), 0)
	} else {
		k.stops(int(first.PID), axprocess.Signal(siStatus(&info)))
	}
}

// cldContinued is CLD_CONTINUED of sigaction(2).
const cldContinued = 6

// living returns the records of what has not ended, oldest first.
func (k *keeper) living() []*record {
	k.mu.Lock()
	defer k.mu.Unlock()
	var living []*record
	for _, r := range k.all {
		if !r.isDead() {
			living = append(living, r)
		}
	}
	return living
}

// copies returns all records as callers may have them.
func (k *keeper) copies(want func(*record) bool) []Process {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []Process
	for _, r := range k.all {
		if want == nil || want(r) {
			out = append(out, r.copy())
		}
	}
	return out
}

// verify checks the table's invariants, and that nothing was refused.
func (k *keeper) verify() error {
	if err := k.table.Check(); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.misfits > 0 {
		return fmt.Errorf("the table refused %d of what was seen; the first: %w", k.misfits, k.refusal)
	}
	return nil
}
