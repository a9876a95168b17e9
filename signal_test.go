package axprocess

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
)

// ring is an init with one child that has threads, and checks the table after the
// test.
type ring struct {
	t     *testing.T
	table *Table
	init  *Process
	p     *Process
}

func newRing(t *testing.T, opts ...Option) *ring {
	t.Helper()
	x := &ring{t: t, table: NewTable(opts...)}
	x.init = x.build(x.table.NewInit(1))
	x.p = x.build(x.init.Fork(100))
	t.Cleanup(func() { x.ok(x.table.Check()) })
	return x
}

func (x *ring) build(b ProcessBuilder) *Process {
	x.t.Helper()
	p, err := b.Leader(nil).Build()
	x.ok(err)
	return p
}

func (x *ring) thread(p *Process, tid PID) *Thread {
	x.t.Helper()
	h, err := p.NewThread(tid).Build()
	x.ok(err)
	return h
}

func (x *ring) ok(err error) {
	x.t.Helper()
	if err != nil {
		x.t.Fatal(err)
	}
}

// kill sends and returns what it did to the first it reached.
func (x *ring) kill(pid PID, sig Signal) Effect {
	x.t.Helper()
	k, err := x.init.Kill(pid, sig)
	x.ok(err)
	x.ok(x.table.Check())
	if len(k.Effects()) == 0 {
		return Effect{}
	}
	return k.Effects()[0]
}

func (x *ring) errno(want syscall.Errno, err error) {
	x.t.Helper()
	if !errors.Is(err, want) {
		x.t.Fatalf("got %v, want %v", err, want)
	}
	x.ok(x.table.Check())
}

func TestSignalNames(t *testing.T) {
	for sig, want := range map[Signal]string{0: "0", SIGHUP: "SIGHUP", SIGKILL: "SIGKILL", SIGCHLD: "SIGCHLD",
		SIGSYS: "SIGSYS", SIGRTMIN: "SIGRTMIN", SIGRTMIN + 2: "SIGRTMIN+2", SIGRTMAX: "SIGRTMIN+32", 65: "signal 65", -1: "signal -1"} {
		if got := sig.String(); got != want {
			t.Errorf("signal %d is called %q, want %q", int32(sig), got, want)
		}
	}
	if SIGCHLD != 17 || SIGCONT != 18 || SIGSTOP != 19 || SIGSYS != 31 || SIGRTMIN != 32 {
		t.Error("the numbers are not Linux's")
	}
}

func TestSignalSet(t *testing.T) {
	set := SignalsOf(SIGTERM, SIGHUP, SIGRTMAX, 0, -4, 65)
	if got := slices.Collect(set.All()); !slices.Equal(got, []Signal{SIGHUP, SIGTERM, SIGRTMAX}) {
		t.Errorf("the set has %v", got)
	}
	for sig, want := range map[Signal]bool{SIGHUP: true, SIGINT: false, SIGRTMAX: true, 0: false, -1: false, 65: false} {
		if set.Has(sig) != want {
			t.Errorf("has %d: %t", sig, !want)
		}
	}
	if uint64(set) != 1<<0|1<<14|1<<63 {
		t.Errorf("bits %#x", uint64(set))
	}
}

// signal(7): what each of the 64 does by default.
func TestDefaultActions(t *testing.T) {
	ignored := SignalsOf(SIGCHLD, SIGCONT, SIGURG, SIGWINCH)
	stops := SignalsOf(SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU)
	cores := SignalsOf(SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGXCPU, SIGXFSZ, SIGSYS)
	for sig := SIGHUP; sig <= SIGRTMAX; sig++ {
		x := newRing(t)
		_, err := x.p.Setsid()
		x.ok(err)
		q := x.build(x.p.Fork(101)) // in a group that is not orphaned
		x.ok(q.Setpgid(0, 0))
		got := x.kill(101, sig).Action
		switch {
		case ignored.Has(sig):
			if got != Dropped || q.State() != Running {
				t.Errorf("%s: %s", sig, got)
			}
		case stops.Has(sig):
			if got != Suspended || q.Stopped() != sig {
				t.Errorf("%s: %s, stopped by %s", sig, got, q.Stopped())
			}
		default:
			r, err := x.p.Wait(context.Background(), 101, WNOHANG)
			want := WaitResult{PID: 101, Process: q, Cause: Killed, Code: int32(sig)}
			if cores.Has(sig) {
				want.Cause = Dumped
			}
			if got != Ended || err != nil || r != want {
				t.Errorf("%s: %s, %+v, %v", sig, got, r, err)
			}
		}
	}
}

