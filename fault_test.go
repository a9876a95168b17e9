package axprocess

import (
	"errors"
	"sync"
	"syscall"
	"testing"
)

// This file is about the faults that running the original showed: each is hammered
// here as often as it was there, and can't happen.

// together runs two things at the same moment.
func together(a, b func()) {
	var start, done sync.WaitGroup
	start.Add(1)
	for _, f := range []func(){a, b} {
		done.Go(func() {
			start.Wait()
			f()
		})
	}
	start.Done()
	done.Wait()
}

// TestFaultForkRacingExitLosesAChild: 1,786 of 2,000 rounds there.
func TestFaultForkRacingExitLosesAChild(t *testing.T) {
	for range 2000 {
		table := NewTable()
		init := build(t, table.NewInit(1))
		parent := build(t, init.Fork(NextPID))
		var child *Process
		var refused error
		together(func() { child, refused = parent.Fork(NextPID).Build() }, func() { ok(t, parent.Exit()) })
		if refused != nil {
			refusedAs(t, syscall.ESRCH, refused)
		} else if child.Parent() != init {
			t.Fatalf("the child of a parent that has exited is the child of %v", child.Parent())
		}
		checked(t, table)
	}
}

// TestFaultZombieForks: always there.
func TestFaultZombieForks(t *testing.T) {
	_, _, parent, _ := family(t)
	ok(t, parent.Exit())
	_, err := parent.Fork(NextPID).Build()
	refusedAs(t, syscall.ESRCH, err)
	_, err = parent.NewThread(NextPID).Build()
	refusedAs(t, syscall.ESRCH, err)
}

// TestFaultFreeRacingParentsExitLeavesAZombie: 3,531 of 20,000 rounds there.
func TestFaultFreeRacingParentsExitLeavesAZombie(t *testing.T) {
	table := NewTable()
	init := build(t, table.NewInit(1))
	for n := range 20_000 {
		parent := build(t, init.Fork(NextPID))
		child := build(t, parent.Fork(NextPID))
		ok(t, child.Exit())
		together(func() { ok(t, child.Free()) }, func() { ok(t, parent.Exit()) })
		if got := init.Children(); len(got) != 1 || got[0] != parent {
			t.Fatalf("round %d: the init has %d children", n, len(got))
		}
		ok(t, parent.Free())
		if n%1000 == 0 {
			checked(t, table)
		}
	}
	checked(t, table)
}

// TestFaultFreedProcessIsListed: as long as anybody held a handle there.
func TestFaultFreedProcessIsListed(t *testing.T) {
	_, init, _, child := family(t)
	reap(t, child)
	for _, p := range init.Group().Processes() {
		if p == child {
			t.Error("a freed process that is held is listed by its group")
		}
	}
}

// TestFaultExitWithLiveThreads: accepted there.
func TestFaultExitWithLiveThreads(t *testing.T) {
	_, _, _, child := family(t)
	h, err := child.NewThread(NextPID).Build()
	ok(t, err)
	refusedAs(t, syscall.EBUSY, child.Exit())
	if last, err := h.Exit(0); !last || err != nil {
		t.Fatalf("the only thread's exit: last %v, %v", last, err)
	}
	ok(t, child.Exit())
}

// TestFaultNumberUsedTwice: two processes with one number, or a number given again
// while a group goes by it, were accepted there.
func TestFaultNumberUsedTwice(t *testing.T) {
	table, init, parent, child := family(t)
	_, err := init.Fork(child.PID()).Build()
	refusedAs(t, syscall.EEXIST, err)
	_, err = init.NewThread(child.PID()).Build()
	refusedAs(t, syscall.EEXIST, err)
	g, err := child.CreateGroup()
	ok(t, err)
	other := build(t, parent.Fork(NextPID))
	ok(t, other.MoveToGroup(g))
	pid := child.PID()
	reap(t, child)
	_, err = init.Fork(pid).Build()
	refusedAs(t, syscall.EEXIST, err)
	reap(t, other)
	if p := build(t, init.Fork(pid)); table.Process(pid) != p {
		t.Error("a number that nothing goes by can't be given")
	}
}

// TestFaultGarbageStaysBehind: up to 178 KB there for one group. (That a thread's
// exit costs by the number of threads there is a matter of time: see
// docs/performance.md.)
func TestFaultGarbageStaysBehind(t *testing.T) {
	n := 200_000
	if testing.Short() {
		n = 20_000
	}
	table := NewTable()
	init := build(t, table.NewInit(1))
	before := heap()
	for range n {
		reap(t, build(t, init.Fork(NextPID)))
	}
	if after := heap(); float64(after) > 1.05*float64(before) {
		t.Errorf("%d bytes live after %d processes in one group, %d before", after, n, before)
	}
	checked(t, table)
}

// TestFaultOneInitAProgram: a test couldn't have two there.
func TestFaultOneInitAProgram(t *testing.T) {
	a, b := NewTable(), NewTable()
	if build(t, a.NewInit(1)) == build(t, b.NewInit(1)) || a.Init() == b.Init() {
		t.Error("two tables share an init")
	}
}

// TestHammer has eight goroutines do all kinds of things to the same processes.
func TestHammer(t *testing.T) {
	rounds := 3000
	if testing.Short() {
		rounds = 500
	}
	table := NewTable(WithMaxPID(400))
	build(t, table.NewInit(1))
	expected := func(err error) {
		var refusal *Error
		if err != nil && !errors.As(err, &refusal) {
			t.Errorf("an error that is no refusal: %v", err)
		}
	}
	var done sync.WaitGroup
	for g := range 8 {
		done.Go(func() {
			rng := uint32(g + 1)
			next := func(n int) int {
				rng = rng*1664525 + 1013904223
				return int(rng>>16) % n
			}
			for range rounds {
				all := table.Processes()
				p, q := all[next(len(all))], all[next(len(all))]
				switch next(12) {
				case 0, 1, 2:
					if len(all) < 60 {
						_, err := p.Fork(NextPID).Leader(nil).Build()
						expected(err)
					}
				case 3:
					_, err := p.NewThread(NextPID).Build()
					expected(err)
				case 4:
					for _, h := range p.Threads() {
						_, err := h.Exit(1)
						expected(err)
					}
					expected(p.Exit())
				case 5:
					expected(p.Free())
				case 6:
					_, err := p.Setsid()
					expected(err)
				case 7:
					expected(p.Setpgid(q.PID(), q.PID()))
				case 8:
					expected(p.MoveToGroup(q.Group()))
				case 9:
					expected(p.SetChildSubreaper(next(2) == 0))
				case 10:
					_, err := p.Kill(q.PID(), []Signal{0, SIGSTOP, SIGCONT, SIGKILL}[next(4)])
					expected(err)
				case 11:
					_, err := p.Wait(t.Context(), WaitAny, WNOHANG|WEXITED|WSTOPPED|WCONTINUED)
					expected(err)
				}
			}
		})
	}
	done.Wait()
	checked(t, table)
}
