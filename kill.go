package axprocess

import (
	"slices"
	"syscall"

	"axprocess/internal/slab"
)

// This file is about sending: whom a kill reaches, in all its forms.
//
// Invariants: a call that is refused has sent nothing; the targets of one call are
// one cut of the table, and a signal that reaches several reaches all of them in
// one step.

// KillResult says whom a kill reached and what it did. It is small, so that a kill
// to one process, whose effect is one, allocates nothing.
type KillResult struct {
	first Effect // without an action: signal 0, or nobody was reached
	more  *killedMore
}

// killedMore is the result of a kill that reached several, or did more than one
// thing.
type killedMore struct {
	reached []*Process
	effects []Effect
}

// Reached returns whom the signal was sent to, zombies included: in a group in
// the order in which they joined, else ascending by pid.
func (k KillResult) Reached() []*Process {
	switch {
	case k.more != nil:
		return k.more.reached
	case k.first.Process != nil:
		return []*Process{k.first.Process}
	}
	return nil
}

// Effects returns what was done, in order, to others as a consequence too.
func (k KillResult) Effects() []Effect {
	switch {
	case k.more != nil:
		return k.more.effects
	case k.first.Action != 0:
		return []Effect{k.first}
	}
	return nil
}

// aim is what a call asks for.
type aim struct {
	posted           // direct: pid is a thread's number; reason: the call's name
	pid     PID      // as in kill(2)
	tgid    PID      // with direct: of that process; 0: of any
	handle  *Process // the process, as by a pidfd
	group   *ProcessGroup
	single  bool // a process only, and no meaning for numbers ≤ 0
	isGroup bool // pid is 0 or minus a group's number, -1 included
}

// letter is a signal that is not addressed yet.
func letter(op string, sig Signal, code SigCode) posted {
	return posted{reason: op, info: SigInfo{Signal: sig, Code: code}}
}

// target is one process, and the thread that is asked first or alone.
type target struct {
	process *Process
	thread  *Thread
}

// Kill sends sig: to process pid, by its number or that of one of its threads; 0:
// to the caller's group; -1: to all but the caller and the init; below: to group
// -pid. Signal 0 only asks. A zombie is reached and nothing happens. In this order:
// ESRCH when the caller has exited or there is no target, EINVAL for no such signal,
// EPERM if WithPermission's function refuses all of them (for -1 that is no error:
// nobody is reached). O(targets); no allocation for one. (kill(2); semantics 6.1;
// kernel: kill_something_info.)
func (p *Process) Kill(pid PID, sig Signal) (k KillResult, _ error) {
	const op = "kill"
	if pid > 0 && p.killPlainly(&k, op, pid, nil, sig) {
		return k, nil
	}
	return p.send(&aim{pid: pid, posted: letter(op, sig, SI_USER)})
}

// Killpg sends sig to group pgid, or to the caller's if it is 0; EINVAL if it is
// below, else as Kill. Unlike killpg(3), which means everybody by 1, it sends to
// group 1.
func (p *Process) Killpg(pgid PID, sig Signal) (KillResult, error) {
	const op = "killpg"
	if pgid < 0 {
		return KillResult{}, refuse(op, p.pid, syscall.EINVAL, "pgid %d is below 0", pgid)
	}
	return p.send(&aim{pid: -pgid, isGroup: true, posted: letter(op, sig, SI_USER)})
}

// Tkill sends sig to the thread tid alone. EINVAL if tid is not above 0; then as
// Kill. The number of a process whose leader has exited, a zombie's too, is
// accepted, and nothing happens. O(1). (tkill(2); kernel: do_send_specific.)
func (p *Process) Tkill(tid PID, sig Signal) (KillResult, error) {
	return p.killThread("tkill", 0, tid, sig)
}

