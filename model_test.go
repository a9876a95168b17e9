package axprocess

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"pgregory.net/rapid"
)

// This file is about the model as a whole beside a naive twin: slices and loops,
// no cleverness. The same operations are done to both; each refusal and the whole
// state must agree, and Check must hold, after every step. All short sequences are
// enumerated, long ones drawn.

// naive is the twin. Processes are in the order of birth; links are indices.
type naive struct{ all []naiveProcess }

type naiveProcess struct {
	parent         int // -1: none
	children       []int
	group, session int // the index of the process that it is named after
	subreaper      bool
	threads        int
	hadThreads     bool
	ended, freed   bool
	code           int
}

func newNaive() *naive { return &naive{all: []naiveProcess{{parent: -1}}} }

// step is an operation as a value: what, by whom, to whom.
type modelStep struct {
	what string
	a, b int
}

var modelOps = []string{"fork", "sibling", "thread", "exit thread", "exit", "kill", "free", "group", "session", "move", "setpgid", "subreaper", "wait", "wait for"}

// takesTwo are the operations that name another process.
func (s modelStep) takesTwo() bool {
	return s.what == "move" || s.what == "setpgid" || s.what == "wait for"
}

func (n *naive) groupLives(g int) bool {
	return slices.ContainsFunc(n.all, func(p naiveProcess) bool { return !p.freed && p.group == g })
}

func (n *naive) canAct(i int) bool {
	p := n.all[i]
	return !p.ended && (p.threads > 0 || !p.hadThreads)
}

// do is the rules, as slowly as can be. It returns an errno, 0 for none.
func (n *naive) do(s modelStep) syscall.Errno {
	p := &n.all[s.a]
	switch s.what {
	case "fork":
		return n.fork(s.a, s.a)
	case "sibling":
		if n.canAct(s.a) && p.parent < 0 {
			return syscall.EINVAL
		}
		return n.fork(s.a, p.parent)
	case "thread":
		if !n.canAct(s.a) {
			return syscall.ESRCH
		}
		p.threads++
		p.hadThreads = true
	case "exit thread":
		switch {
		case p.threads == 0:
			return syscall.ESRCH
		case s.a == 0 && p.threads == 1:
			return syscall.EPERM
		}
		p.threads--
		p.code = 5
	case "exit":
		switch {
		case p.ended:
			return syscall.ESRCH
		case s.a == 0:
			return syscall.EPERM
		case p.threads > 0:
			return syscall.EBUSY
		}
		n.exit(s.a)
	case "kill":
		if p.ended {
			return syscall.ESRCH
		}
		if s.a == 0 {
			return syscall.EPERM
		}
		p.threads, p.code = 0, int(SIGTERM)
		n.exit(s.a)
	case "free":
		switch {
		case p.freed:
			return syscall.ESRCH
		case !p.ended:
			return syscall.EBUSY
		}
		n.free(s.a)
	default:
		return n.relate(s)
	}
	return 0
}

// relate is the operations on groups and sessions, subreapers and waits.
func (n *naive) relate(s modelStep) syscall.Errno {
	p := &n.all[s.a]
	switch s.what {
	case "group":
		switch {
		case p.freed:
			return syscall.ESRCH
		case p.session == s.a || n.groupLives(s.a):
			return syscall.EPERM
		}
		p.group = s.a
	case "session":
		switch {
		case !n.canAct(s.a):
			return syscall.ESRCH
		case p.session == s.a || n.groupLives(s.a):
			return syscall.EPERM
		}
		p.group, p.session = s.a, s.a
	case "move": // to the group that b is in; freed ones keep theirs, and it may be over
		q := n.all[s.b]
		switch {
		case p.freed:
			return syscall.ESRCH
		case p.group == q.group:
			return 0
		case p.session == s.a || p.session != q.session:
			return syscall.EPERM
		}
		p.group = q.group
	case "setpgid":
		return n.setpgid(s.a, s.b)
	case "subreaper":
		if !n.canAct(s.a) {
			return syscall.ESRCH
		}
		p.subreaper = !p.subreaper
	case "wait", "wait for":
		return n.wait(s)
	}
	return 0
}

