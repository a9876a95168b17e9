package replay

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"syscall"

	"axprocess"
	"axprocess/trace/strace"
)

// This file is about births: whose child a new thread is, and what it is born as.
//
// A child's first line may come before the fork returns, so a fork takes effect at
// whichever comes first. Who forked it is known from the window, where the fork's
// result is, or because one fork only is under way.

// cloneFlags are what clone was asked for.
type cloneFlags struct {
	thread, parent, newPID, files, pidfd bool
	exit                                 axprocess.Signal
}

// flagsOf reads a fork's flags.
func flagsOf(c *call) (f cloneFlags, ok bool) {
	if c.op == strace.Fork || c.op == strace.Vfork {
		return cloneFlags{exit: axprocess.SIGCHLD}, true
	}
	args := []byte(c.args)
	text, found := strace.Field(args, "flags")
	if !found {
		return f, false
	}
	ok = strace.Flags(text, func(name string) {
		switch name {
		case "CLONE_THREAD":
			f.thread = true
		case "CLONE_PARENT":
			f.parent = true
		case "CLONE_NEWPID":
			f.newPID = true
		case "CLONE_FILES":
			f.files = true
		case "CLONE_PIDFD":
			f.pidfd = true
		}
		if sig, isSignal := strace.SignalNamed([]byte(name)); isSignal && c.op == strace.Clone {
			f.exit = sig
		}
	})
	if c.op == strace.Clone3 {
		if text, found := strace.Field(args, "exit_signal"); found {
			if sig, isSignal := strace.SignalNamed(text); isSignal {
				f.exit = sig
			}
		}
	}
	return f, ok
}

// appear meets a thread that has no line so far.
func (e *engine) appear(ev *event) *thread {
	if c := e.forkOf(ev); c != nil {
		delete(e.in.born, ev.tid)
		return e.fork(c, ev.tid)
	}
	if h := e.unappeared(ev.tid); h != nil {
		return h
	}
	switch {
	case len(e.world.roots) == 0:
		e.world.middle = !e.startsWithExec(ev)
	case e.world.lost > 0:
		e.world.lost--
		e.rep.count("fork", learned, "its forker ended before the fork returned")
	case !e.world.middle && !e.in.started[ev.tid]:
		e.rep.disagree("fork", Mismatch{Line: ev.line, Call: fmt.Sprintf("the first line of %d", ev.tid), Want: "a fork that returns it",
			Got: "none", Rule: "every process but the first is some process's child"})
	}
	if p := e.threadOf(ev); p != nil {
		return e.newThread(p, ev.tid, axprocess.PID(ev.tid))
	}
	return e.root(ev)
}

// startsWithExec says whether a log begins as strace begins a command.
func (e *engine) startsWithExec(ev *event) bool {
	for i := -1; i < 4; i++ {
		if i >= 0 {
			if ev = e.in.peek(i); ev == nil {
				return false
			}
		}
		switch ev.kind {
		case evBegin, evWhole:
			return ev.call.op == strace.Execve
		case evAppear:
		default:
			return false
		}
	}
	return false
}

// unappeared finds a child that a fork in a namespace has told of by its number
// there, and gives it its number outside.
func (e *engine) unappeared(tid int32) *thread {
	m := e.match(tid)
	if m == nil || m.thread == nil {
		return nil
	}
	h := m.thread
	e.world.waiting = slices.DeleteFunc(e.world.waiting, func(w *thread) bool { return w == h })
	h.tid = tid
	e.top.bind(tid, h.h.TID(), asProcess)
	e.threads[tid] = h
	if h.h.IsLeader() {
		h.proc.tid = tid
		h.proc.life.PID = axprocess.PID(tid)
	}
	return h
}

// fork lets a fork take effect. tid is the child's number in the log, 0 if that is
// not known yet.
func (e *engine) fork(c *call, tid int32) *thread {
	f, ok := flagsOf(c)
	if !ok {
		e.rep.note("line %d: the flags of a clone can't be read", c.line)
		f.exit = axprocess.SIGCHLD
	}
	num := e.numberFor(tid)
	var child *thread
	if f.thread {
		child = e.newThread(c.thread.proc, tid, num)
	} else {
		child = e.newProcess(c, f, tid, num)
	}
	if child == nil {
		return nil
	}
	c.child = child.proc
	if r := &c.result; c.done && r.Known && r.Value > 0 {
		e.bindChild(c, child)
	}
	if tid == 0 {
		e.world.waiting = append(e.world.waiting, child)
	}
	e.changed()
	return child
}

