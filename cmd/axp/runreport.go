package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"axprocess"
	"axprocess/host/supervise"
	"axprocess/report"
)

// This file is about what axp run says on standard error: lines that begin with
// "axp:", and with -v the tree of all that ran.

// sayings writes lines of the run's report.
type sayings struct {
	w     io.Writer
	style report.Style
}

// errStyle is standard error's own style.
func (a *app) errStyle() report.Style {
	y := report.Style{Width: pipeWidth, ASCII: a.out.ASCII}
	f, ok := a.stderr.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return y
	}
	y.Color = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
		y.Width = width
	}
	return y
}

// line says one thing.
func (s *sayings) line(tone report.Tone, format string, args ...any) {
	fmt.Fprintf(s.w, "axp: %s\n", s.style.Paint(tone, fmt.Sprintf(format, args...)))
}

// command is a process's command, fit for a line that holds n columns of other
// things.
func (s *sayings) command(p *supervise.Process, n int) string {
	return s.style.Cut(s.style.Clean(p.Command()), max(20, s.style.Width-n))
}

// waiting names those that the end waits for.
func (s *sayings) waiting(held []supervise.Process) {
	s.line(report.Notice, "waiting for %s to end:", count(len(held), "process", "processes"))
	for i := range held {
		if i == 5 {
			s.line(report.Notice, "  and %d more", len(held)-i)
			return
		}
		p := &held[i]
		s.line(report.Plain, "  %d %s%s", p.PID, s.command(p, 40), holds(p))
	}
}

// holds says whether a process has one of our standard streams open.
func holds(p *supervise.Process) string {
	var names []string
	for fd, name := range []string{"input", "output", "error"} {
		ours, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
		if err != nil || !strings.HasPrefix(ours, "pipe:") {
			continue
		}
		dir := fmt.Sprintf("/proc/%d/fd", p.PID)
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if theirs, _ := os.Readlink(dir + "/" + e.Name()); theirs == ours {
				names = append(names, name)
				break
			}
		}
	}
	if len(names) == 0 {
		return ""
	}
	return ", holds standard " + strings.Join(names, " and ")
}

// report says what there is to say.
func (s *sayings) report(rep *supervise.Report, verbose bool) {
	if verbose {
		s.tree(rep)
	}
	s.leaks(rep)
	s.neglected(rep)
	s.killed(rep)
	if rep.Partial {
		s.line(report.Notice, "interrupted: this is what was seen until then")
	}
	if !rep.Complete && verbose || s.gaps(rep) {
		s.line(report.Notice, "followed by %s: processes may be missing here", rep.Follow)
	}
}

// gaps says whether something is known to have escaped the follower.
func (s *sayings) gaps(rep *supervise.Report) bool {
	return rep.Follow != supervise.Proc && !rep.Complete
}

func (s *sayings) leaks(rep *supervise.Report) {
	leaks := rep.Leaks()
	if len(leaks) == 0 {
		return
	}
	s.line(report.Bad, "%s left behind:", count(len(leaks), "process was", "processes were"))
	for i := range leaks {
		if i == 20 {
			s.line(report.Plain, "  and %d more", len(leaks)-i)
			break
		}
		p := &leaks[i]
		note := s.fate(p) + s.descent(rep, p)
		s.line(report.Plain, "  %d %s", p.PID, s.command(p, 15))
		s.line(report.Faint, "    %s", note)
	}
}

// fate says what became of what was left.
func (s *sayings) fate(p *supervise.Process) string {
	switch {
	case p.Unkillable != "":
		return "still there: " + p.Unkillable
	case p.Alive():
		return "still there"
	case p.Cause == axprocess.Exited:
		return fmt.Sprintf("ended with exit code %d", p.Code)
	case p.Cause == 0:
		return "ended"
	}
	return "ended by " + axprocess.Signal(p.Code).String()
}

// descent says where it came from, and how it got away.
func (s *sayings) descent(rep *supervise.Report, p *supervise.Process) string {
	text := ""
	if by := rep.Process(p.StartedBy); by != nil {
		text += fmt.Sprintf("; started by %d (%s)", by.PID, s.style.Clean(by.Comm))
	}
	if p.SID == p.PID {
		text += "; leads a session of its own"
	} else if first := rep.Process(1); first != nil && p.SID != first.SID {
		text += fmt.Sprintf("; in session %d", p.SID)
	}
	if len(p.Reparented) > 0 {
		text += "; orphaned"
	}
	return text
}

func (s *sayings) neglected(rep *supervise.Report) {
	all := rep.Neglected()
	if len(all) == 0 {
		return
	}
	s.line(report.Bad, "%s never waited for by the parent:", count(len(all), "process was", "processes were"))
	for i := range all {
		if i == 20 {
			s.line(report.Plain, "  and %d more", len(all)-i)
			return
		}
		p := &all[i]
		parent := p.PPID
		if n := len(p.Reparented); n > 0 {
			parent = p.Reparented[n-1].From
		}
		name := ""
		for j := range rep.Processes {
			if q := &rep.Processes[j]; q.PID == parent && q.ID < p.ID {
				name = " (" + s.style.Clean(q.Comm) + ")"
			}
		}
		s.line(report.Plain, "  %d %s", p.PID, s.command(p, 15))
		s.line(report.Faint, "    zombie: %s; parent %d%s", s.fate(p), parent, name)
	}
}

