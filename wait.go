package axprocess

import (
	"context"
	"strconv"
	"syscall"
	"time"

	"axprocess/internal/slab"
)

// This file is about wait in all its forms: what a caller may ask for, and what
// it gets. blocked.go is about those that wait for what has not happened yet.
//
// Contract: only one wait consumes each end; a wait for what can never come
// fails; an end is never lost and never given twice. (A stop that was not
// reported is lost when the process continues, and the reverse.)

// WaitOptions says what to wait for and how. Linux's names and values.
type WaitOptions uint32

// The options of wait4(2) and waitid(2).
const (
	WNOHANG     WaitOptions = 0x00000001 // return at once
	WUNTRACED   WaitOptions = 0x00000002 // also stops
	WSTOPPED    WaitOptions = 0x00000002 // stops
	WEXITED     WaitOptions = 0x00000004 // ends
	WCONTINUED  WaitOptions = 0x00000008 // continues
	WNOWAIT     WaitOptions = 0x01000000 // leave the child as it was
	WNOTHREAD   WaitOptions = 0x20000000 // only the calling thread's own children (__WNOTHREAD)
	WALL        WaitOptions = 0x40000000 // children with any exit signal (__WALL)
	WCLONE      WaitOptions = 0x80000000 // only those whose exit signal is not SIGCHLD (__WCLONE)
	waitKinds               = WSTOPPED | WEXITED | WCONTINUED
	wait4Valid              = WNOHANG | WUNTRACED | WCONTINUED | WNOTHREAD | WALL | WCLONE
	waitidValid             = WNOHANG | WNOWAIT | waitKinds | WNOTHREAD | WALL | WCLONE
)

// Whom to wait for, besides a child by its number (> 0) or a group (< -1).
const (
	WaitAny   PID = -1 // any child
	WaitGroup PID = 0  // any child in the caller's group, as it is at the call
)

// WaitCause says what happened to a child; the zero value: nothing is ready.
type WaitCause uint8

// The causes. The code beside each is in parentheses.
const (
	Exited    WaitCause = iota + 1 // it exited (exit code & 0xff)
	Killed                         // a signal ended it (the signal)
	Dumped                         // likewise, with a core dump (the signal)
	Stopped                        // a signal stopped it (the signal)
	Continued                      // SIGCONT continued it (SIGCONT)
)

// String returns the cause's name in lower case.
func (c WaitCause) String() string {
	return [...]string{"nothing", "exited", "killed", "dumped", "stopped", "continued"}[min(c, 5)]
}

// Usage is what a process has used, as its embedder counts it.
type Usage struct {
	User, System time.Duration
}

func (u Usage) plus(v Usage) Usage { return Usage{u.User + v.User, u.System + v.System} }

// WaitResult is what a wait returns. The zero value: nothing is ready (WNOHANG).
type WaitResult struct {
	PID     PID
	Process *Process // the child; freed already if the wait consumed its end
	Cause   WaitCause
	Code    int32
	Usage   Usage // the child's own and of the children that it waited for
}

// Status encodes the result as wait(2) does; 0 if nothing was ready.
func (r WaitResult) Status() uint32 {
	switch r.Cause {
	case Exited:
		return uint32(r.Code) & 0xff << 8
	case Killed:
		return uint32(r.Code) & 0x7f
	case Dumped:
		return uint32(r.Code)&0x7f | 0x80
	case Stopped:
		return uint32(r.Code)&0xff<<8 | 0x7f
	case Continued:
		return 0xffff
	}
	return 0
}

// want is what a wait is for, validated.
type want struct {
	op       string
	pid      PID      // > 0: that child; WaitAny; < -1: that group
	child    *Process // that child, by handle
	opts     WaitOptions
	anyGroup bool
}

func (w *want) group() PID { return -w.pid }

// Wait waits for a child of p as the thread that Process.Thread returns would;
// see Thread.Wait.
func (p *Process) Wait(ctx context.Context, pid PID, opts WaitOptions) (found WaitResult, err error) {
	err = p.wait(ctx, nil, pid, opts, &found)
	return found, err
}

// Wait waits for a child of h's process: pid as in waitpid(2), WaitAny, WaitGroup,
// a number, or minus a group. Without WEXITED, WSTOPPED or WCONTINUED it waits
// for an end. Of several that are ready, h's own children come first, then the
// one that became a child first. Unless WNOWAIT is given, it consumes the end
// (the child is freed) or the report of the stop or continue.
//
// ECHILD if no child matches, now or, when blocked, any more. EINVAL for an
// unknown option; ESRCH for the smallest number, and when the caller exits. A
// blocked wait ends with ctx's error, and then it has consumed nothing.
//
// O(1) in the number of children that are not ready, for any child or a number;
// for a group O(ready children), and O(children) to find out that none matches.
// (wait(2), waitpid(2); kernel: do_wait.)
func (h *Thread) Wait(ctx context.Context, pid PID, opts WaitOptions) (found WaitResult, err error) {
	err = h.process.wait(ctx, h, pid, opts, &found)
	return found, err
}

