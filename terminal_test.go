package axprocess

import (
	"errors"
	"slices"
	"syscall"
	"testing"

	"pgregory.net/rapid"
)

// desk is a session with a terminal: a shell that leads it, a job in the
// foreground and one in the background, all with leader threads.
type desk struct {
	t          *testing.T
	table      *Table
	term       *Terminal
	init       *Process
	shell      *Process
	fore, back *Process
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{t: t, table: NewTable()}
	d.term = d.table.NewTerminal("tty")
	d.init = d.build(d.table.NewInit(1))
	d.shell = d.build(d.init.Fork(100))
	if _, err := d.shell.Setsid(); err != nil {
		t.Fatal(err)
	}
	d.ok(d.shell.SetTerminal(d.term, false))
	d.fore, d.back = d.build(d.shell.Fork(101)), d.build(d.shell.Fork(102))
	d.ok(d.fore.Setpgid(0, 0))
	d.ok(d.back.Setpgid(0, 0))
	d.access(Allowed)(d.shell.SetForeground(d.term, 101))
	t.Cleanup(func() {
		if err := d.table.Check(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func (d *desk) build(b ProcessBuilder) *Process {
	d.t.Helper()
	p, err := b.Leader(nil).Build()
	if err != nil {
		d.t.Fatal(err)
	}
	return p
}

func (d *desk) ok(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) errno(want syscall.Errno, err error) {
	d.t.Helper()
	if !errors.Is(err, want) {
		d.t.Fatalf("got %v, want %v", err, want)
	}
	d.ok(d.table.Check())
}

// access returns a check of what a use of the terminal may do.
func (d *desk) access(want Access) func(Access, error) {
	d.t.Helper()
	return func(got Access, err error) {
		d.t.Helper()
		if got != want || err != nil {
			d.t.Fatalf("got %s, %v; want %s", got, err, want)
		}
		d.ok(d.table.Check())
	}
}

func (d *desk) refused(want syscall.Errno) func(Access, error) {
	return func(got Access, err error) {
		d.t.Helper()
		if got != Refused {
			d.t.Fatalf("got %s, want it refused", got)
		}
		d.errno(want, err)
	}
}

func (d *desk) stopped(p *Process, want Signal) {
	d.t.Helper()
	if got := p.Stopped(); got != want {
		d.t.Fatalf("process %d: stopped by %s, want %s", p.PID(), got, want)
	}
}

func TestTakingATerminal(t *testing.T) {
	d := newDesk(t)
	d.ok(d.shell.SetTerminal(d.term, false)) // it has it: nothing happens
	d.errno(syscall.EPERM, d.fore.SetTerminal(d.term, false))
	d.errno(syscall.EPERM, d.fore.SetTerminal(d.term, true))
	d.errno(syscall.EPERM, d.shell.SetTerminal(d.table.NewTerminal(nil), false)) // one a session
	d.errno(syscall.EINVAL, d.shell.SetTerminal(nil, false))
	d.errno(syscall.EINVAL, d.shell.SetTerminal(NewTable().NewTerminal(nil), false))

	other := d.build(d.init.Fork(NextPID))
	if _, err := other.Setsid(); err != nil {
		t.Fatal(err)
	}
	d.errno(syscall.EPERM, other.SetTerminal(d.term, false)) // one session a terminal
	if taken, err := other.OpenTerminal(d.term); taken || err != nil {
		t.Fatalf("opening another session's terminal took it: %v, %v", taken, err)
	}
	d.ok(other.SetTerminal(d.term, true))
	for _, p := range []*Process{d.shell, d.fore, d.back} {
		if p.Terminal() != nil {
			t.Errorf("process %d still has the terminal that was taken by force", p.PID())
		}
	}
	if d.term.Session() != other.Session() || other.Session().Terminal() != d.term || d.shell.Session().Terminal() != nil {
		t.Error("the terminal is not the other session's")
	}
	if got := d.term.Foreground(); got != other.PID() {
		t.Errorf("foreground %d, want the taker's group %d", got, other.PID())
	}
	if taken, err := d.shell.OpenTerminal(d.table.NewTerminal(nil)); !taken || err != nil {
		t.Errorf("a leader without terminal opens one that is free: %v, %v", taken, err)
	}
	if d.term.Data() != "tty" || d.term.ID() == 0 {
		t.Error("the terminal lost its data or id")
	}
}

func TestWhoHasTheTerminal(t *testing.T) {
	d := newDesk(t)
	child := d.build(d.fore.Fork(NextPID))
	if child.Terminal() != d.term {
		t.Error("a child does not have its parent's terminal")
	}
	if _, err := child.Setsid(); err != nil {
		t.Fatal(err)
	}
	if child.Terminal() != nil {
		t.Error("setsid kept the terminal")
	}
	// Who was forked before the leader took one has none.
	leader := d.build(d.init.Fork(NextPID))
	if _, err := leader.Setsid(); err != nil {
		t.Fatal(err)
	}
	early := d.build(leader.Fork(NextPID))
	second := d.table.NewTerminal(nil)
	d.ok(leader.SetTerminal(second, false))
	if early.Terminal() != nil {
		t.Error("a process forked before has the terminal")
	}
	d.errno(syscall.ENOTTY, second2(early.GetForeground(second)))
	d.refused(syscall.ENOTTY)(early.SetForeground(second, leader.PID()))
	// It is nobody's background: it may read.
	d.access(Allowed)(early.ReadTerminal(second))
}

func second2(_ PID, err error) error { return err }

func TestForegroundIsChosen(t *testing.T) {
	d := newDesk(t)
	foreign := d.build(d.init.Fork(200))
	d.ok(foreign.Setpgid(0, 0))
	d.refused(syscall.EINVAL)(d.fore.SetForeground(d.term, -1))
	d.refused(syscall.ESRCH)(d.fore.SetForeground(d.term, 0))
	d.refused(syscall.ESRCH)(d.fore.SetForeground(d.term, 4000))
	d.refused(syscall.ESRCH)(d.fore.SetForeground(d.term, 1<<31-1))
	d.refused(syscall.EPERM)(d.fore.SetForeground(d.term, 200))
	d.refused(syscall.ENOTTY)(foreign.SetForeground(d.term, 101))
	// A process of the session that names no group.
	plain := d.build(d.fore.Fork(103))
	d.access(Allowed)(d.fore.SetForeground(d.term, plain.PID()))
	if got, err := d.shell.GetForeground(d.term); got != 103 || err != nil {
		t.Errorf("foreground %d, %v", got, err)
	}
	// fore's own group is now in the background.
	d.access(Signalled)(d.fore.SetForeground(d.term, 101))
	d.stopped(d.fore, SIGTTOU)
	d.stopped(plain, SIGTTOU)
	d.ok(d.shell.SetDisposition(SIGTTOU, Ignore, 0))
	d.access(Allowed)(d.shell.SetForeground(d.term, 101))
	if got, err := d.back.TerminalSession(d.term); got != 100 || err != nil {
		t.Errorf("tcgetsid: %d, %v", got, err)
	}
}

func TestForegroundOutlivesItsGroup(t *testing.T) {
	d := newDesk(t)
	if _, err := d.shell.Kill(101, SIGKILL); err != nil {
		t.Fatal(err)
	}
	d.ok(d.fore.Free())
	if got := d.term.Foreground(); got != 101 {
		t.Errorf("the foreground reads as %d when its group is gone, want 101 still", got)
	}
	// The number means somebody else now, who is not in the foreground.
	again := d.build(d.back.Fork(101))
	d.ok(again.Setpgid(0, 0))
	d.access(Signalled)(again.ReadTerminal(d.term))
	d.stopped(again, SIGTTIN)
	d.ok(d.term.Signal(SIGINT))
	if again.State() != Running {
		t.Error("ctrl-C reached a group that has the old foreground's number")
	}
}

func TestBackgroundReadsAndWrites(t *testing.T) {
	d := newDesk(t)
	d.access(Allowed)(d.fore.ReadTerminal(d.term))
	d.access(Allowed)(d.fore.WriteTerminal(d.term, true))
	d.access(Allowed)(d.back.WriteTerminal(d.term, false))
	d.access(Signalled)(d.back.Threads()[0].WriteTerminal(d.term, true))
	d.stopped(d.back, SIGTTOU)
	if _, err := d.shell.Kill(-102, SIGCONT); err != nil {
		t.Fatal(err)
	}
	d.access(Signalled)(d.back.Threads()[0].ReadTerminal(d.term))
	d.stopped(d.back, SIGTTIN)
	if _, err := d.shell.Kill(-102, SIGCONT); err != nil {
		t.Fatal(err)
	}
	d.ok(d.back.SetSignalMask(SignalsOf(SIGTTIN, SIGTTOU)))
	d.refused(syscall.EIO)(d.back.ReadTerminal(d.term))
	d.access(Allowed)(d.back.WriteTerminal(d.term, true))
	d.ok(d.back.SetSignalMask(0))
	d.ok(d.back.SetDisposition(SIGTTIN, Ignore, 0))
	d.ok(d.back.SetDisposition(SIGTTOU, Ignore, 0))
	d.refused(syscall.EIO)(d.back.ReadTerminal(d.term))
	d.access(Allowed)(d.back.WriteTerminal(d.term, true))
	// Orphaned: its parent is in the same group.
	d.ok(d.back.SetDisposition(SIGTTIN, Default, 0))
	d.ok(d.back.SetDisposition(SIGTTOU, Default, 0))
	orphan := d.build(d.back.Fork(NextPID))
	for _, h := range d.back.Threads() {
		if _, err := h.Exit(0); err != nil {
			t.Fatal(err)
		}
	}
	d.ok(d.back.Exit())
	d.refused(syscall.EIO)(orphan.ReadTerminal(d.term))
	d.refused(syscall.EIO)(orphan.WriteTerminal(d.term, true))
	d.refused(syscall.ENOTTY)(orphan.SetForeground(d.term, 102))
	d.refused(syscall.ESRCH)(d.back.ReadTerminal(d.term))
}

func TestKeysReachTheForeground(t *testing.T) {
	d := newDesk(t)
	d.errno(syscall.EINVAL, d.term.Signal(0))
	d.errno(syscall.EINVAL, d.term.Signal(SIGRTMAX+1))
	d.ok(d.term.Signal(SIGTSTP))
	d.stopped(d.fore, SIGTSTP)
	d.stopped(d.back, 0)
	d.stopped(d.shell, 0)
	d.ok(d.term.Signal(SIGINT))
	if _, err := d.shell.Kill(-101, SIGCONT); err != nil {
		t.Fatal(err)
	}
	if d.fore.State() != Zombie || d.fore.ExitCode() != int32(SIGINT) {
		t.Errorf("ctrl-C left it %s with %d", d.fore.State(), d.fore.ExitCode())
	}
	d.ok(d.table.NewTerminal(nil).Signal(SIGINT)) // nobody's terminal
}

func TestLeaderGivesUpTheTerminal(t *testing.T) {
	d := newDesk(t)
	d.ok(d.fore.GiveUpTerminal(d.term)) // for itself alone
	d.errno(syscall.ENOTTY, d.fore.GiveUpTerminal(d.term))
	if d.back.Terminal() != d.term || d.shell.Terminal() != d.term {
		t.Fatal("another's TIOCNOTTY took the terminal")
	}
	d.ok(d.fore.SetDisposition(SIGHUP, Handle, 0))
	d.ok(d.fore.SetDisposition(SIGCONT, Handle, 0))
	d.ok(d.shell.GiveUpTerminal(d.term))
	for want := range slices.Values([]Signal{SIGHUP, SIGCONT}) {
		if got := d.fore.TakeSignal(); got != want {
			t.Errorf("the foreground got %s, want %s", got, want)
		}
	}
	if d.back.Terminal() != nil || d.term.Session() != nil || d.term.Foreground() != 0 || d.back.State() != Running {
		t.Error("the session still has the terminal, or the background was signalled")
	}
}

func TestLeaderExitHangsUp(t *testing.T) {
	d := newDesk(t)
	d.ok(d.fore.SetDisposition(SIGHUP, Handle, 0))
	d.ok(d.fore.SetDisposition(SIGCONT, Handle, 0))
	d.ok(d.shell.GroupKill(SIGKILL, false))
	if got := d.fore.TakeSignal(); got != SIGHUP {
		t.Errorf("the foreground got %s, want SIGHUP", got)
	}
	if got := d.fore.TakeSignal(); got != 0 {
		t.Errorf("and %s, want no more", got)
	}
	if d.term.Session() != nil || d.fore.Terminal() != nil {
		t.Error("the terminal was not given up")
	}
}

func TestHangup(t *testing.T) {
	d := newDesk(t)
	for _, sig := range []Signal{SIGHUP, SIGCONT} {
		d.ok(d.shell.SetDisposition(sig, Handle, 0))
		d.ok(d.fore.SetDisposition(sig, Handle, 0))
	}
	d.term.Hangup()
	d.term.Hangup() // nobody's now
	if a, b, c := d.shell.TakeSignal(), d.shell.TakeSignal(), d.fore.TakeSignal(); a != SIGHUP || b != SIGCONT || c != 0 {
		t.Errorf("leader got %s, %s and the foreground %s; want SIGHUP, SIGCONT, nothing", a, b, c)
	}
	d.errno(syscall.ENOTTY, second2(d.shell.GetForeground(d.term)))
	d.ok(d.shell.GroupKill(SIGKILL, false))
	if a, b := d.fore.TakeSignal(), d.fore.TakeSignal(); a != SIGHUP || b != SIGCONT {
		t.Errorf("at the leader's exit the old foreground got %s, %s; want SIGHUP, SIGCONT", a, b)
	}
}

func TestAccessNames(t *testing.T) {
	for a, want := range map[Access]string{Refused: "refused", Allowed: "allowed", Signalled: "signalled", 99: "signalled"} {
		if a.String() != want {
			t.Errorf("%d is %q", a, a.String())
		}
	}
}

// TestTerminalsAgreeWithANaiveModel takes random steps with terminals and compares
// who has which, and which foreground, with maps that know nothing but the rules.
func TestTerminalsAgreeWithANaiveModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		table := NewTable()
		boot, err := table.NewInit(1).Build()
		if err != nil {
			rt.Fatal(err)
		}
		terms := []*Terminal{table.NewTerminal(0), table.NewTerminal(1)}
		has := map[*Process]int{}   // whose controlling terminal is which
		owner := map[int]*Session{} // whose a terminal is
		fore := map[int]PID{}
		lose := func(v *Session) {
			for i, s := range owner {
				if s == v {
					delete(owner, i)
					delete(fore, i)
					for p, j := range has {
						if i == j {
							delete(has, p)
						}
					}
				}
			}
		}
		leads := func(p *Process) bool { return p.Session().SID() == p.PID() }
		which := rapid.IntRange(0, 1)
		pick := func() *Process {
			all := table.Processes()
			return all[rapid.IntRange(0, len(all)-1).Draw(rt, "who")]
		}
		for range rapid.IntRange(5, 60).Draw(rt, "steps") {
			p, i := pick(), which.Draw(rt, "terminal")
			_, had := has[p]
			switch rapid.SampledFrom([]string{"fork", "fork", "setsid", "group", "take", "force", "give", "hangup", "fore", "exit"}).Draw(rt, "step") {
			case "fork":
				if table.Len() > 8 {
					continue
				}
				child, err := p.Fork(NextPID).Build()
				if err != nil {
					rt.Fatal(err)
				}
				if had {
					has[child] = has[p]
				}
			case "setsid":
				if _, err := p.Setsid(); err == nil {
					delete(has, p)
				}
			case "group":
				_ = p.Setpgid(0, 0) // refused for a leader
			case "take", "force":
				force := i == 1
				err := p.SetTerminal(terms[i], force)
				mine := leads(p) && owner[i] == p.Session()
				may := leads(p) && !had && (owner[i] == nil || force)
				if (err == nil) != (mine || may) {
					rt.Fatalf("take: %v, mine %v, may %v", err, mine, may)
				}
				if err == nil && !mine {
					if owner[i] != nil {
						lose(owner[i])
					}
					owner[i], has[p], fore[i] = p.Session(), i, p.Group().PGID()
				}
			case "give":
				err := p.GiveUpTerminal(terms[i])
				if (err == nil) != (had && has[p] == i) {
					rt.Fatalf("give up: %v", err)
				}
				if err == nil && leads(p) {
					lose(p.Session())
				} else if err == nil {
					delete(has, p)
				}
			case "hangup":
				terms[i].Hangup()
				if owner[i] != nil {
					lose(owner[i])
				}
			case "fore":
				if a, err := p.SetForeground(terms[i], p.Group().PGID()); err == nil && a == Allowed {
					fore[i] = p.Group().PGID()
				}
			case "exit":
				if p == boot {
					continue
				}
				if leads(p) {
					lose(p.Session())
				}
				if err := p.Exit(); err != nil {
					rt.Fatal(err)
				}
			}
			for _, q := range table.Processes() {
				if !q.IsZombie() {
					continue
				}
				if leads(q) {
					lose(q.Session())
				}
				delete(has, q)
				if err := q.Free(); err != nil {
					rt.Fatal(err)
				}
			}
			if err := table.Check(); err != nil {
				rt.Fatal(err)
			}
			for _, q := range table.Processes() {
				var want *Terminal
				if j, is := has[q]; is {
					want = terms[j]
				}
				if got := q.Terminal(); got != want {
					rt.Fatalf("process %d has terminal %v, want %v", q.PID(), got, want)
				}
			}
			for j, term := range terms {
				if term.Session() != owner[j] || term.Foreground() != fore[j] {
					rt.Fatalf("terminal %d: session %v foreground %d, want %v and %d", j, term.Session(), term.Foreground(), owner[j], fore[j])
				}
			}
		}
	})
}
