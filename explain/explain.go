// Package explain says why a process is as it is, and what would follow if
// something happened to it.
//
// It asks the rules themselves: what a change would do is read from the events of
// a clone on which the change is made, and why a call would be refused from the
// error that the clone gives. What is not known of a host is named as an
// assumption, beside every answer.
package explain

import (
	"fmt"
	"time"

	"axprocess"
)

// This file is about a case: what is known when a question is asked.

// Case is a table with what is known beside it. The table is the case's own: it is
// cloned, never changed, once the case is complete.
type Case struct {
	Table       *axprocess.Table
	At          time.Time                        // the moment that it shows
	About       func(*axprocess.Process) About   // what a table does not know
	Inside      map[uint64][]axprocess.PID       // by unique id of the init of a pid namespace: who ends with it
	Doing       func(*axprocess.Process) []Doing // what its threads sleep in; nil: not known
	History     []axprocess.Event                // what happened before, oldest first; nil: not known
	Numbers     map[axprocess.PID]axprocess.PID  // what is asked for by another number than the table's; nil: nothing
	Since       time.Time                        // times are told since it; zero: as they are
	Asker       axprocess.PID                    // as whom kill is asked about; 0: the init, who may all
	Assumptions []Assumption                     // what is taken to be so, without being known
}

// About is what a table does not know of a process.
type About struct {
	Comm    string
	State   string    // as axp tree says it; "": what the table says
	Started time.Time // zero: not known
	Tracer  axprocess.PID
	Kernel  bool // a thread of the kernel
	Signals bool // what it does on signals is known, and in the table
}

// Doing is what a thread sleeps in.
type Doing struct {
	TID     axprocess.PID
	Call    string // the system call; "": none, or not known
	Target  axprocess.PID
	Wchan   string // the kernel's function
	Running bool
}

// Assumption is something that an answer relies on and nobody told.
type Assumption struct {
	About string `json:"about"` // "subreapers", "signals", "stop-signal", "handlers", "reaper", "namespaces"
	Says  string `json:"says"`
}

func (c *Case) about(p *axprocess.Process) About {
	if c.About == nil {
		return About{}
	}
	return c.About(p)
}

// name is a process as sentences have it: "812 (sh)".
func (c *Case) name(p *axprocess.Process) string {
	if p == nil {
		return "nobody in sight"
	}
	if comm := c.about(p).Comm; comm != "" {
		return fmt.Sprintf("%d (%s)", p.PID(), comm)
	}
	return fmt.Sprint(p.PID())
}

// state is what a process does, in one word.
func (c *Case) state(p *axprocess.Process) string {
	if word := c.about(p).State; word != "" {
		return word
	}
	switch {
	case p.IsZombie():
		return "zombie"
	case p.Stopped() != 0:
		return "stopped"
	case p.IsLeaderExited():
		return "leader-exited"
	}
	return p.State().String()
}

// find returns the process of a number: its own, or that of one of its threads.
func (c *Case) find(pid axprocess.PID) (*axprocess.Process, error) {
	if p := c.Table.Process(c.Numbers[pid]); p != nil {
		return p, nil
	}
	if p := c.Table.Process(pid); p != nil {
		return p, nil
	}
	if h := c.Table.Thread(pid); h != nil {
		return h.Process(), nil
	}
	return nil, fmt.Errorf("there is no process %d%s", pid, c.gone(pid))
}

// adoptedBecause says why p can't have been forked by its parent, or "": then it
// may have been.
func (c *Case) adoptedBecause(p *axprocess.Process) string {
	parent := p.Parent()
	if parent == nil {
		return ""
	}
	if a, b := c.about(p).Started, c.about(parent).Started; !a.IsZero() && !b.IsZero() && a.Before(b) {
		return fmt.Sprintf("it started before %s did", c.name(parent))
	}
	own, its := p.Session().SID(), parent.Session().SID()
	if own != its && own != 0 && its != 0 && own != p.PID() && its != parent.PID() {
		return fmt.Sprintf("it is in session %d and its parent in session %d, and neither leads one: a fork would have shared it", own, its)
	}
	if leader := p.Session().Leader(); leader != nil && leader != p && leader != parent && own != its {
		a, b := c.about(leader).Started, c.about(parent).Started
		if !a.IsZero() && !b.IsZero() && b.Before(a) {
			return fmt.Sprintf("its session was made by %s, which started after %s did", c.name(leader), c.name(parent))
		}
	}
	return ""
}

// sender is who sends the signals that are asked about, on a clone that asks for
// permission.
func (c *Case) sender(on *axprocess.Table) *axprocess.Process {
	if p := on.Process(c.Asker); p != nil {
		return p
	}
	return on.Init()
}
