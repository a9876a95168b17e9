package replay

import (
	"context"
	"fmt"
	"strings"

	"axprocess"
	"axprocess/trace/strace"
)

// This file is about what calls and signals change, as the log says they did.
//
// Invariant: only what acts at once acts here: a signal's end or stop of a process
// shows in the log when it happens.

// apply lets a call take effect as the log says it did.
func (e *engine) apply(c *call) {
	r, p := &c.result, c.thread.proc
	if r.Restart || c.done && !r.Known && !isKilling(c.op) || r.Errno != 0 || r.Value < 0 {
		return
	}
	args := strace.Split([]byte(c.args), nil)
	switch c.op {
	case strace.Setpgid:
		e.applySetpgid(p, args)
	case strace.Setsid:
		p.doubt = nil
		if _, err := p.p.Setsid(); err != nil {
			e.force(p, func() error { _, err := p.p.CreateGroup(); return err })
		}
		e.changed()
	case strace.Kill, strace.Sigqueue:
		e.applyKill(p, args, 0)
	case strace.Tkill:
		e.applyKill(p, args, 0)
	case strace.Tgkill, strace.Tgsigqueue:
		e.applyKill(p, args, 1)
	case strace.PidfdOpen:
		if _, pid, ok := e.argument(p.ns, args[0], asProcess); ok {
			p.setFd(r.Value, e.byTable[pid])
		}
	case strace.PidfdSend:
		if q := p.pidfd(args[0]); q != nil {
			if sig, ok := strace.SignalNamed(args[1]); ok {
				e.sent([]*axprocess.Process{q.p}, sig, p)
			}
		}
	case strace.Close:
		if fd, ok := strace.Int(args0(args)); ok {
			delete(p.fds, fd)
		}
	case strace.Execve:
		e.execed(c)
	case strace.Prctl:
		e.applyPrctl(p, args)
	case strace.Sigaction:
		e.applySigaction(p, args)
	case strace.Unshare:
		if strings.Contains(c.args, "CLONE_NEWPID") {
			c.thread.children = newNamespace(p.ns)
			for _, h := range p.p.Threads() {
				if mine, ok := axprocess.DataOf[*thread](h); ok {
					mine.children = c.thread.children
				}
			}
		}
	case strace.Setns:
		if strings.Contains(c.args, "CLONE_NEWPID") || strings.HasSuffix(c.args, " 0") { // by a descriptor of any kind
			c.thread.children = newNamespace(p.ns)
			c.thread.children.foreign = true
		}
	case strace.Credentials:
		e.creds = true
	}
}

func isKilling(op strace.Op) bool {
	switch op {
	case strace.Kill, strace.Tkill, strace.Tgkill, strace.Sigqueue, strace.Tgsigqueue, strace.PidfdSend:
		return true
	}
	return false
}

func args0(args [][]byte) []byte {
	if len(args) == 0 {
		return nil
	}
	return args[0]
}

func (p *proc) setFd(fd int64, q *proc) {
	if q == nil {
		delete(p.fds, fd)
		return
	}
	if p.fds == nil {
		p.fds = map[int64]*proc{}
	}
	p.fds[fd] = q
}

// applySetpgid makes the table follow the log, whatever the rules say.
func (e *engine) applySetpgid(p *proc, args [][]byte) {
	pid, pgid, ok := e.setpgidArgs(p.ns, args)
	if !ok {
		return
	}
	target := p.p
	if pid > 0 {
		target = e.t.Process(pid)
	}
	if target != nil {
		if q, ok := axprocess.DataOf[*proc](target); ok {
			q.doubt = nil
		}
	}
	if err := p.p.Setpgid(pid, pgid); err != nil {
		if target != nil {
			e.force(p, func() error {
				if g := e.t.Group(pgid); g != nil && pgid != 0 {
					return target.MoveToGroup(g)
				}
				_, err := target.CreateGroup()
				return err
			})
		}
	}
	e.changed()
}

// force does what the rules refuse, if there is a way; if not, the table goes on
// without it, and says so.
func (e *engine) force(p *proc, do func() error) {
	if err := do(); err != nil {
		e.rep.note("after line %d the table differs from the log: %v", e.ev.line, err)
	}
}

// applyKill: only what a signal does at once matters here; the rest shows in the
// log when it happens.
func (e *engine) applyKill(p *proc, args [][]byte, first int) {
	if len(args) < first+2 {
		return
	}
	_, pid, ok := e.killTarget(p.ns, args[first])
	sig, isSignal := strace.SignalNamed(args[first+1])
	if !ok || !isSignal {
		return
	}
	if reached, err := p.p.Kill(pid, 0); err == nil {
		e.sent(reached.Reached(), sig, p)
	}
}

