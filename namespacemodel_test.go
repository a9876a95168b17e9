package axprocess

import (
	"context"
	"errors"
	"slices"
	"sync"
	"syscall"
	"testing"

	"pgregory.net/rapid"
)

// The naive twin of the namespace code: each process has a map of its numbers, and
// which numbers are in use is found by looking at everything.
type (
	twinSpace struct {
		parent *twinSpace
		level  int
		cursor PID
		init   *twinOne
		closed bool
		real   *Namespace
	}
	twinGroup struct{ numbers map[*twinSpace]PID }
	twinOne   struct {
		parent            *twinOne
		space, below      *twinSpace
		numbers           map[*twinSpace]PID
		group             *twinGroup
		state             State
		waits             bool // an init that has exited and is not alone
		subreaper, marked bool
		real              *Process
	}
	twinWorld struct {
		*rapid.T
		table  *Table
		root   *twinSpace
		spaces []*twinSpace
		all    []*twinOne // not freed
	}
)

func (x *twinWorld) ok(err error) {
	if err != nil {
		x.Fatal(err)
	}
}

// errno compares refusals, and says whether there was one.
func (x *twinWorld) errno(err error, want syscall.Errno) bool {
	if want == 0 && err != nil || want != 0 && !errors.Is(err, want) {
		x.Fatalf("got %v, want %v", err, want)
	}
	return want != 0
}

func (x *twinWorld) used(ns *twinSpace) map[PID]bool {
	used := map[PID]bool{}
	for _, p := range x.all {
		for _, of := range []map[*twinSpace]PID{p.numbers, p.group.numbers} {
			if nr := of[ns]; nr != 0 {
				used[nr] = true
			}
		}
	}
	return used
}

func (x *twinWorld) pick(name string) *twinOne { return rapid.SampledFrom(x.all).Draw(x.T, name) }

func (p *twinOne) acts() bool { return p.state == Running }

func (x *twinWorld) fork(*rapid.T) {
	p := x.pick("forker")
	if len(x.all) > 25 {
		return
	}
	b, ns, want := p.real.Fork(NextPID), p.below, syscall.Errno(0)
	if ns == nil {
		ns = p.space
	}
	if rapid.IntRange(0, 3).Draw(x.T, "new") == 0 {
		b = b.NewNamespace()
		switch {
		case p.below != nil:
			want = syscall.EINVAL
		case p.space.level == maxLevel:
			want = syscall.ENOSPC
		}
		ns = &twinSpace{parent: p.space, level: p.space.level + 1}
	}
	if !p.acts() {
		want = syscall.ESRCH
	}
	numbers := map[*twinSpace]PID{}
	if want == 0 {
		for at := ns; at != nil; at = at.parent {
			used := x.used(at)
			at.cursor++
			for used[at.cursor] {
				at.cursor++
			}
			numbers[at] = at.cursor
		}
		if ns.closed {
			want = syscall.ENOMEM
		}
	}
	real, err := b.Build()
	if x.errno(err, want) {
		return
	}
	child := &twinOne{parent: p, space: ns, numbers: numbers, group: p.group, state: Running, marked: p.marked || p.subreaper, real: real}
	if ns.real == nil {
		ns.real = real.Namespace()
		x.spaces = append(x.spaces, ns)
	}
	if numbers[ns] == 1 {
		ns.init = child
	}
	x.all = append(x.all, child)
}

func (x *twinWorld) unshare(*rapid.T) {
	p, want := x.pick("process"), syscall.Errno(0)
	switch {
	case !p.acts():
		want = syscall.ESRCH
	case p.below != nil:
		want = syscall.EINVAL
	case p.space.level == maxLevel:
		want = syscall.ENOSPC
	}
	real, err := p.real.Unshare()
	if !x.errno(err, want) {
		p.below = &twinSpace{parent: p.space, level: p.space.level + 1, real: real}
		x.spaces = append(x.spaces, p.below)
	}
}

func (x *twinWorld) setns(*rapid.T) {
	p, ns, want := x.pick("process"), rapid.SampledFrom(x.spaces).Draw(x.T, "namespace"), syscall.Errno(0)
	within := false
	for at := ns; at != nil; at = at.parent {
		within = within || at == p.space
	}
	switch {
	case !p.acts():
		want = syscall.ESRCH
	case !within:
		want = syscall.EINVAL
	}
	if !x.errno(p.real.Setns(ns.real), want) {
		if p.below = ns; ns == p.space {
			p.below = nil
		}
	}
}

