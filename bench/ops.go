package bench

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"axprocess"
)

// This file is about the operations that are measured.

// Op does an operation n times and returns how long that took.
type Op func(n int) time.Duration

// Row is an operation, ours and the original's.
type Row struct {
	Name   string
	Goal   float64 // in yardsticks; 0: none
	Far    float64 // the goal at a million others, if it is another
	Per    int     // how many of what the row is about one operation does; 0: one
	Ours   func(*world) Op
	Theirs func(*oldWorld) Op // nil: the original has none
}

func timed(f func(n int)) Op {
	return func(n int) time.Duration {
		start := time.Now()
		f(n)
		return time.Since(start)
	}
}

// Yardstick is an uncontended lock and unlock.
func Yardstick() Op {
	var mu sync.Mutex
	var locked int // a field under the lock, as there always is one
	return timed(func(n int) {
		for range n {
			mu.Lock()
			locked++
			mu.Unlock()
		}
	})
}

func (w *world) life(p *axprocess.Process) {
	check(p.Exit())
	check(p.Free())
}

// Rows are the operations of the model.
func Rows() []Row {
	return []Row{
		{Name: "fork + exit + free under init", Goal: 18, Far: 27, Ours: func(w *world) Op {
			return timed(func(n int) {
				for range n {
					w.life(must(w.init.Fork(axprocess.NextPID).Build()))
				}
			})
		}, Theirs: func(w *oldWorld) Op {
			return timed(func(n int) {
				for range n {
					p := w.init.Fork(w.pid())
					p.Exit()
					p.Free()
				}
			})
		}},
		{Name: "the same with a leader thread", Goal: 30, Ours: func(w *world) Op {
			return timed(func(n int) {
				for range n {
					p := must(w.init.Fork(axprocess.NextPID).Leader(nil).Build())
					must(p.Thread().Exit(0))
					w.life(p)
				}
			})
		}, Theirs: func(w *oldWorld) Op {
			return timed(func(n int) {
				for range n {
					p := w.init.Fork(w.pid())
					p.NewThread(w.next).Exit(0)
					p.Exit()
					p.Free()
				}
			})
		}},
		{Name: "fork + create session + exit + free", Goal: 34, Ours: func(w *world) Op {
			return timed(func(n int) {
				for range n {
					p := must(w.init.Fork(axprocess.NextPID).Build())
					_, _, err := p.CreateSession()
					check(err)
					w.life(p)
				}
			})
		}, Theirs: func(w *oldWorld) Op {
			return timed(func(n int) {
				for range n {
					p := w.init.Fork(w.pid())
					p.CreateSession()
					p.Exit()
					p.Free()
				}
			})
		}},
		{Name: "fork + create group + exit + free", Goal: 32, Ours: func(w *world) Op {
			return timed(func(n int) {
				for range n {
					p := must(w.init.Fork(axprocess.NextPID).Build())
					must(p.CreateGroup())
					w.life(p)
				}
			})
		}, Theirs: func(w *oldWorld) Op {
			return timed(func(n int) {
				for range n {
					p := w.init.Fork(w.pid())
					p.CreateGroup()
					p.Exit()
					p.Free()
				}
			})
		}},
		moveRow(), threadRow("thread start + exit, alone", 0), threadRow("thread start + exit, beside 10,000", 10_000),
		reparentRow(), lookUpRow(), randomLookUpRow(),
		{Name: "parent", Goal: 1.5, Ours: func(w *world) Op {
			p := must(w.init.Fork(axprocess.NextPID).Build())
			return timed(func(n int) {
				for range n {
					Kept = p.Parent()
				}
			})
		}, Theirs: func(w *oldWorld) Op {
			p := w.init.Fork(w.pid())
			return timed(func(n int) {
				for range n {
					if p.Parent() == nil {
						panic("no parent")
					}
				}
			})
		}},
		{Name: "group", Goal: 1.5, Ours: func(w *world) Op {
			p := must(w.init.Fork(axprocess.NextPID).Build())
			return timed(func(n int) {
				for range n {
					KeptGroup = p.Group()
				}
			})
		}, Theirs: func(w *oldWorld) Op {
			p := w.init.Fork(w.pid())
			return timed(func(n int) {
				for range n {
					if p.Group() == nil {
						panic("no group")
					}
				}
			})
		}},
		childrenRow(),
	}
}

// Kept and KeptGroup keep the compiler from leaving out what is measured.
var (
	Kept      *axprocess.Process
	KeptGroup *axprocess.ProcessGroup
)

