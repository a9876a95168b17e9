package replay

import (
	"fmt"
	"strconv"

	"axprocess"
	"axprocess/trace/strace"
)

// This file is about the world that a log begins in: who was there before its
// first line. What its first calls tell is inferred, what options say is taken;
// the rest has no number until some call tells it. All of it is reported.
//
// Invariant: calls that the world was inferred from are not counted as predicted.

// world is what is around the processes of a log.
type world struct {
	roots   []*proc
	middle  bool      // the log begins in the middle of lives
	lost    int       // forks whose caller ended in them, and that may have made a child
	waiting []*thread // children that a namespace's fork told of, still without a line
}

// told is what the first calls of a process tell.
type told struct{ ppid, pgid, sid *call }

// infer looks ahead for what a process asks about itself before it changes it.
func (e *engine) infer(tid int32, first *event) (t told) {
	movedGroup, movedSession := false, false
	for i := -1; i < windowSize; i++ {
		ev := first
		if i >= 0 {
			if ev = e.in.peek(i); ev == nil {
				return t
			}
		}
		if ev.tid != tid {
			continue
		}
		switch ev.kind {
		case evExited, evKilled:
			return t
		case evBegin, evWhole:
		default:
			continue
		}
		c := ev.call
		if !c.done || !c.result.Known || c.result.Value < 0 || c.result.Injected {
			continue
		}
		own := c.args == "" || c.args == "0" || c.args == strconv.Itoa(int(tid))
		switch c.op {
		case strace.Getppid:
			if t.ppid == nil {
				t.ppid = c
			}
		case strace.Getpgrp, strace.Getpgid:
			if own && t.pgid == nil && !movedGroup {
				t.pgid = c
			}
		case strace.Getsid:
			if own && t.sid == nil && !movedSession {
				t.sid = c
			}
		case strace.Setpgid:
			movedGroup = true
		case strace.Setsid:
			movedGroup, movedSession = true, true
		}
	}
	return t
}

// value takes what a call tells, unless an option says it.
func (e *engine) value(what, flag string, option int32, c *call, r role) axprocess.PID {
	switch {
	case option != 0:
		e.assume(what, fmt.Sprint(option), flag)
		return axprocess.PID(option)
	case c != nil && c.result.Value > 0 && c.result.Value <= 1<<22:
		c.judged = true // it tells, and proves nothing
		e.assume(what, fmt.Sprint(c.result.Value), fmt.Sprintf("line %d: %s", c.until, c.op))
		return axprocess.PID(c.result.Value)
	case c != nil && c.result.Value == 0:
		c.judged = true
		e.assume(what, "outside of strace's pid namespace", fmt.Sprintf("line %d: %s", c.until, c.op))
		p := e.fresh()
		e.top.from[r][p] = hidden
		return p
	}
	return e.fresh()
}

func (e *engine) assume(what, value, from string) {
	if len(e.rep.Assumed) < 100 {
		e.rep.Assumed = append(e.rep.Assumed, Assumption{what, value, from})
	}
}

// root enters a process that is nobody's child in the log.
func (e *engine) root(ev *event) *thread {
	first := len(e.world.roots) == 0
	p := &proc{ns: e.top, tid: ev.tid, older: e.world.middle}
	num := e.numberFor(ev.tid)
	h := &thread{proc: p, tid: ev.tid}
	tells := e.infer(ev.tid, ev)
	who, o := fmt.Sprintf("process %d", ev.tid), Options{}
	if first {
		who, o = "the first process", e.opt
	}
	if own := e.ownNumber(ev.tid); ev.tid < unnumbered && (own > 0 && own != int64(ev.tid) && (own == 1 || e.world.middle) || own == 0 && e.world.middle && e.forksInside(ev.tid)) {
		p.ns = newNamespace(e.top)
		p.ns.foreign = true
		if own != 0 {
			p.ns.bind(int32(own), num, asProcess)
		}
		e.homes[num] = p.ns
		e.rep.note("process %d is in a pid namespace that is older than the log", ev.tid)
		return e.rootInside(ev, p, h, num, tells)
	}
	parent := e.value("parent of "+who, "--parent", o.Parent, tells.ppid, asProcess)
	pgid := e.value("group of "+who, "--pgid", o.PGID, tells.pgid, asGroup)
	sid := e.value("session of "+who, "--sid", o.SID, tells.sid, asSession)
	rec := axprocess.ProcessRecord{PID: num, PPID: parent, PGID: pgid, SID: sid, Data: p, Forked: !e.world.middle,
		Threads: []axprocess.ThreadRecord{{TID: num, Data: h}}}
	return e.enterSomehow(ev, first, rec, p, h)
}