func (n *naive) fork(forker, parent int) syscall.Errno {
	if !n.canAct(forker) {
		return syscall.ESRCH
	}
	p := n.all[forker]
	n.all = append(n.all, naiveProcess{parent: parent, group: p.group, session: p.session})
	n.all[parent].children = append(n.all[parent].children, len(n.all)-1)
	return 0
}

func (n *naive) exit(i int) {
	reaper := 0
	for at := n.all[i].parent; at > 0; at = n.all[at].parent {
		if n.all[at].subreaper && n.canAct(at) {
			reaper = at
			break
		}
	}
	for _, child := range n.all[i].children {
		n.all[child].parent = reaper
		n.all[reaper].children = append(n.all[reaper].children, child)
	}
	n.all[i].children, n.all[i].ended, n.all[i].subreaper = nil, true, false
}

func (n *naive) free(i int) {
	p := &n.all[i]
	siblings := &n.all[p.parent].children
	*siblings = slices.DeleteFunc(*siblings, func(c int) bool { return c == i })
	p.parent, p.freed = -1, true
}

// setpgid is setpgid(b, b) by a.
func (n *naive) setpgid(a, b int) syscall.Errno {
	q := &n.all[b]
	switch {
	case !n.canAct(a), q.freed:
		return syscall.ESRCH
	case q.parent == a && q.session != n.all[a].session:
		return syscall.EPERM
	case q.parent == a && b == 0: // the init has exec'd; it is nobody's child
		return syscall.EACCES
	case q.parent != a && a != b:
		return syscall.ESRCH
	case q.session == b:
		return syscall.EPERM
	}
	q.group = b
	return 0
}

// wait takes the oldest child that has ended, or b alone; it doesn't block.
func (n *naive) wait(s modelStep) syscall.Errno {
	if !n.canAct(s.a) {
		return syscall.ESRCH
	}
	some := false
	for _, child := range n.all[s.a].children {
		if s.what == "wait for" && child != s.b {
			continue
		}
		some = true
		if n.all[child].ended {
			n.free(child)
			return 0
		}
	}
	if !some {
		return syscall.ECHILD
	}
	return 0
}

// String is the whole state.
func (n *naive) String() string {
	var b strings.Builder
	for i, p := range n.all {
		if p.freed {
			continue
		}
		code := 0
		if p.ended {
			code = p.code
		}
		fmt.Fprintf(&b, "%d: parent %d children %v group %d session %d threads %d ended %v code %d\n", i, p.parent, p.children, p.group, p.session, p.threads, p.ended, code)
	}
	return b.String()
}

// twin is a table with its processes in the order of birth.
type twin struct {
	table *Table
	all   []*Process
}

func newTwin(t testing.TB) *twin {
	w := &twin{table: NewTable()}
	w.all = append(w.all, build(t, w.table.NewInit(1)))
	return w
}

// do does the same to the table.
func (w *twin) do(s modelStep) error {
	p, q := w.all[s.a], w.all[s.b]
	var err error
	switch s.what {
	case "fork", "sibling":
		b := p.Fork(NextPID)
		if s.what == "sibling" {
			b = b.CloneParent()
		}
		child, refused := b.Build()
		if refused != nil {
			return refused
		}
		w.all = append(w.all, child)
	case "thread":
		_, err = p.NewThread(NextPID).Build()
	case "exit thread":
		threads := p.Threads()
		if len(threads) == 0 {
			return syscall.ESRCH
		}
		_, err = threads[len(threads)-1].Exit(5)
	case "exit":
		err = p.Exit()
	case "kill":
		err = p.GroupKill(SIGTERM, false)
	case "free":
		err = p.Free()
	case "group":
		_, err = p.CreateGroup()
	case "session":
		_, err = p.Setsid()
	case "move":
		err = p.MoveToGroup(q.Group())
	case "setpgid":
		err = p.Setpgid(q.PID(), q.PID())
	case "subreaper":
		err = p.SetChildSubreaper(!p.IsSubreaper())
	case "wait":
		_, err = p.Wait(context.Background(), WaitAny, WNOHANG)
	case "wait for":
		_, err = p.WaitProcess(context.Background(), q, WNOHANG)
	}
	return err
}

