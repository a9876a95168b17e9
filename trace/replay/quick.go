package replay

import (
	"errors"
	"fmt"
	"syscall"

	"axprocess"
	"axprocess/trace/strace"
)

// This file is about the calls that never block: what each should give.
//
// Invariant: expect changes nothing that can be seen.

// outcome is what a call should give. Outcomes can be compared.
type outcome struct {
	errno syscall.Errno
	pid   axprocess.PID // if isPID: the number that is returned; 0: 0
	role  role
	isPID bool // else any value that is not negative
	rule  string

	// What may be given as well, since open: the log doesn't tell.
	open    string
	orErrno [2]syscall.Errno
	orPID   axprocess.PID
	orAny   bool // any success
	isOrPID bool
}

// or returns what may be given as well.
func (w outcome) or() outcome {
	w.rule = "alternative"
	return w
}

func isQuick(op strace.Op) bool {
	switch op {
	case strace.Setpgid, strace.Setsid, strace.Getpgid, strace.Getpgrp, strace.Getsid, strace.Getpid, strace.Getppid,
		strace.Gettid, strace.SetTidAddress, strace.Kill, strace.Tkill, strace.Tgkill, strace.Sigqueue,
		strace.Tgsigqueue, strace.PidfdOpen, strace.PidfdSend:
		return true
	}
	return false
}

// expect returns what the rules give for a call, made now.
func (e *engine) expect(c *call) outcome {
	h, p, ns := c.thread, c.thread.proc, c.thread.proc.ns
	args := strace.Split([]byte(c.args), nil)
	switch c.op {
	case strace.Getpid:
		return number(p.p.PID(), asProcess, "getpid gives the caller's number in its namespace")
	case strace.Gettid, strace.SetTidAddress:
		return number(h.h.TID(), asProcess, "gettid gives the calling thread's number in its namespace")
	case strace.Getppid:
		return e.expectParent(p)
	case strace.Getpgrp:
		return number(p.p.Group().PGID(), asGroup, "the caller's group (semantics 4.3)")
	case strace.Getpgid, strace.Getsid:
		return e.expectGroup(c, p, args)
	case strace.Setsid:
		return e.expectSetsid(p)
	case strace.Setpgid:
		return e.expectSetpgid(p, ns, args)
	case strace.Kill, strace.Sigqueue, strace.Tkill, strace.Tgkill, strace.Tgsigqueue:
		return e.expectKill(c, p, args)
	case strace.PidfdOpen:
		return e.expectPidfd(ns, args)
	case strace.PidfdSend:
		return e.expectPidfdSend(p, args)
	}
	return outcome{}
}

func number(pid axprocess.PID, r role, rule string) outcome {
	return outcome{pid: pid, role: r, isPID: true, rule: rule}
}

// refusal turns a table's answer into an outcome.
func refusal(err error) outcome {
	var refused *axprocess.Error
	if errors.As(err, &refused) {
		return outcome{errno: refused.Err, rule: refused.Reason}
	}
	return outcome{}
}

// expectParent: a parent that is ending passes its children on at a moment that
// the log doesn't show.
func (e *engine) expectParent(p *proc) outcome {
	parent := p.p.Parent()
	if parent == nil {
		return number(0, asProcess, "a parent outside of the namespace reads as 0 (semantics 8.1)")
	}
	want := number(parent.PID(), asProcess, "the parent, or who got the orphan (semantics 3.6)")
	if q := e.byTable[parent.PID()]; q != nil && (q.ending() || q.left || q.outside && p.older) {
		want.open = "its parent is ending, and the log does not show when"
		if q.left || q.outside {
			want.open = "its parent is not in the log"
		}
		want.orPID, want.isOrPID = e.reaperOf(parent).PID(), true
	}
	return want
}

