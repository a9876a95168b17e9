package replay

import (
	"fmt"
	"slices"

	"axprocess"
	"axprocess/trace/strace"
)

// This file is about ends: of threads, of processes, and what an exec ends.
//
// A process is a zombie for its parent's waits from its leader's exit line on:
// strace has reaped it just before, and only then the kernel tells the parent. Its
// children may have been passed on earlier, which is looked into when getppid says
// so.

// exiting: a thread has called exit, or exit_group for all of them.
func (e *engine) exiting(h *thread, c *call) {
	p := h.proc
	args := strace.Split([]byte(c.args), nil)
	code, ok := strace.Int(args0(args))
	if !ok {
		return
	}
	if c.op == strace.ExitGroup {
		p.codes = append(p.codes, int32(code&0xff))
		e.doom(p)
		return
	}
	h.exited, h.code = true, int32(code&0xff)
	live := p.p.Threads()
	if len(live) == 1 {
		e.doom(p)
		return
	}
	if h.h.IsLeader() {
		if _, err := h.h.Exit(h.code); err == nil {
			e.changed()
		}
	}
}

// doom: from now on a process may be found ended.
func (e *engine) doom(p *proc) {
	if p.since == 0 || !p.doomed {
		p.since = e.clock
	}
	p.doomed = true
}

// ended: a thread has its exit line.
func (e *engine) ended(h *thread, ev *event) {
	p := h.proc
	e.judgeEnd(h, ev)
	e.drop(h)
	delete(e.threads, h.tid)
	if h.lifeAt > 0 {
		p.life.Threads[h.lifeAt-1].End = ev.at
	}
	if h.h.TID() != p.p.PID() {
		h.h.Exit(ev.other)
		delete(e.homes, h.h.TID())
		e.changed()
		return
	}
	for _, other := range p.p.Threads() {
		if other == h.h {
			continue
		}
		mine, _ := axprocess.DataOf[*thread](other)
		if !p.older {
			e.rep.disagree("end", Mismatch{Line: ev.line, Call: fmt.Sprintf("the end of process %d", p.tid),
				Want: fmt.Sprintf("thread %d ends first", mine.tid), Got: "it has not", Rule: "a process ends with its last thread (semantics 3.1, 3.4)"})
		}
		e.drop(mine)
		delete(e.threads, mine.tid)
		other.Exit(0)
	}
	e.die(p, ev)
}

// die ends a process as its leader's exit line says.
func (e *engine) die(p *proc, ev *event) {
	if p.ns.init == p && p.ns.up != nil {
		p.ns.gone = true
		for child := range p.p.AllChildren() {
			e.freed(e.byTable[child.PID()], p, child.Free() == nil) // the kernel waits for all that is left
		}
	}
	e.lastWords(p)
	if parent := p.p.Parent(); parent != nil {
		p.teller = e.byTable[parent.PID()]
	}
	since := p.since
	if since == 0 {
		since = e.clock
	}
	for child := range p.p.AllChildren() {
		if q := e.byTable[child.PID()]; q != nil {
			q.joined = [2]int64{since, e.clock + 1}
		}
	}
	if ev.kind == evKilled {
		p.p.GroupKill(ev.sig, ev.core)
		p.life.Signal, p.life.Core = ev.sig, ev.core
	} else {
		p.p.GroupExit(ev.other)
		for _, h := range p.p.Threads() {
			h.Exit(ev.other)
		}
		p.p.Exit()
		p.life.Exit = ev.other
	}
	p.life.Ended, p.life.End, p.life.EndLine = true, ev.at, ev.line
	e.changed()
	p.ready = e.clock
	p.stopping = 0
	e.freed(p, nil, p.p.State() == axprocess.Freed)
	if len(e.byTable) > 4096 && len(e.byTable) > 4*e.t.Len() {
		e.forget()
	}
}

// freed notes that a process is gone: by whose wait, or because nobody had to.
func (e *engine) freed(p, by *proc, is bool) {
	if !is || p == nil || p.life == nil {
		return
	}
	p.life.Reaped, p.life.ReapedAt, p.life.ReapedLine = true, e.ev.at, e.ev.line
	if by != nil && by.life != nil {
		p.life.ReapedBy, p.teller = by.life.ID, by
	}
}

// forget drops those that are gone and that no descriptor stands for. Their numbers
// are remembered as the log's.
func (e *engine) forget() {
	for n, p := range e.byTable {
		if p.p.State() == axprocess.Freed {
			delete(e.byTable, n)
			e.gone[n>>6] |= 1 << (n & 63)
		}
	}
}

// vanish ends a process whose exit line has not come, and won't.
func (e *engine) vanish(p *proc) {
	e.vanishAs(p, axprocess.Exited, 0)
	p.p.Free()
	e.changed()
}