// forksInside looks ahead for a fork whose number no line has, while others that
// nobody forked appear: then the numbers that a process is told are not those outside.
func (e *engine) forksInside(tid int32) bool {
	told, strangers := map[int32]bool{}, 0
	for i := range windowSize {
		ev := e.in.peek(i)
		if ev == nil {
			break
		}
		if told[ev.tid] {
			return false
		}
		if c := ev.call; c != nil && c.tid == tid && isFork(c.op) && c.done && c.result.Known && c.result.Value > 0 && c.result.Outer == 0 {
			told[int32(c.result.Value)] = true
		}
		if ev.kind == evAppear && e.threads[ev.tid] == nil && e.in.born[ev.tid] == nil {
			strangers++
		}
	}
	return len(told) > 0 && strangers > 0
}

// rootInside enters a process of a namespace that is older than the log: its
// numbers mean nothing outside.
func (e *engine) rootInside(ev *event, p *proc, h *thread, num axprocess.PID, tells told) *thread {
	place := func(c *call, r role) axprocess.PID {
		n := e.fresh()
		if c == nil || c.result.Value <= 0 || c.result.Value > 1<<22 {
			return n
		}
		c.judged = true
		if known, ok := p.ns.to[asProcess][int32(c.result.Value)]; ok {
			return known
		}
		e.homes[n] = p.ns
		p.ns.bind(int32(c.result.Value), n, r)
		return n
	}
	first := len(e.world.roots) == 0
	rec := axprocess.ProcessRecord{PID: num, PPID: place(tells.ppid, asProcess), PGID: place(tells.pgid, asGroup), SID: place(tells.sid, asSession),
		Data: p, Threads: []axprocess.ThreadRecord{{TID: num, Data: h}}}
	return e.enterSomehow(ev, first, rec, p, h)
}

// enterSomehow enters a process as the log or an option tells, or if that contradicts
// itself, with relations and at last a number that nothing is known of.
func (e *engine) enterSomehow(ev *event, first bool, rec axprocess.ProcessRecord, p *proc, h *thread) *thread {
	err := e.enter(first, rec)
	if err != nil {
		e.rep.note("what is told of process %d before the log contradicts itself: %v", ev.tid, err)
		rec.PPID, rec.PGID, rec.SID = e.fresh(), e.fresh(), e.fresh()
		err = e.enter(first, rec)
	}
	if err != nil {
		num := e.fresh()
		if p.ns != e.top {
			e.homes[num] = p.ns
		}
		e.top.bind(ev.tid, num, asProcess)
		rec.PID, rec.Threads[0].TID = num, num
		err = e.enter(first, rec)
	}
	if err != nil {
		e.rep.note("process %d can't be entered: %v", ev.tid, err)
		return nil
	}
	return e.entered(ev, p, h, rec.PID)
}

// entered completes a process that enter has brought in.
func (e *engine) entered(ev *event, p *proc, h *thread, num axprocess.PID) *thread {
	p.p = e.t.Process(num)
	h.h = e.t.Thread(num)
	h.h.SetSignalMask(^axprocess.SignalSet(0))
	e.byTable[num] = p
	e.world.roots = append(e.world.roots, p)
	e.newLife(p, nil)
	e.threads[ev.tid] = h
	return h
}

// enter brings a process in, with those above it that it needs: who gets its
// orphans, a shell that keeps its group from being orphaned, and its parent.
func (e *engine) enter(first bool, rec axprocess.ProcessRecord) error {
	var records []axprocess.ProcessRecord
	var init axprocess.PID
	outside := map[axprocess.PID]*proc{}
	stranger := func(r axprocess.ProcessRecord) {
		p := &proc{ns: e.top, outside: true, older: e.world.middle}
		r.Data = p
		outside[r.PID] = p
		records = append(records, r)
	}
	if first {
		init = axprocess.PID(e.opt.Reaper)
		switch {
		case init != 0:
			e.assume("who gets orphans", fmt.Sprint(init), "--reaper")
		case rec.PPID == 1:
			init = 1
		default:
			init = e.fresh()
		}
		stranger(axprocess.ProcessRecord{PID: init, PGID: init, SID: init})
	} else {
		init = e.t.Init().PID()
	}
	if rec.PPID != init && e.t.Process(rec.PPID) == nil {
		shell := e.fresh()
		stranger(axprocess.ProcessRecord{PID: shell, PPID: init, PGID: shell, SID: rec.SID})
		group := rec.PGID
		if group == rec.PID {
			group = rec.PPID // it leads its own
		}
		sid := rec.SID
		if sid == rec.PID { // and its own session
			sid, group = shell, shell
			records[len(records)-1].SID = shell
		}
		stranger(axprocess.ProcessRecord{PID: rec.PPID, PPID: shell, PGID: group, SID: sid})
	}
	records = append(records, rec)
	if !first {
		init = 0
	}
	if err := e.t.Import(init, records); err != nil {
		return err
	}
	for pid, p := range outside {
		p.p = e.t.Process(pid)
		e.byTable[pid] = p
	}
	return nil
}