// Tgkill is Tkill for a thread of process tgid: ESRCH if tid is of another one.
// (tgkill(2).)
func (p *Process) Tgkill(tgid, tid PID, sig Signal) (KillResult, error) {
	if tgid <= 0 {
		return KillResult{}, refuse("tgkill", p.pid, syscall.EINVAL, "process %d of thread %d", tgid, tid)
	}
	return p.killThread("tgkill", tgid, tid, sig)
}

func (p *Process) killThread(op string, tgid, tid PID, sig Signal) (KillResult, error) {
	if tid <= 0 {
		return KillResult{}, refuse(op, p.pid, syscall.EINVAL, "thread %d", tid)
	}
	a := aim{pid: tid, tgid: tgid, posted: letter(op, sig, SI_TKILL)}
	a.direct = true
	return p.send(&a)
}

// Sigqueue sends sig with a value to process pid. ESRCH unless pid is a process or
// thread; then as Kill; EAGAIN for a real-time signal when the receiver's queue is
// full. (sigqueue(3), rt_sigqueueinfo(2).)
func (p *Process) Sigqueue(pid PID, sig Signal, value uint64) (KillResult, error) {
	a := aim{pid: pid, single: true, posted: letter("sigqueue", sig, SI_QUEUE)}
	a.info.Value = value
	return p.send(&a)
}

// KillProcess sends sig to one process, given by its handle, as
// pidfd_send_signal(2) does: it can't mistake another for it. ESRCH once that is
// freed, EINVAL if it is nil or of another table; otherwise as Kill.
func (p *Process) KillProcess(to *Process, sig Signal) (k KillResult, _ error) {
	const op = "kill process"
	if to == nil || to.table() != p.table() {
		return KillResult{}, refuse(op, p.pid, syscall.EINVAL, "no process, or one of another table, is given")
	}
	if p.killPlainly(&k, op, 0, to, sig) {
		return k, nil
	}
	return p.send(&aim{handle: to, posted: letter(op, sig, SI_USER)})
}

// KillGroup sends sig to each member of g; ESRCH once g has ended, EINVAL if it is
// nil or of another table; otherwise as Kill. (pidfd_send_signal(2) with
// PIDFD_SIGNAL_PROCESS_GROUP.)
func (p *Process) KillGroup(g *ProcessGroup, sig Signal) (KillResult, error) {
	const op = "kill group"
	if g == nil || g.session.table != p.table() {
		return KillResult{}, refuse(op, p.pid, syscall.EINVAL, "no group, or one of another table, is given")
	}
	return p.send(&aim{group: g, posted: letter(op, sig, SI_USER)})
}

// Raise sends a signal to p as the kernel does: SIGALRM, SIGPIPE, SIGSEGV. Nobody's
// permission is asked. EINVAL for no such signal, ESRCH once p is freed. O(1).
// (Kernel: send_sig.)
func (p *Process) Raise(sig Signal) (Action, error) { return p.raise(nil, sig) }

// Raise is Process.Raise to h alone.
func (h *Thread) Raise(sig Signal) (Action, error) { return h.process.raise(h, sig) }

func (p *Process) raise(h *Thread, sig Signal) (Action, error) {
	const op = "raise"
	if sig <= 0 || sig > SIGRTMAX {
		return 0, refuse(op, p.pid, syscall.EINVAL, "signal %d is not in 1…%d", sig, SIGRTMAX)
	}
	s := p.table().enter()
	defer s.leave()
	if s.row(p) == nil {
		return 0, refuse(op, p.pid, syscall.ESRCH, reasonFreed)
	}
	m := posted{to: p, thread: h, direct: h != nil, info: SigInfo{Signal: sig, Code: SI_KERNEL}, reason: "raised by the embedder"}
	action, thread := s.hit(&m)
	s.effect(&m, thread, action)
	s.goOn(&m, action)
	s.settle()
	return action, nil
}

