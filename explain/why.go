package explain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"axprocess"
)

// This file is about why a process is as it is: its state, its parent, its stop,
// its group, and what calls on it would be refused. Each point names its rule.

// Answer is why a process is as it is. Its JSON form is stable.
type Answer struct {
	PID         axprocess.PID `json:"pid"`
	ID          uint64        `json:"id,omitzero"` // unique id, of a record
	Comm        string        `json:"comm,omitzero"`
	State       string        `json:"state"`
	At          time.Time     `json:"at,omitzero"`
	Parent      axprocess.PID `json:"ppid"`
	PGID        axprocess.PID `json:"pgid"`
	SID         axprocess.PID `json:"sid"`
	Points      []Point       `json:"points"`
	History     []Step        `json:"history,omitempty"` // what happened to it, oldest first; of a record
	Assumptions []Assumption  `json:"assumptions,omitempty"`
}

// Point is one thing about a process, and why it is so.
type Point struct {
	About string          `json:"about"` // "state", "zombie", "parent", "stopped", "group", "session", "kill", "setpgid"
	Says  string          `json:"says"`
	Rule  string          `json:"rule,omitzero"` // where the rule is from
	PIDs  []axprocess.PID `json:"pids,omitempty"`
	Errno string          `json:"errno,omitzero"` // with which a call would be refused
}

// Step is one thing that happened.
type Step struct {
	At   time.Time `json:"at,omitzero"`
	Seq  uint64    `json:"seq"`
	Says string    `json:"says"`
}

// Why explains a process, given by its number or that of one of its threads.
func (c *Case) Why(pid axprocess.PID) (*Answer, error) {
	p, err := c.find(pid)
	if err != nil {
		return nil, err
	}
	a := &Answer{
		PID: p.PID(), Comm: c.about(p).Comm, State: c.state(p), At: c.moment(),
		PGID: p.Group().PGID(), SID: p.Session().SID(), Assumptions: c.Assumptions,
	}
	if parent := p.Parent(); parent != nil {
		a.Parent = parent.PID()
	}
	if c.History != nil {
		a.ID = p.ID()
	}
	c.whyState(a, p)
	c.whyParent(a, p)
	c.whyGroup(a, p)
	c.whySession(a, p)
	c.whyKill(a, p)
	c.whySetpgid(a, p)
	for _, e := range c.History {
		if e.ID == p.ID() && e.Kind != axprocess.EventChanged && e.Kind != axprocess.EventThreadChanged {
			a.History = append(a.History, c.step(&e))
		}
	}
	return a, nil
}

// step is an event as history has it. A time that is since the first line is in the
// words.
func (c *Case) step(e *axprocess.Event) Step {
	if c.Since.IsZero() || e.At.IsZero() {
		return Step{e.At, e.Seq, e.String()}
	}
	return Step{Seq: e.Seq, Says: c.when(e.At) + ": " + e.String()}
}

func (a *Answer) say(about, rule string, pids []axprocess.PID, format string, args ...any) *Point {
	a.Points = append(a.Points, Point{About: about, Says: fmt.Sprintf(format, args...), Rule: rule, PIDs: pids})
	return &a.Points[len(a.Points)-1]
}

// whyState: what it is, and what has to happen for it to change.
func (c *Case) whyState(a *Answer, p *axprocess.Process) {
	switch {
	case p.IsZombie():
		c.whyZombie(a, p)
	case p.IsLeaderExited():
		a.say("state", "kernel: delay_group_leader", numbers(p.Threads(), (*axprocess.Thread).TID),
			"its leader thread has exited and %d other threads live: it is no zombie, can't be waited for, and keeps its number until the last one ends",
			len(p.Threads()))
	case p.Stopped() != 0 || a.State == "stopped":
		c.whyStopped(a, p)
	case a.State == "traced":
		tracer := c.about(p).Tracer
		a.say("stopped", "ptrace(2)", pidsOf(tracer), "its tracer %d has stopped it: SIGCONT does not continue it, the tracer does", tracer)
	case a.State == "disk-sleep":
		a.say("state", "proc_pid_stat(5): D", nil, "it sleeps in the kernel where signals don't reach it%s: also SIGKILL waits until it wakes", c.sleepsIn(p))
	case c.about(p).Kernel:
		a.say("state", "kernel: kthreadd", nil, "it is a thread of the kernel: signals don't reach it")
	case p.IsGroupExited():
		a.say("state", "exit_group(2)", nil, "its exit has begun: each of its threads is on the way out")
	default:
		a.say("state", "", nil, "it is %s%s", a.State, c.sleepsIn(p))
	}
	if tracer := c.about(p).Tracer; tracer != 0 && a.State != "traced" {
		a.say("state", "ptrace(2)", pidsOf(tracer), "%s traces it, and is told of its signals and its end first", c.name(c.Table.Process(tracer)))
	}
}

