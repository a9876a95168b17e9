package explain

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"axprocess"
)

// This file is about what would follow from a change: it is made on a clone, and
// what the clone tells is sorted.

// Change is what could happen to a process.
type Change struct {
	Verb   string           // "exit", "kill", "setsid", "setpgid"
	PID    axprocess.PID    // whom; for kill also minus a group
	Code   int32            // exit: its code
	Signal axprocess.Signal // kill
	PGID   axprocess.PID    // setpgid: the group; 0: of its own number
	By     axprocess.PID    // setpgid: who calls; 0: itself
}

// String returns the change in words: "kill 812 with SIGTERM".
func (c Change) String() string {
	switch c.Verb {
	case "exit":
		return fmt.Sprintf("exit of %d with code %d", c.PID, c.Code)
	case "kill":
		if c.PID < 0 {
			return fmt.Sprintf("kill of group %d with %s", -c.PID, c.Signal)
		}
		return fmt.Sprintf("kill of %d with %s", c.PID, c.Signal)
	case "setpgid":
		s := fmt.Sprintf("setpgid of %d to group %d", c.PID, cmp.Or(c.PGID, c.PID))
		if c.By != 0 && c.By != c.PID {
			s += fmt.Sprintf(" by %d", c.By)
		}
		return s
	}
	return fmt.Sprintf("%s of %d", c.Verb, c.PID)
}

// Outcome is what would follow. Its JSON form is stable; lists are in the order of
// happening, and empty ones left out.
type Outcome struct {
	Change      string       `json:"change"`
	At          time.Time    `json:"at,omitzero"`
	Refused     *Refusal     `json:"refused,omitempty"` // then nothing follows
	Ended       []End        `json:"ended,omitempty"`
	Reparented  []Reparent   `json:"reparented,omitempty"`
	Orphaned    []Orphan     `json:"orphaned,omitempty"`
	Signals     []Sent       `json:"signals,omitempty"`
	Stopped     []Turn       `json:"stopped,omitempty"`
	Continued   []Turn       `json:"continued,omitempty"`
	Moved       []Move       `json:"moved,omitempty"`
	Groups      Life         `json:"groups,omitzero"`
	Sessions    Life         `json:"sessions,omitzero"`
	Terminals   []Terminal   `json:"terminals,omitempty"`
	Assumptions []Assumption `json:"assumptions,omitempty"`

	hungUp []axprocess.PID // groups that were hung up as they became orphaned
}

// Refusal is why the change would not be made.
type Refusal struct {
	Errno  string `json:"errno"`
	Reason string `json:"reason"`
}

// End is a process that ends, or a zombie that goes.
type End struct {
	PID    axprocess.PID       `json:"pid"`
	Comm   string              `json:"comm,omitzero"`
	Cause  axprocess.WaitCause `json:"cause,omitzero"`  // nothing: it was a zombie before
	Code   int32               `json:"code"`            // exit code or signal
	Waits  axprocess.PID       `json:"waits,omitzero"`  // it is a zombie then, and this one has to wait for it
	Gone   bool                `json:"gone,omitzero"`   // nobody has to wait: its number is free
	Reason string              `json:"reason,omitzero"` // of being gone
}

// Reparent is a process that gets another parent.
type Reparent struct {
	PID    axprocess.PID `json:"pid"`
	Comm   string        `json:"comm,omitzero"`
	From   axprocess.PID `json:"from"`
	To     axprocess.PID `json:"to"`
	Zombie bool          `json:"zombie,omitzero"` // the new parent has to wait for it, and is expected to at once
	Reason string        `json:"reason"`
}

// Orphan is a group that becomes orphaned.
type Orphan struct {
	PGID    axprocess.PID   `json:"pgid"`
	SID     axprocess.PID   `json:"sid"`
	Members []axprocess.PID `json:"members"`
	Hangup  bool            `json:"hangup,omitzero"` // it has a stopped member: all get SIGHUP and SIGCONT
}

// Sent is a signal that reaches a process.
type Sent struct {
	PID    axprocess.PID    `json:"pid"`
	Comm   string           `json:"comm,omitzero"`
	Signal axprocess.Signal `json:"signal"`
	Name   string           `json:"name"`
	Does   axprocess.Action `json:"does"`
	Reason string           `json:"reason"`
}

// Turn is a process that stops or continues.
type Turn struct {
	PID  axprocess.PID `json:"pid"`
	Comm string        `json:"comm,omitzero"`
}

// Move is a process that changes its group.
type Move struct {
	PID  axprocess.PID `json:"pid"`
	Comm string        `json:"comm,omitzero"`
	From axprocess.PID `json:"from"`
	To   axprocess.PID `json:"to"`
	SID  axprocess.PID `json:"sid"`
}

