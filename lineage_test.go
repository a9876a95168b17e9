package axprocess

import (
	"errors"
	"runtime"
	"slices"
	"syscall"
	"testing"
)

func ancestorNumbers(line []*Ancestor) []PID { return numbersOf(line, (*Ancestor).PID) }

// collected waits until the collector has taken what nobody refers to.
func collected(t *testing.T, what string, gone func() bool) {
	t.Helper()
	for range 100 {
		if gone() {
			return
		}
		runtime.GC()
	}
	t.Errorf("%s is still there", what)
}

// TestLineageOutlivesAncestors: a process whose ancestors have ended knows who they
// were, with their data, whoever its parent is now; at most depth of them.
func TestLineageOutlivesAncestors(t *testing.T) {
	table := NewTable(WithLineage(3))
	init := must(table.NewInit(1).Data("init").Build())
	p := init
	for n := PID(2); n <= 6; n++ {
		child := must(p.Fork(n).Data(n).Build())
		if p != init {
			if err := p.Exit(); err != nil {
				t.Fatal(err)
			}
			if err := p.Free(); err != nil {
				t.Fatal(err)
			}
		}
		p = child
	}
	if got := ancestorNumbers(p.Lineage()); p.Parent() != init || !slices.Equal(got, []PID{5, 4, 3}) {
		t.Fatalf("process 6, parent %d, descends from %v", p.Parent().PID(), got)
	}
	for _, a := range p.Lineage() {
		if table.Ancestor(a.ID()) != a || a.Data() != a.PID() {
			t.Errorf("ancestor %d is not found by its id, or has other data: %v", a.PID(), a.Data())
		}
	}
	sibling := must(p.Fork(7).CloneParent().Build())
	if got := ancestorNumbers(sibling.Lineage()); !slices.Equal(got, []PID{6, 5, 4}) {
		t.Errorf("what 6 forked as its sibling descends from %v", got)
	}
}

// TestLineageEndsWithItsNeed: a record is gone when no descendant within the depth
// and no holder needs it, and not before.
func TestLineageEndsWithItsNeed(t *testing.T) {
	table := NewTable(WithLineage(2))
	init := must(table.NewInit(1).Build())
	p := must(init.Fork(2).Build())
	q := must(p.Fork(3).Build())
	id := p.ID()
	for _, end := range []func() error{p.Exit, p.Free} {
		if err := end(); err != nil {
			t.Fatal(err)
		}
	}
	p = nil
	runtime.GC()
	if a := table.Ancestor(id); a == nil || a.PID() != 2 {
		t.Fatal("the record of an ancestor is gone while its child lives")
	}
	held := table.Ancestor(id)
	for _, end := range []func() error{q.Exit, q.Free} {
		if err := end(); err != nil {
			t.Fatal(err)
		}
	}
	q = nil
	runtime.GC()
	if table.Ancestor(id) != held {
		t.Fatal("the record of an ancestor is gone while somebody holds it")
	}
	runtime.KeepAlive(held)
	held = nil
	collected(t, "a record that nobody needs", func() bool { return table.Ancestor(id) == nil })
	runtime.KeepAlive(table)
}

// TestLineageSoak: a chain of a million forks, each parent dying, takes no more
// memory than its end.
func TestLineageSoak(t *testing.T) {
	forks := 1_000_000
	if testing.Short() {
		forks = 50_000
	}
	const depth = 8
	table := NewTable(WithLineage(depth))
	init := must(table.NewInit(NextPID).Build())
	p := must(init.Fork(NextPID).Build())
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for range forks {
		child := must(p.Fork(NextPID).Build())
		if err := p.Exit(); err != nil {
			t.Fatal(err)
		}
		if err := p.Free(); err != nil {
			t.Fatal(err)
		}
		p = child
	}
	if after := heap(); after > before+1<<20 {
		t.Errorf("the heap grew from %d to %d bytes in %d forks", before, after, forks)
	}
	if n := len(p.Lineage()); n != depth {
		t.Errorf("%d ancestors, want %d", n, depth)
	}
	collected(t, "more than the records of the last process", func() bool { return table.guarded.lineage.known.Len() <= depth })
	runtime.KeepAlive(p)
}

// TestLineageRefused: depths that can't be, and tables without.
func TestLineageRefused(t *testing.T) {
	if _, err := NewTable(WithLineage(-1)).NewInit(1).Build(); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("depth -1: %v", err)
	}
	table := NewTable()
	p := must(must(table.NewInit(1).Build()).Fork(2).Build())
	if p.Lineage() != nil || table.Ancestor(1) != nil {
		t.Error("a table without lineage has one")
	}
}
