package axprocess

import (
	"context"
	"errors"
	"time"
)

// This file is about random histories, for the properties of events, snapshots
// and saved tables: any operation by anybody, refused ones among them.

// history drives a table. pick chooses a number below n.
type history struct {
	table *Table
	pick  func(n int) int
	held  []*ProcessGroup // kept, so that ended ones can begin again
	terms []*Terminal
}

// refusedOnly panics on an error that is no refusal.
func refusedOnly(err error) {
	var refused *Error
	var contradicts *ImportError
	if err != nil && !errors.As(err, &refused) && !errors.As(err, &contradicts) {
		panic(err)
	}
}

// begin makes the init, and a session below it that leads a terminal.
func (h *history) begin() {
	b := h.table.NewInit(NextPID)
	if h.pick(2) == 0 {
		b = b.Leader("init")
	}
	p, err := b.Build()
	if err != nil {
		panic(err)
	}
	h.terms = []*Terminal{h.table.NewTerminal("tty0"), h.table.NewTerminal("tty1")}
	shell, err := p.Fork(NextPID).Leader("shell").Build()
	if err != nil {
		panic(err)
	}
	_, err = shell.Setsid()
	refusedOnly(err)
	refusedOnly(shell.SetTerminal(h.terms[0], false))
}

// step does one operation.
func (h *history) step() {
	all := h.table.Processes()
	if len(all) == 0 {
		return
	}
	p := all[h.pick(len(all))]
	q := all[h.pick(len(all))]
	ops := h.births()
	switch h.pick(4) {
	case 1:
		ops = h.ends()
	case 2:
		ops = h.groups()
	case 3:
		ops = append(h.signals(), h.terminals()...)
	}
	if len(all) > 30 {
		ops = h.ends()
	}
	refusedOnly(ops[h.pick(len(ops))](p, q))
}

type act func(p, q *Process) error

func (h *history) births() []act {
	fork := func(p, _ *Process) error {
		b := p.Fork(NextPID)
		if h.pick(3) == 0 {
			b = p.Fork(PID(1 + h.pick(60)))
		}
		if ts := p.Threads(); len(ts) > 0 && h.pick(2) == 0 {
			b = ts[h.pick(len(ts))].Fork(NextPID)
		}
		if h.pick(2) == 0 {
			b = b.Leader("leader")
		}
		switch h.pick(8) {
		case 0:
			b = b.Vfork()
		case 1:
			b = b.CloneParent()
		case 2:
			b = b.ExitSignal(Signal(h.pick(20)))
		}
		switch h.pick(8) {
		case 0:
			b = b.NewNamespace()
		case 1:
			b = b.Number(p.Namespace(), PID(1+h.pick(9)))
		}
		_, err := b.Data("data").Build()
		return err
	}
	return []act{
		fork, fork, fork,
		func(p, q *Process) error {
			if ts := p.Threads(); len(ts) > 0 && h.pick(2) == 0 {
				if h.pick(2) == 0 {
					return ts[h.pick(len(ts))].Setns(q.Namespace())
				}
				_, err := ts[h.pick(len(ts))].Unshare()
				return err
			}
			if h.pick(2) == 0 {
				return p.Setns(q.Namespace())
			}
			_, err := p.Unshare()
			return err
		},
		func(p, _ *Process) error { _, err := p.NewThread(NextPID).Data("thread").Build(); return err },
		func(p, _ *Process) error {
			if ts := p.Threads(); len(ts) > 0 {
				return ts[h.pick(len(ts))].Exec()
			}
			return p.Exec()
		},
		func(p, q *Process) error {
			n := PID(100 + h.pick(100))
			return h.table.Import(0, []ProcessRecord{
				{PID: n, PPID: p.PID(), PGID: p.Group().PGID(), SID: p.Session().SID(), Threads: []ThreadRecord{{TID: n}}, Stopped: Signal(h.pick(2) * 19)},
				{PID: n + 100, PPID: n, PGID: n + 100, SID: n + 100, Zombie: true, Code: 3},
				{PID: n + 200, PPID: n, PGID: n + 200, SID: n + 200, Terminal: h.table.NewTerminal(nil), Foreground: n + 200 + PID(h.pick(2))},
			})
		},
		func(p, _ *Process) error { return p.AddUsage(Usage{User: time.Duration(1 + h.pick(9)), System: 1}) },
	}
}