func (x *twinWorld) kill(*rapid.T) {
	p := x.pick("killed")
	if p.space == x.root && p.numbers[x.root] == 1 {
		return
	}
	want := syscall.Errno(0)
	if p.state == Zombie || p.waits {
		want = syscall.ESRCH
	}
	if !x.errno(p.real.GroupKill(SIGKILL, false), want) {
		x.exit(p)
		x.finish()
	}
}

func (x *twinWorld) free(p *twinOne) {
	p.state = Freed
	x.all = slices.DeleteFunc(x.all, func(q *twinOne) bool { return q == p })
}

// exit ends one process; an init ends its namespace and then waits.
func (x *twinWorld) exit(p *twinOne) {
	p.state = Exiting
	if ns := p.space; ns.init == p && ns != x.root {
		ns.closed, p.waits = true, true
		for _, q := range slices.Clone(x.all) {
			if q != p && q.numbers[ns] != 0 && q.state == Running {
				x.exit(q)
			}
		}
		for _, q := range slices.Clone(x.all) {
			if q.parent == p && q.state == Zombie {
				x.free(q)
			}
		}
		return
	}
	x.die(p)
}

func (x *twinWorld) die(p *twinOne) {
	p.waits, p.state = false, Zombie
	to := p.space.init
	if p.marked {
		for above := p.parent; above != nil && above.space.level == p.space.level; above = above.parent {
			if above.numbers[x.root] == 1 {
				break
			}
			if above.subreaper && above.acts() {
				to = above
				break
			}
		}
	}
	p.subreaper = false
	for _, q := range slices.Clone(x.all) {
		if q.parent == p {
			q.parent = to
			if q.state == Zombie && to.waits {
				x.free(q)
			}
		}
	}
	if p.parent.waits {
		x.free(p)
	}
}

// finish ends inits that are alone.
func (x *twinWorld) finish() {
	for again := true; again; {
		again = false
		for _, p := range slices.Clone(x.all) {
			if p.waits && len(x.used(p.space)) == 1 {
				x.die(p)
				again = true
			}
		}
	}
}

func (x *twinWorld) wait(*rapid.T) {
	p, child, want := x.pick("parent"), x.pick("child"), syscall.Errno(0)
	switch {
	case !p.acts():
		want = syscall.ESRCH
	case child.parent != p:
		want = syscall.ECHILD
	}
	n := child.numbers[p.space]
	if n == 0 {
		n = 77_777
	}
	r, err := p.real.Wait(context.Background(), n, WNOHANG)
	if x.errno(err, want) {
		return
	}
	if child.state != Zombie {
		n = 0
	}
	if r.PID != n {
		x.Fatalf("the wait says %d, want %d", r.PID, n)
	}
	if n != 0 {
		x.free(child)
		x.finish()
	}
}

func (x *twinWorld) newGroup(*rapid.T) {
	p := x.pick("process")
	if p.acts() && p.real.Setpgid(0, 0) == nil && p.group.numbers[x.root] != p.numbers[x.root] {
		p.group = &twinGroup{p.numbers}
		x.finish()
	}
}

func (x *twinWorld) joinGroup(*rapid.T) {
	p, q := x.pick("process"), x.pick("member")
	if n := q.group.numbers[p.space]; n != 0 && p.acts() && p.real.Setpgid(0, n) == nil {
		p.group = q.group
		x.finish()
	}
}

func (x *twinWorld) subreaper(*rapid.T) {
	p := x.pick("process")
	if !p.acts() {
		return
	}
	on := rapid.Bool().Draw(x.T, "on")
	x.ok(p.real.SetChildSubreaper(on))
	p.subreaper = on
	for again := on; again; { // all descendants
		again = false
		for _, q := range x.all {
			if q.parent != nil && !q.marked && (q.parent == p || q.parent.marked) {
				q.marked, again = true, true
			}
		}
	}
}