// reaperOf says who gets the children of a process if it ends now, other than
// those who are ending too.
func (e *engine) reaperOf(p *axprocess.Process) *axprocess.Process {
	for q := p.Parent(); q != nil; q = q.Parent() {
		if q.IsSubreaper() {
			if mine := e.byTable[q.PID()]; mine == nil || !mine.ending() {
				return q
			}
		}
	}
	return e.t.Init()
}

// expectGroup is for getpgid and getsid.
func (e *engine) expectGroup(c *call, p *proc, args [][]byte) outcome {
	if len(args) != 1 {
		return outcome{}
	}
	n, pid, ok := e.argument(p.ns, args[0], asProcess)
	if !ok {
		return outcome{}
	}
	ask, r := p.p.Getpgid, asGroup
	if c.op == strace.Getsid {
		ask, r = p.p.Getsid, asSession
	}
	got, err := ask(pid)
	if err != nil {
		want := refusal(err)
		if n > 0 && !e.known(p.ns, n) {
			want.open, want.orAny = "it asks about a process outside of the log", true
		}
		return want
	}
	want := number(got, r, "the process's group or session (semantics 4.3)")
	if q := e.byTable[pid]; q != nil && q.outside {
		want.open, want.orAny = "it asks about a process outside of the log", true
	}
	return want
}

// known says whether a number goes by, or went by, something of the log.
func (e *engine) known(ns *namespace, n int64) bool {
	if n <= 0 || n > 1<<22 {
		return true // it is nobody's
	}
	if ns.up != nil {
		_, told := ns.to[asProcess][int32(n)]
		return told || !ns.foreign // all that is in it is in the log
	}
	p, _ := ns.table(int32(n), asProcess)
	return e.byTable[p] != nil || e.t.Thread(p) != nil || e.t.Group(p) != nil || p < 1<<22 && e.gone[p>>6]&(1<<(p&63)) != 0
}

// expectSetsid is the rule of setsid, asked without changing anything.
func (e *engine) expectSetsid(p *proc) outcome {
	pid := p.p.PID()
	switch {
	case p.p.Session().SID() == pid:
		return outcome{errno: syscall.EPERM, rule: "the caller leads a session (semantics 4.1)"}
	case e.t.Group(pid) != nil:
		return outcome{errno: syscall.EPERM, rule: "a group goes by the caller's number (semantics 4.1)"}
	}
	return number(pid, asProcess, "a new session of the caller's number (semantics 4.1)")
}

// setpgidArgs reads a setpgid's arguments.
func (e *engine) setpgidArgs(ns *namespace, args [][]byte) (pid, pgid axprocess.PID, ok bool) {
	if len(args) != 2 {
		return 0, 0, false
	}
	_, pid, ok1 := e.argument(ns, args[0], asProcess)
	n, pgid, ok2 := e.argument(ns, args[1], asGroup)
	if n > 0 && pgid != pid && e.t.Group(pgid) == nil {
		if _, p, _ := e.argument(ns, args[1], asProcess); e.t.Process(p) != nil {
			pgid = p // a group to be made, or none
		}
	}
	return pid, pgid, ok1 && ok2
}

// expectSetpgid is the rule of setpgid, asked without changing anything: for what
// might have been. What is judged by is the table's own answer.
func (e *engine) expectSetpgid(p *proc, ns *namespace, args [][]byte) outcome {
	pid, pgid, ok := e.setpgidArgs(ns, args)
	if !ok {
		return outcome{}
	}
	if pid == 0 {
		pid = p.p.PID()
	}
	if pgid == 0 {
		pgid = pid
	}
	q, session := e.t.Process(pid), p.p.Session()
	no := func(errno syscall.Errno) outcome { return outcome{errno: errno, rule: "semantics 4.2"} }
	switch {
	case pgid < 0:
		return no(syscall.EINVAL)
	case q == nil && e.t.Thread(pid) != nil:
		return no(syscall.EINVAL)
	case q == nil, q != p.p && q.Parent() != p.p:
		return no(syscall.ESRCH)
	case q != p.p && q.Session() != session:
		return no(syscall.EPERM)
	case q != p.p && q.HasExeced():
		return no(syscall.EACCES)
	case q.Session().SID() == pid:
		return no(syscall.EPERM)
	}
	if g := e.t.Group(pgid); g == nil && pgid != pid || g != nil && g.Session() != session {
		return no(syscall.EPERM)
	}
	return outcome{isPID: true, rule: "semantics 4.2"}
}

