package axprocess

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"
)

// This file is about the operations of concurrent histories (linear_test.go): each
// one call of the API, and its whole answer as text. What a call is about was drawn
// before, so that it can be done again in another table.

// call is one operation: which, by whom, on whom. Places are of world.procs.
type call struct {
	*operation
	by, to int
	thread int // a place of world.threads
	n      PID // a number, that somebody may go by
	sig    Signal
	k      int // what else there is to choose
	makes  int // the place of the process or thread that it makes
}

func (c call) String() string {
	return fmt.Sprintf("%s(by %d, to %d, thread %d, number %d, %s, %d, makes %d)", c.what, c.by, c.to, c.thread, c.n, c.sig, c.k, c.makes)
}

// operation is a kind of call. ctx ends a call that blocks.
type operation struct {
	what          string
	do            func(ctx context.Context, w *world, c call) string
	forks, starts bool // it makes a process, a thread
}

// world is a table, and the handles that calls use. A place is written by one
// goroutine only, and read by others only if newWorld filled it.
type world struct {
	table   *Table
	procs   []*Process
	threads []*Thread
	groups  [3]*ProcessGroup
	terms   [2]*Terminal
	spaces  [2]*Namespace
}

// The places that newWorld fills.
const (
	firstProcs   = 11
	firstThreads = 4
)

// newWorld is a shell with a job in the foreground and one in the background, a
// daemon that is a subreaper, a zombie, and a namespace with two processes.
func newWorld(places int, opts ...Option) *world {
	w := &world{table: NewTable(opts...), procs: make([]*Process, places), threads: make([]*Thread, places)}
	w.terms = [2]*Terminal{w.table.NewTerminal(0), w.table.NewTerminal(1)}
	born := func(place int, b ProcessBuilder) *Process {
		w.procs[place] = must(b.Data(place).Build())
		return w.procs[place]
	}
	init := born(0, w.table.NewInit(1).Leader("init"))
	shell := born(1, init.Fork(NextPID).Leader("shell"))
	must(shell.Setsid())
	fine(shell.SetTerminal(w.terms[0], false))
	front := born(2, shell.Fork(NextPID).Leader("front"))
	back := born(3, shell.Fork(NextPID))
	for i, job := range []*Process{front, back} {
		w.groups[i] = must(job.CreateGroup())
	}
	must(shell.SetForeground(w.terms[0], front.PID()))
	daemon := born(4, init.Fork(NextPID))
	fine(daemon.SetChildSubreaper(true))
	low := born(6, born(5, daemon.Fork(NextPID)).Fork(NextPID))
	fine(low.SetAction(SIGUSR1, SignalAction{Disposition: Handle}))
	fine(born(7, shell.Fork(NextPID)).Exit())
	outer := born(8, init.Fork(NextPID))
	inner := born(9, outer.Fork(NextPID).NewNamespace())
	born(10, inner.Fork(NextPID))
	w.groups[2] = init.Group()
	w.spaces = [2]*Namespace{w.table.Namespace(), inner.Namespace()}
	w.threads[0], w.threads[1], w.threads[2] = init.Thread(), shell.Thread(), front.Thread()
	w.threads[3] = must(front.NewThread(NextPID).Data("second").Build())
	return w
}

// fine panics on the last of a call's results, if that is an error.
func fine(results ...any) {
	if err, _ := results[len(results)-1].(error); err != nil {
		panic(err)
	}
}

// said is an answer as text: the errno of a refusal, else all of the results.
func said(results ...any) string {
	var parts []string
	for _, r := range results {
		var errno syscall.Errno
		err, failed := r.(error)
		switch {
		case failed && errors.Is(err, context.Canceled):
			return cancelled
		case failed && errors.As(err, &errno):
			return fmt.Sprintf("errno %d", int(errno))
		case failed:
			return err.Error()
		}
		parts = append(parts, told(r))
	}
	return strings.Join(parts, ", ")
}

// cancelled is the answer of a call whose context has ended: it has done nothing.
const cancelled = "cancelled"