// killPlainly is the short way of nearly all kills: to a running process, by handle
// or number, where nobody has to be asked and no pid namespace is about. If there
// is anything else, also anything wrong, it does nothing, and send is the way.
func (p *Process) killPlainly(k *KillResult, op string, pid PID, to *Process, sig Signal) (done bool) {
	t := p.table()
	if t.guarded.permit != nil || sig <= 0 || sig > SIGRTMAX {
		return false
	}
	s := t.enter()
	if to == nil {
		to = s.procs.Get(uint32(pid))
	}
	if to != nil && to.at != 0 && p.at != 0 {
		if from, r := s.rows.At(p.at), s.rows.At(to.at); from.alive() && from.space|r.space == 0 && to.State() == Running && r.alive() {
			done = true
			if a := s.idleAction(r, sig); a != 0 {
				k.first.Process, k.first.Signal, k.first.Action, k.first.Reason = to, sig, a, op
			} else {
				s.killOne(p, from, to, sig, op, k)
			}
		}
	}
	s.leave()
	return done
}

// idleAction is what becomes of a signal that changes nothing, where nobody has to be
// told of that: it is ignored, or pending already. 0: it may change something.
func (s *state) idleAction(r *row, sig Signal) Action {
	bit := sig.set()
	switch {
	case bit&(defaultStop|SIGCONT.set()) != 0 || !s.plain || s.noticing:
		return 0
	case r.does().ignores(sig) && r.maskOf(r.leader())&bit == 0:
		return Dropped
	case r.sharedBits()&bit&standard != 0:
		return Merged
	}
	return 0
}

// killOne sends to one running process.
func (s *state) killOne(p *Process, from *row, to *Process, sig Signal, op string, k *KillResult) {
	var m posted // field by field: a literal is copied, and the copy waits for the stores
	m.to, m.reason = to, op
	m.info.Signal, m.info.PID, m.info.UID = sig, p.pid, from.uid()
	s.record = true
	s.shootFirst(&m, k)
	s.settle()
	s.record = false
	s.addUp(target{process: to}, k)
}

// send asks for permission where somebody has to be asked, and sends.
func (p *Process) send(a *aim) (k KillResult, _ error) {
	t := p.table()
	if t.guarded.permit != nil { // set once, by NewTable
		err := p.sendPermitted(a, &k)
		return k, err
	}
	s := t.enter()
	one, err := s.aimAt(p, a)
	if err == nil {
		err = s.shoot(p, a, one, &k)
	}
	s.leave()
	if err != nil {
		return KillResult{}, err
	}
	return k, nil
}

// sendPermitted asks about each target outside of the lock, and looks again: who
// has joined meanwhile is asked about too.
func (p *Process) sendPermitted(a *aim, k *KillResult) error {
	t := p.table()
	may := map[*Process]bool{p: true}
	s := t.enter()
	for {
		one, err := s.aimAt(p, a)
		if err != nil {
			s.leave()
			return err
		}
		if one.process != nil {
			s.aimed = append(s.aimed, one)
		}
		var unasked []*Process
		for _, to := range s.aimed {
			if _, asked := may[to.process]; !asked {
				unasked = append(unasked, to.process)
			}
		}
		if len(unasked) == 0 {
			break
		}
		s.forgetAims()
		s.leave()
		for _, q := range unasked {
			may[q] = t.guarded.permit(p, q, a.info.Signal)
		}
		s = t.enter()
	}
	defer s.leave()
	s.aimed = slices.DeleteFunc(s.aimed, func(to target) bool { return !may[to.process] })
	if len(s.aimed) == 0 && (a.pid != -1 || a.isGroup) {
		return refuse(a.reason, p.pid, syscall.EPERM, "it may not send %s to %d", a.info.Signal, a.pid)
	}
	if err := s.shoot(p, a, target{}, k); err != nil {
		return err
	}
	return nil
}

