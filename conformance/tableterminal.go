package conformance

import (
	"fmt"
	"maps"
	"slices"

	"axprocess"
)

// This file is about the table's side of what is done with the world's terminal.

// access is what comes of a call that a background process may be stopped for.
func (t *Table) access(a *tableActor, s Step, access axprocess.Access, err error) (Outcome, error) {
	if access != axprocess.Signalled {
		return answered(err)
	}
	if a.runs() {
		return Outcome{}, fmt.Errorf("%s would be tried for ever: the signal does not stop %s", s, s.Actor)
	}
	a.retry = &s
	return Outcome{Kind: Gone}, nil
}

// again begins the calls of those who were stopped in them and run now.
func (t *Table) again() error {
	for _, name := range slices.Sorted(maps.Keys(t.actors)) {
		a := t.actors[name]
		if a.retry == nil || !a.runs() {
			continue
		}
		s := *a.retry
		a.retry = nil
		if !t.opened[a.Process()] {
			continue // it was hung up: the call returns
		}
		if _, err := t.terminals(a, s); err != nil {
			return err
		}
		t.raced = t.raced || a.retry != nil
	}
	return nil
}

// leaderOfTerminal is the live leader of the session that has the terminal, or nil.
func (t *Table) leaderOfTerminal() *axprocess.Process {
	session := t.terminal.Session()
	if session == nil {
		return nil
	}
	leader := t.table.Process(session.SID())
	if leader == nil || leader.State() != axprocess.Running || leader.Session() != session {
		return nil
	}
	return leader
}

// terminals is for the calls about the terminal.
func (t *Table) terminals(a *tableActor, s Step) (Outcome, error) {
	p := a.Process()
	if s.Verb == "opentty" {
		t.opened[p] = true
		return answered(nil)
	}
	if !t.opened[p] {
		return Outcome{}, fmt.Errorf("%s has not opened the terminal", s.Actor)
	}
	switch s.Verb {
	case "setctty":
		return answered(p.SetTerminal(t.terminal, len(s.Args) > 0))
	case "notty":
		return answered(p.GiveUpTerminal(t.terminal))
	case "getpgrp":
		n, err := p.GetForeground(t.terminal)
		return t.told(a, n, err)
	case "getttysid":
		n, err := p.TerminalSession(t.terminal)
		return t.told(a, n, err)
	case "writetty":
		access, err := a.WriteTerminal(t.terminal, true)
		return t.access(a, s, access, err)
	case "readtty":
		access, err := a.ReadTerminal(t.terminal)
		return t.access(a, s, access, err)
	case "setpgrp":
		n, err := t.pid(a.space(), s.Args[0])
		if err != nil {
			return Outcome{}, err
		}
		access, err := a.SetForeground(t.terminal, n)
		return t.access(a, s, access, err)
	}
	return Outcome{}, fmt.Errorf("the table does not know %q", s.Verb)
}

// otherEnd is what the terminal's other end does. After a hangup the terminal is
// of no use to anybody, until it is opened again.
func (t *Table) otherEnd(s Step) (Outcome, error) {
	switch s.Verb {
	case "types":
		sig, err := signalOf(s.Args[0])
		if err != nil {
			return Outcome{}, err
		}
		out, _ := answered(t.terminal.Signal(sig))
		return out, t.settle()
	case "hangup":
		t.terminal.Hangup()
		clear(t.opened)
		return Outcome{Text: "ok"}, t.settle()
	}
	return Outcome{}, fmt.Errorf("the terminal does not know %q", s.Verb)
}
