package replay

import (
	"fmt"
	"strings"

	"axprocess"
	"axprocess/trace/strace"
)

// This file is about what SIGCHLD tells: which child, and what happened to it.
//
// The kernel sends it when strace has been told of the end, so the exit line comes
// first. Only one can be pending; what it tells is true of the child it names.

// judgeSigchld compares what comes with a SIGCHLD that the kernel sent with what
// the child did.
func (e *engine) judgeSigchld(p *proc, info string) {
	if !strings.Contains(info, "si_code=CLD_") {
		return // sent by a process
	}
	n, outside, cause, code, ok := strace.Siginfo([]byte(info))
	if !ok || n <= 0 || n > 1<<22 {
		return
	}
	pid, known := p.ns.table(int32(n), asProcess)
	if outside != 0 {
		pid, known = e.top.table(outside, asProcess)
	}
	q := e.byTable[pid]
	if !known || q == nil || q.life == nil || !q.appeared || q.left {
		strange := !known && !p.ns.foreign || p.ns.up == nil && !e.known(p.ns, n)
		if strange && !p.older && (p.ns.up == nil || p.threads == 0) && e.followed {
			e.mismatchSigchld(p, "a child", info)
		}
		return
	}
	if e.same(p.ns, n, outside, q.p.PID(), asProcess) == differs {
		e.mismatchSigchld(p, "one number for one child", info)
		return
	}
	l, want := q.life, ""
	if !e.tells(q, p) {
		e.mismatchSigchld(p, fmt.Sprintf("%d is no child of it", n), info)
		return
	}
	switch cause {
	case axprocess.Exited:
		if l.Ended && (l.Signal != 0 || l.Exit != code) || !l.Ended && e.in.exits {
			want = l.Outcome()
		}
	case axprocess.Killed, axprocess.Dumped:
		if l.Ended && l.Signal != axprocess.Signal(code) || !l.Ended && e.in.kills {
			want = l.Outcome()
		}
	default:
		return // a stop or a continue may be over
	}
	if want == "" && q.told == p {
		want = "it was told before"
	}
	if q.told = p; want != "" {
		e.mismatchSigchld(p, fmt.Sprintf("%d: %s", n, want), info)
		return
	}
	e.rep.count("SIGCHLD", agrees, "")
}

// tells says whether the end of q can be told to p: its parent, who has waited for
// it, or who gets it from a parent that is ending.
func (e *engine) tells(q, p *proc) bool {
	if q.teller == p {
		return true
	}
	parent := q.p.Parent()
	for ; parent != nil && parent != p.p; parent = e.reaperOf(parent) {
		if mine := e.byTable[parent.PID()]; mine == nil || !mine.ending() || parent == e.t.Init() {
			return false
		}
	}
	return parent == p.p
}

func (e *engine) mismatchSigchld(p *proc, want, info string) {
	if len(info) > 100 {
		info = info[:100] + "…"
	}
	e.rep.disagree("SIGCHLD", Mismatch{Line: e.ev.line, Call: fmt.Sprintf("SIGCHLD to %d", p.tid), Want: want, Got: info,
		Rule: "a parent is told of its child's end after it, and truly (semantics 3.5)"})
}