// sleepsIn is ", in CALL", of the thread that acts for the process.
func (c *Case) sleepsIn(p *axprocess.Process) string {
	if c.Doing == nil {
		return ""
	}
	for _, d := range c.Doing(p) {
		if words := d.words(); words != "" {
			return ", " + words
		}
	}
	return ""
}

func (d Doing) words() string {
	switch {
	case d.Running:
		return "running"
	case strings.HasPrefix(d.Call, "wait"):
		return "in " + d.Call + " for " + targetWords(d.Target)
	case d.Call != "":
		return "in " + d.Call
	case d.Wchan != "":
		return "asleep in the kernel's " + d.Wchan
	}
	return ""
}

func targetWords(target axprocess.PID) string {
	switch {
	case target > 0:
		return fmt.Sprintf("process %d", target)
	case target == axprocess.WaitAny:
		return "any child"
	case target == axprocess.WaitGroup:
		return "its own group"
	}
	return fmt.Sprintf("group %d", -target)
}

// whyZombie: how it ended, who must wait, and what keeps that one.
func (c *Case) whyZombie(a *Answer, p *axprocess.Process) {
	end := fmt.Sprintf("it exited with code %d", p.ExitCode())
	if e := c.last(p, axprocess.EventExited); e != nil && e.Cause != axprocess.Exited {
		end = fmt.Sprintf("it was %s by %s", e.Cause, axprocess.Signal(e.Code))
	} else if r, ok := c.ended(p); ok && r.Cause != axprocess.Exited {
		end = fmt.Sprintf("it was %s by %s", r.Cause, axprocess.Signal(r.Code))
	}
	since := "since when the kernel does not say"
	if e := c.last(p, axprocess.EventExited); e != nil && !e.At.IsZero() {
		since = "since it ended, " + c.when(e.At)
	} else if started := c.about(p).Started; !started.IsZero() && !c.At.IsZero() {
		since = fmt.Sprintf("for %s at most, since its start", c.At.Sub(started).Round(time.Second))
	}
	parent := p.Parent()
	if parent == nil {
		a.say("zombie", "wait(2), notes", nil, "%s, and its parent, which is not in sight, has not waited for it, %s", end, since)
		return
	}
	a.say("zombie", "wait(2), notes; kernel: exit_notify", []axprocess.PID{parent.PID()},
		"%s, and its parent %s has not waited for it, %s; it goes when the parent waits, or ends, and then the parent's reaper waits", end, c.name(parent), since)
	c.whyNoWait(a, p, parent)
}

// whyNoWait: what the parent does instead of waiting.
func (c *Case) whyNoWait(a *Answer, p, parent *axprocess.Process) {
	about := []axprocess.PID{parent.PID()}
	if parent.Stopped() != 0 {
		a.say("zombie", "signal(7)", about, "%s is stopped by %s, so it can't wait until it is continued", c.name(parent), parent.Stopped())
		return
	}
	if action, err := parent.Action(axprocess.SIGCHLD); err == nil && c.about(parent).Signals {
		switch {
		case action.Disposition == axprocess.Ignore:
			a.say("zombie", "sigaction(2)", about, "%s ignores SIGCHLD now, and did not when the child ended, or the child sends another signal: its later children end without a wait", c.name(parent))
		case action.Disposition == axprocess.Default:
			a.say("zombie", "signal(7)", about, "%s has no handler for SIGCHLD: it learns of an end only by waiting", c.name(parent))
		}
	}
	if c.Doing == nil {
		return
	}
	for _, d := range c.Doing(parent) {
		target, waits := d.Target, strings.HasPrefix(d.Call, "wait")
		switch words := d.words(); {
		case words == "":
			continue
		case waits && target > 0 && target != p.PID():
			a.say("zombie", "waitpid(2)", append(about, target), "%s is %s alone, which has not ended: other children are not looked at", c.name(parent), words)
		case waits && (target == axprocess.WaitAny || target == p.PID()):
			a.say("zombie", "waitpid(2)", about, "%s is %s at this moment: it is about to take the zombie, or waits for another kind of child (__WCLONE, __WNOTHREAD)", c.name(parent), words)
		case waits:
			a.say("zombie", "waitpid(2)", about, "%s is %s, which the zombie is not in, or it would be taken", c.name(parent), words)
		default:
			a.say("zombie", "", about, "%s, thread %d, is %s, and not in a wait", c.name(parent), d.TID, words)
		}
	}
}

