package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"axprocess"
)

// This file is about the two orders in which a tree is drawn, as branches that
// the text and the SVG printer both walk: by session, or by parent.

// View says what is drawn.
type View struct {
	Flat    bool // by parent and child, instead of session, group and process
	Threads bool // threads as lines of their own, instead of their number
}

// branch is one line of a drawing, and what hangs from it.
type branch struct {
	number string // "901"; "" for headings
	label  string // the command, or a heading
	notes  []note
	tone   Tone
	kind   branchKind
	kids   []*branch
}

type branchKind uint8

const (
	kindProcess branchKind = iota
	kindSession
	kindGroup
)

// note is one thing to say beside a line.
type note struct {
	text string
	tone Tone
}

// branches returns what a view draws of a tree.
func (t *Tree) branches(v View, y Style) []*branch {
	if v.Flat {
		var roots []*branch
		for _, n := range t.sorted {
			if n.show != hidden && (n.Parent == nil || n.Parent.show == hidden) {
				roots = append(roots, n.flat(v, y))
			}
		}
		return roots
	}
	var sessions []*branch
	for _, s := range t.Sessions {
		if b := s.branch(v, y); b != nil {
			sessions = append(sessions, b)
		}
	}
	return sessions
}

// flat returns a process with its children below.
func (n *Node) flat(v View, y Style) *branch {
	b := n.branch(v, y)
	if n.show == path {
		b.tone, b.notes = Faint, nil
	}
	for _, c := range n.Children {
		if c.show != hidden {
			b.kids = append(b.kids, c.flat(v, y))
		}
	}
	return b
}

// heading returns a session's own line.
func (s *SessionNode) heading(y Style) *branch {
	b := &branch{label: fmt.Sprintf("session %d", s.SID), kind: kindSession, tone: Strong}
	if s.SID == 0 {
		b.label = "session 0, of the kernel or outside of this pid namespace"
	}
	if s.TTY != "" {
		b.note(Plain, "on %s", y.Clean(s.TTY))
	}
	if s.Foreground > 0 {
		b.note(Plain, "foreground group %d", s.Foreground)
	}
	if s.LeaderGone {
		b.note(Notice, "its leader is gone")
	}
	return b
}

// branch returns a session, nil if nothing of it is shown. A session of one
// group shares its line with it.
func (s *SessionNode) branch(v View, y Style) *branch {
	b := s.heading(y)
	for _, g := range s.Groups {
		if kid := g.branch(s, v, y); kid != nil {
			b.kids = append(b.kids, kid)
		}
	}
	switch {
	case len(b.kids) == 0:
		return nil
	case len(s.Groups) == 1:
		only := b.kids[0]
		if s.SID != 0 {
			b.label += ", " + only.label
		}
		b.notes, b.kids = append(b.notes, only.notes...), only.kids
	}
	return b
}

func (g *GroupNode) branch(s *SessionNode, v View, y Style) *branch {
	b := &branch{label: fmt.Sprintf("group %d", g.PGID), kind: kindGroup}
	if g.PGID == 0 {
		b.label = "groups outside"
	}
	if s.Foreground == g.PGID && s.TTY != "" {
		b.note(Good, "in the foreground")
	}
	if g.isJobStopped() {
		b.note(Notice, "a stopped job")
	}
	switch {
	case !g.Orphaned:
	case g.PGID == s.SID && !s.LeaderGone:
		b.note(Faint, "orphaned") // as every session leader's own group is
	default:
		b.note(Notice, "orphaned")
	}
	within := map[*Node]*branch{}
	for _, n := range g.Members {
		if n.show == shown {
			within[n] = n.branch(v, y)
		}
	}
	for _, n := range g.Members { // a parent may have joined after its child
		switch kid, parent := within[n], within[n.Parent]; {
		case kid == nil:
		case parent != nil:
			parent.kids = append(parent.kids, kid)
		default:
			if n.PPID != 0 && n.State != "zombie" { // whose note names it
				kid.note(Faint, "parent %d", n.PPID)
			}
			b.kids = append(b.kids, kid)
		}
	}
	if len(b.kids) == 0 {
		return nil
	}
	return b
}

func (b *branch) note(tone Tone, format string, args ...any) {
	b.notes = append(b.notes, note{fmt.Sprintf(format, args...), tone})
}

