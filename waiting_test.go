package axprocess

import (
	"context"
	"errors"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"
)

// This file is about waits that block: what completes them, what a cancelled
// context leaves behind, and that many waiters share the ends out, each to one.

// answer is what a blocked wait has returned.
type answer struct {
	WaitResult
	err error
}

// asking starts a wait and returns where its answer will be.
func asking(wait func() (WaitResult, error)) chan answer {
	to := make(chan answer, 1)
	go func() {
		found, err := wait()
		to <- answer{found, err}
	}()
	return to
}

// quiet says, in a bubble, that a wait has not returned.
func quiet(t *testing.T, waits ...chan answer) {
	t.Helper()
	synctest.Wait()
	for i, c := range waits {
		select {
		case got := <-c:
			t.Fatalf("wait %d has returned %v, %v", i, got.PID, got.err)
		default:
		}
	}
}

// given says that a wait has returned this child's end.
func given(t *testing.T, c chan answer, child *Process, cause WaitCause) {
	t.Helper()
	synctest.Wait()
	select {
	case got := <-c:
		if got.err != nil || got.Process != child || got.Cause != cause {
			t.Fatalf("wait has returned %d %s, %v; want %d %s", got.PID, got.Cause, got.err, child.PID(), cause)
		}
	default:
		t.Fatalf("a wait for %d sleeps on", child.PID())
	}
}

func failed(t *testing.T, c chan answer, want error) {
	t.Helper()
	synctest.Wait()
	select {
	case got := <-c:
		if !errors.Is(got.err, want) {
			t.Fatalf("wait has returned %d, %v; want %v", got.PID, got.err, want)
		}
	default:
		t.Fatalf("a wait that should fail with %v sleeps on", want)
	}
}

// TestBlockedWaits: a table of what completes a wait, and what doesn't.
func TestBlockedWaits(t *testing.T) {
	ctx := context.Background()
	for name, story := range map[string]func(t *testing.T, p, a, b *Process){
		"an end of any child": func(t *testing.T, p, a, b *Process) {
			w := asking(func() (WaitResult, error) { return p.Wait(ctx, WaitAny, 0) })
			quiet(t, w)
			ok(t, b.Exit())
			given(t, w, b, Exited)
		},
		"an end of that child only": func(t *testing.T, p, a, b *Process) {
			w := asking(func() (WaitResult, error) { return p.Wait(ctx, a.PID(), 0) })
			ok(t, b.Exit())
			quiet(t, w)
			ok(t, a.GroupKill(SIGTERM, false))
			given(t, w, a, Killed)
		},
		"an end in a group only": func(t *testing.T, p, a, b *Process) {
			ok(t, p.Setpgid(a.PID(), 0))
			w := asking(func() (WaitResult, error) { return p.Wait(ctx, -a.PID(), 0) })
			ok(t, b.Exit())
			quiet(t, w)
			ok(t, a.Exit())
			given(t, w, a, Exited)
		},
		"a stop, then a continue": func(t *testing.T, p, a, b *Process) {
			w := asking(func() (WaitResult, error) { return p.Wait(ctx, WaitAny, WSTOPPED) })
			_, err := p.Kill(a.PID(), SIGSTOP)
			ok(t, err)
			given(t, w, a, Stopped)
			w = asking(func() (WaitResult, error) { return p.WaitProcess(ctx, a, WCONTINUED) })
			quiet(t, w)
			_, err = p.Kill(a.PID(), SIGCONT)
			ok(t, err)
			given(t, w, a, Continued)
		},
		"an end seen by all who only look, and taken by one": func(t *testing.T, p, a, b *Process) {
			look1 := asking(func() (WaitResult, error) { return p.Wait(ctx, a.PID(), WEXITED|WNOWAIT) })
			look2 := asking(func() (WaitResult, error) { return p.Wait(ctx, WaitAny, WEXITED|WNOWAIT) })
			takes := asking(func() (WaitResult, error) { return p.Wait(ctx, a.PID(), 0) })
			quiet(t, look1, look2, takes)
			ok(t, a.Exit())
			given(t, look1, a, Exited)
			given(t, look2, a, Exited)
			given(t, takes, a, Exited)
			if a.State() != Freed {
				t.Error("the end was taken, and the child is not freed")
			}
		},
		"ECHILD when the last that matches was taken by another": func(t *testing.T, p, a, b *Process) {
			w := asking(func() (WaitResult, error) { return p.Wait(ctx, a.PID(), WSTOPPED) })
			quiet(t, w)
			ok(t, a.Exit())
			failed(t, w, syscall.ECHILD)
		},
		"ECHILD when the last that matches ends without a wait": func(t *testing.T, p, a, b *Process) {
			w := asking(func() (WaitResult, error) { return p.Wait(ctx, WaitAny, 0) })
			quiet(t, w)
			ok(t, p.SetDisposition(SIGCHLD, Ignore, 0))
			ok(t, a.Exit())
			quiet(t, w)
			ok(t, b.Exit())
			failed(t, w, syscall.ECHILD)
		},
		"ESRCH when the caller ends": func(t *testing.T, p, a, b *Process) {
			w := asking(func() (WaitResult, error) { return p.Wait(ctx, WaitAny, 0) })
			quiet(t, w)
			ok(t, p.Exit())
			failed(t, w, syscall.ESRCH)
		},
		"an end that comes by adoption": func(t *testing.T, p, a, b *Process) {
			ok(t, p.SetChildSubreaper(true))
			below := build(t, a.Fork(NextPID))
			ok(t, below.Exit())
			ok(t, b.Exit())
			ok(t, b.Free())
			w := asking(func() (WaitResult, error) { return p.Wait(ctx, WaitAny, 0) })
			quiet(t, w)
			ok(t, a.Exit())
			given(t, w, a, Exited) // the older child of the two that are there at once
			given(t, asking(func() (WaitResult, error) { return p.Wait(ctx, WaitAny, 0) }), below, Exited)
		},
		"a context that ends first": func(t *testing.T, p, a, b *Process) {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			w := asking(func() (WaitResult, error) { return p.Wait(ctx, WaitAny, 0) })
			quiet(t, w)
			<-ctx.Done()
			failed(t, w, context.DeadlineExceeded)
			ok(t, a.Exit())
			if !a.IsZombie() {
				t.Error("a wait that has failed has consumed an end")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				table := NewTable()
				init := build(t, table.NewInit(1))
				p := build(t, init.Fork(NextPID))
				a, b := build(t, p.Fork(NextPID)), build(t, p.Fork(NextPID))
				story(t, p, a, b)
				checked(t, table)
			})
		})
	}
}

