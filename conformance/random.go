package conformance

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"axprocess"
)

// This file is about random stories: steps that can be taken now are drawn one
// after the other and acted on both sides.
//
// What the kernel leaves open is not drawn, or ends the story:
//   - when several processes end in one step and one of them has children, which is
//     first decides who gets and reaps whom, and there is more of the kind (see
//     ordered): the story ends there, and is counted as unordered if the two sides
//     part;
//   - of two blocked waits of one process either may be given a child: a process
//     has one blocked wait at most;
//   - a vfork parent that sleeps in the kernel is not stopped or looked at: the
//     child execs or exits at once.

// Tally counts what a run of random stories has done.
type Tally struct {
	Stories, Steps int
	Unordered      int // stories that ended in what the kernel leaves open, and parted there
	Disturbed      int // stories that failed once and passed when they were acted again
}

// Add adds another run's counts.
func (t *Tally) Add(other Tally) {
	t.Stories += other.Stories
	t.Steps += other.Steps
	t.Unordered += other.Unordered
	t.Disturbed += other.Disturbed
}

// Random acts random stories, all determined by seed, until steps have been taken.
// It returns a *Difference, shortened, if the two sides part twice, and ends early,
// between two stories, with ctx.
func Random(ctx context.Context, p *Program, seed uint64, steps int) (tally Tally, err error) {
	for n := uint64(0); tally.Steps < steps && ctx.Err() == nil; n++ {
		rng := rand.New(rand.NewPCG(seed, n))
		story, ordered, err := improvise(p, rng, fmt.Sprintf("random %d/%d", seed, n))
		tally.Stories++
		tally.Steps += len(story.Steps)
		switch {
		case err == nil:
		case !ordered:
			tally.Unordered++
		case Act(story, p, true) == nil:
			tally.Disturbed++
		default:
			return tally, Shorten(story, p, err)
		}
	}
	return tally, nil
}

// maxLength is the most steps that a random story takes.
const maxLength = 60

// improvise makes and acts one story. ordered says whether all of it was.
func improvise(p *Program, rng *rand.Rand, name string) (story Story, ordered bool, err error) {
	story = Story{Name: name}
	w, err := newStage(p, true)
	if err != nil {
		return story, true, err
	}
	defer w.close()
	w.hasty = time.Second
	g := &generator{rng: rng, table: w.table}
	for len(story.Steps) < maxLength {
		steps := g.next()
		if steps == nil {
			break
		}
		for _, step := range steps {
			if step.Actor != theTerminal && step.Verb != "returns" && !w.table.CanAct(step.Actor) {
				break // its birth was refused
			}
			step.Line = len(story.Steps) + 1
			story.Steps = append(story.Steps, step)
			what, ordered, err := w.take(step)
			if err == nil && what != "" {
				err = &Difference{story, len(story.Steps) - 1, what}
			}
			if err != nil || !ordered {
				return story, ordered, err
			}
		}
	}
	return story, true, nil
}

// person is what a process is before a step.
type person struct {
	threads, children int
	stopped           axprocess.Signal
	parent            *axprocess.Process
	pending           axprocess.SignalSet
	waits             bool // a thread of it is in a wait
}

// people returns the processes that live.
func (t *Table) people() map[*axprocess.Process]person {
	all := map[*axprocess.Process]person{}
	for _, p := range t.processes {
		if p.State() < axprocess.Zombie {
			all[p.Process] = person{len(p.Threads()), len(p.Children()), p.Stopped(), p.Parent(), p.PendingSignals(), t.waits(p.Process)}
		}
	}
	return all
}

// waits says whether a thread of a process is in a call that blocks.
func (t *Table) waits(p *axprocess.Process) bool {
	for _, a := range t.actors {
		if a.waiting != nil && a.Process() == p {
			return true
		}
	}
	return false
}

// ordered says whether what has happened since could come in one order only:
//   - one process has ended, or several without children;
//   - the children of threads that end together pass on in either order;
//   - of several children that end, stop or continue, the first to do so is what a
//     blocked wait returns, and what a SIGCHLD that stays pending tells of;
//   - of a child that continues and ends at once a blocked wait may see either.
func (t *Table) ordered(before map[*axprocess.Process]person) bool {
	ended, parents := 0, 0
	changed := map[*axprocess.Process]int{} // children, by parent
	for p, had := range before {
		if had.threads-len(p.Threads()) > 1 && had.children > 1 {
			return false
		}
		if p.State() >= axprocess.Zombie {
			ended++
			if had.children > 0 {
				parents++
			}
			if had.stopped != 0 && before[had.parent].waits {
				return false
			}
		}
		if p.State() >= axprocess.Zombie || p.Stopped() != had.stopped {
			changed[had.parent]++
		}
	}
	if ended > 1 && parents > 0 {
		return false
	}
	for p, had := range before {
		if changed[p] > 1 && (had.waits || p.PendingSignals()&^had.pending != 0) {
			return false
		}
	}
	return true
}