// judgeEnd compares how a thread ended with what the log says that it, or others,
// did.
func (e *engine) judgeEnd(h *thread, ev *event) {
	p := h.proc
	if ev.kind == evKilled {
		e.judgeKilled(h, ev)
		return
	}
	may := slices.Clone(p.codes)
	if h.exited && (len(may) == 0 || !h.h.IsLeader()) {
		may = append(may, h.code)
	}
	if h.h.IsLeader() || h.h.TID() == p.p.PID() {
		if last := p.p.ExitCode(); h.exited && len(p.codes) == 0 && p.threads > 0 && !e.opt.Kernel.before(5, 17) {
			may = []int32{last} // of the thread that exited last (semantics 3.3)
			if len(p.p.Threads()) > 0 {
				may = []int32{h.code}
			}
		}
	}
	if p.execing != nil && p.execing != h {
		may = append(may, 0)
	}
	slices.Sort(may)
	may = slices.Compact(may)
	switch {
	case slices.Contains(may, ev.other) && len(may) == 1:
		e.rep.count("end", agrees, "")
	case slices.Contains(may, ev.other):
		e.rep.count("end", learned, "several threads ended the process, and the log does not order them")
	case len(may) == 0 && !e.shown[strace.Exit] && !e.shown[strace.ExitGroup]:
		e.rep.count("end", learned, "the log does not show exit calls")
	default:
		want := "it lives on"
		if len(may) > 0 {
			want = fmt.Sprintf("exited with %d", may[0])
		}
		e.rep.disagree("end", Mismatch{Line: ev.line, Call: fmt.Sprintf("the end of thread %d", h.tid), Want: want,
			Got: fmt.Sprintf("exited with %d", ev.other), Rule: "the code is that of exit_group, else of the thread's exit; exec ends the others with 0 (semantics 3.1-3.3, 3.9)"})
	}
}

func (e *engine) judgeKilled(h *thread, ev *event) {
	p := h.proc
	init := p.ns.init
	switch {
	case p.fatal == ev.sig:
		e.rep.count("end", agrees, "")
	case ev.sig == axprocess.SIGKILL && init != nil && init != p && init.ending():
		e.rep.count("end", agrees, "") // all in a namespace go with its init (semantics 8.3)
	case ev.sig == axprocess.SIGKILL:
		e.rep.count("end", learned, "SIGKILL came from outside of the log")
	case ev.sig == axprocess.SIGSYS:
		e.rep.count("end", learned, "seccomp ended it")
	case !e.signals:
		e.rep.count("end", learned, "the log does not show signals")
	default:
		e.rep.disagree("end", Mismatch{Line: ev.line, Call: fmt.Sprintf("the end of thread %d", h.tid), Want: "it lives on",
			Got: "killed by " + ev.sig.String(), Rule: "a signal ends a process after it is delivered to a thread of it (semantics 6.2)"})
	}
}

// superseded: thread other of a process has called exec, and goes on under the
// leader's number.
func (e *engine) superseded(leader *thread, ev *event) {
	h := e.threads[ev.other]
	if h == nil || h.proc != leader.proc || h == leader {
		e.fault(ev.line, "%d is superseded by %d, which is no thread of it", ev.tid, ev.other)
		return
	}
	c := h.call
	e.drop(leader)
	if c != nil {
		h.call = c
	}
	if leader.lifeAt == 0 && h.lifeAt > 0 {
		h.proc.life.Threads[h.lifeAt-1].End = ev.at
		h.lifeAt = 0
	}
	delete(e.threads, ev.other)
	delete(e.threads, ev.tid)
	e.othersEnd(h, leader)
	h.h.Exec()
	h.tid = ev.tid
	e.threads[ev.tid] = h
	e.changed()
}

// othersEnd: by the time that exec goes on, the other threads have ended.
func (e *engine) othersEnd(h, leader *thread) {
	n := 0
	for _, other := range h.proc.p.Threads() {
		if other == h.h || leader != nil && other == leader.h {
			continue
		}
		mine, _ := axprocess.DataOf[*thread](other)
		e.drop(mine)
		delete(e.threads, mine.tid)
		if n++; !h.proc.older {
			e.rep.disagree("execve", Mismatch{Line: e.ev.line, Call: fmt.Sprintf("%d execve", h.tid),
				Want: fmt.Sprintf("thread %d has ended", mine.tid), Got: "it has not", Rule: "exec ends all other threads first (semantics 3.9)"})
		}
	}
	if n == 0 && h.proc.threads > 0 {
		e.rep.count("execve", agrees, "")
	}
}

// execed: an exec has succeeded.
func (e *engine) execed(c *call) {
	h, p := c.thread, c.thread.proc
	if !h.h.IsLeader() { // strace was told not to say that it supersedes the leader
		if old := e.threads[c.tid]; old != nil && old != h {
			e.drop(old)
		}
		delete(e.threads, h.tid)
		h.tid = p.tid
		e.threads[h.tid] = h
	}
	if len(p.p.Threads()) > 1 {
		e.othersEnd(h, nil)
	}
	if err := h.h.Exec(); err == nil {
		e.changed()
	}
	p.threads = 0
	p.life.Args = argv(c.args)
	p.life.Execs = append(p.life.Execs, Exec{At: e.ev.at, Args: p.life.Args})
}