func (c *Case) whyStopped(a *Answer, p *axprocess.Process) {
	by := p.Stopped().String()
	if e := c.last(p, axprocess.EventStopped); e == nil && c.assumes("stop-signal") {
		by = "a stop signal (SIGSTOP, SIGTSTP, SIGTTIN or SIGTTOU; /proc does not tell)"
	} else if e != nil && !e.At.IsZero() {
		by += ", " + c.when(e.At)
	}
	a.say("stopped", "signal(7)", nil, "it was stopped by %s; SIGCONT continues it, SIGKILL ends it", by)
	g := p.Group()
	term := p.Session().Terminal()
	if term != nil && term.Foreground() != g.PGID() {
		a.say("stopped", "termios(3), job control", []axprocess.PID{term.Foreground()},
			"its group %d is in the background of its terminal, where %d is in the foreground: reading stops it (SIGTTIN), and so does writing with TOSTOP (SIGTTOU)", g.PGID(), term.Foreground())
	}
	if g.IsOrphaned() {
		a.say("stopped", "POSIX XBD 3.243", nil,
			"its group %d is orphaned: no shell of its session will continue it, and SIGTSTP, SIGTTIN and SIGTTOU no longer stop it", g.PGID())
	}
}

func (c *Case) whyParent(a *Answer, p *axprocess.Process) {
	parent := p.Parent()
	if parent == nil {
		if p.IsInit() {
			a.say("parent", "kernel: rest_init", nil, "it is the init: it has no parent, and gets the orphans that no subreaper above them gets")
		} else {
			a.say("parent", "", nil, "its parent is not in sight: it is outside of this pid namespace, or the kernel")
		}
		return
	}
	about := []axprocess.PID{parent.PID()}
	if e := c.last(p, axprocess.EventReparented); e != nil {
		a.say("parent", "kernel: find_new_reaper", append(about, e.From), "%d forked it or had it before; %s", e.From, e)
		return
	}
	if e := c.last(p, axprocess.EventForked); e != nil {
		a.say("parent", "fork(2)", about, "%s forked it", c.name(parent))
		return
	}
	why := c.adoptedBecause(p)
	reaper := "the init"
	if !parent.IsInit() {
		reaper = "the nearest child subreaper above it"
	}
	switch {
	case why != "":
		a.say("parent", "kernel: find_new_reaper", about, "%s adopted it when its parent ended, as %s: %s", c.name(parent), reaper, why)
	case parent.IsInit() || parent.IsSubreaper():
		a.say("parent", "kernel: find_new_reaper", about, "%s forked it, or adopted it as %s when its parent ended: the kernel does not tell these apart", c.name(parent), reaper)
	default:
		a.say("parent", "fork(2)", about, "%s forked it (or a child of that one with CLONE_PARENT): orphans go to a subreaper or the init only", c.name(parent))
	}
}

