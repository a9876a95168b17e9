package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"axprocess"

	"golang.org/x/sys/unix"
)

// This file is about the table's side of a story.

// Kind is what becomes of a call.
type Kind int

// The kinds.
const (
	Answers Kind = iota // it returns
	Blocks              // it does not return yet
	Gone                // it never will, or not before the actor is continued
)

// Outcome is what a step came to.
type Outcome struct {
	Kind Kind
	Text string // what came back
}

// outside names whatever is not of the world.
const outside = "outside"

// Table acts stories in a table.
type Table struct {
	table    *axprocess.Table
	terminal *axprocess.Terminal
	actors   map[string]*tableActor
	numbers
	opened    map[*axprocess.Process]bool // who has opened the terminal
	raced     bool                        // a call that was begun again was stopped again
	processes []named
}

type named struct {
	name string
	*axprocess.Process
}

type tableActor struct {
	*axprocess.Thread
	waiting chan string        // gets the result of a call that blocks
	cancel  context.CancelFunc // ends that call
	retry   *Step              // a call that a signal has stopped, begun again by the continue
}

// NewTable returns a table with the world's init, below an init that nobody sees.
// inside says whether it is the init of a pid namespace; else it is a subreaper.
func NewTable(inside bool) (*Table, error) {
	t := &Table{table: axprocess.NewTable(), actors: map[string]*tableActor{},
		numbers: newNumbers(), opened: map[*axprocess.Process]bool{}}
	t.terminal = t.table.NewTerminal(nil)
	machine, err := t.table.NewInit(1).Build()
	if err != nil {
		return nil, err
	}
	t.learn(outside, t.table.Namespace().ID(), 1)
	birth := machine.Fork(axprocess.NextPID).Leader(nil)
	if inside {
		birth = birth.NewNamespace()
	}
	p, err := birth.Build()
	if err != nil {
		return nil, err
	}
	if _, err := p.Setsid(); err != nil {
		return nil, err
	}
	if err := errors.Join(p.SetChildSubreaper(!inside), p.Exec()); err != nil {
		return nil, err
	}
	t.born("init", p)
	return t, nil
}

func (t *Table) born(name string, p *axprocess.Process) {
	t.processes = append(t.processes, named{name, p})
	t.actor(name, p.Thread())
}

func (t *Table) actor(name string, h *axprocess.Thread) {
	t.actors[name] = &tableActor{Thread: h}
	for ns := h.Process().Namespace(); ns != nil; ns = ns.Parent() {
		t.learn(name, ns.ID(), h.TIDIn(ns))
	}
}

// call is what a number of the table's own namespace is called.
func (t *Table) call(n axprocess.PID) string { return t.name(t.table.Namespace().ID(), n) }

// processName is the name of a thread's process.
func (t *Table) processName(p *axprocess.Process) string {
	return t.processes[slices.IndexFunc(t.processes, func(n named) bool { return n.Process == p })].name
}

// space is the namespace that an actor's numbers are of.
func (a *tableActor) space() uint64 { return a.Process().Namespace().ID() }

// Close ends what still waits.
func (t *Table) Close() {
	for _, a := range t.actors {
		if a.waiting != nil {
			a.cancel()
			<-a.waiting
		}
	}
}

// CanAct says whether an actor can take a step: it is there, not stopped, and not
// in a call that blocks.
func (t *Table) CanAct(name string) bool {
	a := t.actors[name]
	return a != nil && a.waiting == nil && a.retry == nil && a.runs()
}

func (a *tableActor) runs() bool { return !a.IsExited() && a.Process().Stopped() == 0 }

