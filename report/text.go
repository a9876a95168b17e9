package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// This file prints a tree as text.
//
// Invariants:
//   - no line is wider than the style's width, however deep the tree is;
//   - notes are never cut off: a command is cut for them, and what still doesn't
//     fit goes on lines of its own.

// minCommand is what is left of a command before its notes get their own lines.
const minCommand = 24

// guides are the lines that lead to a branch.
type guides struct{ tee, end, bar, gap string }

var (
	unicodeGuides = guides{"├─", "└─", "│ ", "  "}
	asciiGuides   = guides{"|-", "`-", "| ", "  "}
)

// textPrinter prints branches.
type textPrinter struct {
	w     *bufio.Writer
	style Style
	g     guides
	deep  int // how many guides fit
}

// Text prints the tree for a person.
func (t *Tree) Text(w io.Writer, v View, y Style) error {
	p := &textPrinter{w: bufio.NewWriter(w), style: y, g: unicodeGuides, deep: 1 << 30}
	if y.ASCII {
		p.g = asciiGuides
	}
	if y.Width > 0 {
		p.deep = y.Width / 4
	}
	for _, b := range t.branches(v, y) {
		p.branch(b, nil, "", "")
	}
	for _, line := range t.summary() {
		p.wrap(line, "", "  ", Faint)
	}
	return p.w.Flush()
}

// branch prints one line, and what hangs from it. above are the guides of its
// ancestors; at leads to it, and below to what follows it.
func (p *textPrinter) branch(b *branch, above []string, at, below string) {
	p.line(b, p.lead(above, at), p.lead(above, below))
	if below != "" {
		above = append(above[:len(above):len(above)], below)
	}
	for i, kid := range b.kids {
		at, below := p.g.tee, p.g.bar
		if i == len(b.kids)-1 {
			at, below = p.g.end, p.g.gap
		}
		p.branch(kid, above, at, below)
	}
}

// lead joins guides. Where they would take more than half of the width, the
// outer ones give way to their number.
func (p *textPrinter) lead(above []string, last string) string {
	if len(above) < p.deep {
		return strings.Join(above, "") + last
	}
	keep := p.deep - 4
	return fmt.Sprintf("%-8s", fmt.Sprintf("(+%d)", len(above)-keep)) + strings.Join(above[len(above)-keep:], "") + last
}

// line prints a branch's own line, or lines.
func (p *textPrinter) line(b *branch, lead, follow string) {
	number := b.number
	if number != "" {
		number += " "
	}
	texts := make([]string, len(b.notes))
	for i, n := range b.notes {
		texts[i] = n.text
	}
	notes := strings.Join(texts, ", ")
	room := 1 << 30
	if p.style.Width > 0 {
		room = p.style.Width - Columns(lead) - Columns(number)
	}
	label := b.label
	inline := len(notes) == 0 || Columns(notes)+2+min(Columns(label), minCommand) <= room
	if inline && notes != "" {
		label = p.style.Cut(label, room-2-Columns(notes))
	} else {
		label = p.style.Cut(label, room)
	}
	p.put(p.style.Paint(Faint, lead) + number + p.style.Paint(b.tone, label))
	if inline {
		sep := "  "
		for _, n := range b.notes {
			p.put(p.style.Paint(Faint, sep) + p.style.Paint(n.tone, n.text))
			sep = ", "
		}
		p.put("\n")
		return
	}
	p.put("\n")
	bar := p.g.gap
	if len(b.kids) > 0 {
		bar = p.g.bar
	}
	p.wrap(notes, follow+bar+"  ", follow+bar+"  ", b.notes[0].tone)
}

// wrap prints words on as many lines as they need.
func (p *textPrinter) wrap(text, lead, follow string, tone Tone) {
	for _, line := range p.style.lines(text, lead, follow) {
		p.put(p.style.Paint(Faint, lead) + p.style.Paint(tone, line) + "\n")
		lead = follow
	}
}

// Wrap writes words on as many lines as they need; all but the first are
// indented.
func (y Style) Wrap(w io.Writer, text string, tone Tone) {
	lead := ""
	for _, line := range y.lines(text, "", "  ") {
		_, _ = io.WriteString(w, lead+y.Paint(tone, line)+"\n") // whoever owns w hears of it when it is flushed
		lead = "  "
	}
}

// lines breaks a text into lines that fit behind lead and then follow.
func (y Style) lines(text, lead, follow string) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case y.Width > 0 && Columns(lead)+Columns(line)+1+Columns(word) > y.Width:
			lines = append(lines, line)
			lead, line = follow, word
		default:
			line += " " + word
		}
		if y.Width > 0 {
			line = y.Cut(line, y.Width-Columns(lead)) // one word that is wider than a line
		}
	}
	return append(lines, line)
}

func (p *textPrinter) put(s string) { _, _ = p.w.WriteString(s) } // Flush reports what went wrong

// summary counts what there is, and says what is missing.
func (t *Tree) summary() []string {
	processes, threads, zombies := 0, 0, 0
	for _, n := range t.Nodes() {
		processes++
		threads += len(n.Threads)
		if n.State == "zombie" {
			zombies++
		}
	}
	counts := Count(processes, "process", "processes") + ", " + Count(threads, "thread", "threads")
	if zombies > 0 {
		counts += ", " + Count(zombies, "zombie", "zombies")
	}
	if t.Folded > 0 {
		counts += "; " + Count(t.Folded, "thread of the kernel is", "threads of the kernel are") + " not shown (--kernel)"
	}
	lines := []string{counts}
	reasons := map[string][]string{}
	var order []string
	for _, o := range t.Left {
		if reasons[o.Reason] == nil {
			order = append(order, o.Reason)
		}
		reasons[o.Reason] = append(reasons[o.Reason], fmt.Sprint(o.PID))
	}
	for _, reason := range order {
		pids := reasons[reason]
		more := ""
		if len(pids) > 8 {
			more, pids = fmt.Sprintf(" and %d more", len(pids)-8), pids[:8]
		}
		lines = append(lines, "not complete: "+strings.Join(pids, ", ")+more+": "+reason)
	}
	return lines
}
