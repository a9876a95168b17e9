package explain

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"axprocess"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func ok(err error) {
	if err != nil {
		panic(err)
	}
}

// desk is a session that a shell leads, below a server that is a child subreaper:
// a stopped job with a zombie child, and a job that runs.
//
//	1 init
//	└─10 server (subreaper)
//	  └─20 shell, session 20
//	    ├─30 job, group 30, stopped
//	    │ └─31 zombie
//	    └─40 job, group 40
func desk() *axprocess.Table {
	table := axprocess.NewTable()
	init := must(table.NewInit(1).Leader(nil).Build())
	server := must(init.Fork(10).Leader(nil).Build())
	ok(server.SetChildSubreaper(true))
	shell := must(server.Fork(20).Leader(nil).Build())
	must(shell.Setsid())
	ok(shell.SetTerminal(table.NewTerminal("pts/7"), false))
	job := must(shell.Fork(30).Leader(nil).Build())
	must(job.CreateGroup())
	must(job.Fork(31).Leader(nil).Build())
	must(job.Kill(31, axprocess.SIGSEGV))
	other := must(shell.Fork(40).Leader(nil).Build())
	must(other.CreateGroup())
	must(shell.Kill(30, axprocess.SIGTSTP))
	return table
}

// TestWhatIfTheShellExits: the whole of what follows, in the order of happening.
func TestWhatIfTheShellExits(t *testing.T) {
	c := &Case{Table: desk()}
	before := c.Table.Snapshot()
	o := must(c.WhatIf(Change{Verb: "exit", PID: 20, Code: 3}))
	want := &Outcome{
		Change: "exit of 20 with code 3",
		Ended: []End{
			{PID: 20, Cause: axprocess.Exited, Code: 3, Waits: 10},
			{PID: 30, Cause: axprocess.Killed, Code: 1, Waits: 10},
		},
		Reparented: []Reparent{
			{PID: 30, From: 20, To: 10, Reason: "parent exited, to the nearest subreaper above"},
			{PID: 40, From: 20, To: 10, Reason: "parent exited, to the nearest subreaper above"},
			{PID: 31, From: 30, To: 10, Zombie: true, Reason: "parent exited, to the nearest subreaper above"},
		},
		Orphaned: []Orphan{
			{PGID: 30, SID: 20, Members: []axprocess.PID{30, 31}, Hangup: true},
			{PGID: 40, SID: 20, Members: []axprocess.PID{40}},
		},
		Terminals: []Terminal{{SID: 20, Name: "pts/7", Reason: "it gave up the terminal"}},
	}
	got := *o
	got.Signals, got.Continued, got.Assumptions, got.hungUp = nil, nil, nil, nil
	if !reflect.DeepEqual(&got, want) {
		t.Errorf("got\n%+v, want\n%+v", &got, want)
	}
	var signals []string
	for _, s := range o.Signals {
		signals = append(signals, fmt.Sprintf("%s to %d %s", s.Name, s.PID, s.Does))
	}
	if want := []string{"SIGHUP to 20 dropped", "SIGHUP to 30 pending", "SIGHUP to 31 dropped",
		"SIGCONT to 30 continued", "SIGHUP to 30 ended", "SIGCONT to 31 dropped"}; !reflect.DeepEqual(signals, want) {
		t.Errorf("signals %q, want %q", signals, want)
	}
	if !reflect.DeepEqual(c.Table.Snapshot(), before) {
		t.Error("the case's table was changed")
	}
}

