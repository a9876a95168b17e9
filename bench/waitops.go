package bench

import (
	"runtime"
	"sync"
	"time"

	"axprocess"
)

// This file is about waits and signals, each beside what it is compared with.

// Pair is an operation and what it is measured against.
type Pair struct {
	Name, Against string
	Goal          float64 // the ratio at most; 0: none
	Ours, Other   func() Op
}

// Pairs are the comparisons of waits, signals and namespaces.
func Pairs() []Pair {
	life := func() Op {
		w := newWorld(0)
		return timed(func(n int) {
			for range n {
				w.life(must(w.init.Fork(axprocess.NextPID).Build()))
			}
		})
	}
	return []Pair{
		{"fork + exit + Wait, ready", "fork + exit + free", 1.3, func() Op { return waitReady(0) }, life},
		{"the same among 100,000 that are not ready", "the same among none", 0, func() Op { return waitReady(100_000) }, func() Op { return waitReady(0) }},
		{"a blocked Wait is woken by an exit", "a sync.Cond, woken", 0, wakeWait, func() Op { return wakeCond(false) }},
		{"a blocked Wait is woken by an exit", "a sync.Cond by hand, with the same exit and wait", 1.5, wakeWait, func() Op { return wakeCond(true) }},
		{"kill of one process, by number", "a mutex pair", 5, func() Op { return killOne(axprocess.Handle, false) }, Yardstick},
		{"kill of one process, by handle", "a mutex pair", 5, func() Op { return killOne(axprocess.Handle, true) }, Yardstick},
		{"kill of one process that ignores it", "a mutex pair", 5, func() Op { return killOne(axprocess.Ignore, false) }, Yardstick},
		{"kill of a group of 1,000, per member", "a mutex pair", 0, killGroup, Yardstick},
		{"fork + exit + free, one namespace in", "fork + exit + free", 1.1, func() Op { return nestedLife(1) }, life},
		{"fork + exit + free, four namespaces in", "fork + exit + free, one in", 0, func() Op { return nestedLife(4) }, func() Op { return nestedLife(1) }},
	}
}

func waitReady(others int) Op {
	w := newWorld(others)
	return timed(func(n int) {
		for range n {
			check(must(w.init.Fork(axprocess.NextPID).Build()).Exit())
			must(w.init.Wait(background, axprocess.WaitAny, 0))
		}
	})
}

// wakeWait: one goroutine waits for the child that the other ends, again and
// again.
func wakeWait() Op {
	w := newWorld(0)
	parent := must(w.init.Fork(axprocess.NextPID).Leader(nil).Build())
	waiter := parent.Thread()
	return timed(func(n int) {
		children := make(chan *axprocess.Process)
		go func() {
			for range n {
				child := must(parent.Fork(axprocess.NextPID).Build())
				children <- child
				must(parent.Wait(background, axprocess.WaitAny, 0))
			}
			close(children)
		}()
		for child := range children {
			for !waiter.IsWaiting() {
				runtime.Gosched()
			}
			check(child.Exit())
		}
	})
}

// wakeCond does the same by hand with a condition variable; with work it also
// makes and ends a process each time.
func wakeCond(work bool) Op {
	w := newWorld(0)
	return timed(func(n int) {
		var mu sync.Mutex
		cond := sync.NewCond(&mu)
		waiting, ended := false, false
		children := make(chan *axprocess.Process)
		go func() {
			for range n {
				var child *axprocess.Process
				if work {
					child = must(w.init.Fork(axprocess.NextPID).Build())
				}
				children <- child
				mu.Lock()
				for waiting = true; !ended; {
					cond.Wait()
				}
				waiting, ended = false, false
				mu.Unlock()
				if work {
					check(child.Free())
				}
			}
			close(children)
		}()
		for child := range children {
			for blocked := false; !blocked; {
				mu.Lock()
				blocked = waiting
				mu.Unlock()
				if !blocked {
					runtime.Gosched()
				}
			}
			if work {
				check(child.Exit())
			}
			mu.Lock()
			ended = true
			cond.Broadcast()
			mu.Unlock()
		}
	})
}

// killOne sends a signal again and again. If a handler waits for it, the second and
// later ones find it pending, as most signals in a burst do.
func killOne(does axprocess.Disposition, byHandle bool) Op {
	w := newWorld(0)
	p := must(w.init.Fork(axprocess.NextPID).Leader(nil).Build())
	check(p.SetDisposition(axprocess.SIGUSR1, does, 0))
	return timed(func(n int) {
		for range n {
			var err error
			if byHandle {
				_, err = w.init.KillProcess(p, axprocess.SIGUSR1)
			} else {
				_, err = w.init.Kill(p.PID(), axprocess.SIGUSR1)
			}
			check(err)
		}
	})
}

const groupSize = 1000

func killGroup() Op {
	w := newWorld(0)
	g := must(must(w.init.Fork(axprocess.NextPID).Build()).CreateGroup())
	leader := g.Processes()[0]
	check(leader.SetDisposition(axprocess.SIGUSR1, axprocess.Handle, 0))
	for range groupSize - 1 {
		must(leader.Fork(axprocess.NextPID).Build())
	}
	op := timed(func(n int) {
		for range n {
			must(w.init.Kill(-g.PGID(), axprocess.SIGUSR1))
		}
	})
	return func(n int) time.Duration {
		return op(max(1, n/groupSize)) * time.Duration(n) / time.Duration(max(1, n/groupSize)*groupSize)
	}
}

// nestedLife is a life in a pid namespace, levels below the table's own.
func nestedLife(levels int) Op {
	w := newWorld(0)
	inner := w.init
	for range levels {
		inner = must(inner.Fork(axprocess.NextPID).NewNamespace().Build())
	}
	return timed(func(n int) {
		for range n {
			w.life(must(inner.Fork(axprocess.NextPID).Build()))
		}
	})
}
