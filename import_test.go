package axprocess

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// aHost is a host as it may be found: an init, a daemon, a shell with a job in
// the foreground, a job that is stopped, a zombie, a process without its leader,
// and one whose parent and group are outside.
func aHost(term *Terminal) []ProcessRecord {
	leader := func(tid PID) []ThreadRecord { return []ThreadRecord{{TID: tid, Data: tid}} }
	return []ProcessRecord{
		{PID: 40, PPID: 30, PGID: 40, SID: 30, Threads: leader(40), Terminal: term, Foreground: 40},
		{PID: 41, PPID: 40, PGID: 40, SID: 30, Zombie: true, Cause: Killed, Code: 9},
		{PID: 1, PGID: 1, SID: 1, Threads: leader(1)},
		{PID: 20, PPID: 1, PGID: 20, SID: 20, Threads: []ThreadRecord{{TID: 20}, {TID: 21}, {TID: 25}}, Subreaper: true},
		{PID: 30, PPID: 20, PGID: 30, SID: 30, Threads: leader(30), Terminal: term, Foreground: 40, Data: "shell"},
		{PID: 50, PPID: 30, PGID: 50, SID: 30, Threads: leader(50), Stopped: SIGTSTP},
		{PID: 60, PPID: 1, PGID: 60, SID: 60, Threads: []ThreadRecord{{TID: 61}}, LeaderExited: true, IgnoresSIGCHLD: true},
		{PID: 70, Threads: leader(70)},
	}
}

// TestImport: processes that exist are entered in any order, as they were found.
func TestImport(t *testing.T) {
	table := NewTable()
	term := table.NewTerminal("tty")
	if err := table.Import(1, aHost(term)); err != nil {
		t.Fatal(err)
	}
	if err := table.Check(); err != nil {
		t.Fatal(err)
	}
	p := func(n PID) *Process { return table.Process(n) }
	for what, holds := range map[string]bool{
		"all are in":                    table.Len() == 8 && table.Init() == p(1),
		"parents":                       p(40).Parent() == p(30) && p(70).Parent() == nil,
		"children in the given order":   fmt.Sprint(p(30).Children()[0].PID(), p(30).Children()[1].PID()) == "40 50",
		"groups and sessions":           p(41).Group() == p(40).Group() && p(50).Session() == p(30).Session() && p(70).Session().SID() == 0,
		"threads, the oldest first":     len(p(20).Threads()) == 3 && table.Thread(25).Process() == p(20),
		"data":                          p(30).Data() == "shell" && table.Thread(40).Data() == PID(40),
		"a zombie":                      p(41).IsZombie() && p(41).ExitCode() == 9,
		"who lives without its leader":  p(60).IsLeaderExited(),
		"who is stopped":                p(50).Stopped() == SIGTSTP,
		"who reaps":                     p(20).IsSubreaper(),
		"the session's terminal":        p(30).Session().Terminal() == term && term.Session() == p(30).Session() && term.Foreground() == 40,
		"whose terminal it is":          p(40).Terminal() == term && p(50).Terminal() == nil,
		"a group that is orphaned":      p(30).Group().IsOrphaned() && !p(40).Group().IsOrphaned(),
		"numbers are not given again":   !free(t, table, 25) && !free(t, table, 61),
		"what goes on: a reap, a death": p(60).GroupKill(SIGTERM, false) == nil && p(60).IsZombie(),
	} {
		if !holds {
			t.Errorf("not as it was found: %s", what)
		}
	}
	// More can be entered, below what is there.
	more := []ProcessRecord{{PID: 42, PPID: 40, PGID: 40, SID: 30, Terminal: term, Foreground: 40}}
	if err := table.Import(0, more); err != nil || p(42).Parent() != p(40) || p(42).Terminal() != term {
		t.Errorf("one more: %v", err)
	}
	if err := table.Check(); err != nil {
		t.Fatal(err)
	}
}

func free(t *testing.T, table *Table, n PID) bool {
	t.Helper()
	_, err := table.Init().Fork(n).Build()
	return !errors.Is(err, syscall.EEXIST)
}

