package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"axprocess"
	"axprocess/host"
	"axprocess/report"
)

// treeFlags are what axp tree is asked for.
type treeFlags struct {
	view      report.View
	json, dot bool
	svg       string
	kernel    bool
	root      string
	since     string
	user      string
	command   string
	states    []string
}

// treeCommand shows the host's processes.
func treeCommand(a *app) *cobra.Command {
	var f treeFlags
	c := &cobra.Command{
		Use:   "tree [PID]",
		Short: "The host's processes by session, group, process and thread",
		Long: `The host's processes now: by session, then process group, then process. With a
PID, only that process, its ancestors and its descendants.

Zombies are marked, with the parent that fails to wait. The kernel keeps no time
of death: a zombie has been dead for at most as long as since its start, and at
least since an earlier look that is given with --since.

A /proc is saved, for --proc here or on another machine, by
  cd /proc && cp --parents [0-9]*/stat [0-9]*/status [0-9]*/cmdline \
    [0-9]*/task/*/stat [0-9]*/task/*/cmdline uptime stat sys/kernel/hostname DIR
which complains about the processes that end meanwhile, and goes on.`,
		Example: `  axp tree                        sessions, groups, processes
  axp tree --flat --threads 4711  a process, its ancestors and all below it
  axp tree --state zombie         who waits to be waited for
  axp tree --json > now.json; sleep 60; axp tree --since now.json --state zombie`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return f.tree(a, args) },
	}
	flags := c.Flags()
	flags.BoolVar(&f.view.Flat, "flat", false, "by parent and child instead of session and group")
	flags.BoolVar(&f.view.Threads, "threads", false, "show each thread")
	flags.BoolVar(&f.kernel, "kernel", false, "show the kernel's threads too")
	flags.BoolVar(&f.json, "json", false, "print one JSON object")
	flags.BoolVar(&f.dot, "dot", false, "print a graph for Graphviz")
	flags.StringVar(&f.svg, "svg", "", "draw a picture into `FILE`")
	flags.StringVar(&f.root, "proc", host.Root, "read a saved /proc in `DIR`")
	flags.StringVar(&f.since, "since", "", "an earlier --json output, `FILE`: what was a zombie then has been dead since")
	flags.StringVar(&f.user, "user", "", "only processes of this user, by `NAME` or number")
	flags.StringVar(&f.command, "command", "", "only processes with `TEXT` in their name or arguments")
	flags.StringSliceVar(&f.states, "state", nil, "only processes in one of these states, `WORD,…`:\n"+strings.Join(host.States(), ", "))
	c.MarkFlagsMutuallyExclusive("json", "dot")
	_ = c.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(host.States(), cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (f *treeFlags) tree(a *app, args []string) error {
	for _, word := range f.states {
		if _, known := host.ParseState(word); !known {
			return fmt.Errorf("%q is not a state: %s", word, strings.Join(host.States(), ", "))
		}
	}
	match, err := f.filter()
	if err != nil {
		return err
	}
	var start axprocess.PID
	if len(args) > 0 {
		if start, err = parsePID(args[0]); err != nil {
			return err
		}
	}
	snapshot, err := host.Read(host.Options{Root: f.root, Threads: f.view.Threads || f.json, Users: f.json || f.user != ""})
	if err != nil {
		return err
	}
	tree, err := f.shape(snapshot, start, match)
	if err != nil {
		return err
	}
	return f.print(a, tree)
}

// shape makes the tree of a snapshot that was asked for.
func (f *treeFlags) shape(s *host.Snapshot, start axprocess.PID, match func(*report.Node) bool) (*report.Tree, error) {
	earlier, err := readEarlier(f.since)
	if err != nil {
		return nil, err
	}
	tree := newTree(s, earlier)
	fold := !f.kernel && !f.json
	if start != 0 {
		h := s.Table.Process(start)
		if thread := s.Table.Thread(start); h == nil && thread != nil {
			h = thread.Process()
		}
		if h == nil {
			return nil, fmt.Errorf("there is no process %d", start)
		}
		n := tree.Node(h.PID())
		tree.StartAt(n)
		fold = fold && !n.Kernel
	}
	if match != nil {
		tree.Filter(match)
	}
	if fold {
		tree.FoldKernel()
	}
	return tree, nil
}

func (f *treeFlags) print(a *app, tree *report.Tree) error {
	if f.svg != "" {
		if err := writeFile(f.svg, func(w io.Writer) error { return tree.SVG(w, f.view) }); err != nil {
			return err
		}
	}
	switch {
	case f.json:
		return tree.JSON(a.out)
	case f.dot:
		return tree.DOT(a.out, f.view)
	case f.svg != "":
		return nil
	}
	return tree.Text(a.out, f.view, a.out.Style)
}

// writeFile makes a file, whole or not at all: what fails midway is removed.
func writeFile(name string, write func(io.Writer) error) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := errors.Join(write(file), file.Close()); err != nil {
		_ = os.Remove(name)
		return err
	}
	return nil
}

