// Package replay plays a log of system calls to a process table, predicts each
// result by the table's rules, and compares.
package replay

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"axprocess"
	"axprocess/trace/strace"
)

// This file is about the engine: what it is told, in order, and whom it asks.
//
// A call takes effect at some moment between its first and its last line; the
// engine lets it take effect at the last. What the order of lines leaves open is
// looked into only when the result is not the one expected: was it right at
// another moment of the call (seen), or if another call that was going on had
// taken effect already (hasten)? Then the log does not order the two, and the
// result counts as unpredictable, with that reason.
//
// Invariants: no result is judged twice; after each event the table is as the
// log tells, also where it disagrees with the rules.

// Options are what a log can't tell.
type Options struct {
	Parent int32 // the first process's parent; 0: to be inferred
	PGID   int32 // its group; likewise
	SID    int32 // its session
	Reaper int32 // who gets the orphans that nobody in the log does
	Kernel Kernel
	// Until is the moment, since the first line, at which the replay ends; 0: the
	// log's end. Only logs with time stamps have others.
	Until time.Duration
	Keep  bool // Report.Kept is wanted
	// Progress is called now and then with the number of lines read; may be nil.
	Progress func(lines int64)
}

// Kernel is a version of Linux. The zero value: a current one.
type Kernel struct{ Major, Minor int }

// before says whether k is older than major.minor.
func (k Kernel) before(major, minor int) bool {
	return k != Kernel{} && (k.Major < major || k.Major == major && k.Minor < minor)
}

// ParseKernel reads a version, "6.1" or "6.1.0-13-amd64".
func ParseKernel(s string) (k Kernel, err error) {
	if n, err := fmt.Sscanf(s, "%d.%d", &k.Major, &k.Minor); n != 2 || err != nil || k.Major < 2 || k.Minor < 0 {
		return Kernel{}, fmt.Errorf("%q is not a kernel's version, as 6.1", s)
	}
	return k, nil
}

// engine replays one log.
type engine struct {
	opt Options
	in  *intake
	rep *Report
	t   *axprocess.Table
	ev  *event // the one being replayed

	keeper *keeper // nil unless Options.Keep

	top     *namespace
	homes   map[axprocess.PID]*namespace // of processes born below it
	unknown axprocess.PID
	world   world

	threads  map[int32]*thread // by the log's number
	byTable  map[axprocess.PID]*proc
	open     []*call // that matter and have not ended, in the order of their beginnings
	clock    int64   // moves with each change
	busy     bool    // hastening already
	doubts   []*doubt
	shown    map[strace.Op]bool
	signals  bool            // the log shows signals
	creds    bool            // somebody has changed who may signal whom
	followed bool            // some child that was forked has a line
	gone     [1 << 16]uint64 // numbers that processes of the log went by and that are forgotten
}

// proc is a process of the log, or of the world around it.
type proc struct {
	p        *axprocess.Process
	ns       *namespace
	tid      int32 // the log's number
	life     *Life
	outside  bool  // not in the log
	appeared bool  // it has a line
	older    bool  // it lived before the log began, and may have children that it doesn't show
	left     bool  // strace has let go of it
	teller   *proc // whose child it was when it ended, or who waited for it
	told     *proc // who was sent a SIGCHLD about its end
	phantom  *proc // a child from before the log, whose number is not known yet

	codes    []int32          // given to exit_group
	fatal    axprocess.Signal // a signal that may have been fatal, unless it acts again
	fatalTo  *thread
	doomed   bool // SIGKILL has been sent, or its end begun otherwise
	execing  *thread
	since    int64            // the clock when its end may have begun; 0: it hasn't
	joined   [2]int64         // the clock between whose values it became its parent's child
	doubt    *doubt           // its group may be another
	stopping axprocess.Signal // a stop signal was delivered and has not stopped it
	ready    int64            // the clock when there was last something for a wait
	fds      map[int64]*proc  // pidfds
	threads  int              // ever started, without the leader
}

// ending says whether a process may have ended already, before its exit line.
func (p *proc) ending() bool { return p.doomed || p.fatal != 0 }