// branch returns a process by itself, with its threads.
func (n *Node) branch(v View, y Style) *branch {
	b := &branch{number: strconv.Itoa(int(n.PID)), label: n.command(y)}
	n.stateNotes(b, y)
	if v.Threads {
		for _, h := range n.Threads {
			if h.TID == n.PID && len(n.Threads) == 1 {
				continue // it is the process
			}
			kid := &branch{number: strconv.Itoa(int(h.TID)), label: "{" + y.Clean(h.Comm) + "}", tone: Faint}
			if h.State != "" {
				kid.note(Faint, "%s", h.State)
			}
			b.kids = append(b.kids, kid)
		}
	} else if len(n.Threads) > 1 && n.State != "leader-exited" {
		b.note(Faint, "%d threads", len(n.Threads))
	}
	return b
}

// command returns the arguments, or the name in brackets where there are none,
// as ps does.
func (n *Node) command(y Style) string {
	if line := strings.TrimSpace(strings.Join(n.Args, " ")); line != "" {
		return y.Clean(line)
	}
	return "[" + y.Clean(n.Comm) + "]"
}

// stateNotes says what is unusual about a process's state.
func (n *Node) stateNotes(b *branch, y Style) {
	switch n.State {
	case "zombie":
		b.tone = Bad
		b.note(Bad, "zombie: %s; %s%s", ending(n.Cause, n.Code), n.unwaited(y), n.deadFor())
	case "leader-exited":
		b.tone = Notice
		b.note(Notice, "its leader has exited, %s on", Count(len(n.Threads), "thread goes", "threads go"))
	case "stopped":
		b.tone = Notice
		b.note(Notice, "stopped")
	case "traced":
		b.tone = Notice
		b.note(Notice, "stopped by its tracer")
	case "running":
		b.note(Good, "running")
	case "disk-sleep":
		b.note(Notice, "in an uninterruptible sleep")
	}
}

// Condition says what is unusual about a process's state, as the tree does; ""
// if nothing is.
func (n *Node) Condition(y Style) string {
	var b branch
	n.stateNotes(&b, y)
	var texts []string
	for _, note := range b.notes {
		texts = append(texts, note.text)
	}
	return strings.Join(texts, ", ")
}

// unwaited names the parent that fails to wait.
func (n *Node) unwaited(y Style) string {
	if n.Parent == nil {
		return "its parent, who is not in sight, does not wait for it"
	}
	return fmt.Sprintf("parent %d (%s) does not wait for it", n.Parent.PID, y.Clean(n.Parent.Comm))
}

// deadFor says how long a zombie has been one, as far as that is known: the
// kernel keeps no time of death.
func (n *Node) deadFor() string {
	switch {
	case n.DeadAtMost <= 0:
		return ""
	case n.DeadAtLeast <= 0:
		return fmt.Sprintf("; dead for at most %s, first seen now", spanUp(n.DeadAtMost))
	}
	return fmt.Sprintf("; dead for at least %s, at most %s", Span(n.DeadAtLeast), spanUp(n.DeadAtMost))
}

// ending says how a process ended.
func ending(cause axprocess.WaitCause, code int32) string {
	switch cause {
	case axprocess.Killed:
		return fmt.Sprintf("killed by %s", axprocess.Signal(code))
	case axprocess.Dumped:
		return fmt.Sprintf("killed by %s, with a core", axprocess.Signal(code))
	}
	return fmt.Sprintf("exited with %d", code)
}

// Count returns a number with its noun.
func Count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// spanUp is Span for an upper bound: what is not shown is rounded up.
func spanUp(d time.Duration) string {
	unit := time.Second
	switch {
	case d >= 24*time.Hour:
		unit = time.Hour
	case d >= time.Hour:
		unit = time.Minute
	}
	return Span((d + unit - 1) / unit * unit)
}

// Span returns a length of time in at most two units, rounded down: "0s", "12s", "3m20s",
// "5h3m", "12d4h".
func Span(d time.Duration) string {
	s := int64(d / time.Second)
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%ds", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%dh%dm", s/3600, s/60%60)
	}
	return fmt.Sprintf("%dd%dh", s/86400, s/3600%24)
}
