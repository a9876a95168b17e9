package axprocess

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"unsafe"
)

// newNest is a ring whose next number is 102.
func newNest(t *testing.T, opts ...Option) *ring {
	t.Helper()
	x := newRing(t, opts...)
	x.table.guarded.numbers.cursor = 101
	return x
}

// nest makes an init of a new namespace below p, with a leader thread.
func (x *ring) nest(p *Process) (*Process, *Namespace) {
	x.t.Helper()
	q := x.build(p.Fork(NextPID).NewNamespace())
	return q, q.Namespace()
}

func (x *ring) fork(p *Process) *Process {
	x.t.Helper()
	return x.build(p.Fork(NextPID))
}

func (x *ring) end(p *Process) {
	x.t.Helper()
	x.ok(p.GroupKill(SIGKILL, false))
	x.ok(x.table.Check())
}

func (x *ring) numbers(p *Process, want ...PID) {
	x.t.Helper()
	ns := p.Namespace()
	var got []PID
	for ; ns != nil; ns = ns.Parent() {
		got = append(got, p.PIDIn(ns))
		if ns.Process(p.PIDIn(ns)) != p {
			x.t.Errorf("number %d at level %d finds another process", p.PIDIn(ns), ns.Level())
		}
	}
	if !slices.Equal(got, want) {
		x.t.Errorf("numbers from its own namespace outwards: %v, want %v", got, want)
	}
}

// semantics 8.1: a number in each namespace, and calls in the caller's.
func TestNumbersByLevel(t *testing.T) {
	x := newNest(t)
	a, outer := x.nest(x.p)
	b, inner := x.nest(a)
	c := x.fork(b)
	h := x.thread(c, NextPID)
	d := x.fork(a)
	x.numbers(a, 1, a.PID())
	x.numbers(b, 1, 2, b.PID())
	x.numbers(c, 2, 3, c.PID())
	x.numbers(d, 5, d.PID())
	if h.TIDIn(inner) != 3 || h.TIDIn(outer) != 4 || h.TIDIn(x.table.Namespace()) != h.TID() || inner.Thread(3) != h || outer.Thread(4) != h {
		t.Error("a thread's numbers")
	}
	if d.PIDIn(inner) != 0 || x.p.PIDIn(outer) != 0 || a.PIDIn(newRing(t).table.Namespace()) != 0 {
		t.Error("a process is seen from where it can't be")
	}
	if outer.Level() != 1 || inner.Level() != 2 || inner.Parent() != outer || outer.Parent() != x.table.Namespace() || outer.ID() == inner.ID() ||
		outer.Init() != a || inner.Init() != b || x.table.Namespace().Init() != x.init || outer.IsClosed() {
		t.Error("namespaces")
	}
	if got := outer.Processes(); !slices.Equal(got, []*Process{a, b, c, d}) {
		t.Errorf("%d processes in the outer one", len(got))
	}
	if got := inner.Processes(); !slices.Equal(got, []*Process{b, c}) || len(x.table.Namespace().Processes()) != 6 || inner.Len() != 3 || outer.Len() != 5 {
		t.Errorf("%d processes in the inner one, %d numbers", len(got), inner.Len())
	}
	for p, want := range map[*Process]PID{a: 0, b: 0, c: 1, d: 1, x.p: 1, x.init: 0} {
		if got, err := p.Getppid(); got != want || err != nil {
			t.Errorf("%d has parent %d, want %d: %v", p.PID(), got, want, err)
		}
	}
	// Groups and sessions that were inherited from outside read as 0.
	for _, p := range []*Process{a, c} {
		for _, get := range []func(PID) (PID, error){p.Getpgid, p.Getsid} {
			if n, err := get(0); n != 0 || err != nil {
				t.Error(n, err)
			}
		}
	}
	_, err := a.Getpgid(a.PID())
	x.errno(syscall.ESRCH, err) // not its number there

	if sid, err := c.Setsid(); sid != 2 || err != nil {
		t.Error(sid, err)
	}
	if n, err := a.Getsid(3); n != 3 || err != nil {
		t.Error(n, err)
	}
	if c.Session().SIDIn(outer) != 3 || c.Group().PGIDIn(inner) != 2 || inner.Group(2) != c.Group() || inner.Session(2) != c.Session() || inner.Group(9) != nil || inner.Session(9) != nil {
		t.Error("a session's numbers")
	}
	// Wait, kill and what a signal brings.
	x.ok(b.SetDisposition(SIGCHLD, Handle, 0))
	if k, err := b.Kill(2, SIGTERM); err != nil || k.Reached()[0] != c {
		t.Error(k, err)
	}
	if got, _ := b.BeginHandler(); got.PID != 2 {
		t.Errorf("SIGCHLD from %d", got.PID)
	}
	r, err := b.Wait(context.Background(), 2, WNOWAIT)
	if err != nil || r.PID != 2 || r.Process != c {
		t.Error(r, err)
	}
	_, err = b.Wait(context.Background(), 3, WNOHANG)
	x.errno(syscall.ECHILD, err)
	_, err = b.Wait(context.Background(), c.PID(), WNOHANG)
	x.errno(syscall.ECHILD, err)
	_, err = b.Wait(context.Background(), -9, WNOHANG)
	x.errno(syscall.ECHILD, err)
	if r, err = b.Thread().Waitid(context.Background(), P_PIDFD, 2, WEXITED|WNOWAIT); err != nil || r.Process != c {
		t.Error(r, err)
	}
	_, err = b.Thread().Waitid(context.Background(), P_PIDFD, 7, WEXITED)
	x.errno(syscall.EBADF, err)
	if r, err = b.Wait(context.Background(), -2, 0); err != nil || r.PID != 2 {
		t.Error(r, err)
	}
	x.end(b)
	if r, err = a.Wait(context.Background(), WaitAny, 0); err != nil || r.PID != 2 {
		t.Error(r, err)
	}
	if b.PIDIn(outer) != 0 || inner.Init() != nil || b.Namespace() != nil || c.Group().PGIDIn(outer) != 0 || c.Session().SIDIn(outer) != 0 || h.TIDIn(outer) != 0 {
		t.Error("what is gone has numbers")
	}
	_, err = b.Getppid()
	x.errno(syscall.ESRCH, err)
}

