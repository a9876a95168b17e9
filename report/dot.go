package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// This file prints a tree for Graphviz.

// DOT prints the tree as a directed graph from parents to children; unless it is
// flat, sessions and groups are boxes around their processes.
func (t *Tree) DOT(w io.Writer, v View) error {
	b := bufio.NewWriter(w)
	fmt.Fprintln(b, "digraph processes {")
	fmt.Fprintln(b, "  rankdir=LR; node [shape=box, style=rounded, fontname=monospace, fontsize=10];")
	if v.Flat {
		for _, n := range t.sorted {
			if n.show != hidden {
				n.dot(b, "  ", v)
			}
		}
	} else {
		for _, s := range t.Sessions {
			s.dot(b, v)
		}
	}
	for _, n := range t.sorted {
		if n.show == hidden || n.Parent == nil || n.Parent.show == hidden || !v.Flat && (n.show == path || n.Parent.show == path) {
			continue
		}
		fmt.Fprintf(b, "  p%d -> p%d;\n", n.Parent.PID, n.PID)
	}
	fmt.Fprintln(b, "}")
	return b.Flush()
}

func (s *SessionNode) dot(b *bufio.Writer, v View) {
	if s.branch(View{}, Style{}) == nil {
		return
	}
	fmt.Fprintf(b, "  subgraph cluster_s%d { label=%s;\n", s.SID, quoteDOT(s.heading(Style{}).sentence()))
	for _, g := range s.Groups {
		branch := g.branch(s, View{}, Style{})
		if branch == nil {
			continue
		}
		fmt.Fprintf(b, "    subgraph cluster_g%d_%d { label=%s;\n", s.SID, g.PGID, quoteDOT(branch.sentence()))
		for _, n := range g.Members {
			if n.show == shown {
				n.dot(b, "      ", v)
			}
		}
		fmt.Fprintln(b, "    }")
	}
	fmt.Fprintln(b, "  }")
}

// sentence joins a label and its notes.
func (b *branch) sentence() string {
	s := b.label
	for _, n := range b.notes {
		s += ", " + n.text
	}
	return s
}

func (n *Node) dot(b *bufio.Writer, indent string, v View) {
	var plain Style
	branch := n.branch(View{}, plain)
	lines := []string{branch.number + " " + plain.Cut(branch.label, 40)}
	for _, note := range branch.notes {
		lines = append(lines, note.text)
	}
	if v.Threads && len(n.Threads) > 1 {
		for _, h := range n.Threads {
			lines = append(lines, fmt.Sprintf("{%d %s} %s", h.TID, plain.Clean(h.Comm), h.State))
		}
	}
	colour := ""
	switch branch.tone {
	case Bad:
		colour = ", color=red, fontcolor=red"
	case Notice:
		colour = ", color=orange3"
	}
	fmt.Fprintf(b, "%sp%d [label=%s%s];\n", indent, n.PID, quoteDOT(strings.Join(lines, "\n")), colour)
}

// quoteDOT quotes as the DOT language has it: only the quotation mark is special,
// but labels know escapes, which begin with a backslash.
func quoteDOT(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}