func (p *Process) wait(ctx context.Context, h *Thread, pid PID, opts WaitOptions, found *WaitResult) error {
	const op = "wait"
	if opts&^waitidValid != 0 {
		return refuse(op, p.pid, syscall.EINVAL, "unknown options %#x", uint32(opts&^waitidValid))
	}
	if opts&waitKinds == 0 {
		opts |= WEXITED
	}
	return p.await(ctx, h, &want{op: op, pid: pid, opts: opts}, found)
}

// WaitProcess waits for one child, given by its handle, as waitid(2) does by a
// pidfd: it can't mistake another for it. ECHILD if it is no child of p, or no
// longer one. Otherwise as Wait.
func (p *Process) WaitProcess(ctx context.Context, child *Process, opts WaitOptions) (found WaitResult, err error) {
	const op = "wait"
	if opts&^waitidValid != 0 || child == nil {
		return WaitResult{}, refuse(op, p.pid, syscall.EINVAL, "unknown options %#x, or no child", uint32(opts&^waitidValid))
	}
	if opts&waitKinds == 0 {
		opts |= WEXITED
	}
	err = p.await(ctx, nil, &want{op: op, pid: child.pid, child: child, opts: opts}, &found)
	return found, err
}

// Wait4 is wait4(2) to the letter: it waits for ends, and for stops and continues
// too if WUNTRACED and WCONTINUED ask for them. EINVAL for other options,
// WEXITED and WNOWAIT among them; ESRCH for pid -2147483648; ECHILD. The context
// plays the signal that interrupts.
func (h *Thread) Wait4(ctx context.Context, pid PID, opts WaitOptions) (found WaitResult, err error) {
	const op = "wait4"
	if opts&^wait4Valid != 0 {
		return WaitResult{}, refuse(op, h.TID(), syscall.EINVAL, "options %#x", uint32(opts&^wait4Valid))
	}
	err = h.process.await(ctx, h, &want{op: op, pid: pid, opts: opts | WEXITED}, &found)
	return found, err
}

// IDType says what the number given to Waitid is.
type IDType int32

// Linux's values. The number given with P_PIDFD stands for the process that the
// descriptor refers to; WaitProcess takes a handle, which is closer.
const (
	P_ALL   IDType = 0
	P_PID   IDType = 1
	P_PGID  IDType = 2
	P_PIDFD IDType = 3
)

// Waitid is waitid(2) to the letter. EINVAL for unknown options, for none of
// WEXITED, WSTOPPED and WCONTINUED, for an unknown idtype, and for a number that
// can be none (P_PID: ≤ 0, P_PGID: < 0, P_PIDFD: < 0); EBADF for a P_PIDFD that is no
// process; ECHILD.
func (h *Thread) Waitid(ctx context.Context, idtype IDType, id PID, opts WaitOptions) (found WaitResult, err error) {
	const op = "waitid"
	if opts&^waitidValid != 0 || opts&waitKinds == 0 {
		return WaitResult{}, refuse(op, h.TID(), syscall.EINVAL, "options %#x", uint32(opts))
	}
	w := want{op: op, pid: id, opts: opts}
	bad := false
	switch idtype {
	case P_ALL:
		w.pid = WaitAny
	case P_PID:
		bad = id <= 0
	case P_PGID:
		bad = id < 0
		w.pid, w.anyGroup = -id, id > 0
	case P_PIDFD:
		if bad = id < 0; !bad {
			if w.child = h.process.visible(id); w.child == nil {
				return WaitResult{}, refuse(op, h.TID(), syscall.EBADF, "%d is no process", id)
			}
		}
	default:
		bad = true
	}
	if bad {
		return WaitResult{}, refuse(op, h.TID(), syscall.EINVAL, "idtype %d with id %d", idtype, id)
	}
	err = h.process.await(ctx, h, &w, &found)
	return found, err
}

// visible returns the process that goes by a number in p's namespace, or nil.
func (p *Process) visible(pid PID) *Process {
	s := p.table().enter()
	defer s.leave()
	if r := s.row(p); r != nil && pid > 0 {
		return s.procs.Get(uint32(s.given(r, pid)))
	}
	return nil
}

