package replay

import (
	"fmt"
	"syscall"

	"axprocess"
	"axprocess/trace/strace"
)

// This file is about wait: which child it returns, and what it says of it.
//
// The kernel looks when the call begins and whenever a child has something to
// say; the log shows that some time later. So of several children that became
// ready during one call any may be returned that was the oldest of those that were
// ready at some moment; the log's order of their exit lines is the order in which
// they became ready.

func isWait(op strace.Op) bool { return op == strace.Wait4 || op == strace.Waitid }

// look asks the table what the wait would be given now, and leaves it as it is.
func (e *engine) look(w *waiting) (axprocess.WaitResult, error) {
	h := w.c.thread.h
	quiet := axprocess.WNOHANG | axprocess.WNOWAIT
	switch {
	case w.isFd && w.byFd != nil:
		return w.p.p.WaitProcess(background, w.byFd.p, w.opts|quiet)
	case w.waitid:
		return h.Waitid(background, w.idtype, w.pid, w.opts|quiet)
	}
	const valid = axprocess.WNOHANG | axprocess.WUNTRACED | axprocess.WCONTINUED | axprocess.WNOTHREAD | axprocess.WALL | axprocess.WCLONE
	if w.opts&^valid != 0 {
		return h.Wait4(background, w.pid, w.opts)
	}
	return h.Wait(background, w.pid, w.opts|quiet|axprocess.WEXITED)
}

// judgeWait compares a wait's result with what the rules give, and lets it take
// effect.
func (e *engine) judgeWait(c *call) {
	if !c.result.Known && !c.result.Restart {
		return // the caller ended in it
	}
	w, ok := e.readWait(c)
	switch {
	case !ok:
		e.rep.count(c.op.String(), learned, "its arguments can't be read")
		return
	case w.isFd && w.byFd == nil && c.result.Errno != syscall.EBADF:
		e.rep.count(c.op.String(), learned, "the log does not tell what a descriptor stands for")
		e.applyWait(&w)
		return
	}
	got, err := e.look(&w)
	v := e.compareWait(&w, got, err)
	reason := ""
	if v == differs {
		v, reason = e.excuse(&w, got, err)
	}
	switch {
	case v != differs:
		e.rep.count(c.op.String(), v, reason)
	default:
		e.mismatch(c, e.describeWait(&w, got, err), "a wait returns the first of its children that is ready, and what happened to it (semantics 5)")
		m := &e.rep.Mismatches[len(e.rep.Mismatches)-1]
		m.Got = e.gotWait(&w)
	}
	e.applyWait(&w)
}

// compareWait compares what the table says with the log.
func (e *engine) compareWait(w *waiting, got axprocess.WaitResult, err error) verdict {
	r := &w.c.result
	switch {
	case err != nil:
		return asVerdict(r.Errno != 0 && r.Errno == refusal(err).errno)
	case r.Restart:
		return asVerdict(got.Cause == 0)
	case r.Errno != 0:
		return differs
	case got.Cause == 0:
		return asVerdict(w.nothing && !w.blocking)
	case w.child <= 0:
		return asVerdict(w.waitid && w.blocking && w.cause == 0 && w.nothing) // no siginfo asked for
	}
	if v := e.same(w.p.ns, w.child, w.outside, got.PID, asProcess); v == differs {
		return differs
	}
	return asVerdict(w.cause == 0 || w.cause == got.Cause && w.code == got.Code ||
		w.code == got.Code && isKill(w.cause) && isKill(got.Cause) && w.waitid)
}

func isKill(c axprocess.WaitCause) bool { return c == axprocess.Killed || c == axprocess.Dumped }

// excuse looks for an order of what overlaps in which the log is right.
func (e *engine) excuse(w *waiting, got axprocess.WaitResult, err error) (verdict, string) {
	r := &w.c.result
	right := func() bool {
		got, err := e.look(w)
		return e.compareWait(w, got, err) == agrees
	}
	b := e.childOf(w)
	switch {
	case got.Cause != 0 && (w.nothing && !w.blocking || r.Restart) && e.readyOf(got) > w.c.since && !w.c.whole:
		return learned, "a child became ready while it looked"
	case got.Cause != 0 && b != nil && e.couldBeFirst(w, b):
		return learned, "several children are ready, and the log does not order them"
	case b != nil && b.stopping != 0 && w.cause == axprocess.Stopped:
		e.stopped(b, b.stopping)
		if right() {
			return agrees, ""
		}
	case b != nil && !b.p.IsZombie() && e.endsUnseen(w, b):
		e.vanishAs(b, w.cause, w.code)
		if right() {
			return learned, "the log does not show ends"
		}
	case w.p.older && b == nil && e.olderChild(w, err):
		return learned, "the child was born before the log begins"
	case b != nil && (b.left || !b.appeared) && w.child > 0, !e.followed && w.p.life.StartedBy == 0 && e.rep.Processes > 1:
		return learned, "the child is not followed by the log"
	case b != nil && b.p.IsZombie() && e.comesEarly(w, b):
		return learned, "its parent is ending, and the log does not show when"
	}
	if e.hasten(w.c, right) {
		return learned, raceReason
	}
	return differs, ""
}