func TestKillRefusals(t *testing.T) {
	x := newRing(t)
	group := x.build(x.init.Fork(101))
	x.ok(group.Setpgid(0, 0))
	member := x.build(group.Fork(102))
	x.thread(x.p, 110)
	x.ok(group.GroupKill(SIGKILL, false))
	_, err := x.init.Wait(context.Background(), 101, 0)
	x.ok(err) // 101 is a group only
	for _, c := range []struct {
		name string
		do   func() (KillResult, error)
		want syscall.Errno
	}{
		{"no process", func() (KillResult, error) { return x.p.Kill(999, SIGTERM) }, syscall.ESRCH},
		{"a group's number", func() (KillResult, error) { return x.p.Kill(101, SIGTERM) }, syscall.ESRCH},
		{"no group", func() (KillResult, error) { return x.p.Kill(-999, SIGTERM) }, syscall.ESRCH},
		{"the least number", func() (KillResult, error) { return x.p.Kill(-1<<31, SIGTERM) }, syscall.ESRCH},
		{"the greatest number", func() (KillResult, error) { return x.p.Kill(1<<31-1, SIGTERM) }, syscall.ESRCH},
		{"no target before no signal", func() (KillResult, error) { return x.p.Kill(999, 65) }, syscall.ESRCH},
		{"signal 65", func() (KillResult, error) { return x.p.Kill(102, 65) }, syscall.EINVAL},
		{"signal -1", func() (KillResult, error) { return x.p.Kill(-1, -1) }, syscall.EINVAL},
		{"killpg -1", func() (KillResult, error) { return x.p.Killpg(-1, SIGTERM) }, syscall.EINVAL},
		{"killpg of no group", func() (KillResult, error) { return x.p.Killpg(110, SIGTERM) }, syscall.ESRCH},
		{"tkill 0", func() (KillResult, error) { return x.p.Tkill(0, SIGTERM) }, syscall.EINVAL},
		{"tkill -1", func() (KillResult, error) { return x.p.Tkill(-1, SIGTERM) }, syscall.EINVAL},
		{"tkill of nobody", func() (KillResult, error) { return x.p.Tkill(999, 65) }, syscall.ESRCH},
		{"tkill of a group", func() (KillResult, error) { return x.p.Tkill(101, 0) }, syscall.ESRCH},
		{"tkill signal 65", func() (KillResult, error) { return x.p.Tkill(110, 65) }, syscall.EINVAL},
		{"tgkill 0", func() (KillResult, error) { return x.p.Tgkill(0, 110, SIGTERM) }, syscall.EINVAL},
		{"tgkill of another's thread", func() (KillResult, error) { return x.p.Tgkill(102, 110, SIGTERM) }, syscall.ESRCH},
		{"tgkill tid -1", func() (KillResult, error) { return x.p.Tgkill(100, -1, SIGTERM) }, syscall.EINVAL},
		{"sigqueue to a group", func() (KillResult, error) { return x.p.Sigqueue(-101, SIGTERM, 1) }, syscall.ESRCH},
		{"sigqueue to 0", func() (KillResult, error) { return x.p.Sigqueue(0, SIGTERM, 1) }, syscall.ESRCH},
		{"by a freed handle", func() (KillResult, error) { return x.p.KillProcess(group, SIGTERM) }, syscall.ESRCH},
		{"by no handle", func() (KillResult, error) { return x.p.KillProcess(nil, SIGTERM) }, syscall.EINVAL},
		{"by no group", func() (KillResult, error) { return x.p.KillGroup(nil, SIGTERM) }, syscall.EINVAL},
		{"of another table", func() (KillResult, error) { return x.p.KillProcess(newRing(t).p, 0) }, syscall.EINVAL},
		{"a freed caller", func() (KillResult, error) { return group.Kill(100, SIGTERM) }, syscall.ESRCH},
	} {
		k, err := c.do()
		if !errors.Is(err, c.want) || k.Reached() != nil || k.Effects() != nil {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	for _, err := range []error{
		member.SetDisposition(0, Ignore, 0), member.SetDisposition(65, Ignore, 0), member.SetDisposition(SIGKILL, Ignore, 0),
		member.SetDisposition(SIGSTOP, Handle, 0), member.SetDisposition(SIGHUP, 3, 0), member.SetDisposition(SIGHUP, Handle, 1<<20),
		member.SetParentDeathSignal(65), member.SetParentDeathSignal(-1),
	} {
		x.errno(syscall.EINVAL, err)
	}
	for _, err := range []error{group.SetDisposition(SIGHUP, Ignore, 0), group.SetSignalMask(1), group.SetCredentials(Credentials{})} {
		x.errno(syscall.ESRCH, err)
	}
	_, err = group.Action(SIGHUP)
	x.errno(syscall.ESRCH, err)
	_, err = member.Action(65)
	x.errno(syscall.EINVAL, err)
	_, err = member.Raise(0)
	x.errno(syscall.EINVAL, err)
	_, err = group.Raise(SIGHUP)
	x.errno(syscall.ESRCH, err)
}

// semantics 6.1: whom each number reaches.
func TestKillTargets(t *testing.T) {
	x := newRing(t)
	a, b := x.build(x.init.Fork(101)), x.build(x.init.Fork(102))
	x.ok(a.Setpgid(0, 0))
	zombie := x.build(a.Fork(103))
	x.ok(zombie.GroupKill(SIGKILL, false))
	h := x.thread(b, 110)
	for _, c := range []struct {
		pid  PID
		want []*Process
	}{
		{101, []*Process{a}}, {110, []*Process{b}}, {103, []*Process{zombie}}, {0, []*Process{x.init, x.p, b}},
		{-101, []*Process{a, zombie}}, {-1, []*Process{a, b, zombie}},
	} {
		k, err := x.p.Kill(c.pid, 0)
		x.ok(err)
		if !slices.Equal(k.Reached(), c.want) || len(k.Effects()) != 0 {
			t.Errorf("kill %d reaches %d processes, want %d", c.pid, len(k.Reached()), len(c.want))
		}
	}
	if k, err := x.p.Killpg(0, 0); err != nil || len(k.Reached()) != 3 {
		t.Error(k, err)
	}
	if k, err := x.p.Killpg(1, 0); err != nil || len(k.Reached()) != 3 { // not everybody
		t.Error(k, err)
	}
	if k, err := x.p.KillGroup(a.Group(), 0); err != nil || len(k.Reached()) != 2 {
		t.Error(k, err)
	}
	if e := x.kill(103, SIGKILL); e.Action != Dropped {
		t.Errorf("a zombie: %+v", e)
	}
	// A thread's number for its process: that thread is asked first.
	x.ok(b.SetDisposition(SIGUSR1, Handle, 0))
	if e := x.kill(110, SIGUSR1); e.Action != Pending || e.Thread != h {
		t.Errorf("%+v", e)
	}
	// Nobody but the caller and the init: ESRCH.
	y := newRing(t)
	_, err := y.p.Kill(-1, SIGKILL)
	y.errno(syscall.ESRCH, err)
}

// semantics 6.4: standard signals merge and keep the first one's siginfo,
// real-time ones queue.
func TestMergeAndQueue(t *testing.T) {
	x := newRing(t)
	x.ok(x.init.SetCredentials(Credentials{UID: 7}))
	for _, sig := range []Signal{SIGUSR1, SIGRTMIN, SIGRTMIN + 1} {
		x.ok(x.p.SetDisposition(sig, Handle, 0))
	}
	for i, c := range []struct {
		sig  Signal
		want Action
	}{{SIGRTMIN + 1, Pending}, {SIGUSR1, Pending}, {SIGUSR1, Merged}, {SIGRTMIN, Pending}, {SIGRTMIN, Pending}, {SIGRTMIN + 1, Pending}} {
		k, err := x.init.Sigqueue(100, c.sig, uint64(i))
		x.ok(err)
		if k.Effects()[0].Action != c.want {
			t.Errorf("%s: %s", c.sig, k.Effects()[0].Action)
		}
	}
	if x.p.QueuedSignals() != 5 {
		t.Errorf("%d are queued", x.p.QueuedSignals())
	}
	want := []SigInfo{
		{SIGUSR1, SI_QUEUE, 1, 7, 0, 1}, {SIGRTMIN, SI_QUEUE, 1, 7, 0, 3}, {SIGRTMIN, SI_QUEUE, 1, 7, 0, 4},
		{SIGRTMIN + 1, SI_QUEUE, 1, 7, 0, 0}, {SIGRTMIN + 1, SI_QUEUE, 1, 7, 0, 5}, {},
	}
	for i, w := range want {
		d, ok := x.p.BeginHandler()
		if d.SigInfo != w || ok != (i < 5) {
			t.Errorf("%d: took %+v, want %+v", i, d.SigInfo, w)
		}
		if ok {
			x.ok(x.p.SetSignalMask(d.Restore))
		}
	}
	if x.p.QueuedSignals() != 0 || x.p.PendingSignals() != 0 {
		t.Error("something is left")
	}
}

// A thread's own signals come before the shared ones, and what its instruction
// caused before all.
func TestTakeOrder(t *testing.T) {
	x := newRing(t)
	for sig := SIGHUP; sig <= SIGRTMAX; sig++ {
		if sig.set()&unblockable == 0 {
			x.ok(x.p.SetDisposition(sig, Handle, 0))
		}
	}
	x.ok(x.p.SetSignalMask(^SignalSet(0)))
	h := x.p.Thread()
	for _, sig := range []Signal{SIGTERM, SIGHUP, SIGSEGV} {
		x.kill(100, sig)
		_, err := x.init.Tkill(100, sig+32)
		x.ok(err)
	}
	_, err := h.Raise(SIGBUS)
	x.ok(err)
	x.ok(h.SetSignalMask(0))
	var got []Signal
	for sig := h.TakeSignal(); sig != 0; sig = h.TakeSignal() {
		got = append(got, sig)
	}
	if want := []Signal{SIGBUS, SIGHUP + 32, SIGSEGV + 32, SIGTERM + 32, SIGSEGV, SIGHUP, SIGTERM}; !slices.Equal(got, want) {
		t.Errorf("taken %v, want %v", got, want)
	}
}

// Kernel: complete_signal. The main thread first, then round from the last one.
func TestThreadChoice(t *testing.T) {
	x := newRing(t)
	main := x.p.Thread()
	b, c := x.thread(x.p, 101), x.thread(x.p, 102)
	for _, sig := range []Signal{SIGUSR1, SIGUSR2, SIGHUP} {
		x.ok(x.p.SetDisposition(sig, Handle, 0))
	}
	chosen := func(want *Thread, sig Signal) {
		t.Helper()
		if e := x.kill(100, sig); e.Thread != want || e.Action != Pending {
			t.Fatalf("%s went to %+v", sig, e)
		}
	}
	chosen(main, SIGUSR1)
	chosen(b, SIGUSR2) // main was woken and has not taken its own
	chosen(c, SIGHUP)
	for range 3 { // whoever comes first takes the lowest
		if c.TakeSignal() == 0 {
			t.Fatal("a shared signal can't be taken by another thread")
		}
	}
	if main.TakeSignal() != 0 || b.TakeSignal() != 0 {
		t.Fatal("a signal was taken twice")
	}
	x.ok(main.SetSignalMask(SignalsOf(SIGUSR1)))
	chosen(c, SIGUSR1) // where the last search ended
	if c.TakeSignal() != SIGUSR1 {
		t.Fatal("not taken")
	}
	_, err := c.Exit(0)
	x.ok(err)
	chosen(b, SIGUSR1)
	x.ok(b.SetSignalMask(SignalsOf(SIGUSR2)))
	x.ok(main.SetSignalMask(SignalsOf(SIGUSR1, SIGUSR2)))
	chosen(nil, SIGUSR2) // blocked by all: it waits
	if b.PendingSignals() != SignalsOf(SIGUSR1, SIGUSR2) {
		t.Errorf("pending %#x", b.PendingSignals())
	}
}

// A shared signal whose thread blocks it afterwards, or exits, goes to another.
func TestRetarget(t *testing.T) {
	x := newRing(t, WithNotices())
	main, b, c := x.p.Thread(), x.thread(x.p, 101), x.thread(x.p, 102)
	x.ok(x.p.SetDisposition(SIGUSR1, Handle, 0))
	x.ok(x.p.SetDisposition(SIGUSR2, Handle, 0))
	x.kill(100, SIGUSR1)
	x.ok(main.SetSignalMask(SignalsOf(SIGUSR1)))
	_, err := b.Exit(0)
	x.ok(err)
	effects, err := x.table.Notices(context.Background())
	x.ok(err)
	var threads []*Thread
	for _, e := range effects {
		threads = append(threads, e.Thread)
	}
	if !slices.Equal(threads, []*Thread{main, b, c}) {
		t.Errorf("shown to %d threads: %+v", len(threads), effects)
	}
	if c.TakeSignal() != SIGUSR1 {
		t.Error("lost")
	}
}

// "Blocked signals are never ignored" (kernel: sig_ignored), by the mask of the
// thread that is asked first.
func TestBlockedIsNotIgnored(t *testing.T) {
	x := newRing(t)
	x.ok(x.p.SetDisposition(SIGUSR1, Ignore, 0))
	x.ok(x.p.SetSignalMask(SignalsOf(SIGUSR1, SIGCHLD)))
	if a := x.kill(100, SIGUSR1).Action; a != Pending {
		t.Errorf("blocked and ignored: %s", a)
	}
	x.ok(x.p.SetDisposition(SIGUSR1, Ignore, 0)) // takes it away, blocked or not
	if x.p.PendingSignals() != 0 {
		t.Error("it is still pending")
	}
	child := x.build(x.p.Fork(101))
	x.ok(child.SetCredentials(Credentials{UID: 5, EUID: 6, SUID: 7}))
	_, err := child.Thread().Exit(0x103)
	x.ok(err)
	x.ok(child.Exit())
	if info, ok := x.p.AcceptSignal(SignalsOf(SIGCHLD)); !ok || info != (SigInfo{SIGCHLD, CLD_EXITED, 101, 5, 3, 0}) {
		t.Errorf("%+v, %t", info, ok)
	}
	// The leader's mask counts also when the leader has exited.
	h := x.thread(x.p, 102)
	_, err = x.p.Thread().Exit(0)
	x.ok(err)
	x.ok(h.SetSignalMask(SignalsOf(SIGUSR1, SIGWINCH)))
	if a := x.kill(100, SIGUSR1).Action; a != Pending {
		t.Errorf("blocked by both: %s", a)
	}
	if a := x.kill(100, SIGWINCH).Action; a != Dropped {
		t.Errorf("blocked by the other thread only: %s", a)
	}
}

// SIGCHLD says how a child ended, stopped or continued.
func TestChildSignal(t *testing.T) {
	x := newRing(t)
	_, err := x.p.Setsid()
	x.ok(err)
	x.ok(x.p.SetDisposition(SIGCHLD, Handle, 0))
	x.build(x.p.Fork(101))
	next := func(want SigInfo) {
		t.Helper()
		d, ok := x.p.BeginHandler()
		if !ok || d.SigInfo != want {
			t.Fatalf("got %+v, want %+v", d.SigInfo, want)
		}
		x.ok(x.p.SetSignalMask(d.Restore))
	}
	x.kill(101, SIGSTOP)
	next(SigInfo{Signal: SIGCHLD, Code: CLD_STOPPED, PID: 101, Status: int32(SIGSTOP)})
	x.kill(101, SIGCONT)
	next(SigInfo{Signal: SIGCHLD, Code: CLD_CONTINUED, PID: 101, Status: int32(SIGCONT)})
	x.kill(101, SIGQUIT)
	next(SigInfo{Signal: SIGCHLD, Code: CLD_DUMPED, PID: 101, Status: int32(SIGQUIT)})
	x.build(x.p.Fork(102))
	x.kill(102, SIGTERM)
	next(SigInfo{Signal: SIGCHLD, Code: CLD_KILLED, PID: 102, Status: int32(SIGTERM)})

	x.ok(x.p.SetDisposition(SIGCHLD, Handle, NoChildStop|NoChildWait))
	child := x.build(x.p.Fork(103))
	x.kill(103, SIGSTOP)
	x.kill(103, SIGCONT)
	if x.p.TakeSignal() != 0 {
		t.Error("SIGCHLD for a stop with SA_NOCLDSTOP")
	}
	x.kill(103, SIGKILL)
	next(SigInfo{Signal: SIGCHLD, Code: CLD_KILLED, PID: 103, Status: int32(SIGKILL)})
	if child.State() != Freed {
		t.Error("SA_NOCLDWAIT left a zombie")
	}
	x.ok(x.p.SetDisposition(SIGCHLD, Ignore, 0))
	x.ok(x.p.SetSignalMask(SignalsOf(SIGCHLD)))
	x.build(x.p.Fork(104))
	x.kill(104, SIGKILL)
	if x.p.PendingSignals() != 0 {
		t.Error("SIGCHLD to who ignores it")
	}
	// Another exit signal goes through its own disposition.
	x.ok(x.p.SetDisposition(SIGUSR1, Handle, 0))
	_, err = x.p.Fork(105).ExitSignal(SIGUSR1).Build()
	x.ok(err)
	x.kill(105, SIGKILL)
	next(SigInfo{Signal: SIGUSR1, Code: CLD_KILLED, PID: 105, Status: int32(SIGKILL)})
}

// semantics 6.3.
func TestStopAndContinue(t *testing.T) {
	x := newRing(t)
	_, err := x.p.Setsid()
	x.ok(err)
	q := x.build(x.p.Fork(101))
	x.ok(q.Setpgid(0, 0))
	b := x.thread(q, 102)
	for _, h := range q.Threads() {
		x.ok(h.SetSignalMask(SignalsOf(SIGTSTP, SIGCONT, SIGTERM)))
	}
	x.ok(q.SetDisposition(SIGCONT, Handle, 0))
	x.kill(101, SIGTSTP)
	_, err = x.p.Tkill(102, SIGTTIN)
	x.ok(err)
	if q.Stopped() != SIGTTIN {
		t.Fatalf("stopped by %s: SIGTTIN is not blocked", q.Stopped())
	}
	_, err = x.p.Tkill(102, SIGTSTP)
	x.ok(err)
	if e := x.kill(101, SIGCONT); e.Action != ResumedRun || q.PendingSignals() != SignalsOf(SIGCONT) || b.PendingSignals() != SignalsOf(SIGCONT) {
		t.Fatalf("%+v, pending %#x and %#x", e, q.PendingSignals(), b.PendingSignals())
	}
	x.kill(101, SIGTSTP)
	if q.PendingSignals() != SignalsOf(SIGTSTP) {
		t.Fatalf("pending %#x", q.PendingSignals())
	}
	x.kill(101, SIGCONT)
	// What comes while it is stopped takes effect when it runs; SIGKILL at once.
	for _, h := range q.Threads() {
		x.ok(h.SetSignalMask(0))
	}
	x.kill(101, SIGSTOP)
	if e := x.kill(101, SIGTERM); e.Action != Pending || q.State() != Running {
		t.Fatalf("%+v", e)
	}
	k, err := x.p.Kill(101, SIGCONT)
	x.ok(err)
	if e := k.Effects(); len(e) != 2 || e[0].Action != ResumedRun || e[1].Action != Ended || q.State() != Zombie {
		t.Fatalf("%+v", e)
	}
	q = x.build(x.p.Fork(103))
	x.kill(103, SIGSTOP)
	if e := x.kill(103, SIGKILL); e.Action != Ended || q.State() != Zombie {
		t.Fatalf("%+v", e)
	}
	// In an orphaned group only SIGSTOP stops.
	for _, sig := range []Signal{SIGTSTP, SIGTTIN, SIGTTOU} {
		if e := x.kill(100, sig); e.Action != Dropped {
			t.Errorf("%s in an orphaned group: %+v", sig, e)
		}
	}
	if e := x.kill(100, SIGSTOP); e.Action != Suspended {
		t.Errorf("%+v", e)
	}
}

// An init has no effect from what it has no handler for.
func TestInitIsImmune(t *testing.T) {
	x := newRing(t)
	for sig := SIGHUP; sig <= SIGRTMAX; sig++ {
		if e := x.kill(1, sig); e.Action != Dropped || x.init.State() != Running || x.init.Stopped() != 0 {
			t.Fatalf("%s: %+v", sig, e)
		}
	}
	x.ok(x.init.SetDisposition(SIGUSR1, Handle, 0))
	if e := x.kill(1, SIGUSR1); e.Action != Pending || x.init.TakeSignal() != SIGUSR1 {
		t.Errorf("%+v", e)
	}
	x.ok(x.init.SetSignalMask(^SignalSet(0)))
	for _, sig := range []Signal{SIGTERM, SIGTSTP, SIGHUP} {
		if e := x.kill(1, sig); e.Action != Pending {
			t.Errorf("%s: %+v", sig, e)
		}
	}
	x.ok(x.init.SetSignalMask(0))
	if x.init.State() != Running || x.init.Stopped() != 0 || x.init.PendingSignals() != 0 {
		t.Error("a blocked signal reached the init later")
	}
}

// sigaction(2): flags, masks, the old action.
func TestActions(t *testing.T) {
	x := newRing(t)
	want := SignalAction{Handle, ResetHandler, SignalsOf(SIGHUP)}
	_, err := x.p.SetAction(SIGUSR1, SignalAction{Handle, ResetHandler, SignalsOf(SIGHUP, SIGKILL)})
	x.ok(err)
	if got, err := x.p.Action(SIGUSR1); got != want || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
	x.ok(x.p.SetSignalMask(SignalsOf(SIGINT)))
	x.kill(100, SIGUSR1)
	d, ok := x.p.BeginHandler()
	if !ok || d.Restore != SignalsOf(SIGINT) || x.p.SignalMask() != SignalsOf(SIGINT, SIGHUP, SIGUSR1) {
		t.Errorf("%+v, mask %#x", d, x.p.SignalMask())
	}
	if got, _ := x.p.Action(SIGUSR1); got.Disposition != Default {
		t.Error("SA_RESETHAND left the handler")
	}
	if a := x.kill(100, SIGUSR1).Action; a != Pending {
		t.Errorf("a signal while its handler runs: %s", a)
	}
	old, err := x.p.SetAction(SIGUSR1, SignalAction{Handle, NoDefer, 0})
	if err != nil || old != (SignalAction{Default, ResetHandler, SignalsOf(SIGHUP)}) {
		t.Errorf("%+v, %v", old, err)
	}
	x.ok(x.p.SetSignalMask(d.Restore))
	if d, ok = x.p.BeginHandler(); !ok || x.p.SignalMask() != SignalsOf(SIGINT) {
		t.Errorf("SA_NODEFER: mask %#x", x.p.SignalMask())
	}
	// Back to the default with one pending that nobody has taken: it acts.
	x.kill(100, SIGUSR1)
	x.ok(x.p.SetDisposition(SIGUSR1, Default, 0))
	if x.p.State() != Zombie || x.p.ExitCode() != int32(SIGUSR1) {
		t.Errorf("%s", x.p.State())
	}
}

// SA_RESETHAND with a second one queued: the default acts on it when it may.
func TestResetHandlerQueue(t *testing.T) {
	x := newRing(t)
	x.ok(x.p.SetDisposition(SIGRTMIN, Handle, ResetHandler|NoDefer))
	x.kill(100, SIGRTMIN)
	x.kill(100, SIGRTMIN)
	if d, ok := x.p.BeginHandler(); !ok || d.Signal != SIGRTMIN {
		t.Errorf("%+v", d)
	}
	if x.p.State() != Zombie {
		t.Error("the second one had no effect")
	}
}

// fork(2), execve(2), clone(2): what lives on.
func TestSignalsOverForkAndExec(t *testing.T) {
	x := newRing(t)
	h := x.thread(x.p, 101)
	x.ok(x.p.SetDisposition(SIGUSR1, Handle, 0))
	x.ok(x.p.SetDisposition(SIGUSR2, Ignore, 0))
	x.ok(x.p.SetDisposition(SIGCHLD, Handle, NoChildWait|NoChildStop))
	x.ok(x.p.SetCredentials(Credentials{UID: 3, EUID: 4}))
	x.ok(h.SetSignalMask(SignalsOf(SIGUSR1, SIGTERM)))
	x.ok(h.SetParentDeathSignal(SIGHUP))
	_, err := x.init.Tkill(101, SIGUSR1)
	x.ok(err)
	_, err = x.init.Tkill(101, SIGTERM)
	x.ok(err)

	child := x.build(h.Fork(102))
	if child.PendingSignals() != 0 || child.SignalMask() != SignalsOf(SIGUSR1, SIGTERM) || child.Thread().ParentDeathSignal() != 0 {
		t.Errorf("pending %#x, mask %#x", child.PendingSignals(), child.SignalMask())
	}
	if a, _ := child.Action(SIGUSR1); a.Disposition != Handle {
		t.Error("the handler was not inherited")
	}
	if a, _ := child.Action(SIGCHLD); a != (SignalAction{Handle, NoChildWait | NoChildStop, 0}) {
		t.Errorf("%+v", a)
	}
	if child.Credentials() != (Credentials{UID: 3, EUID: 4}) {
		t.Error("credentials were not inherited")
	}
	// What one changes the other does not see.
	x.ok(child.SetDisposition(SIGUSR1, Default, 0))
	if a, _ := x.p.Action(SIGUSR1); a.Disposition != Handle {
		t.Error("a child changed its parent's disposition")
	}
	same, err := h.NewThread(103).Build()
	x.ok(err)
	if same.SignalMask() != h.SignalMask() || x.p.SignalMask() != 0 || same.PendingSignals() != 0 {
		t.Error("a thread has its maker's mask, and nothing pending")
	}
	bare, err := x.p.Fork(104).Build() // no thread: the process itself blocks
	x.ok(err)
	x.ok(bare.SetSignalMask(SignalsOf(SIGTERM)))
	if x.kill(104, SIGTERM).Action != Pending || bare.PendingSignals() != SignalsOf(SIGTERM) {
		t.Error("a process without threads can't block")
	}
	_, err = same.Exit(0)
	x.ok(err)
	x.errno(syscall.ESRCH, errOf(same.NewThread(NextPID).Build()))

	x.ok(h.Exec())
	if h.SignalMask() != SignalsOf(SIGUSR1, SIGTERM) || h.PendingSignals() != SignalsOf(SIGUSR1, SIGTERM) || h.ParentDeathSignal() != SIGHUP {
		t.Error("exec changed the mask, the pending signals or the parent-death signal")
	}
	for sig, want := range map[Signal]SignalAction{SIGUSR1: {}, SIGUSR2: {Disposition: Ignore}, SIGCHLD: {}} {
		if a, _ := x.p.Action(sig); a != want {
			t.Errorf("%s after exec: %+v", sig, a)
		}
	}
	x.ok(h.SetSignalMask(0)) // SIGUSR1 has the default now, as SIGTERM had
	if x.p.State() != Zombie || x.p.ExitCode() != int32(SIGUSR1) {
		t.Errorf("%s, %d", x.p.State(), x.p.ExitCode())
	}
}

func errOf[T any](_ T, err error) error { return err }

// exec with a handled signal pending and let through: the default acts.
func TestExecActsOnPending(t *testing.T) {
	for _, leader := range []bool{true, false} {
		x := newRing(t)
		b := x.p.Fork(101)
		if leader {
			b = b.Leader(nil)
		}
		q, err := b.Build()
		x.ok(err)
		x.ok(q.SetDisposition(SIGUSR1, Handle, 0))
		x.kill(101, SIGUSR1)
		x.ok(q.Exec())
		if q.State() != Zombie {
			t.Errorf("leader %t: %s", leader, q.State())
		}
	}
}

func TestTkillOfExitedLeader(t *testing.T) {
	x := newRing(t)
	x.thread(x.p, 101)
	_, err := x.p.Thread().Exit(0)
	x.ok(err)
	for _, sig := range []Signal{SIGKILL, SIGTERM, SIGUSR1} {
		k, err := x.init.Tgkill(100, 100, sig)
		if err != nil || k.Effects()[0].Action != Dropped || x.p.State() != Running {
			t.Errorf("%s: %+v, %v", sig, k.Effects(), err)
		}
	}
	x.kill(100, SIGSTOP)
	k, err := x.init.Tkill(100, SIGCONT) // continues the process all the same
	if err != nil || k.Effects()[0].Action != ResumedRun || x.p.Stopped() != 0 {
		t.Errorf("%+v, %v", k.Effects(), err)
	}
	if k, err := x.init.Tkill(101, SIGKILL); err != nil || k.Effects()[0].Action != Ended {
		t.Errorf("%+v, %v", k.Effects(), err)
	}
	if k, err := x.init.Tkill(100, SIGKILL); err != nil || k.Effects()[0].Action != Dropped { // a zombie's
		t.Errorf("%+v, %v", k.Effects(), err)
	}
}

// RLIMIT_SIGPENDING.
func TestPendingLimit(t *testing.T) {
	x := newRing(t, WithPendingLimit(2))
	x.ok(x.p.SetSignalMask(^SignalSet(0)))
	for range 2 {
		_, err := x.init.Sigqueue(100, SIGRTMIN, 1)
		x.ok(err)
	}
	_, err := x.init.Sigqueue(100, SIGRTMIN, 1)
	x.errno(syscall.EAGAIN, err)
	_, err = x.init.Tkill(100, SIGRTMIN+1)
	x.errno(syscall.EAGAIN, err)
	x.kill(100, SIGTERM)                     // standard: always
	_, err = x.init.Sigqueue(100, SIGHUP, 1) // standard by sigqueue: its siginfo is lost
	x.ok(err)                                //
	x.kill(100, SIGRTMIN+1)                  // by kill: likewise
	if x.p.QueuedSignals() != 3 {
		t.Errorf("%d are queued", x.p.QueuedSignals())
	}
	if info, ok := x.p.AcceptSignal(SignalsOf(SIGRTMIN + 1)); !ok || info != (SigInfo{Signal: SIGRTMIN + 1}) {
		t.Errorf("%+v", info)
	}
	if info, ok := x.p.AcceptSignal(SignalsOf(SIGHUP)); !ok || info != (SigInfo{Signal: SIGHUP}) {
		t.Errorf("%+v", info)
	}
	if _, err := NewTable(WithPendingLimit(-1)).NewInit(1).Build(); !errors.Is(err, syscall.EINVAL) {
		t.Error(err)
	}
}

func TestAwaitSignal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newRing(t)
		main, b := x.p.Thread(), x.thread(x.p, 101)
		type result struct {
			info SigInfo
			err  error
		}
		await := func(h *Thread, ctx context.Context, set SignalSet) chan result {
			c := make(chan result, 1)
			go func() {
				info, err := h.AwaitSignal(ctx, set)
				c <- result{info, err}
			}()
			synctest.Wait()
			x.ok(x.table.Check())
			return c
		}
		bg := context.Background()
		for _, h := range x.p.Threads() {
			x.ok(h.SetSignalMask(SignalsOf(SIGUSR1, SIGTSTP, SIGTERM)))
		}
		x.ok(x.p.SetDisposition(SIGHUP, Handle, 0))

		c := await(b, bg, SignalsOf(SIGUSR1, SIGKILL))
		_, err := b.AwaitSignal(bg, SignalsOf(SIGUSR2))
		x.errno(syscall.EBUSY, err)
		if e := x.kill(100, SIGUSR1); e.Action != Accepted || e.Thread != b {
			t.Errorf("%+v", e)
		}
		if r := <-c; r.err != nil || r.info != (SigInfo{Signal: SIGUSR1, PID: 1}) {
			t.Errorf("%+v", r)
		}
		x.kill(100, SIGTERM) // one that is there already
		if info, err := main.AwaitSignal(bg, SignalsOf(SIGTERM)); err != nil || info.Signal != SIGTERM {
			t.Errorf("%+v, %v", info, err)
		}

		c = await(main, bg, SignalsOf(SIGUSR1))
		x.kill(100, SIGHUP) // a handler is to run
		if r := <-c; !errors.Is(r.err, syscall.EINTR) || main.TakeSignal() != SIGHUP {
			t.Errorf("%+v", r)
		}
		x.kill(100, SIGHUP) // likewise if it was there before
		if _, err := main.AwaitSignal(bg, SignalsOf(SIGUSR1)); !errors.Is(err, syscall.EINTR) || main.TakeSignal() != SIGHUP {
			t.Error(err)
		}
		ctx, cancel := context.WithCancel(bg)
		c = await(main, ctx, SignalsOf(SIGUSR1))
		cancel()
		if r := <-c; r.err != context.Canceled {
			t.Errorf("%+v", r)
		}
		if e := x.kill(100, SIGUSR1); e.Action != Pending || main.PendingSignals() != SignalsOf(SIGUSR1) {
			t.Errorf("after the cancelled wait: %+v", e)
		}
		x.p.AcceptSignal(SignalsOf(SIGUSR1))

		c = await(b, bg, SignalsOf(SIGTSTP)) // a stop signal that is accepted doesn't stop
		x.kill(100, SIGTSTP)
		if r := <-c; r.info.Signal != SIGTSTP || x.p.Stopped() != 0 {
			t.Errorf("%+v", r)
		}
		c = await(b, bg, SignalsOf(SIGUSR1))
		x.kill(100, SIGSTOP)
		if r := <-c; !errors.Is(r.err, syscall.EINTR) {
			t.Errorf("a stop: %+v", r)
		}
		c = await(b, bg, SignalsOf(SIGUSR1)) // waits while it is stopped, gets it when it runs
		x.kill(100, SIGUSR1)
		if len(c) > 0 {
			t.Error("a stopped process took a signal")
		}
		x.kill(100, SIGCONT)
		if r := <-c; r.info.Signal != SIGUSR1 {
			t.Errorf("%+v", r)
		}
		c = await(b, bg, SignalsOf(SIGCHLD)) // not blocked and ignored: lost
		if e := x.kill(100, SIGCHLD); e.Action != Dropped || len(c) > 0 {
			t.Errorf("%+v", e)
		}
		x.ok(b.SetSignalMask(SignalsOf(SIGUSR1, SIGUSR2)))
		_, err = x.init.Tkill(101, SIGUSR2)
		x.ok(err)
		_, err = b.Exit(0)
		x.ok(err)
		if r := <-c; !errors.Is(r.err, syscall.ESRCH) {
			t.Errorf("%+v", r)
		}
		c = await(main, bg, SignalsOf(SIGUSR2))
		x.kill(100, SIGUSR2) // awaited, not blocked, fatal
		if r := <-c; !errors.Is(r.err, syscall.ESRCH) || x.p.State() != Zombie {
			t.Errorf("%+v, %s", r, x.p.State())
		}
		_, err = main.AwaitSignal(bg, SignalsOf(SIGUSR2))
		x.errno(syscall.ESRCH, err)

		bare, err := x.init.Fork(105).Build()
		x.ok(err)
		out := make(chan error, 1)
		go func() { _, err := bare.AwaitSignal(bg, SignalsOf(SIGHUP)); out <- err }()
		synctest.Wait()
		x.kill(105, SIGKILL)
		x.errno(syscall.ESRCH, <-out)
	})
}