// thread is a thread of the log.
type thread struct {
	h        *axprocess.Thread
	proc     *proc
	tid      int32
	call     *call
	children *namespace // of processes to come; nil: its own
	exited   bool       // it has called exit
	code     int32
	lifeAt   int // in the process's life's threads, + 1
}

// Strace replays a log of strace that r holds, plain or packed. name is for the
// report. Errors are of reading and of the format; what the log says is never
// one. Its memory is bounded by what lives at one time, and by a line per process
// for the report.
func Strace(name string, r *strace.Reader, opt Options) (*Report, error) {
	rep := newReport(name)
	var lines int64
	next := func() (*strace.Line, error) {
		if lines++; lines&(1<<16-1) == 0 && opt.Progress != nil {
			opt.Progress(lines)
		}
		l, err := r.Next()
		if err == nil && l.Stamp != strace.NoStamp {
			rep.Timed = true
		}
		return l, err
	}
	e := newEngine(rep, opt, next)
	err := e.run()
	rep.Lines, _, _ = r.Counts()
	if err != nil {
		return nil, err
	}
	if cut := r.Cut(); cut != nil {
		rep.note("the log is cut: %v", cut)
	}
	if _, noise, first := r.Counts(); noise > 0 {
		rep.note("%d lines are not strace's, the first at line %d", noise, first)
	}
	return rep, nil
}

// StraceParts replays the files of strace -ff, merged by their time stamps. Lines
// are numbered in each thread's own file. Otherwise as Strace.
func StraceParts(name string, parts []strace.Part, opt Options) (*Report, error) {
	merged, err := strace.Merge(parts)
	if err != nil {
		return nil, err
	}
	rep := newReport(name)
	rep.Timed = true
	var lines int64
	e := newEngine(rep, opt, func() (*strace.Line, error) {
		if lines++; lines&(1<<16-1) == 0 && opt.Progress != nil {
			opt.Progress(lines)
		}
		return merged()
	})
	if err := e.run(); err != nil {
		return nil, err
	}
	rep.note("%d files of strace -ff have no common order; they are merged by their time stamps, and lines are numbered in each", len(parts))
	for _, p := range parts {
		n, noise, first := p.From.Counts()
		rep.Lines += n
		if noise > 0 {
			rep.note("%s: %d lines are not strace's, the first at line %d", p.Name, noise, first)
		}
		if cut := p.From.Cut(); cut != nil {
			rep.note("%s is cut: %v", p.Name, cut)
		}
	}
	return rep, nil
}

func newReport(name string) *Report {
	return &Report{File: name, Reasons: map[string]int64{}, ByCall: map[string]Tally{}}
}

func newEngine(rep *Report, opt Options, next func() (*strace.Line, error)) *engine {
	e := &engine{opt: opt, rep: rep, top: newNamespace(nil), homes: map[axprocess.PID]*namespace{},
		threads: map[int32]*thread{}, byTable: map[axprocess.PID]*proc{}, shown: map[strace.Op]bool{}, clock: 1}
	e.in = newIntake(next, e.fault)
	opts := []axprocess.Option{axprocess.WithMaxPID(1 << 25)}
	if opt.Keep {
		e.keeper = new(keeper)
		opts = append(opts, e.keeper.options(rep)...)
	}
	e.t = axprocess.NewTable(opts...)
	if opt.Keep {
		e.keeper.reader, _ = e.t.EventsAfter(0) // refused only by tables without events
	}
	return e
}

// fault books a line that can't be where it is.
func (e *engine) fault(line int64, format string, args ...any) {
	e.rep.disagree("order", Mismatch{Line: line, Call: "the log", Want: "lines in strace's order",
		Got: fmt.Sprintf(format, args...), Rule: "a thread makes one call at a time, and none after its end"})
}