// Shorten looks for a shorter story in which the two sides still part, by leaving
// steps out, and returns the difference there. It takes a minute at most. Another
// error is returned with the whole story.
func Shorten(s Story, p *Program, found error) error {
	var difference *Difference
	if !errors.As(found, &difference) {
		return fmt.Errorf("%w\nthe story:\n%s", found, s)
	}
	s.Steps = s.Steps[:difference.Step+1]
	hasty := *p
	hasty.patience = time.Second // each story that is still wrong takes it whole
	end := time.Now().Add(time.Minute)
	for i := len(s.Steps) - 2; i >= 0 && time.Now().Before(end); i-- {
		if i > 0 && slices.Contains(s.Steps[i-1].Args, "vfork") {
			continue // the child lets go of its parent
		}
		shorter := Story{Name: s.Name, Steps: slices.Delete(slices.Clone(s.Steps), i, i+1)}
		var d *Difference
		if err := actOrdered(shorter, &hasty); errors.As(err, &d) {
			s.Steps = shorter.Steps[:d.Step+1]
			difference = &Difference{s, d.Step, d.What}
			i = min(i, len(s.Steps)-1)
		}
	}
	return fmt.Errorf("%w\nthe story, shortened:\n%s", difference, s)
}

// actOrdered is Act of a story that is no story any more where the kernel leaves
// open what comes of a step.
func actOrdered(s Story, p *Program) error {
	w, err := newStage(p, true)
	if err != nil {
		return err
	}
	defer w.close()
	w.hasty = time.Second
	for i, step := range s.Steps {
		what, ordered, err := w.take(step)
		if err != nil || !ordered {
			return err
		}
		if what != "" {
			return &Difference{s, i, what}
		}
	}
	return nil
}

// generator draws steps that can be taken in a table as it is.
type generator struct {
	rng     *rand.Rand
	table   *Table
	born    int
	actor   string   // who is to act now
	waiting []string // actors in calls that block
}

// The most processes and threads of a process in a random world.
const (
	maxProcesses = 9
	maxThreads   = 3
)

// next draws what happens next: first the calls that have returned, then one new
// thing, which may be some steps.
func (g *generator) next() []Step {
	if name := g.returned(); name != "" {
		return []Step{{Actor: name, Verb: "returns"}}
	}
	for {
		var actors []string
		for name := range g.table.actors {
			if g.table.CanAct(name) {
				actors = append(actors, name)
			}
		}
		if len(actors) == 0 {
			return nil // all wait, or are stopped
		}
		slices.Sort(actors)
		g.actor = actors[g.rng.IntN(len(actors))]
		if steps := g.draw(g.actor); steps != nil {
			return steps
		}
	}
}

// returned finds an actor whose call has returned since; those that have ended in
// a call are forgotten.
func (g *generator) returned() string {
	g.waiting = g.waiting[:0]
	for name, a := range g.table.actors {
		if a.waiting == nil || a.still() {
			continue
		}
		if a.IsExited() {
			<-a.waiting
			a.cancel()
			a.waiting = nil
			continue
		}
		if a.runs() {
			g.waiting = append(g.waiting, name)
		}
	}
	if len(g.waiting) == 0 {
		return ""
	}
	slices.Sort(g.waiting)
	return g.waiting[0]
}

func (g *generator) one(of ...string) string { return of[g.rng.IntN(len(of))] }

// process draws the name of a process that the actor has a number for, ended ones
// among them.
func (g *generator) process() string { return g.seen(axprocess.Freed) }

// alive draws the name of one that is not freed.
func (g *generator) alive() string { return g.seen(axprocess.Zombie) }

// seen draws the name of a process that is no further in its life; the actor's own
// name at worst.
func (g *generator) seen(most axprocess.State) string {
	space := g.table.actors[g.actor].space()
	for range 4 {
		p := g.table.processes[g.rng.IntN(len(g.table.processes))]
		if _, known := g.table.of[p.name][space]; known && p.State() <= most {
			return p.name
		}
	}
	return g.actor
}

