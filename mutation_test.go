package axprocess

import (
	"strings"
	"testing"
)

// This file is about Check itself: each invariant is broken on purpose, one at a
// time, and Check names it.

// specimen is a table with something for each invariant to be about.
type specimen struct {
	*state
	init, parent, zombie, stopped, threaded, vforked, shell, inner *Process
}

func newSpecimen(t *testing.T) *specimen {
	table := NewTable()
	x := &specimen{state: &table.guarded}
	x.init = build(t, table.NewInit(1).Leader(nil))
	x.parent = build(t, x.init.Fork(NextPID))
	ok(t, x.parent.SetChildSubreaper(true))
	x.zombie = build(t, x.parent.Fork(NextPID))
	ok(t, x.zombie.Exit())
	x.stopped = build(t, x.parent.Fork(NextPID))
	_, err := x.init.Kill(x.stopped.PID(), SIGSTOP)
	ok(t, err)
	x.threaded = build(t, x.parent.Fork(NextPID).Leader(nil))
	ok(t, x.threaded.SetSignalMask(SignalsOf(SIGUSR1)))
	_, err = x.threaded.NewThread(NextPID).Build()
	ok(t, err)
	_, err = x.init.Kill(x.threaded.PID(), SIGUSR1)
	ok(t, err)
	x.vforked = build(t, x.threaded.Fork(NextPID).Vfork())
	x.shell = build(t, x.parent.Fork(NextPID))
	_, err = x.shell.Setsid()
	ok(t, err)
	ok(t, x.shell.SetTerminal(table.NewTerminal(nil), false))
	x.inner = build(t, x.parent.Fork(NextPID).NewNamespace())
	checked(t, table)
	return x
}

func (x *specimen) of(p *Process) *row { return x.row(p) }

// blocked is a wait of the specimen's threaded process for its only child.
func (x *specimen) blocked() *waiter {
	w := &waiter{process: x.threaded, thread: x.of(x.threaded).firstThread, done: make(chan struct{})}
	w.want = want{op: "wait", pid: WaitAny, opts: WEXITED}
	x.block(w)
	return w
}

// TestCheckNamesEachBrokenInvariant: no invariant can be broken unnoticed, and the
// one that is named is the one that was broken.
func TestCheckNamesEachBrokenInvariant(t *testing.T) {
	broken := map[string]bool{}
	for _, m := range []struct {
		invariant, what string
		do              func(*specimen)
	}{
		{"I1", "a row of another", func(x *specimen) { x.of(x.shell).process = x.vforked }},
		{"I1", "a freed process in the table", func(x *specimen) { x.zombie.setState(Freed, Exited) }},
		{"I2", "another number", func(x *specimen) { x.shell.pid += 1000 }},
		{"I2", "a unique id twice", func(x *specimen) { x.shell.id = x.zombie.id }},
		{"I3", "a number taken by nobody", func(x *specimen) { x.numbers.take(4000) }},
		{"I3", "a number that is not taken", func(x *specimen) { x.numbers.release(x.shell.pid) }},
		{"I4", "a thread counted twice", func(x *specimen) { x.of(x.threaded).nthreads++ }},
		{"I4", "an exited thread that is listed", func(x *specimen) { x.of(x.threaded).lastThread.exited.Store(true) }},
		{"I4", "a thread that nothing finds", func(x *specimen) { x.threads.Set(uint32(x.init.pid), nil) }},
		{"I5", "children out of order", func(x *specimen) { x.of(x.stopped).birth = 0 }},
		{"I5", "a child lost by its parent", func(x *specimen) { x.of(x.parent).brood.last = x.stopped.at; x.of(x.stopped).nextSibling = 0 }},
		{"I5", "two parents", func(x *specimen) { x.of(x.stopped).parent = x.init.at }},
		{"I6", "a zombie that can't be waited for", func(x *specimen) { x.of(x.parent).brood.zombies = 0 }},
		{"I6", "a wait for what lives", func(x *specimen) { x.of(x.parent).brood.zombies = x.shell.at }},
		{"I7", "a member counted twice", func(x *specimen) { x.shell.group.Load().n++ }},
		{"I7", "a member that says otherwise", func(x *specimen) { x.shell.group.Store(x.init.group.Load()) }},
		{"I7", "an ended group in the table", func(x *specimen) { x.shell.group.Load().live = false }},
		{"I8", "a group counted twice", func(x *specimen) { x.shell.Session().n++ }},
		{"I8", "a group of another session", func(x *specimen) { x.shell.group.Load().session = x.init.Session() }},
		{"I9", "an init with a parent", func(x *specimen) { x.state.init = x.shell }},
		{"I10", "a subreaper too many", func(x *specimen) { x.subreapers++ }},
		{"I10", "a descendant that is not marked", func(x *specimen) { x.of(x.shell).flags &^= flagBelowSubreaper }},
		{"I11", "a stopped member not counted", func(x *specimen) { x.stopped.group.Load().stopped = 0 }},
		{"I11", "a report that the parent can't find", func(x *specimen) { x.of(x.parent).extra.stop.children = 0 }},
		{"I12", "a wait that is over and listed", func(x *specimen) { x.blocked().completed = true }},
		{"I12", "a wait that slept through an end", func(x *specimen) { x.blocked(); x.bury(x.vforked) }},
		{"I13", "a hold that the held does not know", func(x *specimen) { x.of(x.threaded).firstThread.extra.hold = nil }},
		{"I13", "a hold that the holder does not know", func(x *specimen) { x.of(x.vforked).extra.vforker = nil }},
		{"I14", "a terminal of another session", func(x *specimen) { x.shell.Session().terminal.session = x.init.Session() }},
		{"I14", "a terminal that the session lacks", func(x *specimen) { x.of(x.init).flags |= flagTerminal }},
		{"I15", "SIGCHLD ignored and not", func(x *specimen) { x.of(x.shell).flags ^= flagIgnoresChild }},
		{"I16", "a queued signal not counted", func(x *specimen) { x.of(x.threaded).extra.signals.queued = 0 }},
		{"I17", "a signal never delivered", func(x *specimen) { x.todo = append(x.todo, posted{to: x.shell}) }},
		{"I17", "a signal let through and not acted on", func(x *specimen) {
			x.of(x.threaded).firstThread.extra.signals.mask = 0
			x.of(x.threaded).lastThread.extra = nil
		}},
		{"I18", "a wait for a signal that is over", func(x *specimen) {
			x.of(x.threaded).firstThread.extra.signals.wait = &signalWait{over: true}
		}},
		{"I19", "a number of a namespace counted twice", func(x *specimen) { x.spaceOf(x.of(x.inner)).levels.n++ }},
		{"I20", "a closed namespace whose init lives", func(x *specimen) { x.spaceOf(x.of(x.inner)).closed = true }},
		{"I20", "somebody counted twice", func(x *specimen) { x.spaceOf(x.of(x.inner)).people++ }},
	} {
		x := newSpecimen(t)
		m.do(x)
		err := x.table.Check()
		if err == nil || !strings.HasPrefix(err.Error(), m.invariant+" broken") {
			t.Errorf("%s (%s): Check says %v", m.what, m.invariant, err)
		}
		broken[m.invariant] = true
	}
	for _, v := range invariants {
		if !broken[v.name] {
			t.Errorf("nothing here breaks %s", v.name)
		}
	}
}

// bury makes a zombie of a process and tells nobody.
func (x *specimen) bury(p *Process) {
	r := x.of(p)
	x.release(r.extra.vforker)
	p.setState(Zombie, Exited)
	x.pushZombie(&x.broodOf(r.parent, r.owner).zombies, p.at)
}