// TestWaitHammer: many goroutines wait in one process, in each way, some with a
// context that is cancelled at that moment; each end is consumed once, and none
// is lost.
func TestWaitHammer(t *testing.T) {
	rounds := 300
	if testing.Short() {
		rounds = 60
	}
	table := NewTable()
	init := build(t, table.NewInit(1))
	p := build(t, init.Fork(NextPID))
	for n := range rounds {
		children := make([]*Process, 24)
		for i := range children {
			children[i] = build(t, p.Fork(NextPID))
			if i%3 == 0 {
				ok(t, p.Setpgid(children[i].PID(), children[0].PID()))
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		var mutex sync.Mutex
		taken := map[uint64]int{}
		var all sync.WaitGroup
		wait := func(ctx context.Context, do func(context.Context) (WaitResult, error)) {
			for {
				got, err := do(ctx)
				if err != nil {
					if !errors.Is(err, syscall.ECHILD) && !errors.Is(err, context.Canceled) {
						t.Errorf("a wait fails with %v", err)
					}
					return
				}
				mutex.Lock()
				taken[got.Process.ID()]++
				mutex.Unlock()
			}
		}
		forms := []func(context.Context) (WaitResult, error){
			func(ctx context.Context) (WaitResult, error) { return p.Wait(ctx, WaitAny, 0) },
			func(ctx context.Context) (WaitResult, error) { return p.Wait(ctx, WaitAny, WALL) },
			func(ctx context.Context) (WaitResult, error) { return p.Wait(ctx, -children[0].PID(), 0) },
			func(ctx context.Context) (WaitResult, error) { return p.Wait(ctx, children[1].PID(), 0) },
			func(ctx context.Context) (WaitResult, error) { return p.WaitProcess(ctx, children[2], 0) },
		}
		for i := range 2 * len(forms) {
			given := ctx
			if i < len(forms) {
				given = context.Background() // ends with ECHILD
			}
			if i == 3 || i == 4 { // once is enough for one child
				given = ctx
			}
			all.Go(func() { wait(given, forms[i%len(forms)]) })
		}
		for part := range 3 {
			all.Go(func() {
				for i := part; i < len(children); i += 3 {
					if i == 12 {
						cancel()
					}
					ok(t, children[i].Exit())
				}
			})
		}
		all.Wait()
		cancel()
		for _, child := range children {
			if got := taken[child.ID()]; got != 1 || child.State() != Freed {
				t.Fatalf("round %d: the end of %d was consumed %d times, and it is %s", n, child.PID(), got, child.State())
			}
		}
		if got := p.Children(); len(got) != 0 {
			t.Fatalf("round %d: %d children are left", n, len(got))
		}
	}
	checked(t, table)
}

// waitOp is one call of a recorded history.
type waitOp struct {
	kind  string // fork, exit, wait, look
	child PID
}

// waitModel is what calls of one process may return, in some order that fits
// their times: the state says of each child whether it has exited. A wait for any
// may return any that has.
var waitModel = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		children, op, got := state.(string), input.(waitOp), output.(answer)
		find := func(pid PID) byte {
			for i := 0; i+1 < len(children); i += 2 {
				if children[i] == byte(pid) {
					return children[i+1]
				}
			}
			return 0
		}
		with := func(pid PID, now byte) string {
			to := ""
			for i := 0; i+1 < len(children); i += 2 {
				if children[i] != byte(pid) {
					to += children[i : i+2]
				}
			}
			if now != 0 {
				to += string([]byte{byte(pid), now})
			}
			return to
		}
		switch op.kind {
		case "fork":
			return find(got.PID) == 0, with(got.PID, 'r')
		case "exit":
			return got.err == nil && find(op.child) == 'r', with(op.child, 'z')
		}
		switch {
		case errors.Is(got.err, syscall.ECHILD):
			return children == "" || op.child > 0 && find(op.child) == 0, children
		case errors.Is(got.err, context.Canceled):
			return true, children // nothing was consumed
		case got.PID == 0:
			for i := 1; i < len(children); i += 2 {
				if children[i] == 'z' && (op.child <= 0 || children[i-1] == byte(op.child)) {
					return false, children
				}
			}
			return children != "", children
		case find(got.PID) != 'z' || op.child > 0 && op.child != got.PID:
			return false, children
		case op.kind == "look":
			return true, children
		}
		return true, with(got.PID, 0)
	},
}