// semantics 8.2, by thread (seen).
func TestUnshareAndSetns(t *testing.T) {
	x := newNest(t)
	h := x.thread(x.p, 101)
	ns, err := h.Unshare()
	x.ok(err)
	if x.p.Namespace() != x.table.Namespace() || ns.Init() != nil || ns.Len() != 0 {
		t.Error("the caller moved, or somebody is in the new namespace")
	}
	_, err = h.Unshare()
	x.errno(syscall.EINVAL, err)
	x.errno(syscall.EINVAL, errOf(h.NewThread(NextPID).Build()))
	x.errno(syscall.EINVAL, errOf(h.Fork(NextPID).NewNamespace().Build()))
	x.numbers(x.fork(x.p), 102) // the leader's children stay here
	first := x.build(h.Fork(NextPID))
	x.numbers(first, 1, 103)
	x.numbers(x.build(h.Fork(NextPID)), 2, 104)
	x.numbers(x.fork(first), 3, 105)
	x.ok(h.Setns(x.table.Namespace()))
	x.numbers(x.build(h.Fork(NextPID)), 106)
	x.ok(errOf(h.NewThread(NextPID).Build()))

	x.ok(x.p.Setns(ns))
	joined := x.fork(x.p)
	x.numbers(joined, 4, 108)
	x.errno(syscall.EINVAL, errOf(x.p.NewThread(NextPID).Build()))
	x.errno(syscall.EINVAL, joined.Setns(x.table.Namespace()))
	x.errno(syscall.EINVAL, joined.Setns(nil))
	x.errno(syscall.EINVAL, joined.Setns(newRing(t).table.Namespace()))
	_, inner := x.nest(joined)
	x.ok(x.p.Setns(inner)) // two levels down
	x.numbers(x.fork(x.p), 2, 6, 110)
	x.errno(syscall.EINVAL, first.Setns(x.table.Namespace()))

	bare, err := x.init.Fork(NextPID).Build()
	x.ok(err)
	_, err = bare.Unshare()
	x.ok(err)
	x.errno(syscall.EINVAL, errOf(bare.NewThread(NextPID).Build()))
	x.numbers(x.fork(bare), 1, 112)
	x.ok(bare.GroupKill(SIGKILL, false))
	_, err = bare.Unshare()
	x.errno(syscall.ESRCH, err)
	x.errno(syscall.ESRCH, bare.Setns(ns))
}