// numberFor returns a number in the table for a thread of the log that is new: the
// same, if it is free.
func (e *engine) numberFor(tid int32) axprocess.PID {
	if tid == 0 || tid >= unnumbered {
		return e.fresh()
	}
	n := axprocess.PID(tid)
	if old := e.byTable[n]; old != nil && old.p.State() <= axprocess.Exiting && (old.doomed || len(old.codes) > 0) && old.tid == tid {
		e.vanish(old) // given again before its exit line
	}
	delete(e.homes, n)
	if old, bound := e.top.to[asProcess][tid]; bound {
		delete(e.top.to[asProcess], tid)
		delete(e.top.from[asProcess], old)
	}
	if e.inUse(n) {
		e.rep.disagree("fork", Mismatch{Line: e.ev.line, Call: "a fork", Want: "a number that is free", Got: fmt.Sprint(tid),
			Rule: "a number that a process, thread, group or session goes by is not given again (semantics 1.1)"})
		n = e.fresh()
		e.top.bind(tid, n, asProcess)
	}
	return n
}

func (e *engine) inUse(n axprocess.PID) bool {
	return e.t.Process(n) != nil || e.t.Thread(n) != nil || e.t.Group(n) != nil || e.t.Session(n) != nil
}

// newThread starts a thread of p.
func (e *engine) newThread(p *proc, tid int32, num axprocess.PID) *thread {
	h := &thread{proc: p, tid: tid}
	built, err := p.p.NewThread(num).Data(h).Build()
	if err != nil {
		e.rep.disagree("clone", Mismatch{Line: e.ev.line, Call: fmt.Sprintf("a thread of %d", p.tid), Want: "refused",
			Got: fmt.Sprint(tid), Rule: err.Error()})
		return nil
	}
	h.h = built
	built.SetSignalMask(^axprocess.SignalSet(0))
	if l := p.p.Thread(); l != nil {
		if mine, ok := axprocess.DataOf[*thread](l); ok {
			h.children = mine.children
		}
	}
	if p.ns.up != nil {
		e.homes[num] = p.ns
	}
	e.rep.Threads++
	p.threads++
	p.life.Threads = append(p.life.Threads, ThreadLife{TID: axprocess.PID(tid), Start: e.ev.at})
	h.lifeAt = len(p.life.Threads)
	if tid != 0 {
		e.threads[tid] = h
	}
	return h
}

// newProcess makes a process by a fork.
func (e *engine) newProcess(c *call, f cloneFlags, tid int32, num axprocess.PID) *thread {
	forker := c.thread
	ns := forker.proc.ns
	if forker.children != nil {
		ns = forker.children
	}
	if f.newPID || ns.up == nil && tid > 1 && e.ownNumber(tid) == 1 { // or by an unshare that the log does not show
		ns = newNamespace(ns)
	}
	p := &proc{ns: ns, tid: tid}
	h := &thread{proc: p, tid: tid}
	if ns != forker.proc.ns {
		h.children = nil
	}
	b := forker.h.Fork(num).Data(p).Leader(h).ExitSignal(f.exit)
	if f.parent {
		b = b.CloneParent()
	}
	built, err := b.Build()
	if err != nil {
		e.rep.disagree("fork", Mismatch{Line: c.until, Call: e.name(c), Want: "refused", Got: fmt.Sprint(tid), Rule: err.Error()})
		return nil
	}
	p.p, h.h = built, built.Thread()
	h.h.SetSignalMask(^axprocess.SignalSet(0))
	if ns.up != nil {
		e.homes[num] = ns
		if ns.init == nil && !ns.foreign {
			ns.init = p
			built.SetChildSubreaper(true) // who gets a namespace's orphans
			ns.bind(1, num, asProcess)
		}
	}
	if f.files {
		if forker.proc.fds == nil {
			forker.proc.fds = map[int64]*proc{}
		}
		p.fds = forker.proc.fds
	} else {
		p.fds = maps.Clone(forker.proc.fds)
	}
	e.byTable[num] = p
	p.joined = [2]int64{c.since, e.clock + 1}
	if p.doubt = forker.proc.doubt; c.group != nil && c.group != built.Group() && c.group.Session() == built.Session() {
		p.doubt = &doubt{is: built.Group(), or: c.group}
		if len(e.doubts) < 64 {
			e.doubts = append(e.doubts, p.doubt)
		}
	}
	e.newLife(p, forker.proc)
	if tid != 0 {
		e.threads[tid] = h
	}
	return h
}