// judgeSetpgid asks the table to do it, and says whether that is what the log says.
// If it isn't, the table is as before.
func (e *engine) judgeSetpgid(c *call) (outcome, bool) {
	p := c.thread.proc
	pid, pgid, ok := e.setpgidArgs(p.ns, strace.Split([]byte(c.args), nil))
	if !ok {
		return outcome{}, false
	}
	target := p.p
	if pid > 0 {
		target = e.t.Process(pid)
	}
	var old *axprocess.ProcessGroup
	if target != nil {
		old = target.Group()
	}
	if err := p.p.Setpgid(pid, pgid); err != nil {
		want := refusal(err)
		return want, e.compare(c, want) == agrees
	}
	want := outcome{isPID: true, rule: "setpgid may (semantics 4.2)"}
	if e.compare(c, want) == agrees {
		if q, ok := axprocess.DataOf[*proc](target); ok {
			q.doubt = nil
		}
		e.changed()
		return want, true
	}
	if target.Group() != old {
		e.force(p, func() error { return target.MoveToGroup(old) })
	}
	return want, false
}

// expectKill is for kill, tkill, tgkill and their queueing forms.
func (e *engine) expectKill(c *call, p *proc, args [][]byte) outcome {
	first := 0
	var tgid axprocess.PID
	if c.op == strace.Tgkill || c.op == strace.Tgsigqueue {
		first = 1
	}
	if len(args) < first+2 {
		return outcome{}
	}
	if first == 1 {
		var ok bool
		if _, tgid, ok = e.argument(p.ns, args[0], asProcess); !ok {
			return outcome{}
		}
	}
	n, pid, ok := e.killTarget(p.ns, args[first])
	sig, isSignal := strace.SignalNamed(args[first+1])
	if !ok || !isSignal {
		return outcome{}
	}
	if sig > 0 && sig <= axprocess.SIGRTMAX {
		sig = 0 // only asks
	}
	var err error
	switch c.op {
	case strace.Kill:
		_, err = p.p.Kill(pid, sig)
	case strace.Sigqueue:
		_, err = p.p.Sigqueue(pid, sig, 0)
	case strace.Tkill:
		_, err = p.p.Tkill(pid, sig)
	default:
		_, err = p.p.Tgkill(tgid, pid, sig)
	}
	want := outcome{isPID: true, rule: "the signal has a target (semantics 6.1)"}
	if err != nil {
		if want = refusal(err); want.errno == syscall.ESRCH && (n == -1 && p.ns.up == nil || n != -1 && n != 0 && !e.known(p.ns, max(n, -n))) {
			want.open, want.orAny = "it is about processes outside of the log", true
			want.orErrno[0] = syscall.EPERM
		}
		return want
	}
	switch {
	case e.creds:
		want.open, want.orErrno[0] = "who may signal whom has changed in a way that the log does not tell", syscall.EPERM
	case e.touchesOutside(pid):
		want.open, want.orErrno = "it is about processes outside of the log", [2]syscall.Errno{syscall.EPERM, syscall.ESRCH}
	}
	return want
}

// killTarget reads the number given to kill: a group's if it is negative.
func (e *engine) killTarget(ns *namespace, arg []byte) (n int64, pid axprocess.PID, ok bool) {
	n, pid, ok = e.argument(ns, arg, asProcess)
	if ok && n < -1 && n >= -1<<22 {
		var g axprocess.PID
		if g, ok = ns.table(int32(-n), asGroup); !ok {
			g, ok = nobody, true
		}
		pid = -g
	}
	return n, pid, ok
}

