package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"axprocess"
	"axprocess/host"
	"axprocess/report"
)

// watchFlags are what axp watch is asked for.
type watchFlags struct {
	json    bool
	threads bool
}

// watchCommand shows what happens on the host, as it happens.
func watchCommand(a *app) *cobra.Command {
	var f watchFlags
	c := &cobra.Command{
		Use:   "watch [PID]",
		Short: "What happens to the host's processes, as it happens",
		Long: `Prints a line for each process that is started, executes a program, makes a
session or ends, until it is interrupted. With a PID, only that process and what
is started below it, until the last of them has ended.

What the kernel could not deliver is counted and said. It can't be used inside a
pid namespace, and before Linux 6.6 it needs CAP_NET_ADMIN.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return f.watch(a, args) },
	}
	c.Flags().BoolVar(&f.json, "json", false, "print one JSON object a line")
	c.Flags().BoolVar(&f.threads, "threads", false, "tell of threads too")
	return c
}

func (f *watchFlags) watch(a *app, args []string) error {
	var below axprocess.PID
	if len(args) > 0 {
		var err error
		if below, err = parsePID(args[0]); err != nil {
			return err
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	w, err := host.Watch()
	if err != nil {
		return err
	}
	defer func() { _ = w.Close() }()
	s, err := host.Read(host.Options{}) // after the watch has begun: nothing is between
	if err != nil {
		return err
	}
	v := &watched{snapshot: s, flags: f, out: a.out, comm: map[axprocess.PID]string{}, below: below}
	if err := v.begin(); err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "axp: watch: from now on; %s so far\n", report.Count(len(v.comm), "process", "processes"))
	for !v.over() {
		c, err := w.Next(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if err := v.tell(c); err != nil {
			return err
		}
	}
	return nil
}

// watched is what is known of the processes that are watched.
type watched struct {
	snapshot *host.Snapshot
	flags    *watchFlags
	out      output
	comm     map[axprocess.PID]string // the names of those that live
	below    axprocess.PID            // 0: all
}

// begin takes those that are there.
func (v *watched) begin() error {
	if v.below == 0 {
		for _, p := range v.snapshot.Table.Processes() {
			v.comm[p.PID()] = host.Of(p).Comm
		}
		return nil
	}
	p := v.snapshot.Table.Process(v.below)
	if p == nil {
		return fmt.Errorf("there is no process %d", v.below)
	}
	for todo := []*axprocess.Process{p}; len(todo) > 0; {
		p, todo = todo[0], append(todo[1:], todo[0].Children()...)
		if !p.IsZombie() {
			v.comm[p.PID()] = host.Of(p).Comm
		}
	}
	return nil
}

// over says whether there is nobody left to watch.
func (v *watched) over() bool { return v.below != 0 && len(v.comm) == 0 }

// tell prints a change, if it is about somebody who is watched.
func (v *watched) tell(c host.Change) error {
	leaderGone := c.Kind == host.Exited && c.TID == c.PID
	name, known := v.comm[c.PID]
	switch {
	case c.Kind == host.Lost:
		if err := v.again(); err != nil {
			return err
		}
	case c.Kind == host.Forked:
		if name, known = v.comm[c.Parent]; !known && v.below != 0 {
			return nil
		}
		v.comm[c.PID] = name
	case !known && v.below != 0:
		return nil
	case c.Kind == host.Execed:
		if now := host.Comm(c.PID); now != "" { // else it has ended meanwhile
			v.comm[c.PID], name = now, now
		}
	case c.Kind == host.Renamed && c.TID == c.PID:
		v.comm[c.PID], name = c.Comm, c.Comm
	case leaderGone:
		delete(v.comm, c.PID)
	}
	if c.Kind == host.Renamed || !v.flags.threads && (c.Kind == host.ThreadStarted || c.Kind == host.Exited && !leaderGone) {
		return nil
	}
	if err := v.print(c, name); err != nil {
		return err
	}
	return v.out.flush()
}

// again looks who is there after changes were lost: who has ended unseen is
// forgotten, who was started unseen is taken in.
func (v *watched) again() error {
	s, err := host.Read(host.Options{})
	if err != nil {
		return err
	}
	for pid := range v.comm {
		if p := s.Table.Process(pid); p == nil || p.IsZombie() {
			delete(v.comm, pid)
		}
	}
	for _, p := range s.Table.Processes() {
		if p.IsZombie() {
			continue
		}
		for up := p; up != nil; up = up.Parent() {
			if _, known := v.comm[up.PID()]; known || v.below == 0 {
				v.comm[p.PID()] = host.Of(p).Comm
				break
			}
		}
	}
	return nil
}

// changeJSON is a line of axp watch --json (docs/json.md).
type changeJSON struct {
	At     time.Time     `json:"at"`
	Kind   string        `json:"kind"`
	PID    axprocess.PID `json:"pid,omitempty"`
	TID    axprocess.PID `json:"tid,omitempty"`
	Parent axprocess.PID `json:"parent,omitempty"`
	Comm   string        `json:"comm,omitempty"`
	Args   []string      `json:"args,omitempty"`
	Exit   *int          `json:"exit,omitempty"`
	Signal string        `json:"signal,omitempty"`
	Core   bool          `json:"core,omitempty"`
	Missed uint32        `json:"missed,omitempty"`
}

func (v *watched) print(c host.Change, name string) error {
	if c.At == 0 {
		c.At = time.Since(v.snapshot.Boot)
	}
	j := changeJSON{At: v.snapshot.Boot.Add(c.At).UTC(), Kind: c.Kind.String(), PID: c.PID, Parent: c.Parent, Comm: name, Missed: c.Missed}
	if c.TID != c.PID {
		j.TID = c.TID
	}
	if c.Kind == host.Execed {
		j.Args = host.Args(c.PID) // of a short life they are not to be had any more
	}
	if c.Kind == host.Exited {
		status := syscall.WaitStatus(c.Status)
		if status.Signaled() {
			j.Signal, j.Core = axprocess.Signal(status.Signal()).String(), status.CoreDump()
		} else {
			code := status.ExitStatus()
			j.Exit = &code
		}
	}
	if v.flags.json {
		return json.NewEncoder(v.out).Encode(j)
	}
	text, tone := j.sentence(v.out.Style)
	line := j.At.Local().Format("15:04:05.000") + " " + text
	width := v.out.Width
	if !v.out.Terminal {
		width = 1 << 20 // a line a change, whole, for whoever reads them
	}
	_, err := fmt.Fprintln(v.out, v.out.Paint(tone, v.out.Cut(line, width)))
	return err
}

// sentence is a change for a person.
func (j *changeJSON) sentence(y report.Style) (string, report.Tone) {
	who := fmt.Sprintf("%d (%s)", j.PID, y.Clean(cmp.Or(j.Comm, "?"))) // ?: it ended before it could be looked at
	if j.TID != 0 {
		who += fmt.Sprintf(" thread %d", j.TID)
	}
	switch j.Kind {
	case host.Lost.String():
		if j.Missed == 0 {
			return "changes are being lost: more happens than can be delivered", report.Bad
		}
		return report.Count(int(j.Missed), "change", "changes") + " lost: more happened than could be delivered", report.Bad
	case host.Forked.String():
		return fmt.Sprintf("%s forked by %d", who, j.Parent), report.Plain
	case host.Execed.String():
		args := ""
		for _, arg := range j.Args {
			args += " " + y.Clean(arg)
		}
		return fmt.Sprintf("%s exec%s", who, args), report.Plain
	case host.SessionMade.String():
		return who + " made a session", report.Notice
	case host.ThreadStarted.String():
		return who + " started", report.Faint
	case host.DumpedCore.String():
		return who + " leaves a core", report.Bad
	}
	switch {
	case j.Signal != "":
		return who + " killed by " + j.Signal, report.Bad
	case j.Exit != nil && *j.Exit != 0:
		return fmt.Sprintf("%s exited with %d", who, *j.Exit), report.Notice
	}
	return who + " exited with 0", report.Faint
}
