package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"axprocess/explain"
)

// whyCommand explains a process.
func whyCommand(a *app) *cobra.Command {
	var f caseFlags
	c := &cobra.Command{
		Use:   "why PID",
		Short: "Why a process is as it is: zombie, stopped, orphaned, adopted",
		Long: `Why a process is in the state it is in, why its parent is who it is, whether its
group is orphaned and what makes it so, and whether kill and setpgid would be
refused: each with the rule. What can't be known is named as an assumption.

As root on a kernel with BPF and type information, who is a child subreaper is
read from the kernel; else it is inferred and said to be.`,
		Example: `  axp why 4711
  axp why --record build.axp --at 1.5s 4711
  axp why --json 4711 | jq '.points[] | select(.about == "zombie")'`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			pid, err := parsePID(args[0])
			if err != nil {
				return err
			}
			from, err := f.read()
			if err != nil {
				return err
			}
			answer, err := from.Why(pid)
			if err != nil {
				return err
			}
			if f.json {
				return printJSON(a.out, answer)
			}
			return printAnswer(a.out, answer)
		},
	}
	f.register(c)
	return c
}

func printJSON(to io.Writer, v any) error {
	e := json.NewEncoder(to)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func printAnswer(out output, a *explain.Answer) error {
	p := paragraphs{to: out, width: out.Width}
	p.title("%s: %s, parent %d, group %d, session %d", process(int(a.PID), a.Comm), a.State, a.Parent, a.PGID, a.SID)
	for _, point := range a.Points {
		says := point.Says
		if point.Rule != "" {
			says += " [" + point.Rule + "]"
		}
		p.item(point.About, says)
	}
	for _, step := range a.History {
		says := step.Says
		if !step.At.IsZero() {
			says = step.At.Format(time.RFC3339Nano) + " " + says
		}
		p.item("history", says)
	}
	p.assumptions(a.Assumptions)
	return p.err
}

func process(pid int, comm string) string {
	if comm == "" {
		return fmt.Sprint(pid)
	}
	return fmt.Sprintf("%d (%s)", pid, comm)
}

// paragraphs prints items with a hanging indent, no wider than the output. The
// first error stands.
type paragraphs struct {
	to    io.Writer
	width int
	last  string
	err   error
}

const itemIndent = 13 // columns before what an item says

func (p *paragraphs) title(format string, args ...any) {
	p.wrap(fmt.Sprintf(format, args...), "", "  ")
}

// item prints what is said about something, whose name is not repeated.
func (p *paragraphs) item(about, says string) {
	head := about
	if about == p.last {
		head = ""
	}
	p.last = about
	p.wrap(says, fmt.Sprintf("  %-*s", itemIndent-2, head), strings.Repeat(" ", itemIndent))
}

func (p *paragraphs) assumptions(all []explain.Assumption) {
	if len(all) == 0 {
		return
	}
	p.title("Assumed, since it can't be known from here:")
	for _, a := range all {
		p.item(a.About, a.Says)
	}
}

func (p *paragraphs) wrap(text, first, rest string) {
	line := first
	empty := true
	for word := range strings.FieldsSeq(text) {
		if !empty && len([]rune(line))+1+len([]rune(word)) > p.width {
			p.print(line)
			line, empty = rest, true
		}
		if !empty || line == first && first != "" && !strings.HasSuffix(line, " ") {
			line += " "
		}
		line += word
		empty = false
	}
	p.print(line)
}

func (p *paragraphs) print(line string) {
	if p.err == nil {
		_, p.err = fmt.Fprintln(p.to, strings.TrimRight(line, " "))
	}
}