// aimAt finds the targets of a call: the one of a call that can have one only, else
// a list in aimed.
func (s *state) aimAt(p *Process, a *aim) (one target, _ *Error) {
	r, err := s.caller(a.reason, p)
	if err != nil {
		return one, err
	}
	switch {
	case a.handle != nil:
		if a.handle.at != 0 {
			one.process = a.handle
		}
	case a.direct:
		one = s.aimAtThread(s.given(r, a.pid), s.given(r, a.tgid), a.tgid == 0)
	case a.pid > 0:
		one = s.aimAtNumber(s.given(r, a.pid))
	case a.single || a.pid == -1<<31:
	case a.pid == -1 && !a.isGroup:
		s.aimAtAll(p, s.nested(r))
	default:
		s.aimAtGroup(p, r, a)
	}
	if one.process == nil && len(s.aimed) == 0 {
		return one, refuse(a.reason, p.pid, syscall.ESRCH, "there is nobody for %d", a.pid)
	}
	if sig := a.info.Signal; sig < 0 || sig > SIGRTMAX {
		s.forgetAims()
		return one, refuse(a.reason, p.pid, syscall.EINVAL, "signal %d is not in 0…%d", sig, SIGRTMAX)
	}
	return one, nil
}

// aimAtNumber: a thread's number means its process, and that thread is asked first
// (kernel: kill_pid_info).
func (s *state) aimAtNumber(pid PID) target {
	if q := s.procs.Get(uint32(pid)); q != nil {
		return target{process: q}
	}
	if h := s.threads.Get(uint32(pid)); h != nil {
		return target{h.process, h}
	}
	return target{}
}

func (s *state) aimAtThread(tid, tgid PID, anyProcess bool) target {
	h := s.threads.Get(uint32(tid))
	q := s.procs.Get(uint32(tid))
	if h != nil {
		q = h.process
	}
	if q == nil || !anyProcess && tgid != q.pid {
		return target{}
	}
	return target{q, h}
}

func (s *state) aimAtGroup(p *Process, r *row, a *aim) {
	g := a.group
	switch {
	case g != nil && !g.live:
		g = nil
	case g != nil:
	case a.pid < 0:
		g = s.groups.Get(uint32(s.given(r, -a.pid)))
	default:
		g = p.group.Load()
	}
	if g != nil {
		s.members(g, func(_ slab.Index, r *row) bool {
			s.aimed = append(s.aimed, target{process: r.process})
			return true
		})
	}
}

// aimAtAll aims at all that the caller can see but itself and its namespace's init.
func (s *state) aimAtAll(p *Process, ns *Namespace) {
	if ns == nil {
		for _, q := range s.procs.All() {
			if q != p && q != s.init {
				s.aimed = append(s.aimed, target{process: q})
			}
		}
		return
	}
	for nr := ns.levels.after(1); nr != 0; nr = ns.levels.after(nr) {
		if q := s.procs.Get(uint32(ns.outermost(nr))); q != nil && q != p {
			s.aimed = append(s.aimed, target{process: q})
		}
	}
}

// shoot sends to what aimAt found, in one step.
func (s *state) shoot(p *Process, a *aim, one target, k *KillResult) *Error {
	if one.process == nil && len(s.aimed) == 0 {
		return nil
	}
	first := one
	if one.process == nil {
		first = s.aimed[0]
	}
	if a.info.Signal == 0 {
		k.first.Process = first.process
	} else {
		a.info.PID, a.info.UID = s.ownNumber(p), s.rows.At(p.at).uid()
		fades, own := s.whereFades(p, a), a.info.PID
		s.record = true
		s.address(p, &a.posted, first, own, fades.at(0, first.process))
		s.shootFirst(&a.posted, k)
		for i := 1; i < len(s.aimed); i++ {
			s.address(p, &a.posted, s.aimed[i], own, fades.at(i, s.aimed[i].process))
			s.deliver(&a.posted)
		}
		s.settle()
		s.record = false
	}
	s.addUp(one, k)
	if k.first.Action == Overflowed {
		return refuse(a.reason, p.pid, syscall.EAGAIN, "%d signals are queued for %d", s.pendingLimit, k.first.Process.pid)
	}
	return nil
}