func (g *generator) newName() string {
	g.born++
	return fmt.Sprintf("p%d", g.born)
}

var (
	quietSignals = []string{"SIGUSR1", "SIGUSR2", "SIGCHLD", "SIGTERM", "SIGHUP", "SIGTTIN", "SIGTTOU", "SIGTSTP", "SIGCONT", "SIGURG"}
	sentSignals  = []string{"0", "SIGKILL", "SIGSTOP", "SIGCONT", "SIGCONT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGTSTP", "SIGTTIN", "SIGCHLD"}
)

// draw draws what an actor does, or nil for nothing.
func (g *generator) draw(actor string) []Step {
	a := g.table.actors[actor]
	p := a.Process()
	step := func(verb string, args ...string) []Step {
		return []Step{{Actor: actor, Verb: verb, Args: args}}
	}
	n := g.rng.IntN(110)
	switch {
	case n < 22:
		return g.drawFork(actor)
	case n < 28:
		// Which thread of an exiting init waits for the rest is left open.
		if len(p.Threads()) < maxThreads && (p == g.table.processes[0].Process || !isInit(p)) {
			return step("clone", g.newName())
		}
		return nil
	case n < 34:
		if actor == "init" || p == g.table.processes[0].Process {
			return nil
		}
		return step(g.one("exit", "exit_group"), fmt.Sprint(g.rng.IntN(300)))
	case n < 36:
		return step("exec")
	case n < 40:
		return step("setsid")
	case n < 48:
		return g.drawSetpgid(actor)
	case n < 52:
		return step(g.one("getpgid", "getsid"), g.one("0", g.process(), g.process()))
	case n < 53:
		return step("getppid")
	case n < 57:
		return step("subreaper", g.one("on", "on", "off"))
	case n < 60:
		if g.hasDeathSignal(a) {
			return nil
		}
		return step("pdeathsig", g.one("0", "SIGKILL", "SIGTERM", "SIGUSR1", "SIGSTOP"))
	case n < 74:
		return g.drawWait(actor)
	case n < 88:
		return g.drawKill(actor)
	case n < 92:
		return step(g.one("block", "block", "unblock"), g.one(quietSignals...))
	}
	if n >= 109 {
		return step("unshare")
	}
	if n >= 100 {
		return g.drawTerminal(actor)
	}
	return g.drawAction(actor)
}

// isInit says whether a process is an init of a namespace, or the world's.
func isInit(p *axprocess.Process) bool {
	ns := p.Namespace()
	return ns != nil && p.PIDIn(ns) == 1
}

// drawSetpgid leaves the inits of namespaces alone (Live.mayMove); the world's own
// leads its session.
func (g *generator) drawSetpgid(actor string) []Step {
	whom, group := g.one("0", g.alive(), g.process()), g.one("0", g.alive(), g.process())
	target := g.table.actors[actor].Process()
	if whom != "0" {
		target = g.table.actors[whom].Process()
	}
	if target != g.table.processes[0].Process && isInit(target) {
		group = "0"
	}
	return []Step{{Actor: actor, Verb: "setpgid", Args: []string{whom, group}}}
}

// drawTerminal leaves to inits what a signal would stop, since none does, and
// likewise to those who handle the signal: they would try for ever.
func (g *generator) drawTerminal(actor string) []Step {
	p := g.table.actors[actor].Process()
	step := func(verb string, args ...string) Step { return Step{Actor: actor, Verb: verb, Args: args} }
	if isInit(p) {
		return nil
	}
	if !g.table.opened[p] {
		if p.Session().SID() != p.PID() {
			return []Step{step("opentty")}
		}
		if g.rng.IntN(4) == 0 {
			return []Step{step("opentty"), step("setctty", "force")}
		}
		return []Step{step("opentty"), step("setctty")}
	}
	if g.rng.IntN(5) == 0 && g.table.terminal.Session() != nil {
		return []Step{{Actor: theTerminal, Verb: "types", Args: []string{g.one("SIGINT", "SIGTSTP", "SIGQUIT")}}}
	}
	handles := func(sig axprocess.Signal) bool {
		does, err := p.Action(sig)
		return err != nil || does.Disposition == axprocess.Handle
	}
	switch verb := g.one("setctty", "notty", "getpgrp", "getttysid", "setpgrp", "setpgrp", "setpgrp", "readtty", "readtty", "writetty"); verb {
	case "setpgrp":
		if handles(axprocess.SIGTTOU) {
			return nil
		}
		return []Step{step(verb, g.alive())}
	case "readtty", "writetty":
		if verb == "readtty" && handles(axprocess.SIGTTIN) || handles(axprocess.SIGTTOU) {
			return nil
		}
		return []Step{step(verb)}
	default:
		return []Step{step(verb)}
	}
}

