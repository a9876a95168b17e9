package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"axprocess"
	"axprocess/explain"
)

// whatifCommand says what would follow from a change.
func whatifCommand(a *app) *cobra.Command {
	var f caseFlags
	c := &cobra.Command{
		Use:   "whatif exit|kill|setsid|setpgid PID",
		Short: "What would follow if a process exited, was killed, or moved",
		Long: `What would follow from a change, without making it: who would be reparented to
whom, which groups become orphaned and are sent SIGHUP, what ends, which session
and terminal are given up. The host's processes, or those of a record, are a table, the change
is made on a copy, and the difference is told. Nothing is touched.

Exit code 1 if the change would be refused.`,
		Example: `  axp whatif exit 4711
  axp whatif kill 4711 HUP
  axp whatif kill -- -4711          the group 4711
  axp whatif setpgid 4711 4700 --by 4690`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return fmt.Errorf("what would happen to whom: exit, kill, setsid or setpgid, and a PID")
		},
	}
	f.register(c)
	ask := func(change explain.Change) error { return whatif(a, &f, change) }
	c.AddCommand(whatifExit(ask), whatifKill(ask), whatifSetsid(ask), whatifSetpgid(ask))
	return c
}

func whatif(a *app, f *caseFlags, change explain.Change) error {
	from, err := f.read()
	if err != nil {
		return err
	}
	o, err := from.WhatIf(change)
	if err != nil {
		return err
	}
	if f.json {
		err = printJSON(a.out, o)
	} else {
		err = printOutcome(a.out, o)
	}
	if err == nil && o.Refused != nil {
		return errFinding
	}
	return err
}

func whatifExit(ask func(explain.Change) error) *cobra.Command {
	var code uint8
	c := &cobra.Command{
		Use:   "exit PID",
		Short: "It calls exit_group",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			pid, err := parsePID(args[0])
			if err != nil {
				return err
			}
			return ask(explain.Change{Verb: "exit", PID: pid, Code: int32(code)})
		},
	}
	c.Flags().Uint8Var(&code, "code", 0, "its exit `CODE`")
	return c
}

func whatifKill(ask func(explain.Change) error) *cobra.Command {
	return &cobra.Command{
		Use:   "kill PID|-PGID [SIGNAL]",
		Short: "It, or a group, is sent a signal; SIGTERM unless another is named",
		Args:  cobra.RangeArgs(1, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			text, group := strings.CutPrefix(args[0], "-")
			pid, err := parsePID(text)
			if err != nil {
				return err
			}
			if group {
				pid = -pid
			}
			sig := axprocess.SIGTERM
			if len(args) > 1 {
				if sig, err = axprocess.ParseSignal(args[1]); err != nil || sig == 0 {
					return fmt.Errorf("%q is not a signal (a name, or 1 to %d)", args[1], axprocess.SIGRTMAX)
				}
			}
			return ask(explain.Change{Verb: "kill", PID: pid, Signal: sig})
		},
	}
}

func whatifSetsid(ask func(explain.Change) error) *cobra.Command {
	return &cobra.Command{
		Use:   "setsid PID",
		Short: "It makes a session of its own",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			pid, err := parsePID(args[0])
			if err != nil {
				return err
			}
			return ask(explain.Change{Verb: "setsid", PID: pid})
		},
	}
}

func whatifSetpgid(ask func(explain.Change) error) *cobra.Command {
	var by uint32
	c := &cobra.Command{
		Use:   "setpgid PID [PGID]",
		Short: "It is moved to a group; to one of its own unless another is named",
		Args:  cobra.RangeArgs(1, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			change := explain.Change{Verb: "setpgid"}
			var err error
			if change.PID, err = parsePID(args[0]); err != nil {
				return err
			}
			if len(args) > 1 {
				if change.PGID, err = parsePID(args[1]); err != nil {
					return err
				}
			}
			if by > maxPID {
				return fmt.Errorf("%d is not a process id (1 to %d)", by, maxPID)
			}
			change.By = axprocess.PID(by)
			return ask(change)
		},
	}
	c.Flags().Uint32Var(&by, "by", 0, "who calls: `PID`, its parent; itself unless given")
	return c
}

func printOutcome(out output, o *explain.Outcome) error {
	p := paragraphs{to: out, width: out.Width}
	p.title("%s", o.Change)
	if o.Refused != nil {
		p.item("refused", o.Refused.Errno+": "+o.Refused.Reason)
	}
	for _, e := range o.Ended {
		p.item("ends", endWords(e))
	}
	for _, m := range o.Reparented {
		says := fmt.Sprintf("%s from %d to %d: %s", process(int(m.PID), m.Comm), m.From, m.To, m.Reason)
		if m.Zombie {
			says += "; it is a zombie, and goes when its new parent waits"
		}
		p.item("reparented", says)
	}
	for _, g := range o.Orphaned {
		says := fmt.Sprintf("group %d of session %d: %v", g.PGID, g.SID, g.Members)
		if g.Hangup {
			says += "; a member is stopped, so all get SIGHUP and SIGCONT"
		}
		p.item("orphaned", says)
	}
	for _, s := range o.Signals {
		p.item("signal", fmt.Sprintf("%s to %s, %s: %s", s.Name, process(int(s.PID), s.Comm), s.Does, s.Reason))
	}
	for _, t := range o.Stopped {
		p.item("stops", process(int(t.PID), t.Comm))
	}
	for _, t := range o.Continued {
		p.item("continues", process(int(t.PID), t.Comm))
	}
	for _, m := range o.Moved {
		p.item("moves", fmt.Sprintf("%s from group %d to %d, session %d", process(int(m.PID), m.Comm), m.From, m.To, m.SID))
	}
	printSpans(&p, "group", o.Groups)
	printSpans(&p, "session", o.Sessions)
	for _, t := range o.Terminals {
		p.item("terminal", fmt.Sprintf("session %d gives up %s: %s", t.SID, t.Name, t.Reason))
	}
	if p.last == "" {
		p.item("nothing", "changes")
	}
	p.assumptions(o.Assumptions)
	return p.err
}

func endWords(e explain.End) string {
	words := process(int(e.PID), e.Comm)
	switch {
	case e.Cause == 0:
		return words + ", a zombie so far, is gone: " + e.Reason
	case e.Cause == axprocess.Exited:
		words += fmt.Sprintf(" exits with code %d", e.Code)
	default:
		words += fmt.Sprintf(" is %s by %s", e.Cause, axprocess.Signal(e.Code))
	}
	switch {
	case e.Gone:
		words += ", and is gone: " + e.Reason
	case e.Waits != 0:
		words += fmt.Sprintf(", and is a zombie until %d waits for it", e.Waits)
	}
	return words
}

func printSpans(p *paragraphs, what string, l explain.Life) {
	for _, n := range l.Made {
		p.item(what, fmt.Sprintf("%d begins", n))
	}
	for _, n := range l.Ended {
		p.item(what, fmt.Sprintf("%d ends", n))
	}
}