// TestWhatIfSmall: each other change, and refusals with the rule.
func TestWhatIfSmall(t *testing.T) {
	for _, test := range []struct {
		change Change
		says   func(*Outcome) any
		want   any
	}{
		{Change{Verb: "exit", PID: 1}, func(o *Outcome) any { return *o.Refused }, Refusal{"EPERM", "it is the table's init"}},
		{Change{Verb: "exit", PID: 31}, func(o *Outcome) any { return *o.Refused }, Refusal{"ESRCH", "the process has exited"}},
		{Change{Verb: "setsid", PID: 20}, func(o *Outcome) any { return *o.Refused }, Refusal{"EPERM", "it leads session 20"}},
		{Change{Verb: "setsid", PID: 10}, func(o *Outcome) any { return o.Moved }, []Move{{PID: 10, From: 1, To: 10, SID: 10}}},
		{Change{Verb: "setsid", PID: 10}, func(o *Outcome) any { return o.Sessions.Made }, []axprocess.PID{10}},
		{Change{Verb: "setpgid", PID: 40, PGID: 30, By: 20}, func(o *Outcome) any { return o.Groups.Ended }, []axprocess.PID{40}},
		{Change{Verb: "setpgid", PID: 40, PGID: 1, By: 20}, func(o *Outcome) any { return o.Refused.Errno }, "EPERM"},
		{Change{Verb: "kill", PID: -30, Signal: axprocess.SIGCONT}, func(o *Outcome) any { return o.Continued }, []Turn{{PID: 30}}},
		{Change{Verb: "kill", PID: 40, Signal: axprocess.SIGSTOP}, func(o *Outcome) any { return o.Stopped }, []Turn{{PID: 40}}},
		{Change{Verb: "kill", PID: -99, Signal: axprocess.SIGTERM}, func(o *Outcome) any { return o.Refused.Errno }, "ESRCH"},
		{Change{Verb: "kill", PID: 31, Signal: axprocess.SIGKILL}, func(o *Outcome) any { return o.Ended == nil && o.Signals[0].Does == axprocess.Dropped }, true},
		{Change{Verb: "kill", PID: 20, Signal: axprocess.SIGKILL}, func(o *Outcome) any { return o.Ended[0] }, End{PID: 20, Cause: axprocess.Killed, Code: 9, Waits: 10}},
		{Change{Verb: "kill", PID: 40, Signal: axprocess.SIGTERM}, func(o *Outcome) any { return o.Ended }, []End{{PID: 40, Cause: axprocess.Killed, Code: 15, Waits: 20}}},
	} {
		o, err := (&Case{Table: desk()}).WhatIf(test.change)
		if err != nil {
			t.Errorf("%s: %v", test.change, err)
		} else if got := test.says(o); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %+v, want %+v", test.change, got, test.want)
		}
	}
}

// TestWhatIfNonsense: questions that make no sense are errors.
func TestWhatIfNonsense(t *testing.T) {
	c := &Case{Table: desk()}
	for _, change := range []Change{
		{Verb: "exit", PID: 99}, {Verb: "kill", PID: -1, Signal: axprocess.SIGKILL}, {Verb: "kill", PID: 0, Signal: axprocess.SIGKILL},
		{Verb: "dance", PID: 20}, {Verb: "setpgid", PID: 20, By: 99},
	} {
		if o, err := c.WhatIf(change); err == nil {
			t.Errorf("%s: %+v", change, o)
		}
	}
}

// TestWhatIfAutoreap: a parent that ignores SIGCHLD has nothing to wait for.
func TestWhatIfAutoreap(t *testing.T) {
	c := &Case{Table: desk()}
	ok(c.Table.Process(20).SetDisposition(axprocess.SIGCHLD, axprocess.Ignore, 0))
	o := must(c.WhatIf(Change{Verb: "exit", PID: 40}))
	if want := []End{{PID: 40, Cause: axprocess.Exited, Gone: true, Reason: "its parent waits for no child"}}; !reflect.DeepEqual(o.Ended, want) {
		t.Errorf("ended %+v, want %+v", o.Ended, want)
	}
}

