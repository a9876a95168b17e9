package explain

import (
	"bufio"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"axprocess"
	"axprocess/host"
)

// This file asks what would happen to real processes, then does it, and compares.

// family is the processes of testdata/family.py.
type family struct {
	t                       *testing.T
	in                      func(string)
	out                     *bufio.Reader
	reaper, parent, a, b, z axprocess.PID
}

func startFamily(t *testing.T) *family {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("not run: needs python3")
	}
	cmd := exec.Command(python, "testdata/family.py")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close() // the reaper ends, and with it what it holds
		if err := cmd.Wait(); err != nil {
			t.Errorf("family.py: %v\n%s", err, stderr.String())
		}
	})
	f := &family{t: t, out: bufio.NewReader(out)}
	f.in = func(line string) {
		if _, err := fmt.Fprintln(in, line); err != nil {
			t.Fatal(err)
		}
	}
	f.read("family %d %d %d %d %d", &f.reaper, &f.parent, &f.a, &f.b, &f.z)
	return f
}

func (f *family) read(format string, to ...any) {
	f.t.Helper()
	line, err := f.out.ReadString('\n')
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := fmt.Sscanf(line, format, to...); err != nil {
		f.t.Fatalf("%q: %v", line, err)
	}
}

// look makes a case of the host once is says so: the kernel takes a moment.
func look(t *testing.T, is func(*Case) bool) *Case {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; runtime.Gosched() {
		s, err := host.Read(host.Options{Untold: true, Users: true})
		if err != nil {
			t.Fatal(err)
		}
		c := OfHost(s)
		if is(c) {
			return c
		}
		if time.Now().After(deadline) {
			t.Fatal("after a minute it is still not so")
		}
	}
}

// TestWhatIfOnRealProcesses: what is said to follow from an exit and a signal is
// what follows.
func TestWhatIfOnRealProcesses(t *testing.T) {
	f := startFamily(t)
	c := look(t, func(c *Case) bool {
		a, z := c.Table.Process(f.a), c.Table.Process(f.z)
		return a != nil && a.Stopped() != 0 && z != nil && z.IsZombie()
	})
	if c.assumes("subreapers") { // without BPF nobody tells
		t.Log("who is a subreaper could not be read: told")
		ok(c.Table.Process(f.reaper).SetChildSubreaper(true))
	}
	refused := must(c.WhatIf(Change{Verb: "setpgid", PID: f.parent}))
	o := must(c.WhatIf(Change{Verb: "exit", PID: f.parent, Code: 5}))

	f.in("exit")
	var errno string
	f.read("setpgid %s", &errno)
	if refused.Refused == nil || refused.Refused.Errno != errno {
		t.Errorf("setpgid: said %+v, and it was %s", refused.Refused, errno)
	}
	ends := map[axprocess.PID]string{}
	for range 3 {
		var pid axprocess.PID
		var how string
		var code int
		f.read("reaped %d %s %d", &pid, &how, &code)
		ends[pid] = fmt.Sprint(how, " ", code)
	}
	for _, e := range o.Ended {
		if got := fmt.Sprint(e.Cause, " ", e.Code); got != ends[e.PID] || e.Waits != f.reaper {
			t.Errorf("said that %d is %s, and %d waits for it; it was %q", e.PID, got, e.Waits, ends[e.PID])
		}
	}
	f.compare(o, ends)

	o = must(look(t, func(c *Case) bool { return c.Table.Process(f.b) != nil }).WhatIf(Change{Verb: "kill", PID: f.b, Signal: axprocess.SIGTERM}))
	f.in("term")
	var pid axprocess.PID
	var code int32
	f.read("reaped %d killed %d", &pid, &code)
	if len(o.Ended) != 1 || o.Ended[0].PID != pid || o.Ended[0].Cause != axprocess.Killed || o.Ended[0].Code != code || o.Ended[0].Waits != f.reaper {
		t.Errorf("said %+v, and %d was killed by %d", o.Ended, pid, code)
	}
}

// compare holds what was said of the parent's exit against what has become.
func (f *family) compare(o *Outcome, ends map[axprocess.PID]string) {
	t := f.t
	t.Helper()
	ended := numbers(o.Ended, func(e End) axprocess.PID { return e.PID })
	slices.Sort(ended)
	if want := []axprocess.PID{f.parent, f.a}; !slices.Equal(ended, want) && !slices.Equal(ended, []axprocess.PID{f.a, f.parent}) {
		t.Errorf("said that %v end, and it was %v", ended, want)
	}
	if ends[f.z] != "exited 3" {
		t.Errorf("the zombie %d ended as %q", f.z, ends[f.z])
	}
	to := map[axprocess.PID]Reparent{}
	for _, r := range o.Reparented {
		to[r.PID] = r
	}
	after := look(t, func(c *Case) bool { return c.Table.Process(f.parent) == nil && c.Table.Process(f.b) != nil })
	if parent := after.Table.Process(f.b).Parent(); parent == nil || to[f.b].To != parent.PID() {
		t.Errorf("said that %d goes to %d; its parent is %v", f.b, to[f.b].To, parent)
	}
	if len(to) != 3 || to[f.a].To != f.reaper || to[f.z].To != f.reaper || !to[f.z].Zombie {
		t.Errorf("said that %+v", o.Reparented)
	}
	orphaned := slices.ContainsFunc(o.Orphaned, func(g Orphan) bool { return g.PGID == f.a && g.Hangup })
	if !orphaned || ends[f.a] != "killed 1" {
		t.Errorf("said that %+v are orphaned, and %d ended as %q", o.Orphaned, f.a, ends[f.a])
	}
	if g := after.Table.Group(f.parent); g == nil || !g.IsOrphaned() {
		t.Errorf("group %d is not there or not orphaned", f.parent)
	}
}

// TestWhyOnRealProcesses: a real zombie, a stopped process and an adopted one.
func TestWhyOnRealProcesses(t *testing.T) {
	f := startFamily(t)
	var c *Case
	said := func(pid axprocess.PID, about, want string) {
		t.Helper()
		a := must(c.Why(pid))
		for _, p := range a.Points {
			if p.About == about && strings.Contains(p.Says, want) {
				return
			}
		}
		t.Errorf("%d, %s: %q is not said in\n%+v", pid, about, want, a.Points)
	}
	c = look(t, func(c *Case) bool {
		a, z, p := c.Table.Process(f.a), c.Table.Process(f.z), c.Table.Process(f.parent)
		return a != nil && a.Stopped() != 0 && z != nil && z.IsZombie() &&
			strings.HasPrefix(c.sleepsIn(p), ", in read")
	})
	said(f.z, "zombie", fmt.Sprintf("it exited with code 3, and its parent %d (python3) has not waited for it", f.parent))
	said(f.z, "zombie", "is in read, and not in a wait")
	said(f.a, "stopped", "a stop signal (SIGSTOP, SIGTSTP, SIGTTIN or SIGTTOU; /proc does not tell)")
	said(f.a, "group", fmt.Sprintf("is not orphaned: %d (python3) has its parent %d (python3)", f.a, f.parent))
	said(f.parent, "setpgid", "EPERM")
	f.in("exit")
	c = look(t, func(c *Case) bool {
		b := c.Table.Process(f.b)
		return b != nil && b.Parent() != nil && b.Parent().PID() == f.reaper
	})
	said(f.b, "parent", "forked it, or adopted it as the nearest child subreaper above it when its parent ended")
	said(f.b, "group", "is orphaned")
}