// String is the whole state, as the twin says it.
func (w *twin) String() string {
	index := map[PID]int{}
	for i, p := range w.all {
		index[p.PID()] = i // numbers are not given again in so short a life
	}
	var b strings.Builder
	for i, p := range w.all {
		if p.State() == Freed {
			continue
		}
		parent, code := -1, int32(0)
		if p.Parent() != nil {
			parent = index[p.Parent().PID()]
		}
		var children []int
		for _, child := range p.Children() {
			children = append(children, index[child.PID()])
		}
		if p.IsZombie() {
			code = p.ExitCode()
		}
		fmt.Fprintf(&b, "%d: parent %d children %v group %d session %d threads %d ended %v code %d\n", i, parent, children,
			index[p.Group().PGID()], index[p.Session().SID()], len(p.Threads()), p.IsZombie(), code)
	}
	return b.String()
}

// agree does a step to both and says how they differ.
func agree(n *naive, w *twin, s modelStep) string {
	want, err := n.do(s), w.do(s)
	var got syscall.Errno
	if err != nil && !errors.As(err, &got) {
		return err.Error()
	}
	if got != want {
		return fmt.Sprintf("the table says %v, the naive model %v", err, want)
	}
	if err := w.table.Check(); err != nil {
		return err.Error()
	}
	if a, b := w.String(), n.String(); a != b {
		return "the table\n" + a + "the naive model\n" + b
	}
	return ""
}

// stepsOn are all operations on the processes that there are.
func stepsOn(processes, most int) (steps []modelStep) {
	for _, what := range modelOps {
		for a := range processes {
			s := modelStep{what, a, a}
			switch {
			case (what == "fork" || what == "sibling") && processes == most:
			case !s.takesTwo():
				steps = append(steps, s)
			default:
				for b := range processes {
					steps = append(steps, modelStep{what, a, b})
				}
			}
		}
	}
	return steps
}

// depthVariable makes TestAllShortSequences longer: 5 takes minutes.
const depthVariable = "AXPROCESS_DEPTH"

// TestAllShortSequences does every sequence of operations up to a length, on up to
// four processes, to both.
func TestAllShortSequences(t *testing.T) {
	depth := 4
	if testing.Short() {
		depth = 3
	}
	if text := os.Getenv(depthVariable); text != "" {
		var err error
		if depth, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	count := 0
	var extend func(done []modelStep)
	extend = func(done []modelStep) {
		n, w := newNaive(), newTwin(t)
		for i, s := range done {
			if i == len(done)-1 {
				if what := agree(n, w, s); what != "" {
					t.Fatalf("%v: %s", done, what)
				}
				break
			}
			n.do(s)
			_ = w.do(s) // was compared when it was the last
		}
		if count++; len(done) < depth {
			for _, s := range stepsOn(len(n.all), 4) {
				extend(append(done, s))
			}
		}
	}
	extend(nil)
	t.Logf("%d sequences of up to %d operations", count, depth)
}

// TestLongSequences draws long ones, on more processes.
func TestLongSequences(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n, w := newNaive(), newTwin(t)
		var done []modelStep
		for range rapid.IntRange(1, 120).Draw(rt, "length") {
			steps := stepsOn(len(n.all), 24)
			s := steps[rapid.IntRange(0, len(steps)-1).Draw(rt, "step")]
			done = append(done, s)
			if what := agree(n, w, s); what != "" {
				rt.Fatalf("%v: %s", done, what)
			}
		}
	})
}