// told names what a result is, the same in each table: by number and place.
func told(r any) string {
	switch v := r.(type) {
	case *Process:
		if v == nil {
			return "nobody"
		}
		return fmt.Sprintf("process %d (%v)", v.pid, v.data)
	case *Thread:
		if v == nil {
			return "no thread"
		}
		return fmt.Sprintf("thread %v of %d", v.data, v.process.pid)
	case *ProcessGroup:
		if v == nil {
			return "no group"
		}
		return fmt.Sprintf("group %d of %d", v.pgid, v.session.sid)
	case *Session:
		if v == nil {
			return "no session"
		}
		return fmt.Sprintf("session %d", v.sid)
	case *Terminal:
		if v == nil {
			return "no terminal"
		}
		return fmt.Sprintf("terminal %v", v.data)
	case WaitResult:
		return fmt.Sprintf("%d is %s: %s %d, used %v", v.PID, told(v.Process), v.Cause, v.Code, v.Usage)
	case KillResult:
		text := "reached " + all(v.Reached())
		for _, e := range v.Effects() {
			text += fmt.Sprintf("; %s, %s: %s %d", told(e.Process), told(e.Thread), e.Signal, e.Action)
		}
		return text
	}
	return fmt.Sprint(r)
}

func all[T any](list []T) string {
	var parts []string
	for _, one := range list {
		parts = append(parts, told(one))
	}
	return fmt.Sprint(parts)
}

// acts makes an operation of a call by a process, actsUntil of one that a context
// ends, threadActs of one by a thread. There is none where the fork that should
// have made it was refused.
func acts(what string, do func(w *world, p *Process, c call) string) *operation {
	return actsUntil(what, func(_ context.Context, w *world, p *Process, c call) string { return do(w, p, c) })
}

func actsUntil(what string, do func(ctx context.Context, w *world, p *Process, c call) string) *operation {
	return &operation{what: what, do: func(ctx context.Context, w *world, c call) string {
		if w.procs[c.by] == nil || w.procs[c.to] == nil {
			return "there is none"
		}
		return do(ctx, w, w.procs[c.by], c)
	}}
}

func threadActs(what string, do func(ctx context.Context, w *world, h *Thread, c call) string) *operation {
	return &operation{what: what, do: func(ctx context.Context, w *world, c call) string {
		if w.threads[c.thread] == nil {
			return "there is none"
		}
		return do(ctx, w, w.threads[c.thread], c)
	}}
}

// fork makes an operation of a birth.
func fork(what string, how func(w *world, p *Process, c call) ProcessBuilder) *operation {
	return acts(what, func(w *world, p *Process, c call) string { return w.born(c, how(w, p, c)) }).making(true, false)
}

func (w *world) born(c call, b ProcessBuilder) string {
	child, err := b.Data(c.makes).Build()
	w.procs[c.makes] = child
	return said(child, err)
}

// making says what an operation makes.
func (op *operation) making(forks, starts bool) *operation {
	op.forks, op.starts = forks, starts
	return op
}

// one picks by c.k.
func one[T any](c call, of ...T) T { return of[c.k%len(of)] }

var births = []*operation{
	fork("fork", func(_ *world, p *Process, _ call) ProcessBuilder { return p.Fork(NextPID) }),
	fork("fork by number", func(_ *world, p *Process, c call) ProcessBuilder { return p.Fork(c.n) }),
	fork("fork with a thread", func(_ *world, p *Process, c call) ProcessBuilder { return p.Fork(NextPID).Leader(c.makes) }),
	fork("clone, same parent", func(_ *world, p *Process, _ call) ProcessBuilder { return p.Fork(NextPID).CloneParent() }),
	fork("clone, exit signal", func(_ *world, p *Process, c call) ProcessBuilder { return p.Fork(NextPID).ExitSignal(c.sig) }),
	fork("clone, new namespace", func(_ *world, p *Process, _ call) ProcessBuilder { return p.Fork(NextPID).NewNamespace() }),
	fork("clone, numbers given", func(_ *world, p *Process, c call) ProcessBuilder { return p.Fork(NextPID).Number(p.Namespace(), c.n) }),
	fork("vfork", func(_ *world, p *Process, _ call) ProcessBuilder { return p.Fork(NextPID).Vfork() }),
	threadActs("fork by a thread", func(_ context.Context, w *world, h *Thread, c call) string {
		return w.born(c, h.Fork(NextPID))
	}).making(true, false),
	acts("thread", func(w *world, p *Process, c call) string {
		h, err := p.NewThread(NextPID).Data(c.makes).Build()
		w.threads[c.makes] = h
		return said(h, err)
	}).making(false, true),
	acts("exec", func(_ *world, p *Process, _ call) string { return said(p.Exec()) }),
	threadActs("exec by a thread", func(_ context.Context, _ *world, h *Thread, _ call) string { return said(h.Exec(), h.TID()) }),
	acts("import", func(w *world, p *Process, c call) string {
		return said(w.table.Import(0, []ProcessRecord{
			{PID: c.n, PPID: p.pid, PGID: c.n, SID: c.n, Data: c.makes},
			{PID: c.n + 1, PPID: c.n, PGID: c.n, SID: c.n, Data: -c.makes, Zombie: c.k%2 == 0},
		}))
	}),
}