// CLONE_NEWPID with CLONE_PARENT is accepted; CLONE_PARENT by an init is not (seen).
func TestNamespaceCloneParent(t *testing.T) {
	x := newNest(t)
	q := x.fork(x.p)
	sibling := x.build(q.Fork(NextPID).NewNamespace().CloneParent())
	if sibling.Parent() != x.p {
		t.Error("no sibling")
	}
	x.numbers(sibling, 1, sibling.PID())
	x.errno(syscall.EINVAL, errOf(sibling.Fork(NextPID).CloneParent().Build()))
	x.errno(syscall.EINVAL, errOf(NewTable().NewInit(1).NewNamespace().Build()))
	x.errno(syscall.EINVAL, errOf(NewTable().NewInit(1).Number(nil, 1).Build()))
}

// semantics 8.3.
func TestInitEndsItsNamespace(t *testing.T) {
	x := newNest(t)
	a, ns := x.nest(x.p)
	b, inner := x.nest(a)
	c, d := x.fork(b), x.fork(a)
	x.ok(errOf(d.Fork(NextPID).ExitSignal(SIGUSR1).Build()))
	x.ok(x.table.Process(d.PID()+1).GroupKill(SIGKILL, false)) // a zombie clone child
	_, err := a.Thread().Exit(9)
	x.ok(err)
	x.ok(a.Exit())
	if a.State() != Zombie || !ns.IsClosed() || !inner.IsClosed() || ns.Len() != 1 {
		t.Errorf("the init is %s, with %d numbers", a.State(), ns.Len())
	}
	for _, p := range []*Process{b, c, d} {
		if p.State() != Freed {
			t.Errorf("process %d is %s", p.PID(), p.State())
		}
	}
	if r, err := x.p.Wait(context.Background(), WaitAny, 0); err != nil || r.Process != a || r.Cause != Exited || r.Code != 9 {
		t.Error(r, err)
	}
	if ns.Len() != 0 || inner.Len() != 0 || ns.Init() != nil {
		t.Error("numbers are left")
	}
}

// Whom a parent outside has to wait for keeps the init waiting (seen).
func TestInitWaitsForOutside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newNest(t)
		a, ns := x.nest(x.p)
		child := x.fork(a)
		x.ok(x.p.Setns(ns))
		joined := x.fork(x.p) // in the namespace, its parent outside
		got := make(chan WaitResult, 1)
		go func() {
			r, err := x.p.Wait(context.Background(), a.PID(), 0)
			x.ok(err)
			got <- r
		}()
		synctest.Wait()
		x.end(a)
		if a.State() != Exiting || joined.State() != Zombie || child.State() != Freed || len(got) != 0 {
			t.Errorf("init %s, joined %s, child %s", a.State(), joined.State(), child.State())
		}
		x.errno(syscall.ESRCH, a.Exit())
		x.errno(syscall.ESRCH, a.GroupExit(1))
		x.errno(syscall.ESRCH, a.GroupKill(SIGKILL, false))
		x.errno(syscall.ESRCH, a.Setpgid(0, 0))
		x.errno(syscall.EBUSY, a.Free())
		x.errno(syscall.ESRCH, errOf(a.Fork(NextPID).Build()))
		if e := x.kill(a.PID(), SIGKILL); e.Action != Dropped {
			t.Errorf("%+v", e)
		}
		before := x.table.MaxPID()
		// Forks into it fail, and use their numbers up.
		last := x.fork(x.init)
		for range 3 {
			x.errno(syscall.ENOMEM, errOf(x.p.Fork(NextPID).Build()))
		}
		if next := x.fork(x.init); next.PID() != last.PID()+4 || before != x.table.MaxPID() {
			t.Errorf("after %d comes %d", last.PID(), next.PID())
		}
		x.errno(syscall.ENOMEM, errOf(x.p.Fork(4000).Build()))
		if r, err := x.p.Wait(context.Background(), joined.PID(), 0); err != nil || r.Process != joined {
			t.Error(r, err)
		}
		if r := <-got; r.Process != a || r.Cause != Killed || r.Code != int32(SIGKILL) {
			t.Errorf("%+v", r)
		}
		x.errno(syscall.ENOMEM, errOf(x.p.Fork(NextPID).Build()))
	})
}