// sent notes what a signal will do.
func (e *engine) sent(to []*axprocess.Process, sig axprocess.Signal, from *proc) {
	for _, q := range to {
		mine := e.byTable[q.PID()]
		if mine == nil || mine.outside {
			continue
		}
		switch sig {
		case axprocess.SIGKILL:
			if mine.ns.init != mine || from.ns != mine.ns {
				mine.fatal, mine.fatalTo = sig, nil
				e.doom(mine)
			}
		case axprocess.SIGCONT:
			e.resumed(mine)
		}
	}
	if sig == axprocess.SIGKILL {
		e.clock++
	}
}

// resumed: SIGCONT acts when it is sent.
func (e *engine) resumed(q *proc) {
	q.stopping = 0
	if q.p.Stopped() == 0 {
		return
	}
	if _, err := e.t.Init().Kill(q.p.PID(), axprocess.SIGCONT); err == nil {
		e.changed()
		q.ready = e.clock
	}
}

func (e *engine) applyPrctl(p *proc, args [][]byte) {
	if len(args) < 2 || string(args[0]) != "PR_SET_CHILD_SUBREAPER" {
		return
	}
	n, ok := strace.Int(args[1])
	if !ok || p.ns.init == p && p.ns.up != nil {
		return // an init gets the orphans of its namespace in any case
	}
	if err := p.p.SetChildSubreaper(n != 0); err == nil {
		e.changed()
	}
}

// applySigaction: of dispositions only SIGCHLD's decides what others see.
func (e *engine) applySigaction(p *proc, args [][]byte) {
	if len(args) < 2 || string(args[0]) != "SIGCHLD" && string(args[0]) != "SIGCLD" {
		return
	}
	handler, found := strace.Field(args[1], "sa_handler")
	if !found {
		if handler = args[1]; string(handler) == "NULL" {
			return
		}
	}
	d := axprocess.Default
	if string(handler) == "SIG_IGN" {
		d = axprocess.Ignore
	}
	var flags axprocess.ActionFlags
	if text, ok := strace.Field(args[1], "sa_flags"); ok {
		strace.Flags(text, func(name string) {
			switch name {
			case "SA_NOCLDWAIT":
				flags |= axprocess.NoChildWait
			case "SA_NOCLDSTOP":
				flags |= axprocess.NoChildStop
			}
		})
	}
	if err := p.p.SetDisposition(axprocess.SIGCHLD, d, flags); err == nil {
		e.changed()
	}
}

// stopped: one of a process's threads has; they all have or will.
func (e *engine) stopped(p *proc, sig axprocess.Signal) {
	p.stopping = 0
	if p.p.Stopped() != 0 || p.p.State() != axprocess.Running {
		return
	}
	threads := p.p.Threads()
	if len(threads) == 0 {
		return
	}
	all := ^axprocess.SignalSet(0)
	h := threads[0]
	if err := h.SetSignalMask(all &^ axprocess.SignalsOf(sig)); err == nil {
		e.t.Init().Kill(p.p.PID(), sig)
		h.SetSignalMask(all)
	}
	if p.p.Stopped() == 0 {
		e.rep.disagree("stop", Mismatch{Line: e.ev.line, Call: fmt.Sprintf("%d stops", p.tid), Want: "it runs on",
			Got: "stopped by " + sig.String(), Rule: "terminal stops don't stop a member of an orphaned group (semantics 6.3)"})
		e.t.Init().Kill(p.p.PID(), axprocess.SIGSTOP)
	} else {
		e.rep.count("stop", agrees, "")
	}
	e.changed()
	p.ready = e.clock
}

// signalled: a signal is on its way to a thread.
func (e *engine) signalled(h *thread, sig axprocess.Signal, info string) {
	e.signals = true
	p := h.proc
	switch sig {
	case axprocess.SIGSTOP, axprocess.SIGTSTP, axprocess.SIGTTIN, axprocess.SIGTTOU:
		p.stopping = sig
	case axprocess.SIGCONT:
		e.resumed(p) // from outside of the log, or it runs already
	case axprocess.SIGCHLD:
		e.judgeSigchld(p, info)
	case axprocess.SIGURG, axprocess.SIGWINCH:
	default:
		p.fatal, p.fatalTo = sig, h
		if p.since == 0 {
			p.since = e.clock
		}
	}
}

var background = context.Background()