// TestImportNoForeground: a foreground that nothing goes by means nobody.
func TestImportNoForeground(t *testing.T) {
	table := NewTable()
	term := table.NewTerminal(nil)
	if err := table.Import(1, []ProcessRecord{{PID: 1, PGID: 1, SID: 1, Terminal: term, Foreground: 99}}); err != nil {
		t.Fatal(err)
	}
	if term.Foreground() != 0 || table.Check() != nil {
		t.Errorf("foreground %d, %v", term.Foreground(), table.Check())
	}
}

// TestImportContradictions: each contradiction is found and named, all of them in
// one answer, and the table is as it was.
func TestImportContradictions(t *testing.T) {
	other := NewTable().NewTerminal(nil)
	at := func(pid PID, records []ProcessRecord) *ProcessRecord {
		for i := range records {
			if records[i].PID == pid {
				return &records[i]
			}
		}
		t.Fatalf("no record of %d", pid)
		return nil
	}
	for want, spoil := range map[string]func(table *Table, r []ProcessRecord) []ProcessRecord{
		"process -3: its number is not in 1…4194303": func(_ *Table, r []ProcessRecord) []ProcessRecord { at(70, r).PID = -3; return r },
		"process 40: there are two records of it":    func(_ *Table, r []ProcessRecord) []ProcessRecord { return append(r, *at(40, r)) },
		"process 70: its parent 99 does not exist":   func(_ *Table, r []ProcessRecord) []ProcessRecord { at(70, r).PPID = 99; return r },
		"process 70: its parent 41 is a zombie":      func(_ *Table, r []ProcessRecord) []ProcessRecord { at(70, r).PPID = 41; return r },
		"it is its own ancestor":                     func(_ *Table, r []ProcessRecord) []ProcessRecord { at(20, r).PPID = 30; return r },
		"group 40 is of session 30 and of session 1": func(_ *Table, r []ProcessRecord) []ProcessRecord { at(41, r).SID = 1; return r },
		"process 30: it leads its session":           func(_ *Table, r []ProcessRecord) []ProcessRecord { at(30, r).PGID = 40; return r },
		"process 50: group 5000000 or session":       func(_ *Table, r []ProcessRecord) []ProcessRecord { at(50, r).PGID = 5000000; return r },
		"process 41: it is a zombie with 1 threads": func(_ *Table, r []ProcessRecord) []ProcessRecord {
			at(41, r).Threads = []ThreadRecord{{TID: 41}}
			return r
		},
		"process 41: it is a zombie and stopped": func(_ *Table, r []ProcessRecord) []ProcessRecord { at(41, r).Stopped = SIGSTOP; return r },
		"process 60: it has threads and no lead": func(_ *Table, r []ProcessRecord) []ProcessRecord { at(60, r).LeaderExited = false; return r },
		"process 40: its leader has exited, but": func(_ *Table, r []ProcessRecord) []ProcessRecord { at(40, r).LeaderExited = true; return r },
		"process 60: thread 21 is also one of p": func(_ *Table, r []ProcessRecord) []ProcessRecord { at(60, r).Threads[0].TID = 21; return r },
		"its number is also that of a thread of": func(_ *Table, r []ProcessRecord) []ProcessRecord { at(20, r).Threads[1].TID = 50; return r },
		"the init is not among the records":      func(_ *Table, r []ProcessRecord) []ProcessRecord { at(1, r).PID = 2; return r },
		"the init has a parent or is a zombie":   func(_ *Table, r []ProcessRecord) []ProcessRecord { at(1, r).PPID = 70; return r },
		"process 40: its terminal is of another": func(_ *Table, r []ProcessRecord) []ProcessRecord { at(40, r).Terminal = other; return r },
		"its session 30 has two terminals": func(table *Table, r []ProcessRecord) []ProcessRecord {
			at(50, r).Terminal, at(50, r).Foreground = table.NewTerminal(nil), 40
			return r
		},
		"its terminal is that of session 20 and of session 30": func(_ *Table, r []ProcessRecord) []ProcessRecord {
			at(20, r).Terminal, at(20, r).Foreground = at(30, r).Terminal, 40
			return append(r[3:], r[:3]...)
		},
		"in the foreground, and group 50":           func(_ *Table, r []ProcessRecord) []ProcessRecord { at(30, r).Foreground = 50; return r },
		"group 60 is in the foreground of no termi": func(_ *Table, r []ProcessRecord) []ProcessRecord { at(60, r).Foreground = 60; return r },
		"process 70: it has a terminal, and its se": func(table *Table, r []ProcessRecord) []ProcessRecord {
			at(70, r).Terminal = table.NewTerminal(nil)
			return r
		},
		"process 30: foreground -1 is not in 0…": func(_ *Table, r []ProcessRecord) []ProcessRecord { at(30, r).Foreground = -1; return r },
	} {
		table := NewTable()
		records := spoil(table, aHost(table.NewTerminal(nil)))
		err := table.Import(1, records)
		var contradicts *ImportError
		if !errors.As(err, &contradicts) || !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%q: %v", want, err)
			continue
		}
		all := ""
		for _, c := range contradicts.Contradictions {
			all += fmt.Sprintf("process %d: %s\n", c.PID, c.Reason)
		}
		if !strings.Contains(all, want) {
			t.Errorf("want %q among\n%s", want, all)
		}
		if table.Len() != 0 || table.Init() != nil || table.Group(30) != nil || table.Check() != nil {
			t.Errorf("%q: something was entered: %v", want, table.Check())
		}
	}
}