// An init in a group that is named after another number of its namespace waits for
// itself for ever (seen); one in a group from outside doesn't.
func TestInitInAForeignGroup(t *testing.T) {
	x := newNest(t)
	a, ns := x.nest(x.p)
	b := x.fork(a)
	_, err := a.Setsid()
	x.ok(err)
	x.end(b)
	_, err = a.Wait(context.Background(), WaitAny, 0)
	x.ok(err)
	x.end(a)
	if a.State() != Zombie || ns.Len() != 1 {
		t.Errorf("%s with %d numbers", a.State(), ns.Len())
	}
	c, ns := x.nest(x.p)
	d := x.fork(c)
	x.ok(d.Setpgid(0, 0))
	x.ok(c.Setpgid(0, 2))
	x.end(c)
	if c.State() != Exiting || d.State() != Freed || ns.Len() != 2 {
		t.Errorf("%s with %d numbers", c.State(), ns.Len())
	}
}

// The numbers of a group that outlives its namespace's processes.
func TestGroupOfAnotherNamespace(t *testing.T) {
	x := newNest(t)
	_, err := x.p.Setsid()
	x.ok(err)
	a, ns := x.nest(x.p)
	b := x.fork(a)
	x.ok(b.Setpgid(0, 0))
	outside := x.fork(x.p)
	x.ok(outside.Setpgid(0, b.PID()))
	x.end(a)
	if a.State() != Exiting || ns.Len() != 2 || b.State() != Freed {
		t.Errorf("%s with %d numbers", a.State(), ns.Len())
	}
	g := outside.Group()
	if g.PGIDIn(ns) != 2 || ns.Group(2) != g {
		t.Error("the group has lost its number")
	}
	x.ok(outside.Setpgid(0, 0)) // the group ends, and so does the wait
	if a.State() != Zombie || ns.Len() != 1 {
		t.Errorf("%s with %d numbers", a.State(), ns.Len())
	}
	x.errno(syscall.EPERM, outside.MoveToGroup(g)) // its number there is gone
}

func TestNestingLimit(t *testing.T) {
	x := newNest(t)
	p := x.p
	for range 32 {
		p, _ = x.nest(p)
	}
	if p.Namespace().Level() != 32 {
		t.Errorf("level %d", p.Namespace().Level())
	}
	x.errno(syscall.ENOSPC, errOf(p.Fork(NextPID).NewNamespace().Build()))
	_, err := p.Unshare()
	x.errno(syscall.ENOSPC, err)
	q := x.fork(p)
	want := []PID{2}
	for n := PID(3); n <= 33; n++ {
		want = append(want, n)
	}
	x.numbers(q, append(want, q.PID())...)
	x.end(x.table.Process(102)) // the outermost of them
	if x.table.Len() != 3 {
		t.Errorf("%d processes are left", x.table.Len())
	}
}

// An init is immune from inside; from outside SIGKILL and SIGSTOP act.
func TestNamespaceInitSignals(t *testing.T) {
	x := newNest(t)
	a, ns := x.nest(x.p)
	b := x.fork(a)
	c, _ := x.nest(b)
	for _, sig := range []Signal{SIGKILL, SIGSTOP, SIGTERM, SIGQUIT, SIGTSTP, SIGHUP} {
		if k, err := b.Kill(1, sig); err != nil || k.Effects()[0].Action != Dropped {
			t.Errorf("%s from inside: %+v, %v", sig, k.Effects(), err)
		}
		if k, err := c.KillProcess(a, sig); err != nil || k.Effects()[0].Action != Dropped {
			t.Errorf("%s from below: %+v, %v", sig, k.Effects(), err)
		}
	}
	for _, sig := range []Signal{SIGTERM, SIGQUIT, SIGTSTP} {
		if e := x.kill(a.PID(), sig); e.Action != Dropped {
			t.Errorf("%s from outside: %+v", sig, e)
		}
	}
	if e := x.kill(a.PID(), SIGSTOP); e.Action != Suspended || a.Stopped() != SIGSTOP {
		t.Errorf("%+v", e)
	}
	if e := x.kill(a.PID(), SIGCONT); e.Action != ResumedRun {
		t.Errorf("%+v", e)
	}
	// Who the sender is: by the number in its own namespace, if the receiver sees it.
	x.ok(a.SetDisposition(SIGUSR1, Handle, 0))
	for from, want := range map[*Process]PID{x.init: 0, b: 2, c: 1} {
		_, err := from.KillProcess(a, SIGUSR1)
		x.ok(err)
		d, ok := a.BeginHandler()
		if !ok || d.PID != want {
			t.Errorf("from %d, want %d", d.PID, want)
		}
		x.ok(a.SetSignalMask(d.Restore))
	}
	if k, err := b.Kill(-1, 0); err != nil || !slices.Equal(k.Reached(), []*Process{c}) {
		t.Errorf("-1 reaches %d, %v", len(k.Reached()), err)
	}
	if k, err := c.Kill(0, 0); err != nil || len(k.Reached()) != 5 { // its group, seen or not
		t.Errorf("0 reaches %d, %v", len(k.Reached()), err)
	}
	_, err := c.Kill(-1, SIGKILL)
	x.errno(syscall.ESRCH, err)
	_, err = b.Kill(a.PID(), SIGKILL)
	x.errno(syscall.ESRCH, err)
	_, err = b.Kill(-100, 0)
	x.errno(syscall.ESRCH, err)
	x.ok(b.SetParentDeathSignal(SIGUSR1))
	x.ok(b.SetDisposition(SIGUSR1, Handle, 0))
	x.ok(a.SetParentDeathSignal(SIGKILL))
	x.thread(b, NextPID)
	if k, err := a.Tkill(4, SIGURG); err != nil || k.Reached()[0] != b {
		t.Error(k, err)
	}
	if k, err := a.Tgkill(2, 4, SIGURG); err != nil || k.Reached()[0] != b {
		t.Error(k, err)
	}
	_, err = a.Tgkill(3, 4, SIGURG)
	x.errno(syscall.ESRCH, err)
	if a.PIDIn(ns) != 1 {
		t.Error("it has moved")
	}
	x.end(x.p) // the parent outside: its parent-death signal comes from where a can't see
	if a.State() != Zombie || b.State() != Freed {
		t.Errorf("%s, %s", a.State(), b.State())
	}
}