// Do takes a step.
func (t *Table) Do(s Step) (Outcome, error) {
	a := t.actors[s.Actor]
	switch {
	case s.Actor == theTerminal:
		return t.otherEnd(s)
	case a == nil:
		return Outcome{}, fmt.Errorf("nobody is named %q", s.Actor)
	case s.Verb == "is":
		return t.is(s)
	case s.Verb == "returns":
		return t.returns(a)
	case !t.CanAct(s.Actor):
		return Outcome{}, fmt.Errorf("%s can't act: it has ended, is stopped, or is in a call", s.Actor)
	}
	hangsUp := t.leaderOfTerminal()
	out, err := t.act(a, s)
	if err != nil {
		return out, err
	}
	if out.Kind == Answers && !a.runs() {
		out = Outcome{Kind: Gone}
	}
	if hangsUp != nil && hangsUp.State() >= axprocess.Exiting {
		clear(t.opened) // the exit of its leader hangs a pty up
	}
	return out, t.settle()
}

// settle lets everybody come to rest after a step: who runs handles what is pending
// and begins anew what a signal has stopped.
func (t *Table) settle() error {
	t.handle()
	return errors.Join(t.again(), t.table.Check())
}

// handle runs the handlers, which do nothing, of whoever runs.
func (t *Table) handle() {
	for _, a := range t.actors {
		for a.runs() && a.TakeSignal() != 0 {
		}
	}
}

// refused is a refusal's errno by name, or "ok".
func refused(err error) string {
	if err == nil {
		return "ok"
	}
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return err.Error()
	}
	return unix.ErrnoName(errno)
}

func answered(err error) (Outcome, error) { return Outcome{Text: refused(err)}, nil }

// told is a number that an actor is given as an answer.
func (t *Table) told(a *tableActor, n axprocess.PID, err error) (Outcome, error) {
	if err != nil {
		return answered(err)
	}
	return Outcome{Text: t.name(a.space(), n)}, nil
}

func (t *Table) act(a *tableActor, s Step) (Outcome, error) {
	p := a.Process()
	switch s.Verb {
	case "fork":
		return t.fork(a, s)
	case "clone":
		h, err := a.NewThread(axprocess.NextPID).Build()
		if err != nil {
			return answered(err)
		}
		t.actor(s.Args[0], h)
		return Outcome{Text: s.Args[0]}, nil
	case "exit", "exit_group":
		return t.exit(a, s)
	case "exec":
		err := a.Exec()
		t.inherit(s.Actor, t.processName(p))
		return answered(err)
	case "setsid":
		n, err := p.Setsid()
		return t.told(a, n, err)
	case "getppid":
		n, err := p.Getppid()
		return t.told(a, n, err)
	case "unshare":
		_, err := a.Unshare()
		return answered(err)
	case "setns":
		return t.setns(a, s.Args[0])
	case "subreaper":
		return answered(p.SetChildSubreaper(s.Args[0] == "on"))
	case "setpgid", "getpgid", "getsid", "wait4", "waitid", "kill", "tkill", "tgkill", "setpgrp":
		return t.actOn(a, s)
	case "pdeathsig", "action", "block", "unblock":
		return t.signals(a, s)
	case "pending", "accept", "sigqueue":
		return t.pending(a, s)
	case "getpid":
		return Outcome{Text: strconv.Itoa(int(p.PIDIn(p.Namespace())))}, nil
	case "lastpid":
		return t.useUp(s)
	}
	return t.terminals(a, s)
}

// setns is setns(2) with a pidfd: its process must have its leader.
func (t *Table) setns(a *tableActor, whose string) (Outcome, error) {
	i := slices.IndexFunc(t.processes, func(p named) bool { return p.name == whose })
	if i < 0 {
		return Outcome{}, fmt.Errorf("no process is named %q", whose)
	}
	if p := t.processes[i]; p.State() == axprocess.Running && !p.IsLeaderExited() {
		return answered(a.Setns(p.Namespace()))
	}
	return Outcome{Text: "ESRCH"}, nil
}