// TestWaitHistories: concurrent forks, exits and waits of every kind, blocked ones
// and cancelled ones among them, return what some order of them would.
func TestWaitHistories(t *testing.T) {
	rounds := 200
	if testing.Short() {
		rounds = 40
	}
	for n := range rounds {
		table := NewTable(WithMaxPID(250))
		p := build(t, table.NewInit(1))
		var mutex sync.Mutex
		var history []porcupine.Operation
		start := time.Now()
		record := func(who int, op waitOp, call func() (WaitResult, error)) WaitResult {
			from := time.Since(start)
			got, err := call()
			to := time.Since(start)
			mutex.Lock()
			defer mutex.Unlock()
			history = append(history, porcupine.Operation{ClientId: who, Input: op, Call: int64(from), Output: answer{got, err}, Return: int64(to)})
			return got
		}
		ctx, cancel := context.WithCancel(context.Background())
		var parents, waiters sync.WaitGroup
		for who := range 3 {
			parents.Go(func() {
				for range 3 {
					var child *Process
					record(who, waitOp{kind: "fork"}, func() (found WaitResult, err error) {
						child, err = p.Fork(NextPID).Build()
						if err == nil {
							found.PID = child.PID()
						}
						return found, err
					})
					pid := child.PID()
					record(who, waitOp{"wait", pid}, func() (WaitResult, error) { return p.Wait(ctx, pid, WNOHANG) })
					record(who, waitOp{"exit", pid}, func() (WaitResult, error) { return WaitResult{}, child.Exit() })
					record(who, waitOp{"look", pid}, func() (WaitResult, error) { return p.Wait(ctx, pid, WNOHANG|WEXITED|WNOWAIT) })
				}
			})
		}
		for who := 3; who < 6; who++ {
			opts := []WaitOptions{0, WALL, WNOHANG}[who-3]
			waiters.Go(func() {
				for range 4 {
					record(who, waitOp{"wait", WaitAny}, func() (WaitResult, error) { return p.Wait(ctx, WaitAny, opts) })
				}
			})
		}
		parents.Wait()
		cancel()
		waiters.Wait()
		if got := porcupine.CheckOperationsTimeout(waitModel, history, time.Minute); got == porcupine.Illegal {
			t.Fatalf("round %d: no order explains\n%v", n, history)
		}
		checked(t, table)
	}
}