// whyGroup: whether its group is orphaned, and what makes it so or keeps it.
func (c *Case) whyGroup(a *Answer, p *axprocess.Process) {
	const rule = "POSIX XBD 3.243; kernel: will_become_orphaned_pgrp"
	g := p.Group()
	if g.PGID() == 0 {
		a.say("group", "", nil, "its group is outside of this pid namespace")
		return
	}
	members := g.Processes()
	if g.IsOrphaned() {
		a.say("group", rule, numbers(members, (*axprocess.Process).PID),
			"group %d is orphaned: no member has a parent in another group of session %d (the init doesn't count): %s", g.PGID(), g.Session().SID(), c.parents(members))
		return
	}
	for _, m := range members {
		parent := m.Parent()
		if !m.IsZombie() && parent != nil && !parent.IsInit() && parent.Group() != g && parent.Session() == g.Session() {
			a.say("group", rule, []axprocess.PID{m.PID(), parent.PID()}, "group %d is not orphaned: %s has its parent %s in group %d of the same session",
				g.PGID(), c.name(m), c.name(parent), parent.Group().PGID())
			return
		}
	}
}

// parents says where the parents of a few members are.
func (c *Case) parents(members []*axprocess.Process) string {
	var words []string
	for i, m := range members {
		if i == 4 {
			words = append(words, fmt.Sprintf("and %d more", len(members)-i))
			break
		}
		switch parent := m.Parent(); {
		case m.IsZombie():
			words = append(words, fmt.Sprintf("%d has exited", m.PID()))
		case parent == nil:
			words = append(words, fmt.Sprintf("%d has no parent in sight", m.PID()))
		case parent.IsInit():
			words = append(words, fmt.Sprintf("%d has the init", m.PID()))
		case parent.Group() == m.Group():
			words = append(words, fmt.Sprintf("%d has %d of the group itself", m.PID(), parent.PID()))
		default:
			words = append(words, fmt.Sprintf("%d has %d of session %d", m.PID(), parent.PID(), parent.Session().SID()))
		}
	}
	return strings.Join(words, ", ")
}

func (c *Case) whySession(a *Answer, p *axprocess.Process) {
	v := p.Session()
	if v.SID() == 0 {
		return
	}
	leader := v.Leader()
	switch {
	case leader == p:
		a.say("session", "setsid(2)", nil, "it leads session %d%s: when it exits, the session has no leader, and its terminal is given up", v.SID(), terminalWords(v))
	case leader == nil && c.History != nil:
		a.say("session", "setsid(2)", nil, "session %d was made before the record began, or its leader has exited", v.SID())
	case leader == nil:
		a.say("session", "setsid(2)", nil, "session %d has lost its leader, and with it its terminal; the number stays in use until its last member is gone", v.SID())
	default:
		a.say("session", "setsid(2)", []axprocess.PID{leader.PID()}, "session %d is led by %s%s", v.SID(), c.name(leader), terminalWords(v))
	}
}

func terminalWords(v *axprocess.Session) string {
	term := v.Terminal()
	if term == nil {
		return ", without a terminal"
	}
	return fmt.Sprintf(", with terminal %v and group %d in its foreground", term.Data(), term.Foreground())
}

// whyKill: what SIGTERM would do, and SIGKILL where that is another thing.
func (c *Case) whyKill(a *Answer, p *axprocess.Process) {
	if p.IsInit() {
		a.say("kill", "kill(2): the only signals that can be sent to process 1", nil, "from inside, signals that it has no handler for are dropped, SIGKILL and SIGSTOP among them")
		return
	}
	if c.about(p).Kernel {
		return
	}
	for _, sig := range [...]axprocess.Signal{axprocess.SIGTERM, axprocess.SIGKILL} {
		action, err := c.actionOf(p, sig)
		switch {
		case err != nil:
			a.refusal("kill", "kill(2)", err, "kill would be refused")
			return
		case p.IsZombie():
			a.say("kill", "kill(2); kernel: kill_pid_info", nil, "kill succeeds and does nothing: a zombie has nobody left to take a signal")
			return
		case action == axprocess.Ended && sig == axprocess.SIGTERM:
			a.say("kill", "signal(7)", nil, "SIGTERM ends it")
			return
		case action == axprocess.Ended:
			a.say("kill", "signal(7)", nil, "SIGKILL ends it")
		default:
			a.say("kill", "signal(7)", nil, "%s does not end it: %s", sig, c.whySurvives(p, sig, action))
		}
	}
}