// await validates what takes the lock to validate, takes what is ready, and
// blocks for the rest.
func (p *Process) await(ctx context.Context, h *Thread, w *want, found *WaitResult) error {
	if w.pid == -1<<31 {
		return refuse(w.op, p.pid, syscall.ESRCH, "%d is no group", w.pid)
	}
	s := p.table().enter()
	r, err := s.callerThread(w.op, p, h)
	if err != nil {
		s.leave()
		return err
	}
	if h == nil {
		h = r.firstThread
	}
	switch {
	case w.pid == WaitGroup && w.child == nil:
		w.pid, w.anyGroup = -p.group.Load().pgid, true
	case r.space != 0:
		s.translate(r, w)
	}
	some := s.poll(p.at, h, w, found)
	if found.Cause != 0 || some && w.opts&WNOHANG != 0 {
		s.leave()
		return nil
	}
	if !some {
		s.leave()
		return refuse(w.op, p.pid, syscall.ECHILD, "no child matches %s", w.target())
	}
	if err := ctx.Err(); err != nil {
		s.leave()
		return err
	}
	b := s.waiter()
	b.want, b.process, b.thread, b.done = *w, p, h, make(chan struct{})
	s.block(b)
	s.leave()
	defer s.retire(b)
	return b.sleep(ctx, found)
}

// callerThread is caller where a thread may be named too.
func (s *state) callerThread(op string, p *Process, h *Thread) (*row, *Error) {
	if h != nil && h.exited.Load() && p.State() <= Exiting {
		return nil, refuse(op, h.TID(), syscall.ESRCH, "the thread has exited")
	}
	return s.caller(op, p)
}

// poll looks for a child that matches: it fills in found if one is ready, and says
// whether there is one that may become so. Results go through pointers all the way:
// each copy of one would wait for the stores of the last.
func (s *state) poll(at slab.Index, h *Thread, w *want, found *WaitResult) (some bool) {
	if w.byNumber() {
		child := w.child
		if child == nil {
			child = s.procs.Get(uint32(w.pid))
		}
		if child == nil || child.at == 0 {
			return false
		}
		r := s.rows.At(child.at)
		if r.parent != at || !w.accepts(r, h) {
			return false
		}
		if cause := w.ready(r); cause != 0 {
			s.take(child.at, cause, w.opts, found)
			return true
		}
		return w.mayCome(r)
	}
	if b := s.onlyList(at, w); b != nil {
		return s.takeOldest(at, b, w, found) || s.anyMatch(b, w)
	}
	s.searched(at, h, w, func(b *brood) bool {
		some = s.takeOldest(at, b, w, found)
		return !some
	})
	return some || s.hasMatch(at, h, w)
}

// onlyList returns the list of children that a wait looks into, if there is but
// one, as in most processes.
func (s *state) onlyList(at slab.Index, w *want) *brood {
	r := s.rows.At(at)
	if h := r.firstThread; w.opts&WNOTHREAD == 0 && (h == nil || h == r.lastThread && h.brood == nil) {
		return &r.brood
	}
	return nil
}

// takeOldest takes the oldest of one list that is ready, if there is one.
func (s *state) takeOldest(parent slab.Index, b *brood, w *want, found *WaitResult) bool {
	ready, cause := s.oldestReady(parent, b, w)
	if ready != 0 {
		s.take(ready, cause, w.opts, found)
	}
	return ready != 0
}

// searched calls do for each list of children that a wait by h looks into, until
// it says false: with WNOTHREAD only h's own, which may be none.
func (s *state) searched(at slab.Index, h *Thread, w *want, do func(*brood) bool) {
	switch r := s.rows.At(at); {
	case w.opts&WNOTHREAD == 0:
		s.broods(r, h, do)
	case h.owns() == nil:
		do(&r.brood)
	case h.brood != nil:
		do(h.brood)
	}
}

// oldestReady finds the child of one list that became a child first among those
// that have something to report.
func (s *state) oldestReady(parent slab.Index, b *brood, w *want) (slab.Index, WaitCause) {
	var zombie slab.Index
	if w.opts&WEXITED != 0 {
		zombie = s.firstZombie(b.zombies, w)
	}
	if w.opts&(WSTOPPED|WCONTINUED) != 0 {
		return s.oldestChanged(parent, b, w, zombie)
	}
	return zombie, Exited // take knows which kind of end it was
}

// oldestChanged is oldestReady where stops and continues count too, beside the oldest
// zombie.
func (s *state) oldestChanged(parent slab.Index, b *brood, w *want, zombie slab.Index) (slab.Index, WaitCause) {
	best, cause := zombie, Exited
	s.changed(parent, func(at slab.Index, r *row) {
		if s.broodOf(parent, r.owner) != b || !w.matches(r) {
			return
		}
		if c := w.ready(r); c != 0 && (best == 0 || r.birth < s.rows.At(best).birth) {
			best, cause = at, c
		}
	})
	return best, cause
}

// hasMatch says whether some child matches that may become ready.
func (s *state) hasMatch(at slab.Index, h *Thread, w *want) bool {
	if b := s.onlyList(at, w); b != nil {
		return s.anyMatch(b, w)
	}
	some := false
	s.searched(at, h, w, func(b *brood) bool {
		some = s.anyMatch(b, w)
		return !some
	})
	return some
}

