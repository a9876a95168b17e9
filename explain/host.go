package explain

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"axprocess"
	"axprocess/host"
)

// This file is about cases from a host: the table gets what a close look at each
// process adds, and what a look can't tell becomes an assumption.

// OfHost makes a case of a host as it was read; the snapshot's table becomes the
// case's. It looks closely at each process that is not the kernel's: two files
// each.
func OfHost(s *host.Snapshot) *Case {
	details := map[axprocess.PID]*host.Detail{}
	c := &Case{Table: s.Table, At: s.At}
	unread := 0
	for _, p := range s.Table.Processes() {
		if host.Of(p).Kernel {
			continue
		}
		d, err := s.Detail(p)
		if err == nil {
			details[p.PID()] = d
			applySignals(p, d)
		} else if !errors.Is(err, fs.ErrNotExist) {
			unread++
		}
	}
	c.About = func(p *axprocess.Process) About {
		info := host.Of(p)
		if info == nil {
			return About{}
		}
		a := About{Comm: info.Comm, State: info.State.String(), Started: s.Start(p), Kernel: info.Kernel}
		if d := details[p.PID()]; d != nil {
			a.Tracer, a.Signals = d.Tracer, true
		}
		return a
	}
	if s.Live() {
		c.Asker = axprocess.PID(os.Getpid())
	}
	c.Doing = func(p *axprocess.Process) []Doing { return doing(s, p) }
	if unread > 0 {
		c.assume("signals", "what %d processes do on signals could not be read: the defaults are taken", unread)
	}
	c.terminals()
	c.namespaces()
	c.subreapers(s.Untold)
	c.stops()
	return c
}

func (c *Case) assume(about, format string, args ...any) {
	c.Assumptions = append(c.Assumptions, Assumption{about, fmt.Sprintf(format, args...)})
}

// applySignals gives a process the dispositions and the mask that it has. What can't
// be set has ended meanwhile, and then it makes no difference.
func applySignals(p *axprocess.Process, d *host.Detail) {
	for sig := range d.Ignored.All() {
		flags := axprocess.ActionFlags(0)
		if now, err := p.Action(sig); err == nil {
			flags = now.Flags // SA_NOCLDWAIT, if the kernel's table could be read
		}
		_ = p.SetDisposition(sig, axprocess.Ignore, flags)
	}
	for sig := range d.Caught.All() {
		flags := axprocess.ActionFlags(0)
		if now, err := p.Action(sig); err == nil {
			flags = now.Flags
		}
		_ = p.SetDisposition(sig, axprocess.Handle, flags)
	}
	if d.Blocked != 0 {
		_ = p.SetSignalMask(d.Blocked)
	}
	_ = p.SetCredentials(axprocess.Credentials{UID: d.UID, EUID: d.EUID, SUID: d.SUID})
}

// terminals gives sessions the terminals that their leaders have.
func (c *Case) terminals() {
	for _, v := range c.Table.Sessions() {
		leader := v.Leader()
		if leader == nil || host.Of(leader) == nil || host.Of(leader).TTY == 0 {
			continue
		}
		info := host.Of(leader)
		term := c.Table.NewTerminal(info.TTY.String())
		if err := leader.SetTerminal(term, false); err != nil {
			continue // a leader that has exited: the terminal was given up
		}
		if g := info.Foreground; g > 0 && c.Table.Group(g) != nil && c.Table.Group(g).Session() == v {
			_, _ = leader.SetForeground(term, g)
		}
	}
}

// subreapers: those that the kernel's table names are in the process table. Without
// it, whoever has a child that it can't have forked is one.
func (c *Case) subreapers(untold error) {
	if untold == nil {
		return
	}
	var inferred []axprocess.PID
	for _, p := range c.Table.Processes() {
		parent := p.Parent()
		if parent == nil || parent.IsInit() || parent.IsSubreaper() || c.adoptedBecause(p) == "" {
			continue
		}
		if parent.SetChildSubreaper(true) == nil {
			inferred = append(inferred, parent.PID())
		}
	}
	c.assume("subreapers", "%v; so no process is a child subreaper but those that have adopted others: %d found", untold, len(inferred))
	c.assume("child-wait", "nobody has set SA_NOCLDWAIT; who ignores SIGCHLD is known")
}

// namespaces: the init of a nested pid namespace gets the orphans of it, drops the
// signals that it has no handler for, and takes all in it along when it ends
// (pid_namespaces(7)). The table has one namespace, so this is put into it.
func (c *Case) namespaces() {
	for _, p := range c.Table.Processes() {
		depth := nesting(p)
		if numbers := host.Of(p).Numbers; depth < 2 || numbers[depth-1] != 1 || p.IsZombie() {
			continue
		}
		_ = p.SetChildSubreaper(true)
		for sig := axprocess.SIGHUP; sig <= axprocess.SIGRTMAX; sig++ {
			action, err := p.Action(sig)
			if err == nil && action.Disposition == axprocess.Default && sig != axprocess.SIGCHLD {
				_ = p.SetDisposition(sig, axprocess.Ignore, 0)
			}
		}
		if c.Inside == nil {
			c.Inside = map[uint64][]axprocess.PID{}
		}
		c.Inside[p.ID()] = inside(nil, p, depth)
	}
	if c.Inside != nil {
		c.assume("namespaces", "%d processes are the init of a pid namespace: who is below one and as deep is in it", len(c.Inside))
	}
}

// nesting is in how many pid namespaces a process has a number.
func nesting(p *axprocess.Process) int {
	if info := host.Of(p); info != nil {
		return len(info.Numbers)
	}
	return 0
}

// inside lists who is below p and at least as deep, the children first.
func inside(to []axprocess.PID, p *axprocess.Process, depth int) []axprocess.PID {
	for _, child := range p.Children() {
		if to = inside(to, child, depth); nesting(child) >= depth || child.IsZombie() {
			to = append(to, child.PID())
		}
	}
	return to
}

func (c *Case) stops() {
	for _, p := range c.Table.Processes() {
		if p.Stopped() != 0 {
			c.assume("stop-signal", "/proc does not tell which signal stopped a process: SIGSTOP is taken")
			return
		}
	}
}

// doing translates what host says, and whom a wait is for.
func doing(s *host.Snapshot, p *axprocess.Process) []Doing {
	var all []Doing
	for _, d := range s.Doing(p) {
		one := Doing{TID: d.TID, Call: d.Call, Wchan: d.Wchan, Running: d.Running}
		switch {
		case d.Call == "wait4":
			one.Target = axprocess.PID(int32(d.Args[0]))
		case d.Call == "waitid" && axprocess.IDType(d.Args[0]) == axprocess.P_PID:
			one.Target = axprocess.PID(int32(d.Args[1]))
		case d.Call == "waitid" && axprocess.IDType(d.Args[0]) == axprocess.P_PGID:
			one.Target = -axprocess.PID(int32(d.Args[1]))
		case d.Call == "waitid":
			one.Target = axprocess.WaitAny
		}
		all = append(all, one)
	}
	return all
}