// A waiting thread gets what another lets through no more.
func TestRetargetToWaiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newRing(t)
		main, b := x.p.Thread(), x.thread(x.p, 101)
		x.ok(x.p.SetDisposition(SIGUSR1, Handle, 0))
		x.ok(b.SetSignalMask(SignalsOf(SIGUSR1)))
		got := make(chan SigInfo, 1)
		x.kill(100, SIGUSR1)
		if b.PendingSignals() != SignalsOf(SIGUSR1) {
			t.Fatal("not shared")
		}
		x.p.TakeSignal()
		go func() {
			info, _ := b.AwaitSignal(context.Background(), SignalsOf(SIGUSR1))
			got <- info
		}()
		synctest.Wait()
		if e := x.kill(100, SIGUSR1); e.Thread != main {
			t.Fatalf("%+v", e)
		}
		x.ok(main.SetSignalMask(SignalsOf(SIGUSR1)))
		if info := <-got; info.Signal != SIGUSR1 {
			t.Errorf("%+v", info)
		}
	})
}

func TestPermission(t *testing.T) {
	var asked []PID
	x := newRing(t, WithPermission(func(from, to *Process, sig Signal) bool {
		asked = append(asked, to.PID())
		return to.PID()%2 == 1
	}))
	for pid := PID(101); pid < 106; pid++ {
		x.build(x.init.Fork(pid))
	}
	for _, q := range x.init.Children()[1:] {
		x.ok(x.init.Setpgid(q.PID(), 101))
	}
	k, err := x.p.Kill(-101, 0)
	x.ok(err)
	if got := len(k.Reached()); got != 3 || !slices.Equal(asked, []PID{101, 102, 103, 104, 105}) {
		t.Errorf("reached %d, asked about %v", got, asked)
	}
	_, err = x.p.Kill(102, SIGKILL)
	x.errno(syscall.EPERM, err)
	_, err = x.p.Kill(102, 65)
	x.errno(syscall.EINVAL, err)
	_, err = x.p.Kill(999, SIGKILL)
	x.errno(syscall.ESRCH, err)
	_, err = x.p.Kill(100, 0) // oneself: not asked
	x.ok(err)
	x.kill(-1, SIGKILL)
	if n := len(x.init.Children()); n != 6 || x.table.Process(102).State() != Running || x.table.Process(103).State() != Zombie {
		t.Error("the wrong ones were killed")
	}
	y := newRing(t, WithPermission(func(_, _ *Process, _ Signal) bool { return false }))
	if k, err := y.init.Kill(-1, SIGKILL); err != nil || k.Reached() != nil { // kill(2): not an error
		t.Error(k, err)
	}
	if _, err := NewTable(WithPermission(nil)).NewInit(1).Build(); !errors.Is(err, syscall.EINVAL) {
		t.Error(err)
	}
}