// endsUnseen says whether a child may have ended although it has no line of it:
// strace was told not to write such lines (-qq, -e signal=none).
func (e *engine) endsUnseen(w *waiting, b *proc) bool {
	switch w.cause {
	case axprocess.Exited:
		return !e.in.exits && (b.doomed || !e.shown[strace.ExitGroup])
	case axprocess.Killed, axprocess.Dumped:
		return !e.in.kills && !e.signals
	case 0:
		return !e.in.exits
	}
	return false
}

// vanishAs ends a process as a wait tells of it.
func (e *engine) vanishAs(p *proc, cause axprocess.WaitCause, code int32) {
	for _, h := range p.p.Threads() {
		if mine, ok := axprocess.DataOf[*thread](h); ok {
			e.drop(mine)
			delete(e.threads, mine.tid)
		}
	}
	e.lastWords(p)
	if cause == axprocess.Killed || cause == axprocess.Dumped {
		p.p.GroupKill(axprocess.Signal(code), cause == axprocess.Dumped)
		p.life.Signal, p.life.Core = axprocess.Signal(code), cause == axprocess.Dumped
	} else {
		if len(p.codes) > 0 {
			code = p.codes[0]
		}
		p.p.GroupExit(code)
		for _, h := range p.p.Threads() {
			h.Exit(code)
		}
		p.p.Exit()
		p.life.Exit = code
	}
	p.life.Ended, p.life.End, p.life.EndLine = true, e.ev.at, e.ev.line
	e.changed()
}

// olderChild says whether a wait's result shows a child that is older than the log,
// and enters it: who waits has a child that nothing is known of but that.
func (e *engine) olderChild(w *waiting, err error) bool {
	if w.child > 0 && !e.known(w.p.ns, w.child) {
		if q := w.p.phantom; q != nil {
			q.p.GroupKill(axprocess.SIGKILL, false)
			q.p.Free()
			w.p.phantom = nil
			e.changed()
		}
		return true
	}
	r := &w.c.result
	if err == nil || refusal(err).errno != syscall.ECHILD || !w.nothing && !r.Restart || w.p.phantom != nil || w.pid > 0 && !w.waitid {
		return false
	}
	q := &proc{ns: w.p.ns, outside: true}
	built, err := w.c.thread.h.Fork(e.fresh()).Data(q).Build()
	if err != nil {
		return false
	}
	q.p, w.p.phantom = built, q
	e.byTable[built.PID()] = q
	e.changed()
	return true
}

// comesEarly says whether a child may have been passed on to a wait's caller by a
// parent that has no exit line yet.
func (e *engine) comesEarly(w *waiting, b *proc) bool {
	parent := b.p.Parent()
	if parent == nil || parent == w.p.p || !e.byTable[parent.PID()].ending() || e.reaperOf(parent) != w.p.p {
		return false
	}
	code, cause := b.p.ExitCode()&0xff, axprocess.Exited
	if b.life.Signal != 0 {
		code, cause = int32(b.life.Signal), axprocess.Killed
	}
	return w.cause == 0 || w.code == code && (w.cause == cause || isKill(w.cause) && isKill(cause))
}

// childOf returns the child that the log says was returned.
func (e *engine) childOf(w *waiting) *proc {
	if w.child <= 0 || w.child > 1<<22 {
		return nil
	}
	pid, ok := axprocess.PID(0), false
	if w.outside != 0 {
		pid, ok = e.top.table(w.outside, asProcess)
	} else {
		pid, ok = w.p.ns.table(int32(w.child), asProcess)
	}
	if q := e.byTable[pid]; ok && q != nil && q.life != nil && q.p.State() != axprocess.Freed {
		return q
	}
	return nil
}