func (e *engine) touchesOutside(pid axprocess.PID) bool {
	q := e.byTable[pid]
	return pid == -1 || q != nil && (q.outside || q.left || !q.appeared)
}

func (e *engine) expectPidfd(ns *namespace, args [][]byte) outcome {
	if len(args) != 2 {
		return outcome{}
	}
	n, pid, ok := e.argument(ns, args[0], asProcess)
	switch {
	case !ok || string(args[1]) != "0":
		return outcome{open: "flags of pidfd_open are not looked at", orAny: true, orErrno: [2]syscall.Errno{syscall.EINVAL, syscall.ESRCH}}
	case n <= 0:
		return outcome{errno: syscall.EINVAL, rule: "pidfd_open wants a number above 0"}
	case e.t.Process(pid) != nil:
		return outcome{rule: "pidfd_open finds a process, a zombie too"}
	case e.t.Thread(pid) != nil: // EINVAL, in newer kernels ENOENT
		return outcome{errno: syscall.EINVAL, open: "the kernel's version decides", orErrno: [2]syscall.Errno{syscall.ENOENT}}
	}
	want := outcome{errno: syscall.ESRCH, rule: "there is no such process"}
	if !e.known(ns, n) {
		want.open, want.orAny = "it is about processes outside of the log", true
	}
	return want
}

func (e *engine) expectPidfdSend(p *proc, args [][]byte) outcome {
	if len(args) < 2 {
		return outcome{}
	}
	q := p.pidfd(args[0])
	if q == nil {
		return outcome{open: "the log does not tell what a descriptor stands for", orAny: true,
			orErrno: [2]syscall.Errno{syscall.ESRCH, syscall.EPERM}, errno: syscall.EBADF}
	}
	if q.p.State() == axprocess.Freed {
		return outcome{errno: syscall.ESRCH, rule: "the descriptor's process is gone"}
	}
	want := outcome{isPID: true, rule: "the descriptor's process is there"}
	if e.creds {
		want.open, want.orErrno[0] = "who may signal whom has changed in a way that the log does not tell", syscall.EPERM
	}
	return want
}

// pidfd returns the process that a descriptor stands for, if the log has told.
func (p *proc) pidfd(arg []byte) *proc {
	fd, ok := strace.Int(arg)
	if !ok {
		return nil
	}
	return p.fds[fd]
}

// compare compares a call's result with an outcome, or with what it leaves open.
func (e *engine) compare(c *call, w outcome) verdict {
	r := &c.result
	if w.rule == "alternative" {
		switch {
		case r.Errno != 0:
			return asVerdict(r.Errno == w.orErrno[0] || r.Errno == w.orErrno[1])
		case r.Value < 0:
			return differs
		case w.orAny:
			return agrees
		case w.isOrPID:
			return e.same(c.thread.proc.ns, r.Value, r.Outer, w.orPID, w.role)
		}
		return differs
	}
	switch {
	case w.errno != 0:
		return asVerdict(r.Errno == w.errno)
	case r.Errno != 0 || r.Value < 0:
		return differs
	case !w.isPID:
		return asVerdict(w.rule != "")
	}
	return e.same(c.thread.proc.ns, r.Value, r.Outer, w.pid, w.role)
}

// describe shows an outcome as the log would.
func (e *engine) describe(c *call, w outcome) string {
	switch {
	case w.errno != 0:
		return errnoName(w.errno)
	case !w.isPID:
		return "success"
	case w.pid != 0:
		if !e.sees(c.thread.proc.ns, w.pid) {
			return "0"
		}
		if n := c.thread.proc.ns.number(w.pid, w.role); n != 0 {
			return fmt.Sprint(n)
		}
		return "a number not told yet"
	}
	return "0"
}

func errnoName(errno syscall.Errno) string {
	if name := strace.ErrnoName(errno); name != "" {
		return name
	}
	return errno.Error()
}
