package axprocess

import (
	"context"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// The naive twin of the signal code: plain lists, and after each step everything
// that could have an effect is looked through again.
type (
	twinThread struct {
		mask    map[Signal]bool
		pending []Signal
		real    *Thread
	}
	twinProcess struct {
		threads    []*twinThread // live ones, oldest first
		leaderGone bool
		leaderMask map[Signal]bool // of a leader that has exited
		does       map[Signal]Disposition
		resets     map[Signal]bool
		shared     []Signal
		stopped    Signal
		ended      Signal
		real       *Process
	}
)

var (
	twinSignals = []Signal{SIGHUP, SIGQUIT, SIGKILL, SIGUSR1, SIGSEGV, SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGRTMIN, SIGRTMIN + 1}
	twinStops   = []Signal{SIGSTOP, SIGTSTP, SIGTTIN}
)

func (p *twinProcess) ignores(sig Signal) bool {
	return p.does[sig] == Ignore || p.does[sig] == Default && (sig == SIGCHLD || sig == SIGCONT)
}

func (p *twinProcess) without(sigs ...Signal) {
	gone := func(sig Signal) bool { return slices.Contains(sigs, sig) }
	p.shared = slices.DeleteFunc(p.shared, gone)
	for _, h := range p.threads {
		h.pending = slices.DeleteFunc(h.pending, gone)
	}
}

// send: to alone is the only receiver, first is whose mask counts; nil is the
// leader.
func (p *twinProcess) send(sig Signal, first, alone *twinThread) {
	if p.ended != 0 {
		return
	}
	if slices.Contains(twinStops, sig) {
		p.without(SIGCONT)
	}
	if sig == SIGCONT {
		p.without(twinStops...)
		p.stopped = 0
	}
	mask := p.leaderMask
	if first == nil && !p.leaderGone {
		first = p.threads[0]
	}
	if first != nil {
		mask = first.mask
	}
	queue := &p.shared
	if alone != nil {
		queue = &alone.pending
	}
	switch {
	case !mask[sig] && p.ignores(sig):
	case sig == SIGKILL:
		p.ended = sig
	case sig < SIGRTMIN && slices.Contains(*queue, sig):
	default:
		*queue = append(*queue, sig)
	}
	p.act()
}

// next finds the first of a queue that the thread lets through and whether
// it is handled as asked.
func (p *twinProcess) next(queue []Signal, h *twinThread, want func(Signal) bool) int {
	best := -1
	for i, sig := range queue {
		if h.mask[sig] || !want(sig) {
			continue
		}
		if best < 0 || sig == SIGSEGV && queue[best] != SIGSEGV || sig < queue[best] && queue[best] != SIGSEGV {
			best = i
		}
	}
	return best
}

func (p *twinProcess) pop(h *twinThread, want func(Signal) bool) Signal {
	for _, queue := range []*[]Signal{&h.pending, &p.shared} {
		if i := p.next(*queue, h, want); i >= 0 {
			sig := (*queue)[i]
			*queue = slices.Delete(*queue, i, i+1)
			return sig
		}
	}
	return 0
}

func (p *twinProcess) act() {
	for _, h := range p.threads {
		for p.ended == 0 && p.stopped == 0 {
			sig := p.pop(h, func(sig Signal) bool { return p.does[sig] != Handle })
			switch {
			case sig == 0:
			case p.ignores(sig):
			case slices.Contains(twinStops, sig):
				p.stopped = sig
			default:
				p.ended = sig
			}
			if sig == 0 {
				break
			}
		}
	}
}

type twins struct {
	*rapid.T
	table *Table
	shell *Process
	all   []*twinProcess
	next  PID
}

func (x *twins) ok(err error) {
	if err != nil {
		x.Fatal(err)
	}
}

func newTwins(rt *rapid.T) *twins {
	x := &twins{T: rt, table: NewTable(), next: 200}
	init, err := x.table.NewInit(1).Leader(nil).Build()
	x.ok(err)
	x.shell, err = init.Fork(100).Leader(nil).Build()
	x.ok(err)
	_, err = x.shell.Setsid()
	x.ok(err)
	x.fork(101)
	x.fork(102)
	return x
}

// fork adds a process, in a group of its own that is not orphaned.
func (x *twins) fork(pid PID) {
	p, err := x.shell.Fork(pid).Leader(nil).Build()
	x.ok(err)
	x.ok(p.Setpgid(0, 0))
	x.all = append(x.all, &twinProcess{real: p, does: map[Signal]Disposition{}, resets: map[Signal]bool{}, leaderMask: map[Signal]bool{},
		threads: []*twinThread{{mask: map[Signal]bool{}, real: p.Thread()}}})
}

// signal draws one; those that end a process come seldom, or nothing else would.
func (x *twins) signal() Signal {
	if rapid.IntRange(0, 3).Draw(x.T, "mild") > 0 {
		return rapid.SampledFrom([]Signal{SIGCONT, SIGTSTP, SIGSTOP, SIGCHLD}).Draw(x.T, "signal")
	}
	return rapid.SampledFrom(twinSignals).Draw(x.T, "signal")
}

func (x *twins) set() (SignalSet, map[Signal]bool) {
	sigs := rapid.SliceOfNDistinct(rapid.SampledFrom(twinSignals), 0, 5, func(s Signal) Signal { return s }).Draw(x.T, "set")
	m := map[Signal]bool{}
	for _, sig := range sigs {
		if sig != SIGKILL && sig != SIGSTOP {
			m[sig] = true
		}
	}
	return SignalsOf(sigs...), m
}

// pick draws a process that has not ended and one of its threads; when all have, a
// new one.
func (x *twins) pick() (*twinProcess, *twinThread) {
	live := slices.DeleteFunc(slices.Clone(x.all), func(p *twinProcess) bool { return p.ended != 0 })
	if len(live) == 0 {
		x.fork(PID(101 + len(x.all)))
		live = x.all[len(x.all)-1:]
	}
	p := rapid.SampledFrom(live).Draw(x.T, "process")
	return p, rapid.SampledFrom(p.threads).Draw(x.T, "thread")
}

func (x *twins) kill(*rapid.T) {
	p, sig := rapid.SampledFrom(x.all).Draw(x.T, "process"), x.signal()
	_, err := x.shell.Kill(p.real.PID(), sig)
	x.ok(err)
	p.send(sig, nil, nil)
}

func (x *twins) killByTID(*rapid.T) {
	p, h := x.pick()
	sig := x.signal()
	_, err := x.shell.Kill(h.real.TID(), sig)
	x.ok(err)
	p.send(sig, h, nil)
}

func (x *twins) tkill(*rapid.T) {
	p, h := x.pick()
	sig := x.signal()
	_, err := x.shell.Tgkill(p.real.PID(), h.real.TID(), sig)
	x.ok(err)
	p.send(sig, h, h)
}

func (x *twins) action(*rapid.T) {
	p, _ := x.pick()
	sig := x.signal()
	if sig == SIGKILL || sig == SIGSTOP {
		return
	}
	d := rapid.SampledFrom([]Disposition{Default, Ignore, Handle}).Draw(x.T, "disposition")
	resets := rapid.Bool().Draw(x.T, "resets")
	flags := NoDefer
	if resets {
		flags |= ResetHandler
	}
	x.ok(p.real.SetDisposition(sig, d, flags))
	p.does[sig], p.resets[sig] = d, resets
	if p.ignores(sig) {
		p.without(sig)
	}
	p.act()
}

func (x *twins) mask(*rapid.T) {
	p, h := x.pick()
	set, m := x.set()
	x.ok(h.real.SetSignalMask(set))
	h.mask = m
	p.act()
}

func (x *twins) take(*rapid.T) {
	p, h := x.pick()
	got, want := h.real.TakeSignal(), Signal(0)
	if p.stopped == 0 {
		want = p.pop(h, func(sig Signal) bool { return p.does[sig] == Handle })
	}
	if got != want {
		x.Fatalf("thread %d took %s, want %s", h.real.TID(), got, want)
	}
	if want != 0 && p.resets[want] {
		p.does[want] = Default
		p.act()
	}
}

func (x *twins) accept(*rapid.T) {
	p, h := x.pick()
	set, m := x.set()
	info, _ := h.real.AcceptSignal(set)
	want := Signal(0)
	if p.stopped == 0 {
		open := &twinThread{pending: h.pending}
		want = p.pop(open, func(sig Signal) bool { return m[sig] })
		h.pending = open.pending
	}
	if info.Signal != want {
		x.Fatalf("thread %d accepted %s, want %s", h.real.TID(), info.Signal, want)
	}
}

func (x *twins) start(*rapid.T) {
	p, h := x.pick()
	if len(p.threads) == 3 {
		return
	}
	x.next++
	real, err := h.real.NewThread(x.next).Build()
	x.ok(err)
	mask := map[Signal]bool{}
	for sig, on := range h.mask {
		mask[sig] = on
	}
	p.threads = append(p.threads, &twinThread{mask: mask, real: real})
}

func (x *twins) end(*rapid.T) {
	p, h := x.pick()
	if len(p.threads) == 1 {
		return
	}
	if h.real.IsLeader() {
		p.leaderGone, p.leaderMask = true, h.mask
	}
	_, err := h.real.Exit(0)
	x.ok(err)
	p.threads = slices.DeleteFunc(p.threads, func(other *twinThread) bool { return other == h })
	p.act()
}

func (x *twins) compare(*rapid.T) {
	x.ok(x.table.Check())
	for _, p := range x.all {
		if (p.real.State() == Zombie) != (p.ended != 0) || p.real.Stopped() != p.stopped && p.ended == 0 {
			x.Fatalf("process %d is %s, stopped by %s; want ended by %s, stopped by %s", p.real.PID(), p.real.State(), p.real.Stopped(), p.ended, p.stopped)
		}
		if p.ended != 0 {
			if p.real.ExitCode() != int32(p.ended) || p.real.QueuedSignals() != 0 {
				x.Fatalf("process %d ended with %d, want %s", p.real.PID(), p.real.ExitCode(), p.ended)
			}
			continue
		}
		queued := len(p.shared)
		for _, h := range p.threads {
			queued += len(h.pending)
			if got, want := h.real.PendingSignals(), SignalsOf(slices.Concat(p.shared, h.pending)...); got != want {
				x.Fatalf("thread %d has %#x pending, want %#x", h.real.TID(), got, want)
			}
		}
		if p.real.QueuedSignals() != queued {
			x.Fatalf("process %d has %d signals queued, want %d", p.real.PID(), p.real.QueuedSignals(), queued)
		}
	}
}

func TestSignalsAgainstTwin(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		x := newTwins(rt)
		for range 6 { // a lifetime is longer than one Repeat
			rt.Repeat(map[string]func(*rapid.T){
				"": x.compare, "kill": x.kill, "kill by tid": x.killByTID, "tkill": x.tkill, "action": x.action, "mask": x.mask,
				"take": x.take, "accept": x.accept, "start": x.start, "end": x.end,
			})
		}
	})
}