func (t *Table) fork(a *tableActor, s Step) (Outcome, error) {
	b, err := birthOf(s.Args)
	if err != nil {
		return Outcome{}, err
	}
	builder := a.Fork(axprocess.NextPID).Leader(nil).ExitSignal(b.exitSignal)
	if b.pid != 0 {
		builder = builder.Number(a.Process().Namespace(), b.pid)
	}
	if b.parent {
		builder = builder.CloneParent()
	}
	if b.vfork {
		builder = builder.Vfork()
	}
	if b.newpid {
		builder = builder.NewNamespace()
	}
	p, err := builder.Build()
	if err != nil {
		return answered(err)
	}
	t.born(b.name, p)
	t.opened[p] = t.opened[a.Process()]
	if !b.vfork {
		return Outcome{Text: b.name}, nil
	}
	t.block(a, func(ctx context.Context) string {
		if err := a.AwaitVfork(ctx); err != nil {
			return refused(err)
		}
		return b.name
	})
	return Outcome{Kind: Blocks}, nil
}

// exit is _exit(2) of a thread, exit_group(2) of a process.
func (t *Table) exit(a *tableActor, s Step) (Outcome, error) {
	var code int32
	if _, err := fmt.Sscan(s.Args[0], &code); err != nil {
		return Outcome{}, err
	}
	p := a.Process()
	exiting := []*axprocess.Thread{a.Thread}
	if s.Verb == "exit_group" {
		if err := p.GroupExit(code); err != nil {
			return Outcome{}, err
		}
		exiting = p.Threads()
	}
	for _, h := range exiting {
		last, err := h.Exit(code)
		if err != nil {
			return Outcome{}, err
		}
		if last {
			if err := p.Exit(); err != nil {
				return Outcome{}, err
			}
		}
	}
	return Outcome{Kind: Gone}, nil
}

// actOn is for the calls that name others.
func (t *Table) actOn(a *tableActor, s Step) (Outcome, error) {
	p := a.Process()
	words := s.Args
	if s.Verb == "waitid" {
		words = s.Args[1:]
	}
	n, err := t.pid(a.space(), words[0])
	if err != nil {
		return Outcome{}, err
	}
	switch s.Verb {
	case "getpgid":
		n, err := p.Getpgid(n)
		return t.told(a, n, err)
	case "getsid":
		n, err := p.Getsid(n)
		return t.told(a, n, err)
	case "setpgrp":
		return t.terminals(a, s)
	case "setpgid":
		pgid, err := t.pid(a.space(), words[1])
		if err != nil {
			return Outcome{}, err
		}
		return answered(p.Setpgid(n, pgid))
	case "wait4":
		opts, err := optionsOf(words[1:])
		if err != nil {
			return Outcome{}, err
		}
		return t.wait(a, func(ctx context.Context, also axprocess.WaitOptions) (axprocess.WaitResult, error) {
			return a.Wait4(ctx, n, opts|also)
		})
	case "waitid":
		opts, err := optionsOf(words[1:])
		if err != nil {
			return Outcome{}, err
		}
		of, err := idTypeOf(s.Args[0])
		if err != nil {
			return Outcome{}, err
		}
		return t.wait(a, func(ctx context.Context, also axprocess.WaitOptions) (axprocess.WaitResult, error) {
			return a.Waitid(ctx, of, n, opts|also)
		})
	}
	sig, err := signalOf(words[len(words)-1])
	if err != nil {
		return Outcome{}, err
	}
	return t.kill(a, s, n, sig)
}

func (t *Table) kill(a *tableActor, s Step, n axprocess.PID, sig axprocess.Signal) (Outcome, error) {
	p := a.Process()
	var err error
	switch s.Verb {
	case "kill":
		_, err = p.Kill(n, sig)
	case "tkill":
		_, err = p.Tkill(n, sig)
	case "tgkill":
		var tid axprocess.PID
		if tid, err = t.pid(a.space(), s.Args[1]); err != nil {
			return Outcome{}, err
		}
		_, err = p.Tgkill(n, tid, sig)
	}
	return answered(err)
}

// registered is a context that says when a wait has begun to block: only then
// does it ask for Done.
type registered struct {
	context.Context
	asked func()
}

func (r registered) Done() <-chan struct{} {
	r.asked()
	return r.Context.Done()
}

