package replay

import (
	"errors"
	"io"
	"time"

	"axprocess"
	"axprocess/trace/strace"
)

// This file is about what comes in: lines become events, the two halves of a call
// become one, and a window of events is kept ahead of the engine, so that it can
// know of a call that has begun how it will end, and of a new thread who started
// it.
//
// Invariants: memory is bounded by the window and the live threads; an event's
// call is complete once its end is in the window.

type eventKind uint8

const (
	evAppear     eventKind = iota + 1 // the first line of a thread, if it is of no other kind
	evBegin                           // a call whose end is not on the same line
	evFinish                          // and its end
	evWhole                           // both
	evSignal                          // a signal is delivered
	evStopped                         // the thread has stopped
	evExited                          // it has ended
	evKilled                          // likewise
	evSuperseded                      // thread other goes on as tid
	evDetached                        // strace lets go of it
	evNumbered                        // the thread known as tid goes by number other
)

type event struct {
	kind  eventKind
	core  bool
	sig   axprocess.Signal
	tid   int32
	other int32 // or an exit code
	line  int64
	at    time.Duration
	call  *call
	info  string // of SIGCHLD: what comes with it
}

// call is one system call.
type call struct {
	op          strace.Op
	tid         int32
	line, until int64 // its first and its last line
	at          time.Duration
	args        string // all of them, once done
	result      strace.Result
	done        bool // its end has been read, if not yet replayed
	whole       bool // nothing else happened meanwhile

	// What the engine notes.
	thread *thread
	since  int64                   // the engine's clock at its beginning
	seen   []outcome               // what it would have given at each moment since
	judged bool                    // it has been, before its end
	child  *proc                   // of a fork: what it made
	group  *axprocess.ProcessGroup // of a fork: its caller's when it began
}

const windowSize = 1 << 14 // events ahead; a power of two

// intake turns lines into events.
type intake struct {
	next    func() (*strace.Line, error)
	fault   func(line int64, format string, args ...any)
	pending map[int32]*call
	live    map[int32]bool
	last    int32           // a live thread, looked up last
	born    map[int32]*call // children that a fork in the window has told of

	first   int32 // the thread that lines without a number are of, if it has none yet
	alias   map[int32]int32
	started map[int32]bool // announced by strace, and yet without a line

	exits, kills bool // there are lines of ends: by exit, by a signal
	clock        clock
	ring         [windowSize]event
	from, to     int
	end          error
}

// unnumbered is the first number given to threads whose own is not known.
const unnumbered = 1<<22 + 1

// elsewhere stands for a call that doesn't matter.
var elsewhere = &call{}

func newIntake(next func() (*strace.Line, error), fault func(int64, string, ...any)) *intake {
	return &intake{next: next, fault: fault, pending: map[int32]*call{}, live: map[int32]bool{},
		born: map[int32]*call{}, alias: map[int32]int32{}, started: map[int32]bool{}}
}

// peek returns the event i places ahead, or nil if there is none in the window.
func (in *intake) peek(i int) *event {
	for in.to-in.from <= i && in.to-in.from < windowSize-4 && in.end == nil {
		in.read()
	}
	if in.to-in.from <= i {
		return nil
	}
	return &in.ring[(in.from+i)&(windowSize-1)]
}

// take returns the next event; nil at the end, or on a failure, which end is.
func (in *intake) take() *event {
	for in.to-in.from < windowSize-4 && in.end == nil {
		in.read()
	}
	if in.to == in.from {
		return nil
	}
	ev := &in.ring[in.from&(windowSize-1)]
	in.from++
	return ev
}

func (in *intake) failure() error {
	if errors.Is(in.end, io.EOF) {
		return nil
	}
	return in.end
}

func (in *intake) push(ev event) {
	in.ring[in.to&(windowSize-1)] = ev
	in.to++
}

// read takes in one line.
func (in *intake) read() {
	l, err := in.next()
	if err != nil {
		in.end = err
		return
	}
	switch l.Kind {
	case strace.Noise, strace.Personality:
		return
	case strace.Attached:
		in.started[l.Other] = true
		return
	case strace.Detached:
		in.push(event{kind: evDetached, tid: l.Other, line: l.Number})
		return
	}
	at := in.clock.read(l)
	tid, ok := in.whose(l)
	if !ok {
		in.fault(l.Number, "it does not say whose line it is, and %d threads live", len(in.live))
		return
	}
	ev := event{tid: tid, line: l.Number, at: at, sig: l.Signal, core: l.Core, other: l.Status}
	if tid != in.last || !in.live[tid] {
		in.last = tid
		if !in.live[tid] {
			in.live[tid] = true
			if l.Kind != strace.Exited && l.Kind != strace.Killed && l.Kind != strace.Superseded {
				ev.kind = evAppear
				in.push(ev)
			}
		}
	}
	switch l.Kind {
	case strace.Call, strace.Begun, strace.Resumed:
		in.call(l, ev)
	case strace.Signal:
		ev.kind = evSignal
		if l.Signal == axprocess.SIGCHLD {
			ev.info = string(l.Info)
		}
		in.push(ev)
	case strace.Stopped:
		ev.kind = evStopped
		in.push(ev)
	case strace.Exited, strace.Killed:
		ev.kind = evExited
		if in.exits = true; l.Kind == strace.Killed {
			ev.kind, in.kills = evKilled, true
		}
		in.push(ev)
		delete(in.pending, tid)
		delete(in.live, tid)
	case strace.Superseded:
		ev.kind, ev.other = evSuperseded, l.Other
		in.push(ev)
		in.pending[tid] = in.pending[l.Other]
		delete(in.pending, l.Other)
		delete(in.live, l.Other)
	}
}