// filter returns what --user, --command and --state ask for together; nil if
// nothing is.
func (f *treeFlags) filter() (func(*report.Node) bool, error) {
	if f.user == "" && f.command == "" && len(f.states) == 0 {
		return nil, nil
	}
	uid := -1
	if f.user != "" {
		var err error
		if uid, err = userID(f.user); err != nil {
			return nil, err
		}
	}
	return func(n *report.Node) bool {
		return (f.user == "" || n.UID == uid) &&
			(f.command == "" || strings.Contains(n.Comm, f.command) || strings.Contains(strings.Join(n.Args, " "), f.command)) &&
			(len(f.states) == 0 || slices.Contains(f.states, n.State))
	}, nil
}

func userID(name string) (int, error) {
	if uid, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(uid), nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return 0, fmt.Errorf("there is no user %q", name)
	}
	return strconv.Atoi(u.Uid)
}

// newTree makes a tree of a whole snapshot.
func newTree(s *host.Snapshot, earlier *earlierLook) *report.Tree {
	names := map[int]string{-1: ""}
	facts := func(p *axprocess.Process) report.Facts {
		info := host.Of(p)
		f := report.Facts{
			Comm: info.Comm, Args: info.Args, State: info.State.String(), Start: s.Start(p), UID: info.UID,
			User: userName(names, info.UID), TTY: info.TTY.String(), Foreground: info.Foreground, Kernel: info.Kernel,
			Cause: info.Cause, Code: info.Code,
		}
		if info.State == host.Zombie {
			f.DeadAtMost = s.Age(p)
			f.DeadAtLeast = min(earlier.deadFor(s, p, f.Start), f.DeadAtMost)
		}
		return f
	}
	tree := report.NewTree(s.Table, facts, func(h *axprocess.Thread) report.ThreadFacts {
		info := host.OfThread(h)
		return report.ThreadFacts{Comm: info.Comm, State: info.State.String()}
	})
	tree.At, tree.Host = s.At, s.Host
	for _, o := range s.Left {
		tree.Left = append(tree.Left, report.Omission(o))
	}
	return tree
}

// userName looks a user's name up, once.
func userName(names map[int]string, uid int) string {
	name, known := names[uid]
	if !known {
		if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
			name = u.Username
		}
		names[uid] = name
	}
	return name
}

// earlierLook is what an earlier axp tree --json saw of zombies.
type earlierLook struct {
	At        time.Time        `json:"at"`
	Processes []earlierProcess `json:"processes"`
}

type earlierProcess struct {
	PID    axprocess.PID  `json:"pid"`
	Start  time.Time      `json:"start"`
	Zombie *earlierZombie `json:"zombie"`
}

type earlierZombie struct {
	AtLeast float64 `json:"dead_at_least_s"`
}

// lookOf returns what a tree saw of zombies.
func lookOf(t *report.Tree) *earlierLook {
	e := &earlierLook{At: t.At}
	for _, n := range t.Nodes() {
		if n.State == host.Zombie.String() {
			e.Processes = append(e.Processes, earlierProcess{n.PID, n.Start, &earlierZombie{n.DeadAtLeast.Seconds()}})
		}
	}
	return e
}

func readEarlier(name string) (*earlierLook, error) {
	if name == "" {
		return nil, nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var e earlierLook
	if err := json.Unmarshal(text, &e); err != nil {
		return nil, fmt.Errorf("%s is not an output of axp tree --json: %w", name, err)
	}
	if e.At.IsZero() {
		return nil, fmt.Errorf("%s is not an output of axp tree --json: it has no time", name)
	}
	return &e, nil
}

// sameStart is how far apart two looks may put the start of one process: the
// host's clock may have been set a little, and numbers aren't reused so soon.
const sameStart = 2 * time.Second

// deadFor returns how long p has been a zombie at least.
func (e *earlierLook) deadFor(s *host.Snapshot, p *axprocess.Process, start time.Time) time.Duration {
	if e == nil {
		return 0
	}
	for _, old := range e.Processes {
		if old.PID == p.PID() && old.Zombie != nil && old.Start.Sub(start).Abs() < sameStart {
			return max(0, s.At.Sub(e.At)) + time.Duration(old.Zombie.AtLeast*float64(time.Second))
		}
	}
	return 0
}