func (x *twinWorld) compare(*rapid.T) {
	x.ok(x.table.Check())
	for _, ns := range x.spaces {
		if ns.real.Len() != len(x.used(ns)) || ns.real.IsClosed() != ns.closed {
			x.Fatalf("namespace %d has %d numbers and is closed: %t; want %d, %t", ns.real.ID(), ns.real.Len(), ns.real.IsClosed(), len(x.used(ns)), ns.closed)
		}
	}
	if x.table.Len() != len(x.all) {
		x.Fatalf("%d processes, want %d", x.table.Len(), len(x.all))
	}
	for _, p := range x.all {
		if p.real.State() != p.state {
			x.Fatalf("process %d is %s, want %s", p.real.PID(), p.real.State(), p.state)
		}
		for _, ns := range x.spaces {
			n := p.numbers[ns]
			if p.real.PIDIn(ns.real) != n || n != 0 && ns.real.Process(n) != p.real || p.real.Group().PGIDIn(ns.real) != p.group.numbers[ns] {
				x.Fatalf("process %d is number %d in namespace %d and in group %d; want %d, %d", p.real.PID(), p.real.PIDIn(ns.real), ns.real.ID(),
					p.real.Group().PGIDIn(ns.real), n, p.group.numbers[ns])
			}
		}
		ppid, err := p.real.Getppid()
		x.ok(err)
		if want := PID(0); p.parent != nil {
			if want = p.parent.numbers[p.space]; ppid != want {
				x.Fatalf("the parent of %d is %d, want %d", p.real.PID(), ppid, want)
			}
		}
	}
}

func TestNamespacesAgainstTwin(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		x := &twinWorld{T: rt, table: NewTable()}
		real, err := x.table.NewInit(NextPID).Build()
		x.ok(err)
		x.root = &twinSpace{real: x.table.Namespace(), cursor: 1}
		init := &twinOne{space: x.root, numbers: map[*twinSpace]PID{x.root: 1}, state: Running, real: real}
		init.group = &twinGroup{init.numbers}
		x.root.init, x.spaces, x.all = init, []*twinSpace{x.root}, []*twinOne{init}
		for range 3 {
			rt.Repeat(map[string]func(*rapid.T){
				"": x.compare, "fork": x.fork, "fork again": x.fork, "unshare": x.unshare, "setns": x.setns, "kill": x.kill,
				"wait": x.wait, "new group": x.newGroup, "join group": x.joinGroup, "subreaper": x.subreaper,
			})
		}
	})
}

// Namespaces end while processes are born into them, from inside and outside.
func TestNamespaceHammer(t *testing.T) {
	rounds := 200
	if testing.Short() {
		rounds = 40
	}
	for range rounds {
		table := NewTable()
		init, err := table.NewInit(NextPID).Build()
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 3 {
			outside, err := init.Fork(NextPID).Build()
			if err != nil {
				t.Fatal(err)
			}
			first, err := outside.Fork(NextPID).NewNamespace().Build()
			if err != nil {
				t.Fatal(err)
			}
			ns := first.Namespace()
			wg.Go(func() { // births inside, some of further namespaces
				for p := first; ; {
					q, err := p.Fork(NextPID).NewNamespace().Build()
					if errors.Is(err, syscall.ENOSPC) {
						q, err = p.Fork(NextPID).Build()
					}
					if err != nil {
						return
					}
					p = q
				}
			})
			wg.Go(func() { // births from outside, and their ends
				if outside.Setns(ns) != nil {
					return
				}
				for {
					q, err := outside.Fork(NextPID).Build()
					if err != nil {
						return
					}
					_, _ = q.Kill(1, SIGTERM)
					_, _ = outside.Wait(context.Background(), WaitAny, WNOHANG)
					_, _ = q.Kill(-1, SIGUSR1)
				}
			})
			wg.Go(func() {
				for range 20 {
					_, _ = init.Kill(first.PID(), SIGCHLD)
					_ = ns.Processes()
				}
				_, _ = init.Kill(first.PID(), SIGKILL)
			})
			wg.Go(func() { // the init becomes a zombie once the others are reaped
				for first.State() < Zombie {
					if _, err := outside.Wait(context.Background(), WaitAny, 0); err != nil && first.State() < Zombie {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		if err := table.Check(); err != nil {
			t.Fatal(err)
		}
	}
}