// TestWhatIfAHandler: what a handler will do is an assumption, and said to be.
func TestWhatIfAHandler(t *testing.T) {
	c := &Case{Table: desk()}
	ok(c.Table.Process(40).SetDisposition(axprocess.SIGTERM, axprocess.Handle, 0))
	o := must(c.WhatIf(Change{Verb: "kill", PID: 40, Signal: axprocess.SIGTERM}))
	if len(o.Ended) > 0 || o.Signals[0].Does != axprocess.Pending || o.Assumptions[0].About != "handlers" {
		t.Errorf("%+v", o)
	}
}

// TestWhatIfANamespaceEnds: who is inside the pid namespace of an init ends with it.
func TestWhatIfANamespaceEnds(t *testing.T) {
	c := &Case{Table: desk()}
	c.Inside = map[uint64][]axprocess.PID{c.Table.Process(20).ID(): {31, 30, 40}}
	o := must(c.WhatIf(Change{Verb: "exit", PID: 20}))
	var gone []axprocess.PID
	for _, e := range o.Ended {
		if e.Gone {
			gone = append(gone, e.PID)
		}
	}
	if !reflect.DeepEqual(gone, []axprocess.PID{31, 30, 40}) || len(o.Reparented) > 0 {
		t.Errorf("gone %v, reparented %v", gone, o.Reparented)
	}
}

// TestWhy: what is said of each kind of process, by what it is about.
func TestWhy(t *testing.T) {
	table := desk()
	ok(table.Process(20).SetDisposition(axprocess.SIGTERM, axprocess.Ignore, 0))
	ok(table.Process(10).SetDisposition(axprocess.SIGTERM, axprocess.Handle, 0))
	ok(table.Process(40).SetSignalMask(axprocess.SignalsOf(axprocess.SIGTERM)))
	must(table.Process(40).NewThread(41).Build())
	must(table.Thread(40).Exit(0))
	c := &Case{
		Table: table,
		About: func(p *axprocess.Process) About { return About{Comm: "comm", Signals: true} },
		Doing: func(p *axprocess.Process) []Doing {
			return []Doing{{TID: p.PID(), Call: "wait4", Target: 44}}
		},
	}
	for _, test := range []struct {
		pid         axprocess.PID
		about, want string
	}{
		{31, "zombie", "it was dumped by SIGSEGV, and its parent 30 (comm) has not waited for it"},
		{31, "zombie", "30 (comm) is stopped by SIGTSTP, so it can't wait"},
		{31, "kill", "kill succeeds and does nothing"},
		{31, "parent", "30 (comm) forked it"},
		{30, "stopped", "it was stopped by SIGTSTP; SIGCONT continues it"},
		{30, "stopped", "its group 30 is in the background of its terminal, where 20 is in the foreground"},
		{30, "group", "group 30 is not orphaned: 30 (comm) has its parent 20 (comm) in group 20"},
		{30, "kill", "SIGTERM does not end it: it stays pending until the process is continued"},
		{30, "kill", "SIGKILL ends it"},
		{20, "group", "group 20 is orphaned: no member has a parent in another group of session 20 (the init doesn't count): 20 has 10 of session 1"},
		{20, "session", "it leads session 20, with terminal pts/7 and group 20 in its foreground"},
		{20, "kill", "SIGTERM does not end it: it is ignored"},
		{20, "setpgid", "EPERM, 20 leads a session"},
		{20, "parent", "10 (comm) forked it, or adopted it as the nearest child subreaper above it"},
		{10, "kill", "it has a handler, which decides"},
		{10, "state", "it is running, in wait4 for process 44"},
		{40, "state", "its leader thread has exited and 1 other threads live"},
		{41, "state", "it is no zombie, can't be waited for"},
		{1, "parent", "it is the init"},
		{1, "kill", "are dropped, SIGKILL and SIGSTOP among them"},
	} {
		a := must(c.Why(test.pid))
		found := false
		for _, p := range a.Points {
			found = found || p.About == test.about && strings.Contains(p.Says, test.want)
		}
		if !found {
			t.Errorf("%d, %s: %q is not said in\n%+v", test.pid, test.about, test.want, a.Points)
		}
	}
	if _, err := c.Why(99); err == nil {
		t.Error("there is a process 99")
	}
}