var ends = []*operation{
	acts("exit", func(_ *world, p *Process, _ call) string { return said(p.Exit()) }),
	acts("group exit", func(_ *world, p *Process, c call) string { return said(p.GroupExit(int32(c.k))) }),
	acts("group kill", func(_ *world, p *Process, c call) string { return said(p.GroupKill(c.sig, c.k%2 == 0)) }),
	threadActs("thread's exit", func(_ context.Context, _ *world, h *Thread, c call) string { return said(h.Exit(int32(c.k))) }),
	acts("free", func(_ *world, p *Process, _ call) string { return said(p.Free()) }),
	actsUntil("wait", func(ctx context.Context, _ *world, p *Process, c call) string {
		return said(p.Wait(ctx, one(c, WaitAny, c.n, WaitGroup, -c.n), WNOHANG|WALL))
	}),
	actsUntil("wait for stops and continues", func(ctx context.Context, _ *world, p *Process, c call) string {
		return said(p.Wait(ctx, one(c, WaitAny, c.n), WNOHANG|one(c, WSTOPPED, WCONTINUED, WSTOPPED|WCONTINUED|WEXITED)))
	}),
	actsUntil("look", func(ctx context.Context, _ *world, p *Process, c call) string {
		return said(p.Wait(ctx, one(c, WaitAny, c.n), WNOHANG|WNOWAIT|WEXITED|WSTOPPED))
	}),
	actsUntil("wait by handle", func(ctx context.Context, w *world, p *Process, c call) string {
		return said(p.WaitProcess(ctx, w.procs[c.to], WNOHANG))
	}),
	threadActs("wait4", func(ctx context.Context, _ *world, h *Thread, c call) string {
		return said(h.Wait4(ctx, WaitAny, WNOHANG|one(c, 0, WNOTHREAD, WCLONE, WUNTRACED)))
	}),
	threadActs("waitid", func(ctx context.Context, _ *world, h *Thread, c call) string {
		return said(h.Waitid(ctx, one(c, P_ALL, P_PID, P_PGID), c.n, WNOHANG|WEXITED))
	}),
	acts("usage", func(_ *world, p *Process, c call) string { return said(p.AddUsage(Usage{User: time.Duration(c.k)})) }),
}

// blocking are waits that wait: done again with a context that has ended, they say
// cancelled unless there is an answer at once. It is one thread that waits, the init's
// or the shell's: its end, by another's exec, ends the wait.
var blocking = []*operation{
	threadActs("blocked wait", func(ctx context.Context, _ *world, h *Thread, c call) string {
		return said(h.Wait(ctx, one(c, WaitAny, c.n), WALL))
	}),
	threadActs("blocked wait for all there is", func(ctx context.Context, _ *world, h *Thread, _ call) string {
		return said(h.Wait(ctx, WaitAny, WEXITED|WSTOPPED|WCONTINUED))
	}),
	threadActs("blocked look", func(ctx context.Context, _ *world, h *Thread, c call) string {
		return said(h.Waitid(ctx, P_PID, c.n, WEXITED|WNOWAIT))
	}),
}

