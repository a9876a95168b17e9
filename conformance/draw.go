package conformance

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"axprocess"
)

// This file is about drawing the steps of random stories: those that can be taken
// in a table as it is.

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
		if steps := g.drawFor(actors); steps != nil {
			return steps
		}
	}
}

// drawFor draws what one of some actors does. What few can do is drawn more often
// than one of them would be.
func (g *generator) drawFor(actors []string) []Step {
	draw := g.draw
	var few []string
	switch g.rng.IntN(14) {
	case 0:
		draw = g.drawPending
		few = g.those(actors, func(a *tableActor) bool { return a.PendingSignals() != 0 })
	case 1:
		draw = g.drawTerminal
		few = g.those(actors, func(a *tableActor) bool { return a.Process().Terminal() != nil })
	}
	if len(few) == 0 {
		draw, few = g.draw, actors
	}
	g.actor = g.one(few...)
	return draw(g.actor)
}

// those returns the actors that are so.
func (g *generator) those(actors []string, so func(*tableActor) bool) []string {
	return slices.DeleteFunc(slices.Clone(actors), func(name string) bool { return !so(g.table.actors[name]) })
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
	quietSignals = []string{"SIGUSR1", "SIGUSR2", "SIGCHLD", "SIGTERM", "SIGHUP", "SIGTTIN", "SIGTTOU", "SIGTSTP", "SIGCONT", "SIGURG", "SIGRTMIN+2", "SIGRTMIN+5"}
	sentSignals  = []string{"0", "SIGKILL", "SIGSTOP", "SIGCONT", "SIGCONT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGTSTP", "SIGTTIN", "SIGCHLD", "SIGRTMIN+2", "SIGRTMIN+5"}
)

// draw draws what an actor does, or nil for nothing.
func (g *generator) draw(actor string) []Step {
	a := g.table.actors[actor]
	p := a.Process()
	step := func(verb string, args ...string) []Step {
		return []Step{{Actor: actor, Verb: verb, Args: args}}
	}
	n := g.rng.IntN(114)
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
	switch {
	case n < 100:
		return g.drawAction(actor)
	case n < 109:
		return g.drawTerminal(actor)
	case n < 110:
		return step("unshare")
	case n < 111:
		whose := g.table.actors[g.alive()].Process() // a thread has no pidfd
		return step("setns", g.table.processName(whose))
	}
	return g.drawPending(actor)
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
	if g.rng.IntN(40) == 0 && g.table.terminal.Session() != nil {
		return []Step{{Actor: theTerminal, Verb: "hangup"}}
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
	whom := g.alive()
	sig := g.one(sentSignals...)
	if blocked := g.table.actors[whom].SignalMask(); blocked != 0 && g.rng.IntN(2) == 0 {
		sig = g.one(strings.Split(pendingWords(blocked), "|")...)
	}
	step := func(verb string, args ...string) []Step {
		return []Step{{Actor: actor, Verb: verb, Args: args}}
	}
	switch g.rng.IntN(9) {
	case 0:
		return step("kill", g.one("0", "-"+whom), sig)
	case 1:
		names := make([]string, 0, len(g.table.actors))
		space := g.table.actors[actor].space()
		for name := range g.table.actors {
			if _, known := g.table.of[name][space]; known {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		return step("tkill", g.one(names...), sig)
	case 2:
		return step("tgkill", g.one(whom, whom, g.alive()), whom, sig)
	case 3:
		return step("sigqueue", whom, sig, fmt.Sprint(g.rng.IntN(100)))
	}
	return step("kill", whom, sig)
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

// drawPending looks at what is pending, or takes one of some signals, of which one
// is pending more often than not.
func (g *generator) drawPending(actor string) []Step {
	if g.rng.IntN(4) == 0 {
		return []Step{{Actor: actor, Verb: "pending"}}
	}
	from := quietSignals
	if pending := g.table.actors[actor].PendingSignals(); pending != 0 && g.rng.IntN(4) > 0 {
		from = strings.Split(pendingWords(pending), "|")
	}
	set := g.one(from...)
	for range g.rng.IntN(3) {
		set += "|" + g.one(quietSignals...)
	}
	return []Step{{Actor: actor, Verb: "accept", Args: []string{set}}}
}