// TestWhyNoWait: what a parent does instead of waiting for a zombie.
func TestWhyNoWait(t *testing.T) {
	table := axprocess.NewTable()
	init := must(table.NewInit(1).Leader(nil).Build())
	parent := must(init.Fork(2).Leader(nil).Build())
	must(parent.Fork(3).Build())
	must(parent.Fork(4).Build())
	ok(table.Process(3).Exit())
	for _, test := range []struct {
		doing Doing
		want  string
	}{
		{Doing{TID: 2, Call: "wait4", Target: 4}, "2 is in wait4 for process 4 alone, which has not ended"},
		{Doing{TID: 2, Call: "waitid", Target: -7}, "2 is in waitid for group 7, which the zombie is not in"},
		{Doing{TID: 2, Call: "wait4", Target: axprocess.WaitAny}, "is about to take the zombie, or waits for another kind of child"},
		{Doing{TID: 2, Call: "read"}, "2, thread 2, is in read, and not in a wait"},
		{Doing{TID: 2, Wchan: "do_nanosleep"}, "asleep in the kernel's do_nanosleep"},
		{Doing{TID: 2, Running: true}, "is running, and not in a wait"},
	} {
		c := &Case{Table: table, Doing: func(*axprocess.Process) []Doing { return []Doing{test.doing} }}
		if says := fmt.Sprint(must(c.Why(3)).Points); !strings.Contains(says, test.want) {
			t.Errorf("%+v: %s, want %s", test.doing, says, test.want)
		}
	}
}

// TestWhyOfARecord: with the history, times and causes are known.
func TestWhyOfARecord(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	table := axprocess.NewTable(axprocess.WithEvents(1000), axprocess.WithClock(func() time.Time { return at }))
	init := must(table.NewInit(1).Build())
	parent := must(init.Fork(2).Build())
	must(parent.Fork(3).Build())
	ok(parent.Exit())
	must(init.Kill(3, axprocess.SIGKILL))
	buf := make([]axprocess.Event, 100)
	n := must(must(table.EventsAfter(0)).TryRead(buf))
	a := must((&Case{Table: table, At: at, History: buf[:n]}).Why(3))
	says := fmt.Sprint(a.Points)
	for _, want := range []string{
		"it was killed by SIGKILL, and its parent 1 has not waited for it, since it ended, at 2026-01-02T03:04:05Z",
		"2 forked it or had it before; reparented 3 from 2 to 1: parent exited, no subreaper above",
	} {
		if !strings.Contains(says, want) {
			t.Errorf("%q is not said in %s", want, says)
		}
	}
	if len(a.History) != 4 || a.ID == 0 {
		t.Errorf("history %+v of %d", a.History, a.ID)
	}
}

// TestAdopted: what shows that a parent can't have forked its child.
func TestAdopted(t *testing.T) {
	begun := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	started := map[axprocess.PID]time.Duration{}
	c := &Case{Table: desk(), About: func(p *axprocess.Process) About {
		return About{Started: begun.Add(cmp.Or(started[p.PID()], time.Duration(p.PID())*time.Second))}
	}}
	for _, test := range []struct {
		parent, child axprocess.PID
		started       map[axprocess.PID]time.Duration
		want          string
	}{
		{10, 20, nil, ""},
		{20, 40, nil, ""},
		{10, 20, map[axprocess.PID]time.Duration{10: time.Minute}, "it started before 10 did"},
	} {
		started = test.started
		if got := c.adoptedBecause(c.Table.Process(test.child)); got != test.want {
			t.Errorf("%d of %d: %q, want %q", test.child, test.parent, got, test.want)
		}
	}
	// The shell ends: its jobs are in its session, and their parent never was.
	started = nil
	shell := c.Table.Process(20)
	must(shell.Thread().Exit(0))
	ok(shell.Exit())
	if got := c.adoptedBecause(c.Table.Process(40)); !strings.HasPrefix(got, "it is in session 20 and its parent in session 1") {
		t.Errorf("a job whose shell has ended: %q", got)
	}
}

