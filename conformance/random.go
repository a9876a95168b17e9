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
// after the other (draw.go) and acted on both sides.
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
	Unordered      int     // stories that ended in what the kernel leaves open, and parted there
	Disturbed      []error // of stories that failed once and passed when they were acted again
}

// Add adds another run's counts.
func (t *Tally) Add(other Tally) {
	t.Stories += other.Stories
	t.Steps += other.Steps
	t.Unordered += other.Unordered
	t.Disturbed = append(t.Disturbed, other.Disturbed...)
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
			tally.Disturbed = append(tally.Disturbed, err)
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
//   - the children of threads that end together pass on in either order, and a
//     blocked wait may see them before the end of the last thread;
//   - of several children that end, stop or continue, the first to do so is what a
//     blocked wait returns, and what a SIGCHLD that stays pending tells of;
//   - of a child that continues and ends at once a blocked wait may see either.
func (t *Table) ordered(before map[*axprocess.Process]person) bool {
	ended, parents := 0, 0
	waits := false
	for _, had := range before {
		waits = waits || had.waits
	}
	changed := map[*axprocess.Process]int{} // children, by parent
	for p, had := range before {
		if had.threads-len(p.Threads()) > 1 && (had.children > 1 || had.children > 0 && waits) {
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