// setpgid and the terminal's foreground, in the caller's numbers.
func TestNamespaceGroupsAndTerminal(t *testing.T) {
	x := newNest(t)
	a, ns := x.nest(x.p)
	term := x.table.NewTerminal(nil)
	if sid, err := a.Setsid(); sid != 1 || err != nil {
		t.Fatal(sid, err)
	}
	x.ok(a.SetTerminal(term, false))
	b, c := x.fork(a), x.fork(a)
	x.ok(a.Setpgid(2, 0))
	x.ok(a.Setpgid(3, 2))
	if b.Group() != c.Group() || c.Group().PGIDIn(ns) != 2 {
		t.Error("not in one group")
	}
	x.errno(syscall.ESRCH, a.Setpgid(b.PID(), 0))
	x.errno(syscall.EINVAL, a.Setpgid(-2, 0)) // pgid 0 means pid first
	x.errno(syscall.EPERM, a.Setpgid(3, b.PID()))
	x.errno(syscall.EINVAL, a.Setpgid(3, -1))
	x.errno(syscall.ESRCH, errOf(a.SetForeground(term, b.PID())))
	x.errno(syscall.ESRCH, errOf(a.SetForeground(term, 0)))
	if ok, err := a.SetForeground(term, 2); ok != Allowed || err != nil {
		t.Error(ok, err)
	}
	if n, err := c.GetForeground(term); n != 2 || err != nil {
		t.Error(n, err)
	}
	if n, err := c.TerminalSession(term); n != 1 || err != nil {
		t.Error(n, err)
	}
	if term.Foreground() != b.PID() { // the master's end is outside
		t.Errorf("foreground %d", term.Foreground())
	}
	x.end(b)
	x.end(c)
	for range 2 {
		_, err := a.Wait(context.Background(), WaitAny, 0)
		x.ok(err)
	}
	if n, err := a.GetForeground(term); n != 2 || err != nil { // what it was
		t.Error(n, err)
	}
	inside, _ := x.nest(a)
	if n, err := inside.GetForeground(term); n != 0 || err != nil {
		t.Error(n, err)
	}
}

// Orphans stay in their namespace; a subreaper at another level is passed over
// (kernel: find_new_reaper).
func TestNamespaceReaper(t *testing.T) {
	x := newNest(t)
	x.ok(x.p.SetChildSubreaper(true))
	a, ns := x.nest(x.p)
	mid := x.fork(a)
	orphan := x.fork(mid)
	x.end(mid)
	if orphan.Parent() != a {
		t.Errorf("its parent is %d", orphan.Parent().PID())
	}
	sub := x.fork(a)
	x.ok(sub.SetChildSubreaper(true))
	mid = x.fork(sub)
	orphan = x.fork(mid)
	x.end(mid)
	if orphan.Parent() != sub {
		t.Errorf("its parent is %d", orphan.Parent().PID())
	}
	// What was forked into it from outside: the exiting parent's namespace counts.
	other := x.fork(x.p)
	x.ok(other.Setns(ns))
	joined := x.fork(other)
	x.end(other)
	if joined.Parent() != x.p {
		t.Errorf("its parent is %d", joined.Parent().PID())
	}
}