// processOf looks ahead for what says whose thread one without a birth is: what it
// calls itself, whom it signals as its own process, who its children's parent is.
func (e *engine) processOf(tid int32) int32 {
	children := map[int32]bool{}
	for i := range windowSize {
		ev := e.in.peek(i)
		if ev == nil {
			return 0
		}
		c := ev.call
		if c == nil || !c.done || !c.result.Known || ev.kind == evFinish {
			continue
		}
		switch {
		case ev.tid == tid && c.op == strace.Getpid:
			return int32(c.result.Value)
		case ev.tid == tid && c.op == strace.Tgkill && c.result.Value == 0:
			if n, _, ok := strace.Pid(args0(strace.Split([]byte(c.args), nil))); ok {
				return int32(n)
			}
		case ev.tid == tid && isFork(c.op) && c.result.Value > 0:
			if f, ok := flagsOf(c); ok && !f.thread {
				children[int32(c.result.Value)] = true
			}
		case children[ev.tid] && c.op == strace.Getppid:
			return int32(c.result.Value)
		}
	}
	return 0
}

// threadOf finds the process that a thread without a birth belongs to: nil if it is
// one of its own. strace -p lets go of no thread of a process, so in a log that
// begins in the middle, what is younger than a process and tells nothing else is
// taken as one of its threads.
func (e *engine) threadOf(ev *event) *proc {
	switch pid := e.processOf(ev.tid); {
	case pid == ev.tid:
		return nil
	case pid > 0:
		if e.threads[pid] == nil && pid <= 1<<22 && len(e.in.alias) == 0 {
			first := *ev
			first.tid = pid
			e.root(&first)
		}
		if h := e.threads[pid]; h != nil {
			return h.proc
		}
		return nil
	}
	if e.world.middle && len(e.world.roots) > 0 {
		if p := e.world.roots[0]; p.tid < ev.tid && p.p.State() == axprocess.Running {
			return p
		}
	}
	return nil
}

// numbered: the first thread, whose lines had no number, has one now.
func (e *engine) numbered(ev *event) {
	h := e.threads[ev.tid]
	if h == nil {
		return
	}
	e.top.bind(ev.other, h.h.TID(), asProcess)
	h.proc.life.PID = axprocess.PID(ev.other)
	h.proc.tid = ev.other
}

// finishReport tells what was not known of the world.
func (e *engine) finishReport() {
	told := map[string]bool{}
	for _, a := range e.rep.Assumed {
		told[a.What] = true
	}
	for _, p := range e.world.roots {
		who := fmt.Sprintf("process %d", p.tid)
		if p == e.world.roots[0] {
			who = "the first process"
		}
		for _, what := range []string{"parent of ", "group of ", "session of "} {
			if !told[what+who] {
				e.assume(what+who, "no number", "nothing in the log")
			}
		}
	}
	if init := e.t.Init(); init != nil && !told["who gets orphans"] {
		if n := e.top.number(init.PID(), asProcess); n > 0 {
			e.assume("who gets orphans", fmt.Sprint(n), "an orphan's getppid")
		} else {
			e.assume("who gets orphans", "no number", "nothing in the log")
		}
	}
	for _, p := range e.byTable {
		if p.life != nil {
			e.lastWords(p)
		}
	}
}

// lastWords notes what a process's relations are, or were.
func (e *engine) lastWords(p *proc) {
	if p.p.State() != axprocess.Freed {
		if parent := p.p.Parent(); parent != nil {
			p.life.PPID = axprocess.PID(max(0, e.top.number(parent.PID(), asProcess)))
		}
	}
	p.life.PGID = axprocess.PID(max(0, e.top.number(p.p.Group().PGID(), asGroup)))
	p.life.SID = axprocess.PID(max(0, e.top.number(p.p.Session().SID(), asSession)))
	if p.tid != 0 && p.tid < unnumbered {
		p.life.PID = axprocess.PID(p.tid)
	}
}