// Life is what begins and what ends.
type Life struct {
	Made  []axprocess.PID `json:"made,omitempty"`
	Ended []axprocess.PID `json:"ended,omitempty"`
}

// Terminal is a session that gives up its terminal.
type Terminal struct {
	SID    axprocess.PID `json:"sid"`
	Name   string        `json:"name,omitzero"`
	Reason string        `json:"reason"`
}

// maxEvents bounds what one change may do: more than the largest host has to tell.
const maxEvents = 1 << 21

// WhatIf says what would follow. The case is left as it is. An error means that the
// question makes no sense; a change that would be refused is an outcome.
func (c *Case) WhatIf(change Change) (*Outcome, error) {
	if change.PID > 0 {
		p, err := c.find(change.PID)
		if err != nil {
			return nil, err
		}
		change.PID = p.PID()
	}
	clone, err := c.Table.Clone(axprocess.WithEvents(maxEvents), axprocess.WithPermission(axprocess.UnixPermission))
	if err != nil {
		return nil, err
	}
	before := clone.Snapshot()
	reader, err := clone.EventsAfter(before.Seq)
	if err != nil {
		return nil, err
	}
	o := &Outcome{Change: change.String(), At: c.moment(), Assumptions: slices.Clone(c.Assumptions)}
	if err := change.make(c, clone); err != nil {
		var refused *axprocess.Error
		if !errors.As(err, &refused) {
			return nil, err
		}
		o.Refused = &Refusal{unix.ErrnoName(refused.Err), refused.Reason}
		return o, nil
	}
	if err := o.tell(c, clone, reader); err != nil {
		return nil, err
	}
	o.orphans(c.Table, clone)
	o.assume(c, change)
	return o, nil
}

// make makes the change on a clone.
func (c Change) make(of *Case, on *axprocess.Table) error {
	p := on.Process(c.PID)
	if p != nil && (c.Verb == "exit" || c.Verb == "kill" && c.Signal == axprocess.SIGKILL) {
		if err := of.endInside(p, on); err != nil {
			return err
		}
	}
	switch c.Verb {
	case "exit":
		return exit(p, c.Code)
	case "kill":
		if c.PID == 0 || c.PID == -1 {
			return fmt.Errorf("kill of %d: a process, or minus a group other than 1, is needed", c.PID)
		}
		_, err := of.sender(on).Kill(c.PID, c.Signal)
		return err
	case "setsid":
		_, err := p.Setsid()
		return err
	case "setpgid":
		by := p
		if c.By != 0 {
			if by = on.Process(c.By); by == nil {
				return fmt.Errorf("there is no process %d", c.By)
			}
		}
		return by.Setpgid(c.PID, c.PGID)
	}
	return fmt.Errorf("%q is no change: exit, kill, setsid or setpgid", c.Verb)
}

// endInside ends all who are in the pid namespace that p is the init of (kernel:
// zap_pid_ns_processes: they are killed, and the init's exit waits for them).
func (c *Case) endInside(p *axprocess.Process, on *axprocess.Table) error {
	for _, pid := range c.Inside[p.ID()] {
		q := on.Process(pid)
		if q == nil {
			continue
		}
		if !q.IsZombie() {
			if err := q.GroupKill(axprocess.SIGKILL, false); err != nil {
				return err
			}
		}
		if q.State() == axprocess.Zombie {
			if err := q.Free(); err != nil {
				return err
			}
		}
	}
	return nil
}

// exit is exit_group(2): every thread goes, then the process.
func exit(p *axprocess.Process, code int32) error {
	if err := p.GroupExit(code); err != nil {
		return err
	}
	for _, h := range p.Threads() {
		if _, err := h.Exit(code); err != nil {
			return err
		}
	}
	return p.Exit()
}

// tell sorts what has happened.
func (o *Outcome) tell(c *Case, clone *axprocess.Table, reader *axprocess.Reader) error {
	buf := make([]axprocess.Event, 256)
	for {
		n, err := reader.TryRead(buf)
		if err != nil || n == 0 {
			return err
		}
		for i := range buf[:n] {
			o.add(c, clone, &buf[i])
		}
	}
}