// Signals from and to processes that end at that moment; each signal that is
// handled or awaited is got once.
func TestSignalHammer(t *testing.T) {
	rounds := 300
	if testing.Short() {
		rounds = 60
	}
	for range rounds {
		table := NewTable(WithPermission(UnixPermission))
		init, err := table.NewInit(1).Leader(nil).Build()
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		ctx, cancel := context.WithCancel(context.Background())
		var procs [4]*Process
		var second [4]*Thread
		for i := range procs {
			p, err := init.Fork(PID(100 + i)).Leader(nil).Build()
			if err != nil {
				t.Fatal(err)
			}
			h, err := p.NewThread(NextPID).Build()
			if err != nil {
				t.Fatal(err)
			}
			_ = p.SetDisposition(SIGUSR1, Handle, 0)
			procs[i], second[i] = p, h
		}
		for i, p := range procs {
			h := second[i]
			wg.Go(func() { // sends to the next, which may be ending
				for range 20 {
					_, _ = p.Kill(PID(100+(i+1)%4), SIGUSR1)
					_, _ = p.Sigqueue(PID(100+(i+2)%4), SIGRTMIN+1, 1)
					_, _ = p.Kill(0, SIGCONT)
					_, _ = p.Kill(PID(100+(i+3)%4), SIGTSTP)
				}
				_, _ = p.Kill(PID(100+(i+1)%4), SIGKILL)
			})
			wg.Go(func() {
				_ = h.SetSignalMask(SignalsOf(SIGRTMIN + 1))
				for {
					if _, err := h.AwaitSignal(ctx, SignalsOf(SIGRTMIN+1)); err != nil && h.TakeSignal() == 0 {
						return
					}
				}
			})
			wg.Go(func() {
				for range 5 {
					p.TakeSignal()
					if q, err := p.Fork(NextPID).Leader(nil).Build(); err == nil {
						_, _ = q.Kill(p.PID(), SIGCHLD)
						_ = q.GroupKill(SIGTERM, false)
					}
				}
				if _, err := h.Exit(0); err == nil {
					_ = p.GroupKill(SIGTERM, false)
				}
			})
		}
		done := make(chan struct{})
		go func() { wg.Wait(); close(done) }()
		for {
			if err := table.Check(); err != nil {
				t.Fatal(err)
			}
			select {
			case <-done:
			default:
				continue
			}
			break
		}
		cancel()
		if _, err := init.Kill(-1, SIGKILL); err != nil {
			t.Fatal(err)
		}
		for {
			if _, err := init.Wait(context.Background(), WaitAny, 0); err != nil {
				break
			}
		}
		if err := table.Check(); err != nil || table.Len() != 1 {
			t.Fatalf("%d processes are left: %v", table.Len(), err)
		}
	}
}