func moveRow() Row {
	return Row{Name: "move to another group", Goal: 6, Ours: func(w *world) Op {
		p := must(w.init.Fork(axprocess.NextPID).Build())
		a := must(must(w.init.Fork(axprocess.NextPID).Build()).CreateGroup())
		b := must(must(w.init.Fork(axprocess.NextPID).Build()).CreateGroup())
		return timed(func(n int) {
			for range n {
				check(p.MoveToGroup(a))
				a, b = b, a
			}
		})
	}, Theirs: func(w *oldWorld) Op {
		p := w.init.Fork(w.pid())
		a, b := w.init.Fork(w.pid()).CreateGroup(), w.init.Fork(w.pid()).CreateGroup()
		return timed(func(n int) {
			for range n {
				p.MoveToGroup(a)
				a, b = b, a
			}
		})
	}}
}

func threadRow(name string, beside int) Row {
	return Row{Name: name, Goal: 13, Ours: func(w *world) Op {
		p := must(w.init.Fork(axprocess.NextPID).Leader(nil).Build())
		for range beside {
			must(p.NewThread(axprocess.NextPID).Build())
		}
		return timed(func(n int) {
			for range n {
				must(must(p.NewThread(axprocess.NextPID).Build()).Exit(0))
			}
		})
	}, Theirs: func(w *oldWorld) Op {
		p := w.init.Fork(w.pid())
		held := []any{p.NewThread(w.pid())}
		for range beside {
			held = append(held, p.NewThread(w.pid()))
		}
		return timed(func(n int) {
			for range n {
				p.NewThread(w.pid()).Exit(0)
			}
			if len(held) == 0 {
				panic("nobody beside")
			}
		})
	}}
}

// reparentRow times the exits only: the children are made and ended between.
func reparentRow() Row {
	const children = 1000
	return Row{Name: "exit, per child to reparent", Goal: 3, Per: children, Ours: func(w *world) Op {
		return func(n int) (total time.Duration) {
			for range n {
				p := must(w.init.Fork(axprocess.NextPID).Build())
				all := make([]*axprocess.Process, children)
				for i := range all {
					all[i] = must(p.Fork(axprocess.NextPID).Build())
				}
				start := time.Now()
				check(p.Exit())
				total += time.Since(start)
				check(p.Free())
				for _, child := range all {
					w.life(child)
				}
			}
			return total
		}
	}, Theirs: func(w *oldWorld) Op {
		return func(n int) (total time.Duration) {
			for range n {
				p := w.init.Fork(w.pid())
				for range children {
					p.Fork(w.pid())
				}
				all := p.Children()
				start := time.Now()
				p.Exit()
				total += time.Since(start)
				p.Free()
				for _, child := range all {
					child.Exit()
					child.Free()
				}
			}
			return total
		}
	}}
}

func lookUpRow() Row {
	return Row{Name: "look-up by id, the same one", Goal: 0.5, Ours: func(w *world) Op {
		pid := must(w.init.Fork(axprocess.NextPID).Build()).PID()
		return timed(func(n int) {
			for range n {
				Kept = w.table.Process(pid)
			}
		})
	}}
}

func randomLookUpRow() Row {
	return Row{Name: "look-up by id, at random among all", Goal: 8, Ours: func(w *world) Op {
		pids := make([]axprocess.PID, 1<<16)
		for i := range pids {
			pids[i] = 1
			if len(w.others) > 0 {
				pids[i] = w.others[rand.IntN(len(w.others))].PID()
			}
		}
		return timed(func(n int) {
			for i := range n {
				Kept = w.table.Process(pids[i&(1<<16-1)])
			}
		})
	}}
}

func childrenRow() Row {
	return Row{Name: "children of 1,000", Goal: 500, Ours: func(w *world) Op {
		p := must(w.init.Fork(axprocess.NextPID).Build())
		for range 1000 {
			must(p.Fork(axprocess.NextPID).Build())
		}
		return timed(func(n int) {
			for range n {
				Kept = p.Children()[0]
			}
		})
	}, Theirs: func(w *oldWorld) Op {
		p := w.init.Fork(w.pid())
		for range 1000 {
			p.Fork(w.pid())
		}
		return timed(func(n int) {
			for range n {
				if len(p.Children()) != 1000 {
					panic("children are missing")
				}
			}
		})
	}}
}

// Goroutines is fork + exit + free by some goroutines under one init, an
// operation of any of them.
func Goroutines(w *world, goroutines int) Op {
	return timed(func(n int) {
		var done sync.WaitGroup
		for range goroutines {
			done.Go(func() {
				for range n / goroutines {
					w.life(must(w.init.Fork(axprocess.NextPID).Build()))
				}
			})
		}
		done.Wait()
	})
}

var background = context.Background()