var relations = []*operation{
	acts("setsid", func(_ *world, p *Process, _ call) string { return said(p.Setsid()) }),
	acts("create session", func(_ *world, p *Process, _ call) string { return said(p.CreateSession()) }),
	acts("create group", func(_ *world, p *Process, _ call) string { return said(p.CreateGroup()) }),
	acts("move to group", func(w *world, p *Process, c call) string { return said(p.MoveToGroup(one(c, w.groups[:]...))) }),
	acts("setpgid", func(_ *world, p *Process, c call) string { return said(p.Setpgid(one(c, 0, c.n), one(c, c.n, 0, c.n))) }),
	acts("setpgid of another", func(w *world, p *Process, c call) string { return said(p.Setpgid(w.procs[c.to].pid, one(c, 0, c.n))) }),
	acts("subreaper", func(_ *world, p *Process, c call) string { return said(p.SetChildSubreaper(c.k%2 == 0)) }),
	acts("getpgid", func(_ *world, p *Process, c call) string { return said(p.Getpgid(one(c, 0, c.n))) }),
	acts("getsid", func(_ *world, p *Process, c call) string { return said(p.Getsid(one(c, 0, c.n))) }),
	acts("getppid", func(_ *world, p *Process, _ call) string { return said(p.Getppid()) }),
	acts("parent", func(_ *world, p *Process, _ call) string { return said(p.Parent()) }),
	acts("children", func(_ *world, p *Process, _ call) string { return all(p.Children()) }),
	acts("threads", func(_ *world, p *Process, _ call) string { return all(p.Threads()) }),
	acts("what it is", func(_ *world, p *Process, c call) string {
		return said(one(c, p.IsInit, p.IsSubreaper, p.HasExeced, p.IsLeaderExited)())
	}),
	acts("members", func(w *world, _ *Process, c call) string { return all(one(c, w.groups[:]...).Processes()) }),
	acts("groups", func(w *world, _ *Process, c call) string {
		return all(one(c, w.groups[:]...).Session().ProcessGroups())
	}),
	acts("orphaned", func(w *world, _ *Process, c call) string { return said(one(c, w.groups[:]...).IsOrphaned()) }),
	acts("leaders", func(w *world, _ *Process, c call) string {
		g := one(c, w.groups[:]...)
		return said(one(c, g.Leader, g.Session().Leader)())
	}),
	acts("processes", func(w *world, _ *Process, _ call) string { return all(w.table.Processes()) }),
	acts("sessions", func(w *world, _ *Process, _ call) string { return all(w.table.Sessions()) }),
	acts("how many", func(w *world, _ *Process, _ call) string { return said(w.table.Len()) }),
	acts("snapshot", func(w *world, _ *Process, _ call) string { return w.String() }),
}

var sendings = []*operation{
	acts("kill", func(w *world, p *Process, c call) string {
		return said(p.Kill(one(c, w.procs[c.to].pid, c.n, 0, -w.procs[c.to].pid), c.sig))
	}),
	acts("stop", func(w *world, p *Process, c call) string { return said(p.Kill(w.procs[c.to].pid, SIGSTOP)) }),
	acts("continue", func(w *world, p *Process, c call) string { return said(p.Kill(w.procs[c.to].pid, SIGCONT)) }),
	acts("kill by handle", func(w *world, p *Process, c call) string { return said(p.KillProcess(w.procs[c.to], c.sig)) }),
	acts("killpg", func(w *world, p *Process, c call) string { return said(p.Killpg(c.n, c.sig)) }),
	acts("kill a group by handle", func(w *world, p *Process, c call) string { return said(p.KillGroup(one(c, w.groups[:2]...), c.sig)) }),
	acts("sigqueue", func(w *world, p *Process, c call) string {
		return said(p.Sigqueue(w.procs[c.to].pid, SIGRTMIN+1, uint64(c.k)))
	}),
	acts("tgkill", func(w *world, p *Process, c call) string {
		return said(p.Tgkill(w.procs[c.to].pid, one(c, w.procs[c.to].pid, c.n), c.sig))
	}),
	acts("raise", func(_ *world, p *Process, c call) string { return said(p.Raise(c.sig)) }),
	acts("sigaction", func(_ *world, p *Process, c call) string {
		return said(p.SetAction(one(c, c.sig, SIGCHLD), SignalAction{Disposition: one(c, Default, Ignore, Handle), Flags: one(c, 0, NoChildWait, NoChildStop, ResetHandler)}))
	}),
	acts("mask", func(_ *world, p *Process, c call) string { return said(p.SetSignalMask(SignalsOf(c.sig, SIGUSR1))) }),
	acts("parent-death signal", func(_ *world, p *Process, c call) string { return said(p.SetParentDeathSignal(c.sig)) }),
	acts("pending", func(_ *world, p *Process, _ call) string { return said(p.PendingSignals()) }),
	acts("queued", func(_ *world, p *Process, _ call) string { return said(p.QueuedSignals()) }),
	acts("take", func(_ *world, p *Process, _ call) string { return said(p.TakeSignal()) }),
	acts("accept", func(_ *world, p *Process, c call) string {
		info, got := p.AcceptSignal(SignalsOf(c.sig, SIGUSR1))
		return said(info, got)
	}),
	acts("begin handler", func(_ *world, p *Process, _ call) string {
		delivery, got := p.BeginHandler()
		return said(delivery, got)
	}),
	acts("stopped", func(_ *world, p *Process, _ call) string { return said(p.Stopped()) }),
}