// block runs a call that is known to block, and returns once it does.
func (t *Table) block(a *tableActor, call func(context.Context) string) {
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan string, 1)
	a.waiting, a.cancel = result, cancel
	begun := make(chan struct{}, 8)
	go func() {
		result <- call(registered{ctx, func() {
			select {
			case begun <- struct{}{}:
			default:
			}
		}})
		close(result)
	}()
	<-begun
}

// wait does what doesn't block at once, and lets the rest block.
func (t *Table) wait(a *tableActor, call func(context.Context, axprocess.WaitOptions) (axprocess.WaitResult, error)) (Outcome, error) {
	r, err := call(context.Background(), axprocess.WNOHANG)
	if err != nil || r.Cause != 0 {
		return t.waited(a, r, err)
	}
	// Nothing is ready. Without WNOHANG it blocks; with it, it says so.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if r, err = call(ctx, 0); err == nil {
		return t.waited(a, r, err)
	}
	space := a.space()
	t.block(a, func(ctx context.Context) string {
		r, err := call(ctx, 0)
		if err != nil {
			return refused(err)
		}
		return describe(t.name(space, r.PID), r.Cause, r.Code)
	})
	return Outcome{Kind: Blocks}, nil
}

func (t *Table) waited(a *tableActor, r axprocess.WaitResult, err error) (Outcome, error) {
	if err != nil {
		return answered(err)
	}
	return Outcome{Text: describe(t.name(a.space(), r.PID), r.Cause, r.Code)}, nil
}

// describe is a wait's result in words. Whether there was a core dump depends on
// the machine, and isn't compared.
func describe(name string, cause axprocess.WaitCause, code int32) string {
	switch cause {
	case 0:
		return "nothing"
	case axprocess.Exited:
		return fmt.Sprintf("%s exited %d", name, code)
	case axprocess.Dumped:
		cause = axprocess.Killed
	case axprocess.Continued:
		return name + " continued"
	}
	return fmt.Sprintf("%s %s %s", name, cause, axprocess.Signal(code))
}

// returns is what a call that blocked has come to.
func (t *Table) returns(a *tableActor) (Outcome, error) {
	text, done := t.Returned(a)
	if !done {
		return Outcome{Kind: Blocks}, nil
	}
	return Outcome{Text: text}, nil
}

// Returned says whether an actor's blocked call has returned, and what.
func (t *Table) Returned(a *tableActor) (string, bool) {
	if a.waiting == nil {
		return "", false
	}
	// A completed wait is on its way through the scheduler. It has been completed
	// under the lock, so it comes before one that asks for the lock now and is
	// cancelled.
	if a.still() {
		return "", false
	}
	text := <-a.waiting
	a.cancel()
	a.waiting = nil
	return text, true
}

// still says whether the call still blocks: Check has looked at the wait, and the
// model says of each of its threads whether it waits.
func (a *tableActor) still() bool { return a.IsWaiting() || a.VforkChild() != nil }

// useUp gives out numbers until the last one was the one asked for.
func (t *Table) useUp(s Step) (Outcome, error) {
	last, err := strconv.Atoi(s.Args[0])
	if err != nil {
		return Outcome{}, err
	}
	for n := axprocess.PID(0); int(n) != last; {
		init := t.processes[0]
		p, err := init.Fork(axprocess.NextPID).Build()
		if err != nil {
			return Outcome{}, err
		}
		n = p.PIDIn(init.Namespace())
		if err := errors.Join(p.Exit(), p.Free()); err != nil {
			return Outcome{}, err
		}
	}
	return answered(nil)
}