func (e *engine) run() error {
	var last time.Duration
	for {
		ev := e.in.take()
		if ev == nil || e.opt.Until > 0 && ev.at > e.opt.Until {
			break
		}
		e.ev = ev
		if ev.kind != evAppear && ev.kind != evNumbered {
			e.rep.Records++
		}
		last = ev.at
		if e.keeper != nil {
			e.keeper.at = last
		}
		e.replay(ev)
		if e.keeper != nil {
			if err := e.keeper.follow(); err != nil {
				return err
			}
		}
	}
	if err := e.in.failure(); err != nil {
		return err
	}
	if len(e.threads) == 0 && e.rep.Processes == 0 {
		return errors.New("it shows no process")
	}
	if e.rep.Timed {
		e.rep.Duration = last
	}
	if e.keeper != nil {
		e.rep.Kept = e.keep()
	}
	e.finishReport()
	return nil
}

// replay plays one event.
func (e *engine) replay(ev *event) {
	switch ev.kind {
	case evNumbered:
		e.numbered(ev)
		return
	case evDetached:
		if h := e.threads[ev.tid]; h != nil {
			h.proc.left = true
		}
		return
	}
	h := e.threads[ev.tid]
	if h == nil {
		if h = e.appear(ev); h == nil {
			return
		}
	}
	if !h.proc.appeared {
		h.proc.appeared = true
		e.followed = e.followed || h.proc.life.StartedBy != 0
	}
	switch ev.kind {
	case evBegin:
		e.begin(h, ev.call)
	case evFinish:
		e.finish(h, ev.call)
	case evWhole:
		e.begin(h, ev.call)
		e.finish(h, ev.call)
	case evSignal:
		e.signalled(h, ev.sig, ev.info)
	case evStopped:
		e.stopped(h.proc, ev.sig)
	case evExited, evKilled:
		e.ended(h, ev)
	case evSuperseded:
		e.superseded(h, ev)
	}
}

// begin notes that a call is under way.
func (e *engine) begin(h *thread, c *call) {
	c.thread, c.since = h, e.clock
	h.call = c
	if h.proc.fatalTo == h {
		h.proc.fatal, h.proc.fatalTo = 0, nil // a handler ran, or it was ignored
	}
	e.shown[c.op] = true
	switch c.op {
	case strace.Exit, strace.ExitGroup:
		e.exiting(h, c)
	case strace.Execve:
		h.proc.execing = h
	case strace.Fork, strace.Vfork, strace.Clone, strace.Clone3:
		c.group = h.proc.p.Group()
	default:
		if isKilling(c.op) && c.result.Errno == 0 && strings.Contains(c.args, "SIGKILL") {
			e.apply(c) // what it kills may end before it returns, and be the caller
		}
	}
	if !c.whole {
		e.open = append(e.open, c)
		e.see(c)
	}
}

// finish judges a call that has ended, and lets it take effect.
func (e *engine) finish(h *thread, c *call) {
	c.thread, h.call = h, nil
	if !c.judged {
		e.judge(c)
	}
	for i, o := range e.open {
		if o == c {
			e.open = append(e.open[:i], e.open[i+1:]...)
			break
		}
	}
	if c.op == strace.Execve && h.proc.execing == h {
		h.proc.execing = nil
	}
}

// drop forgets the calls of a thread that has ended.
func (e *engine) drop(h *thread) {
	if c := h.call; c != nil && isFork(c.op) && c.child == nil {
		e.world.lost++
	}
	for i, o := range e.open {
		if o.thread == h {
			e.open = append(e.open[:i], e.open[i+1:]...)
			break
		}
	}
	h.call = nil
}

func (e *engine) mismatch(c *call, want, rule string) {
	e.rep.disagree(c.op.String(), Mismatch{Line: c.until, Call: e.name(c), Want: want, Got: e.got(c), Rule: rule})
}

// name shows a call as the log does.
func (e *engine) name(c *call) string {
	args := c.args
	if len(args) > 60 {
		args = args[:60] + "…"
	}
	return fmt.Sprintf("%d %s(%s)", c.tid, c.op, args)
}

// got shows a result as the log does.
func (e *engine) got(c *call) string {
	switch {
	case c.result.Restart:
		return "interrupted"
	case !c.result.Known:
		return "no result"
	case c.result.Errno != 0:
		return errnoName(c.result.Errno)
	case c.result.Raw != "":
		return c.result.Raw
	}
	return fmt.Sprint(c.result.Value)
}
