package conformance

import (
	"fmt"

	"axprocess"
)

// This file is about the table's side of what is done with the world's terminal.

func (t *Table) access(access axprocess.Access, err error) (Outcome, error) {
	if access == axprocess.Signalled {
		return Outcome{Kind: Gone}, nil
	}
	return answered(err)
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
		return t.access(a.WriteTerminal(t.terminal, true))
	case "readtty":
		return t.access(a.ReadTerminal(t.terminal))
	case "setpgrp":
		n, err := t.pid(a.space(), s.Args[0])
		if err != nil {
			return Outcome{}, err
		}
		return t.access(a.SetForeground(t.terminal, n))
	}
	return Outcome{}, fmt.Errorf("the table does not know %q", s.Verb)
}

// otherEnd is what the terminal's other end does. After a hangup the terminal is
// of no use to anybody.
func (t *Table) otherEnd(s Step) (Outcome, error) {
	switch s.Verb {
	case "types":
		sig, err := signalOf(s.Args[0])
		if err != nil {
			return Outcome{}, err
		}
		err = t.terminal.Signal(sig)
		t.handle()
		return answered(err)
	case "hangup":
		t.terminal.Hangup()
		t.handle()
		clear(t.opened)
		return answered(nil)
	}
	return Outcome{}, fmt.Errorf("the terminal does not know %q", s.Verb)
}