// Who joins while the question is open is asked about too, and a number that is
// given again meanwhile is not taken for what it was.
func TestPermissionAsksAgain(t *testing.T) {
	var x *ring
	var asked []uint64
	x = newRing(t, WithPermission(func(from, to *Process, sig Signal) bool {
		asked = append(asked, to.ID())
		switch len(asked) {
		case 1: // 101 ends, and its number is given again
			_ = x.table.Process(101).GroupKill(SIGKILL, false)
			_ = x.table.Process(101).Free()
			if _, err := x.init.Fork(101).Leader(nil).Build(); err != nil {
				t.Error(err)
			}
			return true
		default:
			return false
		}
	}))
	x.build(x.init.Fork(101))
	_, err := x.p.Kill(101, SIGKILL)
	x.errno(syscall.EPERM, err)
	if len(asked) != 2 || asked[0] == asked[1] || x.table.Process(101).State() != Running {
		t.Errorf("asked about %v", asked)
	}
}

func TestUnixPermission(t *testing.T) {
	x := newRing(t, WithPermission(UnixPermission))
	q := x.build(x.init.Fork(101))
	other := x.build(x.init.Fork(102))
	_, err := other.Setsid()
	x.ok(err)
	for _, c := range []struct {
		from, to Credentials
		sig      Signal
		q        *Process
		want     bool
	}{
		{Credentials{1, 1, 1, false}, Credentials{2, 2, 2, false}, SIGTERM, q, false},
		{Credentials{1, 1, 1, false}, Credentials{2, 2, 2, false}, 0, q, false},
		{Credentials{1, 1, 1, false}, Credentials{2, 2, 2, false}, SIGCONT, q, true},
		{Credentials{1, 1, 1, false}, Credentials{2, 2, 2, false}, SIGCONT, other, false},
		{Credentials{1, 1, 1, false}, Credentials{2, 1, 2, false}, SIGTERM, q, false}, // its effective user doesn't count
		{Credentials{1, 9, 9, false}, Credentials{1, 2, 2, false}, SIGTERM, q, true},
		{Credentials{1, 9, 9, false}, Credentials{2, 2, 1, false}, SIGTERM, q, true},
		{Credentials{9, 1, 9, false}, Credentials{1, 2, 2, false}, SIGTERM, q, true},
		{Credentials{9, 1, 9, false}, Credentials{2, 2, 1, false}, SIGTERM, q, true},
		{Credentials{9, 9, 1, false}, Credentials{1, 1, 1, false}, SIGTERM, q, false}, // nor does one's own saved user
		{Credentials{1, 0, 1, false}, Credentials{2, 2, 2, false}, SIGTERM, q, true},
		{Credentials{0, 1, 1, false}, Credentials{2, 2, 2, false}, SIGTERM, q, false},
		{Credentials{1, 1, 1, true}, Credentials{2, 2, 2, false}, SIGTERM, q, true},
	} {
		x.ok(x.p.SetCredentials(c.from))
		x.ok(c.q.SetCredentials(c.to))
		x.ok(c.q.SetDisposition(SIGTERM, Ignore, 0))
		_, err := x.p.Kill(c.q.PID(), c.sig)
		if (err == nil) != c.want || err != nil && !errors.Is(err, syscall.EPERM) {
			t.Errorf("%+v to %+v, %s: %v", c.from, c.to, c.sig, err)
		}
	}
}