// whySurvives says what keeps a process from ending by a signal.
func (c *Case) whySurvives(p *axprocess.Process, sig axprocess.Signal, action axprocess.Action) string {
	does, err := p.Action(sig)
	switch {
	case c.Inside[p.ID()] != nil && does.Disposition == axprocess.Ignore:
		return "it is the init of a pid namespace, and has no handler for it, or ignores it"
	case err == nil && does.Disposition == axprocess.Ignore:
		return "it is ignored"
	case err == nil && does.Disposition == axprocess.Handle && p.SignalMask().Has(sig):
		return "it is blocked, and handled when it is let through"
	case err == nil && does.Disposition == axprocess.Handle:
		return "it has a handler, which decides"
	case p.SignalMask().Has(sig):
		return "it is blocked, and stays pending"
	case p.Stopped() != 0:
		return "it stays pending until the process is continued"
	}
	return "it is " + action.String()
}

// actionOf sends a signal on a clone.
func (c *Case) actionOf(p *axprocess.Process, sig axprocess.Signal) (axprocess.Action, error) {
	clone, err := c.Table.Clone(axprocess.WithPermission(axprocess.UnixPermission))
	if err != nil {
		return 0, err
	}
	result, err := c.sender(clone).Kill(p.PID(), sig)
	if err != nil {
		return 0, err
	}
	for _, e := range result.Effects() {
		if e.Process.PID() == p.PID() {
			return e.Action, nil
		}
	}
	return axprocess.Dropped, nil
}

// whySetpgid: whether it, or its parent for it, could make a group of its own.
func (c *Case) whySetpgid(a *Answer, p *axprocess.Process) {
	if p.IsInit() || c.about(p).Kernel {
		return
	}
	if !p.IsZombie() {
		c.trySetpgid(a, p, p, "setpgid by itself")
	}
	if parent := p.Parent(); parent != nil && !parent.IsZombie() {
		c.trySetpgid(a, p, parent, fmt.Sprintf("setpgid by its parent %s", c.name(parent)))
	}
}

func (c *Case) trySetpgid(a *Answer, p, by *axprocess.Process, what string) {
	clone, err := c.Table.Clone()
	if err != nil {
		return
	}
	err = clone.Process(by.PID()).Setpgid(p.PID(), p.PID())
	if err != nil {
		a.refusal("setpgid", "setpgid(2)", err, what+" to a group of its own would be refused")
		return
	}
	says := what + " to a group of its own would succeed"
	if p.Group().PGID() == p.PID() {
		says = what + " to a group of its own changes nothing: it is there"
	}
	a.say("setpgid", "setpgid(2)", nil, "%s", says)
}

// refusal says why a call would be refused, in the words of the rule.
func (a *Answer) refusal(about, rule string, err error, what string) {
	var refused *axprocess.Error
	if !errors.As(err, &refused) {
		a.say(about, rule, nil, "%s: %v", what, err)
		return
	}
	a.say(about, rule, nil, "%s: %s, %s", what, unix.ErrnoName(refused.Err), refused.Reason).Errno = unix.ErrnoName(refused.Err)
}

// last returns the last event of a kind about a process, if the history has one.
func (c *Case) last(p *axprocess.Process, kind axprocess.EventKind) *axprocess.Event {
	for _, e := range slices.Backward(c.History) {
		if e.ID == p.ID() && e.Kind == kind {
			return &e
		}
	}
	return nil
}

func (c *Case) assumes(about string) bool {
	return slices.ContainsFunc(c.Assumptions, func(a Assumption) bool { return a.About == about })
}

// ended says how a zombie ended, asking as its parent would; that changes nothing
// (WNOWAIT).
func (c *Case) ended(p *axprocess.Process) (axprocess.WaitResult, bool) {
	parent := p.Parent()
	if parent == nil {
		return axprocess.WaitResult{}, false
	}
	r, err := parent.WaitProcess(context.Background(), p, axprocess.WEXITED|axprocess.WNOHANG|axprocess.WNOWAIT|axprocess.WALL)
	return r, err == nil && r.Cause != 0
}

func numbers[T any](all []T, number func(T) axprocess.PID) []axprocess.PID {
	var to []axprocess.PID
	for _, one := range all {
		to = append(to, number(one))
	}
	return to
}

func pidsOf(pids ...axprocess.PID) []axprocess.PID {
	return slices.DeleteFunc(pids, func(p axprocess.PID) bool { return p == 0 })
}