func (e *engine) newLife(p, by *proc) {
	e.rep.Processes++
	e.rep.Threads++
	p.life = &Life{ID: p.p.ID(), PID: axprocess.PID(p.tid), Start: e.ev.at, StartLine: e.ev.line, Exit: -1}
	if by != nil && by.life != nil {
		p.life.StartedBy = by.life.ID
		p.life.Args = by.life.Args
	}
	if len(e.rep.Lives) < maxLives {
		e.rep.Lives = append(e.rep.Lives, p.life)
	} else {
		e.rep.note("only the first %d processes are kept for the tree and the timeline", maxLives)
	}
}

// bindChild notes what a fork's result says about its child.
func (e *engine) bindChild(c *call, child *thread) {
	ns := c.thread.proc.ns
	if ns.up == nil {
		return
	}
	r := &c.result
	if ns.number(child.h.TID(), asProcess) == 0 {
		ns.bind(int32(r.Value), child.h.TID(), asProcess)
	}
	if r.Outer != 0 {
		e.top.bind(r.Outer, child.h.TID(), asProcess)
	}
}

// judgeFork compares a fork's result with what the rules say, and makes the child
// if it has not appeared.
func (e *engine) judgeFork(c *call) {
	r, kind := &c.result, c.op.String()
	base := c.thread.proc.ns
	if c.thread.children != nil {
		base = c.thread.children
	}
	switch {
	case r.Restart:
		return // a signal came first
	case !r.Known:
		if c.child == nil {
			e.world.lost++ // the caller ended in it
		}
		return
	case r.Value < 0 || r.Errno != 0:
		switch {
		case c.child != nil:
			e.mismatch(c, "the child that has appeared", "a fork that fails makes no child")
		case base.gone && r.Errno == syscall.ENOMEM:
			e.rep.count(kind, agrees, "")
		default:
			e.rep.count(kind, learned, "limits and arguments of a fork are not in the log")
		}
		return
	case base.gone:
		e.mismatch(c, "ENOMEM", "no fork into a namespace whose init has ended (semantics 8.3)")
	case c.child != nil:
		child := c.child
		want := child.p.PID()
		if f, _ := flagsOf(c); f.thread {
			want = 0
			for _, h := range child.p.Threads() {
				if e.same(c.thread.proc.ns, r.Value, r.Outer, h.TID(), asProcess) != differs {
					want = h.TID()
				}
			}
			if want == 0 && e.threads[int32(r.Value)] == nil { // it has ended already
				want = axprocess.PID(r.Value)
			}
		}
		if want != 0 && (child.p.State() == axprocess.Freed && int64(child.tid) == r.Value ||
			e.same(c.thread.proc.ns, r.Value, r.Outer, want, asProcess) != differs) {
			e.rep.count(kind, agrees, "")
		} else {
			e.mismatch(c, fmt.Sprint(child.tid), "a fork returns its child's number (semantics 2.1)")
		}
	default:
		tid := int32(0)
		switch {
		case r.Outer != 0:
			tid = r.Outer
		case c.thread.proc.ns.up == nil:
			if r.Value > 1<<22 {
				e.mismatch(c, "a number below 4194304", "numbers are below the kernel's maximum (semantics 1.1)")
				return
			}
			tid = int32(r.Value)
		}
		before := e.rep.Mismatched
		e.fork(c, tid)
		if e.rep.Mismatched == before {
			e.rep.count(kind, agrees, "")
		}
		delete(e.in.born, tid)
	}
	e.notePidfd(c)
}

// notePidfd keeps the descriptor that a clone with CLONE_PIDFD gives.
func (e *engine) notePidfd(c *call) {
	f, ok := flagsOf(c)
	if !ok || !f.pidfd || c.child == nil {
		return
	}
	args, name := []byte(c.args), "parent_tid"
	if _, out, found := bytes.Cut(args, []byte("=> ")); found {
		args, name = out, "pidfd"
	}
	text, _ := strace.Field(args, name)
	if fd, ok := strace.Int(bytes.Trim(text, "[]")); ok {
		c.thread.proc.setFd(fd, c.child)
	}
}