// pending is for what waits for a thread, and what it takes of that.
func (t *Table) pending(a *tableActor, s Step) (Outcome, error) {
	switch s.Verb {
	case "pending":
		return Outcome{Text: pendingWords(a.PendingSignals() & a.SignalMask())}, nil
	case "accept":
		set, err := signalsOf(s.Args[0])
		if err != nil {
			return Outcome{}, err
		}
		info, ok := a.AcceptSignal(set)
		if !ok {
			return Outcome{Text: "EAGAIN"}, nil
		}
		return Outcome{Text: infoWords(info, t.name(a.space(), info.PID))}, nil
	}
	n, err := t.pid(a.space(), s.Args[0])
	if err != nil {
		return Outcome{}, err
	}
	sig, err := signalOf(s.Args[1])
	if err != nil {
		return Outcome{}, err
	}
	value, err := strconv.ParseUint(s.Args[2], 10, 31)
	if err != nil {
		return Outcome{}, err
	}
	_, err = a.Process().Sigqueue(n, sig, value)
	return answered(err)
}

// signals is for what a process does on signals.
func (t *Table) signals(a *tableActor, s Step) (Outcome, error) {
	sig, err := signalOf(s.Args[0])
	if err != nil {
		return Outcome{}, err
	}
	switch s.Verb {
	case "pdeathsig":
		return answered(a.SetParentDeathSignal(sig))
	case "block":
		return answered(a.SetSignalMask(a.SignalMask() | axprocess.SignalsOf(sig)))
	case "unblock":
		return answered(a.SetSignalMask(a.SignalMask() &^ axprocess.SignalsOf(sig)))
	}
	does := map[string]axprocess.Disposition{"default": axprocess.Default, "ignore": axprocess.Ignore, "handle": axprocess.Handle}
	d, known := does[s.Args[1]]
	if !known {
		return Outcome{}, fmt.Errorf("there is no disposition %q", s.Args[1])
	}
	var flags axprocess.ActionFlags
	for _, arg := range s.Args[2:] {
		switch arg {
		case "nocldstop":
			flags |= axprocess.NoChildStop
		case "nocldwait":
			flags |= axprocess.NoChildWait
		default:
			return Outcome{}, fmt.Errorf("action does not know %q", arg)
		}
	}
	return answered(a.Process().SetDisposition(sig, d, flags))
}

// World returns what is seen of all processes.
func (t *Table) World() World {
	w := World{}
	for _, p := range t.processes {
		if p.State() == axprocess.Freed {
			continue
		}
		w[p.name] = t.seen(p.Process)
	}
	return w
}

func (t *Table) seen(p *axprocess.Process) Seen {
	s := Seen{Parent: outside, Group: t.call(p.Group().PGID()), Session: t.call(p.Session().SID()), State: Runs}
	if parent := p.Parent(); parent != nil {
		s.Parent = t.call(parent.PID())
	}
	switch {
	case p.IsZombie():
		s.State = Zombie
	case p.IsLeaderExited():
		s.State = LeaderExited
	case p.Stopped() != 0:
		s.State = Stopped
	}
	var threads []string
	for _, h := range p.Threads() {
		threads = append(threads, t.call(h.TID()))
	}
	if p.State() == axprocess.Exiting && len(threads) == 0 {
		threads = append(threads, t.call(p.PID())) // an init that waits for its namespace sleeps
	}
	slices.Sort(threads)
	s.Threads = strings.Join(threads, ",")
	if term := p.Terminal(); term != nil && !p.IsZombie() {
		s.Foreground = t.call(term.Foreground())
	}
	return s
}

// is compares what a story says of a process with the table.
func (t *Table) is(s Step) (Outcome, error) {
	i := slices.IndexFunc(t.processes, func(p named) bool { return p.name == s.Actor })
	if i < 0 {
		return Outcome{}, fmt.Errorf("no process is named %q", s.Actor)
	}
	if p := t.processes[i]; p.State() == axprocess.Freed {
		if s.Args[0] == "gone" {
			return Outcome{Text: "ok"}, nil
		}
		return Outcome{}, fmt.Errorf("%s is gone", s.Actor)
	}
	seen := strings.Fields(t.seen(t.processes[i].Process).String())
	for _, arg := range s.Args {
		if !slices.Contains(seen, arg) {
			return Outcome{}, fmt.Errorf("%s is not %s, but %s", s.Actor, arg, strings.Join(seen, " "))
		}
	}
	return Outcome{Text: "ok"}, nil
}