// TestImportAgain: what a table has contradicts too, and an import of nothing is
// fine.
func TestImportAgain(t *testing.T) {
	table := NewTable()
	term := table.NewTerminal(nil)
	if err := table.Import(0, nil); err != nil {
		t.Error(err)
	}
	if err := table.Import(1, aHost(term)); err != nil {
		t.Fatal(err)
	}
	err := table.Import(1, aHost(term))
	var contradicts *ImportError
	if !errors.As(err, &contradicts) || len(contradicts.Contradictions) < 9 || !strings.Contains(err.Error(), "and ") {
		t.Errorf("a second time: %v", err)
	}
	for want, rec := range map[string]ProcessRecord{
		"its session 30 has two terminals":          {PID: 80, PPID: 30, PGID: 40, SID: 30, Terminal: table.NewTerminal(nil)},
		"in the foreground, and group 50":           {PID: 80, PPID: 30, PGID: 40, SID: 30, Terminal: term, Foreground: 50},
		"is that of session 30 and of session 20":   {PID: 80, PPID: 30, PGID: 20, SID: 20, Terminal: term, Foreground: 40},
		"its number is in use as a thread":          {PID: 25, PPID: 1, PGID: 1, SID: 1},
		"session 50 has the number of a group of s": {PID: 80, PPID: 1, PGID: 80, SID: 50},
		"its parent 41 is a zombie":                 {PID: 80, PPID: 41, PGID: 1, SID: 1},
	} {
		if err := table.Import(0, []ProcessRecord{rec}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
	if table.Len() != 8 || table.Check() != nil {
		t.Errorf("%d processes, %v", table.Len(), table.Check())
	}
}

// TestImportOfATakenNumber: a process can't be entered by the number of a session or
// group that lives on without its founder, unless it is in that session; then its
// setsid is refused as the kernel refuses it.
func TestImportOfATakenNumber(t *testing.T) {
	table := NewTable()
	init := must(table.NewInit(1).Build())
	founder := must(init.Fork(5).Build())
	must(founder.Setsid())
	stays := must(founder.Fork(6).Build())
	must(stays.CreateGroup())
	if err := founder.Exit(); err != nil {
		t.Fatal(err)
	}
	if err := founder.Free(); err != nil {
		t.Fatal(err)
	}
	err := table.Import(0, []ProcessRecord{{PID: 5, PPID: 1, PGID: 1, SID: 1}})
	var refused *ImportError
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "session 5 goes by its number") {
		t.Errorf("in another session: %v", err)
	}
	if err := table.Import(0, []ProcessRecord{{PID: 5, PPID: 1, PGID: 5, SID: 5}}); err != nil {
		t.Errorf("in that session: %v", err)
	}
	if _, err := table.Process(5).Setsid(); !errors.Is(err, syscall.EPERM) {
		t.Errorf("its setsid: %v", err)
	}
	if err := table.Check(); err != nil {
		t.Error(err)
	}
}
