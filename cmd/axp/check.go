package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"axprocess"
	"axprocess/host"
	"axprocess/report"
)

// checkFlags are what axp check is asked for.
type checkFlags struct {
	root  string
	json  bool
	apart time.Duration
}

// finding is one thing that is unhealthy.
type finding struct {
	Kind string        `json:"kind"`
	PID  axprocess.PID `json:"pid,omitempty"`
	Comm string        `json:"comm,omitempty"`
	Text string        `json:"text"`
}

// checkCommand lists what is unhealthy.
func checkCommand(a *app) *cobra.Command {
	var f checkFlags
	c := &cobra.Command{
		Use:   "check",
		Short: "The invariants of the host's process table, and what is unhealthy",
		Long: `Reads the host's processes into a table, checks all of its invariants, and lists
what is unhealthy. Exit code 1 if there is anything.

  zombie         nobody has waited for it, at two looks
  stuck          in an uninterruptible sleep, at two looks
  leader-exited  its first thread has exited and others go on: ps calls it a zombie
  abandoned      stopped, in an orphaned group: no shell will continue it
  numbers        more than nine tenths of all process ids are in use
  table          it can't be read, or contradicts the rest, at every look`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return f.check(a) },
	}
	flags := c.Flags()
	flags.StringVar(&f.root, "proc", host.Root, "read a saved /proc in `DIR`, once")
	flags.BoolVar(&f.json, "json", false, "print one JSON object")
	flags.DurationVar(&f.apart, "apart", time.Second, "how far the two looks are apart")
	return c
}

func (f *checkFlags) check(a *app) error {
	if f.apart < 0 {
		return fmt.Errorf("the looks can't be %v apart", f.apart)
	}
	s, tree, err := f.look(nil)
	if err != nil {
		return err
	}
	lasting := func(*report.Node) bool { return true }
	if f.root == host.Root && len(f.passing(tree)) > 0 {
		first := tree
		time.Sleep(f.apart)
		if s, tree, err = f.look(first); err != nil {
			return err
		}
		lasting = func(n *report.Node) bool {
			old := first.Node(n.PID)
			return old != nil && old.State == n.State && old.Start.Sub(n.Start).Abs() < sameStart
		}
	}
	style := a.out.Style
	if f.json {
		style = report.Style{} // which is the same everywhere
	}
	var found []finding
	for _, n := range tree.Nodes() {
		if kind := unhealthy(s.Table, n); kind != "" && lasting(n) {
			found = append(found, finding{kind, n.PID, n.Comm, n.Condition(style)})
		}
	}
	found = append(found, f.tableFindings(s)...)
	return f.print(a, tree, found)
}

// look reads the host; what an earlier look saw of zombies says how long they
// have been dead at least.
func (f *checkFlags) look(earlier *report.Tree) (*host.Snapshot, *report.Tree, error) {
	s, err := host.Read(host.Options{Root: f.root})
	if err != nil {
		return nil, nil, err
	}
	var e *earlierLook
	if earlier != nil {
		e = lookOf(earlier)
	}
	return s, newTree(s, e), nil
}

// passing returns those whose state may pass by itself.
func (f *checkFlags) passing(t *report.Tree) []*report.Node {
	var nodes []*report.Node
	for _, n := range t.Nodes() {
		if n.State == "zombie" || n.State == "disk-sleep" && !n.Kernel {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// unhealthy returns the kind of finding that a process is, or "".
func unhealthy(t *axprocess.Table, n *report.Node) string {
	switch n.State {
	case "zombie", "leader-exited":
		return n.State
	case "disk-sleep":
		if !n.Kernel {
			return "stuck"
		}
	case "stopped":
		if g := t.Group(n.PGID); g != nil && g.IsOrphaned() {
			return "abandoned"
		}
	}
	return ""
}

// tableFindings are about the table as a whole.
func (f *checkFlags) tableFindings(s *host.Snapshot) (found []finding) {
	for _, o := range s.Left {
		if o.Reason != host.Ended {
			found = append(found, finding{Kind: "table", PID: o.PID, Text: o.Reason})
		}
	}
	if err := s.Table.Check(); err != nil {
		found = append(found, finding{Kind: "table", Text: err.Error()})
	}
	used := 0
	for _, p := range s.Table.Processes() {
		used += max(1, len(p.Threads()))
	}
	if limit := f.pidMax(); limit > 0 && used > limit/10*9 {
		found = append(found, finding{Kind: "numbers", Text: fmt.Sprintf("%d of %d process ids are in use", used, limit)})
	}
	return found
}

// pidMax returns how many numbers there are, 0 if the host doesn't say.
func (f *checkFlags) pidMax() int {
	text, err := os.ReadFile(filepath.Join(f.root, "sys/kernel/pid_max"))
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return n
}

func (f *checkFlags) print(a *app, tree *report.Tree, found []finding) error {
	if f.json {
		out := struct {
			At        time.Time `json:"at"`
			Host      string    `json:"host"`
			Processes int       `json:"processes"`
			Findings  []finding `json:"findings"`
		}{tree.At.UTC(), tree.Host, len(tree.Nodes()), found}
		if found == nil {
			out.Findings = []finding{}
		}
		if err := json.NewEncoder(a.out).Encode(out); err != nil {
			return err
		}
	} else {
		for _, x := range found {
			who := x.Kind
			if x.PID != 0 {
				who += fmt.Sprintf(" %d", x.PID)
			}
			if x.Comm != "" {
				who += " (" + a.out.Clean(x.Comm) + ")"
			}
			a.out.Wrap(a.out, who+": "+strings.TrimPrefix(x.Text, x.Kind+": "), report.Bad)
		}
		fmt.Fprintf(a.out, "%s, %s\n", report.Count(len(tree.Nodes()), "process", "processes"), report.Count(len(found), "finding", "findings"))
	}
	if len(found) > 0 {
		return errFinding
	}
	return nil
}