func (o *Outcome) add(c *Case, clone *axprocess.Table, e *axprocess.Event) {
	comm, zombie := "", slices.ContainsFunc(o.Ended, func(end End) bool { return end.PID == e.PID })
	if p := c.Table.Process(e.PID); p != nil && p.ID() == e.ID {
		comm, zombie = c.about(p).Comm, zombie || p.IsZombie()
	}
	switch e.Kind {
	case axprocess.EventExited:
		end := End{PID: e.PID, Comm: comm, Cause: e.Cause, Code: e.Code}
		if p := clone.Process(e.PID); p != nil && p.ID() == e.ID && p.Parent() != nil {
			end.Waits = p.Parent().PID()
		}
		o.Ended = append(o.Ended, end)
	case axprocess.EventFreed:
		o.gone(e, comm)
	case axprocess.EventReparented:
		o.Reparented = append(o.Reparented, Reparent{e.PID, comm, e.From, e.Parent, zombie, e.Reason})
	case axprocess.EventSignalled:
		o.Signals = append(o.Signals, Sent{e.PID, comm, e.Signal, e.Signal.String(), e.Action, e.Reason})
	case axprocess.EventOrphaned:
		o.hungUp = append(o.hungUp, e.PGID)
	case axprocess.EventStopped:
		o.Stopped = append(o.Stopped, Turn{e.PID, comm})
	case axprocess.EventContinued:
		o.Continued = append(o.Continued, Turn{e.PID, comm})
	case axprocess.EventMoved:
		o.Moved = append(o.Moved, Move{e.PID, comm, e.From, e.PGID, e.SID})
	case axprocess.EventGroupMade:
		o.Groups.Made = append(o.Groups.Made, e.PGID)
	case axprocess.EventGroupEnded:
		o.Groups.Ended = append(o.Groups.Ended, e.PGID)
	case axprocess.EventSessionMade:
		o.Sessions.Made = append(o.Sessions.Made, e.SID)
	case axprocess.EventSessionEnded:
		o.Sessions.Ended = append(o.Sessions.Ended, e.SID)
	case axprocess.EventTerminal:
		if v := c.Table.Session(e.SID); v != nil && v.Terminal() != nil && e.Terminal.Terminal == 0 && !o.gaveUp(e.SID) {
			o.Terminals = append(o.Terminals, Terminal{e.SID, fmt.Sprint(v.Terminal().Data()), e.Reason})
		}
	}
}

func (o *Outcome) gaveUp(sid axprocess.PID) bool {
	return slices.ContainsFunc(o.Terminals, func(t Terminal) bool { return t.SID == sid })
}

// gone: a process that ended now is gone at once, or a zombie of before goes.
func (o *Outcome) gone(e *axprocess.Event, comm string) {
	for i := range o.Ended {
		if o.Ended[i].PID == e.PID {
			o.Ended[i].Gone, o.Ended[i].Waits, o.Ended[i].Reason = true, 0, cmp.Or(e.Reason, "the init of its pid namespace ends")
			return
		}
	}
	o.Ended = append(o.Ended, End{PID: e.PID, Comm: comm, Gone: true, Reason: cmp.Or(e.Reason, "the init of its pid namespace ends")})
}

// orphans compares groups before and after.
func (o *Outcome) orphans(before, after *axprocess.Table) {
	for _, v := range after.Sessions() {
		for _, g := range v.ProcessGroups() {
			was := before.Group(g.PGID())
			if g.PGID() == 0 || was == nil || was.ID() != g.ID() || was.IsOrphaned() || !g.IsOrphaned() {
				continue
			}
			one := Orphan{PGID: g.PGID(), SID: v.SID(), Members: numbers(g.Processes(), (*axprocess.Process).PID)}
			one.Hangup = slices.Contains(o.hungUp, one.PGID)
			o.Orphaned = append(o.Orphaned, one)
		}
	}
}

// assume names what this outcome relies on, besides what every answer does.
func (o *Outcome) assume(c *Case, change Change) {
	if slices.ContainsFunc(o.Signals, func(s Sent) bool { return s.Does == axprocess.Pending && c.handles(s) }) {
		o.Assumptions = append(o.Assumptions, Assumption{"handlers", "a process that has a handler for a signal it gets goes on: what the handler does is its own affair"})
	}
	if slices.ContainsFunc(o.Reparented, func(r Reparent) bool { return r.Zombie }) {
		o.Assumptions = append(o.Assumptions, Assumption{"reaper", "a reaper waits for the zombies that it is given"})
	}
	if change.Verb == "exit" || change.Verb == "kill" {
		o.Assumptions = append(o.Assumptions, Assumption{"others", "nobody else acts on it: a parent that is told, or a service manager, may do more"})
	}
}

func (c *Case) handles(s Sent) bool {
	p := c.Table.Process(s.PID)
	if p == nil {
		return false
	}
	action, err := p.Action(s.Signal)
	return err == nil && action.Disposition == axprocess.Handle
}