var terminalUses = []*operation{
	acts("take a terminal", func(w *world, p *Process, c call) string { return said(p.SetTerminal(one(c, w.terms[:]...), c.k > 3)) }),
	acts("open a terminal", func(w *world, p *Process, c call) string { return said(p.OpenTerminal(one(c, w.terms[:]...))) }),
	acts("give up a terminal", func(w *world, p *Process, c call) string { return said(p.GiveUpTerminal(w.terms[0])) }),
	acts("foreground", func(w *world, p *Process, c call) string { return said(p.GetForeground(w.terms[0])) }),
	acts("set foreground", func(w *world, p *Process, c call) string { return said(p.SetForeground(w.terms[0], c.n)) }),
	acts("terminal's session", func(w *world, p *Process, c call) string { return said(p.TerminalSession(w.terms[0])) }),
	acts("read", func(w *world, p *Process, c call) string { return said(p.ReadTerminal(w.terms[0])) }),
	acts("write", func(w *world, p *Process, c call) string { return said(p.WriteTerminal(w.terms[0], c.k%2 == 0)) }),
	acts("controlling terminal", func(_ *world, p *Process, _ call) string { return said(p.Terminal()) }),
	acts("hang up", func(w *world, _ *Process, c call) string { one(c, w.terms[:]...).Hangup(); return "done" }),
	acts("key", func(w *world, _ *Process, c call) string { return said(w.terms[0].Signal(one(c, SIGINT, SIGTSTP))) }),
	acts("terminal", func(w *world, _ *Process, c call) string {
		term := w.terms[0]
		if c.k%2 == 0 {
			return said(term.Foreground())
		}
		return said(term.Session())
	}),
}

var spaceUses = []*operation{
	acts("unshare", func(_ *world, p *Process, _ call) string {
		ns, err := p.Unshare()
		if err != nil {
			return said(err)
		}
		return said(ns.Level())
	}),
	acts("setns", func(w *world, p *Process, c call) string { return said(p.Setns(one(c, w.spaces[:]...))) }),
	acts("number within", func(w *world, p *Process, _ call) string { return said(p.PIDIn(w.spaces[1])) }),
	acts("who has a number within", func(w *world, _ *Process, c call) string { return said(w.spaces[1].Process(1 + c.n%4)) }),
	acts("processes within", func(w *world, _ *Process, _ call) string { return all(w.spaces[1].Processes()) }),
	acts("the namespace", func(w *world, _ *Process, c call) string {
		ns := w.spaces[1]
		return one(c, func() string { return said(ns.Len()) }, func() string { return said(ns.IsClosed()) }, func() string { return said(ns.Init()) })()
	}),
}

// unlocked are look-ups and reads of one word, which take no lock. Of a state it is
// asked how far it has come: one operation may pass through several. (A look-up of a
// thread that becomes the leader by exec may find nobody on the way.)
var unlocked = []*operation{
	acts("process", func(w *world, _ *Process, c call) string { return said(w.table.Process(c.n)) }),
	acts("group", func(w *world, _ *Process, c call) string { return said(w.table.Group(c.n)) }),
	acts("session", func(w *world, _ *Process, c call) string { return said(w.table.Session(c.n)) }),
	acts("is ended", func(_ *world, p *Process, _ call) string { return said(p.State() >= Zombie) }),
	acts("is freed", func(_ *world, p *Process, _ call) string { return said(p.State() == Freed) }),
	acts("is ending", func(_ *world, p *Process, _ call) string { return said(p.IsGroupExited()) }),
	acts("its group", func(_ *world, p *Process, _ call) string { return said(p.Group()) }),
	acts("exit code", func(_ *world, p *Process, _ call) string { return said(p.ExitCode()) }),
	threadActs("has exited", func(_ context.Context, _ *world, h *Thread, _ call) string { return said(h.IsExited()) }),
	threadActs("tid", func(_ context.Context, _ *world, h *Thread, _ call) string { return said(h.TID()) }),
}

// everyOperation is all of them but those that block.
func everyOperation() []*operation {
	return slices.Concat(births, ends, relations, sendings, terminalUses, spaceUses, unlocked)
}

// called finds an operation by its name.
func called(what string) *operation {
	every := everyOperation()
	return every[slices.IndexFunc(every, func(op *operation) bool { return op.what == what })]
}