// TestRecord: a record asked about moments in the middle of it, about what ended
// before, and about its end.
func TestRecord(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	table := axprocess.NewTable(axprocess.WithEvents(1000), axprocess.WithClock(func() time.Time { return now }))
	init := must(table.NewInit(1).Build())
	first := table.Snapshot()
	tick := func() time.Time { now = now.Add(time.Second); return now.Add(-time.Second / 2) }
	parent := must(init.Fork(2).Build())
	child := must(parent.Fork(3).Build())
	before := tick()
	must(init.Kill(3, axprocess.SIGSTOP))
	stopped := tick()
	ok(parent.Exit())
	must(init.Kill(3, axprocess.SIGKILL))
	dead := tick()
	must(init.Wait(t.Context(), 3, 0))
	buf := make([]axprocess.Event, 1000)
	n := must(must(table.EventsAfter(first.Seq)).TryRead(buf))
	at := func(moment time.Time) *Case {
		r := NewRecord(moment)
		r.Snapshot(first)
		for _, e := range buf[:n] {
			if more, err := r.Event(e); err != nil {
				t.Fatal(err)
			} else if !more {
				break
			}
		}
		r.Name(child.ID(), []string{"/bin/sleep", "9"})
		return must(r.Case())
	}
	if a := must(at(before).Why(3)); a.State != "running" || a.Parent != 2 {
		t.Errorf("before: %+v", a)
	}
	if a := must(at(stopped).Why(3)); a.State != "stopped" || !strings.Contains(fmt.Sprint(a.Points), "it was stopped by SIGSTOP, at 2026-01-02T03:04:06Z") {
		t.Errorf("stopped: %+v", a)
	}
	if a := must(at(dead).Why(3)); a.State != "zombie" || a.Parent != 1 {
		t.Errorf("dead: %+v", a)
	}
	if o := must(at(stopped).WhatIf(Change{Verb: "exit", PID: 2})); len(o.Reparented) != 1 || o.Reparented[0].PID != 3 {
		t.Errorf("what if: %+v", o)
	}
	if _, err := at(time.Time{}).Why(3); err == nil || !strings.Contains(err.Error(), "there is no process 3: freed 3: its parent waited for it, at 2026") {
		t.Errorf("at the end: %v", err)
	}
	if _, err := NewRecord(now).Case(); err == nil {
		t.Error("a record without a snapshot gives a case")
	}
	if _, err := NewRecord(now).Event(buf[0]); err == nil {
		t.Error("an event without a snapshot is taken")
	}
}

// TestPermission: what the one who asks may not do is refused.
func TestPermission(t *testing.T) {
	c := &Case{Table: desk(), Asker: 40}
	ok(c.Table.Process(40).SetCredentials(axprocess.Credentials{UID: 1000, EUID: 1000, SUID: 1000}))
	a := must(c.Why(10))
	if !slices.ContainsFunc(a.Points, func(p Point) bool { return p.About == "kill" && p.Errno == "EPERM" }) {
		t.Errorf("user 1000 may kill a process of user 0: %+v", a.Points)
	}
	if o := must(c.WhatIf(Change{Verb: "kill", PID: 10, Signal: axprocess.SIGKILL})); o.Refused == nil || o.Refused.Errno != "EPERM" {
		t.Errorf("%+v", o)
	}
	c.Asker = 0
	if o := must(c.WhatIf(Change{Verb: "kill", PID: 10, Signal: axprocess.SIGKILL})); o.Refused != nil {
		t.Errorf("%+v", o)
	}
}