// clone3's set_tid.
func TestAskedNumbers(t *testing.T) {
	x := newNest(t)
	ns, err := x.p.Unshare()
	x.ok(err)
	x.errno(syscall.EINVAL, errOf(x.p.Fork(NextPID).Number(ns, 5).Build())) // the first is 1
	a := x.build(x.p.Fork(500).Number(ns, 1))
	x.numbers(a, 1, 500)
	b := x.build(a.Fork(NextPID).NewNamespace().Number(nil, 1).Number(ns, 70))
	x.numbers(b, 1, 70, 102)
	x.numbers(x.build(b.Fork(NextPID).Number(b.Namespace(), 9)), 9, 2, 103) // numbers asked for don't move the cursor
	for _, c := range []struct {
		b    ProcessBuilder
		want syscall.Errno
	}{
		{a.Fork(NextPID).Number(ns, 70), syscall.EEXIST}, {a.Fork(NextPID).Number(ns, -1), syscall.EINVAL},
		{a.Fork(NextPID).Number(ns, 1<<30), syscall.EINVAL}, {a.Fork(NextPID).Number(b.Namespace(), 3), syscall.EINVAL},
		{a.Fork(NextPID).Number(x.table.Namespace(), 3), syscall.EINVAL}, {x.init.Fork(NextPID).Number(ns, 3), syscall.EINVAL},
		{a.Fork(500).Number(ns, 71), syscall.EEXIST},
	} {
		x.errno(c.want, errOf(c.b.Build()))
	}
	x.numbers(x.fork(a), 3, 104)
}

// EAGAIN at any level; numbers wrap to 300, as in the table's own.
func TestNamespaceNumbersRunOut(t *testing.T) {
	x := newNest(t, WithMaxPID(310))
	a, ns := x.nest(x.p)
	ns.levels.cursor = 308
	x.numbers(x.fork(a), 309, 103)
	x.numbers(x.fork(a), 300, 104)
	for n := PID(301); n < 309; n++ {
		x.numbers(x.build(a.Fork(NextPID).Number(ns, n)), n, n-196)
	}
	x.errno(syscall.EAGAIN, errOf(a.Fork(NextPID).Build()))
	x.fork(x.init)
	x.end(ns.Process(305))
	_, err := a.Wait(context.Background(), 305, 0)
	x.ok(err)
	x.numbers(x.fork(a), 305, 114)
	for range 309 { // until the table's own has none left
		if _, err = x.init.Fork(NextPID).Build(); err != nil {
			break
		}
	}
	x.end(ns.Process(306))
	x.errno(syscall.EAGAIN, errOf(a.Fork(NextPID).Build()))
}

// A flat process pays nothing for there being namespaces.
func TestNamespacesCostNothingFlat(t *testing.T) {
	if row, process := unsafe.Sizeof(row{}), unsafe.Sizeof(Process{}); row > 96 || process > 48 {
		t.Errorf("a row has %d bytes, a process %d", row, process)
	}
	x := newNest(t)
	a, ns := x.nest(x.p)
	for range 5000 {
		q := x.fork(a)
		if q.GroupKill(SIGKILL, false) != nil || q.Free() != nil {
			t.Fatal("it doesn't end")
		}
	}
	if len(ns.levels.pages.all) != 5 || ns.levels.n != 1 {
		t.Errorf("%d pages for %d numbers", len(ns.levels.pages.all), ns.levels.n)
	}
	x.end(a)
	x.ok(a.Free())
	if x.table.guarded.spaces != nil {
		t.Error("the table still lists it")
	}
}

func BenchmarkLife(b *testing.B) {
	for _, level := range []int{0, 1, 2, 8, 32} {
		b.Run(fmt.Sprint("level", level), func(b *testing.B) {
			t := NewTable()
			p, _ := t.NewInit(1).Build()
			for range level {
				p, _ = p.Fork(NextPID).NewNamespace().Build()
			}
			b.ReportAllocs()
			for b.Loop() {
				q, _ := p.Fork(NextPID).Build()
				_ = q.Exit()
				_ = q.Free()
			}
		})
	}
}