// anyMatch is hasMatch in one list.
func (s *state) anyMatch(b *brood, w *want) bool {
	for at := b.first; at != 0; {
		r := s.rows.At(at)
		if w.matches(r) && w.mayCome(r) {
			return true
		}
		at = r.nextSibling
	}
	return false
}

// translate turns the numbers of a caller's namespace into the table's own; what
// nothing goes by becomes a number that nothing can have.
func (s *state) translate(r *row, w *want) {
	const nobody = 1<<31 - 1
	switch {
	case w.child != nil || w.pid == WaitAny && !w.anyGroup:
	case w.pid > 0:
		if w.pid = s.given(r, w.pid); w.pid == 0 {
			w.pid = nobody
		}
	default:
		n := s.given(r, -w.pid)
		if n == 0 {
			n = nobody
		}
		w.pid, w.anyGroup = -n, true
	}
}

func (w *want) byNumber() bool { return w.child != nil || w.pid > 0 }

// matches is eligible_child in the kernel.
func (w *want) matches(r *row) bool {
	if w.opts&WALL == 0 && (r.flags&flagOtherExit != 0) != (w.opts&WCLONE != 0) {
		return false
	}
	return w.names(r)
}

// names is matches without regard to the signal that the child sends (kernel:
// eligible_pid).
func (w *want) names(r *row) bool {
	switch {
	case w.child != nil:
		return r.process == w.child
	case w.pid > 0:
		return r.process.pid == w.pid
	case w.pid == WaitAny && !w.anyGroup:
		return true
	}
	return r.process.group.Load().pgid == w.group()
}

// accepts is matches, and that it is the caller's where that matters.
func (w *want) accepts(r *row, h *Thread) bool {
	return w.matches(r) && (w.opts&WNOTHREAD == 0 || r.owner == h.owns())
}

// ready says what of a child can be reported, if anything.
func (w *want) ready(r *row) WaitCause {
	if r.process.State() == Zombie {
		if w.opts&WEXITED != 0 {
			return Exited
		}
		return 0
	}
	if r.extra == nil {
		return 0
	}
	return r.extra.stop.report(w.opts)
}

// mayCome: a zombie has no stop or continue to come (semantics 5.1).
func (w *want) mayCome(r *row) bool {
	return r.process.State() != Zombie || w.opts&WEXITED != 0
}

func (w *want) target() string {
	switch {
	case w.byNumber():
		return "process " + strconv.Itoa(int(w.pid))
	case w.pid == WaitAny && !w.anyGroup:
		return "any child"
	}
	return "group " + strconv.Itoa(int(w.group()))
}

// take fills in what a child has to report and, without WNOWAIT, consumes it.
func (s *state) take(at slab.Index, cause WaitCause, opts WaitOptions, found *WaitResult) {
	r := s.rows.At(at)
	p := r.process
	found.PID, found.Process, found.Cause = p.pid, p, cause
	if r.space != 0 && r.parent != 0 {
		found.PID = s.told(s.rows.At(r.parent), at)
	}
	if r.extra != nil {
		found.Usage = r.extra.usage.plus(r.extra.waited)
	}
	switch cause {
	case Stopped:
		found.Code = int32(r.extra.stop.signal)
	case Continued:
		found.Code = int32(SIGCONT)
	default:
		found.Cause = p.cause()
		found.Code = p.code
		if found.Cause == Exited {
			found.Code &= 0xff
		}
	}
	switch {
	case opts&WNOWAIT != 0:
	case cause == Exited:
		if r.extra != nil && found.Usage != (Usage{}) {
			parent := s.rows.At(r.parent).ext()
			parent.waited = parent.waited.plus(found.Usage)
			s.touched(s.rows.At(r.parent).process, "usage of a child")
		}
		s.free(at, "its parent waited for it")
	default:
		s.reported(at, r)
	}
}

// AddUsage adds to what p has used; a consuming wait hands it to the parent
// (getrusage(2): RUSAGE_CHILDREN). ESRCH once it has been freed.
func (p *Process) AddUsage(u Usage) error {
	s := p.table().enter()
	defer s.leave()
	r := s.row(p)
	if r == nil {
		return refuse("add usage", p.pid, syscall.ESRCH, reasonFreed)
	}
	x := r.ext()
	x.usage = x.usage.plus(u)
	s.touched(p, "usage")
	return nil
}

// ChildrenUsage returns what the children that p has waited for had used.
func (p *Process) ChildrenUsage() Usage {
	s := p.table().enter()
	defer s.leave()
	if r := s.row(p); r != nil && r.extra != nil {
		return r.extra.waited
	}
	return Usage{}
}
