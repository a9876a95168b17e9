package conformance

import (
	"fmt"
	"time"
)

// This file is about acting a story on both sides at once.

// Difference is where the two sides part, or where both part from the story.
type Difference struct {
	Story Story
	Step  int // the index of the step
	What  string
}

// Error names the story, the step and what differs.
func (d *Difference) Error() string {
	return fmt.Sprintf("%s, line %d: %s\n%s", d.Story.Name, d.Story.Steps[d.Step].Line, d.Story.Steps[d.Step], d.What)
}

// Act acts a story in a new world on both sides. It returns a *Difference, or
// another error if a side could not go on.
func Act(s Story, p *Program, inside bool) error {
	w, err := newStage(p, inside)
	if err != nil {
		return err
	}
	defer w.close()
	for i, step := range s.Steps {
		what, _, err := w.take(step)
		if err != nil {
			return fmt.Errorf("%s, line %d: %s: %w", s.Name, step.Line, step, err)
		}
		if what != "" {
			return &Difference{s, i, what}
		}
	}
	return nil
}

// stage is both sides of a world.
type stage struct {
	table *Table
	live  *Live
	hasty time.Duration // the patience with a step that the kernel leaves open; 0: as with all
}

func newStage(p *Program, inside bool) (*stage, error) {
	table, err := NewTable(inside)
	if err != nil {
		return nil, err
	}
	live, err := NewLive(p, inside)
	if err != nil {
		table.Close()
		return nil, err
	}
	return &stage{table: table, live: live}, nil
}

func (w *stage) close() {
	w.live.Close()
	w.table.Close()
}

// take takes a step on both sides, and says how they differ, and whether what the
// step has led to could come in one order only.
func (w *stage) take(step Step) (what string, ordered bool, err error) {
	before := w.table.people()
	want, err := w.table.Do(step)
	if err != nil {
		return "", true, fmt.Errorf("table: %w", err)
	}
	if text := want.words(); step.Want != "" && step.Want != text {
		return fmt.Sprintf("the table gives %q, the story says %q", text, step.Want), true, nil
	}
	patience := w.live.patience
	if ordered = w.table.ordered(before) && !w.table.raced; !ordered && w.hasty > 0 {
		patience = w.hasty // it may never come to the same
	}
	got, err := w.live.Do(step, want.Kind)
	// The kernel gives a number back a moment after /proc has lost sight of its
	// thread.
	for end := time.Now().Add(patience); err == nil && step.Verb == "fork" && got.Text == "EEXIST" && got != want && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
		got, err = w.live.Do(step, want.Kind)
	}
	if err != nil {
		return "", ordered, fmt.Errorf("live: %w", err)
	}
	if got != want {
		return fmt.Sprintf("the table gives %q, the kernel %q", want.words(), got.words()), ordered, nil
	}
	what, err = settle(w.table, w.live, patience)
	return what, ordered, err
}

// words is an outcome as a story writes it.
func (o Outcome) words() string {
	switch o.Kind {
	case Blocks:
		return "blocks"
	case Gone:
		return ""
	}
	return o.Text
}

// settle waits until the live side has come to the table's state: signals and
// exits take their time there.
func settle(table *Table, live *Live, patience time.Duration) (string, error) {
	want := table.World()
	for end, pause := time.Now().Add(patience), 50*time.Microsecond; ; pause = min(2*pause, 20*time.Millisecond) {
		got, err := live.World()
		if err != nil {
			return "", err
		}
		what := want.Differ(got)
		if what == "" || time.Now().After(end) {
			return what, nil
		}
		time.Sleep(pause)
	}
}