// hasDeathSignal says whether another thread of a process may have a parent-death
// signal: two at once come in one order, but act in either.
func (g *generator) hasDeathSignal(a *tableActor) bool {
	p := a.Process()
	return p.IsLeaderExited() || slices.ContainsFunc(p.Threads(), func(h *axprocess.Thread) bool {
		return h != a.Thread && h.ParentDeathSignal() != 0
	})
}

func (g *generator) drawFork(actor string) []Step {
	alive := 0
	for _, p := range g.table.processes {
		if p.State() < axprocess.Freed {
			alive++
		}
	}
	if alive >= maxProcesses {
		return nil
	}
	name := g.newName()
	args := []string{name}
	switch g.rng.IntN(14) {
	case 13:
		args = append(args, "newpid")
	case 0:
		args = append(args, "parent")
	case 1:
		args = append(args, g.one("exit=0", "exit=SIGUSR1", "exit=SIGURG"))
	case 2:
		letsGo := Step{Actor: name, Verb: "exec"}
		if g.rng.IntN(2) == 0 {
			letsGo = Step{Actor: name, Verb: "exit_group", Args: []string{"7"}}
		}
		return []Step{{Actor: actor, Verb: "fork", Args: append(args, "vfork")}, letsGo}
	}
	return []Step{{Actor: actor, Verb: "fork", Args: args}}
}

func (g *generator) drawWait(actor string) []Step {
	a := g.table.actors[actor]
	kinds := []string{"WEXITED", "WEXITED", "WEXITED|WSTOPPED", "WSTOPPED", "WCONTINUED", "WEXITED|WSTOPPED|WCONTINUED"}
	opts := ""
	if g.rng.IntN(10) < 7 || g.table.waits(a.Process()) {
		opts = "WNOHANG"
	}
	also := func(name string) {
		if opts != "" {
			opts += "|"
		}
		opts += name
	}
	if g.rng.IntN(6) == 0 {
		also(g.one("__WALL", "__WCLONE", "__WNOTHREAD"))
	}
	child := g.alive()
	if children := a.Process().Children(); len(children) > 0 && g.rng.IntN(3) > 0 {
		child = g.table.call(children[g.rng.IntN(len(children))].PID())
	}
	if g.rng.IntN(2) == 0 {
		if g.rng.IntN(3) == 0 {
			also("WUNTRACED")
		}
		if g.rng.IntN(3) == 0 {
			also("WCONTINUED")
		}
		if opts == "" {
			opts = "0"
		}
		return []Step{{Actor: actor, Verb: "wait4", Args: []string{g.one("any", "any", "0", child, "-"+child), opts}}}
	}
	also(g.one(kinds...))
	if g.rng.IntN(4) == 0 {
		also("WNOWAIT")
	}
	of := g.one("P_ALL", "P_PID", "P_PGID")
	return []Step{{Actor: actor, Verb: "waitid", Args: []string{of, child, opts}}}
}

func (g *generator) drawKill(actor string) []Step {
	sig := g.one(sentSignals...)
	switch g.rng.IntN(8) {
	case 0:
		return []Step{{Actor: actor, Verb: "kill", Args: []string{g.one("0", "-"+g.alive()), sig}}}
	case 1:
		names := make([]string, 0, len(g.table.actors))
		space := g.table.actors[actor].space()
		for name := range g.table.actors {
			if _, known := g.table.of[name][space]; known {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		return []Step{{Actor: actor, Verb: "tkill", Args: []string{g.one(names...), sig}}}
	case 2:
		return []Step{{Actor: actor, Verb: "tgkill", Args: []string{g.alive(), g.alive(), sig}}}
	}
	return []Step{{Actor: actor, Verb: "kill", Args: []string{g.alive(), sig}}}
}

func (g *generator) drawAction(actor string) []Step {
	args := []string{g.one(quietSignals...), g.one("default", "ignore", "handle")}
	if args[0] == "SIGCHLD" {
		switch g.rng.IntN(5) {
		case 0:
			args = append(args, "nocldwait")
		case 1:
			args = append(args, "nocldstop")
		}
	}
	return []Step{{Actor: actor, Verb: "action", Args: args}}
}