// whose resolves a line's thread: strace prints no number while it has only one.
func (in *intake) whose(l *strace.Line) (int32, bool) {
	if l.TID != 0 {
		if tid, ok := in.alias[l.TID]; ok {
			return tid, true
		}
		if in.first >= unnumbered && !in.live[l.TID] && !in.started[l.TID] && in.live[in.first] && in.born[l.TID] == nil {
			in.name(l.TID, l.Number)
			return in.first, true
		}
		delete(in.started, l.TID)
		return l.TID, true
	}
	switch {
	case len(in.live) == 1 && in.live[in.last]:
		return in.last, true
	case len(in.live) == 1:
		for tid := range in.live {
			return tid, true
		}
	case len(in.live) == 0 && in.first == 0:
		in.first = unnumbered
		return in.first, true
	}
	return 0, false
}

// name gives the first thread, which had no number till now, its own.
func (in *intake) name(number int32, line int64) {
	in.alias[number] = in.first
	in.push(event{kind: evNumbered, tid: in.first, other: number, line: line})
}

// call joins the halves of a call.
func (in *intake) call(l *strace.Line, ev event) {
	pending := in.pending[ev.tid]
	if l.Kind != strace.Resumed && pending != nil {
		in.fault(l.Number, "thread %d begins %s in the middle of another call", ev.tid, l.Name)
		delete(in.pending, ev.tid)
	}
	switch l.Kind {
	case strace.Begun:
		if l.Open {
			in.push(event{kind: evDetached, tid: ev.tid, line: l.Number, at: ev.at})
			return
		}
		if l.Op == strace.Other {
			in.pending[ev.tid] = elsewhere
			return
		}
		ev.kind = evBegin
		ev.call = &call{op: l.Op, tid: ev.tid, line: l.Number, until: l.Number, at: ev.at, args: string(l.Args)}
		in.pending[ev.tid] = ev.call
	case strace.Resumed:
		delete(in.pending, ev.tid)
		switch {
		case pending == nil:
			if l.Op == strace.Execve {
				pending = in.strayExec()
			}
			if pending == nil {
				in.resumedFromNowhere(l, ev.tid)
				return
			}
		case pending.op != l.Op:
			in.fault(l.Number, "thread %d resumes %s, but it was in %s", ev.tid, l.Name, pending.op)
			return
		}
		if pending == elsewhere {
			return
		}
		pending.until, pending.result, pending.done = l.Number, l.Result, true
		pending.args += string(l.Args)
		pending.tid = ev.tid
		ev.kind, ev.call = evFinish, pending
	case strace.Call:
		if l.Op == strace.Other {
			return
		}
		ev.kind = evWhole
		ev.call = &call{op: l.Op, tid: ev.tid, line: l.Number, until: l.Number, at: ev.at, args: string(l.Args),
			result: l.Result, done: true, whole: true}
	}
	in.push(ev)
	if c := ev.call; c.done && isFork(c.op) && c.result.Known && c.result.Value > 0 {
		n := int32(c.result.Value)
		if c.result.Outer != 0 {
			n = c.result.Outer
		}
		in.born[n] = c
	}
}

// strayExec finds the exec that goes on under its leader's number where strace
// was told not to say so (-e quiet=thread-execve).
func (in *intake) strayExec() *call {
	var found *call
	for _, c := range in.pending {
		if c.op == strace.Execve {
			if found != nil {
				return nil
			}
			found = c
		}
	}
	if found != nil {
		delete(in.pending, found.tid)
		delete(in.live, found.tid)
	}
	return found
}

// resumedFromNowhere: at its attachment strace resumes what was going on.
func (in *intake) resumedFromNowhere(l *strace.Line, tid int32) {
	if l.Op != strace.Other {
		in.fault(l.Number, "thread %d resumes %s, which it never began", tid, l.Name)
	}
}

func isFork(op strace.Op) bool {
	return op == strace.Fork || op == strace.Vfork || op == strace.Clone || op == strace.Clone3
}

// clock makes times since the log's beginning of whatever strace printed.
type clock struct {
	zero, now, days time.Duration
	running         bool
}

func (c *clock) read(l *strace.Line) time.Duration {
	switch l.Stamp {
	case strace.Relative:
		c.now += l.Time
	case strace.Epoch, strace.Clock:
		if !c.running {
			c.running, c.zero = true, l.Time
		}
		t := l.Time + c.days - c.zero
		if l.Stamp == strace.Clock && t < c.now-12*time.Hour {
			c.days += 24 * time.Hour
			t += 24 * time.Hour
		}
		c.now = max(c.now, t)
	}
	return c.now
}