func TestRaise(t *testing.T) {
	x := newRing(t)
	h := x.thread(x.p, 101)
	x.ok(x.p.SetDisposition(SIGALRM, Handle, 0))
	if a, err := h.Raise(SIGALRM); a != Pending || err != nil || x.p.Thread().PendingSignals() != 0 {
		t.Error(a, err)
	}
	d, _ := h.BeginHandler()
	if d.SigInfo != (SigInfo{Signal: SIGALRM, Code: SI_KERNEL}) {
		t.Errorf("%+v", d)
	}
	if a, err := x.p.Raise(SIGPIPE); a != Ended || err != nil {
		t.Error(a, err)
	}
	if a, err := x.p.Raise(SIGPIPE); a != Dropped || err != nil {
		t.Error(a, err)
	}
}

func TestSignalWords(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Handle.String(), "handle"}, {Disposition(9).String(), "unknown"}, {Accepted.String(), "accepted"}, {Merged.String(), "merged"},
		{Action(99).String(), "unknown"}, {Action(0).String(), "nothing"}, {Overflowed.String(), "overflowed"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

// A kill to one process allocates nothing, whatever it does.
func TestKillAllocatesNothing(t *testing.T) {
	x := newRing(t)
	x.ok(x.p.SetDisposition(SIGUSR1, Handle, 0))
	x.ok(x.p.SetDisposition(SIGUSR2, Ignore, 0))
	for _, sig := range []Signal{0, SIGUSR1, SIGUSR2} {
		if n := testing.AllocsPerRun(100, func() {
			if _, err := x.init.Kill(100, sig); err != nil {
				t.Fatal(err)
			}
			x.p.TakeSignal()
		}); n != 0 {
			t.Errorf("%s: %v allocations", sig, n)
		}
	}
}

func BenchmarkKill(b *testing.B) {
	t := NewTable()
	init, _ := t.NewInit(1).Leader(nil).Build()
	p, _ := init.Fork(NextPID).Leader(nil).Build()
	_ = p.SetDisposition(SIGUSR1, Handle, 0)
	for _, c := range []struct {
		name string
		sig  Signal
	}{{"probe", 0}, {"ignored", SIGCHLD}, {"pending", SIGUSR1}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = init.Kill(p.PID(), c.sig)
			}
		})
	}
	b.Run("take", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = init.Kill(p.PID(), SIGUSR1)
			p.TakeSignal()
		}
	})
	for _, n := range []int{100, 10_000} {
		g := NewTable()
		root, _ := g.NewInit(1).Leader(nil).Build()
		for range n {
			_, _ = root.Fork(NextPID).Leader(nil).Build()
		}
		b.Run(fmt.Sprintf("group%d", n), func(b *testing.B) {
			for b.Loop() {
				_, _ = root.Kill(0, SIGCHLD)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/member")
		})
	}
}

// TestParseSignal: each name that String gives is read again, in any case and with or
// without SIG, and numbers are; nothing else is.
func TestParseSignal(t *testing.T) {
	for sig := Signal(1); sig <= SIGRTMAX; sig++ {
		name := strings.TrimPrefix(sig.String(), "SIG")
		for _, text := range []string{sig.String(), name, strings.ToLower(name), strconv.Itoa(int(sig))} {
			if got, err := ParseSignal(text); got != sig || err != nil {
				t.Errorf("%q: %v, %v, want %v", text, got, err, sig)
			}
		}
	}
	if sig, err := ParseSignal("0"); sig != 0 || err != nil {
		t.Errorf("0: %v, %v", sig, err)
	}
	for _, text := range []string{"", "SIG", "SIG0", "65", "-1", "+1", "01", "NOSUCH", "SIGSIGHUP", " HUP", "RTMIN+33"} {
		if sig, err := ParseSignal(text); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%q: %v, %v, want EINVAL", text, sig, err)
		}
	}
}