func (h *history) ends() []act {
	wait := func(p, q *Process) error {
		pid := []PID{WaitAny, WaitGroup, q.PID(), -q.PID()}[h.pick(4)]
		opts := []WaitOptions{WNOHANG, WNOHANG | WALL, WNOHANG | WSTOPPED, WNOHANG | WCONTINUED | WEXITED, WNOHANG | WNOWAIT}[h.pick(5)]
		_, err := p.Wait(context.Background(), pid, opts)
		return err
	}
	return []act{
		wait, wait,
		func(p, _ *Process) error {
			if ts := p.Threads(); len(ts) > 0 {
				_, err := ts[h.pick(len(ts))].Exit(int32(h.pick(300)))
				return err
			}
			return p.Exit()
		},
		func(p, _ *Process) error { return p.GroupExit(int32(h.pick(300))) },
		func(p, _ *Process) error { return p.GroupKill(SIGKILL, h.pick(2) == 0) },
		func(p, _ *Process) error { return p.Exit() },
		func(p, _ *Process) error { return p.Free() },
	}
}

func (h *history) groups() []act {
	return []act{
		func(p, _ *Process) error { _, err := p.Setsid(); return err },
		func(p, q *Process) error { return p.Setpgid(q.PID(), 0) },
		func(p, q *Process) error { return p.Setpgid(0, q.Group().PGID()) },
		func(p, _ *Process) error {
			g, err := p.CreateGroup()
			if err == nil {
				h.held = append(h.held, g)
			}
			return err
		},
		func(p, q *Process) error {
			g := q.Group()
			if len(h.held) > 0 {
				g = h.held[h.pick(len(h.held))]
			}
			return p.MoveToGroup(g)
		},
		func(p, _ *Process) error { return p.SetChildSubreaper(h.pick(3) > 0) },
	}
}

func (h *history) signals() []act {
	sigs := []Signal{SIGSTOP, SIGCONT, SIGTSTP, SIGCONT, SIGTERM, SIGKILL, SIGUSR1, SIGHUP, SIGCHLD, SIGTTIN, SIGRTMIN + 1}
	sig := func() Signal { return sigs[h.pick(len(sigs))] }
	mask := func() SignalSet { return SignalsOf(sig(), sig(), sig()) }
	return []act{
		func(p, q *Process) error {
			pid := []PID{q.PID(), q.PID(), 0, -q.Group().PGID()}[h.pick(4)]
			if pid == -1 {
				return nil
			}
			_, err := p.Kill(pid, sig())
			return err
		},
		func(p, q *Process) error {
			_, err := p.Kill(q.PID(), []Signal{SIGSTOP, SIGCONT}[h.pick(2)])
			return err
		},
		func(p, _ *Process) error {
			action := SignalAction{Disposition: Disposition(h.pick(3)), Mask: SignalSet(h.pick(3)) << SIGUSR1}
			action.Flags = []ActionFlags{0, NoChildStop, NoChildWait, NoDefer, ResetHandler}[h.pick(5)]
			_, err := p.SetAction(sig(), action)
			return err
		},
		func(p, _ *Process) error {
			if ts := p.Threads(); len(ts) > 0 {
				return ts[h.pick(len(ts))].SetSignalMask(mask())
			}
			return p.SetSignalMask(mask())
		},
		func(p, q *Process) error { _, err := p.Sigqueue(q.PID(), sig(), 7); return err },
		func(p, q *Process) error {
			if ts := q.Threads(); len(ts) > 0 {
				_, err := p.Tkill(ts[h.pick(len(ts))].TID(), sig())
				return err
			}
			return nil
		},
		func(p, _ *Process) error { p.AcceptSignal(mask()); return nil },
		func(p, _ *Process) error { p.BeginHandler(); return nil },
		func(p, _ *Process) error { return p.SetCredentials(Credentials{UID: uint32(h.pick(2))}) },
		func(p, _ *Process) error { return p.SetParentDeathSignal(sig()) },
		func(p, _ *Process) error { p.TakeSignal(); return nil },
	}
}

func (h *history) terminals() []act {
	return []act{
		func(p, _ *Process) error {
			if len(h.terms) == 0 {
				return nil
			}
			term := h.terms[h.pick(len(h.terms))]
			switch h.pick(7) {
			case 0:
				return p.SetTerminal(term, h.pick(2) == 0)
			case 1:
				_, err := p.OpenTerminal(term)
				return err
			case 2:
				return p.GiveUpTerminal(term)
			case 3:
				term.Hangup()
			case 4:
				_, err := p.ReadTerminal(term)
				return err
			default:
				_, err := p.SetForeground(term, PID(h.pick(12)))
				return err
			}
			return nil
		},
	}
}
