package replay

import (
	"slices"

	"axprocess"
	"axprocess/trace/strace"
)

// This file is about order: when a result is not the one expected, whether what
// overlaps has another order in which it is.
//
// Invariants: no result is judged twice; what is let take effect early does so
// within its own call.

// changed is called after each change of the table: what others that are under
// way would be given is noted.
func (e *engine) changed() {
	e.clock++
	for _, c := range e.open {
		e.see(c)
	}
}

// see notes what a call would be given now, if that is cheap to say.
func (e *engine) see(c *call) {
	if c.judged || !isQuick(c.op) || c.thread == nil || c.thread.h.IsExited() {
		return
	}
	if now := e.expect(c); len(c.seen) == 0 || c.seen[len(c.seen)-1] != now {
		c.seen = append(c.seen, now)
	}
}

// judge compares a call's result with what the rules give, in whatever order the
// log allows, and makes the table follow the log.
func (e *engine) judge(c *call) {
	c.judged = true
	switch {
	case c.result.Injected:
		e.apply(c)
		return
	case isWait(c.op):
		e.judgeWait(c)
		return
	case isFork(c.op):
		e.judgeFork(c)
		return
	case !isQuick(c.op):
		e.apply(c)
		return
	case !c.result.Known:
		return // the caller ended in it
	}
	want, v := e.ask(c)
	switch {
	case v == agrees:
		e.rep.count(c.op.String(), agrees, "")
	case v == learned:
	case want.open != "" && e.compare(c, want.or()) == agrees:
		e.rep.count(c.op.String(), learned, want.open)
	case e.wasSeen(c):
		e.rep.count(c.op.String(), learned, raceReason)
	case e.hasten(c, func() bool { return e.compare(c, e.expect(c)) != differs }):
		e.rep.count(c.op.String(), learned, raceReason)
	default:
		e.mismatch(c, e.describe(c, want), want.rule)
	}
	e.apply(c)
}

// ask asks the table: what is expected, and how the log compares.
func (e *engine) ask(c *call) (outcome, verdict) {
	switch c.op {
	case strace.Setpgid:
		want, same := e.judgeSetpgid(c)
		return want, asVerdict(same)
	case strace.Setsid:
		if want := e.expectSetsid(c.thread.proc); want.errno == c.result.Errno && want.errno != 0 {
			_, err := c.thread.proc.p.Setsid() // so it refuses
			return refusal(err), e.compare(c, refusal(err))
		}
	}
	want := e.expect(c)
	return want, e.compare(c, want)
}

const raceReason = "two calls overlap, and the log does not order them"

// wasSeen says whether the result was right at some moment of the call.
func (e *engine) wasSeen(c *call) bool {
	for _, want := range c.seen {
		if e.compare(c, want) == agrees || want.open != "" && e.compare(c, want.or()) == agrees {
			return true
		}
	}
	return false
}

// hasten lets other calls that are under way take effect, one after the other,
// until right says so.
func (e *engine) hasten(c *call, right func() bool) bool {
	if e.busy {
		return false
	}
	e.busy = true
	defer func() { e.busy = false }()
	for _, other := range slices.Clone(e.open) {
		if other == c || other.judged || !other.done || !e.mayHasten(other) {
			continue
		}
		e.judge(other)
		if right() {
			return true
		}
	}
	for _, d := range slices.Clone(e.doubts) {
		if e.settle(d); right() {
			return true
		}
	}
	return false
}

// doubt is about the group that processes were born into: their forker changed its
// own while it forked. Their children inherit it.
type doubt struct{ is, or *axprocess.ProcessGroup }

// settle decides a doubt for the other group.
func (e *engine) settle(d *doubt) {
	for i, o := range e.doubts {
		if o == d {
			e.doubts = append(e.doubts[:i:i], e.doubts[i+1:]...)
			break
		}
	}
	for _, p := range e.byTable {
		if p.doubt == d && p.p.State() != axprocess.Freed && p.p.Group() == d.is {
			e.force(p, func() error { return p.p.MoveToGroup(d.or) })
		}
		if p.doubt == d {
			p.doubt = nil
		}
	}
	e.changed()
}

// mayHasten says whether a call changes something, and can do so now.
func (e *engine) mayHasten(c *call) bool {
	if c.thread == nil || c.thread.h.IsExited() || !c.result.Known || c.result.Value < 0 {
		return false
	}
	switch c.op {
	case strace.Setpgid, strace.Setsid, strace.Prctl, strace.Sigaction, strace.Kill, strace.Execve,
		strace.Fork, strace.Vfork, strace.Clone, strace.Clone3:
		return c.op != strace.Execve || len(c.thread.proc.p.Threads()) == 1
	case strace.Wait4, strace.Waitid:
		return e.couldWait(c)
	}
	return false
}
