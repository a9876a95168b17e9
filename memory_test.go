package axprocess

import (
	"runtime"
	"slices"
	"testing"
	"weak"
)

// This file is about the memory model: what each edge keeps and what it doesn't,
// and what becomes of the bytes. docs/architecture.md states each promise that is
// tested here, a test an edge and a sentence.

// payload is data that can be seen to be collected: it has a pointer in it, since
// the collector frees small pointer-free objects in batches.
type payload struct {
	self *payload
	Room [64]byte
}

func newPayload() *payload {
	p := &payload{}
	p.self = p
	return p
}

// collect forces collections until what is unreachable is gone.
func collect() {
	for range 3 {
		runtime.GC()
	}
}

// family is an init, a parent and a child of it.
func family(t *testing.T) (table *Table, init, parent, child *Process) {
	t.Helper()
	table = NewTable()
	init = build(t, table.NewInit(1))
	parent = build(t, init.Fork(NextPID))
	child = build(t, parent.Fork(NextPID))
	t.Cleanup(func() { checked(t, table) })
	return table, init, parent, child
}

func build(t testing.TB, b ProcessBuilder) *Process {
	t.Helper()
	p, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func checked(t testing.TB, table *Table) {
	t.Helper()
	if err := table.Check(); err != nil {
		t.Fatal(err)
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// reap ends a process and frees it.
func reap(t testing.TB, p *Process) {
	t.Helper()
	ok(t, p.Exit())
	ok(t, p.Free())
}

func TestEdgeChildrenStrong(t *testing.T) {
	_, init, parent, _ := family(t)
	var pid PID
	func() {
		pid = build(t, parent.Fork(NextPID).Data(newPayload())).PID()
	}()
	collect()
	children := parent.Children()
	if len(children) != 2 || children[1].PID() != pid {
		t.Fatalf("a child that no variable refers to is not listed: %v", children)
	}
	if _, is := DataOf[*payload](children[1]); !is {
		t.Error("its data is gone")
	}
	runtime.KeepAlive(init)
}

func TestEdgeParentWeak(t *testing.T) {
	table, init, parent, child := family(t)
	sibling := build(t, parent.Fork(NextPID))
	parentGone, siblingGone := weak.Make(parent), weak.Make(sibling)
	reap(t, child)
	if child.Parent() != nil {
		t.Error("a freed process has a parent")
	}
	reap(t, sibling)
	reap(t, parent)
	parent, sibling = nil, nil
	collect()
	if parentGone.Value() != nil || siblingGone.Value() != nil {
		t.Error("a held freed child keeps its old parent or its sibling")
	}
	runtime.KeepAlive(child)
	runtime.KeepAlive(init)
	checked(t, table)
}

func TestEdgeGroupStrong(t *testing.T) {
	_, _, _, child := family(t)
	g, err := child.CreateGroup()
	ok(t, err)
	reap(t, child)
	want := g.PGID()
	g = nil
	collect()
	if child.Group() == nil || child.Group().PGID() != want {
		t.Error("the group of a held freed process can't be read")
	}
}

func TestEdgeSessionStrong(t *testing.T) {
	_, _, _, child := family(t)
	v, g, err := child.CreateSession()
	ok(t, err)
	sid := v.SID()
	reap(t, child)
	child, v = nil, nil
	collect()
	if g.Session() == nil || g.Session().SID() != sid {
		t.Error("the session of a held ended group can't be read")
	}
}

func TestEdgeGroupProcessesWeak(t *testing.T) {
	_, _, parent, child := family(t)
	g, err := child.CreateGroup()
	ok(t, err)
	other := build(t, child.Fork(NextPID))
	reap(t, other)
	if got := g.Processes(); len(got) != 1 || got[0] != child {
		t.Errorf("the group lists %v, of which one is freed and held", got)
	}
	gone := weak.Make(child)
	reap(t, child)
	if got := g.Processes(); len(got) != 0 {
		t.Errorf("an ended group lists %v", got)
	}
	child = nil
	collect()
	if gone.Value() != nil {
		t.Error("a held ended group keeps a process")
	}
	runtime.KeepAlive(g)
	runtime.KeepAlive(parent)
	runtime.KeepAlive(other)
}

func TestEdgeSessionGroupsWeak(t *testing.T) {
	_, _, parent, child := family(t)
	v, _, err := parent.CreateSession()
	ok(t, err)
	ended, err := build(t, parent.Fork(NextPID)).CreateGroup()
	ok(t, err)
	reap(t, ended.Processes()[0])
	if got := v.ProcessGroups(); len(got) != 1 || got[0].PGID() != parent.PID() {
		t.Errorf("the session lists %d groups, of which one has ended and is held", len(got))
	}
	runtime.KeepAlive(ended)
	runtime.KeepAlive(child)
}

func TestEdgeThreadProcessStrong(t *testing.T) {
	_, _, _, child := family(t)
	h, err := child.NewThread(NextPID).Data(newPayload()).Build()
	ok(t, err)
	pid := child.PID()
	_, err = h.Exit(3)
	ok(t, err)
	reap(t, child)
	child = nil
	collect()
	if p := h.Process(); p == nil || p.PID() != pid || p.ExitCode() != 3 {
		t.Error("the process of a held thread can't be read")
	}
}

func TestEdgeProcessThreadsWeak(t *testing.T) {
	_, _, _, child := family(t)
	first, err := child.NewThread(NextPID).Build()
	ok(t, err)
	second, err := child.NewThread(NextPID).Build()
	ok(t, err)
	_, err = first.Exit(0)
	ok(t, err)
	if got := child.Threads(); len(got) != 1 || got[0] != second {
		t.Errorf("the process lists %d threads, of which one has exited and is held", len(got))
	}
	gone := weak.Make(second)
	_, err = second.Exit(0)
	ok(t, err)
	second = nil
	collect()
	if gone.Value() != nil {
		t.Error("a process or a sibling keeps an exited thread")
	}
	runtime.KeepAlive(first)
	ok(t, child.Exit())
}

func TestFreedProcessNobodyHoldsIsCollected(t *testing.T) {
	table, init, _, child := family(t)
	data := newPayload()
	process, carried := weak.Make(child), weak.Make(data)
	own := build(t, child.Fork(NextPID).Data(data))
	freed := weak.Make(own)
	reap(t, own)
	reap(t, child)
	own, child, data = nil, nil, nil
	collect()
	if process.Value() != nil || freed.Value() != nil || carried.Value() != nil {
		t.Error("a freed process or its data is still there")
	}
	runtime.KeepAlive(table)
	runtime.KeepAlive(init)
}

// TestHeldProcessPinsOnlyItsOwn: itself, its data, its group, its session and the
// table; not its relatives, its threads or its old group.
func TestHeldProcessPinsOnlyItsOwn(t *testing.T) {
	table, init, parent, child := family(t)
	data := newPayload()
	held := build(t, child.Fork(NextPID).Data(data).Leader(newPayload()))
	oldGroup, err := held.CreateGroup()
	ok(t, err)
	h := held.Threads()[0]
	grandchild := build(t, held.Fork(NextPID))
	ok(t, grandchild.MoveToGroup(init.Group()))
	ok(t, held.MoveToGroup(init.Group()))
	newGroup, err := held.CreateGroup()
	ok(t, err)
	_, err = h.Exit(0)
	ok(t, err)
	ok(t, held.Exit())
	reap(t, grandchild)
	ok(t, held.Free())
	reap(t, child)
	reap(t, parent)
	kept := []weak.Pointer[ProcessGroup]{weak.Make(newGroup)}
	keptData := weak.Make(data)
	gone := []weak.Pointer[Process]{weak.Make(parent), weak.Make(child), weak.Make(grandchild)}
	threadGone, groupGone := weak.Make(h), weak.Make(oldGroup)
	parent, child, grandchild, h, oldGroup, newGroup, data = nil, nil, nil, nil, nil, nil, nil
	collect()
	if slices.ContainsFunc(gone, func(p weak.Pointer[Process]) bool { return p.Value() != nil }) {
		t.Error("a held freed process keeps a relative")
	}
	if threadGone.Value() != nil || groupGone.Value() != nil {
		t.Error("a held freed process keeps its thread or the group that it left")
	}
	if kept[0].Value() == nil || keptData.Value() == nil || held.Session() != init.Session() {
		t.Error("a held freed process has lost its group, its data or its session")
	}
	runtime.KeepAlive(held)
	runtime.KeepAlive(table)
}

// heap returns the bytes that live.
func heap() uint64 {
	collect()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestMillionComeAndGo: after a million processes, a hundred thousand at a time,
// the heap is back within five in a hundred.
func TestMillionComeAndGo(t *testing.T) {
	rounds := 10
	if testing.Short() {
		rounds = 2
	}
	table := NewTable()
	init := build(t, table.NewInit(1))
	all := make([]*Process, 100_000)
	round := func() {
		for i := range all {
			all[i] = build(t, init.Fork(NextPID).Leader(nil))
		}
		for _, p := range all {
			_, err := p.Threads()[0].Exit(0)
			ok(t, err)
			reap(t, p)
		}
		clear(all)
	}
	round() // what a table keeps for its next process, one spare of each kind, is there then
	before := heap()
	for range rounds {
		round()
	}
	after := heap()
	if float64(after) > 1.05*float64(before) {
		t.Errorf("%d bytes live after a million processes, %d before", after, before)
	}
	checked(t, table)
	runtime.KeepAlive(all)
}

func TestUnreferencedTableIsCollectedWhole(t *testing.T) {
	table := NewTable(WithNotices())
	init := build(t, table.NewInit(1).Data(newPayload()))
	for range 100 {
		p := build(t, init.Fork(NextPID).Leader(newPayload()).Data(newPayload()))
		_, _, err := p.CreateSession()
		ok(t, err)
	}
	some := table.Processes()[50]
	goneTable, goneProcess, goneGroup, goneSession := weak.Make(table), weak.Make(some), weak.Make(some.Group()), weak.Make(some.Session())
	goneThread := weak.Make(some.Threads()[0])
	cleaned := make(chan struct{})
	runtime.AddCleanup(table, func(done chan struct{}) { close(done) }, cleaned)
	table, init, some = nil, nil, nil
	collect()
	if goneTable.Value() != nil || goneProcess.Value() != nil || goneGroup.Value() != nil || goneSession.Value() != nil || goneThread.Value() != nil {
		t.Error("a table that nobody holds is not collected whole")
	}
	<-cleaned
}