// addUp completes the result of a kill that reached several, or did more than one
// thing; one is whom it was for, if it could be for one only.
func (s *state) addUp(one target, k *KillResult) {
	if len(s.aimed) > 1 || len(s.effects) > 0 {
		if one.process != nil {
			s.aimed = append(s.aimed, one)
		}
		k.more = s.killedMore(k.first)
	}
	if len(s.aimed) > 0 {
		s.forgetAims()
	}
}

// ownNumber is a sender's number in its own namespace. The kernel gives it to
// receivers in a namespace above too, where it is somebody else's (seen; kernel:
// prepare_kill_siginfo, and send_signal_locked takes it away but does not translate).
func (s *state) ownNumber(p *Process) PID {
	if r := s.row(p); r.space != 0 {
		return s.pidIn(p, s.spaceOf(r))
	}
	return p.pid
}

// sender is a sender's number as a receiver sees it. One that it can't see gets
// through an init's immunity (kernel: send_signal_locked).
func (s *state) sender(to *row, from *Process) (PID, bool) {
	n := s.pidIn(from, s.spaceOf(to))
	return n, n == 0
}

// fading is where the targets of one call no longer see who the sender is.
type fading struct {
	upTo int    // of a group: all up to here do not
	from uint64 // of everybody: nor do those born since
}

func (f fading) at(i int, to *Process) bool { return i < f.upTo || f.from != 0 && to.id >= f.from }

// whereFades: the kernel gives all targets the same record, and takes the sender's
// number out of it for the first one that can't see him: those after that one don't
// either. Of a group the newest member comes first, of everybody the oldest (seen;
// kernel: send_signal_locked, attach_pid).
func (s *state) whereFades(p *Process, a *aim) (f fading) {
	if len(s.aimed) < 2 || len(s.spaces) == 0 {
		return f
	}
	everybody := a.pid == -1 && !a.isGroup
	for i, to := range s.aimed {
		if n, _ := s.sender(s.row(to.process), p); n != 0 {
			continue
		}
		if !everybody {
			f.upTo = i + 1
		} else if id := to.process.id; f.from == 0 || id < f.from {
			f.from = id
		}
	}
	return f
}

// address makes a signal of p's, whose number in its own namespace is own, one to
// somebody.
func (s *state) address(p *Process, m *posted, to target, own PID, faded bool) {
	m.to, m.thread, m.info.PID, m.force = to.process, to.thread, own, false
	if r := s.row(to.process); r != nil && r.space != 0 {
		_, m.force = s.sender(r, p)
	}
	if m.force || faded {
		m.info.PID = 0
	}
}

// shootFirst delivers to the first target; its effect goes into the result at once.
func (s *state) shootFirst(m *posted, k *KillResult) {
	action, h := s.hit(m)
	e := &k.first
	e.Process, e.Thread, e.Signal, e.Action, e.Reason = m.to, h, m.info.Signal, action, m.reason
	s.announce(m, h, action)
	s.goOn(m, action)
}

func (s *state) killedMore(first Effect) *killedMore {
	more := &killedMore{reached: make([]*Process, len(s.aimed))}
	for i := range s.aimed {
		more.reached[i] = s.aimed[i].process
	}
	if first.Action != 0 {
		more.effects = append(append(make([]Effect, 0, 1+len(s.effects)), first), s.effects...)
	}
	return more
}

// forgetAims empties what a kill used, and keeps what a small one needs again.
func (s *state) forgetAims() {
	if len(s.aimed) == 1 && len(s.effects) == 0 {
		s.aimed[0] = target{}
		s.aimed = s.aimed[:0]
		return
	}
	clear(s.aimed)
	clear(s.effects)
	s.aimed, s.effects = s.aimed[:0], s.effects[:0]
	if cap(s.aimed) > 64 {
		s.aimed = nil
	}
	if cap(s.effects) > 64 {
		s.effects = nil
	}
}