// killed names those that a signal ended, but for what was left: that was us.
func (s *sayings) killed(rep *supervise.Report) {
	n := 0
	for i := range rep.Processes {
		p := &rep.Processes[i]
		if p.Cause != axprocess.Killed && p.Cause != axprocess.Dumped || p.Left || p.ID == 1 && p.Cause == axprocess.Killed {
			continue
		}
		if n++; n > 20 {
			continue
		}
		s.line(report.Notice, "%d %s was killed by %s", p.PID, s.command(p, 45), axprocess.Signal(p.Code))
	}
	if n > 20 {
		s.line(report.Notice, "and %d more were killed by signals", n-20)
	}
}

// tree says all that ran, by who started whom.
func (s *sayings) tree(rep *supervise.Report) {
	s.line(report.Strong, "%s in %v, followed by %s", count(len(rep.Processes), "process", "processes"),
		rep.End.Sub(rep.Start).Round(time.Millisecond), rep.Follow)
	children := map[uint64][]*supervise.Process{}
	for i := range rep.Processes {
		p := &rep.Processes[i]
		children[p.StartedBy] = append(children[p.StartedBy], p)
	}
	type step struct {
		p     *supervise.Process
		depth int
	}
	var todo []step
	push := func(id uint64, depth int) {
		kids := children[id]
		for i := len(kids) - 1; i >= 0; i-- {
			todo = append(todo, step{kids[i], depth})
		}
	}
	push(0, 0)
	for len(todo) > 0 {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		indent := strings.Repeat("  ", min(at.depth, 10))
		s.line(report.Plain, "%s%d %s", indent, at.p.PID, s.command(at.p, 15+len(indent)))
		s.line(report.Faint, "%s  %s", indent, s.life(rep, at.p))
		push(at.p.ID, at.depth+1)
	}
}

// life says when a process lived, how it ended, and who waited for it.
func (s *sayings) life(rep *supervise.Report, p *supervise.Process) string {
	since := func(t time.Time) string { return fmt.Sprintf("%.3fs", max(0, t.Sub(rep.Start).Seconds())) }
	text := "from " + since(p.Start)
	switch {
	case p.Alive():
		text += ", still there"
	case p.Cause == 0:
		text += " to " + since(p.End) + ", exit code not known"
	case p.Cause == axprocess.Exited:
		text += fmt.Sprintf(" to %s, exit %d", since(p.End), p.Code)
	default:
		text += fmt.Sprintf(" to %s, %s", since(p.End), axprocess.Signal(p.Code))
	}
	if p.ReapedBy != 0 {
		text += fmt.Sprintf(", reaped by %d", p.ReapedBy)
		if p.ReapInferred {
			text += " (inferred)"
		}
	}
	for _, r := range p.Reparented {
		text += fmt.Sprintf(", from parent %d to %d", r.From, r.To)
	}
	return text
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// life is the report as the timeline draws it.
func life(rep *supervise.Report) *report.Life {
	l := &report.Life{Command: rep.Command, Start: rep.Start, Duration: rep.End.Sub(rep.Start), Lost: rep.Lost}
	l.Outcome = fmt.Sprintf("exit %d", rep.Code)
	if rep.Cause != axprocess.Exited {
		l.Outcome = "killed by " + axprocess.Signal(rep.Code).String()
	}
	since := func(t time.Time, least time.Duration) time.Duration {
		if t.IsZero() {
			return least
		}
		return max(t.Sub(rep.Start), least)
	}
	starts := map[uint64]time.Duration{}
	for i := range rep.Processes {
		p := &rep.Processes[i]
		q := report.LifeProcess{ID: p.ID, PID: p.PID, PPID: p.PPID, PGID: p.PGID, SID: p.SID, StartedBy: p.StartedBy,
			Comm: p.Comm, Args: p.Args, Ended: !p.Alive(), Exit: -1, Left: p.Left}
		q.Start = since(p.Start, starts[p.StartedBy])
		starts[p.ID] = q.Start
		switch p.Cause {
		case axprocess.Exited:
			q.Exit = p.Code
		case axprocess.Killed, axprocess.Dumped:
			q.Signal, q.Core, q.Exit = axprocess.Signal(p.Code), p.Cause == axprocess.Dumped, 0
		}
		if q.Ended {
			q.End = since(p.End, q.Start)
			q.Reaped = p.ReapedBy != 0 || !p.Reaped.IsZero()
			q.ReapedAt = since(p.Reaped, q.End)
		}
		if !q.Reaped {
			q.ReapedAt = 0
		}
		at := q.Start
		for _, x := range p.Execs {
			at = since(x.At, at)
			q.Execs = append(q.Execs, report.LifeExec{At: at, Args: x.Args})
		}
		for _, h := range p.Threads {
			q.Threads = append(q.Threads, report.LifeThread{TID: h.TID, Comm: p.Comm, Start: since(h.Start, q.Start), End: since(h.End, 0)})
		}
		l.Processes = append(l.Processes, q)
	}
	return l
}