func (e *engine) readyOf(got axprocess.WaitResult) int64 {
	if q := e.byTable[got.PID]; q != nil {
		return q.ready
	}
	return 0
}

// couldBeFirst says whether b was the oldest ready child at some moment of a wait.
func (e *engine) couldBeFirst(w *waiting, b *proc) bool {
	if !e.matches(w, b) || !e.told(w, b) {
		return false
	}
	from := max(w.c.since, b.ready)
	for child := range w.p.p.AllChildren() {
		q := e.byTable[child.PID()]
		if q != nil && q != b && q.ready <= from && q.joined[1] <= b.joined[0] && e.matches(w, q) && e.isReady(w, q) {
			return false // it was there, and older
		}
	}
	return true
}

// matches says whether a wait is for a child.
func (e *engine) matches(w *waiting, q *proc) bool {
	one := *w
	one.isFd, one.byFd = true, q
	if _, err := e.look(&one); err != nil {
		return false
	}
	switch {
	case w.isFd:
		return w.byFd == q
	case w.waitid && w.idtype == axprocess.P_PGID || !w.waitid && w.pid < -1:
		pgid := max(w.pid, -w.pid)
		if w.waitid && w.pid == 0 {
			pgid = w.p.p.Group().PGID()
		}
		return q.p.Group().PGID() == pgid
	case !w.waitid && w.pid == 0:
		return q.p.Group() == w.p.p.Group()
	case w.waitid && w.idtype == axprocess.P_ALL, !w.waitid && w.pid == -1:
		return true
	}
	return q.p.PID() == w.pid
}

// isReady says whether a child has something to say to a wait.
func (e *engine) isReady(w *waiting, q *proc) bool {
	one := *w
	one.isFd, one.byFd = true, q
	if !w.waitid {
		one.opts |= axprocess.WEXITED
	}
	got, err := e.look(&one)
	return err == nil && got.Cause != 0
}

// told says whether what the log says of a child is what it has to say.
func (e *engine) told(w *waiting, q *proc) bool {
	one := *w
	one.isFd, one.byFd = true, q
	if !w.waitid {
		one.opts |= axprocess.WEXITED
	}
	got, err := e.look(&one)
	return err == nil && e.compareWait(w, got, nil) == agrees
}

// couldWait says whether a wait that is under way could have consumed already what
// it will return.
func (e *engine) couldWait(c *call) bool {
	w, ok := e.readWait(c)
	if !ok || w.child <= 0 {
		return false
	}
	b := e.childOf(&w)
	return b != nil && e.isReady(&w, b)
}

// applyWait consumes what the log says was returned.
func (e *engine) applyWait(w *waiting) {
	if w.child <= 0 || w.opts&axprocess.WNOWAIT != 0 {
		return
	}
	b := e.childOf(w)
	if b == nil {
		return
	}
	kinds := axprocess.WNOHANG | axprocess.WALL
	switch w.cause {
	case axprocess.Stopped:
		kinds |= axprocess.WSTOPPED
	case axprocess.Continued:
		kinds |= axprocess.WCONTINUED
	default:
		kinds |= axprocess.WEXITED | w.opts&(axprocess.WSTOPPED|axprocess.WCONTINUED)
	}
	got, err := w.p.p.WaitProcess(background, b.p, kinds)
	if (err != nil || got.Cause == 0) && w.cause != axprocess.Stopped && w.cause != axprocess.Continued {
		if !b.p.IsZombie() {
			e.vanish(b)
		} else {
			b.p.Free()
		}
		b.life.Ended = true
	}
	e.freed(b, w.p, b.p.State() == axprocess.Freed)
	e.changed()
}

func (e *engine) describeWait(w *waiting, got axprocess.WaitResult, err error) string {
	switch {
	case err != nil:
		return errnoName(refusal(err).errno)
	case got.Cause == 0 && w.blocking:
		return "it waits on"
	case got.Cause == 0:
		return "0"
	}
	return fmt.Sprintf("%d, %s %d", w.p.ns.number(got.PID, asProcess), got.Cause, got.Code)
}

func (e *engine) gotWait(w *waiting) string {
	switch {
	case w.child > 0 && w.cause != 0:
		return fmt.Sprintf("%d, %s %d", w.child, w.cause, w.code)
	case w.child > 0:
		return fmt.Sprint(w.child)
	}
	return e.got(w.c)
}
