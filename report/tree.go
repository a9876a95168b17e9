package report

import (
	"cmp"
	"slices"
	"time"

	"axprocess"
)

// This file is about a table's processes as they are shown: what is shown of
// them, and in which order. The printers are in text.go, json.go, dot.go, svg.go.
//
// Invariants:
//   - a tree is a copy: it keeps nothing of the table;
//   - a node's parent is nil or in the tree, and so are its children;
//   - what is hidden is in the tree, and in no output.

// Facts are what a table does not know about a process.
type Facts struct {
	Comm       string
	Args       []string
	State      string // a word, as JSON outputs have it
	Start      time.Time
	UID        int                 // -1: not known
	User       string              // its name, or ""
	TTY        string              // the controlling terminal, or ""
	Foreground axprocess.PID       // the terminal's foreground group, or 0
	Kernel     bool                // a thread of the kernel
	Cause      axprocess.WaitCause // how a zombie ended
	Code       int32               // its exit code or signal
	DeadAtLeast,
	DeadAtMost time.Duration // of a zombie: since when, by what is known; DeadAtMost 0: not known
}

// ThreadFacts are what a table does not know about a thread.
type ThreadFacts struct {
	Comm  string
	State string
}

// Node is a process in a tree.
type Node struct {
	Facts
	PID, PPID, PGID, SID axprocess.PID
	Parent               *Node
	Children             []*Node // oldest first
	Threads              []ThreadNode
	show                 visibility
}

// ThreadNode is a thread in a tree.
type ThreadNode struct {
	ThreadFacts
	TID axprocess.PID
}

// GroupNode is a process group in a tree.
type GroupNode struct {
	PGID     axprocess.PID
	Orphaned bool
	Members  []*Node // in the order of joining
}

// SessionNode is a session in a tree.
type SessionNode struct {
	SID        axprocess.PID
	LeaderGone bool
	TTY        string        // its controlling terminal, or ""
	Foreground axprocess.PID // the terminal's foreground group, or 0
	Groups     []*GroupNode
}

// Tree is the processes of a table, and what is known beside it.
type Tree struct {
	At       time.Time
	Host     string
	Sessions []*SessionNode // ascending
	Left     []Omission     // what could not be read
	Folded   int            // threads of the kernel that FoldKernel hid
	nodes    map[axprocess.PID]*Node
	sorted   []*Node
}

// Omission is something about a process that the tree lacks.
type Omission struct {
	PID    axprocess.PID `json:"pid"`
	Reason string        `json:"reason"`
}

// visibility of a node: hidden, or only to show where others hang, or shown.
type visibility uint8

const (
	shown visibility = iota
	path
	hidden
)

// NewTree copies a table. O(everything). The table should be at rest: what
// changes while it is copied may be shown before or after.
func NewTree(t *axprocess.Table, facts func(*axprocess.Process) Facts, thread func(*axprocess.Thread) ThreadFacts) *Tree {
	tree := &Tree{nodes: make(map[axprocess.PID]*Node, t.Len())}
	for _, s := range t.Sessions() {
		session := &SessionNode{SID: s.SID(), LeaderGone: s.SID() != 0 && s.Leader() == nil}
		for _, g := range s.ProcessGroups() {
			group := &GroupNode{PGID: g.PGID(), Orphaned: g.PGID() != 0 && g.IsOrphaned()}
			for _, p := range g.Processes() {
				n := newNode(p, facts(p), thread)
				n.PGID, n.SID = group.PGID, session.SID
				tree.nodes[n.PID] = n
				group.Members = append(group.Members, n)
				if n.TTY != "" {
					session.TTY, session.Foreground = n.TTY, max(0, n.Foreground)
				}
			}
			session.Groups = append(session.Groups, group)
		}
		tree.Sessions = append(tree.Sessions, session)
	}
	slices.SortFunc(tree.Sessions, func(a, b *SessionNode) int { return cmp.Compare(a.SID, b.SID) })
	tree.link(t)
	return tree
}

func newNode(p *axprocess.Process, facts Facts, thread func(*axprocess.Thread) ThreadFacts) *Node {
	n := &Node{Facts: facts, PID: p.PID()}
	for _, h := range p.Threads() {
		n.Threads = append(n.Threads, ThreadNode{thread(h), h.TID()})
	}
	return n
}

// link sets parents and children, in the table's order.
func (t *Tree) link(table *axprocess.Table) {
	for _, p := range table.Processes() {
		n := t.nodes[p.PID()]
		if n == nil {
			continue
		}
		t.sorted = append(t.sorted, n)
		for _, child := range p.Children() {
			if c := t.nodes[child.PID()]; c != nil {
				c.Parent, c.PPID = n, n.PID
				n.Children = append(n.Children, c)
			}
		}
	}
}

// Node returns the process of a number, or nil.
func (t *Tree) Node(pid axprocess.PID) *Node { return t.nodes[pid] }

// Nodes returns the processes that are not hidden, ascending.
func (t *Tree) Nodes() []*Node {
	var nodes []*Node
	for _, n := range t.sorted {
		if n.show == shown {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// StartAt hides all but a process, its ancestors, and its descendants.
func (t *Tree) StartAt(n *Node) {
	keep := map[*Node]bool{}
	for up := n.Parent; up != nil; up = up.Parent {
		keep[up] = true
	}
	below := []*Node{n}
	for len(below) > 0 {
		n := below[len(below)-1]
		below = append(below[:len(below)-1], n.Children...)
		keep[n] = true
	}
	for _, n := range t.sorted {
		if !keep[n] {
			n.show = hidden
		}
	}
}

// Filter hides what doesn't match; the ancestors of what does stay in views that
// are about ancestry.
func (t *Tree) Filter(match func(*Node) bool) {
	var kept []*Node
	for _, n := range t.sorted {
		if n.show == shown && match(n) {
			kept = append(kept, n)
		} else {
			n.show = hidden
		}
	}
	for _, n := range kept {
		for up := n.Parent; up != nil && up.show == hidden; up = up.Parent {
			up.show = path
		}
	}
}

// FoldKernel hides the kernel's threads and counts them in Folded.
func (t *Tree) FoldKernel() {
	for _, n := range t.sorted {
		if n.Kernel && n.show != hidden {
			n.show = hidden
			t.Folded++
		}
	}
}

// isJobStopped says whether a group is a stopped job: all that lives in it is
// stopped.
func (g *GroupNode) isJobStopped() bool {
	stopped := false
	for _, n := range g.Members {
		switch n.State {
		case "zombie":
		case "stopped":
			stopped = true
		default:
			return false
		}
	}
	return stopped
}
